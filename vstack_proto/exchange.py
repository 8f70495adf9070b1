"""One request, from its head to its answer: the table of what may happen, and what is done then.

``RULES`` is the whole life of an exchange: phase x event -> what runs, and the phases it may lead to. Nothing else
moves the phase. What runs stands in ``intake_steps`` (head to body) and ``analysis_steps`` (body to answer).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from vstack_proto.analysis_steps import AnalysisSteps
from vstack_proto.commands import Commands
from vstack_proto.errors import LocalProtocolError, RemoteProtocolError
from vstack_proto.events import (
    AnalyticsRead,
    Answered,
    BaselineRead,
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    Crashed,
    DeadlinePassed,
    Event,
    ExchangeEvent,
    FlightHandedOver,
    FlightJoined,
    FlightLanded,
    FramingRefused,
    HeadReceived,
    KeyChecked,
    LearningRecorded,
    LearningsRecalled,
    MetricsRendered,
    ModelAnswered,
    ModelFailed,
    ModelTried,
    OutcomeReported,
    OutcomesAggregated,
    PassBegun,
    PeerLeft,
    QuotaAnswered,
    ReadinessAnswered,
    ShutdownAsked,
    StoreFailed,
    Underway,
)
from vstack_proto.service import Service
from vstack_proto.state import Phase, State


class Exchange(AnalysisSteps):
    """One request, from its head to its answer."""

    __slots__ = ()

    def handle(self, event: ExchangeEvent) -> Commands:
        """Take one event; return, in order, what the driver must now do.

        The state is final before the first command runs: carry them all out before the next event.

        Raises:
            LocalProtocolError: This event cannot come now, or answers a ticket that nobody holds: a bug of the driver.
                The state is as it was.
        """
        state = self.state
        was = state.phase
        try:
            run, leads_to, answers = _ROWS[was][type(event)]
        except KeyError:
            raise LocalProtocolError(f"{type(event).__name__} while waiting for {was.name}") from None
        if answers is not None:
            ticket: int = event.ticket  # type: ignore[union-attr]  # only an Answered has an entry here
            if ticket != state.waiting:
                raise LocalProtocolError(f"{type(event).__name__} for ticket {ticket}, not {state.waiting}")
            if answers:
                state.waiting = 0
        try:
            commands = run(self, event)
        except RemoteProtocolError as refusal:
            commands = self.refuse(refusal, event.at)
        # Asked for anew: what the head tells comes as a state of its own.
        assert leads_to[self.state.phase], (was, event, self.state.phase)
        return commands


class AnyExchange(Protocol):
    """What a driver needs of an exchange: a plain one, or one that is taped."""

    @property
    def state(self) -> State:
        """All that it knows."""
        ...

    def handle(self, event: ExchangeEvent) -> Commands:
        """As ``Exchange.handle``."""
        ...


def new_exchange(service: Service) -> AnyExchange:
    """An exchange as this service wants them."""
    if service.exchanges is None:
        return Exchange(service)
    exchange: AnyExchange = service.exchanges(service)
    return exchange


E = TypeVar("E", bound=Event)
Rule = tuple[Callable[[Exchange, Any], Commands], tuple[bool, ...]]
Row = dict[type[Event], Rule]


def rule(kind: type[E], run: Callable[[Exchange, E], Commands], *leads_to: Phase) -> tuple[type[Event], Rule]:
    """Tie an event to what it runs; a type checker refuses a handler for another event."""
    return kind, (run, tuple(phase in leads_to for phase in Phase))


P, X = Phase, Exchange

_AFTER_QUOTA = (P.BODY, P.READINESS, P.METRICS, P.LEARNINGS, P.ANALYTICS, P.DONE)
_AFTER_KEY = (P.QUOTA, *_AFTER_QUOTA)
_AFTER_BODY = (P.ALIAS, P.BASELINE, P.FLIGHT, P.LEARNINGS, P.DONE)
_ANSWERED = (P.HELP, P.DONE)
_AFTER_FLIGHT = (P.MODEL, *_ANSWERED)


def _row(phase: Phase, *rules: tuple[type[Event], Rule]) -> Row:
    """A row of the table: its own rules, and those that hold everywhere before the answer."""
    return dict(
        [
            rule(PeerLeft, X._left, P.DONE),
            rule(DeadlinePassed, X._too_late, P.DONE),
            rule(ShutdownAsked, X._shut_down, phase, P.DONE),
            rule(Crashed, X._crashed, P.DONE),
            *rules,
        ]
    )


_ANSWERS = (
    KeyChecked,
    QuotaAnswered,
    CacheAnswered,
    FlightJoined,
    PassBegun,
    FlightLanded,
    FlightHandedOver,
    ModelTried,
    ModelAnswered,
    ModelFailed,
    ReadinessAnswered,
    MetricsRendered,
    LearningRecorded,
    LearningsRecalled,
    OutcomeReported,
    OutcomesAggregated,
    AnalyticsRead,
    BaselineRead,
    StoreFailed,
)

RULES: dict[Phase, Row] = {
    P.HEAD: _row(
        P.HEAD,
        rule(HeadReceived, X._head, P.KEY, *_AFTER_KEY),
        rule(FramingRefused, X._not_a_request, P.DONE),
    ),
    P.KEY: _row(P.KEY, rule(KeyChecked, X._key_checked, P.PENALTY, *_AFTER_KEY)),
    P.PENALTY: _row(P.PENALTY, rule(QuotaAnswered, X._penalty_answered, P.DONE)),
    P.QUOTA: _row(P.QUOTA, rule(QuotaAnswered, X._quota_answered, *_AFTER_QUOTA)),
    P.BODY: _row(
        P.BODY,
        rule(BodyReceived, X._body, P.BODY, *_AFTER_BODY),
        rule(BodyEnded, X._body_ended, *_AFTER_BODY),
        rule(FramingRefused, X._bad_body, P.DONE),
    ),
    P.ALIAS: _row(P.ALIAS, rule(CacheAnswered, X._alias_answered, P.BASELINE, P.CACHE, *_ANSWERED)),
    P.CACHE: _row(P.CACHE, rule(CacheAnswered, X._cache_answered, P.FLIGHT, *_ANSWERED)),
    P.FLIGHT: _row(P.FLIGHT, rule(FlightJoined, X._flight_joined, P.FOLLOW, *_AFTER_FLIGHT)),
    P.FOLLOW: _row(
        P.FOLLOW,
        rule(DeadlinePassed, X._silent, P.FOLLOW, P.DONE),
        rule(FlightLanded, X._flight_landed, *_ANSWERED),
        rule(FlightHandedOver, X._handed_over, *_AFTER_FLIGHT),
        rule(PassBegun, X._pass_begun, P.FOLLOW),
    ),
    P.MODEL: _row(
        P.MODEL,
        rule(DeadlinePassed, X._silent, P.MODEL, P.DONE),
        rule(ModelAnswered, X._model_heard, P.MODEL, *_ANSWERED),
        rule(ModelFailed, X._model_heard, P.DONE),
        rule(ModelTried, X._model_tried, P.MODEL),
    ),
    P.READINESS: _row(P.READINESS, rule(ReadinessAnswered, X._readiness_answered, P.DONE)),
    P.METRICS: _row(P.METRICS, rule(MetricsRendered, X._metrics_rendered, P.DONE)),
    P.BASELINE: _row(
        P.BASELINE,
        rule(BaselineRead, X._baseline_read, P.CACHE, P.FLIGHT, *_ANSWERED),
        rule(StoreFailed, X._store_failed, P.DONE),
    ),
    P.HELP: _row(
        P.HELP,
        rule(DeadlinePassed, X._silent, P.HELP, P.DONE),
        rule(OutcomesAggregated, X._help_answered, P.DONE),
        rule(StoreFailed, X._help_answered, P.DONE),
    ),
    P.LEARNINGS: _row(
        P.LEARNINGS,
        rule(LearningRecorded, X._learning_recorded, P.DONE),
        rule(LearningsRecalled, X._learnings_recalled, P.DONE),
        rule(OutcomeReported, X._outcome_reported, P.DONE),
        rule(OutcomesAggregated, X._outcomes_aggregated, P.DONE),
        rule(StoreFailed, X._store_failed, P.DONE),
    ),
    P.ANALYTICS: _row(
        P.ANALYTICS,
        rule(AnalyticsRead, X._analytics_read, P.DONE),
        rule(StoreFailed, X._store_failed, P.DONE),
    ),
    # Late answers, the rest of a body that nobody wants, and the peer's leaving come after the answer: all are ignored.
    P.DONE: dict(
        [
            rule(kind, X._ignore, P.DONE)
            for kind in (
                *_ANSWERS,
                BodyReceived,
                BodyEnded,
                FramingRefused,
                PeerLeft,
                DeadlinePassed,
                ShutdownAsked,
                Crashed,
            )
        ]
    ),
}


def _answers(phase: Phase, kind: type[Event]) -> bool | None:
    """Whether an event settles the awaited ticket; None where it answers none, or comes too late to matter."""
    if phase is Phase.DONE or not issubclass(kind, Answered):
        return None
    # A follower's ticket is answered twice: that it follows, and how it ended.
    return phase is not Phase.FLIGHT and not issubclass(kind, Underway)


# The table as ``handle`` reads it.
_ROWS = tuple({kind: (*found, _answers(phase, kind)) for kind, found in RULES[phase].items()} for phase in Phase)
