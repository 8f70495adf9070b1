"""Who watches the service from outside: Sentry hears of crashes, OpenTelemetry of requests. Off by default."""

from __future__ import annotations

from vstack_runtime.observing.observers import Observers, bind, crashed_anywhere
from vstack_runtime.observing.told import ModelCall, Observer

__all__ = ["ModelCall", "Observer", "Observers", "bind", "crashed_anywhere"]
