"""Connections: bytes in, bytes out, and everything that time, peers and shutdowns do to them."""

from __future__ import annotations

import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proto.conversations import BODY, KEY, MODEL_BODY
from tests.proto.last_word import BROKEN, PATTERN
from tests.proto.peer import Line, analysis, answers_in, request
from vstack_proto.commands import (
    Abort,
    AnyCommand,
    ArmDeadline,
    CallModel,
    CancelCall,
    CheckKey,
    CheckReadiness,
    LeaveFlight,
    Record,
    RenderMetrics,
    Send,
)
from vstack_proto.connection import Connection
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import (
    BytesReceived,
    Crashed,
    DeadlinePassed,
    KeyChecked,
    ListenersClosed,
    MetricsRendered,
    ModelAnswered,
    PeerLeft,
    ReadinessAnswered,
    ShutdownAsked,
    WritingPaused,
    WritingResumed,
)
from vstack_proto.limits import Limits
from vstack_proto.service import Service
from vstack_proto.stage import LINGER_SECONDS, MAX_PIPELINED_BYTES, MAX_TURN_BYTES, Stage
from vstack_proto.testing import START, WALL, make_service

OPEN = make_service(PATTERN, BROKEN)
GUARDED = make_service(PATTERN, require_auth=True)
ASKING = make_service(PATTERN, provider="scripted", default_model="m-1")
SHORT = make_service(PATTERN, limits=Limits(max_requests_per_connection=2))
ALIVE = request("GET", "/livez")
READY = request("GET", "/readyz")
EVENTS = "Accept: text/event-stream"


def codes(line: Line) -> list[int]:
    return [answer.status for answer in line.take_answers()]


def ready(line: Line) -> None:
    """Answer the question for readiness that is open."""
    ticket = line.last(CheckReadiness).ticket
    line.feed(ReadinessAnswered(at=line.at, ticket=ticket, status="ready", detail="it is", checks={}))


def asked(*lines: str, version: str = "1.1") -> Line:
    """A line whose analysis waits for a model."""
    line = Line(ASKING)
    line.receive(analysis(MODEL_BODY, *lines, version=version))
    assert line.last(CallModel).ticket == 2
    return line


def conclude(line: Line) -> None:
    """Give the two answers of a model that the analysis waits for."""
    for text in ('{"left_open": false}', '{"verdict": "fine"}'):
        line.feed(ModelAnswered(at=line.at, ticket=line.last(CallModel).ticket, text=text))


# Requests, one after the other.


def test_a_request_is_answered_and_the_next_awaited() -> None:
    line = Line(OPEN)
    assert (line.deadline, line.connection.stage) == (START + 10.0, Stage.IDLE)
    line.receive(ALIVE)
    (answer,) = line.take_answers()
    assert (answer.status, json.loads(answer.body)["status"]) == (200, "ok")
    assert "connection" not in answer.headers
    assert (line.deadline, line.connection.stage, line.ended) == (START + 75.0, Stage.IDLE, "")
    assert line.last(Record).started == START


def test_answers_come_in_the_order_of_the_requests() -> None:
    line = Line(OPEN)
    line.receive(ALIVE + READY + request("GET", "/nowhere"))
    assert codes(line) == [200]
    assert len(line.told) == 2, "the third has not begun: it would be answered first"
    ready(line)
    assert codes(line) == [200, 404]


def test_each_request_has_an_id_of_its_own() -> None:
    line = Line(OPEN)
    line.receive(ALIVE * 3 + request("GET", "/livez", "X-Request-ID: mine"))
    ids = [answer.headers["x-request-id"] for answer in line.take_answers()]
    assert ids[3] == "mine"
    assert len(set(ids)) == 4
    assert all(len(one) == 20 and one.startswith("req_") for one in ids[:3])
    again = Line(OPEN)
    again.receive(ALIVE)
    assert again.take_answers()[0].headers["x-request-id"] == ids[0]
    other = Line(OPEN, seed=8)
    other.receive(ALIVE)
    assert other.take_answers()[0].headers["x-request-id"] not in ids


def test_a_pipelined_request_begins_when_its_turn_comes() -> None:
    line = Line(OPEN)
    line.receive(READY + READY)
    line.at += 60.0
    ready(line)
    ready(line)
    dates = [answer.headers["date"] for answer in line.take_answers()]
    assert dates == ["Sun, 01 Mar 2026 09:00:00 GMT", "Sun, 01 Mar 2026 09:01:00 GMT"]
    assert line.last(Record).started == START + 60.0


def test_a_connection_serves_only_so_many_requests() -> None:
    line = Line(SHORT)
    line.receive(ALIVE * 3)
    first, second = line.take_answers()
    assert "connection" not in first.headers
    assert second.headers["connection"] == "close"
    # The third was sent before its client could know: closed at once, the system might take back what it has not read.
    assert (line.ended, line.connection.stage) == ("", Stage.LINGER)
    line.receive(b"")
    assert (line.ended, line.connection.stage) == ("close", Stage.CLOSED)


@pytest.mark.parametrize(
    ("path", "route", "pattern", "outcome"),
    [
        ("/v1/analyze/last_word", "/v1/analyze/{name}", "last_word", "validation_error"),
        ("/v1/analyze/nobody", "/v1/analyze/{name}", "other", "validation_error"),
        ("/livez", "/livez", "other", ""),
        ("nonsense", "other", "other", ""),
    ],
)
def test_a_refused_head_counts_for_what_it_asks(path: str, route: str, pattern: str, outcome: str) -> None:
    for fields in ("no colon\r\n", "Host: a\r\nX_A: 1\r\n"):
        line = Line(OPEN)
        line.receive(f"{'GET' if path == '/livez' else 'POST'} {path} HTTP/1.1\r\n{fields}\r\n".encode())
        record = line.last(Record)
        assert (record.status, record.route, record.pattern, record.outcome) == (400, route, pattern, outcome)


@pytest.mark.parametrize(
    "head",
    [
        b"HEAD /livez HTTP/\x01\r\n\r\n",
        b"HEAD /livez HTTP/1.1\nHost: a\r\n\r\n",
        b"HEAD \r\n\r\n",
        b"\r\nHEAD /\x01\r\n",
    ],
)
def test_what_a_refused_request_line_tells_does_not_depend_on_how_it_is_cut(head: bytes) -> None:
    whole, cut = Line(OPEN), Line(OPEN)
    whole.receive(head)
    cut.receive(*(head[at : at + 1] for at in range(len(head))))
    assert whole.sent == cut.sent != b""


def test_the_last_request_with_nothing_behind_it_ends_the_connection_at_once() -> None:
    line = Line(SHORT)
    line.receive(ALIVE * 2)
    assert (len(line.take_answers()), line.ended) == (2, "close")


def test_requests_behind_the_last_are_thrown_away_within_bounds() -> None:
    for part, parts in ((ALIVE * 500, 2), (b"x" * MAX_PIPELINED_BYTES, 1)):
        line = Line(SHORT)
        line.receive(ALIVE * 3, *[part] * parts)
        assert (len(line.take_answers()), line.reading) == (2, True)
        assert line.ended == ("close" if parts == 1 else "")
        line.pass_time(LINGER_SECONDS)
        assert line.ended == "close"


def test_a_request_that_says_close_is_the_last() -> None:
    line = Line(OPEN)
    line.receive(request("GET", "/livez", "Connection: close") + ALIVE)
    (answer,) = line.take_answers()
    assert answer.headers["connection"] == "close"
    assert line.ended == "close"


def test_a_head_has_no_body() -> None:
    line = Line(OPEN)
    line.receive(request("HEAD", "/livez"))
    assert line.sent.endswith(b"\r\n\r\n")
    assert int(dict(answers_in(line.sent)[0].headers)["content-length"]) > 0
    assert line.connection.stage is Stage.IDLE


@pytest.mark.parametrize(
    "head",
    [
        "HEAD / HTTP/1.1\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\nno field\r\n",
        "HEAD / HTTP/2.0\r\nHost: a\r\n",
    ],
)
def test_nor_has_the_refusal_of_one(head: str) -> None:
    line = Line(OPEN)
    line.receive(f"{head}\r\n".encode())
    assert line.sent.endswith(b"\r\n\r\n")
    (answer,) = answers_in(line.sent, ["HEAD"])
    assert answer.status in (400, 505)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("how", ["whole", "bytes"])
def test_a_body_is_read_and_the_next_request_behind_it(how: str) -> None:
    line = Line(OPEN)
    data = analysis(BODY) + ALIVE
    line.receive(*([data] if how == "whole" else [data[n : n + 1] for n in range(len(data))]))
    analyzed, alive = line.take_answers()
    assert json.loads(analyzed.body)["detection"]["speaker"] == "bob"
    assert alive.status == 200


REQUESTS = b"".join(
    (
        ALIVE,
        analysis(BODY),
        b"\r\n" + request("GET", "/v1/patterns"),
        analysis(BODY, EVENTS),
        request("POST", "/v1/analyze/last_word", "Transfer-Encoding: chunked")
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        request("GET", "/livez", "Content-Length: 0"),
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    )
)


@given(st.lists(st.integers(1, len(REQUESTS) - 1), max_size=12))
def test_how_reads_cut_the_bytes_changes_no_answer(cuts: list[int]) -> None:
    def answered(*parts: bytes) -> tuple[bytes, str, list[AnyCommand]]:
        line = Line(OPEN)
        line.receive(*parts)
        return line.sent, line.ended, [one for one in line.told if isinstance(one, Record)]

    edges = [0, *sorted(set(cuts)), len(REQUESTS)]
    whole = answered(REQUESTS)
    assert [answer.status for answer in answers_in(whole[0])] == [200] * 6 + [400]
    assert answered(*(REQUESTS[start:end] for start, end in itertools.pairwise(edges))) == whole


# What is no request.


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "invalid_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "invalid_request"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "http_version"),
        (request("GET", "/", "Expect: tea"), 417, "expectation_failed"),
        (request("CONNECT", "a:1"), 405, "method_not_allowed"),
        (request("GET", "/", "A: " + "b" * 9000), 431, "headers_too_large"),
    ],
)
def test_what_is_no_request_is_told_so_and_not_listened_to(data: bytes, status: int, code: str) -> None:
    line = Line(OPEN)
    line.receive(ALIVE + data + ALIVE)
    alive, refused = line.take_answers()
    assert (alive.status, refused.status) == (200, status)
    assert json.loads(refused.body)["detail"]["error"] == code
    assert refused.headers["connection"] == "close"
    assert line.connection.stage is Stage.LINGER
    record = line.last(Record)
    assert (record.status, record.route, record.outcome) == (status, "other", "")
    line.pass_time(2.0)
    assert line.ended == "close"


def test_a_body_that_breaks_the_rules_is_refused() -> None:
    line = Line(OPEN)
    line.receive(request("POST", "/v1/analyze/last_word", "Transfer-Encoding: chunked"), b"zz\r\n")
    (answer,) = line.take_answers()
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert line.last(Record).outcome == "validation_error"


# Deadlines.


def test_who_says_nothing_is_left_without_a_word() -> None:
    line = Line(OPEN)
    line.receive(b"\r\n")
    line.pass_time(9.0)
    assert not line.ended
    line.pass_time(1.0)
    assert (line.ended, line.sent) == ("close", b"")


def test_a_head_must_come_in_time() -> None:
    line = Line(OPEN)
    line.pass_time(8.0)
    line.receive(b"GET /livez HTTP/1.1\r\n")
    assert (line.connection.stage, line.deadline) == (Stage.HEAD, START + 18.0)
    line.pass_time(9.0)
    line.receive(b"Host: ")
    assert line.deadline == START + 18.0, "a trickle moves no deadline"
    line.pass_time(1.0)
    (answer,) = line.take_answers()
    assert (answer.status, json.loads(answer.body)["detail"]["error"]) == (408, "request_timeout")
    assert "within 10 s" in answer.body.decode()
    assert line.connection.stage is Stage.LINGER


def test_a_kept_connection_waits_for_its_next_request() -> None:
    line = Line(OPEN)
    line.receive(ALIVE)
    line.pass_time(74.0)
    line.receive(ALIVE)
    line.pass_time(74.0)
    assert codes(line) == [200, 200]
    line.pass_time(1.0)
    assert (line.ended, line.sent) == ("close", b"")


def test_the_rest_of_a_second_head_must_come_in_time() -> None:
    line = Line(OPEN)
    line.receive(ALIVE + b"GET")
    assert codes(line) == [200]
    line.pass_time(10.0)
    assert codes(line) == [408]


def test_a_body_must_make_progress() -> None:
    line = Line(OPEN)
    line.receive(analysis(BODY)[:-1])
    line.pass_time(29.9)
    assert line.sent == b""
    line.pass_time(0.1)
    (answer,) = line.take_answers()
    assert answer.status == 408
    assert f"after {len(BODY) - 1} bytes" in answer.body.decode()
    assert line.connection.stage is Stage.LINGER


def test_a_body_must_not_trickle() -> None:
    line = Line(OPEN)
    line.receive(request("POST", "/v1/analyze/last_word", "Content-Length: 50000"))
    seconds = 0
    while not line.sent:
        line.receive(b"x" * 100)
        line.pass_time(1.0)
        seconds += 1
    # At 100 B/s, 256 B/s less the 30 s of grace are used up after 30 / (1 - 100 / 256) seconds.
    assert (codes(line), seconds) == ([408], 50)


def test_an_answer_must_come_in_time() -> None:
    line = asked()
    line.pass_time(120.0)
    (answer,) = line.take_answers()
    assert (answer.status, json.loads(answer.body)["detail"]["error"]) == (504, "timeout")
    assert line.last(CancelCall).ticket == line.last(CallModel).ticket
    assert line.last(LeaveFlight).ticket == 1
    assert line.connection.stage is Stage.IDLE, "the body was read: the connection can be kept"


def test_what_is_asked_of_a_store_is_cancelled_too() -> None:
    """Its late answer must not reach the next exchange, whose tickets begin anew."""
    line = Line(GUARDED)
    line.receive(analysis(BODY))
    line.pass_time(120.0)
    assert codes(line) == [504]
    assert line.last(CancelCall).ticket == line.last(CheckKey).ticket == 1


# Early answers.


def refuse_key(line: Line) -> None:
    line.feed(KeyChecked(at=line.at, ticket=line.last(CheckKey).ticket, name=None, loaded=0))


def test_after_an_early_answer_the_body_is_drained_up_to_a_limit() -> None:
    line = Line(GUARDED)
    line.receive(request("POST", "/v1/analyze/last_word", "Content-Length: 1000000"))
    refuse_key(line)
    (answer,) = line.take_answers()
    assert (answer.status, answer.headers["connection"]) == (500, "close")
    assert line.connection.stage is Stage.LINGER
    line.receive(b"x" * 65536)
    assert not line.ended
    line.receive(b"x")
    assert (line.ended, line.sent) == ("close", b"")


def test_what_had_come_before_the_early_answer_counts() -> None:
    line = Line(GUARDED)
    line.receive(request("POST", "/v1/analyze/last_word", "Content-Length: 1000000") + b"x" * 60000)
    refuse_key(line)
    ended = []
    for part in (b"x" * 5536, b"x"):
        line.receive(part)
        ended.append(line.ended)
    assert ended == ["", "close"]


@pytest.mark.parametrize("how", ["time", "end"])
def test_lingering_ends(how: str) -> None:
    line = Line(GUARDED)
    line.receive(request("POST", "/v1/analyze/last_word", "Content-Length: 1000000"))
    refuse_key(line)
    if how == "time":
        line.pass_time(1.9)
        assert not line.ended
        line.pass_time(0.1)
    else:
        line.receive(b"")
    assert line.ended == "close"


def test_a_body_that_nobody_wants_ends_the_connection() -> None:
    line = Line(OPEN)
    line.receive(request("GET", "/livez", body=b"hello"))
    (answer,) = line.take_answers()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert line.connection.stage is Stage.LINGER


# 100 Continue.


def test_who_waits_is_told_to_go_on_where_the_body_is_wanted() -> None:
    line = Line(OPEN)
    head, body = analysis(BODY, "Expect: 100-continue")[: -len(BODY)], BODY
    line.receive(head)
    assert line.sent == b"HTTP/1.1 100 \r\n\r\n"
    line.receive(body)
    assert codes(line) == [100, 200]


def test_who_does_not_wait_is_not_told_to_go_on() -> None:
    line = Line(OPEN)
    line.receive(analysis(BODY, "Expect: 100-continue"))
    assert codes(line) == [200]


def test_who_is_refused_is_not_told_to_go_on() -> None:
    line = Line(GUARDED)
    line.receive(analysis(BODY, "Expect: 100-continue")[: -len(BODY)])
    refuse_key(line)
    assert codes(line) == [500]


# Back-pressure.


def test_reading_stops_while_too_much_waits() -> None:
    line = Line(OPEN)
    line.receive(READY)
    flood = ALIVE * 2000
    reading = []
    for part in (flood[:65536], flood[65536:]):
        line.receive(part)
        reading.append(line.reading)
    ready(line)
    assert [*reading, line.reading] == [True, False, True]
    assert (len(line.take_answers()), line.connection.stage) == (1000, Stage.LINGER)
    line.pass_time(LINGER_SECONDS)
    assert line.ended == "close"


def test_a_flood_of_requests_is_answered_in_turns() -> None:
    """In between, writing may be paused: who asks for much and reads little does not fill the memory."""
    connection = Connection(ASKING, peer="192.0.2.7")
    connection.opened(START)
    flood = request("GET", "/openapi.json") * 100
    turns = [connection.handle(BytesReceived(at=START, wall=WALL, data=flood))]
    while connection.held:
        turns.append(connection.go_on(START))
        if len(turns) == 3:
            assert connection.handle(WritingPaused(at=START))[-1] == ArmDeadline(START + 30.0)
            assert (connection.held, connection.go_on(START)) == (False, ())
            turns.append(connection.handle(WritingResumed(at=START)))
    page = len(ASKING.openapi.body)
    sizes = [sum(len(command.data) for command in turn if isinstance(command, Send)) for turn in turns]
    assert max(sizes) < MAX_TURN_BYTES + 2 * page
    assert len(turns) > 4
    sent = b"".join(command.data for turn in turns for command in turn if isinstance(command, Send))
    assert len(answers_in(sent)) == 100
    assert connection.stage is Stage.IDLE


def test_nothing_is_served_to_who_does_not_read() -> None:
    line = Line(OPEN)
    line.feed(WritingPaused(at=line.at))
    line.receive(ALIVE * 2)
    assert line.sent == b""
    line.feed(WritingResumed(at=line.at))
    assert codes(line) == [200, 200]


def test_who_does_not_read_for_long_is_left() -> None:
    line = Line(OPEN)
    line.receive(ALIVE)
    line.feed(WritingPaused(at=line.at))
    assert line.deadline == START + 30.0
    line.pass_time(29.0)
    line.feed(WritingResumed(at=line.at))
    assert line.deadline == START + 75.0
    line.feed(WritingPaused(at=line.at))
    line.pass_time(29.0)
    assert not line.ended
    line.pass_time(1.0)
    assert (line.ended, line.connection.stage) == ("abort", Stage.CLOSED)


def test_who_reads_slowly_is_waited_for() -> None:
    """At 256 bytes a second, the least that a body must have too; whoever takes less has stalled."""
    line = Line(OPEN)
    line.receive(ALIVE)
    line.feed(WritingPaused(at=line.at, waiting=100_000))
    line.at += 30.0
    line.feed(WritingPaused(at=line.at, waiting=92_320))
    assert line.deadline == line.at + 30.0
    line.at += 30.0
    line.feed(WritingPaused(at=line.at, waiting=92_320 - 7_679))
    line.feed(DeadlinePassed(at=line.at))
    assert line.ended == "abort"


def test_the_last_answer_may_be_read_slowly() -> None:
    line = Line(OPEN)
    line.receive(request("GET", "/livez", "Connection: close"))
    line.feed(WritingPaused(at=line.at, waiting=100_000))
    line.at += 30.0
    line.feed(WritingPaused(at=line.at, waiting=50_000))
    assert (line.ended, line.deadline) == ("close", line.at + 30.0)
    line.pass_time(30.0)
    assert line.ended == "abort"


def test_a_stalled_answer_gives_back_what_its_exchange_holds() -> None:
    line = asked(EVENTS)
    line.feed(WritingPaused(at=line.at))
    line.pass_time(30.0)
    assert line.ended == "abort"
    assert line.last(CancelCall).ticket == 2
    assert line.last(LeaveFlight).ticket == 1
    assert line.last(Record).status == 499


def test_a_closing_connection_does_not_wait_for_ever() -> None:
    line = Line(OPEN)
    line.receive(request("GET", "/livez", "Connection: close"))
    assert line.ended == "close"
    line.pass_time(30.0)
    assert line.ended == "abort"


# Peers that leave.


@pytest.mark.parametrize("leave", ["end", "break"])
def test_who_leaves_in_the_midst_of_a_body_is_let_go(leave: str) -> None:
    line = Line(OPEN)
    line.receive(analysis(BODY)[:-1])
    if leave == "end":
        line.receive(b"")
    else:
        line.feed(PeerLeft(at=line.at))
    assert (line.ended, line.sent) == ("abort", b"")
    record = line.last(Record)
    assert (record.status, record.outcome, record.code) == (499, "cancelled", "cancelled")


@pytest.mark.parametrize("came", [b"", b"GET /livez HT"])
def test_who_leaves_before_a_request_is_let_go(came: bytes) -> None:
    line = Line(OPEN)
    line.receive(*[came] if came else [], b"")
    assert (line.ended, line.sent, line.told) == ("close", b"", [])
    broken = Line(OPEN)
    broken.receive(*[came] if came else [])
    assert broken.feed(PeerLeft(at=broken.at)) == ()
    assert broken.connection.stage is Stage.CLOSED


def test_after_the_end_nothing_is_listened_to() -> None:
    line = Line(OPEN)
    line.feed(PeerLeft(at=line.at))
    line.receive(ALIVE, b"")
    line.feed(ListenersClosed(at=line.at))
    assert (line.sent, line.told, line.ended) == (b"", [], "")


def test_who_leaves_while_a_model_is_asked_ends_the_call() -> None:
    line = asked()
    line.receive(b"")
    assert line.ended == "abort"
    assert line.last(CancelCall).ticket == 2
    assert line.last(LeaveFlight).ticket == 1
    assert line.feed(ModelAnswered(at=line.at, ticket=2, text="{}")) == (), "late: nobody waits for it"


# Stopping.


def test_while_the_service_drains_requests_are_served_and_connections_ended() -> None:
    line, idle = Line(OPEN), Line(OPEN)
    for one in (line, idle):
        one.feed(ShutdownAsked(at=one.at))
        assert not one.ended
    line.receive(ALIVE)
    (answer,) = line.take_answers()
    assert (answer.status, answer.headers["connection"], line.ended) == (200, "close", "close")
    idle.feed(ListenersClosed(at=idle.at))
    assert idle.ended == "close"


def test_what_is_in_flight_is_finished() -> None:
    line = asked()
    line.feed(ShutdownAsked(at=line.at))
    line.feed(ListenersClosed(at=line.at))
    assert not line.ended
    conclude(line)
    (answer,) = line.take_answers()
    assert (answer.status, answer.headers["connection"], line.ended) == (200, "close", "close")


def test_a_head_that_has_begun_is_waited_for() -> None:
    line = Line(OPEN)
    line.receive(ALIVE[:-2])
    line.feed(ShutdownAsked(at=line.at))
    line.feed(ListenersClosed(at=line.at))
    line.receive(ALIVE[-2:])
    assert (codes(line), line.ended) == ([200], "close")


def test_half_a_head_does_not_hold_up_the_end() -> None:
    line = Line(OPEN)
    line.receive(ALIVE[:-2])
    line.feed(ShutdownAsked(at=line.at))
    line.feed(ListenersClosed(at=line.at))
    assert line.deadline == line.at + LINGER_SECONDS
    line.pass_time(LINGER_SECONDS)
    assert (codes(line), line.deadline) == ([408], line.at + LINGER_SECONDS)
    line.pass_time(LINGER_SECONDS)
    assert line.ended == "close"


def test_a_stream_that_began_before_the_service_stopped_ends_its_connection() -> None:
    """Its head could not say so; the listeners are closed before its end, and nobody would close it later."""
    line = asked(EVENTS)
    line.feed(ShutdownAsked(at=line.at))
    line.feed(ListenersClosed(at=line.at))
    conclude(line)
    (answer,) = line.take_answers()
    assert "connection" not in answer.headers
    assert b"event: result" in answer.body
    assert line.ended == "close"


def test_what_takes_too_long_is_answered_at_once() -> None:
    line, idle = asked(), Line(OPEN)
    line.feed(ShutdownAsked(at=line.at, now=True))
    (answer,) = line.take_answers()
    assert (answer.status, json.loads(answer.body)["detail"]["error"]) == (503, "draining")
    assert (answer.headers["retry-after"], answer.headers["connection"], line.ended) == ("1", "close", "close")
    idle.feed(ShutdownAsked(at=idle.at, now=True))
    assert idle.ended == "close"


# Streams.


def test_events_come_in_chunks_and_the_connection_is_kept() -> None:
    line = asked(EVENTS)
    assert b'data: {"pass":1,"passes":2,"pattern":"last_word"}\n\n' in line.sent
    conclude(line)
    line.receive(ALIVE)
    streamed, alive = line.take_answers()
    assert streamed.headers["content-type"] == "text/event-stream"
    assert streamed.headers["transfer-encoding"] == "chunked"
    events = streamed.body.decode().split("\n\n")
    assert [event.partition("\n")[0] for event in events] == ["event: progress", "event: progress", "event: result", ""]
    assert json.loads(events[2].partition("data: ")[2])["detection"]["verdict"] == "fine"
    assert alive.status == 200


def test_to_an_older_client_a_stream_ends_with_its_connection() -> None:
    line = asked(EVENTS, version="1.0")
    conclude(line)
    (streamed,) = line.take_answers()
    assert "transfer-encoding" not in streamed.headers
    assert streamed.headers["connection"] == "close"
    assert streamed.body.startswith(b"event: progress\n")
    assert streamed.body.count(b"event: result") == 1
    assert line.ended == "close"


def test_a_stream_that_fails_says_so_in_an_event() -> None:
    line = asked(EVENTS)
    line.pass_time(120.0)
    (streamed,) = line.take_answers()
    assert streamed.status == 200
    last = streamed.body.decode().rpartition("event: error\ndata: ")[2]
    assert json.loads(last)["detail"]["error"] == "timeout"
    assert line.last(Record).status == 504


def test_an_older_client_gets_one_answer() -> None:
    line = Line(OPEN)
    line.receive(request("GET", "/livez", version="1.0") + ALIVE)
    (answer,) = line.take_answers()
    assert (answer.status, answer.headers["connection"], line.ended) == (200, "close", "close")


# Bugs, ours and the driver's.


def crash(line: Line, data: bytes) -> None:
    """Feed bytes that make an exchange crash, and tell the connection so, as a driver does."""
    with pytest.raises(ZeroDivisionError):
        line.receive(data)
    line.feed(Crashed(at=line.at))


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
def test_a_crash_is_answered_and_the_next_request_served(accept: str) -> None:
    line = Line(OPEN)
    crash(line, ALIVE + analysis(BODY, f"Accept: {accept}", pattern="broken") + ALIVE)
    alive, crashed, again = line.take_answers()
    assert (alive.status, crashed.status, again.status) == (200, 500, 200), "what was sent before the crash is kept"
    assert json.loads(crashed.body)["detail"]["error"] == "internal_error"


def test_an_answer_that_cannot_be_written_ends_the_connection() -> None:
    line = Line(OPEN)
    line.receive(request("GET", "/metrics"))
    page = MetricsRendered(
        at=line.at, ticket=line.last(RenderMetrics).ticket, content_type="text/plain\r\nx: y", body=b"up 1\n"
    )
    with pytest.raises(LocalProtocolError):
        line.feed(page)
    line.feed(Crashed(at=line.at))
    assert (line.ended, line.sent, line.connection.stage) == ("abort", b"", Stage.CLOSED)


def test_a_crash_between_requests_is_nothing_to_answer() -> None:
    line = Line(OPEN)
    line.feed(Crashed(at=line.at))
    line.receive(ALIVE)
    assert codes(line) == [200]


def test_an_answer_with_a_wrong_ticket_is_refused_and_changes_nothing() -> None:
    line = Line(OPEN)
    line.receive(READY)
    wrong = ReadinessAnswered(at=line.at, ticket=9, status="ready", detail="it is", checks={})
    with pytest.raises(LocalProtocolError):
        line.feed(wrong)
    ready(line)
    assert codes(line) == [200]


def test_an_answer_that_nobody_waits_for_is_ignored() -> None:
    line = Line(OPEN)
    line.receive(ALIVE)
    line.take_answers()
    assert line.feed(KeyChecked(at=line.at, ticket=1, name="alice", loaded=1)) == ()


def test_a_key_goes_no_further_than_the_connection() -> None:
    line = Line(GUARDED)
    lines = (f"Authorization: Bearer {KEY}", f"Cookie: {KEY}", f"Proxy-Authorization: {KEY}")
    line.receive(analysis(BODY, *lines))
    assert line.last(CheckKey).credential not in (None, KEY)
    exchange = line.connection.exchange
    assert exchange is not None
    assert KEY.encode() not in msgspec.json.encode((line.told, exchange.state))


def test_who_came_over_tls_is_known() -> None:
    line = Line(OPEN, scheme="https")
    line.receive(ALIVE)
    assert "strict-transport-security" in line.take_answers()[0].headers


def test_equal_events_give_equal_commands() -> None:
    def told(service: Service) -> list[AnyCommand]:
        line = Line(service)
        line.receive(REQUESTS)
        line.pass_time(300.0)
        return [*line.told, *[Abort()] * (line.ended == "abort")]

    assert told(OPEN) == told(make_service(PATTERN, BROKEN))


# Whatever happens.

MOMENTS = st.sampled_from(("bytes", "time", "pause", "resume", "drain", "now", "closed", "left", "end", "ready"))


@given(st.lists(st.tuples(MOMENTS, st.integers(0, 400)), max_size=12))
def test_a_connection_ends_cleanly_whatever_happens(moments: list[tuple[str, int]]) -> None:
    """``Line`` itself checks that nothing is sent after the end, and that reading is stopped and resumed in turns."""
    line, data = Line(OPEN), (READY + ALIVE + analysis(BODY)) * 3
    for moment, much in moments:
        if moment == "bytes":
            line.receive(data[: much + 1])
            data = data[much + 1 :] or ALIVE
        elif moment == "time":
            line.pass_time(much / 8)
        elif moment == "pause":
            line.feed(WritingPaused(at=line.at))
        elif moment == "resume":
            line.feed(WritingResumed(at=line.at))
        elif moment in ("drain", "now"):
            line.feed(ShutdownAsked(at=line.at, now=moment == "now"))
        elif moment == "closed":
            line.feed(ListenersClosed(at=line.at))
        elif moment == "left":
            line.feed(PeerLeft(at=line.at))
        elif moment == "end":
            line.receive(b"")
        elif line.connection.exchange is not None and isinstance(line.told[-1], CheckReadiness):
            ready(line)
        if line.ended == "abort" or line.connection.stage is Stage.CLOSED:
            break
    line.pass_time(1000.0)
    assert line.connection.stage is Stage.CLOSED
    assert line.connection.exchange is None
