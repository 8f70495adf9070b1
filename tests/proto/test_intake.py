"""From a head to its body: secrets that end at the door, and refusals that need no body."""

from __future__ import annotations

import gzip

import pytest

from tests.proto.asking import ask
from tests.proto.conversations import BODY, KEY
from tests.proto.last_word import PATTERN
from vstack_proto.auth import MALFORMED, digest
from vstack_proto.commands import ReadBody, Respond
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import BodyEnded, BodyReceived, FlightJoined, FramingRefused, HeadReceived
from vstack_proto.exchange import Exchange
from vstack_proto.framing import Headers, check_head
from vstack_proto.intake import SECRET_FIELDS, checked_head, framing_refused, nth_request_id, without_secrets
from vstack_proto.limits import Limits
from vstack_proto.testing import START, WALL, analyze_received, head_received, make_service
from vstack_proto.wire import WireHead, WireReader

OPEN = make_service(PATTERN)
HOST = ("host", "vstack.example")


def checked(*headers: tuple[str, str], target: str = "/livez", version: str = "1.1") -> HeadReceived | FramingRefused:
    return checked_head(
        at=START,
        wall=WALL,
        request_id="r",
        peer="192.0.2.7",
        scheme="http",
        method="GET",
        target=target,
        headers=headers,
        http_version=version,
    )


@pytest.mark.parametrize("name", sorted(SECRET_FIELDS))
def test_no_secret_is_in_an_event(name: str) -> None:
    event = checked(HOST, (name, f"Bearer {KEY}"), ("accept", "*/*"))
    assert isinstance(event, HeadReceived)
    assert event.head.fields == {"host": "vstack.example", "accept": "*/*"}
    presents = {"authorization": digest(KEY), "x-api-key": digest(f"Bearer {KEY}")}
    assert event.credential == presents.get(name)


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ((("authorization", f"Bearer {KEY}"), ("x-api-key", "other")), digest(KEY)),
        ((("authorization", "Basic dTpw"),), MALFORMED),
        ((("x-api-key", "one"), ("x-api-key", "two")), MALFORMED),
        ((("x-api-key", "one"), ("x-api-key", "one")), digest("one")),
        ((), None),
    ],
)
def test_the_credential_is_the_digest_of_what_is_presented(headers: Headers, credential: str | None) -> None:
    event = checked(HOST, *headers)
    assert isinstance(event, HeadReceived)
    assert event.credential == credential


def test_a_head_without_secrets_is_handed_on_as_it_is() -> None:
    head = check_head("GET", "/", (HOST,), "1.1")
    assert without_secrets(head, (HOST,))[0] is head


def test_a_head_that_is_unsound_is_an_event_too() -> None:
    event = checked(HOST, ("a_b", "1"))
    assert isinstance(event, FramingRefused)
    assert (event.status, event.code, event.request_id, event.peer) == (400, "invalid_request", "r", "192.0.2.7")
    assert "underscore" in event.message
    fault = RemoteProtocolError(505, "http_version", "use 1.1")
    assert framing_refused(fault, at=START, wall=WALL, request_id="r", peer="p") == FramingRefused(
        at=START, wall=WALL, request_id="r", peer="p", status=505, code="http_version", message="use 1.1"
    )


LONG = 8_192 - len("x: ")


@pytest.mark.parametrize(
    ("headers", "target", "status"),
    [
        ((("x", "v" * LONG),), "/livez", None),
        ((("x", "v" * (LONG + 1)),), "/livez", 431),
        ((), "/livez?" + "q" * 8_200, 431),
        ((("x", "v" * LONG), ("y", "v" * 8_100)), "/livez", None),
        ((("x", "v" * LONG), ("y", "v" * LONG)), "/livez", 431),
    ],
)
def test_a_head_that_another_server_let_through_is_no_larger_than_ours(
    headers: tuple[tuple[str, str], ...], target: str, status: int | None
) -> None:
    event = checked(HOST, *headers, target=target)
    assert isinstance(event, HeadReceived) if status is None else isinstance(event, FramingRefused)
    if isinstance(event, FramingRefused):
        assert (event.status, event.code, event.path) == (status, "headers_too_large", "/livez")
    # The same as on the wire.
    reader = WireReader()
    lines = "".join(f"{name}: {value}\r\n" for name, value in (HOST, *headers))
    reader.receive(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
    if status is None:
        assert isinstance(reader.next_event(), WireHead)
    else:
        with pytest.raises(RemoteProtocolError) as caught:
            reader.next_event()
        assert caught.value.status == status


def test_ids_of_a_connection_are_all_different() -> None:
    ids = {nth_request_id(seed, number) for seed in (0, 2**64 - 1) for number in range(1000)}
    assert len(ids) == 2000
    assert all(len(one) == 20 for one in ids)


# Refused by the head alone: no body is asked for.


@pytest.mark.parametrize(
    ("name", "headers", "status", "code", "told"),
    [
        ("nobody", (), 404, "unknown_pattern", "GET /v1/patterns lists them"),
        ("last-word", (), 404, "unknown_pattern", "did you mean last_word?"),
        ("last_word", (("content-type", "text/plain"),), 415, "unsupported_media_type", "the body is text/plain"),
        ("last_word", (("content-encoding", "br"),), 415, "unsupported_media_type", "gzip, zstd or none"),
        ("last_word", (("content-encoding", "gzip, gzip"),), 415, "unsupported_media_type", "'gzip, gzip'"),
        ("last_word", (("accept", "text/html"),), 406, "not_acceptable", "Accept allows neither"),
        ("last_word", (("accept", "*/*;q=0"),), 406, "not_acceptable", "text/event-stream"),
    ],
)
def test_what_the_head_shows_to_be_useless(name: str, headers: Headers, status: int, code: str, told: str) -> None:
    asked = ask(OPEN, analyze_received(name, headers), BODY)
    assert (asked.status, asked.error["error"], asked.headers["connection"]) == (status, code, "close")
    assert told in asked.error["message"]
    assert ReadBody not in [type(command) for command in asked.told]


@pytest.mark.parametrize(
    "kind", ["", "application/json", "Application/JSON ; charset=utf-8", "application/vnd.run+json", " "]
)
def test_json_by_any_name_is_read(kind: str) -> None:
    assert ask(OPEN, analyze_received("last_word", (("content-type", kind),)), BODY).status == 200


@pytest.mark.parametrize(("length", "status"), [(5_242_880, 200), (5_242_881, 413)])
def test_a_length_that_is_too_large_is_refused_before_the_body(length: int, status: int) -> None:
    asked = ask(OPEN, analyze_received("last_word", length=length), BODY)
    assert asked.status == status
    if status == 413:
        assert ReadBody not in [type(command) for command in asked.told]
        error = asked.error
        assert (error["error"], error["limit"], error["actual"]) == ("request_too_large", 5_242_880, length)
        assert error["setting"] == "VSTACK_API_MAX_BODY_BYTES"
        assert asked.record.outcome == "request_too_large"


def test_a_body_without_a_length_is_counted_as_it_comes() -> None:
    small = make_service(PATTERN, limits=Limits(max_body_bytes=len(BODY)))
    chunked = head_received("POST", "/v1/analyze/last_word", (("transfer-encoding", "chunked"),))
    assert ask(small, chunked, BODY).status == 200
    asked = ask(small, chunked, BODY + b" ")
    assert (asked.status, asked.error["actual"], asked.headers["connection"]) == (413, len(BODY) + 1, "close")


@pytest.mark.parametrize("coding", ["gzip", " GZIP ", "identity", ""])
def test_a_body_may_be_packed(coding: str) -> None:
    data = gzip.compress(BODY) if "gzip" in coding.lower() else BODY
    assert ask(OPEN, analyze_received("last_word", (("content-encoding", coding),)), data).status == 200


@pytest.mark.parametrize(("data", "told"), [(b"no gzip", "is corrupt"), (gzip.compress(BODY)[:-1], "ends too early")])
def test_a_body_that_is_packed_badly_is_refused(data: bytes, told: str) -> None:
    asked = ask(OPEN, analyze_received("last_word", (("content-encoding", "gzip"),)), data)
    assert (asked.status, asked.error["error"]) == (400, "invalid_request")
    assert told in asked.error["message"]


def test_a_packed_body_is_counted_as_it_is_unpacked() -> None:
    small = make_service(PATTERN, limits=Limits(max_body_bytes=1000))
    asked = ask(small, analyze_received("last_word", (("content-encoding", "gzip"),)), gzip.compress(b" " * 100_000))
    assert (asked.status, asked.error["limit"]) == (413, 1000)


def test_an_empty_body_is_no_trace() -> None:
    asked = ask(OPEN, analyze_received("last_word"), b"")
    assert (asked.status, asked.error["error"]) == (400, "invalid_request")
    assert "the body is empty" in asked.error["message"]


def test_a_body_may_come_in_parts() -> None:
    exchange = Exchange(OPEN)
    exchange.handle(analyze_received("last_word", length=len(BODY)))
    for part in (BODY[:1], BODY[1:50], BODY[50:]):
        exchange.handle(BodyReceived(at=START, data=part))
    exchange.handle(BodyEnded(at=START))
    told = exchange.handle(FlightJoined(at=START, ticket=1, role="leads"))
    assert told[1].status == 200  # type: ignore[union-attr]


def test_a_head_that_is_refused_still_names_its_request() -> None:
    headers = (
        ("host", "h"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("x-request-id", "mine"),
        ("accept", "application/problem+json"),
        ("authorization", "Bearer not-to-be-kept"),
    )
    event = checked(*headers, target="/v1/analyze/last_word?x")
    assert isinstance(event, FramingRefused)
    assert (event.method, event.path) == ("GET", "/v1/analyze/last_word")
    assert event.fields == {"x-request-id": "mine", "accept": "application/problem+json"}
    respond = next(command for command in Exchange(OPEN).handle(event) if isinstance(command, Respond))
    answered = dict(respond.headers)
    assert (respond.status, answered["x-request-id"]) == (400, "mine")
    assert answered["content-type"] == "application/problem+json"
