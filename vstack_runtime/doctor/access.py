"""Settings, keys, who is let in, and how often."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vstack_runtime.doctor.case import Case, Check, Finding, error, ok, skipped, warning
from vstack_runtime.settings import SettingsError

# Of the earlier implementation, and of its documentation: what takes their place.
_OLD = {
    "VSTACK_API_AUTH": "VSTACK_API_REQUIRE_AUTH",
    "VSTACK_API_TOKEN": "VSTACK_API_KEYS",
    "VSTACK_API_HMAC_SECRET": "VSTACK_API_KEYS",
    "VSTACK_API_RATE_LIMIT_PER_MINUTE": "VSTACK_API_RATE_LIMIT",
    "VSTACK_API_RATE_LIMIT_BURST": "VSTACK_API_RATE_LIMIT",
    "VSTACK_API_RATE_LIMIT_PER_KEY": "VSTACK_API_RATE_LIMIT",
    "VSTACK_API_RATE_LIMIT_PER_IP": "VSTACK_API_RATE_LIMIT",
    "VSTACK_API_CACHE_BACKEND": "VSTACK_CACHE",
    "VSTACK_API_REDIS_URL": "VSTACK_CACHE and VSTACK_RATE_LIMIT_STORE",
    "VSTACK_API_REQUEST_TIMEOUT_SECONDS": "VSTACK_API_REQUEST_TIMEOUT",
    "VSTACK_API_CORS_ALLOW_ORIGINS": "VSTACK_API_CORS_ORIGINS",
    "VSTACK_API_DRAIN_TIMEOUT_SECONDS": "VSTACK_DRAIN_DELAY",
    "VSTACK_MCP_LLM": "VSTACK_LLM",
    "VSTACK_MCP_LOG_LEVEL": "VSTACK_LOG_LEVEL",
    "VSTACK_LLM_KEY": "ANTHROPIC_API_KEY or OPENAI_API_KEY",
    "VSTACK_LLM_MODEL": "VSTACK_MODEL",
    "VSTACK_ANTHROPIC_API_KEY": "ANTHROPIC_API_KEY",
    "VSTACK_ANTHROPIC_MODEL": "VSTACK_MODEL",
    "VSTACK_OPENAI_API_KEY": "OPENAI_API_KEY",
    "ANTHROPIC_MODEL": "VSTACK_MODEL",
    "OPENAI_MODEL": "VSTACK_MODEL",
    "OLLAMA_MODEL": "VSTACK_MODEL",
}
_PLACEHOLDERS = ("replace", "changeme", "change-me", "example", "<key", "your-key", "secret-key")
_KEYGEN = "vstack-api keygen"


def _readable(case: Case) -> Finding:
    if isinstance(case.read, SettingsError):
        return error(
            str(case.read), "the service does not start", f"set {case.read.name} to what is allowed, or unset it"
        )
    return ok(f"{sum(name.startswith('VSTACK_') for name in case.env)} variables, all sound")


def _unknown(case: Case) -> Finding:
    told = [line for line in case.settings.warnings if "no such setting" in line]
    if told:
        return warning(
            "; ".join(told), "what they were meant to change is as it was", "correct the names, or unset them"
        )
    return ok("no variable is misspelt")


def _old(case: Case) -> Finding:
    found = {name: new for name, new in _OLD.items() if case.given(name)}
    if found:
        mend = "; ".join(f"{old} is now {new}" for old, new in found.items())
        return warning(f"set: {', '.join(found)}", "they were of an earlier implementation and change nothing", mend)
    return ok("no variable of an earlier implementation")


def _log_format(case: Case) -> Finding:
    if case.settings.log_format == "console" and case.machine.container:
        means = "whoever collects the logs of containers cannot take the lines apart"
        return warning("the log is for people, in a container", means, "unset VSTACK_LOG_FORMAT, or set it to json")
    return ok(f"log as {case.settings.log_format}, from {case.settings.log_level} on")


def _log_level(case: Case) -> Finding:
    if case.settings.log_level in ("error", "critical"):
        means = "the line of each request, by which a caller's request id is found, is not written"
        return warning(f"VSTACK_LOG_LEVEL is {case.settings.log_level}", means, "VSTACK_LOG_LEVEL=info")
    return ok(f"requests are logged at level {case.settings.log_level}")


# Keys.


def _there(case: Case) -> Finding:
    settings = case.settings
    if settings.require_auth and not settings.keys:
        means = "every request is refused with 500 auth_misconfigured, and /readyz says 503"
        return error("a key is required, and none is configured", means, f'export VSTACK_API_KEYS="prod=$({_KEYGEN})"')
    return ok(f"{len(settings.keys)} keys")


def _mode(case: Case) -> Finding:
    path = case.given("VSTACK_API_KEYS_FILE")
    if not path:
        return skipped("no file of keys")
    bits = stat.S_IMODE(os.stat(path).st_mode)
    if bits & stat.S_IROTH:
        return warning(
            f"{path} has mode {bits:04o}", "every user of this machine can read the keys", f"chmod 600 {path}"
        )
    if bits & stat.S_IWGRP:
        return warning(f"{path} has mode {bits:04o}", "its group can add keys", f"chmod g-w {path}")
    return ok(f"{path} has mode {bits:04o}")


def _owner(case: Case) -> Finding:
    path = case.given("VSTACK_API_KEYS_FILE")
    if not path:
        return skipped("no file of keys")
    owner = os.stat(path).st_uid
    if owner not in (0, case.machine.user):
        means = "that user can give keys to anybody"
        return warning(f"{path} belongs to user {owner}", means, f"chown {case.machine.user} {path}")
    return ok(f"{path} belongs to user {owner}")


def _placeholder(case: Case) -> Finding:
    _ = case.settings
    given = [case.given("VSTACK_API_KEYS")]
    if path := case.given("VSTACK_API_KEYS_FILE"):
        given.append(Path(path).read_text())
    if any(word in text.lower() for text in given for word in _PLACEHOLDERS):
        means = "a key out of an example is known to everybody who has read it"
        return error("a key looks like one of an example", means, f"put the output of {_KEYGEN} in its place")
    return ok("no key out of an example")


def _variety(case: Case) -> Finding:
    _ = case.settings
    for item in case.given("VSTACK_API_KEYS").split(","):
        name, _, key = item.strip().partition("=")
        if key and len(set(key)) < 8:
            means = "a key of few different characters can be guessed"
            return warning(f"the key {name} has {len(set(key))} different characters", means, _KEYGEN)
    return ok("keys are not of a few characters")


# Who is let in.


def _posture(case: Case) -> Finding:
    settings = case.settings
    where = f"{settings.host}:{settings.port}"
    if case.exposed and not settings.require_auth:
        means = "everybody who reaches this address can have analyses made at your cost"
        mend = f'export VSTACK_API_KEYS="prod=$({_KEYGEN})", or VSTACK_API_HOST=127.0.0.1'
        return error(f"listens at {where} and requires no key", means, mend)
    return ok(f"listens at {where}, {'a key is required' if settings.require_auth else 'for this machine alone'}")


def _off_with_keys(case: Case) -> Finding:
    settings = case.settings
    if settings.keys and not settings.require_auth:
        return warning(
            "keys are configured, and none is required", "everybody is let in", "unset VSTACK_API_REQUIRE_AUTH"
        )
    return ok("keys and the requirement agree")


def _proxies(case: Case) -> Finding:
    wide = [str(network) for network in case.settings.trusted_proxies if network.num_addresses > 2**24]
    if wide:
        means = "whoever comes from there can claim any address: quotas by address and penalties mean nothing"
        return warning(f"trusted: {', '.join(wide)}", means, "VSTACK_API_TRUSTED_PROXIES=the address of your proxy/32")
    return ok(f"{len(case.settings.trusted_proxies)} networks may say for whom they ask")


def _penalty(case: Case) -> Finding:
    if case.exposed and case.settings.require_auth and not case.settings.auth_failures:
        means = "an address may try as many wrong keys as it likes"
        return warning("VSTACK_API_AUTH_FAILURES is off", means, "unset VSTACK_API_AUTH_FAILURES")
    return ok("wrong keys are counted by address")


def _origins(case: Case) -> Finding:
    if "*" in case.settings.cors_origins:
        means = "a page of anybody's may read the answers, with a key that it has got hold of"
        return warning("every origin may ask", means, "VSTACK_API_CORS_ORIGINS=https://your.app")
    return ok(f"{len(case.settings.cors_origins)} origins may ask from a browser")


# How often.


def _quota(case: Case) -> Finding:
    if case.exposed and not case.settings.rate_limit:
        means = "one caller can use up the budget of the model, and all places"
        return warning("no quota, and others reach this address", means, "VSTACK_API_RATE_LIMIT=100/60")
    told = ", ".join(f"{window.limit} in {window.seconds:g} s" for window in case.settings.rate_limit)
    return ok(told or "no quota, for this machine alone")


def _behind_proxy(case: Case) -> Finding:
    settings = case.settings
    beside = all(network.is_loopback for network in settings.trusted_proxies)
    if settings.rate_limit and not settings.require_auth and case.exposed and beside:
        means = "behind a proxy on another machine all callers share one quota: that of the proxy's address"
        mend = "VSTACK_API_TRUSTED_PROXIES=the address of your proxy/32"
        return warning("quota is by address, and only proxies on this machine are trusted", means, mend)
    return ok("quota knows its callers")


def _replicas(case: Case) -> Finding:
    settings = case.settings
    if settings.rate_limit and settings.rate_limit_store == "memory" and case.machine.kubernetes:
        means = "each replica counts for itself: a caller gets the quota once for each"
        mend = "VSTACK_RATE_LIMIT_STORE=redis://HOST:6379/0"
        return warning("quota is counted in memory, in a cluster", means, mend)
    return ok(f"quota is counted in {settings.rate_limit_store.partition(':')[0]}")


CHECKS = (
    Check("settings.sound", _readable),
    Check("settings.unknown", _unknown),
    Check("settings.old", _old),
    Check("settings.log_format", _log_format),
    Check("settings.log_level", _log_level),
    Check("keys.present", _there),
    Check("keys.mode", _mode),
    Check("keys.owner", _owner),
    Check("keys.example", _placeholder),
    Check("keys.variety", _variety),
    Check("auth.exposed", _posture),
    Check("auth.off", _off_with_keys),
    Check("auth.failures", _penalty),
    Check("auth.proxies", _proxies),
    Check("auth.origins", _origins),
    Check("quota.exposed", _quota),
    Check("quota.proxy", _behind_proxy),
    Check("quota.replicas", _replicas),
)
