"""lewin: the numbers of the contract, what the signs say of obstacles and reactions, and scripted readings."""

from __future__ import annotations

from typing import Any

import contract_kit as kit
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import lewin_signs as rules
from vstack_proto.patterns import lewin_texts as texts
from vstack_proto.patterns.common import Evidence, Mode, banded
from vstack_proto.patterns.lewin import PATTERN, AgentFailureTrace, CovarianceSignal, EnvironmentalFactor, LewinStep
from vstack_proto.trace import CanonicalTrace, TraceStep

Said = tuple[str, str]


def run(*steps: Said, success: bool = False, **more: object) -> AgentFailureTrace:
    told = tuple(LewinStep(kind, content) for kind, content in steps)  # type: ignore[arg-type]
    return msgspec.structs.replace(AgentFailureTrace("Load the orders", told, "Not loaded", success=success), **more)


REFUSED = run(
    ("tool_call", "GET https://warehouse/orders"),
    ("observation", "HTTP 503 from the warehouse"),
    ("tool_call", "GET https://warehouse/orders?page=1"),
    ("error", "request timed out"),
    ("output", "The warehouse does not answer; I stop here and report it."),
)
SUPPOSED = run(
    ("thought", "I assume that every order is in euros, no need to check"),
    ("output", "Total: 12,400 euros"),
    ("thought", "I overlooked the currency column"),
)
CORNERED = run(
    ("tool_call", "UPDATE orders SET region = 1"),
    ("observation", "statement timeout after 300 s"),
    ("decision", "Raise statement_timeout to 0 and run it in one transaction"),
    ("output", "It is still running"),
)
SMOOTH = run(
    ("tool_call", "SELECT count(*) FROM orders"),
    ("observation", "4100"),
    ("output", "4100 orders loaded"),
    success=True,
)


@pytest.mark.parametrize(
    ("trace", "locus", "kind"),
    [
        (REFUSED, "environmental", "change_tools"),
        (SUPPOSED, "internal", "new_eval"),
        (CORNERED, "interactional", "add_verification_step"),
    ],
)
def test_the_locus_of_a_failure(trace: AgentFailureTrace, locus: str, kind: str) -> None:
    detection = kit.offline(PATTERN, trace)
    assert detection.dominant_locus == locus
    assert detection.interventions[0].intervention_type == kind
    assert {one.target_locus for one in detection.interventions} == {locus}
    assert detection.evidence
    assert kit.misquotes(PATTERN, trace, detection) == []


@pytest.mark.parametrize("trace", [SMOOTH, msgspec.structs.replace(REFUSED, success=True)])
def test_a_success_blames_nobody(trace: AgentFailureTrace) -> None:
    detection = kit.offline(PATTERN, trace)
    assert detection.dominant_locus == "indeterminate"
    assert detection.interventions == ()
    assert detection.attached_playbooks == ()


def test_the_same_failed_call_again_is_the_agents_own() -> None:
    call = ("tool_call", "SELECT regoin FROM orders")
    again = run(call, ("observation", "SyntaxError: no column regoin"), call, ("observation", "SyntaxError again"))
    names = [signal.name for signal in kit.case_of(PATTERN, again).signals]
    assert names == ["bad_call", "perseveration", "bad_call"]
    assert "perseveration" not in [signal.name for signal in kit.case_of(PATTERN, run(call, call)).signals]


@pytest.mark.parametrize(
    ("scores", "dominant", "quality"),
    [
        ((0.0, 0.0, 0.0), "indeterminate", "miscalibrated"),
        ((0.19, 0.1, 0.1), "indeterminate", "miscalibrated"),
        ((0.2, 0.1, 0.0), "internal", "miscalibrated"),
        ((0.7, 0.65, 0.1), "environmental", "ambiguous"),
        ((0.7, 0.1, 0.65), "interactional", "ambiguous"),
        ((0.7, 0.64, 0.64), "internal", "ambiguous"),
        ((0.6, 0.3, 0.1), "internal", "well-attributed"),
        ((0.1, 0.59, 0.3), "environmental", "ambiguous"),
    ],
)
def test_dominant_and_quality(scores: tuple[float, ...], dominant: str, quality: str) -> None:
    by_locus = dict(zip(rules.LOCI, scores, strict=True))
    assert rules.dominant_of(by_locus) == dominant
    assert rules.quality_of(by_locus) == quality


@pytest.mark.parametrize(
    ("seen", "locus"),
    [
        (("high", "high", "high"), "environmental"),
        (("low", "low", "high"), "internal"),
        (("low", "high", "low"), "interactional"),
        (("high", "high", "mixed"), None),
        (("unknown", "unknown", "unknown"), None),
    ],
)
def test_covariance_nudges_one_locus(seen: tuple[rules.Covaries, ...], locus: str | None) -> None:
    nudged = rules.nudged(dict.fromkeys(rules.LOCI, 0.97), *seen)
    assert nudged == {name: 1.0 if name == locus else 0.97 for name in rules.LOCI}


@pytest.mark.parametrize(
    ("initial", "locus"),
    [
        (None, None),
        ("", None),
        ("interactional", "interactional"),
        ("The model is bad at SQL", "internal"),
        ("A wrong system prompt", "environmental"),
        ("Both of them", "interactional"),
        ("Bad luck", None),
    ],
)
def test_what_a_first_attribution_means(initial: str | None, locus: str | None) -> None:
    assert rules.meant(initial) == locus
    verdict = kit.offline(PATTERN, msgspec.structs.replace(REFUSED, initial_attribution=initial))
    assert verdict.initial_attribution_correct == (None if locus is None else locus == "environmental")


@pytest.mark.parametrize(
    ("initial", "mechanism"),
    [
        ("the model is bad at SQL", "over_categorization"),
        ("any model should have managed", "unrealistic_expectation"),
        ("the model slipped", "unaware"),
        ("the prompt", "none"),
    ],
)
def test_the_mechanism_behind_a_wrong_blame(initial: str, mechanism: str) -> None:
    detection = kit.offline(PATTERN, msgspec.structs.replace(REFUSED, initial_attribution=initial))
    assert detection.bias_mechanism == mechanism


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_scores_stay_in_bounds(values: list[float]) -> None:
    scores = dict(zip(rules.LOCI, values, strict=True))
    dominant = rules.dominant_of(scores)
    assert (dominant == "indeterminate") == (max(values) < 0.2)
    assert dominant == "indeterminate" or scores[dominant] >= max(values) - 0.0501
    assert banded(max(values), rules.SEVERITY) in ("none", "trace", "low", "moderate", "medium", "high", "critical")


PROOF = Evidence("It could not get in.", (1,), "HTTP 503 from the warehouse")


def finding(locus: str, score: float, *evidence: Evidence) -> texts.LocusFinding:
    return texts.LocusFinding(locus, score, f"{locus}, as read", "Otherwise well", ("e1", "unknown"), evidence)  # type: ignore[arg-type]


def fix(kind: str = "change_tools") -> texts.LewinIntervention:
    return texts.LewinIntervention(
        "environmental",
        kind,  # type: ignore[arg-type]
        description="Retry with pauses",
        suggested_implementation="In the harness",
    )


STATED = EnvironmentalFactor("rate_limits", "one writer", "e1", 0.5)
HELD = texts.LociAnswer((finding("environmental", 0.8, PROOF), finding("internal", 0.9)))
ANSWERS: dict[str, Any] = {
    "quick": {"loci": texts.QuickAnswer(HELD.loci, (fix(),))},
    "standard": {"loci": HELD, "interventions": texts.FixAnswer((fix(), fix("compose_pattern")))},
    "forensic": {
        "loci": texts.LociAnswer((finding("environmental", 0.5, PROOF),)),
        "challenge": texts.LociAnswer((finding("environmental", 0.8),)),
        "bias": texts.BiasAnswer("unaware", "The refusals were not seen."),
        "interventions": texts.FixAnswer((fix(),)),
    },
}


@pytest.mark.parametrize("mode", ["quick", "standard", "forensic"])
def test_a_good_answer_reaches_the_detection(mode: Mode) -> None:
    trace = msgspec.structs.replace(REFUSED, initial_attribution="the model is bad", environmental_factors=(STATED,))
    case = kit.case_of(PATTERN, trace, mode)
    answers = ANSWERS[mode]
    assert [one.name for one in PATTERN.passes[mode] if one.wanted(case, answers)] == list(answers)
    assert all(one.instruction(case, answers) for one in PATTERN.passes[mode])
    detection = PATTERN.conclude(case, answers)
    assert detection.dominant_locus == "environmental"
    assert detection.locus_scores["environmental"] == 0.8
    assert PROOF in detection.evidence
    row = detection.loci[1]
    assert (row.severity, row.factor_citations, row.evidence_quotes) == ("high", ("e1",), (PROOF.quote,))
    # A score that nothing bears out does not rise above what the signs show.
    assert detection.locus_scores["internal"] == 0.0
    assert "tools_available" in [book.factor for book in detection.attached_playbooks]
    assert detection.initial_attribution_correct is False
    assert detection.bias_mechanism != "none"


def test_no_locus_asks_for_no_change() -> None:
    case = kit.case_of(PATTERN, SMOOTH, "forensic")
    answers = {"loci": texts.LociAnswer(()), "challenge": texts.LociAnswer(())}
    wanted = [one.name for one in PATTERN.passes["forensic"] if one.wanted(case, answers)]
    assert wanted == ["loci", "challenge"]
    detection = PATTERN.conclude(case, answers)
    assert (detection.dominant_locus, detection.interventions) == ("indeterminate", ())
    assert [row.severity for row in detection.loci] == ["none"] * 3


def test_a_canonical_trace_keeps_its_steps_and_brings_what_is_known() -> None:
    steps = (
        TraceStep("User", "message", "Load the orders"),
        TraceStep("Computer_terminal", "message", "exitcode: 1"),
        TraceStep("a", "decision", "stop"),
        TraceStep("a", "tool_result", "503"),
        TraceStep("a", "message", "stopped"),
    )
    known = {"covariance_signal": {"consensus": "high"}, "run_count": 0, "initial_attribution": "the model"}
    trace = PATTERN.from_trace(CanonicalTrace("Load", steps, "Failed", metadata=known))
    assert [step.type for step in trace.steps] == ["input", "observation", "decision", "observation", "output"]
    assert [step.content for step in trace.steps] == [step.content for step in steps]
    assert trace.covariance_signal == CovarianceSignal("high")
    assert (trace.run_count, trace.initial_attribution, trace.success) == (1, "the model", False)
