"""What an offline analysis of a trace of 100 steps costs, pattern by pattern, beside one cycle of h11."""

from __future__ import annotations

import functools
import statistics
from typing import Any, NamedTuple

import msgspec

from benchmarks.exchanges import H11, h11_task
from benchmarks.lenses import AnyPattern, analysis, patterns, read_by, real_runs
from benchmarks.timing import Task, interleaved, median_ratio
from benchmarks.workload import canonical_trace
from vstack_proto.analysis.machine import OFFLINE
from vstack_proto.trace import CanonicalTrace

STEPS = 100


class Cost(NamedTuple):
    """CPU of one analysis: seconds of each round, and the median of their ratios to the h11 cycle of the round."""

    seconds: list[float]
    cycles: float


def _analysed(pattern: AnyPattern, whole: CanonicalTrace) -> object:
    """From a decoded canonical trace to an encoded detection."""
    return analysis(pattern, pattern.from_trace(whole), "standard", OFFLINE).begin(10_000.0)


def _tasks(run: dict[str, Any]) -> dict[str, Task]:
    whole = msgspec.convert(run, CanonicalTrace)
    able = {name: one for name, one in patterns().items() if read_by(one, run) is not None}
    return {name: functools.partial(_analysed, one, whole) for name, one in able.items()}


def measure(run: dict[str, Any], *, rounds: int = 5, seconds: float = 0.02) -> dict[str, Cost]:
    """By pattern that can read it: what its offline analysis of a canonical trace costs."""
    taken = interleaved({H11: h11_task(), **_tasks(run)}, rounds=rounds, seconds=seconds)
    cycle = taken.pop(H11)
    return {name: Cost(one, median_ratio(one, cycle)) for name, one in taken.items()}


def median_cycles(found: dict[str, Cost]) -> float:
    """The median over patterns, in cycles of h11."""
    return statistics.median(cost.cycles for cost in found.values())


def made(steps: int = STEPS) -> dict[str, Any]:
    """The canonical trace of the benchmark, as JSON would have it."""
    return msgspec.to_builtins(canonical_trace(steps))


def _real() -> dict[str, Any] | None:
    """The first so many steps of the longest labelled run; None where there is none."""
    runs = [run for run in real_runs(0) if len(run["steps"]) >= STEPS]
    longest = max(runs, key=lambda run: len(run["steps"]), default=None)
    return longest and {**longest, "steps": longest["steps"][:STEPS]}


def table() -> list[str]:
    """The rows of the table, in Markdown."""
    ours, theirs = made(), _real()
    found = measure(ours)
    real = measure(theirs, rounds=3) if theirs else {}
    lines = [
        f"| pattern | h11 cycles, {_kilo(ours)} kB | ms | h11 cycles, {_kilo(theirs)} kB (real) | ms |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [f"| {name} | {_cells(found[name])} | {_cells(real.get(name))} |" for name in found]
    lines.append(f"| **median of patterns** | {_middle(found)} | {_middle(real)} |")
    return lines


def _kilo(run: dict[str, Any] | None) -> str:
    return f"{sum(len(step['content']) for step in run['steps']) / 1000:.0f}" if run else "0"


def _cells(cost: Cost | None) -> str:
    return f"{cost.cycles:,.0f} | {statistics.median(cost.seconds) * 1e3:.2f}" if cost else " | "


def _middle(found: dict[str, Cost]) -> str:
    if not found:
        return " | "
    milli = statistics.median(statistics.median(cost.seconds) for cost in found.values()) * 1e3
    return f"**{median_cycles(found):,.0f}** | **{milli:.2f}**"
