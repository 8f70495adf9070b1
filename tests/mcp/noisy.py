"""A session over stdio whose pattern does what must not reach the peer: it prints, writes to fd 1 and has a child."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import msgspec

from tests.proto.last_word import PATTERN, signals
from vstack_mcp.cli import leave, serve_stdio

NOISE = "this must not reach the peer"


def noisy(trace: Any, reading: Any) -> Any:
    print(NOISE, flush=True)
    os.write(1, f"{NOISE}\n".encode())
    # A child that writes, and one that would eat the peer's next request.
    subprocess.run(["echo", NOISE], check=True)
    assert subprocess.run(["cat"], check=True, capture_output=True).stdout == b""
    assert sys.stdin.read() == ""
    return signals(trace, reading)


def patterns() -> tuple[Any, ...]:
    print(NOISE)
    return (msgspec.structs.replace(PATTERN, name="noisy", signals=noisy),)


if __name__ == "__main__":
    leave(serve_stdio(patterns))
