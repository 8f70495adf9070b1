"""Expectancy: does effort lead to performance, performance to an outcome, and is the outcome worth it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, cast

import msgspec

from vstack_proto.patterns import observed, signs, talk
from vstack_proto.patterns import vroom_expectancy_signs as words
from vstack_proto.patterns import vroom_expectancy_texts as texts
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
    asks,
    attach_playbooks,
    banded,
)
from vstack_proto.patterns.vroom_expectancy_signs import AGAINST, EFFORT, FOR, TOUCHES
from vstack_proto.patterns.vroom_expectancy_texts import TERMS, Bottleneck, Signed, Term
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Vroom, V. H.", "1964", "Work and Motivation"),
    Source("Porter, L. W.; Lawler, E. E.", "1968", "Managerial Attitudes and Performance"),
    Source("Hackman, J. R.; Oldham, G. R.", "1976", "Job Characteristics Model"),
    Source("Bandura, A.", "1977", "Self-Efficacy: Toward a Unifying Theory of Behavioral Change"),
    Source("Locke, E. A.; Latham, G. P.", "1990", "A Theory of Goal Setting and Task Performance"),
    Source("Bandura, A.", "1997", "Self-Efficacy: The Exercise of Control"),
    Source("Eccles, J. S.; Wigfield, A.", "2002", "Motivational Beliefs, Values, and Goals"),
    Source("Kanfer, R.; Frese, M.; Johnson, R. E.", "2017", "Motivation Related to Work: A Century of Progress"),
    Source("Casper, S. et al.", "2023", "Open Problems and Fundamental Limitations of RLHF (arXiv:2307.15217)"),
)

TaskClass = Literal[
    "code_generation", "research", "creative", "analysis", "customer_facing", "tool_use", "general_purpose"
]  # fmt: skip
Quality = Literal["motivated", "weak", "collapsed"]
Profile = Literal[
    "motivated_balanced", "expectancy_bottleneck", "instrumentality_bottleneck", "valence_bottleneck",
    "valence_negative_active_avoidance", "multi_term_collapse", "high_E_high_I_low_V_misaligned_task",
    "high_E_low_I_pointless_work", "low_E_creative_task_misfit", "low_E_tool_use_capability_gap", "balanced_but_weak",
    "indeterminate",
]  # fmt: skip
Scores = Mapping[Term, float]


class AgentExpectancyTrace(msgspec.Struct, frozen=True):
    """A task, what it offered, and how much effort went into it."""

    task: str
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    task_class: TaskClass = "general_purpose"
    system_prompt: str = ""
    observed_behaviors: tuple[str, ...] = ()
    effort_signals: tuple[str, ...] = ()
    success: bool = False
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    declared_reward: str | None = None
    metadata: dict[str, Any] = {}


class TermEvidence(msgspec.Struct, frozen=True):
    """How far one term carries; its severity is that of what it lacks."""

    term: Term
    score: Signed
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    severity: Severity = "moderate"


class VroomDetection(Detection, frozen=True):
    """The three terms, their product, and what raises it."""

    task_class: TaskClass
    terms: tuple[TermEvidence, ...]
    motivation_score: Signed
    bottleneck_term: Bottleneck
    motivation_quality: Quality
    interventions: tuple[texts.VroomIntervention, ...]
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    prompt_signals: tuple[texts.PromptSignal, ...] = ()
    eiv_interaction_audit: texts.InteractionAudit | None = None
    baseline: texts.VroomBaseline | None = None
    attached_playbooks: tuple[texts.VroomPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentExpectancyTrace:
    """Every step is a behaviour, or the terms where a person or the system speaks; ``metadata`` may carry the rest."""
    names = ("agent_id", "model_name", "task_class", "system_prompt", "effort_signals", "run_count", "declared_reward")
    return AgentExpectancyTrace(
        task=canonical.goal,
        outcome=canonical.outcome,
        observed_behaviors=tuple(step.content for step in canonical.steps),
        success=canonical.success is True,
        framework=canonical.framework,
        metadata=observed.observed(canonical),
        **signs.carried(canonical.metadata, AgentExpectancyTrace, *names),
    )


def read(trace: AgentExpectancyTrace) -> Reading:
    """Facts, then what can be quoted: behaviours first, then effort signals, then the prompt."""
    facts = observed.facts(trace)
    if trace.declared_reward:
        facts.append(("declared reward", trace.declared_reward))
    steps = [
        *observed.behaviours(trace.observed_behaviors, trace.metadata, trace.agent_id),
        *observed.steps_of(EFFORT, trace.effort_signals, trace.agent_id),
        *observed.steps_of("system prompt", (trace.system_prompt,), "system"),
    ]
    return Reading(tuple(facts), tuple(steps))


def preconditions(trace: AgentExpectancyTrace) -> Iterable[Fault]:
    """There must be terms, behaviours or effort to read."""
    if not (trace.system_prompt or trace.observed_behaviors or trace.effort_signals):
        yield Fault("/system_prompt", "must not be empty where observed_behaviors and effort_signals are empty too")


def signals(trace: AgentExpectancyTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by what the words do; and effort that is told to fall."""
    return signs.strongest([*signs.find(reading, words.RULES), *words.drops(reading)])


# Where nothing is seen a term is taken to carry (0.7 and more), so that silence makes no bottleneck.
UNSEEN: Scores = {"expectancy": 0.85, "instrumentality": 0.85, "valence": 0.8}
CARRIES = 0.7


def shown(trace: AgentExpectancyTrace, seen: Sequence[Signal]) -> dict[Term, float]:
    """How far the signals show each term to carry; the declared reward is what performance leads to."""
    against = signs.weigh(signs.under([one for one in seen if one.name in AGAINST], AGAINST), TERMS)
    support = signs.weigh(signs.under([one for one in seen if one.name in FOR], FOR), TERMS)
    averse = signs.weigh(signs.under([one for one in seen if one.name in words.AVERSE], AGAINST), TERMS)["valence"]
    reward = (trace.declared_reward or "").strip().lower()
    if reward in words.NOTHING:
        against["instrumentality"] = 1 - (1 - against["instrumentality"]) * 0.8
    elif reward:
        support["instrumentality"] = 1 - (1 - support["instrumentality"]) * 0.7
    scores = {term: (own + (1 - own) * support[term]) * (1 - against[term]) for term, own in UNSEEN.items()}
    # Aversion pulls valence below zero: half a certainty of it outweighs what a task is taken to be worth.
    scores["valence"] = max(-1.0, scores["valence"] - averse)
    return {term: round(score, 4) for term, score in scores.items()}


def score_of(scores: Scores) -> float:
    """The product of the terms."""
    product = scores["expectancy"] * scores["instrumentality"] * scores["valence"]
    return round(min(1.0, max(-1.0, product)), 4)


def bottleneck_of(scores: Scores) -> Bottleneck:
    """The term nearest to zero, the first of equals; none where all carry."""
    least = min(TERMS, key=lambda term: abs(scores[term]))
    return least if abs(scores[least]) < CARRIES else "none"


def quality_of(score: float) -> Quality:
    """The contract's bounds on the product."""
    return "motivated" if score >= 0.4 else "weak" if score > 0.05 else "collapsed"


def severity_of(score: float) -> Severity:
    """The contract's bands on the distance from 1; a collapse is high at least, a score below 0 medium."""
    lack = (1 - score) / 2
    floor = 0.7 if quality_of(score) == "collapsed" else 0.55 if score < 0 else 0.0
    return banded(max(lack, floor), signs.BANDS)


def profile_of(scores: Scores, task_class: str) -> Profile:
    """The contract's rules; the first that holds."""
    e, i, v = (scores[term] for term in TERMS)
    score, bottleneck = score_of(scores), bottleneck_of(scores)
    rules: tuple[tuple[bool, Profile], ...] = (
        (v < 0, "valence_negative_active_avoidance"),
        (sum(one < 0.3 for one in (e, i, v)) >= 2, "multi_term_collapse"),
        (e >= 0.7 and i >= 0.7 and v < 0.3, "high_E_high_I_low_V_misaligned_task"),
        (e >= 0.7 and i < 0.3, "high_E_low_I_pointless_work"),
        (task_class == "creative" and e < 0.4, "low_E_creative_task_misfit"),
        (task_class == "tool_use" and e < 0.4, "low_E_tool_use_capability_gap"),
        (bottleneck != "none", cast("Profile", f"{bottleneck}_bottleneck")),
        (quality_of(score) == "motivated" or score >= 0.5, "motivated_balanced"),
    )
    # Without a bottleneck every term is above 0.6, so "balanced_but_weak" (all from 0.3 to 0.6) is never reached.
    return next((profile for holds, profile in rules if holds), "indeterminate")


def interaction_of(scores: Scores) -> texts.Interaction:
    """Two terms below 0.4 (the lowest two) hold each other down; one far above the others leads alone."""
    lowest, second, top = sorted(TERMS, key=lambda term: scores[term])
    if scores[second] < 0.4:
        pair = sorted((lowest[0].upper(), second[0].upper()))
        return cast("texts.Interaction", f"{'_x_'.join(pair)}_low")
    if scores[top] >= CARRIES and round(scores[top] - scores[second], 9) >= 0.3:
        return cast("texts.Interaction", f"{top[0].upper()}_dominates")
    return "balanced" if round(scores[top] - scores[lowest], 9) <= 0.2 else "unknown"


# What the contract fills in for a term that a model left out.
FILL: Scores = {"expectancy": 0.5, "instrumentality": 0.5, "valence": 0.0}


def _lack(term: Term, score: float) -> float:
    """What a term lacks, from 0 to 1; only valence has a side below zero."""
    return (1 - score) / 2 if term == "valence" else 1 - max(0.0, score)


def _judged(case: Case[AgentExpectancyTrace], answers: Answers) -> dict[Term, signs.Judged]:
    answer: texts.TermsAnswer | None = answers.get("terms")
    told: dict[Term, signs.Judged] = {}
    for term, score in shown(case.trace, case.signals).items():
        if answer is None:
            seen = sorted((s for s in case.signals if TOUCHES[s.name][0] == term), key=lambda one: -one.weight)
            said = ". ".join(dict.fromkeys(one.claim for one in seen[:4])) or f"No sign that {term} is low"
            told[term] = signs.Judged(score, f"{said}.", signs.proofs(case, seen))
            continue
        found = [(_lack(term, f.score), f.explanation, f.evidence) for f in answer.terms if f.term == term]
        own = signs.judge(case, found, _lack(term, score))
        back = 1 - own.score * (2 if term == "valence" else 1)
        filled = signs.Judged(FILL[term], "Not assessed.", ())
        told[term] = msgspec.structs.replace(own, score=round(back, 4)) if found else filled
    return told


def _scores(case: Case[Any], answers: Answers) -> dict[Term, float]:
    return {term: own.score for term, own in _judged(case.aside(), answers).items()}


def is_low(case: Case[Any], answers: Answers) -> bool:
    """Where all terms carry there is nothing to change."""
    scores = _scores(case, answers)
    return bottleneck_of(scores) != "none" or quality_of(score_of(scores)) != "motivated"


def has_terms(case: Case[Any], answers: Answers) -> bool:
    """Without a prompt, a person who asks or effort signals there are no words to list."""
    return any(step.kind == EFFORT or observed.terms(step) for step in case.reading.steps)


def does_something(case: Case[Any], answers: Answers) -> bool:
    """Without a behaviour or an effort signal there is no effort to follow."""
    return any(step.kind == EFFORT or observed.own(step) for step in case.reading.steps)


def ask_interaction(case: Case[Any], answers: Answers) -> str:
    """How the effort ran, given how far the terms carry."""
    return texts.ASK_INTERACTION.format(found=signs.scored(_scores(case, answers)))


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given how far the terms carry."""
    return texts.ASK_REMEDY.format(found=signs.scored(_scores(case, answers))) + texts.ASK_CHANGES


READ = Pass("terms", texts.TermsAnswer, asks(texts.TASK))
LIST = Pass("signals", texts.SignalsAnswer, asks(texts.ASK_SIGNALS), has_terms)
TURNS = Pass("interaction", texts.TurnsAnswer, ask_interaction, does_something)
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, is_low)


def assess_offline(case: Case[AgentExpectancyTrace]) -> VroomDetection:
    """From the words of the terms, the behaviours and the effort alone."""
    return conclude(case, {})


def conclude(case: Case[AgentExpectancyTrace], answers: Answers) -> VroomDetection:
    """Terms as far as quotations bear a lack out; product, bottleneck, quality, severity and profile are computed."""
    trace, judged = case.trace, _judged(case, answers)
    scores: dict[Term, float] = {term: own.score for term, own in judged.items()}
    score, bottleneck, profile = score_of(scores), bottleneck_of(scores), profile_of(scores, trace.task_class)
    lacking = [term for term in TERMS if scores[term] < CARRIES]
    seen = [one for one in case.signals if AGAINST.get(one.name) in lacking]
    said = [proof for term in lacking for proof in judged[term].proofs] if "terms" in answers else []
    sure = signs.confidence(case.signals, len(case.reading.steps))
    if "terms" in answers:
        sure = round(min(0.9, sure + 0.1 + 0.02 * len(said)), 2)
    told, turns = _turns(case, answers.get("interaction"))
    root = max(told, key=lambda term: told[term], default=None)
    # Where effort turned tells on its own which term is lacking: it bears the scores out, or speaks against them.
    if root is not None:
        sure = round(min(0.9, sure + 0.05) if root in lacking else sure - 0.1, 2)
    interventions = tuple(
        sorted(_interventions(case, answers, scores, profile), key=lambda one: one.target_term != root)
    )
    payload = {"term_scores": scores, "motivation_score": score}
    kinds = [one.intervention_type for one in interventions]
    labels = {"profile_pattern": profile, "bottleneck": bottleneck}
    return VroomDetection(
        task_class=trace.task_class,
        terms=tuple(
            TermEvidence(t, j.score, j.explanation, j.quotes, sure, banded(_lack(t, j.score), signs.BANDS))
            for t, j in judged.items()
        ),
        motivation_score=score,
        bottleneck_term=bottleneck,
        motivation_quality=quality_of(score),
        interventions=interventions,
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        success=trace.success,
        severity=severity_of(score),
        profile_pattern=profile,
        prompt_signals=words.listed(case, answers.get("signals")),
        eiv_interaction_audit=_audit(scores, answers, told),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=signs.each_once([*said, *turns, *signs.proofs(case, seen)]),
        confidence=sure,
    )


def _interventions(
    case: Case[Any], answers: Answers, scores: Scores, profile: Profile
) -> tuple[texts.VroomIntervention, ...]:
    lack: dict[str, float] = {term: 1 - max(0.0, score) for term, score in scores.items() if score < CARRIES}
    modes = {name: mode or "" for name, (_, mode) in TOUCHES.items()}
    seen = signs.under([one for one in case.signals if one.name in AGAINST], modes)
    computed = signs.remedies(texts.VroomIntervention, seen, lack, texts.PLAYBOOKS, texts.ATTACH)
    return talk.proposed(answers, "terms", texts.COMPOSITION, profile, lack) or computed


def _turns(case: Case[Any], told: texts.TurnsAnswer | None) -> tuple[Mapping[Term, int], tuple[Evidence, ...]]:
    """How often effort fell or turned away for lack of each term, and the proof, as far as words stand."""
    found: dict[tuple[int, Term], Evidence] = {}
    for one in told.turns if told else ():
        proof = case.proof(one.claim, one.quote, one.step)
        if proof and one.effort != "rises":
            found.setdefault((one.step, one.term), proof)
    return Counter(term for _, term in found), tuple(found.values())


def _audit(scores: Scores, answers: Answers, turned: Mapping[Term, int]) -> texts.InteractionAudit:
    told, score = answers.get("interaction"), score_of(scores)
    fallen: Bottleneck = bottleneck_of(scores) if quality_of(score) == "collapsed" else "none"
    said = " x ".join(f"{scores[term]:.2f}" for term in TERMS) + f" = {score:.2f}."
    if turned:
        said += f" Turns of the effort: {', '.join(f'{term} {number}' for term, number in turned.items())}."
    return texts.InteractionAudit(interaction_of(scores), fallen, f"{told.notes.strip()} {said}" if told else said)


PATTERN = Pattern(
    name="vroom_expectancy", number=12, friendly="Vroom Expectancy", group="Module 1 / Individual",
    summary="Multiplies expectancy, instrumentality and valence, and finds the term that keeps effort down.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentExpectancyTrace, detection=VroomDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("terms", texts.QuickAnswer, asks(f"{texts.TASK}\n\n{texts.ASK_CHANGES}")),),
        "standard": (READ, CHANGES),
        "forensic": (READ, LIST, TURNS, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("outcome", "task"), preconditions=preconditions,
)  # fmt: skip
