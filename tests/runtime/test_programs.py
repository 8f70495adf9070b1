"""What all programs have in common: help, completion, complaints, pipes, and what rubbish they bear."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main

from tests.e2e.serving import canonical_trace

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
# Where the commands of each are defined; vstack-mcp looks at its arguments before it loads them.
MODULES = {name: entry.partition(":")[0] for name, entry in SCRIPTS.items()} | {"vstack-mcp": "vstack_mcp.cli_commands"}
ESCAPE = "\x1b"


def tree(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command with all below it, each with the words that reach it."""
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from tree((*words, name), below)


def top(program: str) -> Any:
    return typer.main.get_command(importlib.import_module(MODULES[program]).app)


COMMANDS = {words: command for name in SCRIPTS for words, command in tree((name,), top(name))}
LEAVES = {words: command for words, command in COMMANDS.items() if not hasattr(command, "commands")}
EXAMPLES = [
    (words[0], line.strip())
    for words, command in COMMANDS.items()
    for line in (command.epilog or "").splitlines()
    if line.startswith("  ")
]


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a program in this process, as its console script does."""

    def run(program: str, *words: str) -> Ran:
        monkeypatch.setattr(sys, "argv", [program, *words])
        with pytest.raises(SystemExit) as left:
            importlib.import_module(MODULES[program]).main()
        return Ran(left.value.code if isinstance(left.value.code, int) else 0, *capfd.readouterr())

    return run


def script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def started(program: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the console script itself, in a bare environment."""
    told = {"PATH": os.environ["PATH"], **env}
    return subprocess.run([script(program), *words], env=told, capture_output=True, text=True, timeout=60, check=False)


# Help.


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_to_learn_from(run: Run, words: tuple[str, ...]) -> None:
    code, out, err = run(*words, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: {' '.join(words)}")
    assert ESCAPE not in out
    command = COMMANDS[words]
    assert command.help, "it says what it does"
    undescribed = [one.name for one in command.params if one.name != "help" and not getattr(one, "help", None)]
    assert not undescribed


@pytest.mark.parametrize("program", SCRIPTS)
def test_every_program_shows_examples(program: str) -> None:
    assert any(program == name for name, _ in EXAMPLES)


@pytest.mark.parametrize(("program", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_the_examples_are_command_lines_that_are_taken(program: str, line: str) -> None:
    # Of a pipe the part that is ours; $(...) stands for one word, and > for what is the shell's business.
    part = next(part for part in re.sub(r"\$\([^)]*\)", "x", line).split(" | ") if program in part or "=x" in part)
    words = shlex.split(part.partition(" > ")[0])
    if program not in words:
        return  # the program stood inside of $(...)
    words, command, above = words[words.index(program) + 1 :], top(program), None
    if words == ["--help"] or words[-1:] == ["--help"]:
        words = words[:-1]
    while True:
        context = command.make_context(command.name or program, list(words), parent=above)
        rest = [*context._protected_args, *context.args] if hasattr(context, "_protected_args") else context.args
        if not hasattr(command, "commands") or not rest:
            return
        _, command, words = command.resolve_command(context, rest)
        above = context


# Wrong command lines.


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_wrong_command_line_is_told_in_a_line(run: Run, words: tuple[str, ...]) -> None:
    code, out, err = run(*words, "--no-such-option")
    assert (code, out) == (2, "")
    assert err.startswith(f"{words[0]}: ")
    assert err.count("\n") == 1
    assert "--help shows what there is" in err


@pytest.mark.parametrize("program", SCRIPTS)
def test_a_word_too_many_is_told_in_a_line(run: Run, program: str) -> None:
    code, out, err = run(program, "no-such-word")
    assert (code, out, err.count("\n")) == (2, "", 1)


# Those whose output is a session, or that have nothing to say.
WITHOUT_JSON = {("vstack-api", "serve"), ("vstack-mcp", "serve")}


@pytest.mark.parametrize("words", sorted(LEAVES.keys() - WITHOUT_JSON), ids=" ".join)
def test_every_command_can_answer_a_program(words: tuple[str, ...]) -> None:
    assert any("--json" in one.opts for one in LEAVES[words].params)


ANSWERED = [
    ("vstack-api", "version"),
    ("vstack-api", "keygen"),
    ("vstack-api", "routes"),
    ("vstack-api", "patterns"),
    ("vstack-api", "openapi"),
    ("vstack-api", "baseline", "list"),
    ("vstack-mcp", "version"),
    ("vstack-mcp", "list-tools"),
    ("vstack-mcp", "list-resources"),
    ("vstack-mcp", "config-snippet", "cursor"),
    ("vstack-learn", "path"),
    ("vstack-learn", "recall"),
    ("vstack-learn", "outcomes"),
    ("vstack-learn", "clear", "--yes"),
    ("vstack-analytics", "path"),
    ("vstack-analytics", "summary"),
    ("vstack-analytics", "top-costs"),
    ("vstack-analytics", "cost"),
    ("vstack-api", "analyze", "aar", "TRACE", "--model", "offline"),
    ("vstack-replay", "record", "aar", "TRACE", "-o", "TAPE"),
    ("vstack-replay", "show", "TAPE"),
    ("vstack-replay", "run", "TAPE"),
    ("vstack-replay", "accept", "TAPE"),
    ("vstack-doctor", "--only", "python"),
]


@pytest.mark.parametrize("program", SCRIPTS)
def test_every_program_tells_its_version(run: Run, program: str) -> None:
    assert run(program, "--version") == (0, f"{importlib.metadata.version('vstack')}\n", "")
    assert "--version" in run(program, "--help").out


SETTLED = [
    ("vstack-api", "analyze", "aar", "TRACE", "--model", "offline"),
    ("vstack-api", "baseline", "list"),
    ("vstack-learn", "recall"),
    ("vstack-learn", "path"),
    ("vstack-learn", "record", "aar"),
    ("vstack-analytics", "summary"),
    ("vstack-analytics", "path"),
    ("vstack-replay", "record", "aar", "TRACE", "-o", "TAPE"),
]


@pytest.mark.parametrize("words", SETTLED, ids=" ".join)
def test_a_variable_that_nobody_reads_is_told_once(
    run: Run, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSTACK_MODLE", "x")
    files = {"TRACE": str(tmp_path / "trace.json"), "TAPE": str(tmp_path / "one.tape.jsonl")}
    Path(files["TRACE"]).write_text(json.dumps(canonical_trace()), "utf-8")
    for _ in range(2):
        code, _, err = run(*(files.get(word, word) for word in words))
        told = "warning: VSTACK_MODLE was ignored: there is no such setting; did you mean VSTACK_MODEL?"
        assert (code, err) == (0, f"{words[0]}: {told}\n")


@pytest.mark.parametrize("words", ANSWERED, ids=" ".join)
def test_what_a_program_is_answered_is_json_and_nothing_else(run: Run, words: tuple[str, ...], tmp_path: Path) -> None:
    files = {"TRACE": str(tmp_path / "trace.json"), "TAPE": str(tmp_path / "one.tape.jsonl")}
    Path(files["TRACE"]).write_text(json.dumps(canonical_trace()), "utf-8")
    if "TAPE" in words:
        run("vstack-replay", "record", "aar", files["TRACE"], "-o", files["TAPE"])
    code, out, err = run(*(files.get(word, word) for word in words), "--json")
    assert (code, err) == (0, "")
    json.loads(out)


# Rubbish.

TAKE_A_FILE = [
    ("vstack-api", "analyze", "aar", "FILE"),
    ("vstack-api", "analyze", "no_such_pattern", "FILE"),
    ("vstack-api", "baseline", "record", "FILE"),
    ("vstack-api", "baseline", "compare", "FILE", "--name", "x"),
    ("vstack-replay", "run", "FILE"),
    ("vstack-replay", "show", "FILE"),
    ("vstack-replay", "accept", "FILE"),
    ("vstack-replay", "record", "aar", "FILE", "-o", "/dev/null"),
    ("vstack-learn", "import", "FILE"),
    ("vstack-doctor", "--only", "python", "--deployment", "FILE"),
]
# An import says of each line that it cannot read it, and goes on; a doctor finds that out.
GOES_ON = ("vstack-learn", "vstack-doctor")


@pytest.fixture
def rubbish(tmp_path: Path) -> dict[str, Path]:
    files = {
        "empty": b"",
        "binary": bytes(range(256)) * 8,
        "bad": b'{"goal": ',
        "other": b"[1, 2]",
        "deep": b"[" * 9000,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder").mkdir()
    return {name: tmp_path / name for name in (*files, "folder", "missing", "folder/missing", "bad/below-a-file")}


@pytest.mark.parametrize("words", TAKE_A_FILE, ids=" ".join)
def test_what_is_no_file_or_no_good_one_is_told_in_a_line_or_two(
    run: Run, words: tuple[str, ...], rubbish: dict[str, Path]
) -> None:
    for name, path in rubbish.items():
        code, out, err = run(*(str(path) if word == "FILE" else word for word in words))
        told = f"{name}: {code} {out!r} {err!r}"
        assert "Traceback" not in out + err, told
        assert ESCAPE not in out + err, told
        assert "VSTACK_LOG_LEVEL=debug" not in err, f"it is no bug of ours: {told}"
        if words[0] in GOES_ON and path.is_file():
            assert code in (0, 1, 2), told
            continue
        assert code in (1, 2), told
        assert 1 <= err.count("\n") <= 2, told
        assert err.startswith(f"{words[0]}: "), told
        assert out == "", told


NEEDS_A_HOME = [
    ("vstack-learn", "recall"),
    ("vstack-learn", "record", "aar"),
    ("vstack-analytics", "summary"),
    ("vstack-api", "baseline", "list"),
]


@pytest.mark.slow
@pytest.mark.parametrize("words", NEEDS_A_HOME, ids=" ".join)
def test_a_home_that_cannot_be_is_told_in_a_line(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in ("/proc/vstack", str(tmp_path / "file")):
        done = started(*words, VSTACK_HOME=home)
        assert done.returncode in (0, 1), done
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") <= 1, done
        assert "debug" not in done.stderr, done


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("vstack-api", "version"), ("vstack-learn", "path"), ("vstack-doctor", "--only", "python")], ids=" ".join
)
def test_without_a_home_directory_nothing_breaks(words: tuple[str, ...]) -> None:
    done = started(*words, HOME="")
    assert done.returncode in (0, 1), done
    assert "Traceback" not in done.stderr


# Pipes, and terminals.

TALKS = [
    ("vstack-api", "openapi"),
    ("vstack-api", "routes"),
    ("vstack-mcp", "list-tools"),
    ("vstack-doctor", "--skip-network"),
    ("vstack-replay", "show", "tests/tapes/version-1.jsonl"),
    ("vstack-learn", "--help"),
    ("vstack-analytics", "summary"),
]


@pytest.mark.slow
@pytest.mark.parametrize("words", TALKS, ids=" ".join)
def test_a_reader_who_leaves_is_no_reason_to_complain(words: tuple[str, ...], tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    env = {"PATH": os.environ["PATH"], "VSTACK_HOME": str(tmp_path)}
    argv = [script(words[0]), *words[1:]]
    with os.fdopen(writes, "wb") as out:
        done = subprocess.run(
            argv, env=env, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, cwd=ROOT, check=False
        )
    assert done.stderr == ""
    assert done.returncode in (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("terminal", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["a terminal", "a terminal with NO_COLOR", "a terminal without colours"],
)
def test_colours_are_for_terminals_that_want_them(terminal: dict[str, str], coloured: bool) -> None:
    """``script`` gives the program a terminal of its own."""
    env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", **terminal}
    line = f"{script('vstack-doctor')} --only python"
    done = subprocess.run(
        ["script", "-qec", line, "/dev/null"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (f"{ESCAPE}[32m" in done.stdout) is coloured
    assert ESCAPE not in started("vstack-doctor", "--only", "python", TERM="xterm-256color").stdout


# Completion.

COMPLETED = [
    ("vstack-api", "an", "analyze"),
    ("vstack-api", "analyze --mo", "--mode"),
    ("vstack-api", "serve --runtime tr", "trio"),
    ("vstack-mcp", "config-snippet cla", "claude-desktop"),
    ("vstack-doctor", "--skip", "--skip-network"),
    ("vstack-learn", "outcome aar im", "improved"),
    ("vstack-analytics", "summary --by da", "day"),
    ("vstack-replay", "sh", "show"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("program", "typed", "word"), COMPLETED, ids=[f"{one} {two}" for one, two, _ in COMPLETED])
def test_shells_complete_what_is_typed(program: str, typed: str, word: str) -> None:
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    words = f"{program} {typed}"
    done = started(
        program, **{variable: "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    )
    assert word in done.stdout.split(), done


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_is_to_load_is_shown(shell: str) -> None:
    for program in SCRIPTS:
        done = started(program, "--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
        assert done.returncode == 0, done
        assert program in done.stdout
