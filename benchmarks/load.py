"""Requests over loopback: a few keep-alive connections, each with one request under way at any time."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

CONNECTIONS = 16
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]+)\r\n", re.IGNORECASE)


class Round(NamedTuple):
    """What one round of load came to.

    Attributes:
        rate: Requests a second.
        busy: The part of the time that the client itself was computing.
        requests: How many were answered.
    """

    rate: float
    busy: float
    requests: int


class _Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open()

    def _open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = b""
        self._missing = -1

    def send(self, request: bytes) -> None:
        """Ask."""
        self.sent = time.perf_counter()
        self.socket.sendall(request)

    def take(self) -> bool:
        """Read what is there; whether the answer is complete.

        Raises:
            ConnectionError: The server has closed the connection, or its answer is no 200.
        """
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("closed in the midst of an answer")
        if self._missing < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.head = self._head[: end + 4]
            found = _LENGTH.search(self.head)
            if self.head[9:12] != b"200" or found is None:
                raise ConnectionError(f"not the answer that was wanted: {self._head[:500]!r}")
            self._missing = int(found[1]) - (len(self._head) - end - 4)
            self._head = b""
        else:
            self._missing -= len(data)
        if self._missing:
            return False
        self._missing = -1
        return True

    def reopen(self) -> None:
        """Go on with another connection: a server may close one after so many requests."""
        self.socket.close()
        self._open()


def ask(port: int, request: bytes) -> bytes:
    """One request by itself; the head of its answer."""
    client = _Client(port)
    client.socket.sendall(request)
    while not client.take():
        pass
    client.socket.close()
    return client.head


def load(port: int, requests: Iterator[bytes], seconds: float, waits: list[float] | None = None) -> Round:
    """Send requests for so many seconds.

    Args:
        port: Where the server listens, on loopback.
        requests: What to send, without end.
        seconds: How long; the answers that are under way then are not counted.
        waits: Takes how long each answer took, in seconds.
    """
    clients = [_Client(port) for _ in range(CONNECTIONS)]
    answered = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send(next(requests))
        began, computed = time.perf_counter(), time.process_time()
        now = began
        while now < began + seconds:
            for key, _ in selector.select(1.0):
                client = key.data
                if not client.take():
                    continue
                answered += 1
                if waits is not None:
                    waits.append(time.perf_counter() - client.sent)
                if b"connection: close" in client.head:
                    selector.unregister(client.socket)
                    client.reopen()
                    selector.register(client.socket, selectors.EVENT_READ, client)
                client.send(next(requests))
            now = time.perf_counter()
        busy = (time.process_time() - computed) / (now - began)
    for client in clients:
        client.socket.close()
    return Round(answered / (now - began), busy, answered)
