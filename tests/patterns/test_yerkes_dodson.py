"""Yerkes-Dodson: the contract's numbers and profiles, what words and pressure tell, and what a model's answer adds."""

# What is missing or does not fit fails the test by itself.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import yerkes_dodson_texts as texts
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.talk import Events, Happening
from vstack_proto.patterns.yerkes_dodson import PATTERN, AgentPerformanceTrace, profile_of, scores_of, zone_of
from vstack_proto.patterns.yerkes_dodson_loads import (
    CognitiveLoadAnalysis,
    PressureProfile,
    analysis_of,
    saturation_of,
)
from vstack_proto.trace import CanonicalTrace, TraceStep


def worked(*behaviours: str, **pressure: Any) -> AgentPerformanceTrace:
    return AgentPerformanceTrace("Port the models", PressureProfile(**pressure), "ended", observed_behaviors=behaviours)


CAREFUL = worked(
    "Read the guide and listed the 40 models with their dialects",
    "Ported the first model, compiled it and ran its test: passed",
    "The function does not exist in the new dialect; looked up its replacement in the manual",
    "Stopped after the fortieth model and handed in the list of results",
    deadline_pressure="tight",
)
RUSHED = worked(
    "Stopped running the compiler after model 400",
    "Copied WHERE clauses from the wrong model",
    "Skipped the fixtures to finish sooner",
    deadline_pressure="absurd",
    task_complexity="complex",
)
INVENTED = worked("Invented a function name that the dialect lacks", "Filled in a plausible value from memory")
IDLE = worked(
    "Went down a rabbit hole about the history of SQL",
    "Rewrote the summary once more, just curious how it reads",
    deadline_pressure="none",
    budget_pressure="none",
)
POLISHED = worked("Rewrote the headings a fourth time", "Added a chart that nobody asked for")
STUCK = worked(*["Opened the migration file and closed it"] * 3, "Could not decide where to begin and kept re-reading")


@pytest.mark.parametrize(
    ("trace", "zone", "profile", "failure", "books"),
    [
        (CAREFUL, "optimal", "optimal_zone", "focused", set()),
        (RUSHED, "over_pressure", "over_pressure_corner_cutting", "corner_cutting",
         {"corner_cutting", "extraneous_load"}),
        (INVENTED, "over_pressure", "over_pressure_hallucinating", "hallucinating", set()),
        (IDLE, "under_pressure", "under_pressure_wandering", "wandering", {"wandering"}),
        (POLISHED, "under_pressure", "under_pressure_drift", "unknown", {"wandering"}),
        (STUCK, "over_pressure", "over_pressure_freezing", "freezing", {"freezing"}),
    ],
)  # fmt: skip
def test_offline_profiles(trace: AgentPerformanceTrace, zone: str, profile: str, failure: str, books: set[str]) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.observed_zone, found.profile_pattern, found.failure_mode) == (zone, profile, failure)
    assert bool(found.interventions) == bool(found.evidence) == (zone != "optimal")
    assert kit.misquotes(PATTERN, trace, found) == []
    assert {one.direction for one in found.interventions} == ({texts.DIRECTION[zone]} if zone != "optimal" else set())
    assert {book.failure_mode for book in found.attached_playbooks} == books
    assert [row.zone for row in found.zone_evidence] == ["under_pressure", "optimal", "over_pressure"]
    assert found.cognitive_load_analysis is None


def test_golden() -> None:
    for which, expected in kit.golden("yerkes_dodson").items():
        if which not in ("minimal", "rich"):
            continue
        found = kit.offline(PATTERN, kit.trace_of(PATTERN, kit.body("yerkes_dodson", which)))
        for name, value in (expected["context_saturation"] or {}).items():
            assert getattr(found.context_saturation, name) == value
        assert (found.context_saturation is None) == (expected["context_saturation"] is None)


@pytest.mark.parametrize(("size", "risk"), [(0, "low"), (499, "low"), (500, "moderate"), (850, "high"), (9000, "high")])
def test_saturation(size: int, risk: str) -> None:
    told = saturation_of(PressureProfile(context_size_tokens=size, context_window_size=1000))
    assert told is not None
    assert (told.lost_in_middle_risk, told.saturation_ratio) == (risk, min(1.0, size / 1000))
    assert saturation_of(PressureProfile(context_size_tokens=size)) is None
    assert saturation_of(PressureProfile(context_size_tokens=size, context_window_size=0)) is None


LOADED = CognitiveLoadAnalysis(0.5, 0.6, 0.1, 1.0, "extraneous")
HARD = CognitiveLoadAnalysis(0.7, 0.6, 0.1, 1.0, "intrinsic")


@pytest.mark.parametrize(
    ("under", "over", "failure", "ratio", "load", "profile"),
    [
        (0.9, 0.0, "wandering", 0.7, LOADED, "context_saturation"),
        (0.0, 0.0, "focused", 0.69, LOADED, "extraneous_load_overload"),
        (0.0, 0.0, "focused", 0.0, HARD, "intrinsic_load_overload"),
        (0.2, 0.3, "focused", 0.0, None, "optimal_zone"),
        (0.3, 0.3, "focused", 0.0, None, "indeterminate"),
        (0.5, 0.1, "wandering", 0.0, None, "under_pressure_wandering"),
        (0.5, 0.1, "unknown", 0.0, None, "under_pressure_drift"),
        (0.1, 0.5, "refusing", 0.0, None, "over_pressure_refusing"),
        (0.1, 0.6, "unknown", 0.0, None, "over_pressure_corner_cutting"),
        (0.1, 0.59, "unknown", 0.0, None, "indeterminate"),
    ],
)
def test_profiles(under: float, over: float, failure: Any, ratio: float, load: Any, profile: str) -> None:
    scores = scores_of({"under_pressure": under, "over_pressure": over})
    assert profile_of(scores, failure, ratio, load) == profile


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_zone_has_the_highest_score(under: float, over: float) -> None:
    scores = scores_of({"under_pressure": under, "over_pressure": over})
    assert all(0 <= score <= 1 for score in scores.values())
    assert scores[zone_of(scores)] == max(scores.values())


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_the_dominant_load_is_the_highest(loads: tuple[float, float, float]) -> None:
    found = analysis_of(loads, "")
    assert getattr(found, f"{found.dominant_component}_load") == max(loads)
    assert max(loads[:2]) - 1e-3 <= found.total_load <= 1


def test_pressure_bears_out_what_was_seen_and_proves_nothing_alone() -> None:
    strain = {"deadline_pressure": "absurd", "task_complexity": "complex"}
    assert kit.offline(PATTERN, worked("Compiled all", **strain)).severity == "none"
    calm, strained = (kit.offline(PATTERN, worked("Gave the task back.", **more)) for more in ({}, strain))
    assert (calm.zone_evidence[2].score, calm.observed_zone) == (0.45, "optimal")
    assert (strained.zone_evidence[2].score, strained.observed_zone) == (0.615, "over_pressure")


def test_loads_offline() -> None:
    noisy = worked("Compiled all", extraneous_load_indicators=("logs", "guides"), interrupt_frequency="high")
    load = kit.offline(PATTERN, noisy, "forensic").cognitive_load_analysis
    assert (load.intrinsic_load, load.extraneous_load, load.germane_load) == (0.4, 0.6, 0.16)
    assert kit.offline(PATTERN, noisy, "forensic").profile_pattern == "extraneous_load_overload"


ZONES = (
    texts.ZoneFinding(
        "over_pressure",
        score=0.8,
        explanation="It skips checks.",
        evidence=(Evidence("no check", (0,), "running the compiler"),),
    ),
    texts.ZoneFinding(
        "under_pressure",
        score=0.9,
        explanation="Made up.",
        evidence=(Evidence("idle", (0,), "words that are not there"),),
    ),
)
MORE = texts.WorkloadIntervention(
    intervention_type="loosen_deadline", direction="decrease_pressure", description="More time",
    suggested_implementation="Two days",
)  # fmt: skip
LESS = texts.WorkloadIntervention(
    intervention_type="tighten_deadline",
    direction="increase_pressure",
    description="Less",
    suggested_implementation="x",
)
COURSE = Events(
    (
        Happening[Any]("corner_cutting", 0, "no check from here on", "Stopped running the compiler"),
        Happening("corner_cutting", 2, "and the fixtures", "Skipped the fixtures"),
        Happening("hallucinating", 1, "a clause from elsewhere", "Copied WHERE clauses"),
        Happening("wandering", 1, "made up", "words that are not there"),
    )
)
LOAD = texts.LoadAnswer(0.9, 0.2, 0.3, "All at once.", (Evidence("one", (1,), "from the wrong model"),))


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"zones": texts.WholeAnswer(ZONES, "corner_cutting", (LESS, MORE))}),
        (
            "standard",
            {"zones": texts.ZonesAnswer(ZONES, "wandering"), "interventions": texts.ChangesAnswer((LESS, MORE))},
        ),
        (
            "forensic",
            {
                "zones": texts.ZonesAnswer(ZONES, "hallucinating"),
                "course": COURSE,
                "load": LOAD,
                "interventions": texts.ChangesAnswer((LESS, MORE)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, RUSHED, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    assert [row.score for row in found.zone_evidence] == [0.0, 0.2, 0.8]
    assert (found.observed_zone, found.distance_from_optimal, found.severity) == ("over_pressure", 0.8, "high")
    assert (found.failure_mode, found.interventions) == ("corner_cutting", (MORE,))
    assert [book.failure_mode for book in found.attached_playbooks] == ["corner_cutting"]
    assert found.evidence[0].quote == "running the compiler"
    assert kit.misquotes(PATTERN, RUSHED, found) == []
    assert case.grounding.dropped == (2 if mode == "forensic" else 1)
    if mode == "forensic":
        # What most of the turns show decides the failure mode.
        assert "a clause from elsewhere" in [one.claim for one in found.evidence]
        assert found.cognitive_load_analysis.dominant_component == "intrinsic"
        assert found.profile_pattern == "intrinsic_load_overload"


def test_turns_on_another_side_speak_against_the_zone() -> None:
    case = kit.case_of(PATTERN, RUSHED, "forensic")

    def turned(*kinds: Any) -> Any:
        events = tuple(Happening[Any](kind, 0, "why", "Stopped running") for kind in kinds)
        return PATTERN.conclude(case, {"zones": texts.ZonesAnswer(ZONES, "refusing"), "course": Events(events)})

    assert turned().failure_mode == turned("wandering").failure_mode == "refusing"
    assert turned("freezing", "focused").failure_mode == "freezing"
    assert turned("freezing").confidence == turned().confidence
    assert turned("wandering").confidence == round(turned().confidence - 0.1, 2)
    assert PATTERN.passes["forensic"][1].name == "course"


def test_a_load_without_a_quotation_is_no_higher_than_the_setting_gives() -> None:
    case = kit.case_of(PATTERN, CAREFUL, "forensic")
    told = {"zones": texts.ZonesAnswer((), "focused"), "load": texts.LoadAnswer(1.0, 1.0, 1.0, "Much.", ())}
    assert not PATTERN.passes["forensic"][3].wanted(case, told)
    load = PATTERN.conclude(case, told).cognitive_load_analysis
    assert (load.intrinsic_load, load.extraneous_load) == (0.4, 0.05)


def test_from_trace_keeps_steps_and_reads_the_pressure() -> None:
    steps = (TraceStep("ops", "tool_call", "ls", tool="shell"), TraceStep("human", "message", "Skipped the tests?"))
    known = {"pressure": {"deadline_pressure": "absurd"}, "run_count": 0}
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata=known))
    assert (trace.pressure.deadline_pressure, trace.run_count, trace.success) == ("absurd", 1, False)
    assert [(one.agent, one.content) for one in PATTERN.read(trace).steps] == [(s.agent, s.content) for s in steps]
    # What a person asks is none of the agent's behaviour.
    assert kit.case_of(PATTERN, trace).signals == ()
    assert PATTERN.from_trace(CanonicalTrace("g", steps, "o")).pressure == PressureProfile()
