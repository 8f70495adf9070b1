"""Content codings: whatever the reads, whatever the frames, and never more than the limit."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.encoding import MAX_FRAMES, SUPPORTED, BodyDecoder
from vstack_proto.errors import RemoteProtocolError

COMPRESS = {"gzip": lambda data: gzip.compress(data, mtime=0), "zstd": zstd.compress}
TEXT = b'{"goal":"g"}' * 20_000

both = pytest.mark.parametrize("encoding", SUPPORTED)


def decoded(encoding: str, data: bytes, limit: int = 1 << 20, step: int = 1 << 30) -> bytes:
    decoder = BodyDecoder(encoding, limit)
    parts = [decoder.decode(data[start : start + step]) for start in range(0, len(data), step)]
    decoder.finish()
    return b"".join(parts)


def refusal_of(encoding: str, data: bytes, limit: int = 1 << 20) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        decoded(encoding, data, limit)
    return caught.value


def test_what_is_supported() -> None:
    assert set(SUPPORTED) == set(COMPRESS)


@both
@pytest.mark.parametrize("step", [1, 7, 1 << 30])
@pytest.mark.parametrize("plain", [b"", b"{}", TEXT], ids=["empty", "short", "long"])
def test_a_body_is_decoded_whatever_the_reads(encoding: str, step: int, plain: bytes) -> None:
    assert decoded(encoding, COMPRESS[encoding](plain), step=step) == plain


@both
@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=5), step=st.integers(1, 400))
def test_frames_in_a_row_are_one_body(encoding: str, parts: list[bytes], step: int) -> None:
    data = b"".join(map(COMPRESS[encoding], parts))
    assert decoded(encoding, data, step=step) == b"".join(parts)


@both
def test_the_limit_is_exact(encoding: str) -> None:
    data = COMPRESS[encoding](b"x" * 1000)
    assert len(decoded(encoding, data, limit=1000)) == 1000
    refusal = refusal_of(encoding, data, limit=999)
    assert (refusal.status, refusal.code) == (413, "request_too_large")
    assert refusal.extra == {"limit": 999, "actual": 1000, "setting": "VSTACK_API_MAX_BODY_BYTES"}
    assert "the limit is 999 (VSTACK_API_MAX_BODY_BYTES raises it)" in refusal.message
    # The limit holds for the whole body, not for each frame of it.
    assert refusal_of(encoding, data + data, limit=1999).status == 413


@both
def test_a_bomb_is_refused_before_it_goes_off(encoding: str) -> None:
    bomb = COMPRESS[encoding](bytes(100 << 20))
    tracemalloc.start()
    try:
        assert refusal_of(encoding, bomb, limit=1 << 20).status == 413
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The result, and what the decompressor has at hand while it grows.
    assert peak < 4 << 20


@both
@pytest.mark.parametrize("cut", [0, 1, 5, -1])
def test_a_body_that_ends_too_early(encoding: str, cut: int) -> None:
    refusal = refusal_of(encoding, COMPRESS[encoding](TEXT)[:cut])
    assert (refusal.status, refusal.code) == (400, "invalid_request")
    assert refusal.message == f"the body, sent with Content-Encoding: {encoding}, ends too early"


@both
@pytest.mark.parametrize("where", ["start", "end"])
def test_a_body_that_is_corrupt(encoding: str, where: str) -> None:
    data = COMPRESS[encoding](TEXT)
    refusal = refusal_of(encoding, b"{}" + data if where == "start" else data + b"{}garbage")
    assert (refusal.status, refusal.code) == (400, "invalid_request")
    assert refusal.message.endswith("is corrupt")


def test_a_wrong_checksum_is_corrupt() -> None:
    data = bytearray(gzip.compress(TEXT))
    data[-6] ^= 1
    assert refusal_of("gzip", bytes(data)).message.endswith("is corrupt")


def test_gzip_does_not_mean_deflate() -> None:
    assert refusal_of("gzip", zlib.compress(b"{}")).message.endswith("is corrupt")


@both
def test_frames_are_counted(encoding: str) -> None:
    empty = COMPRESS[encoding](b"")
    assert decoded(encoding, empty * MAX_FRAMES) == b""
    refusal = refusal_of(encoding, empty * (MAX_FRAMES + 1))
    assert (refusal.status, refusal.code) == (400, "invalid_request")
    assert refusal.message.endswith(f"has more than {MAX_FRAMES} frames")


def test_a_window_of_more_than_8_mib_is_not_decoded() -> None:
    def compress(window_log: int) -> bytes:
        # Without the size in its head, a frame says how large its window is.
        options: dict[int, int] = {
            zstd.CompressionParameter.window_log: window_log,
            zstd.CompressionParameter.content_size_flag: 0,
        }
        compressor = zstd.ZstdCompressor(options=options)
        return compressor.compress(TEXT) + compressor.flush()

    assert decoded("zstd", compress(23)) == TEXT
    assert refusal_of("zstd", compress(24)).message.endswith("is corrupt")
