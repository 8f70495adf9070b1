"""The canonical trace: who takes part, and moments in one form."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from vstack_proto.trace import AgentInfo, CanonicalTrace, TraceStep, utc

EAST = dt.timezone(dt.timedelta(hours=14))


def test_every_agent_is_named_once() -> None:
    steps = (TraceStep("cy", "message", "x"), TraceStep("ann", "message", "y"), TraceStep("di", "message", "z"))
    assert CanonicalTrace("g", steps, "o", agents=(AgentInfo("bob"), "ann")).agent_names() == ("bob", "ann", "cy", "di")
    assert CanonicalTrace("g", steps, "o").agent_names() == ("cy", "ann", "di")


@pytest.mark.parametrize(
    ("moment", "same"),
    [
        (dt.datetime(2026, 3, 1, 9), dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC)),
        (dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC), dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC)),
        (dt.datetime(2026, 3, 1, 9, tzinfo=EAST), dt.datetime(2026, 2, 28, 19, tzinfo=dt.UTC)),
        (dt.datetime(1, 1, 1, tzinfo=EAST), dt.datetime(1, 1, 1, tzinfo=EAST)),
    ],
)
def test_moments_are_told_in_utc(moment: dt.datetime, same: dt.datetime) -> None:
    told = utc(moment)
    assert (told.replace(tzinfo=None), told.utcoffset()) == (same.replace(tzinfo=None), same.utcoffset())


@pytest.mark.parametrize("text", [b'{"goal":"g","steps":[],"outcome":"o"}', b'{"goal":"g","outcome":"o"}'])
def test_a_trace_has_steps(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError, match="steps"):
        msgspec.json.decode(text, type=CanonicalTrace)
