"""Every pattern beside the real traces: which of them can read a run, and the questions that it asks of it."""

from __future__ import annotations

import functools
import importlib
import json
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

import vstack_proto.patterns
from vstack_proto.analysis.machine import Analysis, AnalysisState, Concluded, Seen
from vstack_proto.caching import canonical
from vstack_proto.errors import TraceNotReadable
from vstack_proto.events import ModelAnswered
from vstack_proto.patterns.common import Mode, Pattern, always
from vstack_proto.trace import CanonicalTrace
from vstack_proto.values import ModelRequest
from vstack_runtime.scripted import least_answer

AnyPattern = Pattern[Any, Any]
TRACES = Path(__file__).resolve().parents[2] / "shared" / "traces" / "whowhen_dev.jsonl"


@functools.cache
def patterns() -> dict[str, AnyPattern]:
    """The patterns that come with vstack, in the order of their numbers."""
    found = []
    for module in pkgutil.iter_modules(vstack_proto.patterns.__path__):
        pattern = getattr(importlib.import_module(f"vstack_proto.patterns.{module.name}"), "PATTERN", None)
        if isinstance(pattern, Pattern) and pattern.name == module.name:
            found.append(pattern)
    return {pattern.name: pattern for pattern in sorted(found, key=lambda one: one.number)}


def real_runs(least: int) -> list[dict[str, Any]]:
    """The labelled runs beside the checkout whose traces hold ``least`` characters or more; none where it is absent."""
    if not TRACES.exists():
        return []
    traces = [json.loads(line)["trace"] for line in TRACES.read_text(encoding="utf-8").splitlines()]
    return [trace for trace in traces if len(json.dumps(trace, ensure_ascii=False)) >= least]


def read_by(pattern: AnyPattern, run: dict[str, Any]) -> Any | None:
    """The pattern's own trace of a canonical one, or None where it says that it cannot read it."""
    try:
        return pattern.from_trace(msgspec.convert(run, CanonicalTrace))
    except TraceNotReadable:
        return None


def analysis(pattern: AnyPattern, trace: Any, mode: Mode, model: str, seen: Seen | None = None) -> Analysis:
    """An analysis that has not begun; ``seen`` is what was seen in the trace before."""
    state = AnalysisState(
        pattern=pattern.name, mode=mode, model=model, trace=canonical(trace), run_id="r" * 12, wall=1_741_000_000.0
    )
    return Analysis(pattern, state, trace, seen)


def questions(pattern: AnyPattern, trace: Any, modes: Sequence[Mode]) -> dict[Mode, list[ModelRequest]]:
    """Every question of these modes: none is left out, and the answers hold evidence that stands in the trace."""
    passes = {
        mode: tuple(msgspec.structs.replace(one, wanted=always) for one in pattern.passes[mode]) for mode in modes
    }
    whole = msgspec.structs.replace(pattern, passes=passes)
    reading = pattern.read(trace)
    seen = reading, tuple(pattern.signals(trace, reading))
    text = " ".join(reading.steps[0].content.split()[:5])
    return {mode: _asked(analysis(whole, trace, mode, "scripted-1", seen), text) for mode in modes}


def _asked(machine: Analysis, text: str) -> list[ModelRequest]:
    asked, step = [], machine.begin(10_000.0)
    while isinstance(step, ModelRequest):
        asked.append(step)
        step = machine.handle(ModelAnswered(at=10_001.0, ticket=1, text=least_answer(step, text)))
    if not isinstance(step, Concluded):
        raise RuntimeError(f"{machine.pattern.name}, {machine.state.mode}: {step}")
    return asked
