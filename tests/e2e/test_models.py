"""The real server with real clients and a fake model service: what failed calls cost, and what never shows anywhere."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, SCRIPT, Answer, Runtime, Server, bearer, canonical_trace
from tests.fakes.model_service import ANSWERED, PROMPT, Act, FakeServer, serving

AAR = "/v1/analyze/aar"
# As the makers shape theirs, so that a redaction which knows that shape would be seen too.
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-canary-6f2d90e1c4", "OPENAI_API_KEY": "sk-proj-canary-b81c55aa07"}
# At claude-sonnet-5-5's rates: 40 tokens afresh, 10 answered, 40 read from the cache, 20 written to it.
DOLLARS = (40 * 2.0 + 10 * 10.0 + 40 * 0.1 + 20 * 2.5) / 1e6

FIRST = Act(text=None)


def asked(goal: str, **more: Any) -> dict[str, Any]:
    return {"trace": canonical_trace(goal=goal), "format": "canonical", "mode": "standard", **more}


def ask(server: Server, goal: str) -> None:
    server.post(AAR, asked(goal), {"X-Request-ID": goal})


def leave(server: Server, goal: str, upstream: FakeServer) -> None:
    """Ask, and leave while the second pass is under way."""
    body = json.dumps(asked(goal)).encode()
    head = f"POST {AAR} HTTP/1.1\r\nHost: h\r\nX-Request-ID: {goal}\r\nContent-Length: {len(body)}\r\n\r\n"
    with server.connected() as line:
        line.send(head.encode() + body)
        assert upstream.wait_until(lambda: len(upstream.asked) == 2)


def _is_of(goal: str, line: dict[str, Any]) -> bool:
    return line["event"] == "request" and line["request_id"] == goal


# What the second pass meets, how the request ends, and how many answers it has paid for.
ENDS = {
    "fails": (Act(status=400), "analyzer_error", 502, 1),
    "refused": (Act(stop="refusal"), "analyzer_error", 502, 2),
    "late": (Act(hang=True), "timeout", 504, 1),
    "left": (Act(hang=True), "cancelled", 499, 1),
}


def test_what_was_used_is_told_where_there_is_no_detection(serve: Serve, runtime: Runtime) -> None:
    with serving(FIRST) as upstream:
        key = KEYS["ANTHROPIC_API_KEY"]
        env = {"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": upstream.url, "VSTACK_API_REQUEST_TIMEOUT": "1.5"}
        server = serve(runtime, **env)
        bought = 0
        for goal, (second, outcome, status, paid) in ENDS.items():
            upstream.asked.clear()
            upstream.script[:] = [FIRST, second]
            if goal == "left":
                leave(server, goal, upstream)
            else:
                ask(server, goal)
            line = server.wait_for(partial(_is_of, goal))
            assert (line["outcome"], line["status"]) == (outcome, status)
            assert (line["input_tokens"], line["output_tokens"]) == (paid * PROMPT, paid * ANSWERED)
            assert line["cost_usd"] == pytest.approx(paid * DOLLARS)
            bought += paid
            assert server.metric("vstack_tokens_total", type="input") == bought * PROMPT
            assert server.metric("vstack_tokens_total", type="output") == bought * ANSWERED
            assert server.metric("vstack_cost_usd_total") == pytest.approx(bought * DOLLARS)


# Secrets.


def everything_told(server: Server) -> list[Answer]:
    """What a server answers to questions that go well and badly, and of itself."""
    told = [
        server.post(AAR, asked(f"goal {n}", mode="quick", model=model), headers)
        for n, (model, headers) in enumerate(
            [
                (None, bearer(ALICE)),
                ("claude-opus-5-5", bearer(ALICE)),
                (None, {**bearer(ALICE), "Accept": "text/event-stream"}),
                (None, {**bearer(ALICE), "Accept": "application/problem+json"}),
                ("offline", bearer(ALICE)),
                (None, bearer(KEYS["OPENAI_API_KEY"])),
            ]
        )
    ]
    pages = ("/readyz?verbose", "/livez", "/metrics", "/openapi.json", "/v1/patterns", "/docs")
    return told + [server.get(page, bearer(ALICE)) for page in pages]


@pytest.mark.parametrize(
    ("runtime", "provider"), [("hypercorn", "anthropic"), ("asyncio", "openai"), ("trio", "anthropic")]
)
def test_no_secret_shows_anywhere(serve: Serve, runtime: Runtime, provider: str, tmp_path: Path) -> None:
    # A service that says the key back, in every way in which it can fail or answer.
    key = KEYS[f"{provider.upper()}_API_KEY"]
    says = [
        Act(status=401, error=key, headers=(("x-request-id", key), ("www-authenticate", key))),
        Act(status=400, body=b'{"error": {"message": "%s", "code": "%s"}}' % (key.encode(), key.encode())),
        Act(status=302, headers=(("location", f"/{key}"),)),
        Act(body=key.encode()),
    ]
    with serving(*says) as upstream:
        env = {**KEYS, "ANTHROPIC_BASE_URL": upstream.url, "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        server = serve(
            runtime,
            VSTACK_LLM=provider,
            VSTACK_API_KEYS=f"alice={ALICE}",
            VSTACK_LOG_LEVEL="debug",
            VSTACK_TAPE=str(tmp_path),
            **env,
        )
        answers = everything_told(server)
        assert any(key in str(one.headers) for one in upstream.asked), "the service was given its key"
        server.stop()
    told = [*map(str, answers), server.stdout, server.stderr]
    told += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (*KEYS.values(), ALICE, "canary"):
        assert [text for text in told if secret in text] == []


@pytest.mark.parametrize("words", [["--help"], ["serve", "--help"], ["analyze", "--help"], ["routes"], ["openapi"]])
def test_no_command_shows_a_secret(words: list[str]) -> None:
    env = {"PATH": os.environ["PATH"], "COLUMNS": "200", "VSTACK_API_KEYS": f"alice={ALICE}", **KEYS}
    ran = subprocess.run([str(SCRIPT), *words], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert "canary" not in ran.stdout + ran.stderr
