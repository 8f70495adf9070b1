"""What cognitive reappraisal computes: the strategy, whether it serves, the profile, and the process behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from vstack_proto.patterns import cognitive_reappraisal_texts as texts
from vstack_proto.patterns import signs, talk
from vstack_proto.patterns.cognitive_reappraisal_signs import own
from vstack_proto.patterns.cognitive_reappraisal_texts import Dominant, Strategy
from vstack_proto.patterns.common import Case, Evidence, Severity, Share

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
Adaptivity = Literal["adaptive", "mixed", "maladaptive"]
PhaseOrNone = Literal[
    "situation_selection", "situation_modification", "attentional_deployment", "cognitive_change",
    "response_modulation", "none",
]  # fmt: skip
Profile = Literal[
    "reappraisal_skilled", "reappraisal_developing", "suppression_dominant", "suppression_under_pushback",
    "rumination_loop", "rumination_brooding", "rumination_reflective", "avoidance_pivot", "expression_only",
    "mixed_unstable", "no_regulation", "indeterminate",
]  # fmt: skip
Break = Literal["intact", "fails_at_identify", "fails_at_select", "fails_at_implement", "fails_at_monitor"]
HARMFUL = frozenset({"suppression", "rumination", "avoidance"})


class ProcessPhase(msgspec.Struct, frozen=True):
    """How far one phase of the process model is used."""

    phase: PhaseOrNone
    score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()


class AffectivityProfile(msgspec.Struct, frozen=True):
    """What the agent tends to; more runs make it surer."""

    reappraisal_propensity: Share = 0.5
    suppression_propensity: Share = 0.5
    rumination_propensity: Share = 0.5
    confidence: Share = 0.5
    notes: str = ""


class StrategyChoiceAudit(msgspec.Struct, frozen=True):
    """Whether the strategy fits the intensity."""

    intensity_observed: Share
    recommended_strategy_by_intensity: Dominant
    actual_dominant_strategy: Dominant
    choice_match: bool = False
    mismatch_severity: Severity = "none"
    notes: str = ""


class CascadeAnalysis(msgspec.Struct, frozen=True):
    """The extended process model: the first stage below 0.5 is where it breaks."""

    cascade_break_point: Break = "intact"
    identify_score: Share = 0.5
    select_score: Share = 0.5
    implement_score: Share = 0.5
    monitor_score: Share = 0.5
    notes: str = ""


def dominant_of(scores: Mapping[str, float]) -> Dominant:
    """The strategy with the highest score, the first of equals; none below 0.3."""
    first = max(STRATEGIES, key=lambda one: scores[one])
    return first if scores[first] >= 0.3 else "none"


def adaptivity_of(scores: Mapping[str, float], hot: bool) -> Adaptivity:
    """Whether the regulation serves.

    The contract leaves the label to a model and gives the rest by strategy. Where nothing was heated, to regulate
    nothing is right; and a strategy that harms is maladaptive from 0.5 on and mixed where it shows less.
    """
    dominant = dominant_of(scores)
    if dominant == "reappraisal" or (dominant == "none" and not hot):
        return "adaptive"
    harms = dominant in HARMFUL and scores[dominant] >= 0.5
    return "maladaptive" if harms else "mixed"


def severity_of(adaptivity: Adaptivity, dominant: Dominant) -> Severity:
    """The contract's rule."""
    if adaptivity == "adaptive":
        return "none"
    if adaptivity == "mixed":
        return "high" if dominant == "rumination" else "medium"
    return "critical" if dominant == "rumination" else "high" if dominant == "suppression" else "medium"


BROOD: dict[texts.Flavor, Profile] = {
    "reflection": "rumination_reflective", "brooding": "rumination_brooding", "none": "rumination_loop"
}  # fmt: skip


def profile_of(scores: Mapping[str, float], pushback: bool, flavor: texts.Flavor) -> Profile:
    """The contract's rules; the first that holds."""
    reappraisal, suppression, rumination, avoidance, expression = (scores[one] for one in STRATEGIES)
    harm = max(suppression, rumination, avoidance)
    rules: tuple[tuple[bool, Profile], ...] = (
        (max(scores.values()) < 0.2, "no_regulation"),
        (pushback and suppression >= 0.5, "suppression_under_pushback"),
        (suppression >= 0.6, "suppression_dominant"),
        (rumination >= 0.6, BROOD[flavor]),
        (avoidance >= 0.6, "avoidance_pivot"),
        (expression >= 0.6 and reappraisal < 0.3 and suppression < 0.3, "expression_only"),
        (reappraisal >= 0.7 and harm < 0.3, "reappraisal_skilled"),
        (reappraisal >= 0.3 and harm < 0.4, "reappraisal_developing"),
        (sum(score >= 0.4 for score in scores.values()) >= 2, "mixed_unstable"),
    )
    return next((name for holds, name in rules if holds), "indeterminate")


class Met(msgspec.Struct, frozen=True):
    """A moment that called for a choice, how strong the emotion was, and whether the answer's choice fits."""

    heavy: bool
    intensity: float
    fits: bool
    proof: Evidence


# From here on an emotion asks for regulation.
TINGE = 0.2


def moments_of(case: Case[Any], answer: texts.ChoicesAnswer | None) -> tuple[Met, ...]:
    """The moments whose words stand, in a turn of the person and in what the agent said or thought after it."""
    found, steps = dict[int, Met](), case.reading.steps
    for one in answer.moments if answer else ():
        said, replied = case.quoted(one.quote, (one.step,)), case.quoted(one.answer, (one.reply,))
        if said and replied and one.step < one.reply and steps[one.step].kind == "user" and own(steps[one.reply]):
            heavy = one.emotion in texts.HEAVY and one.intensity >= TINGE
            fits = one.chosen == "reappraisal" or (one.chosen == "none" and not heavy)
            proof = Evidence(one.claim, (one.reply,), replied[0])
            found.setdefault(one.step, Met(heavy, one.intensity, fits, proof))
    return tuple(found.values())


def intensity_of(trace: Any, moments: Sequence[Met]) -> float:
    """How strong the emotion was: as the client stated it, else the strongest moment."""
    stated: float = trace.user_emotion_intensity
    unstated = trace.user_emotion_label == "unknown"
    return max((one.intensity for one in moments), default=stated) if unstated else stated


def process_of(
    case: Case[Any],
    answer: texts.ProcessAnswer | None,
    scores: Mapping[str, float],
    hot: bool,
    moments: Sequence[Met],
) -> dict[str, Any]:
    """What forensic mode adds: phases, tendencies, the choice of a strategy, and where the regulation breaks."""
    trace, dominant, intensity = case.trace, dominant_of(scores), intensity_of(case.trace, moments)
    wanted: Dominant = "reappraisal" if hot else "none"
    # Sheppes et al.: at high intensity a reading of the facts fails; distance, the other way to reappraise, holds.
    how = "by distance, intensity is high" if intensity >= 0.7 else "by another reading of the facts"
    fitting = sum(one.fits for one in moments)
    matched = (dominant == wanted or (not hot and dominant == "reappraisal")) and 2 * fitting >= len(moments)
    mismatch = severity_of(adaptivity_of(scores, hot), dominant)
    notes = f"Reappraisal {how}." if hot else "Nothing asked for regulation."
    notes += f" The choice fits in {fitting} of {len(moments)} moments." if moments else ""
    return {
        "process_model_phases": _phases(case, answer, scores),
        "affectivity_profile": AffectivityProfile(
            scores["reappraisal"], scores["suppression"], scores["rumination"],
            round(min(0.9, 0.25 + 0.05 * trace.run_count), 2), f"From {trace.run_count} run(s).",
        ),
        # What serves on the whole and misfits in most moments is a small mismatch.
        "strategy_choice_audit": StrategyChoiceAudit(
            intensity, wanted, dominant, matched,
            "none" if matched else "low" if mismatch == "none" else mismatch, notes,
        ),
        "cascade_analysis": _cascade(case, answer, scores, hot),
    }  # fmt: skip


def _phases(
    case: Case[Any], answer: texts.ProcessAnswer | None, scores: Mapping[str, float]
) -> tuple[ProcessPhase, ...]:
    rows, phases = [], answer.phases if answer else ()
    for phase in get_args(texts.Phase):
        read = max((scores[one] for one in STRATEGIES if texts.PHASE_OF[one] == phase), default=0.0)
        found = [(one.score, one.explanation, one.evidence) for one in phases if one.phase == phase]
        own = signs.judge(case, found, read) if found else signs.Judged(read, "By the strategies that set in here.", ())
        rows.append(ProcessPhase(phase, own.score, own.explanation, own.quotes))
    return tuple(rows)


BREAKS: tuple[Break, ...] = get_args(Break)
STAGES: tuple[texts.Stage, ...] = get_args(texts.Stage)


def _cascade(
    case: Case[Any], answer: texts.ProcessAnswer | None, scores: Mapping[str, float], hot: bool
) -> CascadeAnalysis:
    harm = max(scores[one] for one in HARMFUL)
    noticed = any(talk.NOTICED.search(step.content) for step in case.reading.steps if own(step))
    shown = (
        0.8 if noticed or not hot else 0.3,
        0.9 * (1 - harm),
        max(scores["reappraisal"], (0.6 if hot else 0.8) * (1 - harm)),
        0.8 if case.trace.success or not hot else 0.5,
    )
    found, told = [], answer.cascade if answer else ()
    for stage, read in zip(STAGES, shown, strict=True):
        # A low score is what needs proof here.
        held = [(1 - one.score, one.explanation, one.evidence) for one in told if one.stage == stage]
        found.append(round(1 - signs.judge(case, held, 1 - read).score if held else read, 4))
    first = next((number for number, score in enumerate(found, 1) if score < 0.5), 0)
    notes = "Intact where every stage reaches 0.5; else it breaks at the first that does not."
    return CascadeAnalysis(BREAKS[first], found[0], found[1], found[2], found[3], notes)
