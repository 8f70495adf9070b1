"""Flights that span replicas: a lock for each analysis, and word to all when it has ended."""

from __future__ import annotations

from collections import defaultdict

import anyio
import msgspec
from coredis.connection import BaseConnection

from vstack_proto.values import Landing
from vstack_runtime.backends import StoreAway
from vstack_runtime.background import interrupted
from vstack_runtime.logs import get_logger
from vstack_runtime.redis.client import Link
from vstack_runtime.redis.guard import Patience, RedisStore
from vstack_runtime.redis.script import Script
from vstack_runtime.store_settings import RedisAddress

_log = get_logger()

# A leader that is heard of no more loses the lead after this; it says that it lives three times as often.
LOCK_SECONDS = 5.0
# How long a landing can be fetched by those who waited for it.
LANDING_SECONDS = 30.0
# Without a word for so long, the subscription asks whether anybody is there.
_IDLE_SECONDS = 5.0
_PAUSE_SECONDS = 0.25

# Take the lead, or keep it; answers who has it. KEYS: lock. ARGV: token, milliseconds.
JOIN = """
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return leader end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
# Leave the landing for those who follow, free the lock if it is still this leader's, and tell. KEYS: lock, landing.
# ARGV: token, landing (empty: there is none), milliseconds, channel.
LAND = """
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
redis.call('PUBLISH', ARGV[4], ARGV[1])
return 1
"""
# How a flight stands: its landing, and for how many more milliseconds this leader has the lock, less than 0 if not.
# KEYS: lock, landing. ARGV: token.
LOOK = """
local left = -1
if redis.call('GET', KEYS[1]) == ARGV[1] then left = redis.call('PTTL', KEYS[1]) end
return {redis.call('GET', KEYS[2]), left}
"""

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Landing)


class RedisFlights(RedisStore):
    """A ``FlightStore``: a lock under ``PREFIX:flight:{KEY}``, landings under ``PREFIX:landing:{KEY}:TOKEN``.

    One subscription for each process hears of every landing; nobody asks again and again. That it misses a word (it was
    being made anew) or that a leader dies shows when the lock would expire: then a follower looks once more.
    """

    role = "flights"

    def __init__(
        self,
        url: str | RedisAddress,
        *,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        """
        Args:
            url, patience: As for ``RedisStore``.
            lock_seconds: After how long a leader that is not heard of is replaced.
        """
        super().__init__(url, patience=patience)
        self._ear = Link(self.address)
        self._lock_seconds = lock_seconds
        self._lock_ms = round(lock_seconds * 1000)
        self._channel = f"{self.address.prefix}:landed"
        self._join, self._land, self._look = Script(JOIN), Script(LAND), Script(LOOK)
        self._waiting: defaultdict[str, set[anyio.Event]] = defaultdict(set)
        self._listening = False

    async def aclose(self) -> None:
        """Close the connections, and end what runs beside them."""
        await super().aclose()
        await self._ear.aclose()

    async def join(self, key: str, token: str) -> str:
        """Take the lead of a flight, or learn who has it.

        Args:
            key: The analysis.
            token: Unlike any other.

        Returns:
            The leader's token; ``token`` itself where it leads now.

        Raises:
            StoreAway: Redis did not answer.
        """
        told: bytes = await self.call(self._join.job([self.key("flight", key)], [token, self._lock_ms]))
        return told.decode()

    async def hold(self, key: str, token: str) -> None:
        """Keep the lead until cancelled. Where Redis is away, nothing can be held, and the analysis goes on."""
        while True:
            await anyio.sleep(self._lock_seconds / 3)
            try:
                await self.join(key, token)
            except StoreAway:
                continue

    async def follow(self, key: str, token: str) -> Landing | None:
        """Wait for the end of the flight that ``token`` leads.

        Returns:
            How it ended; None where it has no leader any more and nobody landed it: join anew.

        Raises:
            StoreAway: Redis did not answer.
        """
        self._listen()
        word = anyio.Event()
        self._waiting[token].add(word)
        try:
            while True:
                job = self._look.job([self.key("flight", key), self._landing(key, token)], [token])
                found, left = await self.call(job)
                if found is not None:
                    return _decoder.decode(found)
                if int(left) < 0:
                    return None
                # Until there is word, or the lock would have expired were it not kept.
                with anyio.move_on_after(int(left) / 1000 + 0.01):
                    await word.wait()
                self._waiting[token].discard(word)
                word = anyio.Event()
                self._waiting[token].add(word)
        finally:
            self._waiting[token].discard(word)
            if not self._waiting[token]:
                del self._waiting[token]

    async def land(self, key: str, token: str, landing: Landing | None) -> None:
        """End the flight that ``token`` leads, and tell those who follow; without a landing, one of them leads next.

        Raises:
            StoreAway: Redis did not answer; the lock then expires by itself.
        """
        encoded = b"" if landing is None else _encode(landing)
        keys = [self.key("flight", key), self._landing(key, token)]
        await self.call(self._land.job(keys, [token, encoded, round(LANDING_SECONDS * 1000), self._channel]))

    def opened(self) -> None:
        """Redis is away: those who wait for word will hear none."""
        self._tell_all()

    def _landing(self, key: str, token: str) -> str:
        return f"{self.key('landing', key)}:{token}"

    def _tell_all(self) -> None:
        for words in self._waiting.values():
            for word in words:
                word.set()

    def _listen(self) -> None:
        if not self._listening:
            self._listening = True
            self.beside(self._subscribe, "subscription")

    async def _subscribe(self) -> None:
        try:
            while not (self._closed or interrupted()):
                try:
                    await self._hear()
                except Exception as error:
                    _log.debug("redis subscription ended", error=type(error).__name__)
                # What was told meanwhile was missed; where Redis is away, looking finds that out too.
                self._tell_all()
                # The library's pool never gets back the place of a connection that broke while it was in use.
                self._ear.renew()
                await anyio.sleep(_PAUSE_SECONDS)
        finally:
            self._listening = False

    async def _hear(self) -> None:
        """Listen until the connection breaks."""
        connection = await self._ear.connection()
        connection.send_command(b"SUBSCRIBE", self._channel)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_check, connection)
            async for kind, _, said in connection.push_messages:
                if kind == b"message" and isinstance(said, bytes):
                    for word in self._waiting.get(said.decode(), ()):
                        word.set()
                else:
                    # It stands: what was told before was missed.
                    self._tell_all()


async def _check(connection: BaseConnection) -> None:
    """Find out that nobody is there any more, where the network does not say so."""
    while True:
        await anyio.sleep(_IDLE_SECONDS)
        await connection.create_request(b"PING")
