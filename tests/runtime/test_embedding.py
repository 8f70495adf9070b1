"""``vstack_runtime.serve`` inside somebody's own program, under both loops."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import anyio
import pytest

from vstack_proto.telemetry import TelemetryEvent
from vstack_runtime import Settings, serve

Program = Callable[[], Awaitable[None]]
OFFLINE = Settings(llm="offline", port=0)


@pytest.fixture(params=["asyncio", "trio"])
def loop(request: pytest.FixtureRequest) -> Callable[[Program], None]:
    def run(program: Program) -> None:
        async def bounded() -> None:
            with anyio.fail_after(20):
                await program()

        anyio.run(bounded, backend=request.param)

    return run


async def get(port: int, path: str) -> bytes:
    """The whole answer to one request."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(f"GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".encode())
        parts = []
        try:
            while True:
                parts.append(await stream.receive())
        except anyio.EndOfStream:
            return b"".join(parts)


async def refused(port: int) -> bool:
    """Whether nobody listens any more."""
    try:
        async with await anyio.connect_tcp("127.0.0.1", port):
            return False
    except OSError:
        return True


def test_it_serves_while_the_block_runs(loop: Callable[[Program], None]) -> None:
    async def program() -> None:
        async with serve(OFFLINE) as port:
            assert b'"status":"ready"' in await get(port, "/readyz")
        assert await refused(port)

    loop(program)


def test_arguments_come_before_settings(loop: Callable[[Program], None], free_port: int) -> None:
    async def program() -> None:
        async with serve(Settings(host="192.0.2.1", port=1), host="127.0.0.1", port=free_port) as port:
            assert port == free_port
            assert (await get(port, "/livez")).startswith(b"HTTP/1.1 200 ")

    loop(program)


def test_the_environment_is_read_where_no_settings_are_given(
    loop: Callable[[Program], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSTACK_API_KEYS", "k" * 24)

    async def program() -> None:
        async with serve(port=0) as port:
            assert (await get(port, "/v1/patterns")).startswith(b"HTTP/1.1 401 ")

    loop(program)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_taken_address_is_an_error_of_the_system(loop: Callable[[Program], None]) -> None:
    async def program() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            async with serve(OFFLINE, port=taken.getsockname()[1]):
                raise AssertionError("it cannot listen there")

    with pytest.raises(OSError, match=r"(?i)address already in use"):
        loop(program)


def test_an_exception_of_the_block_comes_out_as_it_is(loop: Callable[[Program], None]) -> None:
    ports = []

    async def stumble() -> None:
        async with serve(OFFLINE) as port:
            ports.append(port)
            raise LookupError("mine")

    async def program() -> None:
        with pytest.raises(LookupError, match="mine"):
            await stumble()
        assert await refused(ports[0])

    loop(program)


def test_a_cancelled_block_listens_no_more(loop: Callable[[Program], None]) -> None:
    ports = []

    async def program() -> None:
        with anyio.CancelScope() as scope:
            async with serve(OFFLINE) as port, await anyio.connect_tcp("127.0.0.1", port):
                ports.append(port)
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert await refused(ports[0])

    loop(program)


def test_a_balancer_is_told_before_the_listener_closes(loop: Callable[[Program], None]) -> None:
    async def program() -> None:
        async with anyio.create_task_group() as tasks:
            leave = anyio.Event()

            async def host(port_known: anyio.Event, ports: list[int]) -> None:
                async with serve(OFFLINE, drain_delay=0.5) as port:
                    ports.append(port)
                    port_known.set()
                    await leave.wait()

            known, ports = anyio.Event(), list[int]()
            tasks.start_soon(host, known, ports)
            await known.wait()
            leave.set()
            while b" 503 " not in (answer := await get(ports[0], "/readyz")):
                assert answer.startswith(b"HTTP/1.1 200 ")
        assert await refused(ports[0])

    loop(program)


def test_a_sink_that_was_given_is_flushed_as_the_block_ends(loop: Callable[[Program], None]) -> None:
    class Sink:
        flushed = 0
        closed = 0

        def record(self, event: TelemetryEvent) -> None:
            return None

        async def flush(self) -> None:
            self.flushed += 1

        async def aclose(self) -> None:
            self.closed += 1

    sink = Sink()

    async def program() -> None:
        async with serve(OFFLINE, port=0, telemetry=sink) as port:
            await get(port, "/livez")
            assert sink.flushed == 0

    loop(program)
    assert (sink.flushed, sink.closed) == (1, 0)
