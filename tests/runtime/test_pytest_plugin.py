"""The plugin for pytest, as the test suite of somebody else uses it."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from vstack_proto.replay import decode

pytest_plugins = ["pytester"]

EXAMPLE = Path(__file__).parents[2] / "examples/traces/failed_refund_report.json"
TESTS = """
import anyio, pathlib, pytest
from vstack_runtime.engine import Engine
from vstack_runtime.rehearsal import record
from vstack_runtime.settings import Settings
from vstack_runtime.replaying import pattern_named

BODY = b'{"format": "canonical", "trace": %%s}' %% pathlib.Path(%r).read_bytes()

async def made():
    engine = Engine(Settings(llm="offline"), patterns=[pattern_named("aar")], env={})
    return await record(engine, "/v1/analyze/aar", BODY, clock=lambda: 10_000.0)

def test_recorded(vstack_replay):
    tape = vstack_replay("tapes/aar.tape.gz", record=lambda: anyio.run(made))
    assert tape.end.status == 200

def test_tried(vstack_replay):
    vstack_replay("tapes/aar.tape.gz", policy=POLICY)

@pytest.mark.vstack_replay("tapes/*.tape.gz")
def test_marked(vstack_tape):
    assert vstack_tape.end.outcome == "ok"
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider\nfilterwarnings = error\n")
    write(pytester, "{}")
    return pytester


def write(suite: pytest.Pytester, policy: str) -> None:
    suite.makepyfile(test_tapes=TESTS % str(EXAMPLE) + f"\nPOLICY = {policy}\n")


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    # In a process of its own only where there are several: to start one takes longer than all the rest.
    return suite.runpytest_subprocess(*arguments) if "-n" in arguments else suite.runpytest_inprocess(*arguments)


def test_a_tape_is_recorded_on_purpose_and_replayed_ever_after(suite: pytest.Pytester) -> None:
    missing = run(suite)
    missing.assert_outcomes(failed=2, errors=1)
    missing.stdout.fnmatch_lines(["*there is no such tape; --vstack-record makes one*"])
    run(suite, "--vstack-record", "-k", "recorded").assert_outcomes(passed=1, deselected=2)
    (path,) = (suite.path / "tapes").iterdir()
    data = path.read_bytes()
    assert decode(data).end.status == 200
    run(suite, "-n", "1").assert_outcomes(passed=3)
    write(suite, '{"limits": {"request_timeout": 60}}')
    parted = run(suite)
    parted.assert_outcomes(passed=2, failed=1)
    parted.stdout.fnmatch_lines(["*aar.tape.gz: not as recorded", "*ArmDeadline.when*", "*--vstack-record accepts*"])
    assert path.read_bytes() == data


def test_what_differs_is_accepted_on_purpose(suite: pytest.Pytester) -> None:
    run(suite, "--vstack-record", "-k", "recorded")
    (path,) = (suite.path / "tapes").iterdir()
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(data.replace(b'"x-frame-options","DENY"', b'"x-frame-options","SAME"'), mtime=0))
    run(suite, "-k", "marked").assert_outcomes(errors=1, deselected=2)
    run(suite, "-k", "marked", "--vstack-record").assert_outcomes(passed=1, deselected=2)
    run(suite, "-k", "marked", "--vstack-record").assert_outcomes(passed=1, deselected=2)
    run(suite, "-k", "marked").assert_outcomes(passed=1, deselected=2)


def test_pytest_starts_without_loading_vstack() -> None:
    code = "import sys, vstack_runtime.pytest_plugin; print([n for n in sys.modules if n.startswith('vstack')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['vstack_runtime', 'vstack_runtime.pytest_plugin']"
