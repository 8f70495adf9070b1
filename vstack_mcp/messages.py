"""JSON-RPC messages: bytes to requests and notifications, and results, errors and notifications to bytes."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from vstack_mcp.revisions import INVALID_REQUEST, PARSE_ERROR, ProtocolFault

# An id comes back with the very type that it had. Neither null, nor true, nor 1.5 is one.
Id = int | str
Params = dict[str, msgspec.Raw]

# An id or token comes back with every message: what is longer than this identifies nothing.
MAX_ID_CHARS = 1_024
# Of what is said back to who sent it, so that they can tell what was meant.
_MAX_SHOWN_CHARS = 100
_BYTE = re.compile(r" \(byte ([0-9]+)\)$")
_FORM = (
    'no JSON-RPC 2.0 message: it is an object with "jsonrpc": "2.0", a method that is a string, params, where there '
    "are any, that are an object, and, where an answer is wanted, an id that is a string or a whole number"
)


class Request(msgspec.Struct, frozen=True):
    """A message that wants an answer."""

    id: Id
    method: str
    params: Params


class Notification(msgspec.Struct, frozen=True):
    """A message that wants none."""

    method: str
    params: Params


class Response(msgspec.Struct, frozen=True):
    """The answer to a request of ours. We send none, so that it answers nothing."""


Message = Request | Notification | Response


class Malformed(ProtocolFault):
    """What is no message; ``id`` is its id as far as it has one, else None, which is sent as null."""

    def __init__(self, code: int, message: str, request_id: Id | None = None) -> None:
        super().__init__(code, message)
        self.id = request_id


class _Frame(msgspec.Struct):
    jsonrpc: Literal["2.0"]
    id: Id | UnsetType = UNSET
    method: str | UnsetType = UNSET
    params: Params | UnsetType = UNSET
    result: msgspec.Raw | UnsetType = UNSET
    error: msgspec.Raw | UnsetType = UNSET


class _WithId(msgspec.Struct):
    id: Id | None = None


_FRAME = msgspec.json.Decoder(_Frame)
_WITH_ID = msgspec.json.Decoder(_WithId)


def decode(data: bytes) -> Message:
    """Read one message.

    Raises:
        Malformed: It is no JSON (-32700), or no message (-32600).
    """
    try:
        if not data.isascii():
            data.decode()
        frame = _FRAME.decode(data)
    except msgspec.ValidationError:
        raise Malformed(INVALID_REQUEST, _FORM, id_of(data)) from None
    except UnicodeDecodeError as error:
        raise Malformed(PARSE_ERROR, f"not JSON: not UTF-8 (byte {error.start})") from None
    except msgspec.DecodeError as error:
        where = _BYTE.search(str(error))
        told = f"malformed (byte {where[1]})" if where else "it ends too early, or a text has half of a surrogate pair"
        raise Malformed(PARSE_ERROR, f"not JSON: {told}") from None
    except RecursionError:
        raise Malformed(PARSE_ERROR, "not read: nested too deeply") from None
    if isinstance(frame.id, str) and len(frame.id) > MAX_ID_CHARS:
        raise Malformed(INVALID_REQUEST, f"an id has at most {MAX_ID_CHARS} characters")
    if frame.method is UNSET:
        if frame.result is UNSET and frame.error is UNSET:
            known = None if frame.id is UNSET else frame.id
            raise Malformed(INVALID_REQUEST, "no JSON-RPC 2.0 message: it has neither method, result nor error", known)
        return Response()
    params: Params = {} if frame.params is UNSET else frame.params
    return Notification(frame.method, params) if frame.id is UNSET else Request(frame.id, frame.method, params)


def id_of(data: bytes) -> Id | None:
    """The id of what is no message, or none that is read; None where it has none that could be echoed."""
    try:
        found = _WITH_ID.decode(data).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if isinstance(found, str) and len(found) > MAX_ID_CHARS else found


def shown(text: str) -> str:
    """A text of the peer's, as far as it is said back."""
    return text[:_MAX_SHOWN_CHARS]


def result(request_id: Id, told: Any) -> bytes:
    """The answer to a request; ``told`` is what it is encoded from."""
    return encoded({"jsonrpc": "2.0", "id": request_id, "result": told})


def error(request_id: Id | None, fault: ProtocolFault) -> bytes:
    """The refusal of a request. An id of null is the only one that all peers read where there is none to echo."""
    members: dict[str, Any] = {"code": fault.code, "message": fault.message}
    if fault.data is not UNSET:
        members["data"] = fault.data
    return encoded({"jsonrpc": "2.0", "id": request_id, "error": members})


def notification(method: str, params: Any) -> bytes:
    """A message to the peer that wants no answer."""
    return encoded({"jsonrpc": "2.0", "method": method, "params": params})


def encoded(value: Any) -> bytes:
    """JSON; half of a surrogate pair, which no UTF-8 can hold, is replaced.

    A peer may send such halves as escapes, and have them echoed in its own id or token.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_sound(value))


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_sound(key): _sound(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sound(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _sound(msgspec.to_builtins(value))
    return value
