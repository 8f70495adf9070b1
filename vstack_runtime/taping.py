"""Tapes of a running service: one file an exchange, written by a thread of its own.

Exchanges are taped in memory, which costs a list entry an event. Which of them are kept is decided when they end: by
then it is known who called, and how it went. A full queue loses tapes, never time: what was lost is counted.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path

import msgspec

from vstack_proto.commands import Record
from vstack_proto.contributed import REST
from vstack_proto.exchange import AnyExchange, Exchange
from vstack_proto.replay import Redaction, TapedExchange, encode, header_of, tape_of
from vstack_proto.service import Service
from vstack_runtime.logs import get_logger
from vstack_runtime.settings import Settings, SettingsError
from vstack_runtime.tape_settings import TapeSettings

_log = get_logger()

HEADER = "x-vstack-tape"
SUFFIX = ".tape.jsonl"
SUFFIXES = (SUFFIX, ".tape.gz", f"{SUFFIX}.gz")
"""How the names of tapes end, by which they are found in a folder."""
# What may wait for the writer: tapes, and bytes of their bodies.
MAX_WAITING = 256
MAX_WAITING_BYTES = 64 << 20
# How long tapes gather: to wake the writer for each of them, and to find its code cold, costs more than the writing.
_GATHER_SECONDS = 0.25
# Other processes may write into the folder as well: it is looked through again after so many tapes.
_LOOK_EVERY = 256
# So many exchanges are remembered in each window of time. To remember one takes microseconds, most of which are for
# nothing where thousands a second come and only some may be kept; where each asks a model, none are left out.
_WINDOW_SECONDS, _IN_WINDOW = 0.1, 100
# The share of a second's tapes that only exchanges with 5xx may take.
_RESERVE = 0.2
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
# Of no use to whoever reads a tape, or secret.
_NOT_DIGESTED = ("keys", "key_file", "sentry_dsn", "tapes", "warnings")

Count = Callable[[str, int], object]


def _uncounted(result: str, number: int) -> None:
    """Nobody counts."""


def build() -> str:
    """Names the code that decides: twelve hex digits over the sources of ``vstack_proto``."""
    digest = hashlib.sha256()
    root = resources.files("vstack_proto")
    with resources.as_file(root) as folder:
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def settings_digest(settings: Settings) -> str:
    """Twelve hex digits over what an operator has decided, less keys; equal where the decisions are."""
    told = {name: repr(getattr(settings, name)) for name in settings.__struct_fields__ if name not in _NOT_DIGESTED}
    return hashlib.sha256(msgspec.json.encode(sorted(told.items()))).hexdigest()[:12]


class TapeRecorder:
    """Keeps tapes of the exchanges of a process; give one to ``build_app(tapes=...)`` or ``serve(tapes=...)``."""

    def __init__(
        self, folder: str | os.PathLike[str], *, settings: TapeSettings | None = None, compress: bool = False
    ) -> None:
        """
        Args:
            folder: Where tapes go; made if it is not there.
            settings: Which exchanges, and how much; ``folder`` in it plays no part.
            compress: Whether tapes go through gzip: a fifth of the size, and several times the work.

        Raises:
            OSError: The folder cannot be made or written to.
        """
        self.folder = Path(folder)
        self.settings = settings or TapeSettings()
        self._compress = compress
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(folder))
        self._count: Count = _uncounted
        self._room = self.settings.per_second
        self._window = 0.0
        self._places = self._passed = 0
        self._refilled = 0.0
        self._queue: queue.SimpleQueue[TapedExchange | threading.Event | None] = queue.SimpleQueue()
        # Each is written by one thread only: what is put by the loop's, what is taken by the writer's.
        self._put = self._taken = self._put_bytes = self._taken_bytes = 0
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._writer = _Writer(self)

    @classmethod
    def of(cls, settings: Settings) -> TapeRecorder | None:
        """The recorder that the settings ask for, if they do.

        Raises:
            SettingsError: The folder cannot be made or written to.
        """
        folder = settings.tapes.folder
        if folder is None:
            return None
        try:
            return cls(folder, settings=settings.tapes)
        except OSError as error:
            raise SettingsError("VSTACK_TAPE", folder, f"a folder that can be written to ({error.strerror})") from None

    def attach(self, service: Service, settings: Settings, count: Count = _uncounted) -> None:
        """Tape the exchanges of a service from now on.

        Args:
            service: The service.
            settings: Whose digest goes on the tapes.
            count: Told what became of how many exchanges: ``written``, ``left_out`` (not sampled, or too many in a
                second), ``dropped`` (the writer is behind), ``too_large`` or ``failed``.
        """
        self._header = header_of(service, build=build(), settings=settings_digest(settings))
        self._count = count
        self._redaction = Redaction(self.settings.redact, max_body_bytes=service.policy.limits.max_body_bytes)
        service.exchanges = self._exchange

    def _exchange(self, service: Service) -> AnyExchange:
        now = time.monotonic()
        if now >= self._window:
            self._window, self._places = now + _WINDOW_SECONDS, _IN_WINDOW
        if self._places or self.settings.callers:
            self._places -= 1
            return TapedExchange(service, self._finished)
        self._passed += 1
        return Exchange(service)

    # In the loop's thread.

    def _finished(self, exchange: TapedExchange) -> None:
        if not self._wanted(exchange):
            self._passed += 1
            if self._passed >= _IN_WINDOW:
                self._count_passed()
            return
        self._count_passed()
        size = exchange.state.received
        if self._put - self._taken >= MAX_WAITING or self._put_bytes - self._taken_bytes + size > MAX_WAITING_BYTES:
            self._count("dropped", 1)
            return
        if self._thread is None:
            self._start()
        self._put += 1
        self._put_bytes += size
        self._queue.put(exchange)

    def _count_passed(self) -> None:
        passed, self._passed = self._passed, 0
        if passed:
            self._count("left_out", passed)

    def _wanted(self, exchange: TapedExchange) -> bool:
        settings, state = self.settings, exchange.state
        if settings.callers and HEADER in state.fields:
            asked = state.fields[HEADER].strip().lower()
            if asked in ("on", "off") and ("*" in settings.callers or state.caller in settings.callers):
                return asked == "on"
        # The room that there is for one second's tapes; a fifth of it is kept for what goes wrong.
        now, most = exchange.log[-1][0].at, settings.per_second
        room = self._room + (now - self._refilled) * most
        self._room, self._refilled = (min(most, room)), now
        if self._room < 1.0:
            return False
        sampled = settings.sample >= 1.0 or random.random() < settings.sample
        if not (sampled and self._room >= most * _RESERVE) and not _went_wrong(exchange):
            return False
        self._room -= 1.0
        return True

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._writer.run, name="vstack-tapes", daemon=True)
        self._thread.start()
        # A host program need not tell an application that it is about to end.
        atexit.register(self.close)

    def flush(self, seconds: float = 2.0) -> bool:
        """Wait until all that waits is written; False where that takes longer. It blocks: call it in a thread."""
        self._count_passed()
        if self._thread is None:
            return True
        written = threading.Event()
        self._queue.put(written)
        self._hurry.set()
        done = written.wait(seconds)
        self._hurry.clear()
        return done

    def close(self) -> None:
        """Write what waits, for at most 2 s, and end the writer; it begins anew with the next tape."""
        self._count_passed()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            self._hurry.set()
            thread.join(2.0)
            self._hurry.clear()
            atexit.unregister(self.close)

    # What the writer is told.

    def take(self) -> list[TapedExchange | threading.Event | None]:
        """What waits in the queue, once something does."""
        found = [self._queue.get()]
        if isinstance(found[0], TapedExchange):
            self._hurry.wait(_GATHER_SECONDS)
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._queue.get_nowait())
        return found

    def written(self, exchange: TapedExchange, result: str) -> None:
        """Say what became of an exchange."""
        self._taken += 1
        self._taken_bytes += exchange.state.received
        self._count(result, 1)

    def encoded(self, exchange: TapedExchange) -> bytes:
        """The bytes of its tape, without secrets."""
        log = self._redaction.applied(exchange.service, exchange.log)
        record = _record_of(exchange)
        surface = record.surface if record else REST
        header = msgspec.structs.replace(self._header, recorded=exchange.state.wall, surface=surface)
        return encode(tape_of(header, log), compress=self._compress)


def _went_wrong(exchange: TapedExchange) -> bool:
    """Whether the exchange ended with a status of 5xx."""
    record = _record_of(exchange)
    return record is not None and record.status >= 500


def _record_of(exchange: TapedExchange) -> Record | None:
    """What is recorded of a finished exchange, if anything is."""
    return next((one for one in exchange.log[-1][1] if isinstance(one, Record)), None)


class _Writer:
    """Writes tapes, and keeps the folder within its size; all of it in a thread of its own."""

    def __init__(self, recorder: TapeRecorder) -> None:
        self._recorder = recorder
        self._number = 0
        self._sizes: dict[str, int] = {}
        self._total = 0
        self._complained = 0.0

    def run(self) -> None:
        """Write until told to end."""
        recorder = self._recorder
        while True:
            for found in recorder.take():
                if found is None:
                    return
                if isinstance(found, threading.Event):
                    found.set()
                else:
                    recorder.written(found, self._written(found))

    def _written(self, exchange: TapedExchange) -> str:
        recorder = self._recorder
        try:
            data = recorder.encoded(exchange)
            if len(data) > recorder.settings.max_bytes:
                return "too_large"
            self._write(exchange.state.request_id, exchange.state.wall, data)
        except Exception:
            # A tape is never worth a request.
            self._complain("a tape could not be written")
            return "failed"
        return "written"

    def _complain(self, told: str) -> None:
        """Log what has just been raised; one line a minute tells as much as a thousand."""
        now = time.monotonic()
        if not self._complained or now > self._complained + 60.0:
            self._complained = now
            _log.warning(told, folder=str(self._recorder.folder), exc_info=True)

    def _write(self, request_id: str, wall: float, data: bytes) -> None:
        """One file, whole or not at all."""
        if self._number % _LOOK_EVERY == 0:
            self._look()
        self._number += 1
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(wall)) + f".{int(wall % 1 * 1e6):06d}"
        name = f"{moment}-{os.getpid()}-{self._number}-{_UNSAFE.sub('_', request_id)[:80]}{SUFFIX}"
        folder = self._recorder.folder
        part = folder / f".{name}"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
            part.rename(folder / name)
        except OSError:
            # What is told is why it could not be written, and not that there was nothing to take away again.
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        self._sizes[name] = len(data)
        self._total += len(data)
        self._trim()

    def _look(self) -> None:
        """What the folder holds."""
        found = []
        with os.scandir(self._recorder.folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                    # Another process takes the oldest away, too.
                    with contextlib.suppress(FileNotFoundError):
                        found.append((entry.name, entry.stat().st_size))
        # Names begin with the moment.
        self._sizes = dict(sorted(found))
        self._total = sum(self._sizes.values())

    def _trim(self) -> None:
        """The oldest go, but not the one that was written last."""
        while self._total > self._recorder.settings.folder_bytes and len(self._sizes) > 1:
            oldest = next(iter(self._sizes))
            self._total -= self._sizes.pop(oldest)
            try:
                (self._recorder.folder / oldest).unlink(missing_ok=True)
            except OSError:
                self._complain("an old tape could not be taken away")


def is_tape(name: str) -> bool:
    """Whether a file of this name is taken for a tape where it lies in a folder."""
    return name.endswith(SUFFIXES) and not name.startswith(".")


def recorded_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The tapes of a folder by name, which begins with the moment where a service wrote them."""
    return sorted(path for path in Path(folder).iterdir() if is_tape(path.name))


def read_all(paths: Iterable[Path]) -> list[Path]:
    """Tapes named by themselves or by their folder, in order."""
    return [tape for path in paths for tape in (recorded_in(path) if path.is_dir() else [path])]
