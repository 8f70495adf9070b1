"""Which provider an environment stands for, what it is asked by default, and what its calls cost."""

from __future__ import annotations

from typing import Any, get_args

import anthropic.types as anthropic_types
import msgspec
import pytest
import structlog
from anthropic.resources.messages.messages import DEPRECATED_MODELS

from tests.providers.kit import KEY
from vstack_proto.values import Usage
from vstack_runtime.providers import anthropic, ollama, openai
from vstack_runtime.providers import prices as price_list
from vstack_runtime.providers.choosing import choose
from vstack_runtime.providers.guarded import GuardedProvider
from vstack_runtime.providers.prices import Price, cost_usd, price_of, priced, prices
from vstack_runtime.settings import Settings, SettingsError

A, O, H = {"ANTHROPIC_API_KEY": KEY}, {"OPENAI_API_KEY": KEY}, {"OLLAMA_HOST": "127.0.0.1"}  # noqa: E741


def chosen(**env: str) -> GuardedProvider | None:
    return choose(Settings.from_env(env), env)


@pytest.mark.parametrize(
    ("env", "name", "model"),
    [
        ({**A, **O, **H}, "anthropic", anthropic.DEFAULT_MODEL),
        ({**O, **H}, "openai", openai.DEFAULT_MODEL),
        (H, "ollama", ollama.DEFAULT_MODEL),
        ({**A, "VSTACK_LLM": "ollama"}, "ollama", ollama.DEFAULT_MODEL),
        ({**A, "VSTACK_MODEL": "claude-haiku-5-5"}, "anthropic", "claude-haiku-5-5"),
        ({**A, "VSTACK_MODELS": "claude-opus-5-5,claude-haiku-5-5"}, "anthropic", "claude-opus-5-5"),
        ({**A, "VSTACK_MODELS": f"claude-opus-5-5,{anthropic.DEFAULT_MODEL}"}, "anthropic", anthropic.DEFAULT_MODEL),
        ({"VSTACK_LLM": "openai", "OPENAI_BASE_URL": "http://127.0.0.1:8080/v1"}, "openai", openai.DEFAULT_MODEL),
    ],
)
def test_the_provider_of_an_environment(env: dict[str, str], name: str, model: str) -> None:
    guarded = chosen(**env)
    assert guarded is not None
    assert (guarded.name, guarded.default_model) == (name, model)


@pytest.mark.parametrize(
    "env", [{}, {"ANTHROPIC_API_KEY": " "}, {"OPENAI_BASE_URL": "http://a"}, {**A, "VSTACK_LLM": "offline"}]
)
def test_no_provider(env: dict[str, str]) -> None:
    assert chosen(**env) is None


@pytest.mark.parametrize(
    ("env", "name", "told"),
    [
        ({"VSTACK_LLM": "anthropic"}, "VSTACK_LLM", "ANTHROPIC_API_KEY"),
        ({"VSTACK_LLM": "openai"}, "VSTACK_LLM", "OPENAI_API_KEY"),
        ({**A, "VSTACK_LLM_FALLBACK": "openai"}, "VSTACK_LLM_FALLBACK", "OPENAI_API_KEY"),
        ({**A, "ANTHROPIC_BASE_URL": "api.anthropic.com"}, "ANTHROPIC_BASE_URL", "a URL"),
        ({**O, "OPENAI_BASE_URL": "http://[::1"}, "OPENAI_BASE_URL", "a URL"),
        ({"OLLAMA_HOST": "127.0.0.1:no"}, "OLLAMA_HOST", "a URL"),
        ({**A, "VSTACK_MODEL": "one", "VSTACK_MODELS": "two,three"}, "VSTACK_MODEL", "two, three"),
    ],
)
def test_what_stops_the_start(env: dict[str, str], name: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen(**env)
    assert caught.value.name == name
    assert told in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"])
@pytest.mark.parametrize("part", ["\u00fc", "\n", "\r\n", " ", "\t", "\x00", "\x7f", "\u00a0", "\udcff"])
def test_a_malformed_key_stops_the_start_and_is_not_shown(name: str, part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen(**{name: f"sk-abcdef{part}0123456789"})
    assert (caught.value.name, caught.value.value) == (name, None)
    assert str(caught.value).startswith(f"{name} is refused: it holds a blank")
    told = f"{caught.value!r} {caught.value.__context__!r}"
    assert not any(secret in told for secret in ("abcdef", "0123456789"))


def test_what_surrounds_a_key_is_left_out() -> None:
    assert chosen_http({"OPENAI_API_KEY": f" {KEY}\n"}).headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "env",
    [
        {**A, "ANTHROPIC_BASE_URL": KEY},
        {**A, "ANTHROPIC_BASE_URL": f"host.example/v1?api_key={KEY[3:]}"},
        {**O, "OPENAI_BASE_URL": KEY},
        {"OLLAMA_HOST": f"{KEY}:no"},
        {**A, "VSTACK_LLM_FALLBACK": f"gpt:{KEY}"},
    ],
)
def test_a_key_in_the_wrong_variable_is_not_shown(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen(**env)
    assert KEY[3:] not in str(caught.value)


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({"OLLAMA_HOST": "models.example"}, "http://models.example:11434/"),
        ({"OLLAMA_HOST": "0.0.0.0:1234"}, "http://127.0.0.1:1234/"),
        ({"OLLAMA_HOST": "https://models.example/ollama"}, "https://models.example/ollama/"),
        ({"OLLAMA_HOST": "[::1]:1234"}, "http://[::1]:1234/"),
        ({"OLLAMA_HOST": "one", "OLLAMA_BASE_URL": "http://two:1"}, "http://two:1/"),
        ({"VSTACK_LLM": "ollama"}, "http://127.0.0.1:11434/"),
        ({**O, "OPENAI_BASE_URL": "http://three/v1/"}, "http://three/v1/"),
        (O, "https://api.openai.com/v1/"),
    ],
)
def test_where_it_is_found(env: dict[str, str], url: str) -> None:
    # Of httpx, which leaves the slash at the end in, so that paths are appended.
    assert getattr(chosen_http(env), "base_url", None) == url


def chosen_http(env: dict[str, str]) -> Any:
    guarded = chosen(**env)
    assert guarded is not None
    return guarded.lanes[0].provider._http._client  # type: ignore[attr-defined]


def test_fallbacks_come_in_order_with_their_models() -> None:
    guarded = chosen(**A, **O, VSTACK_LLM_FALLBACK="openai:gpt-6.1-sol, ollama:gemma4:31b")
    assert guarded is not None
    lanes = [(lane.provider.name, lane.provider.default_model) for lane in guarded.lanes]
    assert lanes == [
        ("anthropic", anthropic.DEFAULT_MODEL),
        ("openai", "gpt-6.1-sol"),
        ("ollama", "gemma4:31b"),
    ]


# Prices.


def test_the_list_holds_what_is_asked_by_default() -> None:
    assert {anthropic.DEFAULT_MODEL, openai.DEFAULT_MODEL} <= prices().keys()
    for price in prices().values():
        assert 0 < (price.cache_read or price.input) <= price.input < price.output


# Published with no price of its own: Anthropic gives it to verified organisations alone.
UNPRICED = {"claude-mythos-5-2"}


def test_every_claude_model_that_is_not_deprecated_has_a_price() -> None:
    listed, _ = get_args(anthropic_types.Model)
    current = set(get_args(listed)) - DEPRECATED_MODELS.keys()
    assert {model for model in current if price_of(model) is None} == UNPRICED


def test_a_model_without_a_price_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_list, "_told", set())
    with structlog.testing.capture_logs() as logs:
        assert [priced(model, Usage(M, M)).cost_usd for model in ("mine", "mine", openai.DEFAULT_MODEL)][:2] == [0, 0]
        for number in range(1_000):
            priced(f"yours-{number}", Usage(1, 1))
    assert logs[0] == {
        "event": "no price is known for a model: its cost counts as 0",
        "model": "mine",
        "log_level": "warning",
    }
    assert len(logs) == len({line["model"] for line in logs}) == 64


M = 1_000_000


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("claude-sonnet-5-5", Usage(M, 0), 2.0),
        ("claude-sonnet-5-5", Usage(0, M), 10.0),
        ("claude-sonnet-5-5", Usage(M, 0, M, 0), 0.1),
        ("claude-sonnet-5-5", Usage(M, 0, 0, M), 2.5),
        ("claude-sonnet-5-5", Usage(M, 0, M // 2, M // 2), 1.3),
        ("claude-sonnet-5-5-20261001", Usage(M, 0), 2.0),
        ("gpt-6.1-sol-2026-09-29", Usage(100_000, 0), 0.2),
        ("claude-haiku-5-5", Usage(100_000, 0), 0.01),
        ("claude-haiku-5-5", Usage(100_001, 100_000), 0.0500005 + 0.25),
        ("gemma4:12b", Usage(M, M), 0.0),
        ("claude-sonnet-5-5-large", Usage(M, M), 0.0),
        ("gpt-6.1-sol", Usage(100_000, 0, 0, 100_000), 0.25),
        ("gpt-6.1-sol", Usage(272_001, 0, 272_001, 0), 0.0544002),
        # A service that counts nonsense costs nothing less.
        ("claude-sonnet-5-5", Usage(0, 0, M, 0), 0.1),
    ],
)
def test_what_tokens_cost(model: str, usage: Usage, dollars: float) -> None:
    assert cost_usd(model, usage) == pytest.approx(dollars)


def test_no_default_is_near_its_end() -> None:
    from anthropic.resources.messages.messages import DEPRECATED_MODELS

    assert anthropic.DEFAULT_MODEL not in DEPRECATED_MODELS
    assert price_of(anthropic.DEFAULT_MODEL) == msgspec.structs.replace(prices()[anthropic.DEFAULT_MODEL])


def test_cached_tokens_without_a_rate_cost_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_list, "prices", lambda: {"mine": Price(2.0, 10.0)})
    assert cost_usd("mine", Usage(3 * M, 0, M, M)) == pytest.approx(6.0)
