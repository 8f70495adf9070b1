"""Single flight: equal analyses that are wanted at the same time are made once."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

M = TypeVar("M")


class Flights(Generic[M]):
    """Who leads which analysis, and who waits for it. A member is whatever its driver can be told by.

    Attributes:
        max_flights: Analyses at once; one more is refused.
    """

    def __init__(self, max_flights: int) -> None:
        self.max_flights = max_flights
        # The first member leads; the others wait in the order in which they came.
        self._members: dict[str, list[M]] = {}

    def __len__(self) -> int:
        """How many analyses are in flight."""
        return len(self._members)

    def leader(self, key: str) -> M | None:
        """Who leads the flight of ``key``, if there is one."""
        members = self._members.get(key)
        return members[0] if members else None

    def join(self, key: str, member: M) -> Literal["leads", "follows", "refused"]:
        """Take a place in the flight of ``key``."""
        members = self._members.get(key)
        if members is not None:
            members.append(member)
            return "follows"
        if len(self._members) >= self.max_flights:
            return "refused"
        self._members[key] = [member]
        return "leads"

    def followers(self, key: str) -> list[M]:
        """Who waits for the flight of ``key``."""
        return self._members.get(key, [])[1:]

    def land(self, key: str, member: M) -> list[M]:
        """End the flight that ``member`` leads; returns those who waited for it."""
        members = self._members.get(key)
        if members is None or members[0] != member:
            return []
        del self._members[key]
        return members[1:]

    def leave(self, key: str, member: M) -> M | None:
        """Give up a place; returns the member that leads now, if the leader left and somebody waits."""
        members = self._members.get(key)
        if members is None or member not in members:
            return None
        led = members[0] == member
        members.remove(member)
        if not members:
            del self._members[key]
            return None
        return members[0] if led else None
