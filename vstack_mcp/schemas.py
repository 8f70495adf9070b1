"""JSON Schemas of tools: an object at the root, and all that it refers to inside of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vstack_proto.catalogue import AnyPattern
from vstack_proto.openapi_schemas import PREFIX, Schemas, analyze_answer
from vstack_proto.patterns.common import MODES
from vstack_proto.trace import CanonicalTrace

Schema = dict[str, Any]

_LOCAL = "#/$defs/"
# Words about a value; a program that checks an answer needs none of them.
_WORDS = frozenset({"title", "description", "default", "discriminator", "examples"})
_NULL = {"type": "null"}

_OPTIONS: Schema = {
    "format": {
        "type": "string",
        "enum": ["native", "canonical"],
        "description": "Which of its two forms the trace has; native where this is left out.",
    },
    "mode": {
        "type": "string",
        "enum": list(MODES),
        "description": "How thorough: at most 1, 2 or 4 model calls; standard where this is left out.",
    },
    "model": {
        "type": "string",
        "maxLength": 200,
        "description": "The model to ask; without it the service's own. offline asks none: the signals alone decide.",
    },
}


def tool_schemas(pattern: AnyPattern) -> tuple[Schema, Schema]:
    """What a pattern's tool takes, and what it gives."""
    schemas = Schemas((pattern,))
    native, canonical = schemas.of(pattern.trace, pattern.name), schemas.of(CanonicalTrace)
    trace = {"anyOf": [native, canonical], "description": "The run: the pattern's own form, or the canonical one."}
    takes = {"type": "object", "properties": {"trace": trace, **_OPTIONS}, "required": ["trace"]}
    gives = analyze_answer({"type": "string", "const": pattern.name}, schemas.of(pattern.detection, pattern.name))
    return _closed(takes, schemas.components, _plain), _closed(gives, schemas.components, _bare)


def struct_schema(kind: type, *, bare: bool = False) -> Schema:
    """The schema of one of the service's own Structs, its fields at the root.

    Args:
        kind: The Struct.
        bare: Without words, for what a program checks.
    """
    schemas = Schemas(())
    root = schemas.components[schemas.of(kind)["$ref"].removeprefix(PREFIX)]
    return _closed(root, schemas.components, _bare if bare else _plain)


def _closed(root: Schema, components: Schema, made: Any) -> Schema:
    """A schema with its definitions, each as ``made`` leaves it."""
    wanted: dict[str, Schema] = {}
    todo = [root]
    while todo:
        for name in _references(todo.pop()):
            if name not in wanted:
                wanted[name] = components[name]
                todo.append(components[name])
    defs = {name: made(_moved(shape)) for name, shape in wanted.items()}
    told: Schema = made(_moved(root))
    return {**told, "$defs": defs} if defs else told


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value.removeprefix(PREFIX)
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _moved(node: Any) -> Any:
    """The same with references into ``$defs``."""
    if isinstance(node, dict):
        return {key: _moved(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_moved(value) for value in node]
    if isinstance(node, str) and node.startswith(PREFIX):
        return _LOCAL + node.removeprefix(PREFIX)
    return node


def _each(node: Schema, made: Any) -> Schema:
    """A schema whose parts are as ``made`` leaves them; what is no schema stays."""
    told: Schema = {}
    for key, value in node.items():
        if key == "items" and value is False:
            continue  # maxItems says the same, and some clients read no bare false
        if key in ("properties", "patternProperties"):
            told[key] = {name: made(part) for name, part in value.items()}
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            told[key] = [made(part) for part in value]
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            told[key] = made(value)
        else:
            told[key] = value
    return told


def _plain(node: Schema) -> Schema:
    """Of what goes in: what may be null may be left out, and says no more of it than that.

    To a model each alternative is one more thing to get wrong.
    """
    told = {key: value for key, value in node.items() if key not in ("default", "title")}
    choices = [one for one in told.get("anyOf", ()) if one != _NULL]
    if len(choices) == 1:
        rest = {key: value for key, value in told.items() if key != "anyOf"}
        return _plain({**choices[0], **rest})
    return _each(told, _plain)


def _bare(node: Schema) -> Schema:
    """Of what comes out: what a program checks."""
    return _each({key: value for key, value in node.items() if key not in _WORDS}, _bare)
