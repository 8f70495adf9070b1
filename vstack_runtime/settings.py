"""Settings: read once, checked as a whole, and never silently ignored."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from vstack_proto.address import Network, parse_networks
from vstack_proto.auth import MIN_KEY_CHARS, KeyTable, parse_key_lines, parse_keys
from vstack_proto.hosts import parse_hosts
from vstack_proto.limits import Limits
from vstack_proto.quota import Window, parse_windows
from vstack_runtime import setting_values as values
from vstack_runtime.home_settings import HomeSettings, read_home
from vstack_runtime.model_settings import parse_fallbacks, parse_llm, parse_models
from vstack_runtime.observing_settings import ObservingSettings, read_observing
from vstack_runtime.redaction import without_secrets
from vstack_runtime.store_settings import parse_cache, parse_limit_store
from vstack_runtime.tape_settings import TapeSettings, read_tapes

V = TypeVar("V")

# Some 10,000 keys; a larger file was named by mistake.
MAX_KEYS_FILE_BYTES = 1_048_576
MAX_SHOWN_CHARS = 100

# Of a URL all between its scheme and its host; of what is no URL all before an '@'.
_PASSWORD = re.compile(r"(?:(?<=://)|^(?!\w[\w+.-]*://))\S*@")
_BARE_NAME = re.compile(r"(?:file-)?key-[0-9]+")
# Kubernetes describes every Service to every pod (`enableServiceLinks`); one called vstack or vstack-api is likely.
_SERVICE_LINK = re.compile(r"VSTACK_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_[0-9]+_(?:TCP|UDP|SCTP)\w*)")
_LINKED_PORT = re.compile(r"(?:tcp|udp|sctp)://\S+:[0-9]+")


class SettingsError(ValueError):
    """A setting that stops the start.

    Args:
        name: The variable.
        value: Its value, or None where it holds keys and is not shown. What looks like a key that was put there by
            mistake is not shown either.
        allowed: What it may be, or what is wrong where the value is not shown.
    """

    def __init__(self, name: str, value: str | None, allowed: str) -> None:
        self.name = name
        self.value = None if value is None else without_secrets(_PASSWORD.sub("***@", value))[:MAX_SHOWN_CHARS]
        self.allowed = allowed
        super().__init__(
            f"{name} is refused: {allowed}" if value is None else f"{name} is {self.value!r}; allowed: {allowed}"
        )


class KeyFile:
    """A file of keys, one ``name=key`` a line, and the table that it makes with the keys from elsewhere.

    Attributes:
        path: Of the file.
        table: The keys in force.
        error: Why the file as it is now could not be used, or None. The keys before it then stay in force.
        world_readable: Whether every user of the machine may read the keys.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no key, or what is none. The text shows no key.
    """

    def __init__(self, path: str, others: Sequence[tuple[str, str]] = ()) -> None:
        self.path = path
        self.error: str | None = None
        self.world_readable = False
        self.pairs: tuple[tuple[str, str], ...] = ()
        self._others = tuple(others)
        self._seen = self._look()
        self.table = self._load()

    def reload(self) -> KeyTable | None:
        """Read the file again if it has changed.

        Returns:
            The new table, or None where there is none: nothing has changed, or ``error`` says what is wrong.
        """
        try:
            seen = self._look()
            if seen == self._seen:
                return None
            self._seen = seen
            self.table = self._load()
        except OSError as fault:
            self._seen = ()
            self.error = f"cannot be read: {fault.strerror}"
            return None
        except ValueError as fault:
            self.error = str(fault)
            return None
        self.error = None
        return self.table

    def _look(self) -> tuple[int, ...]:
        found = os.stat(self.path)
        self.world_readable = bool(found.st_mode & stat.S_IROTH)
        return found.st_mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _load(self) -> KeyTable:
        mode, _, _, size, _ = self._seen
        # A pipe would be empty the second time, and may keep its reader waiting for good.
        if not stat.S_ISREG(mode):
            raise ValueError("it is not a regular file")
        if size > MAX_KEYS_FILE_BYTES:
            raise ValueError(f"it has {size} bytes; the limit is {MAX_KEYS_FILE_BYTES}")
        try:
            text = Path(self.path).read_bytes().decode()
        except UnicodeDecodeError:
            raise ValueError("it is not UTF-8") from None
        pairs = tuple(parse_key_lines(text))
        if not pairs:
            raise ValueError("it holds no key")
        table = KeyTable.of([*self._others, *pairs])
        self.pairs = pairs
        return table


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator has decided. Each field is the variable of the same name; times are seconds, sizes bytes.

    Attributes:
        keys: Those that hold at the start; ``key_file`` tells of newer ones.
        limits: All ``VSTACK_API_MAX_*``, and the request timeout.
        warnings: What is allowed but looks like a mistake, a line each.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    keys: KeyTable = msgspec.field(default_factory=lambda: KeyTable.of(()))
    key_file: KeyFile | None = None
    require_auth: bool = False
    auth_failures: tuple[Window, ...] = (Window(30, 60.0),)
    rate_limit: tuple[Window, ...] = ()
    rate_limit_headers: str = "legacy"
    rate_limit_store: str = "memory"
    store_failure: str = "open"
    mcp_allowed_hosts: frozenset[str] | None = None
    trusted_proxies: tuple[Network, ...] = parse_networks("127.0.0.1/32,::1/128")
    limits: Limits = Limits()
    cors_origins: frozenset[str] = frozenset()
    cache: str = "off"
    cache_capacity: int = 1_024
    cache_ttl: float | None = None
    cache_max_bytes: int = 268_435_456
    cache_scope: str = "global"
    llm: str = "auto"
    model: str | None = None
    models: tuple[str, ...] = ()
    llm_fallback: tuple[str, ...] = ()
    llm_max_concurrency: int = 512
    drain_delay: float = 5.0
    observing: ObservingSettings = ObservingSettings()
    log_level: str = "info"
    log_format: str = "json"
    tapes: TapeSettings = TapeSettings()
    home: HomeSettings = HomeSettings()
    warnings: tuple[str, ...] = ()

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

    def choice(self, name: str, *choices: str) -> str:
        """One of some words in any case; the first where none is set."""
        text = self.get(name)
        if text is None:
            return choices[0]
        if text.lower() not in choices:
            raise SettingsError(name, text, ", ".join(choices))
        return text.lower()

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
    if model is not None and allowed and model not in allowed:
        raise SettingsError("VSTACK_MODEL", model, f"one of VSTACK_MODELS: {without_secrets(', '.join(allowed))}")
    return model
