"""Superflocks: the contract's numbers, what windows of routing show, and what a model's answer adds."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.superflocks import PATTERN, RoutingTrace
from vstack_proto.patterns.superflocks_numbers import Window
from vstack_proto.patterns.superflocks_texts import (
    AgentCapability,
    CapabilityAnswer,
    FailureAnswer,
    MetricNote,
    PassedOver,
    QuickAnswer,
    RemedyAnswer,
    Retry,
    RoutingAnswer,
    RoutingDecision,
    RoutingIntervention,
)
from vstack_proto.trace import CanonicalTrace, TraceStep


def window(routes: str, abilities: tuple[AgentCapability, ...] = (), reason: str = "") -> RoutingTrace:
    """Decisions as ``agent:class:outcome`` (the last two may be left out), among agents a, b and c."""
    decisions = []
    for number, route in enumerate(routes.split()):
        agent, name, outcome = (*route.split(":"), "", "")[:3]
        known: Any = {"f": "failure", "s": "success", "": "unknown"}[outcome]
        decisions.append(RoutingDecision(f"t{number}", agent, name, ("a", "b", "c"), reason, known))
    return RoutingTrace("A day of tickets", ("a", "b", "c"), tuple(decisions), "ended", capabilities=abilities)


SKILLS = (
    AgentCapability("a", {"sql": 0.9, "docs": 0.6, "infra": 0.7}),
    AgentCapability("b", {"docs": 0.9, "sql": 0.5}),
    AgentCapability("c", {"infra": 0.8}),
)
EVEN = window("a:sql:s b:docs:s c:infra:s a:sql:f b:sql:s c:infra:s", SKILLS, "best fit for the class")
STAR = window("a a a a a a a a a b", reason="highest average score")
IDLE = window("a:sql a:docs a:sql a:docs a:sql b:sql c:infra a:docs", SKILLS)
CLUSTER = window("a:x:f a:x:s a:x:f b:x:s a:x:f a:x:s b:x:s a:x:f")
LEANING = window("a a a a b b")


@pytest.mark.parametrize(
    ("trace", "quality", "profile", "modes", "books"),
    [
        (EVEN, "robust", "robust_diversified", set(), set()),
        (STAR, "superflocks", "top_agent_monopoly", {"top_agent_monopoly", "rank_reason"}, {"top_agent_monopoly"}),
        (
            IDLE,
            "concentrated",
            "complementarity_collapse",
            {"concentrated_routing", "complementarity_collapse"},
            {"concentrated_routing"},
        ),
        (
            CLUSTER,
            "superflocks",
            "failure_clustering_risk",
            {"top_agent_monopoly", "failure_clustering"},
            {"top_agent_monopoly", "failure_clustering"},
        ),
        (LEANING, "concentrated", "concentrated_routing", {"concentrated_routing"}, {"concentrated_routing"}),
    ],
)
def test_offline_profiles(trace: RoutingTrace, quality: str, profile: str, modes: set[str], books: set[str]) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.fragility_quality, found.profile_pattern) == (quality, profile)
    assert {one.name for one in kit.case_of(PATTERN, trace).signals} == modes
    # The contract has no playbook for some causes of a concentrated window; they are met all the same.
    assert len(found.interventions) == len(modes - {"rank_reason"})
    assert {book.failure_mode for book in found.attached_playbooks} == books
    assert bool(found.evidence) == bool(modes)
    assert kit.misquotes(PATTERN, trace, found) == []


@pytest.mark.parametrize("which", ["minimal", "rich"])
def test_golden_numbers(which: str) -> None:
    wanted = kit.golden("superflocks")[which]
    found = kit.offline(PATTERN, kit.trace_of(PATTERN, kit.body("superflocks", which)))
    assert [{"name": one.name, "value": one.value} for one in found.metrics] == wanted["metrics"]
    assert {name: getattr(found, name) for name in wanted if name != "metrics"} == {
        name: value for name, value in wanted.items() if name != "metrics"
    }


def test_forensic_audits() -> None:
    idle, cluster = (kit.offline(PATTERN, trace, "forensic") for trace in (IDLE, CLUSTER))
    assert (idle.capability_audit.wasted_capability_count, idle.capability_audit.most_underutilized_agent) == (1, "b")
    assert idle.capability_audit.capability_dimensions_underused == ("docs",)
    assert (cluster.failure_audit.top_agent_failure_share, cluster.failure_audit.cascade_risk) == (1.0, "high")
    again = RoutingTrace(
        "w",
        ("a", "b"),
        (RoutingDecision("1", "a", outcome="failure"), RoutingDecision("1", "b", outcome="success")),
        "o",
    )
    audit = kit.offline(PATTERN, again, "forensic").failure_audit
    assert (audit.fallback_used_on_failure, audit.cascade_risk) == (True, "low")
    assert kit.offline(PATTERN, IDLE).capability_audit is None


@pytest.mark.parametrize(
    ("routes", "skills", "coverage"),
    [
        ("a b", (), 1.0),
        ("a:sql b:docs a:infra b:law", SKILLS, 0.75),
        ("a b", SKILLS, 1.0),
        ("a b", SKILLS[:1], 0.0),
        ("a:sql b", (AgentCapability("a", {"sql": 0.49}), SKILLS[1], SKILLS[2]), 0.5),
    ],
)
def test_fallback_coverage(routes: str, skills: tuple[AgentCapability, ...], coverage: float) -> None:
    assert Window(window(routes, skills)).coverage() == coverage


def test_a_class_that_one_agent_can_do_has_no_fallback() -> None:
    found = kit.case_of(PATTERN, window("a:sql a:sql a:law a:sql a:law", SKILLS)).signals
    assert [(one.steps, one.quote) for one in found if one.name == "no_fallback"] == [((2, 4), "class law")]


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=40), st.permutations(range(40)))
def test_numbers_do_not_depend_on_the_order(routed: list[str], order: list[int]) -> None:
    def told(names: list[str]) -> Window:
        decisions = tuple(RoutingDecision(str(n), name) for n, name in enumerate(names))
        return Window(RoutingTrace("w", ("a", "b", "c"), decisions, "o"))

    one, other = told(routed), told([routed[n] for n in order if n < len(routed)])
    assert (one.share, one.gini, one.fragility) == (other.share, other.gini, other.fragility)
    assert one.values() == other.values()
    assert 0 <= one.gini <= round(1 - 1 / 3, 4)
    assert 0 <= one.above_even() <= 1


CHANGE = RoutingIntervention(
    "add_capability_complement_check",
    description="Check",
    suggested_implementation="by class",
    composition_target_pattern="x",
)
NOTES = (MetricNote("top_agent_share", "Every reason names the average."),)
PROOFS = (
    Evidence("rank", (0, 1), "highest average"),
    Evidence("made up", (0,), "words that are not there"),
)


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"routing": QuickAnswer(NOTES, PROOFS, (CHANGE,))}),
        ("standard", {"routing": RoutingAnswer(NOTES, PROOFS), "interventions": RemedyAnswer((CHANGE,))}),
        (
            "forensic",
            {
                "routing": RoutingAnswer(NOTES, PROOFS[:1]),
                "capability": CapabilityAnswer((PassedOver(0, "b", "made up", "not there"),), "Nobody else is asked."),
                "interventions": RemedyAnswer((CHANGE,)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, STAR, mode)
    asked = [one for one in PATTERN.passes[mode] if one.wanted(case, answers)]
    # Nothing failed here, so there is nothing to follow.
    assert len(asked) == {"quick": 1, "standard": 2, "forensic": 3}[mode]
    assert all(one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    assert found.metrics[0].explanation.endswith("Every reason names the average.")
    assert [(one.intervention_type, one.composition_target_pattern) for one in found.interventions] == [
        ("add_capability_complement_check", None)
    ]
    assert [book.failure_mode for book in found.attached_playbooks] == ["complementarity_collapse"]
    assert "highest average" in [item.quote for item in found.evidence]
    assert kit.misquotes(PATTERN, STAR, found) == []
    assert case.grounding.dropped == 1
    if mode == "forensic":
        assert found.capability_audit is not None
        assert found.capability_audit.notes.startswith("Nobody else is asked.")


def test_who_was_passed_over() -> None:
    told = (
        PassedOver(0, "c", "knows the class", "highest average"),
        PassedOver(0, "c", "said twice", "highest average"),
        PassedOver(9, "b", "it went to b itself", "highest average"),
        PassedOver(1, "nobody", "no such agent", "highest average"),
        PassedOver(99, "c", "no such step", "highest average"),
    )
    case = kit.case_of(PATTERN, STAR, "forensic")
    found = PATTERN.conclude(case, {"capability": CapabilityAnswer(told, "Class by class, c idles.")})
    audit = found.capability_audit
    assert audit is not None
    # No abilities are given: what was passed over stands in for them; what is computed stays 0.
    assert (audit.most_underutilized_agent, audit.capability_dimensions_underused) == ("c", ("default",))
    assert (audit.wasted_capability_count, audit.notes[:15]) == (0, "Class by class,")
    assert [one.claim for one in found.evidence].count("knows the class") == 1
    given = kit.case_of(PATTERN, IDLE, "forensic")
    over = CapabilityAnswer((PassedOver(1, "c", "c is better", "class docs"),), "")
    computed = PATTERN.conclude(given, {"capability": over}).capability_audit
    assert computed is not None
    assert computed.most_underutilized_agent == "b"


def test_a_failed_task_that_went_elsewhere_is_no_cascade() -> None:
    told = (
        Retry(0, 3, "the class went to b", "routed to b"),
        Retry(1, 3, "step 1 did not fail", "routed to b"),
        Retry(3, 0, "backwards", "routed to a"),
    )
    case = kit.case_of(PATTERN, CLUSTER, "forensic")
    alone = PATTERN.conclude(case, {})
    found = PATTERN.conclude(case, {"failure": FailureAnswer(told, "All of class x.")})
    assert alone.failure_audit is not None
    assert found.failure_audit is not None
    assert (alone.failure_audit.cascade_risk, found.failure_audit.cascade_risk) == ("high", "moderate")
    assert found.failure_audit.fallback_used_on_failure
    assert found.failure_audit.notes.startswith("All of class x.")
    assert (alone.profile_pattern, found.profile_pattern) == ("failure_clustering_risk", "concentrated_routing")
    back = PATTERN.conclude(case, {"failure": FailureAnswer((Retry(0, 2, "back to a", "routed to a"),), "")})
    assert back.failure_audit is not None
    assert (back.failure_audit.fallback_used_on_failure, back.failure_audit.cascade_risk) == (False, "high")
    assert kit.misquotes(PATTERN, CLUSTER, found) == []


@pytest.mark.parametrize("mode", ["quick", "standard", "forensic"])
def test_robust_routing_asks_no_model(mode: Any) -> None:
    case = kit.case_of(PATTERN, EVEN, mode)
    assert not any(one.wanted(case, {}) for one in PATTERN.passes[mode])


def test_from_trace_reads_steps_that_route() -> None:
    steps = (
        TraceStep("router", "decision", "t1 goes to a", metadata={"routed_to": "a", "task_class": "sql"}),
        TraceStep("a", "message", "done"),
        TraceStep("router", "decision", "t2 goes to a", metadata={"routed_to": "a", "outcome": "failure"}),
        TraceStep("router", "decision", "odd", metadata={"routed_to": 7}),
    )
    trace = PATTERN.from_trace(CanonicalTrace("window", steps, "o", agents=("a", "b")))
    assert [(one.task_id, one.task_class, one.outcome) for one in trace.routing_decisions] == [
        ("0", "sql", "unknown"),
        ("2", "", "failure"),
    ]
    read = PATTERN.read(trace).steps
    assert [(one.agent, one.kind, one.content) for one in read[:4]] == [(s.agent, s.type, s.content) for s in steps]
    assert [one.kind for one in read[4:]] == ["routing", "routing"]
    assert kit.misquotes(PATTERN, trace, kit.offline(PATTERN, trace)) == []
    with pytest.raises(TraceNotReadable, match="routing_decisions"):
        PATTERN.from_trace(CanonicalTrace("window", steps[:2], "o", agents=("a", "b")))


def test_from_trace_reads_decisions_in_the_metadata() -> None:
    given = [{"task_id": "1", "routed_to": "a"}, {"task_id": "2", "routed_to": "b"}]
    steps = (TraceStep("router", "message", "hello"),)
    trace = PATTERN.from_trace(CanonicalTrace("w", steps, "o", metadata={"routing_decisions": given, "trace_id": "r"}))
    assert (trace.agents, trace.trace_id, len(trace.routing_decisions)) == (("a", "b"), "r", 2)
