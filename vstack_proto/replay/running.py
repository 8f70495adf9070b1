"""Tapes fed to today's code: all of them or in part, from the beginning or from any event on."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from vstack_proto.commands import AnyCommand, Asking, Commands
from vstack_proto.errors import LocalProtocolError
from vstack_proto.exchange import AnyExchange, Exchange
from vstack_proto.replay.differences import Difference, compare
from vstack_proto.replay.tape import Tape, TapeError, Told, encode_commands, tape_of
from vstack_proto.service import Service
from vstack_proto.state import DONE, State


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange, stopped between two events.

    Attributes:
        event: How many events it has taken.
        at: When it took the last (monotonic seconds of the process that ran it).
        state: All that it knows.
        pending: The commands that are not answered yet: whoever continues the exchange carries them out again.
    """

    event: int
    at: float
    state: State
    pending: tuple[AnyCommand, ...] = ()


def snapshot(exchange: AnyExchange, commands: Commands, *, event: int = 0, at: float = 0.0) -> bytes:
    """An exchange as JSON, to be continued with ``resumed``, in this process or another.

    Args:
        exchange: That took an event.
        commands: What that event led to.
        event: How many events it has taken.
        at: When it took the last.
    """
    waiting = exchange.state.waiting
    pending = tuple(one for one in commands if isinstance(one, Asking) and one.ticket == waiting)
    return msgspec.json.encode(Snapshot(event=event, at=at, state=exchange.state, pending=pending))


def resumed(service: Service, data: bytes) -> tuple[Exchange, Snapshot]:
    """An exchange that continues where a snapshot was taken.

    Raises:
        TapeError: The data is no snapshot.
    """
    try:
        taken = msgspec.json.decode(data, type=Snapshot)
    except msgspec.MsgspecError as error:
        raise TapeError(f"it is no snapshot: {error}") from None
    return Exchange(service, taken.state), taken


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a replay.

    Attributes:
        events, commands: How many were fed, and how many came.
        differences: Where the commands differ from those on the tape.
        done: Whether the exchange has come to its end.
        snapshot: The exchange after the last event that was fed.
        log: The tape's events, each with what it leads to today, as far as they could be fed.
    """

    events: int
    commands: int
    differences: tuple[Difference, ...]
    done: bool
    snapshot: bytes
    log: tuple[Told, ...] = ()


def run(tape: Tape, service: Service, *, until: int | None = None, start: bytes | None = None) -> Report:
    """Feed the events of a tape to today's code, and compare every command.

    Args:
        tape: The tape.
        service: As ``service_of`` makes it.
        until: How many events to feed, counted from the beginning of the tape; by default all.
        start: A snapshot to continue from, in the place of the beginning.

    Raises:
        TapeError: ``start`` is no snapshot.
    """
    first = 0
    if start is not None:
        exchange, taken = resumed(service, start)
        first = taken.event
    else:
        exchange = _begun(tape, service)
    differences: list[Difference] = []
    log: list[Told] = []
    commands: Commands = ()
    end = len(tape.turns) if until is None else until
    for number, turn in enumerate(tape.turns[first:end], first):
        try:
            told = _told(exchange, tape, number)
        except LocalProtocolError as error:
            new = f"LocalProtocolError: {error}"
            differences.append(Difference(event=number, what="refused", kind=type(turn.event).__name__, new=new))
            break
        commands = () if isinstance(told, str) else told
        log.append(told)
        if isinstance(told, str) or turn.raised or encode_commands(told) != turn.commands:
            differences += compare(number, turn, told)
    fed = first + len(log)
    at = tape.turns[fed - 1].event.at if fed else 0.0
    return Report(
        events=len(log),
        commands=sum(len(told) for told in log if not isinstance(told, str)),
        differences=tuple(differences),
        done=exchange.state.phase is DONE,
        snapshot=snapshot(exchange, commands, event=fed, at=at),
        log=tuple(log),
    )


def _begun(tape: Tape, service: Service) -> Exchange:
    if tape.header.start is None:
        return Exchange(service)
    # An exchange writes into its state; the tape's must stay as it is.
    return Exchange(service, msgspec.json.decode(msgspec.json.encode(tape.header.start), type=State))


def _told(exchange: Exchange, tape: Tape, number: int) -> Told:
    """What an event leads to today; a bug of ours is a fact like any other here."""
    try:
        return exchange.handle(tape.turns[number].event)
    except LocalProtocolError:
        raise
    except Exception as error:
        return type(error).__name__


def snapshots(tape: Tape, service: Service) -> Iterator[bytes]:
    """The exchange after each event of a tape, ready to be continued.

    Raises:
        LocalProtocolError: Today's code does not take an event of the tape.
    """
    exchange = _begun(tape, service)
    for number, turn in enumerate(tape.turns):
        told = _told(exchange, tape, number)
        yield snapshot(exchange, () if isinstance(told, str) else told, event=number + 1, at=turn.event.at)


def accepted(tape: Tape, service: Service) -> Tape:
    """The tape with the commands of today's code: what differs is as it should be.

    Raises:
        TapeError: Today's code asks for something else than the tape answers: it must be recorded anew.
    """
    report = run(tape, service)
    if report.events < len(tape.turns):
        told = report.differences[-1]
        raise TapeError(f"event {told.event} ({told.kind}) does not fit any more ({told.new}): record it anew")
    if tape.end.status and not report.done:
        raise TapeError("the exchange asks for more than the tape answers: record it anew")
    return tape_of(tape.header, zip((turn.event for turn in tape.turns), report.log, strict=True))
