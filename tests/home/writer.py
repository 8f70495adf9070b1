"""Forks writers: ``writer.py HOME`` reads names from stdin, a line each, and has a child record learnings for each.

A child goes on until it is killed. On stdout stand its process id and whatever is kept once it is: ``NAME pid 123``,
``NAME kept ID``, ``NAME improved ID``; each line is one write.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

import anyio

from vstack_proto.learning import Finding, OutcomeReport, kept
from vstack_proto.telemetry import TelemetryEvent
from vstack_runtime.home import SqliteLearnings, SqliteTelemetry


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def record(root: Path, name: str) -> None:
    learnings, telemetry = SqliteLearnings(root), SqliteTelemetry(root)
    for number in itertools.count():
        one = kept(Finding(pattern="lewin", interventions_applied=("a", "b")), f"{name}-{number}", 1e9 + number)
        telemetry.record(TelemetryEvent(pattern="lewin", run_id=one.id, timestamp=1e9 + number))
        await learnings.record("", one)
        tell(f"{name} kept {one.id}")
        if number % 4 == 0:
            await telemetry.flush()
        if number % 3 == 0:
            await learnings.report("", one.id, OutcomeReport(outcome="improved"))
            tell(f"{name} improved {one.id}")


def main(root: Path) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        name = line.strip()
        child = os.fork()
        if not child:
            anyio.run(record, root, name)
        tell(f"{name} pid {child}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
