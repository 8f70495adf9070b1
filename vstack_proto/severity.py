"""How bad a detection is, wherever its pattern says so.

Nearly every detection has a ``severity`` of its own, which is the verdict. Those of ``lewin`` and ``goleman_ei`` grade
their parts alone (loci, domains): there the worst part counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import msgspec

from vstack_proto.patterns.common import Detection, Severity

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The scale, the mildest first."""


def severity_of(found: Mapping[str, Any]) -> Severity | None:
    """How bad a detection is.

    Args:
        found: The detection as decoded JSON.

    Returns:
        Its ``severity``; where it has none of its own, the worst among those of its parts. None where it tells none.
    """
    if "severity" in found:
        return _graded(found)
    lists = [value for value in found.values() if isinstance(value, list)]
    graded = [_graded(item) for items in lists for item in items if isinstance(item, Mapping)]
    return max((one for one in graded if one is not None), key=SEVERITIES.index, default=None)


def _graded(item: Mapping[str, Any]) -> Severity | None:
    told = item.get("severity")
    return next((one for one in SEVERITIES if one == told), None)


def tells_severity(kind: type[Detection]) -> bool:
    """Whether the detections of a pattern say how bad it is, themselves or by their parts."""
    hints = get_type_hints(kind)
    parts = [part for hint in hints.values() for part in get_args(hint) if _is_struct(part)]
    return "severity" in hints or any("severity" in part.__struct_fields__ for part in parts)


def _is_struct(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, msgspec.Struct)
