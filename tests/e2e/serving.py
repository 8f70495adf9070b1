"""The real server as a process, and the two ways in which tests talk to it: plain HTTP, and bytes on a socket."""

from __future__ import annotations

import atexit
import contextlib
import http.client
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.callers import cpu_of, memory_of

Runtime = Literal["hypercorn", "asyncio", "trio"]
RUNTIMES: tuple[Runtime, ...] = ("hypercorn", "asyncio", "trio")

ALICE = "alice-canary-1f0c6f0e9d7b4a53"
BOB = "bob-canary-77aa0d3c51e84b9f"
SCRIPT = Path(sys.executable).with_name("vstack-api")

# A loaded machine may be slow; whoever waits this long waits for nothing.
PATIENCE = 20.0

# Where servers remember what nobody asks them about; each has a home of its own.
HOMES = tempfile.mkdtemp(prefix="vstack-homes-")
_NUMBERS = itertools.count()
atexit.register(shutil.rmtree, HOMES, ignore_errors=True)

Body = bytes | Iterable[bytes] | None


class Answer(msgspec.Struct, frozen=True):
    """An answer as it came; header names in lower case, those that repeat joined."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The members of a refusal, in either form."""
        told = self.json
        return told if "error" in told else told["detail"]

    @property
    def outcome(self) -> tuple[int, str]:
        """The status, with the code of a refusal."""
        return self.status, self.error["error"] if self.status >= 400 else ""


class Line:
    """A bare connection.

    Attributes:
        sock: Its socket; what it reads past this object's buffer is lost to ``answer``.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.sock.close()

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Send bytes, as many as the server takes; ``last`` says that no more will come."""
        with contextlib.suppress(OSError):  # who refuses may have closed before all was sent
            self.sock.sendall(data)
            if last:
                self.sock.shutdown(socket.SHUT_WR)

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer, skipping 100 Continue."""
        status, fields = 100, list[tuple[str, str]]()
        while status < 200:
            status = int(self._file.readline(65_537).split()[1])
            fields = [(name.lower(), value) for name, value in http.client.parse_headers(self._file).items()]
        headers = {name: ", ".join(value for n, value in fields if n == name) for name, _ in fields}
        if method == "HEAD" or status in (204, 304):
            return Answer(status, headers, b"")
        length = headers.get("content-length")
        return Answer(status, headers, self._file.read(None if length is None else int(length)))

    def ended(self) -> bool:
        """Whether the server closes the connection without another byte."""
        with contextlib.suppress(ConnectionResetError):
            return self._file.read(1) == b""
        return True


class Server:
    """A running ``vstack-api serve``, or a program of ours that serves in its place.

    Attributes:
        pid: Its process.
        port: Where it listens.
        env: The settings it was given.
        excused: Words of log lines that would be faults, had a test not asked for them.
    """

    def __init__(self, argv: list[str], env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.port = 0
        self.excused: list[str] = []
        self._news = threading.Condition()
        self._lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._process = subprocess.Popen(
            argv,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONWARNINGS": "default::ResourceWarning",
                "VSTACK_HOME": f"{HOMES}/{next(_NUMBERS)}",
                **env,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.pid = self._process.pid
        self._readers = [threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._lines]
        for reader in self._readers:
            reader.start()

    def keeps(self, line: str) -> bool:
        """Whether a line of its output is kept."""
        return True

    def _read(self, name: str) -> None:
        stream = getattr(self._process, name)
        for line in stream:
            if self.keeps(line):
                with self._news:
                    self._lines[name].append(line)
                    self._news.notify_all()
        stream.close()
        with self._news:
            self._news.notify_all()

    # What it tells.

    @property
    def stdout(self) -> str:
        return "".join(self._lines["stdout"])

    @property
    def stderr(self) -> str:
        return "".join(self._lines["stderr"])

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its log; any that is not JSON is an error here."""
        with self._news:
            return [json.loads(line) for line in self._lines["stderr"]]

    def requests(self, **fields: Any) -> list[dict[str, Any]]:
        """The log lines of requests that have these fields."""
        return [line for line in self.log if line["event"] == "request" and fields.items() <= line.items()]

    def wait_for(self, what: Callable[[dict[str, Any]], bool], since: int = 0) -> dict[str, Any]:
        """Wait for a line of the log, from line number ``since`` on."""

        def found() -> dict[str, Any] | None:
            lines = [json.loads(line) for line in self._lines["stderr"][since:] if line.startswith("{")]
            return next((line for line in lines if what(line)), None)

        with self._news:
            self._news.wait_for(lambda: found() or not self._reading, PATIENCE)
            line = found()
        assert line is not None, f"no such line in the log:\n{self.stderr}"
        return line

    @property
    def _reading(self) -> bool:
        return any(reader.is_alive() for reader in self._readers)

    @property
    def rss(self) -> int:
        """Bytes of memory that it occupies."""
        return memory_of(self.pid)

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used, to the nanosecond."""
        return cpu_of(self.pid)

    # Its life.

    def started(self) -> Server:
        """Wait until it listens and answers a probe; a service without keys says 503, and lives."""
        self.port = self.wait_for(lambda line: line["event"] == "listening")["port"]
        assert self.get("/livez").status == 200
        return self

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end, and for its last words; returns the exit code."""
        code = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        """Make sure that it is gone."""
        if self._process.poll() is None:
            self._process.kill()
        self.wait()

    def stop(self) -> None:
        """Stop it as an operator does; it must end well, and must not have logged what nobody expects."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = self.wait()
        finally:
            self.kill()
        wrong = [*([f"exit code {code}"] if code else []), *self.faults()]
        assert not wrong, f"{wrong}, in:\n{self.stderr}"

    def faults(self) -> list[str]:
        """What must never be in its output: tracebacks, errors, leaks, keys."""
        output = [*self._lines["stdout"], *self._lines["stderr"]]
        marks = ("Traceback", '"level":"error"', '"level":"critical"', "ResourceWarning", "never retrieved", ALICE, BOB)
        bad = [line for line in output if any(mark in line for mark in marks)]
        return [line for line in bad if not any(words in line for words in self.excused)]

    # Talking to it.

    def ask(
        self,
        method: str,
        path: str,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        *,
        source: str = "127.0.0.1",
    ) -> Answer:
        """One request on a connection of its own; an iterable body is sent in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE, source_address=(source, 0))
        with contextlib.closing(connection):
            # Who is refused while it still sends cannot send on, and reads why.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            fields = [(name.lower(), value) for name, value in response.getheaders()]
            joined = {name: ", ".join(v for n, v in fields if n == name) for name, _ in fields}
            return Answer(response.status, joined, response.read())

    def get(self, path: str, headers: Mapping[str, str] | None = None, *, source: str = "127.0.0.1") -> Answer:
        return self.ask("GET", path, None, headers, source=source)

    def post(
        self,
        path: str,
        value: Any,
        headers: Mapping[str, str] | None = None,
        *,
        source: str = "127.0.0.1",
    ) -> Answer:
        """A request with a JSON body; bytes go as they are."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.ask("POST", path, data, {"Content-Type": "application/json", **(headers or {})}, source=source)

    def connected(self, source: str = "127.0.0.1") -> Line:
        """A bare connection."""
        return Line(socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0)))

    def raw(self, data: bytes, method: str = "GET") -> Answer:
        """Send bytes, and read one answer."""
        with self.connected() as line:
            line.send(data)
            return line.answer(method)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels."""
        told = self.get("/metrics").body.decode()
        samples = [sample for family in text_string_to_metric_families(told) for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def counted(self) -> dict[tuple[str, str, str], int]:
        """How many analyses ended how: (pattern, mode, status) -> number."""
        told = self.get("/metrics").body.decode()
        samples = [sample for family in text_string_to_metric_families(told) for sample in family.samples]
        return {
            (s.labels["pattern"], s.labels["mode"], s.labels["status"]): int(s.value)
            for s in samples
            if s.name == "vstack_requests_total" and s.value
        }

    def newly_counted(self, before: Mapping[tuple[str, str, str], int]) -> dict[tuple[str, str, str], int]:
        """What has been counted since ``before``, waiting for a count that is on its way."""
        new: dict[tuple[str, str, str], int] = {}

        def changed() -> bool:
            nonlocal new
            new = {key: n - before.get(key, 0) for key, n in self.counted().items() if n != before.get(key, 0)}
            return bool(new)

        self.until(changed, 2.0)
        return new

    def until(self, true: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Ask until something is true, and say whether it came to be; asking takes its time."""
        end = time.monotonic() + seconds
        while not (is_true := true()) and time.monotonic() < end:
            pass
        return is_true


def command(runtime: str, *more: str) -> list[str]:
    """The command line that serves at a free port."""
    return [str(SCRIPT), "serve", "--port", "0", "--runtime", runtime, *more]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def head(method: str, path: str, *fields: str, version: str = "1.1") -> bytes:
    """The bytes of a request's head, with alice's key."""
    lines = [f"{method} {path} HTTP/{version}", "Host: vstack", f"X-API-Key: {ALICE}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def canonical_trace(*agents: str, steps: int = 4, goal: str = "Report the highest temperature") -> dict[str, Any]:
    """A small team's run, true enough to be diagnosed."""
    names = agents or ("planner", "worker")
    says = (
        "Look it up in the archive.",
        "Assuming a typical summer I will use 31.4 degrees.",
        "I agree.",
        "Done: 31.4",
    )
    told = [
        {"agent": names[n % len(names)], "type": "message", "content": says[n % len(says)], "index": n}
        for n in range(steps)
    ]
    return {"goal": goal, "steps": told, "outcome": "The answer was wrong", "success": False}
