"""Conflict styles: the model calls of the three modes, what each asks and the answer it must give."""

from __future__ import annotations

from typing import Any

import msgspec

from vstack_proto.patterns import shapes, signs
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
from vstack_proto.patterns.thomas_kilmann_numbers import Stance, called_for, stance_of
from vstack_proto.patterns.thomas_kilmann_signs import asked_for
from vstack_proto.patterns.thomas_kilmann_texts import STYLES, Kind, Style

TASK = """\
Score each of the five styles from 0 (not shown) to 1 (it is how the agent met the conflict), one entry each, with \
evidence from turns of the agent alone. Find the points first where concerns differ; a turn outside of such a point \
shows no style. Where nothing was in dispute, score all near 0.

Then name the style that this situation asked for, from its stakes, time, power and relationship, whatever the agent \
did, and say why in the rationale. Assertiveness, cooperativeness, the observed style and the mismatch are computed \
from your scores."""
ASK_CHANGES = """\
Propose at most four changes, the most telling first, none where the style fits. Say what tells the agent which style \
the moment asks for, in the words of the prompt, the router or the evaluation, so that a reader could put it in \
today; name the turns in the rationale."""
ASK_REMEDY = "Found so far: {observed} where {optimal} was asked for, mismatch {mismatch:.2f}.\n\n"
ASK_AUDIT = """\
Two readings, each with evidence.

fit: what kind of situation was this, whose concerns differed, and what did the agent's style cost or gain?
consistency: did the agent keep a style from the first to the last turn, and where it changed, was that an answer to \
something new or to pressure?"""

ASK_SITUATION = """\
Forget how the agent behaved, and what came of it: read the situation as somebody who must choose a style before the \
first turn. own_concern: how much hangs on what the agent has to stand for (its task, the truth, its user's interest), \
from 0 to 1; other_concern: the same for what the other side wants. Weigh by what would be lost, not by who is louder. \
urgent: the run shows that there was no time to look for an answer that serves both. given: a law, a safety rule or \
an established fact settles the matter for the agent's side, however much the other wants it. Evidence: the turns or \
words of the other side, of tools or of the task's own terms that show stakes, time or rule; a turn in which the agent \
answers is none. reading: one sentence. The style that this calls for is computed."""


class StyleRecommendation(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change of how the agent chooses its style."""

    intervention_type: Kind


class Finding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How strongly one style shows."""

    style: Style


class StylesAnswer(Answer, frozen=True):
    """The five styles, scored, and the one that was asked for."""

    styles: tuple[Finding, ...]
    optimal_style: Style
    rationale: str


class QuickAnswer(StylesAnswer, frozen=True):
    """The same, with what to change."""

    recommendations: tuple[StyleRecommendation, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    recommendations: tuple[StyleRecommendation, ...]


class SituationAnswer(Answer, frozen=True):
    """What was at stake, whatever the agent did."""

    own_concern: Share
    other_concern: Share
    urgent: bool
    given: bool
    reading: str
    evidence: tuple[Evidence, ...]


class AuditAnswer(Answer, frozen=True):
    """How the style fitted, and whether it held."""

    fit: str
    consistency: str
    evidence: tuple[Evidence, ...]


class Asked(msgspec.Struct, frozen=True):
    """The style that was asked for, and by whom.

    Attributes:
        agreed: Whether a second reading, of the situation alone, came to the same style; None where there is none.
        told: What the second reading says.
    """

    style: Style
    agreed: bool | None = None
    told: str = ""
    proofs: tuple[Evidence, ...] = ()


def asked_of(case: Case[Any], answers: Answers) -> Asked:
    """By the situation alone where a quotation bears its reading out, else as the styles were read, else by words."""
    first: StylesAnswer | None = answers.get("styles")
    style = first.optimal_style if first else asked_for(case.trace.task, case.trace.task_category)[0]
    second: SituationAnswer | None = answers.get("situation")
    agents = {number for number, step in enumerate(case.reading.steps) if step.kind == "agent"}
    proofs = case.ground(second.evidence) if second else ()
    proofs = tuple(one for one in proofs if not agents.issuperset(one.steps))
    if second is None or not proofs:
        return Asked(style)
    called = called_for(second.own_concern, second.other_concern, second.urgent, second.given)
    weighed = f"own concern {second.own_concern:.2f}, the other's {second.other_concern:.2f}"
    return Asked(called, called == style, f"{second.reading.strip()} ({weighed}).", proofs)


def judged_of(case: Case[Any], answers: Answers) -> tuple[dict[str, signs.Judged], Stance, Asked]:
    """The styles as far as quotations bear them out, where that places the agent, and what was asked for."""
    answer: StylesAnswer | None = answers.get("styles")
    found = [(f.style, f.score, f.explanation, f.evidence) for f in answer.styles] if answer else None
    judged = signs.judge_all(case, {style: style for style in STYLES}, STYLES, found)
    asked = asked_of(case, answers)
    return judged, stance_of({style: one.score for style, one in judged.items()}, asked.style), asked


def _look(case: Case[Any], answers: Answers) -> Stance:
    return judged_of(case.aside(), answers)[1]


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given the styles."""
    one = _look(case, answers)
    told = ASK_REMEDY.format(observed=one.observed, optimal=one.optimal, mismatch=one.mismatch)
    return told + ASK_CHANGES


def shows(case: Case[Any], answers: Answers) -> bool:
    """Where no style shows, none can be out of place."""
    return max(_look(case, answers).scores.values()) >= signs.SHOWS


def off(stance: Stance) -> bool:
    """Whether a style shows that is not the one asked for."""
    return stance.observed != stance.optimal and max(stance.scores.values()) >= signs.SHOWS


READ = Pass("styles", StylesAnswer, asks(TASK))
CHANGES = Pass("recommendations", RemedyAnswer, ask_changes, lambda case, answers: off(_look(case, answers)))
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("styles", QuickAnswer, asks(f"{TASK}\n\n{ASK_CHANGES}")),),
    "standard": (READ, CHANGES),
    "forensic": (
        READ,
        Pass("audit", AuditAnswer, asks(ASK_AUDIT)),
        Pass("situation", SituationAnswer, asks(ASK_SITUATION), shows),
        CHANGES,
    ),
}
