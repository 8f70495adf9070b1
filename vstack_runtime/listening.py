"""The sockets that a server listens at: made here for every driver, or handed down by the process that started it."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Protocol

import anyio

from vstack_runtime.stopping import BACKLOG

# For whoever is let in already, and waits to be taken.
QUIET_SECONDS = 0.05
# Linux: a filter of packets for a socket, which sees them from the TCP header on. Byte 13 has the flags; a packet that
# only asks for a connection (SYN, without ACK) is dropped.
_SO_ATTACH_FILTER = 26
_NO_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),  # load the flags
    (0x54, 0, 0, 0x12),  # of them, SYN and ACK
    (0x15, 0, 1, 0x02),  # only SYN?
    (0x06, 0, 0, 0),  # then drop it
    (0x06, 0, 0, 0xFFFF),  # else let it pass
)
# What the system takes of what a peer has no room for yet. It would take megabytes for each connection: whoever reads
# nothing looks as if it had read all, and that memory is no process's. What is on its way does not count, so that
# distant peers are served no slower.
_UNSENT_BYTES = 65_536


class Filtered(Protocol):
    """A socket, of the standard library or of trio."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> object:
        """Set one of its options."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen at every address of a host.

    Args:
        host: A name or an address; ``localhost`` may have two.
        port: 0 takes a free one, the same for all addresses.

    Returns:
        At least one socket.

    Raises:
        OSError: One of the addresses cannot be listened at.
    """
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
    sockets: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for family, _, _, _, address in dict.fromkeys(found):
            if sockets:
                port = sockets[0].getsockname()[1]
            sock = socket.create_server((str(address[0]), port), family=family, backlog=BACKLOG)
            undo.callback(sock.close)
            sockets.append(sock)
        undo.pop_all()
    return sockets


def prepare(sockets: Iterable[socket.socket], write_timeout: float) -> None:
    """Have the system see to it that who reads nothing is seen, and ended; connections inherit it from their listener.

    Args:
        sockets: Listeners.
        write_timeout: Seconds for which a peer may have no room for what it is sent, even after we have closed; then
            it is reset. A peer that is gone is given up after as long.
    """
    for sock in sockets:
        if sys.platform == "linux" and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(write_timeout * 1000.0))


def reset_at_close(sock: Filtered | None) -> None:
    """Have a connection end with a reset: the system forgets what waits for the peer, and the peer hears of it at once.

    Args:
        sock: None where there is no socket, as in memory.
    """
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def inherited(numbers: Iterable[int]) -> list[socket.socket]:
    """The sockets behind numbers of descriptors that a parent process has handed down."""
    return [socket.socket(fileno=number) for number in numbers]


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that they listen at."""
    return int(sockets[0].getsockname()[1])


async def quiet(sockets: Iterable[Filtered]) -> None:
    """Let nobody new in, and wait until who is in has been taken: to be done before listeners close.

    A listener that closes resets the connections that it holds ready: requests that were let in and never heard.
    Whoever comes later is not answered at once, but finds nobody listening when it tries again. Where the system has no
    such filters, this only waits.
    """
    code = b"".join(struct.pack("HBBI", *line) for line in _NO_NEW_CONNECTIONS)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HL", len(_NO_NEW_CONNECTIONS), ctypes.addressof(buffer))
    for sock in sockets:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    await anyio.sleep(QUIET_SECONDS)
