"""Parts of somebody's own that fail, wait or answer what they should not: the same comes of it on every driver."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import structlog

from vstack_proto.commands import TakeQuota
from vstack_proto.quota import Decision, Window
from vstack_proto.values import Alias, CacheEntry, Usage
from vstack_runtime import Settings, build_app, judging
from vstack_runtime.backends import MemoryLimiter, ProviderError
from vstack_runtime.conformance import Driver, Kit, Scenario, bundled, check
from vstack_runtime.conformance.kit import analysis
from vstack_runtime.conformance.parts import PATTERN
from vstack_runtime.engine import Engine
from vstack_runtime.performer import Performer

DRIVERS = bundled()
FINE = Decision(admitted=True, limit=5, remaining=4, retry_after=0, reset=60.0, window=60.0)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def named(parts: Any) -> str:
    """A driver or a part, as the name of a test has it."""
    return getattr(parts, "name", None) or type(parts).__name__


class Answers:
    """A provider that answers whatever it was made with, or raises it."""

    name, default_model = "own", "own-1"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def ask(self, request: Any, within: float) -> Any:
        if callable(self.answer):
            self.answer()
        return self.answer


def unheard_of() -> None:
    raise ProviderError("timeout", "no such kind")  # type: ignore[arg-type]


@pytest.mark.parametrize("driver", DRIVERS, ids=named)
@pytest.mark.parametrize(
    "answer",
    ["a text alone", SimpleNamespace(text="{}", usage={"input_tokens": 5}), unheard_of],
    ids=["text", "usage", "kind"],
)
def test_what_a_provider_should_not_answer_is_a_failure_of_its_client(
    driver: Driver, answer: Any, logged: list[Any]
) -> None:
    def run(kit: Kit) -> None:
        kit.start(provider=Answers(answer))
        told = kit.connect(analysis(model=None)).answer()
        assert (told.status, told.error) == (502, "analyzer_error")
        assert b"the provider's client failed" in told.body

    check(driver, Scenario("a provider of one's own", run))
    assert [entry["event"] for entry in logged if entry["log_level"] == "error"] == ["provider failed"]


class Limits:
    """A limiter that decides what it was made with."""

    def __init__(self, decision: Any) -> None:
        self.decision = decision

    async def take(self, key: str) -> Any:
        return self.decision


class LimitsNow(Limits):
    """The same at once."""

    take = None  # type: ignore[assignment]

    def take_now(self, key: str, now: float) -> Any:
        return self.decision


class Raises:
    """A limiter and a cache that answer at once, with an exception."""

    def fail(self, *told: object) -> Any:
        raise RuntimeError("it is broken")

    take_now = get_now = find_now = put_now = learn_now = fail


class Waits:
    """A limiter and a cache whose answers never come."""

    async def wait(self, *told: object) -> Any:
        await anyio.sleep_forever()

    take = get = put = wait


WRONG = Decision(admitted=True, limit="5", remaining=4, retry_after=0.0, reset=60.0)  # type: ignore[arg-type]
NEVER = Decision(admitted=False, limit=5, remaining=0, retry_after=float("inf"), reset=60.0)


def served_all_the_same(driver: Driver, role: str, part: Any) -> None:
    """An analysis is answered as if the part were not there, and the metrics say that it is away."""

    def run(kit: Kit) -> None:
        kit.start(**{role: part})
        peer = kit.connect()
        for _ in range(2):
            told = peer.send(analysis()).answer()
            assert told.status == 200
            assert b"x-ratelimit" not in told.head.lower()
        assert kit.engine.metrics.registry.get_sample_value("vstack_backend_up", {"backend": BACKENDS[role]}) == 0

    check(driver, Scenario("a part of one's own", run))


BACKENDS = {"limiter": "quota", "cache": "cache"}


@pytest.mark.parametrize("driver", DRIVERS, ids=named)
@pytest.mark.parametrize("decision", [WRONG, True], ids=["type", "bool"])
@pytest.mark.parametrize("kind", [Limits, LimitsNow])
def test_what_a_limiter_should_not_answer_counts_as_its_failure(driver: Driver, kind: Any, decision: Any) -> None:
    served_all_the_same(driver, "limiter", kind(decision))


class Keeps:
    """A cache that holds, under every key, what it was made with, and keeps nothing else."""

    def __init__(self, entry: Any) -> None:
        self.entry = entry

    async def get(self, key: str) -> Any:
        return self.entry

    async def put(self, key: str, entry: CacheEntry) -> None:
        raise OSError("it is full")


class KeepsNow(Keeps):
    """The same at once."""

    get = None  # type: ignore[assignment]

    def get_now(self, key: str, now: float) -> Any:
        return self.entry

    def find_now(self, alias: str, now: float) -> Any:
        return self.entry

    def put_now(self, key: str, entry: CacheEntry, now: float) -> None:
        pass

    def learn_now(self, alias: str, meaning: Alias) -> None:
        pass


@pytest.mark.parametrize("driver", DRIVERS, ids=named)
@pytest.mark.parametrize(
    "entry",
    [b"{}", CacheEntry("{}", 1.0)],  # type: ignore[arg-type]
    ids=["bytes", "text"],
)
@pytest.mark.parametrize("kind", [Keeps, KeepsNow])
def test_what_a_cache_should_not_hold_counts_as_a_miss(driver: Driver, kind: Any, entry: Any) -> None:
    served_all_the_same(driver, "cache", kind(entry))


@pytest.mark.parametrize("driver", DRIVERS, ids=named)
@pytest.mark.parametrize("role", BACKENDS)
def test_what_raises_at_once_is_got_along_without(driver: Driver, role: str) -> None:
    served_all_the_same(driver, role, Raises())


@pytest.mark.parametrize("driver", DRIVERS, ids=named)
@pytest.mark.parametrize("role", BACKENDS)
def test_what_does_not_answer_is_not_waited_for_until_the_deadline(
    driver: Driver, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vstack_runtime.performer.STORE_SECONDS", 0.02)
    served_all_the_same(driver, role, Waits())


def test_a_store_that_answers_at_once_is_up_again_when_it_does() -> None:
    limiter = LimitsNow(None)
    performer = Performer(Engine(Settings(llm="offline"), limiter=limiter, patterns=[PATTERN], env={}), lambda: 0.0)

    def up() -> float | None:
        return performer.engine.metrics.registry.get_sample_value("vstack_backend_up", {"backend": "quota"})

    answers: list[Any] = [performer.perform_now(TakeQuota(1, "requests", "k"), Told(), 0.0)]
    assert up() == 0
    limiter.decision = FINE
    answers.append(performer.perform_now(TakeQuota(2, "requests", "k"), Told(), 0.0))
    assert up() == 1
    assert [(answer.verdict, answer.limit) for answer in answers] == [("admitted", -1), ("admitted", 5)]


class Told:
    """A party that nothing is told."""

    def tell(self, event: Any) -> None:
        raise AssertionError(event)


# What happens while a limiter is away.


def test_without_a_quota_in_the_settings_whoever_comes_is_admitted_while_a_limiter_is_away() -> None:
    app = build_app(Settings(llm="offline"), limiter=Limits(None))
    fallback = app.engine.fallback_limiter
    assert {fallback.take_now("key:a", 0.0).admitted for _ in range(1_000)} == {True}


def test_a_quota_in_the_settings_holds_while_a_limiter_is_away() -> None:
    app = build_app(Settings(llm="offline", rate_limit=(Window(2, 60.0),)), limiter=Limits(None))
    fallback = app.engine.fallback_limiter
    assert [fallback.take_now("key:a", 0.0).admitted for _ in range(3)] == [True, True, False]


# What is as it should be.


def test_what_fits_is_taken_as_it_is() -> None:
    alias, entry = Alias("key", "quick", "offline"), CacheEntry(b"{}", 5)
    assert judging.decision(FINE) is FINE
    own = MemoryLimiter((Window(1, 60.0),)).take_now("key:a", 0.0)
    assert judging.decision(own) is own
    assert judging.entry(entry) is entry
    assert judging.entry(None) is None
    assert judging.finding(None) is None
    assert judging.finding((alias, entry)) == (alias, entry)
    used = Usage(input_tokens=5, cost_usd=1)
    assert judging.reply(SimpleNamespace(text="{}", usage=used)) == ("{}", used, "")
    assert judging.reply(SimpleNamespace(text="{}", usage=used, model="other")) == ("{}", used, "other")


@pytest.mark.parametrize(
    ("judge", "found"),
    [
        *((judging.finding, found) for found in ((1, 2), (Alias("k", "quick", "m"), None), CacheEntry(b"{}", 1.0), ())),
        *((judging.entry, found) for found in ({"detection": b"{}"}, CacheEntry(b"{}", None))),  # type: ignore[arg-type]
        *((judging.decision, found) for found in (None, NEVER, WRONG)),
        (judging.reply, SimpleNamespace(text=b"{}", usage=Usage())),
        (judging.reply, SimpleNamespace(text="{}", usage=Usage(), model=5)),
    ],
)
def test_what_does_not_fit_is_refused(judge: Any, found: Any) -> None:
    with pytest.raises(TypeError):
        judge(found)


def test_tokens_are_numbers() -> None:
    with pytest.raises(ValueError, match="Expected `int`, got `str`"):
        judging.reply(SimpleNamespace(text="{}", usage=Usage(input_tokens="5")))  # type: ignore[arg-type]
