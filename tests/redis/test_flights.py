"""Locks and landings in Redis: one leads, the others hear of it, and nobody waits for the dead."""

from __future__ import annotations

import uuid

import anyio
import pytest

from tests.redis.conftest import Run
from tests.redis.kit import RedisServer, Servers
from vstack_proto.values import CacheEntry, Failure, Landing
from vstack_runtime.backends import FlightStore, StoreAway
from vstack_runtime.redis.flights import RedisFlights
from vstack_runtime.redis.guard import Patience

SLOW = Patience(deadline=10.0, probe=0.05)
QUICK = Patience(deadline=0.2, probe=0.05)
LANDED = Landing(entry=CacheEntry(b'{"severity":"none"}', 1_700_000_000.5))
FAILED = Landing(failure=Failure(502, "analyzer_error", "it failed", 2.5))


def store(server: RedisServer, lock_seconds: float = 5.0, patience: Patience = SLOW) -> RedisFlights:
    return RedisFlights(server.url, patience=patience, lock_seconds=lock_seconds)


@pytest.mark.parametrize("landing", [LANDED, FAILED, None], ids=["landed", "failed", "given up"])
def test_one_leads_and_the_others_hear_how_it_ended(
    shared_server: RedisServer, run: Run[None], landing: Landing | None
) -> None:
    async def test() -> None:
        one, other, key = store(shared_server), store(shared_server), uuid.uuid4().hex
        assert isinstance(one, FlightStore)
        assert await one.join(key, "t-1") == "t-1"
        assert await other.join(key, "t-2") == "t-1"
        assert await one.join(key, "t-1") == "t-1"
        heard: list[Landing | None] = []

        async def follow() -> None:
            heard.append(await other.follow(key, "t-1"))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            await one.land(key, "t-1", landing)
        assert heard == [landing] * 3
        # The lock is free again, and nothing of a landing is given to those who come later.
        assert await other.join(key, "t-3") == "t-3"
        await other.land(key, "t-3", None)
        await one.aclose()
        await other.aclose()

    run(test)


def test_a_landing_that_was_missed_is_found(shared_server: RedisServer, run: Run[None]) -> None:
    async def test() -> None:
        one, key = store(shared_server), uuid.uuid4().hex
        await one.join(key, "t-1")
        await one.land(key, "t-1", LANDED)
        assert await one.follow(key, "t-1") == LANDED
        assert await one.follow(key, "t-0") is None
        await one.aclose()

    run(test)


def test_a_leader_that_is_not_heard_of_is_replaced(shared_server: RedisServer, run: Run[None]) -> None:
    async def test() -> None:
        one, other, key = store(shared_server, 0.2), store(shared_server, 0.2), uuid.uuid4().hex
        await one.join(key, "t-1")
        assert await other.join(key, "t-2") == "t-1"
        assert await other.follow(key, "t-1") is None
        assert await other.join(key, "t-2") == "t-2"
        # The dead one comes back: it lands for those who followed it, and takes nobody's lock away.
        await one.land(key, "t-1", LANDED)
        assert await other.follow(key, "t-1") == LANDED
        assert await one.join(key, "t-3") == "t-2"
        await one.aclose()
        await other.aclose()

    run(test)


def test_a_leader_that_lives_keeps_the_lead(shared_server: RedisServer, run: Run[None]) -> None:
    async def test() -> None:
        one, other, key = store(shared_server, 1.0), store(shared_server, 1.0), uuid.uuid4().hex
        await one.join(key, "t-1")
        followed = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.hold, key, "t-1")
            with anyio.move_on_after(1.5):
                await other.follow(key, "t-1")
                followed = True
            tasks.cancel_scope.cancel()
        assert not followed
        assert await other.join(key, "t-2") == "t-1"
        await one.aclose()
        await other.aclose()

    run(test)


def test_a_subscription_that_breaks_is_made_anew_and_misses_nothing(servers: Servers, run: Run[None]) -> None:
    server = servers()

    async def test() -> None:
        one, other, key = store(server, 60.0), store(server, 60.0), uuid.uuid4().hex
        await one.join(key, "t-1")
        heard: list[Landing | None] = []

        async def follow() -> None:
            heard.append(await other.follow(key, "t-1"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            while "vstack:landed" not in await anyio.to_thread.run_sync(server.ask, "PUBSUB", "CHANNELS"):
                await anyio.lowlevel.checkpoint()
            await anyio.to_thread.run_sync(server.ask, "CLIENT", "KILL", "TYPE", "pubsub")
            await one.land(key, "t-1", LANDED)
        assert heard == [LANDED]
        await one.aclose()
        await other.aclose()

    run(test)


def test_where_redis_goes_away_nobody_waits_for_word(servers: Servers, run: Run[None]) -> None:
    server = servers()

    async def test() -> None:
        one, key = store(server, 60.0, QUICK), uuid.uuid4().hex
        await one.join(key, "t-1")
        ended: list[str] = []

        async def follow() -> None:
            try:
                await one.follow(key, "t-1")
            except StoreAway as error:
                ended.append(str(error))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            while "vstack:landed" not in await anyio.to_thread.run_sync(server.ask, "PUBSUB", "CHANNELS"):
                await anyio.lowlevel.checkpoint()
            await anyio.to_thread.run_sync(server.kill)
        assert len(ended) == 1
        await one.aclose()

    run(test)


def test_everything_expires(shared_server: RedisServer, run: Run[None]) -> None:
    async def test() -> None:
        one, key = store(shared_server), uuid.uuid4().hex
        await one.join(key, "t-1")
        await one.land(key, "t-1", LANDED)
        await one.join(key, "t-2")
        await one.aclose()
        for name in (f"vstack:flight:{{{key}}}", f"vstack:landing:{{{key}}}:t-1"):
            assert 0 < shared_server.number("PTTL", name) <= 30_000

    run(test)
