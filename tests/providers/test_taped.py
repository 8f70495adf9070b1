"""Recorded answers: the same question gets the same answer, and another one is told where it differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import structlog

from vstack_proto.values import ModelRequest, Usage
from vstack_runtime import analyze_async
from vstack_runtime.backends import ProviderError
from vstack_runtime.engine import Engine
from vstack_runtime.library import AnalysisError
from vstack_runtime.providers.choosing import choose
from vstack_runtime.providers.common import Reply
from vstack_runtime.providers.guarded import GuardedProvider
from vstack_runtime.providers.taped import TapeProvider, request_digest
from vstack_runtime.scripted import ScriptedProvider, least_answer
from vstack_runtime.settings import Settings, SettingsError

TRACE = msgspec.json.decode((Path(__file__).parents[2] / "examples/traces/failed_refund_report.json").read_bytes())
ASKED = ModelRequest(
    model="m-1", system="You diagnose.", shared="The run.", instruction="What is it?", name="aar/look", schema=b"{}"
)


def other(**fields: Any) -> ModelRequest:
    return msgspec.structs.replace(ASKED, **fields)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def recorded(folder: Path, *requests: ModelRequest) -> ScriptedProvider:
    inner = ScriptedProvider([lambda request: f"on {request.instruction}"], default_model="m-1")

    async def ask() -> None:
        provider = TapeProvider(folder, inner=inner)
        for request in requests:
            await provider.ask(request, 1.0)

    anyio.run(ask)
    return inner


def test_an_answer_is_recorded_once_and_given_ever_after(tmp_path: Path, backend: str) -> None:
    inner = recorded(tmp_path, ASKED, ASKED)
    assert len(inner.asked) == 1

    async def ask() -> Reply:
        return await TapeProvider(tmp_path).ask(ASKED, 1.0)

    assert anyio.run(ask, backend=backend) == Reply("on What is it?", Usage(input_tokens=100, output_tokens=20))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"aar_look-{request_digest(ASKED)}.json",
        "provider.json",
    ]
    assert TapeProvider(tmp_path).default_model == "m-1"
    (tmp_path / "provider.json").unlink()
    assert TapeProvider(tmp_path).default_model == "m-1"
    assert TapeProvider(tmp_path, default_model="m-2").default_model == "m-2"


@pytest.mark.parametrize("name", [name for name in ModelRequest.__struct_fields__ if name != "schemas"])
def test_whatever_a_model_would_see_makes_another_question(name: str) -> None:
    value = b"[]" if name == "schema" else "another"
    assert request_digest(other(**{name: value})) != request_digest(ASKED)


def test_a_folder_stays_good_whatever_is_told_of_other_passes(tmp_path: Path) -> None:
    assert request_digest(ASKED) == "68d0713e69d864f9"  # as ever since there are such folders
    told = other(schemas=(b"{}", b"[]"))
    recorded(tmp_path, told)
    (path,) = tmp_path.glob("aar*")
    assert path.name == f"aar_look-{request_digest(ASKED)}.json"

    async def ask() -> Reply:
        return await TapeProvider(tmp_path).ask(ASKED, 1.0)

    assert anyio.run(ask).text == "on What is it?"
    # Nor is it a place where two questions differ.
    assert refused(tmp_path, other(shared="Another run.", schemas=(b"{}",)))[0].endswith("which differs in shared")


def refused(folder: Path, request: ModelRequest) -> tuple[str, list[Any]]:
    async def ask() -> None:
        await TapeProvider(folder).ask(request, 1.0)

    with structlog.testing.capture_logs() as logs, pytest.raises(ProviderError) as caught:
        anyio.run(ask)
    assert caught.value.kind == "rejected"
    return caught.value.message, logs


def test_a_question_that_is_not_recorded_names_the_nearest(tmp_path: Path) -> None:
    like, unlike = other(shared="The run of Monday."), other(shared="Something else", instruction="Why?")
    recorded(tmp_path, like, unlike)
    message, logs = refused(tmp_path, ASKED)
    assert message == (
        f"no answer is recorded for this question of pass aar/look, {request_digest(ASKED)}; the nearest is "
        f"aar_look-{request_digest(like)}.json, which differs in shared"
    )
    # What the traces say is for the operator alone.
    (line,) = logs
    assert line["shared"] == "from character 7: ' of Monday.' is recorded, '.' is asked"
    message, _ = refused(tmp_path, other(schema=b"[]", system="You diagnose runs."))
    assert message.endswith("which differs in system, shared, schema")
    message, _ = refused(tmp_path, other(name="another_pass"))
    assert message.endswith("nor any other of this pass")


def test_a_broken_file_is_told_of(tmp_path: Path) -> None:
    recorded(tmp_path, ASKED)
    (path,) = tmp_path.glob("aar*")
    path.write_bytes(b"{")
    assert "cannot be read" in refused(tmp_path, ASKED)[0]
    (tmp_path / "provider.json").unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        TapeProvider(tmp_path)


def test_a_failed_call_is_not_recorded(tmp_path: Path) -> None:
    provider = TapeProvider(tmp_path, inner=ScriptedProvider([ProviderError("unavailable", "away"), "here"]))

    async def ask() -> Reply:
        with pytest.raises(ProviderError, match="away"):
            await provider.ask(ASKED, 1.0)
        return await provider.ask(ASKED, 1.0)

    assert anyio.run(ask).text == "here"


def test_a_whole_application_runs_on_recorded_answers(tmp_path: Path) -> None:
    inner = ScriptedProvider([least_answer], default_model="m-7")

    async def diagnose(**how: Any) -> dict[str, Any]:
        return await analyze_async(TRACE, pattern="social_loafing", format="canonical", mode="forensic", **how)

    async def both() -> tuple[dict[str, Any], dict[str, Any]]:
        live = await diagnose(settings=Settings(), provider=TapeProvider(tmp_path, inner=inner))
        again = await diagnose(settings=Settings.from_env({"VSTACK_LLM": f"tape:{tmp_path}"}))
        with pytest.raises(AnalysisError, match="no answer is recorded"), structlog.testing.capture_logs():
            await diagnose(settings=Settings.from_env({"VSTACK_LLM": f"tape:{tmp_path}", "VSTACK_MODEL": "m-8"}))
        return live, again

    live, again = anyio.run(both)
    assert live["model"] == again["model"] == "m-7"
    for name in ("run_id", "generated_at", "elapsed_ms"):
        live["detection"].pop(name), again["detection"].pop(name)
    assert live == again
    assert len(inner.asked) == live["detection"]["llm_calls"]


# Choosing.


def test_the_settings_choose_it(tmp_path: Path) -> None:
    recorded(tmp_path, ASKED)
    engine = Engine(Settings.from_env({"VSTACK_LLM": f"TAPE:{tmp_path}"}), env={})
    assert engine.provider is not None
    assert (engine.provider.name, engine.provider.default_model) == ("tape", "m-1")
    chosen = choose(Settings.from_env({"VSTACK_LLM": f"tape+record:{tmp_path}"}), {"OLLAMA_HOST": "127.0.0.1"})
    assert isinstance(chosen, GuardedProvider)
    assert isinstance(chosen.lanes[0].provider, TapeProvider)
    assert chosen.default_model == "gemma4:12b"
    anyio.run(chosen.aclose)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("tape:{}/empty", "a folder of recorded answers"),
        ("tape+record:{}", "OLLAMA_HOST says whom to ask"),
        ("tape+record:{}/file/below", "a folder of recorded answers"),
    ],
)
def test_what_cannot_answer_stops_the_start(tmp_path: Path, value: str, told: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    env = {"OLLAMA_HOST": "127.0.0.1"} if "below" in value else {}
    with pytest.raises(SettingsError, match=told):
        choose(Settings.from_env({"VSTACK_LLM": value.format(tmp_path)}), env)


@pytest.mark.parametrize("value", ["tape", "tape:", "record:x", "claude"])
def test_a_malformed_setting_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"allowed: auto, anthropic, .*tape\+record:DIR"):
        Settings.from_env({"VSTACK_LLM": value})
