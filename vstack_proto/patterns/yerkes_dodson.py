"""Yerkes-Dodson workload: did the agent work under too little pressure, too much, or where it works best?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast, get_args

import msgspec

from vstack_proto.patterns import observed, signs, talk
from vstack_proto.patterns import yerkes_dodson_signs as words
from vstack_proto.patterns import yerkes_dodson_texts as texts
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
    Source,
    asks,
    banded,
    facts,
    not_empty,
    paired_playbooks,
)
from vstack_proto.patterns.yerkes_dodson_loads import (
    CognitiveLoadAnalysis,
    ContextSaturation,
    PressureProfile,
    analysis_of,
    loads_of,
    pull_of,
    saturation_of,
)
from vstack_proto.patterns.yerkes_dodson_texts import SIDE_OF, Failure, WorkloadIntervention, Zone
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Yerkes, R. M.; Dodson, J. D.", "1908",
           "The relation of strength of stimulus to rapidity of habit-formation"),
    Source("Hebb, D. O.", "1955", "Drives and the C.N.S."),
    Source("Kahneman, D.", "1973", "Attention and Effort"),
    Source("Sweller, J.", "1988", "Cognitive load during problem solving"),
    Source("Sweller, J.", "1994", "Cognitive load theory, learning difficulty, and instructional design"),
    Source("Sweller, J.; Ayres, P.; Kalyuga, S.", "2011", "Cognitive Load Theory"),
    Source("Hancock, P. A.; Warm, J. S.", "1989", "A dynamic model of stress and sustained attention"),
    Source("Eysenck, M. W.; Calvo, M. G.", "1992", "Anxiety and performance: The processing efficiency theory"),
    Source("Eysenck, M. W.; Derakshan, N.; Santos, R.; Calvo, M. G.", "2007",
           "Anxiety and cognitive performance: Attentional control theory"),
    Source("Liu, N. F. et al.", "2024", "Lost in the Middle (arXiv:2307.03172)"),
)  # fmt: skip

# An earlier zone wins where two are equal: half a run under the wrong pressure is not called optimal.
ZONES: tuple[Zone, ...] = ("over_pressure", "under_pressure", "optimal")
SIDES: tuple[texts.Side, ...] = ("under_pressure", "over_pressure")
Profile = Literal[
    "optimal_zone", "under_pressure_wandering", "under_pressure_drift", "over_pressure_corner_cutting",
    "over_pressure_hallucinating", "over_pressure_freezing", "over_pressure_refusing", "context_saturation",
    "extraneous_load_overload", "intrinsic_load_overload", "indeterminate",
]  # fmt: skip


class AgentPerformanceTrace(msgspec.Struct, frozen=True):
    """A task under a known pressure; ``metadata`` may tell in ``observed`` who showed each behaviour."""

    task: str
    pressure: PressureProfile
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    observed_behaviors: tuple[str, ...] = ()
    success: bool = False
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    metadata: dict[str, Any] = {}


class ZoneEvidence(msgspec.Struct, frozen=True):
    """How strongly one zone shows; the severity is that of its distance from the optimum."""

    zone: Zone
    score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    severity: Severity = "moderate"


class WorkloadBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    baseline_zone: str | None = None
    baseline_profile_pattern: str | None = None
    zone_score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class WorkloadDetection(Detection, frozen=True):
    """In which zone of pressure the agent worked, and what would move it to the optimum."""

    observed_zone: Zone
    zone_evidence: tuple[ZoneEvidence, ...]
    distance_from_optimal: Share
    failure_mode: Failure
    interventions: tuple[WorkloadIntervention, ...] = ()
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    cognitive_load_analysis: CognitiveLoadAnalysis | None = None
    context_saturation: ContextSaturation | None = None
    baseline: WorkloadBaseline | None = None
    attached_playbooks: tuple[texts.WorkloadPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentPerformanceTrace:
    """Every step is a behaviour. ``metadata`` may carry ``pressure``; what it does not tell counts as moderate."""
    names = ("agent_id", "model_name", "run_count", "pressure")
    held = signs.carried(canonical.metadata, AgentPerformanceTrace, *names)
    return AgentPerformanceTrace(
        task=canonical.goal,
        outcome=canonical.outcome,
        observed_behaviors=tuple(step.content for step in canonical.steps),
        success=canonical.success is True,
        framework=canonical.framework,
        metadata=observed.observed(canonical),
        **{"pressure": PressureProfile(), **held},
    )


def read(trace: AgentPerformanceTrace) -> Reading:
    """The task, how it ended and the pressure, then the behaviours."""
    known = facts(trace, "task", "outcome", "success", "agent_id", "model_name", "framework")
    pressure = msgspec.structs.asdict(trace.pressure).items()
    told = ((name, "; ".join(value) if isinstance(value, tuple) else value) for name, value in pressure)
    known += [(name.replace("_", " "), str(value)) for name, value in told if value not in (None, "")]
    return Reading(tuple(known), tuple(observed.behaviours(trace.observed_behaviors, trace.metadata, trace.agent_id)))


def signals(trace: AgentPerformanceTrace, reading: Reading) -> tuple[Signal, ...]:
    """Telling words and repeats, each named by its failure mode."""
    # Arousal beyond the optimum narrows behaviour to what comes first (Hebb).
    same = "Step {step}: {agent} does the same a third time and learns nothing new from it."
    again = observed.repeated("freezing", same, 0.35, reading)
    return signs.strongest((*signs.find(reading, words.RULES), *again))


def sides_of(case: Case[AgentPerformanceTrace]) -> dict[str, float]:
    """How strongly the signals show either side; the setting bears out what was seen, and proves nothing alone."""
    told, pull = signs.weigh(signs.under(case.signals, SIDE_OF), SIDES), pull_of(case.trace.pressure)
    return {side: round(1 - (1 - seen) * (1 - 0.3 * pull[side]), 4) if seen else 0.0 for side, seen in told.items()}


def scores_of(sides: Mapping[str, float]) -> dict[str, float]:
    """The three zones: the optimum is what the two sides leave, so a run without signs is optimal."""
    under, over = sides["under_pressure"], sides["over_pressure"]
    return {"under_pressure": under, "optimal": round(max(0.0, 1.0 - under - over), 4), "over_pressure": over}


def zone_of(scores: Mapping[str, float]) -> Zone:
    """The zone with the highest score."""
    return max(ZONES, key=lambda zone: scores[zone])


def failure_of(zone: Zone, weights: Mapping[str, float]) -> Failure:
    """What mostly went wrong in a zone: by the strongest of its failure modes, else by the contract's default."""
    if zone == "optimal":
        return "focused"
    own = {mode: weight for mode, weight in weights.items() if SIDE_OF[mode] == zone and weight}
    if not own:
        return "wandering" if zone == "under_pressure" else "corner_cutting"
    first = max(own, key=lambda mode: own[mode])
    return first if first in texts.FAILURES[zone] else "unknown"


def profile_of(
    scores: Mapping[str, float], failure: Failure, ratio: float, load: CognitiveLoadAnalysis | None
) -> Profile:
    """The contract's rules; the first that holds. ``ratio`` is how full the context was, 0 where nobody knows."""
    zone = zone_of(scores)
    if ratio >= 0.7:
        return "context_saturation"
    if load is not None and load.extraneous_load >= 0.6 and load.dominant_component == "extraneous":
        return "extraneous_load_overload"
    if load is not None and load.intrinsic_load >= 0.7 and load.dominant_component == "intrinsic":
        return "intrinsic_load_overload"
    if zone == "optimal":
        return "optimal_zone" if scores[zone] >= 0.5 else "indeterminate"
    if zone == "under_pressure":
        return "under_pressure_wandering" if failure == "wandering" else "under_pressure_drift"
    if failure in texts.FAILURES[zone] and failure != "unknown":
        return cast("Profile", f"over_pressure_{failure}")
    return "over_pressure_corner_cutting" if scores[zone] >= 0.6 else "indeterminate"


def _judged(case: Case[Any], answers: Answers) -> dict[str, signs.Judged]:
    answer: texts.ZonesAnswer | None = answers.get("zones")
    shown = sides_of(case)
    if answer is None:
        return signs.assessed(case, SIDE_OF, shown, "No behaviour shows {label}.")
    found = [(one.zone, one.score, one.explanation, one.evidence) for one in answer.zones]
    return talk.heard(case, found, SIDE_OF, shown, floor=0.1)


def _scores(case: Case[Any], answers: Answers) -> dict[str, float]:
    return scores_of({side: one.score for side, one in _judged(case.aside(), answers).items()})


def off_optimum(case: Case[Any], answers: Answers) -> bool:
    """The optimal zone needs no change."""
    return zone_of(_scores(case, answers)) != "optimal"


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given what the scores say."""
    return texts.ASK_REMEDY.format(found=signs.scored(_scores(case, answers))) + texts.ASK_CHANGES


QUICK = Pass("zones", texts.WholeAnswer, asks(texts.QUICK_TASK))
CLOSELY = Pass("zones", texts.ZonesAnswer, asks(texts.CLOSE_TASK))
# What the close look notes in passing has a call of its own in forensic mode.
PLAINLY = Pass("zones", texts.ZonesAnswer, asks(texts.ASK_ZONES))
COURSE = Pass("course", talk.Events[texts.Manner], asks(texts.ASK_COURSE))
LOADS = Pass("load", texts.LoadAnswer, asks(texts.ASK_LOAD))
CHANGES = Pass("interventions", texts.ChangesAnswer, ask_changes, off_optimum)


def assess_offline(case: Case[AgentPerformanceTrace]) -> WorkloadDetection:
    """From telling words, repeats and the pressure alone."""
    return conclude(case, {})


def conclude(case: Case[AgentPerformanceTrace], answers: Answers) -> WorkloadDetection:
    """Scores as far as quotations bear them out; zone, distance, profile and severity are computed."""
    trace, judged = case.trace, _judged(case, answers)
    scores = scores_of({side: one.score for side, one in judged.items()})
    zone, distance = zone_of(scores), round(1.0 - scores["optimal"], 2)
    answer: texts.ZonesAnswer | None = answers.get("zones")
    failure = failure_of(zone, signs.weigh(case.signals, SIDE_OF))
    if answer is not None and answer.failure_mode in texts.FAILURES[zone]:
        failure = answer.failure_mode
    turns, turned = talk.tally(case, answers, (COURSE,), texts.LAPSES, {})
    own = [mode for mode in turns if mode in texts.FAILURES[zone]]
    failure = max(own, key=lambda mode: turns[mode], default=failure)
    load, proofs = _load(case, answers)
    saturation = saturation_of(trace.pressure)
    profile = profile_of(scores, failure, saturation.saturation_ratio if saturation else 0.0, load)
    sure = signs.confidence(case.signals, len(case.reading.steps))
    if answer is not None:
        sure = min(0.9, sure + 0.1 + 0.02 * sum(len(one.proofs) for one in judged.values()))
        # The turns were listed without regard to the zone: that they lie on another side speaks against it.
        sure = round(sure - 0.1 if turned and not own else sure, 2)
    interventions = _interventions(case, answers, zone, profile)
    kinds = [one.intervention_type for one in interventions]
    labels, payload = {"profile_pattern": profile, "zone": zone}, {"zone_scores": scores, "failure_mode": failure}
    ranked = sorted(judged.values(), key=lambda one: -one.score)
    return WorkloadDetection(
        zone, _rows(scores, judged, sure), distance, failure, interventions,
        trace.agent_id, trace.model_name, trace.success, banded(distance, signs.BANDS), profile, load, saturation,
        attached_playbooks=paired_playbooks(texts.PLAYBOOKS, texts.ATTACH, [(zone, kind) for kind in kinds]),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=signs.each_once([*(proof for one in ranked for proof in one.proofs), *turned, *proofs]),
        confidence=sure,
    )  # fmt: skip


def _rows(scores: Mapping[str, float], judged: Mapping[str, signs.Judged], sure: float) -> tuple[ZoneEvidence, ...]:
    rows = []
    for zone in get_args(Zone):
        own = judged.get(zone) or signs.Judged(0.0, "What the signs of too little and too much pressure leave.", ())
        away = round(1.0 - scores[zone], 4) if zone == "optimal" else scores[zone]
        severity = banded(away, signs.BANDS)
        rows.append(ZoneEvidence(zone, scores[zone], own.explanation, own.quotes[:6], sure, severity))
    return tuple(rows)


def _interventions(case: Case[Any], answers: Answers, zone: Zone, profile: Profile) -> tuple[WorkloadIntervention, ...]:
    if zone == "optimal":
        return ()
    told, direction = answers.get("interventions", answers.get("zones")), texts.DIRECTION[zone]
    # More pressure on an agent that has too much would make it worse.
    proposed = [one for one in getattr(told, "interventions", ()) if one.direction == direction]

    def make(side: str, kind: texts.Kind, **told: Any) -> WorkloadIntervention:
        return WorkloadIntervention(intervention_type=kind, direction=texts.DIRECTION[side], **told)

    computed = talk.advised(make, case.signals, texts.ADVICE, {zone})
    return signs.adopted(proposed, texts.COMPOSITION, profile) or computed


def _load(
    case: Case[AgentPerformanceTrace], answers: Answers
) -> tuple[CognitiveLoadAnalysis | None, tuple[Evidence, ...]]:
    """The loads as a model read them from words that stand, else as setting and signs show them."""
    if case.mode != "forensic":
        return None, ()
    shown, told = loads_of(case), answers.get("load")
    if told is None:
        return analysis_of(shown, "From the pressure given and the signs seen."), ()
    stands = case.ground(told.evidence)
    told_loads = (told.intrinsic, told.extraneous, told.germane)
    scored = told_loads if stands else tuple(map(min, told_loads, shown))
    return analysis_of(scored, told.explanation.strip()), stands


PATTERN = Pattern(
    name="yerkes_dodson", number=6, friendly="Yerkes-Dodson Workload", group="Module 1 / Individual",
    summary="Finds whether an agent worked under too little pressure, too much, or in the zone where it works best.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentPerformanceTrace, detection=WorkloadDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={"quick": (QUICK,), "standard": (CLOSELY, CHANGES), "forensic": (PLAINLY, COURSE, LOADS, CHANGES)},
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("outcome", "task"), preconditions=not_empty("observed_behaviors"),
)  # fmt: skip
