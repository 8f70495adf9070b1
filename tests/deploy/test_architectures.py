"""The image is made for both architectures: every pin of it is there as a wheel for each, under the same hash file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_SERVICES
from tests.deploy.conftest import DEPLOY

ROOT = DEPLOY.parent
PINS = "requirements/container.txt"
# The C libraries that a wheel may ask for: those of Debian 10 to 12.
GLIBC = ("2_17", "2_28", "2_31", "2_34")


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get(REQUIRE_SERVICES) != "1", reason="asks the package index for everything")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_pin_is_there_for(machine: str, tmp_path: Path) -> None:
    platforms = [f"--platform=manylinux_{glibc}_{machine}" for glibc in GLIBC]
    wheels = ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11", *platforms]
    argv = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--require-hashes",
        "--no-deps",
        f"--target={tmp_path}",
    ]
    told = subprocess.run([*argv, *wheels, "-r", PINS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    pins = re.findall(r"^[\w.-]+==", (ROOT / PINS).read_text(), re.MULTILINE)
    would = told.stdout.rpartition("Would install ")[2].split()
    assert len(would) == len(pins) > 20


def test_nothing_in_its_recipe_names_an_architecture() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    assert not re.search(r"x86|amd64|aarch64|arm64|--platform", recipe)
