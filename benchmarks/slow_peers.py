"""How long healthy callers wait beside a thousand slow ones: ``python -m benchmarks.slow_peers``.

The slow ones are a process of their own, ``python -m benchmarks.slow_peers PORT``: it says so once all are connected,
then sends a byte on each a second, and ends with its standard input.
"""

from __future__ import annotations

import contextlib
import itertools
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.load import ask, load
from benchmarks.loopback import OURS, running
from benchmarks.timing import median_ratio
from benchmarks.workload import KEY, small

MOST_TIMES_LONGER = 2.0
PEERS = 1_000
# Waits of which two are above the 99th percentile.
_LEAST = 200
_HEAD = f"POST /v1/analyze/aar HTTP/1.1\r\nHost: h\r\nX-API-Key: {KEY}\r\nContent-Length: 100000\r\n\r\n".encode()
# What each kind sends first, and once a second; who reads nothing asks for far more than fits between the two.
KINDS = (
    (b"GET /livez HTTP/1.1\r\nHost: h\r\nX-A: ", b"a"),
    (_HEAD + b'{"trace": "', b"a"),
    (b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n", b""),
    (b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n" * 20, b""),
)


class Beside(NamedTuple):
    """The 99th percentile of the waits of healthy callers, in seconds, round by round."""

    alone: list[float]
    beside: list[float]

    @property
    def times(self) -> float:
        """How many times longer they wait beside slow peers."""
        return median_ratio(self.beside, self.alone)


def be_slow(port: int) -> None:
    """Be a thousand slow peers until the standard input ends."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    kinds = itertools.islice(itertools.cycle(KINDS), PEERS)
    peers = [(socket.create_connection(("127.0.0.1", port)), *kind) for kind in kinds]
    for sock, first, _ in peers:
        sock.setblocking(False)
        sock.send(first)
    print("connected", flush=True)
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        for sock, _, more in itertools.cycle(peers):
            if selector.select(1.0 / PEERS):
                return
            # Who has met its deadline is gone; a round is shorter than any.
            with contextlib.suppress(OSError):
                sock.send(more)


@contextlib.contextmanager
def slow_peers(port: int) -> Iterator[None]:
    """A thousand of them, while the block runs."""
    argv = [sys.executable, "-m", "benchmarks.slow_peers", str(port)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != b"connected\n":
                raise RuntimeError("the slow peers could not connect")
            # Who comes after them is answered once they have been taken.
            ask(port, b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
            yield
        finally:
            process.stdin.close()


def _late(port: int, seconds: float) -> float:
    requests, waits = itertools.repeat(small().encoded()), list[float]()
    # What came or went before is over once so many were answered.
    load(port, requests, seconds / 4)
    while len(waits) < _LEAST:
        load(port, requests, seconds, waits)
    return statistics.quantiles(waits, n=100)[98]


def measure(rounds: int, seconds: float = 0.4) -> dict[str, Beside]:
    """Load every runtime, with and without slow peers, in turn.

    Args:
        rounds: How often.
        seconds: How long, each time.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    found = {kind: Beside([], []) for kind in OURS}
    with running(OURS) as servers:
        for kind, server in servers.items():
            load(server.port, itertools.repeat(small().encoded()), 0.2)
            for number in range(rounds):
                # What comes second finds the service warmer: each is second in every other round.
                if number % 2:
                    found[kind].alone.append(_late(server.port, seconds))
                with slow_peers(server.port):
                    found[kind].beside.append(_late(server.port, seconds))
                if not number % 2:
                    found[kind].alone.append(_late(server.port, seconds))
                server.forget_log()
    return found


def table(rounds: int = 9) -> Iterator[str]:
    """The measurements, in Markdown."""
    yield f"| runtime | 99th percentile alone | beside {PEERS} slow peers | times longer |"
    yield "|---|---:|---:|---:|"
    for kind, found in measure(rounds).items():
        alone, beside = (statistics.median(waits) * 1e3 for waits in found)
        yield f"| {kind} | {alone:.1f} ms | {beside:.1f} ms | {found.times:.2f} |"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        be_slow(int(sys.argv[1]))
    else:
        began = time.monotonic()
        print(*table(), f"({time.monotonic() - began:.0f} s)", sep="\n")
