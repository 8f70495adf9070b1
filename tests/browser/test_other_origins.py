"""A page of another origin calls the service, in Chromium: its preflights are the browser's own."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.e2e.conftest import Serve
from tests.e2e.conftest import serve as serve
from tests.e2e.serving import ALICE

pytestmark = pytest.mark.slow

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
LIST = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": ENVELOPE}})
TRACED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
JSON = {"content-type": "application/json"}
NAMED = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
CALLS = {
    "catalogue": ("/v1/patterns", {"headers": {"x-api-key": ALICE, **TRACED}}),
    "bearer": ("/v1/patterns", {"headers": {"authorization": f"Bearer {ALICE}"}}),
    "mcp": ("/mcp", {"method": "POST", "body": LIST, "headers": {**JSON, "x-api-key": ALICE, **NAMED}}),
}


class Empty(http.server.BaseHTTPRequestHandler):
    """Serves a page with nothing on it."""

    def do_GET(self) -> None:
        page = b"<!doctype html><link rel=icon href=data:,>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Where the page is: its origin."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("allowed", [True, False])
def test_a_page_calls_where_its_origin_may(serve: Serve, browser: Browser, site: str, *, allowed: bool) -> None:
    origin = site if allowed else "https://app.example"
    server = serve("asyncio", VSTACK_API_KEYS=f"alice={ALICE}", VSTACK_API_CORS_ORIGINS=origin)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site)
        ask = """async ([url, options]) => {
            try { return (await fetch(url, options)).status } catch (fault) { return fault.name }
        }"""
        told: dict[str, Any] = {}
        for name, (path, options) in CALLS.items():
            told[name] = page.evaluate(ask, [f"http://127.0.0.1:{server.port}{path}", options])
    assert told == dict.fromkeys(CALLS, 200 if allowed else "TypeError")
