"""The ASGI app as a driver of ``vstack_runtime.conformance``: called in the process, by a host as small as can be."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable

import anyio

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.wire import WireBody, WireClosed, WireEnd, WireHead, WireReader
from vstack_proto.wire_out import CONTINUE, LAST_CHUNK, encode_chunk, encode_head
from vstack_runtime.asgi import App, Message
from vstack_runtime.background import from_any_thread
from vstack_runtime.conformance.drivers import Backend, Served
from vstack_runtime.conformance.kit import Wire
from vstack_runtime.conformance.parts import PATIENCE
from vstack_runtime.engine import Engine
from vstack_runtime.stopping import Stopping

# What may be on its way to a peer that does not read.
_MAX_UNREAD = 65_536


class _Half:
    """One direction of a connection between a thread and an event loop."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.data = bytearray()
        self.ended = False
        self.news: Callable[[], object] = lambda: None

    def put(self, data: bytes) -> None:
        """Add bytes; none end it."""
        with self.changed:
            self.data += data
            self.ended = self.ended or not data
            self.changed.notify_all()
        self.news()

    def take(self) -> bytes | None:
        """What is there; None while there is nothing."""
        with self.changed:
            data = bytes(self.data)
            self.data.clear()
            taken = data if data or self.ended else None
        if data:
            self.news()
        return taken


class MemoryWire:
    """A connection to the app, without a socket."""

    def __init__(self) -> None:
        self.inward, self.outward = _Half(), _Half()

    def send(self, data: bytes) -> None:
        """Send all of this."""
        if self.outward.ended:
            raise BrokenPipeError("the host has closed the connection")
        self.inward.put(data)

    def receive(self, seconds: float) -> bytes:
        """What has come."""
        with self.outward.changed:
            if not self.outward.changed.wait_for(lambda: self.outward.data or self.outward.ended, seconds):
                raise TimeoutError
        return self.outward.take() or b""

    def half_close(self) -> None:
        """Send no more."""
        self.inward.put(b"")

    def abort(self) -> None:
        """Break the connection."""
        self.inward.put(b"")
        self.outward.put(b"")

    close = abort


class _Host:
    """A host server for one connection: just enough of one to call an app."""

    def __init__(self, app: App, wire: MemoryWire) -> None:
        self._app = app
        self._wire = wire
        self._reader = WireReader()
        self._idle = True
        self._news = anyio.Event()
        self._call = from_any_thread()
        wire.inward.news = wire.outward.news = self._wake

    def _wake(self) -> None:
        self._call(self._notify)  # a loop that has ended serves nobody

    def _notify(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def run(self) -> None:
        """Serve its requests, one after the other."""
        try:
            while isinstance(head := await self._next(), WireHead):
                self._idle = False
                if not await self._serve(head):
                    break
                self._reader.next_request()
                self._idle = True
        except RemoteProtocolError as refusal:
            # No app hears of what is no request: hosts answer it themselves.
            self._wire.outward.put(
                b"HTTP/1.1 %d Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % refusal.status
            )
        finally:
            self._wire.outward.put(b"")

    def close_if_idle(self) -> None:
        """Wait for no further request."""
        if self._idle and not self._reader.started:
            self._wire.abort()

    async def _next(self) -> WireHead | WireBody | WireEnd | WireClosed:
        while (event := self._reader.next_event()) is None:
            self._reader.receive(await self._bytes())
        return event

    async def _bytes(self) -> bytes:
        while True:
            news = self._news
            if (data := self._wire.inward.take()) is not None:
                return data
            await news.wait()

    async def _serve(self, head: WireHead) -> bool:
        """Call the app for one request; returns whether another may follow."""
        path, _, query = head.target.partition("?")
        scope = {
            "type": "http",
            "http_version": head.http_version,
            "method": head.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers],
            "client": ("127.0.0.1", 1),
        }
        call = _HostCall(self._bytes, self._reader, self._put, head)
        await self._app(scope, call.receive, call.send)
        if not call.closes and not call.ended:
            # A request without a body, whose end the app did not ask for.
            await self._next()
        return not call.closes

    async def _put(self, data: bytes) -> None:
        """Send bytes, once the peer has read most of what was sent."""
        outward = self._wire.outward
        while len(outward.data) > _MAX_UNREAD and not outward.ended:
            await self._news.wait()
        outward.put(data)


class _HostCall:
    """``receive`` and ``send`` of one request."""

    def __init__(
        self,
        more: Callable[[], Awaitable[bytes]],
        reader: WireReader,
        put: Callable[[bytes], Awaitable[None]],
        head: WireHead,
    ) -> None:
        self._more = more
        self._reader = reader
        self._put = put
        self._head = head
        self._waits = head.head.expects_continue
        self.ended = False
        self._chunked = False
        self.closes = not head.head.keep_alive

    async def receive(self) -> Message:
        """The next message to the app."""
        if self._waits:
            self._waits = False
            await self._put(CONTINUE)
        while True:
            try:
                event = self._reader.next_event()
                while event is None:
                    data = await self._more()
                    if not data:
                        return {"type": "http.disconnect"}
                    self._reader.receive(data)
                    event = self._reader.next_event()
            except RemoteProtocolError:
                return {"type": "http.disconnect"}
            if isinstance(event, WireBody):
                return {"type": "http.request", "body": event.data, "more_body": True}
            self.ended = True
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """The next message of the app."""
        if message["type"] == "http.response.start":
            await self._put(self._start(message))
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if body:
            await self._put(encode_chunk(body) if self._chunked else body)
        if not more and self._chunked:
            await self._put(LAST_CHUNK)

    def _start(self, message: Message) -> bytes:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"])
        names = dict(headers)
        self.closes = self.closes or names.get("connection") == "close"
        self._chunked = "content-length" not in names and message["status"] not in (204, 304)
        if self._chunked:
            headers = (*headers, ("transfer-encoding", "chunked"))
        return encode_head(message["status"], headers)


class ServedInMemory(Served):
    """The app in a thread of its own, called without a socket."""

    def __init__(self, engine: Engine, backend: Backend) -> None:
        self._arrived: list[MemoryWire] = []
        self._arrival: anyio.Event
        self._open = False
        self._hosts: list[_Host] = []
        super().__init__(engine, self._host, backend)

    def connect(self) -> Wire:
        """A new connection."""
        if not self._open:
            raise ConnectionRefusedError("the host listens no more")
        wire = MemoryWire()
        self._arrived.append(wire)
        self._call(lambda: self._arrival.set())
        return wire

    async def _host(self, engine: Engine, host: str, port: int, stopping: Stopping) -> None:
        app = App(engine)
        engine.status = "ready"
        async with anyio.create_task_group() as tasks:
            self._arrival = anyio.Event()
            self._open = True
            tasks.start_soon(self._accept, app)
            stopping.listening(0)
            await stopping.wait()
            app.drain()
            await stopping.pause(engine.settings.drain_delay)
            self._open = False
            for one in self._hosts:
                one.close_if_idle()
            await stopping.unless_now(self._drained(app, engine.settings.limits.request_timeout))
            app.stop()
            with anyio.move_on_after(PATIENCE):
                await app.wait_idle()
            tasks.cancel_scope.cancel()

    async def _accept(self, app: App) -> None:
        async with anyio.create_task_group() as connections:
            while True:
                await self._arrival.wait()
                self._arrival = anyio.Event()
                while self._arrived:
                    host = _Host(app, self._arrived.pop(0))
                    self._hosts.append(host)
                    connections.start_soon(host.run)

    async def _drained(self, app: App, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await app.wait_idle()
        return True


class AsgiDriver:
    """The ASGI app, called in the process by a host that is as small as can be.

    Attributes:
        name: For messages.
        owns_wire: False: the host frames the requests.
    """

    owns_wire = False

    def __init__(self, backend: Backend) -> None:
        self.name = f"asgi on {backend}"
        self._backend: Backend = backend

    def start(self, engine: Engine) -> ServedInMemory:
        """Serve the engine in a thread of its own."""
        return ServedInMemory(engine, self._backend)
