"""Tapes and what is installed: the service that a tape needs, made of the code that is here."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping
from typing import Any

import msgspec

from vstack_proto.catalogue import AnyPattern
from vstack_proto.replay import Header, Tape, TapeError, service_of
from vstack_proto.service import Service
from vstack_runtime.installed import PATTERNS, installed_routes, load_pattern


def service_for(tape: Tape, changes: Mapping[str, Any] | None = None) -> Service:
    """The service of a tape; equal headers share one.

    Args:
        tape: The tape.
        changes: Fields of ``Policy`` to try in the place of the tape's.

    Raises:
        TapeError: A pattern is not installed, or the policy cannot be used.
    """
    header = msgspec.structs.replace(tape.header, recorded=0.0, build="", settings="", start=None)
    return _service(msgspec.json.encode(header), msgspec.json.encode(changes))


@functools.lru_cache(maxsize=64)
def _service(header: bytes, changes: bytes) -> Service:
    told = msgspec.json.decode(header, type=Header)
    contributed = installed_routes()
    patterns = {name: pattern_named(name) for name in told.patterns}
    return service_of(told, patterns, contributed=contributed, changes=msgspec.json.decode(changes))


def pattern_named(name: str) -> AnyPattern:
    """An installed pattern.

    Raises:
        TapeError: None has this name.
        PackageError: It cannot be used.
    """
    for point in importlib.metadata.entry_points(group=PATTERNS, name=name):
        return load_pattern(point)
    raise TapeError(f"it needs the pattern {name!r}, which is not installed")
