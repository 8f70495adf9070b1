"""What parts of somebody's own have answered, looked at before it reaches the core, which trusts what it is told.

Each function gives back what is as its protocol says, and raises TypeError for all else: to whoever asked, that is a
failure of the part like any other.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from vstack_proto.quota import Decision
from vstack_proto.values import Alias, CacheEntry, Usage

MAX_SHOWN_CHARS = 200
_NUMBERS = {float, int}
_DECISION = (bool, int, int, float, float, float)


def decision(found: Any) -> Decision:
    """What a limiter has decided."""
    if type(found) is not Decision:
        raise TypeError(f"a limiter must answer a Decision, not {_shown(found)}")
    admitted, limit, remaining, retry_after, reset, window = msgspec.structs.astuple(found)
    types = type(admitted), type(limit), type(remaining), type(retry_after), type(reset), type(window)
    # Most are of the first kind; an int for a float is as good.
    fits = types == _DECISION or (types[:3] == _DECISION[:3] and _NUMBERS.issuperset(types[3:]))
    if fits and 0 <= retry_after < math.inf and 0 <= reset < math.inf and 0 <= window < math.inf:
        return found
    raise TypeError(f"a limiter's Decision must have its types, not {found!r}"[:MAX_SHOWN_CHARS])


def entry(found: Any) -> CacheEntry | None:
    """What a cache holds under a key."""
    if found is None:
        return None
    if type(found) is CacheEntry and type(found.detection) is bytes and type(found.stored_at) in _NUMBERS:
        return found
    raise TypeError(f"a cache must answer a CacheEntry with its types or None, not {_shown(found)}")


def finding(found: Any) -> tuple[Alias, CacheEntry] | None:
    """What a local cache holds under an alias."""
    if found is None:
        return None
    if type(found) is tuple and len(found) == 2 and type(found[0]) is Alias:
        kept = entry(found[1])
        if kept is not None:
            return found[0], kept
    raise TypeError(f"a cache must answer an Alias and a CacheEntry or None, not {_shown(found)}")


def reply(found: Any) -> tuple[str, Usage, str]:
    """The text, the usage and the model of what a provider answered; no model where it names none."""
    text, usage, model = found.text, found.usage, getattr(found, "model", "")
    if not (isinstance(text, str) and isinstance(usage, Usage) and isinstance(model, str)):
        raise TypeError(f"a provider must answer a text and a Usage, not {_shown(text)} and {_shown(usage)}")
    return text, msgspec.convert(msgspec.structs.asdict(usage), Usage), model


def _shown(value: object) -> str:
    """Of what type something is; what is in it may be a secret."""
    return f"a {type(value).__name__}"
