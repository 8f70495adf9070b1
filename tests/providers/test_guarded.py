"""What stands around a provider: who is let through, who waits, who is turned away, and that nothing is left behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import anyio
import pytest

from tests.fakes.model_service import PATIENCE, Act, serving
from tests.providers.kit import NAMES, QUICK, RUNTIMES, Heard, asked, counted, provider, question, run, seen
from vstack_proto.resilience import RetryPolicy
from vstack_proto.values import ModelRequest, Usage
from vstack_runtime.backends import FailureKind, ProviderError
from vstack_runtime.providers.common import Reply, add
from vstack_runtime.providers.guarded import GuardedProvider, Limits
from vstack_runtime.scripted import ScriptedProvider

ONCE = RetryPolicy(tries=1)


def down(kind: FailureKind = "unavailable", status: int | None = 503) -> ProviderError:
    return ProviderError(kind, "scripted is away", status=status)


async def outcome(guarded: GuardedProvider, within: float = 20.0) -> str:
    try:
        await guarded.ask(question(), within)
    except ProviderError as error:
        return error.kind
    return "ok"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_breaker_opens_and_its_message_says_when_to_come_back(runtime: str) -> None:
    heard, scripted = Heard(), ScriptedProvider([down()])
    guarded = GuardedProvider(scripted, limits=Limits(policy=ONCE))
    guarded.watch(heard)

    async def twenty_five() -> ProviderError:
        for _ in range(24):
            assert await outcome(guarded) == "unavailable"
        with pytest.raises(ProviderError) as caught:
            await guarded.ask(question(), 20.0)
        # Another model of the same provider has a breaker of its own.
        with pytest.raises(ProviderError, match="away"):
            await guarded.ask(question(model="another"), 20.0)
        return caught.value

    refused = run(runtime, twenty_five)
    assert len(scripted.asked) == 21
    assert refused.message == "calls to scripted are suspended: most of them failed"
    assert refused.retry_after is not None
    assert 9.0 < refused.retry_after <= 10.0
    assert heard.states == [("scripted", "closed"), ("scripted", "open")]


def test_one_probe_closes_the_breaker_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import trio.testing

    scripted = ScriptedProvider([*[down()] * 20, "{}"], delay=1.0)
    guarded = GuardedProvider(scripted, limits=Limits(policy=ONCE))

    async def live() -> list[str]:
        for _ in range(20):
            assert await outcome(guarded) == "unavailable"
        told = [await outcome(guarded)]
        await anyio.sleep(10.0)

        async def probe() -> None:
            told.append(await outcome(guarded))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(probe)
            await anyio.sleep(0.5)
            told.append(await outcome(guarded))  # while the probe is under way
        told.append(await outcome(guarded))
        return told

    clock = trio.testing.MockClock(autojump_threshold=0)
    assert trio.run(live, clock=clock) == ["unavailable", "unavailable", "ok", "ok"]
    assert len(scripted.asked) == 22


def test_a_cancelled_probe_gives_its_place_to_the_next() -> None:
    import trio
    import trio.testing

    scripted = ScriptedProvider([*[down()] * 20, "{}"], delay=1.0)
    guarded = GuardedProvider(scripted, limits=Limits(policy=ONCE))

    async def live() -> str:
        for _ in range(20):
            await outcome(guarded)
        await anyio.sleep(10.0)
        with anyio.move_on_after(0.5):
            await outcome(guarded)
        return await outcome(guarded)

    assert trio.run(live, clock=trio.testing.MockClock(autojump_threshold=0)) == "ok"


def test_a_service_that_hangs_trips_the_breaker_though_its_caller_gives_up_first() -> None:
    import trio
    import trio.testing

    scripted = ScriptedProvider(["{}"], delay=1_000.0)
    guarded = GuardedProvider(scripted, limits=Limits(policy=ONCE))

    async def live() -> str:
        async def one() -> None:
            with anyio.move_on_after(20.0):
                await guarded.ask(question(), 20.0)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(one)
        return await outcome(guarded)

    assert trio.run(live, clock=trio.testing.MockClock(autojump_threshold=0)) == "unavailable"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_gate_bounds_what_runs_and_what_waits(runtime: str) -> None:
    heard = Heard()

    class Counting:
        """Answers nobody until the five beyond the queue have been refused."""

        name, default_model = "counting", "one"
        running = most = 0

        async def ask(self, request: ModelRequest, within: float) -> Reply:
            self.running += 1
            self.most = max(self.most, self.running)
            await refused.wait()
            self.running -= 1
            return Reply("{}")

    counting = Counting()
    guarded = GuardedProvider(counting, limits=Limits(concurrency=4, queue=6, policy=ONCE))
    guarded.watch(heard)
    told: list[str] = []
    refused: anyio.Event

    async def live() -> None:
        nonlocal refused
        refused = anyio.Event()

        async def one() -> None:
            told.append(await outcome(guarded))
            if told.count("overloaded") == 5:
                refused.set()

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(15):
                    tasks.start_soon(one)

    run(runtime, live)
    assert (counting.most, told.count("ok"), told.count("overloaded")) == (4, 10, 5)
    assert len(heard.waits) == 6


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_who_gives_up_in_the_queue_loses_no_place(runtime: str) -> None:
    scripted = ScriptedProvider(["{}"], delay=0.03)
    guarded = GuardedProvider(scripted, limits=Limits(concurrency=1, queue=9, policy=ONCE))

    async def live() -> list[str]:
        told: list[str] = []

        async def one(patience: float) -> None:
            told.append(await outcome(guarded, patience))

        async with anyio.create_task_group() as tasks:
            for patience in (9.0, 0.01, 0.03, 9.0):
                tasks.start_soon(one, patience)
        # Whoever left, the door is open again afterwards.
        return [*sorted(told), await outcome(guarded)]

    assert run(runtime, live) == ["late", "late", "ok", "ok", "ok"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_too_many_requests_halve_what_runs(runtime: str) -> None:
    with serving(*[Act(status=429)] * 8, Act(delay=0.02)) as server:
        guarded = GuardedProvider(provider("openai", server.url), limits=Limits(concurrency=8, policy=ONCE))

        async def eight(times: int) -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(times):
                    tasks.start_soon(outcome, guarded)

        async def live() -> tuple[int, int]:
            await eight(8)
            first = guarded.lanes[0].gate.limit
            await eight(12)
            second = guarded.lanes[0].gate.limit
            await guarded.aclose()
            return first, second

        assert run(runtime, live) == (4, 6)


def test_a_service_that_bears_ten_calls_is_found_out_by_forty_callers() -> None:
    import trio.testing

    class BearsTen:
        """Answers ten at once after a second each, and 429 to the others."""

        name, default_model = "bears", "ten"
        running = refused = 0

        async def ask(self, request: ModelRequest, within: float) -> Reply:
            if self.running >= 10:
                self.refused += 1
                await anyio.sleep(0.05)
                raise ProviderError("unavailable", "too many", status=429)
            self.running += 1
            await anyio.sleep(1.0)
            self.running -= 1
            return Reply("{}")

    service = BearsTen()
    # Every pause half of the longest: the figures are those of this test, not of a draw.
    guarded = GuardedProvider(service, draw=lambda: 0.5)
    told: list[str] = []

    async def live() -> tuple[int, int]:
        async def caller() -> None:
            while True:
                told.append(await outcome(guarded))

        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(caller)
            await anyio.sleep(5.0)
            early, failed = service.refused, told.count("unavailable")
            await anyio.sleep(60.0)
            tasks.cancel_scope.cancel()
        return service.refused - early, told.count("unavailable") - failed

    refused, failed = trio.run(live, clock=trio.testing.MockClock(autojump_threshold=0))
    # In a minute of some 500 calls: it is asked for one too many now and then, and the retry succeeds.
    assert (refused <= 15, failed) == (True, 0)
    assert told.count("ok") >= 400


def test_a_call_that_hangs_while_the_gate_is_narrow_does_not_take_the_others_along() -> None:
    import trio.testing

    class Hangs:
        """Says once that it is too much, hangs on the next call, and answers all others after a second."""

        name, default_model = "hangs", "once"
        asked = 0

        async def ask(self, request: ModelRequest, within: float) -> Reply:
            self.asked += 1
            if self.asked == 1:
                raise ProviderError("unavailable", "too many", status=429)
            await anyio.sleep(60.0 if self.asked == 2 else 1.0)
            return Reply("{}")

    guarded = GuardedProvider(Hangs(), limits=Limits(policy=ONCE))
    told: list[str] = []

    async def live() -> None:
        async def one(within: float) -> None:
            told.append(await outcome(guarded, within))

        assert (await outcome(guarded), guarded.lanes[0].gate.limit) == ("unavailable", 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, 50.0)
            await anyio.sleep(0.1)
            for _ in range(5):
                tasks.start_soon(one, 30.0)

    trio.run(live, clock=trio.testing.MockClock(autojump_threshold=0))
    # Ten seconds on, the others go in, and the limit grows with each that goes well; the one that hangs meets its end.
    assert told == ["ok"] * 5 + ["late"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_retries_stop_where_their_budget_ends(runtime: str) -> None:
    heard, scripted = Heard(), ScriptedProvider([down(status=None)])
    guarded = GuardedProvider(scripted, limits=Limits(policy=RetryPolicy(base=0.0)))
    guarded.watch(heard)

    async def live() -> None:
        for model in range(60):
            with pytest.raises(ProviderError):
                # A model each, so that no breaker stops what the budget must.
                await guarded.ask(question(model=f"m{model}"), 20.0)

    run(runtime, live)
    # Ten at first, then one for every ten calls; the very first finds nothing to fill up.
    assert len(heard.retries) == 10 + 59 // 10
    assert len(scripted.asked) == 60 + len(heard.retries)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_only_calls_that_are_sent_pay_for_retries(runtime: str) -> None:
    heard, scripted = Heard(), ScriptedProvider([down()])
    guarded = GuardedProvider(scripted, limits=Limits(concurrency=1, queue=0, policy=RetryPolicy(base=0.0)))
    guarded.watch(heard)

    async def live() -> list[str]:
        told = [await outcome(guarded) for _ in range(300)]  # soon the breaker lets none of them through
        assert (len(scripted.asked), len(heard.retries)) == (20, 10)

        async def full() -> None:
            told.append(await outcome(guarded))

        gate = guarded.lanes[0].gate
        assert gate.enter(anyio.Event(), 0.0) == "enters"
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(full)
        gate.leave(0.0, 0.0, None)
        # A model with a breaker of its own: what the four hundred asked for in vain was saved up for nobody.
        with pytest.raises(ProviderError):
            await guarded.ask(question(model="another"), 20.0)
        return told

    told = run(runtime, live)
    assert (told.count("unavailable"), told.count("overloaded")) == (300, 100)
    # Ten first tries and ten retries opened the breaker: those ten calls save up one retry, which the last call makes.
    assert (len(scripted.asked), len(heard.retries)) == (22, 11)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_fallback_is_asked_its_own_model_and_named(runtime: str) -> None:
    with serving(Act(status=503)) as first, serving(Act(text="{}")) as second:
        fallback = provider("ollama", second.url)
        guarded = GuardedProvider(provider("anthropic", first.url), limits=QUICK, fallbacks=[fallback])
        reply = asked(runtime, guarded)
    assert reply == Reply("{}", Usage(100, 10), fallback.default_model)
    assert (len(first.asked), second.asked[0].body["model"]) == (3, fallback.default_model)


@pytest.mark.parametrize("act", [Act(status=401), Act(stop="refusal"), Act(stop="max_tokens")])
def test_no_fallback_for_what_is_no_outage(act: Act) -> None:
    with serving(act) as first, serving(Act(text="{}")) as second:
        guarded = GuardedProvider(
            provider("anthropic", first.url), limits=QUICK, fallbacks=[provider("ollama", second.url)]
        )
        with pytest.raises(ProviderError):
            asked("asyncio", guarded)
    assert second.asked == []


def test_the_last_fallback_has_the_last_word_and_all_tokens_are_told() -> None:
    class Costly:
        name = "costly"

        def __init__(self, default_model: str) -> None:
            self.default_model = default_model

        async def ask(self, request: ModelRequest, within: float) -> Reply:
            raise ProviderError("unavailable", f"{self.default_model} is away", usage=Usage(5, 1))

    lanes = [Costly(name) for name in ("one", "two", "three")]
    guarded = GuardedProvider(lanes[0], limits=QUICK, fallbacks=lanes[1:])

    async def live() -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await guarded.ask(question(), 20.0)
        await guarded.aclose()
        return caught.value

    error = run("asyncio", live)
    assert (error.message, error.usage) == ("three is away", Usage(45, 9))


def test_tokens_of_a_failed_try_and_of_the_answer_are_added() -> None:
    # An answer without its message was paid for all the same.
    broken = b'{"usage": {"prompt_tokens": 7, "completion_tokens": 3}, "choices": []}'
    with serving(Act(body=broken), Act()) as server:
        reply = asked("asyncio", GuardedProvider(provider("openai", server.url), limits=QUICK))
    first = Usage(7, 3, cost_usd=(7 * 2.0 + 3 * 10.0) / 1e6)
    assert reply.usage == add(first, counted("openai"))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_cancelled_calls_leave_nothing_behind(name: str, runtime: str) -> None:
    with serving(Act(hang=True)) as server:
        guarded = GuardedProvider(provider(name, server.url), limits=Limits(concurrency=250))

        async def round_of(number: int, before: int) -> None:
            start = len(server.asked)
            async with anyio.create_task_group() as tasks:
                for _ in range(number):
                    tasks.start_soon(guarded.ask, question(), 60.0)
                # Some are cancelled while they connect, some while they wait for the answer.
                assert await seen(server, lambda: len(server.asked) >= start + number // 2)
                tasks.cancel_scope.cancel()
            # The server's ends are open in this process as well, and some of them still wait to be accepted.
            # How long that takes is the fake server's affair, which has one thread for them all.
            with anyio.fail_after(PATIENCE):
                while descriptors() > before:
                    await anyio.lowlevel.checkpoint()

        async def live() -> None:
            await round_of(10, 10_000)
            gc.collect()
            before = descriptors()
            for _ in range(4):
                await round_of(250, before)
            gate = guarded.lanes[0].gate
            assert (gate.running, gate.waiting) == (0, 0)
            await guarded.aclose()

        run(runtime, live)


def pooled(one: object) -> Callable[[], int]:
    client = getattr(one, "_http")  # noqa: B009 - private, and typed differently for each
    inner = getattr(client, "_client", client)
    return lambda: sum(len(pool._pool.connections) for pool in inner._transport._pools)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_no_connection_stays_in_the_pool_that_nobody_uses(name: str, runtime: str) -> None:
    with serving(Act(hang=True)) as server:
        one = provider(name, server.url)
        count = pooled(one)

        async def live() -> int:
            for moment in range(30):
                # A moment more each time: before, while and after the connection is made.
                with anyio.move_on_after(moment * 0.0002):
                    await one.ask(question(), 60.0)
            left = count()
            await one.aclose()
            return left

        # One may be idle and whole; those cut short must be gone.
        assert run(runtime, live) <= 1
