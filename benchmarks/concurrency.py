"""Many analyses at once, each waiting for a model: ``python -m benchmarks.concurrency``.

The service runs in a process of its own, and every request is another trace. First the model is a function of that
process that answers after a second, and each request comes on a connection of its own; then it is a fake service that
the real client talks to, whose calls are also made bare, without the service around them.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Iterator

from benchmarks import endings
from benchmarks.callers import Round, call_all, connected, requests
from benchmarks.processes import CALLS, RUNTIMES, SECONDS, Bare, bare_calls, fake_service, service
from benchmarks.timing import median_ratio

AT_ONCE = (100, 1_000, 2_000, 4_000)
# The real clients share two cores with the fake service and the callers.
ROUNDS = 9

MAX_SECONDS = 3 * SECONDS
MAX_KILOBYTES = 60.0
MAX_CPU_RATIO = 1.5


def in_process(runtime: str, number: int) -> Round:
    """So many analyses at once, with a provider inside the service; each comes on a connection of its own."""
    with service(runtime) as (port, pid):
        # What is made on first use does not count for the requests.
        asyncio.run(call_all(port, pid, requests(5, 0, last=True)))
        return asyncio.run(call_all(port, pid, requests(number, 100, last=True)))


def through_clients(runtime: str, rounds: int = ROUNDS) -> tuple[list[float], list[float]]:
    """Seconds of processor time of an analysis through the real client, and of its bare call, for each round.

    Callers keep their connections from round to round, as clients do theirs to the model service.
    """
    with (
        fake_service(0.2) as url,
        service(runtime, upstream=url) as (port, pid),
        bare_calls(runtime, url) as bare,
    ):
        return asyncio.run(_in_turn(port, pid, bare, rounds))


async def _in_turn(port: int, pid: int, bare: Bare, rounds: int) -> tuple[list[float], list[float]]:
    callers = [await connected(port) for _ in range(CALLS)]
    analyses, calls = [], []
    # The first two rounds make connections and whatever else is made on first use.
    for turn in range(rounds + 2):
        call = bare.call()
        found = await call_all(port, pid, requests(CALLS, 1_000 * turn, last=False), callers)
        assert not found.failures, found
        if turn > 1:
            calls.append(call)
            analyses.append(found.cpu / CALLS)
    for caller in callers:
        caller.transport.close()
    return analyses, calls


def table() -> Iterator[str]:
    """The rows for a model in the process, one after the other as they are measured."""
    yield "| runtime | at once | seconds | analyses/s | p50 s | p99 s | kB in flight | CPU ms | failures |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for runtime in RUNTIMES:
        for number in AT_ONCE:
            found = in_process(runtime, number)
            yield (
                f"| {runtime} | {number:,} | {found.seconds:.2f} | {number / found.seconds:.0f} "
                f"| {found.wait(0.5):.2f} | {found.wait(0.99):.2f} "
                f"| {found.kilobytes:.1f} | {found.cpu / number * 1e3:.2f} | {found.failures} |"
            )


def client_table() -> Iterator[str]:
    """The rows for the real client."""
    yield "| runtime | CPU of an analysis, ms | of its bare call, ms | ratio |"
    yield "|---|---:|---:|---:|"
    for runtime in RUNTIMES:
        analyses, calls = through_clients(runtime)
        analysis, call = (statistics.median(times) * 1e3 for times in (analyses, calls))
        yield f"| {runtime} | {analysis:.2f} | {call:.2f} | {median_ratio(analyses, calls):.2f} |"


def limits(effort: int = 1) -> Iterator[tuple[str, float, float]]:
    """What is promised: a name, what was measured, and the most that it may be."""
    found = in_process("asyncio", 2_000)
    yield "failures of 2,000 analyses at once", float(found.failures), 0.0
    yield "seconds for 2,000 analyses at once, of a model that takes one", found.seconds, MAX_SECONDS
    yield "kB of memory for each of them beyond its body", found.kilobytes, MAX_KILOBYTES
    ratio = median_ratio(*through_clients("asyncio", rounds=ROUNDS * effort))
    yield "CPU of an analysis through the real client, of its bare call", ratio, MAX_CPU_RATIO
    for runtime in RUNTIMES:
        for number in endings.GUARDED:
            name = f"seconds past its deadline that the last of {number} answers is sent, {runtime}"
            yield name, endings.last(runtime, number, 2 * effort + 1), endings.MAX_LATE
        left = endings.measure(runtime, 1).left
        yield f"seconds that an upstream call outlives its caller, {runtime}", left, endings.MAX_OPEN


def guards() -> int:
    """Check what is promised; 1 where it does not hold."""
    held = True
    for name, value, most in limits():
        print(f"{'holds' if value <= most else 'FAILS'}: {name}: {value:.2f}, at most {most:g}", flush=True)
        held = held and value <= most
    return int(not held)


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.concurrency", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("all", "guards"), default="all")
    if parser.parse_args().what == "all":
        for rows in (table(), client_table(), endings.table()):
            for row in rows:
                print(row, flush=True)
            print()
    return guards()


if __name__ == "__main__":
    sys.exit(main())
