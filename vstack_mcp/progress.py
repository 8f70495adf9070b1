"""Notifications on the way to an answer: progress under the peer's token, and log messages through its gate."""

from __future__ import annotations

from typing import Any

from vstack_mcp import log_level
from vstack_mcp.context import Context
from vstack_mcp.messages import notification

LOGGER = "vstack"


def progressed(context: Context, progress: float, total: float, message: str = "") -> tuple[bytes, ...]:
    """Progress, where it is wanted."""
    if context.token is None:
        return ()
    params: dict[str, Any] = {"progressToken": context.token, "progress": progress, "total": total}
    # Since 2025-03-26; what an older peer does not know it leaves alone.
    return (notification("notifications/progress", {**params, "message": message} if message else params),)


def logged(context: Context, level: str, data: Any) -> tuple[bytes, ...]:
    """A log message, where the gate lets it through."""
    if not log_level.passes(level, context.gate):
        return ()
    return (notification("notifications/message", {"level": level, "logger": LOGGER, "data": data}),)


def wanted(context: Context) -> bool:
    """Whether the passes of an analysis are told of at all."""
    return context.token is not None or log_level.passes("debug", context.gate)


def of_pass(context: Context, number: int, passes: int, pattern: str) -> tuple[bytes, ...]:
    """What is told as a pass begins. ``progress`` counts the passes that are done."""
    told = f"pass {number} of {passes}: {pattern}"
    return (*progressed(context, number - 1, passes, told), *logged(context, "debug", told))
