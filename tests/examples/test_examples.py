"""The examples as programs: what they print, and that the pages show what they really do."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from vstack_proto.trace import CanonicalTrace
from vstack_runtime import analyze

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TRACES = EXAMPLES / "traces"
FAILED = TRACES / "failed_refund_report.json"

pytestmark = pytest.mark.slow


def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """One of the examples, or another program of the repository, to its end."""
    env = {**os.environ, "COLUMNS": "100", **variables}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def words(text: str) -> str:
    """A text without its line breaks and indentation."""
    return " ".join(text.split())


# The traces.


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.json")), ids=lambda path: path.stem)
def test_every_trace_is_canonical_and_its_moments_pass(path: Path) -> None:
    trace = msgspec.json.decode(path.read_bytes(), type=CanonicalTrace)
    assert 12 <= len(trace.steps) <= 25
    moments = [step.timestamp for step in trace.steps if step.timestamp is not None]
    assert len(moments) == len(trace.steps)
    assert moments == sorted(moments)
    assert {step.agent for step in trace.steps} <= set(trace.agent_names())


def detection(name: str, pattern: str) -> dict[str, Any]:
    trace = json.loads((TRACES / f"{name}.json").read_bytes())
    found: dict[str, Any] = analyze(trace, pattern=pattern, format="canonical", model="offline")["detection"]
    return found


# Each trace was written with a story; what a reader of the story would say is what must come out.
STORIES = [
    ("failed_refund_report", "critical", {"reviewer"}),
    ("healthy_latency_fix", "none", set()),
    ("loafing_vendor_review", "high", {"cost_analyst", "critic", "licence_expert"}),
]


@pytest.mark.parametrize(("name", "severity", "riders"), STORIES)
def test_a_reader_would_share_the_verdict(name: str, severity: str, riders: set[str]) -> None:
    assert detection(name, "aar")["severity"] == severity
    rows = detection(name, "social_loafing")["agent_contributions"]
    assert {row["agent_name"] for row in rows if row["role"] in ("loafer", "absent")} == riders


def test_one_trace_tells_who_reports_to_whom() -> None:
    assert detection("loafing_vendor_review", "span_of_control")["bottleneck_agent_ids"] == ["lead"]


# The demo.


def test_the_demo_shows_who_did_what_where_and_ends_the_server() -> None:
    # Somebody's own settings must not reach the server that the demo starts.
    done = run("examples/demo.py", VSTACK_API_REQUIRE_AUTH="true", VSTACK_API_PORT="nonsense")
    assert (done.returncode, done.stderr) == (0, "")
    shown = words(done.stdout)
    assert "After-action review: severity critical" in shown
    # The step at which the run went wrong, its agent, and the words that prove it.
    assert shown.index("step 8 analyst put an assumption") < shown.index("step 1 analyst")
    assert "“The rate service does not answer. I will assume last year's averages" in shown
    assert "quotations that stand in their step: 8 of 8" in shown
    assert "Why it mattered Everything after it rests on something that nobody looked up." in shown
    assert "What to do next 1. Have assumptions named and checked" in shown
    assert "Social loafing: severity moderate" in shown
    assert "reviewer 0% loafer" in shown
    assert "stopped by SIGTERM, exit code 0" in shown


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("healthy_latency_fix", ["severity none", "Nothing in the record points at a mistake", "balanced_team"]),
        ("loafing_vendor_review", ["licence_expert 0% absent", "“Looks good to me.”", "stand in their step: 9 of 9"]),
    ],
)
def test_the_demo_takes_another_trace(name: str, expected: list[str]) -> None:
    done = run("examples/demo.py", TRACES / f"{name}.json")
    assert (done.returncode, done.stderr) == (0, "")
    for text in (*expected, "stopped by SIGTERM, exit code 0"):
        assert text in words(done.stdout)


def test_the_demo_says_where_a_pattern_has_nothing_to_read(tmp_path: Path) -> None:
    alone = json.loads(FAILED.read_bytes()) | {"agents": []}
    alone["steps"] = [step | {"agent": "solo"} for step in alone["steps"]]
    # A terminal must not obey what a trace says.
    alone["goal"] += " \x1b[2Jcleared"
    file = tmp_path / "solo.json"
    file.write_text(json.dumps(alone))
    done = run("examples/demo.py", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Social loafing: not of this trace" in done.stdout
    assert "compares 2 or more agents" in words(done.stdout)
    assert "\x1b[2J" not in done.stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ('{"goal": "g", "steps": [], "outcome": "o"}', "/steps"),
        ('{"goal": "g", "steps": [{"agent": "a", "type": "message", "content": "c"}], "outcome": "o"}', "set success"),
    ],
)
def test_the_demo_tells_an_error_in_one_line(tmp_path: Path, content: str | None, told: str) -> None:
    file = tmp_path / "trace.json"
    if content is not None:
        file.write_text(content)
    done = run("examples/demo.py", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("demo: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def test_the_demo_wants_one_trace_at_most() -> None:
    assert run("examples/demo.py", "a", "b").returncode == 2


# Programs that embed.


@contextmanager
def serving(*command: str | Path, announced: str, **variables: str) -> Iterator[str]:
    """A program that serves until the block ends, and the base URL that it announces on stderr."""
    env = {**os.environ, "VSTACK_LLM": "offline", "VSTACK_DRAIN_DELAY": "0", **variables}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    with process:
        try:
            lines = iter(process.stdout.readline, "")
            found = next((match for line in lines if (match := re.search(announced, line))), None)
            assert found is not None, "it never listened"
            yield f"http://127.0.0.1:{found[1]}"
            process.terminate()
            assert process.wait(15) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["embed_asyncio", "embed_trio"])
def test_a_program_serves_while_its_block_runs(name: str) -> None:
    # Leaving the block waits for nobody: not for what a balancer would be given, which is more than ``run`` waits.
    done = run(EXAMPLES / f"{name}.py", VSTACK_DRAIN_DELAY="600")
    assert (done.returncode, done.stderr) == (0, "")
    port, severity = done.stdout.splitlines()
    assert re.fullmatch(r"listening at 127\.0\.0\.1:\d+", port)
    assert severity == "severity critical"


def test_a_library_call_needs_no_server() -> None:
    done = run(EXAMPLES / "library_call.py")
    assert (done.returncode, done.stderr) == (0, "")
    review, shares, refusal = done.stdout.splitlines()
    assert review.startswith("critical: The likeliest decisive mistake: Step 8, analyst")
    assert shares.startswith("{'planner': ")
    assert refusal.startswith("400 trace_not_readable: span_of_control cannot read this trace")


def test_mounted_in_starlette_both_answer_and_nothing_is_lost(tmp_path: Path) -> None:
    body = b'{"format": "canonical", "trace": %s}' % FAILED.read_bytes()
    command = ("-m", "hypercorn", "--bind", "127.0.0.1:0", EXAMPLES / "embed_starlette.py:app")
    with (
        serving(*command, announced=r"Running on http://127\.0\.0\.1:(\d+)", VSTACK_HOME=str(tmp_path)) as base,
        httpx.Client(base_url=base, trust_env=False) as client,
    ):
        assert client.get("/").text == "the application's own page"
        assert client.get("/vstack/readyz").json()["status"] == "ready"
        answer = client.post("/vstack/v1/analyze/aar", content=body)
        assert answer.status_code == 200
        assert answer.json()["detection"]["severity"] == "critical"
    with closing(sqlite3.connect(tmp_path / "telemetry.db")) as kept:
        assert kept.execute("SELECT pattern FROM events").fetchall() == [("aar",)]


# What the pages show.


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_readme_shows_what_the_demo_says() -> None:
    real = {line.rstrip() for line in run("examples/demo.py").stdout.splitlines()}
    (shown,) = blocks("README.md", "text")
    assert [line for line in shown.splitlines() if line not in ("", "...") and line not in real] == []


def test_every_line_of_python_in_the_pages_stands_in_an_example() -> None:
    real = {words(line) for path in EXAMPLES.glob("*.py") for line in path.read_text("utf-8").splitlines()}
    real |= {line.replace("return ", "answer = ") for line in real}
    shown = [*blocks("docs/embedding.md", "python"), *blocks("README.md", "python")]
    lines = [words(line.partition("  #")[0]).removesuffix(" ...") for block in shown for line in block.splitlines()]
    assert len(lines) > 10
    assert [line for line in lines if line and line not in real] == []


def test_the_curl_line_of_the_demo_works(service: Callable[[str], str]) -> None:
    service("curl")
    line = run("examples/demo.py").stdout.splitlines()[-1]
    with serving("-m", "vstack_runtime.cli", "serve", "--port", "0", announced=r'"port":(\d+)') as base:
        asked = line.replace("http://127.0.0.1:8000", base)
        assert asked != line
        done = subprocess.run(["sh", "-c", asked], cwd=ROOT, capture_output=True, timeout=30, check=True)
    assert json.loads(done.stdout)["detection"]["severity"] == "critical"


def test_the_request_of_the_user_guide_works(service: Callable[[str], str]) -> None:
    service("curl")
    (command,) = [block for block in blocks("docs/http.md", "console") if "curl" in block]
    with serving("-m", "vstack_runtime.cli", "serve", "--port", "0", announced=r'"port":(\d+)') as base:
        asked = command.removeprefix("$ ").replace("http://127.0.0.1:8000", base)
        done = subprocess.run(["sh", "-c", asked], capture_output=True, timeout=30, check=True)
    found = json.loads(done.stdout)["detection"]
    assert found["success"] is False
    assert {step for item in found["evidence"] for step in item["steps"]} == {0, 1, 2}
