"""How an exchange answers: the one place where a response is put together, recorded, and the exchange ended."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from vstack_proto.analysis.machine import Seen
from vstack_proto.answers import (
    CONTENT_POLICY,
    NO_STORE,
    REVALIDATE,
    SECURITY,
    STRICT_TRANSPORT,
    date_field,
    error_body,
    server_event,
)
from vstack_proto.catalogue import Document
from vstack_proto.commands import (
    Abort,
    CancelCall,
    Commands,
    EndStream,
    LeaveFlight,
    Record,
    Respond,
    SendPart,
    StartStream,
)
from vstack_proto.contributed import REST, Contribution
from vstack_proto.docs_style import DOCS_POLICY
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import Crashed, DeadlinePassed, PeerLeft, ShutdownAsked
from vstack_proto.framing import Headers
from vstack_proto.negotiation import EVENTS, JSON, PROBLEM, names
from vstack_proto.outcomes import outcome_of
from vstack_proto.service import Service
from vstack_proto.state import BODY, DONE, HEAD, NOTHING, State

_EXPOSED = "X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-Cache, Retry-After"
_ALWAYS = (*SECURITY, CONTENT_POLICY)
_DOCS = (*SECURITY, ("content-security-policy", DOCS_POLICY))


class Replies:
    """State, and the ways in which an exchange ends."""

    __slots__ = ("limits", "policy", "seen", "service", "state", "trace")

    def __init__(self, service: Service, state: State | None = None) -> None:
        """
        Args:
            service: What all exchanges of the process share.
            state: Where to continue; a new exchange where there is none.
        """
        self.service = service
        self.policy = service.policy
        self.limits = service.policy.limits
        self.state = NOTHING if state is None else state
        # A short cut past decoding ``state.analysis.trace`` again; an exchange continued elsewhere does without.
        self.trace: msgspec.Struct | None = None
        # Likewise past reading it again: what follows from the trace alone.
        self.seen: Seen | None = None

    def refuse(self, refusal: RemoteProtocolError, at: float) -> Commands:
        """Answer with an error and end the exchange."""
        headers: Headers = ()
        extra = dict(refusal.extra)
        if refusal.status == 405:
            # RFC 9110, section 15.5.6: what is allowed must be told, also where a method (CONNECT) fits no path.
            headers = (("allow", extra.get("allow", "GET, HEAD, POST")),)
        if "retry_after" in extra:
            # Rounded up: who waits exactly so long must not be refused again.
            seconds = max(1, math.ceil(extra["retry_after"]))
            extra["retry_after"] = seconds
            headers = (("retry-after", str(seconds)),)
        if refusal.status == 401:
            headers = (("www-authenticate", 'Bearer realm="vstack"'),)
        state = self.state
        if state.surface != REST:
            told = self._contribution.refusal(state.context, refusal, state.request_id)
            headers = (("content-type", told.content_type), NO_STORE, *headers)
            return self._finish(told.status, headers, told.body, refusal.code)
        as_problem = names(state.fields.get("accept", ""), PROBLEM)
        kind, body = error_body(refusal.status, refusal.code, refusal.message, state.request_id, extra, as_problem)
        return self._finish(refusal.status, (("content-type", kind), NO_STORE, *headers), body, refusal.code)

    def _serve_document(self, page: Document) -> Commands:
        """Answer with a page that does not change, or with 304 to who has it already."""
        caching = (("etag", page.etag), REVALIDATE)
        known = self.state.fields.get("if-none-match", "")
        if page.etag in known or known.strip() == "*":
            return self._finish(304, caching, b"")
        return self._finish(200, (("content-type", page.content_type), *caching), page.body)

    def _finish(self, status: int, headers: Headers, body: bytes, code: str = "") -> Commands:
        """The answer, what gives back that which is held, and the record; the exchange is done."""
        state = self.state
        release = self._release() if state.waiting or state.flight else ()
        state.phase = DONE
        state.body = []
        if state.streams and (state.streaming or not code):
            opening = () if state.streaming else self._open_stream(headers[2:])
            return (*release, *opening, SendPart(self._last_part(body, code)), EndStream(), self._record(status, code))
        close = state.draining or state.unread or not state.keep_alive
        # 204 and 304 have no body, hence no length (RFC 9110, section 8.6).
        if status != 204 and status != 304:
            headers = (*headers, ("content-length", str(len(body))))
        reply = Respond(status, self._completed(headers, close), b"" if state.method == "HEAD" else body, close)
        return (*release, reply, self._record(status, code)) if release else (reply, self._record(status, code))

    @property
    def _contribution(self) -> Contribution:
        return self.service.routes.contributions[self.state.route]

    def _last_part(self, body: bytes, code: str) -> bytes:
        if self.state.surface != REST:
            return self._contribution.part(body)
        return server_event("error" if code else "result", body)

    def _open_stream(self, more: Headers = ()) -> Commands:
        """The head of an answer in server-sent events."""
        state = self.state
        state.streams = state.streaming = True
        close = state.draining or state.unread or not state.keep_alive
        return (StartStream(200, self._completed((("content-type", EVENTS), NO_STORE, *more), close), close),)

    def _completed(self, headers: Headers, close: bool) -> Headers:
        """An answer's own headers and those that every answer carries; ``close`` where its connection ends with it."""
        state = self.state
        always = _DOCS if state.endpoint == "docs" else _ALWAYS
        quota: Headers = ()
        if state.limit >= 0:
            quota = ("x-ratelimit-limit", str(state.limit)), ("x-ratelimit-remaining", str(state.remaining))
        headers = (*headers, date_field(state.wall // 1), ("x-request-id", state.request_id), *always, *quota)
        if close or state.secure or state.origin or self.policy.ietf_headers:
            headers += self._occasional(close)
        return headers

    def _occasional(self, close: bool) -> Headers:
        """What an answer carries only here and there."""
        state = self.state
        headers: Headers = ()
        if state.limit >= 0 and self.policy.ietf_headers:
            # draft-ietf-httpapi-ratelimit-headers-10: a named policy with quota (q), window (w), rest (r), reset (t).
            headers = (
                ("ratelimit-policy", f'"default";q={state.limit};w={math.ceil(state.window)}'),
                ("ratelimit", f'"default";r={state.remaining};t={math.ceil(state.reset)}'),
            )
        if state.secure:
            headers += (STRICT_TRANSPORT,)
        if state.origin:
            allowed = "*" if "*" in self.policy.cors_origins else state.origin
            headers += (
                ("access-control-allow-origin", allowed),
                ("access-control-expose-headers", _EXPOSED),
                ("vary", "Origin"),
            )
        if close:
            # A body that is not read leaves its connection in no known state.
            headers += (("connection", "close"),)
        return headers

    def _record(self, status: int, code: str) -> Record:
        state = self.state
        outcome = ""
        if state.endpoint == "analyze":
            outcome = outcome_of(code) if code else "ok"
        # By position: twenty names would cost more than the rest of the answer.
        record = Record(
            state.surface,
            state.request_id,
            state.method,
            state.path,
            state.route,
            status,
            outcome,
            state.pattern if state.pattern in self.service.catalogue.patterns else "other",
            state.mode or "other",
            state.started,
            state.caller,
            state.trace_id,
            state.model,
            state.cache,
            code,
        )
        if state.parent_span:
            record = msgspec.structs.replace(record, parent_span=state.parent_span)
        if state.analysis is None:
            return record
        usage = state.analysis.usage
        return msgspec.structs.replace(
            record,
            calls=state.analysis.calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=usage.cost_usd,
        )

    def _release(self) -> Commands:
        """Give back what is held: a question that is still open, a place in a flight."""
        state = self.state
        held: Commands = ()
        # Also for a store that is asked: its answer must not reach the next exchange of the connection.
        if state.waiting and state.waiting != state.flight:
            held = (CancelCall(state.waiting),)
        if state.flight:
            held = (*held, LeaveFlight(state.flight, state.key))
        state.waiting = state.flight = 0
        return held

    def _next_ticket(self) -> int:
        state = self.state
        state.ticket = state.waiting = ticket = state.ticket + 1
        return ticket

    def _left(self, event: PeerLeft) -> Commands:
        if self.state.phase is HEAD:
            return self._never_begin()
        release = self._release()
        self.state.phase = DONE
        # 499 is what proxies log for a caller who left; it is never sent.
        return (*release, Abort(), self._record(499, "cancelled"))

    def _never_begin(self) -> Commands:
        """End without an answer: no head has come, so that nobody asks."""
        self.state = State(DONE)
        return (Abort(),)

    def _too_late(self, event: DeadlinePassed) -> Commands:
        state, limits = self.state, self.limits
        if state.phase is HEAD:
            return self._never_begin()
        if state.phase is BODY and event.at < state.last_moment:
            told = (
                f"the body stopped coming after {state.received} bytes; at most {limits.body_timeout:g} s may pass "
                f"without progress, and {limits.min_body_rate} bytes a second are the least"
            )
            return self.refuse(RemoteProtocolError(408, "request_timeout", told), event.at)
        told = (
            f"no answer within {limits.request_timeout:g} s; mode=quick makes fewer model calls, and "
            "VSTACK_API_REQUEST_TIMEOUT sets the limit"
        )
        return self.refuse(RemoteProtocolError(504, "timeout", told), event.at)

    def _shut_down(self, event: ShutdownAsked) -> Commands:
        if self.state.phase is HEAD:
            self.state = State(HEAD, draining=True)
            return self._never_begin() if event.now else ()
        self.state.draining = True
        if not event.now:
            return ()
        told = "the service is stopping; send the request to another replica, or again in a moment"
        return self.refuse(RemoteProtocolError(503, "draining", told, retry_after=1), event.at)

    def _crashed(self, event: Crashed) -> Commands:
        if self.state.phase is HEAD and not self.state.method:
            return self._never_begin()
        told = "a fault of the service; it has been logged under this request id"
        return self.refuse(RemoteProtocolError(500, "internal_error", told), event.at)

    def _ignore(self, event: Any) -> Commands:
        return ()

    def _json(self, value: Any, status: int = 200, code: str = "") -> Commands:
        body = msgspec.json.encode(value)
        if self.state.surface != REST:
            status, body = 200, self._contribution.answer(self.state.context, body)
        return self._finish(status, (("content-type", JSON), NO_STORE), body, code)
