"""Bodies that are large, packed, or made to hurt: what they cost is bounded, and none of them is a fault of ours."""

from __future__ import annotations

import gzip
import json
import select
import sys
import zlib
from typing import Any

import pytest

from tests.e2e.serving import ALICE, Line, Server, bearer, canonical_trace, head

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

AAR = "/v1/analyze/aar"
JSON = "Content-Type: application/json"
LIMIT = 5_242_880
MIB = 1 << 20


def asked(trace: Any = None, **more: Any) -> dict[str, Any]:
    return {"trace": trace or canonical_trace(), "format": "canonical", "model": "offline", **more}


def text(trace: str = "", more: str = "") -> bytes:
    """A good body as text, with something hurtful behind the members of its trace, or behind its own."""
    good = json.dumps(asked())
    return (good.replace('"success": false', f'"success": false{trace}', 1)[:-1] + more + "}").encode()


def packed(coding: str, data: bytes) -> bytes:
    return gzip.compress(data, 1) if coding == "gzip" else zstd.compress(data)


CODINGS = ["gzip", "zstd"]


@pytest.mark.parametrize("coding", CODINGS)
def test_a_packed_body_is_read(shared: Server, coding: str) -> None:
    plain = json.dumps(asked(canonical_trace(goal=f"Say it in {coding}"))).encode()
    first = shared.post(AAR, packed(coding, plain), {**bearer(ALICE), "Content-Encoding": coding})
    assert first.status == 200, first.body
    # Two members in a row are one body (RFC 1952, RFC 8878); the same body unpacked was answered before.
    halves = packed(coding, plain[:50]) + packed(coding, plain[50:])
    again = shared.post(AAR, halves, {**bearer(ALICE), "Content-Encoding": coding})
    assert (again.status, again.headers["x-cache"]) == (200, "hit")
    assert shared.post(AAR, plain, bearer(ALICE)).headers["x-cache"] == "hit"


@pytest.mark.parametrize("coding", CODINGS)
def test_a_broken_packed_body_is_refused(shared: Server, coding: str) -> None:
    data = packed(coding, json.dumps(asked()).encode())
    for broken in (data[:-6], data[:20] + b"\xff\x00\xff\x00" + data[24:], b"no such thing", data + b"trailing"):
        answer = shared.post(AAR, broken, {**bearer(ALICE), "Content-Encoding": coding})
        assert answer.outcome == (400, "invalid_request"), broken[-20:]
        assert coding in answer.error["message"]


def bomb(coding: str) -> bytes:
    """A few hundred kilobytes at most, which unpack to 200 MiB or more."""
    if coding == "zstd":
        return zstd.compress(bytes(512 * MIB), 1)
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(200)) + packer.flush()


@pytest.mark.slow
@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_stops_at_the_limit(shared: Server, coding: str) -> None:
    data = bomb(coding)
    assert len(data) < MIB
    shared.post(AAR, asked(), bearer(ALICE))
    before, spent = shared.rss, shared.cpu
    answer = shared.post(AAR, data, {**bearer(ALICE), "Content-Encoding": coding})
    assert answer.outcome == (413, "request_too_large")
    assert answer.error["limit"] == LIMIT
    assert answer.error["setting"] == "VSTACK_API_MAX_BODY_BYTES"
    assert shared.rss - before < 32 * MIB
    assert shared.cpu - spent < 1.0


def pour(server: Server, line: Line, piece: bytes, times: int) -> tuple[int, int]:
    """Send a piece again and again until the server answers or hangs up: (bytes that it took, peak of its memory)."""
    sent, peak = 0, server.rss
    line.sock.setblocking(False)
    pending = memoryview(piece)
    while times:
        readable, writable, _ = select.select([line.sock], [line.sock], [], 20.0)
        if readable or not writable:
            break
        try:
            taken = line.sock.send(pending)
        except BlockingIOError:
            continue
        except ConnectionError:
            break
        sent += taken
        pending = pending[taken:]
        if not pending:
            pending, times = memoryview(piece), times - 1
            peak = max(peak, server.rss)
    line.sock.setblocking(True)
    line.sock.settimeout(20.0)
    return sent, max(peak, server.rss)


def test_a_chunked_body_past_the_limit_is_not_buffered(shared: Server) -> None:
    shared.post(AAR, asked(), bearer(ALICE))
    counted, before = shared.counted(), shared.rss
    with shared.connected() as line:
        line.send(head("POST", AAR, JSON, "Transfer-Encoding: chunked"))
        piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        sent, peak = pour(shared, line, piece, 2_000)
        answer = line.answer()
    assert answer.outcome == (413, "request_too_large")
    assert (answer.error["limit"], answer.error["setting"]) == (LIMIT, "VSTACK_API_MAX_BODY_BYTES")
    # How much went out holds what lay in the two sockets' buffers; the server stopped where the limit stands.
    assert LIMIT < answer.error["actual"] < LIMIT + MIB
    assert sent < LIMIT + 16 * MIB
    assert peak - before < 24 * MIB
    assert answer.headers["connection"] == "close"
    assert shared.newly_counted(counted) == {("aar", "other", "request_too_large"): 1}


def test_after_an_early_answer_little_is_drained(shared: Server) -> None:
    """A client that goes on sending to who has refused it is cut off, and one that ends soon can read why."""
    with shared.connected() as line:
        line.send(head("POST", AAR, "Content-Type: text/csv", f"Content-Length: {64 * MIB}"))
        sent, _ = pour(shared, line, b"x" * 65_536, 1_024)
        assert line.answer().outcome == (415, "unsupported_media_type")
        sent += pour(shared, line, b"x" * 65_536, 1_024)[0]
    assert sent < 24 * MIB
    with shared.connected() as line:
        body = b"x" * 40_000
        line.send(head("POST", AAR, "Content-Type: text/csv", f"Content-Length: {len(body)}") + body)
        assert line.answer().outcome == (415, "unsupported_media_type")
        assert line.ended()


def test_a_body_within_the_limit_may_come_in_chunks(shared: Server) -> None:
    data = json.dumps(asked()).encode()
    pieces = [data[n : n + 70] for n in range(0, len(data), 70)]
    told = {**bearer(ALICE), "Content-Type": "application/json"}
    assert shared.ask("POST", AAR, iter(pieces), told).status == 200


@pytest.mark.slow
def test_a_body_as_large_as_allowed_is_diagnosed(shared: Server) -> None:
    trace = canonical_trace(steps=4_900)
    for step in trace["steps"]:
        step["content"] = step["content"][:20] + " and so on" * 15
        step["metadata"] = {"n": list(range(30))}
    data = json.dumps(asked(trace)).encode()
    data += b" " * (LIMIT - len(data))
    assert len(data) == LIMIT
    spent = shared.cpu
    answer = shared.post(AAR, data, bearer(ALICE))
    assert answer.status == 200, answer.body[:300]
    assert shared.cpu - spent < 4.0
    assert shared.post(AAR, data + b" ", bearer(ALICE)).outcome == (413, "request_too_large")


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> str:
    return f', "metadata": {{"x": {opening * depth}1{closing * depth}}}'


KEYS = ", ".join(f'"k{n}": 0' for n in range(90_000))
# What a body holds, and how it is answered. Numbers of a depth count the trace, its metadata, and what is in there.
HOSTILE: list[tuple[str, bytes, tuple[int, str]]] = [
    ("64 deep", text(nested(62)), (200, "")),
    ("65 deep", text(nested(63)), (413, "request_too_large")),
    ("lists, 65 deep", text(nested(63, "[", "]")), (413, "request_too_large")),
    ("500 deep", text(nested(500)), (413, "request_too_large")),
    ("980 deep", text(nested(980)), (400, "")),
    ("100,000 deep", text(nested(100_000, "[", "]")), (400, "invalid_json")),
    ("deep and never closed", b"[" * 100_000, (400, "")),
    ("deep in a field that nobody reads", text(more=', "zzz": ' + "[" * 5_000 + "]" * 5_000), (400, "invalid_json")),
    ("a million values", text(f', "metadata": {{"x": [{"0," * 999_999}0]}}'), (413, "request_too_large")),
    ("a million keys", text(f', "metadata": {{{",".join(["1:0"] * 1_000_000)}}}'.replace("1:0", '"":0')),
     (413, "request_too_large")),
    ("90,000 keys", text(f', "metadata": {{{KEYS}}}'), (200, "")),
    ("a list of 6,000", text(f', "metadata": {{"x": [{"0," * 5_999}0]}}'), (413, "request_too_large")),
    ("a table of 250,000 commas in texts",
     text(f', "metadata": {{"x": "{"1," * 90_000}", "y": "{"," * 160_000}"}}'), (200, "")),
    ("NaN", text(', "metadata": {"x": NaN}'), (400, "invalid_json")),
    ("Infinity", text(', "metadata": {"x": -Infinity}'), (400, "invalid_json")),
    ("a number out of range", text(', "metadata": {"x": 1e999}'), (400, "")),
    ("a number of 129 digits", text(f', "metadata": {{"x": {"9" * 129}}}'), (413, "request_too_large")),
    ("a number of 128 digits", text(f', "metadata": {{"x": {"9" * 128}}}'), (200, "")),
    ("a text of 5,000 digits", text(f', "metadata": {{"x": "{"9" * 5_000}"}}'), (200, "")),
    ("half a surrogate pair", text(', "metadata": {"x": "\\ud800"}'), (400, "invalid_json")),
    ("half a surrogate pair as a name", text(', "\\ud800": 1'), (400, "invalid_json")),
    ("half a surrogate pair where nobody reads", text(more=', "zzz": "\\udfff"'), (400, "invalid_json")),
    ("half a surrogate pair for a model", text(more=', "model": "\\ud800"'), (400, "invalid_json")),
    ("bytes that are no UTF-8", text().replace(b"archive", b"\xed\xa0\x80"), (400, "invalid_json")),
    ("Latin-1", text().replace(b"archive", b"archiv\xe9"), (400, "invalid_json")),
    ("UTF-16", json.dumps(asked()).encode("utf-16"), (400, "invalid_json")),
    ("a byte order mark", b"\xef\xbb\xbf" + text(), (400, "invalid_json")),
    ("NUL in a string", text().replace(b"archive", b"arch\\u0000ive"), (200, "")),
    ("a bare control character in a string", text().replace(b"archive", b"arch\x01ive"), (400, "invalid_json")),
    ("a name twice in the trace", text(', "success": true, "success": false'), (200, "")),
    ("a name twice outside of it", text(more=', "mode": "quick", "mode": "forensic"'), (200, "")),
    ("a trailing comma", text(more=","), (400, "invalid_json")),
    ("two documents", text() + text(), (400, "invalid_json")),
    ("a comment", text() + b" // done", (400, "invalid_json")),
    ("white space only", b"  \r\n ", (400, "invalid_json")),
    ("a number", b"7", (400, "invalid_request")),
    ("null", b"null", (400, "invalid_request")),
    ("a trace that is a list", b'{"trace": [1]}', (400, "validation_error")),
    ("a model of 10,000 characters", text(more=f', "model": "{"m" * 10_000}"'), (400, "validation_error")),
    ("5,001 messages where steps belong", text(f', "messages": [{"1," * 5_000}1]'), (200, "")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "outcome"), HOSTILE, ids=[row[0] for row in HOSTILE])
def test_hostile_json_is_a_matter_of_the_callers(
    shared: Server, name: str, data: bytes, outcome: tuple[int, str]
) -> None:
    assert len(data) <= LIMIT
    before, spent = shared.counted(), shared.cpu
    answer = shared.post(AAR, data, bearer(ALICE))
    status, code = outcome
    assert answer.status == status, answer.body[:300]
    if code:
        assert answer.error["error"] == code
    assert len(answer.body) < 40_000
    assert answer.headers["x-request-id"].startswith("req_")
    assert shared.cpu - spent < 2.0
    assert sum(shared.newly_counted(before).values()) == 1
    assert shared.get("/livez").status == 200


@pytest.mark.parametrize("shape", ["chain", "circle", "web"])
def test_a_crew_as_large_as_allowed_takes_no_square_of_time(shared: Server, shape: str) -> None:
    """A chain of 8,000 once took 22.6 s."""

    def reports_to(n: int) -> list[str]:
        if shape == "web":
            return [f"a{m}" for m in range(max(0, n - 20), n)]
        return [f"a{(n - 1) % 5_000}"] if n or shape == "circle" else []

    agents = [{"agent_id": f"a{n}", "role_name": "worker", "reports_to": reports_to(n)} for n in range(5_000)]
    trace = {"task": "Sort the mail", "outcome": "Half of it", "success": False, "agents": agents}
    spent = shared.cpu
    answer = shared.post("/v1/analyze/span_of_control", {"trace": trace, "model": "offline"}, bearer(ALICE))
    assert answer.status == 200, answer.body[:300]
    assert shared.cpu - spent < 2.0


def test_a_large_body_does_not_hold_up_a_probe_for_long(shared: Server) -> None:
    """The earlier service answered no probe for four seconds while it read four megabytes."""
    data = text(f', "metadata": {{{KEYS}}}') + b" " * (3 * MIB)
    with shared.connected() as line:
        spent = shared.cpu
        line.send(head("POST", AAR, JSON, f"Content-Length: {len(data)}") + data)
        assert shared.get("/livez").status == 200
        assert line.answer().status == 200
        assert shared.cpu - spent < 1.5
