"""Parts of somebody's own: what does not fit is refused, and what fails is not printed into the host's output."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import unittest.mock
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from vstack_proto.quota import Decision
from vstack_runtime import Settings, build_app
from vstack_runtime.backends import MemoryCache, MemoryLimiter
from vstack_runtime.home.memory import MemoryLearnings, MemoryTelemetry
from vstack_runtime.scripted import ScriptedProvider


class Earlier:
    """A cache of the earlier implementation."""

    def get(self, key: str) -> None:
        """Nothing is ever there."""

    def set(self, key: str, entry: object) -> None:
        """And nothing is kept."""


@pytest.mark.parametrize(
    ("name", "part", "told"),
    [
        ("cache", Earlier(), "cache is a Earlier without put: it must be a vstack_runtime.backends.CacheBackend"),
        ("limiter", object(), "limiter is a object without take: it must be"),
        ("flights", object(), "without join, hold, follow, land"),
        ("provider", object(), "without ask, name, default_model"),
        ("learnings", MemoryCache(), "without record, recall, report, outcomes, clear, aclose"),
        ("telemetry", object(), "without record, flush, aclose"),
    ],
)
def test_what_lacks_a_method_is_refused_as_the_app_is_built(name: str, part: Any, told: str) -> None:
    with pytest.raises(TypeError, match=re.escape(told)):
        build_app(Settings(llm="offline"), **{name: part})


class Base:
    """What a test's limiter is made of."""

    async def take(self, key: str) -> Any:
        raise NotImplementedError


class Sync(Base):
    def take(self, key):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - as those write who write no types
        return None


class SyncSaid(Base):
    def take(self, key: str) -> Decision:  # type: ignore[override]
        raise NotImplementedError


class More(Base):
    async def take(self, key: str, now: float) -> Any:  # type: ignore[override]
        raise NotImplementedError


class Fewer(Base):
    async def take(self) -> Any:  # type: ignore[override]
        raise NotImplementedError


class Value(Base):
    take = None  # type: ignore[assignment]


class LocalFewer:
    def take_now(self, key: str) -> Any:
        raise NotImplementedError


class AsyncSink(MemoryTelemetry):
    async def record(self, event: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


@pytest.mark.parametrize(
    ("name", "part", "told"),
    [
        ("limiter", Sync(), "limiter is a Sync, whose take must be an async def: it must be a vstack_runtime.backends"),
        ("limiter", SyncSaid(), "limiter is a SyncSaid, whose take must be an async def"),
        ("limiter", More(), "whose take must take (key), and takes (key: 'str', now: 'float') -> 'Any'"),
        ("limiter", Fewer(), "whose take must take (key), and takes () -> 'Any'"),
        ("limiter", Value(), "whose take cannot be called"),
        ("limiter", LocalFewer(), "whose take_now must take (key, now), and takes (key: 'str')"),
        ("telemetry", AsyncSink(), "whose record must be a plain def, which nobody awaits"),
        ("cache", MemoryCache, "cache is the class MemoryCache: it must be an object"),
        ("provider", ScriptedProvider, "provider is the class ScriptedProvider: it must be an object"),
        ("tapes", "tapes", "tapes is a str: it must be a vstack_runtime.TapeRecorder"),
        ("patterns", ["aar"], "patterns has a str: each must be a vstack_proto.patterns.common.Pattern"),
    ],
)
def test_what_has_other_methods_is_refused_as_the_app_is_built(name: str, part: Any, told: str) -> None:
    with pytest.raises(TypeError, match=re.escape(told)):
        build_app(Settings(llm="offline"), **{name: part})


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator as everybody writes it."""

    @functools.wraps(function)
    def inner(*given: Any, **named: Any) -> Any:
        return function(*given, **named)

    return inner


class Wrapped(Base):
    take = logged(Base.take)


class Delegating(Base):
    def take(self, key: str) -> Awaitable[Any]:  # type: ignore[override]
        return Base().take(key)


class Partial(Base):
    def __init__(self) -> None:
        self.take = functools.partial(Base().take)  # type: ignore[method-assign]


class Roomy(Base):
    async def take(self, *given: Any, **named: Any) -> Any:
        raise NotImplementedError


class Marked(Base):
    def take(self, key):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - likewise
        return Base().take(key)

    # As libraries do that must be known to asyncio.
    take._is_coroutine = object()  # type: ignore[attr-defined]


class Called(Base):
    class Callable:
        async def __call__(self, key: str) -> Any:
            raise NotImplementedError

    take = Callable()


class Replaced(Base):
    def __init__(self) -> None:
        self.take = lambda key: Base().take(key)  # type: ignore[method-assign]


PLAUSIBLE = [
    Base(),
    Replaced(),
    Wrapped(),
    Delegating(),
    Partial(),
    Roomy(),
    Called(),
    unittest.mock.AsyncMock(spec=Base),
]


@pytest.mark.parametrize("part", [*PLAUSIBLE, unittest.mock.Mock(), Marked()], ids=lambda part: type(part).__name__)
def test_what_may_well_be_awaited_is_taken(part: Any) -> None:
    assert build_app(Settings(llm="offline"), limiter=part).engine.limiter is part


def test_what_fits_is_taken() -> None:
    parts = {
        "cache": MemoryCache(),
        "limiter": MemoryLimiter(()),
        "provider": ScriptedProvider([]),
        "learnings": MemoryLearnings(),
        "telemetry": MemoryTelemetry(),
    }
    engine = build_app(Settings(), **parts).engine  # type: ignore[arg-type]  # one mapping for all of them
    assert {name: getattr(engine, name) for name in parts} == parts


HOST = """
import anyio, structlog
from vstack_runtime.backends import MemoryCache
from vstack_runtime.conformance.parts import PATTERN
from vstack_runtime import Settings
from vstack_runtime.engine import Engine
from vstack_runtime.performer import Performer
from vstack_proto.commands import LookUpCache

class Broken:
    async def get(self, key): raise RuntimeError("the cache is broken")
    async def put(self, key, entry): pass

async def main():
    engine = Engine(Settings(llm="offline"), cache=Broken(), patterns=[PATTERN], env={})
    print(await Performer(engine, anyio.current_time)._entry_elsewhere("key"))

if CONFIGURED: structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
anyio.run(main)
"""


@pytest.mark.parametrize("configured", [False, True])
def test_a_host_that_has_configured_no_logging_is_told_nothing(*, configured: bool) -> None:
    program = HOST.replace("CONFIGURED", str(configured))
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert told.stderr == ""
    assert ("cache store failed" in told.stdout) is configured
    assert told.stdout.endswith("None\n")
