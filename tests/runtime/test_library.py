"""An analysis as a call, without a server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest

import vstack_runtime
from vstack_proto.patterns.aar_passes import Review
from vstack_proto.quota import Window
from vstack_proto.trace import CanonicalTrace, TraceStep
from vstack_runtime import AnalysisError, Settings, analyze, analyze_async
from vstack_runtime.conformance.parts import GatedProvider
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
        with pytest.raises(RuntimeError):
            analyze(TRACE, pattern="aar", settings=OFFLINE)

    run(program)


def test_the_package_offers_what_it_names_and_nothing_else() -> None:
    for name in vstack_runtime.__all__:
        assert getattr(vstack_runtime, name) is not None
    with pytest.raises(AttributeError, match="analyse"):
        vstack_runtime.analyse  # noqa: B018
