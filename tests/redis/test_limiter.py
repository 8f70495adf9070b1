"""A quota that replicas share: exact, on the server's clock alone."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.redis.conftest import Run
from tests.redis.kit import RedisServer, until
from vstack_proto.quota import Decision, SlidingWindow, Window
from vstack_runtime.redis.guard import Patience
from vstack_runtime.redis.limiter import TAKE, RedisRateLimiter
from vstack_runtime.redis.script import Script

HAMMER = Path(__file__).with_name("hammer.py")
CLOCK = "tonumber(time[1]) * 1000000 + tonumber(time[2])"
SECOND = 1_000_000
pytestmark = pytest.mark.usefixtures("patient_client")

SLOW = Patience(deadline=30.0)


# The clock is the last argument; all else is the script's own.
BY_ARGUMENT = Script(TAKE.replace(CLOCK, "tonumber(ARGV[#ARGV])").replace("1, #ARGV, 2", "1, #ARGV - 1, 2"))


class ByScript(RedisRateLimiter):
    """The limiter with a clock that the test sets, in microseconds."""

    def at(self, now: int) -> None:
        self._args = [*self._args[: 2 * len(self._windows)], now]
        self._take = BY_ARGUMENT


windows = st.lists(
    st.builds(Window, st.integers(1, 6), st.sampled_from([1.0, 2.0, 3.5, 10.0])), min_size=1, max_size=3
).map(tuple)
# Whole and half seconds make admissions leave a window at the very moment of a request.
steps = st.lists(st.sampled_from([0.0, 0.000001, 0.25, 0.5, 1.0, 2.0, 3.5, 11.0]), min_size=1, max_size=25)


@given(windows=windows, steps=steps)
def test_it_decides_as_the_local_limiter_does(
    shared_server: RedisServer, windows: tuple[Window, ...], steps: list[float]
) -> None:
    limiter, local, key = ByScript(shared_server.url, windows, patience=SLOW), SlidingWindow(windows), uuid.uuid4().hex
    moments = [1_000 * SECOND]
    for step in steps:
        moments.append(moments[-1] + round(step * SECOND))

    async def decide() -> list[Decision]:
        found = []
        for now in moments:
            limiter.at(now)
            found.append(await limiter.take(key))
        await limiter.aclose()
        return found

    decided = anyio.run(decide)
    for now, one in zip(moments, decided, strict=True):
        expected = local.take(key, now / SECOND)
        assert (one.admitted, one.limit, one.remaining, one.window) == (
            expected.admitted,
            expected.limit,
            expected.remaining,
            expected.window,
        )
        assert one.retry_after == pytest.approx(expected.retry_after, abs=1e-5)
        assert one.reset == pytest.approx(expected.reset, abs=1e-5)


def test_a_clock_that_is_set_back_lets_nobody_in_twice(shared_server: RedisServer, run: Run[None]) -> None:
    assert CLOCK in TAKE

    async def test() -> None:
        limiter, key = ByScript(shared_server.url, (Window(1, 60.0),), patience=SLOW), uuid.uuid4().hex
        limiter.at(1_000 * SECOND)
        assert (await limiter.take(key)).admitted
        limiter.at(900 * SECOND)
        assert await limiter.take(key) == Decision(False, 1, 0, 60.0, 60.0, 60.0)
        await limiter.aclose()

    run(test)


def test_a_refused_request_consumes_nothing_and_a_key_expires(shared_server: RedisServer, run: Run[None]) -> None:
    name = f"addr:{uuid.uuid4().hex}"
    key = f"vstack:quota:{{{name}}}"

    async def test() -> None:
        limiter = RedisRateLimiter(shared_server.url, (Window(2, 60.0), Window(5, 3600.0)), patience=SLOW)
        told = [await limiter.take(name) for _ in range(5)]
        assert [one.admitted for one in told] == [True, True, False, False, False]
        assert [one.remaining for one in told] == [1, 0, 0, 0, 0]
        assert 59.0 < told[2].retry_after <= 60.0
        assert told[2].limit == 2
        await limiter.aclose()

    run(test)
    assert shared_server.number("LLEN", key) == 2
    # It is gone when the longest window has let go of the last admission.
    assert 3_599_000 < shared_server.number("PTTL", key) <= 3_600_001


def test_a_key_holds_no_more_than_the_largest_limit(shared_server: RedisServer, run: Run[None]) -> None:
    name = uuid.uuid4().hex

    async def test() -> None:
        limiter = ByScript(shared_server.url, (Window(3, 1.0), Window(4, 0.5)), patience=SLOW)
        for second in range(10):
            for _ in range(5):
                limiter.at(second * 10 * SECOND)
                await limiter.take(name)
        await limiter.aclose()

    run(test)
    assert shared_server.number("LLEN", f"vstack:quota:{{{name}}}") == 3


def test_without_a_window_there_is_nothing_to_count() -> None:
    with pytest.raises(ValueError, match="at least one window"):
        RedisRateLimiter("redis://127.0.0.1", ())


def hammered(url: str, clocks: Sequence[tuple[float, float, str]], enough: RedisServer, key: str) -> int:
    """Let processes hammer one key until it has been admitted a while; how often they say that they were admitted."""
    argv = [sys.executable, str(HAMMER), url]
    processes = [
        subprocess.Popen(
            [*argv, str(offset), str(rate), loop], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for offset, rate, loop in clocks
    ]
    try:
        assert until(lambda: enough.number("LLEN", key) >= 70)
        return sum(int(process.communicate("", timeout=60)[0]) for process in processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_four_processes_with_wrong_clocks_admit_exactly_as_many_as_allowed(shared_server: RedisServer) -> None:
    """An hour ahead, an hour behind, at half and at double speed; asyncio and trio."""
    key = "vstack:quota:{key:everybody}"
    shared_server.ask("DEL", key)
    clocks = [(3600.0, 1.0, "asyncio"), (-3600.0, 1.0, "trio"), (86_400.0, 2.0, "asyncio"), (0.0, 0.5, "trio")]
    admitted = hammered(shared_server.url, clocks, shared_server, key)
    told = shared_server.ask("LRANGE", key, "0", "-1").split("\r\n")
    stamps = [int(line) for line in told if line.isdigit()]
    # The second window is so large that the key still holds every admission; whoever was admitted is in it, once.
    assert admitted == len(stamps) >= 70
    # Of 21 in a row, the last came half a second after the first or later: no window of that length holds more than 20.
    assert all(late - early >= SECOND // 2 for early, late in zip(stamps, stamps[20:], strict=False))
    # And hammered like that, some stretch of that length has all of its 20.
    assert any(late - early < SECOND // 2 for early, late in zip(stamps, stamps[19:], strict=False))
