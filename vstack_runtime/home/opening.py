"""The stores under a home, as the settings want them; what an earlier version left is read in when they are made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vstack_runtime.home import importing
from vstack_runtime.home.importing import Imported
from vstack_runtime.home.learnings import SqliteLearnings
from vstack_runtime.home.retention import Retention
from vstack_runtime.home.telemetry import SqliteTelemetry
from vstack_runtime.logs import get_logger

if TYPE_CHECKING:
    from vstack_runtime.home_settings import HomeSettings

_log = get_logger()


def open_learnings(settings: HomeSettings, patterns: Iterable[str]) -> SqliteLearnings:
    """Learnings and baselines under ``settings.path``; the file is made at the first use that needs it."""
    root = Path(settings.path)
    legacy, folder, known = root / importing.LEARNINGS_FILE, root / importing.BASELINES_FOLDER, frozenset(patterns)

    def fill(connection: sqlite3.Connection) -> None:
        _tell(legacy, importing.import_learnings(connection, legacy))
        _tell(folder, importing.import_baselines(connection, folder, known))

    retention = Retention(settings.learnings_max_age_days, settings.learnings_max_bytes)
    return SqliteLearnings(root, retention, fill=fill, legacy=(legacy, folder))


def open_telemetry(settings: HomeSettings) -> SqliteTelemetry:
    """Telemetry under ``settings.path``; likewise."""
    root = Path(settings.path)
    legacy = root / importing.TELEMETRY_FILE

    def fill(connection: sqlite3.Connection) -> None:
        _tell(legacy, importing.import_telemetry(connection, legacy))

    retention = Retention(settings.telemetry_max_age_days, settings.telemetry_max_bytes)
    return SqliteTelemetry(root, retention, fill=fill, legacy=(legacy,))


def _tell(path: Path, came: Imported) -> None:
    if came.added or came.broken:
        log = _log.warning if came.broken else _log.info
        log("read in", path=str(path), added=came.added, broken=came.broken, first=came.told[:3])
