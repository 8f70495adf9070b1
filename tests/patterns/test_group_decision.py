"""The group decision: the contract's formulas and tallies, the protocols, and what a model's answer adds."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.group_decision import PATTERN, DecisionRequest, fit_of, plan_for, profile_of
from vstack_proto.patterns.group_decision_numbers import Vote, tally
from vstack_proto.patterns.group_decision_passes import (
    ChangesAnswer,
    DecisionIntervention,
    ProtocolAnswer,
    RehearsalAnswer,
    Rehearsed,
    RiskFinding,
    RisksAnswer,
)
from vstack_proto.patterns.group_decision_texts import PROTOCOLS, DecisionOption
from vstack_proto.trace import CanonicalTrace, TraceStep

NOTHING = ProtocolAnswer("", (), "", "", ())


def request(*options: str, title: str = "Choose", agents: int = 3, stakes: Any = "medium", **told: Any) -> Any:
    listed = tuple(DecisionOption(f"o{number}", text) for number, text in enumerate(options or ("one", "two")))
    return DecisionRequest(title, listed, tuple(f"a{number}" for number in range(agents)), stakes, **told)


@pytest.mark.parametrize("which", ["minimal", "rich"])
def test_golden(which: str) -> None:
    golden = kit.golden("group_decision")
    case = kit.case_of(PATTERN, kit.trace_of(PATTERN, kit.body("group_decision", which)), golden["mode"])
    found = msgspec.to_builtins(PATTERN.conclude(case, {"protocol": NOTHING}))
    assert {name: found[name] for name in golden[which]} == golden[which]
    assert found["protocol_steps"] == PROTOCOLS["majority"].steps
    assert found["threshold"] == PROTOCOLS["majority"].threshold


def test_golden_tallies() -> None:
    for entry in kit.golden("group_decision", "golden_tally.json"):
        votes = msgspec.convert(entry["votes"], tuple[Vote, ...])
        found = msgspec.json.decode(msgspec.json.encode(tally(votes, entry["method"], entry["quorum"])))
        assert found.pop("explanation")
        assert found == entry["result"], entry


def ballots(*told: Any) -> tuple[Vote, ...]:
    return tuple(Vote(f"v{number}", *vote) for number, vote in enumerate(told))


@pytest.mark.parametrize(
    ("votes", "method", "outcome", "winner", "dissenters"),
    [
        (ballots((None,), (None,)), "majority", "insufficient_votes", None, ()),
        (ballots(("x",), ("x",), ("y",), ("z",)), "majority", "insufficient_votes", None, ()),
        (ballots(("x",), ("y",), (None,)), "unanimous", "blocked", None, ("v1",)),
        (ballots(("x", 2), ("x", 3)), "fist_to_five", "blocked", None, ()),
        (ballots(("x", 4), ("y", 0)), "fist_to_five", "decided", "x", ("v1",)),
    ],
)
def test_tallies_beyond_the_golden(votes: Any, method: Any, outcome: str, winner: Any, dissenters: Any) -> None:
    found = tally(votes, method, None)
    assert (found.outcome, found.winner, found.dissenters) == (outcome, winner, dissenters)


VOTES = st.lists(
    st.builds(Vote, st.sampled_from("abcdef"), st.sampled_from(["x", "y", None]), st.none() | st.integers(0, 5)),
    max_size=8,
)


@given(VOTES, st.sampled_from(list(PROTOCOLS)), st.none() | st.integers(1, 6))
def test_a_winner_has_votes_and_only_a_decision_has_a_winner(votes: Any, method: Any, quorum: Any) -> None:
    found = tally(votes, method, quorum)
    assert (found.winner is not None) == (found.outcome == "decided")
    assert found.winner is None or found.vote_counts[found.winner] >= 1
    assert sum(found.vote_counts.values()) <= len(votes)


@pytest.mark.parametrize(
    ("told", "model", "fit", "profile"),
    [
        ({"stakes": "low"}, "consensus", 0.5, "consensus_overused"),
        ({"stakes": "low", "reversibility": "irreversible"}, "consensus", 0.5, "indeterminate"),
        ({"buy_in_required": True}, "majority", 0.5, "majority_when_consensus_needed"),
        ({"buy_in_required": True}, "concurring", 0.3, "concurring_when_buyin_needed"),
        ({"buy_in_required": True, "stakes": "low"}, "majority", 0.65, "fist_to_five_underused"),
        ({"stakes": "high", "regulatory_exposure": True}, "unanimous", 0.75, "good_fit_protocol"),
        ({"stakes": "high", "time_pressure": "urgent"}, "unanimous", 0.55, "indeterminate"),
        ({"stakes": "low", "time_pressure": "urgent"}, "majority", 0.7, "good_fit_protocol"),
        (
            {"stakes": "high", "buy_in_required": True, "regulatory_exposure": True},
            "consensus",
            0.9,
            "good_fit_protocol",
        ),
    ],
)
def test_fits_and_profiles(told: Any, model: Any, fit: float, profile: str) -> None:
    trace = request(**told)
    assert (fit_of(trace, model), profile_of(trace, plan_for(trace, model))) == (fit, profile)


@pytest.mark.parametrize(("quorum", "tie", "profile"), [(None, "x", "no_quorum_specified"), (2, " ", "no_tie_breaker")])
def test_a_majority_needs_quorum_and_tie_breaker(quorum: Any, tie: str, profile: str) -> None:
    trace = request()
    plan = msgspec.structs.replace(plan_for(trace, "majority"), quorum=quorum, tie_breaker=tie)
    assert profile_of(trace, plan) == profile


QUICKLY = request("ruff", "flake8", stakes="low", time_pressure="urgent")
LAW = request("lake", "warehouse", stakes="high", regulatory_exposure=True, buy_in_required=True)
HIDDEN = request("delete the old cluster", "keep it; GDPR forbids nothing", title="What of the old data?", stakes="low")
FORCED = request(stakes="high", reversibility="irreversible", forced_model="concurring")


@pytest.mark.parametrize(
    ("trace", "model", "profile", "severity", "kinds"),
    [
        (QUICKLY, "majority", "good_fit_protocol", "low", set()),
        (LAW, "consensus", "good_fit_protocol", "none", set()),
        (HIDDEN, "majority", "indeterminate", "low", {"human_review"}),
        (FORCED, "concurring", "indeterminate", "moderate", {"switch_to_unanimous"}),
    ],
)
def test_offline(trace: DecisionRequest, model: str, profile: str, severity: str, kinds: set[str]) -> None:
    found = kit.offline(PATTERN, trace, "forensic")
    assert (found.recommended_model, found.profile_pattern, found.severity) == (model, profile, severity)
    assert {one.intervention_type for one in found.interventions} == kinds
    assert bool(found.evidence) == bool(kit.case_of(PATTERN, trace).signals) == ("human_review" in kinds)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert 2 <= found.quorum <= len(trace.agents)
    assert found.tally_integrity_audit.integrity_estimate == 1.0
    assert found.method_fit_audit.fit_score == found.fit_score
    assert found.method_fit_audit.stakes_aligned == (trace is not FORCED)
    assert found.tally_result is None


def test_votes_of_the_metadata_are_counted() -> None:
    votes = [{"agent_name": name, "option_id": "o0"} for name in ("a0", "a1")]
    found = kit.offline(PATTERN, request(stakes="low", metadata={"votes": votes}))
    assert (found.tally_result.outcome, found.tally_result.winner) == ("decided", "o0")
    assert kit.offline(PATTERN, request(metadata={"votes": "many"})).tally_result is None


GIVEN = ProtocolAnswer(
    "A delete has no way back.", ("Vote", " "), "", "", (Evidence("no way back", (1,), "delete the old cluster"),),
    "fist_to_five", 9, "fist_to_five",
)  # fmt: skip
LAWFUL = RiskFinding("Law is touched.", (Evidence("law", (2,), "GDPR"),))
RISKS = RisksAnswer((LAWFUL, RiskFinding("Nobody said so.", (Evidence("none", (2,), "words that are not there"),))))
CHANGES = ChangesAnswer(
    (DecisionIntervention("model", "switch_to_fist_to_five", description="Score", suggested_implementation="0 to 5"),)
)

REHEARSAL = RehearsalAnswer((Rehearsed("tie", "the oldest agent", "Somebody has to choose."),))


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"protocol": GIVEN}),
        ("standard", {"protocol": GIVEN, "changes": CHANGES}),
        ("forensic", {"protocol": GIVEN, "risks": RISKS, "rehearsal": REHEARSAL, "changes": CHANGES}),
    ],
)
def test_a_good_answer_reaches_the_protocol(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, HIDDEN, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found, fixed = PATTERN.conclude(case, answers), PROTOCOLS["fist_to_five"]
    assert (found.recommended_model, found.rationale) == ("fist_to_five", "A delete has no way back.")
    assert (found.protocol_steps, found.threshold) == (("Vote",), fixed.threshold)
    # A quorum above the group's size cannot be met, and a rule is no fallback of its own.
    assert (found.quorum, found.fallback_model) == (3, None)
    # Switching to the rule that is chosen already is no change.
    assert {one.intervention_type for one in found.interventions} == {"add_tie_breaker", "human_review"}
    assert [book.failure_mode for book in found.attached_playbooks] == ["ambiguous_protocol"]
    assert found.evidence[0].quote == "delete the old cluster"
    assert kit.misquotes(PATTERN, HIDDEN, found) == []
    assert case.grounding.dropped == (mode == "forensic")
    if mode == "forensic":
        assert found.method_fit_audit is not None
        assert "Law is touched." in found.method_fit_audit.explanation
        assert "Nobody" not in found.method_fit_audit.explanation
        assert found.tally_integrity_audit is not None
        assert found.tally_integrity_audit.integrity_estimate == 0.25
        assert "Left open, tie: Somebody has to choose." in found.tally_integrity_audit.explanation


SETTLED = ProtocolAnswer(
    "why",
    ("Write down a choice.", "Record every dissent."),
    "more than half",
    "the lead",
    (),
    "majority",
    3,
    "consensus",
)


@pytest.mark.parametrize(
    ("told", "settled", "kinds"),
    [
        ((), 4, set()),
        ((("tie", "the lead"), ("too_few", "quorum: 3"), ("deadlock", ""), ("dissent", "Record every")), 3, set()),
        ((("tie", "the boss decides"), ("tie", "the lead")), 3, {"add_tie_breaker"}),
        ((("too_few", "whoever is there"),), 3, {"add_quorum"}),
    ],
)
def test_a_situation_is_settled_by_words_of_the_protocol(told: Any, settled: int, kinds: set[str]) -> None:
    case = kit.case_of(PATTERN, request(), "forensic")
    rehearsal = RehearsalAnswer(tuple(Rehearsed(situation, words, "It stands still.") for situation, words in told))
    found = PATTERN.conclude(case, {"protocol": SETTLED, "rehearsal": rehearsal})
    assert found.tally_integrity_audit is not None
    assert found.tally_integrity_audit.integrity_estimate == settled / 4
    assert {one.intervention_type for one in found.interventions} == kinds


def test_from_a_canonical_trace() -> None:
    whole = CanonicalTrace("Pick a linter", (TraceStep("x", "message", "?"), TraceStep("y", "message", "!")), "ruff")
    with pytest.raises(TraceNotReadable, match="options and stakes"):
        PATTERN.from_trace(whole)
    told = {"options": [{"option_id": "a", "description": "ruff"}], "stakes": "low"}
    trace = PATTERN.from_trace(msgspec.structs.replace(whole, metadata=told))
    assert (trace.title, trace.agents) == ("Pick a linter", ("x", "y"))
    assert [fault.pointer for fault in PATTERN.faults(trace)] == ["/options"]
