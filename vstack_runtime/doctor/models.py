"""The model provider: whether there is one, and what it would cost."""

from __future__ import annotations

import functools
import ipaddress
from urllib.parse import urlsplit

import anyio

from vstack_runtime.doctor.case import Case, Check, Finding, error, ok, skipped, warning
from vstack_runtime.model_settings import parse_key
from vstack_runtime.providers.choosing import choose
from vstack_runtime.providers.guarded import GuardedProvider
from vstack_runtime.providers.prices import price_of
from vstack_runtime.settings import SettingsError

_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
_URLS = ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OLLAMA_HOST", "OLLAMA_BASE_URL")
_SECONDS = 3.0


def _chosen(case: Case) -> GuardedProvider | None:
    return choose(case.settings, case.env)


def _resolved(case: Case) -> Finding:
    settings = case.settings
    try:
        provider = _chosen(case)
    except SettingsError as fault:
        return error(str(fault), "the service does not start", "give the key, or choose another VSTACK_LLM")
    if provider is not None:
        return ok(f"{provider.name}, {provider.default_model}")
    if settings.llm == "offline":
        return ok("offline: the signals alone, no model is asked")
    means = "analyses end with 502 llm_resolution_error unless they ask for model: offline"
    mend = "export ANTHROPIC_API_KEY=..., OPENAI_API_KEY=... or OLLAMA_HOST=..., or VSTACK_LLM=offline"
    return warning("no provider is configured", means, mend)


def _shape(case: Case) -> Finding:
    for name in _KEYS:
        key = case.env.get(name, "")
        try:
            parse_key(key.strip() or "-")
        except ValueError as fault:
            return error(f"{name} is no key: {fault}", "that provider is not started", f"export {name}=... without it")
        if key.strip() != key or any(sign in key for sign in "\"'"):
            means = "the provider answers 401: spaces and quotation marks are sent as part of the key"
            return error(f"{name} has spaces or quotation marks in it", means, f"export {name}=... without them")
        if 0 < len(key) < 16 or "replace" in key.lower():
            return error(f"{name} is no key", "the provider answers 401", f"export {name}=... with a key of yours")
    return ok("keys look like keys")


def _both(case: Case) -> Finding:
    found = [name for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OLLAMA_HOST") if case.given(name)]
    if case.settings.llm == "auto" and len(found) > 1:
        means = f"the first counts: {found[0]}"
        return warning(f"set: {', '.join(found)}", means, "VSTACK_LLM=anthropic, openai or ollama says which is meant")
    return ok(f"VSTACK_LLM is {case.settings.llm}")


def _known(case: Case) -> Finding:
    provider = _try(case)
    if provider is None or provider.name == "ollama":
        return skipped("no model that is paid for")
    if price_of(provider.default_model) is None:
        means = "cost_usd is 0 in detections, and alerts on cost are silent"
        return warning(
            f"no price is known for {provider.default_model}", means, "VSTACK_MODEL=a model of docs/providers.md"
        )
    return ok(f"the price of {provider.default_model} is known")


def _listed(case: Case) -> Finding:
    unknown = [model for model in case.settings.models if price_of(model) is None]
    if unknown:
        means = "what requests for them cost is not counted"
        return warning(f"VSTACK_MODELS names {', '.join(unknown)}", means, "correct the names, or accept it")
    return ok(f"{len(case.settings.models) or 'all'} models may be asked for")


def _encrypted(case: Case) -> Finding:
    for name in _URLS:
        url = urlsplit(case.given(name))
        if url.scheme == "http" and not _beside(url.hostname or ""):
            means = "keys and traces cross the network in the open"
            return warning(f"{name} is {url.scheme}://{url.hostname}", means, f"{name}=https://{url.hostname}")
    return ok("models are asked over TLS, or on this machine")


def _beside(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host


def _fallback(case: Case) -> Finding:
    provider = _try(case)
    if provider is None or not case.settings.llm_fallback:
        return ok("no other provider stands in")
    if provider.name in {item.partition(":")[0] for item in case.settings.llm_fallback}:
        means = "when it is away, so is its stand-in"
        return warning(f"{provider.name} stands in for itself", means, "VSTACK_LLM_FALLBACK=another provider, or off")
    return ok(f"stand-ins: {', '.join(case.settings.llm_fallback)}")


def _reached(case: Case) -> Finding:
    provider = _try(case)
    if provider is None:
        return skipped("no provider")
    url = urlsplit(_base_url(case, provider.name))
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    try:
        anyio.run(functools.partial(_connect, host, port, url.scheme == "https"))
    except TimeoutError:
        saw = f"{host}:{port} gives no answer in {_SECONDS:g} s"
    except (OSError, anyio.BrokenResourceError) as fault:
        saw = f"{host}:{port}: {getattr(fault, 'strerror', None) or type(fault).__name__}"
    else:
        return ok(f"{host}:{port} takes connections")
    return error(
        saw, "analyses end with 503 provider_unavailable", "let connections to it out, or correct the base URL"
    )


async def _connect(host: str, port: int, tls: bool) -> None:
    with anyio.fail_after(_SECONDS):
        async with await (anyio.connect_tcp(host, port, tls=True) if tls else anyio.connect_tcp(host, port)):
            pass


def _base_url(case: Case, provider: str) -> str:
    from vstack_runtime.providers import anthropic, ollama, openai

    if provider == "ollama":
        return case.given("OLLAMA_BASE_URL") or case.given("OLLAMA_HOST") or ollama.BASE_URL
    module = anthropic if provider == "anthropic" else openai
    return case.given(f"{provider.upper()}_BASE_URL") or module.BASE_URL


def _try(case: Case) -> GuardedProvider | None:
    """The provider; None where there is none, or where ``provider.resolved`` has said why not."""
    try:
        return _chosen(case)
    except SettingsError:
        _ = case.settings
        return None


CHECKS = (
    Check("provider.resolved", _resolved),
    Check("provider.keys", _shape),
    Check("provider.several", _both),
    Check("provider.priced", _known),
    Check("provider.listed", _listed),
    Check("provider.encrypted", _encrypted),
    Check("provider.fallback", _fallback),
    Check("provider.reached", _reached, network=True),
)
