"""Streamable HTTP: one path, a message a POST, no sessions. It does no I/O: the service's own drivers carry it.

Contributed to ``vstack-api`` by the entry point ``vstack.routes``. A request is answered by JSON, or by server-sent
events once anything is told before the answer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from vstack_mcp import context as contexts
from vstack_mcp import stdio_calls
from vstack_mcp.calls import Calls
from vstack_mcp.context import Context
from vstack_mcp.messages import Malformed, Notification, Request, Response, decode, error
from vstack_mcp.methods import OFFERED, check_served, opened
from vstack_mcp.offer import Done, Extras, Offer
from vstack_mcp.opening import About
from vstack_mcp.revisions import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    LEGACY,
    METHOD_NOT_FOUND,
    UNNAMED,
    ProtocolFault,
)
from vstack_proto.answers import server_event
from vstack_proto.catalogue import Catalogue
from vstack_proto.contributed import Asked, Direct
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.hosts import is_allowed, is_friendly
from vstack_proto.negotiation import EVENTS, JSON, accepted
from vstack_proto.policy import Policy
from vstack_proto.routes import Route

PATH = "/mcp"

_OFFERS = (JSON, EVENTS)
# Whose second header names what they are about, and the parameter that says the same.
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def routes(catalogue: Catalogue, policy: Policy, extras: Extras | None = None) -> Iterable[Route]:
    """The route ``POST /mcp``; of a session's service the one by which its calls come in."""
    offer = Offer(catalogue, About(policy.version), extras, learnings=policy.learnings, limits=policy.limits)
    if policy.allowed_hosts == stdio_calls.CALLED:
        return stdio_calls.route(offer)
    served = HttpRoute(offer, policy)
    return (Route("POST", PATH, "contributed", False, "The Model Context Protocol, Streamable HTTP", served),)


class HttpRoute(Calls):
    """What serves the route."""

    def __init__(self, offer: Offer, policy: Policy) -> None:
        super().__init__(offer.about)
        self._offer = offer
        self._policy = policy

    def check(self, fields: Mapping[str, str]) -> bytes:
        """Keep foreign pages out, and whoever can read neither form of answer."""
        policy = self._policy
        host, origin = fields.get("host", ""), fields.get("origin")
        if not is_allowed(host, policy.allowed_hosts):
            told = f"this service is not called {host[:100]!r}; VSTACK_MCP_ALLOWED_HOSTS names what else it is called"
            raise RemoteProtocolError(421, "misdirected_request", told)
        if origin is not None and not is_friendly(origin, host, policy.allowed_hosts, policy.cors_origins):
            told = f"pages of {origin[:100]!r} may not call; VSTACK_API_CORS_ORIGINS names those that may"
            raise RemoteProtocolError(403, "forbidden_origin", told)
        if accepted(fields.get("accept", ""), _OFFERS) is None:
            told = f"the answer comes as {JSON} or {EVENTS}, and Accept allows neither"
            raise RemoteProtocolError(406, "not_acceptable", told)
        return b""

    def open(self, fields: Mapping[str, str], body: bytes) -> Direct | Asked:
        """Read the message, find out how it wants to be answered, and answer it or ask for its analysis."""
        try:
            message = decode(body)
        except Malformed as fault:
            return Direct(400, JSON, error(fault.id, fault), "invalid_request")
        named = fields.get("mcp-protocol-version", "").strip()
        if isinstance(message, Notification):
            return Direct(202)
        if isinstance(message, Response):
            # Nothing is asked of a client; in the modern era nothing can be, so that this is a mistake there.
            unasked = ProtocolFault(INVALID_REQUEST, "nothing was asked that this could answer")
            return Direct(202) if _is_legacy(named) else Direct(400, JSON, error(None, unasked), "invalid_request")
        modern = not _is_legacy(named)
        try:
            meta = contexts.meta_of(message.params)
            modern = modern or (contexts.is_enveloped(meta) and message.method != "initialize")
            context = _modern(message, meta, fields) if modern else contexts.legacy(message, named or UNNAMED)
            check_served(message.method, modern=modern)
            if message.method not in OFFERED:
                return self._told(Done(opened(message, context, self.about)), context, fields)
            found = self._offer.respond(message, context)
        except ProtocolFault as fault:
            return Direct(_status(fault, modern=modern), JSON, error(message.id, fault), "invalid_request")
        if isinstance(found, Done):
            return self._told(found, context, fields)
        return found.asked(context, streams=_streams(fields))

    def _told(self, found: Done, context: Context, fields: Mapping[str, str]) -> Direct:
        frames = found.frames(context, self.about)
        if _form(fields) == JSON and (len(frames) == 1 or not _streams(fields)):
            return Direct(200, JSON, frames[-1])
        return Direct(200, EVENTS, b"".join(self.part(one) for one in frames))

    def part(self, body: bytes) -> bytes:
        """A message as a server-sent event."""
        return server_event("message", body)

    def describe(self) -> dict[str, Any]:
        """The route for the OpenAPI document."""
        message = {"type": "object", "description": "A JSON-RPC 2.0 message."}
        content = {JSON: {"schema": message}, EVENTS: {"schema": {"type": "string"}}}
        refused = "Refused: a JSON-RPC error, whose `data` has `error` and `request_id`."
        answers = {
            "200": {"description": "The answer; as events where something is told before it.", "content": content},
            "202": {"description": "A notification was taken."},
        }
        refusals = {
            str(status): {"description": refused, "content": {JSON: {"schema": message}}}
            for status in (400, 401, 403, 404, 406, 408, 413, 415, 421, 429, 500, 503, 504)
        }
        return {
            "description": "Revisions 2024-11-05 to 2025-11-25 and 2026-07-28, without sessions.",
            "requestBody": {"required": True, "content": {JSON: {"schema": {**message, "required": ["jsonrpc"]}}}},
            "responses": {**answers, **refusals},
        }


def _is_legacy(named: str) -> bool:
    return not named or named in LEGACY


def _form(fields: Mapping[str, str]) -> str:
    return accepted(fields.get("accept", ""), _OFFERS) or JSON


def _streams(fields: Mapping[str, str]) -> bool:
    return accepted(fields.get("accept", ""), (EVENTS,)) is not None


def _modern(message: Request, meta: contexts.Meta, fields: Mapping[str, str]) -> Context:
    """The context of a modern request, once its headers have been found to say what its body says."""
    revision = contexts.enveloped(meta)
    wanted = {"mcp-protocol-version": revision, "mcp-method": message.method}
    if message.method in _NAMED:
        wanted["mcp-name"] = contexts.text_of(message.params, _NAMED[message.method])
    for name, value in wanted.items():
        if (sent := _decoded(fields.get(name))) != value:
            told = "is missing" if sent is None else f"is {sent[:100]!r}"
            raise ProtocolFault(HEADER_MISMATCH, f"the header {name} {told}; the body says {value[:100]!r}")
    return contexts.modern(message, meta)


def _decoded(value: str | None) -> str | None:
    """A header's value; one that no header can hold comes as ``=?base64?...?=``."""
    if value is None:
        return None
    value = value.strip()
    if not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value


def _status(fault: ProtocolFault, *, modern: bool) -> int:
    """A legacy error is an answer like any other; the modern era has its status say what it is."""
    if not modern or fault.code == INTERNAL_ERROR:
        return 200
    return 404 if fault.code == METHOD_NOT_FOUND else 400
