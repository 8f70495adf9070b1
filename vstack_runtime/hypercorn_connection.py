"""A connection of hypercorn 0.18, mended; ``install`` puts it in the place of hypercorn's own.

Hypercorn accepts it and, with TLS, decrypts it. HTTP/1.1 on it is then read and answered by our own machine, as under
the asyncio driver: framing, deadlines and bytes are the same, and no request waits for a task. Only HTTP/2 goes on to
hypercorn, and to the ASGI app.

For that, two things are mended. Hypercorn watches for idleness with a task that it makes and cancels for every
request, and that it waits for after the peer has left: the socket of each client that came once stayed open until the
keep-alive time was over. Here a timer looks after it. And hypercorn writes each frame by itself: here what one turn of
the loop has to say goes out together.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any, cast

import hypercorn.asyncio.run
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Event, RawData

from vstack_proto.limits import Limits
from vstack_runtime.asgi import App
from vstack_runtime.asyncio_server import AsyncioLine, AsyncioServer
from vstack_runtime.eager import Begun

# What may wait for the end of a turn before it is written all the same.
_MAX_WAITING = 65_536
# What every connection in HTTP/2 begins with (RFC 9113, section 3.4); no request in HTTP/1.1 can.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# More than a transport ever hands over at once.
_ALL = 1 << 24


class _HostedLine(AsyncioLine):
    """A line that tells when it is over: hypercorn waits for each of its connections."""

    __slots__ = ("over",)

    def __init__(self, server: AsyncioServer, over: asyncio.Future[None]) -> None:
        super().__init__(server)
        self.over = over

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.over.done():
            self.over.set_result(None)


class _FirstBytes(asyncio.Protocol):
    """Stands before a line until the peer has shown its version; the line's deadlines run already.

    Attributes:
        held: What has come, where no line has taken it.
        is_http2: Whether that is the beginning of HTTP/2, which the line is not for.
    """

    def __init__(self, line: _HostedLine, transport: asyncio.Transport) -> None:
        self._line = line
        self._transport = transport
        self.held = b""
        self.is_http2 = False
        line.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.held += data
        if self.is_http2:
            return
        if self.held.startswith(_PREFACE):
            self.is_http2 = True
            self._transport.pause_reading()  # until hypercorn has it
            self._line.connection_lost(None)
        elif not _PREFACE.startswith(self.held):
            self._hand_over()

    def eof_received(self) -> bool:
        if self.is_http2:
            return False  # whoever says nothing but the preface need not be heard
        self._hand_over()
        return self._line.eof_received()

    def _hand_over(self) -> None:
        held, self.held = self.held, b""
        self._transport.set_protocol(self._line)
        if held:
            self._line.data_received(held)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.is_http2:
            self._line.connection_lost(exc)


async def _host(server: AsyncioServer, reader: asyncio.StreamReader, transport: asyncio.Transport) -> bool:
    """Serve HTTP/1.1 on a connection to its end; True where it turns out to be HTTP/2, and is all there for another."""
    # What came before this task had its first turn, with TLS often a whole request.
    first = Begun(reader.read(_ALL))
    if not first.done:
        first.drop()
    protocol, line = transport.get_protocol(), _HostedLine(server, server.loop.create_future())
    opening = _FirstBytes(line, transport)
    transport.set_protocol(opening)
    if first.result:
        opening.data_received(first.result)
    if reader.at_eof():
        transport.get_protocol().eof_received()  # type: ignore[attr-defined]  # of the line, if that has it now
    try:
        await line.over
    except asyncio.CancelledError:
        transport.abort()
        raise
    if not opening.is_http2 or transport.is_closing():
        return False
    reader.feed_data(opening.held)
    transport.set_protocol(protocol)
    transport.resume_reading()
    return True


class _Idleness:
    """Closes a connection on which nothing happens; has the methods of the task that it stands in for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self._deadline = 0.0
        self.idle = False

    async def restart(self, task_group: Any, action: Callable[..., Any]) -> None:
        connection = self._connection
        self.idle = True
        if connection.context.terminated.is_set():
            self.close()
            return
        # A timer that is set stays: it rings early, sees it, and is set anew. So a request costs none.
        self._deadline = connection.loop.time() + connection.config.keep_alive_timeout
        if self._timer is None:
            self._timer = connection.loop.call_at(self._deadline, self._ring)

    async def stop(self) -> None:
        self.idle = False

    def _ring(self) -> None:
        self._timer = None
        if not self.idle:
            return
        if self._connection.loop.time() < self._deadline:
            self._timer = self._connection.loop.call_at(self._deadline, self._ring)
        else:
            self.close()

    def close(self) -> None:
        """End the connection, unless that is under way."""
        if self._closing is None:
            self._closing = self._connection.loop.create_task(self._connection.end())

    def cancel(self) -> None:
        """The connection is gone."""
        self.idle = False
        if self._timer is not None:
            self._timer.cancel()


class Connection(TCPServer):
    """Ours for HTTP/1.1; in HTTP/2 it ends when its peer leaves, and writes once where once is enough."""

    def __init__(self, *args: Any) -> None:
        """Takes what hypercorn gives its own."""
        super().__init__(*args)
        self.idle_task: Any = _Idleness(self)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        _OPEN.add(self)

    @property
    def active(self) -> bool:
        """Whether a request is under way, in HTTP/2."""
        return not self.idle_task.idle

    async def run(self) -> None:
        """Serve it to its end."""
        app = getattr(self.app, "app", None)
        server = _SERVERS.get(app) if isinstance(app, App) else None
        if server is None:
            await super().run()
        elif await _host(server, self.reader, cast("asyncio.Transport", self.writer.transport)):
            # The line that it was not for has counted itself out.
            server.hosted.add(self)
            server.count_open()
            try:
                await super().run()
            finally:
                server.hosted.discard(self)
                server.count_open()

    async def protocol_send(self, event: Event) -> None:
        """As hypercorn's, but what fits waits for the end of the turn."""
        if not isinstance(event, RawData):
            self._flush()
            await super().protocol_send(event)
            return
        if not self._waiting:
            self.loop.call_soon(self._flush)
        self._waiting.append(event.data)
        self._waiting_bytes += len(event.data)
        if self._waiting_bytes > _MAX_WAITING or self.writer.transport.get_write_buffer_size():
            # The peer is slow, or the answer large: whoever sends must wait until it has gone out.
            data = RawData(data=b"".join(self._waiting))
            self._waiting.clear()
            self._waiting_bytes = 0
            await super().protocol_send(data)

    def _flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            if not self.writer.transport.is_closing():
                self.writer.write(data)

    async def end(self) -> None:
        """Close from our side, as hypercorn does for idleness."""
        self._flush()
        await self._initiate_server_close()
        # Who reads nothing of what was sent would keep the connection open for ever.
        self.loop.call_later(Limits().write_timeout, self.writer.transport.abort)

    async def _close(self) -> None:
        self._flush()
        await super()._close()
        self.idle_task.cancel()


_OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()
_SERVERS: weakref.WeakKeyDictionary[App, AsyncioServer] = weakref.WeakKeyDictionary()


def install(app: App, server: AsyncioServer) -> None:
    """Have hypercorn make its connections of this class, for the rest of the process's life.

    Args:
        app: The ASGI app, which HTTP/2 goes to.
        server: What takes the connections of ``app`` in HTTP/1.1.
    """
    _SERVERS[app] = server
    setattr(hypercorn.asyncio.run, "TCPServer", Connection)  # noqa: B010 - not meant to be set, as types have it


def close_idle(app: App) -> None:
    """Close the connections of ``app`` in HTTP/2 on which nothing happens; the others close as they become idle."""
    for connection in list(_OPEN):
        if getattr(connection.app, "app", None) is app and connection.idle_task.idle:
            connection.idle_task.close()
