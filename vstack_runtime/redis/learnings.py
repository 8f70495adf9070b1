"""Learnings that replicas share."""

from __future__ import annotations

import datetime as dt
from urllib.parse import quote

import msgspec

from vstack_proto.learning import (
    LearningQuery,
    LearningRecord,
    OutcomeCount,
    OutcomeReport,
    count_outcomes,
    with_outcome,
)
from vstack_runtime.redis.guard import Patience, RedisStore
from vstack_runtime.redis.script import Script
from vstack_runtime.store_settings import RedisAddress

# Of one scope; some 60 MB. Past it the oldest goes.
MAX_RECORDS = 100_000
_PAGE = 250

# Keep a record that is not there yet, and forget the oldest ones. The member of an index begins with a number that
# grows, so that of equal moments the one recorded last comes first.
# KEYS: records, names of indexes, counter, index of all, further indexes. ARGV: id, record, moment, most records, the
# moment before which all is forgotten, milliseconds that everything is kept (0: for good).
RECORD = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
local member = string.format('%016x', redis.call('INCR', KEYS[3])) .. ARGV[1]
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
for i = 4, #KEYS do
  redis.call('ZADD', KEYS[i], ARGV[3], member)
  redis.call('SADD', KEYS[2], KEYS[i])
end
local old = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[5], 'LIMIT', 0, 100)
if redis.call('HLEN', KEYS[1]) - #old > tonumber(ARGV[4]) then old = redis.call('ZRANGE', KEYS[4], 0, #old) end
for _, one in ipairs(old) do
  redis.call('ZREM', KEYS[4], one)
  redis.call('HDEL', KEYS[1], string.sub(one, 17))
end
if ARGV[6] ~= '0' then for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[6]) end end
return 1
"""
# A page of an index, the newest first. KEYS: records, index. ARGV: first, last. A record that has been forgotten leaves
# its place in the smaller indexes, and loses it when it is met.
PAGE = """
local found = {}
local members = redis.call('ZREVRANGE', KEYS[2], ARGV[1], ARGV[2])
for i, member in ipairs(members) do found[i] = redis.call('HGET', KEYS[1], string.sub(member, 17)) end
for i, member in ipairs(members) do if not found[i] then redis.call('ZREM', KEYS[2], member) end end
return found
"""
# Put a record in the place of what it was. KEYS: records. ARGV: id, what it was, what it is.
CHANGE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""
# KEYS: records, names of indexes.
CLEAR = """
local count = redis.call('HLEN', KEYS[1])
for _, name in ipairs(redis.call('SMEMBERS', KEYS[2])) do redis.call('DEL', name) end
redis.call('DEL', KEYS[1], KEYS[2])
return count
"""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(LearningRecord)


class RedisLearningStore(RedisStore):
    """A ``LearningStore``: for each scope a hash of records, and an index by time of all, of each pattern, agent, crew.

    A record is acknowledged once Redis has it; whether it outlasts Redis itself is for its persistence settings to say.
    """

    role = "learnings"

    def __init__(
        self,
        url: str | RedisAddress,
        *,
        max_records: int = MAX_RECORDS,
        max_age_days: float | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        """
        Args:
            url, patience: As for ``RedisStore``.
            max_records: At most so many in a scope; the oldest goes.
            max_age_days: What is older is forgotten; None for nothing.
        """
        super().__init__(url, patience=patience)
        self._max = max_records
        self._age = None if max_age_days is None else dt.timedelta(days=max_age_days)
        self._record, self._page = Script(RECORD), Script(PAGE)
        self._change, self._clear = Script(CHANGE), Script(CLEAR)

    async def record(self, scope: str, record: LearningRecord) -> None:
        """Keep a record."""
        names = [self._records(scope), self._name(scope, "indexes"), self._name(scope, "count"), self._index(scope)]
        for field in ("pattern", "agent_id", "crew_id"):
            value = getattr(record, field)
            if value is not None:
                names.append(self._index(scope, field, value))
        oldest, kept = "-inf", 0
        if self._age is not None:
            oldest = str(_moment(dt.datetime.now(dt.UTC) - self._age))
            kept = round(self._age.total_seconds() * 1000)
        args: list[str | bytes | int] = [record.id, _encode(record), _moment(record.timestamp), self._max, oldest, kept]
        await self.call(self._record.job(names, args))

    async def recall(self, scope: str, query: LearningQuery) -> tuple[LearningRecord, ...]:
        """The records that fit, the newest first."""
        return tuple(await self._fitting(scope, query, query.limit))

    async def report(self, scope: str, record_id: str, outcome: OutcomeReport) -> LearningRecord | None:
        """Set a record's outcome."""
        name = self._records(scope)
        while True:
            was = await self.call(lambda client: client.hget(name, record_id))
            if was is None:
                return None
            changed = with_outcome(_decoder.decode(was), outcome)
            if await self.call(self._change.job([name], [record_id, was, _encode(changed)])):
                return changed

    async def outcomes(self, scope: str, query: LearningQuery) -> tuple[OutcomeCount, ...]:
        """The counts of the records that fit."""
        return count_outcomes(await self._fitting(scope, query))

    async def clear(self, scope: str) -> int:
        """Forget a scope's records."""
        return int(await self.call(self._clear.job([self._records(scope), self._name(scope, "indexes")], [])))

    async def _fitting(self, scope: str, query: LearningQuery, limit: float = float("inf")) -> list[LearningRecord]:
        """The newest that fit, page by page from the index that is likely to be the smallest."""
        index = self._index(scope)
        for field in ("pattern", "crew_id", "agent_id"):
            value = getattr(query, field)
            if value is not None:
                index = self._index(scope, field, value)
        names, first = [self._records(scope), index], 0
        # Records that come meanwhile move the others to later pages.
        found: dict[str, LearningRecord] = {}
        while True:
            page = await self.call(self._page.job(names, [first, first + _PAGE - 1]))
            for encoded in page:
                record = None if encoded is None else _decoder.decode(encoded)
                if record is not None and query.fits(record):
                    found.setdefault(record.id, record)
                    if len(found) >= limit:
                        return list(found.values())
            if len(page) < _PAGE:
                return list(found.values())
            # Those that have just lost their place make the rest move up.
            first += sum(1 for encoded in page if encoded is not None)

    # Names. A scope and a value are quoted, so that none of them can pass for another, or for a part of the name.

    def _name(self, scope: str, what: str) -> str:
        tag = f"scope={quote(scope, safe='', errors='surrogatepass')}"
        return f"{self.key('learnings', tag)}:{what}"

    def _records(self, scope: str) -> str:
        return self._name(scope, "records")

    def _index(self, scope: str, field: str = "all", value: str = "") -> str:
        return self._name(scope, f"{field}={quote(value, safe='', errors='surrogatepass')}")


def _moment(stamp: dt.datetime) -> int:
    """Microseconds since 1970: exact as a float, which is what Redis sorts by, until the year 2255."""
    return (stamp - _EPOCH) // dt.timedelta(microseconds=1)
