"""The connection to Redis, kept in a task of its own.

Whoever asks waits for an answer, and not for the work: the work goes on in the task that owns the connection. So a
request that gives up after its deadline leaves nothing half-made behind; the library's pool would lose a place for
every connection that is cancelled while it is being made.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel
import coredis
from anyio.abc import TaskGroup
from coredis.connection import BaseConnection, TCPLocation
from coredis.retry import NoRetryPolicy

from vstack_runtime.background import interrupted, spawn
from vstack_runtime.logs import get_logger
from vstack_runtime.store_settings import RedisAddress

_log = get_logger()

T = TypeVar("T")
Client = coredis.Redis[bytes] | coredis.RedisCluster[bytes]
Job = Callable[[Client], Awaitable[T]]

# How long a connection may take to be made, and a command to be answered, before both are given up. Whoever asked has
# mostly given up long before: this only bounds what piles up behind a server that stands still.
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 1.0
# Between tries to enter a cluster that is away.
_PAUSE_SECONDS = 0.25
# Time is waited out in slices: one that takes much longer than it should was lost by this process, not by Redis.
_SLICES = 5
_MUCH = 2.0


class Link:
    """A client of Redis for one loop at a time; made anew when it is told that something is wrong with it."""

    def __init__(self, address: RedisAddress) -> None:
        """
        Args:
            address: Where Redis is.

        Raises:
            OSError: A file of certificates cannot be read (``ssl.SSLError`` where it holds none).
        """
        self.address = address
        self._tls = _tls(address)
        self._loop: anyio.lowlevel.EventLoopToken | None = None
        self._client: Client | None = None
        self._tasks: TaskGroup | None = None
        self._ready: anyio.Event | None = None
        self._stale: anyio.Event | None = None
        self._ended: anyio.Event | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to connect, on the loop that runs now; does nothing if that has been done."""
        loop = anyio.lowlevel.current_token()
        if self._loop == loop:
            return
        # A loop that has ended took its tasks along.
        self._loop, self._client, self._tasks, self._closing = loop, None, None, False
        self._ready, self._stale, self._ended = anyio.Event(), anyio.Event(), anyio.Event()
        spawn(self._keep, "redis connection")

    def renew(self) -> None:
        """Drop the client and its connections; another one is made, which looks for the servers anew."""
        if self._stale is not None:
            self._stale.set()
            self._forget()

    def _forget(self) -> None:
        if self._tasks is not None:
            self._client = self._tasks = None
            self._ready = anyio.Event()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._loop is None or self._loop != anyio.lowlevel.current_token():
            return
        self._closing = True
        assert self._stale is not None
        assert self._ended is not None
        self._stale.set()
        await self._ended.wait()
        self._loop = None

    async def run(self, job: Job[T], seconds: float) -> T:
        """Have a job done with the client, and wait for its result.

        Args:
            job: Is given the client.
            seconds: How long to wait. The job itself goes on, up to ``ANSWER_SECONDS``.

        Raises:
            TimeoutError: The result did not come in time.
            Exception: Whatever the job raised.
        """
        self.start()
        errand = _Errand(job)
        left = seconds
        if self._tasks is None:
            assert self._ready is not None
            left = await _wait(self._ready, seconds)
        if self._tasks is None or self._client is None:
            raise TimeoutError("no connection")
        self._tasks.start_soon(errand.run, self._client)
        await _wait(errand.done, left)
        return errand.result()

    async def connection(self) -> BaseConnection:
        """A connection for one user alone, for as long as the client lasts: a subscription."""
        self.start()
        while self._client is None:
            assert self._ready is not None
            await self._ready.wait()
        connection: BaseConnection = await self._client.connection_pool.get_connection()
        return connection

    async def _keep(self) -> None:
        ended = self._ended
        assert ended is not None
        try:
            while not self._closing:
                await self._live()
        finally:
            ended.set()

    async def _live(self) -> None:
        """The life of one client."""
        stale = self._stale = anyio.Event()
        if self._closing:
            return
        try:
            async with (
                _client(self.address, self._tls) as client,
                anyio.create_task_group() as tasks,
            ):
                self._client, self._tasks = client, tasks
                assert self._ready is not None
                self._ready.set()
                await stale.wait()
                tasks.cancel_scope.cancel()
        except Exception as error:
            # Whoever calls hears of it as an answer that does not come.
            _log.debug("redis client failed", error=type(error).__name__)
            if interrupted():
                self._closing = True
                return
            with anyio.move_on_after(_PAUSE_SECONDS):
                await stale.wait()
        finally:
            self._forget()


class _Errand(Generic[T]):
    """A job under way."""

    def __init__(self, job: Job[T]) -> None:
        self._job = job
        self.done = anyio.Event()
        self._results: list[T] = []
        self._error: BaseException | None = None

    async def run(self, client: Client) -> None:
        try:
            self._results.append(await self._job(client))
        except Exception as error:
            self._error = error
        except BaseException:
            self._error = ConnectionError("the connection was given up")
            raise
        finally:
            self.done.set()

    def result(self) -> T:
        if not self.done.is_set():
            raise TimeoutError("no answer in time")
        if self._error is not None:
            raise self._error
        return self._results[0]


async def _wait(event: anyio.Event, seconds: float) -> float:
    """Wait for an event; what this process loses by being busy does not count. Returns the seconds that are left.

    An answer takes several turns of the loop to get here. The longer a turn takes, because others compute, the less of
    it counts; in all it is never more than ``ANSWER_SECONDS``, when the work is given up anyway.
    """
    left, end = seconds, anyio.current_time() + max(seconds, ANSWER_SECONDS)
    # Slices of one length: those of a rest that shrinks would count less and less.
    part = seconds / _SLICES
    while left > 0.0 and not event.is_set():
        began = anyio.current_time()
        with anyio.move_on_after(part):
            await event.wait()
        now = anyio.current_time()
        passed = now - began
        left -= passed if passed <= _MUCH * part else part * part / passed
        if now >= end:
            break
    return max(0.0, left)


def _tls(address: RedisAddress) -> ssl.SSLContext | None:
    if not address.tls:
        return None
    context = ssl.create_default_context(cafile=address.ca_file)
    if address.cert_file and address.key_file:
        context.load_cert_chain(address.cert_file, address.key_file)
    return context


@asynccontextmanager
async def _client(address: RedisAddress, tls: ssl.SSLContext | None) -> AsyncIterator[Client]:
    """A client, entered; no connection of a single server is made before the first command."""
    common: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "connect_timeout": CONNECT_SECONDS,
        "stream_timeout": ANSWER_SECONDS,
        "ssl_context": tls,
        # To each server: it carries any number of commands at a time.
        "max_connections": 1,
        # Its pool may lose a place for good when a server fails; the guard then asks for a new client.
        "pool_timeout": ANSWER_SECONDS,
    }
    # Nothing is tried again here: what to do instead is the guard's to say, and a repeat would take quota twice.
    more: dict[str, Any] = {"verify_version": False, "retry_policy": NoRetryPolicy()}
    if address.kind == "cluster":
        nodes = [TCPLocation(*host) for host in address.hosts]
        # Managed clusters have no CONFIG to ask whether every slot must be served.
        more |= {"skip_full_coverage_check": True, "max_connections_per_node": True}
        made: coredis.RedisCluster[bytes] = coredis.RedisCluster(startup_nodes=nodes, **common, **more)
        async with made as cluster:
            yield cluster
    elif address.kind == "sentinel":
        login = {name: common[name] for name in ("username", "password")} if address.sentinel_auth else {}
        timeouts = {name: common[name] for name in ("connect_timeout", "stream_timeout", "ssl_context")}
        sentinels = coredis.Sentinel(
            [TCPLocation(*host) for host in address.hosts],
            sentinel_kwargs={**timeouts, **login},
            retry_policy=NoRetryPolicy(),
        )
        common["timeout"] = common.pop("pool_timeout")
        async with sentinels, sentinels.primary_for(address.service, db=address.db, **common) as primary:
            yield primary
    else:
        host, port = address.hosts[0]
        async with coredis.Redis(host, port, address.db, **common, **more) as client:
            yield client
