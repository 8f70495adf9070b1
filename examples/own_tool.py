"""An MCP tool of one's own beside the patterns: `hypercorn own_tool:app` serves both."""

from collections.abc import Iterable

from vstack_mcp.offer import Extras
from vstack_mcp.tools import LocalTool, Outcome, text
from vstack_mcp.transport_http import routes
from vstack_proto.catalogue import Catalogue
from vstack_proto.policy import Policy
from vstack_proto.routes import Route
from vstack_runtime import build_app

HELLO = LocalTool(
    {"name": "hello", "description": "Greets.", "inputSchema": {"type": "object"}},
    lambda arguments, context: Outcome({"content": [text("hello")]}),
)


def my_routes(catalogue: Catalogue, policy: Policy) -> Iterable[Route]:
    return routes(catalogue, policy, Extras(tools=(HELLO,)))


app = build_app(contributed=(my_routes,))
