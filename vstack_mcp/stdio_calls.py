"""What serves a call of a session over stdio: its exchange takes the peer's message as it came."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from vstack_mcp.calls import Calls
from vstack_mcp.context import Context
from vstack_mcp.messages import Request, decode
from vstack_mcp.offer import Call, Offer
from vstack_proto.contributed import Asked, Direct
from vstack_proto.routes import Route

PATH = "/mcp"
# The names that such a service is called by: none that a setting or a header could have. A tape keeps them with the
# policy, and by them its replay knows which of the two transports it was.
CALLED = frozenset({"stdio:"})
# The session has settled what a request over HTTP says in its headers; one field carries that.
FIELD = "mcp-context"


def route(offer: Offer) -> Iterable[Route]:
    """The only route by which a session's exchanges come in."""
    return (Route("POST", PATH, "contributed", False, "A call of a session over stdio", StdioRoute(offer)),)


def field(context: Context) -> bytes:
    """A context as the value of ``FIELD``."""
    return base64.b64encode(context.kept())


class StdioRoute(Calls):
    """What serves that route."""

    def __init__(self, offer: Offer) -> None:
        super().__init__(offer.about)
        self._offer = offer

    def check(self, fields: Mapping[str, str]) -> bytes:
        """The context, before anything can be refused: every refusal answers the request's id."""
        return base64.b64decode(fields[FIELD])

    def open(self, fields: Mapping[str, str], body: bytes) -> Direct | Asked:
        """The analysis that the session has found in this message."""
        context = msgspec.json.decode(self.check(fields), type=Context)
        message = decode(body)
        assert isinstance(message, Request)
        found = self._offer.respond(message, context)
        assert isinstance(found, Call)
        return found.asked(context, streams=True)

    def part(self, body: bytes) -> bytes:
        """A message as a line."""
        return body + b"\n"

    def describe(self) -> dict[str, Any]:
        """For a document that a session does not serve."""
        return {"responses": {"200": {"description": "A JSON-RPC 2.0 message."}}}
