"""What the tests of providers share: providers at a fake server, a question, and both runtimes."""

from __future__ import annotations

import datetime as dt
import email.utils
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec

from tests.fakes.model_service import PATIENCE, FakeServer
from vstack_proto.resilience import RetryPolicy
from vstack_proto.values import ModelRequest, Usage
from vstack_runtime.providers.anthropic import AnthropicProvider
from vstack_runtime.providers.common import Reply
from vstack_runtime.providers.guarded import GuardedProvider, Limits
from vstack_runtime.providers.ollama import OllamaProvider
from vstack_runtime.providers.openai import OpenAIProvider

T = TypeVar("T")

RUNTIMES = ("asyncio", "trio")
NAMES = ("anthropic", "openai", "ollama")
# Shaped like a real one, so that a redaction which knows their shape would be seen too.
KEY = "sk-secret-key-0123456789abcdef"

AnyProvider = AnthropicProvider | OpenAIProvider | OllamaProvider

# Pauses too short to be felt; the lengths are the pure policy's to test.
QUICK = Limits(policy=RetryPolicy(base=0.002, cap=0.004))

# How much faster than time the pauses of ``Hurried`` pass.
FASTER = 1_000
# With this for random numbers, the pauses of the policy that a service has are these, in seconds.
DRAWN, PAUSES = 0.5, (0.25, 0.5)


class Hurried(RetryPolicy, frozen=True, kw_only=True):
    """The policy that a service has, with all its figures, for who has no time to wait.

    Attributes:
        waited: The pauses of the one analysis that this is for, as the policy has them. They pass faster, and are gone
            from what is left of the deadline all the same.
    """

    waited: list[float] = msgspec.field(default_factory=list)

    def pause(self, failures: int, left: float, retry_after: float | None, draw: float) -> float | None:
        pause = super().pause(failures, left - sum(self.waited), retry_after, draw)
        if pause is None:
            return None
        self.waited.append(pause)
        return pause / FASTER


SCHEMA = msgspec.json.encode(
    {
        "$ref": "#/$defs/Answer",
        "$defs": {
            "Answer": {
                "title": "Answer",
                "type": "object",
                "properties": {"found": {"type": "string", "maxLength": 9}},
                "required": [],
            }
        },
    }
)


def question(**changes: Any) -> ModelRequest:
    """A question to a model."""
    asked = ModelRequest(
        model="claude-sonnet-5-5",
        system="You diagnose runs.",
        shared="<run>a trace</run>",
        instruction="What happened?",
        name="aar_review",
        schema=SCHEMA,
    )
    return msgspec.structs.replace(asked, **changes)


def provider(name: str, url: str) -> AnyProvider:
    """A real client that talks to ``url``."""
    if name == "anthropic":
        return AnthropicProvider(KEY, base_url=url)
    if name == "openai":
        return OpenAIProvider(KEY, base_url=f"{url}/v1")
    return OllamaProvider(base_url=url)


def run(runtime: str, what: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function under asyncio or trio."""
    return anyio.run(what, backend=runtime)


async def seen(server: FakeServer, what: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Wait for something that the fake server sees, and say whether it came to be."""
    return await anyio.to_thread.run_sync(server.wait_until, what, seconds)


def asked(runtime: str, one: AnyProvider | GuardedProvider, within: float = 20.0, **changes: Any) -> Reply:
    """Ask once, close, and return the reply."""

    async def ask() -> Reply:
        try:
            return await one.ask(question(**changes), within)
        finally:
            await one.aclose()

    return run(runtime, ask)


def dated(seconds: float) -> str:
    """A date so many seconds from now, as a service writes it; parts of a second are cut off."""
    return email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds), usegmt=True)


class Heard:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.retries: list[str] = []
        self.states: list[tuple[str, str]] = []
        self.waits: list[float] = []

    def retried(self, provider: str) -> None:
        self.retries.append(provider)

    def breaker(self, provider: str, state: str) -> None:
        if (provider, state) not in self.states[-1:]:
            self.states.append((provider, state))

    def queue_wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def counted(name: str, cost: bool = True) -> Usage:
    """The usage that one answer of the fake server stands for."""
    if name == "ollama":
        return Usage(100, 10)
    # 40 tokens afresh, 10 answered, 40 read from the cache, 20 written to it, at claude-sonnet-5-5's rates.
    dollars = (40 * 2.0 + 10 * 10.0 + 40 * 0.1 + 20 * 2.5) / 1e6
    return Usage(100, 10, 40, 20, dollars if cost else 0.0)
