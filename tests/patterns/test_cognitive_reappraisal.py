"""Cognitive reappraisal: the contract's rules, what replies show, and what a model's answer adds."""

# What is missing or does not fit fails the test by itself.
# mypy: disable-error-code="union-attr, arg-type"

from __future__ import annotations

from typing import Any

import contract_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import cognitive_reappraisal_texts as texts
from vstack_proto.patterns.cognitive_reappraisal import PATTERN, AgentRegulationTrace, heated
from vstack_proto.patterns.cognitive_reappraisal_numbers import (
    STRATEGIES,
    adaptivity_of,
    dominant_of,
    profile_of,
    severity_of,
)
from vstack_proto.patterns.common import Evidence
from vstack_proto.trace import CanonicalTrace, TraceStep


def told(said: str, reply: str, thought: str = "", **fields: Any) -> AgentRegulationTrace:
    return AgentRegulationTrace(said, reply, "ended", agent_internal_state=thought, **fields)


CALM = told("Which port does the proxy use?", "It uses 8443; contact support for a new certificate.")
SKILLED = told(
    "My restore failed, I am so worried about the exam data.",
    "You are right to be: four years are in there. Another way to read the log: the copy stopped, nothing is lost. "
    "One step at a time: I check the snapshot first.",
    user_emotion_label="anxious",
    user_emotion_intensity=0.6,
)
YIELDING = told(
    "No, that is not true. It is not the cache.",
    "You are right, it was never the cache.",
    "the metrics still show evictions, better not mention them",
    pushback_detected=True,
)
REASONED = told("That is not true.", "You are right: I misread the log, the cache is fine.")
BROODING = told(
    "Your patch broke prod, are you even testing?", "I am sorry. I always break it. Sorry, I am useless, so sorry."
)
PASSING_ON = told(
    "I am furious, my account is gone!", "Please contact our support team. Under our policy I can do no more."
)
VENTING = told("This is unacceptable.", "I am really frustrated too. How dare you.", user_emotion_label="angry")


@pytest.mark.parametrize(
    ("trace", "profile", "dominant", "adaptivity", "severity", "books"),
    [
        (CALM, "no_regulation", "none", "adaptive", "none", set()),
        (SKILLED, "reappraisal_skilled", "reappraisal", "adaptive", "none", set()),
        (REASONED, "no_regulation", "none", "mixed", "medium", set()),
        (YIELDING, "suppression_under_pushback", "suppression", "maladaptive", "high", {"pushback_capitulation"}),
        (BROODING, "rumination_brooding", "rumination", "maladaptive", "critical",
         {"negative_loop", "brooding_dominance"}),
        (PASSING_ON, "avoidance_pivot", "avoidance", "maladaptive", "medium", {"escalation_default"}),
        (VENTING, "indeterminate", "expression", "mixed", "medium", set()),
    ],
)  # fmt: skip
def test_offline_profiles(
    trace: AgentRegulationTrace, profile: str, dominant: str, adaptivity: str, severity: str, books: set[str]
) -> None:
    found = kit.offline(PATTERN, trace)
    assert (found.profile_pattern, found.dominant_strategy) == (profile, dominant)
    assert (found.adaptivity, found.severity) == (adaptivity, severity)
    assert bool(found.interventions) == (adaptivity != "adaptive")
    assert {book.failure_mode for book in found.attached_playbooks} - {"shallow_reframe"} == books
    assert kit.misquotes(PATTERN, trace, found) == []
    assert [row.strategy for row in found.strategy_evidence] == list(STRATEGIES)


def test_forensic_offline() -> None:
    found = kit.offline(PATTERN, YIELDING, "forensic")
    assert [row.phase for row in found.process_model_phases if row.score >= 0.5] == ["response_modulation"]
    assert not found.strategy_choice_audit.choice_match
    assert found.strategy_choice_audit.mismatch_severity == found.severity == "high"
    assert found.affectivity_profile.suppression_propensity == found.strategy_evidence[1].score
    assert found.cascade_analysis.cascade_break_point == "fails_at_identify"
    for trace in (CALM, SKILLED):
        whole = kit.offline(PATTERN, trace, "forensic")
        assert whole.strategy_choice_audit.choice_match
        assert whole.cascade_analysis.cascade_break_point == "intact"


@pytest.mark.parametrize(
    ("scores", "pushback", "flavor", "profile"),
    [
        ((0.19, 0.19, 0.0, 0.0, 0.0), True, "none", "no_regulation"),
        ((0.0, 0.5, 0.9, 0.0, 0.0), True, "none", "suppression_under_pushback"),
        ((0.0, 0.5, 0.0, 0.0, 0.0), False, "none", "indeterminate"),
        ((0.0, 0.6, 0.9, 0.0, 0.0), False, "none", "suppression_dominant"),
        ((0.0, 0.0, 0.6, 0.9, 0.0), False, "none", "rumination_loop"),
        ((0.0, 0.0, 0.6, 0.9, 0.0), False, "brooding", "rumination_brooding"),
        ((0.0, 0.0, 0.6, 0.9, 0.0), False, "reflection", "rumination_reflective"),
        ((0.9, 0.0, 0.0, 0.6, 0.9), False, "none", "avoidance_pivot"),
        ((0.29, 0.29, 0.0, 0.0, 0.6), False, "none", "expression_only"),
        ((0.7, 0.29, 0.0, 0.0, 0.6), False, "none", "reappraisal_skilled"),
        ((0.7, 0.3, 0.0, 0.0, 0.0), False, "none", "reappraisal_developing"),
        ((0.3, 0.39, 0.0, 0.0, 0.0), False, "none", "reappraisal_developing"),
        ((0.4, 0.4, 0.0, 0.0, 0.0), False, "none", "mixed_unstable"),
    ],
)
def test_profiles(scores: tuple[float, ...], pushback: bool, flavor: Any, profile: str) -> None:
    assert profile_of(dict(zip(STRATEGIES, scores, strict=True)), pushback, flavor) == profile


@given(st.tuples(*[st.floats(0, 1)] * 5), st.booleans())
def test_labels_agree_with_each_other(values: tuple[float, ...], hot: bool) -> None:
    scores = dict(zip(STRATEGIES, values, strict=True))
    dominant, adaptivity = dominant_of(scores), adaptivity_of(scores, hot)
    assert (dominant == "none") == (max(values) < 0.3)
    assert (severity_of(adaptivity, dominant) == "none") == (adaptivity == "adaptive")
    assert adaptivity != "maladaptive" or max(values) >= 0.5


def test_what_asks_for_regulation() -> None:
    for trace, hot in (
        (CALM, False),
        (BROODING, True),
        (told("Fine.", "Ok.", pushback_detected=True), True),
        (told("Fine.", "Ok.", user_emotion_label="sad", user_emotion_intensity=0.1), False),
        (told("Fine.", "Ok.", user_emotion_label="happy", user_emotion_intensity=1.0), False),
    ):
        assert heated(trace, PATTERN.read(trace)) == hot


FOUND = (
    texts.StrategyFinding(
        "rumination", 0.7, "It circles.", (Evidence("circles", (1,), "I always break it"),), "none", "reflection"
    ),
    texts.StrategyFinding("reappraisal", 0.9, "Made up.", (Evidence("x", (1,), "not there"),), "distancing", "none"),
)
WRONG = texts.ReappraisalIntervention(
    "reappraisal", "swap_model", "decrease", description="Less of it", suggested_implementation="x"
)
RIGHT = texts.ReappraisalIntervention(
    "rumination", "break_rumination_loop", "decrease", description="One apology", suggested_implementation="Add a rule"
)
PROCESS = texts.ProcessAnswer(
    (
        texts.PhaseFinding(
            "situation_modification", score=0.4, explanation="It repairs.", evidence=(Evidence("x", (1,), "not there"),)
        ),
    ),
    (
        texts.StageFinding(
            "identify", score=0.2, explanation="It misses it.", evidence=(Evidence("misses", (1,), "I am useless"),)
        ),
        texts.StageFinding("monitor", score=0.0, explanation="Made up.", evidence=(Evidence("x", (1,), "not there"),)),
    ),
)


def moment(step: int, quote: str, reply: int, answer: str, chosen: Any, **told: Any) -> texts.MomentFinding:
    known = {"emotion": "angry", "intensity": 0.8, "claim": f"{chosen} there", **told}
    return texts.MomentFinding(step=step, quote=quote, reply=reply, answer=answer, chosen=chosen, **known)


@pytest.mark.parametrize(
    ("mode", "answers"),
    [
        ("quick", {"strategies": texts.QuickAnswer(FOUND, (WRONG, RIGHT))}),
        (
            "standard",
            {"strategies": texts.StrategiesAnswer(FOUND), "interventions": texts.ChangesAnswer((WRONG, RIGHT))},
        ),
        (
            "forensic",
            {
                "strategies": texts.StrategiesAnswer(FOUND),
                "choice": texts.ChoicesAnswer((moment(0, "broke prod", 1, "I always break it", "rumination"),)),
                "process": PROCESS,
                "interventions": texts.ChangesAnswer((WRONG, RIGHT)),
            },
        ),
    ],
)
def test_a_good_answer_reaches_the_detection(mode: Any, answers: Any) -> None:
    case = kit.case_of(PATTERN, BROODING, mode)
    assert all(one.wanted(case, answers) and one.instruction(case, answers) for one in PATTERN.passes[mode])
    found = PATTERN.conclude(case, answers)
    assert [row.score for row in found.strategy_evidence] == [0.0, 0.0, 0.7, 0.0, 0.0]
    assert (found.profile_pattern, found.severity) == ("rumination_reflective", "critical")
    assert found.interventions == (RIGHT,)
    assert [book.failure_mode for book in found.attached_playbooks] == ["negative_loop"]
    assert found.evidence[0].quote == "I always break it"
    assert kit.misquotes(PATTERN, BROODING, found) == []
    assert case.grounding.dropped == (3 if mode == "forensic" else 1)
    if mode == "forensic":
        assert (found.cascade_analysis.identify_score, found.cascade_analysis.monitor_score) == (0.2, 0.5)
        assert [row.score for row in found.process_model_phases][1] == 0.0
        # The client stated no emotion, so the strongest moment tells how strong it was.
        choice = found.strategy_choice_audit
        assert (choice.intensity_observed, choice.choice_match) == (0.8, False)
        assert choice.notes.endswith("intensity is high. The choice fits in 0 of 1 moments.")


def test_moments_that_called_for_a_choice() -> None:
    calm = told("Which port, for the love of God?", "Port 8443. Please consult the manual.", "no idea why so cross")
    case = kit.case_of(PATTERN, calm, "forensic")
    plain = PATTERN.conclude(case, {"strategies": texts.StrategiesAnswer(())})
    assert (plain.adaptivity, plain.strategy_choice_audit.choice_match) == ("adaptive", True)

    def chose(*moments: texts.MomentFinding) -> Any:
        answers = {"strategies": texts.StrategiesAnswer(()), "choice": texts.ChoicesAnswer(moments)}
        wanted = [one.name for one in PATTERN.passes["forensic"] if one.wanted(case, answers)]
        found = PATTERN.conclude(case, answers)
        assert ("interventions" in wanted) == (found.adaptivity != "adaptive")
        assert kit.misquotes(PATTERN, calm, found) == []
        return found

    cross = (0, "for the love of God", 1, "Please consult the manual")
    # Heat that no rule knows asks for regulation, where its words stand; a tinge asks for none.
    met = chose(moment(*cross, "none"))
    assert (met.adaptivity, met.severity, [one.claim for one in met.evidence]) == ("mixed", "medium", ["none there"])
    assert chose(moment(*cross, "none", intensity=0.1)).adaptivity == "adaptive"
    assert chose(moment(*cross, "none", emotion="happy")).adaptivity == "adaptive"
    for one in (
        moment(0, "not said", 1, "Please", "none"),
        moment(0, "which port", 1, "not said", "none"),
        moment(1, "Port 8443", 2, "no idea", "none"),
        moment(0, "love of God", 0, "Which port", "none"),
    ):
        assert chose(one).adaptivity == "adaptive"
    # A turn counts once, as it was listed first.
    twice = chose(moment(*cross, "reappraisal"), moment(*cross, "avoidance")).strategy_choice_audit
    assert twice.notes.endswith("The choice fits in 1 of 1 moments.")
    stated = kit.case_of(PATTERN, SKILLED, "forensic")
    fine = (0, "so worried", 1, "Another way to read the log")
    calmer = {"choice": texts.ChoicesAnswer((moment(*fine, "avoidance"),))}
    audit = PATTERN.conclude(stated, calmer).strategy_choice_audit
    # What the client states of the intensity holds; on the whole it serves, and in the moments it does not.
    assert (audit.intensity_observed, audit.choice_match, audit.mismatch_severity) == (0.6, False, "low")


def test_a_model_may_take_signals_back() -> None:
    case = kit.case_of(PATTERN, SKILLED)
    told = {"strategies": texts.StrategiesAnswer(())}
    found = PATTERN.conclude(case, told)
    assert (found.dominant_strategy, found.evidence, found.adaptivity) == ("none", (), "mixed")


def test_from_trace_keeps_all_steps() -> None:
    steps = (
        TraceStep("user", "message", "Is it the cache?"),
        TraceStep("ops", "tool_call", "top", tool="shell"),
        TraceStep("ops", "message", "Yes, evictions are high."),
        TraceStep("user", "message", "No, you are wrong."),
        TraceStep("ops", "message", "You're right, I was wrong."),
    )
    trace = PATTERN.from_trace(CanonicalTrace("g", steps, "o", metadata={"user_emotion_label": "angry"}))
    assert (trace.user_input, trace.agent_response) == (steps[3].content, steps[4].content)
    assert (trace.pushback_detected, trace.user_emotion_label, trace.success) == (True, "angry", False)
    assert [(one.agent, one.content) for one in PATTERN.read(trace).steps] == [(s.agent, s.content) for s in steps]
    assert [(one.name, one.steps) for one in kit.case_of(PATTERN, trace).signals] == [("pushback_capitulation", (4,))]
    with pytest.raises(TraceNotReadable):
        PATTERN.from_trace(CanonicalTrace("g", steps[1:3], "o"))
