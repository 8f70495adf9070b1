"""One replica of the service, with a provider that takes its time: ``replica.py RUNTIME SECONDS LOCK_SECONDS``.

As ``tests/e2e/slow_provider.py``, with locks that expire sooner than anybody would want to wait for in a test.
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
from vstack_runtime.redis.flights import RedisFlights
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping


async def main(runtime: str, delay: float, lock: float) -> None:
    settings = Settings.from_env(os.environ)
    configure(settings.log_level, settings.log_format)
    flights = RedisFlights(settings.cache, lock_seconds=lock)
    engine = Engine(settings, provider=ScriptedProvider([REVIEW], delay=delay), flights=flights, runtime=runtime)
    log = structlog.get_logger("vstack")
    stopping = Stopping(lambda port: log.info("listening", port=port))
    driver: Any = importlib.import_module(f"vstack_runtime.{runtime}_server")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heed_signals, stopping)
        await driver.serve(engine, "127.0.0.1", 0, stopping)
        tasks.cancel_scope.cancel()
    await flights.aclose()
    await engine.aclose()


if __name__ == "__main__":
    backend = "trio" if sys.argv[1] == "trio" else "asyncio"
    anyio.run(main, sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), backend=backend)
