"""Learnings and baselines in SQLite: one file, ``home.db``."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from vstack_proto.learning import LearningQuery, LearningRecord, OutcomeCount, OutcomeReport, with_outcome
from vstack_runtime.home.database import Database, Schema, used_bytes
from vstack_runtime.home.retention import Retention, shrink

FILE = "home.db"

_STEPS = (
    """
    CREATE TABLE learnings (
        seq INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        id TEXT NOT NULL,
        at INTEGER NOT NULL,
        pattern TEXT NOT NULL,
        agent_id TEXT,
        crew_id TEXT,
        outcome TEXT,
        record BLOB NOT NULL,
        UNIQUE (scope, id)
    );
    CREATE INDEX learnings_by_time ON learnings (scope, at);
    CREATE INDEX learnings_by_pattern ON learnings (scope, pattern, agent_id);
    CREATE TABLE interventions (
        seq INTEGER NOT NULL REFERENCES learnings (seq) ON DELETE CASCADE,
        intervention TEXT NOT NULL,
        PRIMARY KEY (seq, intervention)
    ) WITHOUT ROWID;
    CREATE TABLE baselines (
        scope TEXT NOT NULL,
        pattern TEXT NOT NULL,
        name TEXT NOT NULL,
        detection BLOB NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (scope, pattern, name)
    ) WITHOUT ROWID;
    """,
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DECODER = msgspec.json.Decoder(LearningRecord)


def micros(moment: dt.datetime) -> int:
    """A moment in microseconds since 1970, exactly."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def insert(connection: sqlite3.Connection, scope: str, record: LearningRecord) -> bool:
    """Add a record; whether it was not there yet."""
    row = (scope, record.id, micros(record.timestamp), record.pattern, record.agent_id, record.crew_id)
    added = connection.execute(
        "INSERT INTO learnings (scope, id, at, pattern, agent_id, crew_id, outcome, record) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq",
        (*row, record.follow_up_outcome, msgspec.json.encode(record)),
    ).fetchone()
    if added is None:
        return False
    names = dict.fromkeys(record.interventions_applied)
    connection.executemany("INSERT INTO interventions VALUES (?, ?)", [(added[0], name) for name in names])
    return True


def update(connection: sqlite3.Connection, scope: str, record: LearningRecord) -> None:
    """Write a record's outcome and notes in the place of the earlier ones."""
    connection.execute(
        "UPDATE learnings SET outcome = ?, record = ? WHERE scope = ? AND id = ?",
        (record.follow_up_outcome, msgspec.json.encode(record), scope, record.id),
    )


def find(connection: sqlite3.Connection, scope: str, record_id: str) -> LearningRecord | None:
    """The record of this id."""
    row = connection.execute("SELECT record FROM learnings WHERE scope = ? AND id = ?", (scope, record_id)).fetchone()
    return None if row is None else _DECODER.decode(row[0])


def _where(scope: str, query: LearningQuery) -> tuple[str, list[str]]:
    """The condition of a query, and what goes into it."""
    told, values = ["scope = ?"], [scope]
    for name in ("pattern", "agent_id", "crew_id"):
        value: str | None = getattr(query, name)
        if value is not None:
            told.append(f"{name} = ?")
            values.append(value)
    return " AND ".join(told), values


class SqliteLearnings:
    """Learnings and baselines under a home; a record is on the disk once it is acknowledged.

    Safe for several processes. The file is made at the first write; until then there is nothing to recall.

    Args:
        root: The home.
        retention: What is forgotten; by default nothing.
        fill: Runs once, in the transaction that makes the file; what it reads in is ``legacy``.
        legacy: What an earlier version left: where there is any, the file is made already to be read.
        busy_seconds: How long to wait for another process.
    """

    def __init__(
        self,
        root: Path,
        retention: Retention = Retention(),  # noqa: B008 - frozen
        *,
        fill: Callable[[sqlite3.Connection], object] | None = None,
        legacy: tuple[Path, ...] = (),
        busy_seconds: float = 5.0,
    ) -> None:
        self._retention = retention
        self._legacy = legacy
        schema = Schema(_STEPS, filled=fill, tended=self._tend)
        self.database = Database(root / FILE, schema, busy_seconds=busy_seconds)

    async def _there(self) -> bool:
        """Whether there is anything to read; what an earlier version left is read in first."""
        if self.database.exists():
            return True
        if not any(path.exists() for path in self._legacy):
            return False
        await self.database.write(lambda connection: None)
        return True

    async def record(self, scope: str, record: LearningRecord) -> None:
        """Keep a record."""
        await self.database.write(lambda connection: insert(connection, scope, record))

    async def recall(self, scope: str, query: LearningQuery) -> list[LearningRecord]:
        """The records that fit, the newest first."""
        where, values = _where(scope, query)

        def run(connection: sqlite3.Connection) -> list[LearningRecord]:
            told = f"SELECT record FROM learnings WHERE {where} ORDER BY at DESC, seq DESC LIMIT ?"
            return [_DECODER.decode(row[0]) for row in connection.execute(told, (*values, query.limit))]

        return await self.database.read(run) if await self._there() else []

    async def report(self, scope: str, record_id: str, outcome: OutcomeReport) -> LearningRecord | None:
        """Set a record's outcome."""

        def run(connection: sqlite3.Connection) -> LearningRecord | None:
            found = find(connection, scope, record_id)
            if found is None:
                return None
            changed = with_outcome(found, outcome)
            update(connection, scope, changed)
            return changed

        return await self.database.write(run) if await self._there() else None

    async def outcomes(self, scope: str, query: LearningQuery) -> list[OutcomeCount]:
        """The counts of the records that fit."""
        where, values = _where(scope, query)
        sums = ", ".join(f"sum(outcome IS '{name}')" for name in ("improved", "no_change", "worse", "unknown"))

        def run(connection: sqlite3.Connection) -> list[OutcomeCount]:
            told = (
                f"SELECT pattern, intervention, count(*), {sums} FROM learnings JOIN interventions USING (seq) "
                f"WHERE {where} GROUP BY pattern, intervention"
            )
            names = OutcomeCount.__struct_fields__
            return [OutcomeCount(**dict(zip(names, row, strict=True))) for row in connection.execute(told, values)]

        return await self.database.read(run) if await self._there() else []

    async def clear(self, scope: str) -> int:
        """Forget a scope's records."""

        def run(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM learnings WHERE scope = ?", (scope,)).rowcount

        return await self.database.write(run) if await self._there() else 0

    async def aclose(self) -> None:
        """Let go of the file."""
        await self.database.aclose()

    # Baselines.

    async def get_baseline(self, scope: str, pattern: str, name: str) -> bytes | None:
        """The detection of this name, or None."""

        def run(connection: sqlite3.Connection) -> bytes | None:
            told = "SELECT detection FROM baselines WHERE scope = ? AND pattern = ? AND name = ?"
            row = connection.execute(told, (scope, pattern, name)).fetchone()
            return None if row is None else bytes(row[0])

        return await self.database.read(run) if await self._there() else None

    async def put_baseline(self, scope: str, pattern: str, name: str, detection: bytes) -> None:
        """Keep a detection in the place of any earlier one of that name."""
        row = (scope, pattern, name, detection, time.time_ns() // 1_000)
        told = "INSERT OR REPLACE INTO baselines VALUES (?, ?, ?, ?, ?)"
        await self.database.write(lambda connection: connection.execute(told, row).rowcount)

    async def baselines(self, scope: str, pattern: str | None = None) -> list[tuple[str, str]]:
        """Pattern and name of each."""

        def run(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            told = "SELECT pattern, name FROM baselines WHERE scope = ? AND pattern = ifnull(?, pattern) ORDER BY 1, 2"
            return [(row[0], row[1]) for row in connection.execute(told, (scope, pattern))]

        return await self.database.read(run) if await self._there() else []

    def _tend(self, connection: sqlite3.Connection) -> None:
        """Forget what is too old, and then the oldest while there is too much: of whoever has most."""
        oldest = self._retention.oldest()
        if oldest is not None:
            connection.execute("DELETE FROM learnings WHERE at < ?", (int(oldest * 1_000_000),))

        def drop(share: float) -> int:
            (scope, count) = connection.execute(
                "SELECT scope, count(*) FROM learnings GROUP BY scope ORDER BY sum(length(record)) DESC LIMIT 1"
            ).fetchone() or ("", 0)
            told = (
                "DELETE FROM learnings WHERE seq IN "
                "(SELECT seq FROM learnings WHERE scope = ? ORDER BY at, seq LIMIT ?)"
            )
            return connection.execute(told, (scope, max(1, int(count * share)) if count else 0)).rowcount

        shrink(connection, self._retention.max_bytes, used_bytes, drop)
