"""Process gain and loss: the contract's numbers, what logs of teams show, and what a model's answer adds."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.process_gain_loss import (
    FACTORS,
    PATTERN,
    ProcessTrace,
    gain_of,
    mean_of,
    profile_of,
    quality_of,
    severity_of,
)
from vstack_proto.patterns.process_gain_loss_texts import (
    FactorsAnswer,
    Finding,
    IndividualBaseline,
    LogAnswer,
    Part,
    PartsAnswer,
    ProcessIntervention,
    QuickAnswer,
    RemedyAnswer,
    TeamResult,
)
from vstack_proto.patterns.talk import Happening
from vstack_proto.trace import CanonicalTrace, TraceStep


def work(
    log: str, best: float = 0.8, team: float = 0.5, agents: str = "ana ben cas", cost: float | None = None
) -> ProcessTrace:
    alone = (
        IndividualBaseline("ana", "412k with an interval", best, None if cost is None else 2.0),
        IndividualBaseline("ben", "380k", best / 2),
    )
    return ProcessTrace(
        "Estimate the loss",
        alone,
        TeamResult(tuple(agents.split()), "a range", team, cost),
        "The range was rejected",
        interaction_log=log,
    )


GAIN = work("ana: I get 412\nben: the refunds are counted twice\ncas: corrected, 371 with both checks", team=0.95)
BLENDED = work("ana: I get 412\nben: 380\ncas: let us split the difference\nana: fine, take the average")
HASTY = work("ana: refunds count twice\nben: noted, moving on\ncas: no need to check that, good enough, let's ship")
DROPPED = work("ben: I never got the table\ncas: what do you mean by net? I thought you meant gross\nana: as above")
FORGETFUL = work(
    "cas: I forgot the refunds\nben: what was the question again?\nana: as we agreed above, net of refunds"
)
BUSY = work("ana: still waiting for ben\nben: another round?\ncas: we both did the same", agents="ana ben cas dee eli")
SILENT = work("ana: here\nben: nothing to add\nana: anyone?", agents="ana ben cas dee")
PLAIN = work("")


@pytest.mark.parametrize(
    ("trace", "profile", "severity", "modes"),
    [
        (GAIN, "process_gain_balanced", "none", set()),
        (BLENDED, "consensus_dilution_dominant_loss", "medium", {"averaged_to_mediocrity", "use_single_best"}),
        (HASTY, "groupthink_dominant_loss", "medium", {"premature_consensus", "use_single_best"}),
        (DROPPED, "handoff_dominant_loss", "medium", {"broken_handoff", "use_single_best"}),
        (FORGETFUL, "context_dilution_dominant_loss", "medium", {"context_drift", "use_single_best"}),
        (BUSY, "team_too_large", "medium", {"high_overhead", "silent_agents", "use_single_best", "team_too_large"}),
        (SILENT, "social_loafing_dominant_loss", "medium", {"silent_agents", "use_single_best"}),
        (PLAIN, "indeterminate", "medium", {"use_single_best"}),
    ],
)
def test_offline_profiles(trace: ProcessTrace, profile: str, severity: str, modes: set[str]) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.profile_pattern, found.severity) == (profile, severity)
    assert {book.failure_mode for book in found.attached_playbooks} == modes
    assert bool(found.evidence) == bool(modes)
    assert kit.misquotes(PATTERN, trace, found) == []


@pytest.mark.parametrize("which", ["minimal", "rich"])
def test_golden_numbers(which: str) -> None:
    wanted = kit.golden("process_gain_loss")[which]
    found = kit.offline(PATTERN, kit.trace_of(PATTERN, kit.body("process_gain_loss", which)))
    assert {name: getattr(found, name) for name in wanted} == wanted


def test_what_costs_more_than_its_best_member_is_an_overhead() -> None:
    found = kit.offline(PATTERN, work("", cost=7.0), "forensic")
    assert (found.profile_pattern, found.cost_overhead_ratio) == ("cost_overhead_with_loss", 3.5)
    assert found.interaction_log_audit is None
    assert kit.offline(PATTERN, work("", cost=1.0), "forensic").counterfactual_audit.would_recommend_individual is False


def test_forensic_audits_are_counted() -> None:
    found = kit.offline(PATTERN, HASTY, "forensic")
    log, other = found.interaction_log_audit, found.counterfactual_audit
    assert (log.n_handoffs, log.n_silent_agents, log.n_premature_consensus, log.n_context_loss_events) == (2, 0, 2, 0)
    assert log.dominant_factor == "groupthink"
    # Halfway between the best (0.8) and the mean (0.6).
    assert (other.nominal_group_quality_estimate, other.nominal_minus_team) == (0.7, 0.2)
    assert other.would_recommend_individual
    assert kit.offline(PATTERN, SILENT, "forensic").interaction_log_audit.n_silent_agents == 2


@pytest.mark.parametrize(
    ("gain", "quality", "severity"),
    [
        (0.1, "process-gain", "none"),
        (0.06, "process-gain", "trace"),
        (0.05, "neutral", "trace"),
        (0.0, "neutral", "trace"),
        (-0.05, "neutral", "low"),
        (-0.06, "process-loss", "low"),
        (-0.1, "process-loss", "moderate"),
        (-0.25, "process-loss", "medium"),
        (-0.4, "process-loss", "high"),
        (-0.6, "process-loss", "critical"),
        (-1.0, "process-loss", "critical"),
    ],
)
def test_bands(gain: float, quality: str, severity: str) -> None:
    assert (quality_of(gain), severity_of(gain)) == (quality, severity)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0, 1), st.floats(0, 1e300), st.floats(0, 1e300))
def test_numbers_stay_in_their_bounds(alone: list[float], team: float, cost: float, price: float) -> None:
    members = tuple(IndividualBaseline(f"m{n}", "s", score, price) for n, score in enumerate(alone))
    trace = ProcessTrace("t", members, TeamResult(("a",), "s", team, cost), "o")
    assert gain_of(trace) == round(team - max(alone), 4)
    assert min(alone) - 1e-9 <= mean_of(trace) <= max(alone)
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.severity in ("none", "trace")) == (found.gain_loss_score >= 0)
    assert 0 <= found.counterfactual_audit.nominal_group_quality_estimate <= 1
    assert profile_of(trace, dict.fromkeys(FACTORS, 1.0)) != "indeterminate"


def finding(factor: Any, score: float, step: int, quote: str) -> Finding:
    return Finding(factor, score=score, explanation="said why", evidence=(Evidence("because", (step,), quote),))


FOUND = (finding("groupthink", 0.8, 1, "moving on"), finding("context_dilution", 0.9, 1, "words that are not there"))
CHANGES = (
    ProcessIntervention(
        "groupthink",
        "explicit_critic",
        description="Name a critic",
        suggested_implementation="cas",
        composition_target_pattern="x",
    ),
    ProcessIntervention(
        "team_design", "reduce_team_size", description="Two suffice", suggested_implementation="ana and ben"
    ),
    ProcessIntervention(
        "context_dilution", "context_summarization", description="Sum up", suggested_implementation="every ten lines"
    ),
)
EVENTS: tuple[Happening[Any], ...] = (
    Happening("premature_consensus", 1, "closed", "moving on"),
    Happening("premature_consensus", 1, "closed", "noted"),
    Happening("context_loss", 0, "not there", "not in the line"),
)


@pytest.mark.parametrize(
    ("mode", "answers", "dropped"),
    [
        ("quick", {"factors": QuickAnswer(FOUND, CHANGES)}, 1),
        ("standard", {"factors": FactorsAnswer(FOUND), "interventions": RemedyAnswer(CHANGES)}, 1),
        (
            "forensic",
            {
                "factors": FactorsAnswer(FOUND),
                "parts": PartsAnswer(()),
                "log": LogAnswer(EVENTS, "Step 1 decides."),
                "interventions": RemedyAnswer(CHANGES),
            },
            2,
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any, dropped: int) -> None:
    case = kit.case_of(PATTERN, HASTY, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    # The invented quotation bears no score out, and no signal speaks for lost context.
    scores = {one.factor: one.score for one in found.contributing_factors}
    assert scores == {**dict.fromkeys(FACTORS, 0.0), "groupthink": 0.8}
    assert found.profile_pattern == "groupthink_dominant_loss"
    assert [one.intervention_type for one in found.interventions] == ["explicit_critic", "reduce_team_size"]
    assert {one.composition_target_pattern for one in found.interventions} == {None}
    assert [book.failure_mode for book in found.attached_playbooks] == ["premature_consensus", "team_too_large"]
    assert "moving on" in [item.quote for item in found.evidence]
    assert kit.misquotes(PATTERN, HASTY, found) == []
    assert case.grounding.dropped == dropped
    if mode == "forensic":
        assert found.interaction_log_audit is not None
        assert found.interaction_log_audit.n_premature_consensus == 1
        assert found.interaction_log_audit.notes == "Step 1 decides."


def test_what_became_of_the_best_answer() -> None:
    told = (
        Part("412k", "blended", 2, "split the difference", "The figure was averaged."),
        Part("412k", "kept", 2, "split", "A part counts once."),
        Part("an interval", "forgotten", 1, "an interval", "Not in the step that it cites."),
        Part("a caveat", "argued_away", 2, "split the difference", "Not in the best member's answer."),
        Part("with an interval", "never_said", 0, "I get 412", "Nobody heard of the interval."),
    )
    case = kit.case_of(PATTERN, BLENDED, "forensic")
    answers = {"factors": FactorsAnswer((finding("groupthink", 0.3, 3, "fine"),)), "parts": PartsAnswer(told)}
    assert "consensus_dilution 0.50" in PATTERN.passes["forensic"][3].instruction(case, answers)
    found = PATTERN.conclude(case, answers)
    scores = {one.factor: one.score for one in found.contributing_factors}
    # One of the two parts that stand was blended: that much of the best answer at least.
    assert scores == {**dict.fromkeys(FACTORS, 0.0), "groupthink": 0.3, "consensus_dilution": 0.5}
    assert found.profile_pattern == "consensus_dilution_dominant_loss"
    assert found.counterfactual_audit is not None
    assert found.counterfactual_audit.explanation.endswith("Of 2 parts of ana's answer: 1 blended, 1 never said.")
    assert Evidence("The figure was averaged.", (2,), "split the difference") in found.evidence
    assert kit.misquotes(PATTERN, BLENDED, found) == []
    # Words that are not in the best answer, and a fate that does not show in its step.
    assert case.grounding.dropped == 2


@pytest.mark.parametrize("mode", ["quick", "standard", "forensic"])
def test_a_gain_asks_no_model(mode: Any) -> None:
    case = kit.case_of(PATTERN, GAIN, mode)
    assert not any(one.wanted(case, {}) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, {})
    assert (found.interventions, found.evidence, {one.score for one in found.contributing_factors}) == ((), (), {0.0})


def test_from_trace_keeps_steps_with_line_breaks() -> None:
    steps = (
        TraceStep("ana", "message", "I get 412\nben: as a quote\n"),
        TraceStep("ben", "tool_call", "sum(x)"),
        TraceStep("cas", "message", ""),
    )
    given = {
        "individual_baselines": [
            {"agent_name": "ana", "output_summary": "412", "quality_score": 0.9},
            {"agent_name": "ben", "output_summary": "380", "quality_score": 0.4},
        ],
        "team_result": {"agents": ["ana", "ben", "cas"], "output_summary": "400", "quality_score": 0.6},
    }
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata=given))
    read = [(step.agent, step.kind, step.content) for step in PATTERN.read(trace).steps]
    assert read[:3] == [(step.agent, step.type, step.content) for step in steps]
    assert [kind for _, kind, _ in read[3:]] == ["alone", "alone", "result"]
    assert kit.offline(PATTERN, trace).gain_loss_score == -0.3
    for lacking in ({}, {"team_result": given["team_result"]}, {**given, "individual_baselines": [{"agent_name": 1}]}):
        with pytest.raises(TraceNotReadable, match="individual_baselines"):
            PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata=lacking))
