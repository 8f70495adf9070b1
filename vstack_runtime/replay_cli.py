"""The command line ``vstack-replay``.

Exit codes: 0 done, 1 a tape differs or cannot be read, 2 the command line was wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from vstack_runtime.cli_parts import FAILED, WRONG_COMMAND_LINE, Json, Program, console, explained, print_json, progress

# What a command alone needs is imported inside of it: ``--help`` must not wait for patterns.
if TYPE_CHECKING:
    from vstack_proto.replay import Report, Tape
    from vstack_proto.service import Service

PROGRAM = "vstack-replay"

Tapes = Annotated[list[Path], typer.Argument(metavar="TAPE...", help="Tapes, or folders of them.")]
Changes = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="JSON",
        help='Decisions to try in the place of the tape\'s, such as {"limits": {"request_timeout": 60}}.',
    ),
]


def _told() -> tuple[type[Exception], ...]:
    from vstack_proto.replay import TapeError

    return (TapeError,)


_program = Program(
    PROGRAM,
    "Record exchanges, and replay them against today's code.",
    "vstack-replay record aar trace.json -o aar.tape.jsonl",
    "vstack-replay show aar.tape.jsonl",
    "vstack-replay run tapes/ --json",
    told=_told,
)
app, main, _fail = _program.app, _program.main, _program.fail
_program.takes_version()


@app.command()
def run(
    tapes: Tapes,
    until: Annotated[int | None, typer.Option(min=0, help="Stop after so many events of the tape.")] = None,
    from_snapshot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Continue from a snapshot, not from the beginning.")
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the exchange as it is at the end.")
    ] = None,
    policy: Changes = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show every difference, and all of it.")] = False,
    as_json: Json = False,
) -> None:
    """Feed tapes to today's code, and compare every command. Exit 1 where one differs."""
    from vstack_proto.replay import run as replay
    from vstack_runtime.replay_show import show_report

    if (from_snapshot or snapshot) and len(tapes) != 1:
        _fail("a snapshot is of one tape; name one", WRONG_COMMAND_LINE)
    changes = _changes(policy)
    start = _bytes(from_snapshot) if from_snapshot else None
    out = console()
    count = events = commands = differing = 0
    told: list[dict[str, Any]] = []
    for path, tape in _read(tapes):
        report = replay(tape, _service(tape, changes), until=until, start=start)
        count, events, commands = count + 1, events + report.events, commands + report.commands
        told.append(
            {"tape": str(path), "events": report.events, "commands": report.commands, "differences": report.differences}
        )
        if report.differences:
            differing += 1
            if not as_json:
                show_report(path.name, tape, report, out, whole=show_all)
        if snapshot:
            snapshot.write_bytes(report.snapshot)
    if as_json:
        print_json({"tapes": told, "differing": differing})
    else:
        summed = f"{count} tape{'s' * (count != 1)}, {events} events, {commands} commands"
        out.print(f"{summed}: {f'{differing} differ' if differing else 'as recorded'}")
    if differing:
        raise typer.Exit(FAILED)


@app.command()
def show(
    tapes: Tapes,
    show_all: Annotated[bool, typer.Option("--all", help="Show long texts as a whole.")] = False,
    as_json: Json = False,
) -> None:
    """Tell tapes as conversations, with times."""
    if as_json:
        print_json([{"name": str(path), "tape": tape} for path, tape in _read(tapes)])
        return
    from vstack_runtime.replay_show import show_tape

    out = console()
    for path, tape in _read(tapes):
        show_tape(path.name, tape, out, whole=show_all)


@app.command()
def accept(tapes: Tapes, policy: Changes = None, as_json: Json = False) -> None:
    """Write what today's code does on the tapes: what differs is meant."""
    from vstack_proto.replay import accepted, encode
    from vstack_proto.replay import run as replay

    changes = _changes(policy)
    told: list[dict[str, Any]] = []
    for path, tape in _read(tapes):
        service = _service(tape, changes)
        report: Report = replay(tape, service)
        if not report.differences:
            continue
        compress = path.read_bytes()[:2] == b"\x1f\x8b"
        path.write_bytes(encode(accepted(tape, service), compress=compress))
        told.append({"tape": str(path), "accepted": len(report.differences)})
        if not as_json:
            typer.echo(f"{path}: {len(report.differences)} differences accepted")
    if as_json:
        print_json(told)


@app.command()
def record(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Name of a pattern, such as aar.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON: a trace, or what POST /v1/analyze takes. - reads stdin.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="TAPE", help="A name with .tape.jsonl, or .tape.gz to pack it.")
    ],
    mode: Annotated[
        Literal["quick", "standard", "forensic"] | None, typer.Option(help="1, 2 or 4 model calls.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the model that VSTACK_LLM chooses; else offline.")] = False,
    any_status: Annotated[bool, typer.Option("--any-status", help="Tape a refusal, too.")] = False,
    as_json: Json = False,
) -> None:
    """Analyse one trace, and tape how. What is refused is not taped."""
    from vstack_proto.replay import encode
    from vstack_runtime.request_files import request_in
    from vstack_runtime.taping import SUFFIXES, is_tape

    try:
        request = request_in(_bytes(file))
    except ValueError as error:
        _fail(f"{file} {error}")
    for warning in request.warnings:
        _program.complain(f"warning: {warning}")
    asked = request.asked if mode is None else {**request.asked, "mode": mode}
    tape = _rehearsed(pattern, asked, ask)
    if tape.end.status != 200 and not any_status:
        _refused(tape)
    output.write_bytes(encode(tape, compress=output.suffix == ".gz"))
    if output.is_file() and not is_tape(output.name):
        _program.complain(f"{output} is no name by which run finds it in a folder: those end in {', '.join(SUFFIXES)}")
    if as_json:
        print_json({"tape": str(output), "events": tape.end.events, "status": tape.end.status})
        return
    typer.echo(f"{output}: {tape.end.events} events, answered {tape.end.status} in {tape.end.seconds:.3f} s")


def _rehearsed(pattern: str, asked: dict[str, Any], ask: bool) -> Tape:
    """The tape of one request."""
    import anyio
    import msgspec

    from vstack_runtime.engine import Engine
    from vstack_runtime.home_settings import HomeSettings
    from vstack_runtime.rehearsal import record as rehearse

    # Keys and quota are for peers; and a rehearsal leaves nothing behind but its tape.
    without = {"require_auth": False, "rate_limit": (), "home": HomeSettings(learnings="off", telemetry="off")}
    settings = msgspec.structs.replace(_program.settings(), **without)
    if not ask:
        settings = msgspec.structs.replace(settings, llm="offline")

    async def recorded() -> Tape:
        engine = Engine(settings, runtime="library")
        try:
            return await rehearse(engine, f"/v1/analyze/{pattern}", msgspec.json.encode(asked))
        finally:
            await engine.aclose()

    return anyio.run(recorded)


def _refused(tape: Tape) -> NoReturn:
    """Say why there was no detection, and end."""
    import msgspec

    from vstack_proto.commands import Respond
    from vstack_proto.replay import iterate

    told = [one for _, commands in iterate(tape) for one in commands if one["type"] == Respond.__name__]
    answer: dict[str, Any] = msgspec.json.decode(msgspec.convert(told[-1]["body"], bytes)) if told else {}
    detail = answer.get("detail", {"message": "it was not answered"})
    wrong = tape.end.status == 404 or tape.end.outcome == "invalid_mode"
    told_why = explained(detail["message"], detail)
    _fail(f"{told_why} (answered {tape.end.status}; --any-status tapes it)", WRONG_COMMAND_LINE if wrong else FAILED)


def _read(paths: list[Path]) -> Iterator[tuple[Path, Tape]]:
    from vstack_proto.replay import TapeError, decode
    from vstack_runtime.taping import SUFFIXES, read_all

    found = read_all(paths)
    if not found:
        _fail(f"no tape is there; in a folder, those are taken that end in {', '.join(SUFFIXES)}", WRONG_COMMAND_LINE)
    for path in progress(found, "tapes", len(found)):
        try:
            yield path, decode(_bytes(path))
        except TapeError as error:
            _fail(f"{path}: {error}")


def _bytes(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        _fail(f"{path} cannot be read: {error.strerror}", WRONG_COMMAND_LINE)


def _changes(policy: str | None) -> dict[str, Any] | None:
    import msgspec

    try:
        return None if policy is None else msgspec.json.decode(policy, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        _fail(f"--policy is no JSON object: {error}", WRONG_COMMAND_LINE)


def _service(tape: Tape, changes: dict[str, Any] | None) -> Service:
    from vstack_runtime.replaying import service_for

    return service_for(tape, changes)


if __name__ == "__main__":
    main()
