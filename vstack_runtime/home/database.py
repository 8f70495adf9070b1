"""One SQLite file: a thread that writes, connections that read, and a schema that knows its version.

The file is in WAL mode: readers never wait for the writer, nor it for them, in this process or another. Writers of
several processes take turns; one waits up to ``BUSY_SECONDS`` for its own. Each write is part of one transaction with
whatever else waits then, and is acknowledged after the commit. With ``synchronous=FULL`` a commit is on the disk when
it returns; with ``NORMAL`` it survives the death of the process, and may be undone by that of the machine.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import anyio.to_thread

from vstack_runtime.background import from_any_thread

T = TypeVar("T")

BUSY_SECONDS = 5.0
# Writes that share a commit, at most; and those that may wait for one.
MAX_BATCH = 1_000
MAX_WAITING = 50_000
# Threads that read at once; and with those that hang (a dead disk), after whoever asked has given up.
MAX_READERS = 4
MAX_READING = 16
CLOSE_SECONDS = 2.0

Run = Callable[[sqlite3.Connection], Any]


class DatabaseBusy(Exception):
    """More waits for this file than it can take."""


class Schema:
    """What a file holds.

    Args:
        steps: SQL that leads from each version to the next, the first from an empty file; never changed, only added to.
        filled: Runs once, in the transaction that makes the file.
        tended: Runs after the file is opened and then after every ``every`` writes, in a transaction of its own.
    """

    def __init__(self, steps: tuple[str, ...], *, filled: Run | None = None, tended: Run | None = None) -> None:
        self.steps = steps
        self.filled = filled
        self.tended = tended
        self.every = 1_000

    def migrate(self, connection: sqlite3.Connection) -> None:
        """Bring a file to this version.

        Raises:
            sqlite3.DatabaseError: The file is of a later version, or no database.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(self.steps):
                told = f"the file is of version {version}; this program knows {len(self.steps)}"
                raise sqlite3.DatabaseError(told)
            for step in self.steps[version:]:
                for statement in filter(str.strip, step.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(self.steps)}")
            if version == 0 and self.filled is not None:
                self.filled(connection)
            connection.execute("COMMIT")
        except BaseException:
            # Where it went so wrong that nothing is open any more, the first fault says so.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


class Write:
    """Something to write; ``done`` is called in the writer's thread once it is committed, or has failed."""

    __slots__ = ("done", "error", "hurries", "result", "run")

    def __init__(self, run: Run, done: Callable[[], object] | None = None, *, hurries: bool = True) -> None:
        self.run = run
        self.done = done
        self.hurries = hurries
        self.result: Any = None
        self.error: Exception | None = None


class Database:
    """One file.

    Args:
        path: Of the file; its folder is made at the first write.
        schema: What it holds.
        synchronous: ``FULL`` or ``NORMAL``, as above.
        linger: Seconds for which writes that do not hurry may gather.
        busy_seconds: How long to wait for another process.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        linger: float = 0.0,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self.path = path
        self._schema = schema
        self._synchronous = synchronous
        self._linger = linger
        self._busy_seconds = busy_seconds
        self._queue: queue.Queue[Write | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._since_tended = 0
        self._readers: list[sqlite3.Connection] = []
        self._reading = 0
        self._turns: anyio.CapacityLimiter | None = None
        self._closed = False

    def exists(self) -> bool:
        """Whether there is a file to read."""
        return self.path.exists()

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run this in a transaction of the writer's thread; its answer, once that is committed.

        Raises:
            sqlite3.Error, OSError: It is not committed.
            DatabaseBusy: Too much waits already.
        """
        done = anyio.Event()
        wake = from_any_thread()
        job = Write(run, lambda: wake(done.set))
        self.put(job)
        await done.wait()
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def put(self, job: Write) -> None:
        """Hand something to the writer, from any thread, without waiting."""
        if self._closed:
            raise DatabaseBusy("the file is closed")
        if self._queue.qsize() >= MAX_WAITING:
            raise DatabaseBusy(f"{MAX_WAITING} writes are waiting")
        self._queue.put(job)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._write_on, name=f"vstack {self.path.name}", daemon=True)
                    self._thread.start()

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run this on a connection that can only read, in a thread; cancelling it leaves the thread behind.

        Raises:
            sqlite3.Error, OSError: It cannot be read.
            DatabaseBusy: Too many are reading, or hang.
        """
        if self._reading >= MAX_READING:
            raise DatabaseBusy(f"{MAX_READING} threads are reading")
        if self._turns is None:
            self._turns = anyio.CapacityLimiter(MAX_READERS)
        return await anyio.to_thread.run_sync(self._read, run, abandon_on_cancel=True, limiter=self._turns)

    async def aclose(self) -> None:
        """Write what waits, for two seconds at the most, and let go of the file."""
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, []
        # Before the writer's: the last to close moves the log into the file, which one that only reads cannot.
        for connection in readers:
            connection.close()
        if self._thread is not None:
            self._queue.put(None)
            await anyio.to_thread.run_sync(self._thread.join, CLOSE_SECONDS, abandon_on_cancel=True)

    # In a thread that reads.

    def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = None
        try:
            with self._lock:
                self._reading += 1
                connection = self._readers.pop() if self._readers else None
            if connection is None:
                connection = self._connect(f"{self.path.as_uri()}?mode=ro")
            result = run(connection)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        else:
            with self._lock:
                if not self._closed:
                    self._readers.append(connection)
                    connection = None
            if connection is not None:
                connection.close()
            return result
        finally:
            with self._lock:
                self._reading -= 1

    # In the thread that writes.

    def _write_on(self) -> None:
        last = False
        while not last:
            batch, last = self._gather()
            if batch:
                self._commit(batch)
        if self._connection is not None:
            # All that was acknowledged is in the file; what its end meets (a full disk) is the next start's to mend.
            with suppress(sqlite3.Error):
                self._connection.close()

    def _gather(self) -> tuple[list[Write], bool]:
        """What waits, and whether it is the last."""
        batch: list[Write] = []
        until = 0.0
        while len(batch) < MAX_BATCH:
            try:
                if not batch:
                    job = self._queue.get()
                elif batch[-1].hurries or not self._linger:
                    job = self._queue.get_nowait()
                else:
                    job = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return batch, True
            if not batch:
                until = time.monotonic() + self._linger
            batch.append(job)
        return batch, False

    def _commit(self, batch: list[Write]) -> None:
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                _attempt(connection, job)
            connection.execute("COMMIT")
        except Exception as error:
            self._give_up(batch, error)
        for job in batch:
            if job.done is not None:
                job.done()
        self._tend(len(batch))

    def _give_up(self, batch: list[Write], error: Exception) -> None:
        """Nothing of a batch is kept; the connection is made anew, whatever is wrong with it."""
        for job in batch:
            job.error = error
        if self._connection is not None:
            # It is given up for an error, which each of the batch is told.
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _tend(self, written: int) -> None:
        self._since_tended += written
        tended, connection = self._schema.tended, self._connection
        if tended is None or connection is None or self._since_tended < self._schema.every:
            return
        self._since_tended = 0
        # What cannot be tended now (another process writes, the disk is full) is tended later.
        with suppress(sqlite3.Error):
            tended(connection)
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Notes of people and prompts of agents: for nobody else's eyes. SQLite's other files follow this one.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = self._connect(self.path.as_uri())
        try:
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")
            if not connection.execute("PRAGMA page_count").fetchone()[0]:
                # Before the first table or never.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._to_wal(connection)
            self._schema.migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._since_tended = self._schema.every
        return connection

    def _to_wal(self, connection: sqlite3.Connection) -> None:
        """Two processes that make a file at once get in each other's way here, whatever the timeout."""
        until = time.monotonic() + self._busy_seconds
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.005)

    def _connect(self, uri: str) -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False)


def _attempt(connection: sqlite3.Connection, job: Write) -> None:
    """One job of a batch: where it fails by itself, the others go on."""
    connection.execute("SAVEPOINT one")
    try:
        job.result = job.run(connection)
    except sqlite3.OperationalError:
        raise
    except Exception as error:
        job.error = error
        connection.execute("ROLLBACK TO one")
    connection.execute("RELEASE one")


def used_bytes(connection: sqlite3.Connection) -> int:
    """What a file really holds, without the pages that are free."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return (int(pages) - int(free)) * int(size)


def check(path: Path) -> list[str]:
    """What SQLite finds wrong with a file; nothing where it is sound."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    return [] if found == ["ok"] else found
