"""Bodies: what they mean, and what is told of those that mean nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.faults import MAX_FAULTS
from vstack_proto.trace import CanonicalTrace, TraceStep
from vstack_proto.validation import (
    MAX_NAMES_COMPARED,
    MAX_STEPS_COMPARED,
    MAX_WARNINGS,
    MAX_WORD_CHARS,
    Envelope,
    decode_envelope,
    decode_trace,
    looks_canonical,
    unknown_fields,
)

TRACE = b'{"goal":"g","outcome":"o","steps":[{"agent":"a","type":"t","content":"c"}]}'
DEEP = 20_000


def refusal_of(call: Any, *args: Any) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        call(*args)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("body", "envelope"),
    [
        (b'{"trace": {"goal": 1} }', Envelope(b'{"goal": 1}')),
        (
            b'{"mode":"quick","model":"m","format":"canonical","trace":{}}',
            Envelope(b"{}", "quick", "m", "canonical"),
        ),
        (b'{"mode":null,"model":null,"format":null,"trace":{}}', Envelope(b"{}")),
        (b'{"trace":{},"mode":"\\u0071uick"}', Envelope(b"{}", "quick")),
        (b'{"trace":{},"model":"' + b"m" * MAX_WORD_CHARS + b'"}', Envelope(b"{}", None, "m" * MAX_WORD_CHARS)),
        (TRACE, Envelope(TRACE, flat=True)),
        (b'{"goal":"g","mode":"quick"}', Envelope(b'{"goal":"g","mode":"quick"}', "quick", flat=True)),
        # Only an object can be the trace of an envelope.
        (b'{"trace":"x"}', Envelope(b'{"trace":"x"}', flat=True)),
        (b'{"trace":[]}', Envelope(b'{"trace":[]}', flat=True)),
        (b'{"trace":null}', Envelope(b'{"trace":null}', flat=True)),
        (b" {}\n", Envelope(b" {}\n", flat=True)),
    ],
)
def test_the_forms_of_a_body(body: bytes, envelope: Envelope) -> None:
    assert decode_envelope(body) == envelope


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1", b"true"])
def test_a_body_that_is_no_object(body: bytes) -> None:
    refusal = refusal_of(decode_envelope, body)
    assert (refusal.code, refusal.message) == ("invalid_request", "the body must be a JSON object")


def test_words_that_are_none_are_all_named() -> None:
    refusal = refusal_of(decode_envelope, b'{"trace":{},"mode":3,"model":{},"format":[]}')
    assert refusal.code == "validation_error"
    assert refusal.extra == {
        "error_count": 3,
        "errors": [
            {"pointer": "/mode", "message": "must be a string, not a number"},
            {"pointer": "/model", "message": "must be a string, not an object"},
            {"pointer": "/format", "message": "must be a string, not a list"},
        ],
    }
    refusal = refusal_of(decode_envelope, b'{"mode":true,"model":"' + b"m" * 201 + b'"}')
    assert [fault["message"] for fault in refusal.extra["errors"]] == [
        "must be a string, not a boolean",
        "must have at most 200 characters, not 201",
    ]


INVALID = [
    (b"", "it is empty", 0),
    (b"  ", "it is empty", 2),
    (b'{"goal":"g"', "it ends too early", 11),
    (b'{"goal":"\\ud83d\\ude00', "it ends too early", 21),
    (b"{} x", "trailing characters", 3),
    (b'{"x":NaN}', "invalid character", 5),
    (b"{\"x\":'y'}", "invalid character", 5),
    (b'{"x":"\x01"}', "invalid character", 6),
    (b'{"x":"\\q"}', "invalid escape", 7),
    # In fields that nobody reads as well.
    (b'{"x":"\xff"}', "not UTF-8", 6),
    (b'{"x":"\xed\xa0\x80"}', "not UTF-8", 6),
    (b'{"x":"\\ud83d"}', "half of a surrogate pair", 6),
    (b'{"x":"\\\\ \\ud83dx"}', "half of a surrogate pair", 9),
    (b'{"x":"\\ud83d\\ude00 \\ude00"}', "half of a surrogate pair", 19),
    (b'{"x":"\\ud83d\\ude00\\ude00"}', "half of a surrogate pair", 18),
    (b'{"x":"\\ud83dx and so on"}', "half of a surrogate pair", 6),
    (b'{"x":"\\ud83d\\u0041 and so on"}', "half of a surrogate pair", 6),
    (b'{"x":"\\\\ud83d\\ude00 and so on"}', "half of a surrogate pair", 13),
    (b'{"x":"\\u00zz and so on"}', "invalid character", 10),
    (b'{"x":"\\ude00\\ud83d"}', "half of a surrogate pair", 6),
    (b"\xef\xbb\xbf{}", "invalid character", 0),
]


@pytest.mark.parametrize(
    "call", [decode_envelope, lambda body: decode_trace(body, CanonicalTrace)], ids=["envelope", "trace"]
)
@pytest.mark.parametrize(("body", "what", "position"), INVALID)
def test_what_is_not_json_is_refused_with_its_place(call: Any, body: bytes, what: str, position: int) -> None:
    refusal = refusal_of(call, body)
    assert refusal.code == "invalid_json"
    assert refusal.message.startswith(f"the body is not valid JSON: {what}")
    assert refusal.extra["position"] in range(position, position + 2)
    assert refusal.message.endswith(f"(byte {refusal.extra['position']})")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP + b"]" * DEEP,
        b'{"x":' * DEEP + b"1" + b"}" * DEEP,
        b'{"trace":{"metadata":{"x":' + b"[" * DEEP + b"]" * DEEP + b"}}}",
    ],
)
def test_deep_nesting_is_refused(body: bytes) -> None:
    for call, arguments in ((decode_envelope, (body,)), (decode_trace, (body, CanonicalTrace))):
        refusal = refusal_of(call, *arguments)
        if refusal.code == "invalid_json":
            assert "nested too deeply; the limit is 64" in refusal.message
        else:
            assert body.startswith(b"[")


def test_a_trace_is_decoded_strictly() -> None:
    assert decode_trace(TRACE, CanonicalTrace) == CanonicalTrace("g", (TraceStep("a", "t", "c"),), "o")
    assert decode_trace(TRACE.replace(b'"g"', '"gö"'.encode()), CanonicalTrace).goal == "gö"


def test_every_fault_is_named() -> None:
    steps: list[Any] = [{"agent": "a", "type": "t", "content": "c", "timestamp": "yesterday"}, {"agent": 1}]
    body = {"goal": None, "steps": steps, "agents": ["x", 5], "metadata": {"a/b": 1}, "success": "yes"}
    refusal = refusal_of(decode_trace, json.dumps(body).encode(), CanonicalTrace)
    assert refusal.code == "validation_error"
    assert refusal.message == "the request has 8 faults, the first: /goal must be a string, not null"
    assert [fault["pointer"] for fault in refusal.extra["errors"]] == [
        "/goal",
        "/steps/0/timestamp",
        "/steps/1/agent",
        "/steps/1/type",
        "/steps/1/content",
        "/outcome",
        "/agents/1",
        "/success",
    ]
    assert refusal.extra["error_count"] == 8


def test_a_single_fault() -> None:
    refusal = refusal_of(decode_trace, b'{"goal":"g","outcome":"o","steps":[]}', CanonicalTrace)
    assert refusal.message == "the request has 1 fault: /steps must have at least 1 item, not 0"
    assert refusal_of(decode_trace, b"[]", CanonicalTrace).message == (
        "the request has 1 fault: the trace must be an object, not a list"
    )


def test_the_answer_to_a_large_bad_body_is_small() -> None:
    body = b'{"goal":"g","outcome":"o","steps":[' + b",".join([b'{"agent":"%b"}' % (b"x" * 500)] * 5000) + b"]}"
    refusal = refusal_of(decode_trace, body, CanonicalTrace)
    assert refusal.extra["error_count"] == 10_000
    assert len(refusal.extra["errors"]) == MAX_FAULTS
    assert len(msgspec.json.encode(refusal.extra)) < 100_000


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000])
def test_numbers_out_of_range_are_faults(number: bytes) -> None:
    refusal = refusal_of(decode_trace, TRACE[:-1] + b',"metadata":{"n":[' + number + b"]}}", CanonicalTrace)
    assert refusal.extra["errors"] == [
        {"pointer": "/metadata/n/0", "message": "must be a number within the range of a double"}
    ]


def test_large_numbers_in_range_are_none() -> None:
    trace = decode_trace(TRACE[:-1] + b',"metadata":{"n":' + b"9" * 400 + b"}}", CanonicalTrace)
    assert trace.metadata == {"n": 10**400 - 1}
    refusal = refusal_of(decode_trace, b'{"goal":' + b"9" * 400 + b"}", CanonicalTrace)
    assert refusal.extra["error_count"] == 3


@pytest.mark.parametrize(
    ("tail", "what"),
    [(b',"x":NaN}', "invalid character"), (b"", "it ends too early"), (b',"x":"\\ud800"}', "half of a surrogate pair")],
)
def test_what_follows_a_fault_may_not_even_be_json(tail: bytes, what: str) -> None:
    refusal = refusal_of(decode_trace, b'{"goal":1' + tail, CanonicalTrace)
    assert refusal.code == "invalid_json"
    assert what in refusal.message


class Dated(msgspec.Struct):
    days: dict[str, list[dt.date]]

    def __post_init__(self) -> None:
        if not self.days:
            raise ValueError("there must be a day")


@pytest.mark.parametrize(
    ("raw", "pointer", "message"),
    [
        (b'{"days":{"a":["x"]}}', "/days/.../0", "Invalid RFC3339 encoded date"),
        (b'{"days":{}}', "", "there must be a day"),
    ],
)
def test_what_the_walk_does_not_know_is_told_in_the_decoders_words(raw: bytes, pointer: str, message: str) -> None:
    refusal = refusal_of(decode_trace, raw, Dated)
    assert refusal.extra["errors"] == [{"pointer": pointer, "message": message}]


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (TRACE, ()),
        (b'{"trace":1,"mode":1,"model":1,"format":1,"zzz":1}', ()),
        (b'{"sucess":true}', ("unknown field 'sucess' was ignored; did you mean 'success'?",)),
        (b'{"sucess":true,"success":true}', ()),
        (
            b'{"Metadata":{},"frame_work":"x"}',
            (
                "unknown field 'Metadata' was ignored; did you mean 'metadata'?",
                "unknown field 'frame_work' was ignored; did you mean 'framework'?",
            ),
        ),
        (b'{"baseline_path":null}', ()),
        (
            b'{"baseline_path":"/etc/passwd","baseline_audit_path":"x"}',
            (
                "field 'baseline_path' was ignored: a path in a request is never opened",
                "field 'baseline_audit_path' was ignored: a path in a request is never opened",
            ),
        ),
        (b'{"' + b"s" * 5000 + b'":1}', ()),
    ],
)
def test_what_a_trace_says_in_vain(raw: bytes, lines: tuple[str, ...]) -> None:
    assert unknown_fields(raw, CanonicalTrace) == lines


def test_warnings_are_few_and_so_is_the_work_for_them() -> None:
    paths = {f"baseline_{number}_path": "x" for number in range(50)}
    assert len(unknown_fields(json.dumps(paths).encode(), CanonicalTrace)) == MAX_WARNINGS
    noise = {f"unrelated-{number}": 1 for number in range(MAX_NAMES_COMPARED)}
    assert unknown_fields(json.dumps({**noise, "sucess": 1}).encode(), CanonicalTrace) == ()
    steps = [{f"contend-{number}-{n}": 1 for n in range(10)} | {"tol": "t"} for number in range(5)]
    assert unknown_fields(json.dumps({"steps": steps}).encode(), CanonicalTrace) == (
        "unknown field 'tol' of /steps/0 was ignored; did you mean 'tool'?",
    )
    late: list[dict[str, str]] = [{}] * MAX_STEPS_COMPARED + [{"tol": "t"}]
    assert unknown_fields(json.dumps({"steps": late}).encode(), CanonicalTrace) == ()
    several = [*[{f"n-{number}-{n}": 1 for n in range(MAX_NAMES_COMPARED)} for number in range(2)], {"tol": "t"}]
    assert unknown_fields(json.dumps({"steps": several}).encode(), CanonicalTrace) == ()


def test_a_trace_that_is_the_whole_body_may_misspell_what_stands_beside_one() -> None:
    raw = b'{"goal":"g","modle":"forensic"}'
    assert unknown_fields(raw, CanonicalTrace) == ()
    assert unknown_fields(raw, CanonicalTrace, flat=True) == (
        "unknown field 'modle' was ignored; did you mean 'mode'?",
    )


ALL = "a request has trace, mode, model, format, baseline"


@pytest.mark.parametrize(
    ("beside", "lines"),
    [
        ({}, ()),
        ({"mode": "quick", "model": "m", "format": None, "baseline": "b"}, ()),
        ({"modle": "forensic"}, ("unknown field 'modle' was ignored; did you mean 'mode'?",)),
        ({"mod": 1}, ("unknown field 'mod' was ignored; did you mean 'mode'?",)),
        ({"fromat": "canonical"}, ("unknown field 'fromat' was ignored; did you mean 'format'?",)),
        ({"baselin": "b"}, ("unknown field 'baselin' was ignored; did you mean 'baseline'?",)),
        ({"depth": "forensic"}, (f"unknown field 'depth' was ignored; {ALL}",)),
        ({"x" * 101: 1}, (f"unknown field '{'x' * 97}...' was ignored; {ALL}",)),
        ({"baseline_path": None}, ()),
        (
            {"baseline_path": "/etc/passwd"},
            ("field 'baseline_path' was ignored: a path in a request is never opened",),
        ),
    ],
)
def test_what_stands_beside_a_trace_in_vain(beside: dict[str, Any], lines: tuple[str, ...]) -> None:
    assert decode_envelope(json.dumps({"trace": {}, **beside}).encode()).warnings == lines


@pytest.mark.parametrize("name", ["noise-{}", "baseline_{}_path"])
def test_what_stands_beside_a_trace_is_told_of_in_few_lines(name: str) -> None:
    beside = {name.format(number): 1 for number in range(MAX_WARNINGS + 1)}
    assert len(decode_envelope(json.dumps({"trace": {}, **beside, "zzz": 1}).encode()).warnings) == MAX_WARNINGS


class Goal(msgspec.Struct):
    goal: str
    steps: int


class Other(msgspec.Struct):
    text: str


@pytest.mark.parametrize(
    ("raw", "kind", "whether"),
    [
        (TRACE, Other, True),
        (TRACE, Goal, True),
        (b'{"goal":1,"steps":[]}', Other, True),
        (b'{"goal":1,"steps":[]}', Goal, False),
        (b'{"goal":"g"}', Other, False),
        (b'{"text":1}', Other, False),
    ],
)
def test_a_canonical_trace_is_known_by_its_goal_and_steps(raw: bytes, kind: type[Any], whether: bool) -> None:
    assert looks_canonical(raw, kind) is whether


@given(st.binary(max_size=60) | st.text('{}[]":,\\u0d8019eE+-. nulltruefalsegoalsteps', max_size=60).map(str.encode))
def test_no_body_is_more_than_refused(body: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        envelope = decode_envelope(body)
        decode_trace(envelope.trace_raw, CanonicalTrace)
        unknown_fields(envelope.trace_raw, CanonicalTrace)
