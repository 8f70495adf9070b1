"""Drift: a detection against an earlier one, in the form of its pattern, with the contract's thresholds."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from tests.proto.last_word import PATTERN
from vstack_proto.drift import DRIFTS, compare, comparison_of, with_comparison
from vstack_proto.openapi_examples import native_trace
from vstack_proto.patterns import (
    glaser_conversation,
    grant_strengths,
    grpi,
    johari,
    lewin,
    mcgregor,
    psych_safety,
    smart_goal,
    span_of_control,
    yerkes_dodson,
)
from vstack_proto.patterns.common import BaselineComparison, Case, Detection, Pattern

WHEN = "2026-02-01T09:00:00Z"


def told(pattern: Pattern[Any, Any], now: dict[str, Any], before: dict[str, Any]) -> Any:
    return compare(now, {"generated_at": WHEN, **before}, "march", pattern.detection)


def test_the_differences_of_a_map_go_into_the_field_that_is_named_after_it() -> None:
    now = {"quadrant_weights": {"open": 0.5, "blind": 0.1, "new": 1.0}, "dominant_quadrant": "open"}
    before = {"quadrant_weights": {"open": 0.35, "blind": 0.1, "gone": 1.0}, "dominant_quadrant": "open"}
    found = told(johari.PATTERN, now, before)
    assert found.quadrant_weight_deltas == {"open": 0.15, "blind": 0.0}
    assert (found.historical_baseline_id, found.baseline_dominant_quadrant) == ("march", "open")
    assert found.historical_generated_at == dt.datetime(2026, 2, 1, 9, tzinfo=dt.UTC)
    assert (found.drift_severity, found.notes) == ("minor", "open moved most, by +0.15")


def test_the_differences_of_a_list_go_by_its_labels() -> None:
    def zones(score: float) -> dict[str, Any]:
        zone = {"zone": "optimal", "confidence": 0.9, "score": score}
        return {"zone_evidence": [zone, {"zone": "optimal", "score": 9.0}, {"score": 0.1}], "observed_zone": "optimal"}

    found = told(yerkes_dodson.PATTERN, zones(0.2), zones(0.7))
    assert (found.zone_score_deltas, found.baseline_zone) == ({"optimal": -0.5}, "optimal")
    assert found.drift_severity == "severe"


def test_a_record_of_numbers_is_compared_without_how_sure_it_is() -> None:
    now, before = ({"indicators": {"intervention_rate": rate, "confidence": rate}} for rate in (0.5, 0.2))
    assert told(mcgregor.PATTERN, now, before).indicator_deltas == {"intervention_rate": 0.3}
    strengths = {"strength_scores": {"confidence": 0.5}}
    assert told(grant_strengths.PATTERN, strengths, strengths).strength_score_deltas == {"confidence": 0.0}


def test_one_number_has_its_own_field() -> None:
    found = told(grpi.PATTERN, {"completeness_score": 0.4}, {"completeness_score": 0.65})
    assert (found.completeness_delta, found.drift_severity) == (-0.25, "moderate")
    assert told(grpi.PATTERN, {"completeness_score": 0.4}, {}).completeness_delta == 0.0
    assert told(grpi.PATTERN, {}, {"completeness_score": 0.4}).completeness_delta == 0.0


def test_the_common_form_takes_every_score() -> None:
    now = {"safety_score": 0.7, "behavior_scores": {"voice": 0.8}, "team": [{"behavior": "x", "score": 1.0}]}
    before = {"safety_score": 0.6, "behavior_scores": {"voice": 0.8}, "team": [{"behavior": "x", "score": 0.0}]}
    assert told(psych_safety.PATTERN, now, before).score_deltas == {"safety_score": 0.1, "voice": 0.0}


def test_without_a_map_the_lists_are_taken_by_their_first_score() -> None:
    def goal(score: float) -> dict[str, Any]:
        items = [{"criterion": "specific", "weight": 9.0, "quality_score": score}]
        return {"overall_smart_score": 0.5, "criteria": items, "tips": ["x"], "quorum": 3, "cost_usd": score}

    assert told(smart_goal.PATTERN, goal(0.5), goal(0.25)).score_deltas == {
        "overall_smart_score": 0.0,
        "specific": 0.25,
    }
    states = {"evidence": [{"state": "neutral", "score": 0.5}]}
    assert told(glaser_conversation.PATTERN, states, states).score_deltas == {"neutral": 0.0}


@pytest.mark.parametrize(
    ("delta", "drift"),
    [
        (0.0, "none"),
        (0.1, "none"),
        (0.11, "minor"),
        (0.2, "minor"),
        (0.21, "moderate"),
        (0.4, "moderate"),
        (-0.41, "severe"),
    ],
)
def test_drift_goes_by_the_largest_difference(delta: float, drift: str) -> None:
    now = {"locus_scores": {"internal": 0.5 + delta, "environmental": 0.5}}
    before = {"locus_scores": {"internal": 0.5, "environmental": 0.5}}
    assert told(lewin.PATTERN, now, before).drift_severity == drift


@pytest.mark.parametrize(
    ("now", "before", "drift"),
    [
        ({"profile_pattern": "a"}, {"profile_pattern": "b"}, "moderate"),
        ({"profile_pattern": "a"}, {}, "none"),
        ({}, {"profile_pattern": "b"}, "moderate"),
        ({"severity": "low"}, {"severity": "critical"}, "severe"),
        ({"severity": "high"}, {"severity": "none"}, "severe"),
        ({"severity": "medium"}, {"severity": "high"}, "none"),
    ],
)
def test_labels_and_severity_count_too(now: dict[str, Any], before: dict[str, Any], drift: str) -> None:
    assert told(psych_safety.PATTERN, now, before).drift_severity == drift


def test_where_parts_alone_are_graded_the_worst_goes_from_calm_to_grave() -> None:
    now = {"loci": [{"severity": "none"}, {"severity": "critical"}]}
    before = {"loci": [{"severity": "low"}, {"severity": "none"}]}
    found = told(lewin.PATTERN, now, before)
    assert (found.drift_severity, found.notes) == ("severe", "severity was low and is critical")


def test_what_changed_is_said_and_what_makes_the_two_hard_to_compare() -> None:
    now = {"profile_pattern": "a", "severity": "low", "mode": "quick", "generator_model": "offline"}
    before = {"profile_pattern": "b", "severity": "high", "mode": "forensic", "generator_model": "m-1"}
    assert told(psych_safety.PATTERN, now, before).notes == (
        "profile_pattern was b and is a; severity was high and is low; the mode differs: forensic then, quick now; "
        "the model differs: m-1 then, offline now"
    )


@pytest.mark.parametrize(
    "before",
    [
        {"generated_at": None},
        {"generated_at": "yesterday"},
        {"generated_at": "2026-02-01T09:00:00"},
        {"locus_scores": {"internal": 10**400, "environmental": "x", "interactional": True}},
        {"locus_scores": 3, "loci": {"locus": "internal"}, "dominant_locus": ["x"], "severity": []},
    ],
)
def test_a_baseline_may_be_anything_that_is_an_object(before: dict[str, Any]) -> None:
    now = {"locus_scores": {"internal": 0.5, "environmental": 0.5, "interactional": 0.5}, "severity": "low"}
    found = told(lewin.PATTERN, now, before)
    assert found.locus_score_deltas == {}
    assert found.historical_generated_at is None or found.historical_generated_at.tzinfo is not None


def test_a_pattern_without_a_form_has_the_common_one() -> None:
    assert comparison_of(PATTERN.detection) is BaselineComparison
    encoded = with_comparison(b'{"speaker":"bob","verdict":"fine"}', b'{"verdict":"fine"}', "march", PATTERN.detection)
    found = msgspec.json.decode(encoded)
    assert (found["speaker"], found["baseline"]["drift_severity"]) == ("bob", "none")


def test_an_odd_annotation_is_passed_over() -> None:
    class Odd(Detection, frozen=True, kw_only=True):
        baseline: dict[str, Any] | None = None

    assert comparison_of(Odd) is BaselineComparison


def test_every_pattern_that_reads_a_run_has_something_to_compare() -> None:
    from vstack_runtime.engine import installed_patterns

    compared = 0
    for pattern in installed_patterns():
        trace = native_trace(pattern)
        if trace is None:
            continue
        reading = pattern.read(trace)
        case = Case(trace, reading, tuple(pattern.signals(trace, reading)), "quick")
        encoded = msgspec.json.encode(pattern.assess_offline(case))
        found = msgspec.json.decode(with_comparison(encoded, encoded, "same", pattern.detection))
        # What comes out still is the pattern's detection.
        assert msgspec.convert(found, pattern.detection).baseline is not None
        baseline = found["baseline"]
        assert (baseline["drift_severity"], baseline["notes"]) == ("none", ""), pattern.name
        deltas = [value for name, value in baseline.items() if name.endswith(("_deltas", "_delta"))]
        assert [value for value in deltas if value == 0.0 or (value and not any(value.values()))] == deltas != []
        compared += 1
    assert compared > 20


def test_the_words_are_the_contracts() -> None:
    assert DRIFTS == ("none", "minor", "moderate", "severe")
    assert span_of_control.PATTERN.detection.__struct_fields__.count("baseline") == 1
