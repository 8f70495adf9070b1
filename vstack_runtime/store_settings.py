"""The parts of the settings that name stores: a word, or the URL of a Redis.

Reading one needs no library, so that a bad one is told before any is missed.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

PORT, SENTINEL_PORT = 6379, 26379
ALLOWED = (
    "redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// for TLS, redis+cluster://HOST:PORT,HOST:PORT or "
    "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE[/DB] (rediss+cluster://, rediss+sentinel:// for TLS)"
)
OPTIONS = ("prefix", "ca_file", "cert_file", "key_file", "sentinel_auth")

_SCHEME = re.compile(r"redis(s)?(?:\+(cluster|sentinel))?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_PREFIX = re.compile(r"[A-Za-z0-9._:-]{1,64}")

Kind = Literal["single", "cluster", "sentinel"]


class RedisAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A server, a cluster, or the sentinels that know where the server is.

    Attributes:
        kind: Which of the three.
        hosts: Name or address, and port; of the sentinels where there are any.
        tls: Whether every connection is encrypted and the servers' certificates are checked, names included.
        username, password: For the servers; the sentinels get them too with ``sentinel_auth``.
        db: Number of the database; a cluster has only 0.
        service: The name under which sentinels know the server.
        prefix: What every key begins with.
        ca_file: Certificates to trust in the place of the system's.
        cert_file, key_file: What we show to servers that ask for a certificate.
    """

    kind: Kind = "single"
    hosts: tuple[tuple[str, int], ...]
    tls: bool = False
    username: str | None = None
    password: str | None = None
    db: int = 0
    service: str = ""
    prefix: str = "vstack"
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    sentinel_auth: bool = False

    def __repr__(self) -> str:
        """Without what proves who we are."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{self.kind} {hosts}" + (f"/{self.service}" if self.service else "")


def parse_cache(text: str) -> str:
    """``off``, ``memory``, or the URL of a Redis.

    Raises:
        ValueError: With what is allowed.
    """
    return _store(text, "off", "memory")


def parse_limit_store(text: str) -> str:
    """``memory``, or the URL of a Redis.

    Raises:
        ValueError: With what is allowed.
    """
    return _store(text, "memory")


def parse_home_store(text: str) -> str:
    """``home``, ``memory``, ``off``, or the URL of a Redis.

    Raises:
        ValueError: With what is allowed.
    """
    return _store(text, "home", "memory", "off")


def _store(text: str, *words: str) -> str:
    if text.lower() in words:
        return text.lower()
    if not is_redis(text):
        raise ValueError(f"{', '.join(words)}, {ALLOWED}")
    parse_address(text)
    return text


def is_redis(text: str) -> bool:
    """Whether a setting means a Redis URL, a sound one or not."""
    return text.partition(":")[0].lower().startswith("redis")


def parse_address(text: str) -> RedisAddress:
    """Read a URL.

    Raises:
        ValueError: It is none. The text says what is allowed and shows nothing of the URL, which may hold a password.
    """
    url = urlsplit(text)
    scheme = _SCHEME.fullmatch(url.scheme)
    if scheme is None or url.fragment or any(character.isspace() for character in text):
        raise ValueError(ALLOWED)
    kind: Kind = "single" if scheme[2] is None else "cluster" if scheme[2] == "cluster" else "sentinel"
    login, _, places = url.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    hosts = tuple(_host(place, SENTINEL_PORT if kind == "sentinel" else PORT) for place in places.split(","))
    if len(hosts) > 1 and kind == "single":
        raise ValueError(f"one host; several are for redis+cluster:// and redis+sentinel://: {ALLOWED}")
    service, db = _path(kind, [part for part in url.path.split("/") if part])
    options = _options(url.query)
    return RedisAddress(
        kind=kind,
        hosts=hosts,
        tls=scheme[1] is not None,
        username=unquote(user) or None,
        password=unquote(password) or None if colon else None,
        db=db,
        service=service,
        prefix=options.get("prefix", "vstack"),
        ca_file=options.get("ca_file"),
        cert_file=options.get("cert_file"),
        key_file=options.get("key_file"),
        sentinel_auth="sentinel_auth" in options,
    )


def _host(place: str, port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(place)
    number = int(match[2] or port) if match else 0
    if match is None or not 1 <= number <= 65_535:
        raise ValueError(ALLOWED)
    return match[1].strip("[]"), number


def _path(kind: Kind, parts: list[str]) -> tuple[str, int]:
    """The service and the number of the database."""
    service = ""
    if kind == "sentinel":
        if not parts:
            raise ValueError("the name of the service that the sentinels watch: redis+sentinel://HOST:PORT/SERVICE")
        service = unquote(parts.pop(0))
    if len(parts) > 1 or any(not part.isdecimal() or len(part) > 5 for part in parts):
        raise ValueError(ALLOWED)
    db = int(parts[0]) if parts else 0
    if db and kind == "cluster":
        raise ValueError("no number of a database: a cluster has only one")
    return service, db


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if any(name not in OPTIONS or not value for name, value in options.items()):
        raise ValueError(f"only these options after '?': {', '.join(f'{name}=...' for name in OPTIONS)}")
    if not _PREFIX.fullmatch(options.get("prefix", "vstack")):
        raise ValueError("a prefix of 1 to 64 letters, digits and ._:-")
    if options.get("sentinel_auth", "same") != "same":
        raise ValueError("sentinel_auth=same: the sentinels are shown the same user and password as the server")
    if ("cert_file" in options) != ("key_file" in options):
        raise ValueError("cert_file and key_file together")
    return options
