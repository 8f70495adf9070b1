"""Who watches from outside is told of what crashes wherever it does, and harms nobody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from tests.e2e.stumbling import PATTERN
from vstack_proto.state import State
from vstack_proto.values import Usage
from vstack_runtime.background import spawn
from vstack_runtime.engine import Engine
from vstack_runtime.observing import ModelCall, Observers
from vstack_runtime.observing.sentry import scrubbed
from vstack_runtime.observing.told import Records
from vstack_runtime.observing_settings import ObservingSettings
from vstack_runtime.serving import _run
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping


class Watcher:
    """Takes down what it is told."""

    def __init__(self) -> None:
        self.crashes: list[tuple[str, str, dict[str, str]]] = []
        self.closed = 0

    def crashed(self, error: BaseException, told: str, tags: Mapping[str, str]) -> None:
        self.crashes.append((type(error).__name__, told, dict(tags)))

    def requests(self, records: Records) -> None:
        pass

    def traceparent(self, call: ModelCall) -> str:
        return ""

    def model_called(self, call: ModelCall) -> None:
        pass

    def close(self, seconds: float) -> None:
        self.closed += 1


class Broken(Watcher):
    """Fails at everything."""

    def crashed(self, error: BaseException, told: str, tags: Mapping[str, str]) -> None:
        raise RuntimeError("an observer's own bug")

    requests = traceparent = model_called = close = crashed  # type: ignore[assignment]


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


def watched(*watchers: Watcher) -> Observers:
    observers = Observers(ObservingSettings(), "1")
    for one in watchers:
        observers.add(one)
    return observers


def fail(observers: Observers, state: State | None = None) -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        observers.crashed("something crashed", state, met="BodyEnded")


def test_a_crash_is_told_with_its_request(watcher: Watcher) -> None:
    state = State(request_id="one", method="POST", route="/v1/analyze/{name}", pattern="aar", mode="quick")
    fail(watched(watcher), state)
    known = {"request_id": "one", "method": "POST", "route": "/v1/analyze/{name}", "pattern": "aar", "mode": "quick"}
    ((kind, told, tags),) = watcher.crashes
    assert (kind, told) == ("ZeroDivisionError", "something crashed")
    assert {**known, "met": "BodyEnded"}.items() <= tags.items()


def test_an_observer_that_fails_harms_neither_the_others_nor_the_service(watcher: Watcher) -> None:
    observers = watched(Broken(), watcher)
    fail(observers)
    observers.requests([])
    observers.end_call(observers.begin_call("openai", "m"), "ok", 1.0, 2.0, usage=Usage())
    anyio.run(observers.aclose)
    assert (len(watcher.crashes), watcher.closed, observers.on) == (1, 1, False)


def test_closing_waits_for_nobody_longer_than_it_may(watcher: Watcher) -> None:
    left = threading.Event()

    class Stuck(Watcher):
        def close(self, seconds: float) -> None:
            left.wait(20.0)

    observers = watched(Stuck(), watcher)
    anyio.run(observers.aclose)
    assert not left.is_set()
    assert watcher.closed == 1
    left.set()


def test_what_other_libraries_log_is_heard_where_the_process_is_the_service(watcher: Watcher) -> None:
    observers = watched(watcher)

    def log(name: str) -> None:
        try:
            raise KeyError("secret")
        except KeyError:
            logging.getLogger(name).exception("secret text")
        logging.getLogger(name).error("without an exception")

    log("asyncio")
    with observers.hearing():
        log("asyncio")
        log("sentry_sdk.errors")
    log("asyncio")
    assert watcher.crashes == [("KeyError", "logged by asyncio", {})]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_background_task_that_fails_is_told_of(watcher: Watcher, backend: str) -> None:
    observers = watched(watcher)

    async def main() -> None:
        ended = anyio.Event()

        async def run() -> None:
            ended.set()
            raise ZeroDivisionError

        spawn(run, "the one")
        await ended.wait()
        while not watcher.crashes:
            await anyio.lowlevel.checkpoint()

    anyio.run(main, backend=backend)
    # Exceptions of several tasks may come as a group.
    ((kind, told, tags),) = watcher.crashes
    assert (told, tags) == ("a background task failed", {"task": "the one"})
    assert kind in ("ZeroDivisionError", "ExceptionGroup")
    anyio.run(observers.aclose)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_driver_that_crashes_is_told_of_and_still_ends_the_process(watcher: Watcher, backend: str) -> None:
    engine = Engine(Settings(llm="offline"), patterns=[PATTERN])
    engine.observers.add(watcher)

    async def driver(engine: Engine, host: str, port: int, stopping: Stopping, sockets: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(_run, engine, driver, None, backend=backend)
    assert caught.group_contains(ZeroDivisionError)
    assert [(kind, told) for kind, told, _ in watcher.crashes] == [("ZeroDivisionError", "the driver crashed")]
    assert watcher.closed == 1


def test_nothing_unknown_leaves_the_process() -> None:
    frame = {
        "function": "f",
        "lineno": 3,
        "vars": {"key": "secret"},
        "context_line": "x = 'secret'",
        "post_context": [],
    }
    event = {
        "event_id": "1",
        "request": {"data": "secret"},
        "user": {"ip_address": "secret"},
        "extra": {"secret": 1},
        "breadcrumbs": {"values": ["secret"]},
        "modules": {"secret": "1"},
        "tags": {"route": "/livez", "secret": "secret"},
        "contexts": {"trace": {"trace_id": "1", "data": {"secret": 1}}, "state": {"secret": 1}},
        "exception": {
            "values": [
                {"type": "E", "value": "secret", "mechanism": {"data": "secret"}, "stacktrace": {"frames": [frame]}},
                {"type": "F", "value": "secret", "stacktrace": None},
            ]
        },
    }
    assert scrubbed(event, {}) == {
        "event_id": "1",
        "tags": {"route": "/livez"},
        "contexts": {"trace": {"trace_id": "1"}},
        "exception": {
            "values": [
                {"type": "E", "stacktrace": {"frames": [{"function": "f", "lineno": 3}]}},
                {"type": "F", "stacktrace": None},
            ]
        },
    }
