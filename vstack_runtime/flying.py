"""Single flight carried out: at once among the exchanges of this process, by a shared lock among replicas.

In each replica, equal requests make one local flight, as without a store. Of the replicas' flights one leads: it makes
the analysis; the others follow as a whole. So a leader's caller may leave, and another one of the same replica goes on
under the same lock.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio

from vstack_proto.commands import CallModel, JoinFlight, LandFlight, LeaveFlight, StoreCache
from vstack_proto.events import ExchangeEvent, FlightHandedOver, FlightJoined, FlightLanded, PassBegun
from vstack_proto.flights import Flights
from vstack_proto.values import CacheEntry, Landing
from vstack_runtime.backends import FlightStore, StoreAway
from vstack_runtime.background import spawn
from vstack_runtime.logs import get_logger

_log = get_logger()


class Party(Protocol):
    """A driver's end of one exchange: who is told of answers that come later."""

    def tell(self, event: ExchangeEvent) -> None:
        """Feed an event to the exchange."""
        ...


T = TypeVar("T")

Member = tuple[Party, int]
LookUp = Callable[[str], Awaitable[CacheEntry | None]]
Store = Callable[[StoreCache], Awaitable[None]]

# In the place of a landing, where the store could not be asked for it.
_AWAY = Landing()


class _Shared:
    """A local flight's part in a flight of several replicas."""

    def __init__(self, key: str, asked: Member) -> None:
        self.key = key
        # Who still has to hear whether it leads.
        self.asked: Member | None = asked
        self.leads = False
        self.landing: Landing | None = None
        self.to_store: StoreCache | None = None
        self.over = anyio.Event()
        self.scope = anyio.CancelScope()


class Flying:
    """The flights of one process."""

    def __init__(
        self,
        max_flights: int,
        clock: Callable[[], float],
        count: Callable[[int], None],
        store: FlightStore | None,
        look_up: LookUp,
        keep: Store,
    ) -> None:
        """
        Args:
            max_flights: Analyses at once.
            clock: Monotonic seconds.
            count: Told how many analyses are in flight.
            store: Ties the flights of several replicas together; None: this process is by itself.
            look_up: Asks the shared cache; raises nothing.
            keep: Puts into the shared cache; raises nothing.
        """
        self.flights: Flights[Member] = Flights(max_flights)
        self._clock = clock
        self._count = count
        self._store = store
        self._look_up = look_up
        self._keep = keep
        self._shared: dict[str, _Shared] = {}
        # Of each exchange in a flight, which one; and of each flight that is led here, the pass that a model is asked.
        self._flights_of: dict[Party, str] = {}
        self._under_way: dict[str, str] = {}

    def join(self, command: JoinFlight, party: Party, at: float) -> FlightJoined | None:
        """Take a place in a flight; None where other replicas are asked first, and the party is told later."""
        member = (party, command.ticket)
        role = self.flights.join(command.key, member)
        if role != "refused":
            self._flights_of[party] = command.key
        self._count(len(self.flights))
        if role == "leads" and self._store is not None:
            shared = self._shared[command.key] = _Shared(command.key, member)
            store = self._store
            spawn(lambda: self._fly(store, shared), "shared flight")
            return None
        under_way = self._under_way.get(command.key, "") if role == "follows" else ""
        return FlightJoined(at=at, ticket=command.ticket, role=role, under_way=under_way)

    def asked(self, command: CallModel, party: Party) -> None:
        """A party asks a model: whoever follows the flight that it leads is told of it, later comers too.

        Only within this process: among replicas, a flight tells no more than how it ended.
        """
        key = self._flights_of.get(party, "")
        leader = self.flights.leader(key)
        if leader is None or leader[0] is not party:
            return
        self._under_way[key] = command.request.name
        for follower, ticket in self.flights.followers(key):
            follower.tell(PassBegun(at=self._clock(), ticket=ticket, name=command.request.name))

    def keep_later(self, command: StoreCache) -> bool:
        """Whether a detection is put into the cache by the flight it belongs to, before the others hear of it.

        Else somebody could find the lock free and the cache empty, and make the same analysis again.
        """
        shared = self._shared.get(command.key)
        if shared is None or not shared.leads:
            return False
        shared.to_store = command
        return True

    def land(self, command: LandFlight, party: Party) -> None:
        """End a flight that the party leads."""
        led = self.flights.leader(command.key) == (party, command.ticket)
        self._forget(party, command.key if led else "")
        waiting = self.flights.land(command.key, (party, command.ticket))
        self._count(len(self.flights))
        self._tell_landed(waiting, command.landing)
        shared = self._shared.get(command.key)
        if led and shared is not None:
            self._end(shared, command.landing)

    def leave(self, command: LeaveFlight, party: Party) -> None:
        """Give up a place in a flight."""
        member = (party, command.ticket)
        self._forget(party, command.key if self.flights.leader(command.key) == member else "")
        heir = self.flights.leave(command.key, member)
        self._count(len(self.flights))
        shared = self._shared.get(command.key)
        if shared is not None:
            if shared.asked == member:
                shared.asked = None
            if self.flights.leader(command.key) is None:
                self._end(shared, None)
                if not shared.leads:
                    shared.scope.cancel()
                return
            if not shared.leads:
                return  # who leads is not settled, or it is another replica
        if heir is not None:
            heir[0].tell(FlightHandedOver(at=self._clock(), ticket=heir[1]))

    def _forget(self, party: Party, led: str) -> None:
        self._flights_of.pop(party, None)
        self._under_way.pop(led, None)

    def _end(self, shared: _Shared, landing: Landing | None) -> None:
        if self._shared.get(shared.key) is shared:
            del self._shared[shared.key]
        shared.landing = landing
        shared.over.set()

    def _tell_landed(self, waiting: list[Member], landing: Landing) -> None:
        for follower, ticket in waiting:
            self._flights_of.pop(follower, None)
            follower.tell(FlightLanded(at=self._clock(), ticket=ticket, landing=landing))

    # With other replicas.

    async def _fly(self, store: FlightStore, shared: _Shared) -> None:
        with shared.scope:
            while not shared.over.is_set() and not await self._leg(store, shared):
                pass

    async def _leg(self, store: FlightStore, shared: _Shared) -> bool:
        """Lead or follow until somebody has landed or gives up; whether the flight is over."""
        token = secrets.token_hex(8)
        landing: Landing | None = None
        mine = True
        try:
            leader = await _or(store.join(shared.key, token), token)
            mine = leader == token
            if not mine:
                if shared.asked is not None:
                    self._answer(shared, leads=False)
                found = await _or(store.follow(shared.key, leader), _AWAY)
                # Where the store goes away, its lock means nothing any more.
                mine = found is _AWAY
                if not mine:
                    return self._followed(shared, found)
            elif (entry := await self._look_up(shared.key)) is not None:
                # It landed between this caller's look into the cache and its joining.
                landing = Landing(entry=entry)
                self._land_here(shared, landing)
                return True
            landing = await self._lead(store, shared, token)
            return True
        finally:
            # Also where the lock's answer never came: it may have been taken all the same.
            if mine:
                with anyio.CancelScope(shield=True):
                    await _or(store.land(shared.key, token, landing), None)

    def _followed(self, shared: _Shared, landing: Landing | None) -> bool:
        if landing is not None:
            self._land_here(shared, landing)
        return landing is not None

    async def _lead(self, store: FlightStore, shared: _Shared, token: str) -> Landing | None:
        shared.leads = True
        if shared.asked is not None:
            self._answer(shared, leads=True)
        elif (heir := self.flights.leader(shared.key)) is not None:
            heir[0].tell(FlightHandedOver(at=self._clock(), ticket=heir[1]))
        if not shared.over.is_set():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.hold, shared.key, token)
                await shared.over.wait()
                tasks.cancel_scope.cancel()
        if shared.to_store is not None:
            await self._keep(shared.to_store)
        return shared.landing

    def _land_here(self, shared: _Shared, landing: Landing) -> None:
        """Another replica has landed: so have all who wait here."""
        if shared.asked is not None:
            self._answer(shared, leads=False)
        first = self.flights.leader(shared.key)
        if first is None or shared.over.is_set():
            return
        waiting = [first, *self.flights.land(shared.key, first)]
        self._count(len(self.flights))
        self._end(shared, landing)
        self._tell_landed(waiting, landing)

    def _answer(self, shared: _Shared, *, leads: bool) -> None:
        assert shared.asked is not None
        (party, ticket), shared.asked = shared.asked, None
        party.tell(FlightJoined(at=self._clock(), ticket=ticket, role="leads" if leads else "follows"))


async def _or(asked: Awaitable[T], instead: T) -> T:
    """What a store says, or something else where it fails: then this replica goes on by itself."""
    try:
        return await asked
    except StoreAway:
        return instead  # the store has told of it
    except Exception:
        # One of somebody's own may have a bug, and this line is all that shows it; the analysis is made all the same.
        _log.warning("flight store failed", exc_info=True)
        return instead
