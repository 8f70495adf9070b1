"""Telemetry in SQLite: a file of its own, ``telemetry.db``, so that its many writes are in no learning's way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from vstack_proto.telemetry import (
    ANALYSIS,
    AnalyticsQuery,
    AnalyticsRow,
    TelemetryEvent,
)
from vstack_runtime.home.database import Database, DatabaseBusy, Schema, Write, used_bytes
from vstack_runtime.home.retention import Retention, shrink
from vstack_runtime.logs import get_logger

FILE = "telemetry.db"
# Events gather for so long before they are written together: nobody reads analytics sooner.
LINGER_SECONDS = 0.25

_log = get_logger()

_STEPS = (
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        scope TEXT NOT NULL,
        event_type TEXT NOT NULL,
        pattern TEXT,
        run_id TEXT,
        model TEXT,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        total_tokens INTEGER NOT NULL,
        elapsed_ms REAL NOT NULL,
        cost_usd REAL,
        extra BLOB NOT NULL,
        source TEXT UNIQUE
    );
    CREATE INDEX events_by_time ON events (at);
    CREATE INDEX events_by_scope ON events (scope, at);
    """,
)
_COLUMNS = (
    "at, scope, event_type, pattern, run_id, model, input_tokens, output_tokens, total_tokens, elapsed_ms, cost_usd, "
    "extra"
)
_INSERT = (
    f"INSERT INTO events ({_COLUMNS}, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_KEYS = {
    "pattern": "ifnull(pattern, '')",
    "model": "ifnull(model, '')",
    "day": "ifnull(date(CAST(at AS INTEGER), 'unixepoch'), '')",
}


def insert(connection: sqlite3.Connection, event: TelemetryEvent, source: str | None = None) -> bool:
    """Add an event; ``source`` names it where it may come again. Whether it was not there yet."""
    row = (
        *(event.timestamp, event.scope, event.event_type, event.pattern, event.run_id, event.model),
        *(event.input_tokens, event.output_tokens, event.total_tokens, event.elapsed_ms, event.cost_usd),
        msgspec.json.encode(event.extra),
    )
    return connection.execute(_INSERT, (*row, source)).rowcount > 0


def _event(row: tuple[Any, ...]) -> TelemetryEvent:
    at, scope, kind, pattern, run_id, model, came, went, both, elapsed, cost, extra = row
    return TelemetryEvent(
        event_type=kind,
        pattern=pattern,
        run_id=run_id,
        model=model,
        input_tokens=came,
        output_tokens=went,
        total_tokens=both,
        elapsed_ms=elapsed,
        extra=msgspec.json.decode(extra),
        timestamp=at,
        cost_usd=cost,
        scope=scope,
    )


def _where(query: AnalyticsQuery) -> tuple[str, list[Any]]:
    told = ["at >= ?"]
    values: list[Any] = [query.since]
    if query.until is not None:
        told.append("at < ?")
        values.append(query.until)
    if query.pattern is not None:
        told.append("ifnull(pattern, '') = ?")
        values.append(query.pattern)
    if query.scope is not None:
        told.append("scope = ?")
        values.append(query.scope)
    return " AND ".join(told), values


class SqliteTelemetry:
    """Telemetry under a home. Taking an event costs a place in a queue; a thread writes what has gathered.

    An event that cannot be written is lost, and the log says so.

    Args:
        root: The home.
        retention: What is forgotten; by default nothing.
        fill: Runs once, in the transaction that makes the file; what it reads in is ``legacy``.
        legacy: What an earlier version left: where there is any, the file is made already to be read.
    """

    def __init__(
        self,
        root: Path,
        retention: Retention = Retention(),  # noqa: B008 - frozen
        *,
        fill: Callable[[sqlite3.Connection], object] | None = None,
        legacy: tuple[Path, ...] = (),
    ) -> None:
        self._retention = retention
        self._legacy = legacy
        self._lost = 0
        schema = Schema(_STEPS, filled=fill, tended=self._tend)
        self.database = Database(root / FILE, schema, synchronous="NORMAL", linger=LINGER_SECONDS)
        self._taken = False

    def record(self, event: TelemetryEvent) -> None:
        """Take an event."""
        job = Write(lambda connection: insert(connection, event), hurries=False)
        job.done = lambda: self._told(job)
        try:
            self.database.put(job)
            self._taken = True
        except DatabaseBusy as error:
            job.error = error
            self._told(job)

    def _told(self, job: Write) -> None:
        if job.error is None:
            if self._lost:
                _log.warning("telemetry is kept again", lost=self._lost)
            self._lost = 0
            return
        if not self._lost:
            _log.warning("telemetry is not kept", error=str(job.error), path=str(self.database.path))
        self._lost += 1

    async def flush(self) -> None:
        """Keep what was taken so far."""
        if self._taken:
            await self.database.write(lambda connection: None)

    async def aclose(self) -> None:
        """Keep what was taken, and let go of the file."""
        await self.database.aclose()

    async def _there(self) -> bool:
        await self.flush()
        if self.database.exists():
            return True
        if not any(path.exists() for path in self._legacy):
            return False
        await self.database.write(lambda connection: None)
        return True

    async def summarize(self, query: AnalyticsQuery) -> list[AnalyticsRow]:
        """The sums."""
        where, values = _where(query)
        call, made = f"(event_type <> '{ANALYSIS}')", f"(event_type = '{ANALYSIS}')"
        sums = ", ".join(
            f"sum({name} * {call})" for name in ("input_tokens", "output_tokens", "total_tokens", "elapsed_ms")
        )
        told = (
            f"SELECT {_KEYS[query.by]}, sum({call}), sum({made}), {sums}, total(cost_usd * {call}) "
            f"FROM events WHERE {where} GROUP BY 1"
        )
        names = AnalyticsRow.__struct_fields__

        def run(connection: sqlite3.Connection) -> list[AnalyticsRow]:
            return [AnalyticsRow(**dict(zip(names, row, strict=True))) for row in connection.execute(told, values)]

        return await self.database.read(run) if await self._there() else []

    async def events(self, query: AnalyticsQuery, limit: int) -> list[TelemetryEvent]:
        """The newest events that fit."""
        where, values = _where(query)
        told = f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY at DESC, seq DESC LIMIT ?"

        def run(connection: sqlite3.Connection) -> list[TelemetryEvent]:
            return [_event(row) for row in connection.execute(told, (*values, limit))]

        return await self.database.read(run) if await self._there() else []

    async def clear(self) -> int:
        """Forget all events; how many there were."""

        def run(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM events").rowcount

        return await self.database.write(run) if await self._there() else 0

    def _tend(self, connection: sqlite3.Connection) -> None:
        oldest = self._retention.oldest()
        if oldest is not None:
            connection.execute("DELETE FROM events WHERE at < ?", (oldest,))

        def drop(share: float) -> int:
            (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
            told = "DELETE FROM events WHERE seq IN (SELECT seq FROM events ORDER BY at, seq LIMIT ?)"
            return connection.execute(told, (max(1, int(count * share)) if count else 0,)).rowcount

        shrink(connection, self._retention.max_bytes, used_bytes, drop)
