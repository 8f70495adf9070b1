"""From settings and the environment to a provider, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from vstack_runtime.backends import Provider
from vstack_runtime.model_settings import PROVIDERS, RECORDING_TAPE, parse_key
from vstack_runtime.providers.guarded import GuardedProvider, Limits
from vstack_runtime.settings import Settings, SettingsError

Env = Mapping[str, str]

# Every exchange keeps the deadline of its calls itself. This is for a driver that is held up, and well below the second
# in which a call must have ended.
_CUT_SECONDS = 0.25


def choose(settings: Settings, env: Env) -> GuardedProvider | None:
    """The provider that the settings name, or the first that the environment has a key or a host for.

    Args:
        settings: As the operator made them.
        env: Such as ``os.environ``; holds keys and base URLs, which the settings do not.

    Returns:
        A guarded provider; None where everything runs offline, or ``auto`` finds nothing.

    Raises:
        SettingsError: A provider is named whose key is missing, or a key or a base URL is none.
    """
    kind, _, folder = settings.llm.partition(":")
    name = kind if kind in PROVIDERS else _first(env) if kind in ("auto", RECORDING_TAPE) else None
    if name is None:
        return _from_tape(folder, settings) if folder else None
    fallbacks = [_made(*_split(item), env, "VSTACK_LLM_FALLBACK") for item in settings.llm_fallback]
    provider = _made(name, settings.model, env, "VSTACK_LLM")
    if kind == RECORDING_TAPE:
        provider = _taped(folder, settings, provider)
    if settings.model is None and settings.models and provider.default_model not in settings.models:
        # The default must be allowed too; the first of the list is what its author thought of first.
        provider.default_model = settings.models[0]
    return GuardedProvider(provider, limits=_limits(settings), fallbacks=fallbacks)


def _limits(settings: Settings) -> Limits:
    return Limits(concurrency=settings.llm_max_concurrency, cut_after=_CUT_SECONDS)


def _from_tape(folder: str, settings: Settings) -> GuardedProvider:
    """Recorded answers, and nobody to ask for others."""
    if settings.llm.startswith(RECORDING_TAPE):
        told = f"{RECORDING_TAPE}:DIR where ANTHROPIC_API_KEY, OPENAI_API_KEY or OLLAMA_HOST says whom to ask"
        raise SettingsError("VSTACK_LLM", settings.llm, told)
    return GuardedProvider(_taped(folder, settings, None), limits=_limits(settings))


def _taped(folder: str, settings: Settings, inner: Provider | None) -> Provider:
    from vstack_runtime.providers.taped import TapeProvider

    try:
        return TapeProvider(folder, inner=inner, default_model=settings.model)
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or str(error)
        raise SettingsError("VSTACK_LLM", settings.llm, f"a folder of recorded answers ({told})") from None


def _value(env: Env, name: str) -> str | None:
    return env.get(name, "").strip() or None


def _key(env: Env, name: str) -> str | None:
    text = _value(env, name)
    try:
        return None if text is None else parse_key(text)
    except ValueError as fault:
        raise SettingsError(name, None, str(fault)) from None


def _first(env: Env) -> str | None:
    for name, variables in (
        ("anthropic", ("ANTHROPIC_API_KEY",)),
        ("openai", ("OPENAI_API_KEY",)),
        ("ollama", ("OLLAMA_HOST", "OLLAMA_BASE_URL")),
    ):
        if any(_value(env, variable) for variable in variables):
            return name
    return None


def _split(item: str) -> tuple[str, str | None]:
    """``openai`` or ``openai:model``; a model's own name may hold colons."""
    name, _, model = item.partition(":")
    return name, model or None


def _made(name: str, model: str | None, env: Env, asked_by: str) -> Provider:
    return _MAKERS[name](model, env, asked_by)


def _anthropic(model: str | None, env: Env, asked_by: str) -> Provider:
    # Imported where it is used: the maker's client takes most of a second to import.
    from vstack_runtime.providers.anthropic import BASE_URL, DEFAULT_MODEL, AnthropicProvider

    key = _key(env, "ANTHROPIC_API_KEY")
    if key is None:
        raise SettingsError(asked_by, "anthropic", "anthropic where ANTHROPIC_API_KEY holds a key, which it does not")
    url = _url(env, "ANTHROPIC_BASE_URL") or BASE_URL
    return AnthropicProvider(key, base_url=url, default_model=model or DEFAULT_MODEL)


def _openai(model: str | None, env: Env, asked_by: str) -> Provider:
    from vstack_runtime.providers.openai import BASE_URL, DEFAULT_MODEL, OpenAIProvider

    key, url = _key(env, "OPENAI_API_KEY"), _url(env, "OPENAI_BASE_URL")
    if key is None and url is None:
        told = "openai where OPENAI_API_KEY holds a key or OPENAI_BASE_URL names a server of one's own; neither does"
        raise SettingsError(asked_by, "openai", told)
    return OpenAIProvider(key, base_url=url or BASE_URL, default_model=model or DEFAULT_MODEL)


def _ollama(model: str | None, env: Env, asked_by: str) -> Provider:
    from vstack_runtime.providers.ollama import BASE_URL, DEFAULT_MODEL, OllamaProvider

    url = _url(env, "OLLAMA_BASE_URL") or _ollama_host(env)
    return OllamaProvider(base_url=url or BASE_URL, default_model=model or DEFAULT_MODEL)


_MAKERS: dict[str, Callable[[str | None, Env, str], Provider]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "ollama": _ollama,
}


def _url(env: Env, name: str) -> str | None:
    text = _value(env, name)
    return None if text is None else _checked(name, text, text)


def _checked(name: str, text: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(name, text, "a URL such as https://models.example/v1")
    return url


def _ollama_host(env: Env) -> str | None:
    """Ollama's own variable: a URL, or a host with or without a port; 0.0.0.0 is what a server listens at."""
    text = _value(env, "OLLAMA_HOST")
    if text is None:
        return None
    url = _checked("OLLAMA_HOST", text, text if "://" in text else f"http://{text}")
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname in ("0.0.0.0", "::") else parts.hostname  # nosec B104
    port = parts.port or (11434 if "://" not in text else None)
    return f"{parts.scheme}://{f'[{host}]' if ':' in str(host) else host}{f':{port}' if port else ''}{parts.path}"
