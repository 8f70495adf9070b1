"""One HTTP/1.1 connection: bytes become exchanges, one after the other, and answers become bytes.

It decides what a driver must not have to: deadlines, keep-alive, pipelining, when to stop reading, how to close. A driver
feeds it what happens and carries out what it returns, in order.
"""

from __future__ import annotations

import enum

from vstack_proto.commands import (
    Abort,
    AnyCommand,
    ArmDeadline,
    Close,
    Commands,
    EndStream,
    PauseReading,
    ReadBody,
    Respond,
    ResumeReading,
    Send,
    SendPart,
    StartStream,
)
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import (
    AnyEvent,
    BodyEnded,
    BodyReceived,
    BytesReceived,
    DeadlinePassed,
    ExchangeEvent,
    HeadReceived,
    ListenersClosed,
    PeerLeft,
    ShutdownAsked,
    WritingPaused,
    WritingResumed,
)
from vstack_proto.exchange import Exchange
from vstack_proto.framing import Head
from vstack_proto.intake import framing_refused, without_secrets
from vstack_proto.service import Service
from vstack_proto.wire import CONTINUE, LAST_CHUNK, WireBody, WireClosed, WireEnd, WireHead, WireReader, encode_chunk
from vstack_proto.wire import encode_head

# Bytes that may wait while a request is worked on. One read of a pipelining client fits; a flood does not.
MAX_WAITING_BYTES = 65536
# How long a refused peer may go on sending before the connection closes under it; closing at once would make its stack
# throw the answer away (RFC 9112, section 9.6).
LINGER_SECONDS = 2.0
# 2**64 / golden ratio: multiples of it, modulo 2**64, are all different and spread over the whole range (Knuth, 6.4).
_STRIDE = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Stage(enum.Enum):
    """What a connection is doing."""

    IDLE = "idle"
    """No byte of the next request has come."""
    HEAD = "head"
    """A head is coming in."""
    EXCHANGE = "exchange"
    """A request is being served."""
    LINGER = "linger"
    """The last answer is out; what the peer still sends is thrown away."""
    CLOSED = "closed"
    """Nothing more is read or answered."""


class Connection:
    """One connection, from its opening to its end."""

    __slots__ = (
        "_chunked",
        "_closing",
        "_deadline",
        "_drained",
        "_draining",
        "_ended",
        "_known",
        "_out",
        "_paused_reading",
        "_paused_writing",
        "_peer",
        "_requests",
        "_scheme",
        "_seed",
        "_wall",
        "_wants_body",
        "_wire",
        "_write_deadline",
        "exchange",
        "service",
        "stage",
    )

    def __init__(self, service: Service, *, peer: str, scheme: str = "http", seed: int = 0) -> None:
        """
        Args:
            service: What all exchanges share.
            peer: Address at the other end.
            scheme: ``http`` or ``https``.
            seed: A random number below 2**64; request ids are made from it.
        """
        self.service = service
        self.stage = Stage.IDLE
        self.exchange: Exchange | None = None
        self._wire = WireReader()
        self._peer = peer
        self._scheme = scheme
        self._seed = seed
        self._requests = 0
        self._wall = 0.0
        self._out: list[AnyCommand] = []
        self._deadline = 0.0
        self._write_deadline = 0.0
        self._paused_reading = False
        self._paused_writing = False
        self._wants_body = False
        self._ended = False
        self._chunked = False
        self._closing = False
        self._draining = False
        self._drained = 0
        self._known: tuple[WireHead, Head, str | None] | None = None

    def opened(self, at: float) -> Commands:
        """The connection is there: its first head is due."""
        self._arm(at + self.service.policy.limits.head_timeout)
        return self._taken()

    def handle(self, event: AnyEvent) -> Commands:
        """Take one event; return, in order, what the driver must now do.

        Raises:
            LocalProtocolError: This event cannot come now: a bug of the driver.
        """
        if isinstance(event, BytesReceived):
            self._bytes(event)
        elif isinstance(event, DeadlinePassed):
            self._deadline_passed(event)
        elif isinstance(event, PeerLeft):
            self._peer_left(event)
        elif isinstance(event, WritingPaused):
            self._paused_writing = True
            self._write_deadline = event.at + self.service.policy.limits.write_timeout
            self._out.append(ArmDeadline(min(self._deadline, self._write_deadline)))
        elif isinstance(event, WritingResumed):
            self._paused_writing = False
            self._write_deadline = 0.0
            self._out.append(ArmDeadline(self._deadline))
            self._pump(event.at)
        elif isinstance(event, ShutdownAsked):
            self._shut_down(event)
        elif isinstance(event, ListenersClosed):
            if self.stage is Stage.IDLE:
                self._close(event.at)
        else:
            self._tell(event)
            self._pump(event.at)
        return self._taken()

    def _taken(self) -> Commands:
        out = tuple(self._out)
        self._out.clear()
        return out

    def _arm(self, when: float) -> None:
        """Set the deadline of what the connection waits for; a stalled writer's may come first."""
        self._deadline = when
        self._out.append(ArmDeadline(min(when, self._write_deadline) if self._write_deadline else when))

    # What comes in.

    def _bytes(self, event: BytesReceived) -> None:
        self._wall = event.wall
        if self.stage is Stage.CLOSED:
            return
        if not event.data:
            self._end_of_input(event)
            return
        if self.stage is Stage.LINGER:
            self._drained += len(event.data)
            if self._drained > self.service.policy.limits.drain_bytes:
                self._close(event.at)
            return
        self._wire.receive(event.data)
        self._pump(event.at)

    def _end_of_input(self, event: BytesReceived) -> None:
        """The peer sends no more. One that waits for an answer has left: nobody half-closes and reads on in practice."""
        if self.stage is Stage.EXCHANGE:
            self._tell(PeerLeft(at=event.at))
        else:
            self._close(event.at)

    def _pump(self, at: float) -> None:
        """Turn what has come into events, as far as somebody wants them."""
        while not self._paused_writing:
            if self.stage is Stage.EXCHANGE:
                if not self._wants_body:
                    break
            elif self.stage is not Stage.IDLE and self.stage is not Stage.HEAD:
                break
            try:
                event = self._wire.next_event()
            except RemoteProtocolError as refusal:
                self._refused(refusal, at)
                break
            if event is None:
                self._await_head(at)
                break
            self._wired(event, at)
        self._balance()

    def _await_head(self, at: float) -> None:
        """Part of a head has come: the rest is due."""
        if self.stage is Stage.IDLE and self._wire.started:
            self.stage = Stage.HEAD
            self._arm(at + self.service.policy.limits.head_timeout)

    def _wired(self, event: WireHead | WireBody | WireEnd | WireClosed, at: float) -> None:
        if isinstance(event, WireHead):
            self._begin(event, at)
        elif isinstance(event, WireBody):
            self._tell(BodyReceived(at=at, data=event.data))
        elif isinstance(event, WireEnd):
            self._wants_body = False
            self._ended = True
            self._tell(BodyEnded(at=at))
        else:
            self._close(at)

    def _begin(self, head: WireHead, at: float) -> None:
        self._requests += 1
        self.stage = Stage.EXCHANGE
        self._wants_body = self._ended = False
        # HTTP/1.0 knows no chunks: the end of a stream is the end of its connection.
        self._chunked = head.http_version == "1.1"
        self.exchange = Exchange(self.service)
        if self._draining or self._requests >= self.service.policy.limits.max_requests_per_connection:
            self.exchange.handle(ShutdownAsked(at=at))
        # The reader gives the same object for a head that repeats the last one byte for byte.
        if self._known is None or self._known[0] is not head:
            self._known = head, *without_secrets(head.head, head.headers)
        self._tell(
            HeadReceived(
                at=at,
                wall=self._wall,
                request_id=self._request_id(),
                peer=self._peer,
                scheme=self._scheme,
                method=head.method,
                head=self._known[1],
                credential=self._known[2],
            )
        )

    def _request_id(self) -> str:
        return f"req_{(self._seed + self._requests * _STRIDE) & _MASK:016x}"

    def _refused(self, refusal: RemoteProtocolError, at: float) -> None:
        """What came is no request: say so, and listen no more."""
        if self.exchange is None:
            self._requests += 1
            self.exchange = Exchange(self.service)
        self.stage = Stage.EXCHANGE
        self._tell(
            framing_refused(refusal, at=at, wall=self._wall, request_id=self._request_id(), peer=self._peer)
        )

    def _balance(self) -> None:
        """Stop reading while what has come is more than may wait; read on once it is worked off."""
        too_much = self._wire.buffered > MAX_WAITING_BYTES
        if too_much and not self._paused_reading:
            self._out.append(PauseReading())
        elif self._paused_reading and not too_much:
            self._out.append(ResumeReading())
        self._paused_reading = too_much

    # What goes out.

    def _tell(self, event: ExchangeEvent) -> None:
        """Give an event to the exchange, and turn its answer into bytes."""
        if self.exchange is None:
            return
        for command in self.exchange.handle(event):
            if isinstance(command, Respond):
                self._out.append(Send(encode_head(command.status, command.headers) + command.body))
                self._answered(command.close, event.at)
            elif isinstance(command, ArmDeadline):
                self._arm(command.when)
            elif isinstance(command, ReadBody):
                self._wants_body = True
                # A caller whose body is here already does not wait for a 100 (RFC 9110, section 10.1.1).
                if command.send_continue and not self._wire.buffered:
                    self._out.append(Send(CONTINUE))
            elif isinstance(command, StartStream):
                self._start_stream(command)
            elif isinstance(command, SendPart):
                self._out.append(Send(encode_chunk(command.data) if self._chunked else command.data))
            elif isinstance(command, EndStream):
                if self._chunked:
                    self._out.append(Send(LAST_CHUNK))
                self._answered(self._closing, event.at)
            elif isinstance(command, Abort):
                self.stage = Stage.CLOSED
                self.exchange = None
                self._out.append(command)
            else:
                self._out.append(command)

    def _start_stream(self, command: StartStream) -> None:
        headers = command.headers
        if self._chunked:
            headers = (*headers, ("transfer-encoding", "chunked"))
        self._closing = command.close
        self._out.append(Send(encode_head(command.status, headers)))

    def _answered(self, close: bool, at: float) -> None:
        """The answer is out: wait for the next request, or end the connection."""
        assert self.exchange is not None
        unread = self.exchange.state.unread
        self.exchange = None
        self._wants_body = False
        if not close:
            if not self._ended:
                # A request without a body, whose end nobody has asked for.
                self._wire.next_event()
            self._wire.next_request()
            self.stage = Stage.IDLE
            self._arm(at + self.service.policy.limits.keep_alive_timeout)
        elif unread:
            self.stage = Stage.LINGER
            self._drained = self._wire.buffered
            self._arm(at + LINGER_SECONDS)
        else:
            self._close(at)

    def _close(self, at: float) -> None:
        """Let what was sent go out, but not for ever."""
        self.stage = Stage.CLOSED
        self._out.append(Close())
        self._arm(at + self.service.policy.limits.write_timeout)

    # What else happens.

    def _deadline_passed(self, event: DeadlinePassed) -> None:
        if self.stage is Stage.CLOSED or (self._write_deadline and event.at >= self._write_deadline):
            self._abort(event.at)
        elif self.stage is Stage.EXCHANGE:
            self._tell(event)
            self._pump(event.at)
        elif self.stage is Stage.HEAD:
            limit = self.service.policy.limits.head_timeout
            told = f"the head of the request did not come within {limit:g} s"
            self._refused(RemoteProtocolError(408, "request_timeout", told), event.at)
        else:
            self._close(event.at)

    def _abort(self, at: float) -> None:
        """The peer does not even read: end it now."""
        if self.exchange is not None:
            self._tell(PeerLeft(at=at))
        else:
            self.stage = Stage.CLOSED
            self._out.append(Abort())

    def _peer_left(self, event: PeerLeft) -> None:
        if self.exchange is not None:
            self._tell(event)
        self.stage = Stage.CLOSED

    def _shut_down(self, event: ShutdownAsked) -> None:
        self._draining = True
        if self.exchange is not None:
            self._tell(event)
        elif event.now:
            self._close(event.at)
