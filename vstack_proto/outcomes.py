"""The closed set of outcomes that an analysis is counted under."""

from __future__ import annotations

OUTCOMES = (
    "ok",
    "unauthorized",
    "rate_limited",
    "request_too_large",
    "validation_error",
    "invalid_mode",
    "unknown_pattern",
    "llm_resolution_error",
    "analyzer_error",
    "timeout",
    "overloaded",
    "draining",
    "cancelled",
    "internal_error",
)

# Error codes that are not outcomes themselves, each with the outcome it counts under.
_OUTCOME_OF_CODE = {
    "auth_misconfigured": "unauthorized",
    "provider_unavailable": "analyzer_error",
    "request_timeout": "timeout",
    "headers_too_large": "request_too_large",
}


def outcome_of(code: str) -> str:
    """The outcome that an error code counts under; whatever else is wrong with a request is ``validation_error``."""
    if code in OUTCOMES:
        return code
    return _OUTCOME_OF_CODE.get(code, "validation_error")
