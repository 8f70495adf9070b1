"""Rules, alerts and the dashboard, judged by promtool and by a real Prometheus that scraped a real run."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from deploy.grafana import generate
from tests.conftest import Service
from tests.deploy.conftest import DEPLOY, Start, free_port
from tests.deploy.front import REQUEST
from tests.e2e.conftest import Serve
from tests.e2e.serving import PATIENCE

RULES = DEPLOY / "prometheus" / "rules.yml"
# What shows nothing in a run without models, shared stores or a stop.
SILENT = {"Calls", "Duration of a call", "Breaker open", "Backends up", "Wait for a turn"}


def ask(port: int, path: str, **query: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(query)}") as answer:
        return json.load(answer)["data"]


def is_ready(port: int) -> bool:
    """Whether Prometheus has opened its storage; it listens before that."""
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready"):
        return True
    return False


def test_each_alert_fires_when_it_should(service: Service) -> None:
    subprocess.run([service("promtool"), "test", "rules", "rules_test.yml"], check=True, cwd=RULES.parent)


def test_the_rules_and_the_scrape_are_well_formed(service: Service) -> None:
    subprocess.run(
        [service("promtool"), "check", "config", "--lint-fatal", "prometheus.yml"], check=True, cwd=RULES.parent
    )


def test_each_alert_is_tested() -> None:
    alerts = {line.split()[-1] for line in RULES.read_text().splitlines() if "- alert:" in line}
    tested = RULES.with_name("rules_test.yml").read_text()
    assert alerts
    assert not [alert for alert in alerts if f"alertname: {alert}\n        exp_alerts" not in tested]


def test_the_dashboard_is_the_one_that_is_generated() -> None:
    told = subprocess.run([sys.executable, generate.__file__], check=True, capture_output=True, text=True)
    assert (DEPLOY / "grafana" / "dashboard.json").read_text() == told.stdout


def test_every_query_finds_what_a_run_has_left(service: Service, start: Start, serve: Serve, tmp_path: Path) -> None:
    prometheus = service("prometheus")
    server = serve("asyncio", VSTACK_CACHE="memory", VSTACK_API_RATE_LIMIT="1000/60")
    port = free_port()
    shipped = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    for theirs, mine in (
        ("127.0.0.1:8000", f"127.0.0.1:{server.port}"),
        ("rules.yml", str(RULES)),
        ("scrape_interval: 15s", "scrape_interval: 200ms"),
        ("evaluation_interval: 15s", "evaluation_interval: 200ms"),
    ):
        shipped = shipped.replace(theirs, mine)
    (tmp_path / "prometheus.yml").write_text(shipped)
    here = f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"
    start([prometheus, *here, f"--web.listen-address=127.0.0.1:{port}"], port)

    def scraped() -> bool:
        server.post("/v1/analyze/aar", REQUEST)
        found = ask(port, "/api/v1/query", query="rate(vstack_requests_total[1m]) > 0")
        return bool(found["result"])

    assert server.until(lambda: is_ready(port), PATIENCE)
    assert server.until(scraped, PATIENCE)

    def empty() -> set[str]:
        queries = generate.queries()
        return {title for title, query in queries if not ask(port, "/api/v1/query", query=query)["result"]} - SILENT

    # A scrape that comes too late leaves what is told of this moment empty until the next.
    assert server.until(lambda: not empty(), PATIENCE), empty()
    groups = ask(port, "/api/v1/rules")["groups"]
    told = {rule["name"]: rule.get("lastError", "") for group in groups for rule in group["rules"]}
    assert len(told) >= 20
    assert not any(told.values())
