"""Waiting only for what is not there yet: a step of an awaitable costs less than the scope that could cancel it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

import trio

T = TypeVar("T")


class Begun(Generic[T]):
    """An awaitable, taken as far as it goes without waiting; await the rest if it is not ``done``.

    Any awaitable: a host server's may come as a bare iterator (PEP 492), to which nothing can be sent or thrown.

    Attributes:
        done: Whether it came to its end.
        result: What it gave, if it is done.
    """

    def __init__(self, awaitable: Awaitable[T]) -> None:
        """Take it as far as it goes, in the task that runs now."""
        self._steps: Any = awaitable.__await__()
        self._waits_for: Any = None
        self.done = False
        self.result: T | None = None
        try:
            self._waits_for = next(self._steps)
        except StopIteration as end:
            self.done = True
            self.result = end.value

    def drop(self) -> None:
        """Go no further; what it waited for stays for whoever asks next."""
        if isinstance(self._steps, Generator):
            self._steps.close()

    def __await__(self) -> Generator[Any, Any, T]:
        """Go on from where it waits; what is sent or thrown into it goes through."""
        waits_for = self._waits_for
        try:
            while True:
                try:
                    told = yield waits_for
                except BaseException as error:
                    if not isinstance(self._steps, Generator):
                        raise
                    waits_for = self._steps.throw(error)
                else:
                    waits_for = next(self._steps) if told is None else self._steps.send(told)
        except StopIteration as end:
            value: T = end.value
            return value


def loop_clock() -> Callable[[], float]:
    """The clock on which the event loop that runs now stands: deadlines and events are stamped by one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return trio.current_time
    # Not the loop's own reading of it: uvloop's is as old as its turn, and in milliseconds.
    return time.monotonic
