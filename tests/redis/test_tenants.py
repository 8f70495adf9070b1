"""Two replicas over one Redis keep callers apart: cache, flights and learnings."""

from __future__ import annotations

import pytest

from tests.e2e import test_learnings, test_tenants
from tests.e2e.serving import command
from tests.e2e.test_tenants import APART, TWO_KEYS
from tests.redis.kit import RedisServer, Servers
from tests.redis.test_replicas import PAIRS, Serve, replica, serve

__all__ = ["serve"]


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_two_keys_share_neither_cache_nor_flight(servers: Servers, serve: Serve, pair: tuple[str, str]) -> None:
    redis = servers()
    replicas = [serve(replica(runtime, 0.4), VSTACK_CACHE=redis.url, **APART) for runtime in pair]
    test_tenants.are_apart(replicas, TWO_KEYS)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["asyncio", "trio", "hypercorn"])
def test_a_learning_is_its_keys_own(servers: Servers, serve: Serve, runtime: str) -> None:
    redis: RedisServer = servers()
    test_learnings.are_apart(serve(command(runtime), VSTACK_LEARNINGS=redis.url, **test_learnings.KEYS))
