"""The conformance kit for stores: what every ``LearningStore``, ``TelemetryStore`` and ``TelemetrySink`` must do.

For a store of your own::

    import contextlib
    import pytest
    from vstack_runtime.conformance import stores

    @contextlib.asynccontextmanager
    async def mine():                      # each call opens the same, at first empty, storage
        store = MyLearnings("somewhere")
        yield store
        await store.aclose()

    @pytest.mark.parametrize("backend", stores.BACKENDS)
    @pytest.mark.parametrize("scenario", stores.learning_scenarios(), ids=str)
    def test_it_conforms(scenario, backend):
        stores.check(mine, scenario, backend)

For telemetry that can be read again take ``telemetry_scenarios()``, for a bare sink ``sink_scenarios()``.
``check`` raises ConformanceError where the store does not do what is promised. Each scenario wants a storage that is
empty; where a store cannot be opened a second time on the same storage, leave out what ``lasting`` marks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import anyio
import msgspec

from vstack_proto.learning import (
    Finding,
    LearningQuery,
    LearningRecord,
    Outcome,
    OutcomeCount,
    OutcomeReport,
    count_outcomes,
    kept,
    with_outcome,
)
from vstack_runtime.conformance.parts import must
from vstack_runtime.conformance.store_parts import BACKENDS, WALL, Backend, Open, StoreScenario, check
from vstack_runtime.conformance.telemetry import sink_scenarios, telemetry_scenarios
from vstack_runtime.stores import LearningStore

__all__ = [
    "BACKENDS",
    "Backend",
    "Open",
    "StoreScenario",
    "check",
    "learning_scenarios",
    "sink_scenarios",
    "telemetry_scenarios",
]

ANY = LearningQuery(limit=1_000)


def learning_scenarios() -> tuple[StoreScenario, ...]:
    """What a ``LearningStore`` must do."""
    return (
        StoreScenario(records_come_back_as_they_were),
        StoreScenario(the_newest_comes_first),
        StoreScenario(queries_choose),
        StoreScenario(to_record_twice_is_to_record_once),
        StoreScenario(outcomes_change_one_record),
        StoreScenario(outcomes_are_counted),
        StoreScenario(scopes_cannot_see_each_other),
        StoreScenario(many_at_once_lose_nothing),
        StoreScenario(a_cancelled_caller_harms_nobody),
        StoreScenario(learnings_outlast_the_store, lasting=True),
    )


# Learnings.


def _record(number: int, **fields: Any) -> LearningRecord:
    finding = Finding(**({"pattern": "lewin", "agent_id": "planner"} | fields))
    return kept(finding, f"lrn_{number:04}", WALL + number)


async def _keep(store: LearningStore, *records: LearningRecord, scope: str = "") -> None:
    for record in records:
        await store.record(scope, record)


FULL = LearningRecord(
    id="lrn_full",
    timestamp=dt.datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=dt.UTC),
    pattern="social_loafing",
    mode="forensic",
    agent_id="a\u00e9\u4e2d\U0001f600 \x00 'quoted' \"twice\" ; -- %",
    crew_id="crew:{1}",
    severity="high",
    profile_pattern="hidden_crowd",
    dominant_finding="one agent\ndid nothing",
    interventions_applied=("name_owners", "split:work", "name_owners"),
    follow_up_outcome="no_change",
    follow_up_record_id="run-2",
    notes="first line\n\tsecond",
    extra={"n": 1, "deep": {"list": [1.5, None, True, "x"]}},
)


async def records_come_back_as_they_were(open_store: Open) -> None:
    """Every field, whatever is in it; and a record that says only what it must."""
    async with open_store() as store:
        must(isinstance(store, LearningStore), "it has every method of LearningStore")
        bare = LearningRecord(id="lrn_bare", timestamp=dt.datetime(2026, 2, 1, tzinfo=dt.UTC), pattern="lewin")
        must(list(await store.recall("", ANY)) == [], "the storage is empty at first")
        await _keep(store, FULL, bare)
        told = list(await store.recall("", ANY))
        must(told == [FULL, bare], f"records come back as they were: {told}")


async def the_newest_comes_first(open_store: Open) -> None:
    """By their moment; of equal moments, the one recorded last; at most ``limit``."""
    async with open_store() as store:
        same = [msgspec.structs.replace(_record(n), timestamp=_record(0).timestamp) for n in (20, 21, 22)]
        await _keep(store, _record(2), _record(-3), *same, _record(1))
        told = [record.id for record in await store.recall("", ANY)]
        wanted = ["lrn_0002", "lrn_0001", "lrn_0022", "lrn_0021", "lrn_0020", "lrn_-003"]
        must(told == wanted, f"the newest comes first: {told}")
        told = [record.id for record in await store.recall("", LearningQuery(limit=2))]
        must(told == wanted[:2], f"at most two: {told}")


async def queries_choose(open_store: Open) -> None:
    """By pattern, agent and crew, each alone and together."""
    async with open_store() as store:
        await _keep(
            store,
            _record(1),
            _record(2, agent_id="critic"),
            _record(3, pattern="aar", crew_id="c"),
            _record(4, agent_id=None, crew_id="c"),
            _record(5, agent_id=""),
        )
        for query, wanted in (
            (LearningQuery(pattern="lewin"), [5, 4, 2, 1]),
            (LearningQuery(agent_id="planner"), [3, 1]),
            (LearningQuery(crew_id="c"), [4, 3]),
            (LearningQuery(pattern="aar", agent_id="planner", crew_id="c"), [3]),
            (LearningQuery(agent_id=""), [5]),
            (LearningQuery(pattern="lew"), []),
            (LearningQuery(agent_id="plan%"), []),
        ):
            told = [record.id for record in await store.recall("", query)]
            must(told == [f"lrn_{number:04}" for number in wanted], f"{query} chooses {wanted}: {told}")


async def to_record_twice_is_to_record_once(open_store: Open) -> None:
    """The second attempt changes nothing, not even what the first has become since."""
    async with open_store() as store:
        await _keep(store, _record(1))
        await store.report("", "lrn_0001", OutcomeReport(outcome="improved"))
        await _keep(store, _record(1), _record(1, notes="other"))
        told = list(await store.recall("", ANY))
        must(told == [_record(1, follow_up_outcome="improved")], f"one record, as it was: {told}")


async def outcomes_change_one_record(open_store: Open) -> None:
    """A report changes its own record alone, and one about nothing gives None."""
    async with open_store() as store:
        await _keep(store, _record(1, notes="seen"), _record(2))
        first = OutcomeReport(outcome="worse", follow_up_record_id="run-9")
        wanted = with_outcome(_record(1, notes="seen"), first)
        told = await store.report("", "lrn_0001", first)
        must(told == wanted, f"the changed record is returned: {told}")
        second = OutcomeReport(outcome="improved", notes="second look")
        wanted = with_outcome(wanted, second)
        must(await store.report("", "lrn_0001", second) == wanted, "a later report adds to the earlier one")
        must(await store.report("", "lrn_none", first) is None, "nobody has this id")
        told_all = list(await store.recall("", ANY))
        must(told_all == [_record(2), wanted], f"only one record has changed: {told_all}")


async def outcomes_are_counted(open_store: Open) -> None:
    """As the core counts them, and all records, not only the newest."""
    ends: tuple[Outcome | None, ...] = ("improved", "improved", "no_change", "worse", "unknown", None)
    records = [
        _record(
            number,
            pattern="lewin" if number % 3 else "aar",
            agent_id=("planner", "critic")[number % 2],
            interventions_applied=(("a", "b"), ("a", "a"), (), ("c",))[number % 4],
            follow_up_outcome=ends[number % 6],
        )
        for number in range(60)
    ]
    async with open_store() as store:
        must(list(await store.outcomes("", LearningQuery())) == [], "nothing is counted at first")
        await _keep(store, *records)
        for query in (LearningQuery(limit=1), LearningQuery(pattern="aar"), LearningQuery(agent_id="critic")):
            wanted = count_outcomes(record for record in records if query.fits(record))
            told = _sorted(await store.outcomes("", query))
            must(told == wanted, f"{query}: counted as the core counts: {told}, not {wanted}")
        await store.report("", "lrn_0003", OutcomeReport(outcome="improved"))
        changed = [with_outcome(r, OutcomeReport(outcome="improved")) if r.id == "lrn_0003" else r for r in records]
        told = _sorted(await store.outcomes("", LearningQuery()))
        must(told == count_outcomes(changed), "a report moves its record to another count")


def _sorted(counts: Sequence[OutcomeCount]) -> tuple[OutcomeCount, ...]:
    return tuple(sorted(counts))


async def scopes_cannot_see_each_other(open_store: Open) -> None:
    """Nothing that is done in one scope can be told from within another."""
    scopes = ("", "alice", "bob", "alice:x", "a%", "ALICE")
    async with open_store() as store:
        for number, scope in enumerate(scopes):
            # The ids are the same on purpose.
            await _keep(store, _record(1, notes=scope, interventions_applied=("a",)), scope=scope)
            must(number + 1 == len(await _all(store, scopes)), f"{scope!r} has a record of its own")
        await store.report("alice", "lrn_0001", OutcomeReport(outcome="improved"))
        for scope in scopes:
            (record,) = await store.recall(scope, ANY)
            must(record.notes == scope, f"{scope!r} sees its own record")
            ended = "improved" if scope == "alice" else None
            must(record.follow_up_outcome == ended, f"{scope!r} is not touched by a report in another scope")
            (count,) = await store.outcomes(scope, ANY)
            must(count.runs == 1, f"{scope!r} counts its own record alone")
        must(await store.clear("alice") == 1, "clear tells how many there were")
        must(len(await _all(store, scopes)) == len(scopes) - 1, "clear leaves the other scopes alone")
        must(await store.report("alice", "lrn_0001", OutcomeReport(outcome="worse")) is None, "it is gone")
        must(await store.clear("nobody") == 0, "an unknown scope has nothing")


async def _all(store: LearningStore, scopes: Sequence[str]) -> list[LearningRecord]:
    return [record for scope in scopes for record in await store.recall(scope, ANY)]


async def many_at_once_lose_nothing(open_store: Open) -> None:
    """Writers beside a reporter: every record is there, and each report that was answered holds."""
    async with open_store() as store:

        async def write(part: int) -> None:
            for number in range(part * 20, part * 20 + 20):
                await store.record("", _record(number))
                if number % 5 == 0:
                    told = await store.report("", f"lrn_{number:04}", OutcomeReport(outcome="improved"))
                    must(told is not None, "a record is there once it is acknowledged")

        async with anyio.create_task_group() as tasks:
            for part in range(10):
                tasks.start_soon(write, part)
        told = await store.recall("", ANY)
        must(len({record.id for record in told}) == len(told) == 200, f"{len(told)} records of 200 are there")
        improved = {record.id for record in told if record.follow_up_outcome == "improved"}
        must(improved == {f"lrn_{number:04}" for number in range(0, 200, 5)}, "each report holds")


async def a_cancelled_caller_harms_nobody(open_store: Open) -> None:
    """Who gives up leaves the store as good as before: its record is there or not, and others go on."""
    async with open_store() as store:

        async def write(number: int) -> None:
            await store.record("", _record(number))

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(write, number)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await store.record("", _record(100))
        told = {record.id for record in await store.recall("", ANY)}
        must("lrn_0100" in told, "the store goes on after a caller was cancelled")
        must(told <= {f"lrn_{number:04}" for number in (*range(8), 100)}, f"nothing else is there: {told}")


async def learnings_outlast_the_store(open_store: Open) -> None:
    """What was acknowledged is there when the storage is opened again, and while two have it open."""
    async with open_store() as store:
        await _keep(store, FULL, scope="alice")
        async with open_store() as other:
            must(list(await other.recall("alice", ANY)) == [FULL], "a second opener sees it")
            await _keep(other, _record(1), scope="alice")
        must(len(await store.recall("alice", ANY)) == 2, "and is seen")
    async with open_store() as store:
        must(len(await store.recall("alice", ANY)) == 2, "both are there after closing")
