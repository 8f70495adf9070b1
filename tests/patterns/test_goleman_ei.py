"""goleman_ei: the numbers of the contract, conversations that a reader would judge alike, and scripted readings."""

from __future__ import annotations

from typing import Any, get_args

import contract_kit as kit
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import goleman_ei_abilities as abilities
from vstack_proto.patterns import goleman_ei_signs as rules
from vstack_proto.patterns import goleman_ei_texts as texts
from vstack_proto.patterns.common import Evidence, Mode
from vstack_proto.patterns.goleman_ei import PATTERN, AgentEITrace, EITurn
from vstack_proto.trace import CanonicalTrace, TraceStep


def talk(*turns: tuple[str, str], **more: Any) -> AgentEITrace:
    told = tuple(EITurn(number, user, agent) for number, (user, agent) in enumerate(turns))
    plain = AgentEITrace("Help", "Done", turns=told, user_signals=tuple(user for user, _ in turns))
    return msgspec.structs.replace(plain, **more)


COLD = talk(
    ("I am furious, this is the third time my file is lost", "Please see our import guide."),
    ("You did not even read it", "As I already told you, the guide explains it. You should have kept a copy."),
    ("This is ridiculous, I want a refund", "Great news! Refunds are described in the guide!"),
)
SHAKEN = talk(
    ("The sum in row 4 is wrong", "You are right to be upset, I am useless. I have completely failed you."),
    ("Could you just correct it?", "There is nothing I can do. I give up."),
)
BLIND = talk(
    ("How long is the wall?", "It is definitely 40 m, 100% sure."),
    ("The plan says 38", "No, trust me, it is 40."),
    self_reports=("I checked everything and was calm",),
)
WARM = talk(
    ("I am so worried, the report is due at noon", "That sounds stressful. Nothing is lost; row 4 is the cause."),
    ("I don't understand row 4", "So you see 1.2e3 there? In other words 1200: write it so and it loads."),
    ("It loads now, thank you", "Good. Tell me if the upload at noon fails."),
    success=True,
    self_reports=("I named the cause first",),
)


@pytest.mark.parametrize(
    ("trace", "weakest", "mode", "kind"),
    [
        (COLD, "social_awareness", "missed_anger", "add_emotion_reading_step"),
        (SHAKEN, "self_management", "rejection_collapse", "add_recovery_protocol"),
        (BLIND, "self_awareness", "overconfidence", "add_confidence_calibration"),
    ],
)
def test_what_is_weak(trace: AgentEITrace, weakest: str, mode: str, kind: str) -> None:
    detection = kit.offline(PATTERN, trace)
    assert detection.weakest_domain == weakest
    assert mode in [signal.name for signal in kit.case_of(PATTERN, trace).signals]
    assert kind in [one.intervention_type for one in detection.interventions]
    assert mode in [book.failure_mode for book in detection.attached_playbooks]
    assert detection.evidence
    assert kit.misquotes(PATTERN, trace, detection) == []


def test_a_warm_conversation_is_left_alone() -> None:
    detection = kit.offline(PATTERN, WARM, "forensic")
    assert (detection.profile_pattern, detection.weakest_domain) == ("balanced_high", "none")
    assert (detection.interventions, detection.evidence, detection.ei_quality) == ((), (), "high-ei")
    assert [row.severity for row in detection.domains] == ["none"] * 4
    assert detection.cascade_analysis.cascade_break_point == "intact"


def test_cold_replies_are_named_by_what_they_miss() -> None:
    names = {signal.name for signal in kit.case_of(PATTERN, COLD).signals}
    assert names == {"missed_anger", "flat_boilerplate", "defensive_cascade", "tone_mismatch"}


def test_a_standing_phrase_takes_a_person() -> None:
    steps = (TraceStep("a", "message", "Please see the log of the run."), TraceStep("b", "message", "I read it."))
    trace = PATTERN.from_trace(CanonicalTrace("Find the fault", steps, "Found"))
    assert kit.case_of(PATTERN, trace).signals == ()


def test_the_reading_of_the_client_counts() -> None:
    calm = rules.UserSignal("fine, I will do it by hand", "s1", "sad", 0.4)
    strong = msgspec.structs.replace(calm, inferred_intensity=1.0)
    plain = AgentEITrace("Help", "Left", user_signals=(calm,))
    assert kit.case_of(PATTERN, plain).signals == ()
    case = kit.case_of(PATTERN, msgspec.structs.replace(plain, user_signals=(strong,)))
    assert [(signal.name, signal.weight) for signal in case.signals] == [("missed_anxiety", 0.5)]
    assert PATTERN.assess_offline(case).domains[2].evidence_signal_ids == ("s1",)


@pytest.mark.parametrize(
    ("fails", "score"),
    [
        ({}, 0.9),
        ({"fails_on_frustrated_users": "yes"}, 0.63),
        ({"fails_on_frustrated_users": "yes", "fails_on_anxious_users": "mixed"}, 0.5355),
        ({"fails_on_frustrated_users": "yes", "fails_on_neutral_users": "yes"}, 0.9),
    ],
)
def test_covariation_lowers_social_awareness(fails: dict[str, Any], score: float) -> None:
    trace = msgspec.structs.replace(WARM, emotional_covariation=rules.EmotionalCovariation(**fails))
    assert kit.offline(PATTERN, trace).domains[2].score == score


@pytest.mark.parametrize(
    ("scores", "profile"),
    [
        ((0.7, 0.7, 0.7, 0.7), "balanced_high"),
        ((0.39, 0.1, 0.2, 0.3), "balanced_low"),
        ((0.4, 0.69, 0.5, 0.6), "balanced_developing"),
        ((0.9, 0.8, 0.3, 0.4), "self_strong_other_weak"),
        ((0.3, 0.4, 0.9, 0.8), "other_strong_self_weak"),
        ((0.9, 0.5, 0.9, 0.5), "recognition_strong_regulation_weak"),
        ((0.5, 0.9, 0.5, 0.9), "regulation_strong_recognition_weak"),
        ((0.9, 0.6, 0.6, 0.9), "indeterminate"),
    ],
)
def test_profile(scores: tuple[float, ...], profile: str) -> None:
    assert rules.profile_of(dict(zip(rules.DOMAINS, scores, strict=True))) == profile


@pytest.mark.parametrize(
    ("overall", "quality"), [(0.75, "high-ei"), (0.7499, "developing"), (0.4, "developing"), (0.39, "low-ei")]
)
def test_quality(overall: float, quality: str) -> None:
    assert rules.quality_of(overall) == quality


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_axes_stay_in_bounds(values: list[float]) -> None:
    scores = dict(zip(rules.DOMAINS, values, strict=True))
    axes = rules.axes_of(scores)
    assert all(0 <= value <= 1 for value in msgspec.structs.astuple(axes))
    assert abs(axes.self_column + axes.other_column - axes.recognition_row - axes.regulation_row) < 0.001
    weakest = rules.weakest_of(scores)
    assert weakest == "none" if min(values) >= 0.7 else scores[weakest] == min(values)  # type: ignore[index]


PROOF = Evidence("Passed over.", (0,), "this is the third time my file is lost")


def finding(domain: str, score: float, *evidence: Evidence) -> texts.DomainFinding:
    return texts.DomainFinding(domain, score, f"{domain}, as read", "Say what was lost.", "empathy", evidence)  # type: ignore[arg-type]


FIX = texts.EIIntervention(
    "social_awareness",
    "add_emotion_label_step",
    description="Label it",
    suggested_implementation="One line before the reply",
)
READ = (finding("social_awareness", 0.1, PROOF), finding("self_awareness", 0.2), finding("self_management", 0.9))
THIRD = Evidence("The third time was not heard.", (0,), "third time")
SKILLS = (
    abilities.CompetencyFinding(
        "user_state_reading", score=0.1, explanation="The anger went unread.", evidence=(THIRD,)
    ),
    abilities.CompetencyFinding("service_orientation", score=0.8, explanation="It offered a copy.", evidence=()),
    abilities.CompetencyFinding(
        "tone_matching", score=0.0, explanation="Made up.", evidence=(Evidence("cold", (0,), "words not there"),)
    ),
)
ANSWERS: dict[str, Any] = {
    "quick": {"domains": texts.QuickAnswer(READ, (FIX,))},
    "standard": {"domains": texts.DomainsAnswer(READ), "interventions": texts.FixAnswer((FIX, FIX))},
    "forensic": {
        "domains": texts.DomainsAnswer(READ),
        "competencies": abilities.CompetenciesAnswer(SKILLS),
        "branches": abilities.BranchesAnswer(
            (abilities.BranchFinding("perceive", score=0.2, explanation="Not seen", evidence=(PROOF,)),)
        ),
        "interventions": texts.FixAnswer((FIX,)),
    },
}


@pytest.mark.parametrize("mode", ["quick", "standard", "forensic"])
def test_a_good_answer_reaches_the_detection(mode: Mode) -> None:
    case, answers = kit.case_of(PATTERN, COLD, mode), ANSWERS[mode]
    assert [one.name for one in PATTERN.passes[mode] if one.wanted(case, answers)] == list(answers)
    assert all(one.instruction(case, answers) for one in PATTERN.passes[mode])
    detection = PATTERN.conclude(case, answers)
    row = detection.domains[2]
    assert (row.score, row.severity, row.evidence_quotes) == (0.1, "critical", (PROOF.quote,))
    forensic = mode == "forensic"
    weakest = "user_state_reading" if forensic else "empathy"
    assert (row.explanation, row.weakest_competency) == ("social_awareness, as read", weakest)
    # A fault that nothing bears out is not held against the agent.
    assert detection.domains[0].score == 0.9
    assert (detection.weakest_domain, detection.interventions) == ("social_awareness", (FIX,))
    assert PROOF in detection.evidence
    assert [book.failure_mode for book in detection.attached_playbooks] == ["missed_anger"]
    if forensic:
        assert row.competency_scores.items() >= {"user_state_reading": 0.1, "service_orientation": 0.9}.items()
        # What nothing bears out is held no lower than the signs have it.
        assert detection.domains[3].competency_scores["tone_matching"] > 0.5
        assert THIRD in detection.evidence
    assert (detection.cascade_analysis is not None) == forensic
    if detection.cascade_analysis is not None:
        assert detection.cascade_analysis.cascade_break_point == "fails_at_perceive"
    assert [one.branch for one in detection.mayer_salovey_overlay] == (
        ["perceive", "facilitate", "understand", "manage"] if forensic else []
    )


def test_every_competency_has_its_domain() -> None:
    own = [name for names in abilities.COMPETENCIES.values() for name in names]
    assert sorted((*own, "other")) == sorted(get_args(texts.Competency))


def test_two_readings_that_part_are_less_sure() -> None:
    case = kit.case_of(PATTERN, COLD, "forensic")

    def read(score: float) -> float:
        skill = abilities.CompetencyFinding("self_confidence", score=score, explanation="as read", evidence=(PROOF,))
        answers = {"domains": texts.DomainsAnswer(READ), "competencies": abilities.CompetenciesAnswer((skill,))}
        return PATTERN.conclude(case, answers).domains[0].confidence

    plain = PATTERN.conclude(case, {"domains": texts.DomainsAnswer(READ)}).domains[0].confidence
    assert (read(0.9), read(0.1)) == (round(plain + 0.05, 2), round(plain - 0.1, 2))


def test_where_nothing_is_lacking_nothing_is_asked() -> None:
    case = kit.case_of(PATTERN, WARM)
    answers = {"domains": texts.DomainsAnswer(())}
    assert [one.name for one in PATTERN.passes["standard"] if one.wanted(case, answers)] == ["domains"]
    assert PATTERN.conclude(case, answers).interventions == ()


def test_a_canonical_trace_keeps_its_steps() -> None:
    steps = (
        TraceStep("User", "message", "I am worried"),
        TraceStep("helper", "tool_call", "look_up(7)"),
        TraceStep("helper", "message", ""),
        TraceStep("helper", "message", "That sounds hard. It is safe."),
    )
    known = {"interaction_class": "coaching", "system_prompt": 7}
    trace = PATTERN.from_trace(CanonicalTrace("Help", steps, "Helped", success=True, metadata=known))
    reading = PATTERN.read(trace)
    assert [(step.agent, step.content) for step in reading.steps] == [(step.agent, step.content) for step in steps]
    assert [step.kind for step in reading.steps] == ["user", "tool", "reply", "reply"]
    assert (trace.interaction_class, trace.system_prompt) == ("coaching", "")
    assert PATTERN.faults(trace) == []
