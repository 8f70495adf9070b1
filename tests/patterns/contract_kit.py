"""What the tests of all patterns share: the contract's request bodies, schemas and catalogue, and labelled traces.

The contract lies beside the checkout; where it is absent, what needs it is skipped with that reason.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vstack_proto.patterns.common import Case, Detection, Mode, Pattern
from vstack_proto.trace import CanonicalTrace

SHARED = Path(__file__).resolve().parents[3] / "shared"
ABSENT = f"no contract at {SHARED}"
# Kept out of our traces on purpose: a path in a request is accepted and never opened.
IGNORED_INPUTS = frozenset({"baseline_path", "baseline_detection_path", "baseline_audit_path"})
# Not "format": msgspec writes it for moments that must carry an offset only, and ours need not.
COMPARED = (
    "type", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "minLength",
    "maxLength", "pattern",
)  # fmt: skip


@functools.cache
def _load(path: str) -> Any:
    file = SHARED / path
    if not file.exists():
        pytest.skip(ABSENT)
    return json.loads(file.read_text(encoding="utf-8"))


def contract(name: str) -> Any:
    """The contract's entry of one pattern; skips the test where there is no contract."""
    return next(entry for entry in _load("contract/patterns.json")["patterns"] if entry["name"] == name)


def golden(name: str, file: str = "golden.json") -> Any:
    """Numbers to reproduce; skips where there are none."""
    return _load(f"contract/requests/{name}/{file}")


def body(name: str, which: str) -> Any:
    """One request body, such as ``minimal`` or ``rich``."""
    return _load(f"contract/requests/{name}/{which}.json")


def bodies(name: str, verdict: str) -> list[Any]:
    """Parameters for ``pytest.mark.parametrize``: the bodies that the contract calls ``valid`` or ``invalid``.

    Use: ``@pytest.mark.parametrize("body", bodies("aar", "valid"))``.
    """
    index = SHARED / "contract/requests/index.json"
    if not index.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=ABSENT))]
    listed = json.loads(index.read_text(encoding="utf-8"))[name][verdict]
    items = listed.values() if isinstance(listed, dict) else listed
    files = [SHARED / "contract/requests" / item["file"] for item in items]
    return [pytest.param(json.loads(file.read_text(encoding="utf-8")), id=file.stem) for file in files]


def trace_of(pattern: Pattern[Any, Any], request: Any) -> Any:
    """Decode a request body's trace, as a server would; raises ``msgspec.ValidationError``."""
    bare = request.get("trace", request)
    return msgspec.json.decode(json.dumps(bare).encode(), type=pattern.trace)


def refusals(pattern: Pattern[Any, Any], request: Any) -> list[str]:
    """Why a request body is refused: nothing if it is accepted."""
    try:
        trace = trace_of(pattern, request)
    except msgspec.ValidationError as error:
        return [str(error)]
    return [f"{fault.pointer}: {fault.message}" for fault in pattern.faults(trace)]


def case_of(pattern: Pattern[Any, Any], trace: Any, mode: Mode = "standard") -> Case[Any]:
    """The material of one analysis, laid out as the analysis does it."""
    reading = pattern.read(trace)
    return Case(trace, reading, pattern.signals(trace, reading), mode)


def offline(pattern: Pattern[Any, Any], trace: Any, mode: Mode = "standard") -> Any:
    """The detection from the signals alone."""
    return pattern.assess_offline(case_of(pattern, trace, mode))


def misquotes(pattern: Pattern[Any, Any], trace: Any, detection: Detection) -> list[str]:
    """Evidence whose quotation does not stand in every step it cites, or that cites none."""
    steps = pattern.read(trace).steps
    wrong = []
    for item in detection.evidence:
        if not item.steps or len(item.quote.strip()) < 3:
            wrong.append(f"{item.quote!r} cites {item.steps}")
        wrong += [
            f"{item.quote!r} not in step {number}"
            for number in item.steps
            if not 0 <= number < len(steps) or item.quote not in steps[number].content
        ]
    return wrong


def proofs_of(detection: Any) -> list[Any]:
    """The grounded evidence of a detection in JSON; where the contract's own ``evidence`` is something else, it is
    called ``quotations``."""
    proofs: list[Any] = detection.get("quotations", detection["evidence"])
    return proofs


def labelled_traces() -> list[Any]:
    """Parameters: labelled runs of teams, each ``{id, subset, trace, label}``; one skipped parameter where absent."""
    file = SHARED / "traces/whowhen_dev.jsonl"
    if not file.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no labelled traces at {file}"))]
    runs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [pytest.param(run, id=run["id"]) for run in runs]


def canonical_of(run: Any) -> CanonicalTrace:
    """The canonical trace of a labelled run."""
    return msgspec.convert(run["trace"], CanonicalTrace)


def schema_of(kind: type[msgspec.Struct]) -> Any:
    """The JSON Schema of a Struct with every reference put in place."""
    schema = msgspec.json.schema(kind)
    return _inlined(schema, schema.get("$defs", {}))


def _inlined(node: Any, defs: Any) -> Any:
    if isinstance(node, list):
        return [_inlined(item, defs) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        inside = _inlined(defs[node["$ref"].rpartition("/")[2]], defs)
        return {**inside, **{key: value for key, value in node.items() if key != "$ref"}}
    return {key: _inlined(value, defs) for key, value in node.items()}


def output_differences(pattern: Pattern[Any, Any]) -> list[str]:
    """Where the detection's JSON Schema departs from the contract's; only fields of ``Detection`` may be added."""
    theirs = contract(pattern.name)["output_schema"]
    ours = schema_of(pattern.detection)
    found = [] if list(theirs["required"]) == [f for f in ours.get("required", []) if f in theirs["required"]] else [
        f"/: required {theirs['required']}, not {ours.get('required')}"
    ]  # fmt: skip
    extra = set(ours["properties"]) - set(theirs["properties"]) - set(Detection.__struct_fields__) - {"quotations"}
    return [*found, *(f"/{name}: not in the contract" for name in sorted(extra)), *_differences(theirs, ours, "")]


def input_differences(pattern: Pattern[Any, Any]) -> list[str]:
    """Where the trace's JSON Schema departs from the contract's; paths to baselines are left out on purpose."""
    theirs = contract(pattern.name)["input_schema"]
    ours = schema_of(pattern.trace)
    kept = {name: field for name, field in theirs["properties"].items() if name not in IGNORED_INPUTS}
    extra = set(ours["properties"]) - set(kept)
    return [
        *(f"/{name}: not in the contract" for name in sorted(extra)),
        *_differences({**theirs, "properties": kept}, ours, ""),
    ]


def _alternatives(schema: Any) -> list[Any]:
    """The non-null alternatives of a schema, an enumeration that holds null being one of them."""
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    return [{**o, "enum": [v for v in o["enum"] if v is not None]} if "enum" in o else o for o in options]


def _nullable(schema: Any) -> bool:
    options = schema.get("anyOf", [schema])
    return any(option.get("type") == "null" or None in option.get("enum", ()) for option in options)


def _values(schema: Any) -> list[Any] | None:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return None if values is None else sorted(values, key=repr)


def _differences(theirs: Any, ours: Any, at: str) -> list[str]:
    found = [f"{at}: null"] if _nullable(theirs) != _nullable(ours) else []
    if "default" in theirs and theirs["default"] != ours.get("default"):
        found.append(f"{at}: default {theirs['default']!r}, not {ours.get('default')!r}")
    left, right = _alternatives(theirs), _alternatives(ours)
    if len(left) != len(right):
        return [*found, f"{at}: {len(left)} alternatives, not {len(right)}"]
    for one, other in zip(_sorted(left), _sorted(right), strict=True):
        found += _plain_differences(one, other, at)
    return found


def _sorted(options: list[Any]) -> list[Any]:
    return options if len(options) < 2 else sorted(options, key=lambda option: str(option.get("type", "string")))


def _plain_differences(theirs: Any, ours: Any, at: str) -> list[str]:
    found = []
    if _values(theirs) != _values(ours):
        found.append(f"{at}: values {_values(theirs)}, not {_values(ours)}")
    elif _values(theirs) is None:
        pairs = ((key, theirs.get(key), ours.get(key)) for key in COMPARED)
        found += [f"{at}: {key} {one!r}, not {other!r}" for key, one, other in pairs if one != other]
    # The order of nested required fields is of no account in JSON; which they are is.
    if at and set(theirs.get("required", ())) != set(ours.get("required", ())):
        found.append(f"{at}: required {theirs.get('required')}, not {ours.get('required')}")
    for name, field in theirs.get("properties", {}).items():
        if name not in ours.get("properties", {}):
            found.append(f"{at}/{name}: missing")
        else:
            found += _differences(field, ours["properties"][name], f"{at}/{name}")
    if at and "properties" in theirs:
        extra = sorted(set(ours.get("properties", ())) - set(theirs["properties"]))
        found += [f"{at}/{name}: not in the contract" for name in extra]
    for key in ("items", "additionalProperties"):
        one, other = theirs.get(key), ours.get(key)
        if isinstance(one, dict) and one:
            found += _differences(one, other, f"{at}/{key}") if isinstance(other, dict) else [f"{at}: no {key}"]
    return found


def catalogue_differences(pattern: Pattern[Any, Any]) -> list[str]:
    """Where number, names, sources, playbooks, attach map or composition depart from the contract."""
    theirs = contract(pattern.name)
    composed = theirs["composition"]
    attached = {tuple(entry["when"]): entry["failure_mode"] for entry in theirs["playbooks"]["attach_map"]}
    ours = pattern.composition
    plain = ("upstream", "framework_overlays", "intervention_overlays")
    labels = {key: key.removeprefix("downstream_by_").removesuffix("_overlays") for key in composed if key not in plain}
    downstream = {label: composed[key] for key, label in labels.items()}
    pairs: list[tuple[str, Any, Any]] = [
        ("number", theirs["number"], pattern.number),
        ("friendly", theirs["friendly"], pattern.friendly),
        ("group", theirs["group"], pattern.group),
        ("sources", theirs["sources"], _plain(pattern.sources)),
        ("modes", theirs["modes"], list(pattern.passes)),
        ("upstream", composed["upstream"], list(ours.upstream)),
        ("downstream", downstream, _plain(ours.downstream)),
        ("overlays", composed.get("framework_overlays", {}), _plain(ours.framework_overlays)),
        ("carriers", composed.get("intervention_overlays", {}), ours.intervention_overlays),
        ("attach", attached, dict(pattern.attach)),
        ("playbooks", _entries(theirs["playbooks"]["entries"]), _playbooks(pattern)),
        ("playbook fields", theirs["playbooks"]["fields"], list(pattern.playbooks[0].__struct_fields__)),
    ]  # fmt: skip
    return [f"{name}: {one!r}, not {other!r}" for name, one, other in pairs if one != other]


def _plain(value: Any) -> Any:
    """As JSON has it: lists for tuples, objects for Structs."""
    return json.loads(msgspec.json.encode(value))


def _entries(entries: Any) -> Any:
    return {tuple(e["key"]): (e["expected_effort"], e["steps"]) for e in entries}


def _playbooks(pattern: Pattern[Any, Any]) -> Any:
    rows = [_plain(playbook) for playbook in pattern.playbooks]
    return {tuple(list(row.values())[:2]): (row["expected_effort"], len(row["steps"])) for row in rows}
