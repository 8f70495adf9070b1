"""The processes of the tables on concurrency: ``python -m benchmarks.processes``.

``serve RUNTIME`` is the service, as ``vstack-api serve`` puts it together, with a model that is a function of the same
process, or with the real client and a fake service at ``--upstream``. ``bare RUNTIME`` makes the same calls as that
client, without the service around them. Each prints what it has to tell, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec

from benchmarks.workload import TRACES
from tests.fakes.model_service import least
from vstack_proto.limits import Limits
from vstack_proto.values import ModelRequest
from vstack_runtime.engine import Engine
from vstack_runtime.logs import configure
from vstack_runtime.providers.common import Reply
from vstack_runtime.serving import settle
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping

RUNTIMES = ("asyncio", "trio", "hypercorn")
KEY = "benchmark-key-of-no-service"
SECONDS = 1.0
# Calls of a round, with the real client.
CALLS = 200
# For a process that should end.
_PATIENCE = 30.0


class Slow:
    """A provider in this process: the least answer that fits, after a second."""

    name, default_model = "slow", "slow-1"

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        """Answer."""
        await anyio.sleep(SECONDS)
        schema = msgspec.json.decode(request.schema)
        return Reply(msgspec.json.encode(least(schema, schema.get("$defs", {}))).decode())


def _backend(runtime: str) -> str:
    return "trio" if runtime == "trio" else "asyncio"


def _serve(runtime: str, upstream: str, timeout: float, concurrency: int, level: str) -> None:
    """Serve until the standard input ends; prints the port."""
    fields = {"llm": "anthropic", "llm_max_concurrency": concurrency} if upstream else {}
    limits = Limits(request_timeout=timeout)
    settings = Settings(limits=limits, drain_delay=0.0, log_level=level, **fields)  # type: ignore[arg-type]
    if upstream:
        os.environ |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": upstream}
    configure(settings.log_level, settings.log_format)
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

    anyio.run(run, backend=_backend(runtime))


def _bare(runtime: str, upstream: str) -> None:
    """Make ``CALLS`` calls for each line of the standard input; prints the seconds of processor time of one."""
    from vstack_runtime.providers.anthropic import AnthropicProvider

    request = _question()

    async def run() -> None:
        provider = AnthropicProvider(KEY, base_url=upstream)
        # As the service does: or its own garbage collector would make the bare call look dear.
        settle()
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            began = time.process_time()
            async with anyio.create_task_group() as tasks:
                for _ in range(CALLS):
                    tasks.start_soon(provider.ask, request, 60.0)
            print((time.process_time() - began) / CALLS, flush=True)
        await provider.aclose()

    anyio.run(run, backend=_backend(runtime))


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


# For who measures.


@contextlib.contextmanager
def _process(*arguments: str, log: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    # Callers and services need a descriptor for each connection, and their own limits are often a thousand.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        contextlib.nullcontext() if log is None else log.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@contextlib.contextmanager
def fake_service(seconds: float, spread: float = 0.0) -> Iterator[str]:
    """A fake model service that answers after so many seconds, give or take a part of them; gives its URL."""
    with _process("tests.fakes.model_service", "--delay", str(seconds), "--spread", str(spread)) as fake:
        yield f"http://127.0.0.1:{_line(fake)}"


@contextlib.contextmanager
def service(
    runtime: str, upstream: str = "", timeout: float = 120.0, concurrency: int = 4_096, log: Path | None = None
) -> Iterator[tuple[int, int]]:
    """The service; gives its port and its process id. Its log has a line for each request that ended badly."""
    flags = ["--upstream", upstream, "--timeout", str(timeout), "--concurrency", str(concurrency)]
    if log is not None:
        flags.append("--log")
    with _process("benchmarks.processes", "serve", runtime, *flags, log=log) as process:
        yield int(_line(process)), process.pid


class Bare:
    """The bare calls."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self) -> float:
        """Make ``CALLS`` of them at once; seconds of processor time of one."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(_line(self._process))


@contextlib.contextmanager
def bare_calls(runtime: str, upstream: str) -> Iterator[Bare]:
    """A process that makes them."""
    with _process("benchmarks.processes", "bare", runtime, "--upstream", upstream) as process:
        yield Bare(process)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processes", description=__doc__)
    parser.add_argument("what", choices=("serve", "bare"))
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("--upstream", default="")
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("--concurrency", type=int, default=4_096)
    parser.add_argument("--log", action="store_true", help="of requests that end badly")
    asked = parser.parse_args()
    if asked.what == "serve":
        level = "warning" if asked.log else "error"
        _serve(asked.runtime, asked.upstream, asked.timeout, asked.concurrency, level)
    else:
        _bare(asked.runtime, asked.upstream)


if __name__ == "__main__":
    main()
