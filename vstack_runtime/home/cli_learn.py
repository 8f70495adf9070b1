"""The command line ``vstack-learn``: what was found, what was done, and whether it helped.

Exit codes: 0 done, 1 it failed or there is no such record, 2 the command line was wrong.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from vstack_runtime.cli_parts import (
    FAILED,
    PIPED_WIDTH,
    Json,
    Program,
    asked,
    console,
    print_json,
    short,
    unknown_pattern,
)
from vstack_runtime.terminal import plain

T = TypeVar("T")

_program = Program(
    "vstack-learn",
    "Keep what was found, what was done and whether it helped, under VSTACK_HOME.",
    'vstack-learn record lencioni --agent-id planner --severity high --intervention "name an owner"',
    "vstack-learn outcome lencioni improved --agent-id planner",
    "vstack-learn outcomes --pattern lencioni",
)
app, main, _fail = _program.app, _program.main, _program.fail
_program.takes_version()

Key = Annotated[str, typer.Option("--key", metavar="NAME", help="Whose: the name of a key; by default nobody's.")]
Agent = Annotated[str | None, typer.Option(help="Name of the agent.")]
Crew = Annotated[str | None, typer.Option(help="Name of the crew.")]
OnlyPattern = Annotated[str | None, typer.Option("--pattern", help="Only those of this pattern.")]
Outcome = Literal["improved", "no_change", "worse", "unknown"]
# As the core has them; help must not wait for it.
Mode = Literal["quick", "standard", "forensic"]
Severity = Literal["none", "trace", "low", "moderate", "medium", "high", "critical"]


@app.command()
def record(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Name of the pattern that found it.")],
    mode: Annotated[Mode, typer.Option(help="Mode of that analysis.")] = "standard",
    agent_id: Agent = None,
    crew_id: Crew = None,
    severity: Annotated[Severity | None, typer.Option(help="As the detection says.")] = None,
    profile_pattern: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    dominant_finding: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    intervention: Annotated[list[str] | None, typer.Option(help="What was done; give it again for more.")] = None,
    notes: Annotated[str, typer.Option(help="For people.")] = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Record what was found and done."""
    import msgspec

    from vstack_proto.learning import Finding, kept, learning_id

    told = {
        "pattern": _known_pattern(pattern),
        "mode": mode,
        "agent_id": agent_id,
        "crew_id": crew_id,
        "severity": severity,
        "notes": notes,
        "profile_pattern": profile_pattern,
        "dominant_finding": dominant_finding,
        "interventions_applied": intervention or [],
    }
    try:
        finding = msgspec.convert(told, Finding)
        name = learning_id(key, repr(time.time_ns()), repr(os.getpid()), msgspec.json.encode(finding).decode())
    except (msgspec.ValidationError, UnicodeError) as error:
        _fail(f"it cannot be recorded: {error}", 2)
    one = kept(finding, name, time.time())
    _with_store(lambda store: store.record(key, one))
    if as_json:
        print_json(one)
    else:
        typer.echo(one.id)


@app.command()
def recall(
    pattern: OnlyPattern = None,
    agent_id: Agent = None,
    crew_id: Crew = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 25,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """List what was recorded, the newest first."""
    from vstack_proto.learning import LearningQuery

    query = LearningQuery(pattern=pattern, agent_id=agent_id, crew_id=crew_id, limit=limit)
    found = _with_store(lambda store: store.recall(key, query))
    if not found and pattern is not None:
        _known_pattern(pattern)
    if as_json:
        print_json(found)
        return
    from rich.table import Table

    table = Table(box=None)
    table.add_column("when", no_wrap=True)
    for name in ("id", "pattern", "who", "severity", "done", "outcome"):
        # An id that is cut could not be given to another command.
        table.add_column(name, no_wrap=name in ("id", "pattern", "outcome"))
    for one in found:
        who = one.agent_id or one.crew_id or ""
        cells = (one.id, one.pattern, who, one.severity or "", ", ".join(one.interventions_applied))
        when = f"{one.timestamp:%Y-%m-%d %H:%M}"
        table.add_row(when, *(short(plain(cell), 60) for cell in cells), one.follow_up_outcome or "-")
    console(least=PIPED_WIDTH).print(table if found else "Nothing was recorded.")


@app.command()
def outcome(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Of the record.")],
    result: Annotated[Outcome, typer.Argument(metavar="OUTCOME", help="improved, no_change, worse or unknown.")],
    agent_id: Agent = None,
    crew_id: Crew = None,
    notes: Annotated[str, typer.Option(help="In the place of the record's.")] = "",
    record_id: Annotated[
        str | None, typer.Option("--id", help="Which record; by default the newest that fits.")
    ] = None,
    follow_up: Annotated[str | None, typer.Option(help="The run in which it was seen.")] = None,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Say whether what was done helped. Exit code 1 where there is no such record."""
    import msgspec

    from vstack_proto.learning import LearningQuery, LearningRecord, OutcomeReport

    # Which one is named may be any of those that fit: a name alone says not that it is meant.
    limit = 1 if record_id is None else sys.maxsize
    query = LearningQuery(pattern=pattern, agent_id=agent_id, crew_id=crew_id, limit=limit)
    try:
        told = {"outcome": result, "notes": notes, "follow_up_record_id": follow_up}
        report = msgspec.convert(told, OutcomeReport)
    except msgspec.ValidationError as error:
        _fail(f"it cannot be reported: {error}", 2)

    async def change(store: Any) -> LearningRecord | None:
        fitting = (one.id for one in await store.recall(key, query) if record_id in (None, one.id))
        name = next(fitting, None)
        changed: LearningRecord | None = None if name is None else await store.report(key, name, report)
        return changed

    changed = _with_store(change)
    if changed is None:
        _known_pattern(pattern)
        _other_than_meant(key, record_id, pattern, agent_id, crew_id)
        _fail("there is no such record; vstack-learn recall lists what there is")
    if as_json:
        print_json(changed)
    else:
        typer.echo(f"{changed.id}: {result}")


@app.command()
def outcomes(pattern: OnlyPattern = None, agent_id: Agent = None, key: Key = "", as_json: Json = False) -> None:
    """Show how often what helped, the surest help first."""
    from vstack_proto.learning import LearningQuery, ranked

    query = LearningQuery(pattern=pattern, agent_id=agent_id)
    found = ranked(_with_store(lambda store: store.outcomes(key, query)))
    if not found and pattern is not None:
        _known_pattern(pattern)
    if as_json:
        print_json(found)
        return
    from rich.table import Table

    counts = ("runs", "improved", "no_change", "worse", "unknown")
    table = Table(box=None)
    table.add_column("pattern", no_wrap=True)
    table.add_column("intervention")
    for name in (*counts, "rate", "really (95 %)"):
        table.add_column(name, justify="right")
    for one in found:
        rate = f"{one.improvement_rate:.0%}" if one.improved + one.no_change + one.worse else "-"
        span = f"{one.interval[0]:.0%}-{one.interval[1]:.0%}"
        numbers = (str(getattr(one, name)) for name in counts)
        table.add_row(plain(one.pattern), short(plain(one.intervention), 60), *numbers, rate, span)
    console(least=PIPED_WIDTH).print(table if found else "Nothing was recorded.")


@app.command()
def path(as_json: Json = False) -> None:
    """Print where learnings are kept."""
    from vstack_runtime.home.learnings import FILE

    told = str(Path(_home()) / FILE)
    if as_json:
        print_json({"path": told})
    else:
        typer.echo(told)


@app.command()
def clear(
    key: Key = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Forget what was recorded, for good."""
    if not yes:
        typer.confirm(f"Forget all learnings of {key or 'nobody in particular'}?", abort=True, err=True)
    number = _with_store(lambda store: store.clear(key))
    if as_json:
        print_json({"forgotten": number})
    else:
        typer.echo(f"{number} forgotten")


@app.command("import")
def read_in(
    file: Annotated[Path | None, typer.Argument(help="JSON lines; by default learnings.jsonl under the home.")] = None,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Read the learnings of an earlier version in. What is there already is not added again; the file stays.

    Exit code 1 where not one line can be read.
    """
    from vstack_runtime.home.importing import LEARNINGS_FILE, import_learnings
    from vstack_runtime.home.learnings import SqliteLearnings

    source = file or Path(_home()) / LEARNINGS_FILE
    if not source.is_file():
        _fail(f"{source} is no file", 2)

    async def run() -> Any:
        store = SqliteLearnings(Path(_home()))
        try:
            return await store.database.write(lambda connection: import_learnings(connection, source, key))
        finally:
            await store.aclose()

    import anyio

    with console(stderr=True).status(plain(f"reading {source}")):
        came = anyio.run(run)
    if as_json:
        print_json(came)
    else:
        typer.echo(f"{came.added} added, {came.updated} updated, {came.known} known, {came.broken} unreadable")
        for line in came.told:
            _program.complain(line)
        if came.broken > len(came.told):
            _program.complain(f"and {came.broken - len(came.told)} more lines")
    if came.broken and not (came.added or came.updated or came.known):
        raise typer.Exit(FAILED)


def _other_than_meant(key: str, record_id: str | None, *meant: Any) -> None:
    """Where a record is named that is of another pattern, agent or crew, say of which, and end."""
    from vstack_proto.learning import LearningQuery

    if record_id is None:
        return
    every = _with_store(lambda store: store.recall(key, LearningQuery(limit=sys.maxsize)))
    for one in every:
        if one.id == record_id:
            _fail(f"{one.id} is {_whose(one.pattern, one.agent_id, one.crew_id)}; not {_whose(*meant)}", 2)


def _whose(pattern: str, agent_id: str | None, crew_id: str | None) -> str:
    agent, crew = f" and agent {agent_id}" if agent_id else "", f" and crew {crew_id}" if crew_id else ""
    return f"of pattern {pattern}{agent}{crew}"


def _home() -> str:
    home = _program.settings().home.path
    if not home:
        _fail("there is no home directory; VSTACK_HOME says where learnings are kept")
    return home


def _known_pattern(name: str) -> str:
    from vstack_runtime.home.patterns import pattern_names

    known = pattern_names()
    if name not in known:
        _fail(unknown_pattern(name, known), 2)
    return name


def _with_store(ask: Callable[[Any], Awaitable[T]]) -> T:
    """Ask the store that the settings choose, and close it."""
    from vstack_runtime.chosen_stores import choose_learnings
    from vstack_runtime.home.patterns import pattern_names

    settings = _program.settings()
    if settings.home.learnings in ("memory", "off"):
        _fail(f"VSTACK_LEARNINGS is {settings.home.learnings!r}: nothing is kept between two commands")
    store = choose_learnings(settings, pattern_names())
    if store is None:
        _fail("there is no home directory; VSTACK_HOME says where learnings are kept")
    return asked(store, ask)


if __name__ == "__main__":
    main()
