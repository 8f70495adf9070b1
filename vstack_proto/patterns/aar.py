"""After-action review: what was intended, what happened, why they differ, what to do next.

Sources: US Army (1993), TC 25-20: A Leader's Guide to After-Action Reviews; Wharton@Work (2014), After-Action
Reviews for Leaders.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import aar_numbers as numbers
from vstack_proto.patterns import aar_texts as texts
from vstack_proto.patterns import shapes
from vstack_proto.patterns.aar_passes import PASSES, Cited, LessonFound, NextStepProposed
from vstack_proto.patterns.aar_signals import decisive_steps, find_signals
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Detection,
    Evidence,
    Grounding,
    Level,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    banded,
    paired_playbooks,
)  # fmt: skip
from vstack_proto.trace import CanonicalTrace, TraceStep

SOURCES = (
    Source("US Army", "1993", "TC 25-20: A Leader's Guide to After-Action Reviews"),
    Source("Wharton@Work", "2014", "After-Action Reviews for Leaders"),
)

StepType = Literal["tool_call", "message", "decision", "observation", "thought"]


class AARStep(shapes.Dated, frozen=True):
    """One step; ``metadata["agent"]`` names who is behind it, ``metadata["status"]`` or ``["error"]`` how it ended."""

    timestamp: shapes.Moment
    type: StepType
    content: str
    metadata: dict[str, Any] = {}
    parent_step_id: str | None = None
    step_id: str | None = None


class AgentTrace(msgspec.Struct, frozen=True):
    """A finished run of one agent or of a team. ``cost_usd`` in US dollars, ``latency_seconds`` in seconds."""

    goal: str
    steps: tuple[AARStep, ...]
    outcome: str
    success: bool
    agent_id: str | None = None
    agent_framework: str | None = None
    cost_usd: float | None = None
    latency_seconds: float | None = None
    retry_count: int | None = None
    metadata: dict[str, Any] = {}


class Lesson(msgspec.Struct, frozen=True):
    """One thing learned; ``framework_anchor`` says which question of the review it answers."""

    pattern: str
    description: str
    root_cause: str
    framework_anchor: str
    cross_pattern_links: tuple[str, ...] = ()


class NextStep(msgspec.Struct, frozen=True):
    """One change to make before the goal is tried again."""

    intervention_type: texts.Intervention
    description: str
    suggested_implementation: str
    estimated_impact: Level = "medium"
    rationale: str = ""


class AAR(Detection, frozen=True):
    """The review: intent, results, lessons (the likeliest decisive mistake first) and next steps."""

    goal: str
    results: str
    lessons: tuple[Lesson, ...]
    next_steps: tuple[NextStep, ...]
    success: bool
    source_trace_id: str | None = None
    suggested_prompt_patch: str | None = None
    suggested_eval_test: str | None = None
    lesson_record_for_memory: dict[str, Any] | None = None
    severity: Severity = "moderate"
    profile_pattern: numbers.Profile = "indeterminate"
    gap_score: Share = 0.5
    trace_quality_audit: numbers.TraceQualityAudit | None = None
    lesson_groundedness_audit: numbers.LessonGroundednessAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.AARPlaybook, ...] = ()


# Parts of step types that frameworks use, in the order in which they are tried: a tool's result is not a tool's call.
_NEAREST: tuple[tuple[str, StepType], ...] = (
    ("result|output|observ|return|response|error", "observation"),
    ("tool|call|action|function|exec|command", "tool_call"),
    ("decid|decision|plan|delegat|hand_?off|rout", "decision"),
    ("thought|think|reason|reflect", "thought"),
)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ENDED_BADLY = re.compile(
    r"\b(?:fail|wrong|incorrect|error|not (?:solved|done|completed|found)|unable|crash|abort|gave up)", re.IGNORECASE
)
_ENDED_WELL = re.compile(r"\b(?:success|succeeded|correct|solved|completed|passed|delivered|accepted)", re.IGNORECASE)


def _step_type(step: TraceStep) -> StepType:
    # Some teams log private reasoning as messages on a channel of that name.
    told = f"{step.type} {step.metadata.get('channel', '')}" if step.type == "message" else step.type
    return next((kind for parts, kind in _NEAREST if re.search(parts, told, re.IGNORECASE)), "message")


def from_trace(trace: CanonicalTrace) -> AgentTrace:
    """Read a canonical trace; a step without a moment gets its position in seconds, so that equal traces stay equal."""
    success = trace.success
    if success is None:
        bad, good = _ENDED_BADLY.search(trace.outcome), _ENDED_WELL.search(trace.outcome)
        if (bad is None) == (good is None):
            raise TraceNotReadable("aar compares intent with result: set success to true or false")
        success = good is not None
    steps = []
    for number, step in enumerate(trace.steps):
        known = {"agent": step.agent} | ({"tool": step.tool} if step.tool is not None else {})
        moment = step.timestamp or EPOCH + dt.timedelta(seconds=number)
        steps.append(AARStep(moment, _step_type(step), step.content, step.metadata | known))
    return AgentTrace(
        trace.goal, tuple(steps), trace.outcome, success, agent_framework=trace.framework, metadata=trace.metadata
    )


def read(trace: AgentTrace) -> Reading:
    """The facts of the run, and its steps with the agent behind each."""
    facts = [("goal", trace.goal), ("outcome", trace.outcome), ("success", "yes" if trace.success else "no")]
    known = ("agent_id", "agent_framework", "cost_usd", "latency_seconds", "retry_count")
    facts += [(name, str(getattr(trace, name))) for name in known if getattr(trace, name) is not None]
    return Reading(
        tuple(facts),
        tuple(Step(str(s.metadata.get("agent") or trace.agent_id or "agent"), s.type, s.content) for s in trace.steps),
    )


def signals(trace: AgentTrace, reading: Reading) -> tuple[Signal, ...]:
    """Failed calls and their cause, assumptions, unsourced figures, dropped conditions ...; see ``aar_signals``."""
    return find_signals(trace.goal, reading, tuple(step.metadata for step in trace.steps))


MAX_LESSONS = 3
MAX_EVIDENCE = 12
_NOT_RECORDED = texts.Rule(
    0.0, "", "", texts.WHAT_HAPPENED, (), "human_review",
    "Have somebody who knows the task walk through the trace; nothing in it shows by itself what went wrong.",
    "Record the result and status of every call, run the goal again, and review the two traces side by side.",
    "medium", "A review can only find what was recorded.",
)  # fmt: skip


def _next_step(rule: texts.Rule) -> NextStep:
    return NextStep(rule.kind, rule.advice, rule.how, rule.impact, rule.why)


def _told(signal: Signal) -> str:
    """A signal as a sentence with its quotation; quotation marks inside it must not end it."""
    quote = " ".join(signal.quote.replace("“", '"').replace("”", '"').split())
    return f"{signal.claim.rstrip('.')}: “{quote}”."


def _lesson(found: list[Signal], lead: str) -> Lesson:
    rule = texts.RULES[found[0].name]
    more = "".join(f" It also {texts.RULES[name].did}." for name in dict.fromkeys(s.name for s in found[1:]))
    links = dict.fromkeys(link for signal in found for link in texts.RULES[signal.name].links)
    return Lesson(found[0].name, f"{lead}{_told(found[0])}{more}", rule.cause, rule.anchor, tuple(links))


def _candidates(case: Case[AgentTrace]) -> list[tuple[float, list[Signal]]]:
    """The ranked candidates for the decisive step: score, and what was seen there, the weightiest first."""
    by_step: dict[int, list[Signal]] = {}
    for signal in sorted(case.signals, key=lambda signal: -signal.weight):
        if not texts.RULES[signal.name].symptom:
            by_step.setdefault(signal.steps[0], []).append(signal)
    ranked = decisive_steps(case.signals, len(case.reading.steps))
    return [(score, by_step[step]) for step, score in ranked]


def assess_offline(case: Case[AgentTrace]) -> AAR:
    """The review from the signals alone: up to three ranked candidates for the decisive mistake, then the symptoms.

    A run that succeeded teaches only what stands in its record as trouble (repetition, repeated failures): words that
    would be suspicious in a failed run did no harm there.
    """
    # One failed result is a part of work; only from the second on is it a symptom.
    symptoms = [s for s in case.signals if s.name == "loop"] or [s for s in case.signals if s.name == "tool_error"][1:]
    if case.trace.success:
        ranked: list[tuple[float, list[Signal]]] = []
        seen = symptoms
    else:
        ranked = _candidates(case)
        seen = [signal for _, found in ranked for signal in found]
        seen += [signal for signal in case.signals if texts.RULES[signal.name].symptom]
    top = [found for score, found in ranked[:MAX_LESSONS] if score >= ranked[0][0] / 2]
    if top and top[0][0].name == "goal_replaced":
        del top[1:]  # What a team does about another problem says nothing more about this one.
    leads = ("The likeliest decisive mistake: ", *(f"Candidate {place}: " for place in range(2, MAX_LESSONS + 1)))
    lessons = [_lesson(found, lead) for found, lead in zip(top, leads, strict=False)]
    rules = [texts.RULES[found[0].name] for found in top]
    if symptoms and len(lessons) < MAX_LESSONS:
        lessons.append(_lesson(symptoms[:1], "Symptom: "))
        rules.append(texts.RULES[symptoms[0].name])
    for words, (name, rule) in texts.OUTCOME_RULES.items():
        found_words = re.search(words, case.trace.outcome, re.IGNORECASE)
        if found_words and not case.trace.success:
            told = f"The run {rule.did}; its outcome says “{found_words.group()}”."
            lessons.append(Lesson(name, told, rule.cause, rule.anchor, rule.links))
            rules.append(rule)
    if not case.trace.success and not lessons:
        rules.append(_NOT_RECORDED)
    steps = tuple(dict.fromkeys(map(_next_step, rules)))[:MAX_LESSONS]
    evidence = case.ground(Evidence(s.claim, s.steps, s.quote) for s in seen[:MAX_EVIDENCE])
    scores = [score for score, _ in ranked[:2]] + [0.0, 0.0]
    # A clear leader is worth more than a high score among equals.
    sure = 0.55 if case.trace.success else 0.2 + 0.4 * scores[0] + 0.3 * (scores[0] - scores[1])
    return _detection(case, "", _story(case, lessons), tuple(lessons), steps, evidence, round(min(0.8, sure), 2))


def _story(case: Case[AgentTrace], lessons: list[Lesson]) -> str:
    """What happened, in two to four sentences."""
    steps = case.reading.steps
    agents = list(dict.fromkeys(step.agent for step in steps))
    names = ", ".join(agents[:6]) + (", and others" if len(agents) > 6 else "")
    errors = [s.steps[0] for s in case.signals if s.name == "tool_error"]
    failed = f" Failed results: {', '.join(f'step {n}' for n in errors[:6])}." if errors else ""
    first = f" {lessons[0].description}" if lessons else ""
    end = "succeeded" if case.trace.success else "failed"
    outcome = case.trace.outcome.strip().rstrip(".")
    return f"{len(steps)} steps by {names or 'nobody'}.{failed} The run {end}: {outcome}.{first}"


def _grounded(case: Case[AgentTrace], cited: Iterable[Cited]) -> tuple[Evidence, ...]:
    return case.ground(Evidence(item.claim, item.steps, item.quote) for item in cited)


def conclude(case: Case[AgentTrace], answers: Answers) -> AAR:
    """The review of a model; a lesson none of whose quotations stands in the trace is dropped, numbers are computed."""
    given = [
        answers[name] for name in ("review", "findings", "gap", "causes", "lessons", "next_steps") if name in answers
    ]
    found: list[LessonFound] = [lesson for answer in given for lesson in getattr(answer, "lessons", ())]
    proposed: list[NextStepProposed] = [step for answer in given for step in getattr(answer, "next_steps", ())]
    evidence: dict[Evidence, None] = {}
    lessons = []
    for lesson in found:
        proof = _grounded(case, lesson.evidence)
        evidence.update(dict.fromkeys(proof))
        if proof:
            links = tuple(dict.fromkeys(link for link in lesson.cross_pattern_links if link.strip()))
            lessons.append(
                Lesson(lesson.pattern, lesson.description, lesson.root_cause, lesson.framework_anchor, links)
            )
    for answer in given:
        evidence.update(dict.fromkeys(_grounded(case, getattr(answer, "evidence", ()))))
        for cause in getattr(answer, "causes", ()):
            evidence.update(dict.fromkeys(_grounded(case, cause.evidence)))
    steps = tuple(NextStep(*msgspec.structs.astuple(step)) for step in proposed)
    intended, results = next(((a.intended, a.results) for a in given if hasattr(a, "intended")), ("", ""))
    if not results.strip():
        results = _story(case, lessons)
    return _detection(case, intended, results, tuple(lessons), steps, tuple(evidence), _confidence(case, evidence))


def _confidence(case: Case[AgentTrace], evidence: Iterable[Evidence]) -> float:
    """0.4, plus 0.4 times the share of quotations that stand, plus 0.1 where the signals lead to a step cited too."""
    counts = case.grounding
    stands = counts.verified / counts.cited if counts.cited else 0.0
    cited = {step for item in evidence for step in item.steps}
    leading = {step for step, _ in decisive_steps(case.signals, len(case.reading.steps))[:MAX_LESSONS]}
    return round(0.4 + 0.4 * stands + (0.1 if cited & leading else 0.0), 2)


def _audit_trace(trace: AgentTrace) -> numbers.TraceQualityAudit:
    return numbers.audit_trace(
        [step.type for step in trace.steps], trace.cost_usd, trace.latency_seconds, trace.retry_count
    )


def _audit_lessons(lessons: tuple[Lesson, ...], grounding: Grounding) -> numbers.LessonGroundednessAudit:
    anchored = sum(1 for lesson in lessons if lesson.framework_anchor.strip())
    linked = sum(1 for lesson in lessons if lesson.cross_pattern_links)
    return numbers.audit_lessons(len(lessons), anchored, linked, grounding)


def _memory(trace: AgentTrace, lessons: tuple[Lesson, ...]) -> dict[str, Any] | None:
    told = {"agent_id": trace.agent_id, "agent_framework": trace.agent_framework, "original_goal": trace.goal}
    kept = [msgspec.json.decode(msgspec.json.encode(lesson)) for lesson in lessons]
    return {"type": "aar_lesson", **told, "lessons": kept} if kept else None


def _detection(
    case: Case[AgentTrace],
    intended: str,
    results: str,
    lessons: tuple[Lesson, ...],
    next_steps: tuple[NextStep, ...],
    evidence: tuple[Evidence, ...],
    confidence: float,
) -> AAR:
    """Everything that follows from lessons and next steps by rule."""
    trace = case.trace
    kept = next_steps[:1] if case.mode == "quick" else next_steps
    gap = numbers.gap_of(trace.success, len(lessons), len(kept))
    told = " ".join(f"{lesson.pattern} {lesson.description} {lesson.root_cause}" for lesson in lessons)
    profile = numbers.profile_of(trace.success, gap, told)
    kinds = [step.intervention_type for step in kept]
    patches = [step.suggested_implementation for step in kept if step.intervention_type == "prompt_patch"]
    payload = {"goal": trace.goal, "lessons": [lesson.pattern for lesson in lessons], "gap_score": gap}
    forensic = case.mode == "forensic"
    source = trace.metadata.get("trace_id")
    return AAR(
        intended.strip() or trace.goal,
        results,
        lessons,
        kept,
        trace.success,
        source_trace_id=source if isinstance(source, str) else None,
        suggested_prompt_patch="\n".join(patches) or None,
        lesson_record_for_memory=_memory(trace, lessons),
        severity=banded(gap, numbers.BANDS),
        profile_pattern=profile,
        gap_score=gap,
        trace_quality_audit=_audit_trace(trace) if forensic else None,
        lesson_groundedness_audit=_audit_lessons(lessons, case.grounding) if forensic else None,
        attached_playbooks=paired_playbooks(texts.PLAYBOOKS, numbers.ATTACH, [(profile, kind) for kind in kinds]),
        composition_handoff=numbers.COMPOSITION.handoff(
            {"profile_pattern": profile}, trace.agent_framework, payload, kinds
        ),
        evidence=evidence,
        confidence=confidence,
    )


PATTERN = Pattern(
    name="aar", number=30, friendly="After-Action Review", group="Module 2 / Team",
    summary="Compares what a run was meant to do with what it did, finds where they parted, says what to change.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentTrace, detection=AAR, from_trace=from_trace, read=read,
    signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude, playbooks=texts.PLAYBOOKS,
    attach=numbers.ATTACH, composition=numbers.COMPOSITION, non_blank=("goal", "outcome"),
)  # fmt: skip
