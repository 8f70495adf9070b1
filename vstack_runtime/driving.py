"""What the drivers of a connection share: feed an event, carry out what comes back, feed the answers."""

from __future__ import annotations

import contextvars
import random
from collections.abc import Callable
from typing import Protocol, cast

from vstack_proto.commands import (
    Abort,
    AnyCommand,
    ArmDeadline,
    Asking,
    CancelCall,
    Close,
    Command,
    PauseReading,
    ResumeReading,
    Send,
)
from vstack_proto.connection import Connection
from vstack_proto.events import Answered, AnyEvent, Crashed, ExchangeEvent, Underway
from vstack_proto.exchange import AnyExchange
from vstack_proto.state import State
from vstack_runtime.engine import Engine
from vstack_runtime.observing import bind
from vstack_runtime.performer import LATER, Performer


class Line(Protocol):
    """The bytes' side of a connection, as one runtime has it."""

    def write(self, data: bytes) -> None:
        """Send bytes, now or when the peer takes them."""
        ...

    def close(self) -> None:
        """Close once everything written has gone out."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...

    def pause_reading(self) -> None:
        """Read no more for now."""
        ...

    def resume_reading(self) -> None:
        """Read on."""
        ...

    def arm(self, when: float) -> None:
        """Call for a deadline at ``when``, in place of any earlier one."""
        ...

    def start(self, command: Asking, answered: Callable[[Answered], None]) -> Callable[[], object]:
        """Perform a command in a task of its own, and hand its answer over, and news of it before; returns what cancels
        the task.
        """
        ...

    def see_to(self, command: Command) -> None:
        """Perform a command that nobody waits for, even if the connection ends meanwhile."""
        ...


class Counted(Protocol):
    """A connection, as it is counted."""

    @property
    def active(self) -> bool:
        """Whether a request is under way."""
        ...


class Driving:
    """Drives one connection's machine over a line."""

    def __init__(self, engine: Engine, performer: Performer, line: Line, *, peer: str, scheme: str = "http") -> None:
        """
        Args:
            engine: What the process is made of.
            performer: Carries commands out.
            line: Where bytes go.
            peer: Address at the other end.
            scheme: ``http`` or ``https``.
        """
        # Ids only tell requests apart in logs; they guard nothing, so that they may be guessed.
        self.machine = Connection(engine.service, peer=peer, scheme=scheme, seed=random.getrandbits(64))
        self._observers = engine.observers
        self._performer = performer
        self._line = line
        self._todo: list[AnyEvent] = []
        # What runs in tasks for the exchange that ``_asker`` is, by ticket: how to cancel it.
        self._calls: dict[int, Callable[[], object]] = {}
        self._asker: AnyExchange | None = None
        at = performer.clock()
        self._carry_out(self.machine.opened(at), at)

    @property
    def active(self) -> bool:
        """Whether an exchange is under way."""
        return self.machine.exchange is not None

    def tell(self, event: ExchangeEvent) -> None:
        """Feed an answer that came later."""
        self.feed(event)

    def feed(self, event: AnyEvent) -> None:
        """Feed an event, carry out what comes back, and go on with the answers until there is nothing to do.

        Carrying out may bring further events (a transport says at once that a peer does not read): they wait their
        turn, so that no command is overtaken by those of a later event.
        """
        todo = self._todo
        todo.append(event)
        if len(todo) > 1:
            return
        try:
            for one in todo:
                commands = self._handle(one)
                if self._calls and self.machine.exchange is not self._asker:
                    self._drop_calls()
                self._carry_out(commands, one.at)
                while self.machine.held and one is todo[-1]:
                    self._carry_out(self._go_on(one.at), one.at)
        finally:
            todo.clear()

    def _handle(self, event: AnyEvent) -> tuple[AnyCommand, ...]:
        try:
            return self.machine.handle(event)
        except Exception:
            return self._crashed(event.at, type(event).__name__)

    def _crashed(self, at: float, met: str) -> tuple[AnyCommand, ...]:
        """A bug of ours: who waits for an answer is told so; where nobody does, the connection ends."""
        exchange = self.machine.exchange
        self._observers.crashed("an exchange crashed", State() if exchange is None else exchange.state, met=met)
        if met == Crashed.__name__ or exchange is None:
            return (Abort(),)
        return self._handle(Crashed(at=at))

    def _go_on(self, at: float) -> tuple[AnyCommand, ...]:
        try:
            return self.machine.go_on(at)
        except Exception:
            return self._crashed(at, "go_on")

    def _carry_out(self, commands: tuple[AnyCommand, ...], at: float) -> None:
        line = self._line
        for command in commands:
            kind = type(command)
            if type(command) is ArmDeadline:
                line.arm(command.when)
            elif type(command) is Send:
                line.write(command.data)
            elif kind is Close:
                line.close()
            elif kind is Abort:
                line.abort()
            elif kind is PauseReading:
                line.pause_reading()
            elif kind is ResumeReading:
                line.resume_reading()
            elif isinstance(command, CancelCall):
                if (cancel := self._calls.pop(command.ticket, None)) is not None:
                    cancel()
            else:
                self._perform(command, at)

    def _perform(self, command: Command, at: float) -> None:
        try:
            answer = self._performer.perform_now(command, self, at)
        except Exception:
            exchange = self.machine.exchange
            state = State() if exchange is None else exchange.state
            self._observers.crashed("a command could not be carried out", state, command=type(command).__name__)
            if isinstance(command, Asking):
                self._todo.append(Crashed(at=at))
            return
        if answer is LATER:
            self._start(command)
        elif answer is not None:
            self._todo.append(cast("ExchangeEvent", answer))

    def _start(self, command: Command) -> None:
        if not isinstance(command, Asking):
            self._line.see_to(command)
            return
        asker, ticket = self.machine.exchange, command.ticket

        def answered(answer: Answered) -> None:
            # Tickets begin anew with each exchange: what an earlier one asked for must not answer the present one.
            if self.machine.exchange is asker and ticket in self._calls:
                if not isinstance(answer, Underway):
                    del self._calls[ticket]
                self.feed(cast("ExchangeEvent", answer))

        # A task takes along the context that it is started in; the next exchange of this connection needs its own.
        context = contextvars.copy_context()
        if asker is not None:
            context.run(bind, asker.state)
        self._asker = asker
        self._calls[ticket] = context.run(self._line.start, command, answered)

    def _drop_calls(self) -> None:
        """The exchange is over: nobody wants what it still asked for."""
        for cancel in self._calls.values():
            cancel()
        self._calls.clear()
