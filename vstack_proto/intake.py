"""How a parsed head becomes the first event of an exchange: once, for every driver."""

from __future__ import annotations

import msgspec

from vstack_proto.auth import credential_of
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import FramingRefused, HeadReceived
from vstack_proto.framing import MAX_HEAD_BYTES, MAX_LINE_BYTES, Head, Headers, check_head, too_large

# What proves who a caller is, or carries its session: it ends here, so that no event, log or tape can hold it.
SECRET_FIELDS = frozenset({"authorization", "x-api-key", "proxy-authorization", "cookie"})

# What shapes an answer whatever the request is: its id, its form, and who may read it in a browser.
ANSWERING_FIELDS = frozenset({"x-request-id", "traceparent", "accept", "origin"})

# 2**64 / golden ratio: multiples of it, modulo 2**64, are all different and spread over the whole range (Knuth, 6.4).
_STRIDE = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def nth_request_id(seed: int, number: int) -> str:
    """The id of a connection's nth request, where the caller brings none; ``seed`` is a random number below 2**64."""
    return f"req_{(seed + number * _STRIDE) & _MASK:016x}"


def without_secrets(head: Head, headers: Headers) -> tuple[Head, str | None]:
    """A head that ``check_head`` accepted as events may hold it, and the digest of the key that it presents."""
    if SECRET_FIELDS.isdisjoint(head.fields):
        return head, None
    fields = {name: value for name, value in head.fields.items() if name not in SECRET_FIELDS}
    return msgspec.structs.replace(head, fields=fields), credential_of(headers)


def checked_head(
    *,
    at: float,
    wall: float,
    request_id: str,
    peer: str,
    scheme: str,
    method: str,
    target: str,
    headers: Headers,
    http_version: str,
    root: str = "",
) -> HeadReceived | FramingRefused:
    """The first event for a head that another server has parsed: what still shows in it is checked here."""
    try:
        _check_size(method, target, headers)
        head, credential = without_secrets(check_head(method, target, headers, http_version), headers)
    except RemoteProtocolError as refusal:
        refusal.head = method, target, headers
        return framing_refused(refusal, at=at, wall=wall, request_id=request_id, peer=peer)
    return HeadReceived(
        at=at,
        wall=wall,
        request_id=request_id,
        peer=peer,
        scheme=scheme,
        method=method,
        head=head,
        credential=credential,
        root=root or msgspec.UNSET,
    )


def _check_size(method: str, target: str, headers: Headers) -> None:
    """Refuse a head that is too large, though another server has let it through, as it would be on the wire."""
    sizes = [len(method) + len(target) + len("  HTTP/1.1"), *(len(name) + len(value) + 2 for name, value in headers)]
    if max(sizes) > MAX_LINE_BYTES:
        raise too_large("A line of the head or trailers", MAX_LINE_BYTES)
    if sum(sizes) + 2 * len(sizes) + 2 > MAX_HEAD_BYTES:
        raise too_large("The head", MAX_HEAD_BYTES)


def framing_refused(
    refusal: RemoteProtocolError, *, at: float, wall: float, request_id: str, peer: str
) -> FramingRefused:
    """The event for bytes or a head that were refused; what can be read of a head still shapes the answer."""
    method, target, headers = refusal.head or ("", "", ())
    return FramingRefused(
        at=at,
        wall=wall,
        request_id=request_id,
        peer=peer,
        status=refusal.status,
        code=refusal.code,
        message=refusal.message,
        method=method,
        path=target.partition("?")[0],
        fields={name: value for name, value in headers if name in ANSWERING_FIELDS},
    )
