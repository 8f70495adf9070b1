"""Bias stack: which habits of thought led a reasoner away from what it could have seen?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, Literal, cast, get_args

import msgspec

from vstack_proto.patterns import bias_stack_passes as passes
from vstack_proto.patterns import bias_stack_signs as rules
from vstack_proto.patterns import bias_stack_texts as texts
from vstack_proto.patterns import signs, talk
from vstack_proto.patterns.bias_stack_passes import MODE_OF, BiasIntervention
from vstack_proto.patterns.bias_stack_signs import ENDS, OWN, ReasoningStep, StepType, course_of
from vstack_proto.patterns.bias_stack_texts import BIASES, Profile, Quality, profile_of
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    attach_playbooks,
    banded,
    facts,
    not_empty,
)
from vstack_proto.trace import CanonicalTrace, TraceStep

SOURCES = (
    Source("Popper, K.", "1959", "The Logic of Scientific Discovery"),
    Source("Tversky, A.; Kahneman, D.", "1974", "Judgment under uncertainty: Heuristics and biases"),
    Source("Staw, B. M.", "1976", "Knee-deep in the big muddy"),
    Source("Arkes, H. R.; Blumer, C.", "1985", "The psychology of sunk cost"),
    Source("Nickerson, R. S.", "1998", "Confirmation bias: A ubiquitous phenomenon in many guises"),
    Source("Kahneman, D.", "2011", "Thinking, Fast and Slow"),
)


class AgentReasoningTrace(msgspec.Struct, frozen=True):
    """How an agent reasoned its way to an outcome."""

    task: str
    steps: tuple[ReasoningStep, ...]
    outcome: str
    success: bool
    agent_id: str | None = None
    model_name: str | None = None
    framework: str | None = None
    metadata: dict[str, Any] = {}


class BiasFound(msgspec.Struct, frozen=True):
    """How strongly one bias shows."""

    bias: texts.Bias
    score: Share
    severity: signs.Gravity
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class CalibrationAudit(msgspec.Struct, frozen=True):
    """Stated confidence against the outcome: the gap is the mean confidence less 1 for success, 0 for failure."""

    mean_self_confidence: Share = 0.5
    overconfidence_gap: Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)] = 0.0
    calibration_estimate: Share = 0.5
    explanation: str = ""


class AnchoringAudit(msgspec.Struct, frozen=True):
    """What became of the first hypothesis: the share of later reasoning that speaks of it, and how often it changed."""

    first_hypothesis_persistence: Share = 0.0
    pivot_count: Count = 0
    retry_count: Count = 0
    anchoring_estimate: Share = 0.0
    explanation: str = ""


class BiasStackDetection(Detection, frozen=True):
    """Which biases show, and how strongly."""

    dominant_bias: Literal["anchoring", "overconfidence", "confirmation", "escalation-of-commitment", "none-observed"]
    bias_scores: dict[str, float]
    biases: tuple[BiasFound, ...]
    interventions: tuple[BiasIntervention, ...]
    overall_reasoning_quality: Quality
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    calibration_audit: CalibrationAudit | None = None
    anchoring_audit: AnchoringAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.BiasPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentReasoningTrace:
    """One reasoning step a step; what others say (a person, a tool, the system) is an observation.

    ``metadata`` may hold ``agent_id`` and ``model_name``, that of a step ``confidence``. Unknown success is no success
    for the detection; nothing is held against the agent on that ground, since the outcome was not told to be bad.
    """
    own = signs.carried(canonical.metadata, AgentReasoningTrace, "agent_id", "model_name")
    told = {"success_unknown": True} if canonical.success is None else {}
    return AgentReasoningTrace(
        canonical.goal,
        tuple(_step(step) for step in canonical.steps),
        canonical.outcome,
        canonical.success is True,
        framework=canonical.framework,
        metadata={**canonical.metadata, **told},
        **own,
    )


CALLED: dict[str, StepType] = {
    "plan": "decision", "answer": "conclusion", "final_answer": "conclusion", "final": "conclusion",
    "reasoning": "thought", "thinking": "thought",
}  # fmt: skip


def _step(step: TraceStep) -> ReasoningStep:
    kind, role = step.plain_type, signs.role_of(step)
    named: StepType = "thought"
    if kind in get_args(StepType):
        named = cast("StepType", kind)
    elif role != "agent":
        named = "tool_call" if role == "tool" else "observation"
    elif kind in CALLED:
        named = CALLED[kind]
    elif rules.GUESSES.search(step.content):
        named = "hypothesis"
    own = signs.carried(step.metadata, ReasoningStep, "confidence")
    return ReasoningStep(
        named, step.content, timestamp=step.timestamp, metadata={**step.metadata, "agent": step.agent}, **own
    )


def read(trace: AgentReasoningTrace) -> Reading:
    """Facts, then the steps; a step's kind says its confidence where it was stated."""
    steps = []
    for step in trace.steps:
        agent = step.metadata.get("agent")
        kind = step.type if step.confidence is None else f"{step.type}, confidence {step.confidence:g}"
        speaker = agent if isinstance(agent, str) and agent else trace.agent_id or "agent"
        steps.append(Step(speaker, "observation" if step.type == "observation" else kind, step.content))
    return Reading(tuple(facts(trace, "task", "outcome", "success", "agent_id", "model_name")), tuple(steps))


def signals(trace: AgentReasoningTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: what confidence, retries and repeated errors tell, then telling words."""
    found = [*signs.find(reading, rules.RULES), *_repeats(trace)]
    missed = not trace.success and trace.metadata.get("success_unknown") is not True
    if missed:
        found += [*_persisted(trace, found), *_too_sure(trace)]
    return signs.strongest(signal for signal in found if signal.quote)


def _persisted(trace: AgentReasoningTrace, seen: Sequence[Signal]) -> Iterator[Signal]:
    """The failed run ends with the idea it began with."""
    course = course_of(trace.task, trace.steps)
    ends = [number for number in course.kept if trace.steps[number].type in ENDS]
    looked = [n for n, step in enumerate(trace.steps) if step.type == "observation" and n > (course.first or 0)]
    if ends and not course.pivots and looked and looked[0] < ends[-1]:
        ignored = any(signal.name == "selective_evidence" and signal.weight > 0.2 for signal in seen)
        claim = f"The run ends with the idea of step {course.first}, whatever was observed from step {looked[0]} on"
        quote = signs.first_line(trace.steps[ends[-1]].content)
        yield Signal("first_hypothesis_persistence", claim, (ends[-1],), quote, 0.5 if ignored else 0.35)
    if course.first is not None and not any(
        s.type in ("observation", "tool_call") for s in trace.steps[: course.first]
    ):
        sure = trace.steps[course.first].confidence
        if sure is not None and sure >= SURE:
            claim = f"Confidence {sure:g} in the first idea, before anything was looked at"
            quote = signs.first_line(trace.steps[course.first].content)
            yield Signal("ai_specific_first_token", claim, (course.first,), quote, 0.3)


SURE = 0.8


def _too_sure(trace: AgentReasoningTrace) -> Iterator[Signal]:
    """Certain, and wrong."""
    stated = [(n, step) for n, step in enumerate(trace.steps) if step.confidence is not None and step.type in OWN]
    sure = [(n, step) for n, step in stated if step.confidence is not None and step.confidence >= SURE]
    if not sure or sure[-1][0] != stated[-1][0]:
        return
    number, last = sure[-1]
    quote = signs.first_line(last.content)
    claim = f"Confidence {last.confidence:g} at the end of a run that failed"
    yield Signal("uncalibrated_certainty", claim, (number,), quote, 0.45)
    if not any(step.type in OWN and rules.REFUTES.search(step.content) for step in trace.steps):
        claim = "A sure end, and no step of the run looks for what could refute it"
        yield Signal("no_disconfirmation", claim, (number,), quote, 0.3)
    if not any(step.type in ("observation", "tool_call") for step in trace.steps[:number]) and last.type in ENDS:
        yield Signal("premature_conclusion", "A conclusion before anything was looked at", (number,), quote, 0.4)


def _repeats(trace: AgentReasoningTrace) -> Iterator[Signal]:
    """Retries beyond the second, calls made a third time unchanged, and errors seen a third time."""
    seen = Counter[tuple[str, str]]()
    retries = 0
    for number, step in enumerate(trace.steps):
        text = signs.gist(step.content)
        quote = signs.first_line(step.content)
        seen[step.type, text] += 1
        retries += step.type == "retry"
        if step.type == "retry" and retries > 2:
            yield Signal("unbounded_retries", f"Retry number {retries}", (number,), quote, 0.3)
        elif step.type in ("tool_call", "retry") and seen[step.type, text] == 3:
            yield Signal("unbounded_retries", "The same call a third time, unchanged", (number,), quote, 0.3)
        elif step.type == "observation" and seen[step.type, text] == 3 and rules.FAILS.search(text):
            yield Signal("critical_failure_loop", "The same error a third time", (number,), quote, 0.4)


def quality_of(highest: float) -> Quality:
    """The contract's bounds on the highest score."""
    return "severely-biased" if highest > 0.6 else "bias-prone" if highest > 0.3 else "well-calibrated"


def assess_offline(case: Case[AgentReasoningTrace]) -> BiasStackDetection:
    """From types, confidences, repeats and telling words alone."""
    return conclude(case, {})


def conclude(case: Case[AgentReasoningTrace], answers: Answers) -> BiasStackDetection:
    """Scores as far as quotations bear them out; calibration, pivots, retries and labels are computed."""
    trace, (judged, against) = case.trace, passes.judged_of(case, answers)
    scores = {label: one.score for label, one in judged.items()}
    quality = quality_of(max(scores.values()))
    profile = profile_of(scores, quality)
    audit: passes.AuditAnswer | None = answers.get("audit")
    shown = [label for label in BIASES if scores[label] >= signs.SHOWS]
    # Without a model the proofs are the signals already.
    seen = [signal for signal in case.signals if MODE_OF[signal.name] in shown] if "biases" in answers else []
    proofs = [proof for label in shown for proof in judged[label].proofs]
    heard = case.ground(audit.evidence) if audit else ()
    evidence = signs.each_once([*proofs, *heard, *signs.proofs(case, seen), *against])
    interventions = _interventions(case, answers, scores, profile)
    sure = signs.confidence(case.signals, len(trace.steps))
    if "biases" in answers:
        sure = min(0.9, sure + 0.1 + 0.02 * len(proofs))
    if "refutation" in answers:
        # What was attacked and stands is surer; what had to be lowered was less sure than it looked.
        sure = min(0.9, sure - 0.05 if against else sure + 0.05)
    return BiasStackDetection(
        dominant_bias=cast("Any", signs.leading(scores)),
        bias_scores=scores,
        biases=tuple(
            BiasFound(label, one.score, signs.gravity(one.score), one.explanation, one.quotes, round(sure, 2))
            for label, one in zip(BIASES, judged.values(), strict=True)
        ),
        interventions=interventions,
        overall_reasoning_quality=quality,
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        success=trace.success,
        severity=banded(max(scores.values()), signs.BANDS),
        profile_pattern=profile,
        calibration_audit=_calibration(trace, audit.calibration if audit else ""),
        anchoring_audit=_anchoring(trace, audit.anchoring if audit else ""),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(
            {"profile_pattern": profile}, trace.framework, {"bias_scores": scores}
        ),
        evidence=evidence,
        confidence=round(sure, 2),
    )


def _interventions(
    case: Case[Any], answers: Answers, scores: Mapping[str, float], profile: Profile
) -> tuple[BiasIntervention, ...]:
    showing = {one for one, score in scores.items() if score >= signs.SHOWS}
    computed = signs.remedies(BiasIntervention, case.signals, scores, texts.PLAYBOOKS, texts.ATTACH)
    return talk.proposed(answers, "biases", texts.COMPOSITION, profile, showing) or computed


def _calibration(trace: AgentReasoningTrace, told: str) -> CalibrationAudit:
    stated = [step.confidence for step in trace.steps if step.confidence is not None]
    if not stated:
        return CalibrationAudit(explanation=told.strip() or "No step states a confidence.")
    mean = fmean(stated)
    gap = round(mean - trace.success, 4)
    ended = "succeeded" if trace.success else "did not succeed"
    said = f"{len(stated)} steps state a confidence, {mean:.2f} on average; the run {ended}."
    return CalibrationAudit(round(mean, 4), gap, round(1 - abs(gap), 4), f"{told.strip()} {said}".strip())


def _anchoring(trace: AgentReasoningTrace, told: str) -> AnchoringAudit:
    course, retries = course_of(trace.task, trace.steps), sum(step.type == "retry" for step in trace.steps)
    if course.first is None:
        said = "No step states a hypothesis."
    else:
        said = f"{len(course.kept)} of {course.later} later steps speak of the hypothesis of step {course.first}."
    estimate = round(course.persistence / (1 + len(course.pivots)), 4)
    return AnchoringAudit(course.persistence, len(course.pivots), retries, estimate, f"{told.strip()} {said}".strip())


PATTERN = Pattern(
    name="bias_stack", number=27, friendly="Bias Stack Detector", group="Module 2 / Team",
    summary="Finds anchoring, overconfidence, confirmation and escalation of commitment in how an agent reasoned.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=AgentReasoningTrace, detection=BiasStackDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=passes.PASSES,
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("task", "outcome"), preconditions=not_empty("steps"),
)  # fmt: skip
