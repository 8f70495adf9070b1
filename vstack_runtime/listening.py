"""The sockets that a server listens at: made here for every driver, or handed down by the process that started it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Sequence

from vstack_runtime.stopping import BACKLOG


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


def inherited(numbers: Iterable[int]) -> list[socket.socket]:
    """The sockets behind numbers of descriptors that a parent process has handed down."""
    return [socket.socket(fileno=number) for number in numbers]


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that they listen at."""
    return int(sockets[0].getsockname()[1])
