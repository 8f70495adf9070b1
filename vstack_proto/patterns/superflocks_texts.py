"""Superflocks in words: the framework, what is asked and answered, playbooks, and what the reasons of a router tell."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Count, Evidence, Share, Step
from vstack_proto.patterns.signs import Rule
from vstack_proto.patterns.talk import phrase

Metric = Literal[
    "top_agent_share", "routing_gini", "complementarity_utilization", "fallback_coverage", "failure_clustering",
]  # fmt: skip
Kind = Literal[
    "introduce_routing_jitter", "require_minimum_agent_diversity", "add_capability_complement_check",
    "rotate_lead_agent", "load_balancing_floor", "redundant_routing", "swap_top_agent_offline_drill", "human_review",
    "new_eval", "add_routing_eval", "compose_pattern",
]  # fmt: skip


FRAMEWORK = """\
Muir bred hens twice: from the best layers of all, and from the best cages. The flock of best layers ended with most \
hens pecked to death; the flock of best cages laid more each generation. Heffernan calls the first a superflock: a \
group built on its stars, where the rest does not count. Page gives the reason: on hard tasks, members that know \
different things beat a set of members that are each best by one measure.

In routing: an overall score sends nearly all tasks to one agent. It looks efficient until that agent saturates or \
fails, because nobody else is warm; specialists idle in the very classes they are better at; and the scores are no \
longer tested, because nobody else gets a task. Signs: a share far above an even one; reasons that name rank ("highest \
average", "our best") and not the task; a better candidate passed over for a class; failures that sit with the top \
agent and are retried there; classes that only one agent can do.

Do not confuse: tasks of one class that only one agent can do are a gap in the roster, not a pecking order. A small \
window proves little: of four tasks, three to one agent may be chance. Load that follows capability class by class is \
specialisation and is sound. Failures shared evenly are a hard workload. The numbers are computed and not to be \
estimated again."""

TASK = """\
The facts hold five computed metrics of this routing window. For those that are worse than even, explain in one or two \
sentences what in the decisions makes them so: which reasons, classes, candidates and outcomes, with step numbers. Do \
not restate the number. Give evidence: decisions whose reason names rank instead of the task, that pass over a better \
candidate, or that send a task back to where its kind has just failed."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first. Say exactly what to put into the router: the weight, the floor, \
the rule and its number, the drill and its date; what it costs in quality at first, and how to see that it works. \
require_minimum_agent_diversity and add_capability_complement_check where abilities idle; redundant_routing and \
swap_top_agent_offline_drill where nobody could step in; rotate_lead_agent where failures cluster."""
ASK_ALL = f"{TASK}\n\n{ASK_CHANGES}"
ASK_FOUND = "Routing is {quality}: {told}.\n\n"
ASK_CAPABILITY = """\
Read the window class by class, as Page would: which knowledge was at hand and not used? List the decisions, at most \
twelve, that sent a task past an agent better at it: the step, the agent passed over, one sentence what it \
would have brought, and words of the decision (its reason, its candidates). Better is what the capabilities say; where \
none are given, what earlier outcomes of the same class show. A class that nobody else can do, and a decision whose \
reason names the task, pass nobody over. In notes say in two sentences what this costs and in which class most."""
ASK_FAILURE = """\
Follow each failure: where did the same task, or the next of its class, go afterwards? List the pairs, at most twelve: \
the step that failed, the later step that gave the task or its kind out again, one sentence whether that was wise, and \
words of the later step. In notes say in two sentences whether the failures run together (one class, one hour, one \
agent under load) and what would have happened had the top agent been away that day. Failures spread over agents and \
classes are a hard workload, and no sign of a superflock."""


class AgentCapability(msgspec.Struct, frozen=True):
    """What an agent can do, by class of task, from 0 to 1."""

    agent_name: str
    capability_scores: dict[str, float] = {}

    def line(self) -> str:
        """The entry as a step that evidence can quote."""
        return f"{self.agent_name} can: " + ", ".join(f"{k} {v:g}" for k, v in self.capability_scores.items())


class RoutingDecision(shapes.Dated, frozen=True):
    """One task, and where it went."""

    task_id: str
    routed_to: str
    task_class: str = ""
    candidates: tuple[str, ...] = ()
    reason: str = ""
    outcome: Literal["success", "failure", "partial", "unknown"] = "unknown"
    timestamp: shapes.Moment | None = None
    metadata: dict[str, Any] = {}

    def line(self) -> str:
        """The decision as a step that evidence can quote."""
        told = [f"task {self.task_id} routed to {self.routed_to}", f"outcome {self.outcome}"]
        told += [f"class {self.task_class}"] if self.task_class else []
        told += [f"candidates {', '.join(self.candidates)}"] if self.candidates else []
        return "; ".join([*told, f"reason: {self.reason}"] if self.reason else told)


class CapabilityAudit(msgspec.Struct, frozen=True):
    """Abilities that idle: agents better than the top one in a class seen, and without a task of it."""

    wasted_capability_count: Count = 0
    most_underutilized_agent: str | None = None
    capability_dimensions_underused: tuple[str, ...] = ()
    notes: str = ""


class FailureAudit(msgspec.Struct, frozen=True):
    """Where the failures sit, and whether a failed task was given to somebody else."""

    top_agent_failure_share: Share = 0.0
    fallback_used_on_failure: bool = False
    cascade_risk: Literal["low", "moderate", "high"] = "low"
    notes: str = ""


class RoutingBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same router."""

    historical_baseline_id: str | None = None
    historical_generated_at: shapes.Moment | None = None
    baseline_profile_pattern: str | None = None
    fragility_delta: float = 0.0
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class SuperflocksPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of routing; ``pattern`` is the quality of routing that it is for."""

    pattern: str


MUIR = "Muir 1996, Group selection for adaptation to multiple-hen cages"
PAGE = "Page 2007, The Difference"
HEFFERNAN = "Heffernan 2014, A Bigger Prize"
HACKMAN = "Hackman 2002, Leading Teams"
PLAYBOOKS = shapes.playbooks(SuperflocksPlaybook, (
    ("superflocks", "top_agent_monopoly", "Break the monopoly of the top agent", (
        "Route a fixed tenth of the tasks at random among agents that can do the class.",
        "Cap the top agent at twice an even share; what exceeds the cap goes to the next best of the class.",
        "Compare quality per class for four weeks, and correct the scores by what the others really did.",
    ), "1d", MUIR),
    ("superflocks", "no_fallback", "Keep somebody warm for every class", (
        "List, per class of task, the agents with a capability of 0.5 or more; mark those with fewer than two.",
        "Send one task in twenty of each class to the second agent too, and compare the results.",
        "Take the top agent offline for an hour a month and watch what queues up.",
    ), "1d", HEFFERNAN),
    ("superflocks", "complementarity_collapse", "Route by the class, not by the rank", (
        "Replace the average score by the score for the class of the task.",
        "Before each routing, check whether a candidate is better in this class than the chosen one.",
        "Log the reason as class and score; reject reasons that name an overall rank.",
    ), "1d", PAGE),
    ("superflocks", "failure_clustering", "Do not send it back to where it failed", (
        "After a failure, route the next two tasks of that class to another agent, and the failed one as well.",
        "Rotate the lead of each class weekly, so that a second agent has a record when it is needed.",
    ), "1w", HACKMAN),
    ("concentrated", "concentrated_routing", "Spread before it sets", (
        "Add a random tenth to routing, among agents that can do the class.",
        "Watch top share and Gini of each week; act when either rises three weeks in a row.",
        "Refresh the scores from these tasks, so that they rest on more than the top agent.",
    ), "1d", HEFFERNAN),
    ("robust", "baseline", "Keep this window as the baseline", (
        "Store the five metrics with the version of the router.",
        "Compute them again after each change of router, roster or scores.",
        "Alert when fragility rises by 0.1.",
    ), "1h", HACKMAN),
    ("superflocks", "narrow_capability_diversity", "Widen what the roster can do", (
        "Plot capabilities by class; find the classes that lean on one agent, and agents that no class needs.",
        "Replace a double by an agent with another model or tools, and require two able agents per class.",
    ), "1w", PAGE),
    ("superflocks", "no_drill", "Practise the loss of the star", (
        "Put a date on a drill: one hour without the top agent, on real tasks that can wait.",
        "Write down which classes failed, and fix the first of them before the next drill.",
    ), "1h", HEFFERNAN),
    ("concentrated", "no_routing_eval", "Measure the router itself", (
        "Add an evaluation that replays a week's tasks with random routing among able agents, and compare quality.",
    ), "1h", HACKMAN),
    ("superflocks", "human_review_needed", "Let a person look at the pecking order", (
        "Show a named person the reasons of fifty routings and the candidates that were passed over.",
        "Let that person set share caps per class for a month, and review them with the results.",
    ), "1w", HEFFERNAN),
    ("concentrated", "imbalanced_capability", "Even out what agents can do", (
        "Give the second agent of each class the tools and examples of the first, and re-score both.",
    ), "1d", PAGE),
    ("superflocks", "rotation_needed", "Let others lead", (
        "Rotate the first choice per class among agents above 0.5.",
        "Keep the rotation where quality stays within five percent.",
    ), "1d", MUIR),
))  # fmt: skip

ATTACH = {
    ("superflocks", "introduce_routing_jitter"): "top_agent_monopoly",
    ("superflocks", "load_balancing_floor"): "top_agent_monopoly",
    ("superflocks", "redundant_routing"): "no_fallback",
    ("superflocks", "swap_top_agent_offline_drill"): "no_fallback",
    ("superflocks", "add_capability_complement_check"): "complementarity_collapse",
    ("superflocks", "rotate_lead_agent"): "failure_clustering",
    ("superflocks", "require_minimum_agent_diversity"): "narrow_capability_diversity",
    ("superflocks", "human_review"): "human_review_needed",
    ("concentrated", "introduce_routing_jitter"): "concentrated_routing",
    ("concentrated", "add_routing_eval"): "no_routing_eval",
    ("robust", "new_eval"): "baseline",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.grpi", "vstack.mcgregor"),
    downstream={
        "profile_pattern": {
            "robust_diversified": ("vstack.aar",),
            "concentrated_routing": ("vstack.bias_stack", "vstack.mcgregor"),
            "superflocks_canonical": ("vstack.grpi", "vstack.process_gain_loss"),
            "top_agent_monopoly": ("vstack.bias_stack", "vstack.devils_advocate"),
            "no_fallback_coverage": ("vstack.aar",),
            "complementarity_collapse": ("vstack.grpi",),
            "failure_clustering_risk": ("vstack.process_gain_loss", "vstack.grpi"),
            "indeterminate": (),
        }
    },
    framework_overlays={"langgraph": ("vstack.grpi",), "crewai": ("vstack.grpi",), "autogen": ("vstack.grpi",)},
)


class RoutingIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change of the routing; what a model proposes has the same shape."""

    intervention_type: Kind


class MetricNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the decisions add to one number."""

    name: Metric
    explanation: str


class RoutingAnswer(Answer, frozen=True):
    """What makes the numbers so."""

    explanations: tuple[MetricNote, ...]
    evidence: tuple[Evidence, ...]


class QuickAnswer(RoutingAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[RoutingIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[RoutingIntervention, ...]


class PassedOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decision that sent a task past a better agent; ``quote`` stands in its step."""

    step: Count
    agent: str
    claim: str
    quote: str


class CapabilityAnswer(Answer, frozen=True):
    """Who was passed over."""

    passed_over: tuple[PassedOver, ...]
    notes: str


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two decisions, of which the second gives out again what failed in the first; ``quote`` stands in the second."""

    failed: Count
    retried: Count
    claim: str
    quote: str


class FailureAnswer(Answer, frozen=True):
    """What followed failures."""

    retries: tuple[Retry, ...]
    notes: str


def routing(step: Step) -> bool:
    """Whether the step is a decision of the router."""
    return step.kind == "routing"


RULES = (
    Rule(
        "rank_reason", "Step {step}: the reason names a rank and not what the task needs, as a pecking order does.",
        phrase(
            r"highest (?:average|overall|score)|best (?:agent|overall|performer|one)|our (?:best|star|strongest)"
            r"|top (?:agent|performer|ranked|score)|always (?:goes|send|routed|use)|most (?:capable|reliable|senior)"
            r"|default (?:agent|choice)|safest (?:choice|bet)|strongest (?:agent|model)"
        ), 0.3, routing,
    ),
)  # fmt: skip
