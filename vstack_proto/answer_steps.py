"""The last steps of an analysis: beside the detection comes what this caller's own records say about it.

A detection is kept once for all callers. What differs by caller (a comparison with a baseline of theirs, what helped
them before) is therefore put beside it when it is answered, and never stored with it.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from vstack_proto.analysis.machine import abandon
from vstack_proto.answers import NO_STORE, detection_body
from vstack_proto.commands import AggregateOutcomes, Commands, ReadBaseline, RecordTelemetry
from vstack_proto.contributed import REST
from vstack_proto.drift import with_comparison
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import ModelTried, OutcomesAggregated, PeerLeft, StoreFailed
from vstack_proto.framing import Headers
from vstack_proto.intake_steps import IntakeSteps
from vstack_proto.learning import MAX_HELPED, LearningQuery, OutcomeCount, ranked
from vstack_proto.negotiation import JSON
from vstack_proto.state import BASELINE, HELP, MODEL
from vstack_proto.telemetry import ANALYSIS, LLM_CALL, TelemetryEvent
from vstack_proto.values import CacheEntry, Usage

_ANALYSIS: Headers = (("content-type", JSON), NO_STORE)
_HIT: Headers = (*_ANALYSIS, ("x-cache", "hit"))
_JUST_NOW = ("age", "0")
BASELINE_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


class _Severe(msgspec.Struct, frozen=True):
    """What telemetry wants of a detection."""

    severity: str | None = None


class AnswerSteps(IntakeSteps):
    """Baseline, what helped before, and the answer."""

    __slots__ = ()

    def _ask_baseline(self) -> Commands:
        state = self.state
        if not self.policy.baselines:
            raise no_baseline("this service keeps no baselines; VSTACK_HOME says where they are kept")
        if BASELINE_NAME.fullmatch(state.baseline) is None:
            raise no_baseline(f"must be a name of letters, digits, _ and -, not {state.baseline[:100]!r}")
        state.phase = BASELINE
        return (ReadBaseline(self._next_ticket(), state.caller, state.pattern, state.baseline),)

    def _whose(self, trace: msgspec.Struct) -> None:
        """Note whom a trace is about."""
        state = self.state
        state.agent = getattr(trace, "agent_id", None) or ""
        state.crew = getattr(trace, "crew_id", None) or getattr(trace, "team_id", None) or ""

    def _told_call(self, usage: Usage, status: str, at: float, stand_in: str = "") -> Commands:
        """What a model call cost, and how it ended; asked before the analysis goes on from it."""
        state = self.state
        analysis = state.analysis
        assert analysis is not None
        step = self.service.catalogue.get(state.pattern).passes[analysis.mode][analysis.turn]
        told = self._telemetry(
            LLM_CALL,
            usage,
            at,
            since=analysis.asked_at,
            model=stand_in or state.model,
            extra={
                "pass": step.name,
                "mode": state.mode,
                "pattern": state.pattern,
                "status": status,
                **({"repair": True} if analysis.complaint and status == "ok" else {}),
            },
        )
        return (RecordTelemetry(told),)

    def _told_analysis(self, detection: bytes, status: str, at: float) -> Commands:
        """What an analysis that was really made came to."""
        state = self.state
        analysis = state.analysis
        assert analysis is not None
        extra = {"mode": state.mode, "status": status}
        severity = msgspec.json.decode(detection, type=_Severe).severity
        if severity is not None:
            extra["severity"] = severity
        model = analysis.stand_in or state.model
        told = self._telemetry(ANALYSIS, analysis.usage, at, since=state.started, model=model, extra=extra)
        return (RecordTelemetry(told),)

    def _model_tried(self, event: ModelTried) -> Commands:
        assert self.state.analysis is not None
        self.state.analysis.spent = event.usage
        return ()

    def _left(self, event: PeerLeft) -> Commands:
        return (*self._cut_short("cancelled", event.at), *super()._left(event))

    def refuse(self, refusal: RemoteProtocolError, at: float) -> Commands:
        """Answer with an error and end the exchange, and the analysis that it makes."""
        return (*self._cut_short(refusal.code, at), *super().refuse(refusal, at))

    def _cut_short(self, status: str, at: float) -> Commands:
        """The exchange ends before the analysis that it leads: what its calls have used is told all the same."""
        state = self.state
        analysis = state.analysis
        if state.phase is not MODEL or not state.flight or analysis is None:
            return ()
        told: Commands = ()
        # Nothing is pending where it ends by a crash on the answer.
        if state.waiting:
            spent = abandon(analysis)
            told = self._told_call(spent, "late" if status == "timeout" else "cancelled", at)
        return (*told, *self._told_analysis(b"{}", status, at)) if self.policy.telemetry else ()

    def _telemetry(
        self, kind: str, usage: Usage, at: float, *, since: float, model: str, extra: dict[str, Any]
    ) -> TelemetryEvent:
        state = self.state
        return TelemetryEvent(
            event_type=kind,
            pattern=state.pattern,
            run_id=state.analysis.run_id if state.analysis else None,
            model=model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=usage.input_tokens + usage.output_tokens,
            elapsed_ms=round((at - since) * 1000, 3),
            extra=extra,
            timestamp=round(state.wall + (at - state.started), 6),
            cost_usd=usage.cost_usd,
            scope=state.caller,
        )

    def _answer(
        self, entry: CacheEntry, cache: str, at: float, helped: tuple[OutcomeCount, ...] | None = None
    ) -> Commands:
        """Answer; where learnings are kept and nobody has told it yet, ask first what helped before."""
        state = self.state
        state.cache = cache
        if not self.policy.learnings:
            return self._respond(entry, at)
        if helped is not None:
            return self._respond(_with_help(entry, helped), at)
        state.entry = entry
        state.phase = HELP
        query = LearningQuery(pattern=state.pattern, agent_id=state.agent or None, crew_id=state.crew or None)
        return (AggregateOutcomes(self._next_ticket(), state.caller, query, soon=True),)

    def _help_answered(self, event: OutcomesAggregated | StoreFailed) -> Commands:
        entry = self.state.entry
        assert entry is not None
        if isinstance(event, OutcomesAggregated):
            entry = _with_help(entry, event.counts)
        return self._respond(entry, event.at)

    def _respond(self, entry: CacheEntry, at: float) -> Commands:
        """The detection, spliced into its envelope as the bytes it was stored as."""
        state = self.state
        if state.entry is not None:
            state.entry = None
        detection = entry.detection
        if state.reference:
            kind = self.service.catalogue.get(state.pattern).detection
            detection = with_comparison(detection, state.reference, state.baseline, kind)
        cached = state.cache == "hit"
        headers: Headers = _ANALYSIS
        if cached:
            age = state.wall + (at - state.started) - entry.stored_at
            headers = (*_HIT, _JUST_NOW if age < 1 else ("age", str(int(age))))
        elif state.cache:
            headers = (*_ANALYSIS, ("x-cache", state.cache))
        body = detection_body(state.pattern, state.mode, state.model, detection, cached, state.warnings)
        if state.surface != REST:
            body = self._contribution.answer(state.context, body)
        return self._finish(200, headers, body)


def _with_help(entry: CacheEntry, counts: tuple[OutcomeCount, ...]) -> CacheEntry:
    """A detection with what helped before, where anything is known of that."""
    if not counts:
        return entry
    told = msgspec.json.encode(ranked(counts)[:MAX_HELPED])
    # A detection is an object that is never empty: what follows its last member needs a comma.
    return CacheEntry(b"".join((entry.detection[:-1], b',"what_helped_before":', told, b"}")), entry.stored_at)


def no_baseline(message: str) -> RemoteProtocolError:
    """The refusal of a baseline that cannot be compared with."""
    fault = {"pointer": "/baseline", "message": message}
    return RemoteProtocolError(400, "validation_error", f"/baseline {message}", errors=[fault], error_count=1)
