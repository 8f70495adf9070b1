"""Small values that events and commands carry."""

from __future__ import annotations

import msgspec


class CacheEntry(msgspec.Struct, frozen=True, gc=False):
    """An encoded detection as the cache keeps it, and when it was stored (wall clock, seconds)."""

    detection: bytes
    stored_at: float


class Alias(msgspec.Struct, frozen=True, gc=False):
    """What a request's bytes were found to mean: the key of its detection, and what the answer around it says.

    Attributes:
        agent, crew: Whom the trace is about.
        baseline: Name of the detection to compare with.
    """

    key: str
    mode: str
    model: str
    warnings: tuple[str, ...] = ()
    agent: str = ""
    crew: str = ""
    baseline: str = ""


class Failure(msgspec.Struct, frozen=True, gc=False):
    """An analysis that came to nothing, as the answer tells it."""

    status: int
    code: str
    message: str
    retry_after: float | None = None


class Landing(msgspec.Struct, frozen=True, gc=False):
    """How a shared analysis ended: with a detection, or a failure."""

    entry: CacheEntry | None = None
    failure: Failure | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens and money of one model call; ``input_tokens`` counts those read from the provider's cache too."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float = 0.0


class ModelRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One question to a model.

    Attributes:
        model: The model's name.
        system: The same for every analysis by a pattern.
        shared: The trace, the same for every pass of an analysis, so that providers can cache it.
        instruction: What this pass asks.
        name: The pass.
        schema: JSON Schema that the answer must fit, encoded.
        schemas: Those of all passes of the analysis, in order: the same in each, so that a provider can bind them all
            by one. A service that puts the schema before the prompt finds the prompt in its cache only so.
        previous, complaint: On a repair: the answer that did not fit, and why.
    """

    model: str
    system: str
    shared: str
    instruction: str
    name: str
    schema: bytes
    previous: str | None = None
    complaint: str | None = None
    schemas: tuple[bytes, ...] = ()
