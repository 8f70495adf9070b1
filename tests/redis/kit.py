"""Real Redis servers: each on a free port, with a folder of its own, and stopped by its process id."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE = 20.0
_READY = ("Ready to accept connections", "+monitor master")


def free_port() -> int:
    """A port that nobody listens at; low enough for the other one of a cluster's node, which lies 10,000 above."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55_000:
            return port


class RedisServer:
    """One server, or one sentinel."""

    def __init__(self, program: str, folder: Path, *args: str, config: str = "") -> None:
        """
        Args:
            program: Path of redis-server.
            folder: Its own.
            args: More of its command line.
            config: Text of its configuration file; a sentinel has one.
        """
        self._program = program
        self.folder = folder
        self._args = args
        self._config = config
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.port = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self, port: int = 0) -> RedisServer:
        """Start it and wait until it takes connections; at the port that it had, if it had one."""
        port = port or self.port
        for _ in range(5):
            self.port = port or free_port()
            if self._started():
                return self
        raise AssertionError(f"redis-server does not start; see {self.folder}")

    def _started(self) -> bool:
        argv = [self._program]
        if self._config:
            (self.folder / "redis.conf").write_text(self._config)
            argv.append(str(self.folder / "redis.conf"))
        flags = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        if not self._config:
            flags += ["--enable-protected-configs", "yes"]
        # Where the port was taken meanwhile, it says so and ends.
        self._process = subprocess.Popen([*argv, *flags, *self._args], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if any(mark in line for mark in _READY):
                # What it tells from now on nobody wants, but a full pipe would stop it.
                self._reader = threading.Thread(target=self._process.stdout.read, daemon=True)
                self._reader.start()
                return True
        self.kill()
        return False

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def freeze(self) -> None:
        """Let it stand still: its port takes connections, and nobody answers."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._reader is not None:
                self._reader.join()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = self._reader = None

    def ask(self, *command: str, password: str = "") -> str:
        """One command, over a connection of its own; the whole answer as it came."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as line:
            for one in ([("AUTH", password)] if password else []) + [command]:
                parts = b"".join(b"$%d\r\n%s\r\n" % (len(p.encode()), p.encode()) for p in one)
                line.sendall(b"*%d\r\n%s" % (len(one), parts))
                answer = line.recv(1 << 20)
        return answer.decode()

    def number(self, *command: str) -> int:
        """One command that is answered with a number."""
        return int(self.ask(*command).lstrip(":"))


class Servers:
    """Starts servers for a test, and ends them."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self.folder = folder
        self._all: list[RedisServer] = []

    def __call__(self, *args: str, config: str = "", port: int = 0) -> RedisServer:
        folder = self.folder / f"redis-{len(self._all)}"
        server = RedisServer(self._program, folder, *args, config=config)
        self._all.append(server)
        return server.start(port)

    def end(self) -> None:
        for server in self._all:
            server.kill()


def running(program: str, folder: Path) -> Iterator[Servers]:
    """For fixtures."""
    servers = Servers(program, folder)
    try:
        yield servers
    finally:
        servers.end()


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Ask until something is true, and say whether it came to be; asking takes its time."""
    end = time.monotonic() + seconds
    while not (is_true := true()) and time.monotonic() < end:
        pass
    return is_true
