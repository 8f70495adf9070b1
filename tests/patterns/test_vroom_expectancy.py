"""Expectancy: the contract's product, bounds and profiles, what words and effort tell, what a model's answer adds."""

# What is missing or does not fit fails the test by itself.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import vroom_expectancy_texts as texts
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.vroom_expectancy import (
    PATTERN,
    AgentExpectancyTrace,
    bottleneck_of,
    interaction_of,
    profile_of,
    quality_of,
    score_of,
    severity_of,
)
from vstack_proto.patterns.vroom_expectancy_texts import TERMS
from vstack_proto.trace import CanonicalTrace, TraceStep


def work(prompt: str, *behaviours: str, effort: tuple[str, ...] = (), **fields: Any) -> AgentExpectancyTrace:
    return AgentExpectancyTrace(
        "Reconcile 90 accounts", "ended", system_prompt=prompt, observed_behaviors=behaviours, effort_signals=effort,
        **fields,
    )  # fmt: skip


GOOD = work(
    "Reconcile them in batches so that the auditors can close the year. Here is a worked example.",
    "Reconciled all 90 and listed two that differ",
    "The latency of the ledger fell from 900 to 60 ms",
    effort=("tokens per account between 700 and 900",),
    declared_reward="the year is closed",
)
SPRAWLING = work("Translate 300 messages.", "Translated 20 and summarised the rest")
IDLE = work(
    "Results may or may not be used.",
    "Asked three times whether anyone reads the output",
    effort=("tokens per account fell from 900 to 60",),
    declared_reward="none",
)
AVERSE = work(
    "Write texts that mislead the customers.", "Declined to write the second one", "Said it would rather not go on"
)
DULL = work("I know this is tedious work.", "Found the task pointless")
CRUSHED = work(
    "You will probably fail. We will redo it anyway.",
    "I doubt that I can",
    "Gave up on the third, it is too hard for me",
    "Padded the table to hit the quota",
)


@pytest.mark.parametrize(
    ("trace", "profile", "bottleneck", "quality", "severity"),
    [
        (GOOD, "motivated_balanced", "none", "motivated", "trace"),
        (SPRAWLING, "expectancy_bottleneck", "expectancy", "weak", "low"),
        (IDLE, "high_E_low_I_pointless_work", "instrumentality", "weak", "moderate"),
        (AVERSE, "valence_negative_active_avoidance", "valence", "collapsed", "high"),
        (DULL, "valence_bottleneck", "valence", "weak", "low"),
        (CRUSHED, "multi_term_collapse", "expectancy", "collapsed", "high"),
    ],
)
def test_offline_profiles(
    trace: AgentExpectancyTrace, profile: str, bottleneck: str, quality: str, severity: str
) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.profile_pattern, found.bottleneck_term) == (profile, bottleneck)
    assert (found.motivation_quality, found.severity) == (quality, severity)
    healthy = bottleneck == "none"
    assert healthy == (not found.interventions) == (not found.evidence)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert {one.target_term for one in found.interventions} == {one.term for one in found.terms if one.score < 0.7}


def test_support_and_reward_raise_a_term_above_what_silence_says() -> None:
    silent = [one.score for one in kit.offline(PATTERN, work("Go.")).terms]
    assert silent == [0.85, 0.85, 0.8]
    paid, unpaid = (kit.offline(PATTERN, work("Go.", declared_reward=told)).terms[1].score for told in ("use", "None"))
    assert (paid, unpaid) == (0.895, 0.68)
    assert {one.category for one in kit.offline(PATTERN, GOOD).prompt_signals} == {
        "scaffolding", "worked_example", "outcome_link",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "drops"),
    [
        ("tokens per item fell from 900 to 60", 1),
        ("tokens per item fell from 900 to 600", 0),
        ("no tool call after account 40", 1),
        ("steady at 900", 0),
    ],
)
def test_effort_that_falls(told: str, drops: int) -> None:
    assert len(kit.case_of(PATTERN, work("Go.", effort=(told,))).signals) == drops
    # Elsewhere falling numbers may be good news.
    assert kit.case_of(PATTERN, work("Go.", told)).signals == ()


@pytest.mark.parametrize(
    ("scores", "task_class", "profile"),
    [
        ((0.9, 0.9, -0.01), "creative", "valence_negative_active_avoidance"),
        ((0.2, 0.2, 0.9), "creative", "multi_term_collapse"),
        ((0.7, 0.7, 0.29), "creative", "high_E_high_I_low_V_misaligned_task"),
        ((0.7, 0.29, 0.9), "creative", "high_E_low_I_pointless_work"),
        ((0.39, 0.9, 0.9), "creative", "low_E_creative_task_misfit"),
        ((0.39, 0.9, 0.9), "tool_use", "low_E_tool_use_capability_gap"),
        ((0.39, 0.9, 0.9), "research", "expectancy_bottleneck"),
        ((0.9, 0.5, 0.9), "research", "instrumentality_bottleneck"),
        ((0.5, 0.5, 0.5), "research", "expectancy_bottleneck"),
        ((0.9, 0.9, 0.69), "research", "valence_bottleneck"),
        ((0.8, 0.8, 0.8), "research", "motivated_balanced"),
        ((0.7, 0.7, 0.7), "research", "indeterminate"),
    ],
)
def test_profiles(scores: Any, task_class: str, profile: str) -> None:
    assert profile_of(dict(zip(TERMS, scores, strict=True)), task_class) == profile


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (1.0, "none"), (0.8, "none"), (0.7999, "trace"), (0.5001, "trace"), (0.5, "low"), (0.2001, "low"),
        (0.2, "moderate"), (0.06, "moderate"), (0.05, "high"), (-0.3, "high"), (-0.7, "critical"), (-1.0, "critical"),
    ],
)  # fmt: skip
def test_severities(score: float, severity: str) -> None:
    assert severity_of(score) == severity


@pytest.mark.parametrize(
    ("scores", "interaction"),
    [
        ((0.3, 0.2, 0.9), "E_x_I_low"), ((0.3, 0.9, 0.2), "E_x_V_low"), ((0.3, 0.1, -0.2), "I_x_V_low"),
        ((0.9, 0.5, 0.5), "E_dominates"), ((0.3, 0.5, 0.9), "V_dominates"), ((0.8, 0.7, 0.6), "balanced"),
        ((0.8, 0.7, 0.5), "unknown"),
    ],
)  # fmt: skip
def test_interactions(scores: Any, interaction: str) -> None:
    assert interaction_of(dict(zip(TERMS, scores, strict=True))) == interaction


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1))
def test_the_product(e: float, i: float, v: float) -> None:
    scores: dict[Any, float] = {"expectancy": e, "instrumentality": i, "valence": v}
    score = score_of(scores)
    assert abs(score) <= min(e, i, abs(v)) + 0.0001
    assert (quality_of(score) == "motivated") <= (severity_of(score) in ("none", "trace", "low"))
    assert (bottleneck_of(scores) == "none") == (min(e, i, abs(v)) >= 0.7)
    assert profile_of(scores, "research") != "balanced_but_weak"


FOUND = (
    texts.TermFinding("instrumentality", 0.2, "Idle.", (Evidence("idle", (2,), "may or may not be used"),)),
    texts.TermFinding("valence", -0.9, "Made up.", (Evidence("dislike", (0,), "words that are not there"),)),
    texts.TermFinding("valence", 0.7, "Neutral.", ()),
)
CHANGE = texts.VroomIntervention(
    "instrumentality",
    "show_output_consumer",
    description="Name the reader",
    suggested_implementation="Add who reads it",
)
LISTED = texts.SignalsAnswer(
    (
        texts.SignalFinding("pointless_signal", 2, "may or may not be used", "Doubt."),
        texts.SignalFinding("neutral", 1, "tokens per account", "Only a count."),
        texts.SignalFinding("worked_example", 2, "here is an example", "Invented."),
    )
)
TURNS = texts.TurnsAnswer(
    (
        texts.TurnFinding(0, "turns_away", "instrumentality", "asks for a reader", "whether anyone reads"),
        texts.TurnFinding(1, "falls", "instrumentality", "a tenth of the effort", "from 900 to 60"),
        texts.TurnFinding(1, "falls", "expectancy", "too hard", "words that are not there"),
    ),
    "A named reader would let the rest count.",
)


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"terms": texts.QuickAnswer(FOUND, (CHANGE,))}),
        ("standard", {"terms": texts.TermsAnswer(FOUND), "interventions": texts.RemedyAnswer((CHANGE,))}),
        (
            "forensic",
            {
                "terms": texts.TermsAnswer(FOUND),
                "signals": LISTED,
                "interaction": TURNS,
                "interventions": texts.RemedyAnswer((CHANGE,)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, IDLE, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    # A term that was left out is filled in; a made-up quotation lowers none below what the signals say.
    assert [one.score for one in found.terms] == [0.5, 0.2, 0.8]
    assert (found.motivation_score, found.bottleneck_term, found.severity) == (0.08, "instrumentality", "moderate")
    assert found.profile_pattern == "instrumentality_bottleneck"
    assert found.interventions == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["pointless_signal"]
    assert "vstack.sdt_reward" in found.composition_handoff.downstream_patterns
    assert kit.misquotes(PATTERN, IDLE, found) == []
    if mode == "forensic":
        assert [(one.category, one.affected_term, one.polarity) for one in found.prompt_signals] == [
            ("pointless_signal", "instrumentality", "lowers"), ("neutral", "none", "neutral"),
        ]  # fmt: skip
        assert found.eiv_interaction_audit.notes.startswith("A named reader")
        assert found.eiv_interaction_audit.notes.endswith("Turns of the effort: instrumentality 2.")
        assert "a tenth of the effort" in [one.claim for one in found.evidence]


def test_where_effort_turned_bears_the_scores_out_or_speaks_against_them() -> None:
    case, terms = kit.case_of(PATTERN, IDLE, "forensic"), {"terms": texts.TermsAnswer(FOUND)}

    def turned(term: Any, effort: Any = "falls") -> Any:
        told = texts.TurnsAnswer((texts.TurnFinding(1, effort, term, "why", "from 900 to 60"),), "So.")
        return PATTERN.conclude(case, {**terms, "interaction": told})

    plain = PATTERN.conclude(case, terms)
    assert turned("instrumentality").confidence == round(plain.confidence + 0.05, 2)
    assert turned("valence").confidence == round(plain.confidence - 0.1, 2)
    assert turned("valence", "rises").confidence == plain.confidence
    # What holds the effort down comes first, whatever lacks most.
    assert plain.interventions[0].target_term == "instrumentality"
    assert turned("expectancy").interventions[0].target_term == "expectancy"


def test_passes_that_change_nothing_are_skipped() -> None:
    high = {"terms": texts.TermsAnswer(tuple(texts.TermFinding(term, 0.9, "High.", ()) for term in TERMS))}
    _, listing, turns, changes = PATTERN.passes["forensic"]
    assert turns.wanted(kit.case_of(PATTERN, GOOD), high)
    assert not turns.wanted(kit.case_of(PATTERN, work("Reconcile them.")), high)
    assert listing.wanted(kit.case_of(PATTERN, GOOD), high)
    assert not changes.wanted(kit.case_of(PATTERN, GOOD), high)
    assert not listing.wanted(kit.case_of(PATTERN, work("", "Reconciled all 90")), high)


def test_from_trace() -> None:
    steps = (TraceStep("user", "message", "Nobody reads it."), TraceStep("ops", "message", "Nobody reads it."))
    told = {"declared_reward": "none", "effort_signals": ["no calls after 3"], "run_count": "two"}
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata=told))
    assert (trace.declared_reward, trace.run_count, trace.success) == ("none", 1, False)
    read = PATTERN.read(trace)
    assert [(step.agent, step.content) for step in read.steps[:2]] == [(step.agent, step.content) for step in steps]
    assert {(one.name, one.steps) for one in PATTERN.signals(trace, read)} == {
        ("pointless_signal", (0,)), ("unlinked", (1,)), ("effort_drop", (2,)),
    }  # fmt: skip
