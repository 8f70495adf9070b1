"""The shapes that the REST surface sends and takes, and the schemas of a document: one name for each shape."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from vstack_proto.openapi_errors import CODES
from vstack_proto.openapi_learnings import HELPED
from vstack_proto.openapi_learnings import OWN as LEARNINGS
from vstack_proto.patterns.common import MODES, Count, Fault, Mode, Pattern
from vstack_proto.trace import CanonicalTrace

Schema = dict[str, Any]
AnyPattern = Pattern[Any, Any]
Names = tuple[str, ...]

PREFIX = "#/components/schemas/"

ErrorCode = Annotated[str, msgspec.Meta(extra_json_schema={"enum": sorted(CODES)})]


class Health(msgspec.Struct, frozen=True):
    """The process is alive; says nothing of what it depends on."""

    status: Literal["ok"]
    server: str
    version: str
    patterns: Count


class Readiness(msgspec.Struct, frozen=True):
    """Whether the service takes traffic, or why not; ``checks`` with the query ``verbose``."""

    status: Literal["ready", "warming", "draining", "misconfigured"]
    detail: str
    checks: dict[str, str] | UnsetType = UNSET


class PatternResources(msgspec.Struct, frozen=True):
    """Where the pages of a pattern are."""

    playbooks: str
    composition: str
    citations: str


class PatternEntry(msgspec.Struct, frozen=True):
    """A pattern as the catalogue lists it."""

    name: str
    friendly: str
    group: str
    tool: str
    summary: str
    input_class: str
    output_class: str
    modes: tuple[Mode, ...]
    analyze_url: str
    resources: PatternResources


class PatternList(msgspec.Struct, frozen=True):
    """The patterns, in the order of their numbers."""

    count: Count
    patterns: tuple[PatternEntry, ...]


class PlaybookEntry(msgspec.Struct, frozen=True):
    """A playbook under its key, whose parts are joined by ``::``."""

    key: str
    key_parts: Names
    playbook: dict[str, Any]


class PlaybookList(msgspec.Struct, frozen=True):
    """The playbooks of a pattern."""

    pattern: str
    playbooks: tuple[PlaybookEntry, ...]
    count: Count


class Neighbours(msgspec.Struct, frozen=True):
    """Patterns to run before and after; ``downstream_by_FIELD`` goes by what the detection says in that field."""

    upstream: Names
    framework_overlays: dict[str, Names]
    intervention_overlays: dict[str, str] | UnsetType = UNSET


class CompositionPage(msgspec.Struct, frozen=True):
    """The neighbours of a pattern."""

    pattern: str
    composition: Neighbours


class ErrorMembers(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong. Members beyond the first three depend on ``error``.

    Attributes:
        errors: With ``validation_error``: where (a JSON pointer) and what.
        error_count: How many there are, those left out too.
        limit: What ``request_too_large`` and ``headers_too_large`` allow.
        actual: What there was.
        setting: The variable that raises the limit; null where it is fixed.
        retry_after: Whole seconds, as in ``Retry-After``.
        allow: With ``method_not_allowed``, as in ``Allow``.
        nearest: With ``unknown_pattern``: names that were perhaps meant.
        missing: With ``trace_not_readable``: what the pattern needs.
        position: With ``invalid_json``: the byte where reading stopped.
    """

    error: ErrorCode
    message: str
    request_id: str
    errors: tuple[Fault, ...] | UnsetType = UNSET
    error_count: Count | UnsetType = UNSET
    limit: Count | UnsetType = UNSET
    actual: Count | UnsetType = UNSET
    setting: str | UnsetType | None = UNSET
    retry_after: Count | UnsetType = UNSET
    allow: str | UnsetType = UNSET
    nearest: Names | UnsetType = UNSET
    missing: str | UnsetType = UNSET
    position: Count | UnsetType = UNSET


class Error(msgspec.Struct, frozen=True):
    """An error in the service's own form."""

    detail: ErrorMembers


class Problem(ErrorMembers, frozen=True, kw_only=True):
    """The same error as RFC 9457 has it, for who accepts ``application/problem+json``."""

    type: Literal["about:blank"]
    title: str
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    detail: str


class Progress(msgspec.Struct, frozen=True):
    """Data of a ``progress`` event: which pass of how many begins. ``pass`` counts from 1."""

    number: int = msgspec.field(name="pass")
    passes: int
    pattern: str


OWN: tuple[type[msgspec.Struct], ...] = (
    Health,
    Readiness,
    PatternEntry,
    PatternList,
    PlaybookList,
    CompositionPage,
    Error,
    Problem,
    Progress,
    CanonicalTrace,
    *LEARNINGS,
)


class Schemas:
    """The schemas of a document.

    Attributes:
        components: By name. A name that two patterns use for different shapes gets the pattern's in front of it
            (``aar.Step``): no class has a dot in its name, so that nothing else can be called that.
    """

    def __init__(self, patterns: Iterable[AnyPattern]) -> None:
        groups: dict[str, Sequence[type]] = {"": OWN}
        self._playbooks: list[str] = []
        patterns = tuple(patterns)
        for pattern in patterns:
            books = dict.fromkeys(type(playbook) for playbook in pattern.playbooks)
            groups[pattern.name] = (pattern.trace, pattern.detection, *books)
        refs, shapes = _shapes(groups)
        for pattern in patterns:
            trace = shapes[pattern.name][refs[pattern.name][0]]
            for name in pattern.non_blank:
                # What Pattern.faults checks besides the Struct.
                trace["properties"][name]["pattern"] = r"\S"
        clashing = _clashing(shapes)
        self.components: dict[str, Schema] = {}
        self._names: dict[tuple[str, type], str] = {}
        for owner, own in shapes.items():
            names = {name: f"{owner}.{name}" if owner and name in clashing else name for name in own}
            self.components.update({names[name]: _renamed(shape, names) for name, shape in own.items()})
            kinds = zip(groups[owner], refs[owner], strict=True)
            self._names.update({(owner, kind): names[name] for kind, name in kinds})
        self._complete(groups)
        for pattern in patterns:
            self._add_analysis(pattern)

    def of(self, kind: type, owner: str = "") -> Schema:
        """A reference to the schema of a Struct, as the pattern ``owner`` or the service itself means it."""
        return {"$ref": PREFIX + self._names[owner, kind]}

    def request_of(self, pattern: AnyPattern) -> Schema:
        """A reference to what the body of an analysis may be."""
        return {"$ref": f"{PREFIX}{pattern.name}.AnalyzeRequest"}

    def answer_of(self, pattern: AnyPattern) -> Schema:
        """A reference to what an analysis answers."""
        return {"$ref": f"{PREFIX}{pattern.name}.AnalyzeAnswer"}

    def _complete(self, groups: Mapping[str, Sequence[type]]) -> None:
        """Say what a Struct cannot."""
        maps = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}
        self.components["Neighbours"]["patternProperties"] = {"^downstream_by_": maps}
        books = [self.of(kind, owner) for owner, kinds in groups.items() if owner for kind in kinds[2:]]
        if books:
            unique = {ref["$ref"]: ref for ref in books}
            self.components["PlaybookEntry"]["properties"]["playbook"] = {"anyOf": list(unique.values())}

    def _add_analysis(self, pattern: AnyPattern) -> None:
        native, canonical = self.of(pattern.trace, pattern.name), self.of(CanonicalTrace)
        self.components[f"{pattern.name}.AnalyzeRequest"] = {
            "title": "AnalyzeRequest",
            "description": "A trace in an envelope, or bare with the options beside its fields.",
            "oneOf": [
                _envelope("Native trace", native, _NATIVE, []),
                _envelope("Canonical trace", canonical, _CANONICAL, ["format"]),
                _bare("Bare native trace", native, _NATIVE, []),
                _bare("Bare canonical trace", canonical, _CANONICAL, ["format"]),
            ],
        }
        self.components[f"{pattern.name}.AnalyzeAnswer"] = analyze_answer(
            {"const": pattern.name}, self.of(pattern.detection, pattern.name)
        )


_OPTIONS: Schema = {
    "mode": {"enum": [*MODES, None], "default": "standard", "description": "How many model calls may be made."},
    "model": {
        "type": ["string", "null"],
        "maxLength": 200,
        "description": "The model to ask; without it the service's own. `offline` asks none: the signals alone decide.",
    },
    "baseline": {
        "type": ["string", "null"],
        "pattern": "^[A-Za-z0-9_-]{1,100}$",
        "description": "Name of an earlier detection to compare with, as `vstack-api baseline record` has kept it; the "
        "detection's `baseline` tells the difference.",
    },
}
_NATIVE: Schema = {"enum": ["native", None], "default": "native", "description": "The trace is the pattern's own."}
_CANONICAL: Schema = {"const": "canonical", "description": "The trace is the one that all patterns read."}
# A body is an envelope where its `trace` is an object, and a bare trace otherwise.
_IS_ENVELOPE: Schema = {"required": ["trace"], "properties": {"trace": {"type": "object"}}}


def analyze_request() -> Schema:
    """What the body of an analysis may be, whatever the pattern."""
    options = {**_OPTIONS, "format": {"enum": ["native", "canonical", None], "default": "native"}}
    trace = {"type": "object", "description": "The trace; without this member, the whole body is the trace."}
    return {"type": "object", "properties": {"trace": trace, **options}}


def analyze_answer(pattern: Schema, detection: Schema) -> Schema:
    """What an analysis answers."""
    return {
        "title": "AnalyzeAnswer",
        "type": "object",
        "required": ["pattern", "mode", "model", "detection", "cached"],
        "properties": {
            "pattern": pattern,
            "mode": {"enum": list(MODES)},
            "model": {"type": "string", "description": "The model that was really asked."},
            "detection": {**detection, "properties": {"what_helped_before": HELPED}},
            "cached": {"type": "boolean"},
            "warnings": {
                "type": "array",
                "items": {"type": "string"},
                "description": "What of the request was ignored.",
            },
        },
    }


def _envelope(title: str, trace: Schema, form: Schema, required: list[str]) -> Schema:
    # The reference alone would let a trace through that is no object: a Struct's schema says that it is one.
    return {
        "title": title,
        "type": "object",
        "required": ["trace", *required],
        "properties": {"trace": trace, **_OPTIONS, "format": form},
    }


def _bare(title: str, trace: Schema, form: Schema, required: list[str]) -> Schema:
    options = {"type": "object", "required": required, "properties": {**_OPTIONS, "format": form}, "not": _IS_ENVELOPE}
    return {"title": title, "allOf": [trace, options]}


def _shapes(groups: Mapping[str, Sequence[type]]) -> tuple[dict[str, list[str]], dict[str, dict[str, Schema]]]:
    """By group: the names of its types, and all schemas that they need."""
    names: dict[str, list[str]] = {}
    shapes: dict[str, dict[str, Schema]] = {}
    for owner, kinds in groups.items():
        refs, shapes[owner] = msgspec.json.schema_components(kinds, ref_template=PREFIX + "{name}")
        names[owner] = [ref["$ref"].removeprefix(PREFIX) for ref in refs]
        for shape in shapes[owner].values():
            _describe(shape)
    return names, shapes


def _describe(shape: Schema) -> None:
    """Take a docstring apart: what it says of its attributes goes to them, and code is marked as Markdown has it."""
    told = inspect.cleandoc(shape.pop("description", "")).replace("``", "`")
    about, _, listed = told.partition("\n\nAttributes:\n")
    if about:
        shape["description"] = " ".join(about.split())
    for item in re.split(r"\n(?=    \S)", listed):
        names, _, meaning = item.partition(":")
        for name in names.split(","):
            field = shape["properties"].get(name.strip())
            if field is not None:
                field["description"] = " ".join(meaning.split())


def _clashing(shapes: Mapping[str, Mapping[str, Schema]]) -> set[str]:
    """The names that mean different things to different groups."""
    meanings: dict[str, list[Schema]] = {}
    for own in shapes.values():
        for name, shape in own.items():
            meanings.setdefault(name, []).append(shape)
    shared = {name: found for name, found in meanings.items() if len(found) > 1}
    clashing = {name for name, found in shared.items() if any(shape != found[0] for shape in found)}
    while True:
        # Equal to the letter, but what it refers to is not the same.
        more = {name for name, found in shared.items() if clashing & set(_references(found[0]))} - clashing
        if not more:
            return clashing
        clashing |= more


def _references(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].removeprefix(PREFIX)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """A schema whose references follow ``names``, those of a discriminator's mapping too."""
    if isinstance(node, list):
        return [_renamed(item, names) for item in node]
    if isinstance(node, str) and node.startswith(PREFIX):
        name = node.removeprefix(PREFIX)
        return PREFIX + names.get(name, name)
    if isinstance(node, dict):
        return {key: _renamed(value, names) for key, value in node.items()}
    return node
