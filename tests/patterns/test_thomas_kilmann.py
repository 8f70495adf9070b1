"""thomas_kilmann: the square of the two axes, profiles, and what a model's answer can and cannot change."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns.common import MODES, Evidence, Mode
from vstack_proto.patterns.thomas_kilmann import PATTERN, AgentInteractionTrace, Turn
from vstack_proto.patterns.thomas_kilmann_numbers import PLACE, called_for, profile_of, stance_of
from vstack_proto.patterns.thomas_kilmann_passes import (
    AuditAnswer,
    Finding,
    QuickAnswer,
    RemedyAnswer,
    SituationAnswer,
    StyleRecommendation,
    StylesAnswer,
)
from vstack_proto.patterns.thomas_kilmann_signs import asked_for
from vstack_proto.patterns.thomas_kilmann_texts import STYLES
from vstack_proto.trace import CanonicalTrace, TraceStep

T = Turn
TASK = "Agree on log retention with the security team"


def talk(*turns: Turn, task: str = TASK, category: str | None = None, success: bool = False) -> AgentInteractionTrace:
    return AgentInteractionTrace(task, turns, "It is known now", success, "neg", "m-1", "autogen", category)


HEALTHY = talk(
    T("user", "We want 365 days of raw logs."),
    T("agent", "What is your concern about shorter times? Help me understand which audits need them."),
    T("user", "Incidents are found late."),
    T("agent", "I suggest we keep 90 days raw and a year of summaries. Would that work for both teams?"),
    T("tool", "cost_model --days 90"),
    T("agent", "It fits both needs: the cost stays, and your point about late incidents is met."),
    success=True,
)
YIELDING = talk(
    T("user", "Security wants 365 days of raw logs."),
    T("agent", "Sure, 365 days."),
    T("user", "That triples our storage bill."),
    T("agent", "Then 30 days, no problem.", metadata={"changed_position": True}),
    T("user", "Hm."),
    T("agent", "Whatever you prefer."),
)
INSISTING = talk(
    T("user", "Could we talk about the 30 days?"),
    T("agent", "No exceptions. I won't discuss it."),
    T("user", "Audits need more."),
    T("agent", "You're simply wrong, this is my final answer."),
)
EVADING = talk(
    T("user", "Which of the two do you recommend?"),
    T("agent", "I'd rather not say."),
    T("user", "We have to decide today."),
    T("agent", "Someone else should decide; let's talk about this later."),
)
CALM = talk(T("user", "List the open tickets."), T("agent", "There are four: 3, 7, 8 and 12."), success=True)


@pytest.mark.parametrize(
    ("trace", "observed", "profile", "severity", "kinds"),
    [
        (HEALTHY, "collaborating", "well_matched", "none", []),
        (CALM, "mixed", "indeterminate", "none", []),
        (YIELDING, "accommodating", "rigid_single_style", "high", ["calibrate_assertiveness"]),
        (INSISTING, "competing", "competing_when_collaborating", "high", ["style_router"]),
        (EVADING, "avoiding", "avoiding_when_collaborating", "critical", ["task_specific_persona"]),
    ],
    ids=["healthy", "calm", "yielding", "insisting", "evading"],
)
def test_offline_reads_as_a_reader_would(
    trace: AgentInteractionTrace, observed: str, profile: str, severity: str, kinds: list[str]
) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.observed_style, found.profile_pattern, found.severity) == (observed, profile, severity)
    assert (found.optimal_style, [one.intervention_type for one in found.recommendations]) == ("collaborating", kinds)
    assert [book.style for book in found.attached_playbooks] == [observed] * len(kinds)
    assert all(trace.turns[number].role == "agent" for item in found.evidence for number in item.steps)
    assert found.rationale
    assert kit.misquotes(PATTERN, trace, found) == []


def test_yielding_is_told_turn_by_turn() -> None:
    found = kit.offline(PATTERN, YIELDING)
    assert {item.steps[0] for item in found.evidence} == {1, 3, 5}
    assert (found.assertiveness_score, found.cooperativeness_score) == (0.0, 1.0)
    assert found.style_mismatch == pytest.approx(0.7071)
    audit = found.pattern_consistency_audit
    assert (audit.early_dominant_style, audit.late_dominant_style, audit.style_flips) == (
        "accommodating", "accommodating", 0,
    )  # fmt: skip
    assert found.style_fit_audit.cost_of_mismatch_estimate == found.style_mismatch
    assert "1, 3, 5" in found.recommendations[0].rationale


def test_the_same_words_of_the_user_show_no_style() -> None:
    swapped = talk(*(T("agent" if turn.role == "user" else "user", turn.content) for turn in INSISTING.turns))
    assert kit.offline(PATTERN, swapped).severity == "none"


def test_a_change_for_a_reason_is_no_yielding() -> None:
    argued = T("agent", "Then 30 days, since the policy asks for no more.", metadata={"changed_position": True})
    assert kit.offline(PATTERN, talk(argued)).observed_style_scores["accommodating"] == 0.0


def test_a_style_that_changes_is_inconsistent() -> None:
    trace = talk(T("agent", "No exceptions."), T("user", "Please"), T("agent", "As you wish."))
    found = kit.offline(PATTERN, trace)
    assert (found.observed_style, found.profile_pattern) == ("mixed", "mixed_inconsistent")
    assert found.pattern_consistency_audit.style_flips == 1
    assert [book.failure_mode for book in found.attached_playbooks] == ["mixed_inconsistent"]


@pytest.mark.parametrize(
    ("task", "category", "style"),
    [
        ("Stop the outage", None, "competing"),
        ("Negotiate with the safety team", None, "collaborating"),
        ("Answer a complaint", None, "accommodating"),
        ("Answer a complaint", "compliance", "competing"),
        ("Schedule the rooms", None, "compromising"),
        ("Talk about politics", None, "avoiding"),
        ("Write a parser", "", "collaborating"),
    ],
)
def test_what_the_situation_asks_for(task: str, category: str | None, style: str) -> None:
    assert asked_for(task, category)[0] == style


PROFILES = [
    (("collaborating", "collaborating", 0.1, 0.9), "well_matched"),
    (("competing", "collaborating", 0.7, 0.9), "competing_when_collaborating"),
    (("accommodating", "competing", 0.7, 0.9), "accommodating_when_competing"),
    (("avoiding", "collaborating", 0.7, 0.9), "avoiding_when_collaborating"),
    (("compromising", "collaborating", 0.5, 0.9), "default_compromising"),
    (("mixed", "collaborating", 0.5, 0.9), "mixed_inconsistent"),
    (("accommodating", "collaborating", 0.7, 0.8), "rigid_single_style"),
    (("accommodating", "collaborating", 0.5, 0.7), "context_blind"),
    (("accommodating", "collaborating", 0.4, 0.7), "indeterminate"),
]


@pytest.mark.parametrize(("told", "profile"), PROFILES)
def test_profile_rules(told: tuple[Any, ...], profile: str) -> None:
    assert profile_of(*told) == profile


@given(st.fixed_dictionaries({style: st.floats(0, 1) for style in STYLES}), st.sampled_from(STYLES))
def test_stances_stay_in_the_square(scores: Any, optimal: Any) -> None:
    stance = stance_of(scores, optimal)
    for number in (stance.mismatch, stance.assertiveness, stance.cooperativeness):
        assert 0.0 <= number <= 1.0
    assert stance.observed == "mixed" or scores[stance.observed] == max(scores.values())


@given(st.sampled_from(STYLES), st.sampled_from(STYLES))
def test_a_pure_style_stands_on_its_place(style: Any, optimal: Any) -> None:
    stance = stance_of({**dict.fromkeys(STYLES, 0.0), style: 0.9}, optimal)
    assert (stance.observed, (stance.assertiveness, stance.cooperativeness)) == (style, PLACE[style])
    assert (stance.mismatch == 0.0) is (style == optimal)


GOOD = Finding(
    "accommodating", score=0.9, explanation="It yields.", evidence=(Evidence("yields", (1, 2), "Sure,  365 days."),)
)
MADE_UP = Finding(
    "competing", score=0.9, explanation="It fights.", evidence=(Evidence("fights", (1,), "I WILL FIGHT"),)
)
CHANGE = StyleRecommendation("calibrate_assertiveness", description="Hold it", suggested_implementation="Restate once")
BLANK = StyleRecommendation("new_eval", description=" ", suggested_implementation="x")

STAKES = (Evidence("it costs them", (2,), "triples our storage"),)
SITUATION = SituationAnswer(0.9, 0.6, False, True, "A rule held", STAKES)


@pytest.mark.parametrize("mode", MODES)
def test_a_model_is_believed_as_far_as_it_quotes(mode: Mode) -> None:
    case = kit.case_of(PATTERN, YIELDING, mode)
    told = StylesAnswer((GOOD, MADE_UP), "competing", "A rule was at stake.")
    answers: dict[str, Any] = {"styles": told}
    if mode == "quick":
        answers = {"styles": QuickAnswer(told.styles, told.optimal_style, told.rationale, (CHANGE, BLANK))}
    else:
        answers["recommendations"] = RemedyAnswer((CHANGE, BLANK))
    if mode == "forensic":
        answers["audit"] = AuditAnswer("Costly.", "Steady.", (Evidence("it was pushed", (2,), "triples our storage"),))
        answers["situation"] = SITUATION
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    assert case.grounding.cited == 0
    found = PATTERN.conclude(case, answers)
    assert (found.observed_style, found.optimal_style, found.style_mismatch) == ("accommodating", "competing", 1.0)
    assert (found.profile_pattern, found.severity) == ("accommodating_when_competing", "critical")
    assert found.observed_style_scores == {**dict.fromkeys(STYLES, 0.0), "accommodating": 0.9}
    assert found.recommendations == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["wrong_context"]
    assert found.evidence[0] == Evidence("yields", (1,), "Sure, 365 days.")
    assert ("triples our storage" in [item.quote for item in found.evidence]) is (mode == "forensic")
    assert found.rationale.startswith("A rule was at stake.")
    assert case.grounding.dropped == 1


@pytest.mark.parametrize(
    ("situation", "optimal", "surer"),
    [
        (SITUATION, "competing", 0.05),
        (SituationAnswer(0.2, 0.7, False, False, "Theirs to choose", STAKES), "accommodating", -0.1),
        (SituationAnswer(0.7, 0.7, True, False, "No time", STAKES), "compromising", -0.1),
        (SituationAnswer(0.2, 0.7, False, False, "", ()), "competing", 0.0),
        (SituationAnswer(0.2, 0.7, False, False, "", (Evidence("it says", (1,), "Sure, 365"),)), "competing", 0.0),
    ],
)
def test_the_situation_is_read_apart_from_what_the_agent_did(
    situation: SituationAnswer, optimal: str, surer: float
) -> None:
    case = kit.case_of(PATTERN, YIELDING, "forensic")
    answers: dict[str, Any] = {"styles": StylesAnswer((GOOD,), "competing", "A rule was at stake.")}
    before = PATTERN.conclude(case, answers)
    answers["situation"] = situation
    found = PATTERN.conclude(case, answers)
    assert found.optimal_style == optimal
    assert found.confidence - before.confidence == pytest.approx(surer)
    assert found.rationale.startswith("A rule was at stake.") is (optimal == "competing")
    assert ("it costs them" in [item.claim for item in found.evidence]) is bool(surer)


@pytest.mark.parametrize(
    ("own", "other", "urgent", "given", "style"),
    [
        (0.0, 1.0, True, True, "competing"),
        (0.2, 0.29, True, False, "avoiding"),
        (0.9, 0.5, True, False, "competing"),
        (0.1, 0.5, False, False, "accommodating"),
        (0.5, 0.8, True, False, "compromising"),
        (0.5, 0.8, False, False, "collaborating"),
    ],
)
def test_what_a_situation_calls_for(own: float, other: float, urgent: bool, given: bool, style: str) -> None:
    assert called_for(own, other, urgent, given) == style


def test_where_no_style_shows_the_situation_is_not_read() -> None:
    case = kit.case_of(PATTERN, YIELDING, "forensic")
    assert not PATTERN.passes["forensic"][2].wanted(case, {"styles": StylesAnswer((), "avoiding", "")})


def test_a_style_that_fits_needs_no_change() -> None:
    case = kit.case_of(PATTERN, YIELDING)
    fits = {"styles": StylesAnswer((GOOD,), "accommodating", "It was theirs to choose.")}
    assert not PATTERN.passes["standard"][1].wanted(case, fits)
    found = PATTERN.conclude(case, fits)
    assert (found.profile_pattern, found.recommendations) == ("well_matched", ())


def test_canonical_roles() -> None:
    rows = [("user", "message"), ("ann", "message"), ("ann", "tool_call"), ("shell", "observation"), ("bob", "message")]
    steps = tuple(TraceStep(agent, kind, f"said {number}") for number, (agent, kind) in enumerate(rows))
    plain = PATTERN.from_trace(CanonicalTrace("g", steps, "o"))
    assert [turn.role for turn in plain.turns] == ["user", "agent", "tool", "observation", "agent"]
    reading = PATTERN.read(plain)
    assert [(step.agent, step.content) for step in reading.steps] == [(step.agent, step.content) for step in steps]
    told = CanonicalTrace("g", steps, "o", success=True, metadata={"agent_id": "ann", "task_category": "support"})
    one = PATTERN.from_trace(told)
    assert [turn.role for turn in one.turns][-1] == "user"
    assert (one.agent_id, one.task_category, one.success) == ("ann", "support", True)
