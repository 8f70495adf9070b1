"""A process that takes from one quota as fast as it can, by a clock that is wrong: ``hammer.py URL OFFSET RATE LOOP``.

It hammers while its stdin is open, and then tells how often it was admitted.
"""

from __future__ import annotations

import sys
import threading
import time

URL, OFFSET, RATE, LOOP = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]

_began, _wall, _monotonic = time.perf_counter(), time.time(), time.monotonic()
# Before anything else is imported that could keep the real ones.
time.time = lambda: _wall + OFFSET + (time.perf_counter() - _began) * RATE
time.monotonic = lambda: _monotonic + abs(OFFSET) + (time.perf_counter() - _began) * RATE

import anyio  # noqa: E402

from vstack_proto.quota import Window  # noqa: E402
from vstack_runtime.redis.guard import Patience  # noqa: E402
from vstack_runtime.redis.limiter import RedisRateLimiter  # noqa: E402


async def main(ended: threading.Event) -> int:
    limiter = RedisRateLimiter(URL, (Window(20, 0.5), Window(100_000, 3600.0)), patience=Patience(deadline=30.0))
    admitted = 0
    while not ended.is_set():
        admitted += (await limiter.take("key:everybody")).admitted
    await limiter.aclose()
    return admitted


def until_closed(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    end = threading.Event()
    threading.Thread(target=until_closed, args=(end,), daemon=True).start()
    print(anyio.run(main, end, backend=LOOP))
