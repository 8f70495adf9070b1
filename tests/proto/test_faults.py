"""Everything that is wrong with a value: the walk agrees with the decoder, and says more."""

from __future__ import annotations

import datetime as dt
import enum
import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, inspect

from vstack_proto.faults import MAX_FAULTS, MAX_PART_CHARS, MAX_POINTER_CHARS, Faults, look, pointer


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    first_name: str
    age: int = 0


class Square(msgspec.Struct, tag=True):
    side: float


class Circle(msgspec.Struct, tag=True):
    radius: float


def faults_of(kind: Any, value: Any) -> list[tuple[str, str]]:
    faults = Faults()
    look(inspect.type_info(kind), value, None, faults)
    assert faults.count == len(faults.kept)
    return [(fault["pointer"], fault["message"]) for fault in faults.kept]


DATE_TIME = "must be a date and time as RFC 3339 writes it, such as 2026-03-01T09:00:00Z"
RANGE = "must be a number within the range of a double"
INFINITE = float("inf")


@pytest.mark.parametrize(
    ("kind", "value", "faults"),
    [
        (Any, {"a": [1, None, "x", 1.5]}, []),
        (Any, {"a": [1, -INFINITE], "b": INFINITE}, [("/a/1", RANGE), ("/b", RANGE)]),
        (None, None, []),
        (None, 1, [("", "must be null, not a number")]),
        (bool, True, []),
        (bool, 1, [("", "must be true or false, not a number")]),
        (int, 5, []),
        (int, True, [("", "must be a whole number, not a boolean")]),
        (int, None, [("", "must be a whole number, not null")]),
        (int, 5.0, [("", "must be a whole number without point or exponent, not 5.0")]),
        (int, INFINITE, [("", "must be a whole number without point or exponent, not inf")]),
        (Annotated[int, Meta(ge=1, le=3)], 2, []),
        (Annotated[int, Meta(ge=1, le=3)], 0, [("", "must be at least 1, not 0")]),
        (Annotated[int, Meta(ge=1, le=3)], 10**50, [("", "must be at most 3, not 1" + "0" * 36 + "...")]),
        (Annotated[float, Meta(gt=0, lt=1)], 0, [("", "must be more than 0, not 0.0")]),
        (Annotated[float, Meta(gt=0, lt=1)], 1.5, [("", "must be less than 1, not 1.5")]),
        (float, 2, []),
        (float, "2", [("", "must be a number, not a string")]),
        (float, INFINITE, [("", RANGE)]),
        (float, 10**400, [("", RANGE)]),
        (str, "x", []),
        (str, ["x"], [("", "must be a string, not a list")]),
        (Annotated[str, Meta(min_length=1)], "", [("", "must have at least 1 character, not 0")]),
        (Annotated[str, Meta(max_length=2)], "xyz", [("", "must have at most 2 characters, not 3")]),
        (Annotated[str, Meta(pattern="^[a-z]+$")], "abc", []),
        (Annotated[str, Meta(pattern="^[a-z]+$")], "ABC", [("", "must match ^[a-z]+$")]),
        (dt.datetime, "2026-03-01T09:00:00Z", []),
        (dt.datetime, 5, [("", f"{DATE_TIME}, not a number")]),
        (dt.datetime, "yesterday", [("", f"{DATE_TIME}, not 'yesterday'")]),
        (Annotated[dt.datetime, Meta(tz=True)], "2026-03-01T09:00:00Z", []),
        (
            Annotated[dt.datetime, Meta(tz=True)],
            "2026-03-01T09:00:00",
            [("", "must be a date and time with an offset from UTC")],
        ),
        (
            Annotated[dt.datetime, Meta(tz=False)],
            "2026-03-01T09:00:00Z",
            [("", "must be a date and time without an offset from UTC")],
        ),
        (Literal["a", "b"], "a", []),
        (Literal["a", "b"], "x" * 99, [("", f"must be one of 'a', 'b', not '{'x' * 37}...'")]),
        (Literal["a", 1], True, [("", "must be one of 1, 'a', not a boolean")]),
        (Colour, "red", []),
        (Colour, "green", [("", "must be one of 'red', 'blue', not 'green'")]),
        (list[int], [1, 2], []),
        (list[int], {}, [("", "must be a list, not an object")]),
        (
            tuple[int, ...],
            [1, "2", None],
            [("/1", "must be a whole number, not a string"), ("/2", "must be a whole number, not null")],
        ),
        (set[str], ["a", 1], [("/1", "must be a string, not a number")]),
        (Annotated[list[int], Meta(min_length=2, max_length=3)], [1], [("", "must have at least 2 items, not 1")]),
        (Annotated[list[int], Meta(max_length=1)], [1, 2], [("", "must have at most 1 item, not 2")]),
        (tuple[int, str], [1, "x"], []),
        (tuple[int, str], [1], [("", "must be a list of 2 items, not 1")]),
        (tuple[int, str], None, [("", "must be a list of 2 items, not null")]),
        (
            tuple[int, str],
            ["x", 1],
            [("/0", "must be a whole number, not a string"), ("/1", "must be a string, not a number")],
        ),
        (dict[str, int], {"a": 1}, []),
        (dict[str, int], [], [("", "must be an object, not a list")]),
        (dict[str, int], {"a/b~c": "x"}, [("/a~1b~0c", "must be a whole number, not a string")]),
        (dict[Literal["a"], int], {"b": 1}, [("/b", "must be one of 'a', not 'b'")]),
        (Annotated[dict[str, int], Meta(max_length=1)], {"a": 1, "b": 2}, [("", "must have at most 1 member, not 2")]),
        (Strict, {"firstName": "x"}, []),
        (Strict, "x", [("", "must be an object, not a string")]),
        (
            Strict,
            {"age": "1", "first_name": "x"},
            [
                ("/firstName", "is missing"),
                ("/age", "must be a whole number, not a string"),
                ("/first_name", "is not a field here"),
            ],
        ),
        (str | None, None, []),
        (str | None, 1, [("", "must be a string or null, not a number")]),
        (int | float, 1.5, []),
        (
            Annotated[int, Meta(ge=1)] | float | None,
            -INFINITE,
            [("", "must be a whole number without point or exponent, not -inf")],
        ),
        (Literal["a", "b"] | None, "c", [("", "must be one of 'a', 'b', not 'c'")]),
        (Literal["a", "b"] | None, 1, [("", "must be a string or null, not a number")]),
        (Colour | None, [], [("", "must be a string or null, not a list")]),
        (Annotated[str, Meta(description="d")] | None, {}, [("", "must be a string or null, not an object")]),
        (list[int] | None, ["x"], [("/0", "must be a whole number, not a string")]),
        # What no trace uses is left to the decoder.
        (dt.date, "x", []),
        (dt.date | None, 1, []),
        (Square | Circle, {"type": "Square"}, [("/side", "is missing")]),
        (
            Annotated[str, Meta(min_length=1, description="d", extra={"x": 1})],
            "",
            [("", "must have at least 1 character, not 0")],
        ),
    ],
)
def test_what_is_wrong(kind: Any, value: Any, faults: list[tuple[str, str]]) -> None:
    assert faults_of(kind, value) == faults


def test_all_are_counted_and_a_thousand_kept() -> None:
    faults = Faults()
    look(inspect.type_info(list[int]), ["x"] * 1500, None, faults)
    assert (faults.count, len(faults.kept)) == (1500, MAX_FAULTS)
    faults.extend(faults)
    assert (faults.count, len(faults.kept)) == (3000, MAX_FAULTS)
    few = Faults()
    few.add(None, "is wrong")
    few.extend(faults)
    assert (few.count, len(few.kept)) == (3001, MAX_FAULTS)


def test_a_pointer_carries_little_of_what_the_caller_sent() -> None:
    assert pointer(((None, "a"), 5)) == "/a/5"
    assert len(pointer((None, "k" * 5000))) == 1 + MAX_PART_CHARS
    path: Any = None
    for number in range(1000):
        path = (path, number)
    assert len(pointer(path)) == MAX_POINTER_CHARS


class Inner(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1)]
    when: dt.datetime | None = None
    share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    kind: Literal["a", "b"] = "a"
    extra: dict[str, Any] = {}


class Outer(msgspec.Struct):
    inner: tuple[Inner, ...]
    both: str | Inner | None = None
    count: int = 0
    scores: dict[str, float] = {}


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.5, 1.5, 1e300, 10**400, "", "a", "x", "2026-03-01T09:00:00Z", "2026-13-01T09:00:00Z"])
)


def objects(kind: type[msgspec.Struct], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from([*kind.__struct_encode_fields__, "other"]), values, max_size=6)


INNER = objects(Inner, LEAVES | st.dictionaries(st.text(max_size=2), LEAVES, max_size=2))
OUTER = objects(
    Outer,
    LEAVES | INNER | st.lists(INNER | LEAVES, max_size=3) | st.dictionaries(st.text(max_size=2), LEAVES, max_size=2),
)


@given(OUTER)
def test_the_walk_finds_a_fault_where_and_only_where_the_decoder_does(value: Any) -> None:
    raw = json.dumps(value).encode()
    found = faults_of(Outer, json.loads(raw))
    try:
        msgspec.json.decode(raw, type=Outer)
    except msgspec.ValidationError:
        assert found
    else:
        assert found == []
