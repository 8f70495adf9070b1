"""Whether something grows: a line through the samples, how sure it is, and what is held to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

# Bytes that a request may leave behind: 1 MB for 100,000 of them.
LIMIT = 1e6 / 100_000
# Of the normal distribution: within so many deviations lies 95 %.
_DEVIATIONS = 1.96
# A heap takes its time to find its size: what a process occupies is judged after so many requests.
_SETTLED = 100_000


class Sample(msgspec.Struct, frozen=True):
    """What a process held at rest, after so many requests.

    Attributes:
        requests: So many had come by then.
        live, sqlite, rss: Bytes, as ``Held`` in ``served.py`` has them.
        tasks, threads, descriptors: How many.
    """

    requests: int
    live: int
    sqlite: int
    rss: int
    tasks: int
    threads: int
    descriptors: int


class Slope(NamedTuple):
    """Bytes a request: the likeliest, and between which it lies in 19 of 20 cases."""

    likeliest: float
    least: float
    most: float

    def __str__(self) -> str:
        least, likeliest, most = self.least / 10, self.likeliest / 10, self.most / 10
        return f"{likeliest:.2f} MB per 100,000 requests (between {least:.2f} and {most:.2f})"

    @property
    def settled(self) -> bool:
        """Whether the samples tell on which side of the limit it lies."""
        return not self.least <= LIMIT < self.most


def slope(samples: Sequence[Sample], of: Callable[[Sample], int]) -> Slope:
    """The line of Theil and Sen: the median of the slopes between all pairs, which a few steps or outliers do not bend.

    The interval is Sen's, from the distribution of Kendall's S (P. K. Sen, J. Am. Stat. Assoc. 63, 1968, 1379-1389).

    Args:
        samples: At least three, in order.
        of: What is looked at.
    """
    points = [(one.requests, of(one)) for one in samples]
    pairs = sorted((y2 - y1) / (x2 - x1) for n, (x1, y1) in enumerate(points) for x2, y2 in points[n + 1 :])
    number = len(points)
    spread = _DEVIATIONS * math.sqrt(number * (number - 1) * (2 * number + 5) / 18)
    lower = max(0, math.floor((len(pairs) - spread) / 2))
    upper = min(len(pairs) - 1, math.ceil((len(pairs) + spread) / 2))
    return Slope(statistics.median(pairs), pairs[lower], pairs[upper])


def live(samples: Sequence[Sample]) -> Slope:
    """How what is allocated grows."""
    return slope(samples, lambda one: one.live)


def rss(samples: Sequence[Sample]) -> Slope:
    """How what is occupied grows."""
    return slope(samples, lambda one: one.rss)


def broken(samples: Sequence[Sample]) -> list[str]:
    """What the samples show that must not be."""
    told = []
    if (grows := live(samples)).likeliest > LIMIT:
        told.append(f"memory grows by {grows}; the limit is 1 MB")
    if samples[-1].requests - samples[0].requests >= _SETTLED and (grows := rss(samples)).least > LIMIT:
        told.append(f"the memory that is occupied surely grows, by {grows}; the limit is 1 MB")
    for name in ("tasks", "threads", "descriptors"):
        counts = [getattr(one, name) for one in samples]
        if max(counts) > counts[0]:
            told.append(f"{name} at rest were {counts[0]}, and then {counts}")
    return told
