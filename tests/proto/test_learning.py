"""Learnings: what follows from records, against numbers worked out elsewhere."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.learning import (
    Finding,
    LearningQuery,
    LearningRecord,
    OutcomeCount,
    OutcomeReport,
    aggregate,
    count_outcomes,
    kept,
    learning_id,
    ranked,
    wilson,
    with_outcome,
)


def record(name: str, **fields: Any) -> LearningRecord:
    return kept(Finding(**({"pattern": "lewin"} | fields)), name, 1_750_000_000.5)


# Newcombe 1998 (Statistics in Medicine 17, table I, method 3) gives the first three to four places.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_the_interval_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_the_interval_holds_the_rate_and_stays_within_bounds(case: tuple[int, int]) -> None:
    successes, trials = case
    low, high = wilson(successes, trials)
    assert 0.0 <= low <= successes / trials <= high <= 1.0
    mirrored = wilson(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_the_rate_leaves_out_what_is_not_known() -> None:
    told = aggregate(OutcomeCount(pattern="p", intervention="i", runs=9, improved=2, no_change=1, worse=1, unknown=3))
    assert (told.improvement_rate, told.interval) == (0.5, (0.15, 0.85))
    nothing = aggregate(OutcomeCount(pattern="p", intervention="i", runs=3, unknown=3))
    assert (nothing.improvement_rate, nothing.interval) == (0.0, (0.0, 1.0))


def test_one_lucky_run_does_not_lead() -> None:
    lucky = OutcomeCount(pattern="p", intervention="lucky", runs=1, improved=1)
    proven = OutcomeCount(pattern="p", intervention="proven", runs=20, improved=17, worse=3)
    untried = OutcomeCount(pattern="p", intervention="untried", runs=4)
    assert [one.intervention for one in ranked([untried, lucky, proven])] == ["proven", "lucky", "untried"]


def test_counts_are_by_pattern_and_intervention() -> None:
    told = count_outcomes(
        [
            record("1", interventions_applied=("b", "a", "b"), follow_up_outcome="improved"),
            record("2", interventions_applied=("b",), follow_up_outcome="unknown"),
            record("3", interventions_applied=("b",)),
            record("4", pattern="aar", interventions_applied=("b",), follow_up_outcome="worse"),
            record("5"),
        ]
    )
    assert told == (
        OutcomeCount(pattern="aar", intervention="b", runs=1, worse=1),
        OutcomeCount(pattern="lewin", intervention="a", runs=1, improved=1),
        OutcomeCount(pattern="lewin", intervention="b", runs=3, improved=1, unknown=1),
    )


def test_a_report_adds_to_a_record() -> None:
    before = record("1", notes="seen", follow_up_record_id="run-1")
    bare = with_outcome(before, OutcomeReport(outcome="worse"))
    assert (bare.follow_up_outcome, bare.follow_up_record_id, bare.notes) == ("worse", "run-1", "seen")
    full = with_outcome(bare, OutcomeReport(outcome="improved", follow_up_record_id="run-2", notes="again"))
    assert (full.follow_up_outcome, full.follow_up_record_id, full.notes) == ("improved", "run-2", "again")


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ({}, True),
        ({"pattern": "lewin", "agent_id": "a", "crew_id": "c"}, True),
        ({"pattern": "aar"}, False),
        ({"agent_id": ""}, False),
        ({"crew_id": "d"}, False),
    ],
)
def test_a_query_chooses(query: dict[str, Any], fits: bool) -> None:
    assert LearningQuery(**query).fits(record("1", agent_id="a", crew_id="c")) is fits


def test_what_is_kept_has_a_moment_with_an_offset_and_is_json() -> None:
    one = record("lrn_1", extra={"n": 1})
    assert one.timestamp == dt.datetime.fromtimestamp(1_750_000_000.5, dt.UTC)
    assert msgspec.json.decode(msgspec.json.encode(one), type=LearningRecord) == one


def test_ids_differ_where_their_parts_do() -> None:
    names = {learning_id(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("ab", "c", ""), ("\ud800",))}
    assert len(names) == 5
    assert all(len(name) == 28 for name in names)
    assert learning_id("ab", "c") in names
