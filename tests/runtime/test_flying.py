"""Flights of several replicas as the exchanges see them: each local flight leads or follows as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from vstack_proto.commands import JoinFlight, LandFlight, LeaveFlight, StoreCache
from vstack_proto.events import ExchangeEvent, FlightHandedOver, FlightJoined, FlightLanded
from vstack_proto.values import Alias, CacheEntry, Failure, Landing
from vstack_runtime.flying import Flying

NOW = 10_000.0
KEY = "key-1"
ENTRY = CacheEntry(b"{}", 1_700_000_000.0)
LANDED = Landing(entry=ENTRY)
FAILED = Landing(failure=Failure(502, "analyzer_error", "it failed"))
LEADS, FOLLOWS = (FlightJoined(at=NOW, ticket=1, role=role) for role in ("leads", "follows"))
TOLD = FlightLanded(at=NOW, ticket=1, landing=LANDED)
HANDED = FlightHandedOver(at=NOW, ticket=1)


class Party:
    """An exchange that remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[ExchangeEvent] = []

    def tell(self, event: ExchangeEvent) -> None:
        self.events.append(event)


class Locks:
    """A ``FlightStore`` in memory, for several replicas of one process; the cache that they share too."""

    def __init__(self) -> None:
        self.leaders: dict[str, str] = {}
        self.landings: dict[str, Landing | None] = {}
        self.cache: dict[str, CacheEntry] = {}
        self.ends: dict[str, anyio.Event] = {}
        self.away: set[str] = set()
        self.holding = 0

    def _reached(self, call: str) -> None:
        if call in self.away:
            raise OSError("away")

    async def join(self, key: str, token: str) -> str:
        await anyio.lowlevel.checkpoint()
        self._reached("join")
        leader = self.leaders.setdefault(key, token)
        self.ends.setdefault(leader, anyio.Event())
        return leader

    async def hold(self, key: str, token: str) -> None:
        self.holding += 1
        try:
            await anyio.sleep_forever()
        finally:
            self.holding -= 1

    async def follow(self, key: str, token: str) -> Landing | None:
        self._reached("follow")
        await self.ends[token].wait()
        self._reached("word")
        return self.landings.get(token)

    async def land(self, key: str, token: str, landing: Landing | None) -> None:
        await anyio.lowlevel.checkpoint()
        self._reached("land")
        if self.leaders.get(key) == token:
            del self.leaders[key]
        self.landings[token] = landing
        if token in self.ends:
            self.ends[token].set()

    def die(self, key: str) -> None:
        """The leader's lock expires."""
        self.ends[self.leaders.pop(key)].set()


class Replica:
    """A process of the service."""

    def __init__(self, locks: Locks) -> None:
        async def look_up(key: str) -> CacheEntry | None:
            return locks.cache.get(key)

        async def keep(command: StoreCache) -> None:
            await anyio.lowlevel.checkpoint()
            # Whoever finds the lock free finds the entry.
            assert command.key in locks.leaders
            locks.cache[command.key] = command.entry

        self.counted: list[int] = []
        self.flying = Flying(100, lambda: NOW, self.counted.append, locks, look_up, keep)

    async def join(self) -> Party:
        party = Party()
        answer = self.flying.join(JoinFlight(1, KEY), party, NOW)
        if answer is not None:
            party.tell(answer)
        await settled()
        return party

    async def leave(self, party: Party) -> None:
        self.flying.leave(LeaveFlight(1, KEY), party)
        await settled()

    async def land(self, party: Party, landing: Landing, *, store: bool = True) -> None:
        if store:
            assert self.flying.keep_later(StoreCache(KEY, ENTRY, "alias", Alias(KEY, "quick", "m")))
        self.flying.land(LandFlight(1, KEY, landing), party)
        await settled()


async def settled() -> None:
    await anyio.wait_all_tasks_blocked()


Scene = Callable[[Locks, Replica, Replica], Awaitable[None]]


@pytest.fixture(params=["asyncio", "trio"])
def play(request: pytest.FixtureRequest) -> Callable[[Scene], Locks]:
    """Play a scene between two replicas, on each loop."""

    def run(scene: Scene) -> Locks:
        async def main() -> Locks:
            locks = Locks()
            with anyio.fail_after(10):
                await scene(locks, Replica(locks), Replica(locks))
            return locks

        return anyio.run(main, backend=request.param)

    return run


Play = Callable[[Scene], Locks]


def test_one_replica_makes_the_analysis_and_all_land(play: Play) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        leader, follower = await one.join(), await one.join()
        remote, remote_follower = await other.join(), await other.join()
        assert [party.events for party in (leader, follower, remote, remote_follower)] == [
            [LEADS],
            [FOLLOWS],
            [FOLLOWS],
            [FOLLOWS],
        ]
        assert locks.holding == 1
        await one.land(leader, LANDED)
        assert leader.events == [LEADS]
        for party in (follower, remote, remote_follower):
            assert party.events == [FOLLOWS, TOLD]
        assert (one.counted[-1], other.counted[-1], locks.holding) == (0, 0, 0)

    assert play(scene).leaders == {}


def test_a_failure_lands_too_and_is_not_stored(play: Play) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        leader, remote = await one.join(), await other.join()
        await one.land(leader, FAILED, store=False)
        assert remote.events == [FOLLOWS, FlightLanded(at=NOW, ticket=1, landing=FAILED)]
        # Whoever comes later tries anew.
        assert (await other.join()).events == [LEADS]

    assert play(scene).cache == {}


def test_who_leads_may_leave_and_the_lock_stays_with_the_replica(play: Play) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        leader, heir, remote = await one.join(), await one.join(), await other.join()
        held = dict(locks.leaders)
        await one.leave(leader)
        assert (heir.events, remote.events) == ([FOLLOWS, HANDED], [FOLLOWS])
        assert locks.leaders == held
        await one.land(heir, LANDED)
        assert remote.events == [FOLLOWS, TOLD]

    play(scene)


def test_where_nobody_is_left_another_replica_leads(play: Play) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        leader, first, second = await one.join(), await other.join(), await other.join()
        await one.leave(leader)
        assert (first.events, second.events) == ([FOLLOWS, HANDED], [FOLLOWS])
        await other.land(first, LANDED)
        assert second.events == [FOLLOWS, TOLD]

    play(scene)


def test_a_dead_leader_is_replaced(play: Play) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        await one.join()
        remote = await other.join()
        locks.die(KEY)
        await settled()
        assert remote.events == [FOLLOWS, HANDED]

    play(scene)


def test_followers_may_leave_in_any_order(play: Play) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        leader, first, second = await one.join(), await other.join(), await other.join()
        await other.leave(first)
        assert second.events == [FOLLOWS]
        await other.leave(second)
        assert other.counted[-1] == 0
        # Nobody of that replica is told or takes the lead.
        await one.leave(leader)
        assert locks.leaders == {}
        assert (first.events, second.events) == ([FOLLOWS], [FOLLOWS])

    play(scene)


def test_who_leaves_before_the_lock_is_settled_gives_it_back(play: Play) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        party = Party()
        one.flying.join(JoinFlight(1, KEY), party, NOW)
        await one.leave(party)
        assert party.events == []
        assert (await other.join()).events == [LEADS]

    play(scene)


def test_the_heir_of_who_leaves_before_the_lock_is_settled_leads(play: Play) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        party, heir = Party(), Party()
        one.flying.join(JoinFlight(1, KEY), party, NOW)
        one.flying.join(JoinFlight(1, KEY), heir, NOW)
        await one.leave(party)
        assert (party.events, heir.events) == ([], [HANDED])
        await one.land(heir, LANDED)

    assert play(scene).cache == {KEY: ENTRY}


def test_what_has_landed_since_the_cache_was_asked_is_found(play: Play) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        locks.cache[KEY] = ENTRY
        assert (await one.join()).events == [FOLLOWS, TOLD]
        assert one.counted[-1] == 0

    assert play(scene).leaders == {}


@pytest.mark.parametrize("call", ["join", "follow", "word", "land"])
def test_without_the_store_each_replica_goes_on_by_itself(play: Play, call: str) -> None:
    async def scene(locks: Locks, one: Replica, other: Replica) -> None:
        locks.away.add(call)
        leader, remote = await one.join(), await other.join()
        assert leader.events == [LEADS]
        if call == "word":
            locks.die(KEY)
            await settled()
        led = {"join": [LEADS], "land": [FOLLOWS]}.get(call, [FOLLOWS, HANDED])
        assert remote.events == led
        one.flying.land(LandFlight(1, KEY, LANDED), leader)
        await settled()
        if call == "land":
            # No word came: the lock expires.
            locks.die(KEY)
            await settled()
            assert remote.events == [FOLLOWS, HANDED]

    play(scene)


def test_alone_it_answers_at_once() -> None:
    async def nothing(key: object) -> None:
        return None

    flying = Flying(1, lambda: NOW, lambda number: None, None, nothing, nothing)
    party = Party()
    assert flying.join(JoinFlight(1, KEY), party, NOW) == LEADS
    assert not flying.keep_later(StoreCache(KEY, ENTRY, "alias", Alias(KEY, "quick", "m")))
    assert flying.join(JoinFlight(1, "key-2"), party, NOW) == FlightJoined(at=NOW, ticket=1, role="refused")
