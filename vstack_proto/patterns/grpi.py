"""GRPI: a working agreement for a team of agents, and what its request leaves open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from vstack_proto.errors import TraceNotReadable
from vstack_proto.patterns import grpi_texts as texts
from vstack_proto.patterns import signs
from vstack_proto.patterns.common import (
    Answers,
    Case,
    Detection,
    Fault,
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
    known = signs.seen_too(canonical)
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
    return Reading(tuple(facts), (*signs.observed(trace.metadata), *lines))


def preconditions(trace: TeamSetupRequest) -> Iterable[Fault]:
    """A team whose members can be told apart."""
    if len(trace.agents) < 2:
        yield Fault("/agents", f"must hold 2 or more, got {len(trace.agents)}")
    seen: set[str] = set()
    for number, agent in enumerate(trace.agents):
        if agent.name in seen:
            yield Fault(f"/agents/{number}/name", f"must be unique, {agent.name!r} is taken")
        seen.add(agent.name)


def plain(text: str) -> str:
    """A text to compare by: case and space do not matter."""
    return " ".join(text.lower().split())


def shared(trace: TeamSetupRequest, field: str) -> dict[str, list[int]]:
    """What two agents or more name as theirs, with the positions of those agents."""
    holders: dict[str, list[int]] = {}
    for number, agent in enumerate(trace.agents):
        for name in dict.fromkeys(map(plain, getattr(agent, field))):
            holders.setdefault(name, []).append(number)
    return {name: told for name, told in holders.items() if name and len(told) > 1}


def signals(trace: TeamSetupRequest, reading: Reading) -> tuple[Signal, ...]:
    """Named by failure mode: vague words, criteria that nobody can check, rights and pieces with no owner or two."""
    first = len(signs.observed(trace.metadata))
    # What a run said is no term of its team.
    found = [one for one in signs.find(reading, texts.RULES) if one.steps[0] >= first]
    for number, step in enumerate(reading.steps[first:], first):
        if step.kind == "success criterion" and not texts.CHECKABLE.search(step.content):
            claim = f"Step {number}: a criterion without a number, a test or a judge."
            found.append(Signal("no_measurable_criteria", claim, (number,), signs.first_line(step.content), 0.4))
    found += _of_roles(trace, first + 1)
    return signs.strongest(signal for signal in found if len(signal.quote.strip()) >= 3)


RIVALS = (("decision_rights", "ambiguous_decision_rights"), ("deliverables", "overlapping_responsibilities"))


def _of_roles(trace: TeamSetupRequest, first: int) -> Iterator[Signal]:
    for number, agent in enumerate(trace.agents, first):
        if not agent.decision_rights:
            claim = f"Step {number}: what {agent.name} may decide is not said."
            yield Signal("ambiguous_decision_rights", claim, (number,), f"decides: {texts.NOTHING}", 0.35)
    for field, mode in RIVALS:
        for name, told in list(shared(trace, field).items())[: signs.MAX_OF_A_RULE]:
            quote = next(one for one in getattr(trace.agents[told[0]], field) if plain(one) == name)
            who = ", ".join(trace.agents[at].name for at in told[:6])
            yield Signal(mode, f"{who} each name {name!r} as theirs.", (first + told[0],), quote, 0.5)
    held = Counter({at: len(agent.deliverables) for at, agent in enumerate(trace.agents)})
    most, number = held.most_common(1)[0]
    if number >= 4 and number > 0.6 * held.total():
        claim = f"{trace.agents[most].name} delivers {number} of {held.total()} pieces."
        quote = f"delivers: {', '.join(trace.agents[most].deliverables)}"[: signs.QUOTE_CHARS]
        yield Signal("single_agent_overload", claim, (first + most,), quote, 0.4)


def merged(*lists: Iterable[str]) -> tuple[str, ...]:
    """The lines that say something, each once, in order."""
    return tuple(dict.fromkeys(one.strip() for told in lists for one in told if one.strip()))


def goals_of(trace: TeamSetupRequest, answer: texts.AgreementAnswer | None) -> texts.GoalsSection:
    """What the request states holds; an answer adds to it."""
    told = answer.goals if answer else texts.GoalsSection("", ())
    delivered = (one for agent in trace.agents for one in agent.deliverables)
    return texts.GoalsSection(
        told.primary_goal.strip() or trace.task.strip(),
        merged(trace.success_criteria, told.measurable_success_criteria),
        merged(trace.constraints, told.scope_boundaries), merged(delivered, told.deliverables),
        merged(trace.kill_criteria, told.kill_criteria),
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
        work = merged(given.responsibilities) or merged((agent.description,), agent.deliverables)
        rights = merged(agent.decision_rights, given.decision_rights)
        owned = merged(agent.deliverables, given.accountability_owner_for)
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
        merged(told.escalation_path) or ("The owner of the piece", *deciding[:3], texts.LAST_RESORT),
        merged(trace.kill_criteria, told.abandonment_criteria or texts.ABANDON),
        told.communication_cadence.strip() or texts.CADENCE[trace.risk_level],
        told.review_cadence.strip() or texts.REVIEW[trace.risk_level],
        told.artifact_storage.strip(),
    )


def interactions_of(answer: texts.AgreementAnswer | None) -> texts.InteractionsSection:
    """An answer's terms, else terms that hold for any team."""
    told = answer.interactions if answer else texts.InteractionsSection((), "", "")
    return texts.InteractionsSection(
        merged(told.disagreement_norms) or texts.DISAGREEMENT,
        told.feedback_format.strip() or texts.FEEDBACK,
        told.conflict_resolution.strip() or texts.CONFLICT,
        merged(told.voice_and_turn_taking) or texts.TURNS,
        merged(told.psychological_safety_commitments) or texts.SAFETY,
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


def remedies(case: Case[TeamSetupRequest], gaps: Iterable[str]) -> tuple[GrpiIntervention, ...]:
    """What each gap calls for, goals first; a kind of change once."""
    books = {book.failure_mode: book for book in texts.PLAYBOOKS}
    seen, chosen = signs.by_label(case.signals), dict[str, GrpiIntervention]()
    for mode in sorted(gaps, key=list(texts.ADVICE).index):
        dimension, kind, what = texts.ADVICE[mode]
        why = seen[mode][0].claim if mode in seen else f"The request states none: {mode.replace('_', ' ')}."
        steps, effort = " ".join(books[mode].steps), books[mode].expected_effort
        chosen.setdefault(kind, GrpiIntervention(dimension, kind, what, steps, "high", why, effort, "low"))
    return tuple(chosen.values())


def is_incomplete(case: Case[TeamSetupRequest], answers: Answers) -> bool:
    """Nothing is to be changed of a clear request with a complete agreement."""
    told = agreement_of(case.trace, answers.get("agreement"))
    return told.profile_pattern != "complete_balanced" or bool(case.signals)


def ask_changes(case: Case[TeamSetupRequest], answers: Answers) -> str:
    """What to change, with the agreement as computed."""
    told = agreement_of(case.trace, answers.get("agreement"))
    gaps = ", ".join(gaps_of(case, told, False)) or "none"
    found = texts.ASK_GAPS.format(score=told.completeness_score, profile=told.profile_pattern, gaps=gaps)
    return found + texts.ASK_CHANGES


WRITE = Pass("agreement", texts.AgreementAnswer, lambda case, answers: texts.TASK)
WHOLE = Pass("agreement", texts.StandardAnswer, lambda case, answers: texts.ASK_STANDARD)
ROLES = Pass("roles", texts.RolesAnswer, lambda case, answers: texts.ASK_ROLES)
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
    composed = next(iter(texts.COMPOSITION.downstream["profile_pattern"][told.profile_pattern]), None)
    proposed = getattr(answers.get("interventions", answer), "interventions", ())
    interventions = signs.adopted(proposed, texts.COMPOSITION, composed)
    interventions = interventions or remedies(case, gaps_of(case, told, answer is not None))
    pairs = [(one.target_dimension, one.intervention_type) for one in interventions]
    added = case.ground(proof for one in (answer, roles) if one for proof in one.evidence)
    labels, payload = {"profile_pattern": told.profile_pattern}, {"completeness_score": told.completeness_score}
    sure = 0.3 + 0.4 * stated(trace) + (0.15 if answer else 0.0) + 0.02 * len(added)
    return msgspec.structs.replace(
        told, role_fit_audits=fits_of(trace, roles) if forensic else (),
        dysfunction_prevention=prevention_of(told) if forensic else None, interventions=interventions,
        attached_playbooks=attach_playbooks(texts.PLAYBOOKS, texts.ATTACH, pairs),
        composition_handoff=texts.COMPOSITION.handoff(labels, trace.framework, payload),
        evidence=signs.each_once([*case.evidence_of_signals(), *added]), confidence=round(min(0.9, sure), 2),
    )  # fmt: skip


def stated(trace: TeamSetupRequest) -> float:
    """How much of an agreement the request itself gives, from 0 to 1."""
    agents = [bool(part) for one in trace.agents for part in (one.description, one.decision_rights, one.deliverables)]
    return (bool(trace.success_criteria) + bool(trace.kill_criteria) + 3 * sum(agents) / len(agents)) / 5


def fits_of(trace: TeamSetupRequest, answer: texts.RolesAnswer | None) -> tuple[texts.RoleFitAudit, ...]:
    """Each agent's fit, less what its entry does not say and what others claim too; an answer adds words."""
    notes = {one.agent_name: one for one in answer.agents} if answer else {}
    rights, work = shared(trace, "decision_rights"), shared(trace, "deliverables")
    audits = []
    for number, agent in enumerate(trace.agents):
        unsure = [name for name, holders in rights.items() if number in holders]
        double = [name for name, holders in work.items() if number in holders]
        parts = (agent.description.strip(), agent.decision_rights, agent.deliverables)
        names = ("description", "decision rights", "deliverables")
        lacking = [name for name, held in zip(names, parts, strict=True) if not held]
        fit = max(0.0, 1 - 0.2 * len(lacking) - 0.15 * min(2, len(unsure) + len(double)))
        note = notes.get(agent.name, texts.RoleNote(agent.name, (), (), ""))
        gaps = f"Not stated: {', '.join(lacking)}." if lacking else ""
        said = f"{note.notes.strip()} {gaps}".strip()
        unsure, double = [*unsure, *note.ambiguous_decision_rights], [*double, *note.overlapping_responsibilities]
        audits.append(texts.RoleFitAudit(agent.name, round(fit, 4), merged(unsure), merged(double), said))
    return tuple(audits)


def prevention_of(told: WorkingAgreement) -> texts.DysfunctionPrevention:
    """A term counts against the dysfunction that it answers: safety, disagreement, decision, ownership, results."""
    roles = told.roles.role_assignments
    terms = {
        "absence of trust": told.interactions.psychological_safety_commitments,
        "fear of conflict": told.interactions.disagreement_norms and told.interactions.conflict_resolution,
        "lack of commitment": told.goals.primary_goal and told.processes.decision_protocol,
        "avoidance of accountability": all(one.accountability_owner_for for one in roles),
        "inattention to results": told.goals.measurable_success_criteria and told.goals.kill_criteria,
    }
    trust, conflict, commitment, accountability, results = (bool(term) for term in terms.values())
    missing = ", ".join(name for name, term in terms.items() if not term)
    note = f"No term against: {missing}." if missing else "Each dysfunction meets a term."
    return texts.DysfunctionPrevention(trust, conflict, commitment, accountability, results, note)


PATTERN = Pattern(
    name="grpi", number=13, friendly="GRPI Working Agreement", group="Module 2 / Team",
    summary="Writes a team's working agreement (goals, roles, processes, interactions) and finds what it leaves open.",
    framework=texts.FRAMEWORK, sources=SOURCES, trace=TeamSetupRequest, detection=WorkingAgreement,
    from_trace=from_trace, read=read, signals=signals, assess_offline=assess_offline,
    passes={"quick": (WRITE,), "standard": (WHOLE,), "forensic": (WRITE, ROLES, CHANGES)},
    conclude=conclude, playbooks=texts.PLAYBOOKS, attach=texts.ATTACH, composition=texts.COMPOSITION,
    non_blank=("task",), preconditions=preconditions,
)  # fmt: skip
