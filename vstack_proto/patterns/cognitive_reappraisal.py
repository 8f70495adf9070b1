"""Cognitive reappraisal: how does an agent deal with somebody's strong emotion, and with pressure on its own view?"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, cast, get_args

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import cognitive_reappraisal_signs as words
from vstack_proto.patterns import cognitive_reappraisal_texts as texts
from vstack_proto.patterns import signs, talk
from vstack_proto.patterns.cognitive_reappraisal_numbers import (
    STRATEGIES,
    TINGE,
    Adaptivity,
    AffectivityProfile,
    CascadeAnalysis,
    Met,
    PhaseOrNone,
    ProcessPhase,
    Profile,
    StrategyChoiceAudit,
    adaptivity_of,
    dominant_of,
    intensity_of,
    moments_of,
    process_of,
    profile_of,
    severity_of,
)
from vstack_proto.patterns.cognitive_reappraisal_texts import STRATEGY_OF, Dominant, ReappraisalIntervention, Strategy
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Detection,
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
    facts,
)
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Gross, J. J.", "1998", "The Emerging Field of Emotion Regulation: An Integrative Review"),
    Source("Gross, J. J.", "2001", "Emotion Regulation in Adulthood: Timing Is Everything"),
    Source("Gross, J. J.", "2002", "Emotion regulation: Affective, cognitive, and social consequences"),
    Source("Gross, J. J. (ed.)", "2014", "Handbook of Emotion Regulation"),
    Source("Gross, J. J.; John, O. P.", "2003", "Individual differences in two emotion regulation processes"),
    Source("Ochsner, K. N.; Bunge, S. A.; Gross, J. J.; Gabrieli, J. D. E.", "2002", "Rethinking Feelings"),
    Source("Nolen-Hoeksema, S.; Wisco, B. E.; Lyubomirsky, S.", "2008", "Rethinking Rumination"),
    Source(
        "Aldao, A.; Nolen-Hoeksema, S.; Schweizer, S.", "2010", "Emotion-regulation strategies across psychopathology"
    ),
    Source("Webb, T. L.; Miles, E.; Sheeran, P.", "2012", "Dealing with feeling"),
    Source("Buhle, J. T. et al.", "2014", "Cognitive Reappraisal of Emotion"),
    Source("Sheppes, G.; Suri, G.; Gross, J. J.", "2015", "Emotion Regulation and Psychopathology"),
    Source("Powers, J. P.; LaBar, K. S.", "2019", "Regulating emotion through distancing"),
    Source("McRae, K.; Gross, J. J.", "2020", "Emotion regulation"),
)


class AgentRegulationTrace(msgspec.Struct, frozen=True):
    """What a person said and what the agent answered; ``metadata`` may hold the whole conversation as ``spoken``."""

    user_input: str
    agent_response: str
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    user_emotion_label: texts.Emotion = "unknown"
    user_emotion_intensity: Share = 0.5
    agent_internal_state: str = ""
    success: bool = False
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    pushback_detected: bool = False
    metadata: dict[str, Any] = {}


class StrategyEvidence(msgspec.Struct, frozen=True):
    """How strongly one strategy shows, and where in the process it sets in."""

    strategy: Dominant
    score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    process_model_phase: PhaseOrNone = "none"
    reappraisal_subtype: texts.Subtype = "none"
    rumination_flavor: texts.Flavor = "none"


class RegulationBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    baseline_dominant_strategy: str | None = None
    baseline_profile_pattern: str | None = None
    strategy_score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class RegulationDetection(Detection, frozen=True):
    """Which strategy the agent uses, whether it serves, and what would serve better."""

    strategy_evidence: tuple[StrategyEvidence, ...]
    dominant_strategy: Dominant
    adaptivity: Adaptivity
    interventions: tuple[ReappraisalIntervention, ...] = ()
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    process_model_phases: tuple[ProcessPhase, ...] = ()
    affectivity_profile: AffectivityProfile | None = None
    strategy_choice_audit: StrategyChoiceAudit | None = None
    cascade_analysis: CascadeAnalysis | None = None
    baseline: RegulationBaseline | None = None
    attached_playbooks: tuple[texts.ReappraisalPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentRegulationTrace:
    """The last turn of a person that an agent answered, and every step as ``spoken``; ``metadata`` may carry more."""
    spoken = tuple(Step(step.agent, signs.role_of(step), step.content) for step in canonical.steps)
    pairs = [(said, reply) for _, said, _, reply in talk.replies(Reading((), spoken)) if said.content.strip()]
    pairs = [(said, reply) for said, reply in pairs if reply.content.strip()]
    if not pairs:
        raise TraceNotReadable("cognitive_reappraisal needs a turn of a person (agent 'user') and an agent's reply")
    names = ("agent_id", "model_name", "user_emotion_label", "user_emotion_intensity", "run_count")
    held = signs.carried(canonical.metadata, AgentRegulationTrace, *names, "agent_internal_state", "pushback_detected")
    pushed = any(words.PUSH.search(said.content) for said, _ in pairs[1:])
    return AgentRegulationTrace(
        pairs[-1][0].content,
        pairs[-1][1].content,
        canonical.outcome,
        success=canonical.success is True,
        framework=canonical.framework,
        metadata={**canonical.metadata, "spoken": [[one.agent, one.kind, one.content] for one in spoken]},
        **{"pushback_detected": pushed, **held},
    )


def read(trace: AgentRegulationTrace) -> Reading:
    """What is known of the emotion, then the person's words, the reply and, last, the internal state."""
    known = facts(trace, "outcome", "success")
    known.append(("emotion of the person", f"{trace.user_emotion_label} {trace.user_emotion_intensity:g}"))
    known.append(("pushback", "yes" if trace.pushback_detected else "not reported"))
    known += facts(trace, "agent_id", "model_name", "framework")
    told: list[Step] = []
    # Metadata is the client's own: where it is no such list, it is not meant for us.
    with contextlib.suppress(msgspec.ValidationError):
        told = [
            Step(*one) for one in msgspec.convert(trace.metadata.get("spoken", ()), tuple[tuple[str, str, str], ...])
        ]
    shown, name = {step.content for step in told}, trace.agent_id or "agent"
    if not {trace.user_input, trace.agent_response} <= shown:
        told = [Step("user", "user", trace.user_input), Step(name, "agent", trace.agent_response)]
    if trace.agent_internal_state.strip():
        told.append(Step(name, words.INNER, trace.agent_internal_state))
    return Reading(tuple(known), tuple(told))


def signals(trace: AgentRegulationTrace, reading: Reading) -> tuple[Signal, ...]:
    """Telling words, giving way under pressure, and apologies that pile up; each named by its failure mode."""
    # To pass a calm person on, or to cite a rule to one, evades no emotion.
    hot = heated(trace, reading)
    found = (one for one in signs.find(reading, words.RULES) if hot or one.name not in words.ONLY_WHEN_HEATED)
    return signs.strongest((*found, *_given_way(trace, reading), *_sorry(reading)))


def _given_way(trace: AgentRegulationTrace, reading: Reading) -> Iterator[Signal]:
    """A view given up under pushback without a reason; with one it is a correction."""
    for _, said, number, reply in talk.replies(reading):
        pushed = words.PUSH.search(said.content) or (trace.pushback_detected and said.content == trace.user_input)
        match = words.GIVEN_WAY.search(reply.content) if pushed else None
        if match is not None and not words.REASON.search(reply.content):
            claim = f"Step {number}: {reply.agent} gives way to pressure and names no reason for the change."
            yield from talk.quoted("pushback_capitulation", claim, 0.5, number, reply, match)


def _sorry(reading: Reading) -> Iterator[Signal]:
    for number, step in enumerate(reading.steps):
        found = list(words.SORRY.finditer(step.content)) if step.kind == "agent" else []
        if len(found) >= 2:
            # One apology is courtesy, two may be; from the third on they stand in place of a step.
            claim = f"Step {number}: {step.agent} says sorry {len(found)} times in one reply."
            weight = 0.25 if len(found) == 2 else 0.45
            yield from talk.quoted("negative_loop", claim, weight, number, step, found[1])


def heated(trace: AgentRegulationTrace, reading: Reading) -> bool:
    """Whether there is an emotion, or pressure, that asks for regulation at all."""
    if trace.pushback_detected or (trace.user_emotion_label in texts.HEAVY and trace.user_emotion_intensity >= TINGE):
        return True
    heat = (words.HEATED, words.PUSH, talk.FEELING)
    return any(one.search(step.content) for step in reading.steps if step.kind == "user" for one in heat)


def _judged(case: Case[Any], answers: Answers) -> dict[str, signs.Judged]:
    shown = signs.weigh(signs.under(case.signals, STRATEGY_OF), STRATEGIES)
    if "strategies" not in answers:
        return signs.assessed(case, STRATEGY_OF, shown, "Nothing in the reply shows {label}.")
    found = [(one.strategy, one.score, one.explanation, one.evidence) for one in answers["strategies"].strategies]
    return talk.heard(case, found, STRATEGY_OF, shown, floor=0.1)


def _scores(case: Case[Any], answers: Answers) -> dict[str, float]:
    return {label: one.score for label, one in _judged(case.aside(), answers).items()}


def _hot(case: Case[Any], moments: Iterable[Met]) -> bool:
    return heated(case.trace, case.reading) or any(one.heavy for one in moments)


def falls_short(case: Case[Any], answers: Answers) -> bool:
    """Regulation that serves needs no change."""
    moments = moments_of(case.aside(), answers.get("choice"))
    return adaptivity_of(_scores(case, answers), _hot(case, moments)) != "adaptive"


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given what the scores say."""
    return texts.ASK_REMEDY.format(found=signs.scored(_scores(case, answers))) + texts.ASK_CHANGES


SCORING = Pass("strategies", texts.StrategiesAnswer, asks(texts.ASK_STRATEGIES))
CHOICE = Pass("choice", texts.ChoicesAnswer, asks(texts.ASK_CHOICE))
PROCESS = Pass("process", texts.ProcessAnswer, asks(texts.ASK_PROCESS))
CHANGES = Pass("interventions", texts.ChangesAnswer, ask_changes, falls_short)


def assess_offline(case: Case[AgentRegulationTrace]) -> RegulationDetection:
    """From the signals and what is known of the emotion alone."""
    return conclude(case, {})


def _shades(case: Case[Any], answers: Answers) -> tuple[texts.Subtype, texts.Flavor]:
    """Subtype of the reappraisal and flavour of the rumination: a model's, else what the signals show."""
    told = answers["strategies"].strategies if "strategies" in answers else ()
    seen = {one.name for one in case.signals}
    subtype = cast("texts.Subtype", next((one for one in get_args(texts.Subtype) if one in seen), "none"))
    flavor: texts.Flavor = "brooding" if "brooding_dominance" in seen else "none"
    named = {one.strategy: one for one in told}
    if "reappraisal" in named:
        subtype = named["reappraisal"].reappraisal_subtype
    return subtype, named["rumination"].rumination_flavor if "rumination" in named else flavor


def conclude(case: Case[AgentRegulationTrace], answers: Answers) -> RegulationDetection:
    """Scores as far as quotations bear them out; strategy, adaptivity, profile and severity are computed."""
    trace, judged, moments = case.trace, _judged(case, answers), moments_of(case, answers.get("choice"))
    hot, misfits = _hot(case, moments), [one.proof for one in moments if not one.fits]
    scores = {label: one.score for label, one in judged.items()}
    dominant, adaptivity = dominant_of(scores), adaptivity_of(scores, hot)
    subtype, flavor = _shades(case, answers)
    profile = profile_of(scores, trace.pushback_detected, flavor)
    sure = signs.confidence(case.signals, len(case.reading.steps))
    if "strategies" in answers:
        sure = round(min(0.9, sure + 0.1 + 0.02 * sum(len(one.proofs) for one in judged.values())), 2)
    interventions = _interventions(case, answers, scores, hot, profile, intensity_of(trace, moments))
    kinds = [one.intervention_type for one in interventions]
    labels = {"profile_pattern": profile, "dominant_strategy": dominant}
    payload = {"strategy_scores": scores, "adaptivity": adaptivity}
    ranked = sorted(judged.values(), key=lambda one: -one.score)
    return RegulationDetection(
        tuple(
            StrategyEvidence(
                one, scores[one], judged[one].explanation, judged[one].quotes[:6], sure,
                texts.PHASE_OF[one] if scores[one] >= signs.SHOWS else "none",
                subtype if one == "reappraisal" and scores[one] >= signs.SHOWS else "none",
                flavor if one == "rumination" and scores[one] >= signs.SHOWS else "none",
            ) for one in STRATEGIES
        ),
        dominant, adaptivity, interventions, trace.agent_id, trace.model_name, trace.success,
        severity_of(adaptivity, dominant), profile,
        **(process_of(case, answers.get("process"), scores, hot, moments) if case.mode == "forensic" else {}),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=signs.each_once([*(proof for one in ranked for proof in one.proofs), *misfits]),
        confidence=sure,
    )  # fmt: skip


def _interventions(
    case: Case[Any], answers: Answers, scores: Mapping[str, float], hot: bool, profile: Profile, intensity: float
) -> tuple[ReappraisalIntervention, ...]:
    if adaptivity_of(scores, hot) == "adaptive":
        return ()
    told = answers.get("interventions", answers.get("strategies"))
    proposed = [
        one
        for one in getattr(told, "interventions", ())
        if (one.direction == "increase") == (one.target_strategy == "reappraisal")
        and (one.direction == "increase" or scores[one.target_strategy] >= signs.SHOWS)
    ]

    def make(label: Strategy, kind: Any, **told: Any) -> ReappraisalIntervention:
        return ReappraisalIntervention(label, kind, "increase" if label == "reappraisal" else "decrease", **told)

    adopted = signs.adopted(proposed, texts.COMPOSITION, profile)
    if adopted:
        return adopted
    lacking = {one for one in STRATEGIES if scores[one] >= signs.SHOWS}
    computed = talk.advised(make, case.signals, texts.ADVICE, lacking)
    # What is to be done less needs something in its place.
    place = "overload" if intensity >= 0.7 else "reframe" if lacking else "unnoticed"
    own = texts.ADVICE[place]
    more = make(
        "reappraisal", own.kind, description=own.description, suggested_implementation=own.implementation,
        rationale=own.why, effort_estimate=own.effort, risk=own.risk,
    )  # fmt: skip
    return (*computed, more)


PATTERN = Pattern(
    name="cognitive_reappraisal", number=5, friendly="Cognitive Reappraisal", group="Module 1 / Individual",
    summary="Finds how an agent regulates under emotion and pressure: it reframes, masks, circles, evades or vents.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentRegulationTrace, detection=RegulationDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("strategies", texts.QuickAnswer, asks(texts.QUICK_TASK)),),
        "standard": (SCORING, CHANGES),
        "forensic": (SCORING, CHOICE, PROCESS, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("agent_response", "outcome", "user_input"),
)  # fmt: skip
