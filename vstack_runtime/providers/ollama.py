"""Ollama: models on one's own machine."""

from __future__ import annotations

from typing import Any

import msgspec

from vstack_proto.values import ModelRequest, Usage
from vstack_runtime.backends import ProviderError
from vstack_runtime.http_client import JsonClient
from vstack_runtime.providers.common import MAX_OUTPUT_TOKENS, Reply, again, decoded, failed, tokens
from vstack_runtime.providers.schemas import told_schema

NAME = "ollama"
DEFAULT_MODEL = "gemma4:12b"
BASE_URL = "http://127.0.0.1:11434"

# English text has about four characters a token, tables and code about three.
_CHARACTERS_A_TOKEN = 3
# Memory grows with the window, so it is asked for as the prompt needs it, in steps that keep the model loaded.
_SMALLEST_WINDOW, _LARGEST_WINDOW = 8_192, 262_144


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
        answer = await self._http.post("api/chat", msgspec.json.encode(_body(request)), within)
        if answer.status >= 300:
            raise failed(NAME, "OLLAMA_HOST", request.model, answer.status, answer.headers, None)
        told = decoded(NAME, answer.body)
        usage = Usage(tokens(told.get("prompt_eval_count")), tokens(told.get("eval_count")))
        message = told.get("message")
        if not isinstance(message, dict):
            # It may find out on the way, when the status is already sent.
            raise ProviderError("unavailable", f"{NAME} sent an answer without a message", usage=usage)
        if told.get("done_reason") == "length":
            raise ProviderError("truncated", f"{request.model} did not finish within its window", usage=usage)
        text = message.get("content")
        return Reply(text if isinstance(text, str) else "", usage)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


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
        "options": {"num_ctx": window(sum(len(one["content"]) for one in messages)), "num_predict": MAX_OUTPUT_TOKENS},
    }


def window(characters: int) -> int:
    """The context window for a prompt of so many characters, in tokens.

    Ollama's own default is a few thousand, and it cuts off the beginning of what does not fit without a word.
    """
    wanted = characters // _CHARACTERS_A_TOKEN + MAX_OUTPUT_TOKENS // 4
    size = _SMALLEST_WINDOW
    while size < wanted and size < _LARGEST_WINDOW:
        size *= 2
    return size
