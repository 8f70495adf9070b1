"""The server inside somebody's own program, under asyncio or trio: ``async with vstack_runtime.serve():``."""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskStatus

from vstack_proto.catalogue import AnyPattern
from vstack_runtime.backends import CacheBackend, FlightStore, LocalCache, LocalRateLimiter, Provider, RateLimiter
from vstack_runtime.engine import Engine
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping
from vstack_runtime.stores import LearningStore, TelemetrySink


@asynccontextmanager
async def serve(
    settings: Settings | None = None,
    *,
    host: str | None = None,
    port: int | None = None,
    drain_delay: float = 0.0,
    cache: CacheBackend | LocalCache | None = None,
    limiter: RateLimiter | LocalRateLimiter | None = None,
    flights: FlightStore | None = None,
    provider: Provider | None = None,
    telemetry: TelemetrySink | None = None,
    learnings: LearningStore | None = None,
    patterns: Iterable[AnyPattern] | None = None,
) -> AsyncIterator[int]:
    """Serve over HTTP while the block runs; give the port. The driver is that of the loop that runs: asyncio or trio.

    Leaving the block stops the service as SIGTERM stops ``vstack-api``: what is in flight finishes, within the request
    timeout. An exception of the block does the same and is then raised as it is; a cancellation stops at once.

    Args:
        settings: By default what the environment says.
        host: In the place of ``settings.host``.
        port: In the place of ``settings.port``; 0 takes a free one.
        drain_delay: Seconds between ``/readyz`` saying 503 and the end of listening; a balancer in front wants some.
        cache, limiter, flights, provider, telemetry, learnings, patterns: As for ``build_app``.

    Raises:
        OSError: The address cannot be listened at.
        SettingsError: The environment holds a setting that cannot be.
    """
    chosen = settings if settings is not None else Settings.from_env(os.environ)
    where = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    chosen = msgspec.structs.replace(chosen, drain_delay=drain_delay, **where)
    runtime = "trio" if anyio.get_cancelled_exc_class().__module__.startswith("trio") else "asyncio"
    own: dict[str, Any] = {"cache": cache, "limiter": limiter, "telemetry": telemetry, "learnings": learnings}
    engine = Engine(chosen, provider=provider, patterns=patterns, runtime=runtime, flights=flights, **own)
    fault: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            bound, stopping = await tasks.start(_run, engine, runtime)
            try:
                yield bound
            finally:
                stopping.ask()
        except Exception as error:
            # Raised beyond the group, which would wrap it.
            fault = error
    if fault is not None:
        raise fault


async def _run(engine: Engine, runtime: str, *, task_status: TaskStatus[tuple[int, Stopping]]) -> None:
    driver: Any = importlib.import_module(f"vstack_runtime.{runtime}_server")
    stopping = Stopping(lambda port: task_status.started((port, stopping)))
    try:
        await driver.serve(engine, engine.settings.host, engine.settings.port, stopping)
    finally:
        await engine.aclose()
