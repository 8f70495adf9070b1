"""GRPI in words: the framework, what is asked and answered, terms that hold where nothing is said, and playbooks."""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Evidence, Share

Dimension = Literal["goals", "roles", "processes", "interactions"]
Kind = Literal[
    "tighten_goals", "clarify_roles", "tighten_processes", "strengthen_interactions", "add_kill_criteria",
    "add_escalation_path", "disambiguate_decision_rights", "scope_to_framework", "new_eval", "human_review",
    "compose_pattern",
]  # fmt: skip


FRAMEWORK = """\
Beckhard: teams work on four things, and trouble in one usually comes from the one before it: Goals, Roles, Processes, \
Interactions. Rubin, Plovnick and Fry found that most quarrels between members are unclear goals, roles or procedures \
in disguise; so the order is to be kept, and manners are the last thing to mend.

A working agreement of agents says, before the first step:
- goals: one aim in one sentence, criteria that a script or a person can check, what is out of scope, and when to \
stop (kill criteria: a number or an event, not "if it fails");
- roles: for each agent what it does, what it may decide alone, and what it answers for; no piece with two owners or \
none (Hackman);
- processes: how decisions fall, to whom a blocked agent turns and in what order, when a path is given up, when \
results are shown;
- interactions: how to disagree (with a reason and an alternative), how feedback is worded, who breaks a tie, and that \
admitting doubt or error costs nothing (Edmondson).

It must not be confused with a plan (who does which step when) or with a prompt. A deliverable is no decision right. \
Terms that would fit any team bind nobody: each should name agents, files, numbers or events of this request. What the \
request states holds and is not to be softened; where it is silent, propose, and keep it small: a term nobody will \
check does harm."""

TASK = """\
Write the working agreement for the team in the request, all four sections. Keep every criterion, kill criterion, \
constraint, deliverable and decision right that the request states; add what it lacks. Give each agent of the request \
exactly one assignment under its exact name, with at least one decision right, and each deliverable exactly one \
accountable owner. Escalation paths are ordered and end with a person. Fit the cadence to the risk level. In evidence \
quote the lines of the request that are vague, missing something or at odds with each other, each with why it matters; \
none where the request is clear."""
ASK_CHANGES = """\
Propose at most five changes of the request or the agreement, what would hurt first comes first, and none where it is \
sound: goals before roles, roles before processes, processes before interactions. Say exactly which line to add or \
change, in words ready to paste."""
ASK_ALL = f"{TASK}\n\n{ASK_CHANGES}"
ASK_GAPS = "The agreement so far: completeness {score:g}, profile {profile}; gaps: {gaps}.\n\n"
ASK_ROLES = """\
Look at the roles of the request one agent at a time: does what it may decide reach as far as what it must deliver? \
List, per agent, decision rights that can be read in two ways or that another agent could claim, and work that another \
agent's description covers as well; say what will happen when the two meet. Quote the lines in evidence."""


Dysfunction = Literal[
    "absence of trust", "fear of conflict", "lack of commitment", "avoidance of accountability",
    "inattention to results",
]  # fmt: skip
ASK_REHEARSAL = """\
Rehearse the first day under this agreement. Beyond what the request states, it says:
{terms}
Lencioni names five ways in which a team stops being one: absence of trust (a doubt or error kept back), fear of \
conflict (an objection not made, or cut off), lack of commitment (a decision that can be read in two ways), avoidance \
of accountability (poor work that nobody calls out), inattention to results (each piece done, the aim missed). Take \
each once, imagine the moment at which it would begin among these agents, and say whether a term stops it there, and \
in one sentence what happens. A term holds if it binds: it says who does what, or names an event or a number that can \
be checked; "communicate openly" stops nothing. Where none holds, give as evidence the line of the request at which it \
would begin."""


class AgentSpec(msgspec.Struct, frozen=True):
    """An agent of the team to be."""

    name: str
    description: str = ""
    decision_rights: tuple[str, ...] = ()
    deliverables: tuple[str, ...] = ()

    def line(self) -> str:
        """The entry as a step that evidence can quote."""
        decides, delivers = (", ".join(told) or NOTHING for told in (self.decision_rights, self.deliverables))
        return f"{self.name}: {self.description or 'no description'}; decides: {decides}; delivers: {delivers}"


NOTHING = "nothing stated"


class RoleFitAudit(msgspec.Struct, frozen=True):
    """How well one agent's rights fit its work; 1 where rights, work and description are stated and its own."""

    agent_name: str
    fit_score: Share = 0.5
    ambiguous_decision_rights: tuple[str, ...] = ()
    overlapping_responsibilities: tuple[str, ...] = ()
    notes: str = ""


class DysfunctionPrevention(msgspec.Struct, frozen=True):
    """Which of Lencioni's dysfunctions the agreement has a term against."""

    prevents_absence_of_trust: bool = False
    prevents_fear_of_conflict: bool = False
    prevents_lack_of_commitment: bool = False
    prevents_avoidance_of_accountability: bool = False
    prevents_inattention_to_results: bool = False
    notes: str = ""


class AgreementBaseline(msgspec.Struct, frozen=True):
    """How this agreement differs from an earlier one of the same team."""

    historical_baseline_id: str | None = None
    historical_generated_at: shapes.Moment | None = None
    baseline_profile_pattern: str | None = None
    completeness_delta: float = 0.0
    drift_severity: Literal["none", "minor", "moderate", "severe"] = "none"
    notes: str = ""


class GoalsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the team is for, how it is checked, and when it stops."""

    primary_goal: str
    measurable_success_criteria: tuple[str, ...]
    scope_boundaries: tuple[str, ...] = ()
    deliverables: tuple[str, ...] = ()
    kill_criteria: tuple[str, ...] = ()


class RoleAssignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one agent does, decides and answers for."""

    agent_name: str
    role_title: str
    responsibilities: tuple[str, ...]
    decision_rights: tuple[str, ...]
    accountability_owner_for: tuple[str, ...] = ()


class RolesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who does what."""

    role_assignments: tuple[RoleAssignment, ...]
    raci_summary: str = ""


class ProcessesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How work is decided, escalated, given up and shown."""

    decision_protocol: str
    escalation_path: tuple[str, ...]
    abandonment_criteria: tuple[str, ...]
    communication_cadence: str
    review_cadence: str = ""
    artifact_storage: str = ""


class InteractionsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How members deal with each other."""

    disagreement_norms: tuple[str, ...]
    feedback_format: str
    conflict_resolution: str
    voice_and_turn_taking: tuple[str, ...] = ()
    psychological_safety_commitments: tuple[str, ...] = ()


class GrpiIntervention(shapes.Change, frozen=True, forbid_unknown_fields=True):
    """One change of the agreement; what a model proposes has the same shape."""

    target_dimension: Dimension
    intervention_type: Kind


class AgreementAnswer(Answer, frozen=True):
    """The four sections, and what of the request is unclear."""

    goals: GoalsSection
    roles: RolesSection
    processes: ProcessesSection
    interactions: InteractionsSection
    evidence: tuple[Evidence, ...]


class QuickAnswer(AgreementAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[GrpiIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[GrpiIntervention, ...]


class RoleNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is unclear about one agent's role."""

    agent_name: str
    ambiguous_decision_rights: tuple[str, ...]
    overlapping_responsibilities: tuple[str, ...]
    notes: str


class RolesAnswer(Answer, frozen=True):
    """The roles, agent by agent."""

    agents: tuple[RoleNote, ...]
    evidence: tuple[Evidence, ...]


class RehearsalFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a term would stop one dysfunction, and what happens."""

    dysfunction: Dysfunction
    holds: bool
    claim: str
    evidence: tuple[Evidence, ...]


class RehearsalAnswer(Answer, frozen=True):
    """The five dysfunctions, tried on the agreement."""

    dysfunctions: tuple[RehearsalFinding, ...]


# What answers a dysfunction that no term would stop: the dimension, the kind of change, and the mode of a playbook.
STOPS: dict[Dysfunction, tuple[Dimension, Kind, str]] = {
    "absence of trust": ("interactions", "strengthen_interactions", "weak_disagreement_norms"),
    "fear of conflict": ("interactions", "strengthen_interactions", "weak_disagreement_norms"),
    "lack of commitment": ("processes", "tighten_processes", "no_abandonment_criteria"),
    "avoidance of accountability": ("roles", "disambiguate_decision_rights", "ambiguous_decision_rights"),
    "inattention to results": ("goals", "tighten_goals", "vague_primary_goal"),
}
CADENCE = {
    "low": "A short note to all when a deliverable is ready or blocked.",
    "medium": "A note to all after each deliverable, and at once when a step is blocked: done, next, unsure.",
    "high": "A note to all before and after each step that others depend on: what, why, how it can be undone.",
}
REVIEW = {
    "low": "Once, before the result is handed over.",
    "medium": "After each deliverable, by one agent that did not make it.",
    "high": "After each deliverable, by one agent that did not make it, and by a person before anything irreversible.",
}
PROTOCOL = (
    "The owner of a piece decides it, after asking each agent whose work it changes for objections; whoever objects "
    "names a reason and an alternative. What nobody owns is decided by the escalation path."
)
ABANDON = (
    "Two attempts at the same step failed for the same reason.",
    "A step would need a right, tool or budget that the request does not give.",
)
LAST_RESORT = "The person who set the task, with the options, their costs and a recommendation"
DISAGREEMENT = (
    "Object before the decision, to the idea and not to the agent, with a reason and an alternative.",
    "An objection is answered with a fact or a check before the work goes on; it is not outvoted.",
    "After the decision all carry it; reopen it only with something new.",
)
FEEDBACK = "What was done, what it led to, what to do instead; with the place in the work, and right away."
CONFLICT = "Each side states the other's case; then the cheaper test decides; without a test, the owner of the piece."
TURNS = ("Before a decision each agent it touches is asked by name.",)
SAFETY = (
    "To say 'I do not know' or 'I was wrong' is part of the work and is thanked for.",
    "An error is met with what happened and which check would have caught it, never with who.",
)


class GrpiPlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one dimension."""

    dimension: str


BECKHARD = "Beckhard 1972, Optimizing Team-Building Effort"
RUBIN = "Rubin, Plovnick & Fry 1977, Task-Oriented Team Development"
HACKMAN = "Hackman 2002, Leading Teams"
PLAYBOOKS = shapes.playbooks(GrpiPlaybook, (
    ("goals", "vague_primary_goal", "One goal that can be checked", (
        "Rewrite the goal as one sentence: what will be true, for whom, by when.",
        "Add two to four criteria with a number, a test or a named judge each.",
        "Ask every agent to restate the goal; where two differ, the sentence is not done.",
    ), "1d", BECKHARD),
    ("goals", "missing_kill_criteria", "Say when to stop", (
        "Write down two events or numbers at which the run ends, and who calls it.",
        "Check them at every review, and put them into each agent's instructions.",
    ), "1h", HACKMAN),
    ("roles", "ambiguous_decision_rights", "Say who decides what", (
        "List the decisions this task will need, and give each one agent.",
        "Write 'decides alone', 'decides after asking' or 'proposes' beside each.",
        "Replay one past run and mark the decisions nobody had the right to take.",
    ), "1d", RUBIN),
    ("roles", "overlapping_responsibilities", "One owner for each piece", (
        "Mark deliverables and tasks that two agents name.",
        "Give each to one of them; the other becomes its reviewer or its user.",
        "Write the border into both instructions, in the same words.",
    ), "1d", RUBIN),
    ("processes", "missing_escalation_path", "Know whom to ask", (
        "Write an ordered list: owner, deciding agent, person.",
        "Say after how many failed attempts or how long each rung is taken.",
        "Test it with one step that cannot succeed.",
    ), "1h", HACKMAN),
    ("processes", "no_abandonment_criteria", "Know when a path is dead", (
        "Name the signs: the same failure twice, a missing right, a spent budget.",
        "Say what happens then: what is kept, what is undone, who is told.",
    ), "1h", HACKMAN),
    ("interactions", "weak_disagreement_norms", "Make objections useful", (
        "Require a reason and an alternative with each objection.",
        "Require an answer by fact or check before the work goes on.",
        "Count objections per decision; none for a week is a finding.",
    ), "1d", "Lencioni 2002, The Five Dysfunctions of a Team"),
    ("interactions", "weak_psych_safety", "Make doubt cheap", (
        "Put 'say what you are unsure of' into each agent's instructions and every hand-over.",
        "Have the lead name one doubt of its own in each note.",
        "Plant a small error and see whether it is reported.",
    ), "1d", "Edmondson 1999, Psychological Safety and Learning Behavior in Work Teams"),
    ("goals", "no_measurable_criteria", "Criteria with numbers", (
        "Turn each adjective of the goal into a number, a test or a named judge.",
        "Run the check once before work starts: it must fail now and be able to pass.",
    ), "1d", BECKHARD),
    ("roles", "single_agent_overload", "Share out the load", (
        "Count deliverables and decisions per agent.",
        "Move what does not need the fullest agent's abilities to the next one.",
        "Name a deputy for what stays.",
    ), "1w", "Salas et al. 2018, The Science of Team Performance"),
    ("processes", "no_review_cadence", "Put a date on the review", (
        "Fix when results are looked at and by whom, before work starts.",
        "Let the review end with one change of this agreement, or the word 'none'.",
    ), "1h", RUBIN),
    ("framework", "framework_misfit", "Fit the agreement to the framework", (
        "Map each role, hand-over and decision to what the framework calls it (node, task, speaker).",
        "Find terms that it cannot carry out, such as a vote without a shared channel; change term or framework.",
        "Run one small task end to end and compare what happened with the agreement.",
    ), "1w", HACKMAN),
))  # fmt: skip

# What each gap calls for, in the order of the dimensions.
ADVICE: dict[str, tuple[Dimension, Kind, str]] = {
    "vague_primary_goal": ("goals", "tighten_goals", "Say the aim so that one can see when it is met."),
    "no_measurable_criteria": ("goals", "tighten_goals", "Add criteria that a script or a named judge can check."),
    "missing_kill_criteria": ("goals", "add_kill_criteria", "Say at which number or event the work stops."),
    "ambiguous_decision_rights": ("roles", "disambiguate_decision_rights", "Say what each agent decides alone."),
    "overlapping_responsibilities": ("roles", "clarify_roles", "Give each piece of work to one agent."),
    "single_agent_overload": ("roles", "clarify_roles", "Share out what one agent holds."),
}
ATTACH = {
    ("goals", "tighten_goals"): "vague_primary_goal",
    ("goals", "add_kill_criteria"): "missing_kill_criteria",
    ("roles", "clarify_roles"): "ambiguous_decision_rights",
    ("roles", "disambiguate_decision_rights"): "ambiguous_decision_rights",
    ("processes", "add_escalation_path"): "missing_escalation_path",
    ("processes", "tighten_processes"): "no_abandonment_criteria",
    ("interactions", "strengthen_interactions"): "weak_disagreement_norms",
}
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.mcgregor", "vstack.schein_culture"),
    downstream={
        "profile_pattern": {
            "complete_balanced": ("vstack.aar",), "weak_goals": ("vstack.smart_goal",),
            "weak_roles": ("vstack.mcgregor",), "weak_processes": ("vstack.aar", "vstack.plus_delta"),
            "weak_interactions": ("vstack.psych_safety", "vstack.lencioni", "vstack.devils_advocate"),
            "missing_kill_criteria": ("vstack.smart_goal",), "missing_escalation_path": ("vstack.mcgregor",),
            "ambiguous_decision_rights": ("vstack.mcgregor",), "single_agent_team": ("vstack.aar",),
            "framework_misfit": ("vstack.mcgregor",), "indeterminate": (),
        }
    },
    framework_overlays={
        "langgraph": ("vstack.mcgregor",),
        "crewai": ("vstack.mcgregor", "vstack.social_loafing"), "autogen": ("vstack.mcgregor", "vstack.social_loafing"),
        "claude-agent-sdk": ("vstack.process_gain_loss",), "openai-agents-sdk": ("vstack.process_gain_loss",),
    },
)  # fmt: skip
