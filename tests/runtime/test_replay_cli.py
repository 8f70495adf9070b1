"""``vstack-replay``, run as its users run it: what it prints, what it writes, and how it exits."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from tests.proto.conversations import ASKED, CACHED, OPEN
from tests.proto.last_word import BROKEN, PATTERN
from tests.proto.test_tape import taped
from vstack_proto import replay
from vstack_proto.catalogue import AnyPattern
from vstack_proto.replay import Difference, Report, Tape, decode, encode
from vstack_runtime import replaying
from vstack_runtime.engine import installed_patterns
from vstack_runtime.replay_cli import app, main
from vstack_runtime.replay_show import show_report, show_tape, words

EXAMPLE = Path(__file__).parents[2] / "examples/traces/failed_refund_report.json"


def say(*arguments: str | Path, code: int = 0) -> str:
    """What the command prints."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "refund.tape.jsonl"
    told = say("record", "aar", EXAMPLE, "-o", path)
    assert "refund.tape.jsonl: 4 events, answered 200" in " ".join(told.split())
    return path


def test_what_is_recorded_replays_and_is_shown(tape: Path) -> None:
    assert say("run", tape) == "1 tape, 4 events, 8 commands: as recorded\n"
    assert say("run", tape.parent) == "1 tape, 4 events, 8 commands: as recorded\n"
    assert say("run", tape, "--until", "2") == "1 tape, 2 events, 3 commands: as recorded\n"
    shown = say("show", tape).splitlines()
    assert [line.split()[3:5] for line in shown if " s  " in line] == [
        ["HeadReceived", "POST"],
        ["BodyReceived", 'data={"format":"canonical","trace":{"goal":"Report'],
        ["BodyEnded"],
        ["FlightJoined", "ticket=1"],
    ]
    assert "-> ArmDeadline when=+120.000s" in " ".join(shown)
    assert shown[-1].startswith("4 events in ")
    assert shown[-1].endswith("status 200, ok")
    assert max(map(len, shown)) <= 120
    assert "detection" in say("show", "--all", tape)


def test_a_tape_is_packed_where_its_name_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.tape.gz"
    say("record", "aar", EXAMPLE, "-o", path, "--mode", "quick")
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert say("run", path).endswith("as recorded\n")


def test_a_folder_gives_every_tape_that_record_wrote_there(tmp_path: Path) -> None:
    for name in ("a.tape.jsonl", "b.tape.gz", "c.tape.jsonl.gz"):
        assert "is no name" not in say("record", "aar", EXAMPLE, "-o", tmp_path / name, "--mode", "quick")
    assert say("run", tmp_path).startswith("3 tapes, 12 events")
    for name in ("d.jsonl", "e.gz", ".f.tape.jsonl"):
        assert "is no name by which run finds it in a folder" in say("record", "aar", EXAMPLE, "-o", tmp_path / name)
        assert say("run", tmp_path / name).startswith("1 tape")
    assert say("run", tmp_path).startswith("3 tapes, 12 events")


@pytest.mark.parametrize(
    ("pattern", "body", "code", "told"),
    [
        ("arr", EXAMPLE.read_bytes(), 2, "no pattern is named 'arr'; did you mean aar?"),
        ("aar", b'{"trace": {}, "mode": "turbo"}', 2, "'turbo'"),
        ("aar", b'{"goal": 5, "steps": []}', 1, "/goal"),
        ("broken", EXAMPLE.read_bytes(), 1, "answered 500"),
    ],
)
def test_a_refusal_is_taped_on_purpose_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, body: bytes, code: int, told: str
) -> None:
    patterns = (*installed_patterns(), msgspec.structs.replace(BROKEN, number=99))
    monkeypatch.setattr("vstack_runtime.engine.installed_patterns", lambda: patterns)
    trace, path = tmp_path / "trace.json", tmp_path / "x.tape.jsonl"
    trace.write_bytes(body)
    assert told in " ".join(say("record", pattern, trace, "-o", path, code=code).split())
    assert not path.exists()
    say("record", pattern, trace, "-o", path, "--any-status")
    assert decode(path.read_bytes()).end.status in (400, 404, 500)


def test_a_replay_goes_on_from_a_snapshot(tape: Path, tmp_path: Path) -> None:
    taken = tmp_path / "snapshot.json"
    say("run", tape, "--until", "3", "--snapshot", taken)
    assert say("run", tape, "--from-snapshot", taken) == "1 tape, 1 events, 3 commands: as recorded\n"
    say("run", tape, tape, "--from-snapshot", taken, code=2)


def test_a_limit_is_tried_found_and_accepted(tape: Path) -> None:
    change = '{"limits": {"request_timeout": 60}}'
    told = say("run", tape, "--policy", change, code=1)
    assert told.splitlines() == [
        "refund.tape.jsonl: not as recorded",
        "  event 0, HeadReceived at +0.000 s: ArmDeadline.when",
        "    likewise: 2 ArmDeadline.when",
        "    - +120.000s",
        "    + +60.000s",
        "1 tape, 4 events, 8 commands: 1 differ",
    ]
    assert say("accept", tape) == ""
    assert "2 differences accepted" in say("accept", tape, "--policy", change)
    assert say("run", tape, "--policy", change).endswith("as recorded\n")
    say("run", tape, code=1)


@pytest.fixture
def own_pattern(monkeypatch: pytest.MonkeyPatch) -> dict[str, AnyPattern]:
    """Patterns as if they were installed; a test changes them."""
    patterns: dict[str, AnyPattern] = {PATTERN.name: PATTERN, BROKEN.name: BROKEN}
    monkeypatch.setattr(replaying, "pattern_named", lambda name: patterns[name])
    replaying._service.cache_clear()
    return patterns


def test_a_changed_prompt_is_shown_side_by_side_on_one_screen(
    tmp_path: Path, own_pattern: dict[str, AnyPattern]
) -> None:
    path = tmp_path / "asked.tape.gz"
    path.write_bytes(encode(taped(ASKED), compress=True))
    assert say("run", path).endswith("as recorded\n")
    replaying._service.cache_clear()
    own_pattern[PATTERN.name] = msgspec.structs.replace(PATTERN, framework="Look at the very last line.")
    told = say("run", path, code=1).splitlines()
    assert "  event 3, FlightJoined at +1.000 s: CallModel.request.system" in told
    assert "    likewise: 4 CallModel.request.system" in told
    (row,) = (line for line in told if "Look at the" in line)
    assert row.split() == ["Look", "at", "the", "last", "line.", "Look", "at", "the", "{+very", "+}last", "line."]
    assert len(told) <= 24
    assert "2 differences accepted" in say("accept", path)
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert say("run", path).endswith("as recorded\n")


def test_a_changed_header_is_shown(
    tmp_path: Path, own_pattern: dict[str, AnyPattern], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cached.jsonl"
    path.write_bytes(encode(taped(CACHED)))
    monkeypatch.setattr("vstack_proto.replies._ALWAYS", (("x-frame-options", "SAMEORIGIN"),))
    told = say("run", path, code=1)
    assert "Respond.headers.x-frame-options" in told
    assert "[-DENY-]{+SAMEORIGIN+}" in told
    assert len(told.splitlines()) <= 24


def test_what_is_no_tape_fails_with_the_reason(tmp_path: Path, tape: Path) -> None:
    for name, data, told in (("a", b"", "no header"), ("b", b'{"tape":9}\n{}', "version 9")):
        (tmp_path / name).write_bytes(data)
        result = CliRunner().invoke(app, ["run", str(tmp_path / name)])
        assert result.exit_code == 1
        assert told in " ".join(result.output.split())
    (tmp_path / "folder").mkdir()
    for arguments, code in (
        (["run", str(tmp_path / "none")], 2),
        (["run", str(tmp_path / "folder")], 2),
        (["run", str(tape), "--policy", "[]"], 2),
        (["record", "aar", str(tmp_path / "a"), "-o", str(tmp_path / "c")], 1),
        (["run"], 2),
    ):
        assert CliRunner().invoke(app, arguments).exit_code == code, arguments


@pytest.mark.parametrize("policy", ['{"cache": 7}', '{"cash": true}', '{"limits": {"request_timeoutt": 60}}'])
def test_errors_of_tapes_and_settings_end_the_program_with_a_line(
    policy: str, tape: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["vstack-replay", "run", str(tape), "--policy", policy])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("vstack-replay: its policy cannot be used")


def test_the_program_is_installed(tape: Path) -> None:
    program = Path(sys.executable).with_name("vstack-replay")
    told = subprocess.run([program, "show", tape], capture_output=True, text=True, check=True)
    assert "HeadReceived" in told.stdout
    assert "\x1b" not in told.stdout
    trace = EXAMPLE.read_bytes()
    out = tape.with_name("piped.tape.jsonl")
    subprocess.run([program, "record", "aar", "-", "-o", out], input=trace, check=True, capture_output=True)
    assert decode(out.read_bytes()).end.status == 200


def test_a_model_is_asked_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSTACK_LLM", f"tape:{tmp_path}")
    with pytest.raises(Exception, match="no recorded answer"):
        say("record", "aar", EXAMPLE, "-o", tmp_path / "out", "--ask")


# How things are shown.


def printed(*, width: int = 120) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=width, highlight=False, markup=False, emoji=False), text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("it is so", "it was so", "it [-is-]{+was+} so"),
        ("a b", "a b c", "a b{+ c+}"),
        ("a b c", "a c", "a [-b -]c"),
        ("old\x1b[31m", "new\x1b[31m", "[-old-]{+new+} [31m"),
    ],
)
def test_long_texts_are_compared_word_by_word(old: str, new: str, told: str) -> None:
    assert words(old, new).plain == told


def test_what_did_not_change_is_left_out_but_for_some_words() -> None:
    same = " ".join(f"w{n}" for n in range(100))
    told = words(f"{same} old {same}", f"{same} new {same}").plain
    assert told == " … w94 w95 w96 w97 w98 w99 [-old-]{+new+} w0 w1 w2 w3 w4 w5 … "


def report_of(*differences: Difference, events: int = 6) -> Report:
    return Report(events=events, commands=0, differences=differences, done=False, snapshot=b"")


def shown(*differences: Difference, whole: bool = False, events: int = 6) -> list[str]:
    console, text = printed()
    show_report("t", taped(ASKED), report_of(*differences, events=events), console, whole=whole)
    return text.getvalue().splitlines()


def test_commands_that_came_or_went_are_shown_in_a_line() -> None:
    long = {"name": "x" * 500}
    (_, head, line) = shown(Difference(event=3, what="added", kind="Close", command=1, new=long))
    assert head == "  event 3, FlightJoined at +1.000 s: Close is new"
    assert line.startswith("    + {")
    assert line.endswith("…")
    assert sum(map(len, shown(Difference(event=3, what="added", kind="Close", command=1, new=long), whole=True))) > 500
    lines = shown(Difference(event=3, what="refused", kind="FlightJoined", new="LocalProtocolError: no"), events=3)
    assert lines[-1] == "the last 3 events do not fit what today's code asks for"
    assert "    + LocalProtocolError: no" in lines


def test_many_differences_are_counted() -> None:
    many = [
        Difference(event=0, what="changed", kind="Record", command=1, path=f"f{n}", old=n, new=n + 1) for n in range(14)
    ]
    assert shown(*many)[-1] == "and 4 more differences; --all shows them"
    assert len(shown(*many, whole=True)) == 1 + 3 * 14
    alike = [Difference(event=n, what="changed", kind="Record", command=1, path="f", old=1, new=2) for n in range(6)]
    assert "    likewise: 1 Record.f, 2 Record.f, 3 Record.f, 4 Record.f and 1 more" in shown(*alike)
    moment = Difference(
        event=0, what="changed", kind="CallModel", command=0, path="deadline", old=10_001.0, new=10_002.5
    )
    assert shown(moment)[2:] == ["    - +1.000s", "    + +2.500s"]
    gone = Difference(event=0, what="changed", kind="Record", command=1, path="f", old="x" * 2_000, new=replay.ABSENT)
    assert len("".join(shown(gone))) < 1_000


def test_a_long_prompt_is_shown_where_it_changed() -> None:
    old = "\n".join(f"line {n}" for n in range(100))
    new = old.replace("line 50", "row 50").replace("line 7\n", "")
    one = Difference(event=3, what="changed", kind="CallModel", command=0, path="request.shared", old=old, new=new)
    lines = shown(one)
    assert any("[-line-] 50" in line and "{+row+} 50" in line for line in lines)
    assert any("line 6" in line for line in lines)
    assert not any("line 30" in line for line in lines)
    every = "\n".join(f"other {'y' * 400}" for _ in range(40))
    one = msgspec.structs.replace(one, new=every)
    assert "more lines" in " ".join(shown(one))
    assert len(shown(one, whole=True)) > len(shown(one))


def test_a_tape_of_an_older_vocabulary_and_a_crash_are_shown() -> None:
    tape = taped(ASKED)
    turns = (
        replay.Turn(0.0, tape.turns[0].event, msgspec.Raw(b'[{"type":"RingBell","loud":true}]')),
        replay.Turn(1.0, tape.turns[2].event, raised="KeyError"),
    )
    console, text = printed()
    show_tape("t", Tape(replay.header_of(OPEN), turns, tape.end), console)
    assert "-> RingBell loud=True" in text.getvalue()
    assert "raised KeyError" in text.getvalue()
    show_tape("empty", replay.tape_of(replay.header_of(OPEN), []), console)
    assert "0 events in 0.000 s: status 0, no analysis" in text.getvalue()


def test_commands_have_help() -> None:
    group: Any = typer.main.get_command(app)
    assert sorted(group.commands) == ["accept", "record", "run", "show"]
    assert all(command.help for command in group.commands.values())
    assert os.environ.get("VSTACK_LLM") is None
