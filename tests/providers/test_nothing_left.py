"""After requests that were cut short, by callers who left and by deadlines, a server holds what it held.

CI cancels a thousand of each kind for each driver, which takes most of a minute: CANCELLED_REQUESTS=1000. By default
there are fewer.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from tests.e2e.serving import canonical_trace
from tests.fakes.model_service import Act, FakeServer, serving
from tests.providers.kit import KEY
from vstack_proto.limits import Limits
from vstack_runtime import asyncio_server, hypercorn_server, trio_server
from vstack_runtime.conformance.drivers import Served, ServeDriver
from vstack_runtime.conformance.parts import PATIENCE, wait_until
from vstack_runtime.engine import Engine
from vstack_runtime.settings import Settings

DRIVERS = {
    "asyncio": ServeDriver("asyncio", asyncio_server.serve),
    "trio": ServeDriver("trio", trio_server.serve, backend="trio"),
    "hypercorn": ServeDriver("hypercorn", hypercorn_server.serve),
}
REQUESTS, AT_ONCE = int(os.environ.get("CANCELLED_REQUESTS", "200")), 100
# Both runtimes look names up in threads that they keep for a while, a few at most.
WORKERS = ("asyncio_", "Trio thread")


@contextmanager
def server(name: str, upstream: FakeServer, limits: Limits) -> Iterator[tuple[Served, Engine]]:
    env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": upstream.url}
    engine = Engine(Settings(limits=limits, drain_delay=0.0), env=env)
    one = DRIVERS[name].start(engine)
    try:
        yield one, engine
    finally:
        one.ask_to_stop()
        left = one.wait_ended(PATIENCE)
    assert left == []


def request(number: int) -> bytes:
    """An analysis that no other request shares."""
    asked = {"trace": canonical_trace(goal=f"goal {number}"), "format": "canonical", "mode": "quick"}
    body = json.dumps(asked).encode()
    return b"POST /v1/analyze/aar HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def tasks_at_first(one: Served) -> int:
    """How many tasks there are once the server has answered somebody, and nobody is connected."""
    with closing(socket.create_connection(("127.0.0.1", one.port), PATIENCE)) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        while sock.recv(65_536):
            pass
    return len(one.tasks())


def connected(one: Served, number: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", one.port), PATIENCE)
    sock.sendall(request(number))
    return sock


def leave(sock: socket.socket, number: int) -> None:
    """Half of them say goodbye, half of them break the connection."""
    if number % 2:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait_late(sock: socket.socket, number: int) -> None:
    """Wait for the answer that there will be none in time, and leave."""
    with closing(sock):
        assert sock.recv(65_536).startswith(b"HTTP/1.1 504 ")


def held(one: Served) -> dict[str, list[str]]:
    """What this process holds, and the server's event loop, by name: where it differs, the test tells in what."""
    gc.collect()
    threads = [thread.name for thread in threading.enumerate()]
    return {
        "tasks": sorted(one.tasks()),
        "threads": sorted(name for name in threads if not name.startswith(WORKERS)),
        "descriptors": sorted(
            os.readlink(f"/proc/self/fd/{entry}") for entry in os.listdir("/proc/self/fd") if _open(entry)
        ),
    }


def _open(entry: str) -> bool:
    # The listing itself takes a descriptor, which is closed by now.
    return os.path.lexists(f"/proc/self/fd/{entry}")


def at_rest(one: Served, engine: Engine, upstream: FakeServer, idle: int) -> dict[str, list[str]]:
    """What is held once nothing is under way."""

    def none(metric: str, **labels: str) -> bool:
        return not engine.metrics.registry.get_sample_value(metric, labels)

    wait_until(lambda: not upstream.open, "every upstream call is closed")
    wait_until(lambda: none("vstack_requests_in_flight"), "nothing is in flight")
    wait_until(lambda: none("vstack_connections", state="open"), "every connection is closed")
    wait_until(lambda: len(one.tasks()) <= idle, f"{idle} tasks are left, as before the first request")
    return held(one)


@pytest.mark.slow
@pytest.mark.parametrize("name", DRIVERS)
@pytest.mark.parametrize("end", [leave, wait_late], ids=["callers leave", "deadlines"])
def test_cancelled_requests_leave_nothing(name: str, end: Callable[[socket.socket, int], None]) -> None:
    timeout = 60.0 if end is leave else 0.5
    with serving(Act(hang=True)) as upstream:
        with server(name, upstream, Limits(request_timeout=timeout)) as (one, engine):
            before, idle = dict[str, list[str]](), tasks_at_first(one)
            # The first hundred make what is made on first use.
            for turn in range(REQUESTS // AT_ONCE + 1):
                callers = [connected(one, turn * AT_ONCE + number) for number in range(AT_ONCE)]
                if end is leave:
                    assert upstream.wait_until(lambda n=turn + 1: len(upstream.asked) >= n * AT_ONCE)
                for number, caller in enumerate(callers):
                    end(caller, number)
                if not turn:
                    before = at_rest(one, engine, upstream, idle)
            after = at_rest(one, engine, upstream, idle)
            assert sum(thread.name.startswith(WORKERS) for thread in threading.enumerate()) <= 64
        # Of those whose time is short, not all come so far as to ask; those who leave have been seen to.
        assert upstream.opened >= REQUESTS // 2
    assert after == before
