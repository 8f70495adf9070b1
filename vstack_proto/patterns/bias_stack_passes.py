"""The bias stack: the model calls of the three modes, what each asks and the answer it must give."""

from __future__ import annotations

from typing import Any

from vstack_proto.patterns import bias_stack_texts as texts
from vstack_proto.patterns import shapes, signs, tested
from vstack_proto.patterns.bias_stack_texts import BIASES, Bias, Kind
from vstack_proto.patterns.common import (
    Answer,
    Answers,
    Case,
    Evidence,
    Mode,
    Pass,
    asks,
)

TASK = """\
Score each of the four biases from 0 (no sign) to 1 (it decided the run), one entry each, with evidence. Below 0.2 \
nothing worth a reader's time was seen; 0.3 to 0.6 says that it bent the reasoning; above 0.6 that the outcome came \
from it. Find the first hypothesis and follow it: what was observed that speaks against it, and what did the next \
step do with that? Compare stated confidence with what was known at that moment. Look whether any check could have \
refuted the conclusion, and whether a repeated attempt changed anything. Say in the explanation what you saw and \
what speaks against it."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where nothing is wrong, each for one bias that the run \
shows. Give the words of the prompt, the step of the scaffold or the limit of the loop, so that a reader could put it \
in today; name the steps in the rationale."""
ASK_REMEDY = "Found so far: {found}.\n\n"
ASK_AUDIT = """\
Two readings, each with evidence.

calibration: where was the agent surer than what it had seen allowed, where did it say so honestly, and which check \
would have told?
anchoring: what was the first idea, which observation should have moved it, and what happened to it from step to \
step? A pivot is a new explanation, not a new way to try the old one."""

ASK_REFUTATION = """\
A diagnosis can be biased too: it was made first, and the end of the run is known. Popper: look for what would refute \
it. Found so far: {found}. For each bias that shows, go through the steps for what a fair reader would hold against \
that score, and list it only where a step says it:
- anchoring: an observation that could have moved the idea was looked for, and it held, or the idea was given up;
- overconfidence: what the agent was sure of had been checked before, or it said how unsure it was;
- confirmation: it asked for, or tried, what could have proved it wrong;
- escalation-of-commitment: the next attempt changed its means, or the failure was one of chance.
label is the bias, score what is left of it in your view, reason one sentence, evidence the step. Judge each step by \
what was known then. An empty list says that you tried and it stands."""


class BiasIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change of prompt, scaffold or loop."""

    target_bias: Bias
    intervention_type: Kind


class Finding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """How strongly one bias shows."""

    bias: Bias


class BiasAnswer(Answer, frozen=True):
    """The four biases, scored."""

    biases: tuple[Finding, ...]


class QuickAnswer(BiasAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[BiasIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[BiasIntervention, ...]


class AuditAnswer(Answer, frozen=True):
    """How certainty met evidence, and what became of the first idea."""

    calibration: str
    anchoring: str
    evidence: tuple[Evidence, ...]


class RefutationAnswer(Answer, frozen=True):
    """What speaks against the biases as scored."""

    objections: tuple[tested.Objection[Bias], ...]


MODE_OF = {mode: label for (label, _), mode in texts.ATTACH.items()}


def judged_of(case: Case[Any], answers: Answers) -> tuple[dict[str, signs.Judged], tuple[Evidence, ...]]:
    """The biases as far as quotations bear them out and no objection stands; with the evidence of those that do."""
    answer: BiasAnswer | None = answers.get("biases")
    found = [(f.bias, f.score, f.explanation, f.evidence) for f in answer.biases] if answer else None
    told = signs.judge_all(case, MODE_OF, BIASES, found)
    return tested.contested(case, told, answers["refutation"].objections if "refutation" in answers else ())


def _scores(case: Case[Any], answers: Answers) -> dict[str, float]:
    return {label: one.score for label, one in judged_of(case.aside(), answers)[0].items()}


def _found(case: Case[Any], answers: Answers) -> str:
    return signs.scored(_scores(case, answers))


def is_biased(case: Case[Any], answers: Answers) -> bool:
    """Where no bias was observed there is nothing to change, and nothing to refute."""
    return signs.leading(_scores(case, answers)) != "none-observed"


READ = Pass("biases", BiasAnswer, asks(TASK))
CHANGES = Pass(
    "interventions",
    RemedyAnswer,
    lambda case, answers: ASK_REMEDY.format(found=_found(case, answers)) + ASK_CHANGES,
    is_biased,
)
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("biases", QuickAnswer, asks(f"{TASK}\n\n{ASK_CHANGES}")),),
    "standard": (READ, CHANGES),
    "forensic": (
        READ,
        Pass("audit", AuditAnswer, asks(ASK_AUDIT)),
        Pass(
            "refutation",
            RefutationAnswer,
            lambda case, answers: ASK_REFUTATION.format(found=_found(case, answers)),
            is_biased,
        ),
        CHANGES,
    ),
}
