"""What the head of a request must be before anything behind it is read: framing, Host, target, version, Expect.

Pure functions over a parsed head, so that drivers that see bytes and drivers that begin at the head (ASGI) refuse the
same requests. Nothing is mended: a head that two servers could read in two ways is refused (RFC 9112, section 11.2).
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from vstack_proto.errors import RemoteProtocolError

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, values as latin-1 text without white space around them, in the order of arrival."""

# In a head, or in a trailer section. Apache's LimitRequestFields is 100 as well; nginx and h11 count bytes only.
MAX_FIELDS = 100

# The head, with its empty line; also each trailer section. IIS: 16 KiB, h11: 16 KiB, Tomcat: 8 KiB, node: 16 KiB.
MAX_HEAD_BYTES = 16_384
# A line without its CRLF. Apache's LimitRequestLine and nginx's large_client_header_buffers: 8 KiB.
MAX_LINE_BYTES = 8_192

# 19 digits hold every length below 2**63, what nginx, haproxy and Apache can count to.
MAX_LENGTH_DIGITS = 19

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
"""One character of a token (RFC 9110, section 5.6.2), as a regular expression."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CONTROL_BYTE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_VERSION = re.compile(r"HTTP/([0-9]+(?:\.[0-9]+)?)")
_FIELD = re.compile(rf"{TOKEN}++:.*+")
_METHOD = re.compile(rf"{TOKEN}++")
_NOT_IN_TARGET = re.compile(r"[^\x21-\x7e]|#")
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?]*)(.*)")
# RFC 3986, section 3.2.2, less the sub-delims: no name that resolves has them, and "a.example,b.example" is what two
# Host lines look like once a proxy joined them. RFC 9110, section 4.2.1: an empty host must be refused.
_AUTHORITY = re.compile(r"(?:(?:[A-Za-z0-9._~-]++|%[0-9A-Fa-f]{2})++|\[([0-9A-Fa-f:.]++)\])(?::([0-9]{0,5}))?")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
# RFC 9112, section 7.1.1, without the white space that it calls bad: parsers differ on it, and no client sends it.
_SIZE_LINE = re.compile(rf"([0-9A-Fa-f]{{1,16}})((?:;{TOKEN}++(?:={TOKEN}++|={_QUOTED})?)*+)\r\n".encode())
_ONCE = ("content-length", "transfer-encoding", "host")
# RFC 9110, section 6.5.1: no trailer may carry framing, routing, authentication, or how to read the content.
_NOT_IN_TRAILERS = {
    *("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
    *("expect", "host", "max-forwards"),
    *("authorization", "cookie", "proxy-authorization", "proxy-connection"),
    *("content-encoding", "content-range", "content-type"),
}


class Head(msgspec.Struct, frozen=True, gc=False):
    """What a request's head says once it has been found sound.

    Args:
        path: The path of the target as it was sent, not percent-decoded, without the query.
        query: What follows the first ``?`` of the target; empty without one.
        authority: ``host[:port]`` of an absolute target, else of Host; empty where HTTP/1.0 sent neither.
        content_length: Bytes of body announced; None without a Content-Length.
        chunked: Whether the body comes in chunks.
        expects_continue: Whether the peer may wait for 100 Continue before it sends the body that it announced.
        keep_alive: Whether the peer allows another request on the connection.
        fields: Header name -> value; the values of a repeated name are joined with ``, ``.
    """

    path: str
    query: str
    authority: str
    content_length: int | None
    chunked: bool
    expects_continue: bool
    keep_alive: bool
    fields: dict[str, str]


def invalid(message: str) -> RemoteProtocolError:
    """The refusal of a request that breaks the rules of HTTP: 400 ``invalid_request``."""
    return RemoteProtocolError(400, "invalid_request", message)


def too_large(what: str, limit: int) -> RemoteProtocolError:
    """The refusal of a head, or a part of one, with more than ``limit`` bytes: 431 ``headers_too_large``."""
    message = f"{what} has more than {limit} bytes, the most that is allowed. Send fewer or shorter headers."
    return RemoteProtocolError(431, "headers_too_large", message, limit=limit)


def too_many_fields(count: str, limit: int) -> RemoteProtocolError:
    """The refusal of a head with ``count`` header fields: 431 ``headers_too_large``."""
    message = f"The request has {count} header fields; at most {limit} are allowed. Send fewer."
    return RemoteProtocolError(431, "headers_too_large", message, limit=limit)


def shown(text: str) -> str:
    """Text of the peer's as it may stand in a message: quoted, escaped, at most 60 characters."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def check_head(method: str, target: str, headers: Headers, http_version: str, max_fields: int = MAX_FIELDS) -> Head:
    """Refuse a head that is unsound or ambiguous; say what a sound one means.

    Args:
        method: As sent.
        target: The request target as sent, with its query.
        headers: Every field as sent: a parser that merges or tidies fields hides what is checked here.
        http_version: ``"1.0"`` or ``"1.1"``.
        max_fields: The most header fields that are allowed.

    Returns:
        The head's meaning.

    Raises:
        RemoteProtocolError: 400 ``invalid_request``, 405 ``method_not_allowed`` (CONNECT), 417 ``expectation_failed``,
            431 ``headers_too_large`` or 505 ``http_version``. The connection must be closed after the answer, since
            where the body ends is then unknown.
    """
    if http_version not in ("1.0", "1.1"):
        message = f"HTTP version {shown(http_version)} is not served; use 1.1 or 1.0."
        raise RemoteProtocolError(505, "http_version", message)
    if len(headers) > max_fields:
        raise too_many_fields(str(len(headers)), max_fields)
    modern = http_version == "1.1"
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = _joined(headers)
    _check_names(fields)
    # isprintable() reads all the values in the time of one search, and is False for every control character.
    if not "".join(fields.values()).isprintable():
        _check_values(fields)
    content_length, chunked = _body(fields, modern)
    authority = _host(fields, modern)
    if method == "CONNECT":
        raise RemoteProtocolError(405, "method_not_allowed", "CONNECT is not allowed: this server is no proxy.")
    if not _is_plain(target):
        authority, target = _other_target(target)
    path, _, query = target.partition("?")
    return Head(
        path=path,
        query=query,
        authority=authority,
        content_length=content_length,
        chunked=chunked,
        # RFC 9110, section 10.1.1: a 100 may be left out where the framing says that there is no content.
        expects_continue="expect" in fields and _expects_continue(fields, modern) and (chunked or bool(content_length)),
        keep_alive=modern and ("connection" not in fields or not _says_close(fields["connection"])),
        fields=fields,
    )


def _check_names(fields: dict[str, str]) -> None:
    # CGI and WSGI make x_y and x-y one variable, so that a name with "_" slips past a proxy that filters on "-".
    if "_" in "".join(fields):
        name = next(name for name in fields if "_" in name)
        raise invalid(f"The header name {shown(name)} has an underscore; write '-' for '_'.")


def _is_plain(target: str) -> bool:
    """Whether a target is in origin-form: the same as no match for _NOT_IN_TARGET, in half the time."""
    return target[:1] == "/" and target.isascii() and target.isprintable() and " " not in target and "#" not in target


def check_authority(authority: str, where: str) -> None:
    """Refuse what is not ``host[:port]``, where a host is a name, an IPv4 address or an IPv6 address in brackets.

    Args:
        authority: The text to check.
        where: Its place in the request, for the message.

    Raises:
        RemoteProtocolError: 400 ``invalid_request``.
    """
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise invalid(f"{where} is {shown(authority)}; it must be host or host:port.")
    address, port = found.groups()
    if address is not None:
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            raise invalid(f"{where} is {shown(authority)}; what is in brackets is no IPv6 address.") from None
    if port and int(port) > 65535:
        raise invalid(f"{where} is {shown(authority)}; a port is at most 65535.")


def check_line(line: bytes, ended: bool, max_bytes: int) -> None:
    """Refuse a line of a head or of trailers by the first of its bytes that breaks a rule.

    Args:
        line: The line up to its LF, or as much of it as came.
        ended: Whether the LF came.
        max_bytes: The most bytes that the line may have, its CRLF not counted.

    Raises:
        RemoteProtocolError: 400 ``invalid_request`` or 431 ``headers_too_large``.
    """
    if line[:1] in (b" ", b"\t"):
        raise invalid("A line of the head or trailers begins with white space; folded lines are refused.")
    # A CR at the end may be the half of CRLF that came.
    text = line[:-1] if line[-1:] == b"\r" else line
    if found := _CONTROL_BYTE.search(text, 0, max_bytes + 1):
        what = "a CR without an LF" if found[0] == b"\r" else f"the control character 0x{found[0][0]:02x}"
        raise invalid(f"A line of the head or trailers has {what} at offset {found.start()}.")
    if len(text) > max_bytes:
        raise too_large("A line of the head or trailers", max_bytes)
    if ended and text is line:
        raise invalid("A line of the head or trailers ends with a bare LF; lines end with CRLF.")


def field_fault(field: str) -> RemoteProtocolError | None:
    """What is wrong with a header line without its CRLF, short of what its value means; None if nothing is."""
    if _FIELD.fullmatch(field):
        return None
    name, colon, _ = field.partition(":")
    if not colon:
        return invalid(f"The header line {shown(field)} has no colon.")
    if name.rstrip(" \t") != name:
        # RFC 9112, section 5.1: a server must refuse it with 400.
        return invalid(f"White space stands between the header name {shown(name)} and its colon; leave it out.")
    return invalid(f"The header name {shown(name)} is not a token (RFC 9110, section 5.1).")


def split_fields(lines: list[str]) -> Headers:
    """Header lines, each with its colon and without its CRLF, as names and values."""
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip(" \t")))
    return tuple(headers)


def begun(request_line: str) -> tuple[str, str, Headers]:
    """What can be told of a request of whose head this is the first line, whatever is wrong behind it.

    Returns:
        Method and target, empty where they are not plain, and no fields.
    """
    method, _, rest = request_line.partition(" ")
    target = rest.partition(" ")[0]
    return (method if _METHOD.fullmatch(method) else ""), (target if _is_plain(target) else ""), ()


def why_unreadable(request_line: str, lines: list[str], max_fields: int) -> RemoteProtocolError:
    """Why a parser refused a head, in the words and with the status of our contract.

    Args:
        request_line: The first line, without its CRLF.
        lines: The header lines, likewise.
        max_fields: As for ``check_head``.
    """
    method, _, rest = request_line.partition(" ")
    for line in lines:
        if fault := field_fault(line):
            return fault
    target, _, version = rest.partition(" ")
    if number := _VERSION.fullmatch(version):
        headers = split_fields(lines)
        try:
            check_head(method, target, headers, number[1], max_fields)
        except RemoteProtocolError as refusal:
            refusal.head = method, target, headers
            return refusal
    return invalid(f"The request line is {shown(request_line)}; it must be: METHOD target HTTP/1.1, one space apart.")


def check_trailer(field: str) -> None:
    """Refuse a trailer line that is malformed or of a kind that a trailer may not be (RFC 9110, section 6.5.1).

    Raises:
        RemoteProtocolError: 400 ``invalid_request``.
    """
    if fault := field_fault(field):
        raise fault
    name = field.partition(":")[0].lower()
    if name in _NOT_IN_TRAILERS or "_" in name:
        raise invalid(f"The field {shown(name)} may not be a trailer (RFC 9110, section 6.5.1).")


def chunk_size(buf: bytes | bytearray, at: int, max_extension: int) -> tuple[int, int] | None:
    """Read the line that begins a chunk.

    Args:
        buf: What came.
        at: Where the line begins.
        max_extension: The most bytes between the size and the CRLF.

    Returns:
        The chunk's size in bytes, and where its data begins; None if part of the line is missing.

    Raises:
        RemoteProtocolError: 400 ``invalid_request``.
    """
    found = _SIZE.match(buf, at)
    if found is None:
        longest = at + 16 + max_extension + 2
        lf = buf.find(b"\n", at, longest)
        if lf < 0 and len(buf) < longest:
            return None
        line = bytes(buf[at : longest if lf < 0 else lf + 1])
        found = _SIZE_LINE.match(buf, at, at + len(line))
        if found is None or len(found[2]) > max_extension:
            _, semicolon, extension = line.partition(b";")
            if semicolon and len(extension.rstrip(b"\r\n")) >= max_extension:
                raise invalid(f"A chunk's extension has more than {max_extension} bytes, the most that is allowed.")
            text = shown(line.decode("latin-1"))
            raise invalid(f"A chunk begins with {text}; it must begin with 1 to 16 hex digits and CRLF.")
    return int(found[1], 16), found.end()


def _joined(headers: Headers) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in headers:
        if name not in fields:
            fields[name] = value
        elif name in _ONCE:
            # RFC 9112, section 6.3, lets equal lengths be merged; a proxy that merges and one that does not would
            # still count differently on the day that they are not equal.
            raise invalid(f"The header {name} came more than once; it may come once.")
        else:
            fields[name] += ", " + value
    return fields


def _check_values(fields: dict[str, str]) -> None:
    for name, value in fields.items():
        if found := _CONTROL.search(value):
            raise invalid(
                f"The value of the header {shown(name)} has the control character 0x{ord(found[0]):02x}"
                f" at offset {found.start()}; only a tab is allowed (RFC 9110, section 5.5)."
            )


def _body(fields: dict[str, str], modern: bool) -> tuple[int | None, bool]:
    """Where the body ends: (its announced length, whether it is chunked). RFC 9112, section 6.3."""
    length = fields.get("content-length")
    coding = fields.get("transfer-encoding")
    if coding is not None:
        if length is not None:
            raise invalid("The request has both Content-Length and Transfer-Encoding; send one of them.")
        if not modern:
            raise invalid("HTTP/1.0 has no Transfer-Encoding; send a Content-Length, or use HTTP/1.1.")
        # isascii(): the Kelvin sign is a "k" to lower().
        if coding.lower() != "chunked" or not coding.isascii():
            raise invalid(f"Transfer-Encoding is {shown(coding)}; only 'chunked' is understood.")
        return None, True
    if length is None:
        return None, False
    if not (length.isascii() and length.isdecimal() and len(length) <= MAX_LENGTH_DIGITS):
        raise invalid(f"Content-Length is {shown(length)}; it must be 1 to {MAX_LENGTH_DIGITS} digits.")
    return int(length), False


def _host(fields: dict[str, str], modern: bool) -> str:
    """RFC 9112, section 3.2: 400 for HTTP/1.1 without Host, and for any Host that is invalid."""
    host = fields.get("host")
    if host is None:
        if modern:
            raise invalid("The header Host is missing; HTTP/1.1 requires it.")
        return ""
    check_authority(host, "Host")
    return host


def _other_target(target: str) -> tuple[str, str]:
    """(authority, target in origin-form) of a target that is not plainly in origin-form. RFC 9112, section 3.2."""
    if found := _NOT_IN_TARGET.search(target):
        what = "a fragment" if found[0] == "#" else f"the character 0x{ord(found[0]):02x}"
        raise invalid(f"The target has {what} at offset {found.start()}; percent-encode it, or leave it out.")
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise invalid(f"The target is {shown(target)}; it must begin with '/'.")
    authority, rest = found.groups()
    check_authority(authority, "The authority of the target")
    # Section 3.2.2: the authority of the target counts and Host is ignored; an empty path is "/".
    return authority, rest if rest[:1] == "/" else "/" + rest


def _expects_continue(fields: dict[str, str], modern: bool) -> bool:
    expect = fields["expect"]
    # RFC 9110, section 10.1.1: a server that receives 100-continue in an HTTP/1.0 request must ignore it.
    if not modern:
        return False
    if expect.lower() != "100-continue":
        message = f"Expect is {shown(expect)}; only '100-continue' can be met. Leave it out."
        raise RemoteProtocolError(417, "expectation_failed", message)
    return True


def _says_close(connection: str) -> bool:
    return "close" in [option.strip(" \t") for option in connection.lower().split(",")]
