"""Devil's advocate: is there somebody who judges the work and did not do it?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast, get_args

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import devils_advocate_texts as texts
from vstack_proto.patterns import signs, talk
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Count,
    Detection,
    Evidence,
    Fault,
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
from vstack_proto.patterns.devils_advocate_texts import PHASES, Phase, Profile, RoleStep, SeparationIntervention
from vstack_proto.trace import CanonicalTrace, TraceStep

SOURCES = (
    Source("Janis, I. L.", "1972", "Victims of Groupthink"),
    Source("Schwenk, C. R.", "1990", "Effects of devil's advocacy and dialectical inquiry on decision making"),
    Source("Klein, G.", "2007", "Performing a project premortem"),
    Source("Kahneman, D.", "2011", "Thinking, Fast and Slow"),
)

Quality = Literal["well-separated", "partially-conflated", "fully-conflated"]
Locus = Literal["self-reviewed", "externally-reviewed", "mixed", "unreviewed"]
MODE_OF = {mode: phase for (phase, _), mode in texts.ATTACH.items()}


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
        kind, role = step.type.strip().lower().replace("-", "_"), signs.role_of(step)
        if kind in get_args(texts.StepType) or kind in texts.NAMED:
            named = texts.NAMED.get(kind) or cast("texts.StepType", kind)
        elif role in ("tool", "observation", "system"):
            named = "tool_call" if role == "tool" else "observation"
        else:
            named, guessed = texts.told_phase(step.content, bool(worker), step.agent == worker, role == "user"), True
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
    kind = step.type.strip().lower().replace("-", "_")
    return kind in PHASES or kind in texts.NAMED or kind in signs.CALLS


def read(trace: SingleAgentTrace) -> Reading:
    """Facts, then the steps; a step's kind says its confidence where it was stated."""
    facts = [("task", trace.task), ("outcome", trace.outcome), ("success", "yes" if trace.success else "no")]
    facts += [(name, told) for name, told in (("agent", trace.agent_id), ("model", trace.model_name)) if told]
    steps = []
    for step in trace.steps:
        kind = step.type if step.confidence is None else f"{step.type}, confidence {step.confidence:g}"
        steps.append(Step(step.actor, "observation" if step.type == "observation" else kind, step.content))
    return Reading(tuple(facts), tuple(steps))


def preconditions(trace: SingleAgentTrace) -> Iterable[Fault]:
    """There must be something to read."""
    if not trace.steps:
        yield Fault("/steps", "must not be empty")


def signals(trace: SingleAgentTrace, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: plans without a rival, empty approvals, acts and decisions that nobody else saw."""
    found = [*_judging(trace, texts.roles_of(trace.steps)), *_planning(trace)]
    return signs.strongest(signal for signal in found if signal.quote)


def _at(trace: SingleAgentTrace, number: int, mode: str, claim: str, weight: float) -> Signal:
    return Signal(mode, claim, (number,), signs.first_line(trace.steps[number].content), weight)


def _planning(trace: SingleAgentTrace) -> Iterator[Signal]:
    thought = [n for n, step in enumerate(trace.steps) if step.type in ("plan", "thought", "decision")]
    plans = [n for n in thought if trace.steps[n].type == "plan"]
    if plans and not any(texts.ALTERNATIVE.search(trace.steps[n].content) for n in thought):
        yield _at(trace, plans[0], "no_alternative_hypothesis", "A plan without a rival; no step weighs another", 0.3)
    if plans and not any(texts.RISK.search(trace.steps[n].content) for n in thought):
        yield _at(trace, plans[0], "no_pre_mortem", "A plan that does not say what could go wrong", 0.25)
    for number in [n for n in thought if texts.DISMISSES.search(trace.steps[n].content)][: signs.MAX_OF_A_RULE]:
        yield _at(trace, number, "no_pre_mortem", "A danger is waved away without a look", 0.4)


def _judging(trace: SingleAgentTrace, roles: texts.Roles) -> Iterator[Signal]:
    steps, run = trace.steps, 0
    for number in roles.steps["self_evaluate"]:
        text = steps[number].content
        if texts.CHECKED.search(text) or texts.LIMIT.search(text) or texts.REVISES.search(text):
            run = 0
            continue
        run += 1
        yield _at(trace, number, "rubber_stamping", "An approval that names no check and no limit", 0.4)
        if run == 3:
            yield _at(trace, number, "approval_drift", "The third empty approval in a row", 0.3)
    for number in roles.steps["external_critique"][: signs.MAX_OF_A_RULE]:
        if number not in roles.answered:
            yield _at(trace, number, "weak_critic", "An objection that nobody takes up", 0.4)
        elif not texts.OBJECTS.search(steps[number].content):
            yield _at(trace, number, "weak_critic", "A review that objects to nothing", 0.3)
    seen = min(roles.independent, default=len(steps))
    for number in [n for n in roles.steps["execute"] if n < seen and texts.IRREVERSIBLE.search(steps[n].content)][:3]:
        yield _at(
            trace, number, "high_stakes_no_human", "An act that cannot be undone, seen by nobody else before", 0.5
        )
    if not roles.independent:
        ends = [n for n, step in enumerate(steps) if step.type in ("plan", "self_evaluate", "decision", *texts.DOES)]
        if ends and not roles.steps["self_evaluate"]:
            yield _at(trace, ends[-1], "fully_conflated", "The run ends here, and nobody has judged the work", 0.5)
        elif ends:
            claim = "The run ends on the word of who did the work; nobody else has judged it"
            yield _at(trace, ends[-1], "missing_critic_phase", claim, 0.5)


class Standing(msgspec.Struct, frozen=True):
    """The phases as judged, and the contract's numbers of them."""

    judged: dict[Phase, signs.Judged]
    present: dict[Phase, bool]
    external: bool
    score: float
    rate: float
    profile: Profile

    @property
    def quality(self) -> Quality:
        """The contract's bounds on the score."""
        if self.score >= 0.6:
            return "well-separated"
        return "partially-conflated" if self.score >= 0.35 else "fully-conflated"

    @property
    def locus(self) -> Locus:
        """Who judged: for ``external`` only somebody who neither planned nor acted counts."""
        if self.external:
            return "mixed" if self.present["self_evaluate"] else "externally-reviewed"
        return "self-reviewed" if self.present["self_evaluate"] else "unreviewed"


def standing_of(case: Case[SingleAgentTrace], answers: Answers) -> Standing:
    """Judge the phases: as the model did where its quotations stand, else by the substance of their words."""
    trace, roles = case.trace, texts.roles_of(case.trace.steps)
    substance, answer = texts.substance_of(trace.steps, roles), cast("texts.PhasesAnswer | None", answers.get("phases"))
    judged, present = {}, {}
    for phase in PHASES:
        present[phase] = bool(roles.steps[phase])
        if answer is not None:
            told = [one for one in answer.phases if one.phase == phase]
            found = [(one.substantive_score, one.explanation, _free(trace, roles, phase, one.evidence)) for one in told]
            judged[phase] = signs.judge(case, found, substance[phase])
            present[phase] |= any(one.present for one in told) and bool(judged[phase].proofs)
        else:
            claims = [f"Step {one.steps[0]}: {one.claim}." for one in case.signals if MODE_OF[one.name] == phase]
            seen = f"Seen in {signs.listed(roles.steps[phase])}." if roles.steps[phase] else "No step is of this phase."
            judged[phase] = signs.Judged(substance[phase], " ".join([seen, *claims[:3]]), ())
    external = bool(roles.independent or judged["external_critique"].proofs) and present["external_critique"]
    scores = {phase: one.score for phase, one in judged.items()}
    score = texts.separation(present, external, scores)
    own, revised = texts.approvals_of(trace.steps)
    rate = round((own - revised) / own, 2) if own else 0.0
    profile = texts.profile_of(score, external, present["self_evaluate"], rate, bool(own), scores)
    return Standing(judged, present, external, score, rate, profile)


def _free(
    trace: SingleAgentTrace, roles: texts.Roles, phase: Phase, evidence: Iterable[Evidence]
) -> tuple[Evidence, ...]:
    """Of what is told of a critique, the steps of somebody who neither planned nor acted."""
    free = {n for n, step in enumerate(trace.steps) if phase != "external_critique" or step.actor not in roles.busy}
    return tuple(Evidence(one.claim, tuple(n for n in one.steps if n in free), one.quote) for one in evidence)


def _look(case: Case[Any], answers: Answers) -> Standing:
    return standing_of(case.aside(), answers)


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given the numbers."""
    one = _look(case, answers)
    told = texts.ASK_REMEDY.format(score=one.score, quality=one.quality, locus=one.locus, rate=one.rate)
    return told + texts.ASK_CHANGES


def is_conflated(case: Case[Any], answers: Answers) -> bool:
    """Where judgment is well separated there is nothing to change."""
    return _look(case, answers).quality != "well-separated"


def assess_offline(case: Case[SingleAgentTrace]) -> RoleSeparationDetection:
    """From types, actors and the words that make substance."""
    return conclude(case, {})


def conclude(case: Case[SingleAgentTrace], answers: Answers) -> RoleSeparationDetection:
    """The phases as judged; score, locus, approval rate, counts and labels are computed."""
    trace, one = case.trace, standing_of(case, answers)
    audit: texts.AuditAnswer | None = answers.get("audit")
    proofs = [proof for judged in one.judged.values() for proof in judged.proofs]
    conflated = one.quality != "well-separated"
    seen = case.evidence_of_signals() if conflated else ()
    evidence = signs.each_once([*proofs, *(case.ground(audit.evidence) if audit else ()), *seen])
    interventions = _interventions(case, answers, one.profile) if conflated else ()
    # Where types did not tell the phases, words were taken for them.
    sure = signs.confidence(case.signals, len(trace.steps)) - 0.1 * bool(trace.metadata.get("phases_guessed"))
    sure = round(max(0.2, min(0.9, sure + (0.1 + 0.02 * len(proofs) if "phases" in answers else 0.0))), 2)
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
        approval_rate_audit=_approvals(trace, one, audit.approval if audit else ""),
        critic_voice_audit=_critics(trace, one, audit.critic if audit else ""),
        attached_playbooks=attach_playbooks(
            texts.PLAYBOOKS, texts.ATTACH, [(item.target_phase, item.intervention_type) for item in interventions]
        ),
        composition_handoff=texts.COMPOSITION.handoff({"profile_pattern": one.profile}, trace.framework, payload),
        evidence=evidence,
        confidence=sure,
    )


def _interventions(case: Case[Any], answers: Answers, profile: Profile) -> tuple[SeparationIntervention, ...]:
    shown = signs.weigh(signs.under(case.signals, MODE_OF), PHASES)
    # What lacks most where no signal tells more: a critic.
    scores = shown if max(shown.values()) >= signs.SHOWS else {"external_critique": 1.0}
    computed = signs.remedies(SeparationIntervention, case.signals, scores, texts.PLAYBOOKS, texts.ATTACH)
    return talk.proposed(answers, "phases", texts.COMPOSITION, profile, PHASES) or computed


def _phase(trace: SingleAgentTrace, phase: Phase, one: Standing, sure: float) -> PhaseEvidence:
    judged, roles = one.judged[phase], texts.roles_of(trace.steps)
    typed = (roles.independent if phase == "external_critique" else ()) or roles.steps[phase]
    steps = [*typed, *(n for proof in judged.proofs for n in proof.steps)]
    actor = trace.steps[steps[0]].actor if steps and one.present[phase] else "primary"
    return PhaseEvidence(phase, one.present[phase], judged.score, judged.explanation, actor, judged.quotes, sure)


def _approvals(trace: SingleAgentTrace, one: Standing, told: str) -> ApprovalRateAudit:
    own, revised = texts.approvals_of(trace.steps)
    empty = round(one.rate * (1 - one.judged["self_evaluate"].score), 4)
    said = f"{own - revised} of {own} self-evaluations approve." if own else "No step is a self-evaluation."
    return ApprovalRateAudit(own, own - revised, revised, one.rate, empty, f"{told.strip()} {said}".strip())


def _critics(trace: SingleAgentTrace, one: Standing, told: str) -> CriticVoiceAudit:
    roles = texts.roles_of(trace.steps)
    steps = roles.steps["external_critique"]
    objecting = sum(bool(texts.OBJECTS.search(trace.steps[n].content)) for n in roles.independent)
    actors = len({trace.steps[n].actor for n in roles.independent})
    voice = one.judged["external_critique"].score if one.external else 0.0
    passed = [n for n in steps if n not in roles.answered]
    said = f"{len(steps)} critiques, {len(roles.independent)} of them by somebody who neither planned nor acted"
    said += f"; not taken up: {signs.listed(passed)}." if passed else "."
    return CriticVoiceAudit(len(steps), objecting, actors, voice, f"{told.strip()} {said}".strip())


READ = Pass("phases", texts.PhasesAnswer, lambda case, answers: texts.TASK)
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, is_conflated)

PATTERN = Pattern(
    name="devils_advocate",
    number=28,
    friendly="Devil's Advocate Separator",
    group="Module 2 / Team",
    summary="Finds where whoever planned and did the work also judged it, and no critic was heard.",
    framework=texts.FRAMEWORK,
    sources=SOURCES,
    trace=SingleAgentTrace,
    detection=RoleSeparationDetection,
    from_trace=from_trace,
    read=read,
    signals=signals,
    assess_offline=assess_offline,
    passes={
        "quick": (Pass("phases", texts.QuickAnswer, lambda case, answers: f"{texts.TASK}\n\n{texts.ASK_CHANGES}"),),
        "standard": (READ, CHANGES),
        "forensic": (READ, Pass("audit", texts.AuditAnswer, lambda case, answers: texts.ASK_AUDIT), CHANGES),
    },
    conclude=conclude,
    playbooks=texts.PLAYBOOKS,
    attach=texts.ATTACH,
    composition=texts.COMPOSITION,
    non_blank=("task", "outcome"),
    preconditions=preconditions,
)
