"""The command line ``vstack-analytics``: what analyses cost, from the telemetry under ``VSTACK_HOME``.

Exit codes: 0 done, 1 it failed, 2 the command line was wrong.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vstack_runtime.cli_parts import PIPED_WIDTH, Json, Program, console, print_json, short
from vstack_runtime.terminal import plain

_program = Program(
    "vstack-analytics",
    "Sum up what analyses cost: model calls, tokens, time and money.",
    "vstack-analytics summary --by model --since 2026-03-01",
    "vstack-analytics top-costs -n 5",
    "vstack-analytics raw --limit 1000 > events.jsonl",
)
app, main, _fail = _program.app, _program.main, _program.fail
_program.takes_version()

By = Annotated[Literal["pattern", "model", "day"], typer.Option("--by", help="What makes a row.")]
Key = Annotated[str | None, typer.Option("--key", metavar="NAME", help="Only of this key; '' for callers without one.")]
Since = Annotated[str | None, typer.Option("--since", help="From this day or moment on, such as 2026-03-01.")]
Until = Annotated[str | None, typer.Option("--until", help="Before this day or moment.")]

# A column of a sparkline is a day.
SPARK_DAYS = 14
_BARS = "▁▂▃▄▅▆▇█"
_DAY = 86_400.0


@app.command()
def summary(
    by: By = "pattern", since: Since = None, until: Until = None, key: Key = None, as_json: Json = False
) -> None:
    """Sum up by pattern, model or day."""
    from vstack_proto.telemetry import analytics_page

    rows = _rows(by, since, until, key)
    page: Any = analytics_page(by, rows)
    if as_json:
        print_json(page)
        return
    days = _spark(page["rows"], key) if by == "pattern" else None
    _print_rows(by, page["rows"], page["total"], days)


@app.command("top-costs")
def top_costs(
    number: Annotated[int, typer.Option("-n", min=1, max=1_000, help="How many.")] = 10,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Show the dearest pairs of pattern and model."""
    rows = _dearest(key)[:number]
    if as_json:
        print_json(rows)
        return
    from rich.table import Table

    table = Table(box=None)
    table.add_column("pattern", no_wrap=True)
    table.add_column("model")
    for name in ("calls", "tokens", "USD"):
        table.add_column(name, justify="right")
    for row in rows:
        cost = f"{row['estimated_cost_usd']:.4f}"
        table.add_row(plain(row["pattern"]), plain(row["model"]), str(row["calls"]), f"{row['total_tokens']:,}", cost)
    console(least=PIPED_WIDTH).print(table if rows else _nothing())


@app.command()
def cost(since: Since = None, until: Until = None, key: Key = None, as_json: Json = False) -> None:
    """Show the estimated cost of everything."""
    from vstack_proto.telemetry import analytics_page

    total: Any = analytics_page("pattern", _rows("pattern", since, until, key))["total"]
    if as_json:
        print_json(total)
    else:
        typer.echo(
            f"{total['estimated_cost_usd']:.4f} USD, {total['calls']} calls, {total['analyses']} analyses, "
            f"{total['total_tokens']:,} tokens"
        )


@app.command()
def path(as_json: Json = False) -> None:
    """Print where telemetry is kept."""
    from vstack_runtime.home.telemetry import FILE

    told = str(Path(_settings().home.path) / FILE)
    if as_json:
        print_json({"path": told})
    else:
        typer.echo(told)


@app.command()
def raw(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 100,
    since: Since = None,
    until: Until = None,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="It is JSON lines, said or not.")] = False,
) -> None:
    """Print events as JSON lines."""
    import msgspec

    (events,) = _ask("events", [_query("pattern", since, until, key)], limit)
    for event in events:
        typer.echo(msgspec.json.encode(event).decode())


def _print_rows(by: str, rows: Sequence[dict[str, Any]], total: dict[str, Any], days: dict[str, str] | None) -> None:
    from rich.table import Table

    table = Table(box=None)
    table.add_column(by, no_wrap=True)
    for name in ("calls", "analyses", "tokens in", "out", "seconds", "USD"):
        table.add_column(name, justify="right")
    if days is not None:
        table.add_column(f"analyses a day, {SPARK_DAYS} days")
    for row in rows:
        spark = (days.get(row[by], ""),) if days is not None else ()
        table.add_row(short(plain(row[by] or "-"), 60), *_cells(row), *spark)
    if len(rows) > 1:
        table.add_row("total", *_cells(total), style="bold")
    console(least=PIPED_WIDTH).print(table if rows else _nothing())


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    counts = tuple(f"{row[name]:,}" for name in ("calls", "analyses", "input_tokens", "output_tokens"))
    return (*counts, f"{row['elapsed_ms'] / 1000:.1f}", f"{row['estimated_cost_usd']:.4f}")


def _spark(rows: Sequence[dict[str, Any]], key: str | None) -> dict[str, str]:
    """Of each pattern, how many analyses there were on each of the last days."""
    first = int(time.time() // _DAY) - SPARK_DAYS + 1
    spans = [
        _query("pattern", None, None, key, day * _DAY, (day + 1) * _DAY) for day in range(first, first + SPARK_DAYS)
    ]
    found = _ask("summarize", spans)
    by_day = [{row.key: row.analyses for row in day} for day in found]
    return {row["pattern"]: sparkline([day.get(row["pattern"], 0) for day in by_day]) for row in rows}


def sparkline(counts: Sequence[int]) -> str:
    """Counts as bars; nothing is a dot, so that it is told from little."""
    most = max(counts, default=0)
    return "".join("·" if not count else _BARS[(count * len(_BARS) - 1) // most] for count in counts)


def _dearest(key: str | None) -> list[dict[str, Any]]:
    """Pairs of pattern and model, the dearest first."""
    names = sorted(row.key for row in _rows("pattern", None, None, key))
    queries = [_query("model", None, None, key, pattern=name) for name in names]
    told = [
        {"pattern": name, "model": row.key, "calls": row.calls, "total_tokens": row.total_tokens}
        | {"estimated_cost_usd": round(row.estimated_cost_usd, 6)}
        for name, rows in zip(names, _ask("summarize", queries), strict=True)
        for row in rows
    ]
    return sorted(told, key=lambda row: (-row["estimated_cost_usd"], -row["total_tokens"], row["pattern"]))


def _rows(by: str, since: str | None, until: str | None, key: str | None) -> list[Any]:
    (rows,) = _ask("summarize", [_query(by, since, until, key)])
    return list(rows)


def _query(
    by: str,
    since: str | None,
    until: str | None,
    key: str | None,
    start: float = 0.0,
    end: float | None = None,
    pattern: str | None = None,
) -> Any:
    from vstack_proto.learning_steps import moment_of
    from vstack_proto.telemetry import AnalyticsQuery

    try:
        first = start if since is None else moment_of(since)
        last = end if until is None else moment_of(until)
    except ValueError as error:
        _fail(f"--since or --until {error}", 2)
    chosen: Any = by
    return AnalyticsQuery(by=chosen, scope=key, since=first, until=last, pattern=pattern)


def _settings() -> Any:
    settings = _program.settings()
    if not settings.home.path:
        _fail("there is no home directory; VSTACK_HOME says where telemetry is kept")
    return settings


def _ask(what: str, queries: Sequence[Any], *more: Any) -> list[Any]:
    """Ask the telemetry that the settings choose; one answer for each query."""
    import anyio

    from vstack_runtime.chosen_stores import choose_telemetry

    settings = _settings()
    if settings.home.telemetry in ("memory", "off"):
        _fail(f"VSTACK_TELEMETRY is {settings.home.telemetry!r}: nothing is kept that could be read here")
    sink: Any = choose_telemetry(settings)

    async def run() -> list[Any]:
        try:
            return [await getattr(sink, what)(query, *more) for query in queries]
        finally:
            await sink.aclose()

    return anyio.run(run)


def _nothing() -> str:
    """Why there is no row: nothing fits, or there is nothing at all."""
    if _rows("pattern", None, None, None):
        return "Nothing matches: there are events, but none of this key and time."
    return f"Nothing was taken down yet, in {_settings().home.path}."


if __name__ == "__main__":
    main()
