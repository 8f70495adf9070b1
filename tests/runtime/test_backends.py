"""The stores that live in this process, under the protocols that any other store implements."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import msgspec
import pytest

from vstack_proto.quota import Decision, Window
from vstack_proto.values import Alias, CacheEntry
from vstack_runtime.backends import (
    CacheBackend,
    LocalCache,
    LocalRateLimiter,
    MemoryCache,
    MemoryLimiter,
    ProviderError,
    RateLimiter,
)
from vstack_runtime.conformance import ConformanceError, backends
from vstack_runtime.conformance.backends import Backend, StoreScenario

NOW = 10_000.0
ENTRY = CacheEntry(b"{}", 1_700_000_000.0)
MEANING = Alias("key", "quick", "offline")


@pytest.mark.parametrize("protocol", [RateLimiter, LocalRateLimiter])
def test_the_limiter_fits_both_protocols(protocol: type) -> None:
    assert isinstance(MemoryLimiter((Window(1, 60.0),)), protocol)


@pytest.mark.parametrize("protocol", [CacheBackend, LocalCache])
def test_the_cache_fits_both_protocols(protocol: type) -> None:
    assert isinstance(MemoryCache(), protocol)


def test_what_only_waits_is_not_local() -> None:
    class Elsewhere:
        async def take(self, key: str) -> Decision:
            raise OSError

        async def get(self, key: str) -> CacheEntry | None:
            return None

        async def put(self, key: str, entry: CacheEntry) -> None:
            return None

    told = [isinstance(Elsewhere(), kind) for kind in (RateLimiter, CacheBackend, LocalRateLimiter, LocalCache)]
    assert told == [True, True, False, False]


def test_the_limiter_counts_by_the_clock_it_is_given() -> None:
    limiter = MemoryLimiter((Window(2, 60.0),))
    moments = (NOW, NOW + 1, NOW + 2, NOW + 60)
    assert [limiter.take_now("a", at).admitted for at in moments] == [True, True, False, True]
    assert limiter.take_now("b", NOW + 60).remaining == 1


def test_the_limiter_counts_by_its_own_clock() -> None:
    limiter = MemoryLimiter((Window(2, 60.0),))

    async def take_three() -> list[bool]:
        return [(await limiter.take("a")).admitted for _ in range(3)]

    assert anyio.run(take_three) == [True, True, False]


def test_the_cache_keeps_entries_and_what_bytes_mean() -> None:
    cache = MemoryCache()
    assert cache.get_now("key", NOW) is None
    assert cache.find_now("alias", NOW) is None
    cache.put_now("key", ENTRY, NOW)
    cache.learn_now("alias", MEANING)
    assert cache.get_now("key", NOW) == ENTRY
    assert cache.find_now("alias", NOW) == (MEANING, ENTRY)


def test_the_cache_is_bounded_and_forgets_in_time() -> None:
    cache = MemoryCache(max_entries=2, ttl=10.0)
    for number in range(3):
        cache.put_now(f"key-{number}", ENTRY, NOW)
    assert [cache.get_now(f"key-{number}", NOW) is None for number in range(3)] == [True, False, False]
    assert cache.get_now("key-2", NOW + 10.5) is None


def test_the_cache_by_its_own_clock() -> None:
    cache = MemoryCache()

    async def put_and_get() -> CacheEntry | None:
        await cache.put("key", ENTRY)
        return await cache.get("key")

    assert anyio.run(put_and_get) == ENTRY


def test_a_failed_call_tells_its_kind_and_what_it_cost() -> None:
    error = ProviderError("refused", "it would not")
    assert (error.kind, str(error), error.retry_after, error.usage.input_tokens) == ("refused", "it would not", None, 0)


# The kit, and what it finds.


@contextlib.asynccontextmanager
async def memory_cache() -> AsyncIterator[MemoryCache]:
    yield MemoryCache()


@contextlib.asynccontextmanager
async def memory_limiter(windows: tuple[Window, ...]) -> AsyncIterator[MemoryLimiter]:
    yield MemoryLimiter(windows)


@pytest.mark.parametrize("loop", backends.BACKENDS)
@pytest.mark.parametrize("scenario", backends.cache_scenarios(), ids=str)
def test_the_cache_in_memory_conforms(scenario: StoreScenario, loop: Backend) -> None:
    backends.check(memory_cache, scenario, loop)


@pytest.mark.parametrize("loop", backends.BACKENDS)
@pytest.mark.parametrize("scenario", backends.limiter_scenarios(), ids=str)
def test_the_limiter_in_memory_conforms(scenario: StoreScenario, loop: Backend) -> None:
    backends.check(memory_limiter, scenario, loop)


class Rounds(MemoryCache):
    async def get(self, key: str) -> CacheEntry | None:
        found = await super().get(key)
        return found and CacheEntry(found.detection, round(found.stored_at))


class Sticks(MemoryCache):
    async def put(self, key: str, entry: CacheEntry) -> None:
        if await self.get(key) is None:
            await super().put(key, entry)


class OneForAll(MemoryCache):
    async def get(self, key: str) -> CacheEntry | None:
        await anyio.lowlevel.checkpoint()
        return await super().get("one")

    async def put(self, key: str, entry: CacheEntry) -> None:
        await super().put("one", entry)


class HalfWritten(MemoryCache):
    async def put(self, key: str, entry: CacheEntry) -> None:
        await super().put(key, CacheEntry(b"", 0.0))
        await anyio.lowlevel.checkpoint()
        await super().put(key, entry)


@pytest.mark.parametrize(
    ("kind", "scenario"), [*zip((Rounds, Sticks, OneForAll, HalfWritten), backends.cache_scenarios(), strict=True)]
)
def test_a_cache_with_a_fault_is_found(kind: type[MemoryCache], scenario: StoreScenario) -> None:
    @contextlib.asynccontextmanager
    async def faulty() -> AsyncIterator[MemoryCache]:
        yield kind()

    with pytest.raises((ConformanceError, ExceptionGroup)) as caught:
        backends.check(faulty, scenario)
    assert caught.group_contains(ConformanceError) if caught.errisinstance(ExceptionGroup) else True


class Generous(MemoryLimiter):
    """Admits one more than it says."""

    async def take(self, key: str) -> Decision:
        told = await super().take(key)
        return msgspec.structs.replace(told, admitted=True) if told.retry_after else told


class Punishes(MemoryLimiter):
    """Who knocks waits longer."""

    knocks = 0

    async def take(self, key: str) -> Decision:
        told = await super().take(key)
        self.knocks += not told.admitted
        return msgspec.structs.replace(told, retry_after=told.retry_after + self.knocks)


class ByKind(MemoryLimiter):
    """Counts all callers of a kind together."""

    async def take(self, key: str) -> Decision:
        return await super().take(key.partition(":")[0])


class LastWindow(MemoryLimiter):
    """Looks at one window."""

    def __init__(self, windows: tuple[Window, ...]) -> None:
        super().__init__(windows[-1:])


class Races(MemoryLimiter):
    """Looks, and counts later."""

    def __init__(self, windows: tuple[Window, ...]) -> None:
        super().__init__(windows)
        self.taken: dict[str, int] = {}
        self.limit = windows[0].limit

    async def take(self, key: str) -> Decision:
        seen = self.taken.get(key, 0)
        await anyio.lowlevel.checkpoint()
        self.taken[key] = seen + 1
        return Decision(seen < self.limit, self.limit, 0, 0.0, 0.0)


class Hurries(MemoryLimiter):
    """Says half of the wait."""

    async def take(self, key: str) -> Decision:
        told = await super().take(key)
        return msgspec.structs.replace(told, retry_after=told.retry_after / 2)


class Locks(MemoryLimiter):
    """Stays locked where the caller gives up."""

    locked = False

    async def take(self, key: str) -> Decision:
        if self.locked:
            return Decision(False, 3, 0, 3_600.0, 3_600.0)
        self.locked = True
        await anyio.lowlevel.checkpoint()
        self.locked = False
        return await super().take(key)


FAULTY = (Generous, Punishes, ByKind, LastWindow, Races, Hurries, Locks)


@pytest.mark.parametrize(("kind", "scenario"), [*zip(FAULTY, backends.limiter_scenarios(), strict=True)])
def test_a_limiter_with_a_fault_is_found(kind: type[MemoryLimiter], scenario: StoreScenario) -> None:
    @contextlib.asynccontextmanager
    async def faulty(windows: tuple[Window, ...]) -> AsyncIterator[MemoryLimiter]:
        yield kind(windows)

    with pytest.raises(ConformanceError):
        backends.check(faulty, scenario)
