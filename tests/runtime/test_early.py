"""A signal before anything has begun ends the process at once, well, and without a word; later, as soon as it can."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

# Told to end while it reads a file that only this function knows, as an import does.
CUT_SHORT = """
import os
from vstack_runtime.early import stop_early

def reading(number):
    file = open(os.devnull)
    os.kill(os.getpid(), number)

with stop_early():
    reading({number})
print("it goes on")
"""

# Told to end while its event loop is made: each of them has a pair of sockets to wake itself.
LOOP_IS_MADE = """
import os, socket, sys
from vstack_runtime.cli import main

made = socket.socketpair

def socketpair(*arguments):
    os.kill(os.getpid(), {number})
    return made(*arguments)

socket.socketpair = socketpair
sys.argv = ["vstack-api", "serve", "--port", "0", "--runtime", "{runtime}"]
main()
"""
# Told to end when the loop heeds signals no more: that is not for the next loop of the process.
TOO_LATE = """
import os, signal
from vstack_runtime.early import came, note_signals

before = signal.getsignal({number})
with note_signals():
    os.kill(os.getpid(), {number})
print(came(), signal.getsignal({number}) == before)
"""
# Told to end where nobody hears of an exception.
SWALLOWED = """
import os, sys
from vstack_runtime import serving
from vstack_runtime.cli import main

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), {number})

settle = serving.settle

def settled():
    settle()
    Dropped()

serving.settle = settled
sys.argv = ["vstack-api", "serve", "--port", "0", "--runtime", "{runtime}"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_what_is_cut_short_says_nothing(number: signal.Signals) -> None:
    program = [sys.executable, "-W", "always", "-c", CUT_SHORT.format(number=int(number))]
    told = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_what_comes_too_late_for_a_loop_is_not_for_the_next(number: signal.Signals) -> None:
    program = [sys.executable, "-c", TOO_LATE.format(number=int(number))]
    told = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, "[] True\n", "")


@pytest.mark.parametrize("runtime", ["asyncio", "trio", "hypercorn"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("program", [LOOP_IS_MADE, SWALLOWED], ids=["loop", "swallowed"])
def test_what_comes_too_early_for_the_loop_is_heeded_by_it(program: str, number: signal.Signals, runtime: str) -> None:
    argv = [sys.executable, "-c", program.format(number=int(number), runtime=runtime)]
    env = {**os.environ, "VSTACK_DRAIN_DELAY": "0"}
    told = subprocess.run(argv, capture_output=True, text=True, check=False, env=env, timeout=60)
    events = [json.loads(line) for line in told.stderr.splitlines() if line.startswith("{")]
    assert told.returncode == 0, told.stderr
    assert {line["signal"] for line in events if line["event"] == "stopping"} == {number.name}
    assert events[-1]["event"] == "stopped"
    assert ("Traceback" in told.stderr) is (program is SWALLOWED), told.stderr
