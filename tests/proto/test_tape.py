"""Tapes: what is written is what is read, whatever version wrote it, and what is no tape is refused with the reason."""

from __future__ import annotations

import gzip
import ipaddress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proto.conversations import ASKED, ASKING, BODY, GUARDED, MODEL_BODY, OPEN, SCENES, Scene
from tests.proto.last_word import BROKEN, PATTERN
from vstack_proto import replay
from vstack_proto.commands import Commands, Respond
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import BodyEnded, BodyReceived, Crashed, FlightJoined, ModelAnswered
from vstack_proto.exchange import Exchange
from vstack_proto.limits import Limits
from vstack_proto.replay import Tape, TapedExchange, TapeError, header_of, service_of, tape_of
from vstack_proto.replay.tape import policy_of
from vstack_proto.service import Service
from vstack_proto.testing import START, analyze_received, logs, make_service, material, run

TAPES = Path(__file__).parents[1] / "tapes"
INSTALLED = {PATTERN.name: PATTERN}
SERVICES = (OPEN, GUARDED, ASKING)
HAVING = [
    material(service, (MODEL_BODY, BODY, b"{"), ('{"left_open": true}', '{"verdict": "fine"}')) for service in SERVICES
]
lives = st.sampled_from(range(3)).flatmap(lambda n: st.tuples(st.just(n), logs(SERVICES[n], HAVING[n])))


def taped(scene: Scene, **told: Any) -> Tape:
    """A scene as a driver would tape it."""
    tapes = []
    exchange = TapedExchange(
        scene.service, lambda done: tapes.append(tape_of(header_of(scene.service, **told), done.log))
    )
    for event, _ in scene.turns:
        exchange.handle(event)  # type: ignore[arg-type]
    (tape,) = tapes
    return tape


# What is written is what is read.


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_tape_is_read_as_it_was_written_and_replays(scene: Scene, compress: bool) -> None:
    tape = taped(scene, build="b1", settings="s1", recorded=1.5)
    data = replay.encode(tape, compress=compress)
    again = replay.decode(data)
    assert again == tape
    assert replay.encode(again, compress=compress) == data
    report = replay.run(again, service_of(again.header, INSTALLED))
    assert report.differences == ()
    assert report.done
    assert report.events == len(scene.turns) == again.end.events


def test_a_tape_tells_how_it_ended() -> None:
    tape = taped(ASKED)
    assert (tape.end.status, tape.end.outcome, tape.end.seconds) == (200, "ok", 4.0)
    assert [turn.t for turn in tape.turns] == [0.0, 0.0, 1.0, 1.0, 3.0, 4.0]
    assert len(tape.end.answer) == 64
    assert tape.end.answer == taped(ASKED).end.answer
    empty = tape_of(header_of(OPEN), [])
    assert (empty.end.events, empty.end.status, empty.end.answer) == (0, 0, "")
    assert replay.decode(replay.encode(empty)) == empty
    assert not replay.run(empty, OPEN).done


def test_a_tape_is_iterated_as_events_and_json() -> None:
    tape = taped(ASKED)
    pairs = list(replay.iterate(tape))
    assert [event for event, _ in pairs] == [event for event, _ in ASKED.turns]
    assert [one["type"] for one in pairs[0][1]] == ["ArmDeadline", "ArmDeadline", "ReadBody"]


@given(life=lives, cut=st.integers(0, 16))
def test_a_log_its_tape_and_every_snapshot_run_alike(life: tuple[int, list[Any]], cut: int) -> None:
    number, log = life
    service = SERVICES[number]
    live: list[Commands] = run(service, log)
    tape = replay.decode(replay.encode(tape_of(header_of(service), zip(log, live, strict=True))))
    ours = service_of(tape.header, INSTALLED)
    assert run(ours, [turn.event for turn in tape.turns]) == live == run(service, log, snapshot_at=cut)
    assert replay.run(tape, ours).differences == ()
    for taken in replay.snapshots(tape, ours):
        rest = replay.run(tape, ours, start=taken)
        assert rest.differences == ()
        assert list(rest.log) == live[len(log) - rest.events :]


# What follows the end, and what goes wrong.


def test_what_comes_after_the_end_is_not_kept_and_a_driver_s_mistake_is_not_either() -> None:
    done: list[TapedExchange] = []
    exchange = TapedExchange(OPEN, done.append)
    with pytest.raises(LocalProtocolError):
        exchange.handle(BodyEnded(at=START))
    exchange.handle(SCENES[0].turns[0][0])  # type: ignore[arg-type]
    assert done == [exchange]
    assert exchange.handle(BodyEnded(at=START)) == ()
    assert len(exchange.log) == 1


def test_a_bug_is_on_the_tape_and_shows_when_it_is_gone() -> None:
    service = make_service(BROKEN)
    tapes = []
    exchange = TapedExchange(service, lambda over: tapes.append(tape_of(header_of(service), over.log)))
    exchange.handle(analyze_received(BROKEN.name, length=len(BODY)))
    exchange.handle(BodyReceived(at=START, data=BODY))
    exchange.handle(BodyEnded(at=START))
    with pytest.raises(ZeroDivisionError):
        exchange.handle(FlightJoined(at=START, ticket=1, role="leads"))
    exchange.handle(Crashed(at=START))
    tape = replay.decode(replay.encode(tapes[0]))
    assert tape.end.status == 500
    assert tape.turns[3].raised == "ZeroDivisionError"
    assert replay.run(tape, service_of(tape.header, {BROKEN.name: BROKEN})).differences == ()
    mended = msgspec.structs.replace(PATTERN, name=BROKEN.name)
    first = replay.run(tape, service_of(tape.header, {BROKEN.name: mended})).differences[0]
    assert (first.event, first.what, first.kind, first.old) == (3, "raised", "FlightJoined", "raised ZeroDivisionError")
    assert first.new == "LandFlight, Respond, Record"


def test_what_is_no_tape_is_refused_with_the_reason() -> None:
    good = replay.encode(taped(ASKED)).splitlines()
    for data, told in (
        (b"", "no header"),
        (b"{}", "one line"),
        (b"x\ny", "no tape"),
        (b'{"a":1}\n{}', "no version"),
        (b'{"tape":99}\n{}', "version 99; this vstack reads up to 1"),
        (b'{"tape":0}\n{}', "version 0, which"),
        (b"\n".join([*good[:3], good[-1]]), "not whole: 2 of 6"),
        (b"\n".join(good[:-1]), "no tape"),
        (gzip.compress(b"\n".join(good))[:-20], "unpacked"),
    ):
        with pytest.raises(TapeError, match=told):
            replay.decode(data)


# Versions.


def test_an_older_tape_is_migrated_step_by_step() -> None:
    tape = taped(ASKED)
    documents = [msgspec.json.decode(line) for line in replay.encode(tape).splitlines()]
    documents[0]["tape"] = -1
    documents[0]["vstack"] = documents[0].pop("version")
    for document in documents[1:-1]:
        document["then"] = document.pop("commands")

    def renamed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"commands" if name == "then" else name: value for name, value in line.items()} for line in lines]

    def named(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**lines[0], "version": lines[0]["vstack"]}, *lines[1:]]

    old = b"\n".join(msgspec.json.encode(document) for document in documents)
    assert replay.decode(old, migrations={-1: renamed, 0: named}) == tape
    with pytest.raises(TapeError, match="version 0"):
        replay.decode(old, migrations={-1: renamed})


@pytest.mark.parametrize("version", range(1, replay.VERSION + 1))
def test_a_tape_of_each_version_stays_readable(version: int) -> None:
    data = (TAPES / f"version-{version}.jsonl").read_bytes()
    assert msgspec.json.decode(data.splitlines()[0])["tape"] == version
    tape = replay.decode(data)
    assert (tape.end.events, tape.end.status, tape.end.outcome) == (7, 200, "ok")
    answered, _ = (turn.event for turn in tape.turns if isinstance(turn.event, ModelAnswered))
    assert answered.usage.input_tokens == 100
    # What is decided may differ by now; that the tape can be fed may not.
    report = replay.run(tape, service_of(tape.header, INSTALLED))
    assert report.events == 7
    assert report.done


# The service of a tape.


def test_only_what_an_operator_decided_is_on_a_tape() -> None:
    assert header_of(make_service(PATTERN)).policy == {}
    decided: dict[str, Any] = {
        "limits": Limits(request_timeout=7.0),
        "cors_origins": frozenset({"https://b.example", "https://a.example"}),
        "trusted_proxies": (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")),
        "models": ("m-2", "m-1"),
        "cache": True,
    }
    service = make_service(PATTERN, **decided)
    header = header_of(service)
    assert header.policy == {
        "limits": {"request_timeout": 7.0},
        "cors_origins": ["https://a.example", "https://b.example"],
        "trusted_proxies": ("10.0.0.0/8", "::1/128"),
        "models": ("m-2", "m-1"),
        "cache": True,
    }
    again = msgspec.json.decode(msgspec.json.encode(header), type=replay.Header)
    assert policy_of(again) == service.policy


def test_a_policy_can_be_tried_on_a_tape() -> None:
    tape = taped(ASKED)
    for changes in ({"limits": {"request_timeout": 60.0}}, {"offline": True}):
        differences = replay.run(tape, service_of(tape.header, INSTALLED, changes=changes)).differences
        assert differences
    header = header_of(make_service(PATTERN, limits=Limits(request_timeout=7.0)))
    limits = policy_of(header, {"limits": {"max_depth": 9}}).limits
    assert (limits.request_timeout, limits.max_depth) == (7.0, 9)
    assert policy_of(header_of(make_service(PATTERN, cache=True)), {"cache": False}).cache is False
    with pytest.raises(TapeError, match="policy"):
        policy_of(header, {"cache": "perhaps"})
    with pytest.raises(TapeError, match=r"policy cannot be used: there is no no_such_field$"):
        policy_of(header, {"no_such_field": 1})
    with pytest.raises(TapeError, match=r"there is no limits.request_timeoutt; did you mean limits.request_timeout\?"):
        policy_of(header, {"limits": {"request_timeoutt": 60}})
    with pytest.raises(TapeError, match="policy"):
        policy_of(header, {"cache": {"request_timeout": 60}})
    with pytest.raises(TapeError, match="policy"):
        policy_of(header, {"trusted_proxies": ["nowhere"]})
    with pytest.raises(TapeError, match="not installed: last_word"):
        service_of(header, {})


def test_a_service_of_a_tape_answers_as_the_one_that_was_taped() -> None:
    service = service_of(header_of(GUARDED), INSTALLED)
    assert isinstance(service, Service)
    assert service.policy == GUARDED.policy
    (_, respond, _) = Exchange(service).handle(SCENES[0].turns[0][0])  # type: ignore[arg-type]
    assert isinstance(respond, Respond)
