"""What a process is made of follows from its settings, or from what it is given in their place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import structlog

from vstack_proto.auth import KeyTable, digest
from vstack_proto.quota import Window
from vstack_proto.telemetry import TelemetryEvent
from vstack_runtime.backends import MemoryCache, MemoryLimiter
from vstack_runtime.conformance.parts import PATTERN, FixedLimiter, GatedCache
from vstack_runtime.engine import Engine, installed_patterns, version
from vstack_runtime.scripted import ScriptedProvider
from vstack_runtime.settings import Settings

ALICE, BOB = "alice-" + "k" * 24, "bob---" + "k" * 24


def engine(settings: Settings = Settings(), **parts: Any) -> Engine:  # noqa: B008
    return Engine(settings, patterns=[PATTERN], env={}, **parts)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


# Patterns.


def test_installed_patterns_are_offered_in_the_order_of_their_numbers() -> None:
    names = [pattern.name for pattern in installed_patterns()]
    assert {"aar", "social_loafing", "span_of_control"} <= set(names)
    catalogue = Engine(Settings(), env={}).service.catalogue
    assert set(catalogue.patterns) == set(names)
    numbers = [pattern.number for pattern in catalogue.patterns.values()]
    assert numbers == sorted(numbers)


# The end.


class Sink:
    """A sink of somebody's own."""

    def __init__(self, fault: Exception | None = None, *, hangs: bool = False) -> None:
        self.told: list[str] = []
        self._fault, self._hangs = fault, hangs

    def record(self, event: TelemetryEvent) -> None:
        self.told.append("record")

    async def flush(self) -> None:
        self.told.append("flush")
        if self._hangs:
            await anyio.sleep_forever()
        if self._fault is not None:
            raise self._fault

    async def aclose(self) -> None:
        self.told.append("aclose")


def test_a_sink_that_was_given_is_flushed_and_left_open(logged: list[Any]) -> None:
    sink = Sink()
    anyio.run(Engine(Settings(), telemetry=sink, env={}).aclose)
    assert (sink.told, logged) == (["flush"], [])


@pytest.mark.parametrize(
    ("sink", "told"),
    [
        (Sink(OSError("away")), "telemetry could not be flushed"),
        (Sink(hangs=True), "telemetry was not flushed in time"),
    ],
    ids=["fails", "hangs"],
)
def test_a_sink_that_cannot_be_flushed_holds_nobody_up(
    sink: Sink, told: str, logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vstack_runtime.engine.FLUSH_SECONDS", 0.01)
    anyio.run(Engine(Settings(), telemetry=sink, env={}).aclose)
    assert [entry["event"] for entry in logged] == [told]


# What follows from the settings.


def test_by_default_little_is_on() -> None:
    one = engine()
    policy = one.service.policy
    assert (one.limiter, one.cache, one.provider, one.key_file) == (None, None, None, None)
    assert (policy.quota, policy.cache, policy.require_auth, policy.offline) == (False, False, False, False)
    assert (policy.provider, policy.default_model, policy.version) == (None, None, version())
    assert one.status == "warming"


def test_settings_choose_the_stores() -> None:
    one = engine(
        Settings(
            rate_limit=(Window(1, 60.0),),
            rate_limit_headers="ietf",
            cache="memory",
            cache_capacity=1,
            cache_scope="key",
            llm="offline",
            require_auth=True,
        )
    )
    policy = one.service.policy
    assert isinstance(one.limiter, MemoryLimiter)
    assert isinstance(one.cache, MemoryCache)
    told = (policy.quota, policy.ietf_headers, policy.cache, policy.scope_by_key, policy.offline, policy.require_auth)
    assert told == (True,) * 6


def test_what_is_given_comes_before_what_the_settings_choose() -> None:
    limiter, cache, provider = FixedLimiter(1), GatedCache(), ScriptedProvider(["{}"], default_model="its-own")
    settings = Settings(rate_limit=(Window(1, 60.0),), cache="memory")
    one = engine(settings, limiter=limiter, cache=cache, provider=provider)
    assert (one.limiter, one.cache, one.provider) == (limiter, cache, provider)
    assert (one.service.policy.provider, one.service.policy.default_model) == ("scripted", "its-own")


def test_a_given_store_needs_no_setting() -> None:
    policy = engine(limiter=FixedLimiter(1), cache=GatedCache()).service.policy
    assert (policy.quota, policy.cache) == (True, True)


def test_the_model_of_the_settings_comes_before_the_providers_own() -> None:
    one = engine(Settings(model="asked-for"), provider=ScriptedProvider(["{}"]))
    assert one.service.policy.default_model == "asked-for"


# Readiness.


def test_it_is_ready_when_it_says_so_and_draining_for_good() -> None:
    one = engine()
    seen = []
    for status in ("warming", "ready", "draining"):
        if status == "ready":
            one.status = "ready"
        elif status == "draining":
            one.drain()
        told, detail, _ = one.readiness()
        seen.append(told)
        assert detail.startswith("the service ")
    assert seen == ["warming", "ready", "draining"]
    assert one.metrics.registry.get_sample_value("vstack_draining") == 1


def test_keys_that_are_required_and_missing_are_a_misconfiguration() -> None:
    one = engine(Settings(require_auth=True))
    one.status = "ready"
    status, detail, checks = one.readiness()
    assert (status, checks["keys"]) == ("misconfigured", "0 loaded")
    assert "VSTACK_API_KEYS" in detail


@pytest.mark.parametrize(
    ("settings", "parts", "check", "told"),
    [
        (Settings(), {}, "provider", 'none: only "model": "offline" works'),
        (Settings(llm="offline"), {}, "provider", "offline: every analysis runs on the signals"),
        (Settings(), {"provider": ScriptedProvider(["{}"])}, "provider", "scripted"),
        (Settings(), {}, "cache", "off"),
        (Settings(cache="memory"), {}, "cache", "MemoryCache"),
        (Settings(), {"cache": GatedCache()}, "cache", "GatedCache"),
        (Settings(), {}, "quota", "off"),
        (Settings(rate_limit=(Window(1, 60.0),)), {}, "quota", "MemoryLimiter"),
        (Settings(), {}, "keys", "none needed"),
        (Settings(require_auth=True, keys=KeyTable.of([("a", ALICE)])), {}, "keys", "1 loaded"),
        (Settings(), {}, "patterns", "1"),
    ],
)
def test_each_check_says_what_it_found(settings: Settings, parts: dict[str, Any], check: str, told: str) -> None:
    assert engine(settings, **parts).readiness()[2][check] == told


# Keys.


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"alice={ALICE}\n")
    path.chmod(0o600)
    return path


def change(path: Path, text: str) -> None:
    path.write_text(text)
    # Two writes within the resolution of the file system's clock would look alike.
    stamp = path.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(stamp, stamp))


def test_changed_keys_are_read_again(keys: Path, logged: list[Any]) -> None:
    one = engine(Settings.from_env({"VSTACK_API_KEYS_FILE": str(keys)}))
    one.reload_keys()
    assert logged == []
    change(keys, f"bob={BOB}\ncarol={ALICE}\n")
    assert one.keys().names == ("alice",)
    one.reload_keys()
    assert one.keys().names == ("bob", "carol")
    assert one.keys().name_of(digest(BOB)) == "bob"
    assert [(entry["event"], entry["keys"]) for entry in logged] == [("keys reloaded", 2)]


def test_broken_keys_leave_the_old_ones_and_are_told_of_once(keys: Path, logged: list[Any]) -> None:
    one = engine(Settings.from_env({"VSTACK_API_KEYS_FILE": str(keys)}))
    change(keys, "bob=short\n")
    for _ in range(3):
        one.reload_keys()
    assert one.keys().names == ("alice",)
    (entry,) = logged
    assert entry["log_level"] == "error"
    assert "short" not in msgspec.json.encode(entry).decode()


def test_without_a_file_there_is_nothing_to_read_again(logged: list[Any]) -> None:
    one = engine(Settings(keys=KeyTable.of([("alice", ALICE)])))
    one.reload_keys()
    assert (one.keys().names, logged) == (("alice",), [])


def test_the_wall_clock_may_be_given() -> None:
    assert engine(wall=lambda: 5.0).wall() == 5.0
