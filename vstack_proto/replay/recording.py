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


class TapedExchange(Exchange):
    """An exchange that hands its log over once it is done.

    Attributes:
        log: Each event so far, and what it led to; what comes after the end is not kept.
    """

    __slots__ = ("_finished", "log")

    def __init__(
        self, service: Service, finished: Callable[[TapedExchange], object] | None, state: State | None = None
    ) -> None:
        """
        Args:
            service: What all exchanges of the process share.
            finished: Told once, when the exchange is done; must not raise. None: nothing is remembered. (Exchanges of
                two types in one process would cost each of them more than this: the interpreter adapts to one.)
            state: Where to continue; a new exchange where there is none.
        """
        Exchange.__init__(self, service, state)
        self.log: list[tuple[ExchangeEvent, Told]] = []
        self._finished = finished

    def handle(self, event: ExchangeEvent) -> Commands:
        """As ``Exchange.handle``."""
        finished = self._finished
        if finished is None:
            return Exchange.handle(self, event)
        try:
            # By its name: to find it through ``super()`` costs as much as to remember the event.
            commands = Exchange.handle(self, event)
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
