"""The unit, judged by systemd itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import Service
from tests.deploy.conftest import DEPLOY
from vstack_runtime.settings import Settings

UNIT = DEPLOY / "systemd" / "vstack-api.service"


def test_systemd_finds_no_fault(service: Service, tmp_path: Path) -> None:
    text = UNIT.read_text()
    # The programs where this environment has them; all else as shipped.
    here = tmp_path / UNIT.name
    here.write_text(text.replace("/opt/vstack/bin", str(Path(sys.executable).parent)))
    told = subprocess.run([service("systemd-analyze"), "verify", str(here)], capture_output=True, text=True)
    ours = [line for line in told.stderr.splitlines() if UNIT.name in line]
    assert not ours


def test_the_service_is_exposed_to_little(service: Service) -> None:
    argv = [service("systemd-analyze"), "security", "--offline=true", "--threshold=30", str(UNIT)]
    told = subprocess.run(argv, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout[-2000:]


def test_systemd_waits_as_long_as_a_stop_may_take() -> None:
    settings = Settings.from_env({})
    longest = settings.drain_delay + settings.limits.request_timeout + 10
    assert f"TimeoutStopSec={longest:g}\n" in UNIT.read_text()
