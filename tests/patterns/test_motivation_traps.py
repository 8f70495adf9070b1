"""Motivation traps: the contract's bounds and profiles, what words and repeats tell, and what a model's answer adds."""

# What is missing or does not fit fails the test by itself.
# mypy: disable-error-code="union-attr"

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import motivation_traps_texts as texts
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.motivation_traps import (
    PATTERN,
    AgentMotivationTrace,
    dominant_of,
    profile_of,
    quality_of,
    severity_of,
)
from vstack_proto.patterns.motivation_traps_texts import TRAPS
from vstack_proto.trace import CanonicalTrace, TraceStep


def given_up(signal: str, *behaviours: str, reports: tuple[str, ...] = (), **fields: Any) -> AgentMotivationTrace:
    return AgentMotivationTrace(
        "Make the join deterministic", signal, "ended", observed_behaviors=behaviours, self_reports=reports, **fields
    )


STEADY = given_up(
    "Stopped when the budget of 40 calls was spent",
    "Read the operator's source and found two candidates",
    "Asked whether a rewrite is in scope",
    "The test always fails on Linux, so I compared both kernels' timers",
    "Changed the watermark and ran the test; it failed in another place",
    reports=("I am sorry, that was the wrong unit; here is the corrected patch.", "The second cause is still open."),
)
BORED = given_up(
    "Handed in 20 of 300 rows and summarised the rest",
    "Wrote: this is busywork, nobody reads it",
    reports=("It does not matter anyway.",),
)
BEATEN = given_up(
    "Gave up with 4 turns left",
    "Stopped calling the search tool after a 404 and answered from memory",
    reports=("This is beyond my abilities.",),
    task_class="tool_use",
)
HURT = given_up(
    "No further patch",
    "Apologised four times and sent no change",
    "It is not my fault, you never said that the unit is seconds",
    reports=("I am afraid of being rejected once more.",),
    system_prompt="Deliver a patch or be replaced.",
)
BLAMING = given_up(
    "Returned 'blocked'",
    "Ran the same failing test five times",
    "Blamed the framework without reading it",
    reports=("The framework makes this impossible.",),
)


@pytest.mark.parametrize(
    ("trace", "profile", "dominant", "quality"),
    [
        (STEADY, "motivated_baseline", "none", "motivated"),
        (BORED, "values_dominant_irrelevance", "values", "abandoning"),
        (BEATEN, "high_stakes_capability_collapse", "self_efficacy", "abandoning"),
        (HURT, "emotions_post_rejection_cascade", "emotions", "abandoning"),
        (BLAMING, "attribution_loop_wrong_cause", "attribution", "abandoning"),
    ],
)
def test_offline_profiles(trace: AgentMotivationTrace, profile: str, dominant: str, quality: str) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.profile_pattern, found.dominant_trap, found.motivation_quality) == (profile, dominant, quality)
    healthy = dominant == "none"
    assert healthy == (not found.interventions) == (not found.evidence) == (not found.abandonment_chain)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert all(one.target_trap == dominant for one in found.interventions)
    assert {book.trap for book in found.attached_playbooks} == ({dominant} - {"none"})
    links = [link.step_index for link in found.abandonment_chain]
    assert links == sorted(links)


def test_an_agents_own_words_count_more_than_an_account_of_it() -> None:
    told, own = given_up("x", "It is pointless."), given_up("x", reports=("It is pointless.",))
    assert kit.offline(PATTERN, told).trap_evidence[0].score == 0.45
    assert kit.offline(PATTERN, own).trap_evidence[0].score == 0.585


def test_repeats_are_counted_for_each_agent() -> None:
    names = [one.name for one in kit.case_of(PATTERN, given_up("x", *["I apologize. pytest -q tests"] * 3)).signals]
    assert sorted(names) == ["post_rejection_cascade", "wrong_cause_loop"]
    assert kit.case_of(PATTERN, given_up("x", *["I apologize. pytest -q tests"] * 2)).signals == ()


def test_a_form_is_a_misfit_only_where_something_of_its_own_was_wanted() -> None:
    assert kit.offline(PATTERN, given_up("x", "Used the generic header")).severity == "none"
    creative = kit.offline(PATTERN, given_up("x", "A generic, formulaic poem", task_class="creative"))
    assert (creative.profile_pattern, creative.severity) == ("creative_task_value_misfit", "moderate")


def test_weiner_offline() -> None:
    axis = kit.offline(PATTERN, BLAMING, "forensic").attribution_axis
    assert (axis.locus, axis.stability, axis.controllability, axis.is_maladaptive) == (
        "external", "stable", "uncontrollable", True,
    )  # fmt: skip
    assert kit.offline(PATTERN, BLAMING).attribution_axis is None
    assert kit.offline(PATTERN, BORED, "forensic").attribution_axis is None


@pytest.mark.parametrize(
    ("scores", "task_class", "profile"),
    [
        ((0.5, 0.0, 0.0, 0.5), "creative", "values_plus_attribution"),
        ((0.9, 0.6, 0.7, 0.5), "analysis", "values_plus_attribution"),
        ((0.0, 0.5, 0.5, 0.0), "tool_use", "self_efficacy_plus_emotions"),
        ((0.0, 0.5, 0.4, 0.5), "tool_use", "self_efficacy_plus_attribution"),
        ((0.5, 0.5, 0.4, 0.4), "tool_use", "multi_trap_compounded"),
        ((0.2, 0.45, 0.0, 0.0), "tool_use", "high_stakes_capability_collapse"),
        ((0.45, 0.0, 0.0, 0.0), "creative", "creative_task_value_misfit"),
        ((0.3, 0.3, 0.0, 0.0), "research", "values_dominant_irrelevance"),
        ((0.0, 0.3, 0.0, 0.0), "research", "self_efficacy_collapse_uncertainty"),
        ((0.0, 0.0, 0.3, 0.0), "research", "emotions_post_rejection_cascade"),
        ((0.0, 0.0, 0.0, 0.3), "research", "attribution_loop_wrong_cause"),
        ((0.29, 0.0, 0.0, 0.0), "creative", "motivated_baseline"),
    ],
)
def test_profiles(scores: tuple[float, ...], task_class: str, profile: str) -> None:
    assert profile_of(dict(zip(TRAPS, scores, strict=True)), task_class) == profile


@given(st.tuples(*[st.floats(0, 1)] * 4))
def test_labels_agree_with_each_other(values: tuple[float, ...]) -> None:
    scores: dict[str, float] = dict(zip(TRAPS, values, strict=True))
    assert (dominant_of(scores) == "none") == (quality_of(max(values)) == "motivated")
    assert (quality_of(max(values)) == "abandoning") <= (severity_of(max(values)) in ("medium", "high", "critical"))


FOUND = (
    texts.TrapFinding(
        "values", score=0.7, explanation="It sees no use.", evidence=(Evidence("devalues", (0,), "nobody reads it"),)
    ),
    texts.TrapFinding(
        "emotions", score=0.9, explanation="Made up.", evidence=(Evidence("fear", (0,), "words that are not there"),)
    ),
)
CHANGE = texts.MotivationIntervention(
    "values", "ground_in_user_purpose", description="Name the reader", suggested_implementation="Add who reads it"
)
WEINER = texts.WeinerAnswer("internal", "stable", "uncontrollable", "It blames itself.", (FOUND[0].evidence[0],))
LINKS = texts.ChainAnswer(
    (
        texts.LinkFinding(2, "values", "premature_completion", 0.6, "summarised the rest"),
        texts.LinkFinding(0, "values", "indifference", 0.3, "busywork"),
        texts.LinkFinding(0, "values", "indifference", 0.3, "not in the step"),
    )
)


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"traps": texts.QuickAnswer(FOUND, (CHANGE,))}),
        ("standard", {"traps": texts.TrapsAnswer(FOUND), "interventions": texts.RemedyAnswer((CHANGE,))}),
        (
            "forensic",
            {
                "traps": texts.TrapsAnswer(FOUND), "weiner": WEINER, "chain": LINKS,
                "interventions": texts.RemedyAnswer((CHANGE,)),
            },
        ),
    ],
)  # fmt: skip
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, BORED, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    assert [one.score for one in found.trap_evidence] == [0.7, 0.0, 0.0, 0.0]
    assert found.trap_evidence[0].evidence_quotes == ("nobody reads it",)
    assert (found.profile_pattern, found.severity) == ("values_dominant_irrelevance", "high")
    assert found.interventions == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["irrelevance_refusal"]
    assert "vstack.smart_goal" in found.composition_handoff.downstream_patterns
    assert kit.misquotes(PATTERN, BORED, found) == []
    if mode == "forensic":
        assert found.attribution_axis.is_maladaptive
        assert [(link.step_index, link.severity) for link in found.abandonment_chain] == [(0, "low"), (2, "medium")]


def test_passes_that_change_nothing_are_skipped() -> None:
    _, weiner, chain, changes = PATTERN.passes["forensic"]
    quiet = {"traps": texts.TrapsAnswer(())}
    assert [one.wanted(kit.case_of(PATTERN, STEADY), quiet) for one in (weiner, chain, changes)] == [True, False, False]
    assert not weiner.wanted(kit.case_of(PATTERN, given_up("x", "y")), quiet)


def test_from_trace() -> None:
    steps = (TraceStep("user", "message", "It is pointless?"), TraceStep("ops", "message", "I give up on this."))
    told = {"abandonment_signal": "left", "self_reports": ["too hard for me"], "run_count": 0, "task_class": "analysis"}
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata=told))
    assert (trace.abandonment_signal, trace.run_count, trace.task_class, trace.success) == (
        "left",
        1,
        "analysis",
        False,
    )
    read = PATTERN.read(trace)
    assert [(step.agent, step.content) for step in read.steps[:2]] == [(step.agent, step.content) for step in steps]
    assert [step.content for step in read.steps[2:]] == ["too hard for me", "left"]
    # What the user asks is no behaviour of the agent.
    assert {one.steps for one in PATTERN.signals(trace, read)} == {(1,), (2,)}
    bare = PATTERN.from_trace(CanonicalTrace("g", steps, "o"))
    assert (bare.abandonment_signal, len(PATTERN.read(bare).steps)) == ("o", 2)
