"""Robbins and Judge's seven characteristics: does an agent's culture fit its task?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast, get_args

import msgspec

from vstack_proto.patterns import fit, observed, signs, talk
from vstack_proto.patterns import robbins_culture_passes as passes
from vstack_proto.patterns import robbins_culture_signs as rules
from vstack_proto.patterns import robbins_culture_texts as texts
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Detection,
    Evidence,
    Fault,
    Pass,
    Pattern,
    Reading,
    Risk,
    Severity,
    Share,
    Signal,
    Source,
    banded,
    facts,
)
from vstack_proto.patterns.robbins_culture_passes import (
    ChangesAnswer,
    CharacteristicsAnswer,
    FitIntervention,
    QuickAnswer,
    TargetsAnswer,
)
from vstack_proto.patterns.robbins_culture_texts import Characteristic
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Schein, E. H.", "1985", "Organizational Culture and Leadership"),
    Source(
        "O'Reilly, C. A.; Chatman, J. A.; Caldwell, D. F.",
        "1991",
        "People and organizational culture: A profile comparison approach",
    ),
    Source("Robbins, S. P.; Judge, T. A.", "2017", "Organizational Behavior (17th ed.)"),
)

CHARACTERISTICS: tuple[Characteristic, ...] = get_args(Characteristic)
TaskClass = Literal[
    "research_exploration", "creative_generation", "regulated_workflow", "financial_operation", "customer_support",
    "code_review", "incident_response", "general_purpose",
]  # fmt: skip
Gap = Literal[
    "innovation", "attention_to_detail", "outcome", "people", "team", "aggressiveness", "stability", "none"
]  # fmt: skip
Profile = Literal[
    "well_fit", "innovation_starved", "detail_starved", "innovation_excess", "stability_excess", "team_excess",
    "team_starved", "aggressiveness_excess", "people_starved", "outcome_starved", "broadly_misfit", "indeterminate",
]  # fmt: skip
Derived = Literal["task_class_default", "trace_evidence", "blended"]


class AgentRobbinsTrace(msgspec.Struct, frozen=True):
    """What an agent was told and what it did; ``metadata`` may tell in ``observed`` who did what."""

    task: str
    outcome: str
    success: bool
    agent_id: str | None = None
    model_name: str | None = None
    framework: str | None = None
    task_class: TaskClass = "general_purpose"
    system_prompt: str = ""
    observed_behaviors: tuple[str, ...] = ()
    inferred_assumptions: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}


class CharacteristicScore(msgspec.Struct, frozen=True):
    """How much of one characteristic is shown, how much the task wants, and how far that fits."""

    characteristic: Characteristic
    observed_score: Share
    target_score: Share
    fit_score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    risk: Risk = "medium"


class TargetProfileProvenance(msgspec.Struct, frozen=True):
    """Where the target profile comes from."""

    derived_from: Derived = "task_class_default"
    rationale: str = ""
    per_dim_overrides: dict[str, float] = {}


class PerDimensionRisk(msgspec.Struct, frozen=True):
    """Which gap threatens the task most."""

    highest_risk_dimension: Gap = "none"
    risk_explanation: str = ""
    per_dim_risk: dict[str, Risk] = {}


class RobbinsCultureDetection(Detection, frozen=True):
    """How far the culture fits the task."""

    task_class: TaskClass
    characteristics: tuple[CharacteristicScore, ...]
    overall_fit: Share
    fit_quality: fit.Quality
    biggest_gap: Gap
    interventions: tuple[FitIntervention, ...]
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    target_profile_provenance: TargetProfileProvenance | None = None
    per_dimension_risk: PerDimensionRisk | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.FitPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentRobbinsTrace:
    """Every step is a behaviour; ``metadata`` may carry the class of the task, the prompt and inferred assumptions."""
    names = ("agent_id", "model_name", "task_class", "system_prompt", "inferred_assumptions")
    return AgentRobbinsTrace(
        canonical.goal,
        canonical.outcome,
        canonical.success is True,
        framework=canonical.framework,
        observed_behaviors=tuple(step.content for step in canonical.steps),
        metadata=observed.observed(canonical),
        **signs.carried(canonical.metadata, AgentRobbinsTrace, *names),
    )


def read(trace: AgentRobbinsTrace) -> Reading:
    """Facts, then what can be quoted: behaviours first, then the assumptions that the client inferred, the prompt."""
    known = facts(trace, "task", "task_class", "outcome", "success", "agent_id", "model_name", "framework")
    steps = [
        *observed.behaviours(trace.observed_behaviors, trace.metadata, trace.agent_id),
        *observed.steps_of("inferred assumption", trace.inferred_assumptions, "the agent"),
        *observed.steps_of("system prompt", (trace.system_prompt,), "the prompt"),
    ]
    return Reading(tuple(known), tuple(steps))


def preconditions(trace: AgentRobbinsTrace) -> Iterable[Fault]:
    """There is a prompt or a behaviour to look at."""
    if not trace.system_prompt.strip() and not trace.observed_behaviors:
        yield Fault("/system_prompt", "must not be blank where observed_behaviors is empty")


def signals(trace: AgentRobbinsTrace, reading: Reading) -> tuple[Signal, ...]:
    """Too much or too little of a characteristic, named by failure mode; a prompt's slogan counts less than a deed."""
    found = signs.find(reading, rules.RULES)
    return tuple(observed.emphasised(found, reading.steps, observed.PROMPTS, 0.6))


LABEL_OF: dict[str, str] = {mode: label for mode, (label, _) in rules.MODES.items()}
Fits = dict[str, fit.Fit]


def targets_of(task_class: str) -> dict[str, float]:
    """What a class of task wants."""
    return dict(zip(CHARACTERISTICS, texts.TARGETS[task_class], strict=True))


def shown(case: Case[AgentRobbinsTrace], targets: Mapping[str, float]) -> Fits:
    """What the signals show: each characteristic as wanted, moved by the signs of too much and too little."""
    weights = signs.weigh(case.signals, rules.MODES)
    pushed: dict[tuple[str, str], float] = {(label, way): weights[mode] for mode, (label, way) in rules.MODES.items()}
    return {
        label: fit.moved(target, pushed.get((label, "decrease"), 0.0), pushed.get((label, "increase"), 0.0))
        for label, target in targets.items()
    }


# After the widest gap only these are looked at again.
AGAIN: tuple[Profile, ...] = ("innovation_starved", "detail_starved", "stability_excess")


def profile_of(fits: Mapping[str, fit.Fit], quality: str, biggest: str) -> Profile:
    """The contract's rules; the first that holds. Two gaps have no profile of their own: too much detail or outcome."""
    if quality == "well-fit":
        return "well_fit"
    if fit.broad(fits) >= 5:
        return "broadly_misfit"
    shows: dict[str, str] = {}
    for label, own in fits.items():
        name = f"{label.removeprefix('attention_to_')}_{'starved' if own.under else 'excess'}"
        if (own.under or own.over) and name in get_args(Profile):
            shows[label] = name
    again = (name for name in AGAIN if name in shows.values())
    return cast("Profile", shows[biggest]) if biggest in shows else next(again, "indeterminate")


def _targets(case: Case[AgentRobbinsTrace], answers: Answers) -> tuple[dict[str, float], list[str]]:
    """The targets of the class, with the overrides that a quotation bears out, and their reasons."""
    targets, reasons = targets_of(case.trace.task_class), []
    for one in answers["targets"].overrides if "targets" in answers else ():
        if case.ground(one.evidence):
            targets[one.characteristic] = one.target
            reasons.append(f"{one.characteristic} {one.target:g}: {one.reason.strip()}")
    return targets, reasons


def _judged(
    case: Case[AgentRobbinsTrace], answers: Answers, targets: Mapping[str, float]
) -> tuple[Fits, dict[str, signs.Judged]]:
    fits, told = shown(case, targets), dict[str, signs.Judged]()
    answer: CharacteristicsAnswer | None = answers.get("characteristics")
    quiet = "No step puts {label} to the test; it is taken to be as the task wants."
    heard = signs.assessed(case, LABEL_OF, {label: own.observed for label, own in fits.items()}, quiet)
    for label in CHARACTERISTICS:
        if answer is None:
            told[label] = heard[label]
            continue
        found = (one for one in answer.characteristics if one.characteristic == label)
        own = [(one.observed_score, one.explanation, one.evidence) for one in found]
        # The contract's fill values for a characteristic that a model leaves out.
        fits[label], judged = fit.heard(case, own, fits[label]) if own else (fit.Fit(0.5, 0.5), heard[label])
        told[label] = judged if judged.explanation else msgspec.structs.replace(heard[label], proofs=judged.proofs)
    acts = acts_of(case.aside(), answers)
    for label in CHARACTERISTICS:
        fits[label], said = passes.held(((one, way, step) for one, way, step, _ in acts), label, fits[label])
        explanation = f"{told[label].explanation} {said}".strip()
        told[label] = msgspec.structs.replace(told[label], score=fits[label].observed, explanation=explanation)
    return fits, told


def acts_of(case: Case[AgentRobbinsTrace], answers: Answers) -> tuple[tuple[str, str, int, str], ...]:
    """The acts of the agent that stand, each once: characteristic, way, step and words."""
    looked = ((one, case.quoted(one.quote, (one.step,))) for one in (answers["acts"].acts if "acts" in answers else ()))
    told = ((one.characteristic, one.way, found[1][0], found[0]) for one, found in looked if found)
    return tuple(dict.fromkeys(one for one in told if observed.own(case.reading.steps[one[2]])))


def _fits(case: Case[AgentRobbinsTrace], answers: Answers) -> Fits:
    """The fits between passes; quotations are counted in the conclusion and not here."""
    look = case.aside()
    return _judged(look, answers, _targets(look, answers)[0])[0]


def misfits(case: Case[AgentRobbinsTrace], answers: Answers) -> bool:
    """A culture that fits needs no change."""
    return fit.quality_of(fit.overall(_fits(case, answers).values())) != "well-fit"


def _wanted(case: Case[AgentRobbinsTrace], answers: Answers) -> str:
    targets = _targets(case.aside(), answers)[0]
    return ", ".join(f"{label} {target:g}" for label, target in targets.items())


def ask_characteristics(case: Case[AgentRobbinsTrace], answers: Answers) -> str:
    """The seven, with their targets."""
    told = passes.ASK_CHARACTERISTICS.format(targets=_wanted(case, answers))
    return told if case.mode != "quick" else f"{told}\n\n{passes.ASK_CHANGES}"


def ask_targets(case: Case[AgentRobbinsTrace], answers: Answers) -> str:
    """What the class of the task wants."""
    return passes.ASK_TARGETS.format(task_class=case.trace.task_class, targets=_wanted(case, answers))


def _gaps(case: Case[AgentRobbinsTrace], answers: Answers, least: float) -> str:
    shown = ((label, own) for label, own in _fits(case, answers).items() if own.gap >= least)
    return ", ".join(f"{label} {own.observed:.2f} against {own.target:.2f}" for label, own in shown)


def gapes(case: Case[AgentRobbinsTrace], answers: Answers) -> bool:
    """Where every characteristic is about as wanted, no act could bring it nearer."""
    return any(own.gap >= fit.MARGIN for own in _fits(case, answers).values())


def ask_acts(case: Case[AgentRobbinsTrace], answers: Answers) -> str:
    """The acts behind each gap."""
    return passes.ASK_ACTS.format(gaps=_gaps(case, answers, fit.MARGIN) or "none")


def ask_changes(case: Case[AgentRobbinsTrace], answers: Answers) -> str:
    """What to change, given the gaps."""
    return passes.ASK_SCORED.format(gaps=_gaps(case, answers, 0.0)) + passes.ASK_CHANGES


READ = Pass("characteristics", CharacteristicsAnswer, ask_characteristics)
TARGET = Pass("targets", TargetsAnswer, ask_targets)
COUNT = Pass("acts", passes.ActsAnswer, ask_acts, gapes)
CHANGE = Pass("interventions", ChangesAnswer, ask_changes, misfits)


def assess_offline(case: Case[AgentRobbinsTrace]) -> RobbinsCultureDetection:
    """From telling words and the targets of the task's class."""
    return conclude(case, {})


def conclude(case: Case[AgentRobbinsTrace], answers: Answers) -> RobbinsCultureDetection:
    """Scores as far as quotations bear them out; targets, fits, labels and risks are computed."""
    trace, (targets, reasons) = case.trace, _targets(case, answers)
    fits, told = _judged(case, answers, targets)
    whole, biggest = fit.overall(fits.values()), cast("Gap", fit.widest(fits, 0.1))
    quality = fit.quality_of(whole)
    profile = profile_of(fits, quality, biggest)
    proofs = {label: own.proofs for label, own in told.items()}
    interventions: tuple[FitIntervention, ...] = ()
    if quality != "well-fit":
        off = {label for label, own in fits.items() if own.gap >= fit.MARGIN}
        computed = fit.advised(FitIntervention, fits, texts.ADVICE, proofs)
        interventions = talk.proposed(answers, "characteristics", texts.COMPOSITION, profile, off) or computed
    acts = acts_of(case, answers)
    done = (Evidence(f"{way} {label}".replace("_", " "), (at,), quote) for label, way, at, quote in acts)
    sure = signs.confidence(case.signals, len(case.reading.steps))
    if "characteristics" in answers:
        sure = round(min(0.9, sure + 0.1 + 0.02 * (len(acts) + sum(map(len, proofs.values())))), 2)
    forensic, payload = case.mode == "forensic", {"overall_fit": whole, "biggest_gap": biggest}
    labels = {"profile_pattern": profile, "task_class": trace.task_class}
    return RobbinsCultureDetection(
        trace.task_class, _scores(fits, told, sure), whole, quality, biggest, interventions,
        trace.agent_id, trace.model_name, trace.success, banded(round(1 - whole, 9), signs.BANDS), profile,
        _provenance(trace.task_class, targets, reasons) if forensic else None,
        _risks(fits, told) if forensic else None,
        attached_playbooks=fit.playbooks_for(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload),
        evidence=signs.each_once([*(one for label in fits if fits[label].gap for one in proofs[label]), *done]),
        confidence=sure,
    )  # fmt: skip


def _scores(fits: Fits, told: Mapping[str, signs.Judged], sure: float) -> tuple[CharacteristicScore, ...]:
    rows = ((label, fits[label], told[label]) for label in CHARACTERISTICS)
    return tuple(
        CharacteristicScore(
            label, own.observed, own.target, own.fit, judged.explanation, judged.quotes[:6], sure, own.risk
        )
        for label, own, judged in rows
    )


def _provenance(task_class: str, targets: Mapping[str, float], reasons: list[str]) -> TargetProfileProvenance:
    usual = targets_of(task_class)
    changed = {str(label): target for label, target in targets.items() if target != usual[label]}
    derived: Derived = "task_class_default" if not changed else "blended" if len(changed) < 7 else "trace_evidence"
    return TargetProfileProvenance(derived, " ".join([f"What {task_class} wants.", *reasons]), changed)


def _risks(fits: Fits, told: Mapping[str, signs.Judged]) -> PerDimensionRisk:
    risks: dict[str, Risk] = {label: own.risk for label, own in fits.items()}
    ranked = sorted(fits, key=lambda label: (("high", "medium", "low").index(risks[label]), -fits[label].gap))
    if risks[ranked[0]] == "low":
        return PerDimensionRisk("none", "No gap is wide enough to threaten the task.", risks)
    return PerDimensionRisk(cast("Gap", ranked[0]), told[ranked[0]].explanation, risks)


PATTERN = Pattern(
    name="robbins_culture", number=32, friendly="Robbins-Judge Culture", group="Module 3 / Organization",
    summary="Finds where an agent's culture, in seven characteristics, has too much or too little for its task.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentRobbinsTrace, detection=RobbinsCultureDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("characteristics", QuickAnswer, ask_characteristics),),
        "standard": (READ, CHANGE),
        "forensic": (TARGET, READ, COUNT, CHANGE),
    },
    # An intervention's direction is part of its key here.
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=cast("Any", texts.ATTACH), composition=texts.COMPOSITION,
    non_blank=("task", "outcome"), preconditions=preconditions,
)  # fmt: skip
