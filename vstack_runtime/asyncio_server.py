"""The asyncio driver: where every answer is at hand, a request is served inside ``data_received``, with no task."""

from __future__ import annotations

import asyncio
from typing import cast

import structlog

from vstack_proto.commands import Command
from vstack_proto.events import (
    BytesReceived,
    DeadlinePassed,
    ExchangeEvent,
    ListenersClosed,
    PeerLeft,
    ShutdownAsked,
    WritingPaused,
    WritingResumed,
)
from vstack_runtime.driving import Driving
from vstack_runtime.engine import Engine
from vstack_runtime.performer import Performer
from vstack_runtime.stopping import Stopping

_log = structlog.get_logger("vstack")


class _Line(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_closed", "_deadline", "_driving", "_loop", "_server", "_tasks", "_timer", "_transport")

    def __init__(self, server: AsyncioServer) -> None:
        self._server = server
        self._loop = server.loop
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._closed = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        secure = transport.get_extra_info("sslcontext") is not None
        self._driving = Driving(
            self._server.engine,
            self._server.performer,
            self,
            peer=peer[0] if isinstance(peer, tuple) else "local",
            scheme="https" if secure else "http",
        )
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        self._driving.feed(BytesReceived(at=self._loop.time(), wall=self._server.engine.wall(), data=data))

    def eof_received(self) -> bool:
        self._driving.feed(BytesReceived(at=self._loop.time(), wall=self._server.engine.wall(), data=b""))
        return True  # when to close is the machine's to say

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._driving.feed(PeerLeft(at=self._loop.time()))
        self._server.closed(self)

    def pause_writing(self) -> None:
        self._driving.feed(WritingPaused(at=self._loop.time()))

    def resume_writing(self) -> None:
        self._driving.feed(WritingResumed(at=self._loop.time()))

    # What the machine's commands come to.

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
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
        self._timer = None
        now = self._loop.time()
        if now < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._ring)
        else:
            self._driving.feed(DeadlinePassed(at=now))

    def start(self, command: Command, ticket: int) -> None:
        task = self._loop.create_task(self._perform(command))
        self._tasks[ticket] = task
        task.add_done_callback(lambda done: self._tasks.pop(ticket, None))

    def cancel(self, ticket: int) -> None:
        task = self._tasks.pop(ticket, None)
        if task is not None:
            task.cancel()

    async def _perform(self, command: Command) -> None:
        answer = await self._server.performer.perform(command)
        if answer is not None:
            self._driving.feed(cast(ExchangeEvent, answer))

    def tell(self, event: ShutdownAsked | ListenersClosed) -> None:
        """News of the server."""
        self._driving.feed(event)


class AsyncioServer:
    """Serves HTTP on asyncio."""

    def __init__(self, engine: Engine) -> None:
        """
        Args:
            engine: What the process is made of.
        """
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self.performer = Performer(engine, self.loop.time)
        self.port = 0
        self._lines: set[_Line] = set()
        self._all_closed = asyncio.Event()
        self._draining = False

    def opened(self, line: _Line) -> None:
        """A connection has come."""
        self._lines.add(line)
        self.engine.metrics.connections("open", len(self._lines))
        if self._draining:
            line.tell(ShutdownAsked(at=self.loop.time()))

    def closed(self, line: _Line) -> None:
        """A connection has gone."""
        self._lines.discard(line)
        self.engine.metrics.connections("open", len(self._lines))
        if not self._lines:
            self._all_closed.set()

    def line(self) -> asyncio.Protocol:
        """A protocol for one more connection; also for transports that are not sockets."""
        return _Line(self)

    def tell_all(self, event: ShutdownAsked | ListenersClosed) -> None:
        """Tell every connection."""
        self._draining = True
        for line in list(self._lines):
            line.tell(event)

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


async def serve(engine: Engine, host: str, port: int, stopping: Stopping) -> None:
    """Serve until ``stopping`` says otherwise, then drain.

    Args:
        engine: What the process is made of.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        stopping: When to stop, and whom to tell that the service listens.

    Raises:
        OSError: The address cannot be listened at.
    """
    server = AsyncioServer(engine)
    loop = server.loop
    listener = await loop.create_server(server.line, host, port, backlog=2048)
    server.port = listener.sockets[0].getsockname()[1]
    engine.status = "ready"
    stopping.listening(server.port)
    async with asyncio.TaskGroup() as tasks:
        reloading = tasks.create_task(_reload_keys(engine))
        await stopping.wait()
        engine.drain()
        server.tell_all(ShutdownAsked(at=loop.time()))
        await stopping.pause(engine.settings.drain_delay)
        listener.close()
        server.tell_all(ListenersClosed(at=loop.time()))
        if stopping.now or not await stopping.unless_now(server.wait_closed(engine.settings.limits.request_timeout)):
            server.tell_all(ShutdownAsked(at=loop.time(), now=True))
            await server.wait_closed(2.0)
        reloading.cancel()


async def _reload_keys(engine: Engine) -> None:
    while engine.key_file is not None:
        await asyncio.sleep(1.0)
        engine.reload_keys()
