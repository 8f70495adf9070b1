"""Runs the service on hypercorn, standalone; asyncio or uvloop underneath.

Hypercorn listens, decrypts and speaks HTTP/2, for which it calls the ASGI app; HTTP/1.1 is read by our own machine (see
``hypercorn_connection``), and equal requests over either are one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import anyio
import hypercorn.asyncio
import hypercorn.config

from vstack_proto.events import ShutdownAsked
from vstack_proto.wire import WireLimits
from vstack_runtime.asgi import App
from vstack_runtime.asyncio_server import AsyncioServer
from vstack_runtime.draining import stop_taking
from vstack_runtime.engine import Engine
from vstack_runtime.hypercorn_connection import close_idle, install
from vstack_runtime.listening import listen, port_of, prepare
from vstack_runtime.room import listeners
from vstack_runtime.stopping import BACKLOG, FLUSH_SECONDS, Stopping


class _Config(hypercorn.config.Config):
    """Hypercorn's, with sockets that are there already: made of their numbers, they would be any sockets."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        super().__init__()
        self._sockets = list(sockets)

    def create_sockets(self) -> hypercorn.config.Sockets:
        """The sockets, whose turn it is."""
        if self.ssl_enabled:
            return hypercorn.config.Sockets(self._sockets, [], [])
        return hypercorn.config.Sockets([], self._sockets, [])


def configuration(engine: Engine, sockets: Sequence[socket.socket]) -> hypercorn.config.Config:
    """Hypercorn's configuration: our limits in its words. The listeners become hypercorn's, which closes them."""
    limits, wire = engine.settings.limits, WireLimits()
    config = _Config(sockets)
    config.backlog = BACKLOG  # it listens anew, else for 100
    # Dates and names come from the exchange, so that answers are the same on every driver.
    config.include_date_header = False
    config.include_server_header = False
    config.h11_max_incomplete_size = wire.max_head_bytes
    config.keep_alive_timeout = limits.keep_alive_timeout
    config.keep_alive_max_requests = limits.max_requests_per_connection
    # How long what is in flight may take is watched in ``serve``, which ends it in time; this must not come before.
    config.graceful_timeout = limits.request_timeout + 2 * FLUSH_SECONDS
    config.shutdown_timeout = 2 * FLUSH_SECONDS
    config.accesslog = None
    config.errorlog = None
    return config


async def serve(
    engine: Engine, host: str, port: int, stopping: Stopping, sockets: Sequence[socket.socket] | None = None
) -> None:
    """Serve until ``stopping`` says otherwise, then drain.

    Args:
        engine: What the process is made of.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        stopping: When to stop, and whom to tell that the service listens.
        sockets: Where to listen, in the place of host and port; they are closed at the end.

    Raises:
        OSError: The address cannot be listened at.
    """
    app, server = App(engine), AsyncioServer(engine)
    app.performer = server.performer
    sockets = listen(host, port) if sockets is None else sockets
    prepare(sockets, engine.settings.limits.write_timeout)
    stopping.listening(port_of(sockets))
    # Of our own, since hypercorn takes the others over.
    handles = [sock.dup() for sock in sockets]
    install(app, server)
    taken_over = listeners(sockets, server.room)
    # Hypercorn closes its listeners when this is set, and its connections as they become idle.
    closing = anyio.Event()
    # A plain task, since a scope of anyio cancels again and again, which hypercorn's own ending does not stand.
    serving = asyncio.create_task(
        hypercorn.asyncio.serve(app, configuration(engine, taken_over), shutdown_trigger=closing.wait)  # type: ignore[arg-type]
    )
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(engine.watch)
            tasks.start_soon(_wait_for, serving, tasks.cancel_scope)
            await stopping.wait()
            await _drain(app, server, handles, stopping, closing)
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            closing.set()
            for handle in handles:
                handle.close()
            in_time = await _end(app, server, serving)
    if in_time:
        serving.result()


async def _drain(
    app: App, server: AsyncioServer, handles: Sequence[socket.socket], stopping: Stopping, closing: anyio.Event
) -> None:
    def close() -> None:
        for handle in handles:
            handle.close()
        closing.set()
        close_idle(app)

    app.drain()
    await stop_taking(server, stopping, handles, close)
    await stopping.unless_now(_idle(app, server, server.engine.settings.limits.request_timeout))


async def _end(app: App, server: AsyncioServer, serving: asyncio.Task[None]) -> bool:
    """Answer what is left with 503, and wait until hypercorn has ended; whether it did so in time."""
    close_idle(app)
    app.stop()
    server.tell_all(ShutdownAsked(at=server.performer.clock(), now=True))
    await server.wait_closed(FLUSH_SECONDS)
    await server.end()
    _, late = await asyncio.wait([serving], timeout=FLUSH_SECONDS)
    # Whoever does not take its answer is cut off. What hypercorn then fails with is its own affair.
    serving.cancel()
    await asyncio.wait([serving], timeout=FLUSH_SECONDS)
    server.performer.flush()
    if late and serving.done() and not serving.cancelled():
        serving.exception()
    return not late


async def _wait_for(serving: asyncio.Task[None], scope: anyio.CancelScope) -> None:
    await asyncio.wait([serving])
    scope.cancel()


async def _idle(app: App, server: AsyncioServer, seconds: float) -> bool:
    """Wait until no request is in flight; False where that takes longer than ``seconds``."""
    with anyio.move_on_after(seconds):
        await app.wait_idle()
        return await server.wait_closed(seconds)
    return False
