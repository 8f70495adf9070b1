"""The page of the OpenAPI document: whole, escaped, readable, and allowed by its own policy."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import shlex
from html.parser import HTMLParser
from typing import Any

import pytest

from vstack_proto.docs_page import DOCS_POLICY, docs_page, prose
from vstack_proto.docs_schema import alternatives, fields_table, inline, kind_of
from vstack_proto.openapi import openapi
from vstack_proto.openapi_errors import ERRORS
from vstack_proto.patterns import aar, social_loafing, span_of_control
from vstack_proto.routes import ROUTES

DOCUMENT = openapi(ROUTES, (aar.PATTERN, social_loafing.PATTERN, span_of_control.PATTERN), "1.2.3")
PAGE = docs_page(DOCUMENT)
NASTY = "<script>alert(1)</script>\"'&<img src=x onerror=y>`</code>`"
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Takes a page apart: its elements with their attributes, its text, and whether it is well-formed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.setdefault(tag, [])
        if tag not in VOID:
            self.open.append(tag)
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page() -> Reader:
    return Reader(PAGE)


def test_is_well_formed(page: Reader) -> None:
    assert page.open == []
    assert PAGE.startswith('<!doctype html>\n<html lang="en">')
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "form", "base", "svg", "object"}
    assert not [
        name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"
    ]


def test_needs_no_other_host(page: Reader) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    for link in page.all("a"):
        assert link["href"] == "openapi.json" or (link["href"][0] == "#" and link["href"][1:] in ids), link
    assert not [attributes for _, attributes in page.elements if "src" in attributes]
    assert "url(" not in page.texts["style"][0]
    assert "@import" not in page.texts["style"][0]


def test_the_policy_allows_the_style_and_nothing_else(page: Reader) -> None:
    digest = base64.b64encode(hashlib.sha256(page.texts["style"][0].encode()).digest()).decode()
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert dict(part.split(" ", 1) for part in policy.split("; ")) == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert f"{policy}; frame-ancestors 'none'" == DOCS_POLICY
    assert PAGE.index("http-equiv") < PAGE.index("<style>")
    assert len(page.all("style")) == 1


def test_headings_descend_one_by_one(page: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.elements}
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}
    assert {"scope"} <= set().union(*page.all("th"))


def test_everything_of_the_document_is_there(page: Reader) -> None:
    assert page.texts["title"] == ["vstack 1.2.3: the API"]
    for path, item in DOCUMENT["paths"].items():
        for method, told in item.items():
            article = page.texts["article"][[a["id"] for a in page.all("article")].index(told["operationId"])]
            assert article.startswith(f"{method.upper()} {path}")
            assert all(status in article for status in told["responses"])
    schemas = [attributes["id"].removeprefix("schema-") for attributes in page.all("details") if "id" in attributes]
    assert schemas == list(DOCUMENT["components"]["schemas"])
    errors = next(text for text in page.texts["section"] if text.startswith("Errors"))
    assert all(f"{row.status}{row.code}{row.when}" in errors for row in ERRORS)


def commands(document: dict[str, Any] = DOCUMENT) -> list[list[str]]:
    """The words of each command, as a shell would pass them on."""
    blocks = re.findall(r'<pre class="copy" tabindex="0"><code>(.*?)</code>', docs_page(document), re.DOTALL)
    texts = ["".join(Reader(f"<p>{block}</p>").texts["p"]) for block in blocks]
    # A shell joins lines at a backslash; shlex does not.
    return [shlex.split(text.replace("\\\n", "")) for text in texts]


def test_every_operation_has_a_command() -> None:
    found = commands()
    assert len(found) == sum(len(item) for item in DOCUMENT["paths"].values())
    here = "${VSTACK_URL:-http://127.0.0.1:8000}"
    assert ["curl", "-sS", f"{here}/livez"] in found
    key = ["-H", "Authorization: Bearer $VSTACK_KEY"]
    assert ["curl", "-sS", f"{here}/v1/patterns/aar/playbooks", *key] in found
    posted = next(words for words in found if words[2] == f"{here}/v1/analyze/social_loafing")
    assert posted[3:8] == [*key, "-H", "Content-Type: application/json", "-d"]
    examples = DOCUMENT["paths"]["/v1/analyze/social_loafing"]["post"]["requestBody"]["content"]["application/json"]
    assert json.loads(posted[8]) == examples["examples"]["native"]["value"]


def test_a_service_without_patterns_has_a_page() -> None:
    found = commands(openapi(ROUTES, (), "0"))
    assert ["/v1/patterns/NAME" in words[2] for words in found].count(True) == 4


def test_a_body_without_example_has_a_command() -> None:
    document = json.loads(json.dumps(DOCUMENT))
    del document["paths"]["/v1/analyze/aar"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert [words[-1] for words in commands(document) if "analyze/aar" in words[2]][-1] == '{"trace": {}}'


@pytest.mark.slow
def test_all_text_is_escaped() -> None:
    def spoilt(node: Any, key: str = "") -> Any:
        """The document with hostile words in every text that is shown, and in the names of fields and headers."""
        if isinstance(node, dict):
            return {
                name + (NASTY if key in ("properties", "headers", "content") and name != "application/json" else ""):
                spoilt(value, name) for name, value in node.items()
            }  # fmt: skip
        if isinstance(node, list):
            return [spoilt(item, key) for item in node]
        kept = key in ("$ref", "type", "in", "operationId", "tags") or not isinstance(node, str)
        return node if kept else node + NASTY

    document = spoilt(DOCUMENT)
    document["tags"] = [{**tag, "name": tag["name"].removesuffix(NASTY)} for tag in document["tags"]]
    document["paths"] = {path + NASTY: item for path, item in document["paths"].items()}
    document["components"]["headers"] = {}
    read = Reader(docs_page(document))
    assert read.open == []
    assert {tag for tag, _ in read.elements} == {tag for tag, _ in Reader(PAGE).elements}
    assert {name for _, a in read.elements for name in a} == {name for _, a in Reader(PAGE).elements for name in a}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any value"),
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text or null"),
        ({"const": "a<"}, "<code>&quot;a&lt;&quot;</code>"),
        ({"enum": ["a", None]}, "one of <code>&quot;a&quot;</code>, <code>null</code>"),
        ({"type": "array"}, "list of any value"),
        ({"type": "array", "items": {"type": "integer"}}, "list of whole number"),
        ({"type": "object"}, "object"),
        ({"type": "object", "additionalProperties": False}, "object"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object, each member number"),
        ({"type": "object", "properties": {"a": {}}}, "object with <code>a</code>"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "true or false or null"),
        ({"oneOf": [{"type": "string"}, {"$ref": "#/components/schemas/A"}]}, 'text or <a href="#schema-A">A</a>'),
    ],
)
def test_schemas_in_words(schema: dict[str, Any], words: str) -> None:
    assert kind_of(schema) == words


def test_fields() -> None:
    schema = {
        "required": ["a"],
        "properties": {
            "a": {"type": "integer", "minimum": 0},
            "b": {"type": "string", "default": "", "description": "`x`"},
        },
        "patternProperties": {"^c": {"type": "null"}},
    }
    read = Reader(fields_table(schema))
    assert read.texts["th"] == ["Field", "What", "a", "b", "matches ^c"]
    assert read.texts["td"] == ["whole number; at least 0; required", 'text; default ""; optionalx', "null"]
    assert fields_table({"type": "string"}) == ""


def test_forms() -> None:
    forms = [{"title": "One", "properties": {"a": {}}}, {"title": "Two", "allOf": [{"$ref": "#/components/schemas/T"}]}]
    read = Reader(alternatives({"oneOf": forms}))
    assert [text[:3] for text in read.texts["li"]] == ["One", "Two"]
    assert "The fields of T, and:" in read.texts["li"][1]
    assert alternatives({}) == ""


def test_prose() -> None:
    assert prose("") == ""
    assert prose("A `b` & c\nd\n\n- one\n- `two`") == (
        "<p>A <code>b</code> &amp; c d</p><ul><li>one</li><li><code>two</code></li></ul>"
    )
    assert inline("``a`` `b") == "<code>a</code> `b"


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["text", "quiet", "link"])
@pytest.mark.parametrize("ground", ["page", "block"])
def test_contrast(page: Reader, scheme: int, text: str, ground: str) -> None:
    sets = [
        dict(re.findall(r"--(\w+):(#\w{6})", block)) for block in re.findall(r":root\{([^}]*)", page.texts["style"][0])
    ]
    bright, dark = sorted((luminance(sets[scheme][text]), luminance(sets[scheme][ground])), reverse=True)
    # WCAG 2.2, 1.4.3: 4.5 for text of this size.
    assert (bright + 0.05) / (dark + 0.05) >= 4.5
