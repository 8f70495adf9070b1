"""After-action review: the contract, reading, the review without a model, and how it does on labelled runs."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import msgspec
import pytest
from contract_kit import (
    bodies,
    body,
    canonical_of,
    case_of,
    catalogue_differences,
    golden,
    input_differences,
    labelled_traces,
    misquotes,
    offline,
    output_differences,
    refusals,
    trace_of,
)
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns.aar import AAR, EPOCH, PATTERN, AARStep, AgentTrace
from vstack_proto.patterns.aar_signals import MAX_SIGNALS, decisive_steps
from vstack_proto.patterns.common import MODES, Mode, Signal
from vstack_proto.trace import CanonicalTrace, TraceStep


def run(goal: str, outcome: str, success: bool | None, *steps: tuple[str, str, str] | TraceStep) -> AgentTrace:
    """A run told as (agent, type, content) triples."""
    told = tuple(step if isinstance(step, TraceStep) else TraceStep(*step) for step in steps)
    return PATTERN.from_trace(CanonicalTrace(goal, told, outcome, success=success))


HEALTHY = run(
    "Report the number of open invoices of March 2024 from the ledger",
    "The report was delivered: 214 open invoices",
    True,
    ("planner", "decision", "Query the ledger for invoices of March 2024 whose state is open, then report the count."),
    ("analyst", "tool_call", "ledger.query(month='2024-03', state='open')"),
    ("ledger", "tool_result", "214 rows"),
    ("reviewer", "tool_call", "ledger.count(month='2024-03', state='open')"),
    ("ledger", "tool_result", "214"),
    ("analyst", "message", "There are 214 open invoices of March 2024, counted twice by independent queries."),
)
ASSUMED = run(
    "What was the highest temperature in Oslo in July 1901 according to the Norwegian archive?",
    "The answer was wrong",
    False,
    ("planner", "message", "Look the temperature up in the archive, then report it."),
    (
        "climatologist",
        "message",
        "We have no access yet. Assuming a typical summer, I will use 31.4 degrees as the value.",
    ),
    ("checker", "message", "I agree, 31.4 degrees looks correct."),
    ("writer", "message", "Final answer: 31.4 degrees."),
)
BROKEN_CALLS = run(
    "Import the customer list customers.csv into the CRM",
    "Nothing was imported",
    False,
    ("agent", "thought", "I will upload the file."),
    TraceStep("agent", "tool_call", 'crm.upload(path="/data/customer.csv")', tool="crm.upload"),
    TraceStep("crm", "tool_result", "No such file: /data/customer.csv", metadata={"status": "error"}),
    TraceStep("agent", "tool_call", 'crm.upload(path="/data/customer.csv")', tool="crm.upload"),
    TraceStep("crm", "tool_result", "No such file: /data/customer.csv", metadata={"status": "error"}),
    TraceStep("agent", "tool_call", 'crm.upload(path="/data/customer.csv")', tool="crm.upload"),
    TraceStep("crm", "tool_result", "No such file: /data/customer.csv", metadata={"status": "error"}),
    ("agent", "message", "Therefore the import is done."),
)
OTHER_TASK = run(
    "How many penguins on Dream Island have bills longer than 42 mm in the attached survey table?",
    "The answer was wrong",
    False,
    (
        "manager",
        "message",
        "## Task description\nDebug the failing Python script and report the exit code.\n## Plan\n...",
    ),
    ("coder", "message", "Please provide the script."),
    ("manager", "message", "We wait for the script."),
)
MATERIAL = {"healthy": HEALTHY, "assumed": ASSUMED, "broken": BROKEN_CALLS, "other task": OTHER_TASK}


# ---------------------------------------------------------------- the contract


def test_output_schema() -> None:
    assert output_differences(PATTERN) == []


def test_input_schema() -> None:
    assert input_differences(PATTERN) == []


def test_catalogue() -> None:
    assert catalogue_differences(PATTERN) == []


@pytest.mark.parametrize("request_body", bodies("aar", "valid"))
def test_valid_bodies(request_body: Any) -> None:
    assert refusals(PATTERN, request_body) == []


@pytest.mark.parametrize("request_body", bodies("aar", "invalid"))
def test_invalid_bodies(request_body: Any) -> None:
    assert refusals(PATTERN, request_body) != []


@pytest.mark.parametrize("which", ["minimal", "rich"])
def test_golden_audit(which: str) -> None:
    audit = offline(PATTERN, trace_of(PATTERN, body("aar", which)), "forensic").trace_quality_audit
    wanted = golden("aar")[which]["trace_quality_audit"]
    assert {name: getattr(audit, name) for name in wanted} == wanted


def test_blank_goal_and_outcome_are_both_named() -> None:
    faults = PATTERN.faults(AgentTrace(" ", (), "", False))
    assert [fault.pointer for fault in faults] == ["/goal", "/outcome"]


def test_equal_moments_encode_equally() -> None:
    told = [
        b'{"timestamp":"%s","type":"thought","content":"c"}' % moment
        for moment in (b"2026-03-01T09:00:00Z", b"2026-03-01T10:00:00+01:00", b"2026-03-01T09:00:00")
    ]
    assert len({msgspec.json.encode(msgspec.json.decode(step, type=AARStep)) for step in told}) == 1


# ---------------------------------------------------------------- canonical traces


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("tool_call", "tool_call"),
        ("function_call", "tool_call"),
        ("action", "tool_call"),
        ("tool_result", "observation"),
        ("function_call_output", "observation"),
        ("error", "observation"),
        ("handoff", "decision"),
        ("plan", "decision"),
        ("reasoning", "thought"),
        ("message", "message"),
        ("assistant", "message"),
        ("", "message"),
    ],
)
def test_nearest_step_type(told: str, kind: str) -> None:
    assert run("g", "o", False, ("a", told, "c")).steps[0].type == kind


def test_steps_without_a_moment_are_a_second_apart() -> None:
    later = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    steps = run("g", "o", False, ("a", "message", "x"), TraceStep("b", "message", "y", timestamp=later)).steps
    assert [step.timestamp for step in steps] == [EPOCH, later]
    assert run("g", "o", False, ("a", "x", "x"), ("b", "x", "y")).steps[1].timestamp == EPOCH + dt.timedelta(seconds=1)


def test_reading_keeps_the_steps_as_they_are() -> None:
    reading = PATTERN.read(BROKEN_CALLS)
    assert [step.agent for step in reading.steps] == ["agent", "agent", "crm", "agent", "crm", "agent", "crm", "agent"]
    assert reading.steps[1].content == 'crm.upload(path="/data/customer.csv")'
    assert BROKEN_CALLS.steps[1].metadata == {"agent": "agent", "tool": "crm.upload"}
    assert ("success", "no") in reading.facts


@pytest.mark.parametrize(
    ("outcome", "success"), [("The build failed", False), ("Answer was correct", True), ("All tests passed", True)]
)
def test_an_outcome_may_say_whether_it_succeeded(outcome: str, success: bool) -> None:
    assert run("g", outcome, None, ("a", "message", "c")).success is success


@pytest.mark.parametrize("outcome", ["42", "", "Completed with an error"])
def test_without_a_verdict_there_is_nothing_to_compare(outcome: str) -> None:
    with pytest.raises(TraceNotReadable, match="success"):
        run("g", outcome, None, ("a", "message", "c"))


# ---------------------------------------------------------------- without a model


def test_a_healthy_run_needs_nothing() -> None:
    review = offline(PATTERN, HEALTHY)
    assert (review.severity, review.profile_pattern, review.gap_score) == ("none", "success_aligned", 0.05)
    assert (review.lessons, review.next_steps, review.evidence, review.attached_playbooks) == ((), (), (), ())
    assert review.lesson_record_for_memory is None


def test_the_assumption_leads() -> None:
    review = offline(PATTERN, ASSUMED)
    assert review.evidence[0].steps == (1,)
    assert "Assuming a typical summer" in review.evidence[0].quote
    lesson = review.lessons[0]
    assert lesson.pattern == "assumption"
    assert "Step 1, climatologist," in lesson.description
    assert "vstack.devils_advocate" in lesson.cross_pattern_links
    assert review.next_steps[0].intervention_type == "prompt_patch"
    assert review.suggested_prompt_patch == review.next_steps[0].suggested_implementation
    assert review.severity in {"medium", "high", "critical"}
    assert 0.2 <= review.confidence <= 0.8


def test_who_caused_the_first_failure_leads_and_repetition_is_a_symptom() -> None:
    review = offline(PATTERN, BROKEN_CALLS)
    assert review.evidence[0].steps == (1,)
    assert review.lessons[0].pattern == "error_caused"
    assert "Failed results: step 2, step 4, step 6." in review.results
    assert "loop" in {signal.name for signal in case_of(PATTERN, BROKEN_CALLS).signals}
    assert not any(lesson.pattern == "loop" and "Symptom" not in lesson.description for lesson in review.lessons)
    conclusion = [s for s in case_of(PATTERN, BROKEN_CALLS).signals if s.name == "went_on_after_bad_result"]
    assert [signal.steps for signal in conclusion] == [(7,)]


def test_another_task_is_the_only_lesson() -> None:
    review = offline(PATTERN, OTHER_TASK)
    assert [lesson.pattern for lesson in review.lessons] == ["goal_replaced"]
    assert review.evidence[0].steps == (0,)
    assert review.profile_pattern == "scope_mismatch"
    assert review.composition_handoff.downstream_patterns == ("vstack.smart_goal", "vstack.grpi")


def test_a_success_with_repetition_teaches_that_alone() -> None:
    trace = run(
        "Publish the page",
        "The page was delivered",
        True,
        ("a", "message", "I assume the draft is final."),
        *[("a", "tool_call", "publish(page='start')"), ("web", "observation", "accepted, queued as job")] * 4,
    )
    review = offline(PATTERN, trace)
    assert [lesson.pattern for lesson in review.lessons] == ["loop"]
    assert (review.profile_pattern, review.severity) == ("partial_success", "low")


@pytest.mark.parametrize(
    ("outcome", "profile"),
    [
        ("Stopped: token limit reached", "cost_overrun"),
        ("The run missed the deadline", "deadline_missed"),
        ("Nobody knows", "total_failure"),
    ],
)
def test_what_the_outcome_says_of_itself(outcome: str, profile: str) -> None:
    review = offline(PATTERN, run("Write the report", outcome, False, ("a", "decision", "Begin with the outline.")))
    assert review.profile_pattern == profile
    assert len(review.next_steps) == 1
    assert review.evidence == ()


@pytest.mark.parametrize("name", MATERIAL)
@pytest.mark.parametrize("mode", MODES)
def test_modes_without_a_model(name: str, mode: Mode) -> None:
    review = offline(PATTERN, MATERIAL[name], mode)
    assert misquotes(PATTERN, MATERIAL[name], review) == []
    assert (review.trace_quality_audit is None) == (review.lesson_groundedness_audit is None) == (mode != "forensic")
    assert mode != "quick" or len(review.next_steps) <= 1


@pytest.mark.parametrize(
    ("content", "agent", "rule"),
    [
        ("exitcode: 1 (execution failed)\nTraceback (most recent call last):", "Computer_terminal", "tool_error"),
        ("The figures are 737,015 and 4,965, so the difference is 732,050.", "expert", "unsourced_figures"),
        ("I have verified the list of hikes.", "expert", "unsupported_report"),
        ("Please share the text of the poem.", "expert", "handed_to_nobody"),
        ("We are stalled. Replanning from the start.", "lead", "replanned"),
        ("I searched for 'hikes in national parks' on the web.", "surfer", "condition_dropped"),
        ("Here is a screenshot of the page. The viewport shows 12% of the webpage.", "surfer", "partial_view"),
    ],
)
def test_rules(content: str, agent: str, rule: str) -> None:
    goal = "Which hikes in Yellowstone have 50 reviews and were recommended by three families in 2022?"
    steps = [("lead", "message", "Find the hikes."), ("expert", "message", "I begin."), (agent, "message", content)]
    trace = run(goal, "wrong", False, *steps)
    found = {signal.name: signal for signal in PATTERN.signals(trace, PATTERN.read(trace))}
    assert rule in found
    assert found[rule].steps == (2,)


@pytest.mark.parametrize(
    "content",
    [
        "We must not assume that the file exists.",
        "The count is 12.",
        "I will now read the file.",
    ],
)
def test_plain_words_raise_nothing(content: str) -> None:
    trace = run("Count the files", "wrong", False, ("a", "message", "Begin."), ("b", "message", content))
    assert PATTERN.signals(trace, PATTERN.read(trace)) == ()


def test_a_figure_of_a_result_is_sourced() -> None:
    steps = [("tool", "observation", "737,015 4,965"), ("b", "message", "The figures are 737,015 and 4,965.")]
    trace = run("Compare", "wrong", False, ("a", "message", "Begin."), *steps)
    assert "unsourced_figures" not in {signal.name for signal in PATTERN.signals(trace, PATTERN.read(trace))}


def test_earlier_of_two_equal_mistakes_leads() -> None:
    twice = tuple(Signal("assumption", "", (step,), "assume", 0.6) for step in (4, 2))
    assert [step for step, _ in decisive_steps(twice[::-1], 6)] == [2, 4]
    assert decisive_steps((Signal("loop", "", (1,), "same", 0.3),), 6) == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["message", "tool_result"]), st.text()), min_size=1))
def test_any_text_is_read_and_quoted_as_it_stands(steps: list[tuple[str, str, str]]) -> None:
    trace = run("Find 3 things in “Old Town”", "wrong", False, *steps)
    review = offline(PATTERN, trace, "forensic")
    assert misquotes(PATTERN, trace, review) == []
    assert review.grounding.dropped == 0
    assert msgspec.json.decode(msgspec.json.encode(review), type=AAR) == review


@pytest.mark.parametrize(
    "text",
    [
        "I assume 12,345.678 and 99,999 are verified. Therefore: error 404 Not Found.\n",
        "9,",
        "task description:\n\n\n",
        "aaaaaaaa",
        "no results found ",
    ],
)
def test_large_traces_stay_linear(text: str) -> None:
    content = text * (200_000 // len(text))
    wide = run(text * 200, "wrong", False, *[("a", "message", text * 3) for _ in range(5000)])
    deep = run(content, "wrong", False, *[("tool" if n % 2 else "a", "message", content) for n in range(5)])
    began = time.perf_counter()
    for trace in (wide, deep):
        assert len(PATTERN.signals(trace, PATTERN.read(trace))) <= MAX_SIGNALS
    # Far above what it takes (some tenths of a second), far below what a quadratic rule would.
    assert time.perf_counter() - began < 10


# ---------------------------------------------------------------- labelled runs


@pytest.mark.parametrize("labelled", labelled_traces())
def test_evidence_stands_in_labelled_runs(labelled: Any) -> None:
    trace = PATTERN.from_trace(canonical_of(labelled))
    review = offline(PATTERN, trace)
    assert misquotes(PATTERN, trace, review) == []
    assert review.grounding.dropped == 0
    assert review.next_steps
    assert review.severity in {"medium", "high", "critical"}


def first_turn_of_the_second_agent(trace: CanonicalTrace) -> int:
    """The best that position alone can do; people and terminals are not counted as agents."""
    first: list[str] = []
    for number, step in enumerate(trace.steps):
        if not any(word in step.agent.lower() for word in ("human", "terminal")) and step.agent not in first:
            first.append(step.agent)
            if len(first) == 2:
                return number
    return 0


@pytest.mark.parametrize(("subset", "floor"), [("Algorithm-Generated", 0.6), ("Hand-Crafted", 0.25)])
def test_the_labelled_step_is_among_the_first_three(subset: str, floor: float) -> None:
    runs = [run.values[0] for run in labelled_traces() if run.values[0] and run.values[0]["subset"] == subset]
    if not runs:
        pytest.skip("no labelled traces beside the checkout")
    hits = by_position = 0
    for labelled in runs:
        canonical = canonical_of(labelled)
        evidence = offline(PATTERN, PATTERN.from_trace(canonical)).evidence
        leading = list(dict.fromkeys(step for item in evidence for step in item.steps))[:3]
        hits += labelled["label"]["step"] in leading
        by_position += labelled["label"]["step"] == first_turn_of_the_second_agent(canonical)
    assert hits / len(runs) >= floor
    assert hits > by_position
