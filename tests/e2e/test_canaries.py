"""Secrets and what agents said, planted everywhere, and looked for in all that the service leaves behind.

Promised is: a key shows nowhere at all; what a trace says shows to its caller, to the model that is asked, and on
tapes, which hold bodies. Nowhere else: not in a log, a metric, a span, a report, in telemetry or in a home.
"""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.e2e.serving import ALICE, BOB, RUNTIMES, Answer, Runtime, Server, bearer, command, head
from tests.e2e.stumbling import installed
from tests.fakes.model_service import Act, FakeServer, serving
from tests.fakes.receiver import Receiver, receiving
from vstack_proto.openapi_examples import concise, native_trace
from vstack_proto.patterns.common import Pattern
from vstack_proto.trace import AgentInfo, CanonicalTrace, TraceStep
from vstack_runtime.engine import installed_patterns

PROVIDER = "sk-proj-canary-key-0b81c55aa07f"
OTHER = "sk-ant-canary-key-6f2d90e1c4aa"
WRONG = "wrong-canary-key-5b1d0c77e2aa"
SENTRY = "sentrycanarykey0b81c55aa07f"
KEYS = (PROVIDER, OTHER, WRONG, SENTRY, ALICE, BOB)
# Begins each text of a trace. It holds what could break a line of a log, a field of a header or a label of a metric.
SAID = "cnry-said"
BREAKING = f'{SAID}-injected\r\nX-Injected: 1\n{{"level":"error"}}"}} \\u0000 {{x="1"}}'


def said(where: str) -> str:
    """A text for one place of a trace."""
    return f"{SAID}-{where}"


STEPS = tuple(
    TraceStep(
        agent=said(f"agent-{number % 2}"),
        type=("message", "tool_call", "decision")[number % 3],
        content=f"{BREAKING} I agree with {said(f'content-{number}')}, it failed",
        tool=said("tool"),
        metadata={said("metadata-key"): said("metadata-value"), "status": said("status")},
    )
    for number in range(6)
)
TRACE = CanonicalTrace(
    goal=f"Report {said('goal')}",
    steps=STEPS,
    outcome=f"It was wrong: {said('outcome')}",
    agents=(
        AgentInfo(said("agent-0"), said("role"), (), said("authority")),
        AgentInfo(said("agent-1"), said("role-1"), (said("agent-0"),)),
    ),
    success=False,
    framework=said("framework"),
    metadata={said("run-key"): said("run-value")},
)


def planted(value: Any) -> Any:
    """JSON with a canary in front of every text, where the text stands for itself."""
    if isinstance(value, dict):
        return {name: planted(one) for name, one in value.items()}
    if isinstance(value, list):
        return [planted(one) for one in value]
    return f"{said('text')} {value}" if isinstance(value, str) and not value.startswith(SAID) else value


def own_trace(pattern: Pattern[Any, Any]) -> Any:
    """A trace of the pattern's own, with a canary in every text that is no word of a list; None where there is none."""
    if (trace := native_trace(pattern)) is None:
        return None
    told = concise(trace)
    for member in list(told):
        tried = {**told, member: planted(told[member])}
        with contextlib.suppress(msgspec.ValidationError):
            if not pattern.faults(msgspec.convert(tried, pattern.trace)):
                told = tried
    return told


# What the model service does: everything that can go wrong, and says its key back whenever it can.
ECHO = PROVIDER.encode()
ACTS = {
    "well": Act(text=None),
    "rejected": Act(status=401, error=PROVIDER, headers=(("x-request-id", PROVIDER), ("www-authenticate", PROVIDER))),
    "wordy": Act(status=400, body=b'{"error": {"message": "%b", "code": "%b", "type": "%b"}}' % (ECHO, ECHO, ECHO)),
    "elsewhere": Act(status=302, headers=(("location", f"/{PROVIDER}"),)),
    "nonsense": Act(body=ECHO),
    "unfit": Act(text=f'{{"{PROVIDER}": "{SAID}-from-a-model"}}'),
    "down": Act(status=500, error=PROVIDER),
    "reset": Act(reset=True),
}


class Scene(NamedTuple):
    """A service with everything on, and all that hears of it."""

    server: Server
    model: FakeServer
    receiver: Receiver
    folder: Path


@contextlib.contextmanager
def scene(runtime: Runtime, form: str, folder: Path, port: int) -> Iterator[Scene]:
    """Run the service while the block does; it must end well."""
    with serving() as model, receiving() as receiver:
        (folder / "installed").mkdir()
        env = {
            **installed(folder / "installed"),
            "OPENAI_API_KEY": PROVIDER,
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "ANTHROPIC_API_KEY": OTHER,
            "VSTACK_LLM": "openai",
            "VSTACK_MODEL": "m-1",
            "VSTACK_API_KEYS": f"alice={ALICE},bob={BOB}",
            "VSTACK_API_RATE_LIMIT": "60/60",
            "VSTACK_API_PORT": str(port),
            "VSTACK_CACHE": "memory",
            "VSTACK_HOME": str(folder / "home"),
            "VSTACK_TAPE": str(folder / "tapes"),
            "VSTACK_TAPE_PER_SECOND": "1000",
            "VSTACK_LOG_LEVEL": "debug",
            "VSTACK_LOG_FORMAT": form,
            "VSTACK_DRAIN_DELAY": "0",
            "SENTRY_DSN": f"http://{SENTRY}@127.0.0.1:{receiver.port}/7",
            "SENTRY_TRACES_SAMPLE_RATE": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}",
        }
        argv = [word for word in command(runtime) if word not in ("--port", "0")]
        server = Server(argv, env)
        server.port = port
        try:
            assert server.until(lambda: "listening" in server.stderr)
            yield Scene(server, model, receiver, folder)
            server.signal(15)
            assert server.wait() == 0
        finally:
            server.kill()


def asked(trace: Any, **more: Any) -> dict[str, Any]:
    return {"trace": trace, "mode": "quick", **more}


def own_words(server: Server) -> list[Answer]:
    """Answers that may say what the caller himself said: detections, and what is wrong with what he sent."""
    canonical = concise(TRACE)
    answers = [server.post("/v1/analyze/aar", asked(canonical, format="canonical", model="offline"), bearer(ALICE))] * 2
    for pattern in installed_patterns():
        if pattern.name != "stumbling" and (trace := own_trace(pattern)) is not None:
            answers.append(server.post(f"/v1/analyze/{pattern.name}", asked(trace, model="offline"), bearer(ALICE)))
    assert {answer.status for answer in answers} == {200}
    for body in (
        asked({**canonical, "steps": said("no-list")}, format="canonical"),
        asked({**canonical, "success": said("no-bool")}, format="canonical", model="offline"),
        asked(canonical, format=said("format")),
        asked(canonical, mode=said("mode")),
        {said("field"): said("alone")},
        json.dumps(canonical).encode()[:-9],
    ):
        answers.append(server.post("/v1/analyze/aar", body, bearer(BOB)))
        assert answers[-1].status == 400, answers[-1]
    return [*answers, server.raw(head("GET", "/livez", f"Transfer-Encoding: {SAID}"))]


def by_model(one: Scene) -> list[Answer]:
    """Analyses by a model that answers in every way it can, whole and as events."""
    answers = []
    for name, act in ACTS.items():
        one.model.script[:] = [act]
        for accept in ("application/json", "text/event-stream", "application/problem+json"):
            trace = concise(msgspec.structs.replace(TRACE, goal=f"{said('goal')} {name} {accept}"))
            body = asked(trace, format="canonical")
            answers.append(one.server.post("/v1/analyze/aar", body, {**bearer(BOB), "Accept": accept}))
    assert {answer.status for answer in answers} >= {200, 502, 503}, [answer.status for answer in answers]
    return answers


def refusals(one: Scene) -> list[Answer]:
    """Answers that say nothing of what was sent: they come before it is looked at, or in spite of it."""
    server, body = one.server, asked(concise(TRACE), format="canonical", model="offline")
    path = "/v1/analyze/aar"
    crash = server.post("/v1/analyze/stumbling", body, bearer(ALICE))
    assert crash.outcome == (500, "internal_error")
    packed = {**bearer(ALICE), "Content-Encoding": "br"}
    answers = [
        crash,
        server.post(path, body, bearer(WRONG)),
        server.post(path, body, {"X-API-Key": WRONG}),
        server.post(path, body, {"Authorization": f"Basic {ALICE}", "Cookie": f"key={ALICE}"}),
        server.post(path, gzip.compress(json.dumps(body).encode()), packed),
        server.post(path, b" " * 6_000_000, bearer(ALICE)),
        server.get(f"/v1/patterns?key={ALICE}&said={SAID}", bearer(BOB)),
        server.get("/nowhere", {**bearer(BOB), "X-Request-ID": f"{SAID} {BREAKING!r}", "Cookie": f"session={ALICE}"}),
    ]
    # And over quota.
    answers += [server.get("/v1/patterns/aar", bearer(ALICE)) for _ in range(61)]
    assert answers[-1].outcome == (429, "rate_limited")
    assert {401, 404, 413, 415, 429, 500} <= {answer.status for answer in answers}
    return answers


def left_behind(one: Scene) -> dict[str, bytes]:
    """Everything that outlives a request, by where it is; tapes apart."""
    found = {"stdout": one.server.stdout.encode(), "stderr": one.server.stderr.encode()}
    for path in (one.folder / "home").rglob("*"):
        if path.is_file():
            found[path.name] = path.read_bytes()
    found["reports and spans"] = one.receiver.everything
    return found


def holding(word: str, texts: dict[str, bytes]) -> list[str]:
    """Which of the texts hold a word, and where."""
    found = []
    for name, text in texts.items():
        if (at := text.find(word.encode())) >= 0:
            found.append(f"{name}: ...{text[max(0, at - 150) : at + 60]!r}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "form"), list(zip(RUNTIMES, ("json", "console", "json"), strict=True)))
def test_no_canary_is_found_where_none_may_be(runtime: Runtime, form: str, tmp_path: Path, free_tcp_port: int) -> None:
    with scene(runtime, form, tmp_path, free_tcp_port) as one:
        own = own_words(one.server) + by_model(one)
        metrics = one.server.get("/metrics").body
        pages = [one.server.get(path, bearer(BOB)) for path in ("/readyz?verbose", "/openapi.json", "/v1/analytics")]
        others = refusals(one) + pages
        assert any(PROVIDER in str(call.headers) for call in one.model.asked), "the service was given its key"
    tapes = {path.name: path.read_bytes() for path in (tmp_path / "tapes").iterdir()}
    behind = {**left_behind(one), "metrics": metrics}
    assert {"home.db", "telemetry.db"} & behind.keys()
    assert len(tapes) > 50
    assert len(one.receiver.posted) > 3
    answers = {f"answer {number}": str(answer).encode() for number, answer in enumerate(own + others)}
    for key in (*KEYS, "canary-key"):
        # The key of a DSN is what Sentry is told by.
        told = {**behind, "reports and spans": b""} if key in (SENTRY, "canary-key") else behind
        assert holding(key, {**told, **tapes, **answers}) == []
    assert holding(SAID, behind) == []
    assert holding(SAID, {f"{a.status}": str(a).encode() for a in others}) == []
    # Where it may be, it is: else nothing was looked for.
    assert holding(SAID, tapes)
    assert all(SAID in str(answer) for answer in own[:3])
