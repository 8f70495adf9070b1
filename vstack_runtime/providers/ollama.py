"""Ollama: models on one's own machine."""

from __future__ import annotations

from typing import Any

import msgspec

from vstack_proto.values import ModelRequest, Usage
from vstack_runtime.backends import ProviderError
from vstack_runtime.http_client import JsonClient
from vstack_runtime.providers.common import (
    MAX_OUTPUT_TOKENS,
    Reply,
    again,
    decoded,
    failed,
    json_of,
    tokens,
    too_long,
)
from vstack_runtime.providers.schemas import told_schema

NAME = "ollama"
DEFAULT_MODEL = "gemma4:12b"
BASE_URL = "http://127.0.0.1:11434"

# English text has about four characters a token, tables and code about three. Most models take each digit for one.
_CHARACTERS_A_TOKEN = 3
# Chinese, Japanese and Korean have about a token a character of three bytes, emoji two of four; others have fewer.
_BYTES_A_TOKEN = 2
# Room for the answer, and for what a model thinks before it.
_ANSWER_TOKENS = MAX_OUTPUT_TOKENS // 2
# Memory grows with the window, so it is asked for as the prompt needs it, in steps that keep the model loaded. Of a
# model whose own window is smaller, the server takes that.
_SMALLEST_WINDOW, _LARGEST_WINDOW = 16_384, 1_048_576


class OllamaProvider:
    """Asks models through ``/api/chat``, bound to the JSON Schema."""

    name = NAME

    def __init__(self, *, base_url: str = BASE_URL, default_model: str = DEFAULT_MODEL) -> None:
        """
        Args:
            base_url: Of the server.
            default_model: Asked where a request names none.
        """
        self.default_model = default_model
        self._http = JsonClient(NAME, base_url, {})

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        """Ask a model.

        Raises:
            ProviderError: The call came to nothing.
        """
        body = _body(request)
        answer = await self._http.post("api/chat", msgspec.json.encode(body), within)
        if answer.status >= 300:
            told = json_of(answer.body)
            raise failed(NAME, "OLLAMA_HOST", request.model, answer.status, answer.headers, told)
        return _reply(decoded(NAME, answer.body), request.model, body["options"]["num_ctx"])

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


def _reply(told: dict[str, Any], model: str, asked: int) -> Reply:
    usage = Usage(tokens(told.get("prompt_eval_count")), tokens(told.get("eval_count")))
    message = told.get("message")
    if not isinstance(message, dict):
        # It may find out on the way, when the status is already sent.
        raise ProviderError("unavailable", f"{NAME} sent an answer without a message", usage=usage)
    if usage.input_tokens == asked:
        # A server before 0.12.6, which knows no `truncate`, has cut the prompt to the very window.
        raise too_long(model, usage=usage)
    if told.get("done_reason") == "length":
        bound = f"{MAX_OUTPUT_TOKENS} tokens" if usage.output_tokens >= MAX_OUTPUT_TOKENS else "its window"
        raise ProviderError("truncated", f"{model} did not finish within {bound}", usage=usage)
    text = message.get("content")
    return Reply(text if isinstance(text, str) else "", usage)


def _body(request: ModelRequest) -> dict[str, Any]:
    # The format binds the answer, but the model does not see it.
    asked = f"{request.shared}\n\n{request.instruction}\n\n{told_schema(request.schema)}"
    messages = [{"role": "system", "content": request.system}, {"role": "user", "content": asked}]
    if request.complaint is not None:
        messages.append({"role": "assistant", "content": request.previous or ""})
        messages.append({"role": "user", "content": again(request.complaint)})
    return {
        "model": request.model,
        "messages": messages,
        "stream": False,
        "format": msgspec.Raw(request.schema),
        # Else it answers without a word from a part of the prompt, where that does not fit or the answer pushes it out.
        "truncate": False,
        "shift": False,
        "options": {"num_ctx": window("".join(one["content"] for one in messages)), "num_predict": MAX_OUTPUT_TOKENS},
    }


def window(prompt: str) -> int:
    """The context window to ask for, in tokens; Ollama's own default is a few thousand."""
    plain = len(prompt.encode("ascii", "ignore"))
    digits = sum(map(prompt.count, "0123456789"))
    other = len(prompt.encode("utf-8", "surrogatepass")) - plain
    wanted = (plain - digits) // _CHARACTERS_A_TOKEN + digits + other // _BYTES_A_TOKEN + _ANSWER_TOKENS
    size = _SMALLEST_WINDOW
    while size < wanted and size < _LARGEST_WINDOW:
        size *= 2
    return size
