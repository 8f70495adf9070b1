"""The programs of the home: what each prints, and with which exit code it ends."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, get_args

import anyio
import pytest
import structlog

from vstack_proto.learning import Outcome
from vstack_proto.patterns.common import Mode, Severity
from vstack_proto.telemetry import ANALYSIS, TelemetryEvent
from vstack_runtime import cli
from vstack_runtime.home import SqliteTelemetry, cli_analytics, cli_learn
from vstack_runtime.home.cli_analytics import sparkline

MAINS: dict[str, Callable[[], None]] = {
    "vstack-learn": cli_learn.main,
    "vstack-analytics": cli_analytics.main,
    "vstack-api": cli.main,
}
DETECTION = {
    "generated_at": "2026-02-01T09:00:00Z",
    "dominant_locus": "internal",
    "locus_scores": {"internal": 0.5, "environmental": 0.1},
    "severity": "low",
}


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VSTACK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a program in this process, as its console script does."""
    monkeypatch.setenv("COLUMNS", "200")
    # Another test may have had logs written in this process.
    structlog.reset_defaults()

    def run(line: str, *more: str) -> Ran:
        program, *words = [*line.split(), *more]
        monkeypatch.setattr(sys, "argv", [program, *words])
        with pytest.raises(SystemExit) as left:
            MAINS[program]()
        code = left.value.code
        return Ran(code if isinstance(code, int) else 0, *capfd.readouterr())

    return run


def test_what_is_recorded_is_recalled_judged_and_counted(run: Run) -> None:
    recorded = run(
        "vstack-learn record lewin --agent-id planner --crew-id night --severity high --profile-pattern p --mode quick "
        "--dominant-finding environmental --intervention tool_upgrade --intervention retry --notes seen --json"
    ).json
    assert recorded["interventions_applied"] == ["tool_upgrade", "retry"]
    assert (recorded["agent_id"], recorded["mode"], recorded["notes"]) == ("planner", "quick", "seen")
    second = run("vstack-learn record lewin --agent-id critic --intervention retry").out.strip()
    listed = run("vstack-learn recall --pattern lewin --limit 5 --json").json
    assert [one["id"] for one in listed] == [second, recorded["id"]]
    assert run("vstack-learn recall --agent-id planner --json").json == [recorded]
    # The newest that fits, or the one that is named.
    assert run("vstack-learn outcome lewin improved --agent-id planner").out == f"{recorded['id']}: improved\n"
    named = run(f"vstack-learn outcome lewin worse --id {second} --follow-up run-2 --notes again --json").json
    assert (named["follow_up_outcome"], named["follow_up_record_id"], named["notes"]) == ("worse", "run-2", "again")
    counted = {one["intervention"]: one for one in run("vstack-learn outcomes --pattern lewin --json").json}
    assert (counted["retry"]["runs"], counted["retry"]["improvement_rate"]) == (2, 0.5)
    table = run("vstack-learn recall").out
    assert recorded["id"] in table
    assert "tool_upgrade, retry" in table
    shown = run("vstack-learn outcomes").out
    assert "21%-100%" in shown
    assert "50%" in shown


def test_the_closed_sets_are_those_of_the_core() -> None:
    assert get_args(cli_learn.Mode) == get_args(Mode)
    assert get_args(cli_learn.Severity) == get_args(Severity)
    assert get_args(cli_learn.Outcome) == get_args(Outcome)


@pytest.mark.parametrize("columns", ["", "80"])
def test_tables_can_be_read_where_there_is_little_room(run: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    told = ("--intervention", "a step that takes many words to say, of which no table holds all in a line")
    run("vstack-learn record cognitive_reappraisal --agent-id planner-of-the-night-shift --severity moderate", *told)
    run("vstack-learn outcome cognitive_reappraisal no_change")
    one = run("vstack-learn recall --json").json[0]
    monkeypatch.setenv("COLUMNS", columns)
    lines = run("vstack-learn recall").out.splitlines()
    (row,) = (line for line in lines if one["id"] in line)
    for cell in (one["timestamp"][:16].replace("T", " "), "cognitive_reappraisal", "no_change"):
        assert cell in row
    assert max(map(len, lines)) <= 120
    assert "cognitive_reappraisal" in run("vstack-learn outcomes").out


def test_each_key_has_its_own(run: Run) -> None:
    run("vstack-learn record lewin --key alice")
    assert run("vstack-learn recall --json").json == []
    assert run("vstack-learn recall").out == "Nothing was recorded.\n"
    assert len(run("vstack-learn recall --key alice --json").json) == 1
    assert run("vstack-learn outcome lewin improved").code == 1
    assert run("vstack-learn clear --yes").out == "0 forgotten\n"
    assert run("vstack-learn clear --key alice -y").out == "1 forgotten\n"


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("vstack-learn record lewn", 2, "did you mean lewin"),
        (f"vstack-learn record lewin --agent-id {'x' * 201}", 2, "it cannot be recorded"),
        ("vstack-learn record lewin --severity hihg", 2, "'hihg' is not one of"),
        ("vstack-learn record lewin --mode fast", 2, "'fast' is not one of"),
        ("vstack-learn outcome lewn improved", 2, "did you mean lewin"),
        ("vstack-learn recall --pattern lewn --json", 2, "did you mean lewin"),
        ("vstack-learn outcomes --pattern lewn", 2, "did you mean lewin"),
        ("vstack-learn outcome lewin better", 2, "better"),
        (f"vstack-learn outcome lewin worse --follow-up {'x' * 201}", 2, "it cannot be reported"),
        ("vstack-learn outcome lewin worse", 1, "there is no such record"),
        ("vstack-learn recall --limit 0", 2, "--limit"),
        ("vstack-learn import", 2, "is no file"),
        ("vstack-learn import nowhere.jsonl", 2, "nowhere.jsonl is no file"),
        ("vstack-analytics summary --by caller", 2, "caller"),
        ("vstack-analytics summary --since yesterday", 2, "must be a day or a moment"),
        ("vstack-api baseline record nowhere.json", 2, "cannot be read"),
        ("vstack-api baseline compare", 2, "FILE"),
    ],
)
def test_what_is_wrong_is_told(run: Run, line: str, code: int, words: str) -> None:
    ran = run(line)
    assert ran.code == code
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_a_record_that_is_named_is_of_whom_the_line_says(run: Run) -> None:
    name = run("vstack-learn record lewin --agent-id planner --crew-id night").out.strip()
    for words, told in (
        ("aar improved", "of pattern aar"),
        ("lewin improved --agent-id critic", "of pattern lewin and agent critic"),
        ("lewin improved --crew-id day", "of pattern lewin and crew day"),
    ):
        ran = run(f"vstack-learn outcome {words} --id {name}")
        assert (ran.code, ran.out) == (2, "")
        assert f"{name} is of pattern lewin and agent planner and crew night; not {told}\n" in ran.err
    assert run("vstack-learn recall --json").json[0]["follow_up_outcome"] is None
    assert run("vstack-learn outcome lewin improved --id lrn_0").code == 1
    fits = f"vstack-learn outcome lewin improved --agent-id planner --crew-id night --id {name}"
    run("vstack-learn record lewin --agent-id planner")
    assert run(fits).out == f"{name}: improved\n"


def test_what_an_earlier_version_recorded_of_a_pattern_that_is_gone_is_found(run: Run, home: Path) -> None:
    home.mkdir()
    (home / "learnings.jsonl").write_text('{"timestamp": "2026-01-02T03:04:05Z", "pattern": "gone"}\n', "utf-8")
    assert len(run("vstack-learn recall --pattern gone --json").json) == 1
    assert run("vstack-learn outcome gone worse").code == 0


def test_a_file_of_which_nothing_can_be_read_fails(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text("{\n" * 25, "utf-8")
    ran = run("vstack-learn import", str(tmp_path / "wrong.json"))
    assert (ran.code, ran.out) == (1, "0 added, 0 updated, 0 known, 25 unreadable\n")
    assert len(ran.err.splitlines()) == 21
    assert ran.err.splitlines()[-1] == "vstack-learn: and 5 more lines"
    told = run("vstack-learn import", str(tmp_path / "wrong.json"), "--json")
    assert (told.code, told.json["broken"]) == (1, 25)
    (tmp_path / "empty.json").write_text("", "utf-8")
    assert run("vstack-learn import", str(tmp_path / "empty.json")).code == 0


@pytest.mark.parametrize("program", MAINS)
def test_help_is_shown_without_a_command(run: Run, program: str) -> None:
    ran = run(program)
    assert ran.code == 2
    assert "Usage" in ran.out + ran.err


def test_nothing_is_kept_where_that_is_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSTACK_LEARNINGS", "off")
    monkeypatch.setenv("VSTACK_TELEMETRY", "memory")
    for line in ("vstack-learn recall", "vstack-analytics cost"):
        ran = run(line)
        assert ran.code == 1
        assert "nothing is kept" in ran.err
    monkeypatch.setenv("VSTACK_HOME", "/etc/hosts")
    refused = run("vstack-learn recall")
    assert (refused.code, refused.err.partition(" ")[0]) == (1, "vstack-learn:")
    assert "VSTACK_HOME is '/etc/hosts'" in refused.err


def test_learnings_of_an_earlier_version_are_read_in(run: Run, home: Path, tmp_path: Path) -> None:
    line = json.dumps({"timestamp": "2026-01-02T03:04:05Z", "pattern": "lewin", "interventions_applied": ["x"]})
    (tmp_path / "old.jsonl").write_text(f"{line}\nrubbish\n", "utf-8")
    ran = run("vstack-learn import", str(tmp_path / "old.jsonl"), "--key", "alice")
    assert (ran.code, ran.out) == (0, "1 added, 0 updated, 0 known, 1 unreadable\n")
    assert "line 2: it is no JSON object" in ran.err
    again = run("vstack-learn import", str(tmp_path / "old.jsonl"), "--key", "alice", "--json").json
    assert (again["added"], again["known"], again["broken"]) == (0, 1, 1)
    assert len(run("vstack-learn recall --key alice --json").json) == 1
    # What lies in the home itself is found by its name.
    (home / "learnings.jsonl").write_text(f"{line}\n", "utf-8")
    assert run("vstack-learn import").out.startswith("1 added")


def test_the_paths_are_told(run: Run, home: Path) -> None:
    assert run("vstack-learn path").out == f"{home}/home.db\n"
    assert run("vstack-analytics path").out == f"{home}/telemetry.db\n"
    assert not home.exists()


# Analytics.


@pytest.fixture
def taken(home: Path) -> None:
    """Two days of telemetry."""
    now = time.time()
    calls = [
        TelemetryEvent(
            pattern=pattern, model=model, input_tokens=1_000, output_tokens=100, total_tokens=1_100, elapsed_ms=2_500.0,
            cost_usd=cost, timestamp=now - days * 86_400, scope=scope,
        )
        for pattern, model, cost, days, scope in (
            ("lewin", "m-1", 0.5, 0, "alice"), ("lewin", "m-2", 2.0, 1, ""), ("aar", "m-1", 1.0, 0, ""),
        )
    ]  # fmt: skip
    made = [
        TelemetryEvent(event_type=ANALYSIS, pattern="lewin", model="m-1", timestamp=now - n * 86_400) for n in (0, 0, 1)
    ]

    async def play() -> None:
        sink = SqliteTelemetry(home)
        for event in (*calls, *made):
            sink.record(event)
        await sink.aclose()

    anyio.run(play)


@pytest.mark.usefixtures("taken")
def test_costs_are_summed_up(run: Run) -> None:
    page = run("vstack-analytics summary --json").json
    assert [(row["pattern"], row["estimated_cost_usd"]) for row in page["rows"]] == [("lewin", 2.5), ("aar", 1.0)]
    assert page["total"]["calls"] == 3
    assert [row["model"] for row in run("vstack-analytics summary --by model --json").json["rows"]] == ["m-2", "m-1"]
    assert len(run("vstack-analytics summary --by day --json").json["rows"]) == 2
    assert run("vstack-analytics summary --key alice --json").json["total"]["calls"] == 1
    table = run("vstack-analytics summary").out
    assert "total" in table
    assert "·▄█" in table, "twice as many today as yesterday, and none before"
    assert run("vstack-analytics cost").out == "3.5000 USD, 3 calls, 3 analyses, 3,300 tokens\n"
    assert run("vstack-analytics cost --json").json["total_tokens"] == 3_300
    tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))
    assert run("vstack-analytics cost --json --since", tomorrow).json["calls"] == 0
    for line in ("summary --key nobody", f"summary --since {tomorrow}", "top-costs --key nobody"):
        assert run(f"vstack-analytics {line}").out.startswith("Nothing matches: there are events")


@pytest.mark.usefixtures("taken")
def test_the_dearest_come_first_and_events_one_a_line(run: Run) -> None:
    dearest = run("vstack-analytics top-costs -n 2 --json").json
    assert [(row["pattern"], row["model"]) for row in dearest] == [("lewin", "m-2"), ("aar", "m-1")]
    assert "2.0000" in run("vstack-analytics top-costs").out
    lines = run("vstack-analytics raw --limit 4").out.splitlines()
    assert len(lines) == 4
    assert {json.loads(line)["event_type"] for line in lines} == {"llm_call", "analysis"}


def test_an_empty_home_is_no_error(run: Run, home: Path) -> None:
    for line in ("summary", "top-costs", "cost", "raw"):
        assert run(f"vstack-analytics {line}").code == 0
    assert "Nothing was taken down yet" in run("vstack-analytics summary").out
    assert not home.exists()


@pytest.mark.parametrize(
    ("counts", "bars"), [([], ""), ([0, 0], "··"), ([1], "█"), ([0, 1, 8], "·▁█"), ([4, 8], "▄█"), ([1, 1_000], "▁█")]
)
def test_sparklines(counts: list[int], bars: str) -> None:
    assert sparkline(counts) == bars


# Baselines.


def test_a_detection_is_kept_and_compared(run: Run, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps({"pattern": "lewin", "mode": "quick", "detection": DETECTION}), "utf-8")
    assert run("vstack-api baseline record", str(answer), "--name", "march").out == "lewin march\n"
    assert run("vstack-api baseline list").out == "lewin march\n"
    assert run("vstack-api baseline list --json").json == [{"pattern": "lewin", "name": "march"}]
    assert run("vstack-api baseline list --key alice").out == ""
    worse = DETECTION | {"locus_scores": {"internal": 0.8, "environmental": 0.1}, "severity": "critical"}
    (tmp_path / "lewin.json").write_text(json.dumps(worse), "utf-8")
    compared = run("vstack-api baseline compare", str(tmp_path / "lewin.json"), "--name", "march", "--json").json
    assert (compared["locus_score_deltas"]["internal"], compared["drift_severity"]) == (0.3, "severe")
    told = run("vstack-api baseline compare", str(tmp_path / "lewin.json"), "--name", "march", "--fail-on", "moderate")
    assert told.code == 3
    assert "severity was low and is critical" in told.out
    assert "+0.3000" in told.out
    same = run("vstack-api baseline compare", str(answer), "--name", "march", "--fail-on", "minor")
    assert (same.code, same.out.splitlines()[0]) == (0, "drift: none")


@pytest.mark.parametrize(
    ("content", "words", "flags"),
    [
        ("[]", "it is no JSON object", ()),
        ('{"detail": {}}', "it holds no detection", ()),
        (json.dumps(DETECTION), "no pattern is named 'file'", ()),
        (json.dumps(DETECTION), "is no name of letters", ("--pattern", "lewin", "--name", "../x")),
    ],
)
def test_what_is_no_baseline_is_refused(
    run: Run, tmp_path: Path, content: str, words: str, flags: tuple[str, ...]
) -> None:
    (tmp_path / "file.json").write_text(content, "utf-8")
    ran = run("vstack-api baseline record", str(tmp_path / "file.json"), *flags)
    assert ran.code in (1, 2)
    assert words in ran.err


def test_a_baseline_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lewin.json").write_text(json.dumps(DETECTION), "utf-8")
    ran = run("vstack-api baseline compare", str(tmp_path / "lewin.json"), "--name", "april")
    assert ran.code == 1
    assert "lewin has no baseline 'april'" in ran.err


@pytest.mark.parametrize("line", ["vstack-learn recall", "vstack-learn record lewin", "vstack-analytics summary"])
def test_a_redis_that_is_away_is_told_with_what_mends_it(line: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        url = f"redis://127.0.0.1:{taken.getsockname()[1]}/0"
    monkeypatch.setenv("VSTACK_LEARNINGS", url)
    monkeypatch.setenv("VSTACK_TELEMETRY", url)
    told = run(line)
    assert (told.code, told.out) == (1, "")
    assert "start the Redis that VSTACK_LEARNINGS or VSTACK_TELEMETRY names" in told.err
    assert told.err.count("\n") == 1
