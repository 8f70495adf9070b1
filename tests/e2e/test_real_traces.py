"""Real failures of real agents, through each runtime; the file lies beside the checkout and is not ours to ship."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.serving import ALICE, Server, bearer

TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces" / "whowhen_dev.jsonl"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs() -> list[Any]:
    if not TRACES.exists():
        pytest.skip(f"no labelled traces at {TRACES}")
    return [json.loads(line) for line in TRACES.read_text("utf-8").splitlines()]


# Every one of these runs failed, so a review nearly always has something to show; few of these teams loafed.
@pytest.mark.parametrize(("pattern", "least"), [("aar", 95), ("social_loafing", 25)])
def test_every_real_trace_is_diagnosed_with_evidence_that_stands_in_it(
    shared: Server, runs: list[Any], pattern: str, least: int
) -> None:
    assert len(runs) == 99
    wrong: list[tuple[Any, ...]] = []
    proven = 0
    for run in runs:
        asked = {"trace": run["trace"], "format": "canonical", "model": "offline"}
        answer = shared.post(f"/v1/analyze/{pattern}", asked, bearer(ALICE))
        if answer.status != 200:
            wrong.append((run["id"], answer.status, answer.body[:300]))
            continue
        detection, steps = answer.json["detection"], run["trace"]["steps"]
        proven += bool(detection["evidence"])
        wrong += [
            (run["id"], number, item["quote"])
            for item in detection["evidence"]
            for number in item["steps"] or [-1]
            if not 0 <= number < len(steps)
            or not item["quote"].strip()
            or item["quote"] not in steps[number]["content"]
        ]
        if detection["grounding"]["dropped"]:
            wrong.append((run["id"], "dropped", detection["grounding"]))
    assert wrong == []
    assert proven >= least
