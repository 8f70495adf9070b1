"""Examples for the document: small, and true, since the patterns themselves make them of one run."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from vstack_proto.analysis.machine import OFFLINE, Analysis, AnalysisState, Concluded, run_id
from vstack_proto.errors import TraceNotReadable
from vstack_proto.openapi_errors import REQUEST_ID
from vstack_proto.patterns.common import Pattern
from vstack_proto.trace import AgentInfo, CanonicalTrace, TraceStep

_BEGAN = dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC)
# A detection goes on for pages. An optional field whose JSON is longer than this is left out of an example.
MAX_OPTIONAL_CHARS = 300


def _step(minute: int, agent: str, kind: str, content: str) -> TraceStep:
    return TraceStep(agent, kind, content, timestamp=_BEGAN + dt.timedelta(minutes=minute))


RUN = CanonicalTrace(
    goal="Publish the release notes of 2.4",
    agents=(AgentInfo("lead", "coordinator"), AgentInfo("writer", "writer", ("lead",))),
    steps=(
        _step(0, "lead", "message", "writer, please draft the notes from the change log."),
        _step(1, "writer", "tool_call", "read_file CHANGELOG.md"),
        _step(2, "writer", "observation", "Error: CHANGELOG.md not found"),
        _step(3, "writer", "message", "The notes are done: version 2.4 has many improvements."),
        _step(4, "lead", "decision", "Looks good, publish them."),
    ),
    outcome="The notes were published without the breaking change.",
    success=False,
)


def canonical_request() -> dict[str, Any]:
    """A body that holds the canonical trace; it needs no model provider."""
    return {"trace": concise(RUN), "format": "canonical", "mode": "quick", "model": OFFLINE}


def native_trace(pattern: Pattern[Any, Any]) -> Any:
    """The same run as the pattern's own trace; None where the pattern has no use for it."""
    try:
        trace = pattern.from_trace(RUN)
    except TraceNotReadable:
        return None
    return None if pattern.faults(trace) else trace


def made(pattern: Pattern[Any, Any]) -> tuple[Any, Any]:
    """The run as a trace of the pattern's own, and what is answered to it; None and None where it has no use for it.

    A pattern may come from anybody, and one with a bug has no example: the document tells of the others all the same.
    """
    try:
        trace = native_trace(pattern)
        return (None, None) if trace is None else (trace, answer(pattern, trace))
    except Exception:
        return None, None


def native_request(trace: Any) -> dict[str, Any]:
    """A body that holds a pattern's own trace."""
    return {"trace": concise(trace), "mode": "quick", "model": OFFLINE}


def answer(pattern: Pattern[Any, Any], trace: Any) -> dict[str, Any]:
    """What the service answers to it, shortened: the first of each list, and no optional field that is long."""
    wall = _BEGAN.timestamp()
    state = AnalysisState(
        pattern=pattern.name, mode="quick", model=OFFLINE, trace=b"", run_id=run_id(REQUEST_ID, wall), wall=wall
    )
    done = Analysis(pattern, state, trace).begin(0.0)
    assert isinstance(done, Concluded), "the signals alone ask no model"
    detection = concise(msgspec.json.decode(done.detection, type=pattern.detection), short=True)
    return {"pattern": pattern.name, "mode": "quick", "model": OFFLINE, "detection": detection, "cached": False}


def concise(value: Any, *, short: bool = False) -> Any:
    """A value as JSON has it, without what equals its default; ``short`` cuts it down to what shows its form."""
    if isinstance(value, msgspec.Struct):
        return _fields(value, short)
    if isinstance(value, list | tuple):
        # Only records are cut: numbers may come in pairs.
        cut = short and bool(value) and isinstance(value[0], msgspec.Struct)
        return [concise(item, short=short) for item in (value[:1] if cut else value)]
    return msgspec.to_builtins(value)


def _fields(struct: msgspec.Struct, short: bool) -> dict[str, Any]:
    kept = {}
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if not field.required:
            factory = field.default_factory
            default = field.default if factory is msgspec.NODEFAULT else factory()
            if value == default:
                continue
        told = concise(value, short=short)
        if field.required or not short or len(msgspec.json.encode(told)) <= MAX_OPTIONAL_CHARS:
            kept[field.encode_name] = told
    return kept
