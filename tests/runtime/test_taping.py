"""Tapes of a running service: on every driver, within their limits, without secrets, and never in the way."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import structlog
import trio

from vstack_proto.auth import KeyTable
from vstack_proto.events import Crashed, KeyChecked, PeerLeft
from vstack_proto.replay import Tape, TapedExchange, decode, encode, run, service_of
from vstack_proto.state import Phase
from vstack_proto.testing import WALL, analyze_received, head_received, make_service
from vstack_runtime import TapeRecorder, conformance
from vstack_runtime.conformance import Kit
from vstack_runtime.conformance import kit as kit_module
from vstack_runtime.conformance.kit import analysis, request
from vstack_runtime.conformance.parts import ANALYZE, PATTERN
from vstack_runtime.conformance.parts import WALL as KIT_WALL
from vstack_runtime.engine import Engine
from vstack_runtime.settings import Settings, SettingsError
from vstack_runtime.tape_settings import TapeSettings
from vstack_runtime.taping import MAX_WAITING, read_all, recorded_in

DRIVERS = {driver.name: driver for driver in conformance.bundled()}
CANARY = "canary-key-5d0b-of-24-characters"
INSTALLED = {PATTERN.name: PATTERN}


def tapes_in(folder: Path) -> list[Tape]:
    return [decode(path.read_bytes()) for path in recorded_in(folder)]


def replays(tape: Tape) -> bool:
    report = run(tape, service_of(tape.header, INSTALLED))
    return report.done and not report.differences


class Counted:
    """What became of exchanges."""

    def __init__(self) -> None:
        self.results: list[str] = []

    def __call__(self, result: str, number: int) -> None:
        self.results += [result] * number


def recorder(folder: Path, count: Any = None, **settings: Any) -> tuple[TapeRecorder, Callable[..., None]]:
    """A recorder, and what makes an exchange that ends at once."""
    one = TapeRecorder(folder, settings=TapeSettings(**settings))
    service = make_service(PATTERN)
    one.attach(service, Settings(), count or Counted())

    def exchange(target: str = "/livez", *headers: tuple[str, str], at: float = 10_000.0, caller: str = "") -> None:
        assert service.exchanges is not None
        taped = service.exchanges(service)
        assert isinstance(taped, TapedExchange)
        taped.handle(head_received("GET", target, headers, at=at, request_id="req_1"))
        if taped.state.phase is Phase.KEY:
            taped.handle(KeyChecked(at=at, ticket=1, name=caller or None, loaded=1))

    return one, exchange


# On every driver.


@pytest.mark.parametrize("name", DRIVERS)
def test_every_driver_tapes_and_every_tape_replays(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tapes = TapeRecorder(tmp_path)
    monkeypatch.setattr(kit_module, "Engine", lambda *args, **parts: Engine(*args, tapes=tapes, **parts))
    kit = Kit(DRIVERS[name])
    keys = KeyTable.of([("alice", CANARY)])
    kit.start(keys=keys)
    try:
        proof = f"Authorization: Bearer {CANARY}"
        kit.connect(analysis("calm", proof, name="one")).answer()
        kit.connect(
            request(f"{ANALYZE}?token={CANARY}", f"X-API-Key: {CANARY}", method="POST", body=b"{}", name="two")
        ).answer()
        kit.connect(request("/livez", f"Cookie: {CANARY}", f"X-Auth-Token: {CANARY}", name="three")).answer()
        assert tapes.flush(20.0)
        assert kit.count("vstack_tapes_total", result="written") == 3
    finally:
        kit.finish()
    found = tapes_in(tmp_path)
    assert sorted(tape.end.status for tape in found) == [200, 200, 400]
    assert all(replays(tape) for tape in found)
    assert {tape.header.recorded for tape in found} == {KIT_WALL}
    for path in recorded_in(tmp_path):
        data = path.read_bytes()
        assert CANARY.encode() not in data
        assert keys_digest(keys) not in data
        assert oct(path.stat().st_mode & 0o777) == "0o600"


def keys_digest(keys: KeyTable) -> bytes:
    (digest,) = keys._names
    return digest.encode()


def test_what_was_taped_on_asyncio_replays_on_trio_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tapes = TapeRecorder(tmp_path)
    monkeypatch.setattr(kit_module, "Engine", lambda *args, **parts: Engine(*args, tapes=tapes, **parts))
    kit = Kit(DRIVERS["asyncio"])
    kit.start()
    kit.connect(analysis("calm")).answer()
    kit.finish()
    tapes.close()

    async def replayed() -> bytes:
        (path,) = recorded_in(tmp_path)
        data = await trio.Path(path).read_bytes()
        tape = decode(data)
        report = run(tape, service_of(tape.header, INSTALLED))
        assert report.differences == ()
        assert encode(tape) == data
        return data

    assert trio.run(replayed)


# What is kept.


def test_settings_choose_the_recorder(tmp_path: Path) -> None:
    settings = Settings.from_env({"VSTACK_TAPE": str(tmp_path / "tapes"), "VSTACK_TAPE_SAMPLE": "0.5"})
    one = Engine(settings, patterns=[PATTERN], env={})
    assert one.tapes is not None
    assert one.tapes.settings.sample == 0.5
    assert (tmp_path / "tapes").is_dir()
    anyio.run(one.aclose)
    assert Engine(Settings(), patterns=[PATTERN], env={}).tapes is None
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(SettingsError, match=r"VSTACK_TAPE is .* a folder that can be written to"):
        Engine(Settings.from_env({"VSTACK_TAPE": str(file)}), patterns=[PATTERN], env={})


def test_a_sample_is_kept_and_what_went_wrong_always(tmp_path: Path) -> None:
    count = Counted()
    one, exchange = recorder(tmp_path, count, sample=0.0)
    exchange()
    exchange("/nowhere")
    assert one.flush()
    assert count.results == ["left_out"] * 2
    service = make_service(PATTERN)
    one.attach(service, Settings(), count)
    assert service.exchanges is not None
    taped = service.exchanges(service)
    taped.handle(head_received("GET", "/readyz"))
    taped.handle(Crashed(at=10_000.0))
    assert one.flush(20.0)
    assert [tape.end.status for tape in tapes_in(tmp_path)] == [500]
    one.close()


def test_of_thousands_a_second_not_all_are_remembered(tmp_path: Path) -> None:
    count = Counted()
    one, _ = recorder(tmp_path, count, per_second=1e6)
    service = make_service(PATTERN)
    one.attach(service, Settings(), count)
    assert service.exchanges is not None
    exchanges = [service.exchanges(service) for _ in range(400)]
    for exchange in exchanges:
        exchange.handle(head_received())
    remembered = sum(isinstance(exchange, TapedExchange) and bool(exchange.log) for exchange in exchanges)
    assert remembered in (100, 200, 300)
    assert exchanges[0].log
    assert one.flush(20.0)
    assert count.results.count("left_out") == 400 - remembered
    one.close()


def test_so_many_in_a_second(tmp_path: Path) -> None:
    count = Counted()
    one, exchange = recorder(tmp_path, count, per_second=2.0)
    for at in (10_000.0, 10_000.1, 10_000.2, 10_001.0):
        exchange(at=at)
    one.close()
    assert sorted(count.results) == ["left_out", "written", "written", "written"]


@pytest.mark.parametrize(
    ("callers", "caller", "header", "kept"),
    [
        (("alice",), "alice", "off", False),
        (("alice",), "alice", "on", True),
        (("alice",), "bob", "off", True),
        (("alice",), "", "off", True),
        (("*",), "", "OFF", False),
        ((), "alice", "off", True),
        (("alice",), "alice", "perhaps", True),
    ],
)
def test_a_caller_who_may_turns_tapes_on_and_off(
    tmp_path: Path, callers: tuple[str, ...], caller: str, header: str, kept: bool
) -> None:
    for sample, otherwise in ((1.0, kept), (0.0, header == "on" and kept)):
        folder = tmp_path / str(sample)
        one, exchange = recorder(folder, callers=callers, sample=sample)
        exchange("/v1/patterns", ("x-vstack-tape", header), ("x-api-key", CANARY), caller=caller)
        one.close()
        assert len(recorded_in(folder)) == otherwise


def test_a_tape_that_is_too_large_is_not_written(tmp_path: Path) -> None:
    count = Counted()
    one, exchange = recorder(tmp_path, count, max_bytes=100)
    exchange()
    one.close()
    assert count.results == ["too_large"]
    assert recorded_in(tmp_path) == []


def test_the_oldest_go_when_the_folder_is_full(tmp_path: Path) -> None:
    (tmp_path / "20200101T000000.000000-1-1-old.tape.jsonl").write_bytes(b"x" * 100)
    (tmp_path / "notes.txt").write_bytes(b"y" * 10_000)
    one, exchange = recorder(tmp_path, folder_bytes=3_000)
    for number in range(8):
        exchange("/livez", ("x-request-id", f"request:{number}"))
    one.close()
    names = [path.name for path in recorded_in(tmp_path)]
    assert 1 <= len(names) < 8
    assert any(name.endswith("-8-request_7.tape.jsonl") for name in names)
    assert not any("old" in name for name in names)
    assert sum(path.stat().st_size for path in recorded_in(tmp_path)) <= 3_000
    assert (tmp_path / "notes.txt").exists()


def test_names_tell_when_and_which(tmp_path: Path) -> None:
    one, exchange = recorder(tmp_path)
    exchange("/livez", ("x-request-id", "order:4711"))
    one.close()
    (path,) = read_all([tmp_path])
    assert path.name == f"20260301T090000.000000-{os.getpid()}-1-order_4711.tape.jsonl"
    assert read_all([path]) == [path]
    assert decode(path.read_bytes()).header.recorded == WALL


def test_tapes_may_be_compressed(tmp_path: Path) -> None:
    one = TapeRecorder(tmp_path, compress=True)
    service = make_service(PATTERN)
    one.attach(service, Settings())
    assert service.exchanges is not None
    service.exchanges(service).handle(head_received())
    one.close()
    (path,) = recorded_in(tmp_path)
    data = path.read_bytes()
    assert msgspec.json.decode(gzip.decompress(data).splitlines()[0])["tape"] == 1
    assert replays(decode(data))


# Never in the way.


class Stuck(TapeRecorder):
    """A recorder whose writer stands still until it is let go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, settings=TapeSettings(per_second=1e6, callers=("somebody",)))
        self.go = threading.Event()

    def encoded(self, exchange: TapedExchange) -> bytes:
        self.go.wait(20.0)
        return super().encoded(exchange)


def test_a_writer_that_is_behind_loses_tapes_and_no_time(tmp_path: Path) -> None:
    count, one, service = Counted(), Stuck(tmp_path), make_service(PATTERN)
    one.attach(service, Settings(), count)
    assert service.exchanges is not None
    for _ in range(MAX_WAITING + 3):
        service.exchanges(service).handle(head_received())
    assert count.results == ["dropped"] * 3
    one.go.set()
    assert one.flush(20.0)
    assert count.results.count("written") == MAX_WAITING
    one.close()


def test_many_large_bodies_do_not_fill_the_memory(tmp_path: Path) -> None:
    count, one, service = Counted(), Stuck(tmp_path), make_service(PATTERN)
    one.attach(service, Settings(), count)
    assert service.exchanges is not None
    for _ in range(4):
        exchange = service.exchanges(service)
        exchange.handle(analyze_received(PATTERN.name))
        exchange.state.received = 30 << 20
        exchange.handle(PeerLeft(at=10_000.0))
    assert count.results == ["dropped"] * 2
    one.go.set()
    one.close()


def test_a_disk_that_fails_is_told_of_once_and_stops_nobody(tmp_path: Path) -> None:
    count = Counted()
    folder = tmp_path / "gone"
    one, exchange = recorder(folder, count)
    folder.rmdir()
    with structlog.testing.capture_logs() as logs:
        exchange()
        exchange()
        assert one.flush(20.0)
    assert count.results == ["failed", "failed"]
    assert [line["event"] for line in logs] == ["a tape could not be written"]
    folder.mkdir()
    exchange()
    one.close()
    assert count.results[2:] == ["written"]
    assert len(recorded_in(folder)) == 1


def test_a_recorder_begins_anew_after_its_end(tmp_path: Path) -> None:
    one, exchange = recorder(tmp_path)
    assert one.flush()
    one.close()
    for _ in range(2):
        exchange()
        one.close()
    assert len(recorded_in(tmp_path)) == 2


# Settings.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VSTACK_TAPE_SAMPLE", "2"),
        ("VSTACK_TAPE_SAMPLE", "half"),
        ("VSTACK_TAPE_SAMPLE", "nan"),
        ("VSTACK_TAPE_PER_SECOND", "-1"),
        ("VSTACK_TAPE_MAX_BYTES", "0"),
        ("VSTACK_TAPE_REDACT", ","),
        ("VSTACK_TAPE_CALLERS", "a b"),
    ],
)
def test_a_malformed_setting_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})
