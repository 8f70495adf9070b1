"""Ollama's context window: how large it is asked for, and that no answer comes from a part of the prompt."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.fakes.model_service import Act, serving
from tests.providers.kit import QUICK, RUNTIMES, asked, provider
from vstack_proto.values import Usage
from vstack_runtime.backends import ProviderError
from vstack_runtime.providers.common import Reply
from vstack_runtime.providers.guarded import GuardedProvider
from vstack_runtime.providers.ollama import window


@pytest.mark.parametrize(
    ("prompt", "size"),
    [
        ("", 16_384),
        ("x" * 25_154, 16_384),
        ("x" * 25_155, 32_768),
        ("x" * 1_000_000, 524_288),
        # A digit is a token, and so is a character of Chinese; an emoji is two.
        ("7" * 8_384, 16_384),
        ("7" * 8_385, 32_768),
        ("\u6f22" * 100_000, 262_144),
        ("\u6f22" * 1_000_000, 1_048_576),
        ("\U0001f642" * 100_000, 262_144),
        ("\u044f" * 100_000, 131_072),
        ("\ud800", 16_384),
        ("x" * 9_000_000, 1_048_576),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, str) else str(value),
)
def test_the_window(prompt: str, size: int) -> None:
    assert window(prompt) == size


def test_it_is_told_to_cut_nothing() -> None:
    with serving() as server:
        asked("asyncio", provider("ollama", server.url), shared="x" * 90_000)
    body = server.asked[0].body
    assert (body["truncate"], body["shift"]) == (False, False)
    assert body["options"] == {"num_ctx": 65_536, "num_predict": 16_000}


def of_llama(message: str, kind: str) -> dict[str, str]:
    """How servers since 0.30 hand on what llama.cpp's says."""
    return {"error": msgspec.json.encode({"error": {"code": 400, "message": message, "type": kind}}).decode()}


BEYOND = [
    of_llama("request (2622 tokens) exceeds the available context size (512 tokens)", "exceed_context_size_error"),
    {"error": "the input length exceeds the context length"},
    {"error": "the prompt is longer than the context length currently available to the model; shorten the prompt"},
    {"error": "prompt too long; exceeded max context length by 512 tokens"},
]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("body", BEYOND)
def test_a_prompt_that_does_not_fit(body: Any, runtime: str) -> None:
    with serving(Act(status=400, body=msgspec.json.encode(body))) as server:
        guarded = GuardedProvider(provider("ollama", server.url), limits=QUICK)
        with pytest.raises(ProviderError) as caught:
            asked(runtime, guarded, model="gemma4:12b")
        assert len(server.asked) == 1
    mends = "a shorter trace or a model with a larger one mends it"
    assert (caught.value.kind, caught.value.status) == ("truncated", 400)
    assert caught.value.message == f"the trace does not fit gemma4:12b's context window; {mends}"


@pytest.mark.parametrize(
    "body",
    [
        of_llama("Multimodal data provided, but model does not support multimodal requests.", "invalid_request_error"),
        {"error": "invalid format: expected a valid JSON Schema object"},
        {"error": 5},
        [],
    ],
)
def test_another_error(body: Any) -> None:
    with serving(Act(status=400, body=msgspec.json.encode(body))) as server, pytest.raises(ProviderError) as caught:
        asked("asyncio", provider("ollama", server.url))
    assert (caught.value.kind, caught.value.message) == ("rejected", "ollama answered 400")


def answering(prompt: int, answer: int, reason: str) -> Act:
    body = {"message": {"content": "{}"}, "done": True, "done_reason": reason}
    return Act(body=msgspec.json.encode({**body, "prompt_eval_count": prompt, "eval_count": answer}))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("prompt", "answer", "reason", "told"),
    [
        (16_384, 10, "stop", "does not fit claude-sonnet-5-5's context window"),
        (16_384, 10, "length", "does not fit claude-sonnet-5-5's context window"),
        (9_000, 7_384, "length", "did not finish within its window"),
        (200, 16_000, "length", "did not finish within 16000 tokens"),
    ],
)
def test_an_answer_from_a_part(prompt: int, answer: int, reason: str, told: str, runtime: str) -> None:
    with serving(answering(prompt, answer, reason)) as server, pytest.raises(ProviderError) as caught:
        asked(runtime, provider("ollama", server.url))
    assert (caught.value.kind, caught.value.usage) == ("truncated", Usage(prompt, answer))
    assert told in caught.value.message


@pytest.mark.parametrize("prompt", [0, 1, 16_383, 40_000])
def test_a_count_that_leaves_out_what_was_in_the_cache_is_no_fault(prompt: int) -> None:
    with serving(answering(prompt, 10, "stop")) as server:
        assert asked("asyncio", provider("ollama", server.url)) == Reply("{}", Usage(prompt, 10))
