"""The catalogue of patterns, and the documents that describe them."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.pattern_check import check_pattern
from vstack_proto.patterns.common import MODES, Pattern

AnyPattern = Pattern[Any, Any]


class Document(msgspec.Struct, frozen=True, gc=False):
    """A page that does not change while the process lives, with its strong ETag."""

    content_type: str
    body: bytes
    etag: str


def document(body: bytes, content_type: str = "application/json") -> Document:
    """A page and its ETag."""
    return Document(content_type, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


class Catalogue:
    """The patterns of a process, in the order of their numbers."""

    def __init__(self, patterns: Iterable[AnyPattern]) -> None:
        """
        Args:
            patterns: In any order.

        Raises:
            TypeError: One is no pattern.
            ValueError: One cannot work, or has the name or the number of another.
        """
        patterns = tuple(patterns)
        numbers: dict[int, str] = {}
        for pattern in patterns:
            _check(pattern, numbers)
            numbers[pattern.number] = pattern.name
        self.patterns: dict[str, AnyPattern] = {
            pattern.name: pattern for pattern in sorted(patterns, key=lambda pattern: pattern.number)
        }
        self._documents: dict[tuple[str, str], Document] = {}

    def __len__(self) -> int:
        return len(self.patterns)

    def get(self, name: str) -> AnyPattern:
        """The pattern of this name.

        Raises:
            RemoteProtocolError: 404 ``unknown_pattern``, with the nearest names.
        """
        pattern = self.patterns.get(name)
        if pattern is not None:
            return pattern
        near = difflib.get_close_matches(name[:100], self.patterns, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else "; GET /v1/patterns lists them"
        raise RemoteProtocolError(404, "unknown_pattern", f"no pattern is named {name[:100]!r}{hint}", nearest=near)

    def document(self, endpoint: str, name: str) -> Document:
        """The page of a catalogue endpoint, made on first use.

        Raises:
            RemoteProtocolError: 404 ``unknown_pattern``.
        """
        if (endpoint, name) not in self._documents:
            self._documents[endpoint, name] = self._make(endpoint, name)
        return self._documents[endpoint, name]

    def _make(self, endpoint: str, name: str) -> Document:
        if endpoint == "patterns":
            entries = [entry(pattern) for pattern in self.patterns.values()]
            return document(msgspec.json.encode({"count": len(entries), "patterns": entries}))
        pattern = self.get(name)
        if endpoint == "pattern":
            return document(msgspec.json.encode(entry(pattern)))
        if endpoint == "playbooks":
            return document(msgspec.json.encode(playbooks(pattern)))
        if endpoint == "composition":
            return document(msgspec.json.encode({"pattern": name, "composition": composition(pattern)}))
        return document(citations(pattern).encode(), "text/markdown; charset=utf-8")


def _check(pattern: AnyPattern, numbers: dict[int, str]) -> None:
    """Refuse a pattern that cannot work, or that has the name or the number of one that is there."""
    try:
        check_pattern(pattern)
    except ValueError as fault:
        raise ValueError(f"the pattern {pattern.name!r} cannot work: {fault}") from None
    if pattern.name in numbers.values():
        raise ValueError(f"two patterns are named {pattern.name!r}")
    if pattern.number in numbers:
        raise ValueError(f"{numbers[pattern.number]!r} and {pattern.name!r} have one number, {pattern.number}")


def entry(pattern: AnyPattern) -> dict[str, Any]:
    """What the list of patterns says of one."""
    base = f"/v1/patterns/{pattern.name}"
    return {
        "name": pattern.name,
        "friendly": pattern.friendly,
        "group": pattern.group,
        "tool": f"vstack_{pattern.name}",
        "summary": pattern.summary,
        "input_class": pattern.trace.__name__,
        "output_class": pattern.detection.__name__,
        "modes": MODES,
        "analyze_url": f"/v1/analyze/{pattern.name}",
        "resources": {
            "playbooks": f"{base}/playbooks",
            "composition": f"{base}/composition",
            "citations": f"{base}/citations",
        },
    }


def playbooks(pattern: AnyPattern) -> dict[str, Any]:
    """The playbooks of a pattern, each under its key."""
    listed = []
    for playbook in pattern.playbooks:
        fields = msgspec.to_builtins(playbook)
        key = [fields[name] for name in playbook.__struct_fields__[:2]]
        listed.append({"key": "::".join(key), "key_parts": key, "playbook": fields})
    return {"pattern": pattern.name, "playbooks": listed, "count": len(listed)}


def composition(pattern: AnyPattern) -> dict[str, Any]:
    """The neighbours of a pattern, by what a detection says."""
    told = pattern.composition
    maps = {f"downstream_by_{field}": by_label for field, by_label in told.downstream.items()}
    overlays = {"intervention_overlays": told.intervention_overlays} if told.intervention_overlays else {}
    return {"upstream": told.upstream, **maps, "framework_overlays": told.framework_overlays, **overlays}


def citations(pattern: AnyPattern) -> str:
    """The sources of a pattern as Markdown."""
    lines = [f"- {source.author} ({source.year}). *{source.title}*." for source in pattern.sources]
    return "\n".join([f"# {pattern.friendly}: sources", "", *lines, ""])
