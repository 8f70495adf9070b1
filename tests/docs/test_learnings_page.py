"""The command lines of ``docs/learnings.md``, run in order beside a server that has the same home."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.e2e.serving import Server, canonical_trace, command

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "learnings.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8000"
# An id as the page has it: that of the record that was made before.
ID = re.compile(r"lrn_[0-9a-f]{24}")


def commands() -> list[str]:
    """Every command of every block, without what it is said to print; a quotation may go on for several lines."""
    found: list[str] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, *rest = part.splitlines()
            while line.endswith("\\") or line.count("'") % 2:
                line += f"\n{rest.pop(0)}"
            found.append(line)
    return found


@pytest.mark.slow
def test_every_command_works_as_it_stands(service: Service, tmp_path: Path) -> None:
    service("curl")
    home = str(tmp_path / "home")
    asked = {"format": "canonical", "trace": canonical_trace()}
    (tmp_path / "request.json").write_text(json.dumps(asked), "utf-8")
    # A refusal is a failure.
    (tmp_path / ".curlrc").write_text("fail-with-body\n", "utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(tmp_path), "VSTACK_HOME": home}
    server = Server(command("asyncio"), {"VSTACK_LLM": "offline", "VSTACK_HOME": home, "VSTACK_DRAIN_DELAY": "0"})
    told: list[tuple[str, str]] = []
    try:
        here = f"http://127.0.0.1:{server.wait_for(lambda line: line['event'] == 'listening')['port']}"
        for line in commands():
            words = line.replace(ADDRESS, here)
            if told:
                words = ID.sub(ID.findall(told[0][1])[0], words)
            ran = subprocess.run(
                ["bash", "-c", words], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
            )
            assert (ran.returncode, ran.stderr) == (0, ""), f"{line}\n{ran.stdout}{ran.stderr}"
            told.append((line, ran.stdout))
    finally:
        server.stop()
    assert len([line for line, _ in told if line.startswith("curl ")]) >= 4
    assert len(told) >= 13
