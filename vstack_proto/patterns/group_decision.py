"""Group decision: which rule of decision fits, the protocol for it, and the counting of votes."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from vstack_proto.analysis.grounding import find_quote
from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import group_decision_numbers as numbers
from vstack_proto.patterns import group_decision_passes as passes
from vstack_proto.patterns import group_decision_texts as texts
from vstack_proto.patterns import signs
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Detection,
    Evidence,
    Fault,
    Mode,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    attach_playbooks,
    banded,
)
from vstack_proto.patterns.group_decision_passes import ChangesAnswer, DecisionIntervention, ProtocolAnswer, RisksAnswer
from vstack_proto.patterns.group_decision_texts import CAREFUL, GRADED, PROTOCOLS, QUICK, DecisionOption, Model, Plan
from vstack_proto.trace import CanonicalTrace

SOURCES = (
    Source("Janis, I. L.", "1972", "Victims of Groupthink"),
    Source("Surowiecki, J.", "2004", "The Wisdom of Crowds"),
    Source("Kaner, S.", "2014", "Facilitator's Guide to Participatory Decision-Making"),
)

Profile = Literal[
    "good_fit_protocol", "consensus_overused", "majority_when_consensus_needed", "concurring_when_buyin_needed",
    "fist_to_five_underused", "no_quorum_specified", "no_tie_breaker", "indeterminate",
]  # fmt: skip


class DecisionRequest(msgspec.Struct, frozen=True):
    """A decision to be made by a group. ``metadata`` may carry ``votes``, which are then counted."""

    title: str
    options: tuple[DecisionOption, ...]
    agents: tuple[str, ...]
    stakes: Literal["low", "medium", "high"]
    decision_id: str | None = None
    reversibility: Literal["reversible", "partial", "irreversible"] = "reversible"
    time_pressure: Literal["none", "moderate", "urgent"] = "moderate"
    expertise_asymmetry: Literal["balanced", "moderate", "high"] = "balanced"
    regulatory_exposure: bool = False
    buy_in_required: bool = False
    framework: str | None = None
    forced_model: Model | None = None
    metadata: dict[str, Any] = {}


class MethodFitAudit(msgspec.Struct, frozen=True):
    """Whether the rule fits each side of the decision."""

    fit_score: Share = 0.5
    stakes_aligned: bool = True
    reversibility_aligned: bool = True
    time_pressure_aligned: bool = True
    buy_in_aligned: bool = True
    regulatory_aligned: bool = True
    explanation: str = ""


class TallyIntegrityAudit(msgspec.Struct, frozen=True):
    """What the protocol settles before the count; the estimate is the share of the four."""

    quorum_specified: bool = False
    tie_breaker_specified: bool = False
    fallback_specified: bool = False
    dissent_recording_specified: bool = True
    integrity_estimate: Share = 0.5
    explanation: str = ""


class DecisionProtocol(Detection, frozen=True):
    """How the group is to decide, and how well that fits."""

    title: str
    recommended_model: Model
    rationale: str
    protocol_steps: tuple[str, ...]
    threshold: str
    decision_id: str | None = None
    quorum: int | None = None
    tie_breaker: str = ""
    fallback_model: Model | None = None
    tally_result: numbers.TallyResult | None = None
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    fit_score: Share = 0.5
    method_fit_audit: MethodFitAudit | None = None
    tally_integrity_audit: TallyIntegrityAudit | None = None
    interventions: tuple[DecisionIntervention, ...] = ()
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.DecisionPlaybook, ...] = ()


OPTIONAL = (
    "title", "agents", "decision_id", "reversibility", "time_pressure", "expertise_asymmetry", "regulatory_exposure",
    "buy_in_required", "forced_model",
)  # fmt: skip


def from_trace(canonical: CanonicalTrace) -> DecisionRequest:
    """``metadata`` must tell ``options`` and ``stakes``; goal and agents of the run stand in for title and agents."""
    told = signs.carried(canonical.metadata, DecisionRequest, "options", "stakes", *OPTIONAL)
    if "options" not in told or "stakes" not in told:
        raise TraceNotReadable("group_decision chooses how to decide between options: give metadata options and stakes")
    told = {"title": canonical.goal, "agents": canonical.agent_names(), **told}
    return DecisionRequest(**told, framework=canonical.framework, metadata=canonical.metadata)


def read(trace: DecisionRequest) -> Reading:
    """The fields of the decision as facts; the title as step 0 and the options after it."""
    facts = [
        ("agents", ", ".join(trace.agents)), ("stakes", trace.stakes), ("reversibility", trace.reversibility),
        ("time pressure", trace.time_pressure), ("asymmetry of expertise", trace.expertise_asymmetry),
        ("regulated", "yes" if trace.regulatory_exposure else "no"),
        ("commitment of all needed", "yes" if trace.buy_in_required else "no"),
    ]  # fmt: skip
    named = (("framework", trace.framework), ("rule of decision, fixed", trace.forced_model))
    facts += [(name, value) for name, value in named if value]
    options = (Step(one.option_id, "option", f"{one.option_id}: {one.description}") for one in trace.options)
    return Reading(tuple(facts), (Step("request", "title", trace.title), *options))


def preconditions(trace: DecisionRequest) -> Iterable[Fault]:
    """A choice, and a group."""
    if len(trace.options) < 2:
        yield Fault("/options", "must hold 2 or more options")
    if len(trace.agents) < 2:
        yield Fault("/agents", "must hold 2 or more agents")


def signals(trace: DecisionRequest, reading: Reading) -> tuple[Signal, ...]:
    """What title and options say that the fields of the request do not."""
    told = {
        "irreversible": trace.reversibility != "reversible",
        "regulated": trace.regulatory_exposure,
        "commitment": trace.buy_in_required,
        "urgent": trace.time_pressure == "urgent",
        # Two plain alternatives and a third that joins or defers them are a fair choice.
        "overlap": len(trace.options) > 2,
    }
    return tuple(one for one in signs.find(reading, texts.RULES) if not told[one.name])


def fit_of(trace: DecisionRequest, model: Model) -> float:
    """The contract's sum of what speaks for and against a rule."""
    fit = 0.5
    fit += 0.15 if trace.stakes == "high" and model in CAREFUL else 0.0
    fit += 0.15 if trace.stakes == "low" and trace.reversibility == "reversible" and model in QUICK else 0.0
    fit += 0.15 if trace.buy_in_required and model in GRADED else 0.0
    fit -= 0.20 if trace.buy_in_required and model == "concurring" else 0.0
    fit += 0.10 if trace.regulatory_exposure and model in CAREFUL else 0.0
    fit += 0.05 if trace.time_pressure == "urgent" and model in QUICK else 0.0
    fit -= 0.10 if trace.time_pressure == "urgent" and model == "unanimous" else 0.0
    return round(min(1.0, max(0.0, fit)), 2)


def profile_of(trace: DecisionRequest, plan: Plan) -> Profile:
    """The contract's rules; the first that holds."""
    model, wanted = plan.model, trace.buy_in_required
    if model == "consensus" and trace.stakes == "low" and trace.reversibility != "irreversible":
        return "consensus_overused"
    if model == "majority" and wanted and trace.stakes != "low":
        return "majority_when_consensus_needed"
    if model == "concurring" and wanted:
        return "concurring_when_buyin_needed"
    if wanted and model not in ("consensus", "fist_to_five", "unanimous"):
        return "fist_to_five_underused"
    if model == "majority" and plan.quorum is None:
        return "no_quorum_specified"
    if model == "majority" and not plan.tie_breaker.strip():
        return "no_tie_breaker"
    return "good_fit_protocol" if fit_of(trace, model) >= 0.7 else "indeterminate"


def aligned(trace: DecisionRequest, model: Model) -> dict[str, bool]:
    """Which sides of the decision a rule fits."""
    return {
        "stakes": not (trace.stakes == "high" and model in QUICK) and not (trace.stakes == "low" and model in CAREFUL),
        "reversibility": not (trace.reversibility == "irreversible" and model in QUICK),
        "time_pressure": not (trace.time_pressure == "urgent" and model == "unanimous"),
        "buy_in": not (trace.buy_in_required and model in QUICK),
        "regulatory": not trace.regulatory_exposure or model in CAREFUL,
    }


def plan_for(trace: DecisionRequest, model: Model) -> Plan:
    """The fixed protocol of a rule, fitted to the group."""
    fixed, agents = PROTOCOLS[model], len(trace.agents)
    sides = ", ".join(name.replace("_", " ") for name, fits in aligned(trace, model).items() if not fits)
    why = f"{model}: {fixed.why}; fit {fit_of(trace, model):g}" + (f", against {sides}." if sides else ".")
    quorum = min(agents, int(agents * fixed.quorum) + 1)
    return Plan(model, why, fixed.steps, fixed.threshold, quorum, fixed.tie_breaker, fixed.fallback)


def assess_offline(case: Case[DecisionRequest]) -> DecisionProtocol:
    """The rule that fits best by the contract's sum, with its fixed protocol."""
    trace = case.trace
    best: Model = max(texts.PREFERRED, key=lambda one: fit_of(trace, one))
    # The fields of the request are given, so the choice is sure; words that speak against them make it less so.
    sure = round(max(0.3, 0.8 - 0.1 * len(case.signals)), 2)
    return _protocol(case, plan_for(trace, trace.forced_model or best), (), case.evidence_of_signals(), sure)


def ask_protocol(case: Case[Any], answers: Answers) -> str:
    """The task, with the size of the group."""
    trace: DecisionRequest = case.trace
    forced = f" is fixed: {trace.forced_model}" if trace.forced_model else ""
    return passes.ASK_PROTOCOL.format(agents=len(trace.agents), options=len(trace.options), forced=forced)


def told_of(plan: Plan) -> str:
    """A protocol in words, which a rehearsal quotes."""
    steps = " ".join(f"{number}. {step}" for number, step in enumerate(plan.steps, 1))
    quorum, fallback = plan.quorum or "none", plan.fallback or "none"
    ends = f"quorum: {quorum}; tie-breaker: {plan.tie_breaker.strip() or 'none'}; fallback: {fallback}"
    return f"{plan.model}; {steps} threshold: {plan.threshold}; {ends}"


def left_open(plan: Plan, answers: Answers) -> tuple[passes.Rehearsed, ...]:
    """The situations of a rehearsal that no words of the protocol settle; the first telling of each counts."""
    told: dict[str, passes.Rehearsed] = {}
    for one in answers["rehearsal"].situations if "rehearsal" in answers else ():
        told.setdefault(one.situation, one)
    text = told_of(plan)
    return tuple(one for one in told.values() if find_quote(one.settled_by, text) is None)


def so_far(case: Case[Any], answers: Answers) -> str:
    """The protocol so far, for an instruction."""
    plan = planned(case.trace, answers["protocol"])
    opened = ", ".join(one.situation for one in left_open(plan, answers))
    return told_of(plan) + (f"; left open: {opened}" if opened else "")


PROTOCOL = Pass("protocol", passes.ProtocolAnswer, ask_protocol)
CHANGES = Pass("changes", ChangesAnswer, lambda case, answers: passes.ASK_CHANGES.format(told=so_far(case, answers)))
PASSES: dict[Mode, tuple[Pass, ...]] = {
    "quick": (PROTOCOL,),
    "standard": (PROTOCOL, CHANGES),
    "forensic": (
        PROTOCOL,
        Pass("risks", RisksAnswer, lambda case, answers: passes.ASK_RISKS.format(told=so_far(case, answers))),
        Pass(
            "rehearsal",
            passes.RehearsalAnswer,
            lambda case, answers: passes.ASK_REHEARSAL.format(told=so_far(case, answers)),
        ),
        CHANGES,
    ),
}


def planned(trace: DecisionRequest, given: ProtocolAnswer) -> Plan:
    """The model's protocol; what it left out of steps and threshold is the fixed one of its rule."""
    fixed = plan_for(trace, trace.forced_model or given.recommended_model or "majority")
    steps = tuple(step.strip() for step in given.protocol_steps if step.strip())
    quorum = None if given.quorum is None else min(given.quorum, len(trace.agents))
    fallback = None if given.fallback_model == fixed.model else given.fallback_model
    why, threshold = given.rationale.strip() or fixed.rationale, given.threshold.strip() or fixed.threshold
    return Plan(fixed.model, why, steps or fixed.steps, threshold, quorum, given.tie_breaker.strip(), fallback)


def conclude(case: Case[DecisionRequest], answers: Answers) -> DecisionProtocol:
    """The model's protocol, judged by the contract's sum in every mode."""
    given: ProtocolAnswer = answers["protocol"]
    proofs, risks = [*case.ground(given.evidence)], []
    for risk in answers["risks"].risks if "risks" in answers else ():
        if stands := case.ground(risk.evidence):
            proofs += stands
            risks.append(risk.claim.strip())
    proposed = answers["changes"].interventions if "changes" in answers else ()
    evidence = signs.each_once((*proofs, *case.evidence_of_signals()))
    sure = round(min(0.9, 0.6 + 0.05 * len(proofs)), 2)
    plan = planned(case.trace, given)
    return _protocol(case, plan, proposed, evidence, sure, risks, left_open(plan, answers))


def weaknesses(trace: DecisionRequest, plan: Plan, doubted: bool, opened: Container[str]) -> Iterator[str]:
    """The failure modes of a protocol, given the situations that a rehearsal left open."""
    profile, urgent = profile_of(trace, plan), trace.time_pressure == "urgent"
    counting = plan.model in ("majority", "fist_to_five")
    grave = trace.stakes == "high" and trace.reversibility == "irreversible"
    shows = {
        "overused_low_stakes": profile == "consensus_overused",
        "buyin_undermined": profile == "majority_when_consensus_needed",
        "underused": profile == "fist_to_five_underused",
        "buyin_required": profile == "concurring_when_buyin_needed",
        "high_stakes_irreversible": plan.model == "concurring" and grave,
        "blocked_indefinitely": plan.model == "unanimous" and urgent,
        "no_quorum": plan.quorum is None or "too_few" in opened,
        "no_tie_breaker": counting and (not plan.tie_breaker.strip() or "tie" in opened),
        "no_fallback": not counting and (plan.fallback is None or "deadlock" in opened),
        "soft_block_ignored": plan.model == "fist_to_five" and "0" not in plan.threshold,
        "ambiguous_protocol": doubted,
    }
    return (mode for mode, found in shows.items() if found)


def _protocol(
    case: Case[DecisionRequest],
    plan: Plan,
    proposed: Iterable[DecisionIntervention],
    evidence: tuple[Evidence, ...],
    confidence: float,
    risks: Sequence[str] = (),
    opened: Sequence[passes.Rehearsed] = (),
) -> DecisionProtocol:
    trace = case.trace
    fit, profile = fit_of(trace, plan.model), profile_of(trace, plan)
    modes = weaknesses(trace, plan, bool(case.signals), {one.situation for one in opened})
    found = [texts.ADVICE[mode].change(DecisionIntervention, "medium") for mode in modes]
    interventions = signs.adopted((*found, *proposed), texts.COMPOSITION, profile)
    # A forced rule is not argued with by its own name: switching to what is in force changes nothing.
    interventions = tuple(one for one in interventions if one.intervention_type != f"switch_to_{plan.model}")
    payload = {"recommended_model": plan.model, "fit_score": fit}
    return DecisionProtocol(
        trace.title, plan.model, plan.rationale, plan.steps, plan.threshold, trace.decision_id, plan.quorum,
        plan.tie_breaker, plan.fallback, numbers.counted(trace.metadata, plan.model, plan.quorum),
        # Not rounded: the contract's bands of the fit are those of 1 - fit as a float has it.
        banded(1 - fit, signs.BANDS), profile, fit,
        **(audits_of(trace, plan, risks, opened) if case.mode == "forensic" else {}),
        interventions=interventions,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=evidence, confidence=confidence,
    )  # fmt: skip


def audits_of(
    trace: DecisionRequest, plan: Plan, risks: Sequence[str], opened: Sequence[passes.Rehearsed]
) -> dict[str, Any]:
    """Both audits, computed from request and protocol; what a rehearsal leaves open is not settled by being named."""
    fits = aligned(trace, plan.model)
    against = ", ".join(name.replace("_", " ") for name, sound in fits.items() if not sound)
    told = " ".join([f"Against: {against}." if against else "The rule fits every side of the decision.", *risks])
    dissent = signs.words(r"dissent\w*|object\w*|minority|disagree\w*").search(" ".join(plan.steps)) is not None
    left = {one.situation: one.outcome.strip() for one in opened}
    dissent = dissent and "dissent" not in left
    quorum = plan.quorum is not None and "too_few" not in left
    tied = bool(plan.tie_breaker.strip()) and "tie" not in left
    fallback = plan.fallback is not None and "deadlock" not in left
    settled = quorum + tied + fallback + dissent
    said = f"{settled} of 4 (quorum, tie-breaker, fallback, record of dissent) are settled."
    said = " ".join([said, *(f"Left open, {at.replace('_', ' ')}: {outcome}" for at, outcome in left.items())])
    return {
        "method_fit_audit": MethodFitAudit(
            fit_of(trace, plan.model), **{f"{name}_aligned": sound for name, sound in fits.items()}, explanation=told
        ),
        "tally_integrity_audit": TallyIntegrityAudit(quorum, tied, fallback, dissent, settled / 4, said),
    }


PATTERN = Pattern(
    name="group_decision", number=25, friendly="Group Decision Protocol", group="Module 2 / Team",
    summary="Chooses the rule by which a group of agents decides, and writes the protocol for it.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=DecisionRequest, detection=DecisionProtocol,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION, non_blank=("title",),
    preconditions=preconditions,
)  # fmt: skip
