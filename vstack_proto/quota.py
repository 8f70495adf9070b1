"""The exact sliding window: never more than N admitted in any interval of that length."""

from __future__ import annotations

import math
import re
from array import array
from collections import OrderedDict

import msgspec

# Some 400 bytes each, and 8 more for every admission that still counts.
MAX_KEYS = 100_000

_WINDOW = re.compile(r"([0-9]{1,9})(?:/([0-9]{1,9}(?:\.[0-9]{1,9})?))?")
_ALLOWED = "'off', or COUNT/SECONDS with both at least 1, such as 100/60; several by commas, such as 100/60,2000/3600"


class Window(msgspec.Struct, frozen=True, gc=False):
    """At most ``limit`` admissions in any interval of ``seconds``."""

    limit: int
    seconds: float


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What became of one request.

    Attributes:
        admitted: Whether it is within its quota.
        limit: The limit of the window that is nearest to being full; 0 where no window is set.
        remaining: How many more that window admits now.
        retry_after: Seconds until the next admission, 0.0 where this one was admitted.
        reset: Seconds until that window is wholly free again, if nothing more is admitted.
        window: Its length in seconds.
    """

    admitted: bool
    limit: int
    remaining: int
    retry_after: float
    reset: float
    window: float = 0.0


def parse_windows(text: str) -> tuple[Window, ...]:
    """The windows of a quota setting: ``100/60``, ``100`` (a minute), several separated by commas, or ``off``.

    Raises:
        ValueError: Anything else. The text says what is allowed.
    """
    if text.strip().lower() in ("", "off", "none", "disabled"):
        return ()
    windows = []
    for item in text.split(","):
        match = _WINDOW.fullmatch(item.strip())
        if match is None:
            raise ValueError(_ALLOWED)
        windows.append(Window(int(match[1]), float(match[2] or 60)))
    return check_windows(tuple(windows))


def check_windows(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """The windows themselves, if each has a limit and a length of at least 1.

    Raises:
        ValueError: Some window does not. The text says what is allowed.
    """
    if not all(window.limit >= 1 and 1 <= window.seconds < math.inf for window in windows):
        raise ValueError(_ALLOWED)
    return windows


class _Log:
    """When a key was admitted, oldest first, and for each window the first admission that still counts in it."""

    __slots__ = ("heads", "stamps", "used_at")

    def __init__(self, windows: int, now: float) -> None:
        self.stamps = array("d")
        self.heads = [0] * windows
        self.used_at = now


class SlidingWindow:
    """Counts admissions by key, exactly, in bounded memory.

    An admission at ``t`` counts until ``t + seconds``, and no longer at that moment. A refused request consumes
    nothing. A key that was idle for the longest window is forgotten; a new key drops at most two of them, so that the
    work is even. At ``max_keys`` the key that has been idle longest is forgotten although it still counts: a flood of
    new keys may then win back a part of its own quota, but not more memory.

    Args:
        windows: All of them must admit. With none, everything is admitted.
        max_keys: How many keys are remembered.
    """

    def __init__(self, windows: tuple[Window, ...], max_keys: int = MAX_KEYS) -> None:
        self._windows = [(index, window.limit, window.seconds) for index, window in enumerate(windows)]
        self._longest = max((window.seconds for window in windows), default=0.0)
        self._max_keys = max_keys
        self._logs: OrderedDict[str, _Log] = OrderedDict()
        self._now = float("-inf")

    def __len__(self) -> int:
        return len(self._logs)

    def take(self, key: str, now: float) -> Decision:
        """Admit one request of ``key``, or refuse it.

        Args:
            key: Whose quota it is.
            now: Seconds, monotonic. A moment before the latest one seen counts as that one.
        """
        if now < self._now:
            now = self._now
        self._now = now
        log = self._logs.get(key)
        if log is None:
            log = self._begin(key, now)
        else:
            self._logs.move_to_end(key)
            log.used_at = now
        stamps, heads, count = log.stamps, log.heads, len(log.stamps)
        limit, remaining, reported, wait = 0, -1, 0, -1.0
        for index, most, seconds in self._windows:
            head = heads[index]
            while head < count and stamps[head] + seconds <= now:
                head += 1
            heads[index] = head
            left = most - (count - head)
            if left <= 0:
                # The oldest one that counts makes room when it leaves; of several full windows the last decides.
                delay = stamps[head] + seconds - now
                if delay > wait:
                    wait, limit, reported, remaining = delay, most, index, 0
            elif wait < 0 and (remaining < 0 or left - 1 < remaining):
                limit, reported, remaining = most, index, left - 1
        if wait >= 0:
            length = self._windows[reported][2]
            return Decision(False, limit, 0, wait, stamps[-1] + length - now, length)
        if not self._windows:
            return Decision(True, 0, 0, 0.0, 0.0)
        stamps.append(now)
        if count > 64:
            _compact(log)
        length = self._windows[reported][2]
        return Decision(True, limit, remaining, 0.0, length, length)

    def _begin(self, key: str, now: float) -> _Log:
        logs = self._logs
        for _ in range(2):
            if not logs:
                break
            oldest = next(iter(logs))
            if len(logs) < self._max_keys and logs[oldest].used_at + self._longest > now:
                break
            del logs[oldest]
        log = logs[key] = _Log(len(self._windows), now)
        return log


def _compact(log: _Log) -> None:
    # Only when half of it is past, so that each stamp is moved once on average.
    past = min(log.heads)
    if past * 2 > len(log.stamps):
        del log.stamps[:past]
        log.heads = [head - past for head in log.heads]
