"""The form of a crew: what is asked of a model, and the answers it must give."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Answers, Case, Count, Evidence, Share
from vstack_proto.patterns.org_structure_crew import Crew
from vstack_proto.patterns.org_structure_texts import Dimension, Direction, Kind

ASK_DIMENSIONS = """\
Read how the crew's form bears on its task.
- dimensions: each of the six at most once, and only where the record adds to the number: explanation in one or two \
sentences (who waited, what was relayed, lost or decided twice), evidence from observed steps before roster lines.
- formalization: from 0 (each as it likes) to 1 (every step by written rule), the one number that no roster shows. \
Give {formalization:g}, the target, where nothing tells. Another value counts only with evidence under that dimension.
Computed, observed against target for a {task_class} task: {told}. Archetype: {archetype}."""
ASK_BOTTLENECK = """\
Which single agent, if any, did decisions wait for or depend on? agent_id as on the roster, or null where none did. \
Explain what waited, for how long or how many turns, and whether authority, the lines or the agent's own pace caused \
it. Evidence from observed steps; a roster line alone shows a risk and no bottleneck. From the roster: {named}."""
ASK_CONTACTS = """\
The roster is the form on paper; Mintzberg asks how work is really coordinated, and Galbraith whether information \
lies where it is needed. Go through the observed steps and list every contact between two agents of the roster: who \
turned to whom (giver, taker: ids as on the roster), in which step, with words of that step. kind: asks (a question \
or a need), hands_over (work or a result), orders (what to do, or a decision), relays (passes on what a third one \
said). List each contact once, also those along the lines; whether a line of the roster joins the two is computed. A \
message to all counts for those who act on it."""
ASK_CHANGES = """\
Propose two to four changes, the widest gap first, the smallest change that closes it before a larger one: authority \
before a new level, a moved line before a new agent. direction: increase or decrease of the dimension, redesign for \
departmentalization. Centralization: shift_decision_authority either way, add_routing_layer; hierarchy and span: \
flatten_hierarchy, add_supervisor_layer; specialization: split_roles, consolidate_roles; formalization: new_eval, \
remove_routing_layer; departmentalization: regroup_by_function, regroup_by_product. human_review or introduce_matrix \
only where most is off; compose_pattern names another pattern to run. Name agents and lines."""


class StructureIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change of the crew's form."""

    target_dimension: Dimension
    intervention_type: Kind
    direction: Direction


class DimensionFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the record adds to one number."""

    dimension: Dimension
    explanation: str
    evidence: tuple[Evidence, ...]


class DimensionsAnswer(Answer, frozen=True):
    """The six, and the one number that no roster shows."""

    dimensions: tuple[DimensionFinding, ...]
    formalization: Share


class QuickAnswer(DimensionsAnswer, frozen=True):
    """All in one call."""

    interventions: tuple[StructureIntervention, ...]


class BottleneckAnswer(Answer, frozen=True):
    """For whom decisions wait."""

    agent_id: str | None
    explanation: str
    evidence: tuple[Evidence, ...]


class Contact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One agent turns to another; ``quote`` stands in the step."""

    giver: str
    taker: str
    kind: Literal["asks", "hands_over", "orders", "relays"]
    step: Count
    quote: str


class ContactsAnswer(Answer, frozen=True):
    """Who turned to whom."""

    contacts: tuple[Contact, ...]


Way = Literal["along", "past"]


def contacts_of(case: Case[Any], answers: Answers, crew: Crew) -> tuple[tuple[Way, Contact, int, str], ...]:
    """The contacts between agents of the roster that stand, along its lines or past them: each once, step, words."""
    kept: dict[tuple[str, str, int], tuple[Way, Contact, int, str]] = {}
    for one in answers["contacts"].contacts if "contacts" in answers else ():
        found = case.quoted(one.quote, (one.step,))
        if found is None or one.giver == one.taker or not {one.giver, one.taker} <= crew.bosses.keys():
            continue
        along = one.taker in crew.bosses[one.giver] or one.giver in crew.bosses[one.taker]
        kept.setdefault((one.giver, one.taker, one.step), ("along" if along else "past", one, found[1][0], found[0]))
    return tuple(kept.values())


class ChangesAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[StructureIntervention, ...]
