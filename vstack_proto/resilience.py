"""How calls to a service that fails now and then are retried, stopped and admitted: decisions only, no clock.

Every ``now`` is in seconds of one monotonic clock, and every random number is handed in.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Literal, TypeVar

import msgspec

M = TypeVar("M")

Admission = Literal["call", "probe"]
BreakerState = Literal["closed", "open", "half_open"]


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a failed try is followed by another.

    Attributes:
        tries: At most, the first one included.
        base: Longest pause after the first failure, in seconds; it doubles with each further one.
        cap: Longest pause of all.
    """

    tries: int = 3
    base: float = 0.5
    cap: float = 8.0

    def pause(self, failures: int, left: float, retry_after: float | None, draw: float) -> float | None:
        """How long to wait before the next try.

        Full jitter: any pause up to the longest is as likely, so that those who failed together do not return together.

        Args:
            failures: Tries that have failed so far, at least 1.
            left: Seconds until the deadline.
            retry_after: What the service asked for, in seconds, if it did.
            draw: A random number in [0, 1).

        Returns:
            Seconds; None to give up: there were enough tries, or the pause would not leave time for another.
        """
        if failures >= self.tries:
            return None
        # A power above 2 ** 60 is beyond any cap, and a float has its limits.
        pause = draw * min(self.cap, self.base * 2.0 ** min(failures - 1, 60))
        pause = max(pause, retry_after or 0.0)
        return pause if pause < left else None


class RetryBudget:
    """Keeps retries at a tenth of the traffic, so that they cannot multiply the load on a service that is down.

    Each call that is sent saves up a part of a retry. What is saved is bounded, and it starts full, so that the first
    failures of a process may be retried; nothing but traffic fills it again. Counted in whole calls: tenths do not add
    up to one.
    """

    def __init__(self, *, calls: int = 10, reserve: int = 10) -> None:
        """
        Args:
            calls: Calls that pay for a retry.
            reserve: Retries that are saved up, at most and at first.
        """
        self._price = calls
        self._most = self._saved = calls * reserve

    def sent(self) -> None:
        """A first try has gone out to the service."""
        self._saved = min(self._most, self._saved + 1)

    def take(self) -> bool:
        """Whether a retry may be made; if so, it is paid for."""
        if self._saved < self._price:
            return False
        self._saved -= self._price
        return True


class Breaker:
    """Stops calls to what fails: open while it is down, then one probe decides.

    Closed, it counts how calls end, in slots of a second. When at least half of at least ``least`` calls of the last
    ``window`` seconds have failed, or ``streak`` calls in a row, it opens. After ``cool_down`` it admits one probe: a
    success closes it, a failure opens it for as long again, and a probe that came to nothing (it was cancelled) gives
    its place to the next.

    Attributes:
        state: Where it stands.
    """

    def __init__(
        self,
        *,
        window: int = 30,
        least: int = 20,
        share: float = 0.5,
        cool_down: float = 10.0,
        streak: float = float("inf"),
    ) -> None:
        """
        Args:
            window: Whole seconds that are looked back on.
            least: Calls below which nothing is concluded.
            share: Part of them that must have failed.
            cool_down: Seconds.
            streak: Failures without a success between them that are enough by themselves, however many calls went well
                before: for what fails wholly or not at all.
        """
        self._streak, self._row = streak, 0
        self._window, self._least, self._share, self._cool_down = window, least, share, cool_down
        self.state: BreakerState = "closed"
        self._opened = 0.0
        # (second, calls, failures), oldest first: at most one for each second of the window.
        self._slots: deque[tuple[int, int, int]] = deque()

    def admit(self, now: float) -> Admission | None:
        """Ask to make a call; whoever is admitted must ``settle``. None: not now."""
        if self.state == "closed":
            return "call"
        if self.state == "open" and now >= self._opened + self._cool_down:
            self.state = "half_open"
            return "probe"
        return None

    def retry_after(self, now: float) -> float:
        """Seconds until a refused caller may try again."""
        return max(0.0, self._opened + self._cool_down - now)

    def settle(self, admission: Admission, now: float, ok: bool | None) -> None:
        """Say how an admitted call ended.

        Args:
            admission: What ``admit`` answered.
            now: The present.
            ok: Whether the service did its part; None where that cannot be told.
        """
        if admission == "probe":
            self._settle_probe(now, ok)
        elif self.state == "closed" and ok is not None:
            self._count(int(now), 0 if ok else 1)
            self._row = 0 if ok else self._row + 1
            if self._row >= self._streak or self._is_down(now):
                self._open(now)

    def _settle_probe(self, now: float, ok: bool | None) -> None:
        if ok:
            self.state = "closed"
        elif ok is False:
            self._open(now)
        else:
            # Still due: the cool-down has passed, so the next caller probes.
            self.state = "open"

    def _open(self, now: float) -> None:
        self.state, self._opened, self._row = "open", now, 0
        self._slots.clear()

    def _count(self, second: int, failed: int) -> None:
        calls = failures = 0
        if self._slots and self._slots[-1][0] >= second:
            second, calls, failures = self._slots.pop()
        self._slots.append((second, calls + 1, failures + failed))

    def _is_down(self, now: float) -> bool:
        while self._slots[0][0] <= int(now) - self._window:
            self._slots.popleft()
        calls = sum(slot[1] for slot in self._slots)
        return calls >= self._least and sum(slot[2] for slot in self._slots) >= self._share * calls


class _Durations:
    """How long calls take, as TCP estimates its round trips (RFC 6298): a smoothed mean, and how far from it they lie.

    Attributes:
        longest: Seconds after which something is amiss with a call: few that go well take as long.
    """

    # As long as nothing is known, and the least of all.
    _UNKNOWN, _LEAST = 10.0, 1.0

    def __init__(self) -> None:
        self.longest = self._UNKNOWN
        self._mean = self._spread = -1.0

    def add(self, seconds: float) -> None:
        """Count a call that went well."""
        if self._mean < 0:
            self._mean, self._spread = seconds, seconds / 2
        else:
            self._spread += (abs(seconds - self._mean) - self._spread) / 4
            self._mean += (seconds - self._mean) / 8
        self.longest = max(self._LEAST, self._mean + 4 * self._spread)


class Gate(Generic[M]):
    """How many calls may run at once: as many as the service bears, found out by asking (AIMD, as TCP does).

    When the service says that it is too much, the limit becomes half of what was running: where that is less than the
    limit, half the limit would slow nothing down. After as many successes as the limit it grows by a tenth, at least by
    one; only those count that ran while the gate was full, for they alone show that the service bears so much. Whoever
    finds no room waits in a queue, first come first served; whoever finds no room there either is refused.

    Calls that hang must not hold up all others where the limit is low: when nobody has come through for longer than
    calls take, the limit grows by one, if somebody waits. Who waits asks for that at ``stalls_at``, by ``widen``.

    Attributes:
        ceiling: The most that the limit grows to.
        limit: How many may run now, at least 1.
        running: How many run.
    """

    def __init__(self, ceiling: int, queue: int) -> None:
        """
        Args:
            ceiling: At least 1.
            queue: How many may wait.
        """
        self.ceiling = self.limit = ceiling
        self.running = 0
        self._queue = queue
        # A dict keeps the order and finds whoever gives up without a walk.
        self._waiting: dict[M, None] = {}
        self._successes = 0
        self._halved = self._full = self._moved = float("-inf")
        self._durations = _Durations()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def stalls_at(self) -> float:
        """When the limit grows, if it can, unless somebody comes through before."""
        return self._moved + self._durations.longest

    def enter(self, member: M, now: float) -> Literal["enters", "waits", "refused"]:
        """Ask to run. Who enters must ``leave``; who waits is named by ``leave`` or ``widen``, or must ``give_up``."""
        if self.running < self.limit and not self._waiting:
            self.running += 1
            self._moved = now
            return "enters"
        if len(self._waiting) >= self._queue:
            return "refused"
        self._waiting[member] = None
        return "waits"

    def give_up(self, member: M) -> bool:
        """Wait no longer. False: ``member`` does not wait any more; it has entered, and must ``leave``."""
        if member not in self._waiting:
            return False
        del self._waiting[member]
        return True

    def leave(self, entered: float, now: float, verdict: Literal["ok", "throttled"] | None) -> list[M]:
        """Have run.

        Args:
            entered: When the call began.
            now: The present.
            verdict: ``throttled``: the service said that it is too much. None: nothing can be learnt from this call.

        Returns:
            Those who waited and have entered by this.
        """
        if self.running >= self.limit:
            self._full = now
        if verdict == "ok":
            self._durations.add(now - entered)
        # Once a round: those who were under way when the limit halved say nothing about the new limit.
        if entered > self._halved:
            self._learn(entered, now, verdict)
        self.running -= 1
        self._moved = now
        return self._admitted()

    def widen(self, now: float) -> list[M]:
        """Grow by one if the gate has stalled; returns those who waited and have entered by this."""
        if now < self.stalls_at or not self._waiting:
            return []
        # Also where it cannot grow: whoever asks is to wait for as long again.
        self._moved = now
        if self.limit < self.ceiling:
            self.limit, self._successes = self.limit + 1, 0
        return self._admitted()

    def _admitted(self) -> list[M]:
        entering = []
        while self._waiting and self.running < self.limit:
            member = next(iter(self._waiting))
            del self._waiting[member]
            self.running += 1
            entering.append(member)
        return entering

    def _learn(self, entered: float, now: float, verdict: Literal["ok", "throttled"] | None) -> None:
        if verdict == "throttled":
            self.limit = max(1, min(self.limit, self.running) // 2)
            self._halved, self._successes = now, 0
        elif verdict == "ok" and self.limit < self.ceiling and entered <= self._full:
            self._successes += 1
            if self._successes >= self.limit:
                self.limit, self._successes = min(self.ceiling, self.limit + max(1, self.limit // 10)), 0
