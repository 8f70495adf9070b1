"""What one process is made of: the service it offers, its stores, its model provider, and whether it takes traffic."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import anyio

from vstack_proto.auth import KeyTable
from vstack_proto.catalogue import AnyPattern, Catalogue
from vstack_proto.contributed import REST, Contribute
from vstack_proto.hosts import allowed_hosts
from vstack_proto.policy import Policy
from vstack_proto.service import Service
from vstack_runtime.backends import (
    CacheBackend,
    FlightStore,
    LocalCache,
    LocalRateLimiter,
    MemoryLimiter,
    Provider,
    RateLimiter,
)
from vstack_runtime.chosen_stores import (
    choose_baselines,
    choose_cache,
    choose_flights,
    choose_learnings,
    choose_limiter,
    choose_telemetry,
    described,
    watched,
)
from vstack_runtime.installed import installed_patterns as installed_patterns
from vstack_runtime.installed import installed_routes as installed_routes
from vstack_runtime.logs import get_logger
from vstack_runtime.metrics import Metrics, are_shared
from vstack_runtime.observing import Observers
from vstack_runtime.parts import check_parts, check_patterns
from vstack_runtime.providers.choosing import choose
from vstack_runtime.providers.guarded import GuardedProvider
from vstack_runtime.settings import Settings, given_or_read
from vstack_runtime.stopping import FLUSH_SECONDS
from vstack_runtime.stores import BaselineStore, LearningStore, TelemetrySink, TelemetryStore
from vstack_runtime.taping import TapeRecorder

_log = get_logger()

# Until a changed file of keys counts, at most.
KEYS_SECONDS = 1.0

Status = Literal["ready", "warming", "draining", "misconfigured"]


@functools.cache
def version() -> str:
    """The version of the installed distribution."""
    return importlib.metadata.version("vstack")


async def _flush(sink: TelemetrySink) -> None:
    """Have a sink that somebody else closes keep what it has taken."""
    try:
        with anyio.move_on_after(FLUSH_SECONDS) as scope:
            await sink.flush()
    except Exception:
        _log.warning("telemetry could not be flushed", what=type(sink).__name__, exc_info=True)
    else:
        if scope.cancelled_caught:
            _log.warning("telemetry was not flushed in time", what=type(sink).__name__, seconds=FLUSH_SECONDS)


async def _close(one: Any) -> None:
    """Close a store or a provider, if it can be; one that fails must not keep the others from it."""
    close = getattr(one, "aclose", None)
    try:
        if close is not None:
            await close()
    except Exception:
        _log.warning("something could not be closed", what=type(one).__name__, exc_info=True)


class Engine:
    """The parts of a process, put together; every driver of the process shares one.

    Attributes:
        service: Policy, patterns, routes.
        limiter: Counts requests; None where no quota is set.
        penalties: Counts wrong keys by address.
        fallback_limiter: Counts requests while the limiter is away, by the quota of the settings; admits all without.
        cache: Keeps detections; None where caching is off.
        flights: Ties the flights of several replicas together; None where there is only this one.
        provider: The model service; None where none is configured.
        learnings: Keeps learnings; None where that is off.
        telemetry: Takes what analyses cost; None where that is off.
        tapes: Keeps tapes; None where that is off.
        observers: Whoever else is told what happens.
        baselines: Keeps detections for comparison; None where there is no home.
        status: What ``/readyz`` says: set by whoever serves.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        limiter: RateLimiter | LocalRateLimiter | None = None,
        cache: CacheBackend | LocalCache | None = None,
        flights: FlightStore | None = None,
        provider: Provider | None = None,
        patterns: Iterable[AnyPattern] | None = None,
        learnings: LearningStore | None = None,
        telemetry: TelemetrySink | None = None,
        tapes: TapeRecorder | None = None,
        contributed: Iterable[Contribute] | None = None,
        baselines: BaselineStore | None = None,
        runtime: str = "",
        env: Mapping[str, str] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            settings: As the operator made them.
            limiter, cache, provider, learnings, telemetry, baselines, tapes: In the place of what the settings choose.
            flights: Likewise; where a cache is given, none is chosen.
            patterns: The patterns to offer; by default every installed one.
            contributed: What adds routes; by default whatever is installed.
            runtime: Name of the runtime, for the metrics.
            env: Holds the keys and base URLs of model services; by default the process's environment.
            wall: Wall clock, seconds since 1970.

        Raises:
            SettingsError: The settings name a provider whose key is missing.
            TypeError, ValueError, PackageError: A part does not fit its protocol; a pattern or package cannot be used.
        """
        check_parts(provider=provider, tapes=tapes)
        self.settings, self.wall = given_or_read(settings), wall
        chosen = check_patterns(patterns) if patterns is not None else installed_patterns()
        self.limiter, self.cache, self.flights = limiter, cache, flights
        self.learnings, self.telemetry, self.baselines = learnings, telemetry, baselines
        self._choose_stores(settings, Catalogue(chosen).patterns)
        # Only what is made here is closed here.
        self._chosen = choose(settings, os.environ if env is None else env) if provider is None else None
        self.provider: Provider | None = provider or self._chosen
        more = installed_routes() if contributed is None else contributed
        self.service = Service(self._policy(), chosen, contributed=more)
        self.metrics = self._made_metrics(runtime)
        self.tapes = self._taped(tapes)
        self.observers = Observers(settings.observing, version())
        self.key_file, self._keys = settings.key_file, settings.keys
        self.status: Status = "warming"

    def _choose_stores(self, settings: Settings, names: Iterable[str]) -> None:
        """Whatever was not given, as the settings choose it; what was given must fit."""
        check_parts(limiter=self.limiter, cache=self.cache, flights=self.flights)
        check_parts(learnings=self.learnings, telemetry=self.telemetry, baselines=self.baselines)
        self.store_failure = settings.store_failure
        given = (self.limiter, self.cache, self.flights, self.learnings, self.telemetry, self.baselines)
        if self.flights is None and self.cache is None:
            self.flights = choose_flights(settings)
        if self.limiter is None:
            self.limiter = choose_limiter(settings)
        if self.cache is None:
            self.cache = choose_cache(settings)
        self.fallback_limiter = MemoryLimiter(settings.rate_limit)
        self.penalties = MemoryLimiter(settings.auth_failures)
        if self.learnings is None:
            self.learnings = choose_learnings(settings, names)
        if self.baselines is None:
            self.baselines = choose_baselines(settings, names, self.learnings)
        if self.telemetry is None:
            self.telemetry = choose_telemetry(settings)
        mine = (self.limiter, self.cache, self.flights, self.learnings, self.telemetry, self.baselines)
        # Learnings and baselines may be one store; it is closed once.
        self._stores = list({id(one): one for one in mine if one is not None and one not in given}.values())

    def _taped(self, tapes: TapeRecorder | None) -> TapeRecorder | None:
        """What keeps tapes of the service, if anything does."""
        tapes = tapes or TapeRecorder.of(self.settings)
        if tapes is not None:
            tapes.attach(self.service, self.settings, self.metrics.tape)
        return tapes

    def _made_metrics(self, runtime: str) -> Metrics:
        models = (model for model in (self.service.policy.default_model, *self.settings.models) if model)
        offered = self.service.routes
        # Nobody can ask a single call for its numbers: it has no series that stand at 0 beforehand.
        foreseen = runtime != "library"
        surfaces = {REST: None, **{one.surface: None for one in offered.contributions.values()}} if foreseen else ()
        metrics = Metrics(
            self.service.catalogue.patterns,
            version(),
            runtime,
            routes=(route.path for route in offered.routes) if foreseen else (),
            models=models,
            surfaces=surfaces,
        )
        if isinstance(self.provider, GuardedProvider):
            self.provider.watch(metrics)
        shared = {"quota": self.limiter, "cache": self.cache, "flights": self.flights}
        for role, store in {**shared, "learnings": self.learnings, "telemetry": self.telemetry}.items():
            watched(store, functools.partial(metrics.backend_up, role))
        return metrics

    def _policy(self) -> Policy:
        settings = self.settings
        return Policy(
            version=version(),
            limits=settings.limits,
            require_auth=settings.require_auth,
            quota=self.limiter is not None,
            ietf_headers=settings.rate_limit_headers == "ietf",
            cache=self.cache is not None,
            scope_by_key=settings.cache_scope == "key",
            cors_origins=settings.cors_origins,
            allowed_hosts=allowed_hosts(settings.mcp_allowed_hosts, settings.host, settings.require_auth),
            trusted_proxies=settings.trusted_proxies,
            provider=self.provider.name if self.provider else None,
            default_model=settings.model or (self.provider.default_model if self.provider else None),
            models=settings.models,
            offline=settings.llm == "offline",
            learnings=self.learnings is not None,
            telemetry=self.telemetry is not None,
            analytics=isinstance(self.telemetry, TelemetryStore),
            baselines=self.baselines is not None,
        )

    def ready(self) -> None:
        """Take traffic, on the loop that runs now: stores elsewhere are connected to, whether they are there or not."""
        self.status = "ready"
        self.observers.open()
        for store in self._stores:
            if (start := getattr(store, "start", None)) is not None:
                start()

    async def aclose(self) -> None:
        """Close what this engine has opened, stores and the model service that the settings chose; end the tapes.

        A sink of telemetry that was given is flushed, for two seconds at most, and left open.
        """
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                # All at once: each may take two seconds for what is not kept yet.
                for one in (*self._stores, self._chosen, self.observers):
                    tasks.start_soon(_close, one)
                if self.telemetry is not None and self.telemetry not in self._stores:
                    tasks.start_soon(_flush, self.telemetry)
            if self.tapes is not None:
                await anyio.to_thread.run_sync(self.tapes.close)

    def keys(self) -> KeyTable:
        """The keys that are loaded now."""
        return self._keys

    def reload_keys(self) -> None:
        """Read the key file again if it has changed; a broken one leaves the keys as they are, and is told of once."""
        file = self.key_file
        if file is None:
            return
        told = file.error
        table = file.reload()
        if table is not None:
            self._keys = table
            _log.info("keys reloaded", keys=len(table))
        elif file.error is not None and file.error != told:
            name = "VSTACK_API_KEYS_FILE"
            _log.error(
                "the keys stay as they were: the new file is broken", setting=name, path=file.path, error=file.error
            )

    async def watch(self) -> None:
        """Read the key file again whenever it has changed, and have other workers know of our connections.

        Until cancelled, or until it finds nothing to do.
        """
        while self.key_file is not None or are_shared():
            await anyio.sleep(KEYS_SECONDS)
            if self.key_file is not None:
                self.reload_keys()
            self.metrics.count_connections()

    def readiness(self) -> tuple[Status, str, dict[str, str]]:
        """What ``/readyz`` says: the status, a sentence, and each check."""
        checks = {
            "service": self.status,
            "keys": f"{len(self.keys())} loaded" if self.settings.require_auth else "none needed",
            "provider": self._provider_check(),
            "cache": described(self.cache),
            "quota": described(self.limiter),
            "learnings": described(self.learnings),
            "telemetry": described(self.telemetry),
            "patterns": str(len(self.service.catalogue)),
        }
        if self.settings.require_auth and not len(self.keys()):
            detail = "keys are required and none is loaded; set VSTACK_API_KEYS or VSTACK_API_KEYS_FILE"
            return "misconfigured", detail, checks
        details = {
            "ready": "the service takes traffic",
            "warming": "the service is starting",
            "draining": "the service is stopping; send traffic to another replica",
            "misconfigured": "the service is misconfigured",
        }
        return self.status, details[self.status], checks

    def _provider_check(self) -> str:
        if self.settings.llm == "offline":
            return "offline: every analysis runs on the signals"
        if self.provider is None:
            return 'none: only "model": "offline" works'
        return self.provider.name

    def drain(self) -> None:
        """Say on ``/readyz`` that the service is stopping."""
        self.status = "draining"
        self.metrics.draining(draining=True)
