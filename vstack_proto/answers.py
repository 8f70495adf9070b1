"""The parts that answers are made of: headers, error bodies, dates, server-sent events."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

import msgspec

from vstack_proto.framing import Headers
from vstack_proto.negotiation import JSON, PROBLEM

# On every answer. A browser that is led here by mistake must not sniff, frame or run anything.
SECURITY: Headers = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
)
CONTENT_POLICY = ("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
STRICT_TRANSPORT = ("strict-transport-security", "max-age=63072000; includeSubDomains; preload")
NO_STORE = ("cache-control", "no-store")
REVALIDATE = ("cache-control", "no-cache")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


@functools.lru_cache(maxsize=8)
def date_field(second: float) -> tuple[str, str]:
    """The ``Date`` field of an answer; ``second`` counts from 1970, and is a whole one."""
    return "date", http_date(second)


def http_date(second: float) -> str:
    """A date as header fields have it (RFC 9110, section 5.6.7), whatever the locale; ``second`` counts from 1970."""
    moment = dt.datetime.fromtimestamp(second, dt.UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year} {moment:%H:%M:%S} GMT"


def error_body(
    status: int, code: str, message: str, request_id: str, extra: dict[str, Any], as_problem: bool
) -> tuple[str, bytes]:
    """The body of a refusal, in the service's own form or as RFC 9457 with the same members.

    Returns:
        Its content type, and the encoded body.
    """
    members = {"error": code, "message": message, "request_id": request_id, **extra}
    if not as_problem:
        return JSON, msgspec.json.encode({"detail": members})
    title = TITLES.get(status, "Error")
    problem = {"type": "about:blank", "title": title, "status": status, "detail": message, **members}
    return PROBLEM, msgspec.json.encode(problem)


def detection_body(
    pattern: str, mode: str, model: str, detection: bytes, cached: bool, warnings: tuple[str, ...]
) -> bytes:
    """The answer of an analysis: the detection goes in as the bytes it is."""
    tail = b',"cached":true}' if cached else b',"cached":false}'
    if warnings:
        tail = tail[:-1] + b',"warnings":' + msgspec.json.encode(warnings) + b"}"
    return b"".join((_envelope(pattern, mode, model), detection, tail))


@functools.lru_cache(maxsize=512)
def _envelope(pattern: str, mode: str, model: str) -> bytes:
    told = msgspec.json.encode({"pattern": pattern, "mode": mode, "model": model})
    return told[:-1] + b',"detection":'


# A comment of a stream of events: readers skip it, and whatever stands between sees that the stream lives.
HEARTBEAT = b":\n\n"


def server_event(name: str, data: bytes) -> bytes:
    """One server-sent event; ``data`` is JSON without line breaks."""
    return b"".join((b"event: ", name.encode(), b"\ndata: ", data, b"\n\n"))
