"""Times that can be compared on a machine that others use too."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Task = Callable[[], object]


def interleaved(tasks: Mapping[str, Task], *, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Time tasks in turn, round after round, so that a slow moment of the machine strikes all of them.

    Args:
        tasks: What to time, by name.
        rounds: How often.
        seconds: How long each task runs in a round, about; at least once.

    Returns:
        Seconds of this process's CPU that one call took, a figure for each round. CPU time, since others who use the
        machine lengthen the time on the wall only.
    """
    repeats = {name: _repeats(task, seconds) for name, task in tasks.items()}
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    order = list(tasks)
    for turn in range(rounds):
        for name in order if turn % 2 == 0 else reversed(order):
            taken[name].append(_time(tasks[name], repeats[name]) / repeats[name])
    return taken


def _repeats(task: Task, seconds: float) -> int:
    """How many calls fill so many seconds."""
    task()
    repeats = 1
    while True:
        taken = _time(task, repeats)
        if taken >= seconds / 10:
            return max(1, round(repeats * seconds / taken))
        repeats *= 4


def _time(task: Task, repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        task()
    return time.process_time() - began


def median_ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios that each round gives by itself."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))
