"""What a tape holds, and its form: JSON lines, a header, a line for each event with the commands it caused, an end.

A policy is written as far as it differs from the defaults: what an operator decided is on the tape, what the code
decides is not, so that a limit that changes in the code shows when the tape is replayed.
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import io
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from vstack_proto.catalogue import AnyPattern
from vstack_proto.commands import Commands, Record, Respond, SendPart
from vstack_proto.contributed import Contribute
from vstack_proto.events import ExchangeEvent
from vstack_proto.policy import Policy
from vstack_proto.routes import ROUTES, Route
from vstack_proto.service import Service
from vstack_proto.state import State

VERSION = 1
"""Of the form; a tape of an older one is migrated when it is read."""

Lines = list[dict[str, Any]]
Migration = Callable[[Lines], Lines]
# From each older version to the next. A tape of each version is kept under tests/tapes.
MIGRATIONS: Mapping[int, Migration] = {}

_GZIP = b"\x1f\x8b"
# Beyond that, what unpacks is no tape: bodies are limited to megabytes.
MAX_TAPE_BYTES = 1 << 30


class TapeError(ValueError):
    """What was read is no tape, or one that this version cannot read."""


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a tape comes from, and what it takes to make the same service again.

    Attributes:
        tape: Version of the form.
        version: Of the service that ran.
        build: Names the code that decided; equal where the code was.
        surface: ``rest`` or ``mcp``.
        recorded: When the exchange began; seconds since 1970.
        settings: Digest of the settings, less keys.
        policy: Fields of ``Policy`` that were not at their default.
        patterns: Names of those on offer.
        start: Where the exchange was continued from, if it did not begin here.
    """

    tape: int
    version: str
    build: str = ""
    surface: str = "rest"
    recorded: float = 0.0
    settings: str = ""
    policy: dict[str, Any] = {}
    patterns: tuple[str, ...] = ()
    start: State | None = None


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event and what it led to.

    Attributes:
        t: Seconds since the tape's first event, for people; the event itself has the exact time.
        event: What happened.
        commands: JSON: the commands that it caused.
        raised: The type of the exception that stopped the exchange instead; a bug.
    """

    t: float
    event: ExchangeEvent
    commands: msgspec.Raw = msgspec.Raw(b"[]")
    raised: str = ""


class End(msgspec.Struct, frozen=True):
    """How it ended.

    Attributes:
        events: How many events the tape holds.
        status: Of the answer; 499 where the caller left before it, 0 where there is none.
        outcome: As in ``Record``.
        seconds: From the first event to the last.
        answer: SHA-256 of what the answer carried; empty where there is none.
    """

    events: int
    status: int
    outcome: str
    seconds: float
    answer: str


class Tape(msgspec.Struct, frozen=True):
    """A recorded exchange."""

    header: Header
    turns: tuple[Turn, ...]
    end: End


class _Ending(msgspec.Struct, frozen=True):
    end: End


Told = Commands | str
"""What an event led to: commands, or the type of the exception that it raised."""

_headers = msgspec.json.Decoder(Header)
_turns = msgspec.json.Decoder(Turn)
_endings = msgspec.json.Decoder(_Ending)
_encoder = msgspec.json.Encoder()


def encode_commands(commands: Commands) -> msgspec.Raw:
    """Commands as a tape has them."""
    return msgspec.Raw(_encoder.encode(commands))


def tape_of(header: Header, log: Iterable[tuple[ExchangeEvent, Told]]) -> Tape:
    """The tape of an exchange.

    Args:
        header: Of the tape.
        log: Its events, and what each led to.
    """
    pairs = list(log)
    began = pairs[0][0].at if pairs else 0.0
    turns = []
    for event, told in pairs:
        t = round(event.at - began, 6)
        raised = isinstance(told, str)
        turns.append(Turn(t, event, raised=told) if raised else Turn(t, event, encode_commands(told)))  # type: ignore[arg-type]
    return Tape(header, tuple(turns), _end([told for _, told in pairs], turns))


def _end(told: list[Told], turns: list[Turn]) -> End:
    record: Record | None = None
    digest = hashlib.sha256()
    answered = False
    for commands in told:
        for command in () if isinstance(commands, str) else commands:
            if isinstance(command, Record):
                record = command
            elif isinstance(command, Respond | SendPart):
                answered = True
                digest.update(command.body if isinstance(command, Respond) else command.data)
    return End(
        events=len(turns),
        status=record.status if record else 0,
        outcome=record.outcome if record else "",
        seconds=turns[-1].t if turns else 0.0,
        answer=digest.hexdigest() if answered else "",
    )


def encode(tape: Tape, *, compress: bool = False) -> bytes:
    """A tape as a file holds it: JSON lines, or the same through gzip."""
    data = _encoder.encode_lines([tape.header, *tape.turns, _Ending(tape.end)])
    return gzip.compress(data, 9, mtime=0) if compress else data


def decode(data: bytes, *, migrations: Mapping[int, Migration] = MIGRATIONS) -> Tape:
    """Read a tape of this version or an older one.

    Args:
        data: As ``encode`` gives it.
        migrations: How to bring an older form to the next, by version.

    Raises:
        TapeError: It is no tape, not a whole one, or of a version that cannot be read.
    """
    lines = _unpacked(data).splitlines()
    if len(lines) < 2:
        raise TapeError("it has no header and no end" if not lines else "it has but one line")
    try:
        version = msgspec.json.decode(lines[0], type=dict[str, Any]).get("tape")
        if version != VERSION:
            lines = _migrated(lines, version, migrations)
        header = _headers.decode(lines[0])
        turns = tuple(_turns.decode(line) for line in lines[1:-1])
        end = _endings.decode(lines[-1]).end
    except msgspec.MsgspecError as error:
        raise TapeError(f"it is no tape: {error}") from None
    if end.events != len(turns):
        raise TapeError(f"it is not whole: {len(turns)} of {end.events} events are there")
    return Tape(header, turns, end)


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(MAX_TAPE_BYTES + 1)
    except (OSError, EOFError) as error:
        raise TapeError(f"it cannot be unpacked: {error}") from None
    return unpacked


def _migrated(lines: list[bytes], version: Any, migrations: Mapping[int, Migration]) -> list[bytes]:
    if not isinstance(version, int):
        raise TapeError("it is no tape: its first line has no version")
    if version > VERSION:
        raise TapeError(f"it is of version {version}; this vstack reads up to {VERSION}: take a newer one")
    documents: Lines = [msgspec.json.decode(line) for line in lines]
    while version != VERSION:
        if version not in migrations:
            raise TapeError(f"it is of version {version}, which this vstack cannot read")
        documents = migrations[version](documents)
        version += 1
        documents[0]["tape"] = version
    return [msgspec.json.encode(document) for document in documents]


def iterate(tape: Tape) -> Iterator[tuple[ExchangeEvent, list[dict[str, Any]]]]:
    """Each event, and the commands that it caused as JSON objects."""
    for turn in tape.turns:
        yield turn.event, msgspec.json.decode(turn.commands)


# From a service to a header, and back.

# msgspec writes networks through a hook, and cannot read a union of two kinds of them.
_PLAINER: dict[str, Any] = {"trusted_proxies": tuple[str, ...]}
_DEFAULTS: dict[str, Any] = msgspec.to_builtins(Policy(version=""), enc_hook=str)


def header_of(service: Service, **told: Any) -> Header:
    """The header for exchanges of a service; ``told`` gives further fields of ``Header``."""
    policy = service.policy
    fields = msgspec.to_builtins(policy, enc_hook=str)
    # Sets have no order of their own, and equal policies must read the same.
    fields = {name: sorted(value) if isinstance(value, list | set) else value for name, value in fields.items()}
    changed = _unlike(fields, _DEFAULTS)
    changed.pop("version", None)
    patterns = tuple(service.catalogue.patterns)
    return Header(**{"tape": VERSION, "version": policy.version, "policy": changed, "patterns": patterns, **told})


def _unlike(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not at their default."""
    told = {}
    for name, value in fields.items():
        default = defaults[name]
        if isinstance(value, dict) and isinstance(default, dict):
            value = _unlike(value, default)
            default = {}
        if value != default:
            told[name] = value
    return told


def policy_of(header: Header, changes: Mapping[str, Any] | None = None) -> Policy:
    """The policy under which a tape was recorded.

    Args:
        header: Of the tape.
        changes: Fields of ``Policy`` to put in their place, as JSON has them; those of ``limits`` one by one.

    Raises:
        TapeError: A field is not what it must be, or there is none of that name.
    """
    told = {**header.policy, **(changes or {})}
    for name in (changes or {}).keys() & header.policy.keys():
        if isinstance(told[name], dict) and isinstance(header.policy[name], dict):
            told[name] = {**header.policy[name], **told[name]}
    kinds = {field.name: field.type for field in msgspec.structs.fields(Policy)}
    try:
        _only_known(told, _DEFAULTS)
        known: dict[str, Any] = {
            name: msgspec.convert(value, _PLAINER.get(name, kinds[name])) for name, value in told.items()
        }
        if "trusted_proxies" in known:
            known["trusted_proxies"] = tuple(ipaddress.ip_network(text) for text in known["trusted_proxies"])
        return Policy(**{"version": header.version, **known})
    except ValueError as error:
        raise TapeError(f"its policy cannot be used: {error}") from None


def _only_known(told: Mapping[str, Any], known: Mapping[str, Any], where: str = "") -> None:
    """Refuse a name that no decision has, at any depth: what would be passed over would be taken for tried."""
    for name, value in told.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {where}{near[0]}?" if near else ""
            raise ValueError(f"there is no {where}{name}{hint}")
        if isinstance(value, dict) and isinstance(known[name], dict):
            _only_known(value, known[name], f"{where}{name}.")


def service_of(
    header: Header,
    patterns: Mapping[str, AnyPattern],
    *,
    routes: Iterable[Route] = ROUTES,
    contributed: Iterable[Contribute] = (),
    changes: Mapping[str, Any] | None = None,
) -> Service:
    """The service of a tape, as today's code makes it.

    Args:
        header: Of the tape.
        patterns: Those that are installed, by name.
        routes: The route table.
        contributed: What other packages add to it.
        changes: As for ``policy_of``.

    Raises:
        TapeError: A pattern is not installed, or the policy cannot be used.
    """
    lacking = [name for name in header.patterns if name not in patterns]
    if lacking:
        raise TapeError(f"it needs patterns that are not installed: {', '.join(lacking)}")
    return Service(policy_of(header, changes), [patterns[name] for name in header.patterns], routes, contributed)
