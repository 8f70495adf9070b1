"""What is sent: traces and requests made by arithmetic, so that every run sends the same bytes."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

# Of no use anywhere but here.
KEY = "benchmark-key-0123456789abcdef"
WRONG_KEY = "benchmark-key-that-nobody-knows"

_PROSE = (
    "the session store keeps expiry per key and our load test showed forty thousand reads a second on one node so we "
    "measured failover with replication enabled before the decision was written down invoice total differs from order "
    "because tax was rounded twice retry after timeout returned error code while agent searched table of customers by "
    "region found nothing then guessed column name query failed again plan changed budget report draft reviewed by "
    "colleague approved without reading numbers again tool call result shows empty page parser skipped header verify "
    "answer against source document date mismatch final submission sent wrong currency missing refund policy step"
)
_WORDS = _PROSE.split()
_START = dt.datetime(2025, 3, 3, 9, 0, tzinfo=dt.UTC)
_STEP_TYPES = ("thought", "tool_call", "observation", "message", "decision")
_MESSAGE_TYPES = ("proposal", "critique", "tool_call", "observation", "approval", "question", "handoff", "decision")
_AUTHORITIES = ("none", "partial", "full")

Trace = dict[str, object]


def _prose(chooser: random.Random, characters: int) -> str:
    """Words, and a number now and then, of about so many characters."""
    text: list[str] = []
    length = 0
    while length < characters:
        word = chooser.choice(_WORDS) if chooser.random() < 0.9 else str(chooser.randrange(10_000))
        text.append(word)
        length += len(word) + 1
    return " ".join(text)[: max(8, characters)].rstrip()


def aar_trace(steps: int, characters: int = 120) -> Trace:
    """A run of a few agents: ``steps`` steps of about so many characters each; one in ten fails."""
    chooser = random.Random(steps)
    return {
        "goal": "Settle the invoice of order 4711 and tell the customer",
        "outcome": "The refund went out in the wrong currency",
        "success": False,
        "steps": [
            {
                "timestamp": (_START + dt.timedelta(seconds=7 * n)).isoformat(),
                "type": _STEP_TYPES[n % 5],
                "content": _prose(chooser, characters),
                "metadata": {"agent": f"agent-{n % 4}", **({"status": "error"} if n % 10 == 7 else {})},
            }
            for n in range(steps)
        ],
    }


def loafing_trace(messages: int, characters: int = 120) -> Trace:
    """A team of one agent for every ten messages, at least three; one message in six only stamps."""
    chooser = random.Random(messages)
    team = [f"agent-{n}" for n in range(max(3, messages // 10))]
    said = []
    for n in range(messages):
        stamps = n % 6 == 5
        said.append(
            {
                "from_agent": team[n * 7 % len(team)],
                "message_type": "rubber_stamp" if stamps else _MESSAGE_TYPES[n % 8],
                "content": "Looks good to me, agreed" if stamps else _prose(chooser, characters),
                "timestamp": (_START + dt.timedelta(seconds=11 * n)).isoformat(),
            }
        )
    return {"task": "Choose a store for the session data", "agents": team, "messages": said, "outcome": "Redis"}


def span_trace(agents: int, characters: int = 120) -> Trace:
    """A crew of so many agents, about eight under each lead, and as many observations as there are leads."""
    chooser = random.Random(agents)
    roster = [
        {
            "agent_id": f"agent-{n}",
            "role_name": f"role {n % 23}",
            "reports_to": [f"agent-{(n - 1) // 8}"] if n else [],
            "decision_authority": _AUTHORITIES[n % 3],
        }
        for n in range(agents)
    ]
    return {
        "task": "Answer what customers ask within the hour",
        "agents": roster,
        "outcome": "Half of the requests waited for the lead",
        "success": False,
        "incoming_request_rate": 40.0,
        "observed_behaviors": [_prose(chooser, characters) for _ in range(max(1, agents // 8))],
    }


def canonical_trace(steps: int, characters: int = 120) -> Trace:
    """The same run in the form that every pattern reads, with what some of them want to know besides.

    A lead, three workers, and a person who speaks up now and then; every tenth step routes a task, each says what was
    felt and what was read, and the metadata say what the task is like, whose work is reviewed, and what each did alone.
    """
    run = aar_trace(steps, characters)
    told: list[Any] = run["steps"]  # type: ignore[assignment]
    team = [f"agent-{n}" for n in range(4)]
    crew = [{"agent_id": name, "reports_to": team[:1] if n else []} for n, name in enumerate(team)]
    return {
        **run,
        "agents": crew,
        "steps": [
            {**step, "agent": "user" if n % 20 == 5 else team[n % 4], "metadata": _details(n, team)}
            for n, step in enumerate(told)
        ],
        "metadata": {
            "orchestrator": team[0],
            "reviewer_agent": team[0],
            "subject_agent": team[1],
            "contribution_artifact": "\n".join(step["content"] for step in told),
            "contribution_kind": "document",
            "options": [
                {"option_id": name, "description": f"Refund the order in {name}"} for name in ("EUR", "USD", "GBP")
            ],
            "stakes": "medium",
            "task_properties": {"risk_level": "medium", "complexity": "moderate"},
            "individual_baselines": [
                {"agent_name": name, "output_summary": "Found the wrong currency", "quality_score": 0.6}
                for name in team[:2]
            ],
            "team_result": {"agents": team, "output_summary": "Refunded in the wrong currency", "quality_score": 0.5},
        },
    }


def _details(number: int, team: list[str]) -> dict[str, object]:
    """What a step's own metadata say."""
    details: dict[str, object] = {
        "ground_truth_emotion": "angry",
        "ground_truth_intensity": 0.6,
        "agent_inferred_emotion": "neutral",
        "agent_inferred_intensity": 0.4,
    }
    if number % 10 == 7:
        details["status"] = "error"
    if number % 10 == 0:
        details |= {"task_id": f"task-{number}", "routed_to": team[number // 10 % 3 + 1], "candidates": team[1:]}
    return details


TRACES: dict[str, Callable[[int, int], Trace]] = {
    "aar": aar_trace,
    "social_loafing": loafing_trace,
    "span_of_control": span_trace,
}


def body_of(trace: Trace) -> bytes:
    """The body that asks for an analysis of a trace without a model."""
    return msgspec.json.encode({"trace": trace, "mode": "standard", "model": "offline"})


def body_of_size(pattern: str, size: int) -> bytes:
    """A body of nearly ``size`` bytes: up to 100,000 bytes by more steps, beyond that by longer ones too."""
    characters = 120 if size <= 100_000 else 120 * size // 100_000
    few = len(body_of(TRACES[pattern](8, characters)))
    each = (len(body_of(TRACES[pattern](40, characters))) - few) / 32
    steps = max(1, 8 + int((size - few) / each))
    return body_of(TRACES[pattern](steps, characters))


class Request:
    """A POST with eight header fields, as a client library sends it.

    Attributes:
        pattern: Whose analysis it asks for.
        body: What it carries.
    """

    def __init__(self, pattern: str, body: bytes, key: str = KEY) -> None:
        self.pattern = pattern
        self.body = body
        self._before = (
            f"POST /v1/analyze/{pattern} HTTP/1.1\r\n"
            "Host: 127.0.0.1:8000\r\n"
            "User-Agent: python-httpx/0.28.1\r\n"
            "Accept: application/json\r\n"
            "Accept-Encoding: gzip, deflate\r\n"
            f"Authorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            "X-Request-ID: "
        ).encode()
        self._after = b"\r\n\r\n" + body

    def encoded(self, number: int = 0) -> bytes:
        """The request as bytes; its ``X-Request-ID`` holds the number."""
        return b"%breq-%016x%b" % (self._before, number, self._after)

    def endless(self) -> Iterator[bytes]:
        """The request again and again, each with a head of its own."""
        number = 0
        while True:
            number += 1
            yield self.encoded(number)


def small(pattern: str = "aar", key: str = KEY) -> Request:
    """The request of most tables: about 2 kB of body."""
    return Request(pattern, body_of_size(pattern, 2_048), key)
