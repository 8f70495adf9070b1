"""Robbins' characteristics: what is asked of a model, and the answers it must give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from vstack_proto.patterns import fit, shapes
from vstack_proto.patterns.common import (
    Answer,
    Count,
    Evidence,
    Share,
)
from vstack_proto.patterns.robbins_culture_texts import Characteristic, Direction, Kind

ASK_CHARACTERISTICS = """\
Score what is shown of each of the seven characteristics once: observed_score from 0 (none) to 1 (all that could be). \
Where nothing in the record puts a characteristic to the test, give the target. A score off its target by more than \
what the words plainly show counts only with a quotation that stands. Explain in one or two sentences which steps show \
too much or too little of it for this task, and what it cost. Targets for this class of task: {targets}."""
ASK_TARGETS = """\
The targets for the class {task_class} are: {targets}. Does this very task, by what it states (a deadline, a law, a \
person in distress, money that cannot be called back, a wish for something new), want any of them differently? List \
only those, each with the target from 0 to 1, the reason, and a quotation of a step that states it. What the agent did \
is no reason to want it."""
ASK_ACTS = """\
A culture is what is done again; one act is none (O'Reilly and others ask how widely and how strongly a value is \
held). Scored off target: {gaps}. Go through the steps for these characteristics alone, and list every single act in \
which one of them was put to the test, each with its step and a quotation: way more where the act shows more of it \
than this task wants, less where it shows less, as_wanted where the agent did what the task wants although it could \
have done otherwise. Look for as_wanted as hard as for the others. Acts in the same step about the same thing are one; \
steps of people and tools are none of the agent's."""
ASK_CHANGES = """\
Propose two to four changes, the widest gap first; none for a characteristic that fits. direction: increase where \
there is too little, decrease where there is too much. Too little detail or outcome: new_eval or \
rewrite_system_prompt; too much innovation or aggressiveness: add_guardrail; too little team: add_team_scaffold; too \
much: remove_solo_path; stability: add_guardrail to increase, rewrite_system_prompt to decrease. human_review or \
swap_model only where most of the profile is off; compose_pattern names another pattern to run. Give the sentence, \
check or setting itself, and say which steps call for it."""
ASK_SCORED = "Gaps as scored (observed against target): {gaps}.\n\n"


class FitIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change towards the profile that the task wants."""

    target_characteristic: Characteristic
    intervention_type: Kind
    direction: Direction


class CharacteristicFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of one characteristic is shown."""

    characteristic: Characteristic
    observed_score: Share
    explanation: str
    evidence: tuple[Evidence, ...]


class CharacteristicsAnswer(Answer, frozen=True):
    """All seven."""

    characteristics: tuple[CharacteristicFinding, ...]


class QuickAnswer(CharacteristicsAnswer, frozen=True):
    """All in one call."""

    interventions: tuple[FitIntervention, ...]


class TargetFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A characteristic that this very task wants differently from its class."""

    characteristic: Characteristic
    target: Share
    reason: str
    evidence: tuple[Evidence, ...]


class TargetsAnswer(Answer, frozen=True):
    """What this task wants differently."""

    overrides: tuple[TargetFinding, ...]


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One act in which a characteristic was put to the test; ``quote`` stands in its step."""

    characteristic: Characteristic
    way: Literal["more", "less", "as_wanted"]
    step: Count
    quote: str


class ActsAnswer(Answer, frozen=True):
    """The acts that put a characteristic to the test."""

    acts: tuple[Act, ...]


def held(acts: Iterable[tuple[str, str, int]], label: str, own: fit.Fit) -> tuple[fit.Fit, str]:
    """A characteristic as far as it was shown again: half of its gap is in the acts, and one act is half a habit.

    Args:
        acts: Characteristic, way and step of each act that stands.
        label: The characteristic.
        own: Its fit as scored.

    Returns:
        The fit, and the acts in a sentence; unchanged, without one, where no act is listed.
    """
    ways = {(way, step) for name, way, step in acts if name == label}
    if not ways or not own.gap:
        return own, ""
    off = sum(way == ("more" if own.observed > own.target else "less") for way, _ in ways)
    share = off / len(ways) * (0.5 if off == 1 else 1.0)
    observed = own.target + (own.observed - own.target) * (1 + share) / 2
    return fit.Fit(round(observed, 4), own.target), f"{off} of {len(ways)} acts show it."


class ChangesAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[FitIntervention, ...]
