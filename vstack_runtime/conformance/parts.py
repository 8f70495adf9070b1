"""What scenarios wait for: stores and a provider that stand still until they are let go on, and a pattern."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import anyio
import msgspec

from vstack_proto.patterns.common import Answer as PassAnswer
from vstack_proto.patterns.common import Case, Composition, Detection, Pass, Pattern, Reading, Severity, Step
from vstack_proto.quota import Decision, SlidingWindow, Window
from vstack_proto.trace import CanonicalTrace
from vstack_proto.values import CacheEntry, ModelRequest
from vstack_runtime.backends import MemoryCache
from vstack_runtime.background import from_any_thread
from vstack_runtime.scripted import Reply

# For anything that should come soon. Far more than it takes, so that a slow machine fails no scenario.
PATIENCE = 20.0
# The wall clock of every scenario: 2023-11-14T22:13:20Z.
WALL = 1_700_000_000.0


class ConformanceError(AssertionError):
    """A driver does not do what is promised."""


def must(fact: object, told: str) -> None:
    """Raise ConformanceError unless something holds."""
    if not fact:
        raise ConformanceError(told)


def wait_until(fact: Callable[[], object], told: str, seconds: float = PATIENCE) -> None:
    """Wait until something holds that nobody tells of.

    Raises:
        ConformanceError: It does not come to hold.
    """
    end = time.monotonic() + seconds
    while not fact():
        must(time.monotonic() < end, f"not within {seconds:g} s: {told}")
        time.sleep(0.002)


# Stores and a provider that wait until the scenario lets them go on.


class Gate:
    """Whoever comes waits until it is opened.

    Attributes:
        came: How many have come.
        cancelled: How many were cancelled while they waited.
    """

    def __init__(self) -> None:
        self.came = 0
        self.cancelled = 0
        self._lock = threading.Lock()
        self._open = False
        self._waiting: list[Callable[[], object]] = []

    async def pass_through(self) -> None:
        """Wait until it is open."""
        opened = anyio.Event()
        call = from_any_thread()
        with self._lock:
            self.came += 1
            if self._open:
                return
            self._waiting.append(lambda: call(opened.set))
        try:
            await opened.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise

    def open(self) -> None:
        """Let all through, those who come later too."""
        with self._lock:
            self._open = True
            waiting, self._waiting = self._waiting, []
        for let_through in waiting:
            let_through()

    def wait_for(self, came: int) -> None:
        """Wait until so many have come."""
        wait_until(lambda: self.came >= came, f"{came} calls have come; {self.came} have")

    def wait_cancelled(self, cancelled: int) -> None:
        """Wait until so many were cancelled."""
        wait_until(lambda: self.cancelled >= cancelled, f"{cancelled} calls are cancelled; {self.cancelled} are")


class GatedProvider:
    """A provider whose calls wait at a gate."""

    name = "scripted"
    default_model = "scripted-1"

    def __init__(self) -> None:
        self.gate = Gate()

    async def ask(self, request: ModelRequest, timeout: float) -> Reply:  # noqa: ASYNC109 - as Provider has it
        """Answer once the gate is open."""
        await self.gate.pass_through()
        return Reply('{"verdict":"heard"}')


class PacedProvider:
    """A provider whose calls wait at a gate each.

    Attributes:
        gates: Of the first call, of the second, and so on.
    """

    name = "scripted"
    default_model = "scripted-1"

    def __init__(self, calls: int) -> None:
        """
        Args:
            calls: How many there may be.
        """
        self.gates = [Gate() for _ in range(calls)]

    async def ask(self, request: ModelRequest, timeout: float) -> Reply:  # noqa: ASYNC109 - as Provider has it
        """Answer once the gate of this call is open."""
        gate = next(gate for gate in self.gates if not gate.came)
        await gate.pass_through()
        return Reply('{"verdict":"heard"}')


class GatedCache:
    """An empty cache whose look-ups wait at a gate."""

    def __init__(self) -> None:
        self.gate = Gate()

    async def get(self, key: str) -> CacheEntry | None:
        """Nothing, once the gate is open."""
        await self.gate.pass_through()
        return None

    async def put(self, key: str, entry: CacheEntry) -> None:
        """Keep nothing."""


class GatedLimiter:
    """A limiter that admits everybody, once its gate is open."""

    def __init__(self) -> None:
        self.gate = Gate()

    async def take(self, key: str) -> Decision:
        """Admit."""
        await self.gate.pass_through()
        return Decision(admitted=True, limit=100, remaining=99, retry_after=0.0, reset=60.0, window=60.0)


class FixedLimiter:
    """A sliding window on a clock that stands still, so that ``Retry-After`` is the same on every run.

    Attributes:
        asked: How often it was asked: whose head has come has asked once.
    """

    def __init__(self, limit: int) -> None:
        self.asked = 0
        self._window = SlidingWindow((Window(limit, 60.0),))

    def take_now(self, key: str, now: float) -> Decision:
        """Take one."""
        self.asked += 1
        return self._window.take(key, 10_000.0)


class BrokenLimiter:
    """A limiter with a bug."""

    def take_now(self, key: str, now: float) -> Decision:
        """Break."""
        self.fail()

    def fail(self) -> NoReturn:
        """Likewise."""
        raise ZeroDivisionError("the bug of the scenarios")


class CountingCache(MemoryCache):
    """A cache that counts look-ups by key, which come right before an exchange joins its flight."""

    looked_up = 0

    def get_now(self, key: str, now: float) -> CacheEntry | None:
        """The entry under ``key``."""
        self.looked_up += 1
        return super().get_now(key, now)


# A pattern.


class Text(msgspec.Struct, frozen=True):
    """The trace of the scenarios; the text ``crash`` meets a bug."""

    text: str


class Heard(Detection, frozen=True, kw_only=True):
    """What the scenarios detect."""

    severity: Severity = "none"
    verdict: str = ""


class Verdict(PassAnswer, frozen=True):
    """What a model says of it."""

    verdict: str


def _assess(case: Case[Text]) -> Heard:
    if case.trace.text == "crash":
        raise ZeroDivisionError("the bug of the scenarios")
    return Heard(verdict=case.trace.text)


def _conclude(case: Case[Text], answers: Any) -> Heard:
    return Heard(verdict=",".join(answer.verdict for answer in answers.values()))


def _passes(count: int) -> tuple[Pass, ...]:
    return tuple(Pass(f"pass-{n}", Verdict, lambda case, answers: "Say a word.") for n in range(count))


ANALYZE = "/v1/analyze/conformance"
PATTERN: Pattern[Text, Heard] = Pattern(
    name="conformance",
    number=1,
    friendly="Conformance",
    group="Conformance",
    summary="Shows what a driver does.",
    framework="There is none.",
    sources=(),
    trace=Text,
    detection=Heard,
    from_trace=lambda trace: Text(_first(trace)),
    read=lambda trace: Reading((), (Step("agent", "message", trace.text),)),
    signals=lambda trace, reading: (),
    assess_offline=_assess,
    passes={"quick": _passes(1), "standard": _passes(2), "forensic": _passes(4)},
    conclude=_conclude,
    playbooks=(),
    attach={},
    composition=Composition(upstream=(), downstream={}),
)


def _first(trace: CanonicalTrace) -> str:
    return trace.steps[0].content
