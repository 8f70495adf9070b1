"""A machine of its own with a container engine: ``docker compose`` itself, and podman in the place of Docker's daemon.

Its namespaces hold what an engine changes: mounts, addresses, packet filters, ports 80 and 443. All ends with its first
process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.e2e.serving import PATIENCE

SOCKET = "/run/podman.sock"
SETTINGS = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

Find = Callable[[str], str]


class Engine:
    """What one types at that machine."""

    def __init__(self, pid: int, podman: list[str]) -> None:
        self.pid = pid
        self._podman = podman

    def run(self, *argv: str, ok: bool = True, **env: str) -> str:
        """Run a program there; what it prints."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", f"--wdns={Path.cwd()}"]
        told = subprocess.run(
            [*enter, *argv], capture_output=True, text=True, env={**os.environ, **env}, timeout=120, check=False
        )
        assert told.returncode == 0 or not ok, f"{' '.join(argv)}: {told.stdout[-2000:]}{told.stderr[-4000:]}"
        return told.stdout

    def podman(self, *words: str, ok: bool = True) -> str:
        """Run podman there."""
        return self.run(*self._podman, *words, ok=ok)

    def logs(self, container: str) -> list[str]:
        """The lines that a container has written; none as long as it is not there."""
        shown = self.run("sh", "-c", 'exec "$@" 2>&1', "sh", *self._podman, "logs", container, ok=False)
        return shown.splitlines()

    def compose(self, program: str, file: Path, *words: str) -> str:
        """Run ``docker compose`` there."""
        return self.run(program, "--file", str(file), "--progress", "plain", *words, DOCKER_HOST=f"unix://{SOCKET}")

    def inspected(self, container: str) -> Any:
        """What the engine knows of a container."""
        (told,) = json.loads(self.podman("inspect", container))
        return told

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that nothing there can tell of."""
        end = time.monotonic() + 3 * PATIENCE
        while not true():
            assert time.monotonic() < end
            time.sleep(0.1)


@contextlib.contextmanager
def engine(find: Find, store: list[str], folder: Path) -> Iterator[Engine]:
    """Boot the machine, over a store of images.

    Args:
        find: Finds the programs that it needs.
        store: The options that name the store's driver and folder.
        folder: A folder for what it writes.
    """
    for program in ("podman", "crun", "iptables", "unshare", "nsenter"):
        find(program)
    settings, log = folder / "containers.conf", folder / "engine.log"
    settings.write_text(SETTINGS)
    podman = ["podman", *store, "--runroot", "/run/podman", "--network-config-dir", "/run/networks"]
    boot = [
        "mount -t tmpfs none /run",
        "ip link set lo up",
        # Its runtime takes groups of the first kind, or of the second, and not both at once.
        "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi",
        f"exec {' '.join(podman)} system service --time=0 unix://{SOCKET}",
    ]
    isolated = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*isolated, "bash", "-euc", "\n".join(boot)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            # No systemd is there to call upon for the rounds of health checks.
            env={**os.environ, "CONTAINERS_CONF": str(settings), "DISABLE_HC_SYSTEMD": "true"},
        )
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        end = time.monotonic() + PATIENCE
        while not (first := children.read_text().split()) or not Path(f"/proc/{first[0]}/root{SOCKET}").exists():
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < end, log.read_text(errors="replace")
            time.sleep(0.05)
        made = Engine(int(first[0]), ["env", f"CONTAINERS_CONF={settings}", *podman])
        yield made
    finally:
        process.kill()
        process.wait()


def root_of(programs: list[str], also: dict[str, str], folder: Path) -> None:
    """Make the files of an image with programs of this machine: themselves, what they load, and some more."""
    wanted = {path for program in programs for path in [shutil.which(program)] if path is not None}
    assert len(wanted) == len(programs)
    for program in list(wanted):
        loads = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        wanted |= set(re.findall(r"(/\S+) \(0x", loads))
    for path in wanted:
        copy = folder / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for name, text in also.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text or not name.endswith("/"):
            file.write_text(text)
        else:
            file.mkdir(exist_ok=True)
