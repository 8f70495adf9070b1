"""The settings of what a service remembers: where, and for how long."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from vstack_runtime.setting_values import Reader, size
from vstack_runtime.store_settings import parse_home_store

DEFAULT_HOME = "~/.vstack"


class HomeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where learnings, telemetry and baselines are kept.

    Attributes:
        path: The home, absolute; empty for none: what a program makes without saying one keeps nothing on the disk.
        learnings, telemetry: ``home``, ``memory`` (gone with the process), ``off``, or the URL of a Redis.
        learnings_max_age_days, telemetry_max_age_days: What is older is forgotten; None for nothing.
        learnings_max_bytes, telemetry_max_bytes: Past it the oldest are forgotten; None for nothing.
    """

    path: str = ""
    learnings: str = "home"
    telemetry: str = "home"
    learnings_max_age_days: float | None = None
    learnings_max_bytes: int | None = 1 << 30
    telemetry_max_age_days: float | None = 90.0
    telemetry_max_bytes: int | None = 256 << 20


def read_home(read: Reader) -> HomeSettings:
    """The settings of the home.

    Args:
        read: The variables.

    Raises:
        SettingsError: A variable is malformed.
    """
    default = HomeSettings()
    path = read.parsed("VSTACK_HOME", home_path, None)
    if path is None:
        path = os.path.expanduser(DEFAULT_HOME)
        if path.startswith("~"):
            # A container may have no home directory; a folder called ~ would be a surprise.
            read.warnings.append("there is no home directory: VSTACK_HOME says where learnings and telemetry are kept")
            path = ""
    return HomeSettings(
        path=path,
        learnings=read.parsed("VSTACK_LEARNINGS", parse_home_store, default.learnings),
        telemetry=read.parsed("VSTACK_TELEMETRY", parse_home_store, default.telemetry),
        learnings_max_age_days=read.parsed("VSTACK_LEARNINGS_MAX_AGE_DAYS", _days, default.learnings_max_age_days),
        learnings_max_bytes=read.parsed("VSTACK_LEARNINGS_MAX_BYTES", _most, default.learnings_max_bytes),
        telemetry_max_age_days=read.parsed("VSTACK_TELEMETRY_MAX_AGE_DAYS", _days, default.telemetry_max_age_days),
        telemetry_max_bytes=read.parsed("VSTACK_TELEMETRY_MAX_BYTES", _most, default.telemetry_max_bytes),
    )


def home_path(text: str) -> str:
    """The path of a folder, which need not be there yet."""
    path = os.path.abspath(os.path.expanduser(text))
    if "\0" in text or (os.path.exists(path) and not os.path.isdir(path)):
        raise ValueError("the path of a folder, which is made where it is missing")
    return path


def nearest(path: Path) -> Path:
    """The path, or the closest folder above it that is there."""
    while not path.exists():
        path = path.parent
    return path


def refused(path: Path) -> str | None:
    """Why nothing can be kept in a folder, which need not be there yet; None where it can. A file is made and gone."""
    try:
        with tempfile.TemporaryFile(dir=nearest(path)):
            return None
    except OSError as fault:
        return fault.strerror or type(fault).__name__


def _days(text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0.0 < days <= 100_000:
        raise ValueError("a number of days above 0, such as 90, or none")
    return days


def _most(text: str) -> int | None:
    if text.lower() == "none":
        return None
    try:
        return size(text)
    except ValueError as fault:
        raise ValueError(f"{fault}, or none") from None
