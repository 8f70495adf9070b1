"""A quota that replicas share: an exact sliding window on the server's clock."""

from __future__ import annotations

from vstack_proto.quota import Decision, Window
from vstack_runtime.redis.guard import Patience, RedisStore
from vstack_runtime.redis.script import Script
from vstack_runtime.store_settings import RedisAddress

# A key holds the moments of its admissions in microseconds, oldest first, and never more of them than the largest
# limit: a window is full while the one that is LIMIT from the end still counts. Redis runs a script as one step, and
# TIME stands still in it; where the server's clock is set back, the latest admission is the present, as in the local
# limiter. Refused, it writes nothing. ARGV: for each window its limit and its length.
TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local key, count = KEYS[1], redis.call('LLEN', KEYS[1])
local function stamp(index) return tonumber(redis.call('LINDEX', key, index)) end
if count > 0 then now = math.max(now, stamp(-1)) end
local reported, remaining, wait = 0, -1, -1
local most, longest, stale = 0, 0, 0
for i = 1, #ARGV, 2 do
  local limit, length = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local low, high = math.max(0, count - limit), count
  while low < high do
    local middle = math.floor((low + high) / 2)
    if stamp(middle) + length <= now then low = middle + 1 else high = middle end
  end
  local left = limit - (count - low)
  if left <= 0 then
    local delay = stamp(low) + length - now
    if delay > wait then wait, reported, remaining = delay, i, 0 end
  elseif wait < 0 and (remaining < 0 or left - 1 < remaining) then
    reported, remaining = i, left - 1
  end
  if limit > most then most = limit end
  if length > longest then longest, stale = length, low end
end
local length = tonumber(ARGV[reported + 1])
if wait >= 0 then return {0, reported, 0, wait, stamp(-1) + length - now} end
redis.call('RPUSH', key, string.format('%.0f', now))
redis.call('LTRIM', key, math.max(stale, count + 1 - most), -1)
redis.call('PEXPIRE', key, math.ceil(longest / 1000) + 1)
return {1, reported, remaining, 0, length}
"""


class RedisRateLimiter(RedisStore):
    """A ``RateLimiter``: a caller's admissions under ``PREFIX:quota:{CALLER}``, gone once none of them counts."""

    role = "quota"

    def __init__(
        self,
        url: str | RedisAddress,
        windows: tuple[Window, ...],
        *,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        """
        Args:
            url, patience: As for ``RedisStore``.
            windows: All of them must admit; at least one.
        """
        super().__init__(url, patience=patience)
        if not windows:
            raise ValueError("a quota has at least one window")
        self._windows = windows
        self._args = [part for window in windows for part in (window.limit, round(window.seconds * 1e6))]
        self._take = Script(TAKE)

    async def take(self, key: str) -> Decision:
        """Take one request of ``key`` from its quota; a refused one consumes nothing.

        Raises:
            StoreAway: Redis did not answer.
        """
        told = await self.call(self._take.job([self.key("quota", key)], self._args))
        admitted, reported, remaining, wait, reset = (int(number) for number in told)
        window = self._windows[(reported - 1) // 2]
        return Decision(bool(admitted), window.limit, remaining, wait / 1e6, reset / 1e6, window.seconds)
