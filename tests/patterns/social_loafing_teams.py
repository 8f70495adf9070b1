"""Teams that work, stamp, delegate or keep silent: the traces of the tests on social loafing."""

from __future__ import annotations

from typing import Any

from vstack_proto.patterns.social_loafing import LoafingMessage, MultiAgentTaskTrace, SocialLoafingDetection

TASK = "Choose a store for the session data"


def team(*messages: tuple[str, str, str], agents: tuple[str, ...] | None = None, **fields: Any) -> MultiAgentTaskTrace:
    """A trace of (agent, type, content)."""
    said = tuple(LoafingMessage(agent, kind, content) for agent, kind, content in messages)  # type: ignore[arg-type]
    names = agents or tuple(dict.fromkeys(agent for agent, _, _ in messages))
    return MultiAgentTaskTrace(TASK, names, said, "Redis was chosen", **fields)


BALANCED = team(
    ("ann", "proposal", "Redis keeps expiry per key and our load test showed 40k reads a second on one node"),
    (
        "bob",
        "critique",
        "Failover lost 3 writes in staging because replication is asynchronous; measure with WAIT enabled",
    ),
    (
        "cid",
        "tool_call",
        "bench --engine postgres --table unlogged --clients 64 gave p99 latency 9 ms over ten minutes",
    ),
    ("ann", "tool_call", "redis-cli WAIT 1 50 ran beside traffic: no loss across five forced failovers, p99 4 ms"),
    ("bob", "decision", "Redis with WAIT passes; store memory budget is 6 GB, alert at 80 percent, review quarterly"),
    (
        "cid",
        "approval",
        "Checked the budget: 2.1 million sessions at 1.8 kB each fit, with headroom for the sale in November",
    ),
)
STAMPED = team(
    ("ann", "proposal", "Redis keeps expiry per key and our load test showed 40k reads a second on one node"),
    ("bob", "rubber_stamp", "Looks good to me"),
    ("cid", "rubber_stamp", "Agreed, great work"),
    ("ann", "tool_call", "redis-cli WAIT 1 50 ran beside traffic: no loss across five forced failovers"),
    ("bob", "paraphrase", "So no loss across five forced failovers"),
    ("cid", "approval", "I have verified this, approved"),
    ("ann", "decision", "Redis with WAIT; memory budget 6 GB"),
)
DELEGATED = team(
    ("lead", "handoff", "Measure postgres latency, dora"),
    ("dora", "tool_call", "bench --engine postgres --clients 64"),
    ("runner", "observation", "p99 9 ms, median 2 ms"),
    ("lead", "handoff", "Now the failover, eve"),
    ("eve", "tool_call", "force failover five times while writing, compare counters"),
    ("runner", "observation", "3 writes lost of 10000"),
    ("lead", "handoff", "Dora, try synchronous replication"),
    ("dora", "tool_call", "set synchronous_commit remote_apply, repeat bench"),
    ("runner", "observation", "p99 14 ms, nothing lost"),
    ("eve", "critique", "14 ms breaks the 10 ms target from the contract with mobile"),
    ("lead", "decision", "Take Redis"),
)
SILENT = team(
    ("ann", "proposal", "Redis keeps expiry per key"), agents=("ann", "bob", "cid"), has_per_agent_evaluation=True
)  # fmt: skip


def roles(detection: SocialLoafingDetection) -> dict[str, str]:
    return {row.agent_name: row.role for row in detection.agent_contributions}
