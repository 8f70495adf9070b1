"""What a request says of itself besides what it asks for: its revision, whether it wants progress and logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from vstack_mcp import log_level
from vstack_mcp.messages import MAX_ID_CHARS, Id, Params, Request, encoded, shown
from vstack_mcp.revisions import (
    CAPABILITIES_KEY,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LEGACY,
    LOG_LEVEL_KEY,
    MODERN,
    UNSUPPORTED_VERSION,
    VERSION_KEY,
    ProtocolFault,
)

Meta = dict[str, msgspec.Raw]

_NOTHING = msgspec.Raw(b"{}")


class Context(msgspec.Struct, frozen=True):
    """How a request wants to be answered. It can be encoded: an analysis keeps it until its answer is worded.

    Attributes:
        id: Of the request.
        revision: Of the protocol.
        token: What progress is reported under, or None where none is wanted.
        gate: The least level of log messages, or None for none.
        capabilities: Of the client, in the modern era, as JSON: an object, decoded by ``can`` alone. Empty otherwise.
    """

    id: Id
    revision: str
    token: Id | None = None
    gate: str | None = None
    capabilities: msgspec.Raw = _NOTHING

    @property
    def modern(self) -> bool:
        """Whether the request came in an envelope."""
        return self.revision in MODERN

    def can(self, capability: str) -> bool:
        """Whether the client says that it has a capability, such as ``sampling``."""
        said: Meta = member(self.capabilities, Meta, CAPABILITIES_KEY, "an object")
        return capability in said

    def kept(self) -> bytes:
        """Itself as JSON, while an analysis runs: what a client can do matters only to what answers at once."""
        return encoded(msgspec.structs.replace(self, capabilities=_NOTHING))


def meta_of(params: Params) -> Meta:
    """``params._meta``, each member still encoded.

    Raises:
        ProtocolFault: -32602, it is no object.
    """
    raw = params.get("_meta")
    if raw is None:
        return {}
    found: Meta = member(raw, Meta, "params._meta", "an object")
    return found


def is_enveloped(meta: Meta) -> bool:
    """Whether a request claims the modern era."""
    return VERSION_KEY in meta


def legacy(request: Request, revision: str, gate: str | None = log_level.DEFAULT) -> Context:
    """The context of a legacy request.

    Raises:
        ProtocolFault: -32602, a malformed progress token.
    """
    return Context(request.id, revision, _token(meta_of(request.params)), gate)


def enveloped(meta: Meta) -> str:
    """The revision that an envelope names.

    Raises:
        ProtocolFault: -32602, the envelope lacks a required key.
    """
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if missing:
        told = f"params._meta lacks {' and '.join(missing)}, which every request of {MODERN[-1]} carries"
        raise ProtocolFault(INVALID_PARAMS, told)
    revision: str = member(meta[VERSION_KEY], str, VERSION_KEY, "a string")
    return revision


def modern(request: Request, meta: Meta) -> Context:
    """The context of an enveloped request.

    Raises:
        ProtocolFault: -32602, a malformed envelope; -32022, a revision that is not served in an envelope.
    """
    revision = enveloped(meta)
    capabilities = meta[CAPABILITIES_KEY]
    if not bytes(capabilities).startswith(b"{"):
        raise ProtocolFault(INVALID_PARAMS, f"{CAPABILITIES_KEY} must be an object")
    if revision not in MODERN:
        hint = "; open with initialize instead" if revision in LEGACY else ""
        data = {"supported": list(MODERN), "requested": shown(revision)}
        raise ProtocolFault(UNSUPPORTED_VERSION, f"this revision is not served in an envelope{hint}", data)
    gate = None
    if LOG_LEVEL_KEY in meta:
        gate = log_level.checked(member(meta[LOG_LEVEL_KEY], str, LOG_LEVEL_KEY, "a string"))
    return Context(request.id, revision, _token(meta), gate, capabilities)


def _token(meta: Meta) -> Id | None:
    raw = meta.get("progressToken")
    if raw is None:
        return None
    token: Id = member(raw, int | str, "progressToken", "a string or a whole number")
    if isinstance(token, str) and len(token) > MAX_ID_CHARS:
        raise ProtocolFault(INVALID_REQUEST, f"a progressToken has at most {MAX_ID_CHARS} characters")
    return token


def member(raw: msgspec.Raw, kind: Any, name: str, wanted: str) -> Any:
    """A part of a request, decoded.

    Raises:
        ProtocolFault: -32602, it is not what it must be.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolFault(INVALID_PARAMS, f"{name} must be {wanted}") from None


def text_of(params: Mapping[str, msgspec.Raw], name: str) -> str:
    """A string that a request must have.

    Raises:
        ProtocolFault: -32602, it is missing or no string.
    """
    if name not in params:
        raise ProtocolFault(INVALID_PARAMS, f"params.{name} is missing")
    found: str = member(params[name], str, f"params.{name}", "a string")
    return found
