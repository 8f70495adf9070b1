"""Learnings and telemetry in Redis pass the kit that every store passes."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import msgspec
import pytest

from tests.redis.conftest import Run
from tests.redis.kit import RedisServer, Servers
from vstack_proto.learning import LearningQuery, LearningRecord
from vstack_proto.telemetry import AnalyticsQuery, TelemetryEvent
from vstack_runtime.conformance import stores
from vstack_runtime.conformance.stores import BACKENDS, Backend, Open, StoreScenario
from vstack_runtime.redis.guard import Patience
from vstack_runtime.redis.learnings import RedisLearningStore
from vstack_runtime.redis.telemetry import RedisTelemetrySink

pytestmark = pytest.mark.usefixtures("patient_client")

SLOW = Patience(deadline=10.0, probe=0.05)
ANY = LearningQuery(limit=1_000)


def opener(make: Callable[..., Any], server: RedisServer) -> Open:
    """Opens one storage, again and again: a prefix of its own."""
    url = f"{server.url}?prefix=t-{uuid.uuid4().hex}"

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        store = make(url, patience=SLOW)
        yield store
        await store.aclose()

    return opened


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", stores.learning_scenarios(), ids=str)
def test_learnings_in_redis_conform(shared_server: RedisServer, scenario: StoreScenario, backend: Backend) -> None:
    stores.check(opener(RedisLearningStore, shared_server), scenario, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scenario", stores.telemetry_scenarios(), ids=str)
def test_telemetry_in_redis_conforms(shared_server: RedisServer, scenario: StoreScenario, backend: Backend) -> None:
    stores.check(opener(RedisTelemetrySink, shared_server), scenario, backend)


def record(number: int, **fields: Any) -> LearningRecord:
    stamp = dt.datetime.now(dt.UTC) - dt.timedelta(hours=100 - number)
    told = LearningRecord(id=f"lrn_{number}", timestamp=stamp, pattern=("lewin", "aar")[number % 2], agent_id="planner")
    return msgspec.structs.replace(told, **fields)


def test_the_oldest_learnings_go(shared_server: RedisServer, run: Run[None]) -> None:
    async def test() -> None:
        name = f"{shared_server.url}?prefix=t-{uuid.uuid4().hex}"
        store = RedisLearningStore(name, max_records=4, max_age_days=30.0, patience=SLOW)
        await store.record("", record(99, timestamp=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)))
        for number in range(10):
            await store.record("", record(number))
        assert [one.id for one in await store.recall("", ANY)] == ["lrn_9", "lrn_8", "lrn_7", "lrn_6"]
        # They are gone from the smaller indexes too.
        for pattern, wanted in (("lewin", ["lrn_8", "lrn_6"]), ("aar", ["lrn_9", "lrn_7"])):
            told = [one.id for one in await store.recall("", LearningQuery(pattern=pattern, agent_id="planner"))]
            assert told == wanted
        assert sum(count.runs for count in await store.outcomes("", LearningQuery())) == 0
        assert await store.clear("") == 4
        assert await store.recall("", ANY) == ()
        await store.aclose()

    run(test)


def test_more_learnings_than_a_page_holds(shared_server: RedisServer, run: Run[None]) -> None:
    async def test() -> None:
        store = RedisLearningStore(f"{shared_server.url}?prefix=t-{uuid.uuid4().hex}", max_records=600, patience=SLOW)
        async with anyio.create_task_group() as tasks:
            for number in range(700):
                tasks.start_soon(store.record, "", record(number, interventions_applied=("a",)))
        assert len(await store.recall("", ANY)) == 600
        # Among them are the places of a hundred that have gone.
        (count, other) = await store.outcomes("", LearningQuery(agent_id="planner"))
        assert count.runs + other.runs == 600
        await store.aclose()

    run(test)


def test_telemetry_waits_for_redis_and_comes_once(servers: Servers, run: Run[None]) -> None:
    server = servers()

    async def test() -> None:
        sink = RedisTelemetrySink(server.url, patience=Patience(deadline=0.2, probe=0.05))
        sink.record(TelemetryEvent(run_id="before", timestamp=1.0))
        await sink.flush()
        # What is sent to a server that stands still is done when it goes on, though nobody waits for it any more.
        await anyio.to_thread.run_sync(server.freeze)
        for number in range(20):
            sink.record(TelemetryEvent(run_id=f"run-{number}", timestamp=2.0 + number))
        await sink.flush()
        assert sink.up is False
        back = anyio.Event()
        sink.watch(lambda up: back.set() if up else None)
        await anyio.to_thread.run_sync(server.thaw)
        await back.wait()
        told = [event.run_id for event in await sink.events(AnalyticsQuery(), 100)]
        assert told == [*(f"run-{number}" for number in reversed(range(20))), "before"]
        await sink.aclose()

    run(test)


def test_the_stream_has_a_cap_and_an_end(shared_server: RedisServer, run: Run[None]) -> None:
    prefix = f"t-{uuid.uuid4().hex}"

    async def test() -> None:
        sink = RedisTelemetrySink(f"{shared_server.url}?prefix={prefix}", max_events=500, patience=SLOW)
        for number in range(3_000):
            sink.record(TelemetryEvent(run_id=f"run-{number}", timestamp=float(number)))
        await sink.aclose()

    run(test)
    stream = f"{prefix}:telemetry:{{events}}"
    assert 500 <= shared_server.number("XLEN", stream) <= 700
    assert 89 * 86_400_000 < shared_server.number("PTTL", stream) <= 90 * 86_400_000
