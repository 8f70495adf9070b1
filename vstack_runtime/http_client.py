"""HTTP clients for model services: made once for each provider, closed with it. Only this file knows the libraries."""

from __future__ import annotations

import contextlib
import functools
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import anyio
import httpx
import httpx2
import msgspec

from vstack_proto.encoding import SUPPORTED, BodyDecoder
from vstack_proto.errors import RemoteProtocolError
from vstack_runtime.backends import ProviderError
from vstack_runtime.tracing_headers import add_traceparent

# How long an idle connection is kept: under the 60 s after which common load balancers close it at their end.
IDLE_SECONDS = 30.0
# What TCP and TLS may take; the SDKs of the makers give 5 too.
CONNECT_SECONDS = 5.0
# A model's answer is some kilobytes; whoever sends this much is no model.
MAX_ANSWER_BYTES = 16 << 20
# What is decoded here, and counted meanwhile: the libraries decode without a bound.
_CODINGS = "gzip"

POOL_CONNECTIONS = 16

# How many connections there may be is the gate's to say. A pool's own limit would be a second queue, without an end;
# and httpcore closes idle connections too early where their number is limited.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=IDLE_SECONDS)
_LIMITS2 = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=IDLE_SECONDS)


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@functools.cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes 20 ms and half a megabyte: once for the process.
    return httpx.create_ssl_context()


class _Spread:
    """Connections in several small pools, filled one after the other.

    The pools of httpcore look at each of their connections for every request, with a system call for each idle one: at
    200 connections, 2 ms. A call waits for the head of its answer, so a pool is as full as heads are awaited from it.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._pools: list[Any] = []
        self._awaited: list[int] = []

    async def handle_async_request(self, request: Any) -> Any:
        """As a transport of httpx does."""
        at = next((n for n, awaited in enumerate(self._awaited) if awaited < POOL_CONNECTIONS), len(self._pools))
        if at == len(self._pools):
            self._pools.append(self._make())
            self._awaited.append(0)
        self._awaited[at] += 1
        try:
            return await self._pools[at].handle_async_request(request)
        finally:
            self._awaited[at] -= 1

    @property
    def pools(self) -> Sequence[Any]:
        """The transports that hold the connections."""
        return self._pools

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools:
            await pool.aclose()


class _Spread1(_Spread, httpx.AsyncBaseTransport):
    """For httpx."""


class _Spread2(_Spread, httpx2.AsyncBaseTransport):
    """For httpx2."""


@contextlib.asynccontextmanager
async def reclaiming(client: httpx.AsyncClient | httpx2.AsyncClient) -> AsyncIterator[None]:
    """Where what is done here fails, leave no connection of the client to nobody.

    A call that is cancelled once its connection stands, but before it has begun to use it, leaves it open for ever:
    https://github.com/encode/httpcore/issues/1093, and in part in httpcore2 as well. What is looked at has no public
    name; a test leaves calls at each of their steps.
    """
    try:
        yield
    except BaseException:
        with anyio.CancelScope(shield=True):
            for transport in {client._transport, *client._mounts.values()} - {None}:
                for one in transport.pools if isinstance(transport, _Spread) else [transport]:
                    await _reclaim(one)
        raise


async def _reclaim(transport: Any) -> None:
    """Close the connections that no request holds, and that wait for none."""
    pool = transport._pool
    held = {id(request.connection) for request in pool._requests}
    for connection in pool.connections:
        if id(connection) not in held and not connection.is_idle() and not connection.is_closed():
            pool._connections.remove(connection)
            await connection.aclose()


def _direct() -> bool:
    """Whether services are reached without a proxy; a transport of our own would keep httpx from using it."""
    return not urllib.request.getproxies()


def look(url: str, within: float) -> Answer:
    """One GET by itself, for whoever only wants to see what is there; ``within`` seconds. Redirects are not followed.

    Raises:
        OSError: There was no answer; the text says why.
    """
    try:
        told = httpx.get(url, timeout=within, trust_env=False, verify=_tls())
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        raise OSError(str(fault) or type(fault).__name__) from None
    return Answer(told.status_code, {name.lower(): value for name, value in told.headers.items()}, told.content)


def _timeout(within: float) -> httpx.Timeout:
    return httpx.Timeout(max(within, 0.001), connect=min(max(within, 0.001), CONNECT_SECONDS))


def connection_failed(name: str, fault: BaseException | None) -> str:
    """What a caller is told of a connection to ``name`` that failed."""
    cause = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {name} is not trusted; SSL_CERT_FILE may name a file of authorities"
        cause = cause.__cause__ or cause.__context__
    # Its text may hold addresses and more; the name of its type says what a caller can use.
    return f"the connection to {name} failed ({type(fault).__name__})"


class _Body(httpx.AsyncByteStream):
    """A request's body in one piece.

    httpx's own is an async generator, which a cancelled call leaves unfinished; trio warns of every such one.
    """

    def __init__(self, data: bytes) -> None:
        self._left: bytes | None = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data, self._left = self._left, None
        if data is None:
            raise StopAsyncIteration
        return data


async def _whole(name: str, response: Any) -> bytes:
    """The body of an answer of httpx or httpx2, decoded.

    Raises:
        ProviderError: It has more than ``MAX_ANSWER_BYTES``, as it is sent or decoded, or cannot be decoded.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async for part in response.aiter_raw():
            size += len(part)
            if size <= MAX_ANSWER_BYTES:
                parts.append(part)
            else:
                # Read on until it notices: trio complains of iterators that are left halfway.
                await response.aclose()
    except (httpx.TransportError, httpx2.TransportError):
        if size <= MAX_ANSWER_BYTES:
            raise
    if size > MAX_ANSWER_BYTES:
        raise _too_much(name)
    return _decoded(name, response.headers.get("content-encoding", "").strip().lower(), b"".join(parts))


def _decoded(name: str, coding: str, body: bytes) -> bytes:
    if not body or coding in ("", "identity"):
        return body
    if coding in SUPPORTED:
        decoder = BodyDecoder(coding, MAX_ANSWER_BYTES)
        try:
            body = decoder.decode(body)
            decoder.finish()
            return body
        except RemoteProtocolError as fault:
            if fault.status == 413:
                raise _too_much(name) from None
    raise ProviderError("unavailable", f"{name} sent an answer that cannot be decoded")


def _too_much(name: str) -> ProviderError:
    return ProviderError("rejected", f"{name} sent more than {MAX_ANSWER_BYTES} bytes")


class JsonClient:
    """Posts JSON to one service, over connections that are kept."""

    def __init__(self, name: str, base_url: str, headers: Mapping[str, str]) -> None:
        """
        Args:
            name: Of the provider, for what a caller is told.
            base_url: To which paths are appended.
            headers: Sent with every request; may hold a key, which no error text will.
        """
        self._name = name
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={
                "accept": "application/json",
                "accept-encoding": _CODINGS,
                "content-type": "application/json",
                **headers,
            },
            limits=_LIMITS,
            verify=_tls(),
            event_hooks={"request": [add_traceparent]},
            transport=_Spread1(lambda: httpx.AsyncHTTPTransport(limits=_LIMITS, verify=_tls())) if _direct() else None,
        )

    async def post(self, path: str, body: bytes, within: float) -> Answer:
        """Post a body, and read the whole answer whatever its status.

        Args:
            path: Relative to the base.
            body: JSON.
            within: Seconds.

        Raises:
            ProviderError: ``late``, or ``unavailable`` where the connection failed or the answer broke off.
        """
        try:
            async with reclaiming(self._client):
                return await self._posted(path, body, within)
        # What is raised holds no cause: a library's error may quote the headers, and with them the key.
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            raise ProviderError("late", f"{self._name} did not answer in time") from None
        except httpx.TransportError as fault:
            raise ProviderError("unavailable", connection_failed(self._name, fault)) from None

    async def _posted(self, path: str, body: bytes, within: float) -> Answer:
        request = self._client.build_request("POST", path, content=body, timeout=_timeout(within))
        request.stream = _Body(body)
        response = await self._client.send(request, stream=True)
        async with contextlib.aclosing(response):
            body = await _whole(self._name, response)
            return Answer(response.status_code, dict(response.headers), body)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()


@functools.cache
def _tls2() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class _Bounded(httpx2.AsyncClient):
    """A client that reads an answer as ``JsonClient`` does, for an SDK that would read it to its end."""

    async def send(self, request: httpx2.Request, *, stream: bool = False, **how: Any) -> httpx2.Response:
        response = await super().send(request, stream=True, **how)
        if stream:
            return response
        async with contextlib.aclosing(response):
            body = await _whole("anthropic", response)
        fields = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_WIRE]
        return httpx2.Response(
            response.status_code, headers=fields, content=body, request=request, extensions=response.extensions
        )


# They tell of the body as it was sent.
_OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")


def anthropic_client() -> httpx2.AsyncClient:
    """The client that Anthropic's SDK is given, limited as ``JsonClient``; each call brings its timeout."""
    return _Bounded(
        headers={"accept-encoding": _CODINGS},
        limits=_LIMITS2,
        event_hooks={"request": [add_traceparent]},
        transport=_Spread2(lambda: httpx2.AsyncHTTPTransport(limits=_LIMITS2, verify=_tls2())) if _direct() else None,
        timeout=httpx2.Timeout(120.0, connect=CONNECT_SECONDS),
        verify=_tls2(),
        follow_redirects=False,
    )


def anthropic_timeout(within: float) -> httpx2.Timeout:
    """What is left of a deadline, in the words of Anthropic's SDK."""
    return httpx2.Timeout(max(within, 0.001), connect=min(max(within, 0.001), CONNECT_SECONDS))


def connect_timed_out(fault: BaseException | None) -> bool:
    """Whether a fault of Anthropic's SDK stands for a connection that was never made, so that a deadline may remain."""
    return isinstance(fault, httpx2.ConnectTimeout | httpx2.PoolTimeout)
