"""Whether a pattern can work, looked at before it is offered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_origin

import msgspec

from vstack_proto.patterns.common import MODES, Answer, Detection, Pass, Pattern

# A name is a segment of a path, a part of a tool's name, and what labels of metrics and files are made of.
_is_name = re.compile(r"(?=.{1,50}\Z)[a-z][a-z0-9]*(?:_[a-z0-9]+)*").fullmatch

_TEXTS = ("friendly", "group", "summary", "framework")
_CALLED = ("from_trace", "read", "signals", "assess_offline", "conclude", "preconditions")


def check_pattern(pattern: Any) -> None:
    """Refuse a pattern that could not be offered, or whose analyses would all crash.

    Raises:
        TypeError: It is no ``Pattern``.
        ValueError: It says everything that is wrong with it.
    """
    if not isinstance(pattern, Pattern):
        raise TypeError(f"a {type(pattern).__name__} is no Pattern")
    wrong = [*_of_itself(pattern), *_of_passes(pattern.passes)]
    if wrong:
        raise ValueError("; ".join(wrong))


def _of_itself(pattern: Any) -> Iterator[str]:
    if not (isinstance(pattern.name, str) and _is_name(pattern.name)):
        yield f"name is {pattern.name!r}: it must be of small letters, digits and single _, 50 characters at most"
    if type(pattern.number) is not int or pattern.number < 1:
        yield f"number is {pattern.number!r}: it must be a whole number from 1"
    for field in _TEXTS:
        text = getattr(pattern, field)
        if not isinstance(text, str) or not text.strip():
            yield f"{field} must be a text that is not blank"
    for field in _CALLED:
        if not callable(getattr(pattern, field)):
            yield f"{field} must be a function"
    if not _is_a(pattern.detection, Detection):
        yield "detection must be a Detection"
    if not _is_a(pattern.trace, msgspec.Struct):
        yield "trace must be a msgspec.Struct"
    elif unknown := [name for name in pattern.non_blank if name not in pattern.trace.__struct_fields__]:
        yield f"non_blank names {', '.join(map(repr, unknown))}, which {pattern.trace.__name__} does not have"


def _of_passes(passes: Any) -> Iterator[str]:
    if not isinstance(passes, Mapping):
        yield "passes must map each mode to its passes"
        return
    if missing := [mode for mode in MODES if mode not in passes]:
        yield f"passes lacks {', '.join(missing)}: every mode has passes, of which there may be none"
    if unknown := [mode for mode in passes if mode not in MODES]:
        yield f"passes has {', '.join(map(repr, unknown))}: the modes are {', '.join(MODES)}"
    for mode, asked in passes.items():
        if not isinstance(asked, tuple) or not all(isinstance(one, Pass) for one in asked):
            yield f"passes[{mode!r}] must be a tuple of Pass"
            continue
        names = [one.name for one in asked]
        if len({*names}) < len(names):
            yield f"two passes of {mode!r} have one name: an answer is found by the name of its pass"
        for one in asked:
            if not _is_a(one.answer, Answer):
                yield f"the answer of the pass {one.name!r} of {mode!r} must be an Answer"


def _is_a(kind: Any, base: type) -> bool:
    plain = get_origin(kind) or kind  # a Struct may be generic: Objection[Way]
    return isinstance(plain, type) and issubclass(plain, base)
