"""The session as a machine: bytes in, lines and calls out."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.mcp.everything import EXTRAS, tool
from tests.mcp.frames import Conversation
from tests.mcp.transcripts import Answer, kind, stdio
from tests.proto.last_word import PATTERN, TRACE
from vstack_mcp.messages import MAX_ID_CHARS
from vstack_mcp.offer import Extras, Offer
from vstack_mcp.opening import About
from vstack_mcp.revisions import CAPABILITIES_KEY, LEGACY, LOG_LEVEL_KEY, MODERN, VERSION_KEY
from vstack_mcp.session import (
    AwaitGrace,
    BeginCall,
    BytesReceived,
    CallTold,
    CancelCall,
    Command,
    Finish,
    GraceEnded,
    InputEnded,
    LoadOffer,
    OfferLoaded,
    Report,
    SendLine,
    Session,
)
from vstack_mcp.tools import LocalTool, text
from vstack_proto.catalogue import Catalogue

ABOUT = About("1.2.3")
MIXED = msgspec.structs.replace(EXTRAS, tools=(*EXTRAS.tools, tool("mixed", text("all sorts"))))
CALL = {"name": "vstack_last_word", "arguments": {"trace": TRACE}}
ENVELOPE = {VERSION_KEY: MODERN[0], CAPABILITIES_KEY: {}}
LIMIT = 100_000
NOTHING: dict[int, Any] = {}


def offer(extras: Extras | None = None, size: int = 100) -> Offer:
    return Offer(Catalogue((PATTERN,)), ABOUT, extras, size=size)


def message(method: str, params: Any = None, id: Any = None) -> bytes:  # noqa: A002 - the word of the protocol
    told = {"jsonrpc": "2.0", "method": method}
    told |= {"id": id} if id is not None else {}
    told |= {"params": params} if params is not None else {}
    return json.dumps(told).encode() + b"\n"


def opening(revision: str = LEGACY[-1]) -> bytes:
    client = {"name": "a test", "version": "0"}
    return message("initialize", {"protocolVersion": revision, "capabilities": {}, "clientInfo": client}, id=0)


def session(*, opened: bool = True, loaded: bool = True, extras: Extras | None = None) -> Session:
    made = Session(ABOUT, LIMIT)
    if loaded:
        made.serve(offer(extras), LIMIT)
    if opened:
        made.handle(BytesReceived(opening()))
    return made


def lines(commands: tuple[Command, ...]) -> list[Any]:
    return [json.loads(command.data) for command in commands if isinstance(command, SendLine)]


def tell(made: Session, *data: bytes) -> list[Any]:
    return lines(made.handle(BytesReceived(b"".join(data))))


# The recorded conversations. Ours differs where it says more, or serves both eras at once.

OURS: dict[str, dict[str, list[Answer]]] = {
    "discover, then initialize on same process": {"initialize": [("result", 1)]},
    "initialize, then enveloped request": {"2026-07-28": [("result", 3)]},
    "invalid JSON line": {"{nope": [("error", -32700, None)]},
    "batch array line (2025-03-26)": {"[{": [("error", -32600, None)]},
    "id null": {'"id":null': [("error", -32600, None)]},
    "id float 1.5 / bool": {"1.5": [("error", -32600, None)], "true": [("error", -32600, None)]},
    "missing jsonrpc": {'{"id":5': [("error", -32600, 5)]},
    "params as array": {"[1]": [("error", -32600, 5)]},
}
# Of these the session sees only the half; they stand below, and in the tests of the transport.
IN_FLIGHT = ("2026: cancel in flight, then EOF", "EOF with request in flight")


def test_the_recorded_conversations() -> None:
    cases = stdio("stdio_edge_cases_sdk_server.txt")
    assert set(OURS) | set(IN_FLIGHT) < set(cases)
    for title, turns in cases.items():
        if title in IN_FLIGHT:
            continue
        made = session(opened=False, extras=MIXED)
        for turn in turns:
            own = (answers for part, answers in OURS.get(title, {}).items() if part in turn.sent)
            expected = next(own, turn.answers)
            told = tell(made, turn.sent.encode() + b"\n")
            assert [kind(one) for one in told] == expected, (title, turn.sent, told)


@pytest.mark.parametrize("name", ["stdio_legacy_2025-11-25.txt", "stdio_pinned_2026-07-28.txt"])
def test_every_request_of_a_recorded_client_is_read(name: str) -> None:
    made = session(opened=False, extras=MIXED)
    asked = 0
    for turn in [turn for turns in stdio_lines(name) for turn in turns]:
        told = tell(made, turn.encode() + b"\n")
        asked += 1
        assert all(one.get("error", {}).get("code") not in (-32700, -32600) for one in told), turn
    assert asked > 5


def stdio_lines(name: str) -> list[list[str]]:
    from tests.mcp.frames import shared

    text_of = shared(f"transcripts/{name}").read_text("utf-8")
    sent = [line[5:] for line in text_of.splitlines() if line.startswith("C->S {")]
    return [sent]


# Opening.


@pytest.mark.parametrize("revision", LEGACY)
def test_a_legacy_revision_is_settled_on(revision: str) -> None:
    (told,) = tell(session(opened=False, loaded=False), opening(revision))
    assert told["result"]["protocolVersion"] == revision
    assert ("completions" in told["result"]["capabilities"]) == (revision != LEGACY[0])
    assert told["result"]["serverInfo"]["version"] == "1.2.3"
    assert told["result"]["instructions"]


@pytest.mark.parametrize("revision", ["2026-07-28", "1.0.0"])
def test_any_other_gets_the_latest_that_has_a_handshake(revision: str) -> None:
    (told,) = tell(session(opened=False), opening(revision))
    assert told["result"]["protocolVersion"] == LEGACY[-1]


def test_the_first_answer_needs_no_patterns_and_has_them_loaded() -> None:
    made = session(opened=False, loaded=False)
    first = made.handle(BytesReceived(opening()))
    assert [type(one) for one in first] == [SendLine, LoadOffer]
    assert [type(one) for one in made.handle(BytesReceived(message("ping", id=1)))] == [SendLine]
    assert made.handle(BytesReceived(message("tools/list", id=2) + message("prompts/list", id=3))) == ()
    assert not made.idle
    made.serve(offer(), LIMIT)
    assert [one["id"] for one in lines(made.handle(OfferLoaded()))] == [2, 3]
    assert made.idle


def test_what_waits_for_the_patterns_can_be_cancelled() -> None:
    made = session(opened=False, loaded=False)
    made.handle(BytesReceived(opening() + message("tools/list", id=2)))
    assert made.handle(BytesReceived(message("notifications/cancelled", {"requestId": 2}))) == ()
    made.serve(offer(), LIMIT)
    assert made.handle(OfferLoaded()) == ()


# Lines.


def test_lines_end_where_they_end() -> None:
    made = session()
    ping = message("ping", id="é")
    for byte in ping[:-1]:
        assert made.handle(BytesReceived(bytes((byte,)))) == ()
    assert [one["id"] for one in tell(made, b"\r\n\n  \n" + ping)] == ["é", "é"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\xff\xfe", -32700),
        (b'"\xff"', -32700),
        (b"\xef\xbb\xbf{}", -32700),
        (b'{"a":' + b"[" * 100_000, -32700),
        (b"null", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc":"1.0","id":null,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","method":3}', -32600),
    ],
)
def test_what_is_no_message_is_answered_under_the_id_null(line: bytes, code: int) -> None:
    made = session()
    assert [kind(one) for one in tell(made, line + b"\n")] == [("error", code, None)]
    assert [kind(one) for one in tell(made, message("ping", id=1))] == [("result", 1)], "and the session goes on"


def test_a_line_that_is_too_long_is_thrown_away_and_nothing_else() -> None:
    made = session()
    long = b"x" * (LIMIT + 70_000)
    first = made.handle(BytesReceived(long[:-10]))
    assert [kind(one) for one in lines(first)] == [("error", -32600, None)]
    told = tell(made, long[-10:] + b"\n" + message("ping", id=1))
    assert [kind(one) for one in told] == [("result", 1)]


def test_half_of_a_surrogate_pair_is_never_echoed() -> None:
    made = session()
    (command,) = made.handle(BytesReceived(b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}\n'))
    assert isinstance(command, SendLine)
    assert json.loads(command.data)["error"]["code"] in (-32700, -32601)
    command.data.decode()


@pytest.mark.parametrize("params", [{"requestId": 77}, {"requestId": None}, {}, {"requestId": [1]}])
def test_a_cancellation_of_nothing_does_nothing(params: Any) -> None:
    assert session().handle(BytesReceived(message("notifications/cancelled", params))) == ()


# Every revision, by its schema.


@pytest.mark.parametrize("revision", [*LEGACY, *MODERN])
def test_every_method_fits_the_schema_of_its_revision(revision: str) -> None:
    modern = revision in MODERN
    made = session(opened=False, extras=MIXED)
    said = Conversation(revision)

    def ask(method: str, params: dict[str, Any], id: int) -> Any:  # noqa: A002 - the word of the protocol
        meta = {**ENVELOPE, LOG_LEVEL_KEY: "debug"} if modern else {}
        asked = message(method, {**params, "_meta": {**meta, "progressToken": f"token {id}"}}, id=id)
        said.add("client", json.loads(asked))
        told = tell(made, asked)
        for one in told:
            said.add("server", one)
        return told[-1]

    if modern:
        ask("server/discover", {}, 1)
    else:
        said.add("client", json.loads(opening(revision)))
        for one in tell(made, opening(revision)):
            said.add("server", one)
        ask("ping", {}, 1)
        ask("logging/setLevel", {"level": "debug"}, 2)
    for number, method in enumerate(("tools/list", "resources/list", "resources/templates/list", "prompts/list")):
        ask(method, {}, 10 + number)
    ask("resources/read", {"uri": "vstack://patterns/last_word/citations"}, 20)
    ask("prompts/get", {"name": "vstack_pick_pattern", "arguments": {"situation": "silence"}}, 21)
    completion = {"ref": {"type": "ref/prompt", "name": "vstack_last_word_invoke"}}
    found = ask("completion/complete", {**completion, "argument": {"name": "mode", "value": "QU"}}, 22)
    assert found["result"]["completion"]["values"] == ["quick"]
    ask("tools/call", {"name": "test_tool_with_progress"}, 23)
    ask("tools/call", {"name": "test_tool_with_logging"}, 24)
    assert ask("resources/read", {"uri": "vstack://nothing"}, 25)["error"]["data"] == {"uri": "vstack://nothing"}
    assert said.unanswered == []
    methods = [method for side, method in said.seen if side == "server"]
    assert methods.count("notifications/progress") == methods.count("notifications/message") == 3


# Calls.


def test_calls_run_side_by_side_and_are_answered_in_any_order() -> None:
    made = session()
    begun = [one for n in range(3) for one in made.handle(BytesReceived(message("tools/call", CALL, id=f"{n}")))]
    calls = [one for one in begun if isinstance(one, BeginCall)]
    assert [(one.call, one.context.id, one.context.revision) for one in calls] == [
        (1, "0", LEGACY[-1]),
        (2, "1", LEGACY[-1]),
        (3, "2", LEGACY[-1]),
    ]
    assert json.loads(calls[0].message)["params"]["name"] == "vstack_last_word"
    assert made.handle(CallTold(2, b"progress", last=False)) == (SendLine(b"progress"),)
    assert made.handle(CallTold(2, b"answer", last=True)) == (SendLine(b"answer"),)
    assert made.handle(CallTold(1, b"answer", last=False)) == (SendLine(b"answer"),)
    assert made.handle(CallTold(1, b"", last=True)) == ()
    assert not made.idle


def test_an_id_that_is_in_use_is_refused_and_free_again_after_its_answer() -> None:
    made = session()
    asked = message("tools/call", CALL, id=1)
    made.handle(BytesReceived(asked))
    assert [kind(one) for one in tell(made, asked)] == [("error", -32600, 1)]
    assert [kind(one) for one in tell(made, message("ping", id="1"))] == [("result", "1")], "1 is not '1'"
    made.handle(CallTold(1, b"{}", last=True))
    assert [type(one) for one in made.handle(BytesReceived(asked))] == [BeginCall]


def test_a_tool_that_breaks_is_told_of_and_the_session_goes_on() -> None:
    broken = LocalTool({"name": "broken", "description": "", "inputSchema": {"type": "object"}}, lambda *_: NOTHING[0])
    made = session(extras=Extras(tools=(broken,)))
    told = made.handle(BytesReceived(message("tools/call", {"name": "broken"}, id=1)))
    assert [kind(one) for one in lines(told)] == [("error", -32603, 1)]
    assert told[-1] == Report("tools/call: KeyError: 0")


def test_a_cancelled_call_is_left_and_says_nothing_more() -> None:
    made = session()
    made.handle(BytesReceived(message("tools/call", CALL, id=7)))
    cancel = message("notifications/cancelled", {"requestId": 7, "reason": "enough"})
    assert made.handle(BytesReceived(cancel)) == (CancelCall(1),)
    assert made.handle(CallTold(1, b"too late", last=True)) == ()
    assert made.handle(BytesReceived(cancel)) == ()
    assert made.idle


@pytest.mark.parametrize(("gate", "passes"), [(None, "info"), ("debug", "debug"), ("error", "error")])
def test_a_legacy_level_holds_from_then_on(gate: str | None, passes: str) -> None:
    made = session()
    if gate is not None:
        tell(made, message("logging/setLevel", {"level": gate}, id=1))
    (begun,) = made.handle(BytesReceived(message("tools/call", CALL, id=2)))
    assert isinstance(begun, BeginCall)
    assert begun.context.gate == passes


def test_an_envelope_speaks_for_its_own_request_alone() -> None:
    made = session(opened=False)
    meta = {**ENVELOPE, LOG_LEVEL_KEY: "notice", "progressToken": 5}
    (begun,) = made.handle(BytesReceived(message("tools/call", {**CALL, "_meta": meta}, id=1)))
    assert isinstance(begun, BeginCall)
    assert (begun.context.modern, begun.context.gate, begun.context.token) == (True, "notice", 5)
    bare = {**CALL, "_meta": ENVELOPE}
    (begun,) = made.handle(BytesReceived(message("tools/call", bare, id=2)))
    assert isinstance(begun, BeginCall)
    assert (begun.context.gate, begun.context.token) == (None, None)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({**CALL, "_meta": 3}, -32602),
        ({**CALL, "_meta": {"progressToken": 1.5}}, -32602),
        ({**CALL, "_meta": {**ENVELOPE, CAPABILITIES_KEY: 3}}, -32602),
        ({**CALL, "_meta": {**ENVELOPE, VERSION_KEY: 3}}, -32602),
        ({**CALL, "_meta": {VERSION_KEY: MODERN[0]}}, -32602),
        ({**CALL, "_meta": {**ENVELOPE, VERSION_KEY: "2031-01-01"}}, -32022),
        ({**CALL, "_meta": {**ENVELOPE, LOG_LEVEL_KEY: "loud"}}, -32602),
        ({**CALL, "_meta": {"progressToken": "x" * (MAX_ID_CHARS + 1)}}, -32600),
        ({"name": 3}, -32602),
        ({}, -32602),
        ({"name": "vstack_nothing"}, -32602),
        ({"name": "vstack_last_word", "arguments": [1]}, -32602),
    ],
)
def test_a_malformed_call_is_an_error_under_its_id(params: Any, code: int) -> None:
    assert [kind(one) for one in tell(session(), message("tools/call", params, id=4))] == [("error", code, 4)]


# The end.


def test_the_end_of_input_ends_an_idle_session_at_once() -> None:
    made = session()
    assert made.handle(InputEnded()) == (Finish(),)
    assert made.handle(BytesReceived(message("ping", id=1))) == ()


def test_what_is_under_way_has_a_moment() -> None:
    made = session()
    made.handle(BytesReceived(message("tools/call", CALL, id=1)))
    assert made.handle(InputEnded()) == (AwaitGrace(),)
    assert made.handle(CallTold(1, b"answer", last=True)) == (SendLine(b"answer"), Finish())


def test_and_no_more_than_a_moment() -> None:
    made = session()
    made.handle(BytesReceived(message("tools/call", CALL, id=1) + message("tools/call", CALL, id=2)))
    made.handle(InputEnded())
    assert made.handle(GraceEnded()) == (CancelCall(1), CancelCall(2), Finish())
    assert made.handle(CallTold(1, b"too late", last=True)) == ()


def test_patterns_that_come_in_that_moment_still_serve() -> None:
    made = session(opened=False, loaded=False)
    made.handle(BytesReceived(opening() + message("prompts/list", id=2)))
    assert made.handle(InputEnded()) == (AwaitGrace(),)
    made.serve(offer(), LIMIT)
    assert [type(one) for one in made.handle(OfferLoaded())] == [SendLine, Finish]
