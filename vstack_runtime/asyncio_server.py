"""The asyncio driver: where every answer is at hand, a request is served inside ``data_received``, with no task.

The clock is ``time.monotonic``, on which asyncio's own stands: uvloop reads that one only once a turn, in milliseconds,
too coarse for an exact window.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from typing import cast

import anyio

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
from vstack_runtime.draining import finish, stop_taking
from vstack_runtime.driving import Counted, Driving
from vstack_runtime.engine import Engine
from vstack_runtime.listening import listen, port_of, prepare, reset_at_close
from vstack_runtime.performer import Performer
from vstack_runtime.room import Room, listeners
from vstack_runtime.stopping import BACKLOG, FLUSH_SECONDS, Stopping


class AsyncioLine(asyncio.Protocol):
    """One connection; the event loop calls it, or a protocol that had the transport before."""

    __slots__ = ("_closed", "_deadline", "_driving", "_full", "_loop", "_secure", "_server", "_timer", "_transport")

    def __init__(self, server: AsyncioServer) -> None:
        self._server = server
        self._loop = server.loop
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._closed = self._full = False

    @property
    def active(self) -> bool:
        """Whether an exchange is under way."""
        return self._driving.active

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._secure = transport.get_extra_info("sslcontext") is not None
        self._driving = Driving(
            self._server.engine,
            self._server.performer,
            self,
            peer=peer[0] if isinstance(peer, tuple) else "local",
            scheme="https" if self._secure else "http",
        )
        self._server.opened(self)
        sock = transport.get_extra_info("socket")
        # Where uvloop takes connections, nobody has asked yet.
        if sock is not None and not self._server.room.has(sock.fileno()):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._driving.feed(BytesReceived(at=time.monotonic(), wall=self._server.engine.wall(), data=data))

    def eof_received(self) -> bool:
        self._driving.feed(BytesReceived(at=time.monotonic(), wall=self._server.engine.wall(), data=b""))
        # When to close is the machine's to say; TLS alone knows no connection that is half open.
        return not self._secure

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._driving.feed(PeerLeft(at=time.monotonic()))
        self._server.closed(self)

    def pause_writing(self) -> None:
        self._full = True
        self._driving.feed(WritingPaused(at=time.monotonic(), waiting=self._transport.get_write_buffer_size()))

    def resume_writing(self) -> None:
        self._full = False
        self._driving.feed(WritingResumed(at=time.monotonic()))

    # What the machine's commands come to.

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        if self._transport.get_write_buffer_size():
            reset_at_close(self._transport.get_extra_info("socket"))
        self._transport.abort()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def arm(self, when: float) -> None:
        # Deadlines mostly move away: the timer that is set fires, sees that it is early, and is set anew. That way a
        # served request costs no timer at all.
        self._deadline = when
        timer = self._timer
        if self._closed or (timer is not None and timer.when() <= when):
            return
        if timer is not None:
            timer.cancel()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        now = time.monotonic()
        if self._full and now >= self._deadline:
            # The transport does not tell what goes out between its two marks; if it is enough, the deadline moves.
            self._driving.feed(WritingPaused(at=now, waiting=self._transport.get_write_buffer_size()))
        self._timer = None
        if now < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._ring)
        else:
            self._driving.feed(DeadlinePassed(at=now))

    def start(self, command: Asking, answered: Callable[[Answered], None]) -> Callable[[], object]:
        return self._server.spawn(command, answered).cancel

    def see_to(self, command: Command) -> None:
        self._server.spawn(command)

    def tell(self, event: ShutdownAsked | ListenersClosed) -> None:
        """News of the server."""
        self._driving.feed(event)


class AsyncioServer:
    """Serves HTTP on asyncio.

    Attributes:
        room: How many connections there may be.
        hosted: Connections that another server carries, such as those in HTTP/2; they count with ours.
    """

    def __init__(self, engine: Engine) -> None:
        """
        Args:
            engine: What the process is made of.
        """
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self.performer = Performer(engine, time.monotonic)
        self.performer.call_later = self.loop.call_later
        self.room = Room()
        self._lines: set[AsyncioLine] = set()
        self.hosted: set[Counted] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_closed = asyncio.Event()
        self._draining = False
        engine.metrics.counts_connections(self._counted)

    def opened(self, line: AsyncioLine) -> None:
        """A connection has come."""
        self._lines.add(line)
        self.count_open()
        if self._draining:
            line.tell(ShutdownAsked(at=time.monotonic()))

    def closed(self, line: AsyncioLine) -> None:
        """A connection has gone."""
        self._lines.discard(line)
        self.count_open()
        if not self._lines:
            self._all_closed.set()

    def count_open(self) -> None:
        """Connections have come or gone."""
        self.engine.metrics.connections("open", len(self._lines) + len(self.hosted))

    def _counted(self) -> tuple[int, int]:
        """How many connections are open, and how many of them active."""
        every: tuple[Counted, ...] = (*self._lines, *self.hosted)
        return len(every), sum(one.active for one in every)

    def line(self) -> asyncio.Protocol:
        """A protocol for one more connection; also for transports that are not sockets."""
        return AsyncioLine(self)

    def tell_all(self, event: ShutdownAsked | ListenersClosed) -> None:
        """Tell every connection."""
        self._draining = True
        for line in list(self._lines):
            line.tell(event)

    def spawn(self, command: Command, answered: Callable[[Answered], None] | None = None) -> asyncio.Task[None]:
        """Perform a command that takes waiting."""
        task = self.loop.create_task(self._perform(command, answered))
        # The event loop itself holds tasks only weakly.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _perform(self, command: Command, answered: Callable[[Answered], None] | None) -> None:
        answer = await self.performer.perform(command, answered)
        if answer is not None and answered is not None:
            answered(answer)

    async def wait_closed(self, seconds: float) -> bool:
        """Wait until no connection is left; False where that takes longer than ``seconds``."""
        self._all_closed.clear()
        if not self._lines:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._all_closed.wait()
        except TimeoutError:
            return False
        return True

    async def end(self) -> None:
        """Close what connections are left, and let what is being stored be stored."""
        for line in list(self._lines):
            line.abort()
        await self.wait_closed(FLUSH_SECONDS)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FLUSH_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


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
    server = AsyncioServer(engine)
    sockets = listeners(listen(host, port) if sockets is None else sockets, server.room)
    prepare(sockets, engine.settings.limits.write_timeout)
    accepting = [await server.loop.create_server(server.line, sock=sock, backlog=BACKLOG) for sock in sockets]
    reloading = server.loop.create_task(engine.watch())
    try:
        engine.ready()
        stopping.listening(port_of(sockets))
        await stopping.wait()
        await stop_taking(server, stopping, sockets, lambda: _close(accepting))
        await finish(server, stopping)
    finally:
        _close(accepting)
        with anyio.CancelScope(shield=True):
            reloading.cancel()
            await asyncio.gather(reloading, return_exceptions=True)
            await server.end()
            server.performer.flush()


def _close(accepting: Sequence[asyncio.Server]) -> None:
    for one in accepting:
        one.close()
