"""What the real service remembers: for each key its own, over a stop and over a kill, on every runtime."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, BOB, SCRIPT, Answer, Runtime, Server, bearer, command
from vstack_proto.learning import LearningQuery, LearningRecord
from vstack_runtime.home import SqliteLearnings
from vstack_runtime.home.database import check

KEYS = {"VSTACK_API_KEYS": f"alice={ALICE},bob={BOB}", "VSTACK_CACHE": "memory"}
LEWIN = "/v1/analyze/lewin"
TRACE = {"agent_id": "planner", "task": "t", "steps": [{"type": "output", "content": "done"}], "outcome": "o"}
ASKED = {"trace": TRACE, "model": "offline"}
FINDING = {"pattern": "lewin", "agent_id": "planner", "interventions_applied": ["tool_upgrade"]}
# How often the service is killed while it writes; the same code with more is for whoever has the time.
KILLS = int(os.environ.get("VSTACK_TEST_SERVICE_KILLS", "2"))


def well(answer: Answer) -> Any:
    assert answer.status < 300, answer.body
    return answer.json


def ran(program: str, *words: str, home: str) -> Any:
    """What another of our programs prints as JSON."""
    done = subprocess.run(
        [SCRIPT.with_name(program), *words, "--json"],
        env={"PATH": os.environ["PATH"], "VSTACK_HOME": home},
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("kept", ["home", "memory"])
def test_a_learning_is_its_keys_own_and_told_with_the_next_detection(serve: Serve, runtime: Runtime, kept: str) -> None:
    are_apart(serve(runtime, VSTACK_LEARNINGS=kept, **KEYS))


def are_apart(server: Server) -> None:
    """What one key records shows in that key's answers alone, wherever it is kept."""
    plain = well(server.post(LEWIN, ASKED, bearer(ALICE)))
    assert "what_helped_before" not in plain["detection"]
    kept = well(server.post("/v1/learnings", FINDING, bearer(ALICE)))
    assert well(server.get("/v1/learnings", bearer(ALICE))) == {"count": 1, "learnings": [kept]}
    report = f"/v1/learnings/{kept['id']}/outcome"
    # Another key sees nothing of it, and is told what it would be told of an id that nobody has.
    assert well(server.get("/v1/learnings", bearer(BOB)))["count"] == 0
    assert well(server.get("/v1/learnings/outcomes", bearer(BOB)))["count"] == 0
    stranger = server.post(report, {"outcome": "worse"}, bearer(BOB))
    nowhere = server.post("/v1/learnings/lrn_0/outcome", {"outcome": "worse"}, bearer(BOB))
    assert stranger.outcome == nowhere.outcome == (404, "not_found")
    assert stranger.error["message"].replace(kept["id"], "lrn_0") == nowhere.error["message"]
    assert server.get("/v1/learnings").status == 401
    assert well(server.post(report, {"outcome": "improved"}, bearer(ALICE)))["follow_up_outcome"] == "improved"
    # The very next answer has it, though the detection comes from the cache that all share.
    told = server.post(LEWIN, ASKED, bearer(ALICE))
    assert told.headers["x-cache"] == "hit"
    detection = well(told)["detection"]
    (helped,) = detection.pop("what_helped_before")
    assert (helped["intervention"], helped["improved"]) == ("tool_upgrade", 1)
    other = server.post(LEWIN, ASKED, bearer(BOB))
    assert other.headers["x-cache"] == "hit"
    assert well(other)["detection"] == detection == plain["detection"]
    elsewhere = {**ASKED, "trace": {**TRACE, "agent_id": "critic"}}
    assert "what_helped_before" not in well(server.post(LEWIN, elsewhere, bearer(ALICE)))["detection"]


def test_what_was_kept_outlives_the_service(serve: Serve, runtime: Runtime, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    first = serve(runtime, VSTACK_HOME=home, **KEYS)
    kept = well(first.post("/v1/learnings", FINDING, bearer(ALICE)))
    answer = well(first.post(LEWIN, ASKED, bearer(ALICE)))
    first.stop()
    # Telemetry was in a queue when the service was asked to stop.
    (row,) = ran("vstack-analytics", "summary", home=home)["rows"]
    assert (row["pattern"], row["analyses"], row["calls"]) == ("lewin", 1, 0)
    (told,) = ran("vstack-learn", "recall", "--key", "alice", home=home)
    assert told == kept
    assert ran("vstack-learn", "recall", home=home) == []
    (tmp_path / "answer.json").write_text(json.dumps(answer), "utf-8")
    baseline = [str(SCRIPT), "baseline", "record", str(tmp_path / "answer.json"), "--name", "march", "--key", "alice"]
    subprocess.run(baseline, env={"PATH": os.environ["PATH"], "VSTACK_HOME": home}, check=True, capture_output=True)
    second = serve(runtime, VSTACK_HOME=home, **KEYS)
    assert well(second.get("/v1/learnings", bearer(ALICE)))["learnings"] == [kept]
    assert well(second.get("/v1/analytics?by=model", bearer(ALICE)))["rows"][0]["analyses"] == 1
    assert well(second.get("/v1/analytics", bearer(BOB)))["rows"] == []
    compared = well(second.post(LEWIN, {**ASKED, "baseline": "march"}, bearer(ALICE)))["detection"]["baseline"]
    assert (compared["historical_baseline_id"], compared["drift_severity"]) == ("march", "none")
    assert compared["historical_generated_at"] == answer["detection"]["generated_at"]
    refused = second.post(LEWIN, {**ASKED, "baseline": "march"}, bearer(BOB))
    assert refused.outcome == (400, "validation_error")


def test_a_home_that_cannot_be_used_fails_no_analysis(serve: Serve, runtime: Runtime, tmp_path: Path) -> None:
    server = serve(runtime, VSTACK_HOME=str(tmp_path / "home"), **KEYS)
    (tmp_path / "home").write_text("a file is in the way")
    for _ in range(2):
        well(server.post(LEWIN, ASKED, bearer(ALICE)))
    refused = server.post("/v1/learnings", FINDING, bearer(ALICE))
    assert refused.outcome == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert server.metric("vstack_backend_up", backend="learnings") == 0.0
    (tmp_path / "home").unlink()
    kept = well(server.post("/v1/learnings", FINDING, bearer(ALICE)))
    assert well(server.get("/v1/learnings", bearer(ALICE)))["learnings"] == [kept]
    # A full disk or a lost folder is worth a line with its cause; it is no crash.
    server.excused.append("learnings failed")


class Client(threading.Thread):
    """Records learnings one after the other until the service is gone, and notes which were acknowledged."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._finding = {**FINDING, "agent_id": name}
        self.acknowledged: list[str] = []
        self.some = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, 20)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            while True:
                connection.request("POST", "/v1/learnings", json.dumps(self._finding), bearer(ALICE))
                answer = connection.getresponse()
                told = json.loads(answer.read())
                assert answer.status == 201, told
                self.acknowledged.append(told["id"])
                if len(self.acknowledged) >= 5:
                    self.some.set()


@pytest.mark.slow
def test_a_service_that_is_killed_while_it_writes_loses_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    acknowledged: list[str] = []
    for number in range(KILLS):
        server = Server(command("asyncio"), {"VSTACK_HOME": str(home), **KEYS})
        try:
            clients = [Client(server.started().port, f"client-{number}-{which}") for which in range(3)]
            for client in clients:
                client.start()
            for client in clients:
                assert client.some.wait(20)
        finally:
            server.kill()
        for client in clients:
            client.join(20)
            acknowledged += client.acknowledged
    assert check(home / "home.db") == []
    there = {one.id for one in anyio.run(recalled, home)}
    assert len(there) >= len(acknowledged) >= KILLS * 15
    assert set(acknowledged) <= there


async def recalled(home: Path) -> list[LearningRecord]:
    store = SqliteLearnings(home)
    try:
        return await store.recall("alice", LearningQuery(limit=10**9))
    finally:
        await store.aclose()
