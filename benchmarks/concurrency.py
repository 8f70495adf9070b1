"""Many analyses at once, each waiting for a model: ``python -m benchmarks.concurrency``.

The service runs in a process of its own, on our drivers, and every request is another trace on another connection.
First the model is a function of that process that answers after a second; then it is a fake service that the real
clients talk to, whose calls are also made bare, without the service around them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import anyio
import msgspec

from benchmarks.timing import median_ratio
from benchmarks.workload import TRACES
from tests.fakes.model_service import least
from vstack_proto.limits import Limits
from vstack_proto.values import ModelRequest
from vstack_runtime.embedding import serve
from vstack_runtime.providers.common import Reply
from vstack_runtime.settings import Settings

KEY = "benchmark-key-of-no-service"
AT_ONCE = (100, 1_000, 2_000, 4_000)
SECONDS = 1.0
# The real clients share two cores with the fake service and the callers.
CLIENT_CALLS, CLIENT_ROUNDS = 200, 9

MAX_SECONDS = 3 * SECONDS
MAX_KILOBYTES = 60.0
MAX_CPU_RATIO = 1.5


class Slow:
    """A provider in this process: the least answer that fits, after a second."""

    name, default_model = "slow", "slow-1"

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        """Answer."""
        await anyio.sleep(SECONDS)
        schema = msgspec.json.decode(request.schema)
        return Reply(msgspec.json.encode(least(schema, schema.get("$defs", {}))).decode())


class Round(NamedTuple):
    """What so many requests at once came to.

    Attributes:
        seconds: From the first request to the last answer.
        waits: What each took, in order of length.
        failures: Answers other than 200.
        peak, idle: Bytes of memory of the service, at most and before.
        cpu: Seconds of processor time of the service.
        body: Bytes of a request's body.
    """

    seconds: float
    waits: list[float]
    failures: int
    peak: int
    idle: int
    cpu: float
    body: int


# The processes.


def _serve(runtime: str, upstream: str) -> None:
    """Serve until the standard input ends; prints the port."""
    limits = Limits(request_timeout=120.0)
    fields = {"llm": "anthropic", "llm_max_concurrency": 4_096} if upstream else {}
    settings = Settings(limits=limits, log_level="error", **fields)  # type: ignore[arg-type]
    if upstream:
        os.environ |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": upstream}

    async def run() -> None:
        async with serve(settings, port=0, provider=None if upstream else Slow()) as port:
            print(port, flush=True)
            await anyio.to_thread.run_sync(sys.stdin.read)

    anyio.run(run, backend=runtime)


def _bare(upstream: str) -> None:
    """Make the calls of ``CLIENT_CALLS`` analyses without the service, a round for each line of the standard input."""
    from vstack_runtime.providers.anthropic import AnthropicProvider

    request = _question()

    async def run() -> None:
        provider = AnthropicProvider(KEY, base_url=upstream)
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            began = time.process_time()
            async with anyio.create_task_group() as tasks:
                for _ in range(CLIENT_CALLS):
                    tasks.start_soon(provider.ask, request, 60.0)
            print((time.process_time() - began) / CLIENT_CALLS, flush=True)
        await provider.aclose()

    anyio.run(run)


def _question() -> ModelRequest:
    """What the service asks a model for one of the traces."""
    from vstack_runtime.library import analyze

    asked: list[ModelRequest] = []

    class Listening(Slow):
        async def ask(self, request: ModelRequest, within: float) -> Reply:
            asked.append(request)
            return await super().ask(request, within)

    analyze(TRACES["aar"](8, 120), pattern="aar", mode="quick", provider=Listening())
    return msgspec.structs.replace(asked[0], model="claude-sonnet-5-5")


@contextlib.contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _cpu(pid: int) -> float:
    """Seconds of processor time so far; to the nanosecond, where /proc/PID/stat counts hundredths of a second."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


# The callers.


def _requests(number: int, start: int) -> list[bytes]:
    trace = TRACES["aar"](8, 120)
    requests = []
    for n in range(start, start + number):
        body = msgspec.json.encode({"trace": {**trace, "goal": f"Goal number {n:08d}"}, "mode": "quick"})
        head = f"POST /v1/analyze/aar HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        requests.append(head.encode() + body)
    return requests


class _Caller(asyncio.Protocol):
    def __init__(self, request: bytes, done: asyncio.Future[float]) -> None:
        self._request, self._done = request, done
        self.status = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._began = time.perf_counter()
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.status = self.status or data[9:12]

    def connection_lost(self, exc: Exception | None) -> None:
        self._done.set_result(time.perf_counter() - self._began)


async def _call_all(port: int, pid: int, requests: list[bytes]) -> Round:
    loop = asyncio.get_running_loop()
    idle, cpu = _memory(pid), _cpu(pid)
    peak = idle
    began = time.perf_counter()
    futures: list[asyncio.Future[float]] = []
    callers = []
    for request in requests:
        done: asyncio.Future[float] = loop.create_future()
        _, caller = await loop.create_connection(lambda r=request, d=done: _Caller(r, d), "127.0.0.1", port)  # type: ignore[misc]
        futures.append(done)
        callers.append(caller)
    waiting = asyncio.gather(*futures)
    while not waiting.done():
        peak = max(peak, _memory(pid))
        await asyncio.wait([waiting], timeout=0.02)
    waits = sorted(await waiting)
    seconds = time.perf_counter() - began
    failures = sum(caller.status != b"200" for caller in callers)
    body = len(requests[0].partition(b"\r\n\r\n")[2])
    return Round(seconds, waits, failures, peak, idle, _cpu(pid) - cpu, body)


def in_process(runtime: str, number: int) -> Round:
    """So many analyses at once, with a provider inside the service."""
    with _process("benchmarks.concurrency", "--serve", runtime) as process:
        port = int(_line(process))
        # What is made on first use does not count for the requests.
        asyncio.run(_call_all(port, process.pid, _requests(5, 0)))
        return asyncio.run(_call_all(port, process.pid, _requests(number, 100)))


def through_clients(runtime: str) -> tuple[list[float], list[float]]:
    """Seconds of processor time of an analysis through the real client, and of its bare call, for each round."""
    with _process("tests.fakes.model_service", "--delay", "0.2") as fake:
        url = f"http://127.0.0.1:{_line(fake)}"
        with (
            _process("benchmarks.concurrency", "--serve", runtime, "--upstream", url) as process,
            _process("benchmarks.concurrency", "--bare", url) as bare,
        ):
            port = int(_line(process))
            asyncio.run(_call_all(port, process.pid, _requests(CLIENT_CALLS, 0)))
            analyses, calls = [], []
            assert bare.stdin is not None
            for turn in range(CLIENT_ROUNDS + 1):
                bare.stdin.write("\n")
                bare.stdin.flush()
                call = float(_line(bare))
                found = asyncio.run(_call_all(port, process.pid, _requests(CLIENT_CALLS, 1_000 * (turn + 1))))
                assert not found.failures, found
                if turn:
                    calls.append(call)
                    analyses.append(found.cpu / CLIENT_CALLS)
    return analyses, calls


def kilobytes(found: Round) -> float:
    """Memory for each request in flight beyond its body, in kB."""
    return ((found.peak - found.idle) / len(found.waits) - found.body) / 1_000


def table(runtimes: tuple[str, ...], sizes: tuple[int, ...]) -> Iterator[str]:
    """The rows, one after the other as they are measured."""
    yield "| runtime | at once | seconds | analyses/s | p50 s | p99 s | kB in flight | CPU ms | failures |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for runtime in runtimes:
        for number in sizes:
            found = in_process(runtime, number)
            p50, p99 = (found.waits[int(len(found.waits) * part)] for part in (0.5, 0.99))
            yield (
                f"| {runtime} | {number} | {found.seconds:.2f} | {number / found.seconds:.0f} | {p50:.2f} | {p99:.2f} "
                f"| {kilobytes(found):.1f} | {found.cpu / number * 1e3:.2f} | {found.failures} |"
            )


def guards() -> int:
    """Check what is promised; 1 where it does not hold."""
    found = in_process("asyncio", 2_000)
    analyses, calls = through_clients("asyncio")
    verdicts = (
        ("failures of 2,000", float(found.failures), 0.0),
        ("seconds for 2,000", found.seconds, MAX_SECONDS),
        ("kB a request in flight", kilobytes(found), MAX_KILOBYTES),
        ("CPU of an analysis over that of its bare call", median_ratio(analyses, calls), MAX_CPU_RATIO),
    )
    for name, value, most in verdicts:
        print(f"{'holds' if value <= most else 'FAILS'}: {name}: {value:.2f}, at most {most:g}")
    analysis, call = (statistics.median(times) * 1e3 for times in (analyses, calls))
    print(f"CPU of an analysis {analysis:.2f} ms, of a bare call {call:.2f} ms")
    return int(any(value > most for _, value, most in verdicts))


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.concurrency", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("all", "guards"), default="all")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--upstream", default="", help=argparse.SUPPRESS)
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if asked.serve:
        _serve(asked.serve, asked.upstream)
        return 0
    if asked.bare:
        _bare(asked.bare)
        return 0
    if asked.what == "all":
        for row in table(("asyncio", "trio"), AT_ONCE):
            print(row, flush=True)
    return guards()


if __name__ == "__main__":
    sys.exit(main())
