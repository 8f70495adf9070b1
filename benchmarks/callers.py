"""Many callers at once, from this process, at a service in another: how long each waits, and what they cost it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from benchmarks.workload import TRACES

# How often the memory of the service is looked at.
_LOOK_SECONDS = 0.02


class Round(NamedTuple):
    """What so many requests at once came to.

    Attributes:
        seconds: From the first request to the last answer.
        waits: What each took, in order of length.
        failures: Answers other than 200.
        peak, idle: Bytes of memory of the service, at most and before.
        cpu: Seconds of processor time of the service.
        body: Bytes of a request's body.
    """

    seconds: float
    waits: list[float]
    failures: int
    peak: int
    idle: int
    cpu: float
    body: int

    def wait(self, part: float) -> float:
        """What this part of the requests waited at most; 0.5 is the median."""
        return self.waits[int(len(self.waits) * part)]

    @property
    def kilobytes(self) -> float:
        """Memory for each request in flight beyond its body, in kB."""
        return ((self.peak - self.idle) / len(self.waits) - self.body) / 1_000


def memory_of(pid: int) -> int:
    """Bytes of memory that a process occupies."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_of(pid: int) -> float:
    """Seconds of processor time so far; to the nanosecond, where /proc/PID/stat counts hundredths of a second."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def requests(number: int, start: int, *, last: bool) -> list[bytes]:
    """Quick analyses of as many different traces.

    Args:
        number: How many.
        start: Number of the first; each has a number of its own in its goal.
        last: Whether each is the last of its connection.
    """
    trace, close = TRACES["aar"](8, 120), "Connection: close\r\n" if last else ""
    made = []
    for n in range(start, start + number):
        body = msgspec.json.encode({"trace": {**trace, "goal": f"Goal number {n:08d}"}, "mode": "quick"})
        head = f"POST /v1/analyze/aar HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n{close}\r\n"
        made.append(head.encode() + body)
    return made


class Caller(asyncio.Protocol):
    """A connection, with one request under way on it.

    Attributes:
        status: Of the last answer; empty where the connection ended without one.
        head: Of the last answer, in lower case.
    """

    def __init__(self) -> None:
        self.status = self.head = b""
        self._done: asyncio.Future[float] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[float]:
        """Send a request; what comes of it is the seconds until its answer has come."""
        self._done = asyncio.get_running_loop().create_future()
        self._began, self._answer, self.status = time.perf_counter(), b"", b""
        self.transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        """Take part of an answer."""
        self._answer += data
        head, _, body = self._answer.partition(b"\r\n\r\n")
        head = head.lower()
        _, told, length = head.partition(b"\r\ncontent-length: ")
        if told and len(body) >= int(length.partition(b"\r\n")[0]):
            self.status, self.head = head[9:12], head + b"\r\n"
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer that has not come does not come."""
        self._end()

    def _end(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(time.perf_counter() - self._began)


async def connected(port: int) -> Caller:
    """A caller with a connection of its own."""
    _, caller = await asyncio.get_running_loop().create_connection(Caller, "127.0.0.1", port)
    return caller


async def call_all(port: int, pid: int, asked: Sequence[bytes], callers: Sequence[Caller] = ()) -> Round:
    """Send all requests, and wait for all answers.

    Args:
        port: Of the service.
        pid: Its process.
        asked: As ``requests`` makes them.
        callers: On whose connections they go; without any, each goes on a new one.
    """
    idle, cpu, began = memory_of(pid), cpu_of(pid), time.perf_counter()
    peak = idle
    called, futures = [], []
    for number, request in enumerate(asked):
        caller = callers[number] if callers else await connected(port)
        called.append(caller)
        futures.append(caller.ask(request))
    waiting = asyncio.gather(*futures)
    while not waiting.done():
        peak = max(peak, memory_of(pid))
        await asyncio.wait([waiting], timeout=_LOOK_SECONDS)
    waits = sorted(await waiting)
    seconds = time.perf_counter() - began
    failures = sum(caller.status != b"200" for caller in called)
    if not callers:
        for caller in called:
            caller.transport.close()
    body = len(asked[0].partition(b"\r\n\r\n")[2])
    return Round(seconds, waits, failures, peak, idle, cpu_of(pid) - cpu, body)
