"""The settings of what a service remembers: where, and for how long."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from vstack_runtime.setting_checks import Rule, check_fields
from vstack_runtime.setting_values import Reader, size
from vstack_runtime.store_settings import parse_home_store

DEFAULT_HOME = "~/.vstack"
_FOLDER = "the path of a folder, which is made where it is missing"


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

    def __post_init__(self) -> None:
        check_fields(self, _RULES)


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
    path = _absolute(text)
    if os.path.exists(path) and not os.path.isdir(path):
        raise ValueError(_FOLDER)
    return path


def _absolute(text: str) -> str:
    if "\0" in text:
        raise ValueError(_FOLDER)
    return os.path.abspath(os.path.expanduser(text))


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


def _days(value: str | float) -> float | None:
    if isinstance(value, str) and value.lower() == "none":
        return None
    try:
        days = float(value)
    except ValueError:
        days = 0.0
    if not 0.0 < days <= 100_000:
        raise ValueError("a number of days above 0, such as 90, or none")
    return days


def _most(value: str | int) -> int | None:
    if isinstance(value, str) and value.lower() == "none":
        return None
    try:
        return size(value)
    except ValueError as fault:
        raise ValueError(f"{fault}, or none") from None


# Whether a folder can be had there is asked of variables alone: a program may well make it later.
_RULES: dict[str, Rule] = {
    "path": lambda path: _absolute(path) if path else "",
    "learnings": parse_home_store,
    "telemetry": parse_home_store,
    "learnings_max_age_days": _days,
    "learnings_max_bytes": _most,
    "telemetry_max_age_days": _days,
    "telemetry_max_bytes": _most,
}
