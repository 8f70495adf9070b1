"""What is particular to a driver: how it is embedded and cancelled, what it keeps, and that it stays small."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteReceiveStream, SocketStream

from vstack_proto.limits import Limits
from vstack_proto.values import CacheEntry, ModelRequest
from vstack_runtime import asyncio_server, hypercorn_server, trio_server
from vstack_runtime.asgi import App
from vstack_runtime.asgi_outbox import Message
from vstack_runtime.conformance.drivers import Backend, Serve
from vstack_runtime.conformance.kit import analysis, analysis_body, request
from vstack_runtime.conformance.parts import ANALYZE, PATTERN, Gate, GatedProvider
from vstack_runtime.engine import Engine
from vstack_runtime.providers.common import Reply
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping

PACKAGE = Path(asyncio_server.__file__).parent
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")
SERVERS: dict[str, tuple[Serve, Backend]] = {
    "asyncio": (asyncio_server.serve, "asyncio"),
    "trio": (trio_server.serve, "trio"),
    "hypercorn": (hypercorn_server.serve, "asyncio"),
}
PATIENCE = 20.0

each = pytest.mark.parametrize("name", SERVERS)


def engine(*, limits: Limits = Limits(), **parts: Any) -> Engine:  # noqa: B008
    return Engine(Settings(limits=limits, drain_delay=0.0), patterns=[PATTERN], env={}, **parts)


def run(backend: Backend, program: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(PATIENCE):
            await program()

    anyio.run(bounded, backend=backend)


class Server:
    """A driver in a task of its own."""

    def __init__(self, serve: Serve, one: Engine) -> None:
        self._serve = serve
        self._engine = one
        self._listens = anyio.Event()
        self.stopping = Stopping(self._listening)
        self.port = 0

    def _listening(self, port: int) -> None:
        self.port = port
        self._listens.set()

    async def run(self) -> None:
        await self._serve(self._engine, "127.0.0.1", 0, self.stopping)

    async def connect(self, data: bytes) -> SocketStream:
        await self._listens.wait()
        stream = await anyio.connect_tcp("127.0.0.1", self.port)
        await stream.send(data)
        return stream


async def ended(stream: ByteReceiveStream) -> bytes:
    """All that comes until the connection ends, one way or the other."""
    parts = []
    try:
        while True:
            parts.append(await stream.receive())
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return b"".join(parts)


async def until(fact: Callable[[], object]) -> None:
    """Wait for something that nobody tells of, looking at each turn of the loop; ``run`` bounds it."""
    while not fact():
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    "name", ["asyncio_server", "trio_server", "trio_line", "asgi", "asgi_call", "hypercorn_server", "driving"]
)
def test_a_driver_stays_small(name: str) -> None:
    assert len((PACKAGE / f"{name}.py").read_text().splitlines()) <= 300


class Lingering:
    """A provider whose calls end only when they may, however often they are cancelled."""

    name, default_model = "lingering", "lingering-1"

    def __init__(self) -> None:
        self.cancelled = self.may_end = anyio.Event()

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        self.cancelled, self.may_end = anyio.Event(), anyio.Event()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()
            with anyio.CancelScope(shield=True):
                await self.may_end.wait()
        raise AssertionError("nobody wakes it")


# Servers.


@each
def test_a_deadline_is_answered_before_the_call_is_taken_down(name: str) -> None:
    serve, backend = SERVERS[name]
    provider = Lingering()

    async def program() -> None:
        server = Server(serve, engine(provider=provider, limits=Limits(request_timeout=0.1)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run)
            async with await server.connect(analysis(model=None)) as waiting:
                assert (await waiting.receive()).startswith(b"HTTP/1.1 504 ")
                await provider.cancelled.wait()
                provider.may_end.set()
            server.stopping.ask()

    run(backend, program)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_app_answers_a_deadline_before_the_call_is_taken_down(backend: Backend) -> None:
    provider = Lingering()
    messages: list[Message] = [{"type": "http.request", "body": analysis_body(model=None)}]
    statuses: list[int] = []

    async def receive() -> Message:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        elif not message.get("more_body"):
            # Only once all of the answer is out may the call end.
            provider.may_end.set()

    async def program() -> None:
        app = App(engine(provider=provider, limits=Limits(request_timeout=0.1)))
        scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": ANALYZE}
        fields = [(b"host", b"kit"), (b"content-type", b"application/json")]
        await app({**scope, "query_string": b"", "headers": fields, "client": None}, receive, send)

    run(backend, program)
    assert statuses == [504]


@each
def test_who_cancels_a_server_gets_everything_back(name: str) -> None:
    serve, backend = SERVERS[name]
    provider = GatedProvider()
    server_port = 0

    async def program() -> None:
        nonlocal server_port
        server = Server(serve, engine(provider=provider))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run)
            async with await server.connect(analysis(model=None)) as waiting, await server.connect(b"") as idle:
                await until(lambda: provider.gate.came == 1)
                server_port = server.port
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    assert (await ended(waiting))[:13] in (b"", b"HTTP/1.1 503 ")
                    assert await ended(idle) == b""
        assert provider.gate.cancelled == 1

    run(backend, program)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", server_port), 5):
        pass


@each
def test_an_address_that_is_taken_is_an_error_of_the_system(name: str) -> None:
    serve, backend = SERVERS[name]

    async def program() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
            await serve(engine(), "127.0.0.1", taken.getsockname()[1], Stopping())

    run(backend, program)


class Shelf:
    """A cache elsewhere whose ``put`` waits at a gate."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.kept: list[str] = []

    async def get(self, key: str) -> CacheEntry | None:
        return None

    async def put(self, key: str, entry: CacheEntry) -> None:
        await self.gate.pass_through()
        self.kept.append(key)


@each
def test_nobody_waits_for_a_store_that_is_slow_to_keep(name: str) -> None:
    serve, backend = SERVERS[name]
    shelf = Shelf()

    async def program() -> None:
        server = Server(serve, engine(cache=shelf))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run)
            async with await server.connect(analysis("kept", "Connection: close")) as stream:
                assert (await ended(stream)).startswith(b"HTTP/1.1 200 ")
            await until(lambda: shelf.gate.came == 1)
            assert shelf.kept == []
            # What is under way when the service ends is still kept.
            server.stopping.ask()
            await until(lambda: server.stopping.asked)
            shelf.gate.open()

    run(backend, program)
    assert len(shelf.kept) == 1
    assert shelf.gate.cancelled == 0


@pytest.mark.slow
@each
def test_a_store_that_never_answers_does_not_hold_up_the_end(name: str) -> None:
    serve, backend = SERVERS[name]
    shelf = Shelf()

    async def program() -> None:
        server = Server(serve, engine(cache=shelf))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run)
            async with await server.connect(analysis("lost", "Connection: close")) as stream:
                assert (await ended(stream)).startswith(b"HTTP/1.1 200 ")
            await until(lambda: shelf.gate.came == 1)
            # Waited for to the end, it would never end: ``run`` bounds this.
            server.stopping.ask()

    run(backend, program)
    assert (shelf.kept, shelf.gate.cancelled) == ([], 1)


@pytest.mark.slow
@each
def test_changed_keys_are_noticed_without_a_signal(name: str, tmp_path: Path) -> None:
    serve, backend = SERVERS[name]
    keys = tmp_path / "keys"
    keys.write_text("alice=" + "a" * 30)
    settings = Settings.from_env({"VSTACK_API_KEYS_FILE": str(keys), "VSTACK_DRAIN_DELAY": "0"})
    one = Engine(settings, patterns=[PATTERN], env={})

    async def program() -> None:
        server = Server(serve, one)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run)
            keys.write_text("bob=" + "b" * 31)
            await until(lambda: one.keys().names == ("bob",))
            server.stopping.ask()

    run(backend, program)


def test_hypercorn_leaves_no_ambiguous_request_behind() -> None:
    """h11 takes a length together with chunks; what the head still shows is refused all the same, and what follows."""
    one = engine()

    async def program() -> None:
        server = Server(hypercorn_server.serve, one)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run)
            for fields in (("Content-Length: 5", "Transfer-Encoding: chunked"), ("X_Key: 1",)):
                wrong = request(ANALYZE, *fields, method="POST") + b"0\r\n\r\n" * (len(fields) - 1)
                async with await server.connect(wrong + request("/v1/patterns")) as stream:
                    await stream.send_eof()
                    told = await ended(stream)
                    assert told.startswith(b"HTTP/1.1 400 "), told
                    assert told.count(b"HTTP/1.1 ") == 1
            server.stopping.ask()

    run("asyncio", program)
    labels = {"route": "/v1/patterns", "status": "200"}
    assert not one.metrics.registry.get_sample_value("vstack_http_responses_total", labels)


def test_asyncio_serves_what_is_no_tcp_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def program() -> None:
        server = asyncio_server.AsyncioServer(engine())
        listener = await asyncio.get_running_loop().create_unix_server(server.line, os.fspath(path))
        async with await anyio.connect_unix(path) as stream:
            await stream.send(request("/livez", "Connection: close"))
            assert (await ended(stream)).startswith(b"HTTP/1.1 200 ")
        listener.close()
        assert await server.wait_closed(PATIENCE)
        await server.end()

    run("asyncio", program)
