"""Which detections may answer for each other, and the cache in memory that keeps them."""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict

import msgspec

from vstack_proto.values import Alias, CacheEntry

__all__ = ["ALIASES_PER_ENTRY", "Alias", "CacheEntry", "LruCache", "alias_key", "cache_key", "canonical"]

# Equal requests differ in their bytes by client (spaces, order, defaults written out), hardly in more ways than these.
ALIASES_PER_ENTRY = 4

# Up to this size, to copy a body behind its prefix costs less than a second call.
_COPIED = 16_384

_ENCODER = msgspec.json.Encoder(order="deterministic")


def canonical(trace: msgspec.Struct) -> bytes:
    """A decoded trace as JSON in one form: defaults filled in, keys of free-form objects sorted, times as RFC 3339."""
    return _ENCODER.encode(trace)


def cache_key(pattern: str, mode: str, model: str, trace: msgspec.Struct, scope: str) -> str:
    """The key under which a detection is kept.

    Args:
        pattern: The pattern's name.
        mode: The mode's name.
        model: The model that will really be asked.
        trace: As decoded by the pattern's Struct.
        scope: The caller's name where callers' answers are kept apart, else ``""``.

    Returns:
        ``vstack:`` and the SHA-256, in hex, of these as canonical JSON.
    """
    return f"vstack:{hashlib.sha256(_ENCODER.encode((pattern, mode, model, trace, scope))).hexdigest()}"


def alias_key(path: str, body: bytes, scope: str, negotiated: str = "") -> str:
    """The key of a request as its bytes are, by which a repeat is found without decoding it.

    Args:
        path: With the pattern's name in it.
        body: As it is decoded next, that is without its content coding.
        scope: As for ``cache_key``.
        negotiated: Whatever else of the request changes what the body means.
    """
    prefix = _prefix(path, scope, negotiated)
    if len(body) <= _COPIED:
        return hashlib.sha256(prefix + body).hexdigest()
    digest = hashlib.sha256(prefix)
    digest.update(body)
    return digest.hexdigest()


@functools.lru_cache(maxsize=256)
def _prefix(path: str, scope: str, negotiated: str) -> bytes:
    # JSON ends where it ends, so that no two requests give the same bytes.
    return _ENCODER.encode((path, scope, negotiated))


def _texts(alias: str, value: Alias) -> tuple[str, ...]:
    """All that an alias keeps in memory."""
    return (alias, value.key, value.mode, value.model, value.agent, value.crew, value.baseline, *value.warnings)


class _Kept:
    __slots__ = ("aliases", "entry", "expires", "size")

    def __init__(self, entry: CacheEntry, expires: float | None, size: int) -> None:
        self.entry = entry
        self.expires = expires
        self.size = size
        self.aliases: dict[str, int] = {}


class LruCache:
    """Detections in memory; what was used least recently goes first.

    Attributes:
        evictions: How many entries have left to make room.

    Args:
        max_entries: At most so many detections, and four times as many aliases.
        max_bytes: Of keys, aliases and detections together. What is larger than that is not kept.
        ttl: Seconds after which an entry is forgotten, or None.
    """

    def __init__(self, max_entries: int, max_bytes: int, ttl: float | None) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._aliases: OrderedDict[str, Alias] = OrderedDict()
        self._size = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __bool__(self) -> bool:
        # With __len__ alone an empty cache would be false, and `cache or NoCache()` would throw it away.
        return True

    @property
    def size_bytes(self) -> int:
        """Bytes of keys, aliases and detections."""
        return self._size

    def get(self, key: str, now: float) -> CacheEntry | None:
        """The entry under ``key``, unless it has expired. ``now`` is monotonic, in seconds."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.expires is not None and now >= kept.expires:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.entry

    def get_alias(self, alias: str, now: float) -> tuple[Alias, CacheEntry] | None:
        """What a request was found to mean, with the entry it names."""
        meaning = self._aliases.get(alias)
        if meaning is None:
            return None
        entry = self.get(meaning.key, now)
        if entry is None:
            return None
        self._aliases.move_to_end(alias)
        return meaning, entry

    def put(self, key: str, entry: CacheEntry, now: float) -> None:
        """Keep an entry in the place of any earlier one. It forgets the earlier one's aliases."""
        self._drop(key)
        size = len(key.encode()) + len(entry.detection)
        if self._max_entries < 1 or size > self._max_bytes:
            return
        self._kept[key] = _Kept(entry, None if self._ttl is None else now + self._ttl, size)
        self._size += size
        self._make_room()

    def put_alias(self, alias: str, value: Alias) -> None:
        """Remember what a request means; its entry must have been put before, else there is nothing to remember."""
        self._drop_alias(alias)
        kept = self._kept.get(value.key)
        if kept is None:
            return
        size = sum(len(text.encode()) for text in _texts(alias, value))
        if kept.size + size > self._max_bytes:
            return
        self._kept.move_to_end(value.key)
        self._aliases[alias] = value
        kept.aliases[alias] = size
        kept.size += size
        self._size += size
        if len(self._aliases) > ALIASES_PER_ENTRY * self._max_entries:
            self._drop_alias(next(iter(self._aliases)))
        self._make_room()

    def _make_room(self) -> None:
        # The entry that was just used stands last and fits by itself: it is never the one that goes.
        while len(self._kept) > self._max_entries or self._size > self._max_bytes:
            self._drop(next(iter(self._kept)))
            self.evictions += 1

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= kept.size
            for alias in kept.aliases:
                del self._aliases[alias]

    def _drop_alias(self, alias: str) -> None:
        meaning = self._aliases.pop(alias, None)
        if meaning is not None:
            kept = self._kept[meaning.key]
            size = kept.aliases.pop(alias)
            kept.size -= size
            self._size -= size
