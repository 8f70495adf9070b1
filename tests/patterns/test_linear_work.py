"""Offline work grows as a trace does: ten times the steps take about ten times as long, in every pattern."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import test_every_pattern as every

from benchmarks.workload import canonical_trace
from vstack_proto.analysis.machine import OFFLINE
from vstack_proto.trace import CanonicalTrace

FEW, MANY = 200, 2_000
# A step of the longer trace may take so many times as long as one of the shorter. Linear work measures 0.7 to 1.2; work
# that is quadratic in the steps measures near 10. CPU time and the best of several, since the machine may be shared.
MOST = 3.0
SAID = (
    "Assuming 42, @{other} can use 31.4 without checking it; sorry, I was not sure.",
    "I agree with {other}, looks good to me.",
    "Error: the table was not found, retry after the timeout",
)

pytestmark = pytest.mark.slow


def few_who_never_repeat_themselves(steps: int) -> Any:
    return canonical_trace(steps)


def many_who_do(steps: int) -> Any:
    """One agent for every ten steps; all say the same few things, which many rules see, and speak of one another."""
    run: Any = canonical_trace(steps)
    team = [f"agent-{n}" for n in range(steps // 10)]
    for n, step in enumerate(run["steps"]):
        step["agent"] = team[n * 7 % len(team)] if n % 20 else "user"
        step["content"] = SAID[n % 3].format(other=team[n % len(team)])
    run["agents"] = [{"agent_id": name, "reports_to": team[:1] if n else []} for n, name in enumerate(team)]
    return run


@functools.cache
def run(shape: Callable[[int], Any], steps: int) -> CanonicalTrace:
    return msgspec.convert(shape(steps), CanonicalTrace)


def least(pattern: every.AnyPattern, trace: Any, times: int) -> float:
    """CPU seconds of an offline analysis, the best of several."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        every.analysis(pattern, trace, "standard", OFFLINE).begin(10_000.0)
        taken.append(time.process_time() - began)
    return min(taken)


@every.each
@pytest.mark.parametrize("shape", [few_who_never_repeat_themselves, many_who_do])
def test_work_is_linear_in_the_steps(name: str, shape: Callable[[int], Any]) -> None:
    pattern = every.PATTERNS[name]
    few, many = every.readable(pattern, run(shape, FEW)), every.readable(pattern, run(shape, MANY))
    # A pattern that comes to need something else is given it in ``canonical_trace``.
    assert few is not None
    assert many is not None
    assert least(pattern, many, 3) / least(pattern, few, 7) / (MANY / FEW) <= MOST
