"""What every provider needs: its reply, what a status means, and when to come back."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from vstack_proto.values import Usage
from vstack_runtime.backends import ProviderError
from vstack_runtime.logs import get_logger

_log = get_logger()

# 409 is what Anthropic answers to a conflict that passes; 529 says that it is overloaded. The rest of 5xx is the
# service's fault as well, so it may pass.
_PASSING = frozenset({408, 409, 429})
# What says that less at once would help.
THROTTLED = frozenset({429, 529})
# A machine's word for an error, such as invalid_request_error: shown to callers. Free text may hold part of a key.
_WORD = re.compile(r"[a-z][a-z_]{0,63}")

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")
# A date has 29 characters (RFC 9110, section 5.6.7); years may have more digits than four.
_DATE_CHARS = 64
LONGEST_WAIT = 31_536_000.0
"""Seconds, a year: longer than any deadline, and a number that every client can read."""

# How services say that a prompt is beyond the model's window: OpenAI and those who speak as it does, llama.cpp's server
# by a word of its own; Anthropic and Ollama in their messages alone.
_BEYOND_WORDS = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_BEYOND = re.compile(
    r"(?i)prompt (?:is )?too long|maximum context length|max context length|exceed context limit"
    r"|exceeds the (?:available )?context|longer than the context length"
)

MAX_OUTPUT_TOKENS = 16_000
"""Of one answer. Models count their thinking in, which a limit cut to the answer alone (some 2,000) would starve."""


class Reply(msgspec.Struct, frozen=True):
    """What a model answered.

    Attributes:
        text: Its answer.
        usage: What it used, tries that failed included.
        model: The model that answered, where it is another than the one that was asked; else empty.
    """

    text: str
    usage: Usage = Usage()
    model: str = ""


def unsaid(reply: Reply, key: str | None) -> Reply:
    """The reply without our key: a service that says it back, in what should be a model's words, tells it to nobody."""
    if not key or key not in reply.text:
        return reply
    return msgspec.structs.replace(reply, text=reply.text.replace(key, "[redacted]"))


def again(complaint: str) -> str:
    """What a model is told whose answer did not fit."""
    return f"That answer does not fit: {complaint}. Give it again."


def add(one: Usage, other: Usage) -> Usage:
    """The sum of two usages."""
    return Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cache_read_tokens + other.cache_read_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
        one.cost_usd + other.cost_usd,
    )


def tokens(value: Any) -> int:
    """A count of tokens, as far as what a service says is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def retry_after(headers: Mapping[str, str], wall: Callable[[], float] = time.time) -> float | None:
    """Seconds that a service asks to wait: a number or a date (RFC 9110, section 10.2.3), or milliseconds.

    What is beyond ``LONGEST_WAIT`` counts as that.

    Args:
        headers: Names in lower case.
        wall: Wall clock, seconds since 1970.
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if _NUMBER.fullmatch(text):
            # More digits than a float holds are infinitely many seconds.
            return min(float(text) / scale, LONGEST_WAIT)
    until = _date(headers.get("retry-after", ""))
    return None if until is None else min(max(0.0, until - wall()), LONGEST_WAIT)


def _date(text: str) -> float | None:
    """Seconds since 1970; None for what is no date."""
    try:
        moment = email.utils.parsedate_tz(text[:_DATE_CHARS])
        if moment is None:
            return None
        # The calendar of the standard library ends with the year 9999.
        return math.inf if moment[0] > 9999 else float(email.utils.mktime_tz(moment))
    except (ValueError, OverflowError):
        return None


def beyond_window(body: object) -> bool:
    """Whether an answer with status 400 says that the prompt does not fit the model's context window.

    Args:
        body: The decoded answer; None where it could not be decoded.
    """
    error = error_of(body)
    return any(error.get(name) in _BEYOND_WORDS for name in ("code", "type")) or bool(_BEYOND.search(error["message"]))


def error_of(body: object) -> dict[str, str]:
    """What an error says, by the names of OpenAI's API: those of ``type``, ``code``, ``param`` and ``message`` it has.

    Args:
        body: The decoded answer: an object whose ``error`` is an object or a text, or which is the error itself. Google
            puts it into a list.

    Returns:
        Texts; ``message`` is always there, and empty where there is none.
    """
    first = body[0] if isinstance(body, list) and body else body
    error = first.get("error", first) if isinstance(first, dict) else None
    told = error if isinstance(error, dict) else {"message": error}
    named = ((name, told.get(name)) for name in ("type", "code", "param", "message"))
    return {"message": "", **{name: text for name, text in named if isinstance(text, str)}}


def too_long(model: str, status: int | None = None, usage: Usage = Usage()) -> ProviderError:  # noqa: B008 - frozen
    """The error that stands for a prompt beyond a model's window."""
    mends = "a shorter trace or a model with a larger one mends it"
    told = f"the trace does not fit {model[:100]}'s context window; {mends}"
    return ProviderError("truncated", told, usage=usage, status=status)


def failed(
    provider: str, key_variable: str, model: str, status: int, headers: Mapping[str, str], body: object
) -> ProviderError:
    """The error that an answer with an error status stands for.

    Args:
        provider: Its name.
        key_variable: The variable that holds its key.
        model: The model that was asked.
        status: 300 to 599.
        headers: Names in lower case.
        body: The decoded answer, if it could be decoded.
    """
    word = _word(body)
    _log.warning(
        "a model call failed",
        provider=provider,
        model=model,
        status=status,
        error=word,
        upstream_id=headers.get("request-id") or headers.get("x-request-id") or "",
    )
    if status == 400 and beyond_window(body):
        return too_long(model, status)
    said = f"{status} {word}".strip()
    if status in _PASSING or status >= 500:
        told = f"{provider} answered {said}"
        return ProviderError("unavailable", told, retry_after(headers), status=status)
    hints = {
        401: f"; {key_variable} holds a key that it does not take",
        402: "; its account has no credit left",
        403: f"; the key in {key_variable} may not do this",
        404: f"; it knows no model {model[:100]!r}, or the base URL is wrong",
        413: "; the trace is too large for it",
    }
    return ProviderError("rejected", f"{provider} answered {said}{hints.get(status, '')}", status=status)


def _word(body: object) -> str:
    error = error_of(body)
    return next((error[name] for name in ("type", "code") if _WORD.fullmatch(error.get(name, ""))), "")


def json_of(body: bytes) -> Any:
    """What an answer holds; None where it is no JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def decoded(provider: str, body: bytes) -> dict[str, Any]:
    """The JSON object of an answer.

    Raises:
        ProviderError: It is none; something between us and the service may have sent it, so it may pass.
    """
    value = json_of(body)
    if not isinstance(value, dict):
        raise ProviderError("unavailable", f"{provider} sent an answer that is no JSON object")
    return value
