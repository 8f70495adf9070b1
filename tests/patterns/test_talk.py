"""The words and rules that the patterns of trust and conversation share."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import talk
from vstack_proto.patterns.common import Case, Evidence, Reading, Signal, Step
from vstack_proto.patterns.signs import Judged


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


@pytest.mark.parametrize(
    ("kind", "quote", "met_step", "met_quote", "stands"),
    [
        ("lost", "please check", None, "", True),
        ("met", "please check", 1, "I checked", True),
        ("met", "please check", 1, "not said", False),
        ("met", "please check", None, "", False),
        ("met", "please check", 0, "please", False),
        ("met", "not said", 1, "I checked", False),
    ],
)
def test_what_was_met_names_the_later_words_that_met_it(
    kind: str, quote: str, met_step: int | None, met_quote: str, stands: bool
) -> None:
    case = case_of(("user", "please check"), ("agent", "I checked it twice"))
    fate = talk.Fate(kind, 0, quote, met_step, met_quote)
    assert talk.followed(case, [fate, fate], ("met",)) == (((kind, 0, "please check"),) if stands else ())


JUDGED = {"a": Judged(0.6, "Seen.", ()), "b": Judged(0.4, "Seen.", ())}


@pytest.mark.parametrize(
    ("label", "score", "quote", "left", "proofs"),
    [
        ("a", 0.2, "I checked", {"a": 0.2, "b": 0.4}, 1),
        ("a", 0.8, "I checked", {"a": 0.6, "b": 0.4}, 0),
        ("b", 0.0, "not said", {"a": 0.6, "b": 0.4}, 0),
    ],
)
def test_an_objection_that_stands_lowers_a_score_and_never_raises_one(
    label: str, score: float, quote: str, left: dict[str, float], proofs: int
) -> None:
    case = case_of(("agent", "I checked it twice"))
    objection = talk.Objection(label, score, "It was checked.", (Evidence("c", (0,), quote),))
    told, against = talk.contested(case, JUDGED, [objection])
    assert {name: one.score for name, one in told.items()} == left
    assert len(against) == proofs
    assert [name for name, one in told.items() if "Against it: It was checked." in one.explanation] == ["a"] * proofs
    assert case.grounding.cited == 1


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
