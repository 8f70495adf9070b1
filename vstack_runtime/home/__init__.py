"""What a service remembers beyond a request: learnings, telemetry and baselines, in memory or under ``VSTACK_HOME``."""

from __future__ import annotations

from vstack_runtime.home.memory import MemoryBaselines, MemoryLearnings, MemoryTelemetry

__all__ = ["MemoryBaselines", "MemoryLearnings", "MemoryTelemetry"]
