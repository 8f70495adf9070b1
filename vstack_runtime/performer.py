"""Commands carried out: once, for every driver.

``perform_now`` answers at once where what is asked for is at hand; where it is not, it says ``LATER`` and the driver
awaits ``perform`` in a task of its own.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal, cast

import anyio

from vstack_proto.commands import (
    AggregateOutcomes,
    CallModel,
    CheckKey,
    CheckReadiness,
    Command,
    JoinFlight,
    LandFlight,
    LeaveFlight,
    LookUpCache,
    Record,
    RecordTelemetry,
    RenderMetrics,
    StoreCache,
    TakeQuota,
)
from vstack_proto.events import (
    Answered,
    CacheAnswered,
    KeyChecked,
    MetricsRendered,
    ModelAnswered,
    ModelFailed,
    ModelTried,
    QuotaAnswered,
    ReadinessAnswered,
)
from vstack_proto.quota import Decision
from vstack_proto.values import Alias, CacheEntry, Usage
from vstack_runtime import judging
from vstack_runtime.backends import CacheBackend, LocalCache, LocalRateLimiter, ProviderError, RateLimiter
from vstack_runtime.chosen_stores import Trouble
from vstack_runtime.engine import Engine
from vstack_runtime.flying import Flying, Party
from vstack_runtime.keeping import KEPT, Keeper
from vstack_runtime.logs import log_requests
from vstack_runtime.spending import counting

# Aliases of a cache that lives elsewhere are remembered here; a few megabytes at most.
_MAX_ALIASES = 16_384


# How long a store elsewhere may keep a request waiting, at each call. Those in Redis give up by themselves, and sooner.
STORE_SECONDS = 1.0

# How long records of finished requests may gather, and how many: nobody reads a log or a scrape sooner.
RECORD_SECONDS = 0.01
MAX_RECORDS = 256


class Later(enum.Enum):
    """The type of ``LATER``."""

    LATER = "later"


LATER = Later.LATER


Outcome = Answered | Later | None


class Performer:
    """Carries commands out for the exchanges of one process."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        """
        Args:
            engine: What the process is made of.
            clock: Monotonic seconds: the clock that stamps every event of this runtime.
        """
        self.engine = engine
        self.clock = clock
        self.flying = Flying(
            engine.service.policy.limits.max_in_flight,
            lambda: self.clock(),
            engine.metrics.in_flight,
            engine.flights,
            self._entry_elsewhere,
            self._store_elsewhere,
        )
        self._troubles = {role: Trouble(f"{role} store failed", engine.metrics, role) for role in ("quota", "cache")}
        self._aliases: OrderedDict[str, Alias] = OrderedDict()
        # Asked once: to ask a protocol whether it fits costs more than to serve from it.
        self._limiter = engine.limiter if isinstance(engine.limiter, LocalRateLimiter) else None
        self._cache = engine.cache if isinstance(engine.cache, LocalCache) else None
        # A loop that can call back lets records gather, so that the code that counts and writes them is run while it is
        # warm; None: each at once.
        self.call_later: Callable[[float, Callable[[], object]], object] | None = None
        self._records: list[tuple[Record, float, float]] = []
        # Not the clock itself: a driver may give another once its loop runs.
        self._keeper = Keeper(engine, lambda: self.clock())
        self._arms: dict[type[Command], Callable[[Any, Party, float], Outcome]] = {
            CheckKey: self._check_key,
            TakeQuota: self._take_quota,
            LookUpCache: self._look_up,
            StoreCache: self._store,
            JoinFlight: self._join,
            LandFlight: self._land,
            LeaveFlight: self._leave,
            CallModel: self._ask_model,
            CheckReadiness: self._check_readiness,
            RenderMetrics: self._render,
            Record: self._record,
            RecordTelemetry: self._take_telemetry,
            **dict.fromkeys(KEPT, lambda command, party, at: LATER),
            AggregateOutcomes: self._aggregate,
        }

    def perform_now(self, command: Command, party: Party, at: float) -> Outcome:
        """Carry a command out, if that takes no waiting.

        Args:
            command: What to do.
            party: Who asks, and is told what comes later.
            at: The driver's reading of the clock.

        Returns:
            The answer; None where there is none to give; ``LATER`` where ``perform`` must be awaited.
        """
        return self._arms[type(command)](command, party, at)

    async def perform(self, command: Command, told: Callable[[Answered], object] | None = None) -> Answered | None:
        """Carry out a command that takes waiting, and return its answer.

        Cancelling it closes what it holds. It raises nothing else: whatever goes wrong is an answer too.

        Args:
            command: What to do.
            told: Told what there is to tell before the answer.
        """
        if isinstance(command, CallModel):
            return await self._call_model(command, told)
        if isinstance(command, TakeQuota):
            return await self._take_quota_elsewhere(command)
        if isinstance(command, LookUpCache):
            return await self._look_up_elsewhere(command)
        if isinstance(command, KEPT):
            return await self._keeper.perform(command)
        assert isinstance(command, StoreCache), command
        await self._store_elsewhere(command)
        return None

    # Keys and quota.

    def _check_key(self, command: CheckKey, party: Party, at: float) -> Outcome:
        keys = self.engine.keys()
        return KeyChecked(at=at, ticket=command.ticket, name=keys.name_of(command.credential), loaded=len(keys))

    def _take_quota(self, command: TakeQuota, party: Party, at: float) -> Outcome:
        if command.rule == "auth_failures":
            return self._decided(command, self.engine.penalties.take_now(command.key, at), at)
        if self._limiter is None:
            return LATER
        try:
            decision = judging.decision(self._limiter.take_now(command.key, at))
        except Exception as error:
            return self._not_counted(command, error, at)
        self._troubles["quota"].passed()
        return self._decided(command, decision, at)

    async def _take_quota_elsewhere(self, command: TakeQuota) -> Answered:
        limiter = self.engine.limiter
        assert isinstance(limiter, RateLimiter)
        try:
            with anyio.fail_after(STORE_SECONDS):
                decision = judging.decision(await limiter.take(command.key))
        except Exception as error:
            return self._not_counted(command, error, self.clock())
        self._troubles["quota"].over()
        return self._decided(command, decision, self.clock())

    def _not_counted(self, command: TakeQuota, error: Exception, at: float) -> QuotaAnswered:
        """The limiter has failed: what then happens is the operator's to say."""
        self._troubles["quota"].met(error, at)
        if self.engine.store_failure == "closed":
            self.engine.metrics.quota(command.rule, "unavailable")
            return QuotaAnswered(at=at, ticket=command.ticket, verdict="unavailable")
        return self._decided(command, self.engine.fallback_limiter.take_now(command.key, at), at)

    def _decided(self, command: TakeQuota, decision: Decision, at: float) -> QuotaAnswered:
        verdict: Literal["admitted", "refused"] = "admitted" if decision.admitted else "refused"
        self.engine.metrics.quota(command.rule, verdict)
        return QuotaAnswered(
            at=at,
            ticket=command.ticket,
            verdict=verdict,
            # Where no window is set, no limit applies, and none is told.
            limit=decision.limit if decision.limit or not decision.admitted else -1,
            remaining=decision.remaining,
            retry_after=decision.retry_after,
            reset=decision.reset,
            window=decision.window,
        )

    # Cache.

    def _look_up(self, command: LookUpCache, party: Party, at: float) -> Outcome:
        cache = self._cache
        if cache is None:
            return LATER if command.key or command.alias in self._aliases else self._missed(command, at)
        try:
            answer = self._look_up_here(cache, command, at)
        except Exception as error:
            self._troubles["cache"].met(error, at)
            return self._missed(command, at)
        self._troubles["cache"].passed()
        return answer

    def _look_up_here(self, cache: LocalCache, command: LookUpCache, at: float) -> CacheAnswered:
        if command.key is None:
            found = judging.finding(cache.find_now(command.alias or "", at))
            if found is None:
                return CacheAnswered(at=at, ticket=command.ticket)
            helped = self._keeper.known(command, found[0], at) if command.pattern else None
            return CacheAnswered(at=at, ticket=command.ticket, entry=found[1], alias=found[0], helped=helped)
        entry = judging.entry(cache.get_now(command.key, at))
        if entry is not None and command.alias and command.meaning:
            cache.learn_now(command.alias, command.meaning)
        return CacheAnswered(at=at, ticket=command.ticket, entry=entry, alias=command.meaning)

    def _missed(self, command: LookUpCache, at: float) -> CacheAnswered:
        return CacheAnswered(at=at, ticket=command.ticket)

    async def _look_up_elsewhere(self, command: LookUpCache) -> Answered:
        meaning = command.meaning or self._aliases.get(command.alias or "")
        if self.engine.cache is None or meaning is None:
            return self._missed(command, self.clock())
        entry = await self._entry_elsewhere(meaning.key)
        if entry is not None and command.alias:
            self._learn(command.alias, meaning)
        return CacheAnswered(at=self.clock(), ticket=command.ticket, entry=entry, alias=meaning)

    async def _entry_elsewhere(self, key: str) -> CacheEntry | None:
        """What a cache elsewhere holds; one that fails holds nothing."""
        cache = cast("CacheBackend | None", None if self._cache else self.engine.cache)
        if cache is None:
            return None
        try:
            with anyio.fail_after(STORE_SECONDS):
                entry = judging.entry(await cache.get(key))
        except Exception as error:
            self._troubles["cache"].met(error, self.clock())
            return None
        self._troubles["cache"].over()
        return entry

    def _store(self, command: StoreCache, party: Party, at: float) -> Outcome:
        cache = self._cache
        if cache is None:
            return None if self.flying.keep_later(command) else LATER
        try:
            cache.put_now(command.key, command.entry, at)
            cache.learn_now(command.alias, command.meaning)
        except Exception as error:
            self._troubles["cache"].met(error, at)
        return None

    async def _store_elsewhere(self, command: StoreCache) -> None:
        cache = cast("CacheBackend | None", self.engine.cache)
        if cache is None:
            return
        try:
            with anyio.fail_after(STORE_SECONDS):
                await cache.put(command.key, command.entry)
            self._troubles["cache"].over()
        except Exception as error:
            self._troubles["cache"].met(error, self.clock())
            return
        self._learn(command.alias, command.meaning)

    def _learn(self, alias: str, meaning: Alias) -> None:
        self._aliases[alias] = meaning
        self._aliases.move_to_end(alias)
        if len(self._aliases) > _MAX_ALIASES:
            self._aliases.popitem(last=False)

    # Flights.

    def _join(self, command: JoinFlight, party: Party, at: float) -> Outcome:
        return self.flying.join(command, party, at)

    def _land(self, command: LandFlight, party: Party, at: float) -> Outcome:
        self.flying.land(command, party)
        return None

    def _leave(self, command: LeaveFlight, party: Party, at: float) -> Outcome:
        self.flying.leave(command, party)
        return None

    # Models.

    def _ask_model(self, command: CallModel, party: Party, at: float) -> Outcome:
        self.flying.asked(command, party)
        return LATER

    async def _call_model(self, command: CallModel, told: Callable[[Answered], object] | None) -> Answered:
        provider, request = self.engine.provider, command.request
        began = self.clock()
        observers = self.engine.observers
        if provider is None:
            return ModelFailed(at=began, ticket=command.ticket, kind="unresolved", message="no provider is configured")
        call = observers.begin_call(provider.name, request.model)

        def ended(outcome: str, usage: Usage) -> float:
            now = self.clock()
            self.engine.metrics.model_call(provider.name, request.model, outcome, now - began, usage)
            observers.end_call(call, outcome, now - began, self.engine.wall(), usage)
            return now

        def tried(usage: Usage) -> None:
            if told is not None:
                told(ModelTried(at=self.clock(), ticket=command.ticket, usage=usage))

        with counting(tried) as spending:
            try:
                text, usage, model = judging.reply(await provider.ask(request, max(0.0, command.deadline - began)))
            except ProviderError as error:
                return ModelFailed(
                    at=ended(error.kind, error.usage),
                    ticket=command.ticket,
                    kind=error.kind,
                    message=error.message,
                    retry_after=error.retry_after,
                    usage=error.usage,
                )
            except Exception:
                observers.crashed("provider failed", provider=provider.name)
                at, message = ended("rejected", spending.usage), "the provider's client failed"
                return ModelFailed(at=at, ticket=command.ticket, kind="rejected", message=message, usage=spending.usage)
            except BaseException:
                # Cancelled: its caller left, or had its answer at the deadline. What the last try used, nobody tells.
                ended("late" if self.clock() >= command.deadline else "cancelled", spending.usage)
                raise
        return ModelAnswered(at=ended("ok", usage), ticket=command.ticket, text=text, usage=usage, model=model)

    # Learnings, telemetry, baselines.

    def _aggregate(self, command: AggregateOutcomes, party: Party, at: float) -> Outcome:
        return self._keeper.remembered(command, at) or LATER

    def _take_telemetry(self, command: RecordTelemetry, party: Party, at: float) -> Outcome:
        self._keeper.record_telemetry(command)
        return None

    # The service itself.

    def _check_readiness(self, command: CheckReadiness, party: Party, at: float) -> Outcome:
        status, detail, checks = self.engine.readiness()
        return ReadinessAnswered(at=at, ticket=command.ticket, status=status, detail=detail, checks=checks)

    def _render(self, command: RenderMetrics, party: Party, at: float) -> Outcome:
        self.flush()
        kind, body = self.engine.metrics.render(command.accept)
        return MetricsRendered(at=at, ticket=command.ticket, content_type=kind, body=body)

    def _record(self, command: Record, party: Party, at: float) -> Outcome:
        # Whatever was computed in this turn took time too: the clock is read again.
        told = command, self.clock() - command.started, self.engine.wall()
        self._records.append(told)
        if self.call_later is None:
            self.flush()
        elif len(self._records) == 1:
            self.call_later(RECORD_SECONDS, self.flush)
        elif len(self._records) >= MAX_RECORDS:
            self.flush()
        return None

    def flush(self) -> None:
        """Count, time and log what was gathered."""
        records, self._records = self._records, []
        metrics = self.engine.metrics
        for command, duration, _ in records:
            metrics.record(command, duration)
            if command.cache:
                metrics.cache(command.cache)
        log_requests(records)
        if self.engine.observers.on:
            self.engine.observers.requests(records)
