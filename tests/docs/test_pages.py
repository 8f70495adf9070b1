"""The quick start, run as it stands, and pages that list what the code has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.deploy.conftest import free_port
from vstack_runtime.doctor import CHECKS
from vstack_runtime.doctor.examination import GROUPS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.mark.slow
def test_the_quick_start_is_one(service: Service, tmp_path: Path) -> None:
    """Every block of commands, in order; what it installs is this environment, its port a free one."""
    service("curl")
    blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / "index.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    script = "\n".join(["set -eu", *(f"printf '\\n== {n}\\n'\n{block}" for n, block in enumerate(blocks))])
    here = "python3 -m venv .venv\n.venv/bin/pip install --quiet .\n"
    assert script.count(here) == 1
    script = script.replace(here, "").replace("$PWD/.venv/bin", str(Path(sys.executable).parent))
    assert script.count("8000") == 3
    script = script.replace("8000", str(free_port()))
    env = {**os.environ, "VSTACK_DRAIN_DELAY": "0", "HOME": str(tmp_path)}
    told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, cwd=ROOT, timeout=60)
    assert told.returncode == 0, told.stderr
    _, _, analysed, served, mcp = re.split(r"^== \d\n", told.stdout, flags=re.MULTILINE)
    assert "critical" in analysed
    assert '"status":"ready"' in served
    assert '"pattern":"social_loafing"' in served
    assert "vstack-mcp" in mcp


def test_the_page_of_the_doctor_lists_every_check() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", (DOCS / "doctor.md").read_text("utf-8"), re.MULTILINE)
    assert [group for group, _ in rows] == list(GROUPS)
    told = {f"{group}.{name}" for group, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == {check.name for check in CHECKS}


def test_what_is_tried_on_request_is_said_to_be() -> None:
    page = (DOCS / "doctor.md").read_text("utf-8")
    for group in {check.group for check in CHECKS if check.on_request}:
        assert f"`--only {group}`" in page


@pytest.mark.parametrize("page", ["upgrade.md", "security.md", "deploy.md", "doctor.md", "index.md"])
def test_variables_and_commands_that_pages_name_are_there(page: str) -> None:
    """What stands in code marks and is ours: settings that are read, programs that are installed."""
    text = (DOCS / page).read_text("utf-8")
    now = re.sub(r"^\|[^|]*\|", "|", text, flags=re.MULTILINE) if page == "upgrade.md" else text
    listed = (DOCS / "http.md").read_text("utf-8")
    variables = set(re.findall(r"`(VSTACK_[A-Z_]+)", now))
    assert not [name for name in variables if f"| `{name}` |" not in listed]
    programs = set(re.findall(r"`(vstack-[a-z]+)", now))
    gone = {"vstack-config", "vstack-upgrade", "vstack-bench", "vstack-browser", "vstack-gbrain"}
    assert not [name for name in programs - gone if not Path(sys.executable).with_name(name).exists()]
