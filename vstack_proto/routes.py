"""The route table: which path, which method, whether a key is needed, and what is done there."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Literal

import msgspec

from vstack_proto.contributed import Contribution
from vstack_proto.errors import RemoteProtocolError

Endpoint = Literal[
    "livez",
    "readyz",
    "metrics",
    "openapi",
    "docs",
    "patterns",
    "pattern",
    "playbooks",
    "citations",
    "composition",
    "analyze",
    "contributed",
    "learnings",
    "record_learning",
    "report_outcome",
    "outcomes",
    "analytics",
]


class Route(msgspec.Struct, frozen=True):
    """One row of the table.

    Attributes:
        method: ``GET`` (``HEAD`` comes with it) or ``POST``.
        path: A template; ``{name}`` (or another word in braces) stands for one segment, the fourth.
        endpoint: What is done there.
        public: No key, no quota.
        summary: For the OpenAPI document.
        contribution: With the endpoint ``contributed``, which is a POST: what serves it.
    """

    method: Literal["GET", "POST"]
    path: str
    endpoint: Endpoint
    public: bool
    summary: str
    contribution: Contribution | None = None


ROUTES: tuple[Route, ...] = (
    Route("GET", "/livez", "livez", True, "Is the process alive?"),
    Route("GET", "/healthz", "livez", True, "Is the process alive?"),
    Route("GET", "/readyz", "readyz", True, "Does the service take traffic?"),
    Route("GET", "/metrics", "metrics", True, "Metrics for Prometheus"),
    Route("GET", "/openapi.json", "openapi", True, "This document"),
    Route("GET", "/docs", "docs", True, "This document, for people"),
    Route("GET", "/v1/patterns", "patterns", False, "List the patterns"),
    Route("GET", "/v1/patterns/{name}", "pattern", False, "Describe a pattern"),
    Route("GET", "/v1/patterns/{name}/playbooks", "playbooks", False, "The playbooks of a pattern"),
    Route("GET", "/v1/patterns/{name}/citations", "citations", False, "The sources of a pattern"),
    Route("GET", "/v1/patterns/{name}/composition", "composition", False, "The neighbours of a pattern"),
    Route("POST", "/v1/analyze/{name}", "analyze", False, "Diagnose a trace by one pattern"),
    Route("GET", "/v1/learnings", "learnings", False, "Recall learnings"),
    Route("POST", "/v1/learnings", "record_learning", False, "Record what was found and done"),
    Route("POST", "/v1/learnings/{id}/outcome", "report_outcome", False, "Say whether it helped"),
    Route("GET", "/v1/learnings/outcomes", "outcomes", False, "How often what helped"),
    Route("GET", "/v1/analytics", "analytics", False, "What analyses cost"),
)


# What stands for any blank of a template: no path can hold it.
_BLANK = "\x00"


class Match(msgspec.Struct, frozen=True, gc=False):
    """A route, and the segment that its template left open."""

    route: Route
    name: str


class RouteTable:
    """Finds the route of a request; of two with one method and path, the later is taken."""

    def __init__(self, routes: Iterable[Route] = ROUTES) -> None:
        self.routes = tuple(routes)
        self.contributions = {route.path: route.contribution for route in self.routes if route.contribution is not None}
        self._by_shape: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in self.routes:
            shape = tuple(_BLANK if part.startswith("{") else part for part in route.path.split("/"))
            self._by_shape.setdefault(shape, {})[route.method] = route
        # Paths come from callers, and each may be kilobytes long: a few hundred are the ones that are asked for.
        self.find = functools.lru_cache(maxsize=256)(self._find)

    def _find(self, method: str, path: str) -> Match:
        """The route of a request.

        Raises:
            RemoteProtocolError: 404 ``not_found``; 405 ``method_not_allowed``, with ``allow`` in its extra members.
        """
        for shape, name in _shapes(path):
            by_method = self._by_shape.get(shape)
            if by_method is None:
                continue
            route = by_method.get("GET" if method == "HEAD" else method)
            if route is None:
                allow = ", ".join(sorted({*by_method, *(("HEAD",) if "GET" in by_method else ())}))
                raise RemoteProtocolError(405, "method_not_allowed", f"{path} takes {allow}, not {method}", allow=allow)
            return Match(route, name)
        raise RemoteProtocolError(
            404, "not_found", f"there is nothing at {path[:200]}; see /openapi.json for what there is"
        )


def _shapes(path: str) -> Iterable[tuple[tuple[str, ...], str]]:
    """The templates that a path may fit, the literal one first, each with what fills its blank."""
    # A trailing slash means the same page: a redirect would cost a round trip and drop the body of a POST.
    segments = (path.rstrip("/") if len(path) > 1 else path).split("/")
    yield tuple(segments), ""
    if len(segments) > 3 and segments[3]:
        yield (*segments[:3], _BLANK, *segments[4:]), segments[3]
