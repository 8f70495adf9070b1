"""The observers of one engine, opened by the settings and told together."""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import threading
import traceback
import weakref
from collections.abc import Iterator
from contextvars import ContextVar

import anyio
import msgspec

from vstack_proto.state import State
from vstack_proto.values import Usage
from vstack_runtime.logs import bind_request_id, get_logger
from vstack_runtime.observing.told import ModelCall, Observer, Records
from vstack_runtime.observing_settings import ObservingSettings
from vstack_runtime.stopping import FLUSH_SECONDS
from vstack_runtime.tracing_headers import traceparent

_log = get_logger()

# Loggers of the observers' own libraries: a report that cannot be sent must not be reported.
_OWN = ("sentry_sdk", "opentelemetry", "urllib3", "vstack")

# Exceptions that are told of, from the last one back.
_MAX_CAUSES = 8

# The exchange that the present task works for.
_exchange: ContextVar[State | None] = ContextVar("vstack_exchange", default=None)
# Every engine's that is open: what belongs to no engine is told to all of them.
_opened: weakref.WeakSet[Observers] = weakref.WeakSet()


def bind(state: State) -> None:
    """Let what this task does, and logs, count to an exchange."""
    bind_request_id(state.request_id)
    _exchange.set(state)


def crashed_anywhere(told: str, **fields: str) -> None:
    """Log the exception that is being handled, of what belongs to no engine, and report it."""
    _log.exception(told, **fields)
    error = sys.exc_info()[1]
    if error is not None:
        for observers in list(_opened):
            observers.report(error, told, fields)


def places(error: BaseException) -> str:
    """An exception as a traceback has it, without its text and its causes' texts, which may quote a trace or a key."""
    told: list[str] = []
    one: BaseException | None = error
    while one is not None and len(told) < _MAX_CAUSES:
        kinds = [type(one), *map(type, getattr(one, "exceptions", ()))]
        names = ", ".join(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
        told.append("".join(traceback.format_tb(one.__traceback__)) + names.replace("builtins.", ""))
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "Traceback (most recent call last):\n" + "\nwhich led to:\n".join(reversed(told))


class Observers:
    """Tells each observer; one that fails harms nobody.

    Attributes:
        on: Whether there is any.
    """

    def __init__(self, settings: ObservingSettings, version: str) -> None:
        """
        Args:
            settings: Say who watches.
            version: Of the service.
        """
        self._settings = settings
        self._version = version
        self._all: list[Observer] = []
        self._was_opened = False
        self.on = False

    def open(self) -> None:
        """Begin, if the settings ask for it; a second time does nothing.

        The libraries are loaded here, and nowhere else: without the settings they cost nothing.
        """
        if self._was_opened:
            return
        self._was_opened = True
        settings = self._settings
        if settings.sentry_dsn is not None:
            with _extra("sentry", "SENTRY_DSN"):
                from vstack_runtime.observing.sentry import Reports

                self.add(Reports(settings, self._version))
        if settings.otel_endpoint is not None:
            with _extra("otel", "OTEL_EXPORTER_OTLP_ENDPOINT"):
                from vstack_runtime.observing.spans import Spans

                self.add(Spans(settings.otel_endpoint, self._version))

    def add(self, observer: Observer) -> None:
        """One more who watches."""
        self._all.append(observer)
        self.on = True
        _opened.add(self)

    def crashed(self, told: str, state: State | None = None, **fields: str) -> None:
        """Log the exception that is being handled, and report it.

        Args:
            told: What the log line says.
            state: Of the exchange that it happened in; by default that of the present task.
            fields: More that is known.
        """
        state = state or _exchange.get()
        if state is not None and state.request_id:
            bind_request_id(state.request_id)
        error = sys.exc_info()[1]
        if state is not None and error is not None:
            _log.error(told, exception=places(error), **fields)
        else:
            _log.exception(told, **fields)
        if self.on and error is not None:
            self.report(error, told, {**_tags(state), **fields})

    def report(self, error: BaseException, told: str, tags: dict[str, str]) -> None:
        """Report what is logged already."""
        for one in self._all:
            with _unharmed():
                one.crashed(error, told, tags)

    def requests(self, records: Records) -> None:
        """Exchanges have ended."""
        for one in self._all:
            with _unharmed():
                one.requests(records)

    def begin_call(self, provider: str, model: str) -> ModelCall | None:
        """A model is about to be asked, for the exchange of the present task: what ``end_call`` wants to know."""
        if not self.on:
            return None
        state = _exchange.get() or State()
        call = ModelCall(
            provider=provider,
            model=model,
            outcome="",
            seconds=0.0,
            ended=0.0,
            usage=Usage(),
            request_id=state.request_id,
            started=state.started,
            trace_id=state.trace_id,
            parent_span=state.parent_span,
            span_id=f"{random.getrandbits(64) or 1:016x}",
        )
        for one in self._all:
            with _unharmed():
                if header := one.traceparent(call):
                    traceparent.set(header)
        return call

    def end_call(self, call: ModelCall | None, outcome: str, seconds: float, ended: float, usage: Usage) -> None:
        """A model call has ended, as the metrics are told."""
        if call is None:
            return
        done = msgspec.structs.replace(call, outcome=outcome, seconds=seconds, ended=ended, usage=usage)
        for one in self._all:
            with _unharmed():
                one.model_called(done)

    @contextlib.contextmanager
    def hearing(self) -> Iterator[None]:
        """Report what other libraries log with an exception: for a process that is the service and nothing else."""
        handler = _Hearing(self)
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)

    async def aclose(self) -> None:
        """Send what is not sent yet, for two seconds at most."""
        closing = [threading.Thread(target=_close, args=(one,), daemon=True) for one in self._all]
        self._all, self.on = [], False
        _opened.discard(self)
        for thread in closing:
            thread.start()
        async with anyio.create_task_group() as tasks:
            for thread in closing:
                # A thread that still waits for a receiver is left behind; it keeps no process from ending.
                tasks.start_soon(anyio.to_thread.run_sync, thread.join, FLUSH_SECONDS)


class _Hearing(logging.Handler):
    """Hears what is logged through the standard library."""

    def __init__(self, observers: Observers) -> None:
        super().__init__(logging.ERROR)
        self._observers = observers

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and record.name.partition(".")[0] not in _OWN:
            # The text may hold anything, the name of the logger does not.
            self._observers.report(error, f"logged by {record.name}", _tags(_exchange.get()))


def _tags(state: State | None) -> dict[str, str]:
    if state is None:
        return {}
    told = {
        "request_id": state.request_id,
        "trace_id": state.trace_id,
        "method": state.method,
        "route": state.route,
        "surface": state.surface,
        "mode": state.mode,
        "pattern": state.pattern,
    }
    return {name: value for name, value in told.items() if value}


@contextlib.contextmanager
def _extra(name: str, setting: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        mend = f"pip install 'vstack[{name}]'"
        _log.warning("an extra is not installed: nothing is sent", setting=setting, missing=error.name, mend=mend)


@contextlib.contextmanager
def _unharmed() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _log.warning("an observer failed", error=type(error).__name__)


def _close(observer: Observer) -> None:
    with _unharmed():
        observer.close(FLUSH_SECONDS * 0.9)
