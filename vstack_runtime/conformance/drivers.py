"""Drivers as ``vstack_runtime.conformance`` takes them: any ``serve``, in a thread of its own, over loopback."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Literal

import anyio
import trio

from vstack_runtime.background import from_any_thread
from vstack_runtime.conformance.kit import Driver, Wire
from vstack_runtime.conformance.parts import PATIENCE
from vstack_runtime.engine import Engine
from vstack_runtime.stopping import Stopping

Serve = Callable[[Engine, str, int, Stopping], Awaitable[None]]
Backend = Literal["asyncio", "trio"]


class SocketWire:
    """A TCP connection over loopback."""

    def __init__(self, port: int) -> None:
        # Before it connects, since the window is agreed on then: a small one makes a peer that does not read felt soon.
        self._socket = socket.socket()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(PATIENCE)
            self._socket.connect(("127.0.0.1", port))
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes) -> None:
        """Send all of this."""
        self._socket.sendall(data)

    def receive(self, seconds: float) -> bytes:
        """What has come."""
        self._socket.settimeout(seconds)
        return self._socket.recv(65_536)

    def half_close(self) -> None:
        """Send no more."""
        self._socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Reset the connection."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Served:
    """A server in a thread of its own."""

    def __init__(self, engine: Engine, serve: Serve, backend: Backend) -> None:
        self._engine = engine
        self._serve = serve
        self._backend = backend
        self._stopping: Stopping | None = None
        self._listens = threading.Event()
        self._failure: BaseException | None = None
        self._left: list[str] = []
        self.port = 0
        self._thread = threading.Thread(target=self._run, name=f"vstack {backend}")
        self._thread.start()
        if not self._listens.wait(PATIENCE):
            raise TimeoutError("the server never said that it listens")
        self._raise_failure()

    def connect(self) -> Wire:
        """A new connection."""
        return SocketWire(self.port)

    def tasks(self) -> set[str]:
        """The tasks of its event loop, by name, as they are now."""
        found, told = set[str](), threading.Event()

        def look() -> None:
            found.update(_tasks(self._backend))
            told.set()

        self._call(look)
        if not told.wait(PATIENCE):
            raise TimeoutError("the server's event loop does not turn")
        return found

    def ask_to_stop(self) -> None:
        """Ask the server to end."""
        assert self._stopping is not None
        self._call(self._stopping.ask)  # a loop that has ended has nothing left to stop

    def wait_ended(self, seconds: float) -> list[str]:
        """Wait until it has ended, and name the tasks that it left behind."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TimeoutError(f"the server has not ended within {seconds:g} s")
        self._raise_failure()
        return self._left

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            anyio.run(self._main, backend=self._backend)
        except BaseException as failure:
            self._failure = failure
            self._listens.set()

    async def _main(self) -> None:
        self._call = from_any_thread()
        self._stopping = Stopping(self._listening)
        before = _tasks(self._backend)
        await self._serve(self._engine, "127.0.0.1", 0, self._stopping)
        # One turn, in which what was cancelled last comes to its end.
        await anyio.lowlevel.checkpoint()
        self._left = sorted(_tasks(self._backend) - before)

    def _listening(self, port: int) -> None:
        self.port = port
        self._listens.set()


def _tasks(backend: Backend) -> set[str]:
    """The tasks of this event loop, by name."""
    if backend == "asyncio":
        return {task.get_name() for task in asyncio.all_tasks()}
    found, roots = set(), [trio.lowlevel.current_root_task()]
    while roots:
        task = roots.pop()
        if task is not None:
            found.add(f"{task.name} {id(task)}")
            roots += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


class ServeDriver:
    """A driver made of a coroutine function like ``vstack_runtime.asyncio_server.serve``.

    Attributes:
        name: For messages.
        owns_wire: Whether it frames requests itself.
    """

    def __init__(self, name: str, serve: Serve, *, backend: Backend = "asyncio", owns_wire: bool = True) -> None:
        """
        Args:
            name: For messages.
            serve: Takes the engine, a host, a port (0 takes a free one) and when to stop.
            backend: What it runs on.
            owns_wire: Whether it frames requests itself.
        """
        self.name = name
        self.owns_wire = owns_wire
        self._serve = serve
        self._backend: Backend = backend

    def start(self, engine: Engine) -> Served:
        """Serve the engine in a thread of its own."""
        return Served(engine, self._serve, self._backend)


def reference() -> Driver:
    """The driver that others are compared with."""
    from vstack_runtime import asyncio_server

    return ServeDriver("asyncio", asyncio_server.serve)


def bundled() -> tuple[Driver, ...]:
    """The drivers that come with vstack."""
    from vstack_runtime import hypercorn_server, trio_server
    from vstack_runtime.conformance.memory import AsgiDriver

    return (
        reference(),
        ServeDriver("trio", trio_server.serve, backend="trio"),
        ServeDriver("hypercorn", hypercorn_server.serve),
        AsgiDriver("asyncio"),
        AsgiDriver("trio"),
    )
