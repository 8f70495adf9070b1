"""Every fault of a service, met by every real client under both runtimes: the error, the calls made, the tokens."""

from __future__ import annotations

import datetime as dt
import email.utils
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import msgspec
import pytest

from tests.conftest import Service
from tests.fakes.model_service import Act, serving
from tests.providers.kit import KEY, NAMES, QUICK, RUNTIMES, Heard, asked, counted, provider, question, run, seen
from vstack_proto.values import Usage
from vstack_runtime import http_client
from vstack_runtime.backends import ProviderError
from vstack_runtime.providers.common import Reply
from vstack_runtime.providers.guarded import GuardedProvider


class Fault(msgspec.Struct, frozen=True):
    """A fault: what the server does, and what comes of it.

    Attributes:
        calls: How often the server is asked, retries included.
        paid: How many answers' tokens are counted.
        only: The providers that can meet it.
    """

    name: str
    act: Act
    kind: str
    calls: int = 1
    paid: int = 0
    within: float = 20.0
    only: tuple[str, ...] = NAMES


WRONG = b'{"detail": "not what the API answers"}'
FAULTS = (
    *(Fault(f"{n}", Act(status=n), "unavailable", 3) for n in (408, 409, 429, 500, 502, 503, 529)),
    *(Fault(f"{n}", Act(status=n, error="invalid_request_error"), "rejected") for n in (400, 401, 403, 404, 413, 422)),
    Fault("redirect", Act(status=302, headers=(("location", "/elsewhere"),)), "rejected"),
    Fault("malformed", Act(body=b'{"content": ['), "unavailable", 3),
    Fault("not JSON", Act(body=b"<html>busy</html>"), "unavailable", 3),
    Fault("a list", Act(body=b"[1]"), "unavailable", 3),
    Fault("wrong shape", Act(body=WRONG), "unavailable", 3),
    Fault("half a body", Act(cut=20), "unavailable", 3),
    Fault("no body", Act(cut=0), "unavailable", 3),
    Fault("reset", Act(reset=True), "unavailable", 3),
    Fault("hang", Act(hang=True), "late", within=0.15),
    Fault("slow head", Act(delay=5.0), "late", within=0.15),
    Fault("slow body", Act(slow=0.2), "late", within=0.15),
    Fault("refusal", Act(stop="refusal"), "refused", paid=1, only=("anthropic", "openai")),
    Fault("filtered", Act(stop="content_filter"), "refused", paid=1, only=("openai",)),
    Fault("out of tokens", Act(stop="max_tokens"), "truncated", paid=1),
    Fault("out of window", Act(stop="context"), "truncated", paid=1, only=("anthropic",)),
    Fault("no window", Act(status=400, error="context_length_exceeded"), "truncated", only=("openai",)),
    Fault("no credit", Act(status=429, error="insufficient_quota"), "rejected", only=("openai",)),
    Fault("asked too long", Act(status=429, headers=(("retry-after", "60"),)), "unavailable"),
)
MATRIX = [pytest.param(f, n, r, id=f"{f.name}-{n}-{r}") for f in FAULTS for n in f.only for r in RUNTIMES]


@pytest.mark.parametrize(("fault", "name", "runtime"), MATRIX)
def test_the_fault_matrix(fault: Fault, name: str, runtime: str) -> None:
    heard = Heard()
    with serving(fault.act) as server:
        guarded = GuardedProvider(provider(name, server.url), limits=QUICK)
        guarded.watch(heard)
        began = time.monotonic()
        with pytest.raises(ProviderError) as caught:
            asked(runtime, guarded, fault.within)
        took = time.monotonic() - began
        assert server.wait_until(lambda: not server.open)
    error = caught.value
    assert (error.kind, len(server.asked)) == (fault.kind, fault.calls)
    assert error.usage == (counted(name) if fault.paid else Usage())
    assert len(heard.retries) == fault.calls - 1
    assert "sk-secret" not in error.message
    assert name in error.message or "claude" in error.message
    # It ends by itself, long before any client's own patience; how soon is measured by the benchmark.
    assert took < 10.0


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_an_answer(name: str, runtime: str) -> None:
    with serving(Act(text='{"found": "it"}')) as server:
        reply = asked(runtime, GuardedProvider(provider(name, server.url), limits=QUICK))
    assert reply == Reply('{"found": "it"}', counted(name))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_what_passes_is_tried_again_and_only_what_was_answered_is_paid(name: str, runtime: str) -> None:
    heard = Heard()
    with serving(Act(status=503), Act(cut=9), Act(text="{}")) as server:
        guarded = GuardedProvider(provider(name, server.url), limits=QUICK)
        guarded.watch(heard)
        assert asked(runtime, guarded).usage == counted(name)
    assert heard.retries == [name, name]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
def test_nobody_there(name: str, runtime: str) -> None:
    with serving() as server:
        url = server.url
    with pytest.raises(ProviderError) as caught:
        asked(runtime, provider(name, url))
    assert caught.value.kind == "unavailable"
    assert "(ConnectError)" in caught.value.message


# TLS that fails: what the server is, and what the caller is told.


@pytest.fixture(scope="session")
def certificate(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is signed by nobody else; its key lies beside it."""
    folder = tmp_path_factory.mktemp("stranger")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=a"
    named = ["-addext", "subjectAltName=IP:127.0.0.1"]
    argv = [service("openssl"), *made.split(), *named, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True, timeout=20.0)
    return certificate


@pytest.fixture(scope="session")
def stranger(certificate: Path) -> ssl.SSLContext:
    """A server that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


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
    ("known", "plain", "told"),
    [
        pytest.param(False, False, "certificate of", id="unknown authority"),
        pytest.param(True, True, "(ConnectError)", id="plain text"),
        pytest.param(True, False, "(ConnectError)", id="cut in the handshake"),
    ],
)
def test_tls_that_fails(known: bool, plain: bool, told: str, name: str, runtime: str, stranger: ssl.SSLContext) -> None:
    heard = Heard()
    with serving(Act(plain=plain), tls=None if known else stranger) as server:
        guarded = GuardedProvider(provider(name, server.url.replace("http:", "https:")), limits=QUICK)
        guarded.watch(heard)
        with pytest.raises(ProviderError) as caught:
            asked(runtime, guarded)
        assert server.wait_until(lambda: not server.open)
    error = caught.value
    assert (error.kind, error.usage, server.asked) == ("unavailable", Usage(), [])
    assert (server.opened, heard.retries) == (3, [name] * 2)
    assert told in error.message
    assert "sk-secret" not in error.message


def dated(seconds: float) -> str:
    """A date so many seconds from now, as a service writes it; parts of a second are cut off."""
    return email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds), usegmt=True)


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
