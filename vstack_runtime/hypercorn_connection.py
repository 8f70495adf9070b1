"""A connection of hypercorn 0.18, mended in two places; ``install`` puts it in the place of hypercorn's own.

Hypercorn watches for idleness with a task that it makes and cancels for every request, and that it waits for after the
peer has left: the socket of each client that came once stayed open until the keep-alive time was over. Here a timer
looks after it. And hypercorn writes the head and the body of an answer each by itself, two system calls where one does:
here what one turn of the loop has to say goes out together.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

import hypercorn.asyncio.run
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Event, RawData

# What may wait for the end of a turn before it is written all the same.
_MAX_WAITING = 65_536


class _Idleness:
    """Closes a connection on which nothing happens; has the methods of the task that it stands in for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self._deadline = 0.0
        self.idle = False

    async def restart(self, task_group: Any, action: Callable[..., Any]) -> None:
        connection = self._connection
        self.idle = True
        if connection.context.terminated.is_set():
            self.close()
            return
        # A timer that is set stays: it rings early, sees it, and is set anew. So a request costs none.
        self._deadline = connection.loop.time() + connection.config.keep_alive_timeout
        if self._timer is None:
            self._timer = connection.loop.call_at(self._deadline, self._ring)

    async def stop(self) -> None:
        self.idle = False

    def _ring(self) -> None:
        self._timer = None
        if not self.idle:
            return
        if self._connection.loop.time() < self._deadline:
            self._timer = self._connection.loop.call_at(self._deadline, self._ring)
        else:
            self.close()

    def close(self) -> None:
        """End the connection, unless that is under way."""
        if self._closing is None:
            self._closing = self._connection.loop.create_task(self._connection.end())

    def cancel(self) -> None:
        """The connection is gone."""
        self.idle = False
        if self._timer is not None:
            self._timer.cancel()


class Connection(TCPServer):
    """A connection that ends when its peer leaves, and writes once where once is enough."""

    def __init__(self, *args: Any) -> None:
        """Takes what hypercorn gives its own."""
        super().__init__(*args)
        self.idle_task: Any = _Idleness(self)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        _OPEN.add(self)

    async def protocol_send(self, event: Event) -> None:
        """As hypercorn's, but what fits waits for the end of the turn."""
        if not isinstance(event, RawData):
            self._flush()
            await super().protocol_send(event)
            return
        if not self._waiting:
            self.loop.call_soon(self._flush)
        self._waiting.append(event.data)
        self._waiting_bytes += len(event.data)
        if self._waiting_bytes > _MAX_WAITING or self.writer.transport.get_write_buffer_size():
            # The peer is slow, or the answer large: whoever sends must wait until it has gone out.
            data = RawData(data=b"".join(self._waiting))
            self._waiting.clear()
            self._waiting_bytes = 0
            await super().protocol_send(data)

    def _flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            if not self.writer.transport.is_closing():
                self.writer.write(data)

    async def end(self) -> None:
        """Close from our side, as hypercorn does for idleness."""
        self._flush()
        await self._initiate_server_close()

    async def _close(self) -> None:
        self._flush()
        await super()._close()
        self.idle_task.cancel()


_OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()


def install() -> None:
    """Have hypercorn make its connections of this class, for the rest of the process's life."""
    setattr(hypercorn.asyncio.run, "TCPServer", Connection)  # noqa: B010 - not meant to be set, as types have it


def close_idle(app: Any) -> None:
    """Close the connections of ``app`` on which nothing happens; the others close as they become idle."""
    for connection in list(_OPEN):
        if getattr(connection.app, "app", None) is app and connection.idle_task.idle:
            connection.idle_task.close()
