"""A head that follows another on a connection means what it would mean on a connection of its own."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.heads import KnownHead
from vstack_proto.wire import WireEnd, WireHead, WireReader

BASE = (
    b"POST /v1/analyze/aar HTTP/1.1",
    b"Host: vstack.example",
    b"Accept: */*",
    b"X-Request-ID: one",
    b"Content-Length: 0",
)
VALUES = (
    b"two", b"", b" ", b"0", b"5", b"5, 5", b"+5", b"0x10", b"\xb2", b"1" * 20, b"-1", b"a\tb", b" padded ", b"\xe9",
    b"\xa0", b"chunked", b"close", b"keep-alive", b"100-continue", b"other.example", b"a b", b"a:b", b"\x01", b"\x7f",
)  # fmt: skip
NAMES = (
    b"Host", b"Accept", b"ACCEPT", b"X-Request-ID", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect",
    b"Cookie", b"X_Under", b"No Token", b"Authorization",
)  # fmt: skip


def head(*lines: bytes) -> bytes:
    return b"\r\n".join((*lines, b"", b""))


def first(reader: WireReader, raw: bytes) -> WireHead | tuple[int, str, str]:
    """The head, or how it was refused."""
    reader.receive(raw)
    try:
        event = reader.next_event()
    except RemoteProtocolError as refusal:
        return refusal.status, refusal.code, refusal.message
    assert isinstance(event, WireHead)
    return event


def second(before: bytes, raw: bytes) -> WireHead | tuple[int, str, str]:
    """The same for a head that follows ``before``."""
    reader = WireReader()
    assume(isinstance(first(reader, before), WireHead))
    assert isinstance(reader.next_event(), WireEnd)
    reader.next_request()
    return first(reader, raw)


lines = st.builds(lambda name, value: name + b": " + value, st.sampled_from(NAMES), st.sampled_from(VALUES))
sound_lines = st.sampled_from(
    (
        *BASE[2:4],
        b"Accept: text/plain",
        b"Expect: 100-continue",
        b"Cookie: a=1",
        b"Connection: keep-alive",
        b"X-A: \xe9",
    )
)


@given(st.lists(sound_lines, max_size=4), st.lists(st.one_of(lines, sound_lines), max_size=4), st.booleans(), st.data())
def test_the_one_before_changes_nothing(
    before: list[bytes], after: list[bytes], same: bool, data: st.DataObject
) -> None:
    known = (*BASE[:2], *before, BASE[4])
    if same:
        # The hard case: the same names in the same places, other values.
        changed = [
            line.partition(b":")[0] + b": " + data.draw(st.sampled_from(VALUES)) if data.draw(st.booleans()) else line
            for line in known[1:]
        ]
        raw = head(known[0], *changed)
    else:
        raw = head(*BASE[:2], *after)
    assert second(head(*known), raw) == first(WireReader(), raw)


@pytest.mark.parametrize(
    ("line", "value"), [(3, b"X-Request-ID: two"), (2, b"Accept: text/plain"), (4, b"Content-Length: 007")]
)
def test_values_that_shape_nothing_are_taken_over(line: int, value: bytes) -> None:
    raw = head(*(value if index == line else old for index, old in enumerate(BASE)))
    known = KnownHead(head(*BASE), _parsed(head(*BASE)))
    assert known.next(raw) == _parsed(raw)


@pytest.mark.parametrize(
    "raw",
    [
        head(b"POST /v1/analyze/grpi HTTP/1.1", *BASE[1:]),
        head(*BASE[:1], b"Host: other.example", *BASE[2:]),
        head(*BASE[:4], b"Content-Length: x"),
        head(*BASE[:3], b"X-Request-Id: one", BASE[4]),
        head(*BASE[:3], b"X-Request-ID two", BASE[4]),
        head(*BASE[:3], BASE[4]),
        head(*BASE, b"Connection: close"),
    ],
    ids=["target", "host", "length", "case", "colon", "fewer", "more"],
)
def test_whatever_else_differs_is_parsed(raw: bytes) -> None:
    assert KnownHead(head(*BASE), _parsed(head(*BASE))).next(raw) is None


def test_a_field_that_stands_twice_is_parsed() -> None:
    raw = head(*BASE[:3], b"Accept: text/plain", BASE[4])
    known = KnownHead(raw, _parsed(raw))
    assert known.next(head(*BASE[:3], b"Accept: text/html", BASE[4])) is None


def test_another_length_under_an_expectation_is_parsed() -> None:
    raw = head(*BASE[:3], b"Expect: 100-continue", b"Content-Length: 5")
    known = KnownHead(raw, _parsed(raw))
    assert known.next(head(*BASE[:3], b"Expect: 100-continue", b"Content-Length: 0")) is None


def test_a_100_is_expected_though_the_request_before_had_nothing_to_wait_for() -> None:
    without = head(*BASE[:3], b"Expect: 100-continue", b"Content-Length: 0")
    known = KnownHead(without, _parsed(without))
    assert known.next(head(*BASE[:3], b"Expect: 100-continue", b"Content-Length: 5")) is None


def _parsed(raw: bytes) -> WireHead:
    parsed = first(WireReader(), raw)
    assert isinstance(parsed, WireHead)
    return parsed
