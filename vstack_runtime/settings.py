"""Settings: read once, checked as a whole, and never silently ignored."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar, cast

import msgspec

from vstack_proto.address import Network, parse_networks
from vstack_proto.auth import MIN_KEY_CHARS, KeyTable, parse_keys
from vstack_proto.hosts import parse_hosts
from vstack_proto.limits import Limits
from vstack_proto.quota import Window, check_windows, parse_windows
from vstack_runtime import setting_values as values
from vstack_runtime.home_settings import HomeSettings, read_home
from vstack_runtime.key_file import MAX_KEYS_FILE_BYTES, KeyFile
from vstack_runtime.model_settings import parse_fallbacks, parse_llm, parse_models
from vstack_runtime.observing_settings import ObservingSettings, read_observing
from vstack_runtime.redaction import without_secrets
from vstack_runtime.setting_checks import SettingsError, check_fields
from vstack_runtime.store_settings import parse_cache, parse_limit_store
from vstack_runtime.tape_settings import TapeSettings, read_tapes

__all__ = ["MAX_KEYS_FILE_BYTES", "KeyFile", "Settings", "SettingsError", "given_or_read"]

V = TypeVar("V")
W = TypeVar("W", bound=str)


_BARE_NAME = re.compile(r"(?:file-)?key-[0-9]+")
# Kubernetes describes every Service to every pod (`enableServiceLinks`); one called vstack or vstack-api is likely.
_SERVICE_LINK = re.compile(r"VSTACK_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_[0-9]+_(?:TCP|UDP|SCTP)\w*)")
_LINKED_PORT = re.compile(r"(?:tcp|udp|sctp)://\S+:[0-9]+")


LogLevel = Literal["info", "debug", "warning", "error", "critical"]
LogFormat = Literal["json", "console"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator has decided: from variables by ``from_env``, or in a program, by naming fields.

    Each field is the variable of the same name, with its default and its bounds; times are seconds, sizes bytes.

    Attributes:
        host, port: Where to listen; port 0 takes a free one.
        keys: Those that hold at the start, ``KeyTable.of([("name", "key")])``; ``key_file`` tells of newer ones.
        key_file: The file that ``VSTACK_API_KEYS_FILE`` names. Who gives one gives its ``table`` as ``keys`` too.
        require_auth: Whether ``/v1`` wants a key. Where none is said, as with None: whether there are ``keys``.
        auth_failures: How often an address may try wrong keys.
        rate_limit: The quota of a caller, such as ``(Window(100, 60.0),)``; all windows hold. None where it is empty.
        rate_limit_headers: Which header fields tell of it.
        rate_limit_store: ``memory``, or the URL of a Redis.
        store_failure: What quota does while its store is away.
        mcp_allowed_hosts: The names by which MCP may be called, ``*`` for any; None for what ``host`` suggests.
        trusted_proxies: From whom ``X-Forwarded-For`` counts.
        limits: All ``VSTACK_API_MAX_*``, and the request timeout.
        cors_origins: Web pages that may call, as ``scheme://host[:port]``; ``*`` for all.
        cache: ``off``, ``memory``, or the URL of a Redis.
        cache_capacity, cache_max_bytes, cache_ttl: Entries, their bytes, and how long each lasts; None for ever.
        cache_scope: Whether callers share answers, or each key has its own.
        llm: ``auto``, a provider, ``offline``, or ``tape:DIR`` and ``tape+record:DIR``.
        model: Asked where a request names none; None for the provider's own default.
        models: Those that a request may name; empty for any.
        llm_fallback: Providers to turn to, in order, each as ``name`` or ``name:model``.
        llm_max_concurrency: Model calls at once.
        drain_delay: Between ``/readyz`` saying 503 and the end of listening.
        observing: Where crashes and spans go.
        log_level, log_format: For programs of vstack's own; one that embeds it calls ``vstack_runtime.logs.configure``.
        tapes: Which exchanges are taped.
        home: Where learnings, telemetry and baselines are kept; by default nowhere; ``from_env`` has ``~/.vstack``.
        warnings: What is allowed but looks like a mistake, a line each.

    Raises:
        SettingsError: A field is of another type, or has a value that its variable could not have.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    keys: KeyTable = msgspec.field(default_factory=lambda: KeyTable.of(()))
    key_file: KeyFile | None = None
    # None until it is resolved, as it is made: whoever reads it finds a bool.
    require_auth: bool = cast("bool", None)
    auth_failures: tuple[Window, ...] = (Window(30, 60.0),)
    rate_limit: tuple[Window, ...] = ()
    rate_limit_headers: Literal["legacy", "ietf"] = "legacy"
    rate_limit_store: str = "memory"
    store_failure: Literal["open", "closed"] = "open"
    mcp_allowed_hosts: frozenset[str] | None = None
    trusted_proxies: tuple[Network, ...] = parse_networks("127.0.0.1/32,::1/128")
    limits: Limits = Limits()
    cors_origins: frozenset[str] = frozenset()
    cache: str = "off"
    cache_capacity: int = 1_024
    cache_ttl: float | None = None
    cache_max_bytes: int = 268_435_456
    cache_scope: Literal["global", "key"] = "global"
    llm: str = "auto"
    model: str | None = None
    models: tuple[str, ...] = ()
    llm_fallback: tuple[str, ...] = ()
    llm_max_concurrency: int = 512
    drain_delay: float = 5.0
    observing: ObservingSettings = ObservingSettings()
    log_level: LogLevel = "info"
    log_format: LogFormat = "json"
    tapes: TapeSettings = TapeSettings()
    home: HomeSettings = HomeSettings()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, _RULES, ruled=("trusted_proxies",))
        check_fields(self.limits, _LIMIT_RULES)
        _check_model(self.model, self.models, "Settings.model", "Settings.models")
        if cast("bool | None", self.require_auth) is None:
            msgspec.structs.force_setattr(self, "require_auth", len(self.keys) > 0)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings. An empty variable counts as one that is not set.

        Args:
            env: Such as ``os.environ``.

        Raises:
            SettingsError: A variable is malformed, or names what this version does not have.
        """
        read = _Reader(env)
        keys, key_file = _read_keys(read)
        default = cls()
        models = read.parsed("VSTACK_MODELS", parse_models, default.models)
        return cls(
            keys=keys,
            key_file=key_file,
            require_auth=_read_require_auth(read, keys),
            host=read.parsed("VSTACK_API_HOST", values.host, default.host),
            port=_read_port(read, default.port),
            auth_failures=read.parsed("VSTACK_API_AUTH_FAILURES", parse_windows, default.auth_failures),
            rate_limit=read.parsed("VSTACK_API_RATE_LIMIT", parse_windows, default.rate_limit),
            rate_limit_headers=read.choice("VSTACK_API_RATE_LIMIT_HEADERS", "legacy", "ietf"),
            rate_limit_store=read.parsed("VSTACK_RATE_LIMIT_STORE", parse_limit_store, default.rate_limit_store),
            store_failure=read.choice("VSTACK_STORE_FAILURE", "open", "closed"),
            mcp_allowed_hosts=read.parsed("VSTACK_MCP_ALLOWED_HOSTS", parse_hosts, None),
            trusted_proxies=read.parsed("VSTACK_API_TRUSTED_PROXIES", parse_networks, default.trusted_proxies),
            limits=_read_limits(read, default.limits),
            cors_origins=read.parsed("VSTACK_API_CORS_ORIGINS", values.origins, default.cors_origins),
            cache=read.parsed("VSTACK_CACHE", parse_cache, default.cache),
            cache_capacity=read.parsed("VSTACK_CACHE_CAPACITY", values.count, default.cache_capacity),
            cache_ttl=read.parsed("VSTACK_CACHE_TTL_SECONDS", values.ttl, default.cache_ttl),
            cache_max_bytes=read.parsed("VSTACK_CACHE_MAX_BYTES", values.size, default.cache_max_bytes),
            cache_scope=read.choice("VSTACK_CACHE_SCOPE", "global", "key"),
            llm=read.parsed("VSTACK_LLM", parse_llm, default.llm),
            model=_read_model(read, models),
            models=models,
            llm_fallback=read.parsed("VSTACK_LLM_FALLBACK", parse_fallbacks, default.llm_fallback),
            llm_max_concurrency=read.parsed("VSTACK_LLM_MAX_CONCURRENCY", values.count, default.llm_max_concurrency),
            drain_delay=read.parsed("VSTACK_DRAIN_DELAY", values.delay, default.drain_delay),
            observing=read_observing(read),
            log_level=read.choice("VSTACK_LOG_LEVEL", "info", "debug", "warning", "error", "critical"),
            log_format=read.choice("VSTACK_LOG_FORMAT", "json", "console"),
            tapes=read_tapes(read),
            home=read_home(read),
            # Last, when it is known which variables are read at all.
            warnings=read.finish(),
        )


def given_or_read(settings: Settings | None) -> Settings:
    """The settings that a program gives, or else what the process's environment says.

    Raises:
        SettingsError: The environment holds a setting that cannot be.
        TypeError: What was given is something else.
    """
    if settings is None:
        return Settings.from_env(os.environ)
    if not isinstance(settings, Settings):
        raise TypeError(f"settings is a {type(settings).__name__}: it must be a vstack_runtime.Settings")
    return settings


def _listed(parse: Callable[[str], V]) -> Callable[[Iterable[str]], V]:
    """The rule for several texts, by the parser of a variable that has them in one, separated by commas."""
    return lambda items: parse(",".join(items))


# What a variable may not be, a field may not be either: the parsers of the former are the rules of the latter. There is
# none for the names of hosts: over stdio there is no host, and the name given there is one that no peer can send.
_RULES: dict[str, Callable[[Any], Any]] = {
    "host": values.host,
    "port": values.port,
    "auth_failures": check_windows,
    "rate_limit": check_windows,
    "rate_limit_store": parse_limit_store,
    "trusted_proxies": values.networks,
    "cors_origins": _listed(values.origins),
    "cache": parse_cache,
    "cache_capacity": values.count,
    "cache_ttl": values.ttl,
    "cache_max_bytes": values.size,
    "llm": parse_llm,
    "models": lambda models: _listed(parse_models)(models) if models else models,
    "llm_fallback": lambda services: _listed(parse_fallbacks)(services) if services else services,
    "llm_max_concurrency": values.count,
    "drain_delay": values.delay,
}
_LIMIT_RULES: dict[str, Callable[[Any], Any]] = {
    "max_body_bytes": values.size,
    "max_trace_steps": values.count,
    "max_messages": values.count,
    "max_string_chars": values.count,
    "max_total_chars": values.count,
    "request_timeout": values.seconds,
    "max_in_flight": values.count,
}


class _Reader:
    """Reads variables, and remembers which: what is left over at the end is unknown."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._known: set[str] = set()
        self.warnings: list[str] = []

    def get(self, name: str) -> str | None:
        self._known.add(name)
        return self._env.get(name, "").strip() or None

    def parsed(self, name: str, parse: Callable[[str], V], default: V, *, shown: bool = True) -> V:
        text = self.get(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as fault:
            raise SettingsError(name, text if shown else None, str(fault)) from None

    def choice(self, name: str, *choices: W) -> W:
        """One of some words in any case; the first where none is set."""
        text = self.get(name)
        if text is None:
            return choices[0]
        for choice in choices:
            if choice == text.lower():
                return choice
        raise SettingsError(name, text, ", ".join(choices))

    def finish(self) -> tuple[str, ...]:
        """All warnings, with those about variables that nobody has read."""
        for name in sorted(self._env):
            if not name.startswith("VSTACK_") or name in self._known or _SERVICE_LINK.fullmatch(name):
                continue
            close = difflib.get_close_matches(name, sorted(self._known), 1, 0.8)
            hint = f"; did you mean {close[0]}?" if close else ""
            self.warnings.append(f"{name} was ignored: there is no such setting{hint}")
        return tuple(self.warnings)


def _read_keys(read: _Reader) -> tuple[KeyTable, KeyFile | None]:
    pairs: list[tuple[str, str]] = []
    text, path = read.get("VSTACK_API_KEYS"), read.get("VSTACK_API_KEYS_FILE")
    if text is not None:
        try:
            pairs = parse_keys(text)
        except ValueError as fault:
            raise SettingsError("VSTACK_API_KEYS", None, str(fault)) from None
        if not pairs:
            raise SettingsError("VSTACK_API_KEYS", None, "it holds no key")
    file = None
    if path is not None:
        try:
            file = KeyFile(path, pairs)
        except OSError as fault:
            allowed = f"the path of a file that can be read ({fault.strerror})"
            raise SettingsError("VSTACK_API_KEYS_FILE", _shown_path(path), allowed) from None
        except ValueError as fault:
            raise SettingsError("VSTACK_API_KEYS_FILE", path, f"a file of keys ({fault})") from None
        if file.world_readable:
            read.warnings.append(f"the keys file {path} is readable for every user; chmod 600 mends it")
    for name, key in [*pairs, *(file.pairs if file else ())]:
        if _BARE_NAME.fullmatch(name) and "=" in key.rstrip("="):
            read.warnings.append(
                f"{name} is a whole item with a '=' in it: what follows the '=' is too short for a key"
            )
    return (file.table if file else KeyTable.of(pairs)), file


def _shown_path(path: str) -> str | None:
    # Where no such file is, this may be a key that was meant for the variable beside it.
    return path if len(path) < MIN_KEY_CHARS or path.startswith(("/", ".", "~")) else None


def _read_require_auth(read: _Reader, keys: KeyTable) -> bool:
    name = "VSTACK_API_REQUIRE_AUTH"
    required = read.parsed(name, values.flag, len(keys) > 0)
    if keys and not required:
        read.warnings.append(f"{name} is off although keys are configured: everybody is let in")
    if required and not keys:
        read.warnings.append(f"{name} is on and no key is configured: nobody is let in")
    return required


def _read_port(read: _Reader, default: int) -> int:
    name = "VSTACK_API_PORT"
    if _LINKED_PORT.fullmatch(read.get(name) or ""):
        read.warnings.append(f"{name} was ignored: Kubernetes set it for a Service; enableServiceLinks: false mends it")
        return default
    return read.parsed(name, values.port, default)


def _read_limits(read: _Reader, default: Limits) -> Limits:
    return Limits(
        max_body_bytes=read.parsed("VSTACK_API_MAX_BODY_BYTES", values.size, default.max_body_bytes),
        max_trace_steps=read.parsed("VSTACK_API_MAX_TRACE_STEPS", values.count, default.max_trace_steps),
        max_messages=read.parsed("VSTACK_API_MAX_MESSAGES", values.count, default.max_messages),
        max_string_chars=read.parsed("VSTACK_API_MAX_STRING_CHARS", values.count, default.max_string_chars),
        max_total_chars=read.parsed("VSTACK_API_MAX_TOTAL_CHARS", values.count, default.max_total_chars),
        request_timeout=read.parsed("VSTACK_API_REQUEST_TIMEOUT", values.seconds, default.request_timeout),
        max_in_flight=read.parsed("VSTACK_API_MAX_IN_FLIGHT", values.count, default.max_in_flight),
    )


def _read_model(read: _Reader, allowed: tuple[str, ...]) -> str | None:
    model = read.get("VSTACK_MODEL")
    _check_model(model, allowed, "VSTACK_MODEL", "VSTACK_MODELS")
    return model


def _check_model(model: str | None, allowed: tuple[str, ...], name: str, names: str) -> None:
    if model is not None and allowed and model not in allowed:
        raise SettingsError(name, model, f"one of {names}: {without_secrets(', '.join(allowed))}")
