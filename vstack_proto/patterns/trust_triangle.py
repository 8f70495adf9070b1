"""Trust triangle: which leg of trust wobbles in a conversation, logic, authenticity or empathy?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

import msgspec

from vstack_proto.patterns import shapes, signs, talk
from vstack_proto.patterns import trust_triangle_texts as texts
from vstack_proto.patterns.common import (
    Answer,
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Evidence,
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
    not_empty,
)
from vstack_proto.patterns.trust_triangle_texts import LEG_OF, Kind, Leg, TrustPlaybook
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Frei, F. X.; Morriss, A.", "2020", "Begin with Trust"),
    Source("Goleman, D.", "1995", "Emotional Intelligence"),
    Source("Edmondson, A. C.", "1999", "Psychological safety and learning behavior in work teams"),
    Source("Lewis, P. et al.", "2020", "Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks"),
    Source("Sharma, M. et al.", "2023", "Towards Understanding Sycophancy in Language Models (arXiv:2310.13548)"),
)

LEGS: tuple[Leg, ...] = ("logic", "authenticity", "empathy")
Dominant = Literal["logic", "authenticity", "empathy", "none-observed"]
TrustLevel = Literal["high-trust", "moderate-trust", "low-trust"]
Profile = Literal[
    "healthy_trust", "logic_wobble_dominant", "authenticity_wobble_dominant", "empathy_wobble_dominant",
    "full_triangle_collapse", "logic_authenticity_paired", "empathy_isolated_wobble", "indeterminate",
]  # fmt: skip


class InteractionTurn(shapes.Dated, frozen=True):
    """One turn; ``metadata`` may name its speaker as ``agent``."""

    role: signs.Role
    content: str
    timestamp: shapes.Moment | None = None
    metadata: dict[str, Any] = {}


class AgentInteractionTrace(msgspec.Struct, frozen=True):
    """A conversation with an agent. ``user_satisfaction`` is read where it lies between 0 and 1."""

    task: str
    turns: tuple[InteractionTurn, ...]
    outcome: str
    success: bool
    agent_id: str | None = None
    model_name: str | None = None
    framework: str | None = None
    user_satisfaction: float | None = None
    cost_usd: float | None = None
    latency_seconds: float | None = None
    metadata: dict[str, Any] = {}


class LegWobble(msgspec.Struct, frozen=True):
    """How far one leg wobbles, from 0 (sound) to 1."""

    leg: Leg
    wobble_score: Share
    severity: Literal["none", "low", "medium", "high"]
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class TrustIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change that steadies a leg."""

    target_leg: Leg
    intervention_type: Kind


class HallucinationAudit(msgspec.Struct, frozen=True):
    """Claims without ground; the estimate is their share of the agent's turns."""

    ungrounded_claim_count: Count = 0
    contradicted_claim_count: Count = 0
    hallucination_estimate: Share = 0.0
    explanation: str = ""


class SycophancyAudit(msgspec.Struct, frozen=True):
    """Giving way against holding on; the estimate is the share of giving way."""

    sycophantic_turn_count: Count = 0
    pushback_count: Count = 0
    sycophancy_estimate: Share = 0.0
    explanation: str = ""


class ContextSensitivityAudit(msgspec.Struct, frozen=True):
    """Signals of the user; the estimate is the share that was taken up."""

    missed_context_signal_count: Count = 0
    addressed_context_signal_count: Count = 0
    context_sensitivity_estimate: Share = 0.5
    explanation: str = ""


class TrustTriangleAudit(Detection, frozen=True):
    """Which leg of trust wobbles, and what steadies it."""

    dominant_wobble: Dominant
    leg_scores: dict[str, float]
    legs: tuple[LegWobble, ...]
    interventions: tuple[TrustIntervention, ...]
    overall_trust_level: TrustLevel
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    hallucination_audit: HallucinationAudit | None = None
    sycophancy_audit: SycophancyAudit | None = None
    context_sensitivity_audit: ContextSensitivityAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[TrustPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentInteractionTrace:
    """One turn a step. ``metadata`` may carry the contract's fields; an unknown ``success`` counts as none."""
    carried = ("agent_id", "model_name", "user_satisfaction", "cost_usd", "latency_seconds")
    return AgentInteractionTrace(
        canonical.goal,
        tuple(
            InteractionTurn(signs.role_of(step), step.content, step.timestamp, {**step.metadata, "agent": step.agent})
            for step in canonical.steps
        ),
        canonical.outcome,
        canonical.success is True,
        framework=canonical.framework,
        metadata=canonical.metadata,
        **signs.carried(canonical.metadata, AgentInteractionTrace, *carried),
    )


def read(trace: AgentInteractionTrace) -> Reading:
    """The task and how it ended, then the turns, each with its role."""
    known = facts(trace, "task", "outcome", "success", "agent_id", "model_name", "framework", "user_satisfaction")
    steps = (Step(str(turn.metadata.get("agent") or turn.role), turn.role, turn.content) for turn in trace.turns)
    return Reading(tuple(known), tuple(steps))


def signals(trace: AgentInteractionTrace, reading: Reading) -> tuple[Signal, ...]:
    """Words and the order of turns; a signal is named after the failure mode that it speaks for."""
    return signs.strongest((*signs.find(reading, texts.RULES), *texts.by_course(reading)))


OBSERVED = 0.2  # below this the contract sees no wobble at all


def wobbles(case: Case[AgentInteractionTrace]) -> dict[str, float]:
    """How far the signals show each leg to wobble; an unhappy user bears out what was seen, and proves nothing else."""
    told = signs.weigh(signs.under(case.signals, LEG_OF), LEGS)
    happy = case.trace.user_satisfaction
    lack = 1 - 2 * happy if happy is not None and 0 <= happy < 0.5 else 0.0
    return {leg: round(1 - (1 - seen) * (1 - 0.3 * lack), 4) if seen else 0.0 for leg, seen in told.items()}


def level_of(scores: Mapping[str, float]) -> TrustLevel:
    """How much trust the weakest leg leaves."""
    most = max(scores.values())
    return "low-trust" if most > 0.6 else "moderate-trust" if most > 0.3 else "high-trust"


def profile_of(scores: Mapping[str, float]) -> Profile:
    """The contract's rules; the first that holds."""
    logic, authenticity, empathy = (scores[leg] for leg in LEGS)
    if level_of(scores) == "high-trust":
        return "healthy_trust"
    if min(logic, authenticity, empathy) >= 0.6:
        return "full_triangle_collapse"
    if logic >= 0.5 and authenticity >= 0.5 and empathy < 0.3:
        return "logic_authenticity_paired"
    if empathy >= 0.5 and max(logic, authenticity) < 0.3:
        return "empathy_isolated_wobble"
    dominant = signs.leading(scores)
    if dominant == "logic":
        return "logic_wobble_dominant"
    return "authenticity_wobble_dominant" if dominant == "authenticity" else "empathy_wobble_dominant"


def assess_offline(case: Case[AgentInteractionTrace]) -> TrustTriangleAudit:
    """From the signals alone."""
    told = signs.assessed(case, LEG_OF, wobbles(case), "Nothing in the turns shows that {label} wobbles.")
    sure = signs.confidence(case.signals, len(case.reading.steps))
    return _audit(case, told, {}, sure, happened(case), ())


class LegsAnswer(Answer, frozen=True):
    """The three legs."""

    legs: tuple[texts.LegFinding, ...]


class QuickAnswer(LegsAnswer, frozen=True):
    """All in one call."""

    interventions: tuple[TrustIntervention, ...]


class InterventionsAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[TrustIntervention, ...]


def findings(answers: Answers) -> list[talk.Finding]:
    """What the model found of each leg."""
    return [(one.leg, one.wobble_score, one.explanation, one.evidence) for one in answers["legs"].legs]


def wobbling(case: Case[Any], answers: Answers) -> bool:
    """Nothing is to be changed where no leg wobbles."""
    return max(talk.highest(findings(answers), LEGS).values()) >= OBSERVED


def ask_interventions(case: Case[Any], answers: Answers) -> str:
    """The task, with the legs as scored."""
    scores = talk.highest(findings(answers), LEGS)
    told = texts.ASK_SCORED.format(scores=signs.scored(scores), dominant=signs.leading(scores))
    return told + texts.ASK_INTERVENTIONS


SCORING = Pass("legs", LegsAnswer, asks(texts.ASK_LEGS))
CHANGING = Pass("interventions", InterventionsAnswer, ask_interventions, wobbling)
# One register of the trace for each audit: claims against the record, positions under pressure, cues of the user.
REGISTERS = (
    Pass("claims", talk.Events[texts.ClaimKind], asks(texts.ASK_CLAIMS)),
    Pass("pressure", talk.Events[texts.PressureKind], asks(texts.ASK_PRESSURE)),
    Pass("cues", talk.Events[texts.CueKind], asks(texts.ASK_CUES)),
)
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("legs", QuickAnswer, asks(f"{texts.ASK_LEGS}\n\n{texts.ASK_INTERVENTIONS}")),),
    "standard": (SCORING, CHANGING),
    "forensic": (SCORING, *REGISTERS, CHANGING),
}


def conclude(case: Case[AgentInteractionTrace], answers: Answers) -> TrustTriangleAudit:
    """Scores as far as quotations bear them out; a leg without a finding does not wobble."""
    told = talk.heard(case, findings(answers), LEG_OF, wobbles(case), floor=0.1)
    sure = 0.5 + 0.05 * sum(len(one.proofs) for one in told.values())
    counts, lapses = talk.tally(case, answers, REGISTERS, texts.LAPSES, happened(case))
    return _audit(case, told, answers, round(min(0.9, sure), 2), counts, lapses)


def _audit(
    case: Case[AgentInteractionTrace],
    told: Mapping[str, signs.Judged],
    answers: Answers,
    confidence: float,
    events: Mapping[str, int],
    lapses: tuple[Evidence, ...],
) -> TrustTriangleAudit:
    trace, scores = case.trace, {leg: own.score for leg, own in told.items()}
    profile, dominant = profile_of(scores), signs.leading(scores)
    interventions: tuple[TrustIntervention, ...] = ()
    if dominant != "none-observed":
        touched = {leg for leg in LEGS if scores[leg] >= 0.1}
        interventions = talk.proposed(answers, "legs", texts.COMPOSITION, profile, touched) or talk.advised(
            TrustIntervention, case.signals, texts.ADVICE, {leg for leg in LEGS if scores[leg] >= OBSERVED}
        )
    legs = tuple(
        LegWobble(leg, score, signs.gravity(score), told[leg].explanation, told[leg].quotes[:6], confidence)
        for leg, score in zip(LEGS, scores.values(), strict=True)
    )
    payload = {"leg_scores": scores, "dominant_wobble": dominant}
    ranked = sorted(told.values(), key=lambda own: -own.score)
    return TrustTriangleAudit(
        cast("Dominant", dominant),
        scores,
        legs,
        interventions,
        level_of(scores),
        trace.agent_id,
        trace.model_name,
        trace.success,
        banded(max(scores.values()), signs.BANDS),
        profile,
        **(audits_of(case, events) if case.mode == "forensic" else {}),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=signs.each_once([*(proof for own in ranked for proof in own.proofs), *lapses]),
        confidence=confidence,
    )


def happened(case: Case[AgentInteractionTrace]) -> Mapping[str, int]:
    """The events of the audits as the signals show them."""
    seen, steps = Counter(one.name for one in case.signals), case.reading.steps
    felt = sum(step.kind == "user" and talk.FEELING.search(step.content) is not None for step in steps)
    objections = sum(texts.objects(step) for step in steps[1:])
    return {
        "ungrounded": seen["vague_claims"] + seen["hidden_limits"],
        "contradicted": seen["hallucinated_facts"] + seen["broken_reasoning"] + seen["math_errors"],
        "sycophantic": seen["sycophancy"],
        "pushback": max(0, objections - seen["sycophancy"]),
        "missed": min(felt, seen["missed_emotional_cues"]) + seen["ignored_user_intent"],
        "addressed": max(0, felt - seen["missed_emotional_cues"]),
    }


def audits_of(case: Case[AgentInteractionTrace], events: Mapping[str, int]) -> dict[str, Any]:
    """The three audits; every estimate is a share of what was counted."""
    kinds = (texts.ClaimKind, texts.PressureKind, texts.CueKind)
    u, c, s, p, m, a = (events.get(kind, 0) for register in kinds for kind in get_args(register))
    turns = sum(step.kind == "agent" for step in case.reading.steps)
    return {
        "hallucination_audit": HallucinationAudit(
            u, c, round(min(1.0, (u + c) / max(1, turns)), 4), f"{u + c} such claims in {turns} turns of the agent."
        ),
        "sycophancy_audit": SycophancyAudit(
            s, p, round(s / max(1, s + p), 4), f"Gave way {s} times and held on {p} times."
        ),
        "context_sensitivity_audit": ContextSensitivityAudit(
            m, a, round(a / (a + m), 4) if a + m else 0.5, f"Took up {a} of {a + m} signals of the user."
        ),
    }


PATTERN = Pattern(
    name="trust_triangle", number=18, friendly="Trust Triangle Audit", group="Module 2 / Team",
    summary="Finds which leg of trust wobbles in a conversation: sound logic, being real, or care for the other.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentInteractionTrace, detection=TrustTriangleAudit,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION, non_blank=("outcome", "task"),
    preconditions=not_empty("turns"),
)  # fmt: skip
