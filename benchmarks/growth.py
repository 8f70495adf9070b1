"""How time and memory grow with the size of a request: no faster than linearly."""

from __future__ import annotations

import gc
import statistics
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.rig import Performer, Wire
from benchmarks.timing import interleaved, median_ratio
from benchmarks.workload import TRACES, Request, body_of, body_of_size

BODY_SIZES = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)
STEPS = (10, 50, 250, 1_000, 5_000)
# Agents are cheap to tell: a crew's roster holds as many of them as the others hold steps.
UNITS = {"aar": "steps", "social_loafing": "messages", "span_of_control": "agents"}
CACHED = "cached"


class Point(NamedTuple):
    """One size: units (kB or steps) of the request, seconds of CPU in each round, and peak memory in bytes."""

    units: float
    seconds: list[float]
    peak: int


def _task(request: Request, *, cached: bool) -> Callable[[], bytes]:
    """From bytes to bytes, over one connection, in reads as large as asyncio's."""
    wire, data = Wire(Performer(keep=cached)), request.encoded()
    answer = wire.run(data)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"not the answer that was wanted: {answer[:500]!r}")
    return lambda: wire.run(data)


def _peak(task: Callable[[], bytes]) -> int:
    """The most memory that a call holds beyond what was held before it: traced, hence measured apart from time."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        task()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def _measure(requests: Mapping[float, Request], *, cached: bool, rounds: int, seconds: float) -> list[Point]:
    tasks = {units: _task(request, cached=cached) for units, request in requests.items()}
    taken = interleaved({str(units): task for units, task in tasks.items()}, rounds=rounds, seconds=seconds)
    return [Point(units, taken[str(units)], _peak(task)) for units, task in tasks.items()]


def by_size(sizes: Sequence[int] = BODY_SIZES, *, rounds: int = 5, seconds: float = 0.1) -> dict[str, list[Point]]:
    """Bodies of so many bytes: found in the cache by their bytes, and analysed by each pattern; units are kB."""
    measured = {}
    for name in (CACHED, *TRACES):
        pattern = "aar" if name == CACHED else name
        bodies = [body_of_size(pattern, size) for size in sizes]
        requests = {len(body) / 1000: Request(pattern, body) for body in bodies}
        measured[name] = _measure(requests, cached=name == CACHED, rounds=rounds, seconds=seconds)
    return measured


def by_steps(steps: Sequence[int] = STEPS, *, rounds: int = 5, seconds: float = 0.1) -> dict[str, list[Point]]:
    """Traces of so many steps (messages, agents), of some 120 characters each."""
    measured = {}
    for pattern, trace in TRACES.items():
        requests = {float(number): Request(pattern, body_of(trace(number, 120))) for number in steps}
        measured[pattern] = _measure(requests, cached=False, rounds=rounds, seconds=seconds)
    return measured


class Growth(NamedTuple):
    """What a unit costs at the largest size, as a share of what it costs at the middle one."""

    time: float
    memory: float


def growth(points: Sequence[Point]) -> Growth:
    """How costs grow: 1 is linear, more is worse."""
    middle, last = points[(len(points) - 1) // 2], points[-1]
    larger = last.units / middle.units
    return Growth(median_ratio(last.seconds, middle.seconds) / larger, last.peak / middle.peak / larger)


def table(measured: Mapping[str, list[Point]], unit: str) -> list[str]:
    """The rows of a table, in Markdown: for each size the time, the time of a unit, and the peak of memory."""
    lines = [
        f"| request | {unit} | ms | µs each | peak memory, kB | bytes each |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, points in measured.items():
        for point in points:
            taken = statistics.median(point.seconds)
            lines.append(
                f"| {name} | {point.units:,.0f} | {taken * 1e3:,.3g} | {taken * 1e6 / point.units:,.3g} |"
                f" {point.peak / 1e3:,.0f} | {point.peak / point.units:,.0f} |"
            )
        found = growth(points)
        lines.append(f"| {name}: largest by middle | | | **{found.time:.2f}** | | **{found.memory:.2f}** |")
    return lines
