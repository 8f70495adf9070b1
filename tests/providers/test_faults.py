"""Every fault of a service, met by the whole service with each real client under both runtimes.

What a caller is answered, how often the service is asked, after which pauses, and what is counted: ``faults.py`` has
the table. Pauses pass a thousand times as fast as they would; only where a service hangs is there anything to wait for.
"""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import anyio
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.model_service import PATIENCE, FakeServer, serving
from tests.providers.faults import FAULTS, HANGING, SHORT_SECONDS, TLS, Fault
from tests.providers.kit import (
    DRAWN,
    NAMES,
    RUNTIMES,
    Hurried,
    counted,
    dated,
    provider,
    run,
    seen,
)
from tests.providers.served import Answer, page, post
from vstack_proto.patterns.aar import PATTERN
from vstack_runtime import serve
from vstack_runtime.providers.guarded import GuardedProvider, Limits
from vstack_runtime.settings import Settings

# As the service has it.
CUT_SECONDS = 0.25
TOKENS = ("input", "output", "cache_read", "cache_write")


class Met(msgspec.Struct):
    """What an analysis came to, in the words of ``Fault``; ``retries`` and what follows is what the metrics tell."""

    status: int
    code: str
    retry_after: int | None
    calls: int
    waits: list[float]
    retries: int
    outcomes: list[str]
    tokens: dict[str, int]
    priced: bool


def expected(fault: Fault, name: str) -> Met:
    one = counted(name)
    each = (one.input_tokens, one.output_tokens, one.cache_read_tokens, one.cache_write_tokens)
    return Met(
        status=fault.status,
        code=fault.code,
        retry_after=fault.retry_after,
        calls=fault.calls,
        waits=list(fault.waits),
        retries=len(fault.waits),
        outcomes=list(fault.outcomes),
        tokens={kind: fault.paid * count for kind, count in zip(TOKENS, each, strict=True)},
        priced=fault.paid > 0 and name != "ollama",
    )


class Told(msgspec.Struct):
    """What came of one request: the answer, the metrics afterwards, the pauses, and what it took."""

    answer: Answer
    metrics: str
    waits: list[float]
    seconds: float


@contextmanager
def peer(fault: Fault, tls: ssl.SSLContext | None) -> Iterator[tuple[FakeServer, str]]:
    """The service that has the fault, and where its clients look for it."""
    script = list(fault.script)
    if fault.dated is not None:
        asks = (("retry-after", dated(fault.dated)),)
        script = [msgspec.structs.replace(act, headers=asks) if act.status >= 400 else act for act in script]
    with serving(*script, tls=tls if fault.where == "unknown" else None) as server, socket.socket() as nobody:
        # A port that is taken, and at which nobody listens.
        nobody.bind(("127.0.0.1", 0))
        where = {"there": server.url, "nowhere": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        yield server, where.get(fault.where, f"https://127.0.0.1:{server.port}")


async def analysed(fault: Fault, name: str, server: FakeServer, url: str) -> Told:
    """Ask the whole service for one analysis."""
    policy = Hurried()
    limits = Limits(policy=policy, cut_after=CUT_SECONDS)
    guarded = GuardedProvider(provider(name, url), limits=limits, draw=lambda: DRAWN)
    settings = Settings.from_env({"VSTACK_API_REQUEST_TIMEOUT": str(fault.within)})
    # Whoever waits this long waits for nothing.
    with anyio.fail_after(SHORT_SECONDS + 2 * PATIENCE) as scope:
        async with serve(settings, port=0, provider=guarded, patterns=[PATTERN]) as port:
            began = anyio.current_time()
            answer = await post(port)
            seconds = anyio.current_time() - began
            if fault in HANGING:
                # While the service and its clients go on: only this call's own connection may be closed.
                assert await seen(server, lambda: not server.open)
            metrics = await page(port)
            # How a service ends is not to be seen here, and takes its time.
            scope.cancel()
    await guarded.aclose()
    return Told(answer, metrics, policy.waited, seconds)


def met(fault: Fault, told: Told, calls: int) -> Met:
    """What the records say."""
    (status, headers, body), waits = told.answer, told.waits
    retry = int(headers["retry-after"]) if "retry-after" in headers else None
    if fault.dated is not None:
        # A date has no parts of a second, and some time has passed since it was written.
        waits = [float(on_date(fault, wait)) for wait in waits]
        retry = None if retry is None else on_date(fault, retry)
    samples = [one for family in text_string_to_metric_families(told.metrics) for one in family.samples]
    found = Counter[tuple[str, str]]()
    for one in samples:
        found[one.name, one.labels.get("type", one.labels.get("outcome", ""))] += int(one.value)
    ended = "vstack_model_calls_total"
    return Met(
        status=status,
        code="" if status == 200 else body["detail"]["error"],
        retry_after=retry,
        calls=calls,
        waits=waits,
        retries=found["vstack_model_retries_total", ""],
        outcomes=[kind for (name, kind), count in found.items() if name == ended for _ in range(count)],
        tokens={kind: found["vstack_tokens_total", kind] for kind in TOKENS},
        priced=any(one.name == "vstack_cost_usd_total" and one.value > 0 for one in samples),
    )


def on_date(fault: Fault, seconds: float) -> int:
    assert fault.dated is not None
    assert fault.dated - PATIENCE < seconds <= fault.dated
    return fault.dated


def check(fault: Fault, name: str, runtime: str, tls: ssl.SSLContext | None = None) -> None:
    """Let one provider meet a fault, and look at all that comes of it."""
    with peer(fault, tls) as (server, url):
        told = run(runtime, lambda: analysed(fault, name, server, url))
        assert server.wait_until(lambda: not server.open)
    compare(fault, name, told, server)


def compare(fault: Fault, name: str, told: Told, server: FakeServer) -> None:
    body = told.answer[2]
    came, due = met(fault, told, len(server.asked)), expected(fault, name)
    assert came == due, (fault.name, name, body)
    if not fault.calls:
        # It never came to a request, but each try to a connection.
        assert server.opened == (0 if fault.where == "nowhere" else 1 + len(fault.waits))
    if fault.status == 200:
        found = body["detection"]
        assert (found["llm_calls"], found["tokens_total"]) == (fault.paid, 110 * fault.paid)
    else:
        assert (fault.says or name) in body["detail"]["message"]
    assert "sk-secret" not in str(told)


MATRIX = [pytest.param(f, n, r, id=f"{f.name}-{n}-{r}") for f in FAULTS for n in f.only for r in RUNTIMES]


@pytest.mark.parametrize(("fault", "name", "runtime"), MATRIX)
def test_the_fault_matrix(fault: Fault, name: str, runtime: str) -> None:
    check(fault, name, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", TLS, ids=lambda fault: fault.name)
def test_tls_that_fails(fault: Fault, name: str, runtime: str, stranger: ssl.SSLContext) -> None:
    check(fault, name, runtime, stranger)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_the_deadline_is_kept_and_the_upstream_call_closed(name: str, runtime: str) -> None:
    """All that hangs at once, since each takes as long as its deadline."""
    found: dict[str, Told] = {}

    async def one(fault: Fault, server: FakeServer, url: str) -> None:
        found[fault.name] = await analysed(fault, name, server, url)

    async def together(peers: list[tuple[FakeServer, str]]) -> None:
        async with anyio.create_task_group() as tasks:
            for fault, (server, url) in zip(HANGING, peers, strict=True):
                tasks.start_soon(one, fault, server, url)

    with ExitStack() as stack:
        peers = [stack.enter_context(peer(fault, None)) for fault in HANGING]
        run(runtime, lambda: together(peers))
    for fault, (server, _) in zip(HANGING, peers, strict=True):
        told = found[fault.name]
        compare(fault, name, told, server)
        # Not sooner; how much later is measured by the benchmarks.
        assert told.seconds >= fault.within
