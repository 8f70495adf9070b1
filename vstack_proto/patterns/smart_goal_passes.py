"""SMART goals: the model calls of the three modes, what each asks and the answer it must give."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns import smart_goal_texts as texts
from vstack_proto.patterns.common import (
    Answer,
    Answers,
    Case,
    Evidence,
    Mode,
    Pass,
    Share,
    asks,
)
from vstack_proto.patterns.smart_goal_texts import (
    Criterion,
    KillCriterion,
    Quality,
    SuccessMetric,
)

ASK_GOAL = """\
Rewrite the goal. smart_statement: one sentence with result, figure, means or limits, purpose and date. criteria: \
each of the five once, a statement of how the goal meets it, quality_score from 0 (nothing) to 1 (nobody could \
misread it), and evidence: words quoted from the request that the statement rests on; a statement that rests on \
nothing given counts 0.5 at most. completion_criteria: checks that tell done from not done. success_metrics: name, \
target with figure, method of measurement. kill_criteria: name, observable condition, action_on_trigger. deadline: \
date or event; "(not specified)" where none is given. open_questions: what only the asker can answer. \
overall_smart_score and smart_quality (strong from 0.8, acceptable from 0.5, else weak) judge the whole."""
ASK_ATTACK = """\
Read the rewritten goal as somebody who wants to meet its letter and miss its purpose: {told}. Score each criterion \
again where it is weaker than it was scored (criteria, with evidence), and leave out those that stand. Add \
kill_criteria that are missing (cost, harm, no progress, a constraint broken), completion_criteria that close the \
loophole you found, and open_questions. Empty lists are a fine answer."""
ASK_GAUGES = """\
Locke and Latham: a goal works through the feedback on it, and a target that nobody can read gives none. The metrics \
as written: {told}. Take each once, by its name, and say on what its target rests:
- given: the figure, or the baseline that it is a share of, stands in the request (evidence: quote it);
- proposed: somebody can measure it with the means named or ordinary ones, and the figure is the writer's own;
- unmeasurable: no log, tool or person named or ordinary would yield it, or two people would read it differently.
In reason say who would read it off what, and what is missing for that."""
ASK_CHANGES = """\
Propose at most four changes to the goal as rewritten: {told}. None for a criterion that stands. Kinds: \
tighten_specificity, add_measurement, calibrate_achievability, ground_relevance, add_deadline, add_kill_criteria, \
add_completion_criteria, decompose_goal (one goal is several), new_eval (a vanity metric), human_review, \
compose_pattern. Say what to ask, write or measure."""


class CriterionFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the goal meets one criterion."""

    criterion: Criterion
    statement: str
    quality_score: Share
    evidence: tuple[Evidence, ...]


class GoalIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change to the goal; what a model proposes has the same shape."""

    target_criterion: texts.Target
    intervention_type: texts.Kind


class GoalAnswer(Answer, frozen=True):
    """The rewritten goal. The last two are computed where the model leaves them out."""

    smart_statement: str
    criteria: tuple[CriterionFinding, ...]
    completion_criteria: tuple[str, ...]
    success_metrics: tuple[SuccessMetric, ...]
    kill_criteria: tuple[KillCriterion, ...]
    deadline: str
    open_questions: tuple[str, ...]
    overall_smart_score: Share | None = None
    smart_quality: Quality | None = None


class AttackAnswer(Answer, frozen=True):
    """What the goal does not withstand."""

    criteria: tuple[CriterionFinding, ...]
    completion_criteria: tuple[str, ...]
    kill_criteria: tuple[KillCriterion, ...]
    open_questions: tuple[str, ...]


class Gauge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """On what the target of one metric rests."""

    metric: str
    basis: Literal["given", "proposed", "unmeasurable"]
    reason: str
    evidence: tuple[Evidence, ...]


class GaugesAnswer(Answer, frozen=True):
    """On what the targets rest."""

    gauges: tuple[Gauge, ...]


class Gauged(msgspec.Struct, frozen=True):
    """The metrics that can be measured, what only the asker can say of them, and which of the targets are given.

    Attributes:
        asked: Whether their targets were looked at.
    """

    metrics: tuple[SuccessMetric, ...]
    questions: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    proofs: tuple[Evidence, ...] = ()
    asked: bool = False


class ChangesAnswer(Answer, frozen=True):
    """What to change in the goal."""

    interventions: tuple[GoalIntervention, ...]


ASSUMED = 0.5  # what a criterion is worth that rests on nothing in the request


def metrics_of(answers: Answers) -> tuple[SuccessMetric, ...]:
    """The metrics of the goal that have a name."""
    return tuple(one for one in answers["goal"].success_metrics if one.name.strip())


def gauged(case: Case[Any], answers: Answers) -> Gauged:
    """The metrics as far as they can be measured; a target is given only where a quotation of it stands."""
    metrics = metrics_of(answers)
    if "gauges" not in answers:
        return Gauged(metrics)
    told: dict[str, Gauge] = {one.metric.strip().lower(): one for one in reversed(answers["gauges"].gauges)}
    kept, questions, given, proofs = list[SuccessMetric](), list[str](), set[str](), list[Evidence]()
    for metric in metrics:
        own = told.get(metric.name.strip().lower())
        stands = case.ground(own.evidence) if own and own.basis == "given" else ()
        proofs += stands
        if own and own.basis == "unmeasurable":
            questions.append(f"How is {metric.name} to be measured? {own.reason}".strip())
            continue
        kept.append(metric)
        if stands:
            given.add(metric.name)
        else:
            questions.append(f"Who confirms the target of {metric.name}: {metric.target}?")
    return Gauged(tuple(kept), tuple(questions), frozenset(given), tuple(proofs), True)


def so_far(answers: Answers) -> str:
    """The goal so far, for an instruction."""
    given: GoalAnswer = answers["goal"]
    told = ", ".join(f"{one.criterion} {one.quality_score:.2f}" for one in given.criteria)
    return f"'{given.smart_statement}' (deadline {given.deadline}; {told or 'no criterion met'})"


def ask_gauges(case: Case[Any], answers: Answers) -> str:
    """On what the targets rest, metric by metric."""
    told = "; ".join(f"{one.name}: {one.target}, by {one.measurement_method}" for one in metrics_of(answers))
    return ASK_GAUGES.format(told=told or "none")


def has_metrics(case: Case[Any], answers: Answers) -> bool:
    """Without a metric there is no target to look at."""
    return bool(metrics_of(answers))


GOAL = Pass("goal", GoalAnswer, asks(ASK_GOAL))
CHANGES = Pass("changes", ChangesAnswer, lambda case, answers: ASK_CHANGES.format(told=so_far(answers)))
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (GOAL,),
    "standard": (GOAL, CHANGES),
    "forensic": (
        GOAL,
        Pass("attack", AttackAnswer, lambda case, answers: ASK_ATTACK.format(told=so_far(answers))),
        Pass("gauges", GaugesAnswer, ask_gauges, has_metrics),
        CHANGES,
    ),
}
