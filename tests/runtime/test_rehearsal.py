"""Exchanges without a peer: recorded by themselves, or brought to their end in another process or runtime."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import anyio
import pytest

from vstack_proto.commands import Commands, Record, Respond
from vstack_proto.errors import LocalProtocolError
from vstack_proto.events import BodyEnded, BodyReceived, ExchangeEvent, ModelAnswered
from vstack_proto.exchange import Exchange
from vstack_proto.limits import Limits
from vstack_proto.replay import TapedExchange, TapeError, decode, encode, resumed, run, snapshot
from vstack_proto.testing import START, analyze_received
from vstack_runtime import conformance
from vstack_runtime.conformance import Kit
from vstack_runtime.conformance import kit as kit_module
from vstack_runtime.conformance.kit import analysis, analysis_body
from vstack_runtime.conformance.parts import ANALYZE, PATTERN, GatedProvider
from vstack_runtime.engine import Engine
from vstack_runtime.rehearsal import Rehearsal, go_on, record
from vstack_runtime.replaying import pattern_named, service_for
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import Settings

BACKENDS = ("asyncio", "trio")
each_backend = pytest.mark.parametrize("backend", BACKENDS)


def engine(**parts: Any) -> Engine:
    settings = parts.pop("settings", Settings())
    return Engine(settings, patterns=[PATTERN], env={}, wall=lambda: 1_700_000_000.0, **parts)


def answer(told: Commands) -> Respond:
    (found,) = (command for command in told if isinstance(command, Respond))
    return found


# Recorded by itself.


@each_backend
@pytest.mark.parametrize("model", [None, "offline"])
def test_a_request_is_taped(backend: str, model: str | None) -> None:
    async def taped() -> bytes:
        one = engine(provider=ScriptedProvider(['{"verdict":"heard"}']))
        return encode(await record(one, ANALYZE, analysis_body("calm", model=model), clock=lambda: START))

    data = anyio.run(taped, backend=backend)
    tape = decode(data)
    assert (tape.end.status, tape.end.outcome) == (200, "ok")
    assert run(tape, one := engine(provider=ScriptedProvider([""])).service).differences == ()
    assert one.catalogue.patterns
    assert data == anyio.run(taped, backend=BACKENDS[backend == "asyncio"])


@pytest.mark.parametrize(
    ("target", "body", "method", "status"),
    [
        ("/livez", b"", "GET", 200),
        ("/nowhere", b"{}", "POST", 404),
        (ANALYZE, b"{", "POST", 400),
        ("/v1 /x", b"", "GET", 400),
    ],
)
def test_whatever_is_asked_is_taped(target: str, body: bytes, method: str, status: int) -> None:
    async def taped() -> int:
        tape = await record(engine(), target, body, method=method)
        return tape.end.status

    assert anyio.run(taped) == status


def test_a_bug_of_a_pattern_is_taped(monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine()
    monkeypatch.setattr("vstack_proto.analysis.machine.Analysis.begin", None)

    async def taped() -> tuple[int, list[str]]:
        tape = await record(one, ANALYZE, analysis_body())
        return tape.end.status, [turn.raised for turn in tape.turns]

    assert anyio.run(taped) == (500, ["", "", "", "TypeError", ""])


@each_backend
def test_the_deadline_holds_without_a_peer_too(backend: str) -> None:
    async def taped() -> int:
        provider = ScriptedProvider([""], delay=3600.0)
        one = engine(provider=provider, settings=Settings(limits=Limits(request_timeout=0.1)))
        tape = await record(one, ANALYZE, analysis_body(model=None))
        assert provider.cancelled == 1
        return tape.end.status

    assert anyio.run(taped, backend=backend) == 504


# Brought to its end elsewhere.


def stopped_after(events: int) -> bytes:
    """A snapshot of an exchange that a driver on asyncio began, as its events went."""
    one = engine(provider=ScriptedProvider([""]))
    exchange = Exchange(one.service)
    body = analysis_body("calm", model=None)
    log = [
        analyze_received(PATTERN.name, length=len(body)),
        BodyReceived(at=START, data=body),
        BodyEnded(at=START + 1.0),
    ]
    commands: Commands = ()
    for event in log[:events]:
        commands = exchange.handle(event)  # type: ignore[arg-type]
    return snapshot(exchange, commands, event=events, at=START + 1.0)


@each_backend
def test_an_exchange_goes_on_under_another_runtime(backend: str) -> None:
    async def rest() -> tuple[Commands, ...]:
        return await go_on(engine(provider=ScriptedProvider(['{"verdict":"heard"}'])), stopped_after(3))

    told = anyio.run(rest, backend=backend)
    assert answer(told[-1]).status == 200
    (line,) = (command for command in told[-1] if isinstance(command, Record))
    assert (line.started, line.calls) == (START, 1)


def test_an_exchange_goes_on_with_what_the_peer_still_sends() -> None:
    body = analysis_body("calm")

    async def rest() -> tuple[Commands, ...]:
        sent: list[ExchangeEvent] = [BodyReceived(at=START + 2.0, data=body), BodyEnded(at=START + 2.0)]
        return await go_on(engine(), stopped_after(1), sent)

    assert answer(anyio.run(rest)[-1]).status == 200

    async def wrong() -> None:
        await go_on(engine(), stopped_after(1), [ModelAnswered(at=START, ticket=1, text="")])

    with pytest.raises(LocalProtocolError):
        anyio.run(wrong)


OTHER_PROCESS = """
import sys, trio
from vstack_runtime.conformance.parts import PATTERN
from vstack_runtime.engine import Engine
from vstack_runtime.rehearsal import go_on
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import Settings

engine = Engine(Settings(), patterns=[PATTERN], env={}, provider=ScriptedProvider(['{"verdict":"heard"}']))
told = trio.run(go_on, engine, sys.stdin.buffer.read())
sys.stdout.buffer.write(next(one.body for one in told[-1] if type(one).__name__ == "Respond"))
"""


def test_what_a_server_on_asyncio_began_another_process_ends_on_trio(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[TapedExchange] = []

    def made(*args: Any, **parts: Any) -> Engine:
        one = Engine(*args, **parts)

        def exchange(service: Any) -> TapedExchange:
            taken.append(TapedExchange(service, lambda done: None))
            return taken[-1]

        one.service.exchanges = exchange
        return one

    monkeypatch.setattr(kit_module, "Engine", made)
    (driver,) = (driver for driver in conformance.bundled() if driver.name == "asyncio")
    kit, provider = Kit(driver), GatedProvider()
    kit.start(provider=provider)
    peer = kit.connect(analysis("calm", model=None))
    provider.gate.wait_for(1)
    # The call to the model hangs: what the exchange knows goes to another process.
    (exchange,) = taken
    at, commands = exchange.log[-1][0].at, exchange.log[-1][1]
    assert not isinstance(commands, str)
    data = snapshot(exchange, commands, event=len(exchange.log), at=at)
    ended = subprocess.run([sys.executable, "-c", OTHER_PROCESS], input=data, capture_output=True, check=True)
    provider.gate.open()
    here = peer.answer(heard=False)
    kit.finish()
    assert masked(ended.stdout) == masked(here.body)
    assert b'"verdict":"heard"' in here.body


def masked(body: bytes) -> bytes:
    return kit_module._masked(body)


@each_backend
def test_who_follows_waits_for_who_leads(backend: str) -> None:
    async def both() -> list[str]:
        provider = ScriptedProvider(['{"verdict":"heard"}'])
        one = engine(provider=provider)
        leads = Rehearsal(one, TapedExchange(one.service, lambda done: None), anyio.current_time)
        follows = Rehearsal(one, TapedExchange(one.service, lambda done: None), anyio.current_time)
        follows._performer = leads._performer
        body = analysis_body("calm", model=None)
        now = anyio.current_time()
        head = analyze_received(PATTERN.name, length=len(body), at=now)
        events: list[ExchangeEvent] = [head, BodyReceived(at=now, data=body), BodyEnded(at=now)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leads.run, events)
            tasks.start_soon(follows.run, events)
        assert len(provider.asked) == 1
        return sorted(rehearsal.exchange.state.cache for rehearsal in (leads, follows))

    assert anyio.run(both, backend=backend) == ["", "coalesced"]


def test_a_follower_waits_no_longer_than_its_deadline() -> None:
    async def late() -> int:
        one = engine(settings=Settings(limits=Limits(request_timeout=0.1)), provider=ScriptedProvider([""]))
        first = analysis_body("calm", model=None)
        exchange = TapedExchange(one.service, lambda done: None)
        follows = Rehearsal(one, exchange, anyio.current_time)
        now = anyio.current_time()
        # Somebody leads, and never ends.
        leader = Exchange(one.service)
        head = analyze_received(PATTERN.name, length=len(first), at=now)
        (*_, join) = [leader.handle(event) for event in (head, BodyReceived(at=now, data=first), BodyEnded(at=now))][-1]
        follows._performer.perform_now(join, follows, now)
        follows._todo.clear()
        await follows.run([head, BodyReceived(at=now, data=first), BodyEnded(at=now)])
        (line,) = (one for one in exchange.log[-1][1] if isinstance(one, Record))
        return line.status

    assert anyio.run(late) == 504


# What is installed.


def test_equal_headers_share_a_service() -> None:
    async def taped() -> Any:
        one = Engine(Settings(llm="offline"), patterns=[pattern_named("aar")], env={})
        return [await record(one, "/livez", method="GET", request_id=f"req_{n}") for n in range(2)]

    first, second = anyio.run(taped)
    assert service_for(first) is service_for(second)
    assert service_for(first, {"offline": False}) is not service_for(first)
    with pytest.raises(TapeError, match="'no_such_pattern', which is not installed"):
        pattern_named("no_such_pattern")
    with pytest.raises(TapeError, match="no snapshot"):
        resumed(engine().service, b"[]")
