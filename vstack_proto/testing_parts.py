"""What tests are made of: a service, heads, and events whose fields are chosen from a few values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from vstack_proto.analysis.machine import request_name
from vstack_proto.catalogue import AnyPattern
from vstack_proto.events import (
    AnalyticsRead,
    Answered,
    BaselineRead,
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    Crashed,
    DeadlinePassed,
    Event,
    ExchangeEvent,
    FlightHandedOver,
    FlightJoined,
    FlightLanded,
    FramingRefused,
    HeadReceived,
    KeyChecked,
    LearningRecorded,
    LearningsRecalled,
    MetricsRendered,
    ModelAnswered,
    ModelFailed,
    ModelTried,
    OutcomeReported,
    OutcomesAggregated,
    PassBegun,
    PeerLeft,
    QuotaAnswered,
    ReadinessAnswered,
    ShutdownAsked,
    StoreFailed,
)
from vstack_proto.framing import Headers
from vstack_proto.intake import checked_head
from vstack_proto.learning import Finding, OutcomeCount, kept
from vstack_proto.openapi_examples import canonical_request
from vstack_proto.policy import Policy
from vstack_proto.routes import ROUTES, Route
from vstack_proto.service import Service
from vstack_proto.telemetry import AnalyticsRow
from vstack_proto.values import Alias, CacheEntry, Failure, Landing, Usage

START = 10_000.0
"""Where the clock of a test starts, in seconds; a real clock that slips in shows."""
WALL = 1_772_355_600.0
"""The wall clock then: 2026-03-01, 9:00 UTC."""


def make_service(*patterns: AnyPattern, routes: Iterable[Route] = ROUTES, **policy: Any) -> Service:
    """A service of these patterns; ``policy`` gives fields of ``Policy``."""
    return Service(Policy(**{"version": "1.2.3", **policy}), patterns, routes)


def head_received(
    method: str = "GET",
    target: str = "/livez",
    headers: Headers = (),
    *,
    at: float = START,
    wall: float = WALL,
    request_id: str = "req_00000000000000aa",
    peer: str = "192.0.2.7",
    scheme: str = "http",
    http_version: str = "1.1",
) -> HeadReceived:
    """The event of a sound head; a ``Host`` is added.

    Raises:
        ValueError: The head is refused.
    """
    event = checked_head(
        at=at,
        wall=wall,
        request_id=request_id,
        peer=peer,
        scheme=scheme,
        method=method,
        target=target,
        headers=(("host", "vstack.example"), *headers),
        http_version=http_version,
    )
    if isinstance(event, FramingRefused):
        raise ValueError(event.message)
    return event


def analyze_received(pattern: str, headers: Headers = (), *, length: int = 1, at: float = START) -> HeadReceived:
    """The event of the head of an analysis, whose body has ``length`` bytes."""
    return head_received("POST", f"/v1/analyze/{pattern}", (("content-length", str(length)), *headers), at=at)


# Events by chance. Each field is chosen from a few values, small ones first, so that what fails is easy to read.

_ENTRY = CacheEntry(b'{"generated_at":"2026-03-01T08:59:00Z"}', WALL - 60.0)
_FAILURE = Failure(503, "provider_unavailable", "the model is away", 1.5)
_LEARNING = kept(Finding(pattern="lewin", interventions_applied=("prompt_patch",)), "lrn_1", WALL - 60.0)
_COUNT = OutcomeCount(pattern="lewin", intervention="prompt_patch", runs=3, improved=2, worse=1)
_CHOICES: dict[type[Event], dict[str, Sequence[Any]]] = {
    FramingRefused: {
        "wall": (WALL,),
        "request_id": ("req_00000000000000bb",),
        "peer": ("192.0.2.7",),
        "status": (400, 431),
        "code": ("invalid_request",),
        "message": ("The head is unsound.",),
    },
    BodyEnded: {},
    KeyChecked: {"name": ("alice", None), "loaded": (1, 0)},
    QuotaAnswered: {
        "verdict": ("admitted", "refused", "unavailable"),
        "limit": (5,),
        "remaining": (4, 0),
        "retry_after": (0.0, 0.25, 12.5),
        "reset": (0.0, 59.5),
        "window": (60.0,),
    },
    CacheAnswered: {
        "entry": (None, _ENTRY),
        "alias": (None, Alias("vstack:key", "quick", "offline", ("careful",))),
        "helped": (None, (), (_COUNT,)),
    },
    FlightJoined: {"role": ("leads", "follows", "refused")},
    FlightLanded: {"landing": (Landing(entry=_ENTRY), Landing(failure=_FAILURE))},
    FlightHandedOver: {},
    ModelFailed: {
        "kind": ("unavailable", "overloaded", "late", "refused", "truncated", "rejected", "unresolved"),
        "message": ("no answer",),
        "retry_after": (None, 2.5),
        "usage": (Usage(), Usage(3, 1)),
    },
    ModelTried: {"usage": (Usage(3, 1), Usage())},
    ReadinessAnswered: {
        "status": ("ready", "warming", "draining", "misconfigured"),
        "detail": ("so it is",),
        "checks": ({}, {"cache": "off"}),
    },
    MetricsRendered: {"content_type": ("text/plain",), "body": (b"", b"up 1\n")},
    LearningRecorded: {"record": (_LEARNING,)},
    LearningsRecalled: {"records": ((), (_LEARNING,))},
    OutcomeReported: {"record": (None, _LEARNING)},
    OutcomesAggregated: {"counts": ((), (_COUNT,))},
    AnalyticsRead: {"rows": ((), (AnalyticsRow(key="lewin", calls=2, estimated_cost_usd=0.25),))},
    BaselineRead: {"detection": (None, b'{"severity":"high","generated_at":"2026-02-01T09:00:00Z"}')},
    StoreFailed: {},
    PeerLeft: {},
    DeadlinePassed: {},
    ShutdownAsked: {"now": (False, True)},
    Crashed: {},
}
EVENT_KINDS: tuple[type[Event], ...] = (HeadReceived, BodyReceived, ModelAnswered, PassBegun, *_CHOICES)
"""Every kind of event that an exchange takes."""

_BODIES = (msgspec.json.encode(canonical_request()), b"{", b'{"trace":{}}', b"[]")
_TEXTS = ("{}", "no JSON")


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What chance chooses from, besides the values that do not depend on a service.

    Attributes:
        heads: Whole heads.
        bodies: Parts of bodies.
        texts: What models answer.
        passes: Names of passes, and one that no pattern has.
    """

    heads: tuple[HeadReceived, ...]
    bodies: tuple[bytes, ...] = _BODIES
    texts: tuple[str, ...] = _TEXTS
    passes: tuple[str, ...] = ()


def material(service: Service, bodies: tuple[bytes, ...] = _BODIES, texts: tuple[str, ...] = _TEXTS) -> Material:
    """Heads for the routes and patterns of a service, and these bodies and answers."""
    key = ("x-api-key", "a-key-of-24-characters-or-more")
    heads = []
    for pattern in service.catalogue.patterns:
        heads += [
            analyze_received(pattern, length=len(bodies[0])),
            analyze_received(pattern, (("accept", "text/event-stream"), key)),
            analyze_received(pattern, (("content-encoding", "gzip"), ("expect", "100-continue"))),
        ]
    for route in service.routes.routes:
        path = route.path.replace("{name}", "none").replace("{id}", "lrn_1")
        length = () if route.method == "GET" else (("content-length", "1"),)
        heads.append(head_received("GET" if route.endpoint == "analyze" else route.method, path, (key, *length)))
    passes = {
        request_name(name, one): None
        for name, pattern in service.catalogue.patterns.items()
        for mode in pattern.passes.values()
        for one in mode
    }
    return Material(heads=tuple(heads), bodies=bodies, texts=texts, passes=(*passes, "none_of_these"))


def sample_event(
    kind: type[Event],
    having: Material,
    *,
    at: float = START,
    ticket: int = 1,
    choose: Callable[[Sequence[Any]], Any] = lambda values: values[0],
) -> ExchangeEvent:
    """An event of this kind.

    Args:
        kind: One of ``EVENT_KINDS``.
        having: What to choose from.
        at: When it happens.
        ticket: The ticket, if the event is an answer.
        choose: Chooses one of several values for a field; by default the first.
    """
    if kind is HeadReceived:
        chosen = choose(having.heads)
        head: HeadReceived = msgspec.structs.replace(chosen, at=at, wall=chosen.wall + (at - START))
        return head
    if kind is BodyReceived:
        return BodyReceived(at=at, data=choose(having.bodies), last=choose((False, True)))
    if kind is PassBegun:
        return PassBegun(at=at, ticket=ticket, name=choose(having.passes))
    if kind is ModelAnswered:
        return ModelAnswered(at=at, ticket=ticket, text=choose(having.texts), usage=choose((Usage(), Usage(7, 2))))
    fields = {name: choose(values) for name, values in _CHOICES[kind].items()}
    if issubclass(kind, Answered):
        fields["ticket"] = ticket
    event: Any = kind(at=at, **fields)
    told: ExchangeEvent = event
    return told
