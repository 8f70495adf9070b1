"""Learnings and analytics over HTTP: what is asked of the stores, for whom, and how their answers are told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.proto.asking import Asked, ask
from tests.proto.conversations import KEY
from tests.proto.last_word import PATTERN
from vstack_proto.commands import (
    AggregateOutcomes,
    ReadAnalytics,
    RecallLearnings,
    RecordLearning,
    ReportOutcome,
)
from vstack_proto.events import (
    AnalyticsRead,
    KeyChecked,
    LearningsRecalled,
    OutcomeReported,
    OutcomesAggregated,
    StoreFailed,
)
from vstack_proto.framing import Headers
from vstack_proto.learning import Finding, LearningQuery, OutcomeCount, OutcomeReport, kept
from vstack_proto.learning_steps import moment_of
from vstack_proto.telemetry import AnalyticsQuery, AnalyticsRow
from vstack_proto.testing import START, WALL, head_received, make_service

KEPT: dict[str, Any] = {"learnings": True, "analytics": True}
OPEN = make_service(PATTERN, **KEPT)
KEYED = make_service(PATTERN, require_auth=True, **KEPT)
MINE: Headers = (("x-api-key", KEY),)
RECORD = kept(Finding(pattern="last_word", agent_id="bob"), "lrn_1", WALL)


def as_json(record: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(record))


def get(target: str, **given: Any) -> Asked:
    return ask(OPEN, head_received("GET", target), **given)


def post(target: str, body: Any, headers: Headers = (), *, request_id: str = "req_1", **given: Any) -> Asked:
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    sent = (("content-length", str(len(encoded))), *headers)
    head = head_received("POST", target, sent, request_id=request_id)
    return ask(KEYED if headers else OPEN, head, encoded, **given)


def test_a_finding_is_kept_for_its_caller_and_comes_back() -> None:
    told = post("/v1/learnings", {"pattern": "last_word", "interventions_applied": ["ask"], "extra": {"n": 1}}, MINE)
    asked: RecordLearning = told.first(RecordLearning)
    assert asked.scope == "alice"
    assert asked.record.timestamp.timestamp() == WALL
    assert (told.status, told.json) == (201, as_json(asked.record))
    assert (told.record.outcome, told.record.route, told.record.caller) == ("", "/v1/learnings", "alice")


def test_ids_follow_from_caller_request_and_body() -> None:
    bodies = ({"pattern": "last_word"}, {"pattern": "last_word", "notes": "x"})
    told = [
        post("/v1/learnings", body, headers, request_id=name).first(RecordLearning).record.id
        for body in bodies
        for headers in ((), MINE)
        for name in ("req_1", "req_2")
    ]
    assert len(set(told)) == 8
    assert post("/v1/learnings", bodies[0]).first(RecordLearning).record.id == told[0]


def test_a_misspelt_field_is_told() -> None:
    told = post("/v1/learnings", {"pattern": "last_word", "agentid": "bob"})
    assert told.json["warnings"] == ["unknown field 'agentid' was ignored; did you mean 'agent_id'?"]


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"pattern": "lastword"}, (404, "unknown_pattern")),
        ({}, (400, "validation_error")),
        ({"pattern": "last_word", "follow_up_outcome": "better"}, (400, "validation_error")),
        ({"pattern": "last_word", "agent_id": "x" * 201}, (400, "validation_error")),
        ({"pattern": "last_word", "interventions_applied": ["x"] * 51}, (400, "validation_error")),
        ({"pattern": "last_word", "extra": {"x": "y" * 16_384}}, (400, "validation_error")),
        (b'"text"', (400, "validation_error")),
        (b"{", (400, "invalid_json")),
        (b"", (400, "invalid_request")),
    ],
)
def test_what_cannot_be_kept_is_refused(body: Any, outcome: tuple[int, str]) -> None:
    told = post("/v1/learnings", body)
    assert (told.status, told.error["error"]) == outcome
    assert not [command for command in told.told if isinstance(command, RecordLearning)]


def test_every_fault_of_a_report_is_told() -> None:
    told = post("/v1/learnings/lrn_1/outcome", {"outcome": "better", "notes": 3})
    assert [one["pointer"] for one in told.error["errors"]] == ["/outcome", "/notes"]


def test_bodies_are_json_and_within_the_limit() -> None:
    assert post("/v1/learnings", b"{}", (("content-type", "text/plain"), *MINE)).status == 415
    long = head_received("POST", "/v1/learnings", (("content-length", "99999999"),))
    assert ask(OPEN, long).error["error"] == "request_too_large"


def test_learnings_are_recalled_by_what_the_query_says() -> None:
    answer = LearningsRecalled(at=START, ticket=0, records=(RECORD,))
    told = get("/v1/learnings?pattern=last_word&agent_id=b%20b&crew_id=&limit=7", RecallLearnings=answer)
    asked: RecallLearnings = told.first(RecallLearnings)
    assert asked.scope == ""
    assert asked.query == LearningQuery(pattern="last_word", agent_id="b b", crew_id="", limit=7)
    assert (told.status, told.json) == (200, {"count": 1, "learnings": [as_json(RECORD)]})
    assert get("/v1/learnings").first(RecallLearnings).query == LearningQuery()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/v1/learnings?limit=0", "/limit must be a whole number from 1 to 1000"),
        ("/v1/learnings?limit=1001", "/limit must be a whole number from 1 to 1000"),
        ("/v1/learnings?limit=+1", "/limit must be a whole number from 1 to 1000"),
        ("/v1/learnings?limit=%D9%A1", "/limit must be a whole number from 1 to 1000"),
        ("/v1/learnings?patern=aar", "/patern is no query parameter of this path; did you mean 'pattern'?"),
        ("/v1/learnings?x=1", "/x is no query parameter of this path; there are pattern, agent_id, crew_id, limit"),
        ("/v1/learnings?limit=1&limit=2", "/limit is there more than once"),
        (f"/v1/learnings?agent_id={'x' * 201}", "/agent_id must have at most 200 characters, not 201"),
        (f"/v1/learnings?{'&'.join(['x=1'] * 21)}", "the request has more than 20 query parameters"),
        ("/v1/learnings/outcomes?limit=3", "/limit is no query parameter"),
        ("/v1/analytics?by=caller", "/by must be one of pattern, model, day"),
        ("/v1/analytics?since=yesterday", "/since must be a day or a moment, such as 2026-03-01"),
        ("/v1/analytics?scope=bob", "/scope is no query parameter"),
    ],
)
def test_a_query_that_cannot_be_is_refused(target: str, words: str) -> None:
    told = get(target)
    assert (told.status, told.error["error"]) == (400, "validation_error")
    assert words in told.error["message"]


def test_an_outcome_is_reported_of_ones_own() -> None:
    changed = msgspec.structs.replace(RECORD, follow_up_outcome="worse")
    answer = OutcomeReported(at=START, ticket=0, record=changed)
    told = post("/v1/learnings/lrn_1/outcome", {"outcome": "worse"}, MINE, ReportOutcome=answer)
    asked: ReportOutcome = told.first(ReportOutcome)
    assert (asked.scope, asked.record_id, asked.report) == ("alice", "lrn_1", OutcomeReport(outcome="worse"))
    assert (told.status, told.json) == (200, as_json(changed))


def test_what_is_anothers_is_not_there() -> None:
    told = post("/v1/learnings/lrn_1/outcome", {"outcome": "worse"}, MINE)
    assert (told.status, told.error["error"]) == (404, "not_found")


def test_outcomes_come_with_what_follows_from_them_the_surest_first() -> None:
    counts = (
        OutcomeCount(pattern="last_word", intervention="once", runs=1, improved=1),
        OutcomeCount(pattern="last_word", intervention="often", runs=10, improved=9, worse=1),
    )
    told = get(
        "/v1/learnings/outcomes?agent_id=bob", AggregateOutcomes=OutcomesAggregated(at=START, ticket=0, counts=counts)
    )
    asked: AggregateOutcomes = told.first(AggregateOutcomes)
    assert (asked.query, asked.soon) == (LearningQuery(agent_id="bob"), False)
    assert told.json["count"] == 2
    assert [one["intervention"] for one in told.json["outcomes"]] == ["often", "once"]
    assert told.json["outcomes"][0]["interval"] == [0.5958, 0.9821]


def test_analytics_are_the_callers_own() -> None:
    rows = (
        AnalyticsRow(key="aar", calls=1, total_tokens=7, elapsed_ms=0.12345, estimated_cost_usd=0.5),
        AnalyticsRow(key="lewin", calls=2, total_tokens=3, estimated_cost_usd=1.5),
    )
    head = head_received("GET", "/v1/analytics?by=model&since=2026-03-01&until=2026-03-02T00:00:00Z", MINE)
    told = ask(KEYED, head, ReadAnalytics=AnalyticsRead(at=START, ticket=0, rows=rows))
    asked: ReadAnalytics = told.first(ReadAnalytics)
    assert asked.query == AnalyticsQuery(by="model", scope="alice", since=1_772_323_200.0, until=1_772_409_600.0)
    assert [row["model"] for row in told.json["rows"]] == ["lewin", "aar"]
    assert told.json["total"]["estimated_cost_usd"] == 2.0
    assert told.json["rows"][1]["elapsed_ms"] == 0.123


def test_days_come_in_their_order() -> None:
    rows = tuple(AnalyticsRow(key=day, estimated_cost_usd=cost) for day, cost in (("b", 9.0), ("a", 1.0), ("c", 5.0)))
    told = get("/v1/analytics?by=day", ReadAnalytics=AnalyticsRead(at=START, ticket=0, rows=rows))
    assert [row["day"] for row in told.json["rows"]] == ["a", "b", "c"]


@pytest.mark.parametrize("target", ["/v1/learnings", "/v1/learnings/outcomes", "/v1/analytics"])
def test_a_store_that_is_away_is_told(target: str) -> None:
    failed = StoreFailed(at=START, ticket=0)
    told = get(target, **dict.fromkeys(("RecallLearnings", "AggregateOutcomes", "ReadAnalytics"), failed))
    assert (told.status, told.error["error"], told.headers["retry-after"]) == (503, "overloaded", "1")


@pytest.mark.parametrize(
    ("method", "target", "setting"),
    [
        ("GET", "/v1/learnings", "VSTACK_LEARNINGS"),
        ("POST", "/v1/learnings", "VSTACK_LEARNINGS"),
        ("POST", "/v1/learnings/lrn_1/outcome", "VSTACK_LEARNINGS"),
        ("GET", "/v1/analytics", "VSTACK_TELEMETRY"),
    ],
)
def test_what_is_not_kept_here_is_not_found(method: str, target: str, setting: str) -> None:
    told = ask(make_service(PATTERN), head_received(method, target))
    assert (told.status, told.error["error"]) == (404, "not_found")
    assert setting in told.error["message"]


def test_a_caller_without_a_key_is_let_in_nowhere() -> None:
    nobody = KeyChecked(at=START, ticket=0, name=None, loaded=1)
    for target in ("/v1/learnings", "/v1/analytics"):
        told = ask(KEYED, head_received("GET", target), CheckKey=nobody)
        assert told.status == 401
        assert not [one for one in told.told if isinstance(one, RecallLearnings | ReadAnalytics)]


@pytest.mark.parametrize(
    ("text", "moment"),
    [("1970-01-02", 86_400.0), ("1970-01-01T01:00:00+01:00", 0.0), ("1970-01-01T00:00:01.5", 1.5)],
)
def test_days_and_moments(text: str, moment: float) -> None:
    assert moment_of(text) == moment


@pytest.mark.parametrize("text", ["", "1970", "0001-01-01T00:00:00+23:59", "10000-01-01"])
def test_no_moments(text: str) -> None:
    if text.startswith("0001"):
        assert moment_of(text) < 0
        return
    with pytest.raises(ValueError, match="must be a day or a moment"):
        moment_of(text)
