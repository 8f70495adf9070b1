"""What earlier versions left under a home, read in: ``learnings.jsonl``, ``analytics/telemetry.jsonl``, ``baselines/``.

Nothing is changed or deleted there. To read a file in twice is to read it in once: a line is known again by what it
says, and where it has an outcome that the record lacks, the record gets it.
"""

from __future__ import annotations

import datetime as dt
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec

from vstack_proto.answer_steps import BASELINE_NAME
from vstack_proto.learning import (
    MAX_INTERVENTIONS,
    MAX_NOTE_CHARS,
    MAX_WORD_CHARS,
    LearningRecord,
    Outcome,
    OutcomeReport,
    learning_id,
    with_outcome,
)
from vstack_proto.limits import Limits
from vstack_proto.telemetry import TelemetryEvent
from vstack_proto.trace import utc
from vstack_proto.values import Usage
from vstack_runtime.home import learnings as kept_learnings
from vstack_runtime.home import telemetry as kept_telemetry
from vstack_runtime.providers.prices import cost_usd, price_of

LEARNINGS_FILE = "learnings.jsonl"
TELEMETRY_FILE = "analytics/telemetry.jsonl"
BASELINES_FOLDER = "baselines"
MAX_TOLD = 20
# Of one event. More was never counted; and sums of what SQLite keeps in 64 bits end in an error past those.
MAX_TOKENS = 1 << 32
# As much as a trace. What is read here is encoded now, and decoded again wherever it is asked for.
MAX_DEPTH = Limits().max_depth

# By the first part of an envelope's ``schema_version``: the pattern, where that is not its name with dashes.
_PREFIXES = {
    "reappraisal": "cognitive_reappraisal",
    "grant": "grant_strengths",
    "motivation": "motivation_traps",
    "sdt": "sdt_reward",
    "vroom": "vroom_expectancy",
    "mcallister": "mcallister_trust",
    "glaser": "glaser_conversation",
    "stone-heen": "feedback_triggers",
    "schein": "schein_culture",
    "danva": "danva_emotion",
}
_OBJECTS = (
    "detection", "audit", "analysis", "agreement", "diagnosis", "feedback", "goal", "protocol", "selection", "aar",
)  # fmt: skip
# Every detection, of whatever version and pattern, has one of these.
_MARKS = frozenset({"generated_at", "profile_pattern", "severity"})
_WORDS = ("agent_id", "crew_id", "severity", "profile_pattern", "follow_up_record_id")


class Imported(msgspec.Struct):
    """What came of a file.

    Attributes:
        added: Lines that are new.
        updated: Those whose outcome was news.
        known: Those that were there already.
        broken: Those that cannot be read; ``told`` says of the first of them where and why.
    """

    added: int = 0
    updated: int = 0
    known: int = 0
    broken: int = 0
    told: list[str] = []

    def tell(self, number: int, why: str) -> None:
        """Note a line that cannot be read."""
        self.broken += 1
        if len(self.told) < MAX_TOLD:
            self.told.append(f"line {number}: {why}")


def import_learnings(connection: sqlite3.Connection, path: Path, scope: str = "") -> Imported:
    """Read learnings in, a record a line; where there is no such file, none."""
    came, seen = Imported(), Counter[str]()
    for number, line in _objects(path, came):
        try:
            record = _learning(line)
        except (ValueError, msgspec.MsgspecError) as error:
            came.tell(number, str(error))
            continue
        # What an outcome changes (notes too) names no record; equal lines are as many records as there are lines.
        who = (record.timestamp.isoformat(), record.pattern, record.mode, str(record.agent_id), str(record.crew_id))
        name = learning_id("imported", *who, *record.interventions_applied)
        seen[name] += 1
        record = msgspec.structs.replace(record, id=learning_id(name, str(seen[name])))
        if kept_learnings.insert(connection, scope, record):
            came.added += 1
        elif _catch_up(connection, scope, record):
            came.updated += 1
        else:
            came.known += 1
    return came


def _catch_up(connection: sqlite3.Connection, scope: str, record: LearningRecord) -> bool:
    """Give the record that is there the outcome that a file tells of, if it has none."""
    there = kept_learnings.find(connection, scope, record.id)
    if there is None or there.follow_up_outcome is not None or record.follow_up_outcome is None:
        return False
    report = OutcomeReport(
        outcome=record.follow_up_outcome, follow_up_record_id=record.follow_up_record_id, notes=record.notes
    )
    kept_learnings.update(connection, scope, with_outcome(there, report))
    return True


def import_telemetry(connection: sqlite3.Connection, path: Path) -> Imported:
    """Read events in, one a line; where there is no such file, none."""
    came, seen = Imported(), Counter[str]()
    for number, line in _objects(path, came):
        try:
            event = _event(line)
        except (ValueError, msgspec.MsgspecError) as error:
            came.tell(number, str(error))
            continue
        name = learning_id("telemetry", msgspec.json.encode(event).decode())
        seen[name] += 1
        if kept_telemetry.insert(connection, event, learning_id(name, str(seen[name]))):
            came.added += 1
        else:
            came.known += 1
    return came


def import_baselines(connection: sqlite3.Connection, folder: Path, patterns: frozenset[str]) -> Imported:
    """Read the envelopes of a folder in; one that names no pattern of ``patterns`` counts as broken."""
    came = Imported()
    for number, path in enumerate(sorted(folder.glob("*.json")), 1):
        try:
            pattern, name, detection = baseline_of(path.read_bytes(), path.stem)
            if pattern not in patterns:
                raise ValueError(f"no pattern is named {pattern!r}")
            if BASELINE_NAME.fullmatch(name) is None:
                raise ValueError(f"{name[:100]!r} is no name of letters, digits, _ and -")
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            came.tell(number, f"{path.name}: {error}")
            continue
        row = ("", pattern, name, detection, path.stat().st_mtime_ns // 1_000)
        if connection.execute("INSERT OR IGNORE INTO baselines VALUES (?, ?, ?, ?, ?)", row).rowcount:
            came.added += 1
        else:
            came.known += 1
    return came


def baseline_of(data: bytes, stem: str) -> tuple[str, str, bytes]:
    """Take a baseline's file apart: an envelope, an answer of the service, or a bare detection.

    Args:
        data: JSON.
        stem: What the file is called.

    Returns:
        Pattern, name, and the detection as JSON; the pattern is what the file is called where nothing inside says it.

    Raises:
        ValueError: It is none of these.
    """
    try:
        found = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"it is no JSON object: {error}") from None
    pattern, name, inside = stem.replace("-", "_"), stem, found
    version = found.get("schema_version")
    if isinstance(version, str) and version.endswith("-baseline/v1"):
        prefix = version.removesuffix("-baseline/v1")
        pattern = _PREFIXES.get(prefix, prefix.replace("-", "_"))
        inside = next((found[one] for one in _OBJECTS if isinstance(found.get(one), dict)), {})
        told = found.get("baseline_id")
        name = told if isinstance(told, str) and BASELINE_NAME.fullmatch(told) else stem
    elif isinstance(found.get("detection"), dict):
        inside = found["detection"]
        pattern = found["pattern"] if isinstance(found.get("pattern"), str) else pattern
    if inside.keys().isdisjoint(_MARKS):
        raise ValueError("it holds no detection")
    if _is_deep(inside):
        raise ValueError(f"it has more than {MAX_DEPTH} objects and lists within each other")
    return pattern, name, msgspec.json.encode(inside)


def _objects(path: Path, came: Imported) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a file that are JSON objects, with their numbers; what is none is told."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                found = msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
                came.tell(number, f"it is no JSON object: {error}")
                continue
            if _is_deep(found):
                came.tell(number, f"it has more than {MAX_DEPTH} objects and lists within each other")
                continue
            yield number, found


def _is_deep(value: Any) -> bool:
    """Whether there is more in it than ``MAX_DEPTH`` allows within each other; level by level, whatever the depth."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inside = (one.values() if isinstance(one, dict) else one for one in level)
        level = [item for items in inside for item in items if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _learning(line: dict[str, Any]) -> LearningRecord:
    """A record as an earlier version wrote it; what is too long is cut, and kept whole under ``extra``."""
    whole: dict[str, Any] = {}

    def cut(name: str, limit: int) -> str | None:
        value = line.get(name)
        if value is None:
            return None
        text = value if isinstance(value, str) else str(value)
        if len(text) > limit:
            whole[name] = text
        return text[:limit]

    pattern = cut("pattern", MAX_WORD_CHARS)
    if not pattern:
        raise ValueError("it names no pattern")
    applied = line.get("interventions_applied") or []
    said = [str(one) for one in applied] if isinstance(applied, list) else []
    names = [one[:MAX_WORD_CHARS] for one in said if one]
    # What is no list names nothing; it is kept as it is.
    whole_list = len(names) <= MAX_INTERVENTIONS and all(len(one) <= MAX_WORD_CHARS for one in said)
    if not (isinstance(applied, list) and whole_list):
        whole["interventions_applied"] = applied
    extra = line.get("extra")
    outcome = line.get("follow_up_outcome")
    told: dict[str, Any] = {
        **{name: cut(name, MAX_WORD_CHARS) for name in _WORDS},
        "pattern": pattern,
        "mode": cut("mode", MAX_WORD_CHARS) or "standard",
        "dominant_finding": cut("dominant_finding", MAX_NOTE_CHARS),
        "notes": cut("notes", MAX_NOTE_CHARS) or "",
        "interventions_applied": tuple(names[:MAX_INTERVENTIONS]),
        "follow_up_outcome": outcome if outcome in get_args(Outcome) else None,
        "timestamp": _moment(line.get("timestamp")),
    }
    kept = {**(extra if isinstance(extra, dict) else {}), **({"whole": whole} if whole else {})}
    return LearningRecord(id="imported", extra=kept, **told)


def _moment(told: object) -> dt.datetime:
    try:
        if isinstance(told, int | float):
            return dt.datetime.fromtimestamp(told, dt.UTC)
        return utc(dt.datetime.fromisoformat(str(told)))
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"its timestamp is no moment: {str(told)[:60]!r}") from None


def _event(line: dict[str, Any]) -> TelemetryEvent:
    """An event as an earlier version wrote it, with what it cost by today's prices."""
    event = msgspec.convert({name: value for name, value in line.items() if value is not None}, TelemetryEvent)
    if not math.isfinite(event.timestamp) or not math.isfinite(event.elapsed_ms):
        raise ValueError("its timestamp or elapsed_ms is no number")
    if not all(0 <= tokens <= MAX_TOKENS for tokens in (event.input_tokens, event.output_tokens, event.total_tokens)):
        raise ValueError(f"its tokens are not from 0 to {MAX_TOKENS}")
    if event.cost_usd is None and event.model and price_of(event.model) is not None:
        usage = Usage(event.input_tokens, event.output_tokens)
        event = msgspec.structs.replace(event, cost_usd=cost_usd(event.model, usage))
    return event
