"""A route that another package contributes: its own form around the same key, quota, cache, flights and record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.proto.asking import ask
from tests.proto.conversations import ALIAS, BODY, ENTRY, LAST_MOMENT, body_read
from tests.proto.last_word import PATTERN, TRACE
from vstack_proto.commands import (
    ArmDeadline,
    CallModel,
    EndStream,
    JoinFlight,
    LandFlight,
    LookUpCache,
    RecallLearnings,
    Record,
    Respond,
    SendPart,
    StartStream,
)
from vstack_proto.contributed import Asked, Direct, Refusal
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import (
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    Crashed,
    FlightHandedOver,
    FlightJoined,
    KeyChecked,
    LearningRecorded,
    LearningsRecalled,
    ModelAnswered,
    PassBegun,
    QuotaAnswered,
)
from vstack_proto.exchange import Exchange
from vstack_proto.intake import checked_head
from vstack_proto.learning import LearningRecord
from vstack_proto.openapi import openapi
from vstack_proto.policy import Policy
from vstack_proto.routes import ROUTES, Route
from vstack_proto.service import Service
from vstack_proto.testing import START, WALL, head_received, like, play
from vstack_proto.values import Alias

HEAD: dict[str, Any] = {
    "at": START, "wall": WALL, "request_id": "r", "peer": "192.0.2.7", "scheme": "http", "method": "POST",
    "http_version": "1.1",
}  # fmt: skip
ENDPOINTS: dict[bytes, Any] = {b"recall": "learnings", b"outcomes": "outcomes", b"record": "record_learning"}


class Shout:
    """A form of its own: the first line says what is wanted, and every answer is in capitals."""

    surface = "mcp"

    def check(self, fields: Mapping[str, str]) -> bytes:
        if "x-whisper" in fields:
            raise RemoteProtocolError(403, "forbidden", "nobody whispers here")
        return fields.get("x-context", "").encode()

    def open(self, fields: Mapping[str, str], body: bytes) -> Direct | Asked:
        order, _, rest = body.partition(b"\n")
        if order == b"hello":
            return Direct(200, "text/plain", b"HELLO")
        if order == b"bye":
            return Direct(202)
        if order in (b"recall", b"outcomes", b"record"):
            query = "limit=3" if order == b"recall" else ""
            return Asked("", rest, b"context", endpoint=ENDPOINTS[order], query=query)
        if order not in (b"analyze", b"tell"):
            raise RemoteProtocolError(400, "invalid_request", "shout hello")
        return Asked("last_word", rest, b"context", order == b"tell")

    def progress(self, context: bytes, number: int, passes: int, pattern: str) -> bytes:
        return f"{context.decode()} {number}/{passes} {pattern}".upper().encode()

    def answer(self, context: bytes, body: bytes) -> bytes:
        return context + body.upper()

    def refusal(self, context: bytes, refused: RemoteProtocolError, request_id: str) -> Refusal:
        status = 200 if context else refused.status
        return Refusal(status, "text/plain", f"{refused.code} {request_id}".upper().encode())

    def part(self, body: bytes) -> bytes:
        return b"LAST " + body

    def describe(self) -> dict[str, Any]:
        return {"description": "Shout.", "responses": {"200": {"description": "HEARD."}}}


NOBODY = KeyChecked(at=START, ticket=0, name=None, loaded=1)
ROUTE = Route("POST", "/shout", "contributed", False, "Shout", Shout())


def service(**policy: Any) -> Service:
    return Service(Policy(version="1.2.3", **policy), (PATTERN,), contributed=(lambda catalogue, policy: (ROUTE,),))


OPEN = service()
ASKING = service(provider="scripted", default_model="m-1")


def head(*headers: tuple[str, str], length: int = 1) -> Any:
    return head_received("POST", "/shout", (("content-length", str(length)), *headers))


@pytest.mark.parametrize(
    ("body", "status", "kind", "answer"), [(b"hello", 200, "text/plain", b"HELLO"), (b"bye", 202, None, b"")]
)
def test_what_needs_nothing_is_answered_as_it_is(body: bytes, status: int, kind: str | None, answer: bytes) -> None:
    asked = ask(OPEN, head(length=len(body)), body)
    assert (asked.status, asked.headers.get("content-type"), asked.answer.body) == (status, kind, answer)
    assert (asked.record.surface, asked.record.route, asked.record.outcome) == ("mcp", "/shout", "")


def test_a_head_that_is_refused_is_in_no_form_and_asks_for_no_analysis() -> None:
    asked = ask(OPEN, checked_head(**{**HEAD, "target": "/shout", "headers": (("host", "a"), ("x_a", "1"))}))
    assert (asked.status, asked.record.surface, asked.record.outcome) == (400, "rest", "")


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ((("x-whisper", "1"),), b"hello", 403, "forbidden"),
        ((), b"", 400, "invalid_request"),
        ((("content-type", "text/plain"),), b"hello", 415, "unsupported_media_type"),
        ((("content-length", "99999999"),), None, 413, "request_too_large"),
    ],
)
def test_refusals_before_and_at_the_body_are_in_its_form(
    headers: tuple[tuple[str, str], ...], body: bytes | None, status: int, code: str
) -> None:
    given = headers if any(name == "content-length" for name, _ in headers) else (("content-length", "1"), *headers)
    asked = ask(OPEN, head_received("POST", "/shout", given), body)
    assert asked.status == status
    assert asked.answer.body == f"{code} {asked.headers['x-request-id']}".upper().encode()
    assert (asked.record.code, asked.record.surface) == (code, "mcp")


def test_what_the_head_shows_of_the_context_serves_refusals_before_the_body() -> None:
    asked = ask(OPEN, head(("x-context", "known")), b"mumble")
    assert (asked.status, asked.record.code) == (200, "invalid_request")


def test_key_and_quota_stand_in_front_of_it() -> None:
    refused = QuotaAnswered(at=START, ticket=0, verdict="refused", limit=5, remaining=0, retry_after=2.5)
    asked = ask(service(quota=True), head(), b"hello", TakeQuota=refused)
    assert (asked.status, asked.headers["retry-after"]) == (429, "3")
    keyed = ask(service(require_auth=True), head(), b"hello", CheckKey=NOBODY)
    assert (keyed.status, keyed.headers["www-authenticate"]) == (401, 'Bearer realm="vstack"')
    assert keyed.answer.body.startswith(b"UNAUTHORIZED")


def test_an_analysis_is_the_same_and_worded_anew() -> None:
    asked = ask(OPEN, head(), b"analyze\n" + BODY)
    assert asked.status == 200
    assert asked.answer.body.startswith(b'context{"PATTERN":"LAST_WORD","MODE":"QUICK","MODEL":"OFFLINE"')
    assert (asked.record.surface, asked.record.outcome, asked.record.pattern) == ("mcp", "ok", "last_word")


def test_a_refused_analysis_counts_as_one_though_its_status_says_nothing() -> None:
    asked = ask(OPEN, head(), b'analyze\n{"trace":{}}')
    assert (asked.status, asked.record.status, asked.record.outcome) == (200, 200, "validation_error")


KEEPING = service(learnings=True)


def test_what_is_asked_of_the_learning_store_is_the_same_too() -> None:
    recalled = ask(KEEPING, head(), b"recall", RecallLearnings=LearningsRecalled(at=START, ticket=0))
    assert (recalled.status, recalled.answer.body) == (200, b'context{"COUNT":0,"LEARNINGS":[]}')
    assert recalled.first(RecallLearnings).query.limit == 3
    finding = b'record\n{"pattern":"last_word"}'
    record = LearningRecord(pattern="last_word", id="lrn_1", timestamp=dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
    kept = ask(KEEPING, head(), finding, RecordLearning=LearningRecorded(at=START, ticket=0, record=record))
    assert (kept.status, kept.record.route, kept.record.outcome) == (200, "/shout", "")
    assert kept.answer.body.startswith(b'context{"PATTERN":"LAST_WORD"')


def test_a_store_that_is_not_there_is_refused_in_its_form() -> None:
    asked = ask(OPEN, head(), b"outcomes")
    assert (asked.status, asked.record.code) == (200, "not_found")


def test_the_same_bytes_are_found_under_the_alias_of_the_service_itself() -> None:
    body = b"analyze\n" + BODY
    play(
        Exchange(service(cache=True)),
        [
            (head(length=len(body)), (ArmDeadline(LAST_MOMENT), *body_read())),
            (BodyReceived(at=START, data=body), ()),
            (BodyEnded(at=START), (ArmDeadline(LAST_MOMENT), LookUpCache(1, None, ALIAS))),
            (
                CacheAnswered(at=START, ticket=1, entry=ENTRY, alias=Alias("vstack:k", "quick", "offline")),
                (
                    like(Respond, status=200, headers={"x-cache": "hit", "age": "60"}),
                    like(Record, cache="hit", surface="mcp"),
                ),
            ),
        ],
    )


def begun(order: bytes) -> Exchange:
    exchange = Exchange(ASKING)
    body = order + b"\n" + msgspec.json.encode({"trace": TRACE})
    play(
        exchange,
        [
            (head(length=len(body)), (ArmDeadline(LAST_MOMENT), *body_read())),
            (BodyReceived(at=START, data=body), ()),
            (BodyEnded(at=START), (ArmDeadline(LAST_MOMENT), like(JoinFlight, ticket=1))),
        ],
    )
    return exchange


LED = FlightJoined(at=START, ticket=1, role="leads")
FIRST = ModelAnswered(at=START, ticket=2, text='{"left_open": false}')


def test_passes_are_told_of_where_that_is_wanted_and_a_repair_is_no_pass() -> None:
    play(
        begun(b"tell"),
        [
            (
                LED,
                (
                    like(StartStream, status=200, headers={"x-accel-buffering": "no"}),
                    SendPart(b"CONTEXT 1/2 LAST_WORD"),
                    ArmDeadline(START + 15.0),
                    like(CallModel, ticket=2),
                ),
            ),
            (ModelAnswered(at=START, ticket=2, text="?"), (ArmDeadline(START + 15.0), like(CallModel, ticket=3))),
            (
                ModelAnswered(at=START, ticket=3, text='{"left_open": false}'),
                (SendPart(b"CONTEXT 2/2 LAST_WORD"), ArmDeadline(START + 15.0), like(CallModel, ticket=4)),
            ),
            (
                ModelAnswered(at=START, ticket=4, text='{"verdict": "fine"}'),
                (
                    LandFlight,
                    like(SendPart, data=lambda data: data.startswith(b'LAST context{"PATTERN"')),
                    EndStream(),
                    like(Record, status=200, outcome="ok", calls=3),
                ),
            ),
        ],
    )


def test_who_follows_is_told_of_passes_too_and_its_numbers_only_rise() -> None:
    play(
        begun(b"tell"),
        [
            # Nothing is known of how far the leader is: nothing is sent yet.
            (FlightJoined(at=START, ticket=1, role="follows"), ()),
            (
                PassBegun(at=START, ticket=1, name="last_word_verdict"),
                (
                    like(StartStream, status=200, headers={"x-accel-buffering": "no"}),
                    SendPart(b"CONTEXT 2/2 LAST_WORD"),
                    ArmDeadline(START + 15.0),
                ),
            ),
            (PassBegun(at=START + 1.0, ticket=1, name="last_word_verdict"), ()),
            # It leads now, and begins anew with the first pass.
            (FlightHandedOver(at=START + 2.0, ticket=1), (ArmDeadline(START + 17.0), like(CallModel, ticket=2))),
        ],
    )


def test_who_wants_no_progress_gets_one_body() -> None:
    exchange = begun(b"analyze")
    assert [type(command) for command in exchange.handle(LED)] == [CallModel]
    assert [type(command) for command in exchange.handle(FIRST)] == [CallModel]


def test_the_document_describes_it_as_it_describes_itself() -> None:
    document = openapi((*ROUTES, ROUTE), (PATTERN,), "1")
    OpenAPIV31SpecValidator(document).validate()
    told = document["paths"]["/shout"]["post"]
    assert (told["tags"], told["description"], [*told["responses"]]) == (["contributed"], "Shout.", ["200"])
    # The page shows it too, although its answers name no header fields.
    page = OPEN.docs.body.decode()
    shown = page[page.index("/shout</code></h3>") :].partition("</article>")[0]
    assert "HEARD." in shown
    assert "Headers:" not in shown


class Stumbling(Shout):
    """Meets a bug while it looks at the head."""

    def check(self, fields: Mapping[str, str]) -> bytes:
        raise ZeroDivisionError


def test_a_head_that_breaks_something_is_answered_for() -> None:
    route = Route("POST", "/stumble", "contributed", False, "stumbles", Stumbling())
    exchange = Exchange(Service(Policy(version="1.2.3"), (PATTERN,), contributed=(lambda catalogue, policy: (route,),)))
    with pytest.raises(ZeroDivisionError):
        exchange.handle(head_received("POST", "/stumble"))
    told = exchange.handle(Crashed(at=START))
    assert [type(command) for command in told] == [Respond, Record]
    assert isinstance(told[0], Respond)
    assert (told[0].status, b"INTERNAL_ERROR" in told[0].body.upper()) == (500, True)
