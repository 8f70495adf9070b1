"""Keys: how they are written, presented, and looked up."""

from __future__ import annotations

import hashlib
import hmac
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstack_proto import auth
from vstack_proto.auth import MALFORMED, MIN_KEY_CHARS, KeyTable, credential_of, digest, parse_key_lines, parse_keys

A = "a" * 24
B = "b" * 24
C = "c" * 24
PADDED = "q" * 30 + "=="


def test_a_digest_is_the_sha_256_of_utf_8() -> None:
    assert digest("ключ") == hashlib.sha256("ключ".encode()).hexdigest()
    assert len(digest("\udcff")) == 64


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ([], None),
        ([("host", "x"), ("accept", "*/*")], None),
        ([("authorization", f"Bearer {A}")], digest(A)),
        ([("authorization", f"bEARER   {A} ")], digest(A)),
        ([("x-api-key", f" {A} ")], digest(A)),
        ([("x-api-key", B), ("authorization", f"Bearer {A}")], digest(A)),
        ([("authorization", f"Bearer {A}"), ("authorization", f"Bearer {A}")], digest(A)),
        ([("x-api-key", A), ("x-api-key", A)], digest(A)),
        ([("authorization", f"Bearer {A}"), ("authorization", f"Bearer {B}")], MALFORMED),
        ([("x-api-key", A), ("x-api-key", B)], MALFORMED),
        ([("authorization", f"Basic {A}")], MALFORMED),
        ([("authorization", A)], MALFORMED),
        ([("authorization", ""), ("x-api-key", A)], MALFORMED),
        ([("authorization", "Bearer")], digest("")),
        ([("x-api-key", "")], digest("")),
    ],
)
def test_what_a_request_presents(headers: list[tuple[str, str]], credential: str | None) -> None:
    assert credential_of(headers) == credential


@pytest.mark.parametrize(
    ("credential", "name"),
    [(digest(A), "prod"), (digest(B), "dev"), (digest("c" * 24), None), (MALFORMED, None), (A, None), (None, None)],
)
def test_a_table_knows_callers_by_digest(credential: str | None, name: str | None) -> None:
    table = KeyTable.of([("prod", A), ("dev", B)])
    assert table.name_of(credential) == name
    assert len(table) == 2
    assert table.names == ("prod", "dev")
    assert repr(table) == "KeyTable(2 keys)"


def presented(key: str) -> list[list[tuple[str, str]]]:
    """The ways in which a request may present a key."""
    return [[("authorization", f"Bearer {key}")], [("x-api-key", key)]]


KNOWN = [f"{n:04}{'k' * 20}" for n in range(1_000)]
# No key, and whatever is none: empty, another scheme, two that differ.
NO_KEYS: list[list[tuple[str, str]]] = [
    *([], [("host", "x")], [("authorization", "")], [("authorization", "Bearer")], [("authorization", f"Basic {A}")]),
    *([("x-api-key", "")], [("authorization", f"Bearer {A}"), ("authorization", f"Bearer {B}")]),
    [("x-api-key", A), ("x-api-key", B)],
]


class Counted(dict[str, Any]):
    """A table that counts how often it is asked."""

    asked = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.asked += 1
        return super().get(key, default)


@pytest.mark.parametrize("number", [0, 1, 2, len(KNOWN)])
def test_whatever_is_presented_costs_the_same(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = KeyTable.of([(f"key-{n}", key) for n, key in enumerate(KNOWN[:number])])
    told = table._names = Counted(table._names)
    work: list[str] = []

    def sha256(data: bytes) -> Any:
        work.append("digest")
        return hashlib.sha256(data)

    def compare(one: str, other: str) -> bool:
        assert len(one) == len(other) == 64, "what differs in length is compared at once"
        work.append("comparison")
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(auth, "hashlib", types.SimpleNamespace(sha256=sha256))
    monkeypatch.setattr(auth, "compare_digest", compare)
    first_middle_last = KNOWN[:number][:: max(1, (number - 1) // 2)]
    # One wrong key differs in its first character, one in its last; one is longer than any.
    wrong = [C, f"x{KNOWN[0][1:]}", f"{KNOWN[0][:-1]}x", KNOWN[-1] + "x" * 100]
    cases = [(headers, key in KNOWN) for key in [*first_middle_last, *wrong] for headers in presented(key)]
    for headers, right in [*cases, *((headers, False) for headers in NO_KEYS)]:
        work.clear()
        told.asked = 0
        assert (table.name_of(credential_of(headers)) is not None) is right, headers
        assert (sorted(work), told.asked) == (["comparison", "digest"], 1), headers


def test_an_empty_table_knows_nobody() -> None:
    assert KeyTable.of([]).name_of(None) is None


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        (" , ,", []),
        (f"prod={A}, dev = {B}", [("prod", A), ("dev", B)]),
        (f"{A},{B}", [("key-0", A), ("key-1", B)]),
        (f"prod={A},{B},", [("prod", A), ("key-1", B)]),
        # Base64: the part behind the first "=" is no key, so the item is one.
        (PADDED, [("key-0", PADDED)]),
        (PADDED[:-1], [("key-0", PADDED[:-1])]),
        (f"prod={PADDED}", [("prod", PADDED)]),
    ],
)
def test_keys_of_the_variable(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_keys(text) == pairs


def test_keys_of_a_file() -> None:
    text = f"\ufeff# ours\n\nprod={A}  # until spring\n  {B}\r\n#{A}\n{PADDED}#not-a-comment\n"
    assert parse_key_lines(text) == [("prod", A), ("file-key-1", B), ("file-key-2", f"{PADDED}#not-a-comment")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prod=short", "at least 24 characters; key 1 has 10"),
        (f"{A},{B[:-1]}", "key 2 has 23"),
        (f"prod={A} {B}", "visible ASCII without spaces; key 1"),
        (f"prod={'ä' * 24}", "visible ASCII"),
        (f"={A}", "a name has 1 to 64 printable characters; that of key 1"),
        (f"{'n' * 65}={A}", "a name has 1 to 64"),
        (f"a\x07b={A}", "a name has 1 to 64"),
        (f"prod={A},prod={B}", "share a name; keys 1 and 2"),
        (f"prod={A},{B},dev={A}", "share a key; keys 1 and 3"),
        (f"key-1={A},{B}", "share a name"),
    ],
)
@pytest.mark.parametrize(
    "parse", [parse_keys, lambda text: parse_key_lines(text.replace(",", "\n").replace("key-1", "file-key-1"))]
)
def test_a_refusal_names_the_place_and_never_the_key(text: str, said: str, parse: object) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match=said) as refusal:
        parse(text)
    for secret in (A, B, "short", "ä", "prod"):
        assert secret not in str(refusal.value)


def test_two_sources_may_not_share_a_key() -> None:
    with pytest.raises(ValueError, match="share a key; keys 1 and 2"):
        KeyTable.of([("prod", A), ("file-key-0", A)])


@given(
    st.lists(
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=",="), min_size=MIN_KEY_CHARS),
        unique=True,
    )
)
def test_whatever_is_configured_lets_its_caller_in(keys: list[str]) -> None:
    table = KeyTable.of(parse_keys(",".join(keys)))
    for index, key in enumerate(keys):
        assert table.name_of(credential_of([("authorization", f"Bearer {key}")])) == f"key-{index}"
        assert table.name_of(digest(key + "x")) is None
