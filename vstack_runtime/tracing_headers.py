"""The trace that a call to another service is part of, from whoever knows it to the clients that send it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

traceparent: ContextVar[str] = ContextVar("vstack_traceparent", default="")
"""The ``traceparent`` of the present task's calls; empty where none is sent."""


async def add_traceparent(request: Any) -> None:
    """Send it along: an event hook of httpx."""
    if header := traceparent.get():
        request.headers["traceparent"] = header
