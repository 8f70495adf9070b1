"""How large a request and its trace may be, and how long things may take."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from vstack_proto.errors import RemoteProtocolError

MAX_BODY_BYTES = "VSTACK_API_MAX_BODY_BYTES"
MAX_TRACE_STEPS = "VSTACK_API_MAX_TRACE_STEPS"
MAX_MESSAGES = "VSTACK_API_MAX_MESSAGES"
MAX_STRING_CHARS = "VSTACK_API_MAX_STRING_CHARS"
MAX_TOTAL_CHARS = "VSTACK_API_MAX_TOTAL_CHARS"

# Every value but the first stands behind one of these, or behind a name that does.
_MARKS = (b",", b"[", b"{")
_NO_MARKS = bytes(set(range(256)) - set(b',[{"'))
# How numbers are written: digits and points as 0, signs as -, the letter of an exponent as e, all else as a space.
_WRITTEN = bytes(b" 0-e"[(x in b"0123456789.") + 2 * (x in b"+-") + 3 * (x in b"eE")] for x in range(256))
_FAR = (b"0e000", b"0e-000")
_SCALARS = frozenset({type(None), bool, int, float, dt.datetime})


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and deadlines; times are seconds. Those without a variable of their own are fixed.

    Attributes:
        max_body_bytes: Of a body on the wire, and after its content coding.
        max_trace_steps: Items of any list in a trace but the messages.
        max_messages: Items of the top-level list of messages.
        max_string_chars: Characters of one string.
        max_total_chars: Characters of all strings, keys of free-form objects included.
        max_depth: Objects and lists within each other, the trace being the first.
        max_values: Commas and opening brackets of a body outside of texts, which bound its values before anything is
            decoded: 5 MiB could hold 2.6 million, each an object of its own once decoded.
        max_number_chars: Digits and points of one number in a row. To read an integer takes the square of its digits; a
            float has 17 that count. RFC 8259, section 6, leaves such limits to who reads.
        max_far_numbers: Numbers of a body whose exponents have three digits or more: next to the ends of the range of a
            float, to read one takes up to 30 microseconds, a thousand times as long as for others.
        request_timeout: From the head to the answer of an analysis.
        max_in_flight: Analyses at once.
        head_timeout: For a whole head; nginx gives 60, Apache 20 to 40.
        body_timeout: Without progress in a body.
        min_body_rate: Bytes a second of a body, on average; Apache's RequestReadTimeout asks for 500.
        write_timeout: Without progress in an answer.
        heartbeat: Of silence in a stream of events, before a comment is sent; the 15 that HTML proposes (section 9.2.7,
            authoring notes), and short of what proxies let pass: nginx closes after 60 without a byte.
        keep_alive_timeout: Between two requests; nginx gives 75.
        max_requests_per_connection: nginx gives 1,000.
        drain_bytes: Read and thrown away after an early answer, so that the peer can read it.
    """

    max_body_bytes: int = 5_242_880
    max_trace_steps: int = 5_000
    max_messages: int = 5_000
    max_string_chars: int = 200_000
    max_total_chars: int = 1_000_000
    max_depth: int = 64
    max_values: int = 200_000
    max_number_chars: int = 128
    max_far_numbers: int = 1_000
    request_timeout: float = 120.0
    max_in_flight: int = 4_096
    head_timeout: float = 10.0
    body_timeout: float = 30.0
    min_body_rate: float = 256.0
    write_timeout: float = 30.0
    heartbeat: float = 15.0
    keep_alive_timeout: float = 75.0
    max_requests_per_connection: int = 1_000
    drain_bytes: int = 65_536


def too_large(what: str, unit: str, limit: int, actual: int, setting: str | None) -> RemoteProtocolError:
    """The refusal of something that is larger than a limit allows.

    Args:
        what: Its name at the start of a sentence, such as ``the body``.
        unit: What is counted, in the plural.
        limit: The most that is allowed.
        actual: How many there are, as far as they were counted.
        setting: The variable that raises the limit, or None where it is fixed.
    """
    mends = f"{setting} raises it" if setting else "it is fixed"
    return RemoteProtocolError(
        413,
        "request_too_large",
        f"{what} has {actual} {unit}; the limit is {limit} ({mends})",
        limit=limit,
        actual=actual,
        setting=setting,
    )


def check_body(body: bytes, limits: Limits) -> None:
    """Refuse a body that is too large to be decoded.

    Raises:
        RemoteProtocolError: 413 ``request_too_large``.
    """
    if len(body) > limits.max_body_bytes:
        raise too_large("the body", "bytes", limits.max_body_bytes, len(body), MAX_BODY_BYTES)
    written = body.translate(_WRITTEN)
    if (
        _values(body) > limits.max_values
        or b"0" * (limits.max_number_chars + 1) in written
        or _far_numbers(written, limits.max_far_numbers) > limits.max_far_numbers
    ):
        _check_values(body, limits)


def _check_values(body: bytes, limits: Limits) -> None:
    """Refuse a body that would take too long to decode, by what stands outside of its texts.

    A trace may quote a table, or the digits of pi.
    """
    if b"\\" in body:
        # Pairs first, from the left: what then stands before a quote escapes it.
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = body.translate(None, _NO_MARKS)
    # The first part alone tells of most bodies that are too large.
    for part in (marks[: 5 * limits.max_values], marks):
        values = _values(_without_texts(part, limits))
        if values > limits.max_values:
            raise too_large("the body", "commas and opening brackets or more", limits.max_values, values, None)
    written = _without_texts(body, limits).translate(_WRITTEN)
    _, long, rest = written.partition(b"0" * (limits.max_number_chars + 1))
    if long:
        digits = len(long) + len(rest) - len(rest.lstrip(b"0"))
        raise too_large("a number in the body", "digits", limits.max_number_chars, digits, None)
    far = _far_numbers(written, limits.max_far_numbers)
    if far > limits.max_far_numbers:
        told = "numbers or more with exponents of three digits"
        raise too_large("the body", told, limits.max_far_numbers, far, None)


def _values(body: bytes) -> int:
    return sum(map(body.count, _MARKS))


def _far_numbers(written: bytes, enough: int) -> int:
    # To cut stops where enough are found, which to count does not.
    return sum(len(written.split(far, enough + 1)) - 1 for far in _FAR)


def _without_texts(body: bytes, limits: Limits) -> bytes:
    """What a body without escapes holds outside of its texts: a regular expression would take ten times as long.

    It is cut at no more quotes than a body within the limits can have, two for each value and two for its name. What
    stands behind those is kept as it is: such a body is refused for it, or is no JSON.
    """
    return b'"'.join(body.replace(b'""', b"").split(b'"', 4 * limits.max_values + 4)[::2])


def check_trace(value: Any, limits: Limits, messages_key: str = "messages") -> None:
    """Refuse a trace that is too large to be analysed.

    Args:
        value: A decoded trace: Structs, lists, tuples, dicts and what they hold.
        limits: What is allowed.
        messages_key: The top-level list to which ``max_messages`` applies.

    Raises:
        RemoteProtocolError: 413 ``request_too_large`` with ``limit``, ``actual`` and ``setting``.
    """
    messages = value.get(messages_key) if isinstance(value, dict) else getattr(value, messages_key, None)
    size = _measure(value, messages)
    if isinstance(messages, list | tuple) and len(messages) > limits.max_messages:
        raise too_large(f"the list {messages_key}", "items", limits.max_messages, len(messages), MAX_MESSAGES)
    for what, unit, limit, actual, setting in (
        ("a list in the trace", "items", limits.max_trace_steps, size.longest_list, MAX_TRACE_STEPS),
        ("a string in the trace", "characters", limits.max_string_chars, size.longest_string, MAX_STRING_CHARS),
        ("the trace", "characters in all", limits.max_total_chars, size.characters, MAX_TOTAL_CHARS),
        ("the trace", "objects and lists within each other", limits.max_depth, size.depth, None),
    ):
        if actual > limit:
            raise too_large(what, unit, limit, actual, setting)


class _Size(msgspec.Struct):
    longest_list: int
    longest_string: int
    characters: int
    depth: int


def _measure(value: Any, messages: Any) -> _Size:
    # Level by level: no recursion, whatever the depth, and the depth comes for nothing.
    longest_list = longest_string = characters = depth = 0
    level = [value]
    while level:
        deeper: list[Any] = []
        containers = 0
        for container in level:
            kind = type(container)
            values: Any
            if kind is tuple or kind is list:
                values = container
                if len(values) > longest_list and values is not messages:
                    longest_list = len(values)
            elif kind is dict:
                values = (*container, *container.values())
            elif isinstance(container, msgspec.Struct):
                values = msgspec.structs.astuple(container)
            else:
                continue
            containers += 1
            for item in values:
                kind = type(item)
                if kind is str:
                    length = len(item)
                    characters += length
                    if length > longest_string:
                        longest_string = length
                elif kind not in _SCALARS:
                    deeper.append(item)
        depth += containers > 0
        level = deeper
    return _Size(longest_list, longest_string, characters, depth)
