"""Organisational structure: does the form of a crew fit its task?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, cast, get_args

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import fit, observed, signs, talk, tested
from vstack_proto.patterns import org_structure_passes as passes
from vstack_proto.patterns import org_structure_signs as rules
from vstack_proto.patterns import org_structure_texts as texts
from vstack_proto.patterns.common import (
    Answers,
    BaselineComparison,
    Case,
    Detection,
    Evidence,
    Pass,
    Pattern,
    Reading,
    Risk,
    Severity,
    Share,
    Signal,
    Step,
    asks,
    banded,
    facts,
)
from vstack_proto.patterns.org_structure_crew import (
    WEIGHT,
    Archetype,
    Crew,
    ReportingGraphAudit,
    StructureAgent,
    archetype_of,
    counted,
    graph_of,
    measured,
    survey,
)
from vstack_proto.patterns.org_structure_passes import (
    BottleneckAnswer,
    ChangesAnswer,
    DimensionsAnswer,
    QuickAnswer,
    StructureIntervention,
)
from vstack_proto.patterns.org_structure_texts import Dimension, Direction, Kind
from vstack_proto.trace import AgentInfo, CanonicalTrace

DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
TaskClass = Literal[
    "creative_brainstorm", "research_exploration", "incident_response", "regulated_workflow", "customer_support",
    "code_review", "high_throughput_pipeline", "general_purpose",
]  # fmt: skip
Gap = Literal[
    "specialization", "formalization", "centralization", "hierarchy", "span_of_control", "departmentalization", "none"
]  # fmt: skip
Profile = Literal[
    "well_fit", "too_flat_for_critical_task", "too_hierarchical_for_creative", "decision_bottleneck",
    "no_clear_authority", "over_specialized", "under_specialized", "matrix_overhead", "broadly_misfit", "indeterminate",
]  # fmt: skip


class OrgStructureTrace(msgspec.Struct, frozen=True):
    """A roster, the class of its task, and what was seen of its work."""

    task: str
    agents: Annotated[tuple[StructureAgent, ...], msgspec.Meta(min_length=1)]
    outcome: str
    success: bool
    crew_id: str | None = None
    framework: str | None = None
    task_class: TaskClass = "general_purpose"
    observed_behaviors: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}


class DimensionFit(msgspec.Struct, frozen=True):
    """One dimension as it is, as the task wants it, and how far that fits."""

    dimension: Dimension
    observed_score: Share
    target_score: Share
    fit_score: Share
    explanation: str
    evidence_quotes: tuple[str, ...] = ()
    confidence: Share = 0.5
    risk: Risk = "medium"


class DecisionBottleneckAudit(msgspec.Struct, frozen=True):
    """The one agent, if any, for whom decisions wait."""

    bottleneck_agent_id: str | None = None
    affected_dimensions: tuple[str, ...] = ()
    severity_estimate: Risk = "medium"
    explanation: str = ""


class OrgStructureDetection(Detection, frozen=True):
    """How far the crew's form fits its task."""

    task_class: TaskClass
    archetype: Archetype
    dimensions: tuple[DimensionFit, ...]
    overall_fit: Share
    fit_quality: fit.Quality
    biggest_gap: Gap
    interventions: tuple[StructureIntervention, ...]
    crew_id: str | None = None
    success: bool = False
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    reporting_graph_audit: ReportingGraphAudit | None = None
    decision_bottleneck_audit: DecisionBottleneckAudit | None = None
    baseline: BaselineComparison | None = None
    attached_playbooks: tuple[texts.StructurePlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> OrgStructureTrace:
    """Every step is a behaviour; ``agents`` (or ``metadata``) tell the roster, ``metadata`` the class of the task."""
    held = signs.carried(canonical.metadata, OrgStructureTrace, "agents", "crew_id", "task_class")
    infos = [one for one in canonical.agents if isinstance(one, AgentInfo)]
    if "agents" not in held:
        if not any(one.reports_to or one.decision_authority for one in infos):
            raise TraceNotReadable(
                "org_structure needs the crew's form: list `agents` as objects {agent_id, role_name, reports_to, "
                "decision_authority}, with lines or authority told for at least one of them"
            )
        plain = [one if isinstance(one, AgentInfo) else AgentInfo(one) for one in canonical.agents]
        held["agents"] = tuple(_agent(one) for one in plain)
    return OrgStructureTrace(
        task=canonical.goal,
        outcome=canonical.outcome,
        success=canonical.success is True,
        framework=canonical.framework,
        observed_behaviors=tuple(step.content for step in canonical.steps),
        metadata=observed.observed(canonical),
        **held,
    )


def _agent(info: AgentInfo) -> StructureAgent:
    told: Any = info.decision_authority if info.decision_authority in WEIGHT else "partial"
    return StructureAgent(info.agent_id, info.role_name, info.reports_to, decision_authority=told)


ROSTER = "roster"


def read(trace: OrgStructureTrace) -> Reading:
    """Facts, then observed behaviours, so that step i of a canonical trace stays step i, then a line per agent."""
    known = facts(trace, "task", "task_class", "outcome", "success", "crew_id", "framework")
    seen = observed.behaviours(trace.observed_behaviors, trace.metadata, "crew")
    roster = (Step(one.agent_id, ROSTER, one.line()) for one in trace.agents)
    return Reading(tuple(known), (*seen, *roster))


def targets_of(task_class: str) -> dict[str, float]:
    """What a class of task wants."""
    return dict(zip(DIMENSIONS, texts.TARGETS[task_class], strict=True))


def signals(trace: OrgStructureTrace, reading: Reading) -> tuple[Signal, ...]:
    """What words tell of the form, named by failure mode, and what the roster shows, named by dimension."""
    work = Reading((), tuple(step for step in reading.steps if step.kind != ROSTER))
    crew = survey(trace.agents)
    fits = measured(crew, targets_of(trace.task_class))
    return signs.strongest((*signs.find(work, rules.RULES), *_formed(trace, crew, fits)))


def _formed(trace: OrgStructureTrace, crew: Crew, fits: Mapping[str, fit.Fit]) -> Iterator[Signal]:
    """For each dimension that is off, the line of the roster that shows it best."""
    at = {one.agent_id: len(trace.observed_behaviors) + place for place, one in reversed([*enumerate(trace.agents)])}
    top = max(crew.agents, key=lambda one: WEIGHT[one.decision_authority]).agent_id
    widest = max(crew.reports, key=lambda boss: len(crew.reports[boss]), default="")
    crossing = [*crew.shared, *(one.agent_id for one in crew.agents if one.grouped_by == "matrix"), top]
    shown = {"centralization": top, "departmentalization": crossing[0], "hierarchy": crew.deepest or top}
    for label, own in fits.items():
        if not (own.under or own.over):
            continue
        claim = f"The roster ({counted(label, crew)}): {'too little' if own.under else 'too much'} {label}"
        claim += f" for a task of the class {trace.task_class}."
        who = crew.reports.get(widest, (top,))[0] if label == "span_of_control" else shown.get(label, top)
        line = next(one.line() for one in trace.agents if one.agent_id == who)
        yield Signal(label, claim, (at[who],), signs.first_line(line), round(min(0.8, own.gap), 4))


LABEL_OF: dict[str, str] = {label: label for label in DIMENSIONS} | {
    mode: label for mode, (label, _) in rules.MODES.items()
}


def seen_in(case: Case[OrgStructureTrace], crew: Crew) -> dict[str, fit.Fit]:
    """The dimensions as counted, moved by what words tell of them."""
    weights = signs.weigh(case.signals, rules.MODES)
    pushed: dict[tuple[str, str], float] = {(label, way): weights[mode] for mode, (label, way) in rules.MODES.items()}
    fits = measured(crew, targets_of(case.trace.task_class))
    for label, own in fits.items():
        more, less = pushed.get((label, "decrease"), 0.0), pushed.get((label, "increase"), 0.0)
        fits[label] = fit.Fit(fit.moved(own.observed, more, less).observed, own.target)
    return fits


def profile_of(fits: Mapping[str, fit.Fit], quality: str, biggest: str, task_class: str, archetype: str) -> Profile:
    """The contract's rules; the first that holds, those of the widest gap before the others."""
    if quality == "well-fit":
        return "well_fit"
    if fit.broad(fits) >= 4:
        return "broadly_misfit"
    levels, held, roles = fits["hierarchy"], fits["centralization"], fits["specialization"]
    rules: list[tuple[str, bool, Profile]] = [
        ("hierarchy", levels.under and task_class in texts.CRITICAL, "too_flat_for_critical_task"),
        ("hierarchy", levels.over and task_class in texts.CREATIVE, "too_hierarchical_for_creative"),
        ("centralization", held.over, "decision_bottleneck"),
        ("centralization", held.under, "no_clear_authority"),
        ("specialization", roles.over, "over_specialized"),
        ("specialization", roles.under, "under_specialized"),
        ("departmentalization", archetype == "matrix", "matrix_overhead"),
    ]
    holding = [(label, profile) for label, holds, profile in rules if holds]
    first = [profile for label, profile in holding if label == biggest] + [profile for _, profile in holding]
    return first[0] if first else "indeterminate"


def _judged(
    case: Case[OrgStructureTrace], answers: Answers, crew: Crew
) -> tuple[dict[str, fit.Fit], dict[str, signs.Judged]]:
    """The numbers, and for each what words, roster and a model tell of it."""
    fits, answer = seen_in(case, crew), cast("DimensionsAnswer | None", answers.get("dimensions"))
    heard = signs.assessed(case, LABEL_OF, {label: own.observed for label, own in fits.items()}, "")
    for label, own in heard.items():
        found = [one for one in answer.dimensions if one.dimension == label] if answer else []
        proofs = tuple(proof for one in found for proof in case.ground(one.evidence))
        if label == "formalization" and answer is not None:
            told = fit.Fit(answer.formalization, fits[label].target)
            if proofs or told.gap < fits[label].gap:
                fits[label] = told
        added = [one.explanation.strip() for one in found] if proofs else []
        base = own.explanation or f"{counted(label, crew).capitalize()}: nothing speaks against it for this task."
        heard[label] = signs.Judged(fits[label].observed, " ".join([base, *added]), (*own.proofs, *proofs))
    # Lines are rules too: half of how far work follows rules is how far it followed these.
    ways = [way for way, *_ in passes.contacts_of(case.aside(), answers, crew)]
    shown = {"formalization": fits["formalization"].observed}
    left = tested.borne(shown, ways, {"formalization": "along"})["formalization"]
    fits["formalization"] = fit.Fit(left, fits["formalization"].target)
    heard["formalization"] = msgspec.structs.replace(heard["formalization"], score=left)
    return fits, heard


def _fits(case: Case[OrgStructureTrace], answers: Answers) -> dict[str, fit.Fit]:
    """The fits between passes; quotations are counted in the conclusion and not here."""
    look = case.aside()
    return _judged(look, answers, survey(case.trace.agents))[0]


def misfits(case: Case[OrgStructureTrace], answers: Answers) -> bool:
    """A form that fits needs no change."""
    return fit.quality_of(fit.overall(_fits(case, answers).values())) != "well-fit"


def _numbers(case: Case[OrgStructureTrace], answers: Answers) -> str:
    fits = _fits(case, answers)
    return ", ".join(f"{label} {own.observed:.2f} against {own.target:.2f}" for label, own in fits.items())


def ask_dimensions(case: Case[OrgStructureTrace], answers: Answers) -> str:
    """The six, as computed."""
    trace = case.trace
    told = passes.ASK_DIMENSIONS.format(
        formalization=targets_of(trace.task_class)["formalization"],
        task_class=trace.task_class,
        told=_numbers(case, answers),
        archetype=archetype_of(survey(trace.agents)),
    )
    return told if case.mode != "quick" else f"{told}\n\n{passes.ASK_CHANGES}"


def ask_bottleneck(case: Case[OrgStructureTrace], answers: Answers) -> str:
    """For whom decisions wait; agents are named by the step of their entry, which stands inside the fence."""
    at = {one.agent_id: len(case.trace.observed_behaviors) + n for n, one in enumerate(case.trace.agents)}
    held = [at[one] for one in survey(case.trace.agents).bottlenecks if one in at]
    return passes.ASK_BOTTLENECK.format(named=f"the agent of {signs.listed(held)}" if held else "none stands out")


def ask_changes(case: Case[OrgStructureTrace], answers: Answers) -> str:
    """What to change, given the gaps."""
    return f"Observed against target: {_numbers(case, answers)}.\n\n{passes.ASK_CHANGES}"


def has_lines(case: Case[OrgStructureTrace], answers: Answers) -> bool:
    """Without a line on the roster, or a step to read, no contact can follow or pass one."""
    return bool(survey(case.trace.agents).reports) and bool(case.trace.observed_behaviors)


READ = Pass("dimensions", DimensionsAnswer, ask_dimensions)
WAIT = Pass("bottleneck", BottleneckAnswer, ask_bottleneck, misfits)
MEET = Pass("contacts", passes.ContactsAnswer, asks(passes.ASK_CONTACTS), has_lines)
CHANGE = Pass("interventions", ChangesAnswer, ask_changes, misfits)


def assess_offline(case: Case[OrgStructureTrace]) -> OrgStructureDetection:
    """From the roster, and words that tell what its form cost."""
    return conclude(case, {})


def _directed(label: Dimension, kind: Kind, direction: Direction, **told: Any) -> StructureIntervention:
    return StructureIntervention(label, kind, "redesign" if label == "departmentalization" else direction, **told)


def conclude(case: Case[OrgStructureTrace], answers: Answers) -> OrgStructureDetection:
    """The numbers, with the words and the grounded evidence of answers if there are any."""
    trace, crew = case.trace, survey(case.trace.agents)
    fits, told = _judged(case, answers, crew)
    whole, biggest, form = fit.overall(fits.values()), fit.widest(fits, fit.MARGIN), archetype_of(crew)
    quality = fit.quality_of(whole)
    profile = profile_of(fits, quality, biggest, trace.task_class, form)
    interventions: tuple[StructureIntervention, ...] = ()
    if quality != "well-fit":
        off = {label for label, own in fits.items() if own.gap >= fit.MARGIN}
        computed = fit.advised(_directed, fits, texts.ADVICE, {label: own.proofs for label, own in told.items()})
        interventions = talk.proposed(answers, "dimensions", texts.COMPOSITION, profile, off) or computed
    sure = signs.confidence(case.signals, len(case.reading.steps)) + (0.1 if "dimensions" in answers else 0.0)
    bottleneck, waited = _bottleneck(case, answers, crew, fits)
    contacts = passes.contacts_of(case, answers, crew)
    past = [(one, at, quote) for way, one, at, quote in contacts if way == "past"]
    if contacts:
        # A roster tells less of a crew that works past it.
        sure += 0.05 if 2 * len(past) <= len(contacts) else -0.1
    aside = (Evidence(f"{o.giver} turns to {o.taker} past the lines", (at,), quote) for o, at, quote in past)
    labels = {"profile_pattern": profile, "task_class": trace.task_class}
    payload = {"overall_fit": whole, "archetype": form, "biggest_gap": biggest}
    rows = ((label, fits[label], told[label]) for label in DIMENSIONS)
    return OrgStructureDetection(
        trace.task_class, form,
        tuple(
            DimensionFit(name, own.observed, own.target, own.fit, j.explanation, j.quotes[:6], round(sure, 2), own.risk)
            for name, own, j in rows
        ),
        whole, quality, cast("Gap", biggest), interventions, trace.crew_id, trace.success,
        banded(round(1 - whole, 9), signs.BANDS), profile,
        graph_of(crew, len(contacts), len(past)) if case.mode == "forensic" else None,
        bottleneck if case.mode == "forensic" else None,
        attached_playbooks=fit.playbooks_for(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload),
        evidence=signs.each_once([*(proof for label in DIMENSIONS for proof in told[label].proofs), *waited, *aside]),
        confidence=round(min(0.9, sure), 2),
    )  # fmt: skip


def _bottleneck(
    case: Case[OrgStructureTrace], answers: Answers, crew: Crew, fits: Mapping[str, fit.Fit]
) -> tuple[DecisionBottleneckAudit, tuple[Evidence, ...]]:
    """Whom a model names, where a step bears it out and the roster knows it, else the widest of the roster's."""
    answer = cast("BottleneckAnswer | None", answers.get("bottleneck"))
    proofs = case.ground(answer.evidence) if answer else ()
    agent = next(iter(crew.bottlenecks), None)
    said = "Its reports may decide nothing, or are more than seven." if agent else "No agent stands out on the roster."
    if answer and proofs and (answer.agent_id is None or answer.agent_id in crew.bosses):
        agent, said = answer.agent_id, answer.explanation.strip()
    hit = tuple(label for label in ("centralization", "hierarchy", "span_of_control") if fits[label].over)
    waits = any(one.name == "decision_bottleneck" for one in case.signals)
    risk: Risk = "low" if agent is None else "high" if waits or fits["centralization"].gap >= 0.5 else "medium"
    return DecisionBottleneckAudit(agent, hit if agent else (), risk, said), proofs


PATTERN = Pattern(
    name="org_structure", number=33, friendly="Org Structure Matrix", group="Module 3 / Organization",
    summary="Finds where the form of a crew (roles, rules, authority, levels, groups) does not fit its task.",
    framework=texts.FRAMEWORK, sources=texts.SOURCES, trace=OrgStructureTrace, detection=OrgStructureDetection,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("dimensions", QuickAnswer, ask_dimensions),),
        "standard": (READ, CHANGE),
        "forensic": (READ, WAIT, MEET, CHANGE),
    },
    # An intervention's direction is part of its key here.
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=cast("Any", texts.ATTACH), composition=texts.COMPOSITION,
    non_blank=("task", "outcome"),
)  # fmt: skip
