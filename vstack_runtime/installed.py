"""What other packages add: patterns and routes, found by their entry points and looked at before they are built in."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import EntryPoint
from typing import Any

from vstack_proto.catalogue import AnyPattern
from vstack_proto.contributed import Contribute
from vstack_proto.pattern_check import check_pattern

PATTERNS, ROUTES = "vstack.patterns", "vstack.routes"


class PackageError(Exception):
    """An installed package offers something that cannot be used; the message names the package and what is wrong.

    Attributes:
        told: Whose entry point it is, and what is wrong with it.
        mend: What mends it.
    """

    def __init__(self, point: EntryPoint, wrong: str) -> None:
        """
        Args:
            point: What the package offers.
            wrong: What is wrong with it, as the rest of a sentence.
        """
        package = _package(point)
        if package == "vstack":
            self.mend = "pip install --force-reinstall vstack"
        elif package:
            self.mend = f"update {package}, or pip uninstall {package}"
        else:
            self.mend = "update the package, or uninstall it"
        self.told = f"{described(point)} {wrong}"
        super().__init__(f"{self.told}; {self.mend}")


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""


def described(point: EntryPoint) -> str:
    """An entry point and its package, in words."""
    package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "no known package"
    return f"the entry point {point.name} = {point.value} ({point.group}) of {package}"


def load(point: EntryPoint) -> Any:
    """What an entry point names.

    Raises:
        PackageError: It cannot be imported.
    """
    try:
        return point.load()
    except Exception as fault:
        raise PackageError(point, f"cannot be loaded: {type(fault).__name__}: {fault}") from fault


def load_pattern(point: EntryPoint) -> AnyPattern:
    """The pattern that an entry point names.

    Raises:
        PackageError: It cannot be loaded, is no pattern that can work, or has another name than the entry point.
    """
    pattern = load(point)
    try:
        check_pattern(pattern)
    except (TypeError, ValueError) as fault:
        raise PackageError(point, f"names no pattern that can work: {fault}") from None
    if pattern.name != point.name:
        raise PackageError(point, f"names a pattern called {pattern.name!r}: both must have one name")
    found: AnyPattern = pattern
    return found


def installed_patterns() -> tuple[AnyPattern, ...]:
    """Every pattern that an installed package offers under the entry-point group ``vstack.patterns``.

    Raises:
        PackageError: One cannot be loaded or cannot work, or has the name or number of another.
    """
    found: dict[str, AnyPattern] = {}
    names: dict[str, EntryPoint] = {}
    numbers: dict[int, EntryPoint] = {}
    for point in _ours_first(importlib.metadata.entry_points(group=PATTERNS)):
        if point.name in names:
            raise PackageError(point, f"has the name of {described(names[point.name])}")
        pattern = load_pattern(point)
        if pattern.number in numbers:
            raise PackageError(point, f"has the number {pattern.number}, as {described(numbers[pattern.number])}")
        names[point.name] = numbers[pattern.number] = point
        found[point.name] = pattern
    return tuple(found.values())


def _ours_first(points: Any) -> list[EntryPoint]:
    """Those of vstack first: what clashes with them is named as wrong, and a route takes the place of theirs."""
    return sorted(points, key=lambda point: _package(point) != "vstack")


def installed_routes() -> tuple[Contribute, ...]:
    """What makes the routes that installed packages add, under the entry-point group ``vstack.routes``.

    Those of vstack come first: of two routes at one path, the later is taken.

    Raises:
        PackageError: One cannot be loaded.
    """
    return tuple(load(point) for point in _ours_first(importlib.metadata.entry_points(group=ROUTES)))
