"""The service's own spans, as a receiver of OTLP gets them: the real SDK sends, its own classes decode."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.e2e.conftest import Serve
from tests.e2e.serving import ALICE, Runtime, Server, bearer, canonical_trace
from tests.fakes.model_service import Act, FakeServer, serving
from tests.fakes.receiver import Receiver, receiving

SECRET = "canary-of-a-trace-5d1f"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def spans(receiver: Receiver) -> list[Span]:
    found: list[Span] = []
    for one in receiver.posted:
        assert one.path == "/v1/traces"
        told = ExportTraceServiceRequest.FromString(one.body)
        for resource in told.resource_spans:
            named = attributes(resource.resource)
            assert named["service.name"] == "vstack"
            assert named["service.version"]
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def attributes(of: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


def settings(receiver: Receiver, model: FakeServer | None = None, **more: str) -> dict[str, str]:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}", "VSTACK_API_KEYS": f"alice={ALICE}"}
    if model is not None:
        told |= {"OPENAI_API_KEY": "sk-canary-0123456789", "OPENAI_BASE_URL": f"{model.url}/v1", "VSTACK_MODEL": "m-1"}
    return {**told, **more}


def analyse(server: Server, traceparent: str = "", mode: str = "quick") -> int:
    fields = {"X-Request-ID": "the-one"} | ({"traceparent": traceparent} if traceparent else {})
    body = {"trace": canonical_trace(goal=SECRET), "format": "canonical", "mode": mode}
    return server.post("/v1/analyze/aar", body, {**bearer(ALICE), **fields}).status


def test_a_request_is_a_span_of_its_callers_trace_with_its_model_calls_inside(serve: Serve, runtime: Runtime) -> None:
    with receiving() as receiver, serving(Act(text=None)) as model:
        server = serve(runtime, **settings(receiver, model, VSTACK_CACHE="memory"))
        assert analyse(server, f"00-{TRACE}-{PARENT}-01", "standard") == 200
        server.get("/livez")
        server.stop()
        found = spans(receiver)
        (request,) = (one for one in found if one.kind == Span.SPAN_KIND_SERVER)
        calls = [one for one in found if one.kind == Span.SPAN_KIND_CLIENT]
        assert (request.name, request.trace_id.hex(), request.parent_span_id.hex()) == (
            "POST /v1/analyze/{name}",
            TRACE,
            PARENT,
        )
        assert attributes(request) == {
            "http.request.method": "POST",
            "http.route": "/v1/analyze/{name}",
            "http.response.status_code": 200,
            "vstack.request_id": "the-one",
            "vstack.surface": "rest",
            "vstack.pattern": "aar",
            "vstack.mode": "standard",
            "vstack.outcome": "ok",
            "vstack.cache": "miss",
        }
        assert len(calls) == 2
        for call in calls:
            assert (call.name, call.trace_id, call.parent_span_id) == ("chat m-1", request.trace_id, request.span_id)
            assert request.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano
            told = attributes(call)
            assert (told["gen_ai.provider.name"], told["gen_ai.request.model"]) == ("openai", "m-1")
            assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (100, 10)
            assert (told["vstack.outcome"], told["vstack.request_id"]) == ("ok", "the-one")
        # The model service is told which span it works for.
        sent = [one.headers["traceparent"] for one in model.asked]
        assert sorted(sent) == sorted(f"00-{TRACE}-{call.span_id.hex()}-01" for call in calls)
        for canary in (SECRET, ALICE, "sk-canary"):
            assert canary.encode() not in receiver.everything, canary


def test_what_failed_is_marked(serve: Serve, runtime: Runtime) -> None:
    with receiving() as receiver, serving(Act(status=400)) as model:
        server = serve(runtime, **settings(receiver, model))
        assert analyse(server) == 502
        # Whatever is logged on a request's behalf carries its id.
        assert server.wait_for(lambda line: line["event"] == "a model call failed")["request_id"] == "the-one"
        server.stop()
        for span in spans(receiver):
            assert span.status.code == Status.STATUS_CODE_ERROR, span
            assert len(span.trace_id) == 16
        told = {one.name: attributes(one) for one in spans(receiver)}
        assert told["POST /v1/analyze/{name}"]["error.type"] == "analyzer_error"
        assert told["chat m-1"]["error.type"] == told["chat m-1"]["vstack.outcome"] == "rejected"


@pytest.mark.parametrize(
    ("traceparent", "sampler", "sampled"),
    [
        (f"00-{TRACE}-{PARENT}-00", "", False),
        ("", "always_off", False),
        (f"00-{'0' * 32}-{PARENT}-01", "", True),
        (f"00-{TRACE}-{'0' * 16}-01", "", True),
    ],
    ids=["the caller keeps no trace", "the operator wants none", "no trace id", "no parent"],
)
def test_who_decides_whether_a_trace_is_kept(serve: Serve, traceparent: str, sampler: str, sampled: bool) -> None:
    with receiving() as receiver, serving(Act(text=None)) as model:
        server = serve("trio", **settings(receiver, model, **({"OTEL_TRACES_SAMPLER": sampler} if sampler else {})))
        assert analyse(server, traceparent) == 200
        server.stop()
        found = spans(receiver)
        assert len(found) == (2 if sampled else 0)
        assert not any(one.parent_span_id for one in found if one.kind == Span.SPAN_KIND_SERVER)
        assert len({one.trace_id for one in found}) == sampled
        (sent,) = (one.headers["traceparent"] for one in model.asked)
        assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]", sent)
        assert sent.endswith("01") is sampled


def test_without_the_setting_nothing_is_sent(serve: Serve) -> None:
    with serving(Act(text=None)) as model, receiving() as receiver:
        server = serve("asyncio", **{**settings(receiver, model), "OTEL_EXPORTER_OTLP_ENDPOINT": ""})
        assert analyse(server, f"00-{TRACE}-{PARENT}-01") == 200
        server.stop()
        assert not receiver.posted
        assert "traceparent" not in model.asked[0].headers


def test_without_the_settings_neither_library_is_loaded() -> None:
    """Which is what makes it cost nothing: there is nobody to tell, and nothing to ask but whether there is."""
    code = (
        "import sys, vstack_runtime as v\n"
        "engine = v.build_app(v.Settings(llm='offline')).engine\n"
        "loaded = [name for name in ('opentelemetry.sdk', 'sentry_sdk') if name in sys.modules]\n"
        "sys.exit(f'{loaded}' if loaded or engine.observers.on else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_receiver_that_does_not_answer_delays_no_request_and_not_the_end(serve: Serve) -> None:
    with receiving() as receiver:
        receiver.held.clear()
        server = serve("asyncio", **settings(receiver, OTEL_BSP_SCHEDULE_DELAY="10"))
        server.get("/v1/patterns", bearer(ALICE))
        receiver.wait_for(lambda: receiver.posted)
        assert server.get("/v1/patterns", bearer(ALICE)).status == 200
        server.stop()
        assert not receiver.held.is_set()


def test_without_the_sdk_one_line_says_so(serve: Serve, tmp_path: Any) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("")
    server = serve("asyncio", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", PYTHONPATH=str(tmp_path))
    told = [line for line in server.log if line.get("setting") == "OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert [(line["level"], line["mend"]) for line in told] == [("warning", "pip install 'vstack[otel]'")]


def test_a_receiver_that_is_away_is_told_of_once(serve: Serve, free_tcp_port: int) -> None:
    away = f"127.0.0.1:{free_tcp_port}"
    server = serve(
        "asyncio",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{away}",
        OTEL_EXPORTER_OTLP_TIMEOUT="0.2",
        OTEL_BSP_SCHEDULE_DELAY="10",
        SENTRY_DSN=f"http://key@{away}/1",
        SENTRY_TRACES_SAMPLE_RATE="1",
    )
    for setting in ("OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"):
        server.get("/v1/patterns")
        server.wait_for(lambda line, setting=setting: line.get("setting") == setting)  # type: ignore[misc]
    for _ in range(5):
        server.get("/v1/patterns")
    server.stop()
    told = [line for line in server.log if line["level"] == "warning"]
    assert sorted(line["setting"] for line in told) == ["OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"]
