"""The core by itself: a service, and a performer that has every answer at hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.workload import KEY, Request
from vstack_proto.auth import digest
from vstack_proto.commands import (
    CheckKey,
    Command,
    Commands,
    JoinFlight,
    LookUpCache,
    Respond,
    Send,
    StoreCache,
    TakeQuota,
)
from vstack_proto.connection import Connection
from vstack_proto.events import (
    BodyReceived,
    BytesReceived,
    CacheAnswered,
    ExchangeEvent,
    FlightJoined,
    HeadReceived,
    KeyChecked,
    QuotaAnswered,
)
from vstack_proto.exchange import Exchange
from vstack_proto.intake import without_secrets
from vstack_proto.limits import Limits
from vstack_proto.policy import Policy
from vstack_proto.service import Service
from vstack_proto.values import Alias, CacheEntry
from vstack_proto.wire import WireHead, WireReader
from vstack_runtime.engine import installed_patterns

AT, WALL = 10_000.0, 1_741_000_000.0
# As asyncio reads from a socket.
READ_BYTES = 262_144


@functools.cache
def service() -> Service:
    """Keys, quota and cache are on. What limits traces is raised, so that a body of 5 MB may be one."""
    limits = Limits(
        max_total_chars=10_000_000,
        max_string_chars=10_000_000,
        max_trace_steps=10_000,
        max_requests_per_connection=1_000_000_000,
    )
    policy = Policy(version="0", limits=limits, require_auth=True, quota=True, cache=True, offline=True)
    return Service(policy, installed_patterns())


class Performer:
    """Answers at once; its stores are two dicts, so that what is timed is the core.

    Attributes:
        keep: Whether detections are kept.
    """

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep
        self._names = {digest(KEY): "bench"}
        self._entries: dict[str, CacheEntry] = {}
        self._meanings: dict[str, Alias] = {}
        self._arms: dict[type[Command], Callable[[Any], ExchangeEvent | None]] = {
            CheckKey: self._check_key,
            TakeQuota: self._take_quota,
            LookUpCache: self._look_up,
            StoreCache: self._store,
            JoinFlight: lambda command: FlightJoined(at=AT, ticket=command.ticket, role="leads"),
        }

    def answer(self, commands: Commands) -> ExchangeEvent | None:
        """Carry out commands; the answer to the one that asks, if one does."""
        told = None
        for command in commands:
            arm = self._arms.get(type(command))
            if arm is not None:
                told = arm(command) or told
        return told

    def _check_key(self, command: CheckKey) -> KeyChecked:
        return KeyChecked(at=AT, ticket=command.ticket, name=self._names.get(command.credential or ""), loaded=1)

    def _take_quota(self, command: TakeQuota) -> QuotaAnswered:
        return QuotaAnswered(at=AT, ticket=command.ticket, verdict="admitted", limit=100, remaining=99, window=60.0)

    def _look_up(self, command: LookUpCache) -> CacheAnswered:
        meaning = self._meanings.get(command.alias or "")
        if meaning is None:
            return CacheAnswered(at=AT, ticket=command.ticket)
        return CacheAnswered(at=AT, ticket=command.ticket, entry=self._entries[meaning.key], alias=meaning)

    def _store(self, command: StoreCache) -> None:
        if self.keep:
            self._entries[command.key] = command.entry
            self._meanings[command.alias] = command.meaning


def _head_of(request: Request) -> WireHead:
    reader = WireReader()
    reader.receive(request.encoded())
    wired = reader.next_event()
    assert isinstance(wired, WireHead)
    return wired


class Conversation:
    """One request through an exchange: every event that a driver would make of it, and every answer.

    Attributes:
        answer: How it ended.
    """

    def __init__(self, request: Request, performer: Performer) -> None:
        """Hold the conversation once, and learn it by heart."""
        wired = _head_of(request)
        head, credential = without_secrets(wired.head, wired.headers)
        self._events: list[Callable[[], ExchangeEvent]] = []
        self._service = service()
        self._exchange = Exchange(self._service)
        first = HeadReceived(
            at=AT,
            wall=WALL,
            request_id="req_0123456789abcdef",
            peer="127.0.0.1",
            scheme="http",
            method=wired.method,
            head=head,
            credential=credential,
        )
        commands = self._feed(performer, first)
        if type(commands[-2]) is not Respond:
            commands = self._feed(performer, BodyReceived(at=AT, data=request.body, last=True))
        answer = next(command for command in commands if isinstance(command, Respond))
        self.answer = answer

    def _feed(self, performer: Performer, event: ExchangeEvent | None) -> Commands:
        commands: Commands = ()
        while event is not None:
            # To copy an event takes as long as to build it by a call with keywords, which is what drivers do.
            struct: Any = event
            self._events.append(struct.__copy__)
            commands = self._exchange.handle(event)
            event = performer.answer(commands)
        return commands

    def repeat(self) -> Commands:
        """Hold it again: build every event anew and hand it to a new exchange; the last commands."""
        exchange = Exchange(self._service)
        commands: Commands = ()
        for event in self._events:
            commands = exchange.handle(event())
        return commands


class Wire:
    """Requests through a connection, from bytes to bytes."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._connection = Connection(service(), peer="127.0.0.1", seed=1)
        self._connection.opened(AT)

    def run(self, data: bytes) -> bytes:
        """What is sent in answer to these bytes."""
        sent = b""
        for start in range(0, len(data), READ_BYTES):
            part = data[start : start + READ_BYTES]
            commands = self._connection.handle(BytesReceived(at=AT, wall=WALL, data=part))
            while (answer := self._performer.answer(commands)) is not None:
                commands = self._connection.handle(answer)
            for command in commands:
                if type(command) is Send:
                    sent += command.data
        return sent


def answer_of(request: Request) -> Respond:
    """What answers a request, once it is cached."""
    performer = Performer(keep=True)
    Conversation(request, performer)
    answer = Conversation(request, performer).answer
    assert answer.status == 200, answer
    assert msgspec.json.decode(answer.body)["cached"] is True
    return answer
