"""The server inside somebody's own program, under asyncio or trio: ``async with vstack_runtime.serve():``."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskStatus

from vstack_proto.catalogue import AnyPattern
from vstack_proto.contributed import Contribute
from vstack_runtime.backends import CacheBackend, FlightStore, LocalCache, LocalRateLimiter, Provider, RateLimiter
from vstack_runtime.engine import Engine
from vstack_runtime.logs import warn_once
from vstack_runtime.settings import Settings, given_or_read
from vstack_runtime.stopping import Stopping
from vstack_runtime.stores import LearningStore, TelemetrySink
from vstack_runtime.taping import TapeRecorder


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
    tapes: TapeRecorder | None = None,
    learnings: LearningStore | None = None,
    patterns: Iterable[AnyPattern] | None = None,
    contributed: Iterable[Contribute] | None = None,
) -> AsyncIterator[int]:
    """Serve over HTTP while the block runs; give the port. The driver is that of the loop that runs: asyncio or trio.

    Leaving the block stops the service as SIGTERM stops ``vstack-api``: what is in flight finishes, within the request
    timeout. An exception of the block does the same and is then raised as it is; a cancellation stops at once.

    Args:
        settings: By default what the environment says.
        host, port: In the place of those of ``settings``; port 0 takes a free one.
        drain_delay: Seconds between ``/readyz`` saying 503 and the end of listening; a balancer in front wants some.
        cache, limiter, flights, provider, telemetry, tapes, learnings, patterns, contributed: As for ``build_app``.

    Raises:
        OSError: The address cannot be listened at.
        SettingsError, TypeError: As for ``build_app``; also where host, port or delay cannot be.
    """
    where = {"host": host, "port": port, "drain_delay": drain_delay}
    stores = {"cache": cache, "limiter": limiter, "flights": flights, "telemetry": telemetry, "learnings": learnings}
    own: dict[str, Any] = {"provider": provider, "patterns": patterns, "tapes": tapes, **stores}
    engine = Engine(_moved(settings, where), contributed=contributed, runtime=(runtime := _runtime()), **own)
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


def _moved(settings: Settings | None, where: dict[str, Any]) -> Settings:
    chosen = given_or_read(settings)
    warn_once(chosen.warnings)
    given = {name: value for name, value in where.items() if value is not None}
    return msgspec.structs.replace(chosen, **given)


def _runtime() -> str:
    """The loop that runs."""
    return "trio" if anyio.get_cancelled_exc_class().__module__.startswith("trio") else "asyncio"


async def _run(engine: Engine, runtime: str, *, task_status: TaskStatus[tuple[int, Stopping]]) -> None:
    driver: Any = importlib.import_module(f"vstack_runtime.{runtime}_server")
    stopping = Stopping(lambda port: task_status.started((port, stopping)))
    try:
        await driver.serve(engine, engine.settings.host, engine.settings.port, stopping)
    finally:
        await engine.aclose()
