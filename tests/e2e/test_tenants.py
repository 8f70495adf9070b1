"""Callers who are kept apart (``VSTACK_CACHE_SCOPE=key``) share nothing, least of all an analysis under way."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, BOB, Answer, Runtime, Server, bearer, canonical_trace
from tests.e2e.test_cache import SLOW

APART = {"VSTACK_API_KEYS": f"alice={ALICE},bob={BOB}", "VSTACK_CACHE_SCOPE": "key"}


class Caller(NamedTuple):
    """Somebody with a key, or without one at an address."""

    key: str = ""
    source: str = "127.0.0.1"


TWO_KEYS = (Caller(ALICE), Caller(BOB))
# Who has no key is told apart by address.
TWO_ADDRESSES = (Caller(source="127.0.0.2"), Caller(source="127.0.0.3"))


def body(goal: str) -> bytes:
    return json.dumps({"trace": canonical_trace(goal=goal), "format": "canonical", "mode": "quick"}).encode()


def at_once(servers: Sequence[Server], callers: Sequence[Caller], times: int, sent: bytes) -> list[list[Answer]]:
    """The same request from each caller so often at each server, all of them before any answer is read."""
    fields = "POST /v1/analyze/aar HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
    with contextlib.ExitStack() as stack:
        lines = []
        for number in range(times * len(servers) * len(callers)):
            caller = callers[number % len(callers)]
            line = stack.enter_context(servers[number // len(callers) % len(servers)].connected(caller.source))
            own = f"Authorization: Bearer {caller.key}\r\n" if caller.key else ""
            line.send(f"{fields}{own}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
            lines.append(line)
        answers = [line.answer() for line in lines]
    return [answers[number :: len(callers)] for number in range(len(callers))]


def are_apart(servers: Sequence[Server], callers: Sequence[Caller]) -> None:
    """Each of two callers has one analysis of his own: while it is made, and when it is asked for again."""
    sent = body("Tell nobody")
    each = at_once(servers, callers, 4, sent)
    runs = [{answer.json["detection"]["run_id"] for answer in answers} for answers in each]
    assert [len(one) for one in runs] == [1, 1], "the equal requests of one caller are one analysis"
    assert not runs[0] & runs[1]
    for answers in each:
        assert {answer.status for answer in answers} == {200}
        assert [answer.headers["x-cache"] for answer in answers].count("miss") == 1
    assert sum(server.metric("vstack_model_calls_total") for server in servers) == 2
    for number, caller in enumerate(callers):
        headers = bearer(caller.key) if caller.key else {}
        # As it was, and in other words: by the bytes, and by what they mean.
        for again in (sent, sent.replace(b'{"', b'{ "')):
            told = servers[0].post("/v1/analyze/aar", again, headers, source=caller.source)
            assert told.headers["x-cache"] == "hit"
            assert {told.json["detection"]["run_id"]} == runs[number]
    # What one of them has is no hit for the other.
    for number, caller in enumerate(callers):
        headers = bearer(caller.key) if caller.key else {}
        mine = servers[0].post("/v1/analyze/aar", body("Mine alone"), headers, source=caller.source)
        assert mine.headers["x-cache"] == "miss", number


@pytest.mark.parametrize("callers", [TWO_KEYS, TWO_ADDRESSES], ids=["keys", "addresses"])
def test_two_callers_share_neither_cache_nor_flight(
    serve: Serve, runtime: Runtime, callers: tuple[Caller, Caller]
) -> None:
    env = APART if callers[0].key else {"VSTACK_CACHE_SCOPE": "key"}
    are_apart([serve(runtime, argv=[sys.executable, SLOW, runtime, "0.3"], VSTACK_CACHE="memory", **env)], callers)


def test_without_a_cache_flights_are_apart_as_well(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, argv=[sys.executable, SLOW, runtime, "0.3"], **APART)
    each = at_once([server], TWO_KEYS, 4, body("Tell nobody"))
    assert [len({answer.json["detection"]["run_id"] for answer in answers}) for answers in each] == [1, 1]
    assert server.metric("vstack_model_calls_total") == 2


def test_where_the_leader_leaves_no_other_key_takes_over(serve: Serve, runtime: Runtime) -> None:
    """Who leads an analysis leaves: the heir has the same key, and whoever waits with another goes on with his own."""
    server = serve(runtime, argv=[sys.executable, SLOW, runtime, "1"], VSTACK_CACHE="memory", **APART)
    sent = body("Handed over")
    head = "POST /v1/analyze/aar HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n"
    with server.connected() as leader, server.connected() as bob, server.connected() as heir:
        for line, key in [(leader, ALICE), (bob, BOB), (heir, ALICE)]:
            line.send(head.format(key, len(sent)).encode() + sent)
        assert server.until(lambda: server.metric("vstack_requests_in_flight") == 2)
        leader.__exit__()
        theirs, mine = bob.answer(), heir.answer()
    assert (theirs.status, mine.status) == (200, 200)
    assert theirs.json["detection"]["run_id"] != mine.json["detection"]["run_id"]
