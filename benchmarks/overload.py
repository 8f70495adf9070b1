"""Five times as many callers as a service has room for: what it still gets done, and whether probes are answered.

    python -m benchmarks.overload

A model answers after 400 ms, and four calls may run at once, so that 10 analyses a second are possible: few enough that
what is measured is the queue and not the machine. The three runtimes are measured at the same time. *Closed*: each
caller waits for its answer and asks again; who is refused tries again after a pause that is no longer than it was
told. *Open*: so many requests a second, however many of them are answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.callers import Caller, connected, requests
from benchmarks.processes import RUNTIMES, fake_service, service
from benchmarks.timing import median_ratio

MODEL_SECONDS = 0.4
CALLS = 4
# Analyses that the service takes in: those that call, and twice as many that wait for their turn.
ROOM = 3 * CALLS
CAPACITY = CALLS / MODEL_SECONDS
TIMES = 5
LEAST_GOODPUT = 0.80
MOST_PROBE_MS = 100.0
# A refused caller is told to wait for a second, and waits for little less: 48 of them make 50 requests a second.
_PAUSE = 0.96
_PROBE_PAUSE = 0.05
# Until all have come, and then for how long what they are told is counted.
_COMING_SECONDS = 0.4
_ROUND_SECONDS = 1.6
# The model takes half as long to one and a half times as long, lest its answers come in rows.
_SPREAD = 0.5
PROBES = ("/livez", "/readyz")


class Told(NamedTuple):
    """What callers were told.

    Attributes:
        seconds: For how long they asked.
        statuses: Answers by their status; empty where the connection ended without one.
        without_wait: Answers with 503 that do not say when to try again.
        probes: Seconds until each probe was answered, in order.
        failed_probes: Probes that were not answered with 200.
    """

    seconds: float
    statuses: Counter[bytes]
    without_wait: int
    probes: list[float]
    failed_probes: int

    @property
    def goodput(self) -> float:
        """Analyses a second."""
        return self.statuses[b"200"] / self.seconds


class _Crowd:
    """Callers of one service for some time."""

    def __init__(self, port: int, numbers: Iterator[int], seconds: float) -> None:
        self.port = port
        self.counts = time.perf_counter() + _COMING_SECONDS
        self.ends = self.counts + seconds
        self.statuses: Counter[bytes] = Counter()
        self.without_wait = 0
        self.probes: list[float] = []
        self.failed_probes = 0
        self._numbers = numbers
        self._idle: list[Caller] = []
        self._all: list[Caller] = []

    async def ask(self) -> bytes:
        """Send one analysis, on a connection that has none under way; its status, once it has been counted."""
        if self._idle:
            caller = self._idle.pop()
        else:
            caller = await connected(self.port)
            self._all.append(caller)
        (request,) = requests(1, next(self._numbers), last=False)
        await caller.ask(request)
        if self.counts <= time.perf_counter() < self.ends:
            self.statuses[caller.status] += 1
            self.without_wait += caller.status == b"503" and b"\r\nretry-after: " not in caller.head
        if caller.status and b"\r\nconnection: close\r\n" not in caller.head:
            self._idle.append(caller)
        return caller.status

    async def one_of_many(self) -> None:
        """Ask again and again."""
        while time.perf_counter() < self.ends:
            if await self.ask() != b"200":
                await asyncio.sleep(_PAUSE)

    async def at_a_rate(self, rate: float) -> None:
        """Ask so many times a second, whatever comes of it."""
        began, asked = time.perf_counter(), 0
        async with asyncio.TaskGroup() as tasks:
            while (now := time.perf_counter()) < self.ends:
                while asked < (now - began) * rate:
                    asked += 1
                    tasks.create_task(self.ask())
                await asyncio.sleep(1 / rate)

    async def probe(self) -> None:
        """Ask how it is, on a connection of its own each time, as those who watch do."""
        for path in itertools.cycle(PROBES):
            if time.perf_counter() >= self.ends:
                return
            began = time.perf_counter()
            caller = await connected(self.port)
            await caller.ask(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            if began >= self.counts:
                self.probes.append(time.perf_counter() - began)
            self.failed_probes += caller.status != b"200"
            caller.transport.close()
            await asyncio.sleep(_PROBE_PAUSE)

    def leave(self) -> None:
        """Close all connections."""
        for caller in self._all:
            caller.transport.close()


async def _crowded(crowd: _Crowd, seconds: float, *asking: Coroutine[Any, Any, None]) -> Told:
    async with asyncio.TaskGroup() as tasks:
        for one in (*asking, crowd.probe()):
            tasks.create_task(one)
    crowd.leave()
    await asyncio.sleep(0)
    return Told(seconds, crowd.statuses, crowd.without_wait, sorted(crowd.probes), crowd.failed_probes)


async def closed_loop(port: int, numbers: Iterator[int], callers: int, seconds: float) -> Told:
    """So many callers, each with one request under way.

    Args:
        port: Of the service.
        numbers: Numbers of traces that have not been asked about, without end.
        callers: How many.
        seconds: How long they ask.
    """
    crowd = _Crowd(port, numbers, seconds)
    return await _crowded(crowd, seconds, *(crowd.one_of_many() for _ in range(callers)))


async def open_loop(port: int, numbers: Iterator[int], rate: float, seconds: float) -> Told:
    """So many requests a second; else as ``closed_loop``."""
    crowd = _Crowd(port, numbers, seconds)
    return await _crowded(crowd, seconds, crowd.at_a_rate(rate))


class Overload(NamedTuple):
    """Rounds of one runtime, in turn: at its peak, and overloaded in either way."""

    peak: list[Told]
    closed: list[Told]
    opened: list[Told]

    def share(self, crowded: list[Told]) -> float:
        """Goodput as a share of its peak."""
        return median_ratio([one.goodput for one in crowded], [one.goodput for one in self.peak])

    def probe_ms(self) -> float:
        """The longest wait of a probe in an overloaded round: the median of rounds."""
        return statistics.median(one.probes[-1] for one in (*self.closed, *self.opened)) * 1e3

    def wrong(self) -> int:
        """Answers that are neither 200 nor 503, refusals that do not say when to come back, probes without 200."""
        rounds = (*self.peak, *self.closed, *self.opened)
        others = sum(sum(one.statuses.values()) - one.statuses[b"200"] - one.statuses[b"503"] for one in rounds)
        return others + sum(one.without_wait + one.failed_probes for one in rounds)


async def _in_turn(port: int, rounds: int, seconds: float) -> Overload:
    numbers = itertools.count()
    await closed_loop(port, numbers, 2 * CALLS, seconds / 2)  # makes the connections to the model
    found = Overload([], [], [])
    for _ in range(rounds):
        found.peak.append(await closed_loop(port, numbers, 2 * CALLS, seconds))
        found.closed.append(await closed_loop(port, numbers, TIMES * ROOM, seconds))
        found.opened.append(await open_loop(port, numbers, TIMES * CAPACITY, seconds))
    return found


async def _at_once(ports: Sequence[int], rounds: int, seconds: float) -> list[Overload]:
    return await asyncio.gather(*(_in_turn(port, rounds, seconds) for port in ports))


def measure(rounds: int, seconds: float = _ROUND_SECONDS) -> dict[str, Overload]:
    """Measure every runtime.

    Args:
        rounds: How often each kind of load is tried.
        seconds: How long, each time.
    """
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(fake_service(MODEL_SECONDS, _SPREAD))
        started = [stack.enter_context(service(name, upstream=url, concurrency=CALLS)) for name in RUNTIMES]
        found = asyncio.run(_at_once([port for port, _ in started], rounds, seconds))
    return dict(zip(RUNTIMES, found, strict=True))


def limits(effort: int = 1) -> Iterator[tuple[str, float, float, bool]]:
    """What is promised: a name, what was measured, its limit, and whether that is the least."""
    for runtime, found in measure(2 * effort + 1).items():
        for kind, crowded in (("callers", found.closed), ("requests a second", found.opened)):
            name = f"goodput at {TIMES} times as many {kind}, of its peak: {runtime}"
            yield name, found.share(crowded), LEAST_GOODPUT, True
        yield f"milliseconds until a probe is answered meanwhile: {runtime}", found.probe_ms(), MOST_PROBE_MS, False
        yield f"answers that are neither 200 nor 503 with Retry-After: {runtime}", float(found.wrong()), 0.0, False


def table(rounds: int = 9) -> Iterator[str]:
    """The measurements, in Markdown."""
    yield "| runtime | peak, analyses/s | at 5 times the callers | refused | at 5 times the rate | refused | probes |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for runtime, found in measure(rounds).items():
        peak = statistics.median(one.goodput for one in found.peak)
        cells = [runtime, f"{peak:.0f}"]
        for crowded in (found.closed, found.opened):
            refused = sum(one.statuses[b"503"] for one in crowded)
            cells += [f"{found.share(crowded):.2f}", f"{refused / sum(sum(o.statuses.values()) for o in crowded):.0%}"]
        yield f"| {' | '.join([*cells, f'{found.probe_ms():.0f} ms'])} |"


if __name__ == "__main__":
    for row in table():
        print(row, flush=True)
