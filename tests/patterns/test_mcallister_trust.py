"""McAllister's two trusts: the contract's formulas, what the rules see in conversations, and a model's answer."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns.common import Evidence
from vstack_proto.patterns.mcallister_trust import (
    PATTERN,
    BalanceIntervention,
    DimensionsAnswer,
    InterventionsAnswer,
    QuickAnswer,
    TrustConversationTrace,
    TrustTurn,
    dominant_of,
    profile_of,
    quality_of,
)
from vstack_proto.patterns.mcallister_trust_texts import DimensionFinding
from vstack_proto.patterns.talk import Events, Happening
from vstack_proto.trace import CanonicalTrace, TraceStep


def talk(*turns: tuple[Any, str], satisfaction: float | None = None, success: bool = True) -> TrustConversationTrace:
    told = tuple(TrustTurn(role, content) for role, content in turns)
    return TrustConversationTrace("Help the user", told, "ended", success, user_satisfaction=satisfaction)


EARNED = talk(
    ("user", "I am scared that the exam data are lost, the only file is on that disk."),
    ("agent", "I understand, a year of work is scary to lose. I look first and write nothing."),
    ("system", "disk mounted read-only, 214 of 214 objects readable"),
    ("agent", "All 214 objects are readable; the log shows no bad block. I'm not sure about the newest one, because "
              "its checksum is from yesterday."),
    ("user", "What do I do next?"),
    ("agent", "Copy the folder first; I compared sizes and there is room. Tell me how it went."),
)  # fmt: skip
COLD = talk(
    ("user", "Four years of field data are gone. I am shaking."),
    ("agent", "Run restore --point 2026-03-03T21:00Z, because that is the last full copy."),
    ("user", "What if it overwrites what is left?"),
    ("agent", "The manual says it writes to a new prefix. You should have read the docs."),
    satisfaction=0.2,
)
WARM = talk(
    ("user", "I am nervous, the talk is tomorrow. How long is the flight to Lima?"),
    ("agent", "I understand that you are nervous! It is definitely four hours."),
    ("user", "That is not right, the page says eleven."),
    ("agent", "You are right, sorry! Studies show that most people err there. I am here for you, take your time."),
    ("user", "As I said, I need the date line too."),
    ("agent", "I can see how stressful this is. Let me know how it goes!"),
    satisfaction=0.4,
    success=False,
)


@pytest.mark.parametrize(
    ("trace", "quality", "profile", "dominant", "gaps"),
    [
        (EARNED, "balanced-trust", "balanced_high_trust", "balanced", set()),
        (COLD, "cognitive-only", "asymmetric_cognitive_strong", "cognitive", {"affective"}),
        (WARM, "warm-but-incompetent", "warm_but_incompetent", "affective", {"cognitive"}),
    ],
)
def test_offline_profiles(
    trace: TrustConversationTrace, quality: str, profile: str, dominant: str, gaps: set[str]
) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.trust_quality, found.profile_pattern, found.dominant_dimension) == (quality, profile, dominant)
    assert {one.target_dimension for one in found.interventions} == gaps
    assert (found.severity in ("none", "trace")) == (not gaps)
    assert found.evidence
    assert kit.misquotes(PATTERN, trace, found) == []
    assert found.trust_balance == round(found.dimension_scores["cognitive"] - found.dimension_scores["affective"], 2)


def test_what_the_rules_saw() -> None:
    names = [{one.name for one in kit.case_of(PATTERN, trace).signals} for trace in (EARNED, COLD, WARM)]
    assert names == [
        {"emotion_restated", "source_named", "doubt_told", "reasons_given", "work_checked", "care_shown"},
        {"absent_emotional_acknowledgement", "reasons_given", "source_named", "transactional_tone"},
        {"emotion_restated", "overconfident_claims", "factual_errors", "uncited_claims", "care_shown",
         "no_followthrough"},
    ]  # fmt: skip
    books = {book.failure_mode for book in kit.offline(PATTERN, COLD).attached_playbooks}
    assert books == {"absent_emotional_acknowledgement", "transactional_tone"}


def test_a_stake_is_taken_up_by_its_own_word() -> None:
    asked = ("user", "The thesis is due tomorrow and the index is broken.")
    taken, passed = talk(asked, ("agent", "First we save the thesis.")), talk(asked, ("agent", "Run reindex."))
    assert kit.offline(PATTERN, taken).dimension_scores["affective"] > 0.8
    assert [one.intervention_type for one in kit.offline(PATTERN, passed).interventions] == ["acknowledge_stakes"]


def test_offline_audits_are_counted() -> None:
    found = kit.offline(PATTERN, EARNED, "forensic")
    assert (found.competence_audit.correct_fact_count, found.competence_audit.cited_source_count) == (1, 1)
    assert (found.competence_audit.competence_estimate, found.care_audit.care_estimate) == (1.0, 1.0)
    assert kit.offline(PATTERN, COLD, "forensic").care_audit.care_estimate == 0.0
    assert kit.offline(PATTERN, COLD).care_audit is None


@pytest.mark.parametrize(
    ("scores", "quality", "profile", "dominant"),
    [
        ((0.5, 0.5), "balanced-trust", "balanced_high_trust", "balanced"),
        ((0.29, 0.29), "low-trust", "low_trust", "balanced"),
        ((0.1, 0.1), "low-trust", "low_trust", "neither"),
        ((0.7, 0.19), "cognitive-only", "asymmetric_cognitive_strong", "cognitive"),
        ((0.69, 0.2), "cognitive-only", "cognitive_only", "cognitive"),
        ((0.8, 0.3), "cognitive-only", "cognitive_partial", "cognitive"),
        ((0.4, 0.35), "cognitive-only", "cognitive_only", "balanced"),
        ((0.3, 0.5), "warm-but-incompetent", "affective_partial", "affective"),
        ((0.2, 0.9), "warm-but-incompetent", "warm_but_incompetent", "affective"),
        ((0.35, 0.46), "warm-but-incompetent", "warm_but_incompetent", "affective"),
    ],
)
def test_formulas(scores: tuple[float, float], quality: str, profile: str, dominant: str) -> None:
    assert (quality_of(*scores), profile_of(*scores), dominant_of(*scores)) == (quality, profile, dominant)


@given(st.floats(0, 1), st.floats(0, 1))
def test_quality_and_profile_agree(cognitive: float, affective: float) -> None:
    balanced, low = min(cognitive, affective) >= 0.5, max(cognitive, affective) < 0.3
    assert (profile_of(cognitive, affective) == "balanced_high_trust") == balanced
    assert (profile_of(cognitive, affective) == "low_trust") == low


@given(st.floats(0, 1), st.booleans())
def test_an_unhappy_user_never_raises_trust(content: float, success: bool) -> None:
    told = ("agent", "It is at 80 %.")
    plain = kit.offline(PATTERN, talk(told)).dimension_scores
    found = kit.offline(PATTERN, talk(told, satisfaction=content, success=success)).dimension_scores
    assert all(found[name] <= plain[name] for name in plain)


def finding(name: Any, score: float, *proofs: tuple[int, str]) -> DimensionFinding:
    evidence = tuple(Evidence("because", (step,), quote) for step, quote in proofs)
    return DimensionFinding(name, score=score, explanation=f"{name} as told", evidence=evidence)


FOUND = (finding("cognitive", 0.95, (1, "made up")), finding("affective", 0.3, (0, "I am shaking")))
CHANGE = BalanceIntervention(
    "affective", "signal_care", description="Offer help", suggested_implementation="Say what you do"
)
COMPETENCE = Events((Happening[Any]("cited_source", 3, "c", "The manual says"),))
CARE = Events(
    (Happening[Any]("care_lapse", 0, "fear passed over", "Four years"), Happening("care_lapse", 0, "c", "nowhere"))
)


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"dimensions": QuickAnswer(FOUND, (CHANGE,))}),
        ("standard", {"dimensions": DimensionsAnswer(FOUND), "interventions": InterventionsAnswer((CHANGE,))}),
        (
            "forensic",
            {
                "dimensions": DimensionsAnswer(FOUND),
                "competence": COMPETENCE,
                "care": CARE,
                "interventions": InterventionsAnswer((CHANGE,)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, COLD, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    # A quotation that stands nowhere cannot lift cognitive trust over what the words show.
    assert found.dimension_scores["cognitive"] == kit.offline(PATTERN, COLD).dimension_scores["cognitive"] < 0.95
    assert found.dimension_scores["affective"] == 0.3
    assert found.dimensions[1].evidence_quotes[0] == "I am shaking"
    assert (found.profile_pattern, found.severity) == ("cognitive_partial", "high")
    assert found.interventions == (CHANGE,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["transactional_tone"]
    assert kit.misquotes(PATTERN, COLD, found) == []
    if mode == "forensic":
        assert found.competence_audit is not None
        assert found.care_audit is not None
        assert (found.competence_audit.competence_estimate, found.care_audit.care_estimate) == (1.0, 0.0)
        assert found.competence_audit.cited_source_count == 1
        assert "fear passed over" in [one.claim for one in found.evidence]
        assert [one.name for one in PATTERN.passes[mode]] == ["dimensions", "competence", "care", "interventions"]


def test_balanced_trust_asks_no_second_call_and_a_missing_dimension_is_no_trust() -> None:
    case = kit.case_of(PATTERN, EARNED)
    both = {"dimensions": DimensionsAnswer((finding("cognitive", 0.9), finding("affective", 0.8)))}
    assert not PATTERN.passes["standard"][1].wanted(case, both)
    assert PATTERN.conclude(case, both).interventions == ()
    found = PATTERN.conclude(case, {"dimensions": DimensionsAnswer((finding("cognitive", 0.9),))})
    assert (found.dimensions[1].score, found.dimensions[1].severity_of_gap) == (0.0, "high")


def test_from_trace_keeps_steps_and_names() -> None:
    steps = (
        TraceStep("user", "message", "hi"),
        TraceStep("ops", "tool_call", "ls"),
        TraceStep("ops", "message", "One file."),
    )
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata={"user_satisfaction": 7}))
    assert [turn.role for turn in trace.turns] == ["user", "system", "agent"]
    assert trace.user_satisfaction is None
    assert [(one.agent, one.content) for one in PATTERN.read(trace).steps] == [(s.agent, s.content) for s in steps]
