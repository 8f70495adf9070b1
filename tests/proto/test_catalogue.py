"""The catalogue: patterns by number and name, and the pages about them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.proto.last_word import BROKEN, PATTERN
from vstack_proto.catalogue import Catalogue, citations, composition, document, entry, playbooks
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.patterns.common import Composition

CATALOGUE = Catalogue((PATTERN, BROKEN))


def test_patterns_stand_in_the_order_of_their_numbers() -> None:
    assert [*CATALOGUE.patterns] == ["broken", "last_word"]
    assert len(CATALOGUE) == 2
    assert CATALOGUE.get("last_word") is PATTERN


def test_what_cannot_stand_beside_another_pattern_is_refused() -> None:
    twin = msgspec.structs.replace(PATTERN, name="a_twin")
    with pytest.raises(ValueError, match="'last_word' and 'a_twin' have one number, 2"):
        Catalogue((PATTERN, twin))
    namesake = msgspec.structs.replace(PATTERN, number=9)
    with pytest.raises(ValueError, match="two patterns are named 'last_word'"):
        Catalogue((PATTERN, namesake))


def broken(**changes: Any) -> Any:
    return msgspec.structs.replace(PATTERN, **changes)


VERDICT = PATTERN.passes["quick"]


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        (broken(name="My Pat"), "name is 'My Pat': it must be of small letters"),
        (broken(name="a__b"), "name is 'a__b'"),
        (broken(name="a" * 51), "50 characters at most"),
        (broken(name="a\n"), "name is "),
        (broken(name=3), "name is 3"),
        (broken(number=0), "number is 0: it must be a whole number from 1"),
        (broken(number=True), "number is True"),
        (broken(summary=" "), "summary must be a text that is not blank"),
        (broken(group=None), "group must be a text"),
        (broken(read=None), "read must be a function"),
        (broken(detection=dict), "detection must be a Detection"),
        (broken(trace="Talk"), "trace must be a msgspec.Struct"),
        (broken(non_blank=("goal", "aim")), "non_blank names 'aim', which Talk does not have"),
        (broken(passes=None), "passes must map each mode to its passes"),
        (broken(passes={"standard": VERDICT}), "passes lacks quick, forensic: every mode has passes"),
        (
            broken(passes={**PATTERN.passes, "thorough": VERDICT}),
            "passes has 'thorough': the modes are quick, standard, forensic",
        ),
        (broken(passes={**PATTERN.passes, "quick": list(VERDICT)}), r"passes\['quick'\] must be a tuple of Pass"),
        (broken(passes={**PATTERN.passes, "quick": ("verdict",)}), r"passes\['quick'\] must be a tuple of Pass"),
        (broken(passes={**PATTERN.passes, "quick": VERDICT * 2}), "two passes of 'quick' have one name"),
        (
            broken(passes={**PATTERN.passes, "quick": (msgspec.structs.replace(VERDICT[0], answer=dict),)}),
            "the answer of the pass 'verdict' of 'quick' must be an Answer",
        ),
        (broken(number=0, read=None), "number is 0.*; read must be a function"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused(pattern: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"the pattern .* cannot work: .*{wrong}"):
        Catalogue((pattern,))


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(TypeError, match="a str is no Pattern"):
        Catalogue(["last_word"])  # type: ignore[list-item]


def test_a_mode_may_have_no_pass() -> None:
    assert len(Catalogue((broken(passes={**PATTERN.passes, "quick": ()}),))) == 1


@pytest.mark.parametrize(
    ("name", "nearest"), [("last_wrd", ["last_word"]), ("LAST_WORD", []), ("", []), ("x" * 100_000, [])]
)
def test_an_unknown_name_is_told_the_nearest(name: str, nearest: list[str]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        CATALOGUE.get(name)
    fault = caught.value
    assert (fault.status, fault.code, fault.extra) == (404, "unknown_pattern", {"nearest": nearest})
    assert ("did you mean last_word?" if nearest else "GET /v1/patterns lists them") in fault.message
    assert len(fault.message) < 250


def test_the_list_describes_each_pattern() -> None:
    page = CATALOGUE.document("patterns", "")
    told = json.loads(page.body)
    assert (page.content_type, told["count"]) == ("application/json", 2)
    assert told["patterns"] == [json.loads(msgspec.json.encode(entry(one))) for one in (BROKEN, PATTERN)]
    assert told["patterns"][1] == {
        "name": "last_word",
        "friendly": "Last word",
        "group": "tests",
        "tool": "vstack_last_word",
        "summary": "Who had the last word.",
        "input_class": "Talk",
        "output_class": "LastWord",
        "modes": ["quick", "standard", "forensic"],
        "analyze_url": "/v1/analyze/last_word",
        "resources": {
            "playbooks": "/v1/patterns/last_word/playbooks",
            "composition": "/v1/patterns/last_word/composition",
            "citations": "/v1/patterns/last_word/citations",
        },
    }


def test_a_pattern_has_pages_of_its_own() -> None:
    assert json.loads(CATALOGUE.document("pattern", "last_word").body)["name"] == "last_word"
    assert json.loads(CATALOGUE.document("playbooks", "last_word").body) == playbooks(PATTERN)
    told = json.loads(CATALOGUE.document("composition", "last_word").body)
    assert told == {"pattern": "last_word", "composition": json.loads(msgspec.json.encode(composition(PATTERN)))}
    page = CATALOGUE.document("citations", "last_word")
    assert (page.content_type, page.body.decode()) == ("text/markdown; charset=utf-8", citations(PATTERN))


@pytest.mark.parametrize("endpoint", ["pattern", "playbooks", "composition", "citations"])
def test_an_unknown_pattern_has_no_page(endpoint: str) -> None:
    with pytest.raises(RemoteProtocolError, match="no pattern is named 'nobody'"):
        CATALOGUE.document(endpoint, "nobody")


def test_a_page_is_made_once() -> None:
    assert CATALOGUE.document("patterns", "") is CATALOGUE.document("patterns", "")


def test_playbooks_have_keys() -> None:
    assert playbooks(PATTERN) == {
        "pattern": "last_word",
        "playbooks": [
            {
                "key": "silence::team",
                "key_parts": ["silence", "team"],
                "playbook": {"mode": "silence", "target": "team", "text": "Ask the quiet ones."},
            }
        ],
        "count": 1,
    }


def test_neighbours() -> None:
    assert composition(PATTERN) == {
        "upstream": ("first_word",),
        "downstream_by_verdict": {"hollow": ("why",)},
        "framework_overlays": {"x": ("y",)},
    }
    overlaid = Composition(upstream=(), downstream={}, intervention_overlays={"new_eval": "grpi"})
    told = composition(msgspec.structs.replace(PATTERN, composition=overlaid))
    assert told == {"upstream": (), "framework_overlays": {}, "intervention_overlays": {"new_eval": "grpi"}}


def test_sources_are_cited() -> None:
    assert citations(PATTERN) == "# Last word: sources\n\n- A. Author (1999). *On last words*.\n"


def test_an_etag_is_that_of_the_body() -> None:
    one, same, other = document(b"a"), document(b"a", "text/plain"), document(b"b")
    assert one.etag == same.etag != other.etag
    assert (len(one.etag), one.etag[0], one.etag[-1]) == (34, '"', '"')
