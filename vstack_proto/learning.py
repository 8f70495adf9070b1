"""What was found, what was done about it, whether that helped: the records, and the numbers that follow from them."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

Outcome = Literal["improved", "no_change", "worse", "unknown"]

# A record is a note, not an archive: what is found and done fits many times over.
MAX_WORD_CHARS = 200
MAX_NOTE_CHARS = 10_000
MAX_INTERVENTIONS = 50
MAX_EXTRA_BYTES = 16_384
MAX_RECALLED = 1_000
DEFAULT_RECALLED = 25
# As many as a reader takes in at a glance; GET /v1/learnings/outcomes has them all.
MAX_HELPED = 10
# The normal deviate of a two-sided interval of 95 %.
Z_95 = 1.959963984540054

Word = Annotated[str, msgspec.Meta(max_length=MAX_WORD_CHARS)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_WORD_CHARS)]
Note = Annotated[str, msgspec.Meta(max_length=MAX_NOTE_CHARS)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller records.

    Attributes:
        pattern: By which pattern it was found.
        mode: The mode of that analysis.
        agent_id, crew_id: Whom it is about.
        severity, profile_pattern, dominant_finding: As the detection says.
        interventions_applied: What was done about it, such as the ``intervention_type`` of the detection's advice.
        follow_up_outcome: Whether it helped, where that is known already.
        follow_up_record_id: The run in which that was seen.
        notes: For people.
        extra: Whatever else; at most 16 KiB as JSON.
    """

    pattern: Name
    mode: Word = "standard"
    agent_id: Word | None = None
    crew_id: Word | None = None
    severity: Word | None = None
    profile_pattern: Word | None = None
    dominant_finding: Note | None = None
    interventions_applied: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_INTERVENTIONS)] = ()
    follow_up_outcome: Outcome | None = None
    follow_up_record_id: Word | None = None
    notes: Note = ""
    extra: dict[str, Any] = {}


class LearningRecord(Finding, frozen=True, kw_only=True):
    """A finding as it is kept.

    Attributes:
        id: Its name; one of its own within its scope.
        timestamp: When it was recorded; has an offset.
    """

    id: Name
    timestamp: dt.datetime


class OutcomeReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether what was done helped; ``notes`` takes the place of the record's where it says anything."""

    outcome: Outcome
    follow_up_record_id: Word | None = None
    notes: Note = ""


class LearningQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which records; None stands for any.

    Attributes:
        limit: At most so many, the newest first.
    """

    pattern: str | None = None
    agent_id: str | None = None
    crew_id: str | None = None
    limit: int = DEFAULT_RECALLED

    def fits(self, record: LearningRecord) -> bool:
        """Whether a record is one of these, whatever the limit."""
        return (
            self.pattern in (None, record.pattern)
            and self.agent_id in (None, record.agent_id)
            and self.crew_id in (None, record.crew_id)
        )


class OutcomeCount(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """How the records of one pattern that name an intervention ended.

    Attributes:
        runs: Records that name it. Those without an outcome are counted here alone.
    """

    pattern: str
    intervention: str
    runs: Count = 0
    improved: Count = 0
    no_change: Count = 0
    worse: Count = 0
    unknown: Count = 0


class OutcomeAggregate(OutcomeCount, frozen=True, kw_only=True):
    """The same with what follows from it.

    Attributes:
        improvement_rate: Improved among those whose outcome is known; 0 where none is.
        interval: Where the rate really lies, with 95 % confidence (Wilson 1927): [0, 1] where nothing is known.
    """

    improvement_rate: Share = 0.0
    interval: tuple[Share, Share] = (0.0, 1.0)


def wilson(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927, "Probable inference, the law of succession").

    Unlike the textbook's it stays within [0, 1] and holds for few trials, which is what a team has.

    Args:
        successes: At most as many as ``trials``.
        trials: None at all give (0, 1): nothing is known.
        z: Normal deviate of the confidence wanted.
    """
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, z * z / trials
    middle = share + spread / 2
    reach = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low = 0.0 if not successes else max(0.0, (middle - reach) / (1 + spread))
    high = 1.0 if successes == trials else min(1.0, (middle + reach) / (1 + spread))
    return low, high


def aggregate(count: OutcomeCount) -> OutcomeAggregate:
    """What follows from a count; rates are rounded to four places."""
    known = count.improved + count.no_change + count.worse
    low, high = wilson(count.improved, known)
    return OutcomeAggregate(
        **msgspec.structs.asdict(count),
        improvement_rate=round(count.improved / known, 4) if known else 0.0,
        interval=(round(low, 4), round(high, 4)),
    )


def ranked(counts: Iterable[OutcomeCount]) -> tuple[OutcomeAggregate, ...]:
    """Aggregates, the surest help first: by the lower end of the interval, so that one lucky run leads nobody."""
    told = [aggregate(count) for count in counts]
    return tuple(sorted(told, key=lambda one: (-one.interval[0], -one.improvement_rate, -one.runs, one.intervention)))


def count_outcomes(records: Iterable[LearningRecord]) -> tuple[OutcomeCount, ...]:
    """The counts of some records, by pattern and intervention; for a store that cannot count by itself.

    An intervention that a record names twice is counted once.
    """
    counted: dict[tuple[str, str], dict[str, int]] = {}
    for record in records:
        for intervention in dict.fromkeys(record.interventions_applied):
            found = counted.setdefault((record.pattern, intervention), {"runs": 0})
            found["runs"] += 1
            if record.follow_up_outcome is not None:
                found[record.follow_up_outcome] = found.get(record.follow_up_outcome, 0) + 1
    return tuple(
        OutcomeCount(pattern=pattern, intervention=intervention, **found)
        for (pattern, intervention), found in sorted(counted.items())
    )


def with_outcome(record: LearningRecord, report: OutcomeReport) -> LearningRecord:
    """The record after a report."""
    return msgspec.structs.replace(
        record,
        follow_up_outcome=report.outcome,
        follow_up_record_id=report.follow_up_record_id or record.follow_up_record_id,
        notes=report.notes or record.notes,
    )


def learning_id(*parts: str) -> str:
    """The id of a record, from what makes it one of its own (its request and moment, or its line in a file)."""
    # Lengths before parts: no two lists of parts give the same text.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return f"lrn_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def kept(finding: Finding, record_id: str, moment: float) -> LearningRecord:
    """A finding as it is kept; ``moment`` is in seconds since 1970."""
    stamp = dt.datetime.fromtimestamp(moment, dt.UTC)
    return LearningRecord(**msgspec.structs.asdict(finding), id=record_id, timestamp=stamp)
