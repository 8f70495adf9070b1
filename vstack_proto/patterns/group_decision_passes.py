"""Group decisions: what is asked of a model, and the answers it must give."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from vstack_proto.patterns import group_decision_texts as texts
from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import (
    Answer,
    Evidence,
)
from vstack_proto.patterns.group_decision_texts import Model

ASK_PROTOCOL = """\
Choose the rule of decision for these {agents} agents and {options} options, and write the protocol. \
recommended_model{forced}; rationale: which of stakes, reversibility, time, expertise, regulation and commitment \
decided it, and what it costs; protocol_steps: 4 to 7 in order, with votes written down independently before anyone \
speaks and dissent recorded; threshold in words and number; quorum (a number of agents, at most {agents}); \
tie_breaker; fallback_model with when it starts. evidence: quote words of title or options that bear on the choice \
(cannot be undone, law, people who must carry it out); leave it empty where there are none."""
ASK_RISKS = """\
The protocol as proposed: {told}. Attack it as Janis would: how could this group, with this rule, agree on the \
wrong option? List risks, each with a claim, the steps and a quotation of title or option that shows it: options \
that overlap or are no real alternatives, a framing that favours one, a stake, law or irreversibility that the \
request's fields do not tell, a party that must carry it out and has no vote. An empty list is a fine answer."""
ASK_REHEARSAL = """\
Play the vote through as a tired secretary would, with this protocol and nothing else: {told}.
For each situation that this rule allows, say in outcome what then happens, and copy into settled_by the words of the \
protocol above that settle it, letter for letter; leave settled_by empty where somebody would have to make it up.
- tie: two options stand even;
- too_few: agents fail, time out or abstain before enough have voted;
- deadlock: objections or blocks stand after the last round;
- dissent: a minority is outvoted and may be right (Janis: its reasons must outlive the vote)."""
ASK_CHANGES = """\
The protocol as proposed: {told}. Propose at most four changes to it, none where it is sound. target_dimension says \
which part; kinds: switch_to_... another rule, add_quorum, add_tie_breaker, add_fallback, tighten_threshold, \
new_eval, human_review, compose_pattern. Say exactly what to write into the protocol."""


class RiskFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the group could agree on the wrong option."""

    claim: str
    evidence: tuple[Evidence, ...]


class DecisionIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change to the protocol; what a model proposes has the same shape."""

    target_dimension: texts.Dimension
    intervention_type: texts.Kind


class ProtocolAnswer(Answer, frozen=True):
    """The protocol; a model that recommends nothing leaves it to the contract's default."""

    rationale: str
    protocol_steps: tuple[str, ...]
    threshold: str
    tie_breaker: str
    evidence: tuple[Evidence, ...]
    recommended_model: Model | None = None
    quorum: Annotated[int, msgspec.Meta(ge=1)] | None = None
    fallback_model: Model | None = None


class RisksAnswer(Answer, frozen=True):
    """How the group could go wrong."""

    risks: tuple[RiskFinding, ...]


Open = Literal["tie", "too_few", "deadlock", "dissent"]


class Rehearsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens in one situation, and the words of the protocol that settle it; empty where none do."""

    situation: Open
    settled_by: str
    outcome: str


class RehearsalAnswer(Answer, frozen=True):
    """The vote, played through."""

    situations: tuple[Rehearsed, ...]


class ChangesAnswer(Answer, frozen=True):
    """What to change in the protocol."""

    interventions: tuple[DecisionIntervention, ...]
