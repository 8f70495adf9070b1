"""debate_pathology: rounds, profiles, caught tones, and what a model's answer can and cannot change."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.common import MODES, Evidence, Mode
from vstack_proto.patterns.debate_pathology import PATTERN, MultiAgentDebateTrace
from vstack_proto.patterns.debate_pathology_passes import (
    AuditAnswer,
    DebateAnswer,
    DebateIntervention,
    Finding,
    FlipsAnswer,
    QuickAnswer,
    RemedyAnswer,
)
from vstack_proto.patterns.debate_pathology_signs import DebateMessage, convergence_round, diversity, rounds_of
from vstack_proto.patterns.debate_pathology_texts import profile_of, quality_of
from vstack_proto.patterns.tested import Fate
from vstack_proto.trace import CanonicalTrace, TraceStep

M = DebateMessage


def debate(*messages: DebateMessage, agents: tuple[str, ...] = ("ann", "bob", "cid")) -> MultiAgentDebateTrace:
    return MultiAgentDebateTrace("Which store?", agents, messages, "Postgres", "it held", True, "d-1", "autogen")


HEALTHY = debate(
    M(1, "ann", "Redis: the sessions are small and expire.", "redis", "calm"),
    M(1, "bob", "Postgres, but what if the table grows? I would measure it.", "postgres", "neutral"),
    M(1, "cid", "Redis. One concern: we have nobody on call for it.", "redis", "calm"),
    M(2, "bob", "Measured on the copy: 4 ms at 10 million rows.", "postgres", "calm"),
    M(2, "ann", "4 ms is within budget, and the data show no growth, therefore Postgres.", "postgres", "calm"),
    M(2, "cid", "Your point on the call rota stands; with that figure I am convinced too.", "postgres", "calm"),
)
COLLAPSED = debate(
    M(1, "ann", "Rewrite it. Everyone serious has left the old stack.", "rewrite"),
    M(1, "bob", "The hot path is SQL; a rewrite gains nothing.", "keep"),
    M(2, "ann", "Keeping it is cowardly, get on board.", "rewrite"),
    M(2, "bob", "If all of you want it, fine.", "rewrite"),
    M(2, "cid", "Then we rewrite.", "rewrite"),
)
RISKY = debate(
    M(1, "ann", "Ten percent in the new fund.", "10 %"),
    M(1, "bob", "Twenty would do.", "20 %"),
    M(2, "ann", "Make it thirty.", "30 %"),
    M(2, "bob", "Why stop there, go all in on fifty.", "50 %"),
    M(3, "ann", "Seventy, and no need for a pilot.", "70 %"),
    M(3, "bob", "Ninety!", "90 %"),
)
HEATED = debate(
    M(1, "ann", "You broke the build again.", emotional_tone="heated"),
    M(1, "bob", "I checked the log.", emotional_tone="calm"),
    M(1, "ann", "Nobody asked you.", emotional_tone="heated"),
    M(2, "bob", "Then mend it yourself.", emotional_tone="heated"),
    M(2, "cid", "Is it safe to ship?", emotional_tone="neutral"),
    M(2, "cid", "We will lose the customer.", emotional_tone="anxious"),
    M(3, "bob", "We might lose two.", emotional_tone="anxious"),
)


@pytest.mark.parametrize("which", ["minimal", "rich"])
def test_golden(which: str) -> None:
    expected = kit.golden("debate_pathology")[which]["convergence_round"]
    trace = kit.trace_of(PATTERN, kit.body("debate_pathology", which))
    assert kit.offline(PATTERN, trace, "quick").convergence_round == expected


@pytest.mark.parametrize(
    ("trace", "dominant", "profile", "severity", "kinds"),
    [
        (HEALTHY, "none-observed", "healthy_debate", "none", []),
        (COLLAPSED, "groupthink", "premature_convergence", "critical", ["secret_ballot", "round_robin_dissent"]),
        (RISKY, "polarization", "polarization_runaway", "high", ["anchor_to_base_rates", "external_arbiter"]),
        (HEATED, "contagion", "tone_overrides_content", "high", ["smaller_panel", "cool_down_pause"]),
    ],
    ids=["healthy", "collapsed", "risky", "heated"],
)
def test_offline_reads_as_a_reader_would(
    trace: MultiAgentDebateTrace, dominant: str, profile: str, severity: str, kinds: list[str]
) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.dominant_pathology, found.profile_pattern, found.severity) == (dominant, profile, severity)
    assert [one.intervention_type for one in found.interventions] == kinds
    assert len(found.attached_playbooks) == len(kinds)
    assert bool(found.evidence) is bool(kinds)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert found.composition_handoff.downstream_patterns[-1] == "vstack.aar"


def test_a_collapse_is_told_step_by_step() -> None:
    found = kit.offline(PATTERN, COLLAPSED)
    quotes = {item.quote: item.steps for item in found.evidence}
    assert quotes["If all of you want it, fine."] == (3,)
    assert quotes["Keeping it is cowardly, get on board."] == (2,)
    audit = found.convergence_audit
    assert (audit.initial_position_diversity, audit.final_position_diversity) == (1.0, 0.0)
    assert (audit.convergence_round, audit.abrupt_convergence) == (2, True)


def test_tones_are_counted() -> None:
    audit = kit.offline(PATTERN, HEATED).tone_cascade_audit
    assert (audit.heated_turn_count, audit.calm_turn_count, audit.tone_flip_count) == (3, 2, 3)
    # Caught: bob's heat from ann, cid's worry from bob, bob's worry from cid; of six turns that could.
    assert (audit.dominant_tone, audit.cascade_strength) == ("heated", 0.5)
    assert "3 from 2" in audit.explanation


def test_cheer_with_a_reason_is_not_caught() -> None:
    cheer = (M(1, "ann", "This is amazing!"), M(1, "bob", "Brilliant, because the test shows half the cost."))
    assert kit.offline(PATTERN, debate(*cheer)).interventions == ()
    mood = (M(1, "ann", "This is amazing!"), M(1, "bob", "Brilliant, love it!"))
    assert kit.offline(PATTERN, debate(*mood)).dominant_pathology == "contagion"


def test_one_voice_of_three_is_no_debate() -> None:
    same = debate(*(M(1, name, "Kafka is the one.", " Kafka") for name in ("ann", "bob", "cid")))
    found = kit.offline(PATTERN, same)
    assert found.pathology_scores == {"groupthink": 0.3, "polarization": 0.3, "contagion": 0.0}
    assert found.convergence_round == 1


RULES = [
    ((0.3, 0.0, 0.0), 1, "healthy_debate"),
    ((0.6, 0.6, 0.0), 1, "multi_pathology_severe"),
    ((0.7, 0.0, 0.0), 2, "premature_convergence"),
    ((0.6, 0.0, 0.0), 3, "groupthink_collapse"),
    ((0.0, 0.61, 0.0), None, "polarization_runaway"),
    ((0.5, 0.0, 0.6), None, "tone_overrides_content"),
    ((0.4, 0.4, 0.4), None, "dissent_suppressed"),
    ((0.0, 0.4, 0.0), None, "indeterminate"),
]


@pytest.mark.parametrize(("told", "converged", "profile"), RULES)
def test_profile_rules(told: tuple[float, ...], converged: int | None, profile: str) -> None:
    scores = dict(zip(("groupthink", "polarization", "contagion"), told, strict=True))
    assert profile_of(scores, quality_of(max(told)), converged) == profile


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from("abcd"), st.sampled_from(["x", "X ", "y", ""]))))
def test_rounds_of_any_debate(rows: list[tuple[int, str, str]]) -> None:
    messages = [M(number, agent, "c", position) for number, agent, position in rows]
    rounds = rounds_of(messages)
    assert list(rounds) == sorted(rounds)
    assert all(0.0 <= diversity(stated) <= 1.0 for stated in rounds.values())
    converged = convergence_round("abcd", messages)
    if converged is not None:
        assert diversity(rounds[converged]) == 0.0
        assert len({agent for _, agent, _ in rounds[converged]}) >= 3


GOOD = Finding(
    "groupthink",
    score=0.9,
    explanation="bob gives way.",
    evidence=(Evidence("gives way", (3,), "If all of you want it"),),
)
MADE_UP = Finding(
    "contagion", score=0.9, explanation="All shout.", evidence=(Evidence("shouts", (0,), "I AM SHOUTING"),)
)
CHANGE = DebateIntervention(
    "groupthink", "secret_ballot", description="Vote unseen", suggested_implementation="Ask each alone"
)
UNASKED = DebateIntervention("contagion", "cool_down_pause", description="Pause", suggested_implementation="Wait")
COMPOSED = DebateIntervention(
    "groupthink",
    "compose_pattern",
    description="Look on",
    suggested_implementation="Run it",
    composition_target_pattern="made.up",
)


def moved(kind: Any, step: int, quote: str, met_step: int = 3, met: str = "If all of you want it") -> Fate[Any]:
    return Fate(kind, step, quote, met_step, met)


BY_NUMBERS = moved("numbers", 2, "get on board")
# Words that stand nowhere move nobody, and neither do words that come after.
NOWHERE, BACKWARDS = moved("argument", 2, "because of the cost"), moved("argument", 4, "Then we rewrite")


@pytest.mark.parametrize("mode", MODES)
def test_a_model_is_believed_as_far_as_it_quotes(mode: Mode) -> None:
    case = kit.case_of(PATTERN, COLLAPSED, mode)
    changes = (CHANGE, UNASKED, COMPOSED)
    answers: dict[str, Any] = {"debate": DebateAnswer((GOOD, MADE_UP))}
    if mode == "quick":
        answers = {"debate": QuickAnswer((GOOD, MADE_UP), changes)}
    else:
        answers["interventions"] = RemedyAnswer(changes)
    if mode == "forensic":
        answers["audit"] = AuditAnswer(
            "bob moved last.", "It was calm.", (Evidence("ends it", (4,), "Then we rewrite"),)
        )
        answers["flips"] = FlipsAnswer((BY_NUMBERS, NOWHERE, BACKWARDS))
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    assert case.grounding.cited == 0
    found = PATTERN.conclude(case, answers)
    assert found.pathology_scores == {"groupthink": 0.9, "polarization": 0.0, "contagion": 0.0}
    assert [(one.target_pathology, one.intervention_type) for one in found.interventions] == [
        ("groupthink", "secret_ballot"), ("groupthink", "compose_pattern"),
    ]  # fmt: skip
    assert found.interventions[1].composition_target_pattern == "vstack.devils_advocate"
    assert [book.failure_mode for book in found.attached_playbooks] == ["self_censorship"]
    assert found.evidence[0] == Evidence("gives way", (3,), "If all of you want it")
    assert ("Then we rewrite" in [item.quote for item in found.evidence]) is (mode == "forensic")
    assert found.pathologies[0].evidence_quotes == ("If all of you want it",)
    assert found.pathologies[0].severity == "high"
    assert case.grounding.dropped == (2 if mode == "forensic" else 1)
    if mode == "forensic":
        assert found.convergence_audit is not None
        assert "What moved members: numbers 1." in found.convergence_audit.explanation
        assert any("by numbers and not by argument" in item.claim for item in found.evidence)


@pytest.mark.parametrize(
    ("flips", "score"),
    [
        ((), 0.9),
        ((BY_NUMBERS,), 0.9),
        ((moved("argument", 1, "a rewrite gains nothing"),), 0.45),
        ((BY_NUMBERS, moved("argument", 1, "a rewrite gains nothing")), 0.675),
        ((moved("tone", 2, "cowardly"),), 0.45),
        ((NOWHERE, BACKWARDS), 0.9),
    ],
)
def test_half_of_a_pathology_is_what_moved_the_members(flips: tuple[Fate[Any], ...], score: float) -> None:
    case = kit.case_of(PATTERN, COLLAPSED, "forensic")
    answers = {"debate": DebateAnswer((GOOD,)), "flips": FlipsAnswer(flips)}
    assert PATTERN.conclude(case, answers).pathology_scores["groupthink"] == score


def test_where_nothing_was_found_nothing_is_asked_or_proposed() -> None:
    case = kit.case_of(PATTERN, HEALTHY)
    calm = DebateAnswer((Finding("groupthink", score=0.1, explanation="Reasons were given.", evidence=()),))
    assert not PATTERN.passes["standard"][1].wanted(case, {"debate": calm})
    found = PATTERN.conclude(case, {"debate": calm})
    assert (found.dominant_pathology, found.interventions, found.evidence) == ("none-observed", (), ())


def step(agent: str, content: str, kind: str = "message", **metadata: Any) -> TraceStep:
    return TraceStep(agent, kind, content, metadata=metadata)


def test_canonical_rounds_and_decision() -> None:
    steps = (
        step("ann", "Redis", position="redis", emotional_tone="calm"),
        step("bob", "No", emotional_tone="loud"),
        step("bob", "Postgres"),
        step("shell", "4 ms", "observation"),
        step("ann", "Postgres then", "decision"),
        step("bob", "Good", round=9),
    )
    trace = PATTERN.from_trace(CanonicalTrace("Which store?", steps, "done"))
    assert [message.round for message in trace.messages] == [1, 1, 1, 1, 2, 9]
    assert (trace.agents, trace.final_decision, trace.success) == (("ann", "bob"), "Postgres then", False)
    assert [message.emotional_tone for message in trace.messages[:2]] == ["calm", "unknown"]
    reading = PATTERN.read(trace)
    assert [one.content for one in reading.steps] == [one.content for one in steps]
    assert [one.kind for one in reading.steps[:4]] == [
        "round 1, position redis, calm",
        "round 1",
        "round 1",
        "observation",
    ]


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [((step("ann", "x"), step("ann", "y")), "o"), ((step("ann", "x"), step("bob", "y")), " ")],
    ids=["one agent", "no decision"],
)
def test_not_every_trace_is_a_debate(steps: tuple[TraceStep, ...], outcome: str) -> None:
    with pytest.raises(TraceNotReadable):
        PATTERN.from_trace(CanonicalTrace("g", steps, outcome))
