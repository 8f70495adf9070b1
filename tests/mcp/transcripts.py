"""Recorded conversations with the official server, as cases: what a client sent, and in which way it was answered."""

from __future__ import annotations

import ast
import json
import re
from typing import Any, NamedTuple

from tests.mcp.frames import shared

_REQUEST = re.compile(r"C->S (\w+) /mcp (\{.*?\})\n     (.*?)\nS->C HTTP/1.1 (\d+)[^\n]*\n     (.*)", re.DOTALL)

Answer = tuple[Any, ...]
"""``("result", id)``, ``("error", code, id)``, or ``("notification", method)``."""


class Exchange(NamedTuple):
    """A line of a client, and how it was answered."""

    sent: str
    answers: list[Answer]


class Request(NamedTuple):
    """A request over HTTP, the status that it got, and the error code of its answer, if it had one."""

    title: str
    method: str
    headers: dict[str, str]
    body: str
    status: int
    code: int | None


def kind(message: Any) -> Answer:
    """In which way a message answers."""
    if "error" in message:
        return "error", message["error"]["code"], message.get("id")
    return ("result", message["id"]) if "result" in message else ("notification", message["method"])


def _kind_of(line: str) -> Answer:
    """The same of a recorded line, whose end may be cut off."""
    if (found := re.match(r'\{"jsonrpc":"2.0","id":(.+?),"result"', line)) is not None:
        return "result", json.loads(found[1])
    return kind(json.loads(line))


def stdio(name: str) -> dict[str, list[Exchange]]:
    """The cases of a transcript over stdio, by title."""
    cases: dict[str, list[Exchange]] = {}
    turns: list[Exchange] = []
    for line in shared(f"transcripts/{name}").read_text("utf-8").splitlines():
        if line.startswith("## "):
            turns = cases[line.removeprefix("## ")] = []
        elif line.startswith(("C->S <", "S->C <")):
            continue  # the end of a stream
        elif line.startswith("C->S"):
            turns.append(Exchange(line[5:], []))
        elif line.startswith("S->C"):
            turns[-1].answers.append(_kind_of(line[5:]))
    return cases


def http(name: str) -> list[Request]:
    """The requests of a transcript over HTTP."""
    text = shared(f"transcripts/{name}").read_text("utf-8")
    found = []
    for case in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, rest = case.split("\n", 1)
        match = re.search(
            r"C->S (\w+) /mcp (\{.*?\})\n     (.*?)\nS->C HTTP/1.1 (\d+)[^\n]*\n     (.*)", rest, re.DOTALL
        )
        if match is None:
            continue
        method, headers, body, status, answer = match.groups()
        told = ast.literal_eval(answer.split("\n")[0].strip())
        code = re.search(r'"error":\{"code":(-\d+)', told)
        found.append(Request(title, method, json.loads(headers), body, int(status), int(code[1]) if code else None))
    return found
