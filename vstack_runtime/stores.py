"""The stores of what must outlive a request: learnings, telemetry, baselines. What each must offer.

Give one to ``build_app(learnings=..., telemetry=...)``. ``vstack_runtime.conformance.stores`` has the scenarios that
every implementation passes; those in memory and in SQLite are in ``vstack_runtime.home``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from vstack_proto.learning import LearningQuery, LearningRecord, OutcomeCount, OutcomeReport
from vstack_proto.telemetry import AnalyticsQuery, AnalyticsRow, TelemetryEvent


@runtime_checkable
class LearningStore(Protocol):
    """Keeps learnings, apart by scope: nothing done in one scope can be told from within another.

    A scope is the name of a caller's key, or empty for everybody without one. Any exception means that the store is
    away; whoever asks is told so.
    """

    async def record(self, scope: str, record: LearningRecord) -> None:
        """Keep a record. Once this returns, the death of this process cannot undo it.

        A record whose id is there already is left as it is: to record twice is to record once.
        """
        ...

    async def recall(self, scope: str, query: LearningQuery) -> Sequence[LearningRecord]:
        """The records that fit, the newest first by ``timestamp``; of equal moments, the one recorded last."""
        ...

    async def report(self, scope: str, record_id: str, outcome: OutcomeReport) -> LearningRecord | None:
        """Set a record's outcome, as ``vstack_proto.learning.with_outcome`` does, and return it; None if there is none.

        Concurrent reports leave one of them, whole.
        """
        ...

    async def outcomes(self, scope: str, query: LearningQuery) -> Sequence[OutcomeCount]:
        """The counts of all records that fit (``limit`` plays no part), as ``vstack_proto.learning.count_outcomes``
        gives them, in any order.
        """
        ...

    async def clear(self, scope: str) -> int:
        """Forget a scope's records; how many there were."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections. What was acknowledged is safe already."""
        ...


@runtime_checkable
class TelemetrySink(Protocol):
    """Takes what analyses cost. ``GET /v1/analytics`` needs a ``TelemetryStore``: without one it answers 404.

    vstack calls ``flush`` once, when the service ends, and gives it two seconds; who makes a sink closes it.
    """

    def record(self, event: TelemetryEvent) -> None:
        """Take an event: at once, without waiting and without raising.

        It may be kept later, and may be lost where the process dies or the store is away for long.
        """
        ...

    async def flush(self) -> None:
        """Keep what was taken so far."""
        ...

    async def aclose(self) -> None:
        """Keep what was taken, and let go of files and connections."""
        ...


@runtime_checkable
class TelemetryStore(TelemetrySink, Protocol):
    """A sink that can be read again. Reading sees all that this sink has taken before."""

    async def summarize(self, query: AnalyticsQuery) -> Sequence[AnalyticsRow]:
        """The sums, as ``vstack_proto.telemetry.summarize`` gives them, in any order."""
        ...

    async def events(self, query: AnalyticsQuery, limit: int) -> Sequence[TelemetryEvent]:
        """The newest ``limit`` events that fit, the newest first by ``timestamp``; of equal moments, the last taken."""
        ...


@runtime_checkable
class BaselineStore(Protocol):
    """Keeps detections by pattern and name, apart by scope, for later ones to be compared with."""

    async def get_baseline(self, scope: str, pattern: str, name: str) -> bytes | None:
        """The detection as JSON, or None."""
        ...

    async def put_baseline(self, scope: str, pattern: str, name: str, detection: bytes) -> None:
        """Keep a detection in the place of any earlier one of that name; durable once this returns."""
        ...

    async def baselines(self, scope: str, pattern: str | None = None) -> Sequence[tuple[str, str]]:
        """Pattern and name of each that is kept, in order."""
        ...
