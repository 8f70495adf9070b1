"""What the exchange takes and answers is what the OpenAPI document tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from jsonschema import Draft202012Validator

from vstack_proto.commands import (
    AggregateOutcomes,
    CallModel,
    CheckKey,
    CheckReadiness,
    Commands,
    JoinFlight,
    LookUpCache,
    ReadAnalytics,
    ReadBody,
    RecallLearnings,
    RecordLearning,
    RenderMetrics,
    ReportOutcome,
    Respond,
    SendPart,
    TakeQuota,
)
from vstack_proto.events import (
    AnalyticsRead,
    Answered,
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    Crashed,
    DeadlinePassed,
    ExchangeEvent,
    FlightJoined,
    KeyChecked,
    LearningRecorded,
    LearningsRecalled,
    MetricsRendered,
    ModelFailed,
    OutcomeReported,
    OutcomesAggregated,
    QuotaAnswered,
    ReadinessAnswered,
    ShutdownAsked,
    StoreFailed,
)
from vstack_proto.exchange import Exchange
from vstack_proto.intake import checked_head
from vstack_proto.openapi import openapi
from vstack_proto.openapi_examples import RUN, canonical_request, concise, native_request
from vstack_proto.patterns import aar, social_loafing, span_of_control
from vstack_proto.policy import Policy
from vstack_proto.routes import ROUTES, Route
from vstack_proto.service import Service
from vstack_proto.testing import Material, sample_event

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
PATTERNS = (aar.PATTERN, social_loafing.PATTERN, span_of_control.PATTERN)
NAMES = [pattern.name for pattern in PATTERNS]
DOCUMENT = openapi(ROUTES, PATTERNS, "1.2.3")

Answer = Callable[[int], ExchangeEvent]


def resolved(part: Any) -> Any:
    while "$ref" in part:
        found: Any = DOCUMENT
        for name in part["$ref"][2:].split("/"):
            found = found[name]
        part = found
    return part


def problems(schema: Any, value: Any, document: dict[str, Any] = DOCUMENT) -> list[str]:
    """What a schema of the document has against a value."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"]}
    found = Draft202012Validator({**whole, "allOf": [schema]}).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


# --- what may be asked ------------------------------------------------------------------------------------------------


def request_schema(name: str) -> Any:
    return DOCUMENT["paths"][f"/v1/analyze/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]


def requests(name: str) -> dict[str, Any]:
    """Bodies in all forms."""
    pattern = next(pattern for pattern in PATTERNS if pattern.name == name)
    native, canonical = native_request(pattern.from_trace(RUN)), canonical_request()
    return {
        "native": native,
        "said": {**native, "format": "native"},
        "nulls": {**native, "format": None, "mode": None, "model": "offline"},
        "canonical": canonical,
        "bare": {**native["trace"], "mode": "quick", "model": "offline"},
        "bare canonical": {**canonical["trace"], "format": "canonical", "model": "offline"},
        "more": {**native, "unknown": 1},
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", requests("aar"))
def test_what_fits_is_answered_as_told(name: str, form: str) -> None:
    body = requests(name)[form]
    assert problems(request_schema(name), body) == []
    told = ask("POST", f"/v1/analyze/{name}", json.dumps(body).encode())
    assert told.status == 200
    for path in (f"/v1/analyze/{name}", "/v1/analyze/{name}"):
        documented(path, "post", told)


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_is_refused(name: str) -> None:
    native, canonical = requests(name)["native"], requests(name)["canonical"]
    wrongs: list[dict[str, Any]] = [
        {},
        {"trace": {}},
        {**native, "mode": "slow"},
        {**native, "model": "m" * 201},
        {**native, "format": "otel"},
        {**native, "format": "canonical"} if name != "aar" else {**native, "model": 1},
        {**canonical, "trace": {**canonical["trace"], "steps": []}},
        {**native["trace"], "mode": 1},
    ]
    for wrong in wrongs:
        assert problems(request_schema(name), wrong), wrong
        assert ask("POST", f"/v1/analyze/{name}", json.dumps(wrong).encode()).status == 400, wrong


@pytest.mark.parametrize(("pattern", "field"), [(one, field) for one in PATTERNS for field in one.non_blank])
def test_blank_does_not_fit(pattern: Any, field: str) -> None:
    body = requests(pattern.name)["native"]
    body["trace"][field] = " \t"
    assert problems(request_schema(pattern.name), body)


def contract_bodies() -> list[Any]:
    found = [(name, file) for name in NAMES for file in sorted(SHARED.glob(f"contract/requests/{name}/[mr]*.json"))]
    if not found:
        return [pytest.param("", None, marks=pytest.mark.skip(reason=f"no contract at {SHARED}"))]
    return [pytest.param(name, file, id=f"{name}-{file.stem}") for name, file in found]


@pytest.mark.parametrize(("name", "file"), contract_bodies())
@pytest.mark.parametrize("mode", ["quick", "forensic"])
def test_detections_fit(name: str, file: Path, mode: str) -> None:
    body = {**json.loads(file.read_text(encoding="utf-8")), "mode": mode, "model": "offline"}
    assert problems(request_schema(name), body) == []
    told = ask("POST", f"/v1/analyze/{name}", json.dumps(body).encode())
    assert told.status == 200
    documented(f"/v1/analyze/{name}", "post", told)


# --- what is answered -------------------------------------------------------------------------------------------------


class Told(msgspec.Struct):
    """An answer as a client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    method: str,
    target: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    answers: dict[type, Answer] | None = None,
    **policy: Any,
) -> Told:
    """Ask an exchange; ``answers`` replaces what happens on a command."""
    exchange = Exchange(Service(Policy(version="1.2.3", **policy), PATTERNS))
    sent = {"host": "test", "content-length": str(len(body)), **(headers or {})}
    happens: dict[type, Answer] = {**USUAL, **(answers or {})}
    first = checked_head(
        at=1.0, wall=1_772_355_600.0, request_id="req_0123456789abcdef", peer="192.0.2.1", scheme="http", method=method,
        target=target, headers=tuple(sent.items()), http_version="1.1",
    )  # fmt: skip
    commands = exchange.handle(first)
    for _ in range(20):
        for command in commands:
            if isinstance(command, Respond):
                return Told(command.status, dict(command.headers), command.body)
        commands = step(exchange, commands, happens, body)
    raise AssertionError("no answer")


def step(exchange: Exchange, commands: Commands, happens: dict[type, Answer], body: bytes) -> Commands:
    """What the exchange does next, once its pending command has been answered."""
    pending = next(command for command in commands if type(command) in happens or isinstance(command, ReadBody))
    if isinstance(pending, ReadBody) and ReadBody not in happens:
        if body:
            exchange.handle(BodyReceived(at=1.0, data=body))
        return exchange.handle(BodyEnded(at=1.0))
    return exchange.handle(happens[type(pending)](getattr(pending, "ticket", 0)))


def ready(status: Literal["ready", "warming"]) -> Answer:
    return lambda ticket: ReadinessAnswered(
        at=1.0, ticket=ticket, status=status, detail="so it is", checks={"keys": "2"}
    )


def quota(verdict: Literal["admitted", "refused", "unavailable"]) -> Answer:
    return lambda ticket: QuotaAnswered(
        at=1.0, ticket=ticket, verdict=verdict, limit=10, remaining=3, retry_after=1.5, reset=9.0, window=60.0
    )


def stranger(loaded: int) -> Answer:
    return lambda ticket: KeyChecked(at=1.0, ticket=ticket, name=None, loaded=loaded)


def instead(event: ExchangeEvent) -> Answer:
    return lambda ticket: event


def failed(kind: Literal["unavailable", "refused"]) -> Answer:
    return lambda ticket: ModelFailed(at=1.0, ticket=ticket, kind=kind, message="the provider is away")


def kept(kind: type[Answered]) -> Answer:
    """What a store answers, when it has something to say."""
    return lambda ticket: sample_event(kind, Material(heads=()), ticket=ticket, choose=lambda values: values[-1])


USUAL: dict[type, Answer] = {
    RecallLearnings: kept(LearningsRecalled),
    RecordLearning: kept(LearningRecorded),
    ReportOutcome: kept(OutcomeReported),
    AggregateOutcomes: kept(OutcomesAggregated),
    ReadAnalytics: kept(AnalyticsRead),
    CheckKey: lambda ticket: KeyChecked(at=1.0, ticket=ticket, name="me", loaded=1),
    TakeQuota: quota("admitted"),
    LookUpCache: lambda ticket: CacheAnswered(at=1.0, ticket=ticket),
    JoinFlight: lambda ticket: FlightJoined(at=1.0, ticket=ticket, role="leads"),
    CheckReadiness: ready("ready"),
    RenderMetrics: lambda ticket: MetricsRendered(at=1.0, ticket=ticket, content_type="text/plain", body=b"up 1\n"),
}

# What any answer may carry; an operation does not repeat it.
GENERAL = {
    "content-type", "content-length", "cache-control", "date", "connection", "x-content-type-options",
    "x-frame-options", "referrer-policy", "content-security-policy",
}  # fmt: skip


def documented(path: str, method: str, told: Told) -> None:
    """Fail where an answer is not one that the operation tells of."""
    response = resolved(DOCUMENT["paths"][path][method]["responses"][str(told.status)])
    assert set(told.headers) - GENERAL <= {name.lower() for name in response["headers"]}
    for name, header in response["headers"].items():
        if name.lower() in told.headers:
            value: Any = told.headers[name.lower()]
            schema = resolved(header)["schema"]
            assert problems(schema, int(value) if schema.get("type") == "integer" else value) == [], name
    if told.status == 304:
        assert told.body == b""
        return
    kind = told.headers["content-type"].partition(";")[0]
    body = json.loads(told.body) if kind.endswith("json") else told.body.decode()
    assert problems(response["content"][kind]["schema"], body) == []


GOOD = json.dumps(native_request(aar.PATTERN.from_trace(RUN))).encode()
ASKED = json.dumps({**json.loads(GOOD), "model": "some-model"}).encode()
ANALYZE = "/v1/analyze/{name}"


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET"], ids=lambda route: route.path)
@pytest.mark.parametrize("name", NAMES)
def test_pages_are_as_told(route: Route, name: str) -> None:
    target = route.path.replace("{name}", name)
    told = ask("GET", target, quota=True, ietf_headers=True, learnings=True, analytics=True)
    assert told.status == 200
    documented(route.path, "get", told)
    if "etag" in told.headers:
        again = ask("GET", target, headers={"if-none-match": told.headers["etag"]})
        assert again.status == 304
        documented(route.path, "get", again)


LEARNED = b'{"pattern":"aar","interventions_applied":["prompt_patch"]}'


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/learnings", LEARNED, 201),
        ("/v1/learnings", b'{"pattern":""}', 400),
        ("/v1/learnings", b'{"pattern":"aarr"}', 404),
        ("/v1/learnings", b"{", 400),
        ("/v1/learnings/{id}/outcome", b'{"outcome":"improved"}', 200),
        ("/v1/learnings/{id}/outcome", b'{"outcome":"better"}', 400),
    ],
)
def test_learnings_are_answered_as_told(path: str, body: bytes, status: int) -> None:
    told = ask("POST", path.replace("{id}", "lrn_1"), body, quota=True, learnings=True)
    assert told.status == status
    documented(path, "post", told)


@pytest.mark.parametrize("path", ["/v1/learnings", "/v1/learnings/outcomes", "/v1/analytics"])
def test_what_is_not_kept_or_away_is_told(path: str) -> None:
    documented(path, "get", ask("GET", path))
    asked: tuple[type, ...] = (RecallLearnings, AggregateOutcomes, ReadAnalytics)
    told = ask("GET", path, answers=dict.fromkeys(asked, kept(StoreFailed)), learnings=True, analytics=True)
    assert told.status == 503
    documented(path, "get", told)


@pytest.mark.parametrize("status", ["ready", "warming"])
def test_readiness_is_as_told(status: Any) -> None:
    told = ask("GET", "/readyz?verbose", answers={CheckReadiness: ready(status)})
    assert told.status == (200 if status == "ready" else 503)
    assert "checks" in json.loads(told.body)
    documented("/readyz", "get", told)


REFUSALS: list[tuple[str, int, str, dict[str, Any]]] = [
    (ANALYZE, 400, "invalid_request", {"body": b""}),
    (ANALYZE, 400, "invalid_json", {"body": b"{"}),
    (ANALYZE, 400, "validation_error", {"body": b'{"trace": {}}'}),
    (ANALYZE, 400, "invalid_mode", {"body": GOOD.replace(b'"quick"', b'"slow"')}),
    (ANALYZE, 400, "trace_not_readable", {
        "target": "/v1/analyze/span_of_control",
        "body": json.dumps({**canonical_request(), "trace": {**concise(RUN), "agents": []}}).encode(),
    }),
    (ANALYZE, 401, "unauthorized", {
        "require_auth": True, "answers": {CheckKey: stranger(1)},
    }),
    (ANALYZE, 500, "auth_misconfigured", {
        "require_auth": True, "answers": {CheckKey: stranger(0)},
    }),
    (ANALYZE, 404, "unknown_pattern", {"target": "/v1/analyze/arr"}),
    ("/v1/patterns/{name}", 404, "unknown_pattern", {"method": "GET", "target": "/v1/patterns/arr"}),
    (ANALYZE, 405, "method_not_allowed", {"method": "GET"}),
    (ANALYZE, 406, "not_acceptable", {"headers": {"accept": "image/png"}}),
    (ANALYZE, 408, "request_timeout", {"answers": {ReadBody: instead(DeadlinePassed(at=50.0))}}),
    (ANALYZE, 413, "request_too_large", {"headers": {"content-length": "6000000"}}),
    (ANALYZE, 413, "request_too_large", {"body": b"[" + b"1," * 200_001 + b"1]"}),
    (ANALYZE, 415, "unsupported_media_type", {"headers": {"content-type": "text/plain"}}),
    (ANALYZE, 417, "expectation_failed", {"headers": {"expect": "cake"}}),
    (ANALYZE, 429, "rate_limited", {"quota": True, "answers": {TakeQuota: quota("refused")}}),
    (ANALYZE, 431, "headers_too_large", {"headers": {f"x-{number}": "" for number in range(101)}}),
    (ANALYZE, 500, "internal_error", {"answers": {JoinFlight: instead(Crashed(at=1.0))}}),
    (ANALYZE, 502, "llm_resolution_error", {"body": ASKED}),
    (ANALYZE, 502, "analyzer_error", {"body": ASKED, "provider": "a", "answers": {CallModel: failed("refused")}}),
    (ANALYZE, 503, "provider_unavailable", {
        "body": ASKED, "provider": "a", "answers": {CallModel: failed("unavailable")},
    }),
    (ANALYZE, 503, "overloaded", {
        "answers": {JoinFlight: lambda ticket: FlightJoined(at=1.0, ticket=ticket, role="refused")},
    }),
    (ANALYZE, 503, "overloaded", {"quota": True, "answers": {TakeQuota: quota("unavailable")}}),
    (ANALYZE, 503, "draining", {"answers": {JoinFlight: instead(ShutdownAsked(at=1.0, now=True))}}),
    (ANALYZE, 504, "timeout", {"answers": {JoinFlight: instead(DeadlinePassed(at=500.0))}}),
    ("/readyz", 503, "draining", {
        "method": "GET", "target": "/readyz", "answers": {CheckReadiness: instead(ShutdownAsked(at=1.0, now=True))},
    }),
    ("/metrics", 504, "timeout", {
        "method": "GET", "target": "/metrics", "answers": {RenderMetrics: instead(DeadlinePassed(at=500.0))},
    }),
]  # fmt: skip


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
@pytest.mark.parametrize(("path", "status", "code", "asked"), REFUSALS, ids=[f"{row[1]}-{row[2]}" for row in REFUSALS])
def test_refusals_are_as_told(path: str, status: int, code: str, asked: dict[str, Any], accept: str) -> None:
    asked = {"method": "POST", "target": "/v1/analyze/aar", "body": GOOD, **asked}
    asked["headers"] = {"accept": accept, **asked.get("headers", {})}
    told = ask(**asked)
    body = json.loads(told.body)
    members = body if told.headers["content-type"] == "application/problem+json" else body["detail"]
    assert (told.status, members["error"]) == (status, code)
    documented(path, "get" if path != ANALYZE else "post", told)
    extra = set(members) - {"type", "title", "status", "detail"}
    assert extra <= set(DOCUMENT["components"]["schemas"]["ErrorMembers"]["properties"])


def test_a_stream_is_as_told() -> None:
    exchange = Exchange(Service(Policy(version="1.2.3"), PATTERNS))
    headers = (("host", "test"), ("content-length", str(len(GOOD))), ("accept", "text/event-stream"))
    first = checked_head(
        at=1.0, wall=0.0, request_id="r", peer="192.0.2.1", scheme="http", method="POST", target="/v1/analyze/aar",
        headers=headers, http_version="1.1",
    )  # fmt: skip
    commands = exchange.handle(first)
    sent: list[Any] = []
    while not sent:
        commands = step(exchange, commands, USUAL, GOOD)
        sent = [command.data.decode() for command in commands if isinstance(command, SendPart)]
    media = DOCUMENT["paths"]["/v1/analyze/aar"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    kind, data = sent[-1].removesuffix("\n\n").split("\n")
    assert kind == "event: result"
    assert problems(media["x-events"]["result"], json.loads(data.removeprefix("data: "))) == []
