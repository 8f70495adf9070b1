"""A provider that answers what a test has written down."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import msgspec

from vstack_proto.values import ModelRequest, Usage
from vstack_runtime.backends import ProviderError


class Reply(msgspec.Struct, frozen=True):
    """What a model answers."""

    text: str
    usage: Usage = Usage(input_tokens=100, output_tokens=20)


Line = str | ProviderError | Callable[[ModelRequest], str]


class ScriptedProvider:
    """Answers each question with the next line of a script; the last line answers all that follow.

    Attributes:
        asked: Every question, in order.
        cancelled: How many calls were cancelled before they were answered.
    """

    name = "scripted"

    def __init__(self, script: Sequence[Line], *, delay: float = 0.0, default_model: str = "scripted-1") -> None:
        """
        Args:
            script: Answers: text, an error to raise, or a function of the question.
            delay: Seconds that every answer takes.
            default_model: Asked where a request names none.
        """
        self.default_model = default_model
        self.asked: list[ModelRequest] = []
        self.cancelled = 0
        self._script = list(script)
        self._delay = delay

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        """Answer the next line of the script.

        Raises:
            ProviderError: Where the script says so.
        """
        line = self._script[min(len(self.asked), len(self._script) - 1)]
        self.asked.append(request)
        try:
            await anyio.sleep(self._delay)
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        if isinstance(line, ProviderError):
            raise line
        return Reply(line(request) if callable(line) else line)


def least_answer(request: ModelRequest, text: str = "nothing to add") -> str:
    """The least answer that fits a question's JSON Schema, for a script that answers whatever is asked.

    Args:
        request: The question.
        text: Stands in every string that may be any; as a quotation it is kept only where the trace holds it.

    Returns:
        JSON: every field is there, lists hold one item, numbers are the smallest, of several values the first.
    """
    schema = json.loads(request.schema)
    return json.dumps(_least(schema, schema.get("$defs", {}), text))


def _least(schema: dict[str, Any], defs: dict[str, Any], text: str) -> Any:
    if "$ref" in schema:
        return _least(defs[schema["$ref"].rpartition("/")[2]], defs, text)
    if "anyOf" in schema:
        return _least(schema["anyOf"][0], defs, text)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object":
        return {name: _least(field, defs, text) for name, field in schema.get("properties", {}).items()}
    if kind == "array":
        if "prefixItems" in schema:
            return [_least(item, defs, text) for item in schema["prefixItems"]]
        return [_least(schema.get("items", {"type": "string"}), defs, text)] * max(1, schema.get("minItems", 1))
    return {"string": text, "boolean": False, "null": None}.get(kind or "", schema.get("minimum", 0))
