"""Which requests share a detection, and what the cache in memory keeps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto.caching import ALIASES_PER_ENTRY, Alias, CacheEntry, LruCache, alias_key, cache_key, canonical
from vstack_proto.trace import CanonicalTrace

TRACE = b'{"goal":"g","outcome":"o","steps":[{"agent":"a","type":"t","content":"c"}]}'


def key(body: bytes = TRACE, pattern: str = "aar", mode: str = "quick", model: str = "offline", scope: str = "") -> str:
    return cache_key(pattern, mode, model, msgspec.json.decode(body, type=CanonicalTrace), scope)


def trace(**changes: Any) -> bytes:
    step = {"agent": "a", "type": "t", "content": "c", **changes.pop("step", {})}
    return msgspec.json.encode({"goal": "g", "outcome": "o", "steps": [step], **changes})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TRACE, b'{ "steps": [{"content":"c", "type":"t","agent":"a"}],"outcome":"o", "goal":"\\u0067"}'),
        (TRACE, trace(success=None, metadata={}, agents=[])),
        (TRACE, trace(ignored=1)),
        (trace(metadata={"x": 1, "y": {"a": 1, "b": 2}}), trace(metadata={"y": {"b": 2, "a": 1}, "x": 1})),
        (trace(step={"timestamp": "2026-03-01T09:00:00Z"}), trace(step={"timestamp": "2026-03-01T09:00:00.000+00:00"})),
    ],
)
def test_requests_that_mean_the_same_share_a_key(one: bytes, other: bytes) -> None:
    assert key(one) == key(other)


def test_a_key_is_a_digest() -> None:
    assert key().startswith("vstack:")
    assert len(key()) == len("vstack:") + 64
    assert canonical(msgspec.json.decode(TRACE, type=CanonicalTrace)).startswith(b'{"goal":"g","steps":[{"agent":"a"')


def test_whatever_can_change_the_answer_changes_the_key() -> None:
    keys = [
        key(),
        key(pattern="lewin"),
        key(mode="standard"),
        key(model="other"),
        key(scope="prod"),
        key(trace(goal="h")),
        key(trace(step={"timestamp": "2026-03-01T09:00:00Z"})),
        key(trace(metadata={"x": 1})),
        key(trace(metadata={"x": "1"})),
        key(pattern="a", mode="bc"),
        key(pattern="ab", mode="c"),
    ]
    assert len(set(keys)) == len(keys)


@given(
    st.lists(
        st.tuples(st.text(max_size=4), st.binary(max_size=4), st.text(max_size=4), st.text(max_size=4)), unique=True
    )
)
def test_an_alias_means_one_request(requests: list[tuple[str, bytes, str, str]]) -> None:
    assert len({alias_key(*request) for request in requests}) == len(requests)
    assert all(alias_key(*request) == alias_key(*request) for request in requests)


def test_an_alias_is_no_key() -> None:
    assert alias_key("/v1/analyze/aar", TRACE, "") == alias_key("/v1/analyze/aar", TRACE, "", "")
    assert not alias_key("/v1/analyze/aar", TRACE, "").startswith("vstack:")


def entry(size: int = 10) -> CacheEntry:
    return CacheEntry(b"x" * size, 0.0)


def meaning(of: str, *warnings: str) -> Alias:
    return Alias(of, "quick", "offline", warnings)


ALIAS_SIZE = len("alias" + "a" + "quick" + "offline")


def test_what_is_put_is_found() -> None:
    cache = LruCache(2, 1000, None)
    assert bool(cache), "an empty cache is still a cache"
    assert cache.get("a", 0.0) is None
    cache.put("a", entry(), 0.0)
    assert cache.get("a", 1e9) == entry()
    assert (len(cache), cache.size_bytes, cache.evictions) == (1, 11, 0)
    cache.put("a", entry(20), 1.0)
    assert cache.get("a", 1.0) == entry(20)
    assert (len(cache), cache.size_bytes, cache.evictions) == (1, 21, 0)


def test_what_was_used_least_recently_goes_first() -> None:
    cache = LruCache(2, 1000, None)
    cache.put("a", entry(), 0.0)
    cache.put("b", entry(), 0.0)
    cache.get("a", 0.0)
    cache.put("c", entry(), 0.0)
    assert [cache.get(name, 0.0) is not None for name in "abc"] == [True, False, True]
    assert cache.evictions == 1


def test_bytes_are_bounded() -> None:
    cache = LruCache(100, 33, None)
    for name in "abcd":
        cache.put(name, entry(), 0.0)
    assert [cache.get(name, 0.0) is not None for name in "abcd"] == [False, True, True, True]
    assert cache.size_bytes == 33
    cache.put("e", entry(33), 0.0)
    assert cache.get("e", 0.0) is None, "one byte more than the whole cache"
    assert len(cache) == 3
    cache.put("f", entry(32), 0.0)
    assert (len(cache), cache.size_bytes, cache.evictions) == (1, 33, 4)


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = LruCache(0, 1000, None)
    cache.put("a", entry(), 0.0)
    assert len(cache) == 0


def test_entries_expire() -> None:
    cache = LruCache(10, 1000, 60.0)
    cache.put("a", entry(), 100.0)
    cache.put_alias("alias", meaning("a"))
    assert cache.get("a", 159.9) is not None
    assert cache.get_alias("alias", 160.0) is None
    assert (len(cache), cache.size_bytes, cache.evictions) == (0, 0, 0)
    cache.put("a", entry(), 160.0)
    assert cache.get("a", 219.0) is not None


def test_an_alias_leads_to_its_entry() -> None:
    cache = LruCache(10, 1000, None)
    cache.put_alias("alias", meaning("a"))
    assert cache.get_alias("alias", 0.0) is None, "there was nothing to remember"
    cache.put("a", entry(), 0.0)
    cache.put_alias("alias", meaning("a", "ä"))
    assert cache.get_alias("alias", 0.0) == (meaning("a", "ä"), entry())
    assert cache.size_bytes == 11 + ALIAS_SIZE + 2
    cache.put("b", entry(), 0.0)
    cache.put_alias("alias", meaning("b"))
    assert cache.get_alias("alias", 0.0) == (meaning("b"), entry())
    assert cache.size_bytes == 22 + ALIAS_SIZE


def test_an_alias_goes_with_its_entry() -> None:
    cache = LruCache(1, 1000, None)
    cache.put("a", entry(), 0.0)
    cache.put_alias("alias", meaning("a"))
    cache.put("b", entry(), 0.0)
    assert cache.get_alias("alias", 0.0) is None
    assert cache.size_bytes == 11


def test_aliases_are_bounded() -> None:
    cache = LruCache(1, 10_000, None)
    cache.put("a", entry(), 0.0)
    for number in range(ALIASES_PER_ENTRY):
        cache.put_alias(f"alias-{number}", meaning("a"))
    assert cache.get_alias("alias-0", 0.0) is not None
    cache.put_alias("alias-x", meaning("a"))
    assert cache.get_alias("alias-1", 0.0) is None, "used least recently"
    assert cache.get_alias("alias-0", 0.0) is not None


def test_an_alias_counts_towards_the_bytes() -> None:
    cache = LruCache(10, 22 + ALIAS_SIZE - 1, None)
    cache.put("a", entry(), 0.0)
    cache.put("b", entry(), 0.0)
    cache.put_alias("alias", meaning("a"))
    assert [cache.get(name, 0.0) is not None for name in "ab"] == [True, False], "the entry that is not used goes"
    cache.put_alias("long", meaning("a", "w" * 100))
    assert cache.get_alias("long", 0.0) is None
    assert cache.get_alias("alias", 0.0) is not None


NAMES = st.sampled_from("abcdef")
CALLS = st.one_of(
    st.tuples(st.just("put"), NAMES, st.integers(0, 40)),
    st.tuples(st.just("put_alias"), NAMES, NAMES),
    st.tuples(st.sampled_from(["get", "get_alias"]), NAMES),
)


@given(st.lists(CALLS, max_size=100), st.integers(0, 4), st.integers(0, 120), st.sampled_from([None, 5.0]))
def test_no_order_of_calls_breaks_a_bound(calls: list[tuple], entries: int, size: int, ttl: float | None) -> None:
    cache = LruCache(entries, size, ttl)
    stored: dict[str, int] = {}
    for now, (call, name, *rest) in enumerate(calls):
        if call == "put":
            cache.put(name, entry(rest[0]), float(now))
            stored[name] = rest[0]
        elif call == "put_alias":
            cache.put_alias(f"alias-{name}", meaning(rest[0]))
        elif call == "get":
            found = cache.get(name, float(now))
            assert found is None or len(found.detection) == stored[name]
        else:
            led = cache.get_alias(f"alias-{name}", float(now))
            assert led is None or len(led[1].detection) == stored[led[0].key]
        assert len(cache) <= entries
        assert 0 <= cache.size_bytes <= size
        assert (cache.size_bytes == 0) == (len(cache) == 0)


def test_a_large_body_has_the_key_that_its_bytes_have() -> None:
    large = b"x" * 100_000
    keys = [alias_key("/v1/analyze/aar", body, "me") for body in (large, large + b"x", large[:16_384], large[:16_385])]
    assert len(set(keys)) == 4
    assert keys[0] == alias_key("/v1/analyze/aar", bytes(bytearray(large)), "me")
