"""The trio driver: a nursery for each connection, and what is done for all of them."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import trio

from vstack_proto.events import ListenersClosed, PeerLeft, ShutdownAsked
from vstack_runtime.draining import finish, stop_taking
from vstack_runtime.engine import Engine
from vstack_runtime.listening import listen, prepare
from vstack_runtime.performer import Performer
from vstack_runtime.room import NONE_LEFT, Room
from vstack_runtime.stopping import FLUSH_SECONDS, Stopping
from vstack_runtime.trio_line import TrioLine

# Until it is tried again to take a connection, where no descriptor was left for it.
_RETRY_SECONDS = 0.1


class TrioServer:
    """Serves HTTP on trio."""

    def __init__(self, engine: Engine, aside: trio.Nursery) -> None:
        """
        Args:
            engine: What the process is made of.
            aside: Where commands run that nobody waits for.
        """
        self.engine = engine
        self.aside = aside
        self.performer = Performer(engine, trio.current_time)
        self.room = Room()
        self._lines: set[TrioLine] = set()
        self._all_closed = trio.Event()
        self._draining = False
        engine.metrics.counts_connections(self._counted)

    def _counted(self) -> tuple[int, int]:
        """How many connections are open, and how many of them active."""
        return len(self._lines), sum(line.active for line in self._lines)

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        accepted = stream.socket
        with socket.socket(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach()) as sock:
            if not self.room.has(sock.fileno()):
                return
            sock.setblocking(False)
            try:
                peer = sock.getpeername()
            except OSError:
                return  # it broke before it was served
            try:
                async with trio.open_nursery() as nursery:
                    name = peer[0] if isinstance(peer, tuple) else "local"
                    aside = self.aside
                    await self._serve(
                        TrioLine(self.engine, self.performer, sock, peer=name, nursery=nursery, aside=aside)
                    )
            except Exception:
                # A bug of ours: the other connections live on.
                self.engine.observers.crashed("a connection crashed")

    async def _serve(self, line: TrioLine) -> None:
        self._lines.add(line)
        self.engine.metrics.connections("open", len(self._lines))
        try:
            if self._draining:
                line.tell(ShutdownAsked(at=trio.current_time()))
            await line.run()
        finally:
            # Whoever was cut short gives back what it holds: calls, and places in flights.
            line.tell(PeerLeft(at=trio.current_time()))
            self._lines.discard(line)
            self.engine.metrics.connections("open", len(self._lines))
            if not self._lines:
                self._all_closed.set()

    def tell_all(self, event: ShutdownAsked | ListenersClosed) -> None:
        """Tell every connection."""
        self._draining = True
        for line in list(self._lines):
            line.tell(event)

    async def wait_closed(self, seconds: float) -> bool:
        """Wait until no connection is left; False where that takes longer than ``seconds``."""
        self._all_closed = trio.Event()
        if not self._lines:
            return True
        with trio.move_on_after(seconds) as scope:
            await self._all_closed.wait()
        return not scope.cancelled_caught


async def serve(
    engine: Engine, host: str, port: int, stopping: Stopping, sockets: Sequence[socket.socket] | None = None
) -> None:
    """Serve until ``stopping`` says otherwise, then drain. Cancelling it ends it without patience.

    Args:
        engine: What the process is made of.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        stopping: When to stop, and whom to tell that the service listens.
        sockets: Where to listen, in the place of host and port; they are closed at the end.

    Raises:
        OSError: The address cannot be listened at.
    """
    sockets = listen(host, port) if sockets is None else sockets
    prepare(sockets, engine.settings.limits.write_timeout)
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in sockets]
    async with trio.open_nursery() as aside, trio.open_nursery() as lines:
        server = TrioServer(engine, aside)
        accepting = trio.CancelScope()
        lines.start_soon(_accept, server, listeners, lines, accepting)
        lines.start_soon(engine.watch)
        engine.ready()
        stopping.listening(listeners[0].socket.getsockname()[1])
        await stopping.wait()
        await stop_taking(server, stopping, [listener.socket for listener in listeners], accepting.cancel)
        await finish(server, stopping)
        lines.cancel_scope.cancel()
        aside.cancel_scope.deadline = trio.current_time() + FLUSH_SECONDS


async def _accept(
    server: TrioServer, listeners: list[trio.SocketListener], lines: trio.Nursery, scope: trio.CancelScope
) -> None:
    with scope:
        try:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(_take, server, listener, lines)
        finally:
            for listener in listeners:
                listener.socket.close()


async def _take(server: TrioServer, listener: trio.SocketListener, lines: trio.Nursery) -> None:
    while True:
        try:
            stream = await listener.accept()
        except OSError as error:
            if error.errno not in NONE_LEFT:
                raise
            # Files that are no connections have taken what is kept for them; who waits, waits on.
            server.room.refuse()
            await trio.sleep(_RETRY_SECONDS)
        else:
            lines.start_soon(server.handle, stream)
