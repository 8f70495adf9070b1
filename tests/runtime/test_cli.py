"""The command line: what each command prints, where, and with which exit code."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

from benchmarks.workload import canonical_trace, span_trace
from tests.proto.last_word import PATTERN as WITHOUT_SEVERITY
from vstack_proto.auth import MIN_KEY_CHARS
from vstack_proto.severity import SEVERITIES
from vstack_runtime import cli
from vstack_runtime.cli_parts import console
from vstack_runtime.engine import installed_patterns

ROOT = Path(__file__).resolve().parents[2]

# A run that went wrong: the same tool call again and again, and an outcome that says so.
CANONICAL: dict[str, Any] = {
    "goal": "Find the population of Atlantis in 1990.",
    "steps": [
        {"agent": "planner", "type": "decision", "content": "Ask the census tool for Atlantis."},
        *({"agent": "worker", "type": "tool_call", "content": "census(city='Atlantis')", "tool": "census"},) * 4,
        {"agent": "worker", "type": "observation", "content": "Error: 404 no such city"},
        {"agent": "worker", "type": "message", "content": "The population was 12,345."},
    ],
    "outcome": "Wrong answer: the city does not exist.",
    "success": False,
}
NATIVE: dict[str, Any] = {
    "goal": CANONICAL["goal"],
    "steps": [
        {"timestamp": "2026-01-01T00:00:00Z", "type": "tool_call", "content": "census(city='Atlantis')"},
        {"timestamp": "2026-01-01T00:00:01Z", "type": "observation", "content": "Error: 404 no such city"},
    ],
    "outcome": CANONICAL["outcome"],
    "success": False,
}


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the program in this process, as its console script does."""

    def run(*words: str, stdin: object = None) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vstack-api", *words])
        given = stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as left:
            cli.main()
        code = left.value.code
        return Ran(code if isinstance(code, int) else 0, *capfd.readouterr())

    return run


@pytest.fixture
def trace(tmp_path: Path) -> str:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(CANONICAL), "utf-8")
    return str(path)


def is_one_line(text: str) -> bool:
    return text.endswith("\n") and text.count("\n") == 1 and text.startswith("vstack-api: ")


# The command line itself.


def test_without_a_command_help_is_shown_and_nothing_is_done(run: Run) -> None:
    code, out, err = run()
    assert code == 2
    assert "serve" in out + err


@pytest.mark.parametrize("command", ["serve", "keygen", "routes", "patterns", "openapi", "analyze", "version"])
def test_every_command_has_help(run: Run, command: str) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: vstack-api {command}")
    assert command in run("--help").out


@pytest.mark.parametrize(
    "words",
    [
        ("nope",),
        ("--nope",),
        ("analyze",),
        ("analyze", "aar"),
        ("analyze", "aar", "-", "--mode", "turbo"),
        ("analyze", "aar", "-", "--fail-on", "none"),
        ("serve", "--port", "65536"),
        ("serve", "--port", "http"),
        ("serve", "--runtime", "uvicorn"),
        ("serve", "--workers", "0"),
        ("serve", "--log-level", "loud"),
        ("keygen", "extra"),
    ],
)
def test_a_wrong_command_line_exits_with_2(run: Run, words: tuple[str, ...]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert "Value error" not in err
    assert err


HEAVY = (
    "anthropic",
    "anyio",
    "httpx",
    "hypercorn",
    "prometheus_client",
    "rich",
    "structlog",
    "trio",
    "vstack_proto.patterns",
)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--help"], ["keygen"], ["version"]])
def test_what_needs_little_loads_little(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from vstack_runtime.cli import main\n"
        "try: main()\n"
        f"finally: print('loaded', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.splitlines()[-1] == "loaded []"


# Small commands.


def test_version(run: Run) -> None:
    code, out, err = run("version")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", out)


def test_a_key_comes_alone_on_stdout_and_is_accepted_as_it_is(run: Run) -> None:
    from vstack_runtime.settings import Settings

    keys = set()
    for _ in range(5):
        code, out, err = run("keygen")
        key = out.removesuffix("\n")
        assert code == 0
        assert re.fullmatch(r"[A-Za-z0-9_-]{40,}", key)
        assert len(key) >= MIN_KEY_CHARS
        assert f"VSTACK_API_KEYS=alice={key}" in err
        assert f"Authorization: Bearer {key}" in err
        settings = Settings.from_env({"VSTACK_API_KEYS": f"alice={key}"})
        assert (len(settings.keys), settings.require_auth, settings.warnings) == (1, True, ())
        keys.add(key)
    assert len(keys) == 5


def test_routes_as_a_table_and_as_json(run: Run) -> None:
    told = run("routes")
    listed = json.loads(run("routes", "--json").out)
    assert told.code == 0
    assert {"method": "POST", "path": "/v1/analyze/{name}", "public": False} in [
        {name: value for name, value in row.items() if name != "summary"} for row in listed
    ]
    for row in listed:
        assert re.search(
            rf"^ *{row['method']} +{re.escape(row['path'])} +{'no' if row['public'] else 'yes'} ",
            told.out,
            re.MULTILINE,
        )


def test_patterns_as_a_table_and_as_json(run: Run) -> None:
    told = run("patterns")
    listed = json.loads(run("patterns", "--json").out)
    assert [row["name"] for row in listed] == list(cli._service().catalogue.patterns)
    for row in listed:
        assert re.search(rf"^ *{row['name']} +{re.escape(row['friendly'])} +\S", told.out, re.MULTILINE)
    assert all(row["summary"] in " ".join(told.out.split()) for row in listed if len(row["summary"]) < 40)


def test_who_misses_a_pattern_is_told_where_they_are_listed(run: Run) -> None:
    err = run("analyze", "zzz", "-", "--model", "offline", stdin=CANONICAL).err
    assert err == "vstack-api: no pattern is named 'zzz'; vstack-api patterns lists them\n"
    assert "did you mean aar?" in run("analyze", "arr", "-", "--model", "offline", stdin=CANONICAL).err


def test_openapi_prints_the_document(run: Run) -> None:
    code, out, err = run("openapi")
    document = json.loads(out)
    assert (code, err, document["openapi"][:3]) == (0, "", "3.1")
    assert {"/livez", "/v1/patterns", "/v1/analyze/aar"} <= document["paths"].keys()


# One trace, no server.


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSTACK_LLM", "offline")


@pytest.mark.usefixtures("offline")
def test_a_detection_for_people(run: Run, trace: str) -> None:
    code, out, err = run("analyze", "aar", trace)
    assert (code, err) == (0, "")
    answer = json.loads(run("analyze", "aar", trace, "--json").out)
    found = answer["detection"]
    told = " ".join(out.split())
    for wanted in (
        f"severity {found['severity']}",
        f"profile {found['profile_pattern']}",
        "mode standard, offline",
        *(item["claim"] for item in found["evidence"]),
        *(step["description"] for step in found["next_steps"]),
        *(step["suggested_implementation"] for step in found["next_steps"]),
    ):
        assert " ".join(wanted.split()) in told
    first = found["evidence"][0]
    assert re.search(rf"^ {', '.join(map(str, first['steps']))} +{re.escape(first['claim'][:20])}", out, re.MULTILINE)


@pytest.mark.usefixtures("offline")
def test_the_answer_as_json_is_what_the_service_says(run: Run, trace: str) -> None:
    code, out, err = run("analyze", "aar", trace, "--json", "--mode", "quick", "--model", "offline")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert [answer[name] for name in ("pattern", "mode", "model", "cached")] == ["aar", "quick", "offline", False]
    assert answer["detection"]["generator_model"] == "offline"


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("stdin", "words", "mode"),
    [
        (CANONICAL, (), "standard"),
        (CANONICAL, ("--canonical",), "standard"),
        (NATIVE, (), "standard"),
        (NATIVE, ("--native",), "standard"),
        ({"trace": CANONICAL}, (), "standard"),
        ({"trace": NATIVE, "mode": "quick"}, (), "quick"),
        ({"trace": CANONICAL, "mode": "quick", "format": "canonical"}, ("--mode", "forensic"), "forensic"),
        ({**CANONICAL, "mode": "quick"}, (), "quick"),
        # Not every step of a run is somebody's.
        (
            {**CANONICAL, "steps": [*CANONICAL["steps"], {"agent": "", "type": "system", "content": "end"}]},
            (),
            "standard",
        ),
    ],
)
def test_a_trace_is_taken_as_it_comes(run: Run, stdin: object, words: tuple[str, ...], mode: str) -> None:
    code, out, err = run("analyze", "aar", "-", "--json", *words, stdin=stdin)
    assert (code, err) == (0, "")
    assert json.loads(out)["mode"] == mode


@pytest.mark.usefixtures("offline")
def test_what_a_file_says_in_vain_is_told(run: Run) -> None:
    # A line of a collection of labelled runs.
    code, out, err = run("analyze", "aar", "-", "--json", stdin={"id": "7", "trace": CANONICAL, "bassline": "may"})
    assert (code, json.loads(out)["pattern"]) == (0, "aar")
    assert [line.partition(";")[0] for line in err.splitlines()] == [
        f"vstack-api: warning: unknown field '{name}' was ignored" for name in ("id", "bassline")
    ]
    assert "did you mean 'baseline'?" in err


@pytest.mark.usefixtures("offline")
def test_a_file_may_name_a_baseline(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSTACK_HOME", str(tmp_path / "home"))
    before = tmp_path / "before.json"
    before.write_text(run("analyze", "aar", "-", "--json", stdin=CANONICAL).out, "utf-8")
    assert run("baseline", "record", str(before), "--name", "may").code == 0
    for asked in ({"trace": CANONICAL, "baseline": "may"}, {**CANONICAL, "baseline": "may"}):
        code, out, err = run("analyze", "aar", "-", "--json", stdin=asked)
        assert (code, err) == (0, "")
        compared = json.loads(out)["detection"]["baseline"]
        assert (compared["historical_baseline_id"], compared["drift_severity"]) == ("may", "none")
    code, out, err = run("analyze", "aar", "-", stdin={"trace": CANONICAL, "baseline": "june"})
    assert (code, out) == (1, "")
    assert "names no baseline of aar: 'june'" in err
    assert "--native" not in err


COMMON, OWN = "read as the common trace; --native", "read as the pattern's own trace; --canonical"
NAMELESS = [*CANONICAL["steps"][:1], {"type": "message", "content": "whose?"}]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("trace", "words", "told"),
    [
        ({**CANONICAL, "steps": NAMELESS}, (), ["/steps/1/agent is missing", COMMON]),
        ({**CANONICAL, "steps": []}, (), ["/steps", COMMON]),
        ({"goal": "g", "steps": [], "agent_id": "a"}, (), ["/outcome is missing", OWN]),
        ({"goal": "g", "steps": NATIVE["steps"]}, (), ["/outcome is missing", OWN]),
        ({"goal": "g"}, (), ["/steps is missing", OWN]),
        ({**CANONICAL, "steps": NAMELESS}, ("--canonical",), ["/steps/1/agent is missing"]),
        ({"trace": {**CANONICAL, "steps": NAMELESS}, "format": "native"}, (), ["/steps/0/timestamp", OWN]),
        ({"trace": CANONICAL, "format": "common"}, (), ["'common'"]),
        ({"trace": CANONICAL, "format": 5}, (), ["/format"]),
    ],
)
def test_how_a_trace_was_read_is_told_where_it_cannot_be(
    run: Run, trace: object, words: tuple[str, ...], told: list[str]
) -> None:
    code, out, err = run("analyze", "aar", "-", *words, stdin=trace)
    assert (code, out) == (1, "")
    for text in told:
        assert text in err
    assert {text for text in (COMMON, OWN) if text in err} <= set(told)


@pytest.mark.usefixtures("offline")
def test_the_severity_decides_the_exit_code(run: Run, trace: str) -> None:
    scale = SEVERITIES
    assert scale[1:] == get_args(cli.FailOn)
    found = json.loads(run("analyze", "aar", trace, "--json").out)["detection"]["severity"]
    assert found not in ("none", "trace", "critical"), "the trace above shows neither end of the scale"
    codes = {name: run("analyze", "aar", trace, "--fail-on", name).code for name in scale[1:]}
    assert codes == {name: 3 if scale.index(name) <= scale.index(found) else 0 for name in scale[1:]}


# Of a detection that grades its parts alone, the worst counts.
PARTS = {"lewin": "loci", "goleman_ei": "domains"}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("pattern", installed_patterns(), ids=lambda pattern: pattern.name)
def test_the_gate_closes_for_every_pattern(run: Run, pattern: Any) -> None:
    # The one that looks at crews wants a crew.
    trace = span_trace(16, 40) if pattern.name == "span_of_control" else canonical_trace(12, 40)
    found = json.loads(run("analyze", pattern.name, "-", "--json", stdin=trace).out)["detection"]
    parts = found[PARTS[pattern.name]] if pattern.name in PARTS else [found]
    worst = max((part["severity"] for part in parts), key=SEVERITIES.index)
    closed = run("analyze", pattern.name, "-", "--fail-on", "trace", stdin=trace)
    assert closed.code == (0 if worst == "none" else 3)
    assert re.search(rf"^ severity +{worst} *$", closed.out, re.MULTILINE)


@pytest.mark.usefixtures("offline")
def test_a_gate_that_could_never_close_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vstack_runtime.engine.installed_patterns", lambda: (WITHOUT_SEVERITY,))
    code, out, err = run("analyze", WITHOUT_SEVERITY.name, "-", "--fail-on", "high", stdin=CANONICAL)
    assert (code, out) == (2, "")
    assert is_one_line(err)
    assert "tell no severity" in err


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("pattern", "words", "stdin", "code", "told"),
    [
        ("arr", (), CANONICAL, 2, "aar"),
        ("a/../b", (), CANONICAL, 2, "nothing at"),
        ("aar", (), {"trace": CANONICAL, "mode": "turbo"}, 2, "'turbo'"),
        ("aar", (), b"{", 1, "stdin is not JSON"),
        ("aar", (), b"\xff\xfe", 1, "stdin is not JSON"),
        ("aar", (), b"", 1, "stdin is not JSON"),
        ("aar", (), [CANONICAL], 1, "no JSON object"),
        ("aar", ("--native",), CANONICAL, 1, "/steps/0/timestamp"),
        ("aar", (), {"goal": 5}, 1, "/goal"),
        ("span_of_control", (), CANONICAL, 1, "reports_to"),
    ],
)
def test_what_fails_is_told_in_one_line(
    run: Run, pattern: str, words: tuple[str, ...], stdin: object, code: int, told: str
) -> None:
    ran = run("analyze", pattern, "-", *words, stdin=stdin)
    assert (ran.code, ran.out) == (code, "")
    assert is_one_line(ran.err)
    assert told in ran.err


@pytest.mark.usefixtures("offline")
def test_every_fault_of_a_trace_is_named(run: Run) -> None:
    err = run("analyze", "aar", "-", "--native", stdin=CANONICAL).err
    assert [step for step in range(7) if f"/steps/{step}/timestamp" in err] == list(range(7))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("name", "told"), [("absent.json", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_a_wrong_command_line(run: Run, tmp_path: Path, name: str, told: str) -> None:
    code, out, err = run("analyze", "aar", str(tmp_path / name))
    assert (code, out) == (2, "")
    assert is_one_line(err)
    assert told in err


def test_without_a_provider_the_way_out_is_named(run: Run, trace: str) -> None:
    code, out, err = run("analyze", "aar", trace)
    assert (code, out) == (1, "")
    assert is_one_line(err)
    assert "ANTHROPIC_API_KEY" in err
    assert "VSTACK_LLM=offline" in err


@pytest.mark.usefixtures("offline")
def test_a_malformed_setting_is_one_line(run: Run, trace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSTACK_CACHE_CAPACITY", "many")
    for words in (("analyze", "aar", trace), ("serve",)):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        assert is_one_line(err)
        assert "VSTACK_CACHE_CAPACITY is 'many'" in err


@pytest.mark.usefixtures("offline")
def test_a_trace_cannot_write_to_the_terminal(run: Run) -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07 [red]error[/red] :bomb: \u202edrawkcab\r\n" * 2
    steps = [{"agent": f"a{hostile}", "type": "tool_call", "content": f"Error: {hostile}", "tool": "t"}] * 5
    told = {**CANONICAL, "steps": steps, "outcome": f"failed {hostile}", "goal": hostile}
    code, out, _ = run("analyze", "aar", "-", stdin=told)
    assert code == 0
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out) is None
    shown = run("analyze", "[/bold]", "-", stdin=told)
    assert (shown.code, is_one_line(shown.err)) == (2, True)


EVIDENCE = [{"claim": f"claim {n}", "steps": [n, n + 1], "quote": "q" * 1000} for n in range(25)]
CHANGES = [
    {"description": "[bold]do[/bold] this", "suggested_implementation": "", "estimated_impact": "high"},
]


@pytest.mark.parametrize(
    ("detection", "shown", "hidden"),
    [
        ({"evidence": EVIDENCE}, ["9, 10", "claim 9", "and 15 more; --json shows them", "…"], ["claim 10"]),
        ({"evidence": []}, ["No evidence."], ["What to change"]),
        ({"interventions": CHANGES}, ["What to change", "high", "[bold]do[/bold] this"], []),
        ({"severity": "high"}, ["severity high"], []),
        ({"llm_calls": 2, "tokens_total": 1540, "cost_usd": 0.0123}, ["model calls 2, 1540 tokens, 0.0123 USD"], []),
    ],
)
def test_a_detection_of_any_pattern_is_shown(
    capsys: pytest.CaptureFixture[str], detection: dict[str, Any], shown: list[str], hidden: list[str]
) -> None:
    found = {"confidence": 0.5, "evidence": [], "llm_calls": 0, **detection}
    answer = {"pattern": "mine", "mode": "quick", "model": "m", "detection": found, "warnings": ["look \x1b here"]}
    cli._print_answer(answer, console())
    told = " ".join(capsys.readouterr().out.split())
    assert "warning: look here" in told
    for text in shown:
        assert text in told
    for text in hidden:
        assert text not in told


# Serving.


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["hypercorn", "asyncio", "trio"])
def test_serve_answers_until_sigterm(runtime: str) -> None:
    environment = {**os.environ, "VSTACK_LLM": "offline", "VSTACK_DRAIN_DELAY": "0", "VSTACK_API_PORT": "1"}
    # The flag wins over the variable; 0 takes a free port, which the log names.
    command = [sys.executable, "-m", "vstack_runtime.cli", "serve", "--port", "0", "--runtime", runtime]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            told = [json.loads(server.stderr.readline())]
            while told[-1]["event"] != "listening":
                told.append(json.loads(server.stderr.readline()))
            connection = http.client.HTTPConnection("127.0.0.1", told[-1]["port"], timeout=30)
            connection.request("GET", "/livez")
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["status"]) == (200, "ok")
            connection.close()
            server.send_signal(signal.SIGTERM)
            rest = server.communicate(timeout=60)[1]
        finally:
            server.kill()
    assert server.returncode == 0
    assert [json.loads(line) for line in rest.splitlines()]


# Whatever else happens.


def test_a_bug_is_one_line_and_a_traceback_only_for_who_asks(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Any:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr(cli, "_service", broken)
    code, out, err = run("routes")
    assert (code, out) == (1, "")
    assert err == "vstack-api: ZeroDivisionError: by zero (VSTACK_LOG_LEVEL=debug shows where)\n"
    monkeypatch.setenv("VSTACK_LOG_LEVEL", "debug")
    with pytest.raises(ZeroDivisionError):
        cli.main()
