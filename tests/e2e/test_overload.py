"""Five times as many callers as there is room for: real server, real client, and a fake model service."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from benchmarks.overload import TIMES, Told, closed_loop, open_loop
from tests.e2e.conftest import Serve
from tests.e2e.serving import Runtime, canonical_trace
from tests.fakes.model_service import Act, serving

CALLS = 4
ROOM = 3 * CALLS
MODEL_SECONDS = 0.1
# Which of the two limits is met: the calls that run and wait, or the analyses that are let in.
LIMITS = {
    "calls": {"VSTACK_LLM_MAX_CONCURRENCY": f"{CALLS}"},
    "analyses": {"VSTACK_API_MAX_IN_FLIGHT": f"{CALLS}"},
}


def check(told: Told) -> None:
    assert set(told.statuses) == {b"200", b"503"}
    assert told.without_wait == 0
    # They are asked one after the other, and all of them answer.
    assert len(told.probes) >= 2
    assert told.failed_probes == 0


@pytest.mark.slow
@pytest.mark.parametrize("limit", LIMITS)
def test_who_is_too_many_is_told_to_come_back_and_the_others_are_served(
    serve: Serve, runtime: Runtime, limit: str
) -> None:
    with serving(Act(text=None, delay=MODEL_SECONDS)) as upstream:
        env = {"ANTHROPIC_API_KEY": "sk-ant-overload", "ANTHROPIC_BASE_URL": upstream.url, **LIMITS[limit]}
        server = serve(runtime, **env)
        numbers = itertools.count()
        check(asyncio.run(closed_loop(server.port, numbers, TIMES * ROOM, 1.0)))
        check(asyncio.run(open_loop(server.port, numbers, TIMES * CALLS / MODEL_SECONDS, 1.0)))
        # Nothing of it is left: neither places that nobody gives back, nor a breaker that took it for a failure.
        told = server.post("/v1/analyze/aar", {"trace": canonical_trace(goal="After it"), "format": "canonical"})
        assert told.status == 200
        assert server.metric("vstack_requests_in_flight") == 0
