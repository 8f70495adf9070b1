"""A session over stdio, as a machine: bytes of the peer and answers of exchanges in, lines and calls out.

Both eras are served on the same connection. Whatever needs no pattern is answered at once; the rest waits until the
offer is loaded. A call of a pattern's tool becomes an exchange, which the transport runs: its answers come back as
``CallTold``, in any order.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from vstack_mcp import context as contexts
from vstack_mcp.context import Context
from vstack_mcp.messages import Id, Malformed, Notification, Request, decode, error, id_of, result
from vstack_mcp.methods import OFFERED, check_served, opened
from vstack_mcp.opening import About, completed
from vstack_mcp.revisions import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, ProtocolFault
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.limits import Limits, check_body

# A line may hold what a body may, and the frame around it.
FRAME_BYTES = 65_536
# How long what is under way may take once the peer has closed its end; a second is what it gives us in all.
GRACE_SECONDS = 0.6


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened to a session."""


class BytesReceived(Event, frozen=True, gc=False, tag=True):
    """Part of what the peer writes; lines end where they end."""

    data: bytes


class InputEnded(Event, frozen=True, gc=False, tag=True):
    """The peer has closed its end: it wants no more answers."""


class OfferLoaded(Event, frozen=True, gc=False, tag=True):
    """The patterns are at hand: ``Session.serve`` was called."""


class GraceEnded(Event, frozen=True, gc=False, tag=True):
    """What was under way as the input ended has had its time."""


class CallTold(Event, frozen=True, gc=False, tag=True):
    """An exchange has a message for the peer, or none any more; ``last`` where it is done with that."""

    call: int
    data: bytes
    last: bool


AnyEvent = BytesReceived | InputEnded | OfferLoaded | GraceEnded | CallTold


class Command(msgspec.Struct, frozen=True, gc=False):
    """Something that the transport must do."""


class SendLine(Command, frozen=True, gc=False, tag=True):
    """Write a message and a line break."""

    data: bytes


class LoadOffer(Command, frozen=True, gc=False, tag=True):
    """Load the patterns, and tell by ``OfferLoaded``. Asked for once."""


class BeginCall(Command, frozen=True, gc=False, tag=True):
    """Run an exchange over this message; ``context`` is what was found out about it."""

    call: int
    message: bytes
    context: Context


class CancelCall(Command, frozen=True, gc=False, tag=True):
    """Nobody wants this call's answer any more: have its peer leave."""

    call: int


class AwaitGrace(Command, frozen=True, gc=False, tag=True):
    """The peer writes no more but may still read: tell by ``GraceEnded`` when ``GRACE_SECONDS`` are over."""


class Report(Command, frozen=True, gc=False, tag=True):
    """Log that something of ours broke over a request."""

    fault: str


class Finish(Command, frozen=True, gc=False, tag=True):
    """Write what is still to be written, and exit."""


AnyCommand = SendLine | LoadOffer | BeginCall | CancelCall | AwaitGrace | Report | Finish
Commands = tuple[AnyCommand, ...]


class Answering(Protocol):
    """What answers once the patterns are loaded: ``vstack_mcp.offer.Offer``, which this module must not wait for."""

    def respond(self, request: Request, context: Context) -> Answer:
        """As ``Offer.respond``."""
        ...


class Answer(Protocol):
    """``offer.Done`` or ``offer.Call``."""

    def frames(self, context: Context, about: About) -> tuple[bytes, ...] | None:
        """The messages of a finished answer; None where an exchange must be asked."""
        ...


class Session:
    """One connection over stdio.

    Attributes:
        offer: Answers what wants the patterns; None until they are loaded.
    """

    def __init__(self, about: About, max_body_bytes: int) -> None:
        """
        Args:
            about: Who serves.
            max_body_bytes: The service's limit for the body of an analysis.
        """
        self.offer: Answering | None = None
        self._about = about
        self._limits = _of_lines(max_body_bytes)
        self._line = bytearray()
        self._skipping = False
        self._revision = ""
        self._gate: str | None = None
        self._loading = False
        self._ended = False
        self._last_call = 0
        # What waits for the offer, and what exchanges work on; a peer cancels either by its id.
        self._waiting: dict[Id, tuple[Request, Context, bytes]] = {}
        self._calls: dict[Id, int] = {}
        self._ids: dict[int, Id] = {}

    def serve(self, offer: Answering, max_body_bytes: int) -> None:
        """Take what was loaded; ``OfferLoaded`` follows."""
        self.offer = offer
        self._limits = _of_lines(max_body_bytes)

    @property
    def idle(self) -> bool:
        """Whether every request has been answered."""
        return not (self._waiting or self._calls)

    def handle(self, event: AnyEvent) -> Commands:
        """Take one event; return, in order, what the transport must now do."""
        if isinstance(event, BytesReceived):
            return self._received(event.data)
        if isinstance(event, InputEnded):
            self._ended = True
            return (Finish(),) if self.idle else (AwaitGrace(),)
        if isinstance(event, GraceEnded):
            return self._given_up()
        waited = not self.idle
        told = self._told(event) if isinstance(event, CallTold) else self._resumed()
        return (*told, Finish()) if self._ended and waited and self.idle else told

    def _resumed(self) -> Commands:
        waiting = list(self._waiting.values())
        self._waiting.clear()
        return tuple(one for asked in waiting for one in self._answer(*asked))

    def _given_up(self) -> Commands:
        left = tuple(CancelCall(call) for call in self._calls.values())
        self._waiting.clear()
        self._calls.clear()
        self._ids.clear()
        return (*left, Finish())

    # Lines.

    def _received(self, data: bytes) -> Commands:
        told: list[AnyCommand] = []
        while data and not self._ended:
            part, ended, data = data.partition(b"\n")
            if not self._skipping:
                self._line += part
                if len(self._line) > (most := self._limits.max_body_bytes):
                    self._skipping = True
                    self._line.clear()
                    told.append(self._refused(f"a line has at most {most} bytes; this one was thrown away"))
            if ended:
                line, skipped = bytes(self._line).strip(b" \t\r"), self._skipping
                self._line.clear()
                self._skipping = False
                if line and not skipped:
                    told += self._message(line)
        return tuple(told)

    def _refused(self, message: str) -> SendLine:
        return SendLine(error(None, ProtocolFault(INVALID_REQUEST, message)))

    def _message(self, line: bytes) -> Commands:
        try:
            # Before anything is decoded, as for a body: some of what a line could hold takes seconds to read.
            check_body(line, self._limits)
            message = decode(line)
        except RemoteProtocolError as refused:
            told = ProtocolFault(INVALID_REQUEST, refused.message, {"error": refused.code, **refused.extra})
            return (SendLine(error(id_of(line), told)),)
        except Malformed as fault:
            return (SendLine(error(fault.id, fault)),)
        if isinstance(message, Notification):
            return self._cancelled(message) if message.method == "notifications/cancelled" else ()
        if not isinstance(message, Request):
            return ()
        try:
            return self._request(message, line)
        except ProtocolFault as fault:
            return (SendLine(error(message.id, fault)),)

    # Requests.

    def _request(self, request: Request, line: bytes) -> Commands:
        if request.id in self._calls or request.id in self._waiting:
            raise ProtocolFault(INVALID_REQUEST, "a request of this id is still being answered")
        context = self._context(request)
        if request.method not in OFFERED:
            told = opened(request, context, self._about)
            if request.method == "initialize":
                self._revision = told["protocolVersion"]
                # Until it says what it wants to hear, a legacy peer hears of what is worth a line.
                self._gate = "info"
            elif request.method == "logging/setLevel":
                self._gate = contexts.member(request.params["level"], str, "params.level", "a string")
            return (SendLine(result(request.id, completed(told, context, self._about))), *self._load())
        if self.offer is None:
            self._waiting[request.id] = request, context, line
            return self._load()
        return self._answer(request, context, line)

    def _context(self, request: Request) -> Context:
        meta = contexts.meta_of(request.params)
        if contexts.is_enveloped(meta) and request.method != "initialize":
            context = contexts.modern(request, meta)
        else:
            context = contexts.legacy(request, self._revision, self._gate)
        check_served(request.method, modern=context.modern)
        if not (context.modern or self._revision or request.method in ("initialize", "ping")):
            told = "open with initialize, or send the envelope of 2026-07-28 in params._meta"
            raise ProtocolFault(INVALID_PARAMS, told)
        return context

    def _load(self) -> Commands:
        if self._loading or self.offer is not None:
            return ()
        self._loading = True
        return (LoadOffer(),)

    def _answer(self, request: Request, context: Context, line: bytes) -> Commands:
        assert self.offer is not None
        try:
            frames = self.offer.respond(request, context).frames(context, self._about)
        except ProtocolFault as fault:
            return (SendLine(error(request.id, fault)),)
        except Exception as crash:
            # A tool of somebody's own, or a bug of ours: the session goes on.
            told = ProtocolFault(INTERNAL_ERROR, "a fault of the service; it has been logged")
            return SendLine(error(request.id, told)), Report(f"{request.method}: {type(crash).__name__}: {crash}")
        if frames is not None:
            return tuple(SendLine(one) for one in frames)
        self._last_call += 1
        self._calls[request.id] = self._last_call
        self._ids[self._last_call] = request.id
        return (BeginCall(self._last_call, line, context),)

    def _told(self, event: CallTold) -> Commands:
        if event.call not in self._ids:
            return ()  # cancelled meanwhile
        if event.last:
            del self._calls[self._ids.pop(event.call)]
        return (SendLine(event.data),) if event.data else ()

    def _cancelled(self, message: Notification) -> Commands:
        try:
            asked: Id = contexts.member(message.params["requestId"], int | str, "requestId", "an id")
        except (KeyError, ProtocolFault):
            return ()  # a notification is never answered
        self._waiting.pop(asked, None)
        call = self._calls.pop(asked, None)
        if call is None:
            return ()
        del self._ids[call]
        return (CancelCall(call),)


def _of_lines(max_body_bytes: int) -> Limits:
    return Limits(max_body_bytes=max_body_bytes + FRAME_BYTES)
