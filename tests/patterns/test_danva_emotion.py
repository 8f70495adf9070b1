"""danva_emotion: golden numbers, the profile rules, what an agent misreads, and scripted readings."""

from __future__ import annotations

import json
from typing import Any

import contract_kit as kit
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import danva_emotion_numbers as numbers
from vstack_proto.patterns import danva_emotion_texts as texts
from vstack_proto.patterns.common import MODES, Evidence, Mode
from vstack_proto.patterns.danva_emotion import PATTERN, AgentEmotionTrace, EmotionItem
from vstack_proto.trace import CanonicalTrace, TraceStep

Pair = tuple[str, str]


def item(number: int, true: str, read: str, felt: float = 0.6, taken: float = 0.6, **more: Any) -> EmotionItem:
    said = f"message {number} of somebody"
    return EmotionItem(str(number), said, true, felt, read, taken, **more)  # type: ignore[arg-type]


def items(*pairs: Pair, **more: Any) -> AgentEmotionTrace:
    return AgentEmotionTrace(tuple(item(number, *pair, **more) for number, pair in enumerate(pairs)))


SARCASTIC = {"cue_explicitness": "sarcastic"}
ALL: tuple[Pair, ...] = tuple((emotion, emotion) for emotion in numbers.EMOTIONS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("which", ["minimal", "rich"])
def test_golden_numbers(which: str, mode: Mode) -> None:
    expected = kit.golden("danva_emotion")[which]
    trace = kit.trace_of(PATTERN, kit.body("danva_emotion", which))
    detection = json.loads(msgspec.json.encode(kit.offline(PATTERN, trace, mode)))
    assert {name: detection[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("trace", "profile"),
    [
        (items(("angry", "uncertain"), ("sad", "uncertain"), ("happy", "happy")), "uncertain_dump"),
        (items(("angry", "happy"), ("angry", "angry"), cue_explicitness="sarcastic"), "balanced_developing"),
        (items(("happy", "happy"), ("sad", "sad"), ("fearful", "angry")), "indeterminate"),
        (items(("angry", "happy"), ("sad", "happy"), cue_explicitness="sarcastic"), "sarcasm_blind"),
        (items(("angry", "neutral"), ("angry", "neutral"), *ALL), "anger_blind"),
        (items(("happy", "neutral"), ("sad", "neutral"), ("angry", "angry")), "neutral_collapse"),
        (items(("sad", "sad"), ("sad", "sad"), felt=0.9, taken=0.6), "sadness_collapse"),
        (items(("neutral", "happy"), ("sad", "sad"), ("angry", "angry")), "positive_bias"),
        (items(("fearful", "sad"), ("fearful", "sad"), ("happy", "happy")), "fear_sadness_confusion"),
        (items(("angry", "fearful"), ("disgust", "angry"), ("disgust", "fearful")), "valence_only_signal"),
        (items(("angry", "angry"), ("happy", "happy"), felt=0.9, taken=0.6), "categorical_signal_only"),
        (items(*ALL), "balanced_high"),
        (items(("happy", "sad"), ("surprise", "sad"), ("surprise", "sad")), "balanced_low"),
        (items(("happy", "happy"), ("happy", "sad"), ("sad", "sad"), ("sad", "angry")), "balanced_developing"),
    ],
)
def test_profile(trace: AgentEmotionTrace, profile: str) -> None:
    assert kit.offline(PATTERN, trace).profile_pattern == profile


def test_a_good_reader_is_left_alone() -> None:
    detection = kit.offline(PATTERN, items(*ALL, *ALL), "forensic")
    assert (detection.severity, detection.weakest_emotion, detection.accuracy_quality) == (
        "none", "none", "high-accuracy",
    )  # fmt: skip
    assert (detection.interventions, detection.evidence, detection.attached_playbooks) == ((), (), ())
    assert detection.cascade_analysis.cascade_break_point == "intact"


@pytest.mark.parametrize(
    ("pair", "more", "key", "kind"),
    [
        (("angry", "neutral"), {}, ("angry", "under_detection"), "add_cue_inventory"),
        (("fearful", "sad"), {}, ("fearful", "mis_as_sad"), "add_confusion_clarification"),
        (
            ("angry", "happy"),
            {"cue_explicitness": "sarcastic"},
            ("happy", "sarcasm_blind"),
            "add_sarcasm_detection_step",
        ),
        (("neutral", "angry"), {}, ("neutral", "over_classified"), "add_min_cue_threshold"),
        (("sad", "uncertain"), {}, ("all", "uncertain_dump"), "add_uncertainty_threshold"),
    ],
)
def test_a_fault_is_met_with_its_playbook(pair: Pair, more: dict[str, Any], key: Pair, kind: str) -> None:
    trace = items(pair, pair, ("happy", "happy"), **more)
    detection = kit.offline(PATTERN, trace)
    first = detection.interventions[0]
    assert (first.target_emotion, first.intervention_type) == (key[0], kind)
    assert key in [(book.emotion, book.failure_mode) for book in detection.attached_playbooks]
    assert [proof.steps for proof in detection.evidence][:2] == [(0,), (1,)]
    assert kit.misquotes(PATTERN, trace, detection) == []


def test_what_no_playbook_answers_is_met_with_examples() -> None:
    detection = kit.offline(PATTERN, items(("sad", "angry"), ("sad", "angry")))
    assert [one.intervention_type for one in detection.interventions] == ["few_shot_examples"]
    weak = kit.offline(PATTERN, items(("happy", "happy"), ("surprise", "fearful"), felt=0.9, taken=0.5))
    assert "add_intensity_calibration_step" in [one.intervention_type for one in weak.interventions]


emotions = st.sampled_from(numbers.EMOTIONS)
reads = st.sampled_from(numbers.INFERRED)
level = st.floats(0, 1)
any_items = st.lists(st.builds(item, st.integers(0, 9), emotions, reads, level, level), min_size=1, max_size=30)


@given(any_items)
def test_numbers_stay_in_bounds_and_add_up(given_items: list[EmotionItem]) -> None:
    found = numbers.measure(given_items)
    # Encoding and decoding checks every bound of the contract.
    assert msgspec.convert(msgspec.to_builtins(found), numbers.Numbers) == found
    assert sum(found.matrix.row_totals.values()) == sum(found.matrix.column_totals.values()) == len(given_items)
    assert found.accuracy == round(found.matrix.diagonal_total / len(given_items), 4)
    assert all(metric.n_items == sum(metric.confusion_with.values()) + round(metric.accuracy * metric.n_items)
               for metric in found.metrics)  # fmt: skip


def test_cues_are_counted_in_words() -> None:
    cues = texts.cues_of("GREAT, another failure!! I am NOT sure... will it ever end?")
    assert (cues.caps_span_count, cues.exclamation_count, cues.question_count, cues.ellipsis_count) == (2, 2, 1, 1)
    assert (cues.hedge_count, cues.negation_count, cues.future_tense_count, cues.sarcasm_signature_count) == (
        1,
        1,
        1,
        1,
    )
    assert texts.cues_of("") == texts.CueSignature()


PROOF = Evidence("Blame is the cue.", (0,), "message 0 of somebody")
FALSE = Evidence("Made up.", (0,), "no such words")
FIX = texts.DanvaIntervention(
    "angry", "add_cue_inventory", description="Name the cue", suggested_implementation="Before the label"
)
WEAK = items(("angry", "neutral"), ("angry", "neutral"), ("happy", "happy"))


@pytest.mark.parametrize("mode", MODES)
def test_a_good_answer_reaches_the_detection(mode: Mode) -> None:
    case = kit.case_of(PATTERN, WEAK, mode)
    cues, labels = texts.CuesAnswer((PROOF, FALSE)), texts.LabelsAnswer(())
    answers: dict[str, Any] = {"interventions": texts.FixAnswer((PROOF, FALSE), (FIX,))}
    if mode != "quick":
        answers = {"cues": cues, "labels": labels, "interventions": texts.ChangesAnswer((FIX,))}
    if mode == "standard":
        del answers["labels"]
    assert [one.name for one in PATTERN.passes[mode] if one.wanted(case, answers)] == list(answers)
    assert all(one.instruction(case, answers) for one in PATTERN.passes[mode])
    detection = PATTERN.conclude(case, answers)
    assert detection.interventions == (FIX,)
    assert detection.evidence[0] == PROOF
    assert FALSE.claim not in [proof.claim for proof in detection.evidence]
    assert [book.failure_mode for book in detection.attached_playbooks] == ["under_detection"]
    assert (len(detection.per_item_calibration) == 3) == (mode == "forensic")


def test_a_label_that_the_message_does_not_bear_out_is_not_held_against_the_agent() -> None:
    case = kit.case_of(PATTERN, WEAK, "forensic")

    def examined(*told: tuple[int, Any, str]) -> dict[str, Any]:
        return {"labels": texts.LabelsAnswer(tuple(texts.LabelFinding(*one[:2], "why", one[2]) for one in told))}

    plain = PATTERN.conclude(case, {})
    same = examined(
        (0, "decided", "message 0"), (1, "open", "no such words"), (2, "against", "message 2"), (9, "open", "x")
    )
    # What decides, what stands nowhere, and what was read rightly leave all as it is.
    assert PATTERN.conclude(case, same) == plain
    told = examined((1, "open", "message 1"), (0, "against", "message 0"), (0, "open", "of somebody"))
    found = PATTERN.conclude(case, told)
    assert (found.metrics, found.overall_accuracy) == (plain.metrics, plain.overall_accuracy)
    assert found.confidence == round(plain.confidence - 0.04, 2)
    # No fault is left whose label holds: the labels are to be looked at again, and nothing else.
    assert [one.intervention_type for one in found.interventions] == ["human_review"]
    assert "add_cue_inventory" in [one.intervention_type for one in plain.interventions]
    assert {proof.steps for proof in found.evidence if proof.claim == "why"} == {(0,), (1,)}
    assert "steps 0, 1" in PATTERN.passes["forensic"][2].instruction(case, told)
    assert kit.misquotes(PATTERN, WEAK, found) == []


def test_a_good_reader_costs_no_call() -> None:
    case = kit.case_of(PATTERN, items(*ALL), "forensic")
    assert not any(one.wanted(case, {}) for mode in MODES for one in PATTERN.passes[mode])


@pytest.mark.parametrize(
    ("named", "own", "culture"),
    [("unknown", ["japanese"], "japanese"), ("unknown", ["arab", "latin"], "mixed"), ("arab", ["latin"], "arab")],
)
def test_the_culture_of_the_messages(named: Any, own: list[Any], culture: str) -> None:
    assert texts.culture_of(named, own).culture_context == culture
    assert texts.culture_of("unknown", ["unknown"]).expected_suppression_for_emotion == {}


KNOWN = {"ground_truth_emotion": "sad", "ground_truth_intensity": 0.5, "agent_inferred_emotion": "happy"}


def test_a_canonical_trace_brings_one_item_a_step() -> None:
    steps = tuple(TraceStep("User", "message", text, metadata=KNOWN) for text in ("It is gone", "All of it"))
    whole = CanonicalTrace("Read", steps, "Read", metadata={"cultural_context": "arab"})
    trace = PATTERN.from_trace(whole)
    assert [step.content for step in PATTERN.read(trace).steps] == ["It is gone", "All of it"]
    assert ([one.item_id for one in trace.items], trace.cultural_context) == (["0", "1"], "arab")
    bare = tuple(TraceStep("User", "message", step.content) for step in steps)
    assert PATTERN.from_trace(CanonicalTrace("Read", bare, "Read", metadata={"items": [KNOWN, KNOWN]})).items


@pytest.mark.parametrize("listed", [[], [KNOWN, KNOWN], [{**KNOWN, "user_input": "other"}], [{}], [7]])
def test_without_what_was_felt_nothing_can_be_compared(listed: list[Any]) -> None:
    steps = (TraceStep("User", "message", "It is gone"),)
    with pytest.raises(TraceNotReadable, match="ground_truth_emotion"):
        PATTERN.from_trace(CanonicalTrace("Read", steps, "Read", metadata={"items": listed}))
