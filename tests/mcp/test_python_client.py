"""The official Python client: every method, in every mode, over both transports, each frame against its schema."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client

from tests.e2e.serving import ALICE, Server, canonical_trace, command
from tests.fakes.model_service import Act, FakeServer, serving
from tests.mcp.frames import Conversation
from tests.providers.kit import KEY
from vstack_mcp.revisions import INVALID_PARAMS, LATEST_LEGACY, MODERN, RESOURCE_NOT_FOUND

pytestmark = pytest.mark.slow

MODES = ("legacy", "auto", MODERN[0])
PROGRAM = str(Path(sys.executable).with_name("vstack-mcp"))
TEE = str(Path(__file__).with_name("tee.py"))
TRACE = canonical_trace()

Frames = Callable[[], list[tuple[Any, Any]]]
Connect = Callable[..., AbstractAsyncContextManager[mcp.Client]]


@pytest.fixture
def model() -> Iterator[FakeServer]:
    """A model service that answers at once, until a test changes its script."""
    with serving(Act(text=None)) as server:
        yield server


def environment(model: FakeServer) -> dict[str, str]:
    provider = {"VSTACK_LLM": "anthropic", "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url}
    return {**provider, "VSTACK_CACHE": "memory", "VSTACK_LOG_LEVEL": "warning"}


class Recorded(httpx2.AsyncHTTPTransport):
    """HTTP that remembers the messages of both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[Any, Any]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.content:
            self.frames.append(("client", json.loads(request.content)))
        response = await super().handle_async_request(request)
        stream, response.stream = response.stream, Tapped(self, response)
        response.stream.source = stream
        return response


class Tapped(httpx2.AsyncByteStream):
    """The body of an answer, its messages told as they go by."""

    def __init__(self, owner: Recorded, response: httpx2.Response) -> None:
        self.owner = owner
        self.events = "event-stream" in response.headers.get("content-type", "")
        self.source: Any = None
        self.body = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self.source:
            self.body += part
            yield part

    async def aclose(self) -> None:
        # Who has its answer reads no further; what was read is known only now.
        body, self.body = self.body, b""
        lines = [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: ")]
        for told in lines if self.events else [body]:
            if told:
                self.owner.frames.append(("server", json.loads(told)))
        await self.source.aclose()


@pytest.fixture(params=["stdio", "http"])
def connection(request: pytest.FixtureRequest, model: FakeServer, tmp_path: Path) -> Iterator[tuple[Connect, Frames]]:
    """How to connect to a real server, and what both sides have said."""
    if request.param == "stdio":
        yield _over_stdio(model, tmp_path / "frames")
        return
    settings = {**environment(model), "VSTACK_API_KEYS": f"alice={ALICE}", "VSTACK_LOG_LEVEL": "info"}
    server = Server(command("asyncio"), {**settings, "VSTACK_DRAIN_DELAY": "0"})
    server.excused.append("mcp")
    try:
        yield _over_http(server.started())
    finally:
        server.kill()


def _over_stdio(model: FakeServer, log: Path) -> tuple[Connect, Frames]:
    @asynccontextmanager
    async def connect(**options: Any) -> AsyncIterator[mcp.Client]:
        started = mcp.StdioServerParameters(
            command=sys.executable, args=[TEE, str(log), PROGRAM, "serve"], env=environment(model)
        )
        async with mcp.Client(started, cache=None, **options) as client:
            yield client

    def frames() -> list[tuple[Any, Any]]:
        lines = log.read_bytes().splitlines()
        return [("client" if line.startswith(b">") else "server", json.loads(line[1:])) for line in lines]

    return connect, frames


def _over_http(server: Server) -> tuple[Connect, Frames]:
    recorded = Recorded()

    @asynccontextmanager
    async def connect(**options: Any) -> AsyncIterator[mcp.Client]:
        headers = {"Authorization": f"Bearer {ALICE}"}
        async with httpx2.AsyncClient(headers=headers, transport=recorded, timeout=30) as http:
            transport = streamable_http_client(f"http://127.0.0.1:{server.port}/mcp", http_client=http)
            async with mcp.Client(transport, cache=None, **options) as client:
                yield client

    return connect, lambda: recorded.frames


def arguments(**more: Any) -> dict[str, Any]:
    return {"trace": TRACE, "format": "canonical", **more}


async def every_page(ask: Callable[..., Any], items: str) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        page = await ask(cursor=cursor)
        found += getattr(page, items)
        if (cursor := page.next_cursor) is None:
            return found


def text_of(block: Any) -> str:
    assert isinstance(block, mcp.types.TextContent)
    return block.text


async def drive(client: mcp.Client) -> None:
    """Every method that there is."""
    tools = await every_page(client.list_tools, "tools")
    assert {"vstack_aar", "vstack_lewin"} <= {tool.name for tool in tools}
    writing = {tool.name for tool in tools if not (tool.annotations and tool.annotations.read_only_hint)}
    assert writing == {"vstack_record_learning", "vstack_report_outcome"}
    offline = await client.call_tool("vstack_aar", arguments(model="offline"))
    assert offline.structured_content is not None
    assert offline.structured_content["detection"]["generator_model"] == "offline"
    assert json.loads(text_of(offline.content[0])) == offline.structured_content
    again = await client.call_tool("vstack_aar", arguments(model="offline"))
    assert again.structured_content is not None
    assert again.structured_content["cached"] is True

    passes: list[tuple[float, float | None, str | None]] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        passes.append((progress, total, message))

    asked = await client.call_tool("vstack_aar", arguments(mode="standard"), progress_callback=told)
    assert not asked.is_error, asked
    assert passes[:1] == [(0.0, 2.0, "pass 1 of 2: aar")]

    refused = await client.call_tool("vstack_aar", {"trace": {"goal": 3}})
    assert refused.is_error
    assert "/goal" in text_of(refused.content[0])
    with pytest.raises(mcp.MCPError) as unknown:
        await client.call_tool("vstack_nothing", {})
    assert unknown.value.code == INVALID_PARAMS

    resources = await every_page(client.list_resources, "resources")
    assert len(resources) > 100, "more than a page"
    for uri in ("index", "aar/citations", "aar/playbooks", "aar/composition"):
        (page,) = (await client.read_resource(f"vstack://patterns/{uri}")).contents
        assert isinstance(page, mcp.types.TextResourceContents)
        assert page.text
    with pytest.raises(mcp.MCPError) as missing:
        await client.read_resource("vstack://patterns/nothing/citations")
    assert missing.value.code in (INVALID_PARAMS, RESOURCE_NOT_FOUND)
    templates = (await client.list_resource_templates()).resource_templates
    reference = mcp.types.ResourceTemplateReference(uri=templates[0].uri_template)
    words = await client.complete(reference, {"name": "name", "value": "aa"})
    assert words.completion.values == ["aar"]

    prompts = await every_page(client.list_prompts, "prompts")
    assert "vstack_pick_pattern" in {prompt.name for prompt in prompts}
    picked = await client.get_prompt("vstack_pick_pattern", {"situation": "They all agreed at once."})
    assert "vstack_social_loafing" in text_of(picked.messages[0].content)
    run = await client.get_prompt("vstack_aar_invoke", {"mode": "quick"})
    assert "vstack_aar" in text_of(run.messages[0].content)
    with pytest.raises(mcp.MCPError):
        await client.get_prompt("vstack_pick_pattern", {})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_every_method(mode: str, connection: tuple[Connect, Frames]) -> None:
    connect, frames = connection

    async def run() -> None:
        async with connect(mode=mode) as client:
            assert client.protocol_version == (LATEST_LEGACY if mode == "legacy" else MODERN[0])
            if mode == "legacy":
                await client.send_ping()
                await client.set_logging_level("debug")
            await drive(client)

    anyio.run(run)
    said = Conversation(LATEST_LEGACY if mode == "legacy" else MODERN[0])
    for side, message in in_order(frames()):
        said.add(side, message)
    assert said.unanswered == []
    methods = {method for _, method in said.seen}
    assert {"tools/call", "prompts/get", "completion/complete", "notifications/progress"} <= methods
    assert ("initialize" in methods, "server/discover" in methods) == (mode == "legacy", mode == "auto")


def in_order(frames: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The client's requests before the answers to them; a recording of two streams may have them crossed."""
    return sorted(frames, key=lambda frame: frame[0] == "server")


# Over HTTP without sessions, a legacy cancellation cannot say whose request it means: there only leaving ends a call.
@pytest.mark.parametrize(
    ("connection", "mode"), [("stdio", "legacy"), ("stdio", MODERN[0]), ("http", MODERN[0])], indirect=["connection"]
)
def test_a_cancelled_call_lets_go_of_its_model(
    mode: str, connection: tuple[Connect, Frames], model: FakeServer
) -> None:
    connect, _ = connection
    model.script = [Act(hang=True)]

    async def run() -> None:
        async with connect(mode=mode) as client:
            with anyio.move_on_after(30) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, "vstack_aar", arguments(mode="quick"))
                    assert await anyio.to_thread.run_sync(model.wait_until, lambda: model.asked)
                    tasks.cancel_scope.cancel()
            assert not scope.cancelled_caught
            # The connection to the model service is closed: what would have been paid for is not.
            assert await anyio.to_thread.run_sync(model.wait_until, lambda: model.open == 0)
            answer = await client.call_tool("vstack_aar", arguments(model="offline"))
            assert not answer.is_error

    anyio.run(run)
