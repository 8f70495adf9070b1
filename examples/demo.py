"""Starts the real server, sends it a trace, shows the diagnosis, and stops the server.

    python examples/demo.py [--ask[=PROVIDER]] [TRACE]

TRACE is a canonical trace as a JSON file; without one, a failed run that is shipped in ``examples/traces``. No key, no
model and no network are needed: the server is started with ``VSTACK_LLM=offline``. With ``--ask``, the model service is
asked that the environment has a key for; ``--ask=anthropic``, ``openai`` or ``ollama`` says which, and so do
``make demo ANTHROPIC_API_KEY=...``, ``OPENAI_API_KEY=...`` and ``OLLAMA_HOST=...``.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

import httpx
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

HERE = Path(__file__).resolve().parent
DEFAULT = HERE / "traces" / "failed_refund_report.json"
NAMES = {"aar": "After-action review", "social_loafing": "Social loafing"}
START_SECONDS, STOP_SECONDS = 30.0, 10.0
# As what VSTACK_LLM calls them.
OFFLINE = "offline"
ENGINES = {"--ask": "auto", **{f"--ask={name}": name for name in ("anthropic", "openai", "ollama")}}
SHOWN = 4

# A trace is somebody else's text: what moves a terminal's cursor or turns its direction is left out.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")

console = Console(highlight=False, markup=False, emoji=False)


def main(arguments: list[str]) -> int:
    """Run the demo; the exit code is 0 where a diagnosis was shown and the server ended well."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that has no quotation marks still gets the rest
    engine = ENGINES.get(arguments[0], OFFLINE) if arguments else OFFLINE
    arguments = arguments[engine != OFFLINE :]
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        fail("usage: python examples/demo.py [--ask[=anthropic|openai|ollama]] [TRACE]", 2)
    path = Path(arguments[0]) if arguments else DEFAULT
    trace = read_trace(path)
    with tempfile.TemporaryFile() as log, running_server(log, engine) as (server, port):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=150.0, trust_env=False) as client:
            wait_until_ready(client)
            answers = {pattern: ask(client, pattern, trace) for pattern in NAMES}
        code = stop(server)
    if answers["aar"][0] != 200:
        fail(f"the server refuses {path}: {told(answers['aar'][1])}")
    show_run(path, trace)
    for pattern, (status, answer, milliseconds) in answers.items():
        show(pattern, status, answer, milliseconds, trace)
    show_end(path, code, port, engine)
    return 0 if code == 0 else 1


def fail(message: str, code: int = 1) -> NoReturn:
    """Say in one line what went wrong, and end."""
    print(f"demo: {plain(message)}", file=sys.stderr)
    sys.exit(code)


def read_trace(path: Path) -> dict[str, Any]:
    """The trace of a file; whether it is a good one is the server's to say."""
    try:
        trace = json.loads(path.read_bytes())
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        fail(f"{path} is not JSON: {error}")
    if not isinstance(trace, dict):
        fail(f"{path} holds no JSON object; a trace is one")
    return trace


# The server.


@contextmanager
def running_server(log: IO[bytes], engine: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """``vstack-api serve`` as a process of its own, on a free port, and the port."""
    program = Path(sys.executable).with_name("vstack-api")
    # No setting of the person who looks at this reaches the server, and a key in the environment is no wish to pay.
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("VSTACK_", "SENTRY_", "OTEL_"))}
    bare |= {"VSTACK_LLM": engine, "VSTACK_DRAIN_DELAY": "0"}
    # What is shown here is nothing to remember.
    bare |= {"VSTACK_LEARNINGS": "off", "VSTACK_TELEMETRY": "off"}
    try:
        server = subprocess.Popen([program, "serve", "--port", "0"], env=bare, stdout=log, stderr=log)
    except OSError as error:
        fail(f"{program} cannot be started ({error.strerror}); `make demo` installs it first")
    try:
        yield server, port_of(server, log)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def stop(server: subprocess.Popen[bytes]) -> int:
    """Send SIGTERM; the exit code that follows."""
    server.terminate()
    try:
        return server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        fail(f"the server did not end within {STOP_SECONDS:g} s of SIGTERM")


def port_of(server: subprocess.Popen[bytes], log: IO[bytes]) -> int:
    """The port that the server says it listens at."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        running = server.poll() is None
        # Not by seek and read: the server writes at the same place of the same open file.
        lines = os.pread(log.fileno(), 1 << 20, 0).decode(errors="replace").splitlines()
        for line in lines:
            event = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if event.get("event") == "listening":
                return int(event["port"])
        if not running:
            fail(f"the server ended with exit code {server.returncode}: {lines[-1] if lines else 'it said nothing'}")
        time.sleep(0.02)
    fail(f"the server did not listen within {START_SECONDS:g} s")


def wait_until_ready(client: httpx.Client) -> None:
    """Ask ``/readyz`` until it says yes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    fail(f"the server was not ready within {START_SECONDS:g} s")


def ask(client: httpx.Client, pattern: str, trace: dict[str, Any]) -> tuple[int, dict[str, Any], float]:
    """One analysis: the status, the answer, and how long it took in milliseconds."""
    began = time.perf_counter()
    try:
        answer = client.post(f"/v1/analyze/{pattern}", json={"format": "canonical", "trace": trace})
    except (httpx.TransportError, ValueError) as error:
        fail(f"the trace could not be sent: {error}")
    return answer.status_code, answer.json(), 1000 * (time.perf_counter() - began)


def told(answer: dict[str, Any]) -> str:
    """What an error says."""
    return str(answer["detail"]["message"])


# What is shown.


def plain(text: object) -> str:
    """A text without what a terminal would obey."""
    return _CONTROL.sub(" ", str(text)).strip()


def show_run(path: Path, trace: dict[str, Any]) -> None:
    """What was diagnosed."""
    agents = list(dict.fromkeys(step["agent"] for step in trace["steps"]))
    table = Table.grid(padding=(0, 2))
    table.add_row("trace", plain(f"{path.name}: {len(trace['steps'])} steps by {', '.join(agents[:8])}"))
    table.add_row("goal", plain(trace["goal"]))
    ended = {True: "succeeded: ", False: "failed: ", None: ""}[trace.get("success")]
    table.add_row("outcome", plain(ended + trace["outcome"]))
    console.print(table)


def show(pattern: str, status: int, answer: dict[str, Any], milliseconds: float, trace: dict[str, Any]) -> None:
    """One detection: how bad, what proves it, why, what to do."""
    console.print()
    if status != 200:
        console.print(Rule(Text(f"{NAMES[pattern]}: not of this trace"), align="left", style="dim"))
        console.print(Padding(plain(told(answer)), (0, 2)))
        return
    found = answer["detection"]
    console.print(Rule(Text(f"{NAMES[pattern]}: severity {found['severity']}", "bold"), align="left", style="dim"))
    console.print(
        f"  {found['profile_pattern']}, confidence {found['confidence']:.2f}, by the {answer['model']} engine"
        f" in {milliseconds:.0f} ms"
    )
    if pattern == "social_loafing":
        show_shares(found)
    show_evidence(found, trace)
    causes = list(dict.fromkeys(lesson["root_cause"] for lesson in found.get("lessons", ())))
    show_list("Why it mattered", causes[:1])
    changes = found.get("next_steps") or found.get("interventions") or ()
    show_list("What to do next", [f"{one['description']} {one['suggested_implementation']}" for one in changes])


def show_shares(found: dict[str, Any]) -> None:
    """Who brought how much of the team's new content."""
    table = Table.grid(padding=(0, 2))
    for row in found["agent_contributions"]:
        share = row["contribution_share"]
        table.add_row(plain(row["agent_name"]), f"{share:4.0%}", "█" * round(30 * share), row["role"])
    console.print(Padding(table, (1, 2, 0, 2), expand=False))


def show_evidence(found: dict[str, Any], trace: dict[str, Any]) -> None:
    """What went wrong, at which step and by whom, with words that stand in that step."""
    evidence = found["evidence"]
    if not evidence:
        console.print("\n  Nothing in the record points at a mistake.")
        return
    by_step: dict[int, list[dict[str, Any]]] = {}
    for item in evidence:
        by_step.setdefault(item["steps"][0], []).append(item)
    table = Table.grid(padding=(0, 2))
    for number, items in list(by_step.items())[:SHOWN]:
        agent = trace["steps"][number]["agent"]
        claims = [item["claim"].removeprefix(f"Step {number}, ").removeprefix(agent).strip(" ,.") for item in items]
        quote = Text(f"\n“{plain(items[0]['quote'])}”", "italic")
        table.add_row(f"step {number}", Text(plain(agent), "bold"), Text(plain("; ".join(claims))).append_text(quote))
    console.print("\n  What went wrong (steps count from 0, the weightiest first)", style="bold")
    console.print(Padding(table, (0, 4), expand=False))
    stands = sum(any(item["quote"] in trace["steps"][n]["content"] for n in item["steps"]) for item in evidence)
    more = f"{len(by_step) - SHOWN} more steps in the answer; " if len(by_step) > SHOWN else ""
    console.print(f"    {more}quotations that stand in their step: {stands} of {len(evidence)}")


def show_list(title: str, items: list[str]) -> None:
    """Numbered items under a title."""
    if not items:
        return
    table = Table.grid(padding=(0, 2))
    for number, item in enumerate(items[:SHOWN], 1):
        table.add_row(*([f"{number}."] if len(items) > 1 else []), plain(item))
    console.print(f"\n  {title}", style="bold")
    console.print(Padding(table, (0, 4), expand=False))


def show_end(path: Path, code: int, port: int, engine: str) -> None:
    """How the server ended, and how to ask it without this program."""
    console.print()
    console.print(Rule(style="dim"))
    console.print(f"Diagnosed by vstack-api on 127.0.0.1:{port}; stopped by SIGTERM, exit code {code}.")
    program = Path(sys.executable).with_name("vstack-api")
    started = f"VSTACK_LLM={engine} {shlex.quote(os.path.relpath(program))} serve"
    file = shlex.quote(os.path.relpath(path))
    console.print(f"The same by hand, while `{started}` runs:", soft_wrap=True)
    console.print(
        f"""(printf '{{"format":"canonical","trace":'; cat {file}; printf '}}') | curl -s"""
        " -H 'Content-Type: application/json' --data-binary @- http://127.0.0.1:8000/v1/analyze/aar",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
