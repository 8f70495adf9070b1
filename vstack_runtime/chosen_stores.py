"""The stores that the settings choose, and what is made of their failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from vstack_runtime.backends import (
    CacheBackend,
    FlightStore,
    LocalCache,
    LocalRateLimiter,
    MemoryCache,
    MemoryLimiter,
    RateLimiter,
    StoreAway,
)
from vstack_runtime.home.memory import MemoryLearnings, MemoryTelemetry
from vstack_runtime.logs import get_logger
from vstack_runtime.metrics import Metrics
from vstack_runtime.settings import Settings, SettingsError
from vstack_runtime.store_settings import is_redis
from vstack_runtime.stores import BaselineStore, LearningStore, TelemetrySink

_log = get_logger()

S = TypeVar("S")

LOG_SECONDS = 60.0


class Trouble:
    """What a store's failures come to: a gauge that says so, and a line in the log at most once a minute."""

    def __init__(self, told: str, metrics: Metrics, role: str) -> None:
        """
        Args:
            told: What the log says.
            metrics: Has the gauge.
            role: Which backend.
        """
        self._told = told
        self._metrics = metrics
        self._role = role
        self._logged = float("-inf")
        self._failures = 0
        self._away = False

    def met(self, error: Exception, now: float) -> None:
        """The store has failed; ``now`` is in monotonic seconds."""
        self._metrics.backend_up(self._role, up=False)
        self._away = True
        self._failures += 1
        if isinstance(error, StoreAway) or now < self._logged + LOG_SECONDS:
            return
        # The traceback too: a store of somebody's own may have a bug, and this line is all that shows it.
        _log.warning(self._told, failures=self._failures, exc_info=error)
        self._logged, self._failures = now, 0

    def over(self) -> None:
        """The store has answered."""
        self._metrics.backend_up(self._role, up=True)
        self._away = False

    def passed(self) -> None:
        """As ``over``, for stores that answer at once: it is told only after a failure."""
        if self._away:
            self.over()


def choose_limiter(settings: Settings) -> RateLimiter | LocalRateLimiter | None:
    """The limiter of ``VSTACK_RATE_LIMIT_STORE``; None where no quota is set.

    Raises:
        SettingsError: The library for that store is missing, or a file that its URL names cannot be used.
    """
    if not settings.rate_limit:
        return None
    if not is_redis(settings.rate_limit_store):
        return MemoryLimiter(settings.rate_limit)

    def made() -> RateLimiter:
        from vstack_runtime.redis.limiter import RedisRateLimiter

        return RedisRateLimiter(settings.rate_limit_store, settings.rate_limit)

    return _made("VSTACK_RATE_LIMIT_STORE", made)


def choose_cache(settings: Settings) -> CacheBackend | LocalCache | None:
    """The cache of ``VSTACK_CACHE``; None where it is off.

    Raises:
        SettingsError: As for ``choose_limiter``.
    """
    if settings.cache == "memory":
        return MemoryCache(settings.cache_capacity, settings.cache_max_bytes, settings.cache_ttl)
    if not is_redis(settings.cache):
        return None

    def made() -> CacheBackend:
        from vstack_runtime.redis.cache import RedisCache

        return RedisCache(settings.cache, ttl=settings.cache_ttl)

    return _made("VSTACK_CACHE", made)


def choose_flights(settings: Settings) -> FlightStore | None:
    """What ties the flights of replicas together: the Redis of ``VSTACK_CACHE``, if it is one.

    Raises:
        SettingsError: As for ``choose_limiter``.
    """
    if not is_redis(settings.cache):
        return None

    def made() -> FlightStore:
        from vstack_runtime.redis.flights import RedisFlights

        return RedisFlights(settings.cache)

    return _made("VSTACK_CACHE", made)


def choose_learnings(settings: Settings, patterns: Iterable[str]) -> LearningStore | None:
    """The store of ``VSTACK_LEARNINGS``; None where it is off, or there is no home to keep them in."""
    if settings.home.learnings == "memory":
        return MemoryLearnings()
    if settings.home.learnings == "home" and settings.home.path:
        from vstack_runtime.home.opening import open_learnings

        return open_learnings(settings.home, patterns)
    if not is_redis(settings.home.learnings):
        return None

    def made() -> LearningStore:
        from vstack_runtime.redis.learnings import RedisLearningStore

        return RedisLearningStore(settings.home.learnings, max_age_days=settings.home.learnings_max_age_days)

    return _made("VSTACK_LEARNINGS", made)


def keeps_learnings(settings: Settings) -> bool:
    """Whether ``choose_learnings`` gives a store, without opening one."""
    kept = settings.home.learnings
    return bool(settings.home.path) if kept == "home" else kept == "memory" or is_redis(kept)


def choose_baselines(settings: Settings, patterns: Iterable[str], learnings: object) -> BaselineStore | None:
    """Where baselines are kept: with the learnings if those are on the disk, else alone; None without a home."""
    if isinstance(learnings, BaselineStore):
        return learnings
    if not settings.home.path:
        return None
    from vstack_runtime.home.opening import open_learnings

    return open_learnings(settings.home, patterns)


def choose_telemetry(settings: Settings) -> TelemetrySink | None:
    """The sink of ``VSTACK_TELEMETRY``; None where it is off, or there is no home to keep it in."""
    if settings.home.telemetry == "memory":
        return MemoryTelemetry()
    if settings.home.telemetry == "home" and settings.home.path:
        from vstack_runtime.home.opening import open_telemetry

        return open_telemetry(settings.home)
    if not is_redis(settings.home.telemetry):
        return None

    def made() -> TelemetrySink:
        from vstack_runtime.redis.telemetry import RedisTelemetrySink

        return RedisTelemetrySink(settings.home.telemetry, max_age_days=settings.home.telemetry_max_age_days)

    return _made("VSTACK_TELEMETRY", made)


def _made(name: str, make: Callable[[], S]) -> S:
    try:
        return make()
    except ModuleNotFoundError as fault:
        if (fault.name or "").partition(".")[0] != "coredis":
            raise
        told = "a redis URL needs the library for Redis, which is not installed; pip install 'vstack[redis]' brings it"
        raise SettingsError(name, None, told) from None
    except OSError as fault:
        told = f"a file of certificates that it names cannot be used ({fault.strerror or type(fault).__name__})"
        raise SettingsError(name, None, told) from None


def watched(store: Any, observer: Callable[[bool], None]) -> None:
    """Have a store that knows whether it is up tell an observer; others are judged by their answers alone."""
    watch = getattr(store, "watch", None)
    if watch is not None:
        watch(observer)


def described(store: Any) -> str:
    """A store in the words of ``/readyz?verbose``."""
    if store is None:
        return "off"
    name = type(store).__name__
    return f"{name}, away" if getattr(store, "up", None) is False else name
