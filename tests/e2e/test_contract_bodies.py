"""The request bodies that clients already send: accepted or refused as their contract says, in each form."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.e2e.serving import ALICE, Server, bearer, canonical_trace

CONTRACT = Path(__file__).resolve().parents[3] / "shared" / "contract"
PATTERNS = ("aar", "social_loafing", "span_of_control")
OURS = {"generated_at", "generator_model", "mode"}


def bodies(verdict: str) -> list[Any]:
    """Parameters: pattern and body, of those that the contract calls ``valid`` or ``invalid``."""
    index = CONTRACT / "requests" / "index.json"
    if not index.exists():
        return [pytest.param("", "", marks=pytest.mark.skip(reason=f"no contract at {CONTRACT}"))]
    listed = json.loads(index.read_text("utf-8"))
    found = []
    for pattern in PATTERNS:
        items = listed[pattern][verdict]
        for item in items.values() if isinstance(items, dict) else items:
            file = CONTRACT / "requests" / item["file"]
            found.append(pytest.param(pattern, json.loads(file.read_text("utf-8")), id=f"{pattern}-{file.stem}"))
    return found


@functools.cache
def output_schema(pattern: str) -> Any:
    """What the contract says a detection looks like; skips where there is no contract."""
    if not (file := CONTRACT / "patterns.json").exists():
        pytest.skip(f"no contract at {CONTRACT}")
    return next(p["output_schema"] for p in json.loads(file.read_text("utf-8"))["patterns"] if p["name"] == pattern)


def check(pattern: str, told: Any) -> None:
    """Check an answer: its envelope, and its detection against the contract."""
    assert told.keys() - {"warnings"} == {"pattern", "mode", "model", "detection", "cached"}
    assert (told["pattern"], told["model"]) == (pattern, "offline")
    detection = told["detection"]
    jsonschema.validate(detection, output_schema(pattern), jsonschema.Draft202012Validator)
    assert (detection["generator_model"], detection["mode"], detection["llm_calls"]) == ("offline", told["mode"], 0)


@pytest.mark.parametrize("flat", [False, True], ids=["native", "flat"])
@pytest.mark.parametrize("mode", ["quick", "standard", "forensic"])
@pytest.mark.parametrize(("pattern", "body"), bodies("valid"))
def test_valid_bodies_are_diagnosed(shared: Server, pattern: str, body: Any, mode: str, flat: bool) -> None:
    trace = body.get("trace", body)
    asked = {"mode": mode, "model": "offline"}
    answer = shared.post(
        f"/v1/analyze/{pattern}", {**trace, **asked} if flat else {"trace": trace, **asked}, bearer(ALICE)
    )
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["mode"] == mode
    check(pattern, answer.json)


@pytest.mark.parametrize("flat", [False, True], ids=["native", "flat"])
@pytest.mark.parametrize(("pattern", "body"), bodies("invalid"))
def test_invalid_bodies_are_refused(shared: Server, pattern: str, body: Any, flat: bool) -> None:
    before = shared.counted()
    trace = body.get("trace", body)
    answer = shared.post(f"/v1/analyze/{pattern}", trace if flat else {"trace": trace}, bearer(ALICE))
    assert answer.outcome == (400, "validation_error")
    assert answer.error["errors"]
    assert all(fault["pointer"].startswith("/") and fault["message"] for fault in answer.error["errors"])
    assert shared.newly_counted(before) == {(pattern, "standard", "validation_error"): 1}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_canonical_form_is_diagnosed(shared: Server, pattern: str) -> None:
    trace = canonical_trace("planner", "worker")
    trace["agents"] = [
        {"agent_id": "planner", "role_name": "lead"},
        {"agent_id": "worker", "role_name": "worker", "reports_to": ["planner"]},
    ]
    asked = {"trace": trace, "format": "canonical", "model": "offline"}
    answer = shared.post(f"/v1/analyze/{pattern}", asked, bearer(ALICE))
    assert answer.status == 200, answer.body
    check(pattern, answer.json)
    for item in answer.json["detection"]["evidence"]:
        assert all(item["quote"] in trace["steps"][number]["content"] for number in item["steps"])


def test_every_fault_of_a_body_is_named(shared: Server) -> None:
    answer = shared.post("/v1/analyze/aar", {"goal": 7, "steps": [{"type": "x"}, 3], "success": "no"}, bearer(ALICE))
    assert answer.outcome == (400, "validation_error")
    pointers = {fault["pointer"] for fault in answer.error["errors"]}
    assert {"/goal", "/steps/0/type", "/steps/0/content", "/steps/1", "/success", "/outcome"} <= pointers
    assert answer.error["error_count"] == len(answer.error["errors"]) >= 6


def test_a_misspelt_field_and_a_path_are_warned_of(shared: Server) -> None:
    trace = {**canonical_trace(), "sucess": False}
    trace.pop("success")
    answer = shared.post("/v1/analyze/aar", {"trace": trace, "format": "canonical", "model": "offline"}, bearer(ALICE))
    assert answer.status == 200
    assert any("'sucess'" in line and "'success'" in line for line in answer.json["warnings"])


@pytest.mark.parametrize("path", ["/etc/passwd", "/dev/zero", "../../secret.json"])
def test_a_path_in_a_request_is_never_opened(shared: Server, path: str) -> None:
    trace = {"goal": "Count", "outcome": "Wrong", "success": False, "baseline_path": path}
    step = {"index": 0, "type": "message", "content": "214 rows", "timestamp": "2026-03-01T09:00:00Z"}
    answer = shared.post("/v1/analyze/aar", {"trace": {**trace, "steps": [step]}, "model": "offline"}, bearer(ALICE))
    assert answer.status == 200, answer.body
    assert any("never opened" in line for line in answer.json["warnings"])
