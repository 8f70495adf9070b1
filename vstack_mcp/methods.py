"""Which methods there are in which era, and the answers to those that need no pattern."""

from __future__ import annotations

from typing import Any

from vstack_mcp.context import Context
from vstack_mcp.messages import Request, shown
from vstack_mcp.opening import About, discover, initialize, set_level
from vstack_mcp.revisions import METHOD_NOT_FOUND, ProtocolFault

# Answered by ``Offer``: these want the patterns.
OFFERED = frozenset(
    {
        "tools/list",
        "tools/call",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "prompts/list",
        "prompts/get",
        "completion/complete",
    }
)
_LEGACY = OFFERED | {"initialize", "ping", "logging/setLevel"}
_MODERN = OFFERED | {"server/discover"}


def check_served(method: str, *, modern: bool) -> None:
    """Refuse what is not served in this era.

    Raises:
        ProtocolFault: -32601.
    """
    if method not in (_MODERN if modern else _LEGACY):
        raise ProtocolFault(METHOD_NOT_FOUND, "there is no such method", shown(method))


def opened(request: Request, context: Context, about: About) -> dict[str, Any]:
    """The answer to a method outside of ``OFFERED`` that is served.

    Raises:
        ProtocolFault: -32602, it lacks something.
    """
    if request.method == "initialize":
        return initialize(request, about)[1]
    if request.method == "server/discover":
        return discover(about)
    if request.method == "logging/setLevel":
        set_level(request)
    return {}
