"""Tasks that belong to no request: what a store keeps up (a connection, a lock) outlives whoever first asked for it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import anyio
import trio

from vstack_runtime.observing import crashed_anywhere

# The event loop itself holds tasks only weakly.
_tasks: set[asyncio.Task[None]] = set()


def spawn(run: Callable[[], Awaitable[None]], name: str) -> anyio.CancelScope:
    """Run something beside everything else, on the loop that runs now, until it ends or the loop does.

    It carries no request's context, and nobody waits for it: an exception is logged.

    Args:
        run: What to run.
        name: What the log calls it.

    Returns:
        What cancels it.
    """
    scope = anyio.CancelScope()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        trio.lowlevel.spawn_system_task(_guarded, run, name, scope, name=name)
        return scope
    task = loop.create_task(_guarded(run, name, scope), name=name, context=contextvars.Context())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return scope


def from_any_thread() -> Callable[[Callable[[], object]], bool]:
    """How another thread has something called by the loop that runs here; it says False once that loop has ended."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # it is trio's
        token = trio.lowlevel.current_trio_token()

        def soon_in_trio(run: Callable[[], object]) -> bool:
            try:
                token.run_sync_soon(run)
            except trio.RunFinishedError:
                return False
            return True

        return soon_in_trio

    def soon(run: Callable[[], object]) -> bool:
        try:
            loop.call_soon_threadsafe(run)
        except RuntimeError:
            if not loop.is_closed():
                raise
            return False
        return True

    return soon


def loop_runs() -> bool:
    """Whether a loop runs here, of either kind, so that something can be spawned."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return trio.lowlevel.in_trio_run()
    return True


def interrupted() -> bool:
    """Whether this task has been asked to end, though what was raised does not say so.

    asyncio cancels a task once. Where a task group meets a failure in the same moment, the failure is all that comes
    out of it: who then goes on in a loop goes on for good, and the loop that waits for its tasks never ends.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


async def _guarded(run: Callable[[], Awaitable[None]], name: str, scope: anyio.CancelScope) -> None:
    with scope:
        try:
            await run()
        except* Exception:
            # In a group too: what was cancelled in the midst of a failure must still end as cancelled.
            if not (scope.cancel_called or interrupted()):
                crashed_anywhere("a background task failed", task=name)
