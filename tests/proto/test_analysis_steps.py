"""From a body to its detection: what is read, what is refused, who answers, and who is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.proto.asking import Asked, ask
from tests.proto.conversations import BODY, ENTRY, LAST_MOMENT
from tests.proto.last_word import PATTERN, TRACE
from vstack_proto.answers import HEARTBEAT
from vstack_proto.commands import (
    ArmDeadline,
    CallModel,
    EndStream,
    JoinFlight,
    LandFlight,
    LeaveFlight,
    LookUpCache,
    Record,
    Respond,
    SendPart,
    StartStream,
    StoreCache,
)
from vstack_proto.events import (
    BodyEnded,
    BodyReceived,
    CacheAnswered,
    DeadlinePassed,
    FlightHandedOver,
    FlightJoined,
    FlightLanded,
    HeadReceived,
    KeyChecked,
    ModelAnswered,
    ModelFailed,
    PassBegun,
    PeerLeft,
)
from vstack_proto.exchange import Exchange
from vstack_proto.limits import Limits
from vstack_proto.service import Service
from vstack_proto.testing import START, WALL, analyze_received, head_received, like, make_service, play, refusal
from vstack_proto.values import CacheEntry, Failure, Landing

OPEN = make_service(PATTERN)
ASKING = make_service(PATTERN, provider="scripted", default_model="m-1")
OFFLINE = make_service(PATTERN, offline=True, default_model="m-1", provider="scripted")
CACHING = make_service(PATTERN, cache=True)
HEAD = analyze_received("last_word")
CANONICAL: dict[str, Any] = {
    "goal": "Pick a date",
    "steps": [{"agent": "ann", "type": "message", "content": "Monday?"}],
    "outcome": "Monday",
}


def sent(service: Service = OPEN, /, head: HeadReceived = HEAD, **body: Any) -> Asked:
    return ask(service, head, {"trace": TRACE, "model": "offline", **body})


def at_flight(service: Service, *headers: tuple[str, str], body: bytes = BODY) -> Exchange:
    """An exchange that has asked for its place in a flight, with ticket 1."""
    exchange = Exchange(service)
    exchange.handle(analyze_received("last_word", headers, length=len(body)))
    exchange.handle(BodyReceived(at=START, data=body))
    told = exchange.handle(BodyEnded(at=START))
    assert isinstance(told[-1], JoinFlight)
    return exchange


# What a body may be.


@pytest.mark.parametrize(
    "body",
    [
        {"trace": TRACE, "mode": "quick", "model": "offline"},
        {**TRACE, "mode": "quick", "model": "offline"},
        {"trace": TRACE, "mode": "quick", "model": "offline", "format": "native"},
        {"trace": CANONICAL, "mode": "quick", "model": "offline", "format": "canonical"},
        {**CANONICAL, "mode": "quick", "model": "offline", "format": "canonical"},
    ],
)
def test_a_trace_is_read_in_all_its_forms(body: Any) -> None:
    asked = ask(OPEN, HEAD, body)
    assert (asked.status, asked.headers["content-type"]) == (200, "application/json")
    told = asked.json
    assert (told["pattern"], told["mode"], told["model"], told["cached"]) == ("last_word", "quick", "offline", False)
    assert told["detection"]["speaker"] in ("ann", "bob")
    assert "warnings" not in told
    assert (asked.record.outcome, asked.record.mode, asked.record.model) == ("ok", "quick", "offline")


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        (b"{", "invalid_json", "byte 1"),
        (b"[]", "invalid_request", "must be a JSON object"),
        ({"trace": TRACE, "mode": "slow"}, "invalid_mode", "mode is 'slow'; it is one of quick, standard, forensic"),
        ({"trace": TRACE, "mode": 1}, "validation_error", "/mode must be a string"),
        ({"trace": TRACE, "format": "otel"}, "invalid_request", "format is 'otel'; it is one of native, canonical"),
        ({"trace": {}}, "validation_error", "/goal is missing"),
        ({"trace": {"goal": " ", "lines": TRACE["lines"]}}, "validation_error", "/goal must not be blank"),
        ({"trace": {**CANONICAL, "goal": ""}, "format": "canonical"}, "trace_not_readable", "it names no goal"),
    ],
)
def test_what_does_not_fit_is_told_why(body: Any, code: str, told: str) -> None:
    asked = ask(OPEN, HEAD, body)
    assert (asked.status, asked.error["error"]) == (400, code)
    assert told in asked.error["message"]
    assert asked.record.outcome == (code if code == "invalid_mode" else "validation_error")
    assert asked.headers.get("connection") is None, "the body was read: the connection can be kept"


def test_all_that_is_wrong_is_listed() -> None:
    lines = [{"who": " ", "said": "x"}, {"who": "", "said": "y"}]
    error = ask(OPEN, HEAD, {"trace": {"goal": "", "lines": lines}}).error
    assert [fault["pointer"] for fault in error["errors"]] == ["/goal", "/lines/0/who", "/lines/1/who"]
    assert error["error_count"] == 3


def test_what_a_pattern_misses_is_named() -> None:
    error = ask(OPEN, HEAD, {"trace": {**CANONICAL, "goal": ""}, "format": "canonical"}).error
    assert error["missing"] == "it names no goal"


def test_a_trace_that_is_too_large_is_refused() -> None:
    small = make_service(PATTERN, limits=Limits(max_trace_steps=1))
    asked = sent(small)
    assert (asked.status, asked.error["limit"], asked.error["actual"]) == (413, 1, 2)
    assert asked.error["setting"] == "VSTACK_API_MAX_TRACE_STEPS"
    many = make_service(PATTERN, limits=Limits(max_values=2))
    assert sent(many).status == 413
    # Nor are faults looked for in what is too large.
    assert sent(small, trace={"goal": 1, "lines": [1, 2]}).error["actual"] == 2


def test_what_was_ignored_is_told() -> None:
    asked = sent(trace={**TRACE, "baseline_path": "/etc/passwd", "framwork": "x"})
    assert asked.json["warnings"] == [
        "field 'baseline_path' was ignored: a path in a request is never opened",
        "unknown field 'framwork' was ignored; did you mean 'framework'?",
    ]


def test_what_stands_beside_a_trace_or_in_its_steps_in_vain_is_told() -> None:
    steps = [{**CANONICAL["steps"][0], "tol": "mail"}]
    body = {"trace": {**CANONICAL, "steps": steps}, "format": "canonical", "modle": "forensic", "model": "offline"}
    lines = [
        "unknown field 'modle' was ignored; did you mean 'mode'?",
        "unknown field 'tol' of /steps/0 was ignored; did you mean 'tool'?",
    ]
    asked = ask(CACHING, HEAD, body)
    assert asked.json["warnings"] == lines
    # What is kept with the bytes of the request says it again, without looking.
    assert list(asked.first(StoreCache).meaning.warnings) == lines
    assert ask(OPEN, HEAD, {**TRACE, "modle": "quick", "model": "offline"}).json["warnings"] == lines[:1]


def test_a_canonical_trace_that_is_not_said_to_be_one_is_known() -> None:
    error = ask(OPEN, HEAD, {"trace": CANONICAL}).error
    assert error["error"] == "validation_error"
    assert error["message"].endswith(' if it is, send "format": "canonical" with it')
    assert error["error_count"] == len(error["errors"]) > 0
    for told in ({"trace": {**CANONICAL, "steps": []}, "format": "canonical"}, {"trace": {"goal": 1}}):
        assert '"format"' not in ask(OPEN, HEAD, told).error["message"]


# Which model.


@pytest.mark.parametrize(
    ("service", "asked", "model"),
    [
        (ASKING, None, "m-1"),
        (ASKING, "m-2", "m-2"),
        (ASKING, "offline", "offline"),
        (OPEN, "offline", "offline"),
        (OFFLINE, None, "offline"),
        (OFFLINE, "m-2", "offline"),
        (OFFLINE, "offline", "offline"),
    ],
)
def test_the_model_that_is_asked(service: Service, asked: str | None, model: str) -> None:
    came = sent(service, model=asked, mode="quick")
    assert came.record.model == model
    calls = [command.request.model for command in came.told if isinstance(command, CallModel)]
    assert calls == ([] if model == "offline" else [model])
    warnings = came.json.get("warnings", [])
    assert warnings == (
        ["model 'm-2' was not asked: this service runs offline"] if (service, asked) == (OFFLINE, "m-2") else []
    )


def test_only_the_models_that_the_operator_allows_are_asked() -> None:
    some = make_service(PATTERN, provider="scripted", default_model="m-1", models=("m-1", "m-3"))
    asked = sent(some, model="m-2")
    assert (asked.status, asked.error["error"]) == (400, "validation_error")
    assert asked.error["errors"] == [{"pointer": "/model", "message": "is 'm-2'; it is one of m-1, m-3, offline"}]
    assert [sent(some, model=model).record.model for model in ("m-3", "offline", None)] == ["m-3", "offline", "m-1"]


def test_what_a_stand_in_answered_is_not_kept_as_another_models() -> None:
    kept = make_service(PATTERN, provider="scripted", default_model="m-1", cache=True)
    stores = []
    for model in ("", "m-2"):
        fits = ModelAnswered(at=START, ticket=0, text='{"verdict": "fine"}', model=model)
        asked = ask(kept, HEAD, {"trace": TRACE, "mode": "quick"}, CallModel=fits)
        assert asked.json["detection"]["generator_model"] == (model or "m-1")
        stores.append(StoreCache in [type(command) for command in asked.told])
    assert stores == [True, False]


def test_without_a_provider_nothing_but_the_signals_can_answer() -> None:
    asked = sent(model=None)
    assert (asked.status, asked.error["error"]) == (502, "llm_resolution_error")
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OLLAMA_HOST", "VSTACK_LLM=offline"):
        assert name in asked.error["message"]
    assert asked.record.outcome == "llm_resolution_error"
    assert asked.first(LandFlight).landing.failure.code == "llm_resolution_error"


@pytest.mark.parametrize(
    ("kind", "retry_after", "status", "code", "wait"),
    [
        ("unavailable", 2.5, 503, "provider_unavailable", "3"),
        ("unavailable", None, 503, "provider_unavailable", "1"),
        ("overloaded", 0.5, 503, "overloaded", "1"),
        ("overloaded", None, 503, "overloaded", "1"),
        ("late", None, 504, "timeout", None),
        ("refused", None, 502, "analyzer_error", None),
        ("truncated", None, 502, "analyzer_error", None),
        ("rejected", None, 502, "analyzer_error", None),
        ("unresolved", None, 502, "llm_resolution_error", None),
    ],
)
def test_a_model_that_fails(kind: Any, retry_after: float | None, status: int, code: str, wait: str | None) -> None:
    failed = ModelFailed(at=START, ticket=0, kind=kind, message="it would not", retry_after=retry_after)
    asked = ask(ASKING, HEAD, {"trace": TRACE}, CallModel=failed)
    assert (asked.status, asked.error["error"], asked.headers.get("retry-after")) == (status, code, wait)
    assert asked.error["message"].startswith("it would not")
    assert asked.record.calls == 1
    assert asked.first(LandFlight).landing.failure.status == status
    assert StoreCache not in [type(command) for command in asked.told]


# Cache.


def test_a_detection_is_kept_under_its_key_and_the_bytes_of_its_request() -> None:
    asked = sent(CACHING)
    by_bytes, by_key = (command for command in asked.told if isinstance(command, LookUpCache))
    stored = asked.first(StoreCache)
    assert (by_bytes.key, by_bytes.meaning) == (None, None)
    assert (stored.key, stored.alias) == (by_key.key, by_key.alias) == (by_key.key, by_bytes.alias)
    assert stored.meaning.key == stored.key
    assert stored.entry.detection in asked.answer.body
    assert stored.entry.stored_at == WALL
    assert asked.headers["x-cache"] == asked.record.cache == "miss"
    assert "x-cache" not in sent().headers


def test_requests_that_mean_the_same_have_one_key() -> None:
    def key(body: Any, head: HeadReceived = HEAD, service: Service = CACHING) -> str:
        found = [command.key for command in ask(service, head, body).told if isinstance(command, LookUpCache)]
        return str(found[-1])

    spaced = b" " + msgspec.json.encode({"model": "offline", "trace": TRACE})
    assert key(spaced) == key({"trace": {**TRACE, "framework": None}, "model": "offline", "mode": "standard"})
    assert key(spaced) != key({"trace": TRACE, "model": "offline", "mode": "quick"})
    own = make_service(PATTERN, cache=True, scope_by_key=True)
    other = head_received("POST", "/v1/analyze/last_word", (("content-length", "1"),), peer="198.51.100.1")
    assert key(spaced, service=own) != key(spaced)
    assert key(spaced, other, own) != key(spaced, HEAD, own)
    assert key(spaced, other) == key(spaced)


def test_a_named_caller_has_a_cache_of_its_own_wherever_it_calls_from() -> None:
    own = make_service(PATTERN, cache=True, scope_by_key=True, require_auth=True)
    carol = KeyChecked(at=START, ticket=0, name="carol", loaded=2)
    elsewhere = head_received("POST", "/v1/analyze/last_word", (("content-length", "1"),), peer="198.51.100.1")
    aliases = [
        ask(own, head, BODY, **given).first(LookUpCache).alias
        for head, given in ((HEAD, {}), (elsewhere, {}), (HEAD, {"CheckKey": carol}))
    ]
    assert aliases[0] == aliases[1] != aliases[2]


@pytest.mark.parametrize(("stored_at", "age"), [(WALL - 60.9, "60"), (WALL, "0"), (WALL + 5.0, "0")])
def test_an_answer_from_the_cache_tells_its_age(stored_at: float, age: str) -> None:
    exchange = Exchange(CACHING)
    exchange.handle(analyze_received("last_word", length=len(BODY)))
    exchange.handle(BodyReceived(at=START, data=BODY))
    exchange.handle(BodyEnded(at=START))
    exchange.handle(CacheAnswered(at=START, ticket=1, alias=None, entry=ENTRY))
    entry = CacheEntry(b'{"speaker":"bob"}', stored_at)
    hit = CacheAnswered(at=START, ticket=2, entry=entry)
    play(exchange, [(hit, [like(Respond, headers={"age": age, "x-cache": "hit"}), Record])])


# Flights.


def test_one_analysis_too_many_is_refused() -> None:
    asked = ask(OPEN, HEAD, BODY, JoinFlight=FlightJoined(at=START, ticket=0, role="refused"))
    assert (asked.status, asked.error["error"], asked.headers["retry-after"]) == (503, "overloaded", "1")
    assert "VSTACK_API_MAX_IN_FLIGHT" in asked.error["message"]
    assert LeaveFlight not in [type(command) for command in asked.told]


def test_a_follower_is_answered_as_its_leader() -> None:
    exchange = at_flight(OPEN)
    failure = Failure(503, "provider_unavailable", "the model is away", 2.5)
    play(
        exchange,
        [
            (FlightJoined(at=START, ticket=1, role="follows"), []),
            (
                FlightLanded(at=START, ticket=1, landing=Landing(failure=failure)),
                [refusal(503, "provider_unavailable", retry_after="3"), like(Record, cache="")],
            ),
        ],
    )


def test_a_follower_leads_when_its_leader_leaves() -> None:
    exchange = at_flight(OPEN)
    exchange.handle(FlightJoined(at=START, ticket=1, role="follows"))
    told = exchange.handle(FlightHandedOver(at=START, ticket=1))
    assert [type(command).__name__ for command in told] == ["LandFlight", "Respond", "Record"]


def test_a_follower_who_leaves_gives_up_its_place() -> None:
    exchange = at_flight(OPEN)
    exchange.handle(FlightJoined(at=START, ticket=1, role="follows"))
    told = exchange.handle(PeerLeft(at=START))
    assert [type(command).__name__ for command in told] == ["LeaveFlight", "Abort", "Record"]


def test_a_follower_who_listens_hears_of_the_passes_once_it_leads() -> None:
    body = msgspec.json.encode({"trace": TRACE, "mode": "quick"})
    exchange = at_flight(ASKING, ("accept", "text/event-stream"), body=body)
    play(
        exchange,
        [
            (
                FlightJoined(at=START, ticket=1, role="follows"),
                [like(StartStream, status=200), ArmDeadline(START + 15.0)],
            ),
            (DeadlinePassed(at=START + 15.0), [SendPart(HEARTBEAT), ArmDeadline(START + 30.0)]),
            (
                FlightHandedOver(at=START + 110.0, ticket=1),
                [SendPart, ArmDeadline(LAST_MOMENT), like(CallModel, ticket=2)],
            ),
            (
                ModelAnswered(at=START, ticket=2, text='{"verdict": "fine"}'),
                [LandFlight, SendPart, EndStream, Record],
            ),
        ],
    )


def part(number: int) -> SendPart:
    return SendPart(b'event: progress\ndata: {"pass":%d,"passes":2,"pattern":"last_word"}\n\n' % number)


def test_a_follower_who_listens_hears_of_the_passes_that_its_leader_begins() -> None:
    exchange = at_flight(ASKING, ("accept", "text/event-stream"), body=msgspec.json.encode({"trace": TRACE}))
    play(
        exchange,
        [
            # It comes while the first pass is under way.
            (
                FlightJoined(at=START, ticket=1, role="follows", under_way="last_word_reread"),
                [like(StartStream, status=200), part(1), ArmDeadline(START + 15.0)],
            ),
            (
                PassBegun(at=START + 5.0, ticket=1, name="last_word_verdict"),
                [part(2), ArmDeadline(START + 20.0)],
            ),
            # A repair, of which the leader's caller hears too.
            (
                PassBegun(at=START + 6.0, ticket=1, name="last_word_verdict"),
                [part(2), ArmDeadline(START + 21.0)],
            ),
            (PassBegun(at=START + 7.0, ticket=1, name="nobody_knows"), []),
            # The leader leaves: the analysis begins anew.
            (
                FlightHandedOver(at=START + 8.0, ticket=1),
                [part(1), ArmDeadline(START + 23.0), like(CallModel, ticket=2)],
            ),
        ],
    )


def test_a_follower_who_does_not_listen_is_sent_nothing_before_the_answer() -> None:
    exchange = at_flight(ASKING, body=msgspec.json.encode({"trace": TRACE}))
    play(
        exchange,
        [
            (FlightJoined(at=START, ticket=1, role="follows", under_way="last_word_reread"), []),
            (PassBegun(at=START + 5.0, ticket=1, name="last_word_verdict"), []),
        ],
    )


def test_the_place_in_a_flight_is_given_back_before_the_answer() -> None:
    told = [type(command).__name__ for command in sent(CACHING).told]
    assert told[-4:] == ["StoreCache", "LandFlight", "Respond", "Record"]
