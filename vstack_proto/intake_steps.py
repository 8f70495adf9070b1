"""The steps from a request's head to its body: who calls, whether they may, and what they ask for."""

from __future__ import annotations

import contextlib
import re

from vstack_proto.address import client_address, is_trusted
from vstack_proto.answers import NO_STORE
from vstack_proto.commands import (
    ArmDeadline,
    CheckKey,
    CheckReadiness,
    Commands,
    ReadBody,
    RenderMetrics,
    TakeQuota,
)
from vstack_proto.encoding import SUPPORTED
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import (
    FramingRefused,
    HeadReceived,
    KeyChecked,
    MetricsRendered,
    QuotaAnswered,
    ReadinessAnswered,
)
from vstack_proto.learning_steps import ENDPOINTS, WITH_BODY, LearningSteps
from vstack_proto.limits import MAX_BODY_BYTES, too_large
from vstack_proto.negotiation import EVENTS, JSON, PROBLEM, accepted
from vstack_proto.state import BODY, HEAD, KEY, METRICS, PENALTY, QUOTA, READINESS, State

_is_request_id = re.compile(r"[A-Za-z0-9._:-]{1,200}").fullmatch
# W3C Trace Context, section 3.2: version, trace-id, parent-id, flags. No version is ff, no id is all zeros, and only
# versions to come have more behind the flags.
_TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?:-.*)?"
)
_OFFERS = (JSON, PROBLEM, EVENTS)


def _is_json(content_type: str) -> bool:
    """Whether a ``Content-Type`` field means JSON: ``application/json``, or any type that is built on it."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("", JSON) or (kind.startswith("application/") and kind.endswith("+json"))


class IntakeSteps(LearningSteps):
    """Head, key, quota, body."""

    __slots__ = ()

    def _head(self, event: HeadReceived) -> Commands:
        head, policy = event.head, self.policy
        fields, length = head.fields, head.content_length or 0
        asked = fields.get("x-request-id")
        # All at once and by position: to set so many fields one by one would cost more than the rest of the step.
        self.state = State(
            HEAD,
            self.state.draining,
            event.wall,
            event.at,
            event.at + self.limits.request_timeout,
            asked if asked and _is_request_id(asked) else event.request_id,
            event.peer,
            event.scheme == "https"
            or (fields.get("x-forwarded-proto") == "https" and is_trusted(event.peer, policy.trusted_proxies)),
            event.method,
            head.path,
            head.query,
            fields,
            head.keep_alive,
            length,
            head.expects_continue,
            head.chunked or length > 0,
        )
        if isinstance(event.root, str):
            self.state.root = event.root
        if policy.cors_origins or "traceparent" in fields:
            self._trace_back()
            if self.state.origin and event.method == "OPTIONS" and "access-control-request-method" in fields:
                return self._preflight()
        return self._find_route(event)

    def _trace_back(self) -> None:
        """What the request is part of: a trace, and a page whose origin is answered to."""
        state, fields, origins = self.state, self.state.fields, self.policy.cors_origins
        if "traceparent" in fields and (trace := _TRACEPARENT.fullmatch(fields["traceparent"])):
            state.trace_id, state.parent_span = trace.groups()
        if origins and not origins.isdisjoint((fields.get("origin"), "*")):
            state.origin = fields.get("origin", "")

    @property
    def _address(self) -> str:
        """The caller's address, an IPv6 one as its /64; looked up only where no key names the caller."""
        state = self.state
        return client_address(state.peer, state.fields.get("x-forwarded-for"), self.policy.trusted_proxies)

    def _preflight(self) -> Commands:
        headers = (
            ("access-control-allow-methods", "GET, HEAD, POST"),
            # Any: MCP and tracing have theirs. A star does not stand for the first (Fetch, section 3.3.4).
            ("access-control-allow-headers", "Authorization, *"),
            ("access-control-max-age", "600"),
            NO_STORE,
        )
        return self._finish(204, headers, b"")

    def _find_route(self, event: HeadReceived) -> Commands:
        state, policy = self.state, self.policy
        match = self.service.routes.find(state.method, state.path)
        route = match.route
        state.route, state.endpoint, state.pattern = route.path, route.endpoint, match.name
        if route.contribution is not None:
            state.surface = route.contribution.surface
            state.context = route.contribution.check(state.fields)
        if route.public:
            return (ArmDeadline(state.last_moment), *self._serve())
        if policy.require_auth or event.credential is not None:
            state.phase = KEY
            state.ticket = state.waiting = 1
            return ArmDeadline(state.last_moment), CheckKey(1, event.credential)
        return (ArmDeadline(state.last_moment), *self._take_quota())

    def _not_a_request(self, event: FramingRefused) -> Commands:
        asked = event.fields.get("x-request-id")
        self.state = State(
            HEAD,
            self.state.draining,
            wall=event.wall,
            started=event.at,
            request_id=asked if asked and _is_request_id(asked) else event.request_id,
            peer=event.peer,
            method=event.method,
            path=event.path,
            fields=event.fields,
            unread=True,
        )
        self._trace_back()
        with contextlib.suppress(RemoteProtocolError):
            # Refused or not, a request to an analysis counts as one; what one to a contributed route wants, only its
            # body tells.
            match = self.service.routes.find(event.method, event.path)
            if match.route.contribution is None:
                state, route = self.state, match.route
                state.route, state.endpoint, state.pattern = route.path, route.endpoint, match.name
        raise RemoteProtocolError(event.status, event.code, event.message)

    def _bad_body(self, event: FramingRefused) -> Commands:
        raise RemoteProtocolError(event.status, event.code, event.message)

    def _key_checked(self, event: KeyChecked) -> Commands:
        state, policy = self.state, self.policy
        if event.name is not None:
            state.caller = event.name
            return self._take_quota()
        if not policy.require_auth:
            # Keys mean nothing here; a key that nobody knows is no reason to refuse who needs none.
            return self._take_quota()
        if not event.loaded:
            told = "this service requires a key and has none loaded; its operator sets VSTACK_API_KEYS"
            raise RemoteProtocolError(500, "auth_misconfigured", told)
        state.phase = PENALTY
        return (TakeQuota(self._next_ticket(), "auth_failures", f"addr:{self._address}"),)

    def _penalty_answered(self, event: QuotaAnswered) -> Commands:
        state = self.state
        if event.verdict == "refused":
            state.limit, state.remaining = event.limit, 0
            state.reset, state.window = event.reset, event.window
            told = f"too many requests with a missing or wrong key from this address: {event.limit} are allowed"
            raise RemoteProtocolError(429, "rate_limited", told, retry_after=event.retry_after)
        told = "a valid key is needed: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
        raise RemoteProtocolError(401, "unauthorized", told)

    def _take_quota(self) -> Commands:
        state = self.state
        if not self.policy.quota:
            return self._serve()
        state.phase = QUOTA
        key = f"key:{state.caller}" if state.caller else f"addr:{self._address}"
        return (TakeQuota(self._next_ticket(), "requests", key),)

    def _quota_answered(self, event: QuotaAnswered) -> Commands:
        state = self.state
        if event.verdict == "unavailable":
            told = "the quota store does not answer, and VSTACK_STORE_FAILURE=closed refuses requests meanwhile"
            raise RemoteProtocolError(503, "overloaded", told, retry_after=1)
        state.limit = event.limit
        state.remaining = event.remaining
        if self.policy.ietf_headers:
            state.reset, state.window = event.reset, event.window
        if event.verdict == "refused":
            told = f"{event.limit} requests in {event.window:g} s are allowed; Retry-After says when the next one is"
            raise RemoteProtocolError(429, "rate_limited", told, retry_after=event.retry_after)
        return self._serve()

    def _serve(self) -> Commands:
        """Begin what the route is for."""
        state, service = self.state, self.service
        endpoint = state.endpoint
        if endpoint == "analyze":
            if state.pattern not in service.catalogue.patterns:
                service.catalogue.get(state.pattern)
            return self._want_body()
        if endpoint == "contributed":
            return self._want_body()
        if endpoint in ENDPOINTS:
            self._open_store()
            return self._want_body() if endpoint in WITH_BODY else self._ask_store()
        if endpoint == "livez":
            return self._finish(200, (("content-type", JSON), NO_STORE), service.health.body)
        if endpoint == "readyz":
            state.phase = READINESS
            return (CheckReadiness(self._next_ticket()),)
        if endpoint == "metrics":
            state.phase = METRICS
            return (RenderMetrics(self._next_ticket(), state.fields.get("accept", "")),)
        if endpoint == "openapi":
            return self._serve_document(service.mounted("openapi", state.root))
        if endpoint == "docs":
            return self._serve_document(service.mounted("docs", state.root))
        return self._serve_document(service.catalogue.document(endpoint, state.pattern))

    def _readiness_answered(self, event: ReadinessAnswered) -> Commands:
        told: dict[str, object] = {"status": event.status, "detail": event.detail}
        if "verbose" in self.state.query:
            told["checks"] = event.checks
        return self._json(told, 200 if event.status == "ready" else 503)

    def _metrics_rendered(self, event: MetricsRendered) -> Commands:
        return self._finish(200, (("content-type", event.content_type), NO_STORE), event.body)

    def _want_body(self) -> Commands:
        """Refuse what the head alone shows to be useless, before a byte of the body is read."""
        state, limits = self.state, self.limits
        fields = state.fields
        kind = fields.get("content-type", JSON)
        if kind != JSON and not _is_json(kind):
            told = f"the body is {kind[:100]}; send JSON with 'Content-Type: application/json'"
            raise RemoteProtocolError(415, "unsupported_media_type", told)
        if "content-encoding" in fields:
            self._check_encoding(fields["content-encoding"])
        if state.content_length > limits.max_body_bytes:
            raise too_large("the body", "bytes", limits.max_body_bytes, state.content_length, MAX_BODY_BYTES)
        accept = fields.get("accept", JSON)
        if accept != JSON and accept != "*/*" and state.endpoint == "analyze":
            self._choose_form(accept)
        state.phase = BODY
        # What ``_body_deadline`` says while nothing has come.
        deadline = state.started + limits.body_timeout
        if deadline > state.last_moment:
            deadline = state.last_moment
        return ArmDeadline(deadline), ReadBody(state.expects_continue)

    def _choose_form(self, accept: str) -> None:
        """Whether the detection comes as one body or as events."""
        chosen = accepted(accept, _OFFERS)
        if chosen is None:
            told = f"the answer comes as {JSON} or {EVENTS}, and Accept allows neither"
            raise RemoteProtocolError(406, "not_acceptable", told)
        self.state.streams = chosen == EVENTS

    def _check_encoding(self, asked: str) -> None:
        encoding = asked.strip().lower()
        # An empty list of codings is sound (RFC 9110, section 5.6.1).
        if encoding in ("", "identity"):
            return
        if encoding not in SUPPORTED:
            told = f"Content-Encoding {asked[:100]!r}; {', '.join(SUPPORTED)} or none are read"
            raise RemoteProtocolError(415, "unsupported_media_type", told)
        self.state.content_encoding = encoding
