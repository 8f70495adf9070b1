"""What a call has used is counted, however the request ends: in metrics, telemetry and the record, on every driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.fakes.model_service import Act, serving
from tests.providers.kit import QUICK, RUNTIMES, provider, question, run, seen
from vstack_proto.commands import Record
from vstack_proto.limits import Limits
from vstack_proto.replay import TapedExchange
from vstack_proto.telemetry import ANALYSIS, LLM_CALL, TelemetryEvent
from vstack_proto.testing import replays
from vstack_proto.values import ModelRequest, Usage
from vstack_runtime import conformance
from vstack_runtime.backends import ProviderError
from vstack_runtime.conformance import Driver
from vstack_runtime.conformance.kit import Peer, analysis
from vstack_runtime.conformance.parts import PATIENCE, PATTERN, Gate, wait_until
from vstack_runtime.engine import Engine
from vstack_runtime.providers.common import Reply
from vstack_runtime.providers.guarded import GuardedProvider
from vstack_runtime.providers.taped import TapeProvider
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import Settings
from vstack_runtime.spending import Spending, counting, spent

DRIVERS = {driver.name: driver for driver in conformance.bundled()}
PASS, TRY = Usage(100, 20, cost_usd=0.25), Usage(7000, 3000, cost_usd=0.5)
USED = Usage(7100, 3020, cost_usd=0.75)


class Costly:
    """Answers the first pass; of the second, fails the first try at a price, and then says nothing more."""

    name, default_model = "scripted", "scripted-1"

    def __init__(self) -> None:
        self.gate = Gate()
        self.asked = 0

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        self.asked += 1
        if self.asked == 1:
            return Reply("{}", PASS)
        if self.asked == 2:
            raise ProviderError("unavailable", "it broke off", usage=TRY, status=500)
        await self.gate.pass_through()
        raise AssertionError("nobody opens it")


class Kept:
    """A telemetry sink that remembers."""

    def __init__(self) -> None:
        self.events: list[TelemetryEvent] = []

    def record(self, event: TelemetryEvent) -> None:
        self.events.append(event)

    async def flush(self) -> None:
        """All is kept."""

    async def aclose(self) -> None:
        """Nothing is held."""

    def told(self) -> list[tuple[str, str, Usage]]:
        return [
            (
                one.event_type,
                one.extra["status"],
                Usage(one.input_tokens, one.output_tokens, cost_usd=one.cost_usd or 0),
            )
            for one in self.events
        ]


@pytest.mark.parametrize("ends", ["timeout", "cancelled", "draining"])
@pytest.mark.parametrize("driver", DRIVERS.values(), ids=DRIVERS)
def test_what_was_used_is_counted_though_the_request_is_cut_short(driver: Driver, ends: str) -> None:
    costly, kept, done = Costly(), Kept(), list[TapedExchange]()
    limits = Limits(request_timeout=1.0 if ends == "timeout" else 60.0)
    engine = Engine(
        Settings(limits=limits, drain_delay=0.0),
        provider=GuardedProvider(costly, limits=QUICK),
        telemetry=kept,
        patterns=[PATTERN],
    )
    engine.service.exchanges = lambda service: TapedExchange(service, done.append)
    server = driver.start(engine)
    peer = Peer(server.connect(), [])
    try:
        peer.send(analysis("dear", mode="standard", model=None))
        costly.gate.wait_for(1)
        if ends == "cancelled":
            peer.wire.abort()
        elif ends == "draining":
            server.ask_to_stop()
            server.ask_to_stop()
        costly.gate.wait_cancelled(1)
        wait_until(lambda: done, "the exchange has ended")
        stands = engine.metrics.registry.get_sample_value
        call = "late" if ends == "timeout" else "cancelled"
        outcome = {"provider": "other", "model": "scripted-1", "outcome": call}
        wait_until(lambda: stands("vstack_model_calls_total", outcome), "the call is counted")
    finally:
        peer.wire.close()
        server.ask_to_stop()
        server.wait_ended(PATIENCE)
    counted = [stands("vstack_tokens_total", {"type": kind}) for kind in ("input", "output")]
    assert [*counted, stands("vstack_cost_usd_total")] == [USED.input_tokens, USED.output_tokens, USED.cost_usd]
    assert kept.told() == [(LLM_CALL, "ok", PASS), (LLM_CALL, call, TRY), (ANALYSIS, ends, USED)]
    (exchange,) = done
    (record,) = (one for _, told in exchange.log for one in told if isinstance(one, Record))
    assert (record.calls, record.outcome) == (2, ends)
    assert (record.input_tokens, record.output_tokens, record.cost_usd) == (7100, 3020, 0.75)
    replays(exchange.service, exchange.log)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_tries_are_told_of_over_all_lanes_as_they_come_to_nothing(runtime: str) -> None:
    # An answer without its message was paid for all the same.
    broken = Act(body=b'{"usage": {"prompt_tokens": 7000, "completion_tokens": 3000}, "choices": []}')
    told: list[Usage] = []
    with serving(broken) as first, serving(broken, Act(hang=True)) as second:
        fallback = provider("openai", second.url)
        guarded = GuardedProvider(provider("openai", first.url), limits=QUICK, fallbacks=[fallback])

        async def live() -> Usage:
            with counting(told.append) as spending:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(guarded.ask, question(model="claude-sonnet-5-5"), 60.0)
                    assert await seen(second, lambda: len(second.asked) == 2)
                    tasks.cancel_scope.cancel()
            await guarded.aclose()
            return spending.usage

        sums = run(runtime, live)
    assert (sums.input_tokens, sums.output_tokens) == (28_000, 12_000)
    assert [one.input_tokens for one in told] == [7000, 14_000, 21_000, 28_000]
    assert told[-1] == sums
    assert sums.cost_usd > 0


def test_what_failed_is_told_once_where_there_is_an_answer() -> None:
    told: list[Usage] = []

    async def live() -> Reply:
        guarded = GuardedProvider(ScriptedProvider([ProviderError("unavailable", "no", usage=TRY), "{}"]), limits=QUICK)
        with counting(told.append):
            return await guarded.ask(question(), 20.0)

    assert run("asyncio", live).usage == Usage(7100, 3020, cost_usd=0.5)
    assert told == [TRY]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_answer_that_is_being_recorded_is_paid_for(runtime: str, tmp_path: Path) -> None:
    class Leaving:
        """Answers, and has its caller leave in the same moment."""

        name, default_model = "leaving", "one"
        scope: anyio.CancelScope

        async def ask(self, request: ModelRequest, within: float) -> Reply:
            self.scope.cancel()
            return Reply("{}", TRY)

    leaving = Leaving()

    async def live() -> Usage:
        with anyio.CancelScope() as leaving.scope, counting(lambda usage: None) as spending:
            await TapeProvider(tmp_path, inner=leaving).ask(question(), 20.0)
        assert leaving.scope.cancelled_caught
        return spending.usage

    assert run(runtime, live) == TRY


def test_a_client_that_breaks_tells_what_came_before() -> None:
    def bug(request: ModelRequest) -> str:
        raise KeyError("a bug")

    kept = Kept()
    guarded = GuardedProvider(ScriptedProvider([ProviderError("unavailable", "no", usage=TRY), bug]), limits=QUICK)
    engine = Engine(Settings(drain_delay=0.0), provider=guarded, telemetry=kept, patterns=[PATTERN])
    server = conformance.reference().start(engine)
    peer = Peer(server.connect(), [])
    try:
        answer = peer.send(analysis("dear", model=None)).answer()
    finally:
        peer.wire.close()
        server.ask_to_stop()
        server.wait_ended(PATIENCE)
    assert (answer.status, answer.error) == (502, "analyzer_error")
    assert kept.told() == [(LLM_CALL, "rejected", TRY), (ANALYSIS, "analyzer_error", TRY)]


def test_what_is_spent_outside_a_call_is_nobodys() -> None:
    told: list[Any] = []
    spent(TRY)
    with counting(told.append) as outer:
        spent(TRY)
        with counting(told.append) as inner:
            spent(Usage())
        spent(PASS)
    spent(TRY)
    assert (outer.usage, inner.usage, told) == (USED, Usage(), [TRY, USED])
    assert isinstance(outer, Spending)
