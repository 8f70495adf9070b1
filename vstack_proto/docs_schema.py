"""JSON Schemas in words, as HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec

Schema = Mapping[str, Any]

_PREFIX = "#/components/schemas/"
_CODE = re.compile(r"(`+)([^`]+)\1")
_NAMES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
_BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("minLength", "{} characters or more"),
    ("maxLength", "{} characters or fewer"),
    ("minItems", "{} items or more"),
    ("maxItems", "{} items or fewer"),
    ("pattern", "matches {}"),
    ("default", "default {}"),
)


def inline(text: str) -> str:
    """Text with `` `code` `` in it as HTML."""
    return _CODE.sub(r"<code>\2</code>", escape(text))


def schema_link(name: str) -> str:
    """A link to a schema of the page."""
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'


def kind_of(schema: Schema) -> str:
    """What a schema allows, as one phrase."""
    if "$ref" in schema:
        return schema_link(schema["$ref"].removeprefix(_PREFIX))
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(kind_of(one) for one in schema[key])
    if "enum" in schema:
        return "one of " + ", ".join(_code(value) for value in schema["enum"])
    if "const" in schema:
        return _code(schema["const"])
    return _plain_kind(schema)


def _plain_kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return " or ".join(_NAMES[one] for one in kind)
    if "prefixItems" in schema:
        return "list of " + ", ".join(kind_of(one) for one in schema["prefixItems"])
    if kind == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    if kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, dict) and values:
            return f"object, each member {kind_of(values)}"
        names = ", ".join(_code_name(name) for name in schema.get("properties", ()))
        return f"object with {names}" if names else "object"
    return _NAMES[kind] if kind else "any value"


def fields_table(schema: Schema) -> str:
    """The members of an object; empty for what is none."""
    required = schema.get("required", ())
    rows = []
    for name, field in schema.get("properties", {}).items():
        bounds = [words.format(_code(field[key])) for key, words in _BOUNDS if key in field]
        needed = "required" if name in required else "optional"
        told = "; ".join((kind_of(field), *bounds, needed))
        about = f"<br>{inline(field['description'])}" if "description" in field else ""
        rows.append(f'<tr><th scope="row">{_code_name(name)}</th><td>{told}{about}</td></tr>')
    for pattern, field in schema.get("patternProperties", {}).items():
        rows.append(f'<tr><th scope="row">matches {_code_name(pattern)}</th><td>{kind_of(field)}</td></tr>')
    if not rows:
        return ""
    head = '<thead><tr><th scope="col">Field</th><th scope="col">What</th></tr></thead>'
    return f'<table class="fields">{head}<tbody>{"".join(rows)}</tbody></table>'


def alternatives(schema: Schema) -> str:
    """The forms of which a value has one; empty where a schema has no such choice."""
    forms = []
    for form in schema.get("oneOf", ()):
        parts = form.get("allOf", (form,))
        told = "".join(fields_table(part) or f"<p>The fields of {kind_of(part)}, and:</p>" for part in parts)
        forms.append(f"<li>{escape(form.get('title', ''))}{told}</li>")
    return f"<p>One of:</p><ol>{''.join(forms)}</ol>" if forms else ""


def _code(value: Any) -> str:
    return _code_name(msgspec.json.encode(value).decode())


def _code_name(name: str) -> str:
    return f"<code>{escape(name)}</code>"
