"""Orchestrator mode: is an orchestrator's oversight as tight as its task asks for, and no tighter?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import Annotated, Any, Literal, cast, get_args

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import mcgregor_oversight as oversight
from vstack_proto.patterns import mcgregor_texts as texts
from vstack_proto.patterns import shapes, signs, talk
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
    Source,
    Step,
    asks,
    attach_playbooks,
    facts,
)
from vstack_proto.patterns.mcgregor_oversight import Profile, Quality, TaskProperties, mode_of
from vstack_proto.patterns.mcgregor_texts import ModeIntervention, Theory
from vstack_proto.trace import CanonicalTrace, TraceStep

SOURCES = (
    Source("Argyris, C.", "1957", "Personality and Organization"),
    Source("McGregor, D.", "1960", "The Human Side of Enterprise"),
    Source("McGregor, D.", "1966", "Leadership and Motivation"),
    Source("Likert, R.", "1967", "The Human Organization"),
    Source("Pfeffer, J.; Salancik, G. R.", "1978", "The External Control of Organizations"),
    Source("Eisenhardt, K. M.", "1989", "Agency Theory: An Assessment and Review"),
    Source("Schein, E. H.", "1990", "Organizational Culture and Leadership"),
)


class OrchestrationStep(shapes.Dated, frozen=True):
    """What the orchestrator or an agent did; ``metadata`` may name the speaker as ``agent``."""

    step_type: texts.StepType
    actor: Literal["orchestrator", "agent"]
    content: str
    sub_agent: str | None = None
    timestamp: shapes.Moment | None = None
    metadata: dict[str, Any] = {}


class OrchestratorTrace(msgspec.Struct, frozen=True):
    """How an orchestrator led its agents through a task."""

    task: str
    sub_agents: tuple[str, ...]
    task_properties: TaskProperties
    steps: tuple[OrchestrationStep, ...]
    outcome: str
    trace_id: str | None = None
    success: bool = False
    framework: str | None = None
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    metadata: dict[str, Any] = {}


class ModeIndicators(msgspec.Struct, frozen=True):
    """Shares of the orchestrator's steps; the autonomy granted is what the mean control leaves."""

    check_in_frequency: Share
    autonomy_granted: Share
    pre_approval_required: Share
    intervention_rate: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5


class ModeBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same orchestrator."""

    historical_baseline_id: str | None = None
    historical_generated_at: shapes.Moment | None = None
    baseline_observed_mode: str | None = None
    baseline_profile_pattern: str | None = None
    indicator_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class OrchestratorModeDetection(Detection, frozen=True):
    """The oversight seen, the oversight wanted, and what lies between."""

    observed_mode: Theory
    optimal_mode: Theory
    mode_mismatch: Share
    indicators: ModeIndicators
    mode_quality: Quality
    interventions: tuple[ModeIntervention, ...]
    trace_id: str | None = None
    rationale: str = ""
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    step_audits: tuple[oversight.StepAudit, ...] = ()
    optimality_justification: oversight.OptimalityJustification | None = None
    baseline: ModeBaseline | None = None
    attached_playbooks: tuple[texts.ModePlaybook, ...] = ()


LEADS = signs.words(r"orchestrator|manager|supervisor|lead(?:er)?|coordinator|planner")
SAID: tuple[tuple[texts.StepType, Any], ...] = tuple(
    (cast("texts.StepType", n), signs.words(w)) for n, w in oversight.SPOKEN
)


def from_trace(canonical: CanonicalTrace) -> OrchestratorTrace:
    """One step a step. ``metadata`` must hold ``task_properties``; it may name the ``orchestrator``."""
    fields = ("task_properties", "sub_agents", "trace_id", "run_count")
    held = signs.carried(canonical.metadata, OrchestratorTrace, *fields)
    if "task_properties" not in held:
        raise TraceNotReadable("mcgregor needs metadata.task_properties: risk_level and complexity at least")
    names = canonical.agent_names()
    told = canonical.metadata.get("orchestrator")
    spoken = (name for name in names if LEADS.search(name.replace("_", " ")))
    leader = told if told in names else next(spoken, None)
    if leader is None:
        raise TraceNotReadable("mcgregor needs to know which agent orchestrates: metadata.orchestrator")
    led = [name for name in names if name != leader and not signs.MACHINE.search(name) and not signs.PERSON.match(name)]
    held.setdefault("sub_agents", tuple(led))
    if not held["sub_agents"]:
        raise TraceNotReadable("mcgregor needs one agent at least besides the orchestrator")
    return OrchestratorTrace(
        task=canonical.goal,
        steps=tuple(_step(step, leader) for step in canonical.steps),
        outcome=canonical.outcome,
        success=canonical.success is True,
        framework=canonical.framework,
        metadata=canonical.metadata,
        **held,
    )


def _step(step: TraceStep, leader: str) -> OrchestrationStep:
    kind, leads = step.plain_type, step.agent == leader
    named: texts.StepType = "observation"
    if kind in get_args(texts.StepType):
        named = cast("texts.StepType", kind)
    elif leads and signs.role_of(step) == "agent":
        named = next((name for name, found in SAID if found.search(step.content)), "delegate")
    known = step.metadata | {"agent": step.agent}
    told = None if leads else step.agent
    actor: Literal["orchestrator", "agent"] = "orchestrator" if leads else "agent"
    return OrchestrationStep(named, actor, step.content, told, step.timestamp, known)


def read(trace: OrchestratorTrace) -> Reading:
    """The task's properties and the agents, then the steps."""
    known = facts(trace, "task", "outcome", "success")
    stated = msgspec.structs.asdict(trace.task_properties)
    known += [(name.replace("_", " "), str(value)) for name, value in stated.items()]
    known += [("agents", ", ".join(trace.sub_agents)), *facts(trace, "run_count")]
    known += [(name, value) for name, value in (("trace", trace.trace_id), ("framework", trace.framework)) if value]
    who = (
        step.metadata.get("agent") or (step.actor == "agent" and step.sub_agent) or step.actor for step in trace.steps
    )
    steps = (Step(str(name), step.step_type, step.content) for name, step in zip(who, trace.steps, strict=True))
    return Reading(tuple(known), tuple(steps))


def preconditions(trace: OrchestratorTrace) -> Iterable[Fault]:
    """Somebody leads somebody."""
    if not trace.sub_agents:
        yield Fault("/sub_agents", "must not be empty")
    if not trace.steps:
        yield Fault("/steps", "must not be empty")


# How much a step of the orchestrator holds back: a goal handed over leaves the way open, a question asks for account.
CONTROL: dict[str, float] = {
    "delegate": 0.25, "broaden": 0.0, "check_in": 0.7, "approve": 1.0, "reject": 1.0, "intervene": 1.0, "narrow": 1.0,
    "abort": 1.0,
}  # fmt: skip


def controls(trace: OrchestratorTrace) -> dict[int, float]:
    """How much each step of the orchestrator holds back; what it merely observes is left out."""
    found = {}
    for number, step in enumerate(trace.steps):
        if step.actor == "orchestrator" and step.step_type != "observation":
            plain = step.step_type in ("delegate", "broaden", "approve")
            tight, loose = oversight.TIGHT.search(step.content), oversight.LOOSE.search(step.content)
            found[number] = 1.0 if plain and tight else 0.0 if plain and loose else CONTROL[step.step_type]
    return found


def control_of(trace: OrchestratorTrace) -> float:
    """The mean control; an orchestrator that does nothing leaves its agents free."""
    return round(fmean(controls(trace).values() or (0.0,)), 4)


def signals(trace: OrchestratorTrace, reading: Reading) -> tuple[Signal, ...]:
    """Where oversight does not fit: the steps on the wrong side, and alarms that changed nothing."""
    control, need = control_of(trace), oversight.need_of(trace.task_properties)
    if mode_of(control) == mode_of(need):
        return ()
    tight = control > need
    found = [] if tight else list(_unheeded(trace))
    for number, held in controls(trace).items():
        if (held >= oversight.X_FROM) if tight else (held <= oversight.Y_TO):
            named = trace.steps[number].step_type.replace("_", " ")
            claim = f"A {named} where the task leaves room" if tight else f"A {named} where the task asks for a gate"
            quote = signs.first_line(trace.steps[number].content)
            found.append(Signal("tight" if tight else "loose", claim, (number,), quote, 0.5))
    return signs.strongest(one for one in found if one.quote)


def _unheeded(trace: OrchestratorTrace) -> Iterator[Signal]:
    """An agent's alarm that the orchestrator's next step answers by letting go."""
    alarm: tuple[int, str] | None = None
    held = controls(trace)
    for number, step in enumerate(trace.steps):
        if step.actor == "agent":
            match = oversight.ALARM.search(step.content)
            if match is not None and (quote := signs.line_at(step.content, *match.span())):
                alarm = (number, quote)
        elif alarm is not None and number in held:
            if held[number] <= oversight.Y_TO:
                claim = f"The alarm of step {alarm[0]} is answered by letting go in step {number}"
                yield Signal("unheeded", claim, (alarm[0],), alarm[1], 0.7)
            alarm = None


class Modes(msgspec.Struct, frozen=True):
    """Both modes, how far they are apart, the task as the run shows it, and what proves them."""

    seen: Theory
    wanted: Theory
    mismatch: float
    quality: Quality
    rationale: str
    task: TaskProperties
    proofs: tuple[Evidence, ...] = ()


def _modes(case: Case[OrchestratorTrace], answers: Answers) -> Modes:
    """As the steps and properties say, or a model where words that stand bear it out."""
    control = control_of(case.trace)
    task, other = oversight.shown(case, answers.get("properties"), case.trace.task_properties)
    need, said, proofs = oversight.need_of(task), "", other
    told: texts.ModesAnswer | None = answers.get("modes")
    if told is not None:
        seen, wanted = case.ground(told.observed.evidence), case.ground(told.optimal.evidence)
        control = oversight.MIDDLE[told.observed.mode] if seen and told.observed.mode != mode_of(control) else control
        # Where each property was held against the run, they say what is wanted; else a model's word, borne out.
        if "properties" not in answers and wanted and told.optimal.mode != mode_of(need):
            need = oversight.MIDDLE[told.optimal.mode]
        said, proofs = f"{told.rationale.strip()} ", (*seen, *wanted, *other)
    said += f"Control is {control:.2f}, the task asks for {need:.2f}."
    mismatch = oversight.mismatch_of(control, need)
    return Modes(mode_of(control), mode_of(need), mismatch, oversight.quality_of(mismatch), said, task, proofs)


def misfits(case: Case[Any], answers: Answers) -> bool:
    """Oversight that fits needs no change."""
    return _modes(case.aside(), answers).quality != "well-matched"


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, given both modes."""
    found = _modes(case.aside(), answers)
    return texts.ASK_REMEDY.format(observed=found.seen, optimal=found.wanted) + texts.ASK_CHANGES


READ = Pass("modes", texts.ModesAnswer, asks(texts.TASK))
PROPERTIES = Pass("properties", texts.PropertiesAnswer, asks(texts.ASK_PROPERTIES))
AUDIT = Pass("audit", texts.AuditAnswer, asks(texts.ASK_AUDIT))
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, misfits)


def assess_offline(case: Case[OrchestratorTrace]) -> OrchestratorModeDetection:
    """From the types of the steps and the task's properties."""
    return conclude(case, {})


def conclude(case: Case[OrchestratorTrace], answers: Answers) -> OrchestratorModeDetection:
    """Indicators, mismatch, quality, severity and profile are computed; modes are a model's where borne out."""
    trace, modes = case.trace, _modes(case, answers)
    profile = oversight.profile_of(modes.seen, modes.task, modes.quality)
    own = mode_of(control_of(trace)) == modes.seen and modes.quality != "well-matched"
    shown = signs.proofs(case, case.signals) if own else ()
    evidence = signs.each_once([*modes.proofs, *shown])
    reasons = answers["properties"].justification.strip() if "properties" in answers else ""
    sure = min(0.7, 0.3 + 0.04 * len(controls(trace))) + (0.05 * min(4, len(modes.proofs)) if answers else 0.0)
    interventions = _interventions(case, answers, modes, profile, shown)
    payload = {"mode_mismatch": modes.mismatch, "optimal_mode": modes.wanted}
    labels = {"profile_pattern": profile, "observed_mode": modes.seen}
    kinds = [one.intervention_type for one in interventions]
    return OrchestratorModeDetection(
        observed_mode=modes.seen,
        optimal_mode=modes.wanted,
        mode_mismatch=modes.mismatch,
        indicators=_indicators(trace, tuple(proof.quote for proof in evidence[:6]), round(sure, 2)),
        mode_quality=modes.quality,
        interventions=interventions,
        trace_id=trace.trace_id,
        rationale=modes.rationale,
        success=trace.success,
        severity=oversight.severity_of(modes.mismatch),
        profile_pattern=profile,
        step_audits=_audits(case, answers, modes.wanted),
        optimality_justification=oversight.justified(modes.task, modes.wanted, reasons),
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload, kinds),
        evidence=evidence,
        confidence=round(sure, 2),
    )


def _indicators(trace: OrchestratorTrace, quotes: tuple[str, ...], sure: float) -> ModeIndicators:
    held = controls(trace)
    kinds = Counter[str](trace.steps[number].step_type for number in held)
    named = (("check_in",), ("approve", "reject"), ("intervene", "narrow", "abort"))
    checks, gates, steers = (round(sum(kinds[kind] for kind in one) / max(1, len(held)), 4) for one in named)
    seen = Counter(mode_of(one) for one in held.values())
    said = f"{len(held)} steps of the orchestrator: {seen['theory_x']} control, {seen['theory_y']} let go."
    return ModeIndicators(checks, round(1 - control_of(trace), 4), gates, steers, said, quotes, sure)


def _interventions(
    case: Case[Any], answers: Answers, modes: Modes, profile: Profile, shown: Sequence[Evidence]
) -> tuple[ModeIntervention, ...]:
    if modes.quality == "well-matched":
        return ()
    proposed = talk.proposed(answers, "modes", texts.COMPOSITION, profile)
    # Signals named by the failure mode lead the shared rule to its playbook, and to the steps where it shows.
    seen = [Signal(texts.REMEDY_OF[profile], "", proof.steps, "", 0.5) for proof in shown or modes.proofs]
    scores: dict[str, float] = {modes.seen: max(modes.mismatch, signs.SHOWS)}
    return proposed or signs.remedies(ModeIntervention, seen, scores, texts.PLAYBOOKS, texts.ATTACH)


def _audits(case: Case[OrchestratorTrace], answers: Answers, wanted: Theory) -> tuple[oversight.StepAudit, ...]:
    """Step by step in forensic mode: as a model judged it in words that stand, else by the mode that is wanted."""
    if case.mode != "forensic":
        return ()
    steps, held = case.trace.steps, controls(case.trace)
    told: texts.AuditAnswer | None = answers.get("audit")
    judged = {
        one.step: oversight.StepAudit(
            one.step, steps[one.step].step_type, one.mode, one.appropriate, one.alternative, one.explanation
        )
        for one in (told.steps if told else ())
        if one.step in held and case.quoted(one.quote, (one.step,))
    }
    for number, control in held.items():
        judged.setdefault(number, oversight.audit(number, steps[number].step_type, mode_of(control), wanted))
    return tuple(judged[number] for number in sorted(judged))


PATTERN = Pattern(
    name="mcgregor", number=11, friendly="McGregor Orchestrator Mode", group="Module 1 / Individual",
    summary="Compares how tightly an orchestrator leads its agents with how tightly the task asks for.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=OrchestratorTrace, detection=OrchestratorModeDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("modes", texts.QuickAnswer, asks(f"{texts.TASK}\n\n{texts.ASK_CHANGES}")),),
        "standard": (READ, CHANGES),
        "forensic": (READ, PROPERTIES, AUDIT, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("outcome", "task"), preconditions=preconditions,
)  # fmt: skip
