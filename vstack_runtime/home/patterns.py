"""The names of the installed patterns, without loading one: an entry point has the name of its pattern."""

from __future__ import annotations

import importlib.metadata


def pattern_names() -> list[str]:
    """As the entry points of the group ``vstack.patterns`` have them, in order."""
    return sorted({point.name for point in importlib.metadata.entry_points(group="vstack.patterns")})
