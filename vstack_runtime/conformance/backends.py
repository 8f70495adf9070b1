"""The conformance kit for caches and limiters: what every ``CacheBackend`` and ``RateLimiter`` must do, as scenarios.

For one of your own::

    import contextlib
    import pytest
    from vstack_runtime.conformance import backends

    @contextlib.asynccontextmanager
    async def my_cache():                  # each call opens a cache that is empty
        yield MyCache("somewhere")

    @contextlib.asynccontextmanager
    async def my_limiter(windows):         # each call opens one that has counted nothing, for these windows
        yield MyLimiter("somewhere", windows)

    @pytest.mark.parametrize("loop", backends.BACKENDS)
    @pytest.mark.parametrize("scenario", backends.cache_scenarios(), ids=str)
    def test_it_conforms(scenario, loop):
        backends.check(my_cache, scenario, loop)    # and my_limiter with limiter_scenarios()

``check`` raises ConformanceError where one does not do what is promised. Scenarios of limiters that wait take what
``retry_after`` says, a quarter of a second at most.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from vstack_proto.caching import cache_key
from vstack_proto.quota import Decision, Window
from vstack_proto.trace import CanonicalTrace, TraceStep
from vstack_proto.values import CacheEntry
from vstack_runtime.backends import CacheBackend, RateLimiter
from vstack_runtime.conformance.parts import must
from vstack_runtime.conformance.store_parts import BACKENDS, WALL, Backend, Open, StoreScenario, check

__all__ = ["BACKENDS", "Backend", "Open", "StoreScenario", "cache_scenarios", "check", "limiter_scenarios"]


def cache_scenarios() -> tuple[StoreScenario, ...]:
    """What a ``CacheBackend`` must do."""
    return (
        StoreScenario(entries_come_back_as_they_were),
        StoreScenario(the_last_entry_counts),
        StoreScenario(entries_of_many_callers_stay_apart),
        StoreScenario(a_cancelled_caller_harms_no_entry),
    )


def limiter_scenarios() -> tuple[StoreScenario, ...]:
    """What a ``RateLimiter`` must do."""
    return (
        StoreScenario(requests_are_counted_up_to_the_limit),
        StoreScenario(a_refused_request_consumes_nothing),
        StoreScenario(callers_are_counted_apart),
        StoreScenario(all_windows_must_admit),
        StoreScenario(many_at_once_are_not_too_many),
        StoreScenario(who_waits_as_told_is_admitted),
        StoreScenario(a_cancelled_caller_lets_nobody_in),
    )


# Caches.


def _key(number: int) -> str:
    """A key as the service makes it."""
    trace = CanonicalTrace("goal", (TraceStep("a", "message", f"step {number}"),), "outcome")
    return cache_key("aar", "quick", "offline", trace, "")


def _entry(number: int, size: int = 0) -> CacheEntry:
    text = f'{{"n":{number},"text":"\u00e9\u4e2d\U0001f600\\u0000'.encode()
    return CacheEntry(text + b"x" * size + b'"}', WALL + number + 0.123456)


async def entries_come_back_as_they_were(open_cache: Open) -> None:
    """Whatever the detection holds, and a large one; what was never put is not there."""
    async with open_cache() as cache:
        must(isinstance(cache, CacheBackend), "it has every method of CacheBackend")
        must(await cache.get(_key(0)) is None, "it is empty at first")
        for number, size in ((1, 0), (2, 1 << 20)):
            await cache.put(_key(number), _entry(number, size))
            must(await cache.get(_key(number)) == _entry(number, size), "bytes and moment come back as they were")
        must(await cache.get(_key(3)) is None, "another key has no entry")


async def the_last_entry_counts(open_cache: Open) -> None:
    """To put a second time is to put in the place of the first."""
    async with open_cache() as cache:
        for number in (1, 2):
            await cache.put(_key(0), _entry(number))
        must(await cache.get(_key(0)) == _entry(2), "the later entry is there")


async def entries_of_many_callers_stay_apart(open_cache: Open) -> None:
    """Writers and readers side by side."""
    async with open_cache() as cache:

        async def use(number: int) -> None:
            await cache.put(_key(number), _entry(number))
            must(await cache.get(_key(number)) == _entry(number), f"{number} reads what it has put")

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(use, number)


async def a_cancelled_caller_harms_no_entry(open_cache: Open) -> None:
    """Who gives up leaves an entry that is whole, or none."""
    async with open_cache() as cache:

        async def use(number: int) -> None:
            await cache.put(_key(number), _entry(number))
            await cache.get(_key(number))

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(use, number)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        for number in range(8):
            must(await cache.get(_key(number)) in (None, _entry(number)), f"entry {number} is whole or not there")
        await cache.put(_key(9), _entry(9))
        must(await cache.get(_key(9)) == _entry(9), "the cache goes on after a caller was cancelled")


# Limiters.

HOUR = (Window(3, 3_600.0),)
# As the service names callers: by their key, else by their address, an IPv6 one by its network.
CALLERS = ("key:alice", "key:bob", "key:alice:{1} %", "addr:192.0.2.1", "addr:2001:db8::/64")


async def requests_are_counted_up_to_the_limit(open_limiter: Open) -> None:
    """Three are admitted, the fourth is told when to come again."""
    async with open_limiter(HOUR) as limiter:
        must(isinstance(limiter, RateLimiter), "it has every method of RateLimiter")
        told = [await limiter.take("key:alice") for _ in range(4)]
        must([one.admitted for one in told] == [True, True, True, False], f"three are admitted: {told}")
        must([one.remaining for one in told] == [2, 1, 0, 0], f"remaining counts down: {told}")
        must(all((one.limit, one.window) == (3, 3_600.0) for one in told), f"the window is named: {told}")
        must(all(one.retry_after == 0.0 for one in told[:3]), f"who is admitted need not wait: {told}")
        must(3_500.0 < told[3].retry_after <= 3_600.0, f"the fourth may come when the first has left: {told[3]}")
        must(all(3_500.0 < one.reset <= 3_600.0 for one in told), f"reset is when the last has left: {told}")


async def a_refused_request_consumes_nothing(open_limiter: Open) -> None:
    """Who knocks again and again does not wait longer for it."""
    async with open_limiter(HOUR) as limiter:
        told = [await limiter.take("key:alice") for _ in range(23)][3:]
        must(not any(one.admitted for one in told), f"all of them are refused: {told}")
        waits = [one.retry_after for one in told]
        must(waits == sorted(waits, reverse=True), f"the wait never grows: {waits}")


async def callers_are_counted_apart(open_limiter: Open) -> None:
    """A caller's requests count for that caller alone, whatever its name is made of."""
    async with open_limiter((Window(1, 3_600.0),)) as limiter:
        for caller in CALLERS:
            must((await limiter.take(caller)).admitted, f"{caller!r} has a quota of its own")
        for caller in CALLERS:
            must(not (await limiter.take(caller)).admitted, f"{caller!r} has used it up")


async def all_windows_must_admit(open_limiter: Open) -> None:
    """The one that is nearest to being full is named."""
    async with open_limiter((Window(2, 60.0), Window(3, 3_600.0))) as limiter:
        told = [await limiter.take("key:alice") for _ in range(3)]
        must([one.admitted for one in told] == [True, True, False], f"the smaller window holds: {told}")
        must((told[2].limit, told[2].window) == (2, 60.0), f"and is named: {told[2]}")


async def many_at_once_are_not_too_many(open_limiter: Open) -> None:
    """Of fifty that come together as many are admitted as the limit says, neither more nor fewer."""
    async with open_limiter(HOUR) as limiter:
        must(await _together(limiter, 50) == 3, "three of fifty are admitted")


async def _together(limiter: RateLimiter, number: int) -> int:
    told: list[Decision] = []

    async def take() -> None:
        told.append(await limiter.take("key:alice"))

    async with anyio.create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(take)
    return _admitted(told)


def _admitted(told: Iterable[Decision]) -> int:
    return sum(one.admitted for one in told)


async def who_waits_as_told_is_admitted(open_limiter: Open) -> None:
    """``retry_after`` is true, and the window slides: what has left it counts no more."""
    async with open_limiter((Window(1, 0.25),)) as limiter:
        for _ in range(3):
            told = await limiter.take("key:alice")
            while not told.admitted:
                wait = told.retry_after
                must(0.0 < wait <= 0.25, f"the wait is no longer than the window: {told}")
                await anyio.sleep(wait)
                told = await limiter.take("key:alice")
                # The limiter's clock need not be the caller's.
                must(told.admitted or told.retry_after < 0.005, f"who has waited {wait:g} s is admitted: {told}")


async def a_cancelled_caller_lets_nobody_in(open_limiter: Open) -> None:
    """Who gives up may have used up a request, and has harmed nobody else."""
    async with open_limiter(HOUR) as limiter:

        async def take() -> None:
            await limiter.take("key:alice")

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(take)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        told = [await limiter.take("key:alice") for _ in range(6)]
        must(1 <= _admitted(told) <= 3, f"no more than the limit, and what is left of it: {told}")
        must((await limiter.take("key:bob")).admitted, "others are counted as before")
