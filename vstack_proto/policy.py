"""What a service allows and offers: fixed for a process, the same for every exchange."""

from __future__ import annotations

import ipaddress

import msgspec

from vstack_proto.limits import Limits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions of an operator, and what follows from them.

    Attributes:
        version: Of the service, as health and OpenAPI tell it.
        limits: Sizes and deadlines.
        require_auth: Whether ``/v1`` wants a key.
        quota: Whether requests are counted against a quota.
        ietf_headers: Whether answers also carry the IETF draft's ``RateLimit`` fields.
        cache: Whether detections are kept.
        scope_by_key: Whether each caller has a cache of its own.
        cors_origins: Origins that browsers may call from; ``*`` stands for any.
        allowed_hosts: Names that contributed routes may be called by, in lower case; None for any.
        trusted_proxies: Networks whose ``X-Forwarded-*`` fields count.
        provider: The model service in use, or None.
        default_model: The model that is asked where a request names none.
        models: The models that a request may name, besides ``offline``; empty for any.
        offline: Whether every analysis runs on the signals alone.
        learnings: Whether learnings are kept.
        telemetry: Whether what analyses cost is taken down.
        analytics: Whether that can be read again.
        baselines: Whether detections are kept for comparison.
    """

    version: str
    limits: Limits = Limits()
    require_auth: bool = False
    quota: bool = False
    ietf_headers: bool = False
    cache: bool = False
    scope_by_key: bool = False
    cors_origins: frozenset[str] = frozenset()
    allowed_hosts: frozenset[str] | None = None
    trusted_proxies: tuple[Network, ...] = ()
    provider: str | None = None
    default_model: str | None = None
    models: tuple[str, ...] = ()
    offline: bool = False
    learnings: bool = False
    telemetry: bool = False
    analytics: bool = False
    baselines: bool = False
