"""How soon ``vstack-mcp`` gives its first answer, and how soon it is gone once its client is.

The measure is an interpreter that does nothing, started in the same run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("vstack-mcp"))
# From start to the first answer, in starts of ``python -c pass``; and from the end of input to that of the process.
MOST_STARTS = 15.0
MOST_SECONDS = 1.0

_CLIENT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "0"}}
_OPENING = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": _CLIENT}).encode() + b"\n"


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def _answered() -> tuple[float, float]:
    """Seconds to the first answer, and from the end of input to the end."""
    env = {"PATH": os.environ["PATH"], "VSTACK_LLM": "offline", "VSTACK_LEARNINGS": "off", "VSTACK_TELEMETRY": "off"}
    began = time.perf_counter()
    with subprocess.Popen(
        [PROGRAM, "serve"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(_OPENING)
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]
        first = time.perf_counter() - began
        process.stdin.close()
        began = time.perf_counter()
        assert process.wait() == 0
        return first, time.perf_counter() - began


def measure(rounds: int) -> tuple[float, float]:
    """The first answer, in starts of a bare interpreter, and the seconds of the end; the medians of ``rounds``."""
    _answered()
    pairs = [(_bare(), *_answered()) for _ in range(rounds)]
    bare, first, end = (statistics.median(column) for column in zip(*pairs, strict=True))
    return first / bare, end
