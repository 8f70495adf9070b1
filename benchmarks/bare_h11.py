"""What everything is compared with: h11 alone, in memory and over asyncio."""

from __future__ import annotations

import asyncio
from typing import cast

import h11

from vstack_proto.commands import Respond

EncodedHeaders = list[tuple[bytes, bytes]]


def encoded_headers(answer: Respond, *, all_of_them: bool) -> EncodedHeaders:
    """The header fields of an answer of ours, or only the two that no answer with a body can do without."""
    return [
        (name.encode(), value.encode())
        for name, value in answer.headers
        if all_of_them or name in ("content-type", "content-length")
    ]


class Cycle:
    """One keep-alive connection in memory: reads a request, answers it, goes on to the next."""

    def __init__(self, headers: EncodedHeaders, body: bytes) -> None:
        """
        Args:
            headers: Of every answer.
            body: Likewise.
        """
        self._headers = headers
        self._body = body
        self._connection = h11.Connection(h11.SERVER)

    def run(self, data: bytes) -> bytes:
        """What is sent in answer to these bytes."""
        connection = self._connection
        connection.receive_data(data)
        sent = b""
        while True:
            event = connection.next_event()
            if type(event) is h11.EndOfMessage:
                sent += connection.send(h11.Response(status_code=200, headers=self._headers)) or b""
                sent += connection.send(h11.Data(data=self._body)) or b""
                sent += connection.send(h11.EndOfMessage()) or b""
                connection.start_next_cycle()
            elif event is h11.NEED_DATA or event is h11.PAUSED:
                return sent


class _Line(asyncio.Protocol):
    """One connection of the bare server."""

    def __init__(self, headers: EncodedHeaders, body: bytes) -> None:
        self._cycle = Cycle(headers, body)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        sent = self._cycle.run(data)
        if sent:
            self._transport.write(sent)


async def serve(headers: EncodedHeaders, body: bytes) -> tuple[asyncio.Server, int]:
    """Listen at a free port of loopback; the server, and its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Line(headers, body), "127.0.0.1", 0, backlog=2048)
    return server, server.sockets[0].getsockname()[1]
