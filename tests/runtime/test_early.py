"""A signal before anything has begun ends the process at once, well, and without a word."""

from __future__ import annotations

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_what_is_cut_short_says_nothing(number: signal.Signals) -> None:
    program = [sys.executable, "-W", "always", "-c", CUT_SHORT.format(number=int(number))]
    told = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
