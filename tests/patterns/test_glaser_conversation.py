"""Conversation steering: the contract's formulas, what the rules see in turns, and what a model's answer adds."""

from __future__ import annotations

import json
from typing import Any

import contract_kit as kit
import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.glaser_conversation import PATTERN, ConversationTrace, ConversationTurn, profile_of
from vstack_proto.patterns.glaser_conversation_passes import (
    STATES,
    EffectsAnswer,
    EventsAnswer,
    InterventionsAnswer,
    QuickAnswer,
    StateFinding,
    StatesAnswer,
    SteeringIntervention,
    dominant_of,
)
from vstack_proto.patterns.talk import Happening
from vstack_proto.trace import CanonicalTrace, TraceStep


def talk(*turns: tuple[Any, str], observed: tuple[str, ...] = ()) -> ConversationTrace:
    told = tuple(ConversationTurn(speaker, text, number) for number, (speaker, text) in enumerate(turns))
    return ConversationTrace("Agree on an error format", told, "ended", False, observed_response_pattern=observed)


OPEN = talk(
    ("agent", "Thank you for the draft. What would break on your side if codes were integers?"),
    ("user", "Our clients parse strings."),
    ("agent", "I see, that is a hard limit. What if we send both for one release? It is your call which comes first."),
    ("other_agent", "Both works for us."),
    ("agent", "Good point about the release. We could write the two lines together."),
)
PLAIN = talk(
    ("user", "Which port does the job use?"),
    ("agent", "The job uses port 8443."),
    ("user", "And the host?"),
    ("agent", "The host is jobs-2."),
)
HARSH = talk(
    ("agent", "Your format is wrong. Return codes as integers."),
    ("user", "Our clients parse strings, what would break for you?"),
    ("agent", "That is your fault for parsing strings. Do what the spec says."),
    ("other_agent", "Could both be sent for one release?"),
    ("agent", "Fine."),
    observed=("answers questions with instructions", "assigns blame"),
)
BLAMING = talk(("user", "The import failed."), ("agent", "You broke it, and it was your fault before."))
LOADED = talk(("user", "Here is my patch."), ("agent", "This is ridiculous."), ("user", "Oh."), ("agent", "Lazy work."))


@pytest.mark.parametrize(
    ("trace", "dominant", "steering", "profile", "books"),
    [
        (OPEN, "oxytocin", "trust-building", "trust_building_oxytocin", set()),
        (PLAIN, "neutral", "neutral", "level_i_stuck", set()),
        (
            HARSH,
            "cortisol",
            "trust-eroding",
            "cortisol_cascade",
            {"blame_assignment", "agency_stripped", "telling_without_asking", "public_correction"},
        ),
        (BLAMING, "cortisol", "trust-eroding", "blame_loaded_language", {"blame_assignment"}),
        (LOADED, "cortisol", "trust-eroding", "blame_loaded_language", {"loaded_language"}),
    ],
)
def test_offline_profiles(
    trace: ConversationTrace, dominant: str, steering: str, profile: str, books: set[str]
) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.dominant_state, found.steering_quality, found.profile_pattern) == (dominant, steering, profile)
    assert {book.failure_mode for book in found.attached_playbooks} == books
    assert (found.severity == "none") == (not books) == (not found.interventions)
    assert kit.misquotes(PATTERN, trace, found) == []
    assert [one.state for one in found.states] == list(STATES)
    said = [turn.text for turn in trace.turns if turn.speaker == "agent"]
    for one in found.interventions:
        assert any(one.original_phrasing in text for text in said)
        assert one.suggested_phrasing


def test_offline_audits_are_counted() -> None:
    harsh, plain = kit.offline(PATTERN, HARSH, "forensic"), kit.offline(PATTERN, PLAIN, "forensic")
    opened = kit.offline(PATTERN, OPEN, "forensic")
    assert harsh.trigger_inventory.inventory_quality == "cortisol_heavy"
    assert (opened.trigger_inventory.inventory_quality, len(opened.trigger_inventory.open_questions)) == (
        "oxytocin_heavy",
        2,
    )
    assert (plain.level_transition_audit.stuck_at_level, plain.level_transition_audit.level_i_turn_count) == (
        "level_i",
        4,
    )
    assert kit.offline(PATTERN, LOADED, "forensic").trigger_inventory.loaded_terms == ("ridiculous", "Lazy")
    assert harsh.level_transition_audit.stuck_at_level == "none"
    assert kit.offline(PATTERN, HARSH).trigger_inventory is None


def test_the_states_are_the_contracts_evidence_and_proofs_are_quotations() -> None:
    detection = json.loads(msgspec.json.encode(kit.offline(PATTERN, HARSH, "forensic")))
    jsonschema.validate(detection, kit.contract("glaser_conversation")["output_schema"])
    assert [item["state"] for item in detection["evidence"]] == list(STATES)
    assert set(detection["evidence"][0]) == {"state", "score", "explanation", "triggers", "confidence"}
    assert detection["quotations"]
    assert all(item["steps"] and item["quote"] and item["claim"] for item in detection["quotations"])


@pytest.mark.parametrize(
    ("scores", "level", "triggers", "profile"),
    [
        ((0.0, 0.2, 0.6), "level_ii", (), "trust_building_oxytocin"),
        ((0.7, 0.3, 0.6), "level_iii", (), "cortisol_cascade"),
        ((0.6, 0.3, 0.5), "level_iii", ("blame",), "level_iii_collaborative"),
        ((0.1, 0.8, 0.2), "level_i", (), "level_i_stuck"),
        ((0.6, 0.4, 0.1), "level_ii", ("Loaded term",), "blame_loaded_language"),
        ((0.5, 0.5, 0.1), "level_ii", ("agency taken",), "agency_stripped"),
        ((0.5, 0.1, 0.1), "level_ii", ("do what I say",), "agency_stripped"),
        ((0.69, 0.1, 0.1), "level_i", ("command",), "cortisol_cascade"),
        ((0.0, 0.0, 0.0), "level_ii", (), "neutral_transactional"),
        ((0.1, 0.2, 0.4), "level_i", (), "trust_building_oxytocin"),
        ((0.4, 0.1, 0.1), "level_i", ("blame",), "indeterminate"),
    ],
)
def test_formulas(scores: tuple[float, ...], level: Any, triggers: tuple[str, ...], profile: str) -> None:
    told: dict[str, float] = dict(zip(STATES, scores, strict=True))
    assert profile_of(told, level, triggers) == profile


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_the_dominant_state_has_the_highest_score(scores: tuple[float, ...]) -> None:
    told: dict[str, float] = dict(zip(STATES, scores, strict=True))
    assert told[dominant_of(told)] == max(scores)


def finding(state: Any, score: float, *proofs: tuple[int, str], triggers: tuple[str, ...] = ()) -> StateFinding:
    evidence = tuple(Evidence("because", (step,), quote) for step, quote in proofs)
    return StateFinding(state, score, triggers, f"{state} as told", evidence)


FOUND = (
    finding("cortisol", 0.65, (2, "Do what the spec says"), triggers=("agency taken",)),
    finding("oxytocin", 0.9, (4, "words of nobody"), triggers=("warmth",)),
)
CHANGES = (
    SteeringIntervention("oxytocin", "add_agency_grant", "Offer both", "Do what the  spec says", "Which fits you?"),
    SteeringIntervention("neutral", "add_open_question", "Ask", "Our clients parse strings", "What breaks?"),
)
EVENTS: tuple[Happening[Any], ...] = (
    Happening("cortisol_trigger", 2, "c", "your fault"),
    Happening("cortisol_trigger", 2, "c", "your fault"),
    Happening("loaded_term", 0, "c", "not said"),
    Happening("level_iii", 3, "c", "Could both be sent"),
)
# The second is the agent's own turn and the third stands nowhere: neither is a listener's.
EFFECTS: tuple[Happening[Any], ...] = (
    Happening("closed", 1, "answers step 0", "what would break for you?"),
    Happening("opened", 4, "answers step 3", "Fine."),
    Happening("opened", 3, "answers step 2", "words of nobody"),
)


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"states": QuickAnswer(FOUND, "level_ii", CHANGES)}),
        ("standard", {"states": StatesAnswer(FOUND, "level_ii"), "interventions": InterventionsAnswer(CHANGES)}),
        (
            "forensic",
            {
                "states": StatesAnswer(FOUND, "level_ii"),
                "events": EventsAnswer(EVENTS),
                "effects": EffectsAnswer(EFFECTS),
                "interventions": InterventionsAnswer(CHANGES),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, HARSH, mode)
    told = {"states": StatesAnswer(FOUND[:1], "level_ii")} if mode != "quick" else answers
    assert all(one.wanted(case, told) and one.instruction(case, told) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    # A quotation that stands nowhere lifts no score over what the words show, and its triggers go with it.
    assert [one.score for one in found.states] == [0.65, 0.0, 0.0]
    assert [one.triggers for one in found.states] == [("agency taken",), (), ()]
    assert (found.profile_pattern, found.severity, found.conversation_level) == (
        "agency_stripped",
        "medium",
        "level_ii",
    )
    # The agent's words are kept as they stand; words of somebody else's are not the agent's phrasing.
    assert [one.original_phrasing for one in found.interventions] == ["Do what the spec says", ""]
    assert [book.failure_mode for book in found.attached_playbooks] == ["agency_stripped", "level_i_stuck"]
    assert kit.misquotes(PATTERN, HARSH, found) == []
    if mode == "forensic":
        assert found.trigger_inventory is not None
        assert found.level_transition_audit is not None
        assert (found.trigger_inventory.cortisol_trigger_count, found.trigger_inventory.loaded_terms) == (1, ())
        assert found.level_transition_audit.level_iii_turn_count >= 1
        assert "Of the answers 1 closed, 0 opened, 0 went on unmoved." in found.trigger_inventory.explanation
        assert "What the agent said closed the other" in [one.claim for one in found.evidence]


def test_half_of_a_state_is_what_the_words_did_to_the_listener() -> None:
    case = kit.case_of(PATTERN, HARSH, "forensic")
    unmoved: Happening[Any] = Happening("unmoved", 1, "answers step 0", "Our clients parse strings")
    answers = {"states": StatesAnswer(FOUND, "level_ii"), "effects": EffectsAnswer((EFFECTS[0], unmoved))}
    assert PATTERN.conclude(case, answers).states[0].score == round(0.65 * 0.75, 4)
    answers["effects"] = EffectsAnswer((unmoved,))
    assert PATTERN.conclude(case, answers).states[0].score == round(0.65 * 0.5, 4)
    effects = PATTERN.passes["forensic"][2]
    alone = kit.case_of(PATTERN, talk(("user", "Which port?"), ("agent", "You must read the manual.")))
    assert effects.wanted(case, answers)
    assert not effects.wanted(alone, answers)


def test_trust_building_asks_no_second_call() -> None:
    case = kit.case_of(PATTERN, OPEN)
    answers = {"states": StatesAnswer((finding("oxytocin", 0.8, (0, "Thank you for the draft")),), "level_iii")}
    assert not PATTERN.passes["standard"][1].wanted(case, answers)
    found = PATTERN.conclude(case, answers)
    assert (found.severity, found.interventions, found.profile_pattern) == ("none", (), "trust_building_oxytocin")


def test_from_trace_keeps_steps_and_names() -> None:
    steps = (
        TraceStep("user", "message", "hi"),
        TraceStep("ops", "tool_call", "ls"),
        TraceStep("ops", "message", "One file."),
        TraceStep("qa", "message", "You broke it."),
    )
    whole = PATTERN.from_trace(CanonicalTrace("g", steps, "o"))
    one = PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata={"agent_id": "ops"}))
    assert [turn.speaker for turn in whole.turns] == ["user", "other_agent", "agent", "agent"]
    assert [turn.speaker for turn in one.turns] == ["user", "other_agent", "agent", "other_agent"]
    assert [(step.content, step.kind) for step in PATTERN.read(one).steps] == [
        ("hi", "user"),
        ("ls", "tool"),
        ("One file.", "agent"),
        ("You broke it.", "other_agent"),
    ]
    assert PATTERN.read(one).steps[3].agent == "qa"
    assert (kit.offline(PATTERN, one).severity, kit.offline(PATTERN, whole).severity) == ("none", "moderate")
