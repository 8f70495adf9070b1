"""All that one exchange knows: one flat Struct, which can be encoded, stored and continued."""

from __future__ import annotations

import enum

import msgspec

from vstack_proto.analysis.machine import AnalysisState
from vstack_proto.contributed import REST
from vstack_proto.values import CacheEntry


class Phase(enum.IntEnum):
    """What an exchange is waiting for."""

    HEAD = 0
    """The request's head."""
    KEY = 1
    """Whose key it is."""
    PENALTY = 2
    """Whether an address may go on trying wrong keys."""
    QUOTA = 3
    """Whether the request is within its quota."""
    BODY = 4
    """The request's body."""
    ALIAS = 5
    """Whether these very bytes were answered before."""
    CACHE = 6
    """Whether this trace was analysed before."""
    FLIGHT = 7
    """Whether an equal request is being analysed now."""
    FOLLOW = 8
    """The end of another exchange's analysis."""
    MODEL = 9
    """A model's answer."""
    READINESS = 10
    """The state of the service."""
    METRICS = 11
    """The metrics page."""
    BASELINE = 12
    """The detection that a request names for comparison."""
    HELP = 13
    """What helped before; the detection is at hand."""
    LEARNINGS = 14
    """The learning store."""
    ANALYTICS = 15
    """The sums of telemetry."""
    DONE = 16
    """Nothing: the answer has been given."""


# As names of their own: looking a member up on its class costs more than the step it stands in.
(HEAD, KEY, PENALTY, QUOTA, BODY, ALIAS, CACHE, FLIGHT, FOLLOW, MODEL, READINESS, METRICS, BASELINE, HELP, LEARNINGS,
 ANALYTICS, DONE) = Phase  # fmt: skip


class State(msgspec.Struct, gc=False):
    """The memory of an exchange.

    Attributes:
        phase: What it waits for.
        ticket: The last ticket given out.
        waiting: The ticket whose answer is awaited; 0 for none.
        flight: The ticket of the flight that is joined; 0 for none.
        request_id, trace_id: What ties answers and log lines together.
        parent_span: The rest of ``traceparent``: the caller's span and flags, ``<16 hex>-<2 hex>``.
        wall: Wall clock at the head, seconds since 1970.
        started: The head's ``at``; seconds, monotonic.
        last_moment: When the whole request must be answered.
        peer: The address at the other end, which may be a proxy.
        caller: Name of the caller's key, or empty.
        secure: Whether the caller came over TLS.
        origin: The ``Origin`` that is answered to, or empty.
        fields: The request's header fields, without what proves who calls.
        unread: Whether a body is announced and not read to its end.
        limit, remaining, reset, window: The quota as it was answered; ``limit`` -1 where none applies.
        surface: Whose form the caller is told things in; ``rest``, or that of a contributed route.
        context: What the contribution wants to know again.
        reports: Whether a contribution tells of each pass.
        body: The body as it came, and after its end the one decoded chunk.
        received: Its length on the wire so far.
        begun: The furthest pass that a model was asked, by this exchange or by the one it follows; 0 before the first.
        agent, crew: Whom the trace is about, where it says so.
        baseline: Name of the detection to compare with, or empty.
        reference: That detection, encoded.
        entry: What was found, while something beside it is awaited.
        root: Where a host application has mounted the service, or empty.
    """

    phase: Phase = Phase.HEAD
    # What the head tells, in the order in which ``IntakeSteps._head`` gives it by position.
    draining: bool = False
    wall: float = 0.0
    started: float = 0.0
    last_moment: float = 0.0
    request_id: str = ""
    peer: str = ""
    secure: bool = False
    method: str = ""
    path: str = ""
    query: str = ""
    fields: dict[str, str] = {}
    keep_alive: bool = False
    content_length: int = 0
    expects_continue: bool = False
    unread: bool = False
    # And what follows from it, step by step.
    ticket: int = 0
    waiting: int = 0
    flight: int = 0
    trace_id: str = ""
    parent_span: str = ""
    caller: str = ""
    origin: str = ""
    content_encoding: str = ""
    streams: bool = False
    streaming: bool = False
    route: str = "other"
    surface: str = REST
    context: bytes = b""
    reports: bool = False
    endpoint: str = ""
    pattern: str = ""
    mode: str = ""
    model: str = ""
    warnings: tuple[str, ...] = ()
    limit: int = -1
    remaining: int = 0
    reset: float = 0.0
    window: float = 0.0
    body: list[bytes] = []
    received: int = 0
    alias: str = ""
    key: str = ""
    cache: str = ""
    analysis: AnalysisState | None = None
    begun: int = 0
    agent: str = ""
    crew: str = ""
    baseline: str = ""
    reference: bytes = b""
    entry: CacheEntry | None = None
    root: str = ""


class _Unborn(State, frozen=True, gc=False):  # type: ignore[misc]  # as little as a value that many share may change
    """What an exchange knows before its head comes."""


NOTHING = _Unborn()
"""All exchanges share it until they begin: it is replaced, and cannot be changed."""
