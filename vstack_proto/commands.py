"""Everything that an exchange can ask of its driver: imperatives, and nothing else.

A command with a ``ticket`` is answered by an event with the same ticket; the others are carried out and forgotten.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.framing import Headers
from vstack_proto.learning import LearningQuery, LearningRecord, OutcomeReport
from vstack_proto.telemetry import AnalyticsQuery, TelemetryEvent
from vstack_proto.values import Alias, CacheEntry, Landing, ModelRequest


class Command(msgspec.Struct, frozen=True, gc=False):
    """Something to do."""


class Asking(Command, frozen=True, gc=False):
    """A command that is answered."""

    ticket: int


class ArmDeadline(Command, frozen=True, gc=False, tag=True):
    """Say ``DeadlinePassed`` at this moment (seconds, monotonic); it takes the place of any earlier one."""

    when: float


class ReadBody(Command, frozen=True, gc=False, tag=True):
    """Hand over the request's body from now on; send ``100 Continue`` first if the caller waits for it."""

    send_continue: bool


class CheckKey(Asking, frozen=True, gc=False, tag=True):
    """Find out whose key has this digest. Answered by ``KeyChecked``."""

    credential: str | None


class TakeQuota(Asking, frozen=True, gc=False, tag=True):
    """Take one request from a quota. Answered by ``QuotaAnswered``."""

    rule: Literal["requests", "auth_failures"]
    key: str


class LookUpCache(Asking, frozen=True, gc=False, tag=True):
    """Look a detection up, by the bytes of its request (``alias``) or by its ``key``. Answered by ``CacheAnswered``.

    Where both are given, a hit by key is remembered under the alias.

    Attributes:
        scope, pattern: Whose learnings about which pattern are wanted beside what is found, if they are at hand; no
            pattern for none.
    """

    key: str | None
    alias: str | None
    meaning: Alias | None = None
    scope: str = ""
    pattern: str = ""


class StoreCache(Command, frozen=True, gc=False, tag=True):
    """Keep a detection under its key, and the key under the request's bytes."""

    key: str
    entry: CacheEntry
    alias: str
    meaning: Alias


class JoinFlight(Asking, frozen=True, gc=False, tag=True):
    """Join the analysis of an equal request, or lead it. Answered by ``FlightJoined``, and for a follower then by
    ``FlightLanded`` or ``FlightHandedOver``; before that, ``PassBegun`` tells each time that the leader asks a model.
    """

    key: str


class LandFlight(Command, frozen=True, gc=False, tag=True):
    """Tell those who follow how the analysis ended; ``ticket`` is that of the ``JoinFlight``."""

    ticket: int
    key: str
    landing: Landing


class LeaveFlight(Command, frozen=True, gc=False, tag=True):
    """Give up one's place in a flight; a leader's goes to the follower who has waited longest."""

    ticket: int
    key: str


class CallModel(Asking, frozen=True, gc=False, tag=True):
    """Ask a model. Answered by ``ModelAnswered`` or ``ModelFailed``, by the deadline at the latest; before that,
    ``ModelTried`` tells what tries that came to nothing have used.
    """

    request: ModelRequest
    deadline: float


class CancelCall(Command, frozen=True, gc=False, tag=True):
    """Nobody wants the answer to this ticket any more: stop what makes it."""

    ticket: int


class CheckReadiness(Asking, frozen=True, gc=False, tag=True):
    """Find out whether the service takes traffic. Answered by ``ReadinessAnswered``."""


class RenderMetrics(Asking, frozen=True, gc=False, tag=True):
    """Render the metrics page for this ``Accept`` header. Answered by ``MetricsRendered``."""

    accept: str


class RecordLearning(Asking, frozen=True, gc=False, tag=True):
    """Keep a learning. Answered by ``LearningRecorded``, once nothing can undo it, or ``StoreFailed``."""

    scope: str
    record: LearningRecord


class RecallLearnings(Asking, frozen=True, gc=False, tag=True):
    """Find learnings. Answered by ``LearningsRecalled`` or ``StoreFailed``."""

    scope: str
    query: LearningQuery


class ReportOutcome(Asking, frozen=True, gc=False, tag=True):
    """Say whether what was done helped. Answered by ``OutcomeReported`` or ``StoreFailed``."""

    scope: str
    record_id: str
    report: OutcomeReport


class AggregateOutcomes(Asking, frozen=True, gc=False, tag=True):
    """Count how learnings ended. Answered by ``OutcomesAggregated`` or ``StoreFailed``.

    Attributes:
        soon: An answer waits for it: what was counted a moment ago will do, and if it takes long, nothing at all.
    """

    scope: str
    query: LearningQuery
    soon: bool = False


class ReadAnalytics(Asking, frozen=True, gc=False, tag=True):
    """Sum telemetry up. Answered by ``AnalyticsRead`` or ``StoreFailed``."""

    query: AnalyticsQuery


class ReadBaseline(Asking, frozen=True, gc=False, tag=True):
    """Find the detection of this name. Answered by ``BaselineRead`` or ``StoreFailed``."""

    scope: str
    pattern: str
    name: str


class RecordTelemetry(Command, frozen=True, gc=False, tag=True):
    """Take down what a model call or an analysis cost."""

    event: TelemetryEvent


class Respond(Command, frozen=True, gc=False, tag=True):
    """Send the whole answer. ``close``: no further request is read from this connection."""

    status: int
    headers: Headers
    body: bytes
    close: bool


class StartStream(Command, frozen=True, gc=False, tag=True):
    """Send the head of an answer that comes in parts."""

    status: int
    headers: Headers
    close: bool


class SendPart(Command, frozen=True, gc=False, tag=True):
    """Send one part of a streamed answer."""

    data: bytes


class EndStream(Command, frozen=True, gc=False, tag=True):
    """The streamed answer is complete."""


class Abort(Command, frozen=True, gc=False, tag=True):
    """Close the connection without an answer: nobody is there to read it."""


class Send(Command, frozen=True, gc=False, tag=True):
    """Send these bytes on the connection."""

    data: bytes


class Close(Command, frozen=True, gc=False, tag=True):
    """Close the connection once all that was sent has gone out."""


class PauseReading(Command, frozen=True, gc=False, tag=True):
    """Read no more from the connection: what has come is not worked off yet."""


class ResumeReading(Command, frozen=True, gc=False, tag=True):
    """Read on."""


class Record(Command, frozen=True, gc=False, tag=True):
    """Count, time and log a finished exchange.

    Attributes:
        surface: ``rest`` or ``mcp``.
        route: The route's template, or ``other``.
        outcome: One of ``vstack_proto.outcomes.OUTCOMES`` for an analysis, else empty.
        started: When the head came (monotonic), so that whoever records can tell the duration.
        cache: ``hit``, ``miss``, ``coalesced``, or empty where the cache had no part.
        parent_span: The caller's span in the trace ``trace_id``, and its flags: ``<16 hex>-<2 hex>``, or empty.
    """

    surface: str
    request_id: str
    method: str
    path: str
    route: str
    status: int
    outcome: str
    pattern: str
    mode: str
    started: float
    caller: str
    trace_id: str = ""
    model: str = ""
    cache: str = ""
    code: str = ""
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    parent_span: str = ""


AnyCommand = (
    Send
    | Close
    | PauseReading
    | ResumeReading
    | ArmDeadline
    | ReadBody
    | CheckKey
    | TakeQuota
    | LookUpCache
    | StoreCache
    | JoinFlight
    | LandFlight
    | LeaveFlight
    | CallModel
    | CancelCall
    | CheckReadiness
    | RenderMetrics
    | RecordLearning
    | RecallLearnings
    | ReportOutcome
    | AggregateOutcomes
    | ReadAnalytics
    | ReadBaseline
    | RecordTelemetry
    | Respond
    | StartStream
    | SendPart
    | EndStream
    | Abort
    | Record
)
Commands = tuple[AnyCommand, ...]
