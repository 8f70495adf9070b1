"""What the operating system says of itself and of this process."""

from __future__ import annotations

import datetime
import os
import platform
import resource
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

# Either tells of a container: engines leave a file, Kubernetes its variables.
_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
# Where version 1 of cgroups has no limit, it says a number near 2**63.
_NO_LIMIT = 1 << 60


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Facts that checks rest on.

    Attributes:
        python: Version of the interpreter.
        system: Name of the operating system.
        optimised: Whether ``assert`` statements are left out.
        encoding: Of file names.
        user: Number of the user; 0 is root.
        descriptors: How many files and sockets the process may have open.
        memory: Bytes that the process may use: the machine's, or the container's limit.
        container: Whether this is one.
        kubernetes: Whether it is a pod.
        now: Wall clock, UTC.
        folder: The user's home, where programs keep their settings.
        path: Where programs are looked for.
    """

    python: tuple[int, int, int]
    system: str
    optimised: bool
    encoding: str
    user: int
    descriptors: int
    memory: int
    container: bool
    kubernetes: bool
    now: datetime.datetime
    folder: Path
    path: str

    @classmethod
    def this(cls, env: Mapping[str, str]) -> Machine:
        """The machine that runs this."""
        kubernetes = "KUBERNETES_SERVICE_HOST" in env
        return cls(
            python=sys.version_info[:3],
            system=platform.system(),
            optimised=not __debug__,
            encoding=sys.getfilesystemencoding(),
            user=os.getuid(),
            descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            memory=_memory(),
            container=kubernetes or any(mark.exists() for mark in _MARKS),
            kubernetes=kubernetes,
            now=datetime.datetime.now(datetime.UTC),
            folder=Path.home(),
            path=env.get("PATH", os.defpath),
        )

    def finds(self, program: str) -> str | None:
        """Where a program is."""
        return shutil.which(program, path=self.path)


def _memory() -> int:
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in _CGROUP_LIMITS:
        try:
            limit = int(file.read_text())
        except (OSError, ValueError):
            continue
        if limit < _NO_LIMIT:
            return min(whole, limit)
    return whole
