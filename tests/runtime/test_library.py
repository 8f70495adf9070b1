"""An analysis as a call, without a server."""

from __future__ import annotations

import importlib.metadata
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import structlog

import vstack_runtime
from vstack_proto.patterns.aar_passes import Review
from vstack_proto.quota import Window
from vstack_proto.trace import CanonicalTrace, TraceStep
from vstack_runtime import AnalysisError, Settings, analyze, analyze_async
from vstack_runtime.conformance.parts import PATTERN, GatedProvider
from vstack_runtime.engine import Engine
from vstack_runtime.home.opening import open_learnings
from vstack_runtime.home_settings import HomeSettings
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import SettingsError

OFFLINE = Settings(llm="offline")
STEPS = (
    TraceStep("planner", "message", "Look the temperature up in the archive."),
    TraceStep("worker", "message", "Assuming a typical summer I will use 31.4 degrees."),
)
TRACE = CanonicalTrace("Report the highest temperature", STEPS, "The answer was wrong", success=False)
PLAIN: dict[str, Any] = msgspec.to_builtins(TRACE)
REVIEW = msgspec.json.encode(Review("The record.", "It was guessed.", (), ())).decode()


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    def go(program: Callable[[], Awaitable[Any]]) -> Any:
        async def bounded() -> Any:
            with anyio.fail_after(20):
                return await program()

        return anyio.run(bounded, backend=request.param)

    return go


Run = Callable[[Callable[[], Awaitable[Any]]], Any]


def test_a_trace_is_diagnosed_without_an_event_loop() -> None:
    told = analyze(TRACE, pattern="aar", settings=OFFLINE)
    assert (told["pattern"], told["mode"], told["model"], told["cached"]) == ("aar", "standard", "offline", False)
    assert told["detection"]["generator_model"] == "offline"


def test_what_was_ignored_or_left_out_is_told() -> None:
    steps = [{"agent": "a", "type": "tool_call", "content": "look it up", "tol": "archive"}] * 2
    misspelt = {"goal": "g", "steps": steps, "outcome": "o", "success": False, "framwork": "x"}
    told = analyze(misspelt, pattern="aar", format="canonical", settings=OFFLINE)
    assert told["warnings"] == [
        "unknown field 'framwork' was ignored; did you mean 'framework'?",
        "unknown field 'tol' of /steps/0 was ignored; did you mean 'tool'?",
    ]
    with pytest.raises(AnalysisError, match='send "format": "canonical"'):
        analyze(PLAIN, pattern="aar", settings=OFFLINE)


FORMS = [PLAIN, TRACE, json.dumps(PLAIN).encode(), json.dumps(PLAIN)]


@pytest.mark.parametrize("trace", FORMS, ids=["mapping", "struct", "bytes", "text"])
def test_every_form_of_a_trace_means_the_same(trace: Any, run: Run) -> None:
    async def program() -> Any:
        return await analyze_async(trace, pattern="aar", format="canonical", mode="quick", settings=OFFLINE)

    told = run(program)
    assert told["detection"]["severity"] == analyze(TRACE, pattern="aar", settings=OFFLINE)["detection"]["severity"]
    assert told["mode"] == "quick"


def test_a_provider_answers_model_calls(run: Run) -> None:
    provider = ScriptedProvider([REVIEW])

    async def program() -> Any:
        return await analyze_async(TRACE, pattern="aar", mode="quick", settings=Settings(), provider=provider)

    told = run(program)
    assert (told["model"], told["detection"]["llm_calls"]) == ("scripted-1", 1)
    assert told["detection"]["tokens_total"] == 120
    assert len(provider.asked) == 1


def test_the_model_may_be_chosen() -> None:
    provider = ScriptedProvider([REVIEW])
    told = analyze(TRACE, pattern="aar", mode="quick", model="another", settings=Settings(), provider=provider)
    assert told["model"] == provider.asked[0].model == "another"
    told = analyze(TRACE, pattern="aar", model="offline", settings=Settings(), provider=provider)
    assert (told["model"], len(provider.asked)) == ("offline", 1)


def test_keys_and_quota_are_for_peers() -> None:
    settings = Settings(llm="offline", require_auth=True, rate_limit=(Window(1, 60.0),))
    assert [analyze(TRACE, pattern="aar", settings=settings)["pattern"] for _ in range(2)] == ["aar", "aar"]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"pattern": "aarr"}, 404, "unknown_pattern"),
        ({"pattern": "aar", "mode": "thorough"}, 400, "invalid_mode"),
        ({"pattern": "aar", "trace": {"goal": "none"}}, 400, "validation_error"),
        ({"pattern": "aar", "trace": b"{"}, 400, "invalid_json"),
        ({"pattern": "aar", "settings": Settings()}, 502, "llm_resolution_error"),
    ],
)
def test_what_cannot_be_made_is_an_error_as_the_service_tells_it(asked: Any, status: int, code: str) -> None:
    given = {"trace": TRACE, "settings": OFFLINE, **asked}
    with pytest.raises(AnalysisError) as caught:
        analyze(**given)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert str(caught.value) == caught.value.message
    assert "request_id" in caught.value.extra


def test_every_fault_of_a_trace_comes_with_the_error() -> None:
    with pytest.raises(AnalysisError) as caught:
        analyze({"steps": 7}, pattern="aar", format="canonical", settings=OFFLINE)
    pointers = [fault["pointer"] for fault in caught.value.extra["errors"]]
    assert {"/goal", "/outcome", "/steps"} <= set(pointers)


def test_a_broken_provider_is_an_error_too() -> None:
    with pytest.raises(AnalysisError) as caught:
        analyze(TRACE, pattern="aar", settings=Settings(), provider=ScriptedProvider(["no JSON"]))
    assert (caught.value.status, caught.value.code) == (502, "analyzer_error")


def test_the_environment_is_read_where_no_settings_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSTACK_LLM", "offline")
    assert analyze(TRACE, pattern="aar")["model"] == "offline"
    monkeypatch.setenv("VSTACK_LLM", "nobody")
    with pytest.raises(SettingsError):
        analyze(TRACE, pattern="aar")


def test_a_deadline_is_kept() -> None:
    settings = Settings.from_env({"VSTACK_API_REQUEST_TIMEOUT": "0.1"})
    provider = GatedProvider()
    with pytest.raises(AnalysisError) as caught:
        analyze(TRACE, pattern="aar", settings=settings, provider=provider)
    assert (caught.value.status, caught.value.code) == (504, "timeout")
    assert provider.gate.cancelled == 1


def test_a_cancelled_call_is_cancelled_to_the_bottom(run: Run) -> None:
    provider = GatedProvider()

    async def program() -> None:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                await analyze_async(TRACE, pattern="aar", settings=Settings(), provider=provider)

            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert provider.gate.came == 1
            tasks.cancel_scope.cancel()

    run(program)
    assert provider.gate.cancelled == 1


def test_inside_of_an_event_loop_it_must_be_awaited(run: Run) -> None:
    async def program() -> None:
        with pytest.raises(RuntimeError, match="await analyze_async"):
            analyze(TRACE, pattern="aar", settings=OFFLINE)

    run(program)


@pytest.mark.parametrize(
    ("trace", "told"),
    [
        (Path("trace.json"), "trace is a PosixPath: read the file"),
        (io.BytesIO(b"{}"), "trace is a BytesIO: read the file"),
        ("traces/run.json", "if it names a file, read the file"),
        ({"goal": object()}, "trace is a dict that holds no JSON alone"),
    ],
)
def test_what_is_no_trace_is_told_with_what_to_do(trace: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        analyze(trace, pattern="aar", settings=OFFLINE)


def test_a_text_cannot_close_the_request_around_it() -> None:
    with pytest.raises(AnalysisError) as caught:
        analyze('{}, "format": "native", "model": "another"', pattern="aar", settings=OFFLINE)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


def test_it_is_compared_with_a_baseline(tmp_path: Path) -> None:
    settings = Settings(llm="offline", home=HomeSettings(path=str(tmp_path)))
    first = analyze(TRACE, pattern="aar", settings=settings)["detection"]

    async def keep() -> None:
        store = open_learnings(settings.home, ["aar"])
        await store.put_baseline("", "aar", "good", msgspec.json.encode(first))
        await store.aclose()

    anyio.run(keep)
    told = analyze(TRACE, pattern="aar", settings=settings, baseline="good")
    assert told["detection"]["baseline"]["historical_baseline_id"] == "good"
    with pytest.raises(AnalysisError) as caught:
        analyze(TRACE, pattern="aar", settings=settings, baseline="bad")
    assert caught.value.status == 400


def test_patterns_of_ones_own_take_the_place_of_those_installed() -> None:
    told = analyze({"text": "calm"}, pattern=PATTERN.name, settings=OFFLINE, patterns=[PATTERN])
    assert told["pattern"] == PATTERN.name
    with pytest.raises(AnalysisError) as caught:
        analyze(TRACE, pattern="aar", settings=OFFLINE, patterns=[PATTERN])
    assert caught.value.code == "unknown_pattern"
    # And leave no trace in later calls.
    assert analyze(TRACE, pattern="aar", settings=OFFLINE)["pattern"] == "aar"


@pytest.mark.parametrize(
    ("variables", "kept"), [({}, False), ({"VSTACK_HOME": "own"}, True), ({"VSTACK_TELEMETRY": "home"}, True)]
)
def test_nothing_is_written_to_a_home_that_nobody_named(
    variables: dict[str, str], kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VSTACK_HOME", "VSTACK_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VSTACK_LLM", "offline")
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value) if name == "VSTACK_HOME" else value)
    analyze(TRACE, pattern="aar")
    assert bool(list(tmp_path.rglob("telemetry.db"))) is kept


def test_a_call_makes_no_series_that_nobody_asks_for() -> None:
    """What made nineteen twentieths of a call's time."""
    made = {
        runtime: sum(len(metric.samples) for metric in Engine(OFFLINE, runtime=runtime).metrics.registry.collect())
        for runtime in ("library", "asgi")
    }
    assert made["library"] * 20 < made["asgi"]


def test_patterns_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = importlib.metadata.entry_points

    def counted(**told: str) -> Any:
        asked.append(told["group"])
        return real(**told)

    analyze(TRACE, pattern="aar", settings=OFFLINE)
    monkeypatch.setattr("importlib.metadata.entry_points", counted)
    analyze(TRACE, pattern="aar", settings=OFFLINE)
    assert asked == []


def test_the_package_offers_what_it_names_and_nothing_else() -> None:
    for name in vstack_runtime.__all__:
        assert getattr(vstack_runtime, name) is not None
    with pytest.raises(AttributeError, match="analyse"):
        vstack_runtime.analyse  # noqa: B018


@pytest.mark.parametrize("entry", ["analyze", "build_app"])
def test_a_misspelt_variable_is_told_once_where_lines_go_somewhere(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vstack_runtime.logs._told", set())
    structlog.reset_defaults()
    monkeypatch.setenv("VSTACK_LLM", "offline")
    monkeypatch.setenv("VSTACK_CACHES", "memory")

    def run() -> None:
        if entry == "analyze":
            analyze(TRACE, pattern="aar")
        else:
            vstack_runtime.build_app()

    run()  # where nobody listens, nothing counts as told
    with structlog.testing.capture_logs() as heard:
        run()
        run()
    told = [line["event"] for line in heard if line["log_level"] == "warning"]
    assert told == ["VSTACK_CACHES was ignored: there is no such setting; did you mean VSTACK_CACHE?"]
