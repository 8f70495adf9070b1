"""Make dashboard.json from the definitions of the metrics: ``python generate.py > dashboard.json`` in this folder.

Each panel names the metrics that it shows; one that the service does not have stops the generator, and a metric that no
panel shows does too. So the dashboard cannot fall behind the service.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from vstack_runtime.metrics import Metrics

SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT = 8, 8
COLUMNS = 24
_METRIC = re.compile(r"\bvstack_[a-z_]+\b")
_PARTS = re.compile(r"_(bucket|sum|count)$")

# (row, panels); a panel is (title, unit, [(query, legend)]). $instance, $pattern and $__rate_interval are Grafana's.
HERE = 'instance=~"$instance"'
ASKED = f'{HERE},pattern=~"$pattern"'
OPEN = f'{HERE},state="open"'
RATE = "[$__rate_interval]"
P50_P90_P99 = ("0.5", "0.9", "0.99")


def _quantiles(metric: str, labels: str) -> list[tuple[str, str]]:
    return [
        (f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket{{{labels}}}{RATE})))", f"p{float(q) * 100:g}")
        for q in P50_P90_P99
    ]


def _rate(metric: str, labels: str, *by: str) -> list[tuple[str, str]]:
    return [
        (f"sum by ({', '.join(by)}) (rate({metric}{{{labels}}}{RATE}))", " ".join(f"{{{{{name}}}}}" for name in by))
    ]


ROWS: list[tuple[str, list[tuple[str, str, list[tuple[str, str]]]]]] = [
    (
        "Analyses",
        [
            ("By outcome", "reqps", _rate("vstack_requests_total", ASKED, "status")),
            ("Duration", "s", _quantiles("vstack_request_duration_seconds", ASKED)),
            ("By pattern", "reqps", _rate("vstack_requests_total", ASKED, "pattern")),
            ("In flight", "short", [(f"sum(vstack_requests_in_flight{{{HERE}}})", "analyses")]),
            ("Wait for a turn", "s", _quantiles("vstack_queue_wait_seconds", HERE)),
            ("Cache", "reqps", _rate("vstack_cache_requests_total", HERE, "result")),
        ],
    ),
    (
        "Models",
        [
            ("Calls", "reqps", _rate("vstack_model_calls_total", HERE, "provider", "outcome")),
            ("Duration of a call", "s", _quantiles("vstack_model_call_duration_seconds", HERE)),
            ("Retries", "reqps", _rate("vstack_model_retries_total", HERE, "provider")),
            ("Tokens", "short", _rate("vstack_tokens_total", HERE, "type")),
            ("Cost an hour", "currencyUSD", [(f"3600 * sum(rate(vstack_cost_usd_total{{{HERE}}}{RATE}))", "$")]),
            ("Breaker open", "bool", [(f"max by (provider) (vstack_breaker_state{{{OPEN}}})", "{{provider}}")]),
        ],
    ),
    (
        "Service",
        [
            ("Answers", "reqps", _rate("vstack_http_responses_total", HERE, "status")),
            ("Quota", "reqps", _rate("vstack_quota_decisions_total", HERE, "rule", "verdict")),
            ("Connections", "short", [(f"sum by (state) (vstack_connections{{{HERE}}})", "{{state}}")]),
            ("Backends up", "bool", [(f"min by (backend) (vstack_backend_up{{{HERE}}})", "{{backend}}")]),
            ("Draining", "bool", [(f"max by (instance) (vstack_draining{{{HERE}}})", "{{instance}}")]),
            ("Tapes", "reqps", _rate("vstack_tapes_total", HERE, "result")),
            ("What runs", "short", [(f"count by (version) (vstack_build_info{{{HERE}}})", "{{version}}")]),
        ],
    ),
]


def known() -> set[str]:
    """The names of the service's metrics, as a query writes them."""
    told = Metrics(patterns=("aar",), version="0").registry.collect()
    return {metric.name + ("_total" if metric.type == "counter" else "") for metric in told}


def used() -> set[str]:
    """The names of the metrics that the panels show."""
    queries = (query for _, panels in ROWS for _, _, targets in panels for query, _ in targets)
    return {_PARTS.sub("", name) for query in queries for name in _METRIC.findall(query)}


def queries() -> Iterator[tuple[str, str]]:
    """Every panel's title with each of its queries, Grafana's variables filled in as for everything over a minute."""
    for _, panels in ROWS:
        for title, _, targets in panels:
            for query, _ in targets:
                filled = query.replace("$__rate_interval", "1m")
                yield title, filled.replace("$instance", ".*").replace("$pattern", ".*")


def _panels() -> Iterator[dict[str, Any]]:
    number = y = 0
    for row, panels in ROWS:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row,
            "collapsed": False,
            "panels": [],
            "gridPos": _at(0, y, COLUMNS, 1),
        }
        y += 1
        for nth, (title, unit, targets) in enumerate(panels):
            number += 1
            across = COLUMNS // WIDTH
            yield {
                "id": number,
                "type": "timeseries",
                "title": title,
                "datasource": SOURCE,
                "gridPos": _at(nth % across * WIDTH, y + nth // across * HEIGHT, WIDTH, HEIGHT),
                "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
                "targets": [
                    {"refId": chr(ord("A") + n), "expr": query, "legendFormat": legend, "datasource": SOURCE}
                    for n, (query, legend) in enumerate(targets)
                ],
            }
        y += -(-len(panels) // (COLUMNS // WIDTH)) * HEIGHT


def _at(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def _choice(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it.

    Raises:
        SystemExit: A panel shows a metric that there is not, or a metric has no panel.
    """
    if wrong := used() ^ known():
        raise SystemExit(f"panels and metrics differ in: {', '.join(sorted(wrong))}")
    return {
        "uid": "vstack",
        "title": "vstack",
        "tags": ["vstack"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}},
                _choice("instance", "Instance", "label_values(vstack_build_info, instance)"),
                _choice("pattern", "Pattern", "label_values(vstack_requests_total, pattern)"),
            ]
        },
        "annotations": {"list": []},
        "panels": list(_panels()),
    }


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=1)
    print()
