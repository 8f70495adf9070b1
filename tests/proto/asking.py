"""A driver for one exchange whose every question is answered at once."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from vstack_proto.commands import (
    AggregateOutcomes,
    AnyCommand,
    Asking,
    CallModel,
    CheckKey,
    CheckReadiness,
    Command,
    JoinFlight,
    LookUpCache,
    ReadAnalytics,
    ReadBaseline,
    ReadBody,
    RecallLearnings,
    Record,
    RecordLearning,
    RenderMetrics,
    ReportOutcome,
    Respond,
    TakeQuota,
)
from vstack_proto.events import (
    AnalyticsRead,
    Answered,
    BaselineRead,
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    ExchangeEvent,
    FlightJoined,
    FramingRefused,
    HeadReceived,
    KeyChecked,
    LearningRecorded,
    LearningsRecalled,
    MetricsRendered,
    ModelFailed,
    OutcomeReported,
    OutcomesAggregated,
    QuotaAnswered,
    ReadinessAnswered,
)
from vstack_proto.exchange import Exchange
from vstack_proto.service import Service
from vstack_proto.testing import START

# Tickets are filled in.
ANSWERS: dict[type[Command], Answered] = {
    CheckKey: KeyChecked(at=START, ticket=0, name="alice", loaded=1),
    TakeQuota: QuotaAnswered(at=START, ticket=0, verdict="admitted", limit=5, remaining=4, reset=59.5, window=60.0),
    LookUpCache: CacheAnswered(at=START, ticket=0),
    JoinFlight: FlightJoined(at=START, ticket=0, role="leads"),
    CallModel: ModelFailed(at=START, ticket=0, kind="refused", message="the model would not"),
    CheckReadiness: ReadinessAnswered(at=START, ticket=0, status="ready", detail="it is", checks={"cache": "off"}),
    RenderMetrics: MetricsRendered(at=START, ticket=0, content_type="text/plain; version=0.0.4", body=b"up 1\n"),
    RecallLearnings: LearningsRecalled(at=START, ticket=0),
    ReportOutcome: OutcomeReported(at=START, ticket=0),
    AggregateOutcomes: OutcomesAggregated(at=START, ticket=0),
    ReadAnalytics: AnalyticsRead(at=START, ticket=0),
    ReadBaseline: BaselineRead(at=START, ticket=0),
}


class Asked:
    """What came of a request.

    Attributes:
        told: Every command.
        answer: The response.
        record: The line for log and metrics.
    """

    def __init__(self, told: list[AnyCommand]) -> None:
        self.told = told
        self.answer = self.first(Respond)
        self.record = self.first(Record)

    def first(self, kind: type[Any]) -> Any:
        return next(command for command in self.told if isinstance(command, kind))

    @property
    def status(self) -> int:
        return int(self.answer.status)

    @property
    def headers(self) -> dict[str, str]:
        headers: tuple[tuple[str, str], ...] = self.answer.headers
        assert len(dict(headers)) == len(headers), "a field stands twice"
        return dict(headers)

    @property
    def json(self) -> Any:
        return json.loads(self.answer.body)

    @property
    def error(self) -> dict[str, Any]:
        """The members of an error in the service's own form."""
        members: dict[str, Any] = self.json["detail"]
        return members


def ask(service: Service, head: HeadReceived | FramingRefused, body: Any = None, **given: Answered) -> Asked:
    """One request, answered by ``ANSWERS``; ``given`` has other answers, by the name of the command.

    Args:
        service: What is asked.
        head: The head.
        body: Bytes, or what is encoded as JSON; None for none.
        given: Such as ``CheckKey=KeyChecked(...)``, with any ticket.
    """
    exchange = Exchange(service)
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    todo: list[ExchangeEvent] = [head]
    told: list[AnyCommand] = []
    for event in todo:
        for command in exchange.handle(event):
            told.append(command)
            if isinstance(command, RecordLearning) and "RecordLearning" not in given:
                todo.append(LearningRecorded(at=START, ticket=command.ticket, record=command.record))
            elif isinstance(command, Asking):
                answer = given.get(type(command).__name__) or ANSWERS[type(command)]
                todo.append(msgspec.structs.replace(answer, ticket=command.ticket))  # type: ignore[arg-type]
            elif isinstance(command, ReadBody):
                todo += [BodyReceived(at=START, data=data)] if data else []
                todo.append(BodyEnded(at=START))
    return Asked(told)
