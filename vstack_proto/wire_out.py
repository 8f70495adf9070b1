"""Responses to bytes: HTTP/1.1. Requests are read in ``wire``."""

from __future__ import annotations

import re

from vstack_proto.errors import LocalProtocolError
from vstack_proto.framing import Headers

CONTINUE = b"HTTP/1.1 100 \r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_OUT = re.compile(r"HTTP/1\.1 [1-5][0-9]{2} \r\n(?:[!#$%&'*+.^_`|~0-9a-z-]++: [^\r\n\x00]*+\r\n)*+\r\n")


def encode_head(status: int, headers: Headers) -> bytes:
    """The head of a response, with an empty reason phrase, as h11 writes it.

    Args:
        status: 100 to 599.
        headers: Names in lower case.

    Raises:
        LocalProtocolError: A name is no lower-case token, a value has CR, LF or NUL or is not latin-1, or the status
            is out of range.
    """
    text = f"HTTP/1.1 {status} \r\n" + "".join([f"{name}: {value}\r\n" for name, value in headers]) + "\r\n"
    # A value with CRLF and a colon still fits the pattern: the number of lines gives it away.
    if _OUT.fullmatch(text) is None or text.count("\n") != len(headers) + 2:
        raise LocalProtocolError(f"no head for an answer {status}: {headers!r}")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError(f"not latin-1: {headers!r}") from None


def encode_chunk(data: bytes) -> bytes:
    """One chunk; nothing for no data, since an empty chunk would end the body (``LAST_CHUNK`` does)."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
