"""The service that soaks: the real command line with everything on, beside a model service with faults."""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from tests.e2e.serving import Runtime, Server
from tests.soak.model import FaultyModel
from tests.soak.served import DETAILED, PLAIN, Held
from tests.soak.traffic import GREEDY, KEYS, QUOTA

ROOT = Path(__file__).resolve().parents[2]
# Python's objects are counted by the C library then, to the byte.
EXACT = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0", "PYTHONPATH": str(ROOT)}
# Seconds that a request may take.
TIMEOUT = 6.0
# What a collection of garbage may take on a machine that is busy.
_PATIENCE = 120.0


def settings(folder: Path, model: FaultyModel) -> dict[str, str]:
    """Everything is on. What keeps things keeps few, so that it is full when samples begin: what grows is a leak."""
    keys = {**KEYS, **GREEDY}
    return {
        "VSTACK_API_KEYS": ",".join(f"{name}={key}" for name, key in keys.items()),
        "VSTACK_API_RATE_LIMIT": f"{QUOTA}/1",
        "VSTACK_API_REQUEST_TIMEOUT": str(TIMEOUT),
        "VSTACK_CACHE": "memory",
        "VSTACK_CACHE_MAX_BYTES": "256KiB",
        "VSTACK_TAPE": str(folder / "tapes"),
        "VSTACK_TAPE_PER_SECOND": "20",
        "VSTACK_TAPE_FOLDER_BYTES": "1MiB",
        "VSTACK_HOME": str(folder / "home"),
        "VSTACK_LEARNINGS_MAX_BYTES": "64KiB",
        "VSTACK_TELEMETRY_MAX_BYTES": "64KiB",
        "VSTACK_DRAIN_DELAY": "0",
        "OPENAI_API_KEY": "sk-soak-0123456789",
        "OPENAI_BASE_URL": f"{model.url}/v1",
        "VSTACK_MODEL": "m-1",
    }


class Telling(Server):
    """A server that tells what it holds."""

    def __init__(self, runtime: Runtime, folder: Path, env: Mapping[str, str]) -> None:
        self._path = str(folder / "held")
        program = [sys.executable, "-m", "tests.soak.served", self._path]
        super().__init__([*program, "serve", "--port", "0", "--runtime", runtime], {**EXACT, **env})

    def asked(self, detailed: bool = False) -> Held:
        """Ask what it holds."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_PATIENCE)
            sock.connect(self._path)
            sock.sendall(DETAILED if detailed else PLAIN)
            with sock.makefile("rb") as stream:
                return msgspec.json.decode(stream.readline(), type=Held)


class Soaked(Telling):
    """One of whose log only what is no plain request is kept.

    Attributes:
        model: The service that it asks.
    """

    def __init__(self, runtime: Runtime, folder: Path, model: FaultyModel) -> None:
        self.model = model
        super().__init__(runtime, folder, settings(folder, model))
        # A home on a disk that others use is too slow now and then; the answer goes without what helped before.
        self.excused.append('"event":"learnings failed"')

    def keeps(self, line: str) -> bool:
        return '"event":"request"' not in line or '"level":"error"' in line

    def descriptors(self, held: Held) -> list[str]:
        """Files and sockets, less what is kept at hand: connections to the model service and to the home."""
        rows = [line.split() for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]]
        pooled = {f"socket:[{row[9]}]" for row in rows if int(row[2].rpartition(":")[2], 16) == self.model.port}
        return [one for one in held.descriptors if one not in pooled and "/home/" not in one]


@contextlib.contextmanager
def soaking(runtime: Runtime) -> Iterator[Soaked]:
    """A server that runs meanwhile; it must end well."""
    model = FaultyModel()
    model.start()
    try:
        with tempfile.TemporaryDirectory(prefix="vstack-soak-") as folder:
            server = Soaked(runtime, Path(folder), model)
            try:
                server.started()
                yield server
            finally:
                server.kill()
    finally:
        model.stop()
