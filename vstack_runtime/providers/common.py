"""What every provider needs: its reply, what a status means, and when to come back."""

from __future__ import annotations

import email.utils
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

    Args:
        headers: Names in lower case.
        wall: Wall clock, seconds since 1970.
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
            return float(text) / scale
    moment = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if moment is None else max(0.0, email.utils.mktime_tz(moment) - wall())


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
    error = body.get("error") if isinstance(body, dict) else None
    for name in ("type", "code"):
        word = error.get(name) if isinstance(error, dict) else None
        if isinstance(word, str) and _WORD.fullmatch(word):
            return word
    return ""


def decoded(provider: str, body: bytes) -> dict[str, Any]:
    """The JSON object of an answer.

    Raises:
        ProviderError: It is none; something between us and the service may have sent it, so it may pass.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ProviderError("unavailable", f"{provider} sent an answer that is no JSON object")
    return value
