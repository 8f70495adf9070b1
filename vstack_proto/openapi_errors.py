"""Every error of the REST surface: its status, its code, and when it is sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from vstack_proto.answers import TITLES
from vstack_proto.negotiation import JSON, PROBLEM

REQUEST_ID = "req_0123456789abcdef"


class ErrorRow(msgspec.Struct, frozen=True):
    """One row of the table; ``extra`` is what an example of it carries besides its message."""

    status: int
    code: str
    when: str
    extra: dict[str, Any] = {}


_SIZE = {"limit": 5_242_880, "actual": 6_000_000, "setting": "VSTACK_API_MAX_BODY_BYTES"}

ERRORS: tuple[ErrorRow, ...] = (
    ErrorRow(
        400, "invalid_request", "The request breaks the rules of HTTP, has no body, or its body is no JSON object."
    ),
    ErrorRow(400, "invalid_json", "The body is not valid JSON.", {"position": 17}),
    ErrorRow(400, "trace_not_readable", "The pattern cannot read this canonical trace.", {"missing": "two agents"}),
    ErrorRow(
        400,
        "validation_error",
        "The trace does not fit the pattern. Every fault is listed.",
        {"errors": [{"pointer": "/steps", "message": "is missing"}], "error_count": 1},
    ),
    ErrorRow(400, "invalid_mode", "The mode is not quick, standard or forensic."),
    ErrorRow(401, "unauthorized", "The key is missing or wrong."),
    ErrorRow(404, "not_found", "There is nothing at this path, nothing of this id, or no store behind it."),
    ErrorRow(404, "unknown_pattern", "No pattern has this name.", {"nearest": ["social_loafing"]}),
    ErrorRow(405, "method_not_allowed", "The path takes other methods.", {"allow": "GET, HEAD"}),
    ErrorRow(406, "not_acceptable", "The answer comes in no form that Accept allows."),
    ErrorRow(408, "request_timeout", "The request came too slowly, or stopped coming."),
    ErrorRow(413, "request_too_large", "The body, a list, a string or all strings are over a limit.", _SIZE),
    ErrorRow(415, "unsupported_media_type", "The body is not JSON, or its content coding is not read."),
    ErrorRow(417, "expectation_failed", "Expect asks for something else than 100-continue."),
    ErrorRow(
        429, "rate_limited", "The quota is used up, or an address tried too many wrong keys.", {"retry_after": 12}
    ),
    ErrorRow(431, "headers_too_large", "The head has too many fields, or too many bytes.", {"limit": 100}),
    ErrorRow(500, "auth_misconfigured", "The service requires a key and has none loaded."),
    ErrorRow(500, "internal_error", "A fault of the service; it has been logged under the request id."),
    ErrorRow(502, "llm_resolution_error", "No model provider is configured."),
    ErrorRow(502, "analyzer_error", "The provider failed, or its answer did not fit after the repair."),
    ErrorRow(503, "overloaded", "Too many analyses are in flight, or a store is away.", {"retry_after": 1}),
    ErrorRow(503, "draining", "The service is stopping.", {"retry_after": 1}),
    ErrorRow(503, "provider_unavailable", "The model provider is not available at the moment.", {"retry_after": 1}),
    ErrorRow(504, "timeout", "The request was not answered within its deadline."),
    ErrorRow(505, "http_version", "The version of HTTP is neither 1.0 nor 1.1."),
)

CODES = frozenset(row.code for row in ERRORS)

# Which errors a route can answer with, by what it does before it answers.
EVERYWHERE = frozenset(
    {
        "invalid_request",
        "method_not_allowed",
        "request_timeout",
        "expectation_failed",
        "headers_too_large",
        "internal_error",
        "http_version",
    }
)
WAITS = frozenset({"draining", "timeout"})
NEEDS_KEY = WAITS | {"unauthorized", "rate_limited", "auth_misconfigured", "overloaded"}
NAMES_PATTERN = frozenset({"unknown_pattern"})
ANALYSES = frozenset(
    {
        "invalid_json",
        "trace_not_readable",
        "validation_error",
        "invalid_mode",
        "not_acceptable",
        "request_too_large",
        "unsupported_media_type",
        "llm_resolution_error",
        "analyzer_error",
        "provider_unavailable",
    }
)
STORES = frozenset({"not_found", "validation_error"})
TAKES_JSON = frozenset({"invalid_json", "request_too_large", "unsupported_media_type"})

_QUOTA = ("X-RateLimit-Limit", "X-RateLimit-Remaining")
_BEFORE_QUOTA = frozenset({401, 405, 417, 431, 505})
_HEADERS = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}


def error_responses(codes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The responses for some error codes: by status, each with the codes of that status."""
    wanted = frozenset(codes)
    by_status: dict[int, list[ErrorRow]] = {}
    for row in ERRORS:
        if row.code in wanted:
            by_status.setdefault(row.status, []).append(row)
    return {str(status): _response(status, rows) for status, rows in by_status.items()}


def header_refs(names: Iterable[str]) -> dict[str, Any]:
    """References to headers of the document."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _response(status: int, rows: list[ErrorRow]) -> dict[str, Any]:
    codes = {"enum": [row.code for row in rows]}
    own = {"properties": {"detail": {"properties": {"error": codes}}}, "$ref": "#/components/schemas/Error"}
    problem = {"properties": {"error": codes, "status": {"const": status}}, "$ref": "#/components/schemas/Problem"}
    quota = () if status in _BEFORE_QUOTA else _QUOTA
    return {
        "description": "\n".join(f"- `{row.code}`: {row.when}" for row in rows),
        "headers": header_refs(("X-Request-ID", *_HEADERS.get(status, ()), *quota)),
        "content": {
            JSON: {"schema": own, "examples": {row.code: {"value": {"detail": _members(row)}} for row in rows}},
            PROBLEM: {"schema": problem, "examples": {row.code: {"value": _problem(row)} for row in rows}},
        },
    }


def _members(row: ErrorRow) -> dict[str, Any]:
    return {"error": row.code, "message": row.when, "request_id": REQUEST_ID, **row.extra}


def _problem(row: ErrorRow) -> dict[str, Any]:
    title = TITLES[row.status]
    return {"type": "about:blank", "title": title, "status": row.status, "detail": row.when, **_members(row)}
