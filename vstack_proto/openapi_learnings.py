"""What the OpenAPI document says of learnings and analytics: shapes, operations, and examples of them."""

from __future__ import annotations

from typing import Any

import msgspec

from vstack_proto.learning import (
    MAX_RECALLED,
    MAX_WORD_CHARS,
    Finding,
    LearningRecord,
    Outcome,
    OutcomeAggregate,
    OutcomeCount,
    OutcomeReport,
    aggregate,
    kept,
)
from vstack_proto.patterns.common import Amount, Count
from vstack_proto.telemetry import GROUPINGS, AnalyticsRow, Grouping, analytics_page

Part = dict[str, Any]


class LearningList(msgspec.Struct, frozen=True):
    """Learnings, the newest first."""

    count: Count
    learnings: tuple[LearningRecord, ...]


class OutcomeList(msgspec.Struct, frozen=True):
    """How often what helped, the surest help first; ``confidence`` is that of the intervals."""

    count: Count
    confidence: float
    outcomes: tuple[OutcomeAggregate, ...]


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Model calls, the analyses that were made, and what they took."""

    calls: Count
    analyses: Count
    input_tokens: Count
    output_tokens: Count
    total_tokens: Count
    elapsed_ms: Amount
    estimated_cost_usd: Amount


class SumsRow(Sums, frozen=True, kw_only=True):
    """The sums of one pattern, model or day (UTC): whichever the rows are by."""

    pattern: str | msgspec.UnsetType = msgspec.UNSET
    model: str | msgspec.UnsetType = msgspec.UNSET
    day: str | msgspec.UnsetType = msgspec.UNSET


class Analytics(msgspec.Struct, frozen=True):
    """What the caller's analyses have cost: the dearest first, days in their order."""

    by: Grouping
    rows: tuple[SumsRow, ...]
    total: Sums


OWN: tuple[type[msgspec.Struct], ...] = (
    Finding,
    LearningRecord,
    OutcomeReport,
    OutcomeAggregate,
    LearningList,
    OutcomeList,
    Analytics,
)

_FINDING = Finding(
    pattern="lewin",
    agent_id="planner",
    severity="high",
    interventions_applied=("tool_upgrade",),
    notes="The search tool timed out; a retry was added.",
)
_RECORD = kept(_FINDING, "lrn_0123456789abcdef01234567", 1_772_355_600.0)
_COUNT = OutcomeCount(pattern="lewin", intervention="tool_upgrade", runs=9, improved=6, no_change=1, worse=1, unknown=1)
_ROW = AnalyticsRow(
    key="lewin",
    calls=4,
    analyses=2,
    input_tokens=9_000,
    output_tokens=1_200,
    total_tokens=10_200,
    elapsed_ms=8_100.5,
    estimated_cost_usd=0.045,
)
_OUTCOME: Outcome = "improved"
_REPORT = OutcomeReport(outcome=_OUTCOME, notes="No time-out in the next five runs.")

HELPED: Part = {
    "type": "array",
    "items": {"$ref": "#/components/schemas/OutcomeAggregate"},
    "description": "What was done about this pattern (and this agent, where the trace names one) in the caller's own "
    "learnings, and whether it helped: the surest first, ten at most. Absent where there is no record.",
}


def _query(name: str, description: str, schema: Part) -> Part:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _words(*names: str) -> list[Part]:
    return [
        _query(name, "Only those with this value.", {"type": "string", "maxLength": MAX_WORD_CHARS}) for name in names
    ]


_MOMENT: Part = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
_CHOICE = _words("pattern", "agent_id", "crew_id")
_LIMIT = _query("limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": MAX_RECALLED, "default": 25})
_SPAN = [_query("since", "From this moment on.", _MOMENT), _query("until", "Before this moment.", _MOMENT)]
_BY = _query("by", "What makes a row.", {"enum": list(GROUPINGS), "default": "pattern"})

LEARNING_ID: Part = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The `id` of a learning.",
    "schema": {"type": "string", "maxLength": MAX_WORD_CHARS},
}

# By endpoint: what is sent (a Struct and an example), what comes back (a Struct, an example, a status), the parameters.
OPERATIONS: dict[str, tuple[tuple[type[Any], Any] | None, tuple[type[Any], Any, str], list[Part]]] = {
    "learnings": (None, (LearningList, {"count": 1, "learnings": [_RECORD]}, "200"), [*_CHOICE, _LIMIT]),
    "record_learning": ((Finding, _FINDING), (LearningRecord, _RECORD, "201"), []),
    "report_outcome": ((OutcomeReport, _REPORT), (LearningRecord, _RECORD, "200"), []),
    "outcomes": (
        None,
        (OutcomeList, {"count": 1, "confidence": 0.95, "outcomes": [aggregate(_COUNT)]}, "200"),
        _CHOICE,
    ),
    "analytics": (None, (Analytics, analytics_page("pattern", [_ROW]), "200"), [_BY, *_SPAN]),
}
