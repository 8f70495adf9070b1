"""Exchanges from end to end: conversations, and what holds whatever happens in whatever order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.proto import conversations
from tests.proto.conversations import BODY, MODEL_BODY, Scene
from tests.proto.last_word import BROKEN, PATTERN
from vstack_proto.commands import (
    Abort,
    AnyCommand,
    Asking,
    CallModel,
    CancelCall,
    Commands,
    EndStream,
    JoinFlight,
    LandFlight,
    LeaveFlight,
    Record,
    Respond,
    SendPart,
    StartStream,
)
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import Answered, BodyEnded, BodyReceived, Crashed, ExchangeEvent, FlightJoined, FlightLanded
from vstack_proto.exchange import Exchange, new_exchange
from vstack_proto.framing import Headers
from vstack_proto.limits import Limits
from vstack_proto.outcomes import OUTCOMES
from vstack_proto.replay import TapedExchange
from vstack_proto.service import Service
from vstack_proto.state import Phase
from vstack_proto.testing import (
    START,
    analyze_received,
    encoded_state,
    events,
    head_received,
    logs,
    make_service,
    material,
    play,
    refusal,
    run,
)

ASKS: dict[str, Any] = {"provider": "scripted", "default_model": "m-1"}
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    ASKS,
    {**ASKS, "cache": True, "scope_by_key": True, "limits": Limits(max_body_bytes=2_000)},
    {**ASKS, "require_auth": True, "quota": True, "cache": True, "ietf_headers": True},
    {"offline": True, "quota": True},
)
SERVICES = [make_service(PATTERN, **policy) for policy in POLICIES]
BODIES = (MODEL_BODY, BODY, b"{", b'{"trace":{}}')
TEXTS = ('{"left_open": true}', '{"doubts": ["why?"]}', '{"verdict": "fine"}', "no JSON")
HAVING = [material(service, BODIES, TEXTS) for service in SERVICES]

chosen = st.sampled_from(range(len(SERVICES)))
lives = chosen.flatmap(lambda n: st.tuples(st.just(n), logs(SERVICES[n], HAVING[n])))
disorders = chosen.flatmap(lambda n: st.tuples(st.just(n), st.lists(events(HAVING[n]), max_size=8)))


def tickets(commands: list[AnyCommand], kind: type[Asking]) -> list[int]:
    return [command.ticket for command in commands if isinstance(command, kind)]


def check_answer(service: Service, told: list[AnyCommand], over: bool) -> None:
    """One answer, whole, and one line in the log."""
    kinds = [type(command) for command in told]
    assert kinds.count(Respond) + kinds.count(StartStream) <= 1
    ends = [kind for kind in kinds if kind in (Respond, EndStream, Abort)]
    assert len(ends) == over
    assert kinds.count(Record) <= over
    stream = [kind for kind in kinds if kind in (StartStream, SendPart, EndStream)]
    assert stream[:1] in ([], [StartStream])
    assert EndStream not in stream[:-1]
    assert set(stream[1:-1]) <= {SendPart}
    for command in told:
        if isinstance(command, Record):
            assert command.outcome in ("", *OUTCOMES)
            assert command.pattern in ("other", *service.catalogue.patterns)
            assert command.mode in ("other", "quick", "standard", "forensic")
        if isinstance(command, Respond) and command.status not in (204, 304):
            assert dict(command.headers)["content-length"].isdecimal()


def check_held(told: list[AnyCommand], log: list[ExchangeEvent], over: bool) -> None:
    """What an exchange takes it gives back."""
    answered = {event.ticket for event in log if isinstance(event, Answered)}
    cancelled = {command.ticket for command in told if isinstance(command, CancelCall)}
    open_calls = [ticket for ticket in tickets(told, CallModel) if ticket not in answered | cancelled]
    assert len(open_calls) <= (not over)
    joined = set(tickets(told, JoinFlight))
    refused = {event.ticket for event in log if isinstance(event, FlightJoined) and event.role == "refused"}
    given_back = [command.ticket for command in told if isinstance(command, LandFlight | LeaveFlight)]
    assert len(given_back) == len(set(given_back))
    assert joined >= set(given_back)
    if over:
        landed = {event.ticket for event in log if isinstance(event, FlightLanded)}
        assert joined - refused - landed <= set(given_back)


@pytest.mark.parametrize("scene", conversations.SCENES, ids=lambda scene: scene.name)
def test_scene(scene: Scene) -> None:
    exchange = Exchange(scene.service)
    play(exchange, scene.turns)
    assert exchange.state.phase is Phase.DONE


@given(lives)
def test_whatever_happens_there_is_one_answer_and_nothing_is_kept(life: tuple[int, list[ExchangeEvent]]) -> None:
    service, log = SERVICES[life[0]], life[1]
    exchange = Exchange(service)
    told: list[AnyCommand] = []
    for event in log:
        was_over = exchange.state.phase is Phase.DONE
        commands = exchange.handle(event)
        assert not (was_over and commands)
        told += commands
    over = exchange.state.phase is Phase.DONE
    check_answer(service, told, over)
    check_held(told, log, over)
    asked = tickets(told, Asking)
    assert asked == sorted(set(asked))


def recorded(log: list[ExchangeEvent]) -> list[ExchangeEvent]:
    return msgspec.json.decode(msgspec.json.encode(log), type=list[ExchangeEvent])


def copied(told: list[Commands]) -> list[list[AnyCommand]]:
    return msgspec.json.decode(msgspec.json.encode(told), type=list[list[AnyCommand]])


@given(lives, st.integers(0, 16))
def test_a_log_replays_from_its_beginning_and_from_any_point(life: tuple[int, list[ExchangeEvent]], cut: int) -> None:
    number, log = life
    told = run(SERVICES[number], log)
    # Another process: nothing is shared but what is encoded.
    elsewhere = make_service(PATTERN, **POLICIES[number])
    assert run(elsewhere, recorded(log)) == told
    assert run(elsewhere, log, snapshot_at=cut) == told
    assert [tuple(commands) for commands in copied(told)] == told


@pytest.mark.parametrize("scene", conversations.SCENES, ids=lambda scene: scene.name)
def test_a_scene_replays_from_any_point(scene: Scene) -> None:
    log: list[ExchangeEvent] = [event for event, _ in scene.turns]  # type: ignore[misc]
    told = run(scene.service, log)
    assert run(scene.service, recorded(log)) == told
    for cut in range(len(log)):
        assert run(scene.service, log, snapshot_at=cut) == told


@given(disorders)
@example((0, []))
def test_what_a_driver_gets_wrong_changes_nothing(disorder: tuple[int, list[ExchangeEvent]]) -> None:
    service, came = SERVICES[disorder[0]], disorder[1]
    exchange = Exchange(service)
    taken, told = [], []
    for event in came:
        before = encoded_state(exchange)
        try:
            told.append(exchange.handle(event))
            taken.append(event)
        except LocalProtocolError:
            assert encoded_state(exchange) == before
    assert run(service, taken) == told


@pytest.mark.parametrize("headers", [(), (("accept", "text/event-stream"),)], ids=["json", "events"])
def test_a_pattern_that_breaks_is_answered_for(headers: Headers) -> None:
    """Also where the answer would be a stream: its head was lost with the crash, so that it does not count as sent."""
    exchange = Exchange(make_service(BROKEN))
    exchange.handle(analyze_received("broken", headers))
    exchange.handle(BodyReceived(at=START, data=BODY))
    exchange.handle(BodyEnded(at=START))
    with pytest.raises(ZeroDivisionError):
        exchange.handle(FlightJoined(at=START, ticket=1, role="leads"))
    told = exchange.handle(Crashed(at=START))
    assert [type(command) for command in told] == [LeaveFlight, Respond, Record]
    assert refusal(500, "internal_error", content_type="application/json").differences(told[1]) == []
    assert b"ZeroDivision" not in msgspec.json.encode(told)


def test_a_service_may_want_exchanges_that_are_taped() -> None:
    service, done = make_service(PATTERN), list[TapedExchange]()
    assert type(new_exchange(service)) is Exchange
    service.exchanges = lambda service: TapedExchange(service, done.append)
    exchange = new_exchange(service)
    exchange.handle(head_received("GET", "/livez"))
    assert done == [exchange]
