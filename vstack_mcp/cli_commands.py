"""The commands of ``vstack-mcp``, without the one that must begin at once: ``cli.py`` serves stdio by itself.

Exit codes: 0 done, 1 it failed, 2 the command line was wrong.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Literal, get_args

import typer

from vstack_mcp.cli import PROGRAM, leave, serve_stdio
from vstack_runtime.cli_parts import WRONG_COMMAND_LINE, Json, Program, console, epilog, print_json
from vstack_runtime.terminal import plain

_program = Program(
    PROGRAM,
    "vstack as a server of the Model Context Protocol.",
    "vstack-mcp config-snippet claude-desktop",
    "vstack-mcp serve",
    "vstack-mcp serve --transport http --port 8001",
)
app, main = _program.app, _program.main

Client = Literal["claude-desktop", "claude-code", "cursor", "cline", "continue", "vscode", "generic"]
CLIENTS: tuple[Client, ...] = get_args(Client)
AsProtocol = Annotated[bool, typer.Option("--json", help="As the protocol has them.")]


@app.command(epilog=epilog("vstack-mcp serve", "vstack-mcp serve --transport http --port 8001"))
def serve(
    transport: Annotated[Literal["stdio", "http"], typer.Option(help="What carries the messages.")] = "stdio",
    host: Annotated[
        str | None, typer.Option(help="With http: address to listen at [VSTACK_API_HOST, else 127.0.0.1].")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="With http: port [VSTACK_API_PORT, else 8000].")
    ] = None,
) -> None:
    """Serve until the client leaves (stdio) or SIGTERM (http)."""
    if transport == "stdio":
        if host is not None or port is not None:
            _program.fail(f"{'--host' if port is None else '--port'} needs --transport http", WRONG_COMMAND_LINE)
        leave(serve_stdio())
    from vstack_runtime.serving import serve as run
    from vstack_runtime.settings import Settings

    flags = {"VSTACK_API_HOST": host, "VSTACK_API_PORT": port}
    given = {name: str(value) for name, value in flags.items() if value is not None}
    raise typer.Exit(run(Settings.from_env({**os.environ, **given}), runtime="asyncio"))


@app.command("list-tools", epilog=epilog("vstack-mcp list-tools", "vstack-mcp list-tools --json"))
def list_tools(as_json: AsProtocol = False) -> None:
    """Print the tools that are offered."""
    tools = _offer().tools
    _print(tools, as_json, [(tool["name"], tool["description"]) for tool in tools])


@app.command("list-resources", epilog=epilog("vstack-mcp list-resources", "vstack-mcp list-resources --json"))
def list_resources(as_json: AsProtocol = False) -> None:
    """Print the resources that are offered."""
    offer = _offer()
    rows = [(one["uri"], one["description"]) for one in offer.resources]
    rows += [(one["uriTemplate"], one["description"]) for one in offer.templates]
    _print({"resources": offer.resources, "resourceTemplates": offer.templates}, as_json, rows)


@app.command("config-snippet", epilog=epilog("vstack-mcp config-snippet claude-code"))
def config_snippet(
    client: Annotated[Client, typer.Argument(metavar="CLIENT", help="Whose configuration it is for.")],
    as_json: Json = False,
) -> None:
    """Print what a client's configuration needs. It goes to stdout, and where to put it to stderr."""
    import shutil

    from vstack_mcp.snippets import snippet

    place, text = snippet(client, shutil.which(PROGRAM) or os.path.abspath(sys.argv[0]))
    if as_json:
        print_json({"client": client, "place": place, "text": text})
        return
    typer.echo(f"Put this into {place}:", err=True)
    typer.echo(text)


_program.tells_version()


def _offer() -> Any:
    from vstack_mcp.offer import Offer
    from vstack_mcp.opening import About
    from vstack_proto.catalogue import Catalogue
    from vstack_runtime.chosen_stores import keeps_learnings
    from vstack_runtime.engine import installed_patterns, version
    from vstack_runtime.settings import Settings

    learnings = keeps_learnings(Settings.from_env(os.environ))
    return Offer(Catalogue(installed_patterns()), About(version()), learnings=learnings)


def _print(told: Any, as_json: bool, rows: list[tuple[str, str]]) -> None:
    if as_json:
        print_json(told)
        return
    if not sys.stdout.isatty():
        # What is piped has no width: a line each, and nothing is cut.
        width = max(len(name) for name, _ in rows)
        for name, about in rows:
            typer.echo(f"{name:<{width}}  {plain(about)}")
        return
    from rich.table import Table

    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    for name, about in rows:
        table.add_row(name, plain(about))
    console().print(table)
