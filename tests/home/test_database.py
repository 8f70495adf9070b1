"""The SQLite file under the stores: versions, several openers, a file that is broken, old records."""

from __future__ import annotations

import functools
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog

from vstack_proto.learning import Finding, LearningQuery, LearningRecord, kept
from vstack_proto.telemetry import AnalyticsQuery, TelemetryEvent
from vstack_runtime.background import from_any_thread
from vstack_runtime.conformance.stores import BACKENDS, Backend
from vstack_runtime.home import SqliteLearnings, SqliteTelemetry, database
from vstack_runtime.home.database import Database, DatabaseBusy, Schema, Write, check
from vstack_runtime.home.retention import Retention

ANY = LearningQuery(limit=1_000)
NOTES = ("CREATE TABLE notes (word TEXT UNIQUE)",)


def record(number: int, **fields: Any) -> LearningRecord:
    return kept(Finding(**({"pattern": "lewin"} | fields)), f"lrn_{number:05}", time.time() + number)


def add(word: str) -> Any:
    return lambda connection: connection.execute("INSERT INTO notes VALUES (?)", (word,)).rowcount


def words(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT word FROM notes ORDER BY word")]


def test_nothing_is_made_before_something_is_kept(tmp_path: Path) -> None:
    async def play() -> None:
        learnings, telemetry = SqliteLearnings(tmp_path / "home"), SqliteTelemetry(tmp_path / "home")
        assert await learnings.recall("", ANY) == []
        assert await learnings.outcomes("", ANY) == []
        assert await learnings.clear("") == 0
        assert await learnings.get_baseline("", "lewin", "march") is None
        assert await learnings.baselines("") == []
        assert await telemetry.summarize(AnalyticsQuery()) == []
        assert await telemetry.clear() == 0
        await telemetry.flush()
        await learnings.aclose()
        await telemetry.aclose()

    anyio.run(play)
    assert not (tmp_path / "home").exists()


def test_only_its_owner_may_look(tmp_path: Path) -> None:
    async def play() -> None:
        store = SqliteLearnings(tmp_path / "a" / "home")
        await store.record("", record(1))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a" / "home").iterdir()}
        assert modes["home.db"] == modes["home.db-wal"] == 0o600
        assert stat.S_IMODE((tmp_path / "a" / "home").stat().st_mode) == 0o700
        await store.aclose()

    anyio.run(play)
    # The last to close moves the log into the file.
    assert [path.name for path in (tmp_path / "a" / "home").iterdir()] == ["home.db"]


def test_a_file_is_brought_to_this_version_and_a_later_one_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    later = (*NOTES, "ALTER TABLE notes ADD COLUMN at INTEGER; CREATE INDEX notes_at ON notes (at)")

    async def play(steps: tuple[str, ...], word: str) -> list[str]:
        file = Database(path, Schema(steps))
        try:
            await file.write(lambda connection: connection.execute("INSERT INTO notes (word) VALUES (?)", (word,)))
            return await file.read(words)
        finally:
            await file.aclose()

    assert anyio.run(play, NOTES, "a") == ["a"]
    assert anyio.run(play, later, "b") == ["a", "b"]
    before = path.read_bytes()
    with pytest.raises(sqlite3.DatabaseError, match="the file is of version 2; this program knows 1"):
        anyio.run(play, NOTES, "c")
    assert path.read_bytes() == before


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    async def play(steps: tuple[str, ...]) -> list[str]:
        file = Database(tmp_path / "notes.db", Schema(steps))
        try:
            await file.write(add("a"))
            return await file.read(words)
        finally:
            await file.aclose()

    with pytest.raises(sqlite3.OperationalError):
        anyio.run(play, (*NOTES, "CREATE TABLE more (a); NONSENSE"))
    assert anyio.run(play, NOTES) == ["a"]


def test_what_is_no_database_is_told_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "home.db").write_bytes(b"this is no database, but somebody wants it" * 100)
    before = (tmp_path / "home.db").read_bytes()

    async def play() -> None:
        store = SqliteLearnings(tmp_path)
        for _ in range(2):
            with pytest.raises(sqlite3.DatabaseError):
                await store.record("", record(1))
            with pytest.raises(sqlite3.DatabaseError):
                await store.recall("", ANY)
        await store.aclose()

    anyio.run(play)
    assert (tmp_path / "home.db").read_bytes() == before


def test_a_home_that_cannot_be_made_is_an_error_and_later_none(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file is in the way")

    async def play() -> None:
        store = SqliteLearnings(tmp_path / "home")
        with pytest.raises(OSError, match="exists"):
            await store.record("", record(1))
        (tmp_path / "home").unlink()
        await store.record("", record(1))
        assert len(await store.recall("", ANY)) == 1
        await store.aclose()

    anyio.run(play)


def test_one_write_that_fails_harms_no_other(tmp_path: Path) -> None:
    async def play() -> None:
        file = Database(tmp_path / "notes.db", Schema(NOTES))
        failed: list[str] = []

        async def write(word: str) -> None:
            try:
                await file.write(add(word))
            except sqlite3.IntegrityError:
                failed.append(word)

        async with anyio.create_task_group() as tasks:
            for word in ("a", "b", "a", "c"):
                tasks.start_soon(write, word)
        assert failed == ["a"]
        assert await file.read(words) == ["a", "b", "c"]
        await file.aclose()
        with pytest.raises(DatabaseBusy, match="closed"):
            await file.write(add("d"))

    anyio.run(play)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another program that has begun to write and does not end."""
    anyio.run(SqliteLearnings(tmp_path).record, "", record(0))
    with closing(sqlite3.connect(tmp_path / "home.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_writer_waits_its_turn_and_readers_wait_for_nobody(
    held: sqlite3.Connection, tmp_path: Path, backend: Backend
) -> None:
    async def play() -> None:
        hurried = SqliteLearnings(tmp_path, busy_seconds=0.01)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await hurried.record("", record(1))
        assert len(await hurried.recall("", ANY)) == 1
        patient = SqliteLearnings(tmp_path)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patient.record, "", record(2))
            await anyio.lowlevel.checkpoint()
            held.execute("COMMIT")
        assert len(await patient.recall("", ANY)) == 2
        await hurried.aclose()
        await patient.aclose()

    anyio.run(play, backend=backend)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(database, "MAX_WAITING", 2)
    go = threading.Event()

    async def play() -> None:
        file = Database(tmp_path / "notes.db", Schema(NOTES))
        begun = threading.Event()

        def hangs(connection: sqlite3.Connection) -> None:
            begun.set()
            go.wait()

        file.put(Write(hangs))
        await anyio.to_thread.run_sync(begun.wait)
        for word in "ab":
            file.put(Write(add(word)))
        with pytest.raises(DatabaseBusy, match="2 writes are waiting"):
            file.put(Write(add("c")))
        go.set()
        await file.aclose()
        assert await Database(tmp_path / "notes.db", Schema(NOTES)).read(words) == ["a", "b"]

    anyio.run(play)


@pytest.mark.parametrize("backend", BACKENDS)
def test_readers_that_hang_are_left_behind_and_bounded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: Backend
) -> None:
    monkeypatch.setattr(database, "MAX_READING", 2)
    go = threading.Event()

    async def play() -> None:
        file = Database(tmp_path / "notes.db", Schema(NOTES))
        await file.write(add("a"))
        for _ in range(2):
            begun = anyio.Event()
            tell = functools.partial(from_any_thread(), begun.set)

            def hangs(connection: sqlite3.Connection, tell: Callable[[], object] = tell) -> None:
                tell()
                go.wait()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(file.read, hangs)
                await begun.wait()
                tasks.cancel_scope.cancel()
        with pytest.raises(DatabaseBusy, match="2 threads are reading"):
            await file.read(words)
        go.set()
        while file._reading:
            await anyio.lowlevel.checkpoint()
        assert await file.read(words) == ["a"]
        await file.aclose()

    anyio.run(play, backend=backend)


# Retention.


def test_old_learnings_go(tmp_path: Path) -> None:
    async def play() -> None:
        store = SqliteLearnings(tmp_path, Retention(max_age_days=30.0))
        await store.put_baseline("", "lewin", "march", b"{}")
        for number, days in enumerate((1, 29, 31, 400)):
            await store.record("", record(-days * 86_400 + number))
        await store.aclose()
        # Tended once it is opened again.
        store = SqliteLearnings(tmp_path, Retention(max_age_days=30.0))
        await store.record("", record(0))
        await store.aclose()
        store = SqliteLearnings(tmp_path)
        assert len(await store.recall("", ANY)) == 3
        assert await store.baselines("") == [("lewin", "march")]
        await store.aclose()

    anyio.run(play)
    assert check(tmp_path / "home.db") == []


def test_past_its_size_a_file_forgets_the_oldest_of_who_has_most(tmp_path: Path) -> None:
    async def play() -> None:
        store = SqliteLearnings(tmp_path, Retention(max_bytes=400_000))
        for number in range(5):
            await store.record("modest", record(number))
        async with anyio.create_task_group() as tasks:
            for number in range(1_200):
                tasks.start_soon(store.record, "greedy", record(number, notes="n" * 1_000))
        await store.aclose()
        store = SqliteLearnings(tmp_path, Retention(max_bytes=400_000))
        await store.record("greedy", record(5_000))
        await store.aclose()
        assert (tmp_path / "home.db").stat().st_size < 400_000
        store = SqliteLearnings(tmp_path)
        assert len(await store.recall("modest", ANY)) == 5
        left = await store.recall("greedy", LearningQuery(limit=10_000))
        assert 50 < len(left) < 400
        assert [one.id for one in left[:2]] == ["lrn_05000", "lrn_01199"]
        counts = await store.outcomes("greedy", ANY)
        assert counts == []
        await store.aclose()

    anyio.run(play)
    assert check(tmp_path / "home.db") == []


def test_old_and_many_events_go(tmp_path: Path) -> None:
    async def play() -> None:
        sink = SqliteTelemetry(tmp_path, Retention(max_age_days=1.0, max_bytes=200_000))
        sink.record(TelemetryEvent(timestamp=time.time() - 90_000, pattern="old"))
        for number in range(3_000):
            sink.record(TelemetryEvent(timestamp=time.time() + number, pattern="new", extra={"n": "x" * 100}))
        await sink.aclose()
        sink = SqliteTelemetry(tmp_path, Retention(max_age_days=1.0, max_bytes=200_000))
        sink.record(TelemetryEvent(timestamp=time.time() + 9_000, pattern="last"))
        await sink.aclose()
        found = await SqliteTelemetry(tmp_path).events(AnalyticsQuery(), 5_000)
        assert found[0].pattern == "last"
        assert {one.pattern for one in found} == {"last", "new"}
        assert 100 < len(found) < 2_000
        assert (tmp_path / "telemetry.db").stat().st_size < 200_000
        assert await SqliteTelemetry(tmp_path).clear() == len(found)

    anyio.run(play)
    assert check(tmp_path / "telemetry.db") == []


def test_telemetry_that_cannot_be_kept_is_told_once_until_it_is_again(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file is in the way")

    async def play() -> None:
        sink = SqliteTelemetry(tmp_path / "home")
        for _ in range(3):
            sink.record(TelemetryEvent())
        with pytest.raises(OSError, match="exists"):
            await sink.flush()
        (tmp_path / "home").unlink()
        sink.record(TelemetryEvent(pattern="kept"))
        assert [one.pattern for one in await sink.events(AnalyticsQuery(), 9)] == ["kept"]
        await sink.aclose()
        sink.record(TelemetryEvent())

    with structlog.testing.capture_logs() as lines:
        anyio.run(play)
    told = [(line["event"], line.get("lost")) for line in lines]
    assert told == [("telemetry is not kept", None), ("telemetry is kept again", 3), ("telemetry is not kept", None)]


def test_check_tells_what_is_wrong(tmp_path: Path) -> None:
    anyio.run(SqliteLearnings(tmp_path).record, "", record(1))
    path = tmp_path / "home.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE name = 'learnings_by_time'")
        connection.commit()
    assert check(path) != []
