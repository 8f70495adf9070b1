"""Conversation steering: the model calls of the three modes, what each asks and the answer it must give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

from vstack_proto.patterns import common, talk, tested
from vstack_proto.patterns.common import Answer, Answers, Case, Evidence, Mode, Pass, Share, asks
from vstack_proto.patterns.glaser_conversation_texts import Kind, Level, State

ASK_STATES = """\
Score the three states once each, from 0 to 1: how strongly the agent's turns trigger cortisol, how strongly oxytocin, \
and how far the talk is neutral exchange. About 0.3 for cortisol is one sharp turn, 0.6 several or one that ended the \
talk, 0.85 a habit. Explain in two or three sentences which turns trigger it and what the others did then. Give \
evidence: quote the agent's words. In triggers name each kind in two or three words (blame, loaded term, agency taken, \
command, correction, open question, acknowledgement ...). A score without a quotation that stands may not exceed what \
the plain words show.
Then name the level on which the conversation mostly runs."""
ASK_INTERVENTIONS = """\
Propose at most five changes, the most telling first, none where the agent already builds trust. Each takes one turn \
of the agent: copy its words letter for letter into original_phrasing, and write into suggested_phrasing what it \
should have said: same content, same frankness, other effect. target_state is where that leads. Choose the type by \
what was wrong: commands (replace_telling_with_asking), blame (replace_judging_with_curiosity), loaded words \
(remove_loaded_term), harsh correction (soften_correction), choices taken (add_agency_grant), defence \
(explicit_recovery_prompt), advocacy without inquiry (acknowledge_before_advocating, add_open_question), a habit \
(rewrite_system_prompt, new_eval, human_review). Say in the rationale which steps call for it."""
ASK_SCORED = "As scored: cortisol {cortisol:.2f}, neutral {neutral:.2f}, oxytocin {oxytocin:.2f}.\n\n"
ASK_EVENTS = """\
Go through the turns one by one and list single events, each with its step, a quotation from that step and one \
sentence why. They are counted, so list each once and nothing you cannot quote:
- in the agent's turns cortisol_trigger, oxytocin_trigger, loaded_term (quote the word or two alone) and \
open_question (quote the question);
- for every spoken turn, of whomever, its level: level_i informs, level_ii argues or probes, level_iii shares and \
discovers (quote what shows it)."""

ASK_EFFECTS = """\
A trigger is what it does to its listener. Take each turn of the agent that could close the other down or open it up, \
whatever you thought of its words, and look at the first turn of another speaker after it. List that turn, with words \
of it, and say in the claim which turn of the agent it answers:
- closed: it shrinks, withdraws, gives in without agreeing, defends itself or strikes back;
- opened: it brings a detail, a doubt, an idea or a wish that it could have kept;
- unmoved: it goes on with the matter as before.
Politeness is no opening and disagreement no closing: a listener who argues on is still in the talk. A turn that \
would have come whatever was said is unmoved; a turn that nobody answered is left out."""


class StateFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How strongly one state shows."""

    state: State
    score: Share
    triggers: tuple[str, ...]
    explanation: str
    evidence: tuple[Evidence, ...]


EventKind = Literal[
    "cortisol_trigger", "oxytocin_trigger", "loaded_term", "open_question", "level_i", "level_ii", "level_iii"
]

STATES: tuple[State, ...] = get_args(State)


class SteeringIntervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to say otherwise; what a model proposes has the same shape."""

    target_state: Literal["oxytocin", "neutral"]
    intervention_type: Kind
    description: str
    original_phrasing: str = ""
    suggested_phrasing: str = ""
    estimated_impact: common.Level = "medium"
    rationale: str = ""
    effort_estimate: common.Effort = "1d"
    risk: common.Risk = "medium"
    composition_target_pattern: str | None = None


def dominant_of(scores: Mapping[str, float]) -> State:
    """The state with the highest score, the first of equals; neutral where all are 0."""
    return max(STATES, key=lambda state: scores[state]) if any(scores.values()) else "neutral"


class StatesAnswer(Answer, frozen=True):
    """The three states, and the level."""

    states: tuple[StateFinding, ...]
    conversation_level: Level


class QuickAnswer(StatesAnswer, frozen=True):
    """All in one call."""

    interventions: tuple[SteeringIntervention, ...]


class InterventionsAnswer(Answer, frozen=True):
    """What to say instead."""

    interventions: tuple[SteeringIntervention, ...]


class EventsAnswer(Answer, frozen=True):
    """What is counted in the audits."""

    events: tuple[talk.Happening[EventKind], ...]


Effect = Literal["closed", "opened", "unmoved"]


class EffectsAnswer(Answer, frozen=True):
    """What the agent's turns did to whoever answered them."""

    effects: tuple[talk.Happening[Effect], ...]


LISTENERS = ("user", "other_agent")
# The half of a state that is not in the words.
SHOWN_BY: dict[str, Effect] = {"cortisol": "closed", "oxytocin": "opened"}


def answered(case: Case[Any], answers: Answers) -> bool:
    """Whether anybody speaks after the agent: without a listener there is no effect to read."""
    kinds = [step.kind for step in case.reading.steps]
    return "agent" in kinds and any(kind in LISTENERS for kind in kinds[kinds.index("agent") :])


def effects_of(case: Case[Any], answers: Answers) -> tuple[tuple[Effect, int, str], ...]:
    """The listeners' turns that stand: effect, step and words."""
    told = talk.stood(case, answers["effects"].effects) if "effects" in answers else ()
    return tuple(one for one in told if case.reading.steps[one[1]].kind in LISTENERS)


def findings(answers: Answers) -> list[talk.Finding]:
    """What the model found of each state."""
    return [(one.state, one.score, one.explanation, one.evidence) for one in answers["states"].states]


def as_told(case: Case[Any], answers: Answers) -> dict[str, float]:
    """The scores between passes, before their quotations are looked up."""
    effects = [effect for effect, _, _ in effects_of(case.aside(), answers)]
    return tested.borne(talk.highest(findings(answers), STATES), effects, SHOWN_BY)


SCORING = Pass("states", StatesAnswer, asks(ASK_STATES))
COUNTING = Pass("events", EventsAnswer, asks(ASK_EVENTS))
LISTENING = Pass("effects", EffectsAnswer, asks(ASK_EFFECTS), answered)
CHANGING = Pass(
    "interventions",
    InterventionsAnswer,
    lambda case, answers: ASK_SCORED.format(**as_told(case, answers)) + ASK_INTERVENTIONS,
    lambda case, answers: dominant_of(as_told(case, answers)) != "oxytocin",
)
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (Pass("states", QuickAnswer, asks(f"{ASK_STATES}\n\n{ASK_INTERVENTIONS}")),),
    "standard": (SCORING, CHANGING),
    "forensic": (SCORING, COUNTING, LISTENING, CHANGING),
}
