"""What analyses cost, in a stream that replicas share."""

from __future__ import annotations

import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator

import anyio
import msgspec

from vstack_proto.telemetry import AnalyticsQuery, AnalyticsRow, TelemetryEvent, key_of, summarize
from vstack_runtime.backends import StoreAway
from vstack_runtime.background import loop_runs
from vstack_runtime.redis.client import Client
from vstack_runtime.redis.guard import Patience, RedisStore
from vstack_runtime.redis.script import Script
from vstack_runtime.store_settings import RedisAddress

# Some 30 MB in Redis.
MAX_EVENTS = 100_000
DEFAULT_MAX_AGE_DAYS = 90.0
# What waits here while Redis is away; past it the oldest are lost.
MAX_WAITING = 10_000
_BATCH = 256
_PAGE = 500
# Events gather for so long before they are sent together: nobody reads analytics sooner.
_LINGER_SECONDS = 0.25

# A batch that was not answered is sent again: its number tells whether it came the first time.
# KEYS: stream, last number of this writer. ARGV: number, most events, milliseconds that they are kept, events.
ADD = """
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[1]) then return 0 end
for i = 4, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[i]) end
redis.call('SET', KEYS[2], ARGV[1], 'PX', 3600000)
local age = tonumber(ARGV[3])
if age > 0 then
  redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', redis.call('TIME')[1] * 1000 - age))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
"""

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(TelemetryEvent)


class RedisTelemetrySink(RedisStore):
    """A ``TelemetryStore``: a stream with a cap, under ``PREFIX:telemetry:{events}``.

    Taking an event never waits. While Redis is away the newest ``MAX_WAITING`` wait here.
    """

    role = "telemetry"

    def __init__(
        self,
        url: str | RedisAddress,
        *,
        max_events: int = MAX_EVENTS,
        max_age_days: float | None = DEFAULT_MAX_AGE_DAYS,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        """
        Args:
            url, patience: As for ``RedisStore``.
            max_events: About so many are kept, the newest.
            max_age_days: What is older is forgotten; None for nothing.
        """
        super().__init__(url, patience=patience)
        self._add = Script(ADD)
        self._stream = self.key("telemetry", "events")
        self._writer = f"{self._stream}:writer:{secrets.token_hex(8)}"
        self._limits = [max_events, round((max_age_days or 0) * 86_400_000)]
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._batch: list[bytes] = []
        self._number = 0
        self._writing = False

    def record(self, event: TelemetryEvent) -> None:
        """Take an event."""
        self._waiting.append(_encode(event))
        # Without a loop, it is sent with the next one or by ``flush``.
        if not self._writing and loop_runs():
            self.beside(self._write, "writer")
            self._writing = True

    async def flush(self) -> None:
        """Send what was taken; where Redis is away, it stays here."""
        with contextlib.suppress(StoreAway):
            while self._batch or self._waiting:
                await self._send()

    async def aclose(self) -> None:
        """Send what was taken, and close the connections."""
        await self.flush()
        await super().aclose()

    async def summarize(self, query: AnalyticsQuery) -> tuple[AnalyticsRow, ...]:
        """The sums.

        Raises:
            StoreAway: Redis did not answer.
        """
        rows: dict[str, AnalyticsRow] = {}
        async for events in self._pages():
            # Page by page, and in order, so that the whole stream is never here at once.
            for key in {key_of(event, query.by) for event in events}:
                mine = [event for event in events if key_of(event, query.by) == key]
                for row in summarize(mine, query):
                    rows[key] = _sum(rows[key], row) if key in rows else row
        return tuple(rows[key] for key in sorted(rows))

    async def events(self, query: AnalyticsQuery, limit: int) -> tuple[TelemetryEvent, ...]:
        """The newest events that fit.

        Raises:
            StoreAway: Redis did not answer.
        """
        found: list[TelemetryEvent] = []
        async for events in self._pages():
            found = [*reversed([event for event in events if query.fits(event)]), *found]
            found.sort(key=lambda event: -event.timestamp)
            del found[limit:]
        return tuple(found)

    async def _pages(self) -> AsyncIterator[list[TelemetryEvent]]:
        """All events, oldest first."""
        while self._batch or self._waiting:
            await self._send()
        last = "-"
        while True:

            async def job(client: Client, start: str = last) -> list[tuple[bytes, bytes]]:
                entries = await client.xrange(self._stream, start=start, count=_PAGE)
                return [(_bytes(entry.identifier), _bytes(entry.field_values[b"e"])) for entry in entries]

            page = await self.call(job)
            if page:
                yield [_decoder.decode(event) for _, event in page]
            if len(page) < _PAGE:
                return
            last = f"({page[-1][0].decode()}"

    async def _write(self) -> None:
        try:
            await anyio.sleep(_LINGER_SECONDS)
            while self._batch or self._waiting:
                try:
                    await self._send()
                except StoreAway:
                    await anyio.sleep(self._patience.probe)
        finally:
            self._writing = False

    async def _send(self) -> None:
        """Send one batch; whoever sends it a second time does no harm."""
        if not self._batch:
            self._number += 1
            self._batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        number, batch = self._number, self._batch
        await self.call(self._add.job([self._stream, self._writer], [number, *self._limits, *batch]))
        if self._batch is batch:
            self._batch = []


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


def _sum(one: AnalyticsRow, other: AnalyticsRow) -> AnalyticsRow:
    names = [name for name in AnalyticsRow.__struct_fields__ if name != "key"]
    return AnalyticsRow(key=one.key, **{name: getattr(one, name) + getattr(other, name) for name in names})
