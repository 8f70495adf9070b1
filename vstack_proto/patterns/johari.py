"""Johari window: what does the agent know of its own work, and what of that do the others know?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import johari_signs as rules
from vstack_proto.patterns import johari_texts as texts
from vstack_proto.patterns import shapes, signs
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Detection,
    Evidence,
    Pass,
    Pattern,
    Reading,
    Severity,
    Share,
    Signal,
    Step,
    attach_playbooks,
    banded,
)
from vstack_proto.patterns.johari_signs import MODES, QUADRANTS
from vstack_proto.patterns.johari_texts import ATTACH, COMPOSITION, PLAYBOOKS, JohariIntervention, Quadrant
from vstack_proto.trace import CanonicalTrace, TraceStep, utc

Role = Literal["user", "agent", "system", "tool", "tool_result", "thought", "observation"]


class JohariTurn(shapes.Dated, frozen=True):
    """One thing said, thought, called or returned."""

    role: Role
    content: str
    timestamp: shapes.Moment | None = None
    metadata: dict[str, Any] = {}


class ToolReceipt(msgspec.Struct, frozen=True):
    """What a gateway signed: that a tool was called."""

    tool_name: str
    arguments_hash: str = ""
    result_hash: str = ""
    signed_at: shapes.Moment | None = None
    signer_id: str | None = None
    metadata: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.signed_at is not None:
            msgspec.structs.force_setattr(self, "signed_at", utc(self.signed_at))


class AgentSelfReportTrace(msgspec.Struct, frozen=True):
    """A run, what the agent reports of it, and what came of it."""

    task: str
    turns: Annotated[tuple[JohariTurn, ...], msgspec.Meta(min_length=1)]
    self_report: str
    outcome: str
    agent_id: str | None = None
    model_name: str | None = None
    success: bool = False
    framework: str | None = None
    subject_model_version: str | None = None
    tool_receipts: tuple[ToolReceipt, ...] = ()
    expected_introspection_ceiling: Share = 0.2
    run_count: Annotated[int, msgspec.Meta(ge=1)] = 1
    metadata: dict[str, Any] = {}


class JohariBaseline(msgspec.Struct, frozen=True):
    """How this detection differs from an earlier one of the same agent."""

    historical_baseline_id: str | None = None
    historical_generated_at: shapes.Moment | None = None
    baseline_dominant_quadrant: str | None = None
    baseline_profile_pattern: str | None = None
    quadrant_weight_deltas: dict[str, float] = {}
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class JohariDetection(Detection, frozen=True):
    """What lies in the open, and what in the other three quadrants."""

    dominant_quadrant: Quadrant
    quadrant_weights: dict[str, float]
    quadrants: tuple[rules.QuadrantEvidence, ...]
    self_awareness_score: Share
    agent_id: str | None = None
    model_name: str | None = None
    blind_spot_register: tuple[str, ...] = ()
    hidden_content_register: tuple[str, ...] = ()
    interventions: tuple[JohariIntervention, ...] = ()
    success: bool = False
    profile_pattern: rules.Profile = "indeterminate"
    severity: Severity = "moderate"
    quadrant_size_metrics: rules.QuadrantSizeMetrics | None = None
    feedback_opportunities: tuple[texts.FeedbackOpportunity, ...] = ()
    disclosure_opportunities: tuple[texts.DisclosureOpportunity, ...] = ()
    capability_probes: tuple[texts.CapabilityProbe, ...] = ()
    attached_playbooks: tuple[texts.JohariPlaybook, ...] = ()
    baseline: JohariBaseline | None = None
    subject_introspection_ceiling: Share = 0.2
    introspection_ceiling_exceeded: bool = False


# A last word shorter than this ("TERMINATE") reports nothing.
REPORT_CHARS = 20
THOUGHTS = frozenset({"thought", "thinking", "reasoning", "plan"})


def turn_of(step: TraceStep) -> JohariTurn:
    """A canonical step as a turn of the role that its type or else its speaker has."""
    role = signs.role_of(step)
    named: Role = "thought" if step.type in THOUGHTS else "tool_result" if role == "observation" else role
    return JohariTurn(named, step.content, step.timestamp, step.metadata | {"agent": step.agent})


def from_trace(canonical: CanonicalTrace) -> AgentSelfReportTrace:
    """One turn a step. The self-report is the one in ``metadata``, else the last that an agent told of its work."""
    turns = tuple(map(turn_of, canonical.steps))
    names = ("agent_id", "model_name", "subject_model_version", "tool_receipts", "expected_introspection_ceiling")
    held = signs.carried(canonical.metadata, AgentSelfReportTrace, "self_report", *names, "run_count")
    told = [turn.content for turn in turns if turn.role == "agent" and turn.content.strip()]
    report = held.pop("self_report", "").strip() or next((t for t in reversed(told) if len(t) >= REPORT_CHARS), "")
    if not report:
        raise TraceNotReadable("johari compares a self-report with the record: give `metadata.self_report`")
    return AgentSelfReportTrace(
        task=canonical.goal,
        turns=turns,
        self_report=report,
        outcome=canonical.outcome,
        success=canonical.success is True,
        framework=canonical.framework,
        metadata=canonical.metadata,
        **held,
    )


def read(trace: AgentSelfReportTrace) -> Reading:
    """Facts and the receipts, then the turns, then the self-report unless a turn holds it already."""
    facts = [("task", trace.task), ("outcome", trace.outcome), ("success", "yes" if trace.success else "no")]
    known = ("agent_id", "model_name", "subject_model_version", "framework")
    facts += [(name, value) for name in known if (value := getattr(trace, name))]
    if trace.tool_receipts:
        facts.append(("receipts", ", ".join(dict.fromkeys(receipt.tool_name for receipt in trace.tool_receipts))))
    name = trace.agent_id or "agent"
    own = {"agent": name, "thought": name}
    steps = [Step(str(t.metadata.get("agent") or own.get(t.role, t.role)), t.role, t.content) for t in trace.turns]
    at = next((n for n in range(len(steps) - 1, -1, -1) if steps[n].content == trace.self_report), None)
    if at is None:
        steps.append(Step(name, rules.REPORT, trace.self_report))
    else:
        facts.append(("self-report", f"step {at}"))
    return Reading(tuple(facts), tuple(steps))


def signals(trace: AgentSelfReportTrace, reading: Reading) -> tuple[Signal, ...]:
    """Calls without a receipt, failures denied, doubts not told, reports too sure of themselves; see the signs."""
    return rules.signals_of(reading, [receipt.tool_name for receipt in trace.tool_receipts], trace.success)


class Held(msgspec.Struct, frozen=True):
    """What is held of the window: weights with proofs, and what two of its quadrants hold."""

    judged: dict[Quadrant, signs.Judged]
    blind: tuple[Evidence, ...]
    hidden: tuple[Evidence, ...]

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each quadrant."""
        return {name: one.score for name, one in self.judged.items()}


def lying_in(case: Case[AgentSelfReportTrace], quadrant: Quadrant) -> tuple[Evidence, ...]:
    """What the signals put into a quadrant; of the turns, for the report as a whole is no content of its own."""
    found = (s for s in case.signals if MODES[s.name] == quadrant)
    return signs.proofs(case, (s for s in found if case.reading.steps[s.steps[0]].kind != rules.REPORT))


def held_without_model(case: Case[AgentSelfReportTrace]) -> Held:
    """The window as the signals show it."""
    weights = rules.weights_of(case.signals, case.reading.steps)
    told = signs.assessed(case, MODES, weights, "No step shows anything {label}.")
    opened = (
        "Nothing that the record shows was left out." if not case.signals else "What was neither missed nor kept back."
    )
    judged = {name: told[name] for name in QUADRANTS}
    judged["open"] = msgspec.structs.replace(judged["open"], explanation=opened)
    return Held(judged, lying_in(case, "blind"), lying_in(case, "hidden"))


def assess_offline(case: Case[AgentSelfReportTrace]) -> JohariDetection:
    """From the report, the record and the thoughts alone."""
    held = held_without_model(case)
    sure = signs.confidence(case.signals, len(case.reading.steps))
    found = rules.opportunities(case.signals) if case.mode == "forensic" else ((), (), ())
    return _detection(case, held, case.evidence_of_signals(), remedies(case, held), found, sure)


def remedies(case: Case[AgentSelfReportTrace], held: Held) -> tuple[JohariIntervention, ...]:
    """What the playbooks of the failure modes seen advise; nothing for what is open."""
    closed = {name: weight for name, weight in held.weights.items() if name != "open"}
    return signs.remedies(JohariIntervention, case.signals, closed, PLAYBOOKS, ATTACH)


def _detection(
    case: Case[AgentSelfReportTrace], held: Held, evidence: tuple[Evidence, ...],
    interventions: tuple[JohariIntervention, ...], found: rules.Advised, confidence: float,
) -> JohariDetection:  # fmt: skip
    trace, weights = case.trace, held.weights
    dominant, profile, aware = rules.dominant_of(weights), rules.profile_of(weights), rules.awareness_of(weights)
    labels = {"quadrant": dominant, "profile_pattern": profile}
    payload = {"quadrant_weights": dict(weights), "self_awareness_score": aware, "profile_pattern": profile}
    ceiling = trace.expected_introspection_ceiling
    return JohariDetection(
        dominant_quadrant=dominant,
        quadrant_weights=weights,
        quadrants=tuple(rules.row_of(name, one, len(trace.turns)) for name, one in held.judged.items()),
        self_awareness_score=aware,
        agent_id=trace.agent_id,
        model_name=trace.model_name,
        blind_spot_register=tuple(dict.fromkeys(one.claim for one in held.blind)),
        hidden_content_register=tuple(dict.fromkeys(one.claim for one in held.hidden)),
        interventions=interventions,
        success=trace.success,
        profile_pattern=profile,
        severity=banded(aware, rules.SEVERITY),
        quadrant_size_metrics=rules.sizes_of(weights),
        feedback_opportunities=found[0],
        disclosure_opportunities=found[1],
        capability_probes=found[2],
        attached_playbooks=playbooks_for(case, profile, interventions),
        subject_introspection_ceiling=ceiling,
        introspection_ceiling_exceeded=aware > ceiling + 0.3,
        composition_handoff=COMPOSITION.handoff(
            labels, trace.framework, payload, (one.intervention_type for one in interventions)
        ),
        evidence=evidence,
        confidence=confidence,
    )


def playbooks_for(
    case: Case[AgentSelfReportTrace], profile: rules.Profile, interventions: tuple[JohariIntervention, ...]
) -> tuple[texts.JohariPlaybook, ...]:
    """Those of the interventions, and those of failure modes seen that no intervention leads to."""
    known = attach_playbooks(PLAYBOOKS, ATTACH, interventions)
    modes = set(signs.by_label(case.signals)) if interventions else set()
    if profile == "balanced_growth" and case.trace.success:
        modes.add("healthy_baseline")
    return (*known, *(book for book in PLAYBOOKS if book.failure_mode in modes and book not in known))


def held_by_model(case: Case[AgentSelfReportTrace], answers: Answers) -> Held:
    """The window as a model holds it, as far as quotations bear it out; calls without a receipt are always added."""
    answer: texts.QuadrantsAnswer = answers["quadrants"]
    before = rules.weights_of(case.signals, case.reading.steps)
    judged: dict[Quadrant, signs.Judged] = {}
    for name in QUADRANTS:
        told = [(one.weight, one.explanation, one.evidence) for one in answer.quadrants if one.quadrant == name]
        one = signs.judge(case, told, before[name])
        judged[name] = one if told else msgspec.structs.replace(one, explanation="Nothing was found here.")
    receipts = (signal for signal in case.signals if signal.name == "hallucinated_tool_call")
    blind = (*case.ground(answer.blind_spots), *signs.proofs(case, receipts))
    return Held(judged, blind, case.ground(answer.hidden_content))


def held_so_far(case: Case[AgentSelfReportTrace], answers: Answers) -> Held:
    """The window between two passes; quotations are counted in the conclusion and not here."""
    return held_by_model(case.aside(), answers)


def is_closed(case: Case[AgentSelfReportTrace], answers: Answers) -> bool:
    """An open window needs no change."""
    return rules.dominant_of(held_so_far(case, answers).weights) != "open"


def is_blind(case: Case[AgentSelfReportTrace], answers: Answers) -> bool:
    """A loop needs something to show."""
    return bool(held_so_far(case, answers).blind)


def is_hidden(case: Case[AgentSelfReportTrace], answers: Answers) -> bool:
    """A disclosure needs something to tell."""
    return bool(held_so_far(case, answers).hidden)


def ask_quadrants(case: Case[AgentSelfReportTrace], answers: Answers) -> str:
    """The first question."""
    return texts.QUICK_TASK if case.mode == "quick" else texts.QUADRANTS_TASK


def ask_feedback(case: Case[AgentSelfReportTrace], answers: Answers) -> str:
    """Loops for what is blind."""
    return texts.FEEDBACK_TASK.format(register=rules.register(held_so_far(case, answers).blind))


def ask_disclosure(case: Case[AgentSelfReportTrace], answers: Answers) -> str:
    """Prompts for what is hidden."""
    return texts.DISCLOSURE_TASK.format(register=rules.register(held_so_far(case, answers).hidden))


def ask_fix(case: Case[AgentSelfReportTrace], answers: Answers) -> str:
    """What to change."""
    weights = held_so_far(case, answers).weights
    dominant = rules.dominant_of(weights)
    told = signs.scored(weights)
    neighbours = ", ".join(COMPOSITION.downstream["quadrant"][dominant])
    task = texts.FIX_TASK.format(dominant=dominant, weights=told, neighbours=neighbours)
    return task + texts.PROBE_TASK if case.mode == "forensic" else task


def conclude(case: Case[AgentSelfReportTrace], answers: Answers) -> JohariDetection:
    """A model's window; the dominant quadrant, profile, sizes and self-awareness are computed from its weights."""
    held = held_by_model(case, answers)
    dominant = rules.dominant_of(held.weights)
    proposing = answers.get("interventions") or answers["quadrants"]
    chosen: tuple[JohariIntervention, ...] = ()
    if dominant != "open":
        chosen = signs.adopted(getattr(proposing, "interventions", ()), COMPOSITION, dominant, "quadrant")
        chosen = chosen or remedies(case, held)
    feedback, disclosure = (getattr(answers.get(name), "opportunities", ()) for name in ("feedback", "disclosure"))
    probes = rules.named(getattr(proposing, "probes", ()), "cp")
    found = (rules.named(feedback, "fb"), rules.named(disclosure, "do"), probes)
    borne = [signal for signal in case.signals if held.weights[MODES[signal.name]] > 0]
    proofs = [proof for one in held.judged.values() for proof in one.proofs]
    evidence = signs.each_once([*proofs, *held.blind, *held.hidden, *signs.proofs(case, borne)])
    return _detection(case, held, evidence, chosen, found, round(min(0.9, 0.4 + 0.06 * len(evidence)), 2))


FIRST = Pass("quadrants", texts.QuadrantsAnswer, ask_quadrants)

PATTERN = Pattern(
    name="johari", number=3, friendly="Johari Window", group="Module 1 / Individual",
    summary="Finds what an agent does not see of its own work and what it keeps back, by the record and its thoughts.",
    framework=texts.FRAMEWORK, sources=texts.SOURCES, trace=AgentSelfReportTrace, detection=JohariDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("quadrants", texts.QuickAnswer, ask_quadrants),),
        "standard": (FIRST, Pass("interventions", texts.FixAnswer, ask_fix, is_closed)),
        "forensic": (
            FIRST,
            Pass("feedback", texts.FeedbackAnswer, ask_feedback, is_blind),
            Pass("disclosure", texts.DisclosureAnswer, ask_disclosure, is_hidden),
            Pass("interventions", texts.ProbingAnswer, ask_fix, is_closed),
        ),
    },
    conclude=conclude, playbooks=PLAYBOOKS, attach=ATTACH, composition=COMPOSITION,
    non_blank=("task", "self_report", "outcome"),
)  # fmt: skip
