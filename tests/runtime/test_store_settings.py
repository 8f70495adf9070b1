"""The URLs of Redis: every form that is read, everything that is refused, and nothing that shows a password."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from vstack_runtime.chosen_stores import (
    choose_cache,
    choose_flights,
    choose_learnings,
    choose_limiter,
    choose_telemetry,
)
from vstack_runtime.settings import Settings, SettingsError
from vstack_runtime.store_settings import RedisAddress, parse_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", RedisAddress(hosts=(("cache", 6379),))),
        ("redis://:p%40ss%2F@cache:7000/3", RedisAddress(hosts=(("cache", 7000),), password="p@ss/", db=3)),
        (
            "rediss://bob:p@ss@[::1]:7000",
            RedisAddress(hosts=(("::1", 7000),), tls=True, username="bob", password="p@ss"),
        ),
        ("redis://cache?prefix=blue", RedisAddress(hosts=(("cache", 6379),), prefix="blue")),
        ("redis+cluster://a,b:7001", RedisAddress(kind="cluster", hosts=(("a", 6379), ("b", 7001)))),
        (
            "rediss+sentinel://:x@a,b:27000/main/2?sentinel_auth=same&ca_file=/ca.pem",
            RedisAddress(
                kind="sentinel",
                hosts=(("a", 26379), ("b", 27000)),
                tls=True,
                password="x",
                db=2,
                service="main",
                ca_file="/ca.pem",
                sentinel_auth=True,
            ),
        ),
    ],
)
def test_a_url_is_read(url: str, address: RedisAddress) -> None:
    assert parse_address(url) == address
    assert address.password is None or address.password not in repr(address)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis:/cache", "redis://"),
        ("redis://", "redis://"),
        ("redis+ring://cache", "redis://"),
        ("redis://a b", "redis://"),
        ("redis://cache#0", "redis://"),
        ("redis://cache:0", "redis://"),
        ("redis://cache:x", "redis://"),
        ("redis://cache:65536", "redis://"),
        ("redis://cache/one", "redis://"),
        ("redis://cache/1/2", "redis://"),
        ("redis://a,b", "one host"),
        ("redis+cluster://a/1", "a cluster has only one"),
        ("redis+sentinel://a:26379", "the name of the service"),
        ("redis://cache?timeout=1", "only these options"),
        ("redis://cache?ca_file=", "only these options"),
        ("redis://cache?prefix={x}", "a prefix of"),
        ("redis+sentinel://a/main?sentinel_auth=other", "sentinel_auth=same"),
        ("rediss://cache?cert_file=/c.pem", "together"),
    ],
)
def test_a_malformed_url_is_refused_without_showing_it(url: str, told: str) -> None:
    secret = url.replace("//", "//user:hunter2@", 1)
    for text in (url, secret):
        with pytest.raises(ValueError, match=told) as caught:
            parse_address(text)
        assert "hunter2" not in str(caught.value)


def settings(url: str) -> Settings:
    stores = ("VSTACK_CACHE", "VSTACK_RATE_LIMIT_STORE", "VSTACK_LEARNINGS", "VSTACK_TELEMETRY")
    return Settings.from_env({"VSTACK_API_RATE_LIMIT": "5/60", **dict.fromkeys(stores, url)})


CHOOSERS = (
    ("VSTACK_CACHE", choose_cache),
    ("VSTACK_CACHE", choose_flights),
    ("VSTACK_RATE_LIMIT_STORE", choose_limiter),
    ("VSTACK_LEARNINGS", lambda chosen: choose_learnings(chosen, ())),
    ("VSTACK_TELEMETRY", choose_telemetry),
)


def test_settings_choose_the_stores() -> None:
    made = [type(choose(settings("redis://cache"))).__name__ for _, choose in CHOOSERS]
    assert made == ["RedisCache", "RedisFlights", "RedisRateLimiter", "RedisLearningStore", "RedisTelemetrySink"]
    assert choose_flights(Settings(cache="memory")) is None


def test_without_the_library_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("vstack_runtime.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "coredis", None)
    for variable, choose in CHOOSERS:
        with pytest.raises(SettingsError, match=r"pip install 'vstack\[redis\]'") as caught:
            choose(settings("redis://:hunter2@cache"))
        assert caught.value.name == variable
        assert "hunter2" not in str(caught.value)
    # And so it does to a program that makes such a store itself.
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'vstack\[redis\]'"):
        importlib.import_module("vstack_runtime.redis.cache")


def test_a_file_that_a_url_names_must_be_there(tmp_path: Path) -> None:
    missing, rubbish = tmp_path / "none.pem", tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    for path in (missing, rubbish):
        with pytest.raises(SettingsError, match="certificates") as caught:
            choose_cache(settings(f"rediss://:hunter2@cache?ca_file={path}"))
        assert "hunter2" not in str(caught.value)
