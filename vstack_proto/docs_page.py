"""The OpenAPI document for people: one page that needs no script and nothing from any other host."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import msgspec

from vstack_proto.docs_schema import alternatives, fields_table, inline, kind_of, schema_link
from vstack_proto.docs_style import DOCS_POLICY, META_POLICY, STYLE
from vstack_proto.negotiation import JSON

__all__ = ["DOCS_POLICY", "docs_page"]

Part = Mapping[str, Any]

# Where `vstack-api serve` listens unless it is told otherwise.
HERE = '"${VSTACK_URL:-http://127.0.0.1:8000}"'
_METHODS = ("get", "post")


def docs_page(document: dict[str, Any]) -> str:
    """The page.

    Args:
        document: What ``openapi`` returned.

    Returns:
        HTML, whole. All of the document's text is escaped. A Content-Security-Policy stands in the page itself;
        ``DOCS_POLICY`` is the same for the header.
    """
    return _Page(document).render()


class _Operation(msgspec.Struct, frozen=True):
    method: str
    path: str
    told: dict[str, Any]


class _Page:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.operations = [
            _Operation(method, path, item[method])
            for path, item in document["paths"].items()
            for method in _METHODS
            if method in item
        ]

    def render(self) -> str:
        info = self.document["info"]
        title = f"{escape(info['title'])} {escape(info['version'])}"
        return "".join(
            (
                '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
                f'<meta http-equiv="Content-Security-Policy" content="{escape(META_POLICY)}">\n',
                '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
                f"<title>{title}: the API</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
                '<a class="skip" href="#main">Skip to the content</a>\n',
                f"<header><h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
                '<p>This page as OpenAPI 3.1: <a href="openapi.json">openapi.json</a></p></header>\n',
                self._navigation(),
                '<main id="main" tabindex="-1">\n<section id="about"><h2>About</h2>',
                f"{prose(info['description'])}</section>\n",
                self._keys(),
                *(self._tag(tag) for tag in self.document["tags"]),
                self._errors(),
                self._schemas(),
                '</main>\n<footer><p><a href="#main">Back to the top</a></p></footer>\n</body>\n</html>\n',
            )
        )

    def _resolved(self, part: Part) -> Part:
        """What a reference to a part of the document stands for."""
        if "$ref" not in part:
            return part
        found: Any = self.document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return self._resolved(found)

    def _of_tag(self, tag: str) -> list[_Operation]:
        return [operation for operation in self.operations if tag in operation.told["tags"]]

    def _navigation(self) -> str:
        lists = []
        for tag in self.document["tags"]:
            links = (
                f'<li><a href="#{escape(one.told["operationId"])}"><span class="method">{one.method.upper()}</span> '
                f"{escape(one.path)}</a></li>"
                for one in self._of_tag(tag["name"])
            )
            lists.append(f"<h2>{escape(tag['name'].capitalize())}</h2><ul>{''.join(links)}</ul>")
        more = (("about", "About"), ("keys", "Keys"), ("errors", "Errors"), ("schemas", "Schemas"))
        rest = "".join(f'<li><a href="#{anchor}">{label}</a></li>' for anchor, label in more)
        return f'<nav aria-label="Contents">{"".join(lists)}<h2>More</h2><ul>{rest}</ul></nav>\n'

    def _keys(self) -> str:
        schemes = self.document["components"]["securitySchemes"]
        items = "".join(f"<li>{inline(scheme['description'])}</li>" for scheme in schemes.values())
        told = (
            "The examples below take the address of the service from <code>VSTACK_URL</code> and the key from "
            "<code>VSTACK_KEY</code>."
        )
        return f'<section id="keys"><h2>Keys</h2><ul>{items}</ul><p>{told}</p></section>\n'

    def _tag(self, tag: Part) -> str:
        name = tag["name"]
        operations = "".join(self._operation(operation) for operation in self._of_tag(name))
        heading = f'<h2 id="tag-{escape(name)}">{escape(name.capitalize())}</h2>{prose(tag["description"])}'
        return f'<section aria-labelledby="tag-{escape(name)}">{heading}{operations}</section>\n'

    def _operation(self, operation: _Operation) -> str:
        told, method = operation.told, operation.method.upper()
        parts = [
            f'<article id="{escape(told["operationId"])}">',
            f'<h3><span class="method">{method}</span> <code>{escape(operation.path)}</code></h3>',
            prose(f"{told['summary']}.".replace("?.", "?")),
            prose(told.get("description", "")),
            '<p class="quiet">Needs a key where the service requires one.</p>' if told["security"] else "",
            self._parameters(told),
            self._request(told),
            f'<h4>Example</h4><pre class="copy" tabindex="0"><code>{escape(self._curl(operation))}</code></pre>',
            self._answers(told["responses"]),
            "</article>\n",
        ]
        return "".join(parts)

    def _parameters(self, told: Part) -> str:
        rows = []
        for given in told["parameters"]:
            one = self._resolved(given)
            where = f"{escape(one['in'])}{', required' if one.get('required') else ''}"
            name, about = f"<code>{escape(one['name'])}</code>", inline(one["description"])
            rows.append((name, where, kind_of(one["schema"]), about))
        return f"<h4>Parameters</h4>{_table('fields', ('Name', 'Where', 'Value', 'What'), rows)}"

    def _request(self, told: Part) -> str:
        if "requestBody" not in told:
            return ""
        body = told["requestBody"]["content"][JSON]
        return f"<h4>Body</h4><p><code>{JSON}</code>: {kind_of(body['schema'])}</p>{self._examples(body)}"

    def _examples(self, media: Part) -> str:
        """The examples of a body, folded."""
        shown = []
        if "example" in media:
            shown.append(("Example", media["example"]))
        for given in media.get("examples", {}).values():
            one = self._resolved(given)
            shown.append((one.get("summary", "Example"), one["value"]))
        return "".join(
            f"<details><summary>{escape(label)}</summary>"
            f'<pre tabindex="0"><code>{escape(_text(value))}</code></pre></details>'
            for label, value in shown
        )

    def _answers(self, responses: Part) -> str:
        good = {status: self._resolved(given) for status, given in responses.items() if status < "400"}
        bad = {status: self._resolved(given) for status, given in responses.items() if status >= "400"}
        rows = [(f"<code>{status}</code>", self._answer(response)) for status, response in good.items()]
        errors = [(f"<code>{status}</code>", prose(response["description"])) for status, response in bad.items()]
        table = _table("answers", ("Status", "When"), errors)
        folded = f"<details><summary>Errors: {escape(', '.join(bad))}</summary>{table}</details>"
        return f"<h4>Answers</h4>{_table('answers', ('Status', 'What'), rows)}{folded}"

    def _answer(self, response: Part) -> str:
        parts = [prose(response["description"])]
        for media_type, media in response.get("content", {}).items():
            schema = media["schema"]
            about = f": {inline(schema['description'])}" if "description" in schema else ""
            kind = f"<p><code>{escape(media_type)}</code>: {kind_of(schema)}{about}</p>"
            parts.append(f"{kind}{self._examples(media)}")
        # A contributed route may name none.
        if names := ", ".join(f"<code>{escape(name)}</code>" for name in response.get("headers", ())):
            parts.append(f'<p class="quiet">Headers: {names}</p>')
        return "".join(parts)

    def _curl(self, operation: _Operation) -> str:
        """A command that can be pasted into a shell as it is."""
        path = operation.path
        for given in operation.told["parameters"]:
            one = self._resolved(given)
            if one["in"] == "path":
                path = path.replace(f"{{{one['name']}}}", one["schema"].get("enum", ["NAME"])[0])
        lines = [f"curl -sS {HERE}{shlex.quote(path)}"]
        if operation.told["security"]:
            lines.append('-H "Authorization: Bearer $VSTACK_KEY"')
        if "requestBody" in operation.told:
            media = operation.told["requestBody"]["content"][JSON]
            shown = [self._resolved(given)["value"] for given in media.get("examples", {}).values()]
            body = _text(shown[0]) if shown else '{"trace": {}}'
            lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(body)}"]
        return " \\\n  ".join(lines)

    def _errors(self) -> str:
        rows = [
            (f"<code>{row['status']}</code>", f"<code>{escape(row['error'])}</code>", inline(row["when"]))
            for row in self.document["x-errors"]
        ]
        table = _table("answers", ("Status", "Code", "When"), rows)
        shapes = f"{schema_link('Error')}, or {schema_link('Problem')} for who accepts it."
        return f'<section id="errors"><h2>Errors</h2><p>{shapes}</p>{table}</section>\n'

    def _schemas(self) -> str:
        folded = []
        for name, schema in self.document["components"]["schemas"].items():
            inside = f"{prose(schema.get('description', ''))}{fields_table(schema)}{alternatives(schema)}"
            summary = f"<summary><code>{escape(name)}</code></summary>"
            folded.append(f'<details class="schema" id="schema-{escape(name)}">{summary}{inside}</details>')
        return f'<section id="schemas"><h2>Schemas</h2>{"".join(folded)}</section>\n'


def prose(text: str) -> str:
    """Text with paragraphs, lists and code, as the document's descriptions have them, in HTML."""
    parts = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.split("\n")
        items = "".join(f"<li>{inline(line[2:])}</li>" for line in lines if line.startswith("- "))
        plain = " ".join(line.strip() for line in lines if not line.startswith("- "))
        parts.append((f"<p>{inline(plain)}</p>" if plain else "") + (f"<ul>{items}</ul>" if items else ""))
    return "".join(parts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _table(kind: str, heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    """A table; its cells are HTML already."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
