"""The ratios that must hold. Each is measured inside one run; one that fails is measured once more, for longer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks import (
    concurrency,
    exchanges,
    frozen,
    growth,
    loopback,
    offline,
    overload,
    prompts,
    slow_peers,
    starts,
    tapes,
)
from benchmarks.servers import BARE_H11, BARE_HYPERCORN

# The least share of a bare server's rate; that one gives a shorter answer, with two header fields.
AT_LEAST = {"asyncio": (0.65, BARE_H11), "hypercorn": (0.80, BARE_HYPERCORN)}
# A machine that others use too makes a ratio worse for a while, and seldom better.
TRIES = 4
MOST_OF_A_CYCLE = 0.15
MOST_GROWTH = 2.0
# 5 ms of CPU on a machine whose cycle takes 45 µs: 110 cycles, which is the same amount of work on any other.
MOST_OFFLINE_CYCLES = 110.0
LEAST_WITH_TAPES = 0.95
LEAST_TIMES_FASTER = 50.0
# Of so many real runs, one: all of them tell the same to two digits, and take half a minute.
_EVERY = 3
# Of each list: the middle one and the largest one.
_SIZES = (growth.BODY_SIZES[2], growth.BODY_SIZES[-1])
_STEPS = (growth.STEPS[2], growth.STEPS[-1])


class Verdict(NamedTuple):
    """A ratio, and what it must be.

    Attributes:
        measured: The ratio.
        limit: What it may not pass.
        least: Whether ``limit`` is the least that is allowed; else it is the most.
    """

    name: str
    measured: float
    limit: float
    least: bool

    @property
    def holds(self) -> bool:
        """Whether the guard holds."""
        return self.measured >= self.limit if self.least else self.measured <= self.limit

    def line(self) -> str:
        """The verdict as a row in Markdown."""
        sign = "at least" if self.least else "at most"
        return f"| {self.name} | {self.measured:.2f} | {sign} {self.limit:.2f} | {'yes' if self.holds else '**no**'} |"


def _exchange(effort: int) -> Iterator[Verdict]:
    share = exchanges.cached_share(rounds=9 * effort)
    yield Verdict("cached exchange, of one h11 cycle", share, MOST_OF_A_CYCLE, least=False)


def _loopback(effort: int) -> Iterator[Verdict]:
    kinds = [one for kind, (_, base) in AT_LEAST.items() for one in (base, kind)]
    taken = loopback.measure(kinds, rounds=11 * effort, seconds=0.3)
    for kind, (least, base) in AT_LEAST.items():
        for head in loopback.HEADS:
            name = f"cached analysis over {kind}, {head} head, of {base}"
            yield Verdict(name, loopback.ratio(taken, kind, head, base), least, least=True)


def _growth(effort: int) -> Iterator[Verdict]:
    by_size = growth.by_size(_SIZES, rounds=2 * effort + 1, seconds=0.05)
    by_steps = growth.by_steps(_STEPS, rounds=2 * effort + 1, seconds=0.05)
    for what, measured in (("a kB", by_size), ("a step", by_steps)):
        for name, points in measured.items():
            found = growth.growth(points)
            yield Verdict(f"time for {what}, largest by middle: {name}", found.time, MOST_GROWTH, least=False)
            yield Verdict(f"memory for {what}, largest by middle: {name}", found.memory, MOST_GROWTH, least=False)


def _offline(effort: int) -> Iterator[Verdict]:
    cycles = offline.median_cycles(offline.measure(offline.made(), rounds=2 * effort + 1))
    name = f"offline analysis of {offline.STEPS} steps, median pattern, in h11 cycles"
    yield Verdict(name, cycles, MOST_OFFLINE_CYCLES, least=False)


def _prompts(effort: int) -> Iterator[Verdict]:
    for mode, share in prompts.medians(_shares()).items():
        name = f"characters sent in {mode} mode, of those with the trace in each pass"
        yield Verdict(name, share, prompts.MOST[mode], least=False)


def _tapes(effort: int) -> Iterator[Verdict]:
    for kind, share in tapes.kept_rates(rounds=4 * effort + 1, seconds=1.0).items():
        yield Verdict(f"cached analysis over {kind} with tapes, of without", share, LEAST_WITH_TAPES, least=True)
    faster = tapes.replay_speed().times_faster
    yield Verdict("times faster a tape replays than it ran", faster, LEAST_TIMES_FASTER, least=True)


@functools.cache
def _shares() -> prompts.Shares:
    # Characters are counted, not timed: another try would tell the same.
    return prompts.shares(_EVERY)


def _concurrency(effort: int) -> Iterator[Verdict]:
    for name, measured, most in concurrency.limits(effort):
        yield Verdict(name, measured, most, least=False)


def _starts(effort: int) -> Iterator[Verdict]:
    first, end = starts.measure(rounds=6 * effort + 1)
    yield Verdict("first answer of vstack-mcp, in starts of a bare interpreter", first, starts.MOST_STARTS, least=False)
    yield Verdict("seconds from the end of its input to its own", end, starts.MOST_SECONDS, least=False)


def _frozen(effort: int) -> Iterator[Verdict]:
    for runtime in frozen.GUARDED:
        found = frozen.measure(runtime, rounds=3 * effort)
        if found is not None:
            name = f"milliseconds that a frozen Redis adds to the 99th percentile: {runtime}"
            yield Verdict(name, found.added_ms, frozen.MOST_ADDED_MS, least=False)


def _slow_peers(effort: int) -> Iterator[Verdict]:
    for kind, found in slow_peers.measure(rounds=2 * effort + 1).items():
        name = f"99th percentile beside {slow_peers.PEERS} slow peers, of without them: {kind}"
        yield Verdict(name, found.times, slow_peers.MOST_TIMES_LONGER, least=False)


def _overload(effort: int) -> Iterator[Verdict]:
    for name, measured, limit, least in overload.limits(effort):
        yield Verdict(name, measured, limit, least=least)


_GROUPS: tuple[Callable[[int], Iterator[Verdict]], ...] = (
    *(_exchange, _loopback, _growth, _offline, _prompts, _concurrency, _tapes, _starts, _frozen),
    *(_slow_peers, _overload),
)


def verdicts() -> list[Verdict]:
    """Every guard with what was measured; a group in which one fails is measured again, and for longer."""
    found: list[Verdict] = []
    for group in _GROUPS:
        measured = list(group(1))
        for effort in range(2, TRIES + 1):
            if all(verdict.holds for verdict in measured):
                break
            measured = list(group(effort))
        found += measured
    return found


def table(found: list[Verdict]) -> list[str]:
    """The verdicts, in Markdown."""
    return ["| guard | measured | allowed | holds |", "|---|---:|---:|---|", *(verdict.line() for verdict in found)]
