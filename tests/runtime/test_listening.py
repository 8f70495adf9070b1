"""Listening at every address of a host, and the quiet before the end."""

from __future__ import annotations

import select
import socket
import sys
import time
from pathlib import Path
from typing import cast

import anyio
import pytest

from vstack_runtime.listening import Filtered, inherited, listen, port_of, prepare, quiet, reset_at_close

# For what the system does in its own time.
PATIENCE = 20.0


def test_a_free_port_is_the_same_at_every_address() -> None:
    sockets = listen("localhost", 0)
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        assert port_of(sockets) > 0
    finally:
        for sock in sockets:
            sock.close()


def test_an_address_that_is_taken_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_a_socket_is_handed_down_by_its_number() -> None:
    (sock,) = listen("127.0.0.1", 0)
    (again,) = inherited([sock.detach()])
    with again, socket.create_connection(("127.0.0.1", port_of([again]))) as caller:
        assert caller.getpeername() == again.getsockname()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_was_let_in_is_taken_and_nobody_new_is_let_in(backend: str) -> None:
    (sock,) = listen("127.0.0.1", 0)
    with sock, socket.create_connection(sock.getsockname()) as early:
        anyio.run(quiet, [sock], backend=backend)
        with socket.socket() as late:
            late.settimeout(0.1)
            with pytest.raises(TimeoutError):
                late.connect(sock.getsockname())
        taken, peer = sock.accept()
        with taken:
            assert peer == early.getsockname()
            early.sendall(b"heard")
            assert taken.recv(5) == b"heard"


def fill(sock: socket.socket) -> int:
    """Send as much as the system takes; how much that is."""
    sock.setblocking(False)
    taken = 0
    while True:
        try:
            taken += sock.send(bytes(65_536))
        except BlockingIOError:
            return taken


def everything(sock: socket.socket) -> bytes:
    told = b""
    while part := sock.recv(65_536):
        told += part
    return told


@pytest.mark.skipif(sys.platform != "linux", reason="the options are those of Linux")
def test_the_system_takes_little_for_who_reads_nothing_and_gives_them_up() -> None:
    (sock,) = listen("127.0.0.1", 0)
    prepare([sock], 0.2)
    with sock, socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.connect(sock.getsockname())
        taken, _ = sock.accept()
        with taken:
            # Of 4 MB that it would take by itself.
            assert fill(taken) < 400_000
        # Closed, it says so behind all that was sent, which the peer may leave untaken for as long as it likes.
        ends = f":{port_of([sock]):04X} 0100007F:{peer.getsockname()[1]:04X} "
        end = time.monotonic() + PATIENCE
        while ends in Path("/proc/net/tcp").read_text() and time.monotonic() < end:
            pass
        peer.settimeout(PATIENCE)
        with pytest.raises(ConnectionResetError):
            everything(peer)


def test_a_reset_reaches_a_peer_that_reads_nothing() -> None:
    (sock,) = listen("127.0.0.1", 0)
    with sock, socket.create_connection(sock.getsockname()) as peer:
        taken, _ = sock.accept()
        with taken:
            fill(taken)
            reset_at_close(cast("Filtered", taken))
        watch = select.poll()
        watch.register(peer, select.POLLERR)
        assert watch.poll(PATIENCE * 1_000)


def test_what_is_no_socket_is_not_reset() -> None:
    reset_at_close(None)
