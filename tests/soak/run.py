"""The soak: ``python -m tests.soak.run [--minutes 30] [--runtime trio]``. Exit code 1 when something is broken."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.e2e.serving import RUNTIMES, Runtime
from tests.soak import judging, traffic
from tests.soak.judging import Sample
from tests.soak.leaving import left
from tests.soak.served import Held
from tests.soak.soaked import Soaked, soaking
from tests.soak.traffic import Action, Traffic

# Of 100 requests, about so many.
SHARES: dict[Action, float] = {
    traffic.cached: 40,
    traffic.offline: 16,
    left: 12,
    traffic.refused: 10,
    traffic.modelled: 8,
    traffic.streamed: 6,
    traffic.pages: 4,
    traffic.tools: 2,
    traffic.stranger: 1,
    traffic.learned: 1,
    traffic.big: 0.6,
    traffic.greedy: 0.1,
}
CALLERS = 12
# Samples of a run, and the part of it that is no more than a warm-up; caches fill by requests, whatever the machine.
SAMPLES, WARM_UP, WARM_REQUESTS = 12, 0.3, 10_000
# Below so many requests the samples tell nothing: what a bounded cache still takes up weighs more than the limit.
LEAST_REQUESTS = 10_000
# Where it is too early to tell, or the samples leave it open, the soak goes on, up to so many times as long.
LONGER = 3.0
# How long everything may take to come to rest.
REST_SECONDS = 20.0


class Soak:
    """One runtime that soaks.

    Attributes:
        samples: One for each rest, the warm-up's left out.
    """

    def __init__(self, server: Soaked, runtime: Runtime, seconds: float) -> None:
        self._server, self._seconds = server, seconds
        self._traffic = Traffic(server.port, SHARES, RUNTIMES.index(runtime))
        self.samples: list[Sample] = []
        self._first: Held | None = None
        # The fewest tasks, threads and descriptors that were seen at rest: what every rest comes back to.
        self._least: tuple[int, ...] | None = None
        self._turns = 0

    async def run(self) -> list[str]:
        """Soak; returns what is broken."""
        began = time.monotonic()
        turn = self._seconds * (1 - WARM_UP) / SAMPLES
        await self._traffic.overture()
        while not self._warm(time.monotonic() - began):
            await self._turn(turn)
        await self._rest(self._server.asked())
        self._first = self._server.asked(detailed=True)
        while not self._enough(time.monotonic() - began):
            await self._turn(turn)
            self._take(await self._rest(self._server.asked()))
        if self._sampled < LEAST_REQUESTS:
            self._traffic.fail(f"{self._sampled} requests are too few to tell whether memory grows: soak for longer")
        return [*self._traffic.wrong[:20], *judging.broken(self.samples), *await asyncio.to_thread(self._stopped)]

    def _warm(self, seconds: float) -> bool:
        if seconds < self._seconds * WARM_UP:
            return False
        return self._traffic.sent >= WARM_REQUESTS or seconds > self._seconds * WARM_UP * LONGER

    def _enough(self, seconds: float) -> bool:
        if seconds < self._seconds or len(self.samples) < 4:
            return False
        if seconds > self._seconds * LONGER:
            return True
        return self._sampled >= LEAST_REQUESTS and judging.live(self.samples).settled

    @property
    def _sampled(self) -> int:
        """Requests between the first sample and the last."""
        return self.samples[-1].requests - self.samples[0].requests

    async def _turn(self, seconds: float) -> None:
        """Traffic for so long, and until the last caller has gone."""
        end = time.monotonic() + seconds
        self._turns += 1
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CALLERS):
                tasks.create_task(self._calls(end))
            if self._turns % 4 == 1:
                # Both take their time, and leave less of the model service to others.
                tasks.create_task(self._once(traffic.hung))
                tasks.create_task(self._once(traffic.busy))

    async def _calls(self, end: float) -> None:
        while time.monotonic() < end:
            await self._traffic.session()

    async def _once(self, action: Action) -> None:
        talk = await self._traffic.talk()
        await self._traffic.made(action, talk)
        await talk.leave(rough=False)

    async def _rest(self, held: Held) -> Held:
        """Wait until what the callers left behind has been cleared away, as far as it ever will be."""
        # How many connections to the model service are at hand is chance; now there is one.
        self._server.model.hang_up()
        await self._once(traffic.well)
        end = time.monotonic() + REST_SECONDS
        while self._busy(held) and time.monotonic() < end:
            await asyncio.sleep(0.05)
            held = self._server.asked()
        counts = self._counts(held)
        self._least = tuple(map(min, counts, self._least or counts))
        return held

    def _busy(self, held: Held) -> bool:
        counts = self._counts(held)
        return any(one > other for one, other in zip(counts, self._least or counts, strict=True))

    def _counts(self, held: Held) -> tuple[int, ...]:
        return held.tasks, held.threads, len(self._server.descriptors(held))

    def _take(self, held: Held) -> None:
        self.samples.append(Sample(self._traffic.sent, held.live, held.sqlite, held.rss, *self._counts(held)))
        assert self._first is not None
        first, now = (Counter(self._server.descriptors(one)) for one in (self._first, held))
        if now.total() != first.total():
            print(f"  open, and not after the warm-up: {now - first}; the other way round: {first - now}")
        print(f"  {self.samples[-1]}", flush=True)

    def _stopped(self) -> list[str]:
        """Stop the server, which must end well; what is wrong with its end and its log."""
        self._grown(self._server.asked(detailed=True))
        self._server.signal(15)
        code = self._server.wait()
        return [*([f"exit code {code}"] if code else []), *self._server.faults()]

    def _grown(self, held: Held) -> None:
        """Tell what there is more of than after the warm-up: where to look, if it is too much."""
        assert self._first is not None
        grown = Counter(held.types)
        grown.subtract(self._first.types)
        more = ", ".join(f"{number} {name}" for name, number in grown.most_common(6) if number > 0)
        seen = sorted(self._traffic.seen.items())
        print(f"  more objects: {more or 'none'}")
        print("  " + ", ".join(f"{name} {status or 'left'}: {number}" for (name, status), number in seen))


def soak(runtime: Runtime, seconds: float) -> list[str]:
    """Let a runtime soak; returns what is broken."""
    print(f"{runtime}, {seconds:.0f} s", flush=True)
    with soaking(runtime) as server:
        one = Soak(server, runtime, seconds)
        broken = asyncio.run(one.run())
    print(f"  {one.samples[-1].requests} requests; allocated: {judging.live(one.samples)}")
    print(f"  occupied: {judging.rss(one.samples)}")
    for told in broken:
        print(f"  BROKEN: {told[:2_000]}")
    return broken


def main(argv: Sequence[str]) -> int:
    """Let each runtime soak in turn, for its part of the time."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="for all runtimes together")
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, help="only this one; may be repeated")
    asked = parser.parse_args(argv)
    runtimes = asked.runtime or RUNTIMES
    broken = [soak(runtime, asked.minutes * 60 / len(runtimes)) for runtime in runtimes]
    return int(any(broken))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
