"""How soon a request ends that is cut short: the answer after its deadline, and the upstream call after its caller."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.callers import Caller, connected, requests
from benchmarks.processes import RUNTIMES, fake_service, service

# Callers at once, for how many of them lateness is guarded, and how long each request may take.
AT_ONCE = (1, 100, 1_000)
GUARDED = (1, 100)
DEADLINE = 1.0
MAX_LATE = 0.1
MAX_OPEN = 1.0


class Endings(NamedTuple):
    """What requests came to that no model answers; all in seconds.

    Attributes:
        late: By how much answers came after their deadline, in order; by the callers' clocks, which begin earlier.
        closed: How long after the last of them an upstream socket was still open.
        left: The same, after callers who left.
        failures: Answers other than 504.
    """

    late: list[float]
    closed: float
    left: float
    failures: int


def _sockets(pid: int) -> int:
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except OSError:
            continue  # closed meanwhile
    return found


# Of the deadline of a second, so that callers leave before it ends their calls.
MOST_UNDER_WAY = 0.8


async def _until(pid: int, sockets: int) -> float:
    """Wait until a process holds no more sockets than these; how long that took."""
    began = time.perf_counter()
    while _sockets(pid) > sockets:  # noqa: ASYNC110 - another process holds them
        await asyncio.sleep(0.002)
    return time.perf_counter() - began


async def _warm(port: int, pid: int) -> None:
    """Have made what is made on first use, which does not count."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    # Until the service has answered somebody, it may still be making sockets to listen at, which stay.
    await reader.read()
    writer.close()
    await _late(port, pid, 1, 0)


async def _measure(port: int, pid: int, number: int) -> Endings:
    await _warm(port, pid)
    before = _sockets(pid)
    late, failures, closed = await _late(port, pid, number, 1_000)
    callers = [await connected(port) for _ in range(number)]
    for caller, request in zip(callers, requests(number, 5_000, last=True), strict=True):
        caller.ask(request)
    # Until each has its call under way, or the deadline is so near that the rest will not.
    end = time.perf_counter() + MOST_UNDER_WAY
    while _sockets(pid) < before + 2 * number and time.perf_counter() < end:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0.002)
    for caller in callers:
        caller.transport.abort()
    return Endings(sorted(late), closed, await _until(pid, before), failures)


async def _late(port: int, pid: int, number: int, start: int) -> tuple[list[float], int, float]:
    before = _sockets(pid)
    callers: list[Caller] = [await connected(port) for _ in range(number)]
    asked = requests(number, start, last=True)
    waits = await asyncio.gather(*(caller.ask(one) for caller, one in zip(callers, asked, strict=True)))
    closed = await _until(pid, before)
    failures = sum(caller.status != b"504" for caller in callers)
    for caller in callers:
        caller.transport.close()
    return [wait - DEADLINE for wait in waits], failures, closed


def measure(runtime: str, number: int) -> Endings:
    """So many requests at once whose deadline passes, and as many whose callers leave."""
    with fake_service(1_000.0) as url, service(runtime, upstream=url, timeout=DEADLINE) as (port, pid):
        return asyncio.run(_measure(port, pid, number))


async def _last(port: int, pid: int, number: int, rounds: int, log: Path) -> list[float]:
    await _warm(port, pid)
    found = []
    for turn in range(1, rounds + 1):
        told = len(await _times(log, 1))
        _, failures, _ = await _late(port, pid, number, 10_000 * turn)
        assert not failures, f"{failures} of {number} answers are other than 504"
        found.append(max((await _times(log, told + number))[told:]) - DEADLINE)
    return found


async def _times(log: Path, least: int) -> list[float]:
    """How long requests took, by the service's own clock, once the log tells of so many; in seconds."""
    while len(lines := _lines(log)) < least:  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.01)
    return [json.loads(line)["duration_ms"] / 1e3 for line in lines]


def _lines(log: Path) -> list[bytes]:
    return log.read_bytes().splitlines()


def last(runtime: str, number: int, rounds: int) -> float:
    """How long after its deadline the last of so many answers at once is sent, in seconds: the median over the rounds.

    By the service's clock, which begins when a request is read; that of the caller, which is in the table, has the time
    in the queue before it too. The last of each round, so that no caller is left out; the median of them, so that a
    moment in which others had the machine does not decide.
    """
    with tempfile.TemporaryDirectory() as folder, fake_service(1_000.0) as url:
        log = Path(folder, "log")
        with service(runtime, upstream=url, timeout=DEADLINE, log=log) as (port, pid):
            return statistics.median(asyncio.run(_last(port, pid, number, rounds, log)))


def table() -> Iterator[str]:
    """The rows, one after the other as they are measured."""
    yield "| runtime | at once | late, median ms | late, most ms | upstream open after, ms | after callers left, ms |"
    yield "|---|---:|---:|---:|---:|---:|"
    for runtime in RUNTIMES:
        for number in AT_ONCE:
            found = measure(runtime, number)
            assert not found.failures, found
            times = (found.late[number // 2], found.late[-1], found.closed, found.left)
            yield f"| {runtime} | {number:,} | {' | '.join(f'{one * 1e3:.0f}' for one in times)} |"
