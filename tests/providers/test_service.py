"""The whole service with real clients and a fake model service: what a caller gets, and what happens upstream."""

from __future__ import annotations

import anyio
import pytest

from tests.e2e.serving import canonical_trace
from tests.fakes.model_service import Act, serving
from tests.providers.kit import NAMES, RUNTIMES, run, seen
from tests.providers.served import Answer, environment, page, post, request, service
from vstack_runtime import AnalysisError, analyze


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_detection_tells_what_it_cost(name: str, runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Act(text=None)) as server:

        async def ask() -> Answer:
            async with service(environment(server, name), monkeypatch) as port:
                return await post(port)

        status, _, body = run(runtime, ask)
    assert status == 200, body
    found = body["detection"]
    assert (found["llm_calls"], found["tokens_total"]) == (1, 110)
    assert (found["cost_usd"] > 0) is (name != "ollama")
    assert found["generator_model"] == body["model"] == server.asked[0].body["model"]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_caller_who_leaves_closes_the_upstream_call(name: str, runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Act(hang=True)) as server:

        async def leave() -> str:
            async with service(environment(server, name), monkeypatch) as port:
                async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                    await stream.send(request())
                    assert await seen(server, lambda: server.asked)
                assert await seen(server, lambda: not server.open, 1.0)
                return await page(port)

        told = run(runtime, leave)
    assert f'vstack_model_calls_total{{model="{server.asked[0].body["model"]}",outcome="cancelled"' in told


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_too_many_calls_are_refused_and_probes_answer_meanwhile(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Act(hang=True)) as server:

        async def crowd() -> Answer:
            env = environment(server, VSTACK_LLM_MAX_CONCURRENCY="1")
            async with service(env, monkeypatch) as port, anyio.create_task_group() as tasks:
                for number in range(3):  # one runs, two wait; traces differ, or they would share one flight
                    trace = canonical_trace(goal=f"goal {number}")
                    tasks.start_soon(lambda trace: post(port, trace=trace), trace)
                    if number == 0:
                        assert await seen(server, lambda: server.asked)
                # The two are in the queue once the metrics say that three analyses are in flight.
                while "vstack_requests_in_flight 3.0" not in await page(port):
                    pass
                answer = await post(port)
                # Who is refused, and who only looks, waits for none of the three, who wait for good.
                assert "vstack_requests_in_flight 3.0" in await page(port)
                tasks.cancel_scope.cancel()
            return answer

        status, headers, body = run(runtime, crowd)
    assert (status, body["detail"]["error"], headers["retry-after"]) == (503, "overloaded", "1")
    assert "VSTACK_LLM_MAX_CONCURRENCY" in body["detail"]["message"]


def test_a_model_that_is_not_on_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Act(text=None)) as server:

        async def ask() -> list[Answer]:
            env = environment(server, VSTACK_MODELS="claude-haiku-5-5, claude-opus-5-5")
            async with service(env, monkeypatch) as port:
                return [await post(port, model=model) for model in ("dearest", "claude-opus-5-5", "offline", None)]

        refused, allowed, offline, default = run("asyncio", ask)
    told = refused[2]["detail"]
    assert (refused[0], told["error"], told["errors"][0]["pointer"]) == (400, "validation_error", "/model")
    assert "claude-haiku-5-5, claude-opus-5-5, offline" in told["errors"][0]["message"]
    models = [answer[2]["model"] for answer in (allowed, offline, default)]
    assert models == ["claude-opus-5-5", "offline", "claude-haiku-5-5"]


def test_a_stand_in_is_named_and_its_detection_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Act(status=503, headers=(("retry-after", "600"),))) as away, serving(Act(text=None)) as there:
        env = {
            **environment(away),
            **environment(there, "ollama"),
            "VSTACK_LLM_FALLBACK": "ollama:gemma4:e4b",
            "VSTACK_CACHE": "memory",
        }

        async def ask() -> list[Answer]:
            async with service(env, monkeypatch) as port:
                return [await post(port), await post(port)]

        answers = run("asyncio", ask)
    assert [answer[2]["detection"]["generator_model"] for answer in answers] == ["gemma4:e4b"] * 2
    assert [answer[1]["x-cache"] for answer in answers] == ["miss", "miss"]
    assert (len(away.asked), len(there.asked)) == (2, 2)


def test_retries_and_the_breaker_show_in_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Act(status=500), Act(text=None)) as server:

        async def ask() -> tuple[int, str]:
            async with service(environment(server), monkeypatch) as port:
                return (await post(port))[0], await page(port)

        status, told = run("asyncio", ask)
    assert status == 200
    assert 'vstack_model_retries_total{provider="anthropic"} 1.0' in told
    assert 'vstack_breaker_state{provider="anthropic",state="closed"} 1.0' in told
    assert 'outcome="ok",provider="anthropic"} 1.0' in told


def test_the_library_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Act(text=None), Act(status=400)) as server:
        for name, value in environment(server).items():
            monkeypatch.setenv(name, value)
        answer = analyze(canonical_trace(), pattern="aar", mode="quick", format="canonical")
        assert answer["detection"]["llm_calls"] == 1
        with pytest.raises(AnalysisError, match="anthropic answered 400"):
            analyze(canonical_trace(), pattern="aar", mode="quick", format="canonical")
        assert server.wait_until(lambda: not server.open)
