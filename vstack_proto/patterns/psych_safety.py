"""Psychological safety: do the agents of a team dare to object, to ask, to admit, and to look beyond their role?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import psych_safety_texts as texts
from vstack_proto.patterns import shapes, signs, talk
from vstack_proto.patterns.common import (
    Answer,
    Answers,
    BaselineComparison,
    Case,
    Composition,
    Count,
    Detection,
    Evidence,
    Fault,
    Mode,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    asks,
    attach_playbooks,
    banded,
    facts,
)
from vstack_proto.patterns.psych_safety_texts import BUILDS, SPENDS, Behavior, Kind, SafetyPlaybook
from vstack_proto.trace import CanonicalTrace, TraceStep

SOURCES = (
    Source("Janis, I. L.", "1972", "Victims of Groupthink"),
    Source("Edmondson, A. C.", "1999", "Psychological Safety and Learning Behavior in Work Teams"),
    Source("Edmondson, A. C.", "2018", "The Fearless Organization"),
)

BEHAVIORS: tuple[Behavior, ...] = ("voice", "help-seeking", "error-reporting", "boundary-spanning")
Climate = Literal["safe", "cautious", "silenced"]
Profile = Literal[
    "safe_team", "silenced_team", "cautious_team", "voice_absent", "error_concealment", "help_seeking_blocked",
    "siloed_no_boundary_spanning", "all_four_suppressed", "indeterminate",
]  # fmt: skip
MessageType = Literal[
    "task", "response", "challenge", "agreement", "question", "vote", "decision", "observation", "admission",
    "help_request",
]  # fmt: skip
TYPES: tuple[MessageType, ...] = get_args(MessageType)


class SafetyMessage(shapes.Dated, frozen=True):
    """One message of the team; ``metadata`` names the ``tool`` where it is what a tool returned."""

    from_agent: str
    content: str
    message_type: MessageType
    timestamp: shapes.Moment | None = None
    to_agent: str | None = None
    metadata: dict[str, Any] = {}


class MultiAgentSafetyTrace(msgspec.Struct, frozen=True):
    """What a team said on its way to an outcome."""

    goal: str
    agents: tuple[str, ...]
    messages: tuple[SafetyMessage, ...]
    outcome: str
    success: bool
    team_id: str | None = None
    framework: str | None = None
    cost_usd: float | None = None
    latency_seconds: float | None = None
    metadata: dict[str, Any] = {}


class BehaviorPresence(msgspec.Struct, frozen=True):
    """How far one behaviour is present where the run called for it, from 0 to 1."""

    behavior: Behavior
    presence_score: Share
    explanation: str
    severity_of_absence: signs.Gravity = "none"
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class SafetyIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change that makes a behaviour safe."""

    target_behavior: Behavior
    intervention_type: Kind


class VoiceAudit(msgspec.Struct, frozen=True):
    """Objections beside mere assent; the estimate is the share of objections."""

    challenge_message_count: Count = 0
    agreement_only_message_count: Count = 0
    voice_estimate: Share = 0.5
    explanation: str = ""


class ErrorReportingAudit(msgspec.Struct, frozen=True):
    """Errors told beside errors kept back; the estimate is the share of those told."""

    admitted_error_count: Count = 0
    concealed_error_count: Count = 0
    error_reporting_estimate: Share = 0.5
    explanation: str = ""


class PsychologicalSafetyDetection(Detection, frozen=True):
    """How safe the team is for each behaviour, what blocks it, and what changes that."""

    safety_score: Share
    team_climate: Climate
    behavior_scores: dict[str, float]
    behaviors: tuple[BehaviorPresence, ...]
    interventions: tuple[SafetyIntervention, ...]
    team_id: str | None = None
    blocking_behaviors: tuple[str, ...] = ()
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    voice_audit: VoiceAudit | None = None
    error_reporting_audit: ErrorReportingAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[SafetyPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> MultiAgentSafetyTrace:
    """One message a step. The team is whoever is listed, else whoever speaks and is neither person nor tool."""
    listed = set(canonical.listed)
    speaking = {step.agent for step in canonical.steps if signs.role_of(step) == "agent"}
    team = tuple(name for name in canonical.agent_names() if name in listed or name in speaking)
    if len(team) < 2:
        raise TraceNotReadable(f"psych_safety needs 2 or more agents that speak; the trace has {len(team)}")
    return MultiAgentSafetyTrace(
        canonical.goal,
        team,
        tuple(message_of(number, step) for number, step in enumerate(canonical.steps)),
        canonical.outcome,
        canonical.success is True,
        framework=canonical.framework,
        metadata=canonical.metadata,
        **signs.carried(canonical.metadata, MultiAgentSafetyTrace, "team_id", "cost_usd", "latency_seconds"),
    )


def message_of(number: int, step: TraceStep) -> SafetyMessage:
    """A canonical step as a message: by its type, else by its words."""
    told = step.plain_type
    kind: MessageType = "task" if number == 0 else "response"
    metadata, role = dict(step.metadata), signs.role_of(step)
    if role in ("tool", "observation"):
        kind, metadata["tool"] = "observation", step.tool or role
    elif told in TYPES:
        kind = told
    elif texts.assents(Step(step.agent, kind, step.content)):
        kind = "agreement"
    to = signs.carried(step.metadata, SafetyMessage, "to_agent")
    return SafetyMessage(step.agent, step.content, kind, step.timestamp, metadata=metadata, **to)


def read(trace: MultiAgentSafetyTrace) -> Reading:
    """The goal, the team and how it ended, then the messages, each with its type."""
    known = [*facts(trace, "goal"), ("team", ", ".join(dict.fromkeys(trace.agents)))]
    known += facts(trace, "outcome", "success", "team_id", "framework")
    kinds = ("tool" if message.metadata.get("tool") else message.message_type for message in trace.messages)
    steps = (Step(one.from_agent, kind, one.content) for one, kind in zip(trace.messages, kinds, strict=True))
    return Reading(tuple(known), tuple(steps))


def preconditions(trace: MultiAgentSafetyTrace) -> Iterable[Fault]:
    """A team of two or more that said something."""
    team = len(set(trace.agents))
    if team < 2:
        yield Fault("/agents", f"must name 2 or more agents, got {team}")
    if not trace.messages:
        yield Fault("/messages", "must not be empty")


def signals(trace: MultiAgentSafetyTrace, reading: Reading) -> tuple[Signal, ...]:
    """Risks taken, and what made them costly; a signal is named after what it shows, or after its failure mode."""
    risks = texts.risks(reading)
    by_order = (*texts.by_course(reading, risks), *texts.by_results(reading, risks))
    return signs.strongest((*signs.find(reading, texts.RULES), *by_order))


LABEL_OF: dict[str, str] = {**BUILDS, **SPENDS}


def presence(case: Case[MultiAgentSafetyTrace]) -> dict[str, float]:
    """How far the signals show each behaviour; what frightens everybody costs the other behaviours in part too."""
    plain = talk.standing(case.signals, BUILDS, SPENDS, BEHAVIORS)
    for name in BEHAVIORS:
        fear = (one for one in case.signals if one.name in texts.FRIGHTENING and SPENDS[one.name] != name)
        plain[name] *= 1 - texts.SPILL * (1 - math.prod(1 - one.weight for one in fear))
    return {name: round(score, 4) for name, score in plain.items()}


def safety_of(scores: Mapping[str, float]) -> float:
    """The mean of the four, to two places."""
    return round(sum(scores[name] for name in BEHAVIORS) / len(BEHAVIORS), 2)


def climate_of(safety: float) -> Climate:
    """What a safety score is called."""
    return "safe" if safety >= 0.65 else "cautious" if safety >= 0.35 else "silenced"


def profile_of(scores: Mapping[str, float]) -> Profile:
    """The contract's rules; the first that holds. What is neither safe nor silenced is cautious in the end."""
    climate = climate_of(safety_of(scores))
    if climate == "safe":
        return "safe_team"
    if max(scores.values()) < 0.2:
        return "all_four_suppressed"
    if climate == "silenced":
        return "silenced_team"
    if scores["voice"] < 0.2 and scores["help-seeking"] >= 0.3:
        return "voice_absent"
    if scores["error-reporting"] < 0.2:
        return "error_concealment"
    if scores["help-seeking"] < 0.2:
        return "help_seeking_blocked"
    return "siloed_no_boundary_spanning" if scores["boundary-spanning"] < 0.2 else "cautious_team"


def assess_offline(case: Case[MultiAgentSafetyTrace]) -> PsychologicalSafetyDetection:
    """From the signals alone."""
    told = signs.assessed(case, LABEL_OF, presence(case), "No message speaks for or against {label}.")
    sure = signs.confidence(case.signals, len(case.reading.steps))
    return _detection(case, told, {}, sure, (), happened(case), ())


VoiceKind = Literal["challenge", "agreement_only"]
ErrorKind = Literal["admitted", "concealed"]
LAPSES: frozenset[str] = frozenset({"agreement_only", "concealed"})
KINDS: tuple[str, ...] = (*get_args(VoiceKind), *get_args(ErrorKind))


class BehaviorsAnswer(Answer, frozen=True):
    """The four behaviours, and what blocks them."""

    behaviors: tuple[texts.BehaviorFinding, ...]
    blocking: tuple[Evidence, ...]


class QuickAnswer(BehaviorsAnswer, frozen=True):
    """All in one call."""

    interventions: tuple[SafetyIntervention, ...]


class InterventionsAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[SafetyIntervention, ...]


def findings(answers: Answers) -> list[talk.Finding]:
    """What the model found of each behaviour."""
    return [(one.behavior, one.presence_score, one.explanation, one.evidence) for one in answers["behaviors"].behaviors]


def lacking(case: Case[Any], answers: Answers) -> bool:
    """Where all four are present, nothing is to be changed."""
    return min(talk.highest(findings(answers), BEHAVIORS).values()) <= talk.SOUND


def ask_interventions(case: Case[Any], answers: Answers) -> str:
    """The task, with the behaviours as scored."""
    told = signs.scored(talk.highest(findings(answers), BEHAVIORS))
    return texts.ASK_SCORED.format(scores=told) + texts.ASK_INTERVENTIONS


SCORING = Pass("behaviors", BehaviorsAnswer, asks(texts.ASK_BEHAVIORS))
CHANGING = Pass("interventions", InterventionsAnswer, ask_interventions, lacking)
REGISTERS = (
    Pass("voice", talk.Events[VoiceKind], asks(texts.ASK_VOICE)),
    Pass("errors", talk.Events[ErrorKind], asks(texts.ASK_ERRORS)),
)
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("behaviors", QuickAnswer, asks(f"{texts.ASK_BEHAVIORS}\n\n{texts.ASK_INTERVENTIONS}")),),
    "standard": (SCORING, CHANGING),
    "forensic": (SCORING, *REGISTERS, CHANGING),
}


def conclude(case: Case[MultiAgentSafetyTrace], answers: Answers) -> PsychologicalSafetyDetection:
    """Scores as far as quotations bear them out; a behaviour without a finding is absent, as the contract says."""
    answer = answers["behaviors"]
    told = talk.heard(case, findings(answers), LABEL_OF, presence(case))
    blocking = tuple(one.claim for one in case.ground(answer.blocking))
    sure = round(min(0.9, 0.5 + 0.03 * sum(len(one.proofs) for one in told.values())), 2)
    counts, lapses = talk.tally(case, answers, REGISTERS, LAPSES, happened(case))
    return _detection(case, told, answers, sure, blocking, counts, lapses)


def happened(case: Case[MultiAgentSafetyTrace]) -> Mapping[str, int]:
    """The events of the audits as the signals and types show them."""
    seen = Counter(one.name for one in case.signals)
    agreed = sum(texts.said(step) and texts.assents(step) for step in case.reading.steps)
    counts = (seen["concern_raised"], agreed, seen["error_told"], seen["errors_concealed"])
    return dict(zip(KINDS, counts, strict=True))


def audits_of(counts: Mapping[str, int]) -> dict[str, Any]:
    """Both audits; each estimate is the share of what was told in all that was counted."""
    objected, agreed, admitted, kept = (counts.get(kind, 0) for kind in KINDS)
    voice, errors = (round(a / (a + b), 4) if a + b else 0.5 for a, b in ((objected, agreed), (admitted, kept)))
    heard = VoiceAudit(objected, agreed, voice, f"{objected} objections, {agreed} mere assents.")
    told = ErrorReportingAudit(admitted, kept, errors, f"{admitted} errors told, {kept} kept back.")
    return {"voice_audit": heard, "error_reporting_audit": told}


def _detection(
    case: Case[MultiAgentSafetyTrace],
    told: Mapping[str, signs.Judged],
    answers: Answers,
    confidence: float,
    blocking: tuple[str, ...],
    counts: Mapping[str, int],
    lapses: tuple[Evidence, ...],
) -> PsychologicalSafetyDetection:
    trace, scores = case.trace, {name: own.score for name, own in told.items()}
    profile, safety = profile_of(scores), safety_of(scores)
    wanting = {name for name in BEHAVIORS if scores[name] <= talk.SOUND}
    interventions = talk.proposed(answers, "behaviors", COMPOSITION, profile, wanting)
    interventions = interventions or talk.advised(SafetyIntervention, case.signals, texts.ADVICE, wanting)
    costly = signs.by_label(one for one in case.signals if one.name in SPENDS and SPENDS[one.name] in wanting)
    seen = (f"{name.replace('_', ' ')} ({signs.listed(one.steps[0] for one in own)})" for name, own in costly.items())
    absence = {name: signs.gravity(1 - scores[name]) for name in BEHAVIORS}
    behaviors = (
        BehaviorPresence(name, own.score, own.explanation, absence[name], own.quotes[:6], confidence)
        for name, own in zip(BEHAVIORS, told.values(), strict=True)
    )
    ranked = sorted(told.values(), key=lambda own: own.score)
    return PsychologicalSafetyDetection(
        safety,
        climate_of(safety),
        scores,
        tuple(behaviors),
        interventions,
        trace.team_id,
        blocking or tuple(seen),
        trace.success,
        banded(round(1 - safety, 9), signs.BANDS),
        profile,
        **(audits_of(counts) if case.mode == "forensic" else {}),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, dict(scores)),
        evidence=signs.each_once([*(proof for own in ranked for proof in own.proofs), *lapses]),
        confidence=confidence,
    )


COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.grpi", "vstack.lencioni"),
    downstream={"profile_pattern": {
        "safe_team": ("vstack.aar",), "silenced_team": ("vstack.devils_advocate", "vstack.lencioni"),
        "cautious_team": ("vstack.devils_advocate", "vstack.grpi"),
        "voice_absent": ("vstack.devils_advocate", "vstack.bias_stack"),
        "error_concealment": ("vstack.aar", "vstack.grpi"), "help_seeking_blocked": ("vstack.grpi", "vstack.aar"),
        "siloed_no_boundary_spanning": ("vstack.superflocks", "vstack.grpi"),
        "all_four_suppressed": ("vstack.lencioni", "vstack.grpi", "vstack.aar"), "indeterminate": (),
    }},
    framework_overlays={"langgraph": ("vstack.grpi",), "crewai": ("vstack.lencioni",), "autogen": ("vstack.aar",)},
)  # fmt: skip

PATTERN = Pattern(
    name="psych_safety", number=20, friendly="Edmondson Psychological Safety", group="Module 2 / Team",
    summary="Finds whether agents dare to object, to ask for help, to admit errors and to look beyond their role.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=MultiAgentSafetyTrace, detection=PsychologicalSafetyDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=COMPOSITION, non_blank=("goal", "outcome"),
    preconditions=preconditions,
)  # fmt: skip
