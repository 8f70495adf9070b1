"""How much oversight a task asks for, how much is exercised, and the words that tell it."""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec

from vstack_proto.patterns.common import Case, Count, Evidence, Severity, banded
from vstack_proto.patterns.mcgregor_texts import PropertiesAnswer, StepType, Theory
from vstack_proto.patterns.signs import BANDS, words

Quality = Literal["well-matched", "mild-mismatch", "severe-mismatch"]
Profile = Literal[
    "well_matched_theory_x", "well_matched_theory_y", "well_matched_hybrid", "theory_x_on_low_risk",
    "theory_y_on_high_risk", "theory_x_on_proven_agent", "theory_y_on_unproven_agent", "hybrid_misapplied",
    "regulated_workflow_under_supervision", "creative_task_over_supervised", "irreversible_action_under_supervision",
    "indeterminate",
]  # fmt: skip


class StepAudit(msgspec.Struct, frozen=True):
    """One step of the orchestrator, judged by what the task asks for."""

    step_index: Count
    step_type: StepType
    mode_signal: Theory = "hybrid"
    was_appropriate: bool = True
    suggested_alternative: str = ""
    explanation: str = ""


class OptimalityJustification(msgspec.Struct, frozen=True):
    """Why a mode fits the task."""

    optimal_mode: Theory
    task_risk: str = ""
    task_complexity: str = ""
    task_reversibility: str = ""
    agent_capability: str = ""
    regulatory: str = ""
    final_rationale: str = ""


class TaskProperties(msgspec.Struct, frozen=True):
    """What decides how much oversight a task needs."""

    risk_level: Literal["low", "medium", "high"]
    complexity: Literal["routine", "moderate", "novel"]
    reversibility: Literal["reversible", "partial", "irreversible"] = "reversible"
    regulatory_exposure: bool = False
    agent_capability: Literal["unproven", "moderate", "proven"] = "moderate"


X_FROM, Y_TO = 0.65, 0.35
MIDDLE: dict[Theory, float] = {"theory_x": 0.85, "hybrid": 0.5, "theory_y": 0.15}
# How much each property asks for oversight; they add up to 1. Risk weighs most (Eisenhardt), novelty asks for room.
RISK = {"low": 0.0, "medium": 0.175, "high": 0.35}
UNDO = {"reversible": 0.0, "partial": 0.125, "irreversible": 0.25}
SKILL = {"unproven": 0.25, "moderate": 0.125, "proven": 0.0}
REGULATED, NOVEL = 0.15, -0.1
REGULATION = {"regulated": True, "unregulated": False}


def need_of(task: TaskProperties) -> float:
    """How much oversight the task asks for, from 0 to 1; one grave property keeps it from being left alone."""
    need = RISK[task.risk_level] + UNDO[task.reversibility] + SKILL[task.agent_capability]
    need += REGULATED * task.regulatory_exposure + NOVEL * (task.complexity == "novel")
    grave = task.risk_level == "high" or task.regulatory_exposure or task.reversibility == "irreversible"
    return round(max(need, 0.45 if grave else 0.4 if task.agent_capability == "unproven" else 0.0), 4)


def mode_of(control: float) -> Theory:
    """The mode that an amount of control, seen or needed, amounts to."""
    return "theory_x" if control >= X_FROM else "theory_y" if control <= Y_TO else "hybrid"


def mismatch_of(control: float, need: float) -> float:
    """The distance, kept in the contract's band of mismatch for equal, neighbouring and opposite modes."""
    seen, wanted, gap = mode_of(control), mode_of(need), abs(control - need)
    if seen == wanted:
        return round(min(gap, 0.2), 4)
    return round(min(max(gap, 0.21), 0.5) if "hybrid" in (seen, wanted) else max(gap, 0.51), 4)


def quality_of(mismatch: float) -> Quality:
    """The contract's bounds on the mismatch."""
    return "well-matched" if mismatch <= 0.2 else "mild-mismatch" if mismatch <= 0.5 else "severe-mismatch"


def severity_of(mismatch: float) -> Severity:
    """The contract's bands; a severe mismatch is high at least."""
    return banded(max(mismatch, 0.7) if quality_of(mismatch) == "severe-mismatch" else mismatch, BANDS)


def profile_of(seen: Theory, task: TaskProperties, quality: Quality) -> Profile:
    """The contract's rules; the first that holds."""
    x, y, low = seen == "theory_x", seen == "theory_y", task.risk_level == "low"
    rules: tuple[tuple[bool, Profile], ...] = (
        (y and task.reversibility == "irreversible", "irreversible_action_under_supervision"),
        (y and task.regulatory_exposure, "regulated_workflow_under_supervision"),
        (x and task.complexity == "novel" and low, "creative_task_over_supervised"),
        (x and task.agent_capability == "proven" and low, "theory_x_on_proven_agent"),
        (y and task.agent_capability == "unproven", "theory_y_on_unproven_agent"),
        (y and task.risk_level == "high", "theory_y_on_high_risk"),
        (x and low, "theory_x_on_low_risk"),
        (seen == "hybrid" and quality != "well-matched", "hybrid_misapplied"),
        (quality == "well-matched", cast("Profile", f"well_matched_{seen}")),
    )
    return next((profile for holds, profile in rules if holds), "indeterminate")


# A delegation that prescribes or waits for leave is control, whatever its type says (theory X).
TIGHT = words(
    r"ask me (?:before|first)|(?:wait|ask) for (?:my )?(?:approval|permission|sign.?off|go)|without my"
    r" (?:approval|permission|ok)|report (?:back )?after (?:each|every)|before (?:each|every) (?:step|change|action)"
    r"|show me (?:each|every)|exactly as i|nothing else|line by line|do not (?:think|improvise|deviate)"
)
# A step that hands the decision over (theory Y).
LOOSE = words(
    r"use your (?:own |best )?judge?ment|up to you|as you see fit|no need to (?:ask|check|report)|you decide|your call"
    r"|report when (?:you are |you're )?(?:done|finished)|however you (?:like|want)|just do it|handle it"
)
# What an agent reports that ought to change how closely it is led.
ALARM = words(
    r"errors?|fail(?:s|ed|ing|ure)?|still (?:reads?|uses?|needs?|depends?)|conflicts?|unsure|not sure|warning|breaks"
    r"|broken|blocked|cannot|can't|would (?:delete|drop|break)|corrupt(?:ed)?|data loss|unexpected"
)
# How an orchestrator of a canonical trace speaks where the type of its step does not tell.
SPOKEN: tuple[tuple[str, str], ...] = (
    ("abort", r"abort(?:ed|ing)?|halt|stop everything|cancel (?:the|this|it)"),
    ("reject", r"reject(?:ed|ing)?|not approved|denied|declined"),
    ("approve", r"approv(?:e|ed|ing)|lgtm|go ahead|you may proceed|signed off"),
    ("check_in", r"status|how far|how is it going|any progress|are you done|update me|report back"),
    ("intervene", r"let me (?:fix|do|take)|i(?:'ll| will) take over|redo (?:this|it)|instead,? do|undo (?:this|that)"),
    ("narrow", r"(?:restrict|limit) (?:yourself|it|this)|stop doing|from now on only|no longer (?:touch|change)"),
    ("broaden", LOOSE.pattern),
)


def audit(number: int, kind: StepType, seen: Theory, wanted: Theory) -> StepAudit:
    if "hybrid" in (seen, wanted) or seen == wanted:
        return StepAudit(number, kind, seen, True, "", f"Fits a task that asks for {wanted}.")
    other = "Delegate with a goal and a bound." if seen == "theory_x" else "Ask for the plan and approve it first."
    return StepAudit(number, kind, seen, False, other, f"The task asks for {wanted}.")


def justified(task: TaskProperties, wanted: Theory, told: str) -> OptimalityJustification:
    need, regulated = need_of(task), "regulated" if task.regulatory_exposure else "not regulated"
    said = f"Together they ask for control of {need:.2f}: up to {Y_TO} is theory Y, from {X_FROM} on X."
    facts = (task.risk_level, task.complexity, task.reversibility, task.agent_capability)
    return OptimalityJustification(wanted, *facts, regulated, f"{told} {said}".strip())


def shown(
    case: Case[Any], told: PropertiesAnswer | None, stated: TaskProperties
) -> tuple[TaskProperties, tuple[Evidence, ...]]:
    """The task as the run shows it, with proof: other than stated only where words that stand bear it out."""
    held, proofs = msgspec.to_builtins(stated), dict[str, Evidence]()
    for one in told.properties if told else ():
        value: Any = one.value if one.name != "regulatory_exposure" else REGULATION.get(one.value)
        try:
            msgspec.convert({**held, one.name: value}, TaskProperties)
        except msgspec.ValidationError:
            continue  # a value of another property
        proof = case.proof(one.claim, one.quote, one.step)
        if proof and held[one.name] != value and one.name not in proofs:
            held[one.name], proofs[one.name] = value, proof
    return msgspec.convert(held, TaskProperties), tuple(proofs.values())
