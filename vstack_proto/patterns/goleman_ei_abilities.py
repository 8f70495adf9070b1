"""What forensic mode asks of a conversation: the competencies behind the domains, and the four abilities in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vstack_proto.patterns import goleman_ei_signs as rules
from vstack_proto.patterns import shapes, signs
from vstack_proto.patterns.common import Answer, Answers, Case, Evidence
from vstack_proto.patterns.goleman_ei_texts import Branch, Competency, Domain

BRANCHES_TASK = """\
Now read the run by the four branches of Mayer and Salovey, as abilities in their order: perceive (is the emotion seen
in the words?), facilitate (does it change what is attended to first?), understand (is its cause named, and where it
is going?), manage (does the reply leave the person better able to go on?). Score each from 0 to 1 with an explanation
and evidence. The first branch that fails explains those after it: judge these by what they could do with what reached
them. Domain scores so far: {scores}.
"""
# Which competency belongs to which domain, as in Primal Leadership; the contract adds those of a conversation.
COMPETENCIES: dict[Domain, tuple[Competency, ...]] = {
    "self_awareness": ("emotional_self_awareness", "accurate_self_assessment", "self_confidence"),
    "self_management": (
        "emotional_self_control", "adaptability", "achievement_orientation", "positive_outlook", "rejection_recovery",
    ),
    "social_awareness": ("empathy", "organizational_awareness", "service_orientation", "user_state_reading"),
    "relationship_management": (
        "influence", "coach_and_mentor", "conflict_management", "tone_matching", "paraphrase_use",
        "response_length_matching", "teamwork", "inspirational_leadership",
    ),
}  # fmt: skip
COMPETENCIES_TASK = """\
Take the domains apart into competencies, which show in behaviour alone (Boyatzis). For each one that this run gave an
occasion for, score from 0 (failed it) to 1 (met it), and say in one sentence what the occasion was and what was done
with it, with evidence where the score is below 0.7. Leave out what had no occasion: nobody led, taught or was refused.
Judge each by its own occasions and not by the domain: a warm reply to a bug report may match the tone and still not
read the person's state.
""" + "".join(f"{domain}: {', '.join(own)}.\n" for domain, own in COMPETENCIES.items())


class BranchFinding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """What a model holds of one ability."""

    branch: Branch


class BranchesAnswer(Answer, frozen=True):
    """A reading of the four abilities."""

    branches: tuple[BranchFinding, ...]


class CompetencyFinding(shapes.Scored, frozen=True, forbid_unknown_fields=True):
    """What a model holds of one competency."""

    competency: Competency


class CompetenciesAnswer(Answer, frozen=True):
    """The competencies that had an occasion."""

    competencies: tuple[CompetencyFinding, ...]


def overlay_of(
    case: Case[Any], answers: Answers, scores: rules.Scores
) -> tuple[list[rules.BranchScore], tuple[Evidence, ...]]:
    """The abilities as a model holds them; what it leaves out is computed from the domains."""
    answer: BranchesAnswer | None = answers.get("branches")
    overlay: list[rules.BranchScore] = []
    proofs: list[Evidence] = []
    for branch, score in rules.branches_of_domains(scores).items():
        held = [one for one in answer.branches if one.branch == branch] if answer else []
        found = ((1.0 - one.score, one.explanation, one.evidence) for one in held)
        judged = signs.judge(case, found, 1.0 - score)
        proofs += judged.proofs
        value = round(1.0 - judged.score, 4) if held else score
        said = judged.explanation or "Computed from the domains."
        overlay.append(rules.BranchScore(branch, value, said, rules.POSITION[branch], judged.quotes))
    return overlay, tuple(proofs)


def competencies_of(
    case: Case[Any], answers: Answers, shown: Mapping[Domain, Mapping[str, float]]
) -> tuple[dict[Domain, dict[str, float]], tuple[Evidence, ...]]:
    """The competencies of each domain, and what proves the faults.

    Args:
        case: Where quotations are looked up and counted.
        answers: Those so far.
        shown: The scores that the signs give; a model goes below them only with words that stand.
    """
    told: CompetenciesAnswer | None = answers.get("competencies")
    scores: dict[Domain, dict[str, float]] = {domain: dict(own) for domain, own in shown.items()}
    proofs: list[Evidence] = []
    for domain, own in COMPETENCIES.items():
        for name in own:
            held = [one for one in told.competencies if one.competency == name] if told else []
            if held:
                read = 1.0 - scores[domain].get(name, rules.UNBLEMISHED)
                judged = signs.judge(case, ((1.0 - one.score, one.explanation, one.evidence) for one in held), read)
                scores[domain][name] = round(1.0 - judged.score, 4)
                proofs += judged.proofs
    return scores, tuple(proofs)
