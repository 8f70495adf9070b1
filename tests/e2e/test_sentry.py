"""What Sentry is told of a service that crashes, and what it is not: the real SDK, to a receiver on a socket."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, Runtime, Server, bearer, canonical_trace, command
from tests.e2e.stumbling import installed
from tests.fakes.receiver import Receiver, receiving

SECRET = "canary-of-a-trace-5d1f"
HEADER = "canary-of-a-header-99ab"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def settings(receiver: Receiver, folder: Path, **more: str) -> dict[str, str]:
    told = {
        "SENTRY_DSN": f"http://sentry-canary-key@127.0.0.1:{receiver.port}/7",
        "SENTRY_ENVIRONMENT": "staging",
        "VSTACK_API_KEYS": f"alice={ALICE}",
    }
    return {**told, **installed(folder), **more}


def stumble(server: Server) -> Any:
    """An analysis that meets the bug."""
    server.excused += ["an exchange crashed", "internal_error"]
    trace = canonical_trace(goal=f"Find {SECRET}")
    fields = {"X-Request-ID": "the-one", "X-Other": HEADER, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    body = {"trace": trace, "model": "offline", "format": "canonical"}
    return server.post("/v1/analyze/stumbling", body, {**bearer(ALICE), **fields})


def test_a_crash_is_reported_with_its_request_and_without_what_was_said(
    serve: Serve, runtime: Runtime, tmp_path: Path
) -> None:
    with receiving() as receiver:
        server = serve(runtime, **settings(receiver, tmp_path))
        answer = stumble(server)
        assert (answer.status, answer.error["error"]) == (500, "internal_error")
        server.stop()
        (event,) = receiver.events
        assert (receiver.posted[0].path, event["level"]) == ("/api/7/envelope/", "error")
        assert event["environment"] == "staging"
        assert event["release"].startswith("vstack@")
        assert event["transaction"] == "POST /v1/analyze/{name}"
        expected = {"request_id": "the-one", "route": "/v1/analyze/{name}", "pattern": "stumbling", "trace_id": TRACE}
        assert expected.items() <= event["tags"].items()
        assert [one["type"] for one in event["exception"]["values"]] == ["ValueError", "RuntimeError"]
        frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
        assert frames[-1]["function"] == "_stumble"
        for canary in (SECRET, HEADER, ALICE, 'request":', "vars", "breadcrumbs"):
            assert canary.encode() not in receiver.everything, canary


def test_a_receiver_that_does_not_answer_delays_the_end_by_two_seconds_at_most(serve: Serve, tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.held.clear()
        server = serve("asyncio", **settings(receiver, tmp_path))
        stumble(server)
        receiver.wait_for(lambda: receiver.posted)
        server.signal(signal.SIGTERM)
        # It ends while the receiver still holds the report: had it waited for the answer, this would not return.
        assert server.wait() == 0
        assert not receiver.held.is_set()


def test_requests_are_told_of_where_a_share_of_them_is_asked_for(serve: Serve, tmp_path: Path) -> None:
    with receiving() as receiver:
        server = serve("trio", **settings(receiver, tmp_path, SENTRY_TRACES_SAMPLE_RATE="1", SENTRY_RELEASE="r-7"))
        body = {"trace": canonical_trace(goal=SECRET), "model": "offline", "format": "canonical"}
        assert server.post("/v1/analyze/aar", body, bearer(ALICE)).status == 200
        server.stop()
        told = next(one for one in receiver.events if one["transaction"] == "POST /v1/analyze/{name}")
        assert (told["type"], told["release"]) == ("transaction", "r-7")
        assert {"pattern": "aar", "mode": "standard", "outcome": "ok", "status": "200"}.items() <= told["tags"].items()
        assert told["contexts"]["trace"]["op"] == "http.server"
        assert told["timestamp"] > told["start_timestamp"]
        assert SECRET.encode() not in receiver.everything


@pytest.mark.parametrize("dsn", ["nonsense-secret", "https://sentry.example/1", "https://secret@sentry.example/p"])
def test_what_is_no_dsn_stops_the_start_and_is_not_shown(dsn: str) -> None:
    server = Server(command("asyncio"), {"SENTRY_DSN": dsn})
    assert server.wait() == 1
    assert "SENTRY_DSN is refused" in server.stderr
    assert "secret" not in server.stderr


def test_without_the_sdk_one_line_says_so(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "sentry_sdk.py").write_text("raise ModuleNotFoundError('hidden', name='sentry_sdk')\n")
    server = serve("asyncio", SENTRY_DSN="https://key@sentry.example/1", PYTHONPATH=str(tmp_path))
    told = [line for line in server.log if line.get("setting") == "SENTRY_DSN"]
    assert [(line["level"], line["missing"], line["mend"]) for line in told] == [
        ("warning", "sentry_sdk", "pip install 'vstack[sentry]'")
    ]
