"""Everything that is wrong with a value, where the decoder stops at the first: a walk along the types of a Struct.

It runs only after a decode has failed, so it may take its time; what it reports stays small, however large the value.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

# A body within the limits can hold 200,000 faults; all are counted, and nobody reads more than these.
MAX_FAULTS = 1_000
# What the caller sent comes back in part only: the answer to a bad body is small, however large the body was.
MAX_ECHO_CHARS = 40
MAX_PART_CHARS = 100
MAX_POINTER_CHARS = 300

Path: TypeAlias = "tuple[Path, str | int] | None"
"""Where a value stands, innermost name first: a pointer is written only for the faults that are kept."""

_DATE_TIME = "a date and time as RFC 3339 writes it, such as 2026-03-01T09:00:00Z"
_RANGE = "must be a number within the range of a double"


class Faults:
    """Collects faults: counts all of them, and keeps what an answer can carry.

    Attributes:
        count: How many there are.
        kept: The first thousand, each a JSON pointer (RFC 6901) and a message.
    """

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[dict[str, str]] = []

    def add(self, path: Path, message: str) -> None:
        """Count a fault, and keep it while there is room."""
        self.count += 1
        if self.count <= MAX_FAULTS:
            self.kept.append({"pointer": pointer(path), "message": message})

    def extend(self, other: Faults) -> None:
        """Count the faults of another collection, and keep those for which there is room."""
        self.kept += other.kept[: max(0, MAX_FAULTS - self.count)]
        self.count += other.count


def pointer(path: Path) -> str:
    """The JSON pointer of a path. Names that are too long for an answer are cut, and end in ``...``."""
    parts = []
    while path is not None:
        path, part = path
        parts.append("/" + shorten(str(part), MAX_PART_CHARS).replace("~", "~0").replace("/", "~1"))
    return shorten("".join(reversed(parts)), MAX_POINTER_CHARS)


def shorten(text: str, most: int) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= most else text[: most - 3] + "..."


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "null"


def look(info: inspect.Type, value: Any, path: Path, faults: Faults) -> None:
    """Add every way in which a value does not fit a type.

    Args:
        info: Of ``msgspec.inspect``. Types that no trace uses are not looked into.
        value: As ``json.loads`` gives it; a number out of range is infinite.
        path: Where the value stands.
        faults: Where they are added.
    """
    while isinstance(info, inspect.Metadata):
        info = info.type
    if type(info) in _LOOKS:
        _LOOKS[type(info)](info, value, path, faults)


def _any(info: inspect.Type, value: Any, path: Path, faults: Faults) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _any(info, item, (path, name), faults)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _any(info, item, (path, index), faults)
    elif isinstance(value, float) and math.isinf(value):
        faults.add(path, _RANGE)


def _none(info: inspect.NoneType, value: Any, path: Path, faults: Faults) -> None:
    if value is not None:
        faults.add(path, f"must be null, not {kind_of(value)}")


def _bool(info: inspect.BoolType, value: Any, path: Path, faults: Faults) -> None:
    if not isinstance(value, bool):
        faults.add(path, f"must be true or false, not {kind_of(value)}")


def _int(info: inspect.IntType, value: Any, path: Path, faults: Faults) -> None:
    if not _is_number(value):
        faults.add(path, f"must be a whole number, not {kind_of(value)}")
    elif isinstance(value, float):
        faults.add(path, f"must be a whole number without point or exponent, not {value}")
    else:
        _bounds(info, value, path, faults)


def _float(info: inspect.FloatType, value: Any, path: Path, faults: Faults) -> None:
    if not _is_number(value):
        faults.add(path, f"must be a number, not {kind_of(value)}")
        return
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        faults.add(path, _RANGE)
    else:
        _bounds(info, number, path, faults)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bounds(info: inspect.IntType | inspect.FloatType, value: float, path: Path, faults: Faults) -> None:
    for bound, within, words in (
        (info.ge, operator.ge, "at least"),
        (info.gt, operator.gt, "more than"),
        (info.le, operator.le, "at most"),
        (info.lt, operator.lt, "less than"),
    ):
        if bound is not None and not within(value, bound):
            faults.add(path, f"must be {words} {bound}, not {shorten(str(value), MAX_ECHO_CHARS)}")


def _text(info: inspect.StrType, value: Any, path: Path, faults: Faults) -> None:
    if not isinstance(value, str):
        faults.add(path, f"must be a string, not {kind_of(value)}")
        return
    _length(info, value, "characters", path, faults)
    if info.pattern is not None and re.search(info.pattern, value) is None:
        faults.add(path, f"must match {info.pattern}")


def _length(info: Any, value: Any, unit: str, path: Path, faults: Faults) -> None:
    least, most = info.min_length, info.max_length
    if least is not None and len(value) < least:
        faults.add(path, f"must have at least {least} {unit if least > 1 else unit[:-1]}, not {len(value)}")
    if most is not None and len(value) > most:
        faults.add(path, f"must have at most {most} {unit if most > 1 else unit[:-1]}, not {len(value)}")


def _time(info: inspect.DateTimeType, value: Any, path: Path, faults: Faults) -> None:
    if not isinstance(value, str):
        faults.add(path, f"must be {_DATE_TIME}, not {kind_of(value)}")
        return
    try:
        moment = msgspec.convert(value, dt.datetime)
    except msgspec.ValidationError:
        faults.add(path, f"must be {_DATE_TIME}, not {shorten(value, MAX_ECHO_CHARS)!r}")
        return
    if info.tz is not None and info.tz != (moment.tzinfo is not None):
        faults.add(path, f"must be a date and time {'with' if info.tz else 'without'} an offset from UTC")


def _literal(info: inspect.LiteralType, value: Any, path: Path, faults: Faults) -> None:
    _choice(info.values, value, path, faults)


def _enum(info: inspect.EnumType, value: Any, path: Path, faults: Faults) -> None:
    _choice([member.value for member in info.cls], value, path, faults)


def _choice(choices: Sequence[Any], value: Any, path: Path, faults: Faults) -> None:
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        actual = repr(shorten(value, MAX_ECHO_CHARS)) if isinstance(value, str) else kind_of(value)
        faults.add(path, f"must be one of {', '.join(map(repr, choices))}, not {actual}")


def _list(info: Any, value: Any, path: Path, faults: Faults) -> None:
    if not isinstance(value, list):
        faults.add(path, f"must be a list, not {kind_of(value)}")
        return
    _length(info, value, "items", path, faults)
    for index, item in enumerate(value):
        look(info.item_type, item, (path, index), faults)


def _tuple(info: inspect.TupleType, value: Any, path: Path, faults: Faults) -> None:
    wanted = len(info.item_types)
    if not isinstance(value, list) or len(value) != wanted:
        actual = f"{len(value)}" if isinstance(value, list) else kind_of(value)
        faults.add(path, f"must be a list of {wanted} items, not {actual}")
        return
    for index, item in enumerate(value):
        look(info.item_types[index], item, (path, index), faults)


def _dict(info: inspect.DictType, value: Any, path: Path, faults: Faults) -> None:
    if not isinstance(value, dict):
        faults.add(path, f"must be an object, not {kind_of(value)}")
        return
    _length(info, value, "members", path, faults)
    for name, item in value.items():
        look(info.key_type, name, (path, name), faults)
        look(info.value_type, item, (path, name), faults)


def _struct(info: inspect.StructType, value: Any, path: Path, faults: Faults) -> None:
    if not isinstance(value, dict):
        faults.add(path, f"must be an object, not {kind_of(value)}")
        return
    for field in info.fields:
        name = field.encode_name
        if name in value:
            look(field.type, value[name], (path, name), faults)
        elif field.required:
            faults.add((path, name), "is missing")
    if info.forbid_unknown_fields:
        known = {field.encode_name for field in info.fields}
        for name in value:
            if name not in known:
                faults.add((path, name), "is not a field here")


def _union(info: inspect.UnionType, value: Any, path: Path, faults: Faults) -> None:
    # JSON tells the members of a union apart by what they are, so that hardly ever more than one can mean this value.
    members = [member for member in info.types if kind_of(value) in _kinds(member)]
    if not members:
        wanted = dict.fromkeys(kind for member in info.types for kind in _kinds(member))
        faults.add(path, f"must be {' or '.join(wanted)}, not {kind_of(value)}")
        return
    tried = []
    for member in members:
        found = Faults()
        look(member, value, path, found)
        if not found.count:
            return
        tried.append(found)
    faults.extend(tried[0])


def _kinds(info: inspect.Type) -> tuple[str, ...]:
    while isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, inspect.LiteralType):
        return tuple(dict.fromkeys(map(kind_of, info.values)))
    if isinstance(info, inspect.EnumType):
        return tuple(dict.fromkeys(kind_of(member.value) for member in info.cls))
    # A type that is not looked into may be written as anything.
    return _KINDS.get(type(info), ("a string", "a number", "a list", "an object"))


_KINDS: dict[type[inspect.Type], tuple[str, ...]] = {
    inspect.NoneType: ("null",),
    inspect.BoolType: ("a boolean",),
    inspect.IntType: ("a number",),
    inspect.FloatType: ("a number",),
    inspect.StrType: ("a string",),
    inspect.DateTimeType: ("a string",),
    inspect.ListType: ("a list",),
    inspect.VarTupleType: ("a list",),
    inspect.TupleType: ("a list",),
    inspect.SetType: ("a list",),
    inspect.FrozenSetType: ("a list",),
    inspect.DictType: ("an object",),
    inspect.StructType: ("an object",),
}

_LOOKS: dict[type[inspect.Type], Callable[[Any, Any, Path, Faults], None]] = {
    inspect.AnyType: _any,
    inspect.NoneType: _none,
    inspect.BoolType: _bool,
    inspect.IntType: _int,
    inspect.FloatType: _float,
    inspect.StrType: _text,
    inspect.DateTimeType: _time,
    inspect.LiteralType: _literal,
    inspect.EnumType: _enum,
    inspect.ListType: _list,
    inspect.VarTupleType: _list,
    inspect.SetType: _list,
    inspect.FrozenSetType: _list,
    inspect.TupleType: _tuple,
    inspect.DictType: _dict,
    inspect.StructType: _struct,
    inspect.UnionType: _union,
}
