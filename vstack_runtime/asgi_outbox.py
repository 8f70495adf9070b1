"""What an exchange answers, on its way to the host server of an ASGI app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio

from vstack_proto.commands import EndStream, Respond, SendPart, StartStream
from vstack_proto.exchange import AnyExchange
from vstack_proto.framing import Headers
from vstack_proto.limits import Limits
from vstack_proto.stage import LINGER_SECONDS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = Respond | StartStream | SendPart | EndStream

# A host server says how a peer reads only by when it takes the next message: none may be as large as a whole answer.
_PART_BYTES = 65_536


class Outbox:
    """The commands that answer one request, as messages.

    Attributes:
        wanted: Whether the request's body was asked for.
    """

    def __init__(self, exchange: AnyExchange, limits: Limits, receive: Receive, send: Send, *, framed: bool) -> None:
        """
        Args:
            exchange: Gives the commands.
            limits: How long things may take.
            receive: Gives the host server's messages.
            send: Takes ours.
            framed: Whether the version of HTTP has framing of its own (1.1 and before).
        """
        self.wanted = False
        self._exchange = exchange
        self._limits = limits
        self._receive = receive
        self._send = send
        self._framed = framed
        self._waiting: list[Answer] = []

    def put(self, command: Answer) -> None:
        """Take a command; ``flush`` sends it."""
        self._waiting.append(command)

    async def flush(self) -> None:
        """Send what waits.

        Raises:
            OSError: The peer is gone, or has taken nothing for as long as ``write_timeout`` allows.
        """
        while self._waiting:
            command = self._waiting.pop(0)
            if isinstance(command, Respond):
                await self._start(command.status, command.headers)
                early = self._exchange.state.unread and self._framed
                await self._body(command.body, more=early)
                if early:
                    await self._linger()
                    await self._body(b"", more=False)
            elif isinstance(command, StartStream):
                await self._start(command.status, command.headers)
            elif isinstance(command, SendPart):
                await self._body(command.data, more=True)
            else:
                await self._body(b"", more=False)

    async def _start(self, status: int, headers: Headers) -> None:
        # HTTP/2 knows no Connection field (RFC 9113, section 8.2.2).
        encoded = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers if self._framed or n != "connection"]
        await self._give({"type": "http.response.start", "status": status, "headers": encoded})

    async def _body(self, data: bytes, *, more: bool) -> None:
        last = max(0, len(data) - 1) // _PART_BYTES * _PART_BYTES
        for start in range(0, last, _PART_BYTES):
            part = data[start : start + _PART_BYTES]
            await self._give({"type": "http.response.body", "body": part, "more_body": True})
        await self._give({"type": "http.response.body", "body": data[last:], "more_body": more})

    async def _give(self, message: Message) -> None:
        # A TimeoutError is an OSError: a peer that does not read is as good as gone.
        with anyio.fail_after(self._limits.write_timeout):
            await self._send(message)

    async def _linger(self) -> None:
        """Read on for a while after an early answer: a connection closed at once takes the answer with it."""
        if self._exchange.state.expects_continue and not self.wanted:
            return  # to ask for the body now would have the host server call for it
        drained = 0
        with anyio.move_on_after(LINGER_SECONDS):
            while drained <= self._limits.drain_bytes:
                message = await self._receive()
                if not message.get("more_body", False):
                    return
                drained += len(message.get("body", b""))
