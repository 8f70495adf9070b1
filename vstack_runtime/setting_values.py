"""How the value of a setting is read: each function takes a text, and raises ValueError with what is allowed."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from typing import Any, Protocol

_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_SIZE = re.compile(r"([0-9]{1,15}) *([kmg]ib)?", re.IGNORECASE)
_UNITS = {"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@]+")


class Reader(Protocol):
    """What reads variables, and tells what is odd about them."""

    warnings: list[str]

    def get(self, name: str) -> str | None:
        """The variable, if it is set."""
        ...

    def parsed(self, name: str, parse: Callable[[str], Any], default: Any, *, shown: bool = True) -> Any:
        """The variable as ``parse`` reads it; ``shown``: whether a refusal may quote it."""
        ...

    def choice(self, name: str, *choices: str) -> str:
        """One of some words; the first where none is set."""
        ...


def flag(text: str) -> bool:
    """Whether something is on."""
    word = text.lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError("1, true, yes, on, 0, false, no, off")


def host(text: str) -> str:
    """An address to listen at."""
    if any(character.isspace() or character in "/,@" for character in text):
        raise ValueError("the name or address of an interface, such as 127.0.0.1 or ::")
    return text


def port(text: str) -> int:
    """A port; 0 takes a free one."""
    if _NUMBER.fullmatch(text) is None or "." in text or int(text) > 65_535:
        raise ValueError("a whole number from 0 to 65535")
    return int(text)


def count(text: str) -> int:
    """A whole number, at least 1."""
    if _NUMBER.fullmatch(text) is None or "." in text or int(text) < 1:
        raise ValueError("a whole number from 1 to 999999999")
    return int(text)


def size(text: str) -> int:
    """Bytes, with or without a unit."""
    match = _SIZE.fullmatch(text)
    size = int(match[1]) * _UNITS[(match[2] or "").lower()] if match else 0
    if size < 1:
        raise ValueError("a whole number of bytes, at least 1, or of KiB, MiB or GiB, such as 5242880 or 5MiB")
    return size


def seconds(text: str) -> float:
    """Seconds, at least a tenth."""
    if _NUMBER.fullmatch(text) is None or float(text) < 0.1:
        raise ValueError("a number of seconds, at least 0.1")
    return float(text)


def delay(text: str) -> float:
    """Seconds, or none at all."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("a number of seconds, at least 0")
    return float(text)


def ttl(text: str) -> float | None:
    """Seconds, or ``none``."""
    if text.lower() == "none":
        return None
    try:
        return seconds(text)
    except ValueError as fault:
        raise ValueError(f"{fault}, or none") from None


def origins(text: str) -> frozenset[str]:
    """Origins of web pages."""
    origins = frozenset(item.strip() for item in text.split(",") if item.strip())
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError(
            "origins as browsers send them, without a path, separated by commas, such as https://a.example; or *"
        )
    return origins


def share(text: str) -> float:
    """A share of all there is."""
    if _NUMBER.fullmatch(text) is None or float(text) > 1.0:
        raise ValueError("a number from 0 to 1, such as 0.1")
    return float(text)


def base_url(text: str) -> str:
    """The URL of another service, to which paths are appended."""
    found = _split(text)
    if found is None or found.query or found.fragment:
        raise ValueError("a URL of HTTP, such as http://collector.example:4318")
    return text


def dsn(text: str) -> str:
    """A DSN of Sentry: a URL with a key in front of the host, and a project's number at its end."""
    found = _split(text)
    if found is None or not found.username or not found.path.rpartition("/")[2].isdecimal():
        raise ValueError("it is no DSN, such as https://key@sentry.example/1")
    return text


def _split(text: str) -> urllib.parse.SplitResult | None:
    try:
        found = urllib.parse.urlsplit(text)
        named = bool(found.hostname) and (found.port is None or found.port > 0)
    except ValueError:
        return None
    return found if named and found.scheme in ("http", "https") and text.isascii() and " " not in text else None
