"""What a service remembers beyond a request: learnings, telemetry and baselines, in memory or under ``VSTACK_HOME``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vstack_runtime.home.memory import MemoryBaselines, MemoryLearnings, MemoryTelemetry

if TYPE_CHECKING:
    from vstack_runtime.home.learnings import SqliteLearnings
    from vstack_runtime.home.telemetry import SqliteTelemetry

__all__ = ["MemoryBaselines", "MemoryLearnings", "MemoryTelemetry", "SqliteLearnings", "SqliteTelemetry"]

_HOMES = {
    "SqliteLearnings": "vstack_runtime.home.learnings",
    "SqliteTelemetry": "vstack_runtime.home.telemetry",
}


def __getattr__(name: str) -> Any:
    # Who keeps nothing on the disk need not load what does.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
