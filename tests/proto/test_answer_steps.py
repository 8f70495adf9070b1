"""What an answer holds beside the detection: a comparison, what helped before; and what is taken down of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.proto.asking import Asked, ask
from tests.proto.conversations import KEY
from tests.proto.last_word import PATTERN, TRACE
from vstack_proto.commands import (
    AggregateOutcomes,
    LandFlight,
    LookUpCache,
    ReadBaseline,
    Record,
    RecordTelemetry,
    SendPart,
    StartStream,
    StoreCache,
)
from vstack_proto.events import (
    BaselineRead,
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    Crashed,
    DeadlinePassed,
    FlightJoined,
    ModelAnswered,
    ModelFailed,
    ModelTried,
    OutcomesAggregated,
    PeerLeft,
    ShutdownAsked,
    StoreFailed,
)
from vstack_proto.exchange import Exchange
from vstack_proto.framing import Headers
from vstack_proto.learning import MAX_HELPED, LearningQuery, OutcomeCount
from vstack_proto.openapi_examples import canonical_request
from vstack_proto.patterns import lencioni, lewin
from vstack_proto.policy import Policy
from vstack_proto.service import Service
from vstack_proto.telemetry import ANALYSIS, LLM_CALL, TelemetryEvent
from vstack_proto.testing import START, WALL, analyze_received, head_received, make_service
from vstack_proto.values import Alias, CacheEntry, Usage

LEARNS = make_service(PATTERN, learnings=True, cache=True)
PLAIN = make_service(PATTERN, cache=True)
MINE: Headers = (("x-api-key", KEY),)
OFFLINE = {"trace": TRACE, "mode": "quick", "model": "offline"}
COUNT = OutcomeCount(pattern="last_word", intervention="ask_again", runs=4, improved=3, worse=1)
HELPED = OutcomesAggregated(at=START, ticket=0, counts=(COUNT,))
ENTRY = CacheEntry(b'{"speaker":"bob","severity":"low","generated_at":"2026-03-01T08:00:00Z"}', WALL - 60.0)
EARLIER = b'{"severity":"high","generated_at":"2026-02-01T09:00:00Z","mode":"quick","generator_model":"offline"}'


def analyze(service: Service, body: Any = OFFLINE, headers: Headers = (), **given: Any) -> Asked:
    encoded = msgspec.json.encode(body)
    return ask(service, analyze_received("last_word", headers, length=len(encoded)), encoded, **given)


# What helped before.


def test_what_helped_before_stands_in_the_detection_and_is_kept_out_of_the_cache() -> None:
    told = analyze(LEARNS, AggregateOutcomes=HELPED)
    plain = analyze(PLAIN)
    (helped,) = told.json["detection"].pop("what_helped_before")
    assert (helped["intervention"], helped["runs"], helped["improvement_rate"]) == ("ask_again", 4, 0.75)
    assert told.json | {"detection": None} == plain.json | {"detection": None}
    assert told.first(StoreCache) == plain.first(StoreCache)
    assert told.first(LandFlight).landing == plain.first(LandFlight).landing
    assert "what_helped_before" not in plain.json["detection"]


def test_where_nothing_is_known_the_answer_is_what_it_was() -> None:
    for given in (OutcomesAggregated(at=START, ticket=0), StoreFailed(at=START, ticket=0)):
        assert analyze(LEARNS, AggregateOutcomes=given).answer.body == analyze(PLAIN).answer.body
        hit = CacheAnswered(at=START, ticket=0, entry=ENTRY, alias=Alias("k", "quick", "offline"))
        told = analyze(LEARNS, AggregateOutcomes=given, LookUpCache=hit)
        assert told.answer == analyze(PLAIN, LookUpCache=hit).answer


@pytest.mark.parametrize("meaning", [Alias("k", "quick", "offline"), None], ids=["by its bytes", "by its key"])
def test_a_cached_detection_has_it_too(meaning: Alias | None) -> None:
    hit = CacheAnswered(at=START, ticket=0, entry=ENTRY, alias=meaning)
    told = analyze(LEARNS, AggregateOutcomes=HELPED, LookUpCache=hit)
    assert told.headers["x-cache"] == "hit"
    assert told.json["detection"]["what_helped_before"][0]["intervention"] == "ask_again"


def test_what_is_at_hand_comes_with_the_cached_detection_and_is_not_asked_again() -> None:
    meaning = Alias("k", "quick", "offline")
    for counts in ((COUNT,), ()):
        hit = CacheAnswered(at=START, ticket=0, entry=ENTRY, alias=meaning, helped=counts)
        told = analyze(LEARNS, LookUpCache=hit)
        assert not [command for command in told.told if isinstance(command, AggregateOutcomes)]
        asked = analyze(
            LEARNS,
            LookUpCache=msgspec.structs.replace(hit, helped=None),
            AggregateOutcomes=OutcomesAggregated(at=START, ticket=0, counts=counts),
        )
        assert told.answer.body == asked.answer.body
        look_up = told.first(LookUpCache)
        assert (look_up.scope, look_up.pattern) == ("", "last_word")
    assert analyze(PLAIN).first(LookUpCache).pattern == ""


def test_ten_at_most_the_surest_first() -> None:
    counts = tuple(
        OutcomeCount(pattern="last_word", intervention=f"i{number}", runs=number, improved=number)
        for number in range(1, 15)
    )
    told = analyze(LEARNS, AggregateOutcomes=OutcomesAggregated(at=START, ticket=0, counts=counts))
    names = [one["intervention"] for one in told.json["detection"]["what_helped_before"]]
    assert names == [f"i{number}" for number in range(14, 14 - MAX_HELPED, -1)]


def about(service: Service, pattern: str, trace: dict[str, Any]) -> AggregateOutcomes:
    body = msgspec.json.encode({"trace": trace, "model": "offline"})
    told = ask(service, analyze_received(pattern, MINE, length=len(body)), body)
    found: AggregateOutcomes = told.first(AggregateOutcomes)
    assert found.soon
    assert told.first(LookUpCache).alias
    return found


def test_it_is_asked_for_this_caller_pattern_and_agent() -> None:
    service = Service(
        Policy(version="1", learnings=True, cache=True, require_auth=True), (lewin.PATTERN, lencioni.PATTERN)
    )
    steps = [{"type": "output", "content": "done"}]
    told = about(service, "lewin", {"agent_id": "planner", "task": "t", "steps": steps, "outcome": "o"})
    assert (told.scope, told.query) == ("alice", LearningQuery(pattern="lewin", agent_id="planner"))
    assert about(service, "lewin", {"task": "t", "steps": steps, "outcome": "o"}).query == LearningQuery(
        pattern="lewin"
    )


def test_a_repeat_asks_for_the_same_agent_without_decoding() -> None:
    hit = CacheAnswered(
        at=START, ticket=0, entry=ENTRY, alias=Alias("k", "quick", "offline", agent="planner", crew="night")
    )
    told = analyze(LEARNS, LookUpCache=hit)
    wanted = LearningQuery(pattern="last_word", agent_id="planner", crew_id="night")
    assert told.first(AggregateOutcomes).query == wanted


def test_a_stream_ends_with_it() -> None:
    body = msgspec.json.encode(OFFLINE)
    head = analyze_received("last_word", (("accept", "text/event-stream"),), length=len(body))
    exchange = Exchange(make_service(PATTERN, learnings=True))
    exchange.handle(head)
    exchange.handle(BodyReceived(at=START, data=body))
    exchange.handle(BodyEnded(at=START))
    opening = exchange.handle(FlightJoined(at=START, ticket=exchange.state.waiting, role="leads"))
    assert [type(command) for command in opening] == [StartStream, LandFlight, AggregateOutcomes]
    part, *_ = exchange.handle(msgspec.structs.replace(HELPED, ticket=exchange.state.waiting))
    assert isinstance(part, SendPart)
    assert b'"what_helped_before":[{"pattern":"last_word"' in part.data


# Baselines.

COMPARES = make_service(PATTERN, baselines=True, cache=True, learnings=True)
COMPARED = OFFLINE | {"baseline": "march"}
FOUND = BaselineRead(at=START, ticket=0, detection=EARLIER)


def test_a_detection_is_compared_with_the_baseline_of_that_name_and_stored_without() -> None:
    told = analyze(COMPARES, COMPARED, MINE, ReadBaseline=FOUND)
    asked: ReadBaseline = told.first(ReadBaseline)
    assert (asked.scope, asked.pattern, asked.name) == ("alice", "last_word", "march")
    baseline = told.json["detection"]["baseline"]
    assert baseline["historical_baseline_id"] == "march"
    assert baseline["historical_generated_at"] == "2026-02-01T09:00:00Z"
    stored = told.first(StoreCache)
    assert b"march" not in stored.entry.detection
    assert stored.meaning.baseline == "march"
    # The analysis itself is the same one.
    assert stored.key == analyze(COMPARES).first(StoreCache).key


def test_a_repeat_is_compared_too() -> None:
    meaning = Alias("k", "quick", "offline", baseline="march")
    hit = CacheAnswered(at=START, ticket=0, entry=ENTRY, alias=meaning)
    told = analyze(COMPARES, COMPARED, ReadBaseline=FOUND, LookUpCache=hit)
    assert told.headers["x-cache"] == "hit"
    assert told.json["detection"]["baseline"]["drift_severity"] == "severe"


@pytest.mark.parametrize(
    ("name", "service", "words"),
    [
        ("april", COMPARES, "names no baseline of last_word: 'april'"),
        ("../../etc/passwd", COMPARES, "must be a name of letters, digits, _ and -"),
        ("march", LEARNS, "this service keeps no baselines"),
    ],
)
def test_a_baseline_that_is_not_there_is_refused_before_the_analysis(name: str, service: Service, words: str) -> None:
    told = analyze(service, OFFLINE | {"baseline": name})
    assert (told.status, told.error["error"]) == (400, "validation_error")
    assert told.error["errors"][0]["pointer"] == "/baseline"
    assert words in told.error["message"]
    assert not [command for command in told.told if isinstance(command, LandFlight)]


def test_no_baseline_can_be_read_from_a_store_that_is_away() -> None:
    told = analyze(COMPARES, COMPARED, ReadBaseline=StoreFailed(at=START, ticket=0))
    assert (told.status, told.error["error"]) == (503, "overloaded")


def test_the_name_is_a_string() -> None:
    told = analyze(COMPARES, OFFLINE | {"baseline": 3})
    assert told.error["errors"] == [{"pointer": "/baseline", "message": "must be a string, not a number"}]


def test_a_bare_trace_names_its_baseline_beside_its_fields() -> None:
    told = analyze(COMPARES, {**TRACE, "model": "offline", "baseline": "march"}, ReadBaseline=FOUND)
    assert told.json["detection"]["baseline"]["historical_baseline_id"] == "march"
    assert "warnings" not in told.json


# Telemetry.

TELLS = make_service(PATTERN, telemetry=True, cache=True, require_auth=True, provider="scripted", default_model="m-1")


def taken(told: Asked) -> list[TelemetryEvent]:
    return [command.event for command in told.told if isinstance(command, RecordTelemetry)]


def test_each_call_and_the_analysis_are_taken_down() -> None:
    answered = ModelAnswered(
        at=START + 2.0, ticket=0, text='{"verdict": "fine"}', usage=Usage(100, 7, cost_usd=0.25), model="m-2"
    )
    told = analyze(TELLS, {"trace": TRACE, "mode": "quick"}, MINE, CallModel=answered)
    call, analysis = taken(told)
    assert (call.event_type, call.model, call.pattern, call.scope) == (LLM_CALL, "m-2", "last_word", "alice")
    assert (call.input_tokens, call.output_tokens, call.total_tokens, call.cost_usd) == (100, 7, 107, 0.25)
    assert (call.elapsed_ms, call.timestamp) == (2_000.0, WALL + 2.0)
    assert call.extra == {"pass": "verdict", "mode": "quick", "pattern": "last_word", "status": "ok"}
    assert (analysis.event_type, analysis.total_tokens, analysis.extra["status"]) == (ANALYSIS, 107, "ok")
    assert call.run_id == analysis.run_id == told.json["detection"]["run_id"]


def test_a_repair_is_marked_and_counted() -> None:
    wrong = ModelAnswered(at=START, ticket=0, text="no JSON", usage=Usage(5, 1))
    told = analyze(TELLS, {"trace": TRACE, "mode": "quick"}, MINE, CallModel=wrong)
    first, second, analysis = taken(told)
    assert ("repair" in first.extra, second.extra["repair"]) == (False, True)
    assert (analysis.total_tokens, analysis.extra["status"]) == (12, "analyzer_error")


def test_a_call_that_came_to_nothing_is_taken_down() -> None:
    failed = ModelFailed(at=START + 1.0, ticket=0, kind="refused", message="no", usage=Usage(9))
    call, analysis = taken(analyze(TELLS, {"trace": TRACE, "mode": "quick"}, MINE, CallModel=failed))
    assert (call.extra["status"], call.input_tokens, call.model) == ("refused", 9, "m-1")
    assert analysis.extra == {"mode": "quick", "status": "analyzer_error"}


def test_an_offline_analysis_tells_how_bad_it_is() -> None:
    service = Service(Policy(version="1", telemetry=True), (lencioni.PATTERN,))
    body = msgspec.json.encode(canonical_request())
    told = ask(service, analyze_received("lencioni", length=len(body)), body)
    (event,) = taken(told)
    severity = told.json["detection"]["severity"]
    assert (event.event_type, event.model, event.extra["severity"]) == (ANALYSIS, "offline", severity)


def test_what_was_not_analysed_is_not_taken_down() -> None:
    hit = CacheAnswered(at=START, ticket=0, entry=ENTRY, alias=Alias("k", "quick", "offline"))
    assert taken(analyze(TELLS, OFFLINE, MINE, LookUpCache=hit)) == []
    assert taken(ask(TELLS, head_received("GET", "/v1/patterns", MINE))) == []
    refused = FlightJoined(at=START, ticket=0, role="refused")
    assert taken(analyze(TELLS, OFFLINE, MINE, JoinFlight=refused)) == []


TELLS_ALONE = make_service(PATTERN, telemetry=True, provider="scripted", default_model="m-1")
TRIED = Usage(7000, 3000, cost_usd=0.5)


def asked_twice(service: Service) -> Exchange:
    """An exchange whose first pass is answered, and whose second has failed once already."""
    encoded = msgspec.json.encode({"trace": TRACE, "mode": "standard"})
    exchange = Exchange(service)
    for event in (
        analyze_received("last_word", length=len(encoded)),
        BodyReceived(at=START, data=encoded, last=True),
        FlightJoined(at=START, ticket=1, role="leads"),
        ModelAnswered(at=START + 1.0, ticket=2, text='{"left_open": false}', usage=Usage(100, 7, cost_usd=0.25)),
        ModelTried(at=START + 2.0, ticket=3, usage=Usage(10, 1, cost_usd=0.125)),
        ModelTried(at=START + 3.0, ticket=3, usage=TRIED),
    ):
        exchange.handle(event)
    return exchange


@pytest.mark.parametrize("telemetry", [True, False])
@pytest.mark.parametrize(
    ("end", "call", "analysis"),
    [
        (DeadlinePassed(at=START + 200.0), "late", "timeout"),
        (PeerLeft(at=START + 4.0), "cancelled", "cancelled"),
        (ShutdownAsked(at=START + 4.0, now=True), "cancelled", "draining"),
        (Crashed(at=START + 4.0), "cancelled", "internal_error"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_an_analysis_that_is_cut_short_tells_what_it_has_used(
    end: Any, call: str, analysis: str, telemetry: bool
) -> None:
    service = make_service(PATTERN, telemetry=telemetry, provider="scripted", default_model="m-1")
    exchange = asked_twice(service)
    assert exchange.handle(ShutdownAsked(at=START + 3.5)) == ()
    commands = exchange.handle(end)
    told = [command.event for command in commands if isinstance(command, RecordTelemetry)]
    assert [(one.event_type, one.extra["status"], one.total_tokens, one.cost_usd) for one in told] == (
        [(LLM_CALL, call, 10_000, 0.5), (ANALYSIS, analysis, 10_107, 0.75)] if telemetry else []
    )
    (record,) = (command for command in commands if isinstance(command, Record))
    assert (record.calls, record.input_tokens, record.output_tokens, record.cost_usd) == (2, 7100, 3007, 0.75)


def test_what_tries_used_counts_once_where_the_call_is_answered() -> None:
    exchange = asked_twice(TELLS_ALONE)
    usage = Usage(7100, 3050, cost_usd=0.625)
    commands = exchange.handle(ModelAnswered(at=START + 4.0, ticket=3, text='{"verdict": "fine"}', usage=usage))
    told = [command.event for command in commands if isinstance(command, RecordTelemetry)]
    assert [one.total_tokens for one in told] == [10_150, 10_257]
    (record,) = (command for command in commands if isinstance(command, Record))
    assert (record.calls, record.cost_usd) == (2, 0.875)


def test_a_crash_on_an_answer_counts_it_once() -> None:
    def bug(*told: Any) -> Any:
        raise ZeroDivisionError

    broken = msgspec.structs.replace(PATTERN, conclude=bug)
    exchange = asked_twice(make_service(broken, telemetry=True, provider="scripted", default_model="m-1"))
    with pytest.raises(ZeroDivisionError):
        exchange.handle(ModelAnswered(at=START + 4.0, ticket=3, text='{"verdict": "fine"}', usage=Usage(7100)))
    commands = exchange.handle(Crashed(at=START + 4.0))
    (told,) = (command.event for command in commands if isinstance(command, RecordTelemetry))
    assert (told.event_type, told.extra["status"], told.total_tokens) == (ANALYSIS, "internal_error", 7207)
    (record,) = (command for command in commands if isinstance(command, Record))
    assert (record.calls, record.input_tokens) == (2, 7200)


def test_who_follows_tells_nothing_of_an_analysis_that_another_makes() -> None:
    encoded = msgspec.json.encode({"trace": TRACE, "mode": "standard"})
    exchange = Exchange(TELLS_ALONE)
    for event in (
        analyze_received("last_word", length=len(encoded)),
        BodyReceived(at=START, data=encoded, last=True),
        FlightJoined(at=START, ticket=1, role="follows"),
    ):
        exchange.handle(event)
    told = [type(command) for command in exchange.handle(PeerLeft(at=START + 1.0))]
    assert RecordTelemetry not in told
