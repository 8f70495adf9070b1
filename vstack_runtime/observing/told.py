"""What observers are told, and what they are."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from vstack_proto.commands import Record
from vstack_proto.values import Usage
from vstack_runtime.logs import get_logger

_log = get_logger()

LOG_SECONDS = 60.0

Records = Sequence[tuple[Record, float, float]]
"""Finished exchanges, each with its duration in seconds and the wall clock at its end, seconds since 1970."""


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """A model call that has ended.

    Attributes:
        provider, model: Who was asked.
        outcome: One of ``vstack_runtime.metrics.MODEL_OUTCOMES``.
        seconds: Its duration.
        ended: Wall clock at its end, seconds since 1970.
        usage: Its tokens and price.
        request_id, started, trace_id, parent_span: Of the exchange that it belongs to, as in ``Record``.
        span_id: Its own, 16 hex digits, or empty where it has none.
    """

    provider: str
    model: str
    outcome: str
    seconds: float
    ended: float
    usage: Usage
    request_id: str
    started: float
    trace_id: str
    parent_span: str
    span_id: str


class Observer(Protocol):
    """One who watches. None of this may wait: what it sends goes out from a thread of its own."""

    def crashed(self, error: BaseException, told: str, tags: Mapping[str, str]) -> None:
        """A bug has shown: the exception, what the log says of it, and what is known of the request."""
        ...

    def requests(self, records: Records) -> None:
        """Exchanges have ended."""
        ...

    def traceparent(self, call: ModelCall) -> str:
        """What a model service is told of the trace that a call is part of; empty for nothing."""
        ...

    def model_called(self, call: ModelCall) -> None:
        """A model call has ended."""
        ...

    def close(self, seconds: float) -> None:
        """Send what is not sent yet, for so long at most. Waits, so that it is called from a thread."""
        ...


class Unsent:
    """What could not be sent: a line in the log, at most once a minute."""

    def __init__(self, setting: str) -> None:
        """
        Args:
            setting: Names where it was to be sent.
        """
        self._setting = setting
        self._logged = float("-inf")
        self._failures = 0

    def more(self) -> None:
        """Once more."""
        self._failures += 1
        now = time.monotonic()
        if now >= self._logged + LOG_SECONDS:
            _log.warning("a receiver cannot be reached, or takes nothing", setting=self._setting, lost=self._failures)
            self._logged, self._failures = now, 0
