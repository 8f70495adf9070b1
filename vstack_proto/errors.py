"""The two kinds of error: the peer's, which becomes an answer, and our driver's, which is a bug."""

from __future__ import annotations

from typing import Any


class RemoteProtocolError(Exception):
    """The peer did something that the service does not allow; it becomes an answer.

    Args:
        status: The HTTP status of the answer, 400 to 599.
        code: The error code of the service's contract, such as ``invalid_json``.
        message: What was wrong, the limit and the actual value, and what mends it. Shown to the peer.
        extra: Further members of the error body (``errors``, ``limit`` ...), JSON values only.

    Attributes:
        head: Method, target and fields of the request, where its head could be read and is what was refused.
    """

    def __init__(self, status: int, code: str, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra
        self.head: tuple[str, str, tuple[tuple[str, str], ...]] | None = None


class LocalProtocolError(Exception):
    """Our own driver fed an event that cannot come now. The state is left untouched."""


class TraceNotReadable(Exception):
    """A pattern cannot read a canonical trace.

    Args:
        missing: What the pattern needs and the trace does not hold, as a sentence for the caller.
    """

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing
