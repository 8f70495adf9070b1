"""Motivation traps: why did an agent that could do the task stop trying?"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, cast

import msgspec

from vstack_proto.patterns import motivation_traps_texts as texts
from vstack_proto.patterns import observed, signs, talk
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
    asks,
    attach_playbooks,
    banded,
)
from vstack_proto.patterns.motivation_traps_texts import MODE_OF, TRAPS, MotivationIntervention, Trap
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Saxberg, B.; Hess, F. M.", "2013", "Breakthrough Leadership in the Digital Age"),
    Source("Clark, R. E.; Saxberg, B.", "2019", "4 Reasons Good Employees Lose Motivation"),
    Source("Vroom, V. H.", "1964", "Work and Motivation"),
    Source("Bandura, A.", "1977", "Self-Efficacy: Toward a Unifying Theory of Behavioral Change"),
    Source("Weiner, B.", "1985", "An Attributional Theory of Achievement Motivation and Emotion"),
    Source("Eccles, J. S.; Wigfield, A.", "2002", "Motivational Beliefs, Values, and Goals"),
    Source("Pekrun, R.", "2006", "The Control-Value Theory of Achievement Emotions"),
    Source("Dweck, C. S.", "2006", "Mindset"),
    Source("Sharma, M. et al.", "2023", "Towards Understanding Sycophancy in Language Models (arXiv:2310.13548)"),
)

TaskClass = Literal[
    "code_generation", "research", "creative", "analysis", "customer_facing", "tool_use", "general_purpose"
]  # fmt: skip
Dominant = Literal["values", "self_efficacy", "emotions", "attribution", "none"]
Quality = Literal["motivated", "at-risk", "abandoning"]
Profile = Literal[
    "motivated_baseline", "values_dominant_irrelevance", "self_efficacy_collapse_uncertainty",
    "emotions_post_rejection_cascade", "attribution_loop_wrong_cause", "values_plus_attribution",
    "self_efficacy_plus_emotions", "self_efficacy_plus_attribution", "high_stakes_capability_collapse",
    "creative_task_value_misfit", "indeterminate", "multi_trap_compounded",
]  # fmt: skip


class AgentMotivationTrace(msgspec.Struct, frozen=True):
    """A task that was given up, or not; ``metadata`` may tell in ``observed`` who showed each behaviour."""

    task: str
    abandonment_signal: str
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    task_class: TaskClass = "general_purpose"
    system_prompt: str = ""
    observed_behaviors: tuple[str, ...] = ()
    self_reports: tuple[str, ...] = ()
    success: bool = False
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    prior_failures: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}


class TrapEvidence(msgspec.Struct, frozen=True):
    """How strongly one trap shows."""

    trap: Trap
    score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    severity: Severity = "moderate"


class AttributionAxis(msgspec.Struct, frozen=True):
    """Where the agent places the cause of its failures; maladaptive where that cause stays and cannot be changed."""

    locus: texts.Locus
    stability: texts.Stability
    controllability: texts.Control
    is_maladaptive: bool = False
    explanation: str = ""
    evidence_quotes: tuple[str, ...] = ()


class AbandonmentLink(msgspec.Struct, frozen=True):
    """A step of the reading at which the effort visibly drops."""

    step_index: Count
    trap: Trap
    signal_type: texts.LinkType
    observed_text: str = ""
    severity: Severity = "moderate"


class MotivationBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    baseline_dominant_trap: str | None = None
    baseline_profile_pattern: str | None = None
    trap_score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class MotivationDetection(Detection, frozen=True):
    """Which traps hold the agent, and what would free it."""

    task_class: TaskClass
    trap_evidence: tuple[TrapEvidence, ...]
    dominant_trap: Dominant
    motivation_quality: Quality
    interventions: tuple[MotivationIntervention, ...]
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    attribution_axis: AttributionAxis | None = None
    abandonment_chain: tuple[AbandonmentLink, ...] = ()
    baseline: MotivationBaseline | None = None
    attached_playbooks: tuple[texts.MotivationPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentMotivationTrace:
    """Every step is a behaviour. ``metadata`` may carry the other fields; a run that tells no abandonment ended so."""
    names = ("agent_id", "model_name", "task_class", "system_prompt", "self_reports", "run_count", "prior_failures")
    held = signs.carried(canonical.metadata, AgentMotivationTrace, *names, "abandonment_signal")
    return AgentMotivationTrace(
        task=canonical.goal,
        outcome=canonical.outcome,
        observed_behaviors=tuple(step.content for step in canonical.steps),
        success=canonical.success is True,
        framework=canonical.framework,
        metadata=observed.observed(canonical),
        **{"abandonment_signal": canonical.outcome, **held},
    )


REPORT, ABANDONED = "self report", "abandonment"


def read(trace: AgentMotivationTrace) -> Reading:
    """Facts, then what can be quoted: behaviours first, then reports, earlier failures, the abandonment, the prompt."""
    signal = trace.abandonment_signal
    # A run that was read from its steps has no other account of its end than the outcome, which is no step.
    ended = () if signal == trace.outcome or signal in trace.observed_behaviors else (signal,)
    steps = [
        *observed.behaviours(trace.observed_behaviors, trace.metadata, trace.agent_id),
        *observed.steps_of(REPORT, trace.self_reports, trace.agent_id),
        *observed.steps_of("prior failure", trace.prior_failures, trace.agent_id),
        *observed.steps_of(ABANDONED, ended, trace.agent_id),
        *observed.steps_of("system prompt", (trace.system_prompt,), "system"),
    ]
    return Reading(tuple(observed.facts(trace)), tuple(steps))


def signals(trace: AgentMotivationTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode; an agent's own report and the abandonment itself count more than an account of it."""
    rules = (*texts.RULES, texts.FORMULAIC) if trace.task_class == "creative" else texts.RULES
    found = [*signs.find(reading, rules), *_repeated(reading)]
    return tuple(observed.emphasised(found, reading.steps, frozenset({REPORT, ABANDONED}), 1.3))


SORRY = signs.words(r"apologi[sz]e|my apologies|i(?:'m| am) sorry")


def _repeated(reading: Reading) -> Iterator[Signal]:
    """The third apology, and the same behaviour a third time."""
    sorry, seen = 0, Counter[tuple[str, str]]()
    for number, step in enumerate(reading.steps):
        if not observed.own(step):
            continue
        quote = signs.first_line(step.content)
        if (match := SORRY.search(step.content)) is not None:
            sorry += 1
            if sorry == 3:
                claim = f"{step.agent} apologises a third time, where a changed step was wanted"
                quote = signs.line_at(step.content, *match.span())
                yield Signal("post_rejection_cascade", claim, (number,), quote, 0.35)
        key = (step.agent, signs.gist(step.content))
        seen[key] += 1
        # Turn-taking is short and repeats in good runs; what repeats beyond that is a hint and no more.
        if seen[key] == 3 and len(key[1]) >= 20 and quote:
            claim = f"{step.agent} does the same a third time, as if the cause had been found"
            yield Signal("wrong_cause_loop", claim, (number,), quote, 0.25)


def dominant_of(scores: Mapping[str, float]) -> Dominant:
    """The trap with the highest score, the first of equals; none below 0.3."""
    strongest = max(TRAPS, key=lambda trap: scores[trap])
    return strongest if scores[strongest] >= 0.3 else "none"


def quality_of(highest: float) -> Quality:
    """The contract's bounds on the highest score."""
    return "abandoning" if highest > 0.6 else "at-risk" if highest >= 0.3 else "motivated"


PAIRS: tuple[tuple[frozenset[str], Profile], ...] = (
    (frozenset({"values", "attribution"}), "values_plus_attribution"),
    (frozenset({"self_efficacy", "emotions"}), "self_efficacy_plus_emotions"),
    (frozenset({"self_efficacy", "attribution"}), "self_efficacy_plus_attribution"),
)
LED_BY: dict[Dominant, Profile] = {
    "values": "values_dominant_irrelevance", "self_efficacy": "self_efficacy_collapse_uncertainty",
    "emotions": "emotions_post_rejection_cascade", "attribution": "attribution_loop_wrong_cause",
}  # fmt: skip


def profile_of(scores: Mapping[str, float], task_class: str) -> Profile:
    """The contract's rules; the first that holds.

    A pair is named wherever both of it are strong, whatever else is: the rules ask for these two, not for only these.
    """
    strong, dominant = {trap for trap in TRAPS if scores[trap] >= 0.5}, dominant_of(scores)
    if len(strong) >= 2:
        return next((name for pair, name in PAIRS if pair <= strong), "multi_trap_compounded")
    if task_class == "tool_use" and dominant == "self_efficacy":
        return "high_stakes_capability_collapse"
    if task_class == "creative" and dominant == "values":
        return "creative_task_value_misfit"
    # A peak below 0.3 is motivated, and one from 0.3 on has a dominant trap: nothing is left indeterminate.
    return LED_BY.get(dominant, "motivated_baseline")


def severity_of(highest: float) -> Severity:
    """The contract's bands; an agent that abandons its task is medium at least."""
    return banded(max(highest, 0.55) if quality_of(highest) == "abandoning" else highest, signs.BANDS)


def _judged(case: Case[Any], answers: Answers) -> dict[str, signs.Judged]:
    answer: texts.TrapsAnswer | None = answers.get("traps")
    found = [(f.trap, f.score, f.explanation, f.evidence) for f in answer.traps] if answer else None
    return signs.judge_all(case, cast("dict[str, str]", MODE_OF), TRAPS, found)


def _scores(case: Case[Any], answers: Answers) -> dict[str, float]:
    judged = _judged(case.aside(), answers)
    return {label: one.score for label, one in judged.items()}


def is_trapped(case: Case[Any], answers: Answers) -> bool:
    """A motivated agent needs no change."""
    return dominant_of(_scores(case, answers)) != "none"


def explains_itself(case: Case[Any], answers: Answers) -> bool:
    """Without reports or earlier failures there is no attribution to read."""
    return bool(case.trace.self_reports or case.trace.prior_failures)


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given what the scores say."""
    found = signs.scored(_scores(case, answers))
    return texts.ASK_REMEDY.format(found=found) + texts.ASK_CHANGES


READ = Pass("traps", texts.TrapsAnswer, asks(texts.TASK))
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, is_trapped)
WEINER = Pass("weiner", texts.WeinerAnswer, asks(texts.ASK_WEINER), explains_itself)
CHAIN = Pass("chain", texts.ChainAnswer, asks(texts.ASK_CHAIN), is_trapped)


def assess_offline(case: Case[AgentMotivationTrace]) -> MotivationDetection:
    """From telling words and repeats alone."""
    return conclude(case, {})


def conclude(case: Case[AgentMotivationTrace], answers: Answers) -> MotivationDetection:
    """Scores as far as quotations bear them out; labels, severity and profile are computed."""
    trace, judged = case.trace, _judged(case, answers)
    scores = {label: one.score for label, one in judged.items()}
    highest, dominant, profile = max(scores.values()), dominant_of(scores), profile_of(scores, trace.task_class)
    axis, told = _axis(case, answers, scores)
    seen = [one for one in case.signals if scores[MODE_OF[one.name]] >= signs.SHOWS] if "traps" in answers else []
    said = [proof for trap in TRAPS if scores[trap] >= 0.1 for proof in judged[trap].proofs]
    sure = signs.confidence(case.signals, len(case.reading.steps))
    if "traps" in answers:
        sure = round(min(0.9, sure + 0.1 + 0.02 * len(said)), 2)
    interventions = _interventions(case, answers, scores, profile)
    payload = {"trap_scores": scores, "motivation_quality": quality_of(highest)}
    labels = {"profile_pattern": profile, "dominant": dominant}
    kinds = [one.intervention_type for one in interventions]
    return MotivationDetection(
        task_class=trace.task_class,
        trap_evidence=tuple(
            TrapEvidence(trap, own.score, own.explanation, own.quotes, sure, banded(own.score, signs.BANDS))
            for trap, own in zip(TRAPS, judged.values(), strict=True)
        ),
        dominant_trap=dominant,
        motivation_quality=quality_of(highest),
        interventions=interventions,
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        success=trace.success,
        severity=severity_of(highest),
        profile_pattern=profile,
        attribution_axis=axis,
        abandonment_chain=_chain(case, answers, scores),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=signs.each_once([*said, *told, *signs.proofs(case, seen)]),
        confidence=sure,
    )


def _interventions(
    case: Case[Any], answers: Answers, scores: Mapping[str, float], profile: Profile
) -> tuple[MotivationIntervention, ...]:
    if dominant_of(scores) == "none":
        return ()
    showing = {one for one, score in scores.items() if score >= signs.SHOWS}
    computed = signs.remedies(MotivationIntervention, case.signals, scores, texts.PLAYBOOKS, texts.ATTACH)
    return talk.proposed(answers, "traps", texts.COMPOSITION, profile, showing) or computed


INSIDE = re.compile(r"\b(?:i|me|my|our|we)\b", re.IGNORECASE)


def _axis(
    case: Case[AgentMotivationTrace], answers: Answers, scores: Mapping[str, float]
) -> tuple[AttributionAxis | None, tuple[Evidence, ...]]:
    """Weiner's axes: as a model read them from words that stand, else from the weightiest words of attribution."""
    told: texts.WeinerAnswer | None = answers.get("weiner")
    if told is not None and (stands := case.ground(told.evidence)):
        bad = told.stability == "stable" and told.controllability == "uncontrollable"
        said, quotes = told.explanation.strip(), tuple(proof.quote for proof in stands)
        return AttributionAxis(told.locus, told.stability, told.controllability, bad, said, quotes), stands
    seen = [one for one in case.signals if MODE_OF[one.name] == "attribution"]
    if case.mode != "forensic" or not seen or scores["attribution"] < signs.SHOWS:
        return None, ()
    best = max(seen, key=lambda one: one.weight)
    locus: texts.Locus = "internal" if INSIDE.search(best.quote) else "external"
    if best.name == "stable_uncontrollable_blame":
        return AttributionAxis(locus, "stable", "uncontrollable", True, f"{best.claim}.", (best.quote,)), ()
    return AttributionAxis(locus, "unstable", "controllable", False, f"{best.claim}.", (best.quote,)), ()


def _chain(case: Case[Any], answers: Answers, scores: Mapping[str, float]) -> tuple[AbandonmentLink, ...]:
    answer: texts.ChainAnswer | None = answers.get("chain")
    links = [
        AbandonmentLink(one.step, one.trap, one.signal_type, found[0], banded(one.gravity, signs.BANDS))
        for one in (answer.links if answer else ())
        if scores[one.trap] >= 0.1 and (found := case.quoted(one.quote, (one.step,)))
    ]
    # A threat in the prompt explains a loss of effort and is none.
    shown = [one for one in case.signals if not observed.prompting(case.reading.steps[one.steps[0]])]
    links = links or [
        AbandonmentLink(one.steps[0], trap, texts.LINK_OF[one.name], one.quote, banded(one.weight, signs.BANDS))
        for one in shown
        if scores[trap := MODE_OF[one.name]] >= signs.SHOWS
    ]
    return tuple(sorted(links, key=lambda link: link.step_index))


PATTERN = Pattern(
    name="motivation_traps", number=9, friendly="Motivation Traps", group="Module 1 / Individual",
    summary="Finds why an agent gave a task up: its value, its own ability, its emotions, or a wrongly named cause.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentMotivationTrace, detection=MotivationDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("traps", texts.QuickAnswer, asks(f"{texts.TASK}\n\n{texts.ASK_CHANGES}")),),
        "standard": (READ, CHANGES),
        "forensic": (READ, WEINER, CHAIN, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("abandonment_signal", "outcome", "task"),
)  # fmt: skip
