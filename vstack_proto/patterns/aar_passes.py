"""The model calls of the after-action review: what each asks, and the answer it must give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vstack_proto.patterns.aar_texts import Intervention
from vstack_proto.patterns.common import Answer, Answers, Case, Level, Mode, Pass


class Cited(Answer, frozen=True):
    """What a model must say to be believed: a claim, the steps that prove it, and words copied from one of them."""

    claim: str
    steps: tuple[int, ...]
    quote: str


class LessonFound(Answer, frozen=True):
    """A lesson with its proof."""

    pattern: str
    description: str
    root_cause: str
    framework_anchor: str
    cross_pattern_links: tuple[str, ...]
    evidence: tuple[Cited, ...]


class NextStepProposed(Answer, frozen=True):
    """A next step, every field said."""

    intervention_type: Intervention
    description: str
    suggested_implementation: str
    estimated_impact: Level
    rationale: str


class Gap(Answer, frozen=True):
    """What was intended against what happened."""

    intended: str
    results: str
    evidence: tuple[Cited, ...]


class CauseFound(Answer, frozen=True):
    """Why the two differ."""

    cause: str
    evidence: tuple[Cited, ...]


class Causes(Answer, frozen=True):
    """Root causes, the decisive one first."""

    causes: tuple[CauseFound, ...]


class Lessons(Answer, frozen=True):
    """Lessons, the weightiest first."""

    lessons: tuple[LessonFound, ...]


class Findings(Answer, frozen=True):
    """Intent, results and lessons."""

    intended: str
    results: str
    lessons: tuple[LessonFound, ...]


class Plan(Answer, frozen=True):
    """What to do next."""

    next_steps: tuple[NextStepProposed, ...]


class Review(Answer, frozen=True):
    """The whole review at once."""

    intended: str
    results: str
    lessons: tuple[LessonFound, ...]
    next_steps: tuple[NextStepProposed, ...]


_GAP = """\
First, the intent. Say in `intended` what was supposed to happen: the goal and each condition in it (names, dates, \
numbers, limits, format, sources to use), nothing that the goal does not say.

Then the results. Say in `results` what did happen, in the order of the steps, by step number and agent: which calls \
were made, what they returned, what was claimed, how it ended. Facts only; no causes yet."""
_CAUSES = """\
Find why intent and result differ, the decisive cause first. Go through the steps from the first on and ask of each: \
had this step been done right, would the run have ended differently? The earliest yes is the decisive step. It is \
often quiet: an assumption, a remembered figure, a condition left out of a query, a page read in part, a conclusion \
after a failed call, a plan dropped too early. Ask who caused an error, not who reported it. Repetition, agreement \
and late giving up are consequences; name them last or not at all."""
_LESSONS = """\
Write the lessons, at most five, the one about the decisive step first; none where the run shows nothing to learn. \
`pattern`: two to four words that would fit other runs too. `description`: what happened, with step numbers and \
agents. `root_cause`: why it was possible, in the prompt, the tools or the order of work, one level below the event. \
`framework_anchor`: which of the four questions of TC 25-20, or which point of Wharton's guide, it answers. \
`cross_pattern_links`: patterns that look closer, of: {links}."""
_NEXT = """\
Propose next steps, at most five, the one that prevents the decisive mistake first; none without a lesson behind it. \
Each is one change that somebody can make without asking back: `suggested_implementation` holds the very prompt \
text, check, tool signature or test. `rationale` says which lesson it answers. `estimated_impact` is high only where \
the change alone would have turned this run."""
_PROOF = """\
Prove each {what} by `evidence`: the claim, the numbers of the steps that prove it, and words copied letter for \
letter from one of those steps (a telling phrase or sentence, 20 to 160 characters). What cannot be quoted is not \
evidence; a {what} without any is dropped."""
LINKS = (
    "vstack.bias_stack", "vstack.debate_pathology", "vstack.devils_advocate", "vstack.grpi", "vstack.lencioni",
    "vstack.lewin", "vstack.process_gain_loss", "vstack.psych_safety", "vstack.smart_goal", "vstack.social_loafing",
    "vstack.yerkes_dodson",
)  # fmt: skip
MAX_HINTS = 6


def _hints(case: Case[Any]) -> str:
    """What the rules saw, as leads to follow up: they read words, not meaning."""
    ranked = sorted(case.signals, key=lambda signal: -signal.weight)[:MAX_HINTS]
    if not ranked:
        return ""
    lines = "\n".join(f"- {signal.claim}" for signal in ranked)
    return (
        f"Simple rules saw the following; check each against the steps, since they know words and not meaning:\n{lines}"
    )


def _ask(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _listed(title: str, lines: Iterable[str]) -> str:
    told = "\n".join(f"- {line}" for line in lines)
    return f"{title}\n{told}" if told else ""


def _lessons_text() -> str:
    return _LESSONS.format(links=", ".join(LINKS))


def _review(case: Case[Any], answers: Answers) -> str:
    return _ask(
        "Hold the whole review at once.",
        _GAP,
        _CAUSES,
        _lessons_text(),
        _PROOF.format(what="lesson"),
        _NEXT,
        _hints(case),
    )


def _findings(case: Case[Any], answers: Answers) -> str:
    return _ask(
        "Hold the review up to its lessons.", _GAP, _CAUSES, _lessons_text(), _PROOF.format(what="lesson"), _hints(case)
    )


def _gap(case: Case[Any], answers: Answers) -> str:
    return _ask(_GAP, "Cite in `evidence` the steps where the course changed.", _PROOF.format(what="turn"))


def _causes(case: Case[Any], answers: Answers) -> str:
    known = [answers["gap"].results] if "gap" in answers else []
    return _ask(_listed("Established so far:", known), _CAUSES, _PROOF.format(what="cause"), _hints(case))


def _lessons(case: Case[Any], answers: Answers) -> str:
    causes = (
        [f"{c.cause} (steps {_numbers(c.evidence)})" for c in answers["causes"].causes] if "causes" in answers else []
    )
    return _ask(_listed("Causes found:", causes), _lessons_text(), _PROOF.format(what="lesson"))


def _numbers(evidence: Iterable[Cited]) -> str:
    return ", ".join(str(number) for item in evidence for number in item.steps) or "none"


def _found_lessons(answers: Answers) -> tuple[LessonFound, ...]:
    return tuple(lesson for name in ("findings", "lessons") if name in answers for lesson in answers[name].lessons)


def _next_steps(case: Case[Any], answers: Answers) -> str:
    told = [f"{lesson.pattern}: {lesson.description} Cause: {lesson.root_cause}" for lesson in _found_lessons(answers)]
    return _ask(_listed("Lessons found:", told), _NEXT)


def _something_to_change(case: Case[Any], answers: Answers) -> bool:
    """A run that succeeded and taught nothing needs no next step."""
    return not case.trace.success or bool(_found_lessons(answers))


def _something_to_learn(case: Case[Any], answers: Answers) -> bool:
    """A run that succeeded and whose course has no cause for complaint teaches nothing."""
    return not case.trace.success or bool(answers["causes"].causes)


PASSES: Mapping[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("review", Review, _review),),
    "standard": (Pass("findings", Findings, _findings), Pass("next_steps", Plan, _next_steps, _something_to_change)),
    "forensic": (
        Pass("gap", Gap, _gap),
        Pass("causes", Causes, _causes),
        Pass("lessons", Lessons, _lessons, _something_to_learn),
        Pass("next_steps", Plan, _next_steps, _something_to_change),
    ),
}
