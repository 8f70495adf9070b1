"""Two replicas of the real service over one Redis."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.serving import Answer, Server, canonical_trace, command
from tests.redis.kit import Servers, until

REPLICA = str(Path(__file__).with_name("replica.py"))
ROOT = str(Path(__file__).parents[2])
PAIRS = [("asyncio", "trio"), ("hypercorn", "asyncio")]

Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a replica: ``serve(argv, VSTACK_CACHE=url)``. What is left of it at the end is killed."""
    running: list[Server] = []

    def start(argv: list[str], **env: str) -> Server:
        server = Server(argv, {"VSTACK_DRAIN_DELAY": "0", "PYTHONPATH": ROOT, **env})
        # What coredis leaves of a connection that could not be made; see filterwarnings in pyproject.toml.
        server.excused.append("Unclosed <MemoryObject")
        running.append(server)
        return server.started()

    yield start
    for server in running:
        server.kill()


def replica(runtime: str, delay: float, lock: float = 5.0) -> list[str]:
    return [sys.executable, REPLICA, runtime, str(delay), str(lock)]


def asked(goal: str = "Report the highest temperature") -> dict[str, Any]:
    return {"trace": canonical_trace(goal=goal), "format": "canonical", "mode": "quick"}


def analyze(server: Server, answers: list[Answer]) -> None:
    # One that is killed does not answer.
    with contextlib.suppress(OSError):
        answers.append(server.post("/v1/analyze/aar", asked()))


def all_at_once(servers: list[Server]) -> list[Answer]:
    """Ask each for the same analysis, at the same time."""
    answers: list[Answer] = []
    threads = [threading.Thread(target=analyze, args=(server, answers)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_fifty_equal_requests_make_one_analysis(servers: Servers, serve: Serve, pair: tuple[str, str]) -> None:
    redis = servers()
    one, other = (serve(replica(runtime, 0.4), VSTACK_CACHE=redis.url) for runtime in pair)
    answers = all_at_once([one, other] * 25)
    assert [answer.status for answer in answers] == [200] * 50
    # All of them the same detection, made once.
    assert len({str(answer.json["detection"]) for answer in answers}) == 1
    assert sum(server.metric("vstack_model_calls_total") for server in (one, other)) == 1
    told = Counter(answer.headers["x-cache"] for answer in answers)
    assert told["miss"] == 1
    assert told["coalesced"] + told["hit"] == 49
    # Whoever asks later finds it in the cache, at either.
    assert [server.post("/v1/analyze/aar", asked()).headers["x-cache"] for server in (one, other)] == ["hit", "hit"]
    for server in (one, other):
        server.stop()


@pytest.mark.slow
def test_a_leader_that_is_killed_is_replaced(servers: Servers, serve: Serve) -> None:
    redis = servers()
    one, other = (
        serve(replica(runtime, delay, 0.5), VSTACK_CACHE=redis.url)
        for runtime, delay in (("trio", 30.0), ("asyncio", 0.1))
    )
    answers: list[Answer] = []
    callers = [threading.Thread(target=analyze, args=(server, answers)) for server in (one, other)]
    callers[0].start()
    assert until(lambda: "vstack:flight" in redis.ask("KEYS", "*"))
    callers[1].start()
    assert until(lambda: other.metric("vstack_requests_in_flight") == 1)
    one.kill()
    for caller in callers:
        caller.join()
    assert len(answers) == 1
    assert (answers[0].status, answers[0].headers["x-cache"]) == (200, "miss")
    other.stop()


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["asyncio", "trio", "hypercorn"])
def test_no_request_fails_for_redis(servers: Servers, serve: Serve, runtime: str) -> None:
    redis = servers()
    server = serve(
        command(runtime),
        VSTACK_CACHE=redis.url,
        VSTACK_RATE_LIMIT_STORE=redis.url,
        VSTACK_API_RATE_LIMIT="100000/60",
        VSTACK_LLM="offline",
    )

    def up(*values: float) -> bool:
        roles = ("cache", "quota")
        return tuple(server.metric("vstack_backend_up", backend=role) for role in roles) == values

    def asks(part: str) -> set[int]:
        return {server.post("/v1/analyze/aar", asked(f"{part} {number}")).status for number in range(12)}

    assert asks("before") == {200}
    # One call that comes late, as on a busy machine, says that Redis is away until the next.
    assert until(lambda: up(1, 1))
    redis.freeze()
    assert asks("frozen") == {200}
    assert up(0, 0)
    redis.thaw()
    # By itself: nobody asks for an analysis meanwhile.
    assert until(lambda: up(1, 1))
    redis.kill()
    assert asks("killed") == {200}
    redis.start()
    assert until(lambda: up(1, 1))
    assert asks("after") == {200}
    assert until(lambda: server.post("/v1/analyze/aar", asked("after 1")).headers["x-cache"] == "hit")
    server.stop()
    # Twice away, and a line a minute.
    told = Counter(line["store"] for line in server.log if line["event"] == "redis is away")
    assert set(told.values()) == {1}
    assert {"cache", "quota"} <= set(told)


@pytest.mark.slow
def test_closed_means_that_nobody_gets_past_the_quota(servers: Servers, serve: Serve) -> None:
    redis = servers()
    redis.kill()
    settings = {"VSTACK_RATE_LIMIT_STORE": redis.url, "VSTACK_API_RATE_LIMIT": "5/60", "VSTACK_LLM": "offline"}
    server = serve(command("asyncio"), VSTACK_STORE_FAILURE="closed", **settings)
    refused = server.post("/v1/analyze/aar", asked())
    assert (refused.status, refused.json["detail"]["error"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    redis.start()
    assert until(lambda: server.post("/v1/analyze/aar", asked()).status == 200)
    server.stop()
