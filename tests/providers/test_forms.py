"""Servers that speak OpenAI's API and cannot bind an answer in every form: what is tried, and what is remembered."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import msgspec
import pytest

from tests.fakes.model_service import Act, Asked, FakeServer
from tests.providers.kit import RUNTIMES, SCHEMA, provider, question, run
from vstack_proto.values import ModelRequest
from vstack_runtime.backends import ProviderError
from vstack_runtime.providers.openai import _MAX_FORMS, OpenAIProvider

LOOSE = msgspec.json.encode({"type": "object", "additionalProperties": {"type": "string"}})
OTHER = msgspec.json.encode({"type": "object", "properties": {"other": {"type": "string"}}})


def form_of(asked: Asked) -> str:
    return str(asked.body.get("response_format", {}).get("type", "prompt"))


class Server(FakeServer):
    """Answers as a function of the form says; the form is ``prompt`` where none is named."""

    def __init__(self, answer: Callable[[str, Asked], Any]) -> None:
        super().__init__()
        self._answer = answer

    def act(self, asked: Asked) -> Act:
        refusal = self._answer(form_of(asked), asked)
        if refusal is None or isinstance(refusal, Act):
            return refusal or Act()
        return Act(status=400, body=msgspec.json.encode(refusal))

    @property
    def forms(self) -> list[str]:
        return [form_of(one) for one in self.asked]


@contextlib.contextmanager
def serving(answer: Callable[[str, Asked], Any]) -> Iterator[Server]:
    server = Server(answer)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def client(server: Server) -> OpenAIProvider:
    one = provider("openai", server.url)
    assert isinstance(one, OpenAIProvider)
    return one


def asking(server: Server, *requests: ModelRequest, runtime: str = "asyncio") -> tuple[OpenAIProvider, list[str]]:
    """Ask one after the other; what became of each: ``ok``, or the kind of its failure."""
    one, told = client(server), []

    async def ask() -> None:
        for request in requests:
            try:
                await one.ask(request, 20.0)
                told.append("ok")
            except ProviderError as fault:
                told.append(fault.kind)
        await one.aclose()

    run(runtime, ask)
    return one, told


def saying(text: str) -> dict[str, Any]:
    return {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": None}}


def lm_studio(form: str, asked: Asked) -> Any:
    return {"error": "'response_format.type' must be 'json_schema' or 'text'"} if form == "json_object" else None


def deepseek(form: str, asked: Asked) -> Any:
    return saying("This response_format type is unavailable now") if form == "json_schema" else None


def plain(form: str, asked: Asked) -> Any:
    return saying(f"response_format.type `{form}` is unknown") if form != "prompt" else None


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_server_steps_down_once_and_it_is_remembered(runtime: str) -> None:
    with serving(plain) as server:
        _, told = asking(server, question(), question(), question(schema=OTHER), runtime=runtime)
    assert told == ["ok"] * 3
    assert server.forms == ["json_schema", "json_object", "prompt", "prompt", "prompt"]
    assert SCHEMA.decode() in server.asked[-2].body["messages"][1]["content"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_takes_schemas_alone_goes_on_to_get_them(runtime: str) -> None:
    loose = question(schema=LOOSE)
    with serving(lm_studio) as server:
        _, told = asking(server, question(), loose, question(), loose, runtime=runtime)
    assert told == ["ok"] * 4
    assert server.forms == ["json_schema", "json_object", "prompt", "json_schema", "prompt"]


REFUSALS = [
    (400, saying("This response_format type is unavailable now")),
    (400, saying("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.")),
    (400, {"error": {"message": "Unsupported value.", "param": "response_format.type", "code": "unsupported_value"}}),
    (400, {"error": {"message": "Not here.", "code": "json_schema_not_supported"}}),
    (400, {"error": "response_format is not supported"}),
    (400, {"object": "error", "message": "json_schema is not supported", "type": "BadRequestError", "code": 400}),
    (400, [{"error": {"code": 400, "message": "Unknown name 'json_schema'", "status": "INVALID_ARGUMENT"}}]),
    (422, saying("response_format.type: unknown variant `json_schema`, expected `text` or `json_object`")),
    (422, {"detail": [{"loc": ["body", "response_format", "type"], "msg": "Input should be 'text'"}]}),
    (501, {"error": {"message": "response_format is not implemented"}}),
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
def test_how_servers_refuse_a_form(status: int, body: Any) -> None:
    refusal = Act(status=status, body=msgspec.json.encode(body))
    with serving(lambda form, asked: refusal if form == "json_schema" else None) as server:
        one, told = asking(server, question(), question())
    assert (told, server.forms) == (["ok", "ok"], ["json_schema", "json_object", "json_object"])
    assert one.forms == {("claude-sonnet-5-5", b""): "json_object"}


OTHER_ERRORS = [
    (400, saying("prompt blocked: the user wrote: ... my misguided agent has no structured output ...")),
    (400, {"error": {"message": "The run says response_format.", "code": "content_filter"}}),
    (400, {"error": {"message": "The run says response_format.", "type": "content_filter", "code": None}}),
    (400, {"error": {"message": "'messages' must hold json_object", "param": "messages"}}),
    (400, {"error": {"message": "response_format: maximum context length is 10", "code": "context_length_exceeded"}}),
    (422, {"detail": [{"loc": ["body", "messages"], "msg": "too long", "input": "response_format"}]}),
    (422, {"detail": [{"loc": "response_format"}, 3]}),
    (400, "response_format"),
    (401, saying("response_format")),
    (404, saying("response_format")),
    (413, saying("response_format")),
]


@pytest.mark.parametrize(("status", "body"), OTHER_ERRORS)
def test_another_error_is_not_asked_again_and_steps_nothing_down(status: int, body: Any) -> None:
    with serving(lambda form, asked: Act(status=status, body=msgspec.json.encode(body))) as server:
        one, (told,) = asking(server, question())
    assert told == ("truncated" if "context" in str(body) else "rejected")
    assert (server.forms, one.forms) == (["json_schema"], {})


def test_nothing_is_remembered_before_the_lower_form_was_answered() -> None:
    def answer(form: str, asked: Asked) -> Any:
        if len(server.asked) >= 6:
            return None
        return deepseek(form, asked) or (Act(status=500) if form == "json_object" else None)

    with serving(answer) as server:
        one, told = asking(server, question(), question(), question())
        assert one.forms == {}
    assert told == ["unavailable", "unavailable", "unavailable"]
    assert server.forms == ["json_schema", "json_object"] * 3


def test_who_refuses_every_form_is_asked_thrice_and_never_learnt_from() -> None:
    with serving(lambda form, asked: saying("response_format or not, no")) as server:
        one, told = asking(server, question())
    assert (told, one.forms) == (["rejected"], {})
    assert server.forms == ["json_schema", "json_object", "prompt"]


def test_an_old_model_takes_nothing_from_the_others() -> None:
    old, new = question(model="old"), question(model="new")
    with serving(lambda form, asked: plain(form, asked) if asked.body["model"] == "old" else None) as server:
        asking(server, old, new, old)
    assert server.forms == ["json_schema", "json_object", "prompt", "json_schema", "prompt"]


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Invalid schema for response_format 'aar_review': In context=()", "param": "response_format"},
        {"message": "No.", "param": "response_format", "code": "invalid_json_schema"},
    ],
)
def test_a_schema_that_is_refused_takes_nothing_from_the_others(error: dict[str, str]) -> None:
    def answer(form: str, asked: Asked) -> Any:
        return {"error": error} if form == "json_schema" and "other" in str(asked.body["response_format"]) else None

    with serving(answer) as server:
        asking(server, question(schema=OTHER), question(), question(schema=OTHER))
    assert server.forms == ["json_schema", "json_object", "json_schema", "json_object"]


def enveloped(asked: Asked) -> bool:
    return "anyOf" in str(asked.body.get("response_format"))


@pytest.mark.parametrize(
    ("own", "told", "envelopes"), [(None, "ok", [True, False, False]), (500, "unavailable", [True, False, True, False])]
)
def test_the_schema_of_all_passes_is_left_out_once_a_passs_own_was_answered(
    own: int | None, told: str, envelopes: list[bool]
) -> None:
    def answer(form: str, asked: Asked) -> Any:
        return saying("Invalid json_schema") if enveloped(asked) else None if own is None else Act(status=own)

    one_of_two = question(schemas=(SCHEMA, OTHER))
    with serving(answer) as server:
        one, became = asking(server, one_of_two, one_of_two)
    assert ([enveloped(asked) for asked in server.asked], one.forms) == (envelopes, {})
    assert (server.forms, became) == (["json_schema"] * len(envelopes), [told] * 2)


def test_calls_at_once_step_down_each_by_itself() -> None:
    with serving(deepseek) as server:
        one = client(server)

        async def four() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(one.ask, question(), 20.0)
            await one.ask(question(), 20.0)
            await one.aclose()

        run("asyncio", four)
    assert sorted(server.forms) == ["json_object"] * 5 + ["json_schema"] * 4
    assert one.forms == {("claude-sonnet-5-5", b""): "json_object"}


def test_what_is_remembered_is_bounded() -> None:
    models = [f"model-{number}" for number in range(_MAX_FORMS + 2)]
    with serving(deepseek) as server:
        one, _ = asking(server, *(question(model=model) for model in models))
    assert [model for model, _ in one.forms] == models[2:]
