"""What an after-action review computes instead of asking: gap, profile, audits, and the tables they lead to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from vstack_proto.patterns.common import Composition, Count, Grounding, Severity, Share

Profile = Literal[
    "success_aligned", "partial_success", "total_failure", "scope_mismatch", "retry_thrashing", "cost_overrun",
    "deadline_missed", "indeterminate",
]  # fmt: skip


class TraceQualityAudit(msgspec.Struct, frozen=True):
    """How much of the run the trace records."""

    step_count: Count = 0
    tool_call_count: Count = 0
    decision_count: Count = 0
    observation_count: Count = 0
    has_cost: bool = False
    has_latency: bool = False
    has_retry_count: bool = False
    completeness_estimate: Share = 0.5
    explanation: str = ""


class LessonGroundednessAudit(msgspec.Struct, frozen=True):
    """How many of the lessons are tied to a question of the framework."""

    grounded_lesson_count: Count = 0
    ungrounded_lesson_count: Count = 0
    lessons_with_framework_anchor: Count = 0
    lessons_with_cross_pattern_links: Count = 0
    groundedness_estimate: Share = 0.5
    explanation: str = ""


BANDS: tuple[tuple[float, Severity], ...] = (
    (0.0, "none"), (0.1, "trace"), (0.25, "low"), (0.4, "moderate"), (0.55, "medium"), (0.7, "high"),
    (0.85, "critical"),
)  # fmt: skip
_PROFILE_WORDS: tuple[tuple[str, Profile], ...] = (
    ("scope|wrong goal|different problem|misread", "scope_mismatch"),
    ("loop|retry|stuck|thrash|escalation", "retry_thrashing"),
    ("cost|expensive|token|budget", "cost_overrun"),
    ("deadline|latency|slow|timeout", "deadline_missed"),
)


def gap_of(success: bool, lessons: int, next_steps: int) -> float:
    """How far result and intent lie apart, from 0 to 1, by how much there was to learn and to change."""
    if success:
        return 0.05 if lessons == 0 else 0.25 if lessons <= 2 else 0.40
    return round(min(1.0, 0.6 + min(0.3, 0.05 * lessons + 0.05 * next_steps)), 2)


def profile_of(success: bool, gap: float, lessons: str) -> Profile:
    """The first rule that holds. Words that the lessons quote are not the reviewer's own and do not count."""
    if success and gap < 0.5:
        return "success_aligned" if gap < 0.2 else "partial_success"
    if not success and gap >= 0.8:
        return "total_failure"
    own = re.sub(r"“[^”]*”", "", lessons).lower()
    named = next((profile for words, profile in _PROFILE_WORDS if re.search(words, own)), None)
    return named or ("indeterminate" if success else "total_failure")


def audit_trace(
    kinds: Sequence[str], cost: float | None, latency: float | None, retries: int | None
) -> TraceQualityAudit:
    """What the trace records, by the types of its steps and the figures it carries."""
    calls, decisions, observations = counts = [kinds.count(kind) for kind in ("tool_call", "decision", "observation")]
    paid, timed, tried = known = [value is not None for value in (cost, latency, retries)]
    estimate = round(0.4 + 0.2 * bool(kinds) + 0.1 * sum(known) + 0.1 * all(counts), 2)
    names = ("cost", "latency", "retry count", "tool calls", "decisions", "observations")
    missing = [name for name, there in zip(names, [*known, *counts], strict=True) if not there]
    told = f"Not recorded: {', '.join(missing)}." if missing else "Everything a review asks for is recorded."
    return TraceQualityAudit(len(kinds), calls, decisions, observations, paid, timed, tried, estimate, told)


def audit_lessons(lessons: int, anchored: int, linked: int, grounding: Grounding) -> LessonGroundednessAudit:
    """How well the lessons are tied down; without lessons the share says nothing and stays at 0.5."""
    share = round(anchored / lessons, 2) if lessons else 0.5
    told = f"{grounding.verified} of {grounding.cited} quotations stand in the step they cite."
    return LessonGroundednessAudit(anchored, lessons - anchored, anchored, linked, share, told)


ATTACH = {
    ("total_failure", "tool_addition"): "missing_tool",
    ("total_failure", "scaffold_change"): "broken_scaffold",
    ("partial_success", "compose_pattern"): "missing_completion_criteria",
    ("partial_success", "human_review"): "ungrounded_lessons",
    ("scope_mismatch", "compose_pattern"): "unclear_goal",
    ("scope_mismatch", "memory_injection"): "memory_injection",
    ("retry_thrashing", "new_eval"): "stuck_in_loop",
    ("retry_thrashing", "prompt_patch"): "tool_error_cascade",
    ("cost_overrun", "compose_pattern"): "no_budget",
    ("cost_overrun", "new_eval"): "expensive_tool_loop",
    ("deadline_missed", "compose_pattern"): "no_time_budget",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.grpi", "vstack.smart_goal", "vstack.lencioni"),
    downstream={
        "profile_pattern": {
            "success_aligned": (),
            "partial_success": ("vstack.smart_goal", "vstack.plus_delta"),
            "total_failure": ("vstack.grpi", "vstack.lewin"),
            "scope_mismatch": ("vstack.smart_goal", "vstack.grpi"),
            "retry_thrashing": ("vstack.bias_stack", "vstack.devils_advocate"),
            "cost_overrun": ("vstack.smart_goal", "vstack.yerkes_dodson"),
            "deadline_missed": ("vstack.smart_goal", "vstack.grpi"),
            "indeterminate": (),
        }
    },
    framework_overlays={
        "langgraph": (),
        "crewai": ("vstack.lencioni",),
        "autogen": (),
        "claude-agent-sdk": ("vstack.grpi",),
    },
)
