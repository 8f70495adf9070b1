"""The Structs that patterns share, and what is read off a trace for every one of them."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Fault, facts, not_empty


class Word(shapes.Dated, frozen=True):
    """Something said at a moment, or at none."""

    text: str
    timestamp: shapes.Moment | None = None


class Remedy(shapes.Playbook, frozen=True):
    """What to do."""

    label: str


class Run(msgspec.Struct, frozen=True):
    """A trace with a field of each kind."""

    agents: tuple[str, ...] = ()
    agent_id: str | None = None
    run_count: int = 0
    load: float = 2.0
    success: bool = False
    outcome: str = ""


@pytest.mark.parametrize("moment", ["2026-03-01T10:00:00+02:00", "2026-03-01T08:00:00Z", "2026-03-01T08:00:00"])
def test_equal_moments_are_kept_equal(moment: str) -> None:
    word = msgspec.json.decode(f'{{"text": "hi", "timestamp": "{moment}"}}', type=Word)
    assert word == Word("hi", dt.datetime(2026, 3, 1, 8, tzinfo=dt.UTC))


def test_what_has_no_moment_gets_none() -> None:
    assert Word("hi").timestamp is None


def test_a_pattern_s_own_field_comes_first() -> None:
    books = shapes.playbooks(Remedy, [("noise", "loud", "Be quiet", ("Listen.",), "1h", "Wiener 1948")])
    assert msgspec.json.encode(books[0]).startswith(b'{"label":"noise","failure_mode":"loud","title":"Be quiet"')
    with pytest.raises(ValueError, match="shorter"):
        shapes.playbooks(Remedy, [("noise", "loud", "Be quiet", (), "1h")])  # type: ignore[list-item]


def test_facts_tell_what_is_known() -> None:
    names = ("agents", "agent_id", "run_count", "load", "success", "outcome")
    told = [("agents", "a, b"), ("runs", "0"), ("load", "2"), ("success", "no")]
    assert facts(Run(agents=("a", "b", "a")), *names) == told


def test_a_field_that_must_hold_something() -> None:
    assert list(not_empty("agents")(Run())) == [Fault("/agents", "must not be empty")]
    assert not list(not_empty("agents")(Run(agents=("a",))))
