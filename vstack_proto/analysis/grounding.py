"""Is a quotation really there? Evidence that a model made up must not reach a reader."""

from __future__ import annotations

import re

# A quotation shorter than this proves nothing: nearly any step holds it.
MIN_QUOTE_CHARS = 3


def find_quote(quote: str, text: str) -> str | None:
    """Find ``quote`` in ``text``; white space may differ, nothing else.

    Returns:
        The words as they stand in ``text``, or None.
    """
    quote = quote.strip()
    if len(quote) < MIN_QUOTE_CHARS:
        return quote if quote and text.strip() == quote else None
    if quote in text:
        return quote
    words = quote.split()
    # Only a quotation with white space can differ in it, and only where all its words are there is a search worthwhile.
    if len(words) < 2 or any(word not in text for word in words):
        return None
    found = re.search(r"\s+".join(map(re.escape, words)), text)
    return found.group() if found else None
