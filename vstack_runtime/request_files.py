"""A file that holds a trace, or a whole request for its analysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def request_in(data: bytes) -> dict[str, Any]:
    """The trace, and what the file says besides of mode, model and format.

    Args:
        data: JSON: a trace, or what ``POST /v1/analyze`` takes.

    Returns:
        The request; its format is told by the steps where the file does not tell it.

    Raises:
        ValueError: It is no JSON, or no object; the text follows the name of the file.
    """
    try:
        document = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("is nested too deep") from None
    if not isinstance(document, dict):
        raise ValueError("holds no JSON object; a trace is one")
    if not isinstance(document.get("trace"), dict):
        document = {"trace": document}
    asked = {name: document[name] for name in ("mode", "model", "format") if document.get(name) is not None}
    trace = document["trace"]
    return {"format": "canonical" if _looks_canonical(trace) else "native", **asked, "trace": trace}


def _looks_canonical(trace: Mapping[str, Any]) -> bool:
    """Whether each step names its agent, which no pattern's own trace has its steps do."""
    steps = trace.get("steps")
    return isinstance(steps, list) and bool(steps) and all(isinstance(step, dict) and "agent" in step for step in steps)
