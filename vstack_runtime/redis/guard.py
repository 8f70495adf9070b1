"""What stands between a request and Redis: a deadline for each call, a breaker, and a line in the log now and then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import msgspec

from vstack_proto.resilience import Admission, Breaker
from vstack_runtime.backends import StoreAway
from vstack_runtime.background import spawn
from vstack_runtime.logs import get_logger
from vstack_runtime.redis.client import ANSWER_SECONDS, Client, Job, Link
from vstack_runtime.store_settings import RedisAddress, parse_address

_log = get_logger()

T = TypeVar("T")

LOG_SECONDS = 60.0


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long Redis is waited for.

    Attributes:
        deadline: Seconds that a call may take; those in which this process itself was busy do not count. A healthy
            Redis in the same network answers within a millisecond.
        streak: Failures in a row at which the breaker opens; half of at least 20 calls in ten seconds open it too.
        probe: Seconds between two looks at a Redis that is away.
    """

    deadline: float = 0.05
    streak: int = 5
    probe: float = 1.0


Observer = Callable[[bool], None]


class RedisStore:
    """What every store in Redis is built on.

    A call that fails, or that is not answered in time, raises ``StoreAway``. When most of them do, the breaker opens:
    calls fail at once, and a probe in the background finds out when Redis is back. No request waits for a probe.

    Attributes:
        role: What the store is for, as metrics and logs have it.
        up: Whether the last call was answered.
    """

    role = "store"

    def __init__(self, url: str | RedisAddress, *, patience: Patience = Patience()) -> None:  # noqa: B008 - frozen
        """
        Args:
            url: Where Redis is, in one of the forms of ``vstack_runtime.store_settings.ALLOWED``.
            patience: How long it is waited for.

        Raises:
            ValueError: The URL is none.
            OSError: A file of certificates that it names cannot be used.
        """
        self.address = parse_address(url) if isinstance(url, str) else url
        self.up: bool | None = None
        self._link = Link(self.address)
        self._patience = patience
        self._breaker = Breaker(window=10, streak=patience.streak, cool_down=patience.probe)
        self._observers: list[Observer] = []
        self._logged = float("-inf")
        self._told_away = self._probing = False
        self._failures = 0
        self._closed = False
        self._tasks: set[anyio.CancelScope] = set()

    def start(self) -> None:
        """Begin to connect, so that the first request need not."""
        self._closed = False
        self._link.start()

    async def aclose(self) -> None:
        """Close the connections, and end what runs beside them."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        await self._link.aclose()

    def beside(self, run: Callable[[], Awaitable[None]], name: str) -> None:
        """Run something until it ends, or until this store is closed."""

        async def listed() -> None:
            try:
                await run()
            finally:
                self._tasks.discard(scope)

        scope = spawn(listed, f"redis {self.role}: {name}")
        self._tasks.add(scope)

    def watch(self, observer: Observer) -> None:
        """Tell an observer from now on whether Redis answers."""
        self._observers.append(observer)

    def key(self, kind: str, tag: str) -> str:
        """The name of a key; all of one tag lie on one node of a cluster."""
        return f"{self.address.prefix}:{kind}:{{{tag}}}"

    async def call(self, job: Job[T]) -> T:
        """Have a job done with a client of Redis.

        Raises:
            StoreAway: It failed, was not answered in time, or was not even tried.
        """
        breaker = self._breaker
        if breaker.state != "closed":
            raise StoreAway(f"{self.role}: calls to Redis are suspended, since most of them failed")
        admission = breaker.admit(anyio.current_time())
        assert admission is not None
        try:
            result = await self._link.run(job, self._patience.deadline)
        except Exception as error:
            self._failed(error)
            raise StoreAway(f"{self.role}: {_told(error)}") from error
        breaker.settle(admission, anyio.current_time(), ok=True)
        self._tell(up=True)
        return result

    def _failed(self, error: Exception) -> None:
        now = anyio.current_time()
        was = self._breaker.state
        self._breaker.settle("call", now, ok=False)
        self._failures += 1
        self._tell(up=False)
        if now >= self._logged + LOG_SECONDS:
            _log.warning(
                "redis is away", store=self.role, redis=repr(self.address), error=_told(error), failures=self._failures
            )
            self._logged, self._failures, self._told_away = now, 0, True
        if was == "closed" and self._breaker.state == "open":
            self.opened()
        if not self._probing:
            self._probing = True
            self.beside(self._recover, "probe")

    def opened(self) -> None:
        """The breaker has opened."""

    def _tell(self, *, up: bool) -> None:
        if up != self.up:
            self.up = up
            for observer in self._observers:
                observer(up)
            if up and self._told_away:
                self._told_away = False
                _log.info("redis is back", store=self.role, redis=repr(self.address))

    async def _recover(self) -> None:
        """Probe until Redis is back, whether anybody asks or not."""
        try:
            while not (self._closed or (self.up and self._breaker.state == "closed")):
                await anyio.sleep(self._patience.probe)
                admission = self._breaker.admit(anyio.current_time())
                if admission is not None:
                    await self._try(admission)
        finally:
            self._probing = False

    async def _try(self, admission: Admission) -> None:
        ok = False
        try:
            if admission == "probe":
                # With a client that knows nothing of what was: the old connection may be a dead end.
                self._link.renew()
            # The first one may have to connect; the second one must be as quick as any call.
            await self._link.run(self._probe, ANSWER_SECONDS)
            await self._link.run(self._probe, self._patience.deadline)
            ok = True
        except Exception as error:
            _log.debug("redis probe failed", store=self.role, error=_told(error))
        finally:
            self._breaker.settle(admission, anyio.current_time(), ok)
        # The breaker may have opened while a probe was under way that began before: then there is another one.
        if ok and self._breaker.state == "closed":
            self._tell(up=True)

    async def _probe(self, client: Client) -> None:
        # A write: a replica, a full disk and a full memory still answer reads.
        await client.set(self.key("probe", self.role), b"1", px=60_000)


def _told(error: BaseException) -> str:
    """An error in a few words; what Redis says holds no password."""
    return f"{type(error).__name__}: {error}"[:200]
