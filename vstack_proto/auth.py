"""Who is calling: keys are held as digests, and a missing key costs the same work as a wrong one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from hmac import compare_digest

# 24 characters of base64 are 18 random bytes, 144 bits; `keygen` makes longer ones.
MIN_KEY_CHARS = 24
MAX_NAME_CHARS = 64

# Never the digest of anything, so that no key table holds it.
MALFORMED = "malformed"
# Whom an unknown digest is compared with: as long as one, and none.
_NOBODY: tuple[str, str | None] = ("-" * 64, None)

Pairs = Iterable[tuple[str, str]]

_KEY = re.compile(r"[\x21-\x7e]*")
_INLINE_COMMENT = re.compile(r"(?:^|\s)#.*")


def digest(key: str) -> str:
    """The SHA-256 of a key's UTF-8, in hex: the only form in which a key is kept, compared or passed on."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def credential_of(headers: Iterable[tuple[str, str]]) -> str | None:
    """The digest of the key that a request presents.

    ``Authorization: Bearer <key>`` counts before ``X-API-Key``.

    Args:
        headers: Names in lower case, with their values.

    Returns:
        The digest; ``MALFORMED`` for an ``Authorization`` that is not one bearer token, or for two values that differ;
        None where nothing is presented.
    """
    bearer: str | None = None
    plain: str | None = None
    for name, value in headers:
        # A proxy may have checked one of two values and we the other: two that differ prove nothing.
        if name == "authorization":
            if bearer is not None and bearer != value:
                return MALFORMED
            bearer = value
        elif name == "x-api-key":
            if plain is not None and plain != value:
                return MALFORMED
            plain = value
    if bearer is not None:
        # RFC 9110 section 11.1: the scheme is case-insensitive, and at least one space follows it.
        scheme, _, token = bearer.strip().partition(" ")
        return digest(token.strip()) if scheme.lower() == "bearer" else MALFORMED
    return None if plain is None else digest(plain.strip())


class KeyTable:
    """The callers' names by the digest of their key."""

    __slots__ = ("_names",)

    def __init__(self, names: dict[str, str]) -> None:
        self._names: dict[str, tuple[str, str | None]] = {known: (known, name) for known, name in names.items()}

    @classmethod
    def of(cls, pairs: Pairs) -> KeyTable:
        """A table from (name, key) pairs.

        Raises:
            ValueError: Two pairs share a name or a key. The text shows neither.
        """
        return cls({digest(key): name for name, key in _distinct(list(pairs))})

    def name_of(self, credential: str | None) -> str | None:
        """The name of the caller who presented ``credential``, or None where it is missing or wrong.

        A digest is looked up, never a key: how long that takes tells something of the digest at most, and no caller can
        choose a key by its digest. Whatever was presented, and whoever is known, there is one digest, made here where
        none was made before, one look-up, and one comparison that takes as long for whatever differs.
        """
        if credential is None or credential == MALFORMED:
            credential = digest("")
        known = self._names.get(credential, _NOBODY)
        return known[1] if compare_digest(known[0], credential) else None

    @property
    def names(self) -> tuple[str, ...]:
        """The callers' names, in the order in which they were configured."""
        return tuple(name for _, name in self._names.values() if name is not None)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"KeyTable({len(self)} keys)"


def parse_keys(text: str) -> list[tuple[str, str]]:
    """The (name, key) pairs of ``VSTACK_API_KEYS``: ``name=key`` or bare keys, separated by commas.

    A bare key is named by its position, ``key-0``, ``key-1`` ... An item whose part after the first ``=`` is shorter
    than a key may be is itself a bare key: base64 ends in ``=``. Empty items do not count.

    Raises:
        ValueError: An item is no key, or two share a name or a key. The text says which by position, and shows neither.
    """
    return _pairs([item.strip() for item in text.split(",") if item.strip()], "key-{}")


def parse_key_lines(text: str) -> list[tuple[str, str]]:
    """The (name, key) pairs of a keys file, one a line; ``#`` begins a comment. Bare keys are ``file-key-0`` ...

    The rules and errors are those of ``parse_keys``.
    """
    lines = (_INLINE_COMMENT.sub("", line).strip() for line in text.removeprefix("\ufeff").splitlines())
    return _pairs([line for line in lines if line], "file-key-{}")


def _pairs(items: list[str], bare_name: str) -> list[tuple[str, str]]:
    pairs = []
    for position, item in enumerate(items):
        name, _, key = (part.strip() for part in item.partition("="))
        if len(key) < MIN_KEY_CHARS:
            name, key = bare_name.format(position), item
        if len(key) < MIN_KEY_CHARS:
            raise ValueError(f"a key has at least {MIN_KEY_CHARS} characters; key {position + 1} has {len(key)}")
        # A header field carries these and no others safely; a key that nobody can present is a mistake.
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"a key is visible ASCII without spaces; key {position + 1} is not")
        if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
            raise ValueError(
                f"a name has 1 to {MAX_NAME_CHARS} printable characters; that of key {position + 1} does not"
            )
        pairs.append((name, key))
    return _distinct(pairs)


def _distinct(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    for what, values in (("name", [name for name, _ in pairs]), ("key", [key for _, key in pairs])):
        first: dict[str, int] = {}
        for position, value in enumerate(values):
            if first.setdefault(value, position) != position:
                raise ValueError(f"no two entries share a {what}; keys {first[value] + 1} and {position + 1} do")
    return pairs
