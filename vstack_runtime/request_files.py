"""A file that holds a trace, or a whole request for its analysis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.trace import CanonicalTrace
from vstack_proto.validation import OUTER_FIELDS, decode_envelope

_WORDS = sorted(OUTER_FIELDS - {"trace"})
_READ_AS = {
    "canonical": "as the common trace; --native reads the pattern's own",
    "native": "as the pattern's own trace; --canonical reads the common one",
}


class RequestFile(msgspec.Struct, frozen=True):
    """What a file asks for.

    Attributes:
        asked: ``trace`` and ``format``, and what the file says of ``mode``, ``model`` and ``baseline``.
        warnings: What it says in vain, a line each.
    """

    asked: dict[str, Any]
    warnings: tuple[str, ...]

    def read_as(self, faults: Iterable[Mapping[str, Any]]) -> list[str]:
        """How a trace that could not be read was read, and which flag changes that; nothing where it was not the trace.

        Args:
            faults: Those that the service names; none where the pattern has no use for the trace.
        """
        beside = {f"/{name}" for name in _WORDS}
        if self.asked["format"] not in _READ_AS or any(fault["pointer"] in beside for fault in faults):
            return []
        return [f"read {_READ_AS[self.asked['format']]}"]


def request_in(data: bytes) -> RequestFile:
    """What a file asks for.

    Args:
        data: JSON: a trace, or what ``POST /v1/analyze`` takes.

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
    trace = document["trace"] if isinstance(document.get("trace"), dict) else document
    asked = {name: document[name] for name in _WORDS if document.get(name) is not None}
    guess = "canonical" if _looks_canonical(trace) else "native"
    return RequestFile({"format": guess, **asked, "trace": trace}, _in_vain(data))


def _in_vain(data: bytes) -> tuple[str, ...]:
    try:
        return decode_envelope(data).warnings
    except RemoteProtocolError:
        # The analysis says the same, as a refusal.
        return ()


def _looks_canonical(trace: Mapping[str, Any]) -> bool:
    """Whether steps name their agents, which no pattern's own trace has its steps do.

    One that forgets to is still of a canonical trace. Where there is no step, the names of the other fields tell.
    """
    steps = trace.get("steps")
    if not isinstance(steps, list):
        return False
    if steps:
        return any(isinstance(step, dict) and "agent" in step for step in steps)
    return trace.keys() - OUTER_FIELDS <= set(CanonicalTrace.__struct_fields__)
