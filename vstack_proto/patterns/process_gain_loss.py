"""Process gain and loss: did working together beat the best member alone, and if not, where did it go?"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast, get_args

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import observed, signs, talk
from vstack_proto.patterns import process_gain_loss_signs as words
from vstack_proto.patterns import process_gain_loss_texts as texts
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Detection,
    Evidence,
    Fault,
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
)
from vstack_proto.patterns.process_gain_loss_texts import Factor, ProcessIntervention
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Hackman, J. R.; Vidmar, N.", "1970",
        "Effects of Size and Task Type on Group Performance and Member Reactions"),
    Source("Steiner, I. D.", "1972", "Group Process and Productivity"),
    Source("Hill, G. W.", "1982", "Group versus Individual Performance: Are N + 1 Heads Better than One?"),
    Source("Diehl, M.; Stroebe, W.", "1987", "Productivity Loss in Brainstorming Groups"),
    Source("Robbins, S. P.; Judge, T. A.", "2017", "Organizational Behavior"),
    Source("Salas, E. et al.", "2018", "The Science of Team Performance"),
    Source("Janis, I. L.", "1972", "Victims of Groupthink"), Source("Liu, N. F. et al.", "2024", "Lost in the Middle"),
)  # fmt: skip

FACTORS: tuple[Factor, ...] = get_args(Factor)
FACTOR_OF = {book.failure_mode: book.factor for book in texts.PLAYBOOKS if book.factor in FACTORS}
Quality = Literal["process-gain", "neutral", "process-loss"]
Profile = Literal[
    "process_gain_balanced", "neutral_team", "coordination_dominant_loss", "social_loafing_dominant_loss",
    "groupthink_dominant_loss", "handoff_dominant_loss", "context_dilution_dominant_loss",
    "consensus_dilution_dominant_loss", "multi_factor_loss", "cost_overhead_with_loss", "team_too_large",
    "indeterminate",
]  # fmt: skip


class ProcessTrace(msgspec.Struct, frozen=True):
    """A task done by members alone and by the team, with what was said between them."""

    task: str
    individual_baselines: tuple[texts.IndividualBaseline, ...]
    team_result: texts.TeamResult
    outcome: str
    trace_id: str | None = None
    interaction_log: str = ""
    success: bool = False
    framework: str | None = None
    metadata: dict[str, Any] = {}


class ProcessGainLossDetection(Detection, frozen=True):
    """What working together gained or lost, and why."""

    process_quality: Quality
    gain_loss_score: float
    individual_best_quality: Share
    individual_best_agent: str
    individual_mean_quality: Share
    team_quality: Share
    contributing_factors: tuple[texts.FactorFound, ...]
    interventions: tuple[ProcessIntervention, ...]
    trace_id: str | None = None
    cost_overhead_ratio: float | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    interaction_log_audit: texts.InteractionLogAudit | None = None
    counterfactual_audit: texts.CounterfactualAudit | None = None
    baseline: texts.ProcessBaseline | None = None
    attached_playbooks: tuple[texts.ProcessPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> ProcessTrace:
    """The steps as the log; ``metadata`` must hold ``individual_baselines`` and ``team_result`` of the contract.

    The steps are kept in the metadata of the trace read, so that step i stays step i whatever line breaks it holds. An
    unknown ``success`` counts as none.
    """
    held = signs.carried(canonical.metadata, ProcessTrace, "individual_baselines", "team_result", "trace_id")
    alone, result = held.get("individual_baselines", ()), held.get("team_result")
    if len(alone) < 2 or result is None or not result.agents:
        needed = "individual_baselines (2 or more: agent_name, output_summary, quality_score) and team_result"
        raise TraceNotReadable(f"process_gain_loss needs in metadata: {needed}")
    log = "\n".join(f"{step.agent}: {step.content}" for step in canonical.steps)
    return ProcessTrace(
        task=canonical.goal, outcome=canonical.outcome, success=canonical.success is True,
        interaction_log=log, framework=canonical.framework, metadata=observed.with_steps(canonical), **held,
    )  # fmt: skip


def log_of(trace: ProcessTrace) -> tuple[Step, ...]:
    """What was said, step by step."""
    return observed.kept_steps(trace.metadata) or texts.steps_of(trace.interaction_log)


def read(trace: ProcessTrace) -> Reading:
    """The numbers as facts; the log, then what each member did alone, then the team's result."""
    best = best_of(trace)
    known = facts(trace, "task", "outcome", "success")
    known.append(("best member alone", f"{best.agent_name}, quality {best.quality_score:g}"))
    known.append(("team's quality", f"{trace.team_result.quality_score:g}"))
    alone = [Step(one.agent_name, "alone", one.line()) for one in trace.individual_baselines]
    return Reading(tuple(known), (*log_of(trace), *alone, Step("team", "result", trace.team_result.line())))


def preconditions(trace: ProcessTrace) -> Iterable[Fault]:
    """Two members to compare with, and a team."""
    if len(trace.individual_baselines) < 2:
        yield Fault("/individual_baselines", f"must hold 2 or more, got {len(trace.individual_baselines)}")
    if not trace.team_result.agents:
        yield Fault("/team_result/agents", "must not be empty")


def best_of(trace: ProcessTrace) -> texts.IndividualBaseline:
    """The best member alone, the first of equals."""
    return max(trace.individual_baselines, key=lambda one: one.quality_score)


def gain_of(trace: ProcessTrace) -> float:
    """What the team adds to its best member's quality; negative for a loss."""
    return round(trace.team_result.quality_score - best_of(trace).quality_score, 4)


def quality_of(gain: float) -> Quality:
    """Within 0.05 of the best member is neither gain nor loss."""
    return "process-gain" if gain > 0.05 else "process-loss" if gain < -0.05 else "neutral"


def overhead_of(trace: ProcessTrace) -> float | None:
    """The team's cost over the best member's; None where either is unknown, or the latter is zero."""
    alone, together = best_of(trace).cost_units, trace.team_result.cost_units
    if not alone or together is None or not math.isfinite(together / alone):
        return None
    return round(together / alone, 4)


LOSSES: tuple[tuple[float, Severity], ...] = (
    (0.0, "low"), (0.1, "moderate"), (0.25, "medium"), (0.4, "high"), (0.6, "critical"),
)  # fmt: skip


def severity_of(gain: float) -> Severity:
    """The contract's bands: a gain of 0.1 and more is none, any other is trace, and losses count by their size."""
    if gain >= 0:
        return "none" if gain >= 0.1 else "trace"
    return banded(-gain, LOSSES)


BY_FACTOR: dict[str, Profile] = dict(zip(FACTORS, cast("tuple[Profile, ...]", get_args(Profile)[2:8]), strict=True))


def profile_of(trace: ProcessTrace, scores: Mapping[str, float]) -> Profile:
    """The contract's rules; the first that holds."""
    quality, overhead = quality_of(gain_of(trace)), overhead_of(trace)
    if quality != "process-loss":
        return "process_gain_balanced" if quality == "process-gain" else "neutral_team"
    if overhead is not None and overhead > 1.5:
        return "cost_overhead_with_loss"
    if len(trace.team_result.agents) >= 5 and scores["coordination_cost"] >= 0.5:
        return "team_too_large"
    strong = [factor for factor in FACTORS if scores[factor] >= 0.5]
    return "multi_factor_loss" if len(strong) > 1 else BY_FACTOR[strong[0]] if strong else "indeterminate"


def mean_of(trace: ProcessTrace) -> float:
    """The members' mean quality; never beyond the best, whatever rounding makes of the sum."""
    told = [one.quality_score for one in trace.individual_baselines]
    return min(max(told), sum(told) / len(told))


def is_better_alone(trace: ProcessTrace) -> bool:
    """A loss, unless the team is cheaper than its best member."""
    return quality_of(gain_of(trace)) == "process-loss" and (overhead_of(trace) or 1.0) >= 1.0


def signals(trace: ProcessTrace, reading: Reading) -> tuple[Signal, ...]:
    """What could explain a loss, named by failure mode: words, cost, size, silence, and what became of the best."""
    log, team = log_of(trace), trace.team_result
    found = [*signs.find(reading, words.RULES), *words.of_the_best(log, best_of(trace), team)]
    found += words.of_the_team(log, len(reading.steps) - 1, team, overhead_of(trace))
    return signs.strongest(signal for signal in found if signal.quote)


def _parts(case: Case[ProcessTrace], answer: texts.PartsAnswer | None) -> tuple[texts.Part, ...]:
    """The parts of the best member's answer, each once, that stand there and whose fate stands where it is said to."""
    trace, found = case.trace, dict[str, texts.Part]()
    own = len(log_of(trace)) + trace.individual_baselines.index(best_of(trace))
    for one in answer.parts if answer else ():
        part, fate = case.quoted(one.part, (own,)), case.quoted(one.quote, (one.step,))
        if part and fate:
            found.setdefault(part[0], msgspec.structs.replace(one, part=part[0], quote=fate[0]))
    return tuple(found.values())


Factors = dict[str, signs.Judged]


def _judged(case: Case[ProcessTrace], answers: Answers) -> tuple[Factors, tuple[texts.Part, ...]]:
    """The factors and the parts: a factor has at least the share of the best answer that it undid."""
    if quality_of(gain_of(case.trace)) == "process-gain":
        said = "The team did better than its best member: there is no loss to explain."
        return {factor: signs.Judged(0.0, said, ()) for factor in FACTORS}, ()
    answer: texts.FactorsAnswer | None = answers.get("factors")
    found = [(f.factor, f.score, f.explanation, f.evidence) for f in answer.factors] if answer else None
    judged, parts = signs.judge_all(case, FACTOR_OF, FACTORS, found), _parts(case, answers.get("parts"))
    for fate, factor in texts.FATES.items():
        undone, own = [one for one in parts if one.fate == fate], judged[factor]
        share = round(len(undone) / max(1, len(parts)), 4)
        said = own.explanation if own.score >= share else " ".join(one.claim.strip() for one in undone)
        proofs = (*own.proofs, *(Evidence(one.claim, (one.step,), one.quote) for one in undone))
        judged[factor] = signs.Judged(max(own.score, share), said, proofs)
    return judged, parts


def _scores(case: Case[ProcessTrace], answers: Answers) -> dict[str, float]:
    return {label: one.score for label, one in _judged(case.aside(), answers)[0].items()}


def has_no_gain(case: Case[ProcessTrace], answers: Answers) -> bool:
    """A gain needs no explanation, so no model is asked."""
    return quality_of(gain_of(case.trace)) != "process-gain"


def has_log(case: Case[ProcessTrace], answers: Answers) -> bool:
    """There is something to count in."""
    return has_no_gain(case, answers) and bool(case.trace.interaction_log.strip())


def needs_change(case: Case[ProcessTrace], answers: Answers) -> bool:
    """A loss, or a factor that shows."""
    lost = quality_of(gain_of(case.trace)) == "process-loss"
    return lost or (has_no_gain(case, answers) and max(_scores(case, answers).values()) >= signs.SHOWS)


def ask_changes(case: Case[ProcessTrace], answers: Answers) -> str:
    """What to change, given what the scores say."""
    found = signs.scored(_scores(case, answers))
    return texts.ASK_REMEDY.format(quality=quality_of(gain_of(case.trace)), found=found) + texts.ASK_CHANGES


READ = Pass("factors", texts.FactorsAnswer, asks(texts.TASK), has_no_gain)
PARTS = Pass("parts", texts.PartsAnswer, asks(texts.ASK_PARTS), has_no_gain)
COUNT = Pass("log", texts.LogAnswer, asks(texts.ASK_AUDIT), has_log)
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, needs_change)


def assess_offline(case: Case[ProcessTrace]) -> ProcessGainLossDetection:
    """The numbers are exact; the factors come from words, cost, size and silence."""
    return conclude(case, {})


def conclude(case: Case[ProcessTrace], answers: Answers) -> ProcessGainLossDetection:
    """Qualities, costs and labels are computed; factors count as far as quotations bear them out."""
    trace, (judged, parts), gain = case.trace, _judged(case, answers), gain_of(case.trace)
    scores = {label: one.score for label, one in judged.items()}
    profile, quality, best = profile_of(trace, scores), quality_of(gain), best_of(trace)
    shown = [label for label in FACTORS if scores[label] >= signs.SHOWS]
    # Without a model the proofs are the signals already.
    seen = [one for one in case.signals if FACTOR_OF[one.name] in shown] if "factors" in answers else []
    proofs = [proof for label in shown for proof in judged[label].proofs]
    interventions = _interventions(case, answers, scores, profile)
    sure = signs.confidence(case.signals, len(log_of(trace))) if quality != "process-gain" else 0.6
    sure = min(0.9, sure + 0.1 + 0.02 * len(proofs)) if "factors" in answers else sure
    audits = _audits(case, answers.get("log"), scores, parts) if case.mode == "forensic" else (None, None)
    payload = {"gain_loss_score": gain, "individual_best_agent": best.agent_name}
    factors = (
        texts.FactorFound(label, one.score, signs.gravity(one.score), one.explanation, one.quotes, round(sure, 2))
        for label, one in zip(FACTORS, judged.values(), strict=True)
    )
    return ProcessGainLossDetection(
        quality, gain, best.quality_score, best.agent_name, mean_of(trace), trace.team_result.quality_score,
        tuple(factors), interventions, trace.trace_id, overhead_of(trace), trace.success, severity_of(gain), profile,
        audits[0], audits[1],
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=signs.each_once([*_measured(case), *proofs, *signs.proofs(case, seen)]),
        confidence=round(sure, 2),
    )  # fmt: skip


def _measured(case: Case[ProcessTrace]) -> tuple[Evidence, ...]:
    """What a loss is measured by: the entries of the best member and of the team."""
    alone, best, last = case.trace.individual_baselines, best_of(case.trace), len(case.reading.steps) - 1
    above, below = (f"quality {one.quality_score:g}" for one in (best, case.trace.team_result))
    proof = Evidence(f"{best.agent_name} reaches this alone.", (last - len(alone) + alone.index(best),), above)
    lost = quality_of(gain_of(case.trace)) == "process-loss"
    return case.ground((proof, Evidence("The team reaches less.", (last,), below))) if lost else ()


def _interventions(
    case: Case[ProcessTrace], answers: Answers, scores: Mapping[str, float], profile: Profile
) -> tuple[ProcessIntervention, ...]:
    lost = quality_of(gain_of(case.trace)) == "process-loss"
    wanting = {factor for factor in FACTORS if scores[factor] >= signs.SHOWS} | ({"team_design"} if lost else set())
    computed = signs.remedies(ProcessIntervention, case.signals, scores, texts.PLAYBOOKS, texts.ATTACH)
    proposed = talk.proposed(answers, "factors", texts.COMPOSITION, profile, wanting)
    return proposed or (*_design(case.trace, profile), *computed)


def _design(trace: ProcessTrace, profile: Profile) -> Iterator[ProcessIntervention]:
    best, lost, size = best_of(trace), -gain_of(trace), len(trace.team_result.agents)
    metric = f"quality of the result, against {best.quality_score:g} of {best.agent_name} alone"
    steps = {book.failure_mode: " ".join(book.steps) for book in texts.PLAYBOOKS}
    if is_better_alone(trace):
        what, why = f"Give such tasks to {best.agent_name} alone.", f"It is {lost:g} better than the team of {size}."
        yield ProcessIntervention(
            "team_design", "use_single_best_agent", description=what, suggested_implementation=steps["use_single_best"],
            estimated_impact=signs.impact(2 * lost), rationale=why, effort_estimate="1h", risk="low",
            success_metric=metric,
        )  # fmt: skip
    if profile == "team_too_large":
        yield ProcessIntervention(
            "team_design", "reduce_team_size", description="Work with fewer members.",
            suggested_implementation=steps["team_too_large"],
            rationale=f"{size} members, and the cost of coordination shows.", success_metric=metric,
        )  # fmt: skip


def _audits(
    case: Case[ProcessTrace], answer: texts.LogAnswer | None, scores: Mapping[str, float], parts: Sequence[texts.Part]
) -> tuple[texts.InteractionLogAudit | None, texts.CounterfactualAudit]:
    trace, best, mean = case.trace, best_of(case.trace), mean_of(case.trace)
    nominal, alone = round((best.quality_score + mean) / 2, 4), is_better_alone(trace)
    apart = round(nominal - trace.team_result.quality_score, 4)
    said = f"Picking among answers given alone: {nominal:g} (best {best.quality_score:g}, a random one {mean:.4g})."
    if parts:
        fates = Counter(one.fate.replace("_", " ") for one in parts)
        counted = ", ".join(f"{number} {fate}" for fate, number in fates.items())
        said += f" Of {len(parts)} parts of {best.agent_name}'s answer: {counted}."
    counterfactual = texts.CounterfactualAudit(nominal, apart, alone, said)
    if not trace.interaction_log.strip():
        return None, counterfactual
    # With a model its events stand in for those of the rules: it reads what words alone mistake.
    named = dict.fromkeys(("context_drift", "broken_handoff"), "context_loss")
    named["premature_consensus"] = "premature_consensus"
    events = {(named[one.name], one.steps[0]) for one in case.signals if one.name in named}
    if answer is not None:
        events = {(one.kind, one.step) for one in answer.events if case.quoted(one.quote, (one.step,))}
    counts, speakers = Counter(kind for kind, _ in events), [step.agent for step in log_of(trace) if step.agent]
    handoffs = sum(a != b for a, b in itertools.pairwise(speakers))
    dominant = max(FACTORS, key=lambda factor: scores[factor])
    notes = answer.notes.strip() if answer else f"{len(log_of(trace))} lines by {len(set(speakers))} speakers."
    closed, lost = counts["premature_consensus"], counts["context_loss"]
    silent = len(words.silent_in(log_of(trace), trace.team_result))
    return texts.InteractionLogAudit(handoffs, silent, closed, lost, dominant, notes), counterfactual


PATTERN = Pattern(
    name="process_gain_loss", number=14, friendly="Process Gain/Loss", group="Module 2 / Team",
    summary="Compares a team with its best member alone, and finds where working together lost what was there.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=ProcessTrace, detection=ProcessGainLossDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("factors", texts.QuickAnswer, asks(texts.ASK_ALL), has_no_gain),),
        "standard": (READ, CHANGES),
        "forensic": (READ, PARTS, COUNT, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("outcome", "task"), preconditions=preconditions,
)  # fmt: skip
