"""Findings put to the test: what speaks against them, what became of what was said, what words did to others."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from vstack_proto.patterns.common import Case, Count, Evidence, Share
from vstack_proto.patterns.signs import Judged

K = TypeVar("K", bound=str)


class Fate(msgspec.Struct, Generic[K], frozen=True, forbid_unknown_fields=True):
    """What became of something that was said: the words that raised it and, where there are any, those that met it."""

    kind: K
    step: Count
    quote: str
    met_step: Count | None = None
    met_quote: str = ""


def followed(case: Case[Any], told: Iterable[Fate[K]], met: Container[str]) -> tuple[tuple[K, int, str], ...]:
    """The fates that stand, each once: kind, step and the words that raised it.

    Args:
        case: Where quotations are looked up and counted.
        told: Without a quotation that stands they are left out.
        met: Kinds that say that it was met: they need words that met it, too, in a later step.
    """
    kept = dict[tuple[K, int, str], None]()
    for one in told:
        raised = case.quoted(one.quote, (one.step,))
        late = one.met_step is not None and one.met_step > one.step
        meeting = case.quoted(one.met_quote, (one.met_step,)) if late and one.met_step is not None else None
        if raised and (one.kind not in met or meeting):
            kept[one.kind, raised[1][0], raised[0]] = None
    return tuple(kept)


class Objection(msgspec.Struct, Generic[K], frozen=True, forbid_unknown_fields=True):
    """What speaks against the score of one label, and how much of the score is left."""

    label: K
    score: Share
    reason: str
    evidence: tuple[Evidence, ...]


def contested(
    case: Case[Any], told: Mapping[str, Judged], objections: Iterable[Objection[Any]]
) -> tuple[dict[str, Judged], tuple[Evidence, ...]]:
    """Findings after somebody has spoken against them: an objection that stands lowers a score, and never raises one.

    Args:
        case: Where quotations are looked up and counted.
        told: What was found of each label.
        objections: Without a quotation that stands they change nothing.

    Returns:
        The findings, each lowered one with the reason behind its explanation; and the evidence of those objections.
    """
    left, against = dict(told), list[Evidence]()
    for one in objections:
        own, stands = left[one.label], case.ground(one.evidence)
        if stands and one.score < own.score:
            said = f"{own.explanation} Against it: {one.reason.strip()}".strip()
            left[one.label] = msgspec.structs.replace(own, score=one.score, explanation=said)
            against += stands
    return left, tuple(against)


def borne(scores: Mapping[str, float], kinds: Sequence[str], shown_by: Mapping[str, str]) -> dict[str, float]:
    """Half of a score is in the words and half in what they did; where no doing is listed, the words stand alone.

    Args:
        scores: By label.
        kinds: What was done, one for each time.
        shown_by: Which of the kinds shows a label; a label that none shows keeps its score.
    """
    if not kinds:
        return dict(scores)
    shares = {label: kinds.count(shown) / len(kinds) for label, shown in shown_by.items()}
    return {label: round(score * (1 + shares.get(label, 1.0)) / 2, 4) for label, score in scores.items()}
