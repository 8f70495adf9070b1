"""Every refusal that service.md names: its status and code, in both forms of a body, and its place in the metrics."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import time
from typing import Any, NamedTuple

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, Answer, Line, Runtime, Server, canonical_trace, head
from tests.wire.corpus import CASES, Case

AAR = "/v1/analyze/aar"
LONE = {"trace": canonical_trace("loner"), "format": "canonical", "model": "offline"}
GOOD = {"trace": canonical_trace(), "format": "canonical", "model": "offline"}
PROBLEM = {"Accept": "application/problem+json"}


class Refusal(NamedTuple):
    """A request, and how it is refused; ``counted`` is (pattern, mode, status), or None for what is no analysis."""

    name: str
    status: int
    code: str
    counted: tuple[str, str, str] | None
    body: Any = GOOD
    path: str = AAR
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    key: str = ALICE
    # Who takes the problem form is not refused for what it takes.
    forms: tuple[str, ...] = ("plain", "problem")


def bad(mode: str = "other", status: str = "validation_error", pattern: str = "aar") -> tuple[str, str, str]:
    return pattern, mode, status


REFUSALS = [
    Refusal("an empty body", 400, "invalid_request", bad(), b""),
    Refusal("a list", 400, "invalid_request", bad(), []),
    Refusal("an unknown format", 400, "invalid_request", bad("standard"), {**GOOD, "format": "otel"}),
    Refusal("half a document", 400, "invalid_json", bad(), b'{"trace": {"goal": '),
    Refusal("a trace of another kind", 400, "trace_not_readable", bad("standard", pattern="social_loafing"), LONE,
            "/v1/analyze/social_loafing"),
    Refusal("a trace without steps", 400, "validation_error", bad("quick"), {"trace": {"goal": "x"}, "mode": "quick"}),
    Refusal("a mode that is a number", 400, "validation_error", bad(), {**GOOD, "mode": 3}),
    Refusal("an unknown mode", 400, "invalid_mode", bad(status="invalid_mode"), {**GOOD, "mode": "deep"}),
    Refusal("no key", 401, "unauthorized", bad(status="unauthorized"), key=""),
    Refusal("a wrong key", 401, "unauthorized", bad(status="unauthorized"), key="x" * 30),
    Refusal("an unknown pattern", 404, "unknown_pattern", bad(status="unknown_pattern", pattern="other"),
            path="/v1/analyze/social_loafin"),
    Refusal("an unknown pattern of the catalogue", 404, "unknown_pattern", None, None, "/v1/patterns/zzz", "GET"),
    Refusal("an unknown path", 404, "not_found", None, path="/v1/analyse/aar"),
    Refusal("another method", 405, "method_not_allowed", None, None, AAR, "GET"),
    Refusal("another method on the catalogue", 405, "method_not_allowed", None, b"x", "/v1/patterns", "DELETE"),
    Refusal("no form that we have", 406, "not_acceptable", bad(), headers=(("Accept", "text/html"),), forms=("plain",)),
    Refusal("another media type", 415, "unsupported_media_type", bad(), headers=(("Content-Type", "text/csv"),)),
    Refusal("another content coding", 415, "unsupported_media_type", bad(), headers=(("Content-Encoding", "br"),)),
    Refusal("too many steps", 413, "request_too_large", bad("standard", "request_too_large"),
            {**GOOD, "trace": canonical_trace(steps=5001)}),
    Refusal("too long a string", 413, "request_too_large", bad("standard", "request_too_large"),
            {**GOOD, "trace": canonical_trace(goal="x" * 200_001)}),
    Refusal("no provider", 502, "llm_resolution_error", bad("standard", "llm_resolution_error"),
            {"trace": canonical_trace(), "format": "canonical"}),
]  # fmt: skip


def ask(server: Server, refusal: Refusal, more: dict[str, str]) -> Answer:
    headers = {"X-API-Key": refusal.key} if refusal.key else {}
    if refusal.body is None:
        return server.ask(refusal.method, refusal.path, None, {**headers, **dict(refusal.headers), **more})
    data = refusal.body if isinstance(refusal.body, bytes) else json.dumps(refusal.body).encode()
    told = {"Content-Type": "application/json", **headers, **dict(refusal.headers), **more}
    return server.ask(refusal.method, refusal.path, data, told)


def check_form(answer: Answer, form: str) -> None:
    """Check the shape of a refusal's body, and what must not be in it."""
    told, error = answer.json, answer.error
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["message"]
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.body) < 4_000
    if form == "problem":
        assert answer.headers["content-type"] == "application/problem+json"
        assert (told["status"], told["detail"], told["type"]) == (answer.status, error["message"], "about:blank")
        assert told["title"]
    else:
        assert answer.headers["content-type"] == "application/json"
        assert told.keys() == {"detail"}
    assert "Traceback" not in answer.body.decode()
    assert ALICE not in answer.body.decode()


@pytest.mark.parametrize(
    ("refusal", "form"),
    [pytest.param(refusal, form, id=f"{refusal.name}-{form}") for refusal in REFUSALS for form in refusal.forms],
)
def test_a_refusal_has_its_code_and_is_counted(shared: Server, refusal: Refusal, form: str) -> None:
    before = shared.counted()
    answer = ask(shared, refusal, PROBLEM if form == "problem" else {})
    assert answer.outcome == (refusal.status, refusal.code)
    check_form(answer, form)
    assert answer.headers.get("connection", "keep-alive") in ("keep-alive", "close")
    if refusal.counted is not None:
        assert shared.newly_counted(before) == {refusal.counted: 1}
    line = shared.wait_for(lambda line: line.get("request_id") == answer.headers["x-request-id"])
    assert (line["status"], line["code"]) == (refusal.status, refusal.code)


def test_what_a_refusal_tells_besides(shared: Server) -> None:
    """Limits with their value and what mends them, allowed methods, nearest names, what a provider needs."""
    told = {refusal.name: ask(shared, refusal, {}) for refusal in REFUSALS}
    assert told["another method"].headers["allow"] == "POST"
    assert told["another method on the catalogue"].headers["allow"] == "GET, HEAD"
    assert "social_loafing" in told["an unknown pattern"].error["nearest"]
    assert "social_loafing" in told["an unknown pattern"].error["message"]
    steps = told["too many steps"].error
    assert (steps["limit"], steps["actual"], steps["setting"]) == (5_000, 5_001, "VSTACK_API_MAX_TRACE_STEPS")
    assert all(word in steps["message"] for word in ("5000", "5001", "VSTACK_API_MAX_TRACE_STEPS"))
    text = told["too long a string"].error
    assert (text["limit"], text["actual"], text["setting"]) == (200_000, 200_001, "VSTACK_API_MAX_STRING_CHARS")
    needs = told["no provider"].error["message"]
    for word in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OLLAMA_HOST", "VSTACK_LLM=offline"):
        assert word in needs
    assert "quick" in told["an unknown mode"].error["message"]
    assert "social_loafing" in told["a trace of another kind"].error["missing"]


MANY_FIELDS = tuple(f"X-Field-{n}: {n}" for n in range(101))
# Heads that are sound enough for every driver to see them; past that, it is not known what they ask for.
HEADS = [
    ("an expectation", 417, "expectation_failed", head("POST", AAR, "Expect: 200-ok", "Content-Length: 2")),
    ("too many fields", 431, "headers_too_large", head("POST", AAR, *MANY_FIELDS, "Content-Length: 2")),
    ("an underscore", 400, "invalid_request", head("POST", AAR, "X_Field: 1", "Content-Length: 2")),
    ("both lengths", 400, "invalid_request",
     head("POST", AAR, "Content-Length: 2", "Transfer-Encoding: chunked")),
    ("another version", 505, "http_version", head("GET", "/livez", version="1.2")),
    ("a tunnel", 405, "method_not_allowed", head("CONNECT", "vstack:443")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "code", "data"), HEADS, ids=[row[0] for row in HEADS])
def test_a_head_that_cannot_be_trusted_is_refused(
    shared: Server, name: str, status: int, code: str, data: bytes
) -> None:
    analysis = data.startswith(b"POST ")
    route = "/v1/analyze/{name}" if analysis else "/livez" if data.startswith(b"GET ") else "other"
    before = shared.metric("vstack_http_responses_total", route=route, status=str(status))
    counted = shared.counted()
    answer = shared.raw(data)
    assert answer.outcome == (status, code)
    check_form(answer, "plain")
    assert answer.headers["connection"] == "close"
    assert shared.metric("vstack_http_responses_total", route=route, status=str(status)) == before + 1
    outcome = "request_too_large" if status == 431 else "validation_error"
    assert shared.newly_counted(counted) == ({("aar", "other", outcome): 1} if analysis else {})


LINES_REFUSED = [
    ("a line too long", 431, [f"X-Long: {'v' * 9_000}"]),
    ("a head too long", 431, [f"X-{n}: {'v' * 4_000}" for n in range(5)]),
    ("no colon", 400, ["nonsense"]),
    ("a folded line", 400, ["X-A: 1", " 2"]),
    ("a length that is none", 400, ["Content-Length: x"]),
]


@pytest.mark.parametrize(("name", "status", "fields"), LINES_REFUSED, ids=[row[0] for row in LINES_REFUSED])
def test_a_request_whose_head_cannot_be_read_counts_for_its_analysis(
    shared: Server, name: str, status: int, fields: list[str]
) -> None:
    counted = shared.counted()
    answer = shared.raw(head("POST", AAR, *fields))
    assert answer.status == status
    outcome = "request_too_large" if status == 431 else "validation_error"
    assert shared.newly_counted(counted) == {("aar", "other", outcome): 1}


POST = b"POST / HTTP/1.1\r\n"
POST_A_TRACE = POST.replace(b"/ ", f"{AAR} ".encode(), 1) + f"X-API-Key: {ALICE}\r\n".encode()


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=lambda case: case.name)
def test_bytes_that_are_no_request_are_refused(shared: Server, runtime: Runtime, case: Case) -> None:
    if runtime == "hypercorn" and case.data == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
        pytest.skip("hypercorn speaks HTTP/2 with whoever begins so")
    # Nobody reads the body of a request for a page that is not there.
    chunked = not case.served and b"Transfer-Encoding: chunked" in case.data
    with shared.connected() as line:
        line.send(case.data.replace(POST, POST_A_TRACE, 1) if chunked else case.data, last=True)
        for method, _, _ in case.served:
            assert line.answer(method).status == 404
        answer = line.answer()
        assert answer.outcome == case.refused
        assert answer.headers["connection"] == "close"
        check_form(answer, "plain")
        assert line.ended()


def test_a_declared_length_is_refused_before_the_body(shared: Server) -> None:
    before = shared.counted()
    # Not a byte of it is sent.
    answer = shared.raw(head("POST", AAR, "Content-Type: application/json", "Content-Length: 9000000000"))
    assert answer.outcome == (413, "request_too_large")
    error = answer.error
    assert (error["limit"], error["actual"], error["setting"]) == (
        5_242_880,
        9_000_000_000,
        "VSTACK_API_MAX_BODY_BYTES",
    )
    assert answer.headers["connection"] == "close"
    assert shared.newly_counted(before) == {("aar", "other", "request_too_large"): 1}


def test_100_continue_comes_only_for_a_body_that_is_wanted(shared: Server) -> None:
    def first_line(*fields: str, path: str = AAR) -> bytes:
        with shared.connected() as line:
            line.send(head("POST", path, "Content-Length: 400", "Expect: 100-continue", *fields))
            return line.sock.recv(65_536).partition(b"\r\n")[0]

    assert first_line("Content-Type: application/json").startswith(b"HTTP/1.1 100")
    assert first_line("Content-Type: text/csv").startswith(b"HTTP/1.1 415")
    assert first_line(path="/v1/analyze/nobody").startswith(b"HTTP/1.1 404")


@pytest.mark.slow
def test_a_stalled_request_times_out(serve: Serve) -> None:
    """Half a head within 10 s, half a body within 30 s; on all runtimes at once, for it takes that long."""
    servers: dict[Runtime, Server] = {name: serve(name) for name in ("hypercorn", "asyncio", "trio")}
    began = time.monotonic()
    half_head = head("POST", AAR)[:-10]
    half_body = head("POST", AAR, "Content-Type: application/json", "Content-Length: 400") + b'{"trace": '
    with contextlib.ExitStack() as stack:
        stalled: dict[Line, tuple[Runtime, str]] = {}
        for name, server in servers.items():
            for part, data in (("head", half_head), ("body", half_body)):
                line = stack.enter_context(server.connected())
                line.send(data)
                stalled[line] = name, part
        took: dict[tuple[Runtime, str], float] = {}
        while len(took) < len(stalled):
            waiting = {line.sock: line for line, key in stalled.items() if key not in took}
            readable, _, _ = select.select(list(waiting), [], [], 40.0)
            assert readable, took
            for sock in readable:
                line = waiting[sock]
                took[stalled[line]] = time.monotonic() - began
                answer = line.answer()
                assert answer.outcome == (408, "request_timeout"), stalled[line]
                assert answer.headers["connection"] == "close"
    for (name, part), seconds in took.items():
        assert (9.5 if part == "head" else 29.5) < seconds < (16.0 if part == "head" else 36.0), (name, part)
    for server in servers.values():
        assert server.counted() == {("aar", "other", "timeout"): 1}


def test_what_is_in_flight_at_a_second_sigterm_is_told_so(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_DRAIN_DELAY="30")
    with server.connected() as line:
        fields = ("Content-Type: application/json", "Content-Length: 400", "Expect: 100-continue")
        line.send(head("POST", AAR, *fields))
        assert line.sock.recv(65_536).startswith(b"HTTP/1.1 100")
        server.signal(signal.SIGTERM)
        server.wait_for(lambda told: told["event"] == "stopping")
        assert server.get("/readyz").json["status"] == "draining"
        server.signal(signal.SIGTERM)
        answer = line.answer()
    assert answer.outcome == (503, "draining")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["connection"] == "close"
    assert server.wait() == 0
    assert server.requests(code="draining", outcome="draining", pattern="aar")
