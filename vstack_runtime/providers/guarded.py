"""What stands between the analyses and a provider: a gate, a breaker, retries within a budget, and fallbacks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import anyio
import msgspec

from vstack_proto.resilience import Breaker, BreakerState, Gate, RetryBudget, RetryPolicy
from vstack_proto.values import ModelRequest, Usage
from vstack_runtime.backends import Provider, ProviderError
from vstack_runtime.providers.common import THROTTLED, Reply, add
from vstack_runtime.spending import spent

# Models that have a breaker of their own; callers may name any, where no list forbids it.
_MAX_BREAKERS = 256

# What a model may reasonably take: a call that was given less and got no answer is not held against the service.
_FAIR_SECONDS = 10.0

Verdict = Literal["ok", "throttled"] | None


class Observer(Protocol):
    """Who is told what happens around the calls; the metrics are one."""

    def retried(self, provider: str) -> None:
        """A call is tried again."""
        ...

    def breaker(self, provider: str, state: BreakerState) -> None:
        """The breaker of a provider stands like this now."""
        ...

    def queue_wait(self, seconds: float) -> None:
        """A call waited for its turn."""
        ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a provider is asked at once.

    Attributes:
        concurrency: Calls at once, at most.
        queue: Calls that may wait, by default twice as many: with calls of ten seconds, the last one waits for twenty.
        cut_after: Seconds from its deadline until a call is cut, for who keeps the deadline too, answers first and then
            cancels the call: to take down a hundred calls before their answers would make those late.
        policy: When a failed try is followed by another.
    """

    concurrency: int = 512
    queue: int | None = None
    cut_after: float = 0.0
    policy: RetryPolicy = RetryPolicy()


class Lane:
    """One provider, with all that guards it.

    Attributes:
        provider: Who is asked.
        gate: How many calls may run.
        observer: Who is told.
    """

    def __init__(self, provider: Provider, limits: Limits, draw: Callable[[], float]) -> None:
        self.provider = provider
        self.observer: Observer | None = None
        self._policy = limits.policy
        self._cut_after = limits.cut_after
        queue = limits.queue if limits.queue is not None else 2 * limits.concurrency
        self.gate: Gate[anyio.Event] = Gate(limits.concurrency, queue)
        self._budget = RetryBudget()
        self._breakers: dict[str, Breaker] = {}
        self._draw = draw

    async def ask(self, request: ModelRequest, deadline: float) -> Reply:
        """Ask until there is an answer, or no sense in asking on; the error tells what all tries have used."""
        used, failures = Usage(), 0
        while True:
            try:
                reply = await self._try(request, deadline, first=not failures)
                return Reply(reply.text, add(used, reply.usage))
            except ProviderError as error:
                spent(error.usage)
                used, failures = add(used, error.usage), failures + 1
                error.usage = used
                pause = self._pause(error, failures, deadline)
                if pause is None:
                    raise
            await anyio.sleep(pause)
            if self.observer is not None:
                self.observer.retried(self.provider.name)

    def _pause(self, error: ProviderError, failures: int, deadline: float) -> float | None:
        if error.kind != "unavailable" or isinstance(error, _NotTried):
            return None
        pause = self._policy.pause(failures, deadline - anyio.current_time(), error.retry_after, self._draw())
        return pause if pause is not None and self._budget.take() else None

    async def _try(self, request: ModelRequest, deadline: float, *, first: bool) -> Reply:
        await self._enter(deadline)
        entered = anyio.current_time()
        breaker = self._breaker(request.model)
        verdict: Verdict = None
        was = breaker.state
        admission = breaker.admit(entered)
        self._tell(breaker, was)
        ok: bool | None = None
        try:
            if admission is None:
                told = f"calls to {self.provider.name} are suspended: most of them failed"
                raise _NotTried("unavailable", told, breaker.retry_after(entered))
            if first:
                self._budget.sent()
            reply = await self._call(request, deadline)
            ok, verdict = True, "ok"
            return reply
        except ProviderError as error:
            ok, verdict = _judged(error, deadline - entered)
            raise
        except BaseException:
            # Whoever waits for the answer has the same deadline and may be the first to give up.
            if anyio.current_time() >= deadline - 0.01:
                ok = _late(deadline - entered)
            raise
        finally:
            # Also where the call is cancelled: nobody may hold a place, or a probe, that no one gives back.
            now = anyio.current_time()
            if admission is not None:
                was = breaker.state
                breaker.settle(admission, now, ok)
                self._tell(breaker, was)
            self._leave(entered, now, verdict)

    async def _call(self, request: ModelRequest, deadline: float) -> Reply:
        left = deadline - anyio.current_time() + self._cut_after
        used = Usage()
        with anyio.move_on_after(left):
            reply = await self.provider.ask(request, left)
            if anyio.current_time() <= deadline:
                return Reply(reply.text, reply.usage)
            used = reply.usage
        raise ProviderError("late", f"{self.provider.name} did not answer in time", usage=used)

    # The gate.

    async def _enter(self, deadline: float) -> None:
        turn, began = anyio.Event(), anyio.current_time()
        answer = self.gate.enter(turn, began)
        if answer == "refused":
            told = (
                f"{self.gate.running} calls to {self.provider.name} are running and {self.gate.waiting} wait; "
                "VSTACK_LLM_MAX_CONCURRENCY sets how many may run"
            )
            raise ProviderError("overloaded", told, 1.0)
        if answer == "enters":
            return
        try:
            await self._wait(turn, deadline)
        except BaseException:
            self._withdraw(turn)
            raise
        if self.observer is not None:
            self.observer.queue_wait(anyio.current_time() - began)

    async def _wait(self, turn: anyio.Event, deadline: float) -> None:
        while not turn.is_set():
            now = anyio.current_time()
            if now >= deadline:
                raise ProviderError("late", f"no turn for a call to {self.provider.name} came in time")
            self._admit(self.gate.widen(now))
            with anyio.move_on_after(min(deadline, self.gate.stalls_at) - now):
                await turn.wait()

    def _withdraw(self, turn: anyio.Event) -> None:
        if not self.gate.give_up(turn):
            # Its turn had come in the same moment: the place goes to the next.
            now = anyio.current_time()
            self._leave(now, now, None)

    def _leave(self, entered: float, now: float, verdict: Verdict) -> None:
        self._admit(self.gate.leave(entered, now, verdict))

    def _admit(self, turns: Sequence[anyio.Event]) -> None:
        for turn in turns:
            turn.set()

    # Breakers.

    def _breaker(self, model: str) -> Breaker:
        breaker = self._breakers.get(model)
        if breaker is None:
            if len(self._breakers) >= _MAX_BREAKERS:
                # One for all that are too many; names of models come from callers.
                return self._breakers.setdefault("", Breaker())
            breaker = self._breakers[model] = Breaker()
        return breaker

    def _tell(self, breaker: Breaker, was: BreakerState) -> None:
        # A gauge costs more than the breaker itself, so it is told of changes only.
        if self.observer is not None and breaker.state != was:
            states = {one.state for one in self._breakers.values()}
            worst: BreakerState = "open" if "open" in states else "half_open" if "half_open" in states else "closed"
            self.observer.breaker(self.provider.name, worst)


class _NotTried(ProviderError):
    """The service was not asked."""


def _late(given: float) -> bool | None:
    """What a call that was not answered says of the service; one that was given little time says nothing."""
    return False if given >= _FAIR_SECONDS else None


def _judged(error: ProviderError, given: float) -> tuple[bool | None, Verdict]:
    """Whether the service did its part, and what the gate learns."""
    if isinstance(error, _NotTried):
        return None, None
    if error.kind == "late":
        return _late(given), None
    if error.status in THROTTLED:
        # It is there, and says that it has too much to do: the gate's business, not the breaker's.
        return None, "throttled"
    return error.kind != "unavailable", None


class GuardedProvider:
    """A provider with its guards, and others to turn to when it cannot be reached; itself a provider.

    Attributes:
        name, default_model: The first provider's.
        lanes: The providers in the order in which they are asked, each with its guards.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        fallbacks: Sequence[Provider] = (),
        draw: Callable[[], float] = random.random,
    ) -> None:
        """
        Args:
            provider: Asked first.
            limits: For each provider by itself.
            fallbacks: Asked in turn, each its default model, where those before could not be reached or were full.
            draw: Random numbers in [0, 1).
        """
        self.name = provider.name
        self.default_model = provider.default_model
        self.lanes = [Lane(one, limits, draw) for one in (provider, *fallbacks)]

    def watch(self, observer: Observer) -> None:
        """Tell an observer from now on."""
        for lane in self.lanes:
            lane.observer = observer
            observer.breaker(lane.provider.name, "closed")

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        """Ask a model; the usage tells of every try.

        Raises:
            ProviderError: As the last provider that was asked has it.
        """
        deadline = anyio.current_time() + within
        used = Usage()
        for lane in self.lanes[:-1]:
            try:
                return _labelled(await lane.ask(request, deadline), used, request.model, lane is self.lanes[0])
            except ProviderError as error:
                if error.kind not in ("unavailable", "overloaded"):
                    error.usage = add(used, error.usage)
                    raise
                used = add(used, error.usage)
                following = self.lanes[self.lanes.index(lane) + 1]
                request = msgspec.structs.replace(request, model=following.provider.default_model)
        lane = self.lanes[-1]
        try:
            return _labelled(await lane.ask(request, deadline), used, request.model, lane is self.lanes[0])
        except ProviderError as error:
            error.usage = add(used, error.usage)
            raise

    async def aclose(self) -> None:
        """Close the connections of every provider that holds any."""
        for lane in self.lanes:
            close = getattr(lane.provider, "aclose", None)
            if close is not None:
                await close()


def _labelled(reply: Reply, used: Usage, model: str, first: bool) -> Reply:
    return Reply(reply.text, add(used, reply.usage), "" if first else model)
