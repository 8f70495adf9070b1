"""The nginx of ``deploy/nginx``, for real: TLS, who calls, limits, progress as it comes, and a drain behind it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.deploy.conftest import DEPLOY, Start, free_port
from tests.deploy.front import NAME, REQUEST, Front, together
from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, Answer, Server, bearer

KEYS = {"VSTACK_API_KEYS": f"alice={ALICE}"}

InFront = Callable[..., Front]


@pytest.fixture
def in_front(service: Service, start: Start, tmp_path: Path, certificate: tuple[Path, Path]) -> InFront:
    """Put nginx in front of servers, with the shipped file; only addresses, ports and files are those of the test."""
    nginx = service("nginx")

    def make(*servers: Server, plain: int | None = None) -> Front:
        cert, key = certificate
        port = free_port()
        shipped = (DEPLOY / "nginx" / "vstack.conf").read_text()
        ours = "".join(f"server 127.0.0.1:{server.port} max_fails=0;" for server in servers)
        changes = {
            "server 127.0.0.1:8000;": ours,
            "listen 80;": f"listen 127.0.0.1:{plain or free_port()};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
            "/etc/nginx/tls/vstack.crt": str(cert),
            "/etc/nginx/tls/vstack.key": str(key),
        }
        for theirs, mine in changes.items():
            assert shipped.count(theirs) == 1, theirs
            shipped = shipped.replace(theirs, mine)
        folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        paths = "".join(f"{name}_temp_path {tmp_path}/{name};" for name in folders)
        conf = tmp_path / "nginx.conf"
        conf.write_text(
            # As root, its workers would become somebody who may not write here.
            f"{'user root;' if os.getuid() == 0 else ''} daemon off; worker_processes 1;"
            f"pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;"
            f"events {{}} http {{ access_log off; {paths} {shipped} }}"
        )
        argv = [nginx, "-e", f"{tmp_path}/error.log", "-p", str(tmp_path), "-c", str(conf)]
        subprocess.run([*argv, "-t"], check=True, capture_output=True)
        start(argv, port)
        return Front(port, cert)

    return make


def test_a_trace_is_diagnosed_through_tls(in_front: InFront, serve: Serve) -> None:
    server = serve("hypercorn", **KEYS)
    front = in_front(server)
    answer = front.ask("POST", "/v1/analyze/aar", REQUEST, bearer(ALICE))
    assert answer.status == 200
    assert answer.json["pattern"] == "aar"
    # The service knows that its caller came over TLS.
    assert "strict-transport-security" in answer.headers
    assert front.ask("POST", "/v1/analyze/aar", REQUEST).outcome == (401, "unauthorized")


def test_plain_http_is_sent_to_tls(in_front: InFront, serve: Serve) -> None:
    plain = free_port()
    in_front(serve("asyncio"), plain=plain)
    connection = http.client.HTTPConnection("127.0.0.1", plain)
    connection.request("GET", "/v1/patterns?x=1", headers={"Host": NAME})
    response = connection.getresponse()
    connection.close()
    assert (response.status, response.headers["Location"]) == (308, f"https://{NAME}/v1/patterns?x=1")


def test_quota_is_that_of_the_address_and_a_forged_one_changes_nothing(in_front: InFront, serve: Serve) -> None:
    front = in_front(serve("hypercorn", VSTACK_API_RATE_LIMIT="2/60"))
    told = [front.ask("POST", "/v1/analyze/aar", REQUEST, {"X-Forwarded-For": f"192.0.2.{n}"}) for n in range(3)]
    assert [answer.status for answer in told] == [200, 200, 429]
    # Another caller behind the same proxy is another caller.
    assert front.ask("POST", "/v1/analyze/aar", REQUEST, source="127.0.0.9").status == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["of a told length", "in chunks"])
def test_a_body_past_the_limit_is_refused_in_the_form_that_clients_read(
    in_front: InFront, serve: Serve, chunked: bool
) -> None:
    front = in_front(serve("asyncio"))
    fits = b" " * 5_242_000 + json.dumps({**REQUEST, "mode": "none"}).encode()
    assert front.ask("POST", "/v1/analyze/aar", fits, chunked=chunked).outcome == (400, "invalid_mode")
    long = b" " * 5_300_000
    for told in together(lambda address: front.ask("POST", "/v1/analyze/aar", long, None, address, chunked)):
        assert told.outcome == (413, "request_too_large")
        assert told.error["request_id"]


def test_metrics_stay_inside(in_front: InFront, serve: Serve) -> None:
    server = serve("asyncio")
    assert in_front(server).ask("GET", "/metrics").status == 403
    assert server.get("/metrics").status == 200


def test_progress_comes_as_events(in_front: InFront, serve: Serve) -> None:
    front = in_front(serve("hypercorn"))
    answer = front.ask("POST", "/v1/analyze/aar", REQUEST, {"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line for line in answer.body.decode().splitlines() if line.startswith("event: ")]
    assert events[-1] == "event: result"


@pytest.mark.parametrize("runtime", ["hypercorn", "asyncio", "trio"])
def test_one_replica_stops_and_nobody_notices(in_front: InFront, serve: Serve, runtime: str) -> None:
    leaving, staying = serve(runtime, VSTACK_DRAIN_DELAY="1"), serve(runtime)
    front = in_front(leaving, staying)
    answers: list[Answer] = []
    enough, stop = threading.Event(), threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            answers.append(front.ask("POST", "/v1/analyze/aar", REQUEST))
            if len(answers) >= 10:
                enough.set()

    callers = [threading.Thread(target=keep_asking) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        assert enough.wait(20)
        leaving.signal(signal.SIGTERM)
        assert leaving.wait() == 0
        before = len(answers)
        assert staying.until(lambda: len(answers) >= before + 10)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert {answer.status for answer in answers} == {200}
    assert len({json.dumps(answer.json["detection"]["severity"]) for answer in answers}) == 1


def test_the_file_of_compose_differs_in_its_upstream_alone() -> None:
    shipped = (DEPLOY / "nginx" / "vstack.conf").read_text().splitlines()
    composed = (DEPLOY / "compose" / "nginx.conf").read_text().splitlines()
    changed = [(old, new) for old, new in zip(shipped, composed, strict=True) if old != new]
    assert [new.strip() for _, new in changed if not new.strip().startswith("#")] == ["server vstack:8000;"]
