"""The words and rules that the patterns of trust and conversation share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import talk
from vstack_proto.patterns.common import Case, Evidence, Pass, Reading, Signal, Step, asks


def case_of(*said: tuple[str, str], signals: tuple[Signal, ...] = ()) -> Case[Any]:
    return Case(None, Reading((), tuple(Step(kind, kind, text) for kind, text in said)), signals, "standard")


@pytest.mark.parametrize("text", ["That's wrong.", "That\u2019s wrong.", "no, that is wrong"])
def test_either_apostrophe_will_do(text: str) -> None:
    assert talk.DISPUTED.search(text)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (talk.CERTAIN, "I am not absolutely sure"),
        (talk.BAD, "0 errors, no failures, without error"),
        (talk.NOTICED, "feel free to ask"),
        (talk.FEELING, "a kernel panic"),
    ],
)
def test_innocent_words(words: Any, text: str) -> None:
    assert words.search(text) is None


def test_replies_pair_the_last_turn_of_a_user_with_what_follows() -> None:
    said = (("agent", "hi"), ("user", "a"), ("user", "b"), ("tool", "ls"), ("agent", "one"), ("agent", "two"))
    pairs = [(at, number) for at, _, number, _ in talk.replies(case_of(*said).reading)]
    assert pairs == [(2, 4)]


def test_events_stand_once() -> None:
    case = case_of(("agent", "I am sorry"), ("agent", "I am sorry"))
    told = (("a", 0, "sorry"), ("a", 0, "sorry"), ("a", 1, "sorry"), ("b", 0, "I am"), ("b", 0, "no"), ("b", 9, "I am"))
    said = [talk.Happening(kind, step, "c", quote) for kind, step, quote in told]
    assert talk.counted(case, said) == {"a": 2, "b": 1}
    assert case.grounding.dropped == 2


REGISTERS = (Pass("one", talk.Events, asks("")), Pass("two", talk.Events, asks("")))


def test_registers_are_tallied() -> None:
    case = case_of(("agent", "It works."), ("agent", "It broke, and it works."))
    one = talk.Events((talk.Happening("bad", 1, "broke", "It broke"), talk.Happening("bad", 1, "again", "It broke")))
    two = talk.Events((talk.Happening("good", 1, "c", "it works"), talk.Happening("bad", 0, "c", "It broke")))
    counts, lapses = talk.tally(case, {"one": one, "two": two}, REGISTERS, {"bad"}, {"bad": 9})
    # Each once, and only in the step that it stands in; what is no lapse is counted and proves nothing.
    assert counts == {"bad": 1, "good": 1}
    assert lapses == (Evidence("broke", (1,), "It broke"),)
    assert (case.grounding.cited, case.grounding.dropped) == (4, 1)
    assert talk.tally(case, {}, REGISTERS, {"bad"}, {"bad": 9}) == ({"bad": 9}, ())


marks = st.tuples(st.sampled_from("ab"), st.integers(-1, 3), st.sampled_from(["yes", "nope", "maybe"]))


@given(st.lists(marks, max_size=12))
def test_a_tally_counts_no_more_than_stands(told: list[tuple[str, int, str]]) -> None:
    case = case_of(("agent", "yes and nope"), ("agent", "nope"))
    listed = talk.Events(tuple(talk.Happening(kind, step, "c", quote) for kind, step, quote in told))
    counts, lapses = talk.tally(case, {"one": listed}, REGISTERS, "a", {})
    stands = {
        (kind, step, quote) for kind, step, quote in told if (step, quote) in {(0, "yes"), (0, "nope"), (1, "nope")}
    }
    assert counts == {kind: n for kind in "ab" if (n := sum(one[0] == kind for one in stands))}
    assert {(one.steps[0], one.quote) for one in lapses} == {one[1:] for one in stands if one[0] == "a"}


def test_a_look_aside_counts_nothing() -> None:
    case = case_of(("agent", "I checked it twice"))
    assert case.aside().quoted("checked", (0,)) is not None
    assert case.grounding.cited == 0


@given(st.lists(st.tuples(st.sampled_from(["up", "down"]), st.floats(0, 1)), max_size=8))
def test_what_builds_never_lowers_and_what_spends_never_raises(found: list[tuple[str, float]]) -> None:
    signals = [Signal(name, "c", (0,), "quote", weight) for name, weight in found]
    builds, spends = {"up": "trust"}, {"down": "trust"}
    stands = talk.standing(signals, builds, spends, ["trust"])["trust"]
    built = talk.standing([one for one in signals if one.name == "up"], builds, spends, ["trust"])["trust"]
    assert 0 <= stands <= built <= 1
    assert built >= talk.GIVEN


def test_what_a_model_says_without_proof_lifts_nothing() -> None:
    case = case_of(("agent", "I am sorry"), signals=(Signal("s", "c", (0,), "I am", 0.5),))
    found = [
        ("x", 0.9, "made up", (Evidence("c", (0,), "nowhere"),)),
        ("y", 0.9, "told", (Evidence("c", (0,), "sorry"),)),
    ]
    told = talk.heard(case, found, {"s": "x"}, {"x": 0.5, "y": 0.1, "z": 0.3})
    assert {label: one.score for label, one in told.items()} == {"x": 0.5, "y": 0.9, "z": 0.0}
    assert (told["x"].quotes, told["y"].quotes) == (("I am",), ("sorry",))
    assert talk.highest(found, ["x", "z"]) == {"x": 0.9, "y": 0.9, "z": 0.0}
