"""Every driver does what is promised, and all of them with the same bytes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator

import pytest
import structlog

from vstack_proto.replay import TapedExchange
from vstack_proto.testing import replays
from vstack_runtime import asyncio_server, conformance
from vstack_runtime.conformance import Driver, Kit, Running, Scenario, parts, requests
from vstack_runtime.engine import Engine
from vstack_runtime.stopping import Stopping

DRIVERS = {driver.name: driver for driver in conformance.bundled()}
CASES = [
    pytest.param(driver, scenario, id=f"{driver.name}-{scenario.name}")
    for driver in DRIVERS.values()
    for scenario in conformance.scenarios(driver)
]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    # One scenario meets a bug on purpose, and tells of it at length.
    with structlog.testing.capture_logs():
        yield


class Taping:
    """A driver whose exchanges are taped.

    Attributes:
        done: Those that have ended.
    """

    def __init__(self, driver: Driver) -> None:
        self.name, self.owns_wire = driver.name, driver.owns_wire
        self.done: list[TapedExchange] = []
        self._driver = driver

    def start(self, engine: Engine) -> Running:
        engine.service.exchanges = lambda service: TapedExchange(service, self.done.append)
        return self._driver.start(engine)


@functools.cache
def heard(name: str, scenario: str) -> tuple[bytes, ...]:
    """What a driver answers in a scenario; each is played once, and each of its exchanges replays from a tape."""
    driver = Taping(DRIVERS[name])
    (one,) = (one for one in conformance.scenarios(driver) if one.name == scenario)
    answers = conformance.check(driver, one)
    for exchange in driver.done:
        replays(exchange.service, exchange.log)
    return answers


@pytest.mark.parametrize(("driver", "scenario"), CASES)
def test_it_conforms_with_the_bytes_of_the_reference(driver: Driver, scenario: Scenario) -> None:
    answered = heard(driver.name, scenario.name)
    assert answered == heard(conformance.reference().name, scenario.name)


def test_there_are_enough_scenarios_and_each_has_a_name_of_its_own() -> None:
    names = [scenario.name for scenario in conformance.SCENARIOS]
    assert len(set(names)) == len(names) >= 30
    assert {len(conformance.scenarios(driver)) for driver in DRIVERS.values() if driver.owns_wire} == {len(names)}


# The kit finds what is wrong with a driver.


async def leaks_a_task(engine: Engine, host: str, port: int, stopping: Stopping) -> None:
    await asyncio_server.serve(engine, host, port, stopping)
    leaks_a_task.left = asyncio.create_task(asyncio.sleep(60))  # type: ignore[attr-defined]


async def leaks_a_descriptor(engine: Engine, host: str, port: int, stopping: Stopping) -> None:
    leaks_a_descriptor.left = open("/dev/null")  # type: ignore[attr-defined]  # noqa: SIM115
    await asyncio_server.serve(engine, host, port, stopping)


async def does_not_listen(engine: Engine, host: str, port: int, stopping: Stopping) -> None:
    raise OSError("the port is taken")


PLAIN = next(scenario for scenario in conformance.SCENARIOS if scenario.run is requests.plain_requests)


def test_a_task_that_is_left_is_found() -> None:
    with pytest.raises(conformance.ConformanceError, match="tasks are left"):
        conformance.check(conformance.ServeDriver("leaky", leaks_a_task), PLAIN)


def test_a_descriptor_that_is_left_is_found() -> None:
    with pytest.raises(conformance.ConformanceError, match="descriptors are left"):
        conformance.check(conformance.ServeDriver("leaky", leaks_a_descriptor), PLAIN)
    leaks_a_descriptor.left.close()  # type: ignore[attr-defined]


def test_a_driver_that_cannot_start_says_why() -> None:
    with pytest.raises(OSError, match="the port is taken"):
        conformance.check(conformance.ServeDriver("shut", does_not_listen), PLAIN)


def test_a_fact_that_never_holds_is_told() -> None:
    with pytest.raises(conformance.ConformanceError, match=r"not within 0\.01 s: pigs fly"):
        parts.wait_until(lambda: False, "pigs fly", 0.01)


def test_what_a_scenario_finds_is_told_and_the_server_ends() -> None:
    def wrong(kit: Kit) -> None:
        kit.start()
        kit.connect(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").ended()

    with pytest.raises(conformance.ConformanceError, match=r"the connection goes on with b'HTTP/1\.1 200"):
        conformance.check(conformance.reference(), Scenario("wrong", wrong))
