"""Whatever a peer sends: no crash, and every line that comes back is a message."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.mcp.everything import EXTRAS
from tests.mcp.test_session import ABOUT, CALL, ENVELOPE, offer
from tests.proto.last_word import PATTERN
from vstack_mcp.methods import OFFERED
from vstack_mcp.revisions import LEGACY, LOG_LEVEL_KEY, MODERN
from vstack_mcp.session import (
    AnyEvent,
    BeginCall,
    BytesReceived,
    CallTold,
    GraceEnded,
    InputEnded,
    OfferLoaded,
    SendLine,
    Session,
)
from vstack_mcp.transport_http import routes
from vstack_proto.catalogue import Catalogue
from vstack_proto.contributed import Asked, Direct
from vstack_proto.errors import RemoteProtocolError
from vstack_proto.policy import Policy

METHODS = (*sorted(OFFERED), "initialize", "ping", "logging/setLevel", "server/discover", "notifications/cancelled", "")
WORDS = ("vstack_last_word", "vstack_pick_pattern", "add", "vstack://patterns/index", "ref/prompt", "info", "", *MODERN)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    ("name", "arguments", "uri", "cursor", "ref", "argument", "level", "protocolVersion", "requestId", "type", "value")
)
metas = st.one_of(
    st.just(ENVELOPE),
    st.just({**ENVELOPE, LOG_LEVEL_KEY: "debug", "progressToken": 3}),
    st.dictionaries(st.sampled_from((*ENVELOPE, LOG_LEVEL_KEY, "progressToken")), values, max_size=4),
    values,
)
params = st.one_of(
    st.dictionaries(names, values, max_size=3),
    st.builds(lambda told, meta: {**told, "_meta": meta}, st.dictionaries(names, values, max_size=3), metas),
    st.just(CALL),
    st.just({"protocolVersion": LEGACY[0]}),
    values,
)
frames = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | values,
        "id": st.integers(0, 3) | values,
        "method": st.sampled_from(METHODS) | values,
        "params": params,
        "result": values,
    },
)
sound = st.builds(
    lambda number, method, told: {"jsonrpc": "2.0", "id": number, "method": method, "params": told},
    st.integers(0, 3),
    st.sampled_from(METHODS),
    params,
)
bodies = st.one_of(sound, frames).map(lambda told: json.dumps(told).encode()) | st.binary(max_size=40)
events: st.SearchStrategy[AnyEvent] = st.one_of(
    bodies.map(lambda line: BytesReceived(line + b"\n")),
    st.binary(max_size=20).map(BytesReceived),
    st.builds(CallTold, st.integers(0, 3), st.just(b'{"jsonrpc":"2.0"}'), st.booleans()),
    st.just(OfferLoaded()),
    st.just(GraceEnded()),
    st.just(InputEnded()),
)


def fed(made: Session, event: AnyEvent) -> None:
    """Feed an event as a transport would; what comes back must be sound."""
    if isinstance(event, OfferLoaded):
        made.serve(offer(EXTRAS), 1_000)
    for command in made.handle(event):
        if isinstance(command, SendLine):
            told = json.loads(command.data.decode())
            assert told["jsonrpc"] == "2.0"
            assert b"\n" not in command.data
        elif isinstance(command, BeginCall):
            assert json.loads(command.message)["params"]["name"] == "vstack_last_word"


@given(st.lists(events, max_size=12))
def test_a_session_survives_any_order_of_anything(told: list[AnyEvent]) -> None:
    made = Session(ABOUT, 1_000)
    for event in told:
        fed(made, event)


@given(bodies, st.integers(1, 7))
def test_how_bytes_are_cut_makes_no_difference(line: bytes, size: int) -> None:
    whole, cut = Session(ABOUT, 1_000), Session(ABOUT, 1_000)
    for made in (whole, cut):
        made.serve(offer(EXTRAS), 1_000)
    line += b"\n"
    expected = whole.handle(BytesReceived(line))
    parts = [line[at : at + size] for at in range(0, len(line), size)]
    assert tuple(one for part in parts for one in cut.handle(BytesReceived(part))) == expected


def contribution() -> Any:
    catalogue = Catalogue((PATTERN,))
    (route,) = routes(catalogue, Policy(version="1.2.3"), EXTRAS)
    return route.contribution


SERVED = contribution()
headers = st.dictionaries(
    st.sampled_from(("accept", "host", "origin", "mcp-protocol-version", "mcp-method", "mcp-name")),
    st.sampled_from((*WORDS, *METHODS, *LEGACY, "application/json", "text/event-stream", "=?base64?", "localhost")),
)


@given(headers, bodies)
def test_no_post_breaks_the_route(fields: dict[str, str], body: bytes) -> None:
    try:
        SERVED.check(fields)
    except RemoteProtocolError:
        return  # refused by its head: a foreign page, or no form of answer that it reads
    told = SERVED.open(fields, body)
    assert isinstance(told, Direct | Asked)
    if isinstance(told, Direct) and told.content_type == "application/json":
        assert json.loads(told.body)["jsonrpc"] == "2.0"
