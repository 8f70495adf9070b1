"""The trio driver: one task reads a connection, one keeps its deadline, one sends what the peer is slow to take."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

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
from vstack_runtime.listening import listen, prepare, quiet, reset_at_close
from vstack_runtime.performer import Performer
from vstack_runtime.room import NONE_LEFT, Room
from vstack_runtime.stopping import FLUSH_SECONDS, Stopping

_READ_BYTES = 65_536
# What may wait for a slow peer before the machine is told, and how little must be left before it is told again.
_HIGH_WATER, _LOW_WATER = 65_536, 16_384
# Until it is tried again to take a connection, where no descriptor was left for it.
_RETRY_SECONDS = 0.1


class _Line:
    """One connection."""

    def __init__(self, server: TrioServer, stream: trio.SocketStream, peer: str, nursery: trio.Nursery) -> None:
        self._server = server
        self._socket = stream.socket
        self._nursery = nursery
        self._out = bytearray()
        self._more_out = trio.Event()
        self._may_read = trio.Event()
        self._may_read.set()
        self._paused = False
        self._closing = False
        self._bell = trio.CancelScope()
        self._deadline = 0.0
        self._driving = Driving(server.engine, server.performer, self, peer=peer)

    # The tasks of a connection.

    async def run(self) -> None:
        """Serve until one of the tasks cancels the nursery."""
        self._nursery.start_soon(self._keep_deadline)
        self._nursery.start_soon(self._send)
        await self._receive()
        await trio.sleep_forever()

    async def _receive(self) -> None:
        while True:
            await self._may_read.wait()
            try:
                data = await self._socket.recv(_READ_BYTES)
            except OSError:
                self._gone()
                return
            self._driving.feed(BytesReceived(at=trio.current_time(), wall=self._server.engine.wall(), data=data))
            if not data:
                return

    async def _keep_deadline(self) -> None:
        while True:
            # The scope's deadline is moved by ``arm``: no task is woken for a deadline that moves away.
            with trio.CancelScope(deadline=self._deadline) as self._bell:
                await trio.sleep_forever()
            if self._paused:
                # Moves the deadline, if enough has gone out since.
                self._driving.feed(WritingPaused(at=trio.current_time(), waiting=len(self._out)))
            if trio.current_time() >= self._deadline:
                self._driving.feed(DeadlinePassed(at=trio.current_time()))

    async def _send(self) -> None:
        while True:
            while not self._out:
                if self._closing:
                    self._nursery.cancel_scope.cancel()
                    return
                await self._more_out.wait()
            # A copy, and no view held while it goes out: more may be written meanwhile, and a viewed buffer is fixed.
            with memoryview(self._out) as view:
                part = bytes(view[:_READ_BYTES])
            try:
                sent = await self._socket.send(part)
            except OSError:
                self._gone()
                return
            del self._out[:sent]
            if not self._out:
                self._more_out = trio.Event()
            if self._paused and len(self._out) <= _LOW_WATER:
                self._paused = False
                self._driving.feed(WritingResumed(at=trio.current_time()))

    def _gone(self) -> None:
        self._driving.feed(PeerLeft(at=trio.current_time()))
        self._nursery.cancel_scope.cancel()

    # What the machine's commands come to.

    def write(self, data: bytes) -> None:
        self._out += data
        self._more_out.set()
        if not self._paused and len(self._out) > _HIGH_WATER:
            self._paused = True
            self._driving.feed(WritingPaused(at=trio.current_time(), waiting=len(self._out)))

    def close(self) -> None:
        self._closing = True
        self._more_out.set()

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
        self._bell.deadline = when

    def start(self, command: Asking, answered: Callable[[Answered], None]) -> Callable[[], object]:
        # Made here and not in the task: what is cancelled before its first step must not take it.
        scope = trio.CancelScope()
        self._nursery.start_soon(self._perform, command, answered, scope)
        return scope.cancel

    async def _perform(self, command: Asking, answered: Callable[[Answered], None], scope: trio.CancelScope) -> None:
        with scope:
            answer = await self._server.performer.perform(command)
            if answer is not None:
                answered(answer)

    def see_to(self, command: Command) -> None:
        self._server.aside.start_soon(self._server.performer.perform, command)

    def tell(self, event: ShutdownAsked | ListenersClosed | PeerLeft) -> None:
        """News of the server."""
        self._driving.feed(event)


class TrioServer:
    """Serves HTTP on trio."""

    def __init__(self, engine: Engine, aside: trio.Nursery) -> None:
        """
        Args:
            engine: What the process is made of.
            aside: Where commands run that nobody waits for.
        """
        self.engine = engine
        self.aside = aside
        self.performer = Performer(engine, trio.current_time)
        self.room = Room()
        self._lines: set[_Line] = set()
        self._all_closed = trio.Event()
        self._draining = False

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        with stream.socket:
            if not self.room.has(stream.socket.fileno()):
                return
            try:
                peer = stream.socket.getpeername()
            except OSError:
                return  # it broke before it was served
            try:
                async with trio.open_nursery() as nursery:
                    await self._serve(_Line(self, stream, peer[0] if isinstance(peer, tuple) else "local", nursery))
            except Exception:
                # A bug of ours: the other connections live on.
                self.engine.observers.crashed("a connection crashed")

    async def _serve(self, line: _Line) -> None:
        self._lines.add(line)
        self.engine.metrics.connections("open", len(self._lines))
        try:
            if self._draining:
                line.tell(ShutdownAsked(at=trio.current_time()))
            await line.run()
        finally:
            # Whoever was cut short gives back what it holds: calls, and places in flights.
            line.tell(PeerLeft(at=trio.current_time()))
            self._lines.discard(line)
            self.engine.metrics.connections("open", len(self._lines))
            if not self._lines:
                self._all_closed.set()

    def tell_all(self, event: ShutdownAsked | ListenersClosed) -> None:
        """Tell every connection."""
        self._draining = True
        for line in list(self._lines):
            line.tell(event)

    async def wait_closed(self, seconds: float) -> bool:
        """Wait until no connection is left; False where that takes longer than ``seconds``."""
        self._all_closed = trio.Event()
        if not self._lines:
            return True
        with trio.move_on_after(seconds) as scope:
            await self._all_closed.wait()
        return not scope.cancelled_caught


async def serve(
    engine: Engine, host: str, port: int, stopping: Stopping, sockets: Sequence[socket.socket] | None = None
) -> None:
    """Serve until ``stopping`` says otherwise, then drain. Cancelling it ends it without patience.

    Args:
        engine: What the process is made of.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        stopping: When to stop, and whom to tell that the service listens.
        sockets: Where to listen, in the place of host and port; they are closed at the end.

    Raises:
        OSError: The address cannot be listened at.
    """
    sockets = listen(host, port) if sockets is None else sockets
    prepare(sockets, engine.settings.limits.write_timeout)
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in sockets]
    async with trio.open_nursery() as aside, trio.open_nursery() as lines:
        server = TrioServer(engine, aside)
        accepting = trio.CancelScope()
        lines.start_soon(_accept, server, listeners, lines, accepting)
        lines.start_soon(_reload_keys, engine)
        engine.ready()
        stopping.listening(listeners[0].socket.getsockname()[1])
        await stopping.wait()
        await _drain(server, listeners, accepting, stopping)
        lines.cancel_scope.cancel()
        aside.cancel_scope.deadline = trio.current_time() + FLUSH_SECONDS


async def _accept(
    server: TrioServer, listeners: list[trio.SocketListener], lines: trio.Nursery, scope: trio.CancelScope
) -> None:
    with scope:
        try:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(_take, server, listener, lines)
        finally:
            for listener in listeners:
                listener.socket.close()


async def _take(server: TrioServer, listener: trio.SocketListener, lines: trio.Nursery) -> None:
    while True:
        try:
            stream = await listener.accept()
        except OSError as error:
            if error.errno not in NONE_LEFT:
                raise
            # Files that are no connections have taken what is kept for them; who waits, waits on.
            server.room.refuse()
            await trio.sleep(_RETRY_SECONDS)
        else:
            lines.start_soon(server.handle, stream)


async def _drain(
    server: TrioServer, listeners: list[trio.SocketListener], accepting: trio.CancelScope, stopping: Stopping
) -> None:
    settings = server.engine.settings
    server.engine.drain()
    server.tell_all(ShutdownAsked(at=trio.current_time()))
    await stopping.pause(settings.drain_delay)
    await quiet([listener.socket for listener in listeners])
    accepting.cancel()
    server.tell_all(ListenersClosed(at=trio.current_time()))
    if not await stopping.unless_now(server.wait_closed(settings.limits.request_timeout)):
        server.tell_all(ShutdownAsked(at=trio.current_time(), now=True))
        await server.wait_closed(FLUSH_SECONDS)


async def _reload_keys(engine: Engine) -> None:
    while engine.key_file is not None:
        await trio.sleep(1.0)
        engine.reload_keys()
