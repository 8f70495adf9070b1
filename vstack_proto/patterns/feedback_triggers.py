"""Feedback triggers: what keeps an agent from taking feedback in, its content, its giver, or its own image?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast, get_args

import msgspec

from vstack_proto.patterns import feedback_triggers_passes as passes
from vstack_proto.patterns import feedback_triggers_signs as rules
from vstack_proto.patterns import feedback_triggers_texts as texts
from vstack_proto.patterns import shapes, signs, talk
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Evidence,
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
from vstack_proto.patterns.feedback_triggers_passes import PASSES, TRIGGERS, FeedbackIntervention
from vstack_proto.patterns.feedback_triggers_texts import LABEL_OF, FeedbackPlaybook, Trigger
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Stone, D.; Heen, S.", "2014", "Thanks for the Feedback"),
    Source("McAllister, D. J.", "1995", "Affect- and Cognition-Based Trust"),
    Source("Edmondson, A. C.", "1999", "Psychological safety and learning behavior in work teams"),
)

Dominant = Literal["truth", "relationship", "identity", "none-observed"]
Intake = Literal["absorbs-feedback", "trigger-prone", "feedback-rejecting"]
Profile = Literal[
    "absorbing_baseline", "truth_triggered_defensive", "relationship_triggered_rejection",
    "identity_triggered_collapse", "multi_triggered_resistant", "deflection_pattern", "performative_acknowledgement",
    "indeterminate",
]  # fmt: skip
REJECTING: dict[str, Profile] = {
    "truth": "truth_triggered_defensive", "relationship": "relationship_triggered_rejection",
    "identity": "identity_triggered_collapse",
}  # fmt: skip
Speaker = Literal["user", "agent", "system"]


class FeedbackMessage(shapes.Dated, frozen=True):
    """One message; ``metadata`` may name its speaker as ``agent``."""

    source: Speaker
    content: str
    is_feedback: bool = False
    timestamp: shapes.Moment | None = None
    metadata: dict[str, Any] = {}


class FeedbackInteractionTrace(msgspec.Struct, frozen=True):
    """A conversation in which an agent is given feedback. Where no message is marked, words tell which ones are it."""

    task: str
    messages: tuple[FeedbackMessage, ...]
    outcome: str
    feedback_incorporated: bool
    agent_id: str | None = None
    model_name: str | None = None
    framework: str | None = None
    cost_usd: float | None = None
    latency_seconds: float | None = None
    metadata: dict[str, Any] = {}


class TriggerScore(msgspec.Struct, frozen=True):
    """How strongly one trigger shows, from 0 to 1."""

    trigger: Trigger
    score: Share
    severity: Literal["none", "low", "medium", "high"]
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class DefensePatternAudit(msgspec.Struct, frozen=True):
    """What replies did to keep feedback out; the intensity is its share beside the concessions."""

    deflection_count: Count = 0
    repetition_count: Count = 0
    justification_count: Count = 0
    concession_count: Count = 0
    defense_intensity: Share = 0.0
    explanation: str = ""


class SourceAttributionAudit(msgspec.Struct, frozen=True):
    """Answering the giver against answering the point; the estimate is the share of the first."""

    source_attack_count: Count = 0
    data_engagement_count: Count = 0
    source_attribution_estimate: Share = 0.0
    explanation: str = ""


class FeedbackTriggerDetection(Detection, frozen=True):
    """Which triggers feedback meets, and what lets it in."""

    dominant_trigger: Dominant
    trigger_scores: dict[str, float]
    triggers: tuple[TriggerScore, ...]
    interventions: tuple[FeedbackIntervention, ...]
    feedback_intake_quality: Intake
    agent_id: str | None = None
    model_name: str | None = None
    feedback_incorporated: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    defense_pattern_audit: DefensePatternAudit | None = None
    source_attribution_audit: SourceAttributionAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[FeedbackPlaybook, ...] = ()


SPEAKERS: dict[str, Speaker] = {"user": "user", "agent": "agent"}


def from_trace(canonical: CanonicalTrace) -> FeedbackInteractionTrace:
    """One message a step; calls and results are the system's.

    ``metadata`` may carry the contract's fields, that of a step ``is_feedback``. Where nothing says whether feedback
    was incorporated, a run that reached its goal counts as yes, any other as no.
    """
    carried = ("feedback_incorporated", "agent_id", "model_name", "cost_usd", "latency_seconds")
    told = signs.carried(canonical.metadata, FeedbackInteractionTrace, *carried)
    told.setdefault("feedback_incorporated", canonical.success is True)
    messages = []
    for step in canonical.steps:
        source, marked = SPEAKERS.get(signs.role_of(step), "system"), step.metadata.get("is_feedback") is True
        metadata = {**step.metadata, "agent": step.agent}
        messages.append(FeedbackMessage(source, step.content, marked, step.timestamp, metadata))
    whole = (canonical.goal, tuple(messages), canonical.outcome)
    return FeedbackInteractionTrace(*whole, framework=canonical.framework, metadata=canonical.metadata, **told)


def read(trace: FeedbackInteractionTrace) -> Reading:
    """The task and how it ended, then the messages, each as feedback, a reply to it, or what its source is."""
    known = facts(trace, "task", "outcome", "feedback_incorporated", "agent_id", "model_name", "framework")
    return Reading(tuple(known), tuple(_steps(trace)))


def _steps(trace: FeedbackInteractionTrace) -> Iterator[Step]:
    marked = any(message.is_feedback for message in trace.messages)
    giver, worked = None, False
    for message in trace.messages:
        who = str(message.metadata.get("agent") or message.source)
        # Feedback is about something done before, and nobody gives it on a reply that answers feedback to oneself.
        given = message.is_feedback or (
            not marked
            and worked
            and message.source != "system"
            and (giver is None or who == giver or message.source == "user")
            and rules.FEEDBACK.search(message.content) is not None
        )
        kind: str = message.source
        if given:
            kind, giver = "feedback", who
        elif message.source == "user":
            giver = None
        elif message.source == "agent":
            kind = "reply" if giver is not None and who != giver else "agent"
        worked = worked or message.source == "agent"
        yield Step(who, kind, message.content)


def signals(trace: FeedbackInteractionTrace, reading: Reading) -> tuple[Signal, ...]:
    """Words of replies and the order of messages; a signal is named after the failure mode that it speaks for."""
    return signs.strongest(rules.by_course(reading, signs.find(reading, rules.RULES), trace.feedback_incorporated))


def strengths(case: Case[FeedbackInteractionTrace]) -> dict[str, float]:
    """How strongly the signals show each trigger; feedback that came to nothing bears out what was seen."""
    told = signs.weigh(signs.under(case.signals, LABEL_OF), TRIGGERS)
    lost = 0.0 if case.trace.feedback_incorporated else 0.2
    return {trigger: round(1 - (1 - seen) * (1 - lost), 4) if seen else 0.0 for trigger, seen in told.items()}


def intake_of(scores: Mapping[str, float], incorporated: bool) -> Intake:
    """What becomes of feedback."""
    most = max(scores.values())
    if incorporated and most <= 0.3:
        return "absorbs-feedback"
    return "feedback-rejecting" if most >= 0.6 else "trigger-prone"


def profile_of(scores: Mapping[str, float], incorporated: bool) -> Profile:
    """The contract's rules; the first that holds."""
    intake, dominant = intake_of(scores, incorporated), signs.leading(scores)
    if intake == "absorbs-feedback":
        return "absorbing_baseline"
    if sum(score >= 0.6 for score in scores.values()) >= 2:
        return "multi_triggered_resistant"
    if intake == "feedback-rejecting":
        return REJECTING[dominant]
    if incorporated and max(scores.values()) >= 0.4:
        return "performative_acknowledgement"
    if dominant in ("truth", "relationship") and scores[dominant] >= 0.5:
        return "deflection_pattern"
    return "indeterminate"


def assess_offline(case: Case[FeedbackInteractionTrace]) -> FeedbackTriggerDetection:
    """From the signals alone."""
    told = signs.assessed(case, LABEL_OF, strengths(case), "No reply to feedback shows the {label} trigger.")
    return _detection(case, told, {}, signs.confidence(case.signals, len(case.reading.steps)), happened(case))


def conclude(case: Case[FeedbackInteractionTrace], answers: Answers) -> FeedbackTriggerDetection:
    """Scores as far as quotations bear them out; a trigger without a finding does not show."""
    told = talk.heard(case, passes.findings(answers), LABEL_OF, strengths(case), floor=0.1)
    points = passes.points_of(case, answers)
    most = passes.highest_of(points)
    told = {name: msgspec.structs.replace(own, score=min(own.score, most)) for name, own in told.items()}
    sure = 0.5 + 0.05 * (len(points) + sum(len(one.proofs) for one in told.values()))
    events = talk.counted(case, answers["events"].events) if "events" in answers else happened(case)
    return _detection(case, told, answers, round(min(0.9, sure), 2), events, points)


def _detection(
    case: Case[FeedbackInteractionTrace],
    told: Mapping[str, signs.Judged],
    answers: Answers,
    confidence: float,
    events: Mapping[str, int],
    points: tuple[tuple[passes.Became, int, str], ...] = (),
) -> FeedbackTriggerDetection:
    trace, scores = case.trace, {name: own.score for name, own in told.items()}
    profile, dominant = profile_of(scores, trace.feedback_incorporated), signs.leading(scores)
    interventions: tuple[FeedbackIntervention, ...] = ()
    if dominant != "none-observed":
        hinting, showing = ({name for name in TRIGGERS if scores[name] >= least} for least in (0.1, signs.SHOWS))
        computed = talk.advised(FeedbackIntervention, case.signals, texts.ADVICE, showing)
        interventions = talk.proposed(answers, "triggers", texts.COMPOSITION, profile, hinting) or computed
    payload = {"trigger_scores": scores, "dominant_trigger": dominant}
    ranked = [proof for own in sorted(told.values(), key=lambda own: -own.score) for proof in own.proofs]
    left = [one for one in points if one[0] not in passes.MET]
    ranked += [Evidence(f"A point of the feedback, {fate.replace('_', ' ')}", (at,), quote) for fate, at, quote in left]
    return FeedbackTriggerDetection(
        cast("Dominant", dominant),
        scores,
        tuple(
            TriggerScore(name, own.score, signs.gravity(own.score), own.explanation, own.quotes[:6], confidence)
            for name, own in ((name, told[name]) for name in TRIGGERS)
        ),
        interventions,
        intake_of(scores, trace.feedback_incorporated),
        trace.agent_id,
        trace.model_name,
        trace.feedback_incorporated,
        banded(max(scores.values()), signs.BANDS),
        profile,
        **(audits_of(events, points) if case.mode == "forensic" else {}),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=signs.each_once(ranked),
        confidence=confidence,
    )


def happened(case: Case[FeedbackInteractionTrace]) -> Mapping[str, int]:
    """The events of the audits as signals and words show them."""
    seen = Counter(one.name for one in case.signals)
    replies = [step.content for step in case.reading.steps if step.kind == "reply"]
    giver = seen["source_dismissal"] + seen["tone_redirect"] + seen["low_trust_default"]
    return {
        "deflection": seen["tone_redirect"] + seen["source_dismissal"],
        "repetition": seen["restate_original"],
        "justification": seen["defensive_argument"] + seen["rule_citation"] + seen["defensive_self_statement"],
        "concession": sum(rules.CONCEDED.search(text) is not None for text in replies),
        "attack": giver,
        "engagement": sum(rules.ENGAGED.search(text) is not None for text in replies),
    }


def audits_of(events: Mapping[str, int], points: Sequence[tuple[passes.Became, int, str]] = ()) -> dict[str, Any]:
    """The two audits; every estimate is a share of what was counted."""
    fates = Counter(fate for fate, _, _ in points)
    told = ", ".join(f"{count} {fate.replace('_', ' ')}" for fate, count in fates.items())
    d, r, j, c, a, e = (events.get(kind, 0) for kind in get_args(passes.EventKind))
    kept_out = d + r + j
    defended = f"{kept_out} defences beside {c} concessions." + (f" Points of the feedback: {told}." if told else "")
    return {
        "defense_pattern_audit": DefensePatternAudit(
            d,
            r,
            j,
            c,
            round(kept_out / max(1, kept_out + c), 4),
            defended,
        ),
        "source_attribution_audit": SourceAttributionAudit(
            a, e, round(a / max(1, a + e), 4), f"The giver was answered {a} times, the point {e} times."
        ),
    }


PATTERN = Pattern(
    name="feedback_triggers", number=22, friendly="Stone-Heen Feedback Triggers", group="Module 2 / Team",
    summary="Finds what keeps an agent from taking feedback in: doubt of the content, of its giver, or of itself.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=FeedbackInteractionTrace, detection=FeedbackTriggerDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION, non_blank=("outcome", "task"),
    preconditions=not_empty("messages"))  # fmt: skip
