"""The setting that an agent worked in: its pull to either side, the loads it makes, and how full the context was."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from vstack_proto.patterns import signs
from vstack_proto.patterns.common import Case, Count, Share
from vstack_proto.patterns.yerkes_dodson_texts import SIDE_OF

Component = Literal["intrinsic", "extraneous", "germane"]
Strain = Literal["none", "moderate", "tight", "absurd"]


class PressureProfile(msgspec.Struct, frozen=True):
    """The setting that the agent worked in."""

    deadline_pressure: Strain = "moderate"
    budget_pressure: Strain = "moderate"
    retry_cap: Count | None = None
    error_visibility: Literal["low", "medium", "high"] = "medium"
    task_complexity: Literal["simple", "moderate", "complex"] = "moderate"
    context_size_tokens: Count | None = None
    context_window_size: Count | None = None
    interrupt_frequency: Literal["none", "low", "moderate", "high"] = "low"
    extraneous_load_indicators: tuple[str, ...] = ()


class CognitiveLoadAnalysis(msgspec.Struct, frozen=True):
    """Sweller's loads; the total is what intrinsic and extraneous load ask of working memory."""

    intrinsic_load: Share = 0.5
    extraneous_load: Share = 0.5
    germane_load: Share = 0.5
    total_load: Share = 0.5
    dominant_component: Component = "intrinsic"
    notes: str = ""


class ContextSaturation(msgspec.Struct, frozen=True):
    """How full the context was."""

    saturation_ratio: Share = 0.0
    lost_in_middle_risk: Literal["low", "moderate", "high"] = "low"
    estimated_useful_tokens: Count = 0
    estimated_noise_tokens: Count = 0
    notes: str = ""


STRAIN: dict[str, float] = {"none": 0.0, "moderate": 0.0, "tight": 0.5, "absurd": 1.0}
INTERRUPTED: dict[str, float] = {"none": 0.0, "low": 0.05, "moderate": 0.15, "high": 0.3}


def pull_of(pressure: PressureProfile) -> dict[str, float]:
    """How far the setting pulls to either side, from 0 to 1."""
    strain = max(STRAIN[pressure.deadline_pressure], STRAIN[pressure.budget_pressure])
    # The harder the task, the earlier the optimum: the same strain pulls further.
    strain *= {"simple": 0.6, "moderate": 0.8, "complex": 1.0}[pressure.task_complexity]
    slack = [pressure.deadline_pressure, pressure.budget_pressure].count("none") / 2
    return {"under_pressure": slack, "over_pressure": strain}


def saturation_of(pressure: PressureProfile) -> ContextSaturation | None:
    """The contract's formulas; only for a known window."""
    if not pressure.context_window_size:
        return None
    size = pressure.context_size_tokens or 0
    ratio = min(1.0, size / pressure.context_window_size)
    risk: Literal["low", "moderate", "high"] = "high" if ratio >= 0.85 else "moderate" if ratio >= 0.5 else "low"
    noise = min(size, 200 * len(pressure.extraneous_load_indicators))
    told = f"{size} of {pressure.context_window_size} tokens; what stands in the middle is read worst."
    return ContextSaturation(ratio, risk, size - noise, noise, told)


def loads_of(case: Case[Any]) -> tuple[float, float, float]:
    """Intrinsic, extraneous and germane load by setting and signs; what extraneous load leaves can be germane."""
    pressure, weights = case.trace.pressure, signs.weigh(case.signals, SIDE_OF)
    base = {"simple": 0.2, "moderate": 0.4, "complex": 0.6}[pressure.task_complexity]
    intrinsic = 1 - (1 - base) * (1 - weights["intrinsic_load"])
    given = min(0.9, 0.15 * len(pressure.extraneous_load_indicators) + INTERRUPTED[pressure.interrupt_frequency])
    seen = max(weights["extraneous_load"], weights["interrupt_thrashing"])
    extraneous = 1 - (1 - given) * (1 - seen)
    return round(intrinsic, 4), round(extraneous, 4), round(intrinsic * (1 - extraneous), 4)


def analysis_of(loads: tuple[float, ...], notes: str) -> CognitiveLoadAnalysis:
    """Total and dominant load; the first of equals in the order of the enumeration."""
    intrinsic, extraneous, germane = loads
    dominant: Component = get_args(Component)[loads.index(max(loads))]
    total = round(min(1.0, intrinsic + extraneous), 4)
    return CognitiveLoadAnalysis(intrinsic, extraneous, germane, total, dominant, notes)
