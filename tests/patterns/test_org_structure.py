"""The form of a crew: what a roster counts, the contract's profiles, what words add, and a model's answer."""

# What is missing or does not fit fails the test by itself.
# mypy: disable-error-code="union-attr, str-unpack"

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import fit
from vstack_proto.patterns import org_structure as org
from vstack_proto.patterns import org_structure_passes as passes
from vstack_proto.patterns import org_structure_texts as texts
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.org_structure import PATTERN, OrgStructureTrace
from vstack_proto.patterns.org_structure_crew import StructureAgent, archetype_of, centralization, measured, survey
from vstack_proto.trace import AgentInfo, CanonicalTrace, TraceStep


def agent(name: str, held: Any = "partial", *bosses: str, role: str = "", group: Any = "none") -> StructureAgent:
    return StructureAgent(name, role or name, bosses, group, held)


def crew(task_class: Any, agents: tuple[StructureAgent, ...], *behaviours: str) -> OrgStructureTrace:
    return OrgStructureTrace("Work", agents, "ended", False, task_class=task_class, observed_behaviors=behaviours)


STAFF = (agent("lead", "full"), *(agent(name, "partial", "lead") for name in ("db", "net", "ops")))
HEALTHY = crew(
    "general_purpose", STAFF, "The lead asked for a figure, and db gave it", "ops mended it and told the lead"
)
QUEUE = crew(
    "research_exploration",
    (agent("boss", "full"), *(agent(f"w{n}", "none", "boss") for n in range(4))),
    "w1 waited for the lead's approval",
    "Every question went to boss",
)
FLAT = crew(
    "incident_response",
    tuple(agent(name) for name in ("db", "net", "comms")),
    "Nobody was in charge for 40 minutes",
)
NOBODY = crew(
    "regulated_workflow",
    (agent("a", "advisory"), agent("b", "advisory", "a"), agent("c", "none", "b")),
    "Nobody could approve the filing",
)
TALL = crew(
    "creative_brainstorm",
    (agent("a"), agent("b", "partial", "a"), agent("c", "partial", "b"), agent("d", "partial", "c")),
    "The idea was relayed through three levels",
)
CROSSED = crew(
    "customer_support",
    tuple(agent(n, "partial", *(("p", "q") if n not in "pq" else ()), role="clerk" if n in "ab" else n, group="matrix")
          for n in "pqabc"),
    "a waited for both leads",
    "b got conflicting orders",
)  # fmt: skip


@pytest.mark.parametrize(
    ("trace", "profile", "gap", "form"),
    [
        (HEALTHY, "well_fit", "none", "centralized-functional"),
        (QUEUE, "decision_bottleneck", "centralization", "centralized-functional"),
        (FLAT, "too_flat_for_critical_task", "hierarchy", "flat-peer"),
        (NOBODY, "no_clear_authority", "centralization", "hierarchical"),
        (TALL, "too_hierarchical_for_creative", "hierarchy", "hierarchical"),
        (CROSSED, "matrix_overhead", "departmentalization", "matrix"),
    ],
)
def test_offline_profiles(trace: OrgStructureTrace, profile: str, gap: str, form: str) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.profile_pattern, found.biggest_gap, found.archetype) == (profile, gap, form)
    healthy = gap == "none"
    assert healthy == (found.severity in ("none", "trace")) == (not found.interventions) == (not found.evidence)
    assert healthy == (not found.attached_playbooks)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert found.reporting_graph_audit is not None
    assert kit.offline(PATTERN, trace).reporting_graph_audit is None


def test_the_bottleneck_is_a_supervisor_whose_reports_may_decide_nothing() -> None:
    audit = kit.offline(PATTERN, QUEUE, "forensic").decision_bottleneck_audit
    assert (audit.bottleneck_agent_id, audit.severity_estimate) == ("boss", "high")
    assert audit.affected_dimensions == ("centralization",)
    assert kit.offline(PATTERN, HEALTHY, "forensic").decision_bottleneck_audit.bottleneck_agent_id is None


@pytest.mark.parametrize(
    ("agents", "held"),
    [
        ((agent("a", "full"), agent("b", "none"), agent("c", "none")), 1.0),
        ((agent("a", "full"), agent("b", "full"), agent("c", "full")), 0.0),
        ((agent("a", "advisory"), agent("b", "none")), 0.0),
        ((agent("a"), agent("b")), None),
        ((agent("a", "full"), agent("b", "full"), agent("c", "none")), 0.25),
        ((agent("a", "full"), agent("b", "full", "a"), agent("c", "none")), 0.5),
    ],
)
def test_centralization(agents: tuple[StructureAgent, ...], held: float | None) -> None:
    assert centralization(survey(agents)) == held


def test_what_a_roster_does_not_tell_is_as_wanted() -> None:
    untold = tuple(agent(name, "partial", *bosses, role="generalist") for name, *bosses in ("a", "ba", "ca"))
    found = measured(survey(untold), org.targets_of("general_purpose"))
    assert [label for label, own in found.items() if own.gap] == ["hierarchy"]
    assert not any(own.gap for own in measured(survey(untold[:1]), org.targets_of("incident_response")).values())


def test_lines_rings_and_names_without_an_entry() -> None:
    ring = survey((agent("a", "full", "b"), agent("b", "full", "a"), agent("c", "none", "b"), agent("d")))
    assert (ring.depth, ring.rings, ring.orphans) == (0, True, ("d",))
    assert archetype_of(ring) == "mixed"
    outside = survey((agent("a", "none", "ghost"), agent("b", "none", "a"), agent("a", "none", "late")))
    assert (outside.depth, outside.rings, outside.shared) == (2, False, ("a",))
    assert survey((agent("a", "none", "a"),)).rings


NAMES = st.sampled_from("abcdefgh")
HELD = st.sampled_from(("full", "partial", "advisory", "none"))
GROUPS = st.sampled_from(("function", "product", "customer", "geography", "matrix", "none"))
AGENTS = st.builds(StructureAgent, NAMES, NAMES, st.lists(NAMES, max_size=3).map(tuple), GROUPS, HELD)


@given(st.lists(AGENTS, min_size=1, max_size=12), st.sampled_from(sorted(texts.TARGETS)))
def test_any_roster_has_numbers_in_bounds(agents: list[StructureAgent], task_class: str) -> None:
    found = survey(agents)
    assert all(0 <= one.observed <= 1 for one in measured(found, org.targets_of(task_class)).values())
    assert set(found.orphans) <= {one.agent_id for one in agents}
    assert found.depth < len({one.agent_id for one in agents}) + 1
    detection = kit.offline(PATTERN, crew(task_class, tuple(agents)), "forensic")
    assert (detection.fit_quality == "well-fit") == (detection.profile_pattern == "well_fit")
    assert kit.misquotes(PATTERN, crew(task_class, tuple(agents)), detection) == []


def gaps(**off: float) -> dict[str, fit.Fit]:
    return {label: fit.Fit(round(0.5 + off.get(label, 0.0), 2), 0.5) for label in org.DIMENSIONS}


@pytest.mark.parametrize(
    ("fits", "task_class", "form", "profile"),
    [
        (dict.fromkeys(org.DIMENSIONS, fit.Fit(0.25, 0.5)), "incident_response", "matrix", "broadly_misfit"),
        (gaps(hierarchy=-0.2), "incident_response", "mixed", "too_flat_for_critical_task"),
        (gaps(hierarchy=-0.2), "general_purpose", "mixed", "indeterminate"),
        (gaps(hierarchy=0.2), "code_review", "mixed", "too_hierarchical_for_creative"),
        (gaps(hierarchy=0.2), "incident_response", "mixed", "indeterminate"),
        (gaps(hierarchy=-0.2, centralization=0.3), "incident_response", "mixed", "decision_bottleneck"),
        (gaps(centralization=-0.2), "general_purpose", "mixed", "no_clear_authority"),
        (gaps(specialization=0.3, centralization=0.2), "general_purpose", "mixed", "over_specialized"),
        (gaps(specialization=-0.3), "general_purpose", "mixed", "under_specialized"),
        (gaps(departmentalization=0.3), "general_purpose", "matrix", "matrix_overhead"),
        (gaps(formalization=0.3, centralization=0.2), "general_purpose", "mixed", "decision_bottleneck"),
        (gaps(centralization=0.15), "general_purpose", "mixed", "indeterminate"),
    ],
)
def test_profiles(fits: dict[str, fit.Fit], task_class: str, form: str, profile: str) -> None:
    assert org.profile_of(fits, "misfit", fit.widest(fits, 0.15), task_class, form) == profile
    assert org.profile_of(fits, "well-fit", "none", task_class, form) == "well_fit"


FOUND = (
    passes.DimensionFinding("centralization", "w1 lost two turns", (Evidence("c", (0,), "w1 waited"),)),
    passes.DimensionFinding("hierarchy", "made up", (Evidence("c", (0,), "nowhere at all"),)),
)
FIX = passes.StructureIntervention(
    "centralization", "shift_decision_authority", "decrease", description="Delegate", suggested_implementation="w1"
)
CHANGES = passes.ChangesAnswer((FIX,))
WAITS = passes.BottleneckAnswer("boss", "All asked boss", (Evidence("c", (1,), "Every question went to boss"),))


def met(giver: str, taker: str, quote: str = "went to boss") -> passes.Contact:
    return passes.Contact(giver, taker, "asks", 1, quote)


MET = passes.ContactsAnswer((met("w1", "boss"), met("w2", "boss"), met("boss", "somebody")))


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"dimensions": passes.QuickAnswer(FOUND, 0.9, (FIX,))}),
        ("standard", {"dimensions": passes.DimensionsAnswer(FOUND, 0.9), "interventions": CHANGES}),
        (
            "forensic",
            {
                "dimensions": passes.DimensionsAnswer(FOUND, 0.9),
                "bottleneck": WAITS,
                "contacts": MET,
                "interventions": CHANGES,
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, QUEUE, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found, plain = PATTERN.conclude(case, answers), kit.offline(PATTERN, QUEUE, mode)
    rows = {one.dimension: one for one in found.dimensions}
    assert "w1 lost two turns" in rows["centralization"].explanation
    assert "made up" not in rows["hierarchy"].explanation
    # Formalization without a quotation stays as it was; the numbers of the roster are never the model's.
    assert [one.observed_score for one in found.dimensions] == [one.observed_score for one in plain.dimensions]
    assert found.interventions == (FIX,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["decision_bottleneck"]
    assert kit.misquotes(PATTERN, QUEUE, found) == []
    if mode == "forensic":
        assert found.decision_bottleneck_audit.explanation == "All asked boss"


def test_a_form_that_fits_is_asked_for_no_change() -> None:
    wanted = {one.name: one.wanted(kit.case_of(PATTERN, HEALTHY), {}) for one in PATTERN.passes["forensic"]}
    assert wanted == {"dimensions": True, "bottleneck": False, "contacts": True, "interventions": False}


@pytest.mark.parametrize(
    ("contacts", "share", "surer"),
    [
        ((), 1.0, 0.0),
        ((met("w1", "boss"),), 1.0, 0.05),
        ((met("boss", "w1"), met("w1", "w2")), 0.75, 0.05),
        ((met("w1", "w2"), met("w1", "w2"), met("w2", "w3")), 0.5, -0.1),
        ((met("w1", "w9"), met("w1", "w1"), met("w1", "w2", "words of nobody")), 1.0, 0.0),
    ],
)
def test_work_past_the_lines_is_less_by_rule(contacts: Any, share: float, surer: float) -> None:
    case = kit.case_of(PATTERN, QUEUE, "forensic")
    answers: dict[str, Any] = {"dimensions": passes.DimensionsAnswer((), 0.2)}
    before = PATTERN.conclude(case, answers)
    found = PATTERN.conclude(case, {**answers, "contacts": passes.ContactsAnswer(tuple(contacts))})
    rows = [{one.dimension: one for one in each.dimensions}["formalization"] for each in (before, found)]
    assert rows[1].observed_score == pytest.approx(rows[0].observed_score * share)
    assert found.confidence - before.confidence == pytest.approx(surer)
    assert any("past the lines" in item.claim for item in found.evidence) is (share < 1)
    assert ("contacts in the record" in found.reporting_graph_audit.explanation) is bool(surer)


def test_where_there_is_no_line_no_contact_is_listed() -> None:
    contacts = PATTERN.passes["forensic"][2]
    assert not contacts.wanted(kit.case_of(PATTERN, FLAT, "forensic"), {})


def test_from_trace_needs_the_form_and_keeps_the_steps() -> None:
    steps = (TraceStep("lead", "message", "Go."), TraceStep("db", "tool_call", "select 1"))
    with pytest.raises(TraceNotReadable, match="agents"):
        PATTERN.from_trace(CanonicalTrace("g", steps, "o", agents=("lead", AgentInfo("db", "database"))))
    told = CanonicalTrace("g", steps, "o", agents=("lead", AgentInfo("db", "database", ("lead",), "total")))
    trace = PATTERN.from_trace(told)
    assert [(one.agent, one.content) for one in PATTERN.read(trace).steps[:2]] == [(s.agent, s.content) for s in steps]
    assert trace.agents[1].decision_authority == "partial"
    held = {"agents": [{"agent_id": "x", "role_name": "y"}], "task_class": "code_review"}
    assert PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata=held)).agents == (StructureAgent("x", "y"),)
