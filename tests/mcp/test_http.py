"""Streamable HTTP as a contribution: what each POST is answered, through the exchange, without a socket."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from tests.mcp.everything import EXTRAS
from tests.mcp.frames import check
from tests.mcp.transcripts import Request, http
from tests.proto.asking import Asked, ask
from tests.proto.last_word import PATTERN, TRACE
from vstack_mcp.offer import Extras
from vstack_mcp.revisions import CAPABILITIES_KEY, LOG_LEVEL_KEY, MODERN, VERSION_KEY
from vstack_mcp.transport_http import routes
from vstack_proto.commands import CallModel, EndStream, Record, SendPart, StartStream
from vstack_proto.events import BodyEnded, BodyReceived, FlightJoined, KeyChecked, ModelAnswered, QuotaAnswered
from vstack_proto.exchange import Exchange
from vstack_proto.hosts import LOOPBACK
from vstack_proto.policy import Policy
from vstack_proto.service import Service
from vstack_proto.testing import START, head_received

BOTH = "application/json, text/event-stream"
ENVELOPE = {VERSION_KEY: MODERN[0], CAPABILITIES_KEY: {}}
ARGUMENTS = {"trace": TRACE, "mode": "quick", "model": "offline"}
NOBODY = KeyChecked(at=START, ticket=0, name=None, loaded=1)


def service(extras: Extras | None = EXTRAS, **policy: Any) -> Service:
    made = Policy(**{"version": "1.2.3", **policy})
    return Service(made, (PATTERN,), contributed=(lambda catalogue, policy: routes(catalogue, policy, extras),))


OPEN = service()
LOCAL = service(allowed_hosts=LOOPBACK)


def post(told: Any, headers: dict[str, str] | None = None, served: Service = OPEN, **given: Any) -> Asked:
    """A POST as a client sends it; ``headers`` stand in the place of the usual ones."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    fields = {"accept": BOTH, "content-type": "application/json", **(headers or {})}
    sent = [(name.lower(), value) for name, value in fields.items() if value]
    return ask(served, head_received("POST", "/mcp", (*sent, ("content-length", str(len(body))))), body, **given)


def call(name: str, arguments: Any = None, **meta: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments or {}, **({"_meta": meta} if meta else {})}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


def modern(method: str, params: dict[str, Any] | None = None, **meta: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A modern request, and its headers."""
    told = {**(params or {}), "_meta": {**ENVELOPE, **meta}}
    about = told.get("uri") or told.get("name") or ""
    headers = {"mcp-protocol-version": MODERN[0], "mcp-method": method, "mcp-name": about}
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": told}, headers


def events(asked: Asked) -> list[Any]:
    lines = asked.answer.body.decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


# The recorded requests. Ours has no sessions, reads either form of Accept, and tells what a foreign page did wrong.

OURS: dict[str, tuple[int, int | None]] = {
    "no Accept header": (200, None),
    "Accept only application/json": (200, None),
    "Content-Type text/plain": (415, -32600),
    "batch array": (400, -32600),
    "not JSON-RPC": (400, -32600),
    "ping, missing session id": (200, None),
    "ping, unknown session id": (200, None),
    "batch within session": (400, -32600),
    "GET stream": (405, None),
    "GET without session": (405, None),
    "GET without SSE accept": (405, None),
    "DELETE session": (405, None),
    "ping after DELETE": (200, None),
    "PUT": (405, None),
    "OPTIONS (CORS preflight)": (405, None),
    "bad Host": (421, -32600),
    "bad Origin": (403, -32600),
    "Origin null": (403, -32600),
    "2026 discover, Accept only JSON": (200, None),
    "2026 isError result status": (400, -32602),  # it calls a tool that only the recorded server has
    "2026 Mcp-Name padded with spaces": (200, None),
    "2026 envelope but NO version header": (400, -32020),
    "2026 envelope but legacy version header": (400, -32020),
}


def replayed(request: Request) -> tuple[int, int | None]:
    headers = {name.lower(): value for name, value in request.headers.items()}
    host = headers.pop("host", "127.0.0.1:8000")
    body = request.body.encode()
    head = head_received(request.method, "/mcp", (*headers.items(), ("content-length", str(len(body)))))
    fields = {**head.head.fields, "host": host}
    head = msgspec.structs.replace(head, head=msgspec.structs.replace(head.head, fields=fields))
    asked = ask(LOCAL, head, body)
    told = asked.answer.body
    messages = events(asked) if b"data: " in told else [json.loads(told)] if told else []
    codes = [one["error"]["code"] for one in messages if "jsonrpc" in one and "error" in one]
    return asked.status, codes[0] if codes else None


def test_the_recorded_requests() -> None:
    requests = http("http_edge_cases_sdk_server.txt")
    assert set(OURS) <= {request.title for request in requests}
    assert len(requests) > 40
    differing = {}
    for request in requests:
        expected = OURS.get(request.title, (request.status, request.code))
        if (found := replayed(request)) != expected:
            differing[request.title] = found, expected
    assert differing == {}


# Legacy.


def test_every_answer_comes_without_a_session() -> None:
    asked = post({"jsonrpc": "2.0", "id": 0, "method": "ping"})
    assert (asked.status, asked.json, asked.headers["content-type"]) == (
        200,
        {"jsonrpc": "2.0", "id": 0, "result": {}},
        "application/json",
    )
    assert "mcp-session-id" not in asked.headers
    assert (asked.record.surface, asked.record.route, asked.record.outcome) == ("mcp", "/mcp", "")


@pytest.mark.parametrize("method", ["notifications/initialized", "notifications/cancelled", "notifications/whatever"])
def test_a_notification_is_taken(method: str) -> None:
    asked = post({"jsonrpc": "2.0", "method": method})
    assert (asked.status, asked.answer.body) == (202, b"")


def test_an_error_is_an_answer_like_any_other() -> None:
    asked = post({"jsonrpc": "2.0", "id": 1, "method": "nothing/there"})
    assert (asked.status, asked.json["error"]["code"], asked.record.code) == (200, -32601, "invalid_request")


def test_a_tool_that_tells_something_first_is_answered_by_events_where_they_are_read() -> None:
    asked = post(call("test_tool_with_progress", progressToken="t"))
    told = [one.get("params", {}).get("progress", "answer") for one in events(asked)]
    assert (asked.headers["content-type"], told) == ("text/event-stream", [0, 50, 100, "answer"])
    alone = post(call("test_tool_with_progress", progressToken="t"), {"accept": "application/json"})
    assert alone.json["result"]["content"]
    plain = post(call("test_tool_with_progress"))
    assert plain.json["result"]["content"]


def test_who_reads_only_events_gets_events() -> None:
    (told,) = events(post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"accept": "text/event-stream"}))
    assert told == {"jsonrpc": "2.0", "id": 1, "result": {}}


# Modern.


def test_a_modern_result_says_whose_it_is_and_how_long_it_holds() -> None:
    told, headers = modern("tools/list")
    result = post(told, headers).json["result"]
    check(MODERN[0], "ListToolsResult", result)
    assert result["resultType"] == "complete"
    assert result["cacheScope"] == "private"
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"] == {"name": "vstack", "version": "1.2.3"}


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("test_simple_text", 200, None),
        (f"=?base64?{base64.b64encode(b'test_simple_text').decode()}?=", 200, None),
        ("=?base64?///?=", 400, -32020),
        ("test_simple", 400, -32020),
        ("", 400, -32020),
    ],
)
def test_the_headers_say_what_the_body_says(name: str, status: int, code: int | None) -> None:
    told, headers = modern("tools/call", {"name": "test_simple_text"})
    asked = post(told, {**headers, "mcp-name": name})
    assert (asked.status, asked.json.get("error", {}).get("code")) == (status, code)


def test_what_is_missing_is_404_and_what_is_wrong_400() -> None:
    assert post(*modern("nothing/there")).status == 404
    assert post(*modern("subscriptions/listen")).status == 404
    assert post(*modern("resources/read", {"uri": "vstack://nothing"})).status == 400
    told, headers = modern("ping")
    assert post(told, headers).json["error"]["code"] == -32601


def test_logs_go_to_who_asked_for_them() -> None:
    quiet = post(*modern("tools/call", {"name": "test_logging_tool"}))
    assert quiet.json["result"]
    loud = post(*modern("tools/call", {"name": "test_logging_tool"}, **{LOG_LEVEL_KEY: "info"}))
    assert [one["method"] for one in events(loud)[:-1]] == ["notifications/message"] * 3
    deaf = post(*modern("tools/call", {"name": "test_logging_tool"}, **{LOG_LEVEL_KEY: "error"}))
    assert deaf.json["result"]


def test_what_a_client_can_do_is_in_its_envelope() -> None:
    told, headers = modern("tools/call", {"name": "test_missing_capability"})
    assert post(told, headers).json["error"]["data"] == {"requiredCapabilities": {"sampling": {}}}
    told["params"]["_meta"][CAPABILITIES_KEY] = {"sampling": {}}
    assert post(told, headers).json["result"]["content"]


# Analyses.


def test_a_call_is_an_analysis_of_the_service() -> None:
    asked = post(call("vstack_last_word", ARGUMENTS))
    result = asked.json["result"]
    assert result["structuredContent"]["detection"]["speaker"] == "bob"
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    record = asked.record
    assert (record.surface, record.outcome, record.pattern, record.mode) == ("mcp", "ok", "last_word", "quick")


@pytest.mark.parametrize(
    ("arguments", "words", "outcome"),
    [
        ({}, ("/goal is missing", "/lines is missing", "Mend the arguments"), "validation_error"),
        ({"trace": {"goal": " ", "lines": []}}, ("/lines",), "validation_error"),
        ({**ARGUMENTS, "mode": "slow"}, ("quick, standard, forensic",), "invalid_mode"),
        ({**ARGUMENTS, "mode": 3}, ("/mode must be a string",), "validation_error"),
        ({"trace": TRACE}, ("ANTHROPIC_API_KEY", '"model": "offline"'), "llm_resolution_error"),
        ({"trace": {**TRACE, "goal": "x" * 200_001}}, ("VSTACK_API_MAX_STRING_CHARS",), "request_too_large"),
    ],
)
def test_a_refused_call_says_what_to_mend(arguments: Any, words: tuple[str, ...], outcome: str) -> None:
    asked = post(call("vstack_last_word", arguments))
    result = asked.json["result"]
    assert asked.status == 200
    assert result["isError"] is True
    told = result["content"][0]["text"]
    assert all(word in told for word in words), told
    assert f"({outcome}, request {asked.headers['x-request-id']})" in told
    assert asked.record.outcome == outcome


def test_hundreds_of_faults_are_not_all_told() -> None:
    wrong = {"trace": {"goal": "g", "lines": [{"who": 1, "said": 2}] * 50}}
    told = post(call("vstack_last_word", wrong)).json["result"]["content"][0]["text"]
    assert "- and 80 more" in told


def test_an_over_full_service_says_when_to_try_again() -> None:
    full = FlightJoined(at=START, ticket=0, role="refused")
    asked = post(call("vstack_last_word", ARGUMENTS), JoinFlight=full)
    assert "Try again in 1 s." in asked.json["result"]["content"][0]["text"]


ASKING = service(provider="scripted", default_model="m-1")


def begun(meta: dict[str, Any]) -> Exchange:
    body = json.dumps(call("vstack_last_word", {"trace": TRACE}, **meta)).encode()
    exchange = Exchange(ASKING)
    exchange.handle(head_received("POST", "/mcp", (("accept", BOTH), ("content-length", str(len(body))))))
    exchange.handle(BodyReceived(at=START, data=body))
    exchange.handle(BodyEnded(at=START))
    return exchange


LED = FlightJoined(at=START, ticket=1, role="leads")


def test_progress_opens_a_stream_that_ends_with_the_answer() -> None:
    exchange = begun({"progressToken": "t"})
    told = exchange.handle(LED)
    (part,) = (one for one in told if isinstance(one, SendPart))
    assert any(isinstance(one, StartStream) for one in told)
    first = json.loads(part.data.decode().split("data: ")[1])
    assert first["params"] == {"progressToken": "t", "progress": 0, "total": 2, "message": "pass 1 of 2: last_word"}
    second, *_ = exchange.handle(ModelAnswered(at=START, ticket=2, text='{"left_open": false}'))
    assert isinstance(second, SendPart)
    assert b'"progress":1' in second.data
    told = exchange.handle(ModelAnswered(at=START, ticket=3, text='{"verdict": "fine"}'))
    (answer,) = (one for one in told if isinstance(one, SendPart))
    assert [type(one) for one in told[-2:]] == [EndStream, Record]
    assert answer.data.startswith(b'event: message\ndata: {"jsonrpc":"2.0","id":7,"result"')


def test_without_a_token_the_answer_is_one_body() -> None:
    told = {type(one) for one in begun({}).handle(LED)}
    assert CallModel in told
    assert told.isdisjoint((StartStream, SendPart))


# Before the body.


def test_a_key_is_asked_for_in_the_same_words() -> None:
    asked = post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, served=service(require_auth=True), CheckKey=NOBODY)
    assert (asked.status, asked.headers["www-authenticate"]) == (401, 'Bearer realm="vstack"')
    error = asked.json["error"]
    assert asked.json["id"] is None
    assert (error["code"], error["data"]["error"]) == (-32600, "unauthorized")


def test_the_quota_is_the_same() -> None:
    refused = QuotaAnswered(at=START, ticket=0, verdict="refused", limit=5, remaining=0, retry_after=2.5)
    asked = post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, served=service(quota=True), TakeQuota=refused)
    assert (asked.status, asked.headers["retry-after"], asked.json["error"]["data"]["error"]) == (
        429,
        "3",
        "rate_limited",
    )


def test_a_store_that_is_away_is_no_fault_of_the_caller() -> None:
    away = QuotaAnswered(at=START, ticket=0, verdict="unavailable")
    asked = post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, served=service(quota=True), TakeQuota=away)
    assert (asked.status, asked.json["error"]["code"]) == (503, -32603)


def test_nobody_can_read_an_image_of_an_answer() -> None:
    assert post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"accept": "image/png"}).status == 406


def test_the_document_has_the_path() -> None:
    described = json.loads(OPEN.openapi.body)["paths"]["/mcp"]["post"]
    assert {"200", "202", "400", "401", "403", "404", "421"} <= set(described["responses"])
