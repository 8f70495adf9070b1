"""Bytes to requests: HTTP/1.1 on one connection, read strictly. Responses are written in ``wire_out``.

The only file that knows h11. h11 parses heads; what it forgives is refused here first, and where a body ends is decided
here alone, from the head that ``framing`` found sound: two decoders of one body could come to disagree.

What is refused, and how, depends on the bytes only, never on how reads cut them.
"""

from __future__ import annotations

import enum
import re

import h11
import msgspec

from vstack_proto import framing
from vstack_proto.errors import LocalProtocolError, RemoteProtocolError
from vstack_proto.framing import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    Head,
    check_head,
    invalid,
    split_fields,
)
from vstack_proto.heads import KnownHead
from vstack_proto.heads import WireHead as WireHead

# Every line ends with CRLF, begins with something visible and holds no control character but a tab: what h11 would
# forgive (bare LF, folded lines, control characters) is not in it. The grammar within the lines is h11's work.
_SOUND = re.compile(rb"(?:[^\x00-\x20\x7f][\t\x20-\x7e\x80-\xff]*+\r\n)++\r\n")


class WireLimits(msgspec.Struct, frozen=True, gc=False):
    """How much of a request's framing is read before it is refused; bytes, unless said otherwise."""

    max_head_bytes: int = MAX_HEAD_BYTES
    max_line_bytes: int = MAX_LINE_BYTES
    max_fields: int = MAX_FIELDS
    # From the size to the CRLF. Nothing uses extensions; Go and node limit them since they served for floods (2023-24).
    max_chunk_extension: int = 16
    # Go (CVE-2023-39326) refuses framing that outweighs data: a chunk may cost up to 36 bytes of framing here.
    min_mean_chunk: int = 64
    # Chunks that are read before their mean size is judged: a short body may be as fine-grained as it likes.
    chunks_judged: int = 1000


class WireBody(msgspec.Struct, frozen=True, gc=False):
    """Part of the body, decoded; all that was there to read, any length but zero."""

    data: bytes


class WireEnd(msgspec.Struct, frozen=True, gc=False):
    """The request is complete."""


class WireClosed(msgspec.Struct, frozen=True, gc=False):
    """No further request will come on the connection."""


AnyWireEvent = WireHead | WireBody | WireEnd | WireClosed


_Phase = enum.Enum("_Phase", "HEAD LENGTH CHUNKS TRAILERS END DONE CLOSED")
_HEAD, _LENGTH, _CHUNKS, _TRAILERS, _END, _DONE, _CLOSED = _Phase
_LIMITS = WireLimits()


class WireReader:
    """Reads the requests of one connection, one after the other.

    Feed it with ``receive``, take events with ``next_event`` until that returns None. After ``WireEnd``, call
    ``next_request`` when the answer is out; what was pipelined behind is kept until then.

    Args:
        limits: How much framing is read before it is refused.
    """

    __slots__ = (
        "_at", "_blank", "_buf", "_bytes", "_chunks", "_eof", "_fault", "_fields", "_keep_alive", "_last", "_left",
        "_limits", "_line", "_phase", "_tail",
    )  # fmt: skip

    def __init__(self, limits: WireLimits = _LIMITS) -> None:
        self._limits = limits
        self._phase = _HEAD
        self._buf: bytes | bytearray = b""
        self._at = 0  # how much of _buf is spent
        self._eof = False
        self._fault: RemoteProtocolError | None = None
        self._keep_alive = True
        self._last: KnownHead | None = None  # the latest head
        # Of the section of lines that is being read, head or trailers:
        self._blank = False  # the one empty line before a request has been seen
        self._line = 0  # where its first line that is not checked yet begins, from _at
        self._fields = -1  # its complete lines, the request line not counted
        # Of the body that is being read:
        self._left = 0  # bytes still to come, of the body or of the chunk
        self._tail = False  # the CRLF behind a chunk's data is due
        self._chunks = self._bytes = 0

    @property
    def buffered(self) -> int:
        """Bytes received and not yet turned into events. Stop reading from the peer while this is large."""
        return len(self._buf) - self._at

    @property
    def pending(self) -> int:
        """Bytes that came behind this request, where a next one may be; read only once it is taken."""
        return self.buffered if self._keep_alive else 0

    @property
    def complete(self) -> bool:
        """Whether nothing but ``WireEnd`` is left of the request; where chunks may follow, that is not known."""
        return self._phase is _END

    @property
    def started(self) -> bool:
        """Whether any byte of the next head has come; an empty line before it is not one. False within a body."""
        if self._phase is not _HEAD and self._phase is not _DONE:
            return False
        lead = self._buf[self._at : self._at + 2]
        if not self._blank and lead in (b"\r\n", b"\r"):
            return self.buffered > 2
        return bool(lead)

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` says that it will send no more.

        Raises:
            LocalProtocolError: Bytes after ``b""``.
        """
        if not data:
            self._eof = True
            return
        if self._eof:
            raise LocalProtocolError("bytes after the end of the peer's")
        if self._fault is not None or self._phase is _CLOSED:
            return
        buf = self._buf
        if self._at == len(buf):
            self._buf = data
        elif isinstance(buf, bytearray):
            del buf[: self._at]
            buf += data
        else:
            self._buf = bytearray(buf[self._at :])
            self._buf += data
        self._at = 0

    def next_event(self) -> AnyWireEvent | None:
        """The next event, or None while it takes more bytes or, after ``WireEnd``, ``next_request``.

        Raises:
            RemoteProtocolError: The peer broke the rules or left in the midst of a request. Every later call raises
                the same; answer it and close, for nothing that follows can be trusted.
        """
        if self._fault is not None:
            raise self._fault.with_traceback(None)
        try:
            phase = self._phase
            event: AnyWireEvent | None
            if phase is _HEAD:
                event = self._read_head()
            elif phase is _LENGTH:
                event = self._read_length()
            elif phase is _END:
                self._phase = _DONE
                return WireEnd()
            elif phase is _CHUNKS:
                event = self._read_chunks()
            elif phase is _TRAILERS:
                event = self._read_trailers()
            else:
                return None if phase is _DONE else WireClosed()
            return self._cut_off() if event is None and self._eof else event
        except RemoteProtocolError as fault:
            self._fail(fault)
            raise

    def next_request(self) -> None:
        """Go on to the next request. After one that said ``Connection: close`` there is none: ``WireClosed`` follows.

        Raises:
            LocalProtocolError: ``WireEnd`` has not been taken yet.
        """
        if self._phase is not _DONE:
            raise LocalProtocolError("the next request before the end of this one")
        if self._keep_alive:
            self._phase = _HEAD
        else:
            # RFC 9112, section 9.6: nothing behind a request that said close may be processed.
            self._phase = _CLOSED
            self._buf, self._at = b"", 0

    def _fail(self, fault: RemoteProtocolError) -> None:
        self._fault = fault
        self._buf, self._at, self._last = b"", 0, None

    def _cut_off(self) -> WireClosed:
        if self._phase is not _HEAD or self.started:
            part = "head" if self._phase is _HEAD else "body"
            raise invalid(f"The connection was closed in the midst of the request's {part}; send all of it.")
        self._phase = _CLOSED
        return WireClosed()

    def _read_head(self) -> WireHead | None:
        try:
            return self._head()
        except RemoteProtocolError as refusal:
            # Only where the request line was sound: whether more of it is there depends on how reads cut the bytes.
            if refusal.head is None and self._line:
                line = bytes(self._buf[self._at : self._at + self._line]).partition(b"\r\n")[0]
                refusal.head = framing.begun(line.decode("latin-1"))
            raise

    def _head(self) -> WireHead | None:
        buf, at, limits = self._buf, self._at, self._limits
        # The common case, a sound head that is all there, costs one match; anything else is walked line by line.
        sound = None if self._line else _SOUND.match(buf, at, at + limits.max_head_bytes)
        if sound is not None and sound.end() - at <= limits.max_line_bytes:
            end = sound.end()
        else:
            walked = self._walk(trailers=False)
            if walked is None:
                return None
            at, end = self._at, walked
        raw = bytes(buf[at:end])
        self._at = end
        last = self._last
        if last is None or raw != last.raw:
            head = None if last is None else last.next(raw)
            self._last = last = KnownHead(raw, head or _parse(raw, limits.max_fields))
        self._begin_body(last.head.head)
        return last.head

    def _begin_body(self, head: Head) -> None:
        self._keep_alive = head.keep_alive
        self._blank = False
        self._line = 0
        if head.chunked:
            self._phase = _CHUNKS
            self._fields = 0
            self._chunks = self._bytes = self._left = 0
        elif head.content_length:
            self._phase = _LENGTH
            self._fields = -1
            self._left = head.content_length
        else:
            self._phase = _END
            self._fields = -1

    def _walk(self, trailers: bool) -> int | None:
        """Check the lines that came, in order; the index past the empty line that ends them, or None without it."""
        limits = self._limits
        buf = self._buf
        while True:
            start = self._at + self._line
            stop = self._at + limits.max_head_bytes
            lf = buf.find(b"\n", start, stop)
            line = bytes(buf[start : stop if lf < 0 else lf])
            framing.check_line(line, lf >= 0, limits.max_line_bytes)
            if lf < 0:
                if len(buf) >= stop:
                    raise framing.too_large("The trailer section" if trailers else "The head", limits.max_head_bytes)
                return None
            if line == b"\r":
                if self._line or trailers:
                    return lf + 1
                # RFC 9112, section 2.2: at least one empty line before a request should be ignored.
                if self._blank:
                    raise invalid("Two empty lines came before the request; at most one may.")
                self._blank = True
                self._at = lf + 1
                continue
            self._line = lf + 1 - self._at
            self._fields += 1
            if self._fields > limits.max_fields:
                raise framing.too_many_fields(f"more than {limits.max_fields}", limits.max_fields)
            if trailers:
                framing.check_trailer(line[:-1].decode("latin-1"))

    def _read_length(self) -> WireBody | None:
        buf, at = self._buf, self._at
        data = bytes(buf[at : at + self._left])
        if not data:
            return None
        self._at = at + len(data)
        self._left -= len(data)
        if not self._left:
            self._phase = _END
        return WireBody(data)

    def _read_chunks(self) -> AnyWireEvent | None:
        """All the data that is there as one event, so that the size of chunks costs nothing further on."""
        parts: list[bytes | bytearray] = []
        try:
            while self._read_chunk(parts):
                pass
        except RemoteProtocolError as fault:
            if not parts:
                raise
            # What came before the fault is the same however reads cut the bytes: the fault waits for the next call.
            self._fail(fault)
        if parts:
            return WireBody(b"".join(parts))
        return self._read_trailers() if self._phase is _TRAILERS else None

    def _read_chunk(self, parts: list[bytes | bytearray]) -> bool:
        """Read what is there of one chunk into ``parts``; True if it was all there and another may follow."""
        buf = self._buf
        if not self._left and not self._tail and not self._read_size():
            return False
        if self._left:
            part = buf[self._at : self._at + self._left]
            if not part:
                return False
            parts.append(part)
            self._at += len(part)
            self._left -= len(part)
            if self._left:
                return False
            self._tail = True
        ending = buf[self._at : self._at + 2]
        if ending != b"\r\n":
            if ending in (b"", b"\r"):
                return False
            raise invalid("A chunk's data is not followed by CRLF: its size does not fit.")
        self._at += 2
        self._tail = False
        return True

    def _read_size(self) -> bool:
        """Read a chunk's size line; True if its data follows, False if bytes are missing or it was the last."""
        buf, at, limits = self._buf, self._at, self._limits
        found = framing.chunk_size(buf, at, limits.max_chunk_extension)
        if found is None:
            return False
        size, self._at = found
        if not size:
            self._phase = _TRAILERS
            return False
        self._left = size
        self._chunks += 1
        self._bytes += size
        if self._chunks >= limits.chunks_judged and self._bytes < limits.min_mean_chunk * self._chunks:
            raise invalid(
                f"The first {self._chunks} chunks hold {self._bytes} bytes; a mean of at least {limits.min_mean_chunk}"
                " bytes a chunk is required. Send larger chunks, or a Content-Length."
            )
        return True

    def _read_trailers(self) -> WireEnd | None:
        """Check the trailers and drop them: nothing in the service reads one."""
        end = self._walk(trailers=True)
        if end is None:
            return None
        self._at = end
        self._line = 0
        self._fields = -1
        self._phase = _DONE
        return WireEnd()


def _parse(head: bytes, max_fields: int) -> WireHead:
    request_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    if len(lines) > max_fields:
        raise _named(framing.too_many_fields(f"more than {max_fields}", max_fields), request_line)
    # A connection per request: its side that sends is never used, so it could not go on to a second one.
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    try:
        connection.next_event()
    except h11.RemoteProtocolError as refusal:
        raise _named(framing.why_unreadable(request_line, lines, max_fields), request_line) from refusal
    # The text that h11 found sound is cut up here, not taken from its event: h11 merges equal Content-Lengths and puts
    # Transfer-Encoding in lower case, and check_head must see what was sent.
    method, target, version = request_line.split(" ")
    version = version[5:]
    headers = split_fields(lines)
    try:
        meaning = check_head(method, target, headers, version, max_fields)
    except RemoteProtocolError as refusal:
        refusal.head = method, target, headers
        raise
    return WireHead(method, target, headers, version, meaning)


def _named(refusal: RemoteProtocolError, request_line: str) -> RemoteProtocolError:
    # A HEAD is answered without a body, whatever is wrong with it (RFC 9110, section 9.3.2); a request to an analysis
    # is counted as one.
    refusal.head = refusal.head or framing.begun(request_line)
    return refusal
