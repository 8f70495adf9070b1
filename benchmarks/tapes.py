"""What tapes cost a service, and how much faster than it ran a service is replayed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from benchmarks import loopback
from benchmarks.servers import TAPED
from benchmarks.workload import aar_trace
from vstack_proto.replay import decode, run
from vstack_runtime import TapeRecorder, asyncio_server
from vstack_runtime.engine import Engine
from vstack_runtime.replaying import service_for
from vstack_runtime.scripted import ScriptedProvider, least_answer
from vstack_runtime.settings import Settings
from vstack_runtime.stopping import Stopping
from vstack_runtime.tape_settings import TapeSettings
from vstack_runtime.taping import recorded_in

EXCHANGES = 1_000
CLIENTS = 50
# A fraction of what models take: an answer of a few hundred words takes them many seconds.
ANSWER_SECONDS = 0.25


def kept_rates(rounds: int, seconds: float) -> dict[str, float]:
    """The rate of cached analyses with tapes as a share of that without, by server; threads that write count in.

    Rounds must not be short: in a pause, room for a second's tapes gathers, and is used up at once.
    """
    kinds = [one for kind in ("asyncio", "hypercorn") for one in (kind, kind + TAPED)]
    taken = loopback.measure(kinds, ("differing",), rounds=rounds, seconds=seconds)
    return {kind: loopback.ratio(taken, kind + TAPED, "differing", kind) for kind in ("asyncio", "hypercorn")}


class Replayed(NamedTuple):
    """Seconds that the same exchanges took.

    Attributes:
        ran: The sum over all exchanges, from head to answer.
        wall: On the clock, many of them at once.
        replayed: One after the other, from reading the tape to the last command compared.
        decided: What of that was not spent on reading and decoding.
    """

    ran: float
    wall: float
    replayed: float
    decided: float

    @property
    def times_faster(self) -> float:
        """How many times faster than they ran they replay."""
        return self.ran / self.replayed


def _request(number: int) -> bytes:
    body = msgspec.json.encode({"trace": {**aar_trace(12), "goal": f"Settle order {number}"}, "mode": "quick"})
    head = f"POST /v1/analyze/aar HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _client(port: int, requests: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while requests:
        writer.write(requests.pop())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not the answer that was wanted: {head!r}")
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
    writer.close()


async def _ran(folder: Path) -> float:
    tapes = TapeRecorder(folder, settings=TapeSettings(per_second=1e6))
    provider = ScriptedProvider([least_answer], delay=ANSWER_SECONDS)
    engine = Engine(Settings(drain_delay=0.0), provider=provider, tapes=tapes, env={}, runtime="asyncio")
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stopping = Stopping(port.set_result)
    requests = [_request(number) for number in range(EXCHANGES)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio_server.serve(engine, "127.0.0.1", 0, stopping))
        at = await port
        began = time.perf_counter()
        async with asyncio.TaskGroup() as clients:
            for _ in range(CLIENTS):
                clients.create_task(_client(at, requests))
        wall = time.perf_counter() - began
        stopping.ask()
    await engine.aclose()
    return wall


def replay_speed() -> Replayed:
    """Record ``EXCHANGES`` analyses over HTTP whose model takes its time, and replay all of them."""
    with TemporaryDirectory() as folder:
        wall = asyncio.run(_ran(Path(folder)))
        paths = recorded_in(folder)
        if len(paths) != EXCHANGES:
            raise RuntimeError(f"{len(paths)} of {EXCHANGES} exchanges were taped")
        ran = decided = 0.0
        began = time.perf_counter()
        for path in paths:
            tape = decode(path.read_bytes())
            start = time.perf_counter()
            report = run(tape, service_for(tape))
            decided += time.perf_counter() - start
            if report.differences or not report.done:
                raise RuntimeError(f"a tape does not replay: {report.differences[:1]}")
            ran += tape.end.seconds
        return Replayed(ran, wall, time.perf_counter() - began, decided)
