"""One line for each event, in JSON, with the request's id and without secrets."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vstack_proto.commands import Record
from vstack_runtime.logs import FORMATS, LEVELS, bind_request_id, configure, log_request, redact
from vstack_runtime.redaction import REDACTED

Lines = Callable[[], list[dict[str, Any]]]
RECORD = Record(
    surface="rest",
    request_id="req_0123456789abcdef",
    method="POST",
    path="/v1/analyze/aar",
    route="/v1/analyze/{name}",
    status=200,
    outcome="ok",
    pattern="aar",
    mode="standard",
    started=10_000.0,
    caller="alice",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    model="big-model",
    cache="miss",
    calls=2,
    input_tokens=1200,
    output_tokens=340,
    cost_usd=0.0123,
)


class Log:
    """A file that the process logs to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def configure(self, level: str = "info", fmt: str = "json") -> None:
        configure(level, fmt, self.fd)

    @property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def line(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "log")
    token = bind_request_id("")
    yield made
    bind_request_id("")
    token.var.reset(token)
    structlog.contextvars.clear_contextvars()
    os.close(made.fd)


def without_time(line: dict[str, Any]) -> dict[str, Any]:
    moment = dt.datetime.fromisoformat(line.pop("timestamp"))
    assert abs(dt.datetime.now(dt.UTC) - moment) < dt.timedelta(minutes=1)
    return line


def record(**changed: Any) -> Record:
    fields = {name: getattr(RECORD, name) for name in RECORD.__struct_fields__}
    return Record(**{**fields, **changed})


# The line of a request.


def test_a_request_is_one_line_with_all_that_is_known(log: Log) -> None:
    log.configure()
    log_request(RECORD, 0.0421234)
    assert without_time(log.line()) == {
        "level": "info",
        "event": "request",
        "request_id": "req_0123456789abcdef",
        "method": "POST",
        "path": "/v1/analyze/aar",
        "route": "/v1/analyze/{name}",
        "status": 200,
        "outcome": "ok",
        "duration_ms": 42.123,
        "pattern": "aar",
        "mode": "standard",
        "model": "big-model",
        "cache": "miss",
        "caller": "alice",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "calls": 2,
        "input_tokens": 1200,
        "output_tokens": 340,
        "cost_usd": 0.0123,
    }


def test_an_empty_field_is_left_out(log: Log) -> None:
    log.configure()
    bare = Record(
        surface="rest",
        request_id="req_1",
        method="GET",
        path="/v1/patterns",
        route="/v1/patterns",
        status=401,
        outcome="",
        pattern="other",
        mode="other",
        started=10_000.0,
        caller="",
        code="unauthorized",
    )
    log_request(bare, 0.0)
    assert without_time(log.line()) == {
        "level": "info",
        "event": "request",
        "request_id": "req_1",
        "method": "GET",
        "path": "/v1/patterns",
        "route": "/v1/patterns",
        "status": 401,
        "duration_ms": 0.0,
        "code": "unauthorized",
    }


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/patterns?key=abc", "/v1/patterns"),
        ("/" + "x" * 8000, "/" + "x" * 199),
        ("/\udc80", "/\\udc80"),
        ("/a\nb", "/a\nb"),
        ("*", "*"),
    ],
)
def test_the_path_has_no_query_and_an_end(log: Log, path: str, shown: str) -> None:
    log.configure()
    log_request(record(path=path), 0.01)
    assert log.line()["path"] == shown


@pytest.mark.parametrize(
    ("status", "level"),
    [(200, "info"), (404, "info"), (499, "info"), (500, "error"), (502, "warning"), (503, "warning"), (504, "warning")],
)
def test_a_failure_on_our_side_stands_out(log: Log, status: int, level: str) -> None:
    log.configure()
    log_request(record(status=status), 0.01)
    assert log.line()["level"] == level


@pytest.mark.parametrize("route", ["/livez", "/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize(("level", "number"), [("debug", 1), ("info", 0)])
def test_a_probe_is_a_debug_line_whatever_its_status(log: Log, route: str, level: str, number: int) -> None:
    log.configure(level)
    log_request(record(route=route, status=503), 0.01)
    assert len(log.lines()) == number


@pytest.mark.parametrize(
    ("level", "statuses"),
    [
        ("debug", [200, 503, 500]),
        ("info", [200, 503, 500]),
        ("warning", [503, 500]),
        ("error", [500]),
        ("critical", []),
    ],
)
def test_the_level_decides(log: Log, level: str, statuses: list[int]) -> None:
    log.configure(level)
    for status in (200, 503, 500):
        log_request(record(status=status), 0.01)
    assert [line["status"] for line in log.lines()] == statuses


def test_nothing_is_logged_where_nobody_asked_for_it(capfd: pytest.CaptureFixture[str]) -> None:
    log_request(record(status=500), 0.01)
    assert capfd.readouterr() == ("", "")


def test_by_default_lines_go_to_stderr(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    log_request(RECORD, 0.01)
    out, err = capfd.readouterr()
    assert (out, json.loads(err)["event"]) == ("", "request")


# The lines of everything else.


def test_structlog_and_the_standard_library_give_the_same_line(log: Log) -> None:
    log.configure()
    bind_request_id("req_1")
    structlog.get_logger("vstack").warning("slow", seconds=3)
    logging.getLogger("hypercorn.error").warning("slow %s", "indeed")
    first, second = map(without_time, log.lines())
    assert first == {"level": "warning", "request_id": "req_1", "event": "slow", "logger": "vstack", "seconds": 3}
    assert second == {"level": "warning", "request_id": "req_1", "event": "slow indeed", "logger": "hypercorn.error"}


def test_a_logger_made_before_follows_the_latest_configuration(log: Log) -> None:
    logger = structlog.get_logger("vstack")
    log.configure("error")
    logger.info("one")
    log.configure("info")
    logger.info("two")
    assert log.line()["event"] == "two"


@pytest.mark.parametrize("name", ["vstack", "hypercorn"])
def test_a_level_holds_for_both(log: Log, name: str) -> None:
    log.configure("warning")
    structlog.get_logger(name).info("no")
    logging.getLogger(name).info("no")
    assert log.text == ""


def test_each_task_has_its_own_request_id(log: Log) -> None:
    log.configure()

    async def handle(request_id: str, own: asyncio.Event, other: asyncio.Event) -> None:
        bind_request_id(request_id)
        own.set()
        await other.wait()
        structlog.get_logger().info(request_id)

    async def both() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(handle("req_1", one, two), handle("req_2", two, one))

    asyncio.run(both())
    structlog.get_logger().info("outside")
    told = sorted((line["event"], line.get("request_id")) for line in log.lines())
    assert told == [("outside", None), ("req_1", "req_1"), ("req_2", "req_2")]


def test_the_token_of_an_id_undoes_it(log: Log) -> None:
    log.configure()
    bind_request_id("req_1")
    token = bind_request_id("req_2")
    token.var.reset(token)
    structlog.get_logger().info("x")
    assert log.line()["request_id"] == "req_1"


@pytest.mark.parametrize("logger", [structlog.get_logger("vstack"), logging.getLogger("vstack")])
def test_an_exception_is_one_line_too(log: Log, logger: Any) -> None:
    log.configure()
    try:
        raise LookupError("no such thing")
    except LookupError:
        logger.exception("failed")
    line = log.line()
    assert line["level"] == "error"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("LookupError: no such thing")


def test_warnings_are_logged(log: Log) -> None:
    log.configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("this will go away", DeprecationWarning, stacklevel=1)
    line = log.line()
    assert line["logger"] == "py.warnings"
    assert "DeprecationWarning: this will go away" in line["event"]


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "anthropic._base_client", "hpack.hpack"])
def test_clients_that_log_bodies_and_headers_stay_silent(log: Log, name: str) -> None:
    log.configure("debug")
    logging.getLogger(name).debug("POST https://api.example/v1 {'trace': ...}")
    logging.getLogger(name).warning("gone")
    assert log.line()["event"] == "gone"


# Secrets.


NAMED_SECRET = """
authorization Authorization Proxy-Authorization cookie set-cookie api_key apiKey APIKey apikey x-api-key
ANTHROPIC_API_KEY VSTACK_API_KEYS key keys token access_token accessToken secret client-secret password passwd
redis.password credential credentials SENTRY_DSN
"""


@pytest.mark.parametrize("name", NAMED_SECRET.split())
@pytest.mark.parametrize("value", ["hunter2", b"hunter2", ["hunter2"], {"it": "hunter2"}, ("a", {"hunter2"})])
def test_what_is_named_like_a_secret_is_hidden(log: Log, name: str, value: object) -> None:
    log.configure()
    structlog.get_logger().info("x", **{name: value}, deep=[{"settings": {name: value}}])
    assert "hunter2" not in log.text
    line = log.line()
    assert (line[name], line["deep"]) == (REDACTED, [{"settings": {name: REDACTED}}])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keys", 3), ("input_tokens", 1200), ("tokens", 0.5), ("monkey", "ape"), ("keyboard", "qwerty"),
        ("tokenizer", "bpe"), ("has_token", True), ("token", None), ("author", "alice"), ("secretary", "bob"),
    ],
)  # fmt: skip
def test_what_only_sounds_like_one_is_shown(name: str, value: object) -> None:
    assert redact(None, "", {name: value}) == {name: value}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdef012345", "Authorization: [redacted]"),
        ("sent basic dXNlcjpwYXNz==, got 401", "sent [redacted], got 401"),
        ("Incorrect API key provided: sk-ant-api03-abcdef", "Incorrect API key provided: [redacted]"),
        ("openai:gsk_0123456789abcdef", "openai:[redacted]"),
        ("GET /v1/models?limit=5&api_key=01234567&x=1", "GET /v1/models?limit=5[redacted]&x=1"),
        ("redis://user:hunter2@host:6379/0 is away", "redis://[redacted]host:6379/0 is away"),
        ("http://127.0.0.1:8000/v1 is fine", "http://127.0.0.1:8000/v1 is fine"),
        ("the risk-averse bearer of news", "the risk-averse bearer of news"),
    ],
)
def test_credentials_inside_of_texts_are_hidden(log: Log, text: str, shown: str) -> None:
    log.configure()
    logging.getLogger("client").warning(text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        structlog.get_logger().exception("failed", told=[text])
    first, second = log.lines()
    assert first["event"] == shown
    assert second["told"] == [shown]
    assert second["exception"].endswith(f"RuntimeError: {shown}")


# Whatever is logged, a line comes out and nothing is raised.

# Names that structlog has a use for.
RESERVED = ("event", "exc_info", "stack_info", "self")
# Lone surrogates too, which have no bytes in UTF-8.
texts = st.text(st.characters())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary() | st.datetimes() | st.builds(object),
    lambda inner: st.lists(inner) | st.dictionaries(texts | st.integers() | st.tuples(texts), inner),
    max_leaves=10,
)
names = st.from_regex(r"[a-z]\w{0,9}", fullmatch=True).filter(lambda name: name not in RESERVED)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("fmt", FORMATS)
@given(event=texts, fields=st.dictionaries(names, values, max_size=4))
def test_anything_can_be_logged(log: Log, fmt: str, event: str, fields: dict[str, Any]) -> None:
    log.configure(fmt=fmt)
    before = log.path.stat().st_size
    structlog.get_logger().info(event, **fields)
    with log.path.open("rb") as file:
        file.seek(before)
        written = file.read()
    assert written.endswith(b"\n")
    if fmt == "json":
        assert written.count(b"\n") == 1
        line = json.loads(written, parse_constant=pytest.fail)
        assert {"timestamp", "level", "event", *fields} == line.keys()


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_cannot_be_shown_is_named(log: Log) -> None:
    log.configure()
    structlog.get_logger().info("x", it=Unshowable())
    logging.getLogger("x").info("%r", Unshowable())
    first, second = log.lines()
    assert first["it"] == "<Unshowable that cannot be shown>"
    assert second["event"] == "%r <tuple that cannot be shown>"


def test_arguments_that_do_not_fit_hide_no_message(log: Log) -> None:
    log.configure()
    logging.getLogger("x").info("%d apples", "three")
    assert log.line()["event"] == "%d apples ('three',)"


def test_what_holds_itself_ends(log: Log) -> None:
    log.configure()
    loop: list[Any] = []
    loop.append(loop)
    structlog.get_logger().info("x", loop=loop)
    assert log.line()["event"] == "x"


def test_a_log_that_cannot_be_written_takes_nothing_down(log: Log) -> None:
    read, write = os.pipe()
    os.close(read)
    configure("info", "json", write)
    try:
        log_request(RECORD, 0.01)
        logging.getLogger("x").error("y")
    finally:
        os.close(write)


def test_console_is_for_people(log: Log) -> None:
    log.configure(fmt="console")
    log_request(record(model=""), 0.0421)
    structlog.get_logger("vstack").warning("slow", api_key="hunter2")
    first, second = log.text.splitlines()
    assert "request" in first
    assert "duration_ms=42.1 " in first
    assert "model=" not in first
    assert "{" not in second
    assert f"api_key='{REDACTED}'" in second or f"api_key={REDACTED}" in second


@pytest.mark.parametrize(
    "text", ["m\x1b[2Jx", "m\x9b2Jx", "m\u202ex", "one\rtwo", "one\ntwo", "\x07", "\u2028", "\x85"]
)
def test_nobody_writes_to_the_terminal_by_the_log(log: Log, text: str) -> None:
    log.configure(fmt="console")
    log_request(record(model=text, path=f"/{text}"), 0.0421)
    structlog.get_logger("vstack").warning(text, said=text, inside={text: [text]}, **{text: 1})
    logging.getLogger("another").warning("told %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        structlog.get_logger("vstack").exception("it broke")
    data = log.path.read_bytes()
    shown = data.decode()
    assert all(char.isprintable() or char == "\n" for char in shown), ascii(shown)
    assert b"Traceback" in data
    lines = shown.splitlines()
    assert [line for line in lines if "request_id" in line] == lines[:1], "a request is one line"
    assert repr(text)[1:-1] in lines[0]


@pytest.mark.parametrize(("level", "fmt", "told"), [("loud", "json", "'loud'"), ("info", "xml", "'xml'")])
def test_an_unknown_word_is_refused_with_what_is_allowed(log: Log, level: str, fmt: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        configure(level, fmt, log.fd)
    assert any(word in str(refused.value) for word in (", ".join(LEVELS), ", ".join(FORMATS)))
