"""What the service counts and times, for Prometheus.

Every label value comes from a closed set; whatever is not in it counts as ``other``, so that no caller can make series.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from vstack_proto.commands import Record
from vstack_proto.negotiation import accepted
from vstack_proto.outcomes import OUTCOMES
from vstack_proto.patterns.common import MODES
from vstack_proto.routes import ROUTES
from vstack_proto.values import Usage

OTHER = "other"
SURFACES = ("rest", "mcp")
PROVIDERS = ("anthropic", "openai", "ollama", "offline")
# The kinds of ``ModelFailed``, and a call that its exchange gave up.
MODEL_OUTCOMES = (
    "ok",
    "unavailable",
    "overloaded",
    "late",
    "refused",
    "truncated",
    "rejected",
    "unresolved",
    "cancelled",
)
BACKENDS = ("cache", "quota", "flights", "learnings", "telemetry", "baselines", "provider")
# All of them; those with a request under way; the others.
CONNECTION_STATES = ("open", "active", "idle")
# What became of an exchange whose tape was wanted, or might have been.
TAPE_RESULTS = ("written", "left_out", "dropped", "too_large", "failed")
BREAKER_STATES = ("closed", "half_open", "open")

# 30 s is where people stop waiting, 120 s the default request timeout; a longer one must still show, hence 180 s.
# An answer from the cache takes less than a millisecond.
DURATION_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 180.0)
WAIT_BUCKETS = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0)

# Decided before a request's mode is known, so these only ever count under mode "other"; and what needs one.
_BEFORE_MODE = ("unauthorized", "rate_limited", "unknown_pattern", "invalid_mode")
_AFTER_MODE = ("ok", "llm_resolution_error", "analyzer_error")
_ROUTES = tuple(route.path for route in ROUTES)
_FIRST_STATUSES = (200, 500, 503)

_FORMATS = ("text/plain", "application/openmetrics-text")


class Metrics:
    """The metrics of one process, in a registry of their own: two services in one process do not mix."""

    def __init__(
        self,
        patterns: Iterable[str],
        version: str,
        runtime: str = "",
        *,
        routes: Iterable[str] = _ROUTES,
        models: Iterable[str] = (),
        surfaces: Iterable[str] = ("rest",),
    ) -> None:
        """
        Args:
            patterns: Names of the patterns on offer.
            version: Of the service.
            runtime: What drives it: ``hypercorn``, ``asyncio``, ``trio``, or empty.
            routes: The templates of the route table.
            models: Models that get a label value of their own.
            surfaces: Which of ``SURFACES`` are offered from the start.
        """
        self.registry = CollectorRegistry()
        self._count: Callable[[], tuple[int, int]] | None = None
        self._patterns = frozenset(patterns)
        self._routes = frozenset(routes)
        self._models = frozenset(models)
        self._make_request_metrics()
        self._make_model_metrics()
        self._make_state_metrics()
        self._build_info.labels(version, platform.python_version(), runtime).set(1)
        self._start_at_zero(surfaces)

    def _make_request_metrics(self) -> None:
        registry = self.registry
        self._requests = Counter(
            "vstack_requests_total",
            "Analyses asked for, refused ones too, by how they ended.",
            ("surface", "pattern", "mode", "status"),
            registry=registry,
        )
        self._durations = Histogram(
            "vstack_request_duration_seconds",
            "From a request's head to its answer, for analyses.",
            ("surface", "pattern", "mode"),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._responses = Counter(
            "vstack_http_responses_total",
            "Every HTTP answer; status 499 stands for a caller who left before it.",
            ("route", "status"),
            registry=registry,
        )
        self._cache = Counter("vstack_cache_requests_total", "Cache look-ups.", ("result",), registry=registry)
        self._quota = Counter(
            "vstack_quota_decisions_total", "Quota decisions.", ("rule", "verdict"), registry=registry
        )
        # Parents are slow to ask for their children: what the hot path needs is found here, in one look-up. Only values
        # of the closed sets become keys, so that callers cannot make the dictionaries grow.
        self._analysis_children: dict[tuple[str, str, str, str], tuple[Counter, Histogram]] = {}
        self._response_children: dict[tuple[str, int], Counter] = {}
        self._call_children: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._cache_children = {name: self._cache.labels(name) for name in ("hit", "miss", "coalesced")}
        self._quota_children = {
            (rule, verdict): self._quota.labels(rule, verdict)
            for rule in ("requests", "auth_failures")
            for verdict in ("admitted", "refused", "unavailable")
        }

    def _make_model_metrics(self) -> None:
        registry = self.registry
        self._calls = Counter(
            "vstack_model_calls_total", "Model calls.", ("provider", "model", "outcome"), registry=registry
        )
        self._call_durations = Histogram(
            "vstack_model_call_duration_seconds",
            "Duration of model calls.",
            ("provider", "model"),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._retries = Counter(
            "vstack_model_retries_total", "Model calls tried again.", ("provider",), registry=registry
        )
        self._tokens = Counter(
            "vstack_tokens_total",
            "Tokens of model calls; type input holds those of cache_read too.",
            ("type",),
            registry=registry,
        )
        self._cost = Counter("vstack_cost_usd_total", "Price of model calls in US dollars.", registry=registry)
        self._breaker = Gauge(
            "vstack_breaker_state",
            "1 for the state that the circuit breaker of a provider is in.",
            ("provider", "state"),
            multiprocess_mode="livemax",
            registry=registry,
        )

    def _make_state_metrics(self) -> None:
        registry = self.registry
        self._in_flight = Gauge(
            "vstack_requests_in_flight", "Analyses in flight.", multiprocess_mode="livesum", registry=registry
        )
        self._queue_wait = Histogram(
            "vstack_queue_wait_seconds",
            "How long work waited for its turn.",
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        self._connections = Gauge(
            "vstack_connections", "Open connections.", ("state",), multiprocess_mode="livesum", registry=registry
        )
        self._draining = Gauge(
            "vstack_draining", "1 while the service is stopping.", multiprocess_mode="livemax", registry=registry
        )
        self._backend_up = Gauge(
            "vstack_backend_up",
            "1 where a backend answered last time, 0 where it did not.",
            ("backend",),
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._build_info = Gauge(
            "vstack_build_info",
            "What is running; always 1.",
            ("version", "python", "runtime"),
            multiprocess_mode="livemax",
            registry=registry,
        )

        self._tapes = Counter("vstack_tapes_total", "Tapes, by what became of them.", ("result",), registry=registry)
        self._tape_children = {result: self._tapes.labels(result) for result in TAPE_RESULTS}

    def _start_at_zero(self, surfaces: Iterable[str]) -> None:
        """Create the series that can be foreseen.

        ``rate`` and ``increase`` see no step in a series that is born at 1, so the first failure of its kind would
        raise no alert. Hence every status that a pattern and mode can end with stands at 0; combinations that cannot
        come are left out (41 series a pattern). Of the histograms, 18 series each, only the default mode's are made
        beforehand: a quantile needs no zero.
        """
        early = [status for status in OUTCOMES if status not in _AFTER_MODE]
        late = [status for status in OUTCOMES if status not in _BEFORE_MODE]
        for surface in surfaces:
            for pattern in sorted(self._patterns):
                for mode, statuses in (*((mode, late) for mode in MODES), (OTHER, early)):
                    for status in statuses:
                        self._requests.labels(surface, pattern, mode, status)
                self._durations.labels(surface, pattern, "standard")
            for status in early:
                self._requests.labels(surface, OTHER, OTHER, status)
        for route in sorted({*self._routes, OTHER}):
            for code in _FIRST_STATUSES:
                self._response(route, code)
        kinds = ("input", "output", "cache_read", "cache_write")
        self._token_children = {kind: self._tokens.labels(kind) for kind in kinds}
        for provider in PROVIDERS:
            self._retries.labels(provider)
        for state in CONNECTION_STATES:
            self._connections.labels(state)

    def record(self, command: Record, duration: float) -> None:
        """Count a finished exchange; ``duration`` in seconds. Tokens and cost come with ``model_call``."""
        try:
            self._response_children[command.route, command.status].inc()
        except KeyError:
            self._response(command.route, command.status).inc()
        outcome = command.outcome
        if not outcome:
            return
        try:
            count, durations = self._analysis_children[command.surface, command.pattern, command.mode, outcome]
        except KeyError:
            count, durations = self._analysis(command.surface, command.pattern, command.mode, outcome)
        count.inc()
        durations.observe(duration)

    def _response(self, route: str, status: int) -> Counter:
        route = route if route in self._routes else OTHER
        child = self._responses.labels(route, status if 100 <= status <= 599 else OTHER)
        if 100 <= status <= 599:
            self._response_children[route, status] = child
        return child

    def _analysis(self, surface: str, pattern: str, mode: str, outcome: str) -> tuple[Counter, Histogram]:
        surface = surface if surface in SURFACES else OTHER
        pattern = pattern if pattern in self._patterns else OTHER
        mode = mode if mode in MODES else OTHER
        # The set of statuses has no "other": an outcome outside it is a fault of ours, and must alert as one.
        outcome = outcome if outcome in OUTCOMES else "internal_error"
        children = (
            self._requests.labels(surface, pattern, mode, outcome),
            self._durations.labels(surface, pattern, mode),
        )
        self._analysis_children[surface, pattern, mode, outcome] = children
        return children

    def quota(self, rule: str, verdict: str) -> None:
        """Count a quota decision; rule and verdict as in ``TakeQuota`` and ``QuotaAnswered``."""
        child = self._quota_children.get((rule, verdict))
        (child or self._quota.labels(OTHER, OTHER)).inc()

    def cache(self, result: str) -> None:
        """Count what the cache did for an analysis: ``hit``, ``miss`` or ``coalesced``."""
        child = self._cache_children.get(result)
        (child or self._cache.labels(OTHER)).inc()

    def in_flight(self, analyses: int) -> None:
        """Say how many analyses are in flight now."""
        self._in_flight.set(analyses)

    def queue_wait(self, seconds: float) -> None:
        """Time a wait for a turn."""
        self._queue_wait.observe(seconds)

    def model_call(self, provider: str, model: str, outcome: str, seconds: float, usage: Usage) -> None:
        """Count a model call, what it took and what it used; a failed or repaired one is paid for too.

        Args:
            provider: One of ``PROVIDERS``.
            model: One of the models named at the start.
            outcome: One of ``MODEL_OUTCOMES``.
            seconds: Its duration.
            usage: Its tokens and price.
        """
        provider = provider if provider in PROVIDERS else OTHER
        model = model if model in self._models else OTHER
        outcome = outcome if outcome in MODEL_OUTCOMES else OTHER
        try:
            calls, durations = self._call_children[provider, model, outcome]
        except KeyError:
            calls = self._calls.labels(provider, model, outcome)
            durations = self._call_durations.labels(provider, model)
            self._call_children[provider, model, outcome] = calls, durations
        calls.inc()
        durations.observe(seconds)
        for kind, tokens in (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_write_tokens),
        ):
            if tokens > 0:
                self._token_children[kind].inc(tokens)
        # Numbers of a provider: less than nothing, or not a number, must not spoil the sum.
        if usage.cost_usd > 0:
            self._cost.inc(usage.cost_usd)

    def tape(self, result: str, number: int = 1) -> None:
        """Count what became of so many tapes: one of ``TAPE_RESULTS``."""
        (self._tape_children.get(result) or self._tapes.labels(OTHER)).inc(number)

    def retried(self, provider: str) -> None:
        """Count one more try of a model call."""
        self._retries.labels(provider if provider in PROVIDERS else OTHER).inc()

    def breaker(self, provider: str, state: str) -> None:
        """Say which of ``BREAKER_STATES`` a provider's circuit breaker is in."""
        provider = provider if provider in PROVIDERS else OTHER
        for name in BREAKER_STATES:
            self._breaker.labels(provider, name).set(name == state)

    def connections(self, state: str, number: int) -> None:
        """Say how many connections are in a state, one of ``CONNECTION_STATES``."""
        self._connections.labels(state if state in CONNECTION_STATES else OTHER).set(number)

    def counts_connections(self, count: Callable[[], tuple[int, int]]) -> None:
        """Say who knows how many connections are open, and how many of them active: it is asked for each page."""
        self._count = count

    def count_connections(self) -> None:
        """Set every state as it is now. No request pays for it: to look at each connection is for who wants to know."""
        if self._count is not None:
            number, active = self._count()
            for state, there in zip(CONNECTION_STATES, (number, active, number - active), strict=True):
                self.connections(state, there)

    def draining(self, draining: bool) -> None:
        """Say whether the service is stopping."""
        self._draining.set(draining)

    def backend_up(self, backend: str, up: bool) -> None:
        """Say whether one of ``BACKENDS`` answers. One that is not configured is never named, and has no series."""
        self._backend_up.labels(backend if backend in BACKENDS else OTHER).set(up)

    def render(self, accept: str) -> tuple[str, bytes]:
        """The metrics page.

        Args:
            accept: The ``Accept`` header; OpenMetrics where it asks for that, else Prometheus text.

        Returns:
            Its content type and its body.
        """
        self.count_connections()
        # The library is handed a bare type: it raises TypeError at a version like "abc", repeats one like "99.0.0" in
        # its own Content-Type, and overlooks q; and anybody may ask for this page.
        encode, content_type = choose_encoder(accepted(accept, _FORMATS) or "")
        return content_type, encode(_Page(self.registry))


def are_shared() -> bool:
    """Whether this is one of several workers, each of which shows the numbers of all."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


class _Page:
    """The registry without the moment at which each series was created: those would double the page."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        registry = self._registry
        # With several workers, the library keeps the numbers of all of them in this folder; any of them may be asked.
        if are_shared():
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        for metric in registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
