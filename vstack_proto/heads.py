"""The head of a request, and what a connection learns from the one before it.

A client that keeps its connection sends nearly the same head again: another Content-Length, another request id. What
was found sound then need not be taken apart anew; only the lines that changed are, and only where they cannot change
the meaning of the rest. Whatever else differs, the whole head is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from vstack_proto.framing import Head, Headers

# These decide how the rest is read, or on whose behalf: a head that changes one of them is a new one.
_SHAPING = frozenset({"host", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer"})
_LENGTH = re.compile(r"[0-9]{1,19}", re.ASCII)


class WireHead(msgspec.Struct, frozen=True, gc=False):
    """The head of a request, as sent, and what it means."""

    method: str
    target: str
    headers: Headers
    http_version: str
    head: Head


class KnownHead:
    """A head that was found sound, line by line."""

    __slots__ = ("_lines", "head", "raw")

    def __init__(self, raw: bytes, head: WireHead) -> None:
        """
        Args:
            raw: Its bytes, with the empty line.
            head: What they mean.
        """
        self.raw = raw
        self.head = head
        self._lines = _lines(raw)

    def next(self, raw: bytes) -> WireHead | None:
        """What the next head means, if it differs from this one only in the values of fields that shape nothing.

        Args:
            raw: A head whose every line ends with CRLF and holds no control character but a tab. With the same name
                before the colon as a line that was found sound, such a line is sound as well (RFC 9110, section 5.5).

        Returns:
            Its meaning; None where it must be parsed.
        """
        lines, known = _lines(raw), self._lines
        if len(lines) != len(known) or lines[0] != known[0]:
            return None
        old = self.head
        headers, changes = list(old.headers), []
        for index, (line, before) in enumerate(zip(lines, known, strict=True)):
            if line == before:
                continue
            name, colon, value = line.partition(":")
            if not colon or not before.startswith(f"{name}:"):
                return None
            lower, was = headers[index - 1]
            value = value.strip(" \t")
            changes.append((lower, was, value))
            headers[index - 1] = lower, value
        head = varied(old.head, changes)
        return None if head is None else WireHead(old.method, old.target, tuple(headers), old.http_version, head)


def varied(head: Head, changes: Iterable[tuple[str, str, str]]) -> Head | None:
    """A head in which some fields have other values.

    Args:
        head: One that was found sound.
        changes: Name in lower case, the value in ``head``, the new value without white space around it.

    Returns:
        Its meaning; None where a change might alter that of the rest.
    """
    fields, length = dict(head.fields), head.content_length
    for name, was, value in changes:
        # A field that stands twice has its values joined: which part is whose is not to be told from here.
        if name in _SHAPING or fields[name] != was:
            return None
        if name == "content-length":
            # Whether a 100 is wanted depends on there being content.
            if not _LENGTH.fullmatch(value) or "expect" in fields:
                return None
            length = int(value)
        fields[name] = value
    return msgspec.structs.replace(head, content_length=length, fields=fields)


def _lines(raw: bytes) -> list[str]:
    """The request line and the header lines, without their CRLFs."""
    return raw[:-4].decode("latin-1").split("\r\n")
