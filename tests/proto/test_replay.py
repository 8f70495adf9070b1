"""Tapes against changed code: each difference is found, and named by event, command and field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.proto.conversations import ASKED, ASKING, CACHED, GUARDED, STREAMED, Scene
from tests.proto.last_word import PATTERN
from tests.proto.test_tape import INSTALLED, taped
from vstack_proto import replay
from vstack_proto.commands import ArmDeadline, CallModel, CheckKey, Close, Commands, Respond
from vstack_proto.events import BodyEnded, ModelAnswered
from vstack_proto.exchange import Exchange
from vstack_proto.limits import Limits
from vstack_proto.replay import ABSENT, Difference, Tape, TapeError, Turn, compare, service_of
from vstack_proto.replay.tape import encode_commands
from vstack_proto.state import State
from vstack_proto.testing import START


@pytest.fixture(autouse=True)
def every_conversation_replays() -> None:
    """In place of the fixture of that name: code is changed in the midst of these tests."""


def found(old: Commands, new: Commands) -> list[tuple[str, str, Any, Any]]:
    turn = Turn(0.0, BodyEnded(at=START), encode_commands(old))
    return [(one.what, one.path, one.old, one.new) for one in compare(4, turn, new)]


OK = Respond(200, (("a", "1"), ("b", "2")), b'{"n":[1,2,3],"text":"so it is"}', False)


def changed(**fields: Any) -> Respond:
    return msgspec.structs.replace(OK, **fields)


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (OK, []),
        (changed(status=404), [("changed", "status", 200, 404)]),
        (changed(close=True), [("changed", "close", False, True)]),
        (changed(headers=(("a", "1"), ("b", "3"))), [("changed", "headers.b", "2", "3")]),
        (changed(headers=(("a", "1"),)), [("changed", "headers.b", "2", ABSENT)]),
        (changed(headers=(*OK.headers, ("c", "3"))), [("changed", "headers.c", ABSENT, "3")]),
        (changed(headers=OK.headers[::-1]), [("changed", "headers", "order: a, b", "order: b, a")]),
        (changed(headers=(("a", "1"), ("a", "2"))), [("changed", "headers[1][0]", "b", "a")]),
        (changed(headers=()), [("changed", f"headers[{n}]", list(OK.headers[n]), ABSENT) for n in (0, 1)]),
        (changed(body=b'{"n":[1,2,3],"text":"so be it"}'), [("changed", "body.text", "so it is", "so be it")]),
        (changed(body=b'{"n":[1,3],"text":"so it is"}'), [("changed", "body.n[1]", 2, ABSENT)]),
        (changed(body=b'{"n":[0,1,2,3],"text":"so it is"}'), [("changed", "body.n[0]", ABSENT, 0)]),
        (changed(body=b'{"n":[1,4,3],"text":"so it is"}'), [("changed", "body.n[1]", 2, 4)]),
        (changed(body=b'{"n":[1,2,3]}'), [("changed", "body.text", "so it is", ABSENT)]),
        (changed(body=b"\xff no JSON"), [("changed", "body", {"n": [1, 2, 3], "text": "so it is"}, "� no JSON")]),
        (
            changed(body=b'{"n": [1,2,3],"text":"so it is"}'),
            [("changed", "body", repr(OK.body), repr(b'{"n": [1,2,3],"text":"so it is"}'))],
        ),
        (changed(status=True), [("changed", "status", 200, True)]),
    ],
)  # fmt: skip
def test_the_field_that_differs_is_named(new: Respond, told: list[Any]) -> None:
    assert found((OK,), (new,)) == told


def test_commands_that_are_missing_or_too_many_are_told_whole() -> None:
    arm, ask = ArmDeadline(1.0), CheckKey(1, None)
    assert found((arm, ask), (arm,)) == [("missing", "", {"ticket": 1, "credential": None}, ABSENT)]
    assert found((arm,), (arm, OK)) == [
        ("added", "", ABSENT, {"status": 200, "headers": [["a", "1"], ["b", "2"]], "close": False,
                               "body": {"n": [1, 2, 3], "text": "so it is"}}),
    ]  # fmt: skip
    (one,) = compare(4, Turn(0.0, BodyEnded(at=START), encode_commands((arm, Close()))), (arm,))
    assert one == Difference(event=4, what="missing", kind="Close", command=1, old={})


def old_turn(*commands: dict[str, Any]) -> Turn:
    return Turn(0.0, BodyEnded(at=START), msgspec.Raw(msgspec.json.encode(commands)))


def test_commands_of_an_older_vocabulary_are_compared_all_the_same() -> None:
    # A field that came later has its default; a command or a field that is gone is told.
    record = {"type": "CheckKey", "ticket": 1, "credential": None}
    assert compare(0, old_turn(record), (CheckKey(1, None),)) == []
    assert compare(0, old_turn({"type": "ArmDeadline", "when": 1}), (ArmDeadline(1.0),)) == []
    (gone,) = compare(0, old_turn({"type": "RingBell", "loud": True}), (CheckKey(1, None),))[:1]
    assert (gone.what, gone.kind, gone.old) == ("missing", "RingBell", {"type": "RingBell", "loud": True})
    unreadable = {"type": "CheckKey", "ticket": "one", "credential": None}
    assert [(one.path, one.old, one.new) for one in compare(0, old_turn(unreadable), (CheckKey(1, None),))] == [
        ("ticket", "one", 1)
    ]


def test_an_exception_then_or_now_is_a_difference() -> None:
    raised = Turn(0.0, BodyEnded(at=START), raised="KeyError")
    assert compare(0, raised, "KeyError") == []
    told = [compare(0, raised, ())[0], compare(0, raised, "TypeError")[0], compare(0, old_turn(), "TypeError")[0]]
    assert [(one.what, one.old, one.new) for one in told] == [
        ("raised", "raised KeyError", "no command"),
        ("raised", "raised KeyError", "raised TypeError"),
        ("raised", "no command", "raised TypeError"),
    ]


# Changed code.


def differences(tape: Tape, **changes: Any) -> list[tuple[int, str, str]]:
    service = service_of(tape.header, {PATTERN.name: msgspec.structs.replace(PATTERN, **changes)})
    return [(one.event, one.kind, one.path) for one in replay.run(tape, service).differences]


def test_a_changed_prompt_is_found() -> None:
    assert differences(taped(ASKED), framework="Say it otherwise.") == [
        (3, "CallModel", "request.system"),
        (4, "CallModel", "request.system"),
    ]


def test_a_changed_limit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = taped(ASKED)
    service = service_of(tape.header, INSTALLED, changes={"limits": {"request_timeout": 60.0}})
    told = replay.run(tape, service).differences
    assert (told[0].event, told[0].kind, told[0].path) == (0, "ArmDeadline", "when")
    assert (told[0].old, told[0].new) == (START + 120.0, START + 60.0)
    assert Limits().request_timeout == 120.0


def test_a_changed_header_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = taped(CACHED)
    monkeypatch.setattr("vstack_proto.replies._ALWAYS", (("x-frame-options", "SAMEORIGIN"),))
    told = replay.run(tape, service_of(tape.header, INSTALLED)).differences
    assert ("headers.x-frame-options", "DENY", "SAMEORIGIN") in [(one.path, one.old, one.new) for one in told]
    assert {(one.event, one.kind) for one in told} == {(len(CACHED.turns) - 1, "Respond")}


def test_code_that_asks_for_something_else_ends_the_replay() -> None:
    tape = taped(ASKED)
    report = replay.run(tape, service_of(tape.header, INSTALLED, changes={"cache": True}))
    assert not report.done
    last = report.differences[-1]
    assert (last.event, last.what, last.kind) == (3, "refused", "FlightJoined")
    assert last.new == "LocalProtocolError: FlightJoined while waiting for ALIAS"
    assert report.events == 3


# In part, and continued.


@pytest.mark.parametrize("scene", [ASKED, STREAMED, CACHED], ids=lambda scene: scene.name)
def test_a_replay_stops_after_any_event_and_goes_on_from_there(scene: Scene) -> None:
    tape = taped(scene)
    service = service_of(tape.header, INSTALLED)
    whole = replay.run(tape, service)
    taken = list(replay.snapshots(tape, service))
    for number, data in enumerate(taken, 1):
        first = replay.run(tape, service, until=number)
        assert first.snapshot == data
        rest = replay.run(tape, service, start=data)
        assert first.log + rest.log == whole.log
        assert first.commands + rest.commands == whole.commands
        assert rest.done
    with pytest.raises(TapeError, match="no snapshot"):
        replay.run(tape, service, start=b"{}")


def test_a_snapshot_has_what_is_not_answered_yet() -> None:
    tape = taped(ASKED)
    data = list(replay.snapshots(tape, ASKING))[3]
    exchange, taken = replay.resumed(ASKING, data)
    assert (taken.event, taken.at) == (4, START + 1.0)
    (asked,) = taken.pending
    assert isinstance(asked, CallModel)
    commands = exchange.handle(ModelAnswered(at=START + 2.0, ticket=asked.ticket, text='{"left_open": false}'))
    assert [type(one) for one in commands] == [CallModel]


def test_a_tape_of_a_continued_exchange_begins_where_it_was_continued() -> None:
    whole = taped(ASKED)
    _, taken = replay.resumed(ASKING, list(replay.snapshots(whole, ASKING))[3])
    start = msgspec.json.decode(msgspec.json.encode(taken.state), type=State)
    header = msgspec.structs.replace(whole.header, start=start)
    exchange = Exchange(ASKING, taken.state)
    rest = [(turn.event, exchange.handle(turn.event)) for turn in whole.turns[4:]]
    tape = replay.decode(replay.encode(replay.tape_of(header, rest)))
    for _ in range(2):
        assert replay.run(tape, ASKING).differences == ()
    assert tape.end.answer == whole.end.answer


# Accepted on purpose.


def test_what_is_accepted_replays() -> None:
    tape = taped(ASKED)
    other = service_of(tape.header, INSTALLED, changes={"limits": {"request_timeout": 60.0}})
    accepted = replay.accepted(tape, other)
    assert replay.run(accepted, other).differences == ()
    assert accepted.header == tape.header
    assert replay.accepted(tape, ASKING) == tape


def test_what_does_not_fit_any_more_cannot_be_accepted() -> None:
    tape = taped(ASKED)
    for changes in ({"cache": True}, {"require_auth": True}):
        with pytest.raises(TapeError, match="does not fit any more"):
            replay.accepted(tape, service_of(tape.header, INSTALLED, changes=changes))
    passes = {
        "standard": (*PATTERN.passes["standard"], msgspec.structs.replace(PATTERN.passes["standard"][-1], name="again"))
    }
    longer = msgspec.structs.replace(PATTERN, passes={**PATTERN.passes, **passes})
    with pytest.raises(TapeError, match="asks for more"):
        replay.accepted(tape, service_of(tape.header, {PATTERN.name: longer}))


def test_guarded_tapes_have_the_caller_and_no_key() -> None:
    tape = taped(CACHED)
    assert replay.run(tape, GUARDED).differences == ()
