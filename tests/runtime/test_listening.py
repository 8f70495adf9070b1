"""Listening at every address of a host, and the quiet before the end."""

from __future__ import annotations

import socket

import anyio
import pytest

from vstack_runtime.listening import inherited, listen, port_of, quiet


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
