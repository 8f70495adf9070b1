"""The demo with a model: ``make demo ANTHROPIC_API_KEY=...``, and so for the other model services."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.fakes.model_service import Act, FakeServer, serving
from tests.providers.kit import KEY, NAMES
from tests.providers.served import environment

ROOT = Path(__file__).resolve().parents[2]
PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions", "ollama": "/api/chat"}
# What a make that runs these tests hands down.
OF_MAKE = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS")


def make_demo(make: str, said: dict[str, str], lies_about: dict[str, str]) -> str:
    """What ``make demo`` prints with these variables on its command line, and others in the environment."""
    # In the environment of these tests, which is installed already.
    argv = [make, "--old-file", f"{sys.prefix}/.runtime", "demo", f"VENV={sys.prefix}"]
    env = {name: value for name, value in os.environ.items() if name not in OF_MAKE} | lies_about
    argv += [f"{name}={value}" for name, value in said.items()]
    ran = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def every_key(server: FakeServer) -> dict[str, str]:
    """Keys for each service, all of which are this one."""
    return {variable: value for name in NAMES for variable, value in environment(server, name).items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_demo_asks_the_service_whose_key_it_is_given(name: str, service: Service) -> None:
    with serving(Act(text=None)) as server, serving(Act(text=None)) as another:
        shown = make_demo(service("make"), environment(server, name), every_key(another))
        assert another.asked == []
        assert [asked.path.partition("?")[0] for asked in server.asked] == [PATHS[name]] * 4  # twice in standard mode
    model = server.asked[0].body["model"]
    assert shown.count(f"by the {model} engine") == 2
    assert "After-action review: severity" in shown
    assert "Social loafing: severity" in shown
    assert f"VSTACK_LLM={name} " in shown
    assert KEY not in shown


@pytest.mark.slow
def test_a_key_in_the_environment_alone_is_not_used(service: Service) -> None:
    with serving(Act(text=None)) as server:
        assert make_demo(service("make"), {}, every_key(server)).count("by the offline engine") == 2
    assert server.asked == []


@pytest.mark.slow
def test_without_make_the_environment_says_whom_to_ask() -> None:
    with serving(Act(text=None)) as server:
        argv = [sys.executable, "examples/demo.py", "--ask"]
        env = {**os.environ, **environment(server, "openai")}
        subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, timeout=60, check=True)
        assert {asked.path for asked in server.asked} == {PATHS["openai"]}
