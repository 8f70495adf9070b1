"""Findings put to the test: objections, fates, and what words did."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns.common import Case, Evidence, Reading, Step
from vstack_proto.patterns.signs import Judged
from vstack_proto.patterns.tested import Fate, Objection, borne, contested, followed


def case_of(*said: tuple[str, str]) -> Case[Any]:
    return Case(None, Reading((), tuple(Step(kind, kind, text) for kind, text in said)), (), "forensic")


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
    fate = Fate(kind, 0, quote, met_step, met_quote)
    assert followed(case, [fate, fate], ("met",)) == (((kind, 0, "please check"),) if stands else ())


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
    objection = Objection(label, score, "It was checked.", (Evidence("c", (0,), quote),))
    told, against = contested(case, JUDGED, [objection])
    assert {name: one.score for name, one in told.items()} == left
    assert len(against) == proofs
    assert [name for name, one in told.items() if "Against it: It was checked." in one.explanation] == ["a"] * proofs
    assert case.grounding.cited == 1


SHARES = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats(0, 1))


@given(SHARES, st.lists(st.sampled_from(["x", "y", "z"])))
def test_what_words_did_never_raises_a_score_and_takes_half_of_it_at_most(
    scores: dict[str, float], kinds: list[str]
) -> None:
    felt = borne(scores, kinds, {"a": "x", "b": "y"})
    assert all(0.5 * score - 1e-3 <= felt[label] <= score + 1e-3 for label, score in scores.items())
    assert felt.get("c", 0.0) == pytest.approx(scores.get("c", 0.0), abs=1e-4)
    assert kinds or felt == scores
