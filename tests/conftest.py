"""What all tests share: a bare environment and log, the hypothesis profiles, and the services that tests start."""

from __future__ import annotations

import gc
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import coverage
import pytest
import structlog
from hypothesis import settings

from vstack_runtime import logs

# A profile is chosen by HYPOTHESIS_PROFILE. No deadline in either: a shared machine stalls without anybody's fault.
# `fast` draws the same examples every time, so that a red run means the change and not the draw; `deep` goes looking.
settings.register_profile("fast", max_examples=50, derandomize=True, deadline=None)
settings.register_profile("deep", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

REQUIRE_SERVICES = "VSTACK_REQUIRE_SERVICES"
# What it is called while a test runs: it is no setting, and the programs that tests run would warn of it.
REQUIRED = "TESTS_REQUIRE_SERVICES"
PROVIDERS = (
    *("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_HOST", "OLLAMA_BASE_URL"),
    *(
        "SENTRY_DSN",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ),
)

Service = Callable[[str], str]

HERE = Path(__file__).parent
# The tests that reach every branch of the core by themselves: all that the gate of coverage needs to see.
GATED = (HERE / "proto", HERE / "injection")
# Many short tests in many short files.
SHORT = (HERE / "proto", HERE / "patterns")


class Measuring:
    """What a worker of a parallel run measures: the tests for the gate, and no others.

    Tracing the others takes minutes, and so would the programs that tests start.
    """

    def __init__(self) -> None:
        self._on = True
        self._coverage = coverage.Coverage.current() if "PYTEST_XDIST_WORKER" in os.environ else None
        if self._coverage is not None:
            self._spare_programs()

    def turn(self, on: bool) -> None:
        """Measure from here on, or do not."""
        if self._coverage is None or on == self._on:
            return
        self._on = on
        if on:
            self._coverage.start()
            self._spare_programs()
        else:
            self._coverage.stop()

    def _spare_programs(self) -> None:
        for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
            os.environ.pop(name, None)


MEASURING = Measuring()


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for a deadline, or for a program that starts."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first: short ones fill what is left then, and no worker ends long after the others."""
    items.sort(key=lambda item: _within(item, SHORT))


def pytest_collection_finish() -> None:
    """Many tests collect garbage, to see what is left behind: of fourteen thousand collected tests there is none."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    MEASURING.turn(_within(item, GATED))


def _within(item: pytest.Item, folders: tuple[Path, ...]) -> bool:
    return any(item.path.is_relative_to(folder) for folder in folders)


def required() -> bool:
    """Whether a program that is missing is a failure, as in CI."""
    return "1" in (os.environ.get(REQUIRE_SERVICES), os.environ.get(REQUIRED))


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting and no key of the person who runs the tests reaches them: none may call a paid service, and what a
    service remembers goes into no home of anybody's."""
    monkeypatch.setenv(REQUIRED, os.environ.get(REQUIRE_SERVICES, ""))
    for name in list(os.environ):
        if name in PROVIDERS or name.startswith("VSTACK_"):
            monkeypatch.delenv(name)
    # A worker of a parallel run has one; tables would go by it.
    monkeypatch.delenv("COLUMNS", raising=False)
    home = str(tmp_path_factory.getbasetemp() / "home")
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("VSTACK_HOME", f"{home}/.vstack")


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A program that runs in this process sets up the log of the whole process; no test leaves that to the next."""
    root = logging.getLogger()
    output, handlers, level = logs._output, root.handlers[:], root.level
    yield
    if logs._output is output:
        return
    logs._output = output
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in (*logs.TALKATIVE, *logs.REPETITIVE):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def service() -> Service:
    """Find a program that a test starts: ``service("redis-server")`` gives its path.

    Where it is missing, the test is skipped with the reason; with ``VSTACK_REQUIRE_SERVICES=1``, as in CI, it fails.
    """

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is not None:
            return path
        reason = f"{program} is not installed"
        if required():
            pytest.fail(f"{reason}, and {REQUIRE_SERVICES}=1 says that it must be", pytrace=False)
        pytest.skip(reason)

    return find
