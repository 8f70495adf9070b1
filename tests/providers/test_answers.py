"""What services send that a client could trip over: headers, errors and answers out of the ordinary."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
from typing import Any

import msgspec
import pytest

from tests.fakes.model_service import Act, serving
from tests.providers.kit import NAMES, QUICK, RUNTIMES, asked, counted, provider, question, run
from vstack_proto.values import Usage
from vstack_runtime import http_client
from vstack_runtime.backends import ProviderError
from vstack_runtime.providers.common import LONGEST_WAIT, Reply, beyond_window, error_of, retry_after
from vstack_runtime.providers.guarded import GuardedProvider

try:
    from compression.zstd import compress as zstd_compress  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    from backports.zstd import compress as zstd_compress

NOVEMBER = 1_795_449_600.0  # Mon, 23 Nov 2026 16:00:00 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("0.25", 0.25),
        ("1.", 1.0),
        ("12.5000000000000001", 12.5),
        ("99999999999", LONGEST_WAIT),
        ("9" * 5_000, LONGEST_WAIT),
        ("9" * 5_000 + ".5", LONGEST_WAIT),
        ("Mon, 23 Nov 2026 16:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 15:00:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", LONGEST_WAIT),
        ("Wed, 21 Oct 99999 07:28:00 GMT", LONGEST_WAIT),
        (f"Wed, 21 Oct {'9' * 5_000} 07:28:00 GMT", None),
        ("Wed, 21 Okt 2026 07:28:00 GMT", None),
        ("Wed, 21 Oct 0000 07:28:00 GMT", 0.0),
        ("-5", None),
        ("1e9", None),
        ("inf", None),
        ("٣", None),
        ("soon", None),
        ("", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_when_to_come_back(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, lambda: NOVEMBER) == seconds


def test_milliseconds_go_first() -> None:
    assert retry_after({"retry-after-ms": "1500", "retry-after": "60"}) == 1.5
    assert retry_after({"retry-after-ms": "99999999999999", "retry-after": "60"}) == LONGEST_WAIT
    assert retry_after({"retry-after-ms": "soon", "retry-after": "60"}) == 60.0


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("told", ["Wed, 21 Oct 99999 07:28:00 GMT", "99999999999"])
def test_who_asks_to_wait_for_ages_is_not_asked_again(name: str, runtime: str, told: str) -> None:
    with serving(Act(status=429, headers=(("retry-after", told),))) as server:
        with pytest.raises(ProviderError) as caught:
            asked(runtime, GuardedProvider(provider(name, server.url), limits=QUICK))
        assert len(server.asked) == 1
    assert (caught.value.kind, caught.value.retry_after) == ("unavailable", LONGEST_WAIT)


# Answers.

FED = {"input_tokens": 40, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 20, "output_tokens": 10}


def message(*content: Any) -> Act:
    body = {"id": "m", "type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn"}
    return Act(body=msgspec.json.encode({**body, "usage": FED}))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("text", [None, 5, ["no"], {"no": 1}])
def test_a_text_that_is_none_is_left_out_and_its_tokens_are_counted(text: Any, runtime: str) -> None:
    blocks = [{"type": "text", "text": text}, None, 3, {"type": "text", "text": "{}"}, {"type": "text"}]
    with serving(message(*blocks)) as server:
        assert asked(runtime, provider("anthropic", server.url)) == Reply("{}", counted("anthropic"))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"error":' * 100_000, b'{"content":[' * 100_000])
def test_json_without_an_end_to_its_depth(name: str, runtime: str, status: int, deep: bytes) -> None:
    with serving(Act(status=status, body=deep)) as server, pytest.raises(ProviderError) as caught:
        asked(runtime, provider(name, server.url))
    assert caught.value.kind == ("rejected" if status == 400 else "unavailable")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "act",
    [Act(reset=True), Act(cut=5), Act(hang=True)],
    ids=["reset", "cut", "hang"],
)
def test_no_librarys_error_is_handed_on(name: str, runtime: str, act: Act) -> None:
    with serving(act) as server, pytest.raises(ProviderError) as caught:
        asked(runtime, provider(name, server.url), 0.3 if act.hang else 20.0)
    # It may quote the headers, and with them the key.
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


ODD = [None, True, 5, -1, 1e300, 2**70, "x", "\ud800", [], {}, [None], [5], {"type": "text"}, {"message": 5}]
WHOLE = {
    "type": "message",
    "content": [{"type": "text", "text": "{}"}],
    "stop_reason": "end_turn",
    "usage": {**FED, "prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
    "choices": [{"message": {"content": "{}", "refusal": None}, "finish_reason": "stop"}],
    "message": {"content": "{}"},
    "done_reason": "stop",
    "prompt_eval_count": 3,
    "eval_count": 2,
    "error": {"type": "a", "code": "b", "message": "response_format", "param": None},
    "detail": [{"loc": ["body", "response_format"]}],
}


def odd(part: Any, draw: random.Random) -> Any:
    """The same, with some of its parts left out or replaced."""
    if draw.random() < 0.12:
        return draw.choice(ODD)
    if isinstance(part, dict):
        return {name: odd(value, draw) for name, value in part.items() if draw.random() > 0.05}
    return [odd(value, draw) for value in part] if isinstance(part, list) else part


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_is_a_crash_of_the_client(name: str) -> None:
    draw = random.Random(name)
    statuses = (200, 200, 200, 400, 404, 422, 429, 500, 501)
    acts = [Act(status=draw.choice(statuses), body=json.dumps(odd(WHOLE, draw)).encode()) for _ in range(200)]
    with serving(*acts) as server:
        one = provider(name, server.url)

        async def ask() -> None:
            while len(server.asked) < len(acts):
                with contextlib.suppress(ProviderError):
                    await one.ask(question(), 20.0)
            await one.aclose()

        run("trio", ask)


# Sizes and codings.


def padded(size: int) -> bytes:
    """An answer of each of the three services, with so many characters in its text."""
    text = "x" * size
    return msgspec.json.encode(
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "stop_reason": "end_turn",
            "usage": FED,
            "content": [{"type": "text", "text": text}],
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "message": {"content": text},
        }
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
def test_an_answer_without_an_end_is_not_read(
    name: str, runtime: str, status: int, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "MAX_ANSWER_BYTES", 1 << 20)
    pack = {"": bytes, "gzip": gzip.compress, "zstd": zstd_compress}[coding]
    headers = (("content-encoding", coding),) if coding else ()
    body = pack(padded(3 << 20))
    with serving(Act(status=status, headers=headers, body=body)) as server:
        with pytest.raises(ProviderError) as caught:
            asked(runtime, provider(name, server.url))
        assert server.wait_until(lambda: not server.open)
    assert (caught.value.kind, caught.value.message) == ("rejected", f"{name} sent more than 1048576 bytes")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_an_answer_in_each_coding(name: str, runtime: str, coding: str) -> None:
    pack = {"identity": bytes, "gzip": gzip.compress, "zstd": zstd_compress}[coding]
    with serving(Act(headers=(("content-encoding", coding),), body=pack(padded(9_000)))) as server:
        one = provider(name, server.url)
        assert asked(runtime, one).text == "x" * 9_000
    assert server.asked[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("coding", "body"),
    # Packed data holds the time at which it was packed: it may not name a test.
    [("gzip", b"{}"), ("gzip", gzip.compress(b"{}", mtime=0)[:-9]), ("br", b"{}")],
    ids=["not packed", "cut off", "never asked for"],
)
def test_an_answer_that_cannot_be_decoded(name: str, runtime: str, coding: str, body: bytes) -> None:
    act = Act(headers=(("content-encoding", coding),), body=body)
    with serving(act) as server, pytest.raises(ProviderError) as caught:
        asked(runtime, provider(name, server.url))
    assert (caught.value.kind, caught.value.message) == ("unavailable", f"{name} sent an answer that cannot be decoded")


# Prompts beyond the context window.

LLAMA = {
    "code": 400,
    "message": "request (2622 tokens) exceeds the available context size (512 tokens), try increasing it",
    "type": "exceed_context_size_error",
}


def anthropics(text: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": text}}


BEYOND = [
    ("anthropic", anthropics("prompt is too long: 208310 tokens > 200000 maximum")),
    ("anthropic", anthropics("input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000")),
    ("openai", {"error": {"code": "context_length_exceeded", "message": "", "type": "invalid_request_error"}}),
    ("openai", {"error": {"code": 400, "message": "This model's maximum context length is 8192 tokens."}}),
    ("openai", {"error": LLAMA}),
    ("openai", [{"error": LLAMA}]),
]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(("name", "body"), BEYOND)
def test_a_prompt_beyond_the_window_is_an_error_of_its_own(name: str, runtime: str, body: Any) -> None:
    with serving(Act(status=400, body=msgspec.json.encode(body))) as server, pytest.raises(ProviderError) as caught:
        asked(runtime, provider(name, server.url), model="some-model")
    assert (caught.value.kind, caught.value.status, caught.value.usage) == ("truncated", 400, Usage())
    assert "does not fit some-model's context window" in caught.value.message
    assert "208310" not in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "prompt is too long",
        {"error": None},
        {"error": {"message": 5, "code": 400, "type": None}},
        {"error": "model 'a' not found"},
        anthropics("max_tokens: 16000 > 8192, which is the maximum allowed number of output tokens"),
    ],
)
def test_another_error_is_none_of_that_kind(body: object) -> None:
    assert not beyond_window(body)


def test_what_an_error_says() -> None:
    told = {"type": "a", "code": "b", "param": "c", "message": "d"}
    assert error_of({"error": told}) == error_of(told) == error_of([{"error": told}]) == told
    assert error_of({"error": "d"}) == {"message": "d"}
    assert error_of({"error": {"code": 400, "message": None}}) == {"message": ""}


def test_each_way_to_end_early_is_told_apart() -> None:
    told = {}
    for stop in ("max_tokens", "context", "refusal"):
        with serving(Act(stop=stop)) as server, pytest.raises(ProviderError) as caught:
            asked("asyncio", provider("anthropic", server.url))
        told[stop] = (caught.value.kind, caught.value.message)
    assert [kind for kind, _ in told.values()] == ["truncated", "truncated", "refused"]
    assert "did not finish within 16000 tokens" in told["max_tokens"][1]
    assert "context window" in told["context"][1]
    assert "refused" in told["refusal"][1]
