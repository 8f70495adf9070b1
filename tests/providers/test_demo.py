"""The demo with a model: ``make demo ANTHROPIC_API_KEY=...``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.model_service import Act, serving
from tests.providers.kit import KEY

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demo_asks_the_service_that_it_has_a_key_for() -> None:
    with serving(Act(text=None)) as server:
        env = {**os.environ, "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}
        ran = subprocess.run(
            [sys.executable, "examples/demo.py", "--ask"], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {asked.path.partition("?")[0] for asked in server.asked} == {"/v1/messages"}
    assert len(server.asked) == 4  # two patterns in standard mode
    assert KEY not in ran.stdout


@pytest.mark.slow
def test_a_key_in_the_environment_alone_is_not_used() -> None:
    with serving(Act(text=None)) as server:
        env = {**os.environ, "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}
        subprocess.run(
            [sys.executable, "examples/demo.py"], env=env, cwd=ROOT, capture_output=True, timeout=60, check=True
        )
    assert server.asked == []
