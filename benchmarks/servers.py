"""A server in a process of its own: ``python -m benchmarks.servers KIND LOOP``.

It tells its port on stdout, and ends when its stdin does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from benchmarks import bare_h11
from benchmarks.bare_h11 import EncodedHeaders, encoded_headers
from benchmarks.rig import answer_of
from benchmarks.workload import KEY, small
from vstack_runtime.settings import Settings

BARE_H11, BARE_HYPERCORN = "bare h11", "bare hypercorn"
# The same with every header field that we send, to tell what those alone cost.
WITH_FIELDS = ", our header fields"
# Ours, with every exchange taped as far as the defaults allow.
TAPED = ", taped"
TAPES_FOLDER = "BENCHMARK_TAPES"
KINDS = (
    BARE_H11,
    BARE_H11 + WITH_FIELDS,
    BARE_HYPERCORN,
    BARE_HYPERCORN + WITH_FIELDS,
    "asyncio",
    "trio",
    "hypercorn",
)
# Keys, quota, cache and a line of log for each request; the quota is never used up, for a refusal would be cheaper.
SETTINGS = {
    "VSTACK_API_KEYS": f"bench={KEY}",
    "VSTACK_API_RATE_LIMIT": "100000000/60",
    "VSTACK_CACHE": "memory",
    "VSTACK_LLM": "offline",
    "VSTACK_LOG_LEVEL": "info",
}


STORES = ("VSTACK_CACHE", "VSTACK_RATE_LIMIT_STORE")


def _tell(port: int) -> None:
    print(port, flush=True)


async def _serve_bare_h11(headers: EncodedHeaders, body: bytes) -> None:
    server, port = await bare_h11.serve(headers, body)
    _tell(port)
    await server.serve_forever()


async def _serve_bare_hypercorn(headers: EncodedHeaders, body: bytes) -> None:
    """Hypercorn as it comes, and an app that reads the body and answers."""
    import hypercorn.asyncio
    import hypercorn.config

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            # No startup or shutdown to take part in.
            raise NotImplementedError
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    with _listener() as listener:
        _tell(listener.getsockname()[1])
        config = hypercorn.config.Config()
        config.bind = [f"fd://{listener.fileno()}"]
        # Where the answer has a date already, as ours has, hypercorn need not add one.
        config.include_date_header = config.include_server_header = not any(name == b"date" for name, _ in headers)
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)


def _listener() -> Any:
    import socket

    return socket.create_server(("127.0.0.1", 0), backlog=2048)


def _ours(kind: str) -> Callable[[], Coroutine[Any, Any, None]]:
    """The server of a runtime, put together as ``vstack-api serve`` does."""
    import importlib

    from vstack_runtime.engine import Engine
    from vstack_runtime.logs import configure
    from vstack_runtime.serving import settle
    from vstack_runtime.stopping import Stopping

    tapes = {"VSTACK_TAPE": os.environ[TAPES_FOLDER]} if kind.endswith(TAPED) else {}
    kind = kind.removesuffix(TAPED)
    # Stores in other places than this process, where whoever starts it says so.
    elsewhere = {name: value for name in STORES if (value := os.environ.get(name))}
    settings = Settings.from_env({**SETTINGS, **tapes, **elsewhere})
    configure(settings.log_level, settings.log_format)
    module: Any = importlib.import_module(f"vstack_runtime.{kind}_server")

    def listening(port: int) -> None:
        settle()
        _tell(port)

    async def run() -> None:
        await module.serve(Engine(settings, runtime=kind), "127.0.0.1", 0, Stopping(listening))

    return run


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main(kind: str, loop: str) -> None:
    """Serve until stdin ends."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    answer = answer_of(small())
    headers = encoded_headers(answer, all_of_them=kind.endswith(WITH_FIELDS))
    if kind == "trio":
        import trio

        trio.run(_ours(kind))
        return
    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        if kind.startswith(BARE_H11):
            runner.run(_serve_bare_h11(headers, answer.body))
        elif kind.startswith(BARE_HYPERCORN):
            runner.run(_serve_bare_hypercorn(headers, answer.body))
        else:
            runner.run(_ours(kind)())


if __name__ == "__main__":
    main(*sys.argv[1:])
