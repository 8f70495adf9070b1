"""The ASGI driver: another server has the wire; an exchange begins at the head that it parsed."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, cast
from urllib.parse import quote

import anyio
import structlog

from vstack_proto.catalogue import AnyPattern
from vstack_proto.commands import (
    Abort,
    AnyCommand,
    ArmDeadline,
    CancelCall,
    Command,
    EndStream,
    ReadBody,
    Respond,
    SendPart,
    StartStream,
)
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import (
    BodyEnded,
    BodyReceived,
    Crashed,
    DeadlinePassed,
    ExchangeEvent,
    PeerLeft,
    ShutdownAsked,
)
from vstack_proto.exchange import Exchange
from vstack_proto.framing import Headers
from vstack_proto.intake import checked_head
from vstack_proto.state import Phase
from vstack_runtime.backends import CacheBackend, LocalCache, LocalRateLimiter, Provider, RateLimiter
from vstack_runtime.engine import Engine
from vstack_runtime.logs import bind_request_id
from vstack_runtime.performer import LATER, Performer
from vstack_runtime.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = structlog.get_logger("vstack")


class App:
    """vstack as an ASGI application, for any server and under asyncio or trio."""

    def __init__(self, engine: Engine) -> None:
        """
        Args:
            engine: What the process is made of.
        """
        self.engine = engine
        self.performer = Performer(engine, anyio.current_time)
        self.active: set[_Call] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            await _Call(self, scope, receive, send).run()
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Ready once the host server has started us, draining once it stops us."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.engine.status = "ready"
                await send({"type": "lifespan.startup.complete"})
            else:
                self.drain()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def drain(self) -> None:
        """From now on every answer closes its connection, and ``/readyz`` says that the service is stopping."""
        self.engine.drain()
        for call in list(self.active):
            call.tell(ShutdownAsked(at=self.performer.clock()))

    def stop(self) -> None:
        """Answer what is still in flight with 503."""
        for call in list(self.active):
            call.tell(ShutdownAsked(at=self.performer.clock(), now=True))


class _Call:
    """One request."""

    def __init__(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._exchange = Exchange(app.engine.service)
        self._deadline = float("inf")
        self._outbox: list[Respond | StartStream | SendPart | EndStream] = []
        self._later: list[Command] = []
        self._calls: dict[int, anyio.CancelScope] = {}
        self._news = anyio.Event()

    @property
    def _done(self) -> bool:
        return self._exchange.state.phase is Phase.DONE

    async def run(self) -> None:
        self._app.active.add(self)
        try:
            self.tell(self._head())
            await self._read_body()
            if not self._done:
                await self._wait()
            await self._flush()
        finally:
            # Whoever was cut short gives back what it holds: calls, and places in flights.
            self._app.active.discard(self)
            self.tell(PeerLeft(at=self._now()))

    def _now(self) -> float:
        return self._app.performer.clock()

    def _head(self) -> ExchangeEvent:
        scope = self._scope
        if self._app.engine.status == "draining":
            self._exchange.handle(ShutdownAsked(at=self._now()))
        client = scope.get("client")
        # HTTP/2 and later have no framing that could be forged in the head; their authority comes as Host.
        version = scope["http_version"] if scope["http_version"] in ("1.0", "1.1") else "1.1"
        return checked_head(
            at=self._now(),
            wall=self._app.engine.wall(),
            request_id=f"req_{random.getrandbits(64):016x}",
            peer=client[0] if client else "local",
            scheme=scope.get("scheme", "http"),
            method=scope["method"],
            target=_target(scope),
            headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
            http_version=version,
        )

    # Feeding the machine.

    def tell(self, event: ExchangeEvent) -> None:
        """Feed an event, and the answers that follow from it."""
        todo = [event]
        for one in todo:
            for command in self._handle(one):
                answer = self._carry_out(command, one.at)
                if answer is not None:
                    todo.append(answer)
        self._news.set()

    def _handle(self, event: ExchangeEvent) -> tuple[AnyCommand, ...]:
        try:
            return self._exchange.handle(event)
        except LocalProtocolError:
            raise
        except Exception:
            bind_request_id(self._exchange.state.request_id)
            _log.exception("an exchange crashed", met=type(event).__name__)
            return self._exchange.handle(Crashed(at=event.at))

    def _carry_out(self, command: AnyCommand, at: float) -> ExchangeEvent | None:
        if isinstance(command, ArmDeadline):
            self._deadline = command.when
        elif isinstance(command, Respond | StartStream | SendPart | EndStream):
            self._outbox.append(command)
        elif isinstance(command, CancelCall):
            scope = self._calls.pop(command.ticket, None)
            if scope is not None:
                scope.cancel()
        elif not isinstance(command, Abort | ReadBody):
            answer = self._app.performer.perform_now(command, self, at)
            if answer is LATER:
                self._later.append(command)
            elif answer is not None:
                return cast(ExchangeEvent, answer)
        return None

    # Waiting.

    async def _read_body(self) -> None:
        """Hand the body over as it comes; the host server sends 100 Continue when it is first asked for it."""
        while self._exchange.state.phase <= Phase.BODY:
            if self._later:
                await self._perform_later()
                continue
            with anyio.move_on_after(max(0.0, self._deadline - self._now())) as scope:
                message = await self._receive()
            if scope.cancelled_caught:
                self.tell(DeadlinePassed(at=self._now()))
            elif message["type"] == "http.disconnect":
                self.tell(PeerLeft(at=self._now()))
            else:
                self._body_part(message)

    def _body_part(self, message: Message) -> None:
        data = message.get("body", b"")
        if data:
            self.tell(BodyReceived(at=self._now(), data=bytes(data)))
        if not message.get("more_body", False) and not self._done:
            self.tell(BodyEnded(at=self._now()))

    async def _perform_later(self) -> None:
        command = self._later.pop(0)
        answer = await self._app.performer.perform(command)
        if answer is not None:
            self.tell(cast(ExchangeEvent, answer))

    async def _wait(self) -> None:
        """Something takes time: wait for it, for the deadline and for the caller's leaving, and send what comes."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_peer)
            tasks.start_soon(self._watch_clock)
            while not self._done:
                self._news = anyio.Event()
                while self._later:
                    tasks.start_soon(self._perform, self._later.pop(0))
                await self._flush()
                if not self._done:
                    await self._news.wait()
            tasks.cancel_scope.cancel()

    async def _watch_peer(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.tell(PeerLeft(at=self._now()))

    async def _watch_clock(self) -> None:
        while not self._done:
            await anyio.sleep(max(0.0, self._deadline - self._now()))
            if self._now() >= self._deadline:
                self.tell(DeadlinePassed(at=self._now()))

    async def _perform(self, command: Command) -> None:
        ticket = getattr(command, "ticket", 0)
        with anyio.CancelScope() as self._calls[ticket]:
            answer = await self._app.performer.perform(command)
            self._calls.pop(ticket, None)
            if answer is not None:
                self.tell(cast(ExchangeEvent, answer))

    # Answering.

    async def _flush(self) -> None:
        while self._outbox:
            command = self._outbox.pop(0)
            if isinstance(command, Respond):
                await self._start(command.status, command.headers)
                await self._send({"type": "http.response.body", "body": command.body})
            elif isinstance(command, StartStream):
                await self._start(command.status, command.headers)
            elif isinstance(command, SendPart):
                await self._send({"type": "http.response.body", "body": command.data, "more_body": True})
            else:
                await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: Headers) -> None:
        # HTTP/2 knows no Connection field (RFC 9113, section 8.2.2).
        old = self._scope["http_version"] in ("1.0", "1.1")
        encoded = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers if old or n != "connection"]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


def _target(scope: Scope) -> str:
    """The request target as it was sent, less the prefix under which a host application has mounted us."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope["path"])
    prefix = quote(scope.get("root_path", ""))
    if prefix and path.startswith(prefix):
        path = path[len(prefix) :] or "/"
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path


def build_app(
    settings: Settings | None = None,
    *,
    cache: CacheBackend | LocalCache | None = None,
    limiter: RateLimiter | LocalRateLimiter | None = None,
    provider: Provider | None = None,
    patterns: Iterable[AnyPattern] | None = None,
) -> App:
    """vstack as an ASGI application.

    Args:
        settings: By default what the environment says.
        cache: Keeps detections, in the place of the one that the settings choose.
        limiter: Counts requests, likewise.
        provider: Answers model calls, likewise.
        patterns: The patterns to offer; by default every installed one.

    Raises:
        SettingsError: The environment holds a setting that cannot be.
    """
    chosen = settings if settings is not None else Settings.from_env(os.environ)
    engine = Engine(chosen, cache=cache, limiter=limiter, provider=provider, patterns=patterns, runtime="asgi")
    # A host application need not pass the lifespan on to what it has mounted; being called at all means to be up.
    engine.status = "ready"
    return App(engine)
