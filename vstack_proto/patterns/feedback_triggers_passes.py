"""Feedback triggers: the model calls of the three modes, what each asks and the answer it must give."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from vstack_proto.patterns import shapes, signs, talk, tested
from vstack_proto.patterns.common import (
    Answer,
    Answers,
    Case,
    Mode,
    Pass,
    asks,
)
from vstack_proto.patterns.feedback_triggers_texts import Kind, Trigger

ASK_TRIGGERS = """\
Score each of the three triggers once: score from 0 (not seen) to 1 (it decided what became of the feedback). About \
0.2 is one passing phrase, 0.4 a reply that is more defence than engagement, 0.6 a point lost by it, 0.85 every \
point. Explain in two or three sentences what was said, what the reply did with it, and what taking it in would have \
looked like. For every score above 0.1 give evidence: quote the reply, or the feedback that it passed over. A score \
without a quotation that stands is not counted."""
ASK_INTERVENTIONS = """\
Propose at most five changes for the triggers that show, the strongest first, none for one that does not. Fitting \
kinds: acknowledge_first against argument, concede_then_clarify against restating, ask_clarifying_question against \
citing rules, new_eval against thanks without change, separate_data_from_source against dismissing the giver, \
explicit_acknowledgment_template against talk of tone and spirals of apology, recast_identity against self-defence, \
human_review where points are refused again and again. Say what to write or measure, and which steps call for it."""
ASK_SCORED = "The triggers as scored: {scores}. Dominant: {dominant}.\n\n"
ASK_AUDIT = """\
Go through the replies to feedback one by one and list single events, each with its step, a quotation from that step \
and one sentence why. They are counted, so list each once and nothing that you cannot quote:
- deflection: the reply changes the subject, to tone, to the giver or to something else;
- repetition: it restates the earlier answer without anything new;
- justification: it defends the answer or the agent instead of testing the point;
- concession: it grants the point, or part of it, and says what changes;
- attack: it speaks of the giver's standing, motives or manner;
- engagement: it takes up the content with data, a check or a real question."""
ASK_POINTS = """\
Now follow the points and not the replies. Take the feedback apart into single points (a claim, a wish, a request), \
quote each from its step, and say what became of it by the end of the run:
- taken_up: the work was changed, or will be in a way that can be checked (met_step, met_quote: where);
- refused_for_a_reason: the agent tested it or gave a ground that meets it, and kept its own (met_step, met_quote);
- granted_only: it was thanked for or granted, and nothing changed;
- lost: nobody came back to it, or the answer met something else.
Stone and Heen: taking feedback in is not obeying it. A point refused for a reason is no trigger, however firm the \
words, and a point granted with warm ones and left is lost. List each point once."""


class TriggerFinding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """What one trigger shows."""

    trigger: Trigger


EventKind = Literal["deflection", "repetition", "justification", "concession", "attack", "engagement"]

TRIGGERS: tuple[Trigger, ...] = ("truth", "relationship", "identity")


class FeedbackIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change that lets feedback in; what a model proposes has the same shape."""

    target_trigger: Trigger
    intervention_type: Kind


class TriggersAnswer(Answer, frozen=True):
    """The three triggers."""

    triggers: tuple[TriggerFinding, ...]


class QuickAnswer(TriggersAnswer, frozen=True):
    """All in one call."""

    interventions: tuple[FeedbackIntervention, ...]


class InterventionsAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[FeedbackIntervention, ...]


class EventsAnswer(Answer, frozen=True):
    """What is counted in the audits."""

    events: tuple[talk.Happening[EventKind], ...]


Became = Literal["taken_up", "refused_for_a_reason", "granted_only", "lost"]
MET = ("taken_up", "refused_for_a_reason")


class PointsAnswer(Answer, frozen=True):
    """What became of each point of the feedback."""

    points: tuple[tested.Fate[Became], ...]


def given(case: Case[Any], answers: Answers) -> bool:
    """Whether a step is feedback: without one there is no point to follow."""
    return any(step.kind == "feedback" for step in case.reading.steps)


def points_of(case: Case[Any], answers: Answers) -> tuple[tuple[Became, int, str], ...]:
    """The points of feedback that stand: what became of each, its step and its words."""
    told = tested.followed(case, answers["points"].points, MET) if "points" in answers else ()
    return tuple(one for one in told if case.reading.steps[one[1]].kind == "feedback")


# On the scale of the scores this is less than a reply that is more defence than engagement: no point was lost by it.
NOTHING_LOST = 0.35


def highest_of(points: Collection[tuple[Became, int, str]]) -> float:
    """How high a trigger can score: it shows in what it costs, so not far where every point was met."""
    return NOTHING_LOST if points and all(fate in MET for fate, _, _ in points) else 1.0


def findings(answers: Answers) -> list[talk.Finding]:
    """What the model found of each trigger."""
    return [(one.trigger, one.score, one.explanation, one.evidence) for one in answers["triggers"].triggers]


def as_told(case: Case[Any], answers: Answers) -> dict[str, float]:
    """The scores between passes, before their quotations are looked up."""
    most = highest_of(points_of(case.aside(), answers))
    return {name: min(score, most) for name, score in talk.highest(findings(answers), TRIGGERS).items()}


def triggered(case: Case[Any], answers: Answers) -> bool:
    """Nothing is to be changed where no trigger shows."""
    return max(as_told(case, answers).values()) >= signs.SHOWS


def ask_interventions(case: Case[Any], answers: Answers) -> str:
    """The task, with the triggers as scored."""
    scores = as_told(case, answers)
    told = signs.scored(scores)
    return ASK_SCORED.format(scores=told, dominant=signs.leading(scores)) + ASK_INTERVENTIONS


SCORING = Pass("triggers", TriggersAnswer, asks(ASK_TRIGGERS))
CHANGING = Pass("interventions", InterventionsAnswer, ask_interventions, triggered)
COUNTING = Pass("events", EventsAnswer, asks(ASK_AUDIT))
FOLLOWING = Pass("points", PointsAnswer, asks(ASK_POINTS), given)
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("triggers", QuickAnswer, asks(f"{ASK_TRIGGERS}\n\n{ASK_INTERVENTIONS}")),),
    "standard": (SCORING, CHANGING),
    "forensic": (SCORING, COUNTING, FOLLOWING, CHANGING),
}
