"""Intrinsic reward: do the terms of the work meet the agent's needs, or does it work for the reward alone?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, Literal

import msgspec

from vstack_proto.patterns import observed, signs, talk
from vstack_proto.patterns import sdt_reward_audits as audits
from vstack_proto.patterns import sdt_reward_texts as texts
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
from vstack_proto.patterns.sdt_reward_audits import AGAINST, FOR
from vstack_proto.patterns.sdt_reward_texts import (
    NEEDS,
    TOUCHES,
    Need,
    SDTIntervention,
    Undermined,
)
from vstack_proto.trace import CanonicalTrace

SDT = "Self-Determination Theory"
SOURCES = (
    Source("Deci, E. L.", "1971", "Effects of Externally Mediated Rewards on Intrinsic Motivation"),
    Source("Deci, E. L.; Ryan, R. M.", "1985", "Intrinsic Motivation and Self-Determination in Human Behavior"),
    Source("Ryan, R. M.; Connell, J. P.", "1989", "Perceived Locus of Causality and Internalization"),
    Source("Ryan, R. M.; Deci, E. L.", "2000", f"{SDT} and the Facilitation of Intrinsic Motivation"),
    Source("Gagne, M.; Deci, E. L.", "2005", f"{SDT} and Work Motivation"),
    Source("Pink, D. H.", "2009", "Drive"),
    Source("Deci, E. L.; Ryan, R. M.", "2017", f"{SDT}: Basic Psychological Needs"),
    Source("Bai, Y. et al.", "2022", "Constitutional AI (arXiv:2212.08073)"),
    Source("Casper, S. et al.", "2023", "Open Problems and Fundamental Limitations of RLHF (arXiv:2307.15217)"),
)

TaskClass = Literal[
    "research_exploration", "creative_generation", "code_generation", "customer_facing", "regulated_workflow",
    "tool_use", "general_purpose",
]  # fmt: skip
Quality = Literal["intrinsic", "mixed", "controlled"]
Profile = Literal[
    "intrinsic_balanced", "autonomy_undermined_dominant", "competence_undermined_dominant",
    "relatedness_undermined_dominant", "overjustification_active", "controlled_motivation_dominant",
    "competence_collapse_under_deadline", "autonomy_collapse_under_rule_imposition",
    "regulated_workflow_low_autonomy_acceptable", "creative_task_low_autonomy_misfit", "multi_need_undermined",
    "indeterminate",
]  # fmt: skip


class AgentSDTTrace(msgspec.Struct, frozen=True):
    """The terms of a task and what an agent did under them."""

    task: str
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    task_class: TaskClass = "general_purpose"
    system_prompt: str = ""
    extrinsic_signals: tuple[str, ...] = ()
    observed_behaviors: tuple[str, ...] = ()
    success: bool = False
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    user_purpose: str | None = None
    metadata: dict[str, Any] = {}


class NeedEvidence(msgspec.Struct, frozen=True):
    """How far one need is met, from 0 (undermined) to 1."""

    need: Need
    score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    severity: Severity = "moderate"


class SDTBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    baseline_most_undermined_need: str | None = None
    baseline_profile_pattern: str | None = None
    need_score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class SDTDetection(Detection, frozen=True):
    """How far the needs are met, and what in the terms to change."""

    task_class: TaskClass
    need_evidence: tuple[NeedEvidence, ...]
    intrinsic_motivation_score: Share
    motivation_quality: Quality
    most_undermined_need: Undermined
    interventions: tuple[SDTIntervention, ...]
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    reward_shaping_items: tuple[audits.RewardShapingItem, ...] = ()
    overjustification_audit: audits.OverjustificationAudit | None = None
    baseline: SDTBaseline | None = None
    attached_playbooks: tuple[texts.SDTPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentSDTTrace:
    """Every step is a behaviour, or the terms where a person or the system speaks; ``metadata`` may carry the rest."""
    names = ("agent_id", "model_name", "task_class", "system_prompt", "extrinsic_signals", "run_count", "user_purpose")
    return AgentSDTTrace(
        task=canonical.goal,
        outcome=canonical.outcome,
        observed_behaviors=tuple(step.content for step in canonical.steps),
        success=canonical.success is True,
        framework=canonical.framework,
        metadata=observed.observed(canonical),
        **signs.carried(canonical.metadata, AgentSDTTrace, *names),
    )


SIGNAL = "extrinsic signal"


def read(trace: AgentSDTTrace) -> Reading:
    """Facts, then what can be quoted: behaviours first, then signals from outside, then the prompt."""
    facts = observed.facts(trace)
    if trace.user_purpose:
        facts.append(("purpose of the user", trace.user_purpose))
    steps = [
        *observed.behaviours(trace.observed_behaviors, trace.metadata, trace.agent_id),
        *observed.steps_of(SIGNAL, trace.extrinsic_signals, "scaffold"),
        *observed.steps_of("system prompt", (trace.system_prompt,), "system"),
    ]
    return Reading(tuple(facts), tuple(steps))


def preconditions(trace: AgentSDTTrace) -> Iterable[Fault]:
    """There must be terms or behaviours to read."""
    if not (trace.system_prompt or trace.extrinsic_signals or trace.observed_behaviors):
        yield Fault("/system_prompt", "must not be empty where extrinsic_signals and observed_behaviors are empty too")


def signals(trace: AgentSDTTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by what the words do; a signal that the trace lists as extrinsic counts more than a word of the prompt."""
    found = [*signs.find(reading, texts.RULES), *observed.commanding("rule_imposition", reading)]
    return tuple(observed.emphasised(found, reading.steps, frozenset({SIGNAL}), 1.3))


# Where nothing is seen a need is taken to be met, not to be met well: silence of the trace proves no support.
UNSEEN = 0.8
MET = 0.7


def shown(trace: AgentSDTTrace, seen: Sequence[Signal]) -> dict[Need, float]:
    """How far the signals show each need to be met; a purpose that the trace states supports relatedness."""
    against = signs.weigh(signs.under([one for one in seen if one.name in AGAINST], AGAINST), NEEDS)
    support = signs.weigh(signs.under([one for one in seen if one.name in FOR], FOR), NEEDS)
    if trace.user_purpose and trace.user_purpose.strip():
        support["relatedness"] = 1 - (1 - support["relatedness"]) * 0.7
    return {n: round((UNSEEN + (1 - UNSEEN) * support[n]) * (1 - against[n]), 4) for n in NEEDS}


def quality_of(scores: Mapping[Need, float]) -> Quality:
    """The contract's bounds on the needs and their mean."""
    if min(scores.values()) >= MET:
        return "intrinsic"
    return "controlled" if score_of(scores) < 0.4 else "mixed"


def score_of(scores: Mapping[Need, float]) -> float:
    """The mean of the needs."""
    return round(fmean(scores.values()), 2)


def undermined_of(scores: Mapping[Need, float]) -> Undermined:
    """The need met least, the first of equals; none where all are met."""
    least = min(NEEDS, key=lambda need: scores[need])
    return least if scores[least] < MET else "none"


LED_BY: dict[Undermined, Profile] = {
    "autonomy": "autonomy_undermined_dominant", "competence": "competence_undermined_dominant",
    "relatedness": "relatedness_undermined_dominant",
}  # fmt: skip


def profile_of(
    scores: Mapping[Need, float], task_class: str, controlling: frozenset[str], overjustified: bool
) -> Profile:
    """The contract's rules; the first that holds. ``controlling`` are the categories of controlling items."""
    undermined = undermined_of(scores)
    if overjustified:
        return "overjustification_active"
    if sum(score < 0.4 for score in scores.values()) >= 2:
        return "controlled_motivation_dominant" if quality_of(scores) == "controlled" else "multi_need_undermined"
    if task_class == "regulated_workflow" and undermined == "autonomy" and scores["autonomy"] >= 0.3:
        return "regulated_workflow_low_autonomy_acceptable"
    if task_class == "creative_generation" and undermined == "autonomy":
        return "creative_task_low_autonomy_misfit"
    if undermined == "competence" and "deadline_pressure" in controlling:
        return "competence_collapse_under_deadline"
    if undermined == "autonomy" and "rule_imposition" in controlling:
        return "autonomy_collapse_under_rule_imposition"
    # Where no need is undermined all are met, which is intrinsic: nothing is left indeterminate.
    return LED_BY.get(undermined, "intrinsic_balanced")


def severity_of(scores: Mapping[Need, float]) -> Severity:
    """The contract's bands on what is missing; controlled work is medium at least."""
    missing = 1 - score_of(scores)
    return banded(max(missing, 0.55) if quality_of(scores) == "controlled" else missing, signs.BANDS)


def _judged(case: Case[AgentSDTTrace], answers: Answers) -> dict[Need, signs.Judged]:
    answer: texts.NeedsAnswer | None = answers.get("needs")
    told: dict[Need, signs.Judged] = {}
    for need, score in shown(case.trace, case.signals).items():
        if answer is None:
            seen = sorted((s for s in case.signals if TOUCHES[s.name][0] == need), key=lambda one: -one.weight)
            said = ". ".join(dict.fromkeys(one.claim for one in seen[:4])) or f"No sign that {need} is undermined"
            told[need] = signs.Judged(score, f"{said}.", signs.proofs(case, seen))
            continue
        found = [(1 - f.score, f.explanation, f.evidence) for f in answer.needs if f.need == need]
        if found:
            own = signs.judge(case, found, 1 - score)
            told[need] = msgspec.structs.replace(own, score=round(1 - own.score, 4))
        else:
            told[need] = signs.Judged(0.5, "Not assessed.", ())
    return told


def _scores(case: Case[Any], answers: Answers) -> dict[Need, float]:
    return {need: own.score for need, own in _judged(case.aside(), answers).items()}


def is_undermined(case: Case[Any], answers: Answers) -> bool:
    """Where all needs are met there is nothing to change."""
    return undermined_of(_scores(case, answers)) != "none"


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given how far the needs are met."""
    return texts.ASK_REMEDY.format(found=signs.scored(_scores(case, answers))) + texts.ASK_CHANGES


READ = Pass("needs", texts.NeedsAnswer, asks(texts.TASK))
ITEMS = Pass("items", audits.ItemsAnswer, asks(texts.ASK_ITEMS))
REASON = Pass("overjustification", audits.OverjustificationAnswer, audits.ask_overjustification, audits.controls)
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, is_undermined)


def assess_offline(case: Case[AgentSDTTrace]) -> SDTDetection:
    """From the words of the terms and of the behaviours alone."""
    return conclude(case, {})


def conclude(case: Case[AgentSDTTrace], answers: Answers) -> SDTDetection:
    """Needs as far as quotations bear a lack out; the mean, labels, counts and profile are computed."""
    trace, judged = case.trace, _judged(case, answers)
    scores: dict[Need, float] = {need: own.score for need, own in judged.items()}
    items = audits.items_of(case, answers)
    audit, proofs = audits.audit_of(case, answers, items)
    controlling = frozenset(one.category for one in items if one.polarity == "extrinsic_controlling")
    profile, undermined = profile_of(scores, trace.task_class, controlling, audit.is_active), undermined_of(scores)
    lacking = [need for need in NEEDS if scores[need] < MET]
    seen = [one for one in case.signals if AGAINST.get(one.name) in lacking]
    said = [proof for need in lacking for proof in judged[need].proofs] if "needs" in answers else []
    sure = signs.confidence(case.signals, len(case.reading.steps))
    if "needs" in answers:
        sure = round(min(0.9, sure + 0.1 + 0.02 * len(said)), 2)
    interventions = _interventions(case, answers, scores, profile)
    payload = {"need_scores": scores, "motivation_quality": quality_of(scores)}
    kinds = [one.intervention_type for one in interventions]
    labels = {"profile_pattern": profile, "need": undermined}
    return SDTDetection(
        task_class=trace.task_class,
        need_evidence=tuple(
            NeedEvidence(n, j.score, j.explanation, j.quotes, sure, banded(1 - j.score, signs.BANDS))
            for n, j in judged.items()
        ),
        intrinsic_motivation_score=score_of(scores),
        motivation_quality=quality_of(scores),
        most_undermined_need=undermined,
        interventions=interventions,
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        success=trace.success,
        severity=severity_of(scores),
        profile_pattern=profile,
        reward_shaping_items=items,
        overjustification_audit=audit,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=signs.each_once([*said, *proofs, *signs.proofs(case, seen)]),
        confidence=sure,
    )


def _interventions(
    case: Case[Any], answers: Answers, scores: Mapping[Need, float], profile: Profile
) -> tuple[SDTIntervention, ...]:
    lack: dict[str, float] = {n: round(1 - s, 4) for n, s in scores.items() if s < MET}
    # What a regulation prescribes is not for the agent's owner to loosen.
    if profile == "regulated_workflow_low_autonomy_acceptable":
        lack.pop("autonomy", None)
    if not lack:
        return ()
    modes = {name: mode or "" for name, (_, mode) in TOUCHES.items()}
    seen = signs.under([one for one in case.signals if one.name in AGAINST], modes)
    computed = signs.remedies(SDTIntervention, seen, lack, texts.PLAYBOOKS, texts.ATTACH)
    return talk.proposed(answers, "needs", texts.COMPOSITION, profile, lack) or computed


PATTERN = Pattern(
    name="sdt_reward", number=10, friendly="SDT Intrinsic Reward", group="Module 1 / Individual",
    summary="Finds where rewards, threats and rules of a prompt crowd out autonomy, competence and relatedness.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentSDTTrace, detection=SDTDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("needs", texts.QuickAnswer, asks(f"{texts.TASK}\n\n{texts.ASK_CHANGES}")),),
        "standard": (READ, CHANGES),
        "forensic": (READ, ITEMS, REASON, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("outcome", "task"), preconditions=preconditions,
)  # fmt: skip
