"""The devil's advocate: what is asked of a model, and the answers it must give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import msgspec

from vstack_proto.patterns import devils_advocate_signs as rules
from vstack_proto.patterns import devils_advocate_texts as texts
from vstack_proto.patterns import shapes, signs, tested
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
from vstack_proto.patterns.devils_advocate_texts import PHASES, Kind, Phase, Profile

TASK = """\
Give one entry for each of the four phases: is it there, under whatever step type, and how substantive is it, from 0 \
(empty or absent) to 1 (it could have stopped the run)? Praise is below 0.2; a check that could have failed, with its \
result, is above 0.6. For external_critique cite only steps of somebody who neither planned nor executed. Quote the \
most substantive step of each phase. Say in the explanation what the phase looked at and what it missed. Who spoke, \
the approval rate and the score of separation are computed from the steps that you cite."""
ASK_CHANGES = """\
Propose at most five changes, the most telling first, none where judgment is well separated, each for one phase. Say \
who critiques, at which point, with which right (to ask, to send back, to stop), in words that could be put into the \
prompt or the graph today; name the steps in the rationale."""
ASK_REMEDY = "Found so far: separation {score:.2f} ({quality}), judgment {locus}, approval rate {rate:.2f}.\n\n"
ASK_AUDIT = """\
Two readings, each with evidence.

approval: what did the self-evaluations rest on, which of them could have come out otherwise, and did one ever change \
the work?
critic: who spoke against the work, how specific was it, and what became of each objection: answered, taken up, \
argued down, or passed over?"""

ASK_PREMORTEM = """\
Klein's premortem, held afterwards: suppose the work is in use and has failed, whatever the outcome says. On which \
assumptions did it stand? Schwenk's advocate attacks those, and not the wording. List at most six, the one that would \
sink it first: step and quote are where the work states it or acts on it.
- met: before the end a test, a look at the source or somebody's objection put it to the question and it was \
answered (met_step, met_quote: where);
- unmet: nobody asked. Trust in a tool that reports its own failures is no assumption, and neither is what the task \
gives as a fact."""


class SeparationIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change of who judges what."""

    target_phase: Phase
    intervention_type: Kind


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a phase is there, and its substance."""

    phase: Phase
    present: bool
    substantive_score: Share
    explanation: str
    evidence: tuple[Evidence, ...]


class PhasesAnswer(Answer, frozen=True):
    """The four phases."""

    phases: tuple[Finding, ...]


class QuickAnswer(PhasesAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[SeparationIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[SeparationIntervention, ...]


Asked = Literal["met", "unmet"]


class PremortemAnswer(Answer, frozen=True):
    """The assumptions that the work stood on, and whether anybody put them to the question."""

    assumptions: tuple[tested.Fate[Asked], ...]


def assumed(case: Case[Any], answers: Answers) -> tuple[tuple[Asked, int, str], ...]:
    """The assumptions that stand: met or not, the step, its words."""
    return tested.followed(case, answers["premortem"].assumptions, ("met",)) if "premortem" in answers else ()


# A plan and an evaluation are worth half for their words, and half for the assumptions that were put to the question.
SHOWN_BY: dict[str, Asked] = {"plan": "met", "self_evaluate": "met"}


class AuditAnswer(Answer, frozen=True):
    """What approvals rested on, and what became of objections."""

    approval: str
    critic: str
    evidence: tuple[Evidence, ...]


Quality = Literal["well-separated", "partially-conflated", "fully-conflated"]
Locus = Literal["self-reviewed", "externally-reviewed", "mixed", "unreviewed"]
MODE_OF = {mode: phase for (phase, _), mode in texts.ATTACH.items()}


class Standing(msgspec.Struct, frozen=True):
    """The phases as judged, and the contract's numbers of them."""

    judged: dict[Phase, signs.Judged]
    present: dict[Phase, bool]
    external: bool
    score: float
    rate: float
    profile: Profile

    @property
    def quality(self) -> Quality:
        """The contract's bounds on the score."""
        if self.score >= 0.6:
            return "well-separated"
        return "partially-conflated" if self.score >= 0.35 else "fully-conflated"

    @property
    def locus(self) -> Locus:
        """Who judged: for ``external`` only somebody who neither planned nor acted counts."""
        if self.external:
            return "mixed" if self.present["self_evaluate"] else "externally-reviewed"
        return "self-reviewed" if self.present["self_evaluate"] else "unreviewed"


def standing_of(case: Case[Any], answers: Answers) -> Standing:
    """Judge the phases: as the model did where its quotations stand, else by the substance of their words."""
    trace, roles = case.trace, rules.roles_of(case.trace.steps)
    substance, answer = (
        rules.substance_of(trace.steps, roles),
        cast("PhasesAnswer | None", answers.get("phases")),
    )
    judged, present = dict[Phase, signs.Judged](), dict[Phase, bool]()
    for phase in PHASES:
        present[phase] = bool(roles.steps[phase])
        if answer is not None:
            told = [one for one in answer.phases if one.phase == phase]
            found = [
                (one.substantive_score, one.explanation, _free(trace.steps, roles, phase, one.evidence)) for one in told
            ]
            judged[phase] = signs.judge(case, found, substance[phase])
            present[phase] |= any(one.present for one in told) and bool(judged[phase].proofs)
        else:
            claims = [f"Step {one.steps[0]}: {one.claim}." for one in case.signals if MODE_OF[one.name] == phase]
            seen = f"Seen in {signs.listed(roles.steps[phase])}." if roles.steps[phase] else "No step is of this phase."
            judged[phase] = signs.Judged(substance[phase], " ".join([seen, *claims[:3]]), ())
    asked = [kind for kind, _, _ in assumed(case.aside(), answers)]
    held = tested.borne({phase: one.score for phase, one in judged.items()}, asked, SHOWN_BY)
    judged = {phase: msgspec.structs.replace(one, score=held[phase]) for phase, one in judged.items()}
    external = bool(roles.independent or judged["external_critique"].proofs) and present["external_critique"]
    scores = {phase: one.score for phase, one in judged.items()}
    score = texts.separation(present, external, scores)
    own, revised = rules.approvals_of(trace.steps)
    rate = round((own - revised) / own, 2) if own else 0.0
    profile = texts.profile_of(score, external, present["self_evaluate"], rate, bool(own), scores)
    return Standing(judged, present, external, score, rate, profile)


def _free(
    steps: Sequence[rules.RoleStep], roles: rules.Roles, phase: Phase, evidence: Iterable[Evidence]
) -> tuple[Evidence, ...]:
    """Of what is told of a critique, the steps of somebody who neither planned nor acted."""
    free = {n for n, step in enumerate(steps) if phase != "external_critique" or step.actor not in roles.busy}
    return tuple(Evidence(one.claim, tuple(n for n in one.steps if n in free), one.quote) for one in evidence)


def _look(case: Case[Any], answers: Answers) -> Standing:
    return standing_of(case.aside(), answers)


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given the numbers."""
    one = _look(case, answers)
    told = ASK_REMEDY.format(score=one.score, quality=one.quality, locus=one.locus, rate=one.rate)
    return told + ASK_CHANGES


def is_conflated(case: Case[Any], answers: Answers) -> bool:
    """Where judgment is well separated there is nothing to change."""
    return _look(case, answers).quality != "well-separated"


def acts(case: Case[Any], answers: Answers) -> bool:
    """Where nobody planned or acted, nothing was assumed."""
    return any(step.type in ("plan", *rules.DOES) for step in case.trace.steps)


READ = Pass("phases", PhasesAnswer, asks(TASK))
CHANGES = Pass("interventions", RemedyAnswer, ask_changes, is_conflated)
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("phases", QuickAnswer, asks(f"{TASK}\n\n{ASK_CHANGES}")),),
    "standard": (READ, CHANGES),
    "forensic": (
        READ,
        Pass("audit", AuditAnswer, asks(ASK_AUDIT)),
        Pass("premortem", PremortemAnswer, asks(ASK_PREMORTEM), acts),
        CHANGES,
    ),
}
