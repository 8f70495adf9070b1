"""Sentry: what crashed, where, and in which request; nothing of what callers and models said.

The client is one of our own, beside whatever an embedding program has set up: it hooks into nothing, and knows nothing
but what it is given here.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from typing import Any

import sentry_sdk
from sentry_sdk.transport import HttpTransport
from sentry_sdk.utils import event_from_exception

from vstack_proto.commands import Record
from vstack_runtime.observing.told import ModelCall, Records, Unsent
from vstack_runtime.observing_settings import ObservingSettings

# What may leave the process; all else of an event is dropped, whatever a version of the library adds.
_EVENT = frozenset(
    (
        *("event_id", "type", "timestamp", "start_timestamp", "level", "platform", "release", "environment", "sdk"),
        *("server_name", "transaction", "tags", "logentry", "exception", "contexts", "spans"),
    )
)
_TAGS = frozenset(
    (
        *("request_id", "trace_id", "method", "route", "surface", "mode", "pattern", "status", "outcome", "cache"),
        *("met", "command", "provider", "task"),
    )
)
_EXCEPTION = frozenset(["type", "module", "stacktrace"])
_FRAME = frozenset(["filename", "abs_path", "function", "module", "lineno", "in_app"])
_TRACE = frozenset(["trace_id", "span_id", "parent_span_id", "op", "status"])
_CONTEXTS = {"trace": _TRACE}


class _Transport(HttpTransport):
    """The SDK's, which says nothing of what it loses."""

    _unsent = Unsent("SENTRY_DSN")

    def on_dropped_event(self, reason: str) -> None:
        self._unsent.more()


class Reports:
    """An observer that tells Sentry of crashes and, where asked to, of some requests."""

    def __init__(self, settings: ObservingSettings, version: str) -> None:
        """
        Args:
            settings: With a DSN.
            version: Of the service: the release, where none is named.
        """
        self._rate = settings.sentry_traces_sample_rate
        self._client = sentry_sdk.Client(
            dsn=settings.sentry_dsn,
            environment=settings.sentry_environment,
            release=settings.sentry_release or f"vstack@{version}",
            integrations=[],
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_default_pii=False,
            include_local_variables=False,
            include_source_context=False,
            max_breadcrumbs=0,
            max_request_body_size="never",
            send_client_reports=False,
            traces_sample_rate=None,
            transport=_Transport,
            before_send=scrubbed,
            before_send_transaction=scrubbed,
        )

    def crashed(self, error: BaseException, told: str, tags: Mapping[str, str]) -> None:
        """As ``Observer`` has it."""
        mechanism = {"type": "vstack", "handled": True}
        event, hint = event_from_exception(error, client_options=self._client.options, mechanism=mechanism)
        event["logentry"] = {"message": told}
        event["tags"] = dict(tags)
        if "route" in tags:
            event["transaction"] = f"{tags.get('method', '')} {tags['route']}".strip()
        self._client.capture_event(event, hint)

    def requests(self, records: Records) -> None:
        """As ``Observer`` has it."""
        if not self._rate:
            return
        for record, seconds, ended in records:
            if random.random() < self._rate:
                self._client.capture_event(_transaction(record, seconds, ended))

    def traceparent(self, call: ModelCall) -> str:
        """As ``Observer`` has it."""
        return ""

    def model_called(self, call: ModelCall) -> None:
        """As ``Observer`` has it."""

    def close(self, seconds: float) -> None:
        """As ``Observer`` has it."""
        self._client.close(timeout=seconds)


def _transaction(record: Record, seconds: float, ended: float) -> Any:
    told = {
        "request_id": record.request_id,
        "method": record.method,
        "route": record.route,
        "surface": record.surface,
        "status": str(record.status),
        "cache": record.cache,
    }
    if record.outcome:
        told |= {"pattern": record.pattern, "mode": record.mode, "outcome": record.outcome}
    trace = {"trace_id": record.trace_id or uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16], "op": "http.server"}
    if record.parent_span:
        trace["parent_span_id"] = record.parent_span[:16]
    trace["status"] = "ok" if record.status < 400 else "internal_error" if record.status >= 500 else "invalid_argument"
    return {
        "type": "transaction",
        "transaction": f"{record.method} {record.route}",
        "start_timestamp": ended - seconds,
        "timestamp": ended,
        "contexts": {"trace": trace},
        "tags": {name: value for name, value in told.items() if value},
        "spans": [],
    }


def scrubbed(event: Any, hint: Any) -> Any:
    """An event without all that is not known to be harmless: the last thing that is done to it before it is sent.

    Of an exception its type and the places in the code stay. Its text is left out, since it may quote a trace, a key
    or a model; the log has it, under the request id that is a tag here.
    """
    kept = {name: value for name, value in event.items() if name in _EVENT}
    if "tags" in kept:
        kept["tags"] = _only(_TAGS, kept["tags"])
    if "contexts" in kept:
        contexts = kept["contexts"]
        kept["contexts"] = {name: _only(_CONTEXTS[name], contexts[name]) for name in contexts if name in _CONTEXTS}
    if "exception" in kept:
        kept["exception"] = {"values": [_exception(one) for one in kept["exception"].get("values") or ()]}
    return kept


def _exception(told: Mapping[str, Any]) -> dict[str, Any]:
    kept = _only(_EXCEPTION, told)
    if kept.get("stacktrace"):
        kept["stacktrace"] = {"frames": [_only(_FRAME, frame) for frame in kept["stacktrace"].get("frames") or ()]}
    return kept


def _only(names: frozenset[str], told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name in names}
