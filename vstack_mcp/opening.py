"""What a peer is told first: who serves, which revisions, what it can do. It needs no pattern, hence no wait."""

from __future__ import annotations

from typing import Any

import msgspec

from vstack_mcp import log_level
from vstack_mcp.context import Context, member, text_of
from vstack_mcp.messages import Request
from vstack_mcp.revisions import INVALID_PARAMS, LATEST_LEGACY, LEGACY, MODERN, SERVER_KEY, ProtocolFault

# Lists change with an upgrade, that is with a restart; a client that keeps one over it is wrong for five minutes.
TTL_MS = 300_000

INSTRUCTIONS = """\
vstack diagnoses finished runs of AI agents. Give a tool the trace of a run (what the agents said, called and decided, \
and how it ended); it answers how bad a certain kind of trouble is, which steps prove it, and what to change.

Which tool: vstack_aar where it is only known that a run went wrong. Otherwise the one whose description fits the \
symptom; the prompt vstack_pick_pattern and the resource vstack://patterns/index help to choose.

The trace: the common one is easiest, {"goal", "steps": [{"agent", "type", "content"}], "outcome", "success"} with \
"format": "canonical". Put in what was really said and done, word for word: evidence is quoted from it, by step number \
from 0. Do not summarise a run before it is diagnosed.

Cost: "mode": "quick" makes one model call, "standard" two, "forensic" four; "model": "offline" makes none and always \
works. Equal requests are answered from a cache where one is kept.\
"""


class About(msgspec.Struct, frozen=True):
    """Who serves. Name and version stand in every modern result: they are kept short."""

    version: str
    name: str = "vstack"
    title: str = "vstack: diagnoses runs of AI agents"

    @property
    def info(self) -> dict[str, str]:
        """``serverInfo`` where it is told once."""
        return {"name": self.name, "title": self.title, "version": self.version}

    @property
    def brief(self) -> dict[str, str]:
        """``serverInfo`` where it is told again and again."""
        return {"name": self.name, "version": self.version}


def capabilities(revision: str) -> dict[str, Any]:
    """What is served. Nothing is said of lists that change and resources that can be watched: there are none."""
    told: dict[str, Any] = {"tools": {}, "resources": {}, "prompts": {}, "logging": {}}
    # A capability of its own since 2025-03-26; the method was there before.
    return told if revision == LEGACY[0] else {**told, "completions": {}}


def initialize(request: Request, about: About) -> tuple[str, dict[str, Any]]:
    """The answer of the legacy handshake, and the revision that it settles on.

    Raises:
        ProtocolFault: -32602, the request names no revision.
    """
    asked = text_of(request.params, "protocolVersion")
    revision = asked if asked in LEGACY else LATEST_LEGACY
    return revision, {
        "protocolVersion": revision,
        "capabilities": capabilities(revision),
        "serverInfo": about.info,
        "instructions": INSTRUCTIONS,
    }


def discover(about: About) -> dict[str, Any]:
    """What the modern era asks in the place of the handshake."""
    return {
        "supportedVersions": list(MODERN),
        "capabilities": capabilities(MODERN[-1]),
        "instructions": INSTRUCTIONS,
        "ttlMs": TTL_MS,
        "cacheScope": "public",
        "_meta": {SERVER_KEY: about.info},
    }


def set_level(request: Request) -> str:
    """The level that a legacy peer wants from now on.

    Raises:
        ProtocolFault: -32602, there is no such level.
    """
    if "level" not in request.params:
        raise ProtocolFault(INVALID_PARAMS, "params.level is missing")
    return log_level.checked(member(request.params["level"], str, "params.level", "a string"))


def completed(told: dict[str, Any], context: Context, about: About) -> dict[str, Any]:
    """A result with what its era wants of every result."""
    if not context.modern:
        return told
    meta = {SERVER_KEY: about.brief, **told.get("_meta", {})}
    return {"resultType": "complete", **told, "_meta": meta}
