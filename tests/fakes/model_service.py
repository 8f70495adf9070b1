"""A service that speaks Anthropic's messages, OpenAI's chat completions and Ollama's chat, on a real socket.

It does what its script says for each request, and remembers what it was asked and how many connections are open. Run
as a program, it answers everything after a second (or ``--delay``) and prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

PATIENCE = 10.0
# Requests whose answers take differently long, where that is asked for.
_DELAYS = 10_000
# The tokens that every answer claims: 100 in all, of which 40 were read from a cache and 20 written to it.
PROMPT, READ, WRITTEN, ANSWERED = 100, 40, 20, 10


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with one request.

    Attributes:
        text: The model's answer; None for the least that fits the schema of the request.
        stop: Why it stopped: ``end``, ``refusal``, ``max_tokens`` or ``context``.
        status, headers: Of the HTTP answer.
        error: Type of an error body, for statuses from 400 on.
        body: Sent in the place of all that.
        delay: Seconds before the head.
        slow: Seconds between the head and the body.
        cut: How many bytes of the body to send before the connection is closed.
        hang: Never answer.
        reset: Break the connection without an answer.
        plain: Answer who begins with TLS in plain text, as a server does that speaks none, instead of closing.
    """

    text: str | None = "{}"
    stop: str = "end"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    error: str = "api_error"
    body: bytes | None = None
    delay: float = 0.0
    slow: float = 0.0
    cut: int | None = None
    hang: bool = False
    reset: bool = False
    plain: bool = False


class Asked(msgspec.Struct, frozen=True):
    """A request as it came; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class FakeServer:
    """Answers each request by the next act of its script, and further ones by the last.

    Attributes:
        asked: Every request, in order.
        opened: How many connections there have been.
    """

    def __init__(self, script: Sequence[Act] = (Act(),), tls: ssl.SSLContext | None = None) -> None:
        """
        Args:
            script: What to do with each request.
            tls: Holds the server's certificate, where it is to speak TLS.
        """
        self.script = list(script)
        self._tls = tls
        self.asked: list[Asked] = []
        self.opened = 0
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http{'' if self._tls is None else 's'}://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def wait_until(self, what: Any, seconds: float = PATIENCE) -> bool:
        """Wait until ``what()`` holds, looked at whenever something happens here."""
        with self._news:
            return bool(self._news.wait_for(what, seconds))

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(PATIENCE)

    def hang_up(self) -> None:
        """Close every connection, as services do with those that are idle for long."""

        async def close() -> None:
            for writer in list(self._open):
                writer.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(PATIENCE)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def act(self, asked: Asked) -> Act:
        """What to do with a request: here, what the script says next."""
        return self.script[min(len(self.asked), len(self.script) - 1)]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.opened += 1
        self._tell()
        try:
            if self._tls is not None:
                await writer.start_tls(self._tls)
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        except asyncio.CancelledError:
            if self._server.is_serving():
                raise
        finally:
            writer.close()
            try:
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            finally:
                self._open.discard(writer)
                self._tell()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.readexactly(1)
        if first == b"\x16":  # the first byte of TLS, which is not spoken here
            if self.script[0].plain:
                writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                await writer.drain()
            return False
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        path = start.split(" ")[1]
        asked = Asked(path, headers, json.loads(body))
        act = self.act(asked)
        self.asked.append(asked)
        self._tell()
        # A real service notices that its caller has left while it is thinking.
        if (act.hang or act.delay) and await _gone(reader, None if act.hang else act.delay):
            return False
        if act.reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            return False
        return await _answer(reader, writer, act, path, asked.body)


async def _gone(reader: asyncio.StreamReader, seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return not await reader.read(1)
    except TimeoutError:
        return False


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act, path: str, asked: dict[str, Any]
) -> bool:
    body = act.body if act.body is not None else json.dumps(_body(act, path, asked)).encode()
    fields = [("content-type", "application/json"), ("content-length", str(len(body))), *act.headers]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    writer.write(f"HTTP/1.1 {act.status} Fake\r\n{head}\r\n".encode())
    if act.slow:
        await writer.drain()
        if await _gone(reader, act.slow):
            return False
    writer.write(body[: act.cut])
    await writer.drain()
    return act.cut is None


def least(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """The least value that fits a schema, as a model that is bound to it might answer."""
    if "$ref" in schema:
        return least(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return least(schema["anyOf"][0], definitions)
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: least(one, definitions) for name, one in schema["properties"].items()}
    return {"array": [], "string": "said", "number": 0.5, "integer": 0, "boolean": False, "null": None}[schema["type"]]


def _text(act: Act, asked: dict[str, Any]) -> str:
    if act.text is not None:
        return act.text
    schema = asked.get("format") or asked.get("output_config", {}).get("format", {}).get("schema")
    schema = schema or asked["response_format"]["json_schema"]["schema"]
    return json.dumps(least(_wished(schema, asked["messages"]), schema.get("$defs", {})))


def _wished(schema: dict[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Where a schema holds the shapes of several answers: with the one alone that was wished for last."""
    shapes = schema.get("properties", {}).get("answer", {}).get("anyOf")
    if shapes is None:
        return schema
    said = [message["content"] for message in messages if message["role"] == "user"]
    text = "".join(one if isinstance(one, str) else "".join(part["text"] for part in one) for one in said)
    wished = max(shapes, key=lambda shape: text.rfind(f'{{"answer": {{"{next(iter(shape["properties"]))}": ' + "{...}"))
    return {**schema, "properties": {"answer": wished}}


def _body(act: Act, path: str, asked: dict[str, Any]) -> dict[str, Any]:
    if act.status >= 400:
        told = "the key sk-secret-key is wrong"
        return {"type": "error", "error": {"type": act.error, "code": act.error, "message": told}}
    if path.endswith("/v1/messages"):
        return _message(act, asked)
    if path.endswith("/chat/completions"):
        return _completion(act, asked)
    return {
        "model": asked["model"],
        "message": {"role": "assistant", "content": _text(act, asked)},
        "done": True,
        "done_reason": "length" if act.stop == "max_tokens" else "stop",
        "prompt_eval_count": PROMPT,
        "eval_count": ANSWERED,
    }


def _message(act: Act, asked: dict[str, Any]) -> dict[str, Any]:
    reasons = {"end": "end_turn", "context": "model_context_window_exceeded"}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": [{"type": "text", "text": _text(act, asked)}],
        "stop_reason": reasons.get(act.stop, act.stop),
        "stop_sequence": None,
        "usage": {
            "input_tokens": PROMPT - READ - WRITTEN,
            "cache_read_input_tokens": READ,
            "cache_creation_input_tokens": WRITTEN,
            "output_tokens": ANSWERED,
        },
    }


def _completion(act: Act, asked: dict[str, Any]) -> dict[str, Any]:
    reasons = {"end": "stop", "max_tokens": "length", "refusal": "stop"}
    message = {"role": "assistant", "content": _text(act, asked), "refusal": None}
    if act.stop == "refusal":
        message = {"role": "assistant", "content": None, "refusal": "I will not"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reasons.get(act.stop, act.stop)}],
        "usage": {
            "prompt_tokens": PROMPT,
            "completion_tokens": ANSWERED,
            "prompt_tokens_details": {"cached_tokens": READ, "cache_write_tokens": WRITTEN},
        },
    }


@contextlib.contextmanager
def serving(*script: Act, tls: ssl.SSLContext | None = None) -> Iterator[FakeServer]:
    """A server that runs meanwhile."""
    server = FakeServer(script or (Act(),), tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    """Serve until the standard input ends; answers come after ``--delay`` seconds, give or take a part ``--spread``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--delay", type=float, default=1.0)
    parser.add_argument("--spread", type=float, default=0.0)
    asked = parser.parse_args()
    draw = random.Random(0)
    delays = [
        asked.delay * (1.0 + asked.spread * draw.uniform(-1.0, 1.0)) for _ in range(_DELAYS if asked.spread else 1)
    ]
    with serving(*(Act(delay=delay, text=None) for delay in delays)) as server:
        print(server.port, flush=True)
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            while True:
                input()
                server.asked.clear()
                time.sleep(0)


if __name__ == "__main__":
    main()
