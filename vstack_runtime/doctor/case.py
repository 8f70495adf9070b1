"""What checks look at, and what they say."""

from __future__ import annotations

import functools
import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from vstack_runtime.doctor.machine import Machine
from vstack_runtime.settings import Settings, SettingsError

Level = Literal["ok", "warning", "error", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    """What one look has shown.

    Attributes:
        level: ``error`` where the service will not work as meant, ``warning`` where it may not.
        saw: What is there.
        means: What follows from it; empty where all is well.
        mend: The command or the line that mends it.
    """

    level: Level
    saw: str
    means: str = ""
    mend: str = ""


class Report(msgspec.Struct, frozen=True):
    """A finding with the check that made it."""

    check: str
    level: Level
    saw: str
    means: str = ""
    mend: str = ""


def ok(saw: str) -> Finding:
    """All is well."""
    return Finding("ok", saw)


def warning(saw: str, means: str, mend: str) -> Finding:
    """It may not work as meant."""
    return Finding("warning", saw, means, mend)


def error(saw: str, means: str, mend: str) -> Finding:
    """It will not work as meant."""
    return Finding("error", saw, means, mend)


def skipped(why: str) -> Finding:
    """There was nothing to look at."""
    return Finding("skipped", why)


class Case:
    """One installation as it is found.

    Attributes:
        env: The environment of the service.
        machine: What the operating system says.
        deployment: A Kubernetes Deployment as JSON, or None.
        url: Where the service is reached from outside, or None.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        machine: Machine | None = None,
        *,
        deployment: bytes | None = None,
        url: str | None = None,
    ) -> None:
        self.env = env
        self.machine = machine if machine is not None else Machine.this(env)
        self.deployment = deployment
        self.url = url

    @functools.cached_property
    def read(self) -> Settings | SettingsError:
        """The settings, or why there are none."""
        try:
            return Settings.from_env(self.env)
        except SettingsError as fault:
            return fault

    @property
    def settings(self) -> Settings:
        """The settings.

        Raises:
            SettingsError: They cannot be read; whoever examines says so once, and skips what needs them.
        """
        if isinstance(self.read, SettingsError):
            raise self.read
        return self.read

    @property
    def home(self) -> Path:
        """Where the service keeps what must last."""
        return Path(self.env.get("VSTACK_HOME", "").strip() or "~/.vstack").expanduser()

    @property
    def exposed(self) -> bool:
        """Whether others than this machine can reach the service."""
        host = self.settings.host
        try:
            return not ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host != "localhost"

    def given(self, name: str) -> str:
        """A variable's value; empty where it is not set."""
        return self.env.get(name, "").strip()


class Check(msgspec.Struct, frozen=True):
    """One thing that is looked at.

    Attributes:
        name: ``group.thing``.
        look: What looks. It may raise SettingsError, for settings that cannot be read.
        network: Whether it asks another machine.
        on_request: Whether it is made only where it, or its group, is named.
    """

    name: str
    look: Callable[[Case], Finding]
    network: bool = False
    on_request: bool = False

    @property
    def group(self) -> str:
        """What it belongs to."""
        return self.name.partition(".")[0]


def size(number: float) -> str:
    """Bytes as people read them."""
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def readable(path: Path) -> bool:
    """Whether this user may read a file."""
    return os.access(path, os.R_OK)
