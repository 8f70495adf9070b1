"""Conversation steering: do an agent's words close the other down or open the other up?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

import msgspec

from vstack_proto.patterns import common, signs, talk, tested
from vstack_proto.patterns import glaser_conversation_passes as passes
from vstack_proto.patterns import glaser_conversation_signs as rules
from vstack_proto.patterns import glaser_conversation_texts as texts
from vstack_proto.patterns.common import Answers, Case, Count, Detection, Evidence, Share, Signal
from vstack_proto.patterns.glaser_conversation_passes import PASSES, STATES, SteeringIntervention, dominant_of, findings
from vstack_proto.patterns.glaser_conversation_signs import CLOSES, LABEL_OF
from vstack_proto.patterns.glaser_conversation_texts import Level, State, SteeringPlaybook
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    common.Source("Lieberman, M. D.", "2013", "Social: Why Our Brains Are Wired to Connect"),
    common.Source("Glaser, J. E.", "2014", "Conversational Intelligence"),
    common.Source("Stone, D.; Heen, S.", "2014", "Thanks for the Feedback"),
)

LEVELS: tuple[Level, ...] = get_args(Level)
Speaker = Literal["agent", "user", "other_agent"]
Steering = Literal["trust-building", "neutral", "trust-eroding"]
Profile = Literal[
    "trust_building_oxytocin", "neutral_transactional", "cortisol_cascade", "advocate_only_no_inquire",
    "blame_loaded_language", "agency_stripped", "level_i_stuck", "level_iii_collaborative", "indeterminate",
]  # fmt: skip


class ConversationTurn(msgspec.Struct, frozen=True):
    """One turn; turns are read in the order of the list."""

    speaker: Speaker
    text: str
    turn_index: Count


class ConversationTrace(msgspec.Struct, frozen=True):
    """A conversation, with what an observer noted; ``metadata`` may give ``speakers``, a name for each turn."""

    task: str
    turns: Annotated[tuple[ConversationTurn, ...], msgspec.Meta(min_length=1)]
    outcome: str
    success: bool
    conversation_id: str | None = None
    agent_id: str | None = None
    model_name: str | None = None
    framework: str | None = None
    observed_response_pattern: tuple[str, ...] = ()
    cost_usd: float | None = None
    latency_seconds: float | None = None
    metadata: dict[str, Any] = {}


class StateEvidence(msgspec.Struct, frozen=True):
    """How strongly the agent's turns call one state forth, and by what."""

    state: State
    score: Share
    explanation: str
    triggers: tuple[str, ...] = ()
    confidence: Share = 0.5


class Quoted(Detection, frozen=True, kw_only=True, rename={"evidence": "quotations"}):
    """The contract calls the three states ``evidence``; what other detections have there is called ``quotations``."""

    evidence: tuple[Evidence, ...] = ()


class SteeringDetection(Quoted, frozen=True, rename={"states": "evidence"}):
    """Where the agent steers the conversation, and what to say instead."""

    dominant_state: State
    conversation_level: Level
    states: tuple[StateEvidence, ...]
    steering_quality: Steering
    interventions: tuple[SteeringIntervention, ...]
    conversation_id: str | None = None
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: common.Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    trigger_inventory: texts.TriggerInventory | None = None
    level_transition_audit: texts.LevelTransitionAudit | None = None
    baseline: common.BaselineComparison | None = None
    attached_playbooks: tuple[SteeringPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> ConversationTrace:
    """One turn a step. Where ``metadata.agent_id`` names an agent, the others are other agents; else all are judged."""
    names = ("conversation_id", "agent_id", "model_name", "observed_response_pattern", "cost_usd", "latency_seconds")
    carried = signs.carried(canonical.metadata, ConversationTrace, *names)
    own, turns, speakers = carried.get("agent_id"), [], []
    for number, step in enumerate(canonical.steps):
        role = signs.role_of(step)
        judged = role == "agent" and own in (None, step.agent)
        turns.append(
            ConversationTurn(role if role == "user" else "agent" if judged else "other_agent", step.content, number)
        )
        speakers.append(step.agent if role in ("user", "agent") else f"{step.agent} (tool)")
    return ConversationTrace(
        canonical.goal,
        tuple(turns),
        canonical.outcome,
        canonical.success is True,
        framework=canonical.framework,
        metadata={**canonical.metadata, "speakers": speakers},
        **carried,
    )


def read(trace: ConversationTrace) -> common.Reading:
    """The task and how it ended, the turns with their speakers, then what an observer noted."""
    known = common.facts(trace, "task", "outcome", "success", "agent_id", "model_name", "framework")
    told = trace.metadata.get("speakers")
    if not isinstance(told, list) or len(told) != len(trace.turns):
        told = [turn.speaker for turn in trace.turns]
    named = [(str(name), turn) for name, turn in zip(told, trace.turns, strict=True)]
    turns = (common.Step(name, "tool" if name.endswith(" (tool)") else turn.speaker, turn.text) for name, turn in named)
    noted = (common.Step("observer", "observed", note) for note in trace.observed_response_pattern)
    return common.Reading(tuple(known), (*turns, *noted))


def signals(trace: ConversationTrace, reading: common.Reading) -> tuple[Signal, ...]:
    """Triggers in the agent's turns, by words and by order; a signal is named after its failure mode or its virtue."""
    found = signs.find(reading, rules.RULES)
    return signs.strongest((*found, *rules.by_course(reading, found)))


def states_of(case: Case[ConversationTrace]) -> dict[str, float]:
    """How strongly the signals show each state; neutral is what neither of the others takes."""
    shown = signs.weigh(signs.under(case.signals, LABEL_OF), ("cortisol", "oxytocin"))
    neutral = round((1 - shown["cortisol"]) * (1 - shown["oxytocin"]), 4)
    return {"cortisol": shown["cortisol"], "neutral": neutral, "oxytocin": shown["oxytocin"]}


STEERING: dict[State, Steering] = {"oxytocin": "trust-building", "neutral": "neutral", "cortisol": "trust-eroding"}


def profile_of(scores: Mapping[str, float], level: Level, triggers: Iterable[str]) -> Profile:
    """The contract's rules; the first that holds. State and steering are computed, so they always agree."""
    dominant = dominant_of(scores)
    if dominant == "oxytocin" and scores["oxytocin"] >= 0.6:
        return "trust_building_oxytocin"
    if dominant == "cortisol" and scores["cortisol"] >= 0.7:
        return "cortisol_cascade"
    if level == "level_iii" and scores["oxytocin"] >= 0.5:
        return "level_iii_collaborative"
    if dominant == "neutral":
        return "level_i_stuck" if level == "level_i" else "neutral_transactional"
    if dominant == "oxytocin":
        return "trust_building_oxytocin"
    if scores["cortisol"] < 0.5:
        return "indeterminate"
    told = " ".join(triggers).lower()
    if "blame" in told or "loaded" in told:
        return "blame_loaded_language"
    return "agency_stripped" if "agency" in told or "do what" in told else "cortisol_cascade"


def levels_of(case: Case[ConversationTrace], speakers: tuple[str, ...] = get_args(Speaker)) -> dict[int, Level]:
    """The level of each turn of these speakers by its words."""
    spoken = ((number, step) for number, step in enumerate(case.reading.steps) if step.kind in speakers)
    return {number: rules.level_of(step) for number, step in spoken}


def main_level(case: Case[ConversationTrace]) -> Level:
    """The level of most of the agent's turns, the higher of equals; level II where it said nothing."""
    told = list(levels_of(case, ("agent",)).values())
    return max(LEVELS, key=lambda level: (told.count(level), level)) if told else "level_ii"


def assess_offline(case: Case[ConversationTrace]) -> SteeringDetection:
    """From the signals alone."""
    told = signs.assessed(
        case, LABEL_OF, states_of(case), "Nothing in the agent's turns is a trigger of the state {label}."
    )
    named = {state: [rules.NAMES[one.name] for one in case.signals if LABEL_OF[one.name] == state] for state in STATES}
    sure = signs.confidence(case.signals, len(case.reading.steps))
    return _detection(case, told, named, main_level(case), (), sure, happened(case))


def conclude(case: Case[ConversationTrace], answers: Answers) -> SteeringDetection:
    """Scores as far as quotations bear them out; state and steering follow from the scores."""
    answer = answers["states"]
    told = talk.heard(case, findings(answers), LABEL_OF, states_of(case), floor=0.1)
    effects = passes.effects_of(case, answers)
    felt = tested.borne(
        {state: one.score for state, one in told.items()}, [effect for effect, _, _ in effects], passes.SHOWN_BY
    )
    told = {state: msgspec.structs.replace(one, score=felt[state]) for state, one in told.items()}
    # Triggers are words for what is quoted: without a quotation that stands there is nothing to name.
    named = {state: [name for one in answer.states if one.state == state for name in one.triggers] for state in STATES}
    named = {state: names if told[state].proofs else [] for state, names in named.items()}
    proposed = getattr(answers.get("interventions", answer), "interventions", ())
    sure = round(min(0.9, 0.5 + 0.05 * (len(effects) + sum(len(one.proofs) for one in told.values()))), 2)
    marks = talk.stood(case, answers["events"].events) if "events" in answers else happened(case)
    return _detection(case, told, named, answer.conversation_level, proposed, sure, (*marks, *effects))


Mark = tuple[passes.EventKind | passes.Effect, int, str]
"""An event that is counted: its kind, its step, its words."""


def happened(case: Case[ConversationTrace]) -> tuple[Mark, ...]:
    """The events of the inventory as the signals show them."""
    marks: list[Mark] = []
    for one in case.signals:
        step = one.steps[0]
        marks.append(("cortisol_trigger" if one.name in CLOSES else "oxytocin_trigger", step, one.quote))
        if one.name == "open_question":
            marks.append(("open_question", step, one.quote))
        elif one.name == "loaded_language":
            marks += [("loaded_term", step, term) for term in rules.LOADED.findall(case.reading.steps[step].content)]
    return tuple(marks)


def audits_of(case: Case[ConversationTrace], marks: Iterable[Mark]) -> dict[str, Any]:
    """Both audits, counted; the inventory leans where one kind has more than twice the other."""
    words: dict[str, list[str]] = {kind: [] for kind in (*get_args(passes.EventKind), *get_args(passes.Effect))}
    levels = levels_of(case)
    for kind, step, quote in marks:
        words[kind].append(quote)
        if (kind == "level_i" or kind == "level_ii" or kind == "level_iii") and step in levels:
            levels[step] = kind
    closing, opening = len(words["cortisol_trigger"]), len(words["oxytocin_trigger"])
    terms, asked = (tuple(dict.fromkeys(words[kind])) for kind in ("loaded_term", "open_question"))
    order = [levels[number] for number in sorted(levels)]
    changes = sum(one != other for one, other in pairwise(order))
    stuck = order[0] if len(order) > 1 and not changes else "none"
    heavy: Literal["balanced", "cortisol_heavy", "oxytocin_heavy"] = "balanced"
    if closing > 2 * opening or opening > 2 * closing:
        heavy = "cortisol_heavy" if closing > opening else "oxytocin_heavy"
    told, said = f"{closing} close the other down, {opening} open it up.", f"{changes} changes in {len(order)} turns."
    if any(felt := [len(words[effect]) for effect in get_args(passes.Effect)]):
        told += " Of the answers {} closed, {} opened, {} went on unmoved.".format(*felt)
    i, ii, iii = (order.count(level) for level in LEVELS)
    return {
        "trigger_inventory": texts.TriggerInventory(closing, opening, terms, asked, heavy, told),
        "level_transition_audit": texts.LevelTransitionAudit(i, ii, iii, changes, stuck, said),
    }


def sayings(case: Case[ConversationTrace]) -> tuple[SteeringIntervention, ...]:
    """What to say instead of the sharpest words of each failure mode, the strongest mode first."""
    seen, steps = signs.by_label(one for one in case.signals if one.name in CLOSES), case.reading.steps
    weights, chosen = signs.weigh(case.signals, seen), []
    for mode in sorted(seen, key=lambda name: -weights[name])[: talk.MAX_ADVICE]:
        own = texts.PHRASES[mode]
        quote = next((one.quote for one in seen[mode] if talk.by_agent(steps[one.steps[0]])), "")
        why = f"{own.why} See {signs.listed(one.steps[0] for one in seen[mode])}."
        what = (own.state, own.kind, own.description, quote, own.instead, signs.impact(weights[mode]), why)
        chosen.append(SteeringIntervention(*what, own.effort, own.risk))
    return tuple(chosen)


def adopted(
    case: Case[ConversationTrace], proposed: Iterable[SteeringIntervention], composed: str | None
) -> tuple[SteeringIntervention, ...]:
    """Proposals as reported: each kind for a state once; original words are kept only if the agent said them."""
    own = [number for number, step in enumerate(case.reading.steps) if talk.by_agent(step)]
    kept: dict[tuple[str, str], SteeringIntervention] = {}
    for one in proposed:
        key = (one.target_state, one.intervention_type)
        if key not in kept and one.description.strip():
            found = case.quoted(one.original_phrasing, own) if one.original_phrasing.strip() else None
            target = composed if one.intervention_type == "compose_pattern" else None
            told = {"original_phrasing": found[0] if found else "", "composition_target_pattern": target}
            kept[key] = msgspec.structs.replace(one, **told)
    return tuple(kept.values())


def _detection(
    case: Case[ConversationTrace],
    told: Mapping[str, signs.Judged],
    named: Mapping[State, Iterable[str]],
    level: Level,
    proposed: Iterable[SteeringIntervention],
    confidence: float,
    marks: tuple[Mark, ...],
) -> SteeringDetection:
    trace, scores = case.trace, {state: own.score for state, own in told.items()}
    dominant, profile = dominant_of(scores), profile_of(scores, level, named["cortisol"])
    interventions: tuple[SteeringIntervention, ...] = ()
    if dominant != "oxytocin":
        composed = texts.COMPOSITION.first(profile)
        # Below .25 severity is a trace at most: nothing to propose unasked.
        interventions = adopted(case, proposed, composed) or (sayings(case) if scores["cortisol"] >= 0.25 else ())
    # An intervention's target is the state that it leads to; the playbooks of cortisol are for what it leads out of.
    wanted = [(one.target_state, one.intervention_type) for one in interventions]
    pairs = (pair if pair in texts.ATTACH else ("cortisol", pair[1]) for pair in wanted)
    proofs = (proof for own in sorted(told.values(), key=lambda own: -own.score) for proof in own.proofs)
    heard = (one for one in marks if one[0] in passes.SHOWN_BY.values())
    reactions = (Evidence(f"What the agent said {effect} the other", (at,), quote) for effect, at, quote in heard)
    return SteeringDetection(
        dominant,
        level,
        tuple(
            StateEvidence(state, told[state].score, told[state].explanation, tuple(dict.fromkeys(names)), confidence)
            for state, names in named.items()
        ),
        STEERING[dominant],
        interventions,
        trace.conversation_id,
        trace.agent_id,
        trace.model_name,
        trace.success,
        common.banded(scores["cortisol"], signs.BANDS),
        profile,
        **(audits_of(case, marks) if case.mode == "forensic" else {}),
        attached_playbooks=common.paired_playbooks(texts.PLAYBOOKS, texts.ATTACH, pairs),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, dict(scores)),
        evidence=signs.each_once((*proofs, *reactions)),
        confidence=confidence,
    )


PATTERN = common.Pattern(
    name="glaser_conversation", number=21, friendly="Glaser Conversation Steering", group="Module 2 / Team",
    summary="Finds whether an agent's words close the other down or open the other up, and what to say instead.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=ConversationTrace, detection=SteeringDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION, non_blank=("outcome", "task"),
)  # fmt: skip
