"""Requests a second over loopback, every server beside the bare one that it stands on."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import Round, ask, load
from benchmarks.servers import BARE_H11, BARE_HYPERCORN, KINDS, TAPED, TAPES_FOLDER, WITH_FIELDS
from benchmarks.timing import median_ratio
from benchmarks.workload import small

HEADS = ("same", "differing")
BASE = {
    BARE_H11 + WITH_FIELDS: BARE_H11,
    BARE_HYPERCORN + WITH_FIELDS: BARE_HYPERCORN,
    "asyncio": BARE_H11,
    "trio": BARE_H11,
    "hypercorn": BARE_HYPERCORN,
}
OURS = ("asyncio", "trio", "hypercorn")


class Measured(NamedTuple):
    """A round of load, and the CPU that the server spent on each request in seconds; NaN where the system hides it."""

    load: Round
    cpu: float


Taken = dict[tuple[str, str], list[Measured]]


class Server:
    """A server process and where it listens."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"a server did not start: {log.read_text()[-2000:]}")
        self.port = int(line)

    def cpu(self) -> float:
        """Seconds that its threads have computed so far."""
        try:
            threads = Path(f"/proc/{self.process.pid}/task").iterdir()
            return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
        except OSError:
            return float("nan")

    def forget_log(self) -> None:
        """Keep the log from filling the disk."""
        os.truncate(self._log, 0)


@contextlib.contextmanager
def running(
    kinds: Sequence[str], *, loop: str = "asyncio", stores: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[dict[str, Server]]:
    """Servers, each in a process of its own; where there are two cores, on another one than this process.

    Args:
        kinds: Of ``servers.KINDS``; after a comma may come what tells two of a kind apart.
        loop: ``asyncio`` or ``uvloop``, for all that run on asyncio.
        stores: Where some of them have their stores, as ``servers.STORES``.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if len(cores) > 1:
            # Children inherit the core on which they are started.
            os.sched_setaffinity(0, {cores[0]})
            stack.callback(os.sched_setaffinity, 0, cores)
        servers = {}
        for kind in kinds:
            log = folder / f"{kind}.log"
            file = stack.enter_context(log.open("ab"))
            own = (stores or {}).get(kind)
            name = kind if own is None else kind.partition(",")[0]
            command = [sys.executable, "-m", "benchmarks.servers", name, loop]
            env = {**os.environ, TAPES_FOLDER: str(folder / "tapes"), **(own or {})}
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, env=env)
            # Popen's own exit closes the pipes, which ends the server, and waits for it.
            servers[kind] = Server(stack.enter_context(process), log)
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[1]})
        yield servers


def _check(kind: str, head: bytes) -> None:
    """What is measured must be what the table says: a hit, with a quota."""
    if kind.removesuffix(TAPED) in OURS and not (b"x-cache: hit" in head and b"x-ratelimit-remaining" in head):
        raise RuntimeError(f"{kind} does not answer from its cache: {head!r}")


def measure(
    kinds: Sequence[str] = KINDS,
    heads: Sequence[str] = HEADS,
    *,
    rounds: int,
    seconds: float,
    loop: str = "asyncio",
) -> Taken:
    """Load every server in turn, round after round.

    Args:
        kinds: The servers.
        heads: Of ``HEADS``: whether every request of a connection has the same head, byte for byte.
        rounds: How many rounds.
        seconds: How long each server is loaded in each round, for each kind of head.
        loop: As for ``running``.

    Returns:
        The rounds of each server and kind of head.
    """
    request = small()
    streams = {"same": itertools.repeat(request.encoded()), "differing": request.endless()}
    taken: Taken = {(kind, head): [] for kind in kinds for head in heads}
    with running(kinds, loop=loop) as servers:
        for kind, server in servers.items():
            ask(server.port, request.encoded())
            _check(kind, ask(server.port, request.encoded()))
            load(server.port, streams["differing"], 0.2)
        for turn in range(rounds):
            for head in heads:
                for kind in kinds if turn % 2 == 0 else reversed(kinds):
                    server = servers[kind]
                    before = server.cpu()
                    result = load(server.port, streams[head], seconds)
                    taken[kind, head].append(Measured(result, (server.cpu() - before) / result.requests))
                    server.forget_log()
    return taken


def rate_ratio(taken: Taken, kind: str, head: str, base: str = "") -> float:
    """The rate of a server as a share of that of ``base``, by default the one of ``BASE``."""
    ours = [one.load.rate for one in taken[kind, head]]
    bare = [one.load.rate for one in taken[base or BASE[kind], head]]
    return median_ratio(ours, bare)


def ratio(taken: Taken, kind: str, head: str, base: str = "") -> float:
    """The same for the rates that a core to themselves would give them: requests a second of their own CPU time.

    A server with a core of its own is as fast as its CPU time allows, so that on an idle machine both ratios are the
    same. On a shared one they differ by what others took from either. Where CPU times are hidden, the ratio of rates.
    """
    ours = [one.cpu for one in taken[kind, head]]
    bare = [one.cpu for one in taken[base or BASE[kind], head]]
    found = median_ratio(bare, ours)
    return rate_ratio(taken, kind, head, base) if math.isnan(found) else found


def table(rounds: int = 15, seconds: float = 0.4, *, loop: str = "asyncio") -> list[str]:
    """The rows of the table, in Markdown."""
    taken = measure(rounds=rounds, seconds=seconds, loop=loop)
    lines = [
        "| server | head | requests/s | lowest to highest round | ratio | CPU of a request, µs | ratio | client busy |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (kind, head), results in taken.items():
        rates = [one.load.rate for one in results]
        by_rate = f"{rate_ratio(taken, kind, head):.2f}" if kind in BASE else ""
        by_cpu = f"{ratio(taken, kind, head):.2f}" if kind in BASE else ""
        cpu = statistics.median(one.cpu for one in results) * 1e6
        busy = statistics.median(one.load.busy for one in results)
        name = f"vstack, {kind}" if kind in OURS else kind
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        row = (name, head, f"{statistics.median(rates):,.0f}", spread, by_rate, f"{cpu:.0f}", by_cpu, f"{busy:.0%}")
        lines.append(f"| {' | '.join(row)} |")
    return lines
