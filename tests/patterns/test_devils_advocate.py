"""devils_advocate: score, locus, approvals and profiles, and what a model's answer can and cannot change."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import MODES, Evidence, Mode, banded
from vstack_proto.patterns.devils_advocate import PATTERN, SingleAgentTrace
from vstack_proto.patterns.devils_advocate_passes import (
    AuditAnswer,
    Finding,
    PhasesAnswer,
    PremortemAnswer,
    QuickAnswer,
    RemedyAnswer,
    SeparationIntervention,
)
from vstack_proto.patterns.devils_advocate_signs import RoleStep, approvals_of, roles_of
from vstack_proto.patterns.devils_advocate_texts import profile_of, separation
from vstack_proto.patterns.signs import BANDS
from vstack_proto.patterns.tested import Fate
from vstack_proto.trace import CanonicalTrace, TraceStep

S = RoleStep


def run(*steps: RoleStep, success: bool = False) -> SingleAgentTrace:
    return SingleAgentTrace("Apply a retention policy", steps, "It is known now", success, "solo", "m-1", "crewai")


HEALTHY = run(
    S("plan", "Archive first, then drop; alternatively move to cold storage. Risk: a legal hold.", "ann"),
    S("external_critique", "How do we know that no partition is under legal hold? The list is from March.", "cid"),
    S("plan", "Read the hold list of today before the drop.", "ann"),
    S("execute", "Dry run against the hold list, then archive 31 partitions", "ann"),
    S("self_evaluate", "I compared 31 names with the hold list: equal. Not tested: restore time.", "ann"),
    S("decision", "Done.", "ann"),
    success=True,
)
STAMPED = run(
    S("plan", "Delete partitions older than 400 days"),
    S("thought", "Legal hold is probably not relevant"),
    S("execute", "ALTER TABLE events; drop partition p1"),
    S("self_evaluate", "All partitions dropped, perfect"),
    S("decision", "Close the task"),
)
UNHEARD = run(
    S("plan", "Delete old partitions", "ann"),
    S("execute", "alter table", "ann"),
    S("self_evaluate", "Looks good", "ann"),
    S("external_critique", "Was the legal hold list read?", "bob"),
    S("decision", "Close the task", "ann"),
)
UNJUDGED = run(S("plan", "Rename the flag"), S("tool_call", "sed -i s/a/b/ flags"), S("decision", "Ship it"))


@pytest.mark.parametrize("which", ["minimal", "rich"])
def test_golden(which: str) -> None:
    expected = kit.golden("devils_advocate")[which]["self_approval_rate"]
    trace = kit.trace_of(PATTERN, kit.body("devils_advocate", which))
    assert kit.offline(PATTERN, trace, "quick").self_approval_rate == expected


@pytest.mark.parametrize(
    ("trace", "profile", "locus", "severity", "modes"),
    [
        (HEALTHY, "well_separated_critique", "mixed", "none", []),
        (
            STAMPED, "self_review_only", "self-reviewed", "high",
            ["missing_critic_phase", "high_stakes_no_human", "no_pre_mortem", "no_alternative_hypothesis",
             "rubber_stamping"],
        ),
        (
            UNHEARD, "rubber_stamping", "mixed", "moderate",
            ["no_alternative_hypothesis", "no_pre_mortem", "rubber_stamping", "weak_critic"],
        ),
        (
            UNJUDGED, "fully_conflated_roles", "unreviewed", "high",
            ["fully_conflated", "no_alternative_hypothesis", "no_pre_mortem"],
        ),
    ],
    ids=["healthy", "stamped", "unheard", "unjudged"],
)  # fmt: skip
def test_offline_reads_as_a_reader_would(
    trace: SingleAgentTrace, profile: str, locus: str, severity: str, modes: list[str]
) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.profile_pattern, found.locus_of_judgment, found.severity) == (profile, locus, severity)
    assert sorted(book.failure_mode for book in found.attached_playbooks) == sorted(modes)
    assert len(found.interventions) == len(modes)
    assert bool(found.evidence) is bool(modes)
    assert kit.misquotes(PATTERN, trace, found) == []


def test_audits_are_counted() -> None:
    found = kit.offline(PATTERN, UNHEARD)
    approvals, critics = found.approval_rate_audit, found.critic_voice_audit
    assert (approvals.self_evaluations_observed, approvals.approvals) == (1, 1)
    assert approvals.rubber_stamping_estimate == 0.9
    assert (critics.external_critique_turn_count, critics.critic_actor_count) == (1, 1)
    assert critics.substantive_critic_objections == 1
    assert "not taken up: step 3" in critics.explanation
    phases = {one.phase: (one.present, one.actor) for one in found.phase_evidence}
    assert phases["external_critique"] == (True, "bob")
    assert phases["self_evaluate"] == (True, "ann")


def test_a_critic_who_did_the_work_is_none() -> None:
    own = run(S("plan", "a", "ann"), S("execute", "b", "ann"), S("external_critique", "But is it right?", "ann"))
    assert kit.offline(PATTERN, own).locus_of_judgment == "unreviewed"
    nameless = run(S("plan", "a", "ann"), S("external_critique", "But is it right at all?"))
    assert kit.offline(PATTERN, nameless).critic_voice_audit.critic_voice_estimate == 0.0
    tested = run(S("plan", "a", "ann"), S("tool_call", "pytest", "bob"), S("external_critique", "It fails?", "bob"))
    assert roles_of(tested.steps).independent == (2,)


@pytest.mark.parametrize(
    ("steps", "counts"),
    [
        ((S("self_evaluate", "Looks good"),), (1, 0)),
        ((S("self_evaluate", "I must redo it"),), (1, 1)),
        ((S("self_evaluate", "A prefix is odd"), S("thought", "x")), (1, 0)),
        ((S("self_evaluate", "Fine"), S("plan", "again")), (1, 1)),
        ((S("self_evaluate", "Fine"), S("execute", "again"), S("self_evaluate", "Good")), (2, 1)),
        ((S("thought", "wrong"),), (0, 0)),
    ],
)
def test_revisions(steps: tuple[RoleStep, ...], counts: tuple[int, int]) -> None:
    assert approvals_of(steps) == counts


FULL = {"plan": 0.5, "execute": 0.5, "self_evaluate": 0.5, "external_critique": 0.5}
PROFILES = [
    ((0.6, True, True, 1.0, True, FULL), "well_separated_critique"),
    ((0.25, False, False, 0.0, False, FULL), "fully_conflated_roles"),
    ((0.4, False, True, 1.0, True, FULL), "self_review_only"),
    ((0.5, True, True, 0.8, True, FULL), "rubber_stamping"),
    ((0.5, True, True, 0.5, True, {**FULL, "external_critique": 0.3}), "external_critic_present_weak"),
    ((0.5, True, False, 0.0, False, {**FULL, "plan": 0.3}), "no_alternative_hypothesis"),
    ((0.5, True, False, 0.0, False, FULL), "indeterminate"),
]


@pytest.mark.parametrize(("told", "profile"), PROFILES)
def test_profile_rules(told: tuple[Any, ...], profile: str) -> None:
    assert profile_of(*told) == profile


BOUNDS = [
    (0.15, "critical"), (0.16, "high"), (0.3, "high"), (0.31, "medium"), (0.45, "medium"), (0.46, "moderate"),
    (0.6, "moderate"), (0.61, "low"), (0.75, "low"), (0.76, "trace"), (0.9, "none"),
]  # fmt: skip


@pytest.mark.parametrize(("score", "severity"), BOUNDS)
def test_severity_of_a_score(score: float, severity: str) -> None:
    assert banded(1.0 - score, BANDS) == severity


@given(
    st.fixed_dictionaries({phase: st.floats(0, 1) for phase in FULL}),
    st.fixed_dictionaries({p: st.booleans() for p in FULL}),
)
def test_separation_stays_in_bounds(substance: Any, present: Any) -> None:
    alone, judged = separation(present, False, substance), separation(present, True, substance)
    assert 0.0 <= alone <= judged <= 1.0
    assert alone <= 0.5  # without somebody else's eyes no run is well separated


SEEN = Finding("external_critique", True, 0.9, "bob asks.", (Evidence("asks", (3, 0), "legal hold list"),))
OWN = Finding("external_critique", True, 0.9, "ann asks.", (Evidence("asks", (0,), "Delete old partitions"),))
PRAISE = Finding("self_evaluate", True, 0.1, "Praise only.", (Evidence("praise", (2,), "Looks great"),))
CHANGE = SeparationIntervention(
    "self_evaluate", "structured_self_critique", description="A list", suggested_implementation="Each criterion"
)


def assumption(asked: Any, quote: str, met_step: int | None = None, met: str = "") -> Fate[Any]:
    return Fate(asked, 0, quote, met_step, met)


@pytest.mark.parametrize("mode", MODES)
def test_a_model_is_believed_as_far_as_it_quotes(mode: Mode) -> None:
    case = kit.case_of(PATTERN, UNHEARD, mode)
    weak = Finding("external_critique", True, 0.3, "One question.", SEEN.evidence)
    answers: dict[str, Any] = {"phases": PhasesAnswer((weak, PRAISE))}
    if mode == "quick":
        answers = {"phases": QuickAnswer((weak, PRAISE), (CHANGE,))}
    else:
        answers["interventions"] = RemedyAnswer((CHANGE,))
    if mode == "forensic":
        answers["audit"] = AuditAnswer("On nothing.", "Passed over.", (Evidence("closed", (4,), "Close the task"),))
        answers["premortem"] = PremortemAnswer(
            (
                assumption("met", "Delete old partitions", 3, "legal hold list"),
                assumption("met", "Delete old partitions", 3, "nobody said so"),
                assumption("unmet", "words of nobody"),
            )
        )
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    assert case.grounding.cited == 0
    found = PATTERN.conclude(case, answers)
    # .6 x .3 + .25 x .1 + .15 + .10, the self-evaluation as weak as its words since the quotation is made up.
    assert found.role_separation_score == pytest.approx(0.455, abs=0.006)
    assert found.role_separation_quality == "partially-conflated"
    assert found.interventions == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["rubber_stamping"]
    assert found.evidence[0] == Evidence("asks", (3,), "legal hold list")
    assert ("Close the task" in [item.quote for item in found.evidence]) is (mode == "forensic")
    assert case.grounding.dropped == (3 if mode == "forensic" else 1)


def test_what_nobody_asked_halves_the_plan_and_the_evaluation() -> None:
    case = kit.case_of(PATTERN, STAMPED, "forensic")
    checked = Finding("self_evaluate", True, 0.8, "Counted.", (Evidence("all", (3,), "All partitions dropped"),))
    answers: dict[str, Any] = {"phases": PhasesAnswer((checked,))}
    before = PATTERN.conclude(case, answers)
    answers["premortem"] = PremortemAnswer((assumption("unmet", "older than 400 days"),))
    after = PATTERN.conclude(case, answers)
    scores = [one.phase_evidence[2].substantive_score for one in (before, after)]
    assert scores == [0.8, 0.4]
    assert after.role_separation_score < before.role_separation_score
    assert after.approval_rate_audit is not None
    assert "0 of 1 assumptions of the work were put to the question." in after.approval_rate_audit.explanation
    assert "older than 400 days" in [item.quote for item in after.evidence]
    assert "pre_mortem_step" in [one.intervention_type for one in after.interventions]
    idle = kit.case_of(PATTERN, run(S("thought", "Hm")), "forensic")
    assert not PATTERN.passes["forensic"][2].wanted(idle, answers)


def test_a_strong_critique_separates_and_that_of_the_worker_does_not() -> None:
    case = kit.case_of(PATTERN, UNHEARD)
    heard = {"phases": PhasesAnswer((SEEN,))}
    found = PATTERN.conclude(case, heard)
    assert (found.role_separation_quality, found.interventions) == ("well-separated", ())
    assert not PATTERN.passes["standard"][1].wanted(case, heard)
    assert PATTERN.conclude(case, {"phases": PhasesAnswer((OWN,))}).phase_evidence[3].substantive_score < 0.6


def test_canonical_phases() -> None:
    rows = [
        ("ann", "message", "I suggest we add an index", "plan"),
        ("ann", "tool_call", "create index", "tool_call"),
        ("shell", "observation", "ok", "observation"),
        ("bob", "message", "What about writes?", "external_critique"),
        ("ann", "message", "I checked them: 2 % slower", "self_evaluate"),
        ("user", "message", "Thanks", "observation"),
        ("ann", "review", "None", "external_critique"),
        ("ann", "message", "Bye", "thought"),
    ]
    steps = tuple(TraceStep(agent, kind, content) for agent, kind, content, _ in rows)
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", success=True, metadata={"agent_id": "x"}))
    assert [step.type for step in trace.steps] == [row[-1] for row in rows]
    assert (trace.agent_id, trace.success) == ("x", True)
    assert [(step.agent, step.content) for step in PATTERN.read(trace).steps] == [(s.agent, s.content) for s in steps]


def test_a_trace_of_messages_alone_tells_no_phases() -> None:
    with pytest.raises(TraceNotReadable, match="self_evaluate"):
        PATTERN.from_trace(CanonicalTrace("g", (TraceStep("ann", "message", "My plan: x"),), "o"))
