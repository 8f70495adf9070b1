"""Which log messages a peer wants: those at a level or above it (RFC 5424's eight)."""

from __future__ import annotations

from vstack_mcp.revisions import INVALID_PARAMS, ProtocolFault

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
# What a legacy peer is told that has set no level: the choice is the server's then.
DEFAULT = "info"


def checked(level: object) -> str:
    """A level by its name.

    Raises:
        ProtocolFault: -32602, there is none of this name.
    """
    if isinstance(level, str) and level in LEVELS:
        return level
    raise ProtocolFault(INVALID_PARAMS, f"level is one of {', '.join(LEVELS)}")


def passes(level: str, gate: str | None) -> bool:
    """Whether a message of ``level`` goes through; ``gate`` is the least level that does, or None for none at all."""
    return gate is not None and LEVELS.index(level) >= LEVELS.index(gate)
