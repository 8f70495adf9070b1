"""Orchestrator mode in words: the framework, what is asked and answered, and playbooks."""

from __future__ import annotations

from typing import Literal

import msgspec

from vstack_proto.patterns import shapes
from vstack_proto.patterns.common import Answer, Composition, Count, Evidence
from vstack_proto.patterns.observed import OVERLAYS

StepType = Literal[
    "delegate", "check_in", "approve", "reject", "intervene", "broaden", "narrow", "abort", "observation"
]  # fmt: skip
Theory = Literal["theory_x", "theory_y", "hybrid"]
Kind = Literal[
    "tighten_oversight", "loosen_oversight", "add_pre_approval_gates", "remove_pre_approval_gates",
    "add_risk_classifier", "increase_check_in_cadence", "decrease_check_in_cadence", "redefine_agent_boundaries",
    "new_eval", "human_review", "tier_oversight_by_action_type", "add_authorization_scope", "rotate_to_hybrid",
    "add_step_classifier", "elevate_to_human_on_irreversible", "add_agent_capability_probe", "compose_pattern",
    "add_orchestrator_eval",
]  # fmt: skip

FRAMEWORK = """\
McGregor (1960): whoever leads acts on an assumption about those led. Theory X: they must be directed and checked. \
Theory Y: given a goal they share, they direct themselves. Neither is right as such; the assumption creates the \
behaviour that confirms it (Argyris 1957), and what fits depends on what is at stake (Eisenhardt 1989).

In an orchestrator's trace, theory X: each action approved beforehand, frequent check-ins, corrections, narrowed \
scopes. Theory Y: a goal is delegated and the result awaited, scopes are widened. Hybrid: free within bounds, gates at \
the steps that could hurt.

What fits: X where risk is high and actions cannot be undone, where rules must be proved kept, where the agent is \
unproven; Y where mistakes are cheap and reversible, the agent is proven, or the task is novel and needs ideas; \
hybrid between.

Not over-control: an approval before an irreversible action; an intervention after an alarm; a question that helps. \
Not neglect: silence after a clear delegation of a reversible task; a wide scope for a proven agent. The outcome \
alone proves neither; luck saves loose oversight, and tight oversight fails too.

Evidence is the orchestrator's step that controls or lets go, cited with what the agent reported before where that \
should have changed it."""

TASK = """\
Say which theory the orchestrator acts on (observed) and which one the task's properties ask for (optimal), each with \
evidence. Read what its steps do, not what they are called: a delegation that prescribes every move is X, an approval \
of everything unread is Y. Weigh the whole run, and what happens after an alarm most. The optimal mode follows from \
risk, reversibility, regulation, the agent's capability and novelty as stated; depart from that only where the steps \
show that a property is other than stated. In the rationale say what the difference cost, or would have cost."""
ASK_CHANGES = """\
Propose at most five changes of oversight, the most telling first, none where it fits. target_mode is the mode that is \
to be changed. Name the gate, the cadence or the scope, for which kind of action, so that a reader could put it in \
today; name the steps that call for it in the rationale."""
ASK_REMEDY = "Found so far: observed {observed}, optimal {optimal}.\n\n"
ASK_AUDIT = """\
Go through the orchestrator's steps, at most thirty, those that matter first. For each: which theory it acts on, \
whether it was appropriate for this action at this moment given what was known, what would have been better where it \
was not, and words from the step. A control is appropriate where the action is hard to undo or an alarm stands; a \
grant where a mistake is cheap."""
ASK_PROPERTIES = """\
The facts state the task's properties. Hold each against the run, as Eisenhardt asks what is really at stake, and list \
only those that the run shows to be other than stated, each once: the value that it shows, step and words, and one \
sentence why.
- risk_level (low, medium, high): what a mistake would have cost, and whom;
- reversibility (reversible, partial, irreversible): what could not be undone later: data dropped, a message sent;
- regulatory_exposure (regulated, unregulated): a rule whose keeping has to be proved;
- complexity (routine, moderate, novel): whether a known way led through the task;
- agent_capability (unproven, moderate, proven): what the agents did by themselves, before anybody corrected them.
The way it ended proves no property: luck and care can end alike. An empty list is right where the statement holds. In \
justification say in three sentences which oversight the task as it was asks for, and why."""


class ModeIntervention(shapes.Plan, frozen=True, forbid_unknown_fields=True):
    """One change of oversight; ``target_mode`` is the mode that it changes."""

    target_mode: Theory
    intervention_type: Kind


class ModeFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mode, why, and what proves it."""

    mode: Theory
    explanation: str
    evidence: tuple[Evidence, ...]


class ModesAnswer(Answer, frozen=True):
    """The mode seen and the mode wanted."""

    observed: ModeFinding
    optimal: ModeFinding
    rationale: str


class QuickAnswer(ModesAnswer, frozen=True):
    """The same, with what to change."""

    interventions: tuple[ModeIntervention, ...]


class RemedyAnswer(Answer, frozen=True):
    """What to change."""

    interventions: tuple[ModeIntervention, ...]


class StepFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of the orchestrator, judged."""

    step: int
    mode: Theory
    appropriate: bool
    alternative: str
    explanation: str
    quote: str


class AuditAnswer(Answer, frozen=True):
    """The orchestrator's steps."""

    steps: tuple[StepFinding, ...]


class PropertyFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A property that is other than stated; ``quote`` stands in the step."""

    name: Literal["risk_level", "complexity", "reversibility", "regulatory_exposure", "agent_capability"]
    value: Literal[
        "low", "medium", "high", "routine", "moderate", "novel", "reversible", "partial", "irreversible", "regulated",
        "unregulated", "unproven", "proven",
    ]  # fmt: skip
    step: Count
    quote: str
    claim: str


class PropertiesAnswer(Answer, frozen=True):
    """The task as it was, and why it asks for the oversight that it asks for."""

    properties: tuple[PropertyFinding, ...]
    justification: str


class ModePlaybook(shapes.Playbook, frozen=True):
    """What to do about one failure mode of one mode."""

    mode: str


PLAYBOOKS = shapes.playbooks(ModePlaybook, (
    ("theory_x", "low_risk_oversupervision", "Let go where mistakes are cheap", (
        "List the actions that were approved one by one, and mark those that can be undone within minutes.",
        "Replace their approvals by one delegation with a goal, a bound and a check of the result.",
        "Keep approval for what is left, and say in the prompt which actions these are.",
        "Compare turns per task and defects over ten runs; go back only where defects rise.",
    ), "1d", "McGregor 1960"),
    ("theory_x", "proven_agent_overcontrol", "Check a proven agent by sample", (
        "Take the agent's record: how many of its last fifty actions were changed by a check-in or a rejection?",
        "Where it is under one in twenty, check a tenth of the actions, chosen at random.",
        "Ask for a report at milestones that the agent sets itself.",
        "Raise the rate again for a while after a miss.",
    ), "1d", "Likert 1967"),
    ("theory_y", "high_risk_undersupervision", "Put gates where it can hurt", (
        "Name the actions of the task that touch money, data, users or production.",
        "Require approval before each of these, by a checker that sees the plan and the evidence.",
        "Let the orchestrator stop and re-plan when an agent reports a conflict; widening the scope is then barred.",
        "Rehearse the gates on past incidents: each must have been stopped by one.",
    ), "1d", "Eisenhardt 1989"),
    ("theory_y", "unproven_agent_undersupervision", "Widen the scope with the record", (
        "Start with a probe task whose right result is known.",
        "Check in after each part at first, and say what was good and what was not.",
        "Halve the check-ins after five parts in a row without correction.",
        "Keep the record by kind of action: trust in one kind says little of another.",
    ), "1w", "McGregor 1966"),
    ("hybrid", "wrong_axis_triggers", "Let the action decide how much oversight it gets", (
        "Write down what triggers oversight now: agent, phase, habit or risk of the action.",
        "Classify actions by risk and reversibility, with three tiers: free, reported, approved.",
        "Route each action by its tier, whoever does it.",
        "Review weekly the actions that were in the wrong tier, in both directions.",
    ), "1w", "Eisenhardt 1989"),
    ("theory_x", "regulated_workflow_appropriate", "Keep tight oversight where law asks for it", (
        "Store this run as the baseline of the regulated workflow.",
        "Record with each approval which rule it proves kept.",
        "Review once a quarter which gates no rule asks for any more.",
    ), "1h", "Pfeffer and Salancik 1978"),
    ("theory_y", "creative_task_appropriate", "Keep wide scope where ideas are wanted", (
        "Store this run as the baseline of the creative task.",
        "Keep the goal and the audience fixed, and the way open.",
        "Judge drafts at the end of a round, not while they are made.",
        "Compare variety and use of results after each change of oversight.",
    ), "1h", "McGregor 1960"),
    ("hybrid", "well_matched_baseline", "Keep this oversight as the baseline", (
        "Store the indicators of this run with the task's properties.",
        "Add it to the evaluation of the orchestrator.",
        "Compare after each change of model, prompt or task.",
    ), "1h", "McGregor 1966"),
    ("theory_y", "irreversible_action_under_supervision", "Ask a person before what cannot be undone", (
        "List the tools and calls that cannot be undone: deletions, payments, messages to the outside.",
        "Take them out of the agents' scope; a request for one goes to a person with its reason and its effect.",
        "Require a dry run and the list of who still depends on what is removed.",
        "Prefer a reversible first half (disable, wait, then delete), and test that the way back works.",
    ), "1w", "Eisenhardt 1989"),
    ("theory_x", "creative_overcontrol", "Free the search, gate the choice", (
        "Drop approvals of single moves while ideas are sought; fix the time instead.",
        "Ask for three results that differ in kind.",
        "Approve once, at the choice, against the goal.",
        "Count how many kept ideas came from outside the prescribed way.",
    ), "1d", "Argyris 1957"),
    ("theory_x", "hybrid_pivot", "From control of all to control by risk", (
        "Classify the actions of the last runs by risk and by whether they can be undone.",
        "Free the lowest class first, with a report afterwards.",
        "Keep approval for the highest class, with its reason.",
        "Move the border each week by what the reports show.",
    ), "1w", "Likert 1967"),
    ("theory_y", "hybrid_pivot", "From trust in all to trust by risk", (
        "Find the one or two actions of the last runs that could have done most harm.",
        "Put a gate before these and no others.",
        "Define which report of an agent calls the orchestrator in, and what it then does.",
        "Move the border each week by what the gates caught.",
    ), "1w", "Likert 1967"),
))  # fmt: skip

ATTACH = {
    ("theory_x", "loosen_oversight"): "low_risk_oversupervision",
    ("theory_x", "remove_pre_approval_gates"): "low_risk_oversupervision",
    ("theory_x", "decrease_check_in_cadence"): "proven_agent_overcontrol",
    ("theory_y", "tighten_oversight"): "high_risk_undersupervision",
    ("theory_y", "add_pre_approval_gates"): "high_risk_undersupervision",
    ("theory_y", "increase_check_in_cadence"): "unproven_agent_undersupervision",
    ("theory_y", "elevate_to_human_on_irreversible"): "irreversible_action_under_supervision",
    ("theory_y", "add_authorization_scope"): "irreversible_action_under_supervision",
    ("hybrid", "add_risk_classifier"): "wrong_axis_triggers",
    ("hybrid", "add_step_classifier"): "wrong_axis_triggers",
    ("hybrid", "tier_oversight_by_action_type"): "wrong_axis_triggers",
    ("hybrid", "new_eval"): "well_matched_baseline",
    ("theory_x", "rotate_to_hybrid"): "hybrid_pivot",
    ("theory_y", "rotate_to_hybrid"): "hybrid_pivot",
}
# What is proposed where no model is asked: profile -> failure mode of the observed mode. Loosening a creative task is
# the same change as loosening a harmless one; where no profile speaks, the way to the middle is the smallest step.
REMEDY_OF = {
    "theory_x_on_low_risk": "low_risk_oversupervision", "creative_task_over_supervised": "low_risk_oversupervision",
    "theory_x_on_proven_agent": "proven_agent_overcontrol", "theory_y_on_high_risk": "high_risk_undersupervision",
    "regulated_workflow_under_supervision": "high_risk_undersupervision",
    "theory_y_on_unproven_agent": "unproven_agent_undersupervision",
    "irreversible_action_under_supervision": "irreversible_action_under_supervision",
    "hybrid_misapplied": "wrong_axis_triggers", "indeterminate": "hybrid_pivot",
}  # fmt: skip
COMPOSITION = Composition(
    upstream=("vstack.lewin", "vstack.aar", "vstack.schein_culture", "vstack.hexaco"),
    downstream={
        "profile_pattern": {
            "well_matched_theory_x": ("vstack.aar",),
            "well_matched_theory_y": ("vstack.aar",),
            "well_matched_hybrid": ("vstack.aar",),
            "theory_x_on_low_risk": ("vstack.sdt_reward", "vstack.smart_goal"),
            "theory_y_on_high_risk": ("vstack.devils_advocate", "vstack.bias_stack", "vstack.hexaco"),
            "theory_x_on_proven_agent": ("vstack.sdt_reward", "vstack.aar"),
            "theory_y_on_unproven_agent": ("vstack.aar", "vstack.smart_goal"),
            "hybrid_misapplied": ("vstack.bias_stack", "vstack.smart_goal"),
            "regulated_workflow_under_supervision": ("vstack.devils_advocate", "vstack.schein_culture"),
            "creative_task_over_supervised": ("vstack.sdt_reward", "vstack.grant_strengths"),
            "irreversible_action_under_supervision": ("vstack.hexaco", "vstack.devils_advocate", "vstack.lewin"),
            "indeterminate": (),
        },
        "observed_mode": {
            "theory_x": ("vstack.sdt_reward",), "theory_y": ("vstack.aar",), "hybrid": ("vstack.bias_stack",),
        },
    },
    framework_overlays=OVERLAYS,
    intervention_overlays={
        "tighten_oversight": "vstack.devils_advocate", "add_pre_approval_gates": "vstack.devils_advocate",
        "elevate_to_human_on_irreversible": "vstack.hexaco", "add_authorization_scope": "vstack.hexaco",
        "rotate_to_hybrid": "vstack.bias_stack", "add_step_classifier": "vstack.bias_stack",
        "add_risk_classifier": "vstack.bias_stack", "loosen_oversight": "vstack.sdt_reward",
        "remove_pre_approval_gates": "vstack.sdt_reward", "human_review": "vstack.plus_delta",
    },
)  # fmt: skip
