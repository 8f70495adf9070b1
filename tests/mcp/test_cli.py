"""The command line ``vstack-mcp``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.e2e.serving import Server
from vstack_mcp.cli_commands import CLIENTS
from vstack_runtime.engine import installed_patterns

PROGRAM = str(Path(sys.executable).with_name("vstack-mcp"))


def run(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {name: os.environ[name] for name in ("PATH", "HOME")} | variables
    return subprocess.run([PROGRAM, *args], env=env, capture_output=True, text=True, timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
def test_a_snippet_starts_this_very_program(client: str) -> None:
    done = run("config-snippet", client)
    assert done.returncode == 0
    assert done.stderr.startswith("Put this into ")
    assert json.dumps(PROGRAM) in done.stdout
    if client != "continue":
        told = json.loads(done.stdout)
        server = told["servers" if client == "vscode" else "mcpServers"]["vstack"]
        assert (server["command"], server["args"]) == (PROGRAM, ["serve"])


@pytest.mark.slow
def test_what_is_offered_is_listed() -> None:
    names = {f"vstack_{pattern.name}" for pattern in installed_patterns()}
    listed = {tool["name"] for tool in json.loads(run("list-tools", "--json").stdout)}
    assert names <= listed
    kept = {"vstack_record_learning", "vstack_report_outcome", "vstack_recall_learnings", "vstack_learning_outcomes"}
    assert listed - names == kept
    without = {tool["name"] for tool in json.loads(run("list-tools", "--json", VSTACK_LEARNINGS="off").stdout)}
    assert without == names
    lines = run("list-tools").stdout.splitlines()
    assert {line.split(" ")[0] for line in lines} == listed
    found = json.loads(run("list-resources", "--json").stdout)
    assert len(found["resources"]) == 1 + 3 * len(names)
    assert "vstack://patterns/{name}/citations" in run("list-resources").stdout


@pytest.mark.slow
@pytest.mark.parametrize("args", [(), ("nonsense",), ("serve", "--transport", "pigeon"), ("config-snippet", "emacs")])
def test_a_wrong_command_line_exits_2(args: tuple[str, ...]) -> None:
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: vstack-mcp" in done.stderr if not args else done.stderr.startswith("vstack-mcp: ")


@pytest.mark.slow
@pytest.mark.parametrize("flag", [("--port", "8001"), ("--host", "::1")])
def test_what_only_http_has_is_refused_over_stdio(flag: tuple[str, str]) -> None:
    done = run("serve", *flag)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"vstack-mcp: {flag[0]} needs --transport http\n"


@pytest.mark.slow
def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))
    assert run("version").stdout.strip() == project["project"]["version"]


@pytest.mark.slow
def test_it_serves_over_http() -> None:
    server = Server([PROGRAM, "serve", "--transport", "http", "--port", "0"], {"VSTACK_DRAIN_DELAY": "0"})
    try:
        server.started()
        asked = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert server.post("/mcp", asked).json == {"jsonrpc": "2.0", "id": 1, "result": {}}
        served = server.post("/mcp", {**asked, "method": "tools/list"}).json["result"]["tools"]
        assert served == json.loads(run("list-tools", "--json").stdout)
        server.stop()
    finally:
        server.kill()
