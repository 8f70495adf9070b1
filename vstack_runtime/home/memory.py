"""The stores in memory: for tests, and for services that may forget when they stop."""

from __future__ import annotations

from collections import deque

import msgspec

from vstack_proto.learning import (
    LearningQuery,
    LearningRecord,
    OutcomeCount,
    OutcomeReport,
    count_outcomes,
    with_outcome,
)
from vstack_proto.telemetry import AnalyticsQuery, AnalyticsRow, TelemetryEvent, summarize

# Some tens of megabytes; whoever has more wants them kept.
MAX_RECORDS = 20_000
MAX_EVENTS = 100_000


class MemoryLearnings:
    """Learnings in this process; the oldest goes where there are too many.

    Args:
        max_records: Over all scopes; the scope that has most gives way.
    """

    def __init__(self, max_records: int = MAX_RECORDS) -> None:
        self._max = max_records
        self._number = 0
        # By scope, by id: the order in which it came, and the record.
        self._scopes: dict[str, dict[str, tuple[int, LearningRecord]]] = {}

    async def record(self, scope: str, record: LearningRecord) -> None:
        """Keep a record."""
        records = self._scopes.setdefault(scope, {})
        if record.id in records:
            return
        self._number += 1
        records[record.id] = self._number, record
        if sum(map(len, self._scopes.values())) > self._max:
            largest = max(self._scopes.values(), key=len)
            del largest[next(iter(largest))]

    async def recall(self, scope: str, query: LearningQuery) -> tuple[LearningRecord, ...]:
        """The records that fit, the newest first."""
        found = [pair for pair in self._scopes.get(scope, {}).values() if query.fits(pair[1])]
        found.sort(key=lambda pair: (pair[1].timestamp, pair[0]), reverse=True)
        return tuple(record for _, record in found[: query.limit])

    async def report(self, scope: str, record_id: str, outcome: OutcomeReport) -> LearningRecord | None:
        """Set a record's outcome."""
        records = self._scopes.get(scope, {})
        if record_id not in records:
            return None
        number, record = records[record_id]
        changed = with_outcome(record, outcome)
        records[record_id] = number, changed
        return changed

    async def outcomes(self, scope: str, query: LearningQuery) -> tuple[OutcomeCount, ...]:
        """The counts of the records that fit."""
        return count_outcomes(record for _, record in self._scopes.get(scope, {}).values() if query.fits(record))

    async def clear(self, scope: str) -> int:
        """Forget a scope's records."""
        return len(self._scopes.pop(scope, {}))

    async def aclose(self) -> None:
        """Nothing is held."""


class MemoryTelemetry:
    """The newest events, in this process.

    Args:
        max_events: At most so many; the oldest goes.
    """

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._events: deque[TelemetryEvent] = deque(maxlen=max_events)

    def record(self, event: TelemetryEvent) -> None:
        """Take an event."""
        # Its own copy of what can be changed from outside.
        self._events.append(msgspec.structs.replace(event, extra=dict(event.extra)))

    async def flush(self) -> None:
        """All that was taken is kept."""

    async def aclose(self) -> None:
        """Nothing is held."""

    async def summarize(self, query: AnalyticsQuery) -> tuple[AnalyticsRow, ...]:
        """The sums."""
        return summarize(self._events, query)

    async def events(self, query: AnalyticsQuery, limit: int) -> tuple[TelemetryEvent, ...]:
        """The newest events that fit."""
        found = [event for event in reversed(self._events) if query.fits(event)]
        found.sort(key=lambda event: -event.timestamp)
        return tuple(found[:limit])


class MemoryBaselines:
    """Baselines in this process."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], bytes] = {}

    async def get_baseline(self, scope: str, pattern: str, name: str) -> bytes | None:
        """The detection, or None."""
        return self._kept.get((scope, pattern, name))

    async def put_baseline(self, scope: str, pattern: str, name: str, detection: bytes) -> None:
        """Keep a detection."""
        self._kept[scope, pattern, name] = detection

    async def baselines(self, scope: str, pattern: str | None = None) -> list[tuple[str, str]]:
        """Pattern and name of each."""
        return sorted(key[1:] for key in self._kept if key[0] == scope and pattern in (None, key[1]))
