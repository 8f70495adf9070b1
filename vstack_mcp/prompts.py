"""Prompts: one that chooses a pattern, and one for each pattern that has it run on the work at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from vstack_mcp.revisions import INVALID_PARAMS, ProtocolFault
from vstack_mcp.tools import PREFIX, text
from vstack_mcp.when import WHEN, description
from vstack_proto.catalogue import AnyPattern, Catalogue
from vstack_proto.patterns.common import MODES

PICK = PREFIX + "pick_pattern"

_TRACE = """\
Write the run down as a canonical trace, word for word and in order: {"goal": what was to be done, with its \
conditions, "steps": [{"agent": who, "type": "message" | "tool_call" | "tool_result" | "thought" | "decision", \
"content": what was said, called or returned}, ...], "outcome": how it ended, "success": true or false}.\
"""
_AFTERWARDS = """\
Then tell me how severe it is, what proves it (quote the evidence with its step numbers), and what to change first. \
Claim nothing that the detection does not say.\
"""


class LocalPrompt(msgspec.Struct, frozen=True):
    """A prompt of somebody's own: as ``prompts/list`` shows it, and what makes its messages of the arguments."""

    listing: dict[str, Any]
    make: Callable[[Mapping[str, str]], list[dict[str, Any]]]


def pick(catalogue: Catalogue) -> LocalPrompt:
    """The prompt that chooses."""
    listing = {
        "name": PICK,
        "title": "Choose a pattern",
        "description": "Which vstack tool fits what went wrong in a run of agents.",
        "arguments": [
            {
                "name": "situation",
                "title": "Situation",
                "description": "What went wrong, in your words.",
                "required": True,
            },
            {
                "name": "known_artifacts",
                "title": "Known artifacts",
                "description": "What there is of the run: a transcript, an org chart, a survey.",
                "required": False,
            },
        ],
    }

    def make(given: Mapping[str, str]) -> list[dict[str, Any]]:
        known = "\n".join(f"- {PREFIX}{one.name}: {_brief(one)}" for one in catalogue.patterns.values())
        artifacts = given.get("known_artifacts")
        held = f"Of it there is:\n\n{artifacts}\n\n" if artifacts else ""
        told = (
            f"In a run of AI agents this went wrong:\n\n{given['situation']}\n\n{held}These vstack tools diagnose "
            f"runs:\n\n{known}\n\nChoose the one that fits best, at most three, and say in a sentence each why. Then "
            "call the first of them."
        )
        return [_user(told)]

    return LocalPrompt(listing, make)


def invoke(pattern: AnyPattern) -> LocalPrompt:
    """The prompt that has a pattern looked through."""
    listing = {
        "name": f"{PREFIX}{pattern.name}_invoke",
        "title": f"Run {pattern.friendly}",
        "description": pattern.summary,
        "arguments": [
            {
                "name": "artifact",
                "title": "Artifact",
                "description": "The run, as text or JSON; without it, the conversation so far.",
                "required": False,
            },
            {"name": "mode", "title": "Mode", "description": f"One of {', '.join(MODES)}.", "required": False},
        ],
    }

    def make(given: Mapping[str, str]) -> list[dict[str, Any]]:
        mode = given.get("mode") or "standard"
        if mode not in MODES:
            raise ProtocolFault(INVALID_PARAMS, f"mode is one of {', '.join(MODES)}")
        artifact = given.get("artifact")
        which = f"this run:\n\n{artifact}" if artifact else "what happened in this conversation so far."
        told = (
            f"{description(pattern)}\n\nDiagnose by it {which}\n\n{_TRACE}\n\nCall {PREFIX}{pattern.name} with "
            f'{{"trace": ..., "format": "canonical", "mode": "{mode}"}}. {_AFTERWARDS}'
        )
        return [_user(told)]

    return LocalPrompt(listing, make)


def got(prompt: LocalPrompt, given: Mapping[str, str]) -> dict[str, Any]:
    """The answer to ``prompts/get``.

    Raises:
        ProtocolFault: -32602, a required argument is missing or blank.
    """
    for argument in prompt.listing.get("arguments", ()):
        if argument.get("required") and not given.get(argument["name"], "").strip():
            raise ProtocolFault(INVALID_PARAMS, f"argument {argument['name']} is missing: {argument['description']}")
    return {"description": prompt.listing["description"], "messages": prompt.make(given)}


def _brief(pattern: AnyPattern) -> str:
    when = WHEN.get(pattern.name)
    return pattern.summary if when is None else f"{pattern.summary} Use it where {when.use}."


def _user(told: str) -> dict[str, Any]:
    return {"role": "user", "content": text(told)}
