"""Completions: the names of patterns for a template, and the words that an argument of a prompt may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MAX_VALUES = 100


def completed(words: Iterable[str], begun: str) -> dict[str, Any]:
    """The words that begin so, then those that hold it somewhere; a hundred at most."""
    begun = begun.lower()
    known = list(words)
    first = [word for word in known if word.startswith(begun)]
    found = [*first, *(word for word in known if begun in word and not word.startswith(begun))]
    values = found[:MAX_VALUES]
    return {"completion": {"values": values, "total": len(found), "hasMore": len(found) > len(values)}}
