"""Serves as ``vstack-api serve`` does, with a slow provider: ``slow_provider.py RUNTIME SECONDS [LIMITS]``.

``LIMITS`` is JSON: fields of ``Limits`` that are no settings, such as ``{"head_timeout": 0.5}``. The
settings come from the environment; the console script knows no provider that a test could ask.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

import anyio
import msgspec
import structlog

from vstack_proto.patterns.aar_passes import Review
from vstack_runtime.engine import Engine
from vstack_runtime.logs import configure
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping

REVIEW = msgspec.json.encode(Review("The record of July 1901.", "It was guessed.", (), ())).decode()


async def main(runtime: str, delay: float, limits: dict[str, float]) -> None:
    settings = Settings.from_env(os.environ)
    settings = msgspec.structs.replace(settings, limits=msgspec.structs.replace(settings.limits, **limits))
    configure(settings.log_level, settings.log_format)
    engine = Engine(settings, provider=ScriptedProvider([REVIEW], delay=delay), runtime=runtime)
    log = structlog.get_logger("vstack")
    stopping = Stopping(lambda port: log.info("listening", port=port))
    driver: Any = importlib.import_module(f"vstack_runtime.{runtime}_server")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heed_signals, stopping)
        await driver.serve(engine, "127.0.0.1", 0, stopping)
        tasks.cancel_scope.cancel()


async def heed_signals(stopping: Stopping) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            stopping.ask()


if __name__ == "__main__":
    told = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    anyio.run(main, sys.argv[1], float(sys.argv[2]), told, backend="trio" if sys.argv[1] == "trio" else "asyncio")
