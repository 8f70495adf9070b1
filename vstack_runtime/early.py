"""Signals before the event loop heeds them, and after. Imports nothing that takes time."""

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Iterator
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGINT)
# Signals that came before the event loop heeded them.
_came: list[int] = []


def _end(number: int, frame: FrameType | None) -> None:
    # Where a finalizer or a callback swallows what is raised, the event loop learns of the signal all the same.
    _came.append(number)
    # An import that is cut short leaves the file that it reads to the collector, which would say so in the log.
    warnings.simplefilter("ignore", ResourceWarning)
    raise SystemExit(0)


def _note(number: int, frame: FrameType | None) -> None:
    _came.append(number)


def came() -> list[int]:
    """Signals that nobody has heeded yet, in order; whoever asks does."""
    numbers = _came[:]
    del _came[: len(numbers)]
    return numbers


@contextlib.contextmanager
def stop_early() -> Iterator[None]:
    """Until the event loop is made, SIGTERM and SIGINT end the process at once, and well: nothing has begun.

    After the block, which has ended because it was told to, they change nothing.
    """
    _came.clear()
    for number in _ENDING:
        signal.signal(number, _end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def note_signals() -> Iterator[None]:
    """Where an event loop is made and ended: SIGTERM and SIGINT are noted, for who heeds them to ask for by ``came``.

    A loop that an exception meets on its way up or down can neither be run nor closed.
    """
    before = [(number, signal.getsignal(number)) for number in _ENDING]
    note()
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        # What came too late for this loop is not meant for the next one of this process.
        _came.clear()


def note() -> None:
    """Note signals again, after the loop's own handlers are gone."""
    for number in _ENDING:
        signal.signal(number, _note)
