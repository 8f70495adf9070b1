"""Social loafing: who works, who rides along, and does the team let it happen?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from vstack_proto.analysis.grounding import MIN_QUOTE_CHARS
from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Composition,
    Detection,
    Evidence,
    Fault,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    banded,
    facts,
    paired_playbooks,
)  # fmt: skip
from vstack_proto.patterns.social_loafing_messages import (
    ASKERS,
    EXECUTOR,
    NEAR,
    MessageType,
    addressee,
    message_type,
    words,
)
from vstack_proto.patterns.social_loafing_passes import PASSES, Heard, hear
from vstack_proto.patterns.social_loafing_texts import (
    FRAMEWORK,
    PLAYBOOKS,
    LoafingIntervention,
    LoafingPlaybook,
    Proposed,
    remedies,
)  # fmt: skip
from vstack_proto.patterns.social_loafing_work import (
    AgentContribution,
    AnonymityAudit,
    FreeRidingChain,
    Profile,
    Quality,
    Work,
    audit_of,
    contributions,
    loafing_signals,
    rides,
    weighed,
)  # fmt: skip
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Ingham et al.", "1974", "The Ringelmann effect"),
    Source("Latané, B.; Williams, K.; Harkins, S.", "1979", "Many Hands Make Light the Work"),
    Source("Williams, K.; Harkins, S.; Latané, B.", "1981", "Identifiability as a deterrent to social loafing"),
    Source("Karau, S. J.; Williams, K. D.", "1993", "Social loafing: A meta-analytic review"),
    Source("Comer, D. R.", "1995", "A Model of Social Loafing in Real Work Groups"),
    Source("Hackman, J. R.", "2002", "Leading Teams"),
)

# Moments without an offset are taken too, so the format is told but no time zone demanded.


class LoafingMessage(shapes.Dated, frozen=True):
    """One message of the team."""

    from_agent: str
    message_type: MessageType
    content: str
    to_agent: str | None = None
    timestamp: shapes.Moment | None = None
    metadata: dict[str, Any] = {}


class MultiAgentTaskTrace(msgspec.Struct, frozen=True):
    """A task that a team worked on together; ``agents`` is the team, whoever else speaks is not of it."""

    task: str
    agents: tuple[str, ...]
    messages: tuple[LoafingMessage, ...]
    outcome: str
    team_id: str | None = None
    success: bool = False
    framework: str | None = None
    has_per_agent_evaluation: bool = False
    metadata: dict[str, Any] = {}


class LoafingBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same team."""

    historical_baseline_id: str | None = None
    historical_generated_at: shapes.Moment | None = None
    baseline_profile_pattern: str | None = None
    gini_delta: float = 0.0
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class SocialLoafingDetection(Detection, frozen=True):
    """How evenly the team worked and who rode along."""

    agent_contributions: tuple[AgentContribution, ...]
    gini_coefficient: Share
    loafing_quality: Quality
    interventions: tuple[LoafingIntervention, ...]
    team_id: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    anonymity_audit: AnonymityAudit | None = None
    free_riding_chains: tuple[FreeRidingChain, ...] = ()
    baseline: LoafingBaseline | None = None
    attached_playbooks: tuple[LoafingPlaybook, ...] = ()


def team_of(canonical: CanonicalTrace) -> tuple[str, ...]:
    """Those whose effort can be compared: without whoever only asks or executes, unless the client lists it.

    An executor stays where there would be no team without it; from its calls and results it is no loafer anyway.
    """
    listed = set(canonical.listed)
    names = {agent: agent.strip().lower() for agent in canonical.agent_names()}
    members = [agent for agent, name in names.items() if agent in listed or name not in ASKERS]
    working = [agent for agent in members if agent in listed or not EXECUTOR.search(names[agent])]
    return tuple(working if len(working) > 1 else members)


def from_trace(canonical: CanonicalTrace) -> MultiAgentTaskTrace:
    """One message a step, each of the type that its step's type or else its content says."""
    agents = team_of(canonical)
    if len(agents) < 2:
        raise TraceNotReadable(f"social_loafing compares 2 or more agents that work; the trace has {len(agents)}")
    messages = []
    recent: deque[tuple[str, set[str]]] = deque(maxlen=NEAR)
    for step in canonical.steps:
        own = words(step.content)
        kind = message_type(step, own, recent)
        messages.append(LoafingMessage(step.agent, kind, step.content, addressee(step), step.timestamp, step.metadata))
        recent.append((step.agent, own))
    return MultiAgentTaskTrace(
        task=canonical.goal,
        agents=agents,
        messages=tuple(messages),
        outcome=canonical.outcome,
        success=bool(canonical.success),
        framework=canonical.framework,
        has_per_agent_evaluation=canonical.metadata.get("has_per_agent_evaluation") is True,
        metadata=canonical.metadata,
    )


def read(trace: MultiAgentTaskTrace) -> Reading:
    """Facts of the task and its set-up, then the messages."""
    known = [*facts(trace, "task"), ("team", ", ".join(dict.fromkeys(trace.agents)))]
    known += facts(trace, "outcome", "success")
    known.append(("each agent is evaluated by itself", "yes" if trace.has_per_agent_evaluation else "no"))
    known += facts(trace, "team_id", "framework")
    return Reading(tuple(known), tuple(Step(m.from_agent, m.message_type, m.content) for m in trace.messages))


def preconditions(trace: MultiAgentTaskTrace) -> Iterable[Fault]:
    """A team of two or more that said something."""
    team = len(set(trace.agents))
    if team < 2:
        yield Fault("/agents", f"must name 2 or more agents, got {team}")
    if not trace.messages:
        yield Fault("/messages", "must not be empty")


def signals(trace: MultiAgentTaskTrace, reading: Reading) -> tuple[Signal, ...]:
    """Cosmetic messages of members who bring little, checks claimed and not made, stamps in a row."""
    return loafing_signals(weighed(trace, {}), reading)


GINI_BANDS: tuple[tuple[float, Severity], ...] = (
    (0.0, "none"), (0.2, "trace"), (0.3, "low"), (0.4, "moderate"), (0.55, "medium"), (0.7, "high"), (0.85, "critical"),
)  # fmt: skip
# Absent members are not in the coefficient, so it alone may call a team of riders even. Where loafing begins by the
# coefficient (.30 mild, .45 severe) the severity is low and moderate; riders make it no less.
FLOOR: dict[Quality, float] = {"no-loafing": 0.0, "mild-loafing": 0.3, "severe-loafing": 0.4}


def assess_offline(case: Case[MultiAgentTaskTrace]) -> SocialLoafingDetection:
    """From kinds of message and new words alone."""
    work = weighed(case.trace, {})
    evidence = () if work.quality == "no-loafing" else case.evidence_of_signals()
    absent = sum(tally.role == "absent" for tally in work.tallies)
    # Uneven shares with nobody riding may be the design of the team: of that the rule is least sure.
    sure = 0.3 + 0.1 * len(evidence) + 0.1 * absent if work.riders() else 0.3
    if work.quality == "no-loafing":
        sure = 0.3 + 0.04 * len(work.entries)
    return _detection(case, work, Heard(), evidence, offline_remedies(case.trace, work), min(0.8, sure))


def _detection(
    case: Case[MultiAgentTaskTrace],
    work: Work,
    heard: Heard,
    evidence: tuple[Evidence, ...],
    interventions: tuple[LoafingIntervention, ...],
    confidence: float,
) -> SocialLoafingDetection:
    trace, riders = case.trace, work.riders()
    payload = {
        "gini_coefficient": work.gini,
        "loafing_quality": work.quality,
        "loafers": [tally.agent for tally in riders if tally.role == "loafer"],
        "absent": [tally.agent for tally in riders if tally.role == "absent"],
    }
    kinds = [one.intervention_type for one in interventions]
    handoff = COMPOSITION.handoff({"profile_pattern": work.profile}, trace.framework, payload, kinds)
    return SocialLoafingDetection(
        agent_contributions=contributions(work, case.reading, heard.members, addressed(trace)),
        gini_coefficient=work.gini,
        loafing_quality=work.quality,
        interventions=interventions,
        team_id=trace.team_id,
        success=trace.success,
        severity=banded(max(work.gini, FLOOR[work.quality]) if riders else work.gini, GINI_BANDS),
        profile_pattern=work.profile,
        anonymity_audit=audit_of(work, trace.messages, trace.has_per_agent_evaluation, heard.decomposable, heard.audit),
        free_riding_chains=rides(work, heard.chains),
        attached_playbooks=playbooks_for(trace, work, interventions),
        composition_handoff=handoff,
        evidence=evidence,
        confidence=round(confidence, 2),
    )


def conclude(case: Case[MultiAgentTaskTrace], answers: Answers) -> SocialLoafingDetection:
    """The weights as corrected; shares, roles and labels are computed from them as they are offline."""
    heard = hear(case, answers)
    work = weighed(case.trace, heard.judged, heard.excused)
    loafing = work.quality != "no-loafing"
    # What proves a worker's work goes into its row; the detection's evidence is of loafing.
    riding = [item for tally in work.riders() for item in heard.members.get(tally.agent, ("", ()))[1]]
    evidence = _merged([*heard.evidence, *riding, *(case.evidence_of_signals() if loafing else ())])
    proposing = answers.get("interventions", answers["work"])
    proposed: tuple[Proposed, ...] = getattr(proposing, "interventions", ()) if loafing else ()
    composed = COMPOSITION.first(work.profile)
    chosen = tuple(_adopted(one, work, composed) for one in proposed)
    confidence = min(0.9, 0.4 + 0.05 * len(evidence) + 0.02 * len(work.entries))
    return _detection(case, work, heard, evidence, chosen or offline_remedies(case.trace, work), confidence)


def _merged(items: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Each proof once, as it was first told; a message as short as "+1" is too little to quote."""
    proofs: dict[tuple[tuple[int, ...], str], Evidence] = {}
    for item in items:
        if len(item.quote) >= MIN_QUOTE_CHARS:
            proofs.setdefault((item.steps, item.quote), item)
    return tuple(proofs.values())


def _adopted(one: Proposed, work: Work, composed: str | None) -> LoafingIntervention:
    """A proposal as reported: a target nobody knows is the team, and only a neighbour can be composed with."""
    known = {tally.agent for tally in work.tallies}
    fields = msgspec.structs.asdict(one) | {
        "target_agent": one.target_agent if one.target_agent in known else "team",
        "composition_target_pattern": composed if one.intervention_type == "compose_pattern" else None,
    }
    return LoafingIntervention(**fields)


def offline_remedies(trace: MultiAgentTaskTrace, work: Work) -> tuple[LoafingIntervention, ...]:
    """What to change, from the work alone."""
    return remedies(work, addressed(trace), trace.has_per_agent_evaluation)


def addressed(trace: MultiAgentTaskTrace) -> frozenset[str]:
    """To whom messages were sent."""
    return frozenset(message.to_agent for message in trace.messages if message.to_agent is not None)


ATTACH = {
    ("loafer", "assign_subgoals"): "rubber_stamp",
    ("loafer", "individual_accountability"): "rubber_stamp",
    ("loafer", "decompose_task"): "silent_majority",
    ("loafer", "per_agent_evaluation"): "silent_majority",
    ("loafer", "remove_loafer"): "no_contribution",
    ("loafer", "explicit_critic_assignment"): "paraphrase_only",
    ("loafer", "rotate_roles"): "approval_only",
    ("team", "smaller_team"): "ringelmann_dilution",
    ("team", "add_identifiability_signal"): "anonymous_evaluation",
    ("team", "add_per_agent_metrics"): "anonymous_evaluation",
}
# What the whole picture calls for, whatever the interventions; some of these no intervention leads to.
BY_PROFILE: dict[Profile, tuple[str, str]] = {
    "balanced_team": ("primary-contributor", "well_balanced"),
    "single_dominant_contributor": ("loafer", "single_dominant"),
    "two_contributors_n_loafers": ("team", "two_contributors_n_loafers"),
    "all_loafers": ("team", "all_loafers"),
    "ringelmann_dilution": ("team", "ringelmann_dilution"),
    "rubber_stamp_pattern": ("loafer", "rubber_stamp"),
    "absent_agent": ("absent", "no_contribution"),
    "anonymous_evaluation_signal": ("team", "anonymous_evaluation"),
}


def playbooks_for(
    trace: MultiAgentTaskTrace, work: Work, interventions: Iterable[LoafingIntervention]
) -> tuple[LoafingPlaybook, ...]:
    """Those the interventions bring along, by the role of their target, and those of the profile."""
    roles = {tally.agent: tally.role for tally in work.tallies}
    pairs = [(roles.get(one.target_agent, "team"), one.intervention_type) for one in interventions]
    keys = {(book.role, book.failure_mode): None for book in paired_playbooks(PLAYBOOKS, ATTACH, pairs)}
    # Of two members who both work, the contract's rules make "two contributors"; that needs no remedy for riders.
    if work.profile in BY_PROFILE and (work.riders() or work.profile != "two_contributors_n_loafers"):
        keys[BY_PROFILE[work.profile]] = None
    if trace.success and work.riders():
        keys["loafer", "high_team_low_individual"] = None
    return tuple(book for key in keys for book in PLAYBOOKS if (book.role, book.failure_mode) == key)


COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.grpi", "vstack.mcgregor", "vstack.process_gain_loss"),
    downstream={
        "profile_pattern": {
            "balanced_team": ("vstack.aar",),
            "single_dominant_contributor": ("vstack.grpi", "vstack.mcgregor"),
            "two_contributors_n_loafers": ("vstack.grpi",),
            "all_loafers": ("vstack.grpi", "vstack.process_gain_loss", "vstack.lencioni"),
            "ringelmann_dilution": ("vstack.process_gain_loss", "vstack.grpi"),
            "rubber_stamp_pattern": ("vstack.devils_advocate", "vstack.bias_stack"),
            "absent_agent": ("vstack.grpi",),
            "anonymous_evaluation_signal": ("vstack.aar",),
            "indeterminate": (),
        }
    },
    framework_overlays={
        "langgraph": ("vstack.grpi",),
        "crewai": ("vstack.grpi",),
        "autogen": ("vstack.grpi",),
        "claude-agent-sdk": ("vstack.mcgregor",),
        "openai-agents-sdk": ("vstack.mcgregor",),
    },
)

PATTERN = Pattern(
    name="social_loafing", number=15, friendly="Social Loafing Detector", group="Module 2 / Team",
    summary="Finds agents that ride along on others' work, from what each message added to what was already said.",
    framework=FRAMEWORK, sources=SOURCES, trace=MultiAgentTaskTrace, detection=SocialLoafingDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=PLAYBOOKS, attach=ATTACH, composition=COMPOSITION, non_blank=("outcome", "task"),
    preconditions=preconditions,
)  # fmt: skip
