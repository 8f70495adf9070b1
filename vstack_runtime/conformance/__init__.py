"""The conformance kit: what every driver must do, as scenarios that run against any of them.

For a driver of your own::

    import pytest
    from vstack_runtime import conformance

    MINE = conformance.ServeDriver("mine", serve)  # serve(engine, host, port, stopping), as in asyncio_server

    @pytest.mark.parametrize("scenario", conformance.scenarios(MINE), ids=str)
    def test_it_conforms(scenario):
        assert conformance.check(MINE, scenario) == conformance.check(conformance.reference(), scenario)

``check`` raises ConformanceError where the driver does not do what is promised, and returns all that it answered: with
the wall clock and the request ids fixed, every driver must give the same bytes. A driver that does not fit
``ServeDriver`` implements ``Driver``, ``Running`` and ``Wire``.
"""

from __future__ import annotations

import gc
import os
import threading

from vstack_runtime.conformance.drivers import ServeDriver, bundled, reference
from vstack_runtime.conformance.endings import ENDINGS
from vstack_runtime.conformance.kit import Answer, Driver, Kit, Peer, Running, Scenario, Wire
from vstack_runtime.conformance.parts import ConformanceError, must
from vstack_runtime.conformance.requests import REQUESTS

__all__ = [
    "SCENARIOS",
    "Answer",
    "ConformanceError",
    "Driver",
    "Kit",
    "Peer",
    "Running",
    "Scenario",
    "ServeDriver",
    "Wire",
    "bundled",
    "check",
    "reference",
    "scenarios",
]

SCENARIOS: tuple[Scenario, ...] = (*REQUESTS, *ENDINGS)


def scenarios(driver: Driver) -> tuple[Scenario, ...]:
    """Those that a driver must pass."""
    return tuple(scenario for scenario in SCENARIOS if driver.owns_wire or not scenario.wire)


def check(driver: Driver, scenario: Scenario) -> tuple[bytes, ...]:
    """Play a scenario against a driver.

    Returns:
        Every answer, in the order of the scenario: the same for all drivers that conform.

    Raises:
        ConformanceError: The driver does not do what is promised, or leaves a task, a thread or a descriptor behind.
    """
    before = _held()
    kit = Kit(driver)
    try:
        scenario.run(kit)
    except BaseException as failure:
        kit.abandon(failure)
        raise
    kit.finish()
    # Objects in cycles hold descriptors until they are collected.
    gc.collect()
    held = _held()
    for kind, number in held.items():
        must(number <= before[kind], f"{kind} are left: {number}, and {before[kind]} at the start")
    return tuple(kit.heard)


def _held() -> dict[str, int]:
    """How much this process holds of what a driver may leave behind; descriptors only where the system tells."""
    descriptors = len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0
    return {"threads": threading.active_count(), "descriptors": descriptors}
