"""The command line ``vstack-mcp``.

Exit codes: 0 done, 1 it failed, 2 the command line was wrong. Where it serves over stdio, nothing but answers may reach
stdout, and the first of them must not wait: hence this module imports next to nothing before it knows what is wanted.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vstack_mcp.opening import About
    from vstack_mcp.transport_stdio import Loaded
    from vstack_proto.catalogue import AnyPattern, Catalogue
    from vstack_proto.policy import Policy
    from vstack_proto.routes import Route
    from vstack_runtime.settings import Settings

    Patterns = Callable[[], Iterable[AnyPattern]]

PROGRAM = "vstack-mcp"
FAILED = 1


def main() -> NoReturn:
    """Run the command line, and exit."""
    if sys.argv[1:] in (["serve"], ["serve", "--transport", "stdio"], ["serve", "--transport=stdio"]):
        leave(serve_stdio())
    from vstack_mcp.cli_commands import main as run

    run()


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
        offers.append(Offer(catalogue, about, learnings=policy.learnings, limits=policy.limits))
        return route(offers[0])

    chosen = (patterns or installed_patterns)()
    engine = Engine(settings, patterns=chosen, contributed=(contributed,), runtime="stdio")
    engine.status = "ready"
    engine.observers.open()
    return Loaded(App(engine), offers[0], settings.limits.max_body_bytes)


def read_settings() -> Settings:
    """What the environment says, and the logs as it wants them."""
    from vstack_runtime.logs import configure, get_logger
    from vstack_runtime.settings import Settings

    settings = Settings.from_env(os.environ)
    configure(settings.log_level, settings.log_format)
    for warning in settings.warnings:
        get_logger().warning(warning)
    return settings


if __name__ == "__main__":
    main()
