"""Every error counts under an outcome of the closed set."""

from __future__ import annotations

import pytest

from vstack_proto.openapi_errors import ERRORS
from vstack_proto.outcomes import OUTCOMES, outcome_of

# What is only said where no analysis is counted, or counts under a kindred outcome.
ELSEWHERE = {
    "auth_misconfigured": "unauthorized",
    "provider_unavailable": "analyzer_error",
    "request_timeout": "timeout",
    "headers_too_large": "request_too_large",
}


@pytest.mark.parametrize("code", sorted({row.code for row in ERRORS}))
def test_every_error_has_an_outcome(code: str) -> None:
    expected = code if code in OUTCOMES else ELSEWHERE.get(code, "validation_error")
    assert outcome_of(code) == expected
    assert expected in OUTCOMES


def test_the_set_is_closed() -> None:
    assert len(set(OUTCOMES)) == len(OUTCOMES) == 14
    assert outcome_of("made up") == "validation_error"
