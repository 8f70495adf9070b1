"""The real clients at the fake service: what they make of an answer, of TLS and of headers, and what they keep to
themselves. What becomes of every fault is in ``test_faults.py``.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.fakes.model_service import Act, serving
from tests.providers.kit import KEY, NAMES, QUICK, RUNTIMES, asked, counted, dated, provider, question, run, seen
from vstack_runtime import http_client
from vstack_runtime.backends import ProviderError
from vstack_runtime.providers.common import Reply
from vstack_runtime.providers.guarded import GuardedProvider


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_an_answer(name: str, runtime: str) -> None:
    with serving(Act(text='{"found": "it"}')) as server:
        reply = asked(runtime, GuardedProvider(provider(name, server.url), limits=QUICK))
    assert reply == Reply('{"found": "it"}', counted(name))


@pytest.fixture
def anew() -> Iterator[None]:
    """The certificates of authorities are read once for the process: have it read them again, now and afterwards."""
    kept = (http_client._tls, http_client._tls2)
    for one in kept:
        one.cache_clear()
    yield
    for one in kept:
        one.cache_clear()


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("name", NAMES)
def test_an_authority_of_ones_own_is_trusted(
    name: str, certificate: Path, stranger: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(tls=stranger) as server:
        assert asked("asyncio", provider(name, server.url)).text == "{}"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"retry-after": "17"}, 17.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "2500", "retry-after": "3"}, 2.5),
        ({"retry-after": "soon"}, None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], told: float | None, name: str, runtime: str) -> None:
    assert come_back(headers, name, runtime) == told


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_date_to_come_back_at(name: str, runtime: str) -> None:
    assert come_back({"retry-after": dated(-60)}, name, runtime) == 0.0
    began = time.time()
    told = come_back({"retry-after": dated(3600)}, name, runtime)
    # By the seconds that have passed in this test, and the part of one that the date does not show.
    assert told is not None
    assert 3600 - 1 - (time.time() - began) <= told <= 3600


def come_back(headers: dict[str, str], name: str, runtime: str) -> float | None:
    """When a client says that a service wants to be asked again, in seconds."""
    act = Act(status=429, headers=tuple(headers.items()))
    with serving(act) as server, pytest.raises(ProviderError) as caught:
        asked(runtime, provider(name, server.url))
    return caught.value.retry_after


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_cancelled_call_closes_its_socket(name: str, runtime: str) -> None:
    with serving(Act(hang=True)) as server:
        guarded = GuardedProvider(provider(name, server.url), limits=QUICK)

        async def leave() -> float:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(guarded.ask, question(), 60.0)
                assert await seen(server, lambda: server.asked)
                tasks.cancel_scope.cancel()
            began = time.monotonic()
            # The client as a whole stays open: only the call's own connection may go.
            assert await seen(server, lambda: not server.open)
            took = time.monotonic() - began
            await guarded.aclose()
            return took

        assert run(runtime, leave) < 1.0


def test_the_key_goes_to_the_service_and_nowhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("anthropic", "openai"):
        with serving(Act(status=401, error=KEY)) as server, pytest.raises(ProviderError) as caught:
            asked("asyncio", provider(name, server.url))
        assert KEY in server.asked[0].headers["authorization"]
        printed = "".join(capsys.readouterr())
        chain = [caught.value, caught.value.__cause__]
        assert not any(KEY in text or "sk-" in text for text in (printed, *map(repr, chain)))
