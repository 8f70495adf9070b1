"""Anthropic's service, through the maker's own client. Retrying is not its business here: see ``guarded.py``."""

from __future__ import annotations

import anthropic
from anthropic.types import Message, MessageParam, TextBlock, TextBlockParam

from vstack_proto.values import ModelRequest, Usage
from vstack_runtime.backends import ProviderError
from vstack_runtime.http_client import (
    anthropic_client,
    anthropic_timeout,
    connect_timed_out,
    connection_failed,
    reclaiming,
)
from vstack_runtime.logs import get_logger
from vstack_runtime.providers.common import MAX_OUTPUT_TOKENS, Reply, again, failed, tokens, unsaid
from vstack_runtime.providers.envelopes import Binding, Envelopes, own, schema_refused
from vstack_runtime.providers.prices import priced

_log = get_logger()

NAME = "anthropic"
DEFAULT_MODEL = "claude-sonnet-5-5"
BASE_URL = "https://api.anthropic.com"


class _TooMuch(Exception):
    """The schema of all passes was refused."""


class AnthropicProvider:
    """Asks Claude models; answers are bound to the JSON Schema, the shared prefix is cached there for five minutes."""

    name = NAME

    def __init__(self, key: str, *, base_url: str = BASE_URL, default_model: str = DEFAULT_MODEL) -> None:
        """
        Args:
            key: Of the API; no error text will hold it.
            base_url: Of the API or of what stands in for it.
            default_model: Asked where a request names none.
        """
        self.default_model = default_model
        self._envelopes = Envelopes()
        self._http = anthropic_client()
        self._client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=base_url,
            max_retries=0,
            http_client=self._http,
            # Spans of its own would hold what callers sent.
            open_telemetry=False,
        )

    async def ask(self, request: ModelRequest, within: float) -> Reply:
        """Ask a model.

        Raises:
            ProviderError: The call came to nothing.
        """
        try:
            return await self._ask(request, self._envelopes.binding(request), within)
        except _TooMuch:
            reply = await self._ask(request, own(request), within)
        self._envelopes.leave_out(request)
        _log.warning("the schema of all passes is too much", provider=NAME, model=request.model, of=request.name)
        return reply

    async def _ask(self, request: ModelRequest, binding: Binding, within: float) -> Reply:
        try:
            async with reclaiming(self._http):
                message = await self._create(request, binding, within)
        except anthropic.APIStatusError as fault:
            if binding.shape and schema_refused(fault.status_code, fault.body):
                raise _TooMuch from None
            headers = {name.lower(): value for name, value in fault.response.headers.items()}
            raise failed(NAME, "ANTHROPIC_API_KEY", request.model, fault.status_code, headers, fault.body) from None
        except anthropic.APITimeoutError as fault:
            if connect_timed_out(fault.__cause__):
                raise ProviderError("unavailable", f"no connection to {NAME} could be made in time") from None
            raise ProviderError("late", f"{NAME} did not answer in time") from None
        except anthropic.APIConnectionError as fault:
            if isinstance(fault.__cause__, ProviderError):
                raise fault.__cause__ from None
            raise ProviderError("unavailable", connection_failed(NAME, fault.__cause__)) from None
        except (anthropic.AnthropicError, ValueError, RecursionError):
            # Among them JSON that broke off or is nested without end, handed on as it comes from the decoder.
            raise ProviderError("unavailable", f"{NAME} sent an answer that cannot be read") from None
        reply = _reply(message, request.model)
        return unsaid(Reply(binding.opened(reply.text), reply.usage), self._client.api_key)

    async def _create(self, request: ModelRequest, binding: Binding, within: float) -> Message:
        schema = binding.schema
        return await self._client.messages.create(
            model=request.model,
            max_tokens=MAX_OUTPUT_TOKENS,
            system=[_cached(request.system)],
            messages=_messages(request, binding),
            output_config=anthropic.omit if schema is None else {"format": {"type": "json_schema", "schema": schema}},
            timeout=anthropic_timeout(within),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


def _cached(text: str) -> TextBlockParam:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}


def _messages(request: ModelRequest, binding: Binding) -> list[MessageParam]:
    wish = binding.told(request.schema) if binding.schema is None else binding.wish()
    # To write to the cache costs a quarter more than to read afresh: only where another pass can find it there.
    shared: TextBlockParam = _cached(request.shared) if binding.shared else {"type": "text", "text": request.shared}
    asked: list[TextBlockParam] = [shared, {"type": "text", "text": f"{request.instruction}{wish}"}]
    messages: list[MessageParam] = [{"role": "user", "content": asked}]
    if request.complaint is not None:
        # The service refuses a blank turn; a blank answer has nothing to show either.
        if request.previous and request.previous.strip():
            messages.append({"role": "assistant", "content": binding.enclosed(request.previous)})
        messages.append({"role": "user", "content": f"{again(request.complaint)}{binding.wish()}"})
    return messages


def _reply(message: object, model: str) -> Reply:
    # An answer that is not of the API's shape still comes as an object of the client, with whatever it held.
    if not isinstance(message, Message) or not isinstance(getattr(message, "content", None), list):
        raise ProviderError("unavailable", f"{NAME} sent an answer that is no message")
    usage = _usage(message, model)
    reason = getattr(message, "stop_reason", None)
    if reason == "refusal":
        raise ProviderError("refused", f"{model} refused to answer", usage=usage)
    if reason == "max_tokens":
        raise ProviderError("truncated", f"{model} did not finish within {MAX_OUTPUT_TOKENS} tokens", usage=usage)
    if reason == "model_context_window_exceeded":
        raise ProviderError("truncated", f"the trace and the answer do not fit {model}'s context window", usage=usage)
    texts: list[object] = [block.text for block in message.content if isinstance(block, TextBlock)]
    return Reply("".join(text for text in texts if isinstance(text, str)), usage)


def _usage(message: Message, model: str) -> Usage:
    told = getattr(message, "usage", None)
    read = tokens(getattr(told, "cache_read_input_tokens", 0))
    written = tokens(getattr(told, "cache_creation_input_tokens", 0))
    # The service counts apart what it read from its cache and what it wrote there.
    sent = tokens(getattr(told, "input_tokens", 0)) + read + written
    usage = Usage(sent, tokens(getattr(told, "output_tokens", 0)), read, written)
    return priced(model, usage)
