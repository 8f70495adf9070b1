"""Psychological safety: the contract's formulas, what the rules see in teams, and what a model's answer adds."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.psych_safety import (
    BEHAVIORS,
    PATTERN,
    BehaviorsAnswer,
    InterventionsAnswer,
    MultiAgentSafetyTrace,
    QuickAnswer,
    SafetyIntervention,
    SafetyMessage,
    climate_of,
    profile_of,
    safety_of,
)
from vstack_proto.patterns.psych_safety_texts import BehaviorFinding
from vstack_proto.patterns.talk import Events, Happening
from vstack_proto.trace import AgentInfo, CanonicalTrace, TraceStep


def team(*said: tuple[str, Any, str]) -> MultiAgentSafetyTrace:
    messages = tuple(SafetyMessage(agent, content, kind) for agent, kind, content in said)
    return MultiAgentSafetyTrace("Ship 4.2", ("manager", "qa", "dev", "sre"), messages, "Shipped", False)


SAFE = team(
    ("manager", "task", "We aim for Friday. What speaks against it?"),
    ("qa", "challenge", "I see a risk: two payment tests are red since the retry change."),
    ("manager", "response", "Good that you say so. Dev, what do you make of it?"),
    ("dev", "admission", "I merged the retry change without a test; I can add one today."),
    ("sre", "help_request", "Could someone help me read the rollback doc?"),
    ("dev", "response", "The rollback doc is mine: step three is the switch, I'll sit with you at two."),
    ("qa", "observation", "I compared the failures with the other team's run: same cause."),
    ("manager", "decision", "Then Monday, after the test is green."),
    ("sre", "agreement", "Agreed."),
)
HUSHED = team(
    ("manager", "task", "We ship Friday. Anyone against had better have a reason."),
    ("qa", "observation", "Two payment tests are red"),
    ("manager", "response", "They were red last time as well"),
    ("qa", "agreement", "Understood"),
    ("dev", "admission", "I merged the retry change without a test"),
    ("manager", "response", "Not now"),
    ("sre", "help_request", "Could someone help me read the rollback doc?"),
    ("manager", "vote", "Vote"),
    ("dev", "agreement", "Yes"),
    ("manager", "decision", "Friday it is"),
)
UNANIMOUS = team(
    ("manager", "task", "Plan: ship on Friday."),
    ("qa", "agreement", "Sounds good."),
    ("dev", "agreement", "Agreed."),
    ("sre", "agreement", "Approved."),
    ("manager", "decision", "Shipping."),
)
CONCEALED = team(
    ("manager", "task", "Run the import and report."),
    ("dev", "observation", "ERROR: 40 rows failed"),
    ("dev", "response", "The import is done and completed."),
    ("qa", "response", "There is no need to mention the 40 rows, nobody will notice."),
    ("manager", "response", "Whose fault is this? You broke it."),
)


@pytest.mark.parametrize(
    ("trace", "climate", "profile", "modes"),
    [
        (SAFE, "safe", "safe_team", set()),
        (
            HUSHED,
            "silenced",
            "silenced_team",
            {"orchestrator_overrides", "silenced_team", "stuck_silent", "performative_admission", "errors_concealed"},
        ),
        (UNANIMOUS, "safe", "safe_team", {"artificial_consensus"}),
        (CONCEALED, "cautious", "error_concealment", {"errors_concealed", "blame_after_failure"}),
    ],
)
def test_offline_profiles(trace: MultiAgentSafetyTrace, climate: str, profile: str, modes: set[str]) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.team_climate, found.profile_pattern) == (climate, profile)
    assert {told.rpartition(" (")[0].replace(" ", "_") for told in found.blocking_behaviors} == modes
    assert (found.severity in ("none", "trace")) == (not modes)
    assert {book.failure_mode for book in found.attached_playbooks} == modes
    assert kit.misquotes(PATTERN, trace, found) == []


def test_voice_is_what_a_unanimous_team_lacks() -> None:
    found = kit.offline(PATTERN, UNANIMOUS)
    assert min(found.behavior_scores, key=lambda name: found.behavior_scores[name]) == "voice"
    assert [one.intervention_type for one in found.interventions] == ["dissent_round"]


def test_fear_spills_over() -> None:
    threat = team(("manager", "task", "Do as I say, nobody asked you."), ("qa", "response", "The report is attached."))
    scores = kit.offline(PATTERN, threat).behavior_scores
    assert scores["voice"] < scores["help-seeking"] == scores["boundary-spanning"] < 0.8


def test_failing_alone_is_not_asking() -> None:
    failing = [("dev", "observation", f"error: attempt {number} failed") for number in range(3)]
    asked = [*failing[:2], ("dev", "question", "Who knows this host?"), failing[2]]
    assert "no_help_requests" in {one.name for one in kit.case_of(PATTERN, team(*failing)).signals}
    assert "no_help_requests" not in {one.name for one in kit.case_of(PATTERN, team(*asked)).signals}


def test_offline_audits_are_counted() -> None:
    safe, hushed = kit.offline(PATTERN, SAFE, "forensic"), kit.offline(PATTERN, HUSHED, "forensic")
    assert (safe.voice_audit.challenge_message_count, safe.voice_audit.agreement_only_message_count) == (1, 1)
    assert safe.error_reporting_audit.error_reporting_estimate == 1.0
    assert (hushed.voice_audit.voice_estimate, hushed.voice_audit.agreement_only_message_count) == (0.0, 2)
    assert kit.offline(PATTERN, SAFE).voice_audit is None


@pytest.mark.parametrize(
    ("scores", "climate", "profile"),
    [
        ((0.65, 0.65, 0.65, 0.65), "safe", "safe_team"),
        ((1.0, 1.0, 1.0, 0.0), "safe", "safe_team"),
        ((0.19, 0.19, 0.1, 0.0), "silenced", "all_four_suppressed"),
        ((0.5, 0.3, 0.3, 0.2), "silenced", "silenced_team"),
        ((0.1, 0.3, 0.9, 0.9), "cautious", "voice_absent"),
        ((0.1, 0.2, 0.19, 0.95), "cautious", "error_concealment"),
        ((0.6, 0.1, 0.5, 0.6), "cautious", "help_seeking_blocked"),
        ((0.6, 0.5, 0.5, 0.1), "cautious", "siloed_no_boundary_spanning"),
        ((0.5, 0.5, 0.5, 0.5), "cautious", "cautious_team"),
    ],
)
def test_formulas(scores: tuple[float, ...], climate: str, profile: str) -> None:
    told: dict[str, float] = dict(zip(BEHAVIORS, scores, strict=True))
    assert (climate_of(safety_of(told)), profile_of(told)) == (climate, profile)


@given(st.tuples(*[st.floats(0, 1)] * 4))
def test_profile_and_climate_agree(scores: tuple[float, ...]) -> None:
    told: dict[str, float] = dict(zip(BEHAVIORS, scores, strict=True))
    climate, profile = climate_of(safety_of(told)), profile_of(told)
    assert (profile == "safe_team") == (climate == "safe")
    assert (profile in ("silenced_team", "all_four_suppressed")) == (climate == "silenced")
    assert 0 <= safety_of(told) <= 1


def finding(name: Any, score: float, *proofs: tuple[int, str]) -> BehaviorFinding:
    evidence = tuple(Evidence("because", (step,), quote) for step, quote in proofs)
    return BehaviorFinding(name, score, f"{name} as told", evidence)


FOUND = (
    finding("voice", 0.1, (2, "They were red last time")),
    finding("help-seeking", 0.9, (6, "words of nobody")),
    finding("error-reporting", 0.6, (4, "I merged the retry change")),
    finding("boundary-spanning", 0.5),
)
BLOCKING = (Evidence("threat", (0,), "had better have a reason"), Evidence("made up", (1,), "shut up"))
CHANGE = SafetyIntervention("voice", "dissent_round", description="Ask", suggested_implementation="Before each vote")
VOICE = Events(
    (
        Happening[Any]("agreement_only", 9, "nobody weighed it", "Friday it is"),
        Happening("challenge", 3, "c", "I object"),
    )
)
ERRORS = Events(
    (
        Happening[Any]("admitted", 4, "c", "I merged the retry change"),
        Happening("concealed", 2, "c", "They were red last time"),
        Happening("concealed", 2, "c", "They were red last time"),
    )
)


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"behaviors": QuickAnswer(FOUND, BLOCKING, (CHANGE,))}),
        ("standard", {"behaviors": BehaviorsAnswer(FOUND, BLOCKING), "interventions": InterventionsAnswer((CHANGE,))}),
        (
            "forensic",
            {
                "behaviors": BehaviorsAnswer(FOUND, BLOCKING),
                "voice": VOICE,
                "errors": ERRORS,
                "interventions": InterventionsAnswer((CHANGE,)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, HUSHED, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    plain = kit.offline(PATTERN, HUSHED).behavior_scores
    # A quotation that stands nowhere lifts no score over what the messages show.
    assert (found.behavior_scores["help-seeking"], found.behavior_scores["error-reporting"]) == (
        plain["help-seeking"],
        0.6,
    )
    assert found.blocking_behaviors == ("threat",)
    assert found.behaviors[0].evidence_quotes[0] == "They were red last time"
    assert found.interventions == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["artificial_consensus"]
    assert kit.misquotes(PATTERN, HUSHED, found) == []
    if mode == "forensic":
        assert found.error_reporting_audit is not None
        assert found.voice_audit is not None
        assert found.error_reporting_audit.error_reporting_estimate == 0.5
        assert (found.voice_audit.agreement_only_message_count, found.voice_audit.voice_estimate) == (1, 0.0)
        assert Evidence("nobody weighed it", (9,), "Friday it is") in found.evidence
        assert [one.name for one in PATTERN.passes[mode]] == ["behaviors", "voice", "errors", "interventions"]


def test_present_behaviours_ask_no_second_call_and_a_missing_one_is_absent() -> None:
    case = kit.case_of(PATTERN, SAFE)
    whole = {"behaviors": BehaviorsAnswer(tuple(finding(name, 0.9) for name in BEHAVIORS), ())}
    assert not PATTERN.passes["standard"][1].wanted(case, whole)
    found = PATTERN.conclude(case, {"behaviors": BehaviorsAnswer((finding("voice", 0.9),), ())})
    assert (found.behaviors[1].presence_score, found.behaviors[1].severity_of_absence) == (0.0, "high")


def test_from_trace() -> None:
    steps = (
        TraceStep("lead", "message", "Please time the query."),
        TraceStep("ops", "tool_call", "time query", tool="shell"),
        TraceStep("ops", "observation", "38 ms"),
        TraceStep("ops", "message", "Agreed."),
        TraceStep("user", "message", "hm"),
    )
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", agents=(AgentInfo("idle"),), metadata={"team_id": "t"}))
    assert (trace.agents, trace.team_id) == (("idle", "lead", "ops"), "t")
    assert [one.message_type for one in trace.messages] == [
        "task",
        "observation",
        "observation",
        "agreement",
        "response",
    ]
    assert [one.content for one in PATTERN.read(trace).steps] == [step.content for step in steps]
    with pytest.raises(TraceNotReadable, match="2 or more agents"):
        PATTERN.from_trace(CanonicalTrace("g", steps[1:3], "o"))
