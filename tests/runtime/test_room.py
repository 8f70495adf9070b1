"""As many connections as leave descriptors for the rest, and what becomes of the others."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from vstack_runtime import asyncio_server, hypercorn_server, trio_server
from vstack_runtime.conformance.drivers import ServeDriver
from vstack_runtime.conformance.kit import request
from vstack_runtime.conformance.parts import PATTERN
from vstack_runtime.engine import Engine
from vstack_runtime.listening import listen
from vstack_runtime.room import KEPT, LOG_SECONDS, Listener, Room
from vstack_runtime.settings import Settings

PATIENCE = 20.0


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Have the process open no more files: a stand-in for files that are no connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def listening(room: Room) -> Iterator[Listener]:
    (sock,) = listen("127.0.0.1", 0)
    with Listener(sock, room) as listener:
        listener.setblocking(False)
        yield listener


def ended(sock: socket.socket) -> bool:
    sock.settimeout(PATIENCE)
    return sock.recv(1) == b""


@pytest.mark.parametrize(("allowed", "most"), [(100, 75), (1_024, 768), (1 << 20, (1 << 20) - KEPT)])
def test_a_quarter_is_kept_and_no_more_than_enough(allowed: int, most: int) -> None:
    room = Room(allowed)
    assert room.has(most - 1)
    assert not room.has(most)


def test_the_log_is_told_once_a_minute_and_how_many_there_were() -> None:
    now = 10_000.0
    room = Room(100, lambda: now)
    with capture_logs() as lines:
        for _ in range(3):
            assert not room.has(75)
        now += LOG_SECONDS
        assert not room.has(75)
    assert [(line["refused"], line["most"]) for line in lines] == [(1, 75), (3, 75)]


def test_a_listener_lets_go_of_those_for_whom_there_is_no_room() -> None:
    with listening(Room(4)) as listener, socket.create_connection(listener.getsockname()) as caller:
        # No descriptor of this process is as low as that.
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert ended(caller)


def test_a_listener_lets_go_of_those_for_whom_there_is_no_descriptor() -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listening(Room()))
        callers = [stack.enter_context(socket.create_connection(listener.getsockname())) for _ in range(70)]
        late = stack.enter_context(socket.socket())
        with no_descriptor_left():
            for _ in range(2):  # so many in a turn, then others have theirs
                with pytest.raises(BlockingIOError):
                    listener.accept()
            assert all(ended(caller) for caller in callers)
            late.connect(listener.getsockname())
        taken, _ = listener.accept()
        with taken:
            assert taken.getpeername() == late.getsockname()


def test_a_listener_gives_back_what_it_has_in_reserve() -> None:
    def numbers() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    before = numbers()
    with listening(Room()):
        pass
    with listening(Room()) as listener:
        os.close(listener.detach())
    assert numbers() == before


def answer(sock: socket.socket) -> bool:
    """Whether a probe is answered on this connection, which is then over."""
    with sock:
        sock.settimeout(PATIENCE)
        sock.sendall(request("/livez", "Connection: close"))
        return sock.recv(65_536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "driver",
    [
        ServeDriver("asyncio", asyncio_server.serve),
        ServeDriver("trio", trio_server.serve, backend="trio"),
        ServeDriver("hypercorn", hypercorn_server.serve),
    ],
    ids=lambda driver: driver.name,
)
def test_a_server_without_descriptors_lives_and_serves_once_it_has_them(driver: ServeDriver) -> None:
    server = driver.start(Engine(Settings(drain_delay=0.0), patterns=[PATTERN], env={}))
    try:
        # Hypercorn says that it listens before it has begun to take connections.
        assert answer(socket.create_connection(("127.0.0.1", server.port)))
        with socket.socket() as early, socket.socket() as late:
            early.settimeout(PATIENCE)
            with no_descriptor_left():
                early.connect(("127.0.0.1", server.port))
                if driver.name != "trio":
                    assert ended(early)
            if driver.name == "trio":  # who leaves it waiting
                assert answer(early)
            late.connect(("127.0.0.1", server.port))
            assert answer(late)
    finally:
        server.ask_to_stop()
        assert server.wait_ended(PATIENCE) == []
