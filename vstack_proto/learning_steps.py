"""The steps of what is remembered: learnings recorded, recalled and judged, and what analyses have cost."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Callable
from typing import TypeVar, get_args
from urllib.parse import parse_qsl

import msgspec

from vstack_proto.commands import (
    AggregateOutcomes,
    Commands,
    ReadAnalytics,
    RecallLearnings,
    RecordLearning,
    ReportOutcome,
)
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import (
    AnalyticsRead,
    LearningRecorded,
    LearningsRecalled,
    OutcomeReported,
    OutcomesAggregated,
    StoreFailed,
)
from vstack_proto.learning import (
    DEFAULT_RECALLED,
    MAX_EXTRA_BYTES,
    MAX_RECALLED,
    MAX_WORD_CHARS,
    Finding,
    LearningQuery,
    OutcomeReport,
    kept,
    learning_id,
    ranked,
)
from vstack_proto.limits import check_body
from vstack_proto.replies import Replies
from vstack_proto.state import ANALYTICS, LEARNINGS
from vstack_proto.telemetry import GROUPINGS, AnalyticsQuery, Grouping, analytics_page
from vstack_proto.trace import utc
from vstack_proto.validation import decode_trace, unknown_fields

V = TypeVar("V")

# Their requests have a body; the others of this file have a query.
WITH_BODY = frozenset({"record_learning", "report_outcome"})
ENDPOINTS = frozenset({"learnings", "outcomes", "analytics", *WITH_BODY})

_CHOICES = ("pattern", "agent_id", "crew_id")
_OFF = {
    "learnings": "this service keeps no learnings; VSTACK_LEARNINGS says where they are kept",
    "analytics": "this service keeps no telemetry that it could read; VSTACK_TELEMETRY says where it is kept",
}


class LearningSteps(Replies):
    """Learnings and analytics."""

    __slots__ = ()

    def _open_store(self) -> None:
        """Refuse what this service has no store for, before anything else is looked at."""
        asks = "analytics" if self.state.endpoint == "analytics" else "learnings"
        if not (self.policy.analytics if asks == "analytics" else self.policy.learnings):
            raise RemoteProtocolError(404, "not_found", _OFF[asks])

    def _ask_store(self) -> Commands:
        """Begin a request that has no body."""
        state = self.state
        if state.endpoint == "analytics":
            query = analytics_query(state.query, state.caller)
            state.phase = ANALYTICS
            return (ReadAnalytics(self._next_ticket(), query),)
        wanted = learning_query(state.query, limited=state.endpoint == "learnings")
        state.phase = LEARNINGS
        if state.endpoint == "outcomes":
            return (AggregateOutcomes(self._next_ticket(), state.caller, wanted),)
        return (RecallLearnings(self._next_ticket(), state.caller, wanted),)

    def _tell_store(self, body: bytes, at: float) -> Commands:
        """The body of a request is complete: hand it to the store."""
        state = self.state
        check_body(body, self.limits)
        if state.endpoint == "report_outcome":
            report = decode_trace(body, OutcomeReport)
            state.phase = LEARNINGS
            return (ReportOutcome(self._next_ticket(), state.caller, state.pattern, report),)
        finding = decode_trace(body, Finding)
        # A record about a pattern that nobody has could never be found again by it.
        self.service.catalogue.get(finding.pattern)
        size = len(msgspec.json.encode(finding.extra))
        if size > MAX_EXTRA_BYTES:
            raise _invalid("/extra", f"must have at most {MAX_EXTRA_BYTES} bytes as JSON, not {size}")
        state.warnings = unknown_fields(body, Finding)
        moment = state.wall + (at - state.started)
        name = learning_id(state.caller, state.request_id, repr(state.wall), body.decode())
        state.phase = LEARNINGS
        return (RecordLearning(self._next_ticket(), state.caller, kept(finding, name, moment)),)

    def _learning_recorded(self, event: LearningRecorded) -> Commands:
        warnings = self.state.warnings
        told = msgspec.to_builtins(event.record)
        return self._json({**told, "warnings": warnings} if warnings else told, 201)

    def _learnings_recalled(self, event: LearningsRecalled) -> Commands:
        return self._json({"count": len(event.records), "learnings": event.records})

    def _outcome_reported(self, event: OutcomeReported) -> Commands:
        if event.record is None:
            # The same words for what is another caller's: whether it exists is nobody else's to know.
            told = f"no learning of yours has the id {self.state.pattern[:100]!r}; GET /v1/learnings lists them"
            raise RemoteProtocolError(404, "not_found", told)
        return self._json(event.record)

    def _outcomes_aggregated(self, event: OutcomesAggregated) -> Commands:
        outcomes = ranked(event.counts)
        return self._json({"count": len(outcomes), "confidence": 0.95, "outcomes": outcomes})

    def _analytics_read(self, event: AnalyticsRead) -> Commands:
        return self._json(analytics_page(analytics_query(self.state.query, self.state.caller).by, event.rows))

    def _store_failed(self, event: StoreFailed) -> Commands:
        told = "the store does not answer; nothing was changed as far as is known"
        raise RemoteProtocolError(503, "overloaded", told, retry_after=1)


# Queries.


def learning_query(query: str, *, limited: bool) -> LearningQuery:
    """What a query string asks for.

    Args:
        query: As it came.
        limited: Whether it may say ``limit``.

    Raises:
        RemoteProtocolError: 400 ``validation_error``: a parameter that there is not, or that cannot be.
    """
    told = _parameters(query, (*_CHOICES, *(("limit",) if limited else ())))
    limit = _parsed(told, "limit", _limit, DEFAULT_RECALLED)
    return LearningQuery(limit=limit, **{name: told[name] for name in _CHOICES if name in told})


def analytics_query(query: str, scope: str) -> AnalyticsQuery:
    """What a query string asks for, of one caller's events.

    Raises:
        RemoteProtocolError: As ``learning_query``.
    """
    told = _parameters(query, ("by", "since", "until"))
    return AnalyticsQuery(
        by=_parsed(told, "by", _grouping, "pattern"),
        scope=scope,
        since=_parsed(told, "since", moment_of, 0.0),
        until=_parsed(told, "until", moment_of, None),
    )


def moment_of(text: str) -> float:
    """A day or a moment as seconds since 1970; what names no offset is in UTC.

    Raises:
        ValueError: It is neither.
    """
    try:
        return utc(dt.datetime.fromisoformat(text)).timestamp()
    except (ValueError, OverflowError):
        told = "must be a day or a moment, such as 2026-03-01 or 2026-03-01T09:00:00Z"
        raise ValueError(told) from None


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_RECALLED):
        raise ValueError(f"must be a whole number from 1 to {MAX_RECALLED}")
    return int(text)


def _grouping(text: str) -> Grouping:
    for name in GROUPINGS:
        if name == text:
            return name
    raise ValueError(f"must be one of {', '.join(get_args(Grouping))}")


def _parameters(query: str, known: tuple[str, ...]) -> dict[str, str]:
    """The parameters by name. One that is misspelt would choose everything: none is ignored."""
    told: dict[str, str] = {}
    # As many as there are names, and a few in vain: what is longer was not written by hand.
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise _invalid("", "has more than 20 query parameters") from None
    for name, value in pairs:
        if name not in known:
            near = difflib.get_close_matches(name[:100], known, 1, 0.6)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise _invalid(f"/{name[:100]}", f"is no query parameter of this path{hint}")
        if name in told:
            raise _invalid(f"/{name}", "is there more than once")
        if len(value) > MAX_WORD_CHARS:
            raise _invalid(f"/{name}", f"must have at most {MAX_WORD_CHARS} characters, not {len(value)}")
        told[name] = value
    return told


def _parsed(told: dict[str, str], name: str, parse: Callable[[str], V], default: V) -> V:
    if name not in told:
        return default
    try:
        return parse(told[name])
    except ValueError as fault:
        raise _invalid(f"/{name}", str(fault)) from None


def _invalid(pointer: str, message: str) -> RemoteProtocolError:
    fault = {"pointer": pointer, "message": message}
    told = f"{pointer} {message}" if pointer else f"the request {message}"
    return RemoteProtocolError(400, "validation_error", told, errors=[fault], error_count=1)
