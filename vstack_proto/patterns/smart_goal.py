"""SMART goal: turns a vague goal into one that can be told done, and says what only the asker can fill in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from vstack_proto.patterns import signs
from vstack_proto.patterns import smart_goal_passes as passes
from vstack_proto.patterns import smart_goal_signs as rules
from vstack_proto.patterns import smart_goal_texts as texts
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Evidence,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    attach_playbooks,
    banded,
)
from vstack_proto.patterns.smart_goal_passes import ASSUMED, PASSES, AttackAnswer, GoalAnswer, GoalIntervention
from vstack_proto.patterns.smart_goal_texts import CriterionScore, Goal, KillCriterion, Quality, SuccessMetric
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Doran, G. T.", "1981", "There's a S.M.A.R.T. way to write management's goals and objectives"),
    Source("Locke, E. A.; Latham, G. P.", "2002",
           "Building a practically useful theory of goal setting and task motivation"),
    Source("Hackman, J. R.", "2002", "Leading Teams"),
)  # fmt: skip

CRITERIA: tuple[texts.Criterion, ...] = ("specific", "measurable", "achievable", "relevant", "time_bound")
Profile = Literal[
    "strong_smart_goal", "vague_unspecific", "unmeasurable", "unachievable_stretch", "irrelevant_to_context",
    "no_deadline", "missing_kill_criteria", "indeterminate",
]  # fmt: skip
UNSET = "(not specified)"


class GoalRequest(msgspec.Struct, frozen=True):
    """A goal as it was asked for, with what is known around it."""

    vague_goal: str
    goal_id: str | None = None
    context: str = ""
    available_resources: tuple[str, ...] = ()
    known_constraints: tuple[str, ...] = ()
    deadline_hint: str | None = None
    framework: str | None = None
    metadata: dict[str, Any] = {}


class CriteriaAudit(msgspec.Struct, frozen=True):
    """Criteria addressed (0.4 or more), weak (below) and missing (0)."""

    addressed_criteria_count: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    weak_criteria: tuple[str, ...] = ()
    missing_criteria: tuple[str, ...] = ()
    completeness_estimate: Share = 0.5
    explanation: str = ""


class RigorAudit(msgspec.Struct, frozen=True):
    """Metrics and kill criteria that name a figure, beside those that do not."""

    operationalizable_metric_count: Count = 0
    qualitative_metric_count: Count = 0
    operationalizable_kill_count: Count = 0
    rigor_estimate: Share = 0.5
    explanation: str = ""


class SMARTGoal(Detection, frozen=True):
    """The goal rewritten, how good it is, and what is missing."""

    original_goal: str
    smart_statement: str
    criteria: tuple[CriterionScore, ...]
    completion_criteria: tuple[str, ...]
    success_metrics: tuple[SuccessMetric, ...]
    kill_criteria: tuple[KillCriterion, ...]
    deadline: str
    overall_smart_score: Share
    smart_quality: Quality
    goal_id: str | None = None
    open_questions: tuple[str, ...] = ()
    framework: str | None = None
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    criteria_audit: CriteriaAudit | None = None
    rigor_audit: RigorAudit | None = None
    interventions: tuple[GoalIntervention, ...] = ()
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.GoalPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> GoalRequest:
    """The goal of the run; ``metadata`` may carry the contract's other fields.

    The steps of the run stay the numbered steps, so that quotations stand where a client looks for them.
    """
    carried = ("goal_id", "context", "available_resources", "known_constraints", "deadline_hint")
    told = signs.carried(canonical.metadata, GoalRequest, *carried)
    metadata = {**canonical.metadata, "run": [[step.agent, step.type, step.content] for step in canonical.steps]}
    return GoalRequest(canonical.goal, framework=canonical.framework, metadata=metadata, **told)


def parts(trace: GoalRequest) -> list[Step]:
    """The request as steps; blank parts are left out."""
    told = [("goal", trace.vague_goal), ("context", trace.context)]
    told += [("resource", one) for one in trace.available_resources]
    told += [("constraint", one) for one in trace.known_constraints]
    told.append(("deadline", trace.deadline_hint or ""))
    return [Step("request", kind, content) for kind, content in told if content.strip()]


def read(trace: GoalRequest) -> Reading:
    """The parts of the request as steps; beside the steps of a run they are facts."""
    run: tuple[tuple[str, str, str], ...] = ()
    # Metadata is the client's own: where it is no such list, it is not meant for us.
    with contextlib.suppress(msgspec.ValidationError):
        run = msgspec.convert(trace.metadata.get("run", ()), tuple[tuple[str, str, str], ...])
    named = tuple((name, value) for name, value in (("framework", trace.framework),) if value)
    if not run:
        return Reading(named, tuple(parts(trace)))
    return Reading((*((one.kind, one.content) for one in parts(trace)), *named), tuple(Step(*one) for one in run))


def marks(trace: GoalRequest) -> tuple[Signal, ...]:
    """What the rules see in the request; the steps are those of ``parts``."""
    return signs.find(Reading((), tuple(parts(trace))), rules.RULES)


def signals(trace: GoalRequest, reading: Reading) -> tuple[Signal, ...]:
    """What the rules see, where the request itself can be quoted."""
    return marks(trace) if reading.steps == tuple(parts(trace)) else ()


def mean(scores: Mapping[str, float]) -> float:
    """The overall score of five criteria."""
    return round(sum(scores.values()) / len(CRITERIA), 2)


def quality_of(score: float) -> Quality:
    """In a word."""
    return "strong" if score >= 0.8 else "acceptable" if score >= 0.5 else "weak"


def undated(deadline: str) -> bool:
    """Whether a deadline says nothing."""
    return deadline.strip().lower() in (UNSET, "", "asap")


def profile_of(goal: Goal) -> Profile:
    """The contract's rules; the first that holds."""
    scores = goal.scores
    if goal.score >= 0.8:
        return "strong_smart_goal"
    if scores["specific"] < 0.4:
        return "vague_unspecific"
    if scores["measurable"] < 0.4 or not goal.metrics:
        return "unmeasurable"
    if scores["achievable"] < 0.4:
        return "unachievable_stretch"
    if scores["relevant"] < 0.4:
        return "irrelevant_to_context"
    if scores["time_bound"] < 0.4 or undated(goal.deadline):
        return "no_deadline"
    return "indeterminate" if goal.kills else "missing_kill_criteria"


def assess_offline(case: Case[GoalRequest]) -> SMARTGoal:
    """The request in order: what it gives under each criterion, and a question for what it does not."""
    trace, seen = case.trace, marks(case.trace)
    given, names = signs.by_label(seen), frozenset(one.name for one in seen)
    around = (bool(trace.context.strip()), bool(trace.available_resources), bool(trace.known_constraints))
    scores = rules.qualities(trace.vague_goal, *around, names)
    hint = (trace.deadline_hint or "").strip()
    deadline = hint or next((rules.date_in(one.quote) for one in given.get("date", ())), UNSET)
    metrics = tuple(rules.metrics_of(given))
    limits = [one.strip() for one in trace.known_constraints if one.strip()]
    kills = [KillCriterion(f"limit {number}", f"this no longer holds: {one}") for number, one in enumerate(limits, 1)]
    if not undated(deadline):
        kills.append(KillCriterion("out of time", f"not done by the deadline: {deadline}"))
    told = [trace.vague_goal.strip().rstrip("."), *(f"within: {one}" for one in limits)]
    told += [] if undated(deadline) else [f"deadline: {deadline}"]
    whole = mean(scores)
    goal = Goal(
        "; ".join(told),
        tuple(CriterionScore(name, rules.statement_of(name, scores[name], given), scores[name]) for name in CRITERIA),
        tuple(
            dict.fromkeys([*(f"shown: {one.target}" for one in metrics), *(f"still holds: {one}" for one in limits)])
        ),
        metrics,
        tuple(kills),
        deadline,
        tuple(rules.SAID[name][2] for name in CRITERIA if scores[name] < 0.5),
        whole,
        quality_of(whole),
    )
    read = signs.confidence(seen, len(parts(trace)))
    return _detection(case, goal, (), case.evidence_of_signals(), read, names)


def conclude(case: Case[GoalRequest], answers: Answers) -> SMARTGoal:
    """The model's goal; what it made up without ground is worth half, and an attack only lowers a score."""
    given: GoalAnswer = answers["goal"]
    attack: AttackAnswer = answers.get("attack", AttackAnswer((), (), (), ()))
    gauged = passes.gauged(case, answers)
    proofs: list[Evidence] = [*gauged.proofs]
    assumed, criteria = False, []
    for name in CRITERIA:
        # The best of several findings of a criterion counts, the contract's neutral item where there is none.
        own = max((one for one in given.criteria if one.criterion == name), key=lambda o: o.quality_score, default=None)
        own = own or passes.CriterionFinding(name, "", 0.0, ())
        stands = case.ground(own.evidence)
        # Targets that nobody gave are the writer's own, so the request does not say how much.
        ours = name == "measurable" and gauged.asked and not gauged.given
        score = own.quality_score if stands and not ours else min(ASSUMED, own.quality_score)
        for weaker in (one for one in attack.criteria if one.criterion == name):
            proofs += (shown := case.ground(weaker.evidence))
            score = min(score, weaker.quality_score) if shown else score
        proofs += stands
        assumed = assumed or score < own.quality_score
        criteria.append(CriterionScore(name, own.statement.strip() or f"{rules.SAID[name][1]}.", score))
    computed = mean({one.criterion: one.quality_score for one in criteria})
    # The contract takes the model's own score; not above the computed one where a criterion had to be lowered.
    told = given.overall_smart_score
    overall = computed if told is None else min(told, computed) if assumed else told
    goal = Goal(
        given.smart_statement.strip() or case.trace.vague_goal,
        tuple(criteria),
        tuple(dict.fromkeys((*given.completion_criteria, *attack.completion_criteria))),
        gauged.metrics,
        tuple({one.name: one for one in (*attack.kill_criteria, *given.kill_criteria) if one.name.strip()}.values()),
        given.deadline.strip() or UNSET,
        tuple(dict.fromkeys((*given.open_questions, *attack.open_questions, *gauged.questions))),
        overall,
        given.smart_quality if given.smart_quality and not assumed else quality_of(overall),
        len(gauged.given) if gauged.asked else None,
    )
    proposed = answers["changes"].interventions if "changes" in answers else ()
    sure, seen = round(min(0.9, 0.4 + 0.1 * len(proofs)), 2), frozenset(one.name for one in case.signals)
    return _detection(case, goal, proposed, signs.each_once(proofs), sure, seen)


def weaknesses(goal: Goal, seen: frozenset[str]) -> Iterator[str]:
    """The failure modes of the goal."""
    scores = goal.scores
    shows = {
        "category_not_target": scores["specific"] < 0.5,
        "no_measurement": scores["measurable"] < 0.5 or not goal.metrics,
        "unachievable_stretch": scores["achievable"] < 0.5,
        "irrelevant_to_context": scores["relevant"] < 0.5 and "vanity" not in seen,
        "vanity_metric": scores["relevant"] < 0.5 and "vanity" in seen,
        "no_deadline": scores["time_bound"] < 0.5 or undated(goal.deadline),
        "no_kill_criteria": not goal.kills,
        "no_completion_criteria": not goal.completion,
        "weak_overall": goal.quality == "weak",
    }
    return (mode for mode, found in shows.items() if found)


def changes(goal: Goal, seen: frozenset[str]) -> Iterator[GoalIntervention]:
    """What the weaknesses of the goal call for."""
    for own in (texts.ADVICE[mode] for mode in weaknesses(goal, seen)):
        grave = goal.scores.get(own.label, goal.score) < 0.3
        yield own.change(GoalIntervention, "high" if grave else "medium")


def _detection(
    case: Case[GoalRequest],
    goal: Goal,
    proposed: Iterable[GoalIntervention],
    evidence: tuple[Evidence, ...],
    confidence: float,
    seen: frozenset[str],
) -> SMARTGoal:
    trace, profile = case.trace, profile_of(goal)
    interventions = signs.adopted((*changes(goal, seen), *proposed), texts.COMPOSITION, profile)
    payload = {"smart_statement": goal.statement, "criteria": goal.scores}
    return SMARTGoal(
        trace.vague_goal, goal.statement, goal.criteria, goal.completion, goal.metrics, goal.kills, goal.deadline,
        goal.score, goal.quality, trace.goal_id, goal.questions, trace.framework,
        # Not rounded: the contract's bands of the score are those of 1 - score as a float has it.
        banded(1 - goal.score, signs.BANDS), profile,
        **(audits_of(goal) if case.mode == "forensic" else {}),
        interventions=interventions,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=evidence, confidence=confidence)  # fmt: skip


def audits_of(goal: Goal) -> dict[str, Any]:
    """Both audits, counted from the goal."""
    scores = goal.scores
    met = [name for name in CRITERIA if scores[name] >= 0.4]
    weak = tuple(name for name in CRITERIA if 0 < scores[name] < 0.4)
    missing = tuple(name for name in CRITERIA if not scores[name])
    figures = sum(rules.COUNTABLE.search(one.target) is not None for one in goal.metrics)
    stops = sum(rules.COUNTABLE.search(one.condition) is not None for one in goal.kills)
    every = len(goal.metrics) + len(goal.kills)
    told = f"{figures + stops} of {every} can be checked by a figure."
    if goal.given is not None:
        told += f" The request gives {goal.given} of {len(goal.metrics)} targets."
    rigor = round((figures + stops) / every, 4) if every else 0.5
    return {
        "criteria_audit": CriteriaAudit(
            len(met), weak, missing, len(met) / len(CRITERIA), f"{len(met)} of {len(CRITERIA)} criteria are addressed."
        ),
        "rigor_audit": RigorAudit(figures, len(goal.metrics) - figures, stops, rigor, told),
    }


PATTERN = Pattern(
    name="smart_goal", number=24, friendly="SMART Goal Generator", group="Module 2 / Team",
    summary="Turns a vague goal into one that can be told done, with metrics, kill criteria and open questions.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=GoalRequest, detection=SMARTGoal, from_trace=from_trace,
    read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION, non_blank=("vague_goal",),
)  # fmt: skip
