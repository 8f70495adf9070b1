"""Commands carried out: at once where the answer is at hand, awaited where it is not, and never with an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import anyio
import msgspec
import pytest
import structlog

from vstack_proto.auth import KeyTable, digest
from vstack_proto.commands import (
    CallModel,
    CheckKey,
    CheckReadiness,
    Command,
    JoinFlight,
    LandFlight,
    LeaveFlight,
    LookUpCache,
    Record,
    RenderMetrics,
    StoreCache,
    TakeQuota,
)
from vstack_proto.events import (
    Answered,
    CacheAnswered,
    ExchangeEvent,
    FlightHandedOver,
    FlightJoined,
    FlightLanded,
    KeyChecked,
    MetricsRendered,
    ModelAnswered,
    ModelFailed,
    PassBegun,
    QuotaAnswered,
    ReadinessAnswered,
)
from vstack_proto.limits import Limits
from vstack_proto.quota import Decision, Window
from vstack_proto.values import Alias, CacheEntry, Failure, Landing, ModelRequest, Usage
from vstack_runtime.backends import ProviderError
from vstack_runtime.conformance.parts import PATTERN, Gate, GatedProvider
from vstack_runtime.engine import Engine
from vstack_runtime.performer import LATER, Performer
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import Settings

NOW = 10_000.0
KEY = "a-key-that-is-long-enough"
ENTRY = CacheEntry(b'{"severity":"none"}', 1_700_000_000.0)
MEANING = Alias("key-1", "quick", "offline")
QUESTION = ModelRequest(model="m", system="s", shared="t", instruction="i", name="n", schema=b"{}")


class Told:
    """A party that remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[ExchangeEvent] = []

    def tell(self, event: ExchangeEvent) -> None:
        self.events.append(event)


def performer(*, limits: Limits = Limits(), settings: Settings = Settings(), **parts: Any) -> Performer:  # noqa: B008
    chosen = Settings(
        limits=limits,
        keys=KeyTable.of([("alice", KEY)]),
        auth_failures=(Window(1, 60.0),),
        rate_limit=settings.rate_limit,
        store_failure=settings.store_failure,
        cache=settings.cache,
    )
    return Performer(Engine(chosen, patterns=[PATTERN], env={}, **parts), lambda: NOW)


def now(one: Performer, command: Command, party: Told | None = None) -> object:
    return one.perform_now(command, party or Told(), NOW)


@pytest.fixture(params=["asyncio", "trio"])
def later(request: pytest.FixtureRequest) -> Callable[[Performer, Command], Answered | None]:
    """Await a command, on each loop."""

    def perform(one: Performer, command: Command) -> Answered | None:
        async def bounded() -> Answered | None:
            with anyio.fail_after(10):
                return await one.perform(command)

        return anyio.run(bounded, backend=request.param)

    return perform


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def stands(one: Performer, metric: str, **labels: str) -> float | None:
    return one.engine.metrics.registry.get_sample_value(metric, labels)


# Keys and quota.


@pytest.mark.parametrize(
    ("credential", "name"), [(digest(KEY), "alice"), (digest(KEY + "x"), None), (None, None), ("malformed", None)]
)
def test_a_key_is_known_by_its_digest(credential: str | None, name: str | None) -> None:
    assert now(performer(), CheckKey(1, credential)) == KeyChecked(at=NOW, ticket=1, name=name, loaded=1)


def test_a_local_quota_is_answered_at_once() -> None:
    one = performer(settings=Settings(rate_limit=(Window(1, 60.0),)))
    admitted = now(one, TakeQuota(1, "requests", "key:a"))
    refused = now(one, TakeQuota(2, "requests", "key:a"))
    other = now(one, TakeQuota(3, "requests", "key:b"))
    told: dict[str, Any] = {"at": NOW, "limit": 1, "remaining": 0, "window": 60.0, "reset": 60.0}
    assert admitted == QuotaAnswered(ticket=1, verdict="admitted", **told)
    assert refused == QuotaAnswered(ticket=2, verdict="refused", retry_after=60.0, **told)
    assert isinstance(other, QuotaAnswered)
    assert other.verdict == "admitted"
    assert stands(one, "vstack_quota_decisions_total", rule="requests", verdict="admitted") == 2
    assert stands(one, "vstack_quota_decisions_total", rule="requests", verdict="refused") == 1


def test_wrong_keys_have_a_quota_of_their_own_whatever_the_limiter() -> None:
    one = performer(limiter=RemoteLimiter())
    verdicts = [now(one, TakeQuota(n, "auth_failures", "addr:192.0.2.1")) for n in (1, 2)]
    assert [verdict.verdict for verdict in verdicts if isinstance(verdict, QuotaAnswered)] == ["admitted", "refused"]


class RemoteLimiter:
    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    async def take(self, key: str) -> Decision:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        return Decision(admitted=False, limit=7, remaining=0, retry_after=3.0, reset=9.0, window=60.0)


Later = Callable[[Performer, Command], Answered | None]


def test_a_quota_elsewhere_is_awaited(later: Later) -> None:
    one = performer(limiter=RemoteLimiter())
    command = TakeQuota(4, "requests", "key:a")
    assert now(one, command) is LATER
    told: dict[str, Any] = {"limit": 7, "remaining": 0, "retry_after": 3.0, "reset": 9.0, "window": 60.0}
    assert later(one, command) == QuotaAnswered(at=NOW, ticket=4, verdict="refused", **told)
    assert stands(one, "vstack_backend_up", backend="quota") == 1


@pytest.mark.parametrize(("choice", "verdicts"), [("open", ["admitted", "refused"]), ("closed", ["unavailable"] * 2)])
def test_a_quota_store_that_is_away(
    later: Later, logged: list[Any], choice: Literal["open", "closed"], verdicts: list[str]
) -> None:
    settings = Settings(store_failure=choice, rate_limit=(Window(1, 60.0),))
    one = performer(settings=settings, limiter=RemoteLimiter(OSError("redis://:secret@host is away")))
    answers = [later(one, TakeQuota(n, "requests", "key:a")) for n in (1, 2)]
    assert [answer.verdict for answer in answers if isinstance(answer, QuotaAnswered)] == verdicts
    assert stands(one, "vstack_backend_up", backend="quota") == 0
    assert [entry["event"] for entry in logged] == ["quota store failed"]


# Cache.


def test_a_local_cache_is_answered_at_once() -> None:
    one = performer(settings=Settings(cache="memory"))
    by_alias, by_key = LookUpCache(1, None, "alias-1"), LookUpCache(2, "key-1", "alias-2", MEANING)
    assert now(one, by_alias) == CacheAnswered(at=NOW, ticket=1)
    assert now(one, by_key) == CacheAnswered(at=NOW, ticket=2, alias=MEANING)
    assert now(one, StoreCache("key-1", ENTRY, "alias-1", MEANING)) is None
    assert now(one, by_alias) == CacheAnswered(at=NOW, ticket=1, entry=ENTRY, alias=MEANING)
    # A hit by key is remembered under the alias that came with it.
    assert now(one, LookUpCache(3, None, "alias-2")) == CacheAnswered(at=NOW, ticket=3)
    assert now(one, by_key) == CacheAnswered(at=NOW, ticket=2, entry=ENTRY, alias=MEANING)
    assert now(one, LookUpCache(4, None, "alias-2")) == CacheAnswered(at=NOW, ticket=4, entry=ENTRY, alias=MEANING)


class RemoteCache:
    def __init__(self, fault: Exception | None = None) -> None:
        self.kept: dict[str, CacheEntry] = {}
        self.fault = fault

    async def get(self, key: str) -> CacheEntry | None:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        return self.kept.get(key)

    async def put(self, key: str, entry: CacheEntry) -> None:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        self.kept[key] = entry


def test_a_cache_elsewhere_is_awaited_and_its_aliases_are_kept_here(later: Later) -> None:
    one = performer(cache=RemoteCache())
    # An alias that nobody has learned needs no question.
    assert now(one, LookUpCache(1, None, "alias-1")) == CacheAnswered(at=NOW, ticket=1)
    by_key, store = LookUpCache(2, "key-1", "alias-2", MEANING), StoreCache("key-1", ENTRY, "alias-1", MEANING)
    assert now(one, by_key) is LATER
    assert later(one, by_key) == CacheAnswered(at=NOW, ticket=2, alias=MEANING)
    assert now(one, store) is LATER
    assert later(one, store) is None
    assert now(one, LookUpCache(3, None, "alias-1")) is LATER
    hit = CacheAnswered(at=NOW, ticket=3, entry=ENTRY, alias=MEANING)
    assert later(one, LookUpCache(3, None, "alias-1")) == hit
    later(one, by_key)
    assert later(one, LookUpCache(3, None, "alias-2")) == hit
    assert stands(one, "vstack_backend_up", backend="cache") == 1


def test_a_cache_that_is_away_is_one_that_holds_nothing(later: Later, logged: list[Any]) -> None:
    one = performer(cache=RemoteCache(OSError("away")))
    missed = CacheAnswered(at=NOW, ticket=2, alias=MEANING)
    assert later(one, LookUpCache(2, "key-1", "alias-1", MEANING)) == missed
    assert later(one, StoreCache("key-1", ENTRY, "alias-1", MEANING)) is None
    assert now(one, LookUpCache(3, None, "alias-1")) == CacheAnswered(at=NOW, ticket=3)
    assert stands(one, "vstack_backend_up", backend="cache") == 0
    assert [entry["event"] for entry in logged] == ["cache store failed"]


def test_without_a_cache_nothing_is_found_or_kept(later: Later) -> None:
    one = performer()
    assert later(one, LookUpCache(2, "key-1", None, MEANING)) == CacheAnswered(at=NOW, ticket=2)
    assert later(one, StoreCache("key-1", ENTRY, "alias-1", MEANING)) is None


def test_aliases_of_a_cache_elsewhere_are_bounded(later: Later, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vstack_runtime.performer._MAX_ALIASES", 2)
    one = performer(cache=RemoteCache())
    for n in range(3):
        later(one, StoreCache(f"key-{n}", ENTRY, f"alias-{n}", MEANING))
    known = [now(one, LookUpCache(1, None, f"alias-{n}")) is LATER for n in range(3)]
    assert known == [False, True, True]


# Flights.


def test_a_flight_lands_for_all_who_follow() -> None:
    one, (leader, first, second) = performer(), (Told(), Told(), Told())
    roles = [now(one, JoinFlight(n, "key-1"), party) for n, party in ((3, leader), (5, first), (3, second))]
    assert roles == [
        FlightJoined(at=NOW, ticket=3, role="leads"),
        FlightJoined(at=NOW, ticket=5, role="follows"),
        FlightJoined(at=NOW, ticket=3, role="follows"),
    ]
    assert stands(one, "vstack_requests_in_flight") == 1
    landing = Landing(failure=Failure(502, "analyzer_error", "it failed"))
    assert now(one, LandFlight(3, "key-1", landing), leader) is None
    assert first.events == [FlightLanded(at=NOW, ticket=5, landing=landing)]
    assert second.events == [FlightLanded(at=NOW, ticket=3, landing=landing)]
    assert leader.events == []
    assert stands(one, "vstack_requests_in_flight") == 0


def test_a_leader_who_leaves_hands_over_to_who_has_waited_longest() -> None:
    one, (leader, first, second) = performer(), (Told(), Told(), Told())
    for party in (leader, first, second):
        now(one, JoinFlight(1, "key-1"), party)
    assert now(one, LeaveFlight(1, "key-1"), leader) is None
    assert first.events == [FlightHandedOver(at=NOW, ticket=1)]
    assert now(one, LeaveFlight(1, "key-1"), second) is None
    assert now(one, LeaveFlight(1, "key-1"), first) is None
    assert (leader.events, second.events, len(one.flying.flights)) == ([], [], 0)


def asks(name: str) -> CallModel:
    return CallModel(9, msgspec.structs.replace(QUESTION, name=name), NOW + 30.0)


def test_who_follows_hears_which_pass_begins_and_who_comes_later_which_one_runs() -> None:
    one = performer()
    leader, first, late, other = Told(), Told(), Told(), Told()
    assert now(one, JoinFlight(1, "key-1"), leader) == FlightJoined(at=NOW, ticket=1, role="leads")
    assert now(one, JoinFlight(5, "key-1"), first) == FlightJoined(at=NOW, ticket=5, role="follows")
    now(one, JoinFlight(1, "key-2"), other)
    assert now(one, asks("read"), leader) is LATER
    told = FlightJoined(at=NOW, ticket=2, role="follows", under_way="read")
    assert now(one, JoinFlight(2, "key-1"), late) == told
    now(one, asks("judge"), leader)
    now(one, asks("elsewhere"), other)
    now(one, asks("nowhere"), Told())
    judged = [PassBegun(at=NOW, ticket=ticket, name="judge") for ticket in (5, 2)]
    assert first.events == [PassBegun(at=NOW, ticket=5, name="read"), judged[0]]
    assert (late.events, leader.events, other.events) == ([judged[1]], [], [])


def test_an_heir_begins_anew_and_a_flight_that_is_over_is_forgotten() -> None:
    one = performer()
    leader, heir, third, fourth = Told(), Told(), Told(), Told()
    for party in (leader, heir, third):
        now(one, JoinFlight(1, "key-1"), party)
    now(one, asks("judge"), leader)
    now(one, LeaveFlight(1, "key-1"), leader)
    # Nothing runs until the heir asks.
    assert now(one, JoinFlight(1, "key-1"), fourth) == FlightJoined(at=NOW, ticket=1, role="follows")
    now(one, asks("read"), leader)  # it leads nothing any more
    now(one, asks("read"), heir)
    now(one, LeaveFlight(1, "key-1"), fourth)
    now(one, asks("judge"), heir)
    told = [one.name for one in third.events if isinstance(one, PassBegun)]
    assert told == ["judge", "read", "judge"]
    assert [type(event) for event in fourth.events] == [PassBegun]
    now(one, LandFlight(1, "key-1", Landing(entry=ENTRY)), heir)
    now(one, asks("late"), heir)
    assert third.events[-1] == FlightLanded(at=NOW, ticket=1, landing=Landing(entry=ENTRY))
    now(one, JoinFlight(1, "key-1"), third)
    assert now(one, JoinFlight(1, "key-1"), fourth) == FlightJoined(at=NOW, ticket=1, role="follows")


def test_one_flight_too_many_is_refused() -> None:
    one = performer(limits=Limits(max_in_flight=1))
    now(one, JoinFlight(1, "key-1"))
    assert now(one, JoinFlight(1, "key-2")) == FlightJoined(at=NOW, ticket=1, role="refused")
    assert now(one, JoinFlight(1, "key-1")) == FlightJoined(at=NOW, ticket=1, role="follows")


# Models.


def test_a_model_answers(later: Later) -> None:
    provider = ScriptedProvider(["first", "second"])
    one = performer(provider=provider)
    command = CallModel(9, QUESTION, NOW + 30.0)
    assert now(one, command) is LATER
    answered = [later(one, command) for _ in range(3)]
    assert [answer.text for answer in answered if isinstance(answer, ModelAnswered)] == ["first", "second", "second"]
    assert answered[0] == ModelAnswered(at=NOW, ticket=9, text="first", usage=Usage(input_tokens=100, output_tokens=20))
    assert provider.asked == [QUESTION] * 3


@pytest.mark.parametrize("kind", ["unavailable", "refused", "truncated", "rejected"])
def test_a_model_fails(later: Later, kind: Any) -> None:
    usage = Usage(input_tokens=5)
    one = performer(provider=ScriptedProvider([ProviderError(kind, "no luck", 2.5, usage)]))
    told: dict[str, Any] = {"message": "no luck", "retry_after": 2.5, "usage": usage}
    assert later(one, CallModel(9, QUESTION, NOW)) == ModelFailed(at=NOW, ticket=9, kind=kind, **told)
    # A provider that the metrics do not know by name is counted all the same.
    assert stands(one, "vstack_model_calls_total", provider="other", model="other", outcome=kind) == 1


def test_a_provider_with_a_bug_is_an_answer_that_tells_nothing_of_it(later: Later, logged: list[Any]) -> None:
    def bug(request: ModelRequest) -> str:
        raise KeyError("sk-secret")

    one = performer(provider=ScriptedProvider([bug]))
    failed = later(one, CallModel(9, QUESTION, NOW))
    assert failed == ModelFailed(at=NOW, ticket=9, kind="rejected", message="the provider's client failed")
    assert [entry["event"] for entry in logged] == ["provider failed"]


def test_without_a_provider_a_call_comes_to_nothing(later: Later) -> None:
    failed = later(performer(), CallModel(9, QUESTION, NOW))
    assert isinstance(failed, ModelFailed)
    assert failed.kind == "unresolved"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_call_ends_at_once(backend: str) -> None:
    provider = GatedProvider()
    one = performer(provider=provider)
    gate: Gate = provider.gate

    async def test() -> None:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one.perform, CallModel(9, QUESTION, NOW + 60))
                await anyio.wait_all_tasks_blocked()
                assert gate.came == 1
                tasks.cancel_scope.cancel()
        assert gate.cancelled == 1

    anyio.run(test, backend=backend)


# The service itself.


def test_readiness_is_the_engines_to_say() -> None:
    one = performer()
    told = now(one, CheckReadiness(2))
    assert isinstance(told, ReadinessAnswered)
    assert (told.status, told.ticket) == ("warming", 2)
    one.engine.status = "ready"
    told = now(one, CheckReadiness(3))
    assert isinstance(told, ReadinessAnswered)
    assert told.status == "ready"


@pytest.mark.parametrize(("accept", "kind"), [("", "text/plain"), ("application/openmetrics-text", "application/open")])
def test_metrics_are_rendered_as_asked(accept: str, kind: str) -> None:
    page = now(performer(), RenderMetrics(2, accept))
    assert isinstance(page, MetricsRendered)
    assert page.content_type.startswith(kind)
    assert b"vstack_build_info" in page.body


def test_a_finished_exchange_is_counted_and_timed() -> None:
    one = performer()
    told: dict[str, Any] = {"surface": "rest", "request_id": "r", "method": "POST", "path": "/v1/analyze/conformance"}
    record = Record(
        **told, route="/v1/analyze/{name}", status=200, outcome="ok", pattern="conformance", mode="quick",
        started=NOW - 2.0, caller="", cache="coalesced",
    )  # fmt: skip
    assert now(one, record) is None
    labels = {"surface": "rest", "pattern": "conformance", "mode": "quick"}
    assert stands(one, "vstack_requests_total", **labels, status="ok") == 1
    assert stands(one, "vstack_request_duration_seconds_sum", **labels) == 2.0
    assert stands(one, "vstack_cache_requests_total", result="coalesced") == 1
    assert stands(one, "vstack_http_responses_total", route="/v1/analyze/{name}", status="200") == 1
