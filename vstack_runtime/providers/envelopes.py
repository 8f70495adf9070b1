"""One schema for all passes of an analysis, so that a service's cache is of use.

Anthropic and OpenAI put the schema of an answer before the prompt. Were each pass bound by its own, no pass would begin
as the one before it, and the trace, which all of them share, would be paid for in full each time. So all are bound by
one, the envelope, which holds the shapes of all passes, and each pass says which of them it wants:

    {"answer": {"Causes": {...}}}
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import msgspec

from vstack_proto.analysis.machine import unfenced
from vstack_proto.values import ModelRequest
from vstack_runtime.providers.common import error_of
from vstack_runtime.providers.schemas import strict_schema, told_schema

# What Anthropic's structured outputs take in one request: 16 parameters with a union type, and 24 optional ones, of
# which there are none here (platform.claude.com/docs/en/build-with-claude/structured-outputs, "Schema complexity
# limits"). What OpenAI's take: 10 levels, 5,000 properties, 1,000 values of enums and 120,000 characters of names and
# values (developers.openai.com/api/docs/guides/structured-outputs, "Supported schemas").
MAX_UNIONS = 16
MAX_LEVELS = 10
MAX_PROPERTIES = 5_000
MAX_VALUES = 1_000
MAX_WORD_CHARS = 120_000

# Of each service: patterns times modes times models, and some more.
_MAX_REFUSED = 512
# How a service says that a schema is too much for it: "The compiled grammar is too large", "Schema is too complex",
# "Schemas contain too many parameters with union types", each with 400.
_TOO_MUCH = re.compile(r"grammar|schemas?\b.*\btoo\b|output_config\.format", re.IGNORECASE | re.DOTALL)

Schema = dict[str, Any]


class Envelope(NamedTuple):
    """What all passes of an analysis are bound by.

    Attributes:
        schema: In strict form, not to be changed.
        shapes: By a pass's own schema, encoded: the name that its answers have in here.
    """

    schema: Schema
    shapes: dict[bytes, str]


class Binding(NamedTuple):
    """What one question is bound by.

    Attributes:
        schema: For the service, not to be changed; None where it can only be told in the prompt.
        shared: Whether there are other passes that are bound by the same, so that what stands after the schema can be
            found in a cache.
        shape: The name of the wanted answer in an envelope; empty where the schema is the pass's own.
        shapes: All names in the envelope.
    """

    schema: Schema | None
    shared: bool = False
    shape: str = ""
    shapes: tuple[str, ...] = ()

    def wish(self) -> str:
        """A paragraph for after the instruction that says which shape is wanted; empty where there is but one."""
        if not self.shape:
            return ""
        return f"\n\nYour schema holds a shape for each question; this answer has the shape {self._framed('{...}')}"

    def told(self, schema: bytes) -> str:
        """The pass's own schema as such a paragraph, for services that may not hold to what they are bound by."""
        if not self.shape:
            return f"\n\n{told_schema(schema)}"
        framed = self._framed("{...}")
        return f"\n\nAnswer with {framed} and nothing else, where {{...}} fits this JSON Schema:\n{schema.decode()}"

    def opened(self, text: str) -> str:
        """An answer as its pass knows it: out of the envelope.

        What is in no envelope stays as it is, and what has another shape keeps its name, so that whoever decodes it can
        say what is wrong.
        """
        if not self.shape:
            return text
        try:
            answer = msgspec.json.decode(unfenced(text), type=_Enclosed).answer
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return text
        if len(answer) != 1 or not answer.keys() <= set(self.shapes):
            return text
        wanted = answer.get(self.shape)
        return (msgspec.json.encode(answer) if wanted is None else bytes(wanted)).decode()

    def enclosed(self, text: str) -> str:
        """An answer that ``opened`` has let out, as the model gave it, cut off or not."""
        if not self.shape or not text.startswith("{"):
            return text
        named = text.startswith(tuple(f'{{"{shape}":' for shape in self.shapes))
        return f'{{"answer": {text}}}' if named else self._framed(text)

    def _framed(self, text: str) -> str:
        return f'{{"answer": {{"{self.shape}": {text}}}}}'


class _Enclosed(msgspec.Struct, forbid_unknown_fields=True):
    answer: dict[str, msgspec.Raw]


class Envelopes:
    """Chooses what questions to a service are bound by, and remembers what was too much for the service."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, tuple[bytes, ...]], None] = {}

    def binding(self, request: ModelRequest) -> Binding:
        """What a question is bound by: an envelope where there are several passes, else its own schema."""
        found = envelope(request.schemas)
        if found is None or request.schema not in found.shapes or (request.model, request.schemas) in self._refused:
            return own(request)
        return Binding(found.schema, True, found.shapes[request.schema], tuple(found.shapes.values()))

    def leave_out(self, request: ModelRequest) -> None:
        """Send this question's envelope to its model no more: from now on each pass is bound by its own schema."""
        self._refused[request.model, request.schemas] = None
        if len(self._refused) > _MAX_REFUSED:
            del self._refused[next(iter(self._refused))]


def own(request: ModelRequest) -> Binding:
    """A question bound by its pass's own schema."""
    return Binding(strict_schema(request.schema), len(request.schemas) > 1 and len(set(request.schemas)) == 1)


def schema_refused(status: int, told: object) -> bool:
    """Whether an answer says that a schema is too much: too many unions, too large a grammar.

    Args:
        status: Of the answer.
        told: Its body, decoded.
    """
    return status == 400 and _TOO_MUCH.search(error_of(told)["message"]) is not None


@functools.lru_cache(maxsize=512)
def envelope(schemas: tuple[bytes, ...]) -> Envelope | None:
    """One schema for all passes, the same for the same passes in the same order.

    Args:
        schemas: Each pass's own, as msgspec writes them, encoded.

    Returns:
        None where there is but one, where one of them has no strict form, and where all in one are more than a service
        takes.
    """
    shapes: dict[bytes, str] = {}
    definitions: Schema = {}
    branches: list[Schema] = []
    for schema in dict.fromkeys(schemas):
        strict = strict_schema(schema)
        if strict is None:
            return None
        name = shapes[schema] = _free(_name(schema), tuple(shapes.values()))
        branches.append(_object({name: _merged(strict, definitions)}))
    root = _object({"answer": {"anyOf": branches}})
    whole = {**root, "$defs": definitions} if definitions else root
    return Envelope(whole, shapes) if len(branches) > 1 and _fits(whole) else None


def _name(schema: bytes) -> str:
    """What the root of a schema is called; the first word where msgspec spells a generic one out."""
    called = str(msgspec.json.decode(schema).get("$ref", "")).rpartition("/")[2].partition("_")[0]
    return called if called.isalnum() else "Answer"


def _free(name: str, taken: Collection[str]) -> str:
    """The name, with the first number that makes it another than those that are taken, if one of them is it."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _merged(schema: Schema, definitions: Schema) -> Schema:
    """A schema without its definitions, which are added to ``definitions``.

    One whose name stands there with another content is renamed, and so is what refers to it.
    """
    parts: Schema = schema.get("$defs", {})
    names = {name: name for name in parts}
    while True:
        renamed = {name: _renamed(part, names) for name, part in parts.items()}
        clashing = [name for name in parts if definitions.get(names[name], renamed[name]) != renamed[name]]
        if not clashing:
            break
        for name in clashing:
            names[name] = _free(name, {*definitions, *names.values()})
    definitions.update((names[name], part) for name, part in renamed.items())
    return {key: _renamed(part, names) for key, part in schema.items() if key != "$defs"}


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(one, names) for one in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": f"#/$defs/{names[node['$ref'].rpartition('/')[2]]}"}
    return {key: _renamed(part, names) for key, part in node.items()}


def _fits(schema: Schema) -> bool:
    """Whether services take a schema of this size."""
    unions = properties = values = characters = 0
    for level, part in _parts(schema):
        fields, members = part.get("properties", ()), part.get("enum", ())
        unions += "anyOf" in part
        properties += len(fields)
        values += len(members)
        characters += sum(len(str(word)) for word in (*fields, *members))
        if level > MAX_LEVELS or unions > MAX_UNIONS or properties > MAX_PROPERTIES:
            return False
    return values <= MAX_VALUES and characters <= MAX_WORD_CHARS


def _parts(schema: Schema) -> Iterator[tuple[int, Schema]]:
    """Every part with the number of objects and lists that it stands in; a definition comes wherever it is used."""
    definitions = schema.get("$defs", {})
    waiting = [(0, schema)]
    while waiting:
        level, part = waiting.pop()
        if "$ref" in part:
            part = definitions[part["$ref"].rpartition("/")[2]]
        yield level, part
        waiting += [(level, one) for one in part.get("anyOf", ())]
        waiting += [(level + 1, one) for one in part.get("properties", {}).values()]
        waiting += [(level + 1, one) for one in (part.get("items"),) if one is not None]
