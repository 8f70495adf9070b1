"""How the performer asks the stores: what is remembered for a moment, what is late, what is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import pytest
import structlog

from vstack_proto.commands import (
    AggregateOutcomes,
    Asking,
    LookUpCache,
    ReadAnalytics,
    ReadBaseline,
    RecallLearnings,
    RecordLearning,
    RecordTelemetry,
    ReportOutcome,
    StoreCache,
)
from vstack_proto.events import (
    AnalyticsRead,
    Answered,
    BaselineRead,
    CacheAnswered,
    LearningRecorded,
    LearningsRecalled,
    OutcomeReported,
    OutcomesAggregated,
    StoreFailed,
)
from vstack_proto.learning import Finding, LearningQuery, OutcomeCount, OutcomeReport, kept
from vstack_proto.telemetry import AnalyticsQuery, TelemetryEvent
from vstack_proto.values import Alias, CacheEntry
from vstack_runtime import keeping
from vstack_runtime.backends import MemoryCache
from vstack_runtime.conformance.stores import BACKENDS, Backend
from vstack_runtime.engine import Engine
from vstack_runtime.home import MemoryBaselines, MemoryLearnings, MemoryTelemetry
from vstack_runtime.performer import LATER, Performer
from vstack_runtime.settings import Settings

QUERY = LearningQuery(pattern="aar")
RECORD = kept(Finding(pattern="aar", interventions_applied=("ask",)), "lrn_1", 1_750_000_000.0)
SOON = AggregateOutcomes(1, "alice", QUERY, soon=True)


class Clock:
    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


class Counting(MemoryLearnings):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.wait: Callable[[], Awaitable[object]] | None = None

    async def outcomes(self, scope: str, query: LearningQuery) -> tuple[OutcomeCount, ...]:
        self.asked += 1
        found = await super().outcomes(scope, query)
        if self.wait is not None:
            await self.wait()
        return found


class Nobody:
    def tell(self, event: Any) -> None: ...


def performer(**stores: Any) -> tuple[Performer, Clock]:
    clock = Clock()
    return Performer(Engine(Settings(llm="offline"), **stores), clock), clock


async def ask(one: Performer, command: Asking) -> Answered:
    """The answer, at once or later."""
    now = one.perform_now(command, Nobody(), one.clock())
    answer = await one.perform(command) if now is LATER else now
    assert isinstance(answer, Answered)
    return answer


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_command_has_its_answer(backend: Backend) -> None:
    baselines = MemoryBaselines()
    one, _ = performer(learnings=MemoryLearnings(), telemetry=MemoryTelemetry(), baselines=baselines)

    async def play() -> list[Answered]:
        await baselines.put_baseline("alice", "aar", "march", b"{}")
        await baselines.put_baseline("alice", "aar", "april", b"{}")
        assert await baselines.baselines("alice") == [("aar", "april"), ("aar", "march")]
        one.perform_now(RecordTelemetry(TelemetryEvent(pattern="aar", scope="alice")), Nobody(), 0.0)
        return [
            await ask(one, RecordLearning(1, "alice", RECORD)),
            await ask(one, RecallLearnings(2, "alice", QUERY)),
            await ask(one, ReportOutcome(3, "alice", "lrn_1", OutcomeReport(outcome="improved"))),
            await ask(one, AggregateOutcomes(4, "alice", QUERY)),
            await ask(one, AggregateOutcomes(5, "bob", QUERY)),
            await ask(one, ReadAnalytics(6, AnalyticsQuery(scope="alice"))),
            await ask(one, ReadBaseline(7, "alice", "aar", "march")),
            await ask(one, ReadBaseline(8, "bob", "aar", "march")),
        ]

    told: list[Any] = anyio.run(play, backend=backend)
    assert [answer.ticket for answer in told] == list(range(1, 9))
    assert [type(answer) for answer in told] == [
        *(LearningRecorded, LearningsRecalled, OutcomeReported, OutcomesAggregated, OutcomesAggregated),
        *(AnalyticsRead, BaselineRead, BaselineRead),
    ]
    assert told[1].records == (RECORD,)
    assert told[2].record.follow_up_outcome == "improved"
    assert [count.improved for count in told[3].counts] == [1]
    assert told[4].counts == ()
    assert told[5].rows[0].calls == 1
    assert (told[6].detection, told[7].detection) == (b"{}", None)


def test_what_was_counted_a_moment_ago_will_do() -> None:
    store = Counting()
    one, clock = performer(learnings=store)

    async def play() -> None:
        for _ in range(3):
            await ask(one, SOON)
        assert store.asked == 1
        await ask(one, AggregateOutcomes(1, "alice", QUERY))
        assert store.asked == 2, "a count that was asked for by itself is never an old one"
        clock.now += keeping.REMEMBERED_SECONDS
        await ask(one, SOON)
        assert store.asked == 3

    anyio.run(play)


def test_what_this_process_records_is_never_overlooked() -> None:
    store = Counting()
    one, _ = performer(learnings=store)

    async def counts() -> Sequence[OutcomeCount]:
        answer = await ask(one, SOON)
        assert isinstance(answer, OutcomesAggregated)
        return answer.counts

    async def play() -> None:
        assert await counts() == ()
        await ask(one, RecordLearning(1, "alice", RECORD))
        assert [count.runs for count in await counts()] == [1]
        await ask(one, ReportOutcome(1, "alice", "lrn_1", OutcomeReport(outcome="worse")))
        assert [count.worse for count in await counts()] == [1]

    anyio.run(play)


def test_what_was_read_before_a_write_is_not_remembered_after_it() -> None:
    store = Counting()
    one, _ = performer(learnings=store)

    async def play() -> None:
        async def write() -> None:
            store.wait = None
            await ask(one, RecordLearning(1, "alice", RECORD))

        store.wait = write
        await ask(one, SOON)
        answer = await ask(one, SOON)
        assert isinstance(answer, OutcomesAggregated)
        assert [count.runs for count in answer.counts] == [1]

    anyio.run(play)


def test_a_cached_detection_brings_along_what_is_remembered_of_its_agent() -> None:
    one, clock = performer(learnings=MemoryLearnings(), cache=MemoryCache())
    query = LearningQuery(pattern="aar", agent_id="bob")
    meaning = Alias("k", "quick", "offline", agent="bob")

    def helped(scope: str = "alice", pattern: str = "aar") -> Any:
        found = one.perform_now(LookUpCache(1, None, "bytes", None, scope, pattern), Nobody(), clock.now)
        assert isinstance(found, CacheAnswered)
        return found.helped

    async def play() -> None:
        one.perform_now(StoreCache("k", CacheEntry(b"{}", 1.0), "bytes", meaning), Nobody(), clock.now)
        record = kept(Finding(pattern="aar", agent_id="bob", interventions_applied=("ask",)), "lrn_2", 1.0)
        await ask(one, RecordLearning(1, "alice", record))
        assert helped() is None
        await ask(one, AggregateOutcomes(1, "alice", query, soon=True))
        assert [count.runs for count in helped()] == [1]
        assert (helped("bob"), helped(pattern="")) == (None, None)
        clock.now += keeping.REMEMBERED_SECONDS
        assert helped() is None

    anyio.run(play)


def test_the_memory_of_counts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_REMEMBERED", 3)
    store = Counting()
    one, _ = performer(learnings=store)

    async def play() -> None:
        for name in "abcd":
            await ask(one, AggregateOutcomes(1, "", LearningQuery(agent_id=name), soon=True))
        for name in "bcda":
            await ask(one, AggregateOutcomes(1, "", LearningQuery(agent_id=name), soon=True))
        assert store.asked == 5

    anyio.run(play)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_detection_does_not_wait_for_a_slow_store(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "HELP_SECONDS", 0.01)
    store = Counting()
    store.wait = anyio.sleep_forever
    one, _ = performer(learnings=store)
    with structlog.testing.capture_logs() as lines:
        assert isinstance(anyio.run(ask, one, SOON, backend=backend), StoreFailed)
    assert [line["event"] for line in lines] == ["learnings failed"]


BASELINES = ("get_baseline", "put_baseline", "baselines")


class Away:
    """A store that answers nothing."""

    def __getattr__(self, name: str) -> Any:
        if name not in ("record", "recall", "report", "outcomes", "clear", "aclose", *BASELINES):
            raise AttributeError(name)

        async def fails(*given: Any) -> None:
            raise OSError("the disk is gone")

        return fails


class Raises(MemoryTelemetry):
    def record(self, event: TelemetryEvent) -> None:
        raise ValueError("a bug")


def test_a_store_that_is_away_is_an_answer_and_a_line_a_minute() -> None:
    away: Any = Away()
    one, clock = performer(learnings=away, baselines=away, telemetry=Raises())

    async def play() -> None:
        for command in (
            RecordLearning(1, "", RECORD),
            RecallLearnings(1, "", QUERY),
            ReportOutcome(1, "", "lrn_1", OutcomeReport(outcome="worse")),
            AggregateOutcomes(1, "", QUERY),
            ReadBaseline(1, "", "aar", "march"),
        ):
            assert isinstance(await ask(one, command), StoreFailed), command
        for _ in range(3):
            assert one.perform_now(RecordTelemetry(TelemetryEvent()), Nobody(), clock.now) is None
        clock.now += 61.0
        assert isinstance(await ask(one, SOON), StoreFailed)

    with structlog.testing.capture_logs() as lines:
        anyio.run(play)
    told = [line["event"] for line in lines]
    assert told == ["learnings failed", "baselines failed", "telemetry failed", "learnings failed"]
    page = one.engine.metrics.render("text/plain")[1].decode()
    for backend in ("learnings", "telemetry", "baselines"):
        assert f'vstack_backend_up{{backend="{backend}"}} 0.0' in page


def test_telemetry_that_is_off_is_no_fault() -> None:
    one, _ = performer()
    assert one.perform_now(RecordTelemetry(TelemetryEvent()), Nobody(), 0.0) is None
