"""How the value of a setting is read: each function takes a text, and raises ValueError with what is allowed."""

from __future__ import annotations

import math
import re
import urllib.parse
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from vstack_proto.address import Network

W = TypeVar("W", bound=str)

# What nine digits can say.
MAX_SECONDS = 1e9

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

    def choice(self, name: str, *choices: W) -> W:
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


def port(value: str | int) -> int:
    """A port; 0 takes a free one."""
    number = _number(value)
    if not (number.is_integer() and 0 <= number <= 65_535):
        raise ValueError("a whole number from 0 to 65535")
    return int(number)


def count(value: str | int) -> int:
    """A whole number, at least 1."""
    number = _number(value)
    if not (number.is_integer() and 1 <= number <= 999_999_999):
        raise ValueError("a whole number from 1 to 999999999")
    return int(number)


def size(value: str | int) -> int:
    """Bytes; a text may name a unit."""
    match = _SIZE.fullmatch(str(value))
    size = int(match[1]) * _UNITS[(match[2] or "").lower()] if match else 0
    if size < 1:
        raise ValueError("a whole number of bytes, at least 1, or of KiB, MiB or GiB, such as 5242880 or 5MiB")
    return size


def seconds(value: str | float) -> float:
    """Seconds, at least a tenth."""
    number = _number(value)
    if not 0.1 <= number <= MAX_SECONDS:
        raise ValueError("a number of seconds, at least 0.1")
    return number


def delay(value: str | float) -> float:
    """Seconds, or none at all."""
    number = _number(value)
    if not 0 <= number <= MAX_SECONDS:
        raise ValueError("a number of seconds, at least 0")
    return number


def _number(value: str | float) -> float:
    """A number, or the one that a text is; NaN, which is within no bounds, for a text that is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value) is None:
        return math.nan
    return float(value)


def ttl(text: str | float) -> float | None:
    """Seconds, or ``none``."""
    if isinstance(text, str) and text.lower() == "none":
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


def networks(value: object) -> tuple[Network, ...]:
    """Networks, as ``vstack_proto.address.parse_networks`` gives them."""
    items = tuple(value) if isinstance(value, tuple | list) else (value,)
    if not all(isinstance(item, Network) for item in items):
        raise ValueError("networks of the module ipaddress, in a tuple")
    return items


def share(value: str | float) -> float:
    """A share of all there is."""
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError("a number from 0 to 1, such as 0.1")
    return number


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
