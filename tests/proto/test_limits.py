"""What is too large, and what the refusal says."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.limits import Limits, check_body, check_trace
from vstack_proto.trace import CanonicalTrace, TraceStep

SMALL = Limits(
    max_body_bytes=10,
    max_trace_steps=3,
    max_messages=2,
    max_string_chars=5,
    max_total_chars=12,
    max_depth=4,
    max_values=4,
)


json_values = st.recursive(
    st.none() | st.integers() | st.text(',[{"\\ae1'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(',["\\a'), inner, max_size=4),
    max_leaves=12,
)


def _marks(value: Any) -> int:
    """Commas and opening brackets of a JSON value."""
    if not isinstance(value, list | dict):
        return 0
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(0, len(inner) - 1) + sum(map(_marks, inner))


class Talk(msgspec.Struct):
    messages: tuple[str, ...]
    agents: list[str] = []


def refusal_of(value: Any, limits: Limits = SMALL, **names: str) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        check_trace(value, limits, **names)
    assert (caught.value.status, caught.value.code) == (413, "request_too_large")
    return caught.value


def test_the_defaults_are_those_of_the_service() -> None:
    limits = Limits()
    assert (limits.max_body_bytes, limits.max_trace_steps, limits.max_messages) == (5_242_880, 5_000, 5_000)
    assert (limits.max_string_chars, limits.max_total_chars, limits.max_depth) == (200_000, 1_000_000, 64)
    assert (limits.request_timeout, limits.max_in_flight) == (120, 4_096)


def body_refusal(body: bytes, limits: Limits) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        check_body(body, limits)
    assert (caught.value.status, caught.value.code) == (413, "request_too_large")
    return caught.value


def test_a_body_that_is_too_long() -> None:
    check_body(b"x" * 10, SMALL)
    refusal = body_refusal(b"x" * 11, SMALL)
    assert refusal.message == "the body has 11 bytes; the limit is 10 (VSTACK_API_MAX_BODY_BYTES raises it)"
    assert refusal.extra == {"limit": 10, "actual": 11, "setting": "VSTACK_API_MAX_BODY_BYTES"}


SLOW = Limits(max_values=4, max_number_chars=5, max_far_numbers=1)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"1,2,3,4,5", b"[[[[", b'[{"a":[]},1', b"12345", b"-123.4e56", b"1e100", b"1e99,1e-99,1e+9"),
        # What stands in texts is no value, be they closed or not; an escaped quote ends none, an escaped backslash may.
        *(
            b'",,,,,,,,"',
            b'",,,,,\\""',
            b'",,,,,,',
            b'"[[[{{{{"',
            b'",,,\\\\","\\\\",",,,"',
            b'"1234567",1',
            b'"1e100 1e200"',
        ),
        *(b'"","","","",",,,,,"', b'{"a":",,","b":",,,","c":"\\\\"}'),
    ],
)
def test_a_body_that_is_soon_decoded(body: bytes) -> None:
    check_body(body, SLOW)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b",,,,,", "the body has 5 commas and opening brackets or more; the limit is 4 (it is fixed)"),
        (b"[{[{[", "the body has 5 commas and opening brackets or more; the limit is 4 (it is fixed)"),
        (b'",\\"",,,,,', "the body has 5 commas and opening brackets or more; the limit is 4 (it is fixed)"),
        (b'"\\\\",,,,,"', "the body has 5 commas and opening brackets or more; the limit is 4 (it is fixed)"),
        (b'"",",","",[["x', "the body has 5 commas and opening brackets or more; the limit is 4 (it is fixed)"),
        (b"[123456]", "a number in the body has 6 digits; the limit is 5 (it is fixed)"),
        (b'"1",-1234.567', "a number in the body has 8 digits; the limit is 5 (it is fixed)"),
        (b"1e000012", "a number in the body has 6 digits; the limit is 5 (it is fixed)"),
        *(
            (body, "the body has 2 numbers or more with exponents of three digits; the limit is 1 (it is fixed)")
            for body in (b"1e300,1E-300", b"1.5e+100 2e999", b'"3e100",1e100,1e100')
        ),
    ],
)
def test_a_body_that_would_take_long(body: bytes, message: str) -> None:
    refusal = body_refusal(body, SLOW)
    assert refusal.message == message
    assert refusal.extra["setting"] is None


def test_a_body_of_nothing_but_quotes_is_not_cut_into_a_million_parts() -> None:
    # It is no JSON: a first part tells that it is too much, and how much is not asked.
    refusal = body_refusal(b'",' * 100, SLOW)
    assert 4 < refusal.extra["actual"] < 20


@given(json_values)
def test_every_value_but_the_first_is_counted(value: Any) -> None:
    """A body is never let through with more values than ``max_values`` bounds."""
    body = json.dumps(value).encode()
    marks = _marks(value)
    check_body(body, Limits(max_values=marks))
    if marks:
        body_refusal(body, Limits(max_values=marks - 1))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": ["x"] * 3},
        Talk(("x", "y"), ["z"] * 3),
        {"k": "12345", "l": "12345"},
        {"log": [1] * 3},
        {"a": [{"b": []}]},
        {"when": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "n": 1.5, "b": True, "none": None},
        {"s": {1, 2}},
    ],
)
def test_a_trace_within_the_limits(value: Any) -> None:
    check_trace(value, SMALL)


@pytest.mark.parametrize(
    "value", [{"messages": [1] * 2}, {"messages": None}, {"messages": "x" * 50}, {"messages": {"a": 1}}]
)
def test_messages_within_the_limits(value: Any) -> None:
    check_trace(value, Limits(max_messages=2, max_trace_steps=1))


@pytest.mark.parametrize(
    ("value", "what", "limit", "actual", "setting"),
    [
        ({"agents": [1] * 4}, "a list in the trace has 4 items", 3, 4, "VSTACK_API_MAX_TRACE_STEPS"),
        (Talk((), ["x"] * 4), "a list in the trace has 4 items", 3, 4, "VSTACK_API_MAX_TRACE_STEPS"),
        ({"a": {"messages": (1,) * 4}}, "a list in the trace has 4 items", 3, 4, "VSTACK_API_MAX_TRACE_STEPS"),
        ({"a": [[1] * 4, [1] * 6]}, "a list in the trace has 6 items", 3, 6, "VSTACK_API_MAX_TRACE_STEPS"),
        (Talk(("x", "y", "z")), "the list messages has 3 items", 2, 3, "VSTACK_API_MAX_MESSAGES"),
        ({"a": [["123456"]]}, "a string in the trace has 6 characters", 5, 6, "VSTACK_API_MAX_STRING_CHARS"),
        ({"123456": 1}, "a string in the trace has 6 characters", 5, 6, "VSTACK_API_MAX_STRING_CHARS"),
        (
            {"a": "12345", "b": "12345", "c": 0},
            "the trace has 13 characters in all",
            12,
            13,
            "VSTACK_API_MAX_TOTAL_CHARS",
        ),
        ({"a": [[[[]]]]}, "the trace has 5 objects and lists within each other", 4, 5, None),
    ],
)
def test_a_trace_past_a_limit(value: Any, what: str, limit: int, actual: int, setting: str | None) -> None:
    refusal = refusal_of(value)
    mends = f"{setting} raises it" if setting else "it is fixed"
    assert refusal.message == f"{what}; the limit is {limit} ({mends})"
    assert refusal.extra == {"limit": limit, "actual": actual, "setting": setting}


def test_the_list_of_messages_may_have_another_name() -> None:
    assert refusal_of({"log": [1] * 3}, messages_key="log").message.startswith("the list log has 3 items")


def test_structs_count_with_their_defaults_and_free_form_fields() -> None:
    steps = (TraceStep("a", "t", "c", metadata={"key": "value"}),)
    trace = CanonicalTrace("g", steps, "o", metadata={"k": ["v"]})
    characters = len("goatckeyvaluekv")
    check_trace(trace, Limits(max_total_chars=characters))
    assert refusal_of(trace, Limits(max_total_chars=characters - 1)).extra["actual"] == characters


def test_depth_is_no_danger() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert refusal_of(value).extra["actual"] == 100_001
    while value:
        value = value.pop()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=20,
)


def naive(value: Any) -> tuple[int, int, int, int]:
    """Longest list, longest string, all characters, depth: by plain recursion."""
    if isinstance(value, str):
        return 0, len(value), len(value), 0
    if not isinstance(value, list | dict):
        return 0, 0, 0, 0
    inner = [naive(item) for item in (value if isinstance(value, list) else [*value, *value.values()])]
    longest, string, characters, depth = (
        (list(column) for column in zip(*inner, strict=True)) if inner else ([], [], [], [])
    )
    own = len(value) if isinstance(value, list) else 0
    return max([own, *longest]), max([0, *string]), sum(characters), 1 + max([0, *depth])


@given(JSON)
def test_limits_are_exact(value: Any) -> None:
    value = {"x": value}
    longest, string, characters, depth = naive(value)
    exact = Limits(max_trace_steps=longest, max_string_chars=string, max_total_chars=characters, max_depth=depth)
    check_trace(value, exact)
    for name, actual in (
        ("max_trace_steps", longest),
        ("max_string_chars", string),
        ("max_total_chars", characters),
        ("max_depth", depth),
    ):
        if actual:
            refusal = refusal_of(value, msgspec.structs.replace(exact, **{name: actual - 1}))
            assert refusal.extra["actual"] == actual
