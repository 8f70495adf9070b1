"""Messages of a conversation against the official schema of their revision, which is read where it lies."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator

SHARED = Path(__file__).resolve().parents[3] / "shared" / "mcp"

_METHODS = {
    "initialize": "Initialize",
    "server/discover": "Discover",
    "ping": "Ping",
    "logging/setLevel": "SetLevel",
    "tools/list": "ListTools",
    "tools/call": "CallTool",
    "resources/list": "ListResources",
    "resources/templates/list": "ListResourceTemplates",
    "resources/read": "ReadResource",
    "prompts/list": "ListPrompts",
    "prompts/get": "GetPrompt",
    "completion/complete": "Complete",
}
_NOTIFICATIONS = {
    "notifications/initialized": "InitializedNotification",
    "notifications/cancelled": "CancelledNotification",
    "notifications/progress": "ProgressNotification",
    "notifications/message": "LoggingMessageNotification",
}
_EMPTY = ("ping", "logging/setLevel")

Side = Literal["client", "server"]


def shared(name: str) -> Path:
    """A file of the facts about the protocol; its absence skips the test with the reason."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name}: the shared facts about MCP are not on this machine")
    return path


@functools.cache
def _validator(revision: str, name: str) -> Draft202012Validator:
    schema = json.loads(shared(f"schema/{revision}.json").read_text("utf-8"))
    where = "$defs" if "$defs" in schema else "definitions"
    assert name in schema[where], f"{revision} knows no {name}"
    return Draft202012Validator({**schema, "$ref": f"#/{where}/{name}"})


def check(revision: str, name: str, value: Any) -> None:
    """Assert that a value fits a definition of a revision's schema."""
    faults = [f"{fault.json_path}: {fault.message}" for fault in _validator(revision, name).iter_errors(value)]
    assert faults == [], (revision, name, value)


class Conversation:
    """The messages of one connection, in order, each checked as it comes.

    Attributes:
        seen: (side, method) of every message; of a result the method that it answers, of an error its code.
    """

    def __init__(self, revision: str) -> None:
        self.revision = revision
        self.seen: list[tuple[Side, str | int]] = []
        self._asked: dict[Any, str] = {}

    def add(self, side: Side, message: Any) -> None:
        """Check a message."""
        revision = self.revision
        check(revision, "JSONRPCMessage", message)
        if "method" in message:
            method = message["method"]
            self.seen.append((side, method))
            if "id" not in message:
                check(revision, _NOTIFICATIONS[method], message)
                return
            self._asked[message["id"]] = method
            check(revision, f"{_METHODS[method]}Request", message)
        elif "result" in message:
            method = self._asked.pop(message["id"])
            self.seen.append((side, method))
            check(revision, "EmptyResult" if method in _EMPTY else f"{_METHODS[method]}Result", message["result"])
        else:
            self._asked.pop(message["id"])
            self.seen.append((side, message["error"]["code"]))

    @property
    def unanswered(self) -> list[Any]:
        """The ids of requests without an answer."""
        return list(self._asked)
