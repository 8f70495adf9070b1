"""``benchmarks/README.md``: the tables as they were measured, and how to read them."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
from pathlib import Path

README = Path(__file__).parent / "README.md"

_TEXT = """\
# Benchmarks

This page is written by its own command, with the numbers of the machine that ran it:

    make bench                        # python -m benchmarks: every table, {minutes} minutes here
    make bench-guards                 # python -m benchmarks guards: only the ratios; exits 1 where one does not hold
    python -m benchmarks --uvloop     # with uvloop under every server of asyncio, the bare ones too; writes nothing

Measured {date} on {machine}.

**Trust ratios, not rates.** The machine is shared, so a rate says what it did in that minute. Every ratio
compares two things in one run, measured in turn, round after round; it is the median of the ratios of the
rounds.

## Guards

{guards}

Several guards are measured together; where one of them fails, they are measured again, for longer, up to three
times, and the last of them counts: a thin margin may need luck.

## An exchange, in microseconds

CPU time of one request with some 2 kB of body and eight header fields, medians of rounds in turn. *Exchange* is
the core alone: a new `Exchange`, every event built and handled, answers known beforehand. *Bytes to bytes* is
`Connection`, from the request's bytes to the answer's, with a performer that keeps its stores in two dicts. The
reader knows the last head of its connection again: one that repeats byte for byte costs nearly nothing, and one
that differs in the values of fields that shape nothing (here `X-Request-ID`) has only those lines looked at; any
other is parsed in full. A refusal leaves its body unread, which ends the connection: it is a new one each time.

*One h11 cycle* reads the same request with h11 alone, gives an answer of the same size with two header fields, and
goes on to the next; to write the {fields} fields that we send takes h11 longer.

{exchanges}

## Requests a second over loopback

The cached analysis, with a key, a quota and a line of log for each request (level info, to a file).
{connections} keep-alive connections, one request under way on each, from one process of plain sockets that is
the same for all servers. Servers and client have a core each, where there are two. *Head*: whether each request
of a connection repeats the head of the last one byte for byte. Loop: {loop}, on both sides of a ratio.

*Bare h11* is an `asyncio.Protocol` over h11 that answers with a body of the same size and two header fields;
*bare hypercorn* is hypercorn as it comes with an app that reads the body and answers likewise. Neither checks a
key, counts, looks anything up or logs. *Our header fields*: the same with the {fields} fields that we send. Our
server on hypercorn reads HTTP/1.1 itself, on the connections that hypercorn accepts: that is why it can be faster
than an app that hypercorn calls. The ratios of a row are to the bare server: asyncio and trio to h11, hypercorn to
hypercorn. The first compares requests a second; the second the CPU time of the server for a request, hence what
each could do with a core to itself. On an idle machine they are equal; where others take from the cores, the
second is the one to trust, and it is the guard.

{loopback}

## Growth with the size of a body

From bytes to bytes, in reads of 256 KiB: *cached* is found again by its bytes; the others are analysed offline
each time. Limits on a trace are raised for this table (by default it holds 1,000,000 characters). Peak memory
is traced with tracemalloc, in a run of its own. The line in bold is the guard: the cost of a unit at the
largest size, as a share of that at the middle size. 1 is linear; less means that fixed costs still show.

{by_size}

## Growth with the steps of a trace

Offline analyses of traces with so many steps, messages or agents, of some 120 characters each; a team in
`social_loafing` has one agent for every ten messages, a crew in `span_of_control` a lead for every eight.

{by_steps}

## An offline analysis, pattern by pattern

CPU time from a decoded canonical trace of 100 steps to an encoded detection, in standard mode: as cycles of h11
(above) and in milliseconds. The trace on the left is made: a team of four, steps of some 120 characters. The guard
is its median over patterns: at most 110 cycles, which is 5 ms where a cycle takes 45 µs. On the right are the first
100 steps of the longest labelled run beside this checkout, whose steps are far longer; rules read every character.
Where a cell is empty, the pattern cannot read that run and says what it would need.

{offline}

## What a model is sent

Characters of all prompts of an analysis, as a share of what the same prompts would be with the trace as indented JSON
in each pass, on the labelled runs beside this checkout that hold 10,000 characters or more. Both sides count the
system prompt, the trace and each pass's instruction; neither counts the schema of the answer, which is a parameter
of the call. With us system prompt and trace are the prefix of all passes: in full once, and at 0.1 in each pass that
follows, as providers charge what they read from their cache. The other side sends them in full each time: in the 2
passes of standard mode and the 4 of forensic mode (*of 2*, *of 4*), or in as many passes as the pattern makes
(*of as many*). No pass is left out here, though one that could change nothing is not made. Cells are
medians over the runs; patterns that cannot read these runs are not in the table. The guard is the median of patterns,
of 2 and of 4: at most 0.50 and 0.33.

That a pass finds the prefix in a cache assumes that all passes are bound by the same schema, which stands before it (a
test holds that the calls of an analysis begin with the same bytes, at Anthropic and OpenAI), that they come within the
minutes that a cache lasts, and that the prefix has the 512 to 4,096 tokens that a cache takes at least. What Anthropic
and OpenAI's newer models ask for writing to the cache, a quarter more, is not counted either. With that quarter, and
with all schemas on both sides, the medians are 0.63 and 0.40 (of 2 and of 4, on every fourth of these runs); with each
pass bound by its own schema, nothing would be found again, and they were 1.09 and 1.09.

{prompts}

## Many analyses at once

So many quick analyses (`aar`, eight steps) at once, each of another trace and on a connection of its own, that all wait
for a model in the process of the service, which answers after a second. Service and callers have two cores between
them. *kB in flight*: memory at the peak beyond what the idle service had, for each request, without its body. *CPU*: of
the service, for an analysis.

{concurrency}

Through the real client (Anthropic's, with the guards around it) and a fake service over loopback: CPU of the service
for an analysis, 200 at once, beside that of the same call made bare in a process of its own, in turn. Callers keep
their connections, as clients keep theirs to the fake service. Both processes have their garbage collector pass over
what they had loaded at the start. The guard is asyncio's ratio, at most 1.5.

{clients}

## What is cut short

Analyses whose model never answers, with a second for each. *Late*: how long after its deadline an answer is read, by
the caller's clock, which begins when the request is sent: with many at once, most of it is the time until the service
reads the request. *Upstream open*: for how long after the last answer, or after all callers have left, the service
still held a socket to the model service. With a thousand at once, the deadline passes while calls are still being made.
Guards: the last of one answer, and of a hundred at once, at most 100 ms late by the service's clock (the median of
three rounds), and an upstream call closed within a second of its caller.

{endings}
"""


def machine() -> str:
    """The machine and the versions that matter."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("h11", "hypercorn", "trio", "msgspec")
    )
    cores = f"{os.cpu_count()} cores ({model}), shared with other work"
    return f"{cores}; {platform.python_implementation()} {platform.python_version()}, {versions}"


def write(tables: dict[str, list[str]], *, minutes: float, connections: int, fields: int, loop: str) -> None:
    """Write the page.

    Args:
        tables: Lines of Markdown, by the name of their place.
        minutes: How long it took.
        connections: Of the client.
        fields: Header fields of our answer.
        loop: The event loop's name.
    """
    joined = {name: "\n".join(lines) for name, lines in tables.items()}
    README.write_text(
        _TEXT.format(
            **joined,
            minutes=f"{minutes:.0f}",
            date=dt.datetime.now(dt.UTC).date().isoformat(),
            machine=machine(),
            connections=connections,
            fields=fields,
            loop=loop,
        )
    )
