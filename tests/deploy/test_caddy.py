"""The Caddyfile of ``deploy/caddy``, run by Caddy with a certificate of its own making."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Service
from tests.deploy.conftest import DEPLOY, Start, free_port
from tests.deploy.front import REQUEST, Front, together
from tests.e2e.conftest import Serve
from tests.e2e.serving import PATIENCE, Server


@pytest.fixture
def front(service: Service, start: Start, serve: Serve, tmp_path: Path, certificate: tuple[Path, Path]) -> Front:
    """Caddy in front of a server with a quota, with the shipped file; only addresses and the certificate differ."""
    caddy = service("caddy")
    server: Server = serve("hypercorn", VSTACK_API_RATE_LIMIT="3/60")
    port, (cert, key) = free_port(), certificate
    shipped = (DEPLOY / "caddy" / "Caddyfile").read_text()
    changes = {
        "vstack.example.com {\n": f"https://vstack.example.com:{port} {{\n\tbind 127.0.0.1\n\ttls {cert} {key}\n",
        "127.0.0.1:8000": f"127.0.0.1:{server.port}",
    }
    for theirs, mine in changes.items():
        assert shipped.count(theirs) == 1, theirs
        shipped = shipped.replace(theirs, mine)
    file = tmp_path / "Caddyfile"
    # No second listener for redirects, no port for administration, nothing kept in anybody's home.
    file.write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {tmp_path}\n}}\n{shipped}")
    argv = [caddy, "run", "--adapter", "caddyfile", "--config", str(file)]
    start(argv, port)
    told = Front(port, cert)
    # Its health check asks /readyz before it hands anything on.
    assert server.until(lambda: told.ask("GET", "/livez").status == 200, PATIENCE)
    return told


def test_the_shipped_file_is_valid(service: Service) -> None:
    argv = [service("caddy"), "adapt", "--adapter", "caddyfile", "--config", str(DEPLOY / "caddy" / "Caddyfile")]
    told = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert "warn" not in told.stderr.lower(), told.stderr


def test_a_trace_is_diagnosed_and_a_forged_address_changes_nothing(front: Front) -> None:
    told = [front.ask("POST", "/v1/analyze/aar", REQUEST, {"X-Forwarded-For": f"192.0.2.{n}"}) for n in range(4)]
    assert [answer.status for answer in told] == [200, 200, 200, 429]
    assert "strict-transport-security" in told[0].headers
    assert front.ask("POST", "/v1/analyze/aar", REQUEST, source="127.0.0.9").status == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["of a told length", "in chunks"])
def test_a_body_past_the_limit_is_refused_in_the_form_that_clients_read(front: Front, chunked: bool) -> None:
    long = b" " * 5_300_000
    for told in together(lambda address: front.ask("POST", "/v1/analyze/aar", long, None, address, chunked)):
        assert told.outcome == (413, "request_too_large")
        assert told.error["request_id"]


def test_metrics_stay_inside(front: Front) -> None:
    assert front.ask("GET", "/metrics").status == 403
