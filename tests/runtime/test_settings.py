"""Settings: what each may be, and that no mistake is silent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vstack_proto.auth import digest
from vstack_proto.limits import Limits
from vstack_proto.quota import Window
from vstack_runtime.settings import MAX_KEYS_FILE_BYTES, KeyFile, Settings, SettingsError

A = "a" * 24
B = "b" * 24
C = "c" * 24


def settings(**env: str) -> Settings:
    return Settings.from_env(env)


def refusal_of(**env: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env)
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    write(file, f"prod={A}\n")
    return file


def write(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    """As an editor does it: a new file in the place of the old one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(text.encode() if isinstance(text, str) else text)
    fresh.chmod(mode)
    fresh.replace(path)


def test_the_defaults_are_those_of_the_service() -> None:
    default = settings(PATH="/bin", HOME="/root")
    assert (default.host, default.port, default.require_auth, len(default.keys)) == ("127.0.0.1", 8000, False, 0)
    assert (default.auth_failures, default.rate_limit) == ((Window(30, 60.0),), ())
    assert [str(network) for network in default.trusted_proxies] == ["127.0.0.1/32", "::1/128"]
    assert default.limits == Limits()
    assert (default.cache, default.cache_capacity, default.cache_ttl, default.cache_max_bytes) == (
        "off",
        1024,
        None,
        1 << 28,
    )
    assert (default.cache_scope, default.llm, default.model, default.drain_delay) == ("global", "auto", None, 5.0)
    assert (default.rate_limit_headers, default.store_failure) == ("legacy", "open")
    assert (default.log_level, default.log_format, default.warnings) == ("info", "json", ())


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("VSTACK_API_HOST", "::", "host", "::"),
        ("VSTACK_API_PORT", "0", "port", 0),
        ("VSTACK_API_PORT", " 65535 ", "port", 65_535),
        ("VSTACK_API_PORT", "", "port", 8000),
        ("VSTACK_API_REQUIRE_AUTH", "Yes", "require_auth", True),
        ("VSTACK_API_REQUIRE_AUTH", "0", "require_auth", False),
        ("VSTACK_API_AUTH_FAILURES", "off", "auth_failures", ()),
        ("VSTACK_API_RATE_LIMIT", "100/60,2000/3600", "rate_limit", (Window(100, 60.0), Window(2000, 3600.0))),
        ("VSTACK_API_RATE_LIMIT_HEADERS", "IETF", "rate_limit_headers", "ietf"),
        ("VSTACK_API_TRUSTED_PROXIES", "off", "trusted_proxies", ()),
        (
            "VSTACK_API_CORS_ORIGINS",
            "https://a.example, http://localhost:3000,",
            "cors_origins",
            {"https://a.example", "http://localhost:3000"},
        ),
        ("VSTACK_API_CORS_ORIGINS", "*", "cors_origins", {"*"}),
        ("VSTACK_CACHE", "memory", "cache", "memory"),
        ("VSTACK_CACHE_CAPACITY", "2048", "cache_capacity", 2048),
        ("VSTACK_CACHE_TTL_SECONDS", "0.5", "cache_ttl", 0.5),
        ("VSTACK_CACHE_TTL_SECONDS", "none", "cache_ttl", None),
        ("VSTACK_CACHE_MAX_BYTES", "1 gib", "cache_max_bytes", 1 << 30),
        ("VSTACK_CACHE_MAX_BYTES", "64KiB", "cache_max_bytes", 65_536),
        ("VSTACK_CACHE_SCOPE", "key", "cache_scope", "key"),
        ("VSTACK_RATE_LIMIT_STORE", "memory", "rate_limit_store", "memory"),
        ("VSTACK_RATE_LIMIT_STORE", "redis://:p@cache/1", "rate_limit_store", "redis://:p@cache/1"),
        ("VSTACK_STORE_FAILURE", "closed", "store_failure", "closed"),
        ("VSTACK_LLM", "offline", "llm", "offline"),
        ("VSTACK_LLM", "Anthropic", "llm", "anthropic"),
        ("VSTACK_MODELS", "one, two,one", "models", ("one", "two")),
        ("VSTACK_LLM_FALLBACK", "off", "llm_fallback", ()),
        ("VSTACK_LLM_FALLBACK", "openai, ollama:gemma4:12b", "llm_fallback", ("openai", "ollama:gemma4:12b")),
        ("VSTACK_LLM_MAX_CONCURRENCY", "64", "llm_max_concurrency", 64),
        ("VSTACK_MODEL", "some-model", "model", "some-model"),
        ("VSTACK_DRAIN_DELAY", "0", "drain_delay", 0.0),
        ("VSTACK_LOG_LEVEL", "WARNING", "log_level", "warning"),
        ("VSTACK_LOG_FORMAT", "console", "log_format", "console"),
    ],
)
def test_what_a_setting_may_be(name: str, text: str, field: str, value: Any) -> None:
    assert getattr(settings(**{name: text}), field) == value


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("VSTACK_API_MAX_BODY_BYTES", "2MiB", "max_body_bytes", 2 << 20),
        ("VSTACK_API_MAX_BODY_BYTES", "100000", "max_body_bytes", 100_000),
        ("VSTACK_API_MAX_TRACE_STEPS", "7", "max_trace_steps", 7),
        ("VSTACK_API_MAX_MESSAGES", "7", "max_messages", 7),
        ("VSTACK_API_MAX_STRING_CHARS", "7", "max_string_chars", 7),
        ("VSTACK_API_MAX_TOTAL_CHARS", "7", "max_total_chars", 7),
        ("VSTACK_API_REQUEST_TIMEOUT", "0.1", "request_timeout", 0.1),
        ("VSTACK_API_MAX_IN_FLIGHT", "7", "max_in_flight", 7),
    ],
)
def test_limits(name: str, text: str, field: str, value: float) -> None:
    assert settings(**{name: text}).limits == msgspec.structs.replace(Limits(), **{field: value})


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("SENTRY_DSN", "https://key@sentry.example/1", "sentry_dsn", "https://key@sentry.example/1"),
        ("SENTRY_ENVIRONMENT", "staging", "sentry_environment", "staging"),
        ("SENTRY_RELEASE", "eu-7", "sentry_release", "eu-7"),
        ("SENTRY_TRACES_SAMPLE_RATE", "0.25", "sentry_traces_sample_rate", 0.25),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1]:4318/", "otel_endpoint", "http://[::1]:4318/"),
    ],
)
def test_who_watches(name: str, text: str, field: str, value: object) -> None:
    assert getattr(settings(**{name: text}).observing, field) == value


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("VSTACK_API_HOST", "http://x/", "address of an interface"),
        ("VSTACK_API_PORT", "http", "a whole number from 0 to 65535"),
        ("VSTACK_API_PORT", "65536", "a whole number from 0 to 65535"),
        ("VSTACK_API_PORT", "80.5", "a whole number from 0 to 65535"),
        ("VSTACK_API_REQUIRE_AUTH", "y", "1, true, yes, on, 0, false, no, off"),
        ("VSTACK_API_REQUIRE_AUTH", "enabled", "1, true, yes, on, 0, false, no, off"),
        ("VSTACK_API_AUTH_FAILURES", "many", "COUNT/SECONDS"),
        ("VSTACK_API_RATE_LIMIT", "100/minute", "COUNT/SECONDS"),
        ("VSTACK_API_RATE_LIMIT", "0/60", "COUNT/SECONDS"),
        ("VSTACK_API_RATE_LIMIT_HEADERS", "both", "legacy, ietf"),
        ("VSTACK_API_TRUSTED_PROXIES", "nginx", "addresses and networks"),
        ("VSTACK_API_MAX_BODY_BYTES", "2m", "or of KiB, MiB or GiB"),
        ("VSTACK_API_MAX_BODY_BYTES", "2MB", "or of KiB, MiB or GiB"),
        ("VSTACK_API_MAX_BODY_BYTES", "0", "at least 1"),
        ("VSTACK_API_MAX_BODY_BYTES", "-1", "at least 1"),
        ("VSTACK_API_MAX_TRACE_STEPS", "0", "a whole number from 1"),
        ("VSTACK_API_MAX_MESSAGES", "1e3", "a whole number from 1"),
        ("VSTACK_API_MAX_IN_FLIGHT", "2.5", "a whole number from 1"),
        ("VSTACK_API_REQUEST_TIMEOUT", "0", "at least 0.1"),
        ("VSTACK_API_REQUEST_TIMEOUT", "inf", "at least 0.1"),
        ("VSTACK_API_CORS_ORIGINS", "a.example", "origins as browsers send them"),
        ("VSTACK_API_CORS_ORIGINS", "https://a.example/", "without a path"),
        ("VSTACK_CACHE", "lru", "off, memory"),
        ("VSTACK_CACHE_CAPACITY", "0", "a whole number from 1"),
        ("VSTACK_CACHE_TTL_SECONDS", "soon", "at least 0.1, or none"),
        ("VSTACK_CACHE_SCOPE", "tenant", "global, key"),
        ("VSTACK_RATE_LIMIT_STORE", "redis", "redis://[USER:PASSWORD@]HOST"),
        ("VSTACK_RATE_LIMIT_STORE", "off", "memory"),
        ("VSTACK_CACHE", "redis://a,b", "one host"),
        ("VSTACK_CACHE", "rediss+sentinel://a:26379", "the name of the service"),
        ("VSTACK_STORE_FAILURE", "ajar", "open, closed"),
        ("VSTACK_LLM", "gemini", "auto, anthropic, openai, ollama, offline"),
        ("VSTACK_MODELS", ", ,", "names of models, separated by commas"),
        ("VSTACK_LLM_FALLBACK", "openai,gemini", "off, or some of anthropic, openai, ollama"),
        ("VSTACK_LLM_MAX_CONCURRENCY", "0", "a whole number from 1"),
        ("VSTACK_DRAIN_DELAY", "-1", "at least 0"),
        ("SENTRY_TRACES_SAMPLE_RATE", "1.5", "a number from 0 to 1"),
        ("SENTRY_TRACES_SAMPLE_RATE", "all", "a number from 0 to 1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "a URL of HTTP"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port", "a URL of HTTP"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/?key=x", "a URL of HTTP"),
        ("VSTACK_LOG_LEVEL", "loud", "info, debug, warning, error, critical"),
        ("VSTACK_LOG_FORMAT", "xml", "json, console"),
    ],
)
def test_a_malformed_setting_stops_the_start_and_says_what_is_allowed(name: str, text: str, allowed: str) -> None:
    refusal = refusal_of(**{name: text})
    assert (refusal.name, refusal.value) == (name, text)
    assert allowed in refusal.allowed
    assert str(refusal) == f"{name} is {text!r}; allowed: {refusal.allowed}"


def test_a_refusal_shows_no_password_and_no_end_of_text() -> None:
    assert "'redis://***@cache:99999'; allowed: redis://" in str(refusal_of(VSTACK_CACHE="redis://u:p@ss@cache:99999"))
    for mistyped in ("redis:/u:p@ss@cache", "u:p@ss@cache", "http://u:p@ss@cache"):
        assert "p@ss" not in str(refusal_of(VSTACK_CACHE=mistyped))
    assert len(str(refusal_of(VSTACK_LLM="x" * 5000))) < 200


@pytest.mark.parametrize(
    ("text", "names"),
    [(f"prod={A},dev={B}", ("prod", "dev")), (f"{A},{B}", ("key-0", "key-1")), (f"{A}==", ("key-0",))],
)
def test_keys_switch_authentication_on(text: str, names: tuple[str, ...]) -> None:
    read = settings(VSTACK_API_KEYS=text)
    assert read.keys.names == names
    assert read.require_auth
    assert read.warnings == ()


@pytest.mark.parametrize("text", ["prod=tooshort", f"{A},{A}", f"{A} {B}", ",", f"x={A},x={B}"])
def test_a_refused_key_is_not_shown(text: str, tmp_path: Path) -> None:
    refusal = refusal_of(VSTACK_API_KEYS=text)
    assert str(refusal).startswith("VSTACK_API_KEYS is refused: ")
    file = tmp_path / "keys"
    write(file, text.replace(",", "\n"))
    in_file = refusal_of(VSTACK_API_KEYS_FILE=str(file))
    assert str(in_file).startswith(f"VSTACK_API_KEYS_FILE is {str(file)[:100]!r}; allowed: a file of keys (")
    for secret in ("tooshort", A, B, "prod"):
        assert secret not in str(refusal)
        assert secret not in str(in_file)


PROVIDERS_KEY = "sk-ant-api03-0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("VSTACK_LLM", PROVIDERS_KEY),
        ("VSTACK_LLM_FALLBACK", f"gpt:{PROVIDERS_KEY}"),
        ("VSTACK_MODELS", f"{PROVIDERS_KEY} {PROVIDERS_KEY}"),
        ("VSTACK_API_PORT", PROVIDERS_KEY),
        ("VSTACK_CACHE", f"redis:{PROVIDERS_KEY}"),
        ("VSTACK_LOG_LEVEL", f"Bearer {PROVIDERS_KEY}"),
    ],
)
def test_a_key_in_the_wrong_variable_is_not_shown(name: str, text: str) -> None:
    refusal = refusal_of(**{name: text})
    assert str(refusal).startswith(f"{name} is ")
    assert "[redacted]" in str(refusal)
    assert "0123456789" not in f"{refusal} {refusal.value} {refusal.allowed}"


def test_a_key_among_what_is_allowed_is_not_shown() -> None:
    refusal = refusal_of(VSTACK_MODEL="one", VSTACK_MODELS=f"two,{PROVIDERS_KEY}")
    assert str(refusal) == "VSTACK_MODEL is 'one'; allowed: one of VSTACK_MODELS: two, [redacted]"


def test_keys_of_both_places_hold(path: Path) -> None:
    read = settings(VSTACK_API_KEYS=f"dev={B}", VSTACK_API_KEYS_FILE=str(path))
    assert read.keys.names == ("dev", "prod")
    assert read.require_auth
    assert "share a key" in str(refusal_of(VSTACK_API_KEYS=f"dev={A}", VSTACK_API_KEYS_FILE=str(path)))


def test_a_keys_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    missing = refusal_of(VSTACK_API_KEYS_FILE="/no/such/file/of/keys/anywhere")
    assert "'/no/such/file/of/keys/anywhere'; allowed: the path of a file that can be read (No such file" in str(
        missing
    )
    assert "'keys.txt'" in str(refusal_of(VSTACK_API_KEYS_FILE="keys.txt"))
    # A key in the wrong variable.
    assert A not in str(refusal_of(VSTACK_API_KEYS_FILE=f"prod={A}"))
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in str(refusal_of(VSTACK_API_KEYS_FILE=str(tmp_path / "pipe")))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"# none yet\n", "it holds no key"),
        (b"", "it holds no key"),
        (b"\xff" * 30, "it is not UTF-8"),
        (b"#" * (MAX_KEYS_FILE_BYTES + 1), f"it has {MAX_KEYS_FILE_BYTES + 1} bytes"),
    ],
    ids=["comments", "empty", "binary", "large"],
)
def test_a_file_that_holds_no_keys_stops_the_start(path: Path, content: bytes, what: str) -> None:
    write(path, content)
    assert what in str(refusal_of(VSTACK_API_KEYS_FILE=str(path)))


def test_what_looks_like_a_mistake_is_a_warning(path: Path) -> None:
    write(path, f"prod={A}\n", mode=0o644)
    (line,) = settings(VSTACK_API_KEYS_FILE=str(path)).warnings
    assert line == f"the keys file {path} is readable for every user; chmod 600 mends it"
    (line,) = settings(VSTACK_API_KEYS=A, VSTACK_API_REQUIRE_AUTH="off").warnings
    assert line == "VSTACK_API_REQUIRE_AUTH is off although keys are configured: everybody is let in"
    (line,) = settings(VSTACK_API_REQUIRE_AUTH="on").warnings
    assert line == "VSTACK_API_REQUIRE_AUTH is on and no key is configured: nobody is let in"
    (line,) = settings(VSTACK_API_KEYS=f"production={A[:20]}").warnings
    assert line == "key-0 is a whole item with a '=' in it: what follows the '=' is too short for a key"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("VSTACK_API_RATELIMIT", "there is no such setting; did you mean VSTACK_API_RATE_LIMIT?"),
        ("VSTACK_API_KEY", "there is no such setting; did you mean VSTACK_API_KEYS?"),
        ("VSTACK_COLOUR", "there is no such setting"),
    ],
)
def test_an_unknown_variable_is_a_warning(name: str, line: str) -> None:
    assert settings(**{name: "x"}).warnings == (f"{name} was ignored: {line}",)


def test_what_kubernetes_says_of_a_service_is_no_setting() -> None:
    read = settings(
        VSTACK_API_PORT="tcp://10.0.0.1:8000",
        VSTACK_API_PORT_8000_TCP="tcp://10.0.0.1:8000",
        VSTACK_API_PORT_8000_TCP_ADDR="10.0.0.1",
        VSTACK_API_SERVICE_HOST="10.0.0.1",
        VSTACK_API_SERVICE_PORT_HTTP="8000",
        VSTACK_PORT="tcp://10.0.0.1:8000",
    )
    assert read.port == 8000
    (line,) = read.warnings
    assert line == "VSTACK_API_PORT was ignored: Kubernetes set it for a Service; enableServiceLinks: false mends it"


def test_settings_show_no_key(path: Path) -> None:
    read = settings(VSTACK_API_KEYS=f"dev={B}", VSTACK_API_KEYS_FILE=str(path))
    assert A not in repr(read)
    assert B not in repr(read)


def test_a_changed_file_is_read_again(path: Path) -> None:
    file = KeyFile(str(path), [("dev", B)])
    assert file.reload() is None, "nothing has changed"
    write(path, f"prod={C}\n")
    table = file.reload()
    assert table is not None
    assert [table.name_of(digest(key)) for key in (A, B, C)] == [None, "dev", "prod"]
    assert (file.table, file.error) == (table, None)
    assert file.reload() is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("prod=short\n", "a key has at least 24 characters; key 1 has 10"),
        ("", "it holds no key"),
        (f"dev={C}\n", "no two entries share a name; keys 1 and 2 do"),
    ],
)
def test_a_broken_file_keeps_the_keys_before_it(path: Path, content: str, said: str) -> None:
    file = KeyFile(str(path), [("dev", B)])
    write(path, content)
    assert file.reload() is None
    assert file.error == said
    assert file.table.name_of(digest(A)) == "prod"
    assert file.reload() is None, "the same broken file is not read twice"
    assert file.error == said
    write(path, f"prod={C}\n")
    table = file.reload()
    assert table is not None
    assert table.name_of(digest(C)) == "prod"
    assert file.error is None


def test_a_file_that_is_gone_for_a_while_keeps_its_keys(path: Path) -> None:
    file = KeyFile(str(path))
    away = path.rename(path.with_suffix(".away"))
    assert file.reload() is None
    assert file.error == "cannot be read: No such file or directory"
    assert file.table.name_of(digest(A)) == "prod"
    away.rename(path)
    assert file.reload() is not None
    assert file.error is None
