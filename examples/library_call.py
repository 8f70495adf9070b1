"""vstack as a function: one analysis, without a server; in a program without an event loop, and in one with.

python examples/library_call.py
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from vstack_runtime import AnalysisError, analyze, analyze_async

TRACES = Path(__file__).parent / "traces"


def review(trace: dict[str, Any]) -> str:
    """How bad it was, and what the first lesson says."""
    answer = analyze(trace, pattern="aar", format="canonical", model="offline")
    detection = answer["detection"]
    return f"{detection['severity']}: {detection['lessons'][0]['description']}"


async def shares(trace: dict[str, Any]) -> dict[str, float]:
    """Each agent's share of the team's work."""
    answer = await analyze_async(trace, pattern="social_loafing", format="canonical", model="offline")
    return {row["agent_name"]: row["contribution_share"] for row in answer["detection"]["agent_contributions"]}


def refusal(trace: dict[str, Any]) -> str:
    """What is said of a trace that a pattern cannot read; the words are those of the service."""
    try:
        analyze(trace, pattern="span_of_control", format="canonical", model="offline")
    except AnalysisError as error:
        return f"{error.status} {error.code}: {error.message}"
    return "no refusal"


if __name__ == "__main__":
    failed = json.loads((TRACES / "failed_refund_report.json").read_bytes())
    print(review(failed))
    print(asyncio.run(shares(failed)))
    print(refusal(failed))
