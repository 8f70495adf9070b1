"""What the tests of the whole service share: a service that asks the fake one, and who asks it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import pytest

from tests.e2e.serving import canonical_trace
from tests.fakes.model_service import FakeServer
from tests.providers.kit import KEY
from vstack_runtime import serve
from vstack_runtime.settings import Settings

Answer = tuple[int, dict[str, str], Any]


def environment(server: FakeServer, name: str = "anthropic", **more: str) -> dict[str, str]:
    """The variables of a service that asks the fake one; every pause is as a user has it."""
    own = {
        "anthropic": {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url},
        "openai": {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{server.url}/v1"},
        "ollama": {"OLLAMA_HOST": server.url},
    }
    return {**own[name], **more}


@asynccontextmanager
async def service(env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    for variable, value in env.items():
        monkeypatch.setenv(variable, value)
    async with serve(Settings.from_env(env), port=0) as port:
        yield port


def request(**more: Any) -> bytes:
    asked = {"trace": canonical_trace(), "format": "canonical", "mode": "quick", **more}
    body = json.dumps(asked).encode()
    head = f"POST /v1/analyze/aar HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def everything(stream: anyio.abc.ByteStream) -> bytes:
    parts = []
    try:
        while True:
            parts.append(await stream.receive())
    except anyio.EndOfStream:
        return b"".join(parts)


async def post(port: int, **more: Any) -> Answer:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(request(**more))
        head, _, body = (await everything(stream)).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split(" ")[1]), headers, json.loads(body)


async def page(port: int) -> str:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"GET /metrics HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        return (await everything(stream)).partition(b"\r\n\r\n")[2].decode()
