"""The file of the callers' keys, which is read again while the service runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from vstack_proto.auth import KeyTable, parse_key_lines

# Some 10,000 keys; a larger file was named by mistake.
MAX_KEYS_FILE_BYTES = 1_048_576


class KeyFile:
    """A file of keys, one ``name=key`` a line, and the table that it makes with the keys from elsewhere.

    Attributes:
        path: Of the file.
        table: The keys in force.
        error: Why the file as it is now could not be used, or None. The keys before it then stay in force.
        world_readable: Whether every user of the machine may read the keys.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no key, or what is none. The text shows no key.
    """

    def __init__(self, path: str, others: Sequence[tuple[str, str]] = ()) -> None:
        self.path = path
        self.error: str | None = None
        self.world_readable = False
        self.pairs: tuple[tuple[str, str], ...] = ()
        self._others = tuple(others)
        self._seen = self._look()
        self.table = self._load()

    def reload(self) -> KeyTable | None:
        """Read the file again if it has changed.

        Returns:
            The new table, or None where there is none: nothing has changed, or ``error`` says what is wrong.
        """
        try:
            seen = self._look()
            if seen == self._seen:
                return None
            self._seen = seen
            self.table = self._load()
        except OSError as fault:
            self._seen = ()
            self.error = f"cannot be read: {fault.strerror}"
            return None
        except ValueError as fault:
            self.error = str(fault)
            return None
        self.error = None
        return self.table

    def _look(self) -> tuple[int, ...]:
        found = os.stat(self.path)
        self.world_readable = bool(found.st_mode & stat.S_IROTH)
        return found.st_mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _load(self) -> KeyTable:
        mode, _, _, size, _ = self._seen
        # A pipe would be empty the second time, and may keep its reader waiting for good.
        if not stat.S_ISREG(mode):
            raise ValueError("it is not a regular file")
        if size > MAX_KEYS_FILE_BYTES:
            raise ValueError(f"it has {size} bytes; the limit is {MAX_KEYS_FILE_BYTES}")
        try:
            text = Path(self.path).read_bytes().decode()
        except UnicodeDecodeError:
            raise ValueError("it is not UTF-8") from None
        pairs = tuple(parse_key_lines(text))
        if not pairs:
            raise ValueError("it holds no key")
        table = KeyTable.of([*self._others, *pairs])
        self.pairs = pairs
        return table
