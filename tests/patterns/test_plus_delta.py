"""Plus/delta: the contract's rules, what the rules see in work, how feedback is judged, and what a model adds."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.plus_delta import PATTERN, FeedbackRequest, Review, assessed, profile_of
from vstack_proto.patterns.plus_delta_passes import (
    AgainAnswer,
    ChangesAnswer,
    DeltaFinding,
    Dispute,
    DisputesAnswer,
    FeedbackChange,
    ItemsAnswer,
    PlusFinding,
)
from vstack_proto.patterns.plus_delta_texts import Commitment, DeltaItem, PlusItem
from vstack_proto.trace import CanonicalTrace, TraceStep


def work(artifact: str, *criteria: str, style: Any = "balanced") -> FeedbackRequest:
    return FeedbackRequest("ann", "bob", "Review", "Adds loads", artifact, success_criteria=criteria, style=style)


SOUND = work(
    "Orders load by a high-water mark, because full loads take 3 h.\n"
    "late rows up to three days arrive: window of 3 days\ntests: unique(order_id), late_rows",
    "late rows up to three days arrive",
)
ORDERS = work(
    "where updated_at > (select max(updated_at) from this)\n-- tests: unique(order_id)\n-- no test for deletes",
    "no duplicate order_id", "deletes are reflected", "a rollback plan exists", style="delta-leaning",
)  # fmt: skip
UNSAFE = work('api_key = "sk-12345678"\ntry:\n    load()\nexcept Exception:\n    pass\n# this should work')
PLAIN = work("SELECT sum(amount) FROM sales")


@pytest.mark.parametrize(
    ("trace", "names", "assessment", "profile", "severity"),
    [
        (SOUND, {"criterion_met", "tested", "reasoned"}, "keep-going", "balanced_specific", "none"),
        (
            ORDERS, {"left_open", "tested", "criterion_missed", "criterion_open"},
            "iterate", "delta_heavy_rework", "none",
        ),
        (UNSAFE, {"unsafe", "hidden_failure", "unsupported"}, "rework", "critical_findings", "none"),
        (PLAIN, set(), "keep-going", "indeterminate", "moderate"),
    ],
)  # fmt: skip
def test_offline(trace: FeedbackRequest, names: set[str], assessment: str, profile: str, severity: str) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert {one.name for one in kit.case_of(PATTERN, trace).signals} == names
    assert (found.overall_assessment, found.profile_pattern, found.severity) == (assessment, profile, severity)
    assert bool(found.evidence) == bool(names)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert found.specificity_audit.specificity_estimate == (1.0 if names else 0.5)
    assert {one.by_agent for one in found.commitments} <= {"bob"}


def test_sound_work_gets_no_delta_and_feedback_by_rules_needs_no_change() -> None:
    found = kit.offline(PATTERN, SOUND)
    assert (found.delta_items, found.interventions, found.commitments) == ((), (), ())
    assert found.specificity_audit is None


def test_a_criterion_that_nothing_takes_up_is_quoted_itself() -> None:
    found = kit.offline(PATTERN, ORDERS)
    opened = next(item for item in found.delta_items if "rollback" in item.statement)
    assert opened.evidence == "a rollback plan exists"
    assert any(item.steps == (4,) and item.quote == opened.evidence for item in found.evidence)
    assert [item.severity for item in found.delta_items] == ["moderate"] * 3


def test_no_more_items_than_asked_for() -> None:
    trace = FeedbackRequest("a", "b", "t", "s", UNSAFE.contribution_artifact, max_items_per_category=1)
    found = kit.offline(PATTERN, trace)
    assert [item.severity for item in found.delta_items] == ["critical"]


def plus(evidence: str = "seen", statement: str = "Names the window", keep: str = "again") -> PlusItem:
    return PlusItem(statement, evidence, "impact", keep)


def delta(severity: Any = "moderate", evidence: str = "seen", alternative: str = "do that") -> DeltaItem:
    return DeltaItem("Misses deletes", evidence, "impact", alternative, severity)


def review(pluses: int, deltas: int, assessment: Any = "iterate", quality: float = 0.8, **kinds: Any) -> Review:
    bare = kinds.pop("bare", 0)
    items = [plus() for _ in range(pluses)]
    items[:bare] = [plus("")] * bare
    return Review(tuple(items), (delta(**kinds),) * deltas, (Commitment("b", "c"),), assessment, quality, ())


@pytest.mark.parametrize(
    ("given", "style", "profile"),
    [
        (review(1, 1, quality=0.39), "balanced", "generic_noise"),
        (review(2, 2, bare=2), "balanced", "no_evidence_cited"),
        (review(2, 2, bare=1), "balanced", "balanced_specific"),
        (review(1, 0, bare=1), "balanced", "no_evidence_cited"),
        (review(1, 2, alternative=" "), "balanced", "no_alternatives_named"),
        (review(1, 1, "rework", severity="critical"), "balanced", "critical_findings"),
        (review(1, 1, "iterate", severity="critical"), "balanced", "balanced_specific"),
        (review(3, 1), "plus-leaning", "plus_heavy_morale"),
        (review(2, 1), "plus-leaning", "balanced_specific"),
        (review(0, 3), "delta-leaning", "delta_heavy_rework"),
        (review(0, 3), "balanced", "indeterminate"),
        (review(1, 0), "balanced", "indeterminate"),
        (review(1, 0, "keep-going"), "balanced", "balanced_specific"),
        (review(1, 1, quality=0.69), "balanced", "indeterminate"),
    ],
)
def test_profiles(given: Review, style: Any, profile: str) -> None:
    assert profile_of(given, style) == profile


@given(st.lists(st.sampled_from(["nit", "moderate", "critical"]), max_size=6))
def test_the_gravest_delta_decides(grave: list[Any]) -> None:
    told = assessed([delta(severity) for severity in grave])
    assert (told == "rework") == ("critical" in grave)
    assert (told == "keep-going") == (set(grave) <= {"nit"})


PLUS = PlusFinding("Great work", "fine", "", (Evidence("it is", (0,), "words that are not there"),))
DELTA = DeltaFinding(
    "Deletes are not tested",
    "they are lost",
    "Add a test",
    "critical",
    (Evidence("says so", (0,), "no test for deletes"),),
)
AGAIN = DeltaFinding("No rollback", "nights", "", "moderate", (Evidence("asked", (4,), "a rollback plan"),))
ITEMS = ItemsAnswer((PLUS,), (DELTA,), (), "rework", 0.8)
CHANGE = FeedbackChange(
    "overall",
    "compose_pattern",
    description="Set goals",
    suggested_implementation="Run it",
    composition_target_pattern="vstack.smart_goal",
)


def dispute(item: int, verdict: Any, quote: str = "unique(order_id)") -> Dispute:
    return Dispute(item, verdict, "The work says so", (Evidence("says so", (0,), quote),))


# Words that stand nowhere answer nothing, and neither does an answer to an item that is none.
UNFOUNDED = (dispute(1, "wrong", "words of nobody"), dispute(9, "wrong"))


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"items": ITEMS}),
        ("standard", {"items": ITEMS, "changes": ChangesAnswer((CHANGE,))}),
        (
            "forensic",
            {
                "items": ITEMS,
                "again": AgainAnswer((), (AGAIN, DELTA)),
                "disputes": DisputesAnswer(UNFOUNDED),
                "changes": ChangesAnswer((CHANGE,)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_feedback(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, ORDERS, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    deep = mode == "forensic"
    assert [item.evidence for item in found.plus_items] == [""]
    assert [item.evidence for item in found.delta_items] == ["no test for deletes", "a rollback plan"][: 1 + deep]
    assert (found.overall_assessment, found.feedback_quality_score) == ("rework", 0.8)
    # One of two items is without evidence, one of three in the deep review: floor(3 / 2) is 1 as well.
    assert (found.profile_pattern, found.severity) == ("no_evidence_cited", "trace")
    kinds = {(one.target_dimension, one.intervention_type) for one in found.interventions}
    expected = {("plus", "tighten_specificity"), ("plus", "require_evidence"), ("plus", "add_commitment")}
    assert expected | {("overall", "add_commitment")} <= kinds
    assert (("overall", "compose_pattern") in kinds) == (mode != "quick")
    modes = {book.failure_mode for book in found.attached_playbooks}
    assert {"generic_affirmation", "no_evidence", "no_keep_doing", "no_commitments"} <= modes
    assert ("no_alternative" in modes) == deep
    assert kit.misquotes(PATTERN, ORDERS, found) == []
    assert case.grounding.dropped == (2 if deep else 1)
    if deep:
        assert found.behavioral_audit is not None
        assert found.behavioral_audit.generic_phrases_detected == ("great work",)
        assert found.specificity_audit is not None
        assert found.specificity_audit.specific_delta_count == 2


@pytest.mark.parametrize(
    ("disputes", "deltas", "pluses", "assessment"),
    [
        (UNFOUNDED, ["critical", "moderate"], 1, "rework"),
        ((dispute(0, "overdrawn"),), ["critical", "moderate"], 0, "rework"),
        ((dispute(1, "overdrawn"),), ["moderate", "moderate"], 1, "iterate"),
        ((dispute(1, "wrong"), dispute(2, "wrong"), dispute(2, "wrong")), [], 1, "keep-going"),
        ((dispute(1, "overdrawn"),) * 3, ["moderate"], 1, "iterate"),
    ],
)
def test_what_the_work_answers_is_struck_or_weighs_less(
    disputes: tuple[Dispute, ...], deltas: list[str], pluses: int, assessment: str
) -> None:
    case = kit.case_of(PATTERN, ORDERS, "forensic")
    answers = {"items": ITEMS, "again": AgainAnswer((), (AGAIN,)), "disputes": DisputesAnswer(disputes)}
    found = PATTERN.conclude(case, answers)
    assert [item.severity for item in found.delta_items] == deltas
    assert (len(found.plus_items), found.overall_assessment) == (pluses, assessment)
    changes = PATTERN.passes["forensic"][3].instruction(case, answers)
    assert changes.count("(delta, ") == len(deltas)


def test_without_an_item_nothing_is_disputed() -> None:
    case = kit.case_of(PATTERN, ORDERS, "forensic")
    assert not PATTERN.passes["forensic"][2].wanted(case, {"items": ItemsAnswer((), (), (), "keep-going", 0.5)})


def test_from_a_canonical_trace() -> None:
    whole = CanonicalTrace("Load orders", (TraceStep("bob", "message", "done"),), "loaded")
    with pytest.raises(TraceNotReadable, match="reviewer_agent, subject_agent, contribution_artifact"):
        PATTERN.from_trace(whole)
    told = {"reviewer_agent": "ann", "subject_agent": "bob", "contribution_artifact": "x = 1", "style": "harsh"}
    trace = PATTERN.from_trace(CanonicalTrace("Load orders", whole.steps, "loaded", metadata=told))
    assert (trace.task_context, trace.contribution_summary, trace.style) == ("Load orders", "loaded", "balanced")
    assert PATTERN.faults(trace) == []
