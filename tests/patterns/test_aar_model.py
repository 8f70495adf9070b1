"""After-action review: the review with a model, and the numbers it computes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from contract_kit import case_of, misquotes
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import aar_numbers, aar_passes
from vstack_proto.patterns.aar import PATTERN, AgentTrace
from vstack_proto.patterns.common import MODES, Mode
from vstack_proto.trace import CanonicalTrace, TraceStep


def run(goal: str, outcome: str, success: bool, *steps: tuple[str, str, str]) -> AgentTrace:
    """A run told as (agent, type, content) triples."""
    return PATTERN.from_trace(CanonicalTrace(goal, tuple(TraceStep(*s) for s in steps), outcome, success=success))


HEALTHY = run("Count the rows", "Delivered: 214", True, ("a", "tool_call", "count()"), ("db", "tool_result", "214"))
ASSUMED = run(
    "What was the highest temperature in Oslo in July 1901?",
    "The answer was wrong",
    False,
    ("planner", "message", "Look the temperature up in the archive, then report it."),
    ("climatologist", "message", "Assuming a typical summer, I will use 31.4 degrees as the value."),
    ("checker", "message", "I agree, 31.4 degrees looks correct."),
    ("writer", "message", "Final answer: 31.4 degrees."),
)


def lesson(quote: str, step: int, anchor: str = "why", pattern: str = "unchecked value") -> aar_passes.LessonFound:
    cited = aar_passes.Cited("it was assumed", (step,), quote)
    return aar_passes.LessonFound(pattern, "Step 1 assumed.", "No source at hand.", anchor, ("vstack.grpi",), (cited,))


def proposed(kind: str = "prompt_patch", how: str = "Check it.") -> aar_passes.NextStepProposed:
    told = {"description": "d", "suggested_implementation": how, "estimated_impact": "high", "rationale": "r"}
    return msgspec.convert({"intervention_type": kind, **told}, aar_passes.NextStepProposed)


GOOD, INVENTED = lesson("Assuming a typical summer", 1), lesson("the archive was down", 1)
STEPS = (proposed(), proposed("new_eval"), proposed(how="Name the source."))
TURN = aar_passes.Cited("the end", (3,), "Final answer: 31.4")
CAUSE = aar_passes.CauseFound("nobody looked it up", (aar_passes.Cited("made up", (1, 2), "31.4 degrees"),))
SCRIPTS: dict[Mode, dict[str, Any]] = {
    "quick": {"review": aar_passes.Review("The record of July 1901.", "It was guessed.", (GOOD, INVENTED), STEPS)},
    "standard": {
        "findings": aar_passes.Findings("The record of July 1901.", "It was guessed.", (GOOD, INVENTED)),
        "next_steps": aar_passes.Plan(STEPS),
    },
    "forensic": {
        "gap": aar_passes.Gap("The record of July 1901.", "It was guessed.", (TURN,)),
        "causes": aar_passes.Causes((CAUSE,)),
        "lessons": aar_passes.Lessons((GOOD, INVENTED, lesson("I agree", 2, anchor=" "))),
        "next_steps": aar_passes.Plan(STEPS),
    },
}


@pytest.mark.parametrize(("mode", "calls"), [("quick", 1), ("standard", 2), ("forensic", 4)])
def test_calls_of_a_mode(mode: Mode, calls: int) -> None:
    case = case_of(PATTERN, ASSUMED, mode)
    answers: dict[str, Any] = {}
    for step in PATTERN.passes[mode]:
        assert step.wanted(case, answers)
        asked = step.instruction(case, answers)
        assert "{" not in asked
        assert ASSUMED.steps[1].content not in asked
        answers[step.name] = SCRIPTS[mode][step.name]
    assert len(answers) == calls == len(SCRIPTS[mode])
    assert all(isinstance(answers[step.name], step.answer) for step in PATTERN.passes[mode])


@pytest.mark.parametrize("mode", MODES)
def test_invented_quotations_are_dropped_with_their_lesson(mode: Mode) -> None:
    case = case_of(PATTERN, ASSUMED, mode)
    review = PATTERN.conclude(case, SCRIPTS[mode])
    assert (review.goal, review.results) == ("The record of July 1901.", "It was guessed.")
    assert len(review.lessons) == (2 if mode == "forensic" else 1)
    assert misquotes(PATTERN, ASSUMED, review) == []
    assert "the archive was down" not in str(review.evidence)
    assert case.grounding.dropped == 1
    record = review.lesson_record_for_memory
    assert record is not None
    assert (record["type"], record["original_goal"], len(record["lessons"])) == (
        "aar_lesson",
        ASSUMED.goal,
        len(review.lessons),
    )


def test_quick_keeps_the_first_next_step() -> None:
    quick = PATTERN.conclude(case_of(PATTERN, ASSUMED, "quick"), SCRIPTS["quick"])
    assert len(quick.next_steps) == 1
    assert quick.gap_score == 0.7
    standard = PATTERN.conclude(case_of(PATTERN, ASSUMED, "standard"), SCRIPTS["standard"])
    assert len(standard.next_steps) == 3
    assert standard.gap_score == 0.8
    assert standard.suggested_prompt_patch == "Check it.\nName the source."
    assert standard.suggested_eval_test is None


def test_forensic_audits_count_what_is_there() -> None:
    review = PATTERN.conclude(case_of(PATTERN, ASSUMED, "forensic"), SCRIPTS["forensic"])
    audit = review.lesson_groundedness_audit
    assert audit is not None
    assert (audit.grounded_lesson_count, audit.ungrounded_lesson_count, audit.groundedness_estimate) == (1, 1, 0.5)
    assert audit.explanation == "4 of 5 quotations stand in the step they cite."
    assert {item.steps for item in review.evidence} == {(1,), (2,), (3,), (1, 2)}


def test_a_clean_success_asks_for_no_more_calls() -> None:
    case = case_of(PATTERN, HEALTHY, "forensic")
    answers: dict[str, Any] = {"gap": aar_passes.Gap("i", "r", ()), "causes": aar_passes.Causes(())}
    assert [step.wanted(case, answers) for step in PATTERN.passes["forensic"]] == [True, True, False, False]
    review = PATTERN.conclude(case, answers)
    assert (review.severity, review.profile_pattern, review.lessons) == ("none", "success_aligned", ())
    assert review.lesson_groundedness_audit == aar_numbers.audit_lessons(0, 0, 0, case.grounding)


def test_an_answer_without_results_gets_the_record() -> None:
    answers = {"findings": aar_passes.Findings(" ", " ", ())}
    review = PATTERN.conclude(case_of(PATTERN, ASSUMED), answers)
    assert review.goal == ASSUMED.goal
    assert review.results.startswith("4 steps by planner, climatologist, checker, writer.")


# ---------------------------------------------------------------- numbers


@given(st.booleans(), st.integers(0, 40), st.integers(0, 40))
def test_gap(success: bool, lessons: int, steps: int) -> None:
    gap = aar_numbers.gap_of(success, lessons, steps)
    assert 0.0 <= gap <= 1.0
    assert gap == round(gap, 2)
    assert gap <= aar_numbers.gap_of(success, lessons + 1, steps)
    assert success == (gap < 0.6)
    assert success or gap == pytest.approx(min(0.9, 0.6 + 0.05 * (lessons + steps)))


@pytest.mark.parametrize(
    ("success", "gap", "told", "profile"),
    [
        (True, 0.05, "a loop", "success_aligned"),
        (True, 0.4, "a loop", "partial_success"),
        (False, 0.8, "scope", "total_failure"),
        (False, 0.7, "It misread the goal in a loop", "scope_mismatch"),
        (False, 0.7, "Stuck, at high cost", "retry_thrashing"),
        (False, 0.7, "Token use grew", "cost_overrun"),
        (False, 0.7, "slow", "deadline_missed"),
        (False, 0.7, "It said “timeout in the loop”.", "total_failure"),
        (True, 0.6, "nothing", "indeterminate"),
    ],
)
def test_profile_rules_in_order(success: bool, gap: float, told: str, profile: str) -> None:
    assert aar_numbers.profile_of(success, gap, told) == profile


@given(
    st.lists(st.sampled_from(["tool_call", "message", "decision", "observation", "thought"])),
    st.none() | st.floats(0, 9),
    st.none() | st.floats(0, 9),
    st.none() | st.integers(0, 9),
)
def test_completeness(kinds: list[str], cost: float | None, latency: float | None, retries: int | None) -> None:
    audit = aar_numbers.audit_trace(kinds, cost, latency, retries)
    known = sum(value is not None for value in (cost, latency, retries))
    varied = {"tool_call", "decision", "observation"} <= set(kinds)
    assert audit.completeness_estimate == pytest.approx(0.4 + 0.2 * bool(kinds) + 0.1 * known + 0.1 * varied)
    assert audit.tool_call_count + audit.decision_count + audit.observation_count <= audit.step_count == len(kinds)
