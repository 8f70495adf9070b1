"""The steps from a request's body to its detection: decode, look up, join or lead, ask the model, answer."""

from __future__ import annotations

import msgspec

from vstack_proto.analysis.machine import OFFLINE, Analysis, AnalysisState, Concluded, Step, request_name, run_id
from vstack_proto.answer_steps import AnswerSteps, no_baseline
from vstack_proto.answers import HEARTBEAT, NO_STORE, server_event
from vstack_proto.caching import alias_key, cache_key, canonical
from vstack_proto.commands import (
    AnyCommand,
    ArmDeadline,
    CallModel,
    Commands,
    JoinFlight,
    LandFlight,
    LookUpCache,
    SendPart,
    StoreCache,
)
from vstack_proto.contributed import REST, Direct
from vstack_proto.encoding import BodyDecoder
from vstack_proto.errors import RemoteProtocolError, TraceNotReadable
from vstack_proto.events import (
    BaselineRead,
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    DeadlinePassed,
    FlightHandedOver,
    FlightJoined,
    FlightLanded,
    ModelAnswered,
    ModelFailed,
    PassBegun,
)
from vstack_proto.faults import MAX_FAULTS
from vstack_proto.learning_steps import WITH_BODY
from vstack_proto.limits import MAX_BODY_BYTES, check_body, check_trace, too_large
from vstack_proto.patterns.common import MODES
from vstack_proto.state import ALIAS, CACHE, FLIGHT, FOLLOW, MODEL
from vstack_proto.trace import CanonicalTrace
from vstack_proto.validation import Envelope, decode_envelope, decode_trace, looks_canonical, unknown_fields
from vstack_proto.values import Alias, CacheEntry, Failure, Landing, ModelRequest

_FORMATS = ("native", "canonical")
_CANONICAL = 'the trace has goal and steps, as a canonical one: if it is, send "format": "canonical" with it'
_NO_PROVIDER = (
    "no model provider is configured: set ANTHROPIC_API_KEY, OPENAI_API_KEY or OLLAMA_HOST, or run on the signals "
    'alone with VSTACK_LLM=offline or "model": "offline" in the request'
)


class AnalysisSteps(AnswerSteps):
    """Body, cache, flight, model, detection."""

    __slots__ = ()

    def _body(self, event: BodyReceived) -> Commands:
        state, limits = self.state, self.limits
        state.received += len(event.data)
        if state.received > limits.max_body_bytes:
            raise too_large("the body", "bytes", limits.max_body_bytes, state.received, MAX_BODY_BYTES)
        state.body.append(event.data)
        if event.last:
            return self._body_ended(event)
        if state.received == state.content_length:
            return ()  # the end is the next thing to come
        return (ArmDeadline(self._body_deadline(event.at)),)

    def _body_deadline(self, now: float) -> float:
        """When the body counts as stalled: no progress for a while, or slower than the least rate since it began."""
        state, limits = self.state, self.limits
        stalled = now + limits.body_timeout
        by_rate = state.started + limits.body_timeout + state.received / limits.min_body_rate
        first = min(by_rate, stalled)
        return min(state.last_moment, first)

    def _body_ended(self, event: BodyEnded | BodyReceived) -> Commands:
        state, policy = self.state, self.policy
        state.unread = False
        if len(state.body) != 1:
            state.body = [b"".join(state.body)]
        body = state.body[0]
        if state.content_encoding:
            decoder = BodyDecoder(state.content_encoding, policy.limits.max_body_bytes)
            body = decoder.decode(body)
            decoder.finish()
            state.body = [body]
        if state.surface != REST:
            return self._open(body, event.at)
        if not body:
            told = 'the body is empty; send {"trace": {...}} as JSON'
            raise RemoteProtocolError(400, "invalid_request", told)
        if state.endpoint != "analyze":
            return (ArmDeadline(state.last_moment), *self._tell_store(body, event.at))
        return self._begin(state.path, event.at)

    def _open(self, body: bytes, at: float) -> Commands:
        """What a contributed route makes of its body."""
        check_body(body, self.limits)
        state = self.state
        opened = self._contribution.open(state.fields, body)
        if isinstance(opened, Direct):
            told = (("content-type", opened.content_type), NO_STORE) if opened.content_type else (NO_STORE,)
            return self._finish(opened.status, told, opened.body, opened.code)
        # From here on it is a request like any other: what was analysed at /v1 is found under the same aliases.
        state.endpoint, state.pattern, state.query = opened.endpoint, opened.name, opened.query
        state.context, state.reports = opened.context, opened.reports
        state.body = [opened.body]
        if opened.endpoint == "analyze":
            return self._begin(f"/v1/analyze/{opened.name}", at)
        self._open_store()
        asks = self._tell_store(opened.body, at) if opened.endpoint in WITH_BODY else self._ask_store()
        return ArmDeadline(state.last_moment), *asks

    def _begin(self, path: str, at: float) -> Commands:
        """Look the very bytes up where there is a cache, and else decode them."""
        state, policy = self.state, self.policy
        if not policy.cache:
            return (ArmDeadline(state.last_moment), *self._decode(at))
        state.alias = alias = alias_key(path, state.body[0], self._scope if policy.scope_by_key else "")
        state.phase = ALIAS
        if not policy.learnings:
            return ArmDeadline(state.last_moment), LookUpCache(self._next_ticket(), None, alias)
        # With what helped before, if that is at hand: a hit is then answered without another question.
        wanted = LookUpCache(self._next_ticket(), None, alias, None, state.caller, state.pattern)
        return ArmDeadline(state.last_moment), wanted

    @property
    def _scope(self) -> str:
        """Who calls, where callers' answers are kept apart."""
        return (self.state.caller or self._address) if self.policy.scope_by_key else ""

    def _alias_answered(self, event: CacheAnswered) -> Commands:
        state = self.state
        if event.entry is None or event.alias is None:
            return self._decode(event.at)
        alias = event.alias
        state.mode, state.model = alias.mode, alias.model
        # Mostly there is none of these, and to set a field of a Struct costs more than to ask.
        if alias.warnings:
            state.warnings = alias.warnings
        if alias.agent or alias.crew:
            state.agent, state.crew = alias.agent, alias.crew
        if alias.baseline:
            state.baseline, state.entry = alias.baseline, event.entry
            return self._ask_baseline()
        return self._answer(event.entry, "hit", event.at, event.helped)

    def _baseline_read(self, event: BaselineRead) -> Commands:
        state = self.state
        if event.detection is None:
            told = f"names no baseline of {state.pattern}: {state.baseline!r}; vstack-api baseline record makes one"
            raise no_baseline(told)
        state.reference = event.detection
        if state.entry is not None:
            return self._answer(state.entry, "hit", event.at)
        return self._seek()

    def _decode(self, at: float) -> Commands:
        """From bytes to a trace that the pattern takes, and the key of its analysis."""
        state, service = self.state, self.service
        body = state.body[0]
        limits = self.limits
        check_body(body, limits)
        envelope = decode_envelope(body)
        mode = envelope.mode or "standard"
        if mode not in MODES:
            raise RemoteProtocolError(400, "invalid_mode", f"mode is {mode[:100]!r}; it is one of {', '.join(MODES)}")
        state.mode = mode
        self._choose_model(envelope.model)
        pattern = service.catalogue.get(state.pattern)
        trace = self._read_trace(envelope)
        faults = pattern.faults(trace)
        if faults:
            told = [{"pointer": fault.pointer, "message": fault.message} for fault in faults[:MAX_FAULTS]]
            message = f"the trace does not fit: {faults[0].pointer} {faults[0].message}"
            raise RemoteProtocolError(400, "validation_error", message, errors=told, error_count=len(faults))
        self.trace = trace
        self._whose(trace)
        encoded = canonical(trace)
        state.key = cache_key(state.pattern, mode, state.model, trace, self._scope)
        state.analysis = AnalysisState(
            pattern=state.pattern,
            mode=mode,
            model=state.model,
            trace=encoded,
            run_id=run_id(state.request_id, state.wall),
            wall=state.wall,
        )
        state.body = []
        state.baseline = envelope.baseline or ""
        return self._ask_baseline() if state.baseline else self._seek()

    def _seek(self) -> Commands:
        """Look for the detection, or make it."""
        state = self.state
        if not self.policy.cache:
            return self._join()
        state.phase = CACHE
        return (LookUpCache(self._next_ticket(), state.key, state.alias, self._meaning),)

    @property
    def _meaning(self) -> Alias:
        state = self.state
        return Alias(state.key, state.mode, state.model, state.warnings, state.agent, state.crew, state.baseline)

    def _choose_model(self, asked: str | None) -> None:
        """The model that will really be asked."""
        state, policy = self.state, self.policy
        if asked and policy.models and asked not in (*policy.models, OFFLINE):
            told = f"is {asked[:100]!r}; it is one of {', '.join((*policy.models, OFFLINE))}"
            fault = {"pointer": "/model", "message": told}
            raise RemoteProtocolError(400, "validation_error", f"/model {told}", errors=[fault], error_count=1)
        state.model = asked or policy.default_model or "none"
        if policy.offline and state.model != OFFLINE:
            if asked:
                state.warnings = (*state.warnings, f"model {asked[:100]!r} was not asked: this service runs offline")
            state.model = OFFLINE

    def _read_trace(self, envelope: Envelope) -> msgspec.Struct:
        """The trace as the pattern's Struct."""
        state, limits = self.state, self.limits
        pattern = self.service.catalogue.get(state.pattern)
        if envelope.format not in (None, *_FORMATS):
            told = f"format is {envelope.format!r}; it is one of {', '.join(_FORMATS)}"
            raise RemoteProtocolError(400, "invalid_request", told)
        kind = CanonicalTrace if envelope.format == "canonical" else pattern.trace
        raw = envelope.trace_raw
        try:
            trace: msgspec.Struct = decode_trace(raw, kind, limits)
        except RemoteProtocolError as refusal:
            if refusal.code != "validation_error" or kind is CanonicalTrace or not looks_canonical(raw, kind):
                raise
            told = f"{refusal.message}; {_CANONICAL}"
            raise RemoteProtocolError(400, refusal.code, told, **refusal.extra) from None
        check_trace(trace, limits)
        state.warnings = (*state.warnings, *envelope.warnings, *unknown_fields(raw, kind, flat=envelope.flat))
        if not isinstance(trace, CanonicalTrace):
            return trace
        try:
            own: msgspec.Struct = pattern.from_trace(trace)
        except TraceNotReadable as error:
            told = f"{state.pattern} cannot read this trace: {error.missing}"
            raise RemoteProtocolError(400, "trace_not_readable", told, missing=error.missing) from None
        return own

    def _cache_answered(self, event: CacheAnswered) -> Commands:
        if event.entry is not None:
            return self._answer(event.entry, "hit", event.at)
        self.state.cache = "miss"
        return self._join()

    def _join(self) -> Commands:
        state = self.state
        state.phase = FLIGHT
        state.flight = self._next_ticket()
        return (JoinFlight(state.flight, state.key),)

    def _flight_joined(self, event: FlightJoined) -> Commands:
        state, limits = self.state, self.limits
        if event.role == "refused":
            state.flight = 0
            told = f"{limits.max_in_flight} analyses are in flight, as many as VSTACK_API_MAX_IN_FLIGHT allows"
            raise RemoteProtocolError(503, "overloaded", told, retry_after=1)
        if event.role == "follows":
            state.phase = FOLLOW
            opening = self._open_stream() if state.streams else ()
            return (*opening, *self._progress(event.under_way), *self._next_word(event.at))
        return self._lead(event.at)

    def _pass_begun(self, event: PassBegun) -> Commands:
        told = self._progress(event.name)
        return (*told, *self._next_word(event.at)) if told else ()

    def _handed_over(self, event: FlightHandedOver) -> Commands:
        return self._lead(event.at)

    def _lead(self, at: float) -> Commands:
        state = self.state
        state.waiting = 0
        # Where a pattern breaks here, the head of a stream must not count as sent: the crash is answered with 500.
        analysis = self._analysis()
        step = analysis.begin(at)
        self.seen = analysis.seen
        opening = self._open_stream() if state.streams and not state.streaming else ()
        return (*opening, *self._advance(step, at))

    def _analysis(self) -> Analysis:
        assert self.state.analysis is not None
        return Analysis(self.service.catalogue.get(self.state.pattern), self.state.analysis, self.trace, self.seen)

    def _model_heard(self, event: ModelAnswered | ModelFailed) -> Commands:
        analysis = self._analysis()
        told: Commands = ()
        if self.policy.telemetry:
            if isinstance(event, ModelFailed):
                told = self._told_call(event.usage, event.kind, event.at)
            else:
                told = self._told_call(event.usage, "ok", event.at, event.model)
        step = analysis.handle(event)
        self.seen = analysis.seen
        return (*told, *self._advance(step, event.at))

    def _advance(self, step: Step, at: float) -> Commands:
        """Carry out what the analysis asks for."""
        state = self.state
        if isinstance(step, ModelRequest):
            if self.policy.provider is None:
                return self._fail(Failure(502, "llm_resolution_error", _NO_PROVIDER), at)
            state.phase = MODEL
            told = *self._progress(step.name), *self._next_word(at)
            return (*told, CallModel(self._next_ticket(), step, state.last_moment))
        if isinstance(step, Failure):
            return self._fail(step, at)
        return self._conclude(step, at)

    def _progress(self, name: str) -> Commands:
        """Tell a caller who listens which pass begins; of one that nobody has heard of there is nothing to tell."""
        state = self.state
        assert state.analysis is not None
        passes = self.service.catalogue.get(state.pattern).passes[state.analysis.mode]
        names = [request_name(state.pattern, one) for one in passes]
        number = names.index(name) + 1 if name in names else 0
        before, state.begun = state.begun, max(state.begun, number)
        if not number or not (state.streaming or state.reports):
            return ()
        if state.surface != REST:
            if number <= before:
                return ()  # a repair, or somebody begins anew: who counts passes has heard of it, and may only count up
            part = self._contribution.progress(state.context, number, len(names), state.pattern)
            # Nothing was sent before the first of them, so that an answer without any comes as one body.
            opening = () if state.streaming else self._open_stream((("x-accel-buffering", "no"),))
            return (*opening, SendPart(part))
        told = {"pass": number, "passes": len(names), "pattern": state.pattern}
        return (SendPart(server_event("progress", msgspec.json.encode(told))),)

    def _next_word(self, at: float) -> Commands:
        """When a caller who listens must hear something again, at the latest."""
        state = self.state
        return (ArmDeadline(min(state.last_moment, at + self.limits.heartbeat)),) if state.streaming else ()

    def _silent(self, event: DeadlinePassed) -> Commands:
        """It takes long: say that the stream lives, or that the time is up."""
        if not self.state.streaming or event.at >= self.state.last_moment:
            return self._too_late(event)
        return (SendPart(HEARTBEAT), *self._next_word(event.at))

    def _conclude(self, step: Concluded, at: float) -> Commands:
        state, policy = self.state, self.policy
        entry = CacheEntry(step.detection, state.wall + (at - state.started))
        landed: tuple[AnyCommand, ...] = (LandFlight(state.flight, state.key, Landing(entry=entry)),)
        # What a stand-in found is not what the model of the key would have found.
        if policy.cache and not (state.analysis and state.analysis.stand_in):
            landed = (StoreCache(state.key, entry, state.alias, self._meaning), *landed)
        if policy.telemetry:
            landed = (*landed, *self._told_analysis(step.detection, "ok", at))
        state.flight = 0
        return (*landed, *self._answer(entry, state.cache, at))

    def _fail(self, failure: Failure, at: float) -> Commands:
        """A failed analysis is never stored, but those who wait for it are told."""
        state = self.state
        landed: tuple[AnyCommand, ...] = (LandFlight(state.flight, state.key, Landing(failure=failure)),)
        if self.policy.telemetry:
            landed = (*landed, *self._told_analysis(b"{}", failure.code, at))
        state.flight = 0
        return (*landed, *self._give_up(failure, at))

    def _give_up(self, failure: Failure, at: float) -> Commands:
        extra = {} if failure.retry_after is None else {"retry_after": failure.retry_after}
        return self.refuse(RemoteProtocolError(failure.status, failure.code, failure.message, **extra), at)

    def _flight_landed(self, event: FlightLanded) -> Commands:
        self.state.flight = 0
        if event.landing.failure is not None:
            return self._give_up(event.landing.failure, event.at)
        assert event.landing.entry is not None
        return self._answer(event.landing.entry, "coalesced", event.at)
