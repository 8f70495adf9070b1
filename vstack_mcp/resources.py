"""Resources: what the service knows of its patterns, under ``vstack://patterns/``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from vstack_proto.catalogue import AnyPattern, Catalogue

ROOT = "vstack://patterns/"
INDEX = ROOT + "index"
# Each page of a pattern: what it is called by the catalogue, and what it holds.
PAGES = {
    "citations": ("sources", "The literature that {name} stands on.", "text/markdown"),
    "playbooks": ("playbooks", "What to do about what {name} finds.", "application/json"),
    "composition": ("neighbours", "Which patterns to look through before and after {name}.", "application/json"),
}


class LocalResource(msgspec.Struct, frozen=True):
    """A resource of somebody's own: as ``resources/list`` shows it, and what reading it gives beside the uri."""

    listing: dict[str, Any]
    contents: dict[str, Any]


class LocalTemplate(msgspec.Struct, frozen=True):
    """A family of them: as ``resources/templates/list`` shows it, and what one holds; None where it is no member."""

    listing: dict[str, Any]
    read: Callable[[str], dict[str, Any] | None]


def index() -> dict[str, Any]:
    """The list of patterns as a resource."""
    return {
        "uri": INDEX,
        "name": "patterns",
        "title": "All patterns",
        "description": "What patterns there are, what each finds, and the tool that looks through it.",
        "mimeType": "application/json",
    }


def pages(pattern: AnyPattern) -> list[dict[str, Any]]:
    """The pages of a pattern as resources."""
    return [
        {
            "uri": f"{ROOT}{pattern.name}/{page}",
            "name": f"{pattern.name}_{page}",
            "title": f"{pattern.friendly}: {title}",
            "description": told.format(name=pattern.friendly),
            "mimeType": kind,
        }
        for page, (title, told, kind) in PAGES.items()
    ]


def templates() -> list[dict[str, Any]]:
    """The same for any pattern, its name left open."""
    return [
        {
            "uriTemplate": f"{ROOT}{{name}}/{page}",
            "name": f"pattern_{page}",
            "title": f"Of one pattern: {title}",
            "description": told.format(name="the pattern"),
            "mimeType": kind,
        }
        for page, (title, told, kind) in PAGES.items()
    ]


def read(catalogue: Catalogue, uri: str) -> dict[str, Any] | None:
    """What a resource holds besides its uri; None where there is none of this name."""
    if uri == INDEX:
        page = catalogue.document("patterns", "")
    else:
        name, _, endpoint = uri.removeprefix(ROOT).partition("/")
        if not uri.startswith(ROOT) or name not in catalogue.patterns or endpoint not in PAGES:
            return None
        page = catalogue.document(endpoint, name)
    kind = page.content_type.partition(";")[0]
    return {"mimeType": kind, "text": page.body.decode()}
