"""What no client ever means: each is refused in less than 50 ms of the server's processor time, and nothing stays.

``RUBBISH_TIMES=1000`` sends each as many times while the memory is watched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from tests.e2e.serving import ALICE, Server, bearer
from tests.e2e.test_bodies import AAR, CODINGS, LIMIT, asked, bomb, nested, text

TIMES = int(os.environ.get("RUBBISH_TIMES", "4"))
# By the clock of the process. The best of some tries counts, and each is held against a yardstick measured beside it: a
# processor that others use too is slower for a while.
MOST_SECONDS, TRIES = 0.05, 12
# What the yardstick takes on the machine where 50 ms were measured, while it is otherwise idle.
YARDSTICK_SECONDS = 0.0045
MIB = 1 << 20
MOST_KEPT = 24 * MIB


def inside(json: str) -> bytes:
    """A good body whose metadata holds something."""
    return text(f', "metadata": {{"x": {json}}}')


def filled(piece: str, before: str = "", after: str = "") -> bytes:
    """As many pieces as a body may hold."""
    return (before + piece * ((LIMIT - len(before) - len(after)) // len(piece)) + after).encode()


def listed(item: str, number: int) -> bytes:
    return inside(f"[{','.join([item] * number)}]")


MANY_KEYS = ",".join(f'"{n:x}":0' for n in range(400_000))
# A good body with one of its names again and again is answered: the last one counts, as everywhere.
GOOD_ALL_THE_SAME = {"one key 180,000 times"}
RUBBISH: dict[str, Callable[[], bytes]] = {
    "lists 100,000 deep": lambda: b"[" * 100_000 + b"]" * 100_000,
    "objects 100,000 deep": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100,000 deep in a trace": lambda: text(nested(100_000)),
    "a thousand times 900 deep": lambda: listed("[" * 900 + "]" * 900, 1_000),
    "400,000 keys": lambda: text(f', "metadata": {{{MANY_KEYS}}}'),
    "a million keys": lambda: ("{" + ",".join(['"":0'] * 1_000_000) + "}").encode(),
    "one key 180,000 times": lambda: text(', "success": true' * 180_000),
    "one key a million times": lambda: text(', "metadata": {"a":0' + ',"a":0' * 800_000 + "}"),
    "NaN": lambda: inside("NaN"),
    "180,000 NaN": lambda: listed("NaN", 180_000),
    "Infinity": lambda: inside("-Infinity"),
    "an integer of 5 MB": lambda: filled("9", '{"trace":{"goal":', "}}"),
    "a thousand integers of 4,000 digits": lambda: listed("9" * 4_000, 1_100),
    "floats of 300 digits": lambda: listed("1." + "3" * 300 + "e-300", 15_000),
    "floats next to the end of their range": lambda: listed("1.7976931348623157e308", 180_000),
    "floats next to nothing": lambda: listed("1e-320", 180_000),
    "half a surrogate pair": lambda: inside('"\\ud800"'),
    "800,000 halves of surrogate pairs": lambda: inside('"' + "\\ud800" * 800_000 + '"'),
    "400,000 surrogate pairs and a half": lambda: inside('"' + "\\ud83d\\ude00" * 400_000 + '\\ude00"'),
    "5 MB of one string": lambda: filled("x", '{"trace": "', '"}'),
    "5 MB of one string in a trace": lambda: inside('"' + "x" * 5_200_000 + '"'),
    "5 MB of a string that never ends": lambda: filled("x", '{"trace": "'),
    "5 MB of escapes": lambda: filled("\\\\", '{"trace": "', '"}'),
    "5 MB of backslashes": lambda: filled("\\"),
    "5 MB of quotes": lambda: filled('"'),
    "5 MB of commas": lambda: filled(","),
    "5 MB of quotes and commas": lambda: filled('",'),
    "5 MB of opening brackets": lambda: filled("["),
    "5 MB of closing braces": lambda: filled("}"),
    "5 MB of empty lists": lambda: filled("[],", "[", "0]"),
    "5 MB of lists within lists": lambda: inside("[" + ",".join(["[[[[[[[[[[]]]]]]]]]]"] * 199_000) + "]"),
    "5 MB of white space": lambda: filled(" "),
    "5 MB of NUL": lambda: filled("\0"),
    "190,000 wrong steps": lambda: text(', "steps": [' + "1," * 190_000 + "1]"),
}


def yardstick() -> float:
    """How much slower than otherwise this machine is now."""
    began = time.thread_time()
    for _ in range(3):
        PAPER.translate(None, b"x").count(b",")
    return (time.thread_time() - began) / YARDSTICK_SECONDS


PAPER = b'"some text",' * 200_000


def refused(server: Server, data: bytes, coding: str = "") -> int:
    """Send it until it is refused in little time, and then so many times more; the status."""
    headers = {**bearer(ALICE), **({"Content-Encoding": coding} if coding else {})}
    server.post(AAR, asked(), bearer(ALICE))
    tries = 0
    while True:
        tries, spent, slowness = tries + 1, server.cpu, yardstick()
        answer = server.post(AAR, data, headers)
        took = (server.cpu - spent) / max(1.0, slowness, yardstick())
        if took < MOST_SECONDS:
            break
        assert tries < TRIES, f"{1000 * took:.0f} ms"
    assert len(answer.body) < 100_000
    before = server.rss
    for _ in range(TIMES):
        assert server.post(AAR, data, headers).status == answer.status
    assert server.rss - before < MOST_KEPT
    return answer.status


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_is_soon_refused_and_forgotten(shared: Server, name: str) -> None:
    data = RUBBISH[name]()
    assert len(data) <= LIMIT
    status = refused(shared, data)
    assert status == 200 if name in GOOD_ALL_THE_SAME else status in (400, 413)
    assert shared.get("/livez").status == 200


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_costs_little(shared: Server, coding: str) -> None:
    assert refused(shared, bomb(coding), coding) == 413
