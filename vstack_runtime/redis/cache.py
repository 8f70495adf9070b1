"""Detections that replicas share."""

from __future__ import annotations

import msgspec

from vstack_proto.values import CacheEntry
from vstack_runtime.redis.client import Client
from vstack_runtime.redis.guard import Patience, RedisStore
from vstack_runtime.store_settings import RedisAddress

# Where no lifetime is set: everything in Redis expires, so that what nobody asks for any more goes by itself.
DEFAULT_TTL = 7 * 86_400.0

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(CacheEntry)


class RedisCache(RedisStore):
    """A ``CacheBackend``: each detection under ``PREFIX:cache:{KEY}``. How much is kept is Redis's ``maxmemory``."""

    role = "cache"

    def __init__(
        self,
        url: str | RedisAddress,
        *,
        ttl: float | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        """
        Args:
            url, patience: As for ``RedisStore``.
            ttl: Seconds that an entry is kept, by default a week.
        """
        super().__init__(url, patience=patience)
        self._ttl = max(1, round((ttl or DEFAULT_TTL) * 1000))

    async def get(self, key: str) -> CacheEntry | None:
        """The entry under ``key``; None also for what is no entry of ours.

        Raises:
            StoreAway: Redis did not answer.
        """

        async def job(client: Client) -> bytes | None:
            return await client.get(self.key("cache", key))

        found = await self.call(job)
        if found is None:
            return None
        try:
            return _decoder.decode(found)
        except msgspec.DecodeError:
            return None

    async def put(self, key: str, entry: CacheEntry) -> None:
        """Keep an entry.

        Raises:
            StoreAway: Redis did not answer.
        """
        encoded = _encode(entry)

        async def job(client: Client) -> None:
            await client.set(self.key("cache", key), encoded, px=self._ttl)

        await self.call(job)
