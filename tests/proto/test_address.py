"""Who a request is counted for, behind proxies and in IPv6."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.address import client_address, is_trusted, parse_networks

LOOPBACK = parse_networks("127.0.0.1/32,::1/128")
INSIDE = parse_networks("10.0.0.0/8 fd00::/8")


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("", ()),
        (" Off ", ()),
        ("127.0.0.1", ("127.0.0.1/32",)),
        ("10.0.0.0/8, fd00::/8,", ("10.0.0.0/8", "fd00::/8")),
        ("::ffff:10.0.0.0/104", ("10.0.0.0/8",)),
        ("::fffe:0:0/95", ("::fffe:0:0/95",)),
        ("64:ff9b::/96", ("64:ff9b::/96",)),
    ],
)
def test_networks(text: str, networks: tuple[str, ...]) -> None:
    assert tuple(map(str, parse_networks(text))) == networks


@pytest.mark.parametrize("text", ["nginx", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8;fd00::/8", "10.0.0.256"])
def test_what_is_no_network_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"'off', or addresses and networks .* such as 127\.0\.0\.1,10\.0\.0\.0/8"):
        parse_networks(text)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "trusted", "address"),
    [
        ("192.0.2.1", None, LOOPBACK, "192.0.2.1"),
        ("127.0.0.1", None, LOOPBACK, "127.0.0.1"),
        # From anybody else the field is only a claim.
        ("192.0.2.1", "198.51.100.1", LOOPBACK, "192.0.2.1"),
        ("127.0.0.1", "198.51.100.1", (), "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", LOOPBACK, "198.51.100.1"),
        # What stands left of the first untrusted hop was written by that hop.
        ("127.0.0.1", "203.0.113.9, 198.51.100.1", LOOPBACK, "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2,10.0.0.3", INSIDE, "198.51.100.1"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.2", INSIDE, "10.0.0.9"),
        # Garbage ends the walk.
        ("10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", INSIDE, "10.0.0.2"),
        ("10.0.0.1", "", INSIDE, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, ", INSIDE, "10.0.0.1"),
        ("10.0.0.1", "[2001:db8::1", INSIDE, "10.0.0.1"),
        ("10.0.0.1", "[]:80", INSIDE, "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4:http", INSIDE, "10.0.0.1"),
        ("10.0.0.1", "1" * 8000, INSIDE, "10.0.0.1"),
        # Ports are tolerated.
        ("10.0.0.1", "198.51.100.1:443", INSIDE, "198.51.100.1"),
        ("10.0.0.1", "[2001:db8:1:2:3::4]:443", INSIDE, "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2::]", INSIDE, "2001:db8:1:2::/64"),
        # IPv4 in IPv6 is IPv4, on both sides of the comparison.
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", INSIDE, "198.51.100.1"),
        ("::ffff:192.0.2.1", None, LOOPBACK, "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", None, LOOPBACK, "2001:db8:1:2::/64"),
        ("fe80::1%eth0", None, LOOPBACK, "fe80::/64"),
        # A local socket has no address.
        ("", None, LOOPBACK, ""),
        ("", "198.51.100.1", LOOPBACK, ""),
        ("/run/vstack.sock", None, LOOPBACK, "/run/vstack.sock"),
    ],
)
def test_client_address(peer: str, forwarded_for: str | None, trusted: tuple, address: str) -> None:
    assert client_address(peer, forwarded_for, trusted) == address


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.0.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("fd00::1", True),
        ("192.0.2.1", False),
        ("", False),
        ("socket", False),
    ],
)
def test_whose_word_counts(peer: str, trusted: bool) -> None:
    assert is_trusted(peer, INSIDE) is trusted


@given(st.text(max_size=100), st.ip_addresses(v=4).filter(lambda address: address not in INSIDE[0]))
def test_no_claim_moves_a_caller_away_from_the_address_its_proxy_saw(claim: str, seen: ipaddress.IPv4Address) -> None:
    assert client_address("10.0.0.1", f"{claim},{seen}", INSIDE) == str(seen)


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_subscriber_cannot_move_within_its_64(address: ipaddress.IPv6Address, host: int) -> None:
    if address.ipv4_mapped is None and int(address) >> 64:
        moved = ipaddress.IPv6Address(int(address) >> 64 << 64 | host)
        assert client_address(str(moved), None, ()) == client_address(str(address), None, ())
