"""``/mcp`` of a running ``vstack-api``: what it shares with ``/v1``, and how it stops."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.serving import Server, canonical_trace, command
from tests.fakes.model_service import Act, FakeServer, serving
from tests.providers.kit import KEY

pytestmark = pytest.mark.slow

ANALYSIS = {"trace": canonical_trace(), "format": "canonical", "mode": "quick"}
BOTH = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
def model() -> Iterator[FakeServer]:
    with serving(Act(text=None)) as server:
        yield server


@pytest.fixture(params=["asyncio", "trio", "hypercorn"])
def server(request: pytest.FixtureRequest, model: FakeServer) -> Iterator[Server]:
    env = {"VSTACK_LLM": "anthropic", "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url}
    started = Server(command(request.param), {**env, "VSTACK_CACHE": "memory", "VSTACK_DRAIN_DELAY": "0"})
    try:
        yield started.started()
    finally:
        started.kill()


def call(arguments: Any, **meta: Any) -> dict[str, Any]:
    params = {"name": "vstack_aar", "arguments": arguments, **({"_meta": meta} if meta else {})}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def told(body: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines]


def test_what_was_analysed_over_http_is_known_over_mcp(server: Server, model: FakeServer) -> None:
    first = server.post("/v1/analyze/aar", ANALYSIS)
    assert first.headers["x-cache"] == "miss"
    second = server.post("/mcp", call(ANALYSIS), BOTH)
    assert second.headers["x-cache"] == "hit"
    known = second.json["result"]["structuredContent"]
    assert known == {**first.json, "cached": True}
    assert len(model.asked) == 1
    assert server.metric("vstack_requests_total", surface="mcp", pattern="aar", status="ok") == 1
    assert server.metric("vstack_requests_total", surface="rest", pattern="aar", status="ok") == 1
    for method in ("GET", "DELETE", "PUT"):
        refused = server.ask(method, "/mcp")
        assert (refused.status, refused.headers["allow"]) == (405, "POST")
    assert server.post("/mcp", call(ANALYSIS), {"Host": "evil.example"}).status == 421
    assert server.post("/mcp", call(ANALYSIS), {"Origin": "http://evil.example"}).status == 403


def test_what_was_ignored_or_left_out_is_told_over_mcp_too(server: Server) -> None:
    asked = {"trace": canonical_trace(), "format": "canonical", "model": "offline"}
    misspelt = server.post("/mcp", call({**asked, "modle": "forensic"}), BOTH).json["result"]
    assert misspelt["structuredContent"]["warnings"] == ["unknown field 'modle' was ignored; did you mean 'mode'?"]
    unnamed = server.post("/mcp", call({"trace": canonical_trace(), "model": "offline"}), BOTH).json["result"]
    assert unnamed["isError"] is True
    assert 'send "format": "canonical"' in unnamed["content"][0]["text"]


def test_a_stream_that_is_open_is_finished_before_the_service_ends(server: Server, model: FakeServer) -> None:
    model.script = [Act(text=None, delay=0.5)]
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(server.post("/mcp", call(ANALYSIS, progressToken=7), BOTH)))
    asking.start()
    assert model.wait_until(lambda: model.asked)
    server.stop()
    asking.join()
    progress, answer = told(answers[0].body)
    assert progress["params"]["progressToken"] == 7
    assert answer["result"]["isError"] is False
