"""The real program over stdio: purity, concurrency, malformed lines, and the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.e2e.serving import canonical_trace
from tests.fakes.model_service import Act, FakeServer, serving
from tests.mcp.noisy import NOISE
from tests.proto.last_word import TRACE
from tests.providers.kit import KEY
from vstack_mcp.session import GRACE_SECONDS
from vstack_mcp.transport_stdio import FLUSH_SECONDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(Path(sys.executable).with_name("vstack-mcp"))
OFFLINE = {"VSTACK_LLM": "offline"}
# Whoever waits this long waits for nothing.
PATIENCE = 30
CALLS = 50


class Peer:
    """A client that writes lines and reads lines."""

    def __init__(self, env: Mapping[str, str], argv: list[str] | None = None, **more: Any) -> None:
        self.process = subprocess.Popen(
            argv or [PROGRAM, "serve"],
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **env},
            cwd=ROOT,
            stdin=more.pop("stdin", subprocess.PIPE),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )

    def write(self, *lines: Any) -> None:
        assert self.process.stdin is not None
        for line in lines:
            self.process.stdin.write((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n")
        self.process.stdin.flush()

    def read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode() if self.process.stderr else ""
        return json.loads(line)

    def ask(self, method: str, params: Any = None, number: int = 1) -> Any:
        self.write(request(method, params, number))
        return self.read()

    def end(self) -> tuple[int, list[Any], str]:
        """Close our end; gives the exit code, what was still told, and the log."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def request(method: str, params: Any = None, number: int = 1) -> dict[str, Any]:
    told = {"jsonrpc": "2.0", "id": number, "method": method}
    return told if params is None else {**told, "params": params}


def opening() -> dict[str, Any]:
    client = {"name": "a test", "version": "0"}
    return request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}, 0)


def analysis(number: int, **more: Any) -> dict[str, Any]:
    trace = canonical_trace(goal=f"Goal number {number}")
    return request(
        "tools/call", {"name": "vstack_aar", "arguments": {"trace": trace, "format": "canonical", **more}}, number
    )


Start = Callable[..., Peer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a session, opened; it is gone at the end of the test."""
    peers: list[Peer] = []

    def started(env: Mapping[str, str] = OFFLINE, argv: list[str] | None = None) -> Peer:
        peers.append(Peer(env, argv))
        assert peers[-1].ask("initialize", opening()["params"], 0)["result"]
        return peers[-1]

    yield started
    for peer in peers:
        peer.kill()


@pytest.fixture
def model() -> Iterator[FakeServer]:
    with serving(Act(text=None)) as server:
        yield server


def provider(model: FakeServer) -> dict[str, str]:
    return {"VSTACK_LLM": "anthropic", "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url}


def test_nothing_but_answers_reaches_the_peer(start: Start) -> None:
    peer = start(argv=[sys.executable, "-m", "tests.mcp.noisy"])
    given = {"name": "vstack_noisy", "arguments": {"trace": TRACE, "model": "offline"}}
    answer = peer.ask("tools/call", given)
    assert answer["result"]["structuredContent"]["detection"]["speaker"] == "bob"
    assert peer.ask("ping", number=2) == {"jsonrpc": "2.0", "id": 2, "result": {}}
    code, rest, log = peer.end()
    assert (code, rest) == (0, [])
    assert log.count(NOISE) == 4, "said in vain, and not lost"


def test_an_answer_of_any_length_is_one_line(start: Start, tmp_path: Path) -> None:
    peer = start({**OFFLINE, "VSTACK_HOME": str(tmp_path)})
    notes = "what was said, letter for letter; " * 290
    numbers = range(100, 120)
    given = {"name": "vstack_record_learning", "arguments": {"pattern": "aar", "notes": notes}}
    peer.write(*(request("tools/call", given, number) for number in numbers))
    assert {peer.read()["id"] for _ in numbers} == set(numbers)
    answer = peer.ask("tools/call", {"name": "vstack_recall_learnings", "arguments": {}}, 2)
    kept = answer["result"]["structuredContent"]["learnings"]
    assert [one["notes"] for one in kept] == [notes] * len(numbers)
    assert json.loads(answer["result"]["content"][0]["text"])["learnings"] == kept
    assert len(json.dumps(answer)) > 300_000
    assert peer.ask("ping", number=3)["id"] == 3


def test_fifty_calls_on_one_connection(start: Start, model: FakeServer) -> None:
    peer = start(provider(model))
    assert peer.ask("tools/list", number=1)["result"]["tools"]
    model.script = [Act(hang=True)]
    peer.write(*(analysis(number, mode="quick") for number in range(100, 100 + CALLS)))
    assert model.wait_until(lambda: len(model.asked) == CALLS), "all at once, not one after the other"
    # Others are answered meanwhile, and cancelled calls never.
    assert peer.ask("ping", number=2)["id"] == 2
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    peer.write(*({**cancelled, "params": {"requestId": number}} for number in range(100, 100 + CALLS)))
    assert model.wait_until(lambda: model.open == 0), "and their models are let go"
    model.script = [Act(text=None)]
    peer.write(*(analysis(number, mode="quick") for number in range(200, 200 + CALLS)))
    answers = [peer.read() for _ in range(CALLS)]
    assert {answer["id"] for answer in answers} == set(range(200, 200 + CALLS))
    assert not any(answer["result"]["isError"] for answer in answers)
    assert peer.end()[:2] == (0, [])


def test_malformed_lines_are_answered_and_the_session_goes_on(start: Start) -> None:
    peer = start()
    peer.write(b"{nope", b"\xff\xfe", b"[]", b"", b'{"id":4}', b"x" * 6_000_000)
    told = [peer.read() for _ in range(5)]
    assert [(one["error"]["code"], one["id"]) for one in told] == [
        (-32700, None),
        (-32700, None),
        (-32600, None),
        (-32600, 4),
        (-32600, None),
    ]
    assert peer.ask("ping", number=2)["result"] == {}
    assert peer.end()[0] == 0


def test_a_peer_that_reads_late_loses_nothing(start: Start) -> None:
    peer = start()
    peer.write(*(request("tools/list", None, number) for number in range(1, 13)))
    peer.write(request("ping", None, 99))
    # More than any pipe holds waits in the process; it still reads.
    answers = [peer.read() for _ in range(13)]
    assert sorted(answer["id"] for answer in answers) == [*range(1, 13), 99]
    assert peer.end()[:2] == (0, [])


def test_the_end_of_input_ends_the_process(start: Start) -> None:
    assert GRACE_SECONDS + FLUSH_SECONDS < 1.0
    assert start().end()[:2] == (0, [])


def test_what_is_under_way_at_the_end_is_still_answered(start: Start) -> None:
    peer = start()
    assert peer.ask("tools/list")["result"]
    peer.write(analysis(5))
    code, rest, _ = peer.end()
    assert (code, [one["id"] for one in rest]) == (0, [5])


def test_a_model_that_hangs_does_not_keep_the_process(start: Start, model: FakeServer) -> None:
    model.script = [Act(hang=True)]
    peer = start(provider(model))
    peer.write(analysis(5, mode="quick"))
    assert model.wait_until(lambda: model.asked)
    assert peer.end()[:2] == (0, [])
    assert model.wait_until(lambda: model.open == 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_signal_ends_the_process(start: Start, number: signal.Signals, loaded: bool) -> None:
    peer = start()
    if loaded:
        assert peer.ask("tools/list")["result"]
    peer.process.send_signal(number)
    assert peer.process.wait(PATIENCE) == 0


SIGNALLED = 12


@pytest.mark.slow
def test_a_signal_ends_the_process_whatever_it_is_about_to_wait_for() -> None:
    """Several at once, so that each is caught at another moment: one of six was not, and stayed for ever."""
    peers = [Peer(OFFLINE) for _ in range(SIGNALLED)]
    try:
        for peer in peers:
            peer.write(opening(), request("tools/list"))
        for peer in peers:
            assert peer.read()["result"]
            assert peer.read()["result"]
            peer.process.send_signal(signal.SIGINT)
        assert [peer.process.wait(PATIENCE) for peer in peers] == [0] * SIGNALLED
    finally:
        for peer in peers:
            peer.kill()


def test_a_file_of_requests_is_a_session_too(tmp_path: Path) -> None:
    asked = tmp_path / "requests"
    asked.write_text("".join(json.dumps(line) + "\n" for line in (opening(), request("ping"))))
    with asked.open("rb") as stdin:
        peer = Peer(OFFLINE, stdin=stdin)
        code, told, _ = peer.end()
    assert (code, [one["id"] for one in told]) == (0, [0, 1])


def test_a_broken_setting_ends_the_process_and_is_named() -> None:
    peer = Peer({"VSTACK_CACHE": "nonsense"})
    peer.write(opening())
    assert peer.read()["result"], "the first answer waits for no setting"
    assert peer.process.wait(PATIENCE) == 1
    assert "VSTACK_CACHE is 'nonsense'" in peer.end()[2]


def test_keys_are_for_peers_over_a_network(start: Start) -> None:
    peer = start({**OFFLINE, "VSTACK_API_KEYS": "a" * 30, "VSTACK_API_RATE_LIMIT": "1/3600"})
    assert peer.ask("tools/call", analysis(1)["params"])["result"]["isError"] is False
    refused = peer.ask("tools/call", analysis(2)["params"], 2)
    # The quota holds here as well, and is told under the id that was asked.
    assert (refused["id"], refused["result"]["isError"]) == (2, True)
    assert "rate_limited" in refused["result"]["content"][0]["text"]


def test_the_learning_tools(start: Start, tmp_path: Path) -> None:
    peer = start({**OFFLINE, "VSTACK_HOME": str(tmp_path), "VSTACK_LEARNINGS": "home"})
    tools = {tool["name"]: tool for tool in peer.ask("tools/list")["result"]["tools"]}

    def call(name: str, number: int, **arguments: Any) -> Any:
        return peer.ask("tools/call", {"name": name, "arguments": arguments}, number)["result"]

    finding = {"pattern": "lewin", "agent_id": "planner", "interventions_applied": ["tool_upgrade"]}
    kept = call("vstack_record_learning", 2, **finding)["structuredContent"]
    assert call("vstack_recall_learnings", 3, agent_id="planner", limit=1)["structuredContent"]["learnings"] == [kept]
    assert call("vstack_recall_learnings", 4, agent_id="nobody")["structuredContent"]["count"] == 0
    reported = call("vstack_report_outcome", 5, id=kept["id"], outcome="improved")["structuredContent"]
    assert reported["follow_up_outcome"] == "improved"
    outcomes = call("vstack_learning_outcomes", 6)["structuredContent"]
    assert (outcomes["outcomes"][0]["intervention"], outcomes["outcomes"][0]["improved"]) == ("tool_upgrade", 1)
    for name, told in (("vstack_record_learning", kept), ("vstack_learning_outcomes", outcomes)):
        Draft202012Validator(tools[name]["outputSchema"]).validate(told)
    for name, given, words in (
        ("vstack_record_learning", {"agent_id": 3}, "/pattern is missing"),
        ("vstack_recall_learnings", {"limit": 0}, "from 1 to 1000"),
        ("vstack_recall_learnings", {"who": ["x"]}, "/who"),
        ("vstack_report_outcome", {"outcome": "improved"}, "no learning of yours"),
    ):
        refused = call(name, 9, **given)
        assert refused["isError"], name
        assert words in refused["content"][0]["text"], refused


def test_without_a_store_there_are_no_learning_tools(start: Start) -> None:
    names = {
        tool["name"] for tool in start({**OFFLINE, "VSTACK_LEARNINGS": "off"}).ask("tools/list")["result"]["tools"]
    }
    assert "vstack_aar" in names
    assert "vstack_record_learning" not in names


def test_a_call_is_taped_and_replays_as_it_was(start: Start, tmp_path: Path) -> None:
    env = {**OFFLINE, "VSTACK_TAPE": str(tmp_path), "VSTACK_CACHE": "memory"}
    peer = start(env)
    assert peer.ask("tools/call", analysis(1)["params"])["result"]["isError"] is False
    assert peer.ask("tools/call", {"name": "vstack_aar", "arguments": {}}, 2)["result"]["isError"] is True
    assert peer.end()[0] == 0
    tapes = sorted(map(str, tmp_path.iterdir()))
    assert len(tapes) == 2
    replay = str(Path(PROGRAM).with_name("vstack-replay"))
    done = subprocess.run([replay, "run", *tapes], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "as recorded" in done.stdout
