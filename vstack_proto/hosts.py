"""By which names a service may be called: what keeps a web page from reaching it through a browser on its machine.

A page whose own name is made to point at 127.0.0.1 (DNS rebinding) sends that name as ``Host`` and ``Origin``: a
service that listens on loopback and asks for no key answers only to loopback's names.
"""

from __future__ import annotations

import re

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://(?P<authority>[^/?#@]+)")


def parse_hosts(text: str) -> frozenset[str]:
    """The names of a setting, separated by commas, without ports; ``*`` stands for any.

    Raises:
        ValueError: An item is no name. The text says what is allowed.
    """
    names = frozenset(item.strip().lower() for item in text.split(",") if item.strip())
    if not names or not all(name == "*" or _name(name) == name for name in names):
        raise ValueError("names without ports, separated by commas, such as vstack.example,localhost,[::1]; or *")
    return names


def allowed_hosts(chosen: frozenset[str] | None, listens_at: str, require_auth: bool) -> frozenset[str] | None:
    """The names that count; None for any.

    Args:
        chosen: By the operator, if at all.
        listens_at: The interface.
        require_auth: Whether callers need a key, which no foreign page has.
    """
    if chosen is not None:
        return None if "*" in chosen else chosen
    local = listens_at in ("localhost", "::1") or listens_at.startswith("127.")
    return LOOPBACK if local and not require_auth else None


def is_allowed(authority: str, allowed: frozenset[str] | None) -> bool:
    """Whether a ``Host`` field names the service."""
    return allowed is None or _name(authority.lower()) in allowed


def is_friendly(origin: str, host: str, allowed: frozenset[str] | None, cors_origins: frozenset[str]) -> bool:
    """Whether a page of this ``Origin`` may call: it is the service's own, or one that the operator has named.

    Args:
        origin: The field as it came; ``null`` is foreign.
        host: The request's ``Host``.
        allowed: As ``allowed_hosts`` gives it.
        cors_origins: Origins that the operator lets in; ``*`` stands for any.
    """
    if not cors_origins.isdisjoint((origin, "*")):
        return True
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None:
        return False
    authority = found["authority"]
    return authority == host.lower() if allowed is None else _name(authority) in allowed


def _name(authority: str) -> str:
    found = _HOST.fullmatch(authority)
    return found["name"] if found else ""
