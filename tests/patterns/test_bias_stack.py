"""bias_stack: courses of reasoning, calibration, profiles, and what a model's answer can and cannot change."""

# What is missing or does not fit fails the test by itself.
# mypy: disable-error-code="union-attr, arg-type"

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns.bias_stack import PATTERN, AgentReasoningTrace, quality_of
from vstack_proto.patterns.bias_stack_passes import (
    AuditAnswer,
    BiasAnswer,
    BiasIntervention,
    Finding,
    QuickAnswer,
    RefutationAnswer,
    RemedyAnswer,
)
from vstack_proto.patterns.bias_stack_signs import ReasoningStep, course_of
from vstack_proto.patterns.bias_stack_texts import BIASES, profile_of
from vstack_proto.patterns.common import MODES, Evidence, Mode
from vstack_proto.patterns.tested import Objection
from vstack_proto.trace import CanonicalTrace, TraceStep

S = ReasoningStep
TASK = "Find why p99 latency doubled on Tuesday"


def run(*steps: ReasoningStep, success: bool = False) -> AgentReasoningTrace:
    return AgentReasoningTrace(TASK, steps, "It is known now", success, "dbg", "m-1", "langgraph")


HEALTHY = run(
    S("hypothesis", "It may be the parser that was deployed", 0.5),
    S("tool_call", "git log --since monday parser/"),
    S("observation", "latency rose at 03:10, the deploy was at 09:00"),
    S("thought", "The parser came later, so that is ruled out. What if a vacuum ran?", 0.4),
    S("hypothesis", "A vacuum on the main table", 0.5),
    S("tool_call", "select * from pg_stat_progress_vacuum"),
    S("observation", "vacuum of events started 03:10"),
    S("conclusion", "The vacuum started when latency rose; I checked whether others ran: none.", 0.85),
    success=True,
)
ANCHORED = run(
    S("hypothesis", "Tuesday's deploy of the parser", 0.9),
    S("tool_call", "git log --since monday parser/"),
    S("observation", "latency rose at 03:10, deploy was 09:00"),
    S("thought", "The graph may be shifted", 0.85),
    S("conclusion", "parser it is", 0.95),
)
ESCALATING = run(
    S("decision", "Restart the worker"),
    *(part for _ in range(3) for part in (S("retry", "restart worker-3"), S("observation", "error: port in use"))),
    S("thought", "We have come too far to change course", 0.4),
    success=False,
)
INVENTING = run(
    S("thought", "Let's assume the table holds 400 rows."),
    S("thought", "From memory, the limit is 64."),
    S("decision", "I use made-up values for the rest.", 0.3),
)


@pytest.mark.parametrize(
    ("trace", "dominant", "profile", "severity", "kinds"),
    [
        (HEALTHY, "none-observed", "well_calibrated", "none", set()),
        (
            ANCHORED, "anchoring", "anchoring_overconfidence_pair", "medium",
            {"first_principles_reset", "prompt_patch", "uncertainty_calibration", "search_disconfirming_evidence",
             "devils_advocate_role"},
        ),
        (
            ESCALATING, "escalation-of-commitment", "escalation_dominant", "high",
            {"first_principles_reset", "human_review", "retry_cap"},
        ),
        (INVENTING, "overconfidence", "overconfidence_dominant", "medium", {"new_eval"}),
    ],
    ids=["healthy", "anchored", "escalating", "inventing"],
)  # fmt: skip
def test_offline_reads_as_a_reader_would(
    trace: AgentReasoningTrace, dominant: str, profile: str, severity: str, kinds: set[str]
) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.dominant_bias, found.profile_pattern, found.severity) == (dominant, profile, severity)
    assert {one.intervention_type for one in found.interventions} <= kinds
    assert bool(found.interventions) is bool(kinds) is bool(found.evidence)
    assert len(found.attached_playbooks) == len(found.interventions)
    assert kit.misquotes(PATTERN, trace, found) == []


def test_an_anchored_run_is_told_step_by_step() -> None:
    found = kit.offline(PATTERN, ANCHORED)
    quotes = {item.quote: item.steps for item in found.evidence}
    assert quotes["The graph may be shifted"] == (3,)
    assert quotes["parser it is"] == (4,)
    assert quotes["Tuesday's deploy of the parser"] == (0,)
    audit = found.anchoring_audit
    assert (audit.first_hypothesis_persistence, audit.pivot_count, audit.retry_count) == (0.5, 0, 0)
    assert found.calibration_audit.mean_self_confidence == 0.9
    assert (found.calibration_audit.overconfidence_gap, found.calibration_audit.calibration_estimate) == (0.9, 0.1)


def test_a_pivot_frees_from_the_first_idea() -> None:
    audit = kit.offline(PATTERN, HEALTHY).anchoring_audit
    assert (audit.pivot_count, audit.first_hypothesis_persistence, audit.anchoring_estimate) == (1, 0.3333, 0.1666)


def test_success_is_no_ground_for_a_charge() -> None:
    sure = (S("hypothesis", "the parser", 0.9), S("conclusion", "the parser", 0.95))
    assert kit.offline(PATTERN, run(*sure, success=True)).severity == "none"
    failed = kit.offline(PATTERN, run(*sure))
    assert failed.bias_scores["confirmation"] == 0.4  # concluded before anything was looked at
    assert failed.bias_scores["overconfidence"] > 0.6


PROFILES = [
    ((0.3, 0.3, 0.3, 0.3), "well_calibrated"),
    ((0.6, 0.6, 0.6, 0.61), "full_stack_severe"),
    ((0.6, 0.7, 0.6, 0.0), "anchoring_overconfidence_pair"),
    ((0.0, 0.7, 0.6, 0.6), "confirmation_escalation_pair"),
    ((0.5, 0.5, 0.0, 0.0), "anchoring_dominant"),
    ((0.0, 0.4, 0.0, 0.0), "overconfidence_dominant"),
    ((0.0, 0.4, 0.5, 0.0), "confirmation_dominant"),
    ((0.0, 0.0, 0.0, 0.9), "escalation_dominant"),
]


@pytest.mark.parametrize(("told", "profile"), PROFILES)
def test_profile_rules(told: tuple[float, ...], profile: str) -> None:
    assert profile_of(dict(zip(BIASES, told, strict=True)), quality_of(max(told))) == profile


@pytest.mark.parametrize(
    ("highest", "quality"), [(0.3, "well-calibrated"), (0.6, "bias-prone"), (0.61, "severely-biased")]
)
def test_quality(highest: float, quality: str) -> None:
    assert quality_of(highest) == quality


STEPS = st.builds(
    S,
    st.sampled_from(["hypothesis", "thought", "observation", "retry", "conclusion"]),
    st.sampled_from(["the cache", "the parser", "", "why p99", "error: no"]),
    st.none() | st.floats(0, 1),
)


@given(st.lists(STEPS, min_size=1, max_size=12), st.booleans())
def test_numbers_of_any_run(steps: list[ReasoningStep], success: bool) -> None:
    course = course_of(TASK, steps)
    assert 0.0 <= course.persistence <= 1.0
    assert all(steps[number].type == "hypothesis" for number in course.pivots)
    assert len(course.kept) <= course.later < max(1, len(steps))
    found = kit.offline(PATTERN, run(*steps, success=success))
    audit = found.calibration_audit
    assert -1.0 <= audit.overconfidence_gap <= 1.0
    assert 0.0 <= audit.calibration_estimate <= 1.0
    assert all(0.0 <= score <= 1.0 for score in found.bias_scores.values())
    assert kit.misquotes(PATTERN, run(*steps, success=success), found) == []


GOOD = Finding(
    "confirmation",
    score=0.8,
    explanation="Explained away.",
    evidence=(Evidence("no second look", (2, 3), "The graph may\nbe shifted"),),
)
MADE_UP = Finding(
    "escalation-of-commitment",
    score=0.9,
    explanation="Retries.",
    evidence=(Evidence("again", (1,), "retry number nine"),),
)
CHANGE = BiasIntervention(
    "confirmation",
    "devils_advocate_role",
    description="Add a critic",
    suggested_implementation="Let it list what does not fit",
)
UNASKED = BiasIntervention("escalation-of-commitment", "retry_cap", description="Cap", suggested_implementation="Two")


def objection(score: float, quote: str = "parser it is") -> Objection[Any]:
    return Objection("confirmation", score, "It was put to the test.", (Evidence("tested", (4,), quote),))


@pytest.mark.parametrize("mode", MODES)
def test_a_model_is_believed_as_far_as_it_quotes(mode: Mode) -> None:
    case = kit.case_of(PATTERN, ANCHORED, mode)
    answers: dict[str, Any] = {"biases": BiasAnswer((GOOD, MADE_UP))}
    if mode == "quick":
        answers = {"biases": QuickAnswer((GOOD, MADE_UP), (CHANGE, UNASKED))}
    else:
        answers["interventions"] = RemedyAnswer((CHANGE, UNASKED))
    if mode == "forensic":
        answers["audit"] = AuditAnswer("Too sure.", "It never moved.", (Evidence("the end", (4,), "parser it is"),))
        answers["refutation"] = RefutationAnswer((objection(0.1, "it was tested twice"), objection(0.9)))
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    assert case.grounding.cited == 0
    found = PATTERN.conclude(case, answers)
    assert found.bias_scores == {**dict.fromkeys(BIASES, 0.0), "confirmation": 0.8}
    assert (found.dominant_bias, found.profile_pattern, found.severity) == (
        "confirmation",
        "confirmation_dominant",
        "high",
    )
    assert found.interventions == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["selective_evidence"]
    assert found.evidence[0] == Evidence("no second look", (3,), "The graph may be shifted")
    assert ("parser it is" in [item.quote for item in found.evidence]) is (mode == "forensic")
    assert found.biases[2].evidence_quotes == ("The graph may be shifted",)
    assert case.grounding.dropped == (2 if mode == "forensic" else 1)
    assert found.anchoring_audit.explanation.startswith("It never moved.") is (mode == "forensic")


def test_an_objection_that_stands_lowers_a_bias_and_the_confidence() -> None:
    case = kit.case_of(PATTERN, ANCHORED, "forensic")
    answers: dict[str, Any] = {"biases": BiasAnswer((GOOD,)), "refutation": RefutationAnswer(())}
    stood = PATTERN.conclude(case, answers)
    answers["refutation"] = RefutationAnswer((objection(0.1),))
    found = PATTERN.conclude(case, answers)
    assert (stood.bias_scores["confirmation"], found.bias_scores["confirmation"]) == (0.8, 0.1)
    assert found.biases[2].explanation.endswith("Against it: It was put to the test.")
    assert ("tested", "parser it is") in [(item.claim, item.quote) for item in found.evidence]
    assert found.confidence < stood.confidence
    # Nothing is left to change, so nobody is asked what to.
    assert [one.wanted(case, answers) for one in PATTERN.passes["forensic"]] == [True, True, False, False]


def test_what_a_model_saw_and_no_signal_did_is_met_too() -> None:
    case = kit.case_of(PATTERN, HEALTHY)
    seen = Finding(
        "overconfidence", score=0.5, explanation="Sure early.", evidence=(Evidence("sure", (7,), "The vacuum started"),)
    )
    found = PATTERN.conclude(case, {"biases": BiasAnswer((seen,)), "interventions": RemedyAnswer(())})
    assert [one.intervention_type for one in found.interventions] == ["uncertainty_calibration"]


def test_where_nothing_was_found_nothing_is_asked() -> None:
    case = kit.case_of(PATTERN, HEALTHY)
    assert not PATTERN.passes["standard"][1].wanted(case, {"biases": BiasAnswer(())})
    assert PATTERN.conclude(case, {"biases": BiasAnswer(())}).interventions == ()


def test_canonical_steps_keep_number_and_speaker() -> None:
    rows = [
        ("ann", "message", "I suspect the cache", {"confidence": 0.9}, "hypothesis"),
        ("ann", "function_call", "top", {"confidence": 7}, "tool_call"),
        ("shell", "tool_result", "load 3", {}, "observation"),
        ("user", "message", "Hurry", {}, "observation"),
        ("bob", "message", "Then we look again", {}, "thought"),
        ("bob", "final_answer", "the cache", {}, "conclusion"),
    ]
    steps = tuple(TraceStep(agent, kind, content, metadata=told) for agent, kind, content, told, _ in rows)
    trace = PATTERN.from_trace(CanonicalTrace(TASK, steps, "o", metadata={"agent_id": "x", "model_name": 3}))
    assert [step.type for step in trace.steps] == [row[-1] for row in rows]
    assert [step.confidence for step in trace.steps[:2]] == [0.9, None]
    assert (trace.agent_id, trace.model_name, trace.success) == ("x", None, False)
    reading = PATTERN.read(trace)
    assert [(step.agent, step.content) for step in reading.steps] == [(s.agent, s.content) for s in steps]
    # The outcome was not told to be bad: being sure is not held against the agent.
    assert kit.offline(PATTERN, trace).severity == "none"
