"""Tools: one a pattern, and how an analysis is told as the result of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from vstack_mcp.context import Context
from vstack_mcp.schemas import tool_schemas
from vstack_mcp.when import description
from vstack_proto.catalogue import AnyPattern
from vstack_proto.errors import RemoteProtocolError

PREFIX = "vstack_"
MAX_FAULTS_TOLD = 20

# Nothing is changed, and nothing outside the trace is looked at; but a model may answer otherwise the second time.
_ANNOTATIONS = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
_MENDS = {
    "validation_error": "Mend the arguments and call again: {trace, format?, mode?, model?}.",
    "trace_not_readable": "Add what is missing, or choose a tool that can read this trace.",
    "invalid_mode": "Leave mode out, or choose one of these.",
    "request_too_large": "Send a part of the run, or the steps that matter.",
    "llm_resolution_error": 'With "model": "offline" this call needs no provider.',
    "timeout": 'Call again with "mode": "quick", or "model": "offline".',
}


class Progressed(msgspec.Struct, frozen=True):
    """Progress of a tool that answers at once; it increases from one to the next."""

    progress: float
    total: float
    message: str = ""


class Said(msgspec.Struct, frozen=True):
    """A log message of such a tool."""

    level: str
    data: Any


class Outcome(msgspec.Struct, frozen=True):
    """What such a tool gives: ``told`` before its ``result``, which is a ``CallToolResult``."""

    result: dict[str, Any]
    told: tuple[Progressed | Said, ...] = ()


class LocalTool(msgspec.Struct, frozen=True):
    """A tool that is no pattern and answers at once, without I/O.

    Attributes:
        listing: As ``tools/list`` shows it; has ``name``, ``description`` and ``inputSchema``.
        run: Takes the arguments and the context. A ``ProtocolFault`` that it raises becomes a JSON-RPC error.
    """

    listing: dict[str, Any]
    run: Callable[[dict[str, Any], Context], Outcome]


def listed(pattern: AnyPattern) -> dict[str, Any]:
    """A pattern as a tool."""
    takes, gives = tool_schemas(pattern)
    return {
        "name": PREFIX + pattern.name,
        "title": pattern.friendly,
        "description": description(pattern),
        "inputSchema": takes,
        "outputSchema": gives,
        "annotations": {"title": pattern.friendly, **_ANNOTATIONS},
    }


def text(told: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": told}


def succeeded(answer: bytes) -> dict[str, Any]:
    """An analysis as the result of a call: as structure, and the same JSON as text for peers that read no structure."""
    return {"content": [text(answer.decode())], "structuredContent": msgspec.Raw(answer), "isError": False}


def failed(refused: RemoteProtocolError, request_id: str) -> dict[str, Any]:
    """A refused or failed analysis as a result that says what to mend: a model can read it, unlike an error."""
    return {"content": [text("\n".join(_explained(refused, request_id)))], "isError": True}


def _explained(refused: RemoteProtocolError, request_id: str) -> Iterable[str]:
    yield refused.message
    errors = refused.extra.get("errors", ())
    for fault in errors[:MAX_FAULTS_TOLD]:
        yield f"- {fault['pointer'] or 'the trace'} {fault['message']}"
    if (more := refused.extra.get("error_count", len(errors)) - MAX_FAULTS_TOLD) > 0:
        yield f"- and {more} more"
    if refused.code in _MENDS:
        yield _MENDS[refused.code]
    if "retry_after" in refused.extra:
        yield f"Try again in {refused.extra['retry_after']:g} s."
    yield f"({refused.code}, request {request_id})"
