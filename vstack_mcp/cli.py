"""The command line ``vstack-mcp``.

Exit codes: 0 done, 1 it failed, 2 the command line was wrong. Where it serves over stdio, nothing but answers may reach
stdout, and the first of them must not wait: hence this module imports next to nothing before it knows what is wanted.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from vstack_mcp.opening import About
    from vstack_mcp.transport_stdio import Loaded
    from vstack_proto.catalogue import AnyPattern, Catalogue
    from vstack_proto.policy import Policy
    from vstack_proto.routes import Route
    from vstack_runtime.settings import Settings

    Patterns = Callable[[], Iterable[AnyPattern]]

PROGRAM = "vstack-mcp"
DONE, FAILED = 0, 1
CLIENTS = ("claude-desktop", "claude-code", "cursor", "cline", "continue", "vscode", "generic")


def main() -> NoReturn:
    """Run the command line, and exit."""
    if sys.argv[1:] in (["serve"], ["serve", "--transport", "stdio"], ["serve", "--transport=stdio"]):
        leave(serve_stdio())
    args = _parser().parse_args()
    try:
        sys.exit(args.run(args))
    except Exception as error:
        sys.exit(_told(error))


def _told(error: BaseException) -> int:
    """Say on stderr what went wrong; whoever wants to look into it asks for debug."""
    if os.environ.get("VSTACK_LOG_LEVEL", "").strip().lower() == "debug":
        raise error
    from vstack_runtime.settings import SettingsError

    kind = "" if isinstance(error, SettingsError) else f"{type(error).__name__}: "
    print(f"{PROGRAM}: {kind}{error}", file=sys.stderr)
    return FAILED


def leave(code: int) -> NoReturn:
    """Exit though threads still wait for descriptors that nobody will use again."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


# stdio.


def reserve() -> tuple[int, int]:
    """Take the session's two descriptors away from everybody else.

    What prints, prints to stderr from here on; what reads stdin, children too, finds it empty.

    Returns:
        Where the peer's lines come from, and where ours go. No child inherits them.
    """
    reads, writes = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return reads, writes


def serve_stdio(patterns: Patterns | None = None) -> int:
    """Serve one session.

    Args:
        patterns: Gives what to offer, once it is needed; by default every installed pattern.

    Returns:
        The exit code. Threads may still wait for descriptors: ``leave`` with it.
    """
    reads, writes = reserve()
    import importlib.metadata

    from vstack_mcp.opening import About
    from vstack_mcp.transport_stdio import Stdio

    about = About(importlib.metadata.version("vstack"))
    try:
        # Until the settings are read; those may say otherwise.
        return Stdio(reads, writes, about, lambda: load(about, patterns), max_body_bytes=5_242_880).run()
    except Exception as error:
        return _told(error)


def load(about: About, patterns: Patterns | None = None) -> Loaded:
    """The engine of a session: as ``vstack-api`` has it, without keys, which are for peers over a network."""
    import msgspec

    from vstack_mcp.offer import Offer
    from vstack_mcp.stdio_calls import CALLED, route
    from vstack_mcp.transport_stdio import Loaded
    from vstack_runtime.asgi import App
    from vstack_runtime.engine import Engine, installed_patterns

    settings = msgspec.structs.replace(read_settings(), require_auth=False, mcp_allowed_hosts=CALLED)
    offers: list[Offer] = []

    def contributed(catalogue: Catalogue, policy: Policy) -> Iterable[Route]:
        offers.append(Offer(catalogue, about, learnings=policy.learnings))
        return route(offers[0])

    chosen = (patterns or installed_patterns)()
    engine = Engine(settings, patterns=chosen, contributed=(contributed,), runtime="stdio")
    engine.status = "ready"
    engine.observers.open()
    return Loaded(App(engine), offers[0], settings.limits.max_body_bytes)


def read_settings() -> Settings:
    """What the environment says, and the logs as it wants them."""
    import structlog

    from vstack_runtime.logs import configure
    from vstack_runtime.settings import Settings

    settings = Settings.from_env(os.environ)
    configure(settings.log_level, settings.log_format)
    for warning in settings.warnings:
        structlog.get_logger("vstack").warning(warning)
    return settings


# Other commands.


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(PROGRAM, description="vstack as a server of the Model Context Protocol.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve until the client leaves (stdio) or SIGTERM (http)")
    serve.add_argument("--transport", choices=("stdio", "http"), default="stdio")
    serve.add_argument("--host", help="with http: address to listen at [VSTACK_API_HOST, else 127.0.0.1]")
    serve.add_argument("--port", type=int, help="with http: port [VSTACK_API_PORT, else 8000]")
    serve.set_defaults(run=_serve)
    for name, run in (("list-tools", _list_tools), ("list-resources", _list_resources)):
        command = commands.add_parser(name, help=f"print the {name.removeprefix('list-')} that are offered")
        command.add_argument("--json", action="store_true", help="as the protocol has them")
        command.set_defaults(run=run)
    snippet = commands.add_parser("config-snippet", help="print what a client's configuration needs")
    snippet.add_argument("client", choices=CLIENTS)
    snippet.set_defaults(run=_snippet)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=_version)
    return parser


def _serve(args: argparse.Namespace) -> int:
    if args.transport == "stdio":
        leave(serve_stdio())
    from vstack_runtime.serving import serve
    from vstack_runtime.settings import Settings

    flags = {"VSTACK_API_HOST": args.host, "VSTACK_API_PORT": args.port}
    given = {name: str(value) for name, value in flags.items() if value is not None}
    return serve(Settings.from_env({**os.environ, **given}), runtime="asyncio")


def _offer() -> Any:
    from vstack_mcp.offer import Offer
    from vstack_mcp.opening import About
    from vstack_proto.catalogue import Catalogue
    from vstack_runtime.engine import installed_patterns, version

    return Offer(Catalogue(installed_patterns()), About(version()))


def _list_tools(args: argparse.Namespace) -> int:
    tools = _offer().tools
    return _print(tools, args.json, [(tool["name"], tool["description"]) for tool in tools])


def _list_resources(args: argparse.Namespace) -> int:
    offer = _offer()
    rows = [(one["uri"], one["description"]) for one in offer.resources]
    rows += [(one["uriTemplate"], one["description"]) for one in offer.templates]
    return _print({"resources": offer.resources, "resourceTemplates": offer.templates}, args.json, rows)


def _print(told: Any, as_json: bool, rows: list[tuple[str, str]]) -> int:
    if as_json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
        return DONE
    width = max(len(name) for name, _ in rows)
    for name, about in rows:
        print(f"{name:<{width}}  {about}")
    return DONE


def _snippet(args: argparse.Namespace) -> int:
    import shutil

    from vstack_mcp.snippets import snippet

    place, text = snippet(args.client, shutil.which(PROGRAM) or os.path.abspath(sys.argv[0]))
    print(f"Put this into {place}:", file=sys.stderr)
    print(text)
    return DONE


def _version(args: argparse.Namespace) -> int:
    import importlib.metadata

    print(importlib.metadata.version("vstack"))
    return DONE


if __name__ == "__main__":
    main()
