"""The OpenAPI document, made of the route table and the Structs, so that it cannot say what the service does not do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from vstack_proto import openapi_examples as examples
from vstack_proto.answers import server_event
from vstack_proto.catalogue import citations, composition, entry, playbooks
from vstack_proto.negotiation import EVENTS, JSON
from vstack_proto.openapi_errors import (
    ANALYSES,
    ERRORS,
    EVERYWHERE,
    NAMES_PATTERN,
    NEEDS_KEY,
    STORES,
    TAKES_JSON,
    WAITS,
    error_responses,
    header_refs,
)
from vstack_proto.openapi_learnings import LEARNING_ID, OPERATIONS
from vstack_proto.openapi_schemas import (
    CompositionPage,
    Health,
    PatternEntry,
    PatternList,
    PlaybookList,
    Readiness,
    Schemas,
    analyze_answer,
    analyze_request,
)
from vstack_proto.patterns.common import Pattern
from vstack_proto.routes import Endpoint, Route

AnyPattern = Pattern[Any, Any]
Part = dict[str, Any]

_ABOUT = (
    "Diagnoses runs of AI agents: a trace goes in, a detection with the steps that prove it comes out.\n\n"
    "`HEAD` works where `GET` does. Any other path answers 404 `not_found`. Every answer carries `X-Request-ID`. An "
    "error is `{detail: {error, message, request_id}}`, or the same members as RFC 9457 has them for who accepts "
    '`application/problem+json`. `model: "offline"` needs no model provider.'
)
_KEY = "Needed on /v1 where the operator requires keys (`VSTACK_API_REQUIRE_AUTH`)."
_SECURITY_SCHEMES: Part = {
    "bearer": {"type": "http", "scheme": "bearer", "description": f"`Authorization: Bearer KEY`. {_KEY}"},
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": f"`X-API-Key: KEY`, read where there is no `Authorization`. {_KEY}",
    },
}
_TAGS = (
    ("analysis", "Diagnose a trace"),
    ("learnings", "What was found, what was done, and whether it helped; each caller's own"),
    ("catalogue", "What patterns there are, and what they know"),
    ("contributed", "What other packages add"),
    ("service", "Health, metrics and this document; no key, no quota"),
)


def _header(description: str, schema: Part) -> Part:
    return {"description": description, "schema": schema}


_WHOLE: Part = {"type": "integer", "minimum": 0}
_HEADERS: Part = {
    "X-Request-ID": _header("The caller's, or one made for this request.", {"type": "string"}),
    "X-RateLimit-Limit": _header("Requests in a window; where a quota is set.", _WHOLE),
    "X-RateLimit-Remaining": _header("How many of them are left.", _WHOLE),
    "RateLimit-Policy": _header(
        "The quota in the IETF draft's form, where the operator asks for it.", {"type": "string"}
    ),
    "RateLimit": _header("What is left of it, likewise.", {"type": "string"}),
    "Retry-After": _header("Whole seconds to wait.", _WHOLE),
    "X-Cache": _header("Where a detection came from.", {"enum": ["hit", "miss", "coalesced"]}),
    "Age": _header("Seconds since the detection was made; with `X-Cache: hit`.", _WHOLE),
    "ETag": _header("A strong validator for `If-None-Match`.", {"type": "string", "pattern": '^"[0-9a-f]{32}"$'}),
    "Allow": _header("The methods that the path takes.", {"type": "string"}),
    "WWW-Authenticate": _header("How to authenticate.", {"const": 'Bearer realm="vstack"'}),
}
_QUOTA = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "RateLimit-Policy", "RateLimit")


def _parameter(where: str, name: str, description: str, schema: Part, **more: Any) -> Part:
    return {"name": name, "in": where, "description": description, "schema": schema, **more}


_REQUEST_ID = _parameter(
    "header", "X-Request-ID", "Comes back in the answer.", {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,200}$"}
)
_PARAMETERS: Part = {
    "RequestId": _REQUEST_ID,
    "IfNoneMatch": _parameter("header", "If-None-Match", "The ETag that the caller has: 304.", {"type": "string"}),
    "ContentEncoding": _parameter("header", "Content-Encoding", "How the body is packed.", {"enum": ["gzip", "zstd"]}),
    "Verbose": _parameter(
        "query", "verbose", "List each check; the value does not matter.", {"type": "string"}, allowEmptyValue=True
    ),
}


# Where the service is, as long as nobody has mounted it elsewhere.
AT_ROOT = "/"


def openapi(routes: Iterable[Route], patterns: Iterable[AnyPattern], version: str) -> Part:
    """The document.

    Args:
        routes: The route table: one operation each, and one more for each pattern of an analysis.
        patterns: The patterns of the catalogue, in its order.
        version: Of the service.

    Returns:
        OpenAPI 3.1, JSON values only; equal arguments give an equal document. ``x-errors`` lists all errors there are.
    """
    patterns = tuple(patterns)
    writer = _Writer(patterns)
    paths: dict[str, Part] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = writer.operation(route)
        if route.endpoint == "analyze":
            for pattern in patterns:
                path = route.path.replace("{name}", pattern.name)
                paths[path] = {route.method.lower(): writer.analysis_by(route, path, pattern)}
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "vstack",
            "version": version,
            "summary": "Diagnoses runs of AI agents",
            "description": _ABOUT,
        },
        "servers": [{"url": AT_ROOT}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(writer.schemas.components.items())),
            "responses": dict(sorted(writer.responses.items())),
            "parameters": {"PatternName": writer.name_parameter(), "LearningId": LEARNING_ID, **_PARAMETERS},
            "headers": _HEADERS,
            "examples": {"canonical": {"summary": "A canonical trace", "value": examples.canonical_request()}},
            "securitySchemes": _SECURITY_SCHEMES,
        },
        "x-errors": [{"status": row.status, "error": row.code, "when": row.when} for row in ERRORS],
    }
    # Defaults of Structs are tuples and the like; what the document says is JSON.
    told: Part = msgspec.json.decode(msgspec.json.encode(document))
    return told


class _Writer:
    """Writes operations, and gathers what they share."""

    def __init__(self, patterns: tuple[AnyPattern, ...]) -> None:
        self.patterns = patterns
        self.schemas = Schemas(patterns)
        etag = header_refs(("X-Request-ID", "ETag"))
        self.responses: dict[str, Part] = {
            "NotModified": {"description": "The caller has it already.", "headers": etag}
        }

    def name_parameter(self) -> Part:
        """The parameter of all paths that name a pattern."""
        known = {"enum": [pattern.name for pattern in self.patterns]} if self.patterns else {}
        return _parameter("path", "name", "A pattern.", {"type": "string", **known}, required=True)

    def operation(self, route: Route) -> Part:
        """The operation of a route."""
        parameters = [{"$ref": "#/components/parameters/RequestId"}]
        if route.contribution is not None:
            told = _operation(route, route.path, route.summary, "contributed", parameters)
            return {**told, **route.contribution.describe()}
        tag, codes, describe = _ENDPOINTS[route.endpoint]
        if "{name}" in route.path:
            parameters.insert(0, {"$ref": "#/components/parameters/PatternName"})
        if "{id}" in route.path:
            parameters.insert(0, {"$ref": "#/components/parameters/LearningId"})
        told = _operation(route, route.path, route.summary, tag, parameters)
        described = describe(self)
        parameters += described.pop("parameters", [])
        responses = {**described.pop("responses"), **self.errors(codes)}
        if route.endpoint == "readyz":
            responses["503"] = self._not_ready(responses["503"])
        return {**told, **described, "responses": responses}

    def analysis_by(self, route: Route, path: str, pattern: AnyPattern) -> Part:
        """The operation of an analysis by one pattern, with its own types."""
        parameters = [{"$ref": f"#/components/parameters/{name}"} for name in ("RequestId", "ContentEncoding")]
        told = _operation(route, path, f"{route.summary}: {pattern.friendly}", "analysis", parameters)
        trace, answer = examples.made(pattern)
        request = {"schema": self.schemas.request_of(pattern)}
        if trace is not None:
            request["examples"] = {
                "native": {"summary": "The pattern's own trace", "value": examples.native_request(trace)},
                "canonical": {"$ref": "#/components/examples/canonical"},
            }
        return {
            **told,
            "description": pattern.summary,
            "requestBody": {"required": True, "content": {JSON: request}},
            "responses": {
                "200": _analyzed(self.schemas.answer_of(pattern), answer),
                **self.errors(EVERYWHERE | NEEDS_KEY | ANALYSES),
            },
        }

    def errors(self, codes: Iterable[str]) -> Part:
        """References to the error responses of an operation; equal ones are written once."""
        references = {}
        for status, response in error_responses(codes).items():
            name = "-".join((status, *response["content"][JSON]["examples"]))
            self.responses[name] = response
            references[status] = {"$ref": f"#/components/responses/{name}"}
        return references

    def _not_ready(self, reference: Part) -> Part:
        """503 of ``/readyz``: the same body as 200, or an error where the service stops before it could answer."""
        error = self.responses[reference["$ref"].rpartition("/")[2]]
        content = error["content"]
        stops = content[JSON]
        body = {
            "schema": {"anyOf": [self.schemas.of(Readiness), stops["schema"]]},
            "examples": {
                "warming": {"value": {"status": "warming", "detail": "the cache does not answer yet"}},
                **stops["examples"],
            },
        }
        told = f"`status` is warming, draining or misconfigured, and `detail` says why.\n{error['description']}"
        return {**error, "description": told, "content": {**content, JSON: body}}

    def livez(self) -> Part:
        value = {"status": "ok", "server": "vstack-api", "version": "0.1.0", "patterns": 3}
        return _answers(_ok("Alive.", {JSON: {"schema": self.schemas.of(Health), "example": value}}))

    def readyz(self) -> Part:
        value = {"status": "ready", "detail": "all checks passed"}
        ready = _ok("Takes traffic.", {JSON: {"schema": self.schemas.of(Readiness), "example": value}})
        return {**_answers(ready), "parameters": [{"$ref": "#/components/parameters/Verbose"}]}

    def metrics(self) -> Part:
        text = {"schema": {"type": "string"}}
        page = _ok("The metrics.", {"text/plain": text, "application/openmetrics-text": text})
        return _answers(page)

    def openapi(self) -> Part:
        return _document({JSON: {"schema": {"type": "object"}}})

    def docs(self) -> Part:
        return _document({"text/html": {"schema": {"type": "string"}}})

    def list_patterns(self) -> Part:
        listed = [entry(pattern) for pattern in self.patterns[:1]]
        return self._page(PatternList, *({"count": 1, "patterns": [one]} for one in listed))

    def pattern(self) -> Part:
        return self._page(PatternEntry, *(entry(pattern) for pattern in self.patterns[:1]))

    def playbooks(self) -> Part:
        told = [playbooks(pattern) for pattern in self.patterns if pattern.playbooks]
        return self._page(PlaybookList, *({**one, "playbooks": one["playbooks"][:1], "count": 1} for one in told[:1]))

    def composition(self) -> Part:
        told = [{"pattern": one.name, "composition": _first(composition(one))} for one in self.patterns[:1]]
        return self._page(CompositionPage, *told)

    def citations(self) -> Part:
        shown = {"example": citations(self.patterns[0])} if self.patterns else {}
        return _document({"text/markdown": {"schema": {"type": "string"}, **shown}}, _QUOTA)

    def analyze(self) -> Part:
        found = [self.schemas.of(pattern.detection, pattern.name) for pattern in self.patterns]
        detection = {"anyOf": found} if found else {"type": "object"}
        made = (examples.made(one)[1] for one in self.patterns)
        shown = next((answer for answer in made if answer is not None), None)
        request = {
            "schema": analyze_request(),
            "examples": {"canonical": {"$ref": "#/components/examples/canonical"}},
        }
        told = (
            "The body is `{trace, mode, model, format}`, or a bare trace with the options beside its fields. Each "
            "pattern has a path of its own below, where its types stand."
        )
        return {
            "description": told,
            "parameters": [{"$ref": "#/components/parameters/ContentEncoding"}],
            "requestBody": {"required": True, "content": {JSON: request}},
            **_answers(_analyzed(analyze_answer({"type": "string"}, detection), shown)),
        }

    def kept(self, endpoint: Endpoint) -> Part:
        """What is said to a store of learnings or telemetry, or asked of it."""
        sent, (kind, example, status), parameters = OPERATIONS[endpoint]
        answer = {JSON: {"schema": self.schemas.of(kind), "example": example}}
        told: Part = {"responses": {status: _ok("So it is kept.", answer, _QUOTA)}, "parameters": [*parameters]}
        if sent is not None:
            body = {"schema": self.schemas.of(sent[0]), "example": examples.concise(sent[1])}
            told["requestBody"] = {"required": True, "content": {JSON: body}}
            told["parameters"].append({"$ref": "#/components/parameters/ContentEncoding"})
        return told

    def _page(self, kind: type[msgspec.Struct], *example: Any) -> Part:
        shown = {"example": example[0]} if example else {}
        return _document({JSON: {"schema": self.schemas.of(kind), **shown}}, _QUOTA)


_CATALOGUE = EVERYWHERE | NEEDS_KEY
_ENDPOINTS: dict[Endpoint, tuple[str, frozenset[str], Callable[[_Writer], Part]]] = {
    "livez": ("service", EVERYWHERE, _Writer.livez),
    "readyz": ("service", EVERYWHERE | WAITS, _Writer.readyz),
    "metrics": ("service", EVERYWHERE | WAITS, _Writer.metrics),
    "openapi": ("service", EVERYWHERE, _Writer.openapi),
    "docs": ("service", EVERYWHERE, _Writer.docs),
    "patterns": ("catalogue", _CATALOGUE, _Writer.list_patterns),
    "pattern": ("catalogue", _CATALOGUE | NAMES_PATTERN, _Writer.pattern),
    "playbooks": ("catalogue", _CATALOGUE | NAMES_PATTERN, _Writer.playbooks),
    "citations": ("catalogue", _CATALOGUE | NAMES_PATTERN, _Writer.citations),
    "composition": ("catalogue", _CATALOGUE | NAMES_PATTERN, _Writer.composition),
    "analyze": ("analysis", _CATALOGUE | NAMES_PATTERN | ANALYSES, _Writer.analyze),
    "learnings": ("learnings", _CATALOGUE | STORES, lambda writer: writer.kept("learnings")),
    "record_learning": (
        "learnings",
        _CATALOGUE | STORES | TAKES_JSON | NAMES_PATTERN,
        lambda writer: writer.kept("record_learning"),
    ),
    "report_outcome": ("learnings", _CATALOGUE | STORES | TAKES_JSON, lambda writer: writer.kept("report_outcome")),
    "outcomes": ("learnings", _CATALOGUE | STORES, lambda writer: writer.kept("outcomes")),
    "analytics": ("analysis", _CATALOGUE | STORES, lambda writer: writer.kept("analytics")),
}


def _operation(route: Route, path: str, summary: str, tag: str, parameters: list[Part]) -> Part:
    words = re.findall(r"[A-Za-z0-9_]+", path.replace("{", "by_"))
    return {
        "operationId": "_".join((route.method.lower(), *words)),
        "tags": [tag],
        "summary": summary,
        "security": [] if route.public else [{name: []} for name in _SECURITY_SCHEMES],
        "parameters": parameters,
    }


def _answers(response: Part, **more: Part) -> Part:
    return {"responses": {"200": response, **more}}


def _ok(description: str, content: Part, headers: Iterable[str] = ()) -> Part:
    return {"description": description, "headers": header_refs(("X-Request-ID", *headers)), "content": content}


def _document(content: Part, headers: Iterable[str] = ()) -> Part:
    """A page that does not change while the process lives."""
    answered = _answers(_ok("The page.", content, ("ETag", *headers)))
    answered["responses"]["304"] = {"$ref": "#/components/responses/NotModified"}
    return {**answered, "parameters": [{"$ref": "#/components/parameters/IfNoneMatch"}]}


def _analyzed(schema: Part, answer: Part | None) -> Part:
    """200 of an analysis, as one body or as events; ``answer`` is an example of it."""
    whole: Part = {"schema": schema}
    events: Part = {
        "schema": {
            "type": "string",
            "description": "`progress` events, then one `result` (what JSON answers) or one `error` event.",
        },
        "x-events": {
            "progress": {"$ref": "#/components/schemas/Progress"},
            "result": schema,
            "error": {"$ref": "#/components/schemas/Error"},
        },
    }
    if answer is not None:
        whole["examples"] = {"offline": {"summary": "By the signals alone, shortened", "value": answer}}
        told = (
            server_event("progress", msgspec.json.encode({"pass": 1, "passes": 1, "pattern": answer["pattern"]})),
            server_event("result", msgspec.json.encode(answer)),
        )
        events["example"] = b"".join(told).decode()
    return _ok("The detection.", {JSON: whole, EVENTS: events}, ("X-Cache", "Age", *_QUOTA))


def _first(told: Mapping[str, Any]) -> Part:
    """The maps of a composition with the first entry of each."""
    return {name: dict([*value.items()][:1]) if isinstance(value, dict) else value for name, value in told.items()}
