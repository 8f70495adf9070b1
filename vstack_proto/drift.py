"""How a detection differs from an earlier one of the same agent: computed from the two alone.

The comparison takes the form that the pattern's ``baseline`` field has. What it compares follows from names: a field
``quadrant_weight_deltas`` holds the differences of ``quadrant_weights``, or of the ``weight`` of each item that has a
``quadrant``; ``indicator_deltas`` those of ``indicators``; ``score_deltas`` those of every score there is;
``gini_delta`` that of ``gini_coefficient``.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

from vstack_proto.patterns.common import BaselineComparison, Detection
from vstack_proto.severity import severity_of

DriftSeverity = Literal["none", "minor", "moderate", "severe"]
DRIFTS: tuple[DriftSeverity, ...] = ("none", "minor", "moderate", "severe")

# From which largest difference on a drift is called so.
MINOR, MODERATE, SEVERE = 0.10, 0.20, 0.40
# From calm to grave, or back, is no matter of degree.
_CALM, _GRAVE = frozenset({"none", "trace", "low"}), frozenset({"high", "critical"})
# What is said of how an analysis went is no score.
_BOOKKEEPING = frozenset(Detection.__struct_fields__) - {"evidence"}
_NO_SCORES = frozenset({"confidence"})
# Which maps hold scores; others hold counts and estimates that a score was made of.
_MAPS = ("_score", "_scores", "_weights")
# Decimal places.
_PLACES = 4

Found = Mapping[str, Any]


def with_comparison(detection: bytes, baseline: bytes, name: str, kind: type[Detection]) -> bytes:
    """An encoded detection, its ``baseline`` filled in.

    Args:
        detection: As JSON.
        baseline: The earlier one, as JSON.
        name: What it is called.
        kind: The pattern's detection.
    """
    members = msgspec.json.decode(detection, type=dict[str, msgspec.Raw])
    compared = compare(msgspec.json.decode(detection), msgspec.json.decode(baseline), name, kind)
    members["baseline"] = msgspec.Raw(msgspec.json.encode(compared))
    return msgspec.json.encode(members)


def compare(now: Found, before: Found, name: str, kind: type[Detection]) -> msgspec.Struct:
    """How a detection differs from an earlier one.

    Args:
        now, before: Two detections by the same pattern, as decoded JSON.
        name: What the earlier one is called.
        kind: The pattern's detection, whose ``baseline`` says what form the comparison takes.

    Returns:
        That form. ``drift_severity`` goes by the largest difference (over 0.40 severe, 0.20 moderate, 0.10 minor); a
        changed label is at least moderate, and a severity that went from calm to grave, or back, is severe.
    """
    form = comparison_of(kind)
    told: dict[str, Any] = {"historical_baseline_id": name}
    deltas: dict[str, float] = {}
    changed = []
    for field in form.__struct_fields__:
        if field.endswith("_deltas"):
            told[field] = deltas = _deltas(_scores(now, field), _scores(before, field))
        elif field.endswith("_delta"):
            deltas = _single(now, before, field.removesuffix("_delta"))
            told[field] = next(iter(deltas.values()), 0.0)
        elif field.startswith("baseline_"):
            label = field.removeprefix("baseline_")
            told[field] = was = _label(before, label)
            if was is not None and was != _label(now, label):
                changed.append((label, was, _label(now, label)))
    told["historical_generated_at"] = _moment(before)
    told["drift_severity"] = _severity(deltas.values(), bool(changed), _flipped(now, before))
    told["notes"] = _notes(now, before, deltas, changed)
    return form(**told)


@functools.cache
def comparison_of(kind: type[Detection]) -> type[msgspec.Struct]:
    """The form of a pattern's comparison; the common one for a pattern that has no field for it."""
    for field in msgspec.structs.fields(kind):
        if field.name == "baseline":
            for one in get_args(field.type):
                if isinstance(one, type) and get_origin(one) is None and issubclass(one, msgspec.Struct):
                    return one
    return BaselineComparison


def _number(value: object) -> bool:
    # A baseline may come from a file: nothing in it may be too large to subtract.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _scores(found: Found, field: str) -> dict[str, float]:
    """The scores of a detection whose differences belong into a field."""
    if field == "score_deltas":
        return _all_scores(found)
    label, _, measure = field.removesuffix("_deltas").rpartition("_")
    for name, value in found.items():
        if isinstance(value, Mapping) and name == f"{label}_{measure}s".lstrip("_"):
            numbers = _numbers(value)
            # Without labels of its own it is a record, which says how sure it is beside its numbers.
            return numbers if label else {word: one for word, one in numbers.items() if word not in _NO_SCORES}
    for value in found.values():
        if isinstance(value, list):
            told = _by_label(value, label or measure, measure if label else None)
            if told:
                return told
    return {}


def _all_scores(found: Found) -> dict[str, float]:
    """Every score: those on their own by their field, those of a map or a list by their label."""
    own = {name: value for name, value in found.items() if name not in _BOOKKEEPING}
    alone = {name: value for name, value in own.items() if isinstance(value, float) and _number(value)}
    maps = [value for name, value in own.items() if isinstance(value, Mapping) and name.endswith(_MAPS)]
    # Where there is a map, it sums the lists up already.
    for found_map in maps or [_by_label(value, None, None) for value in own.values() if isinstance(value, list)]:
        alone |= _numbers(found_map)
    return alone


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in values.items() if _number(value)}


def _by_label(items: Iterable[Any], label: str | None, measure: str | None) -> dict[str, float]:
    """Of each item the ``measure`` (by default its first score) under the ``label`` (by default its first word)."""
    told: dict[str, float] = {}
    for item in items:
        if not isinstance(item, Mapping):
            return {}
        words = [value for name, value in item.items() if isinstance(value, str) and label in (None, name)]
        scores = [value for name, value in _numbers(item).items() if name == measure or _is_score(name, measure)]
        if words and scores:
            told.setdefault(words[0], scores[0])
    return told


def _is_score(name: str, measure: str | None) -> bool:
    return measure is None and name.endswith("score")


def _deltas(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {label: round(now[label] - before[label], _PLACES) for label in now if label in before}


def _single(now: Found, before: Found, stem: str) -> dict[str, float]:
    """The difference of the one number whose name begins with the stem."""
    name = next((name for name, value in now.items() if name.startswith(f"{stem}_") and _number(value)), None)
    if name is None or not _number(before.get(name)):
        return {}
    return _deltas({name: now[name]}, {name: before[name]})


def _label(found: Found, name: str) -> str | None:
    """A label by its name, or by a longer name that ends with it (``zone``: ``observed_zone``)."""
    value = found.get(name)
    if value is None:
        value = next((value for key, value in found.items() if key.endswith(f"_{name}")), None)
    return value if isinstance(value, str) else None


def _moment(found: Found) -> dt.datetime | None:
    try:
        moment = msgspec.convert(found.get("generated_at"), dt.datetime)
    except msgspec.ValidationError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _flipped(now: Found, before: Found) -> bool:
    pair = {severity_of(now), severity_of(before)}
    return not pair.isdisjoint(_CALM) and not pair.isdisjoint(_GRAVE)


def _severity(deltas: Iterable[float], changed: bool, flipped: bool) -> DriftSeverity:
    largest = max(map(abs, deltas), default=0.0)
    if flipped or largest > SEVERE:
        return "severe"
    if changed or largest > MODERATE:
        return "moderate"
    return "minor" if largest > MINOR else "none"


def _notes(now: Found, before: Found, deltas: Mapping[str, float], changed: Iterable[tuple[str, str, Any]]) -> str:
    """What has changed, in words; and what makes the two hard to compare."""
    told = [f"{label} was {was} and is {word}" for label, was, word in changed]
    was, severity = severity_of(before), severity_of(now)
    if was is not None and severity != was:
        told.append(f"severity was {was} and is {severity}")
    if deltas:
        label = max(deltas, key=lambda one: abs(deltas[one]))
        if deltas[label]:
            told.append(f"{label} moved most, by {deltas[label]:+g}")
    for field, what in (("mode", "mode"), ("generator_model", "model")):
        if field in before and before[field] != now.get(field):
            told.append(f"the {what} differs: {before[field]} then, {now.get(field)} now")
    return "; ".join(told)
