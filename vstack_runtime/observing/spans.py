"""OpenTelemetry: a span for each request, and one for each model call inside it.

Spans are made once they are over, and handed to a thread that sends them in batches: a request waits for nothing. The
pipeline is one of our own, beside whatever an embedding program has set up.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
from opentelemetry.trace.status import Status, StatusCode

from vstack_proto.commands import Record
from vstack_runtime.logs import PROBES
from vstack_runtime.observing.told import ModelCall, Records, Unsent

_NANO = 1_000_000_000
Attributes = dict[str, str | int | float]


class _Exporter(OTLPSpanExporter):
    """The SDK's, which says seldom what it says often."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint=endpoint)
        self._unsent = Unsent("OTEL_EXPORTER_OTLP_ENDPOINT")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._unsent.more()
        return result


class Spans:
    """An observer that sends spans over OTLP/HTTP.

    Of the usual OTEL_* variables the SDK reads those about its exporter, batches, sampler and resource by itself.
    """

    def __init__(self, endpoint: str, version: str) -> None:
        """
        Args:
            endpoint: Base URL of the receiver; ``/v1/traces`` is appended.
            version: Of the service.
        """
        told = Resource.create({"service.version": version})
        if str(told.attributes.get("service.name", "")).startswith("unknown_service"):
            told = told.merge(Resource({"service.name": "vstack"}))
        # Only its sampler, which it makes from the variables, and its resource are used: spans are made here.
        provider = TracerProvider(resource=told, shutdown_on_exit=False)
        self._resource, self._sampler = provider.resource, provider.sampler
        self._scope = InstrumentationScope("vstack", version)
        self._processor = BatchSpanProcessor(_Exporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))
        self._seed = os.urandom(16)

    def crashed(self, error: BaseException, told: str, tags: Mapping[str, str]) -> None:
        """As ``Observer`` has it; the span of a request says by its status that it failed."""

    def requests(self, records: Records) -> None:
        """As ``Observer`` has it. A probe has a span only where it is part of a trace."""
        for record, seconds, ended in records:
            if record.route in PROBES and not record.trace_id:
                continue
            span, parent = self._place(record)
            if span.trace_flags.sampled:
                told = _of_request(record)
                name = f"{record.method} {record.route}"
                failed = record.code or str(record.status) if record.status >= 500 else ""
                self._end(name, SpanKind.SERVER, (span, parent), told, failed, (seconds, ended))

    def traceparent(self, call: ModelCall) -> str:
        """As ``Observer`` has it."""
        span = self._inner(call, self._place(call)[0])
        return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"

    def model_called(self, call: ModelCall) -> None:
        """As ``Observer`` has it."""
        parent = self._place(call)[0]
        if parent.trace_flags.sampled:
            failed = "" if call.outcome in ("ok", "cancelled") else call.outcome
            times = call.seconds, call.ended
            self._end(
                f"chat {call.model}",
                SpanKind.CLIENT,
                (self._inner(call, parent), parent),
                _of_call(call),
                failed,
                times,
            )

    def close(self, seconds: float) -> None:
        """As ``Observer`` has it."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _inner(self, call: ModelCall, parent: SpanContext) -> SpanContext:
        return SpanContext(parent.trace_id, int(call.span_id, 16), is_remote=False, trace_flags=parent.trace_flags)

    def _place(self, told: Record | ModelCall) -> tuple[SpanContext, SpanContext | None]:
        """The span of a request, and its parent: the same whatever of one request is told, before or after its end.

        Ids follow from the request id and the moment of its head, so that a model call needs no span that is kept open.
        """
        named = f"{told.request_id} {told.started!r}".encode()
        drawn = hashlib.blake2b(named, key=self._seed, digest_size=24).digest()
        trace_id, parent = int(told.trace_id or "0", 16), None
        span_id, _, flags = told.parent_span.partition("-")
        if trace_id and int(span_id or "0", 16):
            parent = SpanContext(trace_id, int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16) & 1))
        trace_id = trace_id if parent else int.from_bytes(drawn[:16]) or 1
        around = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
        decision = self._sampler.should_sample(around, trace_id, "request", SpanKind.SERVER).decision
        flag = TraceFlags(TraceFlags.SAMPLED if decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
        return SpanContext(trace_id, int.from_bytes(drawn[16:]) or 1, is_remote=False, trace_flags=flag), parent

    def _end(
        self,
        name: str,
        kind: SpanKind,
        place: tuple[SpanContext, SpanContext | None],
        told: Attributes,
        failed: str,
        times: tuple[float, float],
    ) -> None:
        seconds, ended = times
        if failed:
            told["error.type"] = failed
        span = ReadableSpan(
            name,
            context=place[0],
            parent=place[1],
            resource=self._resource,
            attributes={key: value for key, value in told.items() if value != ""},
            kind=kind,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=int((ended - seconds) * _NANO),
            end_time=int(ended * _NANO),
            instrumentation_scope=self._scope,
        )
        self._processor.on_end(span)


def _of_request(record: Record) -> Attributes:
    told: Attributes = {
        "http.request.method": record.method,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "vstack.request_id": record.request_id,
        "vstack.surface": record.surface,
        "vstack.cache": record.cache,
    }
    if record.outcome:
        told |= {"vstack.pattern": record.pattern, "vstack.mode": record.mode, "vstack.outcome": record.outcome}
    return told


def _of_call(call: ModelCall) -> Attributes:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.provider,
        "gen_ai.request.model": call.model,
        "gen_ai.usage.input_tokens": call.usage.input_tokens,
        "gen_ai.usage.output_tokens": call.usage.output_tokens,
        "vstack.outcome": call.outcome,
        "vstack.cost_usd": call.usage.cost_usd,
        "vstack.request_id": call.request_id,
    }
