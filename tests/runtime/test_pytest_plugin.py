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
    parted.stdout.fnmatch_lines(["*aar.tape.gz: not as recorded", "*ArmDeadline.when*", "*under the policy that the *"])
    assert path.read_bytes() == data
    # What is only tried cannot be accepted, and nobody is told that it could.
    tried = run(suite, "--vstack-record", "-k", "tried")
    tried.assert_outcomes(failed=1, deselected=2)
    tried.stdout.fnmatch_lines(["*under the policy that the test tries*"])
    tried.stdout.no_fnmatch_line("*accepts*")
    assert path.read_bytes() == data
    write(suite, '{"limits": {"request_timeoutt": 60}}')
    run(suite).stdout.fnmatch_lines(["*aar.tape.gz: its policy cannot be used: there is no limits.request_timeoutt*"])


def test_what_differs_is_accepted_on_purpose(suite: pytest.Pytester) -> None:
    run(suite, "--vstack-record", "-k", "recorded")
    (path,) = (suite.path / "tapes").iterdir()
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(data.replace(b'"x-frame-options","DENY"', b'"x-frame-options","SAME"'), mtime=0))
    parted = run(suite, "-k", "marked")
    parted.assert_outcomes(errors=1, deselected=2)
    parted.stdout.fnmatch_lines(["*--vstack-record accepts what differs"])
    run(suite, "-k", "marked", "--vstack-record").assert_outcomes(passed=1, deselected=2)
    run(suite, "-k", "marked", "--vstack-record").assert_outcomes(passed=1, deselected=2)
    run(suite, "-k", "marked").assert_outcomes(passed=1, deselected=2)


REPLAYS = "def test_x(vstack_replay): vstack_replay"
MARKED = "@pytest.mark.vstack_replay"


@pytest.mark.parametrize(
    ("test", "outcome", "told"),
    [
        (f"{MARKED}('a.tape.jsonl')\ndef test_x(): pass", "errors", "def test_x(vstack_tape)"),
        (f"{MARKED}('a.tape.jsonl')\ndef test_x(vstack_replay): pass", "errors", "def test_x(vstack_tape)"),
        (f"{MARKED}()\ndef test_x(vstack_tape): pass", "errors", "takes the paths of tapes"),
        (f"{MARKED}\ndef test_x(vstack_tape): pass", "errors", "takes the paths of tapes"),
        (f"{MARKED}(path='a.tape.gz')\ndef test_x(vstack_tape): pass", "errors", "takes the paths of tapes"),
        (f"{MARKED}('a', policy=1)\ndef test_x(vstack_tape): pass", "errors", "takes the paths of tapes"),
        (f"{MARKED}('/nowhere/*.gz')\ndef test_x(vstack_tape): pass", "errors", "there is no such tape"),
        (f"{MARKED}('.')\ndef test_x(vstack_tape): pass", "errors", "it is a folder"),
        ("def test_x(vstack_tape): pass", "errors", "is the tape of a mark, and there is none: @pytest.mark.vstack_r"),
        (f"{REPLAYS}('.')", "failed", "it is a folder"),
        (f"{REPLAYS}('a/b.tape.gz', record=lambda: None)", "failed", "record= returned no Tape but a NoneType"),
        (f"async def made(): pass\n{REPLAYS}('a', record=made)", "failed", "no Tape but a coroutine"),
    ],
)
def test_a_test_that_replays_nothing_does_not_pass(
    pytester: pytest.Pytester, test: str, outcome: str, told: str
) -> None:
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider\nfilterwarnings = error\n")
    pytester.makepyfile(test_tapes=f"import pytest\n{test}\n")
    result = run(pytester, "--vstack-record")
    result.assert_outcomes(**{outcome: 1})
    assert told in result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    assert [path.name for path in pytester.path.iterdir() if path.suffix not in ("", ".py", ".ini")] == []


def test_pytest_starts_without_loading_vstack() -> None:
    code = "import sys, vstack_runtime.pytest_plugin; print([n for n in sys.modules if n.startswith('vstack')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['vstack_runtime', 'vstack_runtime.pytest_plugin']"
