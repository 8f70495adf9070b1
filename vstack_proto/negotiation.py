"""Content negotiation (RFC 9110, section 12.5.1), as far as this service offers a choice."""

from __future__ import annotations

import functools

JSON = "application/json"
PROBLEM = "application/problem+json"
EVENTS = "text/event-stream"


@functools.lru_cache(maxsize=256)
def accepted(accept: str, offers: tuple[str, ...]) -> str | None:
    """The offer that an ``Accept`` field likes best; the first of equals; None where it likes none.

    A range's most specific match decides its quality, so ``text/*;q=0`` can rule out what ``*/*`` would allow.
    """
    if not accept.strip():
        return offers[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    best, best_quality = None, 0.0
    for offer in offers:
        quality = _quality(offer, ranges)
        if quality > best_quality:
            best, best_quality = offer, quality
    return best


def names(accept: str, media_type: str) -> bool:
    """Whether an ``Accept`` field names this very type, not just by a wildcard, and does not rule it out."""
    return any(name == media_type and quality > 0 for name, quality in map(_range, accept.split(",")))


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.lower().split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def _quality(offer: str, ranges: list[tuple[str, float]]) -> float:
    family = offer.split("/", maxsplit=1)[0] + "/*"
    for wanted in (offer, family, "*/*"):
        for name, quality in ranges:
            if name == wanted:
                return quality
    return 0.0
