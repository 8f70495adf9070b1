"""Peers that send slowly, read slowly, or not at all: each dies at its deadline, and nobody beside them notices.

The deadlines are those of ``Limits``, made short. ``SLOW_PEERS=1000`` has as many of each kind; CI has a hundred.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import Line, Runtime, Server, canonical_trace, head
from tests.e2e.test_life import files

PROGRAM = str(Path(__file__).with_name("slow_provider.py"))
PEERS = int(os.environ.get("SLOW_PEERS", "100"))
LIMITS = {"head_timeout": 2.0, "body_timeout": 1.0, "write_timeout": 2.0, "keep_alive_timeout": 2.0}
AAR = "/v1/analyze/aar"
MIB = 1 << 20
# What a connection may cost: buffers of ours and of the allocator. Who reads nothing has an answer waiting too.
KILOBYTES_EACH, KILOBYTES_UNREAD = 64, 1_024
# Files that a server opens in its life and keeps.
KEPT = 8
POST = head("POST", AAR, "Content-Type: application/json", "Content-Length: 5000")

# What a peer sends first, and again and again; where it sends nothing more, it only waits.
PEERS_THAT = {
    "say nothing": (b"", b""),
    "send half a head": (b"GET /livez HTTP/1.1\r\nHost: a", b""),
    "send a head by the byte": (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: ", b"a"),
    "send half a body": (POST + b'{"trace": ', b""),
    "send a body by the byte": (POST + b'{"trace": "', b"a"),
    "send chunks by the byte": (head("POST", AAR, "Transfer-Encoding: chunked"), b"1\r\n{\r\n"),
    "idle": (head("GET", "/livez"), b""),
    "read nothing": (head("GET", "/openapi.json") * 40, b""),
}


def short_deadlines(serve: Serve, runtime: Runtime) -> Server:
    """A server whose deadlines are short."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    return serve(runtime, argv=[sys.executable, PROGRAM, runtime, "0", json.dumps(LIMITS)])


@pytest.fixture
def short(serve: Serve, runtime: Runtime) -> Server:
    return short_deadlines(serve, runtime)


@contextlib.contextmanager
def peers(server: Server, first: bytes) -> Iterator[list[Line]]:
    with contextlib.ExitStack() as stack:
        lines = []
        for _ in range(PEERS):
            line = stack.enter_context(server.connected())
            line.sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                line.sock.send(first)
            lines.append(line)
        yield lines


def drip(lines: list[Line], more: bytes) -> None:
    for line in lines:
        with contextlib.suppress(OSError):
            line.sock.send(more)


def closed(line: Line) -> bool:
    """Whether the server has ended this connection; reads what it said."""
    try:
        while line.sock.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.slow
@pytest.mark.parametrize("kind", PEERS_THAT)
def test_each_dies_at_its_deadline_and_costs_nobody_anything(short: Server, kind: str) -> None:
    first, more = PEERS_THAT[kind]
    good = {"trace": canonical_trace(), "format": "canonical", "mode": "quick"}
    assert short.post(AAR, good).status == 200
    before, open_before = short.rss, files(short)
    with peers(short, first) as lines:
        assert short.until(lambda: files(short) >= open_before + PEERS), f"{files(short)} files"
        unread = kind == "read nothing"
        # Whoever is well is served all the while.
        answered = 0
        left = list(lines)
        # Twice the longest of the deadlines, and the time that an answer lingers.
        end = time.monotonic() + 20.0
        while left and time.monotonic() < end:
            drip(left, more)
            assert short.get("/livez").status == 200
            assert short.post(AAR, good).status == 200
            answered += 1
            if unread:
                # Its receive buffer is full, so that the end cannot reach it.
                left = left if files(short) > open_before + KEPT else []
            else:
                left = [line for line in left if not closed(line)]
            # The pace of those who drip; nothing waits for it.
            select.select([], [], [], 0.1)
        assert not left, f"{len(left)} of {PEERS} are still connected"
        assert answered > 3
        each = KILOBYTES_UNREAD if unread else KILOBYTES_EACH
        assert short.rss - before < max(8 * MIB, PEERS * each * 1024)
    assert short.until(lambda: files(short) <= open_before + KEPT, 10.0)
