"""Real programs in front of, and beside, real servers."""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import serve as serve  # the fixture, for the tests of this folder too
from tests.e2e.serving import PATIENCE

DEPLOY = Path(__file__).parents[2] / "deploy"

Start = Callable[..., None]


def free_port() -> int:
    """A port that nobody listens at now, below those that the system gives away by itself."""
    while True:
        with socket.socket() as sock, contextlib.suppress(OSError):
            port = random.randrange(20_000, 32_000)
            sock.bind(("0.0.0.0", port))
            return port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program that serves at a port: ``start(argv, port)`` returns once it listens; it is killed at the end."""
    running: list[subprocess.Popen[bytes]] = []
    log = tmp_path / "program.log"

    def run(argv: list[str], port: int) -> None:
        with log.open("ab") as out:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=tmp_path)
        running.append(process)
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), PATIENCE):
                return
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < end, log.read_text(errors="replace")

    yield run
    for process in running:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for vstack.example.com that its own key has signed, and that key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "vstack.crt", folder / "vstack.key"
    asked = ["-subj", "/CN=vstack.example.com", "-addext", "subjectAltName=DNS:vstack.example.com", "-days", "2"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*made, *asked, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key
