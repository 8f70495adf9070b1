"""What a call costs, by the list in ``prices.json``."""

from __future__ import annotations

import functools
import importlib.resources
import re
from typing import Any

import msgspec

from vstack_proto.values import Usage
from vstack_runtime.logs import get_logger

_log = get_logger()

# Callers may name models; so many without a price are told of, each once.
_MAX_TOLD = 64
_told: set[str] = set()

# A dated snapshot costs what the model costs: claude-haiku-4-5-20251001, gpt-6.1-sol-2026-09-29.
_DATE = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2})$")


class LongPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds in the place of the usual rates where a prompt has more than ``over`` tokens."""

    over: int
    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars a million tokens; cached ones cost as others do where no rate is given.

    Attributes:
        input: Tokens of the prompt that no cache had part in.
        output: Tokens of the answer.
        cache_read: Tokens found in the provider's cache.
        cache_write: Tokens put there.
        long_prompt: Other rates for long prompts.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    long_prompt: LongPrompt | None = None


@functools.cache
def prices() -> dict[str, Price]:
    """The list, by model."""
    text = importlib.resources.files(__package__ or "").joinpath("prices.json").read_bytes()
    listed: dict[str, Any] = msgspec.json.decode(text)
    del listed["_"]
    return msgspec.convert(listed, dict[str, Price])


def price_of(model: str) -> Price | None:
    """The price of a model, or of the model that it is a dated snapshot of."""
    return prices().get(model) or prices().get(_DATE.sub("", model))


def cost_usd(model: str, usage: Usage) -> float:
    """What the tokens of a call cost; 0 for a model that is not in the list.

    Args:
        model: The model that answered.
        usage: Its tokens; ``input_tokens`` counts those read from the cache and written to it too.
    """
    price = price_of(model)
    if price is None:
        return 0.0
    rates: Price | LongPrompt = price
    if price.long_prompt is not None and usage.input_tokens > price.long_prompt.over:
        rates = price.long_prompt
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    fresh = max(0, usage.input_tokens - read - written)
    dollars = (
        fresh * rates.input
        + usage.output_tokens * rates.output
        + read * (rates.input if rates.cache_read is None else rates.cache_read)
        + written * (rates.input if rates.cache_write is None else rates.cache_write)
    )
    return dollars / 1e6


def priced(model: str, usage: Usage) -> Usage:
    """A usage with its cost; that a model has no price is logged once."""
    if price_of(model) is None and model not in _told and len(_told) < _MAX_TOLD:
        _told.add(model)
        _log.warning("no price is known for a model: its cost counts as 0", model=model[:100])
    return msgspec.structs.replace(usage, cost_usd=cost_usd(model, usage))
