"""Requests as bytes, and what a strict server makes of each. Data only; every case names the rule it comes from.

Written from RFC 9110, RFC 9112 and RFC 3986, and from the limits that service.md promises ("Framing").
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """One byte stream on one connection.

    ``served`` lists (method, target, body) of each complete request; ``refused`` is (status, code) of what follows
    them, or None; ``closes`` says that the last request allows no other behind it.
    """

    name: str
    rule: str
    data: bytes
    served: tuple[tuple[str, str, bytes], ...] = ()
    refused: tuple[int, str] | None = None
    closes: bool = False


BAD = (400, "invalid_request")
LARGE = (431, "headers_too_large")
VERSION = (505, "http_version")
GET = (("GET", "/", b""),)
HELLO = (("POST", "/", b"hello"),)
GET_1_0 = b"GET / HTTP/1.0\r\n"

TOP = b"GET / HTTP/1.1\r\n"
HOST = b"Host: a.example\r\n"


def get(*lines: bytes) -> bytes:
    return TOP + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def with_host(value: bytes) -> bytes:
    return TOP + b"Host: " + value + b"\r\n\r\n"


def target(value: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + value + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + value + b"\r\n\r\n" + body


def coded(value: bytes, body: bytes = b"5\r\nhello\r\n0\r\n\r\n", version: bytes = b"1.1") -> bytes:
    return b"POST / HTTP/" + version + b"\r\n" + HOST + b"Transfer-Encoding: " + value + b"\r\n\r\n" + body


def chunks(body: bytes) -> bytes:
    return coded(b"chunked", body)


def even_chunks(count: int, size: int, end: bytes = b"0\r\n\r\n") -> bytes:
    return chunks((b"%x\r\n" % size + b"x" * size + b"\r\n") * count + end)


def posted(body: bytes) -> tuple[tuple[str, str, bytes], ...]:
    return (("POST", "/", body),)


def padded_head(size: int, line: int = 4000) -> bytes:
    """A sound head of exactly ``size`` bytes, in lines of at most ``line`` bytes."""
    head = bytearray(TOP + HOST)
    while (room := size - 2 - len(head)) > 0:
        take = min(line, room)
        if 0 < room - take < 5:
            take -= 5
        head += b"x: " + b"y" * (take - 5) + b"\r\n"
    return bytes(head) + b"\r\n"


BENIGN = [
    Case("least request", "9112 3", get(), GET),
    Case("method is case-sensitive and any token", "9110 9.1", target(b"/", b"get!"), (("get!", "/", b""),)),
    Case("one empty line before", "9112 2.2", b"\r\n" + get(), GET),
    Case("empty line before each of two", "9112 2.2", b"\r\n" + get() + b"\r\n" + get(), GET + GET),
    Case("two requests at once", "9112 9.3.2", get() + length(b"5"), GET + HELLO),
    Case("query kept", "9112 3.2.1", target(b"/p?q=1&r=%20"), (("GET", "/p?q=1&r=%20", b""),)),
    Case("query with a second question mark", "3986 3.4", target(b"/p?a?b"), (("GET", "/p?a?b", b""),)),
    Case("path with two slashes is no authority", "9112 3.2.1", target(b"//b/c"), (("GET", "//b/c", b""),)),
    Case("absolute target", "9112 3.2.2", target(b"http://b.example/p"), (("GET", "http://b.example/p", b""),)),
    Case("absolute target, https", "9112 3.2.2", target(b"HTTPS://b:8/"), (("GET", "HTTPS://b:8/", b""),)),
    Case("absolute target without a path", "9112 3.2.2", target(b"http://b?q"), (("GET", "http://b?q", b""),)),
    Case("names in any case", "9110 5.1", TOP + b"hOsT: a\r\n\r\n", GET),
    Case("white space around a value", "9112 5", TOP + b"Host:\t a \t\r\n\r\n", GET),
    Case("no white space before a value", "9112 5", TOP + b"Host:a\r\n\r\n", GET),
    Case("empty value", "9110 5.5", get(b"x:"), GET),
    Case("colon in a value", "9110 5.5", get(b"x: a:b: c"), GET),
    Case("tab in a value", "9110 5.5", get(b"x: a\tb"), GET),
    Case("obs-text in a value", "9110 5.5", get(b"x: \x80\xff\xa0"), GET),
    Case("every token character in a name but _", "9110 5.6.2", get(b"!#$%&'*+-.^`|~09azAZ: v"), GET),
    Case("repeated list header", "9110 5.3", get(b"accept: a", b"accept: b"), GET),
    Case("host with a port", "9110 7.2", with_host(b"a.example:8000"), GET),
    Case("host with an empty port", "3986 3.2.3", with_host(b"a.example:"), GET),
    Case("host is an IPv4 address", "3986 3.2.2", with_host(b"127.0.0.1:80"), GET),
    Case("host is an IPv6 address", "3986 3.2.2", with_host(b"[::1]"), GET),
    Case("host is an IPv6 address with a port", "3986 3.2.2", with_host(b"[2001:db8::192.0.2.1]:8000"), GET),
    Case("host name with an underscore", "3986 3.2.2", with_host(b"my_service"), GET),
    Case("host percent-encoded", "3986 3.2.2", with_host(b"a%2Db"), GET),
    Case("HTTP/1.0 without Host", "9112 3.2", GET_1_0 + b"\r\n", GET, closes=True),
    Case("HTTP/1.0 keep-alive is not kept", "9112 9.3", GET_1_0 + b"Connection: keep-alive\r\n\r\n", GET, closes=True),
    Case("HTTP/1.0 with a length", "9112 6.3", length(b"5").replace(b"1.1", b"1.0"), HELLO, closes=True),
    Case("HTTP/1.0 ignores Expect", "9110 10.1.1", GET_1_0 + b"Expect: x\r\n\r\n", GET, closes=True),
    Case("connection: close", "9112 9.6", get(b"Connection: Close"), GET, closes=True),
    Case("close among options", "9110 7.6.1", get(b"Connection: te , CLOSE"), GET, closes=True),
    Case("close in a second line", "9110 7.6.1", get(b"Connection: te", b"Connection: close"), GET, closes=True),
    Case("no close in a longer option", "9110 7.6.1", get(b"Connection: not-close"), GET),
    Case("length", "9112 6.2", length(b"5"), HELLO),
    Case("length of zero", "9112 6.2", length(b"0", b""), posted(b"")),
    Case("length with leading zeros", "9110 8.6", length(b"0000000000000000005"), HELLO),
    Case("body that looks like a request", "9112 6", length(b"5", b"GET /"), posted(b"GET /")),
    Case("body of a GET", "9110 9.3.1", get(b"Content-Length: 2") + b"\r\n", (("GET", "/", b"\r\n"),)),
    Case("expect 100-continue", "9110 10.1.1", length(b"5\r\nExpect: 100-Continue"), HELLO),
    Case("upgrade is not taken up", "9110 7.8", get(b"Connection: upgrade", b"Upgrade: h2c"), GET),
    Case("chunked", "9112 7.1", chunks(b"5\r\nhello\r\n0\r\n\r\n"), HELLO),
    Case("coding in any case", "9112 7", coded(b"CHUNKED"), HELLO),
    Case("two chunks", "9112 7.1", chunks(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), HELLO),
    Case("no chunk but the last", "9112 7.1", chunks(b"0\r\n\r\n"), posted(b"")),
    Case("last chunk of many zeros", "9112 7.1", chunks(b"5\r\nhello\r\n0000\r\n\r\n"), HELLO),
    Case("size in lower-case hex", "9112 7.1", even_chunks(2, 10), posted(b"x" * 20)),
    Case("size in upper-case hex", "9112 7.1", even_chunks(2, 10).replace(b"a\r", b"A\r"), posted(b"x" * 20)),
    Case("size of sixteen digits", "9112 7.1", chunks(b"0000000000000005\r\nhello\r\n0\r\n\r\n"), HELLO),
    Case("CRLF in chunk data", "9112 7.1", chunks(b"5\r\n\r\n0\r\n\r\n0\r\n\r\n"), posted(b"\r\n0\r\n")),
    Case("extension", "9112 7.1.1", chunks(b"5;a=b;c\r\nhello\r\n0;d\r\n\r\n"), HELLO),
    Case("extension with a quoted value", "9112 7.1.1", chunks(b'5;a="b \\"c;"\r\nhello\r\n0\r\n\r\n'), HELLO),
    Case("extension of 16 bytes", "service", chunks(b"5;a=bcdefghijklmn\r\nhello\r\n0\r\n\r\n"), HELLO),
    Case("trailer", "9112 7.1.2", chunks(b"5\r\nhello\r\n0\r\nx-sum: 1\r\nx-b:\r\n\r\n"), HELLO),
    Case("999 chunks of one byte", "service", even_chunks(999, 1), posted(b"x" * 999)),
    Case("1000 chunks of a mean of 64", "service", even_chunks(1000, 64), posted(b"x" * 64000)),
    Case("100 fields", "service", get(*[b"x: y"] * 99), GET),
    Case("head of 16 KiB", "service", padded_head(16384), GET),
    Case("line of 8 KiB", "service", get(b"x: " + b"y" * 8189), GET),
    Case("request line of 8 KiB", "service", target(b"/" * 8179), (("GET", "/" * 8179, b""),)),
]  # fmt: skip

HOSTILE = [
    # The request line
    Case("two empty lines before", "9112 2.2", b"\r\n\r\n" + get(), (), BAD),
    Case("bare LF before", "9112 2.2", b"\n" + get(), (), BAD),
    Case("space before the method", "9112 2.2", b" " + get(), (), BAD),
    Case("TLS on a plain port", "9112 3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (), BAD),
    Case("HTTP/0.9", "9112 3", b"GET /\r\n\r\n", (), BAD),
    Case("no target", "9112 3", b"GET HTTP/1.1\r\n" + HOST + b"\r\n", (), BAD),
    Case("two spaces in the request line", "9112 3", b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", (), BAD),
    Case("tab in the request line", "9112 3", b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", (), BAD),
    Case("space after the version", "9112 3", b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", (), BAD),
    Case("method is no token", "9110 9.1", target(b"/", b"G(T"), (), BAD),
    Case("no method", "9112 3", target(b"/", b""), (), BAD),
    Case("version in lower case", "9112 2.3", b"GET / http/1.1\r\n" + HOST + b"\r\n", (), BAD),
    Case("version is no number", "9112 2.3", b"GET / HTTP/one\r\n" + HOST + b"\r\n", (), BAD),
    Case("version 2.0, the HTTP/2 preface", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (), VERSION),
    Case("version 0.9", "service", get().replace(b"1.1", b"0.9"), (), VERSION),
    Case("version 1.2", "service", get().replace(b"1.1", b"1.2"), (), VERSION),
    Case("version 3", "service", get().replace(b"1.1", b"3"), (), VERSION),
    Case("version 1.10", "service", get().replace(b"1.1", b"1.10"), (), VERSION),
    # The target
    Case("target without a slash", "9112 3.2", target(b"path"), (), BAD),
    Case("target of another scheme", "9112 3.2.2", target(b"ftp://b/"), (), BAD),
    Case("absolute target without authority", "9110 4.2.1", target(b"http:///p"), (), BAD),
    Case("absolute target with user info", "9110 4.2.4", target(b"http://u@b/"), (), BAD),
    Case("asterisk for GET", "9112 3.2.4", target(b"*"), (), BAD),
    # Lawful, but not in origin-form, and there is nothing to be asked of the server as a whole.
    Case("asterisk for OPTIONS", "9112 3.2.4", target(b"*", b"OPTIONS"), (), BAD),
    Case("authority as target", "9112 3.2.3", target(b"b:80"), (), BAD),
    Case("CONNECT", "9112 3.2.3", target(b"b:80", b"CONNECT"), (), (405, "method_not_allowed")),
    Case("fragment", "9112 3.2", target(b"/p#f"), (), BAD),
    Case("space in the target", "9112 3.2", target(b"/a b"), (), BAD),
    Case("UTF-8 in the target", "9112 3.2", target("/é".encode()), (), BAD),
    Case("NUL in the target", "9112 3.2", target(b"/\x00"), (), BAD),
    Case("DEL in the target", "9112 3.2", target(b"/\x7f"), (), BAD),
    # Host
    Case("no Host", "9112 3.2", b"GET / HTTP/1.1\r\n\r\n", (), BAD),
    Case("Host twice, equal", "9112 3.2", get(b"Host: a.example"), (), BAD),
    Case("Host twice, differing", "9112 3.2", get(b"HOST: b"), (), BAD),
    Case("Host twice on HTTP/1.0", "9112 3.2", get(b"Host: b").replace(b"1.1", b"1.0"), (), BAD),
    Case("empty Host", "9110 4.2.1", with_host(b""), (), BAD),
    Case("Host with a path", "9110 7.2", with_host(b"a/b"), (), BAD),
    Case("Host with user info", "9110 7.2", with_host(b"u@a"), (), BAD),
    Case("two hosts in one Host", "9112 3.2", with_host(b"a,b"), (), BAD),
    Case("space in Host", "9110 7.2", with_host(b"a b"), (), BAD),
    Case("port is no number", "3986 3.2.3", with_host(b"a:http"), (), BAD),
    Case("port past 65535", "3986 3.2.3", with_host(b"a:65536"), (), BAD),
    Case("port without a host", "9110 4.2.1", with_host(b":80"), (), BAD),
    Case("two ports", "3986 3.2.3", with_host(b"a:1:2"), (), BAD),
    Case("IPv6 without brackets", "3986 3.2.2", with_host(b"::1"), (), BAD),
    Case("IPv6 bracket left open", "3986 3.2.2", with_host(b"[::1"), (), BAD),
    Case("no IPv6 address in brackets", "3986 3.2.2", with_host(b"[::1::]"), (), BAD),
    Case("IPv6 zone", "3986 3.2.2", with_host(b"[fe80::1%25e]"), (), BAD),
    Case("bad percent-encoding in Host", "3986 2.1", with_host(b"a%2g"), (), BAD),
    Case("obs-text in Host", "9110 7.2", with_host(b"a\xe9"), (), BAD),
    # Header lines
    Case("bare LF after the request line", "9112 2.2", get().replace(b"1.1\r\n", b"1.1\n"), (), BAD),
    Case("bare LF after a header", "9112 2.2", get(b"x: y\nz: w"), (), BAD),
    Case("bare LF for the empty line", "9112 2.2", get()[:-2] + b"\n", (), BAD),
    Case("bare LF throughout", "9112 2.2", get().replace(b"\r\n", b"\n"), (), BAD),
    Case("bare CR in a value", "9112 2.2", get(b"x: y\rz"), (), BAD),
    Case("bare CR hides a header", "9112 2.2", get(b"x: y\rContent-Length: 5"), (), BAD),
    Case("bare CR in the request line", "9112 2.2", target(b"/\r"), (), BAD),
    Case("CR CR LF", "9112 2.2", get(b"x: y\r"), (), BAD),
    Case("folded by a space", "9112 5.2", get(b"x: y", b" z"), (), BAD),
    Case("folded by a tab", "9112 5.2", get(b"x: y", b"\tz"), (), BAD),
    Case("first header folded", "9112 2.2", TOP + b" x: y\r\n" + HOST + b"\r\n", (), BAD),
    Case("folded Transfer-Encoding", "9112 5.2", coded(b"\r\n chunked"), (), BAD),
    Case("space before the colon", "9112 5.1", get(b"x : y"), (), BAD),
    Case("tab before the colon", "9112 5.1", get(b"x\t: y"), (), BAD),
    Case("space before the colon of Content-Length", "9112 5.1", get(b"Content-Length : 5") + b"hello", (), BAD),
    Case("space in a name", "9110 5.1", get(b"x y: z"), (), BAD),
    Case("no colon", "9112 5", get(b"x"), (), BAD),
    Case("no name", "9110 5.1", get(b": y"), (), BAD),
    Case("bracket in a name", "9110 5.1", get(b"x[]: y"), (), BAD),
    Case("obs-text in a name", "9110 5.1", get(b"\xe9: y"), (), BAD),
    Case("underscore in a name", "service", get(b"content_length: 5"), (), BAD),
    *(
        Case(f"control 0x{code:02x} in a value", "9110 5.5", get(b"x: y" + bytes([code]) + b"z"), (), BAD)
        for code in (0x00, 0x01, 0x08, 0x0B, 0x0C, 0x1F, 0x7F)
    ),
    Case("control in a name", "9110 5.1", get(b"x\x01: y"), (), BAD),
    # Where the body ends
    Case("length and coding", "9112 6.1", coded(b"chunked\r\nContent-Length: 5"), (), BAD),
    Case("coding and length", "9112 6.1", length(b"5\r\nTransfer-Encoding: chunked"), (), BAD),
    Case("length and another coding", "9112 6.1", length(b"5\r\nTransfer-Encoding: identity"), (), BAD),
    Case("length twice, equal", "9112 6.3", length(b"5\r\nContent-Length: 5"), (), BAD),
    Case("length twice, differing", "9112 6.3", length(b"5\r\ncontent-length: 6"), (), BAD),
    Case("length as a list", "9112 6.3", length(b"5, 5"), (), BAD),
    Case("length as a differing list", "9112 6.3", length(b"5,6"), (), BAD),
    Case("empty length", "9110 8.6", length(b""), (), BAD),
    Case("length with plus", "9110 8.6", length(b"+5"), (), BAD),
    Case("length with minus", "9110 8.6", length(b"-5"), (), BAD),
    Case("length with underscore", "9110 8.6", length(b"1_0"), (), BAD),
    Case("length in hex", "9110 8.6", length(b"0x5"), (), BAD),
    Case("length with a fraction", "9110 8.6", length(b"5.0"), (), BAD),
    Case("length with inner space", "9110 8.6", length(b"1 0"), (), BAD),
    Case("length in superscript", "9110 8.6", length(b"\xb2"), (), BAD),
    Case("length in Arabic digits", "9110 8.6", length("٣".encode()), (), BAD),
    Case("length with no-break space", "9110 8.6", length(b"5\xa0"), (), BAD),
    Case("length of 20 digits", "9110 8.6", length(b"00000000000000000005"), (), BAD),
    Case("coding on HTTP/1.0", "9112 6.1", coded(b"chunked", version=b"1.0"), (), BAD),
    Case("coding not chunked", "9112 6.1", coded(b"gzip"), (), BAD),
    Case("gzip, then chunked", "service", coded(b"gzip, chunked"), (), BAD),
    Case("chunked, then identity", "9112 6.1", coded(b"chunked, identity"), (), BAD),
    Case("chunked twice in one line", "9112 6.1", coded(b"chunked, chunked"), (), BAD),
    Case("chunked in two lines", "9112 6.1", coded(b"chunked\r\nTransfer-Encoding: chunked"), (), BAD),
    Case("identity, then chunked, in two lines", "9112 6.1", coded(b"identity\r\nTransfer-Encoding: chunked"), (), BAD),
    Case("empty coding", "9112 6.1", coded(b""), (), BAD),
    Case("quoted coding", "9112 6.1", coded(b'"chunked"'), (), BAD),
    Case("coding with a parameter", "9112 6.1", coded(b"chunked;q=1"), (), BAD),
    Case("coding with a vertical tab", "9112 6.1", coded(b"\x0bchunked"), (), BAD),
    Case("coding with a no-break space", "9112 6.1", coded(b"chunked\xa0"), (), BAD),
    Case("misspelt coding", "9112 6.1", coded(b"xchunked"), (), BAD),
    Case("another expectation", "9110 10.1.1", get(b"Expect: 200-ok"), (), (417, "expectation_failed")),
    Case("two expectations", "9110 10.1.1", get(b"Expect: 100-continue, x"), (), (417, "expectation_failed")),
    # Limits
    Case("101 fields", "service", get(*[b"x: y"] * 100), (), LARGE),
    Case("50,000 fields in one read", "service", get(*[b"x: y"] * 50_000), (), LARGE),
    Case("head of 16 KiB and one", "service", padded_head(16385), (), LARGE),
    Case("head without an end", "service", padded_head(40_000)[:-2], (), LARGE),
    Case("line of 8 KiB and one", "service", get(b"x: " + b"y" * 8190), (), LARGE),
    Case("request line of 8 KiB and one", "service", target(b"/" * 8180), (), LARGE),
    Case("line without an end", "service", b"A" * 9000, (), LARGE),
    Case("bare LF before a long line", "9112 2.2", get(b"x: y\nz: " + b"w" * 9000), (), BAD),
    Case("long line before a bare LF", "service", get(b"z: " + b"w" * 9000, b"x: y\nz: w"), (), LARGE),
    Case("bare CR past a long line's limit", "service", get(b"z: " + b"w" * 9000 + b"\rw"), (), LARGE),
    Case("refused after one that was served", "9112 9.3.2", get() + get(b"x : y"), GET, BAD),
    # Chunks
    Case("size is no number", "9112 7.1", chunks(b"x\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("empty size", "9112 7.1", chunks(b"\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("size with minus", "9112 7.1", chunks(b"-5\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("size with plus", "9112 7.1", chunks(b"+5\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("size with 0x", "9112 7.1", chunks(b"0x5\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("size with underscore", "9112 7.1", chunks(b"0_5\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("size of 17 digits", "9112 7.1", chunks(b"00000000000000005\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("size without an end", "9112 7.1", chunks(b"0" * 100), (), BAD),
    Case("space before the size", "9112 7.1", chunks(b" 5\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("space after the size", "9112 7.1", chunks(b"5 \r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("size ends with bare LF", "9112 7.1", chunks(b"5\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("size ends with bare CR", "9112 7.1", chunks(b"5\rhello\r\n0\r\n\r\n" + b" " * 30), (), BAD),
    Case("bare LF in an extension", "9112 7.1.1", chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("bare CR in an extension", "9112 7.1.1", chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("NUL in an extension", "9112 7.1.1", chunks(b"5;a\x00\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("extension without a name", "9112 7.1.1", chunks(b"5;\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("extension with an open quote", "9112 7.1.1", chunks(b'5;a="b\r\nhello\r\n0\r\n\r\n'), (), BAD),
    Case("extension of 17 bytes", "service", chunks(b"5;a=bcdefghijklmno\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("extension of 10 KB", "service", chunks(b"5;" + b"a" * 10_000 + b"\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("extension of 17 bytes on the last chunk", "service", chunks(b"0;a=bcdefghijklmno\r\n\r\n"), (), BAD),
    Case("chunk ends with bare LF", "9112 7.1", chunks(b"5\r\nhello\n0\r\n\r\n"), (), BAD),
    Case("chunk ends with other bytes", "9112 7.1", chunks(b"5\r\nhelloXX0\r\n\r\n"), (), BAD),
    Case("chunk ends with CR and another byte", "9112 7.1", chunks(b"5\r\nhello\rX0\r\n\r\n"), (), BAD),
    Case("chunk longer than its size", "9112 7.1", chunks(b"4\r\nhello\r\n0\r\n\r\n"), (), BAD),
    Case("1000 chunks of one byte", "service", even_chunks(1000, 1), (), BAD),
    Case("1000 chunks of 63 bytes", "service", even_chunks(1000, 63), (), BAD),
    Case("small chunks behind large ones", "service", even_chunks(1000, 64, b"1\r\nx\r\n"), (), BAD),
    # Trailers
    Case("trailer with framing", "9110 6.5.1", chunks(b"0\r\nContent-Length: 5\r\n\r\n"), (), BAD),
    Case("trailer with a coding", "9110 6.5.1", chunks(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), (), BAD),
    Case("trailer with Host", "9110 6.5.1", chunks(b"0\r\nhost: b\r\n\r\n"), (), BAD),
    Case("trailer with Authorization", "9110 6.5.1", chunks(b"0\r\nAuthorization: Bearer x\r\n\r\n"), (), BAD),
    Case("trailer with an underscore", "service", chunks(b"0\r\nx_y: z\r\n\r\n"), (), BAD),
    Case("trailer without a colon", "9112 7.1.2", chunks(b"0\r\nx\r\n\r\n"), (), BAD),
    Case("trailer with a space before the colon", "9112 5.1", chunks(b"0\r\nx : y\r\n\r\n"), (), BAD),
    Case("trailer folded", "9112 5.2", chunks(b"0\r\nx: y\r\n z\r\n\r\n"), (), BAD),
    Case("trailer ends with bare LF", "9112 2.2", chunks(b"0\r\nx: y\n\r\n"), (), BAD),
    Case("trailers end with bare LF", "9112 2.2", chunks(b"0\r\nx: y\r\n\n"), (), BAD),
    Case("trailer with NUL", "9110 5.5", chunks(b"0\r\nx: \x00\r\n\r\n"), (), BAD),
    Case("101 trailers", "service", chunks(b"0\r\n" + b"x: y\r\n" * 101 + b"\r\n"), (), LARGE),
    Case("trailers of more than 16 KiB", "service", chunks(b"0\r\n" + (b"x: " + b"y" * 4000 + b"\r\n") * 5), (), LARGE),
    Case("trailer line of more than 8 KiB", "service", chunks(b"0\r\nx: " + b"y" * 8190 + b"\r\n\r\n"), (), LARGE),
]  # fmt: skip

CASES = BENIGN + HOSTILE
