"""Floods of connections: of those that leave at once, and of more than the process has descriptors for."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterator
from itertools import product

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import Runtime, Server, command, head
from tests.e2e.test_life import files
from tests.e2e.test_slow_peers import KEPT, MIB, PROGRAM

CONNECTIONS = int(os.environ.get("FLOOD", "1000"))
ALLOWED = 128
REFUSED = "too few descriptors for more connections"
RESET = struct.pack("ii", 1, 0)
# Seconds of processor time for each connection of a flood, on average. To try in vain again and again costs far more.
CPU_EACH = 0.0005


@contextlib.contextmanager
def flood(server: Server, number: int) -> Iterator[list[socket.socket]]:
    """As many connections that say nothing."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20.0)) for _ in range(number)]


@pytest.mark.slow
@pytest.mark.parametrize("said", [b"", b"GET /livez HT", head("GET", "/livez")], ids=["nothing", "half", "all"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_who_leaves_at_once_costs_nothing(shared: Server, said: bytes, reset: bool) -> None:
    assert shared.get("/livez").status == 200
    open_before, before, cpu = files(shared), shared.rss, shared.cpu
    for _ in range(CONNECTIONS // 5):
        with socket.create_connection(("127.0.0.1", shared.port), 20.0) as sock:
            sock.sendall(said)
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    assert shared.get("/livez").status == 200
    assert shared.until(lambda: files(shared) <= open_before + KEPT, 10.0)
    assert shared.rss - before < 8 * MIB
    assert shared.cpu - cpu < CONNECTIONS * CPU_EACH


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "plain"), [("trio", False), *product(("asyncio", "hypercorn"), (False, True))])
def test_more_connections_than_descriptors(serve: Serve, runtime: Runtime, plain: bool) -> None:
    # The console script has asyncio run on uvloop, where that is installed.
    argv = [sys.executable, PROGRAM, runtime, "0"] if plain else command(runtime)
    # The program takes the shell's place, and its number.
    server = serve(runtime, argv=["sh", "-c", f'ulimit -n {ALLOWED} && exec "$@"', "sh", *argv])
    open_before, before, cpu = files(server), server.rss, server.cpu
    with flood(server, CONNECTIONS) as socks:
        for sock in socks:
            sock.setblocking(False)
        # Those for whom there is no room are let go, and the others stay.
        left = [*socks]

        def no_more() -> bool:
            nonlocal left
            left = [sock for sock in left if not ended(sock)]
            return len(left) < ALLOWED

        assert server.until(no_more), f"{len(left)} of {CONNECTIONS} are still connected"
        assert len(left) > ALLOWED // 2
        # What the service needs for itself is there all along.
        assert files(server) < ALLOWED - ALLOWED // 8
    assert server.until(lambda: files(server) <= open_before + KEPT)
    assert server.get("/livez").status == 200
    assert [line["level"] for line in server.log if line["event"] == REFUSED] == ["warning"]
    assert server.rss - before < 8 * MIB
    assert server.cpu - cpu < CONNECTIONS * CPU_EACH


def ended(sock: socket.socket) -> bool:
    """Whether the server has closed this connection."""
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
