"""The cache and the quota in Redis pass the kit that every cache and every limiter passes."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator

import pytest

from tests.redis.kit import RedisServer
from vstack_proto.quota import Window
from vstack_runtime.conformance import backends
from vstack_runtime.conformance.backends import BACKENDS, Backend, StoreScenario
from vstack_runtime.redis.cache import RedisCache
from vstack_runtime.redis.guard import Patience
from vstack_runtime.redis.limiter import RedisRateLimiter

pytestmark = pytest.mark.usefixtures("patient_client")

SLOW = Patience(deadline=10.0, probe=0.05)


@pytest.fixture
def url(shared_server: RedisServer) -> str:
    """A prefix of its own."""
    return f"{shared_server.url}?prefix=t-{uuid.uuid4().hex}"


@pytest.mark.parametrize("loop", BACKENDS)
@pytest.mark.parametrize("scenario", backends.cache_scenarios(), ids=str)
def test_the_cache_in_redis_conforms(url: str, scenario: StoreScenario, loop: Backend) -> None:
    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[RedisCache]:
        cache = RedisCache(url, patience=SLOW)
        yield cache
        await cache.aclose()

    backends.check(opened, scenario, loop)


@pytest.mark.parametrize("loop", BACKENDS)
@pytest.mark.parametrize("scenario", backends.limiter_scenarios(), ids=str)
def test_the_quota_in_redis_conforms(url: str, scenario: StoreScenario, loop: Backend) -> None:
    @contextlib.asynccontextmanager
    async def opened(windows: tuple[Window, ...]) -> AsyncIterator[RedisRateLimiter]:
        limiter = RedisRateLimiter(url, windows, patience=SLOW)
        yield limiter
        await limiter.aclose()

    backends.check(opened, scenario, loop)
