"""How long what is kept is kept, and how much of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

import msgspec

DAY_SECONDS = 86_400.0
# Below the limit by so much, so that the next record does not meet it again.
ROOM = 0.9
# Each turn drops a share of what is left: more turns than this change nothing that matters.
MAX_TURNS = 64


class Retention(msgspec.Struct, frozen=True):
    """What is forgotten.

    Attributes:
        max_age_days: What is older; None for nothing.
        max_bytes: The oldest, while the file holds more; None for nothing.
    """

    max_age_days: float | None = None
    max_bytes: int | None = None

    def oldest(self) -> float | None:
        """The moment (seconds since 1970) before which nothing is kept, or None."""
        return None if self.max_age_days is None else time.time() - self.max_age_days * DAY_SECONDS


def shrink(
    connection: sqlite3.Connection,
    max_bytes: int | None,
    used: Callable[[sqlite3.Connection], int],
    drop: Callable[[float], int],
) -> None:
    """Drop the oldest while a file holds too much, and give the room back to the system.

    Args:
        connection: Of the file, outside of a transaction.
        max_bytes: What it may hold, or None for any amount.
        used: What it holds.
        drop: Drops about this share (0 to 1) of the rows, the oldest; tells how many went.
    """
    if max_bytes is not None and used(connection) > max_bytes:
        for _ in range(MAX_TURNS):
            held = used(connection)
            if held <= max_bytes * ROOM or not drop(max(0.01, 1.0 - max_bytes * ROOM / held)):
                break
    # As a script: executed as a statement, it takes one step, which is one page.
    connection.executescript("PRAGMA incremental_vacuum")
