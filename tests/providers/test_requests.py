"""What each provider is sent: the prompt, the schema in its own words, and what is cached."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.fakes.model_service import serving
from tests.providers.kit import NAMES, SCHEMA, asked, provider
from vstack_proto.analysis.prompts import answer_schema
from vstack_runtime.engine import installed_patterns
from vstack_runtime.providers.schemas import strict_schema

STRICT = {
    "type": "object",
    "properties": {"found": {"type": "string"}},
    "required": ["found"],
    "additionalProperties": False,
}


def sent(to: str, **changes: Any) -> dict[str, Any]:
    with serving() as server:
        asked("asyncio", provider(to, server.url), **changes)
    assert len(server.asked) == 1
    return server.asked[0].body


@pytest.mark.parametrize("passes", [1, 2])
def test_anthropic_is_sent_the_schema_and_what_to_cache(passes: int) -> None:
    body = sent("anthropic", schemas=(SCHEMA,) * passes)
    cached = {"cache_control": {"type": "ephemeral"}}
    assert body["system"] == [{"type": "text", "text": "You diagnose runs.", **cached}]
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                # To write it to the cache costs more than to read it: only another pass can find it there.
                {"type": "text", "text": "<run>a trace</run>", **(cached if passes > 1 else {})},
                {"type": "text", "text": "What happened?"},
            ],
        }
    ]
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": STRICT}}
    assert body["model"] == "claude-sonnet-5-5"
    # Models of this generation refuse them.
    assert not {"temperature", "top_p", "top_k", "tools", "tool_choice"} & body.keys()


def test_openai_is_sent_the_strict_schema() -> None:
    body = sent("openai", name="p" * 80)
    wanted = {"name": "p" * 64, "strict": True, "schema": STRICT}
    assert body["response_format"] == {"type": "json_schema", "json_schema": wanted}
    system, user = body["messages"]
    assert system == {"role": "system", "content": "You diagnose runs."}
    # The trace first: what all passes share is the part that the service caches by itself.
    assert user["content"].startswith("<run>a trace</run>\n\nWhat happened?")


def test_ollama_is_sent_the_schema_and_a_window_that_holds_the_prompt() -> None:
    body = sent("ollama", shared="x" * 90_000)
    assert body["format"] == msgspec.json.decode(SCHEMA)
    assert body["stream"] is False
    assert body["options"]["num_ctx"] == 65_536


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("previous", ["{nonsense", " ", None])
def test_a_repair_shows_what_did_not_fit(name: str, previous: str | None) -> None:
    messages = sent(name, previous=previous, complaint="`found` is missing")["messages"]
    assert messages[-1]["role"] == "user"
    assert "`found` is missing" in messages[-1]["content"]
    shown = [message["content"] for message in messages if message["role"] == "assistant"]
    if name == "anthropic":
        # It refuses blank turns.
        assert shown == ([previous] if previous == "{nonsense" else [])
    else:
        assert shown == [previous or ""]


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_a_schema_that_no_strict_mode_takes_is_told_in_the_prompt(name: str) -> None:
    loose = msgspec.json.encode({"type": "object", "additionalProperties": {"type": "string"}})
    body = sent(name, schema=loose)
    assert loose.decode() in str(body["messages"])
    assert "output_config" not in body
    assert body.get("response_format", {}).get("type") != "json_schema"


# Schemas.


def objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for one in schema for found in objects(one)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "object" and isinstance(schema.get("properties"), dict) else []
    return own + [found for one in schema.values() for found in objects(one)]


PASSES = {
    f"{pattern.name}-{mode}-{one.name}": one.answer
    for pattern in installed_patterns()
    for mode, passes in pattern.passes.items()
    for one in passes
}
REFUSED = ("title", "default", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_has_a_strict_schema(name: str) -> None:
    strict = strict_schema(answer_schema(PASSES[name]))
    assert strict is not None
    assert strict["type"] == "object"
    found = objects(strict)
    assert found
    for one in found:
        assert (one["required"], one["additionalProperties"]) == (list(one["properties"]), False)
        for part in one["properties"].values():
            assert not set(REFUSED) & part.keys()
    text = msgspec.json.encode(strict).decode()
    named = {part.split('"')[0] for part in text.split('"$ref":"#/$defs/')[1:]}
    assert named == set(strict.get("$defs", {})) & named


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {}}},
    ],
)
def test_what_cannot_be_said_in_strict_form(schema: dict[str, Any]) -> None:
    assert strict_schema(msgspec.json.encode(schema)) is None
