"""What is asked while the service soaks: everything that callers do, good and bad, and what may come of it."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.e2e.serving import canonical_trace
from tests.soak.model import ALWAYS, ONCE
from tests.soak.talking import Broken, Reply, Talk

KEYS = {f"caller-{n}": f"soak-key-of-caller-{n}-0123456789" for n in range(8)}
# Uses up what the quota grants, and has a name of its own for that.
GREEDY = {"greedy": "soak-key-of-greedy-0123456789"}
# From here come wrong keys: their address is refused in the end.
STRANGER = "127.0.0.9"
QUOTA = 300
# Fills what the settings of ``soaked.py`` let the home keep.
_LEARNT = 250
# Those that read the least trace there is.
PATTERNS = ("aar", "bias_stack", "glaser_conversation", "hexaco", "lewin", "sdt_reward", "thomas_kilmann")
EVENTS = "Accept: text/event-stream"
# How a call may end that meets this; a second try is not always granted.
ENDS: dict[str, set[int]] = {
    **{kind: {200} for kind in ("well", "slow", "dripping")},
    **{kind: {502} for kind in ("refused", "rejected", "nonsense")},
    **{kind: {200, 503} for kind in ("cut", "reset", "down", "busy")},
    "hung": {504},
}
assert ENDS.keys() == ALWAYS.keys() | ONCE.keys()
# A service that has too much to do is asked less and less, and one that hangs holds its place: both are for the pauses.
_MODELS = [kind for kind in ENDS if kind not in ("hung", "busy")]

# None: whoever asked leaves now.
Action = Callable[["Traffic", Talk], Awaitable[Reply | None]]


def request(method: str, path: str, key: str | None, body: bytes | None = None, *fields: str) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: vstack", *fields]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def asked(goal: str, steps: int = 4, **more: Any) -> bytes:
    """The body of an analysis."""
    return json.dumps({"trace": canonical_trace(goal=goal, steps=steps), "format": "canonical", **more}).encode()


CACHED = [(PATTERNS[n % 4], asked(f"Do it again, number {n}", model="offline")) for n in range(20)]
WORDS = asked("Say much", 900, model="offline").replace(b"I agree.", b"I agree, and I say so at length. " * 30)
GZIPPED = gzip.compress(WORDS)
TOO_MUCH = b'{"trace": "' + b"x" * 4_000_000 + b'"}'
BROKEN = [b"{", b'{"trace": 1}', b"[]", b'{"trace": {"goal": NaN}}', b"\xff" * 50, b'{"a": ' * 3_000, b'"' * 5_000]
LEARNED = json.dumps({"pattern": "aar", "agent_id": "planner", "interventions_applied": ["tool_upgrade"]}).encode()
TOOLS = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'


class Traffic:
    """Makes requests, and remembers what came of them.

    Attributes:
        sent: Requests so far, those that were left included.
        seen: How often which action met which status; 0 for no answer wanted.
        wrong: What must not have come.
    """

    def __init__(self, port: int, shares: Mapping[Action, float], seed: int) -> None:
        self._port, self._shares = port, shares
        self.random = random.Random(seed)
        self.numbers = itertools.count()
        self._keys = itertools.cycle(KEYS.values())
        self.sent = 0
        self.seen: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []

    @property
    def key(self) -> str:
        """The next caller's key."""
        return next(self._keys)

    def goal(self, kind: str) -> str:
        """A goal that nobody has had before, and that tells the model what to do."""
        return f"Report the highest temperature, soak:{kind}:{next(self.numbers)}"

    def pattern(self) -> str:
        return self.random.choice(PATTERNS)

    async def talk(self, source: str = "127.0.0.1") -> Talk:
        """A connection of its own."""
        return await Talk.open(self._port, source)

    async def overture(self) -> None:
        """Everything once, by every pattern and in every mode: what is made at the first use is made now."""
        talk = await self.talk()
        for pattern in PATTERNS:
            for mode in ("quick", "standard", "forensic"):
                for model in ("offline", "m-1"):
                    body = asked(self.goal("well"), mode=mode, model=model)
                    await self.ask(talk, analysis(pattern, self.key, body), {200})
        for _ in range(_LEARNT):
            await self.ask(talk, request("POST", "/v1/learnings", self.key, LEARNED), {201})
        for action in self._shares:
            for _ in range(8):
                made = await self.made(action, talk)
                if made is None or made.closes:
                    await talk.leave(rough=False)
                    talk = await self.talk()
        await talk.leave(rough=False)

    async def session(self) -> None:
        """One connection, with some requests on it, one after the other, the last of which may be left."""
        talk = await self.talk()
        try:
            for _ in range(self.random.randint(1, 12)):
                (action,) = self.random.choices(list(self._shares), list(self._shares.values()))
                reply = await self.made(action, talk)
                if reply is None or reply.closes:
                    return
        finally:
            await talk.leave(rough=self.random.random() < 0.5)

    async def made(self, action: Action, talk: Talk) -> Reply | None:
        """Do one thing, and note how it went."""
        name = action.__name__
        try:
            reply = await action(self, talk)
        except (Broken, OSError, asyncio.IncompleteReadError) as error:
            self.fail(f"{name}: {error!r}")
            return None
        self.seen[name, 0 if reply is None else reply.status] += 1
        return reply

    def fail(self, told: str) -> None:
        """Note what must not be."""
        self.wrong.append(told)

    async def ask(self, talk: Talk, data: bytes, allowed: set[int], about: str = "") -> Reply:
        """Send a request and read its answer, which must have one of these statuses."""
        self.sent += 1
        await talk.pushed(data)
        reply = await talk.reply()
        if reply.status not in allowed:
            self.fail(f"{reply.status} where {sorted(allowed)} may be, {about or data[:60]!r}: {reply.body[:300]!r}")
        return reply


def analysis(path: str, key: str, body: bytes, *fields: str) -> bytes:
    return request("POST", f"/v1/analyze/{path}", key, body, *fields)


async def cached(traffic: Traffic, talk: Talk) -> Reply:
    pattern, body = traffic.random.choice(CACHED)
    return await traffic.ask(talk, analysis(pattern, traffic.key, body), {200})


async def offline(traffic: Traffic, talk: Talk) -> Reply:
    body = asked(traffic.goal("well"), traffic.random.randint(1, 12), model="offline")
    return await traffic.ask(talk, analysis(traffic.pattern(), traffic.key, body), {200})


async def modelled(traffic: Traffic, talk: Talk) -> Reply:
    kind = traffic.random.choice(_MODELS)
    body = asked(traffic.goal(kind), mode="quick")
    return await traffic.ask(talk, analysis(traffic.pattern(), traffic.key, body), ENDS[kind], kind)


async def well(traffic: Traffic, talk: Talk) -> Reply:
    body = asked(traffic.goal("well"), mode="quick")
    return await traffic.ask(talk, analysis("aar", traffic.key, body), {200})


async def busy(traffic: Traffic, talk: Talk) -> Reply:
    body = asked(traffic.goal("busy"), mode="quick")
    return await traffic.ask(talk, analysis(traffic.pattern(), traffic.key, body), ENDS["busy"])


async def hung(traffic: Traffic, talk: Talk) -> Reply:
    """Wait for the deadline."""
    body = asked(traffic.goal("hung"), mode="quick")
    return await traffic.ask(talk, analysis(traffic.pattern(), traffic.key, body), {504})


async def streamed(traffic: Traffic, talk: Talk) -> Reply:
    kind = traffic.random.choice(_MODELS)
    body = asked(traffic.goal(kind), mode="standard")
    reply = await traffic.ask(talk, analysis(traffic.pattern(), traffic.key, body, EVENTS), {200}, kind)
    last = reply.body.rpartition(b"event: ")[2].partition(b"\n")[0]
    ends = {200: b"result", 502: b"error", 503: b"error"}
    if last not in {ends[status] for status in ENDS[kind]}:
        traffic.fail(f"a stream of {kind} ends with {reply.body[-300:]!r}")
    return reply


async def refused(traffic: Traffic, talk: Talk) -> Reply:
    data, status = traffic.random.choice(
        [
            (request("GET", "/nowhere", traffic.key), 404),
            (analysis(f"pattern-{next(traffic.numbers)}", traffic.key, CACHED[0][1]), 404),
            (request("PUT", "/v1/patterns", traffic.key), 405),
            (request("GET", "/v1/patterns", None), 0),
            (analysis("aar", traffic.key, traffic.random.choice(BROKEN)), 400),
            (analysis("aar", traffic.key, asked("x", mode="hasty")), 400),
            (request("POST", "/v1/analyze/aar", traffic.key, None, "Content-Length: 99999999"), 413),
            (analysis("aar", traffic.key, b"", "Content-Encoding: br"), 415),
            (request("GET", "/livez", None, None, f"X-Long: {'x' * 20_000}"), 431),
            (request("GET", "/livez", None, None, "Content-Length: 1", "Transfer-Encoding: chunked"), 400),
            (request("GET", "/livez", None, None, "Expect: a miracle"), 417),
        ]
    )
    return await traffic.ask(talk, data, {status} if status else {401, 429})


async def stranger(traffic: Traffic, talk: Talk) -> None:
    other = await traffic.talk(STRANGER)
    try:
        wrong = f"wrong-{next(traffic.numbers)}-{'0' * 24}"
        await traffic.ask(other, request("GET", "/v1/patterns", wrong), {401, 429})
    finally:
        await other.leave(rough=False)


async def greedy(traffic: Traffic, talk: Talk) -> None:
    """Ask for more in a second than the quota grants, all at once."""
    (key,) = GREEDY.values()
    times = QUOTA + 20
    traffic.sent += times
    other = await traffic.talk()
    try:
        other.send(request("GET", "/v1/patterns/aar", key) * times)
        seen = Counter([(await other.reply()).status for _ in range(times)])
    finally:
        await other.leave(rough=False)
    if seen.keys() - {200, 429}:
        traffic.fail(f"of a quota that is used up: {seen}")


async def big(traffic: Traffic, talk: Talk) -> Reply:
    key = traffic.key
    data, status = traffic.random.choice(
        [
            (analysis("aar", key, WORDS), 200),
            (analysis("aar", key, GZIPPED, "Content-Encoding: gzip"), 200),
            (request("POST", "/v1/analyze/aar", key, None, "Transfer-Encoding: chunked") + chunked(WORDS), 200),
            (analysis("aar", key, TOO_MUCH), 413),
        ]
    )
    return await traffic.ask(talk, data, {status})


def chunked(body: bytes) -> bytes:
    parts = (body[n : n + 50_000] for n in range(0, len(body), 50_000))
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


async def learned(traffic: Traffic, talk: Talk) -> Reply:
    key = traffic.key
    kept = await traffic.ask(talk, request("POST", "/v1/learnings", key, LEARNED), {201})
    path = f"/v1/learnings/{json.loads(kept.body)['id']}/outcome"
    await traffic.ask(talk, request("POST", path, key, b'{"outcome": "improved"}'), {200})
    return await traffic.ask(talk, request("GET", "/v1/learnings?limit=3", key), {200})


async def pages(traffic: Traffic, talk: Talk) -> Reply:
    paths = ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/patterns", "/v1/analytics")
    return await traffic.ask(talk, request("GET", traffic.random.choice(paths), traffic.key), {200})


async def tools(traffic: Traffic, talk: Talk) -> Reply:
    fields = ("Accept: application/json, text/event-stream",)
    return await traffic.ask(talk, request("POST", "/mcp", traffic.key, TOOLS, *fields), {200})
