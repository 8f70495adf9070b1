"""The tutorial of ``docs/replay.md``: its programs are written, its commands run, and what they print is compared."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "replay.md").read_text("utf-8")
TRACE = ROOT / "examples" / "traces" / "failed_refund_report.json"
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"^```(console|python)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def told(command: str, folder: Path) -> str:
    """What a command prints, and its exit code where that is not 0."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTEST_ADDOPTS": "-p no:cacheprovider", "COLUMNS": "120"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout + (f"[{done.returncode}]\n" if done.returncode else "")


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "refund.json").write_bytes(TRACE.read_bytes())
    checker, commands = doctest.OutputChecker(), 0
    for kind, text in blocks():
        if kind == "python":
            name, _, program = text.partition("\n")
            (tmp_path / name.removeprefix("# ")).write_text(program, "utf-8")
            continue
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, wanted = part.partition("\n")
            came = told(command, tmp_path)
            assert checker.check_output(wanted, came, LIKE), f"$ {command}\n{came}\nwas wanted as\n{wanted}"
            commands += 1
    assert commands >= 15
