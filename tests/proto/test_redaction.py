"""What is secret reaches no tape, and a tape without it still replays."""

from __future__ import annotations

import gzip
from typing import Any

import msgspec
import pytest

from tests.proto.conversations import ASKING, GUARDED, OPEN
from tests.proto.last_word import BROKEN, PATTERN, TRACE
from vstack_proto import replay
from vstack_proto.commands import CheckKey
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.events import (
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    Crashed,
    ExchangeEvent,
    FlightJoined,
    KeyChecked,
    ModelAnswered,
    PeerLeft,
    QuotaAnswered,
    ReadinessAnswered,
)
from vstack_proto.exchange import Exchange
from vstack_proto.framing import check_head
from vstack_proto.intake import framing_refused
from vstack_proto.replay import REDACTED, Redaction, Tape, header_of, service_of, tape_of
from vstack_proto.replay.tape import Told
from vstack_proto.service import Service
from vstack_proto.testing import START, WALL, analyze_received, head_received, make_service
from vstack_proto.values import Alias, CacheEntry

CANARY = "canary-3f9c1e7755aa-never-on-a-tape"
KEYED = (("authorization", f"Bearer {CANARY}"),)
BODY = msgspec.json.encode({"trace": {**TRACE, "goal": CANARY}, "mode": "quick"})


def taped(service: Service, events: list[ExchangeEvent], *names: str) -> tuple[Tape, bytes]:
    """What is kept of these events, and its bytes with those in base64 decoded."""
    exchange = Exchange(service)
    log: list[tuple[ExchangeEvent, Told]] = []
    for event in events:
        try:
            log.append((event, exchange.handle(event)))
        except ZeroDivisionError as error:
            log.append((event, type(error).__name__))
    tape = tape_of(header_of(service), Redaction(names).applied(service, log))
    data = replay.encode(tape)
    again = replay.decode(data)
    installed = {one.name: one for one in (PATTERN, BROKEN)}
    assert replay.run(again, service_of(again.header, installed)).differences == ()
    return again, data + repr(again.turns).encode() + repr([_opened(turn) for turn in again.turns]).encode()


def _opened(turn: replay.Turn) -> Any:
    from vstack_proto.commands import AnyCommand

    return msgspec.json.decode(turn.commands, type=list[AnyCommand])


def test_the_key_s_digest_gives_way_to_a_placeholder_everywhere() -> None:
    head = analyze_received("last_word", KEYED, length=len(BODY))
    assert head.credential
    tape, data = taped(GUARDED, [head, KeyChecked(at=START, ticket=1, name="alice", loaded=1), PeerLeft(at=START)])
    assert head.credential.encode() not in data
    assert _opened(tape.turns[0])[1] == CheckKey(1, REDACTED)
    nobody, _ = taped(GUARDED, [analyze_received("last_word"), PeerLeft(at=START)])
    assert _opened(nobody.turns[0])[1] == CheckKey(1, None)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/livez", (("x-auth-token", CANARY),)),
        ("/livez", (("x-goog-api-key", CANARY),)),
        ("/livez", (("x-client-secret", CANARY), ("x-request-id", "kept"))),
        (f"/readyz?verbose&api_key={CANARY}", ()),
        (f"/readyz?access_token={CANARY}&a=b", ()),
    ],
)
def test_what_is_secret_by_its_name_goes(target: str, headers: tuple[tuple[str, str], ...]) -> None:
    tape, data = taped(OPEN, [head_received("GET", target, headers)])
    assert CANARY.encode() not in data
    assert REDACTED.encode() in data
    assert (b"kept" in data) == ("x-request-id" in dict(headers))
    assert tape.end.events == 1


def test_what_a_refusal_quotes_goes() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        check_head("GET", "/livez", (("host", f"{CANARY} x"),), "1.1")
    refused = framing_refused(caught.value, at=START, wall=WALL, request_id="req_1", peer="192.0.2.7")
    assert CANARY in refused.message
    tape, data = taped(OPEN, [refused])
    assert CANARY.encode() not in data
    assert tape.end.status == 400
    plain = msgspec.structs.replace(refused, message="The head is unsound.")
    assert taped(OPEN, [plain])[0].turns[0].event == plain


def asked(*bodies: bytes, headers: tuple[tuple[str, str], ...] = ()) -> list[ExchangeEvent]:
    length = sum(len(body) for body in bodies)
    return [
        analyze_received("last_word", headers, length=length),
        *(BodyReceived(at=START + n, data=body) for n, body in enumerate(bodies)),
        BodyEnded(at=START + len(bodies)),
        FlightJoined(at=START + 5.0, ticket=1, role="leads"),
        ModelAnswered(at=START + 6.0, ticket=2, text=f'{{"verdict": "{CANARY}"}}'),
    ]


@pytest.mark.parametrize(
    "events",
    [
        asked(BODY),
        asked(BODY[:20], BODY[20:40], BODY[40:]),
        asked(gzip.compress(BODY), headers=(("content-encoding", "gzip"),)),
    ],
    ids=["whole", "in parts", "gzip"],
)
def test_a_member_of_the_trace_goes_with_what_follows_from_it(events: list[ExchangeEvent]) -> None:
    tape, data = taped(ASKING, events, "Goal", "x-user")
    assert CANARY.encode() not in data
    assert (tape.end.status, tape.end.outcome) == (200, "ok")
    bodies = [turn.event for turn in tape.turns if isinstance(turn.event, BodyReceived)]
    assert len(bodies) == 1
    assert msgspec.json.decode(bodies[0].data)["trace"]["goal"] == REDACTED
    assert CANARY.encode() in taped(ASKING, events)[1]
    assert taped(ASKING, events, "x-user", "not-there")[0] == taped(ASKING, events)[0]


def test_a_header_that_is_named_goes() -> None:
    _, data = taped(OPEN, [head_received("GET", "/livez", (("x-user", CANARY),))], "X-User")
    assert CANARY.encode() not in data


@pytest.mark.parametrize("body", [b"{" + CANARY.encode(), b"\x1f\x8b" + CANARY.encode(), b"\xff" + CANARY.encode()])
def test_a_body_that_cannot_be_read_goes_as_a_whole(body: bytes) -> None:
    for headers in ((), (("content-encoding", "gzip"),)):
        head = analyze_received("last_word", headers, length=len(body))
        tape, data = taped(OPEN, [head, BodyReceived(at=START, data=body), BodyEnded(at=START)], "goal")
        assert CANARY.encode() not in data
        assert tape.end.status == 400


def test_a_body_in_chunks_has_no_length() -> None:
    head = head_received("POST", "/v1/analyze/last_word", (("transfer-encoding", "chunked"),))
    tape, data = taped(OPEN, [head, BodyReceived(at=START, data=BODY), PeerLeft(at=START)], "goal")
    assert CANARY.encode() not in data
    assert tape.end.status == 499


def test_values_keep_their_form() -> None:
    document = {"goal": [CANARY, 4711.5, True, None, {"n": CANARY, "m": 7}], "other": [{"goal": 12345}, "12345 left"]}
    body = msgspec.json.encode(document)
    events: list[ExchangeEvent] = [
        analyze_received("last_word", length=len(body)),
        BodyReceived(at=START, data=body),
        BodyEnded(at=START),
    ]
    tape, _ = taped(OPEN, events, "goal")
    (kept,) = (turn.event.data for turn in tape.turns if isinstance(turn.event, BodyReceived))
    blank = [REDACTED, 0, True, None, {"n": REDACTED, "m": 0}]
    assert msgspec.json.decode(kept) == {"goal": blank, "other": [{"goal": 0}, "12345 left"]}


def test_what_was_stored_or_told_before_is_searched_too() -> None:
    secret = 'Ünïcode "quoted" canary'
    body = msgspec.json.encode({"trace": {**TRACE, "goal": secret}, "mode": "quick"})
    entry = CacheEntry(msgspec.json.encode({"quote": secret}), WALL)
    service = make_service(PATTERN, cache=True, quota=True)
    events: list[ExchangeEvent] = [
        analyze_received("last_word", length=len(body)),
        QuotaAnswered(at=START, ticket=1, verdict="admitted", limit=5, remaining=4),
        BodyReceived(at=START, data=body),
        BodyEnded(at=START),
        CacheAnswered(at=START, ticket=2, entry=entry, alias=Alias("k", "quick", "m", ("careful", f"not {secret}"))),
    ]
    tape, data = taped(service, events, "goal")
    assert tape.end.status == 200
    for form in (secret.encode(), msgspec.json.encode(secret)[1:-1], repr(secret).encode()):
        assert form not in data
    assert b"careful" in data


def test_a_crash_stays_on_a_redacted_tape() -> None:
    events = [*asked(BODY.replace(b'"quick"', b'"quick","model":"offline"'))[:-1], Crashed(at=START + 7.0)]
    head = analyze_received("broken", (("x-token", CANARY),), length=1_000)
    service = make_service(BROKEN)
    tape, data = taped(service, [head, *events[1:]], "goal")
    assert CANARY.encode() not in data
    assert [turn.raised for turn in tape.turns] == ["", "", "", "ZeroDivisionError", ""]
    kept, _ = taped(service, [analyze_received("broken", length=1_000), *events[1:]])
    assert kept.turns[3].raised == "ZeroDivisionError"


def test_what_a_redacted_exchange_does_not_take_is_left_out() -> None:
    body = BODY.replace(b'"quick"', b'"forensic"')
    tape, data = taped(ASKING, asked(body), "mode")
    assert b'"mode":"forensic"' not in data
    # The mode is none any more: the request is refused, and what came afterwards finds nobody.
    assert (tape.end.status, tape.end.outcome) == (400, "invalid_mode")
    head = analyze_received("last_word", (("x-token", CANARY),))
    log: list[tuple[ExchangeEvent, Told]] = [(head, ()), (KeyChecked(at=START, ticket=1, name=None, loaded=0), ())]
    assert len(Redaction().applied(OPEN, log)) == 1


def test_whatever_an_answer_holds_is_searched() -> None:
    checks = {"cache": f"redis://{CANARY}", "keys": "1 loaded"}
    told = ReadinessAnswered(at=START, ticket=1, status="ready", detail="so it is", checks=checks)
    head = head_received("GET", "/readyz?verbose", (("x-token", CANARY),))
    _, data = taped(OPEN, [head, told])
    assert CANARY.encode() not in data
    assert b"1 loaded" in data
