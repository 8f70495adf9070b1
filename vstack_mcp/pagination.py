"""Lists in pages: a cursor is where the next page begins, and says nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from vstack_mcp.revisions import INVALID_PARAMS, ProtocolFault

T = TypeVar("T")

# Some clients never ask for a second page: all tools must fit in one. Three pages for each of 34 patterns do not.
PAGE_SIZE = 100
_CURSOR = re.compile(r"at-([1-9][0-9]{0,8})")


def page(items: Sequence[T], cursor: str | None, size: int = PAGE_SIZE) -> tuple[Sequence[T], str | None]:
    """A page, and the cursor of the next one, if there is one.

    Raises:
        ProtocolFault: -32602, the cursor is none of ours.
    """
    start = 0
    if cursor is not None:
        found = _CURSOR.fullmatch(cursor)
        start = int(found[1]) if found else 0
        if not 0 < start < len(items) or start % size:
            raise ProtocolFault(INVALID_PARAMS, "this cursor was not given out by this list; begin without one")
    end = start + size
    return items[start:end], f"at-{end}" if end < len(items) else None
