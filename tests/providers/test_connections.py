"""A call that is left at any moment leaves no connection behind that nobody holds and nobody will ever use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import httpx2
import pytest

from tests.fakes.model_service import FakeServer, serving
from tests.providers.kit import NAMES, RUNTIMES, AnyProvider, provider, question, run
from vstack_runtime.http_client import _Spread
from vstack_runtime.providers.anthropic import AnthropicProvider

Told = Callable[[str, Any], Awaitable[None]]


def client(one: AnyProvider) -> httpx.AsyncClient | httpx2.AsyncClient:
    """What a provider speaks HTTP with."""
    return one._http if isinstance(one, AnthropicProvider) else one._http._client


def traced(one: AnyProvider, told: Told) -> None:
    """Hear of each step of its requests, as httpcore tells it."""

    async def ask_for_it(request: httpx.Request | httpx2.Request) -> None:
        request.extensions = {**request.extensions, "trace": told}

    client(one).event_hooks = {"request": [ask_for_it]}


def held(one: AnyProvider) -> list[str]:
    """Its connections that are neither idle nor closed."""
    transport: Any = client(one)._transport
    pools = transport.pools if isinstance(transport, _Spread) else [transport]
    connections = [connection for each in pools for connection in each._pool.connections]
    return [repr(one) for one in connections if not one.is_idle() and not one.is_closed()]


async def left_at(one: AnyProvider, step: int, warm: bool) -> tuple[int, list[str]]:
    """Leave a call at one of its steps, on a new connection or on one that is ``warm``.

    Returns:
        So many steps it took, and what is still held.
    """
    steps = 0

    async def told(name: str, info: Any) -> None:
        nonlocal steps
        if steps == step:
            # Nothing is awaited: the call hears of it where it next waits for something.
            tasks.cancel_scope.cancel()
        steps += 1

    if warm:
        await one.ask(question(), 20.0)
    traced(one, told)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.ask, question(), 20.0)
    return steps, held(one)


@pytest.mark.parametrize("warm", [False, True], ids=["a new connection", "one that was kept"])
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_no_connection_is_left_to_nobody(name: str, runtime: str, warm: bool) -> None:
    async def leave(server: FakeServer, step: int) -> tuple[int, list[str]]:
        one = provider(name, server.url)
        try:
            return await left_at(one, step, warm)
        finally:
            await one.aclose()

    with serving() as server:
        step, steps = 0, 1
        # The last call is left by nobody.
        while step <= steps:
            steps, rest = run(runtime, lambda: leave(server, step))  # noqa: B023  # it is over before the next
            assert rest == [], f"left at step {step}"
            step += 1
    assert step > 8
