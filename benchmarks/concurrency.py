"""Many analyses at once, each waiting for a model: ``python -m benchmarks.concurrency``.

The service runs in a process of its own, on our drivers, and every request is another trace on another connection.
First the model is a function of that process that answers after a second; then it is a fake service that the real
clients talk to, whose calls are also made bare, without the service around them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import anyio
import msgspec

from benchmarks.callers import Round, call_all, connected, requests
from benchmarks.timing import median_ratio
from benchmarks.workload import TRACES
from tests.fakes.model_service import least
from vstack_proto.limits import Limits
from vstack_proto.values import ModelRequest
from vstack_runtime.engine import Engine
from vstack_runtime.providers.common import Reply
from vstack_runtime.serving import settle
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping

KEY = "benchmark-key-of-no-service"
RUNTIMES = ("asyncio", "trio", "hypercorn")
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


def _serve(runtime: str, upstream: str) -> None:
    """Serve as ``vstack-api serve`` does, until the standard input ends; prints the port."""
    fields = {"llm": "anthropic", "llm_max_concurrency": 4_096} if upstream else {}
    settings = Settings(limits=Limits(request_timeout=120.0), drain_delay=0.0, log_level="error", **fields)  # type: ignore[arg-type]
    if upstream:
        os.environ |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": upstream}
    engine = Engine(settings, provider=None if upstream else Slow(), runtime=runtime)
    driver: Any = importlib.import_module(f"vstack_runtime.{runtime}_server")
    settle()

    async def run() -> None:
        stopping = Stopping(lambda port: print(port, flush=True))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(driver.serve, engine, "127.0.0.1", 0, stopping)
            await anyio.to_thread.run_sync(sys.stdin.read)
            stopping.ask()
            stopping.ask()
        await engine.aclose()

    anyio.run(run, backend="trio" if runtime == "trio" else "asyncio")


def _bare(upstream: str) -> None:
    """Make the calls of ``CLIENT_CALLS`` analyses without the service, a round for each line of the standard input."""
    from vstack_runtime.providers.anthropic import AnthropicProvider

    request = _question()

    async def run() -> None:
        provider = AnthropicProvider(KEY, base_url=upstream)
        settle()
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


def in_process(runtime: str, number: int) -> Round:
    """So many analyses at once, with a provider inside the service; each comes on a connection of its own."""
    with _process("benchmarks.concurrency", "--serve", runtime) as process:
        port, pid = int(_line(process)), process.pid
        # What is made on first use does not count for the requests.
        asyncio.run(call_all(port, pid, requests(5, 0, last=True)))
        return asyncio.run(call_all(port, pid, requests(number, 100, last=True)))


def through_clients(runtime: str) -> tuple[list[float], list[float]]:
    """Seconds of processor time of an analysis through the real client, and of its bare call, for each round.

    Callers keep their connections from round to round, as clients do theirs to the model service.
    """
    with _process("tests.fakes.model_service", "--delay", "0.2") as fake:
        url = f"http://127.0.0.1:{_line(fake)}"
        with (
            _process("benchmarks.concurrency", "--serve", runtime, "--upstream", url) as process,
            _process("benchmarks.concurrency", "--bare", url) as bare,
        ):
            return asyncio.run(_in_turn(int(_line(process)), process.pid, bare))


async def _in_turn(port: int, pid: int, bare: subprocess.Popen[str]) -> tuple[list[float], list[float]]:
    callers = [await connected(port) for _ in range(CLIENT_CALLS)]
    analyses, calls = [], []
    assert bare.stdin is not None
    # The first two rounds make connections and whatever else is made on first use.
    for turn in range(CLIENT_ROUNDS + 2):
        bare.stdin.write("\n")
        bare.stdin.flush()
        call = float(_line(bare))
        found = await call_all(port, pid, requests(CLIENT_CALLS, 1_000 * turn, last=False), callers)
        assert not found.failures, found
        if turn > 1:
            calls.append(call)
            analyses.append(found.cpu / CLIENT_CALLS)
    for caller in callers:
        caller.transport.close()
    return analyses, calls


def table(runtimes: tuple[str, ...], sizes: tuple[int, ...]) -> Iterator[str]:
    """The rows, one after the other as they are measured."""
    yield "| runtime | at once | seconds | analyses/s | p50 s | p99 s | kB in flight | CPU ms | failures |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for runtime in runtimes:
        for number in sizes:
            found = in_process(runtime, number)
            yield (
                f"| {runtime} | {number} | {found.seconds:.2f} | {number / found.seconds:.0f} "
                f"| {found.wait(0.5):.2f} | {found.wait(0.99):.2f} "
                f"| {found.kilobytes:.1f} | {found.cpu / number * 1e3:.2f} | {found.failures} |"
            )


def guards() -> int:
    """Check what is promised; 1 where it does not hold."""
    found = in_process("asyncio", 2_000)
    analyses, calls = through_clients("asyncio")
    verdicts = (
        ("failures of 2,000", float(found.failures), 0.0),
        ("seconds for 2,000", found.seconds, MAX_SECONDS),
        ("kB a request in flight", found.kilobytes, MAX_KILOBYTES),
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
        for row in table(RUNTIMES, AT_ONCE):
            print(row, flush=True)
    return guards()


if __name__ == "__main__":
    sys.exit(main())
