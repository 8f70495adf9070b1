"""OpenAI's chat completions, and the many services that speak the same."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from vstack_proto.values import ModelRequest, Usage
from vstack_runtime.backends import ProviderError
from vstack_runtime.http_client import Answer, JsonClient
from vstack_runtime.logs import get_logger
from vstack_runtime.providers.common import (
    MAX_OUTPUT_TOKENS,
    Reply,
    again,
    decoded,
    error_of,
    failed,
    json_of,
    tokens,
    unsaid,
)
from vstack_runtime.providers.envelopes import Binding, Envelopes, own
from vstack_runtime.providers.prices import priced

_log = get_logger()

NAME = "openai"
DEFAULT_MODEL = "gpt-6.1-terra"
BASE_URL = "https://api.openai.com/v1"

Form = Literal["json_schema", "json_object", "prompt"]
_NEXT: dict[Form, Form] = {"json_schema": "json_object", "json_object": "prompt"}
# How a service says that it does not know a form of answer: 400 or 422 and one of these words.
_FORM_WORDS = (b"response_format", b"json_schema", b"json_object", b"structured output", b"guided")


class OpenAIProvider:
    """Asks models behind ``/chat/completions``.

    Attributes:
        form: How this server is told what the answer must look like: by its strict mode, by its JSON mode, or by the
            prompt alone. It starts with the first and steps down when the server says that it cannot.
    """

    name = NAME

    def __init__(self, key: str | None, *, base_url: str = BASE_URL, default_model: str = DEFAULT_MODEL) -> None:
        """
        Args:
            key: Of the API, for servers that want one; no error text will hold it.
            base_url: With its version, such as ``http://127.0.0.1:8080/v1``.
            default_model: Asked where a request names none.
        """
        self.default_model = default_model
        self._key = key
        self.form: Form = "json_schema"
        self._envelopes = Envelopes()
        # Some servers take a form and ignore it; only OpenAI's own is known to hold to it.
        self._tells_schema = base_url.rstrip("/") != BASE_URL
        self._http = JsonClient(NAME, base_url, {"authorization": f"Bearer {key}"} if key else {})

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        """Ask a model.

        Raises:
            ProviderError: The call came to nothing.
        """
        while True:
            form = self.form
            binding = self._envelopes.binding(request) if form == "json_schema" else own(request)
            used: Form = "json_object" if form == "json_schema" and binding.schema is None else form
            body = msgspec.json.encode(self._body(request, used, binding))
            answer = await self._http.post("chat/completions", body, within)
            if answer.status < 300:
                reply = _reply(decoded(NAME, answer.body), request.model)
                return unsaid(Reply(binding.opened(reply.text), reply.usage), self._key)
            if used not in _NEXT or not _form_refused(answer):
                raise _error(answer, request.model)
            if binding.shape:
                # It may be too much for a server that takes each pass's own.
                self._envelopes.leave_out(request)
                continue
            # Another call may have stepped down meanwhile; then its form is tried.
            if self.form == form:
                self.form = _NEXT[used]
                _log.warning("the server takes no such form of answer", provider=NAME, refused=used, next=self.form)

    def _body(self, request: ModelRequest, form: Form, binding: Binding) -> dict[str, Any]:
        tells = self._tells_schema or form != "json_schema"
        asked = f"{request.shared}\n\n{request.instruction}{binding.told(request.schema) if tells else binding.wish()}"
        messages = [{"role": "system", "content": request.system}, {"role": "user", "content": asked}]
        if request.complaint is not None:
            messages.append({"role": "assistant", "content": binding.enclosed(request.previous or "")})
            messages.append({"role": "user", "content": f"{again(request.complaint)}{binding.wish()}"})
        body: dict[str, Any] = {
            "model": request.model,
            "messages": messages,
            "max_completion_tokens": MAX_OUTPUT_TOKENS,
        }
        if form == "json_schema":
            # The name may have 64 characters of [A-Za-z0-9_-]; it stands before the prompt, as the schema does.
            name = "answer" if binding.shared else request.name[:64]
            wanted = {"name": name, "strict": True, "schema": binding.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        elif form == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


def _form_refused(answer: Answer) -> bool:
    said = answer.body.lower()
    return answer.status in (400, 422, 501) and any(word in said for word in _FORM_WORDS)


def _error(answer: Answer, model: str) -> ProviderError:
    body = json_of(answer.body)
    error = failed(NAME, "OPENAI_API_KEY", model, answer.status, answer.headers, body)
    said = error_of(body)
    if answer.status == 429 and "insufficient_quota" in (said.get("code"), said.get("type")):
        # Said with 429 as well, but no pause mends it.
        return ProviderError("rejected", f"{NAME} answered 429 insufficient_quota; its account has no credit left")
    return error


def _reply(answer: dict[str, Any], model: str) -> Reply:
    usage = _usage(answer.get("usage"), model)
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ProviderError("unavailable", f"{NAME} sent an answer without a message", usage=usage)
    reason, text = choice.get("finish_reason"), message.get("content")
    if message.get("refusal") or reason == "content_filter":
        raise ProviderError("refused", f"{model} refused to answer", usage=usage)
    if reason == "length":
        raise ProviderError("truncated", f"{model} did not finish within {MAX_OUTPUT_TOKENS} tokens", usage=usage)
    return Reply(text if isinstance(text, str) else "", usage)


def _usage(told: Any, model: str) -> Usage:
    if not isinstance(told, dict):
        return Usage()
    details = told.get("prompt_tokens_details")
    cached = details if isinstance(details, dict) else {}
    sent, answered = tokens(told.get("prompt_tokens")), tokens(told.get("completion_tokens"))
    read, written = tokens(cached.get("cached_tokens")), tokens(cached.get("cache_write_tokens"))
    return priced(model, Usage(sent, answered, read, written))
