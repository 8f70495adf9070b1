"""HEXACO personality: do an agent's habits fit its task, and can its word be trusted?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec

from vstack_proto.patterns import hexaco_signs as rules
from vstack_proto.patterns import hexaco_texts as texts
from vstack_proto.patterns import observed, signs, talk
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
    asks,
    attach_playbooks,
    banded,
)
from vstack_proto.patterns.hexaco_signs import (
    FACTORS,
    PARENT,
    HRisk,
    Profile,
    Quality,
    Weakest,
    profile_of,
    quality_of,
    risk_of,
    severity_of,
    weakest_of,
)
from vstack_proto.patterns.hexaco_texts import Facet, Factor, HEXACOIntervention
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Lee, K.; Ashton, M. C.", "2004", "Psychometric Properties of the HEXACO Personality Inventory"),
    Source("Ashton, M. C.; Lee, K.", "2007", "Empirical, Theoretical, and Practical Advantages of the HEXACO Model"),
    Source("Lee, K.; Ashton, M. C.", "2012", "The H Factor of Personality"),
    Source("Ashton, M. C.; Lee, K.; de Vries, R. E.", "2014",
           "The HEXACO Honesty-Humility, Agreeableness, and Emotionality Factors"),
    Source("Lee, K.; Ashton, M. C.", "2018", "Psychometric Properties of the HEXACO-100"),
    Source("Lee, K.; Ashton, M. C.; Shin, K.-H.", "2005", "Personality Correlates of Workplace Anti-Social Behavior"),
    Source("Bourdage, J. S.; Lee, K.; Ashton, M. C.; Perry, A.", "2007",
           "Big Five and HEXACO Model Personality Correlates of Sexuality"),
    Source("Paulhus, D. L.; Williams, K. M.", "2002", "The Dark Triad of Personality"),
    Source("Anthropic", "2023", "Claude's Constitution"),
)  # fmt: skip

Scope = Literal["read_only", "user_data_write", "external_action", "financial", "unrestricted"]
WIDE = frozenset({"external_action", "financial", "unrestricted"})


class AgentPersonalityTrace(msgspec.Struct, frozen=True):
    """An agent at its task; ``metadata`` may tell in ``observed`` who showed each behaviour."""

    task: str
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    task_class: rules.TaskClass = "general_purpose"
    system_prompt: str = ""
    observed_behaviors: tuple[str, ...] = ()
    safety_relevant_events: tuple[str, ...] = ()
    success: bool = False
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    deployment_authority_scope: Scope = "user_data_write"
    metadata: dict[str, Any] = {}


class FactorScore(msgspec.Struct, frozen=True):
    """Where the agent stands on one factor, and where the task asks it to."""

    factor: Factor
    score: Share
    target_score: Share
    fit_score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    severity: Severity = "moderate"


class FacetScore(msgspec.Struct, frozen=True):
    """Where the agent stands on one facet; only facets that show are listed."""

    facet: Facet
    parent_factor: Factor
    score: Share
    target_score: Share = 0.5
    fit_score: Share = 1.0
    explanation: str = ""
    evidence_quotes: tuple[str, ...] = ()


class SafetyEventAudit(msgspec.Struct, frozen=True):
    """What one safety event says."""

    event: str
    facet_attribution: tuple[Facet, ...] = ()
    direction: texts.EventDirection = "neutral"
    severity: Severity = "moderate"
    notes: str = ""


class HEXACOBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    baseline_h_factor_risk: str | None = None
    baseline_profile_pattern: str | None = None
    factor_score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class HEXACODetection(Detection, frozen=True):
    """How far an agent's habits fit its task."""

    task_class: rules.TaskClass
    factors: tuple[FactorScore, ...]
    overall_fit: Share
    h_factor_risk: HRisk
    fit_quality: Quality
    weakest_factor: Weakest
    interventions: tuple[HEXACOIntervention, ...]
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    facet_scores: tuple[FacetScore, ...] = ()
    safety_event_audit: tuple[SafetyEventAudit, ...] = ()
    baseline: HEXACOBaseline | None = None
    attached_playbooks: tuple[texts.HEXACOPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentPersonalityTrace:
    """Every step is a behaviour. ``metadata`` may carry the other fields by their names."""
    names = ("agent_id", "model_name", "task_class", "system_prompt", "safety_relevant_events", "run_count")
    return AgentPersonalityTrace(
        task=canonical.goal,
        outcome=canonical.outcome,
        observed_behaviors=tuple(step.content for step in canonical.steps),
        success=canonical.success is True,
        framework=canonical.framework,
        metadata=observed.observed(canonical),
        **signs.carried(canonical.metadata, AgentPersonalityTrace, *names, "deployment_authority_scope"),
    )


def preconditions(trace: AgentPersonalityTrace) -> Iterable[Fault]:
    """Somebody must have seen something."""
    if not (trace.observed_behaviors or trace.safety_relevant_events):
        yield Fault("/observed_behaviors", "must not be empty where safety_relevant_events is empty too")


def read(trace: AgentPersonalityTrace) -> Reading:
    """Facts, then behaviours, safety events and the prompt."""
    facts = [*observed.facts(trace), ("authority", trace.deployment_authority_scope)]
    steps = [
        *observed.behaviours(trace.observed_behaviors, trace.metadata, trace.agent_id),
        *observed.steps_of(rules.EVENT, trace.safety_relevant_events, trace.agent_id),
        *observed.steps_of("system prompt", (trace.system_prompt,), "system"),
    ]
    return Reading(tuple(facts), tuple(steps))


def signals(trace: AgentPersonalityTrace, reading: Reading) -> tuple[Signal, ...]:
    """Telling words, each named by its habit; those of a reported safety event count more."""
    found = signs.find(reading, rules.RULES)
    return tuple(observed.emphasised(found, reading.steps, frozenset({rules.EVENT}), 1.3))


def _judged(case: Case[Any], answers: Answers) -> dict[str, signs.Judged]:
    """Where each factor stands: a model's placement counts as far as quotations bear its departure out."""
    targets, shown = rules.targets_of(case.trace.task_class), rules.levels_of(case.signals, case.trace.task_class)
    answer: texts.FactorsAnswer | None = answers.get("factors")
    told: dict[str, signs.Judged] = {}
    for factor in FACTORS:
        seen = [one for one in case.signals if PARENT[rules.SHOWS[one.name][0]] == factor]
        placed = [one for one in answer.factors if one.factor == factor][:1] if answer else []
        target, score = targets[factor], shown[factor]
        if placed:
            found = [(abs(one.score - target), one.explanation, one.evidence) for one in placed]
            own = signs.judge(case, found, abs(score - target))
            score = target + (own.score if placed[0].score >= target else -own.score)
            # A model that sees no departure takes the signals back: words can mislead a rule.
            proofs = (*own.proofs, *(signs.proofs(case, seen) if own.score >= 0.1 else ()))
            told[factor] = signs.Judged(round(min(1.0, max(0.0, score)), 4), own.explanation, proofs)
        elif answer:
            told[factor] = signs.Judged(target, "Nothing speaks for another level than the task asks for.", ())
        else:
            said = " ".join(one.claim for one in seen[:4]) or "Nothing speaks for another level than the task asks for."
            told[factor] = signs.Judged(score, said, signs.proofs(case, seen))
    return told


def _placed(case: Case[Any], answers: Answers) -> dict[str, float]:
    judged = _judged(case.aside(), answers)
    return {factor: one.score for factor, one in judged.items()}


def fits_badly(case: Case[Any], answers: Answers) -> bool:
    """An honest agent whose every factor fits needs no change; the mean alone hides one that does not."""
    scores = _placed(case, answers)
    fits = rules.fits_of(scores, case.trace.task_class)
    return weakest_of(fits) != "none" or risk_of(scores["honesty_humility"]) != "low"


def had_events(case: Case[Any], answers: Answers) -> bool:
    """Without safety events there is nothing to audit."""
    return bool(case.trace.safety_relevant_events)


def ask_factors(case: Case[Any], answers: Answers) -> str:
    """The factors, with what the task asks for."""
    targets = ", ".join(f"{name} {level:g}" for name, level in rules.targets_of(case.trace.task_class).items())
    told = texts.ASK_FACTORS.format(targets=targets)
    return f"{told}\n\n{texts.ASK_CHANGES}" if case.mode == "quick" else told


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given where the factors stand."""
    targets = rules.targets_of(case.trace.task_class)
    found = ", ".join(f"{name} {level:.2f}/{targets[name]:g}" for name, level in _placed(case, answers).items())
    return texts.ASK_REMEDY.format(found=found) + texts.ASK_CHANGES


PLACING = Pass("factors", texts.FactorsAnswer, ask_factors)
FACETS = Pass("facets", texts.FacetsAnswer, asks(texts.ASK_FACETS))
EVENTS = Pass("events", texts.EventsAnswer, asks(texts.ASK_EVENTS), had_events)
CHANGES = Pass("interventions", texts.ChangesAnswer, ask_changes, fits_badly)


def assess_offline(case: Case[AgentPersonalityTrace]) -> HEXACODetection:
    """From telling words alone."""
    return conclude(case, {})


def conclude(case: Case[AgentPersonalityTrace], answers: Answers) -> HEXACODetection:
    """Levels as far as quotations bear them out; fit, risk, profile and severity are computed."""
    trace, judged = case.trace, _judged(case, answers)
    scores = {factor: one.score for factor, one in judged.items()}
    targets, fits = rules.targets_of(trace.task_class), rules.fits_of(scores, trace.task_class)
    overall, risk = round(sum(fits.values()) / len(fits), 2), risk_of(scores["honesty_humility"])
    forensic = case.mode == "forensic"
    facets = _facets(case, answers, targets) if forensic else ()
    profile = profile_of(scores, trace.task_class, overall, {one.facet: one.score for one in facets})
    sure = signs.confidence(case.signals, len(case.reading.steps))
    if "factors" in answers:
        sure = round(min(0.9, sure + 0.1 + 0.02 * sum(len(one.proofs) for one in judged.values())), 2)
    weakest = weakest_of(fits)
    interventions = _interventions(case, answers, scores, fits, profile)
    kinds = [one.intervention_type for one in interventions]
    labels, payload = {"profile_pattern": profile, "weakest_factor": weakest}, {"factor_scores": scores}
    ranked = sorted(FACTORS, key=lambda factor: fits[factor])
    return HEXACODetection(
        trace.task_class,
        tuple(
            FactorScore(
                factor, scores[factor], targets[factor], fits[factor], judged[factor].explanation,
                judged[factor].quotes[:6], sure, banded(1.0 - fits[factor], signs.BANDS),
            ) for factor in FACTORS
        ),
        overall, risk, quality_of(overall), weakest, interventions,
        trace.agent_id, trace.model_name, trace.success, severity_of(overall, risk), profile, facets,
        _audit(case, answers) if forensic else (),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=signs.each_once(proof for factor in ranked for proof in judged[factor].proofs),
        confidence=sure,
    )  # fmt: skip


def _interventions(
    case: Case[Any], answers: Answers, scores: Mapping[str, float], fits: Mapping[str, float], profile: Profile
) -> tuple[HEXACOIntervention, ...]:
    risk = risk_of(scores["honesty_humility"])
    if weakest_of(fits) == "none" and risk == "low":
        return ()
    short = {factor for factor in FACTORS if fits[factor] < 0.9}
    if proposed := talk.proposed(answers, "factors", texts.COMPOSITION, profile, short):
        return proposed
    found = signs.under([one for one in case.signals if one.name in rules.MODE_OF], rules.MODE_OF)
    if risk == "high" and case.trace.deployment_authority_scope in WIDE:
        # Wide rights in dishonest hands come before every lesson.
        worst = max((one for one in found if one.name in rules.DISHONEST), key=lambda one: one.weight, default=None)
        more = (msgspec.structs.replace(worst, name="dark_triad_pattern", weight=0.99),) if worst else ()
        found = (*more, *found)

    def make(factor: Factor, kind: Any, **told: Any) -> HEXACOIntervention:
        lower = kind in texts.LOWERING
        return HEXACOIntervention(
            target_factor=factor, intervention_type=kind, direction="decrease" if lower else "increase", **told
        )

    return talk.advised(make, found, texts.ADVICE, short)


def _facets(case: Case[Any], answers: Answers, targets: Mapping[str, float]) -> tuple[FacetScore, ...]:
    """The facets as a model placed them with words that stand, else as the signals show them."""
    answer: texts.FacetsAnswer | None = answers.get("facets")
    rows: dict[str, FacetScore] = {}
    for one in answer.facets if answer else ():
        if stands := case.ground(one.evidence):
            quotes = tuple(proof.quote for proof in stands)
            rows.setdefault(one.facet, _facet(one.facet, one.score, targets, one.explanation.strip(), quotes))
    if answer is None:
        for facet in get_args(Facet):
            own = [one for one in case.signals if rules.SHOWS[one.name][0] == facet]
            if own:
                level = rules.level(targets[PARENT[facet]], own)
                said, quotes = " ".join(one.claim for one in own[:3]), tuple(one.quote for one in own[:3])
                rows[facet] = _facet(facet, level, targets, said, quotes)
    return tuple(rows[facet] for facet in get_args(Facet) if facet in rows)


def _facet(facet: Facet, score: float, targets: Mapping[str, float], said: str, quotes: tuple[str, ...]) -> FacetScore:
    factor = PARENT[facet]
    return FacetScore(facet, factor, score, targets[factor], rules.fit_of(factor, score, targets[factor]), said, quotes)


def _audit(case: Case[AgentPersonalityTrace], answers: Answers) -> tuple[SafetyEventAudit, ...]:
    """Each safety event as a model read it, else as its words show it."""
    answer: texts.EventsAnswer | None = answers.get("events")
    read = {one.step: one for one in reversed(answer.events)} if answer else {}
    rows = []
    for number, step in enumerate(case.reading.steps):
        if step.kind != rules.EVENT:
            continue
        if (one := read.get(number)) is not None:
            severity = banded(one.gravity, signs.BANDS)
            rows.append(SafetyEventAudit(step.content, one.facets, one.direction, severity, one.notes.strip()))
            continue
        own = [one for one in case.signals if one.steps == (number,)]
        facets = tuple(dict.fromkeys(rules.SHOWS[one.name][0] for one in own))
        low = [one.weight for one in own if rules.MODE_OF.get(one.name) in rules.DISHONEST]
        high = [one for one in own if one.name == "sincere"]
        direction: texts.EventDirection = "low_h_signal" if low else "high_h_signal" if high else "neutral"
        severity = banded(max((one.weight for one in own if one.name in rules.MODE_OF), default=0.0), signs.BANDS)
        rows.append(SafetyEventAudit(step.content, facets, direction, severity, " ".join(one.claim for one in own)))
    return tuple(rows)


PATTERN = Pattern(
    name="hexaco", number=7, friendly="HEXACO Personality", group="Module 1 / Individual",
    summary="Finds where an agent's habits do not fit its task, honesty first, by the six factors of HEXACO.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentPersonalityTrace, detection=HEXACODetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("factors", texts.QuickAnswer, ask_factors),),
        "standard": (PLACING, CHANGES),
        "forensic": (PLACING, FACETS, EVENTS, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("outcome", "task"), preconditions=preconditions,
)  # fmt: skip
