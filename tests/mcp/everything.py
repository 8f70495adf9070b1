"""A service with the tools, resources and prompts that the official conformance suite asks for, on a free port.

``python -m tests.mcp.everything`` prints the port, and serves until SIGTERM. None of this is in the product: it comes
in by the plug-in point that is there for a package of one's own.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import wave
import zlib
from collections.abc import Mapping
from typing import Any

import anyio

from tests.proto.last_word import PATTERN
from vstack_mcp.context import Context
from vstack_mcp.offer import Extras
from vstack_mcp.prompts import LocalPrompt
from vstack_mcp.resources import LocalResource, LocalTemplate
from vstack_mcp.revisions import MISSING_CAPABILITY, ProtocolFault
from vstack_mcp.tools import LocalTool, Outcome, Progressed, Said, text
from vstack_mcp.transport_http import routes
from vstack_runtime import asyncio_server
from vstack_runtime.engine import Engine
from vstack_runtime.logs import configure
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping

NOTHING = {"type": "object", "properties": {}}
ADDRESS = {
    "$anchor": "addressDef",
    "type": "object",
    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
}
DIALECT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": ADDRESS},
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def png() -> str:
    """A red dot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head: bytes = (1).to_bytes(4, "big") * 2 + bytes((8, 2, 0, 0, 0))
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")), chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def wav() -> str:
    """A moment of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(16))
    return base64.b64encode(file.getvalue()).decode()


IMAGE = {"type": "image", "data": png(), "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": wav(), "mimeType": "audio/wav"}


def embedded(uri: str, kind: str, told: str) -> dict[str, Any]:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": told}}


def tool(name: str, *content: dict[str, Any], told: tuple[Progressed | Said, ...] = (), **more: Any) -> LocalTool:
    listing = {"name": name, "description": f"Of the conformance suite: {name}.", "inputSchema": NOTHING}
    return LocalTool(listing, lambda given, context: Outcome({"content": list(content), **more}, told))


def needs_sampling(given: dict[str, Any], context: Context) -> Outcome:
    if not context.can("sampling"):
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise ProtocolFault(MISSING_CAPABILITY, "this tool asks its client to sample", data)
    return Outcome({"content": [text("It could.")]})


def adds(given: dict[str, Any], context: Context) -> Outcome:
    if not (isinstance(given.get("a"), int) and isinstance(given.get("b"), int)):
        return Outcome({"content": [text("a and b must be integers")], "isError": True})
    total = {"sum": given["a"] + given["b"]}
    return Outcome({"content": [text(json.dumps(total))], "structuredContent": total})


NUMBER = {"type": "integer"}
LOGS = tuple(Said("info", told) for told in ("Tool execution started", "Tool processing data", "Tool execution done"))
TOOLS = (
    tool("test_simple_text", text("This is a simple text response for testing.")),
    tool("test_image_content", IMAGE),
    tool("test_audio_content", AUDIO),
    tool(
        "test_embedded_resource",
        embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."),
    ),
    tool(
        "test_multiple_content_types",
        text("Multiple content types test:"),
        IMAGE,
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ),
    tool("test_tool_with_logging", text("Done."), told=LOGS),
    tool("test_logging_tool", text("Done."), told=LOGS),
    tool("test_error_handling", text("This tool intentionally returns an error for testing"), isError=True),
    tool("test_tool_with_progress", text("Done."), told=tuple(Progressed(at, 100) for at in (0, 50, 100))),
    tool("test_streaming_elicitation", text("Nothing is asked."), told=(Progressed(1, 1),)),
    LocalTool({**tool("test_missing_capability").listing}, needs_sampling),
    LocalTool(
        {"name": "json_schema_2020_12_tool", "description": "Takes a schema of 2020-12.", "inputSchema": DIALECT},
        lambda given, context: Outcome({"content": [text(json.dumps(given))]}),
    ),
    LocalTool(
        {
            "name": "add",
            "description": "Adds.",
            "inputSchema": {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "required": ["a", "b"]},
            "outputSchema": {"type": "object", "properties": {"sum": NUMBER}, "required": ["sum"]},
        },
        adds,
    ),
)


def resource(uri: str, kind: str, **contents: str) -> LocalResource:
    listing = {"uri": uri, "name": uri.rpartition("/")[2], "description": "Of the suite.", "mimeType": kind}
    return LocalResource(listing, {"mimeType": kind, **contents})


def data_of(uri: str) -> dict[str, Any] | None:
    start, end = "test://template/", "/data"
    if not (uri.startswith(start) and uri.endswith(end)):
        return None
    number = uri.removeprefix(start).removesuffix(end)
    told = {"id": number, "templateTest": True, "data": f"Data for ID: {number}"}
    return {"mimeType": "application/json", "text": json.dumps(told)}


def user(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": one} for one in content]


def prompt(name: str, make: Any, *arguments: str) -> LocalPrompt:
    wanted = [{"name": one, "description": f"The {one}.", "required": True} for one in arguments]
    return LocalPrompt({"name": name, "description": f"Of the suite: {name}.", "arguments": wanted}, make)


def with_arguments(given: Mapping[str, str]) -> list[dict[str, Any]]:
    return user(text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"))


def with_resource(given: Mapping[str, str]) -> list[dict[str, Any]]:
    held = embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
    return user(held, text("Please process the embedded resource above."))


EXTRAS = Extras(
    tools=TOOLS,
    resources=(
        resource("test://static-text", "text/plain", text="This is the content of the static text resource."),
        resource("test://static-binary", "image/png", blob=png()),
    ),
    templates=(
        LocalTemplate({"uriTemplate": "test://template/{id}/data", "name": "data", "description": "Data."}, data_of),
    ),
    prompts=(
        prompt("test_simple_prompt", lambda given: user(text("This is a simple prompt for testing."))),
        prompt("test_prompt_with_arguments", with_arguments, "arg1", "arg2"),
        prompt("test_prompt_with_embedded_resource", with_resource, "resourceUri"),
        prompt("test_prompt_with_image", lambda given: user(IMAGE, text("Please analyze the image above."))),
    ),
    completions={"arg1": ("paris", "park", "party")},
)


def main() -> None:
    configure("error", "console")
    settings = Settings(llm="offline", port=0, drain_delay=0.0)
    contributed = (lambda catalogue, policy: routes(catalogue, policy, EXTRAS),)
    engine = Engine(settings, patterns=(PATTERN,), contributed=contributed, runtime="asyncio")

    async def run() -> None:
        stopping = Stopping(lambda port: print(port, flush=True))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until_closed, stopping)
            await asyncio_server.serve(engine, settings.host, settings.port, stopping)
            tasks.cancel_scope.cancel()

    anyio.run(run)


async def until_closed(stopping: Stopping) -> None:
    """Whoever started this holds its stdin open, and closes it (or dies) for the end."""
    await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
    stopping.ask()


if __name__ == "__main__":
    main()
