"""What earlier versions left under a home: read in once, and nothing of it is lost or changed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from vstack_proto.learning import LearningQuery, LearningRecord, OutcomeReport
from vstack_proto.telemetry import GROUPINGS, AnalyticsQuery
from vstack_runtime.home import SqliteLearnings, SqliteTelemetry
from vstack_runtime.home.importing import (
    MAX_DEPTH,
    MAX_TOKENS,
    Imported,
    baseline_of,
    import_learnings,
    import_telemetry,
)
from vstack_runtime.home.opening import open_learnings, open_telemetry
from vstack_runtime.home_settings import HomeSettings

PATTERNS = ["lewin", "aar", "cognitive_reappraisal", "yerkes_dodson"]
ANY = LearningQuery(limit=1_000)
# As the contract has it: all fields, in the order in which the earlier version wrote them.
LINE: dict[str, Any] = {
    "timestamp": "2026-01-02T03:04:05.678901+00:00",
    "pattern": "lewin",
    "mode": "standard",
    "agent_id": "planner",
    "crew_id": None,
    "severity": "high",
    "profile_pattern": None,
    "dominant_finding": "environmental",
    "interventions_applied": ["tool_upgrade"],
    "follow_up_outcome": None,
    "follow_up_record_id": None,
    "notes": "seen",
    "extra": {"n": 1},
}
EVENT: dict[str, Any] = {
    "event_type": "llm_call",
    "pattern": "lewin",
    "run_id": "r1",
    "model": "claude-haiku-4-5",
    "input_tokens": 1_000_000,
    "output_tokens": 0,
    "total_tokens": 1_000_000,
    "elapsed_ms": 12.5,
    "extra": {"pass": "scan", "mode": "quick", "pattern": "lewin"},
    "timestamp": 1_750_000_000.25,
}


def write(path: Path, *lines: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{line}\n" for line in encoded), "utf-8")
    return path


def read_in(home: Path, file: Path, scope: str = "") -> Imported:
    async def run() -> Imported:
        store = SqliteLearnings(home)
        try:
            return await store.database.write(lambda connection: import_learnings(connection, file, scope))
        finally:
            await store.aclose()

    return anyio.run(run)


def recalled(home: Path, scope: str = "") -> list[LearningRecord]:
    async def run() -> list[LearningRecord]:
        store = SqliteLearnings(home)
        try:
            return await store.recall(scope, ANY)
        finally:
            await store.aclose()

    return anyio.run(run)


def test_a_line_becomes_a_record_with_every_field(tmp_path: Path) -> None:
    file = write(tmp_path / "old.jsonl", LINE)
    before = file.read_bytes()
    assert read_in(tmp_path, file, "alice").added == 1
    (record,) = recalled(tmp_path, "alice")
    told = json.loads(msgspec.json.encode(record))
    told.pop("id")
    assert told == LINE | {"timestamp": "2026-01-02T03:04:05.678901Z"}
    assert recalled(tmp_path) == []
    assert file.read_bytes() == before


def test_to_read_in_twice_is_to_read_in_once(tmp_path: Path) -> None:
    other = LINE | {"agent_id": "critic"}
    file = write(tmp_path / "old.jsonl", LINE, LINE, other)
    assert read_in(tmp_path, file).added == 3
    again = read_in(tmp_path, file)
    assert (again.added, again.known, again.updated) == (0, 3, 0)
    # The earlier version has gone on: an outcome, and another line.
    write(file, LINE | {"follow_up_outcome": "improved", "notes": "it helped"}, LINE, other, LINE | {"mode": "quick"})
    third = read_in(tmp_path, file)
    assert (third.added, third.known, third.updated) == (1, 2, 1)
    found = recalled(tmp_path)
    assert len(found) == 4
    assert [(one.follow_up_outcome, one.notes) for one in found if one.follow_up_outcome] == [("improved", "it helped")]


def test_an_outcome_of_ours_is_not_undone(tmp_path: Path) -> None:
    file = write(tmp_path / "old.jsonl", LINE)
    read_in(tmp_path, file)

    async def report() -> None:
        store = SqliteLearnings(tmp_path)
        (record,) = await store.recall("", ANY)
        await store.report("", record.id, OutcomeReport(outcome="worse"))
        await store.aclose()

    anyio.run(report)
    write(file, LINE | {"follow_up_outcome": "improved"})
    assert read_in(tmp_path, file).known == 1
    assert recalled(tmp_path)[0].follow_up_outcome == "worse"


def test_what_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    file = write(
        tmp_path / "old.jsonl",
        "",
        '{"timestamp": "2026-01-02T03:04:05", "pattern": "lew',
        "[]",
        {"pattern": "lewin"},
        {"timestamp": "2026-01-02", "pattern": ""},
        {"timestamp": 1e300, "pattern": "lewin"},
        '{"pattern": "\\ud800", "timestamp": 1}',
        LINE,
    )
    came = read_in(tmp_path, file)
    assert (came.added, came.broken) == (1, 6)
    assert [line.partition(":")[0] for line in came.told] == [f"line {number}" for number in range(2, 8)]


def test_odd_lines_are_taken_for_what_they_are_worth(tmp_path: Path) -> None:
    long = "x" * 20_000
    file = write(
        tmp_path / "old.jsonl",
        {"timestamp": 1_750_000_000, "pattern": "lewin", "severity": 3, "follow_up_outcome": "better", "extra": []},
        LINE | {"notes": long, "agent_id": long, "interventions_applied": [long] * 60, "unheard_of": 1},
        LINE | {"interventions_applied": "not a list", "timestamp": "2026-01-02T03:04:05"},
    )
    assert read_in(tmp_path, file).added == 3
    cut, bare, odd = recalled(tmp_path)
    assert (odd.severity, odd.follow_up_outcome, odd.extra) == ("3", None, {})
    assert (len(cut.notes), len(cut.agent_id or ""), len(cut.interventions_applied)) == (10_000, 200, 50)
    assert cut.extra["whole"] == {"notes": long, "agent_id": long, "interventions_applied": [long] * 60}
    assert bare.interventions_applied == ()


@pytest.mark.parametrize("odd", [True, 5, "tool_upgrade", {"tool_upgrade": 1}, 1e300])
def test_interventions_that_are_no_list_name_nothing_and_are_kept(tmp_path: Path, odd: Any) -> None:
    file = write(tmp_path / "old.jsonl", LINE, LINE | {"interventions_applied": odd, "mode": "quick"})
    came = read_in(tmp_path, file)
    assert (came.added, came.broken) == (2, 0)
    (found,) = (one for one in recalled(tmp_path) if one.mode == "quick")
    assert (found.interventions_applied, found.extra["whole"]) == ((), {"interventions_applied": odd})


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def test_a_line_that_is_nested_too_deeply_is_broken(tmp_path: Path) -> None:
    # The line is the first of them.
    fits, deep, deepest = (LINE | {"extra": nested(depth)} for depth in (MAX_DEPTH - 1, MAX_DEPTH, 200))
    came = read_in(tmp_path, write(tmp_path / "old.jsonl", fits, deep, deepest))
    assert (came.added, came.broken) == (1, 2)


@pytest.mark.parametrize("tokens", [2**63, 2**64, MAX_TOKENS + 1, -1])
def test_tokens_that_no_database_can_sum_up_are_a_broken_line(tmp_path: Path, tokens: int) -> None:
    write(tmp_path / "analytics" / "telemetry.jsonl", EVENT, EVENT | {"total_tokens": tokens})
    write(tmp_path / "baselines" / "aar.json", {"severity": "high", "extra": nested(200)})

    async def run() -> None:
        settings = HomeSettings(path=str(tmp_path), telemetry_max_age_days=None)
        learnings, telemetry = open_learnings(settings, PATTERNS), open_telemetry(settings)
        assert [row.calls for row in await telemetry.summarize(AnalyticsQuery())] == [1]
        assert await learnings.baselines("") == []
        await learnings.aclose()
        await telemetry.aclose()

    anyio.run(run)


# Whatever is in a file: it is read in, and what was read can be asked for.

_odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(("", "lewin", "2026-01-02", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", 1e300)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def _lines(sound: dict[str, Any]) -> st.SearchStrategy[str]:
    changed = st.dictionaries(st.sampled_from(sorted(sound)), _odd, max_size=3)
    return st.one_of(changed.map(lambda odd: sound | odd), changed, _odd).map(json.dumps) | st.text(max_size=20)


@given(learnings=st.lists(_lines(LINE), max_size=4), events=st.lists(_lines(EVENT), max_size=4))
@example(learnings=['{"timestamp": 1, "pattern": "a", "mode": ' + "[" * 900 + "]" * 900 + "}"], events=[])
def test_whatever_is_in_a_file_it_is_read_in(learnings: list[str], events: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write(home / "learnings.jsonl", *learnings, LINE)
        write(home / "analytics" / "telemetry.jsonl", *events, EVENT)
        settings = HomeSettings(path=folder, learnings_max_age_days=None, telemetry_max_age_days=None)

        async def run() -> None:
            kept, told = open_learnings(settings, PATTERNS), open_telemetry(settings)
            records = await kept.recall("", ANY)
            assert "planner" in {one.agent_id for one in records}
            for one in records:
                assert msgspec.json.encode(await kept.report("", one.id, OutcomeReport(outcome="worse")))
            assert len(await kept.outcomes("", LearningQuery())) <= 50 * len(records)
            for by in GROUPINGS:
                assert sum(row.calls for row in await told.summarize(AnalyticsQuery(by=by, since=-1e18))) > 0
            assert msgspec.json.encode(await told.events(AnalyticsQuery(since=-1e18), 100))
            await kept.aclose()
            await told.aclose()

        anyio.run(run)


def test_a_home_of_an_earlier_version_is_read_in_when_it_is_first_used(tmp_path: Path) -> None:
    write(tmp_path / "learnings.jsonl", LINE, "rubbish")
    write(tmp_path / "analytics" / "telemetry.jsonl", EVENT, EVENT, EVENT | {"timestamp": None}, {"timestamp": "x"})
    envelope = {"schema_version": "reappraisal-baseline/v1", "baseline_id": "march", "detection": {"severity": "low"}}
    write(tmp_path / "baselines" / "cognitive_reappraisal.json", envelope)
    write(tmp_path / "baselines" / "aar.json", {"severity": "high", "generated_at": "2026-01-02T03:04:05Z"})
    write(tmp_path / "baselines" / "unheard-of.json", {"severity": "high"})
    write(tmp_path / "baselines" / "broken.json", "{")
    settings = HomeSettings(path=str(tmp_path), telemetry_max_age_days=None)

    async def play() -> None:
        for _ in range(2):
            learnings, telemetry = open_learnings(settings, PATTERNS), open_telemetry(settings)
            assert [one.agent_id for one in await learnings.recall("", ANY)] == ["planner"]
            (row,) = await telemetry.summarize(AnalyticsQuery())
            assert (row.calls, row.total_tokens) == (3, 3_000_000)
            assert row.estimated_cost_usd > 0.0
            assert await learnings.baselines("") == [("aar", "aar"), ("cognitive_reappraisal", "march")]
            assert await learnings.get_baseline("", "cognitive_reappraisal", "march") == b'{"severity":"low"}'
            await learnings.aclose()
            await telemetry.aclose()

    with structlog.testing.capture_logs() as lines:
        anyio.run(play)
    assert [(line["event"], line["added"], line["broken"]) for line in lines] == [
        *(("read in", 1, 1), ("read in", 2, 2), ("read in", 3, 1)),
    ]


def test_events_are_read_in_once(tmp_path: Path) -> None:
    file = write(tmp_path / "old.jsonl", EVENT, EVENT | {"elapsed_ms": 1e400})

    async def run() -> tuple[Imported, Imported]:
        store = SqliteTelemetry(tmp_path)
        try:
            write_in = store.database.write
            return (
                await write_in(lambda connection: import_telemetry(connection, file)),
                await write_in(lambda connection: import_telemetry(connection, file)),
            )
        finally:
            await store.aclose()

    first, second = anyio.run(run)
    assert (first.added, first.broken) == (1, 1)
    assert (second.added, second.known) == (0, 1)


@pytest.mark.parametrize(
    ("stem", "inside", "told"),
    [
        (
            "x",
            {"schema_version": "lewin-baseline/v1", "baseline_id": "b", "detection": {"severity": 1}},
            ("lewin", "b"),
        ),
        ("x", {"schema_version": "grpi-baseline/v1", "agreement": {"severity": 1}}, ("grpi", "x")),
        ("x", {"schema_version": "stone-heen-baseline/v1", "detection": {"severity": 1}}, ("feedback_triggers", "x")),
        ("x", {"schema_version": "yerkes-dodson-baseline/v1", "detection": {"severity": 1}}, ("yerkes_dodson", "x")),
        ("org_structure", {"generated_at": 1, "_baseline_recorded_at": 2}, ("org_structure", "org_structure")),
        ("answer", {"pattern": "aar", "detection": {"generated_at": 1}, "cached": False}, ("aar", "answer")),
        ("aar", {"detection": {"generated_at": 1}}, ("aar", "aar")),
        ("x", {"schema_version": "aar-baseline/v1", "baseline_id": "../x", "aar": {"severity": 1}}, ("aar", "x")),
    ],
)
def test_a_baseline_is_taken_apart(stem: str, inside: dict[str, Any], told: tuple[str, str]) -> None:
    pattern, name, detection = baseline_of(json.dumps(inside).encode(), stem)
    assert (pattern, name) == told
    assert json.loads(detection).keys() & {"severity", "generated_at"}


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"detail": {"error": "not_found"}}', b'{"schema_version": "aar-baseline/v1"}', b"[" * 9_999],
)
def test_what_is_no_baseline_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"it (is no JSON object|holds no detection)"):
        baseline_of(data, "x")
