"""How the value of a setting is read: each function takes a text, and raises ValueError with what is allowed."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_SIZE = re.compile(r"([0-9]{1,15}) *([kmg]ib)?", re.IGNORECASE)
_UNITS = {"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@]+")


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
