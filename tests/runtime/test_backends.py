"""The stores that live in this process, under the protocols that any other store implements."""

from __future__ import annotations

import anyio
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
