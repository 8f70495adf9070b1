"""JSON Schemas as the providers' strict modes want them. What is lost here, the strict decode behind it still holds."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

# What OpenAI's and Anthropic's strict modes both take. Ranges, lengths, patterns, titles and defaults are refused by
# one or the other, so they are left out.
_KEPT = ("type", "enum", "const", "description")


class NotStrict(Exception):
    """The schema cannot be said in strict form: it has an object whose names are not fixed."""


@functools.lru_cache(maxsize=1024)
def strict_schema(schema: bytes) -> dict[str, Any] | None:
    """A schema for strict modes: every object closed, every field required, no keyword that they refuse.

    Args:
        schema: JSON Schema (2020-12) as msgspec writes it, encoded.

    Returns:
        The converted schema, not to be changed; None where it cannot be said in strict form.
    """
    told: dict[str, Any] = msgspec.json.decode(schema)
    definitions = told.get("$defs", {})
    # The root must be an object itself and may not be a reference (OpenAI).
    root = told
    while "$ref" in root:
        root = definitions[root["$ref"].rpartition("/")[2]]
    try:
        strict = _strict(root)
        used = {name: _strict(definition) for name, definition in definitions.items() if definition is not root}
    except NotStrict:
        return None
    return {**strict, "$defs": used} if used else strict


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    kept: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if "enum" in kept and "type" not in kept and all(isinstance(word, str) for word in kept["enum"]):
        kept["type"] = "string"
    if "anyOf" in schema:
        return {**kept, "anyOf": [_strict(one) for one in schema["anyOf"]]}
    if schema.get("type") == "object":
        if isinstance(schema.get("additionalProperties"), dict) or "properties" not in schema:
            raise NotStrict
        properties = {name: _strict(one) for name, one in schema["properties"].items()}
        return {**kept, "properties": properties, "required": list(properties), "additionalProperties": False}
    if schema.get("type") == "array":
        if not isinstance(schema.get("items"), dict):
            raise NotStrict
        return {**kept, "items": _strict(schema["items"])}
    if not kept.keys() & {"type", "enum", "const"}:
        raise NotStrict
    return kept


def told_schema(schema: bytes) -> str:
    """The schema as a paragraph of a prompt, for services that cannot be bound to it."""
    return "Answer with one JSON object that fits this JSON Schema, and nothing else:\n" + schema.decode()
