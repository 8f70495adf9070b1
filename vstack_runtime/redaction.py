"""What must not be shown, wherever a text of somebody else is: in logs, and in what a refused setting is."""

from __future__ import annotations

import re

REDACTED = "[redacted]"

# What has no name that would give it away: credentials of HTTP, keys of the services that speak as Anthropic and OpenAI
# do, keys in the query of a URL, and the password before its host.
_SECRET = re.compile(
    r"(?i)\b(?:bearer +|basic +|c?sk-|gsk_|xai-|nvapi-|pplx-|AIza)[\w.~+/=-]{8,}"
    r"|[?&][\w-]*(?:key|token|secret)=[^&\s]{8,}"
    r"|(?<=://)[^/\s@]*:[^/\s@]*@"
)


def without_secrets(text: str) -> str:
    """The text with what looks like a secret replaced by ``REDACTED``."""
    return _SECRET.sub(REDACTED, text)
