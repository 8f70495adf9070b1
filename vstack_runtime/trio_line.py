"""One connection under trio: a task reads it, one keeps its deadline; a third sends what the peer is slow to take."""

from __future__ import annotations

import socket
from collections.abc import Callable

import trio

from vstack_proto.commands import Asking, Command
from vstack_proto.events import (
    Answered,
    BytesReceived,
    DeadlinePassed,
    ListenersClosed,
    PeerLeft,
    ShutdownAsked,
    WritingPaused,
    WritingResumed,
)
from vstack_runtime.driving import Driving
from vstack_runtime.engine import Engine
from vstack_runtime.listening import reset_at_close
from vstack_runtime.performer import Performer

_READ_BYTES = 65_536
# What may wait for a slow peer before the machine is told, and how little must be left before it is told again.
_HIGH_WATER, _LOW_WATER = 65_536, 16_384


class TrioLine:
    """One connection.

    Its socket is the standard library's: what the peer takes at once goes out at once, without waking a task, and an
    answer does not wait for whoever else was woken. trio only tells when there is something to read, and room to write.
    """

    def __init__(
        self,
        engine: Engine,
        performer: Performer,
        sock: socket.socket,
        *,
        peer: str,
        nursery: trio.Nursery,
        aside: trio.Nursery,
    ) -> None:
        """
        Args:
            engine: What the process is made of.
            performer: Carries commands out.
            sock: Connected, and not blocking.
            peer: Address at the other end.
            nursery: Of this connection's tasks; it is cancelled when the connection ends.
            aside: Where commands run that nobody waits for.
        """
        self._engine = engine
        self._performer = performer
        self._aside = aside
        self._socket = sock
        self._nursery = nursery
        self._out = bytearray()
        self._may_read = trio.Event()
        self._may_read.set()
        self._sending = False
        self._paused = False
        self._closing = False
        self._bell = trio.CancelScope()
        self._deadline = 0.0
        self._driving = Driving(engine, performer, self, peer=peer)

    @property
    def active(self) -> bool:
        """Whether an exchange is under way."""
        return self._driving.active

    # The tasks of a connection.

    async def run(self) -> None:
        """Serve until one of the tasks cancels the nursery."""
        self._nursery.start_soon(self._keep_deadline)
        await self._receive()
        await trio.sleep_forever()

    async def _receive(self) -> None:
        while True:
            if not self._may_read.is_set():
                await self._may_read.wait()
            await trio.lowlevel.wait_readable(self._socket)
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                self._gone()
                return
            self._driving.feed(BytesReceived(at=trio.current_time(), wall=self._engine.wall(), data=data))
            if not data:
                return

    async def _keep_deadline(self) -> None:
        while True:
            # A deadline that moves away leaves the scope as it is: it ends early, and another is made.
            with trio.CancelScope(deadline=self._deadline) as self._bell:
                await trio.sleep_forever()
            if self._paused and trio.current_time() >= self._deadline:
                # Moves the deadline, if enough has gone out since.
                self._driving.feed(WritingPaused(at=trio.current_time(), waiting=len(self._out)))
            if trio.current_time() >= self._deadline:
                self._driving.feed(DeadlinePassed(at=trio.current_time()))

    async def _send(self) -> None:
        """Send what the peer did not take at once."""
        while self._out:
            try:
                await trio.lowlevel.wait_writable(self._socket)
                # No view is held when it is done: more may be written then, and a viewed buffer is fixed.
                with memoryview(self._out) as view, view[:_READ_BYTES] as part:
                    sent = self._socket.send(part)
            except BlockingIOError:
                continue
            except OSError:
                self._gone()
                return
            del self._out[:sent]
            if self._paused and len(self._out) <= _LOW_WATER:
                self._paused = False
                self._driving.feed(WritingResumed(at=trio.current_time()))
        self._sending = False
        if self._closing:
            self._nursery.cancel_scope.cancel()

    def _gone(self) -> None:
        self._driving.feed(PeerLeft(at=trio.current_time()))
        self._nursery.cancel_scope.cancel()

    # What the machine's commands come to.

    def write(self, data: bytes) -> None:
        if self._out:
            self._out += data  # what stands before it goes first
        else:
            try:
                sent = self._socket.send(data)
            except OSError:
                sent = 0  # there is no room, or nobody any more: which of them, the task learns
            if sent == len(data):
                return
            self._out += memoryview(data)[sent:]
            if not self._sending:
                self._sending = True
                self._nursery.start_soon(self._send)
        if not self._paused and len(self._out) > _HIGH_WATER:
            self._paused = True
            self._driving.feed(WritingPaused(at=trio.current_time(), waiting=len(self._out)))

    def close(self) -> None:
        self._closing = True
        if not self._out:
            self._nursery.cancel_scope.cancel()

    def abort(self) -> None:
        if self._out:
            reset_at_close(self._socket)
        self._nursery.cancel_scope.cancel()

    def pause_reading(self) -> None:
        self._may_read = trio.Event()

    def resume_reading(self) -> None:
        self._may_read.set()

    def arm(self, when: float) -> None:
        self._deadline = when
        if when < self._bell.deadline:
            self._bell.deadline = when

    def start(self, command: Asking, answered: Callable[[Answered], None]) -> Callable[[], object]:
        # Made here and not in the task: what is cancelled before its first step must not take it.
        scope = trio.CancelScope()
        self._nursery.start_soon(self._perform, command, answered, scope)
        return scope.cancel

    async def _perform(self, command: Asking, answered: Callable[[Answered], None], scope: trio.CancelScope) -> None:
        with scope:
            answer = await self._performer.perform(command, answered)
            if answer is not None:
                answered(answer)

    def see_to(self, command: Command) -> None:
        self._aside.start_soon(self._performer.perform, command)

    def tell(self, event: ShutdownAsked | ListenersClosed | PeerLeft) -> None:
        """News of the server."""
        self._driving.feed(event)
