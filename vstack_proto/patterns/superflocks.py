"""Superflocks: does routing lean on a star until nobody else could step in?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import observed, signs, talk
from vstack_proto.patterns import superflocks_texts as texts
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Detection,
    Evidence,
    Fault,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    asks,
    banded,
    paired_playbooks,
)
from vstack_proto.patterns.superflocks_numbers import (
    Passed,
    Profile,
    Quality,
    RoutingMetric,
    Window,
    abilities_of,
    failures_of,
    metrics_of,
    profile_of,
)
from vstack_proto.patterns.superflocks_texts import RoutingDecision, RoutingIntervention
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Muir, W. M.", "1996", "Group selection for adaptation to multiple-hen cages"),
    Source("Hackman, J. R.", "2002", "Leading Teams"),
    Source("Page, S. E.", "2007", "The Difference"),
    Source("Heffernan, M.", "2014", "A Bigger Prize"),
    Source("Heffernan, M.", "2015", "Forget the Pecking Order at Work"),
)


class RoutingTrace(msgspec.Struct, frozen=True):
    """A window of routing decisions."""

    window_description: str
    agents: tuple[str, ...]
    routing_decisions: tuple[RoutingDecision, ...]
    outcome: str
    trace_id: str | None = None
    capabilities: tuple[texts.AgentCapability, ...] = ()
    success: bool = False
    framework: str | None = None
    metadata: dict[str, Any] = {}


class SuperflocksDetection(Detection, frozen=True):
    """How much the routing leans on one agent."""

    top_agent_share: Share
    routing_gini: Share
    fragility_score: Share
    fragility_quality: Quality
    metrics: tuple[RoutingMetric, ...]
    interventions: tuple[RoutingIntervention, ...]
    trace_id: str | None = None
    top_agent: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    capability_audit: texts.CapabilityAudit | None = None
    failure_audit: texts.FailureAudit | None = None
    baseline: texts.RoutingBaseline | None = None
    attached_playbooks: tuple[texts.SuperflocksPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> RoutingTrace:
    """Decisions from ``metadata["routing_decisions"]``, else from the steps whose own metadata name ``routed_to``.

    The steps themselves are kept in the metadata of the trace read, so that step i stays step i; decisions follow
    them. ``metadata`` may hold ``capabilities`` and ``trace_id`` too. An unknown ``success`` counts as none.
    """
    held = signs.carried(canonical.metadata, RoutingTrace, "routing_decisions", "capabilities", "trace_id")
    decisions = held.pop("routing_decisions", ()) or tuple(_routed(canonical))
    candidates = (name for one in decisions for name in one.candidates)
    agents = tuple(dict.fromkeys([*canonical.listed, *candidates, *(one.routed_to for one in decisions)]))
    if len(decisions) < 2 or len(agents) < 2:
        raise TraceNotReadable(
            f"superflocks reads 2 or more routing decisions among 2 or more agents, got {len(decisions)} among "
            f"{len(agents)}: put `routing_decisions` ({{task_id, routed_to, ...}}) into `metadata`, or `routed_to` "
            "into the metadata of each step that routes a task"
        )
    return RoutingTrace(
        canonical.goal, agents, decisions, canonical.outcome, success=canonical.success is True,
        framework=canonical.framework, metadata=observed.with_steps(canonical), **held,
    )  # fmt: skip


def _routed(canonical: CanonicalTrace) -> Iterator[RoutingDecision]:
    for number, step in enumerate(canonical.steps):
        told = {"task_id": str(number), "timestamp": step.timestamp, **step.metadata}
        # A step that tells of no routing is none.
        with contextlib.suppress(msgspec.ValidationError):
            yield msgspec.convert(told, RoutingDecision)


def read(trace: RoutingTrace) -> Reading:
    """The numbers as facts; what else was observed, then a line for each decision, then one for each ability."""
    told = Window(trace)
    facts = [("window", trace.window_description), ("agents", ", ".join(told.agents)), ("outcome", trace.outcome)]
    facts.append(("success", "yes" if trace.success else "no"))
    facts.append(("top agent", f"{told.top}, {told.counts[told.top]} of {told.counts.total()} decisions"))
    facts += [(name.replace("_", " "), f"{value:g}") for name, value in told.values().items()]
    steps = [Step(one.routed_to, "routing", one.line()) for one in trace.routing_decisions]
    steps += [Step(one.agent_name, "capability", one.line()) for one in trace.capabilities]
    return Reading(tuple(facts), (*observed.kept_steps(trace.metadata), *steps))


def preconditions(trace: RoutingTrace) -> Iterable[Fault]:
    """Something to choose from, and more than one choice."""
    for name, number in (("agents", len(set(trace.agents))), ("routing_decisions", len(trace.routing_decisions))):
        if number < 2:
            yield Fault(f"/{name}", f"must hold 2 or more, got {number}")


def signals(trace: RoutingTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: how much goes to the top, what fails there, who was passed over, what only one can do."""
    told, start = Window(trace), len(observed.kept_steps(trace.metadata))
    found = list(_of_numbers(told, start))
    if told.quality != "robust":
        # A router gives the same reason again and again; three of them prove the habit.
        found += signs.find(reading, texts.RULES)[:3]
    return signs.strongest(found)


def _of_numbers(told: Window, start: int) -> Iterator[Signal]:
    decisions, shown = told.decisions, signs.MAX_OF_A_RULE
    at_top = [n for n, one in enumerate(decisions) if one.routed_to == told.top]
    if told.quality != "robust":
        name = "top_agent_monopoly" if told.quality == "superflocks" else "concentrated_routing"
        even = len(decisions) / len(told.agents)
        claim = f"{told.top} gets {len(at_top)} of {len(decisions)} tasks; an even share would be {even:.1f}."
        steps = tuple(start + n for n in at_top[:shown])
        yield Signal(name, claim, steps, f"routed to {told.top}", round(min(0.9, told.fragility), 2))
    failed = [n for n in told.failed if decisions[n].routed_to == told.top]
    if len(failed) > 1 and len(failed) / len(told.failed) >= max(0.5, told.share):
        claim = f"{len(failed)} of {len(told.failed)} failures sit with {told.top}."
        quote = f"routed to {told.top}; outcome failure"
        yield Signal("failure_clustering", claim, tuple(start + n for n in failed[:shown]), quote, 0.5)
    for agent, name in told.wasted[:shown]:
        better = f"{told.able[agent][name]:g} against {told.able.get(told.top, {}).get(name, 0.0):g}"
        claim = f"{agent} is better at {name} than {told.top} ({better}) and gets none of it."
        steps = tuple(start + n for n in told.places[name][:shown])
        yield Signal("complementarity_collapse", claim, steps, f"class {name}", 0.5)
    alone = [name for name in told.places if name != "default" and told.doers[name] < 2]
    for name in alone[:shown] if told.able else ():
        claim, steps = f"Fewer than two agents can do {name}.", tuple(start + n for n in told.places[name][:shown])
        yield Signal("no_fallback", claim, steps, f"class {name}", 0.4)


def is_fragile(case: Case[RoutingTrace], answers: Answers) -> bool:
    """Robust routing needs no model: the numbers say all, and there is nothing to change."""
    return Window(case.trace).quality != "robust"


def has_rivals(case: Case[RoutingTrace], answers: Answers) -> bool:
    """Somebody is known whom a decision could have passed over."""
    known = case.trace.capabilities or any(len(one.candidates) > 1 for one in case.trace.routing_decisions)
    return is_fragile(case, answers) and bool(known)


FAILED = ("failure", "partial")


def has_failed(case: Case[RoutingTrace], answers: Answers) -> bool:
    """There are failures to follow."""
    return is_fragile(case, answers) and any(one.outcome in FAILED for one in case.trace.routing_decisions)


def ask_changes(case: Case[RoutingTrace], answers: Answers) -> str:
    """What to change, with what the signals say."""
    modes = ", ".join(signs.by_label(case.signals)) or "no single cause found"
    return texts.ASK_FOUND.format(quality=Window(case.trace).quality, told=modes) + texts.ASK_CHANGES


READ = Pass("routing", texts.RoutingAnswer, asks(texts.TASK), is_fragile)
PASSED = Pass("capability", texts.CapabilityAnswer, asks(texts.ASK_CAPABILITY), has_rivals)
AFTER = Pass("failure", texts.FailureAnswer, asks(texts.ASK_FAILURE), has_failed)
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, is_fragile)


def passed_over(case: Case[RoutingTrace], answers: Answers) -> tuple[Passed, ...]:
    """The decisions that sent a task past a better agent, in words that stand: agent, class of the task, proof."""
    decisions, start = case.trace.routing_decisions, len(observed.kept_steps(case.trace.metadata))
    found: dict[tuple[int, str], Passed] = {}
    for one in answers["capability"].passed_over if "capability" in answers else ():
        proof, number = case.proof(one.claim, one.quote, one.step), one.step - start
        if proof is None or not 0 <= number < len(decisions):
            continue
        routed = decisions[number]
        if one.agent in case.trace.agents and one.agent != routed.routed_to:
            found.setdefault((number, one.agent), (one.agent, routed.task_class or "default", proof))
    return tuple(found.values())


def retried(case: Case[RoutingTrace], answers: Answers) -> tuple[bool, tuple[Evidence, ...]]:
    """Whether a failed task, or its kind, was given to another agent, and the decisions that gave one out again."""
    decisions, start = case.trace.routing_decisions, len(observed.kept_steps(case.trace.metadata))
    found: dict[tuple[int, int], Evidence] = {}
    for one in answers["failure"].retries if "failure" in answers else ():
        proof, first, then = case.proof(one.claim, one.quote, one.retried), one.failed - start, one.retried - start
        if proof and 0 <= first < then < len(decisions) and decisions[first].outcome in FAILED:
            found.setdefault((first, then), proof)
    elsewhere = any(decisions[first].routed_to != decisions[then].routed_to for first, then in found)
    return elsewhere, tuple(found.values())


def assess_offline(case: Case[RoutingTrace]) -> SuperflocksDetection:
    """Every number is computed; a model adds words and changes."""
    return conclude(case, {})


def conclude(case: Case[RoutingTrace], answers: Answers) -> SuperflocksDetection:
    """The numbers of the window, with the words and the grounded evidence of answers if there are any."""
    trace, told, forensic = case.trace, Window(case.trace), case.mode == "forensic"
    routing: texts.RoutingAnswer | None = answers.get("routing")
    passed, (elsewhere, again) = passed_over(case, answers), retried(case, answers)
    profile = profile_of(told, forensic, elsewhere)
    interventions = talk.proposed(answers, "routing", texts.COMPOSITION, profile) or remedies(case, told)
    pairs = [(told.quality, one.intervention_type) for one in interventions]
    added = [*(case.ground(routing.evidence) if routing else ()), *(proof for _, _, proof in passed), *again]
    payload = {"top_agent": told.top, "fragility_score": told.fragility}
    # The numbers are exact; what is unsure is whether a short window stands for the router.
    sure = 0.4 + min(0.4, len(trace.routing_decisions) / 50) + (0.1 if added else 0.0)
    notes = [answers[name].notes if name in answers else "" for name in ("capability", "failure")]
    return SuperflocksDetection(
        told.share, told.gini, told.fragility, told.quality, metrics_of(told, routing), interventions, trace.trace_id,
        told.top, trace.success, banded(told.fragility, signs.BANDS), profile,
        abilities_of(told, notes[0], passed) if forensic else None,
        failures_of(told, notes[1], elsewhere) if forensic else None,
        attached_playbooks=paired_playbooks(texts.PLAYBOOKS, texts.ATTACH, pairs),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=signs.each_once([*case.evidence_of_signals(), *added]),
        confidence=round(min(0.9, sure), 2),
    )  # fmt: skip


def remedies(case: Case[RoutingTrace], told: Window) -> tuple[RoutingIntervention, ...]:
    """What the failure modes seen call for, the strongest first."""
    if told.quality == "robust":
        return ()
    kinds: dict[str, Any] = {mode: kind for (_, kind), mode in reversed(texts.ATTACH.items())}
    books = {one.failure_mode: one for one in texts.PLAYBOOKS}
    seen, chosen = signs.by_label(case.signals), []
    weights = signs.weigh(case.signals, seen)
    for mode in sorted((one for one in seen if one in kinds), key=lambda one: -weights[one]):
        book, first = books[mode], seen[mode][0]
        chosen.append(
            RoutingIntervention(
                kinds[mode],
                description=f"{book.title}.",
                suggested_implementation=" ".join(book.steps),
                estimated_impact=signs.impact(weights[mode]),
                rationale=first.claim,
                effort_estimate=book.expected_effort,
                risk="low",
            )
        )
    return tuple(chosen[:5])


PATTERN = Pattern(
    name="superflocks", number=16, friendly="Superflocks Detector", group="Module 2 / Team",
    summary="Finds where routing leans on one star agent until nobody else could step in.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=RoutingTrace, detection=SuperflocksDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("routing", texts.QuickAnswer, asks(texts.ASK_ALL), is_fragile),),
        "standard": (READ, CHANGES),
        "forensic": (READ, PASSED, AFTER, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("outcome", "window_description"), preconditions=preconditions,
)  # fmt: skip
