"""A receiver of reports and spans on a real socket: takes whatever is posted, and keeps it unpacked."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

PATIENCE = 20.0


class Posted(msgspec.Struct, frozen=True):
    """A request as it came, its body unpacked; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers 200 to every POST.

    Attributes:
        port: Where it listens.
        posted: What has come.
        held: While it is not set, nobody is answered.
    """

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.held = threading.Event()
        self.held.set()
        self._news = threading.Condition()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.take(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def take(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Keep a request, and answer it."""
        if handler.headers.get("transfer-encoding"):
            raise ValueError("no chunks are read here")
        body = handler.rfile.read(int(handler.headers["content-length"]))
        if handler.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._news:
            self.posted.append(Posted(handler.path, headers, body))
            self._news.notify_all()
        if not self.held.wait(PATIENCE):
            return
        with contextlib.suppress(OSError):  # whoever was made to wait may have gone
            handler.send_response(200)
            handler.send_header("Content-Length", "2")
            handler.end_headers()
            handler.wfile.write(b"{}")

    def wait_for(self, fact: Callable[[], object]) -> None:
        """Wait until what has come makes something true."""
        with self._news:
            assert self._news.wait_for(fact, PATIENCE), self.posted

    def stop(self) -> None:
        """Listen no more."""
        self.held.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def everything(self) -> bytes:
        """All that has come, heads and bodies."""
        return b"".join(repr(one.headers).encode() + one.path.encode() + one.body for one in self.posted)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What Sentry's envelopes hold: https://develop.sentry.dev/sdk/data-model/envelopes/."""
        found: list[dict[str, Any]] = []
        for one in self.posted:
            _, _, rest = one.body.partition(b"\n")
            while rest:
                head, _, rest = rest.partition(b"\n")
                length = json.loads(head)["length"]
                found.append(json.loads(rest[:length]))
                rest = rest[length:].removeprefix(b"\n")
        return found


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens while the block runs."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.stop()
