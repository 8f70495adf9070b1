"""Redis that is away, slow or wrong: nothing waits long, nothing is held up, and all is well again by itself."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import anyio
import pytest
import structlog

from tests.redis.conftest import Run
from tests.redis.kit import RedisServer, Servers, free_port, until
from vstack_proto.quota import Window
from vstack_proto.values import CacheEntry
from vstack_runtime.backends import StoreAway
from vstack_runtime.redis.cache import RedisCache
from vstack_runtime.redis.guard import Patience, RedisStore
from vstack_runtime.redis.limiter import RedisRateLimiter

# As in production, but for the looks at a Redis that is away: those would make the tests long.
QUICK = Patience(deadline=0.2, probe=0.05)
ENTRY = CacheEntry(b'{"severity":"none"}', 1_700_000_000.0)
WINDOWS = (Window(1_000, 60.0),)


class Fault(NamedTuple):
    """Something that befalls a server, how it passes, and what is told of it."""

    name: str
    strike: Callable[[RedisServer], object]
    mend: Callable[[RedisServer], object]
    told: str


def lock_out(server: RedisServer) -> None:
    """Another password, for those too who are connected."""
    server.ask("CONFIG", "SET", "requirepass", "another")
    server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", password="another")


def let_in(server: RedisServer) -> None:
    server.ask("CONFIG", "SET", "requirepass", "", password="another")


def fill_disk(server: RedisServer) -> None:
    """It cannot write its snapshot, and then takes no more writes."""
    server.ask("CONFIG", "SET", "save", "3600 1")
    shutil.rmtree(server.folder)
    server.ask("BGSAVE")
    assert until(lambda: server.ask("SET", "probe", "1").startswith("-MISCONF"))


def empty_disk(server: RedisServer) -> None:
    server.folder.mkdir()
    server.ask("CONFIG", "SET", "dir", str(server.folder))
    server.ask("BGSAVE")
    assert until(lambda: server.ask("SET", "probe", "1").startswith("+OK"))


FAULTS = (
    Fault("frozen", RedisServer.freeze, RedisServer.thaw, "TimeoutError"),
    Fault("killed", RedisServer.kill, RedisServer.start, "Error"),
    Fault(
        "out of memory",
        lambda server: server.ask("CONFIG", "SET", "maxmemory", "1"),
        lambda server: server.ask("CONFIG", "SET", "maxmemory", "0"),
        "OOM|maxmemory",
    ),
    Fault("another password", lock_out, let_in, "Auth|NOAUTH"),
    Fault(
        "a replica now",
        lambda server: server.ask("REPLICAOF", "127.0.0.1", str(free_port())),
        lambda server: server.ask("REPLICAOF", "NO", "ONE"),
        "ReadOnly|read only",
    ),
    Fault("a full disk", fill_disk, empty_disk, "MISCONF|persist"),
)


async def away(store: RedisStore, call: Callable[[], Any], told: str) -> None:
    """Ask until the breaker has opened; every call is answered with the same exception."""
    seen = []
    for _ in range(QUICK.streak):
        with pytest.raises(StoreAway) as caught:
            await call()
        seen.append(str(caught.value))
    assert store.up is False
    # What the server does to those who are connected may come first.
    assert any(re.search(told, text) for text in seen), seen
    with pytest.raises(StoreAway, match="suspended"):
        await call()


async def back(store: RedisStore) -> None:
    """Wait until the store is up again, without asking it anything."""
    heard = anyio.Event()
    store.watch(lambda up: heard.set() if up else None)
    if not store.up:
        await heard.wait()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_passes_and_all_is_well_again(servers: Servers, run: Run[None], fault: Fault) -> None:
    server = servers()

    async def test() -> None:
        store = RedisRateLimiter(server.url, WINDOWS, patience=QUICK)
        assert (await store.take("key:a")).admitted
        assert store.up
        with structlog.testing.capture_logs() as logs:
            await anyio.to_thread.run_sync(fault.strike, server)
            await away(store, lambda: store.take("key:a"), fault.told)
            await anyio.to_thread.run_sync(fault.mend, server)
            await back(store)
            assert (await store.take("key:a")).admitted
        loud = [entry["event"] for entry in logs if entry["log_level"] != "debug"]
        assert loud == ["redis is away", "redis is back"]
        await store.aclose()

    run(test)


def test_one_line_a_minute_however_often_it_goes(servers: Servers, run: Run[None]) -> None:
    server = servers()

    async def test() -> None:
        store = RedisCache(server.url, patience=QUICK)
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                await anyio.to_thread.run_sync(server.kill)
                await away(store, lambda: store.get("key"), "Error")
                await anyio.to_thread.run_sync(server.start)
                await back(store)
        told = [entry for entry in logs if entry["log_level"] != "debug"]
        assert [entry["event"] for entry in told] == ["redis is away", "redis is back"]
        assert told[0]["store"] == "cache"
        await store.aclose()

    run(test)


def test_it_need_not_be_there_at_the_start(servers: Servers, run: Run[None]) -> None:
    port = free_port()

    async def test() -> None:
        store = RedisCache(f"redis://:secret@127.0.0.1:{port}", patience=QUICK)
        store.start()
        with pytest.raises(StoreAway) as caught:
            await store.put("key", ENTRY)
        assert "secret" not in str(caught.value)
        await anyio.to_thread.run_sync(lambda: servers("--requirepass", "secret", port=port))
        await back(store)
        await store.put("key", ENTRY)
        assert await store.get("key") == ENTRY
        await store.aclose()

    run(test)


def test_a_crowd_behind_a_server_that_stands_still_is_answered_at_once(servers: Servers, run: Run[None]) -> None:
    server = servers()

    async def test() -> None:
        store = RedisRateLimiter(server.url, WINDOWS, patience=Patience(deadline=0.2, probe=60.0))
        await store.take("key:a")
        server.freeze()
        ends: list[str] = []

        async def call() -> None:
            try:
                await store.take("key:a")
            except StoreAway as error:
                ends.append(str(error))

        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(call)
        assert len(ends) == 200
        with pytest.raises(StoreAway, match="suspended"):
            await store.take("key:a")
        server.thaw()
        await store.aclose()

    run(test)


def test_what_this_process_itself_takes_does_not_count(shared_server: RedisServer, run: Run[None]) -> None:
    async def test() -> None:
        store = RedisRateLimiter(shared_server.url, WINDOWS, patience=Patience(deadline=0.02, probe=60.0))
        await store.take("warm")
        ended = False

        async def compute() -> None:
            while not ended:
                time.sleep(0.015)
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(compute)
            # Each is under way for several turns of a loop whose every turn takes nearly as long as a call may.
            for _ in range(10):
                await store.take("busy")
            ended = True
        await store.aclose()

    run(test)


def test_who_gives_up_leaves_nothing_behind(servers: Servers, run: Run[None]) -> None:
    """Callers are cancelled while the connection is being made: there is still one for those who come after."""
    server = servers()

    async def test() -> None:
        store = RedisCache(server.url, patience=QUICK)
        for _ in range(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.get, "key")
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        await store.put("key", ENTRY)
        assert await store.get("key") == ENTRY
        await store.aclose()

    run(test)


def test_it_serves_another_loop_when_the_first_has_ended(shared_server: RedisServer) -> None:
    store = RedisCache(shared_server.url, patience=QUICK)

    async def keep() -> None:
        await store.put("another-loop", ENTRY)

    async def find() -> CacheEntry | None:
        return await store.get("another-loop")

    anyio.run(keep)
    assert anyio.run(find, backend="trio") == ENTRY
    assert anyio.run(find) == ENTRY
