"""Which answer an ``Accept`` field likes best."""

from __future__ import annotations

import pytest

from vstack_proto.negotiation import EVENTS, JSON, PROBLEM, accepted, names

OFFERS = (JSON, EVENTS)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        (" ", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("Application/JSON", JSON),
        ("text/event-stream", EVENTS),
        ("text/*", EVENTS),
        ("text/event-stream, */*", JSON),
        ("text/event-stream, */*;q=0.5", EVENTS),
        ("application/json;q=0.4, text/event-stream;q=0.6", EVENTS),
        ("application/json;q=0.6, text/event-stream;q=0.4", JSON),
        ("application/json;q=0, */*", EVENTS),
        ("text/*;q=0, */*;q=0.1", JSON),
        ("application/json;v=1;q=0.1, text/event-stream;q=0.2", EVENTS),
        ("application/json ; Q=0.1 , text/event-stream ; q=0.2", EVENTS),
        (",, application/json", JSON),
        ("text/html", None),
        ("*/*;q=0", None),
        ("application/json;q=x", None),
        ("application/json;q=", None),
        ("json", None),
        (",", None),
    ],
)
def test_an_accept_field_chooses(accept: str, chosen: str | None) -> None:
    assert accepted(accept, OFFERS) == chosen


@pytest.mark.parametrize(
    ("accept", "named"),
    [
        ("", False),
        ("*/*", False),
        ("application/*", False),
        (PROBLEM, True),
        (f"text/html, {PROBLEM.upper()};q=0.1", True),
        (f"{PROBLEM};q=0", False),
        (f"{PROBLEM};q=x", False),
    ],
)
def test_a_type_may_be_named(accept: str, named: bool) -> None:
    assert names(accept, PROBLEM) is named
