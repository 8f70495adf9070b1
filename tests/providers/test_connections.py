"""A call that is left at any moment leaves no connection behind that nobody holds and nobody will ever use."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpcore
import httpcore2
import httpx
import httpx2
import pytest

from tests.fakes.model_service import FakeServer, serving
from tests.providers.kit import NAMES, RUNTIMES, AnyProvider, provider, question, run

Told = Callable[[str, Any], Awaitable[None]]


def traced(told: Told) -> None:
    """Let every client hear of each step of its requests, as httpcore tells it."""

    async def ask_for_it(request: httpx.Request | httpx2.Request) -> None:
        request.extensions = {**request.extensions, "trace": told}

    kinds = httpx.AsyncClient | httpx2.AsyncClient
    for client in [one for one in gc.get_objects() if isinstance(one, kinds) and not one.is_closed]:
        client.event_hooks = {"request": [ask_for_it]}


def held() -> list[str]:
    """The connections of all pools that are neither idle nor closed."""
    kinds = httpcore.AsyncConnectionPool | httpcore2.AsyncConnectionPool
    pools = [one for one in gc.get_objects() if isinstance(one, kinds)]
    assert pools
    return [repr(one) for pool in pools for one in pool.connections if not one.is_idle() and not one.is_closed()]


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
    traced(told)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.ask, question(), 20.0)
    return steps, held()


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
