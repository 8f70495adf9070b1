"""Signals before the event loop heeds them, and after. Imports nothing that takes time."""

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Iterator
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGINT)


def _end(number: int, frame: FrameType | None) -> None:
    # An import that is cut short leaves the file that it reads to the collector, which would say so in the log.
    warnings.simplefilter("ignore", ResourceWarning)
    raise SystemExit(0)


@contextlib.contextmanager
def stop_early() -> Iterator[None]:
    """Until the event loop heeds signals, SIGTERM and SIGINT end the process at once, and well: nothing has begun.

    After the block, which has ended because it was told to, they change nothing.
    """
    for number in _ENDING:
        signal.signal(number, _end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
