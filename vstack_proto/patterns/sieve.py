"""Regular expressions that are run only where they could match: most steps hold none of the words that a rule is about.

Looking for a dozen words in a step takes a tenth of the time that an expression without regard to case takes to pass
over it.
"""

from __future__ import annotations

import re

import msgspec


class Sieve(msgspec.Struct, frozen=True):
    """A regular expression, and what no match of it is without.

    Attributes:
        pattern: What to look for.
        needles: Every match holds one of these; in lower case, where the expression takes no regard to case.
    """

    pattern: re.Pattern[str]
    needles: tuple[str, ...]

    def search(self, text: str, folded: str) -> re.Match[str] | None:
        """As ``pattern.search``.

        Args:
            text: Where to look.
            folded: The same in lower case, or as it is, as the needles are.
        """
        for needle in self.needles:
            if needle in folded:
                return self.pattern.search(text)
        return None


def sieve(expression: str, needles: str, flags: int = 0) -> Sieve:
    """A sieve of an expression; ``needles`` are separated by ``|``."""
    return Sieve(re.compile(expression, flags), tuple(needles.split("|")))
