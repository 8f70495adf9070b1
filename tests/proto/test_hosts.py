"""By which names a service may be called."""

from __future__ import annotations

import pytest

from vstack_proto.hosts import LOOPBACK, allowed_hosts, is_allowed, is_friendly, parse_hosts


def test_names_of_a_setting() -> None:
    assert parse_hosts("Vstack.Example, [::1],*") == {"vstack.example", "[::1]", "*"}


@pytest.mark.parametrize("text", ["", ",", "vstack.example:8000", "a b", "http://a", "a/b"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names without ports"):
        parse_hosts(text)


@pytest.mark.parametrize(
    ("chosen", "listens_at", "require_auth", "allowed"),
    [
        (None, "127.0.0.1", False, LOOPBACK),
        (None, "127.1.2.3", False, LOOPBACK),
        (None, "localhost", False, LOOPBACK),
        (None, "::1", False, LOOPBACK),
        (None, "127.0.0.1", True, None),
        (None, "0.0.0.0", False, None),
        (frozenset({"a.example"}), "0.0.0.0", True, frozenset({"a.example"})),
        (frozenset({"*"}), "127.0.0.1", False, None),
    ],
)
def test_loopback_without_keys_answers_to_its_own_names(
    chosen: frozenset[str] | None, listens_at: str, require_auth: bool, allowed: frozenset[str] | None
) -> None:
    assert allowed_hosts(chosen, listens_at, require_auth) == allowed


@pytest.mark.parametrize(
    ("authority", "allowed"),
    [
        *[(name, True) for name in ("localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]", "[::1]:8000")],
        *[(name, False) for name in ("evil.example", "localhost.evil.example", "localhost:8000:1", "", "localhost:x")],
    ],
)
def test_hosts(authority: str, allowed: bool) -> None:
    assert is_allowed(authority, LOOPBACK) is allowed
    assert is_allowed(authority, None)


SITE = frozenset({"https://app.example"})


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "sites", "friendly"),
    [
        ("http://localhost:1234", "localhost:8000", LOOPBACK, frozenset(), True),
        ("http://evil.example", "localhost:8000", LOOPBACK, frozenset(), False),
        ("http://localhost.evil.example", "localhost:8000", LOOPBACK, frozenset(), False),
        ("null", "localhost:8000", LOOPBACK, frozenset(), False),
        ("ftp://localhost", "localhost", LOOPBACK, frozenset(), False),
        ("https://app.example", "localhost:8000", LOOPBACK, SITE, True),
        ("https://other.example", "vstack.example", None, SITE, False),
        ("https://other.example", "vstack.example", None, frozenset({"*"}), True),
        ("https://vstack.example", "Vstack.example", None, frozenset(), True),
        ("https://vstack.example:444", "vstack.example", None, frozenset(), False),
    ],
)
def test_origins(origin: str, host: str, allowed: frozenset[str] | None, sites: frozenset[str], friendly: bool) -> None:
    assert is_friendly(origin, host, allowed, sites) is friendly
