"""Limits against each other and against the machine; cache and shared stores."""

from __future__ import annotations

import functools

import anyio

from vstack_runtime.doctor.case import Case, Check, Finding, error, ok, size, skipped, warning
from vstack_runtime.store_settings import is_redis

# What a process takes before the first request, and each analysis in flight beyond its body (benchmarks/README.md).
_BASE_BYTES = 160 << 20
_FLIGHT_BYTES = 60_000
# Of the process itself: listeners, files, the loop.
_OWN_DESCRIPTORS = 64
_CONNECT_SECONDS = 1.0


def _strings(case: Case) -> Finding:
    limits = case.settings.limits
    if limits.max_string_chars > limits.max_total_chars:
        saw = f"one string may have {limits.max_string_chars} characters, all together {limits.max_total_chars}"
        mend = f"VSTACK_API_MAX_STRING_CHARS={limits.max_total_chars}"
        return warning(saw, "the first limit is never reached", mend)
    return ok(f"one string of {limits.max_string_chars} characters, {limits.max_total_chars} in all")


def _body(case: Case) -> Finding:
    limits = case.settings.limits
    if limits.max_total_chars > limits.max_body_bytes:
        saw = f"a trace may have {limits.max_total_chars} characters, its body {limits.max_body_bytes} bytes"
        mend = f"VSTACK_API_MAX_BODY_BYTES={limits.max_total_chars * 2}"
        return warning(saw, "traces of the allowed length are refused for their body", mend)
    return ok(f"a body of {size(limits.max_body_bytes)}")


def _large_body(case: Case) -> Finding:
    limits = case.settings.limits
    if limits.max_body_bytes > 16 << 20:
        means = "one such body keeps everybody else waiting for seconds while it is read"
        return warning(f"a body may have {size(limits.max_body_bytes)}", means, "VSTACK_API_MAX_BODY_BYTES=5MiB")
    return ok(f"no body keeps others waiting for long ({size(limits.max_body_bytes)})")


def _timeout(case: Case) -> Finding:
    seconds = case.settings.limits.request_timeout
    if seconds < 10:
        means = "a model takes longer than that: most analyses end with 504"
        return warning(f"an analysis may take {seconds:g} s", means, "VSTACK_API_REQUEST_TIMEOUT=120")
    if seconds > 180:
        means = "vstack_request_duration_seconds has no bucket above 180 s, and proxies mostly give up sooner"
        return warning(f"an analysis may take {seconds:g} s", means, "VSTACK_API_REQUEST_TIMEOUT=120")
    return ok(f"an analysis may take {seconds:g} s")


def _drain(case: Case) -> Finding:
    delay = case.settings.drain_delay
    if case.exposed and delay < 1:
        means = (
            "a balancer learns that this replica stops when it no longer listens: requests are lost at every restart"
        )
        return warning(f"VSTACK_DRAIN_DELAY is {delay:g} s", means, "VSTACK_DRAIN_DELAY=5")
    return ok(f"{delay:g} s between 503 at /readyz and the end of listening")


def _descriptors(case: Case) -> Finding:
    flights, has = case.settings.limits.max_in_flight, case.machine.descriptors
    needed = 2 * flights + _OWN_DESCRIPTORS
    if has < needed:
        means = f"{flights} analyses in flight need a socket for the caller and one for the model: {needed}"
        mend = f"ulimit -n {needed} (systemd: LimitNOFILE={needed}), or VSTACK_API_MAX_IN_FLIGHT={(has - 64) // 2}"
        return warning(f"{has} files and sockets may be open", means, mend)
    return ok(f"{has} files and sockets may be open, {needed} are needed at most")


def _memory(case: Case) -> Finding:
    settings, has = case.settings, case.machine.memory
    cached = settings.cache_max_bytes if settings.cache == "memory" else 0
    needed = _BASE_BYTES + cached + settings.limits.max_in_flight * _FLIGHT_BYTES
    saw = f"{size(has)} of memory, up to {size(needed)} are used, and the bodies in flight"
    if has < needed:
        means = "under full load the process is killed for its memory"
        return warning(saw, means, "more memory, a smaller VSTACK_API_MAX_IN_FLIGHT or VSTACK_CACHE_MAX_BYTES")
    return ok(saw)


def _models_in_flight(case: Case) -> Finding:
    calls, flights = case.settings.llm_max_concurrency, case.settings.limits.max_in_flight
    if calls > flights:
        means = f"no more than {flights} analyses are let in: the first limit is never reached"
        return warning(f"{calls} calls of a model at once", means, f"VSTACK_LLM_MAX_CONCURRENCY={flights}")
    return ok(f"{calls} calls of a model at once, {flights} analyses")


# The cache.


def _unused(case: Case) -> Finding:
    names = ("VSTACK_CACHE_CAPACITY", "VSTACK_CACHE_TTL_SECONDS", "VSTACK_CACHE_MAX_BYTES", "VSTACK_CACHE_SCOPE")
    given = [name for name in names if case.given(name)]
    if case.settings.cache == "off" and given:
        return warning(f"{', '.join(given)}, and VSTACK_CACHE is off", "they change nothing", "VSTACK_CACHE=memory")
    return ok(f"cache: {case.settings.cache.partition(':')[0]}")


def _scope(case: Case) -> Finding:
    settings = case.settings
    if settings.cache != "off" and settings.cache_scope == "global" and len(settings.keys) > 1:
        means = "a caller can tell by the time of an answer that another has sent the same trace"
        saw = f"{len(settings.keys)} keys share one cache"
        return warning(saw, means, "VSTACK_CACHE_SCOPE=key, unless they belong to one party")
    return ok(f"cache scope: {settings.cache_scope}")


def _cache_reached(case: Case) -> Finding:
    return _reached(case.settings.cache, "detections are made anew each time", "VSTACK_CACHE=memory")


def _quota_reached(case: Case) -> Finding:
    settings = case.settings
    closed = settings.store_failure == "closed"
    means = "requests are refused with 503" if closed else "each replica counts for itself until it is back"
    return _reached(settings.rate_limit_store, means, "VSTACK_RATE_LIMIT_STORE=memory")


def _reached(url: str, means: str, instead: str) -> Finding:
    if not is_redis(url):
        return skipped("nothing shared is configured")
    from vstack_runtime.store_settings import parse_address

    address = parse_address(url)
    try:
        anyio.run(functools.partial(_connect, address.hosts[0]))
    except TimeoutError:  # an OSError too
        return error(f"{address!r}: no answer in {_CONNECT_SECONDS:g} s", means, f"let it through, or {instead}")
    except OSError as fault:
        saw = f"{address!r}: {fault.strerror or type(fault).__name__}"
        return error(saw, means, f"start it, correct the URL, or {instead}")
    return ok(f"{address!r} takes connections")


async def _connect(host: tuple[str, int]) -> None:
    with anyio.fail_after(_CONNECT_SECONDS):
        async with await anyio.connect_tcp(*host):
            pass


def _failure(case: Case) -> Finding:
    settings = case.settings
    if case.given("VSTACK_STORE_FAILURE") and settings.rate_limit_store == "memory":
        return warning(
            "VSTACK_STORE_FAILURE, and quota is in memory", "it changes nothing", "unset VSTACK_STORE_FAILURE"
        )
    return ok(f"quota fails {settings.store_failure}")


CHECKS = (
    Check("limits.strings", _strings),
    Check("limits.body", _body),
    Check("limits.large", _large_body),
    Check("limits.timeout", _timeout),
    Check("limits.drain", _drain),
    Check("limits.descriptors", _descriptors),
    Check("limits.memory", _memory),
    Check("limits.models", _models_in_flight),
    Check("cache.unused", _unused),
    Check("cache.scope", _scope),
    Check("cache.reached", _cache_reached, network=True),
    Check("quota.reached", _quota_reached, network=True),
    Check("quota.failure", _failure),
)
