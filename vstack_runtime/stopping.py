"""When to stop: asked once, finish what is in flight; asked twice, stop now. The same under asyncio and trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

# Connections that the system may hold for us before they are accepted; the system's own limit may be lower.
BACKLOG = 2048
# For what must not be lost at the end, and for the last answers to go out.
FLUSH_SECONDS = 2.0


class Stopping:
    """Ties whoever asks for the end (a signal, a test, an embedding program) to the driver that ends.

    Make it where the event loop runs.
    """

    def __init__(self, listening: Callable[[int], None] | None = None) -> None:
        """
        Args:
            listening: Told the port once the service listens.
        """
        self._told = listening
        self._asked = anyio.Event()
        self._now = anyio.Event()

    @property
    def asked(self) -> bool:
        """Whether anybody has asked."""
        return self._asked.is_set()

    @property
    def now(self) -> bool:
        """Whether somebody has asked twice."""
        return self._now.is_set()

    def ask(self) -> None:
        """Ask for the end; the second time, for an end without patience."""
        if self.asked:
            self._now.set()
        self._asked.set()

    def listening(self, port: int) -> None:
        """Tell that the service listens."""
        if self._told is not None:
            self._told(port)

    async def wait(self) -> None:
        """Wait until somebody asks."""
        await self._asked.wait()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until somebody asks a second time."""
        with anyio.move_on_after(seconds):
            await self._now.wait()

    async def unless_now(self, patient: Awaitable[bool]) -> bool:
        """Await something that says whether all is done; False as soon as somebody asks a second time."""
        done = False

        async def impatient(scope: anyio.CancelScope) -> None:
            await self._now.wait()
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(impatient, tasks.cancel_scope)
            done = await patient
            tasks.cancel_scope.cancel()
        return done
