"""The slow peers of slowhttptest, which are not ours: each ends at a deadline of the server, which answers meanwhile.

It says itself how it went: whether the server answered a probe each second, and whether it was the server that ended
every connection, or the time that it was given.
"""

from __future__ import annotations

import csv
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Service
from tests.e2e.conftest import Serve
from tests.e2e.serving import Runtime
from tests.e2e.test_slow_peers import short_deadlines

CONNECTIONS = 50
# Far beyond any deadline of the server; who is still connected then has outlived it.
SECONDS = 40
PROBE_SECONDS = 5
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

# Path and flags. Whoever reads slowly takes 250 bytes a second, which is less than a body must bring; fewer would have
# it find the end of its connection later, behind what it was sent before.
ATTACKS = {
    "heads": ("/livez", "-H -i 1 -x 10"),
    "bodies": ("/v1/analyze/aar", "-B -i 1 -x 10 -s 8192 -f application/json"),
    "reads": ("/openapi.json", "-X -w 10 -y 20 -n 1 -z 250 -k 3"),
    "ranges": ("/openapi.json", "-R -a 1 -b 500"),
}


class Attack(NamedTuple):
    """A running slowhttptest, and what it writes each second."""

    process: subprocess.Popen[str]
    told: Path

    def ended(self) -> str:
        """How it ended, in its own words."""
        said, _ = self.process.communicate(timeout=2 * SECONDS)
        said = _COLOURS.sub("", said)
        assert self.process.returncode == 0, said
        return said.rpartition("Exit status: ")[2].partition("\n")[0]

    def seconds(self) -> list[dict[str, int]]:
        """What it saw in each second."""
        with self.told.open() as file:
            return [{name: int(value) for name, value in row.items()} for row in csv.DictReader(file)]


def attack(program: str, port: int, kind: str, folder: Path) -> Attack:
    path, flags = ATTACKS[kind]
    argv = [program, *flags.split(), "-c", f"{CONNECTIONS}", "-r", f"{CONNECTIONS}", "-l", f"{SECONDS}"]
    argv += ["-p", f"{PROBE_SECONDS}", "-g", "-o", f"{folder / kind}", "-u", f"http://127.0.0.1:{port}{path}"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)
    return Attack(process, folder / f"{kind}.csv")


@pytest.mark.slow
def test_strangers_that_are_slow_are_ended_by_the_server(
    serve: Serve, runtime: Runtime, service: Service, tmp_path: Path
) -> None:
    server = short_deadlines(serve, runtime)
    attacks = {kind: attack(service("slowhttptest"), server.port, kind, tmp_path) for kind in ATTACKS}
    try:
        ends = {kind: one.ended() for kind, one in attacks.items()}
    finally:
        for one in attacks.values():
            one.process.kill()
            one.process.communicate()
    assert set(ends.values()) == {"No open connections left"}, ends
    for kind, one in attacks.items():
        seen = one.seconds()
        assert seen, kind
        # Ranges are answered at once, and may be over before the tool has looked for the first time.
        if kind == "ranges":
            assert len(server.requests(method="HEAD", path="/openapi.json")) == CONNECTIONS
        else:
            assert max(second["Connected"] + second["Closed"] for second in seen) > 0, (kind, seen)
        assert all(second["Service Available"] for second in seen), (kind, seen)
