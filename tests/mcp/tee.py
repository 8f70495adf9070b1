"""Stands between a client and a server over stdio, and writes down what they say: ``tee.py FILE COMMAND...``.

A line of the file is ``>`` or ``<`` (from the server) and the line as it was.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import IO


def copy(source: IO[bytes], sink: IO[bytes], log: IO[bytes], mark: bytes) -> None:
    for line in source:
        log.write(mark + line)
        log.flush()
        try:
            sink.write(line)
            sink.flush()
        except BrokenPipeError:
            return
    sink.close()


def main() -> int:
    with open(sys.argv[1], "ab") as log:
        child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdin is not None
        assert child.stdout is not None
        asks = (sys.stdin.buffer, child.stdin, log, b">")
        threading.Thread(target=copy, args=asks, daemon=True).start()
        copy(child.stdout, sys.stdout.buffer, log, b"<")
        return child.wait()


if __name__ == "__main__":
    sys.exit(main())
