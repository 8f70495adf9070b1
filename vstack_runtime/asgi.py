"""The ASGI driver: another server has the wire; an exchange begins at the head that it parsed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio

from vstack_proto.catalogue import AnyPattern
from vstack_proto.contributed import Contribute
from vstack_proto.events import ShutdownAsked
from vstack_runtime.asgi_call import Call
from vstack_runtime.asgi_outbox import Message, Receive, Send
from vstack_runtime.asgi_scope import Heads, Scope
from vstack_runtime.backends import CacheBackend, FlightStore, LocalCache, LocalRateLimiter, Provider, RateLimiter
from vstack_runtime.eager import loop_clock
from vstack_runtime.engine import KEYS_SECONDS, Engine
from vstack_runtime.logs import warn_once
from vstack_runtime.performer import Performer
from vstack_runtime.settings import Settings, given_or_read
from vstack_runtime.stopping import FLUSH_SECONDS
from vstack_runtime.stores import LearningStore, TelemetrySink
from vstack_runtime.taping import TapeRecorder

__all__ = ["App", "Message", "Receive", "Scope", "Send", "build_app"]


class App:
    """vstack as an ASGI application, for any server and under asyncio or trio."""

    def __init__(self, engine: Engine) -> None:
        """
        Args:
            engine: What the process is made of.
        """
        self.engine = engine
        self.performer = Performer(engine, anyio.current_time)
        self.active: set[Call] = set()
        self._freed: anyio.Event | None = None
        self._has_clock = self._closed = False
        self._keys_due = 0.0
        self._heads = Heads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            if not self._has_clock:
                # Only now is there a loop; to look it up for every event would cost more than the event.
                self.performer.clock = loop_clock()
                self._has_clock = True
            if self.engine.key_file is not None:
                self._watch_keys()
            call = Call(self.engine, self.performer, self._heads, scope, receive, send)
            self.active.add(call)
            try:
                await call.run()
            finally:
                self.active.discard(call)
                if self._freed is not None and not self.active:
                    self._freed.set()
                    self._freed = None
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    def _watch_keys(self) -> None:
        """See whether the keys have changed, in a call: a host need not let us run at other times."""
        now = self.performer.clock()
        if now >= self._keys_due:
            self._keys_due = now + KEYS_SECONDS
            self.engine.reload_keys()

    async def _live(self, receive: Receive, send: Send) -> None:
        """Ready once the host server has started us, draining once it stops us."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._open()
                await send({"type": "lifespan.startup.complete"})
            else:
                # A host that says so is done with its requests, or has given them up.
                await self.aclose(0.0)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _open(self) -> None:
        self._closed = False
        self.engine.ready()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For the lifespan of an application in which this one is mounted: ``async with app.running():``.

        Starlette and FastAPI pass their lifespan on to nothing that is mounted. Within the block, ``/readyz`` says
        ready; leaving it is ``aclose``, also by an exception or a cancellation.
        """
        self._open()
        try:
            yield
        finally:
            await self.aclose()

    async def aclose(self, patience: float | None = None) -> None:
        """End the service: ``/readyz`` says draining, what is in flight finishes, what was taken is kept.

        Telemetry, spans and reports are written within two seconds, and stores and the model service that the settings
        chose are closed; parts of your own stay open. The second time, nothing happens.

        Args:
            patience: Seconds for what is in flight; by default the request timeout. What remains is answered 503.
        """
        if self._closed:
            return
        self._closed = True
        self.drain()
        try:
            with anyio.move_on_after(self.engine.settings.limits.request_timeout if patience is None else patience):
                await self.wait_idle()
            self.stop()
            with anyio.move_on_after(FLUSH_SECONDS):
                await self.wait_idle()
        finally:
            # Whoever watches must hear of the last requests before it is closed.
            self.performer.flush()
            await self.engine.aclose()

    def drain(self) -> None:
        """From now on every answer closes its connection, and ``/readyz`` says that the service is stopping."""
        self.engine.drain()
        for call in list(self.active):
            call.tell(ShutdownAsked(at=self.performer.clock()))

    def stop(self) -> None:
        """Answer what is still in flight with 503."""
        for call in list(self.active):
            call.tell(ShutdownAsked(at=self.performer.clock(), now=True))

    async def wait_idle(self) -> None:
        """Wait until no request is in flight."""
        while self.active:
            if self._freed is None:
                self._freed = anyio.Event()
            await self._freed.wait()


def build_app(
    settings: Settings | None = None,
    *,
    cache: CacheBackend | LocalCache | None = None,
    limiter: RateLimiter | LocalRateLimiter | None = None,
    flights: FlightStore | None = None,
    provider: Provider | None = None,
    telemetry: TelemetrySink | None = None,
    tapes: TapeRecorder | None = None,
    learnings: LearningStore | None = None,
    patterns: Iterable[AnyPattern] | None = None,
    contributed: Iterable[Contribute] | None = None,
) -> App:
    """vstack as an ASGI application, for a server or to be mounted in an application.

    What is mounted hears nothing of the end from its host, and what it has not written yet is lost there, unless the
    host's own lifespan has ``async with app.running():``, or ends with ``await app.aclose()``.

    Args:
        settings: By default what the environment says; telemetry then goes to ``VSTACK_HOME``, else ``~/.vstack``.
        cache: Keeps detections, in the place of the one that the settings choose.
        limiter, provider, telemetry, tapes, learnings: Likewise.
        flights: Ties the flights of several replicas together, likewise; where a cache is given, none is chosen.
        patterns: The patterns to offer; by default every installed one.
        contributed: What adds routes, such as ``/mcp``; by default whatever is installed.

    Raises:
        SettingsError: A setting cannot be, or a provider or a store lacks its key or library.
        TypeError, ValueError, PackageError: A part does not fit its protocol; a pattern or package cannot be used.
    """
    chosen = given_or_read(settings)
    warn_once(chosen.warnings)
    engine = Engine(
        chosen,
        cache=cache,
        limiter=limiter,
        flights=flights,
        provider=provider,
        telemetry=telemetry,
        tapes=tapes,
        learnings=learnings,
        patterns=patterns,
        contributed=contributed,
        runtime="asgi",
    )
    # A host application need not pass the lifespan on to what it has mounted; being called at all means to be up.
    engine.status = "ready"
    engine.observers.open()
    return App(engine)
