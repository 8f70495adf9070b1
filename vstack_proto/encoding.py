"""Content codings of a request's body, decoded as it arrives and counted while it is decoded."""

from __future__ import annotations

import zlib
from typing import Protocol

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.limits import MAX_BODY_BYTES, too_large

try:
    from compression import zstd  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    from backports import zstd

SUPPORTED = ("gzip", "zstd")

# 16 + 15: a gzip header and trailer around deflate, whose window is at most 2 ** 15 bytes.
GZIP_WBITS = 31
# RFC 9659: a window of more than 8 MiB must not be used over HTTP, and so need not be decoded.
ZSTD_WINDOW_LOG_MAX = 23
# Both codings allow frames in a row. bgzip ends one every 64 KiB; empty ones by the thousand serve nobody.
MAX_FRAMES = 1_024
# What follows the end of a frame is copied for the next one, so that the cost of a frame is bounded by this.
SLICE_BYTES = 65_536


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class BodyDecoder:
    """Decodes one body. What it has let through is never more than ``limit`` bytes and one.

    Args:
        encoding: One of ``SUPPORTED``.
        limit: Decoded bytes that the body may have.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self._encoding = encoding
        self._limit = limit
        self._decoded = 0
        self._frames = 1
        self._frame = self._begin()

    def decode(self, data: bytes) -> bytes:
        """Decode the next part of the body.

        Raises:
            RemoteProtocolError: 413 as soon as the body passes the limit, 400 where the data is corrupt.
        """
        parts = []
        for start in range(0, len(data), SLICE_BYTES):
            rest = data[start : start + SLICE_BYTES]
            while rest:
                if self._frame.eof:
                    self._next_frame()
                try:
                    part = self._frame.decompress(rest, self._limit - self._decoded + 1)
                except (zlib.error, zstd.ZstdError):
                    raise self._fault("is corrupt") from None
                parts.append(part)
                self._decoded += len(part)
                if self._decoded > self._limit:
                    raise too_large("the decoded body", "bytes or more", self._limit, self._decoded, MAX_BODY_BYTES)
                rest = self._frame.unused_data if self._frame.eof else b""
        return b"".join(parts)

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            RemoteProtocolError: 400 where its last frame has not.
        """
        if not self._frame.eof:
            raise self._fault("ends too early")

    def _begin(self) -> _Decompressor:
        if self._encoding == "gzip":
            return zlib.decompressobj(GZIP_WBITS)
        options = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG_MAX}
        frame: _Decompressor = zstd.ZstdDecompressor(options=options)
        return frame

    def _next_frame(self) -> None:
        self._frames += 1
        if self._frames > MAX_FRAMES:
            raise self._fault(f"has more than {MAX_FRAMES} frames")
        self._frame = self._begin()

    def _fault(self, what: str) -> RemoteProtocolError:
        message = f"the body, sent with Content-Encoding: {self._encoding}, {what}"
        return RemoteProtocolError(400, "invalid_request", message)
