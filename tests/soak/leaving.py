"""Callers who leave, in every phase that a connection and an exchange can be in."""

from __future__ import annotations

import asyncio

from tests.soak.talking import Talk
from tests.soak.traffic import CACHED, ENDS, EVENTS, WORDS, Traffic, analysis, asked, request

SOON = 0.02


async def left(traffic: Traffic, talk: Talk) -> None:
    """Whoever has the connection closes it behind this."""
    traffic.sent += 1
    await traffic.random.choice(WAYS)(traffic, talk)


def _hung(traffic: Traffic, *fields: str, mode: str = "quick") -> bytes:
    return analysis(traffic.pattern(), traffic.key, asked(traffic.goal("hung"), mode=mode), *fields)


async def _in_the_head(traffic: Traffic, talk: Talk) -> None:
    data = request("GET", "/v1/patterns", traffic.key)
    talk.send(data[: traffic.random.randrange(len(data))])


async def _in_the_body(traffic: Traffic, talk: Talk) -> None:
    body = traffic.random.choice([CACHED[0][1], WORDS])
    await talk.pushed(analysis("aar", traffic.key, body)[: -traffic.random.randrange(1, len(body))])


async def _in_a_chunk(traffic: Traffic, talk: Talk) -> None:
    talk.send(request("POST", "/v1/analyze/aar", traffic.key, None, "Transfer-Encoding: chunked") + b'64\r\n{"tr')


async def _once_the_body_is_wanted(traffic: Traffic, talk: Talk) -> None:
    talk.send(request("POST", "/v1/analyze/aar", traffic.key, None, "Content-Length: 50", "Expect: 100-continue"))
    await talk.interim()


async def _before_the_answer(traffic: Traffic, talk: Talk) -> None:
    talk.send(analysis(traffic.pattern(), traffic.key, asked(traffic.goal("well"), model="offline")))


async def _while_the_model_thinks(traffic: Traffic, talk: Talk) -> None:
    talk.send(_hung(traffic))
    await asyncio.sleep(traffic.random.random() * SOON)


async def _while_it_is_tried_again(traffic: Traffic, talk: Talk) -> None:
    kind = traffic.random.choice(["reset", "down"])
    talk.send(analysis(traffic.pattern(), traffic.key, asked(traffic.goal(kind), mode="quick")))
    await asyncio.sleep(traffic.random.random() * SOON)


async def _in_a_stream(traffic: Traffic, talk: Talk) -> None:
    talk.send(_hung(traffic, EVENTS, mode="standard"))
    await talk.head()
    await talk.part()


async def _between_the_passes(traffic: Traffic, talk: Talk) -> None:
    body = asked(traffic.goal("slow"), mode="forensic")
    talk.send(analysis(traffic.pattern(), traffic.key, body, EVENTS))
    await talk.head()
    for _ in range(traffic.random.randint(1, 3)):
        await talk.part()


async def _with_answers_unread(traffic: Traffic, talk: Talk) -> None:
    talk.send(request("GET", "/openapi.json", None) * 20)
    await talk.head()


async def _leading_a_flight(traffic: Traffic, talk: Talk) -> None:
    """Who waits for the same is answered all the same."""
    kind = traffic.random.choice(["slow", "dripping"])
    data = analysis(traffic.pattern(), traffic.key, asked(traffic.goal(kind), mode="quick"))
    heir = await traffic.talk()
    try:
        talk.send(data)
        await asyncio.sleep(SOON)
        heir.send(data)
        await talk.leave(rough=traffic.random.random() < 0.5)
        await traffic.ask(heir, b"", ENDS[kind], "who led has left")
    finally:
        await heir.leave(rough=False)


async def _following_a_flight(traffic: Traffic, talk: Talk) -> None:
    data = analysis(traffic.pattern(), traffic.key, asked(traffic.goal("slow"), mode="quick"))
    other = await traffic.talk()
    try:
        talk.send(data)
        await asyncio.sleep(SOON)
        other.send(data)
    finally:
        await other.leave(rough=traffic.random.random() < 0.5)
    await traffic.ask(talk, b"", {200}, "who followed has left")


async def _with_requests_behind(traffic: Traffic, talk: Talk) -> None:
    talk.send(_hung(traffic) + request("GET", "/v1/patterns", traffic.key) * 5)


WAYS = (
    _in_the_head,
    _in_the_body,
    _in_a_chunk,
    _once_the_body_is_wanted,
    _before_the_answer,
    _while_the_model_thinks,
    _while_it_is_tried_again,
    _in_a_stream,
    _between_the_passes,
    _with_answers_unread,
    _leading_a_flight,
    _following_a_flight,
    _with_requests_behind,
)
