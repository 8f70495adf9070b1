"""How the exchange words an analysis that was asked for over MCP: what both transports share."""

from __future__ import annotations

import abc

import msgspec

from vstack_mcp import tools
from vstack_mcp.context import Context
from vstack_mcp.messages import error, result
from vstack_mcp.opening import About, completed
from vstack_mcp.progress import of_pass
from vstack_mcp.revisions import INTERNAL_ERROR, INVALID_REQUEST, ProtocolFault
from vstack_proto.contributed import Refusal
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.negotiation import JSON

_CONTEXT = msgspec.json.Decoder(Context)


class Calls(abc.ABC):
    """The part of a contribution that words answers; ``vstack_proto.contributed`` says what each method is for."""

    surface = "mcp"

    def __init__(self, about: About) -> None:
        self.about = about

    def progress(self, context: bytes, number: int, passes: int, pattern: str) -> bytes:
        """What is told as a pass begins."""
        return b"".join(self.part(one) for one in of_pass(_CONTEXT.decode(context), number, passes, pattern))

    def answer(self, context: bytes, body: bytes) -> bytes:
        """A detection as the result of the call."""
        asked = _CONTEXT.decode(context)
        return result(asked.id, completed(tools.succeeded(body), asked, self.about))

    def refusal(self, context: bytes, refused: RemoteProtocolError, request_id: str) -> Refusal:
        """Of a call: a result that a model can read. Of what was not opened: an error, under its own status."""
        if not context:
            code = INTERNAL_ERROR if refused.status >= 500 else INVALID_REQUEST
            data = {"error": refused.code, "request_id": request_id, **refused.extra}
            return Refusal(refused.status, JSON, error(None, ProtocolFault(code, refused.message, data)))
        asked = _CONTEXT.decode(context)
        if refused.code == "internal_error":
            data = {"error": refused.code, "request_id": request_id}
            return Refusal(200, JSON, error(asked.id, ProtocolFault(INTERNAL_ERROR, refused.message, data)))
        return Refusal(200, JSON, result(asked.id, completed(tools.failed(refused, request_id), asked, self.about)))

    @abc.abstractmethod
    def part(self, body: bytes) -> bytes:
        """A message as a part of a stream."""
