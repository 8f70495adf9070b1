"""A Redis that stands still, under load: what it costs beside the same load with stores in the process.

Every request is an analysis of its own, so that each asks for quota, cache and flight, and stores what it found.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.load import load
from benchmarks.loopback import running
from benchmarks.workload import Request, aar_trace, body_of

RUNTIMES = ("asyncio", "trio", "hypercorn")
GUARDED = ("asyncio", "trio")
MOST_ADDED_MS = 50.0
_ROUND_SECONDS = 1.0
# Until every breaker is open, and as long again.
_FREEZING_SECONDS = 2.0


class Frozen(NamedTuple):
    """What was measured, in milliseconds: medians over rounds of the 99th percentile of the waits for an answer.

    Attributes:
        frozen, beside: With the frozen Redis, and with stores in the process.
        freezing: The longest wait while Redis froze.
        requests: How many were answered by the service with Redis, all of them with 200.
    """

    frozen: float
    beside: float
    freezing: float
    requests: int

    @property
    def added_ms(self) -> float:
        """What the frozen Redis adds."""
        return self.frozen - self.beside


@contextlib.contextmanager
def _redis() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    program = shutil.which("redis-server")
    assert program is not None
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        flags = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen([program, *flags], stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            while b"Ready to accept" not in (line := process.stdout.readline()):
                if not line:
                    raise RuntimeError("redis-server does not start")
            yield process, f"redis://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _requests() -> Iterator[bytes]:
    """Requests without end, none like another."""
    number = 0
    trace = aar_trace(8)
    while True:
        number += 1
        body = body_of({**trace, "goal": f"Settle the invoice of order {number}"})
        yield Request("aar", body).encoded(number)


def measure(runtime: str, *, rounds: int) -> Frozen | None:
    """Load a service whose Redis stands still, and one without Redis, in turn.

    Returns:
        What was measured; None where there is no redis-server to freeze.

    Raises:
        ConnectionError: A request failed.
    """
    if shutil.which("redis-server") is None and os.environ.get("VSTACK_REQUIRE_SERVICES") != "1":
        return None
    requests = _requests()
    with_redis, without = f"{runtime}, with redis", f"{runtime}, without"
    with _redis() as (redis, url):
        stores = {with_redis: {"VSTACK_CACHE": url, "VSTACK_RATE_LIMIT_STORE": url}, without: {}}
        with running((with_redis, without), stores=stores) as servers:
            for server in servers.values():
                load(server.port, requests, 0.5)
            redis.send_signal(signal.SIGSTOP)
            freezing: list[float] = []
            answered = load(servers[with_redis].port, requests, _FREEZING_SECONDS, freezing).requests
            late: dict[str, list[float]] = {with_redis: [], without: []}
            for _ in range(rounds):
                for kind, server in servers.items():
                    waits: list[float] = []
                    told = load(server.port, requests, _ROUND_SECONDS, waits)
                    answered += told.requests if kind == with_redis else 0
                    late[kind].append(statistics.quantiles(waits, n=100)[98] * 1000.0)
    frozen, beside = (statistics.median(late[kind]) for kind in (with_redis, without))
    return Frozen(frozen, beside, max(freezing) * 1000.0, answered)


def table(rounds: int = 5) -> Iterator[str]:
    """The measurements, in Markdown."""
    yield "| runtime | 99th percentile, frozen | without Redis | added | longest wait while it froze | failed |"
    yield "|---|---:|---:|---:|---:|---:|"
    for runtime in RUNTIMES:
        found = measure(runtime, rounds=rounds)
        if found is not None:
            yield (
                f"| {runtime} | {found.frozen:.1f} ms | {found.beside:.1f} ms | {found.added_ms:.1f} ms | "
                f"{found.freezing:.0f} ms | 0 of {found.requests} |"
            )


if __name__ == "__main__":
    began = time.monotonic()
    print(*table(), f"({time.monotonic() - began:.0f} s)", sep="\n")
