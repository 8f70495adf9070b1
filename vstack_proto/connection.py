"""One HTTP/1.1 connection: bytes become exchanges, one after the other, and answers become bytes.

It decides what a driver must not have to: deadlines, keep-alive, pipelining, when to stop reading, how to close. A
driver feeds it what happens and carries out what it returns, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

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
    Crashed,
    DeadlinePassed,
    ExchangeEvent,
    HeadReceived,
    ListenersClosed,
    PeerLeft,
    ShutdownAsked,
    WritingPaused,
    WritingResumed,
)
from vstack_proto.exchange import AnyExchange, new_exchange
from vstack_proto.framing import Head
from vstack_proto.intake import framing_refused, nth_request_id, without_secrets
from vstack_proto.service import Service
from vstack_proto.stage import LINGER_SECONDS, MAX_PIPELINED_BYTES, MAX_TURN_BYTES, MAX_WAITING_BYTES, Stage
from vstack_proto.wire import WireBody, WireClosed, WireEnd, WireHead, WireReader
from vstack_proto.wire_out import CONTINUE, LAST_CHUNK, encode_chunk, encode_head

# As names of their own: looking a member up on its class costs more than the step it stands in.
IDLE, HEAD, EXCHANGE, LINGER, CLOSED = Stage


class Connection:
    """One connection, from its opening to its end."""

    def __init__(self, service: Service, *, peer: str, scheme: str = "http", seed: int = 0) -> None:
        """
        Args:
            service: What all exchanges share.
            peer: Address at the other end.
            scheme: ``http`` or ``https``.
            seed: A random number below 2**64; request ids are made from it.
        """
        self.service = service
        self.stage = IDLE
        self.exchange: AnyExchange | None = None
        self._wire = WireReader()
        self._peer = peer
        self._scheme = scheme
        self._seed = seed
        self._requests = 0
        self._out: list[AnyCommand] = []
        self._wall = self._wall_at = self._deadline = self._armed = self._write_deadline = 0.0
        self._paused_reading = self._paused_writing = self._wants_body = self._ended = self._chunked = False
        self._closing = self._draining = self._held = False
        self._drain_left = self._sent = self._unwritten = 0
        self._known: tuple[WireHead, Head, str | None] | None = None

    def opened(self, at: float) -> Commands:
        """The connection is there: its first head is due."""
        self._deadline = at + self.service.policy.limits.head_timeout
        return self._taken()

    def handle(self, event: AnyEvent) -> Commands:
        """Take one event; return, in order, what the driver must now do.

        Raises:
            LocalProtocolError: This event cannot come now: a bug of the driver.
        """
        run = _OWN.get(type(event))
        if run is not None:
            run(self, event)
        else:
            self._tell(cast("ExchangeEvent", event))
            self._pump(event.at)
        return self._taken()

    @property
    def held(self) -> bool:
        """Whether more requests are here than one turn answers: ``go_on`` once what came back is carried out."""
        return self._held and not self._paused_writing

    def go_on(self, at: float) -> Commands:
        """Take the next turn; return, in order, what the driver must now do."""
        self._pump(at)
        return self._taken()

    def _taken(self) -> Commands:
        """What has come together in this turn; of the deadlines only the last one, and only if it is news."""
        out, self._out, self._sent = self._out, [], 0
        when = self._deadline
        if self._write_deadline and self._write_deadline < when:
            when = self._write_deadline
        if when != self._armed:
            self._armed = when
            out.append(ArmDeadline(when))
        return tuple(out)

    # What comes in.

    def _bytes(self, event: BytesReceived) -> None:
        self._wall, self._wall_at = event.wall, event.at
        if self.stage is CLOSED:
            return
        if not event.data:
            self._end_of_input(event)
            return
        if self.stage is LINGER:
            self._drain_left -= len(event.data)
            if self._drain_left < 0:
                self._close(event.at)
            return
        self._wire.receive(event.data)
        self._pump(event.at)

    def _writing_paused(self, event: WritingPaused) -> None:
        limits = self.service.policy.limits
        # Slow is not stalled, as long as it takes what a body must bring in the same time.
        if self._paused_writing and self._unwritten - event.waiting < limits.min_body_rate * limits.write_timeout:
            return
        self._paused_writing = True
        self._unwritten = event.waiting
        self._write_deadline = event.at + limits.write_timeout
        if self.stage is CLOSED:
            self._deadline = self._write_deadline

    def _writing_resumed(self, event: WritingResumed) -> None:
        self._paused_writing = False
        self._write_deadline = 0.0
        self._pump(event.at)

    def _listeners_closed(self, event: ListenersClosed) -> None:
        if self.stage is IDLE:
            self._close(event.at)
        elif self.stage is HEAD:
            # Who has said half a word and fallen silent must not hold up the end.
            self._deadline = min(self._deadline, event.at + LINGER_SECONDS)

    def _end_of_input(self, event: BytesReceived) -> None:
        """The peer sends no more. One that waits for an answer has left: hardly anybody half-closes and reads on."""
        if self.stage is EXCHANGE:
            self._tell(PeerLeft(at=event.at))
        else:
            self._close(event.at)

    def _pump(self, at: float) -> None:
        """Turn what has come into events, as far as somebody wants them."""
        self._held = False
        while not self._paused_writing:
            if self.stage is EXCHANGE:
                if not self._wants_body:
                    break
            elif self.stage is not IDLE and self.stage is not HEAD:
                break
            elif self._sent > MAX_TURN_BYTES:
                self._held = True
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
        if self.stage is IDLE and self._wire.started:
            self.stage = HEAD
            self._deadline = at + self.service.policy.limits.head_timeout

    def _wired(self, event: WireHead | WireBody | WireEnd | WireClosed, at: float) -> None:
        if isinstance(event, WireHead):
            self._begin(event, at)
        elif isinstance(event, WireBody):
            self._wants_body = not self._wire.complete
            self._tell(BodyReceived(at=at, data=event.data, last=not self._wants_body))
        else:
            assert isinstance(event, WireEnd), "the reader is asked for nothing behind a request that said close"
            self._wants_body = False
            self._ended = True
            self._tell(BodyEnded(at=at))

    def _begin(self, head: WireHead, at: float) -> None:
        self._requests += 1
        self.stage = EXCHANGE
        self._wants_body = self._ended = False
        # HTTP/1.0 knows no chunks: the end of a stream is the end of its connection.
        self._chunked = head.http_version == "1.1"
        self.exchange = new_exchange(self.service)
        if self._draining or self._requests >= self.service.policy.limits.max_requests_per_connection:
            self.exchange.handle(ShutdownAsked(at=at))
        # The reader gives the same object for a head that repeats the last one byte for byte.
        if self._known is None or self._known[0] is not head:
            self._known = head, *without_secrets(head.head, head.headers)
        self._tell(
            HeadReceived(
                at=at,
                wall=self._wall_now(at),
                request_id=nth_request_id(self._seed, self._requests),
                peer=self._peer,
                scheme=self._scheme,
                method=head.method,
                head=self._known[1],
                credential=self._known[2],
            )
        )

    def _wall_now(self, at: float) -> float:
        # A pipelined request may begin long after its bytes came.
        return self._wall + (at - self._wall_at)

    def _refused(self, refusal: RemoteProtocolError, at: float) -> None:
        """What came is no request: say so, and listen no more."""
        if self.exchange is None:
            self._requests += 1
            self.exchange = new_exchange(self.service)
        self.stage = EXCHANGE
        wall, request_id = self._wall_now(at), nth_request_id(self._seed, self._requests)
        self._tell(framing_refused(refusal, at=at, wall=wall, request_id=request_id, peer=self._peer))

    def _balance(self) -> None:
        """Stop reading while what has come is more than may wait; read on once it is worked off."""
        too_much = self.stage is not LINGER and self._wire.buffered > MAX_WAITING_BYTES
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
            run = _OURS.get(type(command))
            if run is None:
                self._out.append(command)
            else:
                run(self, command, event.at)

    def _armed_by(self, command: ArmDeadline, at: float) -> None:
        self._deadline = command.when

    def _read_body(self, command: ReadBody, at: float) -> None:
        self._wants_body = True
        # A caller whose body is here already does not wait for a 100 (RFC 9110, section 10.1.1).
        if command.send_continue and not self._wire.buffered:
            self._out.append(Send(CONTINUE))

    def _respond(self, command: Respond, at: float) -> None:
        self._sent += len(command.body)
        self._out.append(Send(encode_head(command.status, command.headers) + command.body))
        self._answered(command.close, at)

    def _send_part(self, command: SendPart, at: float) -> None:
        self._sent += len(command.data)
        self._out.append(Send(encode_chunk(command.data) if self._chunked else command.data))

    def _end_stream(self, command: EndStream, at: float) -> None:
        if self._chunked:
            self._out.append(Send(LAST_CHUNK))
        # The service may have begun to stop since the head of the stream went out.
        self._answered(self._closing or self._draining, at)

    def _aborted(self, command: Abort, at: float) -> None:
        self.stage = CLOSED
        self.exchange = None
        self._out.append(command)

    def _start_stream(self, command: StartStream, at: float) -> None:
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
                # Without a body, or with one whose last part was known as such, its end is still to be taken.
                self._wire.next_event()
            self._wire.next_request()
            self.stage = IDLE
            self._deadline = at + self.service.policy.limits.keep_alive_timeout
        elif unread or self._wire.pending:
            self.stage = LINGER
            most = self.service.policy.limits.drain_bytes if unread else MAX_PIPELINED_BYTES
            self._drain_left = most - self._wire.buffered
            self._deadline = at + LINGER_SECONDS
        else:
            self._close(at)

    def _close(self, at: float) -> None:
        """Let what was sent go out, but not for ever."""
        self.stage = CLOSED
        self._out.append(Close())
        self._deadline = at + self.service.policy.limits.write_timeout

    # What else happens.

    def _deadline_passed(self, event: DeadlinePassed) -> None:
        if self.stage is CLOSED or (self._write_deadline and event.at >= self._write_deadline):
            self._abort(event.at)
        elif self.stage is EXCHANGE:
            self._tell(event)
            self._pump(event.at)
        elif self.stage is HEAD:
            told = f"the head did not come within {self.service.policy.limits.head_timeout:g} s, or before the end"
            self._refused(RemoteProtocolError(408, "request_timeout", told), event.at)
        else:
            self._close(event.at)

    def _abort(self, at: float) -> None:
        """The peer does not even read: end it now."""
        if self.exchange is not None:
            self._tell(PeerLeft(at=at))
        else:
            self._aborted(Abort(), at)

    def _peer_left(self, event: PeerLeft) -> None:
        self._tell(event)
        self.stage = CLOSED

    def _crashed(self, event: Crashed) -> None:
        self._tell(event)
        if self.exchange is not None:
            # It was the answer that broke, so that there is none.
            self._aborted(Abort(), event.at)
        self._pump(event.at)

    def _shut_down(self, event: ShutdownAsked) -> None:
        self._draining = True
        if self.exchange is not None:
            self._tell(event)
        elif event.now:
            self._close(event.at)


# What a connection does itself: with events, before its exchange hears of them; with commands, instead of its driver.
_OWN: dict[type, Callable[[Connection, Any], None]] = {
    BytesReceived: Connection._bytes,
    DeadlinePassed: Connection._deadline_passed,
    PeerLeft: Connection._peer_left,
    WritingPaused: Connection._writing_paused,
    WritingResumed: Connection._writing_resumed,
    ShutdownAsked: Connection._shut_down,
    ListenersClosed: Connection._listeners_closed,
    Crashed: Connection._crashed,
}
_OURS: dict[type, Callable[[Connection, Any, float], None]] = {
    ArmDeadline: Connection._armed_by,
    ReadBody: Connection._read_body,
    Respond: Connection._respond,
    StartStream: Connection._start_stream,
    SendPart: Connection._send_part,
    EndStream: Connection._end_stream,
    Abort: Connection._aborted,
}
