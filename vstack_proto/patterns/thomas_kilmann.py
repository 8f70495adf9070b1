"""Thomas-Kilmann: how did the agent meet conflict, and was that the way the situation asked for?"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import msgspec

from vstack_proto.patterns import shapes, signs
from vstack_proto.patterns import thomas_kilmann_passes as passes
from vstack_proto.patterns import thomas_kilmann_signs as rules
from vstack_proto.patterns import thomas_kilmann_texts as texts
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    banded,
    facts,
    not_empty,
    paired_playbooks,
)
from vstack_proto.patterns.thomas_kilmann_numbers import Observed, Profile, Stance
from vstack_proto.patterns.thomas_kilmann_passes import StyleRecommendation
from vstack_proto.patterns.thomas_kilmann_signs import asked_for
from vstack_proto.patterns.thomas_kilmann_texts import STYLES, Style
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Thomas, K. W.; Kilmann, R. H.", "1974", "Thomas-Kilmann Conflict Mode Instrument"),
    Source("Schwenk, C. R.", "1990", "Effects of devil's advocacy"),
    Source(
        "Sharma, M. et al.", "2023", "Towards Understanding Sycophancy in Language Models (arXiv:2310.13548)"
    ),
)  # fmt: skip


class Turn(shapes.Dated, frozen=True):
    """One turn of the conversation."""

    role: signs.Role
    content: str
    timestamp: dt.datetime | None = None
    metadata: dict[str, Any] = {}


class AgentInteractionTrace(msgspec.Struct, frozen=True):
    """A conversation in which concerns may differ."""

    task: str
    turns: tuple[Turn, ...]
    outcome: str
    success: bool
    agent_id: str | None = None
    model_name: str | None = None
    framework: str | None = None
    task_category: str | None = None
    metadata: dict[str, Any] = {}


class StyleEvidence(msgspec.Struct, frozen=True):
    """How strongly one style shows."""

    style: Style
    score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class StyleFitAudit(msgspec.Struct, frozen=True):
    """What the situation asked for; the fit is what the mismatch leaves, and a mismatch that did no harm costs half."""

    task_category_inferred: str | None = None
    optimal_style_inferred: str | None = None
    fit_score: Share = 0.5
    cost_of_mismatch_estimate: Share = 0.0
    explanation: str = ""


class PatternConsistencyAudit(msgspec.Struct, frozen=True):
    """The styles of the early and the late turns that show one; the estimate is the leading style's share of all."""

    early_dominant_style: str | None = None
    late_dominant_style: str | None = None
    style_flips: Count = 0
    consistency_estimate: Share = 0.5
    explanation: str = ""


class ConflictStyleSelection(Detection, frozen=True):
    """The style the agent showed, the one that was asked for, and how far apart they are."""

    observed_style: Observed
    optimal_style: Style
    style_mismatch: Share
    assertiveness_score: Share
    cooperativeness_score: Share
    observed_style_scores: dict[str, float]
    style_evidence: tuple[StyleEvidence, ...]
    rationale: str
    recommendations: tuple[StyleRecommendation, ...]
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    style_fit_audit: StyleFitAudit | None = None
    pattern_consistency_audit: PatternConsistencyAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.StylePlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentInteractionTrace:
    """One turn a step. ``metadata`` may hold ``agent_id``, ``model_name`` and ``task_category``.

    Where ``agent_id`` names one of several speakers, the other agents are the other side; else all of them are read
    as one agent. An unknown ``success`` counts as not successful.
    """
    own = signs.carried(canonical.metadata, AgentInteractionTrace, "agent_id", "model_name", "task_category")
    known = own.get("agent_id") in {step.agent for step in canonical.steps}
    turns = []
    for step in canonical.steps:
        role = signs.role_of(step)
        if role == "agent" and known and step.agent != own["agent_id"]:
            role = "user"
        turns.append(Turn(role, step.content, step.timestamp, {**step.metadata, "agent": step.agent}))
    return AgentInteractionTrace(
        canonical.goal, tuple(turns), canonical.outcome, canonical.success is True,
        framework=canonical.framework, metadata=canonical.metadata, **own,
    )  # fmt: skip


def read(trace: AgentInteractionTrace) -> Reading:
    """Facts, then the turns; a turn's kind is its role."""
    known = facts(trace, "task", "outcome", "success", "task_category", "agent_id", "model_name")
    return Reading(tuple(known), tuple(Step(_speaker(trace, turn), turn.role, turn.content) for turn in trace.turns))


def _speaker(trace: AgentInteractionTrace, turn: Turn) -> str:
    name = turn.metadata.get("agent")
    if isinstance(name, str) and name:
        return name
    return trace.agent_id or "agent" if turn.role == "agent" else turn.role


def signals(trace: AgentInteractionTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by style: words of the agent's turns, and changes of position that the client marked."""
    found = [*signs.find(reading, rules.RULES)]
    marked = [n for n, t in enumerate(trace.turns) if t.role == "agent" and t.metadata.get("changed_position") is True]
    for number in marked[: signs.MAX_OF_A_RULE]:
        content = trace.turns[number].content
        if not rules.REASON.search(content):
            claim = f"{reading.steps[number].agent} changes its position and gives no reason"
            found.append(Signal("accommodating", claim, (number,), signs.first_line(content), 0.45))
    return signs.strongest(signal for signal in found if signal.quote)


def assess_offline(case: Case[AgentInteractionTrace]) -> ConflictStyleSelection:
    """From telling words of the agent's turns and the words of the task."""
    return conclude(case, {})


def conclude(case: Case[AgentInteractionTrace], answers: Answers) -> ConflictStyleSelection:
    """Scores as far as quotations bear them out; axes, mismatch, observed style and labels are computed."""
    trace, (judged, stance, asked) = case.trace, passes.judged_of(case, answers)
    audit: passes.AuditAnswer | None = answers.get("audit")
    shown = [style for style in STYLES if stance.scores[style] >= signs.SHOWS]
    # Without a model the proofs are the signals already.
    seen = [signal for signal in case.signals if signal.name in shown] if "styles" in answers else []
    proofs = [proof for style in shown for proof in judged[style].proofs]
    heard = case.ground(audit.evidence) if audit else ()
    evidence = signs.each_once([*proofs, *heard, *signs.proofs(case, seen), *asked.proofs])
    chosen = _recommended(case, answers, stance) if passes.off(stance) else ()
    sure = signs.confidence(case.signals, len(trace.turns))
    if "styles" in answers:
        sure = min(0.9, sure + 0.1 + 0.02 * len(proofs))
    if asked.agreed is not None:
        # Two readings that agree are surer than one, and two that differ less.
        sure = min(0.9, sure + 0.05 if asked.agreed else sure - 0.1)
    payload = {"observed_style": stance.observed, "optimal_style": stance.optimal, "style_mismatch": stance.mismatch}
    target = _target(stance)
    return ConflictStyleSelection(
        observed_style=stance.observed,
        optimal_style=stance.optimal,
        style_mismatch=stance.mismatch,
        assertiveness_score=stance.assertiveness,
        cooperativeness_score=stance.cooperativeness,
        observed_style_scores=stance.scores,
        style_evidence=tuple(
            StyleEvidence(style, one.score, one.explanation, one.quotes, round(sure, 2))
            for style, one in zip(STYLES, judged.values(), strict=True)
        ),
        rationale=_rationale(trace, stance, answers, asked),
        recommendations=chosen,
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        success=trace.success,
        severity=banded(stance.mismatch, signs.BANDS),
        profile_pattern=stance.profile,
        style_fit_audit=_fit(trace, stance, f"{audit.fit if audit else ''} {asked.told}"),
        pattern_consistency_audit=_consistency(case, judged, audit.consistency if audit else ""),
        attached_playbooks=paired_playbooks(
            texts.PLAYBOOKS, texts.ATTACH, [(target, one.intervention_type) for one in chosen]
        ),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": stance.profile}, trace.framework, payload),
        evidence=evidence,
        confidence=round(sure, 2),
    )


def _target(stance: Stance) -> str:
    """The style whose playbooks apply; the contract files that of a mixed style under avoiding."""
    return "avoiding" if stance.observed == "mixed" else stance.observed


# What to do about a style out of place: the intervention whose playbook is attached.
FIRST: dict[Observed, texts.Kind] = {
    "competing": "style_router", "accommodating": "calibrate_assertiveness", "avoiding": "task_specific_persona",
    "compromising": "context_classifier", "collaborating": "style_router", "mixed": "prompt_patch",
}  # fmt: skip


def _recommended(case: Case[Any], answers: Answers, stance: Stance) -> tuple[StyleRecommendation, ...]:
    told = getattr(answers.get("recommendations", answers.get("styles")), "recommendations", ())
    target, kind = _target(stance), FIRST[stance.observed]
    book = next(one for one in texts.PLAYBOOKS if (one.style, one.failure_mode) == (target, texts.ATTACH[target, kind]))
    turns = [signal.steps[0] for signal in case.signals if stance.observed in (signal.name, "mixed")]
    why = f"{stance.observed} where {stance.optimal} was asked for" + (f", {signs.listed(turns)}" if turns else "")
    weight, effort = signs.impact(stance.mismatch), book.expected_effort
    own = StyleRecommendation(
        kind,
        description=f"{book.title}.",
        suggested_implementation=" ".join(book.steps),
        estimated_impact=weight,
        rationale=why,
        effort_estimate=effort,
        risk="low",
    )
    return signs.adopted(told, texts.COMPOSITION, stance.profile) or (own,)


def _rationale(trace: AgentInteractionTrace, stance: Stance, answers: Answers, asked: passes.Asked) -> str:
    told = answers["styles"].rationale.strip() if "styles" in answers else ""
    if asked.agreed is False:
        # The first reading argues for another style than the one that the detection names.
        told = asked.told
    if max(stance.scores.values()) < signs.SHOWS:
        return told or "No turn of the agent shows how it meets conflict; nothing is held against it."
    said = (
        f"Observed {stance.observed} (assertiveness {stance.assertiveness:.2f}, cooperativeness "
        f"{stance.cooperativeness:.2f}); {stance.optimal} was asked for"
    )
    return f"{told} {said}.".strip() if told else f"{said}: {asked_for(trace.task, trace.task_category)[1]}."


def _fit(trace: AgentInteractionTrace, stance: Stance, told: str) -> StyleFitAudit:
    cost = stance.mismatch if not trace.success else stance.mismatch / 2
    said = f"{stance.observed} against {stance.optimal}, {stance.mismatch:.2f} apart."
    category = trace.task_category or asked_for(trace.task, trace.task_category)[1]
    fit = round(1 - stance.mismatch, 4)
    return StyleFitAudit(category, stance.optimal, fit, round(cost, 4), f"{told.strip()} {said}".strip())


def _consistency(case: Case[Any], judged: Mapping[str, signs.Judged], told: str) -> PatternConsistencyAudit:
    """Each turn that a proof or signal stands on shows the style of its weightiest one."""
    weights: dict[int, Counter[str]] = {}
    marks = [(signal.steps[0], signal.name, signal.weight) for signal in case.signals]
    marks += [(n, style, one.score) for style, one in judged.items() for proof in one.proofs for n in proof.steps]
    for number, style, weight in marks:
        own = weights.setdefault(number, Counter())
        own[style] = max(own[style], cast("int", weight))
    shown = [weights[number].most_common(1)[0][0] for number in sorted(weights)]
    if not shown:
        return PatternConsistencyAudit(explanation=told.strip() or "No turn shows a style.")
    half = (len(shown) + 1) // 2
    early, late = (Counter(part).most_common(1)[0][0] for part in (shown[:half], shown[half:] or shown))
    flips = sum(a != b for a, b in pairwise(shown))
    share = round(Counter(shown).most_common(1)[0][1] / len(shown), 4)
    said = f"{len(shown)} turns show a style, {flips} times another than the one before."
    return PatternConsistencyAudit(early, late, flips, share, f"{told.strip()} {said}".strip())


PATTERN = Pattern(
    name="thomas_kilmann", number=29, friendly="Thomas-Kilmann Conflict", group="Module 2 / Team",
    summary="Finds how an agent meets conflict, and whether another style would have served the situation better.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentInteractionTrace, detection=ConflictStyleSelection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=passes.PASSES,
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("task", "outcome"), preconditions=not_empty("turns"),
)  # fmt: skip
