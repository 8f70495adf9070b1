"""The stores and services behind commands: what each must offer, and those that live in this process."""

from __future__ import annotations

import time
from typing import Literal, Protocol, get_args, runtime_checkable

from vstack_proto.caching import LruCache
from vstack_proto.quota import Decision, SlidingWindow, Window
from vstack_proto.values import Alias, CacheEntry, Landing, ModelRequest, Usage


class StoreAway(Exception):
    """A store is away, and has told so itself: whoever asked it need not log each failure."""


@runtime_checkable
class RateLimiter(Protocol):
    """Counts requests; give one to ``build_app(limiter=...)``. Its windows are its own, and never more than the limit
    are admitted in any window of that length. ``conformance.backends`` tests one.

    An exception, an answer that is no ``Decision``, and a call of more than a second mean that the store is away.
    ``VSTACK_STORE_FAILURE`` says what happens then: ``closed`` refuses the request (503); ``open`` counts it here, by
    ``VSTACK_API_RATE_LIMIT``, which plays no other part, or admits it where that is off.
    """

    async def take(self, key: str) -> Decision:
        """Take one request of ``key`` from its quota; a refused one consumes nothing.

        Args:
            key: The caller: ``key:NAME`` with the name of its API key, which may hold any character, else
                ``addr:ADDRESS``, an IPv6 one as its /64 network. Keys that nobody uses any more should go.
        """
        ...


@runtime_checkable
class LocalRateLimiter(Protocol):
    """A limiter that answers at once. An exception or a wrong answer means what it does for a ``RateLimiter``."""

    def take_now(self, key: str, now: float) -> Decision:
        """As ``RateLimiter.take``; ``now`` is in monotonic seconds."""
        ...


@runtime_checkable
class CacheBackend(Protocol):
    """Keeps detections; give one to ``build_app(cache=...)``. ``conformance.backends`` tests one.

    An entry may live as long as there is room: nothing is ever deleted, and all that a detection depends on, but the
    version of vstack, is in its key. ``RedisCache`` lets one go after a week.

    An exception, what is neither a ``CacheEntry`` nor None, and a call of more than a second count as a miss, or as
    something that was not kept: the request goes on without.
    """

    async def get(self, key: str) -> CacheEntry | None:
        """The entry under ``key``, if there is one. What cannot be decoded is none.

        Args:
            key: ``vstack:`` and 64 hex digits.
        """
        ...

    async def put(self, key: str, entry: CacheEntry) -> None:
        """Keep an entry in the place of any earlier one.

        Args:
            key: As for ``get``.
            entry: The detection as JSON, from a few hundred bytes to some hundred kilobytes, and when it was made.
                ``msgspec.msgpack.encode(entry)`` is bytes, ``msgspec.msgpack.decode(data, type=CacheEntry)`` the entry.
        """
        ...


@runtime_checkable
class LocalCache(Protocol):
    """A cache that answers at once. An exception or a wrong answer counts as a miss here too."""

    def get_now(self, key: str, now: float) -> CacheEntry | None:
        """The entry under ``key``; ``now`` is in monotonic seconds."""
        ...

    def find_now(self, alias: str, now: float) -> tuple[Alias, CacheEntry] | None:
        """What a request's bytes were found to mean, with the entry it names."""
        ...

    def put_now(self, key: str, entry: CacheEntry, now: float) -> None:
        """Keep an entry."""
        ...

    def learn_now(self, alias: str, meaning: Alias) -> None:
        """Remember what a request's bytes mean."""
        ...


@runtime_checkable
class FlightStore(Protocol):
    """Ties the flights of several replicas together, by locks that expire; give one to ``build_app(flights=...)``.

    Any exception means that the store is away: each replica then makes its analyses by itself.
    """

    async def join(self, key: str, token: str) -> str:
        """Take the lead of a flight, or learn who has it: the leader's token, ``token`` itself where it leads now."""
        ...

    async def hold(self, key: str, token: str) -> None:
        """Keep the lead until cancelled."""
        ...

    async def follow(self, key: str, token: str) -> Landing | None:
        """Wait for the end of the flight that ``token`` leads; None where it is gone without one: join anew."""
        ...

    async def land(self, key: str, token: str, landing: Landing | None) -> None:
        """End the flight that ``token`` leads, and tell those who follow; without a landing, one of them leads next."""
        ...


class ModelReply(Protocol):
    """What a provider answers."""

    @property
    def text(self) -> str:
        """The model's answer."""
        ...

    @property
    def usage(self) -> Usage:
        """What it used."""
        ...


FailureKind = Literal["unavailable", "overloaded", "late", "refused", "truncated", "rejected"]


class ProviderError(Exception):
    """A model call came to nothing.

    Args:
        kind: As in ``ModelFailed``; anything else is a ValueError.
        message: For the caller; must hold no secret.
        retry_after: Seconds, where the provider named them.
        usage: What was used all the same.
        status: What the service answered over HTTP, if it did.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        retry_after: float | None = None,
        usage: Usage = Usage(),  # noqa: B008 - frozen
        *,
        status: int | None = None,
    ) -> None:
        if kind not in get_args(FailureKind):
            raise ValueError(f"kind is {kind!r}; allowed: {', '.join(get_args(FailureKind))}")
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message
        self.retry_after = retry_after
        self.usage = usage
        self.status = status


class Provider(Protocol):
    """A model service, usable under asyncio and trio.

    Attributes:
        name: For metrics and answers.
        default_model: Asked where a request names none.
    """

    name: str
    default_model: str

    async def ask(self, request: ModelRequest, within: float) -> ModelReply:
        """Ask a model; ``within`` is what is left of the request's deadline, in seconds.

        A cancelled call must close what it holds. Any other exception than ``ProviderError``, and an answer without a
        text and a ``Usage``, is a bug of the provider: it is logged, and the caller is told no more than that.

        Raises:
            ProviderError: The call came to nothing.
        """
        ...


class MemoryLimiter:
    """An exact sliding window in this process, for at most 100,000 keys. It is both kinds of limiter."""

    def __init__(self, windows: tuple[Window, ...]) -> None:
        """
        Args:
            windows: Such as ``(Window(100, 60.0),)``: so many in so many seconds. All must admit; none admits all.
        """
        self._window = SlidingWindow(windows)

    def take_now(self, key: str, now: float) -> Decision:
        """Take one request of ``key``; ``now`` is in monotonic seconds."""
        return self._window.take(key, now)

    async def take(self, key: str) -> Decision:
        """As ``take_now``, by this process's own clock."""
        return self._window.take(key, time.monotonic())


class MemoryCache:
    """A cache in this process, bounded by entries and by bytes: past either, what was used least lately goes."""

    def __init__(self, max_entries: int = 1024, max_bytes: int = 256 << 20, ttl: float | None = None) -> None:
        """
        Args:
            max_entries: Detections at most.
            max_bytes: Their bytes at most.
            ttl: Seconds that each is kept; None for as long as there is room.
        """
        self._entries = LruCache(max_entries, max_bytes, ttl)

    def get_now(self, key: str, now: float) -> CacheEntry | None:
        """The entry under ``key``."""
        return self._entries.get(key, now)

    def find_now(self, alias: str, now: float) -> tuple[Alias, CacheEntry] | None:
        """What a request's bytes were found to mean."""
        return self._entries.get_alias(alias, now)

    def put_now(self, key: str, entry: CacheEntry, now: float) -> None:
        """Keep an entry."""
        self._entries.put(key, entry, now)

    def learn_now(self, alias: str, meaning: Alias) -> None:
        """Remember what a request's bytes mean."""
        self._entries.put_alias(alias, meaning)

    async def get(self, key: str) -> CacheEntry | None:
        """As ``get_now``, by this process's own clock."""
        return self._entries.get(key, time.monotonic())

    async def put(self, key: str, entry: CacheEntry) -> None:
        """As ``put_now``, by this process's own clock."""
        self._entries.put(key, entry, time.monotonic())
