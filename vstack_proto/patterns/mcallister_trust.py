"""McAllister trust: does an agent earn trust by competence, by care, or by both?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from vstack_proto.patterns import mcallister_trust_texts as texts
from vstack_proto.patterns import shapes, signs, talk
from vstack_proto.patterns.common import (
    Answer,
    Answers,
    BaselineComparison,
    Case,
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
from vstack_proto.patterns.mcallister_trust_texts import BUILDS, SPENDS, BalancePlaybook, Dimension, Kind
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source(
        "McAllister, D. J.",
        "1995",
        "Affect- and Cognition-Based Trust as Foundations for Interpersonal Cooperation in Organizations",
    ),
    Source("Goleman, D.", "1995", "Emotional Intelligence"),
    Source("Frei, F. X.; Morriss, A.", "2020", "Begin with Trust"),
)

DIMENSIONS: tuple[Dimension, ...] = ("cognitive", "affective")
Dominant = Literal["cognitive", "affective", "balanced", "neither"]
Quality = Literal["balanced-trust", "cognitive-only", "warm-but-incompetent", "low-trust"]
Profile = Literal[
    "balanced_high_trust", "cognitive_only", "warm_but_incompetent", "low_trust", "cognitive_partial",
    "affective_partial", "asymmetric_cognitive_strong", "indeterminate",
]  # fmt: skip


class TrustTurn(shapes.Dated, frozen=True):
    """One turn; ``metadata`` may name its speaker as ``agent``."""

    role: Literal["user", "agent", "system"]
    content: str
    timestamp: shapes.Moment | None = None
    metadata: dict[str, Any] = {}


class TrustConversationTrace(msgspec.Struct, frozen=True):
    """A conversation with an agent, and how content the user was, from 0 to 1."""

    task: str
    turns: tuple[TrustTurn, ...]
    outcome: str
    success: bool
    agent_id: str | None = None
    model_name: str | None = None
    framework: str | None = None
    user_satisfaction: Share | None = None
    cost_usd: float | None = None
    latency_seconds: float | None = None
    metadata: dict[str, Any] = {}


class DimensionScore(msgspec.Struct, frozen=True):
    """How far one kind of trust is built, from 0 to 1, and how grave the gap is."""

    dimension: Dimension
    score: Share
    severity_of_gap: signs.Gravity
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class BalanceIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change that builds trust."""

    target_dimension: Dimension
    intervention_type: Kind


class TrustBalanceDetection(Detection, frozen=True):
    """Which trust is built, which is lacking, and what builds it."""

    dominant_dimension: Dominant
    dimension_scores: dict[str, float]
    dimensions: tuple[DimensionScore, ...]
    trust_balance: float
    trust_quality: Quality
    interventions: tuple[BalanceIntervention, ...]
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    competence_audit: texts.CompetenceAudit | None = None
    care_audit: texts.CareAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[BalancePlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> TrustConversationTrace:
    """One turn a step; calls and results of tools have no part in the talk and count as the system's."""
    carried = ("agent_id", "model_name", "user_satisfaction", "cost_usd", "latency_seconds")
    return TrustConversationTrace(
        canonical.goal,
        tuple(
            TrustTurn(
                role if (role := signs.role_of(step)) in ("user", "agent") else "system",
                step.content,
                step.timestamp,
                {**step.metadata, "agent": step.agent},
            )
            for step in canonical.steps
        ),
        canonical.outcome,
        canonical.success is True,
        framework=canonical.framework,
        metadata=canonical.metadata,
        **signs.carried(canonical.metadata, TrustConversationTrace, *carried),
    )


def read(trace: TrustConversationTrace) -> Reading:
    """The task and how it ended, then the turns, each with its role."""
    known = facts(trace, "task", "outcome", "success", "agent_id", "model_name", "framework", "user_satisfaction")
    steps = (Step(str(turn.metadata.get("agent") or turn.role), turn.role, turn.content) for turn in trace.turns)
    return Reading(tuple(known), tuple(steps))


def signals(trace: TrustConversationTrace, reading: Reading) -> tuple[Signal, ...]:
    """What builds and what spends trust; a signal is named after what it builds by, or after its failure mode."""
    return signs.strongest((*signs.find(reading, texts.RULES), *texts.by_course(reading)))


LABEL_OF: dict[str, str] = {**BUILDS, **SPENDS}


def standing(case: Case[TrustConversationTrace]) -> dict[str, float]:
    """How far the signals show each trust to stand: built up from what is given, then spent by the lapses.

    A low satisfaction of the user lowers it further: the affective trust where the task succeeded all the same, mostly
    the cognitive one where it did not.
    """
    plain = talk.standing(case.signals, BUILDS, SPENDS, DIMENSIONS)
    content = case.trace.user_satisfaction
    lack = max(0.0, 1 - 2 * content) if content is not None else 0.0
    share = {"cognitive": 0.0, "affective": 0.4} if case.trace.success else {"cognitive": 0.4, "affective": 0.2}
    return {name: round(plain[name] * (1 - share[name] * lack), 4) for name in DIMENSIONS}


def dominant_of(cognitive: float, affective: float) -> Dominant:
    """Which trust leads."""
    if max(cognitive, affective) < 0.2:
        return "neither"
    if abs(cognitive - affective) < 0.1:
        return "balanced"
    return "cognitive" if cognitive > affective else "affective"


def quality_of(cognitive: float, affective: float) -> Quality:
    """The contract's rules; the first that holds. A pair between its bands goes by the larger."""
    if max(cognitive, affective) < 0.3:
        return "low-trust"
    if min(cognitive, affective) >= 0.5:
        return "balanced-trust"
    return "cognitive-only" if cognitive >= affective else "warm-but-incompetent"


def profile_of(cognitive: float, affective: float) -> Profile:
    """The contract's rules, by the quality."""
    quality = quality_of(cognitive, affective)
    if quality == "balanced-trust":
        return "balanced_high_trust"
    if quality == "low-trust":
        return "low_trust"
    if quality == "warm-but-incompetent":
        return "affective_partial" if affective >= 0.5 and cognitive >= 0.3 else "warm_but_incompetent"
    if cognitive >= 0.7 and affective < 0.2:
        return "asymmetric_cognitive_strong"
    return "cognitive_partial" if cognitive >= 0.5 and affective >= 0.3 else "cognitive_only"


def assess_offline(case: Case[TrustConversationTrace]) -> TrustBalanceDetection:
    """From the signals alone."""
    told = signs.assessed(case, LABEL_OF, standing(case), "Nothing in the turns builds or spends {label} trust.")
    sure = signs.confidence(case.signals, len(case.reading.steps))
    return _detection(case, told, {}, sure, texts.happened(case), ())


class DimensionsAnswer(Answer, frozen=True):
    """Both dimensions."""

    dimensions: tuple[texts.DimensionFinding, ...]


class QuickAnswer(DimensionsAnswer, frozen=True):
    """All in one call."""

    interventions: tuple[BalanceIntervention, ...]


class InterventionsAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[BalanceIntervention, ...]


def findings(answers: Answers) -> list[talk.Finding]:
    """What the model found of each dimension."""
    return [(one.dimension, one.score, one.explanation, one.evidence) for one in answers["dimensions"].dimensions]


def as_told(answers: Answers) -> dict[str, float]:
    """The scores of an answer before its quotations are looked up."""
    return talk.highest(findings(answers), DIMENSIONS)


def unbalanced(case: Case[Any], answers: Answers) -> bool:
    """Where both trusts stand, no model is asked what to change."""
    return quality_of(**as_told(answers)) != "balanced-trust"


CHANGING = Pass(
    "interventions",
    InterventionsAnswer,
    lambda case, answers: texts.ASK_SCORED.format(**as_told(answers)) + texts.ASK_INTERVENTIONS,
    unbalanced,
)
SCORING = Pass("dimensions", DimensionsAnswer, asks(texts.ASK_DIMENSIONS))
REGISTERS = (
    Pass("competence", talk.Events[texts.CompetenceKind], asks(texts.ASK_COMPETENCE)),
    Pass("care", talk.Events[texts.CareKind], asks(texts.ASK_CARE)),
)
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("dimensions", QuickAnswer, asks(f"{texts.ASK_DIMENSIONS}\n\n{texts.ASK_INTERVENTIONS}")),),
    "standard": (SCORING, CHANGING),
    "forensic": (SCORING, *REGISTERS, CHANGING),
}


def conclude(case: Case[TrustConversationTrace], answers: Answers) -> TrustBalanceDetection:
    """Scores as far as quotations bear them out; a dimension without a finding has no trust, as the contract says."""
    told = talk.heard(case, findings(answers), LABEL_OF, standing(case))
    sure = round(min(0.9, 0.5 + 0.05 * sum(len(one.proofs) for one in told.values())), 2)
    counts, lapses = talk.tally(case, answers, REGISTERS, texts.LAPSES, texts.happened(case))
    return _detection(case, told, answers, sure, counts, lapses)


def _detection(
    case: Case[TrustConversationTrace],
    told: Mapping[str, signs.Judged],
    answers: Answers,
    confidence: float,
    counts: Mapping[str, int],
    lapses: tuple[Evidence, ...],
) -> TrustBalanceDetection:
    trace, scores = case.trace, {name: own.score for name, own in told.items()}
    cognitive, affective = scores["cognitive"], scores["affective"]
    profile, quality = profile_of(**scores), quality_of(**scores)
    wanting = {name for name in DIMENSIONS if scores[name] <= talk.SOUND}
    interventions = talk.proposed(answers, "dimensions", texts.COMPOSITION, profile, wanting)
    interventions = interventions or talk.advised(BalanceIntervention, case.signals, texts.ADVICE, wanting)
    payload = {"dimension_scores": scores, "trust_quality": quality}
    ranked = sorted(told.values(), key=lambda own: own.score)
    return TrustBalanceDetection(
        dominant_of(**scores),
        scores,
        tuple(
            DimensionScore(
                name,
                scores[name],
                signs.gravity(1 - scores[name]),
                told[name].explanation,
                told[name].quotes[:6],
                confidence,
            )
            for name in DIMENSIONS
        ),
        round(cognitive - affective, 2),
        quality,
        interventions,
        trace.agent_id,
        trace.model_name,
        trace.success,
        banded(round(1 - min(cognitive, affective), 9), signs.BANDS),
        profile,
        **(texts.audits_of(counts) if case.mode == "forensic" else {}),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=signs.each_once([*(proof for own in ranked for proof in own.proofs), *lapses]),
        confidence=confidence,
    )


PATTERN = Pattern(
    name="mcallister_trust", number=19, friendly="McAllister Trust Balance", group="Module 2 / Team",
    summary="Finds whether an agent earns trust by competence, by care or by both, and where a gap opens.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=TrustConversationTrace, detection=TrustBalanceDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION, non_blank=("outcome", "task"),
    preconditions=not_empty("turns"),
)  # fmt: skip
