"""Microseconds an exchange: the core by itself, and from bytes to bytes, beside one cycle of h11."""

from __future__ import annotations

import statistics

from benchmarks.bare_h11 import Cycle, encoded_headers
from benchmarks.rig import Conversation, Performer, Wire, answer_of
from benchmarks.timing import Task, interleaved, median_ratio
from benchmarks.workload import TRACES, WRONG_KEY, Request, small

H11 = "one h11 cycle"
H11_LONG = "one h11 cycle, with our header fields"
CACHED = "cached (`aar`)"
REFUSED = "refused (401)"


def _offline(pattern: str) -> str:
    return f"offline `{pattern}`"


ROWS = (REFUSED, CACHED, *(_offline(pattern) for pattern in TRACES))


def _requests() -> dict[str, Request]:
    offline = {_offline(pattern): small(pattern) for pattern in TRACES}
    return {REFUSED: small(key=WRONG_KEY), CACHED: small(), **offline}


def exchange_tasks() -> dict[str, Task]:
    """An exchange fed with events that are built for it; the head is parsed already, and the answers are known."""
    tasks: dict[str, Task] = {}
    for name, request in _requests().items():
        performer = Performer(keep=name == CACHED)
        Conversation(request, performer)
        tasks[name] = Conversation(request, performer).repeat
    return tasks


def h11_task(*, all_of_them: bool = False) -> Task:
    """One cycle of h11 over the same traffic: the bytes of the cached request, and an answer of the same size.

    Args:
        all_of_them: Whether the answer has all our header fields, or the two that none can do without.
    """
    request = small()
    answer, requests = answer_of(request), request.endless()
    cycle = Cycle(encoded_headers(answer, all_of_them=all_of_them), answer.body)
    return lambda: cycle.run(next(requests))


def wire_tasks(*, differ: bool) -> dict[str, Task]:
    """From bytes to bytes.

    Args:
        differ: Whether the head of every request is another; else the reader knows it after the first.
    """
    tasks: dict[str, Task] = {}
    for name, request in _requests().items():
        if name == REFUSED:
            # An answer that leaves a body unread ends its connection.
            tasks[name] = _refused(request, differ=differ)
        else:
            tasks[name] = _wired(request, Performer(keep=name == CACHED), differ=differ)
    return tasks


def _refused(request: Request, *, differ: bool) -> Task:
    requests, performer = request.endless(), Performer(keep=False)
    first = request.encoded()
    return lambda: Wire(performer).run(next(requests) if differ else first)


def _wired(request: Request, performer: Performer, *, differ: bool) -> Task:
    wire, requests = Wire(performer), request.endless()
    first = request.encoded()
    return lambda: wire.run(next(requests) if differ else first)


def table(rounds: int = 9, seconds: float = 0.1) -> list[str]:
    """The rows of the table, in Markdown."""
    columns = {
        "exchange": exchange_tasks(),
        "same": wire_tasks(differ=False),
        "differ": wire_tasks(differ=True),
    }
    tasks = {f"{column}/{name}": task for column, row in columns.items() for name, task in row.items()}
    cycles = {H11: h11_task(), H11_LONG: h11_task(all_of_them=True)}
    taken = interleaved({**cycles, **tasks}, rounds=rounds, seconds=seconds)
    lines = [
        "| request | exchange | of an h11 cycle | bytes to bytes, same head | bytes to bytes, differing head |",
        "|---|---:|---:|---:|---:|",
        f"| {H11} | | 100 % | | {_micro(taken[H11])} |",
        f"| {H11_LONG} | | {median_ratio(taken[H11_LONG], taken[H11]):.0%} | | {_micro(taken[H11_LONG])} |".replace(
            "%", " %"
        ),
    ]
    for name in ROWS:
        share = median_ratio(taken[f"exchange/{name}"], taken[H11])
        shown = [_micro(taken[f"{column}/{name}"]) for column in columns]
        lines.append(f"| {name} | {shown[0]} | {share:.0%} | {shown[1]} | {shown[2]} |".replace("%", " %"))
    return lines


def _micro(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e6:.1f}"


def cached_share(rounds: int = 9, seconds: float = 0.1) -> float:
    """The time of a cached exchange as a share of one h11 cycle."""
    tasks = {H11: h11_task(), CACHED: exchange_tasks()[CACHED]}
    taken = interleaved(tasks, rounds=rounds, seconds=seconds)
    return median_ratio(taken[CACHED], taken[H11])


def check_same_answer() -> None:
    """What the exchange answers and what the connection sends is one thing; a faster road to another is no gain."""
    request = small()
    answer = answer_of(request)
    wire = Wire(Performer(keep=True))
    wire.run(request.encoded())
    assert wire.run(request.encoded()).endswith(answer.body)
    cycle = Cycle(encoded_headers(answer, all_of_them=False), answer.body)
    assert cycle.run(request.encoded()).endswith(answer.body)
