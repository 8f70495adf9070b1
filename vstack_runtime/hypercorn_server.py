"""Runs the ASGI app on hypercorn, standalone; asyncio or uvloop underneath."""

from __future__ import annotations

import socket

import anyio
import hypercorn.asyncio
import hypercorn.config

from vstack_proto.wire import WireLimits
from vstack_runtime.asgi import App
from vstack_runtime.engine import Engine
from vstack_runtime.stopping import Stopping


def configuration(engine: Engine, listener: socket.socket) -> hypercorn.config.Config:
    """Hypercorn's configuration: our limits in its words."""
    limits, wire = engine.settings.limits, WireLimits()
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.fileno()}"]
    # Dates and names come from the exchange, so that answers are the same on every driver.
    config.include_date_header = False
    config.include_server_header = False
    config.h11_max_incomplete_size = wire.max_head_bytes
    config.keep_alive_timeout = limits.keep_alive_timeout
    config.keep_alive_max_requests = limits.max_requests_per_connection
    # The app has answered what it could before hypercorn is told to stop; what is left by then has had its time.
    config.graceful_timeout = 2.0
    config.shutdown_timeout = 4.0
    config.accesslog = None
    config.errorlog = None
    return config


async def serve(engine: Engine, host: str, port: int, stopping: Stopping) -> None:
    """Serve until ``stopping`` says otherwise, then drain.

    Args:
        engine: What the process is made of.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        stopping: When to stop, and whom to tell that the service listens.

    Raises:
        OSError: The address cannot be listened at.
    """
    app = App(engine)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=2048) as listener:
        stopping.listening(listener.getsockname()[1])
        config = configuration(engine, listener)

        async def until_drained() -> None:
            await stopping.wait()
            app.drain()
            await stopping.pause(engine.settings.drain_delay)
            if stopping.now or not await stopping.unless_now(_idle(app, engine.settings.limits.request_timeout)):
                app.stop()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_reload_keys, engine)
            await hypercorn.asyncio.serve(app, config, shutdown_trigger=until_drained)  # type: ignore[arg-type]
            tasks.cancel_scope.cancel()


async def _idle(app: App, seconds: float) -> bool:
    """Wait until no request is in flight; False where that takes longer than ``seconds``."""
    with anyio.move_on_after(seconds):
        while app.active:
            await anyio.sleep(0.02)
        return True
    return False


async def _reload_keys(engine: Engine) -> None:
    while engine.key_file is not None:
        await anyio.sleep(1.0)
        engine.reload_keys()
