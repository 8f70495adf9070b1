"""Scenarios of how requests come in and answers go out."""

from __future__ import annotations

import msgspec

from vstack_proto.auth import KeyTable
from vstack_runtime.conformance.kit import Kit, Scenario, analysis, analysis_body, request
from vstack_runtime.conformance.parts import (
    ANALYZE,
    BrokenLimiter,
    CountingCache,
    FixedLimiter,
    GatedProvider,
    must,
)

CHUNKED = "Transfer-Encoding: chunked"
EVENTS = "Accept: text/event-stream"
KEY = "a-key-of-the-conformance-kit"
LAST_REQUESTS = (analysis("last", "Connection: close"), request("/livez", version="1.0"))


def chunk(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def plain_requests(kit: Kit) -> None:
    """Several requests on one connection, each answered before the next is sent."""
    kit.start()
    peer = kit.connect()
    asked = (
        request("/livez"),
        request("/readyz"),
        request("/v1/patterns"),
        request("/openapi.json"),
        analysis("calm", "Accept: application/problem+json, application/json"),
        analysis("calm"),
    )
    answers = [peer.send(one).answer() for one in asked]
    for answer in answers:
        must(answer.status == 200 and not answer.closes, f"{answer.head!r}")
    verdict = msgspec.json.decode(answers[-1].body)["detection"]["verdict"]
    must(verdict == "calm", f"the analysis heard {verdict!r}")


def refusals(kit: Kit) -> None:
    """What is refused is refused in the same words everywhere, and the connection lives on where it can."""
    kit.start(max_body_bytes=10_000)
    peer = kit.connect()
    problem = "Accept: application/problem+json"
    for code, one in (
        ("not_found", request("/nowhere")),
        ("method_not_allowed", request("/livez", method="DELETE")),
        ("unknown_pattern", request("/v1/patterns/conformence")),
        ("invalid_json", request(ANALYZE, method="POST", body=b"{")),
        ("validation_error", request(ANALYZE, method="POST", body=b'{"trace":{"text":7}}')),
        ("invalid_mode", analysis(mode="thorough")),
        ("llm_resolution_error", analysis(model="some-model")),
        ("invalid_request", request(ANALYZE, method="POST", body=b"")),
    ):
        answer = peer.send(one).answer()
        must(answer.error == code and not answer.closes, f"{code}: {answer.head + answer.body!r}")
    must(b'"title"' in peer.send(request("/nowhere", problem)).answer().body, "a problem has a title")
    # From here on a body is left unread, which ends each connection.
    for code, one in (
        ("request_too_large", request(ANALYZE, "Content-Length: 10001", method="POST")),
        ("unsupported_media_type", request(ANALYZE, "Content-Type: text/plain", method="POST", body=b"{}")),
        ("not_acceptable", request(ANALYZE, "Accept: image/png", method="POST", body=b"{}")),
    ):
        peer = kit.connect(one)
        answer = peer.answer()
        must(answer.error == code and answer.closes, f"{code}: {answer.head + answer.body!r}")
        peer.wire.close()


def pipelined_pair(kit: Kit) -> None:
    """Two requests in one piece, and three: answered in order."""
    kit.start()
    peer = kit.connect(analysis("one", name="one") + analysis("two", name="two"))
    for name in ("one", "two"):
        answer = peer.answer()
        must(answer.fields["x-request-id"] == name, f"{answer.fields['x-request-id']} came before {name}")
    peer.send(request("/livez", name="a") + analysis("b", name="b") + request("/nowhere", name="c"))
    names = [peer.answer().fields["x-request-id"] for _ in range(3)]
    must(names == ["a", "b", "c"], f"the order was {names}")


def byte_by_byte(kit: Kit) -> None:
    """Head and body one byte at a time."""
    kit.start()
    peer = kit.connect()
    whole = analysis("slowly")
    peer.send(*(whole[n : n + 1] for n in range(len(whole))))
    must(peer.answer().status == 200, "a request byte by byte is a request")
    must(peer.send(analysis("whole")).answer().status == 200, "and so is the next one")


def chunked_body(kit: Kit) -> None:
    """A body in chunks, of several sizes, with a trailer, in one piece and in many."""
    kit.start()
    body = analysis_body("in chunks")
    head = request(ANALYZE, CHUNKED, method="POST")
    pieces = [chunk(body[:1]), chunk(body[1:20]), chunk(body[20:]), b"0\r\n", b"Checked: no\r\n\r\n"]
    peer = kit.connect()
    one = peer.send(head + b"".join(pieces)).answer()
    two = peer.send(head, *pieces).answer()
    must(one.status == two.status == 200 and one.body == two.body, "chunks change nothing")


def chunked_too_large(kit: Kit) -> None:
    """A body in chunks that has no end: refused at the first byte past the limit, not at the end that never comes."""
    kit.start(max_body_bytes=100_000)
    peer = kit.connect(request(ANALYZE, CHUNKED, method="POST"))
    for _ in range(100):
        peer.send(chunk(b" " * 1_000))
    peer.send(b"400\r\n ")
    answer = peer.answer()
    must(answer.status == 413 and answer.closes, f"{answer.head!r}")
    detail = msgspec.json.decode(answer.body)["detail"]
    must(detail["limit"] == 100_000 and detail["actual"] == 100_001, f"{detail}")


def expect_continue(kit: Kit) -> None:
    """Who waits for 100 Continue gets it, once."""
    kit.start()
    body = analysis_body("patient")
    head = request(ANALYZE, "Expect: 100-continue", f"Content-Length: {len(body)}", method="POST")
    peer = kit.connect(head)
    must(peer.answer().status == 100, "the body is wanted")
    must(peer.send(body).answer().status == 200, "the answer follows the body")
    must(peer.send(request("/livez")).answer().status == 200, "the connection lives on")


def expect_refused(kit: Kit) -> None:
    """Whose body is not wanted, or who has none, gets the answer alone."""
    kit.start(max_body_bytes=1_000)
    must(kit.connect(request("/livez", "Expect: 100-continue")).answer().status == 200, "no body, no 100 Continue")
    for field in ("Content-Length: 1001", "Content-Length: 10\r\nContent-Type: text/plain"):
        peer = kit.connect(request(ANALYZE, "Expect: 100-continue", field, method="POST"))
        answer = peer.answer()
        must(answer.status in (413, 415) and answer.closes, f"{answer.head!r}")
        peer.wire.close()


def head_requests(kit: Kit) -> None:
    """HEAD gives the head that GET gives, and nothing behind it."""
    kit.start()
    peer = kit.connect()
    for target in ("/livez", "/v1/patterns", "/openapi.json", "/nowhere"):
        got = peer.send(request(target)).answer()
        only = peer.send(request(target, method="HEAD")).answer(body=False)
        must(only.head == got.head, f"{only.head!r} is not {got.head!r}")
    tag = peer.send(request("/v1/patterns")).answer().fields["etag"]
    must(peer.send(request("/v1/patterns", f"If-None-Match: {tag}")).answer().status == 304, "known already")
    must(peer.send(request("/livez")).answer().status == 200, "the connection lives on")


def ends_of_connections(kit: Kit) -> None:
    """``Connection: close`` and HTTP/1.0 are answered, and then the connection ends."""
    kit.start()
    for one in LAST_REQUESTS:
        peer = kit.connect(one)
        answer = peer.answer()
        must(answer.status == 200 and answer.closes, f"{answer.head!r}")
        peer.ended()


def behind_the_end(kit: Kit) -> None:
    """What comes behind a request that said ``Connection: close`` is not served."""
    kit.start()
    for one in LAST_REQUESTS:
        peer = kit.connect(one + request("/v1/patterns"))
        answer = peer.answer()
        must(answer.status == 200 and answer.closes, f"{answer.head!r}")
        peer.ended()
    must(_served(kit, "/v1/patterns") == 0, "it was served")


def event_stream(kit: Kit) -> None:
    """An analysis told as it goes: a part for each pass as it begins, and the result."""
    provider = GatedProvider()
    kit.start(provider=provider)
    peer = kit.connect(analysis("told", EVENTS, mode="standard", model=None))
    provider.gate.wait_for(1)
    provider.gate.open()
    answer = peer.answer()
    must(answer.fields["content-type"] == "text/event-stream", f"{answer.head!r}")
    names = [part.split(b"\n")[0] for part in answer.parts or () if part]
    must(names == [b"event: progress", b"event: progress", b"event: result"], f"{names}")
    offline = peer.send(analysis("at once", EVENTS)).answer()
    must(offline.body.startswith(b"event: result\n"), f"{offline.body!r}")
    must(peer.send(request("/livez")).answer().status == 200, "the connection lives on")


def quota(kit: Kit) -> None:
    """Exactly as many requests are admitted as the quota says, whatever address a caller claims."""
    kit.start(limiter=FixedLimiter(5))
    peer = kit.connect()
    statuses = [
        peer.send(request("/v1/patterns", f"X-Forwarded-For: 192.0.2.{n}", name=f"{n}")).answer().status
        for n in range(7)
    ]
    must(statuses == [200] * 5 + [429] * 2, f"{statuses}")
    must(peer.send(request("/livez")).answer().status == 200, "health is never limited")


def keys(kit: Kit) -> None:
    """No key and a wrong key are refused alike; the right one is taken in both headers."""
    kit.start(keys=KeyTable.of([("kit", KEY)]))
    peer = kit.connect()
    refused = [
        peer.send(request("/v1/patterns", *field)).answer()
        for field in ((), (f"Authorization: Bearer {KEY}x",), (f"X-API-Key: {KEY}x",), (f"Authorization: Basic {KEY}",))
    ]
    must({answer.status for answer in refused} == {401}, "401 for a key that is missing or wrong")
    must(len({answer.body for answer in refused}) == 1, "in the same words")
    for field in (f"Authorization: Bearer {KEY}", f"X-API-Key: {KEY}"):
        must(peer.send(request("/v1/patterns", field)).answer().status == 200, "the key is right")
    # Refused before its body is read.
    answer = kit.connect(request(ANALYZE, "Content-Length: 10", method="POST")).answer()
    must(answer.status == 401 and answer.closes, f"{answer.head!r}")


def cached(kit: Kit) -> None:
    """The second identical request says so, and one that only looks different, too."""
    kit.start(cache=CountingCache())
    peer = kit.connect()
    bodies = [analysis_body("twice"), analysis_body("twice"), analysis_body("twice").replace(b":", b": ")]
    told = []
    for body in bodies:
        answer = peer.send(request(ANALYZE, method="POST", body=body)).answer()
        told.append((answer.fields["x-cache"], msgspec.json.decode(answer.body)["cached"]))
    must(told == [("miss", False), ("hit", True), ("hit", True)], f"{told}")


def bug(kit: Kit) -> None:
    """A bug in a pattern is a 500 that says nothing of it, and harms nobody else."""
    kit.start()
    other = kit.connect(request("/livez"))
    other.answer()
    peer = kit.connect(analysis("crash") + analysis("fine", name="next"))
    answer = peer.answer()
    must(answer.status == 500 and answer.error == "internal_error", f"{answer.head + answer.body!r}")
    must(b"ZeroDivisionError" not in answer.body and b"scenarios" not in answer.body, f"{answer.body!r}")
    must(peer.answer().status == 200, "the next request on the connection is served")
    must(other.send(analysis("fine")).answer().status == 200, "so is another connection's")
    kit.wait_ended_as("internal_error")


def bug_in_a_command(kit: Kit) -> None:
    """So is a bug in what carries a command out, and the connection lives on."""
    kit.start()
    setattr(kit.engine, "readiness", BrokenLimiter().fail)  # noqa: B010 - a method, which no type lets go
    peer = kit.connect(request("/readyz"))
    answer = peer.answer()
    must(answer.status == 500 and answer.error == "internal_error", f"{answer.head + answer.body!r}")
    must(peer.send(request("/livez")).answer().status == 200, "the next request on the connection is served")


def bug_in_a_store(kit: Kit) -> None:
    """A bug in a store is a store that is away."""
    kit.start(limiter=BrokenLimiter())
    peer = kit.connect(request("/v1/patterns"))
    must(peer.answer().status == 200, "who cannot be counted is let in")
    must(peer.send(request("/livez")).answer().status == 200, "the next request on the connection is served")
    must(kit.engine.metrics.registry.get_sample_value("vstack_backend_up", {"backend": "quota"}) == 0, "it is told")


def only_knocks(kit: Kit) -> None:
    """Peers that connect and are gone at once, one way or the other, do no harm."""
    kit.start()
    for number in range(50):
        peer = kit.connect()
        if number % 2:
            peer.wire.abort()
        else:
            peer.wire.close()
    must(kit.connect(request("/livez")).answer().status == 200, "who stays is served")


def refused_framing(kit: Kit) -> None:
    """What is no sound request is refused, and nothing behind it is served."""
    kit.start()
    smuggled = request("/v1/patterns", name="smuggled")
    for wrong in (
        request(ANALYZE, "Content-Length: 4", CHUNKED, method="POST") + b"0\r\n\r\n",
        request("/livez").replace(b"\r\n", b"\n"),
        request("/livez", "X_Key: 1"),
        request("/livez", "A: 1\r\n folded"),
        request("/livez").replace(b"Host: kit.example\r\n", b""),
        request("/livez", version="2.0"),
        request("/livez", "Expect: a-miracle"),
        request("/livez", "X: " + "y" * 9_000),
        request(ANALYZE, CHUNKED, method="POST") + b"5;" + b"x" * 20 + b"\r\nhello\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    ):
        peer = kit.connect(wrong + smuggled)
        answer = peer.answer()
        must(answer.status in (400, 417, 431, 505) and answer.closes, f"{wrong[:60]!r}: {answer.head!r}")
        peer.wire.half_close()
        peer.ended()
    must(_served(kit, "/v1/patterns") == 0, "a request behind a refused one was served")


def states_of_connections(kit: Kit) -> None:
    """The page of metrics tells how many connections are open, and on how many of them a request is under way."""
    provider = GatedProvider()
    kit.start(provider=provider)
    kit.connect()
    kit.connect(request("/livez")).answer()
    held = kit.connect(analysis("held", model=None))
    provider.gate.wait_for(1)
    kit.wait_connections(3)
    asking = kit.connect()

    def told(active: int) -> None:
        page = asking.send(request("/metrics")).answer(heard=False).body.decode().splitlines()
        for state, number in (("open", 4), ("active", active), ("idle", 4 - active)):
            line = f'vstack_connections{{state="{state}"}} {number:.1f}'
            must(line in page, f"{line} is not among {[one for one in page if 'vstack_connections{' in one]}")

    told(active=2)  # who asks for the page is one of them
    provider.gate.open()
    held.answer()
    told(active=1)


def _served(kit: Kit, route: str) -> float:
    return kit.count("vstack_http_responses_total", route=route, status="200")


REQUESTS: tuple[Scenario, ...] = (
    Scenario("plain requests", plain_requests),
    Scenario("refusals", refusals),
    Scenario("a pipelined pair", pipelined_pair),
    Scenario("byte by byte", byte_by_byte),
    Scenario("a chunked body", chunked_body),
    Scenario("a chunked body past the limit", chunked_too_large),
    Scenario("100 Continue", expect_continue),
    Scenario("100 Continue refused", expect_refused, wire=True),
    Scenario("HEAD", head_requests),
    Scenario("the end of a connection", ends_of_connections),
    Scenario("behind the end of a connection", behind_the_end, wire=True),
    Scenario("a stream of events", event_stream),
    Scenario("quota", quota),
    Scenario("keys", keys),
    Scenario("cached", cached),
    Scenario("a bug", bug),
    Scenario("a bug in a command", bug_in_a_command),
    Scenario("a bug in a store", bug_in_a_store),
    Scenario("peers that only knock", only_knocks),
    Scenario("refused framing", refused_framing, wire=True),
    Scenario("states of connections", states_of_connections, wire=True),
)
