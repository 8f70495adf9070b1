"""GRPI: the contract's sum and rules, what a request leaves open, and what a model's agreement adds."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.grpi import PATTERN, TeamSetupRequest, agreement_of, completeness, profile_of
from vstack_proto.patterns.grpi_texts import (
    AgentSpec,
    AgreementAnswer,
    GoalsSection,
    GrpiIntervention,
    InteractionsSection,
    ProcessesSection,
    QuickAnswer,
    RehearsalAnswer,
    RehearsalFinding,
    RemedyAnswer,
    RoleAssignment,
    RoleNote,
    RolesAnswer,
    RolesSection,
)
from vstack_proto.trace import AgentInfo, CanonicalTrace, TraceStep

CODER = AgentSpec("coder", "Writes the importer", ("file layout",), ("importer",))
TESTER = AgentSpec("tester", "Tries to break it", ("may block the release",), ("test report",))
CLEAR = TeamSetupRequest(
    "Build a CSV importer that reads 1 GB in a minute",
    (CODER, TESTER),
    success_criteria=("1 GB in under 60 s", "all 40 sample files pass"),
    kill_criteria=("two runs in a row lose a row",),
    framework="crewai",
)
BARE = TeamSetupRequest("Build a CSV importer", (AgentSpec("coder"), AgentSpec("tester")))
VAGUE = TeamSetupRequest(
    "Make the importer better somehow",
    (CODER, AgentSpec("helper", "Helps where needed", ("everything",), ("Importer",))),
    success_criteria=("users are happy",),
    kill_criteria=("a week has passed",),
)
LOADED = TeamSetupRequest(
    "Ship the loader by 1 May",
    (AgentSpec("one", "Builds", ("all of the layout",), ("a", "b", "c", "d")), TESTER),
    success_criteria=("50 kills, no row lost",),
    kill_criteria=("3 failed nights",),
)


@pytest.mark.parametrize(
    ("trace", "profile", "severity", "modes", "kinds"),
    [
        (CLEAR, "complete_balanced", "none", set(), []),
        (
            BARE,
            "missing_kill_criteria",
            "low",
            {"ambiguous_decision_rights"},
            ["tighten_goals", "add_kill_criteria", "disambiguate_decision_rights"],
        ),
        (
            VAGUE,
            "complete_balanced",
            "none",
            {
                "vague_primary_goal",
                "no_measurable_criteria",
                "overlapping_responsibilities",
                "single_agent_overload",
            },
            ["tighten_goals", "clarify_roles"],
        ),
        (LOADED, "complete_balanced", "none", {"single_agent_overload"}, ["clarify_roles"]),
    ],
)
def test_offline_agreements(
    trace: TeamSetupRequest, profile: str, severity: str, modes: set[str], kinds: list[str]
) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.profile_pattern, found.severity) == (profile, severity)
    assert {one.name for one in kit.case_of(PATTERN, trace).signals} == modes
    assert [one.intervention_type for one in found.interventions] == kinds
    assert bool(found.evidence) == bool(modes)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert (found.role_fit_audits, found.dysfunction_prevention) == ((), None)


def test_what_the_request_states_stands_in_the_agreement() -> None:
    found = kit.offline(PATTERN, CLEAR)
    assert found.goals.primary_goal == CLEAR.task
    assert found.goals.measurable_success_criteria == CLEAR.success_criteria
    assert found.goals.kill_criteria == CLEAR.kill_criteria
    assert found.goals.deliverables == ("importer", "test report")
    assert found.roles.role_assignments[1] == RoleAssignment(
        "tester",
        "Tries to break it",
        ("Tries to break it", "test report"),
        ("may block the release",),
        ("test report",),
    )
    assert "coder answers for importer" in found.roles.raci_summary
    assert found.processes.abandonment_criteria[0] == CLEAR.kill_criteria[0]
    assert (found.completeness_score, found.confidence) == (1.0, 0.7)


def test_a_bare_request_is_not_made_to_look_complete() -> None:
    found = kit.offline(PATTERN, BARE)
    # No criteria, no kill criteria, no rights, nothing to answer for: 1 - 0.1 - 0.1 - 0.1 - 0.05.
    assert found.completeness_score == 0.65
    assert (found.goals.measurable_success_criteria, found.goals.kill_criteria) == ((), ())
    assert {book.failure_mode for book in found.attached_playbooks} == {
        "vague_primary_goal",
        "missing_kill_criteria",
        "ambiguous_decision_rights",
    }


def test_forensic_audits() -> None:
    bare, vague, clear = (kit.offline(PATTERN, trace, "forensic") for trace in (BARE, VAGUE, CLEAR))
    assert [one.fit_score for one in clear.role_fit_audits] == [1.0, 1.0]
    assert [one.fit_score for one in bare.role_fit_audits] == [0.4, 0.4]
    assert bare.role_fit_audits[0].notes == "Not stated: description, decision rights, deliverables."
    assert [one.overlapping_responsibilities for one in vague.role_fit_audits] == [("importer",), ("importer",)]
    assert [one.fit_score for one in vague.role_fit_audits] == [0.85, 0.85]
    assert clear.dysfunction_prevention.notes == "Each dysfunction meets a term."
    assert bare.dysfunction_prevention.prevents_fear_of_conflict
    assert not bare.dysfunction_prevention.prevents_inattention_to_results
    assert not bare.dysfunction_prevention.prevents_avoidance_of_accountability


WHOLE = agreement_of(CLEAR, None)


@pytest.mark.parametrize(
    ("section", "changes", "profile", "score"),
    [
        ("roles", {"role_assignments": WHOLE.roles.role_assignments[:1]}, "single_agent_team", 1.0),
        ("goals", {"kill_criteria": ()}, "missing_kill_criteria", 0.9),
        ("processes", {"escalation_path": ()}, "missing_escalation_path", 0.9),
        ("goals", {"measurable_success_criteria": ()}, "weak_goals", 0.9),
        ("processes", {"decision_protocol": ""}, "weak_processes", 0.95),
        ("interactions", {"disagreement_norms": ()}, "weak_interactions", 0.95),
        ("interactions", {"psychological_safety_commitments": ()}, "complete_balanced", 0.9),
        ("processes", {"abandonment_criteria": (), "communication_cadence": ""}, "complete_balanced", 0.85),
        ("interactions", {"feedback_format": "", "psychological_safety_commitments": ()}, "complete_balanced", 0.85),
    ],
)
def test_sum_and_profiles(section: str, changes: Any, profile: str, score: float) -> None:
    part = msgspec.structs.replace(getattr(WHOLE, section), **changes)
    told = msgspec.structs.replace(WHOLE, **{section: part})
    told = msgspec.structs.replace(told, completeness_score=completeness(told))
    assert (profile_of(CLEAR, told), told.completeness_score) == (profile, score)


def test_a_framework_that_is_lost_is_a_misfit() -> None:
    assert profile_of(CLEAR, msgspec.structs.replace(WHOLE, framework=None)) == "framework_misfit"
    low = msgspec.structs.replace(WHOLE, completeness_score=0.84)
    assert profile_of(CLEAR, low) == "indeterminate"


lines = st.lists(st.sampled_from(["a", "b 1", "every c", " "]), max_size=3).map(tuple)


@given(st.lists(st.tuples(lines, lines, st.sampled_from(["", "builds"])), min_size=2, max_size=4), lines, lines)
def test_score_and_severity_move_together(agents: Any, criteria: Any, kill: Any) -> None:
    members = tuple(AgentSpec(f"m{n}", what, rights, work) for n, (rights, work, what) in enumerate(agents))
    trace = TeamSetupRequest("t", members, success_criteria=criteria, kill_criteria=kill)
    found = kit.offline(PATTERN, trace, "forensic")
    assert 0.65 <= found.completeness_score <= 1
    assert (found.severity == "none") == (found.completeness_score >= 0.9 - 1e-9)
    assert [one.agent_name for one in found.roles.role_assignments] == [agent.name for agent in members]
    assert kit.misquotes(PATTERN, trace, found) == []


GOALS = GoalsSection("Import 1 GB in a minute", ("1 GB in 60 s", " "), ("no GUI",), (), ("3 lost rows",))
ROLES = RolesSection(
    (
        RoleAssignment("coder", "Builder", ("writes",), ("layout",), ("importer",)),
        RoleAssignment("coder", "Twice", ("never",), ()),
        RoleAssignment("ghost", "Nobody", ("haunts",), ("all",)),
    ),
    "coder R, tester A",
)
PROCESSES = ProcessesSection("coder decides", ("coder", "a person"), (), "daily")
NORMS = InteractionsSection((), "", "", (), ())
PROOFS = (Evidence("no rights", (2,), "decides: nothing stated"), Evidence("made up", (0,), "not in the request"))
CHANGE = GrpiIntervention(
    "roles",
    "clarify_roles",
    description="Name the tester's rights",
    suggested_implementation="may block",
    composition_target_pattern="y",
)
PARTS = (GOALS, ROLES, PROCESSES, NORMS, PROOFS)
NOTE = RoleNote("tester", ("may it block?",), (), "Unclear.")


@pytest.mark.parametrize(
    ("mode", "answers", "kinds"),
    [
        ("quick", {"agreement": QuickAnswer(*PARTS, (CHANGE,))}, ["clarify_roles"]),
        (
            "standard",
            {"agreement": AgreementAnswer(*PARTS), "interventions": RemedyAnswer((CHANGE,))},
            ["clarify_roles"],
        ),
        (
            "forensic",
            {
                "agreement": AgreementAnswer(*PARTS),
                "roles": RolesAnswer((NOTE,), PROOFS[:1]),
                "rehearsal": RehearsalAnswer((RehearsalFinding("fear of conflict", True, "Objections wait.", ()),)),
                "interventions": RemedyAnswer((CHANGE,)),
            },
            ["clarify_roles"],
        ),
    ],
)
def test_a_good_answer_reaches_the_agreement(mode: Any, answers: Any, kinds: list[str]) -> None:
    case = kit.case_of(PATTERN, BARE, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    assert found.goals.measurable_success_criteria == ("1 GB in 60 s",)
    # Who is not of the team gets no role, and who was left out gets one.
    assert [(one.agent_name, one.role_title) for one in found.roles.role_assignments] == [
        ("coder", "Builder"),
        ("tester", "tester"),
    ]
    assert (found.profile_pattern, found.completeness_score) == ("ambiguous_decision_rights", 0.95)
    assert found.interactions.disagreement_norms
    assert [one.intervention_type for one in found.interventions] == kinds
    assert [book.failure_mode for book in found.attached_playbooks] == ["ambiguous_decision_rights"]
    assert kit.misquotes(PATTERN, BARE, found) == []
    assert case.grounding.dropped == 1
    if mode == "forensic":
        assert found.role_fit_audits[1].ambiguous_decision_rights == ("may it block?",)
        assert found.role_fit_audits[1].notes.startswith("Unclear.")


def test_a_complete_agreement_asks_for_no_changes() -> None:
    case = kit.case_of(PATTERN, CLEAR, "forensic")
    answer = AgreementAnswer(GOALS, ROLES, PROCESSES, NORMS, ())
    assert not PATTERN.passes["forensic"][3].wanted(case, {"agreement": answer})
    assert not PATTERN.passes["standard"][1].wanted(case, {"agreement": answer})


def test_an_agreement_is_tried_before_it_is_trusted() -> None:
    case = kit.case_of(PATTERN, CLEAR, "forensic")
    answer = AgreementAnswer(GOALS, ROLES, PROCESSES, NORMS, ())
    asked = PATTERN.passes["forensic"][2].instruction(case, {"agreement": answer})
    # What the request states itself stands in the trace already.
    assert "- coder decides: layout\n" in asked
    assert "- daily\n" in asked
    assert not any(line in asked for line in (*CLEAR.success_criteria, *CLEAR.kill_criteria, "may block the release"))
    begins = Evidence("here", (2,), "Tries to break it")
    told = (
        RehearsalFinding("avoidance of accountability", False, "Nobody tells the coder.", (begins,)),
        RehearsalFinding("avoidance of accountability", False, "Said twice.", (begins,)),
        RehearsalFinding("absence of trust", False, "Made up.", (Evidence("x", (1,), "not in the request"),)),
        RehearsalFinding("fear of conflict", True, "Objections wait.", (begins,)),
    )
    answers = {"agreement": answer, "rehearsal": RehearsalAnswer(told)}
    plain, found = PATTERN.conclude(case, {"agreement": answer}), PATTERN.conclude(case, answers)
    held, left = plain.dysfunction_prevention, found.dysfunction_prevention
    assert held is not None
    assert left is not None
    assert (held.prevents_avoidance_of_accountability, left.prevents_avoidance_of_accountability) == (True, False)
    assert (left.prevents_absence_of_trust, left.prevents_fear_of_conflict) == (True, True)
    assert left.notes.endswith("Avoidance of accountability: Nobody tells the coder.")
    assert begins in found.evidence
    # The sum counts what is written; what it would not stop is still to be changed.
    assert (plain.completeness_score, plain.interventions) == (found.completeness_score, ())
    assert [one.intervention_type for one in found.interventions] == ["disambiguate_decision_rights"]
    changes = PATTERN.passes["forensic"][3]
    assert changes.wanted(case, answers)
    assert "gaps: avoidance of accountability." in changes.instruction(case, answers)
    assert kit.misquotes(PATTERN, CLEAR, found) == []


def test_from_trace_needs_a_roster_that_says_something() -> None:
    steps = (TraceStep("coder", "message", "I start.\nMake it better somehow."),)
    infos = (
        AgentInfo("coder", "writes code", decision_authority="full"),
        AgentInfo("tester", decision_authority="none"),
    )
    trace = PATTERN.from_trace(CanonicalTrace("Build it by 1 May", steps, "o", infos, metadata={"risk_level": "high"}))
    assert [(one.name, one.description, one.decision_rights) for one in trace.agents] == [
        ("coder", "writes code", ("full authority over its own work",)),
        ("tester", "generalist", ()),
    ]
    assert trace.risk_level == "high"
    read = PATTERN.read(trace).steps
    assert (read[0].agent, read[0].kind, read[0].content) == ("coder", "message", steps[0].content)
    assert [one.kind for one in read[1:]] == ["task", "agent", "agent"]
    # What a run said is no term of its team.
    assert {one.name for one in kit.case_of(PATTERN, trace).signals} == {"ambiguous_decision_rights"}
    told = {"agents": [{"name": "a"}, {"name": "b", "deliverables": ["x"]}]}
    assert PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata=told)).agents[1].deliverables == ("x",)
    for agents in ((), ("coder", "tester"), (infos[0], infos[0])):
        with pytest.raises(TraceNotReadable, match="what each agent is for"):
            PATTERN.from_trace(CanonicalTrace("g", steps, "o", agents))
