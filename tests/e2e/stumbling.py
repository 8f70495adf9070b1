"""A package with a pattern that has a bug, as an operator may have installed one: its exception quotes the trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from vstack_proto.patterns.aar import PATTERN as SOUND
from vstack_proto.patterns.common import Case

ENTRY = "[vstack.patterns]\nstumbling = tests.e2e.stumbling:PATTERN\n"
ROOT = Path(__file__).resolve().parents[2]


def _stumble(case: Case[Any]) -> Any:
    said = case.trace.goal
    try:
        raise ValueError(f"first {said}")
    except ValueError as error:
        raise RuntimeError(f"the goal was {said}") from error


PATTERN = msgspec.structs.replace(SOUND, name="stumbling", number=901, assess_offline=_stumble)


def installed(folder: Path) -> dict[str, str]:
    """What makes a process find it: an installation's metadata in ``folder``."""
    metadata = folder / "stumbling-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stumbling\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY)
    return {"PYTHONPATH": f"{folder}:{ROOT}"}
