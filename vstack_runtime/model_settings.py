"""The parts of the settings that name models and providers."""

from __future__ import annotations

import re

PROVIDERS = ("anthropic", "openai", "ollama")


def parse_models(text: str) -> tuple[str, ...]:
    """The models that requests may name, in the operator's order.

    Raises:
        ValueError: With what is allowed.
    """
    models = tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
    if not models or any(len(model.split()) != 1 for model in models):
        raise ValueError("names of models, separated by commas")
    return models


def parse_fallbacks(text: str) -> tuple[str, ...]:
    """Providers to turn to in order, each as its name or ``name:model``; none for ``off``.

    Raises:
        ValueError: With what is allowed.
    """
    if text.lower() == "off":
        return ()
    items = tuple(item.strip() for item in text.split(",") if item.strip())
    if not items or any(item.partition(":")[0] not in PROVIDERS for item in items):
        raise ValueError(f"off, or some of {', '.join(PROVIDERS)} separated by commas, each with :MODEL if need be")
    return items


_KEY = re.compile(r"[!-~]+")


def parse_key(text: str) -> str:
    """A provider's key: what can stand in a header (RFC 9110, section 5.5), and has no blank.

    Raises:
        ValueError: With what is wrong; the key is not shown.
    """
    if _KEY.fullmatch(text) is None:
        raise ValueError("it holds a blank, a line break or a character outside ASCII, which no key has")
    return text


TAPE, RECORDING_TAPE = "tape", "tape+record"


def parse_llm(text: str) -> str:
    """What answers model calls: a word in any case, or ``tape:`` and a folder.

    Raises:
        ValueError: With what is allowed.
    """
    words = ("auto", *PROVIDERS, "offline")
    kind, colon, folder = text.partition(":")
    if colon and folder and kind.lower() in (TAPE, RECORDING_TAPE):
        return f"{kind.lower()}:{folder}"
    if text.lower() not in words:
        raise ValueError(f"{', '.join(words)}, {TAPE}:DIR, {RECORDING_TAPE}:DIR")
    return text.lower()
