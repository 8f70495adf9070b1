"""What holds of every pattern: the contract, every mode with a model and without, grounded evidence, linear work.

A pattern is found here by its file; nothing needs to be added for a new one.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import Any

import contract_kit as kit
import jsonschema
import msgspec
import pytest

import vstack_proto.patterns
from vstack_proto.analysis.machine import OFFLINE, Analysis, AnalysisState, Concluded
from vstack_proto.caching import canonical
from vstack_proto.errors import TraceNotReadable
from vstack_proto.events import ModelAnswered
from vstack_proto.patterns.common import MODES, Mode, Pattern, always
from vstack_proto.trace import CanonicalTrace, TraceStep
from vstack_proto.values import Failure, ModelRequest
from vstack_runtime.scripted import least_answer

AnyPattern = Pattern[Any, Any]
CALLS = {"quick": 1, "standard": 2, "forensic": 4}
# The contract: most of a reading of emotions and all of a span are computed, and trust has three registers to audit.
CALLS_OF = {
    "danva_emotion": {"quick": 1, "standard": 2, "forensic": 3},
    "span_of_control": {"quick": 0, "standard": 1, "forensic": 1},
    "trust_triangle": {"quick": 1, "standard": 2, "forensic": 5},
}
INVENTED = "words that stand in no trace at all, zyx"


def _found() -> dict[str, AnyPattern]:
    found = {}
    for module in pkgutil.iter_modules(vstack_proto.patterns.__path__):
        pattern = getattr(importlib.import_module(f"vstack_proto.patterns.{module.name}"), "PATTERN", None)
        if isinstance(pattern, Pattern) and pattern.name == module.name:
            found[pattern.name] = pattern
    return found


PATTERNS = _found()
each = pytest.mark.parametrize("name", sorted(PATTERNS))
each_mode = pytest.mark.parametrize("mode", MODES)


def analysis(pattern: AnyPattern, trace: Any, mode: Mode, model: str) -> Analysis:
    state = AnalysisState(
        pattern=pattern.name, mode=mode, model=model, trace=canonical(trace), run_id="r" * 12, wall=1_700_000_000.0
    )
    return Analysis(pattern, state, trace)


def run(pattern: AnyPattern, trace: Any, mode: Mode) -> tuple[Any, list[ModelRequest]]:
    """Run a mode to its end with a model that answers what fits, and makes up every quotation."""
    machine, asked = analysis(pattern, trace, mode, "scripted-1"), []
    step = machine.begin(10_000.0)
    while isinstance(step, ModelRequest):
        asked.append(step)
        step = machine.handle(ModelAnswered(at=10_001.0, ticket=1, text=least_answer(step, INVENTED)))
    assert isinstance(step, Concluded), step
    return msgspec.json.decode(step.detection), asked


def readable(pattern: AnyPattern, whole: CanonicalTrace) -> Any | None:
    """The pattern's own trace, or None where it says what it misses."""
    try:
        return pattern.from_trace(whole)
    except TraceNotReadable as error:
        if not error.missing:
            raise
        return None


def fits(pattern: AnyPattern, detection: Any) -> None:
    schema = kit.contract(pattern.name)["output_schema"]
    errors = [
        f"{error.json_path}: {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(detection)
    ]
    assert errors == []


@each
@pytest.mark.parametrize("differences", [kit.input_differences, kit.output_differences, kit.catalogue_differences])
def test_contract(name: str, differences: Any) -> None:
    assert differences(PATTERNS[name]) == []


@each
def test_bodies(name: str) -> None:
    pattern = PATTERNS[name]
    for request in kit.bodies(name, "valid"):
        assert kit.refusals(pattern, request.values[0]) == []
    for request in kit.bodies(name, "invalid"):
        assert kit.refusals(pattern, request.values[0]) != []


@each
@each_mode
@pytest.mark.parametrize("which", ["minimal", "rich"])
def test_offline(name: str, mode: Mode, which: str) -> None:
    pattern = PATTERNS[name]
    trace = kit.trace_of(pattern, kit.body(name, which))
    step = analysis(pattern, trace, mode, OFFLINE).begin(10_000.0)
    assert isinstance(step, Concluded)
    assert step == analysis(pattern, trace, mode, OFFLINE).begin(10_000.0)
    detection = msgspec.json.decode(step.detection)
    fits(pattern, detection)
    assert detection["generator_model"] == OFFLINE
    assert detection["llm_calls"] == 0
    assert kit.misquotes(pattern, trace, msgspec.convert(detection, pattern.detection)) == []


@each
@each_mode
@pytest.mark.parametrize("which", ["minimal", "rich"])
def test_a_model_that_makes_up_quotations(name: str, mode: Mode, which: str) -> None:
    pattern = PATTERNS[name]
    trace = kit.trace_of(pattern, kit.body(name, which))
    detection, asked = run(pattern, trace, mode)
    fits(pattern, detection)
    assert len(asked) == detection["llm_calls"] <= CALLS_OF.get(name, CALLS)[mode]
    assert kit.misquotes(pattern, trace, msgspec.convert(detection, pattern.detection)) == []
    assert INVENTED not in json.dumps([item["quote"] for item in kit.proofs_of(detection)])
    # The trace goes in once, as the prefix that all passes share, and instructions repeat none of it.
    assert len({(request.system, request.shared) for request in asked}) <= 1
    for request in asked:
        longest = max((step.content for step in pattern.read(trace).steps), key=len, default="")
        assert len(longest) < 40 or longest not in request.instruction


@each
@each_mode
def test_a_mode_makes_its_calls_and_each_asks_something_of_its_own(name: str, mode: Mode) -> None:
    pattern = PATTERNS[name]
    passes = tuple(msgspec.structs.replace(one, wanted=always) for one in pattern.passes[mode])
    assert len(passes) == CALLS_OF.get(name, CALLS)[mode]
    whole = msgspec.structs.replace(pattern, passes={mode: passes})
    _, asked = run(whole, kit.trace_of(pattern, kit.body(name, "rich")), mode)
    assert len({request.name for request in asked}) == len({request.instruction for request in asked}) == len(passes)


BAD = ("I cannot help with that.", "{}", '{"unknown": 1}', "[]", "", '{"a": "cut of')


@each
@each_mode
def test_answers_that_do_not_fit_are_repaired_once_and_then_refused(name: str, mode: Mode) -> None:
    pattern = PATTERNS[name]
    trace = kit.trace_of(pattern, kit.body(name, "rich"))
    # No pass is left out, whatever the answers before it say.
    passes = {mode: tuple(msgspec.structs.replace(one, wanted=always) for one in pattern.passes[mode])}
    pattern = msgspec.structs.replace(pattern, passes=passes)
    if not pattern.passes[mode]:
        pytest.skip("this mode asks no model")
    for turn, asked in enumerate(pattern.passes[mode]):
        for bad in BAD:
            machine = analysis(pattern, trace, mode, "scripted-1")
            step = machine.begin(10_000.0)
            for _ in range(turn):
                assert isinstance(step, ModelRequest)
                step = machine.handle(ModelAnswered(at=10_001.0, ticket=1, text=least_answer(step, INVENTED)))
            repair = machine.handle(ModelAnswered(at=10_001.0, ticket=1, text=bad))
            assert isinstance(repair, ModelRequest)
            assert repair.complaint
            failure = machine.handle(ModelAnswered(at=10_002.0, ticket=2, text=bad))
            assert isinstance(failure, Failure)
            assert (failure.status, failure.code) == (502, "analyzer_error")
            assert repr(asked.name) in failure.message


@each
@pytest.mark.parametrize("labelled", kit.labelled_traces()[::9])
def test_labelled_runs(name: str, labelled: Any) -> None:
    pattern = PATTERNS[name]
    whole = kit.canonical_of(labelled)
    trace = readable(pattern, whole)
    if trace is None:
        return
    assert pattern.faults(trace) == []
    step = analysis(pattern, trace, "standard", OFFLINE).begin(10_000.0)
    assert isinstance(step, Concluded)
    detection = msgspec.json.decode(step.detection)
    fits(pattern, detection)
    for item in kit.proofs_of(detection):
        assert item["steps"]
        assert all(item["quote"] in whole.steps[number].content for number in item["steps"])


@each
def test_a_healthy_team_is_left_alone(name: str) -> None:
    trace = readable(PATTERNS[name], HEALTHY)
    if trace is None:
        return
    detection = kit.offline(PATTERNS[name], trace)
    if hasattr(detection, "severity"):
        assert detection.severity in ("none", "trace"), (detection.severity, detection.evidence)
    else:
        # Two patterns have no severity of the whole: then that of each of their parts counts.
        found = severities(msgspec.to_builtins(detection))
        assert found
        assert set(found) <= {"none", "trace"}, detection
        assert not detection.interventions


def severities(value: Any) -> list[str]:
    """Every ``severity`` in a detection, at any depth."""
    if isinstance(value, dict):
        own = [value["severity"]] if isinstance(value.get("severity"), str) else []
        return own + [one for item in value.values() for one in severities(item)]
    return [one for item in value for one in severities(item)] if isinstance(value, list | tuple) else []


def _said(agent: str, content: str, kind: str = "message", tool: str | None = None) -> TraceStep:
    return TraceStep(agent=agent, type=kind, content=content, tool=tool)


HEALTHY = CanonicalTrace(
    goal="Find why the nightly export of orders is two hours late, mend it, and prove that the next run is on time.",
    agents=("lead", "data", "ops"),
    outcome="The next run finished at 02:04, inside its window; the index is in the migration and a test holds it.",
    success=True,
    steps=(
        _said(
            "lead", "Goal: the export must finish by 02:30. Data, please time the query; ops, please pull the job log."
        ),
        _said("ops", "grep 'export' /var/log/jobs/nightly.log", "tool_call", "shell"),
        _said("ops", "01:00 start; 03:58 query done; 04:01 upload done", "observation", "shell"),
        _said("ops", "The log shows that the query alone takes 2 h 58 min; the upload takes three minutes."),
        _said(
            "data", "EXPLAIN ANALYZE SELECT * FROM orders WHERE shop_id = 7 AND day = '2026-03-01'", "tool_call", "sql"
        ),
        _said("data", "Seq Scan on orders (rows=41200000) time=10312 ms", "observation", "sql"),
        _said(
            "data", "It reads the whole table: there is no index on (shop_id, day). I suggest we add one concurrently."
        ),
        _said("lead", "What does that cost on writes? I would like a figure before we decide."),
        _said("data", "pgbench -f insert.sql -T 60 on the copy, with and without the index", "tool_call", "shell"),
        _said("data", "without: 9120 tps; with: 8930 tps", "observation", "shell"),
        _said(
            "ops",
            "Two percent fewer writes is within our margin of ten. I see one risk: the disk needs 3 GB; 40 are free.",
        ),
        _said("lead", "Then we do it. Data adds the index by a migration, ops watches the next run.", "decision"),
        _said("data", "CREATE INDEX CONCURRENTLY orders_shop_day ON orders (shop_id, day)", "tool_call", "sql"),
        _said("data", "CREATE INDEX; the same query now: Index Scan, time=38 ms", "observation", "sql"),
        _said("ops", "01:00 start; 02:01 query done; 02:04 upload done", "observation", "shell"),
        _said("ops", "The run of tonight finished at 02:04. I compared the row counts with yesterday's file: equal."),
        _said(
            "lead", "Done: on time, with equal counts. Thank you both; data, your test keeps the index from being lost."
        ),
    ),
)
