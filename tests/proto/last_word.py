"""A pattern small enough to be read at a glance: who had the last word, and was it backed?"""

from __future__ import annotations

from typing import Annotated

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import (
    Answer,
    Answers,
    Case,
    Composition,
    Detection,
    Evidence,
    Fault,
    Pass,
    Pattern,
    Reading,
    Signal,
    Source,
    Step,
)
from vstack_proto.trace import CanonicalTrace


class Line(msgspec.Struct, frozen=True):
    """What one member said."""

    who: str
    said: str


class Talk(msgspec.Struct, frozen=True):
    """A talk and what it was about."""

    goal: str
    lines: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1)]
    framework: str | None = None


class LastWord(Detection, frozen=True, kw_only=True):
    """Who had the last word, what it was worth, and what was doubted."""

    speaker: str
    verdict: str
    doubts: tuple[str, ...] = ()


class Reread(Answer, frozen=True):
    """Whether anything was left open."""

    left_open: bool


class Doubts(Answer, frozen=True):
    """What was doubted."""

    doubts: tuple[str, ...]


class Verdict(Answer, frozen=True):
    """What the last word is worth."""

    verdict: str
    evidence: tuple[Evidence, ...] = ()


class Remedy(msgspec.Struct, frozen=True):
    """A playbook."""

    mode: str
    target: str
    text: str


def from_trace(trace: CanonicalTrace) -> Talk:
    if not trace.goal:
        raise TraceNotReadable("it names no goal")
    lines = tuple(Line(step.agent, step.content) for step in trace.steps)
    return Talk(trace.goal, lines, trace.framework)


def preconditions(talk: Talk) -> list[Fault]:
    return [Fault(f"/lines/{n}/who", "must not be blank") for n, line in enumerate(talk.lines) if not line.who.strip()]


def read(talk: Talk) -> Reading:
    return Reading((("Goal", talk.goal),), tuple(Step(line.who, "message", line.said) for line in talk.lines))


def signals(talk: Talk, reading: Reading) -> tuple[Signal, ...]:
    last = len(talk.lines) - 1
    return (Signal("last_word", "This was said last.", (last,), talk.lines[last].said, 0.5),)


def assess_offline(case: Case[Talk]) -> LastWord:
    return LastWord(speaker=case.trace.lines[-1].who, verdict="unknown", evidence=case.evidence_of_signals())


def anything_open(case: Case[Talk], answers: Answers) -> bool:
    return bool(answers["reread"].left_open)


def conclude(case: Case[Talk], answers: Answers) -> LastWord:
    doubts = answers["doubts"].doubts if "doubts" in answers else ()
    told: Verdict = answers["verdict"]
    evidence = case.ground(told.evidence)
    return LastWord(speaker=case.trace.lines[-1].who, verdict=told.verdict, doubts=doubts, evidence=evidence)


REREAD = Pass("reread", Reread, lambda case, answers: "Was anything left open?")
DOUBTS = Pass("doubts", Doubts, lambda case, answers: "What was doubted?", anything_open)
VERDICT = Pass("verdict", Verdict, lambda case, answers: f"What is the last word worth? So far: {[*answers]}")
PATTERN = Pattern(
    name="last_word",
    number=2,
    friendly="Last word",
    group="tests",
    summary="Who had the last word.",
    framework="Look at the last line.",
    sources=(Source("A. Author", "1999", "On last words"),),
    trace=Talk,
    detection=LastWord,
    from_trace=from_trace,
    read=read,
    signals=signals,
    assess_offline=assess_offline,
    passes={"quick": (VERDICT,), "standard": (REREAD, VERDICT), "forensic": (REREAD, DOUBTS, VERDICT)},
    conclude=conclude,
    playbooks=(Remedy("silence", "team", "Ask the quiet ones."),),
    attach={},
    composition=Composition(
        upstream=("first_word",), downstream={"verdict": {"hollow": ("why",)}}, framework_overlays={"x": ("y",)}
    ),
    non_blank=("goal",),
    preconditions=preconditions,
)


def _breaks(case: Case[Talk]) -> LastWord:
    raise ZeroDivisionError


# As the first, but with a bug in it.
BROKEN = msgspec.structs.replace(PATTERN, name="broken", number=1, assess_offline=_breaks)

TRACE = {"goal": "Pick a date", "lines": [{"who": "ann", "said": "Monday?"}, {"who": "bob", "said": "Monday it is."}]}
