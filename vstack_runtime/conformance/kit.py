"""What scenarios are written with: what a driver offers them, a peer, and the kit that ties both to an engine.

Scenarios are plain functions in the caller's thread; the server runs elsewhere. They wait for facts (bytes that come,
calls that begin or are cancelled, metrics that move) and for nothing else; each wait has a deadline.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from vstack_proto.auth import KeyTable
from vstack_proto.limits import Limits
from vstack_runtime.conformance.parts import ANALYZE, PATIENCE, PATTERN, WALL, ConformanceError, must, wait_until
from vstack_runtime.engine import Engine
from vstack_runtime.settings import Settings

# What a driver's author provides.


class Wire(Protocol):
    """The client's end of one connection; used from the scenario's thread."""

    def send(self, data: bytes) -> None:
        """Send all of this. Raises OSError where the connection is gone."""
        ...

    def receive(self, seconds: float) -> bytes:
        """What has come, or ``b""`` at the end of the stream. Raises TimeoutError."""
        ...

    def half_close(self) -> None:
        """Send no more; go on reading."""
        ...

    def abort(self) -> None:
        """Break the connection (over TCP: a reset)."""
        ...

    def close(self) -> None:
        """Close it; calling this twice does no harm."""
        ...


class Running(Protocol):
    """A server that runs."""

    def connect(self) -> Wire:
        """A new connection. Raises OSError once the server no longer listens."""
        ...

    def ask_to_stop(self) -> None:
        """Ask the server to end; the second time, without patience."""
        ...

    def wait_ended(self, seconds: float) -> list[str]:
        """Wait until it has ended, and name the tasks that it left behind.

        Raises:
            TimeoutError: It has not ended in time.
            Exception: What it ended with.
        """
        ...


class Driver(Protocol):
    """Something that serves an engine.

    Attributes:
        name: For messages.
        owns_wire: Whether it frames requests itself; where another server does, that server's refusals are its own.
    """

    name: str
    owns_wire: bool

    def start(self, engine: Engine) -> Running:
        """Serve the engine; return once connections can come."""
        ...


# A peer.


class Answer(msgspec.Struct, frozen=True):
    """One response as it came."""

    status: int
    fields: dict[str, str]
    head: bytes
    body: bytes
    parts: tuple[bytes, ...] | None

    @property
    def closes(self) -> bool:
        """Whether it announces the end of the connection."""
        return self.fields.get("connection") == "close"

    @property
    def error(self) -> str:
        """The code of a refusal."""
        code: str = msgspec.json.decode(self.body)["detail"]["error"]
        return code

    def comparable(self) -> bytes:
        """Every byte of it, but for what cannot be equal.

        Masked is what the server alone makes up: ids of requests that brought none, and how long a model was waited
        for; lengths follow suit. The names of the two fields that h11 writes by itself, Connection and
        Transfer-Encoding, are put in lower case: h11 capitalises just these, and to RFC 9110 (section 5.1) it is one.
        """
        head = _H11_FIELD.sub(lambda found: found[0].lower(), _OWN_ID.sub(_ZERO_ID, self.head))
        if self.parts is not None:
            return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in map(_masked, self.parts))
        body = _masked(self.body)
        lengths = b"content-length: %d\r\n" % len(self.body), b"content-length: %d\r\n" % len(body)
        return head.replace(*lengths) + body


_OWN_ID, _ZERO_ID = re.compile(rb"req_[0-9a-f]{16}"), b"req_0000000000000000"
_H11_FIELD = re.compile(rb"\r\n(?:Connection|Transfer-Encoding):")
_WAITED = re.compile(rb'"elapsed_ms":[0-9.e-]+')


def _masked(body: bytes) -> bytes:
    return _WAITED.sub(b'"elapsed_ms":0.0', _OWN_ID.sub(_ZERO_ID, body))


class Peer:
    """A client on one connection, and what it has been answered."""

    def __init__(self, wire: Wire, heard: list[bytes]) -> None:
        self.wire = wire
        self._heard = heard
        self._buffer = b""

    def send(self, *data: bytes) -> Peer:
        """Send these bytes, each piece by itself."""
        for piece in data:
            self.wire.send(piece)
        return self

    def answer(self, *, body: bool = True, heard: bool = True) -> Answer:
        """Read one response.

        Args:
            body: Whether one may follow the head: False for what answers HEAD.
            heard: Whether it is compared with what other drivers answer.
        """
        head = self.head()
        line, *rest = head[:-4].decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, value in (item.split(": ", 1) for item in rest)}
        status = int(line.split(" ")[1])
        parts = None
        if not body or status in (100, 204, 304):
            content = b""
        elif fields.get("transfer-encoding") == "chunked":
            parts = self._chunks()
            content = b"".join(parts)
        else:
            must("content-length" in fields, f"the length of the answer is not told: {head!r}")
            content = self._exactly(int(fields["content-length"]))
        answer = Answer(status, fields, head, content, parts)
        if heard:
            self._heard.append(answer.comparable())
        return answer

    def head(self) -> bytes:
        """Read the head of a response, the empty line included."""
        return self._until(b"\r\n\r\n")

    def part(self) -> bytes:
        """Read one chunk of a streamed body."""
        size = int(self._until(b"\r\n")[:-2], 16)
        return self._exactly(size + 2)[:-2]

    def ended(self) -> None:
        """Nothing more comes, and the connection ends."""
        rest = self._buffer or self._receive()
        must(rest == b"", f"the connection goes on with {rest[:200]!r}")
        self.wire.close()

    def _chunks(self) -> tuple[bytes, ...]:
        parts = [self.part()]
        while parts[-1]:
            parts.append(self.part())
        return tuple(parts)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        end = self._buffer.index(mark) + len(mark)
        return self._exactly(end)

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _more(self) -> None:
        data = self._receive()
        must(data, f"the connection ended in the midst of an answer, after {self._buffer[:200]!r}")
        self._buffer += data

    def _receive(self) -> bytes:
        try:
            return self.wire.receive(PATIENCE)
        except TimeoutError:
            raise ConformanceError(f"nothing came within {PATIENCE:g} s") from None
        except ConnectionError:
            return b""  # a reset is an end too


def request(
    target: str, *fields: str, method: str = "GET", body: bytes | None = None, name: str = "kit", version: str = "1.1"
) -> bytes:
    """A request, with its id, so that its answer is the same everywhere.

    Args:
        target: Such as ``/livez``.
        fields: Further header lines.
        method: Such as ``POST``.
        body: Sent with its length, if given.
        name: The request id.
        version: Of HTTP.
    """
    lines = [f"{method} {target} HTTP/{version}", "Host: kit.example", f"X-Request-ID: {name}", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def analysis(
    text: str = "calm", *fields: str, mode: str = "quick", model: str | None = "offline", name: str = "kit"
) -> bytes:
    """A request for an analysis of this text; by the signals alone where ``model`` says nothing else."""
    return request(ANALYZE, *fields, method="POST", body=analysis_body(text, mode, model), name=name)


def analysis_body(text: str = "calm", mode: str = "quick", model: str | None = "offline") -> bytes:
    """The body of such a request."""
    return msgspec.json.encode({"trace": {"text": text}, "mode": mode, "model": model})


class Kit:
    """What a scenario works with: one server, its peers, and what they were answered.

    Attributes:
        heard: Every answer that counts, in the order in which it was read.
        engine: Of the server, once it is started.
    """

    def __init__(self, driver: Driver) -> None:
        """
        Args:
            driver: Serves.
        """
        self.driver = driver
        self.heard: list[bytes] = []
        self.engine: Engine
        self._server: Running | None = None
        self._peers: list[Peer] = []

    def start(
        self,
        *,
        provider: Any = None,
        limiter: Any = None,
        cache: Any = None,
        keys: KeyTable | None = None,
        drain_delay: float = 0.0,
        **limits: Any,
    ) -> None:
        """Start the server; ``limits`` are fields of ``Limits``."""
        settings = Settings(
            limits=Limits(**limits),
            drain_delay=drain_delay,
            keys=keys or KeyTable.of(()),
            require_auth=keys is not None,
            trusted_proxies=(),
        )
        self.engine = Engine(
            settings, provider=provider, limiter=limiter, cache=cache, patterns=[PATTERN], wall=lambda: WALL
        )
        self._server = self.driver.start(self.engine)

    @property
    def server(self) -> Running:
        """The server that runs."""
        assert self._server is not None, "a scenario starts its server first"
        return self._server

    def connect(self, *data: bytes) -> Peer:
        """A new peer, which sends these bytes at once."""
        peer = Peer(self.server.connect(), self.heard)
        self._peers.append(peer)
        return peer.send(*data)

    def count(self, metric: str, **labels: str) -> float:
        """What a metric stands at."""
        return self.engine.metrics.registry.get_sample_value(metric, labels) or 0.0

    def wait_ended_as(self, status: str, mode: str = "quick", times: int = 1) -> None:
        """Wait until so many analyses have ended with a status."""
        labels = {"surface": "rest", "pattern": PATTERN.name, "mode": mode, "status": status}
        fact = f"{times} analyses have ended with {status}"
        wait_until(lambda: self.count("vstack_requests_total", **labels) >= times, fact)

    def wait_connections(self, number: int) -> None:
        """Wait until so many connections are open; of use only where the driver owns the wire."""
        fact = f"{number} connections are open"
        wait_until(lambda: self.count("vstack_connections", state="open") == number, fact)

    def abandon(self, failure: BaseException) -> None:
        """End everything, whatever state it is in; what goes wrong with that is noted at the failure it is for."""
        self._hang_up()
        if self._server is not None:
            try:
                self._server.ask_to_stop()
                self._server.ask_to_stop()
                self._server.wait_ended(PATIENCE)
            except Exception as also:
                if also is not failure:
                    failure.add_note(f"Then the server could not be ended: {type(also).__name__}: {also}")

    def _hang_up(self) -> None:
        for peer in self._peers:
            # It may have been closed or reset by either side before.
            with contextlib.suppress(OSError):
                peer.wire.close()

    def finish(self) -> None:
        """End what is left, and see that nothing is left behind."""
        self._hang_up()
        self.server.ask_to_stop()
        left = self.server.wait_ended(PATIENCE)
        must(not left, f"tasks are left: {left}")
        in_flight, open_ones = self.count("vstack_requests_in_flight"), self.count("vstack_connections", state="open")
        must(not in_flight, f"{in_flight:g} analyses are in flight at the end")
        must(not open_ones, f"{open_ones:g} connections are open at the end")


class Scenario(msgspec.Struct, frozen=True):
    """Something that a driver must do.

    Attributes:
        name: What happens.
        run: Plays it; raises ConformanceError.
        wire: Whether it is about framing, which only drivers that own the wire decide.
    """

    name: str
    run: Callable[[Kit], None]
    wire: bool = False

    def __str__(self) -> str:
        return self.name
