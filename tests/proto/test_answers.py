"""The parts of an answer: dates, error bodies, spliced detections, events."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.answers import TITLES, detection_body, error_body, http_date, server_event


@pytest.mark.parametrize(
    ("second", "date"),
    [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784111777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (1772355600, "Sun, 01 Mar 2026 09:00:00 GMT"),
    ],
)
def test_a_date_is_written_as_http_has_it(second: int, date: str) -> None:
    assert http_date(second) == date


@given(st.integers(0, 4_000_000_000))
def test_dates_mean_their_moment(second: int) -> None:
    parsed = email.utils.parsedate_to_datetime(http_date(second))
    assert parsed == dt.datetime.fromtimestamp(second, dt.UTC)


def test_errors_have_two_forms() -> None:
    kind, body = error_body(413, "request_too_large", "too long", "r", {"limit": 3}, as_problem=False)
    members = {"error": "request_too_large", "message": "too long", "request_id": "r", "limit": 3}
    assert (kind, json.loads(body)) == ("application/json", {"detail": members})
    kind, body = error_body(413, "request_too_large", "too long", "r", {"limit": 3}, as_problem=True)
    assert kind == "application/problem+json"
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Content Too Large",
        "status": 413,
        "detail": "too long",
        **members,
    }
    assert json.loads(error_body(418, "x", "m", "r", {}, as_problem=True)[1])["title"] == "Error"


def test_titles_are_those_of_the_registry() -> None:
    renamed = {413: "Content Too Large"}
    assert {status: renamed.get(status, HTTPStatus(status).phrase) for status in TITLES} == TITLES


def test_a_detection_is_spliced_as_it_is() -> None:
    detection = b'{ "a":1.50 }'
    body = detection_body("p", 'q"', "m", detection, True, ("w",))
    assert detection in body
    assert json.loads(body) == {
        "pattern": "p",
        "mode": 'q"',
        "model": "m",
        "detection": {"a": 1.5},
        "cached": True,
        "warnings": ["w"],
    }
    assert json.loads(detection_body("p", "q", "m", b"{}", False, ())) == {
        "pattern": "p",
        "mode": "q",
        "model": "m",
        "detection": {},
        "cached": False,
    }


def test_an_event_has_a_name_and_a_line_of_data() -> None:
    assert server_event("progress", b"{}") == b"event: progress\ndata: {}\n\n"
