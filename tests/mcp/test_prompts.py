"""Prompts: the arguments that clients already fill in, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proto.last_word import PATTERN
from vstack_mcp.prompts import got, invoke, pick
from vstack_mcp.revisions import INVALID_PARAMS, ProtocolFault
from vstack_proto.catalogue import Catalogue

PICK, RUN = pick(Catalogue((PATTERN,))), invoke(PATTERN)


def taken(listing: dict[str, Any]) -> dict[str, bool]:
    return {one["name"]: one["required"] for one in listing["arguments"]}


def said(told: dict[str, Any]) -> str:
    [message] = told["messages"]
    return str(message["content"]["text"])


def test_the_arguments_are_those_of_the_earlier_implementation() -> None:
    assert taken(PICK.listing) == {"situation": True, "known_artifacts": False}
    assert taken(RUN.listing) == {"artifact": False, "mode": False}


def test_what_is_given_is_said() -> None:
    given = {"situation": "They all agreed at once.", "known_artifacts": "the minutes of three meetings"}
    assert all(one in said(got(PICK, given)) for one in given.values())
    assert "Of it there is" not in said(got(PICK, {"situation": "silence"}))
    assert "this run:\n\nA: done." in said(got(RUN, {"artifact": "A: done."}))
    assert "this conversation" in said(got(RUN, {}))
    assert '"mode": "forensic"' in said(got(RUN, {"mode": "forensic"}))


@pytest.mark.parametrize(("prompt", "given"), [(PICK, {}), (PICK, {"situation": " "}), (RUN, {"mode": "turbo"})])
def test_what_cannot_be_filled_in_is_refused(prompt: Any, given: dict[str, str]) -> None:
    with pytest.raises(ProtocolFault) as refused:
        got(prompt, given)
    assert refused.value.code == INVALID_PARAMS
