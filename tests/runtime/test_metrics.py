"""What is counted, under which labels, and how the page is rendered."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from vstack_proto.commands import Record
from vstack_proto.outcomes import OUTCOMES
from vstack_proto.values import Usage
from vstack_runtime.metrics import CONNECTION_STATES, DURATION_BUCKETS, Metrics

PATTERNS = ("aar", "social_loafing", "span_of_control")
ANALYZE = "/v1/analyze/{name}"
OPENMETRICS = "application/openmetrics-text"

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(PATTERNS, "1.2.3", "trio", models=("big-model",))


def record(**changed: object) -> Record:
    told = {
        "surface": "rest",
        "request_id": "req_1",
        "method": "POST",
        "path": "/v1/analyze/aar",
        "route": ANALYZE,
        "status": 200,
        "outcome": "ok",
        "pattern": "aar",
        "mode": "standard",
        "started": 10_000.0,
        "caller": "team",
    }
    return Record(**{**told, **changed})  # type: ignore[arg-type]


def series(metrics: Metrics) -> Series:
    """What stands on the page, without the detour over text, which takes the parser long."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return series(metrics)[name, frozenset(labels.items())]


def changes(metrics: Metrics, act: Callable[[], None]) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every series that an act changed or made, histograms by their count alone; labels as values in order of name."""
    before = series(metrics)
    act()
    return {
        (name, tuple(label for _, label in sorted(labels))): after - before.get((name, labels), 0.0)
        for (name, labels), after in series(metrics).items()
        if after != before.get((name, labels), 0.0) and not name.endswith(("_bucket", "_sum"))
    }


# What exists before the first request.


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mode", ["quick", "standard", "forensic"])
@pytest.mark.parametrize("status", ["ok", "analyzer_error", "llm_resolution_error", "timeout", "internal_error"])
def test_what_an_analysis_can_end_with_stands_at_zero(metrics: Metrics, pattern: str, mode: str, status: str) -> None:
    counted = value(metrics, "vstack_requests_total", surface="rest", pattern=pattern, mode=mode, status=status)
    assert counted == 0


def test_every_status_stands_at_zero_for_every_pattern(metrics: Metrics) -> None:
    seen = {
        (labels["pattern"], labels["status"])
        for name, pairs in series(metrics)
        if name == "vstack_requests_total" and (labels := dict(pairs))
    }
    assert {(pattern, status) for pattern in PATTERNS for status in OUTCOMES} <= seen
    assert ("other", "unknown_pattern") in seen


@pytest.mark.parametrize("number", [3, 34])
def test_the_page_stays_small(number: int) -> None:
    metrics = Metrics([f"pattern_{n}" for n in range(number)], "1.2.3")
    # 41 counters and one histogram of 18 series a pattern; the rest does not grow with them.
    assert len(series(metrics)) < number * 60 + 150


def test_a_surface_that_is_offered_starts_at_zero_too() -> None:
    metrics = Metrics(PATTERNS, "1.2.3", surfaces=("rest", "mcp"))
    assert value(metrics, "vstack_requests_total", surface="mcp", pattern="aar", mode="quick", status="timeout") == 0


def test_build_info_says_what_is_running(metrics: Metrics) -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    assert value(metrics, "vstack_build_info", version="1.2.3", python=python, runtime="trio") == 1


def test_two_services_in_one_process_do_not_mix(metrics: Metrics) -> None:
    other = Metrics(PATTERNS, "1.2.3", "trio")
    assert changes(other, lambda: metrics.record(record(), 0.1)) == {}


# Requests.


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("mode", ["standard", "other"])
def test_every_analysis_is_counted_and_timed_refused_ones_too(metrics: Metrics, outcome: str, mode: str) -> None:
    assert changes(metrics, lambda: metrics.record(record(outcome=outcome, mode=mode, status=418), 0.25)) == {
        ("vstack_http_responses_total", (ANALYZE, "418")): 1,
        ("vstack_requests_total", (mode, "aar", outcome, "rest")): 1,
        ("vstack_request_duration_seconds_count", (mode, "aar", "rest")): 1,
    }


def test_what_is_no_analysis_is_an_answer_only(metrics: Metrics) -> None:
    probe = record(route="/livez", outcome="", pattern="other", mode="other")
    assert changes(metrics, lambda: metrics.record(probe, 0.001)) == {
        ("vstack_http_responses_total", ("/livez", "200")): 1
    }


def test_counts_add_up(metrics: Metrics) -> None:
    def act() -> None:
        for seconds in (0.0004, 29.0, 31.0, 119.0, 121.0, 500.0):
            metrics.record(record(), seconds)

    assert changes(metrics, act)["vstack_requests_total", ("standard", "aar", "ok", "rest")] == 6
    labels = {"surface": "rest", "pattern": "aar", "mode": "standard"}
    up_to = {
        bound: value(metrics, "vstack_request_duration_seconds_bucket", le=bound, **labels)
        for bound in ("0.001", "30.0", "120.0", "180.0", "+Inf")
    }
    assert up_to == {"0.001": 1, "30.0": 2, "120.0": 4, "180.0": 5, "+Inf": 6}
    assert value(metrics, "vstack_request_duration_seconds_sum", **labels) == pytest.approx(800.0004)


def test_buckets_hold_the_limits_that_people_ask_about() -> None:
    assert {30.0, 120.0} <= set(DURATION_BUCKETS)
    assert max(DURATION_BUCKETS) == 180.0


@pytest.mark.parametrize(
    ("changed", "labels"),
    [
        ({"surface": "carrier-pigeon"}, ("standard", "aar", "ok", "other")),
        ({"pattern": "not_a_pattern"}, ("standard", "other", "ok", "rest")),
        ({"mode": "turbo"}, ("other", "aar", "ok", "rest")),
        # The set of statuses has no "other".
        ({"outcome": "surprise"}, ("standard", "aar", "internal_error", "rest")),
    ],
)
def test_an_unknown_label_counts_as_other(
    metrics: Metrics, changed: dict[str, str], labels: tuple[str, str, str, str]
) -> None:
    for _ in range(2):
        made = changes(metrics, lambda: metrics.record(record(**changed), 0.1))
        assert made["vstack_requests_total", labels] == 1


@pytest.mark.parametrize(
    ("route", "status", "labels"),
    [
        ("/etc/passwd", 200, ("other", "200")),
        ("other", 404, ("other", "404")),
        (ANALYZE, 0, (ANALYZE, "other")),
        (ANALYZE, 1000, (ANALYZE, "other")),
        (ANALYZE, 499, (ANALYZE, "499")),
    ],
)
def test_routes_and_statuses_are_bounded(metrics: Metrics, route: str, status: int, labels: tuple[str, str]) -> None:
    made = changes(metrics, lambda: metrics.record(record(route=route, status=status, outcome=""), 0.1))
    assert made == {("vstack_http_responses_total", labels): 1}


def test_a_contributed_route_has_a_label_of_its_own() -> None:
    metrics = Metrics(PATTERNS, "1.2.3", routes=("/mcp",))
    metrics.record(record(route="/mcp", outcome=""), 0.1)
    assert value(metrics, "vstack_http_responses_total", route="/mcp", status="200") == 1


# No value of any closed set begins so.
words = st.text(max_size=12).map("~".__add__)


@pytest.mark.slow
@given(st.lists(st.tuples(words, words, words, words, words), max_size=10))
def test_no_caller_can_make_series(told: list[tuple[str, str, str, str, str]]) -> None:
    metrics = Metrics(["aar"], "1.2.3")

    def feed(surface: str, pattern: str, mode: str, outcome: str, route: str) -> None:
        metrics.record(record(surface=surface, pattern=pattern, mode=mode, outcome=outcome, route=route), 0.1)
        metrics.quota(surface, pattern)
        metrics.cache(mode)
        metrics.model_call(surface, pattern, outcome, 0.1, Usage(1, 1, 1, 1, 1.0))
        metrics.retried(surface)
        metrics.breaker(surface, pattern)
        metrics.connections(surface, 1)
        metrics.backend_up(surface, True)

    feed("~", "~", "~", "~", "~")
    once = set(series(metrics))
    for item in told:
        feed(*item)
    assert set(series(metrics)) == once


# The rest.


def test_a_model_call_is_counted_timed_and_paid(metrics: Metrics) -> None:
    usage = Usage(input_tokens=100, output_tokens=20, cache_read_tokens=60, cost_usd=0.5)
    assert changes(metrics, lambda: metrics.model_call("anthropic", "big-model", "ok", 2.0, usage)) == {
        ("vstack_model_calls_total", ("big-model", "ok", "anthropic")): 1,
        ("vstack_model_call_duration_seconds_count", ("big-model", "anthropic")): 1,
        ("vstack_tokens_total", ("input",)): 100,
        ("vstack_tokens_total", ("output",)): 20,
        ("vstack_tokens_total", ("cache_read",)): 60,
        ("vstack_cost_usd_total", ()): 0.5,
    }


@pytest.mark.parametrize("cost", [-1.0, math.nan, 0.0])
def test_a_price_that_is_none_leaves_the_sum_alone(metrics: Metrics, cost: float) -> None:
    metrics.model_call("openai", "big-model", "truncated", 1.0, Usage(output_tokens=-5, cost_usd=cost))
    assert value(metrics, "vstack_cost_usd_total") == 0
    assert value(metrics, "vstack_tokens_total", type="output") == 0


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda m: m.quota("requests", "refused"), ("vstack_quota_decisions_total", ("requests", "refused"), 1)),
        (lambda m: m.quota("requests", "shrugged"), ("vstack_quota_decisions_total", ("other", "other"), 1)),
        (lambda m: m.cache("coalesced"), ("vstack_cache_requests_total", ("coalesced",), 1)),
        (lambda m: m.cache("burnt"), ("vstack_cache_requests_total", ("other",), 1)),
        (lambda m: m.in_flight(7), ("vstack_requests_in_flight", (), 7)),
        (lambda m: m.queue_wait(0.5), ("vstack_queue_wait_seconds_count", (), 1)),
        (lambda m: m.retried("ollama"), ("vstack_model_retries_total", ("ollama",), 1)),
        (lambda m: m.breaker("openai", "open"), ("vstack_breaker_state", ("openai", "open"), 1)),
        (lambda m: m.connections("open", 12), ("vstack_connections", ("open",), 12)),
        (lambda m: m.draining(True), ("vstack_draining", (), 1)),
        (lambda m: m.backend_up("cache", up=True), ("vstack_backend_up", ("cache",), 1)),
    ],
)
def test_one_act_one_series(
    metrics: Metrics, act: Callable[[Metrics], None], expected: tuple[str, tuple[str, ...], float]
) -> None:
    name, labels, step = expected
    assert changes(metrics, lambda: act(metrics)) == {(name, labels): step}


def test_connections_are_counted_when_the_page_is_asked_for(metrics: Metrics) -> None:
    metrics.render("")
    assert [value(metrics, "vstack_connections", state=state) for state in CONNECTION_STATES] == [0, 0, 0]
    metrics.counts_connections(lambda: (5, 2))
    metrics.render("")
    assert [value(metrics, "vstack_connections", state=state) for state in CONNECTION_STATES] == [5, 2, 3]


def test_gauges_go_back(metrics: Metrics) -> None:
    for state in ("open", "half_open"):
        metrics.breaker("openai", state)
    shown = [
        value(metrics, "vstack_breaker_state", provider="openai", state=s) for s in ("closed", "half_open", "open")
    ]
    assert shown == [0, 1, 0]
    for up in (True, False):
        metrics.backend_up("quota", up=up)
        metrics.draining(draining=up)
    assert value(metrics, "vstack_backend_up", backend="quota") == 0
    assert value(metrics, "vstack_draining") == 0


def test_a_backend_that_is_not_configured_has_no_series(metrics: Metrics) -> None:
    assert not [name for name, _ in series(metrics) if name == "vstack_backend_up"]


# The page.

SCRAPER = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("application/json", False),
        ("text/plain;version=0.0.4", False),
        ("text/plain;version=1..0", False),
        (OPENMETRICS, True),
        (f"{OPENMETRICS}; version=1.0.0", True),
        (f"{OPENMETRICS}; version=abc", True),
        (f"{OPENMETRICS}; version=99.0.0", True),
        (f"{OPENMETRICS};q=0,text/plain", False),
        (f"{OPENMETRICS};q=0.1,text/plain;q=0.9", False),
        (SCRAPER, True),
    ],
)
def test_the_format_is_negotiated(metrics: Metrics, accept: str, is_openmetrics: bool) -> None:
    kind, body = metrics.render(accept)
    wanted = (
        f"{OPENMETRICS}; version=1.0.0; charset=utf-8" if is_openmetrics else "text/plain; version=0.0.4; charset=utf-8"
    )
    assert kind.startswith(wanted)
    assert body.endswith(b"# EOF\n") is is_openmetrics


def test_both_formats_say_the_same(metrics: Metrics) -> None:
    metrics.record(record(), 0.25)
    pages = [
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in parse(metrics.render(accept)[1].decode())
            for sample in family.samples
        }
        for parse, accept in ((parse_text, ""), (parse_openmetrics, OPENMETRICS))
    ]
    assert pages[0] == pages[1]
    assert not [name for name, _ in pages[0] if name.endswith("_created")]


def test_prometheus_finds_no_fault_with_the_page(metrics: Metrics, service: Callable[[str], str]) -> None:
    promtool = service("promtool")
    metrics.record(record(), 0.25)
    metrics.model_call("anthropic", "big-model", "ok", 2.0, Usage(1, 1, 1, 1, 0.1))
    metrics.breaker("openai", "open")
    metrics.backend_up("cache", up=True)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=metrics.render("")[1], capture_output=True, check=False, timeout=60
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


WORKER = """
from vstack_proto.values import Usage
from vstack_runtime.metrics import Metrics
metrics = Metrics(["aar"], "1.2.3")
metrics.in_flight(2)
metrics.model_call("openai", "m", "ok", 1.0, Usage(output_tokens=5))
print("ready", flush=True)
input()
print(metrics.render("")[1].decode())
"""


@pytest.mark.slow
def test_the_workers_of_one_service_are_summed(tmp_path: Path) -> None:
    """Each worker is a process of its own, and a scraper reaches one of them."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", WORKER]
    with (
        subprocess.Popen(command, env=environment, cwd=root, stdin=-1, stdout=-1, text=True) as one,
        subprocess.Popen(command, env=environment, cwd=root, stdin=-1, stdout=-1, text=True) as two,
    ):
        assert one.stdout is not None
        assert two.stdout is not None
        assert (one.stdout.readline(), two.stdout.readline()) == ("ready\n", "ready\n")
        page = one.communicate("\n", timeout=60)[0]
        two.communicate("\n", timeout=60)
    assert "\nvstack_requests_in_flight 4.0\n" in page
    assert '\nvstack_tokens_total{type="output"} 10.0\n' in page
