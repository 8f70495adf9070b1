"""What the drivers of a connection share: feed an event, carry out what comes back, feed the answers."""

from __future__ import annotations

import random
from typing import Protocol

import structlog

from vstack_proto.commands import (
    Abort,
    AnyCommand,
    ArmDeadline,
    CancelCall,
    Close,
    Command,
    PauseReading,
    ResumeReading,
    Send,
)
from vstack_proto.connection import Connection
from vstack_proto.events import AnyEvent, Crashed, ExchangeEvent
from vstack_runtime.engine import Engine
from vstack_runtime.logs import bind_request_id
from vstack_runtime.performer import LATER, Outcome, Performer

_log = structlog.get_logger("vstack")


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

    def start(self, command: Command, ticket: int) -> None:
        """Perform a command in a task of its own, and tell its answer."""
        ...

    def cancel(self, ticket: int) -> None:
        """Cancel the task of a ticket."""
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
        # Ids must not be guessable from one another only as far as logs go; they guard nothing.
        self.machine = Connection(engine.service, peer=peer, scheme=scheme, seed=random.getrandbits(64))
        self._engine = engine
        self._performer = performer
        self._line = line
        self._carry_out(self.machine.opened(performer.clock()), performer.clock(), [])

    def tell(self, event: ExchangeEvent) -> None:
        """Feed an answer that came later."""
        self.feed(event)

    def feed(self, event: AnyEvent) -> None:
        """Feed an event, carry out what comes back, and go on with the answers until there is nothing to do."""
        todo: list[AnyEvent] = [event]
        for one in todo:
            self._carry_out(self._handle(one), one.at, todo)

    def _handle(self, event: AnyEvent) -> tuple[AnyCommand, ...]:
        try:
            return self.machine.handle(event)
        except Exception:
            exchange = self.machine.exchange
            bind_request_id(exchange.state.request_id if exchange is not None else "")
            _log.exception("an exchange crashed", met=type(event).__name__)
            if isinstance(event, Crashed):
                return (Abort(),)
            return self._handle(Crashed(at=event.at))

    def _perform(self, command: Command, at: float) -> Outcome | Crashed:
        try:
            return self._performer.perform_now(command, self, at)
        except Exception:
            _log.exception("a command could not be carried out", command=type(command).__name__)
            return Crashed(at=at)

    def _carry_out(self, commands: tuple[AnyCommand, ...], at: float, todo: list[AnyEvent]) -> None:
        line = self._line
        for command in commands:
            kind = type(command)
            if isinstance(command, ArmDeadline):
                line.arm(command.when)
            elif isinstance(command, Send):
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
                line.cancel(command.ticket)
            else:
                answer = self._perform(command, at)
                if answer is LATER:
                    line.start(command, getattr(command, "ticket", 0))
                elif answer is not None:
                    todo.append(answer)  # type: ignore[arg-type]
