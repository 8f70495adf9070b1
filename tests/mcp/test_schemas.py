"""The schemas of tools: true of what the service takes and gives, and readable for every client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from tests.e2e.serving import canonical_trace
from vstack_mcp.learnings import tools as learning_tools
from vstack_mcp.schemas import tool_schemas
from vstack_mcp.tools import listed
from vstack_mcp.when import WHEN
from vstack_proto.openapi_examples import native_trace
from vstack_runtime.engine import installed_patterns
from vstack_runtime.library import analyze
from vstack_runtime.settings import Settings

PATTERNS = installed_patterns()


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def said(value: Any) -> Any:
    """A value as JSON, without what is null: that may be left out, and the schema knows it only so."""
    told = msgspec.json.decode(msgspec.json.encode(value))
    for node in nodes(told):
        for name in [name for name, part in node.items() if part is None]:
            del node[name]
    return told


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_a_tool_can_be_listed_by_any_client(pattern: Any) -> None:
    tool = listed(pattern)
    assert len(tool["name"]) <= 64
    when = WHEN[pattern.name]
    assert f"Use it where {when.use}. Not where {when.avoid}." in tool["description"]
    for schema in (tool["inputSchema"], tool["outputSchema"]):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        for node in nodes(schema):
            assert node.get("items") is not False
            if isinstance(node.get("$ref"), str):
                assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]


@pytest.mark.parametrize("name", ["aar", "lewin", "bias_stack"])
def test_what_is_taken_and_given_fits(name: str) -> None:
    (pattern,) = (one for one in PATTERNS if one.name == name)
    takes, gives = tool_schemas(pattern)
    settings = Settings(llm="offline")
    forms = (("canonical", canonical_trace()), ("native", native_trace(pattern)))
    for form, trace in forms:
        given = {"trace": said(trace), "format": form, "mode": "quick", "model": "offline"}
        Draft202012Validator(takes).validate(given)
        answer = analyze(given["trace"], pattern=name, format=form, settings=settings)  # type: ignore[arg-type]
        Draft202012Validator(gives).validate(answer)
    assert not Draft202012Validator(takes).is_valid({"trace": {}})
    assert not Draft202012Validator(takes).is_valid({"trace": canonical_trace(), "mode": "slow"})
    assert not Draft202012Validator(gives).is_valid({"pattern": name})


def test_the_tools_of_the_store() -> None:
    for tool in learning_tools():
        listing = tool.listing
        assert "Use it" in listing["description"]
        assert "Not " in listing["description"]
        for name in ("inputSchema", "outputSchema"):
            Draft202012Validator.check_schema(listing[name])
            assert listing[name]["type"] == "object"


def test_when_to_use_is_said_of_patterns_that_there_are() -> None:
    assert set(WHEN) == {pattern.name for pattern in PATTERNS}
