"""The settings of who watches the service from outside."""

from __future__ import annotations

import msgspec

from vstack_runtime.setting_checks import Rule, check_fields
from vstack_runtime.setting_values import Reader, base_url, dsn, share


class ObservingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where crashes and spans go.

    Attributes:
        sentry_dsn: None for no reports.
        sentry_environment, sentry_release: What reports name; None for the defaults.
        sentry_traces_sample_rate: The share of requests that are sent as transactions, 0 to 1.
        otel_endpoint: Base URL of a receiver of OTLP over HTTP; None for no spans.
    """

    sentry_dsn: str | None = None
    sentry_environment: str | None = None
    sentry_release: str | None = None
    sentry_traces_sample_rate: float = 0.0
    otel_endpoint: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, _RULES, secret=("sentry_dsn",))


_RULES: dict[str, Rule] = {"sentry_dsn": dsn, "sentry_traces_sample_rate": share, "otel_endpoint": base_url}


def read_observing(read: Reader) -> ObservingSettings:
    """The settings of who watches.

    Raises:
        SettingsError: A variable is malformed.
    """
    return ObservingSettings(
        # It holds a key, and what was meant for another variable may be one.
        sentry_dsn=read.parsed("SENTRY_DSN", dsn, None, shown=False),
        sentry_environment=read.get("SENTRY_ENVIRONMENT"),
        sentry_release=read.get("SENTRY_RELEASE"),
        sentry_traces_sample_rate=read.parsed("SENTRY_TRACES_SAMPLE_RATE", share, 0.0),
        otel_endpoint=read.parsed("OTEL_EXPORTER_OTLP_ENDPOINT", base_url, None),
    )
