"""Settings that a program makes: what no variable may be, no field may be either."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from vstack_proto.address import parse_networks
from vstack_proto.auth import KeyTable
from vstack_proto.limits import Limits
from vstack_proto.quota import Window
from vstack_runtime import Settings, SettingsError, analyze, build_app
from vstack_runtime.engine import Engine
from vstack_runtime.home_settings import HomeSettings
from vstack_runtime.observing_settings import ObservingSettings
from vstack_runtime.tape_settings import TapeSettings

KEYS = KeyTable.of([("alice", "a" * 24)])


def test_whoever_gives_keys_wants_them_asked_for() -> None:
    assert Settings().require_auth is False
    assert Settings(keys=KEYS).require_auth is True
    assert Settings(keys=KEYS, require_auth=False).require_auth is False
    assert Settings(require_auth=True).require_auth is True
    assert Engine(Settings(keys=KEYS, llm="offline"), patterns=[], env={}).service.policy.require_auth is True


REFUSED = [
    (Settings, "host", "a b", "Settings.host is 'a b'; allowed: the name or address"),
    (Settings, "port", 70_000, "Settings.port is '70000'; allowed: a whole number from 0 to 65535"),
    (Settings, "port", -1, "Settings.port is '-1'; allowed: a whole number from 0 to 65535"),
    (Settings, "port", "80", "Settings.port is refused: it must be int (expected `int`, got `str`)"),
    (Settings, "port", True, "Settings.port is refused: it must be int (expected `int`, got `bool`)"),
    (Settings, "keys", {"a": "b"}, "Settings.keys is refused: it must be KeyTable"),
    (Settings, "require_auth", "no", "Settings.require_auth is refused: it must be bool"),
    (Settings, "auth_failures", (Window(0, 60.0),), "Settings.auth_failures is '(Window(limit=0, seconds=60.0),)'"),
    (Settings, "rate_limit", "100/60", "Settings.rate_limit is refused: it must be tuple[Window, ...]"),
    (Settings, "rate_limit", (Window(5, 0.5),), "COUNT/SECONDS with both at least 1"),
    (Settings, "rate_limit", (Window(5, math.nan),), "COUNT/SECONDS with both at least 1"),
    (Settings, "rate_limit_headers", "IETF", "Settings.rate_limit_headers is 'IETF'; allowed: legacy, ietf"),
    (Settings, "rate_limit_store", "redis://:pass@a/b/c", "Settings.rate_limit_store is 'redis://***@a/b/c'"),
    (Settings, "store_failure", "close", "Settings.store_failure is 'close'; allowed: open, closed"),
    (Settings, "mcp_allowed_hosts", "*", "Settings.mcp_allowed_hosts is refused: it must be frozenset[str] | None"),
    (Settings, "trusted_proxies", "10.0.0.0/8", "Settings.trusted_proxies is '10.0.0.0/8'; allowed: networks"),
    (Settings, "trusted_proxies", ("10.0.0.0/8",), "networks of the module ipaddress, in a tuple"),
    (Settings, "limits", {"max_body_bytes": 5}, "Settings.limits is refused: it must be Limits, not dict"),
    (Settings, "limits", Limits(max_body_bytes=0), "Limits.max_body_bytes is '0'; allowed: a whole number of bytes"),
    (Settings, "limits", Limits(request_timeout=0.0), "Limits.request_timeout is '0.0'; allowed: a number of seconds"),
    (Settings, "limits", Limits(max_depth="9"), "Limits.max_depth is refused: it must be int"),  # type: ignore[arg-type]
    (Settings, "cors_origins", "*", "Settings.cors_origins is refused: it must be frozenset[str]"),
    (Settings, "cors_origins", {"https://a.example/path"}, "origins as browsers send them"),
    (Settings, "cache", "memroy", "Settings.cache is 'memroy'; allowed: off, memory, redis://"),
    (Settings, "cache_capacity", 0, "Settings.cache_capacity is '0'; allowed: a whole number from 1"),
    (
        Settings,
        "cache_ttl",
        math.inf,
        "Settings.cache_ttl is 'inf'; allowed: a number of seconds, at least 0.1, or none",
    ),
    (Settings, "cache_max_bytes", -5, "Settings.cache_max_bytes is '-5'; allowed: a whole number of bytes"),
    (Settings, "cache_scope", "keys", "Settings.cache_scope is 'keys'; allowed: global, key"),
    (Settings, "llm", "ofline", "Settings.llm is 'ofline'; allowed: auto, anthropic, openai, ollama, offline"),
    (Settings, "models", "a,b", "Settings.models is refused: it must be tuple[str, ...] (expected `array`, got `str`)"),
    (Settings, "models", ("a b",), "Settings.models is \"('a b',)\"; allowed: names of models"),
    (Settings, "llm_fallback", ("nobody",), "off, or some of anthropic"),
    (Settings, "llm_max_concurrency", 0, "Settings.llm_max_concurrency is '0'"),
    (Settings, "drain_delay", -1, "Settings.drain_delay is '-1'; allowed: a number of seconds, at least 0"),
    (Settings, "drain_delay", math.nan, "Settings.drain_delay is 'nan'"),
    (Settings, "observing", None, "Settings.observing is refused: it must be ObservingSettings, not NoneType"),
    (Settings, "log_level", "loud", "Settings.log_level is 'loud'; allowed: info, debug, warning, error, critical"),
    (Settings, "log_format", "xml", "Settings.log_format is 'xml'; allowed: json, console"),
    (Settings, "home", "/x", "Settings.home is refused: it must be HomeSettings, not str"),
    (HomeSettings, "learnings", "of", "HomeSettings.learnings is 'of'; allowed: home, memory, off, redis://"),
    (HomeSettings, "path", "a\0b", "allowed: the path of a folder"),
    (HomeSettings, "telemetry_max_age_days", 0, "a number of days above 0"),
    (HomeSettings, "learnings_max_bytes", 0, "a whole number of bytes"),
    (TapeSettings, "sample", 1.5, "TapeSettings.sample is '1.5'; allowed: a share from 0 to 1"),
    (TapeSettings, "redact", "password", "TapeSettings.redact is refused: it must be tuple[str, ...]"),
    (TapeSettings, "callers", ("a b",), "names, separated by commas"),
    (ObservingSettings, "sentry_traces_sample_rate", 2, "a number from 0 to 1"),
    (ObservingSettings, "otel_endpoint", "collector:4318", "a URL of HTTP"),
]


@pytest.mark.parametrize(("made", "field", "value", "told"), REFUSED)
def test_what_cannot_be_is_refused_by_the_name_of_its_field(
    made: Callable[..., Any], field: str, value: Any, told: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(told)) as caught:
        made(**{field: value})
    assert "Expected" not in str(caught.value)


def test_what_may_be_a_key_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        ObservingSettings(sentry_dsn="abcdefgh-secret")
    assert "secret" not in str(caught.value)


def test_a_model_is_one_of_those_that_may_be_named() -> None:
    assert Settings(model="a", models=("a", "b")).model == "a"
    with pytest.raises(SettingsError, match=re.escape("Settings.model is 'c'; allowed: one of Settings.models: a, b")):
        Settings(model="c", models=("a", "b"))


def test_a_change_is_checked_like_a_beginning() -> None:
    with pytest.raises(SettingsError, match="drain_delay"):
        msgspec.structs.replace(Settings(), drain_delay=-1.0)


def test_what_means_the_same_is_kept_in_one_form() -> None:
    given: dict[str, Any] = {"models": ["a", "b", "a"], "cors_origins": {"https://a.example"}, "drain_delay": 3}
    made = Settings(llm="Offline", cache_ttl=7, **given)
    assert (made.llm, made.models, made.cors_origins) == ("offline", ("a", "b"), frozenset({"https://a.example"}))
    assert (repr(made.drain_delay), repr(made.cache_ttl)) == ("3.0", "7.0")
    assert Settings(trusted_proxies=parse_networks("10.0.0.0/8"), llm_fallback=("openai:m",)).llm_fallback == (
        "openai:m",
    )


def test_what_variables_say_is_taken_as_they_say_it() -> None:
    said = {
        "VSTACK_API_RATE_LIMIT": "100/60.5",
        "VSTACK_API_KEYS": f"alice={'a' * 24}",
        "VSTACK_API_REQUIRE_AUTH": "off",
        "VSTACK_TAPE_REDACT": "b,a",
        "VSTACK_LEARNINGS_MAX_BYTES": "none",
    }
    read = Settings.from_env(said)
    assert (read.rate_limit, read.require_auth, read.tapes.redact) == ((Window(100, 60.5),), False, ("b", "a"))
    assert read.home.learnings_max_bytes is None


@pytest.mark.parametrize("entry", [build_app, Engine, lambda given: analyze({}, pattern="aar", settings=given)])
def test_what_is_no_settings_is_refused_at_once(entry: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=re.escape("settings is a str: it must be a vstack_runtime.Settings")):
        entry("offline")
