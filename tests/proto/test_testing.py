"""What testers get: conversations that say where they part, and chance that can be repeated."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proto.last_word import PATTERN
from vstack_proto.commands import Abort, AnyCommand, ArmDeadline, CheckKey, Commands, Record, Respond, TakeQuota
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import BodyEnded, Event, ExchangeEvent, HeadReceived, KeyChecked, PeerLeft
from vstack_proto.exchange import Exchange
from vstack_proto.state import Phase
from vstack_proto.testing import (
    EVENT_KINDS,
    START,
    analyze_received,
    encoded_state,
    events,
    head_received,
    like,
    logs,
    make_service,
    material,
    play,
    refusal,
    run,
    sample_event,
    shown,
)

OPEN = make_service(PATTERN)
HAVING = material(OPEN)


class Script:
    """A machine that answers as it was told to."""

    def __init__(self, *answers: Commands) -> None:
        self.answers = list(answers)

    def handle(self, event: Any, /) -> Commands:
        return self.answers.pop(0)


LEFT, ENDED = PeerLeft(at=START), BodyEnded(at=START)
ARM, LATER = ArmDeadline(1.0), ArmDeadline(2.0)
ASK = CheckKey(1, "digest")
OK = Respond(200, (("a", "1"), ("b", "2")), b"{}", False)


def parting(conversation: Any, *answers: Commands) -> list[str]:
    """The lines of the failure, without the first."""
    with pytest.raises(AssertionError) as caught:
        play(Script(*answers), conversation)
    first, *lines = str(caught.value).splitlines()
    assert first == "the conversation parts (- expected, + came):"
    return lines


def test_what_goes_as_expected_returns_all_that_came() -> None:
    told = play(
        Script((ARM, ASK), (), (OK,)),
        [
            (LEFT, [ARM, CheckKey]),
            (ENDED, []),
            (ENDED, [like(Respond, status=200, headers={"b": "2", "c": None}, body=lambda body: len(body) == 2)]),
        ],
    )
    assert told == (ARM, ASK, OK)


def test_where_a_conversation_parts_is_shown() -> None:
    assert parting([(LEFT, [ARM]), (ENDED, [ARM, ASK, Abort()])], (ARM,), (LATER, ASK, OK)) == [
        "PeerLeft(at=10000.0)",
        "    -> ArmDeadline(when=1.0)",
        "BodyEnded(at=10000.0)",
        "  - -> ArmDeadline(when=1.0)",
        "  + -> ArmDeadline(when=2.0)",
        "    -> CheckKey(ticket=1, credential='digest')",
        "  - -> Abort()",
        "  + -> Respond(status=200, headers=(('a', '1'), ('b', '2')), body=b'{}', close=False)",
    ]


def test_what_is_missing_and_what_is_too_much_is_shown() -> None:
    assert parting([(LEFT, [ARM, CheckKey])], (ARM,))[1:] == ["    -> ArmDeadline(when=1.0)", "  - -> CheckKey"]
    assert parting([(LEFT, [ASK])], (ARM, ASK))[1:] == [
        "  + -> ArmDeadline(when=1.0)",
        "    -> CheckKey(ticket=1, credential='digest')",
    ]


def test_only_the_fields_that_differ_are_shown_and_whole() -> None:
    long = msgspec.structs.replace(OK, body=b"x" * 500 + b"y" + b"x" * 500)
    same_but_one = msgspec.structs.replace(OK, body=b"x" * 500 + b"z" + b"x" * 500)
    _, expected, came = parting([(LEFT, [long])], (same_but_one,))
    assert expected == f"  - -> Respond(body={long.body!r})"
    assert came == f"  + -> Respond(body={same_but_one.body!r})"


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (like(Respond, status=404), "status"),
        (like(Respond, headers={"a": "2"}), "headers"),
        (like(Respond, headers={"c": "1"}), "headers"),
        (like(Respond, headers={"a": None}), "headers"),
        (like(Respond, body=lambda body: False), "body"),
        (refusal(200, "not_found"), "body"),
    ],
)
def test_a_part_that_differs(wanted: Any, field: str) -> None:
    answer = msgspec.structs.replace(OK, body=b'{"detail":{"error":"other"}}')
    _, expected, came = parting([(LEFT, [wanted])], (answer,))
    assert expected.startswith("  - -> Respond(")
    assert expected.endswith(", ...)")
    assert came.startswith(f"  + -> Respond({field}=")


def test_a_field_that_comes_twice_is_not_as_expected() -> None:
    twice = msgspec.structs.replace(OK, headers=(("a", "1"), ("a", "1")))
    assert like(Respond, headers={"a": "1"}).differences(twice) == ["headers"]


def test_a_dict_may_also_be_a_dict() -> None:
    assert like(Respond, body={}).differences(OK) == ["body"]


def test_a_refusal_is_known_in_both_forms() -> None:
    for body in (b'{"detail":{"error":"x"}}', b'{"detail":"told","error":"x"}'):
        answer = Respond(400, (("retry-after", "1"),), body, True)
        assert refusal(400, "x", retry_after="1").differences(answer) == []
        assert refusal(400, "y").differences(answer) == ["body"]
    assert repr(refusal(400, "x")) == "Respond(status=400, headers={}, body=error_x, ...)"


def test_an_event_may_be_expected_to_be_refused() -> None:
    exchange = Exchange(OPEN)
    assert play(exchange, [(ENDED, LocalProtocolError), (LEFT, [Abort()])]) == (Abort(),)
    with pytest.raises(AssertionError, match=r"  - -> LocalProtocolError\n  \+ -> Abort\(\)"):
        play(Exchange(OPEN), [(LEFT, LocalProtocolError)])
    with pytest.raises(AssertionError, match=r"  \+ -> LocalProtocolError: BodyEnded while waiting for HEAD"):
        play(Exchange(OPEN), [(ENDED, [])])
    with pytest.raises(AssertionError, match=r"    -> LocalProtocolError: BodyEnded while waiting for HEAD\nPeerLeft"):
        play(Exchange(OPEN), [(ENDED, LocalProtocolError), (LEFT, [])])


def test_lines_are_short() -> None:
    assert shown(TakeQuota(1, "requests", "k" * 1000)).endswith("k'" + ")")
    assert len(shown(TakeQuota(1, "requests", "k" * 1000))) < 250
    assert shown(KeyChecked(at=START, ticket=1, name=None, loaded=0), ["ticket"]) == "KeyChecked(ticket=1)"


# Parts.


def test_heads() -> None:
    head = analyze_received("last_word", (("accept", "*/*"),), length=12)
    assert (head.method, head.head.path, head.head.content_length) == ("POST", "/v1/analyze/last_word", 12)
    assert head.head.fields == {"host": "vstack.example", "content-length": "12", "accept": "*/*"}
    assert head_received("GET", "/x?y=1", http_version="1.0").head.keep_alive is False
    with pytest.raises(ValueError, match="underscore"):
        head_received("GET", "/", (("a_b", "1"),))


def test_a_service_takes_any_policy() -> None:
    assert make_service(PATTERN, cache=True, version="9").policy.version == "9"
    assert make_service(PATTERN, routes=()).routes.routes == ()


def test_the_core_needs_no_hypothesis() -> None:
    program = "import sys, vstack_proto.testing; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


# Logs.


def test_a_log_is_run() -> None:
    log: list[ExchangeEvent] = [head_received(), LEFT]
    told = run(OPEN, log)
    assert [[type(command) for command in commands] for commands in told] == [[ArmDeadline, Respond, Record], []]
    assert run(OPEN, log, snapshot_at=0) == run(OPEN, log, snapshot_at=1) == run(OPEN, log, snapshot_at=9) == told


def test_the_state_is_all_that_an_exchange_knows() -> None:
    exchange = Exchange(OPEN)
    exchange.handle(analyze_received("last_word"))
    assert b'"/v1/analyze/last_word"' in encoded_state(exchange)


# Chance.


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_there_is_a_sample_of_every_event(kind: type[Event]) -> None:
    event = sample_event(kind, HAVING, at=START + 2.0, ticket=7)
    assert (type(event), event.at) == (kind, START + 2.0)
    assert getattr(event, "ticket", 7) == 7
    again = msgspec.json.decode(msgspec.json.encode(event), type=ExchangeEvent)
    assert again == event


def test_every_event_of_an_exchange_is_among_them() -> None:
    assert set(EVENT_KINDS) == set(ExchangeEvent.__args__)


@given(events(HAVING, (HeadReceived, KeyChecked)))
def test_events_are_of_the_kinds_that_are_asked_for(event: ExchangeEvent) -> None:
    assert isinstance(event, HeadReceived | KeyChecked)
    assert event.at >= START


@given(st.data())
def test_logs_are_what_a_driver_without_fault_feeds(data: st.DataObject) -> None:
    log = data.draw(logs(OPEN, HAVING, max_size=10))
    assert len(log) <= 10
    assert [event.at for event in log] == sorted(event.at for event in log)
    told: list[AnyCommand] = [command for commands in run(OPEN, log) for command in commands]
    assert sum(isinstance(command, Respond) for command in told) <= 1


def test_logs_come_as_far_as_an_answer() -> None:
    seen: set[Phase] = set()

    @given(logs(OPEN, HAVING))
    def look(log: list[ExchangeEvent]) -> None:
        exchange = Exchange(OPEN)
        for event in log:
            exchange.handle(event)
            seen.add(exchange.state.phase)

    look()
    assert seen >= {Phase.BODY, Phase.FLIGHT, Phase.FOLLOW, Phase.DONE}
