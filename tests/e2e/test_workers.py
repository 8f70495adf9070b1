"""Stopping under load with one process and with several; what several processes share; a worker that dies."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import PATIENCE, Runtime, Server, command

TRACE = {
    "goal": "Send the report of May",
    "steps": [{"agent": "writer", "type": "message", "content": "The report is sent."}],
    "outcome": "It was that of April.",
    "success": False,
}
BODY = json.dumps({"trace": TRACE, "format": "canonical", "mode": "quick", "model": "offline"})


def several(serve: Serve, runtime: Runtime, workers: int = 2, **env: str) -> Server:
    """A server of several processes."""
    server = serve(runtime, "--workers", str(workers), **env)
    # The library that keeps the counts of several processes leaves its files to the end of the process.
    server.excused.append("/vstack-metrics-")
    return server


class Callers:
    """Clients that ask as fast as they are answered, on connections that they keep as long as they may.

    Attributes:
        answers: How often each outcome was seen: a status, or the name of what was raised.
    """

    def __init__(self, server: Server, number: int = 4) -> None:
        self.answers: Counter[object] = Counter()
        self._server = server
        self._stop = threading.Event()
        self._asked = threading.Condition()
        self._threads = [threading.Thread(target=self._call) for _ in range(number)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def wait_for(self, number: int) -> None:
        """Until so many more answers have come."""
        with self._asked:
            wanted = self.answers.total() + number
            assert self._asked.wait_for(lambda: self.answers.total() >= wanted, PATIENCE)

    def _call(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._server.port, PATIENCE)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return  # it no longer listens: that is how a balancer sees the end
            self._ask_on(connection)
            connection.close()

    def _ask_on(self, connection: http.client.HTTPConnection) -> None:
        while not self._stop.is_set():
            try:
                connection.request("POST", "/v1/analyze/aar", BODY, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except OSError as fault:
                self._count(type(fault).__name__)
                return
            self._count(answer.status)
            if answer.getheader("Connection") == "close":
                return

    def _count(self, what: object) -> None:
        with self._asked:
            self.answers[what] += 1
            self._asked.notify_all()


def test_any_worker_tells_of_the_connections_of_all(serve: Serve, runtime: Runtime) -> None:
    server = several(serve, runtime)
    workers = children(server)

    def served(stopped: int) -> http.client.HTTPConnection:
        """A connection, and who has it: not the worker that is stopped meanwhile."""
        os.kill(stopped, signal.SIGSTOP)
        try:
            made = opened.enter_context(
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, PATIENCE))
            )
            made.request("GET", "/livez")
            assert made.getresponse().read()
            return made
        finally:
            os.kill(stopped, signal.SIGCONT)

    with contextlib.ExitStack() as opened:
        asking = served(workers[0])
        for stopped in (*workers, *workers, workers[0]):
            served(stopped)

        def told() -> dict[str, float]:
            """As one of the workers has it, the same each time."""
            asking.request("GET", "/metrics")
            page = asking.getresponse().read().decode()
            return {state: float(n) for state, n in re.findall(r'vstack_connections\{state="(.*?)"\} (.*)', page)}

        assert server.until(lambda: told() == {"open": 6.0, "active": 1.0, "idle": 5.0})


@pytest.mark.parametrize("workers", [1, 2])
def test_under_load_nobody_notices_that_it_stops(serve: Serve, runtime: Runtime, workers: int) -> None:
    server = several(serve, runtime, workers, VSTACK_DRAIN_DELAY="1", VSTACK_CACHE="memory")
    with Callers(server) as callers:
        callers.wait_for(40)
        server.signal(signal.SIGTERM)
        # New connections are taken during the delay, and told.
        assert server.until(lambda: server.get("/readyz").json["status"] == "draining", 0.9)
        callers.wait_for(40)
        # They go on until nobody listens: whoever was let in is served to the last.
        assert server.wait() == 0
    assert set(callers.answers) == {200}


def test_workers_share_a_port_and_their_counts(serve: Serve, runtime: Runtime) -> None:
    server = several(serve, runtime, VSTACK_CACHE="memory", VSTACK_API_RATE_LIMIT="1000/60")
    server.wait_for(lambda line: line["event"] == "each worker has its own" and line["memory"] == ["cache", "quota"])
    with Callers(server, 8) as callers:
        callers.wait_for(200)
    asked = callers.answers.total()
    # Each worker counts what it has served within a moment; any of them then tells the counts of all.
    server.until(lambda: server.metric("vstack_requests_total", pattern="aar", status="ok") == asked)
    assert {server.metric("vstack_requests_total", pattern="aar", status="ok") for _ in range(6)} == {asked}


def children(server: Server) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def test_a_worker_that_dies_is_replaced(serve: Serve, runtime: Runtime) -> None:
    server = several(serve, runtime)
    server.excused.append("a worker has ended")
    before = children(server)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    line = server.wait_for(lambda line: line["event"] == "a worker has ended; another takes its place")
    assert (line["worker"], line["code"]) == (before[0], -signal.SIGKILL)
    assert server.until(lambda: len(children(server)) == 2 and before[0] not in children(server))
    assert server.post("/v1/analyze/aar", BODY.encode()).status == 200


def test_workers_that_cannot_serve_end_the_service() -> None:
    program = "import vstack_runtime.workers as w; w.EARLY_SECONDS = 60; import vstack_runtime.cli as c; c.main()"
    env = {"VSTACK_DRAIN_DELAY": "0", "PYTHONPATH": str(Path(__file__).parent / "broken_start")}
    server = Server([sys.executable, "-c", program, *command("asyncio", "--workers", "2")[1:]], env)
    try:
        assert server.wait() == 1
        assert [line for line in server.log if line["event"] == "workers end as soon as they are started"]
    finally:
        server.kill()


def test_a_second_sigterm_stops_all_workers_now(serve: Serve, runtime: Runtime) -> None:
    server = several(serve, runtime, VSTACK_DRAIN_DELAY="300")
    server.signal(signal.SIGTERM)
    server.wait_for(lambda line: line["event"] == "stopping")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_a_worker_that_hears_two_signals_as_one_ends_now_too(serve: Serve, runtime: Runtime) -> None:
    server = several(serve, runtime, VSTACK_DRAIN_DELAY="300")
    assert server.until(lambda: sum(line["event"] == "listening" for line in server.log) == 2)
    halted = children(server)[1]
    os.kill(halted, signal.SIGSTOP)
    server.signal(signal.SIGTERM)
    server.wait_for(lambda line: line["event"] == "stopping")
    server.signal(signal.SIGTERM)
    server.wait_for(lambda line: line["event"] == "stopping now")
    os.kill(halted, signal.SIGCONT)
    assert server.wait() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_at_any_moment_of_the_start_ends_it_well(runtime: Runtime, workers: int) -> None:
    # By the lines that the interpreter itself tells of, moments that no clock of this test could hit.
    for moment in ("vstack_proto.auth", "vstack_runtime.engine"):
        argv = [sys.executable, "-v", *command(runtime, "--workers", str(workers))]
        process = subprocess.Popen(
            argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"]}, text=True
        )
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"import '{moment}'"):
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stderr.read()
        process.stderr.close()
        assert process.wait(PATIENCE) == 0, (moment, rest[-2000:])
        assert "Traceback" not in rest, moment
