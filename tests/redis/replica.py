"""One replica of the service, with a provider that takes its time: ``replica.py RUNTIME SECONDS LOCK_SECONDS``.

As ``tests/e2e/slow_provider.py``, with locks that expire sooner than anybody would want to wait for in a test, and with
more patience with Redis than a service has: on a machine that is busy with other tests a call may take
longer than 50 ms, or than a second, and its answer would be taken for none.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import anyio
import structlog

from tests.e2e.slow_provider import REVIEW, heed_signals
from vstack_runtime.engine import Engine
from vstack_runtime.logs import configure
from vstack_runtime.redis import client
from vstack_runtime.redis.cache import RedisCache
from vstack_runtime.redis.flights import RedisFlights
from vstack_runtime.redis.guard import Patience
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping

PATIENCE = 10.0


async def main(runtime: str, delay: float, lock: float) -> None:
    settings = Settings.from_env(os.environ)
    configure(settings.log_level, settings.log_format)
    client.CONNECT_SECONDS = client.ANSWER_SECONDS = PATIENCE
    patience = Patience(deadline=PATIENCE)
    cache = RedisCache(settings.cache, patience=patience)
    flights = RedisFlights(settings.cache, patience=patience, lock_seconds=lock)
    provider = ScriptedProvider([REVIEW], delay=delay)
    engine = Engine(settings, provider=provider, cache=cache, flights=flights, runtime=runtime)
    log = structlog.get_logger("vstack")
    stopping = Stopping(lambda port: log.info("listening", port=port))
    driver: Any = importlib.import_module(f"vstack_runtime.{runtime}_server")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heed_signals, stopping)
        await driver.serve(engine, "127.0.0.1", 0, stopping)
        tasks.cancel_scope.cancel()
    await flights.aclose()
    await cache.aclose()
    await engine.aclose()


if __name__ == "__main__":
    backend = "trio" if sys.argv[1] == "trio" else "asyncio"
    anyio.run(main, sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), backend=backend)
