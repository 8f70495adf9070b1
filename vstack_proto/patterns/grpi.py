"""GRPI: a working agreement for a team of agents, and what its request leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import grpi_audits as audits
from vstack_proto.patterns import grpi_signs as words
from vstack_proto.patterns import grpi_texts as texts
from vstack_proto.patterns import observed, signs, talk
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Detection,
    Evidence,
    Fault,
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
    asks,
    attach_playbooks,
    banded,
)
from vstack_proto.patterns.grpi_texts import AgentSpec, GrpiIntervention, RoleAssignment
from vstack_proto.trace import AgentInfo, CanonicalTrace

SOURCES = (
    Source("Beckhard, R.", "1972", "Optimizing Team-Building Effort"),
    Source("Rubin, I. M.; Plovnick, M. S.; Fry, R. E.", "1977", "Task-Oriented Team Development"),
    Source("Edmondson, A. C.", "1999", "Psychological Safety and Learning Behavior in Work Teams"),
    Source("Hackman, J. R.", "2002", "Leading Teams"),
    Source("Lencioni, P.", "2002", "The Five Dysfunctions of a Team"),
    Source("Salas, E. et al.", "2018", "The Science of Team Performance"),
)

Profile = Literal[
    "complete_balanced", "weak_goals", "weak_roles", "weak_processes", "weak_interactions", "missing_kill_criteria",
    "missing_escalation_path", "ambiguous_decision_rights", "single_agent_team", "framework_misfit", "indeterminate",
]  # fmt: skip


class TeamSetupRequest(msgspec.Struct, frozen=True):
    """A team, before it starts."""

    task: str
    agents: tuple[AgentSpec, ...]
    team_id: str | None = None
    constraints: tuple[str, ...] = ()
    success_criteria: tuple[str, ...] = ()
    kill_criteria: tuple[str, ...] = ()
    framework: str | None = None
    risk_level: Risk = "medium"
    metadata: dict[str, Any] = {}


class WorkingAgreement(Detection, frozen=True):
    """The agreement, and how complete it is."""

    task: str
    goals: texts.GoalsSection
    roles: texts.RolesSection
    processes: texts.ProcessesSection
    interactions: texts.InteractionsSection
    team_id: str | None = None
    framework: str | None = None
    completeness_score: Share = 0.0
    severity: Severity = "moderate"
    profile_pattern: Profile = "indeterminate"
    role_fit_audits: tuple[texts.RoleFitAudit, ...] = ()
    dysfunction_prevention: texts.DysfunctionPrevention | None = None
    interventions: tuple[GrpiIntervention, ...] = ()
    baseline: texts.AgreementBaseline | None = None
    attached_playbooks: tuple[texts.GrpiPlaybook, ...] = ()


def from_trace(canonical: CanonicalTrace) -> TeamSetupRequest:
    """The team of a run, as its roster states it: agents as objects, or ``metadata["agents"]`` of the contract.

    ``metadata`` may hold the other fields of the contract too. The steps are kept in the metadata of the request read,
    so that step i stays step i; the lines of the request follow them.
    """
    names = ("agents", "team_id", "constraints", "success_criteria", "kill_criteria", "risk_level")
    held = signs.carried(canonical.metadata, TeamSetupRequest, *names)
    infos = [one for one in canonical.agents if isinstance(one, AgentInfo)]
    agents = held.pop("agents", None) or tuple(AgentSpec(i.agent_id, i.role_name, _rights(i)) for i in infos)
    if len({agent.name for agent in agents}) < max(2, len(agents)):
        wanted = "2 or more `agents` with names of their own, as objects {agent_id, role_name, decision_authority}"
        raise TraceNotReadable(f"grpi needs to know what each agent is for: {wanted}, or in `metadata` by the contract")
    known = observed.with_steps(canonical)
    return TeamSetupRequest(canonical.goal, agents, framework=canonical.framework, metadata=known, **held)


def _rights(info: AgentInfo) -> tuple[str, ...]:
    held = (info.decision_authority or "none").strip().lower()
    return () if held in ("", "none") else (f"{held} authority over its own work",)


def read(trace: TeamSetupRequest) -> Reading:
    """What else was observed, then the request line by line: the task, its agents, criteria and constraints."""
    facts = [("agents", ", ".join(agent.name for agent in trace.agents)), ("risk level", trace.risk_level)]
    facts += [(name, told) for name, told in (("team", trace.team_id), ("framework", trace.framework)) if told]
    lines = [Step("request", "task", trace.task), *(Step(a.name, "agent", a.line()) for a in trace.agents)]
    stated = (trace.success_criteria, trace.kill_criteria, trace.constraints)
    for kind, told in zip(("success criterion", "kill criterion", "constraint"), stated, strict=True):
        lines += [Step("request", kind, one) for one in told]
    return Reading(tuple(facts), (*observed.kept_steps(trace.metadata), *lines))


def preconditions(trace: TeamSetupRequest) -> Iterable[Fault]:
    """A team whose members can be told apart."""
    if len(trace.agents) < 2:
        yield Fault("/agents", f"must hold 2 or more, got {len(trace.agents)}")
    seen: set[str] = set()
    for number, agent in enumerate(trace.agents):
        if agent.name in seen:
            yield Fault(f"/agents/{number}/name", f"must be unique, {agent.name!r} is taken")
        seen.add(agent.name)


def signals(trace: TeamSetupRequest, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: vague words, criteria that nobody can check, rights and pieces with no owner or two."""
    first = len(observed.kept_steps(trace.metadata))
    # What a run said is no term of its team.
    found = [one for one in signs.find(reading, words.RULES) if one.steps[0] >= first]
    for number, step in enumerate(reading.steps[first:], first):
        if step.kind == "success criterion" and not words.CHECKABLE.search(step.content):
            claim = f"Step {number}: a criterion without a number, a test or a judge."
            found.append(Signal("no_measurable_criteria", claim, (number,), signs.first_line(step.content), 0.4))
    found += words.of_roles(trace.agents, first + 1)
    return signs.strongest(signal for signal in found if len(signal.quote.strip()) >= 3)


def goals_of(trace: TeamSetupRequest, answer: texts.AgreementAnswer | None) -> texts.GoalsSection:
    """What the request states holds; an answer adds to it."""
    told = answer.goals if answer else texts.GoalsSection("", ())
    delivered = (one for agent in trace.agents for one in agent.deliverables)
    return texts.GoalsSection(
        told.primary_goal.strip() or trace.task.strip(),
        words.merged(trace.success_criteria, told.measurable_success_criteria),
        words.merged(trace.constraints, told.scope_boundaries), words.merged(delivered, told.deliverables),
        words.merged(trace.kill_criteria, told.kill_criteria),
    )  # fmt: skip


def roles_of(trace: TeamSetupRequest, answer: texts.AgreementAnswer | None) -> texts.RolesSection:
    """One assignment for each agent of the request, in its order; nobody else gets one."""
    told: dict[str, RoleAssignment] = {}
    for one in answer.roles.role_assignments if answer else ():
        told.setdefault(one.agent_name, one)
    roles = []
    for agent in trace.agents:
        given = told.get(agent.name, RoleAssignment(agent.name, "", (), ()))
        title = given.role_title.strip() or agent.description.strip() or agent.name
        work = words.merged(given.responsibilities) or words.merged((agent.description,), agent.deliverables)
        rights = words.merged(agent.decision_rights, given.decision_rights)
        owned = words.merged(agent.deliverables, given.accountability_owner_for)
        roles.append(RoleAssignment(agent.name, title, work, rights, owned))
    owners = (f"{one.agent_name} answers for {', '.join(one.accountability_owner_for)}" for one in roles
        if one.accountability_owner_for)  # fmt: skip
    summary = answer.roles.raci_summary.strip() if answer else ""
    return texts.RolesSection(tuple(roles), summary or "; ".join(owners))


def processes_of(trace: TeamSetupRequest, answer: texts.AgreementAnswer | None) -> texts.ProcessesSection:
    """An answer's terms, else terms that hold for any team, by the risk of this one."""
    told = answer.processes if answer else texts.ProcessesSection("", (), (), "")
    deciding = [f"{one.name}, for: {', '.join(one.decision_rights)}" for one in trace.agents if one.decision_rights]
    return texts.ProcessesSection(
        told.decision_protocol.strip() or texts.PROTOCOL,
        words.merged(told.escalation_path) or ("The owner of the piece", *deciding[:3], texts.LAST_RESORT),
        words.merged(trace.kill_criteria, told.abandonment_criteria or texts.ABANDON),
        told.communication_cadence.strip() or texts.CADENCE[trace.risk_level],
        told.review_cadence.strip() or texts.REVIEW[trace.risk_level],
        told.artifact_storage.strip(),
    )


def interactions_of(answer: texts.AgreementAnswer | None) -> texts.InteractionsSection:
    """An answer's terms, else terms that hold for any team."""
    told = answer.interactions if answer else texts.InteractionsSection((), "", "")
    return texts.InteractionsSection(
        words.merged(told.disagreement_norms) or texts.DISAGREEMENT,
        told.feedback_format.strip() or texts.FEEDBACK,
        told.conflict_resolution.strip() or texts.CONFLICT,
        words.merged(told.voice_and_turn_taking) or texts.TURNS,
        words.merged(told.psychological_safety_commitments) or texts.SAFETY,
    )


def agreement_of(trace: TeamSetupRequest, answer: texts.AgreementAnswer | None) -> WorkingAgreement:
    """The four sections with the computed score and labels."""
    parts = (goals_of(trace, answer), roles_of(trace, answer), processes_of(trace, answer), interactions_of(answer))
    bare = WorkingAgreement(trace.task, *parts, trace.team_id, trace.framework)
    score = completeness(bare)
    # The contract's bands are of what is missing.
    severity = banded(1 - score, signs.BANDS)
    bare = msgspec.structs.replace(bare, completeness_score=score, severity=severity)
    return msgspec.structs.replace(bare, profile_pattern=profile_of(trace, bare))


def completeness(told: WorkingAgreement) -> float:
    """The contract's sum of what is there."""
    goals, roles, processes, interactions = told.goals, told.roles, told.processes, told.interactions
    assigned = roles.role_assignments
    with_rights = sum(bool(one.decision_rights) for one in assigned) / max(1, len(assigned))
    parts = (
        (0.05, goals.primary_goal), (0.10, goals.measurable_success_criteria), (0.10, goals.kill_criteria),
        (0.10, assigned), (0.10 * with_rights, True), (0.05, roles.raci_summary), (0.05, processes.decision_protocol),
        (0.10, processes.escalation_path), (0.10, processes.abandonment_criteria),
        (0.05, processes.communication_cadence), (0.05, interactions.disagreement_norms),
        (0.05, interactions.feedback_format), (0.10, interactions.psychological_safety_commitments),
    )  # fmt: skip
    return min(1.0, round(sum(worth for worth, part in parts if part), 4))


def profile_of(trace: TeamSetupRequest, told: WorkingAgreement) -> Profile:
    """The contract's rules; the first that holds."""
    roles = told.roles.role_assignments
    rules: tuple[tuple[bool, Profile], ...] = (
        (len(roles) < 2, "single_agent_team"),
        (not told.goals.kill_criteria, "missing_kill_criteria"),
        (not told.processes.escalation_path, "missing_escalation_path"),
        (not all(one.decision_rights for one in roles), "ambiguous_decision_rights"),
        (not told.goals.measurable_success_criteria, "weak_goals"),
        (not told.processes.decision_protocol, "weak_processes"),
        (not told.interactions.disagreement_norms, "weak_interactions"),
        (bool(trace.framework) and not told.framework, "framework_misfit"),
        (told.completeness_score >= 0.85, "complete_balanced"),
    )
    return next((profile for holds, profile in rules if holds), "indeterminate")


def gaps_of(case: Case[TeamSetupRequest], told: WorkingAgreement, written: bool) -> tuple[str, ...]:
    """Failure modes that are left; where a model wrote the agreement, what was unclear before it is settled."""
    goals, decided = told.goals, all(one.decision_rights for one in told.roles.role_assignments)
    checks = (goals.measurable_success_criteria, goals.kill_criteria, decided)
    modes = ("no_measurable_criteria", "missing_kill_criteria", "ambiguous_decision_rights")
    lacking = [mode for mode, held in zip(modes, checks, strict=True) if not held]
    return tuple(dict.fromkeys(lacking if written else [*lacking, *(one.name for one in case.signals)]))


Failing = Mapping[texts.Dysfunction, tuple[str, Evidence]]


def remedies(case: Case[TeamSetupRequest], gaps: Iterable[str], failing: Failing) -> tuple[GrpiIntervention, ...]:
    """What each gap calls for, goals first, then each dysfunction that no term would stop; a kind of change once."""
    books = {book.failure_mode: book for book in texts.PLAYBOOKS}
    seen, chosen = signs.by_label(case.signals), dict[str, GrpiIntervention]()
    for mode in sorted(gaps, key=list(texts.ADVICE).index):
        dimension, kind, what = texts.ADVICE[mode]
        why = seen[mode][0].claim if mode in seen else f"The request states none: {mode.replace('_', ' ')}."
        chosen.setdefault(kind, _change(dimension, kind, what, books[mode], why, "high"))
    for name, (claim, _) in failing.items():
        dimension, kind, mode = texts.STOPS[name]
        what = f"Add a term that stops {name}."
        chosen.setdefault(kind, _change(dimension, kind, what, books[mode], claim, "medium"))
    return tuple(chosen.values())


def _change(
    dimension: texts.Dimension, kind: texts.Kind, what: str, book: texts.GrpiPlaybook, why: str, impact: Level
) -> GrpiIntervention:
    return GrpiIntervention(
        dimension, kind, description=what, suggested_implementation=" ".join(book.steps), estimated_impact=impact,
        rationale=why, effort_estimate=book.expected_effort, risk="low",
    )  # fmt: skip


def is_incomplete(case: Case[TeamSetupRequest], answers: Answers) -> bool:
    """Nothing is to be changed of a clear request with a complete agreement."""
    told = agreement_of(case.trace, answers.get("agreement"))
    failing = audits.unmet(case.aside(), answers.get("rehearsal"))
    return told.profile_pattern != "complete_balanced" or bool(case.signals or failing)


def ask_rehearsal(case: Case[Any], answers: Answers) -> str:
    """What the agreement would stop."""
    trace = case.trace
    request = [trace.task, *trace.success_criteria, *trace.kill_criteria, *trace.constraints]
    request += [line for agent in trace.agents for line in (*agent.decision_rights, *agent.deliverables)]
    return audits.ask_rehearsal(agreement_of(trace, answers.get("agreement")), request)


def ask_changes(case: Case[Any], answers: Answers) -> str:
    """What to change, with the agreement as computed."""
    told = agreement_of(case.trace, answers.get("agreement"))
    failing = audits.unmet(case.aside(), answers.get("rehearsal"))
    gaps = ", ".join([*gaps_of(case, told, False), *failing]) or "none"
    found = texts.ASK_GAPS.format(score=told.completeness_score, profile=told.profile_pattern, gaps=gaps)
    return found + texts.ASK_CHANGES


WRITE = Pass("agreement", texts.AgreementAnswer, asks(texts.TASK))
ROLES = Pass("roles", texts.RolesAnswer, asks(texts.ASK_ROLES))
REHEARSE = Pass("rehearsal", texts.RehearsalAnswer, ask_rehearsal)
CHANGES = Pass("interventions", texts.RemedyAnswer, ask_changes, is_incomplete)


def assess_offline(case: Case[TeamSetupRequest]) -> WorkingAgreement:
    """What the request states, and terms that hold for any team; nothing is made up where it is silent on its goal."""
    return conclude(case, {})


def conclude(case: Case[TeamSetupRequest], answers: Answers) -> WorkingAgreement:
    """The agreement of the request and an answer if there is one; score, labels and audits are computed."""
    trace, forensic = case.trace, case.mode == "forensic"
    answer: texts.AgreementAnswer | None = answers.get("agreement")
    roles: texts.RolesAnswer | None = answers.get("roles")
    told = agreement_of(trace, answer)
    interventions = talk.proposed(answers, "agreement", texts.COMPOSITION, told.profile_pattern)
    failing = audits.unmet(case, answers.get("rehearsal"))
    interventions = interventions or remedies(case, gaps_of(case, told, answer is not None), failing)
    added = case.ground(proof for one in (answer, roles) if one for proof in one.evidence)
    added = (*added, *(proof for _, proof in failing.values()))
    labels, payload = {"profile_pattern": told.profile_pattern}, {"completeness_score": told.completeness_score}
    sure = 0.3 + 0.4 * stated(trace) + (0.15 if answer else 0.0) + 0.02 * len(added)
    return msgspec.structs.replace(
        told, role_fit_audits=audits.fits_of(trace.agents, roles) if forensic else (),
        dysfunction_prevention=audits.prevention_of(told, failing) if forensic else None, interventions=interventions,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, interventions),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload),
        evidence=signs.each_once([*case.evidence_of_signals(), *added]), confidence=round(min(0.9, sure), 2),
    )  # fmt: skip


def stated(trace: TeamSetupRequest) -> float:
    """How much of an agreement the request itself gives, from 0 to 1."""
    agents = [bool(part) for one in trace.agents for part in (one.description, one.decision_rights, one.deliverables)]
    return (bool(trace.success_criteria) + bool(trace.kill_criteria) + 3 * sum(agents) / len(agents)) / 5


PATTERN = Pattern(
    name="grpi", number=13, friendly="GRPI Working Agreement", group="Module 2 / Team",
    summary="Writes a team's working agreement (goals, roles, processes, interactions) and finds what it leaves open.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=TeamSetupRequest, detection=WorkingAgreement,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={
        "quick": (Pass("agreement", texts.QuickAnswer, asks(texts.ASK_ALL)),),
        "standard": (WRITE, CHANGES),
        "forensic": (WRITE, ROLES, REHEARSE, CHANGES),
    },
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("task",), preconditions=preconditions,
)  # fmt: skip
