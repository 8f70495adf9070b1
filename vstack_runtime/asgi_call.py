"""One request over ASGI: what the host server says becomes events, and what the exchange answers messages to it."""

from __future__ import annotations

from typing import cast

import anyio

from vstack_proto.commands import (
    Abort,
    AnyCommand,
    ArmDeadline,
    Asking,
    CancelCall,
    Command,
    EndStream,
    ReadBody,
    Respond,
    SendPart,
    StartStream,
)
from vstack_proto.events import (
    Answered,
    BodyEnded,
    BodyReceived,
    Crashed,
    DeadlinePassed,
    ExchangeEvent,
    PeerLeft,
    ShutdownAsked,
)
from vstack_proto.exchange import new_exchange
from vstack_proto.stage import MAX_WAITING_BYTES
from vstack_proto.state import Phase
from vstack_runtime.asgi_outbox import Message, Outbox, Receive, Send
from vstack_runtime.asgi_scope import Heads, Scope, owns_framing
from vstack_runtime.eager import Begun
from vstack_runtime.engine import Engine
from vstack_runtime.logs import get_logger
from vstack_runtime.observing import bind
from vstack_runtime.performer import LATER, Performer
from vstack_runtime.stopping import FLUSH_SECONDS

_log = get_logger()

_ANSWERS = frozenset({Respond, StartStream, SendPart, EndStream})


class Call:
    """One request."""

    def __init__(
        self, engine: Engine, performer: Performer, heads: Heads, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """
        Args:
            engine: What the process is made of.
            performer: Carries commands out.
            heads: Makes the first event.
            scope: Of type ``http``.
            receive: Gives the host server's messages.
            send: Takes ours.
        """
        self._engine = engine
        self._performer = performer
        self._heads = heads
        self._scope = scope
        self._receive = receive
        self._exchange = new_exchange(engine.service)
        limits = engine.service.policy.limits
        self._outbox = Outbox(self._exchange, limits, receive, send, framed=owns_framing(scope))
        self._deadline = float("inf")
        # Scopes and events cost more than most requests take: they are made once somebody waits.
        self._bell: anyio.CancelScope | None = None
        self._todo: list[ExchangeEvent] = []
        self._later: list[Asking] = []
        self._aside: list[Command] = []
        self._calls: dict[int, anyio.CancelScope] = {}
        self._held: list[Message] = []
        self._held_bytes = 0
        self._listens = False
        self._wanting: anyio.Event | None = None
        self._news: anyio.Event | None = None

    @property
    def _done(self) -> bool:
        return self._exchange.state.phase is Phase.DONE

    async def run(self) -> None:
        """Serve it."""
        try:
            if self._engine.status == "draining":
                self.tell(ShutdownAsked(at=self._now()))
            self.tell(self._heads.event(self._scope, at=self._now(), wall=self._engine.wall()))
            await self._read_body()
            if not self._done:
                await self._wait()
            await self._outbox.flush()
        except* OSError:
            _log.debug("the peer left before it had its answer")
        finally:
            if not self._done:
                # Whoever was cut short gives back what it holds: calls, and places in flights.
                self.tell(PeerLeft(at=self._now()))
        if self._aside:
            with anyio.move_on_after(FLUSH_SECONDS):
                for command in self._aside:
                    await self._performer.perform(command)

    def _now(self) -> float:
        return self._performer.clock()

    # Feeding the machine.

    def tell(self, event: ExchangeEvent) -> None:
        """Feed an event, and the answers that follow from it."""
        todo = self._todo
        todo.append(event)
        if len(todo) > 1:
            return
        try:
            for one in todo:
                for command in self._handle(one):
                    if type(command) is ArmDeadline:
                        self._deadline = command.when
                    elif type(command) in _ANSWERS:
                        self._outbox.put(command)  # type: ignore[arg-type]
                    else:
                        self._carry_out(command, one.at)
        finally:
            todo.clear()
        if self._bell is not None:
            self._bell.deadline = self._deadline
            if self._listens and self._done:
                self._bell.cancel()  # who waits for the body need not
        if self._news is not None:
            self._news.set()

    def _handle(self, event: ExchangeEvent) -> tuple[AnyCommand, ...]:
        try:
            return self._exchange.handle(event)
        except Exception:
            self._engine.observers.crashed("an exchange crashed", self._exchange.state, met=type(event).__name__)
            if isinstance(event, Crashed):
                raise  # the host server has an answer of its own for this
            return self._handle(Crashed(at=event.at))

    def _carry_out(self, command: AnyCommand, at: float) -> None:
        if isinstance(command, CancelCall):
            if (scope := self._calls.pop(command.ticket, None)) is not None:
                scope.cancel()
        elif isinstance(command, ReadBody):
            self._outbox.wanted = True
            if self._wanting is not None:
                self._wanting.set()
        elif not isinstance(command, Abort):
            self._perform_now(command, at)

    def _perform_now(self, command: Command, at: float) -> None:
        try:
            answer = self._performer.perform_now(command, self, at)
        except Exception:
            told = "a command could not be carried out"
            self._engine.observers.crashed(told, self._exchange.state, command=type(command).__name__)
            if isinstance(command, Asking):
                self._todo.append(Crashed(at=at))
            return
        if answer is not LATER:
            if answer is not None:
                self._todo.append(cast("ExchangeEvent", answer))
        elif isinstance(command, Asking):
            self._later.append(command)
        else:
            self._aside.append(command)

    # Waiting.

    async def _read_body(self) -> None:
        """Hand the body over as it comes; the host server sends 100 Continue when it is first asked for it."""
        while self._exchange.state.phase is Phase.BODY:
            begun = Begun(self._receive())
            message, self._listens = begun.result, True
            if not begun.done:
                with anyio.CancelScope(deadline=self._deadline) as self._bell:
                    message = await begun
            self._listens = False
            if message is not None:
                self._take(message)
            else:
                self.tell(DeadlinePassed(at=self._now()))

    def _take(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self.tell(PeerLeft(at=self._now()))
            return
        self._held.append(message)
        self._feed_body()

    def _feed_body(self) -> None:
        while self._held and self._exchange.state.phase is Phase.BODY:
            message = self._held.pop(0)
            data, state = bytes(message.get("body", b"")), self._exchange.state
            # What Content-Length announces is all there is: the host server need not be asked whether more comes.
            complete = not message.get("more_body", False) or state.received + len(data) == state.content_length > 0
            if data:
                self.tell(BodyReceived(at=self._now(), data=data, last=complete))
            elif complete:
                self.tell(BodyEnded(at=self._now()))

    async def _wait(self) -> None:
        """Something takes time: wait for it, for the deadline and for the caller's leaving, and send what comes."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_peer)
            tasks.start_soon(self._watch_clock)
            while True:
                self._news = anyio.Event()
                self._feed_body()
                if self._done:
                    break
                while self._later:
                    command = self._later.pop(0)
                    # Made here and not in the task: what is cancelled before its first step must not take it.
                    scope = self._calls[command.ticket] = anyio.CancelScope()
                    tasks.start_soon(self._perform, command, scope)
                await self._outbox.flush()
                await self._news.wait()
            # Nobody needs these any more, and the answer does not wait until they are taken down.
            for scope in self._calls.values():
                scope.cancel()
            await self._outbox.flush()
            tasks.cancel_scope.cancel()

    async def _watch_peer(self) -> None:
        # To ask for the body makes the host server send 100 Continue: not before it is wanted.
        if self._exchange.state.expects_continue:
            await self._until_wanted()
        while not self._done:
            message = await self._receive()
            self._held_bytes += len(message.get("body", b""))
            self._take(message)
            if self._held_bytes > MAX_WAITING_BYTES:
                # The rest stays with the host server; of the peer's leaving nothing is heard meanwhile.
                await self._until_wanted()

    async def _until_wanted(self) -> None:
        if not self._outbox.wanted:
            self._wanting = anyio.Event()
            await self._wanting.wait()

    async def _watch_clock(self) -> None:
        while not self._done:
            with anyio.CancelScope(deadline=self._deadline) as self._bell:
                await anyio.sleep_forever()
            self.tell(DeadlinePassed(at=self._now()))

    async def _perform(self, command: Asking, scope: anyio.CancelScope) -> None:
        bind(self._exchange.state)

        def told(news: Answered) -> None:
            if command.ticket in self._calls:
                self.tell(cast("ExchangeEvent", news))

        with scope:
            answer = await self._performer.perform(command, told)
            if self._calls.pop(command.ticket, None) is not None and answer is not None:
                self.tell(cast("ExchangeEvent", answer))
