"""Strengths as weaknesses: which of an agent's virtues went too far, and what harm came of it?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec

from vstack_proto.patterns import grant_strengths_signs as rules
from vstack_proto.patterns import grant_strengths_texts as texts
from vstack_proto.patterns import observed, shapes, signs, talk
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Count,
    Detection,
    Evidence,
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
    not_empty,
)
from vstack_proto.patterns.grant_strengths_signs import (
    STRENGTHS,
    Dominant,
    Position,
    Profile,
    Quality,
    dominant_of,
    position_of,
    profile_of,
    quality_of,
    severity_of,
)
from vstack_proto.patterns.grant_strengths_texts import COMPLEMENT, STRENGTH_OF, Strength, StrengthIntervention
from vstack_proto.patterns.signs import Gravity
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Grant, A. M.; Schwartz, B.", "2011", "Too Much of a Good Thing"),
    Source("Grant, A. M.", "2013", "Give and Take"),
    Source("Grant, A. M.", "2016", "Originals"),
    Source("Grant, A. M.", "2021", "Think Again"),
    Source("Kaiser, R. B.; Kaplan, R. E.", "2009", "When strengths become weaknesses"),
    Source("Vergauwe, J.; Wille, B.; Hofmans, J.; Kaiser, R. B.; De Fruyt, F.", "2017",
           "The Double-Edged Sword of Leader Charisma"),
    Source("Bai, Y. et al.", "2022", "Constitutional AI (arXiv:2212.08073)"),
    Source("Sharma, M. et al.", "2023", "Towards Understanding Sycophancy in Language Models (arXiv:2310.13548)"),
    Source("Casper, S. et al.", "2023", "Open Problems and Fundamental Limitations of RLHF (arXiv:2307.15217)"),
)  # fmt: skip

StepType = Literal["input", "thought", "tool_call", "observation", "decision", "output", "refusal"]
TaskClass = Literal["high_stakes", "tool_use", "customer_facing", "creative", "code_review", "research", "general"]


class BehaviorStep(shapes.Dated, frozen=True):
    """One step; ``metadata`` may name its ``agent``."""

    type: StepType
    content: str
    timestamp: shapes.Moment | None = None
    metadata: dict[str, Any] = {}


class AgentBehaviorTrace(msgspec.Struct, frozen=True):
    """What an agent did, step by step, and whether harm is visible."""

    task: str
    steps: tuple[BehaviorStep, ...]
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    harm_visible: bool = False
    framework: str | None = None
    task_class: TaskClass = "general"
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    metadata: dict[str, Any] = {}


class StrengthScore(msgspec.Struct, frozen=True):
    """How far one strength is overused, and where on the inverted U that is."""

    strength: Strength
    overuse_score: Share
    severity: Gravity
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    inverted_u_position: Position = "healthy"
    under_use_score: Share = 0.0


class PairedAudit(msgspec.Struct, frozen=True):
    """A strength and what keeps it in bounds; out of balance as far as the one is over- and the other under-used."""

    primary_strength: Strength
    complement_strength: Strength
    primary_position: Position
    complement_position: Position
    imbalance_score: Share = 0.0
    explanation: str = ""


class HarmCausationLink(msgspec.Struct, frozen=True):
    """A step of the reading that led to the harm."""

    step_index: Count
    strength: Strength
    action_type: texts.Action
    observed_consequence: str = ""
    severity: Severity = "moderate"


class StrengthBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    baseline_dominant_overuse: str | None = None
    baseline_profile_pattern: str | None = None
    strength_score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class StrengthOveruseDetection(Detection, frozen=True):
    """Which strength went too far, and what keeps it in bounds."""

    dominant_overuse: Dominant
    strength_scores: dict[str, float]
    strengths: tuple[StrengthScore, ...]
    harm_caused: Gravity
    overuse_quality: Quality
    interventions: tuple[StrengthIntervention, ...]
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    paired_audits: tuple[PairedAudit, ...] = ()
    harm_causation_chain: tuple[HarmCausationLink, ...] = ()
    baseline: StrengthBaseline | None = None
    attached_playbooks: tuple[texts.StrengthPlaybook, ...] = ()


TYPE_OF: dict[str, StepType] = {
    "user": "input", "system": "input", "tool": "tool_call", "observation": "observation", "agent": "output"
}  # fmt: skip


def from_trace(canonical: CanonicalTrace) -> AgentBehaviorTrace:
    """One step a step, by its type where the contract knows it, else by who speaks; ``metadata`` may carry more."""
    steps = []
    for one in canonical.steps:
        kind = next((name for name in get_args(StepType) if name == one.type.strip().lower()), None)
        kind = kind or TYPE_OF[signs.role_of(one)]
        steps.append(BehaviorStep(kind, one.content, one.timestamp, {**one.metadata, "agent": one.agent}))
    names = ("agent_id", "model_name", "harm_visible", "task_class", "run_count")
    return AgentBehaviorTrace(
        canonical.goal,
        tuple(steps),
        canonical.outcome,
        success=canonical.success is True,
        framework=canonical.framework,
        metadata=canonical.metadata,
        **signs.carried(canonical.metadata, AgentBehaviorTrace, *names),
    )


def read(trace: AgentBehaviorTrace) -> Reading:
    """Facts, then the steps, each with its type."""
    facts = [*observed.facts(trace), ("harm visible", "yes" if trace.harm_visible else "not reported")]
    name = trace.agent_id or "agent"
    return Reading(
        tuple(facts), tuple(Step(str(one.metadata.get("agent") or name), one.type, one.content) for one in trace.steps)
    )


def signals(trace: AgentBehaviorTrace, reading: Reading) -> tuple[Signal, ...]:
    """Words, types and the order of steps; each named by its failure mode."""
    same = "Step {step}: {agent} goes over the same a third time and learns nothing new."
    thought = observed.repeated("analysis_paralysis", same, 0.35, reading, lambda step: step.kind == "thought")
    found = signs.find(reading, texts.RULES)
    dry = [one.metadata.get("dry_run") is True for one in trace.steps]
    done = rules.acts(reading, trace.task, dry)
    return signs.strongest((*found, *thought, *done, *rules.claims(reading, trace.task, trace.harm_visible)))


def _judged(case: Case[Any], answers: Answers) -> dict[str, signs.Judged]:
    shown = signs.weigh(signs.under(case.signals, STRENGTH_OF), STRENGTHS)
    if "strengths" not in answers:
        return signs.assessed(case, STRENGTH_OF, shown, "Nothing shows too much {label}.")
    found = [(one.strength, one.score, one.explanation, one.evidence) for one in answers["strengths"].strengths]
    return talk.heard(case, found, STRENGTH_OF, shown, floor=0.1)


def _harm(case: Case[AgentBehaviorTrace], answers: Answers) -> tuple[Gravity, tuple[Evidence, ...]]:
    """How grave the harm is: a model's word where the client saw harm or a quotation bears it out."""
    told: texts.StrengthsAnswer | None = answers.get("strengths")
    if told is None:
        return ("medium" if case.trace.harm_visible else "none"), ()
    stands = case.ground(told.harm_evidence)
    return (told.harm if case.trace.harm_visible or stands else "none"), stands if told.harm != "none" else ()


def goes_too_far(case: Case[Any], answers: Answers) -> bool:
    """What is in bounds and did no harm needs no change."""
    apart = case.aside()
    peak = max(one.score for one in _judged(apart, answers).values())
    return quality_of(peak) != "healthy" or _harm(apart, answers)[0] != "none"


def harmed(case: Case[Any], answers: Answers) -> bool:
    """Without harm there is nothing to trace back."""
    return bool(case.trace.harm_visible) or _harm(case.aside(), answers)[0] != "none"


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given the scores."""
    apart = case.aside()
    found = ", ".join(f"{label} {one.score:.2f}" for label, one in _judged(apart, answers).items())
    return texts.ASK_REMEDY.format(found=found, harm=_harm(apart, answers)[0]) + texts.ASK_CHANGES


SCORING = Pass("strengths", texts.StrengthsAnswer, asks(texts.ASK_STRENGTHS))
PAIRS = Pass("pairs", texts.PairsAnswer, asks(texts.PAIRS_TASK))
HARM = Pass("harm", texts.HarmAnswer, asks(texts.ASK_HARM), harmed)
CHANGES = Pass("interventions", texts.ChangesAnswer, ask_changes, goes_too_far)


def assess_offline(case: Case[AgentBehaviorTrace]) -> StrengthOveruseDetection:
    """From words, types and the order of steps alone."""
    return conclude(case, {})


def conclude(case: Case[AgentBehaviorTrace], answers: Answers) -> StrengthOveruseDetection:
    """Scores as far as quotations bear them out; positions, pairs, profile and severity are computed."""
    trace, judged = case.trace, _judged(case, answers)
    scores = {label: one.score for label, one in judged.items()}
    harm, proofs = _harm(case, answers)
    under = _under(case, answers, scores)
    positions: dict[str, Position] = {one: position_of(scores[one], under[one]) for one in STRENGTHS}
    forensic = case.mode == "forensic"
    pairs = tuple(_pair(one, scores, under, positions) for one in STRENGTHS) if forensic else ()
    peak, dominant = max(scores.values()), dominant_of(scores)
    worst = max((one.imbalance_score for one in pairs), default=0.0)
    profile = profile_of(scores, harm, worst, "under_used" in positions.values())
    sure = signs.confidence(case.signals, len(case.reading.steps))
    if "strengths" in answers:
        sure = round(min(0.9, sure + 0.1 + 0.02 * sum(len(one.proofs) for one in judged.values())), 2)
    interventions = _interventions(case, answers, scores, harm, profile)
    kinds = [one.intervention_type for one in interventions]
    labels, payload = {"profile_pattern": profile, "dominant": dominant}, {"strength_scores": scores, "harm": harm}
    ranked = sorted(judged.values(), key=lambda one: -one.score)
    return StrengthOveruseDetection(
        dominant,
        scores,
        tuple(
            StrengthScore(
                one, scores[one], signs.gravity(scores[one]), judged[one].explanation, judged[one].quotes[:6], sure,
                positions[one], under[one],
            ) for one in STRENGTHS
        ),
        harm, quality_of(peak), interventions, trace.agent_id, trace.model_name, trace.success,
        severity_of(peak, harm), profile, pairs, _chain(case, answers, scores) if forensic and harm != "none" else (),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=signs.each_once([*(proof for one in ranked for proof in one.proofs), *proofs]),
        confidence=sure,
    )  # fmt: skip


def _under(case: Case[Any], answers: Answers, scores: Mapping[str, float]) -> dict[str, float]:
    """What was used too little: a model's word where a quotation bears it out, else what the modes neglect."""
    told: texts.PairsAnswer | None = answers.get("pairs")
    seen = [one for one in case.signals if one.name in texts.NEGLECTS and scores[STRENGTH_OF[one.name]] >= signs.SHOWS]
    shown = signs.weigh(signs.under(seen, texts.NEGLECTS), STRENGTHS)
    if told is None:
        return shown
    found = {one: [each for each in told.under_used if each.strength == one] for one in STRENGTHS}
    return {
        one: signs.judge(case, ((each.score, each.explanation, each.evidence) for each in found[one]), shown[one]).score
        for one in STRENGTHS
    }


def _pair(
    first: Strength, over: Mapping[str, float], under: Mapping[str, float], positions: Mapping[str, Position]
) -> PairedAudit:
    second = COMPLEMENT[first]
    # Out of balance only where both ends show: too much of the one and too little of the other.
    imbalance = min(over[first], under[second])
    told = f"{first} is overused by {over[first]:.2f}, {second} missing by {under[second]:.2f}."
    return PairedAudit(first, second, positions[first], positions[second], imbalance, told)


def _interventions(
    case: Case[Any], answers: Answers, scores: Mapping[str, float], harm: Gravity, profile: Profile
) -> tuple[StrengthIntervention, ...]:
    if quality_of(max(scores.values())) == "healthy" and harm == "none":
        return ()
    showing = {one for one in STRENGTHS if scores[one] >= signs.SHOWS}
    computed = talk.advised(StrengthIntervention, case.signals, texts.ADVICE, showing)
    return talk.proposed(answers, "strengths", texts.COMPOSITION, profile, showing) or computed


def _chain(case: Case[Any], answers: Answers, scores: Mapping[str, float]) -> tuple[HarmCausationLink, ...]:
    """How the harm came about: by a model's links that stand, else by the signals in the order of their steps."""
    answer: texts.HarmAnswer | None = answers.get("harm")
    links = [
        HarmCausationLink(
            one.step, one.strength, one.action_type, one.observed_consequence, banded(one.gravity, signs.BANDS)
        )
        for one in (answer.links if answer else ())
        if case.quoted(one.quote, (one.step,)) is not None
    ]
    if not links:
        for one in case.signals:
            strength = next(name for name in STRENGTHS if name == STRENGTH_OF[one.name])
            after = case.reading.steps[one.steps[0] + 1 :][:1]
            seen = signs.first_line(after[0].content) if after and after[0].kind == "observation" else ""
            if scores[strength] >= signs.SHOWS:
                severity = banded(one.weight, signs.BANDS)
                links.append(HarmCausationLink(one.steps[0], strength, texts.ACTION_OF[strength], seen, severity))
    return tuple(sorted(links, key=lambda link: link.step_index))


PATTERN = Pattern(
    name="grant_strengths", number=8, friendly="Grant Strengths as Weaknesses", group="Module 1 / Individual",
    summary="Finds the strength that an agent took too far, the one that it neglected, and the harm that came of it.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentBehaviorTrace, detection=StrengthOveruseDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("strengths", texts.QuickAnswer, asks(texts.QUICK_TASK)),),
        "standard": (SCORING, CHANGES),
        "forensic": (SCORING, PAIRS, HARM, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("outcome", "task"), preconditions=not_empty("steps"),
)  # fmt: skip
