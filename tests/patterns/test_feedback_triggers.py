"""The feedback triggers: the contract's formulas, what the rules see in replies, and what a model's answer adds."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.feedback_triggers import (
    PATTERN,
    FeedbackInteractionTrace,
    FeedbackMessage,
    intake_of,
    profile_of,
)
from vstack_proto.patterns.feedback_triggers_passes import (
    TRIGGERS,
    EventsAnswer,
    FeedbackIntervention,
    InterventionsAnswer,
    PointsAnswer,
    QuickAnswer,
    TriggerFinding,
    TriggersAnswer,
)
from vstack_proto.patterns.talk import Happening
from vstack_proto.patterns.tested import Fate
from vstack_proto.trace import CanonicalTrace, TraceStep

Said = tuple[Any, str]


def talk(*told: Said, took: bool = False) -> FeedbackInteractionTrace:
    """``feedback`` is a user's message that is marked as it."""
    messages = tuple(
        FeedbackMessage("user" if source == "feedback" else source, content, source == "feedback")
        for source, content in told
    )
    return FeedbackInteractionTrace("Write a query", messages, "ended", took)


ABSORBED = talk(
    ("agent", "Here is the query, tested."),
    ("feedback", "It counts trial users, please exclude them."),
    ("system", "select count(*) ... 412 trial users"),
    ("agent", "You are right: 412 of them are in it. I have excluded them and compared the total with finance."),
    ("feedback", "The join is wrong too, I think."),
    ("system", "explain ..."),
    ("agent", "I disagree there: the plan shows one row per order. Which order did you see twice?"),
    took=True,
)
ARGUED = talk(
    ("agent", "Trial users count, the query returns every active user of the month as asked."),
    ("feedback", "It counts trial users, please exclude them."),
    ("agent", "You are mistaken. The definition in the wiki supports me."),
    ("feedback", "Finance needs paying users."),
    ("agent", "Trial users count, the query returns every active user of the month as asked."),
)
DISMISSED = talk(
    ("agent", "Done."),
    ("feedback", "The index is missing."),
    ("agent", "With all due respect, you are new to this schema."),
    ("feedback", "The index is still missing!"),
    ("agent", "I do not appreciate your tone."),
)
COLLAPSED = talk(
    ("agent", "Here is the draft."),
    ("feedback", "The second figure is off by ten."),
    ("agent", "I am so sorry, I am useless at this. You are absolutely right, I will redo everything."),
)
POLITE = talk(
    ("agent", "Here is the draft."),
    ("feedback", "The second figure is off by ten."),
    ("agent", "Thanks for the feedback, noted."),
)


@pytest.mark.parametrize(
    ("trace", "profile", "dominant", "modes"),
    [
        (ABSORBED, "absorbing_baseline", "none-observed", set()),
        (ARGUED, "truth_triggered_defensive", "truth", {"defensive_argument", "rule_citation", "restate_original"}),
        (
            DISMISSED, "relationship_triggered_rejection", "relationship",
            {"source_dismissal", "tone_redirect", "repeated_rejection"},
        ),
        (COLLAPSED, "identity_triggered_collapse", "identity", {"apology_spiral", "over_agreement_collapse"}),
        (POLITE, "deflection_pattern", "truth", {"performative_acknowledgement"}),
    ],
)  # fmt: skip
def test_offline_profiles(trace: FeedbackInteractionTrace, profile: str, dominant: str, modes: set[str]) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert {one.name for one in kit.case_of(PATTERN, trace).signals} == modes
    assert (found.profile_pattern, found.dominant_trigger) == (profile, dominant)
    assert bool(found.interventions) == bool(found.evidence) == bool(modes)
    assert {book.failure_mode for book in found.attached_playbooks} == modes - {"over_agreement_collapse"}
    assert kit.misquotes(PATTERN, trace, found) == []


def test_offline_audits_are_counted() -> None:
    absorbed, argued, dismissed = (kit.offline(PATTERN, one, "forensic") for one in (ABSORBED, ARGUED, DISMISSED))
    assert absorbed.defense_pattern_audit.concession_count == 1
    assert absorbed.defense_pattern_audit.defense_intensity == 0.0
    assert absorbed.source_attribution_audit.data_engagement_count == 1
    assert (argued.defense_pattern_audit.repetition_count, argued.defense_pattern_audit.justification_count) == (1, 2)
    assert dismissed.source_attribution_audit.source_attribution_estimate == 1.0
    assert kit.offline(PATTERN, ARGUED).defense_pattern_audit is None


@pytest.mark.parametrize(
    "reply", ["I am so sorry, I fixed the join.", "You are absolutely right: I have excluded them."]
)
def test_an_apology_that_names_its_change_is_healthy(reply: str) -> None:
    mended = talk(("agent", "Done."), ("feedback", "The join is wrong."), ("agent", reply))
    assert kit.case_of(PATTERN, mended).signals == ()


def test_words_count_in_replies_to_feedback_only() -> None:
    unasked = talk(("user", "Hello"), ("agent", "You are mistaken, and I am so sorry."), ("user", "Thanks"))
    assert kit.case_of(PATTERN, unasked).signals == ()


@pytest.mark.parametrize(
    ("scores", "took", "intake", "profile"),
    [
        ((0.3, 0.0, 0.0), True, "absorbs-feedback", "absorbing_baseline"),
        ((0.0, 0.0, 0.0), False, "trigger-prone", "indeterminate"),
        ((0.6, 0.0, 0.6), True, "feedback-rejecting", "multi_triggered_resistant"),
        ((0.56, 0.6, 0.0), False, "feedback-rejecting", "truth_triggered_defensive"),
        ((0.0, 0.6, 0.0), True, "feedback-rejecting", "relationship_triggered_rejection"),
        ((0.0, 0.0, 0.9), False, "feedback-rejecting", "identity_triggered_collapse"),
        ((0.4, 0.0, 0.0), True, "trigger-prone", "performative_acknowledgement"),
        ((0.0, 0.5, 0.0), False, "trigger-prone", "deflection_pattern"),
        ((0.0, 0.0, 0.5), False, "trigger-prone", "indeterminate"),
        ((0.35, 0.0, 0.0), True, "trigger-prone", "indeterminate"),
    ],
)
def test_intake_and_profiles(scores: tuple[float, ...], took: bool, intake: str, profile: str) -> None:
    told: dict[str, float] = dict(zip(TRIGGERS, scores, strict=True))
    assert (intake_of(told, took), profile_of(told, took)) == (intake, profile)


@given(st.tuples(*[st.floats(0, 1)] * 3), st.booleans())
def test_there_is_a_profile_for_all_scores(scores: tuple[float, ...], took: bool) -> None:
    told: dict[str, float] = dict(zip(TRIGGERS, scores, strict=True))
    assert (profile_of(told, took) == "absorbing_baseline") == (took and max(scores) <= 0.3)


def finding(trigger: Any, score: float, step: int, quote: str) -> TriggerFinding:
    return TriggerFinding(
        trigger, score=score, explanation=f"{trigger} shows", evidence=(Evidence("because", (step,), quote),)
    )


CHANGE = FeedbackIntervention(
    "relationship",
    "separate_data_from_source",
    description="Strip names",
    suggested_implementation="Rewrite",
    risk="low",
)
FOUND = (
    finding("relationship", 0.8, 2, "you are new to this schema"),
    finding("relationship", 0.5, 4, "your tone"),
    finding("truth", 0.9, 2, "words that are not there"),
)
TWICE: Happening[Any] = Happening("attack", 2, "giver", "you are new")
NOWHERE: Happening[Any] = Happening("engagement", 4, "none", "not in there")
EVENTS = EventsAnswer((TWICE, TWICE, NOWHERE))
CHANGES = InterventionsAnswer((CHANGE,))
LOST: Fate[Any] = Fate("lost", 3, "The index is still missing")
# Said to be met, and no later step holds the words that would have met it.
UNPROVEN: tuple[Fate[Any], ...] = (
    Fate("taken_up", 1, "The index is missing", 2, "I have added it"),
    Fate("refused_for_a_reason", 3, "The index is still missing", 2, "you are new"),
    Fate("refused_for_a_reason", 2, "you are new to this schema", 4, "your tone"),
)


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"triggers": QuickAnswer(FOUND, (CHANGE,))}),
        ("standard", {"triggers": TriggersAnswer(FOUND), "interventions": CHANGES}),
        (
            "forensic",
            {
                "triggers": TriggersAnswer(FOUND),
                "events": EVENTS,
                "points": PointsAnswer((LOST, LOST, *UNPROVEN)),
                "interventions": CHANGES,
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, DISMISSED, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    assert found.trigger_scores == {"truth": 0.0, "relationship": 0.8, "identity": 0.0}
    assert found.triggers[1].evidence_quotes[:2] == ("you are new to this schema", "your tone")
    assert (found.profile_pattern, found.severity) == ("relationship_triggered_rejection", "high")
    assert found.interventions == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["source_dismissal"]
    assert kit.misquotes(PATTERN, DISMISSED, found) == []
    assert case.grounding.dropped == (3 if mode == "forensic" else 1)
    if mode == "forensic":
        assert found.source_attribution_audit is not None
        assert found.source_attribution_audit.source_attack_count == 1
        assert found.source_attribution_audit.data_engagement_count == 0
        assert found.defense_pattern_audit is not None
        assert found.defense_pattern_audit.explanation.endswith("Points of the feedback: 1 lost.")
        assert "A point of the feedback, lost" in [one.claim for one in found.evidence]


@pytest.mark.parametrize(
    ("fates", "score"),
    [
        ((Fate("refused_for_a_reason", 1, "The index is missing", 2, "you are new"),), 0.35),
        ((Fate("refused_for_a_reason", 1, "The index is missing", 2, "you are new"), LOST), 0.8),
        (UNPROVEN, 0.8),
        ((), 0.8),
    ],
)
def test_a_trigger_that_cost_no_point_scores_no_higher_than_that(fates: tuple[Fate[Any], ...], score: float) -> None:
    case = kit.case_of(PATTERN, DISMISSED, "forensic")
    answers = {"triggers": TriggersAnswer(FOUND), "points": PointsAnswer(fates)}
    assert PATTERN.conclude(case, answers).trigger_scores["relationship"] == score


def test_without_feedback_no_point_is_followed() -> None:
    unasked = kit.case_of(PATTERN, talk(("user", "Hello"), ("agent", "Hello")), "forensic")
    assert not PATTERN.passes["forensic"][2].wanted(unasked, {"triggers": TriggersAnswer(())})


def test_a_pass_that_cannot_change_anything_is_skipped() -> None:
    case = kit.case_of(PATTERN, ABSORBED)
    answers = {"triggers": TriggersAnswer(())}
    assert not PATTERN.passes["standard"][1].wanted(case, answers)
    found = PATTERN.conclude(case, answers)
    assert (found.severity, found.interventions) == ("none", ())


def test_from_a_canonical_trace() -> None:
    steps = (
        TraceStep("writer", "message", "Here is the summary of the three reports."),
        TraceStep("reviewer", "message", "You missed the third report, please revise."),
        TraceStep("writer", "tool_call", "read report3.md"),
        TraceStep("writer", "message", "You misread it, my report is correct."),
        TraceStep("reviewer", "message", "It does not cover page 9."),
        TraceStep("writer", "message", "Did you even open it?"),
    )
    whole = CanonicalTrace("Summarise", steps, "sent", success=False)
    trace = PATTERN.from_trace(whole)
    kinds = [step.kind for step in PATTERN.read(trace).steps]
    assert kinds == ["agent", "feedback", "system", "reply", "feedback", "reply"]
    assert [one.content for one in trace.messages] == [one.content for one in steps]
    # The writer had looked before it argued; answering the giver is a trigger all the same.
    assert [(one.name, one.steps) for one in kit.case_of(PATTERN, trace).signals] == [("source_dismissal", (5,))]
    assert trace.feedback_incorporated is False
    told = CanonicalTrace("Summarise", steps, "sent", success=False, metadata={"feedback_incorporated": True})
    assert PATTERN.from_trace(told).feedback_incorporated is True
