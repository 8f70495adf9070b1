"""Draws docs/architecture.svg out of the imports of the code: ``python docs/drawing.py > docs/architecture.svg``.

A band is a package, a box a group of its modules with the libraries that these import, an arrow the imports from one
package into another. A test compares the drawing with the code.
"""

from __future__ import annotations

import ast
import functools
import html
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("vstack_mcp", "vstack_runtime", "vstack_proto")

# The words of the page for modules that belong together; a subpackage is a group of its own, the others are "the rest".
GROUPS: dict[str, dict[str, str]] = {
    "vstack_mcp": {
        "commands": "cli cli_commands",
        "transports": "transport_http transport_stdio",
        "the session": "session methods offer opening messages",
    },
    "vstack_runtime": {
        "commands": "cli cli_parts replay_cli",
        "serving": "serving workers listening early",
        "embedding": "embedding library pytest_plugin",
        "drivers": "asyncio_server trio_server asgi asgi_call asgi_outbox asgi_scope hypercorn_server "
        "hypercorn_connection driving",
        "performer": "performer background flying keeping eager",
        "engine": "engine chosen_stores stopping",
        "stores": "stores backends",
    },
    "vstack_proto": {
        "connection, wire": "connection wire framing",
        "exchange, RULES": "exchange stage",
        "steps": "intake intake_steps analysis_steps answer_steps learning_steps",
        "state, events, commands": "state events commands",
        "service, routes": "service routes contributed",
        "keys, quota, cache": "auth quota address caching flights resilience",
        "answers": "replies answers negotiation outcomes errors faults",
        "openapi, docs": "openapi openapi_errors openapi_examples openapi_learnings openapi_schemas docs_page "
        "docs_schema docs_style catalogue",
    },
}
REST = "the rest"
WIDTH, BOX, GAP, ROW, SIDE, SPACE = 1000, 300, 12, 60, 16, 46

STYLE = """
text{font:13px system-ui,sans-serif;fill:#1b1f24}.band{fill:#f1f3f6;stroke:#c9ced6}.box{fill:#fff;stroke:#4b535c}
.name{font-weight:600;font-size:15px}.few{font-size:11px;fill:#4b535c}path{fill:none;stroke:#0b4fc4;stroke-opacity:.65}
@media (prefers-color-scheme:dark){text{fill:#e7e9ec}.band{fill:#20252c;stroke:#3d454f}.box{fill:#14171b;stroke:#b3bac2}
.few{fill:#b3bac2}path{stroke:#90b8ff}}"""

Box = tuple[str, str]


def box_of(module: str) -> Box | None:
    """The package and the group of a module; None where it is not ours."""
    package, _, rest = module.partition(".")
    if package not in PACKAGES or not rest:
        return None
    name = rest.partition(".")[0]
    if (ROOT / package / name).is_dir():
        return package, name
    found = [group for group, names in GROUPS[package].items() if name in names.split()]
    return package, found[0] if found else REST


class Graph(NamedTuple):
    """What the code says of itself: the boxes with their libraries, and which package imports which."""

    libraries: dict[Box, set[str]]
    between: set[tuple[str, str]]


@functools.cache
def graph() -> Graph:
    """Read all sources."""
    found = Graph({}, set())
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            here = box_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
            if here is None or (path.parent == ROOT / package and path.name == "__init__.py"):
                continue
            libraries = found.libraries.setdefault(here, set())
            for module in imported(ast.parse(path.read_bytes())):
                name = module.partition(".")[0]
                if name in PACKAGES:
                    found.between.add((package, name))
                elif name not in sys.stdlib_module_names and name != "compression":
                    libraries.add("zstd" if name == "backports" else name)
    return found


def imported(tree: ast.AST) -> Iterable[str]:
    """The modules that are imported, those of ``from package import module`` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module in PACKAGES
            yield from (f"{node.module}.{alias.name}" for alias in node.names) if whole else (node.module,)


def rows_of(package: str) -> list[list[Box]]:
    """The boxes of a package, some in a row: named groups, subpackages, the rest."""
    boxes = [box for box in graph().libraries if box[0] == package]
    named = list(GROUPS[package])
    boxes.sort(key=lambda box: (box[1] == REST, named.index(box[1]) if box[1] in named else len(named), box[1]))
    return [boxes[start : start + 3] for start in range(0, len(boxes), 3)]


def arrows(package: str, bottom: int) -> Iterable[str]:
    """From the bottom of a band to the packages that it imports."""
    below = PACKAGES[PACKAGES.index(package) + 1 :]
    for number, other in enumerate(below):
        x = WIDTH // 2 if len(below) == 1 else 300 + 400 * number
        if (package, other) in graph().between:
            yield f'<path marker-end="url(#tip)" d="M{x} {bottom} V{bottom + SPACE - 2}"/>'
            yield f'<text x="{x + 12}" y="{bottom + SPACE // 2 + 4}">imports {other}</text>'


def drawing() -> str:
    """The drawing, as SVG."""
    shapes: list[str] = []
    top = SIDE
    for package in PACKAGES:
        rows = rows_of(package)
        height = 38 + ROW * len(rows)
        shapes.append(f'<rect class="band" x="{SIDE}" y="{top}" width="{WIDTH - 2 * SIDE}" height="{height}" rx="8"/>')
        shapes.append(f'<text class="name" x="{SIDE + 14}" y="{top + 24}">{package}</text>')
        for number, row in enumerate(rows):
            left = (WIDTH - len(row) * (BOX + GAP) + GAP) // 2
            for column, box in enumerate(row):
                shapes += boxed(box, left + column * (BOX + GAP), top + 38 + number * ROW)
        shapes += arrows(package, top + height)
        top += height + SPACE
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top - SPACE + SIDE}" role="img" '
        'aria-labelledby="t"><title id="t">The parts of vstack, and which package imports which</title>'
        f'<style>{STYLE}</style><defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M1 1 7 4 1 7"/></marker></defs>'
    )
    return "\n".join([head, *shapes, "</svg>", ""])


def boxed(box: Box, x: int, y: int) -> Iterable[str]:
    """A box with its name and its libraries, those first that few others use."""
    everywhere = Counter(name for names in graph().libraries.values() for name in names)
    names = sorted(graph().libraries[box], key=lambda name: (everywhere[name], name))
    told = " · ".join([*names[:4], *(["…"] if len(names) > 4 else [])])
    yield f'<rect class="box" x="{x}" y="{y}" width="{BOX}" height="46" rx="5"/>'
    yield f'<text x="{x + BOX // 2}" y="{y + 19}" text-anchor="middle">{html.escape(box[1])}</text>'
    yield f'<text class="few" x="{x + BOX // 2}" y="{y + 37}" text-anchor="middle">{told}</text>'


if __name__ == "__main__":
    print(drawing(), end="")
