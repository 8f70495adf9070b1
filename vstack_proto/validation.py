"""What a body means, or what is wrong with it: one fast decode, and a slow second look where that fails."""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.faults import MAX_PART_CHARS, Faults, Path, look, shorten
from vstack_proto.limits import Limits, check_trace
from vstack_proto.trace import CanonicalTrace, TraceStep

T = TypeVar("T", bound=msgspec.Struct)

MAX_WARNINGS = 20
# Names that are compared with those of the contract, which may cost a millisecond each.
MAX_NAMES_COMPARED = 50
# A client misspells a field of its steps in all of them, or nearly.
MAX_STEPS_COMPARED = 20
# Names of models have some 50 characters; a longer one would go into log lines and cache keys.
MAX_WORD_CHARS = 200
# What int() reads at most (CVE-2020-10735), and msgspec as well.
MAX_DIGITS = 4_300

OUTER_FIELDS = frozenset({"trace", "mode", "model", "format", "baseline"})

_WORDS = ("mode", "model", "format", "baseline")

_BYTE = re.compile(r" \(byte ([0-9]+)\)$")
_PATH = re.compile(r" - at (?:`key` in )?`\$([^`]*)`$")
_PATH_PART = re.compile(r"\.([^.\[]+)|\[([0-9]+|\.\.\.)\]")
_HIGH = re.compile(rb"\\u[dD][89abAB]")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
# In a text whose escaped backslashes are gone: pairs, which are sound, and halves.
_SURROGATE = re.compile(rb"\\u(?:[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<lone>[dD][89a-fA-F]..))", re.DOTALL)
_BASELINE_PATH = re.compile(r"baseline.*path")
_KINDS = {b"n": "null", b"t": "a boolean", b"f": "a boolean", b"{": "an object", b"[": "a list"}


class Envelope(msgspec.Struct, frozen=True):
    """A body taken apart, its trace not yet decoded.

    Attributes:
        trace_raw: The trace as JSON.
        mode, model, format, baseline: As sent, or None.
        flat: Whether the whole body is the trace, with these alongside its fields.
        warnings: What stands beside the trace in vain, as lines for the caller.
    """

    trace_raw: bytes
    mode: str | None = None
    model: str | None = None
    format: str | None = None
    flat: bool = False
    baseline: str | None = None
    warnings: tuple[str, ...] = ()


_TOP_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
_SYNTAX = msgspec.json.Decoder(msgspec.Raw)


def decode_envelope(body: bytes) -> Envelope:
    """Take a body apart: ``{trace, mode, model, format}`` where ``trace`` is an object, else a bare trace.

    Raises:
        RemoteProtocolError: 400 ``invalid_json``; ``invalid_request`` where the body is no object; ``validation_error``
            where ``mode``, ``model``, ``format`` or ``baseline`` is no string.
    """
    _check_utf8(body)
    try:
        outer = _TOP_LEVEL.decode(body)
    except msgspec.ValidationError:
        raise RemoteProtocolError(400, "invalid_request", "the body must be a JSON object") from None
    except (msgspec.DecodeError, RecursionError) as fault:
        raise _invalid_json(body, fault) from None
    faults = Faults()
    mode, model, format_, baseline = (_word(name, bytes(outer.get(name, b"")), faults) for name in _WORDS)
    if faults.count:
        raise _validation_error(faults)
    trace = bytes(outer.get("trace", b""))
    if not trace.startswith(b"{"):
        return Envelope(body, mode, model, format_, True, baseline)
    warnings = _beside(outer) if outer.keys() - OUTER_FIELDS else ()
    return Envelope(trace, mode, model, format_, False, baseline, warnings)


def decode_trace(raw: bytes, kind: type[T], limits: Limits | None = None) -> T:
    """Decode a trace strictly.

    Args:
        raw: JSON.
        kind: What it must be.
        limits: How large it may be where it is not sound: no faults are looked for in what is too large anyway.

    Raises:
        RemoteProtocolError: 400 ``invalid_json``; or ``validation_error`` with every fault in ``errors`` (the first
            thousand), each with a JSON pointer and a message, and their number in ``error_count``. 413
            ``request_too_large`` as ``check_trace`` has it.
    """
    _check_utf8(raw)
    try:
        trace: T = _decoder(kind).decode(raw)
    except msgspec.ValidationError as fault:
        raise _validation_error(_all_faults(raw, kind, fault, limits)) from None
    except (msgspec.DecodeError, RecursionError) as fault:
        raise _invalid_json(raw, fault) from None
    return trace


def unknown_fields(raw: bytes, kind: type[msgspec.Struct], *, flat: bool = False) -> tuple[str, ...]:
    """What a trace says in vain, as lines for the caller: misspelt optional fields, and paths.

    Args:
        raw: A trace that ``decode_trace`` has read.
        kind: As what it was read. Of a ``CanonicalTrace``, the first steps are looked into as well.
        flat: Whether it is the whole body, so that it may misspell what stands beside a trace, too.
    """
    sent = _TOP_LEVEL.decode(raw)
    known = _names(kind)
    lines = _paths(sent)
    unknown = [name for name in sent if name not in known and name not in OUTER_FIELDS]
    if unknown:
        lines += _misspelt(unknown, (known | OUTER_FIELDS if flat else known) - sent.keys())
    if kind is CanonicalTrace and "steps" in sent:
        lines += _in_steps(sent["steps"])
    return tuple(lines[:MAX_WARNINGS])


def looks_canonical(raw: bytes, kind: type[msgspec.Struct]) -> bool:
    """Whether a trace that could not be read is likely the canonical one.

    Args:
        raw: What ``decode_trace`` refused as a ``validation_error``.
        kind: As what it was to be read. One that has a goal and steps itself takes more to be doubted.
    """
    sent = _TOP_LEVEL.decode(raw)
    names = {"goal", "steps"}
    if not names <= sent.keys():
        return False
    if not names <= _names(kind):
        return True
    try:
        _decoder(CanonicalTrace).decode(raw)
    except (msgspec.ValidationError, RecursionError):
        return False
    return True


def _paths(sent: dict[str, msgspec.Raw]) -> list[str]:
    return [
        f"field '{shorten(name, MAX_PART_CHARS)}' was ignored: a path in a request is never opened"
        for name, value in sent.items()
        if _BASELINE_PATH.search(name) and bytes(value) != b"null"
    ]


def _misspelt(unknown: list[str], absent: frozenset[str], where: str = "") -> list[str]:
    """A line for each name that is near one that could have been sent."""
    near = ((name, _nearest(name, absent)) for name in unknown[:MAX_NAMES_COMPARED])
    return [f"unknown field '{name}'{where} was ignored; did you mean '{field}'?" for name, field in near if field]


def _nearest(name: str, absent: frozenset[str]) -> str | None:
    if len(name) > MAX_PART_CHARS:
        return None
    return next(iter(difflib.get_close_matches(name, sorted(absent), 1, 0.8)), None)


def _beside(outer: dict[str, msgspec.Raw]) -> tuple[str, ...]:
    """What stands beside a trace and means nothing there.

    A trace may bring more than is known of it, a request may not: a word that changes nothing looks as if it had.
    """
    lines = _paths(outer)
    absent = OUTER_FIELDS - outer.keys()
    unknown = [name for name in outer if name not in OUTER_FIELDS and not _BASELINE_PATH.search(name)]
    for name in unknown[: MAX_WARNINGS - len(lines)] if len(lines) < MAX_WARNINGS else ():
        field = _nearest(name, absent)
        hint = f"did you mean '{field}'?" if field else f"a request has {', '.join(('trace', *_WORDS))}"
        lines.append(f"unknown field '{shorten(name, MAX_PART_CHARS)}' was ignored; {hint}")
    return tuple(lines[:MAX_WARNINGS])


def _in_steps(steps: msgspec.Raw) -> list[str]:
    """What the first steps say in vain: each name once, with the step that has it first."""
    known = _names(TraceStep)
    seen: set[str] = set()
    lines: list[str] = []
    for number, step in enumerate(_LIST.decode(steps)[:MAX_STEPS_COMPARED]):
        sent = _TOP_LEVEL.decode(step)
        if sent.keys() <= known or len(seen) >= MAX_NAMES_COMPARED:
            continue
        unknown = [name for name in sent if name not in known and name not in seen]
        seen.update(unknown)
        lines += _misspelt(unknown, known - sent.keys(), f" of /steps/{number}")
    return lines


@functools.cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@functools.cache
def _names(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(kind.__struct_encode_fields__)


def _word(name: str, raw: bytes, faults: Faults) -> str | None:
    if raw in (b"", b"null"):
        return None
    if not raw.startswith(b'"'):
        faults.add((None, name), f"must be a string, not {_KINDS.get(raw[:1], 'a number')}")
        return None
    word = msgspec.json.decode(raw, type=str)
    if len(word) > MAX_WORD_CHARS:
        faults.add((None, name), f"must have at most {MAX_WORD_CHARS} characters, not {len(word)}")
    return word


def _check_utf8(raw: bytes) -> None:
    # The decoder looks only at the strings that it keeps; what a body is must not depend on the pattern that reads it.
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as fault:
            raise _refusal("not UTF-8", fault.start) from None


def _invalid_json(raw: bytes, fault: Exception) -> RemoteProtocolError:
    if isinstance(fault, RecursionError):
        most = Limits().max_depth
        message = (
            f"the body is nested too deeply; the limit is {most} objects and lists within each other (it is fixed)"
        )
        return RemoteProtocolError(400, "invalid_json", message)
    text = str(fault)
    position = _BYTE.search(text)
    if "surrogate" in text or "escape" in text or position is None:
        lone = _lone_surrogate(raw, int(position[1]) if position else None)
        if lone is not None:
            return _refusal("half of a surrogate pair", lone)
    if position is None:
        return _refusal("it ends too early" if raw.strip() else "it is empty", len(raw))
    return _refusal(_BYTE.sub("", text).removeprefix("JSON is malformed: "), int(position[1]))


def _lone_surrogate(raw: bytes, end: int | None) -> int | None:
    """Where half of a pair stands, if it does.

    Args:
        raw: JSON that could not be decoded.
        end: Where the decoder stopped: behind the half, or behind what should have been its other half. None where it
            tells of an end that comes too early, as it does of a half that is the last of its text.
    """
    unescaped = raw.replace(b"\\\\", b"__")
    if end is not None:
        if unescaped.startswith(b"\\u", end - 6) and _HIGH.match(unescaped, end - 12):
            return end - 12
        return end - 6 if _HALF.match(unescaped, end - 6) else None
    return next((found.start() for found in _SURROGATE.finditer(unescaped) if found["lone"]), None)


def _refusal(what: str, position: int) -> RemoteProtocolError:
    message = f"the body is not valid JSON: {what} (byte {position})"
    return RemoteProtocolError(400, "invalid_json", message, position=position)


def _validation_error(faults: Faults) -> RemoteProtocolError:
    first = faults.kept[0]
    told = "the request has 1 fault" if faults.count == 1 else f"the request has {faults.count} faults, the first"
    message = f"{told}: {first['pointer'] or 'the trace'} {first['message']}"
    return RemoteProtocolError(400, "validation_error", message, errors=faults.kept, error_count=faults.count)


def _all_faults(raw: bytes, kind: type[Any], first: msgspec.ValidationError, limits: Limits | None) -> Faults:
    faults = Faults()
    try:
        # The decoder stopped at the first fault; what follows that may not even be JSON.
        _SYNTAX.decode(raw)
        # The standard library reads numbers out of range as infinite, where msgspec would stop again.
        value = json.loads(raw.decode(), parse_int=_integer)
        if limits is not None:
            check_trace(value, limits)
        look(inspect.type_info(kind), value, None, faults)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise _invalid_json(raw, fault) from None
    if not faults.count:
        # A type that is not looked into, or a check of the Struct's own: the decoder's words have to do.
        text = str(first)
        found = _PATH.search(text)
        path: Path = None
        for name, index in _PATH_PART.findall(found[1] if found else ""):
            path = (path, name or index)
        faults.add(path, _PATH.sub("", text))
    return faults


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf
