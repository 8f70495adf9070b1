"""The stores in memory and in SQLite pass the kit that every store passes; the kit finds what is wrong with one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from vstack_proto.learning import LearningQuery, LearningRecord, OutcomeReport, count_outcomes
from vstack_proto.telemetry import TelemetryEvent
from vstack_runtime.conformance import ConformanceError, stores
from vstack_runtime.conformance.stores import BACKENDS, Backend, Open, StoreScenario
from vstack_runtime.home import MemoryLearnings, MemoryTelemetry, SqliteLearnings, SqliteTelemetry
from vstack_runtime.home.database import check


def opener(make: Callable[[], Any]) -> Open:
    """Opens one storage, which is made once."""
    store = make()

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        yield store

    return opened


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", stores.learning_scenarios(), ids=str)
def test_learnings_in_memory_conform(scenario: StoreScenario, backend: Backend) -> None:
    stores.check(opener(MemoryLearnings), scenario, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", stores.telemetry_scenarios(), ids=str)
def test_telemetry_in_memory_conforms(scenario: StoreScenario, backend: Backend) -> None:
    stores.check(opener(MemoryTelemetry), scenario, backend)


class Bare:
    """A sink of which nothing can be read."""

    def __init__(self) -> None:
        self.inner = MemoryTelemetry()
        self.flushed = 0

    def record(self, event: TelemetryEvent) -> None:
        self.inner.record(event)

    async def flush(self) -> None:
        self.flushed += 1

    async def aclose(self) -> None:
        return None


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", stores.sink_scenarios(), ids=str)
def test_a_bare_sink_conforms(scenario: StoreScenario, backend: Backend) -> None:
    stores.check(opener(Bare), scenario, backend)


class Awaited(Bare):
    async def record(self, event: TelemetryEvent) -> None:  # type: ignore[override]
        self.inner.record(event)


def test_a_sink_that_must_be_awaited_is_found() -> None:
    with pytest.raises(ConformanceError, match="that nobody awaits"):
        stores.check(opener(Awaited), stores.sink_scenarios()[0])


def on_disk(make: Callable[[Path], Any], root: Path) -> Open:
    """Opens the files under a folder."""

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        store = make(root)
        try:
            yield store
        finally:
            await store.aclose()

    return opened


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", stores.learning_scenarios(), ids=str)
def test_learnings_in_sqlite_conform(scenario: StoreScenario, backend: Backend, tmp_path: Path) -> None:
    stores.check(on_disk(SqliteLearnings, tmp_path / "home"), scenario, backend)
    assert check(tmp_path / "home" / "home.db") == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", stores.telemetry_scenarios(), ids=str)
def test_telemetry_in_sqlite_conforms(scenario: StoreScenario, backend: Backend, tmp_path: Path) -> None:
    stores.check(on_disk(SqliteTelemetry, tmp_path / "home"), scenario, backend)
    assert check(tmp_path / "home" / "telemetry.db") == []


# Stores with one fault each, and the scenario that finds it.


class Forgets(MemoryLearnings):
    async def record(self, scope: str, record: LearningRecord) -> None:
        if not record.id.endswith("7"):
            await super().record(scope, record)


class Mixes(MemoryLearnings):
    async def recall(self, scope: str, query: LearningQuery) -> tuple[LearningRecord, ...]:
        return await super().recall(scope.partition(":")[0], query)


class Overwrites(MemoryLearnings):
    async def record(self, scope: str, record: LearningRecord) -> None:
        self._scopes.setdefault(scope, {}).pop(record.id, None)
        await super().record(scope, record)


class CountsTheNewest(MemoryLearnings):
    async def outcomes(self, scope: str, query: LearningQuery) -> Any:
        return count_outcomes(await self.recall(scope, query))


class ReportsAnything(MemoryLearnings):
    async def report(self, scope: str, record_id: str, outcome: OutcomeReport) -> LearningRecord | None:
        found = await super().report(scope, record_id, outcome)
        return found or next(iter(await self.recall(scope, LearningQuery())), None)


class Drops(MemoryTelemetry):
    def record(self, event: TelemetryEvent) -> None:
        if len(self._events) < 500:
            super().record(event)


class Unscoped(MemoryTelemetry):
    def record(self, event: TelemetryEvent) -> None:
        super().record(TelemetryEvent(timestamp=event.timestamp, run_id=event.run_id))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Forgets, "many_at_once_lose_nothing"),
        (Mixes, "scopes_cannot_see_each_other"),
        (Overwrites, "to_record_twice_is_to_record_once"),
        (CountsTheNewest, "outcomes_are_counted"),
        (ReportsAnything, "outcomes_change_one_record"),
        (Drops, "taking_an_event_does_not_wait"),
        (Unscoped, "sums_are_as_the_core_has_them"),
        (MemoryTelemetry, "records_come_back_as_they_were"),
    ],
)
def test_the_kit_finds_a_fault(make: Callable[[], Any], name: str) -> None:
    listed = [*stores.learning_scenarios(), *stores.telemetry_scenarios()]
    (scenario,) = (one for one in listed if one.name == name)
    with pytest.raises(ConformanceError):
        stores.check(opener(make), scenario)


def test_memory_is_bounded_and_the_largest_scope_gives_way() -> None:
    async def few(open_store: Open) -> None:
        async with open_store() as store:
            for number in range(9):
                await store.record("greedy", stores._record(number))
            await store.record("modest", stores._record(1))
            assert [record.id for record in await store.recall("greedy", stores.ANY)] == ["lrn_0008", "lrn_0007"]
            assert len(await store.recall("modest", stores.ANY)) == 1

    stores.check(opener(lambda: MemoryLearnings(3)), StoreScenario(few))
