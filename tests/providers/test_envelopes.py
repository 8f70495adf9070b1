"""One schema for all passes: every call of an analysis begins alike, and each answer comes out as its pass knows it."""

from __future__ import annotations

import json
from typing import Any, Literal

import anyio
import msgspec
import pytest
import structlog

from tests.e2e.serving import canonical_trace
from tests.fakes.model_service import Act, FakeServer, serving
from tests.providers.kit import RUNTIMES, SCHEMA, AnyProvider, asked, provider, question, run
from vstack_proto.analysis.prompts import answer_schema
from vstack_proto.patterns.common import Answer, Mode
from vstack_proto.values import ModelRequest
from vstack_runtime import analyze_async
from vstack_runtime.backends import ProviderError
from vstack_runtime.engine import installed_patterns
from vstack_runtime.providers import envelopes, openai
from vstack_runtime.providers.common import Reply
from vstack_runtime.providers.envelopes import Envelopes, envelope
from vstack_runtime.providers.schemas import strict_schema
from vstack_runtime.settings import Settings

ENVELOPED = ("anthropic", "openai")
TOO_LARGE = Act(
    status=400,
    body=b'{"error": {"type": "invalid_request_error", "message": "The compiled grammar is too large"}}',
)
NO_SUCH_FORM = Act(status=400, body=b'{"error": {"message": "Invalid schema for response_format"}}')


class Quoted(msgspec.Struct, frozen=True):
    words: str


class Gap(Answer, frozen=True):
    gaps: tuple[Quoted, ...]


class Plan(Answer, frozen=True):
    steps: tuple[str, ...]
    quoted: Quoted


GAP, PLAN = answer_schema(Gap), answer_schema(Plan)
BOTH = (GAP, PLAN)


def bound(to: str, *script: Act, **changes: Any) -> tuple[Reply, list[dict[str, Any]]]:
    """What comes of a question about a plan, the second of two passes, and what was sent for it."""
    with serving(*(script or (Act(text=None),))) as server, structlog.testing.capture_logs():
        reply = asked("asyncio", provider(to, server.url), **{"schema": PLAN, "schemas": BOTH, **changes})
    return reply, [one.body for one in server.asked]


def format_of(body: dict[str, Any]) -> Any:
    return body.get("output_config") or body["response_format"]


def before_instruction(body: dict[str, Any]) -> list[Any]:
    """What stands before what a pass asks, as the service lays it out: schema, system prompt, trace."""
    *system, user = body["messages"]
    content = user["content"]
    trace = content.split("</run ")[0] if isinstance(content, str) else content[0]
    return [format_of(body), body.get("system"), system, trace]


# Prefixes.


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(("mode", "calls"), [("standard", 2), ("forensic", 4)])
@pytest.mark.parametrize("name", ENVELOPED)
def test_all_calls_of_an_analysis_begin_with_the_same_bytes(name: str, mode: Mode, calls: int, runtime: str) -> None:
    with serving(Act(text=None)) as server:
        one = provider(name, server.url)

        async def diagnose() -> dict[str, Any]:
            told: dict[str, Any] = await analyze_async(
                canonical_trace(), pattern="aar", format="canonical", mode=mode, settings=Settings(), provider=one
            )
            await one.aclose()
            return told

        detection = run(runtime, diagnose)["detection"]
    bodies = [one.body for one in server.asked]
    # Each answer fitted the shape of its pass at once: the fake answers in the shape that was wished for.
    assert (len(bodies), detection["llm_calls"]) == (calls, calls)
    assert len({json.dumps(before_instruction(body)) for body in bodies}) == 1
    assert len({json.dumps(body["messages"]) for body in bodies}) == calls
    if name == "anthropic":
        assert all("cache_control" in body["messages"][0]["content"][0] for body in bodies)


@pytest.mark.parametrize("name", ENVELOPED)
def test_a_single_pass_is_bound_by_its_own_schema(name: str) -> None:
    reply, (body,) = bound(name, schemas=(PLAN,))
    assert json.loads(reply.text) == {"steps": [], "quoted": {"words": "said"}}
    assert "answer" not in json.dumps(strict_schema(PLAN))
    assert strict_schema(PLAN) == (format_of(body).get("format") or format_of(body)["json_schema"])["schema"]
    assert "cache_control" not in json.dumps(body["messages"])


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("The compiled grammar is too large, which would cause performance issues", True),
        ("Schema is too complex.", True),
        ("Schemas contains too many parameters with union types (17 parameters)", True),
        ("output_config.format.schema: unsupported keyword", True),
        ("messages.0: a database schema may not stand here", False),
        ("Your credit balance is too low", False),
    ],
)
def test_only_what_is_said_of_the_schema_counts(message: str, refused: bool) -> None:
    """Any other 400 is final: the question is not sent again."""
    script = Act(status=400, body=json.dumps({"error": {"type": "invalid_request_error", "message": message}}).encode())
    with serving(script) as server, structlog.testing.capture_logs(), pytest.raises(ProviderError):
        asked("asyncio", provider("anthropic", server.url), schema=PLAN, schemas=BOTH)
    assert len(server.asked) == (2 if refused else 1)


def test_ollama_is_bound_by_the_shape_of_the_pass() -> None:
    """Its format is a grammar, and no part of the prompt."""
    reply, (body,) = bound("ollama", Act(text='{"steps": []}'))
    assert (body["format"], reply.text) == (json.loads(PLAN), '{"steps": []}')


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-6.1-terra", True),
        ("gpt-5.6-sol", True),
        ("gpt-6-luna-2026-09-22", True),
        ("gpt-10", True),
        ("gpt-5.5", False),
        ("gpt-5", False),
        ("gpt-4.1", False),
        ("o4-mini", False),
        ("my-model", False),
    ],
)
@pytest.mark.parametrize("passes", [1, 2])
def test_openai_is_told_where_the_trace_ends(
    model: str, known: bool, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer models keep a prompt only up to its marks, and older ones refuse marks."""
    with serving(Act(text=None)) as server:
        monkeypatch.setattr(openai, "BASE_URL", f"{server.url}/v1")
        one = provider("openai", server.url)
        one_after_another(one, *(question(schema=own, schemas=BOTH[:passes], model=model) for own in BOTH[:passes]))
    bodies = [one.body for one in server.asked]
    for body, schema in zip(bodies, BOTH, strict=False):
        content = body["messages"][1]["content"]
        if not known:
            assert not {"prompt_cache_options", "prompt_cache_key"} & body.keys()
            assert content.startswith("<run>a trace</run>\n\nWhat happened?")
            continue
        mark = {"prompt_cache_breakpoint": {"mode": "explicit"}} if passes > 1 else {}
        assert content[0] == {"type": "text", "text": "<run>a trace</run>", **mark}
        assert content[1]["text"].startswith("What happened?")
        assert body["prompt_cache_options"] == {"mode": "explicit"}
        assert schema.decode() not in content[1]["text"], "it holds to the schema, and need not be told"
    assert len({json.dumps([body.get("prompt_cache_key"), before_instruction(body)[:3]]) for body in bodies}) == 1


def test_an_openai_that_refuses_marks_is_sent_none(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = Act(status=400, body=b'{"error": {"message": "Unknown parameter: prompt_cache_options"}}')
    with serving(refusal, Act(text=None)) as server:
        monkeypatch.setattr(openai, "BASE_URL", f"{server.url}/v1")
        asked = question(schema=PLAN, schemas=BOTH, model="gpt-6.1-terra")
        another = msgspec.structs.replace(asked, model="gpt-6.2-sol")
        one_after_another(provider("openai", server.url), asked, asked, another)
    assert ["prompt_cache_key" in one.body for one in server.asked] == [True, False, False, True]
    assert is_enveloped(server) == [True] * 4


# Answers.


@pytest.mark.parametrize("name", ENVELOPED)
@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ('{"answer": {"Plan": {"steps": ["a"]}}}', '{"steps": ["a"]}'),
        ('```json\n{"answer": {"Plan": {"steps": ["a"]}}}\n```', '{"steps": ["a"]}'),
        ('{"answer": {"Plan": {}}}', "{}"),
        # Of another pass: named, so that the complaint about it says so.
        ('{"answer": {"Gap": {"gaps": []}}}', '{"Gap":{"gaps": []}}'),
        # In no envelope: judged as it is.
        ('{"steps": ["a"]}', '{"steps": ["a"]}'),
        ('{"answer": {"Other": {}}}', '{"answer": {"Other": {}}}'),
        ('{"answer": {"Plan": {}, "Gap": {}}}', '{"answer": {"Plan": {}, "Gap": {}}}'),
        ('{"answer": {"Plan": {}}, "more": 1}', '{"answer": {"Plan": {}}, "more": 1}'),
        ('{"answer": []}', '{"answer": []}'),
        ('{"answer": {"Plan"', '{"answer": {"Plan"'),
        ("", ""),
    ],
)
def test_an_answer_comes_out_of_its_envelope(name: str, text: str, opened: str) -> None:
    assert bound(name, Act(text=text))[0].text == opened


@pytest.mark.parametrize("name", ENVELOPED)
@pytest.mark.parametrize(
    ("previous", "shown"),
    [
        ('{"steps": 1}', '{"answer": {"Plan": {"steps": 1}}}'),
        ('{"Gap":{"gaps": []}}', '{"answer": {"Gap":{"gaps": []}}}'),
        ("I would rather not", "I would rather not"),
    ],
)
def test_a_repair_shows_the_answer_as_the_model_gave_it(name: str, previous: str, shown: str) -> None:
    _, (body,) = bound(name, previous=previous, complaint="`quoted` is missing")
    *_, answered, told = body["messages"]
    assert (answered["role"], answered["content"]) == ("assistant", shown)
    assert told["content"].startswith("That answer does not fit: `quoted` is missing. Give it again.")
    assert told["content"].endswith('{"answer": {"Plan": {...}}}')
    assert before_instruction({**body, "messages": body["messages"][:-2]}) == before_instruction(bound(name)[1][0])


def test_a_model_that_answers_another_pass_is_told_which_was_meant() -> None:
    """Through the whole analysis: a strict decode complains of the shape by its name, and the repair fits."""
    with serving(Act(text='{"answer": {"Plan": {}}}'), Act(text=None)) as server:
        one = provider("anthropic", server.url)

        async def diagnose() -> dict[str, Any]:
            told: dict[str, Any] = await analyze_async(
                canonical_trace(), pattern="aar", format="canonical", mode="standard", settings=Settings(), provider=one
            )
            await one.aclose()
            return told

        detection = anyio.run(diagnose)["detection"]
    assert detection["llm_calls"] == 3
    *_, answered, told = server.asked[1].body["messages"]
    assert answered["content"] == '{"answer": {"Plan":{}}}'
    assert "unknown field `Plan`" in told["content"]
    assert told["content"].endswith('{"answer": {"Findings": {...}}}')


# What is too much.


def one_after_another(to: AnyProvider, *requests: ModelRequest) -> list[Reply]:
    async def ask() -> list[Reply]:
        try:
            return [await to.ask(request, 20.0) for request in requests]
        finally:
            await to.aclose()

    with structlog.testing.capture_logs():
        return anyio.run(ask)


def is_enveloped(server: FakeServer) -> list[bool]:
    return ["anyOf" in json.dumps(format_of(one.body)) for one in server.asked]


@pytest.mark.parametrize(("name", "refusal"), [("anthropic", TOO_LARGE), ("openai", NO_SUCH_FORM)])
def test_an_envelope_that_is_refused_is_left_out_from_then_on(name: str, refusal: Act) -> None:
    with serving(refusal, Act(text=None)) as server:
        one = provider(name, server.url)
        replies = one_after_another(
            one,
            question(schema=PLAN, schemas=BOTH),
            question(schema=GAP, schemas=BOTH),
            question(schema=PLAN, schemas=BOTH, model="another"),
        )
    assert is_enveloped(server) == [True, False, False, True]
    assert [json.loads(reply.text) for reply in replies] == [
        {"steps": [], "quoted": {"words": "said"}},
        {"gaps": []},
        {"steps": [], "quoted": {"words": "said"}},
    ]
    assert not getattr(one, "forms", {})
    # No pass begins as another one: nothing of the trace could be found in the cache.
    assert ["cache_control" in json.dumps(one.body["messages"]) for one in server.asked] == [
        name == "anthropic" and enveloped for enveloped in is_enveloped(server)
    ]


def test_a_server_that_takes_no_schema_at_all_steps_down_as_ever() -> None:
    with serving(NO_SUCH_FORM, NO_SUCH_FORM, Act(text='{"steps": []}')) as server:
        one_after_another(one := provider("openai", server.url), question(schema=PLAN, schemas=BOTH))
    assert list(getattr(one, "forms", {}).values()) == ["json_object"]
    told = server.asked[-1].body["messages"][1]["content"]
    assert told.endswith(PLAN.decode())
    assert "{...}" not in told


def test_an_envelope_is_not_to_blame_where_a_schema_of_its_own_is_refused_too() -> None:
    with serving(TOO_LARGE, TOO_LARGE, Act(text=None)) as server:
        one = provider("anthropic", server.url)

        async def twice() -> None:
            with pytest.raises(ProviderError, match="400"):
                await one.ask(question(schema=PLAN, schemas=BOTH), 20.0)
            await one.ask(question(schema=PLAN, schemas=BOTH), 20.0)
            await one.aclose()

        anyio.run(twice)
    assert is_enveloped(server) == [True, False, True]


def test_another_refusal_is_no_reason_to_leave_it_out() -> None:
    with serving(Act(status=400)) as server, pytest.raises(ProviderError, match="400"):
        one_after_another(provider("anthropic", server.url), question(schema=PLAN, schemas=BOTH))
    assert is_enveloped(server) == [True]


def test_what_was_refused_long_ago_is_tried_again() -> None:
    kept = Envelopes()
    for number in range(600):
        kept.leave_out(question(schema=PLAN, schemas=BOTH, model=f"m-{number}"))
    shapes = [kept.binding(question(schema=PLAN, schemas=BOTH, model=f"m-{number}")).shape for number in (0, 599)]
    assert shapes == ["Plan", ""]


# Envelopes.


ANALYSES = {
    f"{pattern.name}-{mode}": tuple(answer_schema(one.answer) for one in passes)
    for pattern in installed_patterns()
    for mode, passes in pattern.passes.items()
}


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_of_several_passes_has_an_envelope_that_services_take(name: str) -> None:
    schemas = ANALYSES[name]
    found = envelope(schemas)
    assert (found is not None) == (len(set(schemas)) > 1)
    if found is None:
        return
    assert envelope(tuple(schemas)) is found
    assert list(found.shapes) == list(dict.fromkeys(schemas))
    assert len(set(found.shapes.values())) == len(found.shapes)
    branches = found.schema["properties"]["answer"]["anyOf"]
    for schema, branch in zip(found.shapes, branches, strict=True):
        shape = found.shapes[schema]
        assert branch["required"] == [shape]
        alone = strict_schema(schema)
        assert alone is not None
        assert spelled(branch["properties"][shape], found.schema.get("$defs", {})) == spelled(
            alone, alone.get("$defs", {})
        )


def spelled(node: Any, definitions: dict[str, Any]) -> Any:
    """A schema with its definitions where they are used: what it says, whatever these are called."""
    if isinstance(node, list):
        return [spelled(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return spelled(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    return {key: spelled(one, definitions) for key, one in node.items() if key != "$defs"}


def test_definitions_of_one_name_and_different_contents_are_told_apart() -> None:
    def schema_of(root: str, word: Literal["a", "b"]) -> bytes:
        inner = {"type": "object", "properties": {"word": {"enum": [word]}}, "required": ["word"]}
        outer = {"type": "object", "properties": {"inner": {"$ref": "#/$defs/Inner"}}, "required": ["inner"]}
        whole = {"type": "object", "properties": {"outer": {"$ref": "#/$defs/Outer"}}, "required": ["outer"]}
        return msgspec.json.encode({"$ref": f"#/$defs/{root}", "$defs": {"Inner": inner, "Outer": outer, root: whole}})

    schemas = (schema_of("One", "a"), schema_of("Two", "b"), schema_of("Two", "a"), schema_of("Three_of", "b"))
    found = envelope(schemas)
    assert found is not None
    assert list(found.shapes.values()) == ["One", "Two", "Two_2", "Three"]
    branches = found.schema["properties"]["answer"]["anyOf"]
    words = [
        spelled(branch, found.schema["$defs"])["properties"][shape]["properties"]["outer"]["properties"]["inner"]
        for branch, shape in zip(branches, found.shapes.values(), strict=True)
    ]
    assert [word["properties"]["word"]["enum"] for word in words] == [["a"], ["b"], ["a"], ["b"]]


def nested(levels: int) -> dict[str, Any]:
    return {"type": "object", "properties": {"in": nested(levels - 1)} if levels else {}}


def shaped(properties: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": "object", "properties": properties})


@pytest.mark.parametrize(
    ("least", "most"),
    [
        ({f"p{n}": {"anyOf": [{"type": "string"}, {"type": "null"}]} for n in range(15)}, "p15"),
        ({"deep": nested(envelopes.MAX_LEVELS - 3)}, "deep"),
        ({"word": {"enum": [f"w{n}" for n in range(envelopes.MAX_VALUES)]}}, "word"),
        ({f"p{n}": {"type": "string"} for n in range(envelopes.MAX_PROPERTIES - 4)}, "more"),
        ({"w" * (envelopes.MAX_WORD_CHARS - 25): {"type": "string"}}, "more and more of it"),
    ],
)
def test_what_is_more_than_a_service_takes_has_none(least: dict[str, Any], most: str) -> None:
    more = {
        "p15": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "deep": nested(envelopes.MAX_LEVELS - 2),
        "word": {"enum": [f"w{n}" for n in range(envelopes.MAX_VALUES + 1)]},
    }.get(most, {"type": "string"})
    assert envelope((SCHEMA, shaped(least))) is not None
    assert envelope((SCHEMA, shaped({**least, most: more}))) is None


def test_what_has_no_strict_form_has_none() -> None:
    loose = msgspec.json.encode({"type": "object", "additionalProperties": {"type": "string"}})
    assert envelope((SCHEMA, loose)) is None
    assert envelope(()) is None
    assert not Envelopes().binding(question(schemas=(SCHEMA, loose))).shared
    assert Envelopes().binding(question(schemas=(SCHEMA, SCHEMA))).shared
    # A question that does not belong to these passes is bound by what it brings.
    assert Envelopes().binding(question(schemas=BOTH)).shape == ""
