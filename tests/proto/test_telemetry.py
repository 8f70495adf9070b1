"""Telemetry: the sums that follow from events."""

from __future__ import annotations

import pytest

from vstack_proto.telemetry import ANALYSIS, AnalyticsQuery, AnalyticsRow, TelemetryEvent, day_of, summarize, total

DAY = 86_400.0
NOON = 1_750_032_000.0
EVENTS = (
    TelemetryEvent(pattern="lewin", model="m", input_tokens=10, output_tokens=2, total_tokens=12, timestamp=NOON),
    TelemetryEvent(pattern="aar", model="m", total_tokens=5, elapsed_ms=1.5, cost_usd=0.25, timestamp=NOON + DAY),
    TelemetryEvent(pattern="aar", event_type=ANALYSIS, total_tokens=5, cost_usd=0.25, timestamp=NOON + DAY),
    TelemetryEvent(scope="alice", timestamp=NOON + DAY),
)


def test_calls_and_analyses_are_counted_apart() -> None:
    told = {row.key: row for row in summarize(EVENTS, AnalyticsQuery())}
    assert list(told) == ["", "aar", "lewin"]
    assert told["aar"] == AnalyticsRow(
        key="aar", calls=1, analyses=1, total_tokens=5, elapsed_ms=1.5, estimated_cost_usd=0.25
    )
    assert told["lewin"] == AnalyticsRow(key="lewin", calls=1, input_tokens=10, output_tokens=2, total_tokens=12)


def test_rows_by_model_and_by_day() -> None:
    assert [row.key for row in summarize(EVENTS, AnalyticsQuery(by="model"))] == ["", "m"]
    assert [row.key for row in summarize(EVENTS, AnalyticsQuery(by="day"))] == ["2025-06-16", "2025-06-17"]


@pytest.mark.parametrize(
    ("query", "calls"),
    [
        (AnalyticsQuery(), 3),
        (AnalyticsQuery(scope=""), 2),
        (AnalyticsQuery(scope="alice"), 1),
        (AnalyticsQuery(since=NOON + DAY), 2),
        (AnalyticsQuery(until=NOON + DAY), 1),
        (AnalyticsQuery(pattern="aar"), 1),
        (AnalyticsQuery(pattern=""), 1),
    ],
)
def test_a_query_chooses(query: AnalyticsQuery, calls: int) -> None:
    assert total(summarize(EVENTS, query)).calls == calls


def test_the_total_of_nothing_is_nothing() -> None:
    assert total(()) == AnalyticsRow(key="total")


@pytest.mark.parametrize("moment", [1e300, float("nan"), float("inf")])
def test_a_moment_that_no_calendar_has_has_no_day(moment: float) -> None:
    assert day_of(moment) == ""
