"""A caller's side of a connection: many of them in one loop, as cheap as they can be."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any, NamedTuple, Self

# Whoever is not answered for so long never is.
PATIENCE = 30.0


class Broken(Exception):
    """Something came that must not come, or nothing did."""


class Reply(NamedTuple):
    """An answer; of a stream, ``body`` is all its events."""

    status: int
    closes: bool
    body: bytes


class Talk:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, source: str = "127.0.0.1") -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), limit=1 << 20))

    def send(self, data: bytes) -> None:
        """Send without waiting."""
        self._writer.write(data)

    async def pushed(self, data: bytes) -> None:
        """Send, and wait until the server has taken nearly all of it, or will take no more."""
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):  # it says why in its answer
            await asyncio.wait_for(self._writer.drain(), PATIENCE)

    async def reply(self) -> Reply:
        """Read an answer to its end.

        Raises:
            Broken: None came, or none that is whole.
        """
        try:
            return await asyncio.wait_for(self._reply(), PATIENCE)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, ValueError) as error:
            raise Broken(f"no whole answer: {error!r}") from error

    async def _reply(self) -> Reply:
        head = await self.head()
        closes = b"\r\nconnection: close" in head
        if b"\r\ntransfer-encoding: chunked" in head:
            parts = []
            while part := await self.part():
                parts.append(part)
            return Reply(int(head[9:12]), closes, b"".join(parts))
        length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        return Reply(int(head[9:12]), closes, await self._reader.readexactly(int(length)))

    async def head(self) -> bytes:
        """Read the head of an answer, in lower case."""
        head = b"http/1.1 100"
        while head.startswith(b"http/1.1 1"):
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        return head

    async def part(self) -> bytes:
        """Read a part of a stream; empty at its end."""
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        return (await self._reader.readexactly(size + 2))[:-2]

    async def interim(self) -> None:
        """Wait to be told that the body is wanted."""
        await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE)

    async def leave(self, *, rough: bool) -> None:
        """Close the connection, with a goodbye or by breaking it."""
        if rough and not self._writer.is_closing():
            sock: Any = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        self._writer.close()
        with contextlib.suppress(OSError):  # the server may be quicker
            await self._writer.wait_closed()
