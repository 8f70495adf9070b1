"""The catalogue: patterns by number and name, and the pages about them."""

from __future__ import annotations

import json

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
    twin = msgspec.structs.replace(PATTERN, name="a_twin")
    assert [*Catalogue((PATTERN, twin)).patterns] == ["a_twin", "last_word"]


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
