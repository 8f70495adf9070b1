"""Two peers written in TypeScript: the official conformance suite, and the Inspector's command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.serving import canonical_trace
from tests.mcp.peers import HERE, LOCK, node

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(Path(sys.executable).with_name("vstack-mcp"))
REVISIONS = ("2025-06-18", "2025-11-25", "2026-07-28")
PATIENCE = 120
# What the baselines may hold: features that this server does not have, each by the names of its scenarios.
OUT_OF_SCOPE = re.compile(
    r"tools-call-(sampling|elicitation)|elicitation-.*|resources-(un)?subscribe|tasks-.*|input-required-result-.*"
    r"|server-sse-(polling|multiple-streams)|http-custom-header-server-validation"
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A service with what the suite asks for."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.mcp.everything"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def baseline(revision: str) -> Path:
    return HERE / f"baseline_{revision}.yml"


@pytest.mark.parametrize("revision", REVISIONS)
def test_conformance(revision: str, port: int, tmp_path: Path) -> None:
    script = "@modelcontextprotocol/conformance/dist/index.js"
    url = f"http://localhost:{port}/mcp"
    asked = ("--suite", "all", "--spec-version", revision, "--expected-failures", str(baseline(revision)))
    argv = node(script, "server", "--url", url, *asked, "-o", str(tmp_path))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert len(list(tmp_path.rglob("checks.json"))) > 20


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_baseline_holds_only_what_is_out_of_scope(revision: str) -> None:
    lines = baseline(revision).read_text("utf-8").splitlines()
    names = [line.removeprefix("  - ") for line in lines if line.startswith("  - ")]
    assert names
    assert [name for name in names if not OUT_OF_SCOPE.fullmatch(name)] == []


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads(LOCK.read_text("utf-8"))
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


@pytest.fixture
def inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the Inspector against the real program, in an era."""

    def run(era: str, *args: str) -> subprocess.CompletedProcess[str]:
        server = {
            "type": "stdio",
            "command": PROGRAM,
            "args": ["serve"],
            "env": {"VSTACK_LLM": "offline"},
            "protocolEra": era,
        }
        config = tmp_path / "servers.json"
        config.write_text(json.dumps({"mcpServers": {"vstack": server}}))
        command = node("@modelcontextprotocol/inspector/clients/launcher/build/index.js", "--cli")
        asked = ["--config", str(config), "--server", "vstack", *args]
        # After the programs were found: what the Inspector writes goes to a home of its own.
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("MCP_INSPECTOR_SECRET_STORE", "memory")
        return subprocess.run([*command, *asked], capture_output=True, text=True, timeout=PATIENCE)

    return run


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_and_calls(era: str, inspect: Any) -> None:
    listed = inspect(era, "--method", "tools/list", "--strict")
    assert listed.returncode == 0, listed.stderr
    assert "vstack_aar" in {tool["name"] for tool in json.loads(listed.stdout)["tools"]}
    given = {"trace": canonical_trace(), "format": "canonical", "model": "offline"}
    flags = [part for name, value in given.items() for part in ("--tool-arg", f"{name}={as_text(value)}")]
    called = inspect(era, "--method", "tools/call", "--tool-name", "vstack_aar", *flags)
    assert called.returncode == 0, called.stderr + called.stdout[:2000]
    assert json.loads(called.stdout)["structuredContent"]["pattern"] == "aar"


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
