"""Lewin attribution: did the agent fail, did its surroundings fail it, or the two of them together?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from vstack_proto.patterns import lewin_signs as rules
from vstack_proto.patterns import lewin_texts as texts
from vstack_proto.patterns import shapes, signs
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Detection,
    Evidence,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Step,
    banded,
)  # fmt: skip
from vstack_proto.patterns.lewin_signs import ADVICE, LOCI, DominantLocus
from vstack_proto.patterns.lewin_texts import LewinIntervention, Locus, Mechanism
from vstack_proto.trace import CanonicalTrace


class LewinStep(shapes.Dated, frozen=True):
    """One thing that the agent met or did."""

    type: rules.StepType
    content: str
    timestamp: shapes.Moment | None = None
    metadata: dict[str, Any] = {}


class IndividualFactor(msgspec.Struct, frozen=True):
    """What the client believes of the agent itself."""

    factor: rules.IndividualName
    description: str
    factor_id: str | None = None
    confidence: Share = 0.5
    metadata: dict[str, Any] = {}


class EnvironmentalFactor(msgspec.Struct, frozen=True):
    """What the client believes of the agent's surroundings."""

    factor: rules.EnvironmentalName
    description: str
    factor_id: str | None = None
    confidence: Share = 0.5
    metadata: dict[str, Any] = {}


class CovarianceSignal(msgspec.Struct, frozen=True):
    """Kelley's three questions: do others fail here, does this agent fail elsewhere not, does it fail every time?"""

    consensus: rules.Covaries = "unknown"
    distinctiveness: rules.Covaries = "unknown"
    consistency: rules.Covaries = "unknown"
    notes: str = ""


class AgentFailureTrace(msgspec.Struct, frozen=True):
    """A run, with what its owner believes of the causes."""

    task: str
    steps: Annotated[tuple[LewinStep, ...], msgspec.Meta(min_length=1)]
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    individual_factors: tuple[IndividualFactor, ...] = ()
    environmental_factors: tuple[EnvironmentalFactor, ...] = ()
    initial_attribution: str | None = None
    covariance_signal: CovarianceSignal | None = None
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    metadata: dict[str, Any] = {}


class LocusEvidence(msgspec.Struct, frozen=True):
    """How far one locus explains the failure."""

    locus: Locus
    score: Share
    severity: Severity
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    factor_citations: tuple[str, ...] = ()
    counterfactual: str = ""
    gilbert_malone_mechanism: Mechanism = "none"


class LewinBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: shapes.Moment | None = None
    baseline_dominant_locus: str | None = None
    locus_score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class LewinDetection(Detection, frozen=True):
    """Where the failure came from."""

    dominant_locus: DominantLocus
    locus_scores: dict[str, float]
    loci: tuple[LocusEvidence, ...]
    interventions: tuple[LewinIntervention, ...]
    attribution_quality: rules.Quality
    agent_id: str | None = None
    model_name: str | None = None
    initial_attribution_correct: bool | None = None
    success: bool = False
    covariance_signal: CovarianceSignal | None = None
    baseline: LewinBaseline | None = None
    attached_playbooks: tuple[texts.LewinPlaybook, ...] = ()
    bias_mechanism: Mechanism = "none"


def from_trace(canonical: CanonicalTrace) -> AgentFailureTrace:
    """Every step with its type; ``metadata`` may hold the factors, the first attribution and the covariance.

    An unknown ``success`` counts as a failure: attribution asks for the cause of one.
    """
    held = signs.carried(
        canonical.metadata, AgentFailureTrace, "agent_id", "model_name", "individual_factors", "environmental_factors",
        "initial_attribution", "covariance_signal", "run_count",
    )  # fmt: skip
    return AgentFailureTrace(
        task=canonical.goal,
        steps=tuple(
            LewinStep(rules.type_of(step), step.content, step.timestamp, step.metadata | {"agent": step.agent})
            for step in canonical.steps
        ),
        outcome=canonical.outcome,
        success=canonical.success is True,
        framework=canonical.framework,
        metadata=canonical.metadata,
        **held,
    )


def read(trace: AgentFailureTrace) -> Reading:
    """Facts, among them the stated factors with the id to cite them by, then the steps."""
    facts = [("task", trace.task), ("outcome", trace.outcome), ("success", "yes" if trace.success else "no")]
    known = ("agent_id", "model_name", "framework", "initial_attribution")
    facts += [(name, value) for name in known if (value := getattr(trace, name))]
    stated = ((f"stated {side} factor {cited(factor)}", factor) for side, factor in factors(trace))
    facts += [(name, f"{f.factor} (held with confidence {f.confidence:g}): {f.description}") for name, f in stated]
    if (seen := trace.covariance_signal) is not None:
        answers = f"consensus {seen.consensus}, distinctiveness {seen.distinctiveness}, consistency {seen.consistency}"
        facts.append(("covariance", f"{answers}. {seen.notes}".strip()))
    steps = (Step(str(s.metadata.get("agent") or trace.agent_id or "agent"), s.type, s.content) for s in trace.steps)
    return Reading(tuple(facts), tuple(steps))


Factor = IndividualFactor | EnvironmentalFactor


def factors(trace: AgentFailureTrace) -> list[tuple[Locus, Factor]]:
    """The stated factors with the locus each speaks for."""
    sides: list[tuple[Locus, tuple[Factor, ...]]] = [
        ("internal", trace.individual_factors), ("environmental", trace.environmental_factors)]  # fmt: skip
    return [(locus, factor) for locus, stated in sides for factor in stated]


def cited(factor: Factor) -> str:
    """The name by which a factor is cited."""
    return factor.factor_id or factor.factor


Rows = dict[Locus, LocusEvidence]


def signals(trace: AgentFailureTrace, reading: Reading) -> tuple[Signal, ...]:
    """Obstacles that any agent would have met, slips, and reactions to obstacles; see ``lewin_signs``."""
    return rules.signals_of(reading)


def shown(case: Case[AgentFailureTrace]) -> dict[Locus, float]:
    """How strongly each locus shows without a model."""
    stated = [(locus, factor.confidence) for locus, factor in factors(case.trace)]
    return rules.scores_of(case.signals, stated, case.trace.success)


def final(trace: AgentFailureTrace, rows: Rows) -> dict[Locus, float]:
    """The scores with what the covariance adds."""
    seen = trace.covariance_signal or CovarianceSignal()
    scores = {locus: row.score for locus, row in rows.items()}
    return rules.nudged(scores, seen.consensus, seen.distinctiveness, seen.consistency)


def rows_of_signs(case: Case[AgentFailureTrace]) -> Rows:
    """The loci as signs and stated factors show them."""
    scores, rows = shown(case), {}
    for locus in LOCI:
        found = sorted((s for s in case.signals if ADVICE[s.name].locus == locus), key=lambda s: -s.weight)
        names = tuple(cited(factor) for where, factor in factors(case.trace) if where == locus)
        told = [signal.claim for signal in found[: rules.MAX_OF_A_SIGN]] or ["No step speaks for this locus."]
        told += [f"Stated, not proven: {', '.join(names)}."] if names else []
        told += ["The run succeeded in spite of it."] if case.trace.success and found else []
        quotes = tuple(dict.fromkeys(signal.quote for signal in found[: rules.MAX_OF_A_SIGN]))
        sure = signs.confidence(found, len(case.reading.steps))
        otherwise = rules.OTHERWISE[locus] if scores[locus] >= 0.2 else ""
        cites = names if found else ()
        rows[locus] = LocusEvidence(locus, scores[locus], "none", " ".join(told), quotes, sure, cites, otherwise)
    return rows


def assess_offline(case: Case[AgentFailureTrace]) -> LewinDetection:
    """From obstacles, slips, reactions and stated factors alone."""
    trace, rows = case.trace, rows_of_signs(case)
    dominant = rules.dominant_of(final(trace, rows))
    mechanism = rules.mechanism_of(trace.initial_attribution, dominant, bool(trace.environmental_factors))
    chosen = () if trace.success else rules.remedies(case.signals, dominant)
    sure = signs.confidence(case.signals, len(case.reading.steps))
    return _detection(case, rows, mechanism, case.evidence_of_signals(), chosen, sure)


def _detection(
    case: Case[AgentFailureTrace], rows: Rows, mechanism: Mechanism, evidence: tuple[Evidence, ...],
    interventions: tuple[LewinIntervention, ...], confidence: float,
) -> LewinDetection:  # fmt: skip
    trace, scores = case.trace, final(case.trace, rows)
    dominant, initial = rules.dominant_of(scores), rules.meant(trace.initial_attribution)
    payload = {"dominant_locus": dominant, "locus_scores": dict(scores)}
    targets = [(one.target_locus, one.intervention_type) for one in interventions]
    stated = [(locus, factor.factor) for locus, factor in factors(trace)]
    handoff = texts.COMPOSITION.handoff({"locus": dominant}, trace.framework, payload, (kind for _, kind in targets))
    loci = []
    for locus, row in rows.items():
        severity, misled = banded(scores[locus], rules.SEVERITY), mechanism if locus == initial else "none"
        known = {"score": scores[locus], "severity": severity, "gilbert_malone_mechanism": misled}
        loci.append(msgspec.structs.replace(row, **known))
    return LewinDetection(
        dominant_locus=dominant,
        locus_scores={str(locus): score for locus, score in scores.items()},
        loci=tuple(loci),
        interventions=interventions,
        attribution_quality=rules.quality_of(scores),
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        initial_attribution_correct=None if initial is None else initial == dominant,
        success=trace.success,
        covariance_signal=trace.covariance_signal,
        attached_playbooks=texts.playbooks_for(dominant, targets, stated),
        bias_mechanism=mechanism,
        composition_handoff=handoff,
        evidence=evidence,
        confidence=confidence,
    )


def rows_of(case: Case[AgentFailureTrace], answers: Answers) -> tuple[Rows, tuple[Evidence, ...]]:
    """The loci as a model holds them: scores of its last reading, evidence of all."""
    first: texts.LociAnswer = answers["loci"]
    last: texts.LociAnswer = answers.get("challenge") or first
    named, before = {name for _, factor in factors(case.trace) for name in (cited(factor), factor.factor)}, shown(case)
    rows: Rows = {}
    proofs: list[Evidence] = []
    for locus in LOCI:
        held = [one for one in last.loci if one.locus == locus]
        earlier = [proof for one in first.loci if one.locus == locus for proof in one.evidence]
        # The second reading refines the first: what proved the first stands for it too.
        first_read = tuple(earlier) if last is not first else ()
        found = ((one.score, one.explanation, one.evidence + first_read) for one in held)
        judged = signs.judge(case, found, before[locus])
        proofs += judged.proofs
        rows[locus] = LocusEvidence(
            locus,
            judged.score,
            "none",
            judged.explanation or "Nothing was found for this locus.",
            judged.quotes,
            round(min(0.9, 0.3 + 0.15 * len(judged.quotes)), 2),
            tuple(dict.fromkeys(name for one in held for name in one.factor_citations if name in named)),
            next((one.counterfactual for one in held if one.counterfactual.strip()), ""),
        )
    return rows, signs.each_once(proofs)


def held_so_far(case: Case[AgentFailureTrace], answers: Answers) -> Rows:
    """The loci between two passes; quotations are counted in the conclusion and not here."""
    return rows_of(case.aside(), answers)[0]


def points_somewhere(case: Case[AgentFailureTrace], answers: Answers) -> bool:
    """Without a locus there is nothing to aim a change at."""
    return rules.dominant_of(final(case.trace, held_so_far(case, answers))) != "indeterminate"


def was_blamed(case: Case[AgentFailureTrace], answers: Answers) -> bool:
    """A belief can only be compared where there is one, and a locus that shows without covariance."""
    scores = {locus: row.score for locus, row in held_so_far(case, answers).items()}
    return bool((case.trace.initial_attribution or "").strip()) and rules.dominant_of(scores) != "indeterminate"


def ask_loci(case: Case[AgentFailureTrace], answers: Answers) -> str:
    return texts.QUICK_TASK if case.mode == "quick" else texts.LOCI_TASK


def ask_again(case: Case[AgentFailureTrace], answers: Answers) -> str:
    return texts.CHALLENGE_TASK.format(scores=scored(held_so_far(case, answers)))


def ask_bias(case: Case[AgentFailureTrace], answers: Answers) -> str:
    # The belief stands among the facts, inside the fence: it is the client's text and nothing to follow.
    return texts.BIAS_TASK.format(dominant=rules.dominant_of(final(case.trace, held_so_far(case, answers))))


def ask_fix(case: Case[AgentFailureTrace], answers: Answers) -> str:
    rows = held_so_far(case, answers)
    dominant = rules.dominant_of(final(case.trace, rows))
    neighbours = ", ".join(texts.COMPOSITION.downstream["locus"][dominant])
    return texts.FIX_TASK.format(dominant=dominant, scores=scored(rows), neighbours=neighbours)


def scored(rows: Rows) -> str:
    return ", ".join(f"{locus} {row.score:.2f}" for locus, row in rows.items())


def conclude(case: Case[AgentFailureTrace], answers: Answers) -> LewinDetection:
    """A model's reading of the loci; the leading locus, quality and verdicts are computed from its scores."""
    trace, (rows, proofs) = case.trace, rows_of(case, answers)
    dominant = rules.dominant_of(final(trace, rows))
    bias: texts.BiasAnswer | None = answers.get("bias")
    mechanism = rules.mechanism_of(trace.initial_attribution, dominant, bool(trace.environmental_factors))
    if bias is not None and rules.meant(trace.initial_attribution) != dominant:
        mechanism = bias.mechanism
    proposing = answers.get("interventions") or answers["loci"]
    chosen: tuple[LewinIntervention, ...] = ()
    if dominant != "indeterminate":
        chosen = signs.adopted(getattr(proposing, "interventions", ()), texts.COMPOSITION, dominant, "locus")
        chosen = chosen or (() if trace.success else rules.remedies(case.signals, dominant))
    borne = [s for s in case.signals if rows[ADVICE[s.name].locus].score > 0]
    seen = case.ground(Evidence(s.claim, s.steps, s.quote) for s in borne)
    confidence = round(min(0.9, 0.35 + 0.08 * len(proofs)), 2)
    return _detection(case, rows, mechanism, signs.each_once([*proofs, *seen]), chosen, confidence)


FIRST = Pass("loci", texts.LociAnswer, ask_loci)
LAST = Pass("interventions", texts.FixAnswer, ask_fix, points_somewhere)

PATTERN = Pattern(
    name="lewin", number=1, friendly="Lewin Attribution", group="Module 1 / Individual",
    summary="Finds whether a failure came from the agent, from its surroundings or from the two together.",
    framework=texts.FRAMEWORK, sources=texts.SOURCES, trace=AgentFailureTrace, detection=LewinDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("loci", texts.QuickAnswer, ask_loci),),
        "standard": (FIRST, LAST),
        "forensic": (
            FIRST,
            Pass("challenge", texts.LociAnswer, ask_again),
            Pass("bias", texts.BiasAnswer, ask_bias, was_blamed),
            LAST,
        ),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach={}, composition=texts.COMPOSITION,
    non_blank=("task", "outcome"),
)  # fmt: skip
