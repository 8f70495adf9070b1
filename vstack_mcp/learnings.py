"""Tools of the learning store: what was found, what was done about it, and whether it helped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from vstack_mcp.context import member
from vstack_mcp.revisions import INVALID_PARAMS, ProtocolFault
from vstack_mcp.schemas import struct_schema
from vstack_proto.learning import DEFAULT_RECALLED, MAX_RECALLED, MAX_WORD_CHARS, Finding, LearningRecord, OutcomeReport
from vstack_proto.openapi_learnings import LearningList, OutcomeList

Endpoint = Literal["learnings", "outcomes", "record_learning", "report_outcome"]
Arguments = dict[str, msgspec.Raw]

# What becomes part of a target is bounded as targets are: some MB of it take seconds to quote, and to read again.
MAX_TARGET_BYTES = 8_192

_WORD = {"type": "string", "maxLength": MAX_WORD_CHARS}
_CHOICES = {
    "pattern": {**_WORD, "description": "Of this pattern alone."},
    "agent_id": {**_WORD, "description": "Of this agent alone."},
    "crew_id": {**_WORD, "description": "Of this crew alone."},
}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": MAX_RECALLED, "description": f"{DEFAULT_RECALLED} unless said."}


class Wanted(msgspec.Struct, frozen=True):
    """What is asked of the store, as the service's own route takes it."""

    endpoint: Endpoint
    name: str = ""
    body: bytes = b""
    query: str = ""


class LearningTool(msgspec.Struct, frozen=True):
    """A tool of the store: as it is listed, and what its arguments ask for."""

    listing: dict[str, Any]
    wanted: Callable[[bytes], Wanted]


def _short(raw: bytes, name: str) -> bytes:
    if len(raw) > MAX_TARGET_BYTES:
        raise ProtocolFault(INVALID_PARAMS, f"{name} has {len(raw)} bytes; the limit is {MAX_TARGET_BYTES}")
    return raw


def _arguments(raw: bytes) -> Arguments:
    found: Arguments = member(msgspec.Raw(raw), Arguments, "params.arguments", "an object")
    return found


def _word(raw: bytes) -> str:
    """An argument as a query has it. Whether it can be is for the service to say, in words that a model can read."""
    text = bytes(raw)
    if not text.startswith(b'"'):
        return text.decode()
    found: str = member(msgspec.Raw(text), str, "params.arguments", "an object")
    return found


def _queried(endpoint: Endpoint) -> Callable[[bytes], Wanted]:
    def wanted(raw: bytes) -> Wanted:
        told = _arguments(_short(raw, "params.arguments"))
        given = {name: _word(value) for name, value in told.items() if bytes(value) != b"null"}
        return Wanted(endpoint, query=urlencode(given, errors="replace"))

    return wanted


def _record(raw: bytes) -> Wanted:
    return Wanted("record_learning", body=raw)


def _report(raw: bytes) -> Wanted:
    given = _arguments(raw)
    name = _word(_short(given.pop("id"), "params.arguments.id")) if "id" in given else ""
    return Wanted("report_outcome", name, msgspec.json.encode(given))


def _tool(
    told: tuple[str, str, str], takes: dict[str, Any], gives: type, wanted: Callable[[bytes], Wanted], **hints: bool
) -> LearningTool:
    name, title, about = told
    listing = {
        "name": name,
        "title": title,
        "description": about,
        "inputSchema": takes,
        "outputSchema": struct_schema(gives, bare=True),
        "annotations": {"title": title, "openWorldHint": False, "destructiveHint": False, **hints},
    }
    return LearningTool(listing, wanted)


def tools() -> tuple[LearningTool, ...]:
    """All of them; listed where the service keeps learnings."""
    return (*_writing(), *_reading())


def _writing() -> tuple[LearningTool, ...]:
    report = struct_schema(OutcomeReport)
    identity = {**_WORD, "description": "Of the learning, as it was recorded or recalled."}
    reported = {**report, "properties": {"id": identity, **report["properties"]}, "required": ["id", "outcome"]}
    writes = {"readOnlyHint": False, "idempotentHint": False}
    return (
        _tool(
            (
                "vstack_record_learning",
                "Record a learning",
                "Keeps what a diagnosis found and what was done about it, so that later ones can tell what helped. "
                "Use it once a change was really made. Not for a plan, and not for the detection itself.",
            ),
            struct_schema(Finding),
            LearningRecord,
            _record,
            **writes,
        ),
        _tool(
            (
                "vstack_report_outcome",
                "Say whether it helped",
                "Notes on a learning whether what was done improved matters. Use it after a later run has shown it. "
                "Not as a guess: unknown is an outcome too.",
            ),
            reported,
            LearningRecord,
            _report,
            **{**writes, "idempotentHint": True},
        ),
    )


def _reading() -> tuple[LearningTool, ...]:
    reads = {"readOnlyHint": True, "idempotentHint": True}
    return (
        _tool(
            (
                "vstack_recall_learnings",
                "Recall learnings",
                "Lists what was found before and what was done about it, the newest first. "
                "Use it before a change is proposed for trouble that was met before. Not to diagnose a run.",
            ),
            {"type": "object", "properties": {**_CHOICES, "limit": _LIMIT}},
            LearningList,
            _queried("learnings"),
            **reads,
        ),
        _tool(
            (
                "vstack_learning_outcomes",
                "What helped how often",
                "Tells for each kind of change how often it helped, the surest first, with 95 % intervals. "
                "Use it to choose between changes. Not as proof where runs are few: the interval tells.",
            ),
            {"type": "object", "properties": _CHOICES},
            OutcomeList,
            _queried("outcomes"),
            **reads,
        ),
    )
