"""Debate pathology: the model calls of the three modes, what each asks and the answer it must give."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from vstack_proto.patterns import debate_pathology_texts as texts
from vstack_proto.patterns import shapes, signs, tested
from vstack_proto.patterns.common import (
    Answer,
    Answers,
    Case,
    Evidence,
    Mode,
    Pass,
    asks,
)
from vstack_proto.patterns.debate_pathology_texts import PATHOLOGIES, Kind, Pathology

TASK = """\
Score each of the three pathologies from 0 (no sign) to 1 (it decided the debate), one entry each, with evidence. \
Below 0.2 nothing worth a reader's time was seen; 0.3 to 0.6 says that it bent the debate; above 0.6 that the \
decision came from it and not from the arguments. Read the flips first: who changed position, after which message, \
and is a reason given? Then ask of the decision: is it further out than where the members began? Then of the tone: \
did a message take over the heat, worry or cheer of the one before it? In the explanation say what you saw and what \
speaks against it. A failed outcome alone is no evidence."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where nothing is wrong, each for one pathology that the \
debate shows. Say what to write into which agent's instructions, or what to change in rounds, votes, seeds or panel, \
so that a reader could do it today; name the steps in the rationale."""
ASK_REMEDY = "Found so far: {found}.\n\n"
ASK_AUDIT = """\
Two readings, each with evidence.

convergence: which message moved the group, was what moved it an argument, and which objection was never answered?
tone: who set it, who caught it, was a claim accepted for how it was said? Blunt and brief is not heated; urgent is \
not anxious."""

ASK_FLIPS = """\
Sunstein: that members move is how a debate should be; what moved them is the question. Found so far: {found}. List \
every change of position, one entry for each agent and time: step and quote are the message that moved it, met_step \
and met_quote the later words in which it moves. kind says what in that message did it, as far as the words show:
- argument: a measurement, a reason, an answer to the objection it had held, even if it names it only in passing;
- numbers: that the others agree, that time runs out, or who said it; no reason is taken up;
- further: it goes beyond what was said before, in the direction that both held already;
- tone: the heat, worry or cheer of the message, answered in kind.
Read the mover's words before the mover's standing. Who never moved is not listed."""


class DebateIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change of the debate."""

    target_pathology: Pathology
    intervention_type: Kind


class Finding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How strongly one pathology shows."""

    pathology: Pathology


class DebateAnswer(Answer, frozen=True):
    """The three pathologies, scored."""

    pathologies: tuple[Finding, ...]


class QuickAnswer(DebateAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[DebateIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[DebateIntervention, ...]


class AuditAnswer(Answer, frozen=True):
    """How the positions met and how the tone went round."""

    convergence: str
    tone: str
    evidence: tuple[Evidence, ...]


Mover = Literal["argument", "numbers", "further", "tone"]


class FlipsAnswer(Answer, frozen=True):
    """What moved whom: each fate is a message, and the later words that gave way to it."""

    flips: tuple[tested.Fate[Mover], ...]


# What moves the members where a pathology decides.
SHOWN_BY: dict[str, Mover] = {"groupthink": "numbers", "polarization": "further", "contagion": "tone"}
MODE_OF = {mode: label for (label, _), mode in texts.ATTACH.items()}


def flips_of(case: Case[Any], answers: Answers) -> tuple[tuple[Mover, int, str], ...]:
    """The changes of position that stand: what moved, the step and the words of the message that did."""
    return tested.followed(case, answers["flips"].flips, get_args(Mover)) if "flips" in answers else ()


def judged_of(case: Case[Any], answers: Answers) -> dict[str, signs.Judged]:
    """The pathologies, as far as quotations bear them out and as what moved the members bears them out."""
    answer: DebateAnswer | None = answers.get("debate")
    found = [(f.pathology, f.score, f.explanation, f.evidence) for f in answer.pathologies] if answer else None
    told = signs.judge_all(case, MODE_OF, PATHOLOGIES, found)
    kinds = [kind for kind, _, _ in flips_of(case.aside(), answers)]
    left = tested.borne({label: own.score for label, own in told.items()}, kinds, SHOWN_BY)
    return {label: msgspec.structs.replace(own, score=left[label]) for label, own in told.items()}


def _scores(case: Case[Any], answers: Answers) -> dict[str, float]:
    return {label: one.score for label, one in judged_of(case.aside(), answers).items()}


def _found(case: Case[Any], answers: Answers) -> str:
    return signs.scored(_scores(case, answers))


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given what the scores say."""
    return ASK_REMEDY.format(found=_found(case, answers)) + ASK_CHANGES


def is_ill(case: Case[Any], answers: Answers) -> bool:
    """Where no pathology was observed there is nothing to change, and nothing to doubt."""
    return signs.leading(_scores(case, answers)) != "none-observed"


READ = Pass("debate", DebateAnswer, asks(TASK))
CHANGES = Pass("interventions", RemedyAnswer, ask_changes, is_ill)
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("debate", QuickAnswer, asks(f"{TASK}\n\n{ASK_CHANGES}")),),
    "standard": (READ, CHANGES),
    "forensic": (
        READ,
        Pass("audit", AuditAnswer, asks(ASK_AUDIT)),
        Pass("flips", FlipsAnswer, lambda case, answers: ASK_FLIPS.format(found=_found(case, answers)), is_ill),
        CHANGES,
    ),
}
