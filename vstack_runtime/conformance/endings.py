"""Scenarios of how things end early: peers that leave, deadlines, shared analyses, slow readers, the service's end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from vstack_proto.answers import HEARTBEAT
from vstack_runtime.conformance.kit import Kit, Peer, Scenario, analysis, request
from vstack_runtime.conformance.parts import (
    ANALYZE,
    CountingCache,
    FixedLimiter,
    Gate,
    GatedCache,
    GatedLimiter,
    GatedProvider,
    PacedProvider,
    must,
    wait_until,
)
from vstack_runtime.conformance.requests import CHUNKED, EVENTS, chunk

Leave = Callable[[Peer], None]


def half_close(peer: Peer) -> None:
    """Leave politely."""
    peer.wire.half_close()


def abort(peer: Peer) -> None:
    """Leave with a reset."""
    peer.wire.abort()


def vanishes_in_the_body(kit: Kit, leave: Leave) -> None:
    """The peer leaves before its body is complete: nobody is answered, and the exchange is counted as cancelled."""
    limiter = FixedLimiter(100)
    kit.start(limiter=limiter)
    heads = (
        request(ANALYZE, "Content-Length: 1000", method="POST") + b"{",
        request(ANALYZE, CHUNKED, method="POST") + chunk(b"{") + b"5\r\n",
    )
    for times, head in enumerate(heads, 1):
        peer = kit.connect(head)
        wait_until(partial(_asked, limiter, times), "the head has come")
        leave(peer)
        kit.wait_ended_as("cancelled", mode="other", times=times)
    must(kit.connect(analysis("still here")).answer().status == 200, "others are served")


def _asked(limiter: FixedLimiter, times: int) -> bool:
    return limiter.asked >= times


# What an exchange may wait for: a name, and what makes it wait there.
Wait = tuple[str, Callable[[], Any]]
WAITS: tuple[Wait, ...] = (("limiter", GatedLimiter), ("cache", GatedCache), ("provider", GatedProvider))


def leaves_while_waiting(kit: Kit, wait: Wait, leave: Leave) -> None:
    """The peer leaves while a store or a model is asked: the call is cancelled."""
    name, make = wait
    held = make()
    gate: Gate = held.gate
    kit.start(**{name: held})
    model = None if name == "provider" else "offline"
    peer = kit.connect(analysis(model=model))
    gate.wait_for(1)
    leave(peer)
    gate.wait_cancelled(1)
    kit.wait_ended_as("cancelled", mode="other" if name == "limiter" else "quick")
    gate.open()
    must(kit.connect(analysis(model=model)).answer().status == 200, "the next one is served")


def too_late_while_waiting(kit: Kit, wait: Wait) -> None:
    """The deadline passes while a store or a model is asked: 504, the call is cancelled, the connection lives on."""
    name, make = wait
    held = make()
    gate: Gate = held.gate
    kit.start(**{name: held}, request_timeout=0.2)
    model = None if name == "provider" else "offline"
    peer = kit.connect(analysis(model=model))
    answer = peer.answer()
    must(answer.status == 504 and answer.error == "timeout", f"{answer.head + answer.body!r}")
    gate.wait_cancelled(1)
    gate.open()
    # Before the quota is known the body is not read, so that the connection cannot be used again.
    peer = kit.connect() if answer.closes else peer
    must(peer.send(analysis(model=model, name="next")).answer().status == 200, "the next one is served")


def body_stalls(kit: Kit) -> None:
    """A body that stops coming: 408, and the end of the connection."""
    kit.start(body_timeout=0.2)
    peer = kit.connect(request(ANALYZE, "Content-Length: 1000", method="POST") + b'{"trace"')
    answer = peer.answer()
    must(answer.status == 408 and answer.closes, f"{answer.head!r}")
    half_close(peer)
    peer.ended()


def head_stalls(kit: Kit) -> None:
    """A head that stops coming: 408; a connection that never says anything is closed without a word."""
    kit.start(head_timeout=0.2)
    silent = kit.connect()
    peer = kit.connect(b"GET /livez HTT")
    answer = peer.answer()
    must(answer.status == 408 and answer.closes, f"{answer.head!r}")
    half_close(peer)
    peer.ended()
    silent.ended()


def idles(kit: Kit) -> None:
    """A connection without a request for too long is closed; so is one that has had its share of requests."""
    kit.start(keep_alive_timeout=0.2, max_requests_per_connection=3)
    peer = kit.connect(request("/livez"))
    peer.answer()
    peer.ended()
    peer = kit.connect(request("/livez") * 4)
    closing = [peer.answer().closes for _ in range(3)]
    must(closing == [False, False, True], f"{closing}")
    peer.ended()


def one_analysis_for_many(kit: Kit) -> None:
    """Twenty equal requests at once: one call of the model, the same detection for all."""
    provider, cache = GatedProvider(), CountingCache()
    kit.start(provider=provider, cache=cache)
    peers = [kit.connect(analysis("shared", model=None, name="leads"))]
    provider.gate.wait_for(1)
    peers += [kit.connect(analysis("shared", model=None, name=f"follows-{n}")) for n in range(19)]
    wait_until(lambda: cache.looked_up == 20, "twenty exchanges have come to the flight")
    provider.gate.open()
    answers = [peer.answer() for peer in peers]
    must([answer.status for answer in answers] == [200] * 20, "all are answered")
    told = [answer.fields["x-cache"] for answer in answers]
    must(told == ["miss"] + ["coalesced"] * 19, f"{told}")
    runs = {msgspec.json.decode(answer.body)["detection"]["run_id"] for answer in answers}
    must(len(runs) == 1, f"{len(runs)} analyses were made")
    must(provider.gate.came == 1, f"the model was called {provider.gate.came} times")


def _in_flight(kit: Kit) -> tuple[GatedProvider, Peer, Peer]:
    """A model that is asked by the first of two who share an analysis; the leader, and the follower."""
    provider, cache = GatedProvider(), CountingCache()
    kit.start(provider=provider, cache=cache)
    leader = kit.connect(analysis("shared", model=None, name="leads"))
    provider.gate.wait_for(1)
    follower = kit.connect(analysis("shared", model=None, name="follows"))
    wait_until(lambda: cache.looked_up == 2, "the follower has come to the flight")
    return provider, leader, follower


def follower_takes_over(kit: Kit) -> None:
    """The leader of a shared analysis leaves: its call is cancelled, and the follower asks anew."""
    provider, leader, follower = _in_flight(kit)
    abort(leader)
    provider.gate.wait_cancelled(1)
    provider.gate.wait_for(2)
    provider.gate.open()
    answer = follower.answer()
    must(answer.status == 200 and answer.fields["x-cache"] == "miss", f"{answer.head!r}")


def follower_leaves(kit: Kit) -> None:
    """A follower leaves: the leader's analysis goes on."""
    provider, leader, follower = _in_flight(kit)
    half_close(follower)
    kit.wait_ended_as("cancelled")
    must(provider.gate.cancelled == 0, "the leader's call was cancelled")
    provider.gate.open()
    must(leader.answer().status == 200, "the leader is answered")


def leaves_a_stream(kit: Kit) -> None:
    """The peer of a stream of events leaves: the call is cancelled."""
    provider = GatedProvider()
    kit.start(provider=provider)
    peer = kit.connect(analysis("told", EVENTS, mode="standard", model=None))
    provider.gate.wait_for(1)
    abort(peer)
    provider.gate.wait_cancelled(1)
    kit.wait_ended_as("cancelled", mode="standard")


def long_stream(kit: Kit) -> None:
    """A stream in which nothing happens for long: comments show that it lives, to those who follow too."""
    provider, cache = GatedProvider(), CountingCache()
    kit.start(provider=provider, cache=cache, heartbeat=0.05)
    peers = [kit.connect(analysis("long", EVENTS, model=None, name="leads"))]
    provider.gate.wait_for(1)
    peers.append(kit.connect(analysis("long", EVENTS, model=None, name="follows")))
    parts: list[list[bytes]] = [[], []]
    for peer, told in zip(peers, parts, strict=True):
        must(peer.head().startswith(b"HTTP/1.1 200 "), "the stream has begun")
        while told.count(HEARTBEAT) < 2:
            told.append(peer.part())
    provider.gate.open()
    for peer, told in zip(peers, parts, strict=True):
        while told[-1]:
            told.append(peer.part())
        must(peer.send(request("/livez")).answer().status == 200, "the connection lives on")
    names = [[part.split(b"\n")[0] for part in told if part not in (HEARTBEAT, b"")] for told in parts]
    must(names == [[b"event: progress", b"event: result"]] * 2, f"{names}")


def followers_hear_of_passes(kit: Kit) -> None:
    """Who follows a shared analysis hears of each pass as its leader does, from the one on that runs when they come."""
    provider, cache = PacedProvider(2), CountingCache()
    kit.start(provider=provider, cache=cache)

    def come(name: str) -> Peer:
        return kit.connect(analysis("shared", EVENTS, mode="standard", model=None, name=name))

    leader = come("leads")
    provider.gates[0].wait_for(1)
    early, silent = come("follows early"), kit.connect(analysis("shared", mode="standard", model=None, name="silent"))
    wait_until(lambda: cache.looked_up == 3, "three exchanges have come to the flight")
    provider.gates[0].open()
    provider.gates[1].wait_for(1)
    late = come("follows late")
    parts: list[list[bytes]] = []
    for peer in (early, late):
        must(peer.head().startswith(b"HTTP/1.1 200 "), "the stream has begun")
        parts.append([peer.part()])
    # Each has heard while the model was still asked.
    must(b'"pass":1,' in parts[0][0] and b'"pass":2,' in parts[1][0], f"{parts}")
    provider.gates[1].open()
    for peer, told in zip((early, late), parts, strict=True):
        while told[-1]:
            told.append(peer.part())
    heard = [*(leader.answer().parts or ())]
    names = [part.split(b"\n")[0] for part in heard]
    must(names == [b"event: progress", b"event: progress", b"event: result", b""], f"{names}")
    must(parts == [heard, heard[1:]], f"all hear the same: {parts}")
    answer = silent.answer()
    must(answer.fields["x-cache"] == "coalesced" and answer.parts is None, "who listens to nothing has one body")
    must(provider.gates[1].came == 1, "the model was asked once for each pass")


def late_stream(kit: Kit) -> None:
    """A stream whose time is up: its last event says so, and the call is cancelled."""
    provider = GatedProvider()
    kit.start(provider=provider, heartbeat=0.1, request_timeout=0.35)
    told = kit.connect(analysis("late", EVENTS, model=None)).answer(heard=False).parts or ()
    must(told.count(HEARTBEAT) >= 2, f"{told}")
    must(told[-2].startswith(b"event: error\n") and b'"timeout"' in told[-2], f"{told}")
    provider.gate.wait_cancelled(1)
    kit.wait_ended_as("timeout")


def unread_stream(kit: Kit) -> None:
    """A stream that nobody reads: what it holds is let go after a while, and its connection ends."""
    # More than the buffers of a connection over loopback take.
    size = 2_000_000
    kit.start(write_timeout=0.2, max_body_bytes=8 * size, max_string_chars=size, max_total_chars=size)
    text = "\x01" * size  # of which each takes six bytes in JSON
    for number in range(2):
        kit.connect(analysis(text, EVENTS))
        kit.wait_ended_as("ok", times=number + 1)
    kit.wait_connections(0)
    must(kit.connect(analysis("others", EVENTS)).answer(heard=False).status == 200, "others are served")


def slow_reader(kit: Kit) -> None:
    """Who asks for much and reads little is not served ahead; others are, and in the end all answers come whole."""
    kit.start()
    many, target = 300, "/openapi.json"
    slow = kit.connect(request(target) * many)
    first = slow.answer(heard=False)
    other = kit.connect()
    # The server has had its turn this often: one that heeds nobody's pace would be done by now.
    for _ in range(50):
        other.send(request("/livez")).answer(heard=False)
    served = kit.count("vstack_http_responses_total", route=target, status="200")
    must(served < many, f"all {many} answers of {len(first.body)} bytes are waiting for a peer that does not read")
    for _ in range(many - 1):
        must(slow.answer(heard=False).body == first.body, "an answer is not whole")
    must(slow.send(request("/livez")).answer().status == 200, "the connection lives on")


def never_reads(kit: Kit) -> None:
    """Who never reads is cut off after a while."""
    kit.start(write_timeout=0.2)
    kit.connect(request("/openapi.json") * 300)
    kit.wait_connections(1)
    kit.wait_connections(0)


def drains(kit: Kit) -> None:
    """Asked to stop: the analysis that runs is answered, new requests are too, each with the end of its connection."""
    provider = GatedProvider()
    kit.start(provider=provider, drain_delay=1.0)
    idle = kit.connect(request("/livez"))
    idle.answer()
    running = kit.connect(analysis("running", model=None))
    provider.gate.wait_for(1)
    kit.server.ask_to_stop()
    wait_until(lambda: kit.engine.status == "draining", "the service says that it stops")
    for status, one in ((503, request("/readyz")), (200, request("/livez")), (200, analysis("new"))):
        peer = kit.connect(one)
        answer = peer.answer()
        must(answer.status == status and answer.closes, f"{answer.head!r}")
        peer.ended()
    wait_until(partial(_refuses, kit), "the server listens no more")
    idle.ended()
    provider.gate.open()
    answer = running.answer()
    must(answer.status == 200 and answer.closes, f"{answer.head!r}")
    running.ended()


def _refuses(kit: Kit) -> bool:
    try:
        kit.connect().wire.close()
    except OSError:
        return True
    return False


def stops_now(kit: Kit) -> None:
    """Asked twice: what runs is answered 503, its call is cancelled, and the service ends."""
    provider = GatedProvider()
    kit.start(provider=provider, drain_delay=60.0)
    running = kit.connect(analysis("running", model=None))
    half = kit.connect(request(ANALYZE, "Content-Length: 1000", method="POST") + b"{")
    provider.gate.wait_for(1)
    kit.server.ask_to_stop()
    wait_until(lambda: kit.engine.status == "draining", "the service says that it stops")
    kit.server.ask_to_stop()
    for peer in (running, half):
        answer = peer.answer()
        must(answer.status == 503 and answer.error == "draining" and answer.closes, f"{answer.head!r}")
        half_close(peer)
        peer.ended()
    must(provider.gate.cancelled == 1, "the call still runs")


def runs_out_of_time(kit: Kit) -> None:
    """Asked to stop once: what is in flight has the request's deadline, and no more."""
    provider = GatedProvider()
    kit.start(provider=provider, request_timeout=0.5)
    running = kit.connect(analysis("running", model=None))
    provider.gate.wait_for(1)
    kit.server.ask_to_stop()
    answer = running.answer(heard=False)
    # Two clocks of the same length: which one strikes first is nobody's promise.
    must(answer.status in (503, 504) and answer.closes, f"{answer.head!r}")
    running.ended()


def pipelined_behind(kit: Kit) -> None:
    """A second request behind one that waits for a model: it waits its turn."""
    provider = GatedProvider()
    kit.start(provider=provider)
    peer = kit.connect(analysis(model=None, name="first") + request("/v1/patterns", name="second"))
    provider.gate.wait_for(1)
    provider.gate.open()
    names = [peer.answer().fields["x-request-id"] for _ in range(2)]
    must(names == ["first", "second"], f"{names}")


ENDINGS: tuple[Scenario, ...] = (
    Scenario("half-closes in the body", partial(vanishes_in_the_body, leave=half_close)),
    Scenario("vanishes in the body", partial(vanishes_in_the_body, leave=abort)),
    *(
        Scenario(f"{told} while the {wait[0]} is asked", partial(leaves_while_waiting, wait=wait, leave=leave))
        for wait in WAITS
        for told, leave in (("half-closes", half_close), ("vanishes", abort))
    ),
    *(Scenario(f"too late while the {wait[0]} is asked", partial(too_late_while_waiting, wait=wait)) for wait in WAITS),
    Scenario("a body that stalls", body_stalls),
    Scenario("a head that stalls", head_stalls, wire=True),
    Scenario("idle and worn out connections", idles, wire=True),
    Scenario("twenty equal requests", one_analysis_for_many),
    Scenario("a follower takes over", follower_takes_over),
    Scenario("a follower leaves", follower_leaves),
    Scenario("leaves a stream", leaves_a_stream),
    Scenario("a long stream", long_stream),
    Scenario("followers hear of passes", followers_hear_of_passes),
    Scenario("a late stream", late_stream),
    Scenario("a stream that nobody reads", unread_stream, wire=True),
    Scenario("a request behind one that waits", pipelined_behind),
    Scenario("a slow reader", slow_reader),
    Scenario("a peer that never reads", never_reads, wire=True),
    Scenario("drains", drains),
    Scenario("stops now", stops_now),
    Scenario("runs out of time", runs_out_of_time),
)
