"""Whatever a test says to an exchange must replay from a tape, however the test drives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vstack_proto.commands import Commands
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import ExchangeEvent
from vstack_proto.exchange import Exchange
from vstack_proto.service import Service
from vstack_proto.testing import encoded_state, replays

# A test of hypothesis holds thousands of conversations: those of its first examples stand for the rest.
MOST = 400


class Told:
    """What one exchange was told, from a state on."""

    def __init__(self, exchange: Exchange, start: bytes) -> None:
        self.exchange = exchange
        self.service: Service = exchange.service
        self.start = start
        self.log: list[tuple[ExchangeEvent, Any]] = []


@pytest.fixture(autouse=True)
def every_conversation_replays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tape all that is said in a test, and replay it when the test is over."""
    told: dict[int, Told] = {}
    handle = Exchange.handle

    def taped(self: Exchange, event: ExchangeEvent) -> Commands:
        mine = told.get(id(self))
        if mine is None:
            if len(told) >= MOST:
                return handle(self, event)
            mine = told[id(self)] = Told(self, encoded_state(self))
        try:
            commands = handle(self, event)
        except LocalProtocolError:
            raise  # nothing has happened
        except Exception as error:
            mine.log.append((event, type(error).__name__))
            raise
        mine.log.append((event, commands))
        return commands

    with monkeypatch.context() as patch:
        patch.setattr(Exchange, "handle", taped)
        yield
    for one in told.values():
        replays(one.service, one.log, one.start)
