"""What forensic mode adds to a working agreement: each role's fit, and what it would stop if it were tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from vstack_proto.patterns import grpi_texts as texts
from vstack_proto.patterns.common import Case, Evidence
from vstack_proto.patterns.grpi_signs import merged, plain, shared
from vstack_proto.patterns.grpi_texts import AgentSpec, DysfunctionPrevention


def fits_of(agents: Sequence[AgentSpec], answer: texts.RolesAnswer | None) -> tuple[texts.RoleFitAudit, ...]:
    """Each agent's fit, less what its entry does not say and what others claim too; an answer adds words."""
    notes = {one.agent_name: one for one in answer.agents} if answer else {}
    rights, work = shared(agents, "decision_rights"), shared(agents, "deliverables")
    audits = []
    for number, agent in enumerate(agents):
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


class Agreed(Protocol):
    """An agreement's four sections."""

    @property
    def goals(self) -> texts.GoalsSection: ...
    @property
    def roles(self) -> texts.RolesSection: ...
    @property
    def processes(self) -> texts.ProcessesSection: ...
    @property
    def interactions(self) -> texts.InteractionsSection: ...


def added(told: Agreed, request: Iterable[str]) -> tuple[str, ...]:
    """The terms that the request does not state itself."""
    goals, processes, norms = told.goals, told.processes, told.interactions
    deciding = (f"{one.agent_name} decides: {right}" for one in told.roles.role_assignments
        for right in one.decision_rights)  # fmt: skip
    terms = merged(
        goals.measurable_success_criteria, goals.scope_boundaries, goals.kill_criteria, deciding,
        (processes.decision_protocol,), processes.escalation_path, processes.abandonment_criteria,
        (processes.communication_cadence, processes.review_cadence), norms.disagreement_norms,
        (norms.feedback_format, norms.conflict_resolution), norms.voice_and_turn_taking,
        norms.psychological_safety_commitments,
    )  # fmt: skip
    stated = set(map(plain, request))
    return tuple(term for term in terms if plain(term.partition(" decides: ")[2] or term) not in stated)


def ask_rehearsal(told: Agreed, request: Iterable[str]) -> str:
    """What would happen under this agreement."""
    return texts.ASK_REHEARSAL.format(terms="\n".join(f"- {term}" for term in added(told, request)) or "- nothing")


def unmet(case: Case[Any], answer: texts.RehearsalAnswer | None) -> dict[texts.Dysfunction, tuple[str, Evidence]]:
    """The dysfunctions that no term would stop, what would happen, and the line where it would begin, if it stands."""
    found: dict[texts.Dysfunction, tuple[str, Evidence]] = {}
    for one in answer.dysfunctions if answer else ():
        stands = () if one.holds else case.ground(one.evidence)
        if stands:
            found.setdefault(one.dysfunction, (one.claim.strip(), stands[0]))
    return found


def prevention_of(told: Agreed, failing: Mapping[texts.Dysfunction, tuple[str, Evidence]]) -> DysfunctionPrevention:
    """A term counts against the dysfunction that it answers, unless a rehearsal shows that it would not stop it."""
    roles = told.roles.role_assignments
    terms: dict[texts.Dysfunction, object] = {
        "absence of trust": told.interactions.psychological_safety_commitments,
        "fear of conflict": told.interactions.disagreement_norms and told.interactions.conflict_resolution,
        "lack of commitment": told.goals.primary_goal and told.processes.decision_protocol,
        "avoidance of accountability": all(one.accountability_owner_for for one in roles),
        "inattention to results": told.goals.measurable_success_criteria and told.goals.kill_criteria,
    }
    met = (bool(term) and name not in failing for name, term in terms.items())
    trust, conflict, commitment, accountability, results = met
    missing = ", ".join(name for name, term in terms.items() if not term)
    note = f"No term against: {missing}." if missing else "Each dysfunction meets a term."
    note += "".join(f" {name.capitalize()}: {claim}" for name, (claim, _) in failing.items())
    return DysfunctionPrevention(trust, conflict, commitment, accountability, results, note)
