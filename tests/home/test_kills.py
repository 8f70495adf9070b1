"""A writer that is killed at any moment loses nothing that it has acknowledged, and corrupts nothing."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from vstack_proto.learning import LearningQuery
from vstack_runtime.home import SqliteLearnings
from vstack_runtime.home.database import check

# How often; the same code with more is for whoever has the time.
KILLS = int(os.environ.get("VSTACK_TEST_KILLS", "100"))
WRITER = Path(__file__).with_name("writer.py")
ROOT = WRITER.parents[2]
AT_ONCE = 4
PATIENCE = 60.0


class Writers:
    """Processes that write at once, and what they have acknowledged."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WRITER), str(home)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout.fileno()
        self._rest = b""
        self.lines: list[tuple[str, str, str]] = []

    def start(self, name: str) -> None:
        """Start a writer of this name."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name}\n".encode())
        self._process.stdin.flush()

    def told(self, name: str) -> list[str]:
        """What a writer has acknowledged."""
        return [line[2] for line in self.lines if line[0] == name and line[1] != "pid"]

    def kill(self, name: str, after: int) -> None:
        """Kill a writer once it has acknowledged so much."""
        while len(self.told(name)) < after or not self._pid(name):
            assert select.select([self._out], [], [], PATIENCE)[0], "the writers are stuck"
            self._hear(os.read(self._out, 65_536))
        os.kill(self._pid(name), signal.SIGKILL)

    def _pid(self, name: str) -> int:
        return next((int(line[2]) for line in self.lines if line[:2] == (name, "pid")), 0)

    def _hear(self, data: bytes) -> None:
        assert data, "the writers ended by themselves"
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            name, what, of = line.decode().split(" ")
            self.lines.append((name, what, of))

    def close(self) -> None:
        """Wait until all are gone, and hear the rest."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        rest = self._process.stdout.read()
        self._process.stdout.close()
        self._process.wait()
        # What a writer has told before it was killed is acknowledged, though nobody had listened yet.
        if rest:
            self._hear(rest)


@pytest.mark.slow
def test_killed_a_hundred_times_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    home, chance = tmp_path / "home", random.Random(7)
    writers = Writers(home)
    names = [f"w{number}" for number in range(KILLS)]
    for number, name in enumerate(names):
        writers.start(name)
        if number >= AT_ONCE - 1:
            writers.kill(names[number - AT_ONCE + 1], chance.randint(0, 12))
    for name in names[1 - AT_ONCE :]:
        writers.kill(name, chance.randint(0, 12))
    writers.close()
    acknowledged = [line for line in writers.lines if line[1] != "pid"]
    assert len(acknowledged) > 2 * KILLS
    assert check(home / "home.db") == []
    assert check(home / "telemetry.db") == []
    assert missing(home, acknowledged) == []


def missing(home: Path, acknowledged: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """What was acknowledged and is not there."""

    async def read() -> dict[str, str | None]:
        store = SqliteLearnings(home)
        try:
            found = await store.recall("", LearningQuery(limit=10**9))
            (count, *_) = await store.outcomes("", LearningQuery())
            assert count.runs == len(found), "the tables agree"
            return {record.id: record.follow_up_outcome for record in found}
        finally:
            await store.aclose()

    there = anyio.run(read)
    return [
        line
        for line in acknowledged
        if line[2] not in there or (line[1] == "improved" and there[line[2]] != "improved")
    ]
