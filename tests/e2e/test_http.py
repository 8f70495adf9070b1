"""What every answer carries, and how pages behave: HEAD, ETag, ids, security fields, CORS, probes, keep-alive, docs."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.serving import ALICE, Answer, Runtime, Server, bearer, canonical_trace, head

AAR = "/v1/analyze/aar"
PUBLIC = ("/livez", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")
CATALOGUE = (
    "/v1/patterns",
    "/v1/patterns/aar",
    "/v1/patterns/social_loafing/playbooks",
    "/v1/patterns/social_loafing/citations",
    "/v1/patterns/span_of_control/composition",
)
ORIGIN = "https://app.example"
# Pages, a refusal of each kind of driver, and an analysis.
KINDS = [("GET", "/livez"), ("GET", "/v1/patterns"), ("GET", "/nowhere"), ("GET", AAR), ("POST", AAR), ("OPTIONS", AAR)]


def any_answer(server: Server, method: str, path: str, **headers: str) -> Answer:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask(method, path, b"{}" if method == "POST" else None, {**bearer(ALICE), **told})


@pytest.mark.parametrize("path", [*PUBLIC, *CATALOGUE])
def test_head_works_where_get_does(shared: Server, path: str) -> None:
    got, asked = shared.get(path, bearer(ALICE)), shared.ask("HEAD", path, None, bearer(ALICE))
    assert (got.status, asked.status, asked.body) == (200, 200, b"")
    assert len(got.body) == int(got.headers["content-length"])
    own = {"date", "x-request-id", "age", "content-length"} if path == "/metrics" else {"date", "x-request-id", "age"}
    assert {k: v for k, v in got.headers.items() if k not in own} == {
        k: v for k, v in asked.headers.items() if k not in own
    }
    # A body after HEAD would be read as the next answer.
    with shared.connected() as line:
        line.send(head("HEAD", path) + head("GET", "/livez"))
        assert line.answer("HEAD").status == 200
        assert line.answer().json["status"] == "ok"


def test_head_of_an_analysis_is_no_method_of_it(shared: Server) -> None:
    answer = shared.ask("HEAD", AAR, None, bearer(ALICE))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", *CATALOGUE])
def test_a_page_that_has_not_changed_is_not_sent_again(shared: Server, path: str) -> None:
    first = shared.get(path, bearer(ALICE))
    etag = first.headers["etag"]
    assert re.fullmatch(r'"[!-~]+"', etag), "a strong one"
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = shared.get(path, {**bearer(ALICE), "If-None-Match": known})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == etag
        assert "content-length" not in again.headers or again.headers["content-length"] == str(len(first.body))
    assert shared.get(path, {**bearer(ALICE), "If-None-Match": '"other"'}).status == 200
    # Whoever may not see the page is not told whether it has changed.
    if path.startswith("/v1"):
        assert shared.get(path, {"If-None-Match": etag}).status == 401


@pytest.mark.parametrize(("method", "path"), KINDS)
def test_an_id_is_echoed_or_made(shared: Server, method: str, path: str) -> None:
    for sound in ("a", "Abc-1.2:3_x", "x" * 200):
        assert any_answer(shared, method, path, X_Request_ID=sound).headers["x-request-id"] == sound
    made = [any_answer(shared, method, path).headers["x-request-id"] for _ in range(3)]
    made += [any_answer(shared, method, path, X_Request_ID=bad).headers["x-request-id"] for bad in (
        "", "x" * 201, "no spaces", "umläut", "semi;colon", 'quo"te', "{}"
    )]  # fmt: skip
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"req_[0-9a-f]{16}", one) for one in made)


def test_an_id_ties_answer_and_log_together(shared: Server) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    told = {"X-Request-ID": "tie-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    shared.post(AAR, b"{", {**bearer(ALICE), **told})
    line = shared.wait_for(lambda line: line.get("request_id") == "tie-1")
    assert (line["trace_id"], line["caller"], line["route"]) == (trace, "alice", "/v1/analyze/{name}")


@pytest.mark.parametrize(("method", "path"), KINDS)
def test_every_answer_carries_the_security_fields(shared: Server, method: str, path: str) -> None:
    fields = any_answer(shared, method, path).headers
    assert fields["x-content-type-options"] == "nosniff"
    assert fields["x-frame-options"] == "DENY"
    assert fields["referrer-policy"] == "strict-origin-when-cross-origin"
    assert fields["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "server" not in fields
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields["date"])
    # Over plain HTTP there is nothing to insist on; a trusted proxy says that the caller came over TLS.
    assert "strict-transport-security" not in fields
    assert (
        "max-age=63072000"
        in any_answer(shared, method, path, X_Forwarded_Proto="https").headers["strict-transport-security"]
    )


def test_analyses_are_not_stored_by_anybody(shared: Server) -> None:
    body = {"trace": canonical_trace(), "format": "canonical", "model": "offline"}
    assert shared.post(AAR, body, bearer(ALICE)).headers["cache-control"] == "no-store"
    assert shared.post(AAR, b"{", bearer(ALICE)).headers["cache-control"] == "no-store"


def test_a_browser_of_an_allowed_origin_may_call(shared: Server) -> None:
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    allowed = shared.ask("OPTIONS", AAR, None, asks)
    assert (allowed.status, allowed.body) == (204, b"")
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert {"GET", "POST"} <= set(re.split(r", *", allowed.headers["access-control-allow-methods"]))
    assert allowed.headers["access-control-allow-headers"] == "Authorization, *"
    assert allowed.headers["access-control-max-age"] == "600"
    assert "access-control-allow-credentials" not in allowed.headers
    assert allowed.headers["x-request-id"]
    for answer in (shared.get("/v1/patterns", {**bearer(ALICE), "Origin": ORIGIN}), shared.get("/v1/patterns", asks)):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "origin" in answer.headers["vary"].lower()
        exposed = answer.headers["access-control-expose-headers"]
        assert all(name in exposed for name in ("X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining"))


def test_a_browser_of_another_origin_may_not(shared: Server) -> None:
    for origin in ("https://evil.example", "https://app.example.evil", "null", "http://app.example"):
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert shared.ask("OPTIONS", AAR, None, asks).status == 405
        answer = shared.get("/v1/patterns", {**bearer(ALICE), "Origin": origin})
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_probes_tell_what_they_should(shared: Server) -> None:
    for path in ("/livez", "/healthz"):
        told = shared.get(path).json
        assert told.keys() == {"status", "server", "version", "patterns"}
        assert (told["status"], told["server"]) == ("ok", "vstack-api")
        assert told["patterns"] == shared.get("/v1/patterns", bearer(ALICE)).json["count"] >= 3
    ready = shared.get("/readyz")
    assert (ready.status, ready.json["status"]) == (200, "ready")
    checks = shared.get("/readyz?verbose").json["checks"]
    # A missing provider is named, and is no failure.
    assert "offline" in checks["provider"]
    assert "1 loaded" in checks["keys"]
    assert ALICE not in json.dumps(checks)


def test_the_catalogue_lists_what_can_be_asked(shared: Server) -> None:
    listed = shared.get("/v1/patterns", bearer(ALICE)).json
    names = [entry["name"] for entry in listed["patterns"]]
    assert listed["count"] == len(set(names))
    assert {"aar", "social_loafing", "span_of_control"} <= set(names)
    for entry in listed["patterns"]:
        assert shared.get(f"/v1/patterns/{entry['name']}", bearer(ALICE)).json == entry
        assert shared.ask("OPTIONS", entry["analyze_url"], None, bearer(ALICE)).headers["allow"] == "POST"
        for page in entry["resources"].values():
            assert shared.get(page, bearer(ALICE)).status == 200


def test_metrics_in_both_formats(shared: Server) -> None:
    plain = shared.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    opened = shared.get("/metrics", {"Accept": "application/openmetrics-text; version=1.0.0"})
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.body.endswith(b"# EOF\n")
    told = plain.body.decode()
    assert 'vstack_requests_total{mode="standard",pattern="aar",status="timeout",surface="rest"} 0.0' in told
    assert 'le="30.0"' in told
    assert 'le="120.0"' in told
    assert 'le="180.0"' in told
    assert ALICE not in told
    assert "127.0.0.1" not in told


def test_the_docs_need_nothing_from_elsewhere(shared: Server) -> None:
    page = shared.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert re.findall(r'(?:src|href|action)="(?:[a-z]+:|//)[^"]*"', page.body.decode()) == []
    document = shared.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert "/v1/analyze/{name}" in document["paths"] or "/v1/analyze/aar" in document["paths"]


def test_requests_on_one_connection_are_answered_in_order(shared: Server, runtime: Runtime) -> None:
    body = json.dumps({"trace": canonical_trace(), "format": "canonical", "model": "offline"}).encode()
    post = head("POST", AAR, "Content-Type: application/json", f"Content-Length: {len(body)}", "X-Request-ID: two")
    with shared.connected() as line:
        line.send(head("GET", "/livez", "X-Request-ID: one") + post + body + head("GET", "/x", "X-Request-ID: three"))
        answers = [line.answer() for _ in range(3)]
        assert [answer.headers["x-request-id"] for answer in answers] == ["one", "two", "three"]
        assert [answer.status for answer in answers] == [200, 200, 404]
        line.send(head("GET", "/livez", "Connection: close"))
        assert line.answer().headers["connection"] == "close"
        assert line.ended()


def test_http_1_0_is_answered_and_closed(shared: Server) -> None:
    with shared.connected() as line:
        line.send(b"GET /livez HTTP/1.0\r\n\r\n")
        assert line.answer().status == 200
        assert line.ended()


def test_a_target_may_be_absolute(shared: Server) -> None:
    assert shared.raw(head("GET", "http://vstack.example/livez?x=1")).status == 200
    assert shared.raw(b"\r\n" + head("GET", "/livez")).status == 200


@pytest.mark.slow
def test_a_connection_serves_a_thousand_requests(shared: Server) -> None:
    with shared.connected() as line:
        served = 0
        while served < 1_100:
            line.send(head("GET", "/livez"))
            answer = line.answer()
            assert answer.status == 200
            served += 1
            if answer.headers.get("connection") == "close":
                break
        assert served == 1_000
        assert line.ended()


def test_an_analysis_can_be_streamed(shared: Server) -> None:
    body = {"trace": canonical_trace(goal="Stream it"), "format": "canonical", "model": "offline"}
    accepts = {**bearer(ALICE), "Accept": "text/event-stream"}
    answer = shared.post(AAR, body, accepts)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    names = re.findall(r"^event: (\w+)$", answer.body.decode(), re.MULTILINE)
    assert names[-1] == "result"
    assert names.count("result") == 1
    told = json.loads(answer.body.decode().rpartition("data: ")[2])
    assert told["pattern"] == "aar"
    # What can be refused before a stream begins is refused plainly.
    assert shared.post(AAR, b"{", accepts).outcome == (400, "invalid_json")
