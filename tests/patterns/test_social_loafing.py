"""Social loafing: the contract's bodies and shapes, what is found offline, and how canonical traces are read."""

from __future__ import annotations

import datetime as dt
import string
from typing import Any

import contract_kit as kit
import msgspec
import pytest
from social_loafing_teams import BALANCED, DELEGATED, SILENT, STAMPED, roles, team

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.social_loafing import PATTERN, LoafingMessage, MultiAgentTaskTrace, SocialLoafingDetection
from vstack_proto.patterns.social_loafing_texts import PLAYBOOKS
from vstack_proto.trace import AgentInfo, CanonicalTrace, TraceStep

# --- Contract ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", kit.bodies("social_loafing", "valid"))
def test_valid_bodies_are_accepted(body: Any) -> None:
    assert kit.refusals(PATTERN, body) == []
    assert isinstance(kit.offline(PATTERN, kit.trace_of(PATTERN, body)), SocialLoafingDetection)


@pytest.mark.parametrize("body", kit.bodies("social_loafing", "invalid"))
def test_invalid_bodies_are_refused(body: Any) -> None:
    assert kit.refusals(PATTERN, body)


def test_shapes_are_the_contracts() -> None:
    assert kit.output_differences(PATTERN) == []
    assert kit.input_differences(PATTERN) == []
    assert kit.catalogue_differences(PATTERN) == []


def test_refusals_name_the_field() -> None:
    trace = MultiAgentTaskTrace(" ", ("a", "a"), (), "\n")
    assert {fault.pointer for fault in PATTERN.faults(trace)} == {"/outcome", "/task", "/agents", "/messages"}


def test_equal_moments_encode_equally() -> None:
    plain = {"from_agent": "a", "message_type": "other", "content": ""}
    local = msgspec.convert({**plain, "timestamp": "2026-03-08T10:00:00+01:00"}, LoafingMessage)
    naive = msgspec.convert({**plain, "timestamp": "2026-03-08T09:00:00"}, LoafingMessage)
    assert msgspec.json.encode(local) == msgspec.json.encode(naive)


def test_the_framework_text_is_of_the_agreed_length() -> None:
    assert 120 <= len(PATTERN.framework.split()) <= 250


# --- Offline -----------------------------------------------------------------------------------------------------


def test_a_team_where_everybody_works_is_healthy() -> None:
    found = kit.offline(PATTERN, BALANCED)
    assert (found.loafing_quality, found.profile_pattern) == ("no-loafing", "balanced_team")
    assert found.severity in ("none", "trace")
    assert found.interventions == found.free_riding_chains == found.evidence == ()
    assert kit.case_of(PATTERN, BALANCED).signals == ()


def test_stamps_on_one_members_work() -> None:
    found = kit.offline(PATTERN, STAMPED)
    assert roles(found) == {"ann": "primary-contributor", "bob": "loafer", "cid": "loafer"}
    assert (found.loafing_quality, found.profile_pattern) == ("severe-loafing", "single_dominant_contributor")
    assert found.severity == "medium"
    assert found.gini_coefficient == pytest.approx(0.6667)
    ann, bob, _ = found.agent_contributions
    assert (ann.contribution_share, ann.loafing_score) == (1.0, 0.0)
    assert (bob.substantive_work_count, bob.cosmetic_work_count, bob.loafing_score) == (0, 2, 1.0)
    assert "steps 1, 4" in bob.explanation
    assert "Looks good to me" in bob.evidence_quotes
    assert [(c.loafer_agent, c.enabling_messages) for c in found.free_riding_chains] == [
        ("bob", (0, 1, 3, 4)),
        ("cid", (0, 2, 3, 5)),
    ]
    assert {one.target_agent for one in found.interventions} == {"bob", "cid", "team"}
    assert found.composition_handoff.downstream_patterns == ("vstack.grpi", "vstack.mcgregor")


def test_signals_of_the_stamped_team() -> None:
    signals = {(signal.name, signal.steps) for signal in kit.case_of(PATTERN, STAMPED).signals}
    assert signals >= {
        ("rubber_stamp", (1,)),
        ("rubber_stamp", (2,)),
        ("paraphrase", (4,)),
        ("approval", (5,)),
        ("unbacked_check", (5,)),
        ("waved_through", (0,)),
        ("waved_through", (3,)),
    }


def test_handing_out_and_executing_work_is_no_loafing() -> None:
    found = kit.offline(PATTERN, DELEGATED)
    assert "loafer" not in roles(found).values()
    assert found.loafing_quality == "no-loafing"


def test_a_small_share_of_a_delegator_is_explained() -> None:
    worker = [("dora", "tool_call", f"measure {' '.join(f'{word}{n}' for word in 'abcdefghij')}") for n in range(6)]
    found = kit.offline(
        PATTERN, team(("lead", "handoff", "dora measures"), *worker, ("lead", "handoff", "again, dora"))
    )
    lead = found.agent_contributions[0]
    assert lead.role == "secondary-contributor"
    assert "hands out work" in lead.explanation
    # Shares so far apart are loafing by the contract's coefficient; without a rider the answer says how unsure that is.
    assert (found.loafing_quality, found.confidence) == ("mild-loafing", 0.3)
    assert [(one.target_agent, one.intervention_type) for one in found.interventions] == [("team", "decompose_task")]


def test_absent_members_weigh_though_the_coefficient_leaves_them_out() -> None:
    found = kit.offline(PATTERN, SILENT)
    assert roles(found) == {"ann": "primary-contributor", "bob": "absent", "cid": "absent"}
    assert found.gini_coefficient == 0.0
    assert (found.loafing_quality, found.profile_pattern) == ("severe-loafing", "absent_agent")
    assert found.severity == "moderate"
    assert [row.loafing_score for row in found.agent_contributions] == [0.0, 1.0, 1.0]
    assert [book.failure_mode for book in found.attached_playbooks] == ["no_contribution"]


def test_an_absent_member_that_was_addressed_can_go() -> None:
    asked = msgspec.structs.replace(
        SILENT, messages=(*SILENT.messages, LoafingMessage("ann", "question", "Can you measure it?", to_agent="bob"))
    )
    kinds = {one.target_agent: one.intervention_type for one in kit.offline(PATTERN, asked).interventions}
    assert kinds == {"bob": "remove_loafer", "cid": "assign_subgoals"}


PROFILES = [
    ("all_loafers", team(("a", "rubber_stamp", "+1"), ("b", "rubber_stamp", "LGTM"))),
    ("two_contributors_n_loafers", team(
        ("a", "proposal", "Redis holds keys in memory"), ("b", "critique", "Restart empties volatile caches entirely"),
        ("c", "rubber_stamp", "Fine"), ("d", "rubber_stamp", "Great"),
    )),
    ("ringelmann_dilution", team(
        *(("a", "tool_call", " ".join(f"{letter}{n}" for letter in string.ascii_lowercase)) for n in range(9)),
        *((name, "tool_call", f"look {name}") for name in ("b1", "c1", "d1", "e1")),
    )),
    ("anonymous_evaluation_signal", team(
        *(("a", "tool_call", " ".join(f"{letter}{n}" for letter in string.ascii_lowercase)) for n in range(9)),
        *((name, "tool_call", f"look {name}") for name in ("b1", "c1", "d1")),
    )),
    ("indeterminate", team(
        *(("a", "tool_call", " ".join(f"{letter}{n}" for letter in string.ascii_lowercase)) for n in range(9)),
        *((name, "tool_call", f"look {name}") for name in ("b1", "c1", "d1")), has_per_agent_evaluation=True,
    )),
    ("rubber_stamp_pattern", team(
        ("a", "proposal", "Redis holds keys in memory"), ("b", "critique", "Restart empties volatile caches entirely"),
        ("c", "tool_call", "bench postgres clients sixty four"), ("d", "rubber_stamp", "Great"),
        ("a", "rubber_stamp", "OK"), ("a", "rubber_stamp", "OK"),
        has_per_agent_evaluation=True,
    )),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "trace"), PROFILES, ids=lambda value: value if isinstance(value, str) else "")
def test_profiles(profile: str, trace: MultiAgentTaskTrace) -> None:
    assert kit.offline(PATTERN, trace).profile_pattern == profile


def test_a_success_does_not_hide_a_ride() -> None:
    modes = [
        book.failure_mode
        for book in kit.offline(PATTERN, msgspec.structs.replace(STAMPED, success=True)).attached_playbooks
    ]
    assert "high_team_low_individual" in modes


def test_who_is_not_of_the_team_has_no_row_but_has_spoken() -> None:
    trace = team(
        ("user", "other", "Redis keeps expiry per key"),
        ("ann", "proposal", "Redis keeps expiry per key"),
        ("bob", "proposal", "Measure failover with counters"),
        agents=("ann", "bob"),
    )
    assert roles(kit.offline(PATTERN, trace)) == {"ann": "loafer", "bob": "primary-contributor"}


def test_every_playbook_can_be_reached() -> None:
    traces = [
        BALANCED,
        STAMPED,
        SILENT,
        msgspec.structs.replace(STAMPED, success=True),
        *(trace for _, trace in PROFILES),
    ]
    reached = {
        (book.role, book.failure_mode) for trace in traces for book in kit.offline(PATTERN, trace).attached_playbooks
    }
    by_model = {("loafer", mode) for mode in PATTERN.attach.values()}
    assert {(book.role, book.failure_mode) for book in PLAYBOOKS} <= reached | by_model


# --- Canonical traces --------------------------------------------------------------------------------------------

SAID: list[tuple[str, str, str]] = [
    ("message", "Looks good to me!", "rubber_stamp"),
    ("message", "+1", "rubber_stamp"),
    ("message", "I agree with the verified length of the tuna as reported.", "approval"),
    ("message", "I agree, but the length is wrong for the bluefin.", "critique"),
    ("message", "The figure in row 7 contradicts the census table.", "critique"),
    ("message", "```python\nprint(1)\n```", "tool_call"),
    ("message", "exitcode: 0 (execution succeeded)\nCode output: 4", "observation"),
    ("message", "Which year does the census table cover?", "question"),
    ("message", "Let's search the census table by county.", "proposal"),
    ("message", "FINAL ANSWER: 42", "decision"),
    ("message", "Next speaker Surveyor", "handoff"),
    ("message", "The page lists 14 counties.", "observation"),
    ("message", "TERMINATE", "other"),
    ("message", "", "other"),
    ("tool-result", "anything", "observation"),
    ("Tool Call", "anything", "tool_call"),
    ("rubber_stamp", "a long and detailed objection", "rubber_stamp"),
]


@pytest.mark.parametrize(("kind", "content", "expected"), SAID)
def test_what_a_message_is(kind: str, content: str, expected: str) -> None:
    canonical = CanonicalTrace("g", (TraceStep("a", kind, content), TraceStep("b", "message", "x")), "o")
    assert PATTERN.from_trace(canonical).messages[0].message_type == expected


def test_an_echo_is_a_paraphrase_of_somebody_else_only() -> None:
    first = "The bluefin tuna reaches three metres according to the museum"
    echo = "So according to the museum, bluefin tuna reaches three metres"
    steps = (TraceStep("a", "message", first), TraceStep("b", "message", echo), TraceStep("b", "message", echo))
    kinds = [message.message_type for message in PATTERN.from_trace(CanonicalTrace("g", steps, "o")).messages]
    assert kinds[1] == kinds[2] == "paraphrase"
    alone = (TraceStep("a", "message", first), TraceStep("a", "message", echo), TraceStep("b", "message", "Nine"))
    assert PATTERN.from_trace(CanonicalTrace("g", alone, "o")).messages[1].message_type != "paraphrase"


TEAMS: list[tuple[tuple[str | AgentInfo, ...], tuple[str, ...], tuple[str, ...]]] = [
    ((), ("human", "Planner", "Surfer"), ("Planner", "Surfer")),
    ((), ("Expert", "Checker", "Computer_terminal"), ("Expert", "Checker")),
    ((), ("Expert", "Computer_terminal"), ("Expert", "Computer_terminal")),
    (("human", AgentInfo("Idle")), ("Planner",), ("human", "Idle", "Planner")),
]


@pytest.mark.parametrize(("listed", "speaking", "expected"), TEAMS)
def test_who_is_of_the_team(
    listed: tuple[str | AgentInfo, ...], speaking: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    steps = tuple(TraceStep(agent, "message", "Nine") for agent in speaking)
    assert PATTERN.from_trace(CanonicalTrace("g", steps, "o", listed)).agents == expected


@pytest.mark.parametrize("speaking", [("a",), ("user", "assistant")])
def test_a_team_needs_two(speaking: tuple[str, ...]) -> None:
    steps = tuple(TraceStep(agent, "message", "Nine") for agent in speaking)
    with pytest.raises(TraceNotReadable, match="2 or more agents"):
        PATTERN.from_trace(CanonicalTrace("g", steps, "o"))


def test_what_a_canonical_trace_carries_over() -> None:
    at = dt.datetime(2026, 3, 8, tzinfo=dt.UTC)
    steps = (
        TraceStep("a", "message", "Nine", timestamp=at, metadata={"channel": "-> b"}),
        TraceStep("b", "message", "Ten", metadata={"to": "a"}),
    )
    canonical = CanonicalTrace(
        "g", steps, "o", success=True, framework="crewai", metadata={"has_per_agent_evaluation": True}
    )
    trace = PATTERN.from_trace(canonical)
    assert [(m.to_agent, m.timestamp, m.message_type) for m in trace.messages] == [
        ("b", at, "handoff"),
        ("a", None, "handoff"),
    ]
    assert (trace.task, trace.outcome, trace.success, trace.framework) == ("g", "o", True, "crewai")
    assert trace.has_per_agent_evaluation


@pytest.mark.parametrize("run", kit.labelled_traces())
def test_evidence_stands_in_labelled_traces(run: Any) -> None:
    canonical = kit.canonical_of(run)
    trace = PATTERN.from_trace(canonical)
    assert [(m.from_agent, m.content) for m in trace.messages] == [(s.agent, s.content) for s in canonical.steps]
    case = kit.case_of(PATTERN, trace)
    found = PATTERN.assess_offline(case)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert case.grounding.dropped == 0
    for row in found.agent_contributions:
        own = [message.content for message in trace.messages if message.from_agent == row.agent_name]
        assert all(any(quote in content for content in own) for quote in row.evidence_quotes)
