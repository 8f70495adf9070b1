"""The forms in which Redis comes: TLS, sentinels, a cluster of six nodes, each by its URL alone."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from tests.conftest import Service
from tests.redis.conftest import Run
from tests.redis.kit import RedisServer, Servers, free_port, running, until
from vstack_proto.quota import Window
from vstack_proto.values import CacheEntry, Landing
from vstack_runtime.backends import StoreAway
from vstack_runtime.redis.cache import RedisCache
from vstack_runtime.redis.flights import RedisFlights
from vstack_runtime.redis.guard import Patience
from vstack_runtime.redis.limiter import RedisRateLimiter

# Six servers and their tests share two cores.
pytestmark = pytest.mark.usefixtures("patient_client")

PATIENT = Patience(deadline=5.0, probe=0.1)
WINDOWS = (Window(3, 600.0), Window(100, 3600.0))
ENTRY = CacheEntry(b'{"severity":"none"}', 1_700_000_000.0)
LANDED = Landing(entry=ENTRY)


async def works(url: str, keys: int = 1) -> None:
    """All that is kept in Redis, over many keys so that every node has some."""
    name = uuid.uuid4().hex
    limiter, cache = RedisRateLimiter(url, WINDOWS, patience=PATIENT), RedisCache(url, patience=PATIENT)
    one, other = RedisFlights(url, patience=PATIENT), RedisFlights(url, patience=PATIENT)
    for number in range(keys):
        key = f"{name}-{number}"
        assert [(await limiter.take(key)).admitted for _ in range(4)] == [True, True, True, False]
        assert await cache.get(key) is None
        await cache.put(key, ENTRY)
        assert await cache.get(key) == ENTRY
        assert await one.join(key, f"{key}-1") == f"{key}-1"
        assert await other.join(key, f"{key}-2") == f"{key}-1"
        heard: list[Landing | None] = []

        async def follow(key: str = key, heard: list[Landing | None] = heard) -> None:
            heard.append(await other.follow(key, f"{key}-1"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await anyio.lowlevel.checkpoint()
            await one.land(key, f"{key}-1", LANDED)
        assert heard == [LANDED]
    for store in (limiter, cache, one, other):
        await store.aclose()


# TLS.


@pytest.fixture(scope="module")
def certificates(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority of our own, and a certificate that it gave to localhost."""
    folder, openssl = tmp_path_factory.mktemp("certificates"), service("openssl")

    def run(*args: str) -> None:
        subprocess.run([openssl, *args], cwd=folder, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    run(*new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    named = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    run(*new, "-keyout", "key.pem", "-out", "cert.pem", "-CA", "ca.pem", "-CAkey", "ca.key", *named)
    return folder


def test_tls(servers: Servers, certificates: Path, run: Run[None]) -> None:
    port = free_port()
    files = [f"--tls-{part}-file" for part in ("cert", "key", "ca-cert")]
    paths = [str(certificates / name) for name in ("cert.pem", "key.pem", "ca.pem")]
    flags = [text for pair in zip(files, paths, strict=True) for text in pair]
    servers("--tls-port", str(port), "--requirepass", "p@ss/word", *flags)
    ca, cert, key = (str(certificates / name) for name in ("ca.pem", "cert.pem", "key.pem"))

    async def test() -> None:
        ours = f"?ca_file={ca}&cert_file={cert}&key_file={key}"
        await works(f"rediss://:p%40ss%2Fword@localhost:{port}/3{ours}")
        for wrong in (
            # Nobody vouches for it; the name is not in its certificate; it wants a certificate of ours.
            f"rediss://:p%40ss%2Fword@localhost:{port}",
            f"rediss://:p%40ss%2Fword@127.0.0.1:{port}{ours}",
            f"rediss://:p%40ss%2Fword@localhost:{port}?ca_file={ca}",
            f"rediss://:wrong@localhost:{port}{ours}",
        ):
            cache = RedisCache(wrong, patience=PATIENT)
            with pytest.raises(StoreAway):
                await cache.get("key")
            await cache.aclose()

    run(test)


def test_a_file_of_certificates_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        RedisCache(f"rediss://localhost?ca_file={tmp_path / 'none.pem'}")


# Sentinels.


@pytest.mark.slow
def test_sentinels_tell_where_the_server_is_and_where_it_went(servers: Servers, run: Run[None]) -> None:
    async def test() -> None:
        quick = ("--repl-diskless-sync-delay", "0")
        primary = await anyio.to_thread.run_sync(servers, *quick)
        replica = await anyio.to_thread.run_sync(servers, *quick, "--replicaof", "127.0.0.1", str(primary.port))
        # A sentinel asks for replicas every ten seconds: this one is there when it begins.
        online = f"port={replica.port},state=online"
        assert await anyio.to_thread.run_sync(until, lambda: online in primary.ask("INFO", "replication"))
        watch = (
            f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 3000\n"
        )
        sentinel = await anyio.to_thread.run_sync(lambda: servers("--sentinel", config=watch))
        known = str(replica.port)
        assert await anyio.to_thread.run_sync(until, lambda: known in sentinel.ask("SENTINEL", "REPLICAS", "main"))
        # The first of them is not there.
        url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/main"
        await works(url)
        cache = RedisCache(url, patience=Patience(deadline=0.5, probe=0.1))
        await cache.put("before", ENTRY)
        assert await anyio.to_thread.run_sync(until, lambda: "before" in replica.ask("KEYS", "*"))
        await anyio.to_thread.run_sync(primary.freeze)
        back = anyio.Event()
        cache.watch(lambda up: back.set() if up else None)
        while cache.up:
            with pytest.raises(StoreAway):
                await cache.put("lost", ENTRY)
        # By itself, once the sentinel has made the replica the primary.
        await back.wait()
        await cache.put("after", ENTRY)
        assert await cache.get("before") == ENTRY
        assert "after" in await anyio.to_thread.run_sync(replica.ask, "KEYS", "*")
        await cache.aclose()

    run(test)


# A cluster.


@pytest.fixture(scope="module")
def cluster(program: str, service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    """Three primaries and three replicas."""
    cli = service("redis-cli")
    for servers in running(program, tmp_path_factory.mktemp("cluster")):
        flags = ("--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--repl-diskless-sync-delay", "0")
        nodes = [servers(*flags) for _ in range(6)]
        hosts = [f"127.0.0.1:{node.port}" for node in nodes]
        made = [cli, "--cluster", "create", *hosts, "--cluster-replicas", "1", "--cluster-yes"]
        subprocess.run(made, check=True, capture_output=True, timeout=60)

        for node in nodes:
            assert until(partial(is_up, node))
        yield nodes


def is_up(node: RedisServer) -> bool:
    return "cluster_state:ok" in node.ask("CLUSTER", "INFO")


@pytest.mark.slow
def test_a_cluster(cluster: list[RedisServer], run: Run[None]) -> None:
    # Any of its nodes tells of the others; the first one named need not be there.
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in cluster[:2])

    async def test() -> None:
        await works(f"redis+cluster://127.0.0.1:1,{hosts}", keys=30)

    run(test)
    spread = [node.number("DBSIZE") for node in cluster]
    assert sum(1 for keys in spread if keys) == 6, spread


@pytest.mark.slow
def test_a_cluster_that_loses_a_primary(cluster: list[RedisServer], run: Run[None]) -> None:
    def primary_of(key: str) -> RedisServer:
        return next(n for n in cluster if "role:master" in n.ask("INFO", "replication") and key in n.ask("KEYS", "*"))

    async def test() -> None:
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in cluster)
        cache, key = RedisCache(url, patience=Patience(deadline=0.5, probe=0.1)), uuid.uuid4().hex
        await cache.put(key, ENTRY)
        lost = primary_of(key)
        assert await anyio.to_thread.run_sync(until, lambda: sum(key in node.ask("KEYS", "*") for node in cluster) == 2)
        await anyio.to_thread.run_sync(lost.kill)
        with pytest.raises(StoreAway):
            await cache.get(key)
        # Its replica takes over, and is found; until then the cluster says that it is down.
        found = None
        while found is None:
            # Calls that are suspended fail without a turn of the loop.
            await anyio.lowlevel.checkpoint()
            with contextlib.suppress(StoreAway):
                found = await cache.get(key)
        assert found == ENTRY
        await cache.aclose()
        await anyio.to_thread.run_sync(lost.start)
        assert await anyio.to_thread.run_sync(until, lambda: all(map(is_up, cluster)))

    run(test)
