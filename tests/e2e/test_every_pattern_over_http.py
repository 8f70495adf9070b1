"""Every pattern in every mode over real sockets, without a model and with one, through each runtime.

The runtimes run in this process, since the console script knows no provider that follows a script. A pattern is found
by its file; nothing needs to be added for a new one.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import jsonschema
import pytest
import structlog

import vstack_proto.patterns
from tests.e2e.serving import PATIENCE, RUNTIMES, Runtime
from vstack_proto.patterns.common import MODES, Mode, Pattern
from vstack_runtime.conformance.drivers import ServeDriver
from vstack_runtime.engine import Engine
from vstack_runtime.scripted import ScriptedProvider, least_answer
from vstack_runtime.settings import Settings

CONTRACT = Path(__file__).resolve().parents[3] / "shared" / "contract"
AnyPattern = Pattern[Any, Any]
Model = Literal["offline", "scripted-1"]


def _found() -> dict[str, AnyPattern]:
    found = {}
    for module in pkgutil.iter_modules(vstack_proto.patterns.__path__):
        pattern = getattr(importlib.import_module(f"vstack_proto.patterns.{module.name}"), "PATTERN", None)
        if isinstance(pattern, Pattern) and pattern.name == module.name:
            found[pattern.name] = pattern
    return found


PATTERNS = _found()
each = pytest.mark.parametrize("name", sorted(PATTERNS))


class Answer(NamedTuple):
    """An answer as it came."""

    status: int
    kind: str | None
    body: Any


class Running:
    """One runtime that serves all patterns, and the provider that it asks."""

    def __init__(self, port: int, provider: ScriptedProvider) -> None:
        self.provider = provider
        self._port = port

    def analyze(self, name: str, asked: Any) -> Answer:
        """Ask for an analysis, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/v1/analyze/{name}", json.dumps(asked), headers)
            response = connection.getresponse()
            return Answer(response.status, response.getheader("Content-Type"), json.loads(response.read()))


@pytest.fixture(scope="module", params=RUNTIMES)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """Each runtime in turn: one server for all tests, without a cache, so that each request is analysed."""
    runtime = cast("Runtime", request.param)
    provider = ScriptedProvider([least_answer])
    settings = Settings(require_auth=False, drain_delay=0.0)
    engine = Engine(settings, provider=provider, patterns=PATTERNS.values(), runtime=runtime)
    module: Any = importlib.import_module(f"vstack_runtime.{runtime}_server")
    driver = ServeDriver(runtime, module.serve, backend="trio" if runtime == "trio" else "asyncio")
    with structlog.testing.capture_logs() as logs:
        served = driver.start(engine)
        try:
            yield Running(served.port, provider)
        finally:
            served.ask_to_stop()
            left = served.wait_ended(PATIENCE)
    assert left == []
    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []


@functools.cache
def listed() -> Any:
    """What the contract says of each pattern's request bodies; skips where there is no contract."""
    if not (file := CONTRACT / "requests" / "index.json").exists():
        pytest.skip(f"no contract at {CONTRACT}")
    return json.loads(file.read_text("utf-8"))


@functools.cache
def schemas() -> dict[str, jsonschema.Draft202012Validator]:
    """What the contract says that a detection looks like, by pattern."""
    told = json.loads((CONTRACT / "patterns.json").read_text("utf-8"))["patterns"]
    return {entry["name"]: jsonschema.Draft202012Validator(entry["output_schema"]) for entry in told}


def bodies(name: str, verdict: str) -> dict[str, Any]:
    """The contract's bodies of a pattern that are ``valid`` or ``invalid``, by file: the trace alone."""
    items = listed()[name][verdict]
    files = [CONTRACT / "requests" / item["file"] for item in (items.values() if isinstance(items, dict) else items)]
    told = {file.stem: json.loads(file.read_text("utf-8")) for file in files}
    return {stem: body.get("trace", body) for stem, body in told.items()}


def test_every_pattern_of_the_contract_is_there() -> None:
    assert sorted(PATTERNS) == sorted(listed())


@each
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", ["offline", "scripted-1"])
def test_valid_bodies_are_diagnosed(running: Running, name: str, mode: Mode, model: Model) -> None:
    traces = bodies(name, "valid")
    assert sorted(traces) == ["minimal", "rich"]
    for stem, trace in traces.items():
        before = len(running.provider.asked)
        asked = {"trace": trace, "mode": mode, **({"model": model} if model == "offline" else {})}
        answer = running.analyze(name, asked)
        assert answer[:2] == (200, "application/json"), (stem, answer)
        calls = len(running.provider.asked) - before
        check(name, mode, model, answer.body, calls)


def check(name: str, mode: Mode, model: Model, told: Any, calls: int) -> None:
    """Check an answer: its envelope, and its detection against the contract."""
    assert told.keys() - {"warnings"} == {"pattern", "mode", "model", "detection", "cached"}
    assert (told["pattern"], told["mode"], told["model"], told["cached"]) == (name, mode, model, False)
    detection = told["detection"]
    assert [f"{error.json_path}: {error.message}" for error in schemas()[name].iter_errors(detection)] == []
    # Where no call was needed, no model stands behind the detection.
    generator = model if model == "offline" or calls else None
    assert (detection["generator_model"], detection["mode"]) == (generator, mode)
    assert detection["llm_calls"] == calls <= (0 if model == "offline" else len(PATTERNS[name].passes[mode]))
    assert {"evidence", "confidence", "grounding"} <= detection.keys()


@each
def test_invalid_bodies_are_refused_with_pointers(running: Running, name: str) -> None:
    traces = bodies(name, "invalid")
    assert sorted(traces) == ["invalid_1", "invalid_2", "invalid_3"]
    before = len(running.provider.asked)
    for stem, trace in traces.items():
        answer = running.analyze(name, {"trace": trace})
        assert answer[:2] == (400, "application/json"), (stem, answer)
        refusal = answer.body["detail"]
        assert refusal["error"] == "validation_error", (stem, refusal)
        assert refusal["error_count"] == len(refusal["errors"]) >= 1
        # Every fault of these bodies lies in a field; only of a body that is no object "" would be the pointer.
        assert all(fault["pointer"].startswith("/") and fault["message"] for fault in refusal["errors"]), stem
    assert len(running.provider.asked) == before
