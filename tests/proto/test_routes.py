"""Routes: which path and method lead where, and what is said where none does."""

from __future__ import annotations

import pytest

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.routes import ROUTES, Route, RouteTable

TABLE = RouteTable()


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "name"),
    [
        ("GET", "/livez", "livez", ""),
        ("HEAD", "/livez", "livez", ""),
        ("GET", "/healthz", "livez", ""),
        ("GET", "/livez/", "livez", ""),
        ("GET", "/livez//", "livez", ""),
        ("GET", "/v1/patterns", "patterns", ""),
        ("GET", "/v1/patterns/", "patterns", ""),
        ("GET", "/v1/patterns/aar", "pattern", "aar"),
        ("GET", "/v1/patterns/aar/", "pattern", "aar"),
        ("HEAD", "/v1/patterns/aar/playbooks", "playbooks", "aar"),
        ("GET", "/v1/patterns/aar/citations", "citations", "aar"),
        ("GET", "/v1/patterns/aar/composition/", "composition", "aar"),
        ("POST", "/v1/analyze/aar", "analyze", "aar"),
        ("POST", "/v1/analyze/%61ar", "analyze", "%61ar"),
        ("POST", "/v1/analyze/{name}", "analyze", "{name}"),
        ("GET", "/v1/learnings", "learnings", ""),
        ("POST", "/v1/learnings", "record_learning", ""),
        ("POST", "/v1/learnings/lrn_1/outcome", "report_outcome", "lrn_1"),
        ("GET", "/v1/learnings/outcomes", "outcomes", ""),
        ("POST", "/v1/learnings/outcomes/outcome", "report_outcome", "outcomes"),
        ("GET", "/v1/analytics", "analytics", ""),
    ],
)
def test_a_path_leads_to_its_endpoint(method: str, path: str, endpoint: str, name: str) -> None:
    match = TABLE.find(method, path)
    assert (match.route.endpoint, match.name) == (endpoint, name)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "*",
        "",
        "//",
        "/livez/x",
        "/LIVEZ",
        "/v1",
        "/v1/patterns/aar/more",
        "/v1/analyze",
        "/v1/analyze/",
        "/v1//aar",
    ],
)
def test_nowhere(path: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        TABLE.find("GET", path)
    assert (caught.value.status, caught.value.code) == (404, "not_found")
    assert "/openapi.json" in caught.value.message


def test_a_long_path_is_not_sent_back_whole() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        TABLE.find("GET", "/" + "x" * 8000)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/livez", "GET, HEAD"),
        ("get", "/livez", "GET, HEAD"),
        ("OPTIONS", "/v1/patterns/aar", "GET, HEAD"),
        ("GET", "/v1/analyze/aar", "POST"),
        ("HEAD", "/v1/analyze/aar", "POST"),
        ("DELETE", "/both", "GET, HEAD, POST"),
    ],
)
def test_a_wrong_method(method: str, path: str, allow: str) -> None:
    both = (Route("GET", "/both", "livez", True, "x"), Route("POST", "/both", "analyze", False, "x"))
    with pytest.raises(RemoteProtocolError) as caught:
        RouteTable((*ROUTES, *both)).find(method, path)
    assert (caught.value.status, caught.value.code, caught.value.extra) == (
        405,
        "method_not_allowed",
        {"allow": allow},
    )


def test_only_what_says_nothing_of_callers_is_public() -> None:
    public = {route.endpoint for route in ROUTES if route.public}
    assert public == {"livez", "readyz", "metrics", "openapi", "docs"}
    assert all(route.path.startswith("/v1/") for route in ROUTES if not route.public)
