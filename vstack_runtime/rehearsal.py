"""Exchanges without a peer: a request recorded on a tape, or an exchange of another process brought to its end.

The performer is the one that every driver uses; only the bytes of a connection are left out. Works under asyncio and
trio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import anyio

from vstack_proto.commands import (
    Abort,
    AnyCommand,
    ArmDeadline,
    Asking,
    CancelCall,
    Commands,
    EndStream,
    ReadBody,
    Respond,
    SendPart,
    StartStream,
)
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import Answered, BodyEnded, BodyReceived, Crashed, DeadlinePassed, ExchangeEvent
from vstack_proto.exchange import AnyExchange
from vstack_proto.framing import Headers
from vstack_proto.intake import checked_head
from vstack_proto.replay import Redaction, Tape, TapedExchange, header_of, resumed, tape_of
from vstack_proto.state import DONE
from vstack_runtime.engine import Engine
from vstack_runtime.performer import LATER, Performer
from vstack_runtime.taping import build, settings_digest

Clock = Callable[[], float]

# For the peer's side of a connection, which is not there.
_NOT_PERFORMED = (Abort, CancelCall, EndStream, ReadBody, Respond, SendPart, StartStream)


class Rehearsal:
    """Drives one exchange from event to event, until it has nothing more to ask for."""

    def __init__(self, engine: Engine, exchange: AnyExchange, clock: Clock) -> None:
        """
        Args:
            engine: What the process is made of.
            exchange: A new one, or one to be continued.
            clock: Monotonic seconds, on the exchange's own scale.
        """
        self.exchange = exchange
        self._performer = Performer(engine, clock)
        self._clock = clock
        self._todo: list[ExchangeEvent] = []
        self._news = anyio.Event()
        self._deadline = float("inf")

    def tell(self, event: ExchangeEvent) -> None:
        """Feed an answer that came later."""
        self._todo.append(event)
        self._news.set()

    async def run(self, events: Iterable[ExchangeEvent], pending: Commands = ()) -> None:
        """Feed events, each once all that the one before it asked for is answered, and go on to the end.

        Args:
            events: What the peer does.
            pending: Commands that an earlier process left without an answer.
        """
        for command in pending:
            await self._carry_out(command)
        await self._work_off()
        for event in events:
            self._todo.append(event)
            await self._work_off()
        while self.exchange.state.phase is not DONE:
            await self._wait()
            await self._work_off()

    async def _wait(self) -> None:
        """For an answer that somebody else gives, such as the leader of a flight, and for the deadline."""
        with anyio.move_on_after(max(0.0, self._deadline - self._clock())) as scope:
            await self._news.wait()
        self._news = anyio.Event()
        if scope.cancelled_caught:
            self._todo.append(DeadlinePassed(at=self._clock()))

    async def _work_off(self) -> None:
        while self._todo:
            event = self._todo.pop(0)
            try:
                commands = self.exchange.handle(event)
            except LocalProtocolError:
                raise  # a mistake of whoever rehearses
            except Exception:
                commands = self.exchange.handle(Crashed(at=event.at))
            for command in commands:
                await self._carry_out(command)

    async def _carry_out(self, command: AnyCommand) -> None:
        if isinstance(command, ArmDeadline):
            self._deadline = command.when
        elif not isinstance(command, _NOT_PERFORMED):
            answer = self._performer.perform_now(command, self, self._clock())
            told = await self._within_deadline(command) if answer is LATER else cast("ExchangeEvent | None", answer)
            if told is not None:
                self._todo.append(told)

    async def _within_deadline(self, command: AnyCommand) -> ExchangeEvent | None:
        with anyio.move_on_after(max(0.0, self._deadline - self._clock())) as scope:
            return cast("ExchangeEvent | None", await self._performer.perform(command, self._hear))
        assert scope.cancelled_caught
        return DeadlinePassed(at=self._clock()) if isinstance(command, Asking) else None

    def _hear(self, news: Answered) -> None:
        self._todo.append(cast("ExchangeEvent", news))


async def record(
    engine: Engine,
    target: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: Headers = (),
    request_id: str = "req_0000000000000001",
    clock: Clock | None = None,
) -> Tape:
    """Make one request of an engine, without a server, and tape it.

    Args:
        engine: What the process is made of.
        target: Path and query.
        body: As it would be sent.
        method: Such as ``POST``.
        headers: Further ones, names in lower case.
        request_id: Where the headers bring none.
        clock: Monotonic seconds; that of the loop by default.
    """
    clock = clock or anyio.current_time
    exchange = TapedExchange(engine.service, lambda done: None)
    wall = engine.wall()
    length = (("content-length", str(len(body))), ("content-type", "application/json")) if body else ()
    head = checked_head(
        at=clock(),
        wall=wall,
        request_id=request_id,
        peer="127.0.0.1",
        scheme="http",
        method=method,
        target=target,
        headers=(("host", "rehearsal"), *length, *headers),
        http_version="1.1",
    )
    await Rehearsal(engine, exchange, clock).run(_sent(head, body, clock, exchange))
    return _tape(engine, exchange)


def _sent(head: ExchangeEvent, body: bytes, clock: Clock, exchange: AnyExchange) -> Iterable[ExchangeEvent]:
    """A request as its parts come; its body only where it is wanted."""
    yield head
    if body and exchange.state.phase is not DONE:
        yield BodyReceived(at=clock(), data=body)
    if body and exchange.state.phase is not DONE:
        yield BodyEnded(at=clock())


def _tape(engine: Engine, exchange: TapedExchange) -> Tape:
    settings = engine.settings
    log = Redaction(settings.tapes.redact).applied(engine.service, exchange.log)
    facts = {"build": build(), "settings": settings_digest(settings), "recorded": exchange.state.wall}
    return tape_of(header_of(engine.service, **facts), log)


async def go_on(engine: Engine, snapshot: bytes, events: Iterable[ExchangeEvent] = ()) -> tuple[Commands, ...]:
    """Bring an exchange to its end that another process, runtime or transport began.

    Args:
        engine: What this process is made of.
        snapshot: As ``vstack_proto.replay.snapshot`` gives it.
        events: What the peer still does, such as the rest of a body.

    Returns:
        What each event here led to; the answer is among the last.

    Raises:
        TapeError: The data is no snapshot.
    """
    _, taken = resumed(engine.service, snapshot)
    began = anyio.current_time()
    exchange = TapedExchange(engine.service, lambda done: None, taken.state)
    # Two processes do not count their seconds from the same moment.
    rehearsal = Rehearsal(engine, exchange, lambda: taken.at + anyio.current_time() - began)
    await rehearsal.run(events, taken.pending)
    return tuple(told for _, told in exchange.log if not isinstance(told, str))
