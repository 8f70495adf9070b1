"""Quotations: found as they stand, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.analysis.grounding import MIN_QUOTE_CHARS, find_quote


@pytest.mark.parametrize(
    ("quote", "text", "found"),
    [
        ("the date", "We need the date.", "the date"),
        ("  the date\n", "We need the date.", "the date"),
        ("the date", "We need the\n  date.", "the\n  date"),
        ("the\tdate", "We need the date.", "the date"),
        ("the date", "We need the, date.", None),
        ("the date", "We need a date.", None),
        ("date the", "We need the date.", None),
        ("The date", "We need the date.", None),
        ("Tuesday", "We need the date.", None),
        ("a.c", "abc", None),
        ("a.c (x) [y]", "so: a.c  (x)\n[y]!", "a.c  (x)\n[y]"),
        ("ok", "ok", "ok"),
        ("ok", " ok\n", "ok"),
        ("ok", "it is ok", None),
        ("", "", None),
        (" ", "We need", None),
        ("x", "", None),
    ],
)
def test_a_quotation(quote: str, text: str, found: str | None) -> None:
    assert find_quote(quote, text) == found


WORDS = st.lists(st.text("ab.( ", min_size=1, max_size=4).filter(str.strip), min_size=1, max_size=6)


@given(WORDS, st.data())
def test_what_is_found_stands_there(words: list[str], data: st.DataObject) -> None:
    text = "".join(word + data.draw(st.sampled_from((" ", "\n", "  "))) for word in words)
    start = data.draw(st.integers(0, len(text) - 1))
    quote = text[start : data.draw(st.integers(start + 1, len(text)))]
    found = find_quote(" ".join(quote.split()), text)
    if len(quote.strip()) >= MIN_QUOTE_CHARS:
        assert found is not None
    if found is not None:
        assert found in text
        assert found.split() == quote.split()
