"""What a model call has used before it has an answer: counted where the call is cancelled, which has none."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vstack_proto.values import Usage
from vstack_runtime.providers.common import add


class Spending:
    """What one model call has used so far.

    Attributes:
        usage: The sum of what was said by ``spent`` while it lasts.
    """

    def __init__(self, told: Callable[[Usage], object]) -> None:
        """
        Args:
            told: Told the new sum, each time there is one.
        """
        self.usage = Usage()
        self._told = told

    def more(self, usage: Usage) -> None:
        """Count what a try has used; one that used nothing is no news."""
        if usage != Usage():
            self.usage = add(self.usage, usage)
            self._told(self.usage)


# By task, and not handed over: whatever stands around a provider of somebody's own passes it on unknowingly.
_current: contextvars.ContextVar[Spending | None] = contextvars.ContextVar("vstack_spending", default=None)


@contextmanager
def counting(told: Callable[[Usage], object]) -> Iterator[Spending]:
    """Hear what is spent meanwhile in this task; ``told`` as for ``Spending``."""
    before, spending = _current.get(), Spending(told)
    _current.set(spending)
    try:
        yield spending
    finally:
        _current.set(before)


def spent(usage: Usage) -> None:
    """Say what was used by a try after which the call goes on, so that it is counted if the call is cancelled.

    For a provider that tries more than once. The usage of its answer, or of its error, is still that of all tries: what
    was said here counts only where there is neither.
    """
    spending = _current.get()
    if spending is not None:
        spending.more(usage)
