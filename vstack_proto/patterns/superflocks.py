"""Superflocks: does routing lean on a star until nobody else could step in?"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import signs
from vstack_proto.patterns import superflocks_texts as texts
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Detection,
    Fault,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    attach_playbooks,
    banded,
)
from vstack_proto.patterns.superflocks_texts import Metric, RoutingDecision, RoutingIntervention
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Muir, W. M.", "1996", "Group selection for adaptation to multiple-hen cages"),
    Source("Hackman, J. R.", "2002", "Leading Teams"),
    Source("Page, S. E.", "2007", "The Difference"),
    Source("Heffernan, M.", "2014", "A Bigger Prize"),
    Source("Heffernan, M.", "2015", "Forget the Pecking Order at Work"),
)

Quality = Literal["robust", "concentrated", "superflocks"]
Profile = Literal[
    "robust_diversified", "concentrated_routing", "superflocks_canonical", "top_agent_monopoly",
    "no_fallback_coverage", "complementarity_collapse", "failure_clustering_risk", "indeterminate",
]  # fmt: skip


# From here on an agent can do a class of task.
ABLE = 0.5


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


class RoutingMetric(msgspec.Struct, frozen=True):
    """One number of the window, and how bad it is."""

    name: Metric
    value: Share
    explanation: str
    severity: signs.Gravity


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
    listed = [one if isinstance(one, str) else one.agent_id for one in canonical.agents]
    agents = tuple(dict.fromkeys([*listed, *candidates, *(one.routed_to for one in decisions)]))
    if len(decisions) < 2 or len(agents) < 2:
        raise TraceNotReadable(
            f"superflocks reads 2 or more routing decisions among 2 or more agents, got {len(decisions)} among "
            f"{len(agents)}: put `routing_decisions` ({{task_id, routed_to, ...}}) into `metadata`, or `routed_to` "
            "into the metadata of each step that routes a task"
        )
    return RoutingTrace(
        canonical.goal, agents, decisions, canonical.outcome, success=canonical.success is True,
        framework=canonical.framework, metadata=signs.seen_too(canonical), **held,
    )  # fmt: skip


def _routed(canonical: CanonicalTrace) -> Iterator[RoutingDecision]:
    for number, step in enumerate(canonical.steps):
        told = {"task_id": str(number), "timestamp": step.timestamp, **step.metadata}
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
    return Reading(tuple(facts), (*signs.observed(trace.metadata), *steps))


def preconditions(trace: RoutingTrace) -> Iterable[Fault]:
    """Something to choose from, and more than one choice."""
    for name, number in (("agents", len(set(trace.agents))), ("routing_decisions", len(trace.routing_decisions))):
        if number < 2:
            yield Fault(f"/{name}", f"must hold 2 or more, got {number}")


class Window:
    """The numbers of a window, each computed once.

    Attributes:
        agents: The listed agents, each once.
        counts: Decisions by agent, whether listed or not.
        top, share, gini, fragility: As the contract defines them.
        failed: The positions of failed decisions.
        places: The positions of each class seen; a task without one has the class ``default``.
        able: Agent -> class -> capability; doers: how many can do a class, ``default`` being anything at all.
        wasted: Agent and class: able, better than the top agent in a class seen, and without one task of it.
    """

    def __init__(self, trace: RoutingTrace) -> None:
        self.trace = trace
        self.agents = tuple(dict.fromkeys(trace.agents))
        self.counts = Counter(one.routed_to for one in trace.routing_decisions)
        # most_common keeps the order of first appearance among equals.
        self.top = self.counts.most_common(1)[0][0]
        self.share = round(self.counts[self.top] / self.counts.total(), 2)
        counts, n = sorted(self.counts[agent] for agent in self.agents), len(self.agents)
        spread = sum((2 * i - n - 1) * count for i, count in enumerate(counts, 1)) / (n * max(1, sum(counts)))
        self.gini = round(min(1.0, max(0.0, spread)), 4)
        self.fragility = round((self.gini + self.share) / 2, 4)
        self.failed = [n for n, one in enumerate(trace.routing_decisions) if one.outcome == "failure"]
        self.places: dict[str, list[int]] = {}
        for number, one in enumerate(trace.routing_decisions):
            self.places.setdefault(one.task_class or "default", []).append(number)
        self.able: dict[str, dict[str, float]] = {}
        for told in trace.capabilities:
            self.able.setdefault(told.agent_name, {}).update(told.capability_scores)
        strong = [(agent, name) for agent, held in self.able.items() for name in held if held[name] >= ABLE]
        self.doers = Counter(name for _, name in strong if name != "default")
        self.doers["default"] = len({agent for agent, _ in strong})
        given, best = {(one.routed_to, one.task_class) for one in trace.routing_decisions}, self.able.get(self.top, {})
        idle = [(agent, name) for agent, name in strong if name in self.places and (agent, name) not in given]
        self.wasted = [(agent, name) for agent, name in idle if self.able[agent][name] > best.get(name, 0.0)]

    @property
    def quality(self) -> Quality:
        """The contract's word for the fragility."""
        return "robust" if self.fragility < 0.3 else "concentrated" if self.fragility < 0.6 else "superflocks"

    def values(self) -> dict[Metric, float]:
        """The five metrics."""
        at_top = sum(self.trace.routing_decisions[n].routed_to == self.top for n in self.failed)
        clustered = at_top / len(self.failed) if self.failed else 0.0
        return {
            "top_agent_share": self.share,
            "routing_gini": self.gini,
            "complementarity_utilization": round(1 - self.share, 4),
            "fallback_coverage": self.coverage(),
            "failure_clustering": clustered,
        }

    def coverage(self) -> float:
        """The share of the classes seen that two agents can do; without capabilities any two will do."""
        if not self.able:
            return float(len(self.agents) > 1)
        return sum(self.doers[name] > 1 for name in self.places) / len(self.places)

    def above_even(self) -> float:
        """How far the top share is above an even one, from 0 to 1; with two agents a half is even."""
        even = 1 / max(2, len(self.agents))
        return max(0.0, (self.share - even) / (1 - even))


def profile_of(told: Window, forensic: bool) -> Profile:
    """The contract's rules; the first that holds."""
    if told.fragility < 0.4:
        return "robust_diversified"
    if told.share > 0.85:
        return "top_agent_monopoly"
    if forensic and told.wasted:
        return "complementarity_collapse"
    if forensic and failures_of(told, "").cascade_risk == "high":
        return "failure_clustering_risk"
    if told.gini > 0.7:
        return "superflocks_canonical"
    return "concentrated_routing" if told.gini > 0.4 else "indeterminate"


def signals(trace: RoutingTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: how much goes to the top, what fails there, who was passed over, what only one can do."""
    told, start = Window(trace), len(signs.observed(trace.metadata))
    found = list(_of_numbers(told, start))
    if told.quality != "robust":
        # A router gives the same reason again and again; three of them prove the habit.
        found += signs.find(reading, texts.RULES)[:3]
    return signs.strongest(found)


def _of_numbers(told: Window, start: int) -> Iterator[Signal]:
    decisions, shown = told.trace.routing_decisions, signs.MAX_OF_A_RULE
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


def is_auditable(case: Case[RoutingTrace], answers: Answers) -> bool:
    """There are abilities or failures to look at."""
    told = Window(case.trace)
    return told.quality != "robust" and bool(told.able or told.failed)


def ask_changes(case: Case[RoutingTrace], answers: Answers) -> str:
    """What to change, with what the signals say."""
    modes = ", ".join(signs.by_label(case.signals)) or "no single cause found"
    return texts.ASK_FOUND.format(quality=Window(case.trace).quality, told=modes) + texts.ASK_CHANGES


WHOLE = Pass("routing", texts.QuickAnswer, lambda case, answers: texts.ASK_ALL, is_fragile)
READ = Pass("routing", texts.RoutingAnswer, lambda case, answers: texts.TASK, is_fragile)
AUDIT = Pass("audit", texts.AuditAnswer, lambda case, answers: texts.ASK_AUDIT, is_auditable)
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, is_fragile)


def assess_offline(case: Case[RoutingTrace]) -> SuperflocksDetection:
    """Every number is computed; a model adds words and changes."""
    return conclude(case, {})


def conclude(case: Case[RoutingTrace], answers: Answers) -> SuperflocksDetection:
    """The numbers of the window, with the words and the grounded evidence of answers if there are any."""
    trace, told, forensic = case.trace, Window(case.trace), case.mode == "forensic"
    routing: texts.RoutingAnswer | None = answers.get("routing")
    audit: texts.AuditAnswer | None = answers.get("audit")
    proposed = getattr(answers.get("interventions", routing), "interventions", ())
    profile = profile_of(told, forensic)
    composed = next(iter(texts.COMPOSITION.downstream["profile_pattern"][profile]), None)
    interventions = signs.adopted(proposed, texts.COMPOSITION, composed) or remedies(case, told)
    pairs = [(told.quality, one.intervention_type) for one in interventions]
    added = case.ground(proof for answer in (routing, audit) if answer for proof in answer.evidence)
    payload = {"top_agent": told.top, "fragility_score": told.fragility}
    # The numbers are exact; what is unsure is whether a short window stands for the router.
    sure = 0.4 + min(0.4, len(trace.routing_decisions) / 50) + (0.1 if added else 0.0)
    return SuperflocksDetection(
        told.share, told.gini, told.fragility, told.quality, metrics_of(told, routing), interventions, trace.trace_id,
        told.top, trace.success, banded(told.fragility, signs.BANDS), profile,
        abilities_of(told, audit.capability if audit else "") if forensic else None,
        failures_of(told, audit.failure if audit else "") if forensic else None,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, pairs),
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
        what = (kinds[mode], f"{book.title}.", " ".join(book.steps), signs.impact(weights[mode]), first.claim)
        chosen.append(RoutingIntervention(*what, book.expected_effort, "low"))
    return tuple(chosen[:5])


def metrics_of(told: Window, answer: texts.RoutingAnswer | None) -> tuple[RoutingMetric, ...]:
    """The five metrics, each with what makes it so."""
    values, decisions = told.values(), told.counts.total()
    covered, clustered = values["fallback_coverage"], values["failure_clustering"]
    spread = ", ".join(f"{agent} {told.counts[agent]}" for agent in told.agents[:8])
    known = "of the classes seen can be done by two agents" if told.able else "(no capabilities are given)"
    said: dict[Metric, tuple[str, float]] = {
        "top_agent_share": (f"{told.top} gets {told.counts[told.top]} of {decisions} tasks.", told.above_even()),
        "routing_gini": (f"Tasks by agent: {spread}.", told.gini),
        "complementarity_utilization": ("The share of tasks that others get.", told.above_even()),
        "fallback_coverage": (f"{covered:.0%} {known}.", 1 - covered),
        "failure_clustering": (f"{len(told.failed)} failures, {clustered:.0%} of them with {told.top}.",
            clustered if len(told.failed) > 1 else 0.0),
    }  # fmt: skip
    notes = {one.name: one.explanation.strip() for one in answer.explanations} if answer else {}
    return tuple(
        RoutingMetric(name, values[name], f"{text} {notes.get(name, '')}".strip(), signs.gravity(weight))
        for name, (text, weight) in said.items()
    )


def abilities_of(told: Window, notes: str) -> texts.CapabilityAudit:
    """What idles; the most underused agent is the able one with the fewest tasks, if below an even share."""
    able = [agent for agent in told.agents if max(told.able.get(agent, {}).values(), default=0.0) >= ABLE]
    least = min(able, key=lambda agent: told.counts[agent], default=None)
    if least is not None and told.counts[least] * len(told.agents) >= told.counts.total():
        least = None
    unused = tuple(dict.fromkeys(name for _, name in told.wasted))
    said = ", ".join(f"{agent} in {name}" for agent, name in told.wasted[:8]) or "none"
    said = f"{notes.strip()} Better than the top agent and idle: {said}.".strip()
    return texts.CapabilityAudit(len(told.wasted), least, unused, said)


def failures_of(told: Window, notes: str) -> texts.FailureAudit:
    """Cascade risk is high where the top agent has most of several failures and nobody else was tried."""
    failed_at, fallback = dict[str, set[str]](), False
    for one in told.trace.routing_decisions:
        fallback |= bool(failed_at.get(one.task_id, set()) - {one.routed_to})
        if one.outcome == "failure":
            failed_at.setdefault(one.task_id, set()).add(one.routed_to)
    share = round(told.values()["failure_clustering"], 4)
    risk: Literal["low", "moderate", "high"] = "low"
    if share >= 0.5 and len(told.failed) > 1:
        risk = "moderate" if fallback else "high"
    elif share > 0 and not fallback:
        risk = "moderate"
    then = "a failed task went to another agent" if fallback else "no failed task went to another agent"
    return texts.FailureAudit(share, fallback, risk, f"{notes.strip()} {len(told.failed)} failures; {then}.".strip())


PATTERN = Pattern(
    name="superflocks", number=16, friendly="Superflocks Detector", group="Module 2 / Team",
    summary="Finds where routing leans on one star agent until nobody else could step in.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=RoutingTrace, detection=SuperflocksDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={"quick": (WHOLE,), "standard": (WHOLE,), "forensic": (READ, AUDIT, CHANGES)},
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("outcome", "window_description"), preconditions=preconditions,
)  # fmt: skip
