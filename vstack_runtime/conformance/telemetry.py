"""What every ``TelemetryStore`` must do."""

from __future__ import annotations

import inspect
from typing import Any

import anyio

from vstack_proto.telemetry import (
    ANALYSIS,
    GROUPINGS,
    LLM_CALL,
    AnalyticsQuery,
    AnalyticsRow,
    TelemetryEvent,
    summarize,
)
from vstack_runtime.conformance.parts import must
from vstack_runtime.conformance.store_parts import WALL, Open, StoreScenario
from vstack_runtime.stores import TelemetrySink, TelemetryStore

EVERYTHING = AnalyticsQuery()


def sink_scenarios() -> tuple[StoreScenario, ...]:
    """What a ``TelemetrySink`` must do of which nothing can be read again."""
    return (
        StoreScenario(a_sink_takes_events_without_waiting),
        StoreScenario(a_sink_is_flushed_and_closed_at_any_time),
        StoreScenario(a_flush_that_is_cancelled_harms_nobody),
    )


def telemetry_scenarios() -> tuple[StoreScenario, ...]:
    """What a ``TelemetryStore`` must do: all that a sink must, and be read again."""
    return (
        *sink_scenarios(),
        StoreScenario(events_come_back_as_they_were),
        StoreScenario(sums_are_as_the_core_has_them),
        StoreScenario(the_newest_events_come_first),
        StoreScenario(taking_an_event_does_not_wait),
        StoreScenario(telemetry_outlasts_the_sink, lasting=True),
    )


def _event(number: int, **fields: Any) -> TelemetryEvent:
    told: dict[str, Any] = {
        "pattern": ("lewin", "aar", None)[number % 3],
        "model": ("m-1", "m-2")[number % 2],
        "run_id": f"run-{number}",
        "input_tokens": 100 + number,
        "output_tokens": number,
        "total_tokens": 100 + 2 * number,
        "elapsed_ms": 0.5 * number,
        # A power of two, so that sums are exact in whatever order they are made.
        "cost_usd": None if number % 7 == 0 else number / 1024,
        "event_type": ANALYSIS if number % 4 == 3 else LLM_CALL,
        "scope": ("", "alice")[number % 5 == 0],
        "timestamp": WALL + number * 7_200,
    }
    return TelemetryEvent(**(told | fields))


FULL = {"extra": {"pass": "read\u00e9", "mode": "quick", "deep": [1, None]}, "timestamp": WALL + 0.123456}


async def a_sink_takes_events_without_waiting(open_store: Open) -> None:
    """A thousand in a row, with no turn of the loop in between, whatever they hold."""
    async with open_store() as sink:
        must(isinstance(sink, TelemetrySink), "it has every method of TelemetrySink")
        must(not inspect.iscoroutinefunction(sink.record), "record is a function that nobody awaits")
        for event in (TelemetryEvent(timestamp=WALL), _event(1, **FULL), *map(_event, range(1_000))):
            sink.record(event)
        await sink.flush()


async def a_sink_is_flushed_and_closed_at_any_time(open_store: Open) -> None:
    """Before anything was taken, twice, and with events that nobody has flushed."""
    async with open_store() as sink:
        await sink.flush()
        sink.record(_event(1))
        await sink.flush()
        await sink.flush()
        sink.record(_event(2))
        await sink.aclose()


async def a_flush_that_is_cancelled_harms_nobody(open_store: Open) -> None:
    """The service gives the last flush two seconds; whoever gives up leaves a sink that can go on."""
    async with open_store() as sink:
        sink.record(_event(1))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await sink.flush()
        sink.record(_event(2))
        await sink.flush()


async def events_come_back_as_they_were(open_store: Open) -> None:
    """Every field, and an event that says nothing."""
    event = _event(1, **FULL)
    async with open_store() as sink:
        must(isinstance(sink, TelemetryStore), "it has every method of TelemetryStore")
        must(list(await sink.events(EVERYTHING, 10)) == [], "the storage is empty at first")
        sink.record(event)
        sink.record(TelemetryEvent(timestamp=WALL - 1))
        told = list(await sink.events(EVERYTHING, 10))
        must(told == [event, TelemetryEvent(timestamp=WALL - 1)], f"events come back as they were: {told}")


async def sums_are_as_the_core_has_them(open_store: Open) -> None:
    """By pattern, model and day; of one scope, of all; of a span of time."""
    events = [_event(number) for number in range(60)]
    async with open_store() as sink:
        for event in events:
            sink.record(event)
        for by in GROUPINGS:
            for query in (
                AnalyticsQuery(by=by),
                AnalyticsQuery(by=by, scope="alice"),
                AnalyticsQuery(by=by, scope="nobody"),
                AnalyticsQuery(by=by, pattern="aar"),
                AnalyticsQuery(by=by, pattern=""),
                AnalyticsQuery(by=by, since=WALL + 30 * 7_200, until=WALL + 40 * 7_200),
            ):
                told: tuple[AnalyticsRow, ...] = tuple(sorted(await sink.summarize(query)))
                wanted = summarize(events, query)
                must(told == wanted, f"{query}: summed up as the core does: {told}, not {wanted}")


async def the_newest_events_come_first(open_store: Open) -> None:
    """By their moment; of equal moments, the last taken; at most ``limit``, and only those that fit."""
    async with open_store() as sink:
        for number in (3, 1, 2, 5):
            sink.record(_event(number))
        sink.record(_event(9, timestamp=_event(2).timestamp))
        told = [event.run_id for event in await sink.events(EVERYTHING, 10)]
        must(told == ["run-5", "run-3", "run-9", "run-2", "run-1"], f"the newest comes first: {told}")
        told = [event.run_id for event in await sink.events(AnalyticsQuery(scope=""), 2)]
        must(told == ["run-3", "run-9"], f"two of one scope: {told}")


async def taking_an_event_does_not_wait(open_store: Open) -> None:
    """A thousand in a row, with no turn of the loop in between, and none is lost."""
    async with open_store() as sink:
        for number in range(1_000):
            sink.record(_event(number))
        await sink.flush()
        rows = await sink.summarize(EVERYTHING)
        taken = sum(row.calls + row.analyses for row in rows)
        must(taken == 1_000, f"{taken} events of 1000 are there")


async def telemetry_outlasts_the_sink(open_store: Open) -> None:
    """Closing keeps what was taken."""
    async with open_store() as sink:
        must(isinstance(sink, TelemetrySink), "it has every method of TelemetrySink")
        sink.record(_event(1))
    async with open_store() as sink:
        told = list(await sink.events(EVERYTHING, 10))
        must(told == [_event(1)], f"it is there after closing: {told}")
