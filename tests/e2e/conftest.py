"""Starts the real console script: one server for each runtime that most tests share, and others as they need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import pytest

from tests.e2e.serving import ALICE, RUNTIMES, Runtime, Server, command

# With keys, cache and CORS on; no provider, so that a request must say "model": "offline" to be analysed.
SHARED_SETTINGS = {
    "VSTACK_API_KEYS": f"alice={ALICE}",
    "VSTACK_API_AUTH_FAILURES": "10000/60",
    "VSTACK_API_CORS_ORIGINS": "https://app.example",
    "VSTACK_CACHE": "memory",
    "VSTACK_DRAIN_DELAY": "0",
}

Serve = Callable[..., Server]


@pytest.fixture(scope="session", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Each runtime in turn."""
    return cast("Runtime", request.param)


@pytest.fixture(scope="session")
def shared(runtime: Runtime) -> Iterator[Server]:
    """A server that many tests ask; none may change how it answers the next."""
    server = Server(command(runtime), SHARED_SETTINGS)
    try:
        yield server.started()
    except BaseException:
        server.kill()
        raise
    server.stop()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server with settings of one's own: ``serve(runtime, VSTACK_CACHE="memory")``.

    It is stopped at the end of the test, and must end well, unless the test has seen to that already.
    """
    running: list[Server] = []

    def start(runtime: Runtime, *flags: str, argv: list[str] | None = None, **env: str) -> Server:
        server = Server([*(argv or command(runtime)), *flags], {"VSTACK_DRAIN_DELAY": "0", **env})
        running.append(server)
        return server.started()

    try:
        yield start
        for server in running:
            server.stop()
    finally:
        for server in running:
            server.kill()
