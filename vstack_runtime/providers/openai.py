"""OpenAI's chat completions, and the many services that speak the same."""

from __future__ import annotations

import hashlib
import re
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
    beyond_window,
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
_FORM = re.compile(r"response_format|json_schema|json_object")
# Of a schema: it is refused where others are taken.
_THIS_SCHEMA = re.compile(r"(?i)\binvalid[ _](?:json[ _])?schema\b")
# From GPT-5.6 on, OpenAI's cache holds a prompt only up to its marks. By default there is one mark, at the end, where
# no other pass comes to; writing costs a quarter more than reading afresh. Models before know no marks and refuse them
# (developers.openai.com/api/docs/guides/prompt-caching).
_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?(?![\d.])")
_FIRST_WITH_MARKS = (5, 6)
_MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}
# What is remembered; names of models come from callers.
_MAX_FORMS = 256

Forms = dict[tuple[str, bytes], Form]
"""By model, and by schema: an empty one stands for all that have a strict form."""


class OpenAIProvider:
    """Asks models behind ``/chat/completions``.

    A model is told what its answer must look like by the server's strict mode; where the server says that it cannot, by
    its JSON mode, and then by the prompt alone.

    Attributes:
        forms: What was answered after the form before it was refused, and so is what to begin with from now on.
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
        self.forms: Forms = {}
        self._envelopes = Envelopes()
        self._unmarked: dict[str, None] = {}
        # Some servers take a form and ignore it; only OpenAI's own is known to hold to it. No other knows marks.
        self._tells_schema = base_url.rstrip("/") != BASE_URL
        self._http = JsonClient(NAME, base_url, {"authorization": f"Bearer {key}"} if key else {})

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        """Ask a model.

        Raises:
            ProviderError: The call came to nothing.
        """
        strict = own(request).schema is not None
        alone, all_strict = (request.model, request.schema), (request.model, b"")
        about = all_strict if strict else alone
        first: Form = self.forms.get(all_strict, "json_schema") if strict else "json_object"
        form = first = self.forms.get(alone, first)
        apart = False  # whether a schema of all passes was refused
        marks = not self._tells_schema and _knows_marks(request.model) and request.model not in self._unmarked
        unmarked = False  # whether marks were refused
        while True:
            binding = own(request) if apart or form != "json_schema" else self._envelopes.binding(request)
            body = msgspec.json.encode(self._body(request, form, binding, marks))
            answer = await self._http.post("chat/completions", body, within)
            if answer.status < 300:
                if form != first:
                    self._remember(about, form)
                elif apart:
                    self._envelopes.leave_out(request)
                if unmarked and len(self._unmarked) < _MAX_FORMS:
                    self._unmarked[request.model] = None
                reply = _reply(decoded(NAME, answer.body), request.model)
                return unsaid(Reply(binding.opened(reply.text), reply.usage), self._key)
            told = json_of(answer.body)
            if marks and _marks_refused(answer.status, told):
                marks, unmarked = False, True
                continue
            if form not in _NEXT or not _form_refused(answer.status, told):
                raise _error(answer, told, request.model)
            if binding.shape:
                # It may be too much for a server that takes each pass's own.
                apart = True
                continue
            if _THIS_SCHEMA.search(" ".join(error_of(told).values())):
                about = alone
            form = _NEXT[form]

    def _remember(self, about: tuple[str, bytes], form: Form) -> None:
        self.forms.pop(about, None)
        if len(self.forms) >= _MAX_FORMS:
            del self.forms[next(iter(self.forms))]
        self.forms[about] = form
        _log.warning("the server took another form of answer only", provider=NAME, model=about[0], form=form)

    def _body(self, request: ModelRequest, form: Form, binding: Binding, marks: bool) -> dict[str, Any]:
        tells = self._tells_schema or form != "json_schema"
        asked = f"{request.instruction}{binding.told(request.schema) if tells else binding.wish()}"
        content: Any = _marked(request.shared, asked, binding) if marks else f"{request.shared}\n\n{asked}"
        messages = [{"role": "system", "content": request.system}, {"role": "user", "content": content}]
        if request.complaint is not None:
            messages.append({"role": "assistant", "content": binding.enclosed(request.previous or "")})
            messages.append({"role": "user", "content": f"{again(request.complaint)}{binding.wish()}"})
        body: dict[str, Any] = {
            "model": request.model,
            "messages": messages,
            "max_completion_tokens": MAX_OUTPUT_TOKENS,
        }
        if marks:
            body["prompt_cache_options"] = {"mode": "explicit"}
            # Calls with the same key come to where the prompt was cached.
            body["prompt_cache_key"] = hashlib.sha256(request.shared.encode()).hexdigest()[:32]
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


def _knows_marks(model: str) -> bool:
    version = _VERSION.match(model)
    return version is not None and (int(version[1]), int(version[2] or 0)) >= _FIRST_WITH_MARKS


def _marked(shared: str, asked: str, binding: Binding) -> list[dict[str, Any]]:
    """What stands in a user's turn, with a mark after the trace where another pass can find it in the cache."""
    mark = _MARK if binding.shared else {}
    return [{"type": "text", "text": shared, **mark}, {"type": "text", "text": asked}]


def _marks_refused(status: int, told: object) -> bool:
    said = error_of(told)
    return status == 400 and "prompt_cache" in (said.get("param") or said["message"])


def _form_refused(status: int, told: object) -> bool:
    """Whether a server says that it does not know a form of answer, in the fields where it names what it refuses."""
    said = error_of(told)
    if status not in (400, 422, 501) or beyond_window(told) or "content_filter" in (said.get("code"), said.get("type")):
        return False
    # FastAPI's words for a body that it does not take: each with the place of what is wrong.
    details = told.get("detail") if isinstance(told, dict) else None
    if isinstance(details, list):
        places = [one.get("loc") for one in details if isinstance(one, dict)]
        return any(isinstance(place, list) and "response_format" in place for place in places)
    # A message may quote what callers wrote, and so counts only where no field is named.
    where = said["param"] if said.get("param") else " ".join((said.get("code", ""), said["message"]))
    return bool(_FORM.search(where))


def _error(answer: Answer, body: object, model: str) -> ProviderError:
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
