"""The ASGI app as a host server meets it: scopes, messages, bodies in parts, and hosts that leave or break."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import structlog
import trio
import trio.testing

from vstack_proto.limits import Limits
from vstack_runtime.asgi import App, Message
from vstack_runtime.conformance.drivers import Backend
from vstack_runtime.conformance.kit import analysis_body
from vstack_runtime.conformance.parts import ANALYZE, PATTERN, GatedCache, GatedLimiter, GatedProvider
from vstack_runtime.engine import KEYS_SECONDS, Engine
from vstack_runtime.settings import Settings

BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")
PATIENCE = 20.0

on_both = pytest.mark.parametrize("backend", BACKENDS)


def engine(*, limits: Limits = Limits(), **parts: Any) -> Engine:  # noqa: B008
    return Engine(Settings(limits=limits, drain_delay=0.0), patterns=[PATTERN], env={}, **parts)


def run(backend: Backend, program: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(PATIENCE):
            await program()

    anyio.run(bounded, backend=backend)


async def until(fact: Callable[[], object]) -> None:
    """Wait for something that nobody tells of, looking at each turn of the loop; ``run`` bounds it."""
    while not fact():
        await anyio.lowlevel.checkpoint()


class Host:
    """A host server that says what a test has written down, and then nothing more."""

    def __init__(self, *says: Message) -> None:
        self.says = list(says)
        self.asked = 0
        self.told: list[Message] = []
        self.fault: Exception | None = None

    async def receive(self) -> Message:
        self.asked += 1
        if not self.says:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        return self.says.pop(0)

    async def send(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        self.told.append(message)

    @property
    def status(self) -> int:
        status: int = self.told[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.told[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.told[1:])


def scope(path: str = "/livez", method: str = "GET", *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    told = {"type": "http", "http_version": "1.1", "method": method, "path": path, "query_string": b"", "client": None}
    return {**told, "headers": [(b"host", b"a.example"), *headers], **more}


def posted(length: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return scope(ANALYZE, "POST", (b"content-length", b"%d" % length), *headers)


def part(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


GONE: Message = {"type": "http.disconnect"}
BODY = analysis_body("calm")
ASKING = analysis_body(model=None)


def call(backend: Backend, one: Engine, told: dict[str, Any], host: Host) -> Host:
    """One request to the app; it must leave nothing in flight."""
    app = App(one)

    async def program() -> None:
        await app(told, host.receive, host.send)
        assert not app.active

    run(backend, program)
    return host


@on_both
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"raw_path": b"/livez"}, 200),
        ({"path": "/inner/livez", "root_path": "/inner"}, 200),
        ({"path": "/inner/livez", "raw_path": b"/inner/livez", "root_path": "/inner"}, 200),
        ({"path": "/inner", "root_path": "/inner"}, 404),
        ({"path": "/livez", "root_path": "/inner"}, 200),
        ({"path": "/livez", "root_path": "/live"}, 200),
        ({"path": "/inner/livez", "root_path": "/inner/"}, 200),
        ({"path": "/nowhere"}, 404),
        ({"path": "/v1/patterns/caf\xe9"}, 404),
        ({"method": "DELETE"}, 405),
        ({"client": ("192.0.2.1", 4711)}, 200),
    ],
)
def test_an_app_is_found_where_it_is_mounted(backend: Backend, changes: dict[str, Any], status: int) -> None:
    assert call(backend, engine(), {**scope(), **changes}, Host(part())).status == status


@on_both
def test_the_documents_of_a_mounted_app_say_where_it_is(backend: Backend) -> None:
    one = engine()

    def get(path: str, root: str = "") -> Host:
        return call(backend, one, scope(root + path, root_path=root), Host(part()))

    mounted, plain = get("/openapi.json", "/in ner"), get("/openapi.json")
    assert json.loads(mounted.body)["servers"] == [{"url": "/in%20ner"}]
    assert json.loads(plain.body)["servers"] == [{"url": "/"}]
    assert mounted.headers[b"etag"] != plain.headers[b"etag"]
    assert b"}&quot;/x/v1/analyze/" in get("/docs", "/x").body


class Bare:
    """What a host server not written in Python may give: awaitable, but no generator."""

    def __init__(self, future: asyncio.Future[Message]) -> None:
        self._steps = iter(future.__await__())

    def __await__(self) -> Iterator[Any]:
        return self

    __iter__ = __await__

    def __next__(self) -> Any:
        return next(self._steps)


@pytest.mark.parametrize("leaves", [False, True])
def test_whatever_can_be_awaited_is_taken(*, leaves: bool) -> None:
    host = Host()

    def receive() -> Any:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, GONE if leaves else part(BODY))
        return Bare(future)

    async def program() -> None:
        await App(engine())(posted(len(BODY)), receive, host.send)

    run("asyncio", program)
    assert leaves or host.status == 200
    assert bool(host.told) is not leaves


def test_a_body_that_does_not_come_is_waited_for_no_longer_than_its_deadline() -> None:
    host = Host()

    def receive() -> Any:
        return Bare(asyncio.get_running_loop().create_future())

    async def program() -> None:
        await App(engine(limits=Limits(body_timeout=0.05)))(posted(len(BODY)), receive, host.send)

    run("asyncio", program)
    assert host.status == 408


@on_both
def test_a_query_is_passed_on(backend: Backend) -> None:
    one = engine()
    one.status = "ready"
    told = call(backend, one, scope("/readyz", query_string=b"verbose"), Host(part()))
    assert "checks" in msgspec.json.decode(told.body)


@on_both
@pytest.mark.parametrize("version", ["1.1", "2", "3"])
def test_newer_versions_know_no_connection_field(backend: Backend, version: str) -> None:
    one = engine()
    one.drain()
    host = call(backend, one, scope(http_version=version), Host(part()))
    assert (b"connection" in host.headers) == (version == "1.1")


@on_both
def test_a_body_may_come_in_any_parts(backend: Backend) -> None:
    parts = [part(BODY[:3], more=True), part(b"", more=True), part(BODY[3:], more=True), part()]
    host = call(backend, engine(), posted(len(BODY)), Host(*parts))
    assert host.status == 200
    assert [message.get("more_body", False) for message in host.told[1:]] == [False]


@on_both
def test_a_peer_that_leaves_in_its_body_is_told_nothing(backend: Backend) -> None:
    assert call(backend, engine(), posted(len(BODY)), Host(part(b"{", more=True), GONE)).told == []


@on_both
def test_a_peer_that_leaves_before_its_body_while_the_quota_is_asked(backend: Backend) -> None:
    """The body that came meanwhile is held, and the leaving is seen behind it."""
    limiter = GatedLimiter()
    host = call(backend, engine(limiter=limiter), posted(len(BODY)), Host(part(BODY), GONE))
    assert (host.told, limiter.gate.cancelled) == ([], 1)


@on_both
def test_the_host_is_not_asked_for_a_body_that_waits_for_a_call(backend: Backend) -> None:
    """To ask makes a host send 100 Continue: neither an early refusal nor the wait for a quota may do that."""
    expects = (b"expect", b"100-continue")
    one = engine(limits=Limits(max_body_bytes=10))
    host = call(backend, one, posted(11, expects), Host(part(b"x" * 11)))
    assert (host.status, host.asked) == (413, 0)


@on_both
def test_what_is_left_of_a_refused_body_is_read_within_bounds(backend: Backend) -> None:
    limits = Limits(max_body_bytes=10, drain_bytes=100)
    rest = [part(b"x" * 30, more=True) for _ in range(10)]
    host = call(backend, engine(limits=limits), posted(300), Host(*rest))
    assert (host.status, host.headers[b"connection"]) == (413, b"close")
    # The answer was complete before the rest was read; 4 parts are more than 100 bytes.
    assert [message.get("more_body") for message in host.told[1:]] == [True, False]
    assert host.asked == 4


@pytest.mark.slow
@on_both
def test_who_is_refused_and_says_nothing_more_is_not_waited_for_long(backend: Backend) -> None:
    host = call(backend, engine(limits=Limits(max_body_bytes=10)), posted(300), Host())
    assert host.status == 413


@on_both
@pytest.mark.parametrize("fault", [OSError("the peer has left"), ZeroDivisionError("a bug of the host")])
def test_a_host_that_cannot_send(backend: Backend, fault: Exception) -> None:
    """An OSError is a host's way to say that the peer has left; anything else is for the host itself."""
    host = Host(part(BODY))
    host.fault = fault
    app = App(engine())
    raised: list[BaseException] = []

    async def program() -> None:
        try:
            await app(posted(len(BODY)), host.receive, host.send)
        except* ZeroDivisionError as group:
            raised.extend(group.exceptions)
        assert not app.active

    run(backend, program)
    assert raised == ([] if isinstance(fault, OSError) else [fault])


@on_both
def test_a_host_that_cancels_gets_everything_back(backend: Backend) -> None:
    provider = GatedProvider()
    one = engine(provider=provider)
    app, body = App(one), analysis_body(model=None)

    async def program() -> None:
        host = Host(part(body))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, posted(len(body)), host.receive, host.send)
            await until(lambda: provider.gate.came == 1)
            tasks.cancel_scope.cancel()
        assert host.told == []

    run(backend, program)
    assert provider.gate.cancelled == 1
    assert one.metrics.registry.get_sample_value("vstack_requests_in_flight") == 0
    assert not app.active


@on_both
def test_a_head_that_grows_too_large_on_its_connection_is_refused(backend: Backend) -> None:
    app = App(engine())

    async def program() -> None:
        for size, status in ((10, 200), (8_000, 200), (20, 200), (9_000, 431)):
            host = Host(part())
            one = scope("/livez", "GET", (b"x-note", b"v" * size))
            await app({**one, "client": ("192.0.2.1", 4711)}, host.receive, host.send)
            assert host.status == status

    run(backend, program)


def test_keys_that_change_count_without_a_restart_in_a_host_that_lets_us_run_in_calls_alone(tmp_path: Path) -> None:
    def replace(name: str, key: str) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text(f"{name}={key}\n")
        fresh.chmod(0o600)
        fresh.replace(tmp_path / "keys")

    first, second = "first-key-of-a-test-123456", "second-key-of-a-test-1234567"
    replace("alice", first)
    settings = Settings.from_env({"VSTACK_API_KEYS_FILE": str(tmp_path / "keys"), "VSTACK_LLM": "offline"})
    app = App(Engine(settings, env={}))

    async def statuses() -> list[int]:
        told = []
        for key in (first, second):
            host = Host(part())
            await app(scope("/v1/patterns", "GET", (b"x-api-key", key.encode())), host.receive, host.send)
            told.append(host.status)
        return told

    async def program() -> None:
        assert await statuses() == [200, 401]
        replace("bob", second)
        await trio.sleep(KEYS_SECONDS)
        assert await statuses() == [401, 200]

    trio.run(program, clock=trio.testing.MockClock(autojump_threshold=0))


@on_both
def test_the_lifespan_says_when_it_is_ready_and_when_it_stops(backend: Backend) -> None:
    one = engine()
    seen: list[str] = []
    host = Host({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})

    async def send(message: Message) -> None:
        seen.append(f"{message['type']} {one.status}")

    run(backend, lambda: App(one)({"type": "lifespan"}, host.receive, send))
    assert seen == ["lifespan.startup.complete ready", "lifespan.shutdown.complete draining"]


@on_both
def test_an_app_that_is_mounted_is_ended_by_its_host(backend: Backend) -> None:
    app = App(engine(provider=GatedProvider()))
    seen: list[str] = []
    host, waiting = Host(), Host(part(ASKING))

    async def program() -> None:
        provider = app.engine.provider
        assert isinstance(provider, GatedProvider)
        async with anyio.create_task_group() as tasks:
            async with app.running():
                seen.append(app.engine.status)
                tasks.start_soon(app, posted(len(ASKING)), waiting.receive, waiting.send)
                await until(lambda: provider.gate.came)
                tasks.start_soon(opened_when_draining, provider)
            # Nobody was in flight any more when the block had ended.
            assert waiting.status == 200
        seen.append(app.engine.status)
        await app.aclose()
        # The host's server may pass its own lifespan on all the same.
        host.says = [{"type": "lifespan.shutdown"}]
        await app({"type": "lifespan"}, host.receive, host.send)

    async def opened_when_draining(provider: GatedProvider) -> None:
        await until(lambda: app.engine.status == "draining")
        provider.gate.open()

    run(backend, program)
    assert seen == ["ready", "draining"]
    assert waiting.headers[b"connection"] == b"close"
    assert host.told == [{"type": "lifespan.shutdown.complete"}]


@on_both
def test_what_outlasts_the_patience_of_an_end_is_answered(backend: Backend) -> None:
    app, host = App(engine(provider=GatedProvider())), Host(part(ASKING))

    async def program() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, posted(len(ASKING)), host.receive, host.send)
            await until(lambda: app.active)
            await app.aclose(0.0)
            assert host.status == 503

    run(backend, program)
    assert msgspec.json.decode(host.body)["detail"]["error"] == "draining"


@on_both
def test_an_end_that_is_cancelled_still_closes_what_it_had_opened(backend: Backend) -> None:
    one = engine(provider=GatedProvider())
    store: Any = Closing()
    one._stores.append(store)
    app, host = App(one), Host(part(ASKING))

    async def program() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, posted(len(ASKING)), host.receive, host.send)
            await until(lambda: app.active)
            with anyio.CancelScope() as scope:
                async with app.running():
                    scope.cancel()
            assert store.closed == 1
            tasks.cancel_scope.cancel()

    run(backend, program)


class Closing:
    """A store that counts how often it was closed."""

    closed = 0

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed += 1


@on_both
def test_a_websocket_is_turned_away(backend: Backend) -> None:
    host = Host()
    run(backend, lambda: App(engine())({"type": "websocket"}, host.receive, host.send))
    assert [message["type"] for message in host.told] == ["websocket.close"]


@on_both
def test_waiting_for_the_app_to_be_idle(backend: Backend) -> None:
    cache = GatedCache()
    app = App(engine(cache=cache))

    async def program() -> None:
        await app.wait_idle()
        host = Host(part(BODY))
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(app.wait_idle)
            tasks.start_soon(app, posted(len(BODY)), host.receive, host.send)
            await until(lambda: cache.gate.came == 1)
            tasks.start_soon(app.wait_idle)
            cache.gate.open()
        assert host.status == 200

    run(backend, program)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


@on_both
def test_a_bug_is_logged_with_the_request_it_met(backend: Backend, logged: list[Any]) -> None:
    body = analysis_body("crash")
    host = call(backend, engine(), posted(len(body), (b"x-request-id", b"mine")), Host(part(body)))
    assert host.status == 500
    assert [entry["event"] for entry in logged if entry["log_level"] == "error"] == ["an exchange crashed"]


# Peers that do not read.


class Stuck(Host):
    """A host whose peer reads no more after so many messages."""

    def __init__(self, takes: int, *says: Message) -> None:
        super().__init__(*says)
        self.takes = takes

    async def send(self, message: Message) -> None:
        await super().send(message)
        if len(self.told) >= self.takes:
            await anyio.sleep_forever()


@on_both
def test_a_stream_that_nobody_reads_ends_with_its_call(backend: Backend) -> None:
    provider = GatedProvider()
    asked = analysis_body("calm", model=None)
    one = engine(limits=Limits(write_timeout=0.1, heartbeat=0.01), provider=provider)
    told = posted(len(asked), (b"accept", b"text/event-stream"))
    host = call(backend, one, told, Stuck(2, part(asked)))
    assert (provider.gate.came, provider.gate.cancelled) == (1, 1)
    assert [message["type"] for message in host.told] == ["http.response.start", "http.response.body"]
    counted = one.metrics.registry.get_sample_value(
        "vstack_requests_total",
        {"surface": "rest", "pattern": PATTERN.name, "mode": "quick", "status": "cancelled"},
    )
    assert counted == 1


@on_both
@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 200_000])
def test_a_large_answer_goes_out_in_parts(backend: Backend, size: int) -> None:
    body = analysis_body("x" * size)
    host = call(backend, engine(), posted(len(body)), Host(part(body)))
    assert int(host.headers[b"content-length"]) == len(host.body)
    sizes = [len(message["body"]) for message in host.told[1:]]
    assert max(sizes) <= 65_536
    assert all(sizes)
    assert [message["more_body"] for message in host.told[1:]] == [True] * (len(sizes) - 1) + [False]
