"""For tests of whoever builds on vstack: conversations with a machine, what they are made of, and events by chance.

Only ``events`` and ``logs`` need hypothesis, and import it when they are called.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from vstack_proto.commands import AnyCommand, Command, Commands, Respond
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import (
    AnyEvent,
    BodyEnded,
    Crashed,
    DeadlinePassed,
    Event,
    ExchangeEvent,
    FlightJoined,
    HeadReceived,
    ModelAnswered,
    PeerLeft,
    ShutdownAsked,
)
from vstack_proto.exchange import RULES, Exchange
from vstack_proto.replay import Told, decode, encode, header_of, tape_of
from vstack_proto.replay import run as replayed
from vstack_proto.service import Service
from vstack_proto.state import Phase, State
from vstack_proto.testing_parts import (
    EVENT_KINDS,
    START,
    WALL,
    Material,
    analyze_received,
    head_received,
    make_service,
    material,
    sample_event,
)

if TYPE_CHECKING:
    from hypothesis import strategies as st

__all__ = [
    "EVENT_KINDS",
    "START",
    "WALL",
    "Conversation",
    "Expected",
    "Like",
    "Machine",
    "Material",
    "analyze_received",
    "encoded_state",
    "events",
    "head_received",
    "like",
    "logs",
    "make_service",
    "material",
    "play",
    "refusal",
    "replays",
    "run",
    "sample_event",
    "shown",
]

_MAX_SHOWN_CHARS = 160
_MAX_DIFFERENCE_CHARS = 4_000


# Conversations.


class Machine(Protocol):
    """An ``Exchange``, a ``Connection``, or whatever else takes an event and returns commands."""

    def handle(self, event: Any, /) -> Commands:
        """Take one event."""
        ...


class Like:
    """A command of which only some fields are looked at; made by ``like``."""

    def __init__(self, kind: type[Command], fields: Mapping[str, Any]) -> None:
        self.kind = kind
        self.fields = fields

    def differences(self, command: AnyCommand) -> list[str]:
        """The fields in which a command of the right kind differs."""
        return [name for name, wanted in self.fields.items() if not _is_as(wanted, getattr(command, name))]

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={_short(value, _MAX_DIFFERENCE_CHARS)}" for name, value in self.fields.items())
        return f"{self.kind.__name__}({told}, ...)"


Expected = AnyCommand | type[Command] | Like
Turn = tuple[AnyEvent, "Iterable[Expected] | type[LocalProtocolError]"]
Conversation = Iterable[Turn]


def like(kind: type[Command], **fields: Any) -> Like:
    """A command of this kind with these fields, whatever its others are.

    A field's value may be a function, which is asked whether the field is right; for ``headers`` it may be a dict, of
    which each name must come once and with that value (None: must not come).
    """
    return Like(kind, fields)


def refusal(status: int, code: str, **headers: str | None) -> Like:
    """The response to a request that is refused with this code; ``_`` in a header's name stands for ``-``."""

    def has_code(body: bytes) -> bool:
        told = msgspec.json.decode(body)
        # RFC 9457 has ``detail`` too, as a text beside the members.
        members = told["detail"] if isinstance(told["detail"], dict) else told
        return bool(members["error"] == code)

    has_code.__name__ = f"error_{code}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return like(Respond, status=status, headers=named, body=has_code)


def play(machine: Machine, conversation: Conversation) -> Commands:
    """Feed each event and compare what comes back with what is expected; an exchange's conversation must also replay.

    Args:
        machine: The machine; it keeps the state that the conversation leads to.
        conversation: Pairs of an event and what it leads to: commands in order, each a command, a kind of command or
            what ``like`` gives; or ``LocalProtocolError``, where the event is refused.

    Returns:
        All commands that came.

    Raises:
        AssertionError: Something else came; the text is the conversation so far, and the difference.
    """
    lines = []
    came: list[AnyCommand] = []
    start = encoded_state(machine) if isinstance(machine, Exchange) else b""
    log: list[tuple[Any, Commands]] = []
    for event, expected in conversation:
        lines.append(shown(event))
        try:
            commands = machine.handle(event)
        except LocalProtocolError as error:
            if isinstance(expected, type):
                lines.append(f"    -> LocalProtocolError: {error}")
                continue
            raise AssertionError(_parted(lines, [f"  + -> LocalProtocolError: {error}"])) from error
        if isinstance(expected, type):
            raise AssertionError(_parted(lines, ["  - -> LocalProtocolError", *_arrows("  + ->", commands)]))
        difference = _difference(tuple(expected), commands)
        if difference:
            raise AssertionError(_parted(lines, difference))
        lines += _arrows("    ->", commands)
        came += commands
        log.append((event, commands))
    if isinstance(machine, Exchange):
        replays(machine.service, log, start)
    return tuple(came)


def shown(struct: msgspec.Struct, names: Iterable[str] = (), most: int = _MAX_SHOWN_CHARS) -> str:
    """A line for an event or a command: the fields named, or all that differ from their default, long ones cut."""
    wanted = set(names) or {
        field.name for field in msgspec.structs.fields(struct) if getattr(struct, field.name) != field.default
    }
    told = (
        f"{name}={_short(getattr(struct, name), most)}" for name in type(struct).__struct_fields__ if name in wanted
    )
    return f"{type(struct).__name__}({', '.join(told)})"


def _parted(lines: list[str], difference: list[str]) -> str:
    return "\n".join(("the conversation parts (- expected, + came):", *lines, *difference))


def _arrows(arrow: str, commands: Iterable[AnyCommand]) -> list[str]:
    return [f"{arrow} {shown(command)}" for command in commands]


def _short(value: Any, most: int) -> str:
    text = value.__name__ if callable(value) else repr(value)
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def _is_as(wanted: Any, value: Any) -> bool:
    if callable(wanted):
        return bool(wanted(value))
    if isinstance(wanted, dict) and isinstance(value, tuple):
        by_name: dict[str, list[str]] = {}
        for name, text in value:
            by_name.setdefault(name, []).append(text)
        return all(by_name.get(name) == (None if text is None else [text]) for name, text in wanted.items())
    return bool(wanted == value)


def _kind(expected: Expected) -> type[Command]:
    if isinstance(expected, type):
        return expected
    return expected.kind if isinstance(expected, Like) else type(expected)


def _unlike(expected: Expected, command: AnyCommand) -> list[str]:
    """The fields in which a command of the kind that is expected differs from it."""
    if isinstance(expected, type):
        return []
    if isinstance(expected, Like):
        return expected.differences(command)
    return [name for name in command.__struct_fields__ if getattr(expected, name) != getattr(command, name)]


def _difference(expected: Sequence[Expected], commands: Commands) -> list[str]:
    """The commands with arrows, if any differs from what is expected, else nothing."""
    lines: list[str] = []
    same = True
    wanted, came = [_kind(one) for one in expected], [type(one) for one in commands]
    for tag, start, end, first, last in difflib.SequenceMatcher(None, wanted, came, autojunk=False).get_opcodes():
        if tag != "equal":
            same = False
            lines += [f"  - -> {_told(one)}" for one in expected[start:end]]
            lines += _arrows("  + ->", commands[first:last])
            continue
        for one, command in zip(expected[start:end], commands[first:last], strict=True):
            names = _unlike(one, command)
            if not names:
                lines.append(f"    -> {shown(command)}")
                continue
            same = False
            lines.append(f"  - -> {_told(one, names)}")
            lines.append(f"  + -> {shown(command, names, _MAX_DIFFERENCE_CHARS)}")
    return [] if same else lines


def _told(expected: Expected, names: Iterable[str] = ()) -> str:
    if isinstance(expected, type):
        return expected.__name__
    return repr(expected) if isinstance(expected, Like) else shown(expected, names, _MAX_DIFFERENCE_CHARS)


# Logs: what happened to an exchange, in order.


def run(service: Service, log: Iterable[ExchangeEvent], *, snapshot_at: int | None = None) -> list[Commands]:
    """Feed a log to a new exchange.

    Args:
        service: What it shares with others.
        log: The events.
        snapshot_at: Before this event the state is encoded, and another exchange continues from it.

    Returns:
        The commands of each event.
    """
    exchange = Exchange(service)
    came = []
    for number, event in enumerate(log):
        if number == snapshot_at:
            exchange = Exchange(service, msgspec.json.decode(encoded_state(exchange), type=State))
        came.append(exchange.handle(event))
    return came


def replays(service: Service, log: Iterable[tuple[ExchangeEvent, Told]], start: bytes = b"") -> None:
    """Write a log on a tape, read the tape, and see that it replays.

    Args:
        service: Of the exchange.
        log: Events, and what each led to: commands, or the name of the exception that it raised.
        start: The encoded state at the beginning; of a new exchange by default.

    Raises:
        AssertionError: It does not; the text says where.
    """
    state = msgspec.json.decode(start, type=State) if start else None
    report = replayed(decode(encode(tape_of(header_of(service, start=state), log))), service)
    assert not report.differences, f"the tape does not replay: {report.differences}"


def encoded_state(exchange: Exchange) -> bytes:
    """All that an exchange knows, as JSON."""
    return msgspec.json.encode(exchange.state)


# Events by chance.

_DELAYS = (0.0, 0.125, 1.0, 0.0, 0.125, 1.0, 31.0, 121.0)
_EVERYWHERE = (PeerLeft, DeadlinePassed, ShutdownAsked, Crashed)
# How many of the values for a field lead on; of any other event only the first does.
_ONWARD: dict[type[Event], int] = {HeadReceived: 2, FlightJoined: 2, ModelAnswered: 9}


def events(having: Material, kinds: Sequence[type[Event]] = EVENT_KINDS) -> st.SearchStrategy[ExchangeEvent]:
    """A strategy for any event at all, most of which no exchange would accept as its next."""
    from hypothesis import strategies as st

    @st.composite
    def event(draw: st.DrawFn) -> ExchangeEvent:
        def choose(values: Sequence[Any]) -> Any:
            return draw(st.sampled_from(values))

        at, ticket = START + choose(_DELAYS), draw(st.integers(1, 9))
        return sample_event(choose(kinds), having, at=at, ticket=ticket, choose=choose)

    return event()


def logs(service: Service, having: Material, max_size: int = 16) -> st.SearchStrategy[list[ExchangeEvent]]:
    """A strategy for whatever may happen to one exchange whose driver makes no mistake: every answer has its ticket.

    Args:
        service: What the exchange shares with others.
        having: What to choose from.
        max_size: How many events there may be; late ones after the answer are among them.
    """
    from hypothesis import strategies as st

    @st.composite
    def log(draw: st.DrawFn) -> list[ExchangeEvent]:
        def choose(values: Sequence[Any], most: int | None = None) -> Any:
            return draw(st.sampled_from(values[:most]))

        exchange, at, came = Exchange(service), START, []
        for _ in range(draw(st.integers(0, max_size))):
            at += choose(_DELAYS)
            # Left to chance alone, hardly a log would come as far as a model.
            onward = draw(st.integers(0, 9)) < 9
            kind = _next(exchange) if onward else choose([*RULES[exchange.state.phase]])
            most = _ONWARD.get(kind, 1) if onward else None
            ticket = exchange.state.waiting or 1
            picks = functools.partial(choose, most=most)
            came.append(sample_event(kind, having, at=at, ticket=ticket, choose=picks))
            exchange.handle(came[-1])
        return came

    return log()


def _next(exchange: Exchange) -> type[Event]:
    """The kind of event that brings an exchange nearer to its answer."""
    if exchange.state.phase is Phase.BODY and exchange.state.received:
        return BodyEnded
    return next(kind for kind in RULES[exchange.state.phase] if kind not in _EVERYWHERE)
