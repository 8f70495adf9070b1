"""Both neighbours of a ``Connection``: a driver that keeps what it is told, and a client that reads what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from vstack_proto.commands import (
    Abort,
    AnyCommand,
    ArmDeadline,
    Close,
    Commands,
    JoinFlight,
    PauseReading,
    ResumeReading,
    Send,
)
from vstack_proto.connection import Connection
from vstack_proto.events import AnyEvent, BytesReceived, DeadlinePassed, FlightJoined
from vstack_proto.service import Service
from vstack_proto.testing import START, WALL

C = TypeVar("C")


class Answer(NamedTuple):
    """A response as a client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """A connection, its clock, and all that it has asked for.

    Attributes:
        at: The time, in seconds.
        sent: Bytes that went to the peer.
        deadline: The last one that was armed.
        reading: Whether the peer is read from.
        ended: ``close`` or ``abort``, once the connection has said so.
        told: Every other command.
    """

    def __init__(self, service: Service, scheme: str = "http", *, seed: int = 7) -> None:
        self.at = START
        self.sent = b""
        self.deadline = 0.0
        self.reading = True
        self.ended = ""
        self.told: list[AnyCommand] = []
        self.connection = Connection(service, peer="192.0.2.7", scheme=scheme, seed=seed)
        self._take(self.connection.opened(self.at))

    def feed(self, event: AnyEvent) -> Commands:
        commands = self.connection.handle(event)
        self._take(commands)
        while self.connection.held:
            self._take(self.connection.go_on(self.at))
        return commands

    def receive(self, *parts: bytes) -> None:
        for part in parts:
            self.feed(BytesReceived(at=self.at, wall=WALL + (self.at - START), data=part))

    def pass_time(self, seconds: float) -> None:
        """Time passes; if the deadline passes with it, the connection is told, at its very moment."""
        until = self.at + seconds
        while self.deadline <= until and self.ended != "abort":
            self.at = self.deadline
            self.feed(DeadlinePassed(at=self.at))
        self.at = until

    def last(self, kind: type[C]) -> C:
        """The last command of this kind."""
        found = [command for command in self.told if isinstance(command, kind)]
        assert found, [type(command).__name__ for command in self.told]
        return found[-1]

    def take_answers(self) -> list[Answer]:
        """The responses that were sent since the last time."""
        sent, self.sent = self.sent, b""
        return answers_in(sent)

    def _take(self, commands: Commands) -> None:
        for command in commands:
            if isinstance(command, Send):
                assert not self.ended
                self.sent += command.data
            elif isinstance(command, ArmDeadline):
                self.deadline = command.when
            elif isinstance(command, PauseReading | ResumeReading):
                assert self.reading is isinstance(command, PauseReading)
                self.reading = isinstance(command, ResumeReading)
            elif isinstance(command, Close | Abort):
                self.ended = type(command).__name__.lower()
            else:
                self.told.append(command)
        for command in commands:
            if isinstance(command, JoinFlight):
                self.feed(FlightJoined(at=self.at, ticket=command.ticket, role="leads"))


def answers_in(sent: bytes, methods: Sequence[str] = ()) -> list[Answer]:
    """Cut bytes into responses; an answer without length or chunks takes what is left.

    Args:
        sent: What came.
        methods: Of the requests, as far as they matter: an answer to HEAD tells a length, and has no body.
    """
    answers: list[Answer] = []
    asked = iter(methods)
    while sent:
        head, _, sent = sent.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        assert status_line.startswith("HTTP/1.1 ")
        status = int(status_line.split(" ")[1])
        headers: dict[str, str] = dict(line.split(": ", 1) for line in lines)
        method = next(asked, "") if status >= 200 else ""
        assert len(headers) == len(lines), "a field stands twice"
        if headers.get("transfer-encoding") == "chunked":
            body, sent = _dechunked(sent)
        elif status < 200 or status in (204, 304) or method == "HEAD":
            body = b""
        elif "content-length" in headers:
            length = int(headers["content-length"])
            body, sent = sent[:length], sent[length:]
        else:
            body, sent = sent, b""
        answers.append(Answer(status, headers, body))
    return answers


def _dechunked(sent: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, sent = sent.partition(b"\r\n")
        length = int(size, 16)
        assert sent[length : length + 2] == b"\r\n"
        body, sent = body + sent[:length], sent[length + 2 :]
        if not length:
            return body, sent


def request(method: str, target: str, *lines: str, body: bytes = b"", version: str = "1.1") -> bytes:
    """A request as bytes."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = [f"{method} {target} HTTP/{version}", "Host: vstack.example", *lines, *length]
    return "".join(f"{line}\r\n" for line in [*head, ""]).encode("latin-1") + body


def analysis(body: bytes, *lines: str, pattern: str = "last_word", version: str = "1.1", **more: Any) -> bytes:
    """An analysis as bytes."""
    return request("POST", f"/v1/analyze/{pattern}", *lines, body=body, version=version, **more)
