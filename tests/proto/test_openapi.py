"""The OpenAPI document: valid, and true of what the exchange answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.proto.last_word import BROKEN
from vstack_proto.answers import error_body
from vstack_proto.errors import TraceNotReadable
from vstack_proto.openapi import openapi
from vstack_proto.openapi_errors import ERRORS, ErrorRow
from vstack_proto.openapi_examples import concise
from vstack_proto.patterns import aar, social_loafing, span_of_control
from vstack_proto.patterns.common import Detection, Fault
from vstack_proto.routes import ROUTES, Route

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
PATTERNS = (aar.PATTERN, social_loafing.PATTERN, span_of_control.PATTERN)
NAMES = [pattern.name for pattern in PATTERNS]
DOCUMENT = openapi(ROUTES, PATTERNS, "1.2.3")

# --- patterns whose shapes have names in common -----------------------------------------------------------------------


class Square(msgspec.Struct, tag=True, frozen=True):
    side: float


class Circle(msgspec.Struct, tag=True, frozen=True):
    radius: float


class Row(msgspec.Struct):
    note: str = "none"


class Table(msgspec.Struct):
    rows: tuple[Row, ...]
    pair: tuple[int, int] = (0, 0)
    text: str = ""
    plain: list[int] = []


class Book(msgspec.Struct, frozen=True):
    """A playbook.

    Attributes:
        first, second: What it is
            found by.
        gone: Not a field.
    """

    first: str
    second: str


def toy(name: str, kind: Any, **more: Any) -> Any:
    """A pattern whose Struct ``Item`` holds something else than the other toy's."""
    item = msgspec.defstruct("Item", [("value", kind), ("shape", Square | Circle | None, None)], frozen=True)
    holder = msgspec.defstruct("Holder", [("items", tuple[item, ...])], frozen=True)  # type: ignore[valid-type]
    own = msgspec.defstruct("Own", [("number", int, 0)], frozen=True)
    trace = msgspec.defstruct("Trace", [("task", str), ("holder", holder), ("own", own, None)], frozen=True)
    found = msgspec.defstruct("Found", [("item", item)], bases=(Detection,), frozen=True, kw_only=True)
    told = {"trace": trace, "detection": found, "non_blank": ("task",), "playbooks": (), "from_trace": unreadable}
    return msgspec.structs.replace(aar.PATTERN, name=name, **{**told, **more})


def unreadable(trace: Any) -> Any:
    raise TraceNotReadable("a clock")


def clashing() -> dict[str, Any]:
    two = toy("two", str, playbooks=(Book("a", "b"),))
    return openapi(ROUTES, (toy("one", int), two), "1.2.3")


# --- the document -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("document", [DOCUMENT, clashing(), openapi(ROUTES, (), "0"), openapi((), (), "0")])
def test_is_openapi(document: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert json.loads(json.dumps(document)) == document


def test_is_the_same_every_time() -> None:
    assert msgspec.json.encode(openapi(iter(ROUTES), iter(PATTERNS), "1.2.3")) == msgspec.json.encode(DOCUMENT)
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["version"] == "1.2.3"


def operations(document: dict[str, Any] = DOCUMENT) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, told in item.items():
            yield method, path, told


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_has_its_operation(route: Route) -> None:
    told = DOCUMENT["paths"][route.path][route.method.lower()]
    assert told["summary"] == route.summary
    assert told["security"] == ([] if route.public else [{"bearer": []}, {"apiKey": []}])
    assert ("401" in told["responses"]) == (not route.public)


def test_every_pattern_has_a_path_of_its_own() -> None:
    fixed = {route.path for route in ROUTES}
    assert set(DOCUMENT["paths"]) - fixed == {f"/v1/analyze/{name}" for name in NAMES}
    ids = [told["operationId"] for _, _, told in operations()]
    assert len(set(ids)) == len(ids)


def test_two_methods_share_a_path() -> None:
    document = openapi((*ROUTES, Route("GET", "/v1/analyze/{name}", "pattern", False, "Again")), PATTERNS, "0")
    assert set(document["paths"]["/v1/analyze/{name}"]) == {"get", "post"}


def resolved(part: Any) -> Any:
    while "$ref" in part:
        found: Any = DOCUMENT
        for name in part["$ref"][2:].split("/"):
            found = found[name]
        part = found
    return part


def problems(schema: Any, value: Any, document: dict[str, Any] = DOCUMENT) -> list[str]:
    """What a schema of the document has against a value."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"]}
    found = Draft202012Validator({**whole, "allOf": [schema]}).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


def media_types() -> Iterator[Any]:
    """Every body of the document: of a request, of an answer."""
    for method, path, told in operations():
        name = f"{method} {path}"
        if "requestBody" in told:
            yield from ((f"{name} request", media) for media in told["requestBody"]["content"].values())
        for status, response in told["responses"].items():
            bodies = resolved(response).get("content", {})
            yield from ((f"{name} {status} {kind}", media) for kind, media in bodies.items())


@pytest.mark.parametrize(("name", "media"), [*media_types()])
def test_examples_fit(name: str, media: Any) -> None:
    shown = [resolved(one)["value"] for one in media.get("examples", {}).values()]
    shown += [media["example"]] if "example" in media else []
    assert [problems(media["schema"], value) for value in shown] == [[] for _ in shown]
    assert len(msgspec.json.encode(shown)) < 8_000
    if "json" in name and "openapi.json" not in name:
        assert shown


@pytest.mark.parametrize("name", NAMES)
def test_events_fit(name: str) -> None:
    media = DOCUMENT["paths"][f"/v1/analyze/{name}"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    parts = re.findall(r"event: (\w+)\ndata: (.*)\n\n", media["example"])
    assert [kind for kind, _ in parts] == ["progress", "result"]
    for kind, data in parts:
        assert problems(media["x-events"][kind], json.loads(data)) == []


# --- names ------------------------------------------------------------------------------------------------------------


def test_equal_names_of_different_shapes_are_told_apart() -> None:
    document = clashing()
    schemas = document["components"]["schemas"]
    assert schemas["one.Item"]["properties"]["value"] == {"type": "integer"}
    assert schemas["two.Item"]["properties"]["value"] == {"type": "string"}
    # Holder is the same to the letter, but not what it holds.
    for owner in ("one", "two"):
        assert schemas[f"{owner}.Holder"]["properties"]["items"]["items"]["$ref"].endswith(f"/{owner}.Item")
        assert schemas[f"{owner}.Trace"]["properties"]["holder"]["$ref"].endswith(f"/{owner}.Holder")
    assert {"Item", "Holder", "Trace", "Found", "one.Own", "one.Evidence"}.isdisjoint(schemas)
    assert {"Own", "Evidence", "Square"} <= set(schemas)


def test_a_discriminator_follows_the_names() -> None:
    other = msgspec.defstruct("Square", [("edge", int)], tag=True, frozen=True)
    trace = msgspec.defstruct("Trace", [("task", str), ("shape", other | Circle)], frozen=True)
    document = openapi(ROUTES, (toy("one", int), toy("two", int, trace=trace, detection=aar.AAR)), "0")
    shape = document["components"]["schemas"]["two.Trace"]["properties"]["shape"]
    assert shape["discriminator"]["mapping"] == {
        "Square": "#/components/schemas/two.Square",
        "Circle": "#/components/schemas/Circle",
    }


def test_a_docstring_goes_to_the_fields() -> None:
    schemas = clashing()["components"]["schemas"]
    assert schemas["Book"]["description"] == "A playbook."
    assert {name: field["description"] for name, field in schemas["Book"]["properties"].items()} == {
        "first": "What it is found by.",
        "second": "What it is found by.",
    }
    assert schemas["PlaybookEntry"]["properties"]["playbook"] == {"anyOf": [{"$ref": "#/components/schemas/Book"}]}


def test_a_pattern_that_cannot_read_the_run_has_no_example() -> None:
    told = clashing()["paths"]["/v1/analyze/one"]["post"]
    assert set(told["requestBody"]["content"]["application/json"]) == {"schema"}
    faulty = msgspec.structs.replace(aar.PATTERN, preconditions=lambda trace: [Fault("/goal", "is dull")])
    told = openapi(ROUTES, (faulty,), "0")["paths"]["/v1/analyze/aar"]["post"]
    assert set(told["requestBody"]["content"]["application/json"]) == {"schema"}


def test_a_pattern_with_a_bug_has_no_example_and_the_others_have_theirs() -> None:
    paths = openapi(ROUTES, (BROKEN, aar.PATTERN), "0")["paths"]
    shown = {
        name: "examples" in paths[f"/v1/analyze/{name}"]["post"]["requestBody"]["content"]["application/json"]
        for name in ("broken", "aar")
    }
    assert shown == {"broken": False, "aar": True}
    answered = paths["/v1/analyze/{name}"]["post"]["responses"]["200"]["content"]["application/json"]
    assert "aar" in str(answered["examples"])


def test_an_example_is_cut_to_its_form() -> None:
    table = Table((Row("a"), Row()), (1, 2), "x" * 400)
    assert concise(table) == {"rows": [{"note": "a"}, {}], "pair": [1, 2], "text": "x" * 400}
    assert concise(table, short=True) == {"rows": [{"note": "a"}], "pair": [1, 2]}


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: row.code)
@pytest.mark.parametrize("problem", [False, True], ids=["own", "problem"])
def test_errors_fit_wherever_they_are_told(row: ErrorRow, problem: bool) -> None:
    kind, body = error_body(row.status, row.code, "no", "req_1", row.extra, problem)
    schema: Any = {"$ref": f"#/components/schemas/{'Problem' if problem else 'Error'}"}
    assert problems(schema, json.loads(body)) == []
    told_by = [
        resolved(told["responses"][str(row.status)])["content"][kind]
        for _, _, told in operations()
        if row.code in resolved(told["responses"].get(str(row.status), {})).get("description", "")
    ]
    assert told_by
    assert [problems(media["schema"], json.loads(body)) for media in told_by] == [[] for _ in told_by]


def test_another_error_does_not_fit() -> None:
    response = resolved(DOCUMENT["paths"]["/livez"]["get"]["responses"]["500"])
    for kind in ("application/json", "application/problem+json"):
        media = response["content"][kind]
        other = json.loads(
            json.dumps(media["examples"]["internal_error"]["value"]).replace("internal_error", "timeout")
        )
        assert problems(media["schema"], other)


def test_every_error_of_the_code_is_listed() -> None:
    said = re.compile(r'(?:RemoteProtocolError|Failure|FramingRefused)\(\s*(\d{3}),\s*"([a-z_]+)"')
    sources = [file.read_text(encoding="utf-8") for file in sorted((ROOT / "vstack_proto").rglob("*.py"))]
    raised = {(int(status), code) for source in sources for status, code in said.findall(source)}
    listed = {(row.status, row.code) for row in ERRORS}
    assert len(raised) > 20
    assert raised <= listed
    assert {(row["status"], row["error"]) for row in DOCUMENT["x-errors"]} == listed


def test_the_contract_lists_the_same_errors() -> None:
    page = SHARED / "service.md"
    if not page.exists():
        pytest.skip(f"no contract at {page}")
    section = page.read_text(encoding="utf-8").partition("## Errors")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if re.match(r"\| \d{3}", line)]
    promised = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row.split("|")[2])}
    assert promised == {row.code for row in ERRORS}
