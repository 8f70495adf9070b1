"""An exchange that remembers what happened to it, for whoever keeps tapes."""

from __future__ import annotations

from collections.abc import Callable

from vstack_proto.commands import Commands
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import ExchangeEvent
from vstack_proto.exchange import Exchange
from vstack_proto.replay.tape import Told
from vstack_proto.service import Service
from vstack_proto.state import DONE, State


class TapedExchange:
    """An exchange that hands its log over once it is done.

    It holds an exchange and is none: CPython adapts a method to the type that it is called for, and exchanges of two
    types, or an override for all, cost those that nobody tapes 7 % of their time; this costs them 2 %.

    Attributes:
        service: What all exchanges of the process share.
        log: Each event so far, and what it led to; what comes after the end is not kept.
    """

    __slots__ = ("_exchange", "_finished", "log", "service")

    def __init__(
        self, service: Service, finished: Callable[[TapedExchange], object], state: State | None = None
    ) -> None:
        """
        Args:
            service: What all exchanges of the process share.
            finished: Told once, when the exchange is done; must not raise.
            state: Where to continue; a new exchange where there is none.
        """
        self.service = service
        self.log: list[tuple[ExchangeEvent, Told]] = []
        self._exchange = Exchange(service, state)
        self._finished: Callable[[TapedExchange], object] | None = finished

    @property
    def state(self) -> State:
        """As ``Exchange.state``."""
        return self._exchange.state

    def handle(self, event: ExchangeEvent) -> Commands:
        """As ``Exchange.handle``."""
        finished = self._finished
        if finished is None:
            return self._exchange.handle(event)
        try:
            commands = self._exchange.handle(event)
        except LocalProtocolError:
            raise  # nothing has happened to the exchange
        except Exception as error:
            self.log.append((event, type(error).__name__))
            raise
        self.log.append((event, commands))
        if self.state.phase is DONE:
            self._finished = None
            finished(self)
        return commands
