"""Whatever a message holds, to refuse it is quick and the refusal is short: over HTTP and over stdio."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.mcp.test_http import modern, post, service
from tests.mcp.test_session import ABOUT, message, offer, opening, tell
from tests.proto.last_word import PATTERN
from vstack_mcp.context import Context
from vstack_mcp.learnings import MAX_TARGET_BYTES, tools
from vstack_mcp.messages import MAX_ID_CHARS, Malformed, Request, decode
from vstack_mcp.offer import MAX_URI_CHARS, Extras, Offer
from vstack_mcp.resources import LocalTemplate
from vstack_mcp.revisions import CAPABILITIES_KEY, LEGACY, MODERN, VERSION_KEY, ProtocolFault
from vstack_mcp.session import BeginCall, BytesReceived, Session
from vstack_proto.catalogue import Catalogue
from vstack_proto.limits import Limits

LONG = "x" * 300_000
# Names, a few words about them and the head of a message: an answer that echoes nothing long.
SHORT = 2_048
LEARNINGS = service(learnings=True)


def request(method: str, params: Any = None, number: Any = 7) -> dict[str, Any]:
    told = {"jsonrpc": "2.0", "id": number, "method": method}
    return told if params is None else {**told, "params": params}


def over_stdio(line: bytes) -> list[Any]:
    made = Session(ABOUT, Limits().max_body_bytes)
    made.serve(Offer(Catalogue((PATTERN,)), ABOUT, learnings=True), Limits().max_body_bytes)
    tell(made, opening())
    return tell(made, line.replace(b"\n", b" ") + b"\n")


def called(name: str, **arguments: Any) -> dict[str, Any]:
    return request("tools/call", {"name": name, "arguments": arguments})


# What cannot be decoded in reasonable time is not decoded.

SLOW = {
    "values": b"[" + b"{}," * 300_000 + b"{}]",
    "far numbers": b"[" + b"1e-320," * 2_000 + b"1]",
    "digits": b"[" + b"1" * 5_000 + b"]",
}


def capable(array: bytes) -> bytes:
    said = request("tools/list", {"_meta": {VERSION_KEY: MODERN[0], CAPABILITIES_KEY: {"a": "HERE"}}})
    return json.dumps(said).encode().replace(b'"HERE"', array)


def recalling(array: bytes) -> bytes:
    said = called("vstack_recall_learnings", pattern="HERE")
    return json.dumps(said).encode().replace(b'"HERE"', array)


@pytest.mark.parametrize("array", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("made", [capable, recalling])
def test_the_limits_of_a_body_hold_for_every_message(made: Any, array: bytes) -> None:
    body = made(array)
    headers = {"mcp-protocol-version": MODERN[0], "mcp-method": "tools/list"} if made is capable else {}
    refused = post(body, headers, LEARNINGS)
    assert (refused.status, refused.json["error"]["data"]["error"]) == (413, "request_too_large")
    (told,) = over_stdio(body)
    assert (told["id"], told["error"]["code"], told["error"]["data"]["error"]) == (7, -32600, "request_too_large")
    assert told["error"]["message"] == refused.json["error"]["message"]


def test_what_a_client_can_do_is_not_kept_while_a_call_runs() -> None:
    made = Session(ABOUT, Limits().max_body_bytes)
    made.serve(offer(), Limits().max_body_bytes)
    meta = {VERSION_KEY: MODERN[0], CAPABILITIES_KEY: {"sampling": {"a": LONG}}}
    (begun,) = made.handle(BytesReceived(message("tools/call", {"name": "vstack_last_word", "_meta": meta}, id=1)))
    assert isinstance(begun, BeginCall)
    assert begun.context.can("sampling")
    assert not begun.context.can("roots")
    assert len(begun.context.kept()) < SHORT


@pytest.mark.parametrize("value", [[1, {"a": LONG}], LONG, "é" * 5_000])
def test_what_would_be_a_target_is_as_long_as_a_target_may_be(value: Any) -> None:
    for told in (
        post(called("vstack_recall_learnings", pattern=value), served=LEARNINGS).json,
        post(called("vstack_report_outcome", id=value, outcome="improved"), served=LEARNINGS).json,
    ):
        assert told["error"]["code"] == -32602
        assert f"the limit is {MAX_TARGET_BYTES}" in told["error"]["message"]


@pytest.mark.parametrize("value", [[1e3, {"a": None}], {}, True, 12, "two words"])
def test_an_argument_is_for_the_service_to_judge(value: Any) -> None:
    (recall,) = (one for one in tools() if one.listing["name"] == "vstack_recall_learnings")
    as_json = json.dumps({"pattern": value}).encode()
    wanted = recall.wanted(as_json)
    (sent,) = parse_qs(wanted.query)["pattern"]
    assert sent == (value if isinstance(value, str) else json.dumps(value))


# Nothing long is said back.

ECHOING: dict[str, dict[str, Any]] = {
    "method": request(LONG),
    "jsonrpc": {**request("ping"), "jsonrpc": LONG},
    "uri": request("resources/read", {"uri": f"vstack://{LONG}"}),
    "tool": called(LONG),
    "prompt": request("prompts/get", {"name": LONG}),
    "prompt of a completion": request(
        "completion/complete", {"ref": {"type": "ref/prompt", "name": LONG}, "argument": {"name": "a", "value": "b"}}
    ),
    "prompt's argument": request("prompts/get", {"name": "vstack_pick_pattern", "arguments": {"situation": LONG}}),
    "prompt's argument's name": request("prompts/get", {"name": "vstack_pick_pattern", "arguments": {LONG: LONG}}),
    "cursor": request("tools/list", {"cursor": LONG}),
    "level": request("logging/setLevel", {"level": LONG}),
    "id": request("ping", number=LONG),
    "id of what is no message": {**request("ping", number=LONG), "jsonrpc": "1.0"},
    "token": request("tools/list", {"_meta": {"progressToken": LONG}}),
}


@pytest.mark.parametrize("told", ECHOING.values(), ids=ECHOING)
def test_a_refusal_is_short(told: dict[str, Any]) -> None:
    asked = post(told, served=LEARNINGS)
    assert len(asked.answer.body) < SHORT, asked.answer.body[:200]
    (answer,) = over_stdio(json.dumps(told).encode())
    assert len(json.dumps(answer)) < SHORT
    assert answer["error"]["code"] == asked.json["error"]["code"]
    assert answer["id"] == asked.json["id"] == (None if told["id"] == LONG else 7)


def test_a_revision_that_is_not_served_is_said_back_in_part() -> None:
    told = request("tools/list", {"_meta": {VERSION_KEY: LONG, CAPABILITIES_KEY: {}}})
    asked = post(told)  # no header could say the same
    assert (len(asked.answer.body) < SHORT, asked.json["error"]["code"]) == (True, -32020)
    (answer,) = over_stdio(json.dumps(told).encode())
    assert (len(json.dumps(answer)) < SHORT, answer["error"]["code"]) == (True, -32022)


def test_an_address_that_nobody_would_give_names_nothing() -> None:
    template = LocalTemplate({"uriTemplate": "own://{x}"}, lambda uri: {"text": "t"} if uri[:6] == "own://" else None)
    served = service(Extras(templates=(template,)))
    fitting = "own://" + "x" * (MAX_URI_CHARS - 6)
    for uri, found in ((fitting, True), (f"{fitting}x", False)):
        told, headers = modern("resources/read", {"uri": uri})
        assert ("result" in post(told, headers, served).json) is found


def test_ids_and_tokens_of_a_fitting_length_are_read() -> None:
    name = "x" * MAX_ID_CHARS
    assert post(request("ping", number=name)).json["id"] == name
    assert "result" in post(request("tools/list", {"_meta": {"progressToken": name}})).json
    with pytest.raises(Malformed, match="an id has at most"):
        decode(json.dumps(request("ping", number=f"{name}x")).encode())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": nope}', "not JSON: malformed (byte 7)"),
        (b'{"a": "\xff"}', "not JSON: not UTF-8 (byte 7)"),
        (b'{"a": ', "not JSON: it ends too early, or a text has half of a surrogate pair"),
        (b"[" * 100_000, "no JSON-RPC 2.0 message: it is an object with"),
        (b'{"a": ' + b"[" * 100_000, "not read: nested too deeply"),
    ],
)
def test_what_is_no_json_is_told_in_our_words(body: bytes, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(body)
    assert caught.value.message.startswith(message)


def test_a_text_of_a_prompt_is_as_long_as_a_text_of_a_trace() -> None:
    small = Offer(Catalogue((PATTERN,)), ABOUT, limits=Limits(max_string_chars=10))

    def got(situation: str) -> Any:
        given = {"name": "vstack_pick_pattern", "arguments": {"situation": situation}}
        asked = decode(json.dumps(request("prompts/get", given)).encode())
        assert isinstance(asked, Request)
        return small.respond(asked, Context(1, LEGACY[-1]))

    assert got("x" * 10)
    with pytest.raises(ProtocolFault, match="VSTACK_API_MAX_STRING_CHARS"):
        got("x" * 11)
