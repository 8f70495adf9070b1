"""Starts real Redis servers; where redis-server is missing, the tests are skipped, or fail in CI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio
import pytest

from tests.conftest import Service
from tests.redis.kit import PATIENCE, RedisServer, Servers, running
from vstack_runtime.redis import client

T = TypeVar("T")

Run = Callable[[Callable[[], Awaitable[T]]], T]


@pytest.fixture(scope="session")
def program(service: Service) -> str:
    return service("redis-server")


@pytest.fixture
def servers(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start servers of one's own: ``servers("--maxmemory", "2mb")``."""
    yield from running(program, tmp_path_factory.mktemp("redis"))


@pytest.fixture(scope="session")
def shared_server(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that many tests ask; each uses keys of its own and leaves it as it was."""
    for servers in running(program, tmp_path_factory.mktemp("redis")):
        yield servers()


@pytest.fixture
def patient_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever patience a store has, the client gives a command up after a second; on a busy machine that is little."""
    monkeypatch.setattr(client, "CONNECT_SECONDS", PATIENCE)
    monkeypatch.setattr(client, "ANSWER_SECONDS", PATIENCE)


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on each loop; none may take longer than a minute."""

    def bounded(main: Callable[[], Awaitable[T]]) -> T:
        async def within() -> T:
            with anyio.fail_after(60):
                return await main()

        return anyio.run(within, backend=request.param)

    return bounded
