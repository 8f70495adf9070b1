"""What the performer does for learnings, telemetry and baselines: asks the stores, and turns failures into answers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from vstack_proto.commands import (
    AggregateOutcomes,
    Asking,
    LookUpCache,
    ReadAnalytics,
    ReadBaseline,
    RecallLearnings,
    RecordLearning,
    RecordTelemetry,
    ReportOutcome,
)
from vstack_proto.events import (
    AnalyticsRead,
    Answered,
    BaselineRead,
    LearningRecorded,
    LearningsRecalled,
    OutcomeReported,
    OutcomesAggregated,
    StoreFailed,
)
from vstack_proto.learning import OutcomeCount
from vstack_proto.values import Alias
from vstack_runtime.chosen_stores import Trouble
from vstack_runtime.stores import TelemetryStore

if TYPE_CHECKING:
    from vstack_runtime.engine import Engine

# What helped before is asked with every detection, cached ones too: so long an earlier answer of the store will do.
# What this process itself has recorded since is never overlooked.
REMEMBERED_SECONDS = 1.0
MAX_REMEMBERED = 4_096
# A detection waits no longer than this for what helped before; it is answered without.
HELP_SECONDS = 0.25

KEPT = (RecordLearning, RecallLearnings, ReportOutcome, AggregateOutcomes, ReadAnalytics, ReadBaseline)
_STORES = {ReadAnalytics: "telemetry", ReadBaseline: "baselines"}


_Key = tuple[str, str | None, str | None, str | None]


def _key(command: AggregateOutcomes) -> _Key:
    # Of texts, not of the query itself: a Struct takes longer to hash than the rest of the look-up.
    query = command.query
    return command.scope, query.pattern, query.agent_id, query.crew_id


class Keeper:
    """Asks the stores of one process."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        """
        Args:
            engine: Has the stores.
            clock: Monotonic seconds.
        """
        self.engine = engine
        self.clock = clock
        self._remembered: OrderedDict[_Key, tuple[float, tuple[OutcomeCount, ...]]] = OrderedDict()
        # How often this process has written: what was read before that is not remembered after it.
        self._writes = 0
        names = ("learnings", "telemetry", "baselines")
        self._troubles = {name: Trouble(f"{name} failed", engine.metrics, name) for name in names}

    def record_telemetry(self, command: RecordTelemetry) -> None:
        """Take down what something cost; a sink that breaks its promise and raises breaks no request."""
        telemetry = self.engine.telemetry
        if telemetry is None:
            return
        try:
            telemetry.record(command.event)
        except Exception as error:
            self._troubles["telemetry"].met(error, self.clock())

    def remembered(self, command: AggregateOutcomes, at: float) -> OutcomesAggregated | None:
        """What was counted a moment ago, where that will do."""
        if not command.soon:
            return None
        found = self._remembered.get(_key(command))
        if found is None or at >= found[0]:
            return None
        return OutcomesAggregated(at=at, ticket=command.ticket, counts=found[1])

    def known(self, command: LookUpCache, alias: Alias, at: float) -> tuple[OutcomeCount, ...] | None:
        """What was counted a moment ago of the agent or crew that a request is about; None where nothing was."""
        found = self._remembered.get((command.scope, command.pattern, alias.agent or None, alias.crew or None))
        return None if found is None or at >= found[0] else found[1]

    async def perform(self, command: Asking) -> Answered:
        """Ask a store, and return its answer; a failure is one too."""
        trouble = self._troubles[_STORES.get(type(command), "learnings")]
        try:
            if isinstance(command, AggregateOutcomes) and command.soon:
                with anyio.fail_after(HELP_SECONDS):
                    answer = await self._ask(command)
            else:
                answer = await self._ask(command)
        except Exception as error:
            trouble.met(error, self.clock())
            return StoreFailed(at=self.clock(), ticket=command.ticket)
        trouble.over()
        return answer

    async def _ask(self, command: Asking) -> Answered:
        if isinstance(command, ReadAnalytics):
            telemetry = self.engine.telemetry
            assert isinstance(telemetry, TelemetryStore), "it was asked before, when the policy was made"
            rows = tuple(await telemetry.summarize(command.query))
            return AnalyticsRead(at=self.clock(), ticket=command.ticket, rows=rows)
        if isinstance(command, ReadBaseline):
            baselines = self.engine.baselines
            assert baselines is not None
            found = await baselines.get_baseline(command.scope, command.pattern, command.name)
            return BaselineRead(at=self.clock(), ticket=command.ticket, detection=found)
        return await self._ask_learnings(command)

    async def _ask_learnings(self, command: Asking) -> Answered:
        learnings = self.engine.learnings
        assert learnings is not None
        ticket = command.ticket
        if isinstance(command, RecordLearning):
            await learnings.record(command.scope, command.record)
            self._written()
            return LearningRecorded(at=self.clock(), ticket=ticket, record=command.record)
        if isinstance(command, RecallLearnings):
            records = tuple(await learnings.recall(command.scope, command.query))
            return LearningsRecalled(at=self.clock(), ticket=ticket, records=records)
        if isinstance(command, ReportOutcome):
            record = await learnings.report(command.scope, command.record_id, command.report)
            self._written()
            return OutcomeReported(at=self.clock(), ticket=ticket, record=record)
        assert isinstance(command, AggregateOutcomes), command
        asked_at, writes = self.clock(), self._writes
        counts = tuple(await learnings.outcomes(command.scope, command.query))
        if command.soon and writes == self._writes:
            self._remember(command, asked_at, counts)
        return OutcomesAggregated(at=self.clock(), ticket=ticket, counts=counts)

    def _written(self) -> None:
        self._writes += 1
        self._remembered.clear()

    def _remember(self, command: AggregateOutcomes, at: float, counts: tuple[OutcomeCount, ...]) -> None:
        key = _key(command)
        self._remembered[key] = at + REMEMBERED_SECONDS, counts
        self._remembered.move_to_end(key)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
