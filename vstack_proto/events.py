"""Everything that can happen to an exchange or its connection: past facts, and nothing else.

Every event carries ``at``, seconds on a monotonic clock. An answer carries the ``ticket`` of the command it answers.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.framing import Head
from vstack_proto.learning import LearningRecord, OutcomeCount
from vstack_proto.telemetry import AnalyticsRow
from vstack_proto.values import Alias, CacheEntry, Landing, Usage


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Something that happened."""

    at: float


class Answered(Event, frozen=True, gc=False, kw_only=True):
    """The answer to a command."""

    ticket: int


class Underway(Answered, frozen=True, gc=False, kw_only=True):
    """News of what a command has come to so far; its answer is still to come."""


class HeadReceived(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """A request's head has come, well-formed.

    Attributes:
        wall: Wall clock, seconds since 1970.
        request_id: The id to use where the caller brings none.
        peer: The address at the other end of the connection, which may be a proxy.
        scheme: ``http`` or ``https``, as the connection has it.
        method: Such as ``GET``.
        head: The parsed head, without what a caller presents to prove who it is.
        credential: Digest of the key that the caller presents, if any. The key itself goes no further than the driver.
        root: Path under which a host application has mounted the service, such as ``/vstack``; unset where none has, so
            that no tape holds it.
    """

    wall: float
    request_id: str
    peer: str
    scheme: str
    method: str
    head: Head
    credential: str | None = None
    root: str | msgspec.UnsetType = msgspec.UNSET


class FramingRefused(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """The bytes are not a request that this service accepts; nothing that follows them is looked at.

    Attributes:
        status, code, message: Of the answer.
        method, path, fields: Of a head that could be read, as far as the answer needs them; else empty.
    """

    wall: float
    request_id: str
    peer: str
    status: int
    code: str
    message: str
    method: str = ""
    path: str = ""
    fields: dict[str, str] = {}


class BodyReceived(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """Part of the request's body; any length but zero.

    Attributes:
        last: Whether that was the end of it; after such a part comes no ``BodyEnded``.
    """

    data: bytes
    last: bool = False


class BodyEnded(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """The request's body is complete, which could not be told from its last part."""


class KeyChecked(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """Whose key it is, if anybody's, and how many keys are loaded."""

    name: str | None
    loaded: int


class QuotaAnswered(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """Whether the request is within its quota.

    Attributes:
        verdict: ``unavailable`` when the store is away and the operator chose to refuse then.
        limit, remaining: Of the window with the least left.
        retry_after: Seconds until the next admission; 0 where admitted.
        reset: Seconds until the reported window is free again.
        window: Length of the reported window in seconds.
    """

    verdict: Literal["admitted", "refused", "unavailable"]
    limit: int = 0
    remaining: int = 0
    retry_after: float = 0.0
    reset: float = 0.0
    window: float = 0.0


class CacheAnswered(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """What the cache holds; a backend that fails answers as if it held nothing.

    Attributes:
        entry: The stored detection.
        alias: What a byte-identical request was found to be; only where the look-up was by alias.
        helped: How the learnings ended that are wanted beside it; None where that is not at hand.
    """

    entry: CacheEntry | None = None
    alias: Alias | None = None
    helped: tuple[OutcomeCount, ...] | None = None


class FlightJoined(Answered, frozen=True, gc=False, tag=True, kw_only=True, omit_defaults=True):
    """Whether this exchange leads the analysis, follows another's, or is one too many.

    Attributes:
        under_way: Of the analysis that is followed, the name of the pass that a model is asked; empty where that is not
            known.
    """

    role: Literal["leads", "follows", "refused"]
    under_way: str = ""


class PassBegun(Underway, frozen=True, gc=False, tag=True, kw_only=True):
    """The leader of the flight asks a model; ``name`` is that of the pass, as in its ``ModelRequest``."""

    name: str


class FlightLanded(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """The leader of the flight is done."""

    landing: Landing


class FlightHandedOver(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """The leader left before it was done; this exchange leads now."""


class ModelTried(Underway, frozen=True, gc=False, tag=True, kw_only=True):
    """A try of a model call came to nothing, and the call may go on; ``usage`` is what it has used until now."""

    usage: Usage


class ModelAnswered(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """A model's answer, as text, and what it used; ``model`` names the one that answered where another was asked."""

    text: str
    usage: Usage = Usage()
    model: str = ""


class ModelFailed(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """A model call came to nothing.

    Attributes:
        kind: ``unavailable`` (later may help), ``overloaded`` (too many calls wait for the provider), ``late`` (there
            was no answer by the deadline), ``refused`` (the model would not), ``truncated`` (it ran out of tokens),
            ``rejected`` (the provider would not take the call), ``unresolved`` (no provider is configured).
        message: For the caller; holds no secret.
        retry_after: Seconds, where the provider named them.
    """

    kind: Literal["unavailable", "overloaded", "late", "refused", "truncated", "rejected", "unresolved"]
    message: str
    retry_after: float | None = None
    usage: Usage = Usage()


class ReadinessAnswered(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """Whether the service takes traffic: ``ready``, or why not; each check with what it found."""

    status: Literal["ready", "warming", "draining", "misconfigured"]
    detail: str
    checks: dict[str, str]


class MetricsRendered(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """The metrics page."""

    content_type: str
    body: bytes


class LearningRecorded(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """The learning as it is kept."""

    record: LearningRecord


class LearningsRecalled(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """The learnings that fit, the newest first."""

    records: tuple[LearningRecord, ...] = ()


class OutcomeReported(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """The learning after the report; None where there is none of that id."""

    record: LearningRecord | None = None


class OutcomesAggregated(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """How learnings ended, in any order."""

    counts: tuple[OutcomeCount, ...] = ()


class AnalyticsRead(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """The sums of telemetry, in any order."""

    rows: tuple[AnalyticsRow, ...] = ()


class BaselineRead(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """The detection that was named, encoded; None where there is none of that name."""

    detection: bytes | None = None


class StoreFailed(Answered, frozen=True, gc=False, tag=True, kw_only=True):
    """A store of learnings, telemetry or baselines is away, or has not answered in time."""


class PeerLeft(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """The other end closed the connection, or it broke."""


class DeadlinePassed(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """The moment named by the last ``ArmDeadline`` has come."""


class ShutdownAsked(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """The service is stopping.

    Attributes:
        now: False: finish what is in flight, and let every answer close its connection. True: answer at once.
    """

    now: bool = False


class BytesReceived(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """Bytes came on a connection; none mean that the other end will send no more.

    Attributes:
        wall: Wall clock, seconds since 1970.
    """

    wall: float
    data: bytes


class WritingPaused(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """The peer does not read: what was sent to it piles up. Said again when a deadline comes meanwhile.

    Attributes:
        waiting: Bytes that have not gone out yet.
    """

    waiting: int = 0


class WritingResumed(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """What was sent has gone out."""


class ListenersClosed(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """No new connection can come; an idle one has nothing to wait for."""


class Crashed(Event, frozen=True, gc=False, tag=True, kw_only=True):
    """A bug of ours stopped this exchange; whoever drives it has logged what happened."""


AnyAnswered = (
    KeyChecked
    | QuotaAnswered
    | CacheAnswered
    | FlightJoined
    | PassBegun
    | FlightLanded
    | FlightHandedOver
    | ModelTried
    | ModelAnswered
    | ModelFailed
    | ReadinessAnswered
    | MetricsRendered
    | LearningRecorded
    | LearningsRecalled
    | OutcomeReported
    | OutcomesAggregated
    | AnalyticsRead
    | BaselineRead
    | StoreFailed
)
ExchangeEvent = (
    HeadReceived
    | FramingRefused
    | BodyReceived
    | BodyEnded
    | AnyAnswered
    | PeerLeft
    | DeadlinePassed
    | ShutdownAsked
    | Crashed
)
AnyEvent = ExchangeEvent | BytesReceived | WritingPaused | WritingResumed | ListenersClosed
