"""An analysis as a call, without a server: the same exchange, with a caller in the place of a peer."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import anyio
import msgspec

from vstack_proto.catalogue import AnyPattern
from vstack_proto.patterns.common import Mode
from vstack_proto.trace import CanonicalTrace
from vstack_runtime import engine
from vstack_runtime.asgi import App, Message
from vstack_runtime.backends import Provider
from vstack_runtime.background import loop_runs
from vstack_runtime.logs import warn_once
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
    patterns: Iterable[AnyPattern] | None = None,
) -> dict[str, Any]:
    """Diagnose a trace by one pattern, under asyncio or trio.

    Args:
        trace: A mapping, a Struct (a ``CanonicalTrace`` is known as such), or JSON as text or bytes; no file.
        pattern: The pattern's name.
        mode: How thorough: 1, 2 or 4 model calls.
        model: The model to ask; ``offline`` for the signals alone.
        format: ``native``: the trace is the pattern's own; ``canonical``: it is the one that every pattern reads.
        baseline: Name of an earlier detection, kept under the settings' home, with which this one is compared.
        settings: By default what the environment says. Keys and quota are for peers; they play no part here.
        provider: Answers model calls, in the place of the one that the settings choose.
        patterns: Those to choose from; by default every installed one, as they are at the first call.

    What it cost is kept as telemetry where the settings have a home, or the environment names one: ``VSTACK_HOME``
    or ``VSTACK_TELEMETRY``. No call writes to ``~/.vstack`` unasked.

    Returns:
        What the service answers: ``pattern``, ``mode``, ``model``, ``detection``, ``cached``, perhaps ``warnings``.

    Raises:
        AnalysisError: With the status, code and message that the service would answer.
        SettingsError: The environment holds a setting that cannot be.
        TypeError: The trace, the settings or the provider is something else; a file, or its name, is no trace.
    """
    body = _asked(trace, {"mode": mode, "model": model, "format": format, "baseline": baseline})
    # Nothing is looked for again, and nothing is made that no single call uses: it should not cost a whole service.
    offered = _loaded(engine.installed_patterns) if patterns is None else patterns
    one = engine.Engine(_chosen(settings), provider=provider, patterns=offered, contributed=(), runtime="library")
    try:
        status, told = await _call(App(one), pattern, body)
    finally:
        await one.aclose()
    answer: dict[str, Any] = msgspec.json.decode(told)
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
    patterns: Iterable[AnyPattern] | None = None,
) -> dict[str, Any]:
    """As ``analyze_async``, with the same arguments, answer and errors, for programs without an event loop.

    Raises:
        AnalysisError: With the status, code and message that the service would answer.
        SettingsError: The environment holds a setting that cannot be.
        TypeError: The trace, the settings or the provider is something else; a file, or its name, is no trace.
        RuntimeError: An event loop runs in this thread; await ``analyze_async`` there.
    """
    if loop_runs():
        raise RuntimeError("an event loop runs in this thread, which a call would hold up: await analyze_async there")
    asked: dict[str, Any] = {"mode": mode, "model": model, "format": format, "baseline": baseline}
    made: dict[str, Any] = {"settings": settings, "provider": provider, "patterns": patterns}

    async def call() -> dict[str, Any]:
        return await analyze_async(trace, pattern=pattern, **asked, **made)

    return anyio.run(call)


@functools.lru_cache(maxsize=1)
def _loaded(load: Callable[[], tuple[AnyPattern, ...]]) -> tuple[AnyPattern, ...]:
    """The installed patterns: to look for them takes longer than to use one, and they are the same for all settings."""
    return load()


def _chosen(settings: Settings | None) -> Settings:
    """The settings of a call."""
    chosen = given_or_read(settings)
    warn_once(chosen.warnings)
    home = chosen.home
    if settings is None and not any(os.environ.get(name) for name in ("VSTACK_HOME", "VSTACK_TELEMETRY")):
        home = msgspec.structs.replace(home, telemetry="off")
    return msgspec.structs.replace(chosen, require_auth=False, rate_limit=(), home=home)


def _asked(trace: Trace, told: dict[str, Any]) -> bytes:
    """The body of the request.

    Raises:
        TypeError: The trace is nothing that can be sent.
    """
    if isinstance(trace, os.PathLike) or hasattr(trace, "read"):
        raise TypeError(f"trace is a {type(trace).__name__}: read the file, and give what is in it")
    if isinstance(trace, CanonicalTrace):
        told["format"] = "canonical"
    fields = {name: value for name, value in told.items() if value is not None}
    if not isinstance(trace, bytes | str):
        try:
            return msgspec.json.encode({"trace": trace, **fields})
        except TypeError as fault:
            raise TypeError(f"trace is a {type(trace).__name__} that holds no JSON alone: {fault}") from None
    try:
        msgspec.json.decode(trace, type=msgspec.Raw)
    except msgspec.DecodeError:
        if isinstance(trace, str) and "{" not in trace:
            told_of = "trace is a text and no JSON; if it names a file, read the file, and give what is in it"
            raise TypeError(told_of) from None
        # By itself: it must not close the body around it, and the service says where it is broken.
        return trace.encode() if isinstance(trace, str) else trace
    return msgspec.json.encode({"trace": msgspec.Raw(trace), **fields})


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
