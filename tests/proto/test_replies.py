"""What every answer carries: error bodies, headers, caching, CORS, quota."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proto.asking import ask
from tests.proto.conversations import BODY, ENTRY, KEY
from tests.proto.last_word import PATTERN
from vstack_proto.address import parse_networks
from vstack_proto.commands import (
    Abort,
    ArmDeadline,
    CheckKey,
    EndStream,
    ReadBody,
    Record,
    RenderMetrics,
    SendPart,
    StartStream,
    TakeQuota,
)
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import (
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    Crashed,
    DeadlinePassed,
    KeyChecked,
    PeerLeft,
    QuotaAnswered,
    ReadinessAnswered,
    ShutdownAsked,
)
from vstack_proto.exchange import Exchange
from vstack_proto.limits import Limits
from vstack_proto.state import State
from vstack_proto.testing import START, analyze_received, head_received, like, make_service, play, refusal
from vstack_proto.values import Alias

OPEN = make_service(PATTERN)
GUARDED = make_service(PATTERN, require_auth=True, quota=True)
COUNTED = make_service(PATTERN, quota=True)
IETF = make_service(PATTERN, quota=True, ietf_headers=True)
SITE = "https://app.example"
SITES = make_service(PATTERN, cors_origins=frozenset({SITE}))
ANY_SITE = make_service(PATTERN, cors_origins=frozenset({"*"}))
PATTERNS = head_received("GET", "/v1/patterns")


def get(target: str, *headers: tuple[str, str], method: str = "GET", **more: Any) -> Any:
    return head_received(method, target, headers, **more)


# Errors.


def test_an_error_says_what_and_for_which_request() -> None:
    asked = ask(OPEN, get("/nowhere", ("x-request-id", "mine:1")))
    assert (asked.status, asked.headers["content-type"]) == (404, "application/json")
    assert asked.json == {
        "detail": {
            "error": "not_found",
            "message": "there is nothing at /nowhere; see /openapi.json for what there is",
            "request_id": "mine:1",
        }
    }
    assert asked.headers["cache-control"] == "no-store"


def test_who_names_the_problem_form_gets_it() -> None:
    asked = ask(OPEN, get("/v1/patterns/last_wrd", ("accept", "application/problem+json")))
    assert (asked.status, asked.headers["content-type"]) == (404, "application/problem+json")
    told = asked.json
    assert told == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": told["message"],
        "error": "unknown_pattern",
        "message": told["message"],
        "request_id": "req_00000000000000aa",
        "nearest": ["last_word"],
    }


@pytest.mark.parametrize("accept", ["", "*/*", "application/*", "application/json", "application/problem+json;q=0"])
def test_who_does_not_name_the_problem_form_does_not_get_it(accept: str) -> None:
    asked = ask(OPEN, get("/nowhere", ("accept", accept)))
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("DELETE", "/livez", "GET, HEAD"),
        ("POST", "/v1/patterns/last_word", "GET, HEAD"),
        ("GET", "/v1/analyze/last_word", "POST"),
        ("HEAD", "/v1/analyze/last_word", "POST"),
        ("OPTIONS", "/nowhere", None),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(method: str, target: str, allow: str | None) -> None:
    asked = ask(OPEN, get(target, method=method))
    assert (asked.status, asked.headers.get("allow")) == ((405, allow) if allow else (404, None))


def test_connect_is_told_what_is_allowed() -> None:
    exchange = Exchange(OPEN, State())
    fault = RemoteProtocolError(405, "method_not_allowed", "CONNECT is not allowed")
    assert (
        refusal(405, "method_not_allowed", allow="GET, HEAD, POST").differences(exchange.refuse(fault, START)[0]) == []
    )


# What every answer carries.


@pytest.mark.parametrize(
    "target", ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/patterns", "/nowhere", "/v1/analyze/x"]
)
def test_every_answer_is_marked_and_guarded(target: str) -> None:
    asked = ask(OPEN, get(target))
    headers = asked.headers
    assert headers["date"] == "Sun, 01 Mar 2026 09:00:00 GMT"
    assert headers["x-request-id"] == "req_00000000000000aa"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["content-length"] == str(len(asked.answer.body))
    assert not {"strict-transport-security", "access-control-allow-origin", "connection", "vary"} & set(headers)


@pytest.mark.parametrize("sent", ["a", "A-b_c.d:9", "x" * 200])
def test_a_sound_request_id_comes_back(sent: str) -> None:
    asked = ask(OPEN, get("/livez", ("x-request-id", sent)))
    assert asked.headers["x-request-id"] == asked.record.request_id == sent


@pytest.mark.parametrize("sent", ["", "a b", "x" * 201, "caf\xe9", "a,b", "<script>"])
def test_any_other_is_replaced(sent: str) -> None:
    assert ask(OPEN, get("/livez", ("x-request-id", sent))).headers["x-request-id"] == "req_00000000000000aa"


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-will-be", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", ""),
        ("nonsense", ""),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", ""),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", ""),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", ""),
    ],
)
def test_a_trace_id_is_recorded(sent: str, known: str) -> None:
    record = ask(OPEN, get("/livez", ("traceparent", sent))).record
    assert record.trace_id == known
    assert record.parent_span == ("00f067aa0ba902b7-01" if known else "")


def test_an_http_connection_is_not_told_to_stay_on_tls() -> None:
    behind = make_service(PATTERN, trusted_proxies=parse_networks("192.0.2.0/24"))
    forwarded = ("x-forwarded-proto", "https")
    told = [
        "strict-transport-security" in ask(service, head).headers
        for service, head in (
            (OPEN, get("/livez", scheme="https")),
            (behind, get("/livez", forwarded)),
            (behind, get("/livez", ("x-forwarded-proto", "http"))),
            (behind, get("/livez", forwarded, peer="198.51.100.1")),
            (OPEN, get("/livez", forwarded)),
        )
    ]
    assert told == [True, True, False, False, False]


def test_the_record_tells_the_request() -> None:
    record = ask(OPEN, get("/v1/patterns/last_word?x=1")).record
    assert (record.surface, record.method, record.path, record.status) == ("rest", "GET", "/v1/patterns/last_word", 200)
    assert (record.route, record.pattern, record.mode) == ("/v1/patterns/{name}", "last_word", "other")
    assert (record.outcome, record.started, record.calls, record.cost_usd) == ("", START, 0, 0.0)
    unknown = ask(OPEN, get("/v1/analyze/what-anybody-types", method="POST")).record
    assert (unknown.pattern, unknown.outcome, unknown.code) == ("other", "unknown_pattern", "unknown_pattern")


# Pages.


def test_health_metrics_and_readiness() -> None:
    alive = ask(OPEN, get("/healthz"))
    assert alive.json == {"status": "ok", "server": "vstack-api", "version": "1.2.3", "patterns": 1}
    metrics = ask(OPEN, get("/metrics", ("accept", "application/openmetrics-text")))
    assert metrics.first(RenderMetrics).accept == "application/openmetrics-text"
    assert (metrics.answer.body, metrics.headers["content-type"]) == (b"up 1\n", "text/plain; version=0.0.4")
    assert ask(OPEN, get("/readyz")).json == {"status": "ready", "detail": "it is"}
    assert ask(OPEN, get("/readyz?verbose")).json["checks"] == {"cache": "off"}


@pytest.mark.parametrize("status", ["warming", "draining", "misconfigured"])
def test_who_is_not_ready_says_so(status: Any) -> None:
    told = ReadinessAnswered(at=START, ticket=0, status=status, detail="why", checks={})
    asked = ask(OPEN, get("/readyz"), CheckReadiness=told)
    assert (asked.status, asked.json, asked.headers["cache-control"]) == (
        503,
        {"status": status, "detail": "why"},
        "no-store",
    )


PAGES = ["/openapi.json", "/docs", "/v1/patterns", "/v1/patterns/last_word", "/v1/patterns/last_word/citations"]


@pytest.mark.parametrize("target", PAGES)
def test_a_page_that_the_caller_has_is_not_sent_again(target: str) -> None:
    whole = ask(OPEN, get(target))
    etag = whole.headers["etag"]
    assert (whole.status, whole.headers["cache-control"]) == (200, "no-cache")
    for known in (etag, f'"old", W/{etag}', "*", " * "):
        asked = ask(OPEN, get(target, ("if-none-match", known)))
        assert (asked.status, asked.answer.body, asked.headers["etag"]) == (304, b"", etag)
        assert "content-length" not in asked.headers
    assert ask(OPEN, get(target, ("if-none-match", '"old"'))).status == 200


@pytest.mark.parametrize("target", ["/livez", *PAGES])
def test_a_head_is_a_get_without_its_body(target: str) -> None:
    got, head = ask(OPEN, get(target)), ask(OPEN, get(target, method="HEAD"))
    assert (head.status, head.answer.headers, head.answer.body) == (got.status, got.answer.headers, b"")
    assert got.answer.body


def test_the_page_for_people_may_show_itself() -> None:
    plain, docs = (ask(OPEN, get(target)).headers["content-security-policy"] for target in ("/livez", "/docs"))
    assert plain == "default-src 'none'; frame-ancestors 'none'"
    assert docs != plain
    assert "frame-ancestors 'none'" in docs


# CORS.


def test_a_site_that_is_allowed_may_read_answers() -> None:
    headers = ask(SITES, get("/v1/patterns", ("origin", SITE))).headers
    assert (headers["access-control-allow-origin"], headers["vary"]) == (SITE, "Origin")
    assert "X-Request-ID" in headers["access-control-expose-headers"]
    assert ask(ANY_SITE, get("/livez", ("origin", "https://b.example"))).headers["access-control-allow-origin"] == "*"
    assert ask(SITES, get("/nowhere", ("origin", SITE))).headers["access-control-allow-origin"] == SITE


@pytest.mark.parametrize("service", [OPEN, SITES])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", SITE + ".evil.example", ""])
def test_any_other_site_may_not(service: Any, origin: str) -> None:
    sent = ("origin", origin)
    assert "access-control-allow-origin" not in ask(service, get("/v1/patterns", sent)).headers
    preflight = get("/v1/patterns", sent, ("access-control-request-method", "GET"), method="OPTIONS")
    assert ask(service, preflight).status == 405


def test_a_preflight_is_answered_without_a_key() -> None:
    service = make_service(PATTERN, require_auth=True, quota=True, cors_origins=frozenset({SITE}))
    sent = (("origin", SITE), ("access-control-request-method", "POST"))
    asked = ask(service, get("/v1/analyze/last_word", *sent, method="OPTIONS"))
    assert (asked.status, asked.answer.body, asked.headers["access-control-allow-origin"]) == (204, b"", SITE)
    assert asked.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    assert asked.headers["access-control-allow-headers"] == "Authorization, *"
    assert asked.headers["access-control-max-age"] == "600"
    assert "content-length" not in asked.headers
    assert [type(command).__name__ for command in asked.told] == ["Respond", "Record"]
    assert ask(service, get("/livez", sent[0], method="OPTIONS")).status == 405


# Keys and quota.


def test_the_quota_shows_in_what_it_admits() -> None:
    headers = ask(COUNTED, PATTERNS).headers
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("5", "4")
    assert "ratelimit" not in headers
    assert "x-ratelimit-limit" not in ask(OPEN, PATTERNS).headers
    assert "x-ratelimit-limit" not in ask(COUNTED, get("/livez")).headers


def test_the_quota_in_the_form_of_the_ietf_draft() -> None:
    headers = ask(IETF, PATTERNS).headers
    assert (headers["ratelimit-policy"], headers["ratelimit"]) == ('"default";q=5;w=60', '"default";r=4;t=60')
    assert headers["x-ratelimit-limit"] == "5"


@pytest.mark.parametrize(
    ("wait", "told"), [(0.0, "1"), (0.25, "1"), (1.0, "1"), (1.001, "2"), (12.5, "13"), (59.0, "59"), (3600.25, "3601")]
)
def test_who_waits_as_long_as_told_is_admitted(wait: float, told: str) -> None:
    refused = QuotaAnswered(
        at=START, ticket=0, verdict="refused", limit=5, remaining=0, retry_after=wait, reset=60.0, window=60.0
    )
    asked = ask(COUNTED, PATTERNS, TakeQuota=refused)
    assert (asked.status, asked.headers["retry-after"], asked.error["retry_after"]) == (429, told, int(told))
    assert (asked.error["error"], asked.headers["x-ratelimit-remaining"]) == ("rate_limited", "0")
    assert "5 requests in 60 s are allowed" in asked.error["message"]


def test_a_store_that_is_away_is_no_reason_to_wait_long() -> None:
    away = QuotaAnswered(at=START, ticket=0, verdict="unavailable")
    asked = ask(COUNTED, PATTERNS, TakeQuota=away)
    assert (asked.status, asked.error["error"], asked.headers["retry-after"]) == (503, "overloaded", "1")
    assert "x-ratelimit-limit" not in asked.headers


def test_a_missing_and_a_wrong_key_are_told_the_same() -> None:
    nobody = KeyChecked(at=START, ticket=0, name=None, loaded=3)
    missing = ask(GUARDED, PATTERNS, CheckKey=nobody)
    wrong = ask(GUARDED, get("/v1/patterns", ("x-api-key", KEY)), CheckKey=nobody)
    assert missing.first(CheckKey).credential is None
    assert wrong.first(CheckKey).credential is not None
    for asked in (missing, wrong):
        assert (asked.status, asked.headers["www-authenticate"]) == (401, 'Bearer realm="vstack"')
        assert asked.error["error"] == "unauthorized"
        assert (asked.first(TakeQuota).rule, asked.first(TakeQuota).key) == ("auth_failures", "addr:192.0.2.7")
    assert missing.answer == wrong.answer


def test_who_tries_too_many_keys_has_to_wait() -> None:
    nobody = KeyChecked(at=START, ticket=0, name=None, loaded=3)
    tried = QuotaAnswered(at=START, ticket=0, verdict="refused", limit=30, retry_after=7.5)
    asked = ask(GUARDED, PATTERNS, CheckKey=nobody, TakeQuota=tried)
    assert (asked.status, asked.headers["retry-after"], asked.error["error"]) == (429, "8", "rate_limited")
    assert "30 are allowed" in asked.error["message"]
    assert (asked.headers["x-ratelimit-limit"], asked.headers["x-ratelimit-remaining"]) == ("30", "0")


def test_a_service_that_needs_keys_and_has_none_lets_nobody_in() -> None:
    none = KeyChecked(at=START, ticket=0, name=None, loaded=0)
    asked = ask(GUARDED, PATTERNS, CheckKey=none)
    assert (asked.status, asked.error["error"], asked.record.outcome) == (500, "auth_misconfigured", "")
    assert "VSTACK_API_KEYS" in asked.error["message"]


def test_a_key_counts_where_none_is_needed() -> None:
    """It names the caller whose quota is used; one that nobody knows is as good as none."""
    sent = get("/v1/patterns", ("x-api-key", KEY))
    assert ask(COUNTED, sent).first(TakeQuota).key == "key:alice"
    unknown = KeyChecked(at=START, ticket=0, name=None, loaded=1)
    asked = ask(COUNTED, sent, CheckKey=unknown)
    assert (asked.status, asked.first(TakeQuota).key) == (200, "addr:192.0.2.7")
    assert ask(COUNTED, PATTERNS).first(TakeQuota).key == "addr:192.0.2.7"


def test_a_forged_address_counts_only_from_a_proxy() -> None:
    forged = ("x-forwarded-for", "203.0.113.9")
    behind = make_service(PATTERN, quota=True, trusted_proxies=parse_networks("192.0.2.7"))
    assert ask(COUNTED, get("/v1/patterns", forged)).first(TakeQuota).key == "addr:192.0.2.7"
    assert ask(behind, get("/v1/patterns", forged)).first(TakeQuota).key == "addr:203.0.113.9"


# Ends without an answer, and before their time.


def test_before_a_head_there_is_nobody_to_answer() -> None:
    for event in (PeerLeft(at=START), DeadlinePassed(at=START), ShutdownAsked(at=START, now=True), Crashed(at=START)):
        play(Exchange(OPEN), [(event, [Abort()])])


def test_a_service_that_drains_closes_its_connections() -> None:
    exchange = Exchange(OPEN)
    assert exchange.handle(ShutdownAsked(at=START)) == ()
    told = exchange.handle(get("/livez"))
    assert told[1].close  # type: ignore[union-attr]
    assert ("connection", "close") in told[1].headers  # type: ignore[union-attr]


def test_a_deadline_in_a_body_is_one_of_the_body_unless_it_is_that_of_the_whole() -> None:
    for seconds, status, code in ((30.0, 408, "request_timeout"), (120.0, 504, "timeout")):
        exchange = Exchange(OPEN)
        exchange.handle(analyze_received("last_word", length=100))
        told = exchange.handle(DeadlinePassed(at=START + seconds))
        assert refusal(status, code, connection="close").differences(told[0]) == []


def test_a_body_deadline_moves_with_the_body_and_is_never_behind_that_of_the_whole() -> None:
    exchange = Exchange(OPEN)
    play(
        exchange,
        [
            (
                analyze_received("last_word", length=100_000),
                [ArmDeadline(START + 120.0), ArmDeadline(START + 30.0), ReadBody(send_continue=False)],
            ),
            (BodyReceived(at=START + 1.0, data=b"x" * 128), [ArmDeadline(START + 30.5)]),
            (BodyReceived(at=START + 2.0, data=b"x" * 49_872), [ArmDeadline(START + 32.0)]),
            (BodyReceived(at=START + 100.0, data=b"x" * 49_999), [ArmDeadline(START + 120.0)]),
        ],
    )


def test_a_body_is_due_no_later_than_its_answer() -> None:
    service = make_service(PATTERN, limits=Limits(request_timeout=5.0))
    told = Exchange(service).handle(analyze_received("last_word", length=100))
    assert told == (ArmDeadline(START + 5.0), ArmDeadline(START + 5.0), ReadBody(send_continue=False))


def test_events_are_for_who_likes_them_best() -> None:
    def streams(accept: str) -> bool:
        exchange = Exchange(OPEN)
        exchange.handle(analyze_received("last_word", (("accept", accept),), length=len(BODY)))
        return exchange.state.streams

    assert [streams(accept) for accept in ("text/event-stream", "*/*", "application/json, text/event-stream")] == [
        True,
        False,
        False,
    ]
    assert streams("application/json;q=0.5, text/event-stream")


def test_what_came_from_the_cache_streams_as_one_event() -> None:
    exchange = Exchange(make_service(PATTERN, cache=True))
    exchange.handle(analyze_received("last_word", (("accept", "text/event-stream"),), length=len(BODY)))
    exchange.handle(BodyReceived(at=START, data=BODY))
    exchange.handle(BodyEnded(at=START))
    hit = CacheAnswered(at=START, ticket=1, entry=ENTRY, alias=Alias("vstack:k", "quick", "offline"))
    result = b'{"pattern":"last_word","mode":"quick","model":"offline","detection":{"speaker":"bob"},"cached":true}'
    head = {"content-type": "text/event-stream", "cache-control": "no-store", "x-cache": "hit", "age": "60"}
    play(
        exchange,
        [
            (
                hit,
                [
                    like(StartStream, status=200, headers=head),
                    SendPart(b"event: result\ndata: " + result + b"\n\n"),
                    EndStream(),
                    like(Record, status=200, cache="hit"),
                ],
            )
        ],
    )
