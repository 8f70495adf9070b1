"""What all tests share: a bare environment, the hypothesis profiles, and the services that tests start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import settings

# A profile is chosen by HYPOTHESIS_PROFILE. No deadline in either: a shared machine stalls without anybody's fault.
# `fast` draws the same examples every time, so that a red run means the change and not the draw; `deep` goes looking.
settings.register_profile("fast", max_examples=50, derandomize=True, deadline=None)
settings.register_profile("deep", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

REQUIRE_SERVICES = "VSTACK_REQUIRE_SERVICES"
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

# The workers of a parallel run measure what they cover; the programs that tests start need not: no gate reads them, and
# tracing would only slow them down.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    os.environ.pop("COVERAGE_PROCESS_START", None)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting and no key of the person who runs the tests reaches them: none may call a paid service, and what a
    service remembers goes into no home of anybody's."""
    for name in list(os.environ):
        if name in PROVIDERS or (name.startswith("VSTACK_") and name != REQUIRE_SERVICES):
            monkeypatch.delenv(name)
    home = str(tmp_path_factory.getbasetemp() / "home")
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("VSTACK_HOME", f"{home}/.vstack")


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
        if os.environ.get(REQUIRE_SERVICES) == "1":
            pytest.fail(f"{reason}, and {REQUIRE_SERVICES}=1 says that it must be", pytrace=False)
        pytest.skip(reason)

    return find
