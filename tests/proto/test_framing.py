"""What a head must be, for drivers that see no bytes: the same rules over a parsed head."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.errors import RemoteProtocolError
from vstack_proto.framing import (
    Head,
    Headers,
    check_authority,
    check_head,
    check_line,
    check_trailer,
    chunk_size,
    field_fault,
    shown,
    split_fields,
    why_unreadable,
)

HOST = ("host", "a.example")


def check(*headers: tuple[str, str], method: str = "POST", target: str = "/", version: str = "1.1") -> Head:
    return check_head(method, target, (HOST, *headers), version)


def refused(*headers: tuple[str, str], method: str = "POST", target: str = "/", version: str = "1.1") -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        check(*headers, method=method, target=target, version=version)
    fault = caught.value
    assert fault.status == {"invalid_request": 400}.get(fault.code, fault.status)
    return f"{fault.status} {fault.code} {fault.message}"


def test_least_head() -> None:
    assert check_head("GET", "/", (HOST,), "1.1") == Head("/", "", "a.example", None, False, False, True, dict([HOST]))


@pytest.mark.parametrize(
    ("target", "path", "query", "authority"),
    [
        ("/", "/", "", "a.example"),
        ("/a%2Fb?c?d", "/a%2Fb", "c?d", "a.example"),
        ("/?", "/", "", "a.example"),
        ("//b", "//b", "", "a.example"),
        ("http://b:80/c?d", "/c", "d", "b:80"),
        ("hTTps://[::1]", "/", "", "[::1]"),
        ("http://b?d", "/", "d", "b"),
    ],
)
def test_target(target: str, path: str, query: str, authority: str) -> None:
    head = check(target=target)
    assert (head.path, head.query, head.authority) == (path, query, authority)


def test_asterisk_names_nothing_that_is_served() -> None:
    for method in ("OPTIONS", "GET"):
        assert "must begin with '/'" in refused(method=method, target="*")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("", "must begin with '/'"),
        ("a", "must begin with '/'"),
        ("b:80", "must begin with '/'"),
        ("ftp://b/", "must begin with '/'"),
        ("http:/b", "must begin with '/'"),
        ("/a b", "0x20 at offset 2"),
        ("/\x00", "0x00"),
        ("/\x7f", "0x7f"),
        ("/\xe9", "0xe9"),
        ("/\xad", "0xad"),
        ("/\u0663", "0x663"),
        ("/#", "a fragment at offset 1"),
        ("http://", "The authority of the target is ''"),
        ("http://u@b/", "The authority of the target is 'u@b'"),
        ("http://b#c", "a fragment"),
    ],
)
def test_target_refused(target: str, words: str) -> None:
    message = refused(target=target)
    assert message.startswith("400 invalid_request")
    assert words in message


def test_connect() -> None:
    assert refused(method="CONNECT", target="b:80").startswith("405 method_not_allowed")


@pytest.mark.parametrize("version", ["0.9", "1.2", "2", "2.0", "3", "", "1.10", "1"])
def test_version(version: str) -> None:
    assert refused(version=version).startswith("505 http_version")


@given(st.text().filter(lambda text: not (text.isascii() and text.isdecimal() and 1 <= len(text) <= 19)))
def test_length_is_digits_only(text: str) -> None:
    assert refused(("content-length", text)).startswith("400 invalid_request")


@given(st.integers(0, 10**19 - 1))
def test_length(length: int) -> None:
    head = check(("content-length", str(length)))
    assert (head.content_length, head.chunked) == (length, False)


@pytest.mark.parametrize("value", ["5, 5", "+5", "1_0", "\u0663", "\xb2", "", "1" * 20, " 5", "5\t"])
def test_length_refused(value: str) -> None:
    assert "1 to 19 digits" in refused(("content-length", value)) or "control" in refused(("content-length", value))


@pytest.mark.parametrize("second", ["5", "6"])
@pytest.mark.parametrize("name", ["content-length", "transfer-encoding", "host"])
def test_framing_fields_come_once(name: str, second: str) -> None:
    assert f"The header {name} came more than once" in refused((name, "5"), (name, second))


def test_coding() -> None:
    head = check(("transfer-encoding", "Chunked"))
    assert (head.content_length, head.chunked) == (None, True)
    assert "both" in refused(("transfer-encoding", "chunked"), ("content-length", "5"))
    assert "HTTP/1.0 has no" in refused(("transfer-encoding", "chunked"), version="1.0")


@pytest.mark.parametrize(
    "value", ["", "gzip", "gzip, chunked", "chunked, chunked", "chunked;a", "xchunked", "chun\u212aed"]
)
def test_coding_refused(value: str) -> None:
    assert "only 'chunked'" in refused(("transfer-encoding", value))


def test_host_is_needed_on_1_1_only() -> None:
    assert check_head("GET", "/", (), "1.0").authority == ""
    with pytest.raises(RemoteProtocolError, match="Host is missing"):
        check_head("GET", "/", (), "1.1")
    with pytest.raises(RemoteProtocolError, match="Host is 'a b'"):
        check_head("GET", "/", (("host", "a b"),), "1.0")


@pytest.mark.parametrize(
    "authority",
    ["a", "a.b-c~d_e", "a:", "a:0", "a:65535", "127.0.0.1", "[::]", "[::1]:8", "[::ffff:192.0.2.1]", "%C3%A9.example"],
)
def test_authority(authority: str) -> None:
    check_authority(authority, "Host")


@pytest.mark.parametrize(
    "authority",
    [
        "", ":", ":80", "a:b", "a:1:2", "a:65536", "a:123456", "::1", "[::1", "::1]", "[]", "[1.2.3.4]", "[::1::]",
        "[g::]", "[fe80::1%eth0]", "[::1]x", "a/b", "a?b", "a#b", "u@a", "a b", "a,b", "a%", "a%4", "a%zz", "\xe9",
        "a\n", "\u0663",
    ],
)  # fmt: skip
def test_authority_refused(authority: str) -> None:
    with pytest.raises(RemoteProtocolError, match="The place is "):
        check_authority(authority, "The place")


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        ("1.1", (), True),
        ("1.1", ("keep-alive",), True),
        ("1.1", ("closed",), True),
        ("1.1", ("Close",), False),
        ("1.1", ("te ,\tcLOSE",), False),
        ("1.1", ("te", "close"), False),
        ("1.0", (), False),
        ("1.0", ("keep-alive",), False),
    ],
)
def test_keep_alive(version: str, connection: tuple[str, ...], keep_alive: bool) -> None:
    assert check(*(("connection", value) for value in connection), version=version).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("version", "headers", "expects"),
    [
        ("1.1", (("content-length", "5"), ("expect", "100-Continue")), True),
        ("1.1", (("transfer-encoding", "chunked"), ("expect", "100-continue")), True),
        ("1.1", (("content-length", "0"), ("expect", "100-continue")), False),
        ("1.1", (("expect", "100-continue"),), False),
        ("1.0", (("content-length", "5"), ("expect", "100-continue")), False),
        ("1.0", (("content-length", "5"), ("expect", "other")), False),
    ],
)
def test_expect(version: str, headers: Headers, expects: bool) -> None:
    assert check(*headers, version=version).expects_continue is expects


@pytest.mark.parametrize("value", ["", "200-ok", "100-continue, 100-continue", "100-continue;x"])
def test_expect_refused(value: str) -> None:
    assert refused(("expect", value)).startswith("417 expectation_failed")


def test_fields_are_joined_in_order() -> None:
    head = check(("accept", "a"), ("x", "1"), ("accept", "b"), ("accept", "c"))
    assert head.fields == {"host": "a.example", "accept": "a, b, c", "x": "1"}


def test_underscore() -> None:
    assert "'x_y' has an underscore" in refused(("x-y", "1"), ("x_y", "2"))


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127])
def test_control_characters(code: int) -> None:
    message = refused(("x", "\xa0\xad\t" + chr(code)))
    assert f"'x' has the control character 0x{code:02x} at offset 3" in message


def test_every_other_character_is_allowed_in_a_value() -> None:
    value = "\t" + "".join(map(chr, [*range(32, 127), *range(128, 256)]))
    assert check(("x", value)).fields["x"] == value


def test_fields_are_counted() -> None:
    fields = tuple((f"x-{n}", "") for n in range(100))
    assert check_head("GET", "/", (HOST, *fields[:99]), "1.1").fields["x-98"] == ""
    with pytest.raises(RemoteProtocolError, match="has 101 header fields; at most 100") as caught:
        check_head("GET", "/", (HOST, *fields), "1.1")
    assert (caught.value.status, caught.value.code, caught.value.extra) == (431, "headers_too_large", {"limit": 100})
    with pytest.raises(RemoteProtocolError, match="at most 1 "):
        check_head("GET", "/", (HOST, *fields[:1]), "1.1", max_fields=1)


def test_what_is_shown_has_sixty_characters_at_most() -> None:
    assert shown("a" * 60) == repr("a" * 60)
    assert shown("a" * 61) == repr("a" * 57 + "...")


def test_what_is_shown_is_short_and_escaped() -> None:
    message = refused(("content-length", "\u202e" + "5" * 500))
    assert "\\u202e555" in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("line", "ended", "words"),
    [
        (b"a: b\r", True, None),
        (b"a: b\r", False, None),
        (b"a: b", False, None),
        (b"", False, None),
        (b"12345678\r", True, None),
        (b"a: b", True, "bare LF"),
        (b"", True, "bare LF"),
        (b" a", False, "white space"),
        (b"\ta", False, "white space"),
        (b"a\rb", False, "a CR without an LF at offset 1"),
        (b"a\r\r", True, "a CR without an LF"),
        (b"a\x00", False, "0x00 at offset 1"),
        (b"12345678\r9", False, "a CR without an LF"),
        (b"123456789", False, "more than 8 bytes"),
        (b"123456789\r", True, "more than 8 bytes"),
        (b"123456789\x00", False, "more than 8 bytes"),
    ],
)
def test_line(line: bytes, ended: bool, words: str | None) -> None:
    if words is None:
        check_line(line, ended, 8)
    else:
        with pytest.raises(RemoteProtocolError, match=words):
            check_line(line, ended, 8)


@pytest.mark.parametrize(
    ("field", "words"),
    [("a:", None), ("a: \xe9", None), ("a", "no colon"), ("a : b", "White space"), (": b", "no token|not a token")],
)
def test_field(field: str, words: str | None) -> None:
    fault = field_fault(field)
    assert (fault is None) == (words is None)
    if fault and words:
        assert any(word in fault.message for word in words.split("|"))


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "HOST", "te", "cookie", "x_y", "x y"])
def test_trailer_refused(name: str) -> None:
    check_trailer("x-sum: 1")
    with pytest.raises(RemoteProtocolError):
        check_trailer(f"{name}: 1")


@pytest.mark.parametrize(
    ("request_line", "fields", "status", "words"),
    [
        ("GET / HTTP/1.1", ["host: a", "x y: z"], 400, "'x y' is not a token"),
        ("GET / HTTP/1.1", ["host: a", "content-length: 5, 6"], 400, "Content-Length is '5, 6'"),
        ("GET / HTTP/2", ["host: a"], 505, "'2'"),
        ("G(T / HTTP/1.1", ["host: a"], 400, "The request line is 'G(T / HTTP/1.1'"),
        ("GET /", [], 400, "The request line is 'GET /'"),
    ],
)
def test_why_unreadable(request_line: str, fields: list[str], status: int, words: str) -> None:
    fault = why_unreadable(request_line, fields, 100)
    assert fault.status == status
    assert words in fault.message


def test_split_fields_takes_spaces_and_tabs_only() -> None:
    assert split_fields(["A:\t b \t", "c:\xa0d\xa0", "e:f:g"]) == (("a", "b"), ("c", "\xa0d\xa0"), ("e", "f:g"))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"5\r\n", (5, 3)),
        (b"00Ff\r\nrest", (255, 6)),
        (b"5;a\r\n", (5, 5)),
        (b"5;a=b\r\n", (5, 7)),
        (b'5;a=""\r\n', (5, 8)),
        (b"", None),
        (b"5", None),
        (b"5\r", None),
        (b"5;a=bc", None),
        (b"zzzz", None),
    ],
)
def test_chunk_size(line: bytes, found: tuple[int, int] | None) -> None:
    assert chunk_size(line, 0, 5) == found
    assert chunk_size(bytearray(b"##" + line), 2, 5) == (found and (found[0], found[1] + 2))


@pytest.mark.parametrize(
    "line", [b"\r\n", b"g\r\n", b"5 \r\n", b"5\n", b"5;\r\n", b"5;a =b\r\n", b"0" * 23, b"5;aaaaa\r\n"]
)
def test_chunk_size_refused(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        chunk_size(line, 0, 5)
