"""Parts of somebody's own: what does not fit is refused, and what fails is not printed into the host's output."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from vstack_runtime import Settings, build_app
from vstack_runtime.backends import MemoryCache, MemoryLimiter
from vstack_runtime.home.memory import MemoryLearnings, MemoryTelemetry
from vstack_runtime.scripted import ScriptedProvider


class Earlier:
    """A cache of the earlier implementation."""

    def get(self, key: str) -> None:
        """Nothing is ever there."""

    def set(self, key: str, entry: object) -> None:
        """And nothing is kept."""


@pytest.mark.parametrize(
    ("name", "part", "told"),
    [
        ("cache", Earlier(), "cache is a Earlier without put: it must be a vstack_runtime.backends.CacheBackend"),
        ("limiter", object(), "limiter is a object without take: it must be"),
        ("flights", object(), "without join, hold, follow, land"),
        ("provider", object(), "without ask, name, default_model"),
        ("learnings", MemoryCache(), "without record, recall, report, outcomes, clear, aclose"),
        ("telemetry", object(), "without record, flush, aclose"),
    ],
)
def test_what_lacks_a_method_is_refused_as_the_app_is_built(name: str, part: Any, told: str) -> None:
    with pytest.raises(TypeError, match=re.escape(told)):
        build_app(Settings(llm="offline"), **{name: part})


def test_what_fits_is_taken() -> None:
    parts = {
        "cache": MemoryCache(),
        "limiter": MemoryLimiter(()),
        "provider": ScriptedProvider([]),
        "learnings": MemoryLearnings(),
        "telemetry": MemoryTelemetry(),
    }
    engine = build_app(Settings(), **parts).engine  # type: ignore[arg-type]  # one mapping for all of them
    assert {name: getattr(engine, name) for name in parts} == parts


HOST = """
import anyio, structlog
from vstack_runtime.backends import MemoryCache
from vstack_runtime.conformance.parts import PATTERN
from vstack_runtime import Settings
from vstack_runtime.engine import Engine
from vstack_runtime.performer import Performer
from vstack_proto.commands import LookUpCache

class Broken:
    async def get(self, key): raise RuntimeError("the cache is broken")
    async def put(self, key, entry): pass

async def main():
    engine = Engine(Settings(llm="offline"), cache=Broken(), patterns=[PATTERN], env={})
    print(await Performer(engine, anyio.current_time)._entry_elsewhere("key"))

if CONFIGURED: structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
anyio.run(main)
"""


@pytest.mark.parametrize("configured", [False, True])
def test_a_host_that_has_configured_no_logging_is_told_nothing(*, configured: bool) -> None:
    program = HOST.replace("CONFIGURED", str(configured))
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert told.stderr == ""
    assert ("cache store failed" in told.stdout) is configured
    assert told.stdout.endswith("None\n")
