"""Each thing is broken, and its check is seen to fire; a healthy installation is seen to pass."""

from __future__ import annotations

import http.server
import importlib.metadata
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.runtime.broken import BROKEN, DEPLOYMENT, KEY, KEYS, PUBLIC, Broken, case, keys_file, look, pod
from vstack_runtime.doctor import CHECKS, examine
from vstack_runtime.doctor import basics as basics_checks


@pytest.mark.parametrize(
    ("name", "level", "broken"), BROKEN, ids=[f"{name}-{n}" for n, (name, _, _) in enumerate(BROKEN)]
)
def test_what_is_broken_is_found(name: str, level: str, broken: Broken, tmp_path: Path) -> None:
    found = look(name, broken(tmp_path))
    assert found.level == level, found
    assert found.saw
    assert found.means
    assert found.mend
    assert KEY not in f"{found.saw}{found.means}{found.mend}"


# Broken in tests of their own below: what is missing is a package, a disk's space, or something of a real server.
ELSEWHERE = {
    "packages.required",
    "packages.extras",
    "packages.loop",
    "engine.patterns",
    "engine.routes",
    "engine.diagnosis",
    "home.space",
    "front.metrics",
    "front.clock",
}


def test_no_check_goes_without_a_break() -> None:
    assert {check.name for check in CHECKS} == {name for name, _, _ in BROKEN} | ELSEWHERE
    assert len(CHECKS) == len({check.name for check in CHECKS}) >= 40


def test_a_healthy_installation_passes(tmp_path: Path) -> None:
    env = {**KEYS, **PUBLIC, "VSTACK_API_RATE_LIMIT": "100/60", "VSTACK_CACHE": "memory"}
    reports = list(examine(case(tmp_path, env, pod=DEPLOYMENT), network=False))
    assert not [report for report in reports if report.level in ("warning", "error")]
    assert {report.check for report in reports} == {check.name for check in CHECKS if not check.on_request}


def test_a_setting_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    reports = list(examine(case(tmp_path, {"VSTACK_API_PORT": "high"}), network=False))
    assert [report.check for report in reports if report.level == "error"] == ["settings.sound"]
    assert "VSTACK_API_PORT" in next(report.mend for report in reports if report.check == "settings.sound")


@pytest.mark.parametrize(
    ("name", "env"),
    [
        ("packages.required", {}),
        ("packages.extras", {"VSTACK_CACHE": "redis://127.0.0.1"}),
        ("packages.extras", {"SENTRY_DSN": "https://key@sentry.example/1"}),
        ("packages.extras", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}),
    ],
)
def test_a_missing_package_is_found(
    name: str, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(name, case(tmp_path, env)).level == "ok"
    monkeypatch.setattr(basics_checks, "_installed", lambda name: False)
    found = look(name, case(tmp_path, env))
    assert found.level == "error"
    assert found.mend.startswith("pip install")


def test_a_missing_loop_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert look("packages.loop", case(tmp_path)).level == "warning"


def _breaks(*_: Any, **__: Any) -> Any:
    raise ImportError("no module named broken")


@pytest.mark.parametrize(
    ("name", "group", "package"),
    [
        ("engine.patterns", "vstack.patterns", "somebodys"),
        ("engine.diagnosis", "vstack.patterns", "somebodys"),
        ("engine.routes", "vstack.routes", "somebodys"),
        ("engine.patterns", "vstack.patterns", "vstack"),
    ],
)
def test_a_package_that_stops_the_engine_is_named_and_so_is_what_mends_it(
    name: str, group: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = type("Distribution", (), {"name": package, "version": "1.0"})()
    point = importlib.metadata.EntryPoint("own", "no_such_module:OWN", group)._for(owner)  # type: ignore[attr-defined]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point] if group == point.group else [])
    # Doctor is a process of its own, in which nothing was loaded before.
    monkeypatch.setattr("vstack_runtime.library._loaded", lambda load: load())
    found = look(name, case(tmp_path))
    assert found.level == "error"
    assert f"own = no_such_module:OWN ({group}) of {package} 1.0 cannot be loaded: ModuleNotFoundError" in found.saw
    anew = "pip install --force-reinstall vstack"
    assert found.mend == (anew if package == "vstack" else "update somebodys, or pip uninstall somebodys")


def test_a_diagnosis_that_fails_for_any_other_reason_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vstack_runtime.library.analyze", _breaks)
    found = look("engine.diagnosis", case(tmp_path))
    assert (found.level, "broken" in found.saw) == ("error", True)


def test_a_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = type("Usage", (), {"free": 1 << 20})()
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    assert look("home.space", case(tmp_path)).level == "warning"


def test_a_check_that_fails_itself_is_told_as_that(tmp_path: Path) -> None:
    gone = keys_file(tmp_path, 0o600)
    at = case(tmp_path, gone)
    _ = at.settings
    Path(gone["VSTACK_API_KEYS_FILE"]).unlink()
    found = look("keys.mode", at)
    assert (found.level, found.mend) == ("error", "report this as a bug")


Answers = dict[str, tuple[int, dict[str, str]]]


@pytest.fixture
def front() -> Iterator[tuple[str, Answers]]:
    """A front of the service whose answers the test chooses: its URL, and path -> (status, headers)."""
    answers: Answers = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers = answers.get(self.path, (404, {}))
            self.send_response_only(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's word
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_front_is_looked_at(front: tuple[str, Answers], tmp_path: Path) -> None:
    url, answers = front
    at = case(tmp_path, url=url)
    answers.update(
        {"/livez": (200, {"Date": "Mon, 23 Nov 2026 00:00:10 GMT"}), "/metrics": (403, {}), "/v1/patterns": (401, {})}
    )
    told = {report.check: report.level for report in examine(at, only=["front"])}
    assert told == {"front.tls": "warning", "front.metrics": "ok", "front.key": "ok", "front.clock": "ok"}
    answers.update(
        {"/livez": (200, {"Date": "Mon, 23 Nov 2026 00:05:00 GMT"}), "/metrics": (200, {}), "/v1/patterns": (200, {})}
    )
    told = {report.check: report.level for report in examine(at, only=["front"])}
    assert told == {"front.tls": "warning", "front.metrics": "warning", "front.key": "error", "front.clock": "warning"}


# As a program.


def run(*argv: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    program = Path(sys.executable).with_name("vstack-doctor")
    return subprocess.run([program, *argv], input=stdin, capture_output=True, env={"PATH": os.environ["PATH"], **env})


def test_the_program_says_what_it_saw_what_it_means_and_what_mends_it() -> None:
    told = run("--skip-network", "--only", "auth,keys", VSTACK_API_HOST="0.0.0.0")
    assert told.returncode == 1
    assert b"ERROR  auth.exposed" in told.stdout
    assert b"mend:  export VSTACK_API_KEYS=" in told.stdout
    assert b"\x1b[" not in told.stdout


def test_warnings_do_not_fail_and_json_is_whole() -> None:
    told = run("--skip-network", "--json", "--only", "settings,limits", VSTACK_LOG_LEVEL="error")
    assert told.returncode == 0
    document = msgspec.json.decode(told.stdout)
    assert document["counts"]["warning"] == 1
    assert {"check", "level", "saw", "means", "mend"} <= document["checks"][0].keys()


def test_only_errors_and_a_deployment_from_stdin() -> None:
    deployment = json.dumps({"spec": {"template": {"spec": pod(terminationGracePeriodSeconds=5)}}}).encode()
    told = run("--only", "kubernetes", "--only-errors", "--deployment", "-", stdin=deployment)
    assert told.returncode == 1
    assert told.stdout.startswith(b"  ERROR  kubernetes.grace")


def test_an_unknown_group_is_a_wrong_command_line() -> None:
    told = run("--only", "weather")
    assert told.returncode == 2
    assert b"weather" in told.stderr
