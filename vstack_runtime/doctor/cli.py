"""The command line ``vstack-doctor``. Exit codes: 0 nothing worse than warnings, 1 an error, 2 wrong command line."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
import typer

from vstack_runtime.cli_parts import Program, Version, colour, epilog
from vstack_runtime.doctor.case import Case, Report
from vstack_runtime.doctor.examination import CHECKS, GROUPS, examine

PROGRAM = "vstack-doctor"
_COLOURS = {"ok": "green", "warning": "yellow", "error": "red", "skipped": "bright_black"}
_SIGNS = {"ok": "ok", "warning": "WARNING", "error": "ERROR", "skipped": "-"}

_program = Program(PROGRAM, "Look for what is wrong with this installation, and name the line that mends it.")
app, main = _program.app, _program.main


def _names(only: list[str]) -> list[str]:
    known = {*GROUPS, *(check.name for check in CHECKS)}
    names = [name for item in only for name in item.replace(" ", "").split(",") if name]
    if unknown := sorted(set(names) - known):
        raise typer.BadParameter(f"no such check or group: {', '.join(unknown)}; groups: {', '.join(GROUPS)}")
    return names


@app.command(
    epilog=epilog(
        "vstack-doctor",
        "vstack-doctor --skip-network --only keys,auth,limits",
        "vstack-doctor --url https://vstack.example --json",
        "kubectl get deployment vstack -o json | vstack-doctor --deployment -",
    )
)
def doctor(
    skip_network: Annotated[bool, typer.Option("--skip-network", help="Ask no other machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(callback=lambda given: _names(given or []), help="Groups or checks, such as keys,auth."),
    ] = None,
    only_errors: Annotated[bool, typer.Option("--only-errors", help="Leave out what is no error.")] = False,
    deployment: Annotated[
        typer.FileBinaryRead | None, typer.Option(help="A Kubernetes Deployment as JSON; - reads stdin.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Look at the service from outside, too.")] = None,
    version: Version = False,
) -> None:
    """Look for what is wrong with this installation, and name the line that mends it.

    Reads the settings that vstack-api would read here.
    """
    case = Case(os.environ, deployment=deployment.read() if deployment else None, url=url)
    reports = []
    for report in examine(case, network=not skip_network, only=only or ()):
        reports.append(report)
        if not as_json and (report.level == "error" or not only_errors):
            _tell(report)
    failed = any(report.level == "error" for report in reports)
    counted = {level: sum(report.level == level for report in reports) for level in _SIGNS}
    if as_json:
        shown = [report for report in reports if report.level == "error" or not only_errors]
        typer.echo(msgspec.json.format(msgspec.json.encode({"failed": failed, "counts": counted, "checks": shown})))
    else:
        typer.echo(", ".join(f"{number} {level}" for level, number in counted.items() if number))
    raise typer.Exit(1 if failed else 0)


def _tell(report: Report) -> None:
    """A line of what was seen; under it, where something is wrong, what it means and what mends it."""
    sign = typer.style(f"{_SIGNS[report.level]:>7}", fg=_COLOURS[report.level], bold=report.level == "error")
    typer.echo(f"{sign}  {report.check:<20} {report.saw}", color=colour())
    for word, text in (("means", report.means), ("mend", report.mend)):
        if text:
            typer.echo(f"{'':>9}{word + ':':<7}{text}")
