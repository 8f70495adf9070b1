"""The settings of the home, and the stores that follow from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from vstack_runtime.engine import Engine
from vstack_runtime.home import MemoryLearnings, MemoryTelemetry, SqliteLearnings, SqliteTelemetry
from vstack_runtime.home_settings import HomeSettings
from vstack_runtime.settings import Settings, SettingsError


def home(**env: str) -> HomeSettings:
    return Settings.from_env(env).home


def test_the_home_is_that_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert home() == HomeSettings(path="/home/somebody/.vstack")
    assert home(VSTACK_HOME="~/other").path == "/home/somebody/other"
    assert home(VSTACK_HOME="here").path == os.path.abspath("here")


def test_without_a_home_directory_nothing_is_kept_and_the_log_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    read = Settings.from_env({})
    assert read.home.path == ""
    (warning,) = read.warnings
    assert "VSTACK_HOME says where" in warning


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VSTACK_HOME", "/etc/hosts"),
        ("VSTACK_HOME", "a\0b"),
        ("VSTACK_LEARNINGS", "yes"),
        ("VSTACK_TELEMETRY", "file"),
        ("VSTACK_LEARNINGS_MAX_AGE_DAYS", "0"),
        ("VSTACK_LEARNINGS_MAX_AGE_DAYS", "nan"),
        ("VSTACK_TELEMETRY_MAX_AGE_DAYS", "a month"),
        ("VSTACK_TELEMETRY_MAX_BYTES", "2MB"),
        ("VSTACK_LEARNINGS_MAX_BYTES", "0"),
    ],
)
def test_a_malformed_setting_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        home(**{name: value})
    assert caught.value.name == name


def test_retention_is_read() -> None:
    told = home(
        VSTACK_HOME="/h",
        VSTACK_LEARNINGS_MAX_AGE_DAYS="365",
        VSTACK_LEARNINGS_MAX_BYTES="none",
        VSTACK_TELEMETRY_MAX_AGE_DAYS="None",
        VSTACK_TELEMETRY_MAX_BYTES="1MiB",
    )
    assert told == HomeSettings(
        path="/h",
        learnings_max_age_days=365.0,
        learnings_max_bytes=None,
        telemetry_max_age_days=None,
        telemetry_max_bytes=1_048_576,
    )


def chosen(**fields: Any) -> Engine:
    return Engine(Settings(llm="offline", home=HomeSettings(**fields)))


def test_the_settings_choose_the_stores(tmp_path: Path) -> None:
    path = str(tmp_path / "home")
    engine = chosen(path=path)
    assert isinstance(engine.learnings, SqliteLearnings)
    assert isinstance(engine.telemetry, SqliteTelemetry)
    assert engine.baselines is engine.learnings
    in_memory = chosen(path=path, learnings="memory", telemetry="memory")
    assert isinstance(in_memory.learnings, MemoryLearnings)
    assert isinstance(in_memory.telemetry, MemoryTelemetry)
    assert isinstance(in_memory.baselines, SqliteLearnings)
    nothing = chosen(path=path, learnings="off", telemetry="off")
    assert (nothing.learnings, nothing.telemetry) == (None, None)
    for nowhere in (chosen(), Engine(Settings(llm="offline"))):
        assert (nowhere.learnings, nowhere.telemetry, nowhere.baselines) == (None, None, None)
    # Nothing is made before it is needed.
    assert not Path(path).exists()


def test_what_the_policy_says_follows(tmp_path: Path) -> None:
    for engine, kept in ((chosen(path=str(tmp_path)), True), (chosen(), False)):
        policy = engine.service.policy
        assert {policy.learnings, policy.telemetry, policy.analytics, policy.baselines} == {kept}
        _, _, checks = engine.readiness()
        told = ("SqliteLearnings", "SqliteTelemetry") if kept else ("off", "off")
        assert (checks["learnings"], checks["telemetry"]) == told


class Falsy(MemoryLearnings):
    def __bool__(self) -> bool:
        return False


def test_a_store_of_ones_own_is_used_though_it_is_false_and_left_open(tmp_path: Path) -> None:
    mine = Falsy()
    closed: list[object] = []
    mine.aclose = lambda: closed.append(mine)  # type: ignore[method-assign, assignment, return-value]
    engine = Engine(Settings(llm="offline", home=HomeSettings(path=str(tmp_path))), learnings=mine)
    assert engine.learnings is mine
    anyio.run(engine.aclose)
    assert closed == []


def test_a_store_that_cannot_be_closed_keeps_no_other_from_it(tmp_path: Path) -> None:
    settings = Settings(llm="offline", home=HomeSettings(path=str(tmp_path)))
    engine = Engine(msgspec.structs.replace(settings))
    learnings, closed = engine.learnings, []

    async def fails() -> None:
        raise OSError("away")

    async def closes() -> None:
        closed.append(True)

    assert learnings is not None
    assert engine.telemetry is not None
    learnings.aclose = fails  # type: ignore[method-assign]
    engine.telemetry.aclose = closes  # type: ignore[method-assign]
    anyio.run(engine.aclose)
    assert closed == [True]
