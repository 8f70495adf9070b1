"""Logs: a JSON line for each event, on stderr, from structlog and the standard library alike.

A request's line takes a short cut past structlog, since there is one for every request.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Literal

import msgspec
import structlog
from structlog.types import EventDict, Processor

from vstack_proto.commands import Record
from vstack_runtime.redaction import REDACTED, without_secrets
from vstack_runtime.terminal import escaped, escaped_lines

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
FORMATS = ("json", "console")
# What probes and scrapers ask every few seconds.
PROBES = frozenset({"/livez", "/healthz", "/readyz", "/metrics"})
# Long enough for every route with a long name in it; paths come from callers and may have 8 KiB.
MAX_PATH_CHARS = 200
# Below warning these tell of URLs, headers and whole bodies: hpack the authorization field, anthropic the prompt.
TALKATIVE = ("anthropic", "hpack", "httpcore", "httpcore2", "httpx", "httpx2")
# These tell of each connection that fails; that Redis or who watches is away is told once a minute by who asked it.
REPETITIVE = ("coredis", "opentelemetry", "urllib3")

_SECRET_NAME = re.compile(
    r"(?:^|[^a-z])(?:authorization|cookie|credential|(?:api)?key|password|passwd|secret|token|dsn)(s?)$", re.IGNORECASE
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# A structure deeper than this (or one that holds itself) is shown as text.
_MAX_DEPTH = 6
# What has lines of its own: where a program stood, and what it died of.
_LINES = frozenset({"exception", "stack"})

# Above every level: nothing is logged before ``configure``, so that who embeds the service decides.
_SILENT = logging.CRITICAL + 1

_request_id: ContextVar[str] = ContextVar("vstack_request_id", default="")
_encode = msgspec.json.Encoder().encode

Level = Literal["debug", "info", "warning", "error"]


class _RequestLine(msgspec.Struct, omit_defaults=True, gc=False, kw_only=True):
    """What is logged of a request; an empty field is left out."""

    timestamp: dt.datetime
    level: Level
    # A default that is made is never left out.
    event: str = msgspec.field(default_factory=lambda: "request")
    request_id: str
    method: str
    status: int
    duration_ms: float
    path: str = ""
    route: str = ""
    outcome: str = ""
    code: str = ""
    pattern: str = ""
    mode: str = ""
    model: str = ""
    cache: str = ""
    caller: str = ""
    trace_id: str = ""
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    # An int: msgspec knows a default by its identity, and there are many zeros of type float.
    cost_usd: float = 0


class _Output:
    """Where lines go, which ones, and in which form."""

    def __init__(
        self, fd: int = 2, threshold: int = _SILENT, console: Callable[[Any, str, EventDict], str] | None = None
    ) -> None:
        self.fd = fd
        self.threshold = threshold
        self.console = console

    def write(self, line: bytes) -> None:
        """Write one line. A log that cannot be written (full disk, no reader) must not take the service down."""
        with contextlib.suppress(OSError):
            # Past any buffer, so that a crash loses nothing and the lines of several workers do not mix.
            written = os.write(self.fd, line)
            while written < len(line):
                line = line[written:]
                written = os.write(self.fd, line)

    def render(self, event: Mapping[str, Any]) -> bytes:
        """One line, with its end, of fields that ``redact`` has seen."""
        if self.console is not None:
            shown = {escaped(name): _on_terminal(name, value) for name, value in event.items()}
            shown["timestamp"] = f"{event['timestamp']:%H:%M:%S}"
            return f"{self.console(None, '', shown)}\n".encode(errors="backslashreplace")
        return _encode(event) + b"\n"


def _on_terminal(name: str, value: Any) -> Any:
    """A field as the console shows it. What is inside of others it shows as Python does, which escapes by itself."""
    if not isinstance(value, str):
        return value
    return escaped_lines(value) if name in _LINES else escaped(value)


_output = _Output()


class _Log:
    """The service's logger, silent until somebody has said where lines go: structlog by itself prints them."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("vstack")

    def __getattr__(self, level: str) -> Any:
        return getattr(self._log, level) if structlog.is_configured() else _nothing


def _nothing(*_: object, **__: object) -> None:
    """Where nobody listens."""


def get_logger() -> Any:
    """What the service's own modules log to; ``configure``, or a host's structlog of its own, says where that goes."""
    return _Log()


_told: set[str] = set()


def warn_once(warnings: Iterable[str]) -> None:
    """Log what has not been told before in this process; where no logging is configured, nothing counts as told."""
    if structlog.is_configured():
        for warning in warnings:
            if warning not in _told:
                _told.add(warning)
                get_logger().warning(warning)


def configure(level: str, fmt: str, fd: int = 2) -> None:
    """Send every log of this process to stderr, in one form.

    Args:
        level: The least level that is logged, a name of ``LEVELS``.
        fmt: ``json``, or ``console`` for people.
        fd: Another file descriptor than that of stderr.

    Raises:
        ValueError: There is no such level or form.
    """
    global _output
    if level not in LEVELS:
        raise ValueError(f"the log level is {level!r}; it is one of {', '.join(LEVELS)}")
    if fmt not in FORMATS:
        raise ValueError(f"the log format is {fmt!r}; it is one of {', '.join(FORMATS)}")
    threshold = LEVELS[level]
    console = structlog.dev.ConsoleRenderer(colors=os.isatty(fd)) if fmt == "console" else None
    _output = output = _Output(fd, threshold, console)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _add_logger_name,
            *_CHAIN,
            lambda *line: output.render(line[2]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *name: _Logger(output.write, *name),
        # Loggers of modules are made before this runs, and must not stay as they were.
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Handler(output)]
    root.setLevel(threshold)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    for name in REPETITIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(True)


def bind_request_id(request_id: str) -> Token[str]:
    """Let every line of this task carry a request id; an empty one is left out. The token undoes it."""
    return _request_id.set(request_id)


def log_request(command: Record, duration: float, wall: float | None = None) -> None:
    """Log a finished exchange.

    A probe is a debug line, a failure of ours (500) an error, of those behind us or our capacity (other 5xx) a warning.

    Args:
        command: What is known of it.
        duration: Seconds from its head to its answer.
        wall: When it was answered, seconds since 1970; by default now.
    """
    log_requests([(command, duration, time.time() if wall is None else wall)])


def log_requests(records: Iterable[tuple[Record, float, float]]) -> None:
    """Log finished exchanges in one write: each as ``log_request`` has it."""
    output = _output
    lines = [_request_line(output, *record) for record in records]
    if told := b"".join(lines):
        output.write(told)


def _request_line(output: _Output, command: Record, duration: float, wall: float) -> bytes:
    """The line of a finished exchange, with its line break; nothing where the level leaves it out."""
    status = command.status
    level: Level
    if command.route in PROBES:
        level, number = "debug", logging.DEBUG
    elif status < 500:
        level, number = "info", logging.INFO
    elif status == 500:
        level, number = "error", logging.ERROR
    else:
        level, number = "warning", logging.WARNING
    if number < output.threshold:
        return b""
    line = _line_of(command, level, duration, dt.datetime.fromtimestamp(wall, dt.UTC))
    if output.console is None:
        with contextlib.suppress(UnicodeEncodeError):
            return _encode(line) + b"\n"
    fields = msgspec.structs.asdict(line).items()
    known = {name: value for name, value in fields if value not in ("", 0) or name == "duration_ms"}
    return output.render(redact(None, "", known))


def _line_of(command: Record, level: Level, duration: float, when: dt.datetime) -> _RequestLine:
    return _RequestLine(
        timestamp=when,
        level=level,
        request_id=command.request_id,
        method=command.method,
        status=command.status,
        duration_ms=round(duration * 1000.0, 3),
        path=command.path.partition("?")[0][:MAX_PATH_CHARS],
        route=command.route,
        outcome=command.outcome,
        code=command.code,
        # An exchange that is no analysis has neither; "other" is what metrics need.
        pattern=command.pattern if command.outcome else "",
        mode=command.mode if command.outcome else "",
        model=command.model,
        cache=command.cache,
        caller=command.caller,
        trace_id=command.trace_id,
        calls=command.calls,
        input_tokens=command.input_tokens,
        output_tokens=command.output_tokens,
        cost_usd=command.cost_usd or 0,
    )


class _Logger:
    """What structlog hands its rendered lines to."""

    def __init__(self, write: Callable[[bytes], None], name: str = "") -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = self.exception = self.msg = write


class _Handler(logging.Handler):
    """Takes the lines of the standard library's loggers (servers, clients, warnings) the same way."""

    def __init__(self, output: _Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: EventDict = {"event": _message(record), "level": record.levelname.lower(), "logger": record.name}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            for processor in _CHAIN:
                event = processor(None, "", event)  # type: ignore[assignment]
            self._output.write(self._output.render(event))
        except Exception:
            self.handleError(record)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # its arguments do not fit: a fault of who logs, which must not hide what was to be said
        return f"{record.msg} {_text(record.args)}"


def _add_logger_name(logger: _Logger, method: str, event: EventDict) -> EventDict:
    if logger.name:
        event["logger"] = logger.name
    return event


def _add_context(logger: Any, method: str, event: EventDict) -> EventDict:
    """The fields that come first, and the request's id."""
    now = dt.datetime.now(dt.UTC)
    first: EventDict = {"timestamp": now, "level": event.get("level", "info"), "event": event.get("event", "")}
    request_id = _request_id.get()
    if request_id:
        first["request_id"] = request_id
    return {**first, **event, "timestamp": now}


def redact(logger: Any, method: str, event: EventDict) -> EventDict:
    """Hide what must not be logged: values by their names, at any depth, and credentials inside of texts.

    What is left holds nothing that JSON does not have.
    """
    return {name: _hidden(name, value, 0) for name, value in event.items()}


def _hidden(name: Any, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    secret = _SECRET_NAME.search(_CAMEL.sub("_", name)) if isinstance(name, str) else None
    # A number of keys or tokens is a count.
    if secret and not (secret[1] and isinstance(value, int | float)):
        return REDACTED
    if isinstance(value, int | float | dt.datetime):
        return value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return _shown(value)
    if depth >= _MAX_DEPTH:
        return _shown(_text(value))
    if isinstance(value, Mapping):
        return {
            _shown(key if isinstance(key, str) else _text(key)): _hidden(key, item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(None, item, depth + 1) for item in value]
    return _shown(_text(value))


def _shown(text: str) -> str:
    # A message of another library, or a traceback, may hold a secret that has no name.
    text = without_secrets(text)
    # A lone surrogate, as in a file name that is not UTF-8, has no bytes of its own.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _text(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__} that cannot be shown>"


_CHAIN: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    _add_context,
    structlog.processors.format_exc_info,
    redact,
)
