"""Span of control: does the shape of a crew load one agent, or one level, with more than it can carry?"""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any, Literal, cast

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import (
    Amount,
    Answer,
    Answers,
    BaselineComparison,
    Case,
    Detection,
    Effort,
    Evidence,
    Level,
    Pass,
    Pattern,
    Reading,
    Risk,
    Severity,
    Share,
    Signal,
    Source,
    Step,
    attach_playbooks,
    banded,
    facts,
)
from vstack_proto.patterns.span_of_control_advice import (
    ADVICE,
    Facts,
    Kind,
    by_step,
    choose,
    explain,
    explain_lines,
    explain_load,
    facts_of,
)
from vstack_proto.patterns.span_of_control_crew import (
    AUTHORITY_WEIGHT,
    Authority,
    Crew,
    Load,
    Metric,
    Profile,
    Quality,
    faulty,
    heavy,
    measure,
    rings,
    survey,
    waiting,
)
from vstack_proto.patterns.span_of_control_texts import (
    ATTACH,
    AUDIT_TASK,
    COMPOSITION,
    COMPUTED,
    FRAMEWORK,
    PLAYBOOKS,
    SEVERITY,
    TASK,
    SpanPlaybook,
)
from vstack_proto.trace import AgentInfo, CanonicalTrace

SOURCES = (
    Source("Graicunas, V. A.", "1937", "Relationship in Organization"),
    Source("Urwick, L. F.", "1956", "The Manager's Span of Control"),
    Source("Mintzberg, H.", "1983", "Structure in Fives"),
    Source("Galbraith, J. R.", "1995", "Designing Organizations"),
)


SIGNALS_KEPT = 50


class SpanAgent(msgspec.Struct, frozen=True):
    """An entry of the roster: who it is, whom it reports to, what it may decide."""

    agent_id: str
    role_name: str = "generalist"
    reports_to: tuple[str, ...] = ()
    decision_authority: Authority = "partial"

    def line(self) -> str:
        """The entry as a step that evidence can quote."""
        lines = ", ".join(f"reports to {boss}" for boss in dict.fromkeys(self.reports_to)) or "reports to no one"
        return f"{self.agent_id}: role {self.role_name}, authority {self.decision_authority}, {lines}"


class SpanTrace(msgspec.Struct, frozen=True):
    """A crew, the rate of requests that reached it, and what was seen of its work."""

    task: str
    agents: Annotated[tuple[SpanAgent, ...], msgspec.Meta(min_length=1)]
    outcome: str
    success: bool
    crew_id: str | None = None
    framework: str | None = None
    incoming_request_rate: Amount = 1.0
    observed_behaviors: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}


class SpanMetric(msgspec.Struct, frozen=True):
    """One number of the crew's form; ``normalized_score`` runs from 0, no load, to 1."""

    metric: Metric
    value: float
    normalized_score: Share
    explanation: str = ""


class SpanIntervention(shapes.Change, frozen=True, forbid_unknown_fields=False):
    """One change of the crew's form."""

    target_metric: Metric
    intervention_type: Kind


class StructuralAnomalyAudit(msgspec.Struct, frozen=True):
    """Faults of the lines. A cycle closes over first lines and names each of its agents once, upwards."""

    cycles_detected: bool = False
    cycle_paths: tuple[tuple[str, ...], ...] = ()
    orphans: tuple[str, ...] = ()
    multi_parent_agents: tuple[str, ...] = ()
    dangling_reports_to: tuple[str, ...] = ()
    explanation: str = ""


class LoadAmplificationAudit(msgspec.Struct, frozen=True):
    """What the incoming rate adds to the bottleneck: its score at rest, at the rate, and the rate that saturates it."""

    incoming_request_rate: Amount = 0.0
    base_bottleneck_score: Share = 0.0
    amplified_bottleneck_score: Share = 0.0
    breaking_rate_estimate: float | None = None
    explanation: str = ""


class SpanDetection(Detection, frozen=True):
    """How the crew's form carries its load."""

    metrics: tuple[SpanMetric, ...]
    structural_load_score: Share
    structural_load_quality: Quality
    interventions: tuple[SpanIntervention, ...]
    crew_id: str | None = None
    bottleneck_agent_ids: tuple[str, ...] = ()
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    structural_anomaly_audit: StructuralAnomalyAudit | None = None
    load_amplification_audit: LoadAmplificationAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[SpanPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> SpanTrace:
    """Read a canonical trace whose ``agents`` say who reports to whom.

    The roster is the agents listed; who else speaks (a user, a tool) stands outside the crew. ``metadata`` may hold
    ``crew_id`` and ``incoming_request_rate``. An unknown ``success`` counts as not successful.
    """
    infos = [entry if isinstance(entry, AgentInfo) else AgentInfo(entry) for entry in canonical.agents]
    if not any(info.reports_to for info in infos):
        raise TraceNotReadable(
            "span_of_control needs the lines of the crew: list `agents` as objects {agent_id, reports_to: [...]}, "
            "with reports_to filled in for at least one of them"
        )
    crew_id, rate = canonical.metadata.get("crew_id"), canonical.metadata.get("incoming_request_rate")
    told = isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate < 1e300
    return SpanTrace(
        task=canonical.goal,
        agents=tuple(SpanAgent(i.agent_id, i.role_name, i.reports_to, _authority(i)) for i in infos),
        outcome=canonical.outcome,
        success=canonical.success is True,
        crew_id=crew_id if isinstance(crew_id, str) else None,
        framework=canonical.framework,
        incoming_request_rate=float(rate or 0) if told else 1.0,
        observed_behaviors=tuple(step.content for step in canonical.steps),
        metadata=canonical.metadata,
    )


def _authority(info: AgentInfo) -> Authority:
    held = info.decision_authority
    return held if held in AUTHORITY_WEIGHT else "partial"


def read(trace: SpanTrace) -> Reading:
    """Observed behaviours first, so that step i of a canonical trace stays step i, then one line per roster entry."""
    known = facts(trace, "task", "outcome", "success", "incoming_request_rate", "crew_id", "framework")
    seen = [Step("crew", "observed", behavior) for behavior in trace.observed_behaviors]
    return Reading(tuple(known), (*seen, *(Step(agent.agent_id, "roster", agent.line()) for agent in trace.agents)))


def crew_of(trace: SpanTrace) -> Crew:
    """The roster of a trace as a graph."""
    roster = ((agent.agent_id, agent.decision_authority, agent.reports_to) for agent in trace.agents)
    return survey(roster, len(trace.observed_behaviors))


def signals(trace: SpanTrace, reading: Reading) -> tuple[Signal, ...]:
    """Spans, bottlenecks and chains that the numbers call heavy, faulty lines, and observed work that waits."""
    crew = crew_of(trace)
    load = measure(crew, trace.incoming_request_rate)
    rules = (heavy(crew, load, reading), faulty(crew, reading), waiting(crew, trace.observed_behaviors))
    return tuple(islice((signal for rule in rules for signal in rule), SIGNALS_KEPT))


def assess_offline(case: Case[SpanTrace]) -> SpanDetection:
    """The whole detection: every number and intervention is computed; a model adds words and further evidence."""
    return conclude(case, {})


Neighbour = Literal["vstack.org_structure", "vstack.group_decision", "vstack.social_loafing", "vstack.lewin"]


class MetricReading(Answer, frozen=True):
    """What the record adds to one number."""

    metric: Metric
    explanation: str


class Proposal(Answer, frozen=True):
    """One change of the crew's form."""

    target_metric: Metric
    intervention_type: Kind
    description: str
    suggested_implementation: str
    rationale: str
    estimated_impact: Level
    effort_estimate: Effort
    risk: Risk
    composition_target_pattern: Neighbour | None = None


class StructureAnswer(Answer, frozen=True):
    """What the record shows of the load, and what to change."""

    explanations: tuple[MetricReading, ...]
    interventions: tuple[Proposal, ...]
    evidence: tuple[Evidence, ...]


class AuditedAnswer(StructureAnswer, frozen=True):
    """The same, with a reading of the two audits."""

    anomalies: str
    amplification: str


def is_stressed(case: Case[SpanTrace], answers: Answers) -> bool:
    """A well-balanced crew needs no model: there is nothing to mend."""
    return measure(crew_of(case.trace), case.trace.incoming_request_rate).quality != "well-balanced"


def ask(case: Case[SpanTrace], answers: Answers) -> str:
    """The task, with the numbers as computed."""
    crew, rate, forensic = crew_of(case.trace), case.trace.incoming_request_rate, case.mode == "forensic"
    told = by_step(crew, measure(crew, rate), rate, forensic)
    return "\n".join([TASK, *([AUDIT_TASK] if forensic else []), COMPUTED, *told])


def conclude(case: Case[SpanTrace], answers: Answers) -> SpanDetection:
    """The numbers, with the words and the grounded evidence of an answer if there is one."""
    trace, answer = case.trace, cast("StructureAnswer | None", answers.get("structure"))
    crew = crew_of(trace)
    load = measure(crew, trace.incoming_request_rate)
    waits = [signal for signal in case.signals if signal.name == "work_waits"]
    facts = facts_of(crew, load, trace.incoming_request_rate)
    said = explain(crew, load, facts, (signal.steps[0] for signal in waits))
    added = case.ground(answer.evidence) if answer else ()
    for note in answer.explanations if answer else ():
        said[note.metric] = f"{said[note.metric]} {note.explanation.strip()}".strip()
    computed = (_advised(metric, kind, load, facts) for metric, kind in choose(crew, load, facts, not trace.success))
    interventions = _proposed(answer) or tuple(computed)
    profile = load.profile(case.mode == "forensic")
    anomalies, amplification = _audits(crew, load, trace.incoming_request_rate, answer)
    payload = {"structural_load_score": load.score, "bottleneck_agent_ids": list(load.bottlenecks)}
    return SpanDetection(
        metrics=tuple(SpanMetric(m, load.values[m], load.normalised[m], said[m]) for m in load.values),
        structural_load_score=load.score,
        structural_load_quality=load.quality,
        interventions=interventions,
        crew_id=trace.crew_id,
        bottleneck_agent_ids=load.bottlenecks,
        success=trace.success,
        severity=banded(load.score, SEVERITY),
        profile_pattern=profile,
        structural_anomaly_audit=anomalies if case.mode == "forensic" else None,
        load_amplification_audit=amplification if case.mode == "forensic" else None,
        attached_playbooks=attach_playbooks(PLAYBOOKS, ATTACH, interventions),
        composition_handoff=COMPOSITION.handoff({"profile_pattern": profile}, trace.framework, payload),
        evidence=(*case.evidence_of_signals(), *added),
        confidence=_confidence(crew, load, bool(waits), bool(added)),
    )


def _advised(metric: Metric, kind: Kind, load: Load, facts: Facts) -> SpanIntervention:
    advice, known = ADVICE[metric, kind], msgspec.structs.asdict(facts)
    # A low mean is no load by itself: what weighs is the depth that it brings.
    weight = load.normalised["hierarchy_depth" if metric == "mean_span" else metric]
    return SpanIntervention(
        metric,
        kind,
        description=advice.description.format_map(known),
        suggested_implementation=advice.implementation.format_map(known),
        estimated_impact="high" if weight >= 0.7 else "medium" if weight >= 0.4 else "low",
        rationale=advice.rationale.format_map(known),
        effort_estimate=advice.effort,
        risk=advice.risk,
    )


def _proposed(answer: StructureAnswer | None) -> tuple[SpanIntervention, ...]:
    kept: dict[tuple[str, str, str | None], SpanIntervention] = {}
    for item in answer.interventions if answer else ():
        if item.description.strip() and item.suggested_implementation.strip():
            composed = item.composition_target_pattern if item.intervention_type == "compose_pattern" else None
            fields = {**msgspec.structs.asdict(item), "composition_target_pattern": composed}
            kept.setdefault((item.target_metric, item.intervention_type, composed), SpanIntervention(**fields))
    return tuple(kept.values())


def _audits(
    crew: Crew, load: Load, rate: float, answer: StructureAnswer | None
) -> tuple[StructuralAnomalyAudit, LoadAmplificationAudit]:
    cycles, lines, amplified = rings(crew), "", ""
    if isinstance(answer, AuditedAnswer):
        lines, amplified = answer.anomalies, answer.amplification
    lines = f"{explain_lines(crew, cycles)} {lines}".strip()
    amplified = f"{explain_load(load, rate)} {amplified}".strip()
    score = load.values["decision_bottleneck"]
    return (
        StructuralAnomalyAudit(bool(cycles), cycles, crew.lone(), crew.shared(), crew.unlisted(), lines),
        LoadAmplificationAudit(rate, load.at_rest, score, load.breaking_rate(rate), amplified),
    )


def _confidence(crew: Crew, load: Load, waits: bool, added: bool) -> float:
    """The numbers are exact; what is unsure is whether the roster is whole and the load was felt."""
    sure = 0.5 if any(crew.bosses.values()) else 0.3
    sure -= 0.1 if crew.unlisted() else 0.0
    if waits:
        # Work that waits in a crew whose form is sound has another cause, or the roster does not tell all.
        sure += -0.1 if load.quality == "well-balanced" else 0.2
    return round(min(0.8, max(0.2, sure + (0.1 if added else 0.0))), 2)


PATTERN = Pattern(
    name="span_of_control", number=34, friendly="Span of Control", group="Module 3 / Organization",
    summary="Finds where the shape of a crew (spans, levels, authority) loads one agent with more than it can carry.",
    framework=FRAMEWORK, sources=SOURCES, trace=SpanTrace, detection=SpanDetection, from_trace=from_trace, read=read,
    signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (),
        "standard": (Pass("structure", StructureAnswer, ask, is_stressed),),
        "forensic": (Pass("structure", AuditedAnswer, ask, is_stressed),),
    },
    conclude=conclude, playbooks=PLAYBOOKS, attach=ATTACH, composition=COMPOSITION, non_blank=("task", "outcome"),
)  # fmt: skip
