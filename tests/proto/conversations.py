"""Conversations with an exchange, as data: pairs of an event and the commands it leads to.

Tests play them; benchmarks may feed their events.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tests.proto.last_word import PATTERN, TRACE
from vstack_proto.auth import digest
from vstack_proto.caching import alias_key
from vstack_proto.commands import (
    ArmDeadline,
    CallModel,
    CheckKey,
    EndStream,
    JoinFlight,
    LandFlight,
    LookUpCache,
    ReadBody,
    Record,
    Respond,
    SendPart,
    StartStream,
    StoreCache,
    TakeQuota,
)
from vstack_proto.events import (
    AnyEvent,
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    DeadlinePassed,
    FlightJoined,
    FlightLanded,
    KeyChecked,
    ModelAnswered,
    QuotaAnswered,
)
from vstack_proto.service import Service
from vstack_proto.testing import START, WALL, Expected, analyze_received, head_received, like, make_service, refusal
from vstack_proto.values import Alias, CacheEntry, Landing, Usage

KEY = "a-key-of-24-characters-or-more"
BODY = msgspec.json.encode({"trace": TRACE, "mode": "quick", "model": "offline"})
MODEL_BODY = msgspec.json.encode({"trace": TRACE})
ALIAS = alias_key("/v1/analyze/last_word", BODY, "")
ENTRY = CacheEntry(b'{"speaker":"bob"}', WALL - 60.0)
LAST_MOMENT = START + 120.0

OPEN = make_service(PATTERN)
GUARDED = make_service(PATTERN, require_auth=True, quota=True, cache=True)
ASKING = make_service(PATTERN, provider="scripted", default_model="m-1")


class Scene(NamedTuple):
    """A service, and what is said between it and its driver, once."""

    name: str
    service: Service
    turns: tuple[tuple[AnyEvent, tuple[Expected, ...]], ...]


def admitted(at: float, ticket: int) -> QuotaAnswered:
    return QuotaAnswered(
        at=at, ticket=ticket, verdict="admitted", limit=5, remaining=4, retry_after=0.0, reset=60.0, window=60.0
    )


def body_read(deadline: float = START + 30.0) -> tuple[ArmDeadline, ReadBody]:
    return ArmDeadline(deadline), ReadBody(send_continue=False)


KEYED = analyze_received("last_word", (("authorization", f"Bearer {KEY}"),), length=len(BODY))
# From the head to the decoded body, where a key, a quota and a cache stand in between.
GUARDED_HEAD: tuple[tuple[AnyEvent, tuple[Expected, ...]], ...] = (
    (KEYED, (ArmDeadline(LAST_MOMENT), CheckKey(1, digest(KEY)))),
    (KeyChecked(at=START, ticket=1, name="alice", loaded=1), (TakeQuota(2, "requests", "key:alice"),)),
    (admitted(START, 2), body_read()),
    (BodyReceived(at=START + 1.0, data=BODY), ()),
    (BodyEnded(at=START + 1.0), (ArmDeadline(LAST_MOMENT), LookUpCache(3, None, ALIAS))),
)

ALIVE = Scene("alive", OPEN, ((head_received(), (ArmDeadline(LAST_MOMENT), like(Respond, status=200), Record)),))

NO_KEY = Scene(
    "no key",
    GUARDED,
    (
        (analyze_received("last_word"), (ArmDeadline(LAST_MOMENT), CheckKey(1, None))),
        (KeyChecked(at=START, ticket=1, name=None, loaded=1), (TakeQuota(2, "auth_failures", "addr:192.0.2.7"),)),
        (
            admitted(START, 2),
            (
                refusal(401, "unauthorized", www_authenticate='Bearer realm="vstack"', connection="close"),
                like(Record, status=401, outcome="unauthorized", code="unauthorized", caller=""),
            ),
        ),
    ),
)

CACHED = Scene(
    "cached",
    GUARDED,
    (
        *GUARDED_HEAD,
        (
            CacheAnswered(
                at=START + 1.5, ticket=3, entry=ENTRY, alias=Alias("vstack:k", "quick", "offline", ("a warning",))
            ),
            (
                like(
                    Respond,
                    status=200,
                    headers={
                        "x-cache": "hit",
                        "age": "61",
                        "cache-control": "no-store",
                        "x-ratelimit-limit": "5",
                        "x-ratelimit-remaining": "4",
                        "connection": None,
                    },
                    body=b'{"pattern":"last_word","mode":"quick","model":"offline","detection":{"speaker":"bob"},'
                    b'"cached":true,"warnings":["a warning"]}',
                    close=False,
                ),
                like(Record, status=200, outcome="ok", cache="hit", caller="alice", mode="quick", model="offline"),
            ),
        ),
    ),
)

OFFLINE = Scene(
    "offline",
    GUARDED,
    (
        *GUARDED_HEAD,
        (CacheAnswered(at=START + 1.0, ticket=3), (like(LookUpCache, ticket=4, alias=ALIAS),)),
        (CacheAnswered(at=START + 1.0, ticket=4), (like(JoinFlight, ticket=5),)),
        (
            FlightJoined(at=START + 1.0, ticket=5, role="leads"),
            (
                like(StoreCache, alias=ALIAS),
                like(LandFlight, ticket=5),
                like(Respond, status=200, headers={"x-cache": "miss", "age": None, "cache-control": "no-store"}),
                like(Record, status=200, outcome="ok", cache="miss", calls=0),
            ),
        ),
    ),
)

ASKED = Scene(
    "a model is asked twice",
    ASKING,
    (
        (analyze_received("last_word", length=len(MODEL_BODY)), (ArmDeadline(LAST_MOMENT), *body_read())),
        (BodyReceived(at=START, data=MODEL_BODY), ()),
        (BodyEnded(at=START + 1.0), (ArmDeadline(LAST_MOMENT), like(JoinFlight, ticket=1))),
        (FlightJoined(at=START + 1.0, ticket=1, role="leads"), (like(CallModel, ticket=2, deadline=LAST_MOMENT),)),
        (
            ModelAnswered(at=START + 3.0, ticket=2, text='{"left_open": false}', usage=Usage(100, 10, cost_usd=0.5)),
            (like(CallModel, ticket=3),),
        ),
        (
            ModelAnswered(at=START + 4.0, ticket=3, text='{"verdict": "fine"}', usage=Usage(120, 20, cost_usd=0.25)),
            (
                like(LandFlight, ticket=1),
                like(Respond, status=200, headers={"x-cache": None, "cache-control": "no-store"}),
                like(Record, outcome="ok", calls=2, input_tokens=220, output_tokens=30, cost_usd=0.75, model="m-1"),
            ),
        ),
    ),
)

STREAMED = Scene(
    "streamed",
    ASKING,
    (
        (
            analyze_received("last_word", (("accept", "text/event-stream"),), length=len(MODEL_BODY)),
            (ArmDeadline(LAST_MOMENT), *body_read()),
        ),
        (BodyReceived(at=START, data=MODEL_BODY), ()),
        (BodyEnded(at=START + 1.0), (ArmDeadline(LAST_MOMENT), like(JoinFlight, ticket=1))),
        (
            FlightJoined(at=START + 1.0, ticket=1, role="leads"),
            (
                like(StartStream, status=200, headers={"content-type": "text/event-stream", "content-length": None}),
                SendPart(b'event: progress\ndata: {"pass":1,"passes":2,"pattern":"last_word"}\n\n'),
                ArmDeadline(START + 16.0),
                like(CallModel, ticket=2),
            ),
        ),
        (DeadlinePassed(at=START + 16.0), (SendPart(b":\n\n"), ArmDeadline(START + 31.0))),
        (DeadlinePassed(at=START + 31.5), (SendPart(b":\n\n"), ArmDeadline(START + 46.5))),
        (
            ModelAnswered(at=START + 33.0, ticket=2, text='{"left_open": false}'),
            (
                SendPart(b'event: progress\ndata: {"pass":2,"passes":2,"pattern":"last_word"}\n\n'),
                ArmDeadline(START + 48.0),
                like(CallModel, ticket=3),
            ),
        ),
        (
            ModelAnswered(at=START + 44.0, ticket=3, text='{"verdict": "fine"}'),
            (
                LandFlight,
                like(SendPart, data=lambda data: data.startswith(b'event: result\ndata: {"pattern":"last_word"')),
                EndStream(),
                like(Record, status=200, outcome="ok", calls=2),
            ),
        ),
    ),
)

FOLLOWED = Scene(
    "followed",
    ASKING,
    (
        (analyze_received("last_word", length=len(MODEL_BODY)), (ArmDeadline(LAST_MOMENT), *body_read())),
        (BodyReceived(at=START, data=MODEL_BODY), ()),
        (BodyEnded(at=START + 1.0), (ArmDeadline(LAST_MOMENT), like(JoinFlight, ticket=1))),
        (FlightJoined(at=START + 1.0, ticket=1, role="follows"), ()),
        (
            FlightLanded(at=START + 9.0, ticket=1, landing=Landing(entry=ENTRY)),
            (
                like(Respond, status=200, headers={"x-cache": "coalesced", "age": None}),
                like(Record, outcome="ok", cache="coalesced", calls=0),
            ),
        ),
    ),
)

SCENES = (ALIVE, NO_KEY, CACHED, OFFLINE, ASKED, STREAMED, FOLLOWED)
