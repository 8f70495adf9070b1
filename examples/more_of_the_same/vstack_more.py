"""More of the same: does an agent try again what has just failed, instead of something else?"""

from __future__ import annotations

import msgspec

from vstack_proto.patterns import common
from vstack_proto.trace import CanonicalTrace

FRAMEWORK = """\
Watzlawick: the attempted solution becomes the problem where more of the same is tried. In a trace: a step that an \
agent has taken before, letter for letter. Evidence is the later one."""


class MoreDetection(common.Detection, frozen=True):
    """How often a step was taken again, and why."""

    repeated: int
    severity: common.Severity
    explanation: str


class Explained(common.Answer, frozen=True):
    """What a model is asked for."""

    explanation: str


class Remedy(msgspec.Struct, frozen=True):
    """A playbook; its first two fields are its key."""

    cause: str
    title: str
    steps: tuple[str, ...]


def read(trace: CanonicalTrace) -> common.Reading:
    """The goal, and the steps as they are."""
    return common.Reading((("goal", trace.goal),), tuple(common.Step(s.agent, s.type, s.content) for s in trace.steps))


def signals(trace: CanonicalTrace, reading: common.Reading) -> tuple[common.Signal, ...]:
    """Each step that is equal to an earlier one, with both."""
    first: dict[common.Step, int] = {}
    again = [(n, first.setdefault(step, n), step.content.strip()) for n, step in enumerate(reading.steps)]
    return tuple(common.Signal("again", f"As step {m}.", (n, m), text, 0.5) for n, m, text in again if n > m and text)


def conclude(case: common.Case[CanonicalTrace], answers: common.Answers) -> MoreDetection:
    """What is counted decides; a model only says why."""
    repeated = len(case.signals)
    told = answers["why"].explanation if answers else f"{repeated} steps say what was said before"
    severity = common.banded(repeated, ((0, "none"), (1, "low"), (3, "high")))
    return MoreDetection(repeated, severity, told, evidence=case.evidence_of_signals())


WHY = common.Pass(
    "why", Explained, common.asks("Say in one sentence why the agent repeats itself, or that it does not.")
)
PATTERN = common.Pattern(
    name="more_of_the_same", number=1001, friendly="More of the Same", group="Examples", framework=FRAMEWORK,
    summary="Finds where an agent tries again what has failed.",
    sources=(common.Source("Watzlawick, P., Weakland, J. H., Fisch, R.", "1974", "Change"),),
    trace=CanonicalTrace, detection=MoreDetection, from_trace=lambda trace: trace, read=read, signals=signals,
    assess_offline=lambda case: conclude(case, {}), conclude=conclude, passes=dict.fromkeys(common.MODES, (WHY,)),
    playbooks=(Remedy("retry", "Something else", ("Allow one retry, then ask for another way.",)),), attach={},
    composition=common.Composition(upstream=(), downstream={"severity": {"high": ("vstack.aar",)}}),
)  # fmt: skip
