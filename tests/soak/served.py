"""Serves as ``vstack-api`` does, and tells on a socket what the process holds: ``served.py SOCKET ARGUMENTS...``

Each line that comes on the socket is answered by one of JSON, once garbage has been collected: see ``Held``.
"""

from __future__ import annotations

import _sqlite3
import asyncio
import collections
import contextlib
import ctypes
import gc
import inspect
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import trio

from vstack_runtime.cli import main

# What comes on the socket.
PLAIN, DETAILED = b"held\n", b"types\n"
# Both runtimes keep threads at hand for what would block, a few at most, and end them when they find the time.
HELPERS = ("asyncio_", "Trio thread", "AnyIO worker thread")


class Held(msgspec.Struct):
    """What a process holds.

    Attributes:
        live: Bytes that are allocated, less SQLite's. Exact where ``PYTHONMALLOC=malloc`` sends Python's objects there,
            too.
        sqlite: Bytes that SQLite has allocated: pages that it keeps at hand, at most 2 MB for each connection.
        rss: Bytes that it occupies, once free pages have gone back to the system.
        tasks: Tasks that have not ended.
        threads, helpers: Threads, but for those that a runtime keeps at hand; and those.
        descriptors: Where each open file or socket leads.
        types: How many objects of which type there are, the most numerous first.
    """

    live: int
    sqlite: int
    rss: int
    tasks: int
    threads: int
    helpers: int
    descriptors: list[str]
    types: dict[str, int]


class _Allocated(ctypes.Structure):
    """``struct mallinfo2``: https://man7.org/linux/man-pages/man3/mallinfo.3.html."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]


_C = ctypes.CDLL(None)
_C.mallinfo2.restype = _Allocated
_C.malloc_trim.argtypes = [ctypes.c_size_t]
_SQLITE = ctypes.CDLL(_sqlite3.__file__)
_SQLITE.sqlite3_memory_used.restype = ctypes.c_int64


# The interpreter's table of names takes a megabyte more where 21,845 are in use when it is made anew, which it is each
# time so many have come and gone; and about as many we use. With these there are always more, and it never changes.
_NAMES = [sys.intern(f"soak-{number}") for number in range(12_000)]


def _runs(one: Any) -> bool:
    if isinstance(one, asyncio.Task):
        return not one.done()
    return isinstance(one, trio.lowlevel.Task) and inspect.getcoroutinestate(one.coro) != inspect.CORO_CLOSED


def held(detailed: bool) -> Held:
    """What this process holds now."""
    for _ in range(2):  # what a finalizer lets go of goes in the second turn
        gc.collect()
    objects = gc.get_objects()
    for one in objects:
        # Up to a thousand deadlines that were moved wait in trio to be forgotten all at once: no leak, but a sawtooth.
        if isinstance(one, trio._core._run.Deadlines):
            one._prune()
    tasks = sum(map(_runs, objects))
    types = collections.Counter(map(type, objects)) if detailed else collections.Counter[type]()
    del objects
    gc.collect()
    names = [thread.name for thread in threading.enumerate()]
    helpers = sum(name.startswith(HELPERS) for name in names)
    _C.malloc_trim(0)
    allocated = _C.mallinfo2()
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    sqlite = _SQLITE.sqlite3_memory_used()
    live = allocated.uordblks + allocated.hblkhd - sqlite
    return Held(live, sqlite, rss, tasks, len(names) - helpers, helpers, _descriptors(), _named(types))


def _named(types: collections.Counter[type]) -> dict[str, int]:
    named = collections.Counter[str]()
    for one, number in types.items():
        named[f"{one.__module__}.{one.__qualname__}"] += number
    return dict(named)


def _descriptors() -> list[str]:
    links = []
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            links.append(os.readlink(f"/proc/self/fd/{entry}"))
    return links


def _tell(listener: socket.socket) -> None:
    while True:
        line, _ = listener.accept()
        with line, line.makefile("rwb") as stream:
            asked = stream.readline()
            stream.write(msgspec.json.encode(held(asked == DETAILED)) + b"\n")


if __name__ == "__main__":
    told = socket.socket(socket.AF_UNIX)
    told.bind(sys.argv.pop(1))
    told.listen(1)
    threading.Thread(target=_tell, args=(told,), name="soak", daemon=True).start()
    main()
