"""The programs of tests/mcp/peers/package.json, installed once into a cache folder outside of the tree."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_SERVICES, required

HERE = Path(__file__).with_name("peers")
LOCK = HERE / "package-lock.json"
INSTALL_SECONDS = 300
# As the person has it who runs the tests: npm's settings are there. Each test has a bare home of its own.
HOME = Path.home()
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or HOME / ".cache") / "vstack-test-peers"


def _missing(reason: str) -> None:
    if required():
        pytest.fail(f"{reason}, and {REQUIRE_SERVICES}=1 says that it must be", pytrace=False)
    pytest.skip(reason)


def installed() -> Path:
    """The folder of the installed programs; they are installed from the lock file where they are not.

    Where that cannot be done the test is skipped with the reason, and with ``VSTACK_REQUIRE_SERVICES=1`` it fails.
    """
    folder = CACHE / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    if (folder / "done").exists():
        return folder
    npm = shutil.which("npm")
    if npm is None:
        _missing("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        # Tests run in several processes: one installs, the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            argv = [npm or "", "ci", "--no-audit", "--no-fund"]
            env = {**os.environ, "HOME": str(HOME)}
            done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=INSTALL_SECONDS)
            if done.returncode:
                _missing(f"npm could not install the peers: {done.stderr[-500:]}")
            (folder / "done").touch()
    return folder


def node(script: str, *args: str) -> list[str]:
    """The command line that runs a program of an installed package under the node that came with it."""
    modules = installed() / "node_modules"
    return [str(modules / ".bin" / "node"), str(modules / script), *args]
