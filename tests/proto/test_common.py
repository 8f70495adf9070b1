"""What patterns share: grounding, composition, playbooks, bands, faults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from tests.proto.last_word import PATTERN, Line, Remedy, Talk
from vstack_proto.patterns.common import (
    Case,
    Composition,
    Evidence,
    Fault,
    Grounding,
    Severity,
    Signal,
    always,
    attach_playbooks,
    banded,
    no_preconditions,
    paired_playbooks,
)

TALK = Talk("Pick a date", (Line("ann", "Monday or\nTuesday?"), Line("bob", "Monday it is."), Line("ann", "Monday.")))


def case(*signals: Signal) -> Case[Talk]:
    return Case(TALK, PATTERN.read(TALK), signals, "quick")


@pytest.mark.parametrize(
    ("quote", "steps", "found"),
    [
        ("Monday", (0, 1, 2), ("Monday", (0, 1, 2))),
        ("Monday", (2, 0, 2), ("Monday", (2, 0))),
        ("Monday or Tuesday", (0,), ("Monday or\nTuesday", (0,))),
        ("it is", (0, 1), ("it is", (1,))),
        ("it is", (0, 2), None),
        ("Monday", (-1, 3, 99), None),
        ("Monday", (), None),
        ("", (0,), None),
    ],
)
def test_a_quotation_counts_where_it_stands(
    quote: str, steps: Iterable[int], found: tuple[str, tuple[int, ...]] | None
) -> None:
    ledger = case()
    assert ledger.quoted(quote, steps) == found
    assert ledger.grounding == Grounding(1, found is not None, found is None)


def test_evidence_that_is_not_there_is_dropped_and_counted() -> None:
    ledger = case()
    kept = ledger.ground(
        [Evidence("a", (1,), "it is"), Evidence("b", (1,), "Friday"), Evidence("c", (0, 2), "Monday.")]
    )
    assert kept == (Evidence("a", (1,), "it is"), Evidence("c", (2,), "Monday."))
    assert ledger.grounding == Grounding(3, 2, 1)


def test_the_weightiest_signal_is_the_first_evidence() -> None:
    signals = (Signal("x", "hint", (1,), "it is", 0.25), Signal("y", "proof", (0,), "Monday", 1.0))
    assert [item.claim for item in case(*signals).evidence_of_signals()] == ["proof", "hint"]


COMPOSITION = Composition(
    upstream=("before",),
    downstream={"profile": {"bad": ("one", "two"), "good": ()}, "severity": {"high": ("two", "three")}},
    framework_overlays={"crewai": ("four", "one")},
    intervention_overlays={"new_eval": "five", "retrain": "one"},
)


def test_neighbours_are_named_once_and_in_order() -> None:
    handoff = COMPOSITION.handoff(
        {"profile": "bad", "severity": "high"}, "crewai", {"k": 1}, ("new_eval", "retrain", "none")
    )
    assert handoff.upstream_patterns == ("before",)
    assert handoff.downstream_patterns == ("one", "two", "three", "four", "five")
    assert (handoff.handoff_payload, handoff.rationale) == ({"k": 1}, "neighbours of profile bad, severity high")


def test_who_has_nothing_to_hand_on() -> None:
    handoff = COMPOSITION.handoff({"profile": "good", "severity": "none"}, None, {})
    assert handoff.downstream_patterns == ()
    assert Composition(upstream=(), downstream={}).handoff({}, "other", {}).rationale == ""


def test_playbooks_are_brought_along_once() -> None:
    books = (Remedy("silence", "team", "a"), Remedy("noise", "team", "b"), Remedy("noise", "lead", "c"))
    attach = {("silence", "prompt"): "team", ("noise", "prompt"): "team", ("noise", "tool"): "nobody"}
    pairs = [("noise", "prompt"), ("noise", "tool"), ("silence", "prompt"), ("noise", "prompt"), ("x", "y")]
    assert paired_playbooks(books, attach, pairs) == (books[1], books[0])
    changes = [Remedy(target, kind, "why") for target, kind in pairs]
    assert attach_playbooks(books, attach, changes) == (books[1], books[0])


@pytest.mark.parametrize(
    ("score", "label"), [(-1.0, "none"), (0.0, "none"), (0.3, "low"), (0.69, "low"), (9.0, "high")]
)
def test_bands_begin_where_they_say(score: float, label: Severity) -> None:
    assert banded(score, ((0.0, "none"), (0.3, "low"), (0.7, "high"))) == label


def test_faults_are_those_of_blank_fields_and_of_preconditions() -> None:
    talk = Talk(" ", (Line("", "x"),))
    assert PATTERN.faults(talk) == [Fault("/goal", "must not be blank"), Fault("/lines/0/who", "must not be blank")]
    plain: Any = msgspec.structs.replace(PATTERN, preconditions=no_preconditions, non_blank=())
    assert plain.faults(talk) == []
    assert always(case(), {}) is True
