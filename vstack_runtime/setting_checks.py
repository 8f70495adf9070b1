"""What a setting that cannot be comes to, and the check of settings that a program has made without variables."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

from vstack_runtime.redaction import without_secrets

MAX_SHOWN_CHARS = 100

# Of a URL all between its scheme and its host; of what is no URL all before an '@'.
_PASSWORD = re.compile(r"(?:(?<=://)|^(?!\w[\w+.-]*://))\S*@")

Rule = Callable[[Any], Any]


class SettingsError(ValueError):
    """A setting that stops the start.

    Args:
        name: The variable, or the field that a program has set, such as ``Settings.port``.
        value: Its value, or None where it holds keys and is not shown. What looks like a key that was put there by
            mistake is not shown either.
        allowed: What it may be, or what is wrong where the value is not shown.
    """

    def __init__(self, name: str, value: str | None, allowed: str) -> None:
        self.name = name
        self.value = None if value is None else without_secrets(_PASSWORD.sub("***@", value))[:MAX_SHOWN_CHARS]
        self.allowed = allowed
        super().__init__(
            f"{name} is refused: {allowed}" if value is None else f"{name} is {self.value!r}; allowed: {allowed}"
        )


def check_fields(
    owner: msgspec.Struct, rules: Mapping[str, Rule], *, ruled: Collection[str] = (), secret: Collection[str] = ()
) -> None:
    """Refuse fields of a type or value that they may not have; the others are kept in the form that their rule gives.

    Defaults are taken as they are: what is made at every start must not cost much.

    Args:
        owner: Its annotations say which types are allowed; a list will do for a tuple, an int for a float.
        rules: By field, what raises ValueError with what is allowed; None is asked of no rule.
        ruled: Fields whose rule looks at the type too.
        secret: Fields whose value is not shown.

    Raises:
        SettingsError: It names the field.
    """
    for name, kind, default in _fields(type(owner)):
        given = getattr(owner, name)
        if given is default:
            continue
        place = f"{type(owner).__name__}.{name}"
        value = given if name in ruled else _of_type(place, given, kind, type(owner).__annotations__[name])
        rule = rules.get(name)
        if rule is not None and value is not None:
            try:
                value = rule(value)
            except ValueError as fault:
                raise SettingsError(place, None if name in secret else str(given), str(fault)) from None
        if value is not given:
            msgspec.structs.force_setattr(owner, name, value)


@functools.cache
def _fields(owner: type[msgspec.Struct]) -> tuple[tuple[str, Any, Any], ...]:
    """Name, type and default of each field."""
    return tuple((field.name, field.type, field.default) for field in msgspec.structs.fields(owner))


def _of_type(place: str, value: Any, kind: Any, written: str) -> Any:
    """The value, if it has the type that was written; else a refusal."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        # What msgspec would make of a mapping, no rule of that Struct has seen.
        if isinstance(value, kind):
            return value
        raise SettingsError(place, None, f"it must be {kind.__name__}, not {type(value).__name__}")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        if get_origin(kind) is Literal:
            raise SettingsError(place, str(value), ", ".join(get_args(kind))) from None
        told = str(fault)
        raise SettingsError(place, None, f"it must be {written} ({told[0].lower()}{told[1:]})") from None
