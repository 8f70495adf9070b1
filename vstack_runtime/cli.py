"""The command line ``vstack-api``.

Exit codes: 0 done, 1 it failed, 2 the command line was wrong, 3 the severity reached ``--fail-on``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vstack_runtime.cli_parts import (
    FAILED,
    MAX_SHOWN,
    WRONG_COMMAND_LINE,
    Json,
    Program,
    epilog,
    explained,
    print_json,
    short,
)
from vstack_runtime.cli_parts import console as _console
from vstack_runtime.home.cli_baseline import app as baselines
from vstack_runtime.terminal import plain

# What a command alone needs is imported inside of it: ``--help`` and ``keygen`` must not wait for servers and patterns.
if TYPE_CHECKING:
    from rich.console import Console

    from vstack_runtime.request_files import RequestFile

PROGRAM = "vstack-api"
SEVERE = 3

# 256 bits: as much as the SHA-256 that keys are kept as; the service wants 24 characters, this gives 43.
KEY_BYTES = 32

FailOn = Literal["trace", "low", "moderate", "medium", "high", "critical"]

_program = Program(
    PROGRAM,
    "Diagnose runs of AI agents: over HTTP (serve), or one trace at a time (analyze).",
    "vstack-api analyze aar trace.json --model offline",
    "vstack-api serve --port 8080",
    "vstack-api serve --help",
)
app, main, _fail = _program.app, _program.main, _program.fail
app.add_typer(baselines, name="baseline", help="Keep a detection as a baseline, and compare others with it.")


@app.command(
    epilog=epilog(
        "vstack-api serve",
        "vstack-api serve --host 0.0.0.0 --port 8080 --workers 4",
        "VSTACK_API_KEYS=alice=$(vstack-api keygen) vstack-api serve",
        "VSTACK_LLM=offline vstack-api serve --runtime trio --log-level debug",
    )
)
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen at [VSTACK_API_HOST, else 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port [VSTACK_API_PORT, else 8000].")] = None,
    runtime: Annotated[Literal["hypercorn", "asyncio", "trio"], typer.Option(help="What carries it.")] = "hypercorn",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"] | None,
        typer.Option(help="Least level that is logged [VSTACK_LOG_LEVEL, else info]."),
    ] = None,
) -> None:
    """Serve over HTTP until SIGTERM. Settings come from VSTACK_* variables; flags win."""
    from vstack_runtime.early import stop_early

    flags = {"VSTACK_API_HOST": host, "VSTACK_API_PORT": port, "VSTACK_LOG_LEVEL": log_level}
    given = {name: str(value) for name, value in flags.items() if value is not None}
    env = {**os.environ, **given}
    with stop_early():
        from vstack_runtime.serving import serve as run
        from vstack_runtime.settings import Settings

        raise typer.Exit(run(Settings.from_env(env), runtime=runtime, workers=workers, env=env))


@app.command(epilog=epilog("export VSTACK_API_KEYS=alice=$(vstack-api keygen)", "vstack-api keygen --json"))
def keygen(as_json: Json = False) -> None:
    """Make a key. It goes to stdout and how to use it to stderr, so that KEY=$(vstack-api keygen) works."""
    import secrets

    key = secrets.token_urlsafe(KEY_BYTES)
    if as_json:
        print_json({"key": key})
        return
    typer.echo(key)
    typer.echo(
        "\n"
        "The service: name the key after who holds it; several are separated by commas, or stand a line each\n"
        "in the file that VSTACK_API_KEYS_FILE names.\n\n"
        f"    export VSTACK_API_KEYS=alice={key}\n\n"
        "The caller:\n\n"
        f"    curl -H 'Authorization: Bearer {key}' http://127.0.0.1:8000/v1/patterns\n",
        err=True,
    )


@app.command()
def routes(as_json: Json = False) -> None:
    """List the routes."""
    listed = [
        {"method": route.method, "path": route.path, "public": route.public, "summary": route.summary}
        for route in _service().routes.routes
    ]
    if as_json:
        print_json(listed)
        return
    from rich.table import Table

    table = Table("method", "path", "key", "", box=None)
    for row in listed:
        table.add_row(row["method"], row["path"], "no" if row["public"] else "yes", row["summary"])
    _console().print(table)


@app.command()
def patterns(as_json: Json = False) -> None:
    """List the patterns: what each is called, and what it looks at."""
    from vstack_proto.catalogue import entry

    listed = [entry(pattern) for pattern in _service().catalogue.patterns.values()]
    if as_json:
        print_json(listed)
        return
    from rich.table import Table

    table = Table(box=None)
    table.add_column("name", no_wrap=True)
    table.add_column("title", no_wrap=True)
    table.add_column("what it looks at")
    for row in listed:
        table.add_row(row["name"], row["friendly"], row["summary"])
    _console().print(table)


@app.command(epilog=epilog("vstack-api openapi > openapi.json"))
def openapi(as_json: Annotated[bool, typer.Option("--json", help="It is JSON, said or not.")] = False) -> None:
    """Print the OpenAPI document."""
    import msgspec

    typer.echo(msgspec.json.format(_service().openapi.body, indent=2))


_program.tells_version()


@app.command(
    epilog=epilog(
        "vstack-api analyze aar trace.json",
        "vstack-api analyze social_loafing trace.json --mode quick --json",
        "vstack-api analyze lencioni trace.json --model offline --fail-on high",
        "cat trace.json | vstack-api analyze aar -",
    )
)
def analyze(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Such as aar; vstack-api patterns lists them.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON: a trace, or what POST /v1/analyze takes. - reads stdin.")
    ],
    mode: Annotated[
        Literal["quick", "standard", "forensic"] | None, typer.Option(help="1, 2 or 4 model calls.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model to ask; offline needs none [VSTACK_MODEL].")] = None,
    canonical: Annotated[
        bool | None,
        typer.Option(
            "--canonical/--native", help="The common trace, or the pattern's own; told by its steps where unsaid."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")] = False,
    fail_on: Annotated[FailOn | None, typer.Option(help="Exit 3 at this severity or above.")] = None,
) -> None:
    """Diagnose one trace by one pattern, without a server."""
    from rich.text import Text

    from vstack_runtime.library import AnalysisError
    from vstack_runtime.library import analyze as run
    from vstack_runtime.logs import configure

    request = _read_request(file)
    asked = dict(request.asked)
    if canonical is not None:
        asked["format"] = "canonical" if canonical else "native"
    asked |= {name: value for name, value in (("mode", mode), ("model", model)) if value is not None}
    if fail_on is not None:
        _can_fail_on(pattern)
    settings = _program.settings()
    configure("error" if settings.log_level == "info" else settings.log_level, "console")
    try:
        with _console(stderr=True).status(Text(f"{plain(pattern)}: analysing")):
            answer = run(asked.pop("trace"), pattern=pattern, settings=settings, **asked)
    except AnalysisError as error:
        wrong = error.status == 404 or error.code == "invalid_mode"
        told = [explained(error.message, error.extra)]
        if canonical is None and error.status == 400 and not wrong:
            told += request.read_as(error.extra.get("errors", ()))
        _fail("; ".join(told), WRONG_COMMAND_LINE if wrong else FAILED)
    if as_json:
        print_json(answer)
    else:
        _print_answer(answer, _console())
    if fail_on is not None and _reached(fail_on, answer["detection"]):
        raise typer.Exit(SEVERE)


def _reached(severity: FailOn, found: Mapping[str, Any]) -> bool:
    from vstack_proto.severity import SEVERITIES, severity_of

    return SEVERITIES.index(severity_of(found) or "none") >= SEVERITIES.index(severity)


def _can_fail_on(pattern: str) -> None:
    """Refuse a gate that would be open for ever; a pattern that is not there is told of later, with its neighbours."""
    from vstack_proto.severity import tells_severity
    from vstack_runtime.engine import installed_patterns

    if any(one.name == pattern and not tells_severity(one.detection) for one in installed_patterns()):
        _fail(f"the detections of {pattern} tell no severity; --fail-on cannot be used", WRONG_COMMAND_LINE)


def _read_request(file: Path) -> RequestFile:
    """What the file asks for; what it says in vain is told."""
    from vstack_runtime.request_files import request_in

    name = "stdin" if str(file) == "-" else str(file)
    try:
        found = request_in(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    except OSError as error:
        _fail(f"{name} cannot be read: {error.strerror}", WRONG_COMMAND_LINE)
    except ValueError as error:
        _fail(f"{name} {error}")
    for warning in found.warnings:
        _program.complain(f"warning: {warning}")
    return found


def _print_answer(answer: Mapping[str, Any], console: Console) -> None:
    """A detection for people: how bad, what proves it, what to change."""
    from rich.table import Table

    from vstack_proto.severity import severity_of

    found = answer["detection"]
    told = [
        ("pattern", answer["pattern"]),
        ("severity", severity_of(found) or ""),
        ("profile", found.get("profile_pattern", "")),
        ("confidence", f"{found['confidence']:.2f}"),
        ("mode", f"{answer['mode']}, {answer['model']}"),
        ("model calls", _spent(found)),
    ]
    summary = Table(box=None, show_header=False)
    for name, value in told:
        summary.add_row(name, plain(value), style="bold" if name == "severity" else None)
    console.print(summary)
    for warning in answer.get("warnings", ()):
        console.print(f" warning: {plain(warning)}")
    _print_evidence(found.get("quotations", found["evidence"]), console)
    _print_changes(found.get("interventions") or found.get("next_steps") or (), console)


def _spent(found: Mapping[str, Any]) -> str:
    if not found["llm_calls"]:
        return "none"
    return f"{found['llm_calls']}, {found['tokens_total']} tokens, {found['cost_usd']:.4f} USD"


def _print_evidence(evidence: Iterable[Mapping[str, Any]], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    items = list(evidence)
    if not items:
        console.print("\n No evidence.")
        return
    table = Table("steps", "evidence", box=None, title="\nWhat proves it (steps count from 0)", title_justify="left")
    for item in items[:MAX_SHOWN]:
        steps = ", ".join(str(number) for number in item["steps"])
        table.add_row(steps, Text(f"{plain(item['claim'])}\n  “{short(plain(item['quote']))}”"))
    console.print(table)
    _print_rest(items, console)


def _print_changes(changes: Iterable[Mapping[str, Any]], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    items = list(changes)
    if not items:
        return
    table = Table("impact", "change", box=None, title="\nWhat to change", title_justify="left")
    for item in items[:MAX_SHOWN]:
        how = plain(item["suggested_implementation"])
        table.add_row(item["estimated_impact"], Text(f"{plain(item['description'])}\n  {how}"))
    console.print(table)
    _print_rest(items, console)


def _print_rest(items: list[Any], console: Console) -> None:
    if len(items) > MAX_SHOWN:
        console.print(f" and {len(items) - MAX_SHOWN} more; --json shows them")


def _service() -> Any:
    """The service as this installation would offer it, without what an operator decides."""
    from vstack_proto.policy import Policy
    from vstack_proto.service import Service
    from vstack_runtime.engine import installed_patterns, installed_routes
    from vstack_runtime.engine import version as installed_version

    return Service(Policy(version=installed_version()), installed_patterns(), contributed=installed_routes())


if __name__ == "__main__":
    main()
