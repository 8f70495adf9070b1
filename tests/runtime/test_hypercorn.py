"""What only hypercorn brings: HTTP/2, with TLS and without, beside HTTP/1.1 that our own machine reads."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from tests.conftest import Service
from vstack_proto.limits import Limits
from vstack_runtime import hypercorn_server
from vstack_runtime.conformance.drivers import Served, ServeDriver
from vstack_runtime.conformance.kit import analysis, analysis_body, request
from vstack_runtime.conformance.parts import ANALYZE, PATTERN, GatedProvider, wait_until
from vstack_runtime.engine import Engine
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import Settings

PATIENCE = 20.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Peer2:
    """A client in HTTP/2."""

    def __init__(self, sock: socket.socket, *, piecemeal: bool = False) -> None:
        self.sock = sock
        self.streams: dict[int, bytes] = {}
        self.statuses: dict[int, bytes] = {}
        self.done: set[int] = set()
        self._machine = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self._machine.initiate_connection()
        first = self._machine.data_to_send()
        for part in (first[at : at + 1] for at in range(len(first))) if piecemeal else (first,):
            sock.sendall(part)

    def ask(self, path: str, body: bytes = b"") -> int:
        """Send a request, a POST where it has a body; the number of its stream."""
        stream = self._machine.get_next_available_stream_id()
        head = [(":method", "POST" if body else "GET"), (":path", path), (":scheme", "http"), (":authority", "a")]
        self._machine.send_headers(stream, head, end_stream=not body)
        if body:
            self._machine.send_data(stream, body, end_stream=True)
        self.sock.sendall(self._machine.data_to_send())
        return stream

    def answer(self, stream: int) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        while stream not in self.done:
            assert self.take(), "closed without an answer"
        return int(self.statuses[stream]), self.streams[stream]

    def take(self) -> bool:
        """Take what comes next; False at the end."""
        data = self.sock.recv(65_536)
        for event in self._machine.receive_data(data) if data else ():
            if isinstance(event, h2.events.ResponseReceived):
                self.statuses[event.stream_id] = dict(event.headers)[b":status"]
                self.streams[event.stream_id] = b""
            elif isinstance(event, h2.events.DataReceived):
                self.streams[event.stream_id] += event.data
            elif isinstance(event, h2.events.StreamEnded):
                self.done.add(event.stream_id)
        return bool(data)


Start = Callable[..., Served]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Served] = []

    def begin(limits: Limits = Limits(), **parts: Any) -> Served:  # noqa: B008
        engine = Engine(Settings(limits=limits, drain_delay=0.0), patterns=[PATTERN], env={}, **parts)
        one = ServeDriver("hypercorn", hypercorn_server.serve).start(engine)
        running.append(one)
        return one

    yield begin
    for one in running:
        one.ask_to_stop()
        assert one.wait_ended(PATIENCE) == []


@contextlib.contextmanager
def connected(server: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
        yield sock


def everything(sock: socket.socket) -> bytes:
    """All that comes until the connection ends."""
    parts = []
    while part := sock.recv(65_536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("piecemeal", [False, True])
def test_who_begins_in_http2_is_answered_in_it(start: Start, piecemeal: bool) -> None:
    server = start()
    with connected(server) as one, connected(server) as two:
        one.sendall(request("/livez", "Connection: close"))
        plain = everything(one).partition(b"\r\n\r\n")[2]
        peer = Peer2(two, piecemeal=piecemeal)
        for _ in range(2):
            assert peer.answer(peer.ask("/livez")) == (200, plain)


def test_equal_requests_are_one_whatever_they_come_over(start: Start) -> None:
    provider = GatedProvider()
    server = start(provider=provider)
    with connected(server) as one, connected(server) as two:
        one.sendall(analysis("equal", "Connection: close", model=None))
        wait_until(lambda: provider.gate.came == 1, "the first is under way")
        peer = Peer2(two)
        stream = peer.ask(ANALYZE, analysis_body("equal", model=None))
        assert peer.answer(peer.ask("/livez"))[0] == 200
        provider.gate.open()
        status, body = peer.answer(stream)
        assert (status, body) == (200, everything(one).partition(b"\r\n\r\n")[2])
    assert provider.gate.came == 1


def test_connections_in_http2_are_counted(start: Start) -> None:
    provider = GatedProvider()
    server = start(provider=provider)

    def told() -> dict[bytes, float]:
        """By state; who asks for the page is open, and active."""
        with connected(server) as asking:
            asking.sendall(request("/metrics", "Connection: close"))
            found = re.findall(rb'vstack_connections\{state="([a-z]+)"\} ([0-9.]+)', everything(asking))
        return {state: float(number) for state, number in found}

    with connected(server) as one, connected(server) as two:
        idle, busy = Peer2(one), Peer2(two)
        for peer in (idle, busy):
            assert peer.answer(peer.ask("/livez"))[0] == 200
        wait_until(lambda: told() == {b"open": 3, b"active": 1, b"idle": 2}, "both are idle")
        stream = busy.ask(ANALYZE, analysis_body("held", model=None))
        wait_until(lambda: provider.gate.came == 1, "it is under way")
        wait_until(lambda: told() == {b"open": 3, b"active": 2, b"idle": 1}, "one of them is active")
        provider.gate.open()
        assert busy.answer(stream)[0] == 200
        wait_until(lambda: told() == {b"open": 3, b"active": 1, b"idle": 2}, "both are idle again")
    wait_until(lambda: told() == {b"open": 1, b"active": 1, b"idle": 0}, "both are gone")


@pytest.mark.parametrize("almost", [PREFACE[:-1] + b"x", b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n"])
def test_what_only_looks_like_http2_at_first_is_refused(start: Start, almost: bytes) -> None:
    with connected(start()) as sock:
        sock.sendall(almost)
        assert everything(sock).startswith(b"HTTP/1.1 505 ")


@pytest.mark.parametrize("part", [b"", PREFACE[:7], PREFACE])
def test_who_leaves_at_once_is_not_waited_for(start: Start, part: bytes) -> None:
    with connected(start()) as sock:
        sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        assert b"HTTP/1.1 2" not in everything(sock)


def test_an_idle_connection_in_http2_ends_with_the_service(start: Start) -> None:
    server = start()
    with connected(server) as sock:
        peer = Peer2(sock)
        assert peer.answer(peer.ask("/livez"))[0] == 200
        server.ask_to_stop()
        while peer.take():
            pass


def test_who_asks_in_http2_and_reads_nothing_does_not_keep_its_answer_in_memory(start: Start) -> None:
    limits = Limits(write_timeout=0.1)
    # More than the window of a stream, which this peer never widens.
    server = start(limits, provider=ScriptedProvider(['{"verdict": "%s"}' % ("x" * 200_000)]))
    with connected(server) as sock:
        peer = Peer2(sock)
        stream = peer.ask(ANALYZE, analysis_body(model=None))
        while len(peer.streams.get(stream, b"")) < 65_535:
            assert peer.take()
        server.ask_to_stop()
        # It waits for requests in flight, for two minutes if need be: this one is in flight no more.
        assert server.wait_ended(PATIENCE) == []
    assert stream not in peer.done


@pytest.fixture
def trusted(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Has hypercorn speak TLS, and gives what a client needs for it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=a -addext subjectAltName=DNS:a"
    argv = [service("openssl"), *made.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True, timeout=PATIENCE)
    configuration = hypercorn_server.configuration

    def with_tls(engine: Engine, listeners: Sequence[socket.socket]) -> Any:
        config = configuration(engine, listeners)
        config.certfile, config.keyfile = str(certificate), str(key)
        return config

    monkeypatch.setattr(hypercorn_server, "configuration", with_tls)
    return ssl.create_default_context(cafile=str(certificate))


def test_with_tls_both_are_spoken(start: Start, trusted: ssl.SSLContext) -> None:
    server = start()
    with connected(server) as raw, trusted.wrap_socket(raw, server_hostname="a") as sock:
        sock.sendall(request("/livez", "Connection: close"))
        head, _, plain = everything(sock).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"strict-transport-security" in head
    trusted.set_alpn_protocols(["h2"])
    with connected(server) as raw, trusted.wrap_socket(raw, server_hostname="a") as sock:
        assert sock.selected_alpn_protocol() == "h2"
        peer = Peer2(sock)
        assert peer.answer(peer.ask("/livez")) == (200, plain)
