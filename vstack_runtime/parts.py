"""Parts of somebody's own, looked at before they are built in: one that does not fit would only be missed in use."""

from __future__ import annotations

from vstack_runtime.backends import CacheBackend, FlightStore, LocalCache, LocalRateLimiter, Provider, RateLimiter
from vstack_runtime.stores import BaselineStore, LearningStore, TelemetrySink

_WANTED: dict[str, tuple[type, ...]] = {
    "limiter": (RateLimiter, LocalRateLimiter),
    "cache": (CacheBackend, LocalCache),
    "flights": (FlightStore,),
    "provider": (Provider,),
    "learnings": (LearningStore,),
    "telemetry": (TelemetrySink,),
    "baselines": (BaselineStore,),
}


def check_parts(**parts: object) -> None:
    """Refuse a part that lacks what its protocol has.

    Args:
        parts: By their names in ``Engine``; None for those that are not given.

    Raises:
        TypeError: It names the part, the protocol and what is missing.
    """
    for name, part in parts.items():
        if part is None:
            continue
        lacking = [_lacking(part, protocol) for protocol in _WANTED[name]]
        if all(lacking):
            protocol = _WANTED[name][0]
            where = f"{protocol.__module__}.{protocol.__name__}"
            raise TypeError(f"{name} is a {type(part).__name__} without {', '.join(lacking[0])}: it must be a {where}")


def _lacking(part: object, protocol: type) -> list[str]:
    """The members of a protocol that a part does not have."""
    members = {**vars(protocol), **protocol.__annotations__}
    return [member for member in members if not member.startswith("_") and not hasattr(part, member)]
