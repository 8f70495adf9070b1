"""Everything that vstack does outside itself: sockets, clocks, stores, model providers, metrics, commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vstack_runtime.asgi import build_app
    from vstack_runtime.embedding import serve
    from vstack_runtime.library import AnalysisError, analyze, analyze_async
    from vstack_runtime.settings import Settings, SettingsError
    from vstack_runtime.taping import TapeRecorder

__all__ = [
    "AnalysisError",
    "Settings",
    "SettingsError",
    "TapeRecorder",
    "analyze",
    "analyze_async",
    "build_app",
    "serve",
]

_HOMES = {
    "AnalysisError": "vstack_runtime.library",
    "Settings": "vstack_runtime.settings",
    "SettingsError": "vstack_runtime.settings",
    "TapeRecorder": "vstack_runtime.taping",
    "analyze": "vstack_runtime.library",
    "analyze_async": "vstack_runtime.library",
    "build_app": "vstack_runtime.asgi",
    "serve": "vstack_runtime.embedding",
}


def __getattr__(name: str) -> Any:
    # Who wants one of these should not pay for the others at import.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
