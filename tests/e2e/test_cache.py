"""One analysis for equal requests: for those that come later, that are spelt otherwise, and that come at once."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, BOB, Answer, Runtime, Server, bearer, canonical_trace, head

AAR = "/v1/analyze/aar"
SLOW = str(Path(__file__).with_name("slow_provider.py"))
STAMP = "2026-03-01T09:00:00Z"


def native(goal: str) -> dict[str, Any]:
    """A trace as the pattern itself takes it."""
    says = ("Assuming a typical summer I will use 31.4 degrees.", "Done: 31.4")
    steps = [{"index": n, "type": "message", "content": text, "timestamp": STAMP} for n, text in enumerate(says)]
    return {"goal": goal, "steps": steps, "outcome": "The answer was wrong", "success": False}


def post(server: Server, value: Any, path: str = AAR, key: str = ALICE) -> Answer:
    answer = server.post(path, value, bearer(key))
    assert answer.status == 200, answer.body
    return answer


def test_the_second_identical_request_says_so(shared: Server) -> None:
    body = {"trace": native("Say it twice"), "model": "offline"}
    first, second = post(shared, body), post(shared, body)
    assert (first.json["cached"], first.headers["x-cache"]) == (False, "miss")
    assert (second.json["cached"], second.headers["x-cache"]) == (True, "hit")
    assert 0 <= int(second.headers["age"]) < 60
    assert "age" not in first.headers
    assert {**second.json, "cached": False} == first.json
    assert second.headers["cache-control"] == "no-store"
    assert second.json["model"] == "offline"


def test_an_answer_from_the_cache_says_what_was_ignored_as_the_first_did(shared: Server) -> None:
    body = {"trace": native("Misspell it"), "model": "offline", "modle": "forensic", "baseline_path": "/etc/passwd"}
    first, second, respelt = post(shared, body), post(shared, body), post(shared, dict(reversed(body.items())))
    assert [one.headers["x-cache"] for one in (first, second, respelt)] == ["miss", "hit", "hit"]
    assert sorted(first.json["warnings"]) == [
        "field 'baseline_path' was ignored: a path in a request is never opened",
        "unknown field 'modle' was ignored; did you mean 'mode'?",
    ]
    assert first.json["warnings"] == second.json["warnings"] == respelt.json["warnings"]


def respelt(trace: dict[str, Any]) -> list[tuple[str, Any]]:
    """The same request in other words."""
    body = {"trace": trace, "model": "offline"}
    plain = json.dumps(body)
    return [
        ("white space", json.dumps(body, indent=3).encode()),
        ("the order of members", {"model": "offline", "trace": dict(reversed(trace.items()))}),
        ("escapes", plain.replace("Assuming", "\\u0041ssuming").replace("/", "\\/").encode()),
        ("the mode written out", {**body, "mode": "standard"}),
        ("the format written out", {**body, "format": "native"}),
        ("a default written out", {**body, "trace": {**trace, "retry_count": None, "metadata": {}}}),
        ("a field that is ignored", {**body, "trace": {**trace, "colour": "red"}}),
        ("times in another form", plain.replace(STAMP, "2026-03-01T10:00:00+01:00").encode()),
        ("flat", {**trace, "model": "offline"}),
    ]


@pytest.mark.parametrize("number", range(9))
def test_another_spelling_of_the_same_request_hits(shared: Server, number: int) -> None:
    trace = native(f"Spell it otherwise, way {number}")
    name, other = respelt(trace)[number]
    first = post(shared, {"trace": trace, "model": "offline"})
    again = post(shared, other)
    assert (again.json["cached"], again.headers["x-cache"]) == (True, "hit"), name
    assert again.json["detection"] == first.json["detection"]


def test_what_differs_is_analysed_anew(shared: Server) -> None:
    body = {"trace": canonical_trace(goal="Tell apart"), "format": "canonical", "model": "offline"}
    assert post(shared, body).headers["x-cache"] == "miss"
    assert post(shared, {**body, "mode": "quick"}).headers["x-cache"] == "miss"
    assert post(shared, body, "/v1/analyze/social_loafing").headers["x-cache"] == "miss"
    assert post(shared, {**body, "trace": canonical_trace(goal="Tell  apart")}).headers["x-cache"] == "miss"
    assert post(shared, body).headers["x-cache"] == "hit"


def test_a_failed_analysis_is_not_stored(shared: Server) -> None:
    body = {"trace": native("No provider")}
    for _ in range(2):
        answer = shared.post(AAR, body, bearer(ALICE))
        assert answer.outcome == (502, "llm_resolution_error")
        assert "x-cache" not in answer.headers


def test_without_a_cache_nothing_is_said_of_one(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_LLM="offline")
    for _ in range(2):
        answer = post(server, {"trace": native("Say it twice")})
        assert answer.json["cached"] is False
        assert "x-cache" not in answer.headers
        assert answer.json["model"] == "offline"


def test_callers_are_kept_apart_where_that_is_asked_for(serve: Serve, runtime: Runtime) -> None:
    server = serve(
        runtime,
        VSTACK_API_KEYS=f"alice={ALICE},bob={BOB}",
        VSTACK_CACHE="memory",
        VSTACK_CACHE_SCOPE="key",
        VSTACK_LLM="offline",
    )
    body = {"trace": native("Mine alone")}
    assert post(server, body).headers["x-cache"] == "miss"
    theirs = post(server, body, key=BOB)
    assert theirs.headers["x-cache"] == "miss"
    assert post(server, body).headers["x-cache"] == "hit"
    assert post(server, body, key=BOB).json["detection"]["run_id"] == theirs.json["detection"]["run_id"]


def at_once(server: Server, bodies: list[bytes]) -> list[Answer]:
    """Send requests on connections of their own, all of them before the first answer is read."""
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(server.connected()) for _ in bodies]
        for line, body in zip(lines, bodies, strict=True):
            line.send(head("POST", AAR, "Content-Type: application/json", f"Content-Length: {len(body)}") + body)
        return [line.answer() for line in lines]


def test_twenty_equal_requests_at_once_are_one_analysis_on_the_signals(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_CACHE="memory", VSTACK_LLM="offline")
    answers = at_once(server, [json.dumps({"trace": native("At once")}).encode()] * 20)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["detection"]["run_id"] for answer in answers}) == 1
    assert server.metric("vstack_cache_requests_total", result="miss") == 1
    assert server.metric("vstack_cache_requests_total") == 20
    assert server.counted() == {("aar", "standard", "ok"): 20}


@pytest.mark.parametrize("cache", ["memory", "off"])
def test_twenty_equal_requests_at_once_ask_the_model_once(serve: Serve, runtime: Runtime, cache: str) -> None:
    server = serve(runtime, argv=[sys.executable, SLOW, runtime, "0.4"], VSTACK_CACHE=cache)
    body = {"trace": native("At once, with a model"), "mode": "quick"}
    spellings = [json.dumps(body, indent=n % 3).encode() for n in range(20)]
    answers = at_once(server, spellings)
    assert {answer.status for answer in answers} == {200}, answers[0].body
    assert len({answer.json["detection"]["run_id"] for answer in answers}) == 1
    assert {answer.json["model"] for answer in answers} == {"scripted-1"}
    assert {answer.json["detection"]["llm_calls"] for answer in answers} == {1}
    assert server.metric("vstack_model_calls_total") == 1
    assert server.counted() == {("aar", "quick", "ok"): 20}
    told = sorted(answer.headers.get("x-cache", "") for answer in answers)
    if cache == "memory":
        assert told == ["coalesced"] * 19 + ["miss"]
        assert server.metric("vstack_cache_requests_total", result="miss") == 1
        assert server.metric("vstack_cache_requests_total", result="coalesced") == 19
        assert post(server, body).headers["x-cache"] == "hit"
    else:
        assert told[-19:] == ["coalesced"] * 19
    assert server.metric("vstack_requests_in_flight") == 0


def test_past_its_capacity_the_service_says_so(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, argv=[sys.executable, SLOW, runtime, "0.4"], VSTACK_API_MAX_IN_FLIGHT="2")
    bodies = [json.dumps({"trace": native(f"Job {n}"), "mode": "quick"}).encode() for n in range(5)]
    answers = at_once(server, bodies)
    assert sorted(answer.status for answer in answers) == [200, 200, 503, 503, 503]
    for answer in answers:
        if answer.status == 503:
            assert answer.outcome == (503, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1
            assert "VSTACK_API_MAX_IN_FLIGHT" in answer.error["message"]
    assert server.counted() == {("aar", "quick", "ok"): 2, ("aar", "quick", "overloaded"): 3}
    assert post(server, json.loads(bodies[4])).status == 200


def test_the_deadline_passes_and_the_call_is_given_up(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, argv=[sys.executable, SLOW, runtime, "60"], VSTACK_API_REQUEST_TIMEOUT="0.3")
    answer = server.post(AAR, {"trace": native("Too slow"), "mode": "quick"})
    assert answer.outcome == (504, "timeout")
    assert "mode=quick" in answer.error["message"]
    assert "VSTACK_API_REQUEST_TIMEOUT" in answer.error["message"]
    assert server.counted() == {("aar", "quick", "timeout"): 1}
    assert server.metric("vstack_requests_in_flight") == 0


def test_a_caller_who_leaves_is_counted_and_its_call_given_up(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, argv=[sys.executable, SLOW, runtime, "60"])
    body = json.dumps({"trace": native("Gone"), "mode": "quick"}).encode()
    with server.connected() as line:
        line.send(head("POST", AAR, "Content-Type: application/json", f"Content-Length: {len(body)}") + body)
        assert server.until(lambda: server.metric("vstack_requests_in_flight") == 1)
    server.wait_for(lambda told: told.get("outcome") == "cancelled")
    assert server.counted() == {("aar", "quick", "cancelled"): 1}
    assert server.metric("vstack_requests_in_flight") == 0
