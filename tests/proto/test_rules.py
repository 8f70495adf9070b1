"""Every cell of the table: what may happen in a phase leads where the table says, and what may not changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.proto.conversations import BODY, ENTRY, KEY, MODEL_BODY, admitted
from tests.proto.last_word import PATTERN
from vstack_proto.diagram import everywhere, leads_to, state_diagram, states_page
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import (
    AnalyticsRead,
    Answered,
    BaselineRead,
    BodyEnded,
    BodyReceived,
    BytesReceived,
    CacheAnswered,
    Crashed,
    DeadlinePassed,
    Event,
    FlightHandedOver,
    FlightJoined,
    FlightLanded,
    FramingRefused,
    HeadReceived,
    KeyChecked,
    LearningRecorded,
    LearningsRecalled,
    ListenersClosed,
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
    WritingPaused,
    WritingResumed,
)
from vstack_proto.exchange import RULES, Exchange
from vstack_proto.limits import Limits
from vstack_proto.routes import ROUTES
from vstack_proto.service import Service
from vstack_proto.state import Phase
from vstack_proto.testing import (
    EVENT_KINDS,
    START,
    WALL,
    analyze_received,
    encoded_state,
    head_received,
    make_service,
    material,
    sample_event,
)
from vstack_proto.values import Alias, Landing, Usage

P = Phase
KEYED_ROUTES = [msgspec.structs.replace(route, public=False) for route in ROUTES]
ASKS: dict[str, Any] = {"provider": "scripted", "default_model": "m-1"}

OPEN = make_service(PATTERN)
ASKING = make_service(PATTERN, **ASKS)
FULL = make_service(PATTERN, require_auth=True, quota=True, cache=True, **ASKS)
KEYED = make_service(PATTERN, routes=KEYED_ROUTES, require_auth=True)
COUNTED = make_service(PATTERN, routes=KEYED_ROUTES, quota=True)
CACHING = make_service(PATTERN, cache=True)
KEEPS: dict[str, Any] = {"learnings": True, "analytics": True, "baselines": True}
KEEPING = make_service(PATTERN, cache=True, **KEEPS)
KEEPING_ALONE = make_service(PATTERN, **KEEPS)
KEEPING_ASKING = make_service(PATTERN, **KEEPS, **ASKS)
KEEPING_KEYED = make_service(PATTERN, require_auth=True, **KEEPS)
KEEPING_COUNTED = make_service(PATTERN, quota=True, **KEEPS)
COMPARING = make_service(PATTERN, cache=True, baselines=True)
SMALL = make_service(PATTERN, limits=Limits(max_body_bytes=10))

# Tickets are filled in by ``arrive``.
HEAD = analyze_received("last_word", (("x-api-key", KEY),))
PLAIN_TOLD_HEAD = analyze_received("last_word", (("accept", "text/event-stream"),))
TOLD_HEAD = analyze_received("last_word", (("x-api-key", KEY), ("accept", "text/event-stream")))
PLAIN_HEAD = analyze_received("last_word")
NAMED = KeyChecked(at=START, ticket=0, name="alice", loaded=1)
NOBODY = KeyChecked(at=START, ticket=0, name=None, loaded=1)
ADMITTED = admitted(START, 0)
REFUSED = QuotaAnswered(at=START, ticket=0, verdict="refused", limit=5, retry_after=2.0)
DATA = BodyReceived(at=START, data=MODEL_BODY)
OFFLINE_DATA = BodyReceived(at=START, data=BODY)
END = BodyEnded(at=START)
MISS = CacheAnswered(at=START, ticket=0)
HIT = CacheAnswered(at=START, ticket=0, entry=ENTRY, alias=Alias("k", "quick", "offline"))
LEADS = FlightJoined(at=START, ticket=0, role="leads")
FOLLOWS = FlightJoined(at=START, ticket=0, role="follows")
REFUSES = FlightJoined(at=START, ticket=0, role="refused")
LANDED = FlightLanded(at=START, ticket=0, landing=Landing(entry=ENTRY))
HANDED = FlightHandedOver(at=START, ticket=0)
REREAD = ModelAnswered(at=START, ticket=0, text='{"left_open": false}')
VERDICT = ModelAnswered(at=START, ticket=0, text='{"verdict": "fine"}')
BEGUN = PassBegun(at=START, ticket=0, name="last_word_reread")
TRIED = ModelTried(at=START, ticket=0, usage=Usage(3, 1))
FAILED = ModelFailed(at=START, ticket=0, kind="refused", message="no")
READY = ReadinessAnswered(at=START, ticket=0, status="ready", detail="it is", checks={})
PAGE = MetricsRendered(at=START, ticket=0, content_type="text/plain", body=b"up 1\n")
BAD = FramingRefused(at=START, wall=WALL, request_id="r", peer="p", status=400, code="invalid_request", message="m")
READYZ, METRICS = head_received("GET", "/readyz"), head_received("GET", "/metrics")
KEYED_READYZ = head_received("GET", "/readyz", (("x-api-key", KEY),))
KEYED_METRICS = head_received("GET", "/metrics", (("x-api-key", KEY),))

COMPARED_DATA = BodyReceived(at=START, data=BODY[:-1] + b',"baseline":"march"}')
COMPARED_HIT = CacheAnswered(at=START, ticket=0, entry=ENTRY, alias=Alias("k", "quick", "offline", baseline="march"))
BASELINE = BaselineRead(at=START, ticket=0, detection=b'{"severity":"high"}')
NO_BASELINE = BaselineRead(at=START, ticket=0)
STORE_FAILED = StoreFailed(at=START, ticket=0)
LEARNINGS, ANALYTICS = head_received("GET", "/v1/learnings"), head_received("GET", "/v1/analytics")
KEYED_LEARNINGS = head_received("GET", "/v1/learnings", (("x-api-key", KEY),))
KEYED_ANALYTICS = head_received("GET", "/v1/analytics", (("x-api-key", KEY),))
RECORDS = head_received("POST", "/v1/learnings", (("content-length", "1"),))
FINDING = BodyReceived(at=START, data=b'{"pattern":"last_word"}')
COUNTED_OUTCOMES = OutcomesAggregated(at=START, ticket=0)


def the_last(part: BodyReceived) -> BodyReceived:
    return msgspec.structs.replace(part, last=True)


# A way into each phase.
WAYS: dict[Phase, tuple[Service, tuple[Event, ...]]] = {
    P.HEAD: (FULL, ()),
    P.KEY: (FULL, (HEAD,)),
    P.PENALTY: (FULL, (HEAD, NOBODY)),
    P.QUOTA: (FULL, (HEAD, NAMED)),
    P.BODY: (FULL, (HEAD, NAMED, ADMITTED)),
    P.ALIAS: (FULL, (HEAD, NAMED, ADMITTED, DATA, END)),
    P.CACHE: (FULL, (HEAD, NAMED, ADMITTED, DATA, END, MISS)),
    P.FLIGHT: (FULL, (HEAD, NAMED, ADMITTED, DATA, END, MISS, MISS)),
    P.FOLLOW: (FULL, (HEAD, NAMED, ADMITTED, DATA, END, MISS, MISS, FOLLOWS)),
    P.MODEL: (FULL, (HEAD, NAMED, ADMITTED, DATA, END, MISS, MISS, LEADS)),
    P.READINESS: (FULL, (READYZ,)),
    P.METRICS: (FULL, (METRICS,)),
    P.BASELINE: (KEEPING, (PLAIN_HEAD, COMPARED_DATA, END, MISS)),
    P.HELP: (KEEPING, (PLAIN_HEAD, OFFLINE_DATA, END, HIT)),
    P.LEARNINGS: (KEEPING, (LEARNINGS,)),
    P.ANALYTICS: (KEEPING, (ANALYTICS,)),
    P.DONE: (FULL, (head_received(),)),
}

# A way along each arrow, by (phase, event, phase that follows); those that every phase has are added below.
ARROWS: dict[tuple[Phase, type[Event], Phase], tuple[Service, tuple[Event, ...]]] = {
    (P.HEAD, HeadReceived, P.KEY): (FULL, (HEAD,)),
    (P.HEAD, HeadReceived, P.QUOTA): (COUNTED, (PLAIN_HEAD,)),
    (P.HEAD, HeadReceived, P.BODY): (OPEN, (PLAIN_HEAD,)),
    (P.HEAD, HeadReceived, P.READINESS): (OPEN, (READYZ,)),
    (P.HEAD, HeadReceived, P.METRICS): (OPEN, (METRICS,)),
    (P.HEAD, HeadReceived, P.DONE): (OPEN, (head_received(),)),
    (P.HEAD, FramingRefused, P.DONE): (OPEN, (BAD,)),
    (P.KEY, KeyChecked, P.PENALTY): (KEYED, (HEAD, NOBODY)),
    (P.KEY, KeyChecked, P.QUOTA): (FULL, (HEAD, NAMED)),
    (P.KEY, KeyChecked, P.BODY): (KEYED, (HEAD, NAMED)),
    (P.KEY, KeyChecked, P.READINESS): (KEYED, (KEYED_READYZ, NAMED)),
    (P.KEY, KeyChecked, P.METRICS): (KEYED, (KEYED_METRICS, NAMED)),
    (P.KEY, KeyChecked, P.DONE): (KEYED, (HEAD, KeyChecked(at=START, ticket=0, name=None, loaded=0))),
    (P.PENALTY, QuotaAnswered, P.DONE): (KEYED, (HEAD, NOBODY, ADMITTED)),
    (P.QUOTA, QuotaAnswered, P.BODY): (COUNTED, (PLAIN_HEAD, ADMITTED)),
    (P.QUOTA, QuotaAnswered, P.READINESS): (COUNTED, (READYZ, ADMITTED)),
    (P.QUOTA, QuotaAnswered, P.METRICS): (COUNTED, (METRICS, ADMITTED)),
    (P.QUOTA, QuotaAnswered, P.DONE): (COUNTED, (PLAIN_HEAD, REFUSED)),
    (P.BODY, BodyReceived, P.BODY): (OPEN, (PLAIN_HEAD, DATA)),
    (P.BODY, BodyReceived, P.ALIAS): (CACHING, (PLAIN_HEAD, the_last(DATA))),
    (P.BODY, BodyReceived, P.FLIGHT): (OPEN, (PLAIN_HEAD, the_last(DATA))),
    (P.BODY, BodyReceived, P.DONE): (SMALL, (PLAIN_HEAD, DATA)),
    (P.BODY, BodyEnded, P.ALIAS): (CACHING, (PLAIN_HEAD, DATA, END)),
    (P.BODY, BodyEnded, P.FLIGHT): (OPEN, (PLAIN_HEAD, DATA, END)),
    (P.BODY, BodyEnded, P.DONE): (OPEN, (PLAIN_HEAD, END)),
    (P.BODY, FramingRefused, P.DONE): (OPEN, (PLAIN_HEAD, BAD)),
    (P.ALIAS, CacheAnswered, P.CACHE): (CACHING, (PLAIN_HEAD, DATA, END, MISS)),
    (P.ALIAS, CacheAnswered, P.DONE): (CACHING, (PLAIN_HEAD, DATA, END, HIT)),
    (P.CACHE, CacheAnswered, P.FLIGHT): (CACHING, (PLAIN_HEAD, DATA, END, MISS, MISS)),
    (P.CACHE, CacheAnswered, P.DONE): (CACHING, (PLAIN_HEAD, DATA, END, MISS, HIT)),
    (P.FLIGHT, FlightJoined, P.FOLLOW): (OPEN, (PLAIN_HEAD, DATA, END, FOLLOWS)),
    (P.FLIGHT, FlightJoined, P.MODEL): (ASKING, (PLAIN_HEAD, DATA, END, LEADS)),
    (P.FLIGHT, FlightJoined, P.DONE): (OPEN, (PLAIN_HEAD, DATA, END, REFUSES)),
    (P.FOLLOW, FlightLanded, P.DONE): (OPEN, (PLAIN_HEAD, DATA, END, FOLLOWS, LANDED)),
    (P.FOLLOW, PassBegun, P.FOLLOW): (OPEN, (PLAIN_HEAD, DATA, END, FOLLOWS, BEGUN)),
    (P.FOLLOW, FlightHandedOver, P.MODEL): (ASKING, (PLAIN_HEAD, DATA, END, FOLLOWS, HANDED)),
    (P.FOLLOW, FlightHandedOver, P.DONE): (OPEN, (PLAIN_HEAD, OFFLINE_DATA, END, FOLLOWS, HANDED)),
    (P.MODEL, ModelAnswered, P.MODEL): (ASKING, (PLAIN_HEAD, DATA, END, LEADS, REREAD)),
    (P.MODEL, ModelAnswered, P.DONE): (ASKING, (PLAIN_HEAD, DATA, END, LEADS, REREAD, VERDICT)),
    (P.MODEL, ModelFailed, P.DONE): (ASKING, (PLAIN_HEAD, DATA, END, LEADS, FAILED)),
    (P.MODEL, ModelTried, P.MODEL): (ASKING, (PLAIN_HEAD, DATA, END, LEADS, TRIED)),
    (P.READINESS, ReadinessAnswered, P.DONE): (OPEN, (READYZ, READY)),
    (P.METRICS, MetricsRendered, P.DONE): (OPEN, (METRICS, PAGE)),
    (P.HEAD, HeadReceived, P.LEARNINGS): (KEEPING, (LEARNINGS,)),
    (P.HEAD, HeadReceived, P.ANALYTICS): (KEEPING, (ANALYTICS,)),
    (P.KEY, KeyChecked, P.LEARNINGS): (KEEPING_KEYED, (KEYED_LEARNINGS, NAMED)),
    (P.KEY, KeyChecked, P.ANALYTICS): (KEEPING_KEYED, (KEYED_ANALYTICS, NAMED)),
    (P.QUOTA, QuotaAnswered, P.LEARNINGS): (KEEPING_COUNTED, (LEARNINGS, ADMITTED)),
    (P.QUOTA, QuotaAnswered, P.ANALYTICS): (KEEPING_COUNTED, (ANALYTICS, ADMITTED)),
    (P.BODY, BodyReceived, P.BASELINE): (KEEPING_ALONE, (PLAIN_HEAD, the_last(COMPARED_DATA))),
    (P.BODY, BodyReceived, P.LEARNINGS): (KEEPING, (RECORDS, the_last(FINDING))),
    (P.BODY, BodyEnded, P.BASELINE): (KEEPING_ALONE, (PLAIN_HEAD, COMPARED_DATA, END)),
    (P.BODY, BodyEnded, P.LEARNINGS): (KEEPING, (RECORDS, FINDING, END)),
    (P.ALIAS, CacheAnswered, P.BASELINE): (KEEPING, (PLAIN_HEAD, COMPARED_DATA, END, MISS)),
    (P.ALIAS, CacheAnswered, P.HELP): (KEEPING, (PLAIN_HEAD, OFFLINE_DATA, END, HIT)),
    (P.BASELINE, BaselineRead, P.CACHE): (KEEPING, (PLAIN_HEAD, COMPARED_DATA, END, MISS, BASELINE)),
    (P.BASELINE, BaselineRead, P.FLIGHT): (KEEPING_ALONE, (PLAIN_HEAD, COMPARED_DATA, END, BASELINE)),
    (P.BASELINE, BaselineRead, P.HELP): (KEEPING, (PLAIN_HEAD, COMPARED_DATA, END, COMPARED_HIT, BASELINE)),
    (P.BASELINE, BaselineRead, P.DONE): (COMPARING, (PLAIN_HEAD, COMPARED_DATA, END, COMPARED_HIT, NO_BASELINE)),
    (P.BASELINE, StoreFailed, P.DONE): (COMPARING, (PLAIN_HEAD, COMPARED_DATA, END, MISS, STORE_FAILED)),
    (P.CACHE, CacheAnswered, P.HELP): (KEEPING, (PLAIN_HEAD, OFFLINE_DATA, END, MISS, HIT)),
    (P.FLIGHT, FlightJoined, P.HELP): (KEEPING_ALONE, (PLAIN_HEAD, OFFLINE_DATA, END, LEADS)),
    (P.FOLLOW, FlightLanded, P.HELP): (KEEPING_ALONE, (PLAIN_HEAD, OFFLINE_DATA, END, FOLLOWS, LANDED)),
    (P.FOLLOW, FlightHandedOver, P.HELP): (KEEPING_ALONE, (PLAIN_HEAD, OFFLINE_DATA, END, FOLLOWS, HANDED)),
    (P.MODEL, ModelAnswered, P.HELP): (KEEPING_ASKING, (PLAIN_HEAD, DATA, END, LEADS, REREAD, VERDICT)),
    (P.HELP, DeadlinePassed, P.HELP): (
        KEEPING_ALONE,
        (PLAIN_TOLD_HEAD, OFFLINE_DATA, END, LEADS, DeadlinePassed(at=START)),
    ),
    (P.HELP, OutcomesAggregated, P.DONE): (KEEPING, (PLAIN_HEAD, OFFLINE_DATA, END, HIT, COUNTED_OUTCOMES)),
    (P.HELP, StoreFailed, P.DONE): (KEEPING, (PLAIN_HEAD, OFFLINE_DATA, END, HIT, STORE_FAILED)),
    (P.LEARNINGS, LearningRecorded, P.DONE): (
        KEEPING,
        (RECORDS, FINDING, END, sample_event(LearningRecorded, material(OPEN))),
    ),
    (P.LEARNINGS, LearningsRecalled, P.DONE): (KEEPING, (LEARNINGS, LearningsRecalled(at=START, ticket=0))),
    (P.LEARNINGS, OutcomeReported, P.DONE): (KEEPING, (LEARNINGS, OutcomeReported(at=START, ticket=0))),
    (P.LEARNINGS, OutcomesAggregated, P.DONE): (KEEPING, (LEARNINGS, COUNTED_OUTCOMES)),
    (P.LEARNINGS, StoreFailed, P.DONE): (KEEPING, (LEARNINGS, STORE_FAILED)),
    (P.ANALYTICS, AnalyticsRead, P.DONE): (KEEPING, (ANALYTICS, AnalyticsRead(at=START, ticket=0))),
    (P.ANALYTICS, StoreFailed, P.DONE): (KEEPING, (ANALYTICS, STORE_FAILED)),
}
for phase, (service, way) in WAYS.items():
    if phase is not P.DONE:
        for last in (PeerLeft(at=START), DeadlinePassed(at=START), Crashed(at=START)):
            ARROWS[phase, type(last), P.DONE] = service, (*way, last)
        if phase in (P.FOLLOW, P.MODEL):
            listening = (TOLD_HEAD, *way[1:], DeadlinePassed(at=START))
            ARROWS[phase, DeadlinePassed, phase] = service, listening
        ARROWS[phase, ShutdownAsked, phase] = service, (*way, ShutdownAsked(at=START))
        ARROWS[phase, ShutdownAsked, P.DONE] = service, (*way, ShutdownAsked(at=START, now=True))

CELLS = [(phase, kind) for phase in RULES for kind in RULES[phase]]
HOLES = [(phase, kind) for phase in RULES for kind in EVENT_KINDS if kind not in RULES[phase]]
ASKS_AND_WAITS = [(phase, kind) for phase, kind in CELLS if issubclass(kind, Answered) and phase is not P.DONE]
OF_CONNECTIONS: tuple[Event, ...] = (
    BytesReceived(at=START, wall=WALL, data=b"x"),
    WritingPaused(at=START),
    WritingResumed(at=START),
    ListenersClosed(at=START),
)


def named(one: Any) -> str:
    return one.name if isinstance(one, Phase) else one.__name__


def arrive(service: Service, way: tuple[Event, ...]) -> Exchange:
    """An exchange after these events; answers are given the ticket that is waited for."""
    exchange = Exchange(service)
    for event in way:
        step(exchange, event)
    return exchange


def step(exchange: Exchange, event: Any) -> None:
    if isinstance(event, Answered):
        event = msgspec.structs.replace(event, ticket=exchange.state.waiting)
    exchange.handle(event)


def test_the_ways_lead_into_their_phases() -> None:
    assert {phase: arrive(*way).state.phase for phase, way in WAYS.items()} == {phase: phase for phase in Phase}


def test_each_arrow_of_the_table_is_tried() -> None:
    drawn = {(phase, kind, to) for phase, kind in CELLS for to in leads_to(phase, kind) if phase is not P.DONE}
    assert set(ARROWS) == drawn


@pytest.mark.parametrize(("phase", "kind", "to"), ARROWS, ids=named)
def test_each_arrow_leads_where_it_is_drawn(phase: Phase, kind: type[Event], to: Phase) -> None:
    service, (*way, last) = ARROWS[phase, kind, to]
    exchange = arrive(service, tuple(way))
    assert (exchange.state.phase, type(last)) == (phase, kind)
    step(exchange, last)
    assert exchange.state.phase is to


@pytest.mark.parametrize(("phase", "kind"), CELLS, ids=named)
def test_each_cell_lands_in_a_phase_that_it_declares(phase: Phase, kind: type[Event]) -> None:
    exchange = arrive(*WAYS[phase])
    exchange.handle(sample_event(kind, material(FULL), ticket=exchange.state.waiting))
    assert exchange.state.phase in leads_to(phase, kind)


@pytest.mark.parametrize(("phase", "kind"), HOLES, ids=named)
def test_what_cannot_come_now_is_refused_and_changes_nothing(phase: Phase, kind: type[Event]) -> None:
    exchange = arrive(*WAYS[phase])
    before = encoded_state(exchange)
    with pytest.raises(LocalProtocolError, match=f"^{kind.__name__} while waiting for {phase.name}$"):
        exchange.handle(sample_event(kind, material(FULL), ticket=exchange.state.waiting))
    assert encoded_state(exchange) == before


@pytest.mark.parametrize("phase", Phase, ids=named)
@pytest.mark.parametrize("event", OF_CONNECTIONS, ids=lambda event: type(event).__name__)
def test_what_happens_to_a_connection_is_nothing_for_an_exchange(phase: Phase, event: Any) -> None:
    exchange = arrive(*WAYS[phase])
    before = encoded_state(exchange)
    with pytest.raises(LocalProtocolError):
        exchange.handle(event)
    assert encoded_state(exchange) == before


@pytest.mark.parametrize("ticket", [0, -1, 1, 99])
@pytest.mark.parametrize(("phase", "kind"), ASKS_AND_WAITS, ids=named)
def test_an_answer_with_a_wrong_ticket_is_refused_and_changes_nothing(
    phase: Phase, kind: type[Event], ticket: int
) -> None:
    exchange = arrive(*WAYS[phase])
    before, right = encoded_state(exchange), exchange.state.waiting
    wrong = right + ticket if ticket else 0
    with pytest.raises(LocalProtocolError, match=f"^{kind.__name__} for ticket {wrong}, not {right}$"):
        exchange.handle(sample_event(kind, material(FULL), ticket=wrong))
    assert encoded_state(exchange) == before
    exchange.handle(sample_event(kind, material(FULL), ticket=right))
    assert encoded_state(exchange) != before


@pytest.mark.parametrize("kind", [PeerLeft, DeadlinePassed, ShutdownAsked, Crashed], ids=named)
def test_what_can_happen_at_any_time_has_a_cell_in_every_row(kind: type[Event]) -> None:
    assert [phase for phase in Phase if kind not in RULES[phase]] == []
    assert kind in everywhere()


@pytest.mark.parametrize("kind", RULES[P.DONE], ids=named)
def test_after_the_answer_nothing_happens(kind: type[Event]) -> None:
    exchange = arrive(*WAYS[P.DONE])
    before = encoded_state(exchange)
    for ticket in (1, 7):
        assert exchange.handle(sample_event(kind, material(FULL), ticket=ticket)) == ()
    assert encoded_state(exchange) == before


def test_every_answer_may_come_late() -> None:
    answers = {kind for kind in EVENT_KINDS if issubclass(kind, Answered)}
    assert answers <= set(RULES[P.DONE])


def test_the_rows_are_in_the_order_of_the_phases() -> None:
    assert tuple(RULES) == tuple(Phase)


def test_the_diagram_in_the_docs_is_that_of_the_table(docs_page: str) -> None:
    assert docs_page == states_page(), "the table has changed: docs/states.md says how to draw it again"


def test_every_arrow_is_drawn() -> None:
    drawn = state_diagram()
    for phase, kind, to in ARROWS:
        if kind not in everywhere():
            lines = [line for line in drawn.splitlines() if line.startswith(f"    {phase.name} --> {to.name}: ")]
            assert len(lines) == 1
            assert kind.__name__ in lines[0].partition(": ")[2].split(", ")


@pytest.fixture
def docs_page(pytestconfig: pytest.Config) -> str:
    return (pytestconfig.rootpath / "docs" / "states.md").read_text("utf-8")
