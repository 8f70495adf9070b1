"""Structs that the traces, answers and detections of several patterns are made of.

Their fields take keywords only: a pattern's own fields, which say what the shape is about, come first in its JSON.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from vstack_proto.patterns.common import Effort, Evidence, Level, Risk, Share
from vstack_proto.trace import utc

Moment = Annotated[dt.datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A moment with or without an offset; msgspec would tell clients that it must have one."""


class Dated(msgspec.Struct, frozen=True):
    """A part of a trace with a ``timestamp``, which is kept in UTC; without an offset it is UTC already.

    Equal moments must encode equally: the cache key is made of the decoded trace.
    """

    def __post_init__(self) -> None:
        moment: dt.datetime | None = getattr(self, "timestamp", None)
        if moment is not None:
            msgspec.structs.force_setattr(self, "timestamp", utc(moment))


class Proposal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every intervention tells besides its target and type; a model proposes in the same shape."""

    description: str
    suggested_implementation: str
    estimated_impact: Level = "medium"
    rationale: str = ""
    effort_estimate: Effort = "1d"
    risk: Risk = "medium"


class Change(Proposal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A proposal, with the pattern that carries it out, if one does."""

    composition_target_pattern: str | None = None


class Plan(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change, with what must hold before it, whether it can be taken back, and what will show that it worked."""

    reversibility: Literal["one-way-door", "two-way-door"] = "two-way-door"
    preconditions: tuple[str, ...] = ()
    success_metric: str = ""


class Reversible(Proposal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same as a plan; some patterns have always told first whether it can be taken back, and keep their order."""

    reversibility: Literal["one-way-door", "two-way-door"] = "two-way-door"
    composition_target_pattern: str | None = None
    preconditions: tuple[str, ...] = ()
    success_metric: str = ""


class Scored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model finds of the label that the pattern's own first field names."""

    score: Share
    explanation: str
    evidence: tuple[Evidence, ...]


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about one failure mode of the label that the pattern's own first field names."""

    failure_mode: str
    title: str
    steps: tuple[str, ...]
    expected_effort: Effort
    anchor_citation: str = ""


B = TypeVar("B", bound=Playbook)


def playbooks(kind: type[B], rows: Iterable[tuple[str, str, str, tuple[str, ...], Effort, str]]) -> tuple[B, ...]:
    """The playbooks of a pattern: of each label, failure mode, title, steps, effort and the work it stands on."""
    told: Iterable[dict[str, Any]] = (dict(zip(kind.__struct_fields__, row, strict=True)) for row in rows)
    return tuple(kind(**one) for one in told)
