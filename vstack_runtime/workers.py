"""Several processes behind one port: started, watched and stopped together.

The parent listens and hands its sockets down; the system gives each connection to whichever worker takes it first. A
socket that all share outlives any of them, so no connection that waits to be taken is lost with a worker.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from prometheus_client import multiprocess

from vstack_runtime.early import stop_early
from vstack_runtime.listening import inherited, listen, port_of
from vstack_runtime.logs import get_logger
from vstack_runtime.settings import Settings

_log = get_logger()

# A worker that ends within this time of its start has not served; so many in a row, and another try is in vain.
EARLY_SECONDS = 5.0
MOST_EARLY = 5
# Told twice in one moment, a worker hears it once: signals are not counted. So who must end at once is told again.
AGAIN_SECONDS = 0.5
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_HEEDED = frozenset({*_FORWARDED, signal.SIGCHLD, signal.SIGALRM})
# What the library that keeps the metrics reads, when it is imported.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Workers:
    """The processes, and what has been asked of them.

    Attributes:
        stopping: Whether they have been told to end.
        failed: Whether one ended badly, or none can be started.
    """

    def __init__(self, count: int, sockets: Sequence[socket.socket], runtime: str, env: Mapping[str, str]) -> None:
        """
        Args:
            count: How many.
            sockets: Where they listen.
            runtime: Which driver each runs.
            env: Their settings.
        """
        self.stopping = False
        self.failed = False
        self._count = count
        self._numbers = [sock.fileno() for sock in sockets]
        self._argv = [sys.executable, "-m", "vstack_runtime.workers", runtime, *map(str, self._numbers)]
        self._env = dict(env)
        self._running: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._early = self._told = 0

    def __len__(self) -> int:
        return len(self._running)

    @property
    def hurried(self) -> bool:
        """Whether they have been told to end at once."""
        return self._told > 1

    def fill(self) -> None:
        """Start as many as are missing, unless they are being stopped."""
        while len(self) < self._count and not self.stopping:
            process = subprocess.Popen(self._argv, env=self._env, pass_fds=self._numbers)
            self._running[process.pid] = process, time.monotonic()

    def reap(self) -> None:
        """Take note of those that have ended."""
        for pid, (process, started) in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            del self._running[pid]
            # What they counted stays; what they had in flight is gone.
            multiprocess.mark_process_dead(pid, self._env[METRICS_FOLDER])  # type: ignore[no-untyped-call]
            if self.stopping:
                # Told twice, one may end before its own handler is in force again.
                self.failed |= code != 0 and not (self.hurried and -code in _FORWARDED)
            else:
                self._replace(pid, code, time.monotonic() - started)

    def _replace(self, pid: int, code: int, lived: float) -> None:
        self._early = self._early + 1 if lived < EARLY_SECONDS else 0
        if self._early >= MOST_EARLY:
            _log.error("workers end as soon as they are started", worker=pid, code=code)
            self.failed = True
            self.tell(signal.SIGTERM)
            return
        _log.error("a worker has ended; another takes its place", worker=pid, code=code, seconds=round(lived, 1))

    def tell(self, number: int) -> None:
        """Send all of them a signal."""
        if number != signal.SIGHUP:
            self.stopping = True
            self._told += 1
        for process, _ in self._running.values():
            process.send_signal(number)

    def kill(self) -> None:
        """Make sure that none is left."""
        for process, _ in self._running.values():
            process.kill()
            process.wait()


def supervise(settings: Settings, count: int, *, runtime: str, env: Mapping[str, str]) -> int:
    """Serve with several processes until a signal says otherwise; signals go on to each of them.

    Args:
        settings: As the operator made them.
        count: How many processes.
        runtime: Which driver.
        env: What the settings were read from.

    Returns:
        The exit code: 0 where every worker ended well after it was asked to.

    Raises:
        OSError: The address cannot be listened at.
    """
    sockets = listen(settings.host, settings.port)
    told = [name for name, own in (("cache", settings.cache), ("quota", settings.rate_limit_store)) if own == "memory"]
    if told:
        _log.warning("each worker has its own", memory=told, workers=count)
    folder = tempfile.mkdtemp(prefix="vstack-metrics-")
    # Blocked, they wait to be asked for; each worker unblocks them for itself.
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED)
    # One that is still pending when they are unblocked must not end the process.
    signal.signal(signal.SIGALRM, lambda number, frame: None)
    workers = Workers(count, sockets, runtime, {**env, METRICS_FOLDER: folder})
    try:
        _log.info("workers start", workers=count, port=port_of(sockets))
        workers.fill()
        while workers:
            number = signal.sigwait(_HEEDED)
            if number in _FORWARDED:
                if workers.stopping:
                    _log.info("stopping now", signal=signal.Signals(number).name)
                workers.tell(number)
            elif number == signal.SIGALRM:
                workers.tell(signal.SIGTERM)
            if workers.hurried:
                signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
            workers.reap()
            if workers.stopping:
                # The last worker to close them is the one that drains last.
                _close(sockets)
            workers.fill()
    finally:
        workers.kill()
        signal.setitimer(signal.ITIMER_REAL, 0)
        shutil.rmtree(folder, ignore_errors=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEEDED)
    return 1 if workers.failed else 0


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _work(runtime: str, numbers: Sequence[int]) -> int:
    """One worker's life."""
    sockets = inherited(numbers)
    with stop_early():
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEEDED)
            from vstack_runtime.serving import run_engine

            return run_engine(Settings.from_env(os.environ), runtime, sockets)
        finally:
            _close(sockets)


if __name__ == "__main__":
    sys.exit(_work(sys.argv[1], [int(number) for number in sys.argv[2:]]))
