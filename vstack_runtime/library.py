"""An analysis as a call, without a server: the same exchange, with a caller in the place of a peer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import anyio
import msgspec

from vstack_proto.patterns.common import Mode
from vstack_proto.trace import CanonicalTrace
from vstack_runtime.asgi import App, Message
from vstack_runtime.backends import Provider
from vstack_runtime.engine import Engine
from vstack_runtime.settings import Settings, given_or_read

Trace = Mapping[str, Any] | msgspec.Struct | bytes | str
Format = Literal["native", "canonical"]


class AnalysisError(Exception):
    """An analysis that could not be made.

    Attributes:
        status, code, message: As the service would answer.
        extra: The further members of that answer, such as ``errors``.
    """

    def __init__(self, status: int, code: str, message: str, extra: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra


async def analyze_async(
    trace: Trace,
    *,
    pattern: str,
    mode: Mode = "standard",
    model: str | None = None,
    format: Format = "native",  # noqa: A002 - the word of the request
    baseline: str | None = None,
    settings: Settings | None = None,
    provider: Provider | None = None,
) -> dict[str, Any]:
    """Diagnose a trace by one pattern, under asyncio or trio.

    Args:
        trace: A mapping, a Struct (a ``CanonicalTrace`` is known as such), or JSON as text or bytes.
        pattern: The pattern's name.
        mode: How thorough: 1, 2 or 4 model calls.
        model: The model to ask; ``offline`` for the signals alone.
        format: ``native``: the trace is the pattern's own; ``canonical``: it is the one that every pattern reads.
        baseline: The name of an earlier detection to compare with; it is kept where the settings' home is.
        settings: By default what the environment says. Keys and quota are for peers; they play no part here.
        provider: Answers model calls, in the place of the one that the settings choose.

    Returns:
        What the service answers: ``pattern``, ``mode``, ``model``, ``detection``, ``cached``, perhaps ``warnings``.

    Raises:
        AnalysisError: With the status, code and message that the service would answer.
        SettingsError: The environment holds a setting that cannot be.
    """
    chosen = given_or_read(settings)
    chosen = msgspec.structs.replace(chosen, require_auth=False, rate_limit=())
    engine = Engine(chosen, provider=provider, runtime="library")
    if isinstance(trace, CanonicalTrace):
        format = "canonical"  # noqa: A001 - the word of the request
    told = {"trace": msgspec.Raw(trace) if isinstance(trace, bytes | str) else trace, "mode": mode, "format": format}
    more = {name: word for name, word in (("model", model), ("baseline", baseline)) if word is not None}
    asked = msgspec.json.encode({**told, **more})
    try:
        status, body = await _call(App(engine), pattern, asked)
    finally:
        await engine.aclose()
    answer: dict[str, Any] = msgspec.json.decode(body)
    if status == 200:
        return answer
    detail = answer["detail"]
    raise AnalysisError(status, detail.pop("error"), detail.pop("message"), detail)


def analyze(
    trace: Trace,
    *,
    pattern: str,
    mode: Mode = "standard",
    model: str | None = None,
    format: Format = "native",  # noqa: A002 - the word of the request
    baseline: str | None = None,
    settings: Settings | None = None,
    provider: Provider | None = None,
) -> dict[str, Any]:
    """As ``analyze_async``, for programs without an event loop.

    Raises:
        AnalysisError: With the status, code and message that the service would answer.
        SettingsError: The environment holds a setting that cannot be.
        RuntimeError: An event loop runs in this thread; await ``analyze_async`` there.
    """

    async def call() -> dict[str, Any]:
        return await analyze_async(
            trace,
            pattern=pattern,
            mode=mode,
            model=model,
            format=format,
            baseline=baseline,
            settings=settings,
            provider=provider,
        )

    return anyio.run(call)


async def _call(app: App, pattern: str, body: bytes) -> tuple[int, bytes]:
    """One request to the app, as a host server would make it."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": f"/v1/analyze/{pattern}",
        "query_string": b"",
        "headers": [(b"host", b"library"), (b"content-type", b"application/json")],
        "client": None,
    }
    asked, status, parts = False, 500, []

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await anyio.sleep_forever()
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message["body"])

    await app(scope, receive, send)
    return status, b"".join(parts)
