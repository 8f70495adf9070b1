"""What superflocks computes: the numbers of a window of routing, its labels, and what idles or fails in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from vstack_proto.patterns import signs
from vstack_proto.patterns import superflocks_texts as texts
from vstack_proto.patterns.common import Evidence, Share
from vstack_proto.patterns.superflocks_texts import Metric

Quality = Literal["robust", "concentrated", "superflocks"]
Profile = Literal[
    "robust_diversified", "concentrated_routing", "superflocks_canonical", "top_agent_monopoly",
    "no_fallback_coverage", "complementarity_collapse", "failure_clustering_risk", "indeterminate",
]  # fmt: skip


# From here on an agent can do a class of task.
ABLE = 0.5


class RoutingMetric(msgspec.Struct, frozen=True):
    """One number of the window, and how bad it is."""

    name: Metric
    value: Share
    explanation: str
    severity: signs.Gravity


Passed = tuple[str, str, Evidence]
"""An agent that a decision passed over, the class of the task, and the proof."""


class Routed(Protocol):
    """What of a window the numbers need."""

    @property
    def agents(self) -> tuple[str, ...]: ...
    @property
    def routing_decisions(self) -> tuple[texts.RoutingDecision, ...]: ...
    @property
    def capabilities(self) -> tuple[texts.AgentCapability, ...]: ...


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

    def __init__(self, trace: Routed) -> None:
        self.decisions = trace.routing_decisions
        self.agents = tuple(dict.fromkeys(trace.agents))
        self.counts = Counter(one.routed_to for one in self.decisions)
        # most_common keeps the order of first appearance among equals.
        self.top = self.counts.most_common(1)[0][0]
        self.share = round(self.counts[self.top] / self.counts.total(), 2)
        counts, n = sorted(self.counts[agent] for agent in self.agents), len(self.agents)
        spread = sum((2 * i - n - 1) * count for i, count in enumerate(counts, 1)) / (n * max(1, sum(counts)))
        self.gini = round(min(1.0, max(0.0, spread)), 4)
        self.fragility = round((self.gini + self.share) / 2, 4)
        self.failed = [n for n, one in enumerate(self.decisions) if one.outcome == "failure"]
        self.places: dict[str, list[int]] = {}
        for number, one in enumerate(self.decisions):
            self.places.setdefault(one.task_class or "default", []).append(number)
        self.able: dict[str, dict[str, float]] = {}
        for told in trace.capabilities:
            self.able.setdefault(told.agent_name, {}).update(told.capability_scores)
        strong = [(agent, name) for agent, held in self.able.items() for name in held if held[name] >= ABLE]
        self.doers = Counter(name for _, name in strong if name != "default")
        self.doers["default"] = len({agent for agent, _ in strong})
        given, best = {(one.routed_to, one.task_class) for one in self.decisions}, self.able.get(self.top, {})
        idle = [(agent, name) for agent, name in strong if name in self.places and (agent, name) not in given]
        self.wasted = [(agent, name) for agent, name in idle if self.able[agent][name] > best.get(name, 0.0)]

    @property
    def quality(self) -> Quality:
        """The contract's word for the fragility."""
        return "robust" if self.fragility < 0.3 else "concentrated" if self.fragility < 0.6 else "superflocks"

    def values(self) -> dict[Metric, float]:
        """The five metrics."""
        at_top = sum(self.decisions[n].routed_to == self.top for n in self.failed)
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


def profile_of(told: Window, forensic: bool, elsewhere: bool = False) -> Profile:
    """The contract's rules; the first that holds. ``elsewhere``: a failed task is known to have gone to another."""
    if told.fragility < 0.4:
        return "robust_diversified"
    if told.share > 0.85:
        return "top_agent_monopoly"
    if forensic and told.wasted:
        return "complementarity_collapse"
    if forensic and failures_of(told, "", elsewhere).cascade_risk == "high":
        return "failure_clustering_risk"
    if told.gini > 0.7:
        return "superflocks_canonical"
    return "concentrated_routing" if told.gini > 0.4 else "indeterminate"


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


def abilities_of(told: Window, notes: str, passed: Sequence[Passed]) -> texts.CapabilityAudit:
    """What idles; the most underused agent is the able one with the fewest tasks, if below an even share.

    Where no abilities are given, the agent and the classes of the decisions that passed somebody over stand in.
    """
    able = [agent for agent in told.agents if max(told.able.get(agent, {}).values(), default=0.0) >= ABLE]
    least = min(able, key=lambda agent: told.counts[agent], default=None)
    if least is not None and told.counts[least] * len(told.agents) >= told.counts.total():
        least = None
    unused = tuple(dict.fromkeys(name for _, name in told.wasted))
    if not told.able and passed:
        least = Counter(agent for agent, _, _ in passed).most_common(1)[0][0]
        unused = tuple(dict.fromkeys(name for _, name, _ in passed))
    said = ", ".join(f"{agent} in {name}" for agent, name in told.wasted[:8]) or "none"
    said = f"{notes.strip()} Better than the top agent and idle: {said}.".strip()
    return texts.CapabilityAudit(len(told.wasted), least, unused, said)


def failures_of(told: Window, notes: str, elsewhere: bool) -> texts.FailureAudit:
    """Cascade risk is high where the top agent has most of several failures and nobody else was tried.

    A failed task went elsewhere where its id comes again with another agent, or ``elsewhere`` says that it did.
    """
    failed_at, fallback = dict[str, set[str]](), elsewhere
    for one in told.decisions:
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
