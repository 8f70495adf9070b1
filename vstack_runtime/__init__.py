"""Everything that vstack does outside itself: sockets, clocks, stores, model providers, metrics, commands."""

from __future__ import annotations

from typing import Any

__all__ = ["AnalysisError", "analyze", "analyze_async", "build_app"]

_HOMES = {
    "AnalysisError": "vstack_runtime.library",
    "analyze": "vstack_runtime.library",
    "analyze_async": "vstack_runtime.library",
    "build_app": "vstack_runtime.asgi",
}


def __getattr__(name: str) -> Any:
    # Who wants one of these should not pay for the others at import.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
