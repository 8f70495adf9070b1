"""Goleman EI audit: does the agent know its own state and limits, and does it read and answer the other's?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, cast

import msgspec

from vstack_proto.patterns import goleman_ei_abilities as abilities
from vstack_proto.patterns import goleman_ei_signs as rules
from vstack_proto.patterns import goleman_ei_texts as texts
from vstack_proto.patterns import shapes, signs
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Detection,
    Evidence,
    Fault,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Step,
    asks,
    attach_playbooks,
    banded,
)
from vstack_proto.patterns.goleman_ei_texts import ADVICE, COMPOSITION, Competency, Domain, EIIntervention, EIPlaybook
from vstack_proto.trace import CanonicalTrace

InteractionClass = Literal[
    "customer_support", "coaching", "advisor", "creative_collaborator", "code_review", "incident_response",
    "general_purpose"]  # fmt: skip


class EITurn(msgspec.Struct, frozen=True):
    """What a person said, what the agent answered, and what it held back."""

    turn_index: int
    user_text: str = ""
    agent_text: str = ""
    agent_internal_state: str = ""
    metadata: dict[str, Any] = {}


class AgentEITrace(msgspec.Struct, frozen=True):
    """An agent with the people it served."""

    task: str
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    interaction_class: InteractionClass = "general_purpose"
    system_prompt: str = ""
    observed_behaviors: tuple[str, ...] = ()
    user_signals: tuple[rules.UserSignal | str, ...] = ()
    self_reports: tuple[str, ...] = ()
    success: bool = False
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    emotional_covariation: rules.EmotionalCovariation | None = None
    turns: tuple[EITurn, ...] | None = None
    metadata: dict[str, Any] = {}


class DomainScore(msgspec.Struct, frozen=True):
    """One domain; 1 is what the situation asked for."""

    domain: Domain
    score: Share
    explanation: str
    severity: Severity = "moderate"
    confidence: Share = 0.5
    evidence_quotes: tuple[str, ...] = ()
    evidence_signal_ids: tuple[str, ...] = ()
    counterfactual: str = ""
    weakest_competency: Competency | None = None
    competency_scores: dict[str, float] = {}


class EIBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: shapes.Moment | None = None
    baseline_weakest_domain: str | None = None
    baseline_profile_pattern: str | None = None
    domain_score_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class EIDetection(Detection, frozen=True):
    """How far the agent reads and regulates, itself and others."""

    domains: tuple[DomainScore, ...]
    overall_ei: Share
    ei_quality: rules.Quality
    weakest_domain: rules.Weakest
    interventions: tuple[EIIntervention, ...]
    agent_id: str | None = None
    model_name: str | None = None
    interaction_class: str = "general_purpose"
    success: bool = False
    profile_pattern: rules.Profile = "indeterminate"
    axis_scores: rules.AxisScores | None = None
    cascade_analysis: rules.CascadeAnalysis | None = None
    mayer_salovey_overlay: tuple[rules.BranchScore, ...] = ()
    emotional_covariation: rules.EmotionalCovariation | None = None
    baseline: EIBaseline | None = None
    attached_playbooks: tuple[EIPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> AgentEITrace:
    """One turn a step, of the person's or the agent's; what people said are the signals, the rest the behaviours."""
    turns, heard, seen = [], [], []
    for number, step in enumerate(canonical.steps):
        role = signs.role_of(step)
        known = step.metadata | {"agent": step.agent, "role": role}
        if role == "user":
            heard.append(step.content)
            turns.append(EITurn(number, user_text=step.content, metadata=known))
        else:
            seen.append(step.content)
            turns.append(EITurn(number, agent_text=step.content, metadata=known))
    names = ("agent_id", "model_name", "interaction_class", "system_prompt", "self_reports", "run_count")
    return AgentEITrace(
        task=canonical.goal,
        outcome=canonical.outcome,
        observed_behaviors=tuple(seen),
        user_signals=tuple(heard),
        success=canonical.success is True,
        framework=canonical.framework,
        turns=tuple(turns),
        metadata=canonical.metadata,
        **signs.carried(canonical.metadata, AgentEITrace, *names, "emotional_covariation"),
    )


def preconditions(trace: AgentEITrace) -> Iterable[Fault]:
    """Somebody must have seen, heard or reported something."""
    if not (trace.observed_behaviors or trace.user_signals or trace.self_reports):
        yield Fault("/observed_behaviors", "must not be empty where user_signals and self_reports are empty too")


def lines(trace: AgentEITrace) -> Iterator[tuple[Step, rules.UserSignal | None]]:
    """The steps with the client's reading of what a person said: turns first, then what no turn holds already."""
    heard = [rules.UserSignal(said) if isinstance(said, str) else said for said in trace.user_signals]
    by_text = {said.text: said for said in heard}
    name, shown = trace.agent_id or "agent", set()
    for turn in trace.turns or ():
        speaker, role = turn.metadata.get("agent"), turn.metadata.get("role", "agent")
        shown |= {turn.user_text, turn.agent_text}
        mine = rules.REPLY if role == "agent" else str(role)
        if turn.user_text:
            yield Step(str(speaker or "user"), "user", turn.user_text), by_text.get(turn.user_text)
        # A turn in which nobody said anything is still one step.
        if turn.agent_text or not (turn.user_text or turn.agent_internal_state):
            yield Step(str(speaker or name), mine, turn.agent_text), None
        if turn.agent_internal_state:
            yield Step(name, "internal state", turn.agent_internal_state), None
    yield from ((Step(name, rules.BEHAVIOR, seen), None) for seen in trace.observed_behaviors if seen not in shown)
    for said in heard:
        if said.text not in shown:
            felt = f"signal, {said.inferred_emotion} {said.inferred_intensity:g}"
            yield Step("user", felt if said.inferred_emotion != "unknown" else "signal", said.text), said
    yield from ((Step(name, rules.REPORT, told), None) for told in trace.self_reports)


def read(trace: AgentEITrace) -> Reading:
    """Facts, then turns, behaviours, what people said, and what the agent says of itself."""
    facts = [("task", trace.task), ("outcome", trace.outcome), ("success", "yes" if trace.success else "no")]
    facts.append(("kind of interaction", trace.interaction_class))
    facts += [(name, value) for name in ("agent_id", "model_name", "system_prompt") if (value := getattr(trace, name))]
    if trace.emotional_covariation is not None:
        told = msgspec.structs.asdict(trace.emotional_covariation).items()
        facts.append(("covariation", "; ".join(f"{name} {value}" for name, value in told if value)))
    return Reading(tuple(facts), tuple(step for step, _ in lines(trace)))


def signals(trace: AgentEITrace, reading: Reading) -> tuple[Signal, ...]:
    """Feelings passed over, defence, collapse, standing phrases, wrong self-reports; see ``goleman_ei_signs``."""
    heard = (said or rules.UserSignal("") for _, said in lines(trace))
    return rules.signals_of(reading, [(one.inferred_emotion, one.inferred_intensity) for one in heard], trace.success)


def shown(case: Case[AgentEITrace]) -> dict[Domain, float]:
    """The score of each domain without a model."""
    return rules.scores_of(case.signals, case.trace.emotional_covariation)


def row_of_signs(case: Case[AgentEITrace], domain: Domain, score: float) -> DomainScore:
    """A domain as the signs show it."""
    found = [s for s in case.signals if ADVICE[s.name].target_domain == domain]
    found.sort(key=lambda signal: -signal.weight)
    told = [signal.claim for signal in found[:3]] or ["No step speaks against this domain."]
    if domain == "social_awareness":
        failing = rules.failing(case.trace.emotional_covariation)
        told += [f"It is said to fail with {who} people ({fails})." for who, fails in failing]
    by_skill: dict[str, float] = {}
    for signal in found:
        skill = ADVICE[signal.name].target_competency or "other"
        by_skill[skill] = round(by_skill.get(skill, rules.UNBLEMISHED) * (1.0 - signal.weight), 4)
    first = ADVICE[found[0].name] if found else None
    return DomainScore(
        domain,
        score,
        " ".join(told),
        confidence=signs.confidence(found, len(case.reading.steps)),
        evidence_quotes=tuple(dict.fromkeys(signal.quote for signal in found[:3])),
        evidence_signal_ids=ids_of(case, (signal.steps for signal in found)),
        counterfactual=first.suggested_implementation if first else "",
        weakest_competency=first.target_competency if first else None,
        competency_scores=by_skill,
    )


def ids_of(case: Case[AgentEITrace], cited: Iterable[tuple[int, ...]]) -> tuple[str, ...]:
    """The client's ids of the signals that stand in these steps."""
    known = [said.signal_id if said is not None else None for _, said in lines(case.trace)]
    found = (known[number] for steps in cited for number in steps)
    return tuple(dict.fromkeys(name for name in found if name is not None))


def assess_offline(case: Case[AgentEITrace]) -> EIDetection:
    """From what was passed over, said and reported alone."""
    scores = shown(case)
    rows = {domain: row_of_signs(case, domain, scores[domain]) for domain in rules.DOMAINS}
    overlay = abilities.overlay_of(case, {}, scores)[0]
    sure = signs.confidence(case.signals, len(case.reading.steps))
    return _detection(case, rows, overlay, case.evidence_of_signals(), rules.remedies(case.signals, scores), sure)


def _detection(
    case: Case[AgentEITrace], rows: Mapping[Domain, DomainScore], overlay: list[rules.BranchScore],
    evidence: tuple[Evidence, ...], interventions: tuple[EIIntervention, ...], confidence: float,
) -> EIDetection:  # fmt: skip
    trace, forensic = case.trace, case.mode == "forensic"
    scores = {domain: row.score for domain, row in rows.items()}
    overall, profile, weakest = rules.overall_of(scores), rules.profile_of(scores), rules.weakest_of(scores)
    kinds = [one.intervention_type for one in interventions]
    payload = {"overall_ei": overall, "weakest_domain": weakest, "profile_pattern": profile}
    labels = {"domain": weakest, "profile_pattern": profile}
    return EIDetection(
        domains=tuple(
            msgspec.structs.replace(row, severity=banded(row.score, rules.SEVERITY)) for row in rows.values()
        ),
        overall_ei=overall,
        ei_quality=rules.quality_of(overall),
        weakest_domain=weakest,
        interventions=interventions,
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        interaction_class=trace.interaction_class,
        success=trace.success,
        profile_pattern=profile,
        axis_scores=rules.axes_of(scores),
        cascade_analysis=rules.cascade_of({one.branch: one.score for one in overlay}, scores) if forensic else None,
        mayer_salovey_overlay=tuple(overlay) if forensic else (),
        emotional_covariation=trace.emotional_covariation,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=evidence,
        confidence=confidence,
    )


def rows_of(case: Case[AgentEITrace], answers: Answers) -> tuple[dict[Domain, DomainScore], tuple[Evidence, ...]]:
    """The domains as a model holds them, as far as quotations bear its doubts out, else as signs show them."""
    answer: texts.DomainsAnswer = answers["domains"]
    rows: dict[Domain, DomainScore] = {}
    proofs: list[Evidence] = []
    before = shown(case)
    for domain in rules.DOMAINS:
        held = [one for one in answer.domains if one.domain == domain]
        rows[domain] = row_of_signs(case, domain, before[domain])
        if not held:
            continue
        # What a model asserts with a low score is a fault; that is what needs proof.
        found = ((1.0 - one.score, one.explanation, one.evidence) for one in held)
        judged = signs.judge(case, found, 1.0 - before[domain])
        proofs += judged.proofs
        weakest = next((one.weakest_competency for one in held if one.weakest_competency), None)
        rows[domain] = msgspec.structs.replace(
            rows[domain],
            score=round(1.0 - judged.score, 4),
            explanation=judged.explanation or rows[domain].explanation,
            confidence=round(min(0.9, 0.4 + 0.1 * len(judged.proofs)), 2),
            evidence_quotes=judged.quotes or rows[domain].evidence_quotes,
            evidence_signal_ids=ids_of(case, (proof.steps for proof in judged.proofs)),
            counterfactual=next((one.counterfactual for one in held if one.counterfactual.strip()), ""),
            weakest_competency=weakest or rows[domain].weakest_competency,
        )
    return rows, signs.each_once(proofs)


def scores_so_far(case: Case[AgentEITrace], answers: Answers) -> dict[Domain, float]:
    """The scores between two passes; quotations are counted in the conclusion and not here."""
    rows = rows_of(case.aside(), answers)[0]
    return {domain: row.score for domain, row in rows.items()}


def falls_short(case: Case[AgentEITrace], answers: Answers) -> bool:
    """Where nothing is lacking there is nothing to change."""
    return rules.quality_of(rules.overall_of(scores_so_far(case, answers))) != "high-ei"


def ask_branches(case: Case[AgentEITrace], answers: Answers) -> str:
    """The abilities, given the domains."""
    return abilities.BRANCHES_TASK.format(scores=rules.told(scores_so_far(case, answers)))


def ask_fix(case: Case[AgentEITrace], answers: Answers) -> str:
    """What to change, given the domains."""
    scores = scores_so_far(case, answers)
    weakest = rules.weakest_of(scores)
    neighbours = ", ".join(COMPOSITION.downstream["domain"][weakest])
    return texts.FIX_TASK.format(weakest=weakest, scores=rules.told(scores), neighbours=neighbours)


# From here on the contract calls a domain met.
MET = 0.7
Rows = Mapping[Domain, DomainScore]


def skilled(case: Case[AgentEITrace], answers: Answers, rows: Rows) -> tuple[Rows, tuple[Evidence, ...]]:
    """The domains with their competencies; the lowest is the weakest, and two readings that part are less sure."""
    if "competencies" not in answers:
        return rows, ()
    shown = {domain: row.competency_scores for domain, row in rows.items()}
    found, proofs = abilities.competencies_of(case, answers, shown)
    told: dict[Domain, DomainScore] = {}
    for domain, row in rows.items():
        own, weakest, sure = found[domain], row.weakest_competency, row.confidence
        if own:
            lowest = min(own, key=lambda name: own[name])
            weakest = cast("Competency", lowest) if own[lowest] < MET else weakest
            apart = abs(sum(own.values()) / len(own) - row.score) > MET / 2
            sure = round(max(0.1, sure - 0.1) if apart else min(0.9, sure + 0.05), 2)
        told[domain] = msgspec.structs.replace(row, competency_scores=own, weakest_competency=weakest, confidence=sure)
    return told, proofs


def conclude(case: Case[AgentEITrace], answers: Answers) -> EIDetection:
    """A model's reading; axes, profile, quality and the weakest domain are computed from its scores."""
    told, proofs = rows_of(case, answers)
    rows, skills = skilled(case, answers, told)
    scores = {domain: row.score for domain, row in rows.items()}
    overlay, more = abilities.overlay_of(case, answers, scores)
    weakest = rules.weakest_of(scores)
    proposing = answers.get("interventions") or answers["domains"]
    chosen: tuple[EIIntervention, ...] = ()
    if weakest != "none":
        chosen = signs.adopted(getattr(proposing, "interventions", ()), COMPOSITION, weakest, "domain")
        chosen = chosen or rules.remedies(case.signals, scores)
    borne = [s for s in case.signals if scores[ADVICE[s.name].target_domain] < MET]
    seen = case.ground(Evidence(s.claim, s.steps, s.quote) for s in borne)
    sure = round(min(0.9, 0.4 + 0.06 * len(proofs)), 2)
    return _detection(case, rows, overlay, signs.each_once([*proofs, *more, *skills, *seen]), chosen, sure)


FIRST = Pass("domains", texts.DomainsAnswer, asks(texts.DOMAINS_TASK))
SKILLS = Pass("competencies", abilities.CompetenciesAnswer, asks(abilities.COMPETENCIES_TASK))
BRANCHES = Pass("branches", abilities.BranchesAnswer, ask_branches)
LAST = Pass("interventions", texts.FixAnswer, ask_fix, falls_short)

PATTERN = Pattern(
    name="goleman_ei", number=2, friendly="Goleman EI Audit", group="Module 1 / Individual",
    summary="Finds where an agent misreads or mishandles its own state or the other's, by Goleman's four domains.",
    framework=texts.FRAMEWORK, sources=texts.SOURCES, trace=AgentEITrace, detection=EIDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("domains", texts.QuickAnswer, asks(texts.QUICK_TASK)),),
        "standard": (FIRST, LAST),
        "forensic": (FIRST, SKILLS, BRANCHES, LAST),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=COMPOSITION,
    non_blank=("task", "outcome"), preconditions=preconditions,
)  # fmt: skip
