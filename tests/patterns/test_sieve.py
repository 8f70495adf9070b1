"""What is looked for first must be in every match, or a rule would miss what it is about."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.patterns import aar_signals
from vstack_proto.patterns.sieve import Sieve, sieve

SIEVES = {name: value for name, value in vars(aar_signals).items() if isinstance(value, Sieve)}


def folded(one: Sieve, text: str) -> str:
    return text.lower() if one.pattern.flags & re.IGNORECASE else text


@pytest.mark.parametrize("name", SIEVES)
@given(data=st.data())
def test_no_match_falls_through(name: str, data: st.DataObject) -> None:
    one = SIEVES[name]
    # Only ASCII: in other scripts, letters that are equal without regard to case may differ in lower case.
    text = data.draw(st.from_regex(one.pattern, alphabet=st.characters(codec="ascii")))
    found = one.search(text, folded(one, text))
    assert found is not None
    assert found.group()


def test_what_holds_no_needle_is_not_searched() -> None:
    one = sieve("a+b", "b|c")
    assert one.needles == ("b", "c")
    assert one.search("aab", "aaX") is None
    assert one.search("aab", "aab") is not None
    assert one.search("xxb", "xxb") is None
