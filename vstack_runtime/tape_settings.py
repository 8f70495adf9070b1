"""The settings of tapes: what is kept of which exchanges, and how much of it."""

from __future__ import annotations

import msgspec

from vstack_runtime.setting_checks import Rule, check_fields
from vstack_runtime.setting_values import Reader, size


class TapeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which exchanges are taped, and where.

    Attributes:
        folder: Where tapes go; None for none.
        sample: The share of exchanges that is kept, of those that end well; those that end with 5xx are all wanted.
        per_second: How many at most, a fifth of them only for 5xx; one that is asked for by header is not counted.
        max_bytes: Of one tape; a larger one is not written.
        folder_bytes: Of all tapes in the folder: past it the oldest go.
        redact: Header fields, and members of JSON bodies at any depth, that reach no tape.
        callers: Names of the keys whose ``X-Vstack-Tape`` header counts; ``*`` for everybody.
    """

    folder: str | None = None
    sample: float = 1.0
    per_second: float = 10.0
    max_bytes: int = 16 << 20
    folder_bytes: int = 1 << 30
    redact: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, _RULES)


def read_tapes(read: Reader) -> TapeSettings:
    """The settings of tapes.

    Args:
        read: The variables.

    Raises:
        SettingsError: A variable is malformed.
    """
    default = TapeSettings()
    return TapeSettings(
        folder=read.get("VSTACK_TAPE"),
        sample=read.parsed("VSTACK_TAPE_SAMPLE", _share, default.sample),
        per_second=read.parsed("VSTACK_TAPE_PER_SECOND", _rate, default.per_second),
        max_bytes=read.parsed("VSTACK_TAPE_MAX_BYTES", size, default.max_bytes),
        folder_bytes=read.parsed("VSTACK_TAPE_FOLDER_BYTES", size, default.folder_bytes),
        redact=read.parsed("VSTACK_TAPE_REDACT", _names, default.redact),
        callers=read.parsed("VSTACK_TAPE_CALLERS", _names, default.callers),
    )


def _number(text: str | float, most: float, allowed: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise ValueError(allowed)
    return number


def _share(text: str | float) -> float:
    return _number(text, 1.0, "a share from 0 to 1, such as 0.01")


def _rate(text: str | float) -> float:
    return _number(text, 1e6, "a number of tapes a second, such as 100")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
    if not names or any(len(name.split()) != 1 for name in names):
        raise ValueError("names, separated by commas")
    return names


_RULES: dict[str, Rule] = {
    "sample": _share,
    "per_second": _rate,
    "max_bytes": size,
    "folder_bytes": size,
    "redact": lambda names: _names(",".join(names)) if names else (),
    "callers": lambda names: _names(",".join(names)) if names else (),
}
