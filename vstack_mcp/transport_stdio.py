"""stdio: lines between a session and two file descriptors, and its calls as exchanges of the ASGI driver.

The first answers go out before the patterns and an event loop are loaded; a thread loads them meanwhile. Reading and
writing have a thread each: neither a peer that does not read nor a computation keeps the other side waiting.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vstack_mcp.messages import error
from vstack_mcp.opening import About
from vstack_mcp.revisions import INTERNAL_ERROR, ProtocolFault
from vstack_mcp.session import (
    GRACE_SECONDS,
    AnyEvent,
    AwaitGrace,
    BeginCall,
    BytesReceived,
    CallTold,
    CancelCall,
    GraceEnded,
    InputEnded,
    LoadOffer,
    OfferLoaded,
    Report,
    SendLine,
    Session,
)

# What the engine is made of takes half a second to import: only types of it are named here.
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TaskGroup

    from vstack_mcp.offer import Offer
    from vstack_runtime.asgi import App

READ_BYTES = 65_536
# Reads that may wait for the session, and bytes that may wait for the peer, before nothing more is read.
MAX_READS = 64
MAX_UNWRITTEN = 8 << 20
# For the last lines to go out and for calls to be given up; the peer may have stopped reading, and a model service may
# be slow to let go. Then the process ends all the same.
FLUSH_SECONDS = 0.3
_ENDING = (signal.SIGTERM, signal.SIGINT)

Load = Callable[[], "Loaded"]


class Loaded:
    """What a load brings."""

    def __init__(self, app: App, offer: Offer, max_body_bytes: int) -> None:
        """
        Args:
            app: Runs exchanges; its only route is that of ``vstack_mcp.stdio_calls``.
            offer: Answers the rest.
            max_body_bytes: The limit for the body of an analysis.
        """
        self.app = app
        self.offer = offer
        self.max_body_bytes = max_body_bytes


class Outbox:
    """Lines on their way to a file descriptor, written by a thread of their own."""

    def __init__(self, fd: int, broken: Callable[[], None]) -> None:
        """
        Args:
            fd: Where they go.
            broken: Told when nobody reads there any more.
        """
        self._fd = fd
        self._broken = broken
        self._unwritten = bytearray()
        self._writing = False
        self._changed = threading.Condition()

    def send(self, line: bytes) -> None:
        """Write a line, now or when the peer takes it."""
        with self._changed:
            self._unwritten += line + b"\n"
            self._changed.notify_all()

    def run(self) -> None:
        """Write for as long as the process lives."""
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._unwritten)
                data, self._unwritten, self._writing = self._unwritten, bytearray(), True
            try:
                while data:
                    del data[: os.write(self._fd, data)]
            except OSError:
                self._broken()
                return

    def wait_below(self, size: int, seconds: float | None = None) -> None:
        """Wait until fewer bytes than ``size`` are still to be written."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._unwritten) + self._writing < size, seconds)


class Stdio:
    """One session over two file descriptors."""

    def __init__(self, reads: int, writes: int, about: About, load: Load, max_body_bytes: int) -> None:
        """
        Args:
            reads: Where the peer's lines come from.
            writes: Where ours go; nothing else may be written there.
            about: Who serves.
            load: Brings what calls need. It runs in a thread.
            max_body_bytes: The limit that holds until it is loaded.
        """
        self._session = Session(about, max_body_bytes)
        self._reads = reads
        self._load = load
        self._loaded: Loaded | None = None
        self._failed: BaseException | None = None
        self._finished = False
        self._outbox = Outbox(writes, lambda: self._tell(InputEnded()))
        self._may_read = threading.Semaphore(MAX_READS)
        # Events come from threads; where they go changes once there is a loop.
        self._lock = threading.Lock()
        self._events: queue.SimpleQueue[AnyEvent] = queue.SimpleQueue()
        self._loop: AbstractEventLoop | None = None
        self._tasks: TaskGroup | None = None
        self._calls: dict[int, Any] = {}
        self._done: Any = None

    def run(self) -> int:
        """Serve until the peer closes its end, or SIGTERM.

        Returns:
            The exit code. Threads may still wait for their descriptors: leave by ``os._exit``.

        Raises:
            Exception: Whatever ``load`` has raised.
        """
        # Threads begun from here on have them blocked as well; one of them waits for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        for work in (self._heed_signals, self._read, self._outbox.run):
            threading.Thread(target=work, daemon=True).start()
        while not self._finished and self._loaded is None and self._failed is None:
            self._handle(self._events.get())
        if self._failed is not None:
            raise self._failed
        if not self._finished:
            self._run_loop()
        self._outbox.wait_below(1, FLUSH_SECONDS)
        return 0

    # Threads.

    def _heed_signals(self) -> None:
        # A handler of Python's runs in the main thread, once that has something to run: one that comes just as it
        # begins to wait would be heard with the next line of the peer, or never.
        while True:
            signal.sigwait(_ENDING)
            self._tell(GraceEnded())

    def _read(self) -> None:
        while True:
            self._may_read.acquire()
            self._outbox.wait_below(MAX_UNWRITTEN)
            try:
                data = os.read(self._reads, READ_BYTES)
            except OSError:
                data = b""
            if not data:
                self._tell(InputEnded())
                return
            self._tell(BytesReceived(data))

    def _fetch(self) -> None:
        try:
            self._loaded = self._load()
        except BaseException as error:
            self._failed = error
        self._tell(OfferLoaded())

    def _tell(self, event: AnyEvent) -> None:
        """Take an event, in whichever thread."""
        with self._lock:
            if self._loop is None:
                self._events.put(event)
            else:
                self._loop.call_soon_threadsafe(self._handle, event)

    # The session.

    def _handle(self, event: AnyEvent) -> None:
        if self._finished or self._failed is not None:
            return
        if isinstance(event, BytesReceived):
            self._may_read.release()
        if isinstance(event, OfferLoaded) and self._loop is None:
            return  # told again once there is a loop for the calls that follow
        for command in self._session.handle(event):
            if isinstance(command, SendLine):
                self._outbox.send(command.data)
            elif isinstance(command, BeginCall):
                self._begin(command)
            elif isinstance(command, CancelCall):
                self._calls[command.call].set()
            elif isinstance(command, LoadOffer):
                threading.Thread(target=self._fetch, daemon=True).start()
            elif isinstance(command, AwaitGrace):
                _after(GRACE_SECONDS, lambda: self._tell(GraceEnded()))
            elif isinstance(command, Report):
                self._report(command)
            else:
                self._finished = True
                _after(FLUSH_SECONDS, lambda: os._exit(0))
                if self._done is not None:
                    self._done.set()

    def _report(self, command: Report) -> None:
        from vstack_runtime.logs import get_logger

        get_logger().error("a request could not be answered", fault=command.fault)

    # With an event loop.

    def _run_loop(self) -> None:
        import asyncio

        asyncio.run(self._serve())

    async def _serve(self) -> None:
        import asyncio

        assert self._loaded is not None
        self._session.serve(self._loaded.offer, self._loaded.max_body_bytes)
        self._done = asyncio.Event()
        async with asyncio.TaskGroup() as self._tasks:
            with self._lock:
                self._loop = asyncio.get_running_loop()
            self._handle(OfferLoaded())
            while not self._events.empty():
                self._handle(self._events.get())
            if not self._finished:
                await self._done.wait()
        self._loaded.app.performer.flush()
        await self._loaded.app.engine.aclose()

    def _begin(self, command: BeginCall) -> None:
        import asyncio

        assert self._tasks is not None
        left = self._calls[command.call] = asyncio.Event()
        self._tasks.create_task(self._call(command, left))

    async def _call(self, command: BeginCall, left: Any) -> None:
        """One exchange, as a host server would run it; ``left`` is set when the peer wants no answer any more."""
        from vstack_mcp.stdio_calls import FIELD, PATH, field

        assert self._loaded is not None
        messages = [{"type": "http.request", "body": command.message, "more_body": False}]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH,
            "query_string": b"",
            "headers": [
                (b"host", b"stdio"),
                (b"content-length", str(len(command.message)).encode()),
                (FIELD.encode(), field(command.context)),
            ],
            "client": None,
        }

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        unended = bytearray()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and not left.is_set():
                # A part ends where the driver cuts it; a line where it has its break, and the last one with the answer.
                *lines, rest = message["body"].split(b"\n")
                for line in lines:
                    self._handle(CallTold(command.call, bytes(unended + line), last=False))
                    unended.clear()
                unended.extend(rest)
                if not message.get("more_body", False):
                    self._handle(CallTold(command.call, bytes(unended), last=True))

        try:
            await self._loaded.app(scope, receive, send)
        except Exception:
            # The driver has logged it. Whoever asked must not wait for good.
            fault = ProtocolFault(INTERNAL_ERROR, "a fault of the service; it has been logged")
            self._handle(CallTold(command.call, error(command.context.id, fault), last=True))
        finally:
            del self._calls[command.call]


def _after(seconds: float, act: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
