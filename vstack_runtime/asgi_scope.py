"""An ASGI scope as the first event of an exchange."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote

import msgspec

from vstack_proto.events import FramingRefused, HeadReceived
from vstack_proto.heads import varied
from vstack_proto.intake import SECRET_FIELDS, checked_head

Scope = MutableMapping[str, Any]
Pairs = list[tuple[bytes, bytes]]

# As many connections as a busy proxy keeps open; a head is a few hundred bytes.
MAX_KNOWN = 1024


def owns_framing(scope: Scope) -> bool:
    """Whether the head can hold framing: HTTP/2 and later have none that could be forged there."""
    return scope["http_version"] not in ("2", "3")


class Heads:
    """Makes the first event of each request, and remembers the last head of each connection.

    A client that keeps its connection sends nearly the same head again (see ``vstack_proto.heads``); the host server
    tells the connection by the client's address and port.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Any, tuple[tuple[Any, ...], Pairs, HeadReceived]] = OrderedDict()

    def event(self, scope: Scope, *, at: float, wall: float) -> HeadReceived | FramingRefused:
        """The head that the host server has parsed; what still shows in it is checked.

        Args:
            scope: Of type ``http``.
            at: Seconds, monotonic.
            wall: Seconds since 1970.
        """
        client = scope.get("client")
        pairs = list(scope["headers"])
        line = (
            scope["method"],
            scope.get("raw_path") or scope["path"],
            scope.get("query_string"),
            scope["http_version"],
            scope.get("root_path"),
        )
        # Who is told no port cannot be told from another connection, and is not remembered.
        who = tuple(client) if client and client[1] else None
        known = self._known.get(who)
        if known is not None and known[0] == line:
            event = known[2] if known[1] == pairs else _next(known[2], known[1], pairs)
            if event is not None:
                request_id = f"req_{random.getrandbits(64):016x}"
                return msgspec.structs.replace(event, at=at, wall=wall, request_id=request_id)
        first = _parsed(scope, pairs, at, wall)
        if who is not None and isinstance(first, HeadReceived):
            self._known[who] = line, pairs, first
            self._known.move_to_end(who)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return first


def _next(known: HeadReceived, before: Pairs, pairs: Pairs) -> HeadReceived | None:
    """The event of a head in which some values differ; None where it must be taken apart anew."""
    if len(before) != len(pairs):
        return None
    changes = []
    for old, new in zip(before, pairs, strict=True):
        if old == new:
            continue
        name, value = old[0].decode("latin-1"), new[1].decode("latin-1")
        # What grows may be too large.
        if old[0] != new[0] or len(new[1]) > len(old[1]) or name in SECRET_FIELDS:
            return None
        if not value.isprintable() or value != value.strip():
            return None
        changes.append((name, old[1].decode("latin-1"), value))
    head = varied(known.head, changes)
    return None if head is None else msgspec.structs.replace(known, head=head)


def _parsed(scope: Scope, pairs: Pairs, at: float, wall: float) -> HeadReceived | FramingRefused:
    client = scope.get("client")
    return checked_head(
        at=at,
        wall=wall,
        request_id=f"req_{random.getrandbits(64):016x}",
        peer=client[0] if client else "local",
        scheme=scope.get("scheme", "http"),
        method=scope["method"],
        target=target_of(scope),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs),
        # The authority of later versions comes as Host.
        http_version=scope["http_version"] if owns_framing(scope) else "1.1",
        root=root_of(scope),
    )


def root_of(scope: Scope) -> str:
    """The prefix under which a host application has mounted us, percent-encoded and without a slash at its end."""
    return quote(scope.get("root_path", "")).rstrip("/")


def target_of(scope: Scope) -> str:
    """The request target as it was sent, less the prefix under which a host application has mounted us."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope["path"])
    prefix = root_of(scope)
    # A server may tell the prefix and leave it out of the path: /v is then none of /v1/patterns.
    if prefix and (path + "/").startswith(prefix + "/"):
        path = path[len(prefix) :] or "/"
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path
