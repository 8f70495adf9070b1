"""Keys and quota, as somebody meets them who tries the service for the first time."""

from __future__ import annotations

import http.client
import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, BOB, Runtime, Server, bearer, canonical_trace

WRONG = "wrong-key-" + "0" * 30
# Another address of this machine than the one that is trusted by default.
STRANGER = "127.0.0.2"


def test_a_key_is_needed_and_opens_in_either_header(shared: Server) -> None:
    missing, wrong = shared.get("/v1/patterns"), shared.get("/v1/patterns", bearer(WRONG))
    for refusal in (missing, wrong, shared.get("/v1/patterns", {"X-API-Key": WRONG})):
        assert refusal.outcome == (401, "unauthorized")
        assert refusal.headers["www-authenticate"] == 'Bearer realm="vstack"'
        assert refusal.error["message"] == missing.error["message"]
        assert WRONG not in str(refusal)
    for right in (bearer(ALICE), {"X-API-Key": ALICE}, {"authorization": f"bearer {ALICE}"}):
        assert shared.get("/v1/patterns", right).status == 200
    # Authorization counts first, and a wrong one is not made good by the other.
    assert shared.get("/v1/patterns", {**bearer(WRONG), "X-API-Key": ALICE}).status == 401
    assert shared.get("/v1/patterns", {**bearer(ALICE), "X-API-Key": WRONG}).status == 200


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
def test_public_pages_need_no_key(shared: Server, path: str) -> None:
    assert shared.get(path).status == 200
    assert shared.get(path, bearer(WRONG)).status == 200


def test_a_refusal_of_a_key_is_counted(shared: Server) -> None:
    before = shared.counted()
    assert shared.post("/v1/analyze/aar", canonical_trace()).status == 401
    assert shared.newly_counted(before) == {("aar", "other", "unauthorized"): 1}


def test_quota_admits_exactly_as_many_and_a_forged_address_changes_nothing(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_API_RATE_LIMIT="5/60")
    answers = [server.get("/v1/patterns", {"X-Forwarded-For": f"203.0.113.{n}"}, source=STRANGER) for n in range(12)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 7
    assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["4", "3", "2", "1", *["0"] * 8]
    assert {a.headers["x-ratelimit-limit"] for a in answers} == {"5"}
    assert all(answer.outcome == (429, "rate_limited") for answer in answers[5:])
    assert all(50 <= int(answer.headers["retry-after"]) <= 60 for answer in answers[5:])
    assert all(int(a.headers["retry-after"]) == a.error["retry_after"] for a in answers[5:])
    # Nor do health, metrics and OpenAPI count, or stop.
    assert [server.get(path, source=STRANGER).status for path in ("/livez", "/metrics", "/openapi.json")] == [200] * 3
    assert "x-ratelimit-limit" not in server.get("/livez", source=STRANGER).headers

    before = server.counted()
    refused = server.post("/v1/analyze/aar", canonical_trace(), source=STRANGER)
    assert refused.outcome == (429, "rate_limited")
    assert server.newly_counted(before) == {("aar", "other", "rate_limited"): 1}


def test_the_word_of_a_trusted_proxy_counts(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_API_RATE_LIMIT="5/60")

    def statuses(forwarded: str, times: int) -> list[int]:
        return [server.get("/v1/patterns", {"X-Forwarded-For": forwarded}).status for _ in range(times)]

    assert statuses("203.0.113.1", 6) == [200] * 5 + [429]
    assert statuses("203.0.113.2", 1) == [200]
    # Read from the right: what a caller wrote in front of what the proxy saw is nobody's word.
    assert statuses("198.51.100.7, 203.0.113.1", 1) == [429]
    # IPv6 callers count by their /64.
    assert statuses("2001:db8::1", 5) == [200] * 5
    assert statuses("2001:db8::ffff:2", 1) == [429]
    assert statuses("2001:db8:0:1::1", 1) == [200]


def test_a_key_counts_by_its_name_and_a_refusal_uses_nothing_up(serve: Serve, runtime: Runtime) -> None:
    keys = f"alice={ALICE},bob={BOB}"
    server = serve(runtime, VSTACK_API_KEYS=keys, VSTACK_API_RATE_LIMIT="3/2,5000/60", VSTACK_API_AUTH_FAILURES="4/60")
    began = time.monotonic()
    alice = [server.get("/v1/patterns", bearer(ALICE), source=f"127.0.0.{n}") for n in range(2, 8)]
    assert [answer.status for answer in alice] == [200] * 3 + [429] * 3
    assert server.get("/v1/patterns", bearer(BOB), source="127.0.0.2").status == 200
    # Retry-After is honest, and what is refused uses nothing up: who asks on and on is let in when the two seconds are
    # over, neither before nor later.
    told = int(alice[-1].headers["retry-after"])
    assert server.until(lambda: server.get("/v1/patterns", bearer(ALICE)).status == 200)
    took = time.monotonic() - began
    assert 1 <= told <= 2
    assert 2.0 <= took < told + 1.5
    # Wrong keys have a quota of their own.
    wrong = [server.get("/v1/patterns", bearer(WRONG), source="127.0.0.9") for _ in range(6)]
    assert [answer.outcome for answer in wrong] == [(401, "unauthorized")] * 4 + [(429, "rate_limited")] * 2
    assert int(wrong[-1].headers["retry-after"]) > 50
    assert server.get("/v1/patterns", bearer(WRONG), source="127.0.0.10").status == 401


def test_quota_holds_for_requests_that_come_at_once(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_API_RATE_LIMIT="5/60")
    connections = [http.client.HTTPConnection("127.0.0.1", server.port, 20) for _ in range(20)]
    for connection in connections:
        connection.request("GET", "/v1/patterns")
    statuses = []
    for connection in connections:
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
        connection.close()
    assert sorted(statuses) == [200] * 5 + [429] * 15


def test_the_ietf_fields_come_where_they_are_asked_for(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_API_RATE_LIMIT="5/60", VSTACK_API_RATE_LIMIT_HEADERS="ietf")
    answer = server.get("/v1/patterns")
    assert answer.headers["ratelimit-policy"] == '"default";q=5;w=60'
    assert answer.headers["ratelimit"].startswith('"default";r=4;t=')


def test_auth_without_keys_fails_closed_from_the_start(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_API_REQUIRE_AUTH="true")
    server.excused.append('"code":"auth_misconfigured"')
    ready = server.get("/readyz")
    assert (ready.status, ready.json["status"]) == (503, "misconfigured")
    assert "VSTACK_API_KEYS" in ready.json["detail"]
    assert server.get("/livez").status == 200
    before = server.counted()
    for headers in ({}, bearer(ALICE)):
        answer = server.post("/v1/analyze/aar", canonical_trace(), headers)
        assert answer.outcome == (500, "auth_misconfigured")
        assert answer.error["request_id"] == answer.headers["x-request-id"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert server.newly_counted(before) == {("aar", "other", "unauthorized"): 2}


def test_keys_without_auth_are_warned_of(serve: Serve) -> None:
    server = serve("asyncio", VSTACK_API_KEYS=f"alice={ALICE}", VSTACK_API_REQUIRE_AUTH="off")
    assert any("VSTACK_API_REQUIRE_AUTH" in line["event"] for line in server.log if line["level"] == "warning")
    assert server.get("/v1/patterns").status == 200


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """Put a new file in the place of the old one, as an editor does it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)


def test_the_key_file_is_read_again(serve: Serve, runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    replace(path, f"# who may call\nalice={ALICE}\n")
    server = serve(runtime, VSTACK_API_KEYS_FILE=str(path))

    def statuses() -> tuple[int, int]:
        return server.get("/v1/patterns", bearer(ALICE)).status, server.get("/v1/patterns", bearer(BOB)).status

    assert statuses() == (200, 401)
    since = len(server.log)
    replace(path, f"bob={BOB}\n")
    server.wait_for(lambda line: line["event"] == "keys reloaded", since)
    assert statuses() == (401, 200)

    # A broken file leaves the keys as they are, and is told of.
    server.excused.append("the new file is broken")
    since = len(server.log)
    replace(path, "alice=short\n")
    told = server.wait_for(lambda line: line["level"] == "error", since)
    assert "VSTACK_API_KEYS_FILE" in str(told)
    assert statuses() == (401, 200)
    ready = server.get("/readyz")
    assert ready.status == 200

    since = len(server.log)
    replace(path, f"alice={ALICE}\nbob={BOB}\n")
    server.signal(signal.SIGHUP)
    server.wait_for(lambda line: line["event"] == "keys reloaded", since)
    assert statuses() == (200, 200)


def test_a_key_file_that_anybody_may_read_is_warned_of(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    replace(path, f"alice={ALICE}\n", 0o644)
    server = serve("asyncio", VSTACK_API_KEYS_FILE=str(path))
    assert any(str(path) in line["event"] for line in server.log if line["level"] == "warning")
    assert os.stat(path).st_mode & 0o777 == 0o644
