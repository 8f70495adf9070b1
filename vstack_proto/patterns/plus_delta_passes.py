"""Plus/delta: the model calls of the three modes, what each asks and the answer it must give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import (
    Answer,
    Answers,
    Case,
    Count,
    Evidence,
    Mode,
    Pass,
    Share,
)
from vstack_proto.patterns.plus_delta_texts import (
    Commitment,
    Dimension,
    Kind,
    Weight,
)

ASK_ITEMS = """\
Review the work. Give plus_items and delta_items, at most {most} of each, the weightiest first; style: {style}. Each \
item carries evidence: words quoted from the step that shows it. Go through every criterion of success: met is a \
plus, missed or untested a delta. Then commitments (who does what, so that one can tell whether it was done; \
{subject} for changes, {reviewer} for help and review), the overall_assessment (keep-going: nothing stands in the \
way; iterate: changes first; rework: a critical finding, start over in part), and feedback_quality_score: how \
specific, evidenced and usable this feedback is, from 0 to 1. A quotation that does not stand leaves its item \
without evidence."""
ASK_AGAIN = """\
Read the work a second time, against the first review: {told}. List as plus_items and delta_items only what it \
missed, each with a quotation: criteria that no item takes up, claims of the summary that the work does not bear \
out, failure paths, edge cases, what a user would notice first. Empty lists are a fine answer; repeat nothing."""
ASK_DISPUTES = """\
Now speak for whoever did the work. These are the items of the review: {told}. Which of them does the work itself \
answer? List those alone, by number, each with a reason and the words of the work that answer it:
- wrong: the work says or does otherwise, the criterion is met (or, for a plus, missed) after all, or the item asks \
for what nobody set as a task;
- overdrawn: it is there, and costs less than the item says (or, for a plus, helps less).
That it could be done otherwise is no answer, and neither is effort or intent. An empty list is a fine answer."""
ASK_INTERVENTIONS = """\
Now look at the feedback and not at the work: {told}. Propose at most four changes to how this feedback is given, \
none where it is sound. Kinds: tighten_specificity (generic words), require_evidence, require_alternative, \
balance_style (it leans away from what the work calls for), escalate_severity or deescalate_severity (gravity does \
not fit the impact), add_commitment, new_eval, human_review, compose_pattern. Say what to write or measure."""


class PlusFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to keep."""

    statement: str
    impact: str
    keep_doing: str
    evidence: tuple[Evidence, ...]


class DeltaFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do differently."""

    statement: str
    impact: str
    alternative: str
    severity: Weight
    evidence: tuple[Evidence, ...]


Assessment = Literal["keep-going", "iterate", "rework"]


class FeedbackChange(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change to how feedback is given; what a model proposes has the same shape."""

    target_dimension: Dimension
    intervention_type: Kind


class AgainAnswer(Answer, frozen=True):
    """Items of the second reading."""

    plus_items: tuple[PlusFinding, ...]
    delta_items: tuple[DeltaFinding, ...]


class ItemsAnswer(AgainAnswer, frozen=True):
    """The review."""

    commitments: tuple[Commitment, ...]
    overall_assessment: Assessment
    feedback_quality_score: Share


class ChangesAnswer(Answer, frozen=True):
    """What to change in how feedback is given."""

    interventions: tuple[FeedbackChange, ...]


def ask_items(case: Case[Any], answers: Answers) -> str:
    """The task, with what the request asks for."""
    trace = case.trace
    told = {"subject": trace.subject_agent, "reviewer": trace.reviewer_agent, "style": trace.style}
    return ASK_ITEMS.format(most=trace.max_items_per_category, **told)


class Dispute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the work itself answers to one item of its review, by the item's number."""

    item: Count
    verdict: Literal["wrong", "overdrawn"]
    reason: str
    evidence: tuple[Evidence, ...]


class DisputesAnswer(Answer, frozen=True):
    """Items that the work answers."""

    disputes: tuple[Dispute, ...]


Items = list[PlusFinding | DeltaFinding]
LIGHTER: dict[Weight, Weight] = {"critical": "moderate", "moderate": "nit"}


def _once(found: Iterable[Any]) -> list[Any]:
    """Items with something to say, each statement once."""
    kept: dict[str, Any] = {}
    for item in found:
        if item.statement.strip():
            kept.setdefault(item.statement.strip().lower(), item)
    return list(kept.values())


def items_of(case: Case[Any], answers: Answers) -> Items:
    """The items of both readings in their order, pluses first, as many of each as were asked for."""
    readings: list[AgainAnswer] = [answers[name] for name in ("items", "again") if name in answers]
    most = case.trace.max_items_per_category
    pluses = _once(item for one in readings for item in one.plus_items)[:most]
    return [*pluses, *_once(item for one in readings for item in one.delta_items)[:most]]


def disputed(case: Case[Any], answers: Answers) -> tuple[Items, tuple[Evidence, ...]]:
    """The items as the work leaves them, and the words of the work that answer some.

    What it proves wrong is struck; what it proves overdrawn weighs less: a lighter delta, and no plus or nit at all.
    """
    items, against = items_of(case, answers), list[Evidence]()
    left: dict[int, PlusFinding | DeltaFinding] = dict(enumerate(items))
    for one in answers["disputes"].disputes if "disputes" in answers else ():
        own, stands = left.get(one.item), case.ground(one.evidence)
        if own is None or not stands:
            continue
        against += stands
        lighter = LIGHTER.get(own.severity) if isinstance(own, DeltaFinding) and one.verdict == "overdrawn" else None
        if lighter is None:
            del left[one.item]
        else:
            left[one.item] = msgspec.structs.replace(own, severity=lighter)
    return list(left.values()), tuple(against)


def so_far(case: Case[Any], answers: Answers) -> str:
    """The review so far, for an instruction; items have the numbers that a dispute names."""
    kinds = (
        (f"delta, {one.severity}" if isinstance(one, DeltaFinding) else "plus", one) for one in told_of(case, answers)
    )
    told = "; ".join(f"{number} ({kind}): {one.statement}" for number, (kind, one) in enumerate(kinds))
    return f"{answers['items'].overall_assessment}; {told or 'no items'}"


def told_of(case: Case[Any], answers: Answers) -> Items:
    """The items between two passes; quotations are counted in the conclusion and not here."""
    return disputed(case.aside(), answers)[0]


def has_items(case: Case[Any], answers: Answers) -> bool:
    """Without an item there is nothing to speak against."""
    return bool(told_of(case, answers))


ITEMS = Pass("items", ItemsAnswer, ask_items)
CHANGES = Pass("changes", ChangesAnswer, lambda case, answers: ASK_INTERVENTIONS.format(told=so_far(case, answers)))
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (ITEMS,),
    "standard": (ITEMS, CHANGES),
    "forensic": (
        ITEMS,
        Pass("again", AgainAnswer, lambda case, answers: ASK_AGAIN.format(told=so_far(case, answers))),
        Pass(
            "disputes", DisputesAnswer, lambda case, answers: ASK_DISPUTES.format(told=so_far(case, answers)), has_items
        ),
        CHANGES,
    ),
}
