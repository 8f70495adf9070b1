"""What the scenarios of the store kit are made of: one thing promised, and how it is played."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

import anyio
import msgspec

Backend = Literal["asyncio", "trio"]
BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")
# Called without arguments for a store or a cache, with the windows for a limiter.
Open = Callable[..., AbstractAsyncContextManager[Any]]

# When it is in scenarios: seconds since 1970.
WALL = 1_750_000_000.0


class StoreScenario(msgspec.Struct, frozen=True):
    """One thing that is promised.

    Attributes:
        run: Plays it, given what opens the storage.
        lasting: Whether it opens the storage a second time, after closing it.
    """

    run: Callable[[Open], Awaitable[None]]
    lasting: bool = False

    @property
    def name(self) -> str:
        """For messages."""
        return self.run.__name__

    def __str__(self) -> str:
        return self.name


def check(open_store: Open, scenario: StoreScenario, backend: Backend = "asyncio") -> None:
    """Play a scenario against a store.

    Args:
        open_store: Opens the store; each call gives the same storage, empty at first.
        scenario: What to play.
        backend: The event loop.

    Raises:
        ConformanceError: The store does not do what is promised.
    """
    anyio.run(scenario.run, open_store, backend=backend)
