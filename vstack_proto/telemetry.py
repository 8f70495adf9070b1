"""What analyses cost and what they found, event by event, and the sums that people ask for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

Grouping = Literal["pattern", "model", "day"]
GROUPINGS: tuple[Grouping, ...] = ("pattern", "model", "day")

LLM_CALL = "llm_call"
"""The event of one model call."""
ANALYSIS = "analysis"
"""The event of one analysis that was really made: neither a cached answer nor a shared one."""

MAX_EVENTS_READ = 10_000


class TelemetryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One model call, or one analysis.

    Attributes:
        event_type: ``llm_call`` or ``analysis``; a file of an earlier version may hold others.
        pattern, run_id, model: Of the analysis; ``model`` is the one that answered.
        input_tokens, output_tokens, total_tokens: Of this call; those of an analysis are the sums of its calls.
        elapsed_ms: How long it took.
        extra: Such as ``pass``, ``mode``, ``status``, ``severity``.
        timestamp: Seconds since 1970.
        cost_usd: What it cost by the list of prices; None where that was not told.
        scope: Name of the caller's key, or empty: whose event it is.
    """

    event_type: str = LLM_CALL
    pattern: str | None = None
    run_id: str | None = None
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    elapsed_ms: float = 0.0
    extra: dict[str, Any] = {}
    timestamp: float = 0.0
    cost_usd: float | None = None
    scope: str = ""


class AnalyticsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which events, and how to sum them up.

    Attributes:
        by: What makes a row.
        scope: Whose events; None for everybody's, which is for the operator alone.
        since, until: Seconds since 1970, the first within and the last without.
        pattern: Only events of this pattern (empty: of none); None for any.
    """

    by: Grouping = "pattern"
    scope: str | None = None
    since: float = 0.0
    until: float | None = None
    pattern: str | None = None

    def fits(self, event: TelemetryEvent) -> bool:
        """Whether an event is one of these."""
        return (
            self.scope in (None, event.scope)
            and event.timestamp >= self.since
            and (self.until is None or event.timestamp < self.until)
            and self.pattern in (None, event.pattern or "")
        )


class AnalyticsRow(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """The sums of one pattern, model or day (``2026-03-01``, UTC).

    Attributes:
        key: The pattern, model or day; empty where an event names none.
        calls: Model calls.
        analyses: Analyses that were made.
        input_tokens, output_tokens, total_tokens: Of the calls.
        elapsed_ms: Of the calls, end to end.
        estimated_cost_usd: Of the calls.
    """

    key: str
    calls: int = 0
    analyses: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    elapsed_ms: float = 0.0
    estimated_cost_usd: float = 0.0


def day_of(moment: float) -> str:
    """The day of a moment (seconds since 1970), in UTC; empty for one that no calendar has."""
    try:
        return f"{dt.datetime.fromtimestamp(moment, dt.UTC):%Y-%m-%d}"
    except (OverflowError, ValueError, OSError):
        return ""


def key_of(event: TelemetryEvent, by: Grouping) -> str:
    """The row to which an event belongs."""
    if by == "day":
        return day_of(event.timestamp)
    return (event.pattern if by == "pattern" else event.model) or ""


def summarize(events: Iterable[TelemetryEvent], query: AnalyticsQuery) -> tuple[AnalyticsRow, ...]:
    """The rows of some events, by key; for a store that cannot sum up by itself."""
    rows: dict[str, AnalyticsRow] = {}
    for event in events:
        if not query.fits(event):
            continue
        key = key_of(event, query.by)
        rows[key] = _with(rows.get(key, AnalyticsRow(key=key)), event)
    return tuple(rows[key] for key in sorted(rows))


def _with(row: AnalyticsRow, event: TelemetryEvent) -> AnalyticsRow:
    if event.event_type == ANALYSIS:
        return msgspec.structs.replace(row, analyses=row.analyses + 1)
    return AnalyticsRow(
        key=row.key,
        calls=row.calls + 1,
        analyses=row.analyses,
        input_tokens=row.input_tokens + event.input_tokens,
        output_tokens=row.output_tokens + event.output_tokens,
        total_tokens=row.total_tokens + event.total_tokens,
        elapsed_ms=row.elapsed_ms + event.elapsed_ms,
        estimated_cost_usd=row.estimated_cost_usd + (event.cost_usd or 0.0),
    )


def total(rows: Iterable[AnalyticsRow]) -> AnalyticsRow:
    """All rows as one, whose key is ``total``."""
    told = tuple(rows)
    return AnalyticsRow(
        key="total",
        **{name: sum(getattr(row, name) for row in told) for name in AnalyticsRow.__struct_fields__ if name != "key"},
    )


def analytics_page(by: Grouping, rows: Iterable[AnalyticsRow]) -> dict[str, object]:
    """Sums as they are shown: what makes a row is called by its name, and the dearest row comes first."""
    told = tuple(rows)
    by_cost = sorted(told, key=lambda row: (-row.estimated_cost_usd, -row.calls, -row.analyses, row.key))
    listed = sorted(told) if by == "day" else by_cost
    return {"by": by, "rows": [_named(by, row) for row in listed], "total": _named("", total(told))}


def _named(by: str, row: AnalyticsRow) -> dict[str, object]:
    fields = msgspec.structs.asdict(row)
    key = fields.pop("key")
    fields["elapsed_ms"] = round(row.elapsed_ms, 3)
    fields["estimated_cost_usd"] = round(row.estimated_cost_usd, 6)
    return {by: key, **fields} if by else fields
