"""Where a request comes from, as far as the peer that brought it can be believed."""

from __future__ import annotations

import functools
import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ENTRY = re.compile(r"\[(?P<bracketed>[^\[\]]+)\](?::[0-9]{1,5})?|(?P<v4>[0-9.]+):[0-9]{1,5}|(?P<plain>[^\[\]]+)")

# An IPv6 address with a scope, brackets and a port; what is longer is no address and is kept out of the memo below.
MAX_ENTRY_CHARS = 64

_ALLOWED = "'off', or addresses and networks separated by commas, such as 127.0.0.1,10.0.0.0/8,fd00::/8"


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks of ``VSTACK_API_TRUSTED_PROXIES``; empty text and ``off`` stand for none.

    Raises:
        ValueError: An item is no network, or has bits set behind its prefix. The text says what is allowed.
    """
    if text.strip().lower() == "off":
        return ()
    return tuple(_network(item) for item in text.replace(",", " ").split())


def client_address(peer: str, forwarded_for: str | None, trusted: tuple[Network, ...]) -> str:
    """The address by which a caller is counted.

    ``X-Forwarded-For`` counts only where the peer is trusted. It is read from the right: each trusted hop vouches for
    the one before it, and the first that is not trusted is the caller. An entry that is no address ends the walk, for
    nobody vouches for what stands left of it.

    Args:
        peer: The address of the connection.
        forwarded_for: The field's values, joined by commas, or None.
        trusted: Whose word counts.

    Returns:
        An IPv4 address, or the /64 of an IPv6 address: a subscriber holds at least that much (RFC 6177). IPv4 in IPv6
        is IPv4. A peer without an address (a local socket) is returned as it came.
    """
    if forwarded_for is None:
        return _alone(peer)
    address = _address(peer)
    if address is None:
        return peer
    if _is_within(address, trusted):
        for entry in reversed(forwarded_for.split(",")):
            hop = _address(entry.strip()) if len(entry) <= MAX_ENTRY_CHARS else None
            if hop is None:
                break
            address = hop
            if not _is_within(hop, trusted):
                break
    return _counted(address)


def is_trusted(peer: str, trusted: tuple[Network, ...]) -> bool:
    """Whether what ``peer`` says of the caller (``X-Forwarded-*``) counts."""
    address = _address(peer)
    return address is not None and _is_within(address, trusted)


def _network(item: str) -> Network:
    try:
        network = ipaddress.ip_network(item)
    except ValueError:
        raise ValueError(_ALLOWED) from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _is_within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


@functools.lru_cache(maxsize=4096)
def _alone(peer: str) -> str:
    address = _address(peer)
    return peer if address is None else _counted(address)


@functools.lru_cache(maxsize=4096)
def _address(entry: str) -> Address | None:
    match = _ENTRY.fullmatch(entry)
    try:
        address = ipaddress.ip_address(match[match.lastgroup or ""]) if match else None
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _counted(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
