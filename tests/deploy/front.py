"""Asking over TLS, as a client behind the proxy does."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.e2e.serving import PATIENCE, Answer

NAME = "vstack.example.com"
TRACE = {
    "goal": "Send the report to the customer",
    "steps": [
        {"agent": "writer", "type": "thought", "content": "The report needs the figures of May."},
        {"agent": "writer", "type": "tool_call", "content": "query(month='April')", "tool": "query"},
        {"agent": "writer", "type": "message", "content": "The report with the figures of April is sent."},
    ],
    "outcome": "The customer got the wrong month.",
    "success": False,
}
REQUEST = {"trace": TRACE, "format": "canonical", "mode": "quick", "model": "offline"}


class _Connection(http.client.HTTPSConnection):
    """To an address, by a name that no resolver knows."""

    def __init__(self, port: int, context: ssl.SSLContext, source: str) -> None:
        super().__init__(NAME, port, timeout=PATIENCE, context=context)
        self._at, self._tls, self._source = ("127.0.0.1", port), context, source

    def connect(self) -> None:
        plain = socket.create_connection(self._at, PATIENCE, (self._source, 0))
        self.sock = self._tls.wrap_socket(plain, server_hostname=NAME)


class Front:
    """A proxy that terminates TLS.

    Attributes:
        port: Where it listens for TLS.
    """

    def __init__(self, port: int, authority: Path | None) -> None:
        self.port = port
        self._context = ssl.create_default_context(cafile=str(authority) if authority else None)

    def connection(self, source: str = "127.0.0.1") -> http.client.HTTPSConnection:
        """A connection; the certificate is checked, its name too."""
        return _Connection(self.port, self._context, source)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
        chunked: bool = False,
    ) -> Answer:
        """One request on a connection of its own; bytes go as they are, anything else as JSON.

        ``chunked`` tells no length beforehand: the body goes in pieces.
        """
        connection = self.connection(source)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            fields = {**({"Content-Type": "application/json"} if data else {}), **(headers or {})}
            sent: Any = data
            if chunked and data is not None:
                fields["Transfer-Encoding"] = "chunked"
                sent = io.BytesIO(data)
            # Who is refused while it still sends cannot send on, and reads why.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                connection.request(method, path, sent, fields, encode_chunked=chunked)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())
        finally:
            connection.close()


def together(ask: Callable[[str], Answer]) -> list[Answer]:
    """The answers to as many requests as races need to show, four at a time, each from an address of its own."""
    with ThreadPoolExecutor(4) as callers:
        return list(callers.map(ask, [f"127.0.1.{n}" for n in range(1, 9)]))
