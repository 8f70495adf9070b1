"""The corpus through real proxies: what a proxy forwards as one request, the service takes as one request.

Two that disagree where a request ends are how requests are smuggled. So each byte sequence goes through nginx and
haproxy to each runtime, with another request behind it. The proxies name the port that a request came from, in their
own log and in its request id: so both logs tell what came of each sequence.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.deploy.conftest import Start, free_port
from tests.deploy.conftest import start as start  # the fixture, for this folder too
from tests.e2e.conftest import Serve
from tests.e2e.conftest import serve as serve
from tests.e2e.serving import PATIENCE, RUNTIMES, Runtime, Server
from tests.wire.corpus import CASES, Case

MARK = b"GET /behind HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"

NGINX = """
{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    log_format forwarded '$remote_port $upstream_status $request_method';
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream service {{ server 127.0.0.1:{service}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        access_log {folder}/access.log forwarded;
        client_header_timeout 1s; client_body_timeout 1s; lingering_close off; keepalive_timeout 1s;
        location / {{
            proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $host; proxy_set_header X-Request-ID $remote_port;
            proxy_request_buffering {buffering};
        }}
    }}
}}
"""
HAPROXY = """
global
    log stdout format raw daemon
defaults
    mode http
    log global
    log-format "%cp %s %HM"
    option http-keep-alive
    http-reuse always
    timeout connect 2s
    timeout client 1s
    timeout server 10s
    timeout http-request 1s
    timeout http-keep-alive 1s
frontend front
    bind 127.0.0.1:{port}
    http-request set-header X-Request-ID %[src_port]
    default_backend service
backend service
    server vstack 127.0.0.1:{service}
"""
Through = Callable[[Server], tuple[int, Path]]


@pytest.fixture(params=["nginx", "nginx unbuffered", "haproxy"])
def through(request: pytest.FixtureRequest, service: Service, start: Start, tmp_path: Path) -> Through:
    """Put a proxy in front of a server: its port, and its log, a line a request."""
    kind = str(request.param)
    program = service(kind.split()[0])

    def nginx(server: Server) -> tuple[int, Path]:
        port, conf = free_port(), tmp_path / "nginx.conf"
        # As root, its workers would become somebody who may not write here.
        user = "user root;" if os.getuid() == 0 else ""
        buffering = "off" if "unbuffered" in kind else "on"
        conf.write_text(NGINX.format(user=user, buffering=buffering, folder=tmp_path, service=server.port, port=port))
        start([program, "-e", f"{tmp_path}/error.log", "-p", str(tmp_path), "-c", str(conf)], port)
        return port, tmp_path / "access.log"

    def haproxy(server: Server) -> tuple[int, Path]:
        port, conf = free_port(), tmp_path / "haproxy.cfg"
        conf.write_text(HAPROXY.format(service=server.port, port=port))
        start([program, "-db", "-f", str(conf)], port)
        return port, tmp_path / "program.log"

    return haproxy if kind == "haproxy" else nginx


def exchange(port: int, data: bytes) -> str:
    """Send bytes, and read to the end; the port that they came from."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        own = str(sock.getsockname()[1])
        with contextlib.suppress(OSError):
            sock.sendall(data)
            while sock.recv(65_536):
                pass
        return own


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_both_see_the_same_requests(runtime: Runtime, serve: Serve, through: Through) -> None:
    server = serve(runtime)
    port, log = through(server)
    with ThreadPoolExecutor(24) as pool:
        ports: list[str] = list(pool.map(lambda case: exchange(port, case.data + MARK), CASES))
    names: dict[str, Case] = dict(zip(ports, CASES, strict=True))
    end = exchange(port, b"GET /end HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
    assert server.until(lambda: f"\n{end} " in log.read_text(errors="replace"))
    server.wait_for(lambda line: line.get("request_id") == end)
    seen: defaultdict[str, list[str]] = defaultdict(list)
    for line in log.read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) == 3 and words[0] in names and words[2] != "<BADREQ>":
            seen[words[0]].append(words[2])
    taken: defaultdict[str, list[str]] = defaultdict(list)
    for told in server.requests():
        taken[told["request_id"]].append(told["method"])
    # Nothing but what the proxy itself took for a request has become one.
    more = {case.name: (seen[own], taken[own]) for own, case in names.items() if not within(taken[own], seen[own])}
    assert not more
    # Where it could not be read who asked, nothing was served.
    nameless = [told for told in server.requests() if told["request_id"] not in {*names, end}]
    assert {told["status"] for told in nameless} <= {400, 431, 505}
    assert sum(map(len, taken.values())) > len(CASES) // 2


def within(some: list[str], all_of_them: list[str]) -> bool:
    """Whether some are among all, in their order."""
    rest = iter(all_of_them)
    return all(one in rest for one in some)
