"""The trace as a model is shown it: each long line once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.analysis.prompts import REPEATED_CHARS, shared_prompt
from vstack_proto.patterns.common import Reading, Step

LONG = "the table of orders holds forty million rows, and no index on shop and day"
OTHER = "an index on shop and day costs two percent of the writes, as measured today"


def shown(*contents: str) -> list[str]:
    told = shared_prompt(Reading((("goal", LONG),), tuple(Step("a", "message", text) for text in contents)), b"{}")
    return told.split("\n\n", 1)[1].rsplit("\n", 1)[0].split("\n")


def test_a_long_line_of_an_earlier_step_is_told_once() -> None:
    assert shown(LONG, f"I read:\n{LONG}\nand agree") == [
        *(f"[0] a (message): {LONG}", "[1] a (message): I read:", "(= [0])", "and agree")
    ]


def test_lines_that_follow_one_another_share_a_mark_and_others_do_not() -> None:
    assert shown(f"{LONG}\n{OTHER}", f"{LONG}\n{OTHER}") == [
        *(f"[0] a (message): {LONG}", OTHER, "[1] a (message): (= [0])")
    ]
    assert shown(LONG, OTHER, f"{LONG}\n{OTHER}")[2:] == ["[2] a (message): (= [0])", "(= [1])"]


def test_short_lines_and_the_step_itself_are_told_as_they_are() -> None:
    short = "x" * (REPEATED_CHARS - 1)
    assert shown(short, short) == [f"[0] a (message): {short}", f"[1] a (message): {short}"]
    assert shown(f"{LONG}\n{LONG}") == [f"[0] a (message): {LONG}", LONG]


@given(st.lists(st.lists(st.sampled_from((LONG, OTHER, "ok", "")), max_size=4).map("\n".join), min_size=1, max_size=6))
def test_every_line_of_a_trace_is_told(contents: list[str]) -> None:
    told = "\n".join(shown(*contents))
    for text in contents:
        assert all(line in told for line in text.split("\n"))
    assert max(told.count(LONG), told.count(OTHER)) <= max(text.count("\n") + 1 for text in contents)
