"""The SMART goal: the contract's formulas, what the rules see in a request, and what a model's answer adds."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.smart_goal import CRITERIA, PATTERN, UNSET, GoalRequest, mean, profile_of, quality_of
from vstack_proto.patterns.smart_goal_passes import (
    AttackAnswer,
    ChangesAnswer,
    CriterionFinding,
    Gauge,
    GaugesAnswer,
    GoalAnswer,
    GoalIntervention,
)
from vstack_proto.patterns.smart_goal_texts import CriterionScore, Goal, KillCriterion, SuccessMetric
from vstack_proto.trace import CanonicalTrace, TraceStep

CLEAR = GoalRequest(
    "Cut the nightly export from 6 h to 2 h, measured in the job log, because finance reads it at 07:00.",
    context="Spark job, 6 h, 310 EUR a night",
    available_resources=("one engineer for three weeks",),
    known_constraints=("no change to the finance schema",),
    deadline_hint="31 March",
)
NIGHTLY = GoalRequest(
    "Make the nightly pipeline faster and cheaper without breaking finance",
    context="Spark job, 6 h, finance reads at 07:00, cost 310 EUR per night",
    known_constraints=("no new vendor",),
    deadline_hint="before quarter close on 31 March",
)
VAGUE = GoalRequest("Make things better")
DREAM = GoalRequest("Fix all bugs and reach zero errors in 100% of runs", deadline_hint="asap")
VANITY = GoalRequest("Raise page views by 20 % within three months")


@pytest.mark.parametrize(
    ("trace", "quality", "profile", "modes"),
    [
        (CLEAR, "strong", "strong_smart_goal", set()),
        (NIGHTLY, "acceptable", "vague_unspecific", {"category_not_target"}),
        (
            VAGUE, "weak", "vague_unspecific",
            {"category_not_target", "no_measurement", "no_deadline", "no_kill_criteria", "no_completion_criteria",
             "weak_overall"},
        ),
        (DREAM, "acceptable", "unachievable_stretch", {"unachievable_stretch", "no_deadline", "no_kill_criteria"}),
        (VANITY, "acceptable", "irrelevant_to_context", {"vanity_metric"}),
    ],
)  # fmt: skip
def test_offline(trace: GoalRequest, quality: str, profile: str, modes: set[str]) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.smart_quality, found.profile_pattern) == (quality, profile)
    assert {book.failure_mode for book in found.attached_playbooks} == modes
    assert found.overall_smart_score == mean({one.criterion: one.quality_score for one in found.criteria})
    assert found.evidence
    assert kit.misquotes(PATTERN, trace, found) == []
    weak = {one.criterion for one in found.criteria if one.quality_score < 0.5}
    assert len(found.open_questions) == len(weak)


def test_offline_makes_up_no_figures() -> None:
    clear, nightly, vague = (kit.offline(PATTERN, one, "forensic") for one in (CLEAR, NIGHTLY, VAGUE))
    assert clear.deadline == "31 March"
    assert clear.severity in ("none", "trace")
    assert "6 h to 2 h" in clear.success_metrics[0].target
    assert "310 EUR" in nightly.success_metrics[0].target
    assert "open" in nightly.success_metrics[0].target
    assert [one.name for one in nightly.kill_criteria] == ["limit 1", "out of time"]
    assert (vague.success_metrics, vague.kill_criteria, vague.deadline) == ((), (), UNSET)
    assert vague.severity in ("medium", "high", "critical")
    assert vague.criteria_audit.addressed_criteria_count == 2
    assert clear.rigor_audit.rigor_estimate == 1.0
    assert kit.offline(PATTERN, CLEAR).rigor_audit is None


METRIC, KILL = SuccessMetric("run time", "2 h", "job log"), KillCriterion("cost", "above 400 EUR")


def goal(*scores: float, metrics: Any = (METRIC,), kills: Any = (KILL,), deadline: str = "31 March") -> Goal:
    criteria = tuple(CriterionScore(name, "s", score) for name, score in zip(CRITERIA, scores, strict=True))
    overall = mean(dict(zip(CRITERIA, scores, strict=True)))
    return Goal("s", criteria, ("done",), metrics, kills, deadline, (), overall, quality_of(overall))


@pytest.mark.parametrize(
    ("given", "profile"),
    [
        (goal(0.8, 0.8, 0.8, 0.8, 0.8, metrics=(), kills=(), deadline=""), "strong_smart_goal"),
        (goal(0.39, 0.3, 0.3, 0.3, 0.3), "vague_unspecific"),
        (goal(0.4, 0.39, 0.3, 0.3, 0.3), "unmeasurable"),
        (goal(0.7, 0.7, 0.3, 0.3, 0.3, metrics=()), "unmeasurable"),
        (goal(0.7, 0.7, 0.39, 0.3, 0.3), "unachievable_stretch"),
        (goal(0.7, 0.7, 0.7, 0.39, 0.3), "irrelevant_to_context"),
        (goal(0.7, 0.7, 0.7, 0.7, 0.39), "no_deadline"),
        (goal(0.7, 0.7, 0.7, 0.7, 0.7, deadline="ASAP "), "no_deadline"),
        (goal(0.7, 0.7, 0.7, 0.7, 0.7, deadline=UNSET), "no_deadline"),
        (goal(0.7, 0.7, 0.7, 0.7, 0.7, kills=()), "missing_kill_criteria"),
        (goal(0.7, 0.7, 0.7, 0.7, 0.7), "indeterminate"),
    ],
)
def test_profiles(given: Goal, profile: str) -> None:
    assert profile_of(given) == profile


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_numbers(scores: list[float]) -> None:
    made = goal(*scores)
    assert min(scores) - 0.01 <= made.score <= max(scores) + 0.01
    assert (profile_of(made) == "strong_smart_goal") == (made.quality == "strong")


def finding(name: Any, score: float, quote: str, step: int = 0) -> CriterionFinding:
    return CriterionFinding(name, f"{name} is met", score, (Evidence("given", (step,), quote),))


FOUND = (
    finding("specific", 0.9, "nightly pipeline"),
    finding("measurable", 0.9, "310 EUR per night", 1),
    finding("achievable", 0.9, "words that are not there"),
    finding("time_bound", 0.9, "31 March", 3),
)
ANSWER = GoalAnswer("", FOUND, ("log shows 3 h",), (METRIC,), (KILL,), " ", ("Who pays?",), 0.9, "strong")
WEAKER = finding("measurable", 0.3, "faster and cheaper")
ATTACK = AttackAnswer((WEAKER, finding("specific", 0.1, "not given")), ("log shows 3 h",), (KILL,), ("Which run?",))
CHANGE = GoalIntervention("overall", "human_review", description="Ask finance", suggested_implementation="Call them")


def gauge(basis: Any, quote: str, step: int = 0) -> Gauge:
    return Gauge(METRIC.name.upper(), basis, "Read off the bill.", (Evidence("says so", (step,), quote),))


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"goal": ANSWER}),
        ("standard", {"goal": ANSWER, "changes": ChangesAnswer((CHANGE,))}),
        (
            "forensic",
            {
                "goal": ANSWER,
                "attack": ATTACK,
                "gauges": GaugesAnswer((gauge("given", "310 EUR per night", 1),)),
                "changes": ChangesAnswer((CHANGE,)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_goal(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, NIGHTLY, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found, deep = PATTERN.conclude(case, answers), mode == "forensic"
    # What rests on nothing is worth 0.5, what was left out nothing; an attack counts where its quotation stands.
    expected = [0.9, 0.3 if deep else 0.9, 0.5, 0.0, 0.9]
    assert [one.quality_score for one in found.criteria] == expected
    assert found.overall_smart_score == round(sum(expected) / 5, 2)
    assert (found.smart_quality, found.deadline) == ("acceptable", UNSET)
    assert found.smart_statement == NIGHTLY.vague_goal
    assert found.profile_pattern == ("unmeasurable" if deep else "irrelevant_to_context")
    assert found.completion_criteria == ("log shows 3 h",)
    assert found.open_questions == ("Who pays?", "Which run?")[: 1 + deep]
    modes = {book.failure_mode for book in found.attached_playbooks}
    assert modes == {"irrelevant_to_context", "no_deadline"} | ({"no_measurement"} if deep else set())
    assert (CHANGE in found.interventions) == (mode != "quick")
    assert kit.misquotes(PATTERN, NIGHTLY, found) == []
    assert case.grounding.dropped == 1 + deep
    if deep:
        assert found.rigor_audit is not None
        assert found.rigor_audit.explanation.endswith("The request gives 1 of 1 targets.")


@pytest.mark.parametrize(
    ("gauges", "measurable", "metrics", "question"),
    [
        ((gauge("given", "310 EUR per night", 1),), 0.9, 1, None),
        ((gauge("given", "words that are not there"),), 0.5, 1, "Who confirms the target of run time"),
        ((gauge("proposed", "310 EUR per night", 1),), 0.5, 1, "Who confirms the target of run time"),
        ((), 0.5, 1, "Who confirms the target of run time"),
        (
            (gauge("unmeasurable", "310 EUR per night", 1),),
            0.5,
            0,
            "How is run time to be measured? Read off the bill.",
        ),
    ],
)
def test_a_target_that_nobody_gave_is_a_question(
    gauges: tuple[Gauge, ...], measurable: float, metrics: int, question: str | None
) -> None:
    case = kit.case_of(PATTERN, NIGHTLY, "forensic")
    found = PATTERN.conclude(case, {"goal": ANSWER, "gauges": GaugesAnswer(gauges)})
    assert {one.criterion: one.quality_score for one in found.criteria}["measurable"] == measurable
    assert len(found.success_metrics) == metrics
    assert found.open_questions[0] == "Who pays?"
    assert [one.startswith(question or "?") for one in found.open_questions[1:]] == [True] * (question is not None)


def test_without_a_metric_no_target_is_looked_at() -> None:
    case = kit.case_of(PATTERN, NIGHTLY, "forensic")
    assert not PATTERN.passes["forensic"][2].wanted(case, {"goal": GoalAnswer("s", (), (), (), (), "May", ())})


def test_the_models_own_score_counts_where_all_stands() -> None:
    every = tuple(finding(name, 0.7, "nightly pipeline") for name in CRITERIA)
    case = kit.case_of(PATTERN, NIGHTLY)
    own = PATTERN.conclude(case, {"goal": GoalAnswer("s", every, (), (METRIC,), (), "May", (), 0.85, "acceptable")})
    assert (own.overall_smart_score, own.smart_quality, own.profile_pattern) == (
        0.85,
        "acceptable",
        "strong_smart_goal",
    )
    computed = PATTERN.conclude(case, {"goal": GoalAnswer("s", every, (), (METRIC,), (), "May", ())})
    assert (computed.overall_smart_score, computed.smart_quality) == (0.7, "acceptable")


def test_from_a_canonical_trace() -> None:
    steps = (TraceStep("lead", "message", "The export must finish by 02:30."),)
    whole = CanonicalTrace("Mend the export", steps, "done", metadata={"deadline_hint": "Friday", "context": 3})
    trace = PATTERN.from_trace(whole)
    assert (trace.vague_goal, trace.deadline_hint, trace.context) == ("Mend the export", "Friday", "")
    reading = PATTERN.read(trace)
    assert [one.content for one in reading.steps] == [steps[0].content]
    assert ("goal", "Mend the export") in reading.facts
    found = kit.offline(PATTERN, trace)
    assert (found.deadline, found.evidence) == ("Friday", ())
