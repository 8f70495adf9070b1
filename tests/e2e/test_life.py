"""From the first line of the log to the last: settings that stop the start, stopping on SIGTERM, and what is logged."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, PATIENCE, Line, Runtime, Server, bearer, canonical_trace, command, head
from tests.soak.served import Held
from tests.soak.soaked import Telling

AAR = "/v1/analyze/aar"
GOOD = {"trace": canonical_trace(), "format": "canonical", "model": "offline"}


def run(*flags: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``vstack-api serve`` until it ends by itself."""
    return subprocess.run(
        command("asyncio", *flags), env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


# A value, and a part of what the message must say is allowed.
MALFORMED = [
    ("VSTACK_API_PORT", "80a", "65535"),
    ("VSTACK_API_REQUIRE_AUTH", "enabled", "true"),
    ("VSTACK_API_RATE_LIMIT", "100/minute", "100/60"),
    ("VSTACK_API_RATE_LIMIT", "0/60", "100/60"),
    ("VSTACK_API_RATE_LIMIT", "1e3/60", "100/60"),
    ("VSTACK_API_AUTH_FAILURES", "lots", "/60"),
    ("VSTACK_API_TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.0/8"),
    ("VSTACK_API_MAX_BODY_BYTES", "2m", "MiB"),
    ("VSTACK_API_MAX_TRACE_STEPS", "-1", "whole number"),
    ("VSTACK_API_REQUEST_TIMEOUT", "0", "seconds"),
    ("VSTACK_API_CORS_ORIGINS", "app.example", "https://"),
    ("VSTACK_CACHE", "disk", "memory"),
    ("VSTACK_LLM", "gpt", "offline"),
    ("VSTACK_STORE_FAILURE", "ajar", "closed"),
    ("VSTACK_DRAIN_DELAY", "soon", "seconds"),
    ("VSTACK_LOG_LEVEL", "loud", "warning"),
    ("VSTACK_LOG_FORMAT", "xml", "console"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), MALFORMED)
def test_a_malformed_setting_stops_the_start(name: str, value: str, allowed: str) -> None:
    # Where the port is not what is wrong, it would be taken from the command line.
    argv = [word for word in command("asyncio") if name != "VSTACK_API_PORT" or word not in ("--port", "0")]
    ended = subprocess.run(argv, env={name: value}, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    assert (name in ended.stderr, value in ended.stderr, allowed in ended.stderr) == (True, True, True), ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


SHORT = "short-canary"


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"VSTACK_API_KEYS": f"alice={SHORT}"}, "24"),
        ({"VSTACK_API_KEYS": f"alice={ALICE},bob={ALICE}"}, "share a key"),
        ({"VSTACK_API_KEYS": f"alice={ALICE},alice=b{ALICE}"}, "share a name"),
        ({"VSTACK_API_KEYS_FILE": "/nowhere/keys"}, "/nowhere/keys"),
        ({"VSTACK_API_KEYS_FILE": "/dev/zero"}, "/dev/zero"),
    ],
)
def test_a_key_that_cannot_be_stops_the_start_and_is_not_shown(env: dict[str, str], told: str) -> None:
    ended = run(**env)
    assert ended.returncode == 1
    assert next(iter(env)) in ended.stderr
    assert told in ended.stderr
    assert SHORT not in ended.stderr + ended.stdout
    assert ALICE not in ended.stderr + ended.stdout


def test_a_misspelt_setting_is_warned_of(serve: Serve) -> None:
    server = serve("asyncio", VSTACK_API_RATELIMIT="5/60", VSTACK_CACHE="")
    warned = [line["event"] for line in server.log if line["level"] == "warning"]
    assert any("VSTACK_API_RATELIMIT" in text and "VSTACK_API_RATE_LIMIT" in text for text in warned)


@pytest.mark.parametrize("flags", [["--runtime", "tornado"], ["--port", "99999"], ["--workers", "0"], ["--colour"]])
def test_a_wrong_command_line_is_told_as_such(flags: list[str]) -> None:
    ended = run(*flags)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_told(runtime: Runtime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        argv = [*command(runtime), "--port", port]
        ended = subprocess.run(argv, env={}, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    assert port in ended.stderr
    assert "Traceback" not in ended.stderr


def files(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


HALF = head("POST", AAR, "Content-Type: application/json", "Content-Length: 100") + b'{"trace"'
# What somebody sends who then leaves, and whether an answer is waited for.
LEAVERS = {
    "without an answer": [
        (head("GET", "/livez"), False),
        (head("GET", "/livez")[:-6], False),
        (HALF, False),
        (head("POST", AAR, "Transfer-Encoding: chunked") + b"5\r\n{", False),
        (head("POST", AAR, "Content-Length: 9", "Expect: 100-continue"), False),
        (head("GET", "/openapi.json") * 20, False),
    ],
    "once served": [(head("GET", "/livez"), True)],
    "after an upgrade": [(head("GET", "/livez", "Connection: Upgrade", "Upgrade: h2c"), True)],
}


# What each of them may leave, in bytes: less than the smallest object that can hold another, were it one for each.
LEFT_BY_EACH = 64
LEAVING = 300
# What a runtime keeps at hand it has after so many.
COMING = 1_000


@pytest.mark.slow
@pytest.mark.parametrize("how", LEAVERS)
def test_who_leaves_leaves_nothing_behind(runtime: Runtime, how: str, tmp_path: Path) -> None:
    """Counted is what is allocated, and not what the process occupies: that follows the most who were there at once."""
    server = Telling(runtime, tmp_path, {})
    try:
        server.started()
        come_and_go(server, head("GET", "/livez"), True, COMING)
        for data, waits in LEAVERS[how]:
            come_and_go(server, data, waits, 100)
            before = at_rest(server)
            come_and_go(server, data, waits, LEAVING)
            after = at_rest(server)
            assert after.live - before.live < LEFT_BY_EACH * LEAVING, data[:200]
            assert (after.tasks, after.threads) == (before.tasks, before.threads)
            assert len(after.descriptors) == len(before.descriptors)
    finally:
        server.kill()


def at_rest(server: Telling) -> Held:
    """What the server holds once every caller has gone."""
    # The one who asks is there himself.
    assert server.until(lambda: server.metric("vstack_connections", state="open") == 1)
    return server.asked()


def come_and_go(server: Server, data: bytes, waits: bool, times: int) -> None:
    for _ in range(times):
        with server.connected() as line:
            line.send(data)
            if waits:
                assert line.sock.recv(65_536)


def listens(server: Server) -> bool:
    try:
        server.connected().__exit__()
    except OSError:
        return False
    return True


def test_sigterm_drains_before_it_stops(serve: Serve, runtime: Runtime) -> None:
    """For the drain delay, new connections are still served and told to go; then listening ends, and the process."""
    server = serve(runtime, VSTACK_DRAIN_DELAY="2")
    with server.connected() as kept:
        kept.send(head("GET", "/livez"))
        assert kept.answer().headers.get("connection") is None
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        server.wait_for(lambda line: line["event"] == "stopping")

        ready = server.get("/readyz")
        assert (ready.status, ready.json["status"]) == (503, "draining")
        alive = server.get("/livez")
        assert (alive.status, alive.headers["connection"]) == (200, "close")
        answer = server.post(AAR, GOOD)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert server.metric("vstack_draining") == 1
        # A connection that was there before is served too, and told the same.
        kept.send(head("GET", "/livez"))
        assert kept.answer().headers["connection"] == "close"
        assert kept.ended()
        assert time.monotonic() - began < 2.0
    assert server.wait() == 0
    assert 1.9 < time.monotonic() - began < 8.0
    assert not listens(server)
    assert server.faults() == []


def half_sent(server: Server, line: Line, body: bytes) -> None:
    """Send a request but for its last bytes, and wait until the server has the first."""
    fields = ("Content-Type: application/json", f"Content-Length: {len(body)}", "Expect: 100-continue")
    line.send(head("POST", AAR, *fields))
    assert line.sock.recv(65_536).startswith(b"HTTP/1.1 100")
    line.send(body[:-10])


def test_what_is_in_flight_finishes_after_the_listeners_have_closed(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_DRAIN_DELAY="0.2", VSTACK_API_REQUEST_TIMEOUT="10")
    body = json.dumps(GOOD).encode()
    with server.connected() as line, server.connected() as idle:
        half_sent(server, line, body)
        idle.send(head("GET", "/livez"))
        assert idle.answer().status == 200
        server.signal(signal.SIGTERM)
        server.wait_for(lambda told: told["event"] == "stopping")
        assert server.until(lambda: not listens(server), 3.0), "the listeners are open after the drain delay"
        assert idle.ended()
        line.send(body[-10:])
        answer = line.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert line.ended()
        began = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - began < 4.0
    assert server.faults() == []


def test_who_does_not_read_its_answer_does_not_hold_up_the_end(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime, VSTACK_API_REQUEST_TIMEOUT="1")
    with server.connected() as line:
        line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        request = head("GET", "/openapi.json")
        line.sock.setblocking(False)
        try:
            while True:
                line.sock.send(request * 20)
        except BlockingIOError:
            pass
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert time.monotonic() - began < 8.0
    assert server.faults() == []


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("raise SystemExit(3)", "3"),
        ("import sys; sys.stderr.write('Traceback (most recent call last):\\n')", "Traceback"),
        (f"print({ALICE!r})", "canary"),
    ],
)
def test_a_server_that_ends_badly_fails_its_test(program: str, told: str) -> None:
    server = Server([sys.executable, "-c", program], {})
    server.wait()
    with pytest.raises(AssertionError, match=told):
        server.stop()


def test_sigint_stops_as_well(serve: Serve, runtime: Runtime) -> None:
    server = serve(runtime)
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    assert server.log[-1]["event"] == "stopped"


@pytest.fixture
def noisy(serve: Serve, runtime: Runtime) -> Server:
    """A server at its most talkative, which knows a secret."""
    return serve(
        runtime,
        VSTACK_API_KEYS=f"alice={ALICE}",
        VSTACK_LOG_LEVEL="debug",
        VSTACK_CACHE="memory",
        VSTACK_API_RATE_LIMIT="1000/60",
        SENTRY_DSN="",
    )


def test_a_request_is_one_json_line_without_secrets_or_bodies(noisy: Server) -> None:
    secret = "canary-of-a-trace-5b1d"
    body = {**GOOD, "trace": canonical_trace(goal=f"Keep {secret}")}
    ids = [f"line-{n}" for n in range(7)]
    answers = [
        noisy.post(AAR, body, {**bearer(ALICE), "X-Request-ID": ids[0]}),
        noisy.post(AAR, b'{"' + secret.encode(), {"X-API-Key": ALICE, "X-Request-ID": ids[1]}),
        noisy.post(AAR, body, {**bearer(ALICE + "x"), "X-Request-ID": ids[2]}),
        noisy.get(f"/v1/patterns?key={ALICE}", {**bearer(ALICE), "X-Request-ID": ids[3]}),
        noisy.get("/nowhere", {"Cookie": f"session={ALICE}", "X-Request-ID": ids[4]}),
        noisy.get("/readyz", {"X-Request-ID": ids[5]}),
        noisy.get("/v1/patterns", {"Authorization": f"Basic {ALICE}", "X-Request-ID": ids[6]}),
    ]
    assert [answer.status for answer in answers] == [200, 400, 401, 200, 404, 200, 401]
    noisy.stop()
    for number, (answer, one) in enumerate(zip(answers, ids, strict=True)):
        assert ALICE not in str(answer)
        (line,) = noisy.requests(request_id=one)
        assert line["status"] == answer.status
        assert line["duration_ms"] >= 0
        assert line["method"] == ("POST" if number < 3 else "GET")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"])
        assert line["level"] in ("debug", "info")
    (analysis,) = noisy.requests(request_id=ids[0])
    told = ("outcome", "pattern", "mode", "model", "cache", "caller", "route")
    assert [analysis[name] for name in told] == [
        "ok", "aar", "standard", "offline", "miss", "alice", "/v1/analyze/{name}",
    ]  # fmt: skip
    output = noisy.stdout + noisy.stderr
    assert ALICE not in output
    assert secret not in output
    assert noisy.stdout == ""


def test_logs_for_people() -> None:
    server = Server(command("asyncio"), {"VSTACK_LOG_FORMAT": "console", "VSTACK_DRAIN_DELAY": "0"})
    try:
        assert server.until(lambda: "listening" in server.stderr)
        assert not server.stderr.startswith("{")
    finally:
        server.stop()


def test_it_serves_where_the_settings_say() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(
        [*command("asyncio")[:2], "--runtime", "asyncio"],
        {"VSTACK_API_PORT": str(port), "VSTACK_API_HOST": "::1", "VSTACK_DRAIN_DELAY": "0"},
    )
    try:
        told = server.wait_for(lambda line: line["event"] == "listening")
        assert (told["host"], told["port"]) == ("::1", port)
        with socket.create_connection(("::1", port), PATIENCE) as sock, Line(sock) as line:
            line.send(head("GET", "/livez"))
            assert line.answer().status == 200
    finally:
        server.stop()


def test_a_home_that_cannot_be_kept_is_told_at_the_start_and_nobody_is_kept_waiting_for_it(serve: Serve) -> None:
    server = serve("asyncio", VSTACK_HOME="/proc/nowhere/home")
    told = server.wait_for(lambda line: line["level"] == "warning")["event"]
    assert told.startswith("/proc/nowhere/home cannot be written to (")
    assert told.endswith("): learnings and telemetry will not be kept; VSTACK_HOME says where they are")
    assert server.post("/v1/analyze/aar", GOOD).status == 200


def test_a_home_that_nobody_needs_is_not_looked_at(serve: Serve) -> None:
    server = serve("asyncio", VSTACK_HOME="/proc/nowhere/home", VSTACK_LEARNINGS="memory", VSTACK_TELEMETRY="off")
    assert "/proc/nowhere" not in server.stderr
