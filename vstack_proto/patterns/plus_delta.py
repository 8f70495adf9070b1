"""Plus/delta: what to keep of a piece of work, what to do differently, and whether the feedback itself is any good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import plus_delta_passes as passes
from vstack_proto.patterns import plus_delta_signs as rules
from vstack_proto.patterns import plus_delta_texts as texts
from vstack_proto.patterns import signs
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
)
from vstack_proto.patterns.plus_delta_passes import PASSES, Assessment, FeedbackChange
from vstack_proto.patterns.plus_delta_signs import NOTES
from vstack_proto.patterns.plus_delta_texts import (
    Commitment,
    DeltaItem,
    PlusDeltaPlaybook,
    PlusItem,
    Weight,
)
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Joiner Associates", "1990s", "Plus/Delta facilitation format"),
    Source("Doran, G. T.", "1981", "There's a S.M.A.R.T. way to write management's goals and objectives"),
    Source("Stone, D.; Heen, S.", "2014", "Thanks for the Feedback"),
    Source("Brown, B.", "2018", "Dare to Lead"),
)

Style = Literal["balanced", "delta-leaning", "plus-leaning"]
Profile = Literal[
    "balanced_specific", "plus_heavy_morale", "delta_heavy_rework", "generic_noise", "no_evidence_cited",
    "no_alternatives_named", "critical_findings", "indeterminate",
]  # fmt: skip


class FeedbackRequest(msgspec.Struct, frozen=True):
    """A piece of work to be reviewed: who reviews whose work, and what it has to meet."""

    reviewer_agent: str
    subject_agent: str
    task_context: str
    contribution_summary: str
    contribution_artifact: str
    feedback_id: str | None = None
    framework: str | None = None
    success_criteria: tuple[str, ...] = ()
    style: Style = "balanced"
    max_items_per_category: Annotated[int, msgspec.Meta(ge=1, le=10)] = 4
    metadata: dict[str, Any] = {}


class SpecificityAudit(msgspec.Struct, frozen=True):
    """Items that quote the work and name something, beside those that would fit any work."""

    specific_plus_count: Count = 0
    generic_plus_count: Count = 0
    specific_delta_count: Count = 0
    generic_delta_count: Count = 0
    specificity_estimate: Share = 0.5
    explanation: str = ""


class BehavioralAudit(msgspec.Struct, frozen=True):
    """Items that tell behaviour, beside those with phrases that tell nothing."""

    behavioral_count: Count = 0
    generic_count: Count = 0
    behavioral_estimate: Share = 0.5
    generic_phrases_detected: tuple[str, ...] = ()
    explanation: str = ""


class PlusDeltaFeedback(Detection, frozen=True):
    """The feedback, and how good it is."""

    reviewer_agent: str
    subject_agent: str
    task_context: str
    contribution_summary: str
    overall_assessment: Assessment
    feedback_quality_score: Share
    feedback_id: str | None = None
    plus_items: tuple[PlusItem, ...] = ()
    delta_items: tuple[DeltaItem, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    specificity_audit: SpecificityAudit | None = None
    behavioral_audit: BehavioralAudit | None = None
    interventions: tuple[FeedbackChange, ...] = ()
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[PlusDeltaPlaybook, ...] = ()


NEEDED = ("reviewer_agent", "subject_agent", "contribution_artifact")


def from_trace(canonical: CanonicalTrace) -> FeedbackRequest:
    """A run does not say whose work is reviewed by whom: ``metadata`` must, in the contract's words.

    Goal and outcome stand in for ``task_context`` and ``contribution_summary`` where metadata has none.
    """
    optional = ("task_context", "contribution_summary", "feedback_id", "success_criteria", "style")
    told = signs.carried(canonical.metadata, FeedbackRequest, *NEEDED, *optional, "max_items_per_category")
    lacking = [name for name in NEEDED if not str(told.get(name, "")).strip()]
    if lacking:
        raise TraceNotReadable(f"plus_delta reviews one piece of work: give metadata {', '.join(lacking)}")
    told = {"task_context": canonical.goal, "contribution_summary": canonical.outcome, **told}
    return FeedbackRequest(**told, framework=canonical.framework, metadata=canonical.metadata)


def read(trace: FeedbackRequest) -> Reading:
    """What it is about; then the work as step 0, its summary as step 1, and the criteria of success."""
    facts = [("task", trace.task_context), ("reviewer", trace.reviewer_agent), ("author", trace.subject_agent)]
    facts += [("style", trace.style), *([("framework", trace.framework)] if trace.framework else [])]
    steps = [Step(trace.subject_agent, "work", trace.contribution_artifact)]
    steps.append(Step(trace.subject_agent, "summary", trace.contribution_summary))
    steps += (Step("task", "criterion", criterion) for criterion in trace.success_criteria)
    return Reading(tuple(facts), tuple(steps))


def signals(trace: FeedbackRequest, reading: Reading) -> tuple[Signal, ...]:
    """What the rules see in the work; a signal is named after what it makes an item of."""
    return signs.strongest(rules.found(reading, range(2, len(reading.steps))))


class Review(msgspec.Struct, frozen=True):
    """The feedback before it is judged, with its evidence."""

    plus: tuple[PlusItem, ...]
    delta: tuple[DeltaItem, ...]
    commitments: tuple[Commitment, ...]
    assessment: Assessment
    quality: float
    evidence: tuple[Evidence, ...]

    @property
    def items(self) -> tuple[PlusItem | DeltaItem, ...]:
        """Both sides."""
        return (*self.plus, *self.delta)


GRAVITY: tuple[Assessment, ...] = ("keep-going", "iterate", "rework")


def assessed(delta: Sequence[DeltaItem]) -> Assessment:
    """The gravest delta decides."""
    grave = {item.severity for item in delta}
    return "rework" if "critical" in grave else "iterate" if "moderate" in grave else "keep-going"


def profile_of(review: Review, style: Style) -> Profile:
    """The contract's rules; the first that holds."""
    plus, delta = len(review.plus), len(review.delta)
    bare = sum(not item.evidence.strip() for item in review.items)
    if review.quality < 0.4:
        return "generic_noise"
    if bare >= max(1, (plus + delta) // 2):
        return "no_evidence_cited"
    if delta and not any(item.alternative.strip() for item in review.delta):
        return "no_alternatives_named"
    if review.assessment == "rework" and any(item.severity == "critical" for item in review.delta):
        return "critical_findings"
    if style == "plus-leaning" and plus > 2 * max(1, delta):
        return "plus_heavy_morale"
    if style == "delta-leaning" and delta > 2 * max(1, plus):
        return "delta_heavy_rework"
    sound = review.quality >= 0.7 and plus and (delta or review.assessment == "keep-going")
    return "balanced_specific" if sound else "indeterminate"


GRAVEST: tuple[Weight, ...] = ("critical", "moderate", "nit")


def assess_offline(case: Case[FeedbackRequest]) -> PlusDeltaFeedback:
    """From the signals alone: what a reader can see in the words of the work."""
    plus, delta = [], []
    for one in sorted(case.signals, key=lambda one: -one.weight):
        note = NOTES[one.name]
        if note.severity is None:
            plus.append(PlusItem(one.claim, one.quote, note.impact, note.todo))
        else:
            delta.append(DeltaItem(one.claim, one.quote, note.impact, note.todo, note.severity))
    delta.sort(key=lambda item: GRAVEST.index(item.severity))
    most = case.trace.max_items_per_category
    plus, delta = plus[:most], delta[:most]
    todo = dict.fromkeys(item.alternative for item in delta if item.severity != "nit")
    promised = tuple(Commitment(case.trace.subject_agent, one) for one in todo)
    # The contract's 0.5 where nothing can be said; quoted items, and both sides seen, are worth more.
    said = len(plus) + len(delta)
    quality = 0.5 if not said else round(0.6 + 0.1 * min(3, said) + (0.05 if plus and delta else 0.0), 2)
    shown = {*((i.statement, i.evidence) for i in plus), *((i.statement, i.evidence) for i in delta)}
    proofs = signs.proofs(case, [one for one in case.signals if (one.claim, one.quote) in shown])
    review = Review(tuple(plus), tuple(delta), promised, assessed(delta), quality, proofs)
    return _feedback(case, review, (), signs.confidence(case.signals, len(case.reading.steps)))


def conclude(case: Case[FeedbackRequest], answers: Answers) -> PlusDeltaFeedback:
    """The model's review; an item whose quotations do not stand stays, without evidence, and counts as such."""
    given: passes.ItemsAnswer = answers["items"]
    items, against = passes.disputed(case, answers)
    stands = [case.ground(item.evidence) for item in items]
    quoted = [(item, own[0].quote if own else "") for item, own in zip(items, stands, strict=True)]
    plus = tuple(
        PlusItem(o.statement, quote, o.impact, o.keep_doing) for o, quote in quoted if isinstance(o, passes.PlusFinding)
    )
    delta = tuple(
        DeltaItem(o.statement, quote, o.impact, o.alternative, o.severity)
        for o, quote in quoted
        if isinstance(o, passes.DeltaFinding)
    )
    promised = tuple(one for one in given.commitments if one.by_agent.strip() and one.commitment.strip())
    evidence = signs.each_once([*(proof for own in stands for proof in own), *against])
    # What the work has answered can no longer call for more than the items that are left.
    verdict = min(given.overall_assessment, assessed(delta), key=GRAVITY.index) if against else given.overall_assessment
    review = Review(plus, delta, promised, verdict, given.feedback_quality_score, evidence)
    proposed = answers["changes"].interventions if "changes" in answers else ()
    return _feedback(case, review, proposed, round(min(0.9, 0.4 + 0.1 * len(evidence)), 2))


def phrases(review: Review) -> tuple[str, ...]:
    """Phrases of the feedback that would fit any work, each once."""
    told = (f"{item.statement} {item.impact}" for item in review.items)
    return tuple(dict.fromkeys(match.group().lower() for text in told for match in rules.GENERIC.finditer(text)))


def generic(item: PlusItem | DeltaItem) -> bool:
    """Whether an item says what would fit any work."""
    return rules.GENERIC.search(item.statement) is not None


def weaknesses(review: Review, style: Style) -> Iterator[str]:
    """The failure modes of the feedback itself."""
    plus, delta = review.plus, review.delta
    bare = sum(not item.evidence.strip() for item in review.items)
    critical = any(item.severity == "critical" for item in delta)
    profile = profile_of(review, style)
    shows = {
        "no_alternative": any(not item.alternative.strip() for item in delta),
        "generic_critique": any(generic(item) for item in delta),
        "generic_affirmation": any(generic(item) for item in plus),
        "no_evidence": any(not item.evidence.strip() for item in plus),
        "no_keep_doing": any(not item.keep_doing.strip() for item in plus),
        "severity_uncalibrated": review.assessment == "rework" and not critical,
        "severity_overdrawn": review.assessment == "keep-going" and critical,
        "style_misaligned": profile in ("plus_heavy_morale", "delta_heavy_rework"),
        "rework_recommendation_lacks_alternatives": review.assessment == "rework"
        and (not delta or any(not item.alternative.strip() for item in delta)),
        "no_commitments": not review.commitments and any(item.severity != "nit" for item in delta),
        "generic_phrase_inventory": len(phrases(review)) >= 2,
        "low_evidence_density": bare > 0 and 2 * bare >= len(plus) + len(delta),
    }
    return (mode for mode, found in shows.items() if found)


def changes(review: Review, style: Style) -> Iterator[FeedbackChange]:
    """What the weaknesses of the feedback call for."""
    return (texts.ADVICE[mode].change(FeedbackChange, "medium") for mode in weaknesses(review, style))


def _feedback(
    case: Case[FeedbackRequest], review: Review, proposed: Iterable[FeedbackChange], confidence: float
) -> PlusDeltaFeedback:
    trace, profile = case.trace, profile_of(review, case.trace.style)
    interventions = signs.adopted((*changes(review, trace.style), *proposed), texts.COMPOSITION, profile)
    payload = {"overall_assessment": review.assessment, "deltas": [item.statement for item in review.delta]}
    return PlusDeltaFeedback(
        trace.reviewer_agent, trace.subject_agent, trace.task_context, trace.contribution_summary,
        review.assessment, review.quality, trace.feedback_id, review.plus, review.delta, review.commitments,
        # Not rounded: the contract's bands of quality are those of 1 - quality as a float has it.
        banded(1 - review.quality, signs.BANDS), profile,
        **(audits_of(review) if case.mode == "forensic" else {}),
        interventions=interventions,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=review.evidence, confidence=confidence,
    )  # fmt: skip


def audits_of(review: Review) -> dict[str, Any]:
    """Both audits, counted from the items."""
    items, told = review.items, phrases(review)
    said = [bool(item.evidence.strip()) and not generic(item) for item in items]
    good, bad = said[: len(review.plus)], said[len(review.plus) :]
    specific, behaviour = sum(good) + sum(bad), sum(not generic(item) for item in items)
    counts = (sum(good), len(good) - sum(good), sum(bad), len(bad) - sum(bad))
    share, rate = ((n / len(items) if items else 0.5) for n in (specific, behaviour))
    return {
        "specificity_audit": SpecificityAudit(
            *counts, round(share, 4), f"{specific} of {len(items)} items quote the work and name something."
        ),
        "behavioral_audit": BehavioralAudit(
            behaviour, len(items) - behaviour, round(rate, 4), told, f"{len(told)} phrases would fit any work."
        ),
    }


PATTERN = Pattern(
    name="plus_delta", number=23, friendly="Plus/Delta Feedback", group="Module 2 / Team",
    summary="Reviews a piece of work: what to keep, what to do differently, and whether the feedback is any good.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=FeedbackRequest, detection=PlusDeltaFeedback,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("contribution_artifact", "reviewer_agent", "subject_agent", "task_context"))  # fmt: skip
