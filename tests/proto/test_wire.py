"""The wire: the same bytes give the same events however reads cut them, and nothing is served behind a refusal."""

from __future__ import annotations

import runpy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vstack_proto.errors import LocalProtocolError, RemoteProtocolError
from vstack_proto.wire import WireBody, WireClosed, WireEnd, WireHead, WireLimits, WireReader
from vstack_proto.wire_out import CONTINUE, LAST_CHUNK, encode_chunk, encode_head

CORPUS = runpy.run_path(str(Path(__file__).parents[1] / "wire" / "corpus.py"))
CASES, BENIGN, HOSTILE = CORPUS["CASES"], CORPUS["BENIGN"], CORPUS["HOSTILE"]
TAIL = b"DELETE /behind HTTP/1.1\r\nHost: a\r\n\r\n"
BEHIND = ("DELETE", "/behind", b"")
POST = b"POST /p?q HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def read(pieces: Iterable[bytes], limits: WireLimits | None = None) -> list[Any]:
    """What a server sees that answers each request at once: neighbouring bodies joined, a refusal as the last entry."""
    reader = WireReader(limits) if limits else WireReader()
    seen: list[Any] = []
    for piece in pieces:
        reader.receive(piece)
        try:
            while (event := reader.next_event()) not in (None, WireClosed()):
                if isinstance(event, WireBody) and isinstance(seen[-1], bytes):
                    seen[-1] += event.data
                elif isinstance(event, WireBody):
                    assert event.data
                    seen.append(event.data)
                elif isinstance(event, WireHead):
                    seen.append(event)
                else:
                    assert isinstance(event, WireEnd)
                    seen.append(event)
                    assert reader.next_event() is None
                    reader.next_request()
            if event is not None:
                seen.append(event)
                break
        except RemoteProtocolError as fault:
            seen.append((fault.status, fault.code, fault.message))
            rest = b"".join(pieces)
            if rest:
                reader.receive(rest)
            assert_stuck(reader, seen[-1])
            break
    return seen


def assert_stuck(reader: WireReader, refused: tuple[int, str, str]) -> None:
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as again:
            reader.next_event()
        assert (again.value.status, again.value.code, again.value.message) == refused
    assert reader.buffered == 0


def read_by_h11(data: bytes) -> list[tuple[str, str, bytes]]:
    """What bare h11, which forgives more than we do, makes of a stream, up to what it refuses too."""
    requests: list[tuple[str, str, bytes]] = []
    while data:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1_000_000)
        connection.receive_data(data.removeprefix(b"\r\n"))
        request, body = None, b""
        try:
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    request = event
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    return requests
        except h11.RemoteProtocolError:
            return requests
        assert request is not None
        requests.append((request.method.decode(), request.target.decode(), body))
        data = connection.trailing_data[0]
    return requests


def bytewise(data: bytes) -> Iterable[bytes]:
    return iter([data[at : at + 1] for at in range(len(data))])


def whole(data: bytes) -> Iterable[bytes]:
    return iter([data])


def served(seen: list[Any]) -> list[tuple[str, str, bytes]]:
    """(method, target, body) of every complete request."""
    requests, head, body = [], None, b""
    for entry in seen:
        if isinstance(entry, WireHead):
            head, body = entry, b""
        elif isinstance(entry, bytes):
            body = entry
        elif isinstance(entry, WireEnd):
            assert head is not None
            requests.append((head.method, head.target, body))
    return requests


def refusal(seen: list[Any]) -> tuple[int, str] | None:
    return seen[-1][:2] if seen and isinstance(seen[-1], tuple) else None


@pytest.mark.parametrize("feed", [whole, bytewise])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus(case: Any, feed: Any) -> None:
    seen = read(feed(case.data))
    assert served(seen) == list(case.served)
    assert refusal(seen) == case.refused
    assert (seen[-1] == WireClosed()) == case.closes


@pytest.mark.parametrize("feed", [whole, bytewise])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus_with_a_request_behind(case: Any, feed: Any) -> None:
    seen = read(feed(case.data + TAIL))
    behind = [] if case.refused or case.closes else [BEHIND]
    assert served(seen) == [*case.served, *behind]
    assert refusal(seen) == case.refused


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus_is_refused_in_the_same_words_whatever_the_reads(case: Any) -> None:
    data = case.data + TAIL
    assert read(bytewise(data)) == read(whole(data))


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile_is_not_served_when_the_peer_leaves(case: Any) -> None:
    seen = read(iter([case.data, b""]))
    assert (served(seen), refusal(seen)) == (list(case.served), case.refused)


SHORT = [case for case in BENIGN if len(case.served) == 1 and len(case.data) < 400]


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.name)
def test_a_request_cut_off_anywhere_is_refused(case: Any) -> None:
    for cut in range(1, len(case.data)):
        seen = read(iter([case.data[:cut], b""]))
        if case.data[:cut].strip(b"\r\n"):
            assert not served(seen)
            assert refusal(seen) == (400, "invalid_request")
            assert "closed in the midst" in seen[-1][2]
        else:
            assert seen == [WireClosed()]


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    cases = draw(st.lists(st.sampled_from([case for case in CASES if len(case.data) < 2000]), min_size=1, max_size=3))
    data = b"".join(case.data for case in cases)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=2)) + data[at + draw(st.integers(0, 2)) :]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=12)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return data, [piece for piece in pieces if piece]


@given(cut_streams())
@settings(deadline=None, max_examples=300)
def test_cuts_change_nothing(stream: tuple[bytes, list[bytes]]) -> None:
    data, pieces = stream
    assert (
        read(iter([*pieces, b""])) == read(iter([data, b""] if data else [b""])) == read(iter([*bytewise(data), b""]))
    )


@given(cut_streams())
@settings(deadline=None, max_examples=300)
def test_what_is_served_is_what_another_parser_reads(stream: tuple[bytes, list[bytes]]) -> None:
    ours = served(read(whole(stream[0])))
    assert ours == read_by_h11(stream[0])[: len(ours)]


CHUNK_PARTS = [
    b"1\r\n",
    b"x",
    b"\r\n",
    b"3",
    b"5;a\r\n",
    b"hello\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"a:b\r\n",
    b"\n",
    b"\r",
    b" ",
]


@given(st.lists(st.sampled_from([*CHUNK_PARTS, b"1\r\nx\r\n", TAIL])))
@settings(deadline=None, max_examples=500)
def test_chunks_of_any_shape(parts: list[bytes]) -> None:
    data = CORPUS["chunks"](b"".join(parts))
    seen = read(whole(data))
    assert seen == read(bytewise(data))
    assert served(seen) == read_by_h11(data)[: len(served(seen))]


SMALL = WireLimits(max_head_bytes=48, max_line_bytes=24, max_fields=3, max_chunk_extension=3, chunks_judged=2)


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a:b", b" ", b"GET / HTTP/1.1", b"Host: a", b"\x00", b"x" * 9]))
)
@settings(deadline=None, max_examples=500)
def test_the_first_byte_that_breaks_a_limit_decides(parts: list[bytes]) -> None:
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(parts)
    assert read(whole(data), SMALL) == read(bytewise(data), SMALL)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.booleans())
def test_a_chunked_body_comes_out_as_it_went_in(parts: list[bytes], trailer: bool) -> None:
    end = b"0\r\nx: y\r\n\r\n" if trailer else LAST_CHUNK
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = head + b"".join(map(encode_chunk, parts)) + end
    assert served(read(whole(data))) == [("POST", "/", b"".join(parts))]


def test_head_says_what_was_sent_and_what_it_means() -> None:
    reader = WireReader()
    reader.receive(b"POST http://B:8/p?q HTTP/1.1\r\nHOST: a\r\nX-Y:  1 \r\nx-y:2\r\nexpect: 100-CONTINUE\r\n")
    reader.receive(b"Content-Length: 5\r\n\r\n")
    event = reader.next_event()
    assert isinstance(event, WireHead)
    assert (event.method, event.target, event.http_version) == ("POST", "http://B:8/p?q", "1.1")
    sent = (("host", "a"), ("x-y", "1"), ("x-y", "2"), ("expect", "100-CONTINUE"), ("content-length", "5"))
    assert event.headers == sent
    head = event.head
    assert (head.path, head.query, head.authority) == ("/p", "q", "B:8")
    assert (head.content_length, head.chunked, head.expects_continue, head.keep_alive) == (5, False, True, True)
    assert head.fields["x-y"] == "1, 2"


def test_data_that_is_there_comes_as_one_body() -> None:
    reader = WireReader()
    reader.receive(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500)
    assert isinstance(reader.next_event(), WireHead)
    assert reader.next_event() == WireBody(b"x" * 500)
    assert reader.next_event() is None


def test_a_body_before_a_fault_is_given_first() -> None:
    reader = WireReader()
    reader.receive(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nz\r\n")
    assert isinstance(reader.next_event(), WireHead)
    assert reader.next_event() == WireBody(b"x")
    with pytest.raises(RemoteProtocolError, match=r"must begin with 1 to 16 hex digits"):
        reader.next_event()


def test_pipelined_bytes_wait_for_the_next_request() -> None:
    reader = WireReader()
    reader.receive(POST + POST)
    assert isinstance(reader.next_event(), WireHead)
    assert reader.next_event() == WireBody(b"hello")
    assert reader.next_event() == WireEnd()
    assert reader.next_event() is None
    assert (reader.started, reader.buffered) == (True, len(POST))
    reader.receive(TAIL)
    assert reader.next_event() is None
    assert reader.buffered == len(POST + TAIL)
    reader.next_request()
    assert isinstance(reader.next_event(), WireHead)
    assert not reader.started
    assert reader.buffered == len(b"hello" + TAIL)


@pytest.mark.parametrize(
    ("data", "started"),
    [(b"", False), (b"\r", False), (b"\r\n", False), (b"\r\nG", True), (b"G", True), (b"\rG", True), (b"\n", True)],
)
def test_started(data: bytes, started: bool) -> None:
    reader = WireReader()
    if data:
        reader.receive(data)
    assert reader.started is started


def test_a_second_empty_line_counts_as_started() -> None:
    reader = WireReader()
    reader.receive(b"\r\n")
    assert (reader.next_event(), reader.started, reader.buffered) == (None, False, 0)
    reader.receive(b"\r")
    assert (reader.next_event(), reader.started) == (None, True)


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r", POST, POST + b"\r\n"])
def test_the_end_at_a_boundary_closes(before: bytes) -> None:
    assert read(iter([before, b""] if before else [b""]))[-1] == WireClosed()


def test_closed_stays_closed() -> None:
    reader = WireReader()
    reader.receive(b"")
    reader.receive(b"")
    assert reader.next_event() == reader.next_event() == WireClosed()
    with pytest.raises(LocalProtocolError):
        reader.receive(b"x")


def test_nothing_of_a_body_is_carried_into_the_next_request() -> None:
    with_trailers = CORPUS["chunks"](b"5\r\nhello\r\n0\r\n" + b"x: y\r\n" * 60 + b"\r\n")
    fields = CORPUS["get"](*[b"x: y"] * 99)
    small = CORPUS["even_chunks"](600, 1)
    sized = CORPUS["get"](*[b"x: y"] * 60, b"Content-Length: 1") + b"z"
    for follower in (with_trailers, fields, small, sized):
        for feed in (whole, bytewise):
            assert len(served(read(feed(with_trailers + follower)))) == 2
            assert len(served(read(feed(small + follower)))) == 2
            assert len(served(read(feed(sized + follower)))) == 2
    # A first line that is refused must not be skipped as part of what was already checked.
    for feed in (whole, bytewise):
        assert refusal(read(feed(with_trailers + b"G\x01T / HTTP/1.1\r\n"))) == (400, "invalid_request")


def test_nothing_is_read_behind_connection_close() -> None:
    reader = WireReader()
    reader.receive(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + TAIL)
    assert isinstance(reader.next_event(), WireHead)
    assert reader.next_event() == WireEnd()
    reader.next_request()
    assert reader.next_event() == WireClosed()
    reader.receive(TAIL)
    assert (reader.next_event(), reader.buffered, reader.started) == (WireClosed(), 0, False)


def test_next_request_too_early_leaves_the_state() -> None:
    reader = WireReader()
    with pytest.raises(LocalProtocolError):
        reader.next_request()
    reader.receive(POST[:-2])
    assert isinstance(reader.next_event(), WireHead)
    with pytest.raises(LocalProtocolError):
        reader.next_request()
    assert reader.next_event() == WireBody(b"hel")
    reader.receive(b"lo")
    assert [reader.next_event(), reader.next_event()] == [WireBody(b"lo"), WireEnd()]


def test_an_equal_head_is_the_same_and_another_is_not() -> None:
    first, second, third = (entry for entry in read(whole(POST + POST + TAIL)) if isinstance(entry, WireHead))
    assert first is second
    assert third.method == "DELETE"


@pytest.mark.parametrize(
    ("limits", "data", "status", "words"),
    [
        (WireLimits(max_head_bytes=40), POST, 431, "more than 40 bytes"),
        (WireLimits(max_line_bytes=16), POST, 431, "more than 16 bytes"),
        (WireLimits(max_fields=1), POST, 431, "more than 1 header fields; at most 1"),
        (WireLimits(max_chunk_extension=0), CORPUS["chunks"](b"5;a\r\n"), 400, "more than 0 bytes"),
        (
            WireLimits(chunks_judged=1),
            CORPUS["chunks"](b"3f\r\n"),
            400,
            "hold 63 bytes; a mean of at least 64",
        ),
        (WireLimits(chunks_judged=1, min_mean_chunk=6), CORPUS["chunks"](b"5\r\n"), 400, "at least 6"),
    ],
)
def test_limits_can_be_set_and_are_named(limits: WireLimits, data: bytes, status: int, words: str) -> None:
    seen = read(whole(data), limits)
    assert seen[-1][0] == status
    assert words in seen[-1][2]


def test_a_refusal_does_not_repeat_a_value_that_may_be_secret() -> None:
    message = read(whole(CORPUS["get"](b"Authorization: Bearer sec\x01ret")))[-1][2]
    assert "sec" not in message


HEADERS = (("content-type", "application/json"), ("content-length", "2"), ("x-empty", ""), ("x-latin", "\xe9\t"))


@pytest.mark.parametrize("status", [200, 204, 404, 503])
def test_head_is_written_as_h11_writes_it(status: int) -> None:
    fields = HEADERS if status != 204 else HEADERS[:1]
    h11_bytes = h11.Connection(h11.SERVER)
    h11_bytes.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    h11_bytes.next_event()
    plain = [(name.encode(), value.strip().encode("latin-1")) for name, value in fields]
    expected = h11_bytes.send(h11.Response(status_code=status, headers=plain))
    assert encode_head(status, tuple((name, value.strip()) for name, value in fields)) == expected


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, (("x", "a\r\nset-cookie: b"),)),
        (200, (("x", "a\nb"),)),
        (200, (("x", "a\rb"),)),
        (200, (("x", "a\0b"),)),
        (200, (("x", "a\r\n\r\nb"),)),
        (200, (("x\r\ny", "a"),)),
        (200, (("x: y\r\nz", "a"),)),
        (200, (("X", "a"),)),
        (200, (("", "a"),)),
        (200, (("x y", "a"),)),
        (200, (("x", "\u0663"),)),
        (99, ()),
        (600, ()),
    ],
)
def test_a_head_that_would_split_is_not_written(status: int, headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_head(status, headers)


def test_constants_and_chunks() -> None:
    assert encode_head(100, ()) == CONTINUE
    assert encode_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert encode_chunk(b"") == b""
    assert encode_chunk(b"")[:] + LAST_CHUNK == b"0\r\n\r\n"
