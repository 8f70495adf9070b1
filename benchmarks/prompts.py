"""What a model is sent: characters of an analysis's prompts, beside prompts that hold the trace anew each time."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.lenses import AnyPattern, patterns, questions, read_by, real_runs
from vstack_proto.patterns.common import Mode
from vstack_proto.values import ModelRequest

# A shorter trace is no longer than what is said around it.
LEAST_CHARS = 10_000
# Passes of a mode, each of which would send the trace again.
PASSES: dict[Mode, int] = {"standard": 2, "forensic": 4}
# What providers ask for a character that they read from their cache, as a share of one that they read anew.
CACHED = 0.1
MOST: dict[Mode, float] = {"standard": 1 / 2, "forensic": 1 / 3}


class Share(NamedTuple):
    """What one run's prompts hold, as a share of prompts that hold the trace anew in each pass.

    Attributes:
        by_mode: Of as many passes as the mode stands for.
        by_pass: Of as many as the pattern makes.
    """

    by_mode: float
    by_pass: float


Shares = dict[str, dict[Mode, list[Share]]]


def sent(asked: list[ModelRequest]) -> float:
    """Characters of these questions; what they share counts in full once, and as cached in each that follows."""
    shared = len(asked[0].system) + len(asked[0].shared)
    return shared * (1 + CACHED * (len(asked) - 1)) + sum(len(one.instruction) for one in asked)


def sent_anew(asked: list[ModelRequest], run: Mapping[str, Any], passes: int) -> int:
    """Characters of the same questions with the trace as indented JSON in each pass, and no cache."""
    trace = len(json.dumps(run, indent=2, ensure_ascii=False))
    return passes * (len(asked[0].system) + trace) + sum(len(one.instruction) for one in asked)


def shares(every: int = 1) -> Shares:
    """By pattern and mode: for each real run, what is sent as a share of what would be.

    Args:
        every: Of so many real runs, one is taken.

    Returns:
        The patterns that can read these runs; none where there are no runs.
    """
    found: Shares = {}
    for run in real_runs(LEAST_CHARS)[::every]:
        for name, pattern in patterns().items():
            for mode, share in _of_run(pattern, run).items():
                found.setdefault(name, {one: [] for one in PASSES})[mode].append(share)
    return found


def _of_run(pattern: AnyPattern, run: dict[str, Any]) -> dict[Mode, Share]:
    trace = read_by(pattern, run)
    if trace is None:
        return {}
    asked = questions(pattern, trace, tuple(PASSES))
    found = {}
    for mode, passes in PASSES.items():
        ours = sent(asked[mode])
        by_mode, by_pass = (ours / sent_anew(asked[mode], run, number) for number in (passes, len(asked[mode])))
        found[mode] = Share(by_mode, by_pass)
    return found


def medians(found: Shares) -> dict[Mode, float]:
    """By mode: the median over patterns of their medians over runs; nothing where there are no runs."""
    if not found:
        return {}
    return {mode: statistics.median(_median(one[mode]).by_mode for one in found.values()) for mode in PASSES}


def _median(values: Sequence[Share]) -> Share:
    by_mode, by_pass = (statistics.median(column) for column in zip(*values, strict=True))
    return Share(by_mode, by_pass)


def table() -> list[str]:
    """The rows of the table, in Markdown."""
    found = shares()
    if not found:
        return ["Not measured: the labelled runs do not lie beside this checkout."]
    runs = max(len(one["standard"]) for one in found.values())
    lines = [
        f"| pattern ({runs} runs) | standard: passes | of 2 | of as many | forensic: passes | of 4 | of as many |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, by_mode in found.items():
        passes = patterns()[name].passes
        middles = {mode: _median(values) for mode, values in by_mode.items()}
        cells = [f"{len(passes[mode])} | {one.by_mode:.2f} | {one.by_pass:.2f}" for mode, one in middles.items()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    overall = medians(found)
    lines.append(f"| **median of patterns** | | **{overall['standard']:.2f}** | | | **{overall['forensic']:.2f}** | |")
    return lines
