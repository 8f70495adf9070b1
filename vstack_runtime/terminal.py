"""Texts of anybody's on a terminal: traces, models and callers write them, and some of them tell it what to do."""

from __future__ import annotations

import re

# What moves the cursor, colours, or turns the direction; U+2028 and U+2029 end a line for those who know them.
_CONTROLS = r"\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_WITHIN_LINES = re.compile(f"[{_CONTROLS}]+")
_CONTROL = re.compile(f"[\n{_CONTROLS}]+")


def plain(text: str) -> str:
    """A text in one line, with a space where something would act on the terminal."""
    return _CONTROL.sub(" ", text)


def plain_lines(text: str) -> str:
    """The same, but its lines stay lines."""
    return _WITHIN_LINES.sub(" ", text)


def escaped(text: str) -> str:
    """A text in one line, with what would act on the terminal as Python writes it, such as ``\\x1b``."""
    return _CONTROL.sub(_written, text)


def escaped_lines(text: str) -> str:
    """The same, but its lines stay lines."""
    return _WITHIN_LINES.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
