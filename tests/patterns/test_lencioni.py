"""The five dysfunctions: the contract's formulas, what the rules see in a team's messages, what an answer adds."""

from __future__ import annotations

import datetime as dt
from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.lencioni import (
    DYSFUNCTIONS,
    PATTERN,
    MultiAgentTrace,
    TeamMessage,
    health_of,
    profile_of,
)
from vstack_proto.patterns.lencioni_texts import (
    CascadeAnswer,
    Finding,
    LencioniIntervention,
    Link,
    Moment,
    PyramidAnswer,
    QuickAnswer,
    RemedyAnswer,
)
from vstack_proto.patterns.talk import Events, Happening
from vstack_proto.trace import CanonicalTrace, TraceStep

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def team(*said: tuple[str, Any, str]) -> MultiAgentTrace:
    messages = tuple(TeamMessage(NOON, agent, content, kind) for agent, kind, content in said)
    return MultiAgentTrace("Ship the importer", tuple(dict.fromkeys(m.from_agent for m in messages)), messages, "ended")


SOUND = team(
    ("lead", "task", "I own the plan. Objections to sharding by tenant?"),
    ("query", "challenge", "Three tenants hold 80 percent of the rows; this will hot-spot."),
    ("lead", "question", "Good point. Storage, could you measure it? I may be wrong about the key."),
    ("storage", "tool_call", "SELECT tenant_id, count(*) FROM events GROUP BY 1"),
    ("storage", "tool_result", "tenant 7: 41 percent"),
    ("storage", "response", "Query is right: tenant 7 holds 41 percent. I was wrong to say it is even."),
    ("lead", "decision", "Then we shard by hash of the event id. Ops owns the backfill, due Friday."),
    ("ops", "agreement", "Agreed, I take it."),
    ("query", "agreement", "Agreed: the measurement answers my objection."),
)
HARMONY = team(
    ("lead", "task", "We shard by tenant."),
    ("query", "challenge", "That will hot-spot on tenant 7."),
    ("lead", "response", "We have no time for that, let's keep it positive."),
    ("query", "agreement", "Agreed then."),
    ("ops", "response", "I had my doubts, but I'll go along."),
)
SELFISH = team(
    ("api", "response", "My part is done, as far as I'm concerned we can ship."),
    ("qa", "response", "Then skip the failing tests so the report looks green."),
    ("api", "tool_call", "make integration"),
    ("api", "tool_result", "2 errors in test_import"),
    ("api", "response", "All done, the importer works."),
)
OWNERLESS = team(
    ("ops", "question", "Who owns the rollback?"),
    ("lead", "decision", "It is in the plan."),
    ("data", "observation", "I assumed you would write it. Nobody owns it."),
    ("lead", "response", "That's your fault, you should have known."),
)
HIDDEN = team(
    ("a", "response", "The migration lost rows. Don't tell the reviewer, keep this between us."),
    ("b", "response", "I don't need your review, stop questioning my work."),
)
ADRIFT = team(
    ("lead", "decision", "We will see about the format."),
    ("lead", "decision", "New priority: the dashboard. Forget about that plan."),
)


@pytest.mark.parametrize(
    ("trace", "profile", "dominant", "modes"),
    [
        (SOUND, "healthy_team", "none-observed", set()),
        (HARMONY, "conflict_avoidance", "fear-of-conflict", {"artificial_harmony", "false_consensus"}),
        (SELFISH, "results_inattention", "inattention-to-results", {"individual_optimization", "metric_gaming"}),
        (
            OWNERLESS,
            "accountability_void",
            "avoidance-of-accountability",
            {"peer_accountability_gap", "blame_diffusion"},
        ),
        (HIDDEN, "foundational_trust_collapse", "absence-of-trust", {"low_trust_signals", "no_vulnerability"}),
        (ADRIFT, "commitment_collapse", "lack-of-commitment", {"ambiguous_decisions", "drifting_priorities"}),
    ],
)
def test_offline_profiles(trace: MultiAgentTrace, profile: str, dominant: str, modes: set[str]) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.profile_pattern, found.dominant_dysfunction) == (profile, dominant)
    assert {one.name for one in kit.case_of(PATTERN, trace).signals} == modes
    assert {book.failure_mode for book in found.attached_playbooks} == modes
    assert bool(found.evidence) == bool(modes)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert (found.cascade_audit, found.psych_safety_audit) == (None, None)


def test_forensic_audits_are_counted() -> None:
    sound, harmony = (kit.offline(PATTERN, trace, "forensic") for trace in (SOUND, HARMONY))
    assert (sound.psych_safety_audit.challenge_signal_count, sound.psych_safety_audit.silent_dissent_count) == (1, 0)
    assert sound.psych_safety_audit.safety_estimate == pytest.approx(2 / 3, abs=1e-4)
    assert (harmony.psych_safety_audit.silent_dissent_count, harmony.psych_safety_audit.safety_estimate) == (2, 0.4)
    assert harmony.cascade_audit.foundation_dominant
    assert harmony.cascade_audit.top_three_score == harmony.cascade_audit.cascade_strength == 0.0


def test_agreement_of_all_without_a_question_is_a_sign_and_with_one_is_none() -> None:
    nods = [(agent, "agreement", "Agreed, nice.") for agent in ("b", "c", "d", "b")]
    assert [one.name for one in kit.case_of(PATTERN, team(("a", "task", "Do it."), *nods)).signals] == [
        "artificial_harmony"
    ]
    assert kit.case_of(PATTERN, team(("a", "question", "Objections?"), *nods)).signals == ()


@pytest.mark.parametrize(
    ("scores", "profile"),
    [
        ((0.3, 0.3, 0.3, 0.3, 0.3), "healthy_team"),
        ((0.5, 0.5, 0.5, 0.5, 0.5), "full_pyramid_dysfunction"),
        ((0.7, 0.3, 0.2, 0.3, 0.3), "foundation_unstable_top_strong"),
        ((0.7, 0.3, 0.3, 0.3, 0.3), "foundational_trust_collapse"),
        ((0.45, 0.5, 0.3, 0.3, 0.3), "foundational_trust_collapse"),
        ((0.4, 0.5, 0.3, 0.3, 0.3), "conflict_avoidance"),
        ((0.0, 0.0, 0.4, 0.0, 0.0), "commitment_collapse"),
        ((0.0, 0.0, 0.0, 0.4, 0.0), "accountability_void"),
        ((0.0, 0.0, 0.0, 0.0, 0.4), "results_inattention"),
    ],
)
def test_profiles(scores: tuple[float, ...], profile: str) -> None:
    assert profile_of(dict(zip(DYSFUNCTIONS, scores, strict=True))) == profile


@given(st.tuples(*[st.floats(0, 1)] * 5))
def test_there_is_a_profile_for_all_scores(scores: tuple[float, ...]) -> None:
    profile = profile_of(dict(zip(DYSFUNCTIONS, scores, strict=True)))
    assert (profile == "healthy_team") == (health_of(max(scores)) == "healthy")
    assert profile != "indeterminate"


def finding(dysfunction: Any, score: float, step: int, quote: str) -> Finding:
    return Finding(dysfunction, score=score, explanation="said why", evidence=(Evidence("because", (step,), quote),))


PYRAMID = (
    finding("fear-of-conflict", 0.8, 2, "no time for that"),
    finding("lack-of-commitment", 0.9, 3, "words that are not there"),
)
CHANGE = LencioniIntervention(
    "fear-of-conflict",
    "structured_dissent_protocol",
    description="Ask for objections",
    suggested_implementation="In turn",
    composition_target_pattern="x",
)
UNSEEN = LencioniIntervention(
    "lack-of-commitment", "scaffold_change", description="Pin the goal", suggested_implementation="At the head"
)


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"pyramid": QuickAnswer(PYRAMID, (CHANGE, UNSEEN))}),
        ("standard", {"pyramid": PyramidAnswer(PYRAMID), "interventions": RemedyAnswer((CHANGE, UNSEEN))}),
        (
            "forensic",
            {
                "pyramid": PyramidAnswer(PYRAMID),
                "audit": Events(
                    (
                        Happening("silent_dissent", 3, "gave in", "Agreed then"),
                        Happening("challenge", 0, "not there", "not in the message"),
                    )
                ),
                "interventions": RemedyAnswer((CHANGE, UNSEEN)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_diagnosis(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, HARMONY, mode)
    # One level alone leads to no other.
    left_out = [one.name for one in PATTERN.passes[mode] if not one.wanted(case, answers)]
    assert left_out == (["cascade"] if mode == "forensic" else [])
    found = PATTERN.conclude(case, answers)
    # The invented quotation bears no score out, and no signal speaks for commitment.
    assert found.pyramid_score == {**dict.fromkeys(DYSFUNCTIONS, 0.0), "fear-of-conflict": 0.8}
    assert (found.profile_pattern, found.severity, found.overall_team_health) == (
        "conflict_avoidance",
        "high",
        "dysfunctional",
    )
    assert [(one.intervention_type, one.composition_target_pattern) for one in found.interventions] == [
        ("structured_dissent_protocol", None)
    ]
    assert [book.failure_mode for book in found.attached_playbooks] == ["artificial_harmony"]
    assert "no time for that" in [item.quote for item in found.evidence]
    assert kit.misquotes(PATTERN, HARMONY, found) == []
    assert case.grounding.dropped == (2 if mode == "forensic" else 1)
    if mode == "forensic":
        assert found.psych_safety_audit is not None
        assert found.psych_safety_audit.silent_dissent_count == 2


DRIFTED = team(
    ("lead", "task", "We shard by tenant."),
    ("query", "challenge", "That will hot-spot on tenant 7."),
    ("lead", "response", "We have no time for that, let's keep it positive."),
    ("ops", "question", "So what do we do on Friday?"),
    ("query", "response", "We will see."),
)


def link(lower: Any, upper: Any, cause: tuple[int, str], effect: tuple[int, str]) -> Link:
    return Link(lower, upper, f"{lower} led on", Moment(*cause), Moment(*effect))


def test_what_one_level_did_to_another() -> None:
    case = kit.case_of(PATTERN, DRIFTED, "forensic")
    cut_off, undecided = (2, "no time for that"), (4, "We will see")
    base, above = "fear-of-conflict", "lack-of-commitment"
    told = (
        link(base, above, cut_off, undecided),
        link(above, base, undecided, cut_off),
        link(base, above, undecided, cut_off),
        link(base, "inattention-to-results", cut_off, undecided),
        link(base, above, cut_off, (4, "not in the message")),
    )
    answers = {
        "pyramid": PyramidAnswer((finding(base, 0.5, *cut_off), finding(above, 0.6, *undecided))),
        "cascade": CascadeAnswer(told),
    }
    asked = {
        one.name: one.instruction(case, answers) for one in PATTERN.passes["forensic"] if one.wanted(case, answers)
    }
    assert list(asked) == ["pyramid", "audit", "cascade", "interventions"]
    assert "fear-of-conflict 0.50, lack-of-commitment 0.60" in asked["cascade"]
    found = PATTERN.conclude(case, answers)
    assert found.cascade_audit is not None
    # The links that stand, upwards and forwards, between levels that show: the first alone.
    assert found.cascade_audit.explanation.count(" led to ") == 1
    assert found.cascade_audit.explanation.endswith("Step 2, fear-of-conflict, led to step 4, lack-of-commitment.")
    assert found.cascade_audit.foundation_dominant
    assert [one.target_dysfunction for one in found.interventions] == [base, above]
    assert kit.misquotes(PATTERN, DRIFTED, found) == []
    alone = PATTERN.conclude(case, {"pyramid": answers["pyramid"]})
    assert [one.target_dysfunction for one in alone.interventions] == [above, base]


def test_a_sound_team_asks_for_no_changes() -> None:
    case = kit.case_of(PATTERN, SOUND)
    answers = {"pyramid": PyramidAnswer(())}
    assert not PATTERN.passes["standard"][1].wanted(case, answers)
    found = PATTERN.conclude(case, answers)
    assert (found.severity, found.interventions, found.evidence) == ("none", (), ())


def test_from_trace_keeps_steps_and_types_them() -> None:
    steps = (
        TraceStep("human", "message", "please ship", timestamp=NOON),
        TraceStep("ops", "tool_call", "ls", tool="shell"),
        TraceStep("ops", "observation", "a.txt", tool="shell"),
        TraceStep("data", "message", "I disagree, this will break the index."),
        TraceStep("ops", "message", "Agreed."),
        TraceStep("ops", "message", "And who tests it?"),
        TraceStep("data", "decision", "We add a test."),
    )
    whole = CanonicalTrace("g", steps, "o", metadata={"team_id": "t-1", "cost_usd": "much"})
    trace = PATTERN.from_trace(whole)
    kinds = ["task", "tool_call", "tool_result", "challenge", "agreement", "question", "decision"]
    assert [message.message_type for message in trace.messages] == kinds
    assert (trace.agents, trace.team_id, trace.cost_usd) == (("ops", "data"), "t-1", None)
    assert {message.timestamp for message in trace.messages} == {NOON}
    assert [(s.agent, s.content) for s in PATTERN.read(trace).steps] == [(s.agent, s.content) for s in steps]
    with pytest.raises(TraceNotReadable, match="2 or more agents"):
        PATTERN.from_trace(CanonicalTrace("g", steps[:2], "o"))
