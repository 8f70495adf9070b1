"""Devil's advocate: is there somebody who judges the work and did not do it?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast, get_args

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import devils_advocate_passes as passes
from vstack_proto.patterns import devils_advocate_signs as rules
from vstack_proto.patterns import devils_advocate_texts as texts
from vstack_proto.patterns import signs, talk
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Evidence,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    attach_playbooks,
    banded,
    facts,
    not_empty,
)
from vstack_proto.patterns.devils_advocate_passes import (
    MODE_OF,
    PASSES,
    Locus,
    Quality,
    SeparationIntervention,
    Standing,
    standing_of,
)
from vstack_proto.patterns.devils_advocate_signs import RoleStep, judging, planning
from vstack_proto.patterns.devils_advocate_texts import PHASES, Phase, Profile
from vstack_proto.trace import CanonicalTrace, TraceStep

SOURCES = (
    Source("Janis, I. L.", "1972", "Victims of Groupthink"),
    Source("Schwenk, C. R.", "1990", "Effects of devil's advocacy and dialectical inquiry on decision making"),
    Source("Klein, G.", "2007", "Performing a project premortem"),
    Source("Kahneman, D.", "2011", "Thinking, Fast and Slow"),
)


class SingleAgentTrace(msgspec.Struct, frozen=True):
    """A run of one agent, with whoever critiqued it."""

    task: str
    steps: tuple[RoleStep, ...]
    outcome: str
    success: bool
    agent_id: str | None = None
    model_name: str | None = None
    framework: str | None = None
    metadata: dict[str, Any] = {}


class PhaseEvidence(msgspec.Struct, frozen=True):
    """Whether a phase is there, who took it, and its substance from 0 to 1."""

    phase: Phase
    present: bool
    substantive_score: Share
    explanation: str
    actor: str = "primary"
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class ApprovalRateAudit(msgspec.Struct, frozen=True):
    """How often the agent approved itself; the estimate is that rate where nothing of substance was looked at."""

    self_evaluations_observed: Count = 0
    approvals: Count = 0
    revisions: Count = 0
    self_approval_rate: Share = 0.5
    rubber_stamping_estimate: Share = 0.5
    explanation: str = ""


class CriticVoiceAudit(msgspec.Struct, frozen=True):
    """Who spoke against the work; the estimate is the critique's substance, 0 without an independent critic."""

    external_critique_turn_count: Count = 0
    substantive_critic_objections: Count = 0
    critic_actor_count: Count = 0
    critic_voice_estimate: Share = 0.0
    explanation: str = ""


class RoleSeparationDetection(Detection, frozen=True):
    """How well planning, acting and judging are kept apart."""

    role_separation_quality: Quality
    role_separation_score: Share
    locus_of_judgment: Locus
    phase_evidence: tuple[PhaseEvidence, ...]
    self_approval_rate: Share
    interventions: tuple[SeparationIntervention, ...]
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    approval_rate_audit: ApprovalRateAudit | None = None
    critic_voice_audit: CriticVoiceAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.SeparationPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> SingleAgentTrace:
    """One step a step, the speaker its actor; what a message does is told by its type, else by its words.

    A message that questions is a critique if somebody else planned or acted last, else a self-evaluation.
    ``metadata`` may hold ``agent_id`` and ``model_name``, that of a step ``confidence``.
    """
    own = signs.carried(canonical.metadata, SingleAgentTrace, "agent_id", "model_name")
    if not any(_typed(step) for step in canonical.steps):
        raise TraceNotReadable(
            "devils_advocate needs steps of type plan, execute, self_evaluate, external_critique or tool_call"
        )
    steps, worker, guessed = [], "", False
    for step in canonical.steps:
        kind, role = step.plain_type, signs.role_of(step)
        if kind in get_args(rules.StepType) or kind in rules.NAMED:
            named = rules.NAMED.get(kind) or cast("rules.StepType", kind)
        elif role in ("tool", "observation", "system"):
            named = "tool_call" if role == "tool" else "observation"
        else:
            named, guessed = rules.told_phase(step.content, bool(worker), step.agent == worker, role == "user"), True
        if named in ("plan", "execute", "tool_call"):
            worker = step.agent
        stated = signs.carried(step.metadata, RoleStep, "confidence").get("confidence")
        steps.append(RoleStep(named, step.content, step.agent, stated, step.timestamp, step.metadata))
    told = {**canonical.metadata, "phases_guessed": True} if guessed else canonical.metadata
    return SingleAgentTrace(
        canonical.goal, tuple(steps), canonical.outcome, canonical.success is True,
        framework=canonical.framework, metadata=told, **own,
    )  # fmt: skip


def _typed(step: TraceStep) -> bool:
    kind = step.plain_type
    return kind in PHASES or kind in rules.NAMED or kind in signs.CALLS


def read(trace: SingleAgentTrace) -> Reading:
    """Facts, then the steps; a step's kind says its confidence where it was stated."""
    steps = []
    for step in trace.steps:
        kind = step.type if step.confidence is None else f"{step.type}, confidence {step.confidence:g}"
        steps.append(Step(step.actor, "observation" if step.type == "observation" else kind, step.content))
    return Reading(tuple(facts(trace, "task", "outcome", "success", "agent_id", "model_name")), tuple(steps))


def signals(trace: SingleAgentTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: plans without a rival, empty approvals, acts and decisions that nobody else saw."""
    found = [*judging(trace.steps, rules.roles_of(trace.steps)), *planning(trace.steps)]
    return signs.strongest(signal for signal in found if signal.quote)


def assess_offline(case: Case[SingleAgentTrace]) -> RoleSeparationDetection:
    """From types, actors and the words that make substance."""
    return conclude(case, {})


def conclude(case: Case[SingleAgentTrace], answers: Answers) -> RoleSeparationDetection:
    """The phases as judged; score, locus, approval rate, counts and labels are computed."""
    trace, one = case.trace, standing_of(case, answers)
    audit: passes.AuditAnswer | None = answers.get("audit")
    proofs = [proof for judged in one.judged.values() for proof in judged.proofs]
    conflated = one.quality != "well-separated"
    seen = case.evidence_of_signals() if conflated else ()
    assumed = passes.assumed(case, answers)
    # What nobody asked is a premortem that was not held, in the words of the rules.
    unasked = [Signal("no_pre_mortem", UNASKED, (at,), quote, 0.4) for asked, at, quote in assumed if asked == "unmet"]
    heard = case.ground(audit.evidence) if audit else ()
    missed = (Evidence(own.claim, own.steps, own.quote) for own in unasked)
    evidence = signs.each_once([*proofs, *heard, *seen, *missed])
    interventions = _interventions(case, answers, one.profile, unasked) if conflated else ()
    # Where types did not tell the phases, words were taken for them.
    sure = signs.confidence(case.signals, len(trace.steps)) - 0.1 * bool(trace.metadata.get("phases_guessed"))
    sure = round(
        max(0.2, min(0.9, sure + (0.1 + 0.02 * (len(proofs) + len(assumed)) if "phases" in answers else 0.0))), 2
    )
    payload = {"role_separation_score": one.score, "locus_of_judgment": one.locus, "self_approval_rate": one.rate}
    return RoleSeparationDetection(
        role_separation_quality=one.quality,
        role_separation_score=one.score,
        locus_of_judgment=one.locus,
        phase_evidence=tuple(_phase(trace, phase, one, sure) for phase in PHASES),
        self_approval_rate=one.rate,
        interventions=interventions,
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        success=trace.success,
        # The complement unrounded: the contract's bands of the score are those of 1 - score.
        severity=banded(1.0 - one.score, signs.BANDS),
        profile_pattern=one.profile,
        approval_rate_audit=_approvals(trace, one, audit.approval if audit else "", assumed),
        critic_voice_audit=_critics(trace, one, audit.critic if audit else ""),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": one.profile}, trace.framework, payload),
        evidence=evidence,
        confidence=sure,
    )


UNASKED = "The work stands on this, and nobody put it to the question"


def _interventions(
    case: Case[Any], answers: Answers, profile: Profile, unasked: Iterable[Signal]
) -> tuple[SeparationIntervention, ...]:
    seen = (*case.signals, *unasked)
    shown = signs.weigh(signs.under(seen, MODE_OF), PHASES)
    # What lacks most where no signal tells more: a critic.
    scores = shown if max(shown.values()) >= signs.SHOWS else {"external_critique": 1.0}
    computed = signs.remedies(SeparationIntervention, seen, scores, texts.PLAYBOOKS, texts.ATTACH)
    return talk.proposed(answers, "phases", texts.COMPOSITION, profile, PHASES) or computed


def _phase(trace: SingleAgentTrace, phase: Phase, one: Standing, sure: float) -> PhaseEvidence:
    judged, roles = one.judged[phase], rules.roles_of(trace.steps)
    typed = (roles.independent if phase == "external_critique" else ()) or roles.steps[phase]
    steps = [*typed, *(n for proof in judged.proofs for n in proof.steps)]
    actor = trace.steps[steps[0]].actor if steps and one.present[phase] else "primary"
    return PhaseEvidence(phase, one.present[phase], judged.score, judged.explanation, actor, judged.quotes, sure)


def _approvals(
    trace: SingleAgentTrace, one: Standing, told: str, assumed: Sequence[tuple[passes.Asked, int, str]]
) -> ApprovalRateAudit:
    own, revised = rules.approvals_of(trace.steps)
    empty = round(one.rate * (1 - one.judged["self_evaluate"].score), 4)
    said = f"{own - revised} of {own} self-evaluations approve." if own else "No step is a self-evaluation."
    if assumed:
        met = sum(asked == "met" for asked, _, _ in assumed)
        said += f" {met} of {len(assumed)} assumptions of the work were put to the question."
    return ApprovalRateAudit(own, own - revised, revised, one.rate, empty, f"{told.strip()} {said}".strip())


def _critics(trace: SingleAgentTrace, one: Standing, told: str) -> CriticVoiceAudit:
    roles = rules.roles_of(trace.steps)
    steps = roles.steps["external_critique"]
    objecting = sum(bool(rules.OBJECTS.search(trace.steps[n].content)) for n in roles.independent)
    actors = len({trace.steps[n].actor for n in roles.independent})
    voice = one.judged["external_critique"].score if one.external else 0.0
    passed = [n for n in steps if n not in roles.answered]
    said = f"{len(steps)} critiques, {len(roles.independent)} of them by somebody who neither planned nor acted"
    said += f"; not taken up: {signs.listed(passed)}." if passed else "."
    return CriticVoiceAudit(len(steps), objecting, actors, voice, f"{told.strip()} {said}".strip())


PATTERN = Pattern(
    name="devils_advocate", number=28, friendly="Devil's Advocate Separator", group="Module 2 / Team",
    summary="Finds where whoever planned and did the work also judged it, and no critic was heard.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=SingleAgentTrace, detection=RoleSeparationDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline, passes=PASSES, conclude=conclude,
    playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION, non_blank=("task", "outcome"),
    preconditions=not_empty("steps"),
)  # fmt: skip
