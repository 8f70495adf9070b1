"""Parts of somebody's own, looked at before they are built in: one that does not fit would only be missed in use."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from vstack_proto.catalogue import AnyPattern
from vstack_proto.patterns.common import Pattern
from vstack_runtime.backends import CacheBackend, FlightStore, LocalCache, LocalRateLimiter, Provider, RateLimiter
from vstack_runtime.stores import BaselineStore, LearningStore, TelemetrySink
from vstack_runtime.taping import TapeRecorder

_WANTED: dict[str, tuple[type, ...]] = {
    "limiter": (RateLimiter, LocalRateLimiter),
    "cache": (CacheBackend, LocalCache),
    "flights": (FlightStore,),
    "provider": (Provider,),
    "learnings": (LearningStore,),
    "telemetry": (TelemetrySink,),
    "baselines": (BaselineStore,),
}


# What the return type of a plain function says that gives something to await, or does not say what it gives.
_AWAITABLE = re.compile(r"Awaitable|Coroutine|Future|Task|Any|object")


def check_parts(**parts: object) -> None:
    """Refuse a part that is not as its protocol has it.

    Args:
        parts: By their names in ``Engine``; None for those that are not given.

    Raises:
        TypeError: It names the part, the protocol and what is missing or otherwise.
    """
    tapes = parts.pop("tapes", None)
    if tapes is not None and not isinstance(tapes, TapeRecorder):
        raise TypeError(f"tapes is a {type(tapes).__name__}: it must be a vstack_runtime.TapeRecorder")
    for name, part in parts.items():
        if part is None:
            continue
        protocols = _WANTED[name]
        where = f"{protocols[0].__module__}.{protocols[0].__name__}"
        if isinstance(part, type):
            raise TypeError(f"{name} is the class {part.__name__}: it must be an object, a {where}")
        lacking = [_lacking(part, protocol) for protocol in protocols]
        if all(lacking):
            told = f"{name} is a {type(part).__name__} without {', '.join(lacking[0])}"
            raise TypeError(f"{told}: it must be a {where}")
        whole = (protocol for protocol, missing in zip(protocols, lacking, strict=True) if not missing)
        odd = [_odd(part, protocol) for protocol in whole]
        if all(odd):
            raise TypeError(f"{name} is a {type(part).__name__}, {min(odd, key=len)[0]}: it must be a {where}")


def check_patterns(patterns: Iterable[object]) -> tuple[AnyPattern, ...]:
    """The patterns, if they are some.

    Raises:
        TypeError: One is something else, such as a pattern's name.
    """
    found: tuple[Any, ...] = tuple(patterns)
    for one in found:
        if not isinstance(one, Pattern):
            raise TypeError(f"patterns has a {type(one).__name__}: each must be a {Pattern.__module__}.Pattern")
    return found


def _members(protocol: type) -> dict[str, Any]:
    return {
        name: member
        for one in reversed(protocol.__mro__)
        for name, member in {**vars(one), **inspect.get_annotations(one)}.items()
        if not name.startswith("_")
    }


def _lacking(part: object, protocol: type) -> list[str]:
    """The members of a protocol that a part does not have."""
    return [member for member in _members(protocol) if not hasattr(part, member)]


def _odd(part: object, protocol: type) -> list[str]:
    """What is wrong with the methods of a part that has them all."""
    methods = {name: method for name, method in _members(protocol).items() if inspect.isfunction(method)}
    told = ((name, _misfit(getattr(part, name), method)) for name, method in methods.items())
    return [f"whose {name} {fault}" for name, fault in told if fault]


def _misfit(given: Any, wanted: Callable[..., Any]) -> str:
    """How a method differs from its protocol's; empty where it does not, or where that cannot be told."""
    if not callable(given):
        return "cannot be called"
    waits = inspect.iscoroutinefunction(wanted)
    if waits and _is_plain(given):
        return "must be an async def"
    if not waits and inspect.iscoroutinefunction(given):
        return "must be a plain def, which nobody awaits"
    taken = list(inspect.signature(wanted).parameters)[1:]
    try:
        signature = inspect.signature(given)
    except (TypeError, ValueError):
        return ""  # not every callable tells
    try:
        signature.bind(*taken)
    except TypeError:
        return f"must take ({', '.join(taken)}), and takes {signature}"
    return ""


def _is_plain(given: Any) -> bool:
    """Whether something gives nothing that could be awaited, as far as can be told.

    What wraps another callable, or was put in the place of a method, may well do so.
    """
    function = given.__func__ if inspect.ismethod(given) else None
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__"):
        return False
    # The mark is asyncio's own, for functions that only it takes for one of its coroutine functions.
    if inspect.iscoroutinefunction(function) or hasattr(function, "_is_coroutine"):
        return False
    return _AWAITABLE.search(str(inspect.get_annotations(function).get("return", ""))) is None
