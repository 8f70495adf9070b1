"""Orchestrator mode: the contract's bounds and profiles, what steps and properties tell, what a model's answer adds."""

# What is missing or does not fit fails the test by itself.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import mcgregor_texts as texts
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.mcgregor import PATTERN, OrchestrationStep, OrchestratorTrace, control_of
from vstack_proto.patterns.mcgregor_oversight import (
    TaskProperties,
    mismatch_of,
    mode_of,
    need_of,
    profile_of,
    quality_of,
)
from vstack_proto.trace import CanonicalTrace, TraceStep

HARMLESS = TaskProperties("low", "routine", agent_capability="proven")
GRAVE = TaskProperties("high", "routine", "irreversible", True, "unproven")
BETWEEN = TaskProperties("medium", "moderate", "partial")


def led(task: TaskProperties, *steps: tuple[Any, str]) -> OrchestratorTrace:
    """Steps of the orchestrator by type; ``agent`` is an agent's report."""
    told = tuple(
        OrchestrationStep("observation", "agent", content, "coder")
        if kind == "agent"
        else OrchestrationStep(kind, "orchestrator", content)
        for kind, content in steps
    )
    return OrchestratorTrace("Rename a column", ("coder",), task, told, "ended")


FITS = led(
    HARMLESS,
    ("delegate", "Rename the column and its uses; report when you are done."),
    ("agent", "One view failed to build; I renamed it there too and the tests pass."),
    ("broaden", "Good, take the report pages as well."),
    ("agent", "Done."),
)
HELD = led(
    HARMLESS,
    ("delegate", "Ask me before each change."),
    ("agent", "May I change line 1?"),
    ("approve", "Approve line 1"),
    ("check_in", "How far are you?"),
    ("approve", "Approve line 2"),
)
LOOSE = led(
    GRAVE,
    ("delegate", "Drop column ssn_hash everywhere"),
    ("agent", "Two services still read it"),
    ("broaden", "Use your judgement"),
    ("agent", "Dropped."),
)
GATED = led(
    GRAVE,
    ("delegate", "Plan the drop; wait for my approval before you run it."),
    ("agent", "Plan: dry run first."),
    ("approve", "The dry run is approved."),
    ("check_in", "Does any service still read it?"),
    ("reject", "Not yet: ledger reads it."),
)
UNEVEN = led(HARMLESS, ("delegate", "Do the first half."), ("approve", "Approve the import order"))


@pytest.mark.parametrize(
    ("trace", "observed", "optimal", "profile", "severity", "modes"),
    [
        (FITS, "theory_y", "theory_y", "well_matched_theory_y", "none", set()),
        (GATED, "theory_x", "theory_x", "well_matched_theory_x", "none", set()),
        (HELD, "theory_x", "theory_y", "theory_x_on_proven_agent", "critical", {"proven_agent_overcontrol"}),
        (
            LOOSE, "theory_y", "theory_x", "irreversible_action_under_supervision", "critical",
            {"irreversible_action_under_supervision"},
        ),
        (UNEVEN, "hybrid", "theory_y", "hybrid_misapplied", "moderate", {"wrong_axis_triggers"}),
    ],
)  # fmt: skip
def test_offline_profiles(
    trace: OrchestratorTrace, observed: str, optimal: str, profile: str, severity: str, modes: set[str]
) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.observed_mode, found.optimal_mode, found.profile_pattern) == (observed, optimal, profile)
    assert found.severity == severity
    assert bool(modes) == bool(found.interventions) == bool(found.evidence)
    assert {book.failure_mode for book in found.attached_playbooks} == modes
    assert {one.target_mode for one in found.interventions} <= {observed}
    assert kit.misquotes(PATTERN, trace, found) == []


def test_an_alarm_that_changes_nothing_weighs_most() -> None:
    evidence = kit.offline(PATTERN, LOOSE).evidence[0]
    assert (evidence.steps, evidence.quote) == ((1,), "Two services still read it")
    assert "unheeded" not in [one.name for one in kit.case_of(PATTERN, FITS).signals]


def test_indicators_are_shares_of_the_orchestrators_steps() -> None:
    held = kit.offline(PATTERN, HELD).indicators
    assert (held.check_in_frequency, held.pre_approval_required, held.intervention_rate) == (0.25, 0.5, 0.0)
    # A delegation that waits for leave controls as much as an approval does: 1, 1, 0.7 and 1.
    assert held.autonomy_granted == 0.075
    assert kit.offline(PATTERN, led(HARMLESS, ("observation", "Saw it."))).indicators.autonomy_granted == 1.0


def test_steps_are_audited_in_forensic_mode() -> None:
    audits = kit.offline(PATTERN, HELD, "forensic").step_audits
    assert [(one.step_index, one.mode_signal, one.was_appropriate) for one in audits] == [
        (0, "theory_x", False), (2, "theory_x", False), (3, "theory_x", False), (4, "theory_x", False),
    ]  # fmt: skip
    assert all(one.was_appropriate for one in kit.offline(PATTERN, GATED, "forensic").step_audits)
    assert kit.offline(PATTERN, HELD).step_audits == ()


@pytest.mark.parametrize(
    ("task", "need", "mode"),
    [
        (HARMLESS, 0.0, "theory_y"),
        (GRAVE, 1.0, "theory_x"),
        (BETWEEN, 0.425, "hybrid"),
        (TaskProperties("high", "novel", agent_capability="proven"), 0.45, "hybrid"),
        (TaskProperties("low", "novel", agent_capability="unproven"), 0.4, "hybrid"),
    ],
)
def test_what_a_task_asks_for(task: TaskProperties, need: float, mode: str) -> None:
    assert (need_of(task), mode_of(need_of(task))) == (need, mode)


@pytest.mark.parametrize(
    ("seen", "task", "quality", "profile"),
    [
        ("theory_y", GRAVE, "severe-mismatch", "irreversible_action_under_supervision"),
        ("theory_y", TaskProperties("low", "novel", "partial", True), "mild-mismatch",
         "regulated_workflow_under_supervision"),
        ("theory_x", TaskProperties("low", "novel", agent_capability="proven"), "severe-mismatch",
         "creative_task_over_supervised"),
        ("theory_x", HARMLESS, "severe-mismatch", "theory_x_on_proven_agent"),
        ("theory_y", TaskProperties("high", "novel", agent_capability="unproven"), "mild-mismatch",
         "theory_y_on_unproven_agent"),
        ("theory_y", TaskProperties("high", "novel"), "mild-mismatch", "theory_y_on_high_risk"),
        ("theory_x", TaskProperties("low", "routine"), "well-matched", "theory_x_on_low_risk"),
        ("hybrid", BETWEEN, "mild-mismatch", "hybrid_misapplied"),
        ("hybrid", BETWEEN, "well-matched", "well_matched_hybrid"),
        ("theory_y", BETWEEN, "mild-mismatch", "indeterminate"),
    ],
)  # fmt: skip
def test_profiles(seen: Any, task: TaskProperties, quality: Any, profile: str) -> None:
    assert profile_of(seen, task, quality) == profile


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_mismatch_agrees_with_the_modes(control: float, need: float) -> None:
    mismatch, modes = mismatch_of(control, need), {mode_of(control), mode_of(need)}
    assert 0 <= mismatch <= 1
    assert quality_of(mismatch) == (
        "well-matched" if len(modes) == 1 else "mild-mismatch" if "hybrid" in modes else "severe-mismatch"
    )


SEEN = texts.ModeFinding("theory_x", "It prescribes.", (Evidence("prescribes", (0,), "Do the first half"),))
WANTED = texts.ModeFinding("theory_x", "Invented.", (Evidence("risk", (0,), "words that are not there"),))
CHANGE = texts.ModeIntervention(
    "theory_x", "loosen_oversight", description="Delegate both halves", suggested_implementation="Write: do both halves"
)
AUDIT = texts.AuditAnswer(
    (
        texts.StepFinding(1, "theory_x", False, "Leave it.", "A trifle.", "import order"),
        texts.StepFinding(0, "theory_y", True, "", "", "words that are not there"),
        texts.StepFinding(9, "theory_y", True, "", "", "Approve"),
    )
)
AS_STATED = texts.PropertiesAnswer((), "A rename can be undone.")


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"modes": texts.QuickAnswer(SEEN, WANTED, "Too tight.", (CHANGE,))}),
        (
            "standard",
            {"modes": texts.ModesAnswer(SEEN, WANTED, "Too tight."), "interventions": texts.RemedyAnswer((CHANGE,))},
        ),
        (
            "forensic",
            {
                "modes": texts.ModesAnswer(SEEN, WANTED, "Too tight."), "properties": AS_STATED,
                "audit": AUDIT,
                "interventions": texts.RemedyAnswer((CHANGE,)),
            },
        ),
    ],
)  # fmt: skip
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, UNEVEN, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    # The mode seen is borne out; that the task asks for theory X is not, so its properties decide.
    assert (found.observed_mode, found.optimal_mode, found.mode_mismatch) == ("theory_x", "theory_y", 0.85)
    assert (found.profile_pattern, found.severity) == ("theory_x_on_proven_agent", "critical")
    assert found.rationale.startswith("Too tight.")
    assert found.interventions == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["low_risk_oversupervision"]
    assert "vstack.sdt_reward" in found.composition_handoff.downstream_patterns
    assert "Do the first half" in [one.quote for one in found.evidence]
    assert kit.misquotes(PATTERN, UNEVEN, found) == []
    if mode == "forensic":
        assert [(one.step_index, one.was_appropriate) for one in found.step_audits] == [(0, True), (1, False)]
        assert "A rename can be undone." in found.optimality_justification.final_rationale


def other(name: Any, value: Any, step: int, quote: str) -> texts.PropertyFinding:
    return texts.PropertyFinding(name, value, step, quote, f"{name} is {value}")


def test_a_task_that_the_run_shows_to_be_other_than_stated() -> None:
    lied = led(
        HARMLESS,
        ("delegate", "Drop the column; report when you are done."),
        ("agent", "The table of payments has no backup. Dropped all the same."),
    )
    case = kit.case_of(PATTERN, lied, "forensic")
    free = texts.ModesAnswer(texts.ModeFinding("theory_y", "Lets go.", ()), WANTED, "Free.")
    told = (
        other("reversibility", "irreversible", 1, "no backup"),
        other("reversibility", "partial", 1, "Dropped"),
        other("risk_level", "high", 1, "The table of payments"),
        other("risk_level", "proven", 1, "Dropped all the same"),
        other("regulatory_exposure", "regulated", 0, "words that are not there"),
        other("complexity", "routine", 0, "Drop the column"),
    )
    answers = {"modes": free, "properties": texts.PropertiesAnswer(told, "Payments were at stake.")}
    stated, found = PATTERN.conclude(case, {"modes": free}), PATTERN.conclude(case, answers)
    assert (stated.optimal_mode, stated.profile_pattern) == ("theory_y", "well_matched_theory_y")
    assert (found.optimal_mode, found.profile_pattern) == ("hybrid", "irreversible_action_under_supervision")
    # What each property shows is what counts: first come, and only a value of its own in words that stand.
    reasons = found.optimality_justification
    assert (reasons.task_reversibility, reasons.task_risk, reasons.regulatory) == (
        "irreversible",
        "high",
        "not regulated",
    )
    assert reasons.final_rationale.startswith("Payments were at stake.")
    assert [one.claim for one in found.evidence] == ["reversibility is irreversible", "risk_level is high"]
    assert kit.misquotes(PATTERN, lied, found) == []
    # A model's word for the mode that is wanted counts only where no property was held against the run.
    tight = texts.ModeFinding("theory_x", "Payments.", (Evidence("payments", (1,), "payments"),))
    free = texts.ModesAnswer(free.observed, tight, "Free.")
    assert PATTERN.conclude(case, {"modes": free}).optimal_mode == "theory_x"
    assert PATTERN.conclude(case, {"modes": free, "properties": AS_STATED}).optimal_mode == "theory_y"


def test_no_change_is_asked_for_where_oversight_fits() -> None:
    fits = texts.ModeFinding("theory_y", "Fits.", ())
    answers = {"modes": texts.ModesAnswer(fits, fits, "Fits.")}
    case = kit.case_of(PATTERN, FITS)
    assert not PATTERN.passes["standard"][1].wanted(case, answers)
    assert (PATTERN.conclude(case, answers).interventions, PATTERN.conclude(case, answers).evidence) == ((), ())


STEPS = (
    TraceStep("team_lead", "message", "Please rename the column."),
    TraceStep("coder", "message", "Renamed; may I go on?"),
    TraceStep("team_lead", "message", "Approved."),
    TraceStep("coder", "abort", "I stop."),
    TraceStep("team_lead", "tool_call", "git log", tool="shell"),
)
PROPERTIES = {"risk_level": "low", "complexity": "routine"}


def test_from_trace() -> None:
    trace = PATTERN.from_trace(CanonicalTrace("g", STEPS, "o", metadata={"task_properties": PROPERTIES}))
    assert [(step.step_type, step.actor) for step in trace.steps] == [
        ("delegate", "orchestrator"), ("observation", "agent"), ("approve", "orchestrator"), ("abort", "agent"),
        ("observation", "orchestrator"),
    ]  # fmt: skip
    assert (trace.sub_agents, trace.success, control_of(trace)) == (("coder",), False, 0.625)
    assert [(one.agent, one.content) for one in PATTERN.read(trace).steps] == [(s.agent, s.content) for s in STEPS]


@pytest.mark.parametrize(
    ("steps", "metadata"),
    [
        (STEPS, {}),
        (STEPS, {"task_properties": {"risk_level": "huge", "complexity": "routine"}}),
        (STEPS[1:2], {"task_properties": PROPERTIES}),
        (STEPS[:1], {"task_properties": PROPERTIES}),
        (STEPS[:1], {"task_properties": PROPERTIES, "orchestrator": "team_lead"}),
    ],
)
def test_what_a_trace_must_tell(steps: Any, metadata: Any) -> None:
    with pytest.raises(TraceNotReadable, match="mcgregor needs"):
        PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata=metadata))


def test_an_orchestrator_that_does_nothing_is_found_without_a_step_to_quote() -> None:
    found = kit.offline(PATTERN, led(GRAVE, ("agent", "Dropped the column.")))
    assert (found.observed_mode, found.mode_quality, found.evidence) == ("theory_y", "severe-mismatch", ())
    assert [one.intervention_type for one in found.interventions] == ["add_pre_approval_gates"]
