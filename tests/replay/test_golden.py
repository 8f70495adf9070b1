"""Golden exchanges: every pattern in every mode, on a tape.

``pytest tests/replay/test_golden.py --vstack-record`` makes all of them anew, byte for byte the same where the code is.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import msgspec
import pytest

from benchmarks.workload import canonical_trace, span_trace
from vstack_proto.events import ModelAnswered
from vstack_proto.patterns.common import MODES
from vstack_proto.replay import Tape, encode
from vstack_runtime.engine import Engine, installed_patterns
from vstack_runtime.pytest_plugin import Replay
from vstack_runtime.rehearsal import record
from vstack_runtime.scripted import ScriptedProvider, least_answer
from vstack_runtime.settings import Settings

HERE = Path(__file__).parent
# Short, and with something in it for every pattern; the one that looks at crews wants a crew.
BODY = {"trace": canonical_trace(12, 40), "format": "canonical"}
# What its numbers do not show, no model is asked for.
WITHOUT_A_MODEL = {("span_of_control", "quick")}
OTHER_BODIES = {"span_of_control": {"trace": span_trace(16, 40)}}
PATTERNS = {pattern.name: pattern for pattern in installed_patterns()}


def golden(name: str, mode: str, backend: str = "asyncio") -> Tape:
    """The exchange as today's code has it."""

    async def made() -> Tape:
        provider = ScriptedProvider([least_answer], default_model="golden-1")
        engine = Engine(
            Settings(),
            patterns=[PATTERNS[name]],
            contributed=(),
            provider=provider,
            env={},
            wall=lambda: 1_772_355_600.0,
        )
        body = msgspec.json.encode({**OTHER_BODIES.get(name, BODY), "mode": mode})
        return await record(engine, f"/v1/analyze/{name}", body, clock=lambda: 10_000.0)

    tape = anyio.run(made, backend=backend)
    # What names the code would change with every change of it.
    return msgspec.structs.replace(tape, header=msgspec.structs.replace(tape.header, build="", settings=""))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_pattern_asks_and_answers_in_every_mode_as_it_did(name: str, mode: str, vstack_replay: Replay) -> None:
    tape = vstack_replay(path_of(name, mode), record=lambda: golden(name, mode))
    assert (tape.end.status, tape.end.outcome) == (200, "ok")
    asked = any(isinstance(turn.event, ModelAnswered) for turn in tape.turns)
    assert asked == ((name, mode) not in WITHOUT_A_MODEL)


def path_of(name: str, mode: str) -> str:
    return f"golden/{name}.{mode}.tape.gz"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", ["aar", "social_loafing"])
def test_a_golden_exchange_is_the_same_bytes_under_any_runtime(name: str, backend: str) -> None:
    kept = (HERE / path_of(name, "forensic")).read_bytes()
    assert encode(golden(name, "forensic", backend), compress=True) == kept


def test_no_tape_is_left_over_and_all_of_them_are_small() -> None:
    found = {path.relative_to(HERE).as_posix(): path.stat().st_size for path in (HERE / "golden").iterdir()}
    assert found.keys() == {path_of(name, mode) for name in PATTERNS for mode in MODES}
    assert sum(found.values()) < 2_000_000
