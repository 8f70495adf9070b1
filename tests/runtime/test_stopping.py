"""Asked once, a service finishes what is in flight; asked twice, it stops now. With real processes, on all runtimes."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import pytest

from tests.e2e.serving import RUNTIMES, Runtime, Server, bearer, canonical_trace, command, head
from tests.fakes.model_service import Act, FakeServer, serving
from vstack_runtime.stopping import Stopping

AAR = "/v1/analyze/aar"

on_both = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def run(backend: str, test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(10):
            await test()

    anyio.run(bounded, backend=backend)


@on_both
def test_it_is_asked_once_and_twice(backend: str) -> None:
    async def test() -> None:
        told: list[int] = []
        stopping = Stopping(told.append)
        stopping.listening(4711)
        assert (told, stopping.asked, stopping.now) == ([4711], False, False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stopping.wait)
            stopping.ask()
        assert (stopping.asked, stopping.now) == (True, False)
        stopping.ask()
        stopping.ask()
        assert (stopping.asked, stopping.now) == (True, True)

    run(backend, test)


@on_both
def test_nobody_needs_to_be_told_that_it_listens(backend: str) -> None:
    async def test() -> None:
        Stopping().listening(4711)

    run(backend, test)


@on_both
def test_a_pause_takes_its_time_unless_somebody_asks_again(backend: str) -> None:
    async def test() -> None:
        stopping = Stopping()
        stopping.ask()
        began = anyio.current_time()
        await stopping.pause(0.05)
        assert anyio.current_time() - began >= 0.05
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stopping.pause, 60.0)
            stopping.ask()
        await stopping.pause(60.0)

    run(backend, test)


@on_both
@pytest.mark.parametrize("done", [True, False])
def test_patience_ends_with_what_it_waits_for(backend: str, done: bool) -> None:
    async def patient() -> bool:
        await anyio.lowlevel.checkpoint()
        return done

    async def test() -> None:
        assert await Stopping().unless_now(patient()) is done

    run(backend, test)


@on_both
def test_patience_ends_when_somebody_asks_again(backend: str) -> None:
    async def forever() -> bool:
        await anyio.sleep_forever()
        raise AssertionError

    async def test() -> None:
        stopping = Stopping()
        stopping.ask()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.lowlevel.checkpoint)
            tasks.start_soon(stopping.unless_now, forever())
            await anyio.wait_all_tasks_blocked()
            stopping.ask()
        assert await stopping.unless_now(forever()) is False

    run(backend, test)


# Processes.


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    told: Runtime = request.param
    return told


@pytest.fixture
def model() -> Iterator[FakeServer]:
    """A model service that thinks for a second before each answer."""
    with serving(Act(text=None, delay=1.0)) as server:
        yield server


Start = Callable[..., Server]


@pytest.fixture
def start(runtime: Runtime) -> Iterator[Start]:
    running: list[Server] = []

    def begin(**env: str) -> Server:
        server = Server(command(runtime), {"VSTACK_DRAIN_DELAY": "0", **env})
        running.append(server)
        return server.started()

    yield begin
    for server in running:
        server.kill()


def analysis(key: str = "") -> bytes:
    import json

    body = json.dumps({"trace": canonical_trace(), "format": "canonical", "mode": "quick"}).encode()
    return head("POST", AAR, f"Content-Length: {len(body)}") + body


@pytest.mark.slow
def test_sigterm_while_an_analysis_runs(start: Start, model: FakeServer) -> None:
    server = start(OLLAMA_HOST=model.url)
    with server.connected() as line:
        line.send(analysis())
        assert model.wait_until(lambda: len(model.asked) == 1)
        server.signal(signal.SIGTERM)
        answer = line.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close"), answer
        assert line.ended()
    assert server.wait() == 0
    assert server.faults() == []
    assert server.log[-1]["event"] == "stopped"


@pytest.mark.slow
def test_a_second_sigterm_stops_now(start: Start, model: FakeServer) -> None:
    model.script = [Act(hang=True)]
    server = start(OLLAMA_HOST=model.url, VSTACK_DRAIN_DELAY="60")
    with server.connected() as line:
        line.send(analysis())
        assert model.wait_until(lambda: len(model.asked) == 1)
        server.signal(signal.SIGTERM)
        server.wait_for(lambda told: told["event"] == "stopping" and not told["now"])
        server.signal(signal.SIGTERM)
        answer = line.answer()
        assert answer.outcome == (503, "draining")
        assert answer.headers["connection"] == "close"
        assert line.ended()
    assert server.wait() == 0
    assert model.wait_until(lambda: model.open == 0), "the call upstream is still open"
    assert server.faults() == []


@pytest.mark.slow
def test_what_takes_too_long_is_told_so_and_the_process_ends(start: Start, model: FakeServer) -> None:
    model.script = [Act(hang=True)]
    server = start(OLLAMA_HOST=model.url, VSTACK_API_REQUEST_TIMEOUT="1")
    with server.connected() as line:
        line.send(analysis())
        assert model.wait_until(lambda: len(model.asked) == 1)
        server.signal(signal.SIGTERM)
        # The request's own deadline and the end of patience come at nearly the same moment.
        assert line.answer().outcome in ((503, "draining"), (504, "timeout"))
        assert line.ended()
    assert server.wait() == 0


@pytest.mark.slow
def test_sighup_has_the_keys_read_again(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    old, new = "old-" + "k" * 30, "new-" + "k" * 30
    keys.write_text(f"alice={old}\n")
    keys.chmod(0o600)
    server = start(VSTACK_API_KEYS_FILE=str(keys))
    assert server.get("/v1/patterns", bearer(old)).status == 200
    keys.write_text(f"alice={new}\n")
    server.signal(signal.SIGHUP)
    server.wait_for(lambda told: told["event"] == "keys reloaded")
    assert server.get("/v1/patterns", bearer(old)).status == 401
    assert server.get("/v1/patterns", bearer(new)).status == 200
    server.stop()


@pytest.mark.slow
def test_a_signal_as_soon_as_it_listens_is_not_lost(runtime: Runtime) -> None:
    server = Server(command(runtime), {"VSTACK_DRAIN_DELAY": "0"})
    try:
        server.wait_for(lambda told: told["event"] == "listening")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.faults() == []
    finally:
        server.kill()
